/* mix.c: transforms of labels and of whole batches: one_hot, mixup, cutmix. Labels become
 * distributions over the classes, f32, which the losses take. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "data/pixels.h"

/* --- one_hot ------------------------------------------------------------------------------------
 */

/* Labels become shares of the classes; targets that are numbers already stay. */
static soma_status check_one_hot(soma_transform *t, soma__form *form, soma_error *err)
{
    (void)t;
    if (form->labels && form->classes < 1)
        return soma__fail(err, SOMA_INVALID,
                          "the number of classes is not known: the data set must name them or be "
                          "in memory");
    if (form->labels) {
        form->labels = false;
        form->y_dtype = SOMA_F32;
        form->y_shape = SOMA_SHAPE(form->classes);
    }
    if (form->y_dtype != SOMA_F32)
        return soma__fail(err, SOMA_DTYPE, "needs class labels or f32 targets, got %s",
                          soma_dtype_text(form->y_dtype));
    return SOMA_OK;
}

static const soma__field one_hot_fields[] = {SOMA__T_WHEN};

const soma__transform_type soma__transform_one_hot = {
    .name = "one_hot",
    .doc = "labels become f32 distributions over the classes",
    .shapes = "y: label -> f32 [classes]",
    .fields = one_hot_fields,
    .field_count = sizeof one_hot_fields / sizeof one_hot_fields[0],
    .when = SOMA_WHEN_TRAIN,
    .check = check_one_hot,
};

/* --- shares -------------------------------------------------------------------------------------
 */

/* Gamma(alpha, 1) for alpha >= 1 by Marsaglia and Tsang 2000; below, by way of alpha + 1. */
static double draw_gamma(soma__draws *d, double alpha)
{
    if (alpha < 1) {
        double u = 1 - soma__draw(d);
        return draw_gamma(d, alpha + 1) * pow(u, 1 / alpha);
    }
    double third = alpha - 1.0 / 3, c = 1 / sqrt(9 * third);
    for (;;) {
        double x = soma__draw_normal(d), v = 1 + c * x;
        double u = 1 - soma__draw(d);
        v = v * v * v;
        if (v > 0 && log(u) < 0.5 * x * x + third - third * v + third * log(v))
            return third * v;
    }
}

/* Beta(alpha, alpha). */
static double draw_share(soma__draws *d, double alpha)
{
    double a = draw_gamma(d, alpha), b = draw_gamma(d, alpha);
    return a + b > 0 ? a / (a + b) : 0.5;
}

static void mix_targets(const soma__mix *m, double share)
{
    int64_t n = 0;
    (void)soma__shape_count(&m->form->y_shape, &n);
    float *y = m->y, own = (float)share;
    const float *other = m->other_y;
    for (int64_t i = 0; i < n; i++)
        y[i] = own * y[i] + (1 - own) * other[i];
}

static soma_status check_mix(soma_transform *t, soma__form *form, soma_error *err)
{
    if (form->x_dtype != SOMA_U8 && form->x_dtype != SOMA_F32)
        return soma__fail(err, SOMA_DTYPE, "takes u8 and f32 samples, got %s",
                          soma_dtype_text(form->x_dtype));
    t->alpha = t->alpha > 0 ? t->alpha : 1;
    return check_one_hot(t, form, err);
}

#define ALPHA                                                                                      \
    SOMA__T_FLOAT("alpha", alpha, 0.01, 100, "shares are drawn from Beta(alpha, alpha); 1")

/* --- mixup --------------------------------------------------------------------------------------
 */

SOMA__VECTOR_CLONES
static void blend_u8(uint8_t *restrict x, const uint8_t *restrict other, int64_t n, int32_t share)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (uint8_t)((x[i] * share + other[i] * (65536 - share) + 32768) >> 16);
}

static void mix_mixup(soma__mix *m)
{
    double share = draw_share(&m->draws, m->t->alpha);
    int64_t n = m->form->count;
    if (m->form->x_dtype == SOMA_U8) {
        blend_u8(m->x, m->other_x, n, (int32_t)lrint(share * 65536));
    } else {
        float *x = m->x, own = (float)share;
        const float *other = m->other_x;
        for (int64_t i = 0; i < n; i++)
            x[i] = own * x[i] + (1 - own) * other[i];
    }
    mix_targets(m, share);
}

static const soma__field mixup_fields[] = {ALPHA, SOMA__T_P, SOMA__T_WHEN};

const soma__transform_type soma__transform_mixup = {
    .name = "mixup",
    .doc = "blends each sample and its label with its neighbour's in the batch (Zhang et al. 2018)",
    .shapes = "x: [...] -> [...]; y: label -> f32 [classes]",
    .fields = mixup_fields,
    .field_count = sizeof mixup_fields / sizeof mixup_fields[0],
    .primary = "alpha",
    .when = SOMA_WHEN_TRAIN,
    .check = check_mix,
    .mix = mix_mixup,
};

/* --- cutmix -------------------------------------------------------------------------------------
 */

static void mix_cutmix(soma__mix *m)
{
    const soma__form *form = m->form;
    double share = draw_share(&m->draws, m->t->alpha), side = 0.5 * sqrt(1 - share);
    /* A rectangle of the image's proportions about any pixel, cut to the image; the share is what
     * is left of the area. */
    int64_t row = soma__draw_below(&m->draws, form->h),
            column = soma__draw_below(&m->draws, form->w);
    int64_t half_h = (int64_t)(side * (double)form->h), half_w = (int64_t)(side * (double)form->w);
    int64_t top = row - half_h > 0 ? row - half_h : 0;
    int64_t left = column - half_w > 0 ? column - half_w : 0;
    int64_t bottom = row + half_h < form->h ? row + half_h : form->h;
    int64_t right = column + half_w < form->w ? column + half_w : form->w;
    size_t pixel = (size_t)form->c * soma_dtype_size(form->x_dtype);
    for (int64_t i = top; i < bottom && right > left; i++) {
        size_t at = (size_t)(i * form->w + left) * pixel;
        memcpy((char *)m->x + at, (const char *)m->other_x + at, (size_t)(right - left) * pixel);
    }
    mix_targets(m, 1 - (double)((bottom - top) * (right - left)) / (double)(form->h * form->w));
}

static const soma__field cutmix_fields[] = {ALPHA, SOMA__T_P, SOMA__T_WHEN};

const soma__transform_type soma__transform_cutmix = {
    .name = "cutmix",
    .doc = "a rectangle of the neighbour in the batch, labels by area (Yun et al. 2019)",
    .shapes = "x: [H,W,C] -> [H,W,C]; y: label -> f32 [classes]",
    .fields = cutmix_fields,
    .field_count = sizeof cutmix_fields / sizeof cutmix_fields[0],
    .primary = "alpha",
    .when = SOMA_WHEN_TRAIN,
    .image = true,
    .check = check_mix,
    .mix = mix_cutmix,
};
