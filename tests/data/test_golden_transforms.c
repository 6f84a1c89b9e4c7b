/* What transforms do to pixels against torchvision and PIL: tests/golden/transforms.safetensors, of
 * scripts/make-golden-transforms.py. Whole-number functions agree to the byte; where both sides
 * interpolate or round in floats, a byte may differ by one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "data/pixels.h"
#include "format/safetensors.h"
#include "soma/soma.h"

typedef struct subject {
    soma__form form, to;
    const void *x;
    void *y, *work;
} subject;

static void in_place(const subject *s)
{
    memcpy(s->y, s->x, (size_t)s->form.count * soma_dtype_size(s->form.x_dtype));
}

#define IN_PLACE(name_, call_)                                                                     \
    static void name_(const subject *s)                                                            \
    {                                                                                              \
        in_place(s);                                                                               \
        call_;                                                                                     \
    }
IN_PLACE(brightness, soma__brightness(&s->form, s->y, 1.4))
IN_PLACE(contrast, soma__contrast(&s->form, s->y, 0.6))
IN_PLACE(saturation, soma__saturation(&s->form, s->y, 1.5))
IN_PLACE(hue, soma__hue(&s->form, s->y, 0.23))
IN_PLACE(grayscale, soma__grayscale(&s->form, s->y))
IN_PLACE(invert, soma__invert(&s->form, s->y))
IN_PLACE(solarize, soma__solarize(&s->form, s->y, 0.5))
IN_PLACE(posterize, soma__posterize(&s->form, s->y, 3))
IN_PLACE(equalize, soma__equalize(&s->form, s->y))
IN_PLACE(autocontrast, soma__autocontrast(&s->form, s->y))

static void sharpness(const subject *s)
{
    soma__sharpness(&s->form, s->x, s->y, 1.7);
}

static void blur(const subject *s)
{
    soma__blur(&s->form, s->x, s->y, 1.3, 2, s->work);
}

static void warp(const subject *s, double cx, double cy, double degrees, double tx, double ty,
                 double scale, double sx, double sy, soma_interpolation how, double fill)
{
    double map[9];
    soma__affine_map(map, cx, cy, degrees, tx, ty, scale, sx, sy);
    soma__warp(&s->form, s->x, s->y, map, how, fill);
}

static void affine(const subject *s)
{
    warp(s, 0.5 * (double)(s->form.w - 1), 0.5 * (double)(s->form.h - 1), 25, 2, -3, 1.2, 10, -5,
         SOMA_BILINEAR, 0);
}

static void rotate_nearest(const subject *s)
{
    warp(s, 0.5 * (double)(s->form.w - 1), 0.5 * (double)(s->form.h - 1), -13, 0, 0, 1, 0, 0,
         SOMA_NEAREST, 0);
}

static void shear_corner(const subject *s)
{
    warp(s, -0.5, -0.5, 0, 0, 0, 1, 15, 0, SOMA_BILINEAR, 0);
}

static void perspective(const subject *s)
{
    double w = (double)s->form.w, h = (double)s->form.h, map[9];
    const double start[4][2] = {{0, 0}, {w - 1, 0}, {w - 1, h - 1}, {0, h - 1}};
    const double end[4][2] = {{2, 1}, {w - 3, 2}, {w - 1, h - 4}, {3, h - 2}};
    assert_true(soma__perspective_map(map, start, end));
    soma__warp(&s->form, s->x, s->y, map, SOMA_BILINEAR, 0);
}

static void displace(const subject *s)
{
    float dx[24 * 24], dy[24 * 24];
    for (int64_t i = 0; i < s->form.h; i++)
        for (int64_t j = 0; j < s->form.w; j++) {
            dx[i * s->form.w + j] = (float)(j % 5 - 2) / 2;
            dy[i * s->form.w + j] = (float)(i % 3 - 1);
        }
    soma__displace(&s->form, s->x, s->y, dx, dy, SOMA_BILINEAR, 0);
}

static void resize(const subject *s)
{
    soma__resize(&s->form, &s->to, s->x, s->y, 0, 0, s->form.h, s->form.w, SOMA_BILINEAR, s->work);
}

static void resize_nearest(const subject *s)
{
    soma__resize(&s->form, &s->to, s->x, s->y, 0, 0, s->form.h, s->form.w, SOMA_NEAREST, s->work);
}

static void resize_box(const subject *s)
{
    soma__resize(&s->form, &s->to, s->x, s->y, 2, 3, 13, 13, SOMA_BILINEAR, s->work);
}

/* `bytes`: how far a byte may be off; f32 may be off by 2e-5. */
static const struct {
    const char *name;
    void (*run)(const subject *s);
    int bytes;
} functions[] = {
    {"brightness", brightness, 0},
    {"contrast", contrast, 1},
    {"saturation", saturation, 1},
    {"hue", hue, 1},
    {"grayscale", grayscale, 0},
    {"invert", invert, 0},
    {"solarize", solarize, 0},
    {"posterize", posterize, 0},
    {"equalize", equalize, 0},
    {"autocontrast", autocontrast, 0},
    {"sharpness", sharpness, 1},
    {"blur", blur, 1},
    {"affine", affine, 1},
    {"rotate_nearest", rotate_nearest, 0},
    {"shear_corner", shear_corner, 1},
    {"perspective", perspective, 1},
    {"displace", displace, 1},
    {"resize_down", resize, 0},
    {"resize_up", resize, 0},
    {"resize_mixed", resize, 0},
    {"resize_nearest", resize_nearest, 0},
    {"resize_box", resize_box, 0},
};
#define FUNCTIONS (sizeof functions / sizeof functions[0])

static soma__form form_of(const soma_tensor *t)
{
    const soma_shape *shape = soma_tensor_shape(t);
    return (soma__form){.x_dtype = soma_tensor_dtype(t),
                        .x_shape = *shape,
                        .count = soma_tensor_count(t),
                        .h = shape->dim[0],
                        .w = shape->dim[1],
                        .c = shape->dim[2]};
}

static void compare(const char *name, const subject *s, const soma_tensor *want, size_t function)
{
    bool bytes = s->form.x_dtype == SOMA_U8;
    double near = bytes ? functions[function].bytes : 2e-5, worst = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < soma_tensor_count(want); i++) {
        double off = fabs(soma_tensor_get(want, i) - soma__load(s->form.x_dtype, s->y, i));
        if (!(off <= worst)) {
            worst = off;
            at = i;
        }
    }
    if (!(worst <= near))
        fail_msg("%s: value %lld is %g, not %g", name, (long long)at,
                 soma__load(s->form.x_dtype, s->y, at), soma_tensor_get(want, at));
}

/* The name behind the image's: "rgb/hue". */
static size_t function_of(const char *name)
{
    const char *slash = strchr(name, '/');
    for (size_t i = 0; slash && i < FUNCTIONS; i++)
        if (strcmp(slash + 1, functions[i].name) == 0)
            return i;
    return FUNCTIONS;
}

static void pixels_are_those_of_torchvision_and_pil(void **state)
{
    (void)state;
    soma__archive archive = {0};
    soma_error err = {0};
    if (soma__archive_read(&archive, SOMA_TEST_FOLDER "/golden/transforms.safetensors", &err))
        fail_msg("%s", err.message);
    int seen[FUNCTIONS] = {0};
    for (size_t i = 0; i < archive.count; i++) {
        const char *name = archive.entries[i].name, *slash = strchr(name, '/');
        if (!slash)
            continue;
        char image[16];
        snprintf(image, sizeof image, "%.*s", (int)(slash - name), name);
        const soma_tensor *x = soma__archive_find(&archive, image), *want;
        want = soma__archive_find(&archive, name);
        size_t function = function_of(name);
        if (function == FUNCTIONS || !x)
            fail_msg("'%s' has no function here", name);
        subject s = {.form = form_of(x), .to = form_of(want), .x = soma_tensor_const_data(x)};
        size_t size = soma__resize_work(&s.form, &s.to), work = soma__blur_work(32, 32, 3);
        s.work = soma__aligned(size > work ? size : work);
        s.y = soma__aligned((size_t)s.to.count * 4);
        functions[function].run(&s);
        compare(name, &s, want, function);
        seen[function]++;
        soma__free(s.work);
        soma__free(s.y);
    }
    for (size_t i = 0; i < FUNCTIONS; i++)
        if (!seen[i])
            fail_msg("%s has no values in the file", functions[i].name);
    soma__archive_clear(&archive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_are_those_of_torchvision_and_pil),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
