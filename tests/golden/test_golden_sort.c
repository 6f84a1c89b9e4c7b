/* test_golden_sort.c: orders along an axis, against PyTorch. */
#include "golden.h"

GOLDEN(case_argsort, soma_argsort(in[0], 1, false))
GOLDEN(case_argsort_descending, soma_argsort(in[0], 0, true))
GOLDEN(case_sort, soma_sort(in[0], 1, false))
GOLDEN(case_topk, soma_topk(in[0], 4, 1, false))
GOLDEN(case_topk_smallest, soma_topk(in[0], 5, 0, true))
GOLDEN(case_topk_index, soma_topk_index(in[0], 6, 1, false))
GOLDEN(case_quantile, soma_quantile(in[0], 0.37, 1))
GOLDEN(case_median, soma_median(in[0], 0))
GOLDEN(case_searchsorted, soma_searchsorted(in[0], in[1], false))
GOLDEN(case_searchsorted_right, soma_searchsorted(in[0], in[1], true))

static const golden cases[] = {
    {"argsort", "x", case_argsort},
    {"argsort_descending", "x", case_argsort_descending},
    {"sort", "x", case_sort},
    {"topk", "x", case_topk},
    {"topk_smallest", "x", case_topk_smallest},
    {"topk_index", "x", case_topk_index},
    {"quantile", "x", case_quantile},
    {"median", "x", case_median},
    {"searchsorted", "b x", case_searchsorted},
    {"searchsorted_right", "b x", case_searchsorted_right},
};

int main(void)
{
    return golden_run("sort.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
