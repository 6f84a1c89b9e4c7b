/* bench_transforms.c: `soma bench transforms`: images a second on one core, as loader threads do
 * them, each transform alone. */
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "cli/cli.h"
#include "data/transform.h"

#define IMAGES 64
#define SECONDS 0.04 /* for one line */

/* Options as they are usual; those that are random happen every time. */
static soma_transform usual(int kind, int64_t side)
{
    soma_transform t = {.kind = (soma_transform_kind)kind, .p = 1};
    switch (t.kind) {
    case SOMA_TRANSFORM_PAD_CROP:
        t.pad = side / 8;
        break;
    case SOMA_TRANSFORM_CENTER_CROP:
    case SOMA_TRANSFORM_RESIZE:
        t.size[0] = t.size[1] = side * 7 / 8;
        break;
    case SOMA_TRANSFORM_RESIZED_CROP:
        t.size[0] = t.size[1] = side;
        break;
    case SOMA_TRANSFORM_CUTOUT:
        t.size[0] = t.size[1] = side / 2;
        break;
    case SOMA_TRANSFORM_ROTATE:
        t.degrees = 15;
        break;
    case SOMA_TRANSFORM_SHIFT:
        t.shift[0] = t.shift[1] = 0.1;
        break;
    case SOMA_TRANSFORM_ZOOM:
        t.scale[0] = 0.8;
        t.scale[1] = 1.2;
        break;
    case SOMA_TRANSFORM_SHEAR:
        t.shear[1] = 10;
        break;
    case SOMA_TRANSFORM_AFFINE:
        t.degrees = 15;
        t.shift[0] = t.shift[1] = 0.1;
        t.scale[0] = 0.8;
        t.scale[1] = 1.2;
        t.shear[1] = 10;
        break;
    case SOMA_TRANSFORM_COLOR_JITTER:
        t.brightness = t.contrast = t.saturation = 0.4;
        t.hue = 0.1;
        break;
    case SOMA_TRANSFORM_GAUSSIAN_BLUR:
        t.size[0] = 5;
        break;
    case SOMA_TRANSFORM_NORMALIZE:
        t.channels = 3;
        for (int k = 0; k < 3; k++) {
            t.mean[k] = 0.45;
            t.std[k] = 0.25;
        }
        break;
    default:
        break;
    }
    return t;
}

static soma_status images(soma_dataset **out, int64_t side, soma_error *err)
{
    soma_tensor *x, *y = NULL;
    SOMA__TRY(soma_tensor_create(&x, SOMA_U8, SOMA_SHAPE(IMAGES, side, side, 3), err));
    soma_status status = soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(IMAGES), err);
    if (status == SOMA_OK) {
        uint8_t *pixel = soma_tensor_data(x);
        int64_t *label = soma_tensor_data(y);
        soma__rng_key key = {.seed = 1};
        for (int64_t i = 0; i < soma_tensor_count(x); i++)
            pixel[i] = (uint8_t)(soma__rng_u32(&key, (uint64_t)i / 8) >> (8 * (i % 3)));
        for (int64_t i = 0; i < IMAGES; i++)
            label[i] = i % 10;
        status = soma_dataset_from_tensors(out, x, y, err);
    }
    soma_tensor_release(x);
    soma_tensor_release(y);
    return status;
}

/* Seconds an image, over whole batches. */
static soma_status measure(const soma_dataset *dataset, double *out, soma_error *err)
{
    int64_t index[IMAGES], n = 0;
    size_t x_bytes = 0, y_bytes = 0, size = soma__dataset_scratch(dataset);
    (void)soma__shape_bytes(soma_dataset_x_shape(dataset), soma_dataset_x_dtype(dataset), &x_bytes);
    (void)soma__shape_bytes(soma_dataset_y_shape(dataset), soma_dataset_y_dtype(dataset), &y_bytes);
    void *x = soma__aligned(x_bytes * IMAGES), *y = soma__aligned(y_bytes * IMAGES);
    void *scratch = soma__aligned(size + 1);
    soma_status status = SOMA_OK;
    if (!x || !y || !scratch)
        status = soma__fail(err, SOMA_MEMORY, "no memory for a batch of images");
    for (int64_t i = 0; i < IMAGES; i++)
        index[i] = i;
    double begun = 0, seconds = 0;
    for (int64_t epoch = 0; status == SOMA_OK && seconds < SECONDS; epoch++) {
        if (epoch == 1) /* the first warms up */
            begun = soma__seconds();
        status = soma__dataset_read_epoch(dataset, epoch, index, IMAGES, scratch, x, y, err);
        if (epoch >= 1) {
            n += IMAGES;
            seconds = soma__seconds() - begun;
        }
    }
    *out = n ? seconds / (double)n : 0;
    soma__free(x);
    soma__free(y);
    soma__free(scratch);
    return status;
}

static void show(const arguments *args, const char *name, double seconds)
{
    if (args->json) {
        cli_json json;
        cli_json_begin(&json, "bench");
        cli_json_string(&json, "name", name);
        cli_json_number(&json, "seconds", seconds);
        cli_json_number(&json, "images_per_second", 1 / seconds);
        cli_json_end(&json);
        return;
    }
    printf("%-40s %10.2f us %12.0f images/s a core\n", name, seconds * 1e6, 1 / seconds);
    fflush(stdout);
}

soma_status cli_bench_transforms(const arguments *args, int *lines, soma_error *err)
{
    static const int64_t sides[] = {224, 32};
    for (int s = 0; s < 2; s++) {
        soma_dataset *all = NULL;
        soma_status status = SOMA_OK;
        for (int kind = 0; kind < soma__transform_type_count() && status == SOMA_OK; kind++) {
            const soma__transform_type *type = soma__transform_type_at(kind);
            char name[64];
            snprintf(name, sizeof name, "transforms %s %lldx%lldx3", type->name,
                     (long long)sides[s], (long long)sides[s]);
            if (args->positional_count && !strstr(name, args->positional[0]))
                continue;
            if (!all)
                status = images(&all, sides[s], err);
            soma_transform t = usual(kind, sides[s]);
            t.when = SOMA_WHEN_ALWAYS;
            soma_dataset *dataset = NULL;
            double seconds = 0;
            if (status == SOMA_OK)
                status = soma_dataset_transform(&dataset, all, &t, 1, true, 1, err);
            if (status == SOMA_OK)
                status = measure(dataset, &seconds, err);
            if (status == SOMA_OK) {
                show(args, name, seconds);
                ++*lines;
            }
            soma_dataset_release(dataset);
        }
        soma_dataset_release(all);
        SOMA__TRY(status);
    }
    return SOMA_OK;
}
