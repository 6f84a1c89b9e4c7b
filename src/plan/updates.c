/* updates.c: how new values get into their variables.
 *
 * All reads of a run see the state before its updates. The simple way is to compute the new value
 * beside the old one and to copy it at the end of the run. An optimiser step is three such arrays
 * the size of the model, so where it is safe the producing step writes straight into the variable:
 *
 *   reads of w ──▶ matmul ─▶ … ─▶ gradient ─┐
 *             └──▶ matmul (input gradient) ··│·· must come before
 *   w, m, v ────────────────────────────────▶ fused adam ──▶ w, m, v in place
 *
 * It is safe when every other step that reads the variable can run before the producing one (then
 * an edge makes the schedule keep to that), and when the producing step, if it reads the variable
 * itself, reads each element only where it writes it. */
#include "plan/lower.h"

static bool reads(const soma__core *core, const soma__step *step, int32_t root)
{
    for (int i = 0; i < step->nin; i++)
        if (core->value[step->in[i]].root == root)
            return true;
    return false;
}

/* Whether `step` may write value `out` over variable `root`, as far as its own reading goes. */
static bool position_safe(const soma__core *core, const soma__step *step, int32_t out, int32_t root)
{
    for (int i = 0; i < step->nin; i++)
        if (core->value[step->in[i]].root == root && !soma__may_overwrite(core, step, i, out))
            return false;
    return true;
}

/* Whether any reader of `root` (other than `maker`) needs, through data or order, a result of
 * maker. */
static soma_status readers_need(soma__lowering *l, int32_t maker, int32_t root, bool *need,
                                soma_error *err)
{
    const soma__core *core = l->core;
    size_t n = (size_t)core->step_count;
    *need = false;
    bool *seen = soma__calloc(n + 1, sizeof *seen);
    int32_t *stack = soma__calloc(n + 1, sizeof *stack), top = 0;
    if (!seen || !stack) {
        soma__free(seen);
        soma__free(stack);
        return soma__lower_memory(err);
    }
    for (int32_t s = 0; s < core->step_count; s++)
        if (s != maker && reads(core, &core->step[s], root)) {
            seen[s] = true;
            stack[top++] = s;
        }
    while (top && !*need) {
        const soma__step *step = &core->step[stack[--top]];
        int32_t at = stack[top];
        for (int i = 0; i < step->nin; i++) {
            int32_t from = soma__root_of(core, step->in[i])->step;
            *need |= from == maker;
            if (from >= 0 && !seen[from]) {
                seen[from] = true;
                stack[top++] = from;
            }
        }
        for (const soma__before *b = l->before[at]; b; b = b->next) {
            *need |= b->step == maker;
            if (!seen[b->step]) {
                seen[b->step] = true;
                stack[top++] = b->step;
            }
        }
    }
    soma__free(seen);
    soma__free(stack);
    return SOMA_OK;
}

static soma_status order_readers(soma__lowering *l, int32_t maker, int32_t root, soma_error *err)
{
    for (int32_t s = 0; s < l->core->step_count; s++) {
        if (s == maker || !reads(l->core, &l->core->step[s], root))
            continue;
        soma__before *b = soma__arena_alloc(&l->arena, sizeof *b);
        if (!b)
            return soma__lower_memory(err);
        *b = (soma__before){s, l->before[maker]};
        l->before[maker] = b;
    }
    return SOMA_OK;
}

/* Puts the update's value straight into its variable when that is safe. */
static soma_status try_direct(soma__lowering *l, const soma__ir_update *u, bool *done,
                              soma_error *err)
{
    soma__core *core = l->core;
    int32_t root = core->value[u->value].root, leaf = l->ir->variable[u->variable].node;
    soma__value *value = &core->value[root];
    bool need;
    *done = false;
    if (value->place != SOMA__AT_NOWHERE || value->step < 0)
        return SOMA_OK; /* a leaf, or taken by another update */
    for (int i = 0; i < core->ir->output_count; i++)
        if (core->value[core->output[i]].root == root)
            return SOMA_OK; /* an output must not change with the variable */
    if (!position_safe(core, &core->step[value->step], root, leaf))
        return SOMA_OK;
    SOMA__TRY(readers_need(l, value->step, leaf, &need, err));
    if (need)
        return SOMA_OK;
    SOMA__TRY(order_readers(l, value->step, leaf, err));
    value->place = SOMA__AT_VARIABLE;
    value->slot = u->variable;
    *done = true;
    return SOMA_OK;
}

static bool is_updated(const soma__ir *ir, int slot)
{
    for (int i = 0; i < ir->update_count; i++)
        if (ir->update[i].variable == slot)
            return true;
    return false;
}

/* A copy of a leaf's value in the arena, made before anything else runs. */
static soma_status copy_early(soma__lowering *l, int32_t value, int32_t *out, soma_error *err)
{
    soma__value v = l->core->value[value];
    *out = soma__add_value(l, v.dtype, &v.shape);
    SOMA_ASSERT(*out >= 0, err);
    return soma__add_copy(l, value, *out, -1, err);
}

soma_status soma__place_roots(soma__lowering *l, soma_error *err)
{
    soma__core *core = l->core;
    const soma__ir *ir = l->ir;
    /* Outputs that are leaves, and variables that pass into others: copies while they are old. */
    for (int i = 0; i < ir->output_count; i++) {
        core->output[i] = ir->output[i];
        if (soma__root_of(core, ir->output[i])->place != SOMA__AT_NOWHERE)
            SOMA__TRY(copy_early(l, ir->output[i], &core->output[i], err));
    }
    int32_t *source = soma__arena_array(&l->arena, (size_t)ir->update_count + 1, sizeof *source);
    l->before = soma__arena_array(&l->arena, (size_t)core->step_capacity + 1, sizeof *l->before);
    if (!source || !l->before)
        return soma__lower_memory(err);
    for (int i = 0; i < ir->update_count; i++) {
        const soma__value *root = soma__root_of(core, ir->update[i].value);
        source[i] = ir->update[i].value;
        if (root->place != SOMA__AT_VARIABLE)
            continue;
        if (root->slot == ir->update[i].variable)
            source[i] = -1; /* w becomes w */
        else if (is_updated(ir, root->slot))
            SOMA__TRY(copy_early(l, source[i], &source[i], err));
    }
    for (int i = 0; i < ir->update_count; i++) {
        bool done = source[i] < 0;
        if (!done)
            SOMA__TRY(try_direct(l, &ir->update[i], &done, err));
        if (done)
            source[i] = -1;
    }
    for (int i = 0; i < ir->update_count; i++)
        if (source[i] >= 0)
            SOMA__TRY(soma__add_copy(l, source[i], ir->variable[ir->update[i].variable].node,
                                     INT32_MAX, err));
    return SOMA_OK;
}
