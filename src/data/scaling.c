/* scaling.c: fitting y = (x - shift) · scale on the training part. Sums are taken in double, sample
 * by sample in order, so the result does not depend on threads. */
#include <math.h>
#include <string.h>

#include "data/table.h"
#include "data/transform.h"

/* What a pass over the data finds, per feature (or over all). */
typedef struct moments {
    double *sum, *squares, *low, *high;
    int64_t features;
    double count; /* values per feature */
} moments;

static soma_status scan(moments *m, const soma_dataset *dataset, soma_error *err)
{
    void *x = soma__malloc(dataset->x_bytes), *y = soma__malloc(dataset->y_bytes);
    double *first = soma__calloc((size_t)m->features, sizeof *first);
    size_t size = soma__dataset_scratch(dataset);
    void *scratch = size ? soma__aligned(size) : NULL;
    soma_status status = SOMA_OK;
    if (!x || !y || !first || (size && !scratch))
        status = soma__fail(err, SOMA_MEMORY, "no memory to fit the scaling");
    int64_t per_sample = (int64_t)(dataset->x_bytes / soma_dtype_size(dataset->x_dtype));
    for (int64_t i = 0; i < dataset->count && status == SOMA_OK; i++) {
        /* As evaluation sees them: what augmentation adds is not in the data. */
        status = soma__dataset_read_epoch(dataset, SOMA__EPOCH_PLAIN, &i, 1, scratch, x, y, err);
        for (int64_t j = 0; j < per_sample && status == SOMA_OK; j++) {
            double value = soma__load(dataset->x_dtype, x, j);
            int64_t f = j % m->features;
            if (i == 0 && j < m->features) {
                m->low[f] = m->high[f] = first[f] = value;
            }
            /* Differences from the first value keep the variance of far-off features exact. */
            double d = value - first[f];
            m->sum[f] += d;
            m->squares[f] += d * d;
            m->low[f] = fmin(m->low[f], value);
            m->high[f] = fmax(m->high[f], value);
        }
    }
    m->count = (double)dataset->count * (double)per_sample / (double)m->features;
    for (int64_t f = 0; f < m->features && status == SOMA_OK; f++) {
        double mean = m->sum[f] / m->count;
        m->squares[f] = fmax(0, m->squares[f] / m->count - mean * mean); /* now the variance */
        m->sum[f] = first[f] + mean;                                     /* now the mean */
    }
    soma__free(x);
    soma__free(y);
    soma__free(first);
    soma__free(scratch);
    return status;
}

static void fill(const moments *m, soma_scaling kind, float *shift, float *scale)
{
    double low = INFINITY, high = -INFINITY;
    for (int64_t f = 0; f < m->features; f++) {
        low = fmin(low, m->low[f]);
        high = fmax(high, m->high[f]);
    }
    if (kind == SOMA_SCALE_UNIT) {
        shift[0] = (float)low;
        scale[0] = (float)(high > low ? 1 / (high - low) : 1);
        return;
    }
    for (int64_t f = 0; f < m->features; f++) {
        bool standard = kind == SOMA_SCALE_STANDARD;
        double width = standard ? sqrt(m->squares[f]) : m->high[f] - m->low[f];
        shift[f] = (float)(standard ? m->sum[f] : m->low[f]);
        /* A constant feature tells nothing: it becomes 0, not NaN. */
        scale[f] = (float)(width > 1e-12 ? 1 / width : 1);
    }
}

/* Numbers of categories are names, for an embedding to look up: they stay as they are. */
static void keep_categories(const soma_dataset *dataset, int64_t features, float *shift,
                            float *scale)
{
    const soma__encoding *e = soma__dataset_encoding(dataset);
    int64_t f = 0;
    if (!e || soma__encoding_features(e) != features)
        return;
    for (int i = 0; i < e->count; i++) {
        const soma__encoded_column *column = &e->column[i];
        if (column->values && column->index) {
            shift[f] = 0;
            scale[f] = 1;
        }
        f += (column->values && !column->index ? column->value_count : 1) + column->indicator;
    }
}

soma_status soma_scaling_fit(soma_tensor **shift, soma_tensor **scale, const soma_dataset *dataset,
                             soma_scaling kind, soma_error *err)
{
    *shift = *scale = NULL;
    const soma_shape *shape = &dataset->x_shape;
    bool by_feature = kind == SOMA_SCALE_STANDARD || kind == SOMA_SCALE_MINMAX;
    int64_t features = by_feature && shape->ndim ? shape->dim[shape->ndim - 1] : 1;
    SOMA__TRY(soma_tensor_create(shift, SOMA_F32, SOMA_SHAPE(features), err));
    soma_status status = soma_tensor_create(scale, SOMA_F32, SOMA_SHAPE(features), err);
    if (status == SOMA_OK && kind == SOMA_SCALE_NONE) {
        soma_tensor_fill(*scale, 1);
    } else if (status == SOMA_OK && kind == SOMA_SCALE_UNIT && dataset->x_dtype == SOMA_U8) {
        soma_tensor_fill(*scale, 1.0 / 255);
    } else if (status == SOMA_OK) {
        size_t n = (size_t)features;
        double *work = soma__calloc(n, 4 * sizeof *work);
        if (!work)
            status = soma__fail(err, SOMA_MEMORY, "no memory to fit the scaling");
        if (status == SOMA_OK) {
            moments m = {work, work + n, work + 2 * n, work + 3 * n, features, 0};
            status = scan(&m, dataset, err);
            if (status == SOMA_OK)
                fill(&m, kind, soma_tensor_f32(*shift), soma_tensor_f32(*scale));
            if (status == SOMA_OK && by_feature)
                keep_categories(dataset, features, soma_tensor_f32(*shift),
                                soma_tensor_f32(*scale));
        }
        soma__free(work);
    }
    if (status != SOMA_OK) {
        soma_tensor_release(*shift);
        soma_tensor_release(*scale);
        *shift = *scale = NULL;
    }
    return status;
}

soma_status soma__target_scaling_fit(soma_tensor **shift, soma_tensor **scale,
                                     const soma_dataset *dataset, bool minmax, soma_error *err)
{
    *shift = *scale = NULL;
    /* The same pass as for inputs, over the targets alone. */
    int64_t width = (int64_t)(dataset->y_bytes / soma_dtype_size(dataset->y_dtype));
    soma_tensor *y;
    if (!soma_dtype_is_float(dataset->y_dtype))
        return soma__fail(err, SOMA_INVALID, "target_scale is for regressions: these are labels");
    SOMA__TRY(soma_tensor_create(&y, dataset->y_dtype, SOMA_SHAPE(dataset->count, width), err));
    void *x = soma__malloc(dataset->x_bytes);
    soma_status status =
        x ? SOMA_OK : soma__fail(err, SOMA_MEMORY, "no memory to fit the scaling of targets");
    for (int64_t i = 0; i < dataset->count && status == SOMA_OK; i++)
        status = soma_dataset_read(dataset, &i, 1, x,
                                   (char *)y->data + (size_t)i * dataset->y_bytes, err);
    soma_dataset *targets = NULL;
    if (status == SOMA_OK)
        status = soma_dataset_from_tensors(&targets, y, y, err);
    if (status == SOMA_OK)
        status = soma_scaling_fit(shift, scale, targets,
                                  minmax ? SOMA_SCALE_MINMAX : SOMA_SCALE_STANDARD, err);
    soma_dataset_release(targets);
    soma_tensor_release(y);
    soma__free(x);
    return status;
}
