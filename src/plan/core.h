/* core.h: a compiled plan without its variables' tensors. Immutable once built, shared by every
 * plan of the same structure (that is what the plan cache holds). */
#ifndef SOMA__CORE_H
#define SOMA__CORE_H

#include <stdatomic.h>

#include "plan/backend.h"
#include "plan/ir.h"

/* Where a value's bytes are during a run. */
typedef enum soma__place {
    SOMA__AT_NOWHERE,  /* inside of a fused step: never in memory */
    SOMA__AT_ARENA,    /* session's memory + offset */
    SOMA__AT_INPUT,    /* fed: slot */
    SOMA__AT_VARIABLE, /* the tensor of slot */
    SOMA__AT_CONSTANT, /* the tensor of ir node `slot` */
} soma__place;

/* Values 0 … ir->count-1 are the ir's nodes; the others are copies that lowering adds. */
typedef struct soma__value {
    soma_dtype dtype;
    soma_shape shape;
    int64_t count;
    size_t bytes;
    int32_t root;      /* the value whose memory this is: itself, or what it is a view of */
    int32_t step;      /* that makes it; -1: a leaf, a view, or inside of a fused step */
    soma__place place; /* of roots */
    int slot;
    size_t offset;
    int32_t first, last; /* of roots: the steps between which it lives */
    int32_t shares;      /* root whose memory it takes over in place; -1: none */
} soma__value;

typedef struct soma__step {
    const soma__op *op;
    const void *attrs;
    const soma__kernel *kernel;   /* NULL: the op's reference kernel */
    const soma__program *program; /* fused steps and epilogues */
    const int32_t *insn_node;     /* the ir node that each insn computes, for messages */
    int epilogue_first;
    int32_t *in, *out; /* values */
    int nin, nout;
    const int32_t *node; /* the ir nodes that it computes, ascending; none for a copy */
    int node_count;
    int32_t order;      /* steps that may run in any order run in this one */
    const char *label;  /* "conv2d+add+relu" */
    const char *name;   /* the user's name or "" */
    const char *engine; /* "cpu:gemm avx512", "reference" */
    double flops, bytes;
    size_t scratch;
} soma__step;

/* An operand that a session points at what was fed. */
typedef struct soma__feed {
    int32_t step;
    int arg, slot;
} soma__feed;

typedef struct soma__core {
    atomic_int references;
    soma__ir *ir;
    const soma__backend *backend;
    soma__value *value;
    int32_t value_count, value_capacity;
    soma__step *step;
    int32_t step_count, step_capacity;
    int32_t *output; /* values; all of them in the arena */
    soma__feed *feed;
    int32_t feed_count;
    int32_t arguments; /* views of all steps' calls together */
    size_t scratch_offset, scratch_bytes, arena_bytes, unplanned_bytes;
} soma__core;

/* Compiles an ir, which the core takes over (also on failure). */
soma_status soma__core_build(soma__core **out, soma__ir *ir, const soma_context *context,
                             soma_error *err);
soma__core *soma__core_retain(soma__core *core);
void soma__core_release(soma__core *core);

/* Order, lifetimes and addresses, by brute force: operands exist when a step reads them, and no two
 * live values overlap. A fault is SOMA_INTERNAL. */
soma_status soma__core_verify(const soma__core *core, soma_error *err);

/* The copy that lowering adds where a value must be in a certain place. */
extern const soma__op soma__op_copy;

static inline const soma__value *soma__root_of(const soma__core *core, int32_t value)
{
    return &core->value[core->value[value].root];
}

/* The call of a step, without addresses, scratch and pool; `view` has room for its operands. */
soma__call soma__call_of(const soma__core *core, const soma__step *step, soma__view *view,
                         bool no_winograd);

/* Whether value `out` of a step is a fold, which is not made element by element. */
static inline bool soma__is_fold(const soma__step *step, int32_t out)
{
    for (int k = 0; step->program && k < step->nout; k++)
        if (step->out[k] == out && step->program->fold[k] != SOMA__FOLD_NONE)
            return true;
    return false;
}

/* True when every element of `operand` is used at its own position only, in a step whose results
 * have `count` elements: then a result may take over its memory. */
static inline bool soma__same_positions(const soma__value *operand, const soma__value *result)
{
    return operand->count == result->count && operand->bytes == result->bytes;
}

/* Whether the kernel of `step` may write its value `out` over operand i. */
static inline bool soma__may_overwrite(const soma__core *core, const soma__step *step, int i,
                                       int32_t out)
{
    return step->kernel && step->kernel->in_place != SOMA__APART && !step->epilogue_first &&
           (step->kernel->in_place != SOMA__OVER_FIRST || i == 0) && !soma__is_fold(step, out) &&
           soma__same_positions(&core->value[step->in[i]], &core->value[out]);
}

#endif
