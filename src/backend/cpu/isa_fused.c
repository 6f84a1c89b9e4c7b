/* isa_fused.c: every function of scalar.h over strips, and conversion of other dtypes. */
#include "backend/cpu/fused.h"
#include "backend/cpu/vmath.h"

extern const struct soma__isa_fused SOMA__ISA_NAME(soma__isa_fused);

/* --- the functions ------------------------------------------------------------------------------
 */

/* One loop for all: x, y, z are the vectors of operands a, b, c. An operand's pointer moves on by a
 * vector, or stays when it is a splat. */
#define ADVANCE(strip_) ((strip_)->splat ? 0 : VF_WIDTH)
#define ROW(strip_) ((strip_)->p + r * (strip_)->ld)

#define UNARY(name_, formula_)                                                                     \
    static void apply_##name_(int64_t rows, int64_t n, const soma__strip *d, const soma__strip *a, \
                              const soma__strip *b, const soma__strip *c)                          \
    {                                                                                              \
        const int64_t sa = ADVANCE(a);                                                             \
        (void)b;                                                                                   \
        (void)c;                                                                                   \
        for (int64_t r = 0; r < rows; r++) {                                                       \
            float *pd = ROW(d);                                                                    \
            const float *pa = ROW(a);                                                              \
            int64_t i = 0;                                                                         \
            for (; i + VF_WIDTH <= n; i += VF_WIDTH, pa += sa) {                                   \
                vf x = vf_load(pa);                                                                \
                vf_store(pd + i, (formula_));                                                      \
            }                                                                                      \
            if (i < n) {                                                                           \
                vf x = vf_load_part(pa, n - i);                                                    \
                vf_store_part(pd + i, (formula_), n - i);                                          \
            }                                                                                      \
        }                                                                                          \
    }

#define BINARY(name_, formula_)                                                                    \
    static void apply_##name_(int64_t rows, int64_t n, const soma__strip *d, const soma__strip *a, \
                              const soma__strip *b, const soma__strip *c)                          \
    {                                                                                              \
        const int64_t sa = ADVANCE(a), sb = ADVANCE(b);                                            \
        (void)c;                                                                                   \
        for (int64_t r = 0; r < rows; r++) {                                                       \
            float *pd = ROW(d);                                                                    \
            const float *pa = ROW(a), *pb = ROW(b);                                                \
            int64_t i = 0;                                                                         \
            for (; i + VF_WIDTH <= n; i += VF_WIDTH, pa += sa, pb += sb) {                         \
                vf x = vf_load(pa), y = vf_load(pb);                                               \
                vf_store(pd + i, (formula_));                                                      \
            }                                                                                      \
            if (i < n) {                                                                           \
                vf x = vf_load_part(pa, n - i), y = vf_load_part(pb, n - i);                       \
                vf_store_part(pd + i, (formula_), n - i);                                          \
            }                                                                                      \
        }                                                                                          \
    }

static void apply_WHERE(int64_t rows, int64_t n, const soma__strip *d, const soma__strip *a,
                        const soma__strip *b, const soma__strip *c)
{
    const int64_t sa = ADVANCE(a), sb = ADVANCE(b), sc = ADVANCE(c);
    for (int64_t r = 0; r < rows; r++) {
        float *pd = ROW(d);
        const float *pa = ROW(a), *pb = ROW(b), *pc = ROW(c);
        int64_t i = 0;
        for (; i + VF_WIDTH <= n; i += VF_WIDTH, pa += sa, pb += sb, pc += sc)
            vf_store(pd + i, vf_select(vf_ne(vf_load(pa), vf_zero()), vf_load(pb), vf_load(pc)));
        if (i < n) {
            int64_t k = n - i;
            vm yes = vf_ne(vf_load_part(pa, k), vf_zero());
            vf_store_part(pd + i, vf_select(yes, vf_load_part(pb, k), vf_load_part(pc, k)), k);
        }
    }
}

/* The C library's function lane by lane, for those that are rare in networks. */
VF_INLINE vf each(float (*f)(float), vf x)
{
    float t[VF_WIDTH];
    vf_store(t, x);
    for (int i = 0; i < VF_WIDTH; i++)
        t[i] = f(t[i]);
    return vf_load(t);
}
VF_INLINE vf each_two(float (*f)(float, float), vf x, vf y)
{
    float s[VF_WIDTH], t[VF_WIDTH];
    vf_store(s, x);
    vf_store(t, y);
    for (int i = 0; i < VF_WIDTH; i++)
        t[i] = f(s[i], t[i]);
    return vf_load(t);
}
/* The reference formula lane by lane. */
VF_INLINE vf reference(soma__scalar code, vf x, vf y)
{
    float s[VF_WIDTH], t[VF_WIDTH];
    vf_store(s, x);
    vf_store(t, y);
    for (int i = 0; i < VF_WIDTH; i++)
        t[i] = (float)soma__scalar_apply(code, (double)s[i], (double)t[i], 0);
    return vf_load(t);
}
/* NaN comes out as it is: both comparisons say no, and NaN + 0 is added. */
VF_INLINE vf sign(vf x)
{
    vf s = vm_to_float(vf_gt(x, vf_zero())) - vm_to_float(vf_lt(x, vf_zero()));
    return vf_select(vf_isnan(x), x, s);
}

UNARY(COPY, x)
UNARY(NEG, vf_neg(x))
UNARY(ABS, vf_abs(x))
UNARY(SIGN, sign(x))
UNARY(SQUARE, x *x)
UNARY(RECIPROCAL, vf_set1(1) / x)
UNARY(SQRT, vf_sqrt(x))
UNARY(RSQRT, vf_set1(1) / vf_sqrt(x))
UNARY(EXP, vf_exp(x))
UNARY(LOG, vf_log(x))
UNARY(SIN, each(sinf, x))
UNARY(COS, each(cosf, x))
UNARY(TANH, vf_tanh(x))
UNARY(ERF, vf_erf(x))
UNARY(SIGMOID, vf_sigmoid(x))
UNARY(SOFTPLUS, vf_softplus(x))
UNARY(FLOOR, vf_floor(x))
UNARY(CEIL, vf_ceil(x))
UNARY(ROUND, vf_round(x))
UNARY(RELU, vf_select(vf_le(x, vf_zero()), vf_zero(), x))
UNARY(ISFINITE, vm_to_float(vf_lt(vf_abs(x), vf_set1((float)INFINITY))))
UNARY(NOT, vm_to_float(vf_eq(x, vf_zero())))
UNARY(EXPM1, vf_expm1(x))
UNARY(LOG1P, vf_log1p(x))
UNARY(EXP2, vf_exp2(x))
UNARY(LOG2, vf_log2(x))
UNARY(LOG10, vf_log10(x))
UNARY(TAN, each(tanf, x))
UNARY(ASIN, each(asinf, x))
UNARY(ACOS, each(acosf, x))
UNARY(ATAN, each(atanf, x))
UNARY(SINH, each(sinhf, x))
UNARY(COSH, each(coshf, x))
UNARY(ASINH, each(asinhf, x))
UNARY(ACOSH, each(acoshf, x))
UNARY(ATANH, each(atanhf, x))
UNARY(ERFC, each(erfcf, x))
UNARY(ERFINV, reference(SOMA__SCALAR_ERFINV, x, x))
UNARY(CBRT, each(cbrtf, x))
UNARY(LGAMMA, reference(SOMA__SCALAR_LGAMMA, x, x))
UNARY(TRUNC, vf_select(vf_lt(x, vf_zero()), vf_ceil(x), vf_floor(x)))
UNARY(ISNAN, vm_to_float(vf_isnan(x)))
UNARY(ISINF, vm_to_float(vf_eq(vf_abs(x), vf_set1((float)INFINITY))))
BINARY(ADD, x + y)
BINARY(SUB, x - y)
BINARY(MUL, x *y)
BINARY(DIV, x / y)
BINARY(POW, each_two(powf, x, y))
BINARY(MAXIMUM, vf_maximum(x, y))
BINARY(MINIMUM, vf_minimum(x, y))
BINARY(EQUAL, vm_to_float(vf_eq(x, y)))
BINARY(NOT_EQUAL, vm_to_float(vf_ne(x, y)))
BINARY(LESS, vm_to_float(vf_lt(x, y)))
BINARY(LESS_EQUAL, vm_to_float(vf_le(x, y)))
BINARY(AND, vm_to_float(vm_and(vf_ne(x, vf_zero()), vf_ne(y, vf_zero()))))
BINARY(OR, vm_to_float(vm_or(vf_ne(x, vf_zero()), vf_ne(y, vf_zero()))))
BINARY(XOR, vm_to_float(vf_ne(vm_to_float(vf_ne(x, vf_zero())), vm_to_float(vf_ne(y, vf_zero())))))
BINARY(FMOD, each_two(fmodf, x, y))
BINARY(REMAINDER, reference(SOMA__SCALAR_REMAINDER, x, y))
BINARY(FLOOR_DIVIDE, reference(SOMA__SCALAR_FLOOR_DIVIDE, x, y))
BINARY(ATAN2, each_two(atan2f, x, y))
BINARY(HYPOT, reference(SOMA__SCALAR_HYPOT, x, y))
BINARY(COPYSIGN, vf_with_sign(vf_abs(x), vf_sign_bit(y)))
BINARY(LOGADDEXP, reference(SOMA__SCALAR_LOGADDEXP, x, y))
BINARY(POLYGAMMA, reference(SOMA__SCALAR_POLYGAMMA, x, y))

/* --- other dtypes --------------------------------------------------------------------------------
 */

/* Runs `vector_` for each whole vector and `part_` for the k lanes left. */
#define CONVERT(vector_, part_)                                                                    \
    do {                                                                                           \
        int64_t i = 0;                                                                             \
        for (; i + VF_WIDTH <= n; i += VF_WIDTH)                                                   \
            vf_store(to + i, (vector_));                                                           \
        if (i < n) {                                                                               \
            int64_t k = n - i;                                                                     \
            vf_store_part(to + i, (part_), k);                                                     \
        }                                                                                          \
    } while (0)

VF_INLINE vf truth(vi x)
{
    return vm_to_float(vf_ne(vi_to_float(x), vf_zero()));
}

static void load_f16(const uint16_t *from, int64_t n, float *to)
{
    int64_t i = 0;
#if VF_WIDTH == 16
    for (; i + 16 <= n; i += 16)
        vf_store(to + i,
                 _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(from + i))));
#elif VF_WIDTH == 8 && defined(__F16C__)
    for (; i + 8 <= n; i += 8)
        vf_store(to + i,
                 _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(from + i))));
#endif
    for (; i < n; i++)
        to[i] = soma__f16_to_f32(from[i]);
}

static void load(soma_dtype dtype, const void *from, int64_t n, float *to)
{
    const uint8_t *u8 = from;
    const int8_t *i8 = from;
    const int32_t *i32 = from;
    const uint16_t *u16 = from;
    if (dtype == SOMA_U8)
        CONVERT(vi_to_float(vi_load_u8(u8 + i)), vi_to_float(vi_load_u8_part(u8 + i, k)));
    else if (dtype == SOMA_I8)
        CONVERT(vi_to_float(vi_load_i8(i8 + i)), vi_to_float(vi_load_i8_part(i8 + i, k)));
    else if (dtype == SOMA_BOOL)
        CONVERT(truth(vi_load_u8(u8 + i)), truth(vi_load_u8_part(u8 + i, k)));
    else if (dtype == SOMA_I32)
        CONVERT(vi_to_float(vi_load(i32 + i)), vi_to_float(vi_load_part(i32 + i, k)));
    else if (dtype == SOMA_BF16)
        CONVERT(vi_bf16_to_float(vi_load_u16(u16 + i)),
                vi_bf16_to_float(vi_load_u16_part(u16 + i, k)));
    else if (dtype == SOMA_F16)
        load_f16(from, n, to);
}

/* The lowest bytes of the first n lanes. */
VF_INLINE void put_bytes(uint8_t *to, vi x, int64_t n)
{
#if VF_WIDTH == 16
    if (n == 16) {
        _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtepi32_epi8(x));
        return;
    }
#endif
    int32_t t[VF_WIDTH];
    vi_store(t, x);
    for (int64_t i = 0; i < n; i++)
        to[i] = (uint8_t)t[i];
}
VF_INLINE void put_halves(uint16_t *to, vi x, int64_t n)
{
#if VF_WIDTH == 16
    if (n == 16) {
        _mm256_storeu_si256((__m256i *)(void *)to, _mm512_cvtepi32_epi16(x));
        return;
    }
#endif
    int32_t t[VF_WIDTH];
    vi_store(t, x);
    for (int64_t i = 0; i < n; i++)
        to[i] = (uint16_t)t[i];
}

/* Rounded to an integer within [low, high]; NaN gives 0. */
VF_INLINE vi to_range(vf x, float low, float high)
{
    x = vf_select(vf_isnan(x), vf_zero(), x);
    return vf_to_int(vf_min(vf_max(x, vf_set1(low)), vf_set1(high)));
}
/* 2^31 is a float but no i32; one below it is neither, so that the upper end is chosen apart. */
VF_INLINE vi to_i32(vf x)
{
    vi inside = to_range(x, -0x1p31F, 0x1.fffffep30F);
    return vi_select(vf_ge(x, vf_set1(0x1p31F)), vi_set1(INT32_MAX), inside);
}
/* The upper half, rounded to nearest even by a carry from the lower half; NaN stays one, quiet. */
VF_INLINE vi to_bf16(vf x)
{
    vi bits = vf_bits(x);
    vi even = vi_and(vi_shr(bits, 16), vi_set1(1));
    vi rounded = vi_shr(vi_add(bits, vi_add(even, vi_set1(0x7fff))), 16);
    vi nan = vi_or(vi_shr(bits, 16), vi_set1(0x40));
    return vi_select(vf_isnan(x), nan, rounded);
}

VF_INLINE void put_f16(uint16_t *to, vf x, int64_t n)
{
#if VF_WIDTH == 16
    if (n == 16) {
        _mm256_storeu_si256((__m256i *)(void *)to,
                            _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
        return;
    }
#endif
    float t[VF_WIDTH];
    vf_store(t, x);
    for (int64_t i = 0; i < n; i++)
        to[i] = soma__f32_to_f16(t[i]);
}

VF_INLINE void put(soma_dtype dtype, void *to, int64_t at, vf x, int64_t n)
{
    switch (dtype) {
    case SOMA_U8:
        put_bytes((uint8_t *)to + at, to_range(x, 0, 255), n);
        break;
    case SOMA_I8:
        put_bytes((uint8_t *)to + at, to_range(x, -128, 127), n);
        break;
    case SOMA_BOOL:
        put_bytes((uint8_t *)to + at, vi_select(vf_ne(x, vf_zero()), vi_set1(1), vi_set1(0)), n);
        break;
    case SOMA_I32:
        vi_store_part((int32_t *)to + at, to_i32(x), n);
        break;
    case SOMA_BF16:
        put_halves((uint16_t *)to + at, to_bf16(x), n);
        break;
    case SOMA_F16:
        put_f16((uint16_t *)to + at, x, n);
        break;
    default:
        vf_store_part((float *)to + at, x, n);
        break;
    }
}

static void store(soma_dtype dtype, void *to, int64_t ld, int64_t rows, int64_t n,
                  const soma__strip *from)
{
    if (dtype == SOMA_F32) {
        soma__strip d = {to, ld, false};
        apply_COPY(rows, n, &d, from, from, from);
        return;
    }
    const int64_t step = ADVANCE(from);
    for (int64_t r = 0; r < rows; r++) {
        const float *p = ROW(from);
        int64_t i = 0;
        for (; i + VF_WIDTH <= n; i += VF_WIDTH, p += step)
            put(dtype, to, r * ld + i, vf_load(p), VF_WIDTH);
        if (i < n)
            put(dtype, to, r * ld + i, vf_load_part(p, n - i), n - i);
    }
}

/* --- chains -------------------------------------------------------------------------------------
 */

/* A vector of row r, or the first `lanes` of it, from column i; `columns` (0, 1: bias, 3: all),
 * `term` and `limits` are constants. */
VF_INLINE void chain_vector(const soma__chain *c, int64_t r, int64_t i, const int columns,
                            const bool term, const int limits, const int64_t lanes)
{
    vf x = vf_load_lanes(c->from + r * c->from_step + i, lanes);
    if (columns == 3)
        x = (x - vf_load_lanes(c->shift + i, lanes)) * vf_load_lanes(c->scale + i, lanes);
    if (columns > 0)
        x = x + vf_load_lanes(c->bias + i, lanes);
    if (term)
        x = x + vf_load_lanes(c->term + r * c->step + i, lanes);
    if (limits == 2)
        x = vf_select(vf_le(vf_set1(c->high), x), vf_set1(c->high), x);
    if (limits > 0)
        x = vf_select(vf_le(x, vf_set1(c->low)), vf_set1(c->low), x);
    vf_store_lanes(c->to + r * c->step + i, x, lanes);
}

VF_INLINE void chain_rows(const soma__chain *chain, const int columns, const bool term,
                          const int limits)
{
    const soma__chain c = *chain; /* which stores through c.to do not change */
    for (int64_t r = 0; r < c.rows; r++) {
        int64_t i = 0;
        for (; i + VF_WIDTH <= c.cols; i += VF_WIDTH)
            chain_vector(&c, r, i, columns, term, limits, VF_WIDTH);
        if (i < c.cols)
            chain_vector(&c, r, i, columns, term, limits, c.cols - i);
    }
}

VF_INLINE void chain_limits(const soma__chain *c, const int columns, const bool term)
{
    if (c->limits == 0)
        chain_rows(c, columns, term, 0);
    else if (c->limits == 1)
        chain_rows(c, columns, term, 1);
    else
        chain_rows(c, columns, term, 2);
}

static void chain_none(const soma__chain *c)
{
    if (c->term)
        chain_limits(c, 0, true);
    else
        chain_limits(c, 0, false);
}
static void chain_bias(const soma__chain *c)
{
    if (c->term)
        chain_limits(c, 1, true);
    else
        chain_limits(c, 1, false);
}
static void chain_norm(const soma__chain *c)
{
    if (c->term)
        chain_limits(c, 3, true);
    else
        chain_limits(c, 3, false);
}

static void chain(const soma__chain *c)
{
    (c->shift ? chain_norm : c->bias ? chain_bias : chain_none)(c);
}

/* --- steps of Adam -------------------------------------------------------------------------------
 */

/* The vector of elements i …, or the first `lanes` of it. */
VF_INLINE void moments_vector(const soma__moments *m, int64_t i, const int64_t lanes)
{
    vf p = vf_load_lanes(m->param + i, lanes), g = vf_load_lanes(m->grad + i, lanes);
    vf mean = vf_load_lanes(m->mean + i, lanes);
    vf square = vf_load_lanes(m->square + i, lanes);
    if (m->clips)
        g = g * vf_set1(m->clip);
    if (m->adds_l2)
        g = g + p * vf_set1(m->l2);
    if (m->decays)
        p = p - p * vf_set1(m->decay);
    mean = mean * vf_set1(m->keep[0]) + g * vf_set1(m->part[0]);
    square = square * vf_set1(m->keep[1]) + (g * g) * vf_set1(m->part[1]);
    vf root = vf_sqrt(square) * vf_set1(m->correction) + vf_set1(m->eps);
    p = p - mean * vf_set1(m->rate) / root;
    vf_store_lanes(m->to[0] + i, p, lanes);
    vf_store_lanes(m->to[1] + i, mean, lanes);
    vf_store_lanes(m->to[2] + i, square, lanes);
}

static void moments(const soma__moments *moments, int64_t from, int64_t n)
{
    const soma__moments m = *moments; /* which stores do not change */
    int64_t i = 0;
    for (; i + VF_WIDTH <= n; i += VF_WIDTH)
        moments_vector(&m, from + i, VF_WIDTH);
    if (i < n)
        moments_vector(&m, from + i, n - i);
}

const struct soma__isa_fused SOMA__ISA_NAME(soma__isa_fused) = {
    .apply =
        {
#define APPLY(name_, arity_, formula_, flops_) [SOMA__SCALAR_##name_] = apply_##name_,
            SOMA__SCALAR_LIST(APPLY)
#undef APPLY
        },
    .load = load,
    .store = store,
    .chain = chain,
    .moments = moments,
};
