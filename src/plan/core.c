/* core.c: the stages of a compilation, and a brute-force look at what they made. */
#include "plan/lower.h"

/* --- tables that the stages share ------------------------------------------------------------- */

static soma_status list_users(soma__lowering *l, soma_error *err)
{
    const soma__ir *ir = l->ir;
    size_t n = (size_t)ir->count, edges = 0;
    for (int32_t i = 0; i < ir->count; i++)
        edges += (size_t)ir->node[i].nin;
    l->user_first = soma__arena_array(&l->arena, n + 2, sizeof *l->user_first);
    l->user = soma__arena_array(&l->arena, edges + 1, sizeof *l->user);
    int32_t *fill = soma__arena_array(&l->arena, n + 2, sizeof *fill);
    if (!l->user_first || !l->user || !fill)
        return soma__lower_memory(err);
    for (int32_t i = 0; i < ir->count; i++)
        for (int k = 0; k < ir->node[i].nin; k++)
            l->user_first[ir->node[i].in[k] + 1]++;
    for (int32_t i = 0; i < ir->count; i++) {
        l->user_first[i + 1] += l->user_first[i];
        fill[i] = l->user_first[i];
    }
    for (int32_t i = 0; i < ir->count; i++)
        for (int k = 0; k < ir->node[i].nin; k++)
            l->user[fill[ir->node[i].in[k]]++] = i;
    return SOMA_OK;
}

/* A view's bytes are those of its root, so what is wanted of the view is wanted of the root. */
static void mark_wanted(soma__lowering *l)
{
    const soma__ir *ir = l->ir;
    for (int i = 0; i < ir->output_count; i++)
        l->is_output[ir->output[i]] = true;
    for (int i = 0; i < ir->update_count; i++)
        l->is_update[ir->update[i].value] = true;
    for (int32_t i = ir->count - 1; i >= 0; i--)
        if (soma__ir_is_view(&ir->node[i])) {
            l->is_output[ir->node[i].in[0]] |= l->is_output[i];
            l->is_update[ir->node[i].in[0]] |= l->is_update[i];
        }
}

static void mark_uniform(soma__lowering *l)
{
    double value;
    for (int32_t i = 0; i < l->ir->count; i++) {
        const soma__ir_node *n = &l->ir->node[i];
        /* 64-bit numbers do not fit a program's constants. */
        if (soma_dtype_size(n->dtype) > 4 || n->dtype == SOMA_I32)
            continue;
        l->uniform[i] = soma__ir_uniform(n, &value);
        l->uniform_value[i] = l->uniform[i] ? (float)value : 0;
    }
}

static soma_status make_tables(soma__lowering *l, soma_error *err)
{
    soma__core *core = l->core;
    const soma__ir *ir = l->ir;
    size_t n = (size_t)ir->count + 1;
    size_t roots = (size_t)ir->output_count + 2 * (size_t)ir->update_count;
    SOMA__TRY(list_users(l, err));
    l->is_output = soma__arena_array(&l->arena, n, sizeof *l->is_output);
    l->is_update = soma__arena_array(&l->arena, n, sizeof *l->is_update);
    l->uniform = soma__arena_array(&l->arena, n, sizeof *l->uniform);
    l->uniform_value = soma__arena_array(&l->arena, n, sizeof *l->uniform_value);
    l->repeated = soma__arena_array(&l->arena, n, sizeof *l->repeated);
    l->mark = soma__arena_array(&l->arena, n, sizeof *l->mark);
    l->place_of = soma__arena_array(&l->arena, n, sizeof *l->place_of);
    l->known = soma__arena_array(&l->arena, n, sizeof *l->known);
    core->value_capacity = core->step_capacity = (int32_t)(n + roots);
    core->value = soma__arena_array(&l->ir->arena, n + roots + 1, sizeof *core->value);
    core->step = soma__arena_array(&l->ir->arena, n + roots + 1, sizeof *core->step);
    core->output =
        soma__arena_array(&l->ir->arena, (size_t)ir->output_count + 1, sizeof *core->output);
    if (!l->is_output || !l->is_update || !l->uniform || !l->uniform_value || !l->repeated ||
        !l->mark || !l->place_of || !l->known || !core->value || !core->step || !core->output)
        return soma__lower_memory(err);
    mark_wanted(l);
    mark_uniform(l);
    return SOMA_OK;
}

/* Where sessions must put the addresses of what is fed. */
static soma_status make_feeds(soma__lowering *l, soma_error *err)
{
    soma__core *core = l->core;
    core->feed = soma__arena_array(&l->ir->arena, (size_t)core->arguments + 1, sizeof *core->feed);
    if (!core->feed)
        return soma__lower_memory(err);
    for (int32_t s = 0; s < core->step_count; s++)
        for (int i = 0; i < core->step[s].nin; i++) {
            const soma__value *root = soma__root_of(core, core->step[s].in[i]);
            if (root->place == SOMA__AT_INPUT)
                core->feed[core->feed_count++] = (soma__feed){s, i, root->slot};
        }
    return SOMA_OK;
}

/* --- stages ----------------------------------------------------------------------------------- */

static soma_status run_passes(soma__ir *ir, soma_error *err)
{
    static const struct {
        const char *name;
        soma_status (*run)(soma__ir *ir, soma_error *err);
    } pass[] = {
        {"folding", soma__pass_fold},
        {"algebra", soma__pass_algebra},
        {"common subexpressions", soma__pass_cse},
    };
    for (size_t i = 0; i < sizeof pass / sizeof *pass; i++) {
        SOMA__TRY(pass[i].run(ir, err));
        SOMA__TRY(soma__ir_verify(ir, pass[i].name, err));
    }
    return SOMA_OK;
}

static bool has_kernel(const soma__backend *backend, const char *op)
{
    for (int k = 0; backend && k < backend->count; k++)
        if (!__builtin_strcmp(backend->kernels[k].op, op))
            return true;
    return false;
}

static soma_status compile(soma__lowering *l, soma_error *err)
{
    SOMA__TRY(soma__ir_verify(l->ir, "building", err));
    /* Without a backend the plan stays what the user wrote, one reference kernel per node: that
     * makes a reference context an independent witness against all of this. */
    if (l->backend)
        SOMA__TRY(run_passes(l->ir, err));
    if (has_kernel(l->backend, "fused"))
        l->fused = soma__op_find("fused");
    SOMA__TRY(make_tables(l, err));
    SOMA__TRY(soma__make_values(l, err));
    SOMA__TRY(soma__fuse(l, err));
    SOMA__TRY(soma__make_steps(l, err));
    SOMA__TRY(soma__place_roots(l, err));
    SOMA__TRY(soma__schedule(l, err));
    SOMA__TRY(soma__plan_memory(l, err));
    SOMA__TRY(make_feeds(l, err));
    return soma__core_verify(l->core, err);
}

soma_status soma__core_build(soma__core **out, soma__ir *ir, const soma_context *context,
                             soma_error *err)
{
    *out = NULL;
    soma__core *core = soma__calloc(1, sizeof *core);
    if (!core) {
        soma__ir_destroy(ir);
        return soma__lower_memory(err);
    }
    atomic_init(&core->references, 1);
    core->ir = ir;
    core->backend = context->backend;
    soma__lowering l = {.core = core,
                        .ir = ir,
                        .backend = context->backend,
                        .no_winograd = context->no_winograd,
                        .threads = soma__pool_threads(context->pool)};
    soma_status status = compile(&l, err);
    soma__arena_clear(&l.arena);
    if (status != SOMA_OK) {
        soma__core_release(core);
        return status;
    }
    *out = core;
    return SOMA_OK;
}

soma__call soma__call_of(const soma__core *core, const soma__step *step, soma__view *view,
                         bool no_winograd)
{
    for (int i = 0; i < step->nin + step->nout; i++) {
        const soma__value *v = &core->value[i < step->nin ? step->in[i] : step->out[i - step->nin]];
        view[i] = (soma__view){NULL, v->dtype, v->shape, v->count};
    }
    return (soma__call){.op = step->op,
                        .attrs = step->attrs,
                        .nin = step->nin,
                        .nout = step->nout,
                        .in = view,
                        .out = view + step->nin,
                        .program = step->program,
                        .epilogue_first = step->epilogue_first,
                        .no_winograd = no_winograd};
}

soma__core *soma__core_retain(soma__core *core)
{
    atomic_fetch_add_explicit(&core->references, 1, memory_order_relaxed);
    return core;
}

void soma__core_release(soma__core *core)
{
    if (!core || atomic_fetch_sub_explicit(&core->references, 1, memory_order_acq_rel) != 1)
        return;
    soma__ir_destroy(core->ir);
    soma__free(core);
}

/* --- verifier --------------------------------------------------------------------------------- */

static soma_status verify_operands(const soma__core *core, soma_error *err)
{
    for (int32_t s = 0; s < core->step_count; s++)
        for (int i = 0; i < core->step[s].nin; i++) {
            const soma__value *root = soma__root_of(core, core->step[s].in[i]);
            if (root->step >= 0 ? root->step >= s : root->place == SOMA__AT_NOWHERE)
                return soma__fail(err, SOMA_INTERNAL,
                                  "plan: step %d (%s) reads a value that does not exist yet",
                                  (int)s, core->step[s].label);
        }
    return SOMA_OK;
}

/* After a step has written into a variable no other may read the old value. */
static soma_status verify_write(const soma__core *core, int32_t s, int slot, soma_error *err)
{
    int32_t leaf = core->ir->variable[slot].node;
    for (int32_t later = s + 1; later < core->step_count; later++)
        for (int i = 0; i < core->step[later].nin; i++)
            if (core->value[core->step[later].in[i]].root == leaf)
                return soma__fail(err, SOMA_INTERNAL,
                                  "plan: step %d (%s) reads a variable after its update",
                                  (int)later, core->step[later].label);
    return SOMA_OK;
}

static soma_status verify_writes(const soma__core *core, soma_error *err)
{
    for (int32_t s = 0; s < core->step_count; s++)
        for (int i = 0; i < core->step[s].nout; i++) {
            const soma__value *root = soma__root_of(core, core->step[s].out[i]);
            if (root->place == SOMA__AT_VARIABLE)
                SOMA__TRY(verify_write(core, s, root->slot, err));
        }
    return SOMA_OK;
}

static bool took_over(const soma__core *core, int32_t later, int32_t earlier)
{
    while (later >= 0 && later != earlier)
        later = core->value[later].shares;
    return later == earlier;
}

soma_status soma__core_verify(const soma__core *core, soma_error *err)
{
    SOMA__TRY(verify_operands(core, err));
    SOMA__TRY(verify_writes(core, err));
    for (int32_t a = 0; a < core->value_count; a++) {
        const soma__value *x = &core->value[a];
        if (x->place != SOMA__AT_ARENA)
            continue;
        if (x->offset % 64 || x->offset + x->bytes > core->scratch_offset)
            return soma__fail(err, SOMA_INTERNAL, "plan: value %d lies outside the arena", (int)a);
        for (int32_t b = a + 1; b < core->value_count; b++) {
            const soma__value *y = &core->value[b];
            if (y->place != SOMA__AT_ARENA || x->first > y->last || y->first > x->last ||
                x->offset >= y->offset + y->bytes || y->offset >= x->offset + x->bytes)
                continue;
            if ((y->first == x->last && took_over(core, b, a)) ||
                (x->first == y->last && took_over(core, a, b)))
                continue;
            return soma__fail(err, SOMA_INTERNAL, "plan: live values %d and %d overlap", (int)a,
                              (int)b);
        }
    }
    return SOMA_OK;
}
