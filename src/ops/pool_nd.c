/* pool_nd.c: pools that are composites of max_pool2d and avg_pool2d: over one and three axes, Lp,
 * adaptive and global ones, indices and unpooling.
 *
 * Windows are boxes, so three axes are pooled in two goes: height and width with the depths in the
 * batch, then depth with all the rest as channels. The first of equal cells stays the first. */
#include "ops/pool.h"

#include "ops/ops.h"

static const char *const image_dims[] = {NULL, "[N,L,C]", "[N,H,W,C]", "[N,D,H,W,C]"};

static soma_status check_images(soma__rule *rule, int dims)
{
    const soma_shape *x = &rule->in_shape[0];
    char text[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(soma__rule_float(rule, 0));
    bool fits = x->ndim == dims + 2;
    for (int d = 1; fits && d < x->ndim; d++)
        fits = x->dim[d] > 0;
    if (fits)
        return SOMA_OK;
    return soma__rule_fail(rule, SOMA_SHAPE, "x must be %s, with sizes of at least 1, but is %s",
                           image_dims[dims], soma_shape_text(x, text, sizeof text));
}

/* --- one go of pooling ------------------------------------------------------------------------ */

/* A pool over height and width of x, which is taken as [n,h,w,c]; adaptive with `to`. */
typedef struct go {
    const soma__op *op;
    const soma__pool_nd_attrs *nd; /* NULL: adaptive */
    int axes[2], dims;             /* of nd; -1: no window along it */
    int64_t to[2], divisor;
} go;

static soma_var pool(soma_var x, const go *g, const int64_t sizes[4])
{
    soma__pool_attrs attrs = {.size = {1, 1},
                              .stride = {1, 1},
                              .dilation = {1, 1},
                              .adaptive = g->nd == NULL,
                              .divisor = g->divisor};
    for (int d = 0; d < 2; d++) {
        int a = g->axes[d];
        if (!g->nd)
            attrs.size[d] = g->to[d];
        if (!g->nd || a < 0)
            continue;
        attrs.size[d] = g->nd->size[a];
        attrs.stride[d] = g->nd->stride[a];
        attrs.dilation[d] = g->nd->dilation[a];
        attrs.pad[d] = g->nd->pad[a];
        attrs.pad[d + 2] = g->nd->pad[a + g->dims];
    }
    if (g->nd) {
        attrs.ceil = g->nd->ceil;
        attrs.count_pad = g->nd->count_pad;
    }
    x = soma_reshape(x, SOMA_SHAPE(sizes[0], sizes[1], sizes[2], sizes[3]));
    return soma__graph_add(NULL, g->op, &x, 1, &attrs);
}

/* Pools the image axes of x by `nd`, or to the sizes `to`. */
static soma_var pool_axes(soma_var x, const soma__op *op, const soma__pool_nd_attrs *nd, int dims,
                          const int64_t *to)
{
    if (!soma_var_ok(x))
        return soma__failed(x);
    const soma_shape s = soma_var_shape(x);
    const int64_t divisor = nd ? nd->divisor : 0;
    if (dims == 1) {
        go line = {op, nd, {0, -1}, 1, {to ? to[0] : 1, 1}, divisor};
        soma_var y = pool(x, &line, (int64_t[]){s.dim[0], s.dim[1], 1, s.dim[2]});
        return soma_reshape(y, SOMA_SHAPE(s.dim[0], soma_var_shape(y).dim[1], s.dim[2]));
    }
    if (dims == 2) {
        go image = {op, nd, {0, 1}, 2, {to ? to[0] : 1, to ? to[1] : 1}, divisor};
        return pool(x, &image, s.dim);
    }
    /* With a divisor of its own the first go is to give sums. */
    go images = {op, nd, {1, 2}, 3, {to ? to[1] : 1, to ? to[2] : 1}, divisor ? 1 : 0};
    soma_var y = pool(x, &images, (int64_t[]){s.dim[0] * s.dim[1], s.dim[2], s.dim[3], s.dim[4]});
    const soma_shape flat = soma_var_shape(y);
    const int64_t rest = flat.dim[1] * flat.dim[2] * flat.dim[3];
    go depth = {op, nd, {0, -1}, 3, {to ? to[0] : 1, 1}, divisor};
    y = pool(y, &depth, (int64_t[]){s.dim[0], s.dim[1], 1, rest});
    return soma_reshape(
        y, SOMA_SHAPE(s.dim[0], soma_var_shape(y).dim[1], flat.dim[1], flat.dim[2], flat.dim[3]));
}

/* --- max, average and Lp ---------------------------------------------------------------------- */

static soma_status pool_rule(soma__rule *rule, int dims)
{
    soma__pool_nd_attrs *attrs = rule->attrs;
    SOMA__TRY(check_images(rule, dims));
    if (attrs->divisor < 0)
        return soma__rule_fail(rule, SOMA_INVALID, "divisor %lld is negative",
                               (long long)attrs->divisor);
    if (!(attrs->p >= 1) || isinf(attrs->p))
        return soma__rule_fail(rule, SOMA_INVALID, "p %g must be a number of at least 1", attrs->p);
    attrs->ceil = attrs->ceil != 0;
    attrs->count_pad = attrs->count_pad != 0;
    const soma__window window = {.what = "window",
                                 .dims = dims,
                                 .input = &rule->in_shape[0].dim[1],
                                 .size = attrs->size,
                                 .stride = attrs->stride,
                                 .dilation = attrs->dilation,
                                 .pad = attrs->pad,
                                 .padding = &attrs->padding,
                                 .ceil = attrs->ceil};
    return soma__pool_resolve(rule, &window, &rule->shape.dim[1]);
}

static soma_var zero_of(soma_var x)
{
    return soma_scalar(x.graph, soma_var_dtype(x), 0);
}

/* |x|^p, whose parts have gradients at 0. */
static soma_var power(soma_var x, double p)
{
    if (p <= 1)
        return soma_abs(x);
    return p == 2 ? soma_square(x) : soma_pow_scalar(soma_abs(x), p);
}

/* x^(1/p) for x >= 0, with gradient 0 at 0, where it has none. */
static soma_var root(soma_var x, double p)
{
    if (p <= 1)
        return x;
    soma_var none = soma_equal(x, zero_of(x));
    soma_var base = soma_where(none, soma_scalar(x.graph, soma_var_dtype(x), 1), x);
    soma_var y = p == 2 ? soma_sqrt(base) : soma_pow_scalar(base, 1 / p);
    return soma_where(none, zero_of(x), y);
}

static soma_var max_axes(soma_var x, const soma__pool_nd_attrs *attrs, int dims)
{
    soma__pool_nd_attrs plain = *attrs;
    plain.count_pad = plain.divisor = 0; /* which mean nothing here */
    return pool_axes(x, &soma__op_max_pool2d, &plain, dims, NULL);
}

static soma_var avg_axes(soma_var x, const soma__pool_nd_attrs *attrs, int dims)
{
    return pool_axes(x, &soma__op_avg_pool2d, attrs, dims, NULL);
}

static soma_var lp_axes(soma_var x, const soma__pool_nd_attrs *attrs, int dims)
{
    soma__pool_nd_attrs sums = *attrs;
    sums.divisor = 1;
    return root(avg_axes(power(x, attrs->p), &sums, dims), attrs->p);
}

static soma_var add(const soma__op *op, soma_var x, const soma_pool_nd_options *o, int dims)
{
    soma__pool_nd_attrs attrs = {.ceil = o->ceil_mode,
                                 .count_pad = o->count_pad,
                                 .divisor = o->divisor,
                                 .padding = (int64_t)o->padding,
                                 .p = o->p != 0 ? o->p : 2};
    for (int d = 0; d < dims; d++) {
        attrs.size[d] = o->size[d];
        attrs.stride[d] = o->stride[d] ? o->stride[d] : o->size[d];
        attrs.dilation[d] = o->dilation[d] ? o->dilation[d] : 1;
        attrs.pad[d] = o->pad[d];
        attrs.pad[d + dims] = o->pad[d + dims];
    }
    return soma__graph_add(NULL, op, &x, 1, &attrs);
}

#define ATTR(name_, kind_, count_, doc_)                                                           \
    {                                                                                              \
#name_, kind_, offsetof(soma__pool_nd_attrs, name_), count_, doc_                          \
    }
#define GEOMETRY                                                                                   \
    ATTR(size, SOMA__ATTR_INT, 3, "of the window, along each image axis"),                         \
        ATTR(stride, SOMA__ATTR_INT, 3, "of each image axis"),                                     \
        ATTR(dilation, SOMA__ATTR_INT, 3, "of each image axis"),                                   \
        ATTR(pad, SOMA__ATTR_INT, 6, "begins of the image axes, then their ends"),                 \
        ATTR(ceil, SOMA__ATTR_BOOL, 1, "the last window may reach beyond the padding")
static const soma__attr max_attrs[] = {GEOMETRY, {0}};
static const soma__attr avg_attrs[] = {
    GEOMETRY,
    ATTR(count_pad, SOMA__ATTR_BOOL, 1, "padded cells count in the divisor"),
    ATTR(divisor, SOMA__ATTR_INT, 1, "instead of the number of cells; 0: that number"),
    {0}};
static const soma__attr lp_attrs[] = {GEOMETRY, ATTR(p, SOMA__ATTR_FLOAT, 1, "of the norm"), {0}};

#define POOL_ND(name_, kind_, dims_, doc_)                                                         \
    static soma_status name_##_rule(soma__rule *rule)                                              \
    {                                                                                              \
        return pool_rule(rule, dims_);                                                             \
    }                                                                                              \
    static soma_var name_##_decompose(soma_graph *graph, const soma_var *in, int nin,              \
                                      const void *attrs)                                           \
    {                                                                                              \
        (void)graph, (void)nin;                                                                    \
        return kind_##_axes(in[0], attrs, dims_);                                                  \
    }                                                                                              \
    const soma__op soma__op_##name_ = {.name = #name_,                                             \
                                       .family = "pool_nd",                                        \
                                       .doc = doc_,                                                \
                                       .inputs = "x",                                              \
                                       .min_inputs = 1,                                            \
                                       .max_inputs = 1,                                            \
                                       .attr_size = sizeof(soma__pool_nd_attrs),                   \
                                       .attrs = kind_##_attrs,                                     \
                                       .rule = name_##_rule,                                       \
                                       .decompose = name_##_decompose};                            \
    soma_var soma_##name_##_opt(soma_var x, soma_pool_nd_options options)                          \
    {                                                                                              \
        return add(&soma__op_##name_, x, &options, dims_);                                         \
    }

POOL_ND(max_pool1d, max, 1, "x [N,L,C] -> [N,Lo,C], the largest of each window")
POOL_ND(max_pool3d, max, 3, "x [N,D,H,W,C] -> [N,Do,Ho,Wo,C], the largest of each window")
POOL_ND(avg_pool1d, avg, 1, "x [N,L,C] -> [N,Lo,C], the mean of each window")
POOL_ND(avg_pool3d, avg, 3, "x [N,D,H,W,C] -> [N,Do,Ho,Wo,C], the mean of each window")
POOL_ND(lp_pool1d, lp, 1, "x [N,L,C] -> [N,Lo,C], (sum |x|^p)^(1/p) of each window")
POOL_ND(lp_pool2d, lp, 2, "x [N,H,W,C] -> [N,Ho,Wo,C], (sum |x|^p)^(1/p) of each window")
POOL_ND(lp_pool3d, lp, 3, "x [N,D,H,W,C] -> [N,Do,Ho,Wo,C], (sum |x|^p)^(1/p) of each window")

/* --- adaptive --------------------------------------------------------------------------------- */

static soma_status adaptive_rule(soma__rule *rule)
{
    const soma__adaptive_attrs *attrs = rule->attrs;
    if (attrs->count < 1 || attrs->count > 3)
        return soma__rule_fail(rule, SOMA_INVALID, "%lld image axes; there are 1 to 3",
                               (long long)attrs->count);
    SOMA__TRY(check_images(rule, (int)attrs->count));
    for (int d = 0; d < attrs->count; d++) {
        if (attrs->size[d] < 1)
            return soma__rule_fail(rule, SOMA_INVALID, "size %lld must be at least 1",
                                   (long long)attrs->size[d]);
        rule->shape.dim[d + 1] = attrs->size[d];
    }
    return SOMA_OK;
}

#define ADAPTIVE(name_, pool_, doc_)                                                               \
    static soma_var name_##_decompose(soma_graph *graph, const soma_var *in, int nin,              \
                                      const void *attrs)                                           \
    {                                                                                              \
        const soma__adaptive_attrs *a = attrs;                                                     \
        (void)graph, (void)nin;                                                                    \
        return pool_axes(in[0], &pool_, NULL, (int)a->count, a->size);                             \
    }                                                                                              \
    const soma__op soma__op_##name_ = {.name = #name_,                                             \
                                       .family = "pool_nd",                                        \
                                       .doc = doc_,                                                \
                                       .inputs = "x",                                              \
                                       .min_inputs = 1,                                            \
                                       .max_inputs = 1,                                            \
                                       .attr_size = sizeof(soma__adaptive_attrs),                  \
                                       .attrs = adaptive_attrs,                                    \
                                       .rule = adaptive_rule,                                      \
                                       .decompose = name_##_decompose};                            \
    soma_var soma_##name_(soma_var x, const int64_t *size, int count)                              \
    {                                                                                              \
        soma__adaptive_attrs attrs = {.count = count};                                             \
        for (int d = 0; d < count && d < 3; d++)                                                   \
            attrs.size[d] = size[d];                                                               \
        return soma__graph_add(NULL, &soma__op_##name_, &x, 1, &attrs);                            \
    }

static const soma__attr adaptive_attrs[] = {
    {"count", SOMA__ATTR_INT, offsetof(soma__adaptive_attrs, count), 1, "of image axes"},
    {"size", SOMA__ATTR_INT, offsetof(soma__adaptive_attrs, size), 3, "of y along each of them"},
    {0}};

ADAPTIVE(adaptive_max_pool, soma__op_max_pool2d,
         "x [N,…,C] -> [N,size…,C], the largest of each of so many even windows")
ADAPTIVE(adaptive_avg_pool, soma__op_avg_pool2d,
         "x [N,…,C] -> [N,size…,C], the mean of each of so many even windows")

/* --- global ----------------------------------------------------------------------------------- */

static soma_status global_rule(soma__rule *rule)
{
    const soma__global_attrs *attrs = rule->attrs;
    const soma_shape x = rule->in_shape[0];
    if (x.ndim < 3 || x.ndim > 5) {
        char text[SOMA_SHAPE_TEXT_SIZE];
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "x must be [N,…,C] with 1 to 3 image axes, but is %s",
                               soma_shape_text(&x, text, sizeof text));
    }
    SOMA__TRY(check_images(rule, x.ndim - 2));
    if (!(attrs->p >= 1) || isinf(attrs->p))
        return soma__rule_fail(rule, SOMA_INVALID, "p %g must be a number of at least 1", attrs->p);
    rule->shape = SOMA_SHAPE(x.dim[0], x.dim[x.ndim - 1]);
    return SOMA_OK;
}

static soma_reduce_options image_axes(soma_var x)
{
    soma_reduce_options options = {.count = soma_var_shape(x).ndim - 2};
    for (int d = 0; d < options.count; d++)
        options.axes[d] = d + 1;
    return options;
}

static soma_var global_max(soma_var x, double p)
{
    (void)p;
    return soma_max_opt(x, image_axes(x));
}

static soma_var global_avg(soma_var x, double p)
{
    (void)p;
    return soma_mean_opt(x, image_axes(x));
}

static soma_var global_lp(soma_var x, double p)
{
    return root(soma_sum_opt(power(x, p), image_axes(x)), p);
}

#define GLOBAL(name_, kind_, attrs_, doc_)                                                         \
    static soma_var name_##_decompose(soma_graph *graph, const soma_var *in, int nin,              \
                                      const void *attrs)                                           \
    {                                                                                              \
        const soma__global_attrs *a = attrs;                                                       \
        (void)graph, (void)nin;                                                                    \
        return kind_(in[0], a->p);                                                                 \
    }                                                                                              \
    const soma__op soma__op_##name_ = {.name = #name_,                                             \
                                       .family = "pool_nd",                                        \
                                       .doc = doc_,                                                \
                                       .inputs = "x",                                              \
                                       .min_inputs = 1,                                            \
                                       .max_inputs = 1,                                            \
                                       .attr_size = sizeof(soma__global_attrs),                    \
                                       .attrs = attrs_,                                            \
                                       .rule = global_rule,                                        \
                                       .decompose = name_##_decompose};

static const soma__attr global_lp_attrs[] = {
    {"p", SOMA__ATTR_FLOAT, offsetof(soma__global_attrs, p), 1, "of the norm"}, {0}};

GLOBAL(global_max_pool, global_max, NULL, "x [N,…,C] -> [N,C], the largest of each channel")
GLOBAL(global_avg_pool, global_avg, NULL, "x [N,…,C] -> [N,C], the mean of each channel")
GLOBAL(global_lp_pool, global_lp, global_lp_attrs,
       "x [N,…,C] -> [N,C], (sum |x|^p)^(1/p) of each channel")

static soma_var add_global(const soma__op *op, soma_var x, double p)
{
    const soma__global_attrs attrs = {p};
    return soma__graph_add(NULL, op, &x, 1, &attrs);
}

soma_var soma_global_max_pool(soma_var x)
{
    return add_global(&soma__op_global_max_pool, x, 1);
}

soma_var soma_global_avg_pool(soma_var x)
{
    return add_global(&soma__op_global_avg_pool, x, 1);
}

soma_var soma_global_lp_pool(soma_var x, double p)
{
    return add_global(&soma__op_global_lp_pool, x, p);
}

/* --- indices and back ------------------------------------------------------------------------- */

static soma_status indices_rule(soma__rule *rule)
{
    SOMA__TRY(soma__pool_rule(rule));
    rule->dtype = SOMA_I64;
    return SOMA_OK;
}

/* The pick of the cells' own numbers, in a float that holds them exactly. */
static soma_var indices_decompose(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    const soma_shape s = soma_var_shape(in[0]);
    const int64_t cells = s.dim[1] * s.dim[2];
    const soma_dtype dtype =
        soma_var_dtype(in[0]) == SOMA_F64 || cells > (1 << 24) ? SOMA_F64 : SOMA_F32;
    soma_tensor *numbers;
    (void)nin;
    if (soma_tensor_create(&numbers, dtype, SOMA_SHAPE(1, s.dim[1], s.dim[2], 1), &graph->error))
        return soma__failed(in[0]);
    for (int64_t i = 0; i < cells; i++)
        soma_tensor_set(numbers, i, (double)i);
    soma_var each = soma_expand(soma__constant_of(graph, numbers), s);
    soma_var both[2] = {soma_stop_gradient(soma_cast(in[0], dtype)), each};
    soma_var y = soma__graph_add(NULL, &soma__op_max_pool2d_pick, both, 2, attrs);
    return soma_cast(y, SOMA_I64);
}

const soma__op soma__op_max_pool2d_indices = {
    .name = "max_pool2d_indices",
    .family = "pool_nd",
    .doc = "x [N,H,W,C] -> i64 [N,Ho,Wo,C], h W + w of the first largest cell of each window",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__pool_attrs),
    .attrs =
        (const soma__attr[]){
            {"size", SOMA__ATTR_INT, offsetof(soma__pool_attrs, size), 2, "height, width"},
            {"stride", SOMA__ATTR_INT, offsetof(soma__pool_attrs, stride), 2, "height, width"},
            {"dilation", SOMA__ATTR_INT, offsetof(soma__pool_attrs, dilation), 2, "height, width"},
            {"pad", SOMA__ATTR_INT, offsetof(soma__pool_attrs, pad), 4, "top, left, bottom, right"},
            {"ceil", SOMA__ATTR_BOOL, offsetof(soma__pool_attrs, ceil), 1,
             "the last window may reach beyond the padding"},
            {0}},
    .rule = indices_rule,
    .decompose = indices_decompose,
};

soma_var soma_max_pool2d_indices_opt(soma_var x, soma_pool_options options)
{
    options.count_pad = false;
    options.divisor = 0;
    return soma__pool_add(&soma__op_max_pool2d_indices, x, &options);
}

static soma_status unpool_rule(soma__rule *rule)
{
    const soma__unpool_attrs *attrs = rule->attrs;
    char tx[SOMA_SHAPE_TEXT_SIZE], ti[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(check_images(rule, 2));
    SOMA__TRY(soma__rule_integer(rule, 1));
    if (!soma_shape_equal(&rule->in_shape[0], &rule->in_shape[1]))
        return soma__rule_fail(rule, SOMA_SHAPE, "x %s and indices %s must have one shape",
                               soma_shape_text(&rule->in_shape[0], tx, sizeof tx),
                               soma_shape_text(&rule->in_shape[1], ti, sizeof ti));
    if (attrs->size[0] < 1 || attrs->size[1] < 1)
        return soma__rule_fail(rule, SOMA_INVALID, "bad size %lldx%lld of the result",
                               (long long)attrs->size[0], (long long)attrs->size[1]);
    rule->shape.dim[1] = attrs->size[0];
    rule->shape.dim[2] = attrs->size[1];
    return SOMA_OK;
}

/* An index counts cells of one channel of one image; here it becomes one of all elements of y. */
static soma_var unpool_decompose(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    const soma__unpool_attrs *a = attrs;
    const soma_shape s = soma_var_shape(in[0]);
    const int64_t n = s.dim[0], c = s.dim[3], cells = a->size[0] * a->size[1];
    int64_t count = n * s.dim[1] * s.dim[2] * c;
    soma_tensor *firsts;
    (void)nin;
    if (soma_tensor_create(&firsts, SOMA_I64, SOMA_SHAPE(n, 1, 1, c), &graph->error))
        return soma__failed(in[0]);
    int64_t *first = soma_tensor_data(firsts);
    for (int64_t i = 0; i < n * c; i++)
        first[i] = i / c * cells * c + i % c;
    soma_var index = soma_cast(in[1], SOMA_I64);
    soma_var inside =
        soma_logical_and(soma_less_equal(soma_scalar(graph, SOMA_I64, 0), index),
                         soma_less(index, soma_scalar(graph, SOMA_I64, (double)cells)));
    soma_var flat = soma_add(soma_mul(index, soma_scalar(graph, SOMA_I64, (double)c)),
                             soma__constant_of(graph, firsts));
    flat = soma_where(inside, flat, soma_scalar(graph, SOMA_I64, -1));
    flat = soma_reshape(flat, SOMA_SHAPE(count));
    soma_var sums =
        soma_scatter_add(soma_reshape(in[0], SOMA_SHAPE(count)), flat, 0, n * cells * c);
    soma_var one = soma_scalar(graph, soma_var_dtype(in[0]), 1);
    soma_var times = soma_scatter_add(soma_expand(one, SOMA_SHAPE(count)), flat, 0, n * cells * c);
    return soma_reshape(soma_div(sums, soma_maximum(times, one)),
                        SOMA_SHAPE(n, a->size[0], a->size[1], c));
}

const soma__op soma__op_max_unpool2d = {
    .name = "max_unpool2d",
    .family = "pool_nd",
    .doc = "x, indices [N,h,w,C] -> [N,H,W,C], zeros but x at its indices h W + w",
    .inputs = "x indices",
    .min_inputs = 2,
    .max_inputs = 2,
    .attr_size = sizeof(soma__unpool_attrs),
    .attrs = (const soma__attr[]){{"size", SOMA__ATTR_INT, offsetof(soma__unpool_attrs, size), 2,
                                   "height, width of the result"},
                                  {0}},
    .rule = unpool_rule,
    .decompose = unpool_decompose,
};

soma_var soma_max_unpool2d(soma_var x, soma_var indices, int64_t height, int64_t width)
{
    const soma__unpool_attrs attrs = {.size = {height, width}};
    return soma__graph_add(NULL, &soma__op_max_unpool2d, (soma_var[]){x, indices}, 2, &attrs);
}
