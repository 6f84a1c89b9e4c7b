/* color.c: transforms of values. What happens to each byte alone goes through a table of 256.
 * Values and roundings are torchvision's for tensors; equalize and autocontrast, where it differs
 * from PIL by a rounding, are PIL's. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "data/pixels.h"

static inline float cut(float v, float top)
{
    return v < 0 ? 0 : v > top ? top : v;
}

static void look_up(uint8_t *y, int64_t count, const uint8_t table[256])
{
    for (int64_t i = 0; i < count; i++)
        y[i] = table[y[i]];
}

/* Each channel by its table. */
static void look_up_channels(const soma__form *form, uint8_t *y, const uint8_t table[][256])
{
    int64_t n = form->h * form->w, c = form->c;
    for (int64_t k = 0; k < c; k++)
        for (int64_t i = 0; i < n; i++)
            y[i * c + k] = table[k][y[i * c + k]];
}

/* y = y · factor + shift, cut to the range; bytes rounded down. */
static void line(const soma__form *form, void *y, float factor, float shift)
{
    if (form->x_dtype == SOMA_F32) {
        float *v = y;
        for (int64_t i = 0; i < form->count; i++)
            v[i] = cut(v[i] * factor + shift, 1);
        return;
    }
    uint8_t table[256];
    for (int i = 0; i < 256; i++)
        table[i] = (uint8_t)cut((float)i * factor + shift, 255);
    look_up(y, form->count, table);
}

/* --- brightness, contrast, saturation ----------------------------------------------------------
 */

static const float luma[3] = {0.2989F, 0.587F, 0.114F};

void soma__brightness(const soma__form *form, void *y, double factor)
{
    line(form, y, (float)factor, 0);
}

/* Sum of the grey values of n pixels, bytes rounded down: whole numbers, so the order of adding
 * does not matter. */
SOMA__VECTOR_CLONES
static int64_t grey_sum_u8(const uint8_t *x, int64_t n)
{
    int64_t sum = 0;
    while (n > 0) {
        int32_t part = 0;
        int64_t piece = n < 4096 ? n : 4096;
        for (int64_t i = 0; i < piece; i++)
            part += (int32_t)((float)x[3 * i] * luma[0] + (float)x[3 * i + 1] * luma[1] +
                              (float)x[3 * i + 2] * luma[2]);
        sum += part;
        x += 3 * piece;
        n -= piece;
    }
    return sum;
}

static double mean_grey(const soma__form *form, const void *y)
{
    int64_t n = form->h * form->w;
    double sum = 0;
    if (form->x_dtype == SOMA_U8 && form->c == 3)
        return (double)grey_sum_u8(y, n) / (double)n;
    for (int64_t i = 0; i < n; i++) {
        if (form->x_dtype == SOMA_U8) {
            sum += ((const uint8_t *)y)[i];
        } else {
            const float *p = (const float *)y + i * form->c;
            sum += (double)(form->c == 3 ? p[0] * luma[0] + p[1] * luma[1] + p[2] * luma[2] : p[0]);
        }
    }
    return sum / (double)n;
}

void soma__contrast(const soma__form *form, void *y, double factor)
{
    line(form, y, (float)factor, (float)((1 - factor) * (double)(float)mean_grey(form, y)));
}

SOMA__VECTOR_CLONES
static void saturate_u8(uint8_t *y, int64_t n, float factor)
{
    for (int64_t i = 0; i < n; i++) {
        float r = y[3 * i], g = y[3 * i + 1], b = y[3 * i + 2];
        float grey = (float)(int32_t)(r * luma[0] + g * luma[1] + b * luma[2]) * (1 - factor);
        y[3 * i] = (uint8_t)(int32_t)cut(r * factor + grey, 255);
        y[3 * i + 1] = (uint8_t)(int32_t)cut(g * factor + grey, 255);
        y[3 * i + 2] = (uint8_t)(int32_t)cut(b * factor + grey, 255);
    }
}

void soma__saturation(const soma__form *form, void *y, double factor)
{
    int64_t n = form->h * form->w;
    if (form->c != 3)
        return;
    if (form->x_dtype == SOMA_U8) {
        saturate_u8(y, n, (float)factor);
        return;
    }
    float *v = y, f = (float)factor;
    for (int64_t i = 0; i < n; i++, v += 3) {
        float grey = (v[0] * luma[0] + v[1] * luma[1] + v[2] * luma[2]) * (1 - f);
        for (int k = 0; k < 3; k++)
            v[k] = cut(v[k] * f + grey, 1);
    }
}

/* --- hue: through hue, saturation, value --------------------------------------------------------
 */

#define BLOCK 64

/* Not fmaxf and fminf, whose care for NaN keeps them out of vectors. */
#define MAX(a_, b_) ((a_) > (b_) ? (a_) : (b_))
#define MIN(a_, b_) ((a_) < (b_) ? (a_) : (b_))

/* v - range·clamp(min(k, 4 - k)), k = (start + hue) mod 6. */
static inline __attribute__((always_inline)) float channel(float k, float high, float range)
{
    k -= k >= 6 ? 6.0F : 0.0F;
    float d = MIN(k, 4 - k);
    d = MIN(d, 1);
    return high - range * MAX(d, 0);
}

/* Turns a block of colours in [0,1] by `turn` (0 to 1). Without branches, for the compiler to make
 * vectors of: the hue in sixths, then each channel as v - v·s·clamp(min(k, 4 - k)), where k runs
 * around the hexagon from a start of the channel's own. */
static inline __attribute__((always_inline)) void turn_block(float *restrict r, float *restrict g,
                                                             float *restrict b, float turn)
{
    for (int i = 0; i < BLOCK; i++) {
        float high = MAX(r[i], MAX(g[i], b[i])), low = MIN(r[i], MIN(g[i], b[i]));
        float range = high - low, by = 1 / (range > 0 ? range : 1);
        float from_r = (g[i] - b[i]) * by, from_g = 2 + (b[i] - r[i]) * by;
        float from_b = 4 + (r[i] - g[i]) * by;
        float hue = high <= g[i] ? from_g : from_b;
        hue = high <= r[i] ? from_r : hue;
        hue += 6 * turn;
        hue += hue < 0 ? 6.0F : 0.0F;
        hue -= hue >= 6 ? 6.0F : 0.0F;
        r[i] = channel(hue + 5, high, range);
        g[i] = channel(hue + 3, high, range);
        b[i] = channel(hue + 1, high, range);
    }
}

SOMA__VECTOR_CLONES
static void turn_u8(uint8_t *y, int64_t n, float turn)
{
    float r[BLOCK], g[BLOCK], b[BLOCK];
    for (int64_t at = 0; at < n; at += BLOCK) {
        int64_t m = n - at < BLOCK ? n - at : BLOCK;
        uint8_t *p = y + 3 * at;
        memset(r, 0, sizeof r);
        memset(g, 0, sizeof g);
        memset(b, 0, sizeof b);
        for (int64_t i = 0; i < m; i++) {
            r[i] = (float)p[3 * i] * (1 / 255.0F);
            g[i] = (float)p[3 * i + 1] * (1 / 255.0F);
            b[i] = (float)p[3 * i + 2] * (1 / 255.0F);
        }
        turn_block(r, g, b, turn);
        for (int64_t i = 0; i < m; i++) {
            p[3 * i] = (uint8_t)(int32_t)(r[i] * 255.999F);
            p[3 * i + 1] = (uint8_t)(int32_t)(g[i] * 255.999F);
            p[3 * i + 2] = (uint8_t)(int32_t)(b[i] * 255.999F);
        }
    }
}

SOMA__VECTOR_CLONES
static void turn_f32(float *y, int64_t n, float turn)
{
    float r[BLOCK], g[BLOCK], b[BLOCK];
    for (int64_t at = 0; at < n; at += BLOCK) {
        int64_t m = n - at < BLOCK ? n - at : BLOCK;
        float *p = y + 3 * at;
        memset(r, 0, sizeof r);
        memset(g, 0, sizeof g);
        memset(b, 0, sizeof b);
        for (int64_t i = 0; i < m; i++) {
            r[i] = p[3 * i];
            g[i] = p[3 * i + 1];
            b[i] = p[3 * i + 2];
        }
        turn_block(r, g, b, turn);
        for (int64_t i = 0; i < m; i++) {
            p[3 * i] = r[i];
            p[3 * i + 1] = g[i];
            p[3 * i + 2] = b[i];
        }
    }
}

void soma__hue(const soma__form *form, void *y, double turn)
{
    if (form->c != 3)
        return;
    float part = (float)(turn - floor(turn));
    if (form->x_dtype == SOMA_U8)
        turn_u8(y, form->h * form->w, part);
    else
        turn_f32(y, form->h * form->w, part);
}

/* --- single values ------------------------------------------------------------------------------
 */

SOMA__VECTOR_CLONES
static void grey_u8(uint8_t *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float grey = (float)y[3 * i] * luma[0] + (float)y[3 * i + 1] * luma[1] +
                     (float)y[3 * i + 2] * luma[2];
        y[3 * i] = y[3 * i + 1] = y[3 * i + 2] = (uint8_t)(int32_t)grey;
    }
}

void soma__grayscale(const soma__form *form, void *y)
{
    int64_t n = form->h * form->w;
    if (form->c != 3)
        return;
    if (form->x_dtype == SOMA_U8) {
        grey_u8(y, n);
        return;
    }
    float *v = y;
    for (int64_t i = 0; i < n; i++, v += 3)
        v[0] = v[1] = v[2] = v[0] * luma[0] + v[1] * luma[1] + v[2] * luma[2];
}

/* Writing bytes may change anything, for all the compiler knows: sizes are kept apart. */
void soma__invert(const soma__form *form, void *y)
{
    int64_t n = form->count;
    if (form->x_dtype == SOMA_U8) {
        uint8_t *v = y;
        for (int64_t i = 0; i < n; i++)
            v[i] = (uint8_t)~v[i];
        return;
    }
    float *v = y;
    for (int64_t i = 0; i < n; i++)
        v[i] = 1 - v[i];
}

void soma__posterize(const soma__form *form, void *y, int bits)
{
    int64_t n = form->count;
    if (form->x_dtype == SOMA_U8) {
        uint8_t *v = y, mask = (uint8_t)(0xFF00 >> bits);
        for (int64_t i = 0; i < n; i++)
            v[i] &= mask;
        return;
    }
    float *v = y, levels = (float)(1 << bits);
    for (int64_t i = 0; i < n; i++)
        v[i] = cut(floorf(v[i] * levels), levels - 1) / levels;
}

void soma__solarize(const soma__form *form, void *y, double threshold)
{
    if (form->x_dtype == SOMA_U8) {
        uint8_t table[256];
        for (int i = 0; i < 256; i++)
            table[i] = (uint8_t)((double)i >= threshold * 255 ? 255 - i : i);
        look_up(y, form->count, table);
        return;
    }
    float *v = y, from = (float)threshold;
    for (int64_t i = 0; i < form->count; i++)
        v[i] = v[i] >= from ? 1 - v[i] : v[i];
}

/* --- histograms ---------------------------------------------------------------------------------
 */

/* The table that spreads n counted values evenly: PIL's ImageOps.equalize. */
static void equal_table(const int64_t count[256], int64_t n, uint8_t table[256])
{
    int last = 255;
    while (last > 0 && !count[last])
        last--;
    int64_t step = (n - count[last]) / 255, sum = step / 2;
    for (int i = 0; i < 256; i++) {
        int64_t to = step ? sum / step : i;
        table[i] = (uint8_t)(to > 255 ? 255 : to);
        sum += count[i];
    }
}

static uint8_t byte_of(float v)
{
    return (uint8_t)(cut(v, 1) * 255.999F);
}

void soma__equalize(const soma__form *form, void *y)
{
    int64_t n = form->h * form->w, c = form->c;
    uint8_t table[SOMA_MAX_CHANNELS][256];
    for (int64_t k = 0; k < c && k < SOMA_MAX_CHANNELS; k++) {
        int64_t count[256] = {0};
        for (int64_t i = 0; i < n; i++)
            count[form->x_dtype == SOMA_U8 ? ((uint8_t *)y)[i * c + k]
                                           : byte_of(((float *)y)[i * c + k])]++;
        equal_table(count, n, table[k]);
    }
    if (form->x_dtype == SOMA_U8) {
        look_up_channels(form, y, (const uint8_t(*)[256])table);
        return;
    }
    float *v = y;
    for (int64_t i = 0; i < form->count; i++)
        v[i] = (float)table[i % c][byte_of(v[i])] / 255;
}

void soma__autocontrast(const soma__form *form, void *y)
{
    int64_t n = form->h * form->w, c = form->c;
    if (form->x_dtype == SOMA_F32) {
        for (int64_t k = 0; k < c; k++) {
            float *v = (float *)y + k, low = v[0], high = v[0];
            for (int64_t i = 0; i < n; i++) {
                low = fminf(low, v[i * c]);
                high = fmaxf(high, v[i * c]);
            }
            for (int64_t i = 0; i < n && high > low; i++)
                v[i * c] = cut((v[i * c] - low) / (high - low), 1);
        }
        return;
    }
    uint8_t table[SOMA_MAX_CHANNELS][256], low[SOMA_MAX_CHANNELS], high[SOMA_MAX_CHANNELS];
    const uint8_t *v = y;
    memset(low, 255, sizeof low);
    memset(high, 0, sizeof high);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < c; k++) {
            uint8_t value = v[i * c + k];
            low[k] = value < low[k] ? value : low[k];
            high[k] = value > high[k] ? value : high[k];
        }
    for (int64_t k = 0; k < c; k++) {
        double scale = high[k] > low[k] ? 255.0 / (high[k] - low[k]) : 1;
        double shift = high[k] > low[k] ? -low[k] * scale : 0;
        for (int i = 0; i < 256; i++) {
            double to = i * scale + shift;
            table[k][i] = (uint8_t)(to < 0 ? 0 : to > 255 ? 255 : to);
        }
    }
    look_up_channels(form, y, (const uint8_t(*)[256])table);
}
