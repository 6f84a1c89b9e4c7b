/* resample.c: images of another size. Bilinear as PIL does it: the weights of an output pixel are a
 * triangle around its centre, as wide as the reduction (so no source pixel is skipped), made in
 * double and used as whole numbers of 22 bits for bytes; columns first, then rows, or, where only
 * the height shrinks, the other way around. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "data/pixels.h"

#define BITS 22

/* Weights of one direction: output i is the sum over t < count[i] of weight[i·taps + t] times
 * source first[i] + t. */
typedef struct weights {
    int64_t taps;
    int32_t *first, *count;
    int32_t *whole; /* for bytes */
    float *real;    /* for f32 */
} weights;

static int64_t taps_of(int64_t from, int64_t to)
{
    double support = fmax((double)from / (double)to, 1);
    return (int64_t)ceil(support) * 2 + 1;
}

static size_t weights_bytes(int64_t from, int64_t to)
{
    return soma__align_up((size_t)to * (size_t)(taps_of(from, to) + 2) * 4, 64);
}

/* Lays the arrays into `at`; returns what comes behind them. */
static char *make_weights(weights *w, char *at, int64_t from, int64_t to, bool bytes)
{
    double scale = (double)from / (double)to, width = fmax(scale, 1);
    w->taps = taps_of(from, to);
    w->first = (int32_t *)(void *)at;
    w->count = w->first + to;
    w->whole = w->count + to;
    w->real = (float *)(void *)w->whole;
    for (int64_t i = 0; i < to; i++) {
        double center = ((double)i + 0.5) * scale, sum = 0;
        int64_t first = (int64_t)fmax(center - width + 0.5, 0);
        int64_t end = (int64_t)fmin(center + width + 0.5, (double)from);
        for (int64_t t = first; t < end; t++)
            sum += fmax(1 - fabs(((double)t - center + 0.5) / width), 0);
        w->first[i] = (int32_t)first;
        w->count[i] = (int32_t)(end - first);
        for (int64_t t = first; t < end; t++) {
            double share = fmax(1 - fabs(((double)t - center + 0.5) / width), 0) / sum;
            if (bytes)
                w->whole[i * w->taps + t - first] = (int32_t)(0.5 + share * (1 << BITS));
            else
                w->real[i * w->taps + t - first] = (float)share;
        }
    }
    return at + weights_bytes(from, to);
}

static size_t larger(int64_t a, int64_t b)
{
    return (size_t)(a > b ? a : b);
}

size_t soma__resize_work(const soma__form *from, const soma__form *to)
{
    /* The image between the two directions, and a row of sums. A box of the source needs no more
     * than all of it, and never more taps. */
    size_t c = (size_t)to->c, size = soma_dtype_size(from->x_dtype);
    size_t middle = larger(from->h, to->h) * larger(from->w, to->w) * c * size;
    return weights_bytes(from->w, to->w) + weights_bytes(from->h, to->h) +
           soma__align_up(larger(from->w, to->w) * c * 4, 64) + soma__align_up(middle, 64);
}

/* --- columns ------------------------------------------------------------------------------------
 */

static inline uint8_t to_byte(int32_t sum)
{
    sum >>= BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

static inline __attribute__((always_inline)) void columns_u8(const weights *w, const uint8_t *x,
                                                             uint8_t *y, int64_t to, int64_t c)
{
    for (int64_t i = 0; i < to; i++) {
        const uint8_t *p = x + w->first[i] * c;
        const int32_t *k = w->whole + i * w->taps;
        int32_t n = w->count[i];
        if (c == 3) { /* three sums at once */
            int32_t a = 1 << (BITS - 1), b = a, d = a;
            for (int32_t t = 0; t < n; t++, p += 3) {
                a += p[0] * k[t];
                b += p[1] * k[t];
                d += p[2] * k[t];
            }
            y[3 * i] = to_byte(a);
            y[3 * i + 1] = to_byte(b);
            y[3 * i + 2] = to_byte(d);
            continue;
        }
        for (int64_t channel = 0; channel < c; channel++) {
            int32_t sum = 1 << (BITS - 1);
            for (int32_t t = 0; t < n; t++)
                sum += p[t * c + channel] * k[t];
            y[i * c + channel] = to_byte(sum);
        }
    }
}

static void columns_f32(const weights *w, const float *x, float *y, int64_t to, int64_t c)
{
    for (int64_t i = 0; i < to; i++)
        for (int64_t channel = 0; channel < c; channel++) {
            const float *p = x + w->first[i] * c + channel, *k = w->real + i * w->taps;
            float sum = 0;
            for (int32_t t = 0; t < w->count[i]; t++)
                sum += p[t * c] * k[t];
            y[i * c + channel] = sum;
        }
}

/* --- rows: sums of whole rows -------------------------------------------------------------------
 */

SOMA__VECTOR_CLONES
static void add_row_u8(int32_t *restrict sum, const uint8_t *restrict x, int64_t n, int32_t weight)
{
    for (int64_t i = 0; i < n; i++)
        sum[i] += x[i] * weight;
}

SOMA__VECTOR_CLONES
static void finish_row_u8(uint8_t *restrict y, const int32_t *restrict sum, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = to_byte(sum[i]);
}

/* Rows of n values; those of the source lie `stride` apart. */
static void rows_u8(const weights *w, const uint8_t *x, int64_t stride, uint8_t *y, int64_t to,
                    int64_t n, int32_t *sum)
{
    for (int64_t i = 0; i < to; i++) {
        for (int64_t k = 0; k < n; k++)
            sum[k] = 1 << (BITS - 1);
        for (int32_t t = 0; t < w->count[i]; t++)
            add_row_u8(sum, x + (w->first[i] + t) * stride, n, w->whole[i * w->taps + t]);
        finish_row_u8(y + i * n, sum, n);
    }
}

static void rows_f32(const weights *w, const float *x, int64_t stride, float *y, int64_t to,
                     int64_t n)
{
    for (int64_t i = 0; i < to; i++) {
        memset(y + i * n, 0, (size_t)n * sizeof *y);
        for (int32_t t = 0; t < w->count[i]; t++) {
            const float *p = x + (w->first[i] + t) * stride;
            float weight = w->real[i * w->taps + t];
            for (int64_t k = 0; k < n; k++)
                y[i * n + k] += p[k] * weight;
        }
    }
}

/* --- resize -------------------------------------------------------------------------------------
 */

static void nearest(const soma__form *from, const soma__form *to, const char *x, char *y, int64_t h,
                    int64_t w)
{
    size_t pixel = (size_t)from->c * soma_dtype_size(from->x_dtype);
    for (int64_t i = 0; i < to->h; i++) {
        /* The source pixel that holds the centre of pixel i: (i + 1/2) · h / H, rounded down. */
        const char *row = x + (size_t)((2 * i + 1) * h / (2 * to->h) * from->w) * pixel;
        for (int64_t j = 0; j < to->w; j++, y += pixel)
            memcpy(y, row + (size_t)((2 * j + 1) * w / (2 * to->w)) * pixel, pixel);
    }
}

typedef struct pass {
    weights across, down;
    int64_t c;
    bool bytes;
    int32_t *sum;
} pass;

/* Each of `rows` rows to `to` columns. */
static void pass_columns(const pass *p, const char *x, int64_t stride, char *y, int64_t rows,
                         int64_t to)
{
    for (int64_t i = 0; i < rows; i++) {
        const uint8_t *bytes = (const uint8_t *)x + i * stride;
        uint8_t *out = (uint8_t *)y + i * to * p->c;
        if (!p->bytes)
            columns_f32(&p->across, (const float *)(const void *)x + i * stride,
                        (float *)(void *)y + i * to * p->c, to, p->c);
        else if (p->c == 3)
            columns_u8(&p->across, bytes, out, to, 3);
        else if (p->c == 1)
            columns_u8(&p->across, bytes, out, to, 1);
        else
            columns_u8(&p->across, bytes, out, to, p->c);
    }
}

/* To `to` rows of n values. */
static void pass_rows(const pass *p, const char *x, int64_t stride, char *y, int64_t to, int64_t n)
{
    if (p->bytes)
        rows_u8(&p->down, (const uint8_t *)x, stride, (uint8_t *)y, to, n, p->sum);
    else
        rows_f32(&p->down, (const float *)(const void *)x, stride, (float *)(void *)y, to, n);
}

void soma__resize(const soma__form *from, const soma__form *to, const void *x, void *y, int64_t top,
                  int64_t left, int64_t h, int64_t w, soma_interpolation interpolation, void *work)
{
    int64_t c = from->c, row = from->w * c, n = to->w * c;
    bool bytes = from->x_dtype == SOMA_U8;
    size_t size = soma_dtype_size(from->x_dtype);
    const char *box = (const char *)x + (size_t)(top * row + left * c) * size;
    if (interpolation == SOMA_NEAREST) {
        nearest(from, to, box, y, h, w);
        return;
    }
    pass p = {.c = c, .bytes = bytes};
    char *at = make_weights(&p.across, work, w, to->w, bytes);
    at = make_weights(&p.down, at, h, to->h, bytes);
    p.sum = (int32_t *)(void *)at;
    char *middle = at + soma__align_up(larger(from->w, to->w) * (size_t)c * 4, 64);
    if (to->h < h && to->w >= w) {
        pass_rows(&p, box, row, middle, to->h, w * c);
        pass_columns(&p, middle, w * c, y, to->h, to->w);
    } else {
        pass_columns(&p, box, row, middle, h, to->w);
        pass_rows(&p, middle, n, y, to->h, n);
    }
}
