/* profile.c: where the time of a run goes, step by step. */
#include "base/file.h"
#include "plan/plan.h"

static void name_rows(const soma_session *session)
{
    const soma__core *core = session->core;
    for (int32_t s = 0; s < core->step_count; s++) {
        const soma__step *step = &core->step[s];
        session->row[s] = (soma_profile_row){.op = step->label,
                                             .name = step->name,
                                             .kernel = step->engine,
                                             .flops = step->flops,
                                             .bytes = step->bytes};
    }
}

soma_status soma_session_profile(soma_session *session, int runs, const soma_profile_row **rows,
                                 int *count, soma_error *err)
{
    const soma__core *core = session->core;
    *rows = NULL;
    *count = 0;
    if (runs < 1)
        return soma__fail(err, SOMA_INVALID, "profile: %d runs, at least 1 is needed", runs);
    SOMA__TRY(soma__session_ready(session, err));
    if (!session->row)
        session->row = soma__calloc((size_t)core->step_count + 1, sizeof *session->row);
    if (!session->row)
        return soma__fail(err, SOMA_MEMORY, "profile: no memory for its rows");
    name_rows(session);
    soma__pool *pool = session->plan->context->pool;
    soma__pool_enter(pool);
    for (int r = 0; r < runs; r++) {
        double before = soma__seconds();
        for (int32_t s = 0; s < core->step_count; s++) {
            soma__session_step(session, s);
            double after = soma__seconds();
            session->row[s].seconds += (after - before) / runs;
            before = after;
        }
    }
    soma__pool_leave(pool);
    soma__session_wrote(session);
    *rows = session->row;
    *count = core->step_count;
    return SOMA_OK;
}

/* --- what the machine reaches ----------------------------------------------------------------- */

/* Multiply-adds on eight independent chains, as plain C allows. */
static double plain_flops(void)
{
    enum { CHAINS = 8, ROUNDS = 1 << 22 };
    volatile float seed = 1.0001f;
    float x[CHAINS], factor = seed;
    for (int i = 0; i < CHAINS; i++)
        x[i] = seed + (float)i;
    double start = soma__seconds();
    for (int r = 0; r < ROUNDS; r++)
        for (int i = 0; i < CHAINS; i++)
            x[i] = x[i] * factor + 1e-9f;
    double seconds = soma__seconds() - start;
    for (int i = 0; i < CHAINS; i++)
        seed = x[i]; /* or the loop would be dropped */
    return 2.0 * CHAINS * ROUNDS / (seconds > 0 ? seconds : 1e-9);
}

static soma_status plain_bandwidth(double *out, soma_error *err)
{
    enum { BYTES = 32 << 20, ROUNDS = 4 };
    char *a = soma__aligned(2 * (size_t)BYTES);
    if (!a)
        return soma__fail(err, SOMA_MEMORY, "no memory to measure the bandwidth with");
    __builtin_memset(a, 1, 2 * (size_t)BYTES);
    double start = soma__seconds();
    for (int r = 0; r < ROUNDS; r++)
        __builtin_memcpy(r % 2 ? a : a + BYTES, r % 2 ? a + BYTES : a, BYTES);
    double seconds = soma__seconds() - start;
    soma__free(a);
    *out = 2.0 * BYTES * ROUNDS / (seconds > 0 ? seconds : 1e-9);
    return SOMA_OK;
}

soma_status soma_machine_measure(soma_context *context, soma_machine *out, soma_error *err)
{
    *out = (soma_machine){0};
    if (context->backend && context->backend->measure)
        return context->backend->measure(context->pool, out, err);
    /* Reference kernels: plain C on one thread. */
    out->flops = plain_flops();
    return plain_bandwidth(&out->bandwidth, err);
}
