/* session.c: the buffers of one run at a time. Everything a run needs is made in create: the arena,
 * and one prepared call per step with its addresses filled in, so that a run is a loop of calls. */
#include "plan/plan.h"

/* --- addresses -------------------------------------------------------------------------------- */

static void *address(const soma_session *session, int32_t value)
{
    const soma__value *root = soma__root_of(session->core, value);
    switch (root->place) {
    case SOMA__AT_ARENA:
        return session->arena + root->offset;
    case SOMA__AT_VARIABLE:
        return session->plan->variable[root->slot]->data;
    case SOMA__AT_CONSTANT:
        return session->core->ir->node[root->slot].tensor->data;
    case SOMA__AT_INPUT: /* when it is fed */
    case SOMA__AT_NOWHERE:
        break;
    }
    return NULL;
}

static void set_addresses(soma_session *session)
{
    const soma__core *core = session->core;
    for (int32_t s = 0; s < core->step_count; s++) {
        const soma__step *step = &core->step[s];
        for (int i = 0; i < step->nin; i++)
            session->call[s].in[i].data = address(session, step->in[i]);
        for (int i = 0; i < step->nout; i++)
            session->call[s].out[i].data = address(session, step->out[i]);
    }
}

void soma__session_bind(soma_session *session, soma_plan *plan)
{
    session->plan = soma_plan_retain(plan);
    set_addresses(session);
}

void soma__session_unbind(soma_session *session)
{
    soma_plan_release(session->plan);
    session->plan = NULL;
    for (int i = 0; i < session->core->ir->input_count; i++)
        session->fed[i] = NULL;
}

/* --- create and destroy ----------------------------------------------------------------------- */

static void prepare_calls(soma_session *session)
{
    const soma__core *core = session->core;
    soma__view *view = session->view;
    for (int32_t s = 0; s < core->step_count; s++) {
        const soma__step *step = &core->step[s];
        soma__call *call = &session->call[s];
        *call = soma__call_of(core, step, view, session->plan->context->no_winograd);
        call->scratch = session->arena ? session->arena + core->scratch_offset : NULL;
        call->pool = session->plan->context->pool;
        view += step->nin + step->nout;
        session->idle[s] = true;
        for (int i = 0; i < call->nout; i++)
            if (call->out[i].count)
                session->idle[s] = false;
    }
    set_addresses(session);
    for (int i = 0; i < core->ir->output_count; i++) {
        const soma__value *v = &core->value[core->output[i]];
        soma_tensor *t = &session->output[i];
        atomic_init(&t->references, 1);
        t->dtype = v->dtype;
        t->shape = v->shape;
        t->count = v->count;
        t->bytes = v->bytes;
        t->data = address(session, core->output[i]);
        t->borrowed = true;
    }
}

soma_status soma_session_create(soma_session **out, soma_plan *plan, soma_error *err)
{
    *out = NULL;
    if (!plan)
        return soma__fail(err, SOMA_INVALID, "session: there is no plan");
    const soma__core *core = plan->core;
    size_t steps = (size_t)core->step_count + 1;
    soma_session *session = soma__calloc(1, sizeof *session);
    if (session) {
        session->plan = soma_plan_retain(plan);
        session->core = soma__core_retain(plan->core);
        session->call = soma__calloc(steps, sizeof *session->call);
        session->idle = soma__calloc(steps, sizeof *session->idle);
        session->view = soma__calloc((size_t)core->arguments + 1, sizeof *session->view);
        session->fed = soma__calloc((size_t)core->ir->input_count + 1, sizeof *session->fed);
        session->output = soma__calloc((size_t)core->ir->output_count + 1, sizeof *session->output);
        session->arena = core->arena_bytes ? soma__aligned(core->arena_bytes) : NULL;
    }
    if (!session || !session->call || !session->idle || !session->view || !session->fed ||
        !session->output || (core->arena_bytes && !session->arena)) {
        soma_session_destroy(session);
        return soma__fail(err, SOMA_MEMORY, "session: no memory for its %zu bytes of buffers",
                          core->arena_bytes);
    }
    prepare_calls(session);
    *out = session;
    return SOMA_OK;
}

void soma_session_destroy(soma_session *session)
{
    if (!session)
        return;
    soma__free(session->row);
    soma__free(session->output);
    soma__free(session->fed);
    soma__free(session->view);
    soma__free(session->idle);
    soma__free(session->call);
    soma__free(session->arena);
    soma_plan_release(session->plan);
    soma__core_release(session->core);
    soma__free(session);
}

/* --- feeding ---------------------------------------------------------------------------------- */

static soma_status find_input(const soma_session *session, const char *name, int *slot,
                              soma_error *err)
{
    enum { MOST = 32 };
    const soma__ir *ir = session->core->ir;
    const char *names[MOST];
    size_t count = 0;
    for (*slot = 0; name && *slot < ir->input_count; ++*slot) {
        if (!__builtin_strcmp(ir->input[*slot].name, name))
            return SOMA_OK;
        if (count < MOST)
            names[count++] = ir->input[*slot].name;
    }
    const char *near = name ? soma__nearest(name, names, count) : NULL;
    return soma__fail(err, SOMA_NOT_FOUND, "session: the graph has no input '%s'%s%s%s",
                      name ? name : "(null)", near ? "; did you mean '" : "", near ? near : "",
                      near ? "'?" : "");
}

soma_status soma_session_set(soma_session *session, const char *input, soma_dtype dtype,
                             const soma_shape *shape, const void *data, soma_error *err)
{
    /* Stands for the address of an array without elements, which may be NULL. */
    static const char nothing[64];
    int slot;
    int64_t count;
    SOMA__TRY(find_input(session, input, &slot, err));
    const soma__ir_slot *want = &session->core->ir->input[slot];
    if (dtype != want->dtype || !shape || !soma_shape_equal(shape, &want->shape)) {
        char seen[SOMA_SHAPE_TEXT_SIZE] = "no shape", wanted[SOMA_SHAPE_TEXT_SIZE];
        if (shape)
            soma_shape_text(shape, seen, sizeof seen);
        return soma__fail(err, dtype != want->dtype ? SOMA_DTYPE : SOMA_SHAPE,
                          "session: input '%s' is %s %s, what was fed is %s %s", input,
                          soma_dtype_text(want->dtype),
                          soma_shape_text(&want->shape, wanted, sizeof wanted),
                          soma_dtype_text(dtype), seen);
    }
    bool empty = soma__shape_count(shape, &count) && count == 0;
    if (!data && !empty)
        return soma__fail(err, SOMA_INVALID, "session: input '%s' was fed NULL", input);
    session->fed[slot] = data ? data : nothing;
    return SOMA_OK;
}

soma_status soma_session_set_tensor(soma_session *session, const char *input,
                                    const soma_tensor *tensor, soma_error *err)
{
    if (!tensor)
        return soma__fail(err, SOMA_INVALID, "session: input '%s' was fed no tensor",
                          input ? input : "(null)");
    return soma_session_set(session, input, tensor->dtype, &tensor->shape, tensor->data, err);
}

/* --- running ---------------------------------------------------------------------------------- */

soma_status soma__session_ready(soma_session *session, soma_error *err)
{
    const soma__core *core = session->core;
    for (int32_t f = 0; f < core->feed_count; f++) {
        const soma__feed *feed = &core->feed[f];
        const void *data = session->fed[feed->slot];
        const char *name = core->ir->input[feed->slot].name;
        if (!data)
            return soma__fail(
                err, SOMA_STATE,
                "session: input '%s' was not fed; call soma_session_set(…, \"%s\", …) "
                "before the run",
                name, name);
        /* Kernels do not write to inputs; views have one pointer type for both. */
        session->call[feed->step].in[feed->arg].data = (void *)(uintptr_t)data;
    }
    soma__prepared_use(session);
    return SOMA_OK;
}

void soma__session_wrote(const soma_session *session)
{
    const soma__ir *ir = session->core->ir;
    for (int i = 0; i < ir->update_count; i++)
        soma__tensor_write(session->plan->variable[ir->update[i].variable]);
}

void soma__session_step(const soma_session *session, int32_t index)
{
    const soma__step *step = &session->core->step[index];
    if (session->idle[index])
        return;
    (step->kernel ? step->kernel->run : step->op->reference)(&session->call[index]);
}

soma_status soma_session_run(soma_session *session, soma_error *err)
{
    SOMA__TRY(soma__session_ready(session, err));
    soma__pool *pool = session->plan->context->pool;
    soma__pool_enter(pool);
    for (int32_t s = 0; s < session->core->step_count; s++)
        soma__session_step(session, s);
    soma__pool_leave(pool);
    soma__session_wrote(session);
    return SOMA_OK;
}

const soma_tensor *soma_session_output(const soma_session *session, int index)
{
    if (index < 0 || index >= session->core->ir->output_count)
        return NULL;
    return &session->output[index];
}

soma_plan *soma_session_plan(const soma_session *session)
{
    return session->plan;
}
