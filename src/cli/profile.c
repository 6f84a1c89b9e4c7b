/* profile.c: `soma profile`: where the time of a plan goes, against what the machine can do. */
#include <string.h>

#include "base/file.h"
#include "base/median.h"
#include "cli/profile.h"
#include "nn/nn.h"
#include "train/step.h"

#define DEFAULT_BATCH 32
#define DEFAULT_RUNS 20
#define MOST_TRACED 100 /* runs, so that a trace stays small enough to be looked at */
#define MOST_RUNS 10000

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
    const soma_shape sample = soma__model_sample(s->m.model);
    const soma_shape shape = soma__shape_batched(&sample, s->batch);
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

/* The median of runs as training and prediction make them, nothing measured within. */
static soma_status time_whole(const subject *s, int runs, double *out, soma_error *err)
{
    double *seconds = soma__calloc((size_t)runs, sizeof *seconds);
    soma_status status = SOMA_OK;
    if (!seconds)
        return soma__fail(err, SOMA_MEMORY, "no memory for the times of %d runs", runs);
    for (int i = 0; i < runs && status == SOMA_OK; i++) {
        double before = soma__seconds();
        status = soma_session_run(s->session, err);
        seconds[i] = soma__seconds() - before;
    }
    *out = soma__median(seconds, (size_t)runs);
    soma__free(seconds);
    return status;
}

static soma_status profile(subject *s, const arguments *args, profile_by by, soma_error *err)
{
    int runs = (int)(args->runs ? args->runs : DEFAULT_RUNS);
    SOMA__TRY(subject_open(s, args, err));
    if (args->dot)
        SOMA__TRY(write_dot(s, args->dot, err));
    profile_result p = {.batch = s->batch,
                        .threads = soma_context_threads(s->m.context),
                        .isa = soma_context_isa(s->m.context)};
    SOMA__TRY(soma_machine_measure(s->m.context, &p.machine, err));
    /* A first run brings weights into the caches and pages into memory. */
    SOMA__TRY(soma_session_run(s->session, err));
    SOMA__TRY(time_whole(s, runs, &p.whole, err));
    SOMA__TRY(soma_session_profile(s->session, runs, &p.rows, &p.count, err));
    soma_plan_describe(soma_session_plan(s->session), &p.info);
    for (int i = 0; i < p.count; i++) {
        p.total += p.rows[i].seconds;
        p.least += profile_least(&p, p.rows[i].flops, p.rows[i].bytes);
    }
    if (args->trace)
        SOMA__TRY(profile_trace(args->trace, s->session, &p,
                                runs < MOST_TRACED ? runs : MOST_TRACED, err));
    return profile_print(&p, by, args, err);
}

int cli_run_profile(const arguments *args)
{
    profile_by by;
    if (args->runs > MOST_RUNS) {
        fprintf(stderr, "soma profile: --runs is at most %d\n", MOST_RUNS);
        return EXIT_CODE_USAGE;
    }
    if (!profile_by_parse(args->by, &by)) {
        fprintf(stderr, "soma profile: --by is step, kernel, op or name, not '%s'\n", args->by);
        return EXIT_CODE_USAGE;
    }
    subject s = {0};
    soma_error err = {0};
    soma_status status = profile(&s, args, by, &err);
    int code = status == SOMA_OK ? EXIT_CODE_OK : cli_fail(args, status, &err);
    subject_close(&s);
    return code;
}
