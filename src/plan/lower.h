/* lower.h: the state of one compilation, from ir to steps; see core.c for the order of its stages.
 */
#ifndef SOMA__LOWER_H
#define SOMA__LOWER_H

#include "plan/core.h"

/* Nodes that become one step. */
typedef struct soma__group {
    int32_t *node; /* ascending */
    int count;
    int32_t head; /* the product whose epilogue the other nodes are; -1 */
    /* Fused groups and epilogues; NULL for a plain node. */
    soma__program *program;
    int32_t *insn_node;
    int32_t *load, *store; /* ir nodes; with a head, load[0] is the head */
} soma__group;

/* A step that must run before another for another reason than data: it reads a variable's old
 * value. */
typedef struct soma__before {
    int32_t step;
    struct soma__before *next;
} soma__before;

typedef struct soma__lowering {
    soma__core *core;
    soma__ir *ir; /* the core's */
    const soma__backend *backend;
    bool no_winograd; /* of every call */
    int threads;
    const soma__op *fused; /* NULL: do not fuse */
    soma__arena arena;     /* lives as long as the compilation */
    /* Users of node i: user[user_first[i] … user_first[i+1]-1], ascending. */
    int32_t *user_first, *user;
    bool *is_output, *is_update; /* per node: it must be in memory after its step */
    bool *uniform;               /* per node: a constant of one value … */
    float *uniform_value;        /* … this one */
    bool *repeated;              /* per node: each step that reads it computes it itself */
    int32_t *mark, stamp;        /* per node: sets */
    int32_t *place_of, *known;   /* per node: compile.c's tables */
    soma__group *group;
    int32_t group_count;
    soma__before **before; /* per step */
} soma__lowering;

soma_status soma__lower_memory(soma_error *err); /* reports SOMA_MEMORY */

/* fuse.c: fills group[]. */
soma_status soma__fuse(soma__lowering *l, soma_error *err);
/* compile.c: program of group->node; false when it does not fit the limits (then `group` keeps no
 * program) or memory is out, which sets *memory. */
bool soma__compile(soma__lowering *l, soma__group *group, bool *memory);
/* Whether programs can compute node n exactly. */
bool soma__compilable(const soma__ir *ir, const soma__ir_node *n);
/* Whether a program can end in reduction n. */
bool soma__foldable(const soma__ir *ir, const soma__ir_node *n);
/* The shape that a program which computes n goes over. */
const soma_shape *soma__space(const soma__ir *ir, const soma__ir_node *n);

/* steps.c: a value for each node; then groups to steps, and the kernel of each. */
soma_status soma__make_values(soma__lowering *l, soma_error *err);
soma_status soma__make_steps(soma__lowering *l, soma_error *err);
/* Adds a value (-1: no memory) or a step that copies `from` to value `to`. */
int32_t soma__add_value(soma__lowering *l, soma_dtype dtype, const soma_shape *shape);
soma_status soma__add_copy(soma__lowering *l, int32_t from, int32_t to, int32_t order,
                           soma_error *err);
/* Fills *out with the best kernel for a call of values, NULL: the reference kernel. */
soma_status soma__choose_kernel(soma__lowering *l, const soma__step *step, const soma__kernel **out,
                                size_t *scratch, double *flops, soma_error *err);

/* updates.c: where updates are written: straight into the variable where that is safe, else by a
 * copy at the end. Also copies outputs that are leaves. */
soma_status soma__place_roots(soma__lowering *l, soma_error *err);
/* schedule.c: the final order of the steps. */
soma_status soma__schedule(soma__lowering *l, soma_error *err);
/* memory.c: lifetimes, in-place results, offsets. */
soma_status soma__plan_memory(soma__lowering *l, soma_error *err);

#endif
