/* plan.c: plans as users see them: a shared core and the tensors of this graph's variables. */
#include "plan/plan.h"

soma_status soma_plan_create(soma_plan **out, soma_context *context, const soma_var *outputs,
                             int output_count, const soma_update *updates, int update_count,
                             soma_error *err)
{
    *out = NULL;
    if (!context)
        return soma__fail(err, SOMA_INVALID, "plan: there is no context");
    soma_plan *plan = soma__calloc(1, sizeof *plan);
    if (!plan || pthread_mutex_init(&plan->prepare_lock, NULL) != 0) {
        soma__free(plan);
        return soma__fail(err, SOMA_MEMORY, "out of memory while a plan was made");
    }
    atomic_init(&plan->references, 1);
    plan->context = context;
    soma_status status = soma__cache_core(&plan->core, &plan->variable, &plan->cached, context,
                                          outputs, output_count, updates, update_count, err);
    if (status != SOMA_OK) {
        pthread_mutex_destroy(&plan->prepare_lock);
        soma__free(plan);
        return status;
    }
    *out = plan;
    return SOMA_OK;
}

soma_plan *soma_plan_retain(soma_plan *plan)
{
    if (plan)
        atomic_fetch_add_explicit(&plan->references, 1, memory_order_relaxed);
    return plan;
}

void soma_plan_release(soma_plan *plan)
{
    if (!plan || atomic_fetch_sub_explicit(&plan->references, 1, memory_order_acq_rel) != 1)
        return;
    for (int i = 0; i < plan->core->ir->variable_count; i++)
        soma_tensor_release(plan->variable[i]);
    soma__prepared_free(plan);
    pthread_mutex_destroy(&plan->prepare_lock);
    soma__free(plan->variable);
    soma__core_release(plan->core);
    soma__free(plan);
}

void soma_plan_describe(const soma_plan *plan, soma_plan_info *info)
{
    const soma__core *core = plan->core;
    *info = (soma_plan_info){.nodes = core->ir->built,
                             .steps = core->step_count,
                             .arena_bytes = core->arena_bytes,
                             .unplanned_bytes = core->unplanned_bytes,
                             .prepared_bytes = plan->prepared_bytes,
                             .cached = plan->cached};
    for (int32_t s = 0; s < core->step_count; s++) {
        const soma__step *step = &core->step[s];
        info->fused += step->node_count > 1 ? step->node_count : 0;
        info->flops += step->flops;
        info->bytes += step->bytes;
    }
    for (int i = 0; i < core->ir->variable_count; i++)
        info->variable_bytes += plan->variable[i]->bytes;
}
