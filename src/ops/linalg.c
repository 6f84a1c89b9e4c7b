/* linalg.c: linear algebra: rules, gradients, builders. The kernels are in linalg_kernels.c. The
 * gradients are those of Giles (2008) and of Walter and Lehmann (2018) for QR, as in PyTorch. */
#include "ops/linalg.h"

/* --- rules -------------------------------------------------------------------------------------
 */

soma_status soma__matrix_rule(soma__rule *rule, bool square)
{
    const soma_shape *a = &rule->in_shape[0];
    char text[SOMA_SHAPE_TEXT_SIZE];
    if (rule->in_dtype[0] != SOMA_F32 && rule->in_dtype[0] != SOMA_F64)
        return soma__rule_fail(rule, SOMA_DTYPE, "a is %s, must be f32 or f64; use soma_cast",
                               soma_dtype_text(rule->in_dtype[0]));
    if (a->ndim < 2 || (square && a->dim[a->ndim - 1] != a->dim[a->ndim - 2]))
        return soma__rule_fail(rule, SOMA_SHAPE, "a is %s, but must be [B…,%s]",
                               soma_shape_text(a, text, sizeof(text)), square ? "N,N" : "M,N");
    return SOMA_OK;
}

static soma_status square_rule(soma__rule *rule)
{
    return soma__matrix_rule(rule, true);
}

/* a [B…,N,N], b [B…,N,K] */
static soma_status solve_rule(soma__rule *rule)
{
    const soma_shape *a = &rule->in_shape[0], *b = &rule->in_shape[1];
    char ta[SOMA_SHAPE_TEXT_SIZE], tb[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(soma__matrix_rule(rule, true));
    SOMA__TRY(soma__rule_same_dtypes(rule));
    soma_shape want = *a;
    if (b->ndim == a->ndim)
        want.dim[want.ndim - 1] = b->dim[b->ndim - 1];
    if (!soma_shape_equal(&want, b))
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "a %s wants b as [B…,N,K] with the same B… and N, "
                               "but it is %s",
                               soma_shape_text(a, ta, sizeof(ta)),
                               soma_shape_text(b, tb, sizeof(tb)));
    rule->shape = *b;
    return SOMA_OK;
}

static soma_status det_rule(soma__rule *rule)
{
    SOMA__TRY(soma__matrix_rule(rule, true));
    rule->shape.ndim -= 2;
    rule->shape.dim[rule->shape.ndim] = rule->shape.dim[rule->shape.ndim + 1] = 0;
    return SOMA_OK;
}

static soma_status values_rule(soma__rule *rule)
{
    SOMA__TRY(soma__matrix_rule(rule, true));
    rule->shape.dim[--rule->shape.ndim] = 0;
    return SOMA_OK;
}

static soma_status qr_q_rule(soma__rule *rule)
{
    SOMA__TRY(soma__matrix_rule(rule, false));
    int64_t *rows = &rule->shape.dim[rule->shape.ndim - 2], *cols = rows + 1;
    *cols = *cols < *rows ? *cols : *rows;
    return SOMA_OK;
}

static soma_status qr_r_rule(soma__rule *rule)
{
    SOMA__TRY(soma__matrix_rule(rule, false));
    int64_t *rows = &rule->shape.dim[rule->shape.ndim - 2], *cols = rows + 1;
    *rows = *cols < *rows ? *cols : *rows;
    return SOMA_OK;
}

/* --- parts of gradients ------------------------------------------------------------------------
 */

static soma_var product(soma_var a, soma_var b)
{
    return soma_matmul(a, b);
}

/* The identity, [B…,N,N] like a. */
soma_var soma__identity_like(soma_var a)
{
    soma_shape shape = soma_var_shape(a);
    if (!soma_var_ok(a))
        return a;
    int64_t n = shape.dim[shape.ndim - 1];
    return soma_expand(soma_eye(a.graph, soma_var_dtype(a), n, n, 0), shape);
}

/* [B…] -> [B…,1,1] */
static soma_var as_factor(soma_var x)
{
    soma_shape shape = soma_var_shape(x);
    if (!soma_var_ok(x))
        return x;
    shape.dim[shape.ndim++] = 1;
    shape.dim[shape.ndim++] = 1;
    return soma_reshape(x, shape);
}

/* The lower triangle, its diagonal halved. */
static soma_var half_lower(soma_var x)
{
    return soma_mul_scalar(soma_add(soma_tril(x, 0), soma_tril(x, -1)), 0.5);
}

static soma_var symmetric(soma_var x)
{
    return soma_mul_scalar(soma_add(x, soma_transpose(x)), 0.5);
}

/* --- gradients ---------------------------------------------------------------------------------
 */

static void solve_gradient(soma__grad *g)
{
    soma_var db = soma_solve(soma_transpose(g->in[0]), g->dout);
    if (g->need[0])
        g->din[0] = soma_neg(soma_matmul(db, g->out, .transpose_b = true));
    if (g->need[1])
        g->din[1] = db;
}

static void triangular_gradient(soma__grad *g)
{
    const soma__triangle_attrs *t = g->attrs;
    soma_var db = soma_triangular_solve(g->in[0], g->dout, .upper = t->upper,
                                        .transpose = !t->transpose, .unit = t->unit);
    if (g->need[0]) {
        soma_var left = t->transpose ? g->out : db, right = t->transpose ? db : g->out;
        soma_var all = soma_neg(soma_matmul(left, right, .transpose_b = true));
        g->din[0] = t->upper ? soma_triu(all, t->unit) : soma_tril(all, -t->unit);
    }
    if (g->need[1])
        g->din[1] = db;
}

/* d ln|det a| = a^-T */
static soma_var inverse_transposed(soma_var a)
{
    soma_var turned = soma_transpose(a);
    return soma_solve(turned, soma__identity_like(turned));
}

static void det_gradient(soma__grad *g)
{
    g->din[0] = soma_mul(as_factor(soma_mul(g->dout, g->out)), inverse_transposed(g->in[0]));
}

static void log_abs_det_gradient(soma__grad *g)
{
    g->din[0] = soma_mul(as_factor(g->dout), inverse_transposed(g->in[0]));
}

/* L^-T Φ(Lᵀ dL) L^-1 made symmetric, Φ the lower triangle with half the diagonal. */
static void cholesky_gradient(soma__grad *g)
{
    soma_var l = g->out, inner = half_lower(soma_matmul(l, g->dout, .transpose_a = true));
    soma_var left = soma_triangular_solve(l, inner, .transpose = true);
    soma_var both = soma_triangular_solve(l, soma_transpose(left), .transpose = true);
    g->din[0] = symmetric(both);
}

/* (dQ + Q·copy(M)) R^-T, copy(M) the symmetric matrix of M's lower triangle. */
static soma_var qr_gradient(soma__grad *g, soma_var q, soma_var r, soma_var m, soma_var dq)
{
    soma_shape shape = soma_var_shape(g->in[0]);
    if (!soma_var_ok(g->in[0]))
        return g->in[0];
    if (shape.dim[shape.ndim - 2] < shape.dim[shape.ndim - 1]) {
        soma_graph_fail(g->graph, SOMA_INVALID,
                        "qr: matrices with more columns than rows have no gradient here");
        return (soma_var){g->graph, -1};
    }
    soma_var copied = soma_add(soma_tril(m, 0), soma_transpose(soma_tril(m, -1)));
    soma_var inner = product(q, copied);
    if (dq.graph)
        inner = soma_add(dq, inner);
    return soma_transpose(soma_triangular_solve(r, soma_transpose(inner), .upper = true));
}

static void qr_q_gradient(soma__grad *g)
{
    soma_var q = g->out, r = soma_qr_r(g->in[0]);
    soma_var m = soma_neg(soma_matmul(g->dout, q, .transpose_a = true));
    g->din[0] = qr_gradient(g, q, r, m, g->dout);
}

static void qr_r_gradient(soma__grad *g)
{
    soma_var q = soma_qr_q(g->in[0]), m = soma_matmul(g->out, g->dout, .transpose_b = true);
    g->din[0] = qr_gradient(g, q, g->out, m, (soma_var){0});
}

/* V diag(dw) Vᵀ */
static void eigh_values_gradient(soma__grad *g)
{
    soma_var v = soma_eigh_vectors(g->in[0]);
    soma_var scaled = soma_mul(v, soma_unsqueeze(g->dout, -2));
    g->din[0] = soma_matmul(scaled, v, .transpose_b = true);
}

/* V (F∘(Vᵀ dV)) Vᵀ with F[i,j] = 1/(w[j] - w[i]), 0 on the diagonal; made symmetric, as its input
 * is. */
static void eigh_vectors_gradient(soma__grad *g)
{
    soma_var v = g->out, w = soma_eigh_values(g->in[0]);
    soma_var one = soma__identity_like(v);
    soma_var gaps = soma_sub(soma_unsqueeze(w, -2), soma_unsqueeze(w, -1));
    soma_var f = soma_sub(soma_reciprocal(soma_add(gaps, one)), one);
    soma_var inner = soma_mul(f, soma_matmul(v, g->dout, .transpose_a = true));
    g->din[0] = symmetric(soma_matmul(product(v, inner), v, .transpose_b = true));
}

/* --- descriptors -------------------------------------------------------------------------------
 */

double soma__linalg_flops(const soma__call *call)
{
    const soma_shape *a = &call->in[0].shape;
    double m = (double)a->dim[a->ndim - 2], n = (double)a->dim[a->ndim - 1];
    return 2 * (double)call->in[0].count * (m < n ? m : n);
}

static const soma__attr triangle_attrs[] = {
    {"upper", SOMA__ATTR_BOOL, offsetof(soma__triangle_attrs, upper), 1, "above the diagonal"},
    {"transpose", SOMA__ATTR_BOOL, offsetof(soma__triangle_attrs, transpose), 1, "solves aᵀ x = b"},
    {"unit", SOMA__ATTR_BOOL, offsetof(soma__triangle_attrs, unit), 1, "the diagonal is 1"},
    {0},
};

SOMA__LINALG(solve, "a b", 2, "x with a x = b", solve_rule, solve_gradient, );
SOMA__LINALG(triangular_solve, "a b", 2, "x with a x = b, a triangular", solve_rule,
             triangular_gradient, .attr_size = sizeof(soma__triangle_attrs),
             .attrs = triangle_attrs);
SOMA__LINALG(det, "a", 1, "determinant", det_rule, det_gradient, );
SOMA__LINALG(log_abs_det, "a", 1, "ln |det a|", det_rule, log_abs_det_gradient, );
SOMA__LINALG(det_sign, "a", 1, "sign of the determinant", det_rule, soma__grad_none, );
SOMA__LINALG(cholesky, "a", 1, "L, lower, with L Lᵀ = (a + aᵀ)/2", square_rule,
             cholesky_gradient, );
SOMA__LINALG(qr_q, "a", 1, "Q of a = Q R, reduced", qr_q_rule, qr_q_gradient, );
SOMA__LINALG(qr_r, "a", 1, "R of a = Q R, reduced", qr_r_rule, qr_r_gradient, );
SOMA__LINALG(eigh_values, "a", 1, "eigenvalues of (a + aᵀ)/2, ascending", values_rule,
             eigh_values_gradient, );
SOMA__LINALG(eigh_vectors, "a", 1, "eigenvectors of (a + aᵀ)/2 as columns", square_rule,
             eigh_vectors_gradient, );

static soma_var inverse_decompose(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin, (void)attrs;
    return soma_solve(in[0], soma__identity_like(in[0]));
}

const soma__op soma__op_inverse = {
    .name = "inverse",
    .family = "linalg",
    .doc = "x with a x = 1",
    .inputs = "a",
    .min_inputs = 1,
    .max_inputs = 1,
    .rule = square_rule,
    .decompose = inverse_decompose,
};

/* --- builders ----------------------------------------------------------------------------------
 */

static soma_var add(const soma__op *op, soma_var a)
{
    return soma__graph_add(NULL, op, &a, 1, NULL);
}

/* Symmetric parts are taken before, so that gradients know of both triangles. Faults are the op's
 * to tell. */
static soma_var add_symmetric(const soma__op *op, soma_var a)
{
    soma_shape shape = soma_var_shape(a);
    soma_dtype dtype = soma_var_dtype(a);
    bool fits = soma_var_ok(a) && shape.ndim >= 2 &&
                shape.dim[shape.ndim - 1] == shape.dim[shape.ndim - 2] &&
                (dtype == SOMA_F32 || dtype == SOMA_F64);
    return add(op, fits ? symmetric(a) : a);
}

soma_var soma_solve(soma_var a, soma_var b)
{
    return soma__graph_add(NULL, &soma__op_solve, (soma_var[]){a, b}, 2, NULL);
}

soma_var soma_triangular_solve_opt(soma_var a, soma_var b, soma_triangle_options options)
{
    const soma__triangle_attrs attrs = {options.upper, options.transpose, options.unit};
    return soma__graph_add(NULL, &soma__op_triangular_solve, (soma_var[]){a, b}, 2, &attrs);
}

soma_var soma_inverse(soma_var a)
{
    return add(&soma__op_inverse, a);
}

soma_var soma_det(soma_var a)
{
    return add(&soma__op_det, a);
}

soma_var soma_log_abs_det(soma_var a)
{
    return add(&soma__op_log_abs_det, a);
}

soma_var soma_det_sign(soma_var a)
{
    return add(&soma__op_det_sign, a);
}

soma_var soma_cholesky(soma_var a)
{
    return add_symmetric(&soma__op_cholesky, a);
}

soma_var soma_qr_q(soma_var a)
{
    return add(&soma__op_qr_q, a);
}

soma_var soma_qr_r(soma_var a)
{
    return add(&soma__op_qr_r, a);
}

soma_var soma_eigh_values(soma_var a)
{
    return add_symmetric(&soma__op_eigh_values, a);
}

soma_var soma_eigh_vectors(soma_var a)
{
    return add_symmetric(&soma__op_eigh_vectors, a);
}
