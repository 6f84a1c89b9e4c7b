/* dataset.h: inside view of data sets. A data set is one of three kinds: tensors in memory, the
 * user's function, or a choice of samples of another data set. */
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

    soma_tensor *x, *y;         /* in memory: retained; else NULL */
    soma_dataset_source source; /* the user's function; read NULL: none */
    soma_dataset *parent;       /* a choice: retained; else NULL */
    int64_t *index;             /* of the choice: sample i is the parent's index[i] */

    char **class_names; /* class_count entries, or NULL */
    int class_count;    /* 0: not known or not labels */
};

/* Copies names; replaces the number of classes. Errors: SOMA_INVALID when a label is beyond them.
 */
soma_status soma__dataset_set_classes(soma_dataset *dataset, const char *const *names, int count,
                                      soma_error *err);
/* The label of sample i without reading x; -1 when the samples come from the user's function. */
int64_t soma__dataset_label(const soma_dataset *dataset, int64_t i);
/* Bytes that the samples take in memory (0 for the user's function). */
size_t soma__dataset_memory(const soma_dataset *dataset);

#endif
