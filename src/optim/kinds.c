/* kinds.c: the optimisers, each in the exact form of PyTorch's. */
#include "optim/optim.h"

/* In the order of soma_optimizer_kind. */
const char *const soma__optimizer_names[] = {"sgd", "adam", "adamw", "rmsprop", NULL};

/* gradient + decay · parameter */
static soma_var with_l2(const soma__optim_step *s)
{
    if (!(s->options->weight_decay > 0))
        return s->grad;
    return soma_add(s->grad, soma_mul_scalar(s->param, s->options->weight_decay));
}

/* old · keep + fresh · (1 - keep) */
static soma_var average(soma_var old, soma_var fresh, double keep)
{
    return soma_add(soma_mul_scalar(old, keep), soma_mul_scalar(fresh, 1 - keep));
}

/* --- sgd ----------------------------------------------------------------------------------------
 */

static int sgd_states(const soma_optimizer_options *options, const char *names[SOMA__OPTIM_STATES])
{
    if (!(options->momentum > 0))
        return 0;
    names[0] = "momentum_buffer";
    return 1;
}

/* buffer = momentum · buffer + g; with zeros to start from, the first buffer is g as in PyTorch. */
static void sgd_step(soma__optim_step *s)
{
    soma_var g = with_l2(s);
    if (s->options->momentum > 0) {
        s->state[0] = soma_add(soma_mul_scalar(s->state[0], s->options->momentum), g);
        g = s->options->nesterov ? soma_add(g, soma_mul_scalar(s->state[0], s->options->momentum))
                                 : s->state[0];
    }
    s->param = soma_sub(s->param, soma_mul(g, s->rate));
}

/* --- adam, adamw --------------------------------------------------------------------------------
 */

static int adam_states(const soma_optimizer_options *options, const char *names[SOMA__OPTIM_STATES])
{
    (void)options;
    names[0] = "exp_avg";
    names[1] = "exp_avg_sq";
    return 2;
}

/* parameter - rate/(1-beta1^t) · m / (√v / √(1-beta2^t) + eps) */
static void adam_move(soma__optim_step *s, soma_var g)
{
    const soma_optimizer_options *o = s->options;
    s->state[0] = average(s->state[0], g, o->beta1);
    s->state[1] = average(s->state[1], soma_square(g), o->beta2);
    soma_var root = soma_add_scalar(soma_mul(soma_sqrt(s->state[1]), s->unbias), o->eps);
    s->param = soma_sub(s->param, soma_div(soma_mul(s->state[0], s->step_size), root));
}

static void adam_step(soma__optim_step *s)
{
    adam_move(s, with_l2(s));
}

static void adamw_step(soma__optim_step *s)
{
    if (s->options->weight_decay > 0) {
        soma_var decay = soma_mul_scalar(s->rate, s->options->weight_decay);
        s->param = soma_sub(s->param, soma_mul(s->param, decay));
    }
    adam_move(s, s->grad);
}

/* --- rmsprop ------------------------------------------------------------------------------------
 */

static int rmsprop_states(const soma_optimizer_options *options,
                          const char *names[SOMA__OPTIM_STATES])
{
    int count = 0;
    names[count++] = "square_avg";
    if (options->momentum > 0)
        names[count++] = "momentum_buffer";
    if (options->centered)
        names[count++] = "grad_avg";
    return count;
}

static void rmsprop_step(soma__optim_step *s)
{
    const soma_optimizer_options *o = s->options;
    soma_var g = with_l2(s), mean_square;
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
        g = s->state[momentum] = soma_add(soma_mul_scalar(s->state[momentum], o->momentum), g);
    s->param = soma_sub(s->param, soma_mul(g, s->rate));
}

/* --- the table ----------------------------------------------------------------------------------
 */

static const soma__optim_kind kinds[] = {
    [SOMA_SGD] = {.name = "sgd",
                  .doc = "gradient descent with momentum (Polyak 1964; Nesterov 1983)",
                  .rate = 0.01,
                  .states = sgd_states,
                  .step = sgd_step},
    [SOMA_ADAM] = {.name = "adam",
                   .doc = "Kingma & Ba 2015; weight decay is part of the gradient (L2)",
                   .rate = 0.001,
                   .states = adam_states,
                   .step = adam_step},
    [SOMA_ADAMW] = {.name = "adamw",
                    .doc = "Loshchilov & Hutter 2019; weight decay apart from the gradient",
                    .rate = 0.001,
                    .weight_decay = 0.01,
                    .states = adam_states,
                    .step = adamw_step},
    [SOMA_RMSPROP] = {.name = "rmsprop",
                      .doc = "Tieleman & Hinton 2012; momentum and centering optional",
                      .rate = 0.01,
                      .states = rmsprop_states,
                      .step = rmsprop_step},
};

const soma__optim_kind *soma__optim_kind_of(soma_optimizer_kind kind)
{
    size_t index = (size_t)kind;
    return index < sizeof kinds / sizeof kinds[0] ? &kinds[index] : NULL;
}
