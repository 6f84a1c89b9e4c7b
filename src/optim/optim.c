/* optim.c: optimisers as objects: state tensors, and one step as graph:
 *
 *   gradients ─ clip by norm, by value ─┐
 *   parameter ───────── + l1, L2, decay ┴─ the kind's rule ─ max-norm ─ lookahead ─┬─ parameter
 *                                                                                  └─ average
 *
 * All of a parameter's line is elementwise (norms apart), so that a plan makes one pass of it. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "optim/optim.h"

struct soma_optimizer {
    soma_optimizer_options options; /* defaults filled in; `groups` is not kept */
    const soma__optim_kind *kind;
    double factor;       /* of all rates */
    int count;           /* of parameters */
    int states;          /* tensors for each of them */
    int slow, average;   /* which of these are lookahead's, the average; -1: none */
    soma_tensor **state; /* [parameter][state] */
    char **names;        /* of the same */
    int *group;          /* [parameter] 0: the common options */
    double *group_rate;  /* [group] its rate without a schedule */
    double *group_decay; /* [group] */
    int groups;          /* with the common one */
};

/* Where the numbers of one group lie in what a step is fed. */
enum { AT_RATE, AT_A, AT_B, AT_C, AT_MOMENTUM, AT_FRESH, AT_SYNC, AT_AVERAGE };

/* --- creation -----------------------------------------------------------------------------------
 */

/* The tensor, and the name "<parameter>.<state>". */
static soma_status make_state(soma_optimizer *optimizer, int index, const char *parameter,
                              const soma_tensor *like, const soma__optim_state *state,
                              soma_error *err)
{
    soma__text name = {0};
    soma_tensor **out = &optimizer->state[index];
    SOMA__TRY(soma_tensor_create(out, SOMA_F32, *soma_tensor_shape(like), err));
    if (state->copy)
        memcpy(soma_tensor_data(*out), soma_tensor_const_data(like), soma_tensor_bytes(like));
    for (int64_t i = 0; state->start > 0 && i < soma_tensor_count(*out); i++)
        soma_tensor_set(*out, i, state->start);
    soma__text_add(&name, "%s.%s", parameter, state->name);
    return soma__text_take(&name, &optimizer->names[index], err);
}

/* The states of each parameter: the kind's, then those of what wraps around it. */
static void list_states(soma_optimizer *optimizer, soma__optim_state states[SOMA__OPTIM_STATES])
{
    const soma_optimizer_options *o = &optimizer->options;
    int count = optimizer->kind->states(o, states);
    optimizer->slow = -1;
    optimizer->average = optimizer->kind->average - 1;
    if (o->lookahead > 0) {
        optimizer->slow = count;
        states[count++] = (soma__optim_state){.name = "slow", .copy = true};
    }
    if (o->ema > 0 || o->swa_epoch > 0) {
        optimizer->average = count;
        states[count++] = (soma__optim_state){.name = o->ema > 0 ? "ema" : "swa", .copy = true};
    }
    optimizer->states = count;
}

static soma_status make_states(soma_optimizer *optimizer, const char *const *names,
                               soma_tensor *const *parameters, soma_error *err)
{
    soma__optim_state states[SOMA__OPTIM_STATES] = {{0}};
    size_t total;

    list_states(optimizer, states);
    if (!soma__mul((size_t)optimizer->count, (size_t)optimizer->states, &total))
        return soma__fail(err, SOMA_MEMORY, "out of memory for the optimizer");
    optimizer->state = soma__calloc(total + 1, sizeof(soma_tensor *));
    optimizer->names = soma__calloc(total + 1, sizeof(char *));
    if (!optimizer->state || !optimizer->names)
        return soma__fail(err, SOMA_MEMORY, "out of memory for the optimizer");
    for (int i = 0; i < optimizer->count; i++) {
        if (!names[i] || !parameters[i])
            return soma__fail(err, SOMA_INVALID, "optimizer: parameter %d has no %s", i,
                              names[i] ? "tensor" : "name");
        if (soma_tensor_dtype(parameters[i]) != SOMA_F32)
            return soma__fail(err, SOMA_DTYPE, "optimizer: '%s' is %s, must be f32", names[i],
                              soma_dtype_text(soma_tensor_dtype(parameters[i])));
        for (int k = 0; k < optimizer->states; k++)
            SOMA__TRY(make_state(optimizer, i * optimizer->states + k, names[i], parameters[i],
                                 &states[k], err));
    }
    return SOMA_OK;
}

/* A pattern that matches nothing is most likely misspelt. */
static soma_status check_group_used(const soma_optimizer *optimizer, int group, soma_error *err)
{
    for (int i = 0; i < optimizer->count; i++)
        if (optimizer->group[i] == group)
            return SOMA_OK;
    if (!optimizer->count)
        return SOMA_OK;
    return soma__fail(err, SOMA_INVALID,
                      "optimizer: group '%s' matches no trained parameter that no earlier group "
                      "has taken; names are as `soma summary` prints them, *.weight matches all "
                      "weights",
                      optimizer->options.groups[group - 1].match);
}

static soma_status make_groups(soma_optimizer *optimizer, const char *const *names, soma_error *err)
{
    const soma_optimizer_options *o = &optimizer->options;
    size_t groups = (size_t)o->group_count + 1;
    optimizer->groups = (int)groups;
    optimizer->group = soma__calloc((size_t)optimizer->count + 1, sizeof *optimizer->group);
    optimizer->group_rate = soma__calloc(groups, sizeof *optimizer->group_rate);
    optimizer->group_decay = soma__calloc(groups, sizeof *optimizer->group_decay);
    if (!optimizer->group || !optimizer->group_rate || !optimizer->group_decay)
        return soma__fail(err, SOMA_MEMORY, "out of memory for the optimizer");
    for (int i = 0; i < optimizer->count; i++)
        optimizer->group[i] = soma__optimizer_group_of(o, names[i]);
    optimizer->group_rate[0] = o->rate;
    optimizer->group_decay[0] = o->weight_decay;
    for (int i = 1; i < optimizer->groups; i++) {
        const soma_optimizer_group *g = &o->groups[i - 1];
        double factor = g->rate_factor > 0 ? g->rate_factor : 1;
        optimizer->group_rate[i] = g->rate > 0 ? g->rate : o->rate * factor;
        bool own = g->weight_decay < 0 || g->weight_decay > 0;
        optimizer->group_decay[i] = own ? g->weight_decay : o->weight_decay;
        SOMA__TRY(check_group_used(optimizer, i, err));
    }
    optimizer->options.groups = NULL; /* borrowed, and no longer needed */
    return SOMA_OK;
}

soma_status soma_optimizer_create(soma_optimizer **out, const soma_optimizer_options *options,
                                  const char *const *names, soma_tensor *const *parameters,
                                  int count, soma_error *err)
{
    soma_optimizer_options filled = options ? *options : (soma_optimizer_options){0};

    *out = NULL;
    SOMA__TRY(soma__optimizer_defaults(&filled, err));
    if (count < 0 || count > INT32_MAX / (SOMA__OPTIM_STATES + 1) ||
        (count > 0 && (!names || !parameters)))
        return soma__fail(err, SOMA_INVALID,
                          "optimizer: %d parameters need as many names and tensors", count);
    soma_optimizer *optimizer = soma__calloc(1, sizeof *optimizer);
    if (!optimizer)
        return soma__fail(err, SOMA_MEMORY, "out of memory for the optimizer");
    optimizer->options = filled;
    optimizer->kind = soma__optim_kind_of(filled.kind);
    optimizer->factor = 1;
    optimizer->count = count;
    soma_status status = make_states(optimizer, names, parameters, err);
    if (status == SOMA_OK)
        status = make_groups(optimizer, names, err);
    if (status != SOMA_OK) {
        soma_optimizer_destroy(optimizer);
        return status;
    }
    *out = optimizer;
    return SOMA_OK;
}

void soma_optimizer_destroy(soma_optimizer *optimizer)
{
    if (!optimizer)
        return;
    for (int i = 0; i < optimizer->count * optimizer->states; i++) {
        if (optimizer->state)
            soma_tensor_release(optimizer->state[i]);
        if (optimizer->names)
            soma__free(optimizer->names[i]);
    }
    soma__free(optimizer->state);
    soma__free(optimizer->names);
    soma__free(optimizer->group);
    soma__free(optimizer->group_rate);
    soma__free(optimizer->group_decay);
    soma__free(optimizer);
}

int soma_optimizer_state_count(const soma_optimizer *optimizer)
{
    return optimizer->count * optimizer->states;
}

const char *soma_optimizer_state_name(const soma_optimizer *optimizer, int index)
{
    return index >= 0 && index < soma_optimizer_state_count(optimizer) ? optimizer->names[index]
                                                                       : NULL;
}

soma_tensor *soma_optimizer_state(const soma_optimizer *optimizer, int index)
{
    return index >= 0 && index < soma_optimizer_state_count(optimizer) ? optimizer->state[index]
                                                                       : NULL;
}

soma_tensor *soma_optimizer_average(const soma_optimizer *optimizer, int index)
{
    if (optimizer->average < 0 || index < 0 || index >= optimizer->count)
        return NULL;
    return optimizer->state[index * optimizer->states + optimizer->average];
}

const soma_optimizer_options *soma__optimizer_options(const soma_optimizer *optimizer)
{
    return &optimizer->options;
}

bool soma__optimizer_clips(const soma_optimizer *optimizer)
{
    return optimizer->options.clip_norm > 0;
}

int soma_optimizer_update_count(const soma_optimizer *optimizer)
{
    return optimizer->count * (1 + optimizer->states);
}

/* --- the numbers of a step ----------------------------------------------------------------------
 */

void soma_optimizer_set_factor(soma_optimizer *optimizer, double factor)
{
    if (factor >= 0 && !isinf(factor))
        optimizer->factor = factor;
}

double soma_optimizer_factor(const soma_optimizer *optimizer)
{
    return optimizer->factor;
}

double soma_optimizer_rate(const soma_optimizer *optimizer, int64_t step, int64_t steps_per_epoch,
                           int64_t total_steps)
{
    soma__when when = {step, steps_per_epoch, total_steps};
    return optimizer->factor * soma__schedule_rate(&optimizer->options, when);
}

int soma_optimizer_hyper_count(const soma_optimizer *optimizer)
{
    return optimizer->groups * SOMA_OPTIMIZER_HYPER;
}

/* The weight of this step's result in the average: the first comes in whole. For swa it is that of
 * one among the epochs' ends so far, and 0 within epochs. */
static double average_weight(const soma_optimizer_options *o, soma__when when)
{
    double t = (double)when.step;
    if (o->ema > 0) {
        double decay = o->ema_warmup ? fmin(o->ema, (1 + t) / (10 + t)) : o->ema;
        return when.step ? 1 - decay : 1;
    }
    int64_t each = when.steps_per_epoch > 0 ? when.steps_per_epoch : 1;
    int64_t epoch = when.step / each + 1;
    if (!o->swa_epoch || (when.step + 1) % each || epoch < o->swa_epoch)
        return 0;
    int64_t averaged = epoch - o->swa_epoch;
    return 1 / (1 + (double)averaged);
}

void soma_optimizer_hyper(const soma_optimizer *optimizer, int64_t step, int64_t steps_per_epoch,
                          int64_t total_steps, float *out)
{
    const soma_optimizer_options *o = &optimizer->options;
    soma__when when = {step, steps_per_epoch, total_steps};
    double momentum = soma__schedule_momentum(o, when);
    for (int i = 0; i < optimizer->groups; i++, out += SOMA_OPTIMIZER_HYPER) {
        soma_optimizer_options own = *o;
        /* Schedules go from a group's own rate; the least rate goes along. */
        double share = o->rate > 0 ? optimizer->group_rate[i] / o->rate : 1;
        own.rate = optimizer->group_rate[i];
        own.min_rate *= share;
        own.swa_rate *= share;
        soma__optim_numbers n = {.options = o,
                                 .t = (double)step + 1,
                                 .rate = optimizer->factor * soma__schedule_rate(&own, when),
                                 .momentum = momentum};
        if (optimizer->kind->numbers)
            optimizer->kind->numbers(&n);
        out[AT_RATE] = (float)n.rate;
        out[AT_A] = (float)n.a;
        out[AT_B] = (float)n.b;
        out[AT_C] = (float)n.c;
        out[AT_MOMENTUM] = (float)momentum;
        out[AT_FRESH] = (float)(1 - momentum);
        out[AT_SYNC] = o->lookahead > 0 && (step + 1) % o->lookahead == 0;
        out[AT_AVERAGE] = (float)average_weight(o, when);
    }
}

/* --- one step as graph --------------------------------------------------------------------------
 */

static soma_var number(soma_var hyper, int group, int which)
{
    int64_t index = (int64_t)group * SOMA_OPTIMIZER_HYPER + which;
    return soma_reshape(soma_slice(hyper, 0, index, index + 1), SOMA_SCALAR);
}

/* √(sum of all squares) */
static soma_var global_norm(soma_graph *graph, const soma_var *grads, int count)
{
    soma_var sum = {graph, -1};
    for (int i = 0; i < count; i++) {
        soma_var one = soma_sum(soma_square(grads[i]));
        sum = i == 0 ? one : soma_add(sum, one);
    }
    return count ? soma_sqrt(sum) : soma_scalar(graph, SOMA_F32, 0);
}

/* One update, held back where the guard is false. */
static soma_update guarded(soma_var guard, soma_var variable, soma_var value)
{
    if (guard.graph)
        value = soma_where(guard, value, variable);
    return (soma_update){variable, value};
}

/* l1 and L2 join the gradient; decoupled decay shrinks the parameter first. */
static void add_decay(const soma_optimizer *optimizer, soma__optim_step *step)
{
    const soma_optimizer_options *o = &optimizer->options;
    if (o->decay_weights_only && soma_var_shape(step->param).ndim < 2) {
        step->decay = 0;
        return;
    }
    if (o->l1 > 0)
        step->grad = soma_add(step->grad, soma_mul_scalar(soma_sign(step->param), o->l1));
    if (!(step->decay > 0) || optimizer->kind->own_decay)
        return;
    if (o->decoupled)
        step->param =
            soma_sub(step->param, soma_mul(step->param, soma_mul_scalar(step->rate, step->decay)));
    else
        step->grad = soma_add(step->grad, soma_mul_scalar(step->param, step->decay));
}

/* torch.renorm(p, 2, 0, most): the weights that make one output, where their norm is above. */
static soma_var limit_norm(soma_var param, double most)
{
    soma_shape shape = soma_var_shape(param);
    soma_reduce_options others = {.count = shape.ndim - 1, .keep_dims = true};
    if (shape.ndim < 2)
        return param;
    for (int i = 1; i < shape.ndim; i++)
        others.axes[i - 1] = i;
    soma_var norm = soma_sqrt(soma_sum_opt(soma_square(param), others));
    soma_var limit = soma_scalar(param.graph, SOMA_F32, most);
    soma_var factor = soma_div(limit, soma_add_scalar(norm, 1e-7));
    soma_var one = soma_scalar(param.graph, SOMA_F32, 1);
    return soma_mul(param, soma_where(soma_greater(norm, limit), factor, one));
}

static void wrap_up(const soma_optimizer *optimizer, soma__optim_step *step, soma_var hyper)
{
    const soma_optimizer_options *o = &optimizer->options;
    if (o->max_norm > 0)
        step->param = limit_norm(step->param, o->max_norm);
    if (optimizer->slow >= 0) {
        soma_var *slow = &step->state[optimizer->slow];
        soma_var now =
            soma_greater(number(hyper, 0, AT_SYNC), soma_scalar(hyper.graph, SOMA_F32, 0));
        soma_var far = soma_mul_scalar(soma_sub(step->param, *slow), o->lookahead_alpha);
        *slow = soma_where(now, soma_add(*slow, far), *slow);
        step->param = soma_where(now, *slow, step->param);
    }
    if (optimizer->average >= 0 && !optimizer->kind->average) {
        soma_var *average = &step->state[optimizer->average];
        soma_var weight = number(hyper, 0, AT_AVERAGE);
        *average = soma_add(*average, soma_mul(soma_sub(step->param, *average), weight));
    }
}

/* Parameter i: its updates. */
static void update(soma_optimizer *optimizer, int i, soma_var param, soma_var grad, soma_var hyper,
                   soma_var guard, soma_update *updates, int *used)
{
    const soma_optimizer_options *o = &optimizer->options;
    int group = optimizer->group[i];
    soma__optim_step step = {.options = o,
                             .rate = number(hyper, group, AT_RATE),
                             .a = number(hyper, group, AT_A),
                             .b = number(hyper, group, AT_B),
                             .c = number(hyper, group, AT_C),
                             .decay = optimizer->group_decay[group],
                             .grad = grad,
                             .param = param};
    soma_var old[SOMA__OPTIM_STATES] = {{0}};
    if (soma__schedule_cycles(o)) {
        step.momentum = number(hyper, group, AT_MOMENTUM);
        step.fresh = number(hyper, group, AT_FRESH);
    }
    for (int k = 0; k < optimizer->states; k++) {
        int index = i * optimizer->states + k;
        old[k] = step.state[k] =
            soma_variable(hyper.graph, optimizer->names[index], optimizer->state[index]);
    }
    add_decay(optimizer, &step);
    optimizer->kind->step(&step);
    wrap_up(optimizer, &step, hyper);
    updates[(*used)++] = guarded(guard, param, step.param);
    for (int k = 0; k < optimizer->states; k++)
        updates[(*used)++] = guarded(guard, old[k], step.state[k]);
}

void soma_optimizer_apply(soma_optimizer *optimizer, const soma_var *params, const soma_var *grads,
                          soma_var hyper, soma_var guard, soma_var *norm, soma_update *updates,
                          int *used)
{
    const soma_optimizer_options *o = &optimizer->options;
    soma_graph *graph = hyper.graph;
    soma_var total = {graph, -1}, factor = {0};
    soma_shape shape = soma_var_shape(hyper);

    if (soma_var_ok(hyper) && (soma_var_dtype(hyper) != SOMA_F32 || shape.ndim != 1 ||
                               shape.dim[0] != soma_optimizer_hyper_count(optimizer)))
        soma_graph_fail(graph, SOMA_INVALID, "optimizer: hyper must be f32 [%d]",
                        soma_optimizer_hyper_count(optimizer));
    soma_scope_begin(graph, "optimizer");
    if (norm || o->clip_norm > 0)
        total = global_norm(graph, grads, optimizer->count);
    if (norm)
        *norm = total;
    /* min(1, clip / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_. */
    if (o->clip_norm > 0)
        factor = soma_minimum(
            soma_mul_scalar(soma_reciprocal(soma_add_scalar(total, 1e-6)), o->clip_norm),
            soma_scalar(graph, SOMA_F32, 1));
    for (int i = 0; i < optimizer->count; i++) {
        soma_var grad = grads[i];
        if (factor.graph)
            grad = soma_mul(grad, factor);
        if (o->clip_value > 0)
            grad = soma_clamp(grad, -o->clip_value, o->clip_value);
        update(optimizer, i, params[i], grad, hyper, guard, updates, used);
    }
    soma_scope_end(graph);
}
