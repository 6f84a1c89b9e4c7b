/* isa_winograd.c: the transforms of winograd.h. Compiled once per instruction set; see isa.h.
 *
 * The points come in pairs ±p beside 0 and ∞, so each one-dimensional transform splits into sums of
 * its even and of its odd terms, which a pair shares:
 *
 *     with P(z) = Π (z - p²) over all pairs and Pₖ(z) without pair k,
 *     Bᵀ d:  0: Σ Pⱼ d₂ⱼ    ±p: Σ Pₖⱼ d₂ⱼ₊₂ ± p Σ Pₖⱼ d₂ⱼ₊₁    ∞: Σ Pⱼ d₂ⱼ₊₁
 *     G g:   0: g₀ / P(0)   ±p: (g₀ + p² g₂ ± p g₁) / (2p² Pₖ(p²))   ∞: g₂
 *     Aᵀ s:  yⱼ = Σ over points pʲ s, and s∞ in the last
 *
 * The gradients use the transposes of A and G. All loops over points have constant bounds and
 * constant coefficients once they are inlined.
 */
#include "backend/cpu/simd.h"
#include "backend/cpu/winograd.h"

extern const struct soma__isa_winograd SOMA__ISA_NAME(soma__isa_winograd);

/* clang unrolls loops as short as these unasked; asked, it takes minutes under its sanitizers. */
#if defined(__clang__)
#define UNROLL
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

/* --- coefficients, by the number of pairs -------------------------------------------------------
 */

#define P0 0.625F /* of two pairs */
#define P1 1.5F
#define S0 (P0 * P0)
#define S1 (P1 * P1)

static const float point[4][3] = {{0}, {1}, {P0, P1}, {0.5F, 1, 2}};

/* P, lowest power first; its highest is 1. */
static const float whole[4][4] = {
    {0}, {-1, 1}, {S0 * S1, -(S0 + S1), 1}, {-1, 1 + 4 + 0.25F, -(0.25F + 1 + 4), 1}};

/* Pₖ. */
static const float part[4][3][3] = {
    {{0}}, {{1}}, {{-S1, 1}, {-S0, 1}}, {{4, -5, 1}, {1, -4.25F, 1}, {0.25F, -1.25F, 1}}};

/* 1 / P(0), and 1 / (2p² Pₖ(p²)). */
static const float at_zero[4] = {0, -1, 1 / (S0 * S1), -1};
static const float at_pair[4][3] = {
    {0},
    {0.5F},
    {1 / (2 * S0 * (S0 - S1)), 1 / (2 * S1 * (S1 - S0))},
    {1 / (2 * 0.25F * (0.25F - 1) * (0.25F - 4)), 1 / (2 * (1 - 0.25F) * (1 - 4)),
     1 / (2 * 4 * (4 - 0.25F) * (4 - 1))},
};

/* pʲ */
VF_INLINE float power(const int pairs, const int k, const int j)
{
    float p = 1;
    UNROLL
    for (int i = 0; i < j; i++)
        p *= point[pairs][k];
    return p;
}

/* --- one dimension ------------------------------------------------------------------------------
 */

typedef enum transform { INPUT, WEIGHT, OUTPUT, OUTPUT_GRAD, WEIGHT_GRAD } transform;

VF_INLINE vf scaled(vf x, const float by)
{
    return by == 1 ? x : vf_mul(x, vf_set1(by));
}
VF_INLINE vf plus(vf sum, vf x, const float by)
{
    return by == 1 ? vf_add(sum, x) : vf_fma(x, vf_set1(by), sum);
}

/* Σ of coefficient[j] · d[2j], j <= degree, the last coefficient being 1. */
VF_INLINE vf polynomial(const float *coefficient, const int degree, const vf *d)
{
    vf sum = d[2 * degree];
    UNROLL
    for (int j = degree - 1; j >= 0; j--)
        sum = plus(sum, d[2 * j], coefficient[j]);
    return sum;
}

VF_INLINE void pair_of(vf *t, vf even, vf odd)
{
    t[0] = vf_add(even, odd);
    t[1] = vf_sub(even, odd);
}

VF_INLINE void of_input(const int pairs, const vf *d, vf *t)
{
    t[0] = polynomial(whole[pairs], pairs, d);
    UNROLL
    for (int k = 0; k < pairs; k++) {
        vf odd = polynomial(part[pairs][k], pairs - 1, d + 1);
        pair_of(t + 1 + 2 * k, polynomial(part[pairs][k], pairs - 1, d + 2),
                scaled(odd, point[pairs][k]));
    }
    t[2 * pairs + 1] = polynomial(whole[pairs], pairs, d + 1);
}

VF_INLINE void of_weight(const int pairs, const vf *g, vf *t)
{
    t[0] = scaled(g[0], at_zero[pairs]);
    UNROLL
    for (int k = 0; k < pairs; k++) {
        const float by = at_pair[pairs][k];
        vf even = plus(scaled(g[0], by), g[2], by * power(pairs, k, 2));
        pair_of(t + 1 + 2 * k, even, scaled(g[1], by * point[pairs][k]));
    }
    t[2 * pairs + 1] = g[2];
}

VF_INLINE void of_output(const int pairs, const vf *s, vf *t)
{
    vf sum[3], difference[3];
    UNROLL
    for (int k = 0; k < pairs; k++) {
        sum[k] = vf_add(s[1 + 2 * k], s[2 + 2 * k]);
        difference[k] = vf_sub(s[1 + 2 * k], s[2 + 2 * k]);
    }
    UNROLL
    for (int j = 0; j < 2 * pairs; j++) {
        const vf *term = j % 2 ? difference : sum;
        vf y = scaled(term[0], power(pairs, 0, j));
        UNROLL
        for (int k = 1; k < pairs; k++)
            y = plus(y, term[k], power(pairs, k, j));
        t[j] = j == 0 ? vf_add(y, s[0]) : y;
    }
    t[2 * pairs - 1] = vf_add(t[2 * pairs - 1], s[2 * pairs + 1]);
}

VF_INLINE void of_output_grad(const int pairs, const vf *y, vf *t)
{
    t[0] = y[0];
    UNROLL
    for (int k = 0; k < pairs; k++) {
        vf even = y[0], odd = scaled(y[1], point[pairs][k]);
        UNROLL
        for (int j = 2; j < 2 * pairs; j += 2) {
            even = plus(even, y[j], power(pairs, k, j));
            odd = plus(odd, y[j + 1], power(pairs, k, j + 1));
        }
        pair_of(t + 1 + 2 * k, even, odd);
    }
    t[2 * pairs + 1] = y[2 * pairs - 1];
}

VF_INLINE void of_weight_grad(const int pairs, const vf *s, vf *t)
{
    t[0] = scaled(s[0], at_zero[pairs]);
    t[1] = vf_zero();
    t[2] = s[2 * pairs + 1];
    UNROLL
    for (int k = 0; k < pairs; k++) {
        const float by = at_pair[pairs][k];
        vf sum = vf_add(s[1 + 2 * k], s[2 + 2 * k]),
           difference = vf_sub(s[1 + 2 * k], s[2 + 2 * k]);
        t[0] = plus(t[0], sum, by);
        t[1] = plus(t[1], difference, by * point[pairs][k]);
        t[2] = plus(t[2], sum, by * power(pairs, k, 2));
    }
}

VF_INLINE void of(const transform what, const int pairs, const vf *d, vf *t)
{
    switch (what) {
    case INPUT:
        of_input(pairs, d, t);
        break;
    case WEIGHT:
        of_weight(pairs, d, t);
        break;
    case OUTPUT:
        of_output(pairs, d, t);
        break;
    case OUTPUT_GRAD:
        of_output_grad(pairs, d, t);
        break;
    case WEIGHT_GRAD:
        of_weight_grad(pairs, d, t);
        break;
    }
}

/* --- two dimensions -----------------------------------------------------------------------------
 */

/* Where the values of a tile lie: by pointers or at a step. */
typedef struct places {
    const void *const *rows;
    float *const *to_rows;
    const float *from;
    float *to;
    int64_t from_step, to_step;
    bool add, bf16; /* what rows point to; a constant */
} places;

VF_INLINE vf get(const float *p, int64_t lanes)
{
    return lanes == VF_WIDTH ? vf_load(p) : vf_load_part(p, lanes);
}
VF_INLINE void put(float *p, vf x, int64_t lanes)
{
    if (lanes == VF_WIDTH)
        vf_store(p, x);
    else
        vf_store_part(p, x, lanes);
}

VF_INLINE vf fetch(const transform what, const places *p, int at, int64_t c, int64_t lanes)
{
    if ((what == INPUT || what == OUTPUT_GRAD) && p->bf16) {
        const uint16_t *row = (const uint16_t *)p->rows[at] + c;
        return vi_bf16_to_float(lanes == VF_WIDTH ? vi_load_u16(row)
                                                  : vi_load_u16_part(row, lanes));
    }
    if (what == INPUT || what == OUTPUT_GRAD)
        return get((const float *)p->rows[at] + c, lanes);
    return vf_load(p->from + at * p->from_step + c);
}

VF_INLINE void place(const transform what, const places *p, int at, int64_t c, vf x, int64_t lanes)
{
    if (what == OUTPUT) {
        if (p->to_rows[at])
            put(p->to_rows[at] + c, x, lanes);
    } else if (what == WEIGHT_GRAD) {
        float *to = p->to + at * p->to_step + c;
        put(to, p->add ? vf_add(get(to, lanes), x) : x, lanes);
    } else {
        vf_store(p->to + at * p->to_step + c, x);
    }
}

/* One vector of channels. Columns first, by way of a small array in L1, then rows. */
VF_INLINE void lanes_of(const transform what, const int pairs, const places *p, int64_t c,
                        int64_t lanes)
{
    const int m = 2 * pairs, n = m + 2;
    const int in = what == WEIGHT ? 3 : what == OUTPUT_GRAD ? m : n;
    const int out = what == OUTPUT ? m : what == WEIGHT_GRAD ? 3 : n;
    vf between[SOMA__WINOGRAD_MAX_N][SOMA__WINOGRAD_MAX_N];
    for (int j = 0; j < in; j++) {
        vf d[SOMA__WINOGRAD_MAX_N], t[SOMA__WINOGRAD_MAX_N];
        UNROLL
        for (int i = 0; i < in; i++)
            d[i] = fetch(what, p, i * in + j, c, lanes);
        of(what, pairs, d, t);
        UNROLL
        for (int i = 0; i < out; i++)
            between[i][j] = t[i];
    }
    for (int i = 0; i < out; i++) {
        vf t[SOMA__WINOGRAD_MAX_N];
        of(what, pairs, between[i], t);
        UNROLL
        for (int j = 0; j < out; j++)
            place(what, p, i * out + j, c, t[j], lanes);
    }
}

VF_INLINE void channels_of(const transform what, const int pairs, const places *p, int64_t channels)
{
    int64_t c = 0;
    for (; c + VF_WIDTH <= channels; c += VF_WIDTH)
        lanes_of(what, pairs, p, c, VF_WIDTH);
    if (c < channels)
        lanes_of(what, pairs, p, c, channels - c);
}

#define BY_TILE(what_)                                                                             \
    do {                                                                                           \
        if (m == 2)                                                                                \
            channels_of(what_, 1, &p, channels);                                                   \
        else if (m == 4)                                                                           \
            channels_of(what_, 2, &p, channels);                                                   \
        else                                                                                       \
            channels_of(what_, 3, &p, channels);                                                   \
    } while (0)

#define BY_DTYPE(what_, rows_, to_)                                                                \
    if (bf16) {                                                                                    \
        const places p = {.rows = rows_, .to = to_, .to_step = step, .bf16 = true};                \
        BY_TILE(what_);                                                                            \
    } else {                                                                                       \
        const places p = {.rows = rows_, .to = to_, .to_step = step};                              \
        BY_TILE(what_);                                                                            \
    }

static void input(int m, const void *const *x, bool bf16, int64_t channels, float *v, int64_t step)
{
    BY_DTYPE(INPUT, x, v);
}

static void weight(int m, const float *g, int64_t tap_step, int64_t channels, float *u,
                   int64_t step)
{
    const places p = {.from = g, .from_step = tap_step, .to = u, .to_step = step};
    BY_TILE(WEIGHT);
}

static void output(int m, const float *s, int64_t step, int64_t channels, float *const *y)
{
    const places p = {.from = s, .from_step = step, .to_rows = y};
    BY_TILE(OUTPUT);
}

static void output_grad(int m, const void *const *dy, bool bf16, int64_t channels, float *w,
                        int64_t step)
{
    BY_DTYPE(OUTPUT_GRAD, dy, w);
}

static void weight_grad(int m, const float *s, int64_t step, int64_t channels, float *dw,
                        int64_t tap_step, bool add)
{
    const places p = {.from = s, .from_step = step, .to = dw, .to_step = tap_step, .add = add};
    BY_TILE(WEIGHT_GRAD);
}

const struct soma__isa_winograd SOMA__ISA_NAME(soma__isa_winograd) = {
    .input = input,
    .weight = weight,
    .output = output,
    .output_grad = output_grad,
    .weight_grad = weight_grad,
};
