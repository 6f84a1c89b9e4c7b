/* warp.c: images through maps of the plane. Coordinates are fixed-point numbers with 32 bits behind
 * the point: a row of an affine map is then two additions a pixel, and the result does not depend
 * on how a compiler rounds. Weights have 10 bits for bytes; f32 keeps all. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "data/pixels.h"

#define ONE ((int64_t)1 << 32)
#define FAR 1e9 /* beyond any image: keeps coordinates in 64 bits */

static int64_t fixed(double v)
{
    v = v < -FAR ? -FAR : v > FAR ? FAR : v; /* NaN comes out as NaN */
    return isnan(v) ? -(int64_t)FAR * ONE : (int64_t)floor(v * 0x1p32 + 0.5);
}

typedef struct job {
    const void *x;
    void *y;
    int64_t h, w, c;
    uint8_t fill_byte;
    float fill;
} job;

/* The pixel at (row, column), or the fill. */
#define AT(type_, fill_)                                                                           \
    ((uint64_t)(row) < (uint64_t)j->h && (uint64_t)(column) < (uint64_t)j->w                       \
         ? ((const type_ *)j->x)[(row * j->w + column) * c + k]                                    \
         : (fill_))

static inline __attribute__((always_inline)) void nearest_u8(const job *j, int64_t c, int64_t sx,
                                                             int64_t sy, uint8_t *y)
{
    int64_t column = (sx + ONE / 2) >> 32, row = (sy + ONE / 2) >> 32;
    for (int64_t k = 0; k < c; k++)
        y[k] = AT(uint8_t, j->fill_byte);
}

static inline __attribute__((always_inline)) void nearest_f32(const job *j, int64_t c, int64_t sx,
                                                              int64_t sy, float *y)
{
    int64_t column = (sx + ONE / 2) >> 32, row = (sy + ONE / 2) >> 32;
    for (int64_t k = 0; k < c; k++)
        y[k] = AT(float, j->fill);
}

static inline __attribute__((always_inline)) void linear_u8(const job *j, int64_t c, int64_t sx,
                                                            int64_t sy, uint8_t *y)
{
    int64_t x0 = sx >> 32, y0 = sy >> 32;
    int32_t fx = (int32_t)(sx >> 22 & 1023), fy = (int32_t)(sy >> 22 & 1023);
    int32_t w11 = fx * fy, w01 = (fx << 10) - w11, w10 = (fy << 10) - w11;
    int32_t w00 = (1 << 20) - (fx << 10) - w10;
    if ((uint64_t)x0 < (uint64_t)(j->w - 1) && (uint64_t)y0 < (uint64_t)(j->h - 1)) {
        const uint8_t *p = (const uint8_t *)j->x + (y0 * j->w + x0) * c, *q = p + j->w * c;
        for (int64_t k = 0; k < c; k++)
            y[k] =
                (uint8_t)((p[k] * w00 + p[k + c] * w01 + q[k] * w10 + q[k + c] * w11 + (1 << 19)) >>
                          20);
        return;
    }
    for (int64_t k = 0; k < c; k++) {
        int64_t row = y0, column = x0;
        int32_t sum = 1 << 19;
        sum += AT(uint8_t, j->fill_byte) * w00;
        column++;
        sum += AT(uint8_t, j->fill_byte) * w01;
        row++;
        sum += AT(uint8_t, j->fill_byte) * w11;
        column--;
        sum += AT(uint8_t, j->fill_byte) * w10;
        y[k] = (uint8_t)(sum >> 20);
    }
}

static inline __attribute__((always_inline)) void linear_f32(const job *j, int64_t c, int64_t sx,
                                                             int64_t sy, float *y)
{
    int64_t x0 = sx >> 32, y0 = sy >> 32;
    float fx = (float)(uint32_t)sx * 0x1p-32F, fy = (float)(uint32_t)sy * 0x1p-32F;
    for (int64_t k = 0; k < c; k++) {
        int64_t row = y0, column = x0;
        float a = AT(float, j->fill);
        column++;
        float b = AT(float, j->fill);
        row++;
        float e = AT(float, j->fill);
        column--;
        float d = AT(float, j->fill);
        float top = a + fx * (b - a), bottom = d + fx * (e - d);
        y[k] = top + fy * (bottom - top);
    }
}

/* A row of an affine map, for one dtype, one number of channels (0: any) and one interpolation. */
#define ROW(name_, pixel_, type_, c_)                                                              \
    static void name_(const job *j, type_ *y, int64_t sx, int64_t sy, int64_t dx, int64_t dy)      \
    {                                                                                              \
        const int64_t c = (c_) ? (c_) : j->c;                                                      \
        for (int64_t n = 0; n < j->w; n++, sx += dx, sy += dy)                                     \
            pixel_(j, c, sx, sy, y + n * c);                                                       \
    }
ROW(row_linear_u8_1, linear_u8, uint8_t, 1)
ROW(row_linear_u8_3, linear_u8, uint8_t, 3)
ROW(row_linear_u8, linear_u8, uint8_t, 0)
ROW(row_nearest_u8_3, nearest_u8, uint8_t, 3)
ROW(row_nearest_u8, nearest_u8, uint8_t, 0)
ROW(row_linear_f32_3, linear_f32, float, 3)
ROW(row_linear_f32, linear_f32, float, 0)
ROW(row_nearest_f32, nearest_f32, float, 0)
#undef ROW

static job make_job(const soma__form *form, const void *x, void *y, double fill)
{
    job j = {.x = x, .y = y, .h = form->h, .w = form->w, .c = form->c, .fill = (float)fill};
    soma__store(SOMA_U8, &j.fill_byte, 0, fill);
    return j;
}

static void warp_row(const soma__form *form, const job *j, soma_interpolation how, int64_t i,
                     int64_t sx, int64_t sy, int64_t dx, int64_t dy)
{
    bool nearest = how == SOMA_NEAREST;
    if (form->x_dtype == SOMA_U8) {
        uint8_t *y = (uint8_t *)j->y + i * j->w * j->c;
        if (nearest)
            (j->c == 3 ? row_nearest_u8_3 : row_nearest_u8)(j, y, sx, sy, dx, dy);
        else
            (j->c == 3   ? row_linear_u8_3
             : j->c == 1 ? row_linear_u8_1
                         : row_linear_u8)(j, y, sx, sy, dx, dy);
    } else {
        float *y = (float *)j->y + i * j->w * j->c;
        (nearest     ? row_nearest_f32
         : j->c == 3 ? row_linear_f32_3
                     : row_linear_f32)(j, y, sx, sy, dx, dy);
    }
}

/* One pixel, where the way from one to the next is not straight. */
static void warp_pixel(const soma__form *form, const job *j, soma_interpolation how, int64_t at,
                       int64_t sx, int64_t sy)
{
    bool nearest = how == SOMA_NEAREST;
    if (form->x_dtype == SOMA_U8) {
        uint8_t *y = (uint8_t *)j->y + at * j->c;
        if (nearest)
            nearest_u8(j, j->c, sx, sy, y);
        else if (j->c == 3)
            linear_u8(j, 3, sx, sy, y);
        else
            linear_u8(j, j->c, sx, sy, y);
    } else {
        float *y = (float *)j->y + at * j->c;
        if (nearest)
            nearest_f32(j, j->c, sx, sy, y);
        else
            linear_f32(j, j->c, sx, sy, y);
    }
}

void soma__warp(const soma__form *form, const void *x, void *y, const double map[9],
                soma_interpolation interpolation, double fill)
{
    const double *m = map;
    job j = make_job(form, x, y, fill);
    bool affine = fpclassify(m[6]) == FP_ZERO && fpclassify(m[7]) == FP_ZERO;
    for (int64_t i = 0; i < form->h; i++) {
        double row = (double)i;
        if (affine) {
            warp_row(form, &j, interpolation, i, fixed((m[1] * row + m[2]) / m[8]),
                     fixed((m[4] * row + m[5]) / m[8]), fixed(m[0] / m[8]), fixed(m[3] / m[8]));
            continue;
        }
        for (int64_t k = 0; k < form->w; k++) {
            double column = (double)k, by = m[6] * column + m[7] * row + m[8];
            double sx = (m[0] * column + m[1] * row + m[2]) / by;
            double sy = (m[3] * column + m[4] * row + m[5]) / by;
            warp_pixel(form, &j, interpolation, i * form->w + k, fixed(sx), fixed(sy));
        }
    }
}

void soma__displace(const soma__form *form, const void *x, void *y, const float *dx,
                    const float *dy, soma_interpolation interpolation, double fill)
{
    job j = make_job(form, x, y, fill);
    for (int64_t i = 0; i < form->h; i++)
        for (int64_t k = 0; k < form->w; k++) {
            int64_t at = i * form->w + k;
            warp_pixel(form, &j, interpolation, at, fixed((double)k + (double)dx[at]),
                       fixed((double)i + (double)dy[at]));
        }
}

/* --- maps ---------------------------------------------------------------------------------------
 */

void soma__affine_map(double map[9], double cx, double cy, double degrees, double tx, double ty,
                      double scale, double shear_x, double shear_y)
{
    const double turn = 3.14159265358979323846 / 180;
    double rot = degrees * turn, sx = shear_x * turn, sy = shear_y * turn;
    /* Forward: x' = T C R S scale C^-1 x, with R·S as torchvision has it; the map is its inverse.
     */
    double a = cos(rot - sy) / cos(sy), b = -cos(rot - sy) * tan(sx) / cos(sy) - sin(rot);
    double c = sin(rot - sy) / cos(sy), d = -sin(rot - sy) * tan(sx) / cos(sy) + cos(rot);
    double m[6] = {d / scale, -b / scale, 0, -c / scale, a / scale, 0};
    m[2] = m[0] * (-cx - tx) + m[1] * (-cy - ty) + cx;
    m[5] = m[3] * (-cx - tx) + m[4] * (-cy - ty) + cy;
    memcpy(map, m, sizeof m);
    map[6] = map[7] = 0;
    map[8] = 1;
}

/* Gauss-Jordan with pivoting on 8 equations in 8 unknowns. */
static bool solve8(double a[8][9])
{
    for (int i = 0; i < 8; i++) {
        int pivot = i;
        for (int k = i + 1; k < 8; k++)
            pivot = fabs(a[k][i]) > fabs(a[pivot][i]) ? k : pivot;
        if (!(fabs(a[pivot][i]) > 1e-12))
            return false;
        for (int n = 0; n < 9; n++) {
            double t = a[i][n];
            a[i][n] = a[pivot][n];
            a[pivot][n] = t;
        }
        for (int k = 0; k < 8; k++) {
            double factor = a[k][i] / a[i][i];
            for (int n = i; n < 9 && k != i; n++)
                a[k][n] -= factor * a[i][n];
        }
    }
    for (int i = 0; i < 8; i++)
        a[i][8] /= a[i][i];
    return true;
}

bool soma__perspective_map(double map[9], const double start[4][2], const double end[4][2])
{
    double a[8][9];
    for (int i = 0; i < 4; i++) {
        double x = end[i][0], y = end[i][1], u = start[i][0], v = start[i][1];
        memcpy(a[2 * i], (double[9]){x, y, 1, 0, 0, 0, -u * x, -u * y, u}, sizeof a[0]);
        memcpy(a[2 * i + 1], (double[9]){0, 0, 0, x, y, 1, -v * x, -v * y, v}, sizeof a[0]);
    }
    if (!solve8(a))
        return false;
    /* From coordinates of edges, in which the corners are given, to those of pixel centres. */
    double m[8];
    for (int i = 0; i < 8; i++)
        m[i] = a[i][8];
    map[6] = m[6];
    map[7] = m[7];
    map[8] = 1 + 0.5 * (m[6] + m[7]);
    for (int row = 0; row < 6; row += 3) {
        map[row] = m[row] - 0.5 * m[6];
        map[row + 1] = m[row + 1] - 0.5 * m[7];
        map[row + 2] = m[row + 2] + 0.5 * (m[row] + m[row + 1]) - 0.5 * map[8];
    }
    return true;
}
