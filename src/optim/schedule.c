/* schedule.c: the learning rate, and for some the momentum, of each step: functions of the step
 * alone, so that a resumed training needs no memory of them. Those of PyTorch's
 * torch.optim.lr_scheduler, stepped at each step where PyTorch leaves the choice. */
#include <math.h>

#include "optim/optim.h"

/* In the order of soma_schedule_kind. */
const char *const soma__schedule_names[] = {"constant",
                                            "step",
                                            "cosine",
                                            "multistep",
                                            "exponential",
                                            "linear",
                                            "polynomial",
                                            "cosine_restarts",
                                            "one_cycle",
                                            "cyclic",
                                            "cyclic_halving",
                                            "cyclic_exponential",
                                            "inverse_sqrt",
                                            "plateau",
                                            NULL};
const char *const soma__schedule_docs[] = {
    "the rate, after the warm-up if there is one",
    "× gamma every step_epochs epochs",
    "half a cosine from the rate to min_rate over the whole training",
    "× gamma at each epoch of milestones",
    "× gamma each epoch",
    "straight from the rate to min_rate over the whole training",
    "rate to min_rate as (1 - t)^power over the whole training",
    "half cosines of cycle_epochs, each cycle_growth times as long (Loshchilov & Hutter 2017)",
    "up from rate / div_start for the share rise, then down; momentum against it (Smith 2018)",
    "triangles of cycle_epochs between min_rate and rate; momentum against it (Smith 2017)",
    "cyclic, each triangle half as high as the last",
    "cyclic, the height × gamma at each step",
    "after the warm-up rate · √(warmup_steps / step) (noam, Vaswani et al. 2017)",
    "× gamma when the watched metric got no better for plateau_epochs epochs",
    NULL};

#define PI 3.14159265358979323846

/* from -> to as part goes from 0 to 1, along half a cosine. */
static double half_cosine(double from, double to, double part)
{
    return to + (from - to) * 0.5 * (1 + cos(PI * part));
}

static double anneal(const soma_optimizer_options *o, double from, double to, double part)
{
    return o->straight ? from + (to - from) * part : half_cosine(from, to, part);
}

/* How far one_cycle has come: true while it rises; *part from 0 to 1 in either phase. */
static bool one_cycle_rises(const soma_optimizer_options *o, soma__when when, double *part)
{
    double turn = o->rise * (double)when.total_steps - 1, end = (double)when.total_steps - 1;
    double at = (double)when.step;
    bool rises = at <= turn;
    double start = rises ? 0 : fmax(turn, 0), length = rises ? turn : end - start;
    *part = length > 0 ? fmin(1, (at - start) / length) : 1;
    return rises;
}

/* The height of a triangle at this step, from 0 to 1. */
static double triangle(const soma_optimizer_options *o, soma__when when, double steps_per_epoch)
{
    double at = (double)when.step / (o->cycle_epochs * steps_per_epoch);
    double cycle = floor(at), x = at - cycle;
    double height = x <= 0.5 ? x / 0.5 : (1 - x) / 0.5;
    if (o->schedule == SOMA_SCHEDULE_CYCLIC_HALVING)
        return height * pow(0.5, cycle);
    if (o->schedule == SOMA_SCHEDULE_CYCLIC_EXPONENTIAL)
        return height * pow(o->gamma, (double)when.step);
    return height;
}

/* Which part of its cycle a step lies in, when each is `growth` times as long as the last. */
static double part_of_cycle(double at, double length, double growth)
{
    if (growth <= 1)
        return fmod(at, length) / length;
    while (at >= length) {
        at -= length;
        length *= growth;
    }
    return at / length;
}

static double milestones_passed(const soma_optimizer_options *o, double epoch)
{
    int passed = 0;
    while (passed < SOMA_MILESTONES && o->milestones[passed] > 0 && epoch >= o->milestones[passed])
        passed++;
    return passed;
}

double soma__schedule_rate(const soma_optimizer_options *o, soma__when when)
{
    double rate = o->rate, low = o->min_rate, at = (double)when.step, warmup = o->warmup_steps;
    double each = when.steps_per_epoch > 0 ? (double)when.steps_per_epoch : 1, part;
    /* Epochs count from the beginning, as the user does, warm-up or not. */
    double epoch = floor(at / each);

    if (o->swa_epoch > 0 && o->swa_rate > 0 && epoch + 1 >= (double)o->swa_epoch)
        return o->swa_rate;
    /* Counting from 1 makes the first step already move and step `warmup_steps` - 1 the first with
     * the whole rate. */
    if (at < warmup)
        return rate * fmin(1, (at + 1) / warmup);
    double left = (double)when.total_steps - warmup;
    double done = left > 0 ? fmin(1, (at - warmup) / left) : 1;
    switch (o->schedule) {
    case SOMA_SCHEDULE_CONSTANT:
    case SOMA_SCHEDULE_PLATEAU: /* the loop scales it */
        break;
    case SOMA_SCHEDULE_STEP:
        return rate * pow(o->gamma, floor(at / (o->step_epochs * each)));
    case SOMA_SCHEDULE_MULTISTEP:
        return rate * pow(o->gamma, milestones_passed(o, at / each));
    case SOMA_SCHEDULE_EXPONENTIAL:
        return rate * pow(o->gamma, epoch);
    case SOMA_SCHEDULE_COSINE:
        return half_cosine(rate, low, done);
    case SOMA_SCHEDULE_LINEAR:
        return low + (rate - low) * (1 - done);
    case SOMA_SCHEDULE_POLYNOMIAL:
        return low + (rate - low) * pow(1 - done, o->power);
    case SOMA_SCHEDULE_COSINE_RESTARTS:
        return half_cosine(rate, low,
                           part_of_cycle(at - warmup, o->cycle_epochs * each, o->cycle_growth));
    case SOMA_SCHEDULE_ONE_CYCLE: {
        double start = rate / o->div_start;
        bool rises = one_cycle_rises(o, when, &part);
        return rises ? anneal(o, start, rate, part) : anneal(o, rate, start / o->div_end, part);
    }
    case SOMA_SCHEDULE_CYCLIC:
    case SOMA_SCHEDULE_CYCLIC_HALVING:
    case SOMA_SCHEDULE_CYCLIC_EXPONENTIAL:
        return low + (rate - low) * triangle(o, when, each);
    case SOMA_SCHEDULE_INVERSE_SQRT:
        return rate * sqrt(fmax(1, warmup) / (at + 1));
    }
    return rate;
}

bool soma__schedule_cycles(const soma_optimizer_options *o)
{
    soma__optim_cycles what = soma__optim_kind_of(o->kind)->cycles;
    if (o->keep_momentum || what == SOMA__CYCLES_NONE ||
        (what == SOMA__CYCLES_MOMENTUM && !(o->momentum > 0)))
        return false;
    return o->schedule >= SOMA_SCHEDULE_ONE_CYCLE &&
           o->schedule <= SOMA_SCHEDULE_CYCLIC_EXPONENTIAL;
}

double soma__schedule_momentum(const soma_optimizer_options *o, soma__when when)
{
    double low = o->momentum_low, high = o->momentum_high, part;
    double each = when.steps_per_epoch > 0 ? (double)when.steps_per_epoch : 1;
    if (!soma__schedule_cycles(o))
        return soma__optim_kind_of(o->kind)->cycles == SOMA__CYCLES_MOMENTUM ? o->momentum
                                                                             : o->beta1;
    if (o->schedule != SOMA_SCHEDULE_ONE_CYCLE)
        return high - (high - low) * triangle(o, when, each);
    bool rises = one_cycle_rises(o, when, &part);
    return rises ? anneal(o, high, low, part) : anneal(o, low, high, part);
}

void soma__plateau_epoch(soma__plateau *p, const soma_optimizer_options *o, double value,
                         bool greater)
{
    double least = o->rate > 0 ? o->min_rate / o->rate : 0;
    double bar = p->best * (greater ? 1 + o->plateau_delta : 1 - o->plateau_delta);
    if (isnan(p->best) || (greater ? value > bar : value < bar)) {
        p->best = value;
        p->bad = 0;
    } else {
        p->bad++;
    }
    if (p->cooldown > 0) {
        p->cooldown--;
        p->bad = 0;
    }
    if (p->bad > o->plateau_epochs) {
        p->factor = fmax(p->factor * o->gamma, least);
        p->cooldown = o->cooldown;
        p->bad = 0;
    }
}
