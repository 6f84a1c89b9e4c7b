/* soma/graph.h: graphs of ops, their gradients, and plans that run them.
 *
 * A graph is built by calls such as soma_matmul(a, b) on small values of type soma_var. Building
 * never fails loudly: the first fault (op, the user's name for it, shapes) sticks to the graph,
 * later calls pass it on, and soma_plan_create, soma_eval or soma_graph_status report it.
 *
 * A plan is an immutable, compiled graph: it may be shared by threads. A session holds the buffers
 * of one run at a time and belongs to one thread at a time.
 */
#ifndef SOMA_GRAPH_H
#define SOMA_GRAPH_H

#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct soma_graph soma_graph;

/* One value of a graph. Plain data: copy it freely; it is valid as long as its graph. */
typedef struct soma_var {
    soma_graph *graph;
    int32_t id; /* -1: the result of a failed call */
} soma_var;

/* Never returns NULL on success paths of user code: on lack of memory `*out` is NULL and the status
 * SOMA_MEMORY. The graph owns its nodes and references to the tensors that it was given. */
SOMA_MUST_CHECK SOMA_API soma_status soma_graph_create(soma_graph **out, soma_error *err);
SOMA_API void soma_graph_destroy(soma_graph *graph);
/* The graph's first fault, if any. */
SOMA_MUST_CHECK SOMA_API soma_status soma_graph_status(const soma_graph *graph, soma_error *err);
/* Records a fault of the caller's own (layers and losses outside the library use this). */
SOMA_API void soma_graph_fail(soma_graph *graph, soma_status code, const char *format, ...)
    SOMA_PRINTF(3, 4);
SOMA_API int64_t soma_graph_count(const soma_graph *graph);

/* Nodes made between begin and end carry the scope's name in messages, profiles and pictures;
 * nested scopes join with '.'. */
SOMA_API void soma_scope_begin(soma_graph *graph, const char *name);
SOMA_API void soma_scope_end(soma_graph *graph);
/* Names one node; returns its argument. */
SOMA_API soma_var soma_name(soma_var x, const char *name);

/* --- leaves ---------------------------------------------------------------------------------- */

/* A placeholder that each run feeds (soma_session_set). */
SOMA_API soma_var soma_input(soma_graph *graph, const char *name, soma_dtype dtype,
                             soma_shape shape);
/* A tensor that lives outside of the graph: read at each run, written by updates. The graph retains
 * it. Weights, optimiser state and data for soma_eval are variables. */
SOMA_API soma_var soma_variable(soma_graph *graph, const char *name, soma_tensor *tensor);
/* A value fixed when the graph is built; copied. */
SOMA_API soma_var soma_constant(soma_graph *graph, const soma_tensor *tensor);
/* A constant scalar; soma_full: a constant of one value in a shape. */
SOMA_API soma_var soma_scalar(soma_graph *graph, soma_dtype dtype, double value);
SOMA_API soma_var soma_full(soma_graph *graph, soma_dtype dtype, soma_shape shape, double value);

SOMA_API soma_shape soma_var_shape(soma_var x); /* ndim 0 for a failed var */
SOMA_API soma_dtype soma_var_dtype(soma_var x); /* 0 for a failed var */
SOMA_API bool soma_var_ok(soma_var x);

/* --- gradients --------------------------------------------------------------------------------*/

/* out[i] = d sum(y) / d wrt[i], as more graph (so gradients of gradients work). A `wrt` that y does
 * not depend on gets zeros. An op whose gradient is declared to be none passes zero; an op that has
 * no gradient rule is an error that names it. */
SOMA_API void soma_gradients(soma_var y, const soma_var *wrt, int count, soma_var *out);
/* The same with a given gradient of y (shape of y). */
SOMA_API void soma_gradients_from(soma_var y, soma_var dy, const soma_var *wrt, int count,
                                  soma_var *out);

/* --- plans ------------------------------------------------------------------------------------*/

/* After a run, `variable` (made by soma_variable) holds what `value` was. All reads of a run see
 * the state before its updates. Shapes and dtypes must be equal. */
typedef struct soma_update {
    soma_var variable, value;
} soma_update;

typedef struct soma_plan soma_plan;

/* Compiles what `outputs` and `updates` need. The plan does not refer to the graph afterwards, only
 * to the variables' tensors (retained). Reports the graph's sticky error. */
SOMA_MUST_CHECK SOMA_API soma_status soma_plan_create(soma_plan **out, soma_context *context,
                                                      const soma_var *outputs, int output_count,
                                                      const soma_update *updates, int update_count,
                                                      soma_error *err);
SOMA_API soma_plan *soma_plan_retain(soma_plan *plan);
SOMA_API void soma_plan_release(soma_plan *plan);

/* For plans that are run many times on the same weights: keeps constants, and those variables that
 * the plan does not update, in the form that their kernels want (packed, transformed), which runs
 * would otherwise make each time. It takes memory besides the variables' own (prepared_bytes
 * below), once for all sessions of the plan. Results have the same bits.
 *
 * Forms are made by the first run, and again after a change: updates by other plans,
 * soma_tensor_set and soma_tensor_fill are noticed. A variable to whose data the program has a
 * pointer (soma_tensor_data, soma_tensor_f32) could change unseen, and is never kept prepared.
 *
 * To be called before the plan is shared and run; a second call does nothing. Errors: SOMA_MEMORY.
 */
SOMA_MUST_CHECK SOMA_API soma_status soma_plan_prepare(soma_plan *plan, soma_error *err);

typedef struct soma_plan_info {
    int64_t nodes;          /* of the graph that the outputs and updates need */
    int64_t steps;          /* kernel calls of one run */
    int64_t fused;          /* nodes that share a step with others */
    double flops;           /* of one run */
    double bytes;           /* read and written by one run's steps */
    size_t arena_bytes;     /* what a session allocates */
    size_t unplanned_bytes; /* what the buffers would take without reuse */
    size_t variable_bytes;  /* of the tensors that the plan refers to */
    size_t prepared_bytes;  /* of the prepared weights that it keeps (soma_plan_prepare) */
    bool cached;            /* came from the context's plan cache */
} soma_plan_info;
SOMA_API void soma_plan_describe(const soma_plan *plan, soma_plan_info *info);

/* Pictures in Graphviz' dot language; `*out` is released with soma_free. */
SOMA_MUST_CHECK SOMA_API soma_status soma_graph_dot(char **out, const soma_graph *graph,
                                                    soma_error *err);
SOMA_MUST_CHECK SOMA_API soma_status soma_plan_dot(char **out, const soma_plan *plan,
                                                   soma_error *err);

typedef struct soma_session soma_session;

/* Allocates all that runs need; soma_session_run allocates nothing. */
SOMA_MUST_CHECK SOMA_API soma_status soma_session_create(soma_session **out, soma_plan *plan,
                                                         soma_error *err);
SOMA_API void soma_session_destroy(soma_session *session);
/* Feeds an input (by its name) with memory of the caller, which stays valid and unchanged until the
 * run is over. The dtype and shape must be the placeholder's. */
SOMA_MUST_CHECK SOMA_API soma_status soma_session_set(soma_session *session, const char *input,
                                                      soma_dtype dtype, const soma_shape *shape,
                                                      const void *data, soma_error *err);
SOMA_MUST_CHECK SOMA_API soma_status soma_session_set_tensor(soma_session *session,
                                                             const char *input,
                                                             const soma_tensor *tensor,
                                                             soma_error *err);
SOMA_MUST_CHECK SOMA_API soma_status soma_session_run(soma_session *session, soma_error *err);
/* As run, but looks at every value made; the first NaN or Inf ends it with SOMA_NUMERIC and a
 * message that names the op. Updates are not written. */
SOMA_MUST_CHECK SOMA_API soma_status soma_session_check(soma_session *session, soma_error *err);
/* Output i of the last run: borrowed, overwritten by the next run; NULL when out of range. */
SOMA_API const soma_tensor *soma_session_output(const soma_session *session, int index);
/* The plan that the session runs, borrowed. */
SOMA_API soma_plan *soma_session_plan(const soma_session *session);

/* One row per step, in order. Strings are borrowed from the session. */
typedef struct soma_profile_row {
    const char *op;     /* "conv2d+add+relu" */
    const char *name;   /* the user's name, or "" */
    const char *kernel; /* "cpu:gemm avx512", "reference" */
    double seconds;     /* median of the runs, without what it takes to look at the clock */
    double flops, bytes;
} soma_profile_row;
/* Runs `runs` times and reports; `*rows` is borrowed from the session until its next profile. */
SOMA_MUST_CHECK SOMA_API soma_status soma_session_profile(soma_session *session, int runs,
                                                          const soma_profile_row **rows, int *count,
                                                          soma_error *err);
/* Runs `runs` times and tells when each step began: times [runs][steps + 1], the caller's, in
 * seconds of a clock of its own; step i of a run is over when i + 1 begins, and the last entry is
 * the end of the run. `steps` is what soma_plan_describe says. */
SOMA_MUST_CHECK SOMA_API soma_status soma_session_trace(soma_session *session, int runs,
                                                        double *times, soma_error *err);

/* What this machine reaches: f32 flops per second and bytes per second from memory, measured now
 * (about 0.2 s) with the context's threads and instruction set. */
typedef struct soma_machine {
    double flops, bandwidth;
} soma_machine;
SOMA_MUST_CHECK SOMA_API soma_status soma_machine_measure(soma_context *context, soma_machine *out,
                                                          soma_error *err);

/* --- define by run ---------------------------------------------------------------------------- */

/* Computes x now. Plans are cached by structure, so rebuilding the same graph costs a hash and a
 * look-up. `*out` is the caller's. */
SOMA_MUST_CHECK SOMA_API soma_status soma_eval(soma_tensor **out, soma_context *context, soma_var x,
                                               soma_error *err);
/* Several at once, and updates of variables; `out` has `count` entries. */
SOMA_MUST_CHECK SOMA_API soma_status soma_eval_many(soma_tensor **out, soma_context *context,
                                                    const soma_var *x, int count,
                                                    const soma_update *updates, int update_count,
                                                    soma_error *err);
/* How many of the plans that a context was asked for, by soma_plan_create too, its cache had, and
 * how many had to be compiled. */
SOMA_API void soma_context_plans(soma_context *context, int64_t *found, int64_t *compiled);

#ifdef __cplusplus
}
#endif
#endif
