/* samples_loss.c: samples of the losses. */
#include "driver.h"

#define S SOMA_SHAPE

/* --- cross_entropy ---------------------------------------------------------------------------- */

static soma_var entropy(soma__sample_ctx *ctx, soma_shape logits, soma_dtype dtype,
                        soma_shape labels)
{
    soma_var x = sample_in(ctx, logits, -3, 3);
    return soma_cross_entropy(x, sample_int(ctx, dtype, labels, 0, logits.dim[logits.ndim - 1]));
}
#define ENTROPY(name_, ...)                                                                        \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return entropy(ctx, __VA_ARGS__);                                                          \
    }

ENTROPY(ten, S(5, 10), SOMA_I64, S(5))
ENTROPY(two, S(9, 2), SOMA_I32, S(9))
ENTROPY(seventeen, S(3, 17), SOMA_I32, S(3))
ENTROPY(sixty_four, S(33, 64), SOMA_I64, S(33))
ENTROPY(three_hundred, S(2, 300), SOMA_I64, S(2))
ENTROPY(one_class, S(4, 1), SOMA_I64, S(4))
ENTROPY(sequence, S(2, 3, 8), SOMA_I64, S(2, 3))
ENTROPY(single, S(6), SOMA_I64, SOMA_SCALAR)
ENTROPY(empty, S(0, 10), SOMA_I64, S(0))
ENTROPY(refuse_shape, S(5, 10), SOMA_I64, S(4))
ENTROPY(refuse_one_hot, S(5, 10), SOMA_I64, S(5, 10))
ENTROPY(refuse_dtype, S(5, 10), SOMA_U8, S(5))

/* softmax is 1/8, 2/8, 5/8 in each row, the last a thousand higher; ln 8, ln 4, ln 8/5. */
static soma_var worked(soma__sample_ctx *ctx)
{
    static const double logits[] = {0,    0.69314718055994531,   1.6094379124341003,
                                    0,    0.69314718055994531,   1.6094379124341003,
                                    1000, 1000.6931471805599453, 1001.6094379124341003};
    soma_var x = sample_values(ctx, 0, S(3, 3), logits);
    return soma_cross_entropy(x, sample_values(ctx, SOMA_I64, S(3), (double[]){0, 1, 2}));
}
static soma_var out_of_range(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(3, 2), (double[]){0, 0, 0, 0, 0, 0});
    return soma_cross_entropy(x, sample_values(ctx, SOMA_I64, S(3), (double[]){-1, 1, 2}));
}
static soma_var nonfinite(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(3, 2), (double[]){-INFINITY, 0, -INFINITY, 0, NAN, 0});
    return soma_cross_entropy(x, sample_values(ctx, SOMA_I64, S(3), (double[]){0, 1, 1}));
}
static soma_var refuse_logits(soma__sample_ctx *ctx)
{
    soma_var x = sample_int(ctx, SOMA_I64, S(3), 0, 2);
    return soma_cross_entropy(x, x);
}

/* --- composites ------------------------------------------------------------------------------- */

static soma_var bce(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(5, 7), -4, 4);
    return soma_bce_logits(x, sample_in(ctx, S(5, 7), 0, 1));
}
static soma_var bce_empty(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(0, 7), -4, 4);
    return soma_bce_logits(x, x);
}
/* ln 2 at 0; 0 and 1000 where e^1000 alone is Inf; ln(1+e^-1) and 1 more. */
static soma_var bce_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(5), (double[]){0, 1000, -1000, 1, 1});
    return soma_bce_logits(x, sample_values(ctx, 0, S(5), (double[]){0.5, 1, 1, 1, 0}));
}
static soma_var bce_refuse(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(5, 1), -4, 4);
    return soma_bce_logits(x, sample_in(ctx, S(5), 0, 1));
}
static soma_var squared(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(5, 7), -4, 4);
    return soma_squared_error(x, sample_in(ctx, S(5, 7), -4, 4));
}
static soma_var squared_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(3), (double[]){1, 2, -3});
    return soma_squared_error(x, sample_values(ctx, 0, S(3), (double[]){1, 4, 2}));
}
static soma_var squared_refuse(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(5, 1), -4, 4);
    return soma_squared_error(x, sample_in(ctx, S(5), 0, 1));
}

const soma__sample soma__samples_loss[] = {
    {"cross_entropy", "1:2:5, far up", .build = worked, .tolerance = 1e-4,
     SAMPLE_EXPECT(2.0794415416798357, 1.3862943611198906, 0.47000362924573558)},
    {"cross_entropy", "labels out of range", .build = out_of_range, .flags = SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(NAN, 0.69314718055994531, NAN)},
    {"cross_entropy", "NaN and Inf", .build = nonfinite, .flags = SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(INFINITY, 0, NAN)},
    {"cross_entropy", "10 classes", .build = ten},
    {"cross_entropy", "2 classes", .build = two},
    {"cross_entropy", "17 classes", .build = seventeen},
    {"cross_entropy", "64 classes", .build = sixty_four},
    {"cross_entropy", "300 classes", .build = three_hundred},
    {"cross_entropy", "1 class", .build = one_class},
    {"cross_entropy", "sequence", .build = sequence},
    {"cross_entropy", "one sample without a batch", .build = single},
    {"cross_entropy", "empty batch", .build = empty},
    {"cross_entropy", "labels for another batch", .build = refuse_shape, .status = SOMA_SHAPE,
     .message = "labels are [4], but logits [5,10] want one label per row"},
    {"cross_entropy", "one-hot labels", .build = refuse_one_hot, .status = SOMA_SHAPE,
     .message = "labels are [5,10]"},
    {"cross_entropy", "labels in bytes", .build = refuse_dtype, .status = SOMA_DTYPE,
     .message = "labels are u8"},
    {"cross_entropy", "integer logits", .build = refuse_logits, .status = SOMA_DTYPE,
     .message = "float"},

    {"bce_logits", "stable at both ends", .build = bce_worked,
     SAMPLE_EXPECT(0.69314718055994531, 0, 1000, 0.31326168751822286, 1.3132616875182228)},
    {"bce_logits", "5x7", .build = bce, .tolerance = 1e-5},
    {"bce_logits", "empty batch", .build = bce_empty},
    {"bce_logits", "two shapes", .build = bce_refuse, .status = SOMA_SHAPE,
     .message = "prediction [5,1] and target [5] must have one shape"},

    {"squared_error", "three", .build = squared_worked, SAMPLE_EXPECT(0, 4, 25)},
    {"squared_error", "5x7", .build = squared, .tolerance = 1e-5},
    {"squared_error", "two shapes", .build = squared_refuse, .status = SOMA_SHAPE,
     .message = "prediction [5,1] and target [5] must have one shape"},
    {0},
};
