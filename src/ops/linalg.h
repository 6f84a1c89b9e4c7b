/* linalg.h: the kernels of linear algebra, for its descriptors. */
#ifndef SOMA__OPS_LINALG_H
#define SOMA__OPS_LINALG_H

#include "ops/ops.h"
#include "soma/linalg.h"

size_t soma__linalg_scratch(const soma__call *call);
void soma__reference_solve(const soma__call *call);
void soma__reference_triangular_solve(const soma__call *call);
void soma__reference_det(const soma__call *call);
void soma__reference_log_abs_det(const soma__call *call);
void soma__reference_det_sign(const soma__call *call);
void soma__reference_cholesky(const soma__call *call);
void soma__reference_qr_q(const soma__call *call);
void soma__reference_qr_r(const soma__call *call);
void soma__reference_eigh_values(const soma__call *call);
void soma__reference_eigh_vectors(const soma__call *call);

#endif
