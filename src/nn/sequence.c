/* sequence.c: layers over sequences of unequal length: how long each is, one vector of all its
 * steps, and layers applied step by step. */
#include <float.h>
#include <stddef.h>

#include "nn/layer.h"
#include "soma/sequence.h"

/* --- lengths ------------------------------------------------------------------------------------
 */

typedef struct lengths_options {
    const char *name;
} lengths_options;

static const soma__field lengths_fields[] = {SOMA__FIELD_NAME(lengths_options)};

/* Steps are numbered from 1; the largest number of one that holds something is the length. */
static soma_var build_lengths(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    const soma_shape shape = soma_var_shape(x);
    if (shape.ndim < 2)
        return soma__layer_fail(b, layer, SOMA_SHAPE, "needs sequences [B,T…], got %s",
                                soma_shape_text(&shape, text, sizeof text));
    const int64_t steps = shape.dim[1];
    if (shape.ndim > 2)
        x = soma_max(soma_abs(soma_flatten(x, 2)), .axes = {2}, .count = 1);
    soma_var filled =
        soma_cast(soma_not_equal(x, soma_scalar(b->graph, soma_var_dtype(x), 0)), SOMA_F32);
    soma_var number = soma_arange(b->graph, SOMA_F32, 1, (double)steps + 1, 1);
    return soma_max(soma_mul(filled, number), .axes = {1}, .count = 1);
}

const soma__layer_type soma__layer_lengths = {
    .name = "lengths",
    .prefix = "lengths",
    .doc = "steps up to the last one that is not all zeros, as padding is",
    .shapes = "[B,T…] -> [B]",
    .parameters = "",
    .size = sizeof(lengths_options),
    .fields = lengths_fields,
    .field_count = SOMA__FIELD_COUNT(lengths_fields),
    .build = build_lengths,
};

soma_layer *soma_layer_lengths(void)
{
    return soma__layer_new(&soma__layer_lengths, &(lengths_options){0}, NULL, 0);
}

/* --- sequence_pool ------------------------------------------------------------------------------
 */

typedef struct pool_options {
    soma_sequence_pooling pooling;
    const char *name;
} pool_options;

static const char *const pooling_names[] = {"max", "mean", "sum", "last", NULL};

static const soma__field pool_fields[] = {
    {.key = "pooling",
     .kind = SOMA__FIELD_ENUM,
     .offset = offsetof(pool_options, pooling),
     .choices = pooling_names,
     .doc = "max, mean or sum over the steps that count, or the last of them [max]"},
    SOMA__FIELD_NAME(pool_options),
};

/* Of a sequence of no steps: zeros. */
static soma_var pool_masked(soma_sequence_pooling pooling, soma_var x, soma_var lengths)
{
    soma_graph *graph = x.graph;
    const soma_shape shape = soma_var_shape(x);
    const soma_dtype dtype = soma_var_dtype(x);
    const soma_shape steps = SOMA_SHAPE(shape.dim[0], shape.dim[1], 1);
    soma_var zero = soma_scalar(graph, dtype, 0), one = soma_scalar(graph, SOMA_I64, 1);
    soma_var mask = soma_reshape(soma_sequence_mask(lengths, shape.dim[1]), steps);
    if (pooling == SOMA_SEQUENCE_MAX) {
        soma_var some = soma_reshape(soma_greater(lengths, soma_scalar(graph, SOMA_I64, 0)),
                                     SOMA_SHAPE(shape.dim[0], 1));
        soma_var least = soma_scalar(graph, dtype, -(double)FLT_MAX);
        return soma_where(some, soma_max(soma_where(mask, x, least), .axes = {1}, .count = 1),
                          zero);
    }
    if (pooling == SOMA_SEQUENCE_LAST) {
        soma_var index = soma_arange(graph, SOMA_I64, 0, (double)shape.dim[1], 1);
        /* A length beyond T counts as T, as everywhere. */
        soma_var last = soma_minimum(soma_sub(lengths, one),
                                     soma_scalar(graph, SOMA_I64, (double)shape.dim[1] - 1));
        soma_var at = soma_equal(index, soma_reshape(last, SOMA_SHAPE(shape.dim[0], 1)));
        mask = soma_reshape(at, steps);
    }
    soma_var sum = soma_sum(soma_where(mask, x, zero), .axes = {1}, .count = 1);
    if (pooling != SOMA_SEQUENCE_MEAN)
        return sum;
    soma_var count = soma_sum(soma_cast(mask, dtype), .axes = {1}, .count = 1);
    return soma_div(sum, soma_maximum(count, soma_scalar(graph, dtype, 1)));
}

static soma_var merge_pool(soma__layer_build *b, const soma_layer *layer, const soma_var *x,
                           int count)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    const pool_options *o = (const pool_options *)layer->options;
    const soma_shape shape = soma_var_shape(x[0]);
    if (shape.ndim != 3 || shape.dim[1] < 1)
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "needs sequences [B,T,C] of a step or more, got %s",
                                soma_shape_text(&shape, text, sizeof text));
    if (count > 1) {
        const soma_shape lengths = soma_var_shape(x[1]);
        if (count > 2 || lengths.ndim != 1 || lengths.dim[0] != shape.dim[0])
            return soma__layer_fail(b, layer, SOMA_SHAPE, "takes [B,T,C] and lengths [%lld] alone",
                                    (long long)shape.dim[0]);
        return pool_masked(o->pooling, x[0], soma_cast(x[1], SOMA_I64));
    }
    switch (o->pooling) {
    case SOMA_SEQUENCE_MEAN:
        return soma_mean(x[0], .axes = {1}, .count = 1);
    case SOMA_SEQUENCE_SUM:
        return soma_sum(x[0], .axes = {1}, .count = 1);
    case SOMA_SEQUENCE_LAST:
        return soma_reshape(soma_slice(x[0], 1, shape.dim[1] - 1, shape.dim[1]),
                            SOMA_SHAPE(shape.dim[0], shape.dim[2]));
    case SOMA_SEQUENCE_MAX:
        break;
    }
    return soma_max(x[0], .axes = {1}, .count = 1);
}

static soma_var build_pool(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    return merge_pool(b, layer, &x, 1);
}

const soma__layer_type soma__layer_sequence_pool = {
    .name = "sequence_pool",
    .prefix = "pool",
    .doc = "one vector of all steps that count; zeros of none",
    .shapes = "[B,T,C] (and lengths [B]) -> [B,C]",
    .parameters = "",
    .size = sizeof(pool_options),
    .fields = pool_fields,
    .field_count = SOMA__FIELD_COUNT(pool_fields),
    .primary = "pooling",
    .transparent = true,
    .build = build_pool,
    .merge = merge_pool,
};

soma_layer *soma_layer_sequence_pool(soma_sequence_pooling pooling)
{
    if (pooling < SOMA_SEQUENCE_MAX || pooling > SOMA_SEQUENCE_LAST)
        pooling = SOMA_SEQUENCE_MAX;
    return soma__layer_new(&soma__layer_sequence_pool, &(pool_options){.pooling = pooling}, NULL,
                           0);
}

/* --- each_step ----------------------------------------------------------------------------------
 */

typedef struct each_options {
    const soma__value *body; /* only while a recipe is read */
    const char *name;
} each_options;

static const soma__field each_fields[] = {
    {.key = "body",
     .kind = SOMA__FIELD_VALUE,
     .offset = offsetof(each_options, body),
     .required = true,
     .doc = "layer or list of layers, for which the steps of all samples are samples"},
    SOMA__FIELD_NAME(each_options),
};

static soma_var build_each(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    const soma_shape shape = soma_var_shape(x);
    soma_shape inner = shape;
    if (!layer->children[0])
        return soma__layer_fail(b, layer, SOMA_INVALID, "has no body");
    if (shape.ndim < 2)
        return soma__layer_fail(b, layer, SOMA_SHAPE, "needs sequences [B,T…], got %s",
                                soma_shape_text(&shape, text, sizeof text));
    const int64_t steps = shape.dim[0] * shape.dim[1];
    inner.ndim--;
    inner.dim[0] = steps;
    for (int i = 1; i < inner.ndim; i++)
        inner.dim[i] = shape.dim[i + 1];
    soma_var y = soma__layer_apply_child(b, layer, 0, soma_reshape(x, inner));
    if (!soma_var_ok(y))
        return y;
    inner = soma_var_shape(y);
    if (inner.ndim < 1 || inner.ndim >= SOMA_MAX_DIMS || inner.dim[0] != steps)
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "the body gives %s, but must keep its %lld samples apart",
                                soma_shape_text(&inner, text, sizeof text), (long long)steps);
    soma_shape outer = {.ndim = inner.ndim + 1, .dim = {shape.dim[0], shape.dim[1]}};
    for (int i = 1; i < inner.ndim; i++)
        outer.dim[i + 1] = inner.dim[i];
    return soma_reshape(y, outer);
}

const soma__layer_type soma__layer_each_step = {
    .name = "each_step",
    .prefix = "each_step",
    .doc = "its body on each step by itself, with the same parameters",
    .shapes = "[B,T,…] -> [B,T] and what the body makes of […]",
    .parameters = "",
    .size = sizeof(each_options),
    .fields = each_fields,
    .field_count = SOMA__FIELD_COUNT(each_fields),
    .primary = "body",
    .children = SOMA__CHILDREN_SLOTS,
    .build = build_each,
};

soma_layer *soma_layer_each_step(soma_layer *body)
{
    return soma__layer_new(&soma__layer_each_step, &(each_options){0}, (soma_layer *const[]){body},
                           1);
}
