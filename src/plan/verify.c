/* verify.c: looks at the whole ir after each pass. A pass that breaks it is found here, by name,
 * and not as a wrong number three passes later. */
#include <string.h>

#include "plan/ir.h"

#define ATTR_LIMIT 1024

static soma_status bad(soma_error *err, const char *after, int32_t id, const soma__ir_node *n,
                       const char *what)
{
    return soma__fail(err, SOMA_INTERNAL, "plan: after %s: node %d (%s '%s'): %s", after, (int)id,
                      n->op ? n->op->name : "?", n->name ? n->name : "?", what);
}

static soma_status verify_leaf(const soma__ir *ir, int32_t id, const char *after, soma_error *err)
{
    const soma__ir_node *n = &ir->node[id];
    if (n->nin)
        return bad(err, after, id, n, "a leaf has inputs");
    if (soma__ir_is_constant(n)) {
        if (!n->tensor || n->tensor->dtype != n->dtype ||
            !soma_shape_equal(&n->tensor->shape, &n->shape))
            return bad(err, after, id, n, "its tensor does not fit");
        return SOMA_OK;
    }
    bool input = n->op == &soma__op_input;
    if (n->slot < 0 || n->slot >= (input ? ir->input_count : ir->variable_count))
        return bad(err, after, id, n, "its slot is out of range");
    const soma__ir_slot *slot = input ? &ir->input[n->slot] : &ir->variable[n->slot];
    if (slot->node != id || slot->dtype != n->dtype || !soma_shape_equal(&slot->shape, &n->shape))
        return bad(err, after, id, n, "it does not fit its slot");
    return SOMA_OK;
}

/* Asks the op's rule again, on a copy of the attributes since rules may normalise them. */
static soma_status verify_rule(const soma__ir *ir, int32_t id, const char *after, soma_error *err)
{
    const soma__ir_node *n = &ir->node[id];
    enum { FEW = 8 };
    soma_dtype few_dtypes[FEW] = {0}, *dtypes = few_dtypes;
    soma_shape few_shapes[FEW] = {0}, *shapes = few_shapes;
    char attrs[ATTR_LIMIT] __attribute__((aligned(16)));
    if (n->op->attr_size > sizeof attrs)
        return bad(err, after, id, n, "its attributes are too large");
    if (n->op->attr_size && n->attrs)
        memcpy(attrs, n->attrs, n->op->attr_size);
    if (n->nin > FEW) {
        dtypes = soma__calloc((size_t)n->nin, sizeof *dtypes);
        shapes = soma__calloc((size_t)n->nin, sizeof *shapes);
        if (!dtypes || !shapes) {
            soma__free(dtypes);
            soma__free(shapes);
            return soma__fail(err, SOMA_MEMORY, "out of memory while a plan was made");
        }
    }
    for (int i = 0; i < n->nin; i++) {
        dtypes[i] = ir->node[n->in[i]].dtype;
        shapes[i] = ir->node[n->in[i]].shape;
    }
    soma_error inner = {0};
    soma__rule rule = {.op = n->op,
                       .name = n->name,
                       .nin = n->nin,
                       .in_dtype = dtypes,
                       .in_shape = shapes,
                       .attrs = n->attrs ? attrs : NULL,
                       .dtype = n->nin ? dtypes[0] : n->dtype,
                       .shape = n->nin ? shapes[0] : n->shape,
                       .err = &inner};
    soma_status status = n->op->rule ? n->op->rule(&rule) : SOMA_OK;
    if (n->nin > FEW) {
        soma__free(dtypes);
        soma__free(shapes);
    }
    if (status != SOMA_OK)
        return bad(err, after, id, n, inner.message);
    if (rule.dtype != n->dtype || !soma_shape_equal(&rule.shape, &n->shape))
        return bad(err, after, id, n, "its shape or dtype is not what its rule derives");
    return SOMA_OK;
}

static soma_status verify_node(const soma__ir *ir, int32_t id, const char *after, soma_error *err)
{
    const soma__ir_node *n = &ir->node[id];
    if (!n->op || !n->name)
        return bad(err, after, id, n, "it has no op or no name");
    if (soma__ir_is_leaf(n))
        return verify_leaf(ir, id, after, err);
    if (n->nin < n->op->min_inputs || (n->op->max_inputs >= 0 && n->nin > n->op->max_inputs))
        return bad(err, after, id, n, "it has a wrong number of inputs");
    for (int i = 0; i < n->nin; i++)
        if (n->in[i] < 0 || n->in[i] >= id)
            return bad(err, after, id, n, "an input does not come before it");
    return verify_rule(ir, id, after, err);
}

soma_status soma__ir_verify(const soma__ir *ir, const char *after, soma_error *err)
{
    for (int32_t id = 0; id < ir->count; id++)
        SOMA__TRY(verify_node(ir, id, after, err));
    for (int i = 0; i < ir->output_count; i++)
        if (ir->output[i] < 0 || ir->output[i] >= ir->count)
            return soma__fail(err, SOMA_INTERNAL, "plan: after %s: output %d dangles", after, i);
    for (int i = 0; i < ir->update_count; i++) {
        const soma__ir_update *u = &ir->update[i];
        bool ok = u->variable >= 0 && u->variable < ir->variable_count && u->value >= 0 &&
                  u->value < ir->count;
        const soma__ir_slot *slot = ok ? &ir->variable[u->variable] : NULL;
        if (!ok || slot->node < 0 || slot->dtype != ir->node[u->value].dtype ||
            !soma_shape_equal(&slot->shape, &ir->node[u->value].shape))
            return soma__fail(err, SOMA_INTERNAL, "plan: after %s: update %d does not fit", after,
                              i);
    }
    return SOMA_OK;
}
