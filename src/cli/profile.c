/* profile.c: `soma profile`: where the time of a plan goes, against what the machine can do. */
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"
#include "train/step.h"

#define DEFAULT_BATCH 32
#define DEFAULT_RUNS 20

/* What is profiled: an inference plan, or a training step that owns its session. */
typedef struct subject {
    cli_model m;
    cli_step step;
    soma_plan *plan;       /* inference: owned */
    soma_session *owned;   /* inference: owned */
    soma_session *session; /* borrowed from either */
    soma_dataset *dataset; /* inference: the inputs */
    soma_tensor *x;
    int64_t batch;
} subject;

static soma_status make_training(subject *s, soma_error *err)
{
    soma_optimizer_options options = {.kind = SOMA_ADAM};
    if (s->m.recipe)
        options = soma_recipe_options(s->m.recipe)->optimizer;
    SOMA__TRY(cli_step_make(&s->step, s->m.model, s->batch, &options, err));
    s->session = s->step.step->session;
    return SOMA_OK;
}

static soma_status feed_inputs(subject *s, const soma_shape *shape, soma_dtype dtype,
                               soma_error *err)
{
    SOMA__TRY(cli_synthetic(&s->dataset, s->m.model, s->batch, err));
    soma_tensor *y;
    soma_shape y_shape = *soma_dataset_y_shape(s->dataset);
    memmove(y_shape.dim + 1, y_shape.dim, (size_t)y_shape.ndim * sizeof y_shape.dim[0]);
    y_shape.dim[0] = 1;
    y_shape.ndim++;
    SOMA__TRY(soma_tensor_create(&s->x, dtype, *shape, err));
    SOMA__TRY(soma_tensor_create(&y, soma_dataset_y_dtype(s->dataset), y_shape, err));
    size_t bytes = soma_tensor_bytes(s->x) / (size_t)s->batch;
    soma_status status = SOMA_OK;
    for (int64_t i = 0; i < s->batch && status == SOMA_OK; i++)
        status =
            soma_dataset_read(s->dataset, &i, 1, (char *)soma_tensor_data(s->x) + bytes * (size_t)i,
                              soma_tensor_data(y), err);
    soma_tensor_release(y);
    SOMA__TRY(status);
    return soma_session_set(s->session, "x", dtype, shape, soma_tensor_const_data(s->x), err);
}

static soma_status make_inference(subject *s, soma_error *err)
{
    const soma_model_options *o = soma_model_get_options(s->m.model);
    soma_dtype dtype = o->input_dtype ? o->input_dtype : SOMA_F32;
    soma_shape shape = {.ndim = o->input.ndim + 1, .dim = {s->batch}};
    memcpy(shape.dim + 1, o->input.dim, (size_t)o->input.ndim * sizeof shape.dim[0]);
    soma_graph *graph;
    SOMA__TRY(soma_graph_create(&graph, err));
    soma_var x = soma_input(graph, "x", dtype, shape);
    soma_var y =
        soma_model_apply(s->m.model, graph, x, SOMA_EVALUATE, (soma_var){0}, NULL, 0, NULL);
    soma_status status = soma_plan_create(&s->plan, s->m.context, &y, 1, NULL, 0, err);
    soma_graph_destroy(graph);
    if (status == SOMA_OK)
        status = soma_plan_prepare(s->plan, err);
    if (status == SOMA_OK)
        status = soma_session_create(&s->owned, s->plan, err);
    s->session = s->owned;
    return status == SOMA_OK ? feed_inputs(s, &shape, dtype, err) : status;
}

static soma_status subject_open(subject *s, const arguments *args, soma_error *err)
{
    SOMA__TRY(cli_model_open(args, args->positional[0], &s->m, err));
    s->batch = DEFAULT_BATCH;
    if (s->m.recipe && soma_recipe_options(s->m.recipe)->batch > 0)
        s->batch = soma_recipe_options(s->m.recipe)->batch;
    if (args->batch)
        s->batch = args->batch;
    return args->train ? make_training(s, err) : make_inference(s, err);
}

static void subject_close(subject *s)
{
    soma_session_destroy(s->owned);
    soma_plan_release(s->plan);
    soma_dataset_release(s->dataset);
    soma_tensor_release(s->x);
    cli_step_clear(&s->step);
    cli_model_close(&s->m);
}

static soma_status write_dot(const subject *s, const char *path, soma_error *err)
{
    char *text;
    SOMA__TRY(soma_plan_dot(&text, soma_session_plan(s->session), err));
    soma_status status = soma__file_write(path, text, strlen(text), err);
    soma_free(text);
    return status;
}

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

static void print_rows(const soma_profile_row *rows, int count, double total,
                       const soma_machine *machine)
{
    printf("%-30s %-22s %-28s %10s %6s %8s %6s %7s\n", "op", "name", "kernel", "us", "time",
           "GFLOP/s", "peak", "GB/s");
    for (int i = 0; i < count; i++) {
        const soma_profile_row *r = &rows[i];
        double rate = share(r->flops, r->seconds);
        printf("%-30.30s %-22.22s %-28.28s %10.1f %5.1f%% %8.2f %5.1f%% %7.2f\n", r->op, r->name,
               r->kernel, r->seconds * 1e6, 100 * share(r->seconds, total), rate / 1e9,
               100 * share(rate, machine->flops), share(r->bytes, r->seconds) / 1e9);
    }
}

static void json_rows(const soma_profile_row *rows, int count)
{
    for (int i = 0; i < count; i++) {
        cli_json json;
        cli_json_begin(&json, "step");
        cli_json_string(&json, "op", rows[i].op);
        cli_json_string(&json, "name", rows[i].name);
        cli_json_string(&json, "kernel", rows[i].kernel);
        cli_json_number(&json, "seconds", rows[i].seconds);
        cli_json_number(&json, "flops", rows[i].flops);
        cli_json_number(&json, "bytes", rows[i].bytes);
        cli_json_end(&json);
    }
}

static void print_totals(const subject *s, const arguments *args, double total,
                         const soma_plan_info *info, const soma_machine *machine)
{
    char a[32], b[32], c[32], d[32];
    double rate = share(info->flops, total);
    printf(
        "\n%s of %lld samples: %.3f ms, %s samples/s, %.1f GFLOP/s (%.1f %% of the peak %.1f, %.1f "
        "GB/s)\n",
        args->train ? "a training step" : "inference", (long long)s->batch, total * 1e3,
        soma__format_count((int64_t)(share((double)s->batch, total) + 0.5), a, sizeof a),
        rate / 1e9, 100 * share(rate, machine->flops), machine->flops / 1e9,
        machine->bandwidth / 1e9);
    printf(
        "%lld nodes in %lld steps, %lld of them fused; buffers %s (%s without reuse), weights %s, "
        "prepared %s\n",
        (long long)info->nodes, (long long)info->steps, (long long)info->fused,
        soma__format_bytes((double)info->arena_bytes, a, sizeof a),
        soma__format_bytes((double)info->unplanned_bytes, b, sizeof b),
        soma__format_bytes((double)info->variable_bytes, c, sizeof c),
        soma__format_bytes((double)info->prepared_bytes, d, sizeof d));
}

static void json_totals(const subject *s, double total, const soma_plan_info *info,
                        const soma_machine *machine)
{
    cli_json json;
    cli_json_begin(&json, "done");
    cli_json_int(&json, "batch", s->batch);
    cli_json_number(&json, "seconds", total);
    cli_json_number(&json, "flops", info->flops);
    cli_json_number(&json, "bytes", info->bytes);
    cli_json_int(&json, "steps", info->steps);
    cli_json_int(&json, "nodes", info->nodes);
    cli_json_int(&json, "fused", info->fused);
    cli_json_int(&json, "arena_bytes", (int64_t)info->arena_bytes);
    cli_json_int(&json, "unplanned_bytes", (int64_t)info->unplanned_bytes);
    cli_json_int(&json, "variable_bytes", (int64_t)info->variable_bytes);
    cli_json_int(&json, "prepared_bytes", (int64_t)info->prepared_bytes);
    cli_json_number(&json, "peak_flops", machine->flops);
    cli_json_number(&json, "peak_bandwidth", machine->bandwidth);
    cli_json_int(&json, "threads", soma_context_threads(s->m.context));
    cli_json_string(&json, "isa", soma_context_isa(s->m.context));
    cli_json_end(&json);
}

static soma_status profile(subject *s, const arguments *args, soma_error *err)
{
    const soma_profile_row *rows;
    int count;
    soma_machine machine;
    SOMA__TRY(subject_open(s, args, err));
    if (args->dot)
        SOMA__TRY(write_dot(s, args->dot, err));
    SOMA__TRY(soma_machine_measure(s->m.context, &machine, err));
    /* A first run brings weights into the caches and pages into memory. */
    SOMA__TRY(soma_session_run(s->session, err));
    SOMA__TRY(soma_session_profile(s->session, (int)(args->runs ? args->runs : DEFAULT_RUNS), &rows,
                                   &count, err));
    soma_plan_info info;
    soma_plan_describe(soma_session_plan(s->session), &info);
    double total = 0;
    for (int i = 0; i < count; i++)
        total += rows[i].seconds;
    if (args->json) {
        json_rows(rows, count);
        json_totals(s, total, &info, &machine);
        return SOMA_OK;
    }
    if (!args->quiet)
        print_rows(rows, count, total, &machine);
    print_totals(s, args, total, &info, &machine);
    return SOMA_OK;
}

int cli_run_profile(const arguments *args)
{
    if (args->runs > 1000000) {
        fprintf(stderr, "soma profile: --runs is at most 1000000\n");
        return EXIT_CODE_USAGE;
    }
    subject s = {0};
    soma_error err = {0};
    soma_status status = profile(&s, args, &err);
    int code = status == SOMA_OK ? EXIT_CODE_OK : cli_fail(args, status, &err);
    subject_close(&s);
    return code;
}
