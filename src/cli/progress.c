/* progress.c: the progress bar of a training.
 *
 *   epoch 3/30 ━━━━━━━━──────────────── 34 %  loss 0.2714  accuracy 91.8 %  21,034/s  0:12 left
 *
 * The bar is that of the whole training. It is redrawn at most ten times a second, fits the width
 * that the terminal has at that moment, and leaves nothing behind. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"

#define SECONDS_BETWEEN 0.1
#define BAR_MOST 32 /* cells; a longer bar tells no more */
#define BAR_LEAST 6

/* Does the terminal show UTF-8? The first of these that is set decides, as in setlocale. */
static bool shows_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strstr(value, "UTF-8") || strstr(value, "utf8") || strstr(value, "utf-8");
    }
    return false;
}

void cli_progress_open(cli_progress *progress, FILE *out)
{
    const char *term = getenv("TERM");
    *progress = (cli_progress){.out = out, .first_step = -1, .utf8 = shows_utf8()};
    progress->on = isatty(fileno(out)) && !(term && strcmp(term, "dumb") == 0);
}

static int terminal_width(const cli_progress *progress)
{
    struct winsize size;
    if (ioctl(fileno(progress->out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

static void add_bar(const cli_progress *progress, soma__text *line, int cells, double share)
{
    int full = (int)(share * cells + 0.5);
    for (int i = 0; i < cells; i++) {
        const char *cell = i < full ? "#" : "-";
        if (progress->utf8)
            cell = i < full ? "\xe2\x94\x81" : "\xe2\x94\x80"; /* heavy and light line */
        soma__text_add(line, "%s", cell);
    }
}

/* "1:02:03 left" */
static void add_left(soma__text *text, double seconds)
{
    if (!isfinite(seconds) || seconds < 0 || seconds > 360000)
        return;
    int64_t s = (int64_t)(seconds + 0.5);
    if (s >= 3600)
        soma__text_add(text, "  %lld:%02lld:%02lld left", (long long)(s / 3600),
                       (long long)(s / 60 % 60), (long long)(s % 60));
    else
        soma__text_add(text, "  %lld:%02lld left", (long long)(s / 60), (long long)(s % 60));
}

/* What stands right of the bar, most important first: a narrow terminal cuts the end. */
static void add_numbers(const cli_progress *progress, soma__text *text, const soma_event *e,
                        double share, double now)
{
    char buffer[32];
    int64_t total = e->planned_steps, done = e->total_steps - progress->first_step;
    double per_step = done > 0 ? (now - progress->started) / (double)done : NAN;
    soma__text_add(text, " %3.0f %%  loss %.4f", share * 100, e->train.loss);
    if (isfinite(e->train.accuracy))
        soma__text_add(text, "  accuracy %s",
                       cli_percent(e->train.accuracy, buffer, sizeof buffer));
    soma__text_add(
        text, "  %s/s",
        soma__format_count((int64_t)(e->samples_per_second + 0.5), buffer, sizeof buffer));
    add_left(text, per_step * (double)(total - e->total_steps));
}

static void draw(cli_progress *progress, const soma_event *e, double now)
{
    int64_t total = e->planned_steps;
    double share = total > 0 ? (double)e->total_steps / (double)total : 1;
    char head[64];
    soma__text line = {0}, numbers = {0};
    int head_size =
        snprintf(head, sizeof head, "epoch %lld/%lld ", (long long)e->epoch, (long long)e->epochs);
    add_numbers(progress, &numbers, e, share, now);
    /* The last column stays free: a cursor behind it makes some terminals scroll. */
    int room = terminal_width(progress) - 1 - head_size;
    int cells = room - (int)numbers.length;
    cells = cells > BAR_MOST ? BAR_MOST : cells;
    soma__text_add(&line, "\r%.*s", room > 0 ? head_size : 0, head);
    if (cells >= BAR_LEAST)
        add_bar(progress, &line, cells, share);
    if (room > 0 && !numbers.failed)
        soma__text_add(&line, "%.*s", room, numbers.data);
    soma__text_add(&line, "\033[K");
    if (!line.failed) {
        fwrite(line.data, 1, line.length, progress->out);
        fflush(progress->out);
        progress->drawn = true;
    }
    soma__text_free(&line);
    soma__text_free(&numbers);
}

void cli_progress_step(cli_progress *progress, const soma_event *event)
{
    if (!progress->on)
        return;
    double now = soma__seconds();
    if (progress->first_step < 0) {
        /* The first step warms up the machine; it would spoil the estimate. */
        progress->first_step = event->total_steps;
        progress->started = now;
    }
    if (now - progress->last < SECONDS_BETWEEN)
        return;
    progress->last = now;
    draw(progress, event, now);
}

void cli_progress_clear(cli_progress *progress)
{
    if (!progress->drawn)
        return;
    fputs("\r\033[K", progress->out);
    fflush(progress->out);
    progress->drawn = false;
}
