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
    {.kind = SOMA_TRANSFORM_NORMALIZE, .channels = 1, .mean = {0.5}, .std = {0.5}},
};
#define EVERYTHING ((int)(sizeof everything / sizeof everything[0]))

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
    read_one(over, 1, b);
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
    soma_dataset *a = transformed(all, everything, EVERYTHING, true);
    soma_dataset *b = transformed(called, everything, EVERYTHING, true);
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
        cmocka_unit_test(faults_are_told),
        cmocka_unit_test(the_registry_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
