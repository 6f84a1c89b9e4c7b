/* bench.c: `soma bench`: this machine, and soma on it. Each line is the median of several runs. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "cli/cli.h"
#include "train/step.h"

#define DEFAULT_RUNS 9
#define MOST_RUNS 1000
#define MOST_SECONDS 2.0 /* for one line: slow machines make fewer runs, at least three */

typedef struct bench {
    const arguments *args;
    soma_context *context;
    soma_machine machine;
    int runs, lines;
} bench;

static bool wanted(const bench *b, const char *name)
{
    return !b->args->positional_count || strstr(name, b->args->positional[0]);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static soma_status median_run(const bench *b, soma_session *session, double *out, soma_error *err)
{
    double seconds[MOST_RUNS], begun = soma__seconds();
    int count = 0;
    SOMA__TRY(soma_session_run(session, err)); /* warms up */
    while (count < b->runs && (count < 3 || soma__seconds() - begun < MOST_SECONDS)) {
        double start = soma__seconds();
        SOMA__TRY(soma_session_run(session, err));
        seconds[count++] = soma__seconds() - start;
    }
    qsort(seconds, (size_t)count, sizeof seconds[0], by_value);
    *out = seconds[count / 2];
    return SOMA_OK;
}

static void show(bench *b, const char *name, double seconds, double flops, int64_t samples)
{
    double rate = seconds > 0 ? flops / seconds : 0;
    b->lines++;
    if (b->args->json) {
        cli_json json;
        cli_json_begin(&json, "bench");
        cli_json_string(&json, "name", name);
        cli_json_number(&json, "seconds", seconds);
        cli_json_number(&json, "flops", flops);
        cli_json_number(&json, "flops_per_second", rate);
        cli_json_number(&json, "share_of_peak", rate / b->machine.flops);
        if (samples)
            cli_json_number(&json, "samples_per_second", (double)samples / seconds);
        cli_json_end(&json);
        return;
    }
    printf("%-34s %10.3f ms %9.1f GFLOP/s %6.1f %%", name, seconds * 1e3, rate / 1e9,
           100 * rate / b->machine.flops);
    if (samples)
        printf(" %10.0f samples/s", (double)samples / seconds);
    printf("\n");
    fflush(stdout);
}

/* --- ops ----------------------------------------------------------------------------------------
 */

static soma_status random_tensor(soma_tensor **out, soma_shape shape, uint64_t seed,
                                 soma_error *err)
{
    SOMA__TRY(soma_tensor_create(out, SOMA_F32, shape, err));
    soma__rng_key key = {.seed = seed};
    soma__rng_uniforms(&key, 0, soma_tensor_count(*out), soma_tensor_f32(*out));
    return SOMA_OK;
}

/* Runs an op of two inputs on random numbers. `build` makes it of vars of these shapes. */
static soma_status bench_op(bench *b, const char *name, soma_shape x, soma_shape w,
                            soma_var (*build)(soma_var x, soma_var w), soma_error *err)
{
    if (!wanted(b, name))
        return SOMA_OK;
    soma_tensor *in[2] = {NULL, NULL};
    soma_graph *graph = NULL;
    soma_plan *plan = NULL;
    soma_session *session = NULL;
    double seconds = 0;
    soma_status status = random_tensor(&in[0], x, 1, err);
    if (status == SOMA_OK)
        status = random_tensor(&in[1], w, 2, err);
    if (status == SOMA_OK)
        status = soma_graph_create(&graph, err);
    if (status == SOMA_OK) {
        /* The second input is a variable, as weights are: the plan may keep it packed. */
        soma_var y = build(soma_input(graph, "x", SOMA_F32, x), soma_variable(graph, "w", in[1]));
        status = soma_plan_create(&plan, b->context, &y, 1, NULL, 0, err);
    }
    if (status == SOMA_OK)
        status = soma_session_create(&session, plan, err);
    if (status == SOMA_OK)
        status = soma_session_set_tensor(session, "x", in[0], err);
    if (status == SOMA_OK)
        status = median_run(b, session, &seconds, err);
    if (status == SOMA_OK) {
        soma_plan_info info;
        soma_plan_describe(plan, &info);
        show(b, name, seconds, info.flops, 0);
    }
    soma_session_destroy(session);
    soma_plan_release(plan);
    soma_graph_destroy(graph);
    soma_tensor_release(in[0]);
    soma_tensor_release(in[1]);
    return status;
}

static soma_var build_matmul(soma_var x, soma_var w)
{
    return soma_matmul(x, w);
}

static soma_var build_conv(soma_var x, soma_var w)
{
    return soma_conv2d(x, w, .padding = SOMA_PAD_SAME);
}

static soma_status bench_ops(bench *b, soma_error *err)
{
    static const int64_t products[][3] = {{256, 256, 256},    {512, 512, 512}, {1024, 1024, 1024},
                                          {2048, 2048, 2048}, {32, 784, 256},  {1, 4096, 4096},
                                          {64, 9216, 128},    {4096, 64, 64}};
    for (size_t i = 0; i < sizeof products / sizeof products[0]; i++) {
        const int64_t *p = products[i];
        char name[64];
        snprintf(name, sizeof name, "matmul %lldx%lldx%lld", (long long)p[0], (long long)p[1],
                 (long long)p[2]);
        SOMA__TRY(
            bench_op(b, name, SOMA_SHAPE(p[0], p[1]), SOMA_SHAPE(p[1], p[2]), build_matmul, err));
    }
    for (int64_t n = 1; n <= 8; n *= 8) {
        char name[64];
        snprintf(name, sizeof name, "conv 3x3 64-64 56x56 batch %lld", (long long)n);
        SOMA__TRY(bench_op(b, name, SOMA_SHAPE(n, 56, 56, 64), SOMA_SHAPE(64, 3, 3, 64), build_conv,
                           err));
    }
    return SOMA_OK;
}

/* --- training steps -----------------------------------------------------------------------------
 */

static soma_layer *mlp(void)
{
    return soma_layer_sequential(
        soma_layer_flatten(), soma_layer_dense(256, .activation = SOMA_RELU), soma_layer_dense(10));
}

static soma_layer *cnn(void)
{
    return soma_layer_sequential(soma_layer_conv2d(32, 3, .activation = SOMA_RELU),
                                 soma_layer_conv2d(64, 3, .activation = SOMA_RELU),
                                 soma_layer_max_pool2d(2), soma_layer_spatial_dropout(0.25),
                                 soma_layer_flatten(),
                                 soma_layer_dense(128, .activation = SOMA_RELU),
                                 soma_layer_dropout(0.5), soma_layer_dense(10));
}

static soma_status bench_step(bench *b, const char *name, soma_layer *(*layers)(void),
                              int64_t batch, soma_error *err)
{
    if (!wanted(b, name))
        return SOMA_OK;
    soma_model *model;
    soma_model_options options = {
        .input = SOMA_SHAPE(28, 28, 1), .input_dtype = SOMA_U8, .seed = 1};
    soma_optimizer_options adam = {.kind = SOMA_ADAM};
    cli_step step = {0};
    double seconds = 0;
    SOMA__TRY(soma_model_create(&model, b->context, layers(), &options, err));
    soma_status status = cli_step_make(&step, model, batch, &adam, err);
    if (status == SOMA_OK)
        status = median_run(b, step.step->session, &seconds, err);
    if (status == SOMA_OK) {
        soma_plan_info info;
        soma_plan_describe(step.step->plan, &info);
        show(b, name, seconds, info.flops, batch);
    }
    cli_step_clear(&step);
    soma_model_destroy(model);
    return status;
}

static soma_status bench_all(bench *b, soma_error *err)
{
    SOMA__TRY(bench_ops(b, err));
    SOMA__TRY(bench_step(b, "mnist-mlp training step batch 32", mlp, 32, err));
    SOMA__TRY(bench_step(b, "mnist-mlp training step batch 128", mlp, 128, err));
    SOMA__TRY(bench_step(b, "mnist-cnn training step batch 64", cnn, 64, err));
    SOMA__TRY(cli_bench_transforms(b->args, &b->lines, err));
    if (!b->lines)
        return soma__fail(err, SOMA_NOT_FOUND, "no line of `soma bench` contains '%s'",
                          b->args->positional[0]);
    return SOMA_OK;
}

int cli_run_bench(const arguments *args)
{
    bench b = {.args = args, .runs = (int)(args->runs ? args->runs : DEFAULT_RUNS)};
    soma_error err = {0};
    if (args->runs > MOST_RUNS) {
        fprintf(stderr, "soma bench: --runs is at most %d\n", MOST_RUNS);
        return EXIT_CODE_USAGE;
    }
    soma_status status = cli_context(args, &b.context, &err);
    if (status == SOMA_OK)
        status = soma_machine_measure(b.context, &b.machine, &err);
    if (status == SOMA_OK && !args->json)
        printf("%s, %d threads: peak %.1f GFLOP/s, memory %.1f GB/s\n\n",
               soma_context_isa(b.context), soma_context_threads(b.context), b.machine.flops / 1e9,
               b.machine.bandwidth / 1e9);
    if (status == SOMA_OK)
        status = bench_all(&b, &err);
    int code = EXIT_CODE_OK;
    if (status != SOMA_OK) {
        code = cli_fail(args, status, &err);
    } else if (args->json) {
        cli_json json;
        cli_json_begin(&json, "done");
        cli_json_number(&json, "peak_flops", b.machine.flops);
        cli_json_number(&json, "peak_bandwidth", b.machine.bandwidth);
        cli_json_int(&json, "threads", soma_context_threads(b.context));
        cli_json_string(&json, "isa", soma_context_isa(b.context));
        cli_json_int(&json, "lines", b.lines);
        cli_json_end(&json);
    }
    soma_context_destroy(b.context);
    return code;
}
