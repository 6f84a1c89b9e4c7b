/* driver.h: samples of ops, and the driver that tries every op of the table on them.
 *
 * A sample builds one op from inputs that it asks the context for. The context makes the same
 * numbers each time but in the dtype that the check at hand wants: f64 for gradients and for the
 * truth, f32 for the kernels that are compared with it. Adding a sample is one small function and
 * one row of the table in samples_<family>.c; every check of the driver then runs on it.
 *
 * Each op needs at least one valid sample, one with a worked value (`expect`) and one that is
 * refused
 * (`status`): the support check names the ops that lack one. */
#ifndef SOMA__TEST_DRIVER_H
#define SOMA__TEST_DRIVER_H

#include "graph/graph.h"
#include "soma/soma.h"

typedef struct soma__sample_ctx soma__sample_ctx;

enum {
    /* The op's gradient is declared none: the check wants exact zeros (or, where the op has no
     * float input, nothing). Without this flag analytic and numeric gradients are compared. */
    SAMPLE_NO_GRADIENT = 1,
    /* Gradients are right, but not to be had by small differences here (a sample at a kink, one
     * that holds NaN or Inf, or one so large that it would take seconds): the gradient is only
     * built and run. */
    SAMPLE_NO_DIFFERENCES = 2,
    /* Fast kernels must give the reference's very bits (moves of data, comparisons, integers). */
    SAMPLE_EXACT = 4,
    /* The op can be differentiated once: a gradient of its gradient is refused. */
    SAMPLE_ONCE = 8,
    /* The op is such a gradient itself, and refused when it is differentiated. */
    SAMPLE_REFUSES_GRADIENT = 16,
};

typedef struct soma__sample {
    const char *op;   /* name in the op table */
    const char *name; /* what is special about this sample: "stride 2" */
    soma_var (*build)(soma__sample_ctx *ctx);
    unsigned flags;
    double tolerance; /* fast f32 against the f64 truth, relative; 0: 2e-6 */
    /* A worked value: what the op must give, as SAMPLE_EXPECT(1, 2, 3); compared in f64 to 1e-6. */
    const double *expect;
    int expect_count;
    /* A refused sample: the graph's fault and a part of its message. */
    soma_status status;
    const char *message;
} soma__sample;

#define SAMPLE_EXPECT(...)                                                                         \
    .expect = (const double[]){__VA_ARGS__},                                                       \
    .expect_count = (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double))

/* --- for build functions --------------------------------------------------------------------- */

soma_graph *sample_graph(soma__sample_ctx *ctx);
/* The dtype under test (f32 or f64). */
soma_dtype sample_dtype(const soma__sample_ctx *ctx);
/* A differentiable input of the dtype under test, uniform in [low, high). */
soma_var sample_in(soma__sample_ctx *ctx, soma_shape shape, double low, double high);
/* The same with evenly spaced values in random order, so that no two are near each other: for max,
 * argmax, sorting and whatever has a kink between equal inputs. None is exactly 0. */
soma_var sample_spread(soma__sample_ctx *ctx, soma_shape shape, double low, double high);
/* Whole numbers of `dtype` in [low, high): indexes, labels, masks (SOMA_BOOL, 0, 2). */
soma_var sample_int(soma__sample_ctx *ctx, soma_dtype dtype, soma_shape shape, int64_t low,
                    int64_t high);
/* Given numbers, row-major, as many as the shape has; dtype 0: the dtype under test. */
soma_var sample_values(soma__sample_ctx *ctx, soma_dtype dtype, soma_shape shape,
                       const double *values);
/* The key of random ops: i64 [2] = {seed, step}. */
soma_var sample_key(soma__sample_ctx *ctx, int64_t seed, int64_t step);
/* A node of any op of the table, for ops that have no public builder. */
soma_var sample_op(soma__sample_ctx *ctx, const char *op, const soma_var *in, int nin,
                   const void *attrs);

/* --- the tables: each ends with a row whose op is NULL --------------------------------------- */

#define SAMPLES(family_) extern const soma__sample soma__samples_##family_[];
#include "samples.def"
#undef SAMPLES

/* --- the driver ------------------------------------------------------------------------------ */

/* Each reads the whole table of samples (those of `op`, unless NULL), prints what is wrong and
 * returns how many faults it found. */
int driver_support(const char *op);
int driver_check(const char *op);
int driver_grad(const char *op);
/* Prints one line per sample: time per run, GFLOP/s, GB/s, kernel. */
int driver_perf(const char *op);
/* Prints a row {"op", valid, refused, worked, golden}, for each op, to be included by the program:
 * `soma ops` shows how each is tested. */
int driver_tested(const char *op);
/* The number of sample rows that a mode looked at last, so that a test can see that it did work. */
int driver_seen(void);

#endif
