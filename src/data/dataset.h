/* dataset.h: inside view of data sets. A data set is one of four kinds: tensors in memory, the
 * user's function, a choice of samples of another data set, or another one transformed. */
#ifndef SOMA__DATASET_H
#define SOMA__DATASET_H

#include <stdatomic.h>

#include "base/base.h"
#include "soma/data.h"
#include "tensor/tensor.h"

#define SOMA__PREFETCH 4 /* batches that a loader has ready ahead, unless told otherwise */

struct soma_dataset {
    atomic_int references;
    int64_t count;
    soma_dtype x_dtype, y_dtype;
    soma_shape x_shape, y_shape; /* of one sample */
    size_t x_bytes, y_bytes;     /* of one sample */
    bool labels;                 /* y is one class label, i64 */

    soma_tensor *x, *y;              /* in memory: retained; else NULL */
    soma_dataset_source source;      /* the user's function; read NULL: none */
    soma_dataset *parent;            /* of a choice or a transformed set: retained; else NULL */
    int64_t *index;                  /* of the choice: sample i is the parent's index[i] */
    struct soma__pipeline *pipeline; /* its samples are the parent's, transformed; else NULL */

    char **class_names; /* class_count entries, or NULL */
    int class_count;    /* 0: not known or not labels */

    /* What the user knows sample i by, such as its file; NULL: its number. */
    const char *(*sample_name)(const void *user, int64_t i);

    struct soma__table *table; /* where a whole of a table came from: retained; else NULL */
    struct soma__encoding
        *encoding;             /* and how it became features: retained; NULL: it is rows yet */
    struct soma__texts *texts; /* a whole of texts that are rows yet: its own; else NULL */
    struct soma__text_encoding *text_encoding; /* how texts became its samples: retained; or NULL */
    bool series; /* windows of data/series.h, whose part is source.user */
};
void soma__texts_release(struct soma__texts *texts);

/* What a part, or a transformed set, was taken from in the end; NULL of NULL. */
const soma_dataset *soma__dataset_whole(const soma_dataset *dataset);
/* The sample there that sample i is. */
int64_t soma__dataset_in_whole(const soma_dataset *dataset, int64_t i);
/* Puts the same choice of samples of another whole in the place of a part; NULL stays. */
soma_status soma__dataset_move(soma_dataset **part, soma_dataset *whole, soma_error *err);
/* Copies names; replaces the number of classes. Errors: SOMA_INVALID when a label is beyond them.
 */
soma_status soma__dataset_set_classes(soma_dataset *dataset, const char *const *names, int count,
                                      soma_error *err);
/* From a function whose labels are known beforehand: y [count] is retained. `sample_name` may be
 * NULL. Takes source->user also when it fails. */
soma_status soma__dataset_from_source(soma_dataset **out, const soma_dataset_source *source,
                                      soma_tensor *y,
                                      const char *(*sample_name)(const void *user, int64_t i),
                                      soma_error *err);
/* "cat/1.png" or "sample 17", into `buffer` where it has to be made. */
const char *soma__dataset_sample(const soma_dataset *dataset, int64_t i, char *buffer, size_t size);
/* The label of sample i without reading x; -1 when the samples come from the user's function. */
int64_t soma__dataset_label(const soma_dataset *dataset, int64_t i);
/* soma_dataset_read in an epoch (transforms draw by it), or as evaluation sees the samples
 * (SOMA__EPOCH_PLAIN of data/transform.h). `scratch` has soma__dataset_scratch bytes, aligned to
 * 64, and serves one call at a time; NULL when that is 0. */
soma_status soma__dataset_read_epoch(const soma_dataset *dataset, int64_t epoch,
                                     const int64_t *indexes, int64_t count, void *scratch, void *x,
                                     void *y, soma_error *err);
size_t soma__dataset_scratch(const soma_dataset *dataset);
/* As soma_scaling_fit, of the targets of a regression: each to mean 0 and variance 1, or to [0,1].
 */
soma_status soma__target_scaling_fit(soma_tensor **shift, soma_tensor **scale,
                                     const soma_dataset *dataset, bool minmax, soma_error *err);
/* Puts soma_dataset_reconstruct in the place of a data set, whose reference it takes over; NULL
 * stays.
 */
soma_status soma__dataset_mirror(soma_dataset **dataset, soma_error *err);
/* Set in the files of autoencoders: what is evaluated has itself as target. */
#define SOMA__TARGET_META "data.target"

/* Bytes that the samples take in memory (0 for the user's function). */
size_t soma__dataset_memory(const soma_dataset *dataset);

#endif
