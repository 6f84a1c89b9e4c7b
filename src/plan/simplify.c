/* simplify.c: the passes that need no knowledge of kernels: folding, algebra, common
 * subexpressions. None of them inserts nodes: a node is replaced by an older one or turned into a
 * constant. */
#include <string.h>

#include "plan/ir.h"

static soma_status no_memory(soma_error *err)
{
    return soma__fail(err, SOMA_MEMORY, "out of memory while a plan was made");
}

/* --- constant folding ------------------------------------------------------------------------- */

/* Folding runs reference kernels at planning time and keeps the result for the life of the plan:
 * both must stay small beside the plan itself. */
#define FOLD_BYTES ((size_t)1 << 20)
#define FOLD_FLOPS 1e7

static bool foldable(const soma__ir *ir, const soma__ir_node *n)
{
    size_t bytes;
    if (soma__ir_is_leaf(n) || (n->op->flags & SOMA__OP_RANDOM) || !n->op->reference || !n->nin)
        return false;
    if (!soma__shape_bytes(&n->shape, n->dtype, &bytes) || bytes > FOLD_BYTES ||
        n->op->reference_scratch)
        return false;
    for (int i = 0; i < n->nin; i++)
        if (!soma__ir_is_constant(&ir->node[n->in[i]]))
            return false;
    return true;
}

static soma__view tensor_view(soma_tensor *t)
{
    return (soma__view){t->data, t->dtype, t->shape, t->count};
}

/* Turns node n into a constant; leaves it as it is when the work would be too much. */
static soma_status fold(soma__ir *ir, soma__ir_node *n, soma_error *err)
{
    soma_tensor *result;
    SOMA__TRY(soma_tensor_create(&result, n->dtype, n->shape, err));
    soma__view *in = soma__calloc((size_t)n->nin, sizeof *in);
    if (!in) {
        soma_tensor_release(result);
        return no_memory(err);
    }
    for (int i = 0; i < n->nin; i++)
        in[i] = tensor_view(ir->node[n->in[i]].tensor);
    soma__view out = tensor_view(result);
    soma__call call = {
        .op = n->op, .attrs = n->attrs, .nin = n->nin, .nout = 1, .in = in, .out = &out};
    bool cheap = !n->op->flops || n->op->flops(&call) <= FOLD_FLOPS;
    if (cheap && ir->tensor_count < ir->tensor_capacity) {
        if (result->count)
            n->op->reference(&call);
        *n = (soma__ir_node){.op = &soma__op_constant,
                             .in = n->in,
                             .dtype = n->dtype,
                             .shape = n->shape,
                             .name = n->name,
                             .tensor = result,
                             .slot = -1};
        ir->tensor[ir->tensor_count++] = result;
        result = NULL;
    }
    soma_tensor_release(result);
    soma__free(in);
    return SOMA_OK;
}

/* Constants that only folded nodes used are not needed any more. */
static void drop_tensors(soma__ir *ir)
{
    int kept = 0;
    for (int t = 0; t < ir->tensor_count; t++) {
        bool used = false;
        for (int32_t i = 0; i < ir->count && !used; i++)
            used = ir->node[i].tensor == ir->tensor[t];
        if (used)
            ir->tensor[kept++] = ir->tensor[t];
        else
            soma_tensor_release(ir->tensor[t]);
    }
    ir->tensor_count = kept;
}

soma_status soma__pass_fold(soma__ir *ir, soma_error *err)
{
    bool changed = false;
    for (int32_t i = 0; i < ir->count; i++)
        if (foldable(ir, &ir->node[i])) {
            SOMA__TRY(fold(ir, &ir->node[i], err));
            changed = true;
        }
    if (!changed)
        return SOMA_OK;
    SOMA__TRY(soma__ir_compact(ir, NULL, err));
    drop_tensors(ir);
    return SOMA_OK;
}

/* --- algebra ---------------------------------------------------------------------------------- */

static bool is_value(const soma__ir *ir, int32_t id, double wanted)
{
    double value;
    return soma__ir_uniform(&ir->node[id], &value) && value == wanted;
}

/* The input that node `id` is equal to, or -1. Only exact identities: no reassociation, and nothing
 * that would hide a NaN (x*0 stays). */
static int32_t same_as(const soma__ir *ir, int32_t id)
{
    const soma__ir_node *n = &ir->node[id];
    int32_t a = n->nin > 0 ? n->in[0] : -1, b = n->nin > 1 ? n->in[1] : -1;
    int32_t same = -1;
    switch (n->op->scalar) {
    case SOMA__SCALAR_COPY:
        same = a;
        break;
    case SOMA__SCALAR_ADD:
        same = is_value(ir, b, 0) ? a : is_value(ir, a, 0) ? b : -1;
        break;
    case SOMA__SCALAR_SUB:
        same = is_value(ir, b, 0) ? a : -1;
        break;
    case SOMA__SCALAR_MUL:
        same = is_value(ir, b, 1) ? a : is_value(ir, a, 1) ? b : -1;
        break;
    case SOMA__SCALAR_DIV:
    case SOMA__SCALAR_POW:
        same = is_value(ir, b, 1) ? a : -1;
        break;
    case SOMA__SCALAR_NEG:
        if (ir->node[a].op->scalar == SOMA__SCALAR_NEG)
            same = ir->node[a].in[0];
        break;
    default:
        if (soma__ir_is_view(n))
            same = a;
        break;
    }
    if (same < 0 || ir->node[same].dtype != n->dtype ||
        !soma_shape_equal(&ir->node[same].shape, &n->shape))
        return -1;
    return same;
}

soma_status soma__pass_algebra(soma__ir *ir, soma_error *err)
{
    int32_t *replace = soma__calloc((size_t)ir->count + 1, sizeof *replace);
    if (!replace)
        return no_memory(err);
    for (int32_t i = 0; i < ir->count; i++) {
        soma__ir_node *n = &ir->node[i];
        for (int k = 0; k < n->nin; k++) /* see through what was replaced before */
            n->in[k] = replace[n->in[k]];
        if (soma__ir_is_view(n) && soma__ir_is_view(&ir->node[n->in[0]]))
            n->in[0] = ir->node[n->in[0]].in[0];
        int32_t same = soma__ir_is_leaf(n) ? -1 : same_as(ir, i);
        replace[i] = same >= 0 ? same : i;
    }
    soma_status status = soma__ir_compact(ir, replace, err);
    soma__free(replace);
    return status;
}

/* --- common subexpressions -------------------------------------------------------------------- */

static uint64_t hash_node(const soma__ir_node *n)
{
    uint64_t h = soma__hash(SOMA__HASH_SEED, &n->op, sizeof n->op);
    if (n->attrs)
        h = soma__hash(h, n->attrs, n->op->attr_size);
    h = soma__hash(h, n->in, (size_t)n->nin * sizeof *n->in);
    h = soma__hash(h, &n->slot, sizeof n->slot);
    if (n->tensor) /* a prefix is enough to spread; equality looks at all of it */
        h = soma__hash(h, n->tensor->data, n->tensor->bytes < 4096 ? n->tensor->bytes : 4096);
    return h;
}

static bool equal_nodes(const soma__ir_node *a, const soma__ir_node *b)
{
    if (a->op != b->op || a->nin != b->nin || a->slot != b->slot || a->dtype != b->dtype ||
        !soma_shape_equal(&a->shape, &b->shape) || !a->attrs != !b->attrs)
        return false;
    if (a->nin && memcmp(a->in, b->in, (size_t)a->nin * sizeof *a->in) != 0)
        return false;
    if (a->attrs && memcmp(a->attrs, b->attrs, a->op->attr_size) != 0)
        return false;
    return a->tensor == b->tensor ||
           (a->tensor && b->tensor && a->tensor->bytes == b->tensor->bytes &&
            (a->tensor->bytes == 0 || !memcmp(a->tensor->data, b->tensor->data, a->tensor->bytes)));
}

soma_status soma__pass_cse(soma__ir *ir, soma_error *err)
{
    size_t size = 16;
    while (size < (size_t)ir->count * 2)
        size *= 2;
    int32_t *replace = soma__calloc((size_t)ir->count + 1, sizeof *replace);
    int32_t *table = soma__calloc(size, sizeof *table); /* id + 1; 0 is empty */
    if (!replace || !table) {
        soma__free(replace);
        soma__free(table);
        return no_memory(err);
    }
    for (int32_t i = 0; i < ir->count; i++) {
        soma__ir_node *n = &ir->node[i];
        for (int k = 0; k < n->nin; k++)
            n->in[k] = replace[n->in[k]];
        size_t at = (size_t)hash_node(n) & (size - 1);
        while (table[at] && !equal_nodes(&ir->node[table[at] - 1], n))
            at = (at + 1) & (size - 1);
        if (!table[at])
            table[at] = i + 1;
        replace[i] = table[at] - 1;
    }
    soma_status status = soma__ir_compact(ir, replace, err);
    soma__free(replace);
    soma__free(table);
    return status;
}
