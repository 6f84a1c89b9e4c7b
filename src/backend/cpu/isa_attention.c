/* isa_attention.c: the rows of attention.h. */
#include "backend/cpu/attention.h"
#include "backend/cpu/vmath.h"

extern const struct soma__isa_attention SOMA__ISA_NAME(soma__isa_attention);

VF_INLINE vf score(const soma__scores *s, int64_t i, int64_t k)
{
    vf x = vf_load_lanes(s->x + i, k) * vf_set1(s->scale);
    if (s->mask)
        x += s->mask_step ? vf_load_lanes(s->mask + i, k) : vf_set1(s->mask[0]);
    if (s->slope < 0 || s->slope > 0) {
        float place[VF_WIDTH];
        for (int lane = 0; lane < VF_WIDTH; lane++)
            place[lane] = s->distance - (float)(i + lane);
        x = vf_fnma(vf_set1(s->slope), vf_abs(vf_load(place)), x);
    }
    vf_store_lanes(s->x + i, x, k);
    return x;
}

static float scores(const soma__scores *s)
{
    vf most = vf_set1(-INFINITY);
    int64_t i = 0;
    for (; i + VF_WIDTH <= s->seen; i += VF_WIDTH)
        most = vf_maximum(most, score(s, i, VF_WIDTH));
    if (i < s->seen)
        most = vf_maximum(most, vf_select(vm_first(s->seen - i), score(s, i, s->seen - i), most));
    return vf_maximum_lane(most);
}

static float exps(const soma__scores *s, float most)
{
    vf sum = vf_zero(), m = vf_set1(most);
    int64_t i = 0;
    for (; i + VF_WIDTH <= s->seen; i += VF_WIDTH) {
        vf e = vf_exp(vf_load(s->x + i) - m);
        vf_store(s->x + i, e);
        sum += e;
    }
    if (i < s->seen) {
        vf e = vf_exp(vf_load_part(s->x + i, s->seen - i) - m);
        vf_store_part(s->x + i, e, s->seen - i);
        sum += vf_select(vm_first(s->seen - i), e, vf_zero());
    }
    for (i = s->seen; i < s->count; i++)
        s->x[i] = 0;
    return vf_sum(sum);
}

static void scale(float *x, int64_t count, float by)
{
    int64_t i = 0;
    for (; i + VF_WIDTH <= count; i += VF_WIDTH)
        vf_store(x + i, vf_load(x + i) * vf_set1(by));
    if (i < count)
        vf_store_part(x + i, vf_load_part(x + i, count - i) * vf_set1(by), count - i);
}

static void drop(float *x, const float *draw, int64_t count, float p, float grow)
{
    for (int64_t i = 0; i < count; i += VF_WIDTH) {
        const int64_t k = count - i < VF_WIDTH ? count - i : VF_WIDTH;
        vf kept = vf_load_lanes(x + i, k) * vf_set1(grow);
        vf_store_lanes(
            x + i, vf_select(vf_lt(vf_load_lanes(draw + i, k), vf_set1(p)), vf_zero(), kept), k);
    }
}

static float dot(const float *x, const float *y, int64_t count)
{
    vf sum = vf_zero();
    for (int64_t i = 0; i < count; i += VF_WIDTH) {
        const int64_t k = count - i < VF_WIDTH ? count - i : VF_WIDTH;
        sum = vf_fma(vf_load_lanes(x + i, k), vf_load_lanes(y + i, k), sum);
    }
    return vf_sum(sum);
}

static void back(const soma__scores *s, float *dx, float delta)
{
    for (int64_t i = 0; i < s->seen; i += VF_WIDTH) {
        const int64_t k = s->seen - i < VF_WIDTH ? s->seen - i : VF_WIDTH;
        vf_store_lanes(dx + i,
                       vf_load_lanes(s->x + i, k) * (vf_load_lanes(dx + i, k) - vf_set1(delta)), k);
    }
    for (int64_t i = s->seen; i < s->count; i++)
        dx[i] = 0;
}

const struct soma__isa_attention SOMA__ISA_NAME(soma__isa_attention) = {
    .scores = scores,
    .exps = exps,
    .scale = scale,
    .drop = drop,
    .dot = dot,
    .back = back,
};
