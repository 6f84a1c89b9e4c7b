/* geometry.c: transforms that move pixels to where others were: sizes, affine and other maps.
 * Ranges are drawn as torchvision's transforms draw them. */
#include <math.h>
#include <stddef.h>

#include "data/pixels.h"

/* A range that was not given is `low` to `high`; one that was is put in order. */
static void default_range(double range[2], double low, double high)
{
    bool given = range[0] > 0 || range[1] > 0;
    double a = given ? range[0] : low, b = given ? range[1] : high;
    range[0] = fmin(a, b);
    range[1] = fmax(a, b);
}

/* --- resize -------------------------------------------------------------------------------------
 */

static size_t work_resize(const soma_transform *t, const soma__form *from, const soma__form *to)
{
    (void)t;
    return soma__resize_work(from, to);
}

static void apply_resize(soma__apply *a)
{
    soma__resize(a->from, a->to, a->x, a->y, 0, 0, a->from->h, a->from->w, a->t->interpolation,
                 a->work);
}

static const soma__field resize_fields[] = {SOMA__T_SIZE, SOMA__T_INTERPOLATION, SOMA__T_WHEN};

const soma__transform_type soma__transform_resize = {
    .name = "resize",
    .doc = "another size, antialiased where it shrinks; always",
    .shapes = "[H,W,C] -> [size,C]",
    .fields = resize_fields,
    .field_count = sizeof resize_fields / sizeof resize_fields[0],
    .primary = "size",
    .when = SOMA_WHEN_ALWAYS,
    .image = true,
    .check = soma__check_size,
    .work = work_resize,
    .apply = apply_resize,
};

static soma_status check_resized_crop(soma_transform *t, soma__form *form, soma_error *err)
{
    default_range(t->scale, 0.08, 1);
    default_range(t->ratio, 3.0 / 4, 4.0 / 3);
    return soma__check_size(t, form, err);
}

/* A part of `share` of the area with sides in `ratio`, or, where ten draws do not fit, the largest
 * one in the middle (Szegedy et al. 2015, as torchvision draws it). */
static void apply_resized_crop(soma__apply *a)
{
    const soma_transform *t = a->t;
    int64_t h = a->from->h, w = a->from->w, box_h = 0, box_w = 0, top = 0, left = 0;
    for (int attempt = 0; attempt < 10 && !box_h; attempt++) {
        double area =
            (double)h * (double)w * soma__draw_between(&a->draws, t->scale[0], t->scale[1]);
        double ratio = exp(soma__draw_between(&a->draws, log(t->ratio[0]), log(t->ratio[1])));
        int64_t hh = llrint(sqrt(area / ratio)), ww = llrint(sqrt(area * ratio));
        if (hh < 1 || ww < 1 || hh > h || ww > w)
            continue;
        box_h = hh;
        box_w = ww;
        top = soma__draw_below(&a->draws, h - hh + 1);
        left = soma__draw_below(&a->draws, w - ww + 1);
    }
    if (!box_h) {
        double ratio = fmin(fmax((double)w / (double)h, t->ratio[0]), t->ratio[1]);
        box_w = (int64_t)fmin((double)w, fmax(1, rint((double)h * ratio)));
        box_h = (int64_t)fmin((double)h, fmax(1, rint((double)w / ratio)));
        top = (h - box_h) / 2;
        left = (w - box_w) / 2;
    }
    soma__resize(a->from, a->to, a->x, a->y, top, left, box_h, box_w, t->interpolation, a->work);
}

static const soma__field resized_crop_fields[] = {
    SOMA__T_SIZE,
    SOMA__T_PAIR("scale", scale, 1e-4, 1, "share of the area that is cut out; [0.08, 1]"),
    SOMA__T_PAIR("ratio", ratio, 1e-2, 100, "width / height of what is cut out; [3/4, 4/3]"),
    SOMA__T_INTERPOLATION,
    SOMA__T_WHEN,
};

const soma__transform_type soma__transform_resized_crop = {
    .name = "resized_crop",
    .doc = "a random part of the image, resized",
    .shapes = "[H,W,C] -> [size,C]",
    .fields = resized_crop_fields,
    .field_count = sizeof resized_crop_fields / sizeof resized_crop_fields[0],
    .primary = "size",
    .when = SOMA_WHEN_TRAIN,
    .image = true,
    .check = check_resized_crop,
    .work = work_resize,
    .apply = apply_resized_crop,
};

/* --- affine -------------------------------------------------------------------------------------
 * rotate, shift, zoom and shear are affine with the keys of one part. */

static soma_status check_affine(soma_transform *t, soma__form *form, soma_error *err)
{
    (void)form;
    (void)err;
    default_range(t->scale, 1, 1);
    /* Whole pixels need no interpolation. */
    if (!(t->degrees > 0) && !(t->shear[0] > 0) && !(t->shear[1] > 0) && t->scale[0] >= 1 &&
        t->scale[1] <= 1)
        t->interpolation = SOMA_NEAREST;
    return SOMA_OK;
}

static double around(soma__draws *d, double most)
{
    return most > 0 ? soma__draw_between(d, -most, most) : 0;
}

static void apply_affine(soma__apply *a)
{
    const soma_transform *t = a->t;
    const soma__form *form = a->from;
    double degrees = around(&a->draws, t->degrees);
    /* Whole pixels, as torchvision has it: a shift alone then loses nothing. */
    double ty = rint(around(&a->draws, t->shift[0]) * (double)form->h);
    double tx = rint(around(&a->draws, t->shift[1]) * (double)form->w);
    double scale = soma__draw_between(&a->draws, t->scale[0], t->scale[1]);
    double sy = around(&a->draws, t->shear[0]), sx = around(&a->draws, t->shear[1]), map[9];
    soma__affine_map(map, 0.5 * (double)(form->w - 1), 0.5 * (double)(form->h - 1), degrees, tx, ty,
                     scale, sx, sy);
    soma__warp(form, a->x, a->y, map, t->interpolation, t->fill);
}

#define DEGREES(required_)                                                                         \
    {                                                                                              \
        .key = "degrees", .kind = SOMA__FIELD_FLOAT, .offset = SOMA__T(degrees), .min = 0,         \
        .max = 180, .required = required_, .doc = "turned by -degrees to degrees"                  \
    }
#define SHIFT(required_)                                                                           \
    {                                                                                              \
        .key = "shift", .kind = SOMA__FIELD_FLOATS, .offset = SOMA__T(shift), .count = 2,          \
        .min = 0, .max = 1, .required = required_,                                                 \
        .doc = "moved by up to this share of height and width, each way"                           \
    }
#define SCALE(required_)                                                                           \
    {                                                                                              \
        .key = "scale", .kind = SOMA__FIELD_FLOATS, .offset = SOMA__T(scale), .count = 2,          \
        .min = 0.01, .max = 100, .required = required_,                                            \
        .doc = "range of the factor of size: [0.8, 1.2]"                                           \
    }
#define SHEAR(required_)                                                                           \
    {                                                                                              \
        .key = "shear", .kind = SOMA__FIELD_FLOATS, .offset = SOMA__T(shear), .count = 2,          \
        .min = 0, .max = 80, .required = required_,                                                \
        .doc = "slanted by up to these degrees along height and width"                             \
    }
static const soma__field affine_fields[] = {DEGREES(false), SHIFT(false),          SCALE(false),
                                            SHEAR(false),   SOMA__T_INTERPOLATION, SOMA__T_FILL,
                                            SOMA__T_P,      SOMA__T_WHEN};
static const soma__field rotate_fields[] = {DEGREES(true), SOMA__T_INTERPOLATION, SOMA__T_FILL,
                                            SOMA__T_P, SOMA__T_WHEN};
static const soma__field shift_fields[] = {SHIFT(true), SOMA__T_FILL, SOMA__T_P, SOMA__T_WHEN};
static const soma__field zoom_fields[] = {SCALE(true), SOMA__T_INTERPOLATION, SOMA__T_FILL,
                                          SOMA__T_P, SOMA__T_WHEN};
static const soma__field shear_fields[] = {SHEAR(true), SOMA__T_INTERPOLATION, SOMA__T_FILL,
                                           SOMA__T_P, SOMA__T_WHEN};

#define AFFINE(name_, primary_, doc_)                                                              \
    const soma__transform_type soma__transform_##name_ = {                                         \
        .name = #name_,                                                                            \
        .doc = doc_,                                                                               \
        .shapes = "[H,W,C] -> [H,W,C]",                                                            \
        .fields = name_##_fields,                                                                  \
        .field_count = sizeof name_##_fields / sizeof name_##_fields[0],                           \
        .primary = primary_,                                                                       \
        .when = SOMA_WHEN_TRAIN,                                                                   \
        .image = true,                                                                             \
        .check = check_affine,                                                                     \
        .apply = apply_affine,                                                                     \
    };
AFFINE(rotate, "degrees", "turns the image about its middle")
AFFINE(shift, "shift", "moves the image by whole pixels")
AFFINE(zoom, "scale", "makes the image larger or smaller about its middle")
AFFINE(shear, "shear", "slants the image")
AFFINE(affine, "degrees", "rotate, shift, zoom and shear in one go")

/* --- perspective --------------------------------------------------------------------------------
 */

static soma_status check_perspective(soma_transform *t, soma__form *form, soma_error *err)
{
    (void)form;
    (void)err;
    t->strength = t->strength > 0 ? t->strength : 0.5;
    return SOMA_OK;
}

static void apply_perspective(soma__apply *a)
{
    const soma__form *form = a->from;
    double w = (double)form->w, h = (double)form->h, map[9];
    double in_x = a->t->strength * w / 2, in_y = a->t->strength * h / 2;
    const double start[4][2] = {{0, 0}, {w - 1, 0}, {w - 1, h - 1}, {0, h - 1}};
    double end[4][2];
    for (int i = 0; i < 4; i++) {
        double x = soma__draw_between(&a->draws, 0, in_x);
        double y = soma__draw_between(&a->draws, 0, in_y);
        end[i][0] = i == 1 || i == 2 ? w - 1 - x : x;
        end[i][1] = i >= 2 ? h - 1 - y : y;
    }
    if (!soma__perspective_map(map, start, end))
        soma__affine_map(map, 0, 0, 0, 0, 0, 1, 0, 0);
    soma__warp(form, a->x, a->y, map, a->t->interpolation, a->t->fill);
}

static const soma__field perspective_fields[] = {
    SOMA__T_FLOAT("strength", strength, 0.001, 1,
                  "how far the corners come in at most, of half the side; 0.5"),
    SOMA__T_INTERPOLATION,
    SOMA__T_FILL,
    SOMA__T_P,
    SOMA__T_WHEN,
};

const soma__transform_type soma__transform_perspective = {
    .name = "perspective",
    .doc = "the image as a tilted plane",
    .shapes = "[H,W,C] -> [H,W,C]",
    .fields = perspective_fields,
    .field_count = sizeof perspective_fields / sizeof perspective_fields[0],
    .primary = "strength",
    .when = SOMA_WHEN_TRAIN,
    .p = 0.5,
    .image = true,
    .check = check_perspective,
    .apply = apply_perspective,
};

/* --- elastic ------------------------------------------------------------------------------------
 */

/* Four deviations on each side hold all of a Gaussian that matters; mirrored edges need one pixel
 * less than the side. */
static int elastic_radius(const soma_transform *t, const soma__form *form)
{
    double most = fmin((double)form->h, (double)form->w) - 1;
    return (int)fmin(fmin(ceil(4 * t->sigma[0]), most), (SOMA__MAX_KERNEL - 1) / 2.0);
}

static soma_status check_elastic(soma_transform *t, soma__form *form, soma_error *err)
{
    (void)form;
    (void)err;
    t->alpha = t->alpha > 0 ? t->alpha : 50;
    t->sigma[0] = t->sigma[0] > 0 ? t->sigma[0] : 5;
    return SOMA_OK;
}

static size_t work_elastic(const soma_transform *t, const soma__form *from, const soma__form *to)
{
    (void)t;
    (void)to;
    return 2 * (size_t)(from->h * from->w) * sizeof(float) + soma__blur_work(from->h, from->w, 1);
}

/* Every pixel by a random step, the steps smoothed by a Gaussian (Simard, Steinkraus and Platt
 * 2003); alpha in pixels of an image as torchvision counts it: half of it is the largest step
 * before smoothing. */
static void apply_elastic(soma__apply *a)
{
    const soma__form *form = a->from;
    int64_t n = form->h * form->w;
    float *d = a->work;
    void *work = d + 2 * n;
    soma__rng_uniforms(&a->draws.key, a->draws.next, 2 * n, d);
    for (int64_t i = 0; i < 2 * n; i++)
        d[i] = (2 * d[i] - 1) * (float)(a->t->alpha / 2);
    for (int k = 0; k < 2; k++)
        soma__blur_plane(d + k * n, form->h, form->w, a->t->sigma[0], elastic_radius(a->t, form),
                         work);
    soma__displace(form, a->x, a->y, d, d + n, a->t->interpolation, a->t->fill);
}

static const soma__field elastic_fields[] = {
    SOMA__T_FLOAT("alpha", alpha, 0.001, 1e4, "strength; 50"),
    SOMA__T_FLOAT("sigma", sigma, 0.1, 30, "smoothness, in pixels; 5"),
    SOMA__T_INTERPOLATION,
    SOMA__T_FILL,
    SOMA__T_P,
    SOMA__T_WHEN,
};

const soma__transform_type soma__transform_elastic = {
    .name = "elastic",
    .doc = "every pixel by a smooth random step",
    .shapes = "[H,W,C] -> [H,W,C]",
    .fields = elastic_fields,
    .field_count = sizeof elastic_fields / sizeof elastic_fields[0],
    .primary = "alpha",
    .when = SOMA_WHEN_TRAIN,
    .image = true,
    .check = check_elastic,
    .work = work_elastic,
    .apply = apply_elastic,
};
