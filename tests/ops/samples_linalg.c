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
    {"cholesky", "wide", .build = cholesky_wide, SQUARE},
    {"cholesky", "integers", .build = cholesky_integer, .status = SOMA_DTYPE,
     .message = "must be f32 or f64"},
    {"qr_q", "by hand", .build = q_hand, .tolerance = 1e-5, SAMPLE_EXPECT(-0.6, -0.8, -0.8, 0.6)},
    {"qr_q", "tall", .build = q_tall, .tolerance = 1e-4},
    {"qr_q", "square", .build = q_square, .tolerance = 1e-4},
    {"qr_q", "vector", .build = q_vector, .status = SOMA_SHAPE, .message = "[B…,M,N]"},
    {"qr_r", "by hand", .build = r_hand, .tolerance = 1e-5, SAMPLE_EXPECT(-5, -2.2, 0, 0.4)},
    {"qr_r", "tall", .build = r_tall, .tolerance = 1e-4},
    {"qr_r", "square", .build = r_square, .tolerance = 1e-4},
    {"qr_r", "vector", .build = r_vector, .status = SOMA_SHAPE, .message = "[B…,M,N]"},
    {"eigh_values", "by hand", .build = values_hand, .tolerance = 1e-5, SAMPLE_EXPECT(1, 3)},
    {"eigh_values", "2 matrices", .build = values, .tolerance = 1e-5},
    {"eigh_values", "12x12", .build = values_large, .tolerance = 1e-5},
    {"eigh_values", "wide", .build = values_wide, SQUARE},
    {"eigh_vectors", "by hand", .build = vectors_hand, .tolerance = 1e-5,
     SAMPLE_EXPECT(0.89442719099991588, 0.44721359549995794, -0.44721359549995794,
                   0.89442719099991588)},
    {"eigh_vectors", "2 matrices", .build = vectors, .tolerance = 1e-4},
    {"eigh_vectors", "wide", .build = vectors_wide, SQUARE},
    {0},
};
