/* simd_neon.h: the section of simd.h for AArch64; included by it only. */
#ifndef SOMA__SIMD_NEON_H
#define SOMA__SIMD_NEON_H

#include <arm_neon.h>

/* clang-format off */
#define VF_WIDTH 4
typedef float32x4_t vf;
typedef int32x4_t vi;
typedef uint32x4_t vm;

VF_INLINE vm vm_first(int64_t n)
{
    static const int32_t lanes[4] = {0, 1, 2, 3};
    return vcgtq_s32(vdupq_n_s32((int32_t)n), vld1q_s32(lanes));
}
VF_INLINE vf vf_zero(void) { return vdupq_n_f32(0); }
VF_INLINE vf vf_set1(float a) { return vdupq_n_f32(a); }
VF_INLINE vf vf_load(const float *p) { return vld1q_f32(p); }
VF_INLINE void vf_store(float *p, vf a) { vst1q_f32(p, a); }
VF_INLINE vf vf_load_part(const float *p, int64_t n)
{
    float t[4] = {0, 0, 0, 0};
    for (int64_t i = 0; i < n; i++)
        t[i] = p[i];
    return vld1q_f32(t);
}
VF_INLINE void vf_store_part(float *p, vf a, int64_t n)
{
    float t[4];
    vst1q_f32(t, a);
    for (int64_t i = 0; i < n; i++)
        p[i] = t[i];
}
VF_INLINE vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
VF_INLINE vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
VF_INLINE vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
VF_INLINE vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
VF_INLINE vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
VF_INLINE vf vf_fnma(vf a, vf b, vf c) { return vfmsq_f32(c, a, b); }
/* vmaxq_f32 would pass NaN on from either side; simd.h promises b. */
VF_INLINE vf vf_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
VF_INLINE vf vf_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
VF_INLINE vf vf_sqrt(vf a) { return vsqrtq_f32(a); }
VF_INLINE vf vf_round(vf a) { return vrndnq_f32(a); }
VF_INLINE vf vf_floor(vf a) { return vrndmq_f32(a); }
VF_INLINE vf vf_ceil(vf a) { return vrndpq_f32(a); }
VF_INLINE vi vf_bits(vf a) { return vreinterpretq_s32_f32(a); }
VF_INLINE vf vi_as_float(vi a) { return vreinterpretq_f32_s32(a); }
VF_INLINE vi vf_to_int(vf a) { return vcvtnq_s32_f32(a); }
VF_INLINE vi vf_to_int_truncated(vf a) { return vcvtq_s32_f32(a); }
VF_INLINE vf vi_to_float(vi a) { return vcvtq_f32_s32(a); }
VF_INLINE vm vf_eq(vf a, vf b) { return vceqq_f32(a, b); }
VF_INLINE vm vf_ne(vf a, vf b) { return vmvnq_u32(vceqq_f32(a, b)); }
VF_INLINE vm vf_lt(vf a, vf b) { return vcltq_f32(a, b); }
VF_INLINE vm vf_le(vf a, vf b) { return vcleq_f32(a, b); }
VF_INLINE vm vf_unordered(vf a, vf b) { return vmvnq_u32(vandq_u32(vceqq_f32(a, a), vceqq_f32(b, b))); }
VF_INLINE vm vm_and(vm a, vm b) { return vandq_u32(a, b); }
VF_INLINE vm vm_or(vm a, vm b) { return vorrq_u32(a, b); }
VF_INLINE vm vm_not(vm a) { return vmvnq_u32(a); }
VF_INLINE int vm_any(vm a) { return vmaxvq_u32(a) != 0; }
VF_INLINE vf vf_select(vm m, vf yes, vf no) { return vbslq_f32(m, yes, no); }
VF_INLINE vi vi_select(vm m, vi yes, vi no) { return vbslq_s32(m, yes, no); }
VF_INLINE vi vi_set1(int32_t a) { return vdupq_n_s32(a); }
VF_INLINE vi vi_load(const int32_t *p) { return vld1q_s32(p); }
VF_INLINE void vi_store(int32_t *p, vi a) { vst1q_s32(p, a); }
VF_INLINE vi vi_load_part(const int32_t *p, int64_t n)
{
    int32_t t[4] = {0, 0, 0, 0};
    for (int64_t i = 0; i < n; i++)
        t[i] = p[i];
    return vld1q_s32(t);
}
VF_INLINE void vi_store_part(int32_t *p, vi a, int64_t n)
{
    int32_t t[4];
    vst1q_s32(t, a);
    for (int64_t i = 0; i < n; i++)
        p[i] = t[i];
}
VF_INLINE vi vi_add(vi a, vi b) { return vaddq_s32(a, b); }
VF_INLINE vi vi_sub(vi a, vi b) { return vsubq_s32(a, b); }
VF_INLINE vi vi_and(vi a, vi b) { return vandq_s32(a, b); }
VF_INLINE vi vi_or(vi a, vi b) { return vorrq_s32(a, b); }
VF_INLINE vi vi_xor(vi a, vi b) { return veorq_s32(a, b); }
VF_INLINE vm vi_eq(vi a, vi b) { return vceqq_s32(a, b); }
VF_INLINE vm vi_gt(vi a, vi b) { return vcgtq_s32(a, b); }
#define vi_shl(a_, n_) vshlq_n_s32((a_), (n_))
#define vi_shr(a_, n_) vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(a_), (n_)))
#define vi_sar(a_, n_) vshrq_n_s32((a_), (n_))
VF_INLINE vi vi_load_u8(const uint8_t *p)
{
    int32_t t[4] = {p[0], p[1], p[2], p[3]};
    return vld1q_s32(t);
}
VF_INLINE vi vi_load_i8(const int8_t *p)
{
    int32_t t[4] = {p[0], p[1], p[2], p[3]};
    return vld1q_s32(t);
}
VF_INLINE vi vi_load_u16(const uint16_t *p) { return vreinterpretq_s32_u32(vmovl_u16(vld1_u16(p))); }
VF_INLINE float vf_sum(vf a)
{
    float32x2_t h = vadd_f32(vget_low_f32(a), vget_high_f32(a));
    return vget_lane_f32(vpadd_f32(h, h), 0);
}
/* clang-format on */

#endif
