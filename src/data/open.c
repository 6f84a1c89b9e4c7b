/* open.c: data sets from files that the user names. */
#include "data/open.h"

#include "data/dataset.h"
#include "data/table.h"
#include "format/idx.h"

/* --- IDX ----------------------------------------------------------------------------------------
 */

soma_status soma__dataset_from_idx(soma_dataset **out, soma_tensor *images, soma_tensor *labels,
                                   const char *images_name, const char *labels_name,
                                   soma_error *err)
{
    *out = NULL;
    soma_tensor *x = NULL, *y = NULL;
    soma_status status;
    if (images->shape.ndim == 3) {
        soma_shape shape = images->shape;
        shape.dim[shape.ndim++] = 1;
        status = soma_tensor_reshape(&x, images, shape, err);
    } else {
        x = soma_tensor_retain(images);
        status = SOMA_OK;
    }
    if (status == SOMA_OK && soma_dtype_is_float(labels->dtype))
        y = soma_tensor_retain(labels);
    else if (status == SOMA_OK)
        status = soma_tensor_cast(&y, labels, SOMA_I64, err);
    if (status == SOMA_OK) {
        status = soma_dataset_from_tensors(out, x, y, err);
        if (status != SOMA_OK)
            soma__fail_within(err, status, "'%s' with '%s'", images_name, labels_name);
    }
    soma_tensor_release(x);
    soma_tensor_release(y);
    return status;
}

soma_status soma_dataset_open_idx(soma_dataset **out, const char *images, const char *labels,
                                  soma_error *err)
{
    *out = NULL;
    soma_tensor *x, *y;
    SOMA__TRY(soma__idx_read(&x, images, err));
    soma_status status = soma__idx_read(&y, labels, err);
    if (status == SOMA_OK) {
        status = soma__dataset_from_idx(out, x, y, images, labels, err);
        soma_tensor_release(y);
    }
    soma_tensor_release(x);
    return status;
}

/* --- CSV ----------------------------------------------------------------------------------------
 */

soma_status soma_dataset_open_csv(soma_dataset **out, const char *path, const char *label,
                                  bool regress, soma_error *err)
{
    const soma__table_options options = {.labels = {&label, label != NULL},
                                         .target =
                                             regress ? SOMA__TARGET_NUMBERS : SOMA__TARGET_CLASSES};
    soma_data data = {0};
    *out = NULL;
    SOMA__TRY(soma__table_open(&data.train, path, NULL, 0, &options, err));
    soma_status status = soma__table_encode(&data, err);
    if (status == SOMA_OK)
        *out = soma_dataset_retain(data.train);
    soma_data_clear(&data);
    return status;
}
