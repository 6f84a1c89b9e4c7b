/* attention.h: what the attention ops read, for rules and kernels. */
#ifndef SOMA__OPS_ATTENTION_H
#define SOMA__OPS_ATTENTION_H

#include <math.h>

#include "graph/op.h"
#include "ops/attrs.h"

/* Bits of soma__attention_attrs.optional, in the order of the inputs. */
enum {
    SOMA__ATTENTION_MASK = 1,    /* float, broadcasts to [batch,heads,queries,keys] */
    SOMA__ATTENTION_LENGTHS = 2, /* [batch]: keys that count */
    SOMA__ATTENTION_SLOPES = 4,  /* [heads] */
    SOMA__ATTENTION_KEY = 8,     /* of dropout */
};

/* Query head h sees key head h / group. y and dy are [batch,queries,heads,depth + 1]: the result,
 * then the logarithm of the sum of e^score; 0 where nothing is seen. */
typedef struct soma__attention {
    int64_t batch, queries, keys, heads, key_heads, group, depth;
    double scale, p;
    bool causal;
    int64_t offset;
    uint32_t stream;
    const soma__view *q, *k, *v, *y, *dy;            /* y, dy: of gradients */
    const soma__view *mask, *lengths, *slopes, *key; /* NULL: none */
    int64_t mask_step[4];
} soma__attention;

static inline soma__attention soma__attention_of(const soma__call *call, bool gradient)
{
    const soma__attention_attrs *attrs = call->attrs;
    const soma_shape *q = &call->in[0].shape, *k = &call->in[1].shape;
    soma__attention a = {.batch = q->dim[0],
                         .queries = q->dim[1],
                         .heads = q->dim[2],
                         .depth = q->dim[3],
                         .keys = k->dim[1],
                         .key_heads = k->dim[2],
                         .group = k->dim[2] ? q->dim[2] / k->dim[2] : 0,
                         .scale = attrs->scale,
                         .p = attrs->p,
                         .causal = attrs->causal,
                         .offset = attrs->offset,
                         .stream = (uint32_t)attrs->stream,
                         .q = &call->in[0],
                         .k = &call->in[1],
                         .v = &call->in[2]};
    const soma__view *next = &call->in[3];
    if (gradient) {
        a.y = next++;
        a.dy = next++;
    }
    a.mask = attrs->optional & SOMA__ATTENTION_MASK ? next++ : NULL;
    a.lengths = attrs->optional & SOMA__ATTENTION_LENGTHS ? next++ : NULL;
    a.slopes = attrs->optional & SOMA__ATTENTION_SLOPES ? next++ : NULL;
    a.key = attrs->optional & SOMA__ATTENTION_KEY ? next++ : NULL;
    for (int i = 0, d = a.mask ? a.mask->shape.ndim - 1 : -1; d >= 0; i++, d--) {
        int64_t step = 1;
        for (int e = d + 1; e < a.mask->shape.ndim; e++)
            step *= a.mask->shape.dim[e];
        a.mask_step[3 - i] = a.mask->shape.dim[d] == 1 ? 0 : step;
    }
    return a;
}

/* How many keys, from the first on, query t of sequence b sees. */
static inline int64_t soma__attention_seen(const soma__attention *a, int64_t b, int64_t t)
{
    int64_t seen = a->keys;
    if (a->lengths) {
        const int64_t length = soma__view_index(a->lengths, b);
        seen = length < 0 ? 0 : length < seen ? length : seen;
    }
    if (a->causal && t + a->offset + 1 < seen)
        seen = t + a->offset + 1 < 0 ? 0 : t + a->offset + 1;
    return seen;
}

/* Draw of the dropout of key s by query t. */
static inline uint64_t soma__attention_draw(const soma__attention *a, int64_t b, int64_t h,
                                            int64_t t, int64_t s)
{
    return (uint64_t)(((b * a->heads + h) * a->queries + t) * a->keys + s);
}

/* The reference kernels (attention_kernels.c). */
void soma__attention_reference(const soma__call *call);
void soma__attention_grad_q_reference(const soma__call *call);
void soma__attention_grad_kv_reference(const soma__call *call);

#endif
