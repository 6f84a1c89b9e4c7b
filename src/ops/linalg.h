/* linalg.h: the kernels of linear algebra, for its descriptors and for backends. */
#ifndef SOMA__OPS_LINALG_H
#define SOMA__OPS_LINALG_H

#include <float.h>

#include "ops/attrs.h"
#include "ops/ops.h"
#include "soma/linalg.h"

#define SOMA__LINALG_OPS(X)                                                                        \
    X(solve)                                                                                       \
    X(triangular_solve)                                                                            \
    X(det)                                                                                         \
    X(log_abs_det)                                                                                 \
    X(det_sign)                                                                                    \
    X(cholesky)                                                                                    \
    X(qr_q)                                                                                        \
    X(qr_r)                                                                                        \
    X(eigh_values)                                                                                 \
    X(eigh_vectors)                                                                                \
    X(svd_u)                                                                                       \
    X(svd_s)                                                                                       \
    X(svd_v)                                                                                       \
    X(pinv)

/* soma__matrix_<op> computes one matrix of the batch, with soma__linalg_scratch bytes of work;
 * soma__reference_<op>, the reference kernel, all of them. */
#define SOMA__LINALG_DECLARE(name_)                                                                \
    void soma__matrix_##name_(const soma__call *call, int64_t m, double *work);                    \
    void soma__reference_##name_(const soma__call *call);
SOMA__LINALG_OPS(SOMA__LINALG_DECLARE)
#undef SOMA__LINALG_DECLARE

/* a is f32 or f64, [B…,M,N] or [B…,N,N]. */
soma_status soma__matrix_rule(soma__rule *rule, bool square);
double soma__linalg_flops(const soma__call *call);
/* The identity, [B…,N,N] like a. */
soma_var soma__identity_like(soma_var a);

#define SOMA__LINALG(name_, inputs_, count_, doc_, rule_, gradient_, ...)                          \
    const soma__op soma__op_##name_ = {.name = #name_,                                             \
                                       .family = "linalg",                                         \
                                       .doc = doc_,                                                \
                                       .inputs = inputs_,                                          \
                                       .min_inputs = count_,                                       \
                                       .max_inputs = count_,                                       \
                                       .rule = rule_,                                              \
                                       .gradient = gradient_,                                      \
                                       .reference = soma__reference_##name_,                       \
                                       .reference_scratch = soma__linalg_scratch,                  \
                                       .flops = soma__linalg_flops,                                \
                                       __VA_ARGS__}

size_t soma__linalg_scratch(const soma__call *call);
int64_t soma__matrix_count(const soma__call *call);

/* `count` cells of a matrix, to and from double. */
void soma__matrix_load(const soma__view *x, int64_t matrix, int64_t count, double *out);
void soma__matrix_store(const soma__view *y, int64_t matrix, int64_t count, const double *values);

/* --- what all kernels of an op must do alike --- */

typedef enum soma__det_part { SOMA__DET, SOMA__DET_LOG, SOMA__DET_SIGN } soma__det_part;
/* Of a triangular a [n,n] and the sign of the row exchanges that led to it. */
double soma__det_of_diagonal(const double *a, int64_t n, double sign, soma__det_part part);

/* The sign, 1 or -1, of the vector's cell that is largest without it, the first of equals. */
double soma__sign_of_peak(const double *v, int64_t count, int64_t step);

/* Singular values up to this part of the largest count as 0; rcond 0 stands for the larger side
 * times the dtype's precision. */
static inline double soma__rcond(double rcond, soma_dtype dtype, int64_t rows, int64_t cols)
{
    double precision = dtype == SOMA_F64 ? DBL_EPSILON : (double)FLT_EPSILON;
    return rcond > 0 ? rcond : precision * (double)(rows > cols ? rows : cols);
}

/* out [cols,rows] = V diag(1/s) Uᵀ without the s below the cutoff, of u [k,rows] and v [k,cols], a
 * vector a row; attrs are soma__rcond_attrs. */
void soma__pinv_of_svd(const soma__call *call, const double *u, const double *s, const double *v,
                       double *out);

#endif
