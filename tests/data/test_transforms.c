/* Transforms: each draw a function of (seed, epoch, sample), whole pixels to the bit, what options
 * and lists are refused. test_golden_transforms.c compares values with torchvision's and PIL's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "data/transform.h"
#include "format/yaml.h"
#include "soma/soma.h"

#define COUNT 37
#define H 9
#define W 7
#define C 3
#define BYTES (H * W * C)

/* Images of which no two pixels are the same. */
static soma_dataset *pictures(soma_dtype dtype)
{
    soma_tensor *x, *y;
    soma_dataset *dataset;
    assert_int_equal(soma_tensor_create(&x, dtype, SOMA_SHAPE(COUNT, H, W, C), NULL), SOMA_OK);
    assert_int_equal(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(COUNT), NULL), SOMA_OK);
    for (int64_t i = 0; i < COUNT * BYTES; i++)
        soma_tensor_set(x, i,
                        dtype == SOMA_U8 ? (double)((i % BYTES + i / BYTES) % 251)
                                         : (double)(i % BYTES) / BYTES);
    for (int64_t i = 0; i < COUNT; i++)
        soma_tensor_set(y, i, (double)(i % 5));
    assert_int_equal(soma_dataset_from_tensors(&dataset, x, y, NULL), SOMA_OK);
    soma_tensor_release(x);
    soma_tensor_release(y);
    return dataset;
}

static soma_dataset *transformed(soma_dataset *dataset, const soma_transform *list, int count,
                                 bool training)
{
    soma_dataset *out;
    soma_error err = {0};
    if (soma_dataset_transform(&out, dataset, list, count, training, 7, &err) != SOMA_OK)
        fail_msg("%s", err.message);
    return out;
}

static void read_one(const soma_dataset *dataset, int64_t i, void *x)
{
    float y[16];
    soma_error err = {0};
    if (soma_dataset_read(dataset, &i, 1, x, y, &err) != SOMA_OK)
        fail_msg("%s", err.message);
}

/* --- whole pixels -------------------------------------------------------------------------------
 */

static void flips_are_exact(void **state)
{
    (void)state;
    for (int f32 = 0; f32 < 2; f32++)
        for (int vertical = 0; vertical < 2; vertical++) {
            soma_dataset *all = pictures(f32 ? SOMA_F32 : SOMA_U8);
            soma_transform flip = {.kind = SOMA_TRANSFORM_FLIP,
                                   .p = 1,
                                   .direction = vertical ? SOMA_VERTICAL : SOMA_HORIZONTAL};
            soma_dataset *flipped = transformed(all, &flip, 1, true);
            float a[BYTES], b[BYTES];
            soma_dtype dtype = soma_dataset_x_dtype(all);
            for (int64_t n = 0; n < 3; n++) {
                read_one(all, n, a);
                read_one(flipped, n, b);
                for (int64_t i = 0; i < H; i++)
                    for (int64_t j = 0; j < W; j++)
                        for (int64_t k = 0; k < C; k++) {
                            int64_t i2 = vertical ? H - 1 - i : i, j2 = vertical ? j : W - 1 - j;
                            assert_true(soma__load(dtype, b, (i * W + j) * C + k) ==
                                        soma__load(dtype, a, (i2 * W + j2) * C + k));
                        }
            }
            soma_dataset_release(flipped);
            soma_dataset_release(all);
        }
}

/* Value of the padded image at row i, column j. */
static double padded(soma_dtype dtype, const void *x, soma_border border, int64_t i, int64_t j,
                     int64_t k)
{
    bool out = i < 0 || i >= H || j < 0 || j >= W;
    if (out && border == SOMA_BORDER_CONSTANT)
        return 9;
    if (border == SOMA_BORDER_EDGE) {
        i = i < 0 ? 0 : i >= H ? H - 1 : i;
        j = j < 0 ? 0 : j >= W ? W - 1 : j;
    }
    while (i < 0 || i >= H)
        i = i < 0 ? -i : 2 * (H - 1) - i;
    while (j < 0 || j >= W)
        j = j < 0 ? -j : 2 * (W - 1) - j;
    return soma__load(dtype, x, (i * W + j) * C + k);
}

static bool is_window(soma_dtype dtype, const void *x, const void *y, soma_border border,
                      int64_t top, int64_t left)
{
    for (int64_t i = 0; i < H; i++)
        for (int64_t j = 0; j < W; j++)
            for (int64_t k = 0; k < C; k++)
                if (soma__load(dtype, y, (i * W + j) * C + k) !=
                    padded(dtype, x, border, top + i, left + j, k))
                    return false;
    return true;
}

/* Each sample is one of the (2·pad+1)² windows, and all of them occur. */
static void pad_crop_gives_every_window(void **state)
{
    (void)state;
    enum { PAD = 2, SIDE = 2 * PAD + 1 };
    for (int border = SOMA_BORDER_CONSTANT; border <= SOMA_BORDER_REFLECT; border++) {
        soma_dataset *all = pictures(border == SOMA_BORDER_EDGE ? SOMA_F32 : SOMA_U8);
        soma_dtype dtype = soma_dataset_x_dtype(all);
        soma_transform crop = {
            .kind = SOMA_TRANSFORM_PAD_CROP, .pad = PAD, .border = (soma_border)border, .fill = 9};
        soma_dataset *cropped = transformed(all, &crop, 1, true);
        size_t size = soma__dataset_scratch(cropped);
        void *scratch = soma__aligned(size);
        int seen[SIDE][SIDE] = {{0}};
        for (int64_t epoch = 0; epoch < 8; epoch++)
            for (int64_t n = 0; n < COUNT; n++) {
                float x[BYTES], y[BYTES];
                int64_t label;
                int windows = 0;
                read_one(all, n, x);
                assert_int_equal(
                    soma__dataset_read_epoch(cropped, epoch, &n, 1, scratch, y, &label, NULL),
                    SOMA_OK);
                assert_int_equal(label, n % 5);
                for (int64_t i = -PAD; i <= PAD; i++)
                    for (int64_t j = -PAD; j <= PAD; j++)
                        if (is_window(dtype, x, y, (soma_border)border, i, j)) {
                            windows++;
                            seen[i + PAD][j + PAD]++;
                        }
                assert_int_equal(windows, 1);
            }
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++)
                assert_true(seen[i][j] > 0);
        soma__free(scratch);
        soma_dataset_release(cropped);
        soma_dataset_release(all);
    }
}

static void center_crop_takes_the_middle(void **state)
{
    (void)state;
    soma_dataset *all = pictures(SOMA_U8);
    /* 9x7 -> 4x3: PyTorch's margins are round(2.5) = 2 and 2; -> 12x7: padded by 1 above, 2 below.
     */
    soma_transform smaller = {.kind = SOMA_TRANSFORM_CENTER_CROP, .size = {4, 3}};
    soma_transform larger = {.kind = SOMA_TRANSFORM_CENTER_CROP, .size = {12, 7}, .fill = 9};
    soma_dataset *a = transformed(all, &smaller, 1, false);
    soma_dataset *b = transformed(all, &larger, 1, true);
    soma_shape want = SOMA_SHAPE(4, 3, 3);
    uint8_t x[BYTES], y[12 * 7 * 3];
    assert_true(soma_shape_equal(soma_dataset_x_shape(a), &want));
    read_one(all, 1, x);
    read_one(a, 1, y);
    for (int i = 0; i < 4; i++)
        assert_memory_equal(y + i * 9, x + ((i + 2) * W + 2) * C, 9);
    read_one(b, 1, y);
    assert_memory_equal(y + 21, x, BYTES);
    for (int i = 0; i < 21; i++)
        assert_int_equal(y[i] + y[10 * 21 + i] + y[11 * 21 + i], 27);
    soma_dataset_release(a);
    soma_dataset_release(b);
    soma_dataset_release(all);
}

static void normalize_divides_bytes_by_255(void **state)
{
    (void)state;
    soma_dataset *all = pictures(SOMA_U8);
    soma_transform list[] = {{.kind = SOMA_TRANSFORM_NORMALIZE,
                              .channels = 3,
                              .mean = {0.1, 0.2, 0.3},
                              .std = {0.5, 0.25, 2}}};
    soma_dataset *scaled = transformed(all, list, 1, false);
    uint8_t x[BYTES];
    float y[BYTES];
    assert_int_equal(soma_dataset_x_dtype(scaled), SOMA_F32);
    read_one(all, 4, x);
    read_one(scaled, 4, y);
    for (int i = 0; i < BYTES; i++) {
        double want = (x[i] / 255.0 - list[0].mean[i % 3]) / list[0].std[i % 3];
        assert_true(fabs(want - (double)y[i]) < 1e-6 * fmax(1, fabs(want)));
    }
    soma_dataset_release(scaled);
    list[0] = (soma_transform){.kind = SOMA_TRANSFORM_STANDARDIZE};
    scaled = transformed(all, list, 1, false);
    read_one(scaled, 4, y);
    double sum = 0, squares = 0;
    for (int i = 0; i < BYTES; i++) {
        sum += (double)y[i] / BYTES;
        squares += (double)y[i] * (double)y[i] / BYTES;
    }
    assert_true(fabs(sum) < 1e-6 && fabs(squares - 1) < 1e-5);
    soma_dataset_release(scaled);
    soma_dataset_release(all);
}

/* --- draws --------------------------------------------------------------------------------------
 */

/* A hash of what an epoch's batches hold, from batch `first` on. */
static uint64_t epoch_hash(soma_dataset *dataset, int threads, int64_t epoch, int64_t first)
{
    soma_loader_options options = {.batch = 8, .shuffle = true, .seed = 3, .threads = threads};
    soma_loader *loader;
    const void *x, *y;
    int64_t count, batch = 0;
    uint64_t hash = SOMA__HASH_SEED;
    size_t x_bytes, y_bytes;
    assert_true(
        soma__shape_bytes(soma_dataset_x_shape(dataset), soma_dataset_x_dtype(dataset), &x_bytes));
    assert_true(
        soma__shape_bytes(soma_dataset_y_shape(dataset), soma_dataset_y_dtype(dataset), &y_bytes));
    assert_int_equal(soma_loader_create(&loader, dataset, &options, NULL), SOMA_OK);
    assert_int_equal(soma_loader_start(loader, epoch, first, NULL), SOMA_OK);
    for (;; batch++) {
        assert_int_equal(soma_loader_next(loader, &x, &y, &count, NULL), SOMA_OK);
        if (!count)
            break;
        /* Only what both starts see. */
        if (first || batch >= 2) {
            hash = soma__hash(hash, x, (size_t)count * x_bytes);
            hash = soma__hash(hash, y, (size_t)count * y_bytes);
        }
    }
    soma_loader_destroy(loader);
    return hash;
}

static const soma_transform everything[] = {
    {.kind = SOMA_TRANSFORM_PAD_CROP, .pad = 2},
    {.kind = SOMA_TRANSFORM_FLIP},
    {.kind = SOMA_TRANSFORM_RAND_AUGMENT},
    {.kind = SOMA_TRANSFORM_COLOR_JITTER, .brightness = 0.4, .contrast = 0.4, .hue = 0.1, .p = 0.7},
    {.kind = SOMA_TRANSFORM_NORMALIZE, .channels = 1, .mean = {0.5}, .std = {0.5}},
    {.kind = SOMA_TRANSFORM_MIXUP, .p = 0.5},
    {.kind = SOMA_TRANSFORM_CUTMIX},
};
#define EVERYTHING ((int)(sizeof everything / sizeof everything[0]))
#define ONE_BY_ONE 5 /* of them, without those that look at the batch */

static void draws_depend_on_seed_epoch_and_sample_alone(void **state)
{
    (void)state;
    soma_dataset *all = pictures(SOMA_U8);
    soma_dataset *dataset = transformed(all, everything, EVERYTHING, true);
    uint64_t want = epoch_hash(dataset, 1, 5, 0);
    for (int threads = 1; threads <= 4; threads++) {
        assert_true(epoch_hash(dataset, threads, 5, 0) == want);
        assert_true(epoch_hash(dataset, threads, 5, 2) == want); /* resumed at its third batch */
        assert_true(epoch_hash(dataset, threads, 6, 0) != want);
    }
    /* A part of transformed data, and transforms over a part. */
    int64_t some[] = {3, 30, 4};
    soma_dataset *part, *over;
    assert_int_equal(soma_dataset_subset(&part, dataset, some, 3, NULL), SOMA_OK);
    float a[BYTES], b[BYTES];
    read_one(dataset, 30, a);
    read_one(part, 1, b);
    assert_memory_equal(a, b, sizeof a);
    soma_dataset_release(part);
    assert_int_equal(soma_dataset_subset(&part, all, some, 3, NULL), SOMA_OK);
    over = transformed(part, everything, EVERYTHING, true);
    assert_int_equal(soma_dataset_class_count(over), 5);
    soma_dataset_release(over);
    soma_dataset_release(part);
    soma_dataset_release(dataset);
    soma_dataset_release(all);
}

static soma_status reads(void *user, int64_t index, void *x, void *y, soma_error *err)
{
    int64_t label;
    if (index == 20)
        return SOMA_IO;
    return soma_dataset_read(user, &index, 1, x, y ? y : &label, err);
}

/* Samples from the user's function go through another path. */
static void sources_of_all_kinds_give_the_same(void **state)
{
    (void)state;
    soma_dataset *all = pictures(SOMA_U8), *called;
    soma_dataset_source source = {.count = COUNT,
                                  .x_dtype = SOMA_U8,
                                  .x_shape = SOMA_SHAPE(H, W, C),
                                  .y_dtype = SOMA_I64,
                                  .read = reads,
                                  .user = all};
    assert_int_equal(soma_dataset_from_callback(&called, &source, NULL), SOMA_OK);
    soma_dataset *a = transformed(all, everything, ONE_BY_ONE, true);
    soma_dataset *b = transformed(called, everything, ONE_BY_ONE, true);
    float x[BYTES], y[BYTES];
    for (int64_t i = 0; i < 20; i++) {
        read_one(a, i, x);
        read_one(b, i, y);
        assert_memory_equal(x, y, sizeof x);
    }
    int64_t label, i = 20;
    soma_error err = {0};
    assert_int_equal(soma_dataset_read(b, &i, 1, x, &label, &err), SOMA_IO);
    assert_non_null(strstr(err.message, "sample 20"));
    soma_dataset_release(a);
    soma_dataset_release(b);
    soma_dataset_release(called);
    soma_dataset_release(all);
}

/* Evaluation gets what is always done, also when the scaling is fitted on the training part. */
static void evaluation_is_not_random(void **state)
{
    (void)state;
    soma_dataset *all = pictures(SOMA_U8);
    soma_transform list[] = {
        {.kind = SOMA_TRANSFORM_FLIP, .p = 1},
        {.kind = SOMA_TRANSFORM_NORMALIZE, .channels = 1, .mean = {0.5}, .std = {0.5}}};
    soma_dataset *train = transformed(all, list, 2, true), *test = transformed(all, list, 2, false);
    soma_dataset *plain = transformed(all, list + 1, 1, true);
    float a[BYTES], b[BYTES];
    read_one(test, 5, a);
    read_one(plain, 5, b);
    assert_memory_equal(a, b, sizeof a);
    read_one(train, 5, b);
    assert_memory_not_equal(a, b, sizeof a);
    soma_tensor *shift[2], *scale[2];
    assert_int_equal(soma_scaling_fit(&shift[0], &scale[0], train, SOMA_SCALE_STANDARD, NULL),
                     SOMA_OK);
    assert_int_equal(soma_scaling_fit(&shift[1], &scale[1], test, SOMA_SCALE_STANDARD, NULL),
                     SOMA_OK);
    assert_memory_equal(soma_tensor_data(shift[0]), soma_tensor_data(shift[1]), 12);
    assert_memory_equal(soma_tensor_data(scale[0]), soma_tensor_data(scale[1]), 12);
    for (int i = 0; i < 2; i++) {
        soma_tensor_release(shift[i]);
        soma_tensor_release(scale[i]);
    }
    soma_dataset_release(train);
    soma_dataset_release(test);
    soma_dataset_release(plain);
    soma_dataset_release(all);
}

/* --- every kind ---------------------------------------------------------------------------------
 */

/* Options that a kind needs, and such as make it do something each time. */
static soma_transform usable(int kind)
{
    soma_transform t = {.kind = (soma_transform_kind)kind, .p = 1};
    t.size[0] = kind == SOMA_TRANSFORM_GAUSSIAN_BLUR ? 5 : 6;
    t.size[1] = 5;
    t.pad = 2;
    t.degrees = 40;
    t.shift[0] = t.shift[1] = t.shear[0] = t.shear[1] = 0.5;
    t.scale[0] = 0.4;
    t.scale[1] = kind == SOMA_TRANSFORM_ZOOM || kind == SOMA_TRANSFORM_AFFINE ? 1.6 : 0.9;
    t.brightness = t.contrast = t.saturation = 0.5;
    t.hue = 0.3;
    t.channels = 1;
    t.mean[0] = 0.4;
    t.std[0] = 0.3;
    return t;
}

/* In range, finite, the same twice, on images of all layouts; something happens. */
static void every_kind_works_on_every_image(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = {{9, 7, 3}, {16, 33, 1}, {6, 6, 3}, {40, 8, 3}};
    for (int kind = 0; kind < soma__transform_type_count(); kind++)
        for (int at = 0; at < 8; at++) {
            const soma__transform_type *type = soma__transform_type_at(kind);
            const int64_t *shape = shapes[at / 2];
            soma_dtype dtype = at & 1 ? SOMA_F32 : SOMA_U8;
            soma_transform t = usable(kind);
            if (shape[2] == 1 && kind == SOMA_TRANSFORM_GRAYSCALE)
                continue;
            if (shape[2] == 1)
                t.hue = t.saturation = 0;
            soma_tensor *x, *y;
            assert_int_equal(
                soma_tensor_create(&x, dtype, SOMA_SHAPE(9, shape[0], shape[1], shape[2]), NULL),
                SOMA_OK);
            assert_int_equal(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(9), NULL), SOMA_OK);
            for (int64_t i = 0; i < soma_tensor_count(x); i++)
                soma_tensor_set(x, i, (double)(i * 7919 % 200 + 20) / (dtype == SOMA_U8 ? 1 : 255));
            for (int64_t i = 0; i < 9; i++)
                soma_tensor_set(y, i, (double)(i % 4));
            soma_dataset *all, *out;
            soma_error err = {0};
            assert_int_equal(soma_dataset_from_tensors(&all, x, y, NULL), SOMA_OK);
            t.when = SOMA_WHEN_ALWAYS;
            if (soma_dataset_transform(&out, all, &t, 1, true, 1, &err) != SOMA_OK)
                fail_msg("%s", err.message);
            soma_dtype to = soma_dataset_x_dtype(out);
            int64_t n, indexes[9] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
            assert_true(soma__shape_count(soma_dataset_x_shape(out), &n));
            size_t bytes = (size_t)n * 9 * soma_dtype_size(to);
            char *a = soma__aligned(bytes), *b = soma__aligned(bytes);
            float targets[9 * 4 * 2];
            assert_int_equal(soma_dataset_read(out, indexes, 9, a, targets, NULL), SOMA_OK);
            assert_int_equal(soma_dataset_read(out, indexes, 9, b, targets, NULL), SOMA_OK);
            assert_memory_equal(a, b, bytes);
            bool free_range = kind == SOMA_TRANSFORM_NORMALIZE ||
                              kind == SOMA_TRANSFORM_STANDARDIZE ||
                              kind == SOMA_TRANSFORM_GAUSSIAN_NOISE;
            for (int64_t i = 0; i < 9 * n && to == SOMA_F32; i++) {
                double value = soma__load(to, a, i);
                if (!isfinite(value) || (!free_range && (value < -1e-6 || value > 1 + 1e-6)))
                    fail_msg("%s: value %lld is %g", type->name, (long long)i, value);
            }
            /* Fewer pixels than levels have no histogram to make even. */
            bool still = kind == SOMA_TRANSFORM_ONE_HOT ||
                         (kind == SOMA_TRANSFORM_EQUALIZE && shape[0] * shape[1] < 512);
            if (n * 9 == soma_tensor_count(x) && to == dtype && !still &&
                memcmp(a, soma_tensor_data(x), bytes) == 0)
                fail_msg("%s changed nothing", type->name);
            soma__free(a);
            soma__free(b);
            soma_dataset_release(out);
            soma_dataset_release(all);
            soma_tensor_release(x);
            soma_tensor_release(y);
        }
}

/* Rows of numbers take what does not need an image; mixup of a regression blends its targets. */
static void rows_of_features_take_what_fits(void **state)
{
    (void)state;
    enum { ROWS = 8, FEATURES = 6 };
    soma_tensor *x, *y;
    soma_dataset *all;
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(ROWS, FEATURES), NULL), SOMA_OK);
    assert_int_equal(soma_tensor_create(&y, SOMA_F32, SOMA_SHAPE(ROWS, 1), NULL), SOMA_OK);
    for (int64_t i = 0; i < ROWS * FEATURES; i++)
        soma_tensor_set(x, i, (double)(i % FEATURES) - 2);
    for (int64_t i = 0; i < ROWS; i++)
        soma_tensor_set(y, i, (double)i);
    assert_int_equal(soma_dataset_from_tensors(&all, x, y, NULL), SOMA_OK);
    const soma_transform list[] = {{.kind = SOMA_TRANSFORM_STANDARDIZE},
                                   {.kind = SOMA_TRANSFORM_GAUSSIAN_NOISE, .strength = 0.01},
                                   {.kind = SOMA_TRANSFORM_MIXUP}};
    soma_dataset *out = transformed(all, list, 3, true);
    float rows[ROWS * FEATURES], targets[ROWS];
    int64_t index[ROWS] = {0, 1, 2, 3, 4, 5, 6, 7};
    assert_int_equal(soma_dataset_read(out, index, ROWS, rows, targets, NULL), SOMA_OK);
    for (int64_t i = 0; i < ROWS; i++) {
        double low = i ? (double)(i - 1) : 0, high = i ? (double)i : ROWS - 1;
        assert_true((double)targets[i] >= low - 1e-5 && (double)targets[i] <= high + 1e-5);
        for (int64_t k = 0; k < FEATURES; k++) {
            /* 0 … 5 less their mean by their deviation, sqrt(35 / 12), and noise. */
            double want = ((double)k - 2.5) / sqrt(35.0 / 12);
            assert_true(fabs((double)rows[i * FEATURES + k] - want) < 0.06);
            assert_true(fabs((double)rows[i * FEATURES + k] - want) > 0);
        }
    }
    soma_dataset_release(out);
    soma_dataset_release(all);
    soma_tensor_release(x);
    soma_tensor_release(y);
}

/* The deviates that noise is made of are normal: moments of many. */
static void noise_is_normal(void **state)
{
    (void)state;
    enum { SIDE = 200 };
    soma_tensor *x, *y;
    soma_dataset *all;
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(1, SIDE, SIDE), NULL), SOMA_OK);
    assert_int_equal(soma_tensor_create(&y, SOMA_F32, SOMA_SHAPE(1), NULL), SOMA_OK);
    soma_tensor_fill(x, 0);
    soma_tensor_fill(y, 0);
    assert_int_equal(soma_dataset_from_tensors(&all, x, y, NULL), SOMA_OK);
    const soma_transform noise = {.kind = SOMA_TRANSFORM_GAUSSIAN_NOISE, .strength = 2};
    soma_dataset *out = transformed(all, &noise, 1, true);
    static float value[SIDE * SIDE];
    double moment[5] = {0}, tail = 0, n = SIDE * SIDE;
    read_one(out, 0, value);
    for (int i = 0; i < SIDE * SIDE; i++) {
        double z = (double)value[i] / 2;
        for (int k = 1; k <= 4; k++)
            moment[k] += pow(z, k) / n;
        tail += fabs(z) > 2.326347874 ? 1 / n : 0; /* 2 % */
    }
    /* Five deviations of each mean. */
    assert_true(fabs(moment[1]) < 5 / sqrt(n) && fabs(moment[2] - 1) < 5 * sqrt(2 / n));
    assert_true(fabs(moment[3]) < 5 * sqrt(15 / n) && fabs(moment[4] - 3) < 5 * sqrt(96 / n));
    assert_true(fabs(tail - 0.02) < 5 * sqrt(0.02 / n));
    soma_dataset_release(out);
    soma_dataset_release(all);
    soma_tensor_release(x);
    soma_tensor_release(y);
}

/* --- batches ------------------------------------------------------------------------------------
 */

/* Two constant classes: what a sample holds of its neighbour can be read off its pixels, and must
 * be what its target says. */
static void mixed_targets_are_what_is_in_the_picture(void **state)
{
    (void)state;
    enum { N = 64 };
    for (int at = 0; at < 4; at++) {
        bool cut = at & 1, f32 = at & 2;
        soma_tensor *x, *y;
        soma_dataset *all;
        assert_int_equal(
            soma_tensor_create(&x, f32 ? SOMA_F32 : SOMA_U8, SOMA_SHAPE(N, H, W, C), NULL),
            SOMA_OK);
        assert_int_equal(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(N), NULL), SOMA_OK);
        for (int64_t i = 0; i < N * BYTES; i++)
            soma_tensor_set(x, i, i / BYTES % 2 ? (f32 ? 1 : 200) : 0);
        for (int64_t i = 0; i < N; i++)
            soma_tensor_set(y, i, (double)(i % 2));
        assert_int_equal(soma_dataset_from_tensors(&all, x, y, NULL), SOMA_OK);
        soma_transform t = {.kind = cut ? SOMA_TRANSFORM_CUTMIX : SOMA_TRANSFORM_MIXUP};
        soma_dataset *mixed = transformed(all, &t, 1, true);
        assert_int_equal(soma_dataset_y_dtype(mixed), SOMA_F32);
        static float pixels[N * BYTES], share[N * 2];
        int64_t index[N];
        double least = 1, most = 0;
        for (int64_t i = 0; i < N; i++)
            index[i] = i;
        assert_int_equal(soma_dataset_read(mixed, index, N, pixels, share, NULL), SOMA_OK);
        for (int64_t i = 0; i < N; i++) {
            double sum = 0;
            for (int64_t k = 0; k < BYTES; k++)
                sum += soma__load(soma_dataset_x_dtype(mixed), pixels, i * BYTES + k) /
                       (f32 ? 1 : 200) / BYTES;
            double one = (double)share[2 * i + 1], own = (double)share[2 * i + i % 2];
            assert_true(fabs((double)share[2 * i] + one - 1) < 1e-6);
            assert_true(fabs(sum - one) < (f32 || cut ? 1e-5 : 0.5 / 200 + 1e-5));
            least = fmin(least, own);
            most = fmax(most, own);
        }
        assert_true(least < 0.4 && most > 0.9);
        soma_dataset_release(mixed);
        soma_dataset_release(all);
        soma_tensor_release(x);
        soma_tensor_release(y);
    }
}

/* --- recipes ------------------------------------------------------------------------------------
 */

static soma_status read_text(const char *text, soma_transform **list, int *count, soma_error *err)
{
    soma__tree tree = {0};
    SOMA__TRY(soma__yaml_parse(&tree, text, strlen(text), "r.yaml", err));
    soma_status status = soma__transforms_read(list, count, &tree, tree.root, "transforms", err);
    soma__tree_clear(&tree);
    return status;
}

static void lists_are_read_and_written(void **state)
{
    (void)state;
    soma_transform *list, *again;
    int count, kept;
    soma_error err = {0};
    soma_status status = read_text("- pad_crop: {pad: 4, border: reflect}\n- flip: vertical\n"
                                   "- resized_crop: {size: [6, 5], scale: [0.5, 1]}\n"
                                   "- zoom: [0.8, 1.25]\n"
                                   "- resize: {size: 8, when: evaluate}\n"
                                   "- center_crop: {size: [6, 5], when: evaluate}\n"
                                   "- normalize: {mean: [0.1, 0.2, 0.3], std: [1, 2, 3]}\n"
                                   "- mixup: 0.2\n",
                                   &list, &count, &err);
    if (status == SOMA_UNSUPPORTED) /* built without libyaml */
        return;
    if (status != SOMA_OK)
        fail_msg("%s", err.message);
    assert_int_equal(count, 8);
    assert_true(list[0].pad == 4 && list[0].border == SOMA_BORDER_REFLECT);
    assert_true(list[1].direction == SOMA_VERTICAL && list[3].scale[1] == 1.25);
    assert_true(list[6].channels == 3 && list[6].std[2] == 3 && list[7].alpha == 0.2);
    soma_dataset *all = pictures(SOMA_U8), *train = transformed(all, list, count, true);
    soma_dataset *test = transformed(all, list, count, false);
    assert_true(soma_shape_equal(soma_dataset_x_shape(train), soma_dataset_x_shape(test)));
    /* What evaluation needs goes into model files and comes back the same. */
    soma__tree tree = {0};
    soma__value *value = soma__transforms_value(&tree, list, count);
    assert_non_null(value);
    assert_int_equal(soma__transforms_read(&again, &kept, &tree, value, "t", &err), SOMA_OK);
    assert_int_equal(kept, 3);
    assert_memory_equal(&again[0], &list[4], sizeof *list);
    assert_memory_equal(&again[2], &list[6], sizeof *list);
    soma_dataset *same = transformed(all, again, kept, false);
    float a[BYTES], b[BYTES];
    read_one(test, 3, a);
    read_one(same, 3, b);
    assert_memory_equal(a, b, 6 * 5 * 3 * sizeof(float));
    soma__tree_clear(&tree);
    char *text;
    soma_shape input, want = SOMA_SHAPE(H, W, C);
    soma_dataset *raw = soma_dataset_retain(all);
    assert_int_equal(soma__transforms_text(&text, train, &err), SOMA_OK);
    assert_int_equal(soma__transforms_input(&input, text, "m", &err), SOMA_OK);
    assert_true(soma_shape_equal(&input, &want));
    assert_int_equal(soma__transforms_over(&raw, text, "m", &err), SOMA_OK);
    read_one(raw, 3, b);
    assert_memory_equal(a, b, 6 * 5 * 3 * sizeof(float));
    soma_dataset_release(raw);
    soma__free(text);
    raw = soma_dataset_retain(all);
    assert_int_equal(soma__transforms_over(&raw, "{\"list\":[3]}", "m", &err), SOMA_INVALID);
    assert_ptr_equal(raw, all);
    assert_int_equal(soma__transforms_input(&input, "{\"input\":7}", "m", &err), SOMA_FORMAT);
    soma_dataset_release(raw);
    soma__free(list);
    soma__free(again);
    soma_dataset_release(same);
    soma_dataset_release(train);
    soma_dataset_release(test);
    soma_dataset_release(all);
    static const char *const bad[][2] = {
        {"flip", "expected a list of transforms, got text"},
        {"- flop", "r.yaml:1: transforms.0: unknown transform 'flop', did you mean 'flip'?"},
        {"- flip\n- pad_crop", "transforms.1.pad_crop: 'pad' is missing"},
        {"- pad_crop: {pads: 4}", "unknown key 'pads', did you mean 'pad'?"},
        {"- pad_crop: {pad: 0}", "must be from 1 to 16384, got '0'"},
        {"- standardize: 3", "takes no short form"},
        {"- {flip: {}, invert: {}}", "one transform needs one name, found 'flip' and 'invert'"},
        {"- 3", "expected a transform such as `flip`"},
        {"- normalize: {mean: [1, 2], std: 3}", "expected one number, or one for each channel"},
        {"- normalize: {mean: [a]}", "expected a number, got text"},
        {"- zoom: [1, 2, 3]", "expected 2 numbers, or one for all, got 3"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        err = (soma_error){0};
        assert_int_equal(read_text(bad[i][0], &list, &count, &err), SOMA_INVALID);
        if (!strstr(err.message, bad[i][1]))
            fail_msg("%s: %s", bad[i][0], err.message);
    }
}

/* --- what is refused ----------------------------------------------------------------------------
 */

static void faults_are_told(void **state)
{
    (void)state;
    static const struct {
        soma_transform list[2];
        int count;
        soma_status status;
        const char *message;
    } cases[] = {
        {{{.kind = (soma_transform_kind)99}}, 1, SOMA_INVALID, "transforms.0: there is no kind 99"},
        {{{.kind = SOMA_TRANSFORM_PAD_CROP}}, 1, SOMA_INVALID, "transforms.0.pad_crop: pad: must"},
        {{{.kind = SOMA_TRANSFORM_FLIP, .p = 1.5}}, 1, SOMA_INVALID, "p: must be from 1e-06 to 1"},
        {{{.kind = SOMA_TRANSFORM_FLIP, .p = (double)NAN}}, 1, SOMA_INVALID, "p: must be"},
        {{{.kind = SOMA_TRANSFORM_FLIP, .direction = (soma_direction)7}},
         1,
         SOMA_INVALID,
         "direction: there is no choice 7"},
        {{{.kind = SOMA_TRANSFORM_NORMALIZE}}, 1, SOMA_INVALID, "needs mean and std"},
        {{{.kind = SOMA_TRANSFORM_NORMALIZE, .channels = 2, .mean = {0, 0}, .std = {1, 1}}},
         1,
         SOMA_SHAPE,
         "2 means for 3 channels"},
        {{{.kind = SOMA_TRANSFORM_NORMALIZE, .channels = 1}}, 1, SOMA_INVALID, "std must be above"},
        {{{.kind = SOMA_TRANSFORM_MIXUP}, {.kind = SOMA_TRANSFORM_FLIP}},
         2,
         SOMA_INVALID,
         "transforms.1.flip: mixup and cutmix work on whole batches: put them last"},
        {{{.kind = SOMA_TRANSFORM_STANDARDIZE}, {.kind = SOMA_TRANSFORM_INVERT}},
         2,
         SOMA_INVALID,
         "put it before normalize and standardize"},
        {{{.kind = SOMA_TRANSFORM_COLOR_JITTER}}, 1, SOMA_INVALID, "changes nothing"},
        {{{.kind = SOMA_TRANSFORM_GAUSSIAN_BLUR, .size = {4, 0}}}, 1, SOMA_INVALID, "must be odd"},
        {{{.kind = SOMA_TRANSFORM_GAUSSIAN_BLUR, .size = {15, 0}}},
         1,
         SOMA_SHAPE,
         "a kernel of 15 does not fit an image of 9x7"},
        {{{.kind = SOMA_TRANSFORM_ZOOM, .scale = {0.5, 1000}}},
         1,
         SOMA_INVALID,
         "scale: must be from 0.01 to 100"},
        {{{.kind = SOMA_TRANSFORM_FLIP},
          {.kind = SOMA_TRANSFORM_CENTER_CROP, .size = {4, 4}, .when = SOMA_WHEN_TRAIN}},
         2,
         SOMA_SHAPE,
         "training samples come out as u8 [4,4,3], all others as u8 [9,7,3]"},
    };
    soma_dataset *all = pictures(SOMA_U8), *out;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_error err = {0};
        soma_status status =
            soma_dataset_transform(&out, all, cases[i].list, cases[i].count, true, 1, &err);
        if (status != cases[i].status || !strstr(err.message, cases[i].message))
            fail_msg("case %zu: %s", i, err.message);
        assert_null(out);
    }
    /* No images, other dtypes, twice. */
    soma_error err = {0};
    soma_tensor *x, *y;
    soma_dataset *table;
    soma_transform flip = {.kind = SOMA_TRANSFORM_FLIP};
    assert_int_equal(soma_tensor_create(&x, SOMA_F64, SOMA_SHAPE(4, 5), NULL), SOMA_OK);
    assert_int_equal(soma_tensor_create(&y, SOMA_F32, SOMA_SHAPE(4), NULL), SOMA_OK);
    soma_tensor_fill(x, 0);
    soma_tensor_fill(y, 0);
    assert_int_equal(soma_dataset_from_tensors(&table, x, y, NULL), SOMA_OK);
    assert_int_equal(soma_dataset_transform(&out, table, &flip, 1, true, 1, &err), SOMA_DTYPE);
    assert_non_null(strstr(err.message, "takes u8 and f32 samples, got f64"));
    soma_dataset_release(table);
    soma_tensor_release(x);
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(4, 5), NULL), SOMA_OK);
    soma_tensor_fill(x, 0);
    assert_int_equal(soma_dataset_from_tensors(&table, x, y, NULL), SOMA_OK);
    assert_int_equal(soma_dataset_transform(&out, table, &flip, 1, true, 1, &err), SOMA_SHAPE);
    assert_non_null(strstr(err.message, "takes images [H,W,C], got samples of shape [5]"));
    soma_dataset_release(table);
    soma_tensor_release(x);
    soma_tensor_release(y);
    soma_dataset *once = transformed(all, &flip, 1, true);
    assert_int_equal(soma_dataset_transform(&out, once, &flip, 1, true, 1, &err), SOMA_STATE);
    soma_dataset_release(once);
    soma_dataset_release(all);
}

static void the_registry_is_whole(void **state)
{
    (void)state;
    for (int i = 0; i < soma__transform_type_count(); i++) {
        const soma__transform_type *type = soma__transform_type_at(i);
        const char *name, *doc;
        assert_non_null(type);
        assert_true(soma_transform_kind_text(i, &name, &doc));
        assert_ptr_equal(soma__transform_type_find(name), type);
        assert_true(*doc && type->when != SOMA_WHEN_DEFAULT && *type->shapes);
        bool primary = !type->primary, when = false;
        for (int k = 0; k < type->field_count; k++) {
            primary = primary || strcmp(type->fields[k].key, type->primary) == 0;
            when = when || strcmp(type->fields[k].key, "when") == 0;
        }
        assert_true(primary && when);
    }
    const char *name, *doc;
    assert_false(soma_transform_kind_text(soma__transform_type_count(), &name, &doc));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flips_are_exact),
        cmocka_unit_test(pad_crop_gives_every_window),
        cmocka_unit_test(center_crop_takes_the_middle),
        cmocka_unit_test(normalize_divides_bytes_by_255),
        cmocka_unit_test(draws_depend_on_seed_epoch_and_sample_alone),
        cmocka_unit_test(sources_of_all_kinds_give_the_same),
        cmocka_unit_test(evaluation_is_not_random),
        cmocka_unit_test(every_kind_works_on_every_image),
        cmocka_unit_test(rows_of_features_take_what_fits),
        cmocka_unit_test(noise_is_normal),
        cmocka_unit_test(mixed_targets_are_what_is_in_the_picture),
        cmocka_unit_test(lists_are_read_and_written),
        cmocka_unit_test(faults_are_told),
        cmocka_unit_test(the_registry_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
