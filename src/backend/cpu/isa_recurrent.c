/* isa_recurrent.c: the cells of recurrent.h, as many units at a time as a vector holds. */
#include "backend/cpu/recurrent.h"
#include "backend/cpu/vmath.h"

extern const struct soma__isa_recurrent SOMA__ISA_NAME(soma__isa_recurrent);

/* Runs `body_` with i at every vector of the run and k the units in it, a constant but for the
 * last.
 */
#define EACH_VECTOR(body_)                                                                         \
    do {                                                                                           \
        int64_t i = 0;                                                                             \
        for (; i + VF_WIDTH <= s->count; i += VF_WIDTH)                                            \
            body_(s, i, VF_WIDTH);                                                                 \
        if (i < s->count)                                                                          \
            body_(s, i, s->count - i);                                                             \
    } while (0)

/* --- forward -----------------------------------------------------------------------------------
 */

/* x + bias + the state's product `a` of a gate. */
VF_INLINE vf gate(const soma__cell *s, int64_t g, int64_t a, int64_t i, int64_t k)
{
    vf sum =
        vf_load_lanes(s->a + a * s->a_step + i, k) + vf_load_lanes(s->bias + g * s->units + i, k);
    return sum + vf_load_lanes(s->x + g * s->units + i, k);
}
VF_INLINE void set(const soma__cell *s, int64_t part, int64_t i, int64_t k, vf value)
{
    vf_store_lanes(s->y + part * s->units + i, value, k);
}

VF_INLINE void rnn_tanh(const soma__cell *s, int64_t i, int64_t k)
{
    set(s, 0, i, k, vf_tanh(gate(s, 0, 0, i, k)));
}
VF_INLINE void rnn_relu(const soma__cell *s, int64_t i, int64_t k)
{
    set(s, 0, i, k, vf_maximum(gate(s, 0, 0, i, k), vf_zero()));
}
static void rnn(const soma__cell *s, bool relu)
{
    if (relu)
        EACH_VECTOR(rnn_relu);
    else
        EACH_VECTOR(rnn_tanh);
}

VF_INLINE void lstm_vector(const soma__cell *s, int64_t i, int64_t k)
{
    vf in = vf_sigmoid(gate(s, 0, 0, i, k)), keep = vf_sigmoid(gate(s, 1, 1, i, k));
    vf g = vf_tanh(gate(s, 2, 2, i, k)), out = vf_sigmoid(gate(s, 3, 3, i, k));
    vf c = vf_fma(keep, vf_load_lanes(s->c + i, k), in * g);
    set(s, 0, i, k, out * vf_tanh(c));
    set(s, 1, i, k, c);
    set(s, 2, i, k, in);
    set(s, 3, i, k, keep);
    set(s, 4, i, k, g);
    set(s, 5, i, k, out);
}
static void lstm(const soma__cell *s)
{
    EACH_VECTOR(lstm_vector);
}

VF_INLINE void gates_vector(const soma__cell *s, int64_t i, int64_t k)
{
    vf r = vf_sigmoid(gate(s, 0, 0, i, k));
    set(s, 1, i, k, r);
    set(s, 2, i, k, vf_sigmoid(gate(s, 1, 1, i, k)));
    if (s->rh)
        vf_store_lanes(s->rh + i, r * vf_load_lanes(s->h + i, k), k);
}
static void gru_gates(const soma__cell *s)
{
    EACH_VECTOR(gates_vector);
}

VF_INLINE void gru_end(const soma__cell *s, int64_t i, int64_t k, vf n)
{
    vf z = vf_load_lanes(s->y + 2 * s->units + i, k);
    set(s, 3, i, k, n);
    set(s, 0, i, k, vf_fma(z, vf_load_lanes(s->h + i, k), (vf_set1(1) - z) * n));
}
VF_INLINE void gru_after(const soma__cell *s, int64_t i, int64_t k)
{
    vf hn = vf_load_lanes(s->a + i, k) + vf_load_lanes(s->bias + 2 * s->units + i, k);
    vf r = vf_load_lanes(s->y + s->units + i, k);
    set(s, 4, i, k, hn);
    gru_end(s, i, k, vf_tanh(vf_fma(r, hn, vf_load_lanes(s->x + 2 * s->units + i, k))));
}
VF_INLINE void gru_before(const soma__cell *s, int64_t i, int64_t k)
{
    gru_end(s, i, k, vf_tanh(gate(s, 2, 0, i, k)));
}
static void gru(const soma__cell *s, bool first)
{
    if (first)
        EACH_VECTOR(gru_before);
    else
        EACH_VECTOR(gru_after);
}

/* --- backward ----------------------------------------------------------------------------------
 */

VF_INLINE vf part(const soma__cell_back *s, int64_t p, int64_t i, int64_t k)
{
    return vf_load_lanes(s->y + p * s->units + i, k);
}
VF_INLINE vf arriving(const soma__cell_back *s, int64_t p, int64_t i, int64_t k)
{
    return vf_load_lanes(s->dy + p * s->units + i, k);
}
VF_INLINE void set_grad(const soma__cell_back *s, int64_t g, int64_t i, int64_t k, vf value)
{
    vf_store_lanes(s->dx + g * s->units + i, value, k);
}
/* Through the sigmoid and tanh, of whose results y. */
VF_INLINE vf by_sigmoid(vf dy, vf y)
{
    return dy * y * (vf_set1(1) - y);
}
VF_INLINE vf by_tanh(vf dy, vf y)
{
    return dy * vf_fnma(y, y, vf_set1(1));
}

VF_INLINE void rnn_back_vector(const soma__cell_back *s, int64_t i, int64_t k, bool relu)
{
    vf dh = vf_load_lanes(s->dh + i, k) + arriving(s, 0, i, k), h = part(s, 0, i, k);
    set_grad(s, 0, i, k, relu ? vf_select(vf_gt(h, vf_zero()), dh, vf_zero()) : by_tanh(dh, h));
    vf_store_lanes(s->next + i, vf_zero(), k);
}
VF_INLINE void rnn_back_tanh(const soma__cell_back *s, int64_t i, int64_t k)
{
    rnn_back_vector(s, i, k, false);
}
VF_INLINE void rnn_back_relu(const soma__cell_back *s, int64_t i, int64_t k)
{
    rnn_back_vector(s, i, k, true);
}
static void rnn_back(const soma__cell_back *s, bool relu)
{
    if (relu)
        EACH_VECTOR(rnn_back_relu);
    else
        EACH_VECTOR(rnn_back_tanh);
}

VF_INLINE void lstm_back_vector(const soma__cell_back *s, int64_t i, int64_t k)
{
    vf in = part(s, 2, i, k), keep = part(s, 3, i, k), g = part(s, 4, i, k);
    vf out = part(s, 5, i, k), t = vf_tanh(part(s, 1, i, k));
    vf dh = vf_load_lanes(s->dh + i, k) + arriving(s, 0, i, k);
    vf dc = vf_load_lanes(s->dc + i, k) + arriving(s, 1, i, k) + by_tanh(dh * out, t);
    set_grad(s, 0, i, k, by_sigmoid(vf_fma(dc, g, arriving(s, 2, i, k)), in));
    set_grad(s, 1, i, k,
             by_sigmoid(vf_fma(dc, vf_load_lanes(s->c + i, k), arriving(s, 3, i, k)), keep));
    set_grad(s, 2, i, k, by_tanh(vf_fma(dc, in, arriving(s, 4, i, k)), g));
    set_grad(s, 3, i, k, by_sigmoid(vf_fma(dh, t, arriving(s, 5, i, k)), out));
    vf_store_lanes(s->dc + i, dc * keep, k);
    vf_store_lanes(s->next + i, vf_zero(), k);
}
static void lstm_back(const soma__cell_back *s)
{
    EACH_VECTOR(lstm_back_vector);
}

VF_INLINE void gru_back_vector(const soma__cell_back *s, int64_t i, int64_t k, bool first)
{
    vf r = part(s, 1, i, k), z = part(s, 2, i, k), n = part(s, 3, i, k);
    vf dh = vf_load_lanes(s->dh + i, k) + arriving(s, 0, i, k);
    vf dn = by_tanh(vf_fma(dh, vf_set1(1) - z, arriving(s, 3, i, k)), n);
    vf dz = vf_fma(dh, vf_load_lanes(s->h + i, k) - n, arriving(s, 2, i, k));
    set_grad(s, 1, i, k, by_sigmoid(dz, z));
    if (first) {
        set_grad(s, 2, i, k, dn);
    } else {
        vf dr = vf_fma(dn, part(s, 4, i, k), arriving(s, 1, i, k));
        set_grad(s, 0, i, k, by_sigmoid(dr, r));
        set_grad(s, 2, i, k, vf_fma(dn, r, arriving(s, 4, i, k)));
        set_grad(s, 3, i, k, dn);
    }
    vf_store_lanes(s->next + i, dh * z, k);
}
VF_INLINE void gru_back_after(const soma__cell_back *s, int64_t i, int64_t k)
{
    gru_back_vector(s, i, k, false);
}
VF_INLINE void gru_back_before(const soma__cell_back *s, int64_t i, int64_t k)
{
    gru_back_vector(s, i, k, true);
}
static void gru_back(const soma__cell_back *s, bool first)
{
    if (first)
        EACH_VECTOR(gru_back_before);
    else
        EACH_VECTOR(gru_back_after);
}

VF_INLINE void reset_vector(const soma__cell_back *s, int64_t i, int64_t k)
{
    vf drh = vf_load_lanes(s->drh + i, k), r = part(s, 1, i, k);
    vf dr = vf_fma(drh, vf_load_lanes(s->h + i, k), arriving(s, 1, i, k));
    set_grad(s, 0, i, k, by_sigmoid(dr, r));
    vf_store_lanes(s->next + i, vf_fma(drh, r, vf_load_lanes(s->next + i, k)), k);
}
static void gru_back_reset(const soma__cell_back *s)
{
    EACH_VECTOR(reset_vector);
}

const struct soma__isa_recurrent SOMA__ISA_NAME(soma__isa_recurrent) = {
    .rnn = rnn,
    .lstm = lstm,
    .gru_gates = gru_gates,
    .gru = gru,
    .rnn_back = rnn_back,
    .lstm_back = lstm_back,
    .gru_back = gru_back,
    .gru_back_reset = gru_back_reset,
};
