/* check.h: what is wrong with a data set, for `soma data check` and the linter of recipes, and what
 * is in it, for `soma data show`. */
#ifndef SOMA__CHECK_H
#define SOMA__CHECK_H

#include "soma/data.h"

typedef enum soma__severity {
    SOMA__NOTE,    /* good to know */
    SOMA__WARNING, /* results may be worse or look better than they are */
    SOMA__FAULT    /* cannot be trained on as it is */
} soma__severity;

/* What was found; X(identifier, name). The names are stable: scripts and the linter ask by them. */
#define SOMA__CHECKS(X)                                                                            \
    X(UNREADABLE, "unreadable")         /* a sample cannot be read: damaged, cut short */          \
    X(NOT_FINITE, "not-finite")         /* NaN or infinite values */                               \
    X(DUPLICATE, "duplicate")           /* the same sample twice in a part */                      \
    X(LEAK, "leak")                     /* the same sample in two parts */                         \
    X(LABEL_CONFLICT, "label-conflict") /* the same sample with different labels */                \
    X(EMPTY_CLASS, "empty-class")       /* a class without a sample in a part */                   \
    X(IMBALANCE, "imbalance")           /* one class has far more samples than another */          \
    X(CONSTANT, "constant")             /* a feature, or a picture, that is the same all over */   \
    X(COUNTER, "counter")               /* a column that counts the rows */                        \
    X(MISSING, "missing")               /* fields without a value */                               \
    X(SIZES, "sizes")                   /* pictures of odd sizes */
typedef enum soma__check {
#define X(identifier_, name_) SOMA__CHECK_##identifier_,
    SOMA__CHECKS(X)
#undef X
        SOMA__CHECK_COUNT
} soma__check;
const char *soma__check_name(soma__check check);

typedef struct soma__finding {
    soma__check check;
    soma__severity severity;
    int64_t count; /* how many samples (features, …) it is true of; a message for each of the first
                      few, then one with all */
    const char *message; /* borrowed, what is the matter and what to do */
} soma__finding;

typedef struct soma__check_options {
    int examples;     /* findings of one kind that are told one by one; 0: 3 */
    bool no_contents; /* only what labels and columns tell, without reading samples */
    void (*found)(void *user, const soma__finding *finding);
    bool (*progress)(void *user, int64_t done, int64_t all); /* false: stop; may be NULL */
    void *user;
} soma__check_options;

/* Looks at all parts and reports. A finding is no error: SOMA_OK whatever is found. Errors:
 * SOMA_MEMORY, SOMA_CANCELLED. */
soma_status soma__data_check(const soma_data *data, const soma__check_options *options,
                             soma_error *err);

/* Of one feature or channel, over the samples that can be read. */
typedef struct soma__moments {
    double mean, deviation, low, high;
} soma__moments;
/* Per channel (last axis) of at most `limit` samples (0: all), in order; *count of them, released
 * with soma__free. Errors: of reading, SOMA_MEMORY. */
soma_status soma__data_moments(soma__moments **out, int64_t *count, const soma_dataset *dataset,
                               int64_t limit, soma_error *err);

/* The column of a table that a feature comes from, and the fields without a value in the whole
 * table; false: no such column, or no table. */
bool soma__data_column(const soma_dataset *dataset, int index, const char **name, int64_t *missing,
                       bool *is_label);

#endif
