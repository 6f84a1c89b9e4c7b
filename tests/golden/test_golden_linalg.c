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
};

int main(void)
{
    return golden_run("linalg.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
