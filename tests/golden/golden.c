/* golden.c: tries the rows of golden.h. */
#include "golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/safetensors.h"

#define MAX_INPUTS 10

static const golden *cases;
static size_t case_count;
static const char *file_name;
static soma__archive archive;

static int load(void **state)
{
    soma_error err = {0};
    char path[512];
    (void)state;
    snprintf(path, sizeof(path), SOMA_TEST_FOLDER "/golden/%s", file_name);
    if (soma__archive_read(&archive, path, &err) == SOMA_OK)
        return 0;
    fprintf(stderr, "%s\n", err.message);
    return -1;
}
static int unload(void **state)
{
    (void)state;
    soma__archive_clear(&archive);
    return 0;
}

/* Tensor "<case>/<prefix><name>", or NULL. */
static soma_tensor *find(const golden *c, const char *prefix, const char *name)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/%s%s", c->name, prefix, name);
    return soma__archive_find(&archive, path);
}

static int compare(const golden *c, const char *what, const soma_tensor *got,
                   const soma_tensor *want)
{
    char a[SOMA_SHAPE_TEXT_SIZE], b[SOMA_SHAPE_TEXT_SIZE];
    if (!soma_shape_equal(soma_tensor_shape(got), soma_tensor_shape(want))) {
        fprintf(stderr, "%s: %s is %s, expected %s\n", c->name, what,
                soma_shape_text(soma_tensor_shape(got), a, sizeof(a)),
                soma_shape_text(soma_tensor_shape(want), b, sizeof(b)));
        return 1;
    }
    for (int64_t i = 0; i < soma_tensor_count(want); i++) {
        double g = soma_tensor_get(got, i), w = soma_tensor_get(want, i);
        if (!(fabs(g - w) <= 1e-5 * fmax(1, fabs(w)))) {
            fprintf(stderr, "%s: %s[%lld] is %.9g, expected %.9g\n", c->name, what, (long long)i, g,
                    w);
            return 1;
        }
    }
    return 0;
}

/* Builds the case, evaluates y and all gradients at once, and returns the number of faults. */
static int try_case(soma_context *context, const golden *c)
{
    soma_error err = {0};
    soma_graph *graph;
    soma_var in[MAX_INPUTS], wrt[MAX_INPUTS], out[MAX_INPUTS + 1];
    soma_tensor *want[MAX_INPUTS + 1], *got[MAX_INPUTS + 1] = {0};
    char names[64], labels[MAX_INPUTS + 1][32] = {"y"};
    int inputs = 0, wanted = 0, faults = 0;
    assert_int_equal(soma_graph_create(&graph, &err), SOMA_OK);
    snprintf(names, sizeof(names), "%s", c->inputs);
    soma_tensor *dy = find(c, "", "dy");
    for (char *rest, *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
        soma_tensor *value = find(c, "", name), *gradient = find(c, "d", name);
        assert_true(inputs < MAX_INPUTS);
        if (!value) {
            soma_graph_destroy(graph);
            fprintf(stderr, "%s: the file has no input %s\n", c->name, name);
            return 1;
        }
        in[inputs] = soma_variable(graph, name, value);
        if (dy && gradient) {
            want[wanted + 1] = gradient;
            snprintf(labels[wanted + 1], sizeof(labels[0]), "d%s", name);
            wrt[wanted++] = in[inputs];
        }
        inputs++;
    }
    out[0] = c->build(in);
    want[0] = find(c, "", "y");
    assert_non_null(want[0]);
    if (dy)
        soma_gradients_from(out[0], soma_constant(graph, dy), wrt, wanted, out + 1);
    if (soma_eval_many(got, context, out, wanted + 1, NULL, 0, &err) != SOMA_OK) {
        fprintf(stderr, "%s: %s\n", c->name, err.message);
        faults++;
    } else {
        for (int i = 0; i <= wanted; i++)
            faults += compare(c, labels[i], got[i], want[i]);
        for (int i = 0; i <= wanted; i++)
            soma_tensor_release(got[i]);
    }
    soma_graph_destroy(graph);
    return faults;
}

static void try_all(const soma_context_options *options)
{
    soma_error err = {0};
    soma_context *context;
    int faults = 0;
    assert_int_equal(soma_context_create(&context, options, &err), SOMA_OK);
    for (size_t i = 0; i < case_count; i++)
        faults += try_case(context, &cases[i]);
    soma_context_destroy(context);
    assert_int_equal(faults, 0);
}

static void reference_kernels(void **state)
{
    (void)state;
    try_all(&(soma_context_options){.threads = 1, .isa = "reference"});
}

static void fast_kernels(void **state)
{
    (void)state;
    try_all(&(soma_context_options){.threads = 2});
}

/* Each case of the file has a row above, so that none is forgotten. */
static void every_case(void **state)
{
    size_t found = 0;
    (void)state;
    for (size_t i = 0; i < archive.count; i++) {
        const char *name = archive.entries[i].name, *end = strrchr(name, '/');
        assert_non_null(end);
        if (strcmp(end, "/y") != 0)
            continue;
        bool known = false;
        for (size_t k = 0; k < case_count && !known; k++)
            known = strlen(cases[k].name) == (size_t)(end - name) &&
                    strncmp(cases[k].name, name, (size_t)(end - name)) == 0;
        if (!known)
            fail_msg("%s is in the file, but not in the test", name);
        found++;
    }
    assert_int_equal(found, case_count);
}

int golden_run(const char *file, const golden *table, size_t count)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case),
        cmocka_unit_test(reference_kernels),
        cmocka_unit_test(fast_kernels),
    };
    file_name = file;
    cases = table;
    case_count = count;
    return cmocka_run_group_tests_name(file, tests, load, unload);
}
