/* attention_kernels.c: the reference kernels of attention: each score is computed where it is
 * needed. */
#include "base/rng.h"
#include "ops/attention.h"

static double at(const soma__view *x, int64_t i)
{
    return soma__load(x->dtype, x->data, i);
}

/* First cell of row (b, i, head) of an array [batch,rows,heads,width]. */
static int64_t row_of(int64_t b, int64_t i, int64_t head, int64_t rows, int64_t heads,
                      int64_t width)
{
    return ((b * rows + i) * heads + head) * width;
}
static int64_t query_row(const soma__attention *a, int64_t b, int64_t h, int64_t t, int64_t width)
{
    return row_of(b, t, h, a->queries, a->heads, width);
}
static int64_t key_row(const soma__attention *a, int64_t b, int64_t h, int64_t s)
{
    return row_of(b, s, h / a->group, a->keys, a->key_heads, a->depth);
}

/* Σ x[i + d] y[k + d]. */
static double dot(const soma__view *x, int64_t i, const soma__view *y, int64_t k, int64_t depth)
{
    double sum = 0;
    for (int64_t d = 0; d < depth; d++)
        sum += at(x, i + d) * at(y, k + d);
    return sum;
}

static double score(const soma__attention *a, int64_t b, int64_t h, int64_t t, int64_t s)
{
    double x =
        a->scale * dot(a->q, query_row(a, b, h, t, a->depth), a->k, key_row(a, b, h, s), a->depth);
    if (a->mask)
        x += at(a->mask, b * a->mask_step[0] + h * a->mask_step[1] + t * a->mask_step[2] +
                             s * a->mask_step[3]);
    if (a->slopes)
        x -= at(a->slopes, h) * fabs((double)(t + a->offset - s));
    return x;
}

/* 0 where dropped, else what the others grow by. */
static double kept(const soma__attention *a, int64_t b, int64_t h, int64_t t, int64_t s)
{
    if (!a->key)
        return 1;
    const int64_t *key = a->key->data;
    const soma__rng_key draw = {(uint64_t)key[0], a->stream, (uint64_t)key[1]};
    const double u = (double)soma__rng_uniform(&draw, soma__attention_draw(a, b, h, t, s));
    return u < a->p ? 0 : 1 / (1 - a->p);
}

static void forward_row(const soma__attention *a, const soma__view *y, int64_t b, int64_t h,
                        int64_t t)
{
    const int64_t seen = soma__attention_seen(a, b, t), to = query_row(a, b, h, t, a->depth + 1);
    double most = -INFINITY, sum = 0;
    for (int64_t s = 0; s < seen && !isnan(most); s++) {
        const double x = score(a, b, h, t, s);
        if (x > most || isnan(x))
            most = x;
    }
    if (isinf(most) && most < 0)
        most = 0; /* nothing is seen: all weights are 0 */
    for (int64_t s = 0; s < seen; s++)
        sum += exp(score(a, b, h, t, s) - most);
    for (int64_t d = 0; d < a->depth; d++) {
        double value = 0;
        for (int64_t s = 0; s < seen && sum != 0; s++)
            value += exp(score(a, b, h, t, s) - most) / sum * kept(a, b, h, t, s) *
                     at(a->v, key_row(a, b, h, s) + d);
        soma__store(y->dtype, y->data, to + d, value);
    }
    soma__store(y->dtype, y->data, to + a->depth, sum == 0 ? 0 : most + log(sum));
}

void soma__attention_reference(const soma__call *call)
{
    const soma__attention a = soma__attention_of(call, false);
    for (int64_t b = 0; b < a.batch; b++)
        for (int64_t h = 0; h < a.heads; h++)
            for (int64_t t = 0; t < a.queries; t++)
                forward_row(&a, &call->out[0], b, h, t);
}

/* --- gradients ---------------------------------------------------------------------------------
 */

/* The weight of key s, and the gradient of its score: weight · (dweight - Σ over the keys of weight
 * · dweight, which is dy · y, + what arrives at the logarithm). */
static double score_grad(const soma__attention *a, int64_t b, int64_t h, int64_t t, int64_t s,
                         double *weight)
{
    const int64_t y = query_row(a, b, h, t, a->depth + 1), width = a->depth;
    const double w = exp(score(a, b, h, t, s) - at(a->y, y + width));
    const double keep = kept(a, b, h, t, s);
    const double dw = keep * dot(a->dy, y, a->v, key_row(a, b, h, s), width);
    *weight = w * keep;
    return w * (dw - dot(a->dy, y, a->y, y, width) + at(a->dy, y + width));
}

void soma__attention_grad_q_reference(const soma__call *call)
{
    const soma__attention a = soma__attention_of(call, true);
    const soma__view *dq = &call->out[0];
    for (int64_t i = 0; i < dq->count; i++) {
        const int64_t d = i % a.depth, row = i / a.depth, h = row % a.heads;
        const int64_t t = row / a.heads % a.queries, b = row / a.heads / a.queries;
        double sum = 0, weight;
        for (int64_t s = 0; s < soma__attention_seen(&a, b, t); s++)
            sum += score_grad(&a, b, h, t, s, &weight) * at(a.k, key_row(&a, b, h, s) + d);
        soma__store(dq->dtype, dq->data, i, a.scale * sum);
    }
}

void soma__attention_grad_kv_reference(const soma__call *call)
{
    const soma__attention a = soma__attention_of(call, true);
    const soma__view *out = &call->out[0];
    for (int64_t i = 0; i < a.k->count; i++) {
        const int64_t d = i % a.depth, row = i / a.depth, head = row % a.key_heads;
        const int64_t s = row / a.key_heads % a.keys, b = row / a.key_heads / a.keys;
        double dk = 0, dv = 0, weight;
        for (int64_t h = head * a.group; h < (head + 1) * a.group; h++)
            for (int64_t t = 0; t < a.queries; t++) {
                if (s >= soma__attention_seen(&a, b, t))
                    continue;
                dk += score_grad(&a, b, h, t, s, &weight) *
                      at(a.q, query_row(&a, b, h, t, a.depth) + d);
                dv += weight * at(a.dy, query_row(&a, b, h, t, a.depth + 1) + d);
            }
        soma__store(out->dtype, out->data, row * 2 * a.depth + d, a.scale * dk);
        soma__store(out->dtype, out->data, (row * 2 + 1) * a.depth + d, dv);
    }
}
