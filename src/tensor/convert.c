/* convert.c: elements of one dtype into another.
 *
 * Every conversion rounds once, to nearest even. Where a value has to go through a wider type on
 * its way (double to bf16 by way of float, i64 to float by way of double), the first step rounds
 * *to odd*: it truncates and sets the last bit if anything was lost. The last bit then tells the
 * second step "a little more than this", so that it never sees a tie that is none. This is exact as
 * long as the middle type has two bits more than the last one. */
#include "tensor/convert.h"

#include <math.h>
#include <string.h>

/* --- the 16-bit floats ---------------------------------------------------------------------------
 */

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* bf16 is the upper half of an f32. */
float soma__bf16_to_f32(uint16_t h)
{
    return float_of((uint32_t)h << 16);
}

uint16_t soma__f32_to_bf16(float f)
{
    uint32_t bits = bits_of(f);
    /* Rounding could carry a NaN's payload into the sign, or cut it to infinity: keep the upper
     * half and make it quiet. */
    if ((bits & 0x7FFFFFFF) > 0x7F800000)
        return (uint16_t)(bits >> 16 | 0x40);
    /* Adds a half, less one bit if the result would be even: ties go to even, and a carry out of
     * the fraction raises the exponent, up to infinity, all by itself. */
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/* f16: 1 sign bit, 5 of exponent (bias 15), 10 of fraction. */
float soma__f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t exponent = h >> 10 & 0x1F;
    uint32_t fraction = h & 0x3FF;
    if (exponent == 31) /* infinity or NaN */
        return float_of(sign | 0x7F800000 | fraction << 13);
    if (exponent == 0) /* zero or denormal: fraction × 2^-24, exact in f32 */
        return float_of(sign | bits_of((float)fraction * 0x1p-24F));
    return float_of(sign | (exponent + 127 - 15) << 23 | fraction << 13);
}

uint16_t soma__f32_to_f16(float f)
{
    uint32_t bits = bits_of(f);
    uint32_t sign = bits >> 16 & 0x8000;
    uint32_t magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) /* NaN: keep the upper payload, make it quiet */
        return (uint16_t)(sign | 0x7E00 | (magnitude >> 13 & 0x3FF));
    if (magnitude >= 0x477FF000) /* from 65520 up the nearest is infinity */
        return (uint16_t)(sign | 0x7C00);
    if (magnitude >= 0x38800000) { /* from 2^-14 up: a normal number */
        uint32_t rebased = magnitude - ((uint32_t)(127 - 15) << 23);
        return (uint16_t)(sign | (rebased + 0xFFF + (rebased >> 13 & 1)) >> 13);
    }
    /* Denormal: adding 0.5 shifts the fraction so that its last bit is worth 2^-24, and the
     * addition itself rounds to nearest even. */
    return (uint16_t)(sign | (bits_of(float_of(magnitude) + 0.5F) - bits_of(0.5F)));
}

/* --- rounding to odd -----------------------------------------------------------------------------
 */

static float to_odd_float(double d)
{
    float f = (float)d;
    double back = (double)f;
    if (isnan(d) || (back <= d && back >= d))
        return f;
    uint32_t bits = bits_of(f);
    if (fabs(back) > fabs(d))
        bits--; /* rounded away from zero: step back, from infinity too */
    return float_of(bits | 1);
}

static double i64_to_odd_double(int64_t i)
{
    /* The magnitude as an unsigned number, so that INT64_MIN has one. */
    uint64_t magnitude = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    if (magnitude >> 53) {
        int drop = 11 - __builtin_clzll(magnitude); /* bits beyond the 53 that a double has */
        uint64_t lost = magnitude & ((UINT64_C(1) << drop) - 1);
        magnitude = (magnitude ^ lost) | (uint64_t)(lost != 0) << drop;
    }
    return i < 0 ? -(double)magnitude : (double)magnitude;
}

/* --- one element ---------------------------------------------------------------------------------
 */

/* Whether the result is used as it is or rounded again decides how an i64 is widened. */
static inline double load(soma_dtype dtype, const void *data, int64_t i, bool rounded_again)
{
    switch (dtype) {
    case SOMA_F32:
        return (double)((const float *)data)[i];
    case SOMA_F64:
        return ((const double *)data)[i];
    case SOMA_F16:
        return (double)soma__f16_to_f32(((const uint16_t *)data)[i]);
    case SOMA_BF16:
        return (double)soma__bf16_to_f32(((const uint16_t *)data)[i]);
    case SOMA_I8:
        return (double)((const int8_t *)data)[i];
    case SOMA_U8:
        return (double)((const uint8_t *)data)[i];
    case SOMA_I32:
        return (double)((const int32_t *)data)[i];
    case SOMA_I64:
        return rounded_again ? i64_to_odd_double(((const int64_t *)data)[i])
                             : (double)((const int64_t *)data)[i];
    case SOMA_BOOL:
        return ((const uint8_t *)data)[i] ? 1.0 : 0.0;
    }
    return 0.0;
}

/* Rounds to nearest even and saturates; NaN gives 0. `high` is the first double that is too large,
 * because INT64_MAX itself is no double. */
static inline int64_t to_integer(double value, double low, double high, int64_t max)
{
    double rounded = rint(value);
    if (isnan(value))
        return 0;
    if (rounded >= high)
        return max;
    return (int64_t)(rounded < low ? low : rounded);
}

static inline void store(soma_dtype dtype, void *data, int64_t i, double value)
{
    switch (dtype) {
    case SOMA_F32:
        ((float *)data)[i] = (float)value;
        break;
    case SOMA_F64:
        ((double *)data)[i] = value;
        break;
    case SOMA_F16:
        ((uint16_t *)data)[i] = soma__f32_to_f16(to_odd_float(value));
        break;
    case SOMA_BF16:
        ((uint16_t *)data)[i] = soma__f32_to_bf16(to_odd_float(value));
        break;
    case SOMA_I8:
        ((int8_t *)data)[i] = (int8_t)to_integer(value, INT8_MIN, 0x1p7, INT8_MAX);
        break;
    case SOMA_U8:
        ((uint8_t *)data)[i] = (uint8_t)to_integer(value, 0, 0x1p8, UINT8_MAX);
        break;
    case SOMA_I32:
        ((int32_t *)data)[i] = (int32_t)to_integer(value, INT32_MIN, 0x1p31, INT32_MAX);
        break;
    case SOMA_I64:
        ((int64_t *)data)[i] = to_integer(value, -0x1p63, 0x1p63, INT64_MAX);
        break;
    case SOMA_BOOL:
        ((uint8_t *)data)[i] = value < 0 || value > 0 || isnan(value);
        break;
    }
}

double soma__load(soma_dtype dtype, const void *data, int64_t index)
{
    return load(dtype, data, index, false);
}

void soma__store(soma_dtype dtype, void *data, int64_t index, double value)
{
    store(dtype, data, index, value);
}

/* --- many elements -------------------------------------------------------------------------------
 */

/* One loop per dtype: with the dtype a constant, `load` and `store` shrink to their one case, and
 * the compiler can vectorise the loop. */
static void load_many(soma_dtype dtype, const void *data, int64_t first, int64_t count, double *out,
                      bool rounded_again)
{
    switch (dtype) {
#define SOMA__LOAD_CASE(name_, value_, size_, text_)                                               \
    case SOMA_##name_:                                                                             \
        for (int64_t i = 0; i < count; i++)                                                        \
            out[i] = load(SOMA_##name_, data, first + i, rounded_again);                           \
        break;
        SOMA_DTYPE_LIST(SOMA__LOAD_CASE)
#undef SOMA__LOAD_CASE
    }
}

static void store_many(soma_dtype dtype, void *data, int64_t first, int64_t count,
                       const double *values)
{
    switch (dtype) {
#define SOMA__STORE_CASE(name_, value_, size_, text_)                                              \
    case SOMA_##name_:                                                                             \
        for (int64_t i = 0; i < count; i++)                                                        \
            store(SOMA_##name_, data, first + i, values[i]);                                       \
        break;
        SOMA_DTYPE_LIST(SOMA__STORE_CASE)
#undef SOMA__STORE_CASE
    }
}

void soma__convert(soma_dtype to, void *out, soma_dtype from, const void *in, int64_t count)
{
    if (to == from) {
        memcpy(out, in, (size_t)count * soma_dtype_size(to));
        return;
    }
    /* By way of doubles, a piece at a time that stays in the first cache: 18 loops instead of 81.
     */
    double piece[256];
    bool rounded_again = soma_dtype_is_float(to) && to != SOMA_F64;
    for (int64_t first = 0; first < count; first += 256) {
        int64_t n = count - first < 256 ? count - first : 256;
        load_many(from, in, first, n, piece, rounded_again);
        store_many(to, out, first, n, piece);
    }
}

void soma__fill(soma_dtype dtype, void *data, int64_t count, double value)
{
    if (count <= 0)
        return;
    /* The value is converted once; doubling copies then spread its bytes. */
    size_t size = soma_dtype_size(dtype);
    size_t bytes = (size_t)count * size;
    store(dtype, data, 0, value);
    for (size_t done = size; done < bytes;) {
        /* Pieces of at most 64 KiB are copied from memory that is still in the cache. */
        size_t n = done < 65536 ? done : 65536;
        if (n > bytes - done)
            n = bytes - done;
        memcpy((char *)data + done, data, n);
        done += n;
    }
}
