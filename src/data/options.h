/* options.h: the `data` section of a recipe: one table of fields, and the opening of what it says.
 */
#ifndef SOMA__DATA_OPTIONS_H
#define SOMA__DATA_OPTIONS_H

#include "base/value.h"
#include "data/series.h"
#include "data/table.h"
#include "data/text.h"

typedef struct soma__data_options {
    const char *source, *path, *images, *labels, *test_images, *test_labels;
    int64_t size[2], channels; /* pictures */
    int fit;                   /* soma__fit */
    bool stream;
    /* tables; -1: as the source has it */
    const soma__value *label, *names, *columns, *ignore, *categorical;
    const char *separator;
    int header, encode, missing;
    int scale;        /* soma_scaling */
    int target_scale; /* 0 none, 1 standard, 2 minmax */
    int target;       /* 0 the label, 1 the input itself */
    double validation, test;
    /* texts */
    const char *test_path, *text, *tokenizer;
    int64_t vocabulary, min_count, length, target_length, stride;
    bool lowercase;
    int keep; /* 0 beginning, 1 end */
    /* spoken digits */
    const char *held_out;
    int64_t join;
    /* series; -1: as the source has it */
    int64_t horizon, season;
    const soma__value *cycles;
    int gaps;
    const soma__value *transforms;
} soma__data_options;

extern const soma__field soma__data_fields[];
extern const int soma__data_field_count;

/* A section with all defaults. */
soma__data_options soma__data_defaults(void);

/* What a section's values say about a table. Lists live in `arena`; `tree` is for messages. Keeps
 * what `out` has where the section says nothing. Errors: SOMA_INVALID with the line, SOMA_MEMORY.
 */
soma_status soma__data_table_options(soma__table_options *out, const soma__data_options *options,
                                     const soma__tree *tree, soma__arena *arena, soma_error *err);

/* What a section says about texts. Errors: SOMA_INVALID with the line. */
soma_status soma__data_text_options(soma__text_options *out, const soma__data_options *options,
                                    const soma__tree *tree, soma_error *err);

/* What a section says about a series. Keeps what `out` has where it says nothing. */
soma_status soma__data_series_options(soma__series_options *out, const soma__data_options *options,
                                      const soma__tree *tree, soma__arena *arena, soma_error *err);

/* Rows of tables and of texts become features, by what is fitted on the training part. */
soma_status soma__data_encode(soma_data *data, soma_error *err);

/* Opens what a section says, with its test part split off; tables and texts come as rows
 * (soma__data_encode). `target` is what the task needs, NULL: what is usual for the source.
 * `folder` may be NULL. */
soma_status soma__data_open(soma_data *out, const soma__data_options *options,
                            const soma__target *target, const soma__tree *tree,
                            const soma__value *section, const char *folder, uint64_t seed,
                            soma_error *err);

/* What is asked of a set that is known by name; all but the name may be NULL. */
typedef struct soma__source_request {
    const char *name, *folder;
    const soma__data_options *options; /* how a table is read, and their tree */
    const soma__tree *tree;
    const soma__target *target;
    soma__encoding *encoding;               /* by which a table is to become features */
    soma__text_encoding *text_encoding;     /* by which texts are to become samples */
    soma__series_encoding *series_encoding; /* by which a series is to become windows */
} soma__source_request;
/* sources.c: opens by name. Tables and texts come as rows, unless an encoding is given. */
soma_status soma__source_open(soma_data *out, const soma__source_request *request, soma_error *err);

#endif
