/* Every allocation in the life of transformed data fails once: reported as lack of memory, nothing
 * left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "data/transform.h"
#include "soma/soma.h"
#include "support/door.h"

static const soma_transform list[] = {
    {.kind = SOMA_TRANSFORM_RESIZE, .size = {6, 5}},
    {.kind = SOMA_TRANSFORM_RAND_AUGMENT},
    {.kind = SOMA_TRANSFORM_NORMALIZE, .channels = 1, .mean = {0.5}, .std = {0.5}},
    {.kind = SOMA_TRANSFORM_CUTMIX},
};
#define COUNT ((int)(sizeof list / sizeof list[0]))

static soma_status pictures(soma_dataset **out, soma_error *err)
{
    soma_tensor *x, *y;
    SOMA__TRY(soma_tensor_create(&x, SOMA_U8, SOMA_SHAPE(9, 8, 8, 1), err));
    soma_status status = soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(9), err);
    if (status == SOMA_OK) {
        soma_tensor_fill(x, 40);
        soma_tensor_fill(y, 1);
        status = soma_dataset_from_tensors(out, x, y, err);
        soma_tensor_release(y);
    }
    soma_tensor_release(x);
    return status;
}

static soma_status epoch(soma_dataset *dataset, soma_error *err)
{
    soma_loader_options options = {.batch = 4, .threads = 2, .shuffle = true};
    soma_loader *loader;
    const void *x, *y;
    int64_t count = 1;
    SOMA__TRY(soma_loader_create(&loader, dataset, &options, err));
    soma_status status = soma_loader_start(loader, 1, 0, err);
    while (status == SOMA_OK && count)
        status = soma_loader_next(loader, &x, &y, &count, err);
    soma_loader_destroy(loader);
    return status;
}

static soma_status use(soma_dataset *all, soma_error *err)
{
    soma_dataset *dataset, *again = soma_dataset_retain(all);
    soma_tensor *shift, *scale;
    char *text = NULL;
    soma_status status = soma_dataset_transform(&dataset, all, list, COUNT, true, 1, err);
    if (status == SOMA_OK) {
        int64_t index = 3;
        float x[64], y[8];
        status = soma_dataset_read(dataset, &index, 1, x, y, err);
        if (status == SOMA_OK)
            status = soma_scaling_fit(&shift, &scale, dataset, SOMA_SCALE_STANDARD, err);
        if (status == SOMA_OK) {
            soma_tensor_release(shift);
            soma_tensor_release(scale);
            status = epoch(dataset, err);
        }
        if (status == SOMA_OK)
            status = soma__transforms_text(&text, dataset, err);
        if (status == SOMA_OK)
            status = soma__transforms_over(&again, text, "m", err);
        soma__free(text);
        soma_dataset_release(dataset);
    }
    soma_dataset_release(again);
    return status == SOMA_UNSUPPORTED ? SOMA_OK : status; /* built without Jansson */
}

static soma_status work(soma_error *err)
{
    soma_dataset *all;
    SOMA__TRY(pictures(&all, err));
    soma_status status = use(all, err);
    soma_dataset_release(all);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    long before = door_live;
    door_refuse_each(work, 20, false);
    assert_int_equal(door_live, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
