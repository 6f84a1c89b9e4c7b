/* svd.c: singular values and what is made of them: rules, gradients, builders. The kernels are in
 * svd_kernels.c. Gradients: Townsend, Differentiating the singular value decomposition (2016), and
 * Golub and Pereyra (1973) for the pseudoinverse, both as PyTorch has them. */
#include "ops/linalg.h"

/* --- rules -------------------------------------------------------------------------------------
 */

static int64_t rows_of(const soma_shape *a)
{
    return a->dim[a->ndim - 2];
}

static int64_t cols_of(const soma_shape *a)
{
    return a->dim[a->ndim - 1];
}

static int64_t shorter_side(const soma_shape *a)
{
    return rows_of(a) < cols_of(a) ? rows_of(a) : cols_of(a);
}

static soma_status u_rule(soma__rule *rule)
{
    SOMA__TRY(soma__matrix_rule(rule, false));
    rule->shape.dim[rule->shape.ndim - 1] = shorter_side(&rule->in_shape[0]);
    return SOMA_OK;
}

static soma_status v_rule(soma__rule *rule)
{
    SOMA__TRY(soma__matrix_rule(rule, false));
    rule->shape.dim[rule->shape.ndim - 2] = cols_of(&rule->in_shape[0]);
    rule->shape.dim[rule->shape.ndim - 1] = shorter_side(&rule->in_shape[0]);
    return SOMA_OK;
}

static soma_status s_rule(soma__rule *rule)
{
    SOMA__TRY(soma__matrix_rule(rule, false));
    rule->shape.dim[--rule->shape.ndim] = 0;
    rule->shape.dim[rule->shape.ndim - 1] = shorter_side(&rule->in_shape[0]);
    return SOMA_OK;
}

static soma_status rcond_rule(soma__rule *rule)
{
    const soma__rcond_attrs *attrs = rule->attrs;
    SOMA__TRY(soma__matrix_rule(rule, false));
    if (!(attrs->rcond >= 0 && attrs->rcond < 1))
        return soma__rule_fail(rule, SOMA_INVALID, "rcond %g is not in [0,1)", attrs->rcond);
    return SOMA_OK;
}

static soma_status pinv_rule(soma__rule *rule)
{
    SOMA__TRY(rcond_rule(rule));
    rule->shape.dim[rule->shape.ndim - 2] = cols_of(&rule->in_shape[0]);
    rule->shape.dim[rule->shape.ndim - 1] = rows_of(&rule->in_shape[0]);
    return SOMA_OK;
}

static void drop_matrix(soma_shape *shape)
{
    shape->dim[--shape->ndim] = 0;
    shape->dim[--shape->ndim] = 0;
}

static soma_status rank_rule(soma__rule *rule)
{
    SOMA__TRY(rcond_rule(rule));
    drop_matrix(&rule->shape);
    rule->dtype = SOMA_I64;
    return SOMA_OK;
}

static soma_status norm_rule(soma__rule *rule)
{
    const soma__matrix_norm_attrs *attrs = rule->attrs;
    SOMA__TRY(soma__matrix_rule(rule, false));
    if (attrs->kind < SOMA_MATRIX_NORM_FROBENIUS || attrs->kind > SOMA_MATRIX_NORM_SPECTRAL)
        return soma__rule_fail(rule, SOMA_INVALID, "there is no matrix norm %lld",
                               (long long)attrs->kind);
    if (attrs->kind == SOMA_MATRIX_NORM_SPECTRAL && shorter_side(&rule->in_shape[0]) == 0)
        return soma__rule_fail(rule, SOMA_SHAPE, "an empty matrix has no largest singular value");
    drop_matrix(&rule->shape);
    return SOMA_OK;
}

static soma_status lstsq_rule(soma__rule *rule)
{
    const soma_shape *a = &rule->in_shape[0], *b = &rule->in_shape[1];
    char ta[SOMA_SHAPE_TEXT_SIZE], tb[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(soma__matrix_rule(rule, false));
    SOMA__TRY(soma__rule_same_dtypes(rule));
    soma_shape want = *a;
    if (b->ndim == a->ndim)
        want.dim[want.ndim - 1] = cols_of(b);
    if (!soma_shape_equal(&want, b))
        return soma__rule_fail(
            rule, SOMA_SHAPE, "a %s wants b as [B…,M,K] with the same B… and M, but it is %s",
            soma_shape_text(a, ta, sizeof(ta)), soma_shape_text(b, tb, sizeof(tb)));
    rule->shape = *b;
    rule->shape.dim[rule->shape.ndim - 2] = cols_of(a);
    return SOMA_OK;
}

/* --- gradients ---------------------------------------------------------------------------------
 */

/* (x - xᵀ)[i,j] / (s[j]² - s[i]²), 0 on the diagonal. */
static soma_var over_gaps(soma_var x, soma_var s)
{
    soma_var skew = soma_sub(x, soma_transpose(x)), squares = soma_mul(s, s);
    soma_var gaps = soma_sub(soma_unsqueeze(squares, -2), soma_unsqueeze(squares, -1));
    return soma_div(skew, soma_add(gaps, soma__identity_like(skew)));
}

static bool longer(soma_var a, bool rows)
{
    const soma_shape shape = soma_var_shape(a);
    if (!soma_var_ok(a))
        return false;
    return rows ? rows_of(&shape) > cols_of(&shape) : cols_of(&shape) > rows_of(&shape);
}

/* x - y yᵀ x: what the columns of y do not reach. */
static soma_var beyond(soma_var x, soma_var y)
{
    return soma_sub(x, soma_matmul(y, soma_matmul(y, x, .transpose_a = true)));
}

/* [U ((Uᵀ dU - dUᵀ U)/E) S + (1 - U Uᵀ) dU S⁻¹] Vᵀ, E[i,j] = s[j]² - s[i]². */
static void svd_u_gradient(soma__grad *g)
{
    soma_var a = g->in[0], u = g->out, s = soma_svd_s(a), v = soma_svd_v(a);
    soma_var row = soma_unsqueeze(s, -2);
    soma_var inner = over_gaps(soma_matmul(u, g->dout, .transpose_a = true), s);
    soma_var left = soma_matmul(u, soma_mul(inner, row));
    if (longer(a, true))
        left = soma_add(left, beyond(soma_div(g->dout, row), u));
    g->din[0] = soma_matmul(left, v, .transpose_b = true);
}

/* The same of aᵀ, whose U is V. */
static void svd_v_gradient(soma__grad *g)
{
    soma_var a = g->in[0], v = g->out, s = soma_svd_s(a), u = soma_svd_u(a);
    soma_var row = soma_unsqueeze(s, -2);
    soma_var inner = over_gaps(soma_matmul(v, g->dout, .transpose_a = true), s);
    soma_var right = soma_matmul(v, soma_mul(inner, row));
    if (longer(a, false))
        right = soma_add(right, beyond(soma_div(g->dout, row), v));
    g->din[0] = soma_matmul(u, right, .transpose_b = true);
}

static void svd_s_gradient(soma__grad *g)
{
    soma_var scaled = soma_mul(soma_svd_u(g->in[0]), soma_unsqueeze(g->dout, -2));
    g->din[0] = soma_matmul(scaled, soma_svd_v(g->in[0]), .transpose_b = true);
}

/* With x = pinv(a): da = -xᵀ dx xᵀ + (1 - a x) dxᵀ x xᵀ + xᵀ x dxᵀ (1 - x a), its products taken so
 * that those of the longer side squared do not arise. */
static void pinv_gradient(soma__grad *g)
{
    soma_var a = g->in[0], x = g->out, turned = soma_transpose(x), dt = soma_transpose(g->dout);
    soma_var outer = soma_matmul(soma_matmul(turned, g->dout), turned);
    soma_var left, right;
    if (longer(a, true)) {
        soma_var xx = soma_matmul(x, turned), back = soma_matmul(x, dt);
        left = soma_matmul(soma_sub(dt, soma_matmul(a, back)), xx);
        soma_var full = soma_matmul(turned, back);
        right = soma_sub(full, soma_matmul(soma_matmul(full, x), a));
    } else {
        soma_var xx = soma_matmul(turned, x), back = soma_matmul(dt, x);
        soma_var full = soma_matmul(back, turned);
        left = soma_sub(full, soma_matmul(a, soma_matmul(x, full)));
        right = soma_matmul(xx, soma_sub(dt, soma_matmul(back, a)));
    }
    g->din[0] = soma_add(soma_sub(left, outer), right);
}

/* --- composites --------------------------------------------------------------------------------
 */

static soma_var lstsq_decompose(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin, (void)attrs;
    return soma_matmul(soma_pinv(in[0], 0), in[1]);
}

static soma_var norm_decompose(soma_graph *graph, const soma_var *in, int nin, const void *stored)
{
    const soma__matrix_norm_attrs *attrs = stored;
    (void)graph, (void)nin;
    if (attrs->kind == SOMA_MATRIX_NORM_FROBENIUS)
        return soma_norm(in[0], 2, .axes = {-2, -1}, .count = 2);
    soma_var s = soma_svd_s(in[0]);
    return attrs->kind == SOMA_MATRIX_NORM_NUCLEAR ? soma_sum(s, .axes = {-1}, .count = 1)
                                                   : soma_max(s, .axes = {-1}, .count = 1);
}

static soma_var rank_decompose(soma_graph *graph, const soma_var *in, int nin, const void *stored)
{
    const soma__rcond_attrs *attrs = stored;
    const soma_shape shape = soma_var_shape(in[0]);
    const double rcond =
        soma__rcond(attrs->rcond, soma_var_dtype(in[0]), rows_of(&shape), cols_of(&shape));
    (void)graph, (void)nin;
    soma_var s = soma_svd_s(in[0]);
    if (shorter_side(&shape) == 0)
        return soma_count_nonzero(s, .axes = {-1}, .count = 1);
    soma_var most = soma_max(s, .axes = {-1}, .count = 1, .keep_dims = true);
    soma_var above = soma_greater(s, soma_mul_scalar(most, rcond));
    return soma_count_nonzero(above, .axes = {-1}, .count = 1);
}

/* --- descriptors -------------------------------------------------------------------------------
 */

static const soma__attr rcond_attrs[] = {
    {"rcond", SOMA__ATTR_FLOAT, offsetof(soma__rcond_attrs, rcond), 1,
     "singular values up to this part of the largest are 0; 0: the larger side's precision"},
    {0},
};

static const soma__attr norm_attrs[] = {
    {"kind", SOMA__ATTR_INT, offsetof(soma__matrix_norm_attrs, kind), 1,
     "0 Frobenius, 1 nuclear, 2 spectral"},
    {0},
};

SOMA__LINALG(svd_u, "a", 1, "U of a = U diag(s) Vᵀ, thin", u_rule, svd_u_gradient, );
SOMA__LINALG(svd_s, "a", 1, "singular values, descending", s_rule, svd_s_gradient, );
SOMA__LINALG(svd_v, "a", 1, "V of a = U diag(s) Vᵀ, thin", v_rule, svd_v_gradient, );
SOMA__LINALG(pinv, "a", 1, "pseudoinverse", pinv_rule, pinv_gradient,
             .attr_size = sizeof(soma__rcond_attrs), .attrs = rcond_attrs);

const soma__op soma__op_lstsq = {
    .name = "lstsq",
    .family = "linalg",
    .doc = "the shortest x with the least |a x - b|²",
    .inputs = "a b",
    .min_inputs = 2,
    .max_inputs = 2,
    .rule = lstsq_rule,
    .decompose = lstsq_decompose,
};

const soma__op soma__op_matrix_norm = {
    .name = "matrix_norm",
    .family = "linalg",
    .doc = "Frobenius, nuclear or spectral norm of matrices",
    .inputs = "a",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__matrix_norm_attrs),
    .attrs = norm_attrs,
    .rule = norm_rule,
    .decompose = norm_decompose,
};

const soma__op soma__op_matrix_rank = {
    .name = "matrix_rank",
    .family = "linalg",
    .doc = "how many singular values are not 0",
    .inputs = "a",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__rcond_attrs),
    .attrs = rcond_attrs,
    .rule = rank_rule,
    .decompose = rank_decompose,
};

/* --- builders ----------------------------------------------------------------------------------
 */

soma_var soma_svd_u(soma_var a)
{
    return soma__graph_add(NULL, &soma__op_svd_u, &a, 1, NULL);
}

soma_var soma_svd_s(soma_var a)
{
    return soma__graph_add(NULL, &soma__op_svd_s, &a, 1, NULL);
}

soma_var soma_svd_v(soma_var a)
{
    return soma__graph_add(NULL, &soma__op_svd_v, &a, 1, NULL);
}

soma_var soma_pinv(soma_var a, double rcond)
{
    const soma__rcond_attrs attrs = {rcond};
    return soma__graph_add(NULL, &soma__op_pinv, &a, 1, &attrs);
}

soma_var soma_lstsq(soma_var a, soma_var b)
{
    return soma__graph_add(NULL, &soma__op_lstsq, (soma_var[]){a, b}, 2, NULL);
}

soma_var soma_matrix_norm(soma_var a, soma_matrix_norm_kind kind)
{
    const soma__matrix_norm_attrs attrs = {kind};
    return soma__graph_add(NULL, &soma__op_matrix_norm, &a, 1, &attrs);
}

soma_var soma_matrix_rank(soma_var a, double rcond)
{
    const soma__rcond_attrs attrs = {rcond};
    return soma__graph_add(NULL, &soma__op_matrix_rank, &a, 1, &attrs);
}
