/* dataset.c: data sets in memory, from a callback, and parts of others. */
#include "data/dataset.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "data/table.h"
#include "data/text.h"
#include "data/transform.h"

/* --- life ---------------------------------------------------------------------------------------
 */

static void free_classes(soma_dataset *dataset)
{
    if (dataset->class_names)
        for (int i = 0; i < dataset->class_count; i++)
            soma__free(dataset->class_names[i]);
    soma__free(dataset->class_names);
    dataset->class_names = NULL;
}

soma_dataset *soma_dataset_retain(soma_dataset *dataset)
{
    if (dataset)
        atomic_fetch_add_explicit(&dataset->references, 1, memory_order_relaxed);
    return dataset;
}

void soma_dataset_release(soma_dataset *dataset)
{
    if (!dataset || atomic_fetch_sub_explicit(&dataset->references, 1, memory_order_acq_rel) != 1)
        return;
    free_classes(dataset);
    soma_tensor_release(dataset->x);
    soma_tensor_release(dataset->y);
    if (dataset->source.read && dataset->source.destroy)
        dataset->source.destroy(dataset->source.user);
    soma_dataset_release(dataset->parent);
    soma__pipeline_destroy(dataset->pipeline);
    soma__table_release(dataset->table);
    soma__encoding_release(dataset->encoding);
    soma__texts_release(dataset->texts);
    soma__text_encoding_release(dataset->text_encoding);
    soma__free(dataset->index);
    soma__free(dataset);
}

/* An empty data set with one reference and its sample sizes computed. */
static soma_status create(soma_dataset **out, int64_t count, soma_dtype x_dtype,
                          const soma_shape *x_shape, soma_dtype y_dtype, const soma_shape *y_shape,
                          soma_error *err)
{
    *out = NULL;
    if (count < 1)
        return soma__fail(err, SOMA_INVALID, "the data set is empty");
    if (x_shape->ndim >= SOMA_MAX_DIMS || y_shape->ndim >= SOMA_MAX_DIMS)
        return soma__fail(err, SOMA_INVALID,
                          "a sample has at most %d dimensions: the batch is one more",
                          SOMA_MAX_DIMS - 1);
    soma_dataset *dataset = soma__calloc(1, sizeof *dataset);
    if (!dataset)
        return soma__fail(err, SOMA_MEMORY, "no memory for a data set");
    atomic_init(&dataset->references, 1);
    dataset->count = count;
    dataset->x_dtype = x_dtype;
    dataset->y_dtype = y_dtype;
    dataset->x_shape = *x_shape;
    dataset->y_shape = *y_shape;
    dataset->labels = y_dtype == SOMA_I64 && y_shape->ndim == 0;
    if (!soma_dtype_size(x_dtype) || !soma_dtype_size(y_dtype) ||
        !soma__shape_bytes(x_shape, x_dtype, &dataset->x_bytes) ||
        !soma__shape_bytes(y_shape, y_dtype, &dataset->y_bytes)) {
        soma__free(dataset);
        return soma__fail(err, SOMA_INVALID, "the data set has a bad dtype or sample shape");
    }
    *out = dataset;
    return SOMA_OK;
}

/* The shape without its first dimension. */
static soma_shape sample_shape(const soma_shape *shape)
{
    soma_shape sample = {.ndim = shape->ndim - 1};
    memcpy(sample.dim, shape->dim + 1, (size_t)sample.ndim * sizeof sample.dim[0]);
    return sample;
}

/* --- tensors in memory --------------------------------------------------------------------------
 */

static soma_status check_finite(const soma_tensor *tensor, int64_t samples, const char *what,
                                soma_error *err)
{
    if (!soma_dtype_is_float(tensor->dtype))
        return SOMA_OK;
    for (int64_t i = 0; i < tensor->count; i++) {
        double value = soma__load(tensor->dtype, tensor->data, i);
        if (!isfinite(value)) {
            int64_t each = tensor->count / samples;
            return soma__fail(err, SOMA_NUMERIC,
                              "sample %lld, %s %lld is %s: fill or remove such samples first",
                              (long long)(i / each), what, (long long)(i % each),
                              isnan(value) ? "NaN (a missing value?)" : "infinite");
        }
    }
    return SOMA_OK;
}

static soma_status check_labels(soma_dataset *dataset, soma_error *err)
{
    if (!dataset->labels)
        return SOMA_OK;
    const int64_t *label = dataset->y->data;
    int64_t largest = 0;
    for (int64_t i = 0; i < dataset->count; i++) {
        if (label[i] < 0 || label[i] >= INT32_MAX)
            return soma__fail(err, SOMA_INVALID,
                              "sample %lld: label %lld is not a class number (0, 1, 2, …)",
                              (long long)i, (long long)label[i]);
        largest = label[i] > largest ? label[i] : largest;
    }
    dataset->class_count = (int)largest + 1;
    return SOMA_OK;
}

soma_status soma_dataset_from_tensors(soma_dataset **out, soma_tensor *x, soma_tensor *y,
                                      soma_error *err)
{
    *out = NULL;
    if (!x || !y)
        return soma__fail(err, SOMA_INVALID, "a data set needs two tensors, x and y");
    if (x->shape.ndim < 1 || y->shape.ndim < 1 || x->shape.dim[0] != y->shape.dim[0]) {
        char a[SOMA_SHAPE_TEXT_SIZE], b[SOMA_SHAPE_TEXT_SIZE];
        return soma__fail(
            err, SOMA_SHAPE, "x %s and y %s must have the same number of samples in front",
            soma_shape_text(&x->shape, a, sizeof a), soma_shape_text(&y->shape, b, sizeof b));
    }
    soma_shape x_shape = sample_shape(&x->shape), y_shape = sample_shape(&y->shape);
    soma_dataset *dataset;
    SOMA__TRY(create(&dataset, x->shape.dim[0], x->dtype, &x_shape, y->dtype, &y_shape, err));
    dataset->x = soma_tensor_retain(x);
    dataset->y = soma_tensor_retain(y);
    soma_status status = check_finite(x, dataset->count, "value", err);
    if (status == SOMA_OK)
        status = check_finite(y, dataset->count, "target", err);
    if (status == SOMA_OK)
        status = check_labels(dataset, err);
    if (status != SOMA_OK) {
        soma_dataset_release(dataset);
        return status;
    }
    *out = dataset;
    return SOMA_OK;
}

/* --- the user's function ------------------------------------------------------------------------
 */

soma_status soma_dataset_from_callback(soma_dataset **out, const soma_dataset_source *source,
                                       soma_error *err)
{
    *out = NULL;
    if (!source || !source->read)
        return soma__fail(err, SOMA_INVALID, "a data set from a callback needs its read function");
    soma_dataset *dataset;
    SOMA__TRY(create(&dataset, source->count, source->x_dtype, &source->x_shape, source->y_dtype,
                     &source->y_shape, err));
    dataset->source = *source;
    *out = dataset;
    return SOMA_OK;
}

soma_status soma__dataset_from_source(soma_dataset **out, const soma_dataset_source *source,
                                      soma_tensor *y,
                                      const char *(*sample_name)(const void *user, int64_t i),
                                      soma_error *err)
{
    soma_status status = soma_dataset_from_callback(out, source, err);
    if (status != SOMA_OK) {
        if (source->destroy)
            source->destroy(source->user);
        return status;
    }
    (*out)->y = soma_tensor_retain(y);
    (*out)->sample_name = sample_name;
    status = check_labels(*out, err);
    if (status != SOMA_OK) {
        soma_dataset_release(*out);
        *out = NULL;
    }
    return status;
}

const char *soma__dataset_sample(const soma_dataset *dataset, int64_t i, char *buffer, size_t size)
{
    for (; dataset->parent; dataset = dataset->parent)
        i = dataset->index ? dataset->index[i] : i;
    if (dataset->sample_name)
        return dataset->sample_name(dataset->source.user, i);
    snprintf(buffer, size, "sample %lld", (long long)i);
    return buffer;
}

/* --- what it is ---------------------------------------------------------------------------------
 */

int64_t soma_dataset_count(const soma_dataset *dataset)
{
    return dataset ? dataset->count : 0;
}
soma_dtype soma_dataset_x_dtype(const soma_dataset *dataset)
{
    return dataset->x_dtype;
}
const soma_shape *soma_dataset_x_shape(const soma_dataset *dataset)
{
    return &dataset->x_shape;
}
soma_dtype soma_dataset_y_dtype(const soma_dataset *dataset)
{
    return dataset->y_dtype;
}
const soma_shape *soma_dataset_y_shape(const soma_dataset *dataset)
{
    return &dataset->y_shape;
}

const soma_dataset *soma__dataset_whole(const soma_dataset *dataset)
{
    while (dataset && dataset->parent)
        dataset = dataset->parent;
    return dataset;
}

int64_t soma__dataset_in_whole(const soma_dataset *dataset, int64_t i)
{
    for (; dataset->parent; dataset = dataset->parent)
        i = dataset->index ? dataset->index[i] : i;
    return i;
}

soma_status soma__dataset_move(soma_dataset **part, soma_dataset *whole, soma_error *err)
{
    soma_dataset *old = *part, *moved;
    if (!old)
        return SOMA_OK;
    int64_t *index = soma__calloc((size_t)old->count, sizeof *index);
    if (!index)
        return soma__fail(err, SOMA_MEMORY, "no memory for a part of %lld samples",
                          (long long)old->count);
    for (int64_t i = 0; i < old->count; i++)
        index[i] = soma__dataset_in_whole(old, i);
    soma_status status = soma_dataset_subset(&moved, whole, index, old->count, err);
    soma__free(index);
    if (status == SOMA_OK) {
        soma_dataset_release(old);
        *part = moved;
    }
    return status;
}

/* Parts know the classes of the whole, so that a part without some class has the same numbering. */
int soma_dataset_class_count(const soma_dataset *dataset)
{
    return dataset ? soma__dataset_whole(dataset)->class_count : 0;
}

const char *soma_dataset_class(const soma_dataset *dataset, int index)
{
    const soma_dataset *all = soma__dataset_whole(dataset);
    return all->class_names && index >= 0 && index < all->class_count ? all->class_names[index]
                                                                      : NULL;
}

soma_status soma__dataset_set_classes(soma_dataset *dataset, const char *const *names, int count,
                                      soma_error *err)
{
    if (count < dataset->class_count)
        return soma__fail(err, SOMA_INVALID, "%d class names, but labels up to %d", count,
                          dataset->class_count - 1);
    char **copy = soma__calloc((size_t)count, sizeof *copy);
    bool complete = copy != NULL;
    for (int i = 0; complete && i < count; i++) {
        copy[i] = soma__strdup(names[i]);
        complete = copy[i] != NULL;
    }
    if (!complete) {
        for (int i = 0; copy && i < count; i++)
            soma__free(copy[i]);
        soma__free(copy);
        return soma__fail(err, SOMA_MEMORY, "no memory for class names");
    }
    free_classes(dataset);
    dataset->class_names = copy;
    dataset->class_count = count;
    return SOMA_OK;
}

size_t soma__dataset_memory(const soma_dataset *dataset)
{
    const soma_dataset *all = dataset ? soma__dataset_whole(dataset) : NULL;
    return all && all->x ? all->x->bytes + all->y->bytes : 0;
}

int64_t soma__dataset_label(const soma_dataset *dataset, int64_t i)
{
    for (; dataset->parent; dataset = dataset->parent)
        i = dataset->index ? dataset->index[i] : i;
    return dataset->labels && dataset->y ? ((const int64_t *)dataset->y->data)[i] : -1;
}

/* --- reading ------------------------------------------------------------------------------------
 */

/* The data set that the samples of choices come from, and the number there of sample *i. */
static const soma_dataset *origin(const soma_dataset *dataset, int64_t *i)
{
    for (; dataset->parent && !dataset->pipeline; dataset = dataset->parent)
        *i = dataset->index[*i];
    return dataset;
}

static soma_status read_raw(const soma_dataset *dataset, int64_t i, int64_t asked, void *x, void *y,
                            soma_error *err)
{
    if (dataset->x) {
        memcpy(x, (const char *)dataset->x->data + (size_t)i * dataset->x_bytes, dataset->x_bytes);
        memcpy(y, (const char *)dataset->y->data + (size_t)i * dataset->y_bytes, dataset->y_bytes);
        return SOMA_OK;
    }
    soma_error inner = {0};
    soma_status status = dataset->source.read(dataset->source.user, i, x, y, &inner);
    if (status != SOMA_OK)
        return soma__fail(err, status, "sample %lld: %s", (long long)asked,
                          inner.message[0] ? inner.message : soma_status_text(status));
    return SOMA_OK;
}

/* Sample i of the transformed data set `to`. */
static soma_status read_transformed(const soma_dataset *to, int64_t epoch, int64_t i, int64_t asked,
                                    void *scratch, void *x, void *y, soma_error *err)
{
    int64_t k = i;
    const soma_dataset *from = origin(to->parent, &k);
    /* Samples in memory are read where they are. */
    if (from->x) {
        soma__pipeline_run(to->pipeline, epoch, i,
                           (const char *)from->x->data + (size_t)k * from->x_bytes,
                           (const char *)from->y->data + (size_t)k * from->y_bytes, scratch, x, y);
        return SOMA_OK;
    }
    void *raw_x = soma__pipeline_input(to->pipeline, scratch);
    void *raw_y = soma__pipeline_input_y(to->pipeline, scratch);
    SOMA__TRY(read_raw(from, k, asked, raw_x, raw_y, err));
    soma__pipeline_run(to->pipeline, epoch, i, raw_x, raw_y, scratch, x, y);
    return SOMA_OK;
}

typedef struct batch {
    const soma_dataset *dataset;
    const int64_t *indexes;
} batch;

static int64_t sample_of(const void *user, int64_t i)
{
    const batch *b = user;
    int64_t k = b->indexes[i];
    (void)origin(b->dataset, &k);
    return k;
}

soma_status soma__dataset_read_epoch(const soma_dataset *dataset, int64_t epoch,
                                     const int64_t *indexes, int64_t count, void *scratch, void *x,
                                     void *y, soma_error *err)
{
    const soma_dataset *from = dataset;
    for (int64_t i = 0; i < count; i++) {
        int64_t k = indexes[i];
        if (k < 0 || k >= dataset->count)
            return soma__fail(err, SOMA_INVALID, "there is no sample %lld in %lld", (long long)k,
                              (long long)dataset->count);
        char *x_i = (char *)x + (size_t)i * dataset->x_bytes;
        char *y_i = (char *)y + (size_t)i * dataset->y_bytes;
        from = origin(dataset, &k);
        if (from->pipeline)
            SOMA__TRY(read_transformed(from, epoch, k, indexes[i], scratch, x_i, y_i, err));
        else
            SOMA__TRY(read_raw(from, k, indexes[i], x_i, y_i, err));
    }
    if (from->pipeline && soma__pipeline_mixes(from->pipeline, epoch)) {
        batch b = {dataset, indexes};
        soma__pipeline_mix(from->pipeline, epoch, count, scratch, x, y, sample_of, &b);
    }
    return SOMA_OK;
}

size_t soma__dataset_scratch(const soma_dataset *dataset)
{
    for (; dataset && !dataset->pipeline; dataset = dataset->parent)
        ;
    return dataset ? soma__pipeline_scratch(dataset->pipeline) : 0;
}

soma_status soma_dataset_read(const soma_dataset *dataset, const int64_t *indexes, int64_t count,
                              void *x, void *y, soma_error *err)
{
    size_t size = soma__dataset_scratch(dataset);
    void *scratch = size ? soma__aligned(size) : NULL;
    if (size && !scratch)
        return soma__fail(err, SOMA_MEMORY, "no memory to transform samples");
    soma_status status = soma__dataset_read_epoch(dataset, 0, indexes, count, scratch, x, y, err);
    soma__free(scratch);
    return status;
}

/* --- transformed --------------------------------------------------------------------------------
 */

soma_status soma_dataset_transform(soma_dataset **out, soma_dataset *dataset,
                                   const soma_transform *list, int count, bool training,
                                   uint64_t seed, soma_error *err)
{
    *out = NULL;
    if (!dataset)
        return soma__fail(err, SOMA_INVALID, "there is no data set to transform");
    if (soma__dataset_scratch(dataset))
        return soma__fail(err, SOMA_STATE,
                          "the data set is transformed already: give all transforms in one list");
    soma__form form = {.x_dtype = dataset->x_dtype,
                       .y_dtype = dataset->y_dtype,
                       .x_shape = dataset->x_shape,
                       .y_shape = dataset->y_shape,
                       .labels = dataset->labels,
                       .classes = soma_dataset_class_count(dataset)};
    soma__pipeline *pipeline;
    SOMA__TRY(soma__pipeline_create(&pipeline, list, count, training, seed, &form, err));
    soma_dataset *result;
    soma_status status = create(&result, dataset->count, form.x_dtype, &form.x_shape, form.y_dtype,
                                &form.y_shape, err);
    if (status != SOMA_OK) {
        soma__pipeline_destroy(pipeline);
        return status;
    }
    result->pipeline = pipeline;
    result->parent = soma_dataset_retain(dataset);
    *out = result;
    return SOMA_OK;
}

/* --- parts --------------------------------------------------------------------------------------
 */

soma_status soma_dataset_subset(soma_dataset **out, soma_dataset *dataset, const int64_t *indexes,
                                int64_t count, soma_error *err)
{
    *out = NULL;
    for (int64_t i = 0; i < count; i++)
        if (indexes[i] < 0 || indexes[i] >= dataset->count)
            return soma__fail(err, SOMA_INVALID, "there is no sample %lld in %lld",
                              (long long)indexes[i], (long long)dataset->count);
    soma_dataset *part;
    SOMA__TRY(create(&part, count, dataset->x_dtype, &dataset->x_shape, dataset->y_dtype,
                     &dataset->y_shape, err));
    part->index = soma__malloc((size_t)count * sizeof *part->index);
    if (!part->index) {
        soma_dataset_release(part);
        return soma__fail(err, SOMA_MEMORY, "no memory for a part of %lld samples",
                          (long long)count);
    }
    memcpy(part->index, indexes, (size_t)count * sizeof *indexes);
    part->parent = soma_dataset_retain(dataset);
    *out = part;
    return SOMA_OK;
}

/* Marks `wanted` samples of a random order, each class by its share when labels are known: class k
 * gives floor(wanted·(n_0+…+n_k)/n) samples up to and including itself, so the total is exact. */
static void choose(const soma_dataset *dataset, const int64_t *order, int64_t wanted, bool *chosen)
{
    int classes = soma_dataset_class_count(dataset);
    if (soma__dataset_label(dataset, 0) < 0 || classes < 1)
        classes = 1;
    int64_t before = 0, given = 0;
    for (int k = 0; k < classes; k++) {
        int64_t members = 0;
        for (int64_t i = 0; i < dataset->count; i++)
            members += classes == 1 || soma__dataset_label(dataset, i) == k;
        before += members;
        int64_t until =
            (int64_t)floor((double)wanted * (double)before / (double)dataset->count + 1e-9);
        for (int64_t i = 0; i < dataset->count && given < until; i++)
            if ((classes == 1 || soma__dataset_label(dataset, order[i]) == k) &&
                !chosen[order[i]]) {
                chosen[order[i]] = true;
                given++;
            }
    }
}

/* *part: the samples that are chosen, *rest: the others, both in their order. */
static soma_status divide(soma_dataset **rest, soma_dataset **part, soma_dataset *dataset,
                          const bool *chosen, soma_error *err)
{
    int64_t *index = soma__calloc((size_t)dataset->count, sizeof *index);
    soma_status status = SOMA_OK;
    if (!index)
        status = soma__fail(err, SOMA_MEMORY, "no memory to split %lld samples",
                            (long long)dataset->count);
    for (int side = 0; side < 2 && status == SOMA_OK; side++) {
        int64_t count = 0;
        for (int64_t i = 0; i < dataset->count; i++)
            if (chosen[i] == (side == 1))
                index[count++] = i;
        status = soma_dataset_subset(side ? part : rest, dataset, index, count, err);
    }
    if (status != SOMA_OK) {
        soma_dataset_release(*rest);
        *rest = NULL;
    }
    soma__free(index);
    return status;
}

soma_status soma_dataset_split(soma_dataset **rest, soma_dataset **part, soma_dataset *dataset,
                               double fraction, uint64_t seed, soma_error *err)
{
    *rest = *part = NULL;
    int64_t n = dataset->count;
    double exact = fraction >= 1 ? fraction : round(fraction * (double)n);
    if (!(fraction > 0) || !(exact >= 1) || !(exact < (double)n))
        return soma__fail(err, SOMA_INVALID,
                          "cannot split %g off %lld samples: both parts need at least one",
                          fraction, (long long)n);
    int64_t *order = soma__calloc((size_t)n, sizeof *order);
    bool *chosen = soma__calloc((size_t)n, sizeof *chosen);
    soma_status status = SOMA_OK;
    if (!order || !chosen)
        status = soma__fail(err, SOMA_MEMORY, "no memory to split %lld samples", (long long)n);
    if (status == SOMA_OK) {
        soma__rng_key key = {.seed = seed, .stream = soma__rng_stream("split")};
        soma__rng_permutation(&key, n, order);
        choose(dataset, order, (int64_t)exact, chosen);
        status = divide(rest, part, dataset, chosen, err);
    }
    soma__free(order);
    soma__free(chosen);
    return status;
}

/* Deals the samples of a random order out to the folds, class after class without starting over, so
 * that neither the folds nor a class's share in them differ by more than one. */
static void deal(const soma_dataset *dataset, const int64_t *order, int64_t *next, int classes,
                 int folds, int fold, bool *chosen)
{
    bool labels = soma__dataset_label(dataset, 0) >= 0;
    /* next[k + 1]: first the size of class k, then where class k starts. */
    for (int64_t i = 0; i < dataset->count; i++)
        next[labels ? soma__dataset_label(dataset, i) + 1 : 1]++;
    for (int k = 0; k < classes; k++)
        next[k + 1] += next[k];
    for (int64_t i = 0; i < dataset->count; i++) {
        int64_t *at = &next[labels ? soma__dataset_label(dataset, order[i]) : 0];
        chosen[order[i]] = (*at)++ % folds == fold;
    }
}

soma_status soma_dataset_fold(soma_dataset **rest, soma_dataset **part, soma_dataset *dataset,
                              int folds, int fold, uint64_t seed, soma_error *err)
{
    *rest = *part = NULL;
    int64_t n = dataset->count;
    if (folds < 2 || folds > n || fold < 0 || fold >= folds)
        return soma__fail(err, SOMA_INVALID,
                          "fold %d of %d folds of %lld samples: there can be 2 to %lld", fold,
                          folds, (long long)n, (long long)n);
    int classes = soma_dataset_class_count(dataset);
    classes = classes > 0 && soma__dataset_label(dataset, 0) >= 0 ? classes : 1;
    int64_t *order = soma__calloc((size_t)n, sizeof *order);
    int64_t *next = soma__calloc((size_t)classes + 2, sizeof *next);
    bool *chosen = soma__calloc((size_t)n, sizeof *chosen);
    soma_status status = SOMA_OK;
    if (!order || !next || !chosen)
        status = soma__fail(err, SOMA_MEMORY, "no memory to split %lld samples", (long long)n);
    if (status == SOMA_OK) {
        soma__rng_key key = {.seed = seed, .stream = soma__rng_stream("folds")};
        soma__rng_permutation(&key, n, order);
        deal(dataset, order, next, classes, folds, fold, chosen);
        status = divide(rest, part, dataset, chosen, err);
    }
    soma__free(order);
    soma__free(next);
    soma__free(chosen);
    return status;
}

void soma_data_clear(soma_data *data)
{
    if (!data)
        return;
    soma_dataset_release(data->train);
    soma_dataset_release(data->validation);
    soma_dataset_release(data->test);
    *data = (soma_data){0};
}
