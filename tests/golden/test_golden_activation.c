/* test_golden_activation.c: further activations against PyTorch's. */
#include "golden.h"

/* clang-format off */
#define PLAIN(X)                                                                                   \
    X(selu) X(relu6) X(hard_sigmoid) X(hard_swish) X(mish) X(softsign) X(logsigmoid) X(tanhshrink)
/* clang-format on */
#define PLAIN_FUNCTION(name_) GOLDEN(op_##name_, soma_##name_(in[0]))
PLAIN(PLAIN_FUNCTION)
GOLDEN(celu, soma_celu(in[0], 0.7))
GOLDEN(hard_tanh, soma_hard_tanh(in[0], -1, 2))
GOLDEN(hard_tanh_kinks, soma_hard_tanh(in[0], -1, 1))
GOLDEN(softshrink, soma_softshrink(in[0], 0.5))
GOLDEN(hardshrink, soma_hardshrink(in[0], 0.5))
GOLDEN(threshold, soma_threshold(in[0], 0.5, -7))
GOLDEN(softplus_beta, soma_softplus_beta(in[0], 2))
GOLDEN(prelu, soma_prelu(in[0], in[1]))
GOLDEN(softmin, soma_softmin(in[0], 1))
GOLDEN(glu, soma_glu(in[0], 1))
GOLDEN(swiglu, soma_swiglu(in[0], -1))
GOLDEN(geglu, soma_geglu(in[0], -1))

#define PLAIN_ROW(name_) {#name_, "x", op_##name_},
static const golden cases[] = {
    PLAIN(PLAIN_ROW){"relu6_kinks", "x", op_relu6},
    {"celu", "x", celu},
    {"hard_tanh", "x", hard_tanh},
    {"hard_tanh_kinks", "x", hard_tanh_kinks},
    {"softshrink", "x", softshrink},
    {"softshrink_kinks", "x", softshrink},
    {"hardshrink", "x", hardshrink},
    {"hardshrink_kinks", "x", hardshrink},
    {"threshold", "x", threshold},
    {"threshold_kink", "x", threshold},
    {"softplus_beta", "x", softplus_beta},
    {"prelu", "x slope", prelu},
    {"prelu_own", "x slope", prelu},
    {"softmin", "x", softmin},
    {"glu", "x", glu},
    {"swiglu", "x", swiglu},
    {"geglu", "x", geglu},
};

int main(void)
{
    return golden_run("activation.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
