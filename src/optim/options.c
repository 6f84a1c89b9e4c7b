/* options.c: the options of optimisers: their table for recipes, defaults, and what is refused. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "optim/optim.h"

/* --- the table ----------------------------------------------------------------------------------
 */

#define OPTION(key_, kind_, ...)                                                                   \
    {                                                                                              \
        .key = #key_, .kind = SOMA__FIELD_##kind_,                                                 \
        .offset = offsetof(soma_optimizer_options, key_), __VA_ARGS__                              \
    }
#define SHARE .min = 0, .max = 1
#define POSITIVE .min = 0, .max = INFINITY

const soma__field soma__optimizer_fields[] = {
    OPTION(kind, ENUM, .choices = soma__optimizer_names, .doc = "which one [sgd]"),
    OPTION(rate, FLOAT, POSITIVE, .doc = "learning rate [by kind]"),
    OPTION(momentum, FLOAT, SHARE, .doc = "sgd, rmsprop, lars [0]"),
    OPTION(dampening, FLOAT, SHARE, .doc = "sgd: share of the gradient kept out of momentum [0]"),
    OPTION(nesterov, BOOL, .doc = "sgd: look ahead along the momentum"),
    OPTION(sign, BOOL, .doc = "sgd: only the sign of each number of the step counts"),
    OPTION(beta1, FLOAT, SHARE, .doc = "adams, lion, lamb: of the mean [0.9]"),
    OPTION(beta2, FLOAT, SHARE, .doc = "adams, lion, lamb: of the mean square [0.999; lion 0.99]"),
    OPTION(amsgrad, BOOL, .doc = "adam, adamw: the greatest mean square so far"),
    OPTION(momentum_decay, FLOAT, SHARE, .doc = "nadam [0.004]"),
    OPTION(alpha, FLOAT, SHARE,
           .doc = "rmsprop, adadelta: of the mean square [0.99, 0.9]; asgd: power [0.75]"),
    OPTION(centered, BOOL, .doc = "rmsprop: divide by the deviation"),
    OPTION(rate_decay, FLOAT, POSITIVE, .doc = "adagrad: rate / (1 + rate_decay · step) [0]"),
    OPTION(initial_sum, FLOAT, POSITIVE, .doc = "adagrad: what the sum begins with [0]"),
    OPTION(trust, FLOAT, POSITIVE, .doc = "lars: trust coefficient [0.001]"),
    OPTION(shrink, FLOAT, SHARE, .doc = "rprop: factor of a step whose sign turned [0.5]"),
    OPTION(grow, FLOAT, POSITIVE, .doc = "rprop: factor of one whose sign stayed [1.2]"),
    OPTION(step_min, FLOAT, POSITIVE, .doc = "rprop: least step [1e-6]"),
    OPTION(step_max, FLOAT, POSITIVE, .doc = "rprop: greatest step [50]"),
    OPTION(lambda, FLOAT, POSITIVE, .doc = "asgd: decay [1e-4]"),
    OPTION(average_from, FLOAT, POSITIVE, .doc = "asgd: first step that is averaged [1e6]"),
    OPTION(iterations, INT, .min = 0, .max = 1e6, .doc = "lbfgs: at most, a step [20]"),
    OPTION(evaluations, INT, .min = 0, .max = 1e6,
           .doc = "lbfgs: of the loss, at most, a step [5/4 of the iterations]"),
    OPTION(history, INT, .min = 0, .max = 1000, .doc = "lbfgs: steps remembered [10]"),
    OPTION(tolerance_gradient, FLOAT, POSITIVE,
           .doc = "lbfgs: a step ends when no number of the gradient is above [1e-7]"),
    OPTION(tolerance_change, FLOAT, POSITIVE,
           .doc = "lbfgs: or when loss and parameters change less than this [1e-9]"),
    OPTION(eps, FLOAT, SHARE,
           .doc = "added to what is divided by [1e-8; adagrad 1e-10, adadelta, lamb 1e-6]"),
    OPTION(weight_decay, FLOAT, .doc = "L2 [0; adamw 0.01]; negative: none"),
    OPTION(decoupled, BOOL, .doc = "weight decay apart from the gradient [adamw, lion: always]"),
    OPTION(l1, FLOAT, POSITIVE, .doc = "weight of the sum of absolute values [0]"),
    OPTION(decay_weights_only, BOOL, .doc = "no decay, no l1 of biases and norms"),
    OPTION(max_norm, FLOAT, POSITIVE,
           .doc = "the weights of each output have at most this norm [0: off]"),
    OPTION(clip_value, FLOAT, POSITIVE,
           .doc = "each number of the gradient is limited to this [0: off]"),
    OPTION(clip_norm, FLOAT, POSITIVE,
           .doc = "the gradient's global norm is limited to this [0: off]"),
    {.key = "groups",
     .kind = SOMA__FIELD_VALUE,
     .offset = offsetof(soma__optimizer_section, groups),
     .doc = "list of {match, rate, decay}: parameters with options of their own"},
    OPTION(lookahead, INT, .min = 0, .max = 1e9,
           .doc = "slow weights follow every so many steps [0: off]"),
    OPTION(lookahead_alpha, FLOAT, SHARE, .doc = "how far the slow weights go [0.5]"),
    OPTION(sam, FLOAT, POSITIVE,
           .doc = "sharpness-aware: the gradient from this far uphill; twice the time [0: off]"),
    OPTION(ema, FLOAT, SHARE, .doc = "decay of averaged weights, which are kept [0: off]"),
    OPTION(ema_warmup, BOOL, .doc = "decay at most (1 + t) / (10 + t)"),
    OPTION(swa_epoch, INT, .min = 0, .max = 1e9,
           .doc = "from this epoch on the weights at the epochs' ends are averaged [0: off]"),
    OPTION(swa_rate, FLOAT, POSITIVE, .doc = "the rate from then on [the schedule's]"),
    OPTION(schedule, ENUM, .choices = soma__schedule_names,
           .doc = "how the rate changes [constant]"),
    OPTION(warmup_steps, FLOAT, POSITIVE, .doc = "steps of linear rise to the rate [0]"),
    OPTION(step_epochs, FLOAT, POSITIVE, .doc = "step: epochs between two drops [30]"),
    OPTION(gamma, FLOAT, POSITIVE,
           .doc = "step, multistep, plateau: factor of a drop [0.1]; exponential: of an epoch "
                  "[0.95]; cyclic_exponential: of a step [0.999]"),
    {.key = "milestones",
     .kind = SOMA__FIELD_VALUE,
     .offset = offsetof(soma__optimizer_section, milestones),
     .doc = "multistep: list of epochs"},
    OPTION(min_rate, FLOAT, POSITIVE,
           .doc = "cosine, linear, polynomial: rate at the end; cyclic, plateau: least [0]"),
    OPTION(power, FLOAT, POSITIVE, .doc = "polynomial [1]"),
    OPTION(cycle_epochs, FLOAT, POSITIVE, .doc = "cosine_restarts, cyclic: length [10]"),
    OPTION(cycle_growth, FLOAT, .min = 1, .max = 1e6,
           .doc = "cosine_restarts: each is longer by this factor [1]"),
    OPTION(rise, FLOAT, SHARE, .doc = "one_cycle: share of the training that rises [0.3]"),
    OPTION(div_start, FLOAT, .min = 1, .max = INFINITY, .doc = "one_cycle: rate / first [25]"),
    OPTION(div_end, FLOAT, .min = 1, .max = INFINITY, .doc = "one_cycle: first / last [1e4]"),
    OPTION(straight, BOOL, .doc = "one_cycle: lines instead of half cosines"),
    OPTION(momentum_low, FLOAT, SHARE, .doc = "one_cycle, cyclic [0.85, 0.8]"),
    OPTION(momentum_high, FLOAT, SHARE, .doc = "one_cycle, cyclic [0.95, 0.9]"),
    OPTION(keep_momentum, BOOL, .doc = "one_cycle, cyclic: leave momentum alone"),
    OPTION(plateau_epochs, INT, .min = 0, .max = 1e9,
           .doc = "plateau: epochs without a better value before a drop [10]"),
    OPTION(plateau_delta, FLOAT, SHARE,
           .doc = "plateau: what counts as better, as a share of the best value [1e-4]"),
    OPTION(cooldown, INT, .min = 0, .max = 1e9, .doc = "plateau: epochs to wait after a drop [0]"),
};
const int soma__optimizer_field_count =
    (int)(sizeof soma__optimizer_fields / sizeof soma__optimizer_fields[0]);

typedef struct group_section {
    const char *match;
    const soma__value *rate;
    double decay;
} group_section;

const soma__field soma__optimizer_group_fields[] = {
    {.key = "match",
     .kind = SOMA__FIELD_STRING,
     .offset = offsetof(group_section, match),
     .required = true,
     .doc = "names of parameters: * is any text, ? any one character"},
    {.key = "rate",
     .kind = SOMA__FIELD_VALUE,
     .offset = offsetof(group_section, rate),
     .doc = "a number, or a factor such as 0.1x [the optimizer's]"},
    {.key = "decay",
     .kind = SOMA__FIELD_FLOAT,
     .offset = offsetof(group_section, decay),
     .min = 0,
     .max = INFINITY,
     .doc = "instead of weight_decay [the same]"},
};
const int soma__optimizer_group_field_count =
    (int)(sizeof soma__optimizer_group_fields / sizeof soma__optimizer_group_fields[0]);

/* --- defaults -----------------------------------------------------------------------------------
 */

static bool is_zero(double value)
{
    return fpclassify(value) == FP_ZERO;
}

static void set_default(double *field, double value)
{
    if (is_zero(*field))
        *field = value;
}

static double either(double value, double common)
{
    return is_zero(value) ? common : value;
}

static void set_kind_defaults(soma_optimizer_options *o, const soma__optim_kind *kind)
{
    set_default(&o->rate, kind->rate);
    set_default(&o->weight_decay, kind->weight_decay);
    set_default(&o->beta1, 0.9);
    set_default(&o->beta2, either(kind->beta2, 0.999));
    set_default(&o->alpha, either(kind->alpha, 0.99));
    set_default(&o->eps, either(kind->eps, 1e-8));
    set_default(&o->momentum_decay, 0.004);
    set_default(&o->trust, 0.001);
    set_default(&o->shrink, 0.5);
    set_default(&o->grow, 1.2);
    set_default(&o->step_min, 1e-6);
    set_default(&o->step_max, 50);
    set_default(&o->lambda, 1e-4);
    set_default(&o->average_from, 1e6);
    set_default(&o->tolerance_gradient, 1e-7);
    set_default(&o->tolerance_change, 1e-9);
    o->iterations = o->iterations ? o->iterations : 20;
    o->evaluations = o->evaluations ? o->evaluations : o->iterations + o->iterations / 4;
    o->history = o->history ? o->history : 10;
    o->decoupled |= kind->decoupled;
}

static void set_schedule_defaults(soma_optimizer_options *o)
{
    bool one_cycle = o->schedule == SOMA_SCHEDULE_ONE_CYCLE;
    set_default(&o->step_epochs, 30);
    set_default(&o->gamma, o->schedule == SOMA_SCHEDULE_EXPONENTIAL          ? 0.95
                           : o->schedule == SOMA_SCHEDULE_CYCLIC_EXPONENTIAL ? 0.999
                                                                             : 0.1);
    set_default(&o->power, 1);
    set_default(&o->cycle_epochs, 10);
    set_default(&o->cycle_growth, 1);
    set_default(&o->rise, 0.3);
    set_default(&o->div_start, 25);
    set_default(&o->div_end, 1e4);
    set_default(&o->momentum_low, one_cycle ? 0.85 : 0.8);
    set_default(&o->momentum_high, one_cycle ? 0.95 : 0.9);
    set_default(&o->plateau_delta, 1e-4);
    o->plateau_epochs = o->plateau_epochs ? o->plateau_epochs : 10;
    set_default(&o->lookahead_alpha, 0.5);
}

/* --- what is refused ----------------------------------------------------------------------------
 */

static soma_status check_ranges(const soma_optimizer_options *o, soma_error *err)
{
    const struct {
        const char *name;
        double value;
    } below_one[] = {{"momentum", o->momentum},
                     {"dampening", o->dampening},
                     {"beta1", o->beta1},
                     {"beta2", o->beta2},
                     {"alpha", o->alpha},
                     {"ema", o->ema},
                     {"shrink", o->shrink},
                     {"rise", o->rise},
                     {"momentum_low", o->momentum_low},
                     {"momentum_high", o->momentum_high}},
      not_negative[] = {{"rate", o->rate},
                        {"eps", o->eps},
                        {"l1", o->l1},
                        {"max_norm", o->max_norm},
                        {"clip_value", o->clip_value},
                        {"clip_norm", o->clip_norm},
                        {"momentum_decay", o->momentum_decay},
                        {"rate_decay", o->rate_decay},
                        {"initial_sum", o->initial_sum},
                        {"trust", o->trust},
                        {"step_min", o->step_min},
                        {"step_max", o->step_max},
                        {"lambda", o->lambda},
                        {"average_from", o->average_from},
                        {"lookahead_alpha", o->lookahead_alpha},
                        {"sam", o->sam},
                        {"tolerance_gradient", o->tolerance_gradient},
                        {"tolerance_change", o->tolerance_change},
                        {"swa_rate", o->swa_rate},
                        {"warmup_steps", o->warmup_steps},
                        {"step_epochs", o->step_epochs},
                        {"gamma", o->gamma},
                        {"power", o->power},
                        {"cycle_epochs", o->cycle_epochs},
                        {"plateau_delta", o->plateau_delta},
                        {"min_rate", o->min_rate}},
      at_least_one[] = {{"grow", o->grow},
                        {"cycle_growth", o->cycle_growth},
                        {"div_start", o->div_start},
                        {"div_end", o->div_end}};

    for (size_t i = 0; i < sizeof below_one / sizeof below_one[0]; i++)
        if (!(below_one[i].value >= 0 && below_one[i].value < 1))
            return soma__fail(err, SOMA_INVALID, "optimizer: %s must be in [0, 1), got %g",
                              below_one[i].name, below_one[i].value);
    for (size_t i = 0; i < sizeof not_negative / sizeof not_negative[0]; i++)
        if (!(not_negative[i].value >= 0) || isinf(not_negative[i].value))
            return soma__fail(err, SOMA_INVALID,
                              "optimizer: %s must be a number of at least 0, got %g",
                              not_negative[i].name, not_negative[i].value);
    for (size_t i = 0; i < sizeof at_least_one / sizeof at_least_one[0]; i++)
        if (!(at_least_one[i].value >= 1) || isinf(at_least_one[i].value))
            return soma__fail(err, SOMA_INVALID,
                              "optimizer: %s must be a number of at least 1, got %g",
                              at_least_one[i].name, at_least_one[i].value);
    return SOMA_OK;
}

static soma_status check_schedule(const soma_optimizer_options *o, soma_error *err)
{
    if (o->min_rate > o->rate)
        return soma__fail(err, SOMA_INVALID, "optimizer: min_rate %g is above the learning rate %g",
                          o->min_rate, o->rate);
    if (o->schedule >= SOMA_SCHEDULE_ONE_CYCLE && o->schedule <= SOMA_SCHEDULE_CYCLIC_EXPONENTIAL &&
        o->warmup_steps > 0)
        return soma__fail(err, SOMA_INVALID,
                          "optimizer: the schedule %s rises by itself, it takes no warmup_steps",
                          soma__schedule_names[o->schedule]);
    if (o->schedule == SOMA_SCHEDULE_MULTISTEP && !(o->milestones[0] > 0))
        return soma__fail(err, SOMA_INVALID,
                          "optimizer: the schedule multistep needs milestones, for example "
                          "[30, 60, 80]");
    for (int i = 0; i < SOMA_MILESTONES; i++)
        if (!(o->milestones[i] >= 0) || isinf(o->milestones[i]) ||
            (i > 0 && o->milestones[i] > 0 && !(o->milestones[i] > o->milestones[i - 1])))
            return soma__fail(err, SOMA_INVALID,
                              "optimizer: milestones must be rising epochs, got %g",
                              o->milestones[i]);
    if (o->momentum_low > o->momentum_high)
        return soma__fail(err, SOMA_INVALID, "optimizer: momentum_low %g is above momentum_high %g",
                          o->momentum_low, o->momentum_high);
    return SOMA_OK;
}

static soma_status check_groups(const soma_optimizer_options *o, soma_error *err)
{
    if (o->group_count < 0 || o->group_count > 1000 || (o->group_count && !o->groups))
        return soma__fail(err, SOMA_INVALID, "optimizer: %d groups", o->group_count);
    for (int i = 0; i < o->group_count; i++) {
        const soma_optimizer_group *g = &o->groups[i];
        if (!g->match)
            return soma__fail(err, SOMA_INVALID, "optimizer: group %d has no match", i);
        if (!(g->rate >= 0) || !(g->rate_factor >= 0) || isinf(g->rate) || isinf(g->rate_factor) ||
            !isfinite(g->weight_decay))
            return soma__fail(err, SOMA_INVALID,
                              "optimizer: group '%s': rate and decay must be finite, and rate at "
                              "least 0",
                              g->match);
    }
    return SOMA_OK;
}

/* The rules that go beyond one field's range. */
static soma_status check(const soma_optimizer_options *o, soma_error *err)
{
    SOMA__TRY(check_ranges(o, err));
    if (!isfinite(o->weight_decay))
        return soma__fail(err, SOMA_INVALID, "optimizer: weight_decay must be finite");
    if (o->nesterov && is_zero(o->momentum))
        return soma__fail(err, SOMA_INVALID,
                          "optimizer: nesterov needs a momentum, for example 0.9");
    if (o->nesterov && o->dampening > 0)
        return soma__fail(err, SOMA_INVALID, "optimizer: nesterov takes no dampening");
    if (o->step_min > o->step_max)
        return soma__fail(err, SOMA_INVALID, "optimizer: step_min %g is above step_max %g",
                          o->step_min, o->step_max);
    if (o->iterations < 0 || o->iterations > 1000000 || o->evaluations < 0 ||
        o->evaluations > 1000000 || o->history < 0 || o->history > 1000)
        return soma__fail(err, SOMA_INVALID,
                          "optimizer: iterations, evaluations and history of lbfgs are out of "
                          "range");
    if (o->lookahead < 0 || o->swa_epoch < 0 || o->plateau_epochs < 0 || o->cooldown < 0)
        return soma__fail(err, SOMA_INVALID,
                          "optimizer: lookahead, swa_epoch, plateau_epochs and cooldown cannot be "
                          "negative");
    if (o->lookahead_alpha > 1)
        return soma__fail(err, SOMA_INVALID, "optimizer: lookahead_alpha must be at most 1, got %g",
                          o->lookahead_alpha);
    if ((o->ema > 0) + (o->swa_epoch > 0) + (o->kind == SOMA_ASGD) > 1)
        return soma__fail(err, SOMA_INVALID,
                          "optimizer: ema, swa_epoch and asgd each keep an average: choose one");
    SOMA__TRY(check_schedule(o, err));
    return check_groups(o, err);
}

soma_status soma__optimizer_defaults(soma_optimizer_options *options, soma_error *err)
{
    const soma__optim_kind *kind = soma__optim_kind_of(options->kind);

    if (!kind)
        return soma__fail(err, SOMA_INVALID, "optimizer: there is no kind number %d",
                          (int)options->kind);
    if (options->schedule > SOMA_SCHEDULE_PLATEAU)
        return soma__fail(err, SOMA_INVALID, "optimizer: there is no schedule number %d",
                          (int)options->schedule);
    set_kind_defaults(options, kind);
    set_schedule_defaults(options);
    return check(options, err);
}

/* --- groups -------------------------------------------------------------------------------------
 */

bool soma__glob(const char *pattern, const char *text)
{
    const char *star = NULL, *from = text; /* the last * and what it may still take */
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            from = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

int soma__optimizer_group_of(const soma_optimizer_options *options, const char *name)
{
    for (int i = 0; i < options->group_count; i++)
        if (soma__glob(options->groups[i].match, name))
            return i + 1;
    return 0;
}

/* --- from recipes -------------------------------------------------------------------------------
 */

/* "0.1x" is a factor, 0.1 a rate. */
static soma_status read_group_rate(soma_optimizer_group *out, soma__tree *tree,
                                   const soma__value *value, const char *where, soma_error *err)
{
    if (!value || value->kind == SOMA__NULL)
        return SOMA_OK;
    soma__value number = *value;
    bool factor = value->kind == SOMA__STRING && soma__ends_with(value->text, "x");
    if (factor) {
        char *text = soma__arena_strdup(&tree->arena, value->text);
        if (!text)
            return soma__fail(err, SOMA_MEMORY, "no memory for the recipe");
        text[strlen(text) - 1] = '\0';
        soma__value_plain(&number, text);
    }
    if ((number.kind != SOMA__INT && number.kind != SOMA__FLOAT) || !(number.number > 0) ||
        isinf(number.number))
        return soma__value_fail(tree, value, err,
                                "%s.rate: expected a number above 0, or a factor such as 0.1x; to "
                                "hold parameters still, freeze their layer",
                                where);
    *(factor ? &out->rate_factor : &out->rate) = number.number;
    return SOMA_OK;
}

static soma_status read_groups(soma_optimizer_options *out, soma__tree *tree,
                               const soma__value *list, const char *where, soma_error *err)
{
    if (!list || list->kind == SOMA__NULL)
        return SOMA_OK;
    if (list->kind != SOMA__LIST)
        return soma__value_fail(tree, list, err, "%s.groups: expected a list of maps", where);
    soma_optimizer_group *groups =
        soma__arena_array(&tree->arena, (size_t)list->count + 1, sizeof *groups);
    if (!groups)
        return soma__fail(err, SOMA_MEMORY, "no memory for the recipe");
    int count = 0;
    for (const soma__value *row = list->first; row; row = row->next) {
        char place[128];
        group_section section = {.decay = NAN};
        snprintf(place, sizeof place, "%.90s.groups.%d", where, count);
        SOMA__TRY(soma__fields_read(soma__optimizer_group_fields,
                                    (size_t)soma__optimizer_group_field_count, &section, tree, row,
                                    place, err));
        soma_optimizer_group *group = &groups[count++];
        *group = (soma_optimizer_group){.match = section.match};
        if (!isnan(section.decay))
            group->weight_decay = section.decay > 0 ? section.decay : -1;
        SOMA__TRY(read_group_rate(group, tree, section.rate, place, err));
    }
    out->groups = groups;
    out->group_count = count;
    return SOMA_OK;
}

static soma_status read_milestones(soma_optimizer_options *out, const soma__tree *tree,
                                   const soma__value *list, const char *where, soma_error *err)
{
    int count = 0;
    if (!list || list->kind == SOMA__NULL)
        return SOMA_OK;
    if (list->kind != SOMA__LIST || list->count < 1 || list->count > SOMA_MILESTONES)
        return soma__value_fail(tree, list, err, "%s.milestones: expected a list of 1 to %d epochs",
                                where, SOMA_MILESTONES);
    for (const soma__value *row = list->first; row; row = row->next) {
        if ((row->kind != SOMA__INT && row->kind != SOMA__FLOAT) || !(row->number > 0) ||
            (count > 0 && row->number <= out->milestones[count - 1]))
            return soma__value_fail(
                tree, row, err, "%s.milestones: expected rising numbers of epochs above 0", where);
        out->milestones[count++] = row->number;
    }
    return SOMA_OK;
}

soma_status soma__optimizer_read(soma_optimizer_options *out, soma__tree *tree,
                                 const soma__value *value, const char *where, soma_error *err)
{
    soma__optimizer_section section = {.options = *out};
    if (!value || value->kind == SOMA__NULL)
        return SOMA_OK;
    if (value->kind == SOMA__STRING) {
        /* The short form, `optimizer: adam`, means {kind: adam}. */
        soma__value *map = soma__value_new(tree, SOMA__MAP);
        soma__value *kind = soma__value_string(tree, value->text);
        if (!map || !kind || !soma__value_set(tree, map, "kind", kind))
            return soma__fail(err, SOMA_MEMORY, "no memory for the recipe");
        map->line = kind->line = value->line;
        value = map;
    }
    SOMA__TRY(soma__fields_read(soma__optimizer_fields, (size_t)soma__optimizer_field_count,
                                &section, tree, value, where, err));
    *out = section.options;
    SOMA__TRY(read_groups(out, tree, section.groups, where, err));
    return read_milestones(out, tree, section.milestones, where, err);
}
