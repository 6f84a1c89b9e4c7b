/* profile_print.c: the tables of `soma profile`. */
#include <stdlib.h>
#include <string.h>

#include "cli/profile.h"

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

double profile_least(const profile_result *p, double flops, double bytes)
{
    double compute = share(flops, p->machine.flops), memory = share(bytes, p->machine.bandwidth);
    return compute > memory ? compute : memory;
}

bool profile_by_parse(const char *text, profile_by *out)
{
    static const char *const texts[] = {
        [BY_STEP] = "step", [BY_KERNEL] = "kernel", [BY_OP] = "op", [BY_NAME] = "name"};
    *out = BY_STEP;
    for (int i = 0; text && i < (int)(sizeof texts / sizeof texts[0]); i++)
        if (strcmp(text, texts[i]) == 0) {
            *out = (profile_by)i;
            return true;
        }
    return !text;
}

/* The last part of a text that is too long: the ends of names tell more than their beginnings. */
static const char *tail(const char *text, size_t most)
{
    size_t length = strlen(text);
    return length > most ? text + length - most : text;
}

/* --- rows added up ------------------------------------------------------------------------------
 */

typedef struct group {
    const char *key;
    int steps;
    double seconds, flops, bytes, least;
} group;

static int by_time(const void *a, const void *b)
{
    const group *x = a, *y = b;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

static const char *key_of(const soma_profile_row *row, profile_by by)
{
    return by == BY_KERNEL ? row->kernel : by == BY_OP ? row->op : row->name;
}

/* Into groups, which has room for as many as there are rows; the number of them. */
static int add_up(const profile_result *p, profile_by by, group *groups)
{
    int count = 0;
    for (int i = 0; i < p->count; i++) {
        const soma_profile_row *row = &p->rows[i];
        const char *key = key_of(row, by);
        int g = 0;
        while (g < count && strcmp(groups[g].key, key) != 0)
            g++;
        if (g == count)
            groups[count++] = (group){.key = key};
        groups[g].steps++;
        groups[g].seconds += row->seconds;
        groups[g].flops += row->flops;
        groups[g].bytes += row->bytes;
        groups[g].least += profile_least(p, row->flops, row->bytes);
    }
    qsort(groups, (size_t)count, sizeof *groups, by_time);
    return count;
}

/* --- text ---------------------------------------------------------------------------------------
 */

static void print_figures(const profile_result *p, double seconds, double flops, double bytes,
                          double least)
{
    double rate = share(flops, seconds);
    printf(" %10.1f %5.1f%% %8.2f %5.1f%% %7.2f ", seconds * 1e6, 100 * share(seconds, p->total),
           rate / 1e9, 100 * share(rate, p->machine.flops), share(bytes, seconds) / 1e9);
    if (least > 0)
        printf("%6.1fx\n", share(seconds, least));
    else
        printf("%7s\n", "-");
}

static void print_head(const char *what)
{
    printf("%s %10s %6s %8s %6s %7s %7s\n", what, "us", "time", "GFLOP/s", "peak", "GB/s", "roof");
}

static void print_rows(const profile_result *p)
{
    char head[96];
    snprintf(head, sizeof head, "%-30s %-24s %-28s", "op", "name", "kernel");
    print_head(head);
    for (int i = 0; i < p->count; i++) {
        const soma_profile_row *r = &p->rows[i];
        printf("%-30.30s %-24s %-28.28s", r->op, tail(r->name, 24), r->kernel);
        print_figures(p, r->seconds, r->flops, r->bytes, profile_least(p, r->flops, r->bytes));
    }
}

static void print_groups(const profile_result *p, profile_by by, const group *groups, int count)
{
    char head[96];
    snprintf(head, sizeof head, "%-48s %6s",
             by == BY_KERNEL ? "kernel"
             : by == BY_OP   ? "op"
                             : "name",
             "steps");
    print_head(head);
    for (int i = 0; i < count; i++) {
        printf("%-48s %6d", tail(*groups[i].key ? groups[i].key : "-", 48), groups[i].steps);
        print_figures(p, groups[i].seconds, groups[i].flops, groups[i].bytes, groups[i].least);
    }
}

static void print_totals(const profile_result *p, bool train)
{
    char a[32], b[32], c[32], d[32];
    double rate = share(p->info.flops, p->total);
    printf("\n%s of %lld samples: %.3f ms, %s samples/s, %.1f GFLOP/s (%.1f %% of the peak %.1f, "
           "%.1f GB/s)\n",
           train ? "a training step" : "inference", (long long)p->batch, p->total * 1e3,
           soma__format_count((int64_t)(share((double)p->batch, p->total) + 0.5), a, sizeof a),
           rate / 1e9, 100 * share(rate, p->machine.flops), p->machine.flops / 1e9,
           p->machine.bandwidth / 1e9);
    printf("at least %.3f ms by its flops and bytes (roofline): it takes %.1f times that; a run "
           "without a clock beside each step takes %.3f ms\n",
           p->least * 1e3, share(p->total, p->least), p->whole * 1e3);
    printf(
        "%lld nodes in %lld steps, %lld of them fused; buffers %s (%s without reuse), weights %s, "
        "prepared %s\n",
        (long long)p->info.nodes, (long long)p->info.steps, (long long)p->info.fused,
        soma__format_bytes((double)p->info.arena_bytes, a, sizeof a),
        soma__format_bytes((double)p->info.unplanned_bytes, b, sizeof b),
        soma__format_bytes((double)p->info.variable_bytes, c, sizeof c),
        soma__format_bytes((double)p->info.prepared_bytes, d, sizeof d));
}

/* --- JSON ---------------------------------------------------------------------------------------
 */

static void json_figures(cli_json *json, double seconds, double flops, double bytes, double least)
{
    cli_json_number(json, "seconds", seconds);
    cli_json_number(json, "flops", flops);
    cli_json_number(json, "bytes", bytes);
    cli_json_number(json, "least_seconds", least);
}

static void json_rows(const profile_result *p)
{
    for (int i = 0; i < p->count; i++) {
        const soma_profile_row *r = &p->rows[i];
        cli_json json;
        cli_json_begin(&json, "step");
        cli_json_string(&json, "op", r->op);
        cli_json_string(&json, "name", r->name);
        cli_json_string(&json, "kernel", r->kernel);
        json_figures(&json, r->seconds, r->flops, r->bytes, profile_least(p, r->flops, r->bytes));
        cli_json_end(&json);
    }
}

static void json_groups(profile_by by, const group *groups, int count)
{
    for (int i = 0; i < count; i++) {
        cli_json json;
        cli_json_begin(&json, "group");
        cli_json_string(&json,
                        by == BY_KERNEL ? "kernel"
                        : by == BY_OP   ? "op"
                                        : "name",
                        groups[i].key);
        cli_json_int(&json, "steps", groups[i].steps);
        json_figures(&json, groups[i].seconds, groups[i].flops, groups[i].bytes, groups[i].least);
        cli_json_end(&json);
    }
}

static void json_totals(const profile_result *p)
{
    cli_json json;
    cli_json_begin(&json, "done");
    cli_json_int(&json, "batch", p->batch);
    json_figures(&json, p->total, p->info.flops, p->info.bytes, p->least);
    cli_json_number(&json, "whole_seconds", p->whole);
    cli_json_int(&json, "steps", p->info.steps);
    cli_json_int(&json, "nodes", p->info.nodes);
    cli_json_int(&json, "fused", p->info.fused);
    cli_json_int(&json, "arena_bytes", (int64_t)p->info.arena_bytes);
    cli_json_int(&json, "unplanned_bytes", (int64_t)p->info.unplanned_bytes);
    cli_json_int(&json, "variable_bytes", (int64_t)p->info.variable_bytes);
    cli_json_int(&json, "prepared_bytes", (int64_t)p->info.prepared_bytes);
    cli_json_number(&json, "peak_flops", p->machine.flops);
    cli_json_number(&json, "peak_bandwidth", p->machine.bandwidth);
    cli_json_int(&json, "threads", p->threads);
    cli_json_string(&json, "isa", p->isa);
    cli_json_end(&json);
}

soma_status profile_print(const profile_result *p, profile_by by, const arguments *args,
                          soma_error *err)
{
    group *groups = soma__calloc((size_t)p->count + 1, sizeof *groups);
    if (!groups)
        return soma__fail(err, SOMA_MEMORY, "no memory to add up %d steps", p->count);
    int count = by == BY_STEP ? 0 : add_up(p, by, groups);
    if (args->json) {
        if (by == BY_STEP)
            json_rows(p);
        else
            json_groups(by, groups, count);
        json_totals(p);
    } else {
        if (!args->quiet && by == BY_STEP)
            print_rows(p);
        else if (!args->quiet)
            print_groups(p, by, groups, count);
        print_totals(p, args->train);
    }
    soma__free(groups);
    return SOMA_OK;
}
