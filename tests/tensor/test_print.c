/* Tensors as text. The expected texts are what NumPy prints for the same arrays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <string.h>

#include "tensor/tensor.h"

static void check_text(soma_dtype dtype, soma_shape shape, const double *values,
                       const char *expected)
{
    soma_tensor *tensor;
    char *text;
    assert_int_equal(soma_tensor_create(&tensor, dtype, shape, NULL), SOMA_OK);
    for (int64_t i = 0; i < soma_tensor_count(tensor); i++)
        soma_tensor_set(tensor, i, values ? values[i] : (double)i);
    assert_int_equal(soma_tensor_string(&text, tensor, NULL), SOMA_OK);
    assert_string_equal(text, expected);
    soma_free(text);
    soma_tensor_release(tensor);
}

#define VALUES(...) ((const double[]){__VA_ARGS__})

static void small_tensors(void **state)
{
    (void)state;
    check_text(SOMA_F32, SOMA_SHAPE(2, 3), NULL, "f32 [2,3]\n[[0. 1. 2.]\n [3. 4. 5.]]");
    check_text(SOMA_F32, SOMA_SHAPE(3), VALUES(1, 2.25, -0.5), "f32 [3]\n[ 1.    2.25 -0.5 ]");
    check_text(SOMA_I32, SOMA_SHAPE(4), VALUES(1, -20, 300, 0), "i32 [4]\n[  1 -20 300   0]");
    check_text(SOMA_BOOL, SOMA_SHAPE(2), VALUES(1, 0), "bool [2]\n[ True False]");
    check_text(SOMA_F32, SOMA_SHAPE(2, 1, 2), NULL, "f32 [2,1,2]\n[[[0. 1.]]\n\n [[2. 3.]]]");
    check_text(SOMA_F64, SOMA_SCALAR, VALUES(3), "f64 []\n3.0");
    check_text(SOMA_I8, SOMA_SCALAR, VALUES(3), "i8 []\n3");
    check_text(SOMA_F32, SOMA_SHAPE(2, 0), NULL, "f32 [2,0]\n[]");
}

static void digits(void **state)
{
    (void)state;
    /* As few as the dtype needs, at most 8. */
    check_text(SOMA_F32, SOMA_SHAPE(2), VALUES(0.1, 3.14159265358979),
               "f32 [2]\n[0.1       3.1415927]");
    check_text(SOMA_F64, SOMA_SHAPE(2), VALUES(0.1, 3.14159265358979),
               "f64 [2]\n[0.1        3.14159265]");
    check_text(SOMA_F16, SOMA_SHAPE(1), VALUES(0.1), "f16 [1]\n[0.1]");
    check_text(SOMA_BF16, SOMA_SHAPE(2), VALUES(0.1, 3.14159), "bf16 [2]\n[0.1  3.14]");
    check_text(SOMA_F64, SOMA_SHAPE(1), VALUES(1.0000000001), "f64 [1]\n[1.]");
}

static void powers_of_ten(void **state)
{
    (void)state;
    check_text(SOMA_F64, SOMA_SHAPE(2), VALUES(1e10, 1.5), "f64 [2]\n[1.0e+10 1.5e+00]");
    check_text(SOMA_F64, SOMA_SHAPE(2), VALUES(1e10, 1), "f64 [2]\n[1.e+10 1.e+00]");
    check_text(SOMA_F64, SOMA_SHAPE(2), VALUES(1e-5, -1), "f64 [2]\n[ 1.e-05 -1.e+00]");
    check_text(SOMA_F64, SOMA_SHAPE(2), VALUES(0.001, 1), "f64 [2]\n[0.001 1.   ]");
    check_text(SOMA_F32, SOMA_SHAPE(1), VALUES(3.4028234663852886e38), "f32 [1]\n[3.4028235e+38]");
    check_text(SOMA_F64, SOMA_SHAPE(1), VALUES(1.7976931348623157e308),
               "f64 [1]\n[1.79769313e+308]");
}

static void special_values(void **state)
{
    (void)state;
    check_text(SOMA_F32, SOMA_SHAPE(4), VALUES((double)NAN, HUGE_VAL, -HUGE_VAL, 1.5),
               "f32 [4]\n[ nan  inf -inf  1.5]");
    check_text(SOMA_F32, SOMA_SHAPE(2), VALUES((double)NAN, HUGE_VAL), "f32 [2]\n[nan inf]");
    soma_tensor *tensor;
    char *text;
    int64_t big[] = {INT64_MAX, INT64_MIN};
    assert_int_equal(soma_tensor_from(&tensor, SOMA_I64, SOMA_SHAPE(2), big, NULL), SOMA_OK);
    assert_int_equal(soma_tensor_string(&text, tensor, NULL), SOMA_OK);
    assert_string_equal(text, "i64 [2]\n[ 9223372036854775807 -9223372036854775808]");
    soma_free(text);
    soma_tensor_release(tensor);
}

static void long_tensors(void **state)
{
    (void)state;
    check_text(SOMA_I32, SOMA_SHAPE(30), NULL,
               "i32 [30]\n"
               "[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23\n"
               " 24 25 26 27 28 29]");
    check_text(SOMA_I32, SOMA_SHAPE(1001), NULL, "i32 [1001]\n[   0    1    2 ...  998  999 1000]");
    check_text(SOMA_F32, SOMA_SHAPE(8, 200), NULL,
               "f32 [8,200]\n"
               "[[0.000e+00 1.000e+00 2.000e+00 ... 1.970e+02 1.980e+02 1.990e+02]\n"
               " [2.000e+02 2.010e+02 2.020e+02 ... 3.970e+02 3.980e+02 3.990e+02]\n"
               " [4.000e+02 4.010e+02 4.020e+02 ... 5.970e+02 5.980e+02 5.990e+02]\n"
               " ...\n"
               " [1.000e+03 1.001e+03 1.002e+03 ... 1.197e+03 1.198e+03 1.199e+03]\n"
               " [1.200e+03 1.201e+03 1.202e+03 ... 1.397e+03 1.398e+03 1.399e+03]\n"
               " [1.400e+03 1.401e+03 1.402e+03 ... 1.597e+03 1.598e+03 1.599e+03]]");
}

static void the_locale_does_not_matter(void **state)
{
    (void)state;
    /* Where the locale is not installed this repeats the plain case. */
    setlocale(LC_ALL, "de_DE.UTF-8");
    check_text(SOMA_F32, SOMA_SHAPE(1), VALUES(0.5), "f32 [1]\n[0.5]");
    setlocale(LC_ALL, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_tensors), cmocka_unit_test(digits),
        cmocka_unit_test(powers_of_ten), cmocka_unit_test(special_values),
        cmocka_unit_test(long_tensors),  cmocka_unit_test(the_locale_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
