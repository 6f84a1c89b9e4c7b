/* profile.h: what `soma profile` measured, and the ways to show it. */
#ifndef SOMA__CLI_PROFILE_H
#define SOMA__CLI_PROFILE_H

#include "cli/cli.h"

typedef struct profile_result {
    const soma_profile_row *rows; /* borrowed from the session */
    int count;
    double total; /* seconds of all rows */
    double whole; /* of a run without a look at the clock after each step; median */
    double least; /* what the machine's peaks allow for the rows, each on its own */
    soma_plan_info info;
    soma_machine machine;
    int64_t batch;
    int threads;
    const char *isa;
} profile_result;

/* What a row takes at the least: its flops at the peak, or its bytes from memory, whichever is
 * longer. Steps whose data lies in caches may be faster than that. */
double profile_least(const profile_result *p, double flops, double bytes);

/* What rows can be added up by; the texts that --by takes. */
typedef enum profile_by { BY_STEP, BY_KERNEL, BY_OP, BY_NAME } profile_by;
/* False where `text` is none of them; NULL is BY_STEP. */
bool profile_by_parse(const char *text, profile_by *out);

/* Prints rows (unless --quiet) and totals, as text or JSON lines. */
soma_status profile_print(const profile_result *p, profile_by by, const arguments *args,
                          soma_error *err);

/* profile_trace.c: `runs` runs of the session as a trace that chrome://tracing and Perfetto show.
 */
soma_status profile_trace(const char *path, soma_session *session, const profile_result *p,
                          int runs, soma_error *err);

#endif
