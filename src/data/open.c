/* open.c: data sets from files that the user names. */
#include "data/open.h"

#include "data/dataset.h"
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

/* Targets f32 [rows,1] of a numeric column. */
static soma_status targets_of(soma_tensor **out, const soma__csv *csv, int column, soma_error *err)
{
    const soma__csv_column *target = &csv->column[column];
    if (target->categorical)
        return soma__fail(err, SOMA_INVALID, "%s: column '%s' is text, a regression needs numbers",
                          csv->source, target->name);
    SOMA__TRY(soma_tensor_create(out, SOMA_F32, SOMA_SHAPE(csv->rows, 1), err));
    for (int64_t row = 0; row < csv->rows; row++)
        soma_tensor_f32(*out)[row] = (float)target->numbers[row];
    return SOMA_OK;
}

soma_status soma__dataset_from_csv(soma_dataset **out, const soma__csv *csv, const char *label,
                                   bool regress, soma_error *err)
{
    int column;
    SOMA__TRY(soma__csv_column_find(&column, csv, label ? label : "-1", err));
    soma__csv_dataset table = {0};
    soma_tensor *targets = NULL;
    if (regress)
        SOMA__TRY(targets_of(&targets, csv, column, err));
    soma_status status = regress ? soma__csv_features(&table, csv, column, err)
                                 : soma__csv_split(&table, csv, column, err);
    if (status == SOMA_OK) {
        status =
            soma_dataset_from_tensors(out, table.features, regress ? targets : table.labels, err);
        if (status != SOMA_OK)
            soma__fail_within(err, status, "%s", csv->source);
    }
    if (status == SOMA_OK && !regress)
        status = soma__dataset_set_classes(*out, table.class_names, (int)table.class_count, err);
    if (status != SOMA_OK) {
        soma_dataset_release(*out);
        *out = NULL;
    }
    soma_tensor_release(targets);
    soma__csv_dataset_clear(&table);
    return status;
}

soma_status soma_dataset_open_csv(soma_dataset **out, const char *path, const char *label,
                                  bool regress, soma_error *err)
{
    *out = NULL;
    soma__csv csv = {0};
    SOMA__TRY(soma__csv_read(&csv, path, NULL, err));
    soma_status status = soma__dataset_from_csv(out, &csv, label, regress, err);
    soma__csv_clear(&csv);
    return status;
}
