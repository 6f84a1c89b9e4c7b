/* shape.c: layers that only change the shape of a sample. */
#include <math.h>
#include <stddef.h>

#include "nn/layer.h"

typedef struct flatten_options {
    const char *name;
} flatten_options;

static const soma__field flatten_fields[] = {SOMA__FIELD_NAME(flatten_options)};

static soma_var build_flatten(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    soma_shape shape = soma_var_shape(x);
    (void)b, (void)layer;
    /* Scalars become vectors of one, flat samples stay as they are. */
    if (shape.ndim < 2)
        return soma_reshape(x, SOMA_SHAPE(shape.dim[0], 1));
    return shape.ndim == 2 ? x : soma_flatten(x, 1);
}

const soma__layer_type soma__layer_flatten = {
    .name = "flatten",
    .prefix = "flatten",
    .doc = "each sample to one vector",
    .shapes = "[B,…] -> [B,product]",
    .parameters = "",
    .size = sizeof(flatten_options),
    .fields = flatten_fields,
    .field_count = SOMA__FIELD_COUNT(flatten_fields),
    .transparent = true,
    .build = build_flatten,
};

soma_layer *soma_layer_flatten(void)
{
    return soma__layer_new(&soma__layer_flatten, &(flatten_options){0}, NULL, 0);
}

/* --- reshape ------------------------------------------------------------------------------------
 */

typedef struct reshape_options {
    const soma__value *shape; /* only while a recipe is read */
    soma_shape sample;
    const char *name;
} reshape_options;

static const soma__field reshape_fields[] = {
    {.key = "shape",
     .kind = SOMA__FIELD_VALUE,
     .offset = offsetof(reshape_options, shape),
     .required = true,
     .doc = "of one sample, such as [28, 28, 1]; a -1 means what is left"},
    SOMA__FIELD_NAME(reshape_options),
};

/* A list of whole numbers, one for each dim of a sample at most. */
static soma_status read_list(soma_shape *out, const char *key, const soma__value *list,
                             const soma__tree *tree, const char *where, soma_error *err)
{
    *out = SOMA_SCALAR;
    if (list->kind != SOMA__LIST || list->count >= SOMA_MAX_DIMS)
        return soma__value_fail(tree, list, err,
                                "%s.%s: expected a list of at most %d whole numbers, got %s", where,
                                key, SOMA_MAX_DIMS - 1, soma__value_kind_text(list->kind));
    for (const soma__value *item = list->first; item; item = item->next) {
        if (item->kind != SOMA__INT)
            return soma__value_fail(tree, item, err, "%s.%s: expected a whole number, got %s",
                                    where, key, soma__value_kind_text(item->kind));
        out->dim[out->ndim++] = item->integer;
    }
    return SOMA_OK;
}

static soma__value *write_list(const soma_shape *numbers, soma__tree *tree)
{
    soma__value *list = soma__value_new(tree, SOMA__LIST);
    for (int i = 0; list && i < numbers->ndim; i++) {
        soma__value *item = soma__value_int(tree, numbers->dim[i]);
        if (!item)
            return NULL;
        soma__value_append(list, item);
    }
    return list;
}

static soma_status read_reshape(soma_layer *layer, const soma__tree *tree, const soma__value *value,
                                const char *where, soma_error *err)
{
    reshape_options *o = (reshape_options *)layer->options;
    const soma__value *list = o->shape;
    (void)value;
    o->shape = NULL;
    return read_list(&o->sample, "shape", list, tree, where, err);
}

static soma__value *write_reshape(const soma_layer *layer, const soma__field *field,
                                  soma__tree *tree)
{
    const reshape_options *o = (const reshape_options *)layer->options;
    (void)field;
    return write_list(&o->sample, tree);
}

static soma_var build_reshape(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const reshape_options *o = (const reshape_options *)layer->options;
    soma_shape from = soma_var_shape(x), to = {.ndim = o->sample.ndim + 1};

    if (o->sample.ndim < 0 || to.ndim > SOMA_MAX_DIMS)
        return soma__layer_fail(b, layer, SOMA_SHAPE, "a sample has 0 to %d dimensions, not %d",
                                SOMA_MAX_DIMS - 1, o->sample.ndim);
    to.dim[0] = from.dim[0];
    for (int i = 0; i < o->sample.ndim; i++)
        to.dim[i + 1] = o->sample.dim[i];
    return soma_reshape(x, to);
}

const soma__layer_type soma__layer_reshape = {
    .name = "reshape",
    .prefix = "reshape",
    .doc = "each sample to another shape of the same size",
    .shapes = "[B,…] -> [B,shape…]",
    .parameters = "",
    .size = sizeof(reshape_options),
    .fields = reshape_fields,
    .field_count = SOMA__FIELD_COUNT(reshape_fields),
    .primary = "shape",
    .transparent = true,
    .build = build_reshape,
    .read = read_reshape,
    .write = write_reshape,
};

soma_layer *soma_layer_reshape(soma_shape sample)
{
    return soma__layer_new(&soma__layer_reshape, &(reshape_options){.sample = sample}, NULL, 0);
}

/* --- slice --------------------------------------------------------------------------------------
 */

typedef struct slice_options {
    int64_t axis, start, end;
    const char *name;
} slice_options;

#define WHOLE(member_, doc_)                                                                       \
    {                                                                                              \
        .key = #member_, .kind = SOMA__FIELD_INT, .offset = offsetof(slice_options, member_),      \
        .min = -INFINITY, .max = INFINITY, .doc = doc_                                             \
    }

static const soma__field slice_fields[] = {
    WHOLE(axis, "of a sample, 0 the first; negative: from the last [0]"),
    WHOLE(start, "first cell; negative: from the end [0]"),
    WHOLE(end, "the cell after the last; negative: from the end; 0: to the end [0]"),
    SOMA__FIELD_NAME(slice_options),
};

static soma_var build_slice(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const slice_options *o = (const slice_options *)layer->options;
    soma_shape shape = soma_var_shape(x);
    int64_t dims = shape.ndim - 1, axis = o->axis < 0 ? o->axis + dims : o->axis;
    char text[SOMA_SHAPE_TEXT_SIZE];

    if (axis < 0 || axis >= dims)
        return soma__layer_fail(b, layer, SOMA_SHAPE, "a sample of %s has no axis %lld",
                                soma_shape_text(&shape, text, sizeof text), (long long)o->axis);
    int64_t size = shape.dim[axis + 1], end = o->end ? o->end : size;
    int64_t from = o->start < 0 ? o->start + size : o->start, to = end < 0 ? end + size : end;
    if (from < 0 || to > size || from >= to)
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "cells %lld to %lld are not within the axis of %lld",
                                (long long)o->start, (long long)o->end, (long long)size);
    return soma_slice(x, axis + 1, from, to);
}

const soma__layer_type soma__layer_slice = {
    .name = "slice",
    .prefix = "slice",
    .doc = "part of each sample along one axis: how one input feeds several branches",
    .shapes = "[B…,D,…] -> [B…,end-start,…]",
    .parameters = "",
    .size = sizeof(slice_options),
    .fields = slice_fields,
    .field_count = SOMA__FIELD_COUNT(slice_fields),
    .transparent = true,
    .build = build_slice,
};

soma_layer *soma_layer_slice(int64_t axis, int64_t start, int64_t end)
{
    return soma__layer_new(&soma__layer_slice,
                           &(slice_options){.axis = axis, .start = start, .end = end}, NULL, 0);
}

/* --- permute ------------------------------------------------------------------------------------
 */

typedef struct permute_options {
    const soma__value *axes; /* only while a recipe is read */
    soma_shape order;        /* the axes in the place of sizes */
    const char *name;
} permute_options;

static const soma__field permute_fields[] = {
    {.key = "axes",
     .kind = SOMA__FIELD_VALUE,
     .offset = offsetof(permute_options, axes),
     .required = true,
     .doc = "of one sample in their new order, such as [2, 0, 1] for channels first"},
    SOMA__FIELD_NAME(permute_options),
};

static soma_status read_permute(soma_layer *layer, const soma__tree *tree, const soma__value *value,
                                const char *where, soma_error *err)
{
    permute_options *o = (permute_options *)layer->options;
    const soma__value *list = o->axes;
    (void)value;
    o->axes = NULL;
    return read_list(&o->order, "axes", list, tree, where, err);
}

static soma__value *write_permute(const soma_layer *layer, const soma__field *field,
                                  soma__tree *tree)
{
    const permute_options *o = (const permute_options *)layer->options;
    (void)field;
    return write_list(&o->order, tree);
}

/* Negative axes count from the sample's end. */
static soma_var build_permute(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const permute_options *o = (const permute_options *)layer->options;
    const int ndim = soma_var_shape(x).ndim - 1;
    int64_t axes[SOMA_MAX_DIMS] = {0};

    if (o->order.ndim != ndim)
        return soma__layer_fail(b, layer, SOMA_SHAPE, "has %d axes, a sample has %d dimensions",
                                o->order.ndim, ndim);
    for (int i = 0; i < ndim; i++) {
        const int64_t axis = o->order.dim[i];
        if (axis < -ndim || axis >= ndim)
            return soma__layer_fail(b, layer, SOMA_SHAPE,
                                    "axis %lld is outside of the %d dimensions of a sample",
                                    (long long)axis, ndim);
        axes[i + 1] = axis < 0 ? axis + ndim + 1 : axis + 1;
    }
    return soma_permute(x, axes, ndim + 1);
}

const soma__layer_type soma__layer_permute = {
    .name = "permute",
    .prefix = "permute",
    .doc = "the axes of each sample in another order",
    .shapes = "[B,d0,d1,…] -> [B,d(axes[0]),d(axes[1]),…]",
    .parameters = "",
    .size = sizeof(permute_options),
    .fields = permute_fields,
    .field_count = SOMA__FIELD_COUNT(permute_fields),
    .primary = "axes",
    .transparent = true,
    .build = build_permute,
    .read = read_permute,
    .write = write_permute,
};

soma_layer *soma_layer_permute(const int64_t *axes, int count)
{
    permute_options o = {.order = {.ndim = count}};
    for (int i = 0; i < count && i < SOMA_MAX_DIMS; i++)
        o.order.dim[i] = axes[i];
    return soma__layer_new(&soma__layer_permute, &o, NULL, 0);
}
