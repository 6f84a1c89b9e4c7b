/* conv.c: the 2-D convolution and its two gradients.
 *
 * y = conv2d(x, w) is linear in x and in w. Its gradients are
 *     dx = conv2d_input_grad(dy, w)    the transpose of x -> y
 *     dw = conv2d_weight_grad(x, dy)   the transpose of w -> y
 * and, as all three are linear in both operands, their own gradients are again among the three:
 * gradients of any order come out of these rules. */
#include "ops/attrs.h"
#include "ops/ops.h"
#include "ops/precision.h"
#include "ops/window.h"

/* --- shapes ----------------------------------------------------------------------------------- */

/* The shapes of x, w and y of one conv. */
typedef struct conv_shapes {
    soma_shape x, w, y;
} conv_shapes;

static soma_status check_images(soma__rule *rule, const char *what, const soma_shape *shape,
                                const char *dims)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    bool fits = shape->ndim == 4;
    for (int d = 1; fits && d < 4; d++)
        fits = shape->dim[d] > 0;
    if (fits)
        return SOMA_OK;
    return soma__rule_fail(rule, SOMA_SHAPE, "%s must be %s, with sizes of at least 1, but is %s",
                           what, dims, soma_shape_text(shape, text, sizeof(text)));
}

/* Given x and w, checks the attributes and fills in y. */
static soma_status resolve(soma__rule *rule, conv_shapes *s)
{
    soma__conv_attrs *attrs = rule->attrs;
    const soma_shape *x = &s->x, *w = &s->w;
    char tx[SOMA_SHAPE_TEXT_SIZE], tw[SOMA_SHAPE_TEXT_SIZE];
    int64_t channels, count, output[2];
    soma_shape_text(x, tx, sizeof(tx));
    soma_shape_text(w, tw, sizeof(tw));
    if (attrs->groups < 1)
        return soma__rule_fail(rule, SOMA_INVALID, "groups %lld must be at least 1",
                               (long long)attrs->groups);
    if (!soma__mul64(w->dim[3], attrs->groups, &channels))
        return soma__rule_fail(rule, SOMA_INVALID, "groups %lld is too large",
                               (long long)attrs->groups);
    if (channels != x->dim[3])
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "input has %lld channels, weight expects %lld (groups %lld): x %s, "
                               "w %s",
                               (long long)x->dim[3], (long long)channels, (long long)attrs->groups,
                               tx, tw);
    if (w->dim[0] % attrs->groups != 0)
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "%lld output channels do not divide into %lld groups",
                               (long long)w->dim[0], (long long)attrs->groups);
    const soma__window window = {.what = "kernel",
                                 .dims = 2,
                                 .input = &x->dim[1],
                                 .size = &w->dim[1],
                                 .stride = attrs->stride,
                                 .dilation = attrs->dilation,
                                 .pad = attrs->pad,
                                 .padding = &attrs->padding};
    SOMA__TRY(soma__window_resolve(rule, &window, output));
    s->y = SOMA_SHAPE(x->dim[0], output[0], output[1], w->dim[0]);
    if (!soma__shape_count(&s->y, &count))
        return soma__rule_fail(rule, SOMA_SHAPE, "the output of x %s and w %s is too large", tx,
                               tw);
    return SOMA_OK;
}

static soma_status conv2d_rule(soma__rule *rule)
{
    conv_shapes s = {.x = rule->in_shape[0], .w = rule->in_shape[1]};
    soma__conv_attrs *attrs = rule->attrs;
    SOMA__TRY(soma__rule_precision(rule, attrs->precision));
    SOMA__TRY(check_images(rule, "x", &s.x, "[N,H,W,C]"));
    SOMA__TRY(check_images(rule, "w", &s.w, "[O,kh,kw,C/groups]"));
    if (s.w.dim[0] < 1)
        return soma__rule_fail(rule, SOMA_SHAPE, "w has no output channels");
    attrs->size[0] = attrs->size[1] = 0;
    SOMA__TRY(resolve(rule, &s));
    rule->shape = s.y;
    return SOMA_OK;
}

static soma_status integer_rule(soma__rule *rule)
{
    conv_shapes s = {.x = rule->in_shape[0], .w = rule->in_shape[1]};
    SOMA__TRY(check_images(rule, "x", &s.x, "[N,H,W,C]"));
    SOMA__TRY(check_images(rule, "w", &s.w, "[O,kh,kw,C/groups]"));
    if (s.w.dim[0] < 1)
        return soma__rule_fail(rule, SOMA_SHAPE, "w has no output channels");
    SOMA__TRY(soma__rule_bytes(rule, s.w.dim[0]));
    SOMA__TRY(resolve(rule, &s));
    rule->shape = s.y;
    return SOMA_OK;
}

static soma_status check_dy(soma__rule *rule, const conv_shapes *s, const soma_shape *dy)
{
    char got[SOMA_SHAPE_TEXT_SIZE], want[SOMA_SHAPE_TEXT_SIZE];
    if (soma_shape_equal(&s->y, dy))
        return SOMA_OK;
    return soma__rule_fail(rule, SOMA_SHAPE, "dy is %s, but the conv's output is %s",
                           soma_shape_text(dy, got, sizeof(got)),
                           soma_shape_text(&s->y, want, sizeof(want)));
}

static soma_status input_grad_rule(soma__rule *rule)
{
    soma__conv_attrs *attrs = rule->attrs;
    const soma_shape *dy = &rule->in_shape[0];
    conv_shapes s = {.w = rule->in_shape[1]};
    int64_t channels, count;
    SOMA__TRY(soma__rule_precision(rule, attrs->precision));
    SOMA__TRY(check_images(rule, "dy", dy, "[N,Ho,Wo,O]"));
    SOMA__TRY(check_images(rule, "w", &s.w, "[O,kh,kw,C/groups]"));
    if (attrs->groups < 1 || !soma__mul64(s.w.dim[3], attrs->groups, &channels))
        return soma__rule_fail(rule, SOMA_INVALID, "bad groups %lld", (long long)attrs->groups);
    s.x = SOMA_SHAPE(dy->dim[0], attrs->size[0], attrs->size[1], channels);
    if (!soma__shape_count(&s.x, &count))
        return soma__rule_fail(rule, SOMA_SHAPE, "bad size %lldx%lld of the conv's input",
                               (long long)attrs->size[0], (long long)attrs->size[1]);
    SOMA__TRY(resolve(rule, &s));
    SOMA__TRY(check_dy(rule, &s, dy));
    rule->shape = s.x;
    return SOMA_OK;
}

static soma_status weight_grad_rule(soma__rule *rule)
{
    soma__conv_attrs *attrs = rule->attrs;
    const soma_shape *dy = &rule->in_shape[1];
    conv_shapes s = {.x = rule->in_shape[0]};
    int64_t count;
    SOMA__TRY(soma__rule_precision(rule, attrs->precision));
    SOMA__TRY(check_images(rule, "x", &s.x, "[N,H,W,C]"));
    SOMA__TRY(check_images(rule, "dy", dy, "[N,Ho,Wo,O]"));
    if (attrs->groups < 1 || s.x.dim[3] % attrs->groups != 0)
        return soma__rule_fail(rule, SOMA_SHAPE, "%lld channels do not divide into %lld groups",
                               (long long)s.x.dim[3], (long long)attrs->groups);
    s.w = SOMA_SHAPE(dy->dim[3], attrs->size[0], attrs->size[1], s.x.dim[3] / attrs->groups);
    if (!soma__shape_count(&s.w, &count))
        return soma__rule_fail(rule, SOMA_SHAPE, "bad kernel size %lldx%lld",
                               (long long)attrs->size[0], (long long)attrs->size[1]);
    SOMA__TRY(resolve(rule, &s));
    SOMA__TRY(check_dy(rule, &s, dy));
    rule->shape = s.w;
    return SOMA_OK;
}

/* --- builders and gradients ------------------------------------------------------------------- */

static soma__conv_attrs attrs_of(const soma_conv_options *options)
{
    soma__conv_attrs attrs = {.groups = options->groups ? options->groups : 1,
                              .padding = (int64_t)options->padding,
                              .precision = (int64_t)options->precision};
    for (int d = 0; d < 2; d++) {
        attrs.stride[d] = options->stride[d] ? options->stride[d] : 1;
        attrs.dilation[d] = options->dilation[d] ? options->dilation[d] : 1;
    }
    for (int i = 0; i < 4; i++)
        attrs.pad[i] = options->pad[i];
    return attrs;
}

soma_var soma_conv2d_integer_opt(soma_var x, soma_var w, soma_var x_zero, soma_var w_zero,
                                 soma_conv_options options)
{
    soma__conv_attrs attrs = attrs_of(&options);
    attrs.precision = 0; /* it has but one */
    const soma_var in[4] = {x, w, x_zero, w_zero};
    return soma__graph_add(x.graph, &soma__op_conv2d_integer, in, 4, &attrs);
}

soma_var soma_conv2d_opt(soma_var x, soma_var w, soma_conv_options options)
{
    soma__conv_attrs attrs = attrs_of(&options);
    x = soma__at_precision(x, attrs.precision);
    return soma__graph_add(NULL, &soma__op_conv2d, (soma_var[]){x, w}, 2, &attrs);
}

/* The three ops with the geometry of `of`, as gradients of `like`, in its dtype; each takes from
 * the shape of `like` the sizes that its operands do not tell. */
static soma_var gradient_of(const soma__op *op, soma_var a, soma_var b,
                            const soma__conv_attrs *attrs, soma_var like)
{
    soma_var gradient = soma__graph_add(NULL, op, (soma_var[]){a, b}, 2, attrs);
    return soma_cast(gradient, soma_var_dtype(like));
}
static soma_var forward(soma_var x, soma_var w, const soma__conv_attrs *of, soma_var like)
{
    soma__conv_attrs attrs = *of;
    attrs.size[0] = attrs.size[1] = 0;
    return gradient_of(&soma__op_conv2d, x, w, &attrs, like);
}
static soma_var input_grad(soma_var dy, soma_var w, const soma__conv_attrs *of, soma_var like)
{
    soma__conv_attrs attrs = *of;
    soma_shape x = soma_var_shape(like);
    attrs.size[0] = x.dim[1];
    attrs.size[1] = x.dim[2];
    return gradient_of(&soma__op_conv2d_input_grad, dy, w, &attrs, like);
}
static soma_var weight_grad(soma_var x, soma_var dy, const soma__conv_attrs *of, soma_var like)
{
    soma__conv_attrs attrs = *of;
    soma_shape w = soma_var_shape(like);
    attrs.size[0] = w.dim[1];
    attrs.size[1] = w.dim[2];
    return gradient_of(&soma__op_conv2d_weight_grad, x, dy, &attrs, like);
}

/* What comes from above, rounded once for both products that it enters. */
static soma_var incoming(const soma__grad *grad)
{
    const soma__conv_attrs *attrs = grad->attrs;
    return soma__at_precision(grad->dout, attrs->precision);
}

static void conv2d_gradient(soma__grad *grad)
{
    soma_var x = grad->in[0], w = grad->in[1], dout = incoming(grad);
    if (grad->need[0])
        grad->din[0] = input_grad(dout, w, grad->attrs, x);
    if (grad->need[1])
        grad->din[1] = weight_grad(x, dout, grad->attrs, w);
}

/* out = input_grad(dy, w) has the shape of x, and so has its own gradient: it takes x's place. */
static void input_grad_gradient(soma__grad *grad)
{
    soma_var dy = grad->in[0], w = grad->in[1], dout = incoming(grad);
    if (grad->need[0])
        grad->din[0] = forward(dout, w, grad->attrs, dy);
    if (grad->need[1])
        grad->din[1] = weight_grad(dout, dy, grad->attrs, w);
}

/* out = weight_grad(x, dy) has the shape of w, and its gradient takes w's place. */
static void weight_grad_gradient(soma__grad *grad)
{
    soma_var x = grad->in[0], dy = grad->in[1], dout = incoming(grad);
    if (grad->need[0])
        grad->din[0] = input_grad(dy, dout, grad->attrs, x);
    if (grad->need[1])
        grad->din[1] = forward(x, dout, grad->attrs, dy);
}

/* --- reference kernels ------------------------------------------------------------------------ */

/* The sizes of a conv, under the names of the loops. Channels are numbered within a group. */
typedef struct conv_sizes {
    int64_t N, H, W, C, O, kh, kw, Ho, Wo; /* C, O: all channels */
    int64_t group_c, group_o;              /* channels of a group */
} conv_sizes;

static conv_sizes sizes_of(const soma_shape *x, const soma_shape *w, const soma_shape *y,
                           int64_t groups)
{
    return (conv_sizes){
        .N = x->dim[0],
        .H = x->dim[1],
        .W = x->dim[2],
        .C = x->dim[3],
        .O = w->dim[0],
        .kh = w->dim[1],
        .kw = w->dim[2],
        .Ho = y->dim[1],
        .Wo = y->dim[2],
        .group_c = w->dim[3],
        .group_o = w->dim[0] / groups,
    };
}

/* The sum over the kernel's cells and the group's channels for one output cell. */
static double conv2d_cell(const soma__call *call, const conv_sizes *s, int64_t n, int64_t i,
                          int64_t j, int64_t o)
{
    const soma__conv_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *w = &call->in[1];
    int64_t first = o / s->group_o * s->group_c;
    double sum = 0;
    for (int64_t u = 0; u < s->kh; u++) {
        int64_t h = i * attrs->stride[0] - attrs->pad[0] + u * attrs->dilation[0];
        if (h < 0 || h >= s->H)
            continue;
        for (int64_t v = 0; v < s->kw; v++) {
            int64_t col = j * attrs->stride[1] - attrs->pad[1] + v * attrs->dilation[1];
            if (col < 0 || col >= s->W)
                continue;
            int64_t x_at = ((n * s->H + h) * s->W + col) * s->C + first;
            int64_t w_at = ((o * s->kh + u) * s->kw + v) * s->group_c;
            for (int64_t c = 0; c < s->group_c; c++)
                sum += soma__load_at_precision(attrs->precision, x, x_at + c) *
                       soma__load_at_precision(attrs->precision, w, w_at + c);
        }
    }
    return sum;
}

static void conv2d_reference(const soma__call *call)
{
    const soma__conv_attrs *attrs = call->attrs;
    const soma__view *y = &call->out[0];
    conv_sizes s = sizes_of(&call->in[0].shape, &call->in[1].shape, &y->shape, attrs->groups);
    int64_t at = 0;
    for (int64_t n = 0; n < s.N; n++)
        for (int64_t i = 0; i < s.Ho; i++)
            for (int64_t j = 0; j < s.Wo; j++)
                for (int64_t o = 0; o < s.O; o++)
                    soma__store(y->dtype, y->data, at++, conv2d_cell(call, &s, n, i, j, o));
}

/* The same of bytes less their zeros. */
static int64_t integer_cell(const soma__call *call, const conv_sizes *s, int64_t n, int64_t i,
                            int64_t j, int64_t o)
{
    const soma__conv_attrs *attrs = call->attrs;
    const uint8_t *x = call->in[0].data, x_zero = *(const uint8_t *)call->in[2].data;
    const int8_t *w = call->in[1].data, *w_zero = call->in[3].data;
    const int8_t zero = w_zero[call->in[3].count > 1 ? o : 0];
    int64_t first = o / s->group_o * s->group_c, sum = 0;
    for (int64_t u = 0; u < s->kh; u++)
        for (int64_t v = 0; v < s->kw; v++) {
            int64_t h = i * attrs->stride[0] - attrs->pad[0] + u * attrs->dilation[0];
            int64_t col = j * attrs->stride[1] - attrs->pad[1] + v * attrs->dilation[1];
            if (h < 0 || h >= s->H || col < 0 || col >= s->W)
                continue;
            int64_t x_at = ((n * s->H + h) * s->W + col) * s->C + first;
            int64_t w_at = ((o * s->kh + u) * s->kw + v) * s->group_c;
            for (int64_t c = 0; c < s->group_c; c++)
                sum += (x[x_at + c] - x_zero) * (w[w_at + c] - zero);
        }
    return sum;
}

static void integer_reference(const soma__call *call)
{
    const soma__conv_attrs *attrs = call->attrs;
    const soma__view *y = &call->out[0];
    conv_sizes s = sizes_of(&call->in[0].shape, &call->in[1].shape, &y->shape, attrs->groups);
    int32_t *to = y->data;
    for (int64_t n = 0; n < s.N; n++)
        for (int64_t i = 0; i < s.Ho; i++)
            for (int64_t j = 0; j < s.Wo; j++)
                for (int64_t o = 0; o < s.O; o++)
                    *to++ = (int32_t)(uint32_t)integer_cell(call, &s, n, i, j, o);
}

/* The output position that read input position `at` through kernel cell `u`; -1 when none did. */
static int64_t reader(int64_t at, int64_t u, int64_t stride, int64_t dilation, int64_t pad,
                      int64_t outputs)
{
    int64_t t = at + pad - u * dilation;
    return t >= 0 && t % stride == 0 && t / stride < outputs ? t / stride : -1;
}

static double input_grad_cell(const soma__call *call, const conv_sizes *s, int64_t n, int64_t h,
                              int64_t col, int64_t c)
{
    const soma__conv_attrs *attrs = call->attrs;
    const soma__view *dy = &call->in[0], *w = &call->in[1];
    int64_t first = c / s->group_c * s->group_o; /* of the outputs that read this channel */
    double sum = 0;
    for (int64_t u = 0; u < s->kh; u++) {
        int64_t i = reader(h, u, attrs->stride[0], attrs->dilation[0], attrs->pad[0], s->Ho);
        if (i < 0)
            continue;
        for (int64_t v = 0; v < s->kw; v++) {
            int64_t j = reader(col, v, attrs->stride[1], attrs->dilation[1], attrs->pad[1], s->Wo);
            if (j < 0)
                continue;
            for (int64_t o = first; o < first + s->group_o; o++)
                sum += soma__load_at_precision(attrs->precision, dy,
                                               ((n * s->Ho + i) * s->Wo + j) * s->O + o) *
                       soma__load_at_precision(attrs->precision, w,
                                               ((o * s->kh + u) * s->kw + v) * s->group_c +
                                                   c % s->group_c);
        }
    }
    return sum;
}

static void input_grad_reference(const soma__call *call)
{
    const soma__conv_attrs *attrs = call->attrs;
    const soma__view *x = &call->out[0];
    conv_sizes s = sizes_of(&x->shape, &call->in[1].shape, &call->in[0].shape, attrs->groups);
    int64_t at = 0;
    for (int64_t n = 0; n < s.N; n++)
        for (int64_t h = 0; h < s.H; h++)
            for (int64_t col = 0; col < s.W; col++)
                for (int64_t c = 0; c < s.C; c++)
                    soma__store(x->dtype, x->data, at++, input_grad_cell(call, &s, n, h, col, c));
}

static double weight_grad_cell(const soma__call *call, const conv_sizes *s, int64_t o, int64_t u,
                               int64_t v, int64_t c)
{
    const soma__conv_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *dy = &call->in[1];
    int64_t channel = o / s->group_o * s->group_c + c;
    double sum = 0;
    for (int64_t n = 0; n < s->N; n++)
        for (int64_t i = 0; i < s->Ho; i++) {
            int64_t h = i * attrs->stride[0] - attrs->pad[0] + u * attrs->dilation[0];
            if (h < 0 || h >= s->H)
                continue;
            for (int64_t j = 0; j < s->Wo; j++) {
                int64_t col = j * attrs->stride[1] - attrs->pad[1] + v * attrs->dilation[1];
                if (col < 0 || col >= s->W)
                    continue;
                sum += soma__load_at_precision(attrs->precision, x,
                                               ((n * s->H + h) * s->W + col) * s->C + channel) *
                       soma__load_at_precision(attrs->precision, dy,
                                               ((n * s->Ho + i) * s->Wo + j) * s->O + o);
            }
        }
    return sum;
}

static void weight_grad_reference(const soma__call *call)
{
    const soma__conv_attrs *attrs = call->attrs;
    const soma__view *w = &call->out[0];
    conv_sizes s = sizes_of(&call->in[0].shape, &w->shape, &call->in[1].shape, attrs->groups);
    int64_t at = 0;
    for (int64_t o = 0; o < s.O; o++)
        for (int64_t u = 0; u < s.kh; u++)
            for (int64_t v = 0; v < s.kw; v++)
                for (int64_t c = 0; c < s.group_c; c++)
                    soma__store(w->dtype, w->data, at++, weight_grad_cell(call, &s, o, u, v, c));
}

/* --- cost ------------------------------------------------------------------------------------ */

/* A multiply and an add for each kernel cell and group channel of each output value, padded cells
 * included, as every library counts. All three ops do the same work. */
static double conv_flops(const soma__view *y, const soma__view *w)
{
    return 2 * (double)y->count * (double)w->shape.dim[1] * (double)w->shape.dim[2] *
           (double)w->shape.dim[3];
}
static double conv2d_flops(const soma__call *call)
{
    return conv_flops(&call->out[0], &call->in[1]);
}
static double input_grad_flops(const soma__call *call)
{
    return conv_flops(&call->in[0], &call->in[1]);
}
static double weight_grad_flops(const soma__call *call)
{
    return conv_flops(&call->in[1], &call->out[0]);
}

/* --- descriptors ------------------------------------------------------------------------------ */

#define WINDOWS                                                                                    \
    {"stride", SOMA__ATTR_INT, offsetof(soma__conv_attrs, stride), 2, "height, width"},            \
        {"dilation", SOMA__ATTR_INT, offsetof(soma__conv_attrs, dilation), 2, "height, width"},    \
        {"pad", SOMA__ATTR_INT, offsetof(soma__conv_attrs, pad), 4, "top, left, bottom, right"},   \
    {                                                                                              \
        "groups", SOMA__ATTR_INT, offsetof(soma__conv_attrs, groups), 1,                           \
            "channels fall into so many separate convs"                                            \
    }
#define GEOMETRY                                                                                   \
    WINDOWS,                                                                                       \
    {                                                                                              \
        "precision", SOMA__ATTR_DTYPE, offsetof(soma__conv_attrs, precision), 1,                   \
            "bf16: of the factors; sums and result are f32"                                        \
    }

static const soma__attr conv2d_attrs[] = {GEOMETRY, {0}};
static const soma__attr input_grad_attrs[] = {
    GEOMETRY,
    {"size", SOMA__ATTR_INT, offsetof(soma__conv_attrs, size), 2, "height, width of x"},
    {0},
};
static const soma__attr weight_grad_attrs[] = {
    GEOMETRY,
    {"size", SOMA__ATTR_INT, offsetof(soma__conv_attrs, size), 2, "height, width of the kernel"},
    {0},
};

const soma__op soma__op_conv2d = {
    .name = "conv2d",
    .family = "conv",
    .doc = "x [N,H,W,C] * w [O,kh,kw,C/groups] -> [N,Ho,Wo,O], cross-correlation",
    .inputs = "x w",
    .min_inputs = 2,
    .max_inputs = 2,
    .flags = SOMA__OP_EPILOGUE,
    .attr_size = sizeof(soma__conv_attrs),
    .attrs = conv2d_attrs,
    .rule = conv2d_rule,
    .gradient = conv2d_gradient,
    .reference = conv2d_reference,
    .flops = conv2d_flops,
};

const soma__op soma__op_conv2d_input_grad = {
    .name = "conv2d_input_grad",
    .family = "conv",
    .doc = "dy [N,Ho,Wo,O], w [O,kh,kw,C/groups] -> dx [N,H,W,C], transpose of conv2d in x",
    .inputs = "dy w",
    .min_inputs = 2,
    .max_inputs = 2,
    .flags = SOMA__OP_EPILOGUE,
    .attr_size = sizeof(soma__conv_attrs),
    .attrs = input_grad_attrs,
    .rule = input_grad_rule,
    .gradient = input_grad_gradient,
    .reference = input_grad_reference,
    .flops = input_grad_flops,
};

const soma__op soma__op_conv2d_weight_grad = {
    .name = "conv2d_weight_grad",
    .family = "conv",
    .doc = "x [N,H,W,C], dy [N,Ho,Wo,O] -> dw [O,kh,kw,C/groups], transpose of conv2d in w",
    .inputs = "x dy",
    .min_inputs = 2,
    .max_inputs = 2,
    .attr_size = sizeof(soma__conv_attrs),
    .attrs = weight_grad_attrs,
    .rule = weight_grad_rule,
    .gradient = weight_grad_gradient,
    .reference = weight_grad_reference,
    .flops = weight_grad_flops,
};

static const soma__attr integer_attrs[] = {WINDOWS, {0}};

const soma__op soma__op_conv2d_integer = {
    .name = "conv2d_integer",
    .family = "conv",
    .doc =
        "conv2d of x - x_zero and w - w_zero: u8 and i8 -> i32; outside of the image x is x_zero",
    .inputs = "x w x_zero w_zero",
    .min_inputs = 4,
    .max_inputs = 4,
    .attr_size = sizeof(soma__conv_attrs),
    .attrs = integer_attrs,
    .rule = integer_rule,
    .gradient = soma__grad_none,
    .reference = integer_reference,
    .flops = conv2d_flops,
};
