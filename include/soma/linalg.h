/* soma/linalg.h: linear algebra on matrices [B…,M,N], each of the batch by itself, f32 or f64.
 *
 * All compute in double, by LAPACK where soma is built with it; each matrix on one thread, so
 * results do not depend on their number. What has no answer gives NaN or Inf, not an error: a plan
 * cannot fail while it runs (soma_session_check finds where). Gradients of any order, but where
 * said; they are those of PyTorch, and have no value where PyTorch's have none (a singular matrix,
 * equal eigenvalues or singular values).
 */
#ifndef SOMA_LINALG_H
#define SOMA_LINALG_H

#include "graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* x with a x = b, by LU with partial pivots: a [B…,N,N], b [B…,N,K], equal batches -> [B…,N,K]. A
 * singular a gives Inf or NaN. */
SOMA_API soma_var soma_solve(soma_var a, soma_var b);
typedef struct soma_triangle_options {
    bool upper;     /* the cells above the diagonal count, else those below */
    bool transpose; /* solves aᵀ x = b */
    bool unit;      /* the diagonal is taken for 1 */
} soma_triangle_options;
/* The same for a triangular a, whose other cells are not looked at. */
SOMA_API soma_var soma_triangular_solve_opt(soma_var a, soma_var b, soma_triangle_options options);
#define soma_triangular_solve(a_, b_, ...)                                                         \
    soma_triangular_solve_opt((a_), (b_), (soma_triangle_options){__VA_ARGS__})
SOMA_API soma_var soma_inverse(soma_var a); /* composite: solve(a, 1) */

/* [B…,N,N] -> [B…]. The determinant; ln |det|, -Inf for a singular one; and its sign, -1, 0 or 1,
 * which has no gradient: together what others call slogdet. */
SOMA_API soma_var soma_det(soma_var a);
SOMA_API soma_var soma_log_abs_det(soma_var a);
SOMA_API soma_var soma_det_sign(soma_var a);

/* L, lower, with L Lᵀ = (a + aᵀ)/2; NaN for a matrix that is not positive definite. */
SOMA_API soma_var soma_cholesky(soma_var a);

/* Reduced QR by Householder, with LAPACK's signs: a [B…,M,N], K = min(M,N) -> Q [B…,M,K], R
 * [B…,K,N]. Gradients for M >= N. */
SOMA_API soma_var soma_qr_q(soma_var a);
SOMA_API soma_var soma_qr_r(soma_var a);

/* Of (a + aᵀ)/2: eigenvalues, ascending [B…,N], and eigenvectors as columns [B…,N,N], of each the
 * cell that is largest without its sign, the first of equals, is positive. */
SOMA_API soma_var soma_eigh_values(soma_var a);
SOMA_API soma_var soma_eigh_vectors(soma_var a);

/* The thin singular value decomposition a = U diag(s) Vᵀ of a [B…,M,N], K = min(M,N): U [B…,M,K],
 * s [B…,K] descending, V [B…,N,K]. Of each column of U the cell that is largest without its sign,
 * the first of equals, is positive. Columns of equal singular values, and of those that are 0, are
 * orthonormal but else no definite ones. Gradients as PyTorch's (Townsend 2016): of s always
 * finite, but one of several where singular values are equal or 0; of U and V they divide by s[i]²
 * - s[j]², so that equal singular values give Inf or NaN, and by s where M and N differ. They take
 * U and V as a pair: what depends on the sign of a column alone has no gradient. */
SOMA_API soma_var soma_svd_u(soma_var a);
SOMA_API soma_var soma_svd_s(soma_var a);
SOMA_API soma_var soma_svd_v(soma_var a);

/* The pseudoinverse (Moore and Penrose) [B…,N,M] of a [B…,M,N]: V diag(1/s) Uᵀ, singular values up
 * to rcond times the largest taken for 0; rcond 0 stands for max(M,N) times the dtype's precision.
 * The gradient (Golub and Pereyra 1973) is right for equal singular values too, as long as the rank
 * stays the same nearby. */
SOMA_API soma_var soma_pinv(soma_var a, double rcond);

/* The x that makes |a x - b|² least, and of several such x the shortest: a [B…,M,N], b [B…,M,K] ->
 * [B…,N,K]. Composite: pinv(a, 0) b. */
SOMA_API soma_var soma_lstsq(soma_var a, soma_var b);

typedef enum soma_matrix_norm_kind {
    SOMA_MATRIX_NORM_FROBENIUS, /* the root of the sum of squares */
    SOMA_MATRIX_NORM_NUCLEAR,   /* the sum of the singular values */
    SOMA_MATRIX_NORM_SPECTRAL,  /* the largest singular value: the 2-norm */
} soma_matrix_norm_kind;
/* [B…,M,N] -> [B…]. Composite. Gradients as PyTorch's; that of the Frobenius norm of zeros is 0. */
SOMA_API soma_var soma_matrix_norm(soma_var a, soma_matrix_norm_kind kind);

/* [B…,M,N] -> i64 [B…]: how many singular values are above rcond times the largest, rcond as of
 * soma_pinv. Composite, no gradient. */
SOMA_API soma_var soma_matrix_rank(soma_var a, double rcond);

#ifdef __cplusplus
}
#endif
#endif
