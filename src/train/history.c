/* history.c: what each epoch brought, as a table, as JSON lines and as a picture. */
#include <math.h>

#include "base/file.h"
#include "format/json.h"
#include "format/plot.h"
#include "train/train.h"

void soma_history_clear(soma_history *history)
{
    if (!history)
        return;
    soma__free(history->epochs);
    *history = (soma_history){.best = -1};
}

soma_status soma__history_add(soma__run *run, const soma_epoch *epoch, soma_error *err)
{
    if (!soma__grow((void **)&run->history.epochs, &run->history_capacity,
                    (size_t)run->history.count, sizeof *epoch))
        return soma__fail(err, SOMA_MEMORY, "no memory for the history");
    run->history.epochs[run->history.count++] = *epoch;
    return SOMA_OK;
}

void soma__history_line(soma__text *out, const soma_epoch *epoch)
{
    soma__text_add(out, "{\"epoch\":%lld", (long long)epoch->epoch);
    soma__json_member(out, "loss", epoch->train.loss);
    soma__json_member(out, "accuracy", epoch->train.accuracy);
    soma__text_add(out, ",\"samples\":%lld", (long long)epoch->train.samples);
    soma__json_member(out, "val_loss", epoch->validation.samples ? epoch->validation.loss : NAN);
    soma__json_member(out, "val_accuracy",
                      epoch->validation.samples ? epoch->validation.accuracy : NAN);
    soma__text_add(out, ",\"val_samples\":%lld", (long long)epoch->validation.samples);
    soma__json_member(out, "rate", epoch->rate);
    soma__json_member(out, "seconds", epoch->seconds);
    soma__text_add(out, ",\"best\":%s}", epoch->best ? "true" : "false");
}

soma_status soma__history_write(const soma__run *run, soma_error *err)
{
    if (!run->history_path)
        return SOMA_OK;
    soma__text text = {0};
    for (int64_t i = 0; i < run->history.count; i++) {
        soma__history_line(&text, &run->history.epochs[i]);
        soma__text_add(&text, "\n");
    }
    size_t length = text.length;
    char *lines;
    SOMA__TRY(soma__text_take(&text, &lines, err));
    soma_status status = soma__file_write(run->history_path, lines, length, err);
    soma__free(lines);
    return status;
}

soma_status soma_history_plot(const soma_history *history, const char *path, soma_error *err)
{
    if (!history || history->count < 1)
        return soma__fail(err, SOMA_INVALID, "there is no epoch to draw");
    size_t n = (size_t)history->count;
    double *y = soma__calloc(n, 5 * sizeof *y);
    if (!y)
        return soma__fail(err, SOMA_MEMORY, "no memory for the picture");
    bool validated = false, accurate = false;
    for (size_t i = 0; i < n; i++) {
        const soma_epoch *e = &history->epochs[i];
        bool has_validation = e->validation.samples > 0;
        y[i] = (double)e->epoch;
        y[n + i] = e->train.loss;
        y[2 * n + i] = has_validation ? e->validation.loss : NAN;
        y[3 * n + i] = e->train.accuracy;
        y[4 * n + i] = has_validation ? e->validation.accuracy : NAN;
        validated = validated || has_validation;
        accurate = accurate || isfinite(e->train.accuracy);
    }
    const soma__plot_series series[] = {{"training", y, y + n, n},
                                        {"validation", y, y + 2 * n, n},
                                        {"training", y, y + 3 * n, n},
                                        {"validation", y, y + 4 * n, n}};
    size_t shown = validated ? 2 : 1;
    const soma__plot_panel panels[] = {{"loss", "epoch", series, shown},
                                       {"accuracy", "epoch", series + 2, shown}};
    soma__plot plot = {.panels = panels, .count = accurate ? 2 : 1};
    soma_status status = soma__plot_write(path, &plot, err);
    soma__free(y);
    return status;
}
