/* reparam.c: wrappers that put something else in the place of the weights of the layers inside. */
#include <math.h>
#include <stddef.h>

#include "base/mem.h"
#include "nn/nn.h"

/* The steps that PyTorch takes before training. */
#define FIRST_ITERATIONS 15
#define LEAST_LENGTH 1e-12

typedef struct options {
    const soma__value *layer; /* only while a recipe is read */
    const char *name;
} options;

static const soma__field fields[] = {
    {.key = "layer",
     .kind = SOMA__FIELD_VALUE,
     .offset = offsetof(options, layer),
     .required = true,
     .doc = "layer or list of layers whose weights are meant"},
    SOMA__FIELD_NAME(options),
};

static soma_var build(soma__layer_build *b, const soma_layer *layer, soma_var x,
                      soma__reparam reparam)
{
    if (!layer->children[0])
        return soma__layer_fail(b, layer, SOMA_INVALID, "has no layer");
    if (b->reparam)
        return soma__layer_fail(b, layer, SOMA_INVALID,
                                "weight_norm and spectral_norm cannot be inside of each other");
    b->reparam = reparam;
    soma_var y = soma__layer_apply_child(b, layer, 0, x);
    b->reparam = NULL;
    return y;
}

/* The tensor of the parameter that was just made, NULL unless it has been initialised. */
static soma_tensor *fresh(const soma__layer_build *b)
{
    if (!b->creating || b->use || b->measuring || b->archive || !b->model->parameter_count)
        return NULL;
    return b->model->parameters[b->model->parameter_count - 1]->public.tensor;
}

static int64_t width_of(const soma_shape *shape)
{
    int64_t width = 1;
    for (int d = 1; d < shape->ndim; d++)
        width *= shape->dim[d];
    return width;
}

/* --- weight_norm -------------------------------------------------------------------------------
 */

/* g begins as the length of each slice of v, so that the weights begin as initialised. */
static void measure_slices(const soma_tensor *v, soma_tensor *g)
{
    int64_t width = width_of(soma_tensor_shape(v));
    for (int64_t o = 0; o < soma_tensor_count(g); o++) {
        double sum = 0;
        for (int64_t i = 0; i < width; i++) {
            double value = soma_tensor_get(v, o * width + i);
            sum += value * value;
        }
        soma_tensor_set(g, o, sqrt(sum));
    }
}

static soma_var by_length(soma__layer_build *b, const soma_layer *layer, const soma__param *param)
{
    soma__param direction = *param, length = {.name = "weight_g",
                                              .shape = param->shape,
                                              .init = SOMA_INIT_ONES,
                                              .frozen = param->frozen};
    direction.name = "weight_v";
    for (int d = 1; d < length.shape.ndim; d++)
        length.shape.dim[d] = 1;
    soma_var v = soma__layer_param(b, layer, &direction);
    const soma_tensor *made_v = fresh(b);
    soma_var g = soma__layer_param(b, layer, &length);
    soma_tensor *made_g = fresh(b);
    if (made_v && made_g && made_v != made_g && soma_var_ok(g))
        measure_slices(made_v, made_g);
    return soma_weight_norm(v, g);
}

static soma_var build_weight(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    return build(b, layer, x, by_length);
}

const soma__layer_type soma__layer_weight_norm = {
    .name = "weight_norm",
    .prefix = "weight_norm",
    .doc = "length and direction of the weights inside are learnt apart (Salimans & Kingma 2016)",
    .shapes = "as its layer",
    .parameters = "for each weight [O,…] inside: weight_v [O,…], weight_g [O,1,…]",
    .size = sizeof(options),
    .fields = fields,
    .field_count = SOMA__FIELD_COUNT(fields),
    .primary = "layer",
    .children = SOMA__CHILDREN_SLOTS,
    .build = build_weight,
};

soma_layer *soma_layer_weight_norm(soma_layer *layer)
{
    return soma__layer_new(&soma__layer_weight_norm, &(options){0}, (soma_layer *const[]){layer},
                           1);
}

/* --- spectral_norm -----------------------------------------------------------------------------
 */

static void to_unit(soma_tensor *x)
{
    double sum = 0;
    for (int64_t i = 0; i < soma_tensor_count(x); i++)
        sum += soma_tensor_get(x, i) * soma_tensor_get(x, i);
    double scale = 1 / fmax(sqrt(sum), LEAST_LENGTH);
    for (int64_t i = 0; i < soma_tensor_count(x); i++)
        soma_tensor_set(x, i, soma_tensor_get(x, i) * scale);
}

/* u = W v, v = Wᵀ u, both to length 1, several times. */
static void first_vectors(const soma_tensor *w, soma_tensor *u, soma_tensor *v)
{
    int64_t rows = soma_tensor_count(u), width = soma_tensor_count(v);
    to_unit(v);
    for (int round = 0; round < FIRST_ITERATIONS; round++) {
        for (int64_t o = 0; o < rows; o++) {
            double sum = 0;
            for (int64_t i = 0; i < width; i++)
                sum += soma_tensor_get(w, o * width + i) * soma_tensor_get(v, i);
            soma_tensor_set(u, o, sum);
        }
        to_unit(u);
        for (int64_t i = 0; i < width; i++) {
            double sum = 0;
            for (int64_t o = 0; o < rows; o++)
                sum += soma_tensor_get(w, o * width + i) * soma_tensor_get(u, o);
            soma_tensor_set(v, i, sum);
        }
        to_unit(v);
    }
}

static soma_var unit(soma_var x)
{
    soma_var least = soma_scalar(x.graph, soma_var_dtype(x), LEAST_LENGTH);
    return soma_div(x, soma_maximum(soma_sqrt(soma_sum(soma_square(x))), least));
}

static soma_var by_spectrum(soma__layer_build *b, const soma_layer *layer, const soma__param *param)
{
    int64_t rows = param->shape.dim[0], width = width_of(&param->shape);
    bool trainable = false;
    soma__param weight = *param;
    soma__param left = {
        .name = "weight_u", .shape = SOMA_SHAPE(rows), .init = SOMA_INIT_NORMAL, .buffer = true};
    soma__param right = left;
    weight.trainable = &trainable;
    right.name = "weight_v";
    right.shape = SOMA_SHAPE(width);
    soma_var w = soma__layer_param(b, layer, &weight);
    const soma_tensor *made_w = fresh(b);
    soma_var u = soma__layer_param(b, layer, &left);
    soma_tensor *made_u = fresh(b);
    soma_var v = soma__layer_param(b, layer, &right);
    soma_tensor *made_v = fresh(b);
    if (param->trainable)
        *param->trainable = trainable;
    if (!soma_var_ok(w) || !soma_var_ok(u) || !soma_var_ok(v))
        return (soma_var){b->graph, -1};
    if (made_w && made_u && made_v)
        first_vectors(made_w, made_u, made_v);
    if (b->mode == SOMA_EVALUATE || !trainable)
        return soma_spectral_norm(w, soma_stop_gradient(u), soma_stop_gradient(v));

    soma_var matrix = soma_stop_gradient(soma_reshape(w, SOMA_SHAPE(rows, width)));
    soma_var column = soma_matmul(matrix, soma_reshape(v, SOMA_SHAPE(width, 1)));
    soma_var next_u = unit(soma_reshape(column, SOMA_SHAPE(rows)));
    soma_var row = soma_matmul(soma_reshape(next_u, SOMA_SHAPE(1, rows)), matrix);
    soma_var next_v = unit(soma_reshape(row, SOMA_SHAPE(width)));
    soma__layer_update(b, layer, u, next_u);
    soma__layer_update(b, layer, v, next_v);
    return soma_spectral_norm(w, soma_stop_gradient(next_u), soma_stop_gradient(next_v));
}

static soma_var build_spectral(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    return build(b, layer, x, by_spectrum);
}

const soma__layer_type soma__layer_spectral_norm = {
    .name = "spectral_norm",
    .prefix = "spectral_norm",
    .doc = "the weights inside over their largest singular value (Miyato et al. 2018)",
    .shapes = "as its layer",
    .parameters = "for each weight [O,…] inside: weight, buffers weight_u [O], weight_v [product]",
    .size = sizeof(options),
    .fields = fields,
    .field_count = SOMA__FIELD_COUNT(fields),
    .primary = "layer",
    .children = SOMA__CHILDREN_SLOTS,
    .build = build_spectral,
};

soma_layer *soma_layer_spectral_norm(soma_layer *layer)
{
    return soma__layer_new(&soma__layer_spectral_norm, &(options){0}, (soma_layer *const[]){layer},
                           1);
}
