/* samples_linalg.c: samples of linear algebra. Random matrices get a multiple of the identity, so
 * that none is near a singular one and eigenvalues lie apart. */
#include "driver.h"

#define S SOMA_SHAPE
#define BUILD(name_, ...)                                                                          \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define VALUES(...)                                                                                \
    (const double[])                                                                               \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* [B,n,n] with a strong diagonal, 1, 2, 3, … more on each cell than on the one before. */
static soma_var strong(soma__sample_ctx *ctx, soma_shape shape)
{
    soma_var x = sample_in(ctx, shape, -0.5, 0.5);
    soma_dtype dtype = sample_dtype(ctx);
    int64_t n = shape.dim[shape.ndim - 1];
    soma_var grow = soma_arange(sample_graph(ctx), dtype, 2, (double)n + 2, 1);
    return soma_add(x, soma_diag(grow, 0));
}

BUILD(solve_batch, soma_var a = strong(ctx, S(3, 4, 4));
      return soma_solve(a, sample_in(ctx, S(3, 4, 2), -1, 1));)
BUILD(solve_large, soma_var a = strong(ctx, S(17, 17));
      return soma_solve(a, sample_in(ctx, S(17, 1), -1, 1));)
BUILD(solve_empty, soma_var a = sample_in(ctx, S(0, 3, 3), -1, 1); return soma_solve(a, a);)
/* 2x + y = 5, x + 3y = 10, by which the rows change places in the second matrix. */
BUILD(solve_hand, soma_var a = sample_values(ctx, 0, S(2, 2, 2), VALUES(2, 1, 1, 3, 0, 2, 1, 1));
      return soma_solve(a, sample_values(ctx, 0, S(2, 2, 1), VALUES(5, 10, 6, 4)));)
BUILD(solve_singular, soma_var a = sample_values(ctx, 0, S(2, 2), VALUES(1, 2, 2, 4));
      return soma_solve(a, sample_values(ctx, 0, S(2, 1), VALUES(1, 3)));)
BUILD(solve_vector, soma_var a = sample_in(ctx, S(3, 3), -1, 1);
      return soma_solve(a, sample_in(ctx, S(3), -1, 1));)
BUILD(solve_wide, soma_var a = sample_in(ctx, S(3, 4), -1, 1); return soma_solve(a, a);)

#define TRIANGLE(name_, ...)                                                                       \
    BUILD(name_, soma_var a = strong(ctx, S(2, 4, 4));                                             \
          return soma_triangular_solve(a, sample_in(ctx, S(2, 4, 3), -1, 1), __VA_ARGS__);)
TRIANGLE(lower, .upper = false)
TRIANGLE(upper, .upper = true)
TRIANGLE(lower_turned, .transpose = true)
TRIANGLE(upper_turned, .upper = true, .transpose = true, .unit = true)
TRIANGLE(lower_unit, .unit = true)
BUILD(triangle_hand, soma_var a = sample_values(ctx, 0, S(2, 2), VALUES(2, 99, 1, 4));
      return soma_triangular_solve(a, sample_values(ctx, 0, S(2, 1), VALUES(6, 11)));)
BUILD(triangle_refuse, soma_var a = sample_in(ctx, S(3, 3), -1, 1);
      return soma_triangular_solve(a, sample_in(ctx, S(4, 3), -1, 1));)

BUILD(inverse, return soma_inverse(strong(ctx, S(2, 5, 5)));)
BUILD(inverse_hand, return soma_inverse(sample_values(ctx, 0, S(2, 2), VALUES(1, 2, 3, 4)));)
BUILD(inverse_wide, return soma_inverse(sample_in(ctx, S(2, 3), -1, 1));)

BUILD(det, return soma_det(strong(ctx, S(3, 3, 3)));)
BUILD(det_hand, return soma_det(sample_values(ctx, 0, S(3, 2, 2),
                                              VALUES(1, 2, 3, 4, 0, 1, 1, 0, 1, 2, 2, 4)));)
BUILD(det_vector, return soma_det(sample_in(ctx, S(3), -1, 1));)
BUILD(logs, return soma_log_abs_det(strong(ctx, S(3, 4, 4)));)
BUILD(logs_hand,
      return soma_log_abs_det(sample_values(ctx, 0, S(2, 2, 2), VALUES(1, 2, 3, 4, 1, 2, 2, 4)));)
BUILD(logs_wide, return soma_log_abs_det(sample_in(ctx, S(2, 3), -1, 1));)
BUILD(sign_hand,
      return soma_det_sign(sample_values(ctx, 0, S(3, 2, 2),
                                         VALUES(1, 2, 3, 4, 4, 3, 2, 1.75, 1, 2, 2, 4)));)
BUILD(sign_wide, return soma_det_sign(sample_in(ctx, S(2, 3), -1, 1));)

BUILD(cholesky, return soma_cholesky(strong(ctx, S(2, 4, 4)));)
BUILD(cholesky_hand,
      return soma_cholesky(sample_values(ctx, 0, S(2, 2, 2), VALUES(4, 2, 2, 10, 1, 2, 2, 1)));)
BUILD(cholesky_wide, return soma_cholesky(sample_in(ctx, S(2, 3), -1, 1));)
BUILD(cholesky_integer, return soma_cholesky(sample_int(ctx, SOMA_I64, S(3, 3), 0, 5));)

BUILD(q_tall, return soma_qr_q(sample_in(ctx, S(2, 5, 3), -1, 1));)
BUILD(q_square, return soma_qr_q(strong(ctx, S(4, 4)));)
/* 3, 4 goes to -5, 0. */
BUILD(q_hand, return soma_qr_q(sample_values(ctx, 0, S(2, 2), VALUES(3, 1, 4, 2)));)
BUILD(q_vector, return soma_qr_q(sample_in(ctx, S(3), -1, 1));)
BUILD(r_tall, return soma_qr_r(sample_in(ctx, S(2, 5, 3), -1, 1));)
BUILD(r_square, return soma_qr_r(strong(ctx, S(4, 4)));)
BUILD(r_hand, return soma_qr_r(sample_values(ctx, 0, S(2, 2), VALUES(3, 1, 4, 2)));)
BUILD(r_vector, return soma_qr_r(sample_in(ctx, S(3), -1, 1));)

BUILD(values, return soma_eigh_values(strong(ctx, S(2, 4, 4)));)
BUILD(values_large, return soma_eigh_values(strong(ctx, S(12, 12)));)
BUILD(values_hand, return soma_eigh_values(sample_values(ctx, 0, S(2, 2), VALUES(2, 1, 1, 2)));)
BUILD(values_wide, return soma_eigh_values(sample_in(ctx, S(2, 3), -1, 1));)
BUILD(vectors, return soma_eigh_vectors(strong(ctx, S(2, 4, 4)));)
/* Eigenvalues 0 and 5 of [1 2; 2 4]: (2, -1) and (1, 2) over √5. */
BUILD(vectors_hand, return soma_eigh_vectors(sample_values(ctx, 0, S(2, 2), VALUES(1, 2, 2, 4)));)
BUILD(vectors_wide, return soma_eigh_vectors(sample_in(ctx, S(2, 3), -1, 1));)

BUILD(u_tall, return soma_svd_u(sample_in(ctx, S(2, 5, 3), -1, 1));)
BUILD(u_wide, return soma_svd_u(sample_in(ctx, S(2, 3, 5), -1, 1));)
BUILD(u_square, return soma_svd_u(strong(ctx, S(4, 4)));)
/* [4 0; 3 -5] = U diag(2√10, √10) Vᵀ, U = [1 2; 2 -1]/√5 and V = [1 1; -1 1]/√2: in U's largest
 * cells, 2 and 2, lie the signs. */
#define SKEW(name_, op_)                                                                           \
    BUILD(name_, return op_(sample_values(ctx, 0, S(2, 2), VALUES(4, 0, 3, -5)));)
SKEW(u_hand, soma_svd_u)
SKEW(s_hand, soma_svd_s)
SKEW(v_hand, soma_svd_v)
/* Of rank 1: U's second column is at right angles to (3, 4)/5, its largest cell positive. */
BUILD(u_rank, return soma_svd_u(sample_values(ctx, 0, S(2, 2), VALUES(3, 3, 4, 4)));)
BUILD(u_empty, return soma_svd_u(sample_in(ctx, S(2, 3, 0), -1, 1));)
BUILD(u_vector, return soma_svd_u(sample_in(ctx, S(3), -1, 1));)
BUILD(s_tall, return soma_svd_s(sample_in(ctx, S(2, 5, 3), -1, 1));)
BUILD(s_wide, return soma_svd_s(sample_in(ctx, S(3, 5), -1, 1));)
BUILD(s_many, return soma_svd_s(sample_in(ctx, S(33, 3, 2), -1, 1));)
BUILD(s_large, return soma_svd_s(sample_in(ctx, S(40, 33), -1, 1));)
/* Columns (3, 4, 0) and (-4, 3, 0), and zeros: the values alone are definite. */
BUILD(s_equal, soma_var a = sample_values(ctx, 0, S(3, 3), VALUES(3, -4, 0, 4, 3, 0, 0, 0, 0));
      return soma_svd_s(soma_stop_gradient(a));)
BUILD(s_huge, return soma_svd_s(sample_values(ctx, 0, S(2, 1), VALUES(3e30, 4e30)));)
BUILD(s_vector, return soma_svd_s(sample_in(ctx, S(3), -1, 1));)
BUILD(v_tall, return soma_svd_v(sample_in(ctx, S(2, 5, 3), -1, 1));)
BUILD(v_wide, return soma_svd_v(sample_in(ctx, S(2, 3, 5), -1, 1));)
BUILD(v_vector, return soma_svd_v(sample_in(ctx, S(3), -1, 1));)

BUILD(pinv_tall, return soma_pinv(sample_in(ctx, S(2, 5, 3), -1, 1), 0);)
BUILD(pinv_wide, return soma_pinv(sample_in(ctx, S(2, 3, 5), -1, 1), 0);)
/* Of rank 1, a = (1, 2)ᵀ (1, 1): aᵀ over the squares' sum. */
BUILD(pinv_hand, return soma_pinv(sample_values(ctx, 0, S(2, 2), VALUES(1, 1, 2, 2)), 0);)
BUILD(pinv_cut, return soma_pinv(sample_values(ctx, 0, S(2, 2), VALUES(2, 0, 0, 0.5)), 0.3);)
BUILD(pinv_equal, return soma_pinv(sample_values(ctx, 0, S(2, 2), VALUES(0, 2, -2, 0)), 0);)
BUILD(pinv_refuse, return soma_pinv(sample_in(ctx, S(2, 2), -1, 1), -1);)

/* The line 1 + 2 t through t = 0, 1, 2 and of (3, 4) x = 10 the shortest. */
BUILD(lstsq_line, soma_var a = sample_values(ctx, 0, S(3, 2), VALUES(1, 0, 1, 1, 1, 2));
      return soma_lstsq(a, sample_values(ctx, 0, S(3, 1), VALUES(1, 3, 5)));)
BUILD(lstsq_short, soma_var a = sample_values(ctx, 0, S(1, 2), VALUES(3, 4));
      return soma_lstsq(a, sample_values(ctx, 0, S(1, 1), VALUES(10)));)
BUILD(lstsq_batch, soma_var a = sample_in(ctx, S(2, 5, 3), -1, 1);
      return soma_lstsq(a, sample_in(ctx, S(2, 5, 2), -1, 1));)
BUILD(lstsq_sizes, soma_var a = sample_in(ctx, S(5, 3), -1, 1);
      return soma_lstsq(a, sample_in(ctx, S(3, 1), -1, 1));)

#define NORM(name_, kind_)                                                                         \
    BUILD(name_##_hand,                                                                            \
          return soma_matrix_norm(sample_values(ctx, 0, S(2, 2), VALUES(4, 0, 3, -5)), kind_);)    \
    BUILD(name_, return soma_matrix_norm(sample_in(ctx, S(2, 4, 3), -1, 1), kind_);)
NORM(frobenius, SOMA_MATRIX_NORM_FROBENIUS)
NORM(nuclear, SOMA_MATRIX_NORM_NUCLEAR)
NORM(spectral, SOMA_MATRIX_NORM_SPECTRAL)
BUILD(norm_kind, return soma_matrix_norm(sample_in(ctx, S(2, 2), -1, 1), (soma_matrix_norm_kind)3);)
BUILD(norm_empty,
      return soma_matrix_norm(sample_in(ctx, S(0, 2), -1, 1), SOMA_MATRIX_NORM_SPECTRAL);)

BUILD(rank_hand, return soma_matrix_rank(sample_values(ctx, 0, S(3, 2, 2),
                                                       VALUES(1, 2, 3, 4, 1, 2, 2, 4, 0, 0, 0, 0)),
                                         0);)
BUILD(rank_cut, return soma_matrix_rank(sample_values(ctx, 0, S(2, 2), VALUES(2, 0, 0, 0.5)), 0.3);)
BUILD(rank_empty, return soma_matrix_rank(sample_in(ctx, S(2, 0, 3), -1, 1), 0);)
BUILD(rank_vector, return soma_matrix_rank(sample_in(ctx, S(3), -1, 1), 0);)

/* Above the block sizes of LAPACK; singular values too near to each other for second differences.
 */
#define LARGE(name_, op_, ...)                                                                     \
    BUILD(name_, return op_(soma_mul_scalar(sample_in(ctx, S(__VA_ARGS__), -1, 1), 0.25));)
LARGE(q_tall_large, soma_qr_q, 70, 40)
/* Wide ones have no gradient. */
BUILD(q_wide_large, return soma_stop_gradient(soma_qr_q(sample_in(ctx, S(40, 70), -1, 1)));)
BUILD(r_wide_large, return soma_stop_gradient(soma_qr_r(sample_in(ctx, S(40, 70), -1, 1)));)
LARGE(u_large, soma_svd_u, 60, 20)
LARGE(v_large, soma_svd_v, 20, 60)
BUILD(pinv_large, return soma_pinv(strong(ctx, S(40, 40)), 0);)
BUILD(inverse_large, return soma_inverse(strong(ctx, S(70, 70)));)
BUILD(cholesky_large, return soma_cholesky(strong(ctx, S(70, 70)));)
BUILD(vectors_large, return soma_eigh_vectors(strong(ctx, S(40, 40)));)

#define KINK .flags = SAMPLE_NO_DIFFERENCES
#define SQUARE .status = SOMA_SHAPE, .message = "[B…,N,N]"

const soma__sample soma__samples_linalg[] = {
    {"solve", "by hand", .build = solve_hand, SAMPLE_EXPECT(1, 3, 1, 3)},
    {"solve", "singular", .build = solve_singular, KINK, SAMPLE_EXPECT(INFINITY, -INFINITY)},
    {"solve", "3 matrices", .build = solve_batch, .tolerance = 1e-5},
    {"solve", "17x17", .build = solve_large, .tolerance = 1e-5},
    {"solve", "no matrices", .build = solve_empty},
    {"solve", "vector", .build = solve_vector, .status = SOMA_SHAPE,
     .message = "a [3,3] wants b as [B…,N,K]"},
    {"solve", "wide", .build = solve_wide, SQUARE},
    {"triangular_solve", "by hand", .build = triangle_hand, SAMPLE_EXPECT(3, 2)},
    {"triangular_solve", "lower", .build = lower, .tolerance = 1e-5},
    {"triangular_solve", "upper", .build = upper, .tolerance = 1e-5},
    {"triangular_solve", "lower transposed", .build = lower_turned, .tolerance = 1e-5},
    {"triangular_solve", "upper transposed unit", .build = upper_turned, .tolerance = 1e-5},
    {"triangular_solve", "lower unit", .build = lower_unit, .tolerance = 1e-5},
    {"triangular_solve", "sizes", .build = triangle_refuse, .status = SOMA_SHAPE,
     .message = "but it is [4,3]"},
    {"inverse", "by hand", .build = inverse_hand, .tolerance = 1e-5,
     SAMPLE_EXPECT(-2, 1, 1.5, -0.5)},
    {"inverse", "2 matrices", .build = inverse, .tolerance = 1e-5},
    {"inverse", "70x70", .build = inverse_large, .tolerance = 1e-5},
    {"inverse", "wide", .build = inverse_wide, SQUARE},
    {"det", "by hand", .build = det_hand, KINK, SAMPLE_EXPECT(-2, -1, 0)},
    {"det", "3 matrices", .build = det, .tolerance = 1e-5},
    {"det", "vector", .build = det_vector, SQUARE},
    {"log_abs_det", "by hand", .build = logs_hand, KINK,
     SAMPLE_EXPECT(0.69314718055994531, -INFINITY)},
    {"log_abs_det", "3 matrices", .build = logs, .tolerance = 1e-5},
    {"log_abs_det", "wide", .build = logs_wide, SQUARE},
    {"det_sign", "by hand", .build = sign_hand, .flags = SAMPLE_NO_GRADIENT,
     SAMPLE_EXPECT(-1, 1, 0)},
    {"det_sign", "wide", .build = sign_wide, SQUARE},
    {"cholesky", "by hand", .build = cholesky_hand, KINK,
     SAMPLE_EXPECT(2, 0, 1, 3, NAN, NAN, NAN, NAN)},
    {"cholesky", "2 matrices", .build = cholesky, .tolerance = 1e-5},
    {"cholesky", "70x70", .build = cholesky_large, .tolerance = 1e-5},
    {"cholesky", "wide", .build = cholesky_wide, SQUARE},
    {"cholesky", "integers", .build = cholesky_integer, .status = SOMA_DTYPE,
     .message = "must be f32 or f64"},
    {"qr_q", "by hand", .build = q_hand, .tolerance = 1e-5, SAMPLE_EXPECT(-0.6, -0.8, -0.8, 0.6)},
    {"qr_q", "tall", .build = q_tall, .tolerance = 1e-4},
    {"qr_q", "square", .build = q_square, .tolerance = 1e-4},
    {"qr_q", "70x40", .build = q_tall_large, .tolerance = 1e-3},
    {"qr_q", "40x70", .build = q_wide_large, .flags = SAMPLE_NO_GRADIENT, .tolerance = 1e-3},
    {"qr_q", "vector", .build = q_vector, .status = SOMA_SHAPE, .message = "[B…,M,N]"},
    {"qr_r", "by hand", .build = r_hand, .tolerance = 1e-5, SAMPLE_EXPECT(-5, -2.2, 0, 0.4)},
    {"qr_r", "tall", .build = r_tall, .tolerance = 1e-4},
    {"qr_r", "square", .build = r_square, .tolerance = 1e-4},
    {"qr_r", "40x70", .build = r_wide_large, .flags = SAMPLE_NO_GRADIENT, .tolerance = 1e-3},
    {"qr_r", "vector", .build = r_vector, .status = SOMA_SHAPE, .message = "[B…,M,N]"},
    {"eigh_values", "by hand", .build = values_hand, .tolerance = 1e-5, SAMPLE_EXPECT(1, 3)},
    {"eigh_values", "2 matrices", .build = values, .tolerance = 1e-5},
    {"eigh_values", "12x12", .build = values_large, .tolerance = 1e-5},
    {"eigh_values", "wide", .build = values_wide, SQUARE},
    {"eigh_vectors", "by hand", .build = vectors_hand, .tolerance = 1e-5,
     SAMPLE_EXPECT(0.89442719099991588, 0.44721359549995794, -0.44721359549995794,
                   0.89442719099991588)},
    {"eigh_vectors", "2 matrices", .build = vectors, .tolerance = 1e-4},
    {"eigh_vectors", "40x40", .build = vectors_large, .tolerance = 1e-3},
    {"eigh_vectors", "wide", .build = vectors_wide, SQUARE},
    {"svd_u", "by hand", .build = u_hand, .tolerance = 1e-5,
     SAMPLE_EXPECT(0.44721359549995794, 0.89442719099991588, 0.89442719099991588,
                   -0.44721359549995794)},
    {"svd_u", "rank 1", .build = u_rank, KINK, SAMPLE_EXPECT(0.6, 0.8, 0.8, -0.6)},
    {"svd_u", "tall", .build = u_tall, .tolerance = 1e-4},
    {"svd_u", "wide", .build = u_wide, .tolerance = 1e-4},
    {"svd_u", "square", .build = u_square, .tolerance = 1e-4},
    {"svd_u", "60x20", .build = u_large, KINK, .tolerance = 1e-3},
    {"svd_u", "no columns", .build = u_empty},
    {"svd_u", "vector", .build = u_vector, .status = SOMA_SHAPE, .message = "[B…,M,N]"},
    {"svd_s", "by hand", .build = s_hand, .tolerance = 1e-5,
     SAMPLE_EXPECT(6.3245553203367586, 3.1622776601683793)},
    {"svd_s", "equal ones", .build = s_equal, .flags = SAMPLE_NO_GRADIENT, SAMPLE_EXPECT(5, 5, 0)},
    {"svd_s", "huge", .build = s_huge, KINK, SAMPLE_EXPECT(5e30)},
    {"svd_s", "tall", .build = s_tall, .tolerance = 1e-5},
    {"svd_s", "wide", .build = s_wide, .tolerance = 1e-5},
    {"svd_s", "33 matrices", .build = s_many, .tolerance = 1e-5},
    {"svd_s", "40x33", .build = s_large, .tolerance = 1e-5},
    {"svd_s", "vector", .build = s_vector, .status = SOMA_SHAPE, .message = "[B…,M,N]"},
    {"svd_v", "by hand", .build = v_hand, .tolerance = 1e-5,
     SAMPLE_EXPECT(0.70710678118654752, 0.70710678118654752, -0.70710678118654752,
                   0.70710678118654752)},
    {"svd_v", "tall", .build = v_tall, .tolerance = 1e-4},
    {"svd_v", "wide", .build = v_wide, .tolerance = 1e-4},
    {"svd_v", "20x60", .build = v_large, KINK, .tolerance = 1e-3},
    {"svd_v", "vector", .build = v_vector, .status = SOMA_SHAPE, .message = "[B…,M,N]"},
    {"pinv", "rank 1", .build = pinv_hand, KINK, SAMPLE_EXPECT(0.1, 0.2, 0.1, 0.2)},
    {"pinv", "cut off", .build = pinv_cut, KINK, SAMPLE_EXPECT(0.5, 0, 0, 0)},
    {"pinv", "equal singular values", .build = pinv_equal, .tolerance = 1e-5,
     SAMPLE_EXPECT(0, -0.5, 0.5, 0)},
    {"pinv", "tall", .build = pinv_tall, .tolerance = 1e-4},
    {"pinv", "wide", .build = pinv_wide, .tolerance = 1e-4},
    {"pinv", "40x40", .build = pinv_large, .tolerance = 1e-4},
    {"pinv", "rcond", .build = pinv_refuse, .status = SOMA_INVALID,
     .message = "rcond -1 is not in [0,1)"},
    {"lstsq", "line", .build = lstsq_line, .tolerance = 1e-5, SAMPLE_EXPECT(1, 2)},
    {"lstsq", "shortest", .build = lstsq_short, .tolerance = 1e-5, SAMPLE_EXPECT(1.2, 1.6)},
    {"lstsq", "2 matrices", .build = lstsq_batch, .tolerance = 1e-4},
    {"lstsq", "sizes", .build = lstsq_sizes, .status = SOMA_SHAPE,
     .message = "a [5,3] wants b as [B…,M,K]"},
    {"matrix_norm", "frobenius by hand", .build = frobenius_hand, .tolerance = 1e-5,
     SAMPLE_EXPECT(7.0710678118654755)},
    {"matrix_norm", "nuclear by hand", .build = nuclear_hand, .tolerance = 1e-5,
     SAMPLE_EXPECT(9.4868329805051381)},
    {"matrix_norm", "spectral by hand", .build = spectral_hand, .tolerance = 1e-5,
     SAMPLE_EXPECT(6.3245553203367586)},
    {"matrix_norm", "frobenius", .build = frobenius, .tolerance = 1e-5},
    {"matrix_norm", "nuclear", .build = nuclear, .tolerance = 1e-5},
    {"matrix_norm", "spectral", .build = spectral, .tolerance = 1e-5},
    {"matrix_norm", "kind", .build = norm_kind, .status = SOMA_INVALID,
     .message = "there is no matrix norm 3"},
    {"matrix_norm", "empty", .build = norm_empty, .status = SOMA_SHAPE,
     .message = "an empty matrix has no largest singular value"},
    {"matrix_rank", "by hand", .build = rank_hand, .flags = SAMPLE_NO_GRADIENT,
     SAMPLE_EXPECT(2, 1, 0)},
    {"matrix_rank", "cut off", .build = rank_cut, .flags = SAMPLE_NO_GRADIENT, SAMPLE_EXPECT(1)},
    {"matrix_rank", "no rows", .build = rank_empty, .flags = SAMPLE_NO_GRADIENT},
    {"matrix_rank", "vector", .build = rank_vector, .status = SOMA_SHAPE, .message = "[B…,M,N]"},
    {0},
};
