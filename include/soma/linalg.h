/* soma/linalg.h: linear algebra on matrices [B…,M,N], each of the batch by itself, f32 or f64.
 *
 * All compute in double, one matrix after the other, so results do not depend on threads. What has
 * no answer gives NaN or Inf, not an error: a plan cannot fail while it runs (soma_session_check
 * finds where). Gradients of any order, but where said; they are those of PyTorch, and have no
 * value where PyTorch's have none (a singular matrix, equal eigenvalues or singular values).
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
 * cell that is largest without its sign is positive. */
SOMA_API soma_var soma_eigh_values(soma_var a);
SOMA_API soma_var soma_eigh_vectors(soma_var a);

#ifdef __cplusplus
}
#endif
#endif
