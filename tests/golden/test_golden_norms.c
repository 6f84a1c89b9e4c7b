/* test_golden_norms.c: normalisations against PyTorch's. */
#include "golden.h"

GOLDEN(group_norm, soma_group_norm(in[0], in[1], in[2], 3, 1e-5))
GOLDEN(group_norm_matrix, soma_group_norm(in[0], in[1], in[2], 2, 1e-3))
GOLDEN(instance_norm, soma_instance_norm(in[0], in[1], in[2], 1e-5))
GOLDEN(rms_norm, soma_rms_norm(in[0], in[1], 1e-5))
GOLDEN(local_response_norm, soma_local_response_norm(in[0], 5, 0.5, 0.75, 2))
GOLDEN(local_response_norm_even, soma_local_response_norm(in[0], 4, 0.5, 0.75, 1))
GOLDEN(weight_norm, soma_weight_norm(in[0], in[1]))

static soma_var unit(soma_var x)
{
    return soma_stop_gradient(soma_div(x, soma_sqrt(soma_sum(soma_square(x)))));
}

/* A step of the power iteration, as PyTorch's layer does it first: u from v, then v from u. */
static soma_var spectral_norm(const soma_var *in)
{
    soma_var column = soma_matmul(in[0], soma_reshape(in[2], SOMA_SHAPE(5, 1)));
    soma_var u = unit(soma_reshape(column, SOMA_SHAPE(4)));
    soma_var row = soma_matmul(soma_reshape(u, SOMA_SHAPE(1, 4)), in[0]);
    return soma_spectral_norm(in[0], u, unit(soma_reshape(row, SOMA_SHAPE(5))));
}

static const golden cases[] = {
    {"group_norm", "x g b", group_norm},
    {"group_norm_matrix", "x g b", group_norm_matrix},
    {"instance_norm", "x g b", instance_norm},
    {"rms_norm", "x g", rms_norm},
    {"local_response_norm", "x", local_response_norm},
    {"local_response_norm_even", "x", local_response_norm_even},
    {"weight_norm", "v g", weight_norm},
    {"spectral_norm", "w u v", spectral_norm},
};

int main(void)
{
    return golden_run("norms.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
