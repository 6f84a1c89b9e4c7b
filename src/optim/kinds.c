/* kinds.c: the optimisers, each in the exact form of PyTorch's, or of its paper where PyTorch has
 * none (lion, lamb, lars). Weight decay is added by optim.c unless a rule has its own. */
#include <math.h>

#include "optim/optim.h"

/* In the order of soma_optimizer_kind. */
const char *const soma__optimizer_names[] = {
    "sgd",   "adam", "adamw", "rmsprop", "adagrad", "adadelta", "adamax", "nadam",
    "radam", "lion", "lamb",  "lars",    "rprop",   "asgd",     "lbfgs",  NULL};

typedef soma_optimizer_options options;

/* old · keep + fresh · (1 - keep) */
static soma_var average(soma_var old, soma_var fresh, double keep)
{
    return soma_add(soma_mul_scalar(old, keep), soma_mul_scalar(fresh, 1 - keep));
}

/* The moving mean of the gradient, whose beta1 a schedule may cycle. */
static soma_var first_moment(const soma__optim_step *s, soma_var old, soma_var g)
{
    if (!s->momentum.graph)
        return average(old, g, s->options->beta1);
    return soma_add(soma_mul(old, s->momentum), soma_mul(g, s->fresh));
}

/* momentum · x, likewise. */
static soma_var with_momentum(const soma__optim_step *s, soma_var x)
{
    return s->momentum.graph ? soma_mul(x, s->momentum) : soma_mul_scalar(x, s->options->momentum);
}

static void move(soma__optim_step *s, soma_var by)
{
    s->param = soma_sub(s->param, by);
}

static int moments(const options *o, soma__optim_state states[SOMA__OPTIM_STATES])
{
    (void)o;
    states[0].name = "exp_avg";
    states[1].name = "exp_avg_sq";
    return 2;
}

/* --- sgd ----------------------------------------------------------------------------------------
 */

static int sgd_states(const options *o, soma__optim_state states[SOMA__OPTIM_STATES])
{
    states[0].name = "momentum_buffer";
    return o->momentum > 0;
}

/* a: what of the gradient enters the buffer; the first one enters whole, as in PyTorch. */
static void sgd_numbers(soma__optim_numbers *n)
{
    n->a = n->t > 1 ? 1 - n->options->dampening : 1;
}

static void sgd_step(soma__optim_step *s)
{
    soma_var g = s->grad;
    if (s->options->momentum > 0) {
        soma_var enters = s->options->dampening > 0 ? soma_mul(g, s->a) : g;
        s->state[0] = soma_add(with_momentum(s, s->state[0]), enters);
        g = s->options->nesterov ? soma_add(g, with_momentum(s, s->state[0])) : s->state[0];
    }
    move(s, soma_mul(s->options->sign ? soma_sign(g) : g, s->rate));
}

/* --- adam, adamw --------------------------------------------------------------------------------
 */

static int adam_states(const options *o, soma__optim_state states[SOMA__OPTIM_STATES])
{
    int count = moments(o, states);
    if (o->amsgrad)
        states[count++].name = "max_exp_avg_sq";
    return count;
}

/* Powers of the betas want double. a: rate / (1 - beta1^t); b: 1 / √(1 - beta2^t). */
static void adam_numbers(soma__optim_numbers *n)
{
    n->a = n->rate / (1 - pow(n->momentum, n->t));
    n->b = 1 / sqrt(1 - pow(n->options->beta2, n->t));
}

/* parameter - a · m / (√v · b + eps); amsgrad: the greatest v so far */
static void adam_step(soma__optim_step *s)
{
    const options *o = s->options;
    s->state[0] = first_moment(s, s->state[0], s->grad);
    s->state[1] = average(s->state[1], soma_square(s->grad), o->beta2);
    soma_var v = s->state[1];
    if (o->amsgrad)
        v = s->state[2] = soma_maximum(s->state[2], v);
    soma_var root = soma_add_scalar(soma_mul(soma_sqrt(v), s->b), o->eps);
    move(s, soma_div(soma_mul(s->state[0], s->a), root));
}

/* --- adamax, nadam, radam -----------------------------------------------------------------------
 */

static int adamax_states(const options *o, soma__optim_state states[SOMA__OPTIM_STATES])
{
    (void)o;
    states[0].name = "exp_avg";
    states[1].name = "exp_inf";
    return 2;
}

static void adamax_step(soma__optim_step *s)
{
    const options *o = s->options;
    s->state[0] = first_moment(s, s->state[0], s->grad);
    s->state[1] = soma_maximum(soma_mul_scalar(s->state[1], o->beta2),
                               soma_add_scalar(soma_abs(s->grad), o->eps));
    move(s, soma_div(soma_mul(s->state[0], s->a), s->state[1]));
}

static double nadam_mu(const options *o, double t)
{
    return o->beta1 * (1 - 0.5 * pow(0.96, t * o->momentum_decay));
}

/* a and c weigh the gradient and its mean by the product of all mu so far. The product is at most
 * beta1^t: once it is lost beside 1 there is no need to go on. */
static void nadam_numbers(soma__optim_numbers *n)
{
    const options *o = n->options;
    double product = 1, mu = nadam_mu(o, n->t), next = nadam_mu(o, n->t + 1);
    for (double t = 1; t <= n->t && product > 1e-20; t++)
        product *= nadam_mu(o, t);
    n->a = n->rate * (1 - mu) / (1 - product);
    n->b = 1 / sqrt(1 - pow(o->beta2, n->t));
    n->c = n->rate * next / (1 - product * next);
}

static void nadam_step(soma__optim_step *s)
{
    const options *o = s->options;
    s->state[0] = average(s->state[0], s->grad, o->beta1);
    s->state[1] = average(s->state[1], soma_square(s->grad), o->beta2);
    soma_var root = soma_add_scalar(soma_mul(soma_sqrt(s->state[1]), s->b), o->eps);
    soma_var step = soma_add(soma_mul(s->grad, s->a), soma_mul(s->state[0], s->c));
    move(s, soma_div(step, root));
}

/* While the variance of the second moment is too great (rho ≤ 5) the step is that of momentum
 * alone: b is 0 and c is 1. Afterwards b carries √(1 - beta2^t) and c is 0. */
static void radam_numbers(soma__optim_numbers *n)
{
    double beta2 = n->options->beta2, power = pow(beta2, n->t);
    double most = 2 / (1 - beta2) - 1, rho = most - 2 * n->t * power / (1 - power);
    n->a = n->rate / (1 - pow(n->momentum, n->t));
    n->c = rho > 5 ? 0 : 1;
    n->b = 0;
    if (rho > 5)
        n->b =
            sqrt(1 - power) * sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho));
}

static void radam_step(soma__optim_step *s)
{
    const options *o = s->options;
    s->state[0] = first_moment(s, s->state[0], s->grad);
    s->state[1] = average(s->state[1], soma_square(s->grad), o->beta2);
    soma_var factor = soma_div(s->b, soma_add_scalar(soma_sqrt(s->state[1]), o->eps));
    move(s, soma_mul(soma_mul(s->state[0], s->a), soma_add(factor, s->c)));
}

/* --- rmsprop, adagrad, adadelta -----------------------------------------------------------------
 */

static int rmsprop_states(const options *o, soma__optim_state states[SOMA__OPTIM_STATES])
{
    int count = 0;
    states[count++].name = "square_avg";
    if (o->momentum > 0)
        states[count++].name = "momentum_buffer";
    if (o->centered)
        states[count++].name = "grad_avg";
    return count;
}

static void rmsprop_step(soma__optim_step *s)
{
    const options *o = s->options;
    soma_var g = s->grad, mean_square;
    int momentum = 1, mean = o->momentum > 0 ? 2 : 1;

    s->state[0] = average(s->state[0], soma_square(g), o->alpha);
    mean_square = s->state[0];
    if (o->centered) {
        s->state[mean] = average(s->state[mean], g, o->alpha);
        mean_square = soma_sub(mean_square, soma_square(s->state[mean]));
        /* Rounding can make a vanishing variance negative, whose root would be NaN. */
        mean_square = soma_relu(mean_square);
    }
    g = soma_div(g, soma_add_scalar(soma_sqrt(mean_square), o->eps));
    if (o->momentum > 0)
        g = s->state[momentum] = soma_add(with_momentum(s, s->state[momentum]), g);
    move(s, soma_mul(g, s->rate));
}

static int adagrad_states(const options *o, soma__optim_state states[SOMA__OPTIM_STATES])
{
    states[0] = (soma__optim_state){.name = "sum", .start = o->initial_sum};
    return 1;
}

static void adagrad_numbers(soma__optim_numbers *n)
{
    n->a = n->rate / (1 + (n->t - 1) * n->options->rate_decay);
}

static void adagrad_step(soma__optim_step *s)
{
    s->state[0] = soma_add(s->state[0], soma_square(s->grad));
    soma_var root = soma_add_scalar(soma_sqrt(s->state[0]), s->options->eps);
    move(s, soma_div(soma_mul(s->grad, s->a), root));
}

static int adadelta_states(const options *o, soma__optim_state states[SOMA__OPTIM_STATES])
{
    (void)o;
    states[0].name = "square_avg";
    states[1].name = "acc_delta";
    return 2;
}

static void adadelta_step(soma__optim_step *s)
{
    const options *o = s->options;
    s->state[0] = average(s->state[0], soma_square(s->grad), o->alpha);
    soma_var delta = soma_mul(soma_div(soma_sqrt(soma_add_scalar(s->state[1], o->eps)),
                                       soma_sqrt(soma_add_scalar(s->state[0], o->eps))),
                              s->grad);
    s->state[1] = average(s->state[1], soma_square(delta), o->alpha);
    move(s, soma_mul(delta, s->rate));
}

/* --- lion, lamb, lars ---------------------------------------------------------------------------
 */

static int lion_states(const options *o, soma__optim_state states[SOMA__OPTIM_STATES])
{
    (void)o;
    states[0].name = "exp_avg";
    return 1;
}

/* The step is the sign of one mean, what is kept is another. */
static void lion_step(soma__optim_step *s)
{
    soma_var direction = soma_sign(first_moment(s, s->state[0], s->grad));
    s->state[0] = average(s->state[0], s->grad, s->options->beta2);
    move(s, soma_mul(direction, s->rate));
}

static soma_var norm(soma_var x)
{
    return soma_sqrt(soma_sum(soma_square(x)));
}

/* value where both norms are above zero, else 1 */
static soma_var where_both(soma_var a, soma_var b, soma_var value)
{
    soma_var zero = soma_scalar(a.graph, SOMA_F32, 0), one = soma_scalar(a.graph, SOMA_F32, 1);
    return soma_where(soma_logical_and(soma_greater(a, zero), soma_greater(b, zero)), value, one);
}

/* parameter - rate · |p|/|r| · r, where r = m̂ / (√v̂ + eps) + decay · p */
static void lamb_step(soma__optim_step *s)
{
    const options *o = s->options;
    s->state[0] = first_moment(s, s->state[0], s->grad);
    s->state[1] = average(s->state[1], soma_square(s->grad), o->beta2);
    soma_var root = soma_add_scalar(soma_mul(soma_sqrt(s->state[1]), s->b), o->eps);
    soma_var r = soma_div(soma_mul(s->state[0], s->a), root);
    if (s->decay > 0)
        r = soma_add(r, soma_mul_scalar(s->param, s->decay));
    soma_var p_norm = norm(s->param), r_norm = norm(r);
    soma_var trust = where_both(p_norm, r_norm, soma_div(p_norm, r_norm));
    move(s, soma_mul(r, soma_mul(trust, s->rate)));
}

/* As adam's, but the rate comes in after the norms. */
static void lamb_numbers(soma__optim_numbers *n)
{
    n->a = 1 / (1 - pow(n->momentum, n->t));
    n->b = 1 / sqrt(1 - pow(n->options->beta2, n->t));
}

/* v = momentum · v + rate · trust |p| / (|g| + decay |p|) · (g + decay · p); p - v */
static void lars_step(soma__optim_step *s)
{
    const options *o = s->options;
    soma_var g = s->grad, p_norm = norm(s->param), g_norm = norm(g), below = g_norm;
    if (s->decay > 0) {
        g = soma_add(g, soma_mul_scalar(s->param, s->decay));
        below = soma_add(below, soma_mul_scalar(p_norm, s->decay));
    }
    soma_var local = where_both(p_norm, g_norm, soma_div(soma_mul_scalar(p_norm, o->trust), below));
    soma_var step = soma_mul(g, soma_mul(local, s->rate));
    if (o->momentum > 0)
        step = s->state[0] = soma_add(with_momentum(s, s->state[0]), step);
    move(s, step);
}

/* --- rprop, asgd --------------------------------------------------------------------------------
 */

static int rprop_states(const options *o, soma__optim_state states[SOMA__OPTIM_STATES])
{
    (void)o;
    states[0].name = "prev";
    states[1].name = "step_size";
    return 2;
}

/* Each number has its own step, which grows while the gradient keeps its sign. Where the sign
 * turned, this step is left out. The first step of all is the rate. */
static void rprop_step(soma__optim_step *s)
{
    const options *o = s->options;
    soma_graph *graph = s->grad.graph;
    soma_var zero = soma_scalar(graph, SOMA_F32, 0), one = soma_scalar(graph, SOMA_F32, 1);
    soma_var same = soma_mul(s->grad, s->state[0]), turned = soma_less(same, zero);
    soma_var factor = soma_where(
        turned, soma_scalar(graph, SOMA_F32, o->shrink),
        soma_where(soma_greater(same, zero), soma_scalar(graph, SOMA_F32, o->grow), one));
    soma_var size = soma_where(soma_greater(s->state[1], zero), s->state[1], s->rate);
    s->state[1] = soma_clamp(soma_mul(size, factor), o->step_min, o->step_max);
    s->state[0] = soma_where(turned, zero, s->grad);
    move(s, soma_mul(soma_sign(s->state[0]), s->state[1]));
}

static int asgd_states(const options *o, soma__optim_state states[SOMA__OPTIM_STATES])
{
    (void)o;
    states[0] = (soma__optim_state){.name = "ax", .copy = true};
    return 1;
}

/* a: the rate, which falls; b: 1 - lambda · a; c: the weight of this step in the average. */
static void asgd_numbers(soma__optim_numbers *n)
{
    const options *o = n->options;
    n->a = n->rate / pow(1 + o->lambda * n->rate * (n->t - 1), o->alpha);
    n->b = 1 - o->lambda * n->a;
    n->c = 1 / fmax(1, n->t - 1 - o->average_from);
}

static void asgd_step(soma__optim_step *s)
{
    s->param = soma_sub(soma_mul(s->param, s->b), soma_mul(s->grad, s->a));
    s->state[0] = soma_add(s->state[0], soma_mul(soma_sub(s->param, s->state[0]), s->c));
}

/* --- lbfgs (its steps are in lbfgs.c) -----------------------------------------------------------
 */

static int lbfgs_states(const options *o, soma__optim_state states[SOMA__OPTIM_STATES])
{
    (void)o;
    (void)states;
    return 0;
}

static void lbfgs_step(soma__optim_step *s)
{
    soma_graph_fail(s->grad.graph, SOMA_UNSUPPORTED,
                    "lbfgs evaluates the loss several times a step and cannot be part of a graph: "
                    "use soma_lbfgs_step, or soma_train");
}

/* --- the table ----------------------------------------------------------------------------------
 */

static const soma__optim_kind kinds[] = {
    [SOMA_SGD] = {.name = "sgd",
                  .doc = "gradient descent; momentum (Polyak 1964), nesterov (1983), dampening, "
                         "sign (Bernstein et al. 2018)",
                  .rate = 0.01,
                  .cycles = SOMA__CYCLES_MOMENTUM,
                  .states = sgd_states,
                  .numbers = sgd_numbers,
                  .step = sgd_step},
    [SOMA_ADAM] = {.name = "adam",
                   .doc = "Kingma & Ba 2015; weight decay is part of the gradient (L2); amsgrad",
                   .rate = 0.001,
                   .cycles = SOMA__CYCLES_BETA1,
                   .states = adam_states,
                   .numbers = adam_numbers,
                   .step = adam_step},
    [SOMA_ADAMW] = {.name = "adamw",
                    .doc = "Loshchilov & Hutter 2019; weight decay apart from the gradient",
                    .rate = 0.001,
                    .weight_decay = 0.01,
                    .decoupled = true,
                    .cycles = SOMA__CYCLES_BETA1,
                    .states = adam_states,
                    .numbers = adam_numbers,
                    .step = adam_step},
    [SOMA_RMSPROP] = {.name = "rmsprop",
                      .doc = "Tieleman & Hinton 2012; momentum and centering optional",
                      .rate = 0.01,
                      .alpha = 0.99,
                      .cycles = SOMA__CYCLES_MOMENTUM,
                      .states = rmsprop_states,
                      .step = rmsprop_step},
    [SOMA_ADAGRAD] = {.name = "adagrad",
                      .doc = "Duchi et al. 2011: by the root of the sum of all squared gradients",
                      .rate = 0.01,
                      .eps = 1e-10,
                      .states = adagrad_states,
                      .numbers = adagrad_numbers,
                      .step = adagrad_step},
    [SOMA_ADADELTA] = {.name = "adadelta",
                       .doc = "Zeiler 2012: steps in the unit of the parameter",
                       .rate = 1,
                       .eps = 1e-6,
                       .alpha = 0.9,
                       .states = adadelta_states,
                       .step = adadelta_step},
    [SOMA_ADAMAX] = {.name = "adamax",
                     .doc = "Kingma & Ba 2015: adam with the greatest gradient for the root",
                     .rate = 0.002,
                     .cycles = SOMA__CYCLES_BETA1,
                     .states = adamax_states,
                     .numbers = adam_numbers,
                     .step = adamax_step},
    [SOMA_NADAM] = {.name = "nadam",
                    .doc = "Dozat 2016: adam with Nesterov's momentum",
                    .rate = 0.002,
                    .states = moments,
                    .numbers = nadam_numbers,
                    .step = nadam_step},
    [SOMA_RADAM] = {.name = "radam",
                    .doc = "Liu et al. 2020: adam that waits until its variance is known",
                    .rate = 0.001,
                    .cycles = SOMA__CYCLES_BETA1,
                    .states = moments,
                    .numbers = radam_numbers,
                    .step = radam_step},
    [SOMA_LION] = {.name = "lion",
                   .doc = "Chen et al. 2023: the sign of a mean; decoupled weight decay",
                   .rate = 1e-4,
                   .beta2 = 0.99,
                   .decoupled = true,
                   .cycles = SOMA__CYCLES_BETA1,
                   .states = lion_states,
                   .step = lion_step},
    [SOMA_LAMB] = {.name = "lamb",
                   .doc = "You et al. 2020: adam's step scaled to each parameter's norm, for large "
                          "batches",
                   .rate = 0.001,
                   .eps = 1e-6,
                   .own_decay = true,
                   .cycles = SOMA__CYCLES_BETA1,
                   .states = moments,
                   .numbers = lamb_numbers,
                   .step = lamb_step},
    [SOMA_LARS] = {.name = "lars",
                   .doc = "You et al. 2017: momentum scaled to each parameter's norm, for large "
                          "batches",
                   .rate = 0.1,
                   .own_decay = true,
                   .cycles = SOMA__CYCLES_MOMENTUM,
                   .states = sgd_states,
                   .step = lars_step},
    [SOMA_RPROP] = {.name = "rprop",
                    .doc = "Riedmiller & Braun 1993: signs only, a step for each number; for whole "
                           "batches",
                    .rate = 0.01,
                    .states = rprop_states,
                    .step = rprop_step},
    [SOMA_ASGD] = {.name = "asgd",
                   .doc = "Polyak & Juditsky 1992: the average of the steps is what is evaluated "
                          "and kept",
                   .rate = 0.01,
                   .alpha = 0.75,
                   .average = 1,
                   .states = asgd_states,
                   .numbers = asgd_numbers,
                   .step = asgd_step},
    [SOMA_LBFGS] = {.name = "lbfgs",
                    .doc = "Nocedal & Wright 2006: second order, line search (strong Wolfe); for "
                           "batch: all",
                    .rate = 1,
                    .states = lbfgs_states,
                    .step = lbfgs_step},
};

const soma__optim_kind *soma__optim_kind_of(soma_optimizer_kind kind)
{
    size_t index = (size_t)kind;
    return index < sizeof kinds / sizeof kinds[0] ? &kinds[index] : NULL;
}
