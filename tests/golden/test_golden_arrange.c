/* test_golden_arrange.c: ops that lay cells out anew, against PyTorch. */
#include "golden.h"

#define LIST(...) ((const int64_t[]){__VA_ARGS__})
#define BORDER(name_, border_)                                                                     \
    GOLDEN(name_, soma_pad_border(in[0], LIST(0, 3, 2, 0), LIST(0, 0, 1, 0), 4, border_))

BORDER(pad_reflect, SOMA_PAD_REFLECT)
BORDER(pad_edge, SOMA_PAD_EDGE)
BORDER(pad_wrap, SOMA_PAD_WRAP)
GOLDEN(slice_steps, soma_slice_steps(in[0], LIST(0, 2), LIST(1, 0), LIST(6, 8), LIST(2, 3), 2))
GOLDEN(slice_back, soma_slice_steps(in[0], LIST(1), LIST(-2), LIST(INT64_MIN), LIST(-2), 1))
GOLDEN(flip, soma_flip(in[0], LIST(0, 2), 2))
GOLDEN(roll, soma_roll(in[0], LIST(0, 2), LIST(2, -1), 2))
GOLDEN(tile, soma_tile(in[0], LIST(2, 1, 3), 3))
GOLDEN(repeat_interleave, soma_repeat_interleave(in[0], 3, 1))
GOLDEN(stack, soma_stack(in, 2, 1))
GOLDEN(tril, soma_tril(in[0], -1))
GOLDEN(triu, soma_triu(in[0], 1))
GOLDEN(diagonal, soma_diagonal(in[0], 1, 0, 2))
GOLDEN(diag, soma_diag(in[0], -2))
GOLDEN(moveaxis, soma_moveaxis(in[0], 0, 2))
GOLDEN(swapaxes, soma_swapaxes(in[0], 0, 2))

static soma_var split(const soma_var *in)
{
    soma_var out[3];
    soma_split(in[0], 1, LIST(1, 4, 2), 3, out);
    return soma_mul_scalar(out[1], 2);
}

static soma_var unstack(const soma_var *in)
{
    soma_var out[3];
    soma_unstack(in[0], 1, 3, out);
    return out[2];
}

static const golden cases[] = {
    {"pad_reflect", "x", pad_reflect},
    {"pad_edge", "x", pad_edge},
    {"pad_wrap", "x", pad_wrap},
    {"slice_steps", "x", slice_steps},
    {"slice_back", "x", slice_back},
    {"flip", "x", flip},
    {"roll", "x", roll},
    {"tile", "x", tile},
    {"repeat_interleave", "x", repeat_interleave},
    {"stack", "a b", stack},
    {"tril", "x", tril},
    {"triu", "x", triu},
    {"diagonal", "x", diagonal},
    {"diag", "x", diag},
    {"moveaxis", "x", moveaxis},
    {"swapaxes", "x", swapaxes},
    {"split", "x", split},
    {"unstack", "x", unstack},
};

int main(void)
{
    return golden_run("arrange.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
