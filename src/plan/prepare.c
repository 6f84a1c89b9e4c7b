/* prepare.c: weights in the form that their kernels want, kept by a plan between runs.
 *
 * A kernel may have a form of its second operand (packed into panels, transformed) that it would
 * otherwise make at each run. For a constant, and for a variable that the plan does not write, the
 * plan keeps it instead, once for all its sessions. What is kept of a variable belongs to one state
 * of its tensor, which counts the writes to it; each run compares the counts first and has what is
 * stale made again. A tensor that may change without a count (a pointer to its data was handed out)
 * is left to the kernel, as in plans that keep nothing.
 *
 *     soma_plan_prepare    room for every form that a kernel offers
 *     soma__prepared_use   before a run: makes what is stale, tells the calls
 */
#include "plan/plan.h"

/* The tensor of a step's second operand, and its slot; NULL: neither constant nor variable, or
 * written by the plan. */
static soma_tensor *weight_of(const soma_plan *plan, const soma__step *step, int *slot)
{
    const soma__core *core = plan->core;
    if (!step->kernel || !step->kernel->prepared || step->nin < 2)
        return NULL;
    const soma__value *root = soma__root_of(core, step->in[1]);
    *slot = root->place == SOMA__AT_VARIABLE ? root->slot : -1;
    if (root->place == SOMA__AT_CONSTANT)
        return core->ir->node[root->slot].tensor;
    if (root->place != SOMA__AT_VARIABLE)
        return NULL;
    for (int i = 0; i < core->ir->update_count; i++)
        if (core->ir->update[i].variable == root->slot)
            return NULL;
    return plan->variable[root->slot];
}

/* Bytes of the form that the kernel of `step` keeps; 0: none. */
static size_t form_bytes(const soma_plan *plan, const soma__step *step, soma__view *view)
{
    const soma__call call = soma__call_of(plan->core, step, view, plan->context->no_winograd);
    for (int i = 0; i < call.nout; i++)
        if (call.out[i].count == 0)
            return 0; /* never run */
    return step->kernel->prepared(&call);
}

/* Lists what kernels offer; `total` gets the bytes of all, each at a cache line. */
static bool list_forms(soma__prepared *kept, const soma_plan *plan, soma__view *view, size_t *total)
{
    const soma__core *core = plan->core;
    int count = 0;
    *total = 0;
    for (int32_t s = 0; s < core->step_count; s++) {
        const soma__step *step = &core->step[s];
        soma__prepared *form = &kept[count];
        soma_tensor *tensor = weight_of(plan, step, &form->slot);
        if (!tensor || (form->slot >= 0 && !soma__tensor_watched(tensor)))
            continue;
        size_t bytes = form_bytes(plan, step, view), end;
        if (!bytes)
            continue;
        if (!soma__add(*total, bytes, &end) || end > SIZE_MAX - 63)
            return false;
        form->step = s;
        form->tensor = tensor;
        form->offset = *total;
        atomic_init(&form->version, 0);
        *total = soma__align_up(end, 64);
        count++;
    }
    return true;
}

static soma_status make_room(soma_plan *plan, soma_error *err)
{
    const soma__core *core = plan->core;
    size_t total = 0;
    soma__prepared *kept = soma__calloc((size_t)core->step_count + 1, sizeof *kept);
    soma__view *view = soma__calloc((size_t)core->arguments + 1, sizeof *view);
    bool fits = kept && view && list_forms(kept, plan, view, &total);
    char *data = fits && total ? soma__aligned(total) : NULL;
    soma__free(view);
    if (!fits || (total && !data)) {
        soma__free(kept);
        return soma__fail(err, SOMA_MEMORY, "plan: no memory for %zu bytes of prepared weights",
                          total);
    }
    while (total && kept[plan->prepared_count].tensor)
        plan->prepared_count++;
    plan->prepared = kept;
    plan->prepared_data = data;
    plan->prepared_bytes = total;
    return SOMA_OK;
}

soma_status soma_plan_prepare(soma_plan *plan, soma_error *err)
{
    if (!plan)
        return soma__fail(err, SOMA_INVALID, "plan: there is no plan to prepare");
    return plan->prepared ? SOMA_OK : make_room(plan, err);
}

void soma__prepared_free(soma_plan *plan)
{
    soma__free(plan->prepared);
    soma__free(plan->prepared_data);
}

/* The state that a form must be of; 0: none, what the tensor holds is not known. */
static unsigned long wanted(const soma__prepared *form)
{
    if (form->slot < 0)
        return 1;
    if (!soma__tensor_watched(form->tensor))
        return 0;
    return atomic_load_explicit(&form->tensor->versions, memory_order_acquire) + 1;
}

/* Under the plan's lock, so that each form is made once, whichever session comes first. No run is
 * reading what is made anew: it would have begun before a write that is over. */
static void make_stale(soma_session *session)
{
    soma_plan *plan = session->plan;
    pthread_mutex_lock(&plan->prepare_lock);
    soma__pool_enter(plan->context->pool);
    for (int i = 0; i < plan->prepared_count; i++) {
        soma__prepared *form = &plan->prepared[i];
        unsigned long version = wanted(form);
        if (!version || atomic_load_explicit(&form->version, memory_order_relaxed) == version)
            continue;
        plan->core->step[form->step].kernel->prepare(&session->call[form->step],
                                                     plan->prepared_data + form->offset);
        atomic_store_explicit(&form->version, version, memory_order_release);
    }
    soma__pool_leave(plan->context->pool);
    pthread_mutex_unlock(&plan->prepare_lock);
}

void soma__prepared_use(soma_session *session)
{
    const soma_plan *plan = session->plan;
    bool stale = false;
    for (int i = 0; i < plan->prepared_count; i++) {
        const soma__prepared *form = &plan->prepared[i];
        unsigned long version = wanted(form);
        session->call[form->step].prepared = version ? plan->prepared_data + form->offset : NULL;
        stale |= version && atomic_load_explicit(&form->version, memory_order_acquire) != version;
    }
    if (stale)
        make_stale(session);
}
