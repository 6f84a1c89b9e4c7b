/* test_golden_linalg.c: linear algebra against PyTorch's. */
#include "golden.h"

GOLDEN(solve, soma_solve(in[0], in[1]))
GOLDEN(lower, soma_triangular_solve(in[0], in[1]))
GOLDEN(upper, soma_triangular_solve(in[0], in[1], .upper = true))
GOLDEN(lower_unit, soma_triangular_solve(in[0], in[1], .unit = true))
GOLDEN(inverse, soma_inverse(in[0]))
GOLDEN(det, soma_det(in[0]))
GOLDEN(log_abs_det, soma_log_abs_det(in[0]))
GOLDEN(det_sign, soma_det_sign(in[0]))
GOLDEN(cholesky, soma_cholesky(in[0]))
GOLDEN(qr_q, soma_qr_q(in[0]))
GOLDEN(qr_r, soma_qr_r(in[0]))
GOLDEN(eigh_values, soma_eigh_values(in[0]))
GOLDEN(eigh_vectors, soma_eigh_vectors(in[0]))
GOLDEN(svd_u, soma_svd_u(in[0]))
GOLDEN(svd_s, soma_svd_s(in[0]))
GOLDEN(svd_v, soma_svd_v(in[0]))
GOLDEN(pinv, soma_pinv(in[0], 0))
GOLDEN(pinv_flat, soma_pinv(in[0], 1e-6))
GOLDEN(lstsq, soma_lstsq(in[0], in[1]))
GOLDEN(frobenius, soma_matrix_norm(in[0], SOMA_MATRIX_NORM_FROBENIUS))
GOLDEN(nuclear, soma_matrix_norm(in[0], SOMA_MATRIX_NORM_NUCLEAR))
GOLDEN(spectral, soma_matrix_norm(in[0], SOMA_MATRIX_NORM_SPECTRAL))
GOLDEN(rank_flat, soma_matrix_rank(in[0], 1e-6))

static const golden cases[] = {
    {"solve", "a b", solve},
    {"triangular_lower", "a b", lower},
    {"triangular_upper", "a b", upper},
    {"triangular_lower_unit", "a b", lower_unit},
    {"inverse", "a", inverse},
    {"det", "a", det},
    {"log_abs_det", "a", log_abs_det},
    {"det_sign", "a", det_sign},
    {"cholesky", "a", cholesky},
    {"qr_q_tall", "a", qr_q},
    {"qr_q_square", "a", qr_q},
    {"qr_r_tall", "a", qr_r},
    {"qr_r_square", "a", qr_r},
    {"qr_r_wide", "a", qr_r},
    {"eigh_values", "a", eigh_values},
    {"eigh_vectors", "a", eigh_vectors},
    {"svd_u_tall", "a", svd_u},
    {"svd_u_wide", "a", svd_u},
    {"svd_u_square", "a", svd_u},
    {"svd_s_tall", "a", svd_s},
    {"svd_s_wide", "a", svd_s},
    {"svd_s_square", "a", svd_s},
    {"svd_v_tall", "a", svd_v},
    {"svd_v_wide", "a", svd_v},
    {"svd_v_square", "a", svd_v},
    {"pinv_tall", "a", pinv},
    {"pinv_wide", "a", pinv},
    {"pinv_square", "a", pinv},
    {"lstsq_tall", "a b", lstsq},
    {"lstsq_wide", "a b", lstsq},
    {"lstsq_square", "a b", lstsq},
    {"norm_frobenius_tall", "a", frobenius},
    {"norm_frobenius_wide", "a", frobenius},
    {"norm_frobenius_square", "a", frobenius},
    {"norm_nuclear_tall", "a", nuclear},
    {"norm_nuclear_wide", "a", nuclear},
    {"norm_nuclear_square", "a", nuclear},
    {"norm_spectral_tall", "a", spectral},
    {"norm_spectral_wide", "a", spectral},
    {"norm_spectral_square", "a", spectral},
    {"pinv_flat", "a", pinv_flat},
    {"rank_flat", "a", rank_flat},
};

int main(void)
{
    return golden_run("linalg.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
