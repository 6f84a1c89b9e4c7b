/* profile_trace.c: a trace in the JSON that chrome://tracing and Perfetto read: one slice for each
 * run, and within it one for each step, with its op, name, kernel, flops and bytes. Times are
 * microseconds. */
#include <string.h>

#include "base/file.h"
#include "cli/profile.h"
#include "format/json.h"

static void begin_slice(soma__text *out, const char *name, const char *kind, double at,
                        double seconds)
{
    soma__text_add(out, ",\n{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":%.3f,\"dur\":%.3f,\"cat\":",
                   at * 1e6, seconds * 1e6);
    soma__json_string(out, kind);
    soma__text_add(out, ",\"name\":");
    soma__json_string(out, name);
    soma__text_add(out, ",\"args\":{");
}

static void add_step(soma__text *out, const soma_profile_row *row, double at, double seconds)
{
    begin_slice(out, row->op, row->kernel, at, seconds);
    soma__text_add(out, "\"name\":");
    soma__json_string(out, row->name);
    soma__text_add(out, ",\"kernel\":");
    soma__json_string(out, row->kernel);
    soma__text_add(out, ",\"flops\":%.0f,\"bytes\":%.0f}}", row->flops, row->bytes);
}

static soma_status write_trace(const char *path, const profile_result *p, const double *times,
                               int runs, soma_error *err)
{
    soma__text out = {0};
    char label[64];
    snprintf(label, sizeof label, "soma, %s, %d threads", p->isa, p->threads);
    soma__text_add(&out, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"
                         "{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{\"name\":");
    soma__json_string(&out, label);
    soma__text_add(&out, "}}");
    for (int r = 0; r < runs; r++) {
        const double *at = times + (size_t)r * ((size_t)p->count + 1);
        snprintf(label, sizeof label, "run %d", r + 1);
        begin_slice(&out, label, "run", at[0] - times[0], at[p->count] - at[0]);
        soma__text_add(&out, "\"batch\":%lld}}", (long long)p->batch);
        for (int i = 0; i < p->count; i++)
            add_step(&out, &p->rows[i], at[i] - times[0], at[i + 1] - at[i]);
    }
    soma__text_add(&out, "\n]}\n");
    soma_status status = out.failed ? soma__fail(err, SOMA_MEMORY, "no memory for a trace")
                                    : soma__file_write(path, out.data, strlen(out.data), err);
    soma__text_free(&out);
    return status;
}

soma_status profile_trace(const char *path, soma_session *session, const profile_result *p,
                          int runs, soma_error *err)
{
    double *times = soma__calloc((size_t)runs * ((size_t)p->count + 1), sizeof *times);
    if (!times)
        return soma__fail(err, SOMA_MEMORY, "no memory for the times of %d runs", runs);
    soma_status status = soma_session_trace(session, runs, times, err);
    if (status == SOMA_OK)
        status = write_trace(path, p, times, runs, err);
    soma__free(times);
    return status;
}
