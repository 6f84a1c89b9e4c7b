/* block.c: layers made of layers. */
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "nn/layer.h"
#include "tensor/tensor.h"

/* Length of a NULL-terminated list. */
static int list_count(soma_layer *const *list)
{
    int count = 0;
    while (list && list[count] && count < INT_MAX)
        count++;
    return count;
}

/* --- sequential ---------------------------------------------------------------------------------
 */

typedef struct list_options {
    const soma__value *children; /* only while a recipe is read */
    const char *name;
} list_options;

static const soma__field sequential_fields[] = {
    {.key = "layers",
     .kind = SOMA__FIELD_VALUE,
     .offset = offsetof(list_options, children),
     .required = true,
     .doc = "list of layers"},
    SOMA__FIELD_NAME(list_options),
};

/* The activation that child `index` feeds, through what does not change the scale; `after` is the
 * one behind the whole block. */
static soma_activation next_activation(const soma_layer *layer, int index, soma_activation after)
{
    for (int i = index + 1; i < layer->child_count; i++) {
        const soma_layer *child = layer->children[i];
        if (child->type == &soma__layer_activation) {
            soma_activation activation;
            memcpy(&activation, child->options, sizeof activation); /* its first option */
            return activation;
        }
        if (!child->type || !child->type->transparent)
            return SOMA_LINEAR;
    }
    return after;
}

/* Several inputs go to the first layer. */
static soma_var merge_sequential(soma__layer_build *b, const soma_layer *layer, const soma_var *x,
                                 int count)
{
    soma_activation after = b->next;
    if (count > 1 && layer->child_count == 0)
        return soma__layer_fail(b, layer, SOMA_INVALID, "has no layer that takes %d inputs", count);
    soma_var y = x[0];
    for (int i = 0; i < layer->child_count; i++) {
        b->next = next_activation(layer, i, after);
        y = i == 0 ? soma__layer_apply_child_many(b, layer, i, x, count)
                   : soma__layer_apply_child(b, layer, i, y);
    }
    return y;
}

static soma_var build_sequential(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    return merge_sequential(b, layer, &x, 1);
}

const soma__layer_type soma__layer_sequential = {
    .name = "sequential",
    .prefix = "sequential",
    .doc = "layers one after the other",
    .shapes = "as its layers",
    .parameters = "",
    .size = sizeof(list_options),
    .fields = sequential_fields,
    .field_count = SOMA__FIELD_COUNT(sequential_fields),
    .primary = "layers",
    .children = SOMA__CHILDREN_LIST,
    .steps = true,
    .build = build_sequential,
    .merge = merge_sequential,
};

soma_layer *soma_layer_sequential_list(soma_layer *const *layers)
{
    return soma__layer_new(&soma__layer_sequential, &(list_options){0}, layers, list_count(layers));
}

/* --- residual -----------------------------------------------------------------------------------
 */

typedef struct residual_options {
    const soma__value *body, *shortcut; /* only while a recipe is read */
    soma_activation activation;
    const char *name;
} residual_options;

static const soma__field residual_fields[] = {
    {.key = "body",
     .kind = SOMA__FIELD_VALUE,
     .offset = offsetof(residual_options, body),
     .required = true,
     .doc = "layer or list of layers"},
    {.key = "shortcut",
     .kind = SOMA__FIELD_VALUE,
     .offset = offsetof(residual_options, shortcut),
     .doc = "layer or list of layers beside the body [the input itself]"},
    {.key = "activation",
     .kind = SOMA__FIELD_ENUM,
     .offset = offsetof(residual_options, activation),
     .choices = soma__activation_names,
     .doc = "function applied to the sum"},
    SOMA__FIELD_NAME(residual_options),
};

static soma_var build_residual(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const residual_options *o = (const residual_options *)layer->options;
    char left[SOMA_SHAPE_TEXT_SIZE], right[SOMA_SHAPE_TEXT_SIZE];

    if (!layer->children[0])
        return soma__layer_fail(b, layer, SOMA_INVALID, "has no body");
    if (o->activation != SOMA_LINEAR)
        b->next = o->activation;
    soma_var body = soma__layer_apply_child(b, layer, 0, x);
    soma_var side = layer->children[1] ? soma__layer_apply_child(b, layer, 1, x) : x;
    if (!soma_var_ok(body) || !soma_var_ok(side))
        return (soma_var){b->graph, -1};
    soma_shape shape = soma_var_shape(body), other = soma_var_shape(side);
    if (!soma_shape_equal(&shape, &other))
        return soma__layer_fail(b, layer, SOMA_SHAPE, "the body gives %s, %s %s%s",
                                soma_shape_text(&shape, left, sizeof left),
                                layer->children[1] ? "the shortcut" : "its input is",
                                soma_shape_text(&other, right, sizeof right),
                                layer->children[1] ? ""
                                                   : "; give it a shortcut, such as a 1×1 conv2d");
    return soma__activate(o->activation, soma_add(body, side));
}

const soma__layer_type soma__layer_residual = {
    .name = "residual",
    .prefix = "residual",
    .doc = "activation(body(x) + shortcut(x)) (He et al. 2016)",
    .shapes = "as its body",
    .parameters = "",
    .size = sizeof(residual_options),
    .fields = residual_fields,
    .field_count = SOMA__FIELD_COUNT(residual_fields),
    .primary = "body",
    .children = SOMA__CHILDREN_SLOTS,
    .steps = true,
    .build = build_residual,
};

soma_layer *soma_layer_residual(soma_layer *body, soma_layer *shortcut, soma_activation activation)
{
    return soma__layer_new(&soma__layer_residual, &(residual_options){.activation = activation},
                           (soma_layer *const[]){body, shortcut}, 2);
}

/* --- repeat -------------------------------------------------------------------------------------
 */

typedef struct repeat_options {
    const soma__value *children; /* only while a recipe is read */
    int64_t times;
    const char *name;
} repeat_options;

static const soma__field repeat_fields[] = {
    {.key = "times",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(repeat_options, times),
     .min = 1,
     .max = 1000,
     .required = true,
     .doc = "how often"},
    {.key = "layers",
     .kind = SOMA__FIELD_VALUE,
     .offset = offsetof(repeat_options, children),
     .required = true,
     .doc = "list of layers"},
    SOMA__FIELD_NAME(repeat_options),
};

static soma_var build_repeat(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const repeat_options *o = (const repeat_options *)layer->options;
    char name[24];
    soma_activation after = b->next, again = next_activation(layer, -1, SOMA_LINEAR);

    /* One sequential block stands for each copy in turn and borrows the layers. */
    soma_layer *copy = soma_layer_sequential_list(NULL);
    if (copy->fault)
        return soma__layer_fail(b, layer, copy->status, "%s", copy->fault);
    copy->children = layer->children;
    copy->child_count = layer->child_count;
    for (int64_t i = 1; i <= o->times; i++) {
        snprintf(name, sizeof name, "%lld", (long long)i);
        b->next = i < o->times ? again : after;
        x = soma__layer_apply(b, copy, name, x);
    }
    copy->children = NULL;
    copy->child_count = 0;
    soma_layer_destroy(copy);
    return x;
}

const soma__layer_type soma__layer_repeat = {
    .name = "repeat",
    .prefix = "repeat",
    .doc = "its layers several times one after the other, each time with parameters of their own",
    .shapes = "as its layers",
    .parameters = "",
    .size = sizeof(repeat_options),
    .fields = repeat_fields,
    .field_count = SOMA__FIELD_COUNT(repeat_fields),
    .children = SOMA__CHILDREN_LIST,
    .steps = true,
    .build = build_repeat,
};

soma_layer *soma_layer_repeat_list(int64_t times, soma_layer *const *layers)
{
    return soma__layer_new(&soma__layer_repeat, &(repeat_options){.times = times}, layers,
                           list_count(layers));
}

/* --- gate ---------------------------------------------------------------------------------------
 */

typedef struct gate_options {
    const soma__value *body; /* only while a recipe is read */
    const char *name;
} gate_options;

static const soma__field gate_fields[] = {
    {.key = "body",
     .kind = SOMA__FIELD_VALUE,
     .offset = offsetof(gate_options, body),
     .required = true,
     .doc = "layer or list of layers that makes the factors; [N,C] counts for whole feature maps"},
    SOMA__FIELD_NAME(gate_options),
};

static soma_var build_gate(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    char left[SOMA_SHAPE_TEXT_SIZE], right[SOMA_SHAPE_TEXT_SIZE];
    soma_shape shape = soma_var_shape(x);

    if (!layer->children[0])
        return soma__layer_fail(b, layer, SOMA_INVALID, "has no body");
    b->next = SOMA_LINEAR;
    soma_var factor = soma__layer_apply_child(b, layer, 0, x);
    if (!soma_var_ok(factor))
        return factor;
    soma_shape own = soma_var_shape(factor), wide = own, both;
    /* [N,C] -> [N,1,1,C] */
    if (own.ndim == 2 && shape.ndim > 2) {
        wide.ndim = shape.ndim;
        wide.dim[shape.ndim - 1] = own.dim[1];
        for (int i = 1; i < shape.ndim - 1; i++)
            wide.dim[i] = 1;
        factor = soma_reshape(factor, wide);
    }
    if (wide.ndim != shape.ndim || !soma__shape_broadcast(&wide, &shape, &both) ||
        !soma_shape_equal(&both, &shape))
        return soma__layer_fail(b, layer, SOMA_SHAPE, "the factors %s do not fit the input %s",
                                soma_shape_text(&own, left, sizeof left),
                                soma_shape_text(&shape, right, sizeof right));
    return soma_mul(x, factor);
}

const soma__layer_type soma__layer_gate = {
    .name = "gate",
    .prefix = "gate",
    .doc = "x · body(x): the body says how much of each value passes",
    .shapes = "[B…] -> [B…]",
    .parameters = "",
    .size = sizeof(gate_options),
    .fields = gate_fields,
    .field_count = SOMA__FIELD_COUNT(gate_fields),
    .primary = "body",
    .children = SOMA__CHILDREN_SLOTS,
    .steps = true,
    .build = build_gate,
};

soma_layer *soma_layer_gate(soma_layer *body)
{
    return soma__layer_new(&soma__layer_gate, &(gate_options){0}, (soma_layer *const[]){body}, 1);
}
