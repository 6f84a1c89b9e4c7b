/* op.h: the type that describes an op, and the call that a kernel sees.
 *
 * An op is described once, in src/ops/<family>.c. Everything else (building, shape checks,
 * gradients, planning, reference results, profiles, tests, `soma ops`) hangs on the descriptor.
 * A node has one output. */
#ifndef SOMA__OP_H
#define SOMA__OP_H

#include "base/base.h"
#include "graph/scalar.h"
#include "soma/graph.h"
#include "tensor/tensor.h"

struct soma__pool;
typedef struct soma__op soma__op;

/* --- what a kernel sees ----------------------------------------------------------------------- */

/* A contiguous row-major array. */
typedef struct soma__view {
    void *data;
    soma_dtype dtype;
    soma_shape shape;
    int64_t count; /* product of the dims */
} soma__view;

/* Element i of an index, which is i64 or i32. */
static inline int64_t soma__view_index(const soma__view *index, int64_t i)
{
    return index->dtype == SOMA_I64 ? ((const int64_t *)index->data)[i]
                                    : ((const int32_t *)index->data)[i];
}

struct soma__program;

/* One kernel call. Outputs never overlap inputs unless the plan put them in place, which it does
 * only for kernels that allow it (then an output is exactly one of the inputs). */
typedef struct soma__call {
    const soma__op *op;
    const void *attrs;
    int nin, nout;
    soma__view *in, *out;
    const struct soma__program *program; /* op "fused": the program; matmul, conv2d: the epilogue
                                            that runs on each finished block, or NULL */
    int epilogue_first;   /* with an epilogue: in[epilogue_first …] are its operands */
    bool no_winograd;     /* the context's: kernels that round more than plain sums do refuse */
    void *scratch;        /* 64-byte aligned; as large as the kernel asked */
    const void *prepared; /* in[1] as the kernel has prepared it; NULL: it was not */
    struct soma__pool *pool;
} soma__call;

/* The flops of ops that only move cells. */
static inline double soma__flops_none(const soma__call *call)
{
    (void)call;
    return 0;
}

/* --- shape rule --------------------------------------------------------------------------------*/

/* Given inputs, the rule checks every argument and fills dtype and shape. It may normalise `attrs`
 * (negative axes to positive), which the graph stores afterwards. */
typedef struct soma__rule {
    const soma__op *op;
    const char *name; /* the user's name (scope) or "" */
    int nin;
    const soma_dtype *in_dtype;
    const soma_shape *in_shape;
    void *attrs;
    soma_dtype dtype; /* out; starts as in_dtype[0] */
    soma_shape shape; /* out; starts as in_shape[0] */
    soma_error *err;
} soma__rule;

/* Reports "op 'name': …" and returns the status. */
soma_status soma__rule_fail(soma__rule *rule, soma_status code, const char *format, ...)
    SOMA_PRINTF(3, 4);
#ifdef __clang_analyzer__ /* see soma__fail in base/error.h */
#define soma__rule_fail(rule_, code_, ...)                                                         \
    ((void)soma__rule_fail((rule_), (code_), __VA_ARGS__), (code_))
#endif
/* Common checks; each reports. */
soma_status soma__rule_same_dtypes(soma__rule *rule);
soma_status soma__rule_float(soma__rule *rule, int input);
soma_status soma__rule_integer(soma__rule *rule, int input);
soma_status soma__rule_axis(soma__rule *rule, int64_t *axis, int ndim); /* normalises */

/* --- gradient rule ---------------------------------------------------------------------------- */

/* The rule sets din[i] for inputs with need[i]; a din left with graph NULL counts as zero. Rules
 * emit ordinary nodes through the public builders. */
typedef struct soma__grad {
    soma_graph *graph;
    const void *attrs;
    int nin;
    const soma_var *in;
    soma_var out, dout;
    const bool *need;
    soma_var *din;
} soma__grad;

/* Declared none: the gradient is zero everywhere (comparisons, argmax, one_hot …). */
void soma__grad_none(soma__grad *grad);
/* Sums `x` over the dimensions along which `shape` was broadcast to reach x's shape. */
soma_var soma__sum_to(soma_var x, const soma_shape *shape);

/* --- reductions --------------------------------------------------------------------------------*/

/* What becomes of the cells that a reduction makes one. */
typedef enum soma__fold {
    SOMA__FOLD_NONE,
    SOMA__FOLD_SUM,
    SOMA__FOLD_MEAN,
    SOMA__FOLD_VARIANCE, /* Σ(x - mean)² / (cells - correction) */
    SOMA__FOLD_MAX,
    SOMA__FOLD_MIN,
    SOMA__FOLD_PROD,
} soma__fold;

/* Attributes of reductions: bit i of mask is set when axis i is reduced. */
typedef struct soma__reduce_attrs {
    int64_t mask;
    int64_t keep_dims;                  /* 0 or 1 */
    int64_t count, axes[SOMA_MAX_DIMS]; /* as the builder passed them; 0 once the rule made mask */
    double correction;                  /* variance, std: taken off the divisor; else 0 */
} soma__reduce_attrs;

/* --- descriptor ------------------------------------------------------------------------------- */

typedef enum soma__attr_kind {
    SOMA__ATTR_INT,   /* int64_t[count] */
    SOMA__ATTR_FLOAT, /* double[count] */
    SOMA__ATTR_DTYPE, /* soma_dtype as int64_t */
    SOMA__ATTR_BOOL,  /* int64_t 0 or 1 */
} soma__attr_kind;

/* Attributes are plain structs of 8-byte members (int64_t, double), so that they have no padding
 * and can be hashed and compared as bytes. */
typedef struct soma__attr {
    const char *name;
    soma__attr_kind kind;
    size_t offset;
    int count;
    const char *doc;
} soma__attr;

typedef enum soma__op_flags {
    SOMA__OP_LEAF = 1,      /* input, variable, constant */
    SOMA__OP_RANDOM = 2,    /* depends on a key; never folded */
    SOMA__OP_VIEW = 4,      /* same bytes as input 0 in another shape (reshape): costs nothing */
    SOMA__OP_EPILOGUE = 8,  /* a backend kernel may run an elementwise program on its output */
    SOMA__OP_INTERNAL = 16, /* made by plans only: not for users */
} soma__op_flags;

struct soma__op {
    const char *name;           /* "conv2d" */
    const char *family;         /* "conv" */
    const char *doc;            /* formula, one line */
    const char *inputs;         /* "x w", names for messages and docs; "x..." when variadic */
    int min_inputs, max_inputs; /* max -1: any number */
    unsigned flags;
    size_t attr_size;
    const soma__attr *attrs; /* terminated by an entry with name NULL; NULL when there are none */
    soma__scalar scalar;     /* the function, for elementwise ops */
    soma__fold fold; /* of reductions in which a program may end; attrs are soma__reduce_attrs */
    soma_status (*rule)(soma__rule *rule);
    void (*gradient)(soma__grad *grad); /* NULL only for leaves and composites: "no gradient" is an
                                           error naming the op */
    void (*reference)(const soma__call *call); /* plain C, any dtype, accumulates in double */
    /* Bytes of call->scratch that the reference kernel wants; NULL: none. Such ops are not folded.
     */
    size_t (*reference_scratch)(const soma__call *call);
    double (*flops)(const soma__call *call); /* NULL: one per output element */
    /* A composite op has no kernel: building it emits these primitives instead. */
    soma_var (*decompose)(soma_graph *graph, const soma_var *in, int nin, const void *attrs);
};

/* The op table. */
const soma__op *soma__op_find(const char *name); /* NULL: unknown */
int soma__op_count(void);
const soma__op *soma__op_at(int index);

#endif
