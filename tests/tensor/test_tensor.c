/* Tensors, shapes, and conversions between dtypes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "tensor/convert.h"
#include "tensor/tensor.h"

/* The sanitizers would rather stop the program than refuse a request. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void dtypes(void **state)
{
    (void)state;
#define CHECK(name_, value_, size_, text_)                                                         \
    assert_int_equal(soma_dtype_size(SOMA_##name_), size_);                                        \
    assert_string_equal(soma_dtype_text(SOMA_##name_), text_);
    SOMA_DTYPE_LIST(CHECK)
#undef CHECK
    assert_int_equal(soma_dtype_size((soma_dtype)0), 0);
    assert_string_equal(soma_dtype_text((soma_dtype)99), "unknown dtype");
    assert_true(soma_dtype_is_float(SOMA_BF16));
    assert_false(soma_dtype_is_float(SOMA_I32));
}

static void shapes(void **state)
{
    (void)state;
    char text[SOMA_SHAPE_TEXT_SIZE], tiny[4];
    soma_shape a = SOMA_SHAPE(2, 3), b = SOMA_SHAPE(3, 1, 3), out, scalar = SOMA_SCALAR;
    assert_string_equal(soma_shape_text(&a, text, sizeof text), "[2,3]");
    assert_string_equal(soma_shape_text(&scalar, text, sizeof text), "[]");
    assert_string_equal(soma_shape_text(&a, tiny, sizeof tiny), "[2,");
    soma_shape widest = {.ndim = SOMA_MAX_DIMS};
    for (int i = 0; i < SOMA_MAX_DIMS; i++)
        widest.dim[i] = INT64_MIN;
    soma_shape_text(&widest, text, sizeof text);
    assert_int_equal(strlen(text), 8 * 20 + 7 + 2);
    widest.ndim = 1000; /* nonsense is printable */
    soma_shape_text(&widest, text, sizeof text);

    assert_true(soma_shape_equal(&a, &(soma_shape){2, {2, 3}}));
    assert_false(soma_shape_equal(&a, &b));
    assert_false(soma_shape_equal(&a, &SOMA_SHAPE(2, 4)));

    assert_true(soma__shape_broadcast(&a, &b, &out));
    assert_true(soma_shape_equal(&out, &SOMA_SHAPE(3, 2, 3)));
    assert_true(soma__shape_broadcast(&SOMA_SHAPE(1), &SOMA_SHAPE(0), &out));
    assert_true(soma_shape_equal(&out, &SOMA_SHAPE(0)));
    assert_true(soma__shape_broadcast(&scalar, &a, &out) && soma_shape_equal(&out, &a));
    assert_false(soma__shape_broadcast(&a, &SOMA_SHAPE(2), &out));
    assert_false(soma__shape_broadcast(&SOMA_SHAPE(0), &SOMA_SHAPE(2), &out));

    int64_t strides[SOMA_MAX_DIMS];
    soma__shape_strides(&SOMA_SHAPE(4, 2, 3), strides);
    assert_true(strides[0] == 6 && strides[1] == 3 && strides[2] == 1 && strides[3] == 0);
    soma__broadcast_strides(&b, &SOMA_SHAPE(5, 3, 2, 3), strides);
    assert_true(strides[0] == 0 && strides[1] == 3 && strides[2] == 0 && strides[3] == 1);
    soma__broadcast_strides(&scalar, &a, strides);
    assert_true(strides[0] == 0 && strides[1] == 0);

    int64_t count = 5;
    size_t bytes = 5;
    assert_true(soma__shape_count(&scalar, &count) && count == 1);
    assert_true(soma__shape_count(&SOMA_SHAPE(3, 0, 9), &count) && count == 0);
    assert_false(soma__shape_count(&SOMA_SHAPE(3, -1), &count));
    assert_false(soma__shape_count(&SOMA_SHAPE(0, -1), &count));
    assert_false(soma__shape_count(&SOMA_SHAPE(INT64_C(1) << 40, INT64_C(1) << 40), &count));
    assert_false(soma__shape_count(&SOMA_SHAPE(0, INT64_MAX, INT64_MAX), &count));
    assert_false(soma__shape_count(&(soma_shape){.ndim = 9}, &count));
    assert_false(soma__shape_count(&(soma_shape){.ndim = -1}, &count));
    assert_true(soma__shape_bytes(&a, SOMA_F64, &bytes) && bytes == 48);
    assert_false(soma__shape_bytes(&SOMA_SHAPE(INT64_MAX / 4), SOMA_F64, &bytes));
    assert_int_equal(bytes, 48);
}

static void create_fails(soma_dtype dtype, soma_shape shape, soma_status status, const char *part)
{
    soma_error err = {0};
    soma_tensor *tensor;
    assert_int_equal(soma_tensor_create(&tensor, dtype, shape, &err), status);
    assert_null(tensor);
    if (!strstr(err.message, part))
        fail_msg("expected '%s' in: %s", part, err.message);
}

static void tensors(void **state)
{
    (void)state;
    create_fails((soma_dtype)0, SOMA_SHAPE(2), SOMA_INVALID, "not a dtype");
    create_fails(SOMA_F32, SOMA_SHAPE(2, -3), SOMA_INVALID, "dimension 1 is negative: [2,-3]");
    create_fails(SOMA_F32, (soma_shape){.ndim = 9}, SOMA_INVALID, "9 dimensions");
    create_fails(SOMA_F32, SOMA_SHAPE(INT64_MAX, 2), SOMA_MEMORY, "larger than any memory");
    create_fails(SOMA_F64, SOMA_SHAPE(INT64_MAX / 4), SOMA_MEMORY, "larger than any memory");
    create_fails(SOMA_U8, SOMA_SHAPE(INT64_MAX / 2), SOMA_MEMORY, "takes 4.6 EB");

    soma_tensor *t, *copy;
    assert_int_equal(soma_tensor_create(&t, SOMA_F32, SOMA_SHAPE(2, 3), NULL), SOMA_OK);
    assert_int_equal(soma_tensor_dtype(t), SOMA_F32);
    assert_int_equal(soma_tensor_count(t), 6);
    assert_int_equal(soma_tensor_bytes(t), 24);
    assert_int_equal((uintptr_t)soma_tensor_data(t) % 64, 0);
    assert_ptr_equal(soma_tensor_f32(t), soma_tensor_const_data(t));
    for (int i = 0; i < 6; i++)
        assert_true(soma_tensor_get(t, i) == 0);
    soma_tensor_set(t, 5, 1.5);
    soma_tensor_set(t, 6, 9);
    soma_tensor_set(t, -1, 9);
    assert_true(soma_tensor_get(t, 5) == 1.5 && soma_tensor_get(t, 6) == 0);
    assert_true(soma_tensor_get(t, -1) == 0);

    soma_error err = {0};
    assert_int_equal(soma_tensor_reshape(&copy, t, SOMA_SHAPE(4), &err), SOMA_SHAPE);
    assert_string_equal(err.message, "reshape: [2,3] has 6 elements and cannot become [4]");
    assert_int_equal(soma_tensor_reshape(&copy, t, SOMA_SHAPE(3, 2), &err), SOMA_OK);
    assert_int_equal(soma_tensor_shape(copy)->dim[0], 3);
    assert_true(soma_tensor_get(copy, 5) == 1.5);
    soma_tensor_fill(copy, -2);
    assert_true(soma_tensor_get(t, 5) == 1.5 && soma_tensor_get(copy, 5) == -2);
    soma_tensor_release(copy);

    float own[2] = {1, 2};
    assert_int_equal(soma__tensor_wrap(&copy, SOMA_F32, SOMA_SHAPE(2), own, NULL), SOMA_OK);
    soma_tensor_set(copy, 1, 7);
    soma_tensor_release(copy);
    assert_true(own[1] == 7);

    assert_int_equal(soma_tensor_from(&copy, SOMA_I64, SOMA_SHAPE(0, 3), NULL, NULL), SOMA_OK);
    assert_int_equal(soma_tensor_count(copy), 0);
    assert_non_null(soma_tensor_data(copy));
    assert_null(soma_tensor_f32(copy));
    soma_tensor_fill(copy, 1);
    soma_tensor_release(copy);
    soma_tensor_release(t);
    soma_tensor_release(NULL);
    assert_null(soma_tensor_retain(NULL));

    assert_int_equal(soma_tensor_create(&t, SOMA_F64, SOMA_SHAPE(50001), NULL), SOMA_OK);
    soma_tensor_fill(t, 0.1);
    for (int64_t i = 0; i < 50001; i++)
        assert_true(soma_tensor_get(t, i) == 0.1);
    soma_tensor_release(t);
}

static void *retain_and_release(void *tensor)
{
    for (int i = 0; i < 20000; i++)
        soma_tensor_release(soma_tensor_retain(tensor));
    soma_tensor_release(tensor);
    return NULL;
}

static void references_are_counted_across_threads(void **state)
{
    (void)state;
    soma_tensor *t;
    pthread_t threads[3];
    assert_int_equal(soma_tensor_create(&t, SOMA_U8, SOMA_SHAPE(8), NULL), SOMA_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, retain_and_release, soma_tensor_retain(t)), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&t->references), 1);
    soma_tensor_release(t);
}

/* Every one of the 65536 values, by the definition of the format. */
static void halves_to_float(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        int exponent = (int)(h >> 10 & 31), fraction = (int)(h & 1023);
        float f = soma__f16_to_f32((uint16_t)h);
        float sign = h & 0x8000 ? -1.0F : 1.0F;
        if (exponent == 31)
            assert_true(fraction ? isnan(f) : isinf(f) && (f < 0) == (sign < 0));
        else if (exponent == 0)
            assert_true(f == sign * ldexpf((float)fraction, -24) && !signbit(f) == (sign > 0));
        else
            assert_true(f == sign * ldexpf((float)(1024 + fraction), exponent - 25));
        /* And back: the same bits, except that a NaN becomes quiet. */
        uint16_t quiet = isnan(f) ? 0x200 : 0;
        assert_int_equal(soma__f32_to_f16(f), h | quiet);
        float g = soma__bf16_to_f32((uint16_t)h);
        assert_int_equal(soma__f32_to_bf16(g), h | (isnan(g) ? 0x40 : 0));
    }
}

/* Between two neighbours: below the middle goes down, above it up, the middle to the even one. */
static void check_between(float low, float high, uint16_t low_bits, uint16_t (*convert)(float))
{
    double middle = ((double)low + (double)high) / 2;
    float m = (float)middle;
    assert_true((double)m == middle);
    uint16_t high_bits = (uint16_t)(low_bits + 1);
    assert_int_equal(convert(m), low_bits & 1 ? high_bits : low_bits);
    assert_int_equal(convert(nextafterf(m, 0)), low_bits);
    assert_int_equal(convert(nextafterf(m, INFINITY)), high_bits);
    assert_int_equal(convert(-m), 0x8000 | (low_bits & 1 ? high_bits : low_bits));
}

static void float_to_halves(void **state)
{
    (void)state;
    for (uint16_t h = 0; h < 0x7BFF; h++)
        check_between(soma__f16_to_f32(h), soma__f16_to_f32((uint16_t)(h + 1)), h,
                      soma__f32_to_f16);
    for (uint16_t h = 0; h < 0x7F7F; h++)
        check_between(soma__bf16_to_f32(h), soma__bf16_to_f32((uint16_t)(h + 1)), h,
                      soma__f32_to_bf16);
    assert_int_equal(soma__f32_to_f16(65519.996F), 0x7BFF);
    assert_int_equal(soma__f32_to_f16(65520.0F), 0x7C00);
    assert_int_equal(soma__f32_to_f16(-INFINITY), 0xFC00);
    assert_int_equal(soma__f32_to_bf16(3.4028235e38F), 0x7F80);
    assert_int_equal(soma__f32_to_bf16(INFINITY), 0x7F80);
    uint32_t bits = 0x7F800001; /* a NaN whose payload is all in the lower half */
    float nan;
    memcpy(&nan, &bits, 4);
    assert_true(isnan(soma__bf16_to_f32(soma__f32_to_bf16(nan))));
    assert_true(isnan(soma__f16_to_f32(soma__f32_to_f16(nan))));
}

static void check_store(soma_dtype dtype, double value, double expected)
{
    uint64_t element = 0;
    soma__store(dtype, &element, 0, value);
    double back = soma__load(dtype, &element, 0);
    if (!(back == expected))
        fail_msg("%s: %.17g gives %.17g, not %.17g", soma_dtype_text(dtype), value, back, expected);
}

static void numbers_are_rounded_and_saturated(void **state)
{
    (void)state;
    const double nan = (double)NAN, inf = HUGE_VAL;
    const soma_dtype integers[] = {SOMA_I8, SOMA_U8, SOMA_I32, SOMA_I64};
    for (int i = 0; i < 4; i++) {
        check_store(integers[i], 0.5, 0);
        check_store(integers[i], 1.5, 2);
        check_store(integers[i], 2.5, 2);
        check_store(integers[i], nan, 0);
    }
    check_store(SOMA_I8, -2.5, -2);
    check_store(SOMA_I8, 127.4, 127);
    check_store(SOMA_I8, 127.5, 127);
    check_store(SOMA_I8, -1e9, -128);
    check_store(SOMA_U8, -0.5, 0);
    check_store(SOMA_U8, -7, 0);
    check_store(SOMA_U8, 255.5, 255);
    check_store(SOMA_U8, inf, 255);
    check_store(SOMA_I32, inf, 2147483647);
    check_store(SOMA_I32, -inf, -2147483648.0);
    check_store(SOMA_I32, 2147483647.5, 2147483647);
    check_store(SOMA_I64, inf, 0x1p63); /* INT64_MAX as a double */
    check_store(SOMA_I64, -inf, -0x1p63);
    check_store(SOMA_I64, 0x1p62, 0x1p62);
    check_store(SOMA_BOOL, 0, 0);
    check_store(SOMA_BOOL, -0.0, 0);
    check_store(SOMA_BOOL, 0.1, 1);
    check_store(SOMA_BOOL, nan, 1);
    check_store(SOMA_F32, 1e300, inf);
    /* Just above a tie: by way of a float that rounds to nearest, it would fall to the even side.
     */
    check_store(SOMA_BF16, 1 + 0x1p-8 + 0x1p-40, 1 + 0x1p-7);
    check_store(SOMA_BF16, 1 + 0x1p-8, 1);
    check_store(SOMA_BF16, 1 + 3 * 0x1p-8 - 0x1p-40, 1 + 0x1p-7);
    check_store(SOMA_F16, 1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-10);
    check_store(SOMA_F16, 0x1p-25 + 0x1p-60, 0x1p-24);
    check_store(SOMA_F16, 0x1p-25, 0);
    check_store(SOMA_F16, 65520 - 0x1p-30, 65504);
    check_store(SOMA_BF16, 1e300, inf);
    check_store(SOMA_BF16, -1e-300, 0);
}

static void casts(void **state)
{
    (void)state;
    const soma_dtype all[] = {SOMA_F32, SOMA_F64, SOMA_F16, SOMA_BF16, SOMA_I8,
                              SOMA_U8,  SOMA_I32, SOMA_I64, SOMA_BOOL};
    for (int from = 0; from < 9; from++)
        for (int to = 0; to < 9; to++) {
            soma_tensor *a, *b;
            assert_int_equal(soma_tensor_create(&a, all[from], SOMA_SHAPE(3, 100), NULL), SOMA_OK);
            for (int64_t i = 0; i < 300; i++)
                soma_tensor_set(a, i, (double)i * 0.37 - 40);
            assert_int_equal(soma_tensor_cast(&b, a, all[to], NULL), SOMA_OK);
            assert_true(soma_shape_equal(soma_tensor_shape(a), soma_tensor_shape(b)));
            for (int64_t i = 0; i < 300; i++) {
                uint64_t element = 0;
                soma__store(all[to], &element, 0, soma_tensor_get(a, i));
                assert_true(soma_tensor_get(b, i) == soma__load(all[to], &element, 0));
            }
            soma_tensor_release(a);
            soma_tensor_release(b);
        }

    /* i64 keeps all its bits to i64, and is rounded once to a narrow float. */
    int64_t big[] = {INT64_MAX, INT64_MIN, (INT64_C(1) << 62) + (INT64_C(1) << 54) + 1,
                     (INT64_C(1) << 62) + (INT64_C(1) << 38) + 1, -(INT64_C(1) << 53) - 1};
    float f[5];
    uint16_t h[5];
    double d[5];
    soma__convert(SOMA_F32, f, SOMA_I64, big, 5);
    soma__convert(SOMA_BF16, h, SOMA_I64, big, 5);
    soma__convert(SOMA_F64, d, SOMA_I64, big, 5);
    for (int i = 0; i < 5; i++) {
        assert_true(f[i] == (float)big[i]);
        assert_true(d[i] == (double)big[i]);
    }
    assert_true(soma__bf16_to_f32(h[2]) == 0x1p62F + 0x1p55F);
    soma_tensor *a, *b;
    assert_int_equal(soma_tensor_from(&a, SOMA_I64, SOMA_SHAPE(5), big, NULL), SOMA_OK);
    assert_int_equal(soma_tensor_cast(&b, a, SOMA_I64, NULL), SOMA_OK);
    assert_memory_equal(soma_tensor_data(b), big, sizeof big);
    soma_tensor_release(b);
    soma_error err = {0};
    assert_int_equal(soma_tensor_cast(&b, a, (soma_dtype)50, &err), SOMA_INVALID);
    soma_tensor_release(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dtypes),
        cmocka_unit_test(shapes),
        cmocka_unit_test(tensors),
        cmocka_unit_test(references_are_counted_across_threads),
        cmocka_unit_test(halves_to_float),
        cmocka_unit_test(float_to_halves),
        cmocka_unit_test(numbers_are_rounded_and_saturated),
        cmocka_unit_test(casts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
