/* bench.c: `soma bench`: this machine, and soma on it. What is measured are rows of tables
 * (bench.h); each line is the median of many runs. */
#include <string.h>

#include "base/file.h"
#include "base/median.h"
#include "cli/bench.h"

#define MOST_RUNS 10000
#define LEAST_RUNS 5
#define SECONDS 0.5       /* for one line, unless --runs says how many */
#define WARM_SECONDS 0.05 /* before it, at least one run: pages, caches, clocks, threads */

typedef struct bench {
    const arguments *args;
    soma_context *context;
    soma_machine machine;
    int lines;
} bench;

typedef struct timing {
    double median, least, most;
    int runs;
    int64_t allocations; /* during these runs */
    double peak_bytes;   /* the most memory of this process since the line began; 0: unknown */
} timing;

/* The process' largest resident size so far starts anew, or is read; where the system has it. */
static void forget_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (file) {
        fputs("5", file);
        fclose(file);
    }
}

static double peak_memory(void)
{
    char line[256];
    double kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lf kB", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib * 1024;
}

static soma_status time_runs(const bench *b, soma_session *session, timing *out, soma_error *err)
{
    double seconds[MOST_RUNS], now = soma__seconds(), begun = now;
    int most = b->args->runs ? (int)b->args->runs : MOST_RUNS, count = 0;
    for (; now == begun || now - begun < WARM_SECONDS; now = soma__seconds())
        SOMA__TRY(soma_session_run(session, err));
    int64_t before = bench_allocations();
    for (begun = now; count < most; now = soma__seconds()) {
        if (!b->args->runs && count >= LEAST_RUNS && now - begun > SECONDS)
            break;
        double start = soma__seconds();
        SOMA__TRY(soma_session_run(session, err));
        seconds[count++] = soma__seconds() - start;
    }
    out->allocations = bench_allocations() - before;
    out->median = soma__median(seconds, (size_t)count);
    out->least = seconds[0];
    out->most = seconds[count - 1];
    out->runs = count;
    return SOMA_OK;
}

static void show_json(const bench *b, const bench_row *row, const bench_job *job, const timing *t)
{
    soma_plan_info info;
    cli_json json;
    soma_plan_describe(soma_session_plan(job->session), &info);
    cli_json_begin(&json, "bench");
    cli_json_string(&json, "name", row->name);
    cli_json_number(&json, "seconds", t->median);
    cli_json_number(&json, "least", t->least);
    cli_json_number(&json, "most", t->most);
    cli_json_int(&json, "runs", t->runs);
    cli_json_int(&json, "allocations", t->allocations);
    cli_json_number(&json, "peak_bytes", t->peak_bytes);
    cli_json_number(&json, "flops", info.flops);
    cli_json_number(&json, "flops_per_second", info.flops / t->median);
    cli_json_number(&json, "share_of_peak", info.flops / t->median / b->machine.flops);
    cli_json_number(&json, "bytes", info.bytes);
    cli_json_number(&json, "bytes_per_second", info.bytes / t->median);
    cli_json_number(&json, "share_of_bandwidth", info.bytes / t->median / b->machine.bandwidth);
    if (job->samples)
        cli_json_number(&json, "samples_per_second", (double)job->samples / t->median);
    cli_json_end(&json);
}

static void show(bench *b, const bench_row *row, const bench_job *job, const timing *t)
{
    soma_plan_info info;
    soma_plan_describe(soma_session_plan(job->session), &info);
    b->lines++;
    if (b->args->json) {
        show_json(b, row, job, t);
        return;
    }
    double rate = (row->memory ? info.bytes : info.flops) / t->median;
    printf("%-38s %10.4f ms (best %10.4f) %9.2f %-7s %5.1f %%", row->name, t->median * 1e3,
           t->least * 1e3, rate / 1e9, row->memory ? "GB/s" : "GFLOP/s",
           100 * rate / (row->memory ? b->machine.bandwidth : b->machine.flops));
    if (job->samples)
        printf(" %9.0f %s/s", (double)job->samples / t->median, row->unit ? row->unit : "samples");
    if (t->allocations)
        printf(" (%lld allocations)", (long long)t->allocations);
    printf("\n");
    fflush(stdout);
}

void bench_clear(bench_job *job)
{
    cli_step_clear(&job->step);
    soma_session_destroy(job->own);
    soma_plan_release(job->plan);
    soma_graph_destroy(job->graph);
    soma_model_destroy(job->model);
    soma_optimizer_destroy(job->optimizer);
    soma__free(job->hyper);
    for (int i = 0; i < job->tensors; i++)
        soma_tensor_release(job->tensor[i]);
    *job = (bench_job){0};
}

static soma_status run_row(bench *b, const bench_row *row, soma_error *err)
{
    bench_job job = {.context = b->context, .plain = b->args->out != NULL};
    timing t;
    forget_peak();
    soma_status status = row->open(&job, row->size, err);
    if (status == SOMA_OK && b->args->out)
        status = bench_out(&job, b->args->out, err);
    if (status == SOMA_OK)
        status = time_runs(b, job.session, &t, err);
    t.peak_bytes = peak_memory();
    if (status == SOMA_OK)
        show(b, row, &job, &t);
    bench_clear(&job);
    return status;
}

/* --- which lines --------------------------------------------------------------------------------
 */

static const bench_row *row_at(int i)
{
    if (i < bench_op_count)
        return &bench_op_rows[i];
    return i - bench_op_count < bench_net_count ? &bench_net_rows[i - bench_op_count] : NULL;
}

/* The row that is called exactly so: then no other is meant. */
static const bench_row *named(const bench *b)
{
    const bench_row *row;
    for (int i = 0; b->args->positional_count && (row = row_at(i)) != NULL; i++)
        if (strcmp(row->name, b->args->positional[0]) == 0)
            return row;
    return NULL;
}

static bool wanted(const bench *b, const bench_row *row)
{
    return !b->args->positional_count || strstr(row->name, b->args->positional[0]);
}

static soma_status bench_all(bench *b, soma_error *err)
{
    const bench_row *row = named(b);
    if (row)
        return run_row(b, row, err);
    if (b->args->out)
        return soma__fail(err, SOMA_INVALID,
                          "--out is for one line: give its whole name, as soma bench prints it");
    for (int i = 0; (row = row_at(i)) != NULL; i++)
        if (wanted(b, row))
            SOMA__TRY(run_row(b, row, err));
    SOMA__TRY(cli_bench_transforms(b->args, &b->lines, err));
    if (!b->lines)
        return soma__fail(err, SOMA_NOT_FOUND,
                          "no line of `soma bench` contains '%s'; --list shows all",
                          b->args->positional[0]);
    return SOMA_OK;
}

static int list_rows(const arguments *args)
{
    const bench_row *row;
    for (int i = 0; (row = row_at(i)) != NULL; i++) {
        if (!args->json) {
            printf("%s\n", row->name);
            continue;
        }
        cli_json json;
        cli_json_begin(&json, "bench");
        cli_json_string(&json, "name", row->name);
        cli_json_end(&json);
    }
    if (args->json) {
        cli_json json;
        cli_json_begin(&json, "done");
        cli_json_end(&json);
    } else {
        printf("transforms NAME SIDExSIDEx3 (soma ops --transforms)\n");
    }
    return EXIT_CODE_OK;
}

static void done(const bench *b)
{
    cli_json json;
    cli_json_begin(&json, "done");
    cli_json_number(&json, "peak_flops", b->machine.flops);
    cli_json_number(&json, "peak_bandwidth", b->machine.bandwidth);
    cli_json_int(&json, "threads", soma_context_threads(b->context));
    cli_json_string(&json, "isa", soma_context_isa(b->context));
    cli_json_int(&json, "lines", b->lines);
    cli_json_end(&json);
}

int cli_run_bench(const arguments *args)
{
    bench b = {.args = args};
    soma_error err = {0};
    if (args->runs > MOST_RUNS) {
        fprintf(stderr, "soma bench: --runs is at most %d\n", MOST_RUNS);
        return EXIT_CODE_USAGE;
    }
    if (args->list)
        return list_rows(args);
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
    if (status != SOMA_OK)
        code = cli_fail(args, status, &err);
    else if (args->json)
        done(&b);
    soma_context_destroy(b.context);
    return code;
}
