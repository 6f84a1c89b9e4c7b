/* simd.h: a thin layer over vector registers of f32 lanes, for sources named isa_*.c only.
 *
 * One spelling, as wide as the instruction set that the source is compiled for: 16 lanes with
 * AVX-512, 8 with AVX2+FMA, 4 with SSE2 or NEON. VF_WIDTH is the number of lanes.
 *
 *   vf f32 lanes · vi i32 lanes (also used as bits of f32) · vm one truth value a lane
 *
 * Same meaning everywhere: vf_max(a, b) is a > b ? a : b and vf_min(a, b) is a < b ? a : b, so a
 * NaN on either side gives b. vf_fma rounds once with AVX2, AVX-512 and NEON, twice with SSE2.
 * Conversions to i32 saturate nothing: the caller keeps values in range. Partial loads and stores
 * touch only the first n lanes (0 <= n <= VF_WIDTH); the other lanes read as zero. Sums across
 * lanes add in the same tree for a given width. */
#ifndef SOMA__SIMD_H
#define SOMA__SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define VF_INLINE static inline __attribute__((always_inline, unused))

/* clang-format off */
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include <immintrin.h>
#define VF_WIDTH 16
typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

VF_INLINE vm vm_first(int64_t n) { return (vm)((1u << n) - 1u); }
VF_INLINE vf vf_zero(void) { return _mm512_setzero_ps(); }
VF_INLINE vf vf_set1(float a) { return _mm512_set1_ps(a); }
VF_INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
VF_INLINE void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
VF_INLINE vf vf_load_part(const float *p, int64_t n) { return _mm512_maskz_loadu_ps(vm_first(n), p); }
VF_INLINE void vf_store_part(float *p, vf a, int64_t n) { _mm512_mask_storeu_ps(p, vm_first(n), a); }
VF_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
VF_INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
VF_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
VF_INLINE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
VF_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
VF_INLINE vf vf_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
VF_INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
VF_INLINE vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
VF_INLINE vf vf_sqrt(vf a) { return _mm512_sqrt_ps(a); }
VF_INLINE vf vf_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
VF_INLINE vf vf_floor(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
VF_INLINE vf vf_ceil(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
VF_INLINE vi vf_bits(vf a) { return _mm512_castps_si512(a); }
VF_INLINE vf vi_as_float(vi a) { return _mm512_castsi512_ps(a); }
VF_INLINE vi vf_to_int(vf a) { return _mm512_cvtps_epi32(a); }
VF_INLINE vi vf_to_int_truncated(vf a) { return _mm512_cvttps_epi32(a); }
VF_INLINE vf vi_to_float(vi a) { return _mm512_cvtepi32_ps(a); }
VF_INLINE vm vf_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
VF_INLINE vm vf_ne(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ); }
VF_INLINE vm vf_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
VF_INLINE vm vf_le(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
VF_INLINE vm vf_unordered(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q); }
VF_INLINE vm vm_and(vm a, vm b) { return (vm)(a & b); }
VF_INLINE vm vm_or(vm a, vm b) { return (vm)(a | b); }
VF_INLINE vm vm_not(vm a) { return (vm)~a; }
VF_INLINE int vm_any(vm a) { return a != 0; }
VF_INLINE vf vf_select(vm m, vf yes, vf no) { return _mm512_mask_blend_ps(m, no, yes); }
VF_INLINE vi vi_select(vm m, vi yes, vi no) { return _mm512_mask_blend_epi32(m, no, yes); }
VF_INLINE vi vi_set1(int32_t a) { return _mm512_set1_epi32(a); }
VF_INLINE vi vi_load(const int32_t *p) { return _mm512_loadu_si512((const void *)p); }
VF_INLINE void vi_store(int32_t *p, vi a) { _mm512_storeu_si512((void *)p, a); }
VF_INLINE vi vi_load_part(const int32_t *p, int64_t n) { return _mm512_maskz_loadu_epi32(vm_first(n), p); }
VF_INLINE void vi_store_part(int32_t *p, vi a, int64_t n) { _mm512_mask_storeu_epi32(p, vm_first(n), a); }
VF_INLINE vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
VF_INLINE vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
VF_INLINE vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
VF_INLINE vi vi_or(vi a, vi b) { return _mm512_or_si512(a, b); }
VF_INLINE vi vi_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
VF_INLINE vm vi_eq(vi a, vi b) { return _mm512_cmpeq_epi32_mask(a, b); }
VF_INLINE vm vi_gt(vi a, vi b) { return _mm512_cmpgt_epi32_mask(a, b); }
#define vi_shl(a_, n_) _mm512_slli_epi32((a_), (n_))
#define vi_shr(a_, n_) _mm512_srli_epi32((a_), (n_)) /* zeros come in */
#define vi_sar(a_, n_) _mm512_srai_epi32((a_), (n_)) /* the sign comes in */
VF_INLINE vi vi_load_u8(const uint8_t *p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)); }
VF_INLINE vi vi_load_i8(const int8_t *p) { return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)); }
VF_INLINE vi vi_load_u16(const uint16_t *p) { return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p)); }
VF_INLINE float vf_sum(vf a)
{
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
}

#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define VF_WIDTH 8
typedef __m256 vf;
typedef __m256i vi;
typedef __m256 vm;

VF_INLINE __m256i vm_lanes_(int64_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
VF_INLINE vm vm_first(int64_t n) { return _mm256_castsi256_ps(vm_lanes_(n)); }
VF_INLINE vf vf_zero(void) { return _mm256_setzero_ps(); }
VF_INLINE vf vf_set1(float a) { return _mm256_set1_ps(a); }
VF_INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
VF_INLINE void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
VF_INLINE vf vf_load_part(const float *p, int64_t n) { return _mm256_maskload_ps(p, vm_lanes_(n)); }
VF_INLINE void vf_store_part(float *p, vf a, int64_t n) { _mm256_maskstore_ps(p, vm_lanes_(n), a); }
VF_INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
VF_INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
VF_INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
VF_INLINE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
VF_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
VF_INLINE vf vf_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
VF_INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
VF_INLINE vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
VF_INLINE vf vf_sqrt(vf a) { return _mm256_sqrt_ps(a); }
VF_INLINE vf vf_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
VF_INLINE vf vf_floor(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
VF_INLINE vf vf_ceil(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
VF_INLINE vi vf_bits(vf a) { return _mm256_castps_si256(a); }
VF_INLINE vf vi_as_float(vi a) { return _mm256_castsi256_ps(a); }
VF_INLINE vi vf_to_int(vf a) { return _mm256_cvtps_epi32(a); }
VF_INLINE vi vf_to_int_truncated(vf a) { return _mm256_cvttps_epi32(a); }
VF_INLINE vf vi_to_float(vi a) { return _mm256_cvtepi32_ps(a); }
VF_INLINE vm vf_eq(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
VF_INLINE vm vf_ne(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_NEQ_UQ); }
VF_INLINE vm vf_lt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
VF_INLINE vm vf_le(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
VF_INLINE vm vf_unordered(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_UNORD_Q); }
VF_INLINE vm vm_and(vm a, vm b) { return _mm256_and_ps(a, b); }
VF_INLINE vm vm_or(vm a, vm b) { return _mm256_or_ps(a, b); }
VF_INLINE vm vm_not(vm a) { return _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1))); }
VF_INLINE int vm_any(vm a) { return _mm256_movemask_ps(a) != 0; }
VF_INLINE vf vf_select(vm m, vf yes, vf no) { return _mm256_blendv_ps(no, yes, m); }
VF_INLINE vi vi_select(vm m, vi yes, vi no) { return _mm256_blendv_epi8(no, yes, _mm256_castps_si256(m)); }
VF_INLINE vi vi_set1(int32_t a) { return _mm256_set1_epi32(a); }
VF_INLINE vi vi_load(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }
VF_INLINE void vi_store(int32_t *p, vi a) { _mm256_storeu_si256((__m256i *)(void *)p, a); }
VF_INLINE vi vi_load_part(const int32_t *p, int64_t n) { return _mm256_maskload_epi32(p, vm_lanes_(n)); }
VF_INLINE void vi_store_part(int32_t *p, vi a, int64_t n) { _mm256_maskstore_epi32(p, vm_lanes_(n), a); }
VF_INLINE vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
VF_INLINE vi vi_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
VF_INLINE vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
VF_INLINE vi vi_or(vi a, vi b) { return _mm256_or_si256(a, b); }
VF_INLINE vi vi_xor(vi a, vi b) { return _mm256_xor_si256(a, b); }
VF_INLINE vm vi_eq(vi a, vi b) { return _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)); }
VF_INLINE vm vi_gt(vi a, vi b) { return _mm256_castsi256_ps(_mm256_cmpgt_epi32(a, b)); }
#define vi_shl(a_, n_) _mm256_slli_epi32((a_), (n_))
#define vi_shr(a_, n_) _mm256_srli_epi32((a_), (n_))
#define vi_sar(a_, n_) _mm256_srai_epi32((a_), (n_))
VF_INLINE vi vi_load_u8(const uint8_t *p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)); }
VF_INLINE vi vi_load_i8(const int8_t *p) { return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)); }
VF_INLINE vi vi_load_u16(const uint16_t *p) { return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)); }
VF_INLINE float vf_sum(vf a)
{
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
}

#elif defined(__SSE2__)
#include <emmintrin.h>
#define VF_WIDTH 4
typedef __m128 vf;
typedef __m128i vi;
typedef __m128 vm;

VF_INLINE vm vm_first(int64_t n)
{
    return _mm_castsi128_ps(_mm_cmpgt_epi32(_mm_set1_epi32((int)n), _mm_setr_epi32(0, 1, 2, 3)));
}
VF_INLINE vf vf_zero(void) { return _mm_setzero_ps(); }
VF_INLINE vf vf_set1(float a) { return _mm_set1_ps(a); }
VF_INLINE vf vf_load(const float *p) { return _mm_loadu_ps(p); }
VF_INLINE void vf_store(float *p, vf a) { _mm_storeu_ps(p, a); }
/* SSE2 has no masked access that keeps out of the next page, so parts go through a small array. */
VF_INLINE vf vf_load_part(const float *p, int64_t n)
{
    float t[4] = {0, 0, 0, 0};
    for (int64_t i = 0; i < n; i++)
        t[i] = p[i];
    return _mm_loadu_ps(t);
}
VF_INLINE void vf_store_part(float *p, vf a, int64_t n)
{
    float t[4];
    _mm_storeu_ps(t, a);
    for (int64_t i = 0; i < n; i++)
        p[i] = t[i];
}
VF_INLINE vf vf_add(vf a, vf b) { return _mm_add_ps(a, b); }
VF_INLINE vf vf_sub(vf a, vf b) { return _mm_sub_ps(a, b); }
VF_INLINE vf vf_mul(vf a, vf b) { return _mm_mul_ps(a, b); }
VF_INLINE vf vf_div(vf a, vf b) { return _mm_div_ps(a, b); }
VF_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
VF_INLINE vf vf_fnma(vf a, vf b, vf c) { return _mm_sub_ps(c, _mm_mul_ps(a, b)); }
VF_INLINE vf vf_max(vf a, vf b) { return _mm_max_ps(a, b); }
VF_INLINE vf vf_min(vf a, vf b) { return _mm_min_ps(a, b); }
VF_INLINE vf vf_sqrt(vf a) { return _mm_sqrt_ps(a); }
VF_INLINE vi vf_bits(vf a) { return _mm_castps_si128(a); }
VF_INLINE vf vi_as_float(vi a) { return _mm_castsi128_ps(a); }
VF_INLINE vi vf_to_int(vf a) { return _mm_cvtps_epi32(a); }
VF_INLINE vi vf_to_int_truncated(vf a) { return _mm_cvttps_epi32(a); }
VF_INLINE vf vi_to_float(vi a) { return _mm_cvtepi32_ps(a); }
VF_INLINE vm vf_eq(vf a, vf b) { return _mm_cmpeq_ps(a, b); }
VF_INLINE vm vf_ne(vf a, vf b) { return _mm_cmpneq_ps(a, b); }
VF_INLINE vm vf_lt(vf a, vf b) { return _mm_cmplt_ps(a, b); }
VF_INLINE vm vf_le(vf a, vf b) { return _mm_cmple_ps(a, b); }
VF_INLINE vm vf_unordered(vf a, vf b) { return _mm_cmpunord_ps(a, b); }
VF_INLINE vm vm_and(vm a, vm b) { return _mm_and_ps(a, b); }
VF_INLINE vm vm_or(vm a, vm b) { return _mm_or_ps(a, b); }
VF_INLINE vm vm_not(vm a) { return _mm_xor_ps(a, _mm_castsi128_ps(_mm_set1_epi32(-1))); }
VF_INLINE int vm_any(vm a) { return _mm_movemask_ps(a) != 0; }
VF_INLINE vf vf_select(vm m, vf yes, vf no) { return _mm_or_ps(_mm_and_ps(m, yes), _mm_andnot_ps(m, no)); }
VF_INLINE vi vi_select(vm m, vi yes, vi no)
{
    __m128i b = _mm_castps_si128(m);
    return _mm_or_si128(_mm_and_si128(b, yes), _mm_andnot_si128(b, no));
}
VF_INLINE vi vi_set1(int32_t a) { return _mm_set1_epi32(a); }
VF_INLINE vi vi_load(const int32_t *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }
VF_INLINE void vi_store(int32_t *p, vi a) { _mm_storeu_si128((__m128i *)(void *)p, a); }
VF_INLINE vi vi_load_part(const int32_t *p, int64_t n)
{
    int32_t t[4] = {0, 0, 0, 0};
    for (int64_t i = 0; i < n; i++)
        t[i] = p[i];
    return vi_load(t);
}
VF_INLINE void vi_store_part(int32_t *p, vi a, int64_t n)
{
    int32_t t[4];
    vi_store(t, a);
    for (int64_t i = 0; i < n; i++)
        p[i] = t[i];
}
VF_INLINE vi vi_add(vi a, vi b) { return _mm_add_epi32(a, b); }
VF_INLINE vi vi_sub(vi a, vi b) { return _mm_sub_epi32(a, b); }
VF_INLINE vi vi_and(vi a, vi b) { return _mm_and_si128(a, b); }
VF_INLINE vi vi_or(vi a, vi b) { return _mm_or_si128(a, b); }
VF_INLINE vi vi_xor(vi a, vi b) { return _mm_xor_si128(a, b); }
VF_INLINE vm vi_eq(vi a, vi b) { return _mm_castsi128_ps(_mm_cmpeq_epi32(a, b)); }
VF_INLINE vm vi_gt(vi a, vi b) { return _mm_castsi128_ps(_mm_cmpgt_epi32(a, b)); }
#define vi_shl(a_, n_) _mm_slli_epi32((a_), (n_))
#define vi_shr(a_, n_) _mm_srli_epi32((a_), (n_))
#define vi_sar(a_, n_) _mm_srai_epi32((a_), (n_))
VF_INLINE vi vi_load_u8(const uint8_t *p)
{
    int32_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    __m128i z = _mm_setzero_si128();
    return _mm_unpacklo_epi16(_mm_unpacklo_epi8(_mm_cvtsi32_si128(bytes), z), z);
}
VF_INLINE vi vi_load_i8(const int8_t *p)
{
    int32_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    __m128i b = _mm_cvtsi32_si128(bytes);
    b = _mm_unpacklo_epi8(b, b);
    return _mm_srai_epi32(_mm_unpacklo_epi16(b, b), 24);
}
VF_INLINE vi vi_load_u16(const uint16_t *p)
{
    return _mm_unpacklo_epi16(_mm_loadl_epi64((const __m128i *)(const void *)p), _mm_setzero_si128());
}
/* Adding and subtracting 2^23 rounds to nearest even; larger values, Inf and NaN are whole already.
 * The sign is put back for results of -0. */
VF_INLINE vf vf_round(vf a)
{
    const __m128 sign = _mm_castsi128_ps(_mm_set1_epi32(INT32_MIN));
    __m128 magic = _mm_set1_ps(8388608.0f);
    __m128 size = _mm_andnot_ps(sign, a);
    __m128 r = _mm_or_ps(_mm_sub_ps(_mm_add_ps(size, magic), magic), _mm_and_ps(sign, a));
    return vf_select(_mm_cmplt_ps(size, magic), r, a);
}
VF_INLINE vf vf_floor(vf a)
{
    const __m128 sign = _mm_castsi128_ps(_mm_set1_epi32(INT32_MIN));
    __m128 r = vf_round(a);
    r = _mm_sub_ps(r, _mm_and_ps(_mm_cmpgt_ps(r, a), _mm_set1_ps(1.0f)));
    return _mm_or_ps(r, _mm_and_ps(sign, a));
}
VF_INLINE vf vf_ceil(vf a)
{
    const __m128 sign = _mm_castsi128_ps(_mm_set1_epi32(INT32_MIN));
    __m128 r = vf_round(a);
    r = _mm_add_ps(r, _mm_and_ps(_mm_cmplt_ps(r, a), _mm_set1_ps(1.0f)));
    return _mm_or_ps(r, _mm_and_ps(sign, a));
}
VF_INLINE float vf_sum(vf a)
{
    a = _mm_add_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_add_ss(a, _mm_shuffle_ps(a, a, 1)));
}

#elif defined(__aarch64__)
#include "backend/cpu/simd_neon.h"
#else
#error "simd.h has no vectors for this processor: build with the reference backend only"
#endif
/* clang-format on */

/* sum + both products of the two bf16 of each lane, the lower half's first. Subnormal numbers count
 * as 0. */
#if defined(__AVX512BF16__)
#define VF_PAIRS 1
VF_INLINE vf vf_dot_pairs(vf a, vf b, vf sum)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}
/* The same of four bytes, those of `a` without a sign and those of `b` with one. */
VF_INLINE vi vi_dot_quads(vi a, vi b, vi sum)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b)); /* gcc copies `sum` of its own */
    return sum;
}
/* Lanes that fit into 16 bits. */
VF_INLINE void vi_store_i16(int16_t *p, vi a)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(a));
}
#else
#define VF_PAIRS 0
#endif

/* sum + both products of the two whole numbers of 16 bits in each lane, exact but for multiples of
 * 2³². */
VF_INLINE vi vi_dot_pairs(vi a, vi b, vi sum)
{
#if defined(__AVX512VNNI__)
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
#elif VF_WIDTH == 16
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
#elif VF_WIDTH == 8
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
#elif defined(__SSE2__)
    return _mm_add_epi32(sum, _mm_madd_epi16(a, b));
#else
    const int16x8_t x = vreinterpretq_s16_s32(a), y = vreinterpretq_s16_s32(b);
    return vaddq_s32(sum, vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)),
                                     vmull_s16(vget_high_s16(x), vget_high_s16(y))));
#endif
}

/* --- the same for all widths --------------------------------------------------------------------
 */

VF_INLINE vf vf_abs(vf a)
{
    return vi_as_float(vi_and(vf_bits(a), vi_set1(INT32_MAX)));
}
VF_INLINE vf vf_neg(vf a)
{
    return vi_as_float(vi_xor(vf_bits(a), vi_set1(INT32_MIN)));
}
VF_INLINE vm vf_gt(vf a, vf b)
{
    return vf_lt(b, a);
}
VF_INLINE vm vf_ge(vf a, vf b)
{
    return vf_le(b, a);
}
VF_INLINE vm vf_isnan(vf a)
{
    return vf_unordered(a, a);
}
/* 1 where true, 0 where not. */
VF_INLINE vf vm_to_float(vm m)
{
    return vf_select(m, vf_set1(1.0f), vf_zero());
}
/* As MAXIMUM and MINIMUM of the op table: a NaN on either side comes through. */
VF_INLINE vf vf_maximum(vf a, vf b)
{
    return vf_select(vf_isnan(a), a, vf_max(a, b));
}
VF_INLINE vf vf_minimum(vf a, vf b)
{
    return vf_select(vf_isnan(a), a, vf_min(a, b));
}
/* 2^n for n in [-126, 127]. */
VF_INLINE vf vi_exp2(vi n)
{
    return vi_as_float(vi_shl(vi_add(n, vi_set1(127)), 23));
}

/* n values, at most a vector's; a constant n of VF_WIDTH costs nothing. */
VF_INLINE vf vf_load_lanes(const float *p, int64_t n)
{
    return n == VF_WIDTH ? vf_load(p) : vf_load_part(p, n);
}
VF_INLINE void vf_store_lanes(float *p, vf a, int64_t n)
{
    if (n == VF_WIDTH)
        vf_store(p, a);
    else
        vf_store_part(p, a, n);
}

/* The largest lane; NaN wins. */
VF_INLINE float vf_maximum_lane(vf a)
{
    float t[VF_WIDTH];
    vf_store(t, a);
    float best = t[0];
    for (int i = 1; i < VF_WIDTH; i++)
        best = isnan(best) || best >= t[i] ? best : t[i];
    return best;
}
VF_INLINE float vf_max_lane(vf a)
{
    float t[VF_WIDTH];
    vf_store(t, a);
    float m = t[0];
    for (int i = 1; i < VF_WIDTH; i++)
        m = m > t[i] ? m : t[i];
    return m;
}
VF_INLINE vi vi_load_u8_part(const uint8_t *p, int64_t n)
{
    uint8_t t[VF_WIDTH] = {0};
    memcpy(t, p, (size_t)n);
    return vi_load_u8(t);
}
VF_INLINE vi vi_load_i8_part(const int8_t *p, int64_t n)
{
    int8_t t[VF_WIDTH] = {0};
    memcpy(t, p, (size_t)n);
    return vi_load_i8(t);
}
VF_INLINE vi vi_load_u16_part(const uint16_t *p, int64_t n)
{
    uint16_t t[VF_WIDTH] = {0};
    memcpy(t, p, (size_t)n * sizeof *t);
    return vi_load_u16(t);
}
/* bf16 is the upper half of an f32. */
VF_INLINE vf vi_bf16_to_float(vi h)
{
    return vi_as_float(vi_shl(h, 16));
}

#endif
