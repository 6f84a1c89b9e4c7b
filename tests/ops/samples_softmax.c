/* samples_softmax.c: samples of softmax and log_softmax. */
#include "driver.h"

#define S SOMA_SHAPE

/* Both ops on the same inputs. */
#define BOTH(name_, x_, axis_)                                                                     \
    static soma_var soft_##name_(soma__sample_ctx *ctx)                                            \
    {                                                                                              \
        return soma_softmax(x_, axis_);                                                            \
    }                                                                                              \
    static soma_var log_##name_(soma__sample_ctx *ctx)                                             \
    {                                                                                              \
        return soma_log_softmax(x_, axis_);                                                        \
    }

BOTH(rows_10, sample_in(ctx, S(5, 10), -3, 3), -1)
BOTH(rows_1, sample_in(ctx, S(4, 1), -3, 3), 1)
BOTH(rows_17, sample_in(ctx, S(3, 17), -3, 3), 1)
BOTH(rows_64, sample_in(ctx, S(2, 64), -3, 3), 1)
BOTH(rows_300, sample_in(ctx, S(2, 300), -9, 9), 1)
BOTH(first_axis, sample_in(ctx, S(7, 9), -3, 3), 0)
BOTH(middle_axis, sample_in(ctx, S(2, 5, 6), -3, 3), -2)
BOTH(vector, sample_in(ctx, S(8), -3, 3), 0)
BOTH(empty, sample_in(ctx, S(0, 8), -3, 3), 1)
BOTH(no_classes, sample_in(ctx, S(3, 0), -3, 3), 1)
BOTH(refuse_axis, sample_in(ctx, S(3, 4), -3, 3), 2)
BOTH(refuse_scalar, sample_in(ctx, SOMA_SCALAR, -3, 3), 0)
BOTH(refuse_integers, sample_int(ctx, SOMA_I32, S(3, 4), 0, 9), 1)
/* e^x is 1 : 2 : 5; the second row is the same a thousand higher, where e^x alone is Inf; the third
 * a thousand lower, where it is 0. */
BOTH(worked,
     sample_values(ctx, 0, S(3, 3),
                   ((double[]){0, 0.69314718055994531, 1.6094379124341003, 1000,
                               1000.6931471805599453, 1001.6094379124341003, -1000,
                               -999.30685281944005469, -998.3905620875659})),
     1)
BOTH(nonfinite, sample_values(ctx, 0, S(3, 2), ((double[]){-INFINITY, 3, NAN, 0, INFINITY, 0})), 1)

const soma__sample soma__samples_softmax[] = {
    {"softmax", "1:2:5, far up and down", .build = soft_worked, .tolerance = 1e-4,
     SAMPLE_EXPECT(0.125, 0.25, 0.625, 0.125, 0.25, 0.625, 0.125, 0.25, 0.625)},
    {"softmax", "NaN and Inf", .build = soft_nonfinite, .flags = SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(0, 1, NAN, NAN, NAN, NAN)},
    {"softmax", "10 classes", .build = soft_rows_10},
    {"softmax", "1 class", .build = soft_rows_1},
    {"softmax", "17 classes", .build = soft_rows_17},
    {"softmax", "64 classes", .build = soft_rows_64},
    {"softmax", "300 classes", .build = soft_rows_300, .tolerance = 1e-5},
    {"softmax", "first axis", .build = soft_first_axis},
    {"softmax", "middle axis", .build = soft_middle_axis},
    {"softmax", "vector", .build = soft_vector},
    {"softmax", "empty batch", .build = soft_empty},
    {"softmax", "no classes", .build = soft_no_classes},
    {"softmax", "axis", .build = soft_refuse_axis, .status = SOMA_SHAPE, .message = "axis 2"},
    {"softmax", "scalar", .build = soft_refuse_scalar, .status = SOMA_SHAPE,
     .message = "at least one dimension"},
    {"softmax", "integers", .build = soft_refuse_integers, .status = SOMA_DTYPE,
     .message = "float"},

    {"log_softmax", "1:2:5, far up and down", .build = log_worked, .tolerance = 1e-4,
     SAMPLE_EXPECT(-2.0794415416798357, -1.3862943611198906, -0.47000362924573558,
                   -2.0794415416798357, -1.3862943611198906, -0.47000362924573558,
                   -2.0794415416798357, -1.3862943611198906, -0.47000362924573558)},
    {"log_softmax", "NaN and Inf", .build = log_nonfinite, .flags = SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(-INFINITY, 0, NAN, NAN, NAN, NAN)},
    {"log_softmax", "10 classes", .build = log_rows_10},
    {"log_softmax", "1 class", .build = log_rows_1},
    {"log_softmax", "17 classes", .build = log_rows_17},
    {"log_softmax", "64 classes", .build = log_rows_64},
    {"log_softmax", "300 classes", .build = log_rows_300, .tolerance = 1e-5},
    {"log_softmax", "first axis", .build = log_first_axis},
    {"log_softmax", "middle axis", .build = log_middle_axis},
    {"log_softmax", "vector", .build = log_vector},
    {"log_softmax", "empty batch", .build = log_empty},
    {"log_softmax", "no classes", .build = log_no_classes},
    {"log_softmax", "axis", .build = log_refuse_axis, .status = SOMA_SHAPE, .message = "axis 2"},
    {"log_softmax", "scalar", .build = log_refuse_scalar, .status = SOMA_SHAPE,
     .message = "at least one dimension"},
    {"log_softmax", "integers", .build = log_refuse_integers, .status = SOMA_DTYPE,
     .message = "float"},
    {0},
};
