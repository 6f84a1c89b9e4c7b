/* schedule.c: the learning rate of each step. */
#include <math.h>

#include "optim/optim.h"

/* In the order of soma_schedule_kind. */
const char *const soma__schedule_names[] = {"constant", "step", "cosine", NULL};

#define PI 3.14159265358979323846

double soma__schedule_rate(const soma_optimizer_options *options, int64_t step,
                           int64_t steps_per_epoch, int64_t total_steps)
{
    double rate = options->rate, at = (double)step, warmup = options->warmup_steps;

    /* Counting from 1 makes the first step already move and step `warmup_steps` - 1 the first with
     * the whole rate. */
    if (at < warmup)
        return rate * fmin(1, (at + 1) / warmup);
    switch (options->schedule) {
    case SOMA_SCHEDULE_CONSTANT:
        break;
    case SOMA_SCHEDULE_STEP: {
        /* Epochs count from the beginning, as the user does, warm-up or not. */
        double each = options->step_epochs * (double)(steps_per_epoch > 0 ? steps_per_epoch : 1);
        return rate * pow(options->gamma, floor(at / each));
    }
    case SOMA_SCHEDULE_COSINE: {
        double left = (double)total_steps - warmup;
        double part = left > 0 ? fmin(1, (at - warmup) / left) : 1;
        return options->min_rate + (rate - options->min_rate) * 0.5 * (1 + cos(PI * part));
    }
    }
    return rate;
}
