/* pixels.h: what transforms do to pixels, free of draws and options: so that each can be compared
 * with other libraries, timed, and used by several transforms. Images are those of a form, u8 or
 * f32. */
#ifndef SOMA__PIXELS_H
#define SOMA__PIXELS_H

#include "data/transform.h"

/* Loops over bytes and whole numbers gain from wider vectors than the baseline's. They give the
 * same bits in each version; sanitizers do not get along with the choice at load time. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) &&   \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define SOMA__VECTOR_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define SOMA__VECTOR_CLONES
#endif

/* --- warp.c ------------------------------------------------------------------------------------
 * y(i, j) = x at the point that the map gives for (i, j): map[0] j + map[1] i + map[2] is the
 * column, map[3] j + map[4] i + map[5] the row, both divided by map[6] j + map[7] i + map[8]; pixel
 * centres are whole numbers. What lies outside is `fill`. y has x's form. */
void soma__warp(const soma__form *form, const void *x, void *y, const double map[9],
                soma_interpolation interpolation, double fill);
/* The map that turns by `degrees` (counter-clockwise), slants by shear[0] (columns) and shear[1]
 * (rows) degrees, grows by `scale` about (cx, cy), then moves by (tx, ty) pixels: torchvision's
 * affine. */
void soma__affine_map(double map[9], double cx, double cy, double degrees, double tx, double ty,
                      double scale, double shear_x, double shear_y);
/* The map that takes the four corners `end` to the four points `start` (x, y each). False: they lie
 * on a line. */
bool soma__perspective_map(double map[9], const double start[4][2], const double end[4][2]);
/* x at (j + dx, i + dy). */
void soma__displace(const soma__form *form, const void *x, void *y, const float *dx,
                    const float *dy, soma_interpolation interpolation, double fill);

/* --- resample.c --------------------------------------------------------------------------------
 * The box of `from` whose corner is (top, left), resized to `to`. Bilinear is PIL's: a triangle as
 * wide as the reduction, rows first, bytes rounded after each direction. */
size_t soma__resize_work(const soma__form *from, const soma__form *to);
void soma__resize(const soma__form *from, const soma__form *to, const void *x, void *y, int64_t top,
                  int64_t left, int64_t h, int64_t w, soma_interpolation interpolation, void *work);

/* --- color.c: in place. Factors as torchvision's: 1 changes nothing. ---------------------------
 */
void soma__brightness(const soma__form *form, void *y, double factor);
void soma__contrast(const soma__form *form, void *y, double factor);
void soma__saturation(const soma__form *form, void *y, double factor);
void soma__hue(const soma__form *form, void *y, double turn); /* in whole turns */
void soma__grayscale(const soma__form *form, void *y);
void soma__invert(const soma__form *form, void *y);
void soma__posterize(const soma__form *form, void *y, int bits);
void soma__solarize(const soma__form *form, void *y, double threshold); /* of [0,1] */
void soma__equalize(const soma__form *form, void *y);
void soma__autocontrast(const soma__form *form, void *y);

/* --- filter.c ----------------------------------------------------------------------------------
 */
void soma__sharpness(const soma__form *form, const void *x, void *y, double factor);
#define SOMA__MAX_KERNEL 255
size_t soma__blur_work(int64_t h, int64_t w, int64_t c);
/* kernel[2·radius+1] Gaussian weights; radius < h, w. */
void soma__blur(const soma__form *form, const void *x, void *y, double sigma, int radius,
                void *work);
/* The same for one plane of f32, in place. */
void soma__blur_plane(float *plane, int64_t h, int64_t w, double sigma, int radius, void *work);
/* Adds deviation · normal draws, from draw d->next on; d is not moved. */
void soma__noise(const soma__form *form, void *y, double deviation, const soma__draws *d);

#endif
