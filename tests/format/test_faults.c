/* The n-th allocation fails, for every n, in every reader and writer: a status each time, no leak
 * (the sanitizer looks), no crash, no half-written file. The build links this program with the
 * allocator wrapped, because it finds __wrap_soma__malloc here. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "format/csv.h"
#include "format/gzip.h"
#include "format/idx.h"
#include "format/image.h"
#include "format/json.h"
#include "format/plot.h"
#include "format/safetensors.h"
#include "format/yaml.h"

static long left = -1; /* allocations until one fails; negative: none does */

static bool fails_now(void)
{
    return left >= 0 && left-- == 0;
}

void *__real_soma__malloc(size_t size);
void *__real_soma__calloc(size_t count, size_t size);
void *__real_soma__realloc(void *memory, size_t size);
void *__real_soma__aligned(size_t size);
void *__wrap_soma__malloc(size_t size);
void *__wrap_soma__calloc(size_t count, size_t size);
void *__wrap_soma__realloc(void *memory, size_t size);
void *__wrap_soma__aligned(size_t size);

void *__wrap_soma__malloc(size_t size)
{
    return fails_now() ? NULL : __real_soma__malloc(size);
}
void *__wrap_soma__calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_soma__calloc(count, size);
}
void *__wrap_soma__realloc(void *memory, size_t size)
{
    return fails_now() ? NULL : __real_soma__realloc(memory, size);
}
void *__wrap_soma__aligned(size_t size)
{
    return fails_now() ? NULL : __real_soma__aligned(size);
}

/* Runs `work` with ever later faults until it gets through. */
static void each_fault(soma_status (*work)(soma_error *err))
{
    for (long n = 0;; n++) {
        soma_error err = {0};
        soma_status status;
        left = n;
        status = work(&err);
        bool reached = left < 0;
        left = -1;
        if (status == SOMA_OK && !reached)
            return;
        /* A fault may be survived where the memory was only wanted for comfort. */
        if (status != SOMA_OK && status != SOMA_MEMORY)
            fail_msg("allocation %ld: %d: %s", n, status, err.message);
        assert_true(n < 100000);
    }
}

static const char table[] = "a,b,c\n1,2,x\n3,,y\n";

static soma_status csv_work(soma_error *err)
{
    soma__csv csv = {0};
    soma__csv_dataset set = {0};
    soma_status status = soma__csv_parse(&csv, table, sizeof table - 1, "t", NULL, err);
    if (status == SOMA_OK)
        status = soma__csv_split(&set, &csv, 2, err);
    soma__csv_dataset_clear(&set);
    soma__csv_clear(&csv);
    return status;
}

static soma_status archive_work(soma_error *err)
{
    soma__archive a = {0}, b = {0};
    soma_tensor *t = NULL;
    soma_status status = soma_tensor_create(&t, SOMA_F32, SOMA_SHAPE(3), err);
    for (int i = 0; i < 40 && status == SOMA_OK; i++) {
        char name[] = {(char)('0' + i), 0};
        status = soma__archive_add(&a, name, t, err);
        if (status == SOMA_OK)
            status = soma__archive_set_meta(&a, name, "value", err);
    }
    if (status == SOMA_OK)
        status = soma__archive_write(&a, scratch("fault.safetensors"), err);
    if (status == SOMA_OK)
        status = soma__archive_read(&b, scratch("fault.safetensors"), err);
    if (status == SOMA_OK)
        assert_int_equal(b.count, 40);
    soma__archive_clear(&a);
    soma__archive_clear(&b);
    soma_tensor_release(t);
    return status;
}

static soma_status idx_work(soma_error *err)
{
    soma_tensor *a = NULL, *b = NULL;
    soma_status status = soma_tensor_create(&a, SOMA_I32, SOMA_SHAPE(7, 3), err);
    if (status == SOMA_OK)
        status = soma__idx_write(scratch(SOMA_HAVE_ZLIB ? "fault.gz" : "fault"), a, err);
    if (status == SOMA_OK)
        status = soma__idx_read(&b, scratch(SOMA_HAVE_ZLIB ? "fault.gz" : "fault"), err);
    soma_tensor_release(a);
    soma_tensor_release(b);
    return status;
}

#if SOMA_HAVE_YAML
static soma_status yaml_work(soma_error *err)
{
    static const char text[] = "a: &x [1, two]\nb: {c: *x}\n";
    soma__tree tree = {0};
    soma_status status = soma__yaml_parse(&tree, text, sizeof text - 1, "t", err);
    soma__tree_clear(&tree);
    return status;
}
#endif

#if SOMA_HAVE_JANSSON
static soma_status json_work(soma_error *err)
{
    static const char text[] = "{\"a\": [1, 2.5, \"s\"], \"b\": {}}";
    soma__tree tree = {0};
    soma_status status = soma__json_parse(&tree, text, sizeof text - 1, "t", err);
    soma__tree_clear(&tree);
    return status;
}
#endif

#if SOMA_HAVE_PNG
static soma_status png_work(soma_error *err)
{
    static const double y[] = {1, 3, 2};
    const soma__plot_series series = {.name = "y", .y = y, .count = 3};
    const soma__plot_panel panel = {.title = "t", .series = &series, .count = 1};
    const soma__plot plot = {.panels = &panel, .count = 1, .width = 100, .height = 100};
    soma_tensor *a = NULL, *b = NULL;
    soma_status status = soma__plot_write(scratch("fault.png"), &plot, err);
    if (status == SOMA_OK)
        status = soma__png_read(&a, scratch("fault.png"), 1, err);
    if (status == SOMA_OK)
        status = soma__image_resize(&b, a, 8, 8, err);
    soma_tensor_release(a);
    soma_tensor_release(b);
    return status;
}
#endif

#if SOMA_HAVE_ZLIB
static soma_status gzip_work(soma_error *err)
{
    soma__text packed = {0};
    void *data = NULL;
    size_t size;
    soma_status status = soma__gzip(&packed, table, sizeof table, err);
    if (status == SOMA_OK)
        status = soma__gunzip_all(&data, &size, packed.data, packed.length, 1000, "t", err);
    soma__free(data);
    soma__text_free(&packed);
    return status;
}
#endif

static void every_allocation_may_fail(void **state)
{
    (void)state;
    each_fault(csv_work);
    each_fault(archive_work);
    each_fault(idx_work);
#if SOMA_HAVE_YAML
    each_fault(yaml_work);
#endif
#if SOMA_HAVE_JANSSON
    each_fault(json_work);
#endif
#if SOMA_HAVE_PNG
    each_fault(png_work);
#endif
#if SOMA_HAVE_ZLIB
    each_fault(gzip_work);
#endif
    assert_false(scratch_has(".tmp-")); /* what the atomic writer calls its unfinished files */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
