/* lbfgs.c: L-BFGS (Nocedal & Wright 2006, algorithms 7.4 and 7.5) with a line search for the strong
 * Wolfe conditions (algorithms 3.5 and 3.6, cubic interpolation), deciding as PyTorch's does. It
 * needs the loss and gradient at points of its own choice, so it drives a function instead of being
 * graph. All sums run over the parameters in order and in double: the same bits each time.
 *
 *   history   s_k = steps, y_k = changes of the gradient, rho_k = 1 / y·s     the last `history`
 *   direction d = -H g by the two-loop recursion
 *   step      t with f(t) ≤ f + c1 t g·d  and  |g(t)·d| ≤ c2 |g·d|                              */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "optim/optim.h"

#define C1 1e-4
#define C2 0.9

enum { AT_COUNT, AT_ITERATIONS, AT_STEP, AT_SCALE, NUMBERS }; /* then rho */

struct soma_lbfgs {
    soma_optimizer_options options;
    soma_tensor **parameters, **gradients; /* borrowed */
    int count;
    size_t n; /* numbers in all of them */
    int most; /* of the history */
    /* State: numbers f64 [NUMBERS + most], vectors f64 [2 · most + 2, n]. */
    soma_tensor *numbers, *vectors;
    double *work; /* 4 vectors and `most` numbers */
    soma_closure *closure;
    void *user;
    int evaluations; /* of this step */
};

/* --- vectors ------------------------------------------------------------------------------------
 */

static double *numbers(const soma_lbfgs *l)
{
    return soma_tensor_data(l->numbers);
}
static double *rho(const soma_lbfgs *l)
{
    return numbers(l) + NUMBERS;
}
static double *vector(const soma_lbfgs *l, int row)
{
    return (double *)soma_tensor_data(l->vectors) + (size_t)row * l->n;
}
static double *step_of(const soma_lbfgs *l, int k)
{
    return vector(l, k);
}
static double *change_of(const soma_lbfgs *l, int k)
{
    return vector(l, l->most + k);
}
static double *direction(const soma_lbfgs *l)
{
    return vector(l, 2 * l->most);
}
static double *last_gradient(const soma_lbfgs *l)
{
    return vector(l, 2 * l->most + 1);
}

static double dot(const soma_lbfgs *l, const double *a, const double *b)
{
    double sum = 0;
    for (size_t i = 0; i < l->n; i++)
        sum += a[i] * b[i];
    return sum;
}

static double greatest(const soma_lbfgs *l, const double *a)
{
    double most = 0;
    for (size_t i = 0; i < l->n; i++)
        most = fmax(most, fabs(a[i]));
    return most;
}

/* a += factor · b */
static void add(const soma_lbfgs *l, double *a, double factor, const double *b)
{
    for (size_t i = 0; i < l->n; i++)
        a[i] += factor * b[i];
}

static void copy(const soma_lbfgs *l, double *to, const double *from)
{
    memcpy(to, from, l->n * sizeof *to);
}

/* --- the function -------------------------------------------------------------------------------
 */

static void gather(const soma_lbfgs *l, soma_tensor *const *tensors, double *out)
{
    for (int i = 0; i < l->count; i++) {
        const float *from = soma_tensor_const_data(tensors[i]);
        for (int64_t k = 0; k < soma_tensor_count(tensors[i]); k++)
            *out++ = (double)from[k];
    }
}

/* parameters = from + t · d */
static void place(const soma_lbfgs *l, const double *from, double t, const double *d)
{
    for (int i = 0; i < l->count; i++) {
        float *to = soma__tensor_write(l->parameters[i]);
        for (int64_t k = 0; k < soma_tensor_count(l->parameters[i]); k++)
            to[k] = (float)(*from++ + t * *d++);
    }
}

/* Loss and gradient where the parameters are; L2 is part of both. What is not a number is taken for
 * a loss beyond all bounds, so that the search turns back. */
static soma_status evaluate(soma_lbfgs *l, double *loss, double *gradient, soma_error *err)
{
    double decay = l->options.weight_decay, sum = 0, *g = gradient;
    l->evaluations++;
    SOMA__TRY(l->closure(l->user, loss, err));
    gather(l, l->gradients, gradient);
    for (int i = 0; i < l->count && decay > 0; i++) {
        const float *p = soma_tensor_const_data(l->parameters[i]);
        for (int64_t k = 0; k < soma_tensor_count(l->parameters[i]); k++, g++) {
            sum += (double)p[k] * (double)p[k];
            *g += decay * (double)p[k];
        }
    }
    *loss += decay > 0 ? decay / 2 * sum : 0;
    if (!isfinite(*loss))
        *loss = INFINITY;
    return SOMA_OK;
}

/* --- the line search ----------------------------------------------------------------------------
 */

/* A point on the line: step, loss, slope along d. */
typedef struct point {
    double t, f, slope;
    double *g;
} point;

typedef struct search {
    soma_lbfgs *l;
    const double *from, *d;
    point start;  /* t = 0 */
    double reach; /* greatest |d| */
    int left;     /* evaluations */
} search;

/* Where the cubic through two points with their slopes is least, kept within [low, high]. */
static double interpolate(const point *a, const point *b, double low, double high)
{
    double d1 = a->slope + b->slope - 3 * (a->f - b->f) / (a->t - b->t);
    double square = d1 * d1 - a->slope * b->slope;
    if (!(square >= 0) || isinf(square))
        return (low + high) / 2;
    double d2 = sqrt(square), at;
    if (a->t <= b->t)
        at = b->t - (b->t - a->t) * ((b->slope + d2 - d1) / (b->slope - a->slope + 2 * d2));
    else
        at = a->t - (a->t - b->t) * ((a->slope + d2 - d1) / (a->slope - b->slope + 2 * d2));
    return isnan(at) ? (low + high) / 2 : fmin(fmax(at, low), high);
}

static soma_status look(search *s, double t, double *gradient, point *out, soma_error *err)
{
    place(s->l, s->from, t, s->d);
    *out = (point){.t = t, .g = gradient};
    SOMA__TRY(evaluate(s->l, &out->f, gradient, err));
    out->slope = dot(s->l, gradient, s->d);
    s->left--;
    return SOMA_OK;
}

static bool falls_enough(const search *s, const point *p)
{
    return p->f <= s->start.f + C1 * p->t * s->start.slope;
}

static bool flat_enough(const search *s, const point *p)
{
    return fabs(p->slope) <= -C2 * s->start.slope;
}

static void swap_points(point *a, point *b)
{
    point some = *a;
    *a = *b;
    *b = some;
}

/* Algorithm 3.6: narrows [low, high], low the better end, until a point satisfies both conditions.
 * `spare` is a vector that neither end holds. */
static soma_status zoom(search *s, point *low, point *high, double *spare, soma_error *err)
{
    bool slow = false;
    while (s->left > 0 && fabs(high->t - low->t) * s->reach >= s->l->options.tolerance_change) {
        double least = fmin(low->t, high->t), most = fmax(low->t, high->t);
        double t = interpolate(low, high, least, most);
        /* Near an end twice, or beyond it, means no progress: a tenth of the way in. */
        double margin = 0.1 * (most - least);
        if (fmin(most - t, t - least) < margin) {
            if (slow || t >= most || t <= least) {
                t = fabs(t - most) < fabs(t - least) ? most - margin : least + margin;
                slow = false;
            } else {
                slow = true;
            }
        } else {
            slow = false;
        }
        point now;
        SOMA__TRY(look(s, t, spare, &now, err));
        if (!falls_enough(s, &now) || now.f >= low->f) {
            spare = high->g;
            *high = now;
            if (high->f < low->f)
                swap_points(low, high);
            continue;
        }
        bool done = flat_enough(s, &now);
        if (!done && now.slope * (high->t - low->t) >= 0) {
            spare = high->g;
            *high = *low;
        } else {
            spare = low->g;
        }
        *low = now;
        if (done)
            break;
    }
    return SOMA_OK;
}

/* Algorithm 3.5: goes on until two points enclose what is sought, then zooms in. `g` are three
 * vectors, the first with the gradient at t = 0; `*out` is one of the points seen. */
static soma_status find_step(search *s, double t, double *g[3], point *out, soma_error *err)
{
    point before = s->start, now;
    s->left++; /* the first look is free */
    SOMA__TRY(look(s, t, g[1], &now, err));
    for (int round = 0;; round++) {
        if (s->left <= 0) {
            *out = s->start.f <= now.f ? s->start : now;
            return SOMA_OK;
        }
        bool up = !falls_enough(s, &now) || (round > 1 && now.f >= before.f);
        if (!up && flat_enough(s, &now)) {
            *out = now;
            return SOMA_OK;
        }
        if (up || now.slope >= 0)
            break;
        double far = interpolate(&before, &now, now.t + 0.01 * (now.t - before.t), now.t * 10);
        double *spare = now.g == g[1] ? g[2] : g[1]; /* g[0] stays: the start may be the best */
        before = now;
        SOMA__TRY(look(s, far, spare, &now, err));
    }
    double *spare = g[0];
    for (int i = 0; i < 3; i++)
        if (g[i] != before.g && g[i] != now.g)
            spare = g[i];
    if (now.f < before.f)
        swap_points(&before, &now);
    SOMA__TRY(zoom(s, &before, &now, spare, err));
    *out = before;
    return SOMA_OK;
}

/* --- the direction ------------------------------------------------------------------------------
 */

/* Takes the pair of the last step into the history, unless it bends the wrong way. */
static void remember(soma_lbfgs *l, const double *g, double *y)
{
    double *at = numbers(l), *d = direction(l);
    int count = (int)at[AT_COUNT];
    copy(l, y, g);
    add(l, y, -1, last_gradient(l));
    double ys = dot(l, y, d) * at[AT_STEP];
    if (!(ys > 1e-10))
        return;
    if (count == l->most) {
        size_t rest = (size_t)(count - 1);
        memmove(step_of(l, 0), step_of(l, 1), rest * l->n * sizeof(double));
        memmove(change_of(l, 0), change_of(l, 1), rest * l->n * sizeof(double));
        memmove(rho(l), rho(l) + 1, rest * sizeof(double));
        count--;
    }
    for (size_t i = 0; i < l->n; i++)
        step_of(l, count)[i] = d[i] * at[AT_STEP];
    copy(l, change_of(l, count), y);
    rho(l)[count] = 1 / ys;
    at[AT_SCALE] = ys / dot(l, y, y);
    at[AT_COUNT] = count + 1;
}

/* d = -H g: algorithm 7.4. */
static void choose_direction(soma_lbfgs *l, const double *g, double *alpha)
{
    double *d = direction(l);
    int count = (int)numbers(l)[AT_COUNT];
    for (size_t i = 0; i < l->n; i++)
        d[i] = -g[i];
    for (int k = count - 1; k >= 0; k--) {
        alpha[k] = dot(l, step_of(l, k), d) * rho(l)[k];
        add(l, d, -alpha[k], change_of(l, k));
    }
    for (size_t i = 0; i < l->n; i++)
        d[i] *= numbers(l)[AT_SCALE];
    for (int k = 0; k < count; k++)
        add(l, d, alpha[k] - dot(l, change_of(l, k), d) * rho(l)[k], step_of(l, k));
}

/* --- one step -----------------------------------------------------------------------------------
 */

static double sum_of_sizes(const soma_lbfgs *l, const double *g)
{
    double sum = 0;
    for (size_t i = 0; i < l->n; i++)
        sum += fabs(g[i]);
    return sum;
}

/* One direction and the search along it; *done when there is nothing more to gain. */
static soma_status iterate(soma_lbfgs *l, double *loss, bool *done, soma_error *err)
{
    const soma_optimizer_options *o = &l->options;
    double *g[3] = {l->work, l->work + l->n, l->work + 2 * l->n}, *from = l->work + 3 * l->n;
    double *at = numbers(l), *d = direction(l), t = o->rate;
    if (at[AT_ITERATIONS]++ < 1) {
        at[AT_SCALE] = 1;
        t *= fmin(1, 1 / sum_of_sizes(l, g[0]));
    } else {
        remember(l, g[0], g[1]);
    }
    choose_direction(l, g[0], l->work + 4 * l->n);
    copy(l, last_gradient(l), g[0]);
    point found = {.f = *loss, .slope = dot(l, g[0], d), .g = g[0]};
    at[AT_STEP] = t;
    *done = found.slope > -o->tolerance_change;
    if (*done)
        return SOMA_OK;
    gather(l, l->parameters, from);
    search s = {.l = l,
                .from = from,
                .d = d,
                .start = found,
                .reach = greatest(l, d),
                .left = (int)o->evaluations - l->evaluations};
    soma_status status = find_step(&s, t, g, &found, err);
    place(l, from, status == SOMA_OK ? found.t : 0, d);
    SOMA__TRY(status);
    if (found.g != g[0])
        copy(l, g[0], found.g);
    at[AT_STEP] = found.t;
    *done = l->evaluations >= o->evaluations || greatest(l, g[0]) <= o->tolerance_gradient ||
            fabs(found.t) * s.reach <= o->tolerance_change ||
            fabs(found.f - *loss) < o->tolerance_change;
    *loss = found.f;
    return SOMA_OK;
}

soma_status soma_lbfgs_step(soma_lbfgs *l, soma_closure *closure, void *user, double *loss,
                            soma_error *err)
{
    double now;
    bool done = false;
    l->closure = closure;
    l->user = user;
    l->evaluations = 0;
    SOMA__TRY(evaluate(l, &now, l->work, err));
    if (loss)
        *loss = now;
    if (isinf(now) || !isfinite(sum_of_sizes(l, l->work)))
        return soma__fail(err, SOMA_NUMERIC,
                          "lbfgs: the loss or its gradient is not finite where the step begins");
    done = greatest(l, l->work) <= l->options.tolerance_gradient;
    for (int64_t i = 0; i < l->options.iterations && !done; i++)
        SOMA__TRY(iterate(l, &now, &done, err));
    return SOMA_OK;
}

/* --- creation -----------------------------------------------------------------------------------
 */

static soma_status check(const soma_optimizer_options *o, soma_error *err)
{
    bool first_order = o->l1 > 0 || o->max_norm > 0 || o->clip_norm > 0 || o->clip_value > 0 ||
                       o->group_count || o->lookahead || o->sam > 0 || o->ema > 0 || o->swa_epoch ||
                       o->decay_weights_only || o->decoupled || o->momentum > 0;
    if (o->kind != SOMA_LBFGS)
        return soma__fail(err, SOMA_INVALID, "lbfgs: the options are those of %s",
                          soma__optimizer_names[o->kind]);
    if (first_order || o->schedule != SOMA_SCHEDULE_CONSTANT || o->warmup_steps > 0)
        return soma__fail(err, SOMA_INVALID,
                          "lbfgs takes no momentum, decay other than weight_decay, limits, groups, "
                          "averages or schedules: it finds its steps by itself");
    return SOMA_OK;
}

static soma_status make(soma_lbfgs *l, soma_error *err)
{
    size_t rows = 2 * (size_t)l->most + 2, cells;
    for (int i = 0; i < l->count; i++) {
        if (soma_tensor_dtype(l->parameters[i]) != SOMA_F32 ||
            soma_tensor_dtype(l->gradients[i]) != SOMA_F32 ||
            !soma_shape_equal(soma_tensor_shape(l->parameters[i]),
                              soma_tensor_shape(l->gradients[i])))
            return soma__fail(err, SOMA_INVALID,
                              "lbfgs: parameter %d and its gradient must be f32 of one shape", i);
        l->n += (size_t)soma_tensor_count(l->parameters[i]);
    }
    if (!soma__mul(rows + 4, l->n, &cells) || cells > INT64_MAX / sizeof(double) - 4096)
        return soma__fail(err, SOMA_MEMORY, "lbfgs: no memory for %zu numbers", l->n);
    SOMA__TRY(soma_tensor_create(&l->numbers, SOMA_F64, SOMA_SHAPE(NUMBERS + l->most), err));
    SOMA__TRY(
        soma_tensor_create(&l->vectors, SOMA_F64, SOMA_SHAPE((int64_t)rows, (int64_t)l->n), err));
    l->work = soma__calloc(4 * l->n + (size_t)l->most, sizeof *l->work);
    return l->work ? SOMA_OK : soma__fail(err, SOMA_MEMORY, "lbfgs: no memory for its vectors");
}

soma_status soma_lbfgs_create(soma_lbfgs **out, const soma_optimizer_options *options,
                              soma_tensor *const *parameters, soma_tensor *const *gradients,
                              int count, soma_error *err)
{
    soma_optimizer_options filled =
        options ? *options : (soma_optimizer_options){.kind = SOMA_LBFGS};
    *out = NULL;
    SOMA__TRY(soma__optimizer_defaults(&filled, err));
    SOMA__TRY(check(&filled, err));
    if (count < 1 || !parameters || !gradients)
        return soma__fail(err, SOMA_INVALID, "lbfgs needs parameters and as many gradients");
    size_t room = (size_t)count;
    soma_lbfgs *l = soma__calloc(1, sizeof *l);
    if (!l)
        return soma__fail(err, SOMA_MEMORY, "lbfgs: no memory");
    l->options = filled;
    l->count = count;
    l->most = (int)filled.history;
    l->parameters = soma__calloc(room, sizeof *l->parameters);
    l->gradients = soma__calloc(room, sizeof *l->gradients);
    soma_status status = SOMA_OK;
    if (!l->parameters || !l->gradients)
        status = soma__fail(err, SOMA_MEMORY, "lbfgs: no memory");
    for (int i = 0; i < count && status == SOMA_OK; i++) {
        l->parameters[i] = parameters[i];
        l->gradients[i] = gradients[i];
    }
    if (status == SOMA_OK)
        status = make(l, err);
    if (status != SOMA_OK) {
        soma_lbfgs_destroy(l);
        return status;
    }
    *out = l;
    return SOMA_OK;
}

void soma_lbfgs_destroy(soma_lbfgs *l)
{
    if (!l)
        return;
    soma_tensor_release(l->numbers);
    soma_tensor_release(l->vectors);
    soma__free(l->work);
    soma__free(l->parameters);
    soma__free(l->gradients);
    soma__free(l);
}

int soma_lbfgs_state_count(const soma_lbfgs *l)
{
    (void)l;
    return 2;
}

const char *soma_lbfgs_state_name(const soma_lbfgs *l, int index)
{
    (void)l;
    return index == 0 ? "lbfgs.numbers" : index == 1 ? "lbfgs.vectors" : NULL;
}

soma_tensor *soma_lbfgs_state(const soma_lbfgs *l, int index)
{
    return index == 0 ? l->numbers : index == 1 ? l->vectors : NULL;
}
