/* bench.h: the lines of `soma bench`. Each is a row of a table (bench_ops.c, bench_nets.c): its
 * name, and a function that makes what is run again and again to measure it. */
#ifndef SOMA__CLI_BENCH_H
#define SOMA__CLI_BENCH_H

#include "cli/cli.h"

#define BENCH_MOST_TENSORS 4

/* What one line runs. Filled by its row; bench_clear releases all of it. */
typedef struct bench_job {
    soma_context *context; /* borrowed */
    bool plain;            /* nothing random, so that others can compute the same */
    soma_session *session; /* what runs, borrowed from one of the owners below */
    int64_t samples;       /* of one run; 0: it has none */

    soma_graph *graph;
    soma_plan *plan;
    soma_session *own;
    soma_model *model;
    soma_optimizer *optimizer;
    float *hyper;
    cli_step step;
    /* Inputs and variables, by their names in what --out writes. */
    const char *name[BENCH_MOST_TENSORS];
    soma_tensor *tensor[BENCH_MOST_TENSORS];
    int tensors;
} bench_job;

typedef struct bench_row {
    const char *name;
    soma_status (*open)(bench_job *job, const int64_t *size, soma_error *err);
    int64_t size[4];  /* as `open` wants them */
    bool memory;      /* bound by memory: bytes are shown in place of flops */
    const char *unit; /* of what `samples` counts; NULL: samples */
} bench_row;

extern const bench_row bench_op_rows[], bench_net_rows[];
extern const int bench_op_count, bench_net_count;

void bench_clear(bench_job *job);

/* bench_ops.c. An f32 tensor of numbers in [low, high) under a name; the job owns it. NULL after a
 * failure. */
soma_tensor *bench_tensor(bench_job *job, const char *name, soma_shape shape, double low,
                          double high, soma_error *err);

/* bench_out.c: runs the job once and writes what it is, what goes in and what comes out to a
 * folder: model.safetensors (networks, as it is before the run), before.safetensors (inputs and
 * variables) and after.safetensors (outputs as output.0, output.1, …, and all that a run writes).
 */
soma_status bench_out(bench_job *job, const char *folder, soma_error *err);

/* bench_heap.c: allocations of the library in this process so far. */
int64_t bench_allocations(void);

#endif
