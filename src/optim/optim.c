/* optim.c: optimisers as objects: options, state tensors, and one step as graph. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "optim/optim.h"

struct soma_optimizer {
    soma_optimizer_options options; /* defaults filled in */
    const soma__optim_kind *kind;
    int count;           /* of parameters */
    int states;          /* tensors for each of them */
    soma_tensor **state; /* [parameter][state] */
    char **names;        /* of the same */
};

/* --- options ------------------------------------------------------------------------------------
 */

#define OPTION(key_, kind_, ...)                                                                   \
    {                                                                                              \
        .key = #key_, .kind = SOMA__FIELD_##kind_,                                                 \
        .offset = offsetof(soma_optimizer_options, key_), __VA_ARGS__                              \
    }

const soma__field soma__optimizer_fields[] = {
    OPTION(kind, ENUM, .choices = soma__optimizer_names, .doc = "which one [sgd]"),
    OPTION(rate, FLOAT, .min = 0, .max = INFINITY,
           .doc = "learning rate [sgd 0.01, adam and adamw 0.001, rmsprop 0.01]"),
    OPTION(momentum, FLOAT, .min = 0, .max = 1, .doc = "sgd, rmsprop [0]"),
    OPTION(nesterov, BOOL, .doc = "sgd: look ahead along the momentum"),
    OPTION(beta1, FLOAT, .min = 0, .max = 1, .doc = "adam, adamw: of the mean [0.9]"),
    OPTION(beta2, FLOAT, .min = 0, .max = 1, .doc = "adam, adamw: of the mean square [0.999]"),
    OPTION(alpha, FLOAT, .min = 0, .max = 1, .doc = "rmsprop: of the mean square [0.99]"),
    OPTION(centered, BOOL, .doc = "rmsprop: divide by the deviation"),
    OPTION(eps, FLOAT, .min = 0, .max = 1, .doc = "added to what is divided by [1e-8]"),
    OPTION(weight_decay, FLOAT, .doc = "[0; adamw 0.01]; negative: none"),
    OPTION(clip_norm, FLOAT, .min = 0, .max = INFINITY,
           .doc = "the gradient's global norm is limited to this [0: off]"),
    OPTION(schedule, ENUM, .choices = soma__schedule_names,
           .doc = "how the rate changes [constant]"),
    OPTION(warmup_steps, FLOAT, .min = 0, .max = INFINITY,
           .doc = "steps of linear rise to the rate [0]"),
    OPTION(step_epochs, FLOAT, .min = 0, .max = INFINITY,
           .doc = "step schedule: epochs between two drops [30]"),
    OPTION(gamma, FLOAT, .min = 0, .max = INFINITY, .doc = "step schedule: factor of a drop [0.1]"),
    OPTION(min_rate, FLOAT, .min = 0, .max = INFINITY,
           .doc = "cosine schedule: rate at the end [0]"),
};
const int soma__optimizer_field_count =
    (int)(sizeof soma__optimizer_fields / sizeof soma__optimizer_fields[0]);

static bool is_zero(double value)
{
    return fpclassify(value) == FP_ZERO;
}

static void set_default(double *field, double value)
{
    if (is_zero(*field))
        *field = value;
}

/* The rules that go beyond one field's range. */
static soma_status check(const soma_optimizer_options *o, soma_error *err)
{
    const struct {
        const char *name;
        double value;
    } below_one[] = {{"momentum", o->momentum},
                     {"beta1", o->beta1},
                     {"beta2", o->beta2},
                     {"alpha", o->alpha}},
      not_negative[] = {{"rate", o->rate},
                        {"eps", o->eps},
                        {"clip_norm", o->clip_norm},
                        {"warmup_steps", o->warmup_steps},
                        {"step_epochs", o->step_epochs},
                        {"gamma", o->gamma},
                        {"min_rate", o->min_rate}};

    for (size_t i = 0; i < sizeof below_one / sizeof below_one[0]; i++)
        if (!(below_one[i].value >= 0 && below_one[i].value < 1))
            return soma__fail(err, SOMA_INVALID, "optimizer: %s must be in [0, 1), got %g",
                              below_one[i].name, below_one[i].value);
    for (size_t i = 0; i < sizeof not_negative / sizeof not_negative[0]; i++)
        if (!(not_negative[i].value >= 0) || isinf(not_negative[i].value))
            return soma__fail(err, SOMA_INVALID,
                              "optimizer: %s must be a number of at least 0, got %g",
                              not_negative[i].name, not_negative[i].value);
    if (!isfinite(o->weight_decay))
        return soma__fail(err, SOMA_INVALID, "optimizer: weight_decay must be finite");
    if (o->nesterov && is_zero(o->momentum))
        return soma__fail(err, SOMA_INVALID,
                          "optimizer: nesterov needs a momentum, for example 0.9");
    if (o->min_rate > o->rate)
        return soma__fail(err, SOMA_INVALID, "optimizer: min_rate %g is above the learning rate %g",
                          o->min_rate, o->rate);
    return SOMA_OK;
}

soma_status soma__optimizer_defaults(soma_optimizer_options *options, soma_error *err)
{
    const soma__optim_kind *kind = soma__optim_kind_of(options->kind);

    if (!kind)
        return soma__fail(err, SOMA_INVALID, "optimizer: there is no kind number %d",
                          (int)options->kind);
    if (options->schedule > SOMA_SCHEDULE_COSINE)
        return soma__fail(err, SOMA_INVALID, "optimizer: there is no schedule number %d",
                          (int)options->schedule);
    set_default(&options->rate, kind->rate);
    set_default(&options->weight_decay, kind->weight_decay);
    set_default(&options->beta1, 0.9);
    set_default(&options->beta2, 0.999);
    set_default(&options->alpha, 0.99);
    set_default(&options->eps, 1e-8);
    set_default(&options->step_epochs, 30);
    set_default(&options->gamma, 0.1);
    return check(options, err);
}

/* --- creation -----------------------------------------------------------------------------------
 */

/* Zeros like the parameter, and the name "<parameter>.<state>". */
static soma_status make_state(soma_optimizer *optimizer, int index, const char *parameter,
                              const soma_tensor *like, const char *state, soma_error *err)
{
    soma__text name = {0};
    SOMA__TRY(
        soma_tensor_create(&optimizer->state[index], SOMA_F32, *soma_tensor_shape(like), err));
    soma__text_add(&name, "%s.%s", parameter, state);
    return soma__text_take(&name, &optimizer->names[index], err);
}

static soma_status make_states(soma_optimizer *optimizer, const char *const *names,
                               soma_tensor *const *parameters, soma_error *err)
{
    const char *states[SOMA__OPTIM_STATES];
    size_t total;

    optimizer->states = optimizer->kind->states(&optimizer->options, states);
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
                                 states[k], err));
    }
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
    optimizer->count = count;
    soma_status status = make_states(optimizer, names, parameters, err);
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

/* --- one step -----------------------------------------------------------------------------------
 */

double soma_optimizer_rate(const soma_optimizer *optimizer, int64_t step, int64_t steps_per_epoch,
                           int64_t total_steps)
{
    return soma__schedule_rate(&optimizer->options, step, steps_per_epoch, total_steps);
}

/* The four numbers: the rate, and for adam what its bias correction (powers of the betas, which
 * want double) makes of it: rate / (1 - beta1^t) and 1 / √(1 - beta2^t). The last is spare. */
void soma_optimizer_hyper(const soma_optimizer *optimizer, int64_t step, int64_t steps_per_epoch,
                          int64_t total_steps, float out[4])
{
    double t = (double)step + 1;
    double rate = soma_optimizer_rate(optimizer, step, steps_per_epoch, total_steps);
    out[0] = (float)rate;
    out[1] = (float)(rate / (1 - pow(optimizer->options.beta1, t)));
    out[2] = (float)(1 / sqrt(1 - pow(optimizer->options.beta2, t)));
    out[3] = 0;
}

int soma_optimizer_update_count(const soma_optimizer *optimizer)
{
    return optimizer->count * (1 + optimizer->states);
}

static soma_var hyper_scalar(soma_var hyper, int64_t index)
{
    return soma_reshape(soma_slice(hyper, 0, index, index + 1), SOMA_SCALAR);
}

bool soma__optimizer_clips(const soma_optimizer *optimizer)
{
    return optimizer->options.clip_norm > 0;
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

void soma_optimizer_apply(soma_optimizer *optimizer, const soma_var *params, const soma_var *grads,
                          soma_var hyper, soma_var guard, soma_var *norm, soma_update *updates,
                          int *used)
{
    const soma_optimizer_options *o = &optimizer->options;
    soma_graph *graph = hyper.graph;
    soma_var total = {graph, -1}, factor = {0};
    soma_shape shape = soma_var_shape(hyper);

    if (soma_var_ok(hyper) &&
        (soma_var_dtype(hyper) != SOMA_F32 || shape.ndim != 1 || shape.dim[0] != 4))
        soma_graph_fail(graph, SOMA_INVALID, "optimizer: hyper must be f32 [4]");
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
    soma__optim_step shared = {.options = o,
                               .rate = hyper_scalar(hyper, 0),
                               .step_size = hyper_scalar(hyper, 1),
                               .unbias = hyper_scalar(hyper, 2)};
    for (int i = 0; i < optimizer->count; i++) {
        soma__optim_step step = shared;
        soma_var old[SOMA__OPTIM_STATES] = {{0}};
        step.param = params[i];
        step.grad = factor.graph ? soma_mul(grads[i], factor) : grads[i];
        for (int k = 0; k < optimizer->states; k++) {
            int index = i * optimizer->states + k;
            old[k] = step.state[k] =
                soma_variable(graph, optimizer->names[index], optimizer->state[index]);
        }
        optimizer->kind->step(&step);
        updates[(*used)++] = guarded(guard, params[i], step.param);
        for (int k = 0; k < optimizer->states; k++)
            updates[(*used)++] = guarded(guard, old[k], step.state[k]);
    }
    soma_scope_end(graph);
}
