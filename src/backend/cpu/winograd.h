/* winograd.h: 3×3 convolutions of stride 1 with fewer multiplications.
 *
 * F(m×m, 3×3) computes a tile of m×m outputs from the n×n inputs under it, n = m + 2, by n²
 * products where the definition takes 9·m². In one dimension, with a = n points a₀ … of which the
 * last is infinity (Cook and Toom; Winograd),
 *
 *     y = Aᵀ [ (G g) ⊙ (Bᵀ d) ]          d: n inputs, g: 3 weights, y: m outputs
 *
 * and in two dimensions each matrix is applied to the rows and to the columns. Summed over
 * channels, each of the n² products becomes a matrix product [tiles, C] · [C, O]: conv_winograd.c.
 * Since y is linear in g, the weight gradient follows by transposing: dg = Gᵀ [ Σ over tiles (A dy)
 * ⊙ (Bᵀ d) ], n² products [O, tiles] · [tiles, C]: conv_winograd_weight.c.
 *
 *     m    n²   multiplications saved    points
 *     2    16   2.25×                    0, ±1, ∞
 *     4    36   4×                       0, ±5/8, ±3/2, ∞
 *     6    64   5.06×                    0, ±1/2, ±1, ±2, ∞
 *
 * The points decide how much the sums cancel, hence the error: those of m = 4 lose a quarter of
 * what the usual ±1, ±2 do. Products run over the gemm tile; the transforms here are vectorised
 * over channels. Vectors of scratch are whole: rows there have a multiple of 16 floats.
 *
 * Operands of bf16 (bf16.c): transforms are of f32, and the products of fixed point (integer.h).
 * Rounded to bf16 again, the transformed operands would make errors of twice (m = 2), 5 times (4)
 * and 20 times (6) those of direct sums; this way they are 0.1, 0.6 and 2 times. */
#ifndef SOMA__WINOGRAD_H
#define SOMA__WINOGRAD_H

#include "backend/cpu/conv.h"

#define SOMA__WINOGRAD_MAX_N 8
#define SOMA__WINOGRAD_MAX_POINTS 64

/* One tile at a time, m = 2, 4 or 6. `step` is the distance in floats between the n² values. */
struct soma__isa_winograd {
    /* v = Bᵀ x B, x[n·n] pointers to the pixels' channels, of bf16 or f32. */
    void (*input)(int m, const void *const *x, bool bf16, int64_t channels, float *v, int64_t step);
    /* u = G g Gᵀ for `count` (a multiple of 16) neighbours; tap t is at g + t·tap_step. The taps
     * may be the first nine planes of u. */
    void (*weight)(int m, const float *g, int64_t tap_step, int64_t count, float *u, int64_t step);
    /* y = Aᵀ s A; y[m·m] pointers, NULL outside of the image. */
    void (*output)(int m, const float *s, int64_t step, int64_t channels, float *const *y);
    /* w = A dy Aᵀ, dy[m·m] pointers. */
    void (*output_grad)(int m, const void *const *dy, bool bf16, int64_t channels, float *w,
                        int64_t step);
    /* dw (+)= Gᵀ s G; tap t goes to dw + t·tap_step. */
    void (*weight_grad)(int m, const float *s, int64_t step, int64_t channels, float *dw,
                        int64_t tap_step, bool add);
};

/* Whether the method applies: one group of 3×3 windows without strides. */
static inline bool soma__winograd_fits(const soma__conv_sizes *s)
{
    return s->kernel[0] == 3 && s->kernel[1] == 3 && s->groups == 1 && s->stride[0] == 1 &&
           s->stride[1] == 1 && s->dilation[0] == 1 && s->dilation[1] == 1;
}

/* conv_winograd.c: conv2d (`forward`) or conv2d_input_grad with tiles of m. The choice of m is by
 * the shape alone; 0: it does not fit, or the definition is as fast. Products are of fixed point
 * where call->in[0], x or dy, is bf16; weights are f32. */
int soma__winograd_choose(const soma__conv_sizes *s, bool forward, bool fixed);
/* The m, at most `largest`, that costs least on planes of h × w with `in` and `out` channels, if it
 * makes `least_tiles`; 0 as above. `fixed`: by products of fixed point, against direct ones of
 * bf16. */
int soma__winograd_cheapest(const soma__conv_sizes *s, bool fixed, double in, double out, int64_t h,
                            int64_t w, int largest, int64_t least_tiles);
size_t soma__winograd_scratch(int m, const soma__call *call, bool forward,
                              const soma__isa_table *isa, int threads);
void soma__winograd_run(int m, const soma__call *call, bool forward, const soma__isa_table *isa);
size_t soma__winograd_prepared(int m, const soma__call *call, bool forward,
                               const soma__isa_table *isa);
void soma__winograd_prepare(int m, const soma__call *call, bool forward, const soma__isa_table *isa,
                            void *to);

/* conv_winograd_weight.c: the same of conv2d_weight_grad; x and dy are of one dtype. */
int soma__winograd_choose_weight(const soma__conv_sizes *s, bool fixed);
size_t soma__winograd_weight_scratch(int m, const soma__call *call, const soma__isa_table *isa,
                                     int threads);
void soma__winograd_weight_run(int m, const soma__call *call, const soma__isa_table *isa);

/* The tiles of an image plane of h × w outputs, counted over all images. */
typedef struct soma__winograd_grid {
    int m, n;
    int64_t rows, cols, tiles; /* of an image; of all images */
} soma__winograd_grid;

static inline soma__winograd_grid soma__winograd_grid_of(int m, int64_t images, int64_t h,
                                                         int64_t w)
{
    soma__winograd_grid g = {.m = m, .n = m + 2};
    g.rows = soma__ceil_div(h, m);
    g.cols = soma__ceil_div(w, m);
    g.tiles = images * g.rows * g.cols;
    return g;
}

/* Floats of a row of `channels` in scratch. */
static inline int64_t soma__winograd_row(int64_t channels)
{
    return (channels + 15) & ~(int64_t)15;
}

/* Distance between the n² planes of `floats` each: an odd number of cache lines, since neighbours
 * at a power of two would share a set of the cache. */
static inline int64_t soma__winograd_plane(int64_t floats)
{
    return floats + (floats / 16 % 2 ? 0 : 16);
}

/* Pointers to the size × size pixels, of `bytes` each, at (h, w) of an image [rows, cols]; `zero`
 * for those outside of it. */
static inline void soma__winograd_window(const void *image, int64_t rows, int64_t cols,
                                         int64_t bytes, int64_t h, int64_t w, int size,
                                         const void *zero, const void **x)
{
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) {
            bool inside = h + i >= 0 && h + i < rows && w + j >= 0 && w + j < cols;
            *x++ = inside ? (const char *)image + ((h + i) * cols + w + j) * bytes : zero;
        }
}

#endif
