/* The n-th allocation fails, for every n, in every reader and writer: a status each time, no leak
 * (the sanitizer looks), no crash, no half-written file. */
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
#include "support/door.h"

static const char table[] = "a,b,c\n1,2,x\n3,,y\n";

static soma_status csv_work(soma_error *err)
{
    soma__csv csv = {0};
    soma_status status = soma__csv_parse(&csv, table, sizeof table - 1, "t", NULL, err);
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
    door_refuse_each(csv_work, 0, true);
    door_refuse_each(archive_work, 0, true);
    door_refuse_each(idx_work, 0, true);
#if SOMA_HAVE_YAML
    door_refuse_each(yaml_work, 0, true);
#endif
#if SOMA_HAVE_JANSSON
    door_refuse_each(json_work, 0, true);
#endif
#if SOMA_HAVE_PNG
    door_refuse_each(png_work, 0, true);
#endif
#if SOMA_HAVE_ZLIB
    door_refuse_each(gzip_work, 0, true);
#endif
    assert_false(scratch_has(".tmp-")); /* what the atomic writer calls its unfinished files */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
