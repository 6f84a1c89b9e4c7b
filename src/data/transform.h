/* transform.h: the type that describes a kind of transform, and how one runs.
 *
 * A kind is described once, in the file of its family: its field table is what recipes read, model
 * files store and `soma ops --transforms` prints; `check` turns a sample's form into that of the
 * result; `apply` does it to one sample. A list of checked transforms is a pipeline; it belongs to
 * a data set (dataset.c), which runs it as samples are read. */
#ifndef SOMA__TRANSFORM_H
#define SOMA__TRANSFORM_H

#include "base/rng.h"
#include "base/value.h"
#include "data/dataset.h"

#define SOMA__MAX_TRANSFORMS 63 /* position in the list takes 6 bits of a draw's index */
#define SOMA__EPOCH_PLAIN (-1)  /* in place of an epoch: only what evaluation does */

/* What a sample is like between two transforms. */
typedef struct soma__form {
    soma_dtype x_dtype, y_dtype;
    soma_shape x_shape, y_shape;
    int64_t count;   /* values of x */
    int64_t h, w, c; /* of an image; else 0 */
    bool normalized; /* no longer in [0,1]: colours cannot be told any more */
    bool labels;     /* y is one class label */
    int classes;     /* 0: unknown */
} soma__form;

/* Draws of one transform on one sample: numbered from its first on. */
typedef struct soma__draws {
    soma__rng_key key;
    uint64_t next;
} soma__draws;
double soma__draw(soma__draws *d);                             /* [0,1) */
double soma__draw_between(soma__draws *d, double a, double b); /* [a,b) */
int64_t soma__draw_below(soma__draws *d, int64_t n);           /* [0,n) */
double soma__draw_normal(soma__draws *d);

typedef struct soma__transform_type soma__transform_type;

typedef struct soma__apply {
    const soma_transform *t;
    const soma__form *from, *to;
    const void *x; /* of kinds that work in place: y */
    void *y;
    void *work; /* as many bytes as `work` asked for, 64-byte aligned */
    soma__draws draws;
} soma__apply;

/* A batch whose samples are mixed with each other: sample i with sample i - 1, the first with the
 * last. Done from the end on, so that the neighbour is still unmixed; `last_x`, `last_y` are copies
 * of the last sample for the first one. */
typedef struct soma__mix {
    const soma_transform *t;
    const soma__form *form;
    void *x, *y;
    const void *other_x, *other_y;
    soma__draws draws;
} soma__mix;

struct soma__transform_type {
    const char *name; /* "pad_crop", as recipes call it */
    const char *doc;
    const char *shapes;
    const soma__field *fields;
    int field_count;
    const char *primary; /* the key that a short form sets; NULL: there is none */
    soma_when when;      /* default */
    double p;            /* default probability; 0: it is always done */
    bool image;          /* takes images [H,W,C] only */
    bool colors;         /* takes values in [0,1] or u8 only */
    bool in_place;
    /* Checks options and fills in defaults; turns *form into that of the result. NULL: every option
     * is fine and the form stays. */
    soma_status (*check)(soma_transform *t, soma__form *form, soma_error *err);
    /* Bytes of work space; NULL: none. */
    size_t (*work)(const soma_transform *t, const soma__form *from, const soma__form *to);
    void (*apply)(soma__apply *a); /* NULL: it changes y only, or mixes */
    void (*mix)(soma__mix *m);     /* mixup, cutmix */
};

/* A check for what brings images to t->size (crop.c). */
soma_status soma__check_size(soma_transform *t, soma__form *form, soma_error *err);

#define SOMA__TRANSFORM_TYPE(name_, text_)                                                         \
    extern const soma__transform_type soma__transform_##text_;
SOMA_TRANSFORM_LIST(SOMA__TRANSFORM_TYPE)
#undef SOMA__TRANSFORM_TYPE

int soma__transform_type_count(void);
const soma__transform_type *soma__transform_type_at(int index); /* NULL: out of range */
const soma__transform_type *soma__transform_type_find(const char *name);
const char *soma__transform_type_nearest(const char *name); /* or NULL */

/* Entries of field tables: `key` sets the member of soma_transform. */
#define SOMA__T(member_) offsetof(soma_transform, member_)
#define SOMA__T_WHEN                                                                               \
    {                                                                                              \
        .key = "when", .kind = SOMA__FIELD_ENUM, .offset = SOMA__T(when),                          \
        .choices = soma__when_names,                                                               \
        .doc = "on which part: default (see the kind), train, evaluate, always"                    \
    }
#define SOMA__T_P                                                                                  \
    {                                                                                              \
        .key = "p", .kind = SOMA__FIELD_FLOAT, .offset = SOMA__T(p), .min = 1e-6, .max = 1,        \
        .doc = "probability"                                                                       \
    }
#define SOMA__T_FILL                                                                               \
    {                                                                                              \
        .key = "fill", .kind = SOMA__FIELD_FLOAT, .offset = SOMA__T(fill),                         \
        .doc = "value of what comes from outside; 0"                                               \
    }
#define SOMA__T_INTERPOLATION                                                                      \
    {                                                                                              \
        .key = "interpolation", .kind = SOMA__FIELD_ENUM, .offset = SOMA__T(interpolation),        \
        .choices = soma__interpolation_names, .doc = "bilinear"                                    \
    }
#define SOMA__T_FLOAT(key_, member_, min_, max_, doc_)                                             \
    {                                                                                              \
        .key = key_, .kind = SOMA__FIELD_FLOAT, .offset = SOMA__T(member_), .min = min_,           \
        .max = max_, .doc = doc_                                                                   \
    }
#define SOMA__T_PAIR(key_, member_, min_, max_, doc_)                                              \
    {                                                                                              \
        .key = key_, .kind = SOMA__FIELD_FLOATS, .offset = SOMA__T(member_), .count = 2,           \
        .min = min_, .max = max_, .doc = doc_                                                      \
    }
#define SOMA__T_INT(key_, member_, min_, max_, doc_)                                               \
    {                                                                                              \
        .key = key_, .kind = SOMA__FIELD_INT, .offset = SOMA__T(member_), .min = min_,             \
        .max = max_, .doc = doc_                                                                   \
    }
#define SOMA__T_SIZE                                                                               \
    {                                                                                              \
        .key = "size", .kind = SOMA__FIELD_INTS, .offset = SOMA__T(size), .count = 2, .min = 1,    \
        .max = 16384, .required = true, .doc = "height and width, or one number for both"          \
    }
extern const char *const soma__when_names[],
    *const soma__interpolation_names[], *const soma__border_names[], *const soma__direction_names[];

/* A list as recipes write it. The caller frees *out. */
soma_status soma__transforms_read(soma_transform **out, int *count, const soma__tree *tree,
                                  const soma__value *value, const char *where, soma_error *err);
/* The same as a value again; only those that evaluation runs. NULL: no memory. */
soma__value *soma__transforms_value(soma__tree *tree, const soma_transform *list, int count);

/* Metadata of models: what evaluation does to samples before the model takes them, and their shape
 * before, as JSON. *out is the caller's; NULL when `dataset` has no transforms. */
#define SOMA__TRANSFORMS_META "data.transforms"
soma_status soma__transforms_text(char **out, const soma_dataset *dataset, soma_error *err);
/* `dataset` as a model with such metadata takes it, in place of *dataset, whose reference it takes.
 * `file` for messages. */
soma_status soma__transforms_over(soma_dataset **dataset, const char *text, const char *file,
                                  soma_error *err);
/* The shape of samples before the transforms. */
soma_status soma__transforms_input(soma_shape *out, const char *text, const char *file,
                                   soma_error *err);

/* --- pipelines: checked lists, run by data sets ------------------------------------------------
 */

typedef struct soma__pipeline soma__pipeline;
/* `form` is that of the samples read, and becomes that of the result. */
soma_status soma__pipeline_create(soma__pipeline **out, const soma_transform *list, int count,
                                  bool training, uint64_t seed, soma__form *form, soma_error *err);
void soma__pipeline_destroy(soma__pipeline *pipeline);
/* Bytes of scratch that soma__pipeline_run wants, 64-byte aligned. */
size_t soma__pipeline_scratch(const soma__pipeline *pipeline);
/* Room in the scratch for a raw sample and its y. */
void *soma__pipeline_input(const soma__pipeline *pipeline, void *scratch);
void *soma__pipeline_input_y(const soma__pipeline *pipeline, void *scratch);
/* Transforms a raw sample (in that room or elsewhere) into its place in a batch. */
void soma__pipeline_run(const soma__pipeline *pipeline, int64_t epoch, int64_t sample,
                        const void *raw_x, const void *raw_y, void *scratch, void *x, void *y);
/* Mixes the batch of transformed samples; sample(user, i) is the number of the i-th. */
bool soma__pipeline_mixes(const soma__pipeline *pipeline, int64_t epoch);
void soma__pipeline_mix(const soma__pipeline *pipeline, int64_t epoch, int64_t count, void *scratch,
                        void *x, void *y, int64_t (*sample)(const void *user, int64_t i),
                        const void *user);
/* The list that it was made of. */
const soma_transform *soma__pipeline_list(const soma__pipeline *pipeline, int *count);

#endif
