/* isa_pool.c: the loops of pooling.h, one window at a time; those of 2 × 2 cells are unrolled. */
#include "backend/cpu/pooling.h"
#include "backend/cpu/vmath.h"

extern const struct soma__isa_pool SOMA__ISA_NAME(soma__isa_pool);

/* The loop over vectors of channels: `body_` sees the offset c and the number k of lanes, which is
 * the constant VF_WIDTH in all but the last turn. */
#define EACH_CHANNEL(channels_, body_)                                                             \
    do {                                                                                           \
        int64_t c = 0;                                                                             \
        for (; c + VF_WIDTH <= (channels_); c += VF_WIDTH)                                         \
            body_(VF_WIDTH);                                                                       \
        if (c < (channels_))                                                                       \
            body_((channels_)-c);                                                                  \
    } while (0)

/* The loop over windows: `body_` sees the number w of the window and the sizes of windows, which
 * are constants where they are 2 × 2. */
#define EACH_WINDOW(in_, body_)                                                                    \
    do {                                                                                           \
        if ((in_)->rows == 2 && (in_)->cols == 2)                                                  \
            for (int64_t w = 0; w < (in_)->windows; w++)                                           \
                body_(2, 2);                                                                       \
        else                                                                                       \
            for (int64_t w = 0; w < (in_)->windows; w++)                                           \
                body_((in_)->rows, (in_)->cols);                                                   \
    } while (0)

/* k is a constant after inlining, or the rest. */
VF_INLINE vf get(const float *p, int64_t k)
{
    return k == VF_WIDTH ? vf_load(p) : vf_load_part(p, k);
}
VF_INLINE void put(float *p, vf x, int64_t k)
{
    if (k == VF_WIDTH)
        vf_store(p, x);
    else
        vf_store_part(p, x, k);
}

VF_INLINE void max_lanes(const float *x, const soma__cells *in, int64_t rows, int64_t cols,
                         float *y, int64_t k)
{
    vf best = get(x, k);
    for (int64_t h = 0; h < rows; h++)
        for (int64_t w = 0; w < cols; w++)
            best = vf_maximum(best, get(x + h * in->row + w * in->cell, k));
    put(y, best, k);
}
VF_INLINE void max_window(const float *x, const soma__cells *in, int64_t rows, int64_t cols,
                          float *y)
{
#define LANES(k_) max_lanes(x + c, in, rows, cols, y + c, k_)
    EACH_CHANNEL(in->channels, LANES);
#undef LANES
}
static void max(const float *x, const soma__cells *in, float *y)
{
#define WINDOW(rows_, cols_) max_window(x + w * in->step, in, rows_, cols_, y + w * in->out)
    EACH_WINDOW(in, WINDOW);
#undef WINDOW
}

/* Whether a cell goes before the best so far: larger, or the first NaN. */
VF_INLINE vm beats(vf a, vf best)
{
    vm more = vf_gt(a, best);
    return vm_or(more, vm_and(vf_isnan(a), vm_not(vf_isnan(best))));
}

VF_INLINE void pick_lanes(const float *x, const float *t, const soma__cells *in, float *y,
                          int64_t k)
{
    vf best = get(x, k), picked = get(t, k);
    for (int64_t h = 0; h < in->rows; h++)
        for (int64_t w = 0; w < in->cols; w++) {
            int64_t at = h * in->row + w * in->cell;
            vf a = get(x + at, k);
            vm better = beats(a, best);
            best = vf_select(better, a, best);
            picked = vf_select(better, get(t + at, k), picked);
        }
    put(y, picked, k);
}
static void pick(const float *x, const float *t, const soma__cells *in, float *y)
{
    for (int64_t w = 0; w < in->windows; w++, x += in->step, t += in->step, y += in->out) {
#define LANES(k_) pick_lanes(x + c, t + c, in, y + c, k_)
        EACH_CHANNEL(in->channels, LANES);
#undef LANES
    }
}

/* First the number of the largest cell in each lane, then its share to each cell. */
VF_INLINE void max_grad_lanes(const float *x, const float *dy, const soma__cells *in, int64_t rows,
                              int64_t cols, bool alone, float *dx, int64_t k)
{
    vf best = get(x, k), d = get(dy, k);
    vi which = vi_set1(0);
    int32_t number = 0;
    for (int64_t h = 0; h < rows; h++)
        for (int64_t w = 0; w < cols; w++, number++) {
            vf a = get(x + h * in->row + w * in->cell, k);
            vm better = beats(a, best);
            best = vf_select(better, a, best);
            which = vi_select(better, vi_set1(number), which);
        }
    number = 0;
    for (int64_t h = 0; h < rows; h++)
        for (int64_t w = 0; w < cols; w++, number++) {
            float *at = dx + h * in->row + w * in->cell;
            vf share = vf_select(vi_eq(which, vi_set1(number)), d, vf_zero());
            if (!alone)
                share = vf_add(get(at, k), share);
            put(at, share, k);
        }
}
VF_INLINE void max_grad_window(const float *x, const float *dy, const soma__cells *in, int64_t rows,
                               int64_t cols, bool alone, float *dx)
{
#define LANES(k_) max_grad_lanes(x + c, dy + c, in, rows, cols, alone, dx + c, k_)
    EACH_CHANNEL(in->channels, LANES);
#undef LANES
}
static void max_grad(const float *x, const float *dy, const soma__cells *in, bool alone, float *dx)
{
#define WINDOW(rows_, cols_)                                                                       \
    max_grad_window(x + w * in->step, dy + w * in->out, in, rows_, cols_, alone, dx + w * in->step)
    EACH_WINDOW(in, WINDOW);
#undef WINDOW
}

/* Rows are summed on their own, which bounds the error for large windows. */
VF_INLINE void average_lanes(const float *x, const soma__cells *in, float scale, float *y,
                             int64_t k)
{
    vf total = vf_zero();
    for (int64_t h = 0; h < in->rows; h++) {
        vf sum = vf_zero();
        for (int64_t w = 0; w < in->cols; w++)
            sum += get(x + h * in->row + w * in->cell, k);
        total += sum;
    }
    put(y, total * vf_set1(scale), k);
}
static void average(const float *x, const soma__cells *in, float scale, float *y)
{
    for (int64_t w = 0; w < in->windows; w++, x += in->step, y += in->out) {
#define LANES(k_) average_lanes(x + c, in, scale, y + c, k_)
        EACH_CHANNEL(in->channels, LANES);
#undef LANES
    }
}

static void add(const float *x, int64_t channels, float scale, float *y)
{
#define LANES(k_) put(y + c, vf_fma(get(x + c, k_), vf_set1(scale), get(y + c, k_)), k_)
    EACH_CHANNEL(channels, LANES);
#undef LANES
}

const struct soma__isa_pool SOMA__ISA_NAME(soma__isa_pool) = {
    .max = max,
    .pick = pick,
    .max_grad = max_grad,
    .average = average,
    .add = add,
};
