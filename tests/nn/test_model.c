/* Models: prediction, scaling, freezing, and model files, whole and damaged. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "format/safetensors.h"
#include "nn/nn.h"

/* A bit of everything that a file has to keep. */
static soma_model *everything(void)
{
    soma_error err = {0};
    soma_layer *body =
        soma_layer_sequential(soma_layer_conv2d(4, 3, .padding = SOMA_PAD_SAME, .no_bias = true),
                              soma_layer_batch_norm(), soma_layer_activation(SOMA_GELU));
    soma_layer *branches = soma_layer_concat_list(
        (soma_layer *const[]){soma_layer_max_pool2d(2), soma_layer_avg_pool2d(2), NULL});
    soma_model *model = model_of(
        soma_layer_sequential(soma_layer_conv2d(4, 3, .stride = {2, 1}, .pad = {1, 0, 1, 2}),
                              soma_layer_residual(body, NULL, SOMA_RELU), branches,
                              soma_layer_spatial_dropout(0.1), soma_layer_flatten(),
                              soma_layer_dense(8, .activation = SOMA_TANH, .frozen = true),
                              soma_layer_layer_norm(.eps = 1e-3, .name = "last"),
                              soma_layer_dropout(0.5), soma_layer_dense(3)),
        SOMA_SHAPE(8, 8, 2), SOMA_TASK_CLASSIFY);
    soma_tensor *shift = tensor_of(SOMA_SHAPE(2), (const float[]){0.5F, 0.25F});
    soma_tensor *scale = tensor_of(SOMA_SCALAR, (const float[]){2});
    assert_ok(soma_model_set_scaling(model, shift, scale, &err), err);
    assert_ok(
        soma_model_set_classes(model, (const char *const[]){"cat", "dög", "\"quoted\""}, 3, &err),
        err);
    soma_tensor_fill(soma_model_find(model, "residual1.body.norm1.running_var")->tensor, 1.5);
    soma_tensor_release(shift);
    soma_tensor_release(scale);
    return model;
}

static soma_tensor *predict(soma_model *model, const soma_tensor *x)
{
    soma_error err = {0};
    soma_tensor *y;
    assert_ok(soma_model_predict(model, x, &y, &err), err);
    return y;
}

static void assert_same_bits(const soma_tensor *a, const soma_tensor *b)
{
    assert_true(soma_shape_equal(soma_tensor_shape(a), soma_tensor_shape(b)));
    assert_memory_equal(soma_tensor_const_data(a), soma_tensor_const_data(b), soma_tensor_bytes(a));
}

/* --- prediction
 * ----------------------------------------------------------------------------------- */

static void predicts_any_batch(void **state)
{
    soma_error err = {0};
    soma_model *model = everything();
    soma_tensor *x = noise(SOMA_SHAPE(600, 8, 8, 2), 1), *part;
    soma_tensor *all = predict(model, x);
    (void)state;
    assert_true(soma_shape_equal(soma_tensor_shape(all), &SOMA_SHAPE(600, 3)));
    static const int64_t sizes[] = {1, 5, 255, 256, 257, 1, 7, 9, 11, 5};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_ok(soma_tensor_from(&part, SOMA_F32, SOMA_SHAPE(sizes[i], 8, 8, 2),
                                   soma_tensor_const_data(x), &err),
                  err);
        soma_tensor *y = predict(model, part);
        for (int64_t k = 0; k < soma_tensor_count(y); k++)
            assert_true(fabs(soma_tensor_get(y, k) - soma_tensor_get(all, k)) < 1e-5);
        soma_tensor_release(y);
        soma_tensor_release(part);
    }
    assert_ok(soma_tensor_create(&part, SOMA_F32, SOMA_SHAPE(0, 8, 8, 2), &err), err);
    soma_tensor *none = predict(model, part);
    assert_true(soma_shape_equal(soma_tensor_shape(none), &SOMA_SHAPE(0, 3)));
    soma_tensor_release(none);
    soma_tensor_release(part);
    soma_tensor_release(all);
    soma_tensor_release(x);
    soma_model_destroy(model);
}

/* The weights that a model keeps prepared are those that it has, however they were changed. */
static void predicts_with_new_weights(void **state)
{
    soma_error err = {0};
    soma_model *model = everything(), *other;
    soma_tensor *x = noise(SOMA_SHAPE(3, 8, 8, 2), 1);
    soma_tensor *weight = soma_model_find(model, "conv1.weight")->tensor;
    (void)state;
    const char *path = scratch("weights.safetensors");
    assert_ok(soma_model_save(model, path, &err), err);
    soma_tensor *first = predict(model, x), *again = predict(model, x);
    assert_same_bits(first, again);

    soma_tensor_set(weight, 0, 3);
    soma_tensor *changed = predict(model, x);
    assert_true(memcmp(soma_tensor_const_data(changed), soma_tensor_const_data(first),
                       soma_tensor_bytes(first)) != 0);
    assert_ok(soma_model_load_weights(model, path, &err), err);
    soma_tensor *loaded = predict(model, x);
    assert_same_bits(loaded, first);

    soma_tensor_f32(weight)[0] = 3; /* from here on it is packed at each call */
    soma_tensor *pointed = predict(model, x);
    assert_same_bits(pointed, changed);
    assert_ok(soma_model_load(&other, context, path, &err), err);
    soma_tensor *fresh = predict(other, x);
    assert_same_bits(fresh, first);

    soma_tensor *all[] = {first, again, changed, loaded, pointed, fresh, x};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        soma_tensor_release(all[i]);
    soma_model_destroy(model);
    soma_model_destroy(other);
}

static void predicts_other_dtypes(void **state)
{
    static const soma_dtype dtypes[] = {SOMA_U8, SOMA_F64, SOMA_I32};
    soma_error err = {0};
    soma_model_options options = {
        .input = SOMA_SHAPE(4), .input_dtype = SOMA_U8, .task = SOMA_TASK_REGRESS};
    soma_model *model;
    soma_tensor *cast;
    (void)state;
    assert_ok(soma_model_create(&model, context, soma_layer_dense(3), &options, &err), err);
    soma_tensor *x = tensor_of(SOMA_SHAPE(2, 4), (const float[]){0, 1, 255, 3, 9, 8, 7, 6});
    soma_tensor *want = predict(model, x);
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        assert_ok(soma_tensor_cast(&cast, x, dtypes[i], &err), err);
        soma_tensor *y = predict(model, cast);
        assert_same_bits(y, want);
        soma_tensor_release(y);
        soma_tensor_release(cast);
    }
    soma_tensor_release(want);
    soma_tensor_release(x);
    soma_model_destroy(model);
}

static void sees_new_weights(void **state)
{
    soma_model *model = model_of(soma_layer_dense(1, .init = {.kind = SOMA_INIT_ONES}),
                                 SOMA_SHAPE(2), SOMA_TASK_REGRESS);
    soma_tensor *x = tensor_of(SOMA_SHAPE(1, 2), (const float[]){1, 2});
    (void)state;
    for (int i = 1; i < 4; i++) {
        soma_tensor_fill(soma_model_find(model, "dense1.weight")->tensor, i);
        soma_tensor *y = predict(model, x);
        assert_true(fabs(soma_tensor_get(y, 0) - 3 * i) < 1e-6);
        soma_tensor_release(y);
    }
    soma_tensor_release(x);
    soma_model_destroy(model);
}

static void refuses_other_shapes(void **state)
{
    soma_error err = {0};
    soma_model *model = everything();
    soma_tensor *y, *one = noise(SOMA_SHAPE(8, 8, 2), 1), *flat = noise(SOMA_SHAPE(2, 128), 1);
    (void)state;
    assert_int_equal(soma_model_predict(model, one, &y, &err), SOMA_SHAPE);
    assert_contains(err.message, "[8,8,2], got [8,8,2]; one sample needs a first dimension of 1");
    assert_int_equal(soma_model_predict(model, flat, &y, &err), SOMA_SHAPE);
    assert_contains(err.message, "samples of shape [8,8,2], got [2,128]");
    assert_null(y);
    assert_int_equal(soma_model_predict(model, NULL, &y, &err), SOMA_INVALID);
    soma_tensor_release(one);
    soma_tensor_release(flat);
    soma_model_destroy(model);
}

/* --- scaling, classes
 * ------------------------------------------------------------------------------ */

static void scales_inputs(void **state)
{
    soma_error err = {0};
    soma_model *model =
        model_of(soma_layer_sequential_list(NULL), SOMA_SHAPE(2), SOMA_TASK_REGRESS);
    soma_tensor *x = tensor_of(SOMA_SHAPE(1, 2), (const float[]){3, 7});
    soma_tensor *shift = tensor_of(SOMA_SHAPE(2), (const float[]){1, 2});
    soma_tensor *scale = tensor_of(SOMA_SHAPE(1), (const float[]){10});
    soma_tensor *y = predict(model, x);
    (void)state;
    assert_same_bits(x, y);
    soma_tensor_release(y);
    assert_ok(soma_model_set_scaling(model, shift, scale, &err), err);
    y = predict(model, x);
    assert_true(fabs(soma_tensor_get(y, 0) - 20) < 1e-6 && fabs(soma_tensor_get(y, 1) - 50) < 1e-6);
    soma_tensor_release(y);
    assert_true(soma_model_find(model, "input.shift")->buffer);
    assert_int_equal(soma_model_size(model, false), 0);

    /* A second scaling takes the first one's place. */
    assert_ok(soma_model_set_scaling(model, scale, shift, &err), err);
    assert_int_equal(soma_model_parameter_count(model), 2);
    y = predict(model, x);
    assert_true(fabs(soma_tensor_get(y, 0) + 7) < 1e-6 && fabs(soma_tensor_get(y, 1) + 6) < 1e-6);
    soma_tensor_release(y);

    soma_tensor *wide = noise(SOMA_SHAPE(3), 1);
    assert_int_equal(soma_model_set_scaling(model, wide, scale, &err), SOMA_SHAPE);
    assert_contains(err.message, "the shift [3] does not broadcast to a sample of [2]");
    assert_int_equal(soma_model_set_scaling(model, shift, NULL, &err), SOMA_INVALID);
    soma_tensor_release(wide);
    soma_tensor_release(shift);
    soma_tensor_release(scale);
    soma_tensor_release(x);
    soma_model_destroy(model);
}

static void names_classes(void **state)
{
    soma_error err = {0};
    soma_model *model = everything();
    static const char *const four[] = {"a", "b", "c", "d"};
    static const char *const hole[] = {"a", NULL, "c"};
    (void)state;
    assert_string_equal(soma_model_class(model, 1), "dög");
    assert_int_equal(soma_model_set_classes(model, four, 4, &err), SOMA_INVALID);
    assert_contains(err.message, "4 class names for a model with 3 classes");
    assert_int_equal(soma_model_set_classes(model, hole, 3, &err), SOMA_INVALID);
    assert_string_equal(soma_model_class(model, 0), "cat");
    assert_null(soma_model_class(model, -1));
    soma_model_destroy(model);
    model = model_of(soma_layer_dense(3), SOMA_SHAPE(2), SOMA_TASK_REGRESS);
    assert_int_equal(soma_model_class_count(model), 0);
    assert_int_equal(soma_model_set_classes(model, four, 3, &err), SOMA_STATE);
    assert_ptr_equal(soma_model_context(model), context);
    soma_model_destroy(model);
}

/* --- files
 * ------------------------------------------------------------------------------------------ */

static void comes_back_from_a_file(void **state)
{
    soma_error err = {0};
    const char *path = scratch("model.safetensors");
    soma_model *model = everything(), *back;
    soma_tensor *x = noise(SOMA_SHAPE(5, 8, 8, 2), 3);
    (void)state;
    assert_int_equal(soma_model_freeze(model, "conv1.", true), 2);
    assert_ok(soma_model_save(model, path, &err), err);
    assert_ok(soma_model_load(&back, context, path, &err), err);

    assert_int_equal(soma_model_parameter_count(back), soma_model_parameter_count(model));
    for (int i = 0; i < soma_model_parameter_count(model); i++) {
        const soma_parameter *a = soma_model_parameter(model, i),
                             *b = soma_model_parameter(back, i);
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->trainable, b->trainable);
        assert_int_equal(a->buffer, b->buffer);
        assert_same_bits(a->tensor, b->tensor);
    }
    for (int i = 0; i < 3; i++)
        assert_string_equal(soma_model_class(model, i), soma_model_class(back, i));
    const soma_model_options *a = soma_model_get_options(model), *b = soma_model_get_options(back);
    assert_true(soma_shape_equal(&a->input, &b->input));
    assert_int_equal(a->task, b->task);
    assert_int_equal(a->input_dtype, b->input_dtype);
    soma_tensor *y = predict(model, x), *again = predict(back, x);
    assert_same_bits(y, again);
    soma_tensor_release(y);
    soma_tensor_release(again);

    /* Saving what was loaded gives the same bytes. */
    void *first, *second;
    size_t first_size, second_size;
    assert_ok(soma__file_read(&first, &first_size, path, 0, &err), err);
    assert_ok(soma_model_save(back, path, &err), err);
    assert_ok(soma__file_read(&second, &second_size, path, 0, &err), err);
    assert_int_equal(first_size, second_size);
    assert_memory_equal(first, second, first_size);
    soma__free(first);
    soma__free(second);
    soma_tensor_release(x);
    soma_model_destroy(model);
    soma_model_destroy(back);
}

/* A small model in memory as a file: the bytes are the caller's. */
static void *small_file(size_t *size)
{
    soma_error err = {0};
    void *bytes;
    soma_model *model =
        model_of(soma_layer_sequential(soma_layer_dense(2), soma_layer_batch_norm()), SOMA_SHAPE(2),
                 SOMA_TASK_CLASSIFY);
    assert_ok(soma_model_save(model, scratch("small.safetensors"), &err), err);
    assert_ok(soma__file_read(&bytes, size, scratch("small.safetensors"), 0, &err), err);
    soma_model_destroy(model);
    return bytes;
}

static soma_status parse_model(const void *bytes, size_t size, soma_error *err)
{
    soma__archive archive = {0};
    soma_model *model = NULL;
    soma_status status = soma__archive_parse(&archive, bytes, size, "small", err);
    if (status == SOMA_OK)
        status = soma__model_from_archive(&model, context, &archive, "small", err);
    soma__archive_clear(&archive);
    assert_int_equal(model != NULL, status == SOMA_OK);
    soma_model_destroy(model);
    return status;
}

static void notices_damage(void **state)
{
    soma_error err = {0};
    size_t size;
    unsigned char *bytes = small_file(&size);
    (void)state;
    assert_ok(parse_model(bytes, size, &err), err);
    for (size_t bit = 0; bit < size * 8; bit++) {
        err = (soma_error){0};
        bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
        if (parse_model(bytes, size, &err) == SOMA_OK)
            fail_msg("bit %zu of byte %zu was flipped and nobody noticed", bit % 8, bit / 8);
        assert_true(*err.message);
        bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    for (size_t cut = 0; cut < size; cut++) {
        void *part = malloc(cut ? cut : 1);
        memcpy(part, bytes, cut);
        assert_int_not_equal(parse_model(part, cut, &err), SOMA_OK);
        free(part);
    }
    soma__free(bytes);
}

/* Loads the small model's archive after `change` had its way with it. */
typedef void change_fn(soma__archive *archive, const char *key, const char *text);

static void set_meta(soma__archive *archive, const char *key, const char *text)
{
    soma_error err = {0};
    assert_ok(soma__archive_set_meta(archive, key, text, &err), err);
}

/* Tensor `key` under another name. */
static void rename_tensor(soma__archive *archive, const char *key, const char *text)
{
    for (size_t i = 0; i < archive->count; i++)
        if (strcmp(archive->entries[i].name, key) == 0) {
            soma__archive copy = {0};
            soma_error err = {0};
            for (size_t k = 0; k < archive->count; k++)
                assert_ok(soma__archive_add(&copy, k == i ? text : archive->entries[k].name,
                                            archive->entries[k].tensor, &err),
                          err);
            for (size_t k = 0; k < archive->meta_count; k++)
                assert_ok(soma__archive_set_meta(&copy, archive->meta[k].key,
                                                 archive->meta[k].value, &err),
                          err);
            soma__archive_clear(archive);
            *archive = copy;
            return;
        }
    fail_msg("there is no '%s'", key);
}

static void add_tensor(soma__archive *archive, const char *key, const char *text)
{
    soma_error err = {0};
    soma_tensor *tensor = noise(SOMA_SHAPE(2), 1);
    (void)text;
    assert_ok(soma__archive_add(archive, key, tensor, &err), err);
    soma_tensor_release(tensor);
}

static void double_tensor(soma__archive *archive, const char *key, const char *text)
{
    (void)text;
    for (size_t i = 0; i < archive->count; i++)
        if (strcmp(archive->entries[i].name, key) == 0) {
            soma_error err = {0};
            soma_tensor *wide;
            assert_ok(soma_tensor_cast(&wide, archive->entries[i].tensor, SOMA_F64, &err), err);
            soma_tensor_release(archive->entries[i].tensor);
            archive->entries[i].tensor = wide;
        }
}

static void refuses_what_does_not_fit(void **state)
{
    static const struct {
        change_fn *change;
        const char *key, *text;
        soma_status code;
        const char *part;
    } cases[] = {
        {set_meta, "soma.model", "2", SOMA_UNSUPPORTED, "model version '2' (written by soma "},
        {set_meta, "soma.architecture", "[{\"dense\": 3}, \"batch_norm\"]", SOMA_SHAPE,
         "'dense1.weight' is [2,2] in small, but the architecture needs [3,2]"},
        {set_meta, "soma.architecture", "[{\"dense\": 2}]", SOMA_FORMAT,
         "'norm1.weight', which its architecture does not have"},
        {set_meta, "soma.architecture", "[{\"dense\": 2}, \"batch_norm\", {\"dense\": 2}]",
         SOMA_FORMAT, "lacks the tensor 'dense2.weight'"},
        {set_meta, "soma.architecture", "[{\"dens\": 2}]", SOMA_INVALID, "did you mean 'dense'"},
        {set_meta, "soma.architecture", "[", SOMA_FORMAT, "soma.architecture"},
        {set_meta, "soma.architecture", "7", SOMA_INVALID, "expected a layer"},
        {set_meta, "soma.architecture", "[{\"dense\": 4611686018427387904}]", SOMA_SHAPE,
         "the architecture needs"},
        {set_meta, "soma.input", "[3]", SOMA_SHAPE, "needs [2,3]"},
        {set_meta, "soma.input", "[2.5]", SOMA_FORMAT, "whole numbers"},
        {set_meta, "soma.input", "{}", SOMA_FORMAT, "whole numbers"},
        {set_meta, "soma.input", "[1,1,1,1,1,1,1,1,1,1,1]", SOMA_FORMAT, "at most 7"},
        {set_meta, "soma.input", "[-2]", SOMA_SHAPE, "at least 1"},
        {set_meta, "soma.input_dtype", "i64", SOMA_FORMAT, "f32 or u8, not 'i64'"},
        {set_meta, "soma.task", "guess", SOMA_FORMAT, "unknown task 'guess'"},
        {set_meta, "soma.classes", "[\"a\"]", SOMA_INVALID, "1 class names for a model with 2"},
        {set_meta, "soma.classes", "[1, 2]", SOMA_FORMAT, "must be a list of names"},
        {set_meta, "soma.frozen", "[\"fc.weight\"]", SOMA_FORMAT, "unknown 'fc.weight'"},
        {set_meta, "soma.frozen", "3", SOMA_FORMAT, "must be a list of names"},
        {rename_tensor, "norm1.bias", "norm2.bias", SOMA_FORMAT, "lacks the tensor 'norm1.bias'"},
        {add_tensor, "more.weight", NULL, SOMA_FORMAT, "'more.weight', which its architecture"},
        {add_tensor, "input.shift", NULL, SOMA_FORMAT, "one of input.shift and input.scale"},
        {double_tensor, "dense1.bias", NULL, SOMA_DTYPE, "'dense1.bias' in small is f64"},
        {add_tensor, "optimizer/dense1.weight", NULL, SOMA_OK, ""},
    };
    size_t size;
    void *bytes = small_file(&size);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_error err = {0};
        soma__archive archive = {0};
        soma_model *model;
        assert_ok(soma__archive_parse(&archive, bytes, size, "small", &err), err);
        cases[i].change(&archive, cases[i].key, cases[i].text);
        soma_status status = soma__model_from_archive(&model, context, &archive, "small", &err);
        assert_contains(err.message, cases[i].part);
        if (status != cases[i].code)
            fail_msg("case %zu: status %d: %s", i, status, err.message);
        soma_model_destroy(model);
        soma__archive_clear(&archive);
    }
    soma__free(bytes);
}

static void refuses_other_files(void **state)
{
    soma_error err = {0};
    soma_model *model;
    soma__archive archive = {0};
    const char *path = scratch("foreign.safetensors");
    (void)state;
    add_tensor(&archive, "fc.weight", NULL);
    assert_ok(soma__archive_write(&archive, path, &err), err);
    soma__archive_clear(&archive);
    assert_int_equal(soma_model_load(&model, context, path, &err), SOMA_FORMAT);
    assert_contains(err.message, "is not a model that soma saved");
    assert_contains(err.message, "foreign.safetensors");
    assert_null(model);
    assert_int_equal(soma_model_load(&model, context, scratch("absent"), &err), SOMA_IO);
    assert_int_equal(soma_model_load(&model, context, "/", &err), SOMA_IO);
    model = model_of(soma_layer_dense(2), SOMA_SHAPE(2), SOMA_TASK_REGRESS);
    assert_int_equal(soma_model_save(model, "/no/such/folder/model", &err), SOMA_IO);
    soma_model_destroy(model);
}

/* --- weights only
 * ------------------------------------------------------------------------------------ */

static void loads_weights(void **state)
{
    soma_error err = {0};
    const char *path = scratch("weights.safetensors");
    soma__archive archive = {0};
    soma_model *model = model_of(soma_layer_dense(2), SOMA_SHAPE(2), SOMA_TASK_REGRESS);
    soma_tensor *weight = tensor_of(SOMA_SHAPE(2, 2), (const float[]){1, 2, 3, 4}), *wide, *half;
    soma_tensor *bias = tensor_of(SOMA_SHAPE(2), (const float[]){5, 6});
    const soma_tensor *mine = soma_model_find(model, "dense1.weight")->tensor;
    double before = soma_tensor_get(mine, 3);
    (void)state;

    /* The bias is missing: nothing changes. Other tools keep other dtypes. */
    assert_ok(soma_tensor_cast(&wide, weight, SOMA_F64, &err), err);
    assert_ok(soma_tensor_cast(&half, bias, SOMA_BF16, &err), err);
    assert_ok(soma__archive_add(&archive, "dense1.weight", wide, &err), err);
    assert_ok(soma__archive_write(&archive, path, &err), err);
    assert_int_equal(soma_model_load_weights(model, path, &err), SOMA_NOT_FOUND);
    assert_contains(err.message, "lacks the tensor 'dense1.bias'");
    assert_true(fabs(soma_tensor_get(mine, 3) - before) < 1e-9);

    assert_ok(soma__archive_add(&archive, "dense1.bias", half, &err), err);
    assert_ok(soma__archive_add(&archive, "norm.num_batches_tracked", weight, &err), err);
    assert_ok(soma__archive_write(&archive, path, &err), err);
    assert_ok(soma_model_load_weights(model, path, &err), err);
    for (int i = 0; i < 4; i++)
        assert_true(fabs(soma_tensor_get(mine, i) - (i + 1)) < 1e-9);
    assert_true(fabs(soma_tensor_get(soma_model_find(model, "dense1.bias")->tensor, 1) - 6) < 1e-9);

    assert_ok(soma__archive_add(&archive, "other.weight", weight, &err), err);
    assert_ok(soma__archive_write(&archive, path, &err), err);
    assert_int_equal(soma_model_load_weights(model, path, &err), SOMA_NOT_FOUND);
    assert_contains(err.message, "'other.weight', which the model does not have");
    soma_model_destroy(model);

    model = model_of(soma_layer_dense(3), SOMA_SHAPE(2), SOMA_TASK_REGRESS);
    assert_int_equal(soma_model_load_weights(model, path, &err), SOMA_SHAPE);
    assert_contains(err.message, "'dense1.weight' is [2,2] in");
    assert_contains(err.message, "but [3,2] in the model");
    soma_model_destroy(model);
    soma__archive_clear(&archive);
    soma_tensor_release(weight);
    soma_tensor_release(wide);
    soma_tensor_release(bias);
    soma_tensor_release(half);
}

static void loads_weights_of_a_model(void **state)
{
    soma_error err = {0};
    const char *path = scratch("weights.safetensors");
    soma_model *from = everything(), *to = everything();
    soma_tensor *x = noise(SOMA_SHAPE(2, 8, 8, 2), 9);
    (void)state;
    soma_tensor_fill(soma_model_find(from, "dense2.weight")->tensor, 0.25);
    assert_ok(soma_model_save(from, path, &err), err);
    soma_tensor *before = predict(to, x);
    assert_ok(soma_model_load_weights(to, path, &err), err);
    soma_tensor *want = predict(from, x), *y = predict(to, x);
    assert_same_bits(y, want);
    assert_memory_not_equal(soma_tensor_data(before), soma_tensor_data(y), soma_tensor_bytes(y));
    soma_tensor_release(before);
    soma_tensor_release(want);
    soma_tensor_release(y);
    soma_tensor_release(x);
    soma_model_destroy(from);
    soma_model_destroy(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predicts_any_batch),
        cmocka_unit_test(predicts_with_new_weights),
        cmocka_unit_test(predicts_other_dtypes),
        cmocka_unit_test(sees_new_weights),
        cmocka_unit_test(refuses_other_shapes),
        cmocka_unit_test(scales_inputs),
        cmocka_unit_test(names_classes),
        cmocka_unit_test(comes_back_from_a_file),
        cmocka_unit_test(notices_damage),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(refuses_other_files),
        cmocka_unit_test(loads_weights),
        cmocka_unit_test(loads_weights_of_a_model),
    };
    return cmocka_run_group_tests_name("model", tests, open_context, close_context);
}
