/* probe.c: short looks at a model: a fitting learning rate, one batch by heart, gradients on their
 * way back. All of them run the steps of training, then put the model back as it was. */
#include <math.h>
#include <string.h>

#include "data/dataset.h"
#include "format/plot.h"
#include "optim/optim.h"
#include "train/train.h"

/* A run of steps on batches of the training order. */
typedef struct probe {
    soma_model *model;
    soma_dataset *dataset;
    soma_train_options options;
    soma_optimizer *optimizer;
    soma__loss loss;
    float *hyper;
    soma_loader *loader;
    soma__step step;
    soma_tensor **kept; /* copies of all parameters */
    int64_t taken, epoch;
} probe;

static soma_status keep_model(probe *p, soma_error *err)
{
    int count = soma_model_parameter_count(p->model);
    p->kept = soma__calloc((size_t)count + 1, sizeof(soma_tensor *));
    if (!p->kept)
        return soma__fail(err, SOMA_MEMORY, "no memory to keep the weights");
    for (int i = 0; i < count; i++) {
        const soma_tensor *t = soma_model_parameter(p->model, i)->tensor;
        SOMA__TRY(
            soma_tensor_create(&p->kept[i], soma_tensor_dtype(t), *soma_tensor_shape(t), err));
        memcpy(soma_tensor_data(p->kept[i]), soma_tensor_const_data(t), soma_tensor_bytes(t));
    }
    return SOMA_OK;
}

static void probe_close(probe *p)
{
    /* A list that is not whole belongs to a probe that has not begun. */
    int count = p->kept ? soma_model_parameter_count(p->model) : 0;
    for (int i = 0; i < count; i++) {
        soma_tensor *t = soma_model_parameter(p->model, i)->tensor;
        if (p->kept[i])
            memcpy(soma__tensor_write(t), soma_tensor_const_data(p->kept[i]), soma_tensor_bytes(t));
        soma_tensor_release(p->kept[i]);
    }
    soma__free(p->kept);
    soma__step_destroy(&p->step);
    soma_loader_destroy(p->loader);
    soma_optimizer_destroy(p->optimizer);
    soma__loss_clear(&p->loss);
    soma__free(p->hyper);
}

static soma_status probe_open(probe *p, soma_model *model, soma_dataset *dataset,
                              const soma_train_options *options, soma_error *err)
{
    p->model = model;
    p->dataset = dataset;
    if (!model || !dataset)
        return soma__fail(err, SOMA_INVALID, "a probe needs a model and a data set");
    int64_t batch = options->batch > 0 ? options->batch : 32;
    batch = batch < dataset->count ? batch : dataset->count;
    SOMA__TRY(soma__loss_create(&p->loss, &options->loss, model, dataset, err));
    SOMA__TRY(soma__data_fits(model, &p->loss, dataset, "data", err));
    SOMA__TRY(keep_model(p, err));
    SOMA__TRY(
        soma__optimizer_for_model(&p->optimizer, &p->hyper, model, &p->options.optimizer, err));
    soma_loader_options loader = {.batch = batch,
                                  .shuffle = !options->no_shuffle,
                                  .balanced = options->balanced,
                                  .drop_last = true,
                                  .seed = options->seed,
                                  .threads = options->loader_threads};
    SOMA__TRY(soma_loader_create(&p->loader, dataset, &loader, err));
    SOMA__TRY(soma_loader_start(p->loader, 0, 0, err));
    return soma__step_create(&p->step, model, dataset, batch, p->optimizer, &p->loss, err);
}

/* The next full batch, from the next epoch when this one is over. */
static soma_status next_batch(probe *p, const void **x, const void **y, soma_error *err)
{
    int64_t count;
    SOMA__TRY(soma_loader_next(p->loader, x, y, &count, err));
    if (count)
        return SOMA_OK;
    SOMA__TRY(soma_loader_start(p->loader, ++p->epoch, 0, err));
    return soma_loader_next(p->loader, x, y, &count, err);
}

/* One step at `factor` times the rate; *loss is the batch's mean before it. */
static soma_status take_step(probe *p, const void *x, const void *y, double factor, double *loss,
                             double *accuracy, soma_error *err)
{
    const int64_t key[2] = {(int64_t)p->options.seed, p->taken};
    soma_optimizer_set_factor(p->optimizer, factor);
    /* One epoch that never ends: no schedule moves. */
    soma_optimizer_hyper(p->optimizer, p->taken++, INT32_MAX, INT32_MAX, p->hyper);
    SOMA__TRY(soma__step_feed(&p->step, p->model, p->dataset, x, y, p->hyper, key, err));
    SOMA__TRY(soma_session_run(p->step.session, err));
    soma__meter meter = {0};
    soma__meter_add(&meter, &p->step);
    soma_metrics metrics = soma__meter_read(&meter, p->model);
    *loss = metrics.loss;
    if (accuracy)
        *accuracy = metrics.accuracy;
    return SOMA_OK;
}

/* What a probe wants of the options: the kind of optimiser and its constants, nothing that acts
 * over many steps. */
static soma_train_options plain(const soma_train_options *options)
{
    soma_train_options o = options ? *options : (soma_train_options){0};
    o.optimizer.schedule = SOMA_SCHEDULE_CONSTANT;
    o.optimizer.warmup_steps = o.optimizer.min_rate = 0;
    o.optimizer.ema = 0;
    o.optimizer.swa_epoch = 0;
    o.optimizer.sam = 0;
    o.optimizer.lookahead = 0;
    return o;
}

/* --- learning rate ------------------------------------------------------------------------------
 */

#define SMOOTH 0.98
#define WORSE 4.0

void soma_rate_test_clear(soma_rate_test *test)
{
    if (!test)
        return;
    soma__free(test->rates);
    *test = (soma_rate_test){0};
}

/* Slopes over the logarithm of the rate, up to where the loss is lowest. They are taken over a
 * tenth of the steps to either side, and not within the first of these, where the average is of a
 * few batches and moves with each of them. */
static void choose_rates(soma_rate_test *t)
{
    int64_t low = 0, span = t->count / 10 > 1 ? t->count / 10 : 1;
    double slope = 0;
    t->steepest = t->lowest = NAN;
    for (int64_t i = 1; i < t->count; i++)
        low = t->losses[i] < t->losses[low] ? i : low;
    for (int64_t i = 2 * span; i < low && i + span < t->count; i++) {
        double fall = t->losses[i + span] - t->losses[i - span];
        double s = fall / log(t->rates[i + span] / t->rates[i - span]);
        if (s < slope) {
            slope = s;
            t->steepest = t->rates[i];
        }
    }
    if (low > 2 * span)
        t->lowest = t->rates[low] / 10;
}

static soma_status sweep(probe *p, double from, double to, int64_t steps, soma_rate_test *out,
                         soma_error *err)
{
    double average = 0, best = INFINITY;
    for (int64_t i = 0; i < steps; i++) {
        const void *x, *y;
        double loss, rate = from * pow(to / from, (double)i / (double)(steps - 1));
        SOMA__TRY(next_batch(p, &x, &y, err));
        SOMA__TRY(take_step(p, x, y, rate / from, &loss, NULL, err));
        average = SMOOTH * average + (1 - SMOOTH) * loss;
        double smooth = average / (1 - pow(SMOOTH, (double)(i + 1)));
        if (!isfinite(smooth) || smooth > WORSE * best)
            break;
        best = fmin(best, smooth);
        out->rates[i] = rate;
        out->losses[i] = smooth;
        out->count = i + 1;
    }
    choose_rates(out);
    return SOMA_OK;
}

soma_status soma_find_rate(soma_model *model, soma_dataset *dataset,
                           const soma_train_options *options, double from, double to, int64_t steps,
                           soma_rate_test *out, soma_error *err)
{
    *out = (soma_rate_test){.steepest = NAN, .lowest = NAN};
    from = from > 0 ? from : 1e-7;
    to = to > 0 ? to : 10;
    steps = steps > 0 ? steps : 100;
    if (!(from < to) || steps < 2 || steps > 1000000)
        return soma__fail(err, SOMA_INVALID,
                          "rates from %g to %g in %lld steps: take a rising range and 2 to 1000000 "
                          "steps",
                          from, to, (long long)steps);
    probe p = {.options = plain(options)};
    SOMA__TRY(soma__optimizer_defaults(&p.options.optimizer, err));
    out->current = p.options.optimizer.rate;
    p.options.optimizer.rate = from;
    p.options.optimizer.groups = NULL;
    p.options.optimizer.group_count = 0;
    out->rates = soma__calloc((size_t)steps, 2 * sizeof *out->rates);
    soma_status status =
        out->rates ? SOMA_OK
                   : soma__fail(err, SOMA_MEMORY, "no memory for %lld rates", (long long)steps);
    out->losses = out->rates ? out->rates + steps : NULL;
    if (status == SOMA_OK)
        status = probe_open(&p, model, dataset, &p.options, err);
    if (status == SOMA_OK)
        status = sweep(&p, from, to, steps, out, err);
    probe_close(&p);
    if (status != SOMA_OK)
        soma_rate_test_clear(out);
    return status;
}

soma_status soma_rate_test_plot(const soma_rate_test *test, const char *path, soma_error *err)
{
    if (!test || test->count < 2)
        return soma__fail(err, SOMA_INVALID, "there is no curve to draw");
    double *x = soma__calloc((size_t)test->count, sizeof *x);
    if (!x)
        return soma__fail(err, SOMA_MEMORY, "no memory for the picture");
    for (int64_t i = 0; i < test->count; i++)
        x[i] = log10(test->rates[i]);
    const soma__plot_series series = {"smoothed loss", x, test->losses, (size_t)test->count};
    const soma__plot_panel panel = {"loss", "learning rate, power of ten", &series, 1};
    soma_status status = soma__plot_write(path, &(soma__plot){.panels = &panel, .count = 1}, err);
    soma__free(x);
    return status;
}

/* --- one batch by heart -------------------------------------------------------------------------
 */

/* The loader's batch is gone with the next one, this one is to stay. */
static soma_status copy_batch(probe *p, void **x, void **y, soma_error *err)
{
    const void *from_x, *from_y;
    SOMA__TRY(next_batch(p, &from_x, &from_y, err));
    size_t x_bytes = (size_t)p->step.batch * p->dataset->x_bytes;
    size_t y_bytes = (size_t)p->step.batch * p->dataset->y_bytes;
    *x = soma__aligned(x_bytes);
    *y = soma__aligned(y_bytes);
    if (!*x || !*y)
        return soma__fail(err, SOMA_MEMORY, "no memory for a batch of %lld samples",
                          (long long)p->step.batch);
    memcpy(*x, from_x, x_bytes);
    memcpy(*y, from_y, y_bytes);
    return SOMA_OK;
}

static soma_status learn_batch(probe *p, const void *x, const void *y, soma_overfit_test *out,
                               soma_error *err)
{
    for (int64_t i = 0; i < out->steps; i++) {
        SOMA__TRY(take_step(p, x, y, 1, &out->last_loss, &out->accuracy, err));
        if (i == 0)
            out->first_loss = out->worst_loss = out->last_loss;
        out->worst_loss = fmax(out->worst_loss, out->last_loss);
        if (!isfinite(out->last_loss))
            break;
    }
    out->learnt = out->last_loss < out->first_loss / 10 || out->accuracy == 1;
    return SOMA_OK;
}

soma_status soma_overfit(soma_model *model, soma_dataset *dataset,
                         const soma_train_options *options, int64_t steps, soma_overfit_test *out,
                         soma_error *err)
{
    *out = (soma_overfit_test){.steps = steps > 0 ? steps : 200};
    probe p = {.options = plain(options)};
    p.options.optimizer.weight_decay = -1;
    void *x = NULL, *y = NULL;
    soma_status status = probe_open(&p, model, dataset, &p.options, err);
    out->samples = p.step.batch;
    if (status == SOMA_OK)
        status = copy_batch(&p, &x, &y, err);
    if (status == SOMA_OK)
        status = learn_batch(&p, x, y, out, err);
    soma__free(x);
    soma__free(y);
    probe_close(&p);
    return status;
}

/* --- gradients ----------------------------------------------------------------------------------
 */

#define FLOW_RANGE 1000.0

static double mean_square(const soma_tensor *t)
{
    int64_t n = soma_tensor_count(t);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = soma_tensor_get(t, i);
        sum += v * v;
    }
    return n ? sum / (double)n : 0;
}

static bool is_weight(const soma_model *model, const char *name)
{
    return soma_tensor_shape(soma_model_find(model, name)->tensor)->ndim >= 2;
}

/* Gradients start at the last weight; what has become of them on the way to the first is the
 * question. */
static void judge(const soma_model *model, soma_gradient_row *rows, int count)
{
    double last = 0;
    for (int i = 0; i < count; i++)
        if (is_weight(model, rows[i].name))
            last = rows[i].gradient;
    for (int i = 0; i < count; i++) {
        if (!is_weight(model, rows[i].name))
            continue;
        if (!(rows[i].gradient <= last * FLOW_RANGE) || !isfinite(last))
            rows[i].flow = SOMA_FLOW_EXPLODING;
        else if (rows[i].gradient < last / FLOW_RANGE || rows[i].gradient == 0)
            rows[i].flow = SOMA_FLOW_VANISHING;
    }
}

/* The momentum of a first step of sgd is the gradient itself, and at rate 0 nothing moves. */
static soma_status gather(probe *p, int64_t batches, soma_gradient_row *rows, int count,
                          soma_error *err)
{
    for (int64_t b = 0; b < batches; b++) {
        const void *x, *y;
        double loss;
        for (int i = 0; i < count; i++) {
            soma_tensor *state = soma_optimizer_state(p->optimizer, i);
            memset(soma_tensor_data(state), 0, soma_tensor_bytes(state));
        }
        SOMA__TRY(next_batch(p, &x, &y, err));
        SOMA__TRY(take_step(p, x, y, 0, &loss, NULL, err));
        if (!isfinite(loss))
            return soma__fail(err, SOMA_NUMERIC, "the loss of a batch is not finite");
        for (int i = 0; i < count; i++)
            rows[i].gradient +=
                mean_square(soma_optimizer_state(p->optimizer, i)) / (double)batches;
    }
    for (int i = 0; i < count; i++)
        rows[i].gradient = sqrt(rows[i].gradient);
    judge(p->model, rows, count);
    return SOMA_OK;
}

soma_status soma_gradient_flow(soma_model *model, soma_dataset *dataset,
                               const soma_train_options *options, int64_t batches,
                               soma_gradient_row **rows, int *count, soma_error *err)
{
    *rows = NULL;
    *count = 0;
    probe p = {.options = plain(options)};
    p.options.optimizer = (soma_optimizer_options){.kind = SOMA_SGD, .rate = 1, .momentum = 0.5};
    soma_status status = probe_open(&p, model, dataset, &p.options, err);
    int n = status == SOMA_OK ? soma_optimizer_state_count(p.optimizer) : 0, row = 0;
    soma_gradient_row *list = soma__calloc((size_t)n + 1, sizeof *list);
    if (status == SOMA_OK && !list)
        status = soma__fail(err, SOMA_MEMORY, "no memory for %d gradients", n);
    for (int i = 0; status == SOMA_OK && i < soma_model_parameter_count(model); i++) {
        const soma_parameter *parameter = soma_model_parameter(model, i);
        if (parameter->trainable)
            list[row++] = (soma_gradient_row){.name = parameter->name,
                                              .weight = sqrt(mean_square(parameter->tensor))};
    }
    if (status == SOMA_OK)
        status = gather(&p, batches > 0 ? batches : 4, list, n, err);
    probe_close(&p);
    if (status != SOMA_OK) {
        soma__free(list);
        return status;
    }
    *rows = list;
    *count = n;
    return SOMA_OK;
}
