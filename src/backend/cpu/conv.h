/* conv.h: the sizes of a convolution, as its three kernels use them. */
#ifndef SOMA__CONV_H
#define SOMA__CONV_H

#include "backend/cpu/gemm.h"
#include "ops/attrs.h"

/* x [N,H,W,C], w [O,kh,kw,group_c], y [N,Ho,Wo,O]; of each pair [0] is height, [1] width. */
typedef struct soma__conv_sizes {
    int64_t N, H, W, C, O, Ho, Wo;
    int64_t kernel[2], taps; /* kh, kw; kh·kw */
    int64_t groups, group_c, group_o;
    int64_t stride[2], dilation[2], pad[2];
} soma__conv_sizes;

static inline soma__conv_sizes soma__conv_read(const soma__conv_attrs *attrs, const soma_shape *x,
                                               const soma_shape *w, const soma_shape *y)
{
    return (soma__conv_sizes){
        .N = x->dim[0],
        .H = x->dim[1],
        .W = x->dim[2],
        .C = x->dim[3],
        .O = w->dim[0],
        .Ho = y->dim[1],
        .Wo = y->dim[2],
        .kernel = {w->dim[1], w->dim[2]},
        .taps = w->dim[1] * w->dim[2],
        .groups = attrs->groups,
        .group_c = w->dim[3],
        .group_o = w->dim[0] / attrs->groups,
        .stride = {attrs->stride[0], attrs->stride[1]},
        .dilation = {attrs->dilation[0], attrs->dilation[1]},
        .pad = {attrs->pad[0], attrs->pad[1]},
    };
}

/* One tap, no padding, no stride: a matrix product over the pixels. */
static inline bool soma__conv_is_product(const soma__conv_sizes *s)
{
    return s->taps == 1 && s->groups == 1 && s->stride[0] == 1 && s->stride[1] == 1 &&
           s->pad[0] == 0 && s->pad[1] == 0 && s->H == s->Ho && s->W == s->Wo;
}

/* Every channel has its own kernel. */
static inline bool soma__conv_is_depthwise(const soma__conv_sizes *s)
{
    return s->group_c == 1 && s->group_o == 1 && s->groups > 1;
}

/* The positions j in [0, count) for which j·step + at lies in [0, size): [*first, *end). */
static inline void soma__conv_valid(int64_t at, int64_t step, int64_t size, int64_t count,
                                    int64_t *first, int64_t *end)
{
    int64_t lo = at < 0 ? soma__ceil_div(-at, step) : 0;
    int64_t hi = size > at ? soma__ceil_div(size - at, step) : 0;
    hi = soma__least(hi, count);
    *first = soma__least(lo, hi);
    *end = hi;
}

/* conv_planes.c: few channels in or out. */
bool soma__conv_suits_planes(const soma__conv_sizes *s, bool forward, const soma__isa_table *isa);
size_t soma__planes_scratch(const soma__conv_sizes *s, bool forward, bool epilogue,
                            const soma__isa_table *isa, int threads);
void soma__planes_run(const soma__conv_sizes *s, bool forward, const soma__call *call,
                      const soma__isa_table *isa);
size_t soma__planes_prepared(const soma__conv_sizes *s, bool forward, const soma__isa_table *isa);
void soma__planes_prepare(const soma__conv_sizes *s, bool forward, const soma__call *call,
                          const soma__isa_table *isa, float *to);

/* Where soma__conv_is_product: y [pixels,O] = x [pixels,C] · w [O,C]ᵀ, or dx [pixels,C] = dy
 * [pixels,O] · w (conv.c); dw [O,C] = dyᵀ [O,pixels] · x [pixels,C] (conv_weight.c). */
soma__product soma__conv_product(const soma__conv_sizes *s, bool forward, bool epilogue);
soma__product soma__conv_weight_product(const soma__conv_sizes *s);

/* conv_depthwise.c */
size_t soma__depthwise_scratch(const soma__conv_sizes *s, bool epilogue, int threads);
void soma__depthwise_forward(const soma__conv_sizes *s, const soma__call *call,
                             const soma__isa_table *isa);
void soma__depthwise_input_grad(const soma__conv_sizes *s, const soma__call *call,
                                const soma__isa_table *isa);
size_t soma__depthwise_weight_scratch(const soma__conv_sizes *s);
void soma__depthwise_weight_grad(const soma__conv_sizes *s, const soma__call *call,
                                 const soma__isa_table *isa);

#endif
