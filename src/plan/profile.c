/* profile.c: where the time of a run goes, step by step. */
#include "base/file.h"
#include "base/median.h"
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

/* One run; at[s] is when step s began, the entry after the last when the run was over. */
static void run_timed(const soma_session *session, double *at)
{
    int32_t steps = session->core->step_count;
    for (int32_t s = 0; s < steps; s++) {
        at[s] = soma__seconds();
        soma__session_step(session, s);
    }
    at[steps] = soma__seconds();
}

/* What a look at the clock takes: steps of a small network take only some times as long. */
static double clock_cost(void)
{
    double least = 1;
    for (int i = 0; i < 64; i++) {
        double before = soma__seconds(), cost = soma__seconds() - before;
        if (cost < least)
            least = cost;
    }
    return least;
}

soma_status soma_session_trace(soma_session *session, int runs, double *times, soma_error *err)
{
    if (runs < 1)
        return soma__fail(err, SOMA_INVALID, "trace: %d runs, at least 1 is needed", runs);
    if (!times)
        return soma__fail(err, SOMA_INVALID, "trace: there is no array for the times");
    SOMA__TRY(soma__session_ready(session, err));
    soma__pool *pool = session->plan->context->pool;
    soma__pool_enter(pool);
    for (int r = 0; r < runs; r++)
        run_timed(session, times + (size_t)r * ((size_t)session->core->step_count + 1));
    soma__pool_leave(pool);
    soma__session_wrote(session);
    return SOMA_OK;
}

/* The median of what step `s` took in the runs of a trace; `of_step` has room for one number a run.
 */
static double median_step(const double *times, int runs, int32_t steps, int32_t s, double *of_step)
{
    for (int r = 0; r < runs; r++) {
        const double *at = times + (size_t)r * ((size_t)steps + 1);
        of_step[r] = at[s + 1] - at[s];
    }
    return soma__median(of_step, (size_t)runs);
}

soma_status soma_session_profile(soma_session *session, int runs, const soma_profile_row **rows,
                                 int *count, soma_error *err)
{
    const soma__core *core = session->core;
    *rows = NULL;
    *count = 0;
    if (runs < 1)
        return soma__fail(err, SOMA_INVALID, "profile: %d runs, at least 1 is needed", runs);
    size_t room = (size_t)core->step_count + 1;
    if (!session->row)
        session->row = soma__calloc(room, sizeof *session->row);
    double *times = soma__calloc(room * (size_t)runs + (size_t)runs, sizeof *times);
    soma_status status = SOMA_OK;
    if (!session->row || !times)
        status = soma__fail(err, SOMA_MEMORY, "profile: no memory for the times of %d runs", runs);
    if (status == SOMA_OK)
        status = soma_session_trace(session, runs, times, err);
    if (status == SOMA_OK) {
        double cost = clock_cost();
        name_rows(session);
        for (int32_t s = 0; s < core->step_count; s++) {
            double taken =
                median_step(times, runs, core->step_count, s, times + room * (size_t)runs);
            session->row[s].seconds = taken > cost ? taken - cost : 0;
        }
        *rows = session->row;
        *count = core->step_count;
    }
    soma__free(times);
    return status;
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
