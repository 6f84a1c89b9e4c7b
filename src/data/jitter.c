/* jitter.c: transforms of colours, blur and noise. Ranges are drawn as torchvision's transforms
 * draw them. */
#include <math.h>
#include <stddef.h>

#include "data/pixels.h"

#define FIELDS(name_)                                                                              \
    .fields = name_##_fields, .field_count = sizeof name_##_fields / sizeof name_##_fields[0]

/* --- color_jitter -------------------------------------------------------------------------------
 */

static soma_status check_color_jitter(soma_transform *t, soma__form *form, soma_error *err)
{
    if (form->c != 3 && (t->saturation > 0 || t->hue > 0))
        return soma__fail(err, SOMA_SHAPE,
                          "saturation and hue need 3 channels, got %lld: leave them out",
                          (long long)form->c);
    if (!(t->brightness > 0) && !(t->contrast > 0) && !(t->saturation > 0) && !(t->hue > 0))
        return soma__fail(err, SOMA_INVALID,
                          "changes nothing: give brightness, contrast, saturation or hue");
    return SOMA_OK;
}

static double factor(soma__draws *d, double range)
{
    return soma__draw_between(d, fmax(0, 1 - range), 1 + range);
}

/* The four in random order. */
static void apply_color_jitter(soma__apply *a)
{
    const soma_transform *t = a->t;
    int order[4] = {0, 1, 2, 3};
    for (int i = 3; i > 0; i--) {
        int k = (int)soma__draw_below(&a->draws, i + 1), swap = order[i];
        order[i] = order[k];
        order[k] = swap;
    }
    for (int i = 0; i < 4; i++) {
        if (order[i] == 0 && t->brightness > 0)
            soma__brightness(a->to, a->y, factor(&a->draws, t->brightness));
        else if (order[i] == 1 && t->contrast > 0)
            soma__contrast(a->to, a->y, factor(&a->draws, t->contrast));
        else if (order[i] == 2 && t->saturation > 0)
            soma__saturation(a->to, a->y, factor(&a->draws, t->saturation));
        else if (order[i] == 3 && t->hue > 0)
            soma__hue(a->to, a->y, soma__draw_between(&a->draws, -t->hue, t->hue));
    }
}

static const soma__field color_jitter_fields[] = {
    SOMA__T_FLOAT("brightness", brightness, 0, 10, "factor from max(0, 1 - this) to 1 + this; 0"),
    SOMA__T_FLOAT("contrast", contrast, 0, 10, "the same, towards the mean grey; 0"),
    SOMA__T_FLOAT("saturation", saturation, 0, 10, "the same, towards each pixel's grey; 0"),
    SOMA__T_FLOAT("hue", hue, 0, 0.5, "turned by up to this part of the colour circle; 0"),
    SOMA__T_P,
    SOMA__T_WHEN,
};

const soma__transform_type soma__transform_color_jitter = {
    .name = "color_jitter",
    .doc = "brightness, contrast, saturation and hue by random factors, in random order",
    .shapes = "[H,W,C] -> [H,W,C]",
    FIELDS(color_jitter),
    .when = SOMA_WHEN_TRAIN,
    .image = true,
    .colors = true,
    .in_place = true,
    .check = check_color_jitter,
    .apply = apply_color_jitter,
};

/* --- one function each --------------------------------------------------------------------------
 */

static soma_status check_rgb(soma_transform *t, soma__form *form, soma_error *err)
{
    (void)t;
    if (form->c != 3)
        return soma__fail(err, SOMA_SHAPE, "needs 3 channels, got %lld", (long long)form->c);
    return SOMA_OK;
}

static soma_status check_channels(soma_transform *t, soma__form *form, soma_error *err)
{
    (void)t;
    if (form->c > SOMA_MAX_CHANNELS)
        return soma__fail(err, SOMA_SHAPE, "takes at most %d channels, got %lld", SOMA_MAX_CHANNELS,
                          (long long)form->c);
    return SOMA_OK;
}

static soma_status check_posterize(soma_transform *t, soma__form *form, soma_error *err)
{
    (void)form;
    (void)err;
    t->bits = t->bits ? t->bits : 4;
    return SOMA_OK;
}

static soma_status check_solarize(soma_transform *t, soma__form *form, soma_error *err)
{
    (void)form;
    (void)err;
    t->threshold = t->threshold > 0 ? t->threshold : 0.5;
    return SOMA_OK;
}

static void apply_grayscale(soma__apply *a)
{
    soma__grayscale(a->to, a->y);
}
static void apply_invert(soma__apply *a)
{
    soma__invert(a->to, a->y);
}
static void apply_posterize(soma__apply *a)
{
    soma__posterize(a->to, a->y, (int)a->t->bits);
}
static void apply_solarize(soma__apply *a)
{
    soma__solarize(a->to, a->y, a->t->threshold);
}
static void apply_equalize(soma__apply *a)
{
    soma__equalize(a->to, a->y);
}
static void apply_autocontrast(soma__apply *a)
{
    soma__autocontrast(a->to, a->y);
}

static const soma__field plain_fields[] = {SOMA__T_P, SOMA__T_WHEN};
static const soma__field posterize_fields[] = {
    SOMA__T_INT("bits", bits, 1, 8, "that stay of each value; 4"), SOMA__T_P, SOMA__T_WHEN};
static const soma__field solarize_fields[] = {
    SOMA__T_FLOAT("threshold", threshold, 1e-6, 1,
                  "values from here on, of [0,1], turn around; 0.5"),
    SOMA__T_P, SOMA__T_WHEN};

#define VALUES(name_, fields_, primary_, p_, check_, doc_)                                         \
    const soma__transform_type soma__transform_##name_ = {                                         \
        .name = #name_,                                                                            \
        .doc = doc_,                                                                               \
        .shapes = "[H,W,C] -> [H,W,C]",                                                            \
        FIELDS(fields_),                                                                           \
        .primary = primary_,                                                                       \
        .when = SOMA_WHEN_TRAIN,                                                                   \
        .p = p_,                                                                                   \
        .image = true,                                                                             \
        .colors = true,                                                                            \
        .in_place = true,                                                                          \
        .check = check_,                                                                           \
        .apply = apply_##name_,                                                                    \
    };
VALUES(grayscale, plain, "p", 0.1, check_rgb, "three equal channels of luma; p 0.1")
VALUES(invert, plain, "p", 0.5, NULL, "light and dark change places; p 0.5")
VALUES(posterize, posterize, "bits", 0.5, check_posterize, "fewer levels; p 0.5")
VALUES(solarize, solarize, "threshold", 0.5, check_solarize, "light values turn around; p 0.5")
VALUES(equalize, plain, "p", 0.5, check_channels, "each channel's histogram made even; p 0.5")
VALUES(autocontrast, plain, "p", 0.5, check_channels, "each channel stretched to the range; p 0.5")

/* --- filters ------------------------------------------------------------------------------------
 */

static soma_status check_sharpness(soma_transform *t, soma__form *form, soma_error *err)
{
    (void)form;
    (void)err;
    t->factor = t->factor > 0 ? t->factor : 2;
    return SOMA_OK;
}

static void apply_sharpness(soma__apply *a)
{
    soma__sharpness(a->from, a->x, a->y, a->t->factor);
}

static const soma__field sharpness_fields[] = {
    SOMA__T_FLOAT("factor", factor, 1e-6, 100, "below 1 smoother, above 1 sharper; 2"),
    SOMA__T_P,
    SOMA__T_WHEN,
};

const soma__transform_type soma__transform_sharpness = {
    .name = "sharpness",
    .doc = "sharper or smoother; p 0.5",
    .shapes = "[H,W,C] -> [H,W,C]",
    FIELDS(sharpness),
    .primary = "factor",
    .when = SOMA_WHEN_TRAIN,
    .p = 0.5,
    .image = true,
    .colors = true,
    .check = check_sharpness,
    .apply = apply_sharpness,
};

/* As far as two deviations, at most as far as mirrored edges reach. */
static int blur_radius(const soma_transform *t)
{
    return t->size[0] ? (int)(t->size[0] / 2) : (int)ceil(2 * t->sigma[1]);
}

static soma_status check_blur(soma_transform *t, soma__form *form, soma_error *err)
{
    if (!(t->sigma[0] > 0) && !(t->sigma[1] > 0)) {
        t->sigma[0] = 0.1;
        t->sigma[1] = 2;
    }
    double low = fmin(t->sigma[0], t->sigma[1]), high = fmax(t->sigma[0], t->sigma[1]);
    t->sigma[0] = low > 0 ? low : high;
    t->sigma[1] = high;
    if (t->size[0] && t->size[0] % 2 == 0)
        return soma__fail(err, SOMA_INVALID, "kernel: must be odd, got %lld",
                          (long long)t->size[0]);
    if (blur_radius(t) >= form->h || blur_radius(t) >= form->w)
        return soma__fail(err, SOMA_SHAPE,
                          "a kernel of %d does not fit an image of %lldx%lld: its half must be "
                          "smaller than each side",
                          2 * blur_radius(t) + 1, (long long)form->h, (long long)form->w);
    return SOMA_OK;
}

static size_t work_blur(const soma_transform *t, const soma__form *from, const soma__form *to)
{
    (void)t;
    (void)to;
    return soma__blur_work(from->h, from->w, from->c);
}

static void apply_gaussian_blur(soma__apply *a)
{
    double sigma = soma__draw_between(&a->draws, a->t->sigma[0], a->t->sigma[1]);
    soma__blur(a->from, a->x, a->y, sigma, blur_radius(a->t), a->work);
}

static const soma__field gaussian_blur_fields[] = {
    SOMA__T_PAIR("sigma", sigma, 0.01, 50, "range of the deviation in pixels; [0.1, 2]"),
    SOMA__T_INT("kernel", size, 1, SOMA__MAX_KERNEL,
                "pixels on a side, odd; default: four of the largest deviation, and one"),
    SOMA__T_P,
    SOMA__T_WHEN,
};

const soma__transform_type soma__transform_gaussian_blur = {
    .name = "gaussian_blur",
    .doc = "smooths by a Gaussian, edges mirrored",
    .shapes = "[H,W,C] -> [H,W,C]",
    FIELDS(gaussian_blur),
    .primary = "sigma",
    .when = SOMA_WHEN_TRAIN,
    .image = true,
    .check = check_blur,
    .work = work_blur,
    .apply = apply_gaussian_blur,
};

/* --- noise --------------------------------------------------------------------------------------
 */

static soma_status check_noise(soma_transform *t, soma__form *form, soma_error *err)
{
    (void)form;
    (void)err;
    t->strength = t->strength > 0 ? t->strength : 0.1;
    return SOMA_OK;
}

static void apply_gaussian_noise(soma__apply *a)
{
    soma__noise(a->to, a->y, a->t->strength, &a->draws);
}

static const soma__field gaussian_noise_fields[] = {
    SOMA__T_FLOAT("strength", strength, 1e-9, 1e6,
                  "deviation; of bytes on the scale of [0,1]; 0.1"),
    SOMA__T_P,
    SOMA__T_WHEN,
};

const soma__transform_type soma__transform_gaussian_noise = {
    .name = "gaussian_noise",
    .doc = "adds normal noise to each value",
    .shapes = "[...] -> [...]",
    FIELDS(gaussian_noise),
    .primary = "strength",
    .when = SOMA_WHEN_TRAIN,
    .in_place = true,
    .check = check_noise,
    .apply = apply_gaussian_noise,
};
