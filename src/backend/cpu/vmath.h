/* vmath.h: exp, log and their kin over vectors, for sources named isa_*.c only.
 *
 * Every function takes the full range: infinities, NaN, denormals and both zeros come out as the
 * formula in scalar.h says. The largest errors that tests/backend/test_vector.c finds over all
 * exponents, in units in the last place: exp 1.1, exp2 1.0, expm1 2.5, log 0.8, log2 1.2,
 * log10 1.6, log1p 2.2, tanh 1.4, sigmoid 2.4, erf 1.2, softplus 2.7. */
#ifndef SOMA__VMATH_H
#define SOMA__VMATH_H

#include <math.h>

#include "backend/cpu/simd.h"

/* The sign bit alone, and a value of no sign with that bit. */
VF_INLINE vf vf_sign_bit(vf a)
{
    return vi_as_float(vi_and(vf_bits(a), vi_set1(INT32_MIN)));
}
VF_INLINE vf vf_with_sign(vf a, vf sign)
{
    return vi_as_float(vi_or(vf_bits(a), vf_bits(sign)));
}
/* a where true, else 0. */
VF_INLINE vf vf_keep(vm m, vf a)
{
    return vf_select(m, a, vf_zero());
}

/* y · 2^n for n in [-252, 252], in two steps because 2^n itself may be no float. The first is
 * exact, so that a denormal result is rounded once. */
VF_INLINE vf vf_scale(vf y, vi n)
{
    vi half = vi_sar(n, 1);
    return y * vi_exp2(half) * vi_exp2(vi_sub(n, half));
}

/* e^r - 1 for |r| <= ln 2 / 2. The polynomial is Cephes' expf (Moshier). */
VF_INLINE vf vf_expm1_near(vf r)
{
    vf p = vf_set1(1.9875691500e-4F);
    p = vf_fma(p, r, vf_set1(1.3981999507e-3F));
    p = vf_fma(p, r, vf_set1(8.3334519073e-3F));
    p = vf_fma(p, r, vf_set1(4.1665795894e-2F));
    p = vf_fma(p, r, vf_set1(1.6666665459e-1F));
    p = vf_fma(p, r, vf_set1(5.0000001201e-1F));
    return vf_fma(p, r * r, r);
}

/* y · 2^n for the whole numbers n in [-252, 252]. */
VF_INLINE vf vf_times_exp2(vf y, vf n)
{
#if VF_WIDTH == 16
    return _mm512_scalef_ps(y, n);
#else
    return vf_scale(y, vf_to_int(n));
#endif
}

/* e^x = 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2. Beyond the limits the result is 0 or
 * infinite; they only keep n small. */
VF_INLINE vf vf_exp(vf x)
{
    x = vf_max(vf_set1(-104.0F), vf_min(vf_set1(89.0F), x)); /* in this order NaN stays */
    vf n = vf_round(x * vf_set1(1.44269504088896341F));
    vf r = vf_fma(n, vf_set1(-0.693359375F), x); /* few bits: n times this is exact */
    r = vf_fma(n, vf_set1(2.12194440e-4F), r);
    return vf_times_exp2(vf_expm1_near(r) + vf_set1(1), n);
}

/* 2^x = 2^n e^(r ln 2), n = round(x). */
VF_INLINE vf vf_exp2(vf x)
{
    x = vf_max(vf_set1(-151.0F), vf_min(vf_set1(129.0F), x));
    vf n = vf_round(x);
    return vf_times_exp2(vf_expm1_near((x - n) * vf_set1(0.693147181F)) + vf_set1(1), n);
}

/* The polynomial alone keeps its digits near 0; beyond, the 1 that is taken off is no more than
 * about three times the result. */
VF_INLINE vf vf_expm1(vf x)
{
    vf near = vf_expm1_near(x), far = vf_exp(x) - vf_set1(1);
    return vf_select(vf_lt(vf_abs(x), vf_set1(0.34F)), near, far);
}

/* x = 2^e (1 + f), 1 + f in [√½, √2). Returns e (for positive finite x) and sets *f and
 * *y = log(1 + f) - f; the polynomial is Cephes' logf. */
VF_INLINE vf vf_log_parts(vf x, vf *f, vf *y)
{
    vm tiny = vf_lt(x, vf_set1(0x1p-126F));
    vf scaled = vf_select(tiny, x * vf_set1(0x1p23F), x);
    vi bits = vf_bits(scaled);
    vi e = vi_sar(vi_sub(bits, vi_set1(0x3f3504f3)), 23);
    *f = vi_as_float(vi_sub(bits, vi_shl(e, 23))) - vf_set1(1);
    vf z = *f * *f;
    vf p = vf_set1(7.0376836292e-2F);
    p = vf_fma(p, *f, vf_set1(-1.1514610310e-1F));
    p = vf_fma(p, *f, vf_set1(1.1676998740e-1F));
    p = vf_fma(p, *f, vf_set1(-1.2420140846e-1F));
    p = vf_fma(p, *f, vf_set1(1.4249322787e-1F));
    p = vf_fma(p, *f, vf_set1(-1.6668057665e-1F));
    p = vf_fma(p, *f, vf_set1(2.0000714765e-1F));
    p = vf_fma(p, *f, vf_set1(-2.4999993993e-1F));
    p = vf_fma(p, *f, vf_set1(3.3333331174e-1F));
    *y = p * *f * z;
    return vi_to_float(e) - vf_keep(tiny, vf_set1(23));
}

/* Special values: +inf and NaN are their own logarithms, 0 gives -inf, below is NaN. */
VF_INLINE vf vf_log_ends(vf x, vf y)
{
    y = vf_select(vf_lt(x, vf_set1((float)INFINITY)), y, x);
    y = vf_select(vf_eq(x, vf_set1(0)), vf_set1(-(float)INFINITY), y);
    return vf_select(vf_lt(x, vf_set1(0)), vf_set1((float)NAN), y);
}

/* log x = e ln 2 + log(1 + f). */
VF_INLINE vf vf_log(vf x)
{
    vf f, y, e = vf_log_parts(x, &f, &y);
    y = vf_fma(e, vf_set1(-2.12194440e-4F), y);
    y = vf_fma(f * f, vf_set1(-0.5F), y);
    y = vf_fma(e, vf_set1(0.693359375F), f + y);
    return vf_log_ends(x, y);
}

/* In other bases log(1 + f) is multiplied by 1 / ln base; powers of 2 have exact base 2 logarithms.
 * The factor is split so that the leading part f is multiplied with more digits. */
VF_INLINE vf vf_log2(vf x)
{
    vf f, y, e = vf_log_parts(x, &f, &y);
    y = vf_fma(f * f, vf_set1(-0.5F), y);
    vf high = vf_set1(1.44140625F), low = vf_set1(1.28879059e-3F); /* their sum is 1 / ln 2 */
    vf z = vf_fma(y, low, f * low);
    z = vf_fma(y, high, z);
    z = vf_fma(f, high, z);
    return vf_log_ends(x, e + z);
}
VF_INLINE vf vf_log10(vf x)
{
    vf f, y, e = vf_log_parts(x, &f, &y);
    y = vf_fma(f * f, vf_set1(-0.5F), y);
    vf high = vf_set1(0.43359375F), low = vf_set1(7.00731903e-4F); /* 1 / ln 10 */
    vf z = vf_fma(y, low, f * low);
    z = vf_fma(e, vf_set1(-3.97483339e-5F), z); /* log10 2 = 0.301069736 - this */
    z = vf_fma(y, high, z);
    z = vf_fma(f, high, z);
    z = vf_fma(e, vf_set1(0.30106973648F), z);
    return vf_log_ends(x, z);
}

/* With u = 1 + x rounded, log(1 + x) = log u · x / (u - 1): the rounding falls out (Kahan). */
VF_INLINE vf vf_log1p(vf x)
{
    vf one = vf_set1(1), u = x + one;
    vm same = vm_or(vf_eq(u, one), vf_eq(u, vf_set1((float)INFINITY)));
    return vf_select(same, x, vf_log(u) * (x / (u - one)));
}

/* log(1 + u) for u in [0, 1] = 2 artanh(u / (2 + u)), an odd series in a number of at most 1/3. */
VF_INLINE vf vf_log1p_unit(vf u)
{
    vf z = u / (u + vf_set1(2));
    vf s = z * z;
    vf p = vf_set1(2.0F / 15);
    p = vf_fma(p, s, vf_set1(2.0F / 13));
    p = vf_fma(p, s, vf_set1(2.0F / 11));
    p = vf_fma(p, s, vf_set1(2.0F / 9));
    p = vf_fma(p, s, vf_set1(2.0F / 7));
    p = vf_fma(p, s, vf_set1(2.0F / 5));
    p = vf_fma(p, s, vf_set1(2.0F / 3));
    return vf_fma(p * s, z, z + z);
}

/* max(x, 0) + log(1 + e^-|x|) */
VF_INLINE vf vf_softplus(vf x)
{
    return vf_max(vf_set1(0), x) + vf_log1p_unit(vf_exp(vf_neg(vf_abs(x))));
}

/* With u = e^-|x|, which cannot overflow: 1 / (1 + u), and for negative x its mirror u / (1 + u),
 * which is right down to the smallest denormal. */
VF_INLINE vf vf_sigmoid(vf x)
{
    vf u = vf_exp(vf_neg(vf_abs(x))), one = vf_set1(1);
    return vf_select(vf_lt(x, vf_set1(0)), u, one) / (one + u) + vf_keep(vf_isnan(x), x);
}

/* Near 0 an odd polynomial (Cephes' tanhf), else 1 - 2 / (e^2|x| + 1) with the sign of x. */
VF_INLINE vf vf_tanh(vf x)
{
    vf size = vf_abs(x), s = x * x, one = vf_set1(1);
    vf p = vf_set1(-5.70498872745e-3F);
    p = vf_fma(p, s, vf_set1(2.06390887954e-2F));
    p = vf_fma(p, s, vf_set1(-5.37397155531e-2F));
    p = vf_fma(p, s, vf_set1(1.33314422036e-1F));
    p = vf_fma(p, s, vf_set1(-3.33332819422e-1F));
    vf small = vf_fma(p * s, x, x);
    vf large = one - vf_set1(2) / (vf_exp(size + size) + one);
    large = vf_with_sign(large, vf_sign_bit(x));
    return vf_select(vf_lt(size, vf_set1(0.625F)), small, large);
}

/* Two polynomials after N. Juffa: odd near 0, and 1 - e^(-q(|x|)) beyond; at 4 the result is 1. */
VF_INLINE vf vf_erf(vf x)
{
    vf t = vf_min(vf_set1(4), vf_abs(x)), s = x * x;
    vf p = vf_set1(-5.96761703e-4F);
    p = vf_fma(p, s, vf_set1(4.99119423e-3F));
    p = vf_fma(p, s, vf_set1(-2.67681349e-2F));
    p = vf_fma(p, s, vf_set1(1.12819925e-1F));
    p = vf_fma(p, s, vf_set1(-3.76125336e-1F));
    p = vf_fma(p, s, vf_set1(1.28379166e-1F));
    vf small = vf_fma(p, x, x);
    vf q = vf_set1(-1.72853470e-5F);
    q = vf_fma(q, t, vf_set1(3.83197126e-4F));
    q = vf_fma(q, t, vf_set1(-3.88396438e-3F));
    q = vf_fma(q, t, vf_set1(2.42546219e-2F));
    q = vf_fma(q, t, vf_set1(-1.06777877e-1F));
    q = vf_fma(q, t, vf_set1(-6.34846687e-1F));
    q = vf_fma(q, t, vf_set1(-1.28717512e-1F));
    q = vf_fma(q, t, vf_neg(t));
    vf large = vf_with_sign(vf_set1(1) - vf_exp(q), vf_sign_bit(x));
    return vf_select(vf_lt(t, vf_set1(0.927734375F)), small, large);
}

#endif
