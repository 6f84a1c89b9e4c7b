/* filter.c: transforms that look at a pixel's neighbours, and noise. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "data/pixels.h"

/* --- sharpness ----------------------------------------------------------------------------------
 * x + (1 - factor)·(smooth - x), where smooth is the 3x3 mean in which the centre counts five
 * times; the edge stays. */

SOMA__VECTOR_CLONES
static void sharpen_row_u8(const uint8_t *restrict x, uint8_t *restrict y, int64_t n, int64_t c,
                           int64_t row, float by)
{
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *p = x + i;
        int32_t sum = p[-row - c] + p[-row] + p[-row + c] + p[-c] + 5 * p[0] + p[c] + p[row - c] +
                      p[row] + p[row + c];
        int32_t smooth = (2 * sum + 13) / 26;
        float v = (float)p[0] + (float)(smooth - p[0]) * by;
        v = v < 0 ? 0 : v > 255 ? 255 : v;
        y[i] = (uint8_t)(int32_t)v;
    }
}

SOMA__VECTOR_CLONES
static void sharpen_row_f32(const float *restrict x, float *restrict y, int64_t n, int64_t c,
                            int64_t row, float by)
{
    for (int64_t i = 0; i < n; i++) {
        const float *p = x + i;
        float sum = p[-row - c] + p[-row] + p[-row + c] + p[-c] + 5 * p[0] + p[c] + p[row - c] +
                    p[row] + p[row + c];
        float v = p[0] + (sum / 13 - p[0]) * by;
        y[i] = v < 0 ? 0 : v > 1 ? 1 : v;
    }
}

void soma__sharpness(const soma__form *form, const void *x, void *y, double factor)
{
    int64_t c = form->c, row = form->w * c, inner = (form->w - 2) * c;
    float by = (float)(1 - factor);
    memcpy(y, x, (size_t)form->count * soma_dtype_size(form->x_dtype));
    for (int64_t i = 1; i + 1 < form->h && inner > 0; i++) {
        int64_t at = i * row + c;
        if (form->x_dtype == SOMA_U8)
            sharpen_row_u8((const uint8_t *)x + at, (uint8_t *)y + at, inner, c, row, by);
        else
            sharpen_row_f32((const float *)x + at, (float *)y + at, inner, c, row, by);
    }
}

/* --- blur ---------------------------------------------------------------------------------------
 * Columns first into rows of f32 with mirrored edges, then sums of whole rows. */

static int64_t mirrored(int64_t i, int64_t n)
{
    i = i < 0 ? -i : i;
    return i >= n ? 2 * (n - 1) - i : i;
}

static void gauss(float *kernel, double sigma, int radius)
{
    double sum = 0;
    for (int t = -radius; t <= radius; t++)
        sum += exp(-0.5 * (t / sigma) * (t / sigma));
    for (int t = -radius; t <= radius; t++)
        kernel[t + radius] = (float)(exp(-0.5 * (t / sigma) * (t / sigma)) / sum);
}

size_t soma__blur_work(int64_t h, int64_t w, int64_t c)
{
    /* The image after its columns, one mirrored row before, one row of sums. */
    size_t row = (size_t)(w * c), margin = (size_t)(SOMA__MAX_KERNEL * c);
    return (row * (size_t)h + 2 * row + margin + 64) * sizeof(float);
}

SOMA__VECTOR_CLONES
static void add_scaled(float *restrict sum, const float *restrict x, int64_t n, float weight)
{
    for (int64_t i = 0; i < n; i++)
        sum[i] += x[i] * weight;
}

/* `x` and `y` are `row` values wide, c of them a pixel; u8 or f32. */
static void blur(const void *x, void *y, int64_t h, int64_t w, int64_t c, bool bytes,
                 const float *kernel, int radius, float *work)
{
    int64_t row = w * c;
    float *middle = work, *wide = middle + h * row, *sum = wide + row + 2 * radius * c;
    for (int64_t i = 0; i < h; i++) {
        float *inner = wide + radius * c, *out = middle + i * row;
        for (int64_t k = 0; k < row; k++)
            inner[k] =
                bytes ? (float)((const uint8_t *)x)[i * row + k] : ((const float *)x)[i * row + k];
        for (int64_t t = 1; t <= radius; t++)
            for (int64_t k = 0; k < c; k++) {
                inner[-t * c + k] = inner[mirrored(-t, w) * c + k];
                inner[(w - 1 + t) * c + k] = inner[mirrored(w - 1 + t, w) * c + k];
            }
        memset(out, 0, (size_t)row * sizeof *out);
        for (int t = 0; t <= 2 * radius; t++)
            add_scaled(out, wide + t * c, row, kernel[t]);
    }
    for (int64_t i = 0; i < h; i++) {
        memset(sum, 0, (size_t)row * sizeof *sum);
        for (int t = -radius; t <= radius; t++)
            add_scaled(sum, middle + mirrored(i + t, h) * row, row, kernel[t + radius]);
        if (!bytes) {
            memcpy((float *)y + i * row, sum, (size_t)row * sizeof *sum);
            continue;
        }
        for (int64_t k = 0; k < row; k++)
            ((uint8_t *)y)[i * row + k] = (uint8_t)(int32_t)(sum[k] + 0.5F);
    }
}

void soma__blur(const soma__form *form, const void *x, void *y, double sigma, int radius,
                void *work)
{
    float kernel[SOMA__MAX_KERNEL] = {0};
    gauss(kernel, sigma, radius);
    blur(x, y, form->h, form->w, form->c, form->x_dtype == SOMA_U8, kernel, radius, work);
}

void soma__blur_plane(float *plane, int64_t h, int64_t w, double sigma, int radius, void *work)
{
    float kernel[SOMA__MAX_KERNEL] = {0};
    gauss(kernel, sigma, radius);
    blur(plane, plane, h, w, 1, false, kernel, radius, work);
}

/* --- noise --------------------------------------------------------------------------------------
 */

/* The normal deviate below which a share of u lies, by Acklam's rational approximation (error below
 * 1.2e-9 of the true one, far below that of 24-bit uniforms). One formula for the middle, which is
 * done for all, and one for the twentieth that are in the tails. */
#define TAIL 0.02425

static float tail_deviate(double u)
{
    double q = sqrt(-2 * log(u < 0.5 ? u : 1 - u));
    double a =
        ((((-7.784894002430293e-03 * q - 3.223964580411365e-01) * q - 2.400758277161838e+00) * q -
          2.549732539343734e+00) *
             q +
         4.374664141464968e+00) *
            q +
        2.938163982698783e+00;
    double b =
        (((7.784695709041462e-03 * q + 3.224671290700398e-01) * q + 2.445134137142996e+00) * q +
         3.754408661907416e+00) *
            q +
        1;
    return (float)(u < 0.5 ? a / b : -a / b);
}

SOMA__VECTOR_CLONES
static void middle_deviates(const float *restrict u, float *restrict out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double q = (double)u[i] + 0x1p-25 - 0.5, r = q * q;
        double a =
            ((((-3.969683028665376e+01 * r + 2.209460984245205e+02) * r - 2.759285104469687e+02) *
                  r +
              1.383577518672690e+02) *
                 r -
             3.066479806614716e+01) *
                r +
            2.506628277459239e+00;
        double b =
            ((((-5.447609879822406e+01 * r + 1.615858368580409e+02) * r - 1.556989798598866e+02) *
                  r +
              6.680131188771972e+01) *
                 r -
             1.328068155288572e+01) *
                r +
            1;
        out[i] = (float)(a * q / b);
    }
}

static void deviates(const float *u, float *out, int64_t n)
{
    middle_deviates(u, out, n);
    for (int64_t i = 0; i < n; i++) {
        double at = (double)u[i] + 0x1p-25;
        if (at < TAIL || at > 1 - TAIL)
            out[i] = tail_deviate(at);
    }
}

/* Below 0.5 the sum is cut to 0, so that truncation rounds to nearest. */
SOMA__VECTOR_CLONES
static void add_noise_u8(uint8_t *restrict y, const float *restrict noise, int64_t n, float by)
{
    for (int64_t i = 0; i < n; i++) {
        float to = (float)y[i] + by * noise[i] + 0.5F;
        to = to < 0 ? 0 : to > 255 ? 255 : to;
        y[i] = (uint8_t)(int32_t)to;
    }
}

void soma__noise(const soma__form *form, void *y, double deviation, const soma__draws *d)
{
    enum { PIECE = 1024 };
    float u[PIECE], noise[PIECE];
    for (int64_t at = 0; at < form->count; at += PIECE) {
        int64_t n = form->count - at < PIECE ? form->count - at : PIECE;
        soma__rng_uniforms(&d->key, d->next + (uint64_t)at, n, u);
        deviates(u, noise, n);
        if (form->x_dtype == SOMA_U8) {
            add_noise_u8((uint8_t *)y + at, noise, n, (float)(deviation * 255));
            continue;
        }
        float *v = (float *)y + at;
        for (int64_t i = 0; i < n; i++)
            v[i] += (float)deviation * noise[i];
    }
}
