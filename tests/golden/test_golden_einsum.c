/* test_golden_einsum.c: sums over letters, against PyTorch. */
#include "golden.h"

GOLDEN(case_einsum_matmul, soma_einsum("ij,jk->ik", in, 2))
GOLDEN(case_einsum_batch, soma_einsum("bij,bkj->bik", in, 2))
GOLDEN(case_einsum_attention, soma_einsum("bqhd,bkhd->bhqk", in, 2))
GOLDEN(case_einsum_outer, soma_einsum("i,j->ij", in, 2))
GOLDEN(case_einsum_hadamard, soma_einsum("ij,ij->ij", in, 2))
GOLDEN(case_einsum_inner, soma_einsum("ij,ij->", in, 2))
GOLDEN(case_einsum_ellipsis, soma_einsum("...ij,...jk->...ik", in, 2))
GOLDEN(case_einsum_left, soma_einsum("ijk,j->ik", in, 2))
GOLDEN(case_einsum_diagonal, soma_einsum("bii,ij->bj", in, 2))
GOLDEN(case_einsum_alone, soma_einsum("ijk,jl->kl", in, 2))
GOLDEN(case_einsum_implicit, soma_einsum("ba,ac", in, 2))
GOLDEN(case_einsum_trace, soma_einsum("ii->", in, 1))
GOLDEN(case_einsum_transpose, soma_einsum("...ij->...ji", in, 1))
GOLDEN(case_einsum_bilinear, soma_einsum("bi,oij,bj->bo", in, 3))
GOLDEN(case_einsum_chain, soma_einsum("ab,bc,cd,de->ae", in, 4))
GOLDEN(case_tensordot,
       soma_tensordot(in[0], in[1], (const int64_t[]){2, 0}, (const int64_t[]){1, 2}, 2))

static const golden cases[] = {
    {"einsum_matmul", "a b", case_einsum_matmul},
    {"einsum_batch", "a b", case_einsum_batch},
    {"einsum_attention", "a b", case_einsum_attention},
    {"einsum_outer", "a b", case_einsum_outer},
    {"einsum_hadamard", "a b", case_einsum_hadamard},
    {"einsum_inner", "a b", case_einsum_inner},
    {"einsum_ellipsis", "a b", case_einsum_ellipsis},
    {"einsum_left", "a b", case_einsum_left},
    {"einsum_diagonal", "a b", case_einsum_diagonal},
    {"einsum_alone", "a b", case_einsum_alone},
    {"einsum_implicit", "a b", case_einsum_implicit},
    {"einsum_trace", "a", case_einsum_trace},
    {"einsum_transpose", "a", case_einsum_transpose},
    {"einsum_bilinear", "a w b", case_einsum_bilinear},
    {"einsum_chain", "a b c d", case_einsum_chain},
    {"tensordot", "a b", case_tensordot},
};

int main(void)
{
    return golden_run("einsum.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
