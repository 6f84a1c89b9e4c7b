/* Builds a random graph from the bytes and computes it three ways: node by node with the reference
 * kernels (no plan), by a plan on the reference backend, by a plan on the fast one. Statuses and
 * results must agree.
 *
 * Rounding differs between the three, and ops may amplify that difference or turn it into another
 * result altogether (a comparison of two sums). So the first way is done several times, with noise
 * of the size of rounding added after each op that rounds. What the noise changes in a result is
 * the tolerance for it; results downstream of a comparison, argmax or rounding that noise could
 * flip are not compared. Most numbers are small multiples of 1/4, on which a lot of ops do not
 * round. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "soma/ops.h"

enum {
    MAX_VARS = 40,    /* what the bytes may refer to */
    MAX_STEPS = 24,   /* ops and gradients of a graph */
    MAX_CELLS = 256,  /* of a tensor */
    MAX_NODES = 1500, /* gradients of gradients grow */
    MAX_OUTPUTS = 4,
    MAX_UPDATES = 3,
    NOISES = 3, /* noisy evaluations, beside the one without noise */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- from bytes to a graph -------------------------------------------------------------------- */

typedef struct reader {
    const uint8_t *at, *end;
} reader;

/* After the last byte all are 0. */
static unsigned byte(reader *r)
{
    return r->at < r->end ? *r->at++ : 0;
}

static unsigned below(reader *r, unsigned n)
{
    return byte(r) % n;
}

/* One graph and the tensors that it reads. */
typedef struct built {
    soma_graph *graph;
    soma_var var[MAX_VARS];
    int vars;
    soma_var variable[MAX_VARS];
    soma_tensor *state[MAX_VARS]; /* of the variables; owned */
    int variables;
    soma_tensor *fed[MAX_VARS]; /* of the inputs; owned */
    int32_t fed_id[MAX_VARS];
    int inputs;
    soma_var output[MAX_OUTPUTS];
    int outputs;
    soma_update update[MAX_UPDATES];
    int updates;
} built;

/* What cannot fail here is checked all the same. */
static void must(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "fuzz_graph: %s\n", what);
    __builtin_trap();
}

static soma_shape read_shape(reader *r)
{
    static const int64_t sizes[] = {1, 2, 3, 4, 5, 8, 1, 2, 3, 0, 6, 7, 16, 17, 33, 1};
    soma_shape shape = {.ndim = (int)below(r, 5)};
    int64_t count = 1;
    for (int i = 0; i < shape.ndim; i++) {
        shape.dim[i] = sizes[below(r, 16)];
        if (count * shape.dim[i] > MAX_CELLS)
            shape.dim[i] = 1;
        count *= shape.dim[i];
    }
    return shape;
}

/* A shape; more often than not that of a value made before, so that ops find partners. */
static soma_shape some_shape(reader *r, const built *b)
{
    unsigned how = byte(r);
    if (b->vars && how % 4)
        return soma_var_shape(b->var[how / 4 % (unsigned)b->vars]);
    return read_shape(r);
}

/* Any size or axis, seldom an absurd one. */
static int64_t some_int(reader *r)
{
    static const int64_t odd[] = {-1, -2, INT64_MAX, INT64_MIN, 1LL << 40, 1LL << 33, -9, 100};
    unsigned v = byte(r);
    return v < 240 ? (int64_t)(v % 6) : odd[v % 8];
}

static double some_number(reader *r)
{
    static const double odd[] = {0, 1, -1, 2, 0.5, 1e-5, 100, -0.25};
    unsigned v = byte(r);
    return v < 128 ? odd[v % 8] : ((double)v - 192) / 16;
}

static soma_dtype some_dtype(reader *r)
{
    static const soma_dtype dtypes[] = {SOMA_F32,  SOMA_F32, SOMA_F32, SOMA_F32, SOMA_I64,
                                        SOMA_BOOL, SOMA_U8,  SOMA_I32, SOMA_F64, SOMA_F32};
    return dtypes[below(r, 10)];
}

static soma_var any(reader *r, const built *b)
{
    return b->vars ? b->var[below(r, (unsigned)b->vars)] : (soma_var){b->graph, -1};
}

/* Keeps a value for later ops. What failed or is too large to run is forgotten; a fault is
 * forgiven, so that one refused call does not end the graph, unless the bytes say so. */
static void keep(built *b, soma_var x, bool forgive)
{
    int64_t count = 0;
    soma_shape shape = soma_var_shape(x);
    if (forgive)
        b->graph->error = (soma_error){0};
    if (soma_var_ok(x) && soma__shape_count(&shape, &count) && count <= MAX_CELLS &&
        b->vars < MAX_VARS)
        b->var[b->vars++] = x;
}

static soma_tensor *read_tensor(reader *r, soma_dtype dtype, soma_shape shape)
{
    soma_error err = {0};
    soma_tensor *tensor = NULL;
    unsigned style = byte(r);
    uint32_t random = byte(r) + 1;
    must(soma_tensor_create(&tensor, dtype, shape, &err) == SOMA_OK, err.message);
    for (int64_t i = 0; i < soma_tensor_count(tensor); i++) {
        static const double special[] = {NAN, INFINITY, -INFINITY, -0.0};
        random = random * 1664525u + 1013904223u;
        double value = (double)((int)(random >> 27) - 16) / 4;
        if (!soma_dtype_is_float(dtype))
            value = fabs(value) * 2;
        else if (style % 8 == 1) /* numbers on which everything rounds */
            value = (double)((float)((random >> 8) / 16777216.0 * 4 - 2));
        else if (style % 16 == 2 && (random >> 20) % 8 == 0)
            value = special[(random >> 24) % 4];
        soma_tensor_set(tensor, i, value);
    }
    return tensor;
}

static void add_leaf(reader *r, built *b)
{
    unsigned kind = byte(r);
    soma_dtype dtype = some_dtype(r);
    soma_shape shape = some_shape(r, b);
    char name[16];
    if (kind % 8 == 7) { /* a key for the random ops */
        dtype = SOMA_I64;
        shape = SOMA_SHAPE(2);
    }
    if (kind % 8 == 6) {
        keep(b, soma_full(b->graph, dtype, shape, some_number(r)), true);
        return;
    }
    soma_tensor *tensor = read_tensor(r, dtype, shape);
    if (kind % 4 == 0 && b->inputs < MAX_VARS) {
        snprintf(name, sizeof name, "in%d", b->inputs);
        soma_var x = soma_input(b->graph, name, dtype, shape);
        b->fed[b->inputs] = tensor;
        b->fed_id[b->inputs++] = x.id;
        keep(b, x, true);
    } else if (kind % 4 == 1) {
        keep(b, soma_constant(b->graph, tensor), true);
        soma_tensor_release(tensor);
    } else {
        snprintf(name, sizeof name, "v%d", b->variables);
        soma_var x = soma_variable(b->graph, name, tensor);
        b->variable[b->variables] = x;
        b->state[b->variables++] = tensor;
        keep(b, x, true);
    }
}

static soma_reduce_options read_axes(reader *r, soma_var x)
{
    soma_reduce_options o = {.keep_dims = below(r, 2)};
    int ndim = soma_var_shape(x).ndim;
    o.count = (int)below(r, 4);
    for (int i = 0; i < o.count; i++) {
        o.axes[i] = some_int(r);
        if (o.axes[i] >= 0 && ndim)
            o.axes[i] %= ndim;
    }
    return o;
}

static int64_t read_axis(reader *r, soma_var x)
{
    int64_t axis = some_int(r);
    int ndim = soma_var_shape(x).ndim;
    return axis >= 0 && ndim ? axis % ndim : axis;
}

static const struct {
    soma_var (*call)(soma_var x);
} unary[] = {{soma_neg},        {soma_abs},          {soma_sign},     {soma_square},
             {soma_reciprocal}, {soma_sqrt},         {soma_rsqrt},    {soma_exp},
             {soma_log},        {soma_sin},          {soma_cos},      {soma_tanh},
             {soma_erf},        {soma_sigmoid},      {soma_softplus}, {soma_floor},
             {soma_ceil},       {soma_round},        {soma_relu},     {soma_gelu},
             {soma_gelu_tanh},  {soma_silu},         {soma_isfinite}, {soma_logical_not},
             {soma_transpose},  {soma_stop_gradient}};

/* Builders whose options make them macros. */
static soma_var bce_logits(soma_var x, soma_var t)
{
    return soma_bce_logits(x, t);
}

static soma_var cross_entropy(soma_var logits, soma_var labels)
{
    return soma_cross_entropy(logits, labels);
}

static const struct {
    soma_var (*call)(soma_var a, soma_var b);
} binary[] = {{soma_add},           {soma_sub},         {soma_mul},        {soma_div},
              {soma_pow},           {soma_maximum},     {soma_minimum},    {soma_equal},
              {soma_not_equal},     {soma_less},        {soma_less_equal}, {soma_greater},
              {soma_greater_equal}, {soma_logical_and}, {soma_logical_or}, {bce_logits},
              {soma_squared_error}, {cross_entropy}};

static const struct {
    soma_var (*call)(soma_var x, soma_reduce_options options);
} reduction[] = {{soma_sum_opt}, {soma_mean_opt}, {soma_max_opt}, {soma_min_opt}, {soma_var_opt}};

static soma_var add_shape_op(reader *r, built *b)
{
    soma_var x = any(r, b);
    soma_shape shape = soma_var_shape(x);
    int64_t list[2][SOMA_MAX_DIMS];
    switch (below(r, 9)) {
    case 0:
        return soma_reshape(x, some_shape(r, b));
    case 1: {
        soma_shape flat = SOMA_SHAPE(-1);
        return soma_reshape(x, below(r, 2) ? flat : read_shape(r));
    }
    case 2:
        return soma_flatten(x, read_axis(r, x));
    case 3: {
        unsigned shift = byte(r);
        for (int i = 0; i < shape.ndim; i++)
            list[0][i] = shift == 255 ? some_int(r) : (i + (int)shift) % shape.ndim;
        return soma_permute(x, list[0], shape.ndim);
    }
    case 4:
        return soma_expand(x, some_shape(r, b));
    case 5: {
        int64_t axis = read_axis(r, x), start = some_int(r);
        return soma_slice(x, axis, start, some_int(r));
    }
    case 6: {
        soma_var parts[3] = {x, any(r, b), any(r, b)};
        int64_t axis = read_axis(r, x);
        return soma_concat(parts, 1 + (int)below(r, 3), axis);
    }
    case 7:
        for (int i = 0; i < shape.ndim; i++) {
            list[0][i] = some_int(r) % 3;
            list[1][i] = some_int(r) % 3;
        }
        return soma_pad(x, list[0], list[1], shape.ndim, some_number(r));
    default:
        return soma_cast(x, some_dtype(r));
    }
}

/* Ops of images want four dims: values that have others are brought there first. */
static soma_var as_image(reader *r, soma_var x)
{
    soma_shape shape = soma_var_shape(x), image = {.ndim = 4, .dim = {1, 1, 1, 1}};
    if (shape.ndim > 3 || below(r, 16) == 15)
        return x;
    for (int i = 0; i < shape.ndim; i++)
        image.dim[i + 4 - shape.ndim] = shape.dim[i];
    return soma_reshape(x, image);
}

static soma_var add_image_op(reader *r, built *b)
{
    unsigned which = below(r, 4);
    soma_var x = as_image(r, any(r, b));
    if (which < 2) {
        soma_conv_options o = {.stride = {some_int(r), some_int(r)},
                               .dilation = {below(r, 3), below(r, 3)},
                               .padding = (soma_padding)below(r, 4)};
        for (int i = 0; i < 4 && o.padding == SOMA_PAD_EXPLICIT; i++)
            o.pad[i] = some_int(r);
        o.groups = below(r, 4) ? 1 : some_int(r);
        return soma_conv2d_opt(x, as_image(r, any(r, b)), o);
    }
    soma_pool_options o = {.size = {some_int(r), some_int(r)},
                           .stride = {some_int(r), some_int(r)},
                           .dilation = {below(r, 3), below(r, 3)},
                           .padding = (soma_padding)below(r, 4),
                           .ceil_mode = below(r, 2),
                           .count_pad = below(r, 2),
                           .divisor = below(r, 4) ? 0 : some_int(r)};
    for (int i = 0; i < 4 && o.padding == SOMA_PAD_EXPLICIT; i++)
        o.pad[i] = below(r, 3);
    return which == 2 ? soma_max_pool2d_opt(x, o) : soma_avg_pool2d_opt(x, o);
}

static soma_var add_other_op(reader *r, built *b)
{
    soma_var x = any(r, b);
    switch (below(r, 19)) {
    case 0:
        return soma_softmax(x, read_axis(r, x));
    case 1:
        return soma_log_softmax(x, read_axis(r, x));
    case 2:
        return soma_argmax(x, read_axis(r, x));
    case 3:
        return soma_gather(x, any(r, b), read_axis(r, x));
    case 4: {
        soma_var index = any(r, b);
        int64_t axis = read_axis(r, x);
        return soma_scatter_add(x, index, axis, some_int(r));
    }
    case 5:
        return soma_one_hot(x, some_int(r));
    case 6:
        return soma_random_uniform(x, some_shape(r, b), byte(r));
    case 7:
        return soma_random_normal(x, some_shape(r, b), byte(r));
    case 8:
        return soma_random_bernoulli(x, some_shape(r, b), some_number(r), byte(r));
    case 9:
        return soma_dropout(x, any(r, b), some_number(r), byte(r));
    case 10:
        return soma_spatial_dropout(x, any(r, b), some_number(r), byte(r));
    case 11: {
        soma_var gamma = any(r, b);
        return soma_layer_norm(x, gamma, any(r, b), 1e-5);
    }
    case 12: {
        soma_var mean = any(r, b), variance = any(r, b), gamma = any(r, b);
        return soma_batch_norm(x, mean, variance, gamma, any(r, b), 1e-5);
    }
    case 13: {
        soma_var w = any(r, b);
        return soma_linear(x, w, below(r, 2) ? any(r, b) : (soma_var){0});
    }
    case 14:
        return soma_leaky_relu(x, some_number(r));
    case 15:
        return soma_elu(x, some_number(r));
    case 16: {
        double low = some_number(r);
        return soma_clamp(x, low, some_number(r));
    }
    case 17: {
        soma_var a = any(r, b);
        return soma_where(x, a, any(r, b));
    }
    default: {
        double value = some_number(r);
        unsigned how = below(r, 3);
        return how == 0   ? soma_add_scalar(x, value)
               : how == 1 ? soma_mul_scalar(x, value)
                          : soma_pow_scalar(x, value);
    }
    }
}

static void add_gradients(reader *r, built *b, bool forgive)
{
    soma_var y = any(r, b), wrt[3], out[3] = {{0}};
    int count = 1 + (int)below(r, 3);
    for (int i = 0; i < count; i++)
        wrt[i] = any(r, b);
    if (below(r, 4) == 3)
        soma_gradients_from(y, any(r, b), wrt, count, out);
    else
        soma_gradients(y, wrt, count, out);
    for (int i = 0; i < count; i++)
        keep(b, out[i], forgive);
    if (forgive)
        b->graph->error = (soma_error){0};
}

static void add_step(reader *r, built *b, bool forgive)
{
    unsigned which = byte(r);
    if (soma_graph_count(b->graph) > MAX_NODES / 3)
        return;
    if (which < 70) {
        keep(b, unary[which % (sizeof unary / sizeof *unary)].call(any(r, b)), forgive);
    } else if (which < 140) {
        soma_var x = any(r, b);
        keep(b, binary[which % (sizeof binary / sizeof *binary)].call(x, any(r, b)), forgive);
    } else if (which < 160) {
        soma_var x = any(r, b);
        keep(b, reduction[which % 5].call(x, read_axes(r, x)), forgive);
    } else if (which < 180) {
        keep(b, add_shape_op(r, b), forgive);
    } else if (which < 195) {
        soma_matmul_options o = {.transpose_a = which & 1, .transpose_b = which & 2};
        soma_var x = any(r, b);
        keep(b, soma_matmul_opt(x, any(r, b), o), forgive);
    } else if (which < 210) {
        keep(b, add_image_op(r, b), forgive);
    } else if (which < 235) {
        keep(b, add_other_op(r, b), forgive);
    } else if (which < 248) {
        add_gradients(r, b, forgive);
    } else {
        add_leaf(r, b);
    }
}

static void choose_results(reader *r, built *b)
{
    /* The last value leads to most of the others. */
    if (b->vars)
        b->output[b->outputs++] = b->var[b->vars - 1];
    for (unsigned n = below(r, MAX_OUTPUTS); n > 0 && b->vars; n--)
        b->output[b->outputs++] = any(r, b);
    for (unsigned n = below(r, MAX_UPDATES + 1); n > 0 && b->variables; n--) {
        soma_var variable = b->variable[below(r, (unsigned)b->variables)];
        soma_shape want = soma_var_shape(variable);
        soma_var value = any(r, b);
        for (int i = b->vars - 1; i >= 0; i--) {
            soma_shape shape = soma_var_shape(b->var[i]);
            if (soma_var_dtype(b->var[i]) == soma_var_dtype(variable) &&
                soma_shape_equal(&shape, &want)) {
                value = b->var[i];
                break;
            }
        }
        b->update[b->updates++] = (soma_update){variable, value};
    }
}

static void build(built *b, const uint8_t *data, size_t size)
{
    reader r = {data, data + size};
    soma_error err = {0};
    memset(b, 0, sizeof *b);
    must(soma_graph_create(&b->graph, &err) == SOMA_OK, err.message);
    bool forgive = below(&r, 16) != 15;
    for (unsigned n = 1 + below(&r, 4); n > 0; n--)
        add_leaf(&r, b);
    for (int n = 0; n < MAX_STEPS && r.at < r.end; n++)
        add_step(&r, b, forgive);
    choose_results(&r, b);
}

static void discard(built *b)
{
    soma_graph_destroy(b->graph);
    for (int i = 0; i < b->inputs; i++)
        soma_tensor_release(b->fed[i]);
    for (int i = 0; i < b->variables; i++)
        soma_tensor_release(b->state[i]);
}

/* --- node by node, with noise ----------------------------------------------------------------- */

/* What is known of a node's value. */
typedef struct known {
    soma_tensor *value[1 + NOISES]; /* [0] without noise; NULL: the results do not need it */
    bool exact;                     /* every right computation gives these very bits */
    bool unsure;                    /* rounding may change all of it */
    int grain;                      /* the numbers are multiples of 2^-grain; 99: of none */
    double most, spread;            /* largest finite |number|; what noise changes */
} known;

static bool one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(name, *list) == 0)
            return true;
    return false;
}

/* They only move or choose numbers. */
static const char *const moves[] = {"neg",
                                    "abs",
                                    "sign",
                                    "relu",
                                    "isfinite",
                                    "logical_not",
                                    "maximum",
                                    "minimum",
                                    "equal",
                                    "not_equal",
                                    "less",
                                    "less_equal",
                                    "where",
                                    "cast",
                                    "stop_gradient",
                                    "max",
                                    "logical_and",
                                    "logical_or",
                                    "min",
                                    "argmax",
                                    "reshape",
                                    "permute",
                                    "expand",
                                    "slice",
                                    "concat",
                                    "pad",
                                    "gather",
                                    "one_hot",
                                    "max_pool2d",
                                    "max_pool2d_pick",
                                    "floor",
                                    "ceil",
                                    "round",
                                    "random_uniform",
                                    "random_bernoulli",
                                    NULL};
/* A rounding error in what they look at may give another result altogether. */
static const char *const jumps[] = {"sign",
                                    "floor",
                                    "ceil",
                                    "round",
                                    "cast",
                                    "equal",
                                    "not_equal",
                                    "less",
                                    "less_equal",
                                    "isfinite",
                                    "argmax",
                                    "max_pool2d_grad",
                                    "max_pool2d_pick",
                                    NULL};
/* A zero divisor gives an infinity of its sign, which plans do not promise to keep. */
static const char *const divisions[] = {"div", "reciprocal", "rsqrt", "pow", NULL};
/* Many terms are added: the error is that of the largest. */
static const char *const sums[] = {"sum",
                                   "mean",
                                   "variance",
                                   "matmul",
                                   "scatter_add",
                                   "conv2d",
                                   "conv2d_input_grad",
                                   "conv2d_weight_grad",
                                   "avg_pool2d",
                                   "avg_pool2d_grad",
                                   "max_pool2d_grad",
                                   NULL};

static int grain_of(const soma_tensor *t)
{
    int grain = 0;
    for (int64_t i = 0; i < soma_tensor_count(t); i++) {
        double v = soma_tensor_get(t, i);
        while (isfinite(v) && grain <= 12 && ldexp(v, grain) != floor(ldexp(v, grain)))
            grain++;
    }
    return grain <= 12 ? grain : 99;
}

/* Whether an op whose inputs are exact rounds nothing, in whatever order it adds. */
static bool stays_exact(const soma__node *n, const known *all)
{
    const known *a = n->nin > 0 ? &all[n->in[0]] : NULL, *b = n->nin > 1 ? &all[n->in[1]] : a;
    const char *op = n->op->name;
    if (!soma_dtype_is_float(n->dtype) || one_of(op, moves))
        return n->dtype != SOMA_F16 && n->dtype != SOMA_BF16;
    if (!a || n->dtype == SOMA_F16 || n->dtype == SOMA_BF16 || a->grain > 12 || b->grain > 12)
        return false;
    double unit = ldexp(1, a->grain > b->grain ? a->grain : b->grain);
    double product = a->most * b->most * ldexp(1, a->grain + b->grain);
    const double limit = 1 << 22;
    if (strcmp(op, "add") == 0 || strcmp(op, "sub") == 0)
        return (a->most + b->most) * unit <= limit;
    if (strcmp(op, "mul") == 0 || strcmp(op, "square") == 0)
        return product <= limit;
    if (strcmp(op, "matmul") == 0)
        return product * MAX_CELLS <= limit;
    if (strcmp(op, "sum") == 0)
        return a->most * unit * MAX_CELLS <= limit;
    return false;
}

static uint32_t scramble(uint32_t a, uint32_t b)
{
    uint32_t h = (a * 2654435761u) ^ (b * 2246822519u + 374761393u);
    h = (h ^ (h >> 15)) * 2246822519u;
    return h ^ (h >> 13);
}

/* +1 or -1: all up, all down, else as it comes. */
static double sign_of(int noise, int32_t node, int64_t i)
{
    return noise == 1 ? 1 : noise == 2 ? -1 : scramble((uint32_t)node, (uint32_t)i) & 1 ? 1 : -1;
}

static soma__view view_of(soma_tensor *t)
{
    return (soma__view){soma_tensor_data(t), soma_tensor_dtype(t), *soma_tensor_shape(t),
                        soma_tensor_count(t)};
}

static soma_tensor *new_tensor(soma_dtype dtype, soma_shape shape, const void *data)
{
    soma_error err = {0};
    soma_tensor *t = NULL;
    must((data ? soma_tensor_from(&t, dtype, shape, data, &err)
               : soma_tensor_create(&t, dtype, shape, &err)) == SOMA_OK,
         err.message);
    return t;
}

/* The reference kernel of node n over these inputs. */
static soma_tensor *apply(const soma__node *n, soma_tensor *const *in)
{
    soma_tensor *result = new_tensor(n->dtype, n->shape, NULL);
    soma__view out = view_of(result), *views = calloc((size_t)n->nin + 1, sizeof *views);
    must(views != NULL, "no memory");
    for (int i = 0; i < n->nin; i++)
        views[i] = view_of(in[i]);
    soma__call call = {
        .op = n->op, .attrs = n->attrs, .nin = n->nin, .nout = 1, .in = views, .out = &out};
    if (out.count)
        n->op->reference(&call);
    free(views);
    return result;
}

/* Whether the result of a jump changes when its first two inputs do by a little. */
static bool could_flip(const soma__node *n, const known *all, soma_tensor **in, int32_t id)
{
    bool flips = false;
    int looked_at = strcmp(n->op->family, "pool") == 0 || n->nin < 2 ? 1 : 2;
    for (int noise = 1; noise <= NOISES + 2 && !flips; noise++) {
        soma_tensor *moved[2] = {0}, *kept[2] = {0};
        for (int k = 0; k < looked_at; k++) {
            const known *a = &all[n->in[k]];
            kept[k] = in[k];
            if (a->exact || !soma_dtype_is_float(soma_tensor_dtype(in[k])))
                continue;
            moved[k] = new_tensor(soma_tensor_dtype(in[k]), *soma_tensor_shape(in[k]),
                                  soma_tensor_const_data(in[k]));
            for (int64_t i = 0; i < soma_tensor_count(in[k]); i++) {
                double v = soma_tensor_get(in[k], i);
                double way = sign_of(noise, id + noise, i) * (k ? -1 : 1);
                soma_tensor_set(moved[k], i, v + way * (64 * a->spread + ldexp(fabs(v), -14)));
            }
            in[k] = moved[k];
        }
        soma_tensor *other = apply(n, in);
        flips = soma_tensor_bytes(other) &&
                memcmp(soma_tensor_const_data(other), soma_tensor_const_data(all[id].value[0]),
                       soma_tensor_bytes(other)) != 0;
        soma_tensor_release(other);
        for (int k = 0; k < looked_at; k++) {
            in[k] = kept[k];
            soma_tensor_release(moved[k]);
        }
    }
    return flips;
}

static void add_noise(const soma__node *n, const known *all, int32_t id, int noise, soma_tensor *t)
{
    double size = n->dtype == SOMA_BF16 ? 0x1p-7 : n->dtype == SOMA_F16 ? 0x1p-10 : 0x1p-20;
    double terms = 0;
    if (one_of(n->op->name, sums)) {
        terms = 1;
        for (int i = 0; i < n->nin; i++)
            terms *= all[n->in[i]].most > 0 ? all[n->in[i]].most : 1;
        if (strcmp(n->op->name, "variance") == 0)
            terms *= terms;
    }
    for (int64_t i = 0; i < soma_tensor_count(t); i++) {
        double v = soma_tensor_get(t, i);
        if (isfinite(v))
            soma_tensor_set(t, i, v + sign_of(noise, id, i) * size * (fabs(v) + terms));
    }
}

/* Fills in what the values say. */
static void look_at(known *k, bool division, bool conv_of_infinite)
{
    const soma_tensor *base = k->value[0];
    bool infinite = false, tiny = false;
    for (int64_t i = 0; i < soma_tensor_count(base); i++) {
        double v = soma_tensor_get(base, i);
        if (isfinite(v) && fabs(v) > k->most)
            k->most = fabs(v);
        infinite |= isinf(v) != 0;
        tiny |= v != 0 && fabs(v) < 1e-30;
        for (int noise = 1; noise <= NOISES; noise++) {
            double w = soma_tensor_get(k->value[noise], i);
            if (isfinite(v) && isfinite(w))
                k->spread = fmax(k->spread, fabs(v - w));
            else if (!(isnan(v) && isnan(w)) && v != w)
                k->unsure = true;
        }
    }
    k->grain = grain_of(base);
    bool half = soma_tensor_dtype(base) == SOMA_F16;
    k->unsure |= conv_of_infinite || (division && infinite);
    k->unsure |= !k->exact && (tiny || k->most > (half ? 1e4 : 1e6));
}

static void compute(const soma__node *n, known *all, int32_t id, const built *b)
{
    known *k = &all[id];
    if (n->op->flags & SOMA__OP_LEAF) {
        const soma_tensor *from = n->tensor;
        for (int i = 0; i < b->inputs; i++)
            if (b->fed_id[i] == id)
                from = b->fed[i];
        k->value[0] = new_tensor(n->dtype, n->shape, soma_tensor_const_data(from));
        for (int noise = 1; noise <= NOISES; noise++)
            k->value[noise] = soma_tensor_retain(k->value[0]);
        k->exact = true;
        look_at(k, false, false);
        return;
    }
    soma_tensor **in = calloc((size_t)n->nin + 1, sizeof *in);
    must(in != NULL, "no memory");
    bool infinite = false;
    k->exact = true;
    for (int i = 0; i < n->nin; i++) {
        const known *a = &all[n->in[i]];
        k->exact &= a->exact;
        k->unsure |= a->unsure;
        for (int64_t j = 0; j < soma_tensor_count(a->value[0]); j++)
            infinite |= !isfinite(soma_tensor_get(a->value[0], j));
    }
    bool jump = one_of(n->op->name, jumps) && !k->exact &&
                (strcmp(n->op->name, "cast") != 0 || !soma_dtype_is_float(n->dtype));
    k->exact = k->exact && stays_exact(n, all);
    for (int noise = 0; noise <= NOISES; noise++) {
        for (int i = 0; i < n->nin; i++)
            in[i] = all[n->in[i]].value[noise];
        k->value[noise] = apply(n, in);
        if (noise && !k->exact && soma_dtype_is_float(n->dtype) &&
            (!one_of(n->op->name, moves) || n->dtype == SOMA_F16 || n->dtype == SOMA_BF16))
            add_noise(n, all, id, noise, k->value[noise]);
    }
    for (int i = 0; i < n->nin; i++)
        in[i] = all[n->in[i]].value[0];
    if (jump && could_flip(n, all, in, id))
        k->unsure = true;
    else if (jump && !soma_dtype_is_float(n->dtype))
        k->exact = true; /* the same for all who round */
    free(in);
    look_at(k, one_of(n->op->name, divisions), infinite && strcmp(n->op->family, "conv") == 0);
}

static void need(const soma_graph *graph, bool *needed, soma_var x)
{
    if (!soma_var_ok(x))
        return;
    needed[x.id] = true;
    for (int32_t id = x.id; id >= 0; id--)
        for (int i = 0; needed[id] && i < graph->nodes[id]->nin; i++)
            needed[graph->nodes[id]->in[i]] = true;
}

/* Values of all that the results need; NULL when that would take too long. */
static known *evaluate(const built *b)
{
    const soma_graph *graph = b->graph;
    bool *needed = calloc(graph->count + 1, sizeof *needed);
    known *all = calloc(graph->count + 1, sizeof *all);
    must(needed && all, "no memory");
    for (int i = 0; i < b->outputs; i++)
        need(graph, needed, b->output[i]);
    for (int i = 0; i < b->updates; i++)
        need(graph, needed, b->update[i].value);
    bool small = graph->count <= MAX_NODES;
    for (size_t id = 0; id < graph->count && small; id++) {
        int64_t count;
        if (needed[id])
            small = soma__shape_count(&graph->nodes[id]->shape, &count) && count <= 16 * MAX_CELLS;
    }
    for (size_t id = 0; id < graph->count && small; id++)
        if (needed[id])
            compute(graph->nodes[id], all, (int32_t)id, b);
    free(needed);
    if (!small) {
        free(all);
        all = NULL;
    }
    return all;
}

/* --- by plans --------------------------------------------------------------------------------- */

static void agree(const known *truth, const soma_tensor *got, const char *who, int index)
{
    const soma_tensor *base = truth->value[0];
    must(got && soma_shape_equal(soma_tensor_shape(got), soma_tensor_shape(base)) &&
             soma_tensor_dtype(got) == soma_tensor_dtype(base),
         "a result has another shape or dtype");
    for (int64_t i = 0; i < soma_tensor_count(base) && !truth->unsure; i++) {
        double want = soma_tensor_get(base, i), is = soma_tensor_get(got, i);
        double near = truth->exact ? 0 : 16 * truth->spread + 1e-4 * fabs(want);
        if ((isnan(want) && isnan(is)) || want == is || fabs(want - is) <= near)
            continue;
        fprintf(stderr, "%s: result %d, element %lld is %.9g, should be %.9g (within %g)\n", who,
                index, (long long)i, is, want, near);
        __builtin_trap();
    }
}

/* Makes the variables' tensors what they were before the run. */
static void restore(const built *b, const built *fresh)
{
    for (int i = 0; i < b->variables; i++)
        if (soma_tensor_bytes(b->state[i]))
            memcpy(soma_tensor_data(b->state[i]), soma_tensor_const_data(fresh->state[i]),
                   soma_tensor_bytes(b->state[i]));
}

/* Runs b's plan twice from the same state: the results are right, and the same bits again. `fresh`
 * was built from the same bytes and is never run. */
static void run(const built *b, const built *fresh, soma_plan *plan, const known *all,
                const char *who)
{
    soma_error err = {0};
    soma_session *session = NULL;
    soma_tensor *first[MAX_OUTPUTS] = {0};
    must(soma_session_create(&session, plan, &err) == SOMA_OK, err.message);
    for (int i = 0; i < b->inputs; i++) {
        char name[16];
        snprintf(name, sizeof name, "in%d", i);
        soma_status status = soma_session_set_tensor(session, name, b->fed[i], &err);
        must(status == SOMA_OK || status == SOMA_NOT_FOUND, err.message);
    }
    for (int again = 0; again < 2; again++) {
        must(soma_session_run(session, &err) == SOMA_OK, err.message);
        for (int i = 0; i < b->outputs; i++) {
            const soma_tensor *got = soma_session_output(session, i);
            agree(&all[b->output[i].id], got, who, i);
            if (!again)
                first[i] = new_tensor(soma_tensor_dtype(got), *soma_tensor_shape(got),
                                      soma_tensor_const_data(got));
            else
                must(!soma_tensor_bytes(got) ||
                         memcmp(soma_tensor_const_data(first[i]), soma_tensor_const_data(got),
                                soma_tensor_bytes(got)) == 0,
                     "the second run gives other bits");
        }
        for (int i = 0; i < b->updates; i++)
            agree(&all[b->update[i].value.id], b->graph->nodes[b->update[i].variable.id]->tensor,
                  who, -1 - i);
        restore(b, fresh);
    }
    for (int i = 0; i < b->outputs; i++)
        soma_tensor_release(first[i]);
    soma_session_destroy(session);
}

static soma_context *contexts[2];

static void destroy_contexts(void)
{
    soma_context_destroy(contexts[0]);
    soma_context_destroy(contexts[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    built made[3];
    soma_error err = {0};
    soma_status status[2];
    soma_plan *plan[2] = {0};
    if (!contexts[0]) {
        const soma_context_options reference = {.threads = 1, .isa = "reference"};
        const soma_context_options fast = {.threads = 1};
        must(soma_context_create(&contexts[0], &reference, &err) == SOMA_OK, err.message);
        must(soma_context_create(&contexts[1], &fast, &err) == SOMA_OK, err.message);
        atexit(destroy_contexts);
    }
    for (int i = 0; i < 3; i++)
        build(&made[i], data, size);
    bool sound = soma_graph_status(made[2].graph, NULL) == SOMA_OK;
    known *all = evaluate(&made[2]);
    if (all) {
        for (int i = 0; i < 2; i++)
            status[i] = soma_plan_create(&plan[i], contexts[i], made[i].output, made[i].outputs,
                                         made[i].update, made[i].updates, &err);
        must(status[0] == status[1], "the plans' statuses differ");
        must(sound || status[0] != SOMA_OK, "a faulty graph was planned");
        must(status[0] != SOMA_INTERNAL && status[0] != SOMA_MEMORY, err.message);
        for (int i = 0; i < 2 && status[0] == SOMA_OK; i++)
            run(&made[i], &made[2], plan[i], all, i ? "fast" : "reference");
        for (int i = 0; i < 2; i++)
            soma_plan_release(plan[i]);
        for (size_t id = 0; id < made[2].graph->count; id++)
            for (int k = 0; k <= NOISES; k++)
                soma_tensor_release(all[id].value[k]);
        free(all);
    }
    for (int i = 0; i < 3; i++)
        discard(&made[i]);
    return 0;
}
