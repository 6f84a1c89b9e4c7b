/* augment.c: transforms that cover parts of an image, and RandAugment. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "data/pixels.h"

/* --- cutout, random_erasing ---------------------------------------------------------------------
 */

/* Covers rows [top, bottom) and columns [left, right), cut to the image. `noise` NULL: by fill. */
static void cover(const soma__form *form, void *y, int64_t top, int64_t bottom, int64_t left,
                  int64_t right, double fill, const soma__draws *noise)
{
    top = top > 0 ? top : 0;
    left = left > 0 ? left : 0;
    bottom = bottom < form->h ? bottom : form->h;
    right = right < form->w ? right : form->w;
    int64_t n = (right - left) * form->c;
    uint64_t at = noise ? noise->next : 0;
    for (int64_t i = top; i < bottom && n > 0; i++) {
        int64_t from = (i * form->w + left) * form->c;
        uint8_t byte = 0;
        soma__store(SOMA_U8, &byte, 0, fill);
        for (int64_t k = from; k < from + n; k++, at++) {
            if (form->x_dtype == SOMA_U8)
                ((uint8_t *)y)[k] = noise ? (uint8_t)(soma__rng_u32(&noise->key, at) >> 24) : byte;
            else
                ((float *)y)[k] = noise ? (float)soma__rng_normal(&noise->key, at) : (float)fill;
        }
    }
}

static void apply_cutout(soma__apply *a)
{
    int64_t h = a->t->size[0], w = a->t->size[1];
    int64_t top = soma__draw_below(&a->draws, a->to->h) - h / 2;
    int64_t left = soma__draw_below(&a->draws, a->to->w) - w / 2;
    cover(a->to, a->y, top, top + h, left, left + w, a->t->fill, NULL);
}

static const soma__field cutout_fields[] = {SOMA__T_SIZE, SOMA__T_FILL, SOMA__T_P, SOMA__T_WHEN};

const soma__transform_type soma__transform_cutout = {
    .name = "cutout",
    .doc = "covers a rectangle around a random pixel (DeVries and Taylor 2017)",
    .shapes = "[H,W,C] -> [H,W,C]",
    .fields = cutout_fields,
    .field_count = sizeof cutout_fields / sizeof cutout_fields[0],
    .primary = "size",
    .when = SOMA_WHEN_TRAIN,
    .image = true,
    .in_place = true,
    .apply = apply_cutout,
};

static soma_status check_erasing(soma_transform *t, soma__form *form, soma_error *err)
{
    (void)form;
    (void)err;
    if (!(t->scale[0] > 0) && !(t->scale[1] > 0)) {
        t->scale[0] = 0.02;
        t->scale[1] = 0.33;
    }
    if (!(t->ratio[0] > 0) && !(t->ratio[1] > 0)) {
        t->ratio[0] = 0.3;
        t->ratio[1] = 3.3;
    }
    return SOMA_OK;
}

static void apply_random_erasing(soma__apply *a)
{
    const soma_transform *t = a->t;
    const soma__form *form = a->to;
    for (int attempt = 0; attempt < 10; attempt++) {
        double area = (double)form->h * (double)form->w *
                      soma__draw_between(&a->draws, t->scale[0], t->scale[1]);
        double ratio = exp(soma__draw_between(&a->draws, log(t->ratio[0]), log(t->ratio[1])));
        int64_t h = llrint(sqrt(area * ratio)), w = llrint(sqrt(area / ratio));
        if (h < 1 || w < 1 || h >= form->h || w >= form->w)
            continue;
        int64_t top = soma__draw_below(&a->draws, form->h - h + 1);
        int64_t left = soma__draw_below(&a->draws, form->w - w + 1);
        cover(form, a->y, top, top + h, left, left + w, t->fill, t->random ? &a->draws : NULL);
        return;
    }
}

static const soma__field random_erasing_fields[] = {
    SOMA__T_PAIR("scale", scale, 1e-4, 1, "share of the area; [0.02, 0.33]"),
    SOMA__T_PAIR("ratio", ratio, 1e-2, 100, "height / width; [0.3, 3.3]"),
    SOMA__T_FILL,
    {.key = "random",
     .kind = SOMA__FIELD_BOOL,
     .offset = SOMA__T(random),
     .doc = "with noise instead of fill: normal, or any byte; false"},
    SOMA__T_P,
    SOMA__T_WHEN,
};

const soma__transform_type soma__transform_random_erasing = {
    .name = "random_erasing",
    .doc = "covers a random rectangle (Zhong et al. 2020); p 0.5",
    .shapes = "[H,W,C] -> [H,W,C]",
    .fields = random_erasing_fields,
    .field_count = sizeof random_erasing_fields / sizeof random_erasing_fields[0],
    .primary = "p",
    .when = SOMA_WHEN_TRAIN,
    .p = 0.5,
    .image = true,
    .in_place = true,
    .check = check_erasing,
    .apply = apply_random_erasing,
};

/* --- rand_augment -------------------------------------------------------------------------------
 * Cubuk et al. 2020, with the operations and magnitudes of torchvision: n of them, drawn with
 * repetition, each at `magnitude` of 30. */

#define BINS 30.0

/* Warps the image through `work`. */
static void warp_in_place(const soma__apply *a, const double map[9])
{
    memcpy(a->work, a->y, (size_t)a->to->count * soma_dtype_size(a->to->x_dtype));
    soma__warp(a->to, a->work, a->y, map, a->t->interpolation, a->t->fill);
}

static void op_identity(soma__apply *a, double m)
{
    (void)a;
    (void)m;
}
/* Slanted from the corner, by the tangent m. */
static void op_shear_x(soma__apply *a, double m)
{
    double map[9];
    soma__affine_map(map, -0.5, -0.5, 0, 0, 0, 1, atan(m) * (180 / 3.14159265358979323846), 0);
    warp_in_place(a, map);
}
static void op_shear_y(soma__apply *a, double m)
{
    double map[9];
    soma__affine_map(map, -0.5, -0.5, 0, 0, 0, 1, 0, atan(m) * (180 / 3.14159265358979323846));
    warp_in_place(a, map);
}
static void op_shift_x(soma__apply *a, double m)
{
    double map[9];
    soma__affine_map(map, 0, 0, 0, trunc(m * (double)a->to->w), 0, 1, 0, 0);
    warp_in_place(a, map);
}
static void op_shift_y(soma__apply *a, double m)
{
    double map[9];
    soma__affine_map(map, 0, 0, 0, 0, trunc(m * (double)a->to->h), 1, 0, 0);
    warp_in_place(a, map);
}
static void op_rotate(soma__apply *a, double m)
{
    double map[9];
    soma__affine_map(map, 0.5 * (double)(a->to->w - 1), 0.5 * (double)(a->to->h - 1), -m, 0, 0, 1,
                     0, 0);
    warp_in_place(a, map);
}
static void op_brightness(soma__apply *a, double m)
{
    soma__brightness(a->to, a->y, 1 + m);
}
static void op_color(soma__apply *a, double m)
{
    soma__saturation(a->to, a->y, 1 + m);
}
static void op_contrast(soma__apply *a, double m)
{
    soma__contrast(a->to, a->y, 1 + m);
}
static void op_sharpness(soma__apply *a, double m)
{
    memcpy(a->work, a->y, (size_t)a->to->count * soma_dtype_size(a->to->x_dtype));
    soma__sharpness(a->to, a->work, a->y, 1 + m);
}
static void op_posterize(soma__apply *a, double m)
{
    soma__posterize(a->to, a->y, 8 - (int)rint(m));
}
static void op_solarize(soma__apply *a, double m)
{
    soma__solarize(a->to, a->y, 1 - m);
}
static void op_autocontrast(soma__apply *a, double m)
{
    (void)m;
    soma__autocontrast(a->to, a->y);
}
static void op_equalize(soma__apply *a, double m)
{
    (void)m;
    soma__equalize(a->to, a->y);
}

static const struct {
    void (*run)(soma__apply *a, double m);
    double most; /* at magnitude 30 */
    bool two_sided;
} operations[] = {
    {op_identity, 0, false},         {op_shear_x, 0.3, true},         {op_shear_y, 0.3, true},
    {op_shift_x, 150.0 / 331, true}, {op_shift_y, 150.0 / 331, true}, {op_rotate, 30, true},
    {op_brightness, 0.9, true},      {op_color, 0.9, true},           {op_contrast, 0.9, true},
    {op_sharpness, 0.9, true},       {op_posterize, 4, false},        {op_solarize, 1, false},
    {op_autocontrast, 0, false},     {op_equalize, 0, false},
};
#define OPERATIONS ((int64_t)(sizeof operations / sizeof operations[0]))

static soma_status check_rand_augment(soma_transform *t, soma__form *form, soma_error *err)
{
    if (form->c != 1 && form->c != 3)
        return soma__fail(err, SOMA_SHAPE, "takes 1 or 3 channels, got %lld", (long long)form->c);
    t->n = t->n ? t->n : 2;
    t->magnitude = t->magnitude ? t->magnitude : 9;
    return SOMA_OK;
}

static size_t work_copy(const soma_transform *t, const soma__form *from, const soma__form *to)
{
    (void)t;
    (void)to;
    return (size_t)from->count * soma_dtype_size(from->x_dtype);
}

static void apply_rand_augment(soma__apply *a)
{
    for (int64_t i = 0; i < a->t->n; i++) {
        int64_t k = soma__draw_below(&a->draws, OPERATIONS);
        double m = operations[k].most * (double)a->t->magnitude / BINS;
        bool minus = soma__draw(&a->draws) < 0.5;
        operations[k].run(a, operations[k].two_sided && minus ? -m : m);
    }
}

static const soma__field rand_augment_fields[] = {
    SOMA__T_INT("n", n, 1, 16, "operations on each sample; 2"),
    SOMA__T_INT("magnitude", magnitude, 1, 30, "strength of each; 9"),
    SOMA__T_INTERPOLATION,
    SOMA__T_FILL,
    SOMA__T_P,
    SOMA__T_WHEN,
};

const soma__transform_type soma__transform_rand_augment = {
    .name = "rand_augment",
    .doc = "n random ones of 14 operations (Cubuk et al. 2020)",
    .shapes = "[H,W,C] -> [H,W,C]",
    .fields = rand_augment_fields,
    .field_count = sizeof rand_augment_fields / sizeof rand_augment_fields[0],
    .primary = "magnitude",
    .when = SOMA_WHEN_TRAIN,
    .image = true,
    .colors = true,
    .in_place = true,
    .check = check_rand_augment,
    .work = work_copy,
    .apply = apply_rand_augment,
};
