/* driver.c: tries every op of the table on its samples; driver.h says how samples are written. */
#include "driver.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "plan/backend.h"

enum {
    MAX_INPUTS = 16,
    MAX_CONTEXTS = 32,
    /* Inputs up to this many elements are differentiated one by one, larger ones along directions.
     */
    SMALL = 48,
    DIRECTIONS = 3,
};

struct soma__sample_ctx {
    soma_graph *graph;
    soma_dtype dtype;
    bool special; /* some numbers are NaN, Inf, -Inf, 0, -0 */
    int draws;    /* inputs made so far: each has its own random numbers */
    int count;    /* differentiable inputs */
    soma_var var[MAX_INPUTS];
    soma_tensor *tensor[MAX_INPUTS]; /* retained */
};

static const soma__sample *const families[] = {
#define SAMPLES(family_) soma__samples_##family_,
#include "samples.def"
#undef SAMPLES
};

/* Disagreements that are known and accepted, each with its reason. A row whose sample agrees after
 * all is a fault too, so the list cannot grow old. */
static const struct {
    const char *mode, *op, *sample, *reason;
} accepted[] = {{0}};

static int seen;

int driver_seen(void)
{
    return seen;
}

/* Reports a fault of a sample; returns 1, to be added up. */
SOMA_PRINTF(2, 3) static int fault(const soma__sample *sample, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s [%s]: ", sample->op, sample->name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return 1;
}

static int judge(const char *mode, const soma__sample *sample, int faults)
{
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++)
        if (accepted[i].op && strcmp(accepted[i].mode, mode) == 0 &&
            strcmp(accepted[i].op, sample->op) == 0 &&
            strcmp(accepted[i].sample, sample->name) == 0)
            return faults
                       ? 0
                       : fault(sample, "agrees now: take it off the list (%s)", accepted[i].reason);
    return faults;
}

/* --- inputs ---------------------------------------------------------------------------------- */

soma_graph *sample_graph(soma__sample_ctx *ctx)
{
    return ctx->graph;
}

soma_dtype sample_dtype(const soma__sample_ctx *ctx)
{
    return ctx->dtype;
}

static soma_tensor *new_tensor(soma_dtype dtype, soma_shape shape)
{
    soma_error err = {0};
    soma_tensor *tensor;
    if (soma_tensor_create(&tensor, dtype, shape, &err) != SOMA_OK) {
        fprintf(stderr, "driver: %s\n", err.message);
        exit(2);
    }
    return tensor;
}

/* Makes the variable; the context keeps the tensor when gradients with respect to it are wanted. */
static soma_var add_variable(soma__sample_ctx *ctx, soma_tensor *tensor, bool differentiable)
{
    char name[16];
    snprintf(name, sizeof(name), "in%d", ctx->draws++);
    soma_var x = soma_variable(ctx->graph, name, tensor);
    if (differentiable && ctx->count < MAX_INPUTS) {
        ctx->var[ctx->count] = x;
        ctx->tensor[ctx->count++] = tensor;
    } else {
        soma_tensor_release(tensor);
    }
    return x;
}

/* Puts numbers that are none in every fifth place. */
static void sprinkle(const soma__sample_ctx *ctx, soma_tensor *tensor)
{
    static const double special[] = {NAN, INFINITY, 0, -INFINITY, -0.0};
    for (int64_t i = 0; ctx->special && i < soma_tensor_count(tensor); i += 5)
        soma_tensor_set(tensor, i, special[(i / 5 + ctx->draws) % 5]);
}

/* Random numbers are rounded to f32, so that an f64 graph computes on the very same ones. */
soma_var sample_in(soma__sample_ctx *ctx, soma_shape shape, double low, double high)
{
    soma_tensor *tensor = new_tensor(ctx->dtype, shape);
    const soma__rng_key key = {.seed = 7, .stream = (uint32_t)ctx->draws};
    for (int64_t i = 0; i < soma_tensor_count(tensor); i++)
        soma_tensor_set(tensor, i,
                        (float)(low + (high - low) * (double)soma__rng_uniform(&key, (uint64_t)i)));
    sprinkle(ctx, tensor);
    return add_variable(ctx, tensor, true);
}

soma_var sample_spread(soma__sample_ctx *ctx, soma_shape shape, double low, double high)
{
    soma_tensor *tensor = new_tensor(ctx->dtype, shape);
    const int64_t n = soma_tensor_count(tensor);
    const soma__rng_key key = {.seed = 8, .stream = (uint32_t)ctx->draws};
    int64_t *order = malloc((size_t)(n ? n : 1) * sizeof(*order));
    if (!order)
        exit(2);
    soma__rng_permutation(&key, n, order);
    /* 0.37: the middle of a symmetric range is never hit. */
    for (int64_t i = 0; i < n; i++)
        soma_tensor_set(tensor, i,
                        (float)(low + (high - low) * ((double)order[i] + 0.37) / (double)n));
    free(order);
    sprinkle(ctx, tensor);
    return add_variable(ctx, tensor, true);
}

soma_var sample_int(soma__sample_ctx *ctx, soma_dtype dtype, soma_shape shape, int64_t low,
                    int64_t high)
{
    soma_tensor *tensor = new_tensor(dtype, shape);
    const soma__rng_key key = {.seed = 9, .stream = (uint32_t)ctx->draws};
    for (int64_t i = 0; i < soma_tensor_count(tensor); i++)
        soma_tensor_set(
            tensor, i,
            (double)(low + (int64_t)soma__rng_below(&key, (uint64_t)i, (uint64_t)(high - low))));
    return add_variable(ctx, tensor, false);
}

soma_var sample_values(soma__sample_ctx *ctx, soma_dtype dtype, soma_shape shape,
                       const double *values)
{
    soma_tensor *tensor = new_tensor(dtype ? dtype : ctx->dtype, shape);
    for (int64_t i = 0; i < soma_tensor_count(tensor); i++)
        soma_tensor_set(tensor, i, values[i]);
    return add_variable(ctx, tensor, dtype == 0);
}

soma_var sample_key(soma__sample_ctx *ctx, int64_t seed, int64_t step)
{
    return sample_values(ctx, SOMA_I64, SOMA_SHAPE(2),
                         (const double[]){(double)seed, (double)step});
}

soma_var sample_op(soma__sample_ctx *ctx, const char *op, const soma_var *in, int nin,
                   const void *attrs)
{
    const soma__op *found = soma__op_find(op);
    if (!found) {
        soma_graph_fail(ctx->graph, SOMA_NOT_FOUND, "there is no op '%s'", op);
        return (soma_var){ctx->graph, -1};
    }
    return soma__graph_add(ctx->graph, found, in, nin, attrs);
}

/* --- building and running -------------------------------------------------------------------- */

static soma_var build(soma__sample_ctx *ctx, const soma__sample *sample, soma_dtype dtype,
                      bool special)
{
    soma_error err = {0};
    *ctx = (soma__sample_ctx){.dtype = dtype, .special = special};
    if (soma_graph_create(&ctx->graph, &err) != SOMA_OK) {
        fprintf(stderr, "driver: %s\n", err.message);
        exit(2);
    }
    return sample->build(ctx);
}

static void clear(soma__sample_ctx *ctx)
{
    soma_graph_destroy(ctx->graph);
    for (int i = 0; i < ctx->count; i++)
        soma_tensor_release(ctx->tensor[i]);
}

/* Weights in [0.5, 1.5) of x's shape: a sum weighted so hides no error that a plain sum would (the
 * softmax's outputs always add up to 1). */
static soma_var weighted_sum(soma_var x, uint32_t stream)
{
    if (!soma_var_ok(x))
        return x;
    if (!soma_dtype_is_float(soma_var_dtype(x)))
        x = soma_cast(x, SOMA_F64);
    soma_tensor *weights = new_tensor(soma_var_dtype(x), soma_var_shape(x));
    const soma__rng_key key = {.seed = 10, .stream = stream};
    for (int64_t i = 0; i < soma_tensor_count(weights); i++)
        soma_tensor_set(weights, i, 0.5 + (double)soma__rng_uniform(&key, (uint64_t)i));
    soma_var sum = soma_sum(soma_mul(x, soma_constant(x.graph, weights)));
    soma_tensor_release(weights);
    return sum;
}

/* The contexts that results are compared across: [0] is the reference, then each instruction set
 * with one, two and three threads. Made once; their idle threads sleep. */
static soma_context *contexts[MAX_CONTEXTS];
static int context_count;

static void destroy_contexts(void)
{
    for (int i = 0; i < context_count; i++)
        soma_context_destroy(contexts[i]);
}

static void make_contexts(void)
{
    if (context_count)
        return;
    atexit(destroy_contexts);
    soma_error err = {0};
    soma_context_options options = {.threads = 1, .isa = "reference"};
    const char *const *isa = soma__cpu_isas();
    for (;;) {
        if (soma_context_create(&contexts[context_count], &options, &err) != SOMA_OK) {
            fprintf(stderr, "driver: %s\n", err.message);
            exit(2);
        }
        context_count++;
        if (context_count > 1 && options.threads < 3) {
            options.threads++;
        } else if (*isa && context_count + 3 <= MAX_CONTEXTS) {
            options.isa = *isa++;
            options.threads = 1;
        } else {
            return;
        }
    }
}

/* y and, where it makes sense, the gradients of a weighted sum of it. Returns how many. */
static int results(const soma__sample *sample, soma__sample_ctx *ctx, soma_var y, bool gradients,
                   soma_var *out)
{
    out[0] = y;
    const unsigned without = SAMPLE_NO_GRADIENT | SAMPLE_REFUSES_GRADIENT;
    if (!gradients || !ctx->count || !soma_var_ok(y) || (sample->flags & without) ||
        !soma_dtype_is_float(soma_var_dtype(y)))
        return 1;
    soma_gradients(weighted_sum(y, 1), ctx->var, ctx->count, out + 1);
    return 1 + ctx->count;
}

static int evaluate(const soma__sample *sample, soma_context *context, soma_dtype dtype,
                    bool special, soma_tensor **out, int *count)
{
    soma__sample_ctx ctx;
    soma_error err = {0};
    soma_var vars[1 + MAX_INPUTS];
    soma_var y = build(&ctx, sample, dtype, special);
    *count = results(sample, &ctx, y, !special, vars);
    int faults = 0;
    if (soma_eval_many(out, context, vars, *count, NULL, 0, &err) != SOMA_OK) {
        faults = fault(sample, "%s on %s: %s", soma_dtype_text(dtype), soma_context_isa(context),
                       err.message);
        *count = 0;
    }
    clear(&ctx);
    return faults;
}

static void release(soma_tensor **tensors, int count)
{
    for (int i = 0; i < count; i++)
        soma_tensor_release(tensors[i]);
}

/* --- check: fast kernels against the reference, on any number of threads --------------------- */

static bool near(double a, double b, double tolerance, double amplitude)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    if (isinf(a) || isinf(b))
        return a == b;
    return fabs(a - b) <= tolerance * (fabs(b) + amplitude);
}

/* Root mean square of the finite numbers: cancellation leaves errors of this size in small ones. */
static double amplitude_of(const soma_tensor *x)
{
    double sum = 0, n = 0;
    for (int64_t i = 0; i < soma_tensor_count(x); i++) {
        double v = soma_tensor_get(x, i);
        if (isfinite(v))
            sum += v * v, n++;
    }
    return n > 0 ? sqrt(sum / n) : 0;
}

static int compare(const soma__sample *sample, const char *what, int output,
                   const soma_context *context, const soma_tensor *got, const soma_tensor *truth,
                   double tolerance)
{
    if (!soma_shape_equal(soma_tensor_shape(got), soma_tensor_shape(truth)))
        return fault(sample, "%s: shapes differ", what);
    double amplitude = amplitude_of(truth);
    /* A gradient that is nothing but cancellation has the error of what was cancelled. */
    if (output > 0 && amplitude < 0.05)
        amplitude = 0.05;
    for (int64_t i = 0; i < soma_tensor_count(truth); i++) {
        double a = soma_tensor_get(got, i), b = soma_tensor_get(truth, i);
        if (!near(a, b, tolerance, amplitude))
            return fault(sample,
                         "%s on %s with %d threads: %s %d, element %" PRId64
                         " is %.9g, should be %.9g",
                         what, soma_context_isa(context), soma_context_threads(context),
                         output ? "gradient" : "value", output ? output - 1 : 0, i, a, b);
    }
    return 0;
}

static bool same_bytes(const soma_tensor *a, const soma_tensor *b)
{
    return soma_tensor_bytes(a) == soma_tensor_bytes(b) &&
           memcmp(soma_tensor_const_data(a), soma_tensor_const_data(b), soma_tensor_bytes(a)) == 0;
}

/* One sample on every context, against what the reference gives in `truth_dtype`. */
static int check_all(const soma__sample *sample, soma_dtype truth_dtype, bool special,
                     double tolerance)
{
    const char *what = special ? "NaN and Inf" : "check";
    soma_tensor *truth[1 + MAX_INPUTS], *got[1 + MAX_INPUTS], *first[1 + MAX_INPUTS];
    int truths, count, firsts = 0;
    int faults = evaluate(sample, contexts[0], truth_dtype, special, truth, &truths);
    for (int c = 0; c < context_count && !faults; c++) {
        faults += evaluate(sample, contexts[c], SOMA_F32, special, got, &count);
        if (!faults && count != truths)
            faults += fault(sample, "%s: %d results, not %d", what, count, truths);
        for (int i = 0; i < count && !faults; i++)
            faults += compare(sample, what, i, contexts[c], got[i], truth[i],
                              i == 0 && (sample->flags & SAMPLE_EXACT) ? 0 : tolerance);
        if (soma_context_threads(contexts[c]) == 1) {
            release(first, firsts);
            memcpy(first, got, (size_t)count * sizeof(*got));
            firsts = count;
            continue;
        }
        for (int i = 0; i < count && i < firsts && !faults; i++)
            if (!same_bytes(first[i], got[i]))
                faults += fault(sample, "%s on %s: %d threads give other bits than one", what,
                                soma_context_isa(contexts[c]), soma_context_threads(contexts[c]));
        release(got, count);
    }
    release(first, firsts);
    release(truth, truths);
    return faults;
}

static int check_expect(const soma__sample *sample)
{
    soma_tensor *y[1 + MAX_INPUTS];
    int count;
    int faults = evaluate(sample, contexts[0], SOMA_F64, false, y, &count);
    if (faults)
        return faults;
    if (soma_tensor_count(y[0]) != sample->expect_count)
        faults = fault(sample, "gives %" PRId64 " numbers, not %d", soma_tensor_count(y[0]),
                       sample->expect_count);
    for (int i = 0; i < sample->expect_count && !faults; i++)
        if (!near(soma_tensor_get(y[0], i), sample->expect[i], 1e-6, 1))
            faults = fault(sample, "element %d is %.9g, worked out by hand %.9g", i,
                           soma_tensor_get(y[0], i), sample->expect[i]);
    release(y, count);
    return faults;
}

/* Winograd's transforms mix the cells of a tile, so one NaN reaches its neighbours as well: a conv
 * may spread what is not finite further than its formula does. So may attention, whose blocks
 * multiply what is hidden by 0. */
static bool takes_special(const soma__op *op)
{
    return strncmp(op->family, "conv", 4) != 0 && strncmp(op->name, "attention", 9) != 0;
}

static int check_sample(const soma__sample *sample)
{
    const double tolerance = sample->tolerance > 0 ? sample->tolerance : 2e-6;
    int faults = 0;
    if (sample->expect)
        faults += check_expect(sample);
    faults += check_all(sample, SOMA_F64, false, tolerance);
    const soma__op *op = soma__op_find(sample->op);
    if (op && takes_special(op))
        faults += check_all(sample, SOMA_F32, true, 4 * tolerance);
    return faults;
}

/* --- grad: gradients against small differences, first and second order ----------------------- */

/* A run of the outputs f, df/dinput… of a plan, at whatever the input tensors hold. */
static double run(soma_session *session, const soma__sample *sample, int *faults)
{
    soma_error err = {0};
    if (soma_session_run(session, &err) != SOMA_OK) {
        *faults += fault(sample, "%s", err.message);
        return NAN;
    }
    return soma_tensor_get(soma_session_output(session, 0), 0);
}

/* The slope of f along `direction` in input i. */
static double slope(soma_session *session, const soma__sample *sample, soma_tensor *x,
                    const double *direction, int *faults)
{
    const double h = 1e-5;
    double f[2];
    double *data = soma_tensor_data(x);
    const int64_t n = soma_tensor_count(x);
    double *kept = malloc((size_t)n * sizeof(*kept));
    if (!kept)
        exit(2);
    memcpy(kept, data, (size_t)n * sizeof(*kept));
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < n; i++)
            data[i] = kept[i] + (side ? h : -h) * direction[i];
        f[side] = run(session, sample, faults);
    }
    memcpy(data, kept, (size_t)n * sizeof(*kept));
    free(kept);
    return (f[1] - f[0]) / (2 * h);
}

/* Compares gradient i, as run at the present inputs, with slopes of f. */
static int compare_slopes(const soma__sample *sample, const char *order, soma_session *session,
                          soma_tensor *x, int i, const double *gradient)
{
    const int64_t n = soma_tensor_count(x);
    const bool small = n <= SMALL;
    const soma__rng_key key = {.seed = 11, .stream = (uint32_t)i};
    double *direction = malloc((size_t)(n ? n : 1) * sizeof(*direction));
    if (!direction)
        exit(2);
    int faults = 0;
    for (int64_t k = 0; k < (small ? n : DIRECTIONS) && !faults; k++) {
        double analytic = 0;
        for (int64_t j = 0; j < n; j++) {
            direction[j] = small ? j == k : 2 * soma__rng_uniform(&key, (uint64_t)(k * n + j)) - 1;
            analytic += direction[j] * gradient[j];
        }
        double numeric = slope(session, sample, x, direction, &faults);
        if (!faults && !near(analytic, numeric, 2e-5, 1))
            faults += fault(sample,
                            "%s gradient of input %d, %s %" PRId64 ": rule %.9g, differences %.9g",
                            order, i, small ? "element" : "direction", k, analytic, numeric);
    }
    free(direction);
    return faults;
}

/* f and the gradients of it, against slopes of f. `zero`: all gradients must be exact zeros. */
static int check_slopes(const soma__sample *sample, const soma__sample_ctx *ctx, const char *order,
                        soma_var f, const soma_var *gradients, bool zero)
{
    soma_error err = {0};
    soma_var out[1 + MAX_INPUTS] = {f};
    memcpy(out + 1, gradients, (size_t)ctx->count * sizeof(*out));
    soma_plan *plan = NULL;
    soma_session *session = NULL;
    int faults = 0;
    double *values[MAX_INPUTS] = {0};
    if (soma_plan_create(&plan, contexts[0], out, 1 + ctx->count, NULL, 0, &err) != SOMA_OK ||
        soma_session_create(&session, plan, &err) != SOMA_OK) {
        faults = fault(sample, "%s gradient: %s", order, err.message);
        goto done;
    }
    run(session, sample, &faults);
    for (int i = 0; i < ctx->count && !faults; i++) {
        const soma_tensor *g = soma_session_output(session, 1 + i);
        const int64_t n = soma_tensor_count(g);
        if (!soma_shape_equal(soma_tensor_shape(g), soma_tensor_shape(ctx->tensor[i]))) {
            faults += fault(sample, "%s gradient of input %d has another shape", order, i);
            break;
        }
        values[i] = malloc((size_t)(n ? n : 1) * sizeof(double));
        if (!values[i])
            exit(2);
        for (int64_t k = 0; k < n; k++) {
            values[i][k] = soma_tensor_get(g, k);
            if (zero && values[i][k] != 0 && !faults)
                faults += fault(sample, "gradient of input %d is declared none, but is %g", i,
                                values[i][k]);
        }
    }
    for (int i = 0; i < ctx->count && !faults && !zero; i++)
        if (!(sample->flags & SAMPLE_NO_DIFFERENCES))
            faults += compare_slopes(sample, order, session, ctx->tensor[i], i, values[i]);
done:
    for (int i = 0; i < ctx->count; i++)
        free(values[i]);
    soma_session_destroy(session);
    soma_plan_release(plan);
    return faults;
}

/* The graph must have refused the gradient of a gradient, and say so. */
static int check_refused(const soma__sample *sample, const soma__sample_ctx *ctx)
{
    soma_error err = {0};
    if (soma_graph_status(ctx->graph, &err) == SOMA_UNSUPPORTED && strstr(err.message, "_grad") &&
        strstr(err.message, " has no gradient"))
        return 0;
    return fault(sample, "its gradient's gradient should be refused: \"%s\"", err.message);
}

static int grad_sample(const soma__sample *sample)
{
    soma__sample_ctx ctx;
    soma_error err = {0};
    int faults = 0;
    const bool none = sample->flags & SAMPLE_NO_GRADIENT;
    soma_var y = build(&ctx, sample, SOMA_F64, false);
    if (ctx.count) {
        soma_var first[MAX_INPUTS], second[MAX_INPUTS];
        soma_var f = weighted_sum(y, 1);
        soma_gradients(f, ctx.var, ctx.count, first);
        if (sample->flags & SAMPLE_REFUSES_GRADIENT)
            faults = check_refused(sample, &ctx);
        else if (soma_graph_status(ctx.graph, &err) != SOMA_OK)
            faults = fault(sample, "%s", err.message);
        else
            faults = check_slopes(sample, &ctx, "first", f, first, none);
        /* A scalar that depends on all of the gradients, and its gradients. */
        soma_var g = {0};
        const bool twice = !none && !(sample->flags & SAMPLE_REFUSES_GRADIENT);
        for (int i = 0; i < ctx.count && !faults && twice; i++) {
            soma_var part = weighted_sum(first[i], 2 + (uint32_t)i);
            g = g.graph ? soma_add(g, part) : part;
        }
        if (g.graph) {
            soma_gradients(g, ctx.var, ctx.count, second);
            if (sample->flags & SAMPLE_ONCE)
                faults += check_refused(sample, &ctx);
            else if (soma_graph_status(ctx.graph, &err) != SOMA_OK)
                faults += fault(sample, "second gradient: %s", err.message);
            else
                faults += check_slopes(sample, &ctx, "second", g, second, false);
        }
    }
    clear(&ctx);
    return faults;
}

/* --- perf ------------------------------------------------------------------------------------ */

static int perf_sample(const soma__sample *sample)
{
    soma__sample_ctx ctx;
    soma_error err = {0};
    soma_plan *plan = NULL;
    soma_session *session = NULL;
    const soma_profile_row *rows;
    int count = 0;
    soma_context *context = contexts[context_count - 1];
    soma_var y = build(&ctx, sample, SOMA_F32, false);
    if (soma_plan_create(&plan, context, &y, 1, NULL, 0, &err) != SOMA_OK ||
        soma_session_create(&session, plan, &err) != SOMA_OK ||
        soma_session_profile(session, 20, &rows, &count, &err) != SOMA_OK) {
        fault(sample, "%s", err.message);
        count = 0;
    }
    for (int i = 0; i < count; i++)
        printf("%-20s %-28s %-18s %-24s %10.2f us %8.2f GFLOP/s %8.2f GB/s\n", sample->op,
               sample->name, rows[i].op, rows[i].kernel, rows[i].seconds * 1e6,
               rows[i].flops / rows[i].seconds / 1e9, rows[i].bytes / rows[i].seconds / 1e9);
    soma_session_destroy(session);
    soma_plan_release(plan);
    clear(&ctx);
    return err.code != SOMA_OK;
}

/* --- support: every op has what it needs ----------------------------------------------------- */

/* A refused sample must fail with its status and message; any other must build, with a node of its
 * op in it (a composite leaves none). */
static int support_sample(const soma__sample *sample)
{
    soma__sample_ctx ctx;
    soma_error err = {0};
    const soma__op *op = soma__op_find(sample->op);
    int faults = 0;
    if (!op)
        return fault(sample, "there is no such op in the table");
    soma_var y = build(&ctx, sample, SOMA_F32, false);
    soma_status status = soma_graph_status(ctx.graph, &err);
    if (status != sample->status)
        faults = fault(sample, "status is \"%s\" (%s), should be \"%s\"", soma_status_text(status),
                       err.message, soma_status_text(sample->status));
    else if (status != SOMA_OK && (soma_var_ok(y) || !strstr(err.message, sample->message)))
        faults =
            fault(sample, "the message \"%s\" does not say \"%s\"", err.message, sample->message);
    bool found = status != SOMA_OK || op->decompose;
    for (size_t i = 0; i < ctx.graph->count && !found; i++)
        found = ctx.graph->nodes[i]->op == op;
    if (!found)
        faults += fault(sample, "builds no node of its op");
    clear(&ctx);
    return faults;
}

static int support_op(const soma__op *op, const char *family)
{
    const soma__sample here = {.op = op->name, .name = "descriptor"};
    int faults = 0, valid = 0, refused = 0, worked = 0;
    if (strcmp(op->family, family) != 0)
        faults += fault(&here, "family is '%s', the table says '%s'", op->family, family);
    if (!op->doc || !op->inputs)
        faults += fault(&here, "has no doc or inputs");
    if (soma__op_find(op->name) != op)
        faults += fault(&here, "its name is taken by another op");
    if (op->flags & (SOMA__OP_LEAF | SOMA__OP_INTERNAL))
        return faults;
    if (!op->rule)
        faults += fault(&here, "has no shape rule");
    if (!op->decompose && (!op->reference || !op->gradient))
        faults += fault(&here, "has no reference kernel or gradient, nor is it a composite");
    for (size_t i = 0; op->attr_size && op->attrs && op->attrs[i].name; i++)
        if (op->attrs[i].offset + 8 * (size_t)op->attrs[i].count > op->attr_size)
            faults += fault(&here, "attribute '%s' lies outside of the struct", op->attrs[i].name);
    for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++)
        for (const soma__sample *s = families[f]; s->op; s++)
            if (strcmp(s->op, op->name) == 0) {
                valid += s->status == SOMA_OK;
                refused += s->status != SOMA_OK && s->message;
                worked += s->expect_count > 0;
            }
    if (!valid)
        faults += fault(&here, "has no valid sample");
    if (!refused)
        faults += fault(&here, "has no sample that is refused");
    if (!worked)
        faults += fault(&here, "has no worked value");
    return faults;
}

/* --- modes ----------------------------------------------------------------------------------- */

static int each_sample(const char *mode, const char *op, bool refused,
                       int (*look)(const soma__sample *sample))
{
    int faults = 0;
    make_contexts();
    seen = 0;
    for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++)
        for (const soma__sample *s = families[f]; s->op; s++) {
            if ((op && strcmp(op, s->op) != 0) || (s->status != SOMA_OK && !refused))
                continue;
            faults += judge(mode, s, look(s));
            seen++;
        }
    return faults;
}

int driver_check(const char *op)
{
    return each_sample("check", op, false, check_sample);
}

int driver_grad(const char *op)
{
    return each_sample("grad", op, false, grad_sample);
}

int driver_perf(const char *op)
{
    return each_sample("perf", op, false, perf_sample);
}

int driver_support(const char *op)
{
    static const char *const names[] = {
#define SOMA__OP(name_, family_) #family_,
#include "ops/ops.def"
#undef SOMA__OP
    };
    int faults = 0;
    for (int i = 0; i < soma__op_count(); i++)
        if (!op || strcmp(op, soma__op_at(i)->name) == 0)
            faults += support_op(soma__op_at(i), names[i]);
    return faults + each_sample("support", op, true, support_sample);
}
