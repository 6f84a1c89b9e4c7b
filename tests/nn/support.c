#include "support.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "format/safetensors.h"

soma_context *context;
static soma__archive golden;

int open_context(void **state)
{
    soma_error err = {0};
    (void)state;
    if (soma_context_create(&context, &(soma_context_options){.threads = 1}, &err) != SOMA_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    return 0;
}

int close_context(void **state)
{
    (void)state;
    soma_context_destroy(context);
    context = NULL;
    return 0;
}

int open_golden_file(void **state, const char *file)
{
    soma_error err = {0};
    char path[512];
    snprintf(path, sizeof path, SOMA_TEST_FOLDER "/golden/%s", file);
    if (soma__archive_read(&golden, path, &err) != SOMA_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    return open_context(state);
}

int close_golden(void **state)
{
    soma__archive_clear(&golden);
    return close_context(state);
}

soma_tensor *golden_tensor(const char *name)
{
    return soma__archive_find(&golden, name);
}

void expect_close(const char *of, const char *what, const soma_tensor *got, const soma_tensor *want,
                  double tolerance)
{
    assert_non_null(want);
    assert_int_equal(soma_tensor_count(got), soma_tensor_count(want));
    for (int64_t i = 0; i < soma_tensor_count(want); i++) {
        double a = soma_tensor_get(got, i), b = soma_tensor_get(want, i);
        if (!(fabs(a - b) <= tolerance * (1 + fabs(b))))
            fail_msg("%s: %s[%d]: %.9g, PyTorch %.9g", of, what, (int)i, a, b);
    }
}

soma_model *model_of(soma_layer *layer, soma_shape input, soma_task task)
{
    soma_error err = {0};
    soma_model *model;
    soma_model_options options = {.input = input, .task = task, .seed = 7};
    assert_ok(soma_model_create(&model, context, layer, &options, &err), err);
    return model;
}

void expect_refusal(soma_layer *layer, soma_shape input, soma_task task, soma_status code,
                    const char *part)
{
    soma_error err = {0};
    soma_model *model;
    soma_model_options options = {.input = input, .task = task};
    soma_status status = soma_model_create(&model, context, layer, &options, &err);
    if (status == SOMA_OK)
        fail_msg("accepted, expected '%s'", part);
    assert_null(model);
    assert_contains(err.message, part);
    if (status != code)
        fail_msg("status %d: %s", status, err.message);
}

soma_tensor *noise(soma_shape shape, uint64_t seed)
{
    soma_error err = {0};
    soma_tensor *tensor;
    soma__rng_key key = {.seed = seed};
    assert_ok(soma_tensor_create(&tensor, SOMA_F32, shape, &err), err);
    for (int64_t i = 0; i < soma_tensor_count(tensor); i++)
        soma_tensor_f32(tensor)[i] = 2 * soma__rng_uniform(&key, (uint64_t)i) - 1;
    return tensor;
}

soma_tensor *tensor_of(soma_shape shape, const float *values)
{
    soma_error err = {0};
    soma_tensor *tensor;
    assert_ok(soma_tensor_from(&tensor, SOMA_F32, shape, values, &err), err);
    return tensor;
}

static char folder[256];

static void remove_folder(void)
{
    char path[600];
    DIR *open = opendir(folder);
    for (struct dirent *entry = open ? readdir(open) : NULL; entry; entry = readdir(open)) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    if (open)
        closedir(open);
    rmdir(folder);
}

const char *scratch(const char *name)
{
    static char path[512];
    const char *base = getenv("TMPDIR");
    if (!*folder) {
        snprintf(folder, sizeof folder, "%s/soma_nn_XXXXXX", base && *base ? base : "/tmp");
        assert_non_null(mkdtemp(folder));
        atexit(remove_folder);
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' does not say '%s'", text, part);
}
