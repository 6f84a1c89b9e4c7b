/* check.c: a run that looks at every value made and names the op of the first NaN or Inf. Slow and
 * free to allocate: it runs when training has already gone wrong. */
#include <math.h>
#include <string.h>

#include "plan/plan.h"

/* The first element that is not finite, or -1. */
static int64_t find_bad(soma_dtype dtype, const void *data, int64_t count)
{
    if (!soma_dtype_is_float(dtype))
        return -1;
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(soma__load(dtype, data, i)))
            return i;
    return -1;
}

static const char *kind(double value)
{
    return isnan(value) ? "NaN" : "Inf";
}

static soma_status holds_bad(soma_error *err, const char *what, const char *name,
                             const soma_shape *shape, double value, int64_t index)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    return soma__fail(err, SOMA_NUMERIC, "%s '%s' holds %s (value %lld of %s)", what, name,
                      kind(value), (long long)index, soma_shape_text(shape, text, sizeof text));
}

static soma_status check_leaf(const char *what, const soma__ir_slot *slot, const void *data,
                              soma_error *err)
{
    int64_t count;
    if (!data || slot->node < 0 || !soma__shape_count(&slot->shape, &count))
        return SOMA_OK;
    int64_t bad = find_bad(slot->dtype, data, count);
    if (bad < 0)
        return SOMA_OK;
    return holds_bad(err, what, slot->name, &slot->shape, soma__load(slot->dtype, data, bad), bad);
}

static soma_status check_leaves(const soma_session *session, soma_error *err)
{
    const soma__ir *ir = session->core->ir;
    for (int i = 0; i < ir->input_count; i++)
        SOMA__TRY(check_leaf("input", &ir->input[i], session->fed[i], err));
    for (int i = 0; i < ir->variable_count; i++)
        SOMA__TRY(check_leaf("variable", &ir->variable[i], session->plan->variable[i]->data, err));
    return SOMA_OK;
}

/* --- which op of a fused step ----------------------------------------------------------------- */

/* Element `index` of an array of shape `to`, read from operand `x` that broadcasts to it. */
static double broadcast_load(const soma__view *x, const soma_shape *to, int64_t index)
{
    int64_t strides[SOMA_MAX_DIMS], at = 0;
    soma__broadcast_strides(&x->shape, to, strides);
    for (int d = to->ndim - 1; d >= 0; d--) {
        at += index % to->dim[d] * strides[d];
        index /= to->dim[d];
    }
    return soma__load(x->dtype, x->data, at);
}

static double register_of(const soma__program *p, const double *registers, uint8_t index)
{
    return index < SOMA__PROGRAM_REGISTERS ? registers[index]
                                           : (double)p->constant[index - SOMA__PROGRAM_REGISTERS];
}

/* Interprets a fused step at one element, to find the op whose result is not finite although its
 * operands are; the ir node, or -1 when no single op is to blame. `in` are the operands as they
 * were before the step. */
static int32_t guilty_node(const soma__step *step, const soma__view *in, int64_t index)
{
    const soma__program *p = step->program;
    double registers[SOMA__PROGRAM_REGISTERS] = {0};
    for (int i = 0; i < p->loads; i++)
        registers[i] = broadcast_load(&in[i], &p->shape, index);
    for (int i = 0; i < p->insns; i++) {
        const soma__insn *n = &p->insn[i];
        double value =
            soma__scalar_apply((soma__scalar)n->code, register_of(p, registers, n->a),
                               register_of(p, registers, n->b), register_of(p, registers, n->c));
        registers[n->dst] = value;
        if (!isfinite((float)value))
            return step->insn_node[i];
    }
    return -1;
}

static soma_status made_bad(const soma_session *session, int32_t s, int out, int64_t index,
                            const soma__view *in, soma_error *err)
{
    const soma__core *core = session->core;
    const soma__step *step = &core->step[s];
    const soma__view *view = &session->call[s].out[out];
    const char *op = step->label, *name = step->name;
    char text[SOMA_SHAPE_TEXT_SIZE];
    if (step->program && !step->epilogue_first) {
        int32_t node = guilty_node(step, in, index);
        if (node >= 0) {
            op = core->ir->node[node].op->name;
            name = core->ir->node[node].name;
        }
    }
    return soma__fail(err, SOMA_NUMERIC, "%s '%s' made %s (value %lld of %s)", op, name,
                      kind(soma__load(view->dtype, view->data, index)), (long long)index,
                      soma_shape_text(&view->shape, text, sizeof text));
}

/* --- steps ------------------------------------------------------------------------------------ */

static bool is_output_data(const soma__call *call, const void *data)
{
    for (int i = 0; i < call->nout; i++)
        if (call->out[i].data == data)
            return true;
    return false;
}

/* Views of the operands whose memory the step leaves alone: those that it overwrites are copied
 * into `arena` first. NULL: no memory. */
static soma__view *keep_operands(const soma__call *call, soma__arena *arena)
{
    soma__view *kept =
        soma__arena_copy(arena, call->in, (size_t)call->nin * sizeof *kept + !call->nin);
    for (int i = 0; kept && i < call->nin; i++)
        if (kept[i].count && is_output_data(call, kept[i].data)) {
            kept[i].data = soma__arena_copy(arena, kept[i].data,
                                            (size_t)kept[i].count * soma_dtype_size(kept[i].dtype));
            if (!kept[i].data)
                return NULL;
        }
    return kept;
}

static soma_status check_step(const soma_session *session, int32_t s, soma_error *err)
{
    const soma__call *call = &session->call[s];
    soma__arena arena = {0};
    const soma__view *in = call->in;
    soma_status status = SOMA_OK;
    if (call->nin && !session->idle[s] && call->program && !call->epilogue_first) {
        in = keep_operands(call, &arena);
        if (!in) {
            soma__arena_clear(&arena);
            return soma__fail(err, SOMA_MEMORY, "out of memory while a run was checked");
        }
    }
    soma__session_step(session, s);
    for (int i = 0; i < call->nout && status == SOMA_OK; i++) {
        int64_t bad = find_bad(call->out[i].dtype, call->out[i].data, call->out[i].count);
        if (bad >= 0)
            status = made_bad(session, s, i, bad, in, err);
    }
    soma__arena_clear(&arena);
    return status;
}

/* --- variables are put back ------------------------------------------------------------------- */

static soma_status save_variables(const soma_session *session, soma__arena *arena, void **saved,
                                  soma_error *err)
{
    const soma__ir *ir = session->core->ir;
    for (int i = 0; i < ir->update_count; i++) {
        const soma_tensor *t = session->plan->variable[ir->update[i].variable];
        saved[i] = t->bytes ? soma__arena_copy(arena, t->data, t->bytes) : NULL;
        if (t->bytes && !saved[i])
            return soma__fail(err, SOMA_MEMORY, "out of memory while a run was checked");
    }
    return SOMA_OK;
}

static void restore_variables(const soma_session *session, void **saved)
{
    const soma__ir *ir = session->core->ir;
    for (int i = 0; i < ir->update_count; i++) {
        soma_tensor *t = session->plan->variable[ir->update[i].variable];
        if (saved[i])
            memcpy(t->data, saved[i], t->bytes);
    }
}

soma_status soma_session_check(soma_session *session, soma_error *err)
{
    const soma__core *core = session->core;
    SOMA__TRY(soma__session_ready(session, err));
    SOMA__TRY(check_leaves(session, err));
    soma__arena arena = {0};
    void **saved = soma__arena_array(&arena, (size_t)core->ir->update_count + 1, sizeof *saved);
    if (!saved)
        return soma__fail(err, SOMA_MEMORY, "out of memory while a run was checked");
    soma_status status = save_variables(session, &arena, saved, err);
    if (status == SOMA_OK) {
        soma__pool_enter(session->plan->context->pool);
        for (int32_t s = 0; s < core->step_count && status == SOMA_OK; s++)
            status = check_step(session, s, err);
        soma__pool_leave(session->plan->context->pool);
        restore_variables(session, saved);
        soma__session_wrote(session);
    }
    soma__arena_clear(&arena);
    return status;
}
