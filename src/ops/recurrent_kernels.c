/* recurrent_kernels.c: the reference kernels of the recurrent ops: one sequence after the other,
 * one step after the other, as the formulas have it. */
#include <math.h>

#include "ops/recurrent.h"

/* One step of one sequence. `y` is the result, written forward and read backward. */
typedef struct step {
    const soma__call *call;
    const soma__recurrent *r;
    const soma__view *y;
    int64_t b, t;
} step;

static int64_t cell(const step *s, int64_t t, int64_t parts, int64_t part, int64_t j)
{
    return ((s->b * s->r->steps + t) * parts + part) * s->r->units + j;
}

static double result(const step *s, int64_t part, int64_t j)
{
    return soma__load(s->y->dtype, s->y->data, cell(s, s->t, s->r->parts, part, j));
}

static void set_result(const step *s, int64_t part, int64_t j, double value)
{
    soma__store(s->y->dtype, s->y->data, cell(s, s->t, s->r->parts, part, j), value);
}

/* h (part 0) or c (part 1) before this step. */
static double before(const step *s, int64_t part, int64_t j)
{
    const soma__recurrent *r = s->r;
    const int64_t t = r->reverse ? s->t + 1 : s->t - 1;
    if (t >= 0 && t < r->steps)
        return soma__load(s->y->dtype, s->y->data, cell(s, t, r->parts, part, j));
    const soma__view *first = &s->call->in[r->first + part];
    return soma__load(first->dtype, first->data, s->b * r->units + j);
}

static double weight(const step *s, int64_t gate, int64_t j, int64_t k)
{
    const soma__view *w = &s->call->in[1];
    return soma__load(w->dtype, w->data, (gate * s->r->units + j) * s->r->units + k);
}

/* --- forward -----------------------------------------------------------------------------------
 */

static double input(const step *s, int64_t gate, int64_t j)
{
    const soma__view *x = &s->call->in[0];
    return soma__load(x->dtype, x->data, cell(s, s->t, s->r->gates, gate, j));
}

/* (w h + bias) of a gate, where h is multiplied by result part `reset` first (-1: is not). */
static double product(const step *s, int64_t gate, int64_t j, int64_t reset)
{
    const soma__view *bias = &s->call->in[2];
    double sum = soma__load(bias->dtype, bias->data, gate * s->r->units + j);
    for (int64_t k = 0; k < s->r->units; k++) {
        const double h = before(s, 0, k);
        sum += weight(s, gate, j, k) * (reset < 0 ? h : result(s, reset, k) * h);
    }
    return sum;
}

static double gate(const step *s, int64_t g, int64_t j)
{
    return input(s, g, j) + product(s, g, j, -1);
}

static void forward_rnn(const step *s, int64_t j)
{
    const double a = gate(s, 0, j);
    set_result(s, 0, j, !s->r->relu ? tanh(a) : a > 0 || isnan(a) ? a : 0);
}

static void forward_lstm(const step *s, int64_t j)
{
    const double i = soma__sigmoid(gate(s, 0, j)), f = soma__sigmoid(gate(s, 1, j));
    const double g = tanh(gate(s, 2, j)), o = soma__sigmoid(gate(s, 3, j));
    const double c = f * before(s, 1, j) + i * g;
    const double part[] = {o * tanh(c), c, i, f, g, o};
    for (int64_t p = 0; p < 6; p++)
        set_result(s, p, j, part[p]);
}

/* r and z are there already. */
static void forward_gru(const step *s, int64_t j)
{
    const double z = result(s, 2, j);
    double n;
    if (s->r->kind == SOMA__GRU) {
        const double hn = product(s, 2, j, -1);
        set_result(s, 4, j, hn);
        n = tanh(input(s, 2, j) + result(s, 1, j) * hn);
    } else {
        n = tanh(input(s, 2, j) + product(s, 2, j, 1));
    }
    set_result(s, 3, j, n);
    set_result(s, 0, j, (1 - z) * n + z * before(s, 0, j));
}

static void forward_step(const step *s)
{
    const soma__recurrent *r = s->r;
    const int64_t states = r->kind == SOMA__LSTM ? 2 : 1;
    if (s->t >= soma__recurrent_length(r, s->b)) {
        for (int64_t p = 0; p < r->parts; p++)
            for (int64_t j = 0; j < r->units; j++)
                set_result(s, p, j, p < states ? before(s, p, j) : 0);
        return;
    }
    if (r->kind >= SOMA__GRU)
        for (int64_t j = 0; j < 2 * r->units; j++)
            set_result(s, 1 + j / r->units, j % r->units,
                       soma__sigmoid(gate(s, j / r->units, j % r->units)));
    for (int64_t j = 0; j < r->units; j++)
        if (r->kind == SOMA__RNN)
            forward_rnn(s, j);
        else if (r->kind == SOMA__LSTM)
            forward_lstm(s, j);
        else
            forward_gru(s, j);
}

void soma__recurrent_forward(const soma__call *call, soma__recurrent_kind kind)
{
    const soma__recurrent r = soma__recurrent_of(call, kind, false);
    step s = {.call = call, .r = &r, .y = &call->out[0]};
    for (s.b = 0; s.b < r.batch; s.b++)
        for (int64_t i = 0; i < r.steps; i++) {
            s.t = r.reverse ? r.steps - 1 - i : i;
            forward_step(&s);
        }
}

/* --- backward ----------------------------------------------------------------------------------
 */

/* What goes from a step to the one before: gradients of h and c; next, those of h as they grow; and
 * of r h, where the state is reset first. */
typedef struct carry {
    double *dh, *dc, *next, *drh;
} carry;

static double arriving(const step *s, int64_t part, int64_t j)
{
    const soma__view *dy = &s->call->in[s->r->first + (s->r->kind == SOMA__LSTM ? 2 : 1)];
    return soma__load(dy->dtype, dy->data, cell(s, s->t, s->r->parts, part, j));
}

static int64_t grad_cell(const step *s, int64_t t, int64_t g, int64_t j)
{
    const soma__recurrent *r = s->r;
    return ((s->b * (r->steps + r->states) + t) * r->grads + g) * r->units + j;
}

static void set_grad(const step *s, int64_t g, int64_t j, double value)
{
    const soma__view *dx = &s->call->out[0];
    soma__store(dx->dtype, dx->data, grad_cell(s, s->t, g, j), value);
}

static double grad_of(const step *s, int64_t g, int64_t j)
{
    const soma__view *dx = &s->call->out[0];
    return soma__load(dx->dtype, dx->data, grad_cell(s, s->t, g, j));
}

/* Through the sigmoid and tanh, of whose results y. */
static double by_sigmoid(double dy, double y)
{
    return dy * y * (1 - y);
}
static double by_tanh(double dy, double y)
{
    return dy * (1 - y * y);
}

static void backward_lstm(const step *s, const carry *to, int64_t j, double dh)
{
    const double i = result(s, 2, j), f = result(s, 3, j), g = result(s, 4, j);
    const double o = result(s, 5, j), t = tanh(result(s, 1, j));
    const double dc = to->dc[j] + arriving(s, 1, j) + by_tanh(dh * o, t);
    set_grad(s, 0, j, by_sigmoid(dc * g + arriving(s, 2, j), i));
    set_grad(s, 1, j, by_sigmoid(dc * before(s, 1, j) + arriving(s, 3, j), f));
    set_grad(s, 2, j, by_tanh(dc * i + arriving(s, 4, j), g));
    set_grad(s, 3, j, by_sigmoid(dh * t + arriving(s, 5, j), o));
    to->dc[j] = dc * f;
    to->next[j] = 0;
}

/* With the state reset first r's follows when that of r h is known. */
static void backward_gru(const step *s, const carry *to, int64_t j, double dh)
{
    const double r = result(s, 1, j), z = result(s, 2, j), n = result(s, 3, j);
    const double dn = by_tanh(dh * (1 - z) + arriving(s, 3, j), n);
    set_grad(s, 1, j, by_sigmoid(dh * (before(s, 0, j) - n) + arriving(s, 2, j), z));
    if (s->r->kind == SOMA__GRU) {
        set_grad(s, 0, j, by_sigmoid(dn * result(s, 4, j) + arriving(s, 1, j), r));
        set_grad(s, 2, j, dn * r + arriving(s, 4, j));
        set_grad(s, 3, j, dn);
    } else {
        set_grad(s, 2, j, dn);
    }
    to->next[j] = dh * z;
}

/* to[k] += Σ over gates [from, end) and units of grad · w. */
static void through_weights(const step *s, int64_t from, int64_t end, double *to)
{
    for (int64_t g = from; g < end; g++)
        for (int64_t j = 0; j < s->r->units; j++)
            for (int64_t k = 0; k < s->r->units; k++)
                to[k] += grad_of(s, g, j) * weight(s, g, j, k);
}

static void through_reset(const step *s, const carry *to)
{
    const int64_t units = s->r->units;
    for (int64_t k = 0; k < units; k++)
        to->drh[k] = 0;
    through_weights(s, 2, 3, to->drh);
    for (int64_t k = 0; k < units; k++) {
        const double dr = to->drh[k] * before(s, 0, k) + arriving(s, 1, k);
        set_grad(s, 0, k, by_sigmoid(dr, result(s, 1, k)));
        to->next[k] += to->drh[k] * result(s, 1, k);
    }
}

static void backward_step(const step *s, carry *to)
{
    const soma__recurrent *r = s->r;
    const bool counts = s->t < soma__recurrent_length(r, s->b);
    for (int64_t j = 0; j < r->units; j++) {
        const double dh = to->dh[j] + arriving(s, 0, j);
        if (!counts) {
            for (int64_t g = 0; g < r->grads; g++)
                set_grad(s, g, j, 0);
            to->next[j] = dh;
            if (r->kind == SOMA__LSTM)
                to->dc[j] += arriving(s, 1, j);
        } else if (r->kind == SOMA__RNN) {
            const double h = result(s, 0, j);
            set_grad(s, 0, j, !r->relu ? by_tanh(dh, h) : h > 0 ? dh : 0);
            to->next[j] = 0;
        } else if (r->kind == SOMA__LSTM) {
            backward_lstm(s, to, j, dh);
        } else {
            backward_gru(s, to, j, dh);
        }
    }
    if (counts && r->kind == SOMA__GRU_FIRST)
        through_reset(s, to);
    if (counts)
        through_weights(s, 0, r->kind == SOMA__GRU_FIRST ? 2 : r->gates, to->next);
    double *swap = to->dh;
    to->dh = to->next;
    to->next = swap;
}

size_t soma__recurrent_scratch(const soma__call *call)
{
    return 4 * (size_t)call->in[1].shape.dim[1] * sizeof(double);
}

void soma__recurrent_backward(const soma__call *call, soma__recurrent_kind kind)
{
    const soma__recurrent r = soma__recurrent_of(call, kind, true);
    step s = {.call = call, .r = &r, .y = &call->in[0]};
    double *at = call->scratch;
    for (s.b = 0; s.b < r.batch; s.b++) {
        carry to = {at, at + r.units, at + 2 * r.units, at + 3 * r.units};
        for (int64_t j = 0; j < r.units; j++)
            to.dh[j] = to.dc[j] = 0;
        for (int64_t i = 0; i < r.steps; i++) {
            s.t = r.reverse ? i : r.steps - 1 - i;
            backward_step(&s, &to);
        }
        s.t = r.steps;
        for (int64_t j = 0; r.states && j < r.units; j++) {
            set_grad(&s, 0, j, to.dh[j]);
            for (int64_t g = 1; g < r.grads; g++)
                set_grad(&s, g, j, g == 1 && kind == SOMA__LSTM ? to.dc[j] : 0);
        }
    }
}
