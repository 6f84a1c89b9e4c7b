/* program.h: small vector programs for chains of elementwise ops.
 *
 * The fusion pass turns a group of elementwise nodes into one program over the group's output
 * shape; a backend runs it tile by tile, each tile in L1. Matrix products and convs take a program
 * as their epilogue, run on each block just computed.
 *
 * An output may be a fold: what a sum, mean, variance or extreme over some axes makes of a
 * register's values, so that one pass over memory serves a chain and the reductions of what it
 * makes or reads. All folds of a program go over the same axes.
 *
 * Registers hold f32 lanes. Values of u8, i8, i32, bool, bf16 and f16 operands are converted on
 * load and rounded and saturated on store, bool is 0 or 1. (The pass fuses only nodes whose values
 * are exact this way: f32, bool and the operands that a cast to f32 reads; never i64 arithmetic.)
 */
#ifndef SOMA__PROGRAM_H
#define SOMA__PROGRAM_H

#include "graph/op.h"

#define SOMA__PROGRAM_REGISTERS 24
#define SOMA__PROGRAM_OPERANDS 16 /* loads */
#define SOMA__PROGRAM_STORES 8
#define SOMA__PROGRAM_INSNS 64

typedef struct soma__insn {
    uint8_t code; /* soma__scalar */
    uint8_t dst, a, b,
        c; /* dst may be the register of an operand; a, b, c are registers, or constants where >=
              SOMA__PROGRAM_REGISTERS: then constant [index - SOMA__PROGRAM_REGISTERS] */
} soma__insn;

/* Plans also make programs without loads (a filled array) and without insns (a cast, a broadcast).
 */
typedef struct soma__program {
    soma_shape
        shape; /* the iteration space; every store but a fold has it, every load broadcasts to it */
    int loads; /* operand i is loaded into register i before the first insn, from in[i]; for an
                  epilogue register 0 is the block itself and operand i>=1 is
                  in[epilogue_first + i - 1] */
    int insns, stores, constants;
    soma__insn insn[SOMA__PROGRAM_INSNS];
    uint8_t store[SOMA__PROGRAM_STORES];  /* register stored to out[i] after the last insn */
    uint8_t fold[SOMA__PROGRAM_STORES];   /* soma__fold of out[i]; NONE: each element is stored */
    double divisor[SOMA__PROGRAM_STORES]; /* of means and variances */
    int64_t folded; /* by folds: bit i is axis i of shape; 0 when there are none */
    float constant[64];
    int flops; /* per element */
} soma__program;

#endif
