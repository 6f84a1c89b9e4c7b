/* test_golden_summary.c: products, composite reductions and scans against PyTorch's. */
#include "golden.h"

#include <math.h>

#define AXIS(axis_) .axes = {axis_}, .count = 1
#define APART .axes = {0, 2}, .count = 2

GOLDEN(prod, soma_prod(in[0], AXIS(1)))
GOLDEN(argmin, soma_argmin(in[0], 1))
GOLDEN(argmin_all, soma_argmin_opt(in[0], (soma_reduce_options){0}))
GOLDEN(variance_unbiased, soma_variance(in[0], APART, .correction = 1))
GOLDEN(std, soma_std(in[0], AXIS(1), .keep_dims = true))
GOLDEN(std_unbiased, soma_std(in[0], APART, .correction = 1))
GOLDEN(std_constant, soma_std(in[0], AXIS(1)))
GOLDEN(norm_0, soma_norm(in[0], 0, APART))
GOLDEN(norm_1, soma_norm(in[0], 1, APART))
GOLDEN(norm_2, soma_norm(in[0], 2, APART))
GOLDEN(norm_3, soma_norm(in[0], 3, APART))
GOLDEN(norm_half, soma_norm(in[0], 0.5, APART))
GOLDEN(norm_infinite, soma_norm(in[0], INFINITY, APART))
GOLDEN(norm_smallest, soma_norm(in[0], -INFINITY, APART))
GOLDEN(norm_of_zeros, soma_norm(in[0], 2, AXIS(1)))
GOLDEN(norm_half_zeros, soma_norm(in[0], 1.5, AXIS(1)))
GOLDEN(logsumexp, soma_logsumexp(in[0], APART))
GOLDEN(any, soma_cast(soma_any(in[0], AXIS(1)), SOMA_I64))
GOLDEN(all, soma_cast(soma_all(in[0], AXIS(1)), SOMA_I64))
GOLDEN(count_nonzero, soma_count_nonzero(in[0], AXIS(1)))
GOLDEN(cumsum, soma_cumsum(in[0], 1))
GOLDEN(cumprod, soma_cumprod(in[0], 1))
GOLDEN(cumprod_zeros, soma_cumprod(in[0], 0))
GOLDEN(cumsum_reverse, soma_cumsum(in[0], 0, .reverse = true))
GOLDEN(cumprod_reverse, soma_cumprod(in[0], 0, .reverse = true))

#define ROW(name_)                                                                                 \
    {                                                                                              \
#name_, "x", name_                                                                         \
    }
static const golden cases[] = {
    ROW(prod),
    {"prod_zeros", "x", prod},
    ROW(argmin),
    ROW(argmin_all),
    ROW(variance_unbiased),
    ROW(std),
    ROW(std_unbiased),
    ROW(std_constant),
    ROW(norm_0),
    ROW(norm_1),
    ROW(norm_2),
    ROW(norm_3),
    ROW(norm_half),
    ROW(norm_infinite),
    ROW(norm_smallest),
    ROW(norm_of_zeros),
    ROW(norm_half_zeros),
    ROW(logsumexp),
    ROW(any),
    ROW(all),
    ROW(count_nonzero),
    ROW(cumsum),
    ROW(cumprod),
    ROW(cumprod_zeros),
    ROW(cumsum_reverse),
    ROW(cumprod_reverse),
};

int main(void)
{
    return golden_run("summary.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
