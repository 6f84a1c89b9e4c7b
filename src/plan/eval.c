/* eval.c: define by run. */
#include "plan/plan.h"

/* Runs the plan in a session that the cache kept, or in a new one. */
static soma_status run_plan(soma_session **session, soma_plan *plan, soma_error *err)
{
    *session = soma__cache_take_session(plan->context, plan->core);
    if (*session)
        soma__session_bind(*session, plan);
    else
        SOMA__TRY(soma_session_create(session, plan, err));
    return soma_session_run(*session, err);
}

static soma_status copy_outputs(soma_tensor **out, const soma_session *session, int count,
                                soma_error *err)
{
    for (int i = 0; i < count; i++) {
        const soma_tensor *t = soma_session_output(session, i);
        SOMA__TRY(soma_tensor_from(&out[i], t->dtype, t->shape, t->data, err));
    }
    return SOMA_OK;
}

soma_status soma_eval_many(soma_tensor **out, soma_context *context, const soma_var *x, int count,
                           const soma_update *updates, int update_count, soma_error *err)
{
    soma_plan *plan;
    soma_session *session = NULL;
    for (int i = 0; i < count; i++)
        out[i] = NULL;
    SOMA__TRY(soma_plan_create(&plan, context, x, count, updates, update_count, err));
    soma_status status = run_plan(&session, plan, err);
    if (status == SOMA_OK)
        status = copy_outputs(out, session, count, err);
    soma__cache_give_session(context, session);
    soma_plan_release(plan);
    for (int i = 0; i < count && status != SOMA_OK; i++) {
        soma_tensor_release(out[i]);
        out[i] = NULL;
    }
    return status;
}

soma_status soma_eval(soma_tensor **out, soma_context *context, soma_var x, soma_error *err)
{
    return soma_eval_many(out, context, &x, 1, NULL, 0, err);
}
