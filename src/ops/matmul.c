/* matmul.c: the matrix product, and the dense layer made of it. */
#include "ops/attrs.h"
#include "ops/ops.h"
#include "ops/precision.h"

/* --- matmul ----------------------------------------------------------------------------------- */

static soma_status matmul_rule(soma__rule *rule)
{
    const soma__matmul_attrs *attrs = rule->attrs;
    const soma_shape *a = &rule->in_shape[0], *b = &rule->in_shape[1];
    char ta[SOMA_SHAPE_TEXT_SIZE], tb[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(soma__rule_precision(rule, attrs->precision));
    soma_shape_text(a, ta, sizeof(ta));
    soma_shape_text(b, tb, sizeof(tb));
    if (a->ndim < 2 || b->ndim < 2)
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "needs matrices (or stacks of them): a %s, b %s; soma_reshape a "
                               "vector to [1,K] or [K,1] first",
                               ta, tb);
    int64_t k_a = a->dim[a->ndim - (attrs->transpose_a ? 2 : 1)];
    int64_t k_b = b->dim[b->ndim - (attrs->transpose_b ? 1 : 2)];
    if (k_a != k_b)
        return soma__rule_fail(rule, SOMA_SHAPE, "inner sizes differ: a %s%s, b %s%s", ta,
                               attrs->transpose_a ? " transposed" : "", tb,
                               attrs->transpose_b ? " transposed" : "");
    soma_shape a_batch = *a, b_batch = *b, out;
    a_batch.ndim -= 2;
    b_batch.ndim -= 2;
    if (!soma__shape_broadcast(&a_batch, &b_batch, &out))
        return soma__rule_fail(rule, SOMA_SHAPE, "batch sizes do not broadcast: a %s, b %s", ta,
                               tb);
    out.dim[out.ndim++] = a->dim[a->ndim - (attrs->transpose_a ? 1 : 2)];
    out.dim[out.ndim++] = b->dim[b->ndim - (attrs->transpose_b ? 2 : 1)];
    int64_t count;
    if (!soma__shape_count(&out, &count))
        return soma__rule_fail(rule, SOMA_SHAPE, "the product of a %s and b %s is too large", ta,
                               tb);
    rule->shape = out;
    return SOMA_OK;
}

/* x [B…,M,K] -> [B…·M,K]. */
static soma_var stack_rows(soma_var x)
{
    soma_shape shape = soma_var_shape(x);
    int64_t rows = 1;
    if (shape.ndim == 0) /* the graph has failed */
        return x;
    for (int i = 0; i + 1 < shape.ndim; i++)
        if (!soma__mul64(rows, shape.dim[i], &rows))
            return x; /* only a huge empty stack gets here: it stays as it is */
    return soma_reshape(x, SOMA_SHAPE(rows, shape.dim[shape.ndim - 1]));
}

static soma_var product(soma_var a, soma_var b, bool transpose_a, bool transpose_b,
                        int64_t precision)
{
    const soma__matmul_attrs attrs = {transpose_a, transpose_b, precision};
    return soma__graph_add(NULL, &soma__op_matmul, (soma_var[]){a, b}, 2, &attrs);
}

/* With A = a or aᵀ and B = b or bᵀ as they enter the product y = A·B: dA = dy·Bᵀ and dB = Aᵀ·dy; a
 * transposed operand wants the transposed gradient, that is the product of the transposes in
 * reverse order. Each case reads its operands in place. */
static void matmul_gradient(soma__grad *grad)
{
    const soma__matmul_attrs *attrs = grad->attrs;
    bool ta = attrs->transpose_a != 0, tb = attrs->transpose_b != 0;
    const int64_t precision = attrs->precision;
    soma_var a = grad->in[0], b = grad->in[1], dy = soma__at_precision(grad->dout, precision);
    soma_shape a_shape = soma_var_shape(a), b_shape = soma_var_shape(b);
    if (grad->need[0]) {
        soma_var da =
            ta ? product(b, dy, tb, true, precision) : product(dy, b, false, !tb, precision);
        grad->din[0] = soma_cast(soma__sum_to(da, &a_shape), soma_var_dtype(a));
    }
    if (grad->need[1]) {
        /* One matrix b under a stack of a: the sum over the stack is part of one long product. */
        if (b_shape.ndim == 2 && a_shape.ndim > 2 && !ta) {
            soma_var rows_a = stack_rows(a), rows_dy = stack_rows(dy);
            if (soma_var_shape(rows_a).ndim == 2 && soma_var_shape(rows_dy).ndim == 2) {
                a = rows_a;
                dy = rows_dy;
            }
        }
        soma_var db =
            tb ? product(dy, a, true, ta, precision) : product(a, dy, !ta, false, precision);
        grad->din[1] = soma_cast(soma__sum_to(db, &b_shape), soma_var_dtype(b));
    }
}

static void matmul_reference(const soma__call *call)
{
    const soma__matmul_attrs *attrs = call->attrs;
    const soma__view *a = &call->in[0], *b = &call->in[1], *y = &call->out[0];
    soma_shape batch = y->shape, a_batch = a->shape, b_batch = b->shape;
    int64_t m_size = y->shape.dim[y->shape.ndim - 2], n_size = y->shape.dim[y->shape.ndim - 1];
    int64_t k_size = a->shape.dim[a->shape.ndim - (attrs->transpose_a ? 2 : 1)];
    if (y->count == 0)
        return;
    batch.ndim -= 2;
    a_batch.ndim -= 2;
    b_batch.ndim -= 2;
    /* Steps from one batch index to the next, in matrices; 0 where an operand is broadcast. */
    int64_t a_step[SOMA_MAX_DIMS], b_step[SOMA_MAX_DIMS], index[SOMA_MAX_DIMS] = {0};
    soma__broadcast_strides(&a_batch, &batch, a_step);
    soma__broadcast_strides(&b_batch, &batch, b_step);
    int64_t am = attrs->transpose_a ? 1 : k_size, ak = attrs->transpose_a ? m_size : 1;
    int64_t bk = attrs->transpose_b ? 1 : n_size, bn = attrs->transpose_b ? k_size : 1;
    for (int64_t at = 0; at < y->count; at += m_size * n_size) {
        int64_t a_at = 0, b_at = 0;
        for (int d = 0; d < batch.ndim; d++) {
            a_at += index[d] * a_step[d];
            b_at += index[d] * b_step[d];
        }
        a_at *= m_size * k_size;
        b_at *= k_size * n_size;
        for (int64_t m = 0; m < m_size; m++)
            for (int64_t n = 0; n < n_size; n++) {
                double sum = 0;
                for (int64_t k = 0; k < k_size; k++)
                    sum += soma__load_at_precision(attrs->precision, a, a_at + m * am + k * ak) *
                           soma__load_at_precision(attrs->precision, b, b_at + k * bk + n * bn);
                soma__store(y->dtype, y->data, at + m * n_size + n, sum);
            }
        for (int d = batch.ndim - 1; d >= 0; d--) {
            if (++index[d] < batch.dim[d])
                break;
            index[d] = 0;
        }
    }
}

static double matmul_flops(const soma__call *call)
{
    const soma__matmul_attrs *attrs = call->attrs;
    const soma_shape *a = &call->in[0].shape;
    return 2 * (double)call->out[0].count * (double)a->dim[a->ndim - (attrs->transpose_a ? 2 : 1)];
}

static const soma__attr matmul_attrs[] = {
    {"transpose_a", SOMA__ATTR_BOOL, offsetof(soma__matmul_attrs, transpose_a), 1, "a is [B…,K,M]"},
    {"transpose_b", SOMA__ATTR_BOOL, offsetof(soma__matmul_attrs, transpose_b), 1, "b is [B…,N,K]"},
    {"precision", SOMA__ATTR_DTYPE, offsetof(soma__matmul_attrs, precision), 1,
     "bf16: of the factors; sums and result are f32"},
    {0},
};

const soma__op soma__op_matmul = {
    .name = "matmul",
    .family = "matmul",
    .doc = "a [B…,M,K] · b [B…,K,N] -> [B…,M,N]; batch dims broadcast",
    .inputs = "a b",
    .min_inputs = 2,
    .max_inputs = 2,
    .flags = SOMA__OP_EPILOGUE,
    .attr_size = sizeof(soma__matmul_attrs),
    .attrs = matmul_attrs,
    .rule = matmul_rule,
    .gradient = matmul_gradient,
    .reference = matmul_reference,
    .flops = matmul_flops,
};

soma_var soma_matmul_opt(soma_var a, soma_var b, soma_matmul_options options)
{
    a = soma__at_precision(a, (int64_t)options.precision);
    return product(a, b, options.transpose_a, options.transpose_b, (int64_t)options.precision);
}

/* --- matmul_integer --------------------------------------------------------------------------- */

soma_status soma__rule_bytes(soma__rule *rule, int64_t columns)
{
    static const soma_dtype wanted[] = {SOMA_U8, SOMA_I8, SOMA_U8, SOMA_I8};
    static const char *const names[] = {"first operand", "second operand", "zero of the first",
                                        "zero of the second"};
    for (int i = 0; i < 4; i++)
        if (rule->in_dtype[i] != wanted[i])
            return soma__rule_fail(rule, SOMA_DTYPE, "the %s must be %s, not %s; soma_cast it",
                                   names[i], soma_dtype_text(wanted[i]),
                                   soma_dtype_text(rule->in_dtype[i]));
    const soma_shape *a_zero = &rule->in_shape[2], *b_zero = &rule->in_shape[3];
    char text[SOMA_SHAPE_TEXT_SIZE];
    if (a_zero->ndim > 1 || (a_zero->ndim == 1 && a_zero->dim[0] != 1))
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "the zero of the first operand is one number, not %s",
                               soma_shape_text(a_zero, text, sizeof(text)));
    if (b_zero->ndim > 1 || (b_zero->ndim == 1 && b_zero->dim[0] != 1 && b_zero->dim[0] != columns))
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "the zero of the second operand is one number or one of each of the "
                               "%lld columns of the result, not %s",
                               (long long)columns, soma_shape_text(b_zero, text, sizeof(text)));
    rule->dtype = SOMA_I32;
    return SOMA_OK;
}

static soma_status matmul_integer_rule(soma__rule *rule)
{
    const soma_shape *a = &rule->in_shape[0], *b = &rule->in_shape[1];
    char ta[SOMA_SHAPE_TEXT_SIZE], tb[SOMA_SHAPE_TEXT_SIZE];
    soma_shape_text(a, ta, sizeof(ta));
    soma_shape_text(b, tb, sizeof(tb));
    if (a->ndim < 2 || b->ndim != 2)
        return soma__rule_fail(rule, SOMA_SHAPE, "needs a [B…,M,K] and b [K,N], but has a %s, b %s",
                               ta, tb);
    if (a->dim[a->ndim - 1] != b->dim[0])
        return soma__rule_fail(rule, SOMA_SHAPE, "inner sizes differ: a %s, b %s", ta, tb);
    SOMA__TRY(soma__rule_bytes(rule, b->dim[1]));
    int64_t count;
    rule->shape.dim[a->ndim - 1] = b->dim[1];
    if (!soma__shape_count(&rule->shape, &count))
        return soma__rule_fail(rule, SOMA_SHAPE, "the product of a %s and b %s is too large", ta,
                               tb);
    return SOMA_OK;
}

static void matmul_integer_reference(const soma__call *call)
{
    const soma_shape *b_shape = &call->in[1].shape;
    const uint8_t *a = call->in[0].data, a_zero = *(const uint8_t *)call->in[2].data;
    const int8_t *b = call->in[1].data, *b_zero = call->in[3].data;
    int64_t K = b_shape->dim[0], N = b_shape->dim[1], M = N ? call->out[0].count / N : 0;
    int32_t *y = call->out[0].data;
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) {
            const int8_t zero = b_zero[call->in[3].count > 1 ? n : 0];
            int64_t sum = 0;
            for (int64_t k = 0; k < K; k++)
                sum += (a[m * K + k] - a_zero) * (b[k * N + n] - zero);
            *y++ = (int32_t)(uint32_t)sum;
        }
}

static double matmul_integer_flops(const soma__call *call)
{
    return 2 * (double)call->out[0].count * (double)call->in[1].shape.dim[0];
}

const soma__op soma__op_matmul_integer = {
    .name = "matmul_integer",
    .family = "matmul",
    .doc = "(a [B…,M,K] - a_zero) · (b [K,N] - b_zero): u8 and i8 -> [B…,M,N] i32",
    .inputs = "a b a_zero b_zero",
    .min_inputs = 4,
    .max_inputs = 4,
    .rule = matmul_integer_rule,
    .gradient = soma__grad_none,
    .reference = matmul_integer_reference,
    .flops = matmul_integer_flops,
};

soma_var soma_matmul_integer(soma_var a, soma_var b, soma_var a_zero, soma_var b_zero)
{
    const soma_var in[4] = {a, b, a_zero, b_zero};
    return soma__graph_add(a.graph, &soma__op_matmul_integer, in, 4, NULL);
}

/* --- linear ----------------------------------------------------------------------------------- */

static soma_status linear_rule(soma__rule *rule)
{
    const soma__linear_attrs *attrs = rule->attrs;
    const soma_shape *x = &rule->in_shape[0], *w = &rule->in_shape[1];
    char tx[SOMA_SHAPE_TEXT_SIZE], tw[SOMA_SHAPE_TEXT_SIZE], tb[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(soma__rule_precision(rule, attrs->precision));
    if (rule->nin == 3 && rule->in_dtype[2] != rule->dtype)
        return soma__rule_fail(rule, SOMA_DTYPE,
                               "b is %s, must be %s as the product; use soma_cast",
                               soma_dtype_text(rule->in_dtype[2]), soma_dtype_text(rule->dtype));
    soma_shape_text(x, tx, sizeof(tx));
    soma_shape_text(w, tw, sizeof(tw));
    if (w->ndim != 2)
        return soma__rule_fail(rule, SOMA_SHAPE, "w must be [outputs,inputs], but is %s", tw);
    if (x->ndim < 1)
        return soma__rule_fail(rule, SOMA_SHAPE, "x must have at least one dimension");
    if (x->dim[x->ndim - 1] != w->dim[1])
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "inner sizes differ: x %s ends in %lld, w %s expects %lld inputs",
                               tx, (long long)x->dim[x->ndim - 1], tw, (long long)w->dim[1]);
    if (rule->nin == 3) {
        const soma_shape *b = &rule->in_shape[2];
        if (b->ndim != 1 || b->dim[0] != w->dim[0])
            return soma__rule_fail(rule, SOMA_SHAPE, "b must be [%lld] for w %s, but is %s",
                                   (long long)w->dim[0], tw, soma_shape_text(b, tb, sizeof(tb)));
    }
    int64_t rows = 1, count;
    bool fits = true;
    for (int i = 0; i + 1 < x->ndim; i++)
        fits = fits && soma__mul64(rows, x->dim[i], &rows);
    rule->shape.dim[x->ndim - 1] = w->dim[0];
    if (!fits || !soma__shape_count(&rule->shape, &count))
        return soma__rule_fail(rule, SOMA_SHAPE, "the product of x %s and w %s is too large", tx,
                               tw);
    return SOMA_OK;
}

/* The leading dims become the rows of one matrix, so that even a stack of sequences is one large
 * product; the bias is added before the reshape back, where a kernel's epilogue can take it. */
static soma_var linear_decompose(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    soma_shape x = soma_var_shape(in[0]), w = soma_var_shape(in[1]);
    soma_var rows = in[0];
    const soma__linear_attrs *options = attrs;
    (void)graph;
    if (x.ndim != 2) {
        int64_t count = 1;
        for (int i = 0; i + 1 < x.ndim; i++)
            count *= x.dim[i]; /* the rule has seen that it fits */
        rows = soma_reshape(rows, SOMA_SHAPE(count, w.dim[1]));
    }
    soma_var y = product(rows, in[1], false, true, options->precision);
    if (nin == 3)
        y = soma_add(y, in[2]);
    if (x.ndim != 2) {
        x.dim[x.ndim - 1] = w.dim[0];
        y = soma_reshape(y, x);
    }
    return y;
}

const soma__op soma__op_linear = {
    .name = "linear",
    .family = "matmul",
    .doc = "x [B…,I] · w[O,I]ᵀ + b[O] -> [B…,O]; b may be left out",
    .inputs = "x w b",
    .min_inputs = 2,
    .max_inputs = 3,
    .attr_size = sizeof(soma__linear_attrs),
    .attrs = (const soma__attr[]){{"precision", SOMA__ATTR_DTYPE,
                                   offsetof(soma__linear_attrs, precision), 1, "as of matmul"},
                                  {0}},
    .rule = linear_rule,
    .decompose = linear_decompose,
};

soma_var soma_linear_opt(soma_var x, soma_var w, soma_var b, soma_linear_options options)
{
    const soma__linear_attrs attrs = {.precision = (int64_t)options.precision};
    x = soma__at_precision(x, attrs.precision);
    return soma__graph_add(NULL, &soma__op_linear, (soma_var[]){x, w, b}, b.graph ? 3 : 2, &attrs);
}
