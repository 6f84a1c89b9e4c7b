/* attention.c: scaled dot-product attention (Vaswani et al. 2017) without the matrix of scores in
 * memory: the result carries the logarithm of each row's sum, from which the gradients compute the
 * scores again, block by block (Dao et al. 2022). And rotary positions. */
#include "ops/attention.h"

#include <string.h>

#include "ops/ops.h"

/* --- rules -------------------------------------------------------------------------------------
 */

static soma_status check_floats(soma__rule *rule, int count)
{
    for (int i = 0; i < count; i++) {
        SOMA__TRY(soma__rule_float(rule, i));
        if (rule->in_dtype[i] != rule->in_dtype[0])
            return soma__rule_fail(rule, SOMA_DTYPE, "input %d is %s, but q is %s", i + 1,
                                   soma_dtype_text(rule->in_dtype[i]),
                                   soma_dtype_text(rule->in_dtype[0]));
    }
    return SOMA_OK;
}

static soma_status check_heads(soma__rule *rule)
{
    const soma_shape *q = &rule->in_shape[0], *k = &rule->in_shape[1], *v = &rule->in_shape[2];
    char tq[SOMA_SHAPE_TEXT_SIZE], tk[SOMA_SHAPE_TEXT_SIZE];
    soma_shape_text(q, tq, sizeof(tq));
    if (q->ndim != 4 || q->dim[2] < 1 || q->dim[3] < 1)
        return soma__rule_fail(rule, SOMA_SHAPE, "q is %s, but must be [B,T,heads,D]", tq);
    if (k->ndim != 4 || k->dim[0] != q->dim[0] || k->dim[3] != q->dim[3] || k->dim[2] < 1 ||
        q->dim[2] % k->dim[2])
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "k is %s, but for q %s must be [%lld,S,h,%lld] with h a divisor of "
                               "%lld",
                               soma_shape_text(k, tk, sizeof(tk)), tq, (long long)q->dim[0],
                               (long long)q->dim[3], (long long)q->dim[2]);
    if (!soma_shape_equal(k, v))
        return soma__rule_fail(rule, SOMA_SHAPE, "v is %s, but must be as k",
                               soma_shape_text(v, tk, sizeof(tk)));
    return SOMA_OK;
}

static soma_status check_mask(soma__rule *rule, int index)
{
    const soma_shape *q = &rule->in_shape[0], *k = &rule->in_shape[1];
    const soma_shape *mask = &rule->in_shape[index];
    const int64_t full[4] = {q->dim[0], q->dim[2], q->dim[1], k->dim[1]};
    char text[SOMA_SHAPE_TEXT_SIZE];
    bool fits = mask->ndim <= 4;
    for (int i = 0; fits && i < mask->ndim; i++)
        fits = mask->dim[mask->ndim - 1 - i] == 1 || mask->dim[mask->ndim - 1 - i] == full[3 - i];
    if (rule->in_dtype[index] != rule->in_dtype[0])
        return soma__rule_fail(rule, SOMA_DTYPE, "the mask is %s, but q is %s",
                               soma_dtype_text(rule->in_dtype[index]),
                               soma_dtype_text(rule->in_dtype[0]));
    if (!fits)
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "the mask is %s, but must broadcast to [%lld,%lld,%lld,%lld]",
                               soma_shape_text(mask, text, sizeof(text)), (long long)full[0],
                               (long long)full[1], (long long)full[2], (long long)full[3]);
    return SOMA_OK;
}

static soma_status check_vector(soma__rule *rule, int index, const char *name, int64_t size,
                                bool whole)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    const soma_dtype dtype = rule->in_dtype[index];
    const soma_shape *shape = &rule->in_shape[index];
    if (whole ? dtype != SOMA_I32 && dtype != SOMA_I64 : dtype != rule->in_dtype[0])
        return soma__rule_fail(rule, SOMA_DTYPE, "%s are %s, but must be %s", name,
                               soma_dtype_text(dtype),
                               whole ? "i32 or i64" : soma_dtype_text(rule->in_dtype[0]));
    if (shape->ndim != 1 || shape->dim[0] != size)
        return soma__rule_fail(rule, SOMA_SHAPE, "%s are %s, but must be [%lld]", name,
                               soma_shape_text(shape, text, sizeof(text)), (long long)size);
    return SOMA_OK;
}

/* The optional inputs, from number `next` on. */
static soma_status check_optional(soma__rule *rule, int next)
{
    const soma__attention_attrs *attrs = rule->attrs;
    int wanted = next;
    for (int bit = 0; bit < 4; bit++)
        wanted += attrs->optional >> bit & 1;
    if (rule->nin != wanted)
        return soma__rule_fail(rule, SOMA_INVALID, "takes %d inputs, got %d", wanted, rule->nin);
    if (attrs->optional & SOMA__ATTENTION_MASK)
        SOMA__TRY(check_mask(rule, next++));
    if (attrs->optional & SOMA__ATTENTION_LENGTHS)
        SOMA__TRY(check_vector(rule, next++, "lengths", rule->in_shape[0].dim[0], true));
    if (attrs->optional & SOMA__ATTENTION_SLOPES)
        SOMA__TRY(check_vector(rule, next++, "slopes", rule->in_shape[0].dim[2], false));
    if (attrs->optional & SOMA__ATTENTION_KEY) {
        if (rule->in_dtype[next] != SOMA_I64 || rule->in_shape[next].ndim != 1 ||
            rule->in_shape[next].dim[0] != 2)
            return soma__rule_fail(rule, SOMA_SHAPE, "the key must be i64 [2]: {seed, step}");
    }
    if (!(attrs->p >= 0 && attrs->p < 1))
        return soma__rule_fail(rule, SOMA_INVALID, "p %g must be from 0 to less than 1", attrs->p);
    return SOMA_OK;
}

static soma_status attention_rule(soma__rule *rule)
{
    soma__attention_attrs *attrs = rule->attrs;
    SOMA__TRY(check_floats(rule, 3));
    SOMA__TRY(check_heads(rule));
    SOMA__TRY(check_optional(rule, 3));
    attrs->causal = attrs->causal != 0;
    if (!(attrs->scale > 0) || isinf(attrs->scale))
        return soma__rule_fail(rule, SOMA_INVALID, "scale %g must be a number above 0",
                               attrs->scale);
    rule->shape.dim[3]++;
    return SOMA_OK;
}

static soma_status check_backward(soma__rule *rule)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(check_floats(rule, 5));
    SOMA__TRY(check_heads(rule));
    soma_shape y = rule->in_shape[0];
    y.dim[3]++;
    for (int i = 3; i < 5; i++)
        if (!soma_shape_equal(&rule->in_shape[i], &y))
            return soma__rule_fail(rule, SOMA_SHAPE, "%s is %s, but must be as q with one more",
                                   i == 3 ? "y" : "dy",
                                   soma_shape_text(&rule->in_shape[i], text, sizeof(text)));
    return check_optional(rule, 5);
}

static soma_status attention_grad_q_rule(soma__rule *rule)
{
    return check_backward(rule);
}

static soma_status attention_grad_kv_rule(soma__rule *rule)
{
    SOMA__TRY(check_backward(rule));
    rule->shape = rule->in_shape[1];
    rule->shape.dim[3] *= 2;
    return SOMA_OK;
}

/* --- gradients ---------------------------------------------------------------------------------
 */

static void attention_gradient(soma__grad *g)
{
    soma_var in[9];
    int count = 0;
    if (!soma_var_ok(g->dout))
        return;
    for (int i = 3; i < g->nin; i++)
        if (g->need[i]) {
            soma_graph_fail(g->graph, SOMA_UNSUPPORTED,
                            "attention: mask and slopes have no gradient; soma_stop_gradient them, "
                            "or build the scores from matmul and softmax");
            return;
        }
    for (int i = 0; i < 3; i++)
        in[count++] = g->in[i];
    in[count++] = g->out;
    in[count++] = g->dout;
    for (int i = 3; i < g->nin; i++)
        in[count++] = g->in[i];
    const int64_t depth = soma_var_shape(g->in[0]).dim[3];
    if (g->need[0])
        g->din[0] = soma__graph_add(g->graph, &soma__op_attention_grad_q, in, count, g->attrs);
    if (!g->need[1] && !g->need[2])
        return;
    soma_var both = soma__graph_add(g->graph, &soma__op_attention_grad_kv, in, count, g->attrs);
    if (g->need[1])
        g->din[1] = soma_slice(both, 3, 0, depth);
    if (g->need[2])
        g->din[2] = soma_slice(both, 3, depth, 2 * depth);
}

static void attention_grad_gradient(soma__grad *g)
{
    soma_graph_fail(g->graph, SOMA_UNSUPPORTED,
                    "%s has no gradient: attention can be differentiated once, not twice",
                    soma__node_of(g->out)->op->name);
}

/* --- descriptors -------------------------------------------------------------------------------
 */

/* Two flops for each of `products` products of all scores; hidden ones are counted too. */
static double flops(const soma__call *call, double products)
{
    const soma_shape *q = &call->in[0].shape;
    const double scores = (double)q->dim[0] * (double)q->dim[1] * (double)q->dim[2] *
                          (double)call->in[1].shape.dim[1];
    return scores * (2 * products * (double)q->dim[3] + 14);
}
static double attention_flops(const soma__call *call)
{
    return flops(call, 2);
}
static double attention_grad_q_flops(const soma__call *call)
{
    return flops(call, 3);
}
static double attention_grad_kv_flops(const soma__call *call)
{
    return flops(call, 4);
}

static const soma__attr attention_attrs[] = {
    {"scale", SOMA__ATTR_FLOAT, offsetof(soma__attention_attrs, scale), 1, "of q · k"},
    {"causal", SOMA__ATTR_BOOL, offsetof(soma__attention_attrs, causal), 1,
     "query t sees keys up to t + offset"},
    {"offset", SOMA__ATTR_INT, offsetof(soma__attention_attrs, offset), 1,
     "place of the first query among the keys"},
    {"p", SOMA__ATTR_FLOAT, offsetof(soma__attention_attrs, p), 1, "chance to drop a weight"},
    {"stream", SOMA__ATTR_INT, offsetof(soma__attention_attrs, stream), 1, "of the draws"},
    {"optional", SOMA__ATTR_INT, offsetof(soma__attention_attrs, optional), 1,
     "inputs that are there: 1 mask, 2 lengths, 4 slopes, 8 key"},
    {0},
};

#define ATTENTION(name_, inputs_, least_, gradient_, doc_)                                         \
    const soma__op soma__op_##name_ = {                                                            \
        .name = #name_,                                                                            \
        .family = "attention",                                                                     \
        .doc = doc_,                                                                               \
        .inputs = inputs_,                                                                         \
        .min_inputs = least_,                                                                      \
        .max_inputs = (least_) + 4,                                                                \
        .attr_size = sizeof(soma__attention_attrs),                                                \
        .attrs = attention_attrs,                                                                  \
        .rule = name_##_rule,                                                                      \
        .gradient = gradient_,                                                                     \
        .reference = soma__##name_##_reference,                                                    \
        .flops = name_##_flops,                                                                    \
    };
ATTENTION(attention, "q k v mask lengths slopes key", 3, attention_gradient,
          "softmax(scale q · k + mask) · v, then log Σ e^score")
ATTENTION(attention_grad_q, "q k v y dy mask lengths slopes key", 5, attention_grad_gradient,
          "gradient of attention with respect to q")
ATTENTION(attention_grad_kv, "q k v y dy mask lengths slopes key", 5, attention_grad_gradient,
          "gradients of attention with respect to k and v, side by side")

/* 0 where a bool mask is true, else -Inf. */
static soma_var as_scores(soma_var mask, soma_var q)
{
    if (!soma_var_ok(mask) || soma_var_dtype(mask) != SOMA_BOOL)
        return mask;
    const soma_dtype dtype = soma_var_dtype(q);
    return soma_where(mask, soma_scalar(q.graph, dtype, 0), soma_scalar(q.graph, dtype, -INFINITY));
}

soma_var soma_attention_opt(soma_var q, soma_var k, soma_var v, soma_attention_options o)
{
    if (!soma_var_ok(q))
        return soma__failed(q);
    const soma_shape shape = soma_var_shape(q);
    /* Of a q of other dimensions the rule tells. */
    const double depth = shape.ndim == 4 ? (double)shape.dim[3] : 1;
    soma__attention_attrs attrs = {.scale = o.scale > 0 || o.scale < 0 ? o.scale : 1 / sqrt(depth),
                                   .causal = o.causal,
                                   .offset = o.offset,
                                   .p = o.key.graph ? o.dropout : 0,
                                   .stream = o.key.graph ? o.stream : 0};
    soma_var in[7] = {q, k, v};
    const soma_var given[4] = {o.mask.graph ? as_scores(o.mask, q) : o.mask, o.lengths, o.slopes,
                               o.key};
    int count = 3;
    for (int i = 0; i < 4; i++)
        if (given[i].graph) {
            attrs.optional |= INT64_C(1) << i;
            in[count++] = given[i];
        }
    soma_var y = soma__graph_add(q.graph, &soma__op_attention, in, count, &attrs);
    return soma_var_ok(y) ? soma_slice(y, 3, 0, shape.dim[3]) : y;
}

/* --- rotary ------------------------------------------------------------------------------------
 */

static soma_status rotary_rule(soma__rule *rule)
{
    soma__rotary_attrs *attrs = rule->attrs;
    char text[SOMA_SHAPE_TEXT_SIZE];
    const soma_shape *x = &rule->in_shape[0];
    SOMA__TRY(soma__rule_float(rule, 0));
    attrs->interleaved = attrs->interleaved != 0;
    attrs->inverse = attrs->inverse != 0;
    if (x->ndim != 4 || x->dim[3] % 2)
        return soma__rule_fail(rule, SOMA_SHAPE, "x is %s, but must be [B,T,heads,D] of an even D",
                               soma_shape_text(x, text, sizeof(text)));
    if (!(attrs->base > 0) || isinf(attrs->base))
        return soma__rule_fail(rule, SOMA_INVALID, "base %g must be a number above 0", attrs->base);
    return SOMA_OK;
}

static void rotary_gradient(soma__grad *g)
{
    soma__rotary_attrs attrs = *(const soma__rotary_attrs *)g->attrs;
    attrs.inverse = !attrs.inverse;
    g->din[0] = soma__graph_add(g->graph, &soma__op_rotary, &g->dout, 1, &attrs);
}

static void rotary_reference(const soma__call *call)
{
    const soma__rotary_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    const int64_t steps = x->shape.dim[1], heads = x->shape.dim[2], depth = x->shape.dim[3];
    for (int64_t i = 0; i < x->count / 2; i++) {
        const int64_t pair = i % (depth / 2), row = i / (depth / 2);
        const double step = (double)(row / heads % steps + attrs->offset);
        const double angle =
            step * pow(attrs->base, -2 * (double)pair / (double)depth) * (attrs->inverse ? -1 : 1);
        const int64_t a = row * depth + (attrs->interleaved ? 2 * pair : pair);
        const int64_t b = attrs->interleaved ? a + 1 : a + depth / 2;
        const double xa = soma__load(x->dtype, x->data, a), xb = soma__load(x->dtype, x->data, b);
        soma__store(y->dtype, y->data, a, xa * cos(angle) - xb * sin(angle));
        soma__store(y->dtype, y->data, b, xb * cos(angle) + xa * sin(angle));
    }
}

static double rotary_flops(const soma__call *call)
{
    return 3 * (double)call->out[0].count;
}

static const soma__attr rotary_attrs[] = {
    {"base", SOMA__ATTR_FLOAT, offsetof(soma__rotary_attrs, base), 1, "of the angles"},
    {"offset", SOMA__ATTR_INT, offsetof(soma__rotary_attrs, offset), 1, "of the first step"},
    {"interleaved", SOMA__ATTR_BOOL, offsetof(soma__rotary_attrs, interleaved), 1,
     "pairs are neighbours, not of the two halves"},
    {"inverse", SOMA__ATTR_BOOL, offsetof(soma__rotary_attrs, inverse), 1, "turn back"},
    {0},
};

const soma__op soma__op_rotary = {
    .name = "rotary",
    .family = "attention",
    .doc = "pairs of values turned by step · base^(-2 pair/D)",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__rotary_attrs),
    .attrs = rotary_attrs,
    .rule = rotary_rule,
    .gradient = rotary_gradient,
    .reference = rotary_reference,
    .flops = rotary_flops,
};

soma_var soma_rotary_opt(soma_var x, soma_rotary_options o)
{
    const soma__rotary_attrs attrs = {o.base > 0 || o.base < 0 ? o.base : 10000, o.offset,
                                      o.interleaved, 0};
    return soma__graph_add(x.graph, &soma__op_rotary, &x, 1, &attrs);
}

soma_var soma_sinusoidal(soma_graph *graph, soma_dtype dtype, int64_t steps, int64_t width)
{
    soma_tensor *table;
    if (!graph || graph->error.code != SOMA_OK)
        return (soma_var){graph, -1};
    if (steps < 0 || width < 0 ||
        soma_tensor_create(&table, dtype, SOMA_SHAPE(steps, width), &graph->error)) {
        soma_graph_fail(graph, SOMA_SHAPE, "sinusoidal: no table of %lld steps and width %lld",
                        (long long)steps, (long long)width);
        return (soma_var){graph, -1};
    }
    for (int64_t i = 0; i < steps * width; i++) {
        const int64_t step = i / width, c = i % width, even = c - c % 2;
        const double angle = (double)step * pow(10000, -(double)even / (double)width);
        soma_tensor_set(table, i, c % 2 ? cos(angle) : sin(angle));
    }
    return soma__constant_of(graph, table);
}
