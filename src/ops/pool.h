/* pool.h: which cells of an image a pool's windows see, for its reference and its fast kernels;
 * and what the files of pools share. */
#ifndef SOMA__OPS_POOL_H
#define SOMA__OPS_POOL_H

#include "graph/op.h"
#include "ops/attrs.h"
#include "ops/window.h"

/* The cells first, first + step, … of one window along one axis: `count` of them (at least one) are
 * in the image, and `padded` of them in the image and its padding. */
typedef struct soma__span {
    int64_t first, count, step, padded;
} soma__span;

/* Window `i` along axis `d` (0: height, 1: width) of an image with `input` cells there. */
static inline soma__span soma__pool_span(const soma__pool_attrs *a, int d, int64_t input, int64_t i)
{
    const int64_t size = a->size[d], step = a->dilation[d];
    if (a->adaptive) {
        int64_t first = i * input / size, end = ((i + 1) * input + size - 1) / size;
        return (soma__span){first, end - first, 1, end - first};
    }
    const int64_t start = i * a->stride[d] - a->pad[d];
    const int64_t left = input - start, room = left + a->pad[d + 2];
    int64_t skipped = 0, end = size, padded = size;
    if (start < 0)
        skipped = step == 1 ? -start : (-start + step - 1) / step;
    if ((size - 1) * step >= left)
        end = step == 1 ? left : (left + step - 1) / step;
    if ((size - 1) * step >= room)
        padded = step == 1 ? room : (room + step - 1) / step;
    return (soma__span){start + skipped * step, end - skipped, step, padded};
}

static inline bool soma__span_sees(const soma__span *span, int64_t at)
{
    int64_t from = at - span->first;
    return from >= 0 && from % span->step == 0 && from / span->step < span->count;
}

/* All windows that may see cell `at`, of `outputs` along the axis: [*first, *last]. With a dilation
 * some of them do not: see soma__span_sees. */
static inline void soma__pool_windows(const soma__pool_attrs *a, int d, int64_t input,
                                      int64_t outputs, int64_t at, int64_t *first, int64_t *last)
{
    if (a->adaptive) {
        *first = at * a->size[d] / input;
        *last = ((at + 1) * a->size[d] + input - 1) / input - 1;
    } else {
        int64_t end = at + a->pad[d], low = end - (a->size[d] - 1) * a->dilation[d];
        *first = low > 0 ? (low + a->stride[d] - 1) / a->stride[d] : 0;
        *last = end / a->stride[d];
    }
    *last = *last < outputs ? *last : outputs - 1;
}

/* What the sum over a window's cells is divided by. */
static inline double soma__pool_divisor(const soma__pool_attrs *a, const soma__span *h,
                                        const soma__span *w)
{
    if (a->divisor > 0)
        return (double)a->divisor;
    return a->count_pad ? (double)h->padded * (double)w->padded
                        : (double)h->count * (double)w->count;
}

/* pool.c: as soma__window_resolve, and sees to it that each window holds a cell of the image. */
soma_status soma__pool_resolve(soma__rule *rule, const soma__window *window, int64_t *output);
/* The rule of max_pool2d: x [N,H,W,C] and soma__pool_attrs to the pooled shape. */
soma_status soma__pool_rule(soma__rule *rule);

#endif
