/* merge.c: layers that make one value of several. With branches, each of these sees the layer's
 * input; in a graph the several inputs of a node are merged. */
#include <limits.h>
#include <stddef.h>

#include "nn/layer.h"

typedef struct merge_options {
    const soma__value *branches; /* only while a recipe is read */
    bool cosine;                 /* dot */
    const char *name;
} merge_options;

#define BRANCHES                                                                                   \
    {                                                                                              \
        .key = "branches", .kind = SOMA__FIELD_VALUE, .offset = offsetof(merge_options, branches), \
        .doc = "list of layers, each of which sees the input; [] as a branch is the input itself"  \
    }

static const soma__field fields[] = {BRANCHES, SOMA__FIELD_NAME(merge_options)};
static const soma__field dot_fields[] = {
    BRANCHES,
    {.key = "cosine",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(merge_options, cosine),
     .doc = "divide by both lengths"},
    SOMA__FIELD_NAME(merge_options),
};

/* --- what all share -----------------------------------------------------------------------------
 */

typedef soma_var (*merger)(soma__layer_build *b, const soma_layer *layer, const soma_var *part,
                           int count);

/* [] as a branch: it needs no row in the summary. */
static bool is_identity(const soma_layer *layer)
{
    return layer->type == &soma__layer_sequential && layer->child_count == 0 && !layer->fault;
}

static soma_var from_branches(soma__layer_build *b, const soma_layer *layer, soma_var x,
                              merger merge)
{
    int count = layer->child_count;
    if (count == 0)
        return soma__layer_fail(b, layer, SOMA_INVALID,
                                "has no branches, and only one input that it could merge");
    soma_var *part = soma__arena_array(&b->graph->arena, (size_t)count, sizeof *part);
    if (!part)
        return soma__layer_fail(b, layer, SOMA_MEMORY, "out of memory for %d branches", count);
    for (int i = 0; i < count; i++) {
        part[i] = is_identity(layer->children[i]) ? x : soma__layer_apply_child(b, layer, i, x);
        if (!soma_var_ok(part[i]))
            return part[i];
    }
    return merge(b, layer, part, count);
}

static soma_var from_inputs(soma__layer_build *b, const soma_layer *layer, const soma_var *x,
                            int count, merger merge)
{
    if (layer->child_count)
        return soma__layer_fail(b, layer, SOMA_INVALID,
                                "has both branches and %d inputs; leave the branches out", count);
    return merge(b, layer, x, count);
}

/* Names the two shapes where part `index` does not fit the first. */
static soma_var misfit(soma__layer_build *b, const soma_layer *layer, int index,
                       const soma_shape *first, const soma_shape *shape)
{
    char left[SOMA_SHAPE_TEXT_SIZE], right[SOMA_SHAPE_TEXT_SIZE];
    const char *what = layer->child_count ? "branch" : "input",
               *is = layer->child_count ? "gives" : "is";
    return soma__layer_fail(b, layer, SOMA_SHAPE, "%s 1 %s %s, %s %d %s %s", what, is,
                            soma_shape_text(first, left, sizeof left), what, index + 1, is,
                            soma_shape_text(shape, right, sizeof right));
}

/* Folds equal shapes with an op; broadcasting would hide a mistake here. */
static soma_var fold(soma__layer_build *b, const soma_layer *layer, const soma_var *part, int count,
                     soma_var (*op)(soma_var, soma_var))
{
    soma_var y = part[0];
    soma_shape first = soma_var_shape(y);
    for (int i = 1; i < count; i++) {
        soma_shape shape = soma_var_shape(part[i]);
        if (!soma_shape_equal(&first, &shape))
            return misfit(b, layer, i, &first, &shape);
        y = op(y, part[i]);
    }
    return y;
}

static bool is_pair(soma__layer_build *b, const soma_layer *layer, int count)
{
    if (count != 2)
        soma__layer_fail(b, layer, SOMA_INVALID, "takes two values, got %d", count);
    return count == 2;
}

/* --- the mergers --------------------------------------------------------------------------------
 */

static soma_var merge_concat(soma__layer_build *b, const soma_layer *layer, const soma_var *part,
                             int count)
{
    soma_shape first = soma_var_shape(part[0]);
    for (int i = 0; i < count; i++) {
        /* Only the last axis may differ, and it must not be the batch. */
        soma_shape shape = soma_var_shape(part[i]), same = shape;
        if (shape.ndim == first.ndim && shape.ndim > 1)
            same.dim[same.ndim - 1] = first.dim[same.ndim - 1];
        if (shape.ndim < 2 || !soma_shape_equal(&first, &same))
            return misfit(b, layer, i, &first, &shape);
    }
    return soma_concat(part, count, -1);
}

static soma_var merge_add(soma__layer_build *b, const soma_layer *layer, const soma_var *part,
                          int count)
{
    return fold(b, layer, part, count, soma_add);
}

static soma_var merge_multiply(soma__layer_build *b, const soma_layer *layer, const soma_var *part,
                               int count)
{
    return fold(b, layer, part, count, soma_mul);
}

static soma_var merge_average(soma__layer_build *b, const soma_layer *layer, const soma_var *part,
                              int count)
{
    soma_var sum = fold(b, layer, part, count, soma_add);
    return soma_var_ok(sum) ? soma_mul_scalar(sum, 1.0 / count) : sum;
}

static soma_var merge_maximum(soma__layer_build *b, const soma_layer *layer, const soma_var *part,
                              int count)
{
    return fold(b, layer, part, count, soma_maximum);
}

static soma_var merge_minimum(soma__layer_build *b, const soma_layer *layer, const soma_var *part,
                              int count)
{
    return fold(b, layer, part, count, soma_minimum);
}

static soma_var merge_subtract(soma__layer_build *b, const soma_layer *layer, const soma_var *part,
                               int count)
{
    if (!is_pair(b, layer, count))
        return (soma_var){b->graph, -1};
    return fold(b, layer, part, count, soma_sub);
}

static soma_var along_last(soma_var a, soma_var c)
{
    return soma_sum(soma_mul(a, c), .axes = {-1}, .count = 1, .keep_dims = true);
}

static soma_var merge_dot(soma__layer_build *b, const soma_layer *layer, const soma_var *part,
                          int count)
{
    const merge_options *o = (const merge_options *)layer->options;
    if (!is_pair(b, layer, count))
        return (soma_var){b->graph, -1};
    soma_shape shape = soma_var_shape(part[0]);
    if (shape.ndim < 2)
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "needs samples with at least one dimension, got scalars");
    soma_var dot = fold(b, layer, part, count, along_last);
    if (!o->cosine || !soma_var_ok(dot))
        return dot;
    /* The limit keeps the gradient finite where a vector is zero; the quotient is then 0. */
    soma_var lengths = soma_mul(along_last(part[0], part[0]), along_last(part[1], part[1]));
    return soma_div(dot, soma_sqrt(soma_maximum(
                             lengths, soma_scalar(b->graph, soma_var_dtype(lengths), 1e-16))));
}

/* --- descriptors --------------------------------------------------------------------------------
 */

#define MERGE(name_, fields_, doc_, shapes_)                                                       \
    static soma_var build_##name_(soma__layer_build *b, const soma_layer *layer, soma_var x)       \
    {                                                                                              \
        return from_branches(b, layer, x, merge_##name_);                                          \
    }                                                                                              \
    static soma_var inputs_##name_(soma__layer_build *b, const soma_layer *layer,                  \
                                   const soma_var *x, int count)                                   \
    {                                                                                              \
        return from_inputs(b, layer, x, count, merge_##name_);                                     \
    }                                                                                              \
    const soma__layer_type soma__layer_##name_ = {                                                 \
        .name = #name_,                                                                            \
        .prefix = #name_,                                                                          \
        .doc = doc_,                                                                               \
        .shapes = shapes_,                                                                         \
        .parameters = "",                                                                          \
        .size = sizeof(merge_options),                                                             \
        .fields = fields_,                                                                         \
        .field_count = SOMA__FIELD_COUNT(fields_),                                                 \
        .primary = "branches",                                                                     \
        .children = SOMA__CHILDREN_LIST,                                                           \
        .child_prefix = "branch",                                                                  \
        .steps = true,                                                                             \
        .build = build_##name_,                                                                    \
        .merge = inputs_##name_,                                                                   \
    };

MERGE(concat, fields, "branches (or a node's inputs) side by side, joined along the last axis",
      "[B…,C1], [B…,C2], … -> [B…,C1+C2+…]")
MERGE(add, fields, "branches (or a node's inputs) side by side, added", "[B…], [B…], … -> [B…]")
MERGE(multiply, fields, "branches (or a node's inputs), multiplied", "[B…], [B…], … -> [B…]")
MERGE(average, fields, "branches (or a node's inputs), their mean", "[B…], [B…], … -> [B…]")
MERGE(maximum, fields, "branches (or a node's inputs), the largest of each element",
      "[B…], [B…], … -> [B…]")
MERGE(minimum, fields, "branches (or a node's inputs), the smallest of each element",
      "[B…], [B…], … -> [B…]")
MERGE(subtract, fields, "two branches (or a node's two inputs), first minus second",
      "[B…], [B…] -> [B…]")
MERGE(dot, dot_fields,
      "two branches (or a node's two inputs), their product summed over the last axis",
      "[B…,C], [B…,C] -> [B…,1]")

/* --- builders -----------------------------------------------------------------------------------
 */

static const soma__layer_type *const types[] = {
    [SOMA_MERGE_CONCAT] = &soma__layer_concat,     [SOMA_MERGE_ADD] = &soma__layer_add,
    [SOMA_MERGE_MULTIPLY] = &soma__layer_multiply, [SOMA_MERGE_AVERAGE] = &soma__layer_average,
    [SOMA_MERGE_MAXIMUM] = &soma__layer_maximum,   [SOMA_MERGE_MINIMUM] = &soma__layer_minimum,
    [SOMA_MERGE_SUBTRACT] = &soma__layer_subtract, [SOMA_MERGE_DOT] = &soma__layer_dot,
    [SOMA_MERGE_COSINE] = &soma__layer_dot,
};

soma_layer *soma_layer_merge_list(soma_merge merge, soma_layer *const *branches)
{
    int count = 0;
    while (branches && branches[count] && count < INT_MAX)
        count++;
    if (merge < SOMA_MERGE_CONCAT || merge > SOMA_MERGE_COSINE)
        merge = SOMA_MERGE_CONCAT;
    return soma__layer_new(types[merge], &(merge_options){.cosine = merge == SOMA_MERGE_COSINE},
                           branches, count);
}

soma_layer *soma_layer_concat_list(soma_layer *const *branches)
{
    return soma_layer_merge_list(SOMA_MERGE_CONCAT, branches);
}

soma_layer *soma_layer_add_list(soma_layer *const *branches)
{
    return soma_layer_merge_list(SOMA_MERGE_ADD, branches);
}
