/* isa.h: how the CPU backend comes in several instruction sets.
 *
 * Sources named isa_*.c are compiled once per instruction set with SOMA__ISA defined as its name
 * and the matching compiler flags. Everything in them is static but one table of functions,
 * `soma__isa_<family>_<isa>`, so no function compiled for AVX-512 can be picked by the linker for a
 * machine without it. All other sources of this folder are compiled once, with the flags of the
 * rest of the library, and reach the vector code through a soma__isa_table that they are given.
 *
 *     kernels.inc   one row per kernel: soma__run_<kernel>(call, isa) and friends
 *     cpu.c         makes a soma__kernel of each row × instruction set, detects what runs here
 *     <kernel>.c    cuts the call into blocks by shape, soma__parallel
 *     isa_<x>.c     the inner loops, over simd.h
 */
#ifndef SOMA__ISA_H
#define SOMA__ISA_H

#include "plan/backend.h"

/* The families of vector code; each has a struct soma__isa_<family> of function pointers, declared
 * in the family's own header, and a source isa_<family>.c. */
#define SOMA__ISA_FAMILIES(X)                                                                      \
    X(gemm) X(fused) X(reduce) X(softmax) X(pool) X(recurrent) X(attention) X(winograd) X(integer)

#define SOMA__ISA_DECLARE(family_) struct soma__isa_##family_;
SOMA__ISA_FAMILIES(SOMA__ISA_DECLARE)
#undef SOMA__ISA_DECLARE

/* One instruction set: its name ("avx2"), f32 lanes of a vector, and the families' functions. */
typedef struct soma__isa_table {
    const char *name;
    int width;
#define SOMA__ISA_MEMBER(family_) const struct soma__isa_##family_ *family_;
    SOMA__ISA_FAMILIES(SOMA__ISA_MEMBER)
#undef SOMA__ISA_MEMBER
} soma__isa_table;

/* The table of an instruction set that this machine runs; NULL for others. For tests and benches;
 * NULL gives the best. */
const soma__isa_table *soma__isa_find(const char *name);

/* In isa_<family>.c: `const struct soma__isa_gemm SOMA__ISA_NAME(soma__isa_gemm) = {…};` */
#define SOMA__ISA_PASTE_(a_, b_) a_##_##b_
#define SOMA__ISA_PASTE(a_, b_) SOMA__ISA_PASTE_(a_, b_)
#define SOMA__ISA_NAME(symbol_) SOMA__ISA_PASTE(symbol_, SOMA__ISA)

/* What each row of kernels.inc names. */
#define SOMA__KERNEL(op_, kernel_, in_place_, epilogue_)                                           \
    const char *soma__refuses_##kernel_(const soma__call *call);                                   \
    size_t soma__scratch_##kernel_(const soma__call *call, const soma__isa_table *isa,             \
                                   int threads);                                                   \
    void soma__run_##kernel_(const soma__call *call, const soma__isa_table *isa);
#define SOMA__KERNEL_PREPARES(op_, kernel_, in_place_, epilogue_)                                  \
    SOMA__KERNEL(op_, kernel_, in_place_, epilogue_)                                               \
    size_t soma__prepared_##kernel_(const soma__call *call, const soma__isa_table *isa);           \
    void soma__prepare_##kernel_(const soma__call *call, const soma__isa_table *isa, void *to);
#include "backend/cpu/kernels.inc"

#endif
