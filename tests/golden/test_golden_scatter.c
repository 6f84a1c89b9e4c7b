/* test_golden_scatter.c: gathers and scatters, against PyTorch. */
#include "golden.h"

GOLDEN(case_gather_elements, soma_gather_elements(in[0], in[1], 1))
GOLDEN(case_take_along, soma_take_along(in[0], in[1], 2))
GOLDEN(case_gather_nd, soma_gather_nd(in[0], in[1], 0))
GOLDEN(case_scatter_set, soma_scatter_elements(in[0], in[1], in[2], 1, SOMA_SCATTER_SET))
GOLDEN(case_scatter_add_elements, soma_scatter_elements(in[0], in[1], in[2], 0, SOMA_SCATTER_ADD))
GOLDEN(case_scatter_mul, soma_scatter_elements(in[0], in[1], in[2], 0, SOMA_SCATTER_MUL))
GOLDEN(case_scatter_max, soma_scatter_elements(in[0], in[1], in[2], 0, SOMA_SCATTER_MAX))
GOLDEN(case_scatter_min, soma_scatter_elements(in[0], in[1], in[2], 0, SOMA_SCATTER_MIN))
GOLDEN(case_scatter_nd_add, soma_scatter_nd(in[0], in[1], in[2], 0, SOMA_SCATTER_ADD))
GOLDEN(case_embedding, soma_embedding(in[0], in[1], 2))
GOLDEN(case_masked_fill,
       soma_masked_fill(in[0], soma_less(in[1], soma_scalar(in[1].graph, SOMA_F32, 0)), -2))

static const golden cases[] = {
    {"gather_elements", "x index", case_gather_elements},
    {"take_along", "x index", case_take_along},
    {"gather_nd", "x index", case_gather_nd},
    {"scatter_set", "x index u", case_scatter_set},
    {"scatter_add_elements", "x index u", case_scatter_add_elements},
    {"scatter_mul", "x index u", case_scatter_mul},
    {"scatter_max", "x index u", case_scatter_max},
    {"scatter_min", "x index u", case_scatter_min},
    {"scatter_nd_add", "x index u", case_scatter_nd_add},
    {"embedding", "w index", case_embedding},
    {"masked_fill", "x m", case_masked_fill},
};

int main(void)
{
    return golden_run("scatter.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
