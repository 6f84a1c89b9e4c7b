/* One routine lays the chart out in abstract units and draws it on a canvas of three shapes:
 * rectangle, polyline, text. The canvas is either SVG text or a picture of pixels, so both look the
 * same. On pixels, letters are polylines too: a font of strokes needs no glyph bitmaps, scales to
 * any size and is smoothed by the one line drawer. */
#include "format/plot.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "format/image.h"
#include "format/plot_font.h"
#include "format/utf8.h"

#define MAX_SIDE 8000
#define PNG_SCALE 2
/* Beyond this many points a series is drawn as the lowest and highest value of each bucket, which
 * looks the same. */
#define MAX_POINTS 2000

#define INK 0x333333u
#define FAINT 0x777777u
#define GRID 0xe3e3e3u
#define PAPER 0xffffffu

/* Told apart by most colour-blind readers as well. */
static const uint32_t palette[] = {0x1f77b4, 0xe8710a, 0x2a9d5c, 0xc5352f,
                                   0x8e5bb8, 0x8a6d3b, 0xd6569f, 0x4d4d4d};
#define PALETTE_COUNT (sizeof palette / sizeof palette[0])

typedef struct point {
    double x, y;
} point;

typedef enum anchor { ANCHOR_LEFT, ANCHOR_MIDDLE, ANCHOR_RIGHT } anchor;

/* `svg` is set, or `pixels` and `cover` are. */
typedef struct canvas {
    soma__text *svg;
    uint8_t *pixels; /* RGB */
    uint8_t *cover;  /* how much of each pixel the polyline being drawn covers; all 0 in between */
    int width, height;
    double scale; /* pixels per unit */
} canvas;

/* --- rectangles and lines --------------------------------------------------------------------- */

static void blend(canvas *c, int x, int y, uint32_t colour, unsigned cover)
{
    uint8_t *p = c->pixels + ((size_t)y * (size_t)c->width + (size_t)x) * 3;
    for (int i = 0; i < 3; i++) {
        unsigned ink = colour >> (16 - 8 * i) & 0xff;
        p[i] = (uint8_t)((p[i] * (255 - cover) + ink * cover + 127) / 255);
    }
}

static int clamp_int(double v, int low, int high)
{
    return v < low ? low : v > high ? high : (int)v;
}

static void draw_rectangle(canvas *c, double x, double y, double w, double h, uint32_t colour)
{
    if (c->svg) {
        soma__text_add(c->svg,
                       "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                       "fill=\"#%06x\"/>\n",
                       x, y, w, h, colour);
        return;
    }
    int left = clamp_int(round(x * c->scale), 0, c->width);
    int right = clamp_int(round((x + w) * c->scale), 0, c->width);
    int bottom = clamp_int(round((y + h) * c->scale), 0, c->height);
    for (int v = clamp_int(round(y * c->scale), 0, c->height); v < bottom; v++)
        for (int u = left; u < right; u++)
            blend(c, u, v, colour, 255);
}

/* Raises the cover of the pixels near the segment a-b, whose ends are round. The cover of a pixel
 * is taken from the distance of its centre, which is exact enough for lines wider than a pixel. */
static void cover_segment(canvas *c, point a, point b, double half)
{
    double reach = half + 1, dx = b.x - a.x, dy = b.y - a.y, square = dx * dx + dy * dy;
    int left = clamp_int(floor(fmin(a.x, b.x) - reach), 0, c->width);
    int right = clamp_int(ceil(fmax(a.x, b.x) + reach), 0, c->width);
    int top = clamp_int(floor(fmin(a.y, b.y) - reach), 0, c->height);
    int bottom = clamp_int(ceil(fmax(a.y, b.y) + reach), 0, c->height);

    for (int v = top; v < bottom; v++) {
        uint8_t *row = c->cover + (size_t)v * (size_t)c->width;
        for (int u = left; u < right; u++) {
            double px = u + 0.5 - a.x, py = v + 0.5 - a.y;
            double along = square > 0 ? (px * dx + py * dy) / square : 0;
            along = along < 0 ? 0 : along > 1 ? 1 : along;
            double cover = half + 0.5 - hypot(px - along * dx, py - along * dy);
            if (cover > 0) {
                uint8_t level = (uint8_t)(cover >= 1 ? 255 : cover * 255);
                row[u] = row[u] > level ? row[u] : level;
            }
        }
    }
}

/* Paints what the segments of one polyline cover, once, so that its joints are not darker, and
 * leaves the cover clean. The box of the points limits the work. */
static void paint_cover(canvas *c, const point *points, size_t count, double half, uint32_t colour)
{
    point low = points[0], high = points[0];

    for (size_t i = 1; i < count; i++) {
        low = (point){fmin(low.x, points[i].x), fmin(low.y, points[i].y)};
        high = (point){fmax(high.x, points[i].x), fmax(high.y, points[i].y)};
    }
    int left = clamp_int(floor(low.x * c->scale - half - 1), 0, c->width);
    int right = clamp_int(ceil(high.x * c->scale + half + 1), 0, c->width);
    int bottom = clamp_int(ceil(high.y * c->scale + half + 1), 0, c->height);
    for (int v = clamp_int(floor(low.y * c->scale - half - 1), 0, c->height); v < bottom; v++)
        for (int u = left; u < right; u++) {
            uint8_t *cover = c->cover + (size_t)v * (size_t)c->width + u;
            if (*cover)
                blend(c, u, v, colour, *cover);
            *cover = 0;
        }
}

/* A line through the points; a single one is a dot. */
static void draw_line(canvas *c, const point *points, size_t count, double width, uint32_t colour)
{
    if (count == 0)
        return;
    if (c->svg) {
        soma__text_add(c->svg, "<path d=\"");
        for (size_t i = 0; i < count; i++)
            soma__text_add(c->svg, "%c%.2f %.2f", i ? 'L' : 'M', points[i].x, points[i].y);
        if (count == 1) /* without a length there would be no dot */
            soma__text_add(c->svg, "L%.2f %.2f", points[0].x, points[0].y);
        soma__text_add(c->svg, "\" stroke=\"#%06x\" stroke-width=\"%.2f\"/>\n", colour, width);
        return;
    }
    double half = width * c->scale / 2;
    for (size_t i = 0; i + 1 < count || i == 0; i++) {
        point a = points[i], b = points[i + 1 < count ? i + 1 : i];
        cover_segment(c, (point){a.x * c->scale, a.y * c->scale},
                      (point){b.x * c->scale, b.y * c->scale}, half);
    }
    paint_cover(c, points, count, half, colour);
}

/* --- text ------------------------------------------------------------------------------------- */

/* The glyph of the next character; '?' for those that the font lacks. */
static const char *next_glyph(const char **text)
{
    uint32_t code = '?';
    size_t length = soma__utf8_next(*text, strlen(*text), &code);

    *text += length ? length : 1;
    if (!length || code < 32 || code > 126)
        code = '?';
    return glyphs[code - 32];
}

/* Capitals are 21 font units high and 0.70 of the size. */
static double font_scale(double size)
{
    return size * 0.70 / 21;
}

static double text_width(const char *text, double size)
{
    double units = 0;
    while (*text) {
        const char *glyph = next_glyph(&text);
        units += glyph[1] - glyph[0];
    }
    return units * font_scale(size);
}

static void draw_glyph(canvas *c, const char *glyph, double x, double base, double size,
                       uint32_t colour)
{
    point stroke[64];
    size_t count = 0;
    double unit = font_scale(size);

    for (const char *p = glyph + 2;; p += 2) {
        bool lift = !*p || (p[0] == ' ' && p[1] == 'R');
        if (lift || count == 64) {
            draw_line(c, stroke, count, size * 0.085, colour);
            count = 0;
        }
        if (!*p)
            return;
        if (!lift)
            stroke[count++] = (point){x + (p[0] - glyph[0]) * unit, base + (p[1] - 'R' - 9) * unit};
    }
}

static void draw_text(canvas *c, double x, double base, double size, anchor at, uint32_t colour,
                      const char *text)
{
    static const char *const anchors[] = {"start", "middle", "end"};

    if (c->svg) {
        soma__text_add(c->svg,
                       "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%g\" text-anchor=\"%s\" "
                       "fill=\"#%06x\">",
                       x, base, size, anchors[at], colour);
        for (size_t length; *text; text += length) {
            length = soma__utf8_next(text, strlen(text), NULL);
            if (*text == '<' || *text == '>' || *text == '&')
                soma__text_add(c->svg, "&#%d;", *text);
            else if (length && (unsigned char)*text >= 32 && *text != 127)
                soma__text_append(c->svg, text, length);
            else /* control characters are not allowed in XML, and neither is what is not UTF-8 */
                soma__text_append(c->svg, "?", 1);
            length = length ? length : 1;
        }
        soma__text_add(c->svg, "</text>\n");
        return;
    }
    x -= at == ANCHOR_LEFT ? 0 : text_width(text, size) / (at == ANCHOR_MIDDLE ? 2 : 1);
    while (*text) {
        const char *glyph = next_glyph(&text);
        draw_glyph(c, glyph, x, base, size, colour);
        x += (glyph[1] - glyph[0]) * font_scale(size);
    }
}

soma_status soma__plot_text(uint8_t *pixels, int width, int height, double x, double base,
                            double size, uint32_t colour, const char *text, soma_error *err)
{
    canvas c = {.pixels = pixels, .width = width, .height = height, .scale = 1};
    c.cover = soma__calloc((size_t)width, (size_t)height);
    if (!c.cover)
        return soma__fail(err, SOMA_MEMORY, "out of memory for a line of text");
    draw_text(&c, x, base, size, ANCHOR_LEFT, colour, text);
    soma__free(c.cover);
    return SOMA_OK;
}

/* --- axes ------------------------------------------------------------------------------------- */

typedef struct axis {
    double low, high, step; /* ticks are the multiples of step in [low, high] */
} axis;

/* 1, 2 or 5 times a power of ten: the smallest that cuts `range` into at most `most` pieces. */
static double nice_step(double range, int most)
{
    double rough = range / most, power = pow(10, floor(log10(rough)));
    double digit = rough / power;
    return power * (digit <= 1.0001 ? 1 : digit <= 2.0001 ? 2 : digit <= 5.0001 ? 5 : 10);
}

static double series_x(const soma__plot_series *s, size_t i)
{
    return s->x ? s->x[i] : (double)(i + 1);
}

/* Huge values would overflow the arithmetic of the axes; they are left out like infinities. */
static bool drawable(const soma__plot_series *s, size_t i)
{
    return fabs(series_x(s, i)) < 1e100 && fabs(s->y[i]) < 1e100;
}

/* The ranges of all points that can be drawn; [0,1] when there are none. */
static void choose_axes(const soma__plot_panel *panel, axis *x, axis *y)
{
    bool any = false, whole = true;

    *x = *y = (axis){0, 1, 0};
    for (size_t k = 0; k < panel->count; k++) {
        const soma__plot_series *s = &panel->series[k];
        for (size_t i = 0; i < s->count; i++) {
            double u = series_x(s, i), v = s->y[i];
            if (!drawable(s, i))
                continue;
            if (!any)
                *x = (axis){u, u, 0}, *y = (axis){v, v, 0};
            any = true;
            whole = whole && u == floor(u);
            *x = (axis){fmin(x->low, u), fmax(x->high, u), 0};
            *y = (axis){fmin(y->low, v), fmax(y->high, v), 0};
        }
    }
    /* A flat line, or one that is flat to the last digits of a double, gets some room around it. */
    double least = 1e-9 * fmax(fabs(y->low), fabs(y->high));
    if (y->high - y->low <= fmax(least, 1e-100)) {
        double room = y->high != 0 && fabs(y->high) > 1e-90 ? 0.1 * fabs(y->high) : 0.5;
        y->low -= room;
        y->high += room;
    } else if (y->low > 0 && y->low < 0.35 * y->high) {
        y->low = 0; /* most of the way to zero is in the picture already: show it all */
    }
    least = 1e-9 * fmax(fabs(x->low), fabs(x->high));
    if (x->high - x->low <= fmax(least, 1e-100)) {
        double room = fmax(0.5, 0.1 * fabs(x->high));
        x->low -= room;
        x->high += room;
    }
    y->step = nice_step(y->high - y->low, 6);
    y->low = floor(y->low / y->step + 1e-6) * y->step;
    y->high = ceil(y->high / y->step - 1e-6) * y->step;
    x->step = nice_step(x->high - x->low, 8);
    if (whole && x->step < 1) /* there is no epoch 1.5 */
        x->step = 1;
}

static void tick_text(char *buffer, size_t size, double value, double step)
{
    double magnitude = fmax(fabs(value), step);
    int digits = (int)-floor(log10(step) + 1e-9);

    if (fabs(value) < step * 1e-6)
        value = 0; /* not "-0.0" */
    if (magnitude >= 1e6 || magnitude < 1e-4)
        snprintf(buffer, size, "%.3g", value);
    else
        snprintf(buffer, size, "%.*f", digits > 0 ? digits : 0, value);
}

/* --- the chart -------------------------------------------------------------------------------- */

typedef struct frame { /* where a panel's curves go */
    double left, top, width, height;
    axis x, y;
} frame;

static point place(const frame *f, double x, double y)
{
    return (point){f->left + (x - f->x.low) / (f->x.high - f->x.low) * f->width,
                   f->top + (f->y.high - y) / (f->y.high - f->y.low) * f->height};
}

static void draw_axes(canvas *c, const frame *f, const char *x_label)
{
    char label[40];
    double bottom = f->top + f->height;

    for (double k = ceil(f->y.low / f->y.step - 1e-6);
         k * f->y.step <= f->y.high + f->y.step * 1e-6; k++) {
        double at = place(f, f->x.low, k * f->y.step).y;
        draw_rectangle(c, f->left, at - 0.5, f->width, 1, GRID);
        tick_text(label, sizeof label, k * f->y.step, f->y.step);
        draw_text(c, f->left - 8, at + 4, 11, ANCHOR_RIGHT, FAINT, label);
    }
    for (double k = ceil(f->x.low / f->x.step - 1e-6);
         k * f->x.step <= f->x.high + f->x.step * 1e-6; k++) {
        double at = place(f, k * f->x.step, f->y.low).x;
        draw_rectangle(c, at - 0.5, bottom, 1, 5, FAINT);
        tick_text(label, sizeof label, k * f->x.step, f->x.step);
        draw_text(c, at, bottom + 18, 11, ANCHOR_MIDDLE, FAINT, label);
    }
    draw_rectangle(c, f->left, bottom - 0.5, f->width, 1, FAINT);
    if (x_label)
        draw_text(c, f->left + f->width / 2, bottom + 36, 12, ANCHOR_MIDDLE, INK, x_label);
}

/* A point that stands alone between gaps is a dot that can be seen. */
static void draw_run(canvas *c, const point *points, size_t count, uint32_t colour)
{
    draw_line(c, points, count, count == 1 ? 5 : 1.8, colour);
}

/* Draws runs of points that lie between gaps. `points` has room for MAX_POINTS + 2. */
static void draw_series(canvas *c, const frame *f, const soma__plot_series *s, uint32_t colour,
                        point *points)
{
    size_t bucket = s->count > MAX_POINTS ? s->count / (MAX_POINTS / 2) + 1 : 1, n = 0;

    for (size_t i = 0; i < s->count; i += bucket) {
        size_t end = s->count - i < bucket ? s->count : i + bucket, low = SIZE_MAX, high = SIZE_MAX;
        for (size_t k = i; k < end; k++) {
            if (!drawable(s, k))
                continue;
            low = low == SIZE_MAX || s->y[k] < s->y[low] ? k : low;
            high = high == SIZE_MAX || s->y[k] > s->y[high] ? k : high;
        }
        if (low == SIZE_MAX) {
            draw_run(c, points, n, colour);
            n = 0;
            continue;
        }
        size_t first = low < high ? low : high, second = low < high ? high : low;
        points[n++] = place(f, series_x(s, first), s->y[first]);
        if (second != first)
            points[n++] = place(f, series_x(s, second), s->y[second]);
    }
    draw_run(c, points, n, colour);
}

/* One entry after the other, in as many rows as the width asks for. Returns the height; only
 * measures when `c` is NULL. */
static double draw_legend(canvas *c, const soma__plot_panel *panel, double left, double top,
                          double width)
{
    double x = left, y = top;

    for (size_t i = 0; i < panel->count; i++) {
        const char *name = panel->series[i].name ? panel->series[i].name : "";
        double entry = 24 + text_width(name, 12) + 18;
        if (x > left && x + entry > left + width) {
            x = left;
            y += 18;
        }
        if (c) {
            const point line[2] = {{x, y + 9}, {x + 18, y + 9}};
            draw_line(c, line, 2, 2.4, palette[i % PALETTE_COUNT]);
            draw_text(c, x + 24, y + 13, 12, ANCHOR_LEFT, INK, name);
        }
        x += entry;
    }
    return panel->count ? y - top + 18 : 0;
}

static void draw_panel(canvas *c, const soma__plot_panel *panel, double left, double top,
                       double width, double height, point *points)
{
    double legend = draw_legend(NULL, panel, left + 62, 0, width - 84);
    double head = (panel->title ? 24 : 4) + legend + 10, foot = panel->x_label ? 48 : 30;
    frame f = {.left = left + 62, .top = top + head, .width = fmax(width - 84, 10)};

    f.height = fmax(height - head - foot, 10);
    choose_axes(panel, &f.x, &f.y);
    if (panel->title)
        draw_text(c, f.left, top + 16, 14, ANCHOR_LEFT, INK, panel->title);
    draw_legend(c, panel, f.left, top + head - legend - 6, f.width);
    draw_axes(c, &f, panel->x_label);
    for (size_t i = 0; i < panel->count; i++)
        draw_series(c, &f, &panel->series[i], palette[i % PALETTE_COUNT], points);
}

static soma_status plot_size(const soma__plot *plot, int *width, int *height, soma_error *err)
{
    if (plot->count == 0 || plot->count > 16)
        return soma__fail(err, SOMA_INVALID, "a plot has 1 to 16 panels, not %zu", plot->count);
    *width = plot->width ? plot->width : 520 * (int)plot->count;
    *height = plot->height ? plot->height : 380;
    if (*width < 80 || *height < 80 || *width > MAX_SIDE || *height > MAX_SIDE)
        return soma__fail(err, SOMA_INVALID, "a plot of %d x %d units: each is from 80 to %d",
                          *width, *height, MAX_SIDE);
    return SOMA_OK;
}

static soma_status draw_plot(canvas *c, const soma__plot *plot, int width, int height,
                             soma_error *err)
{
    double top = plot->title ? 36 : 8;
    point *points = soma__calloc(MAX_POINTS + 2, sizeof *points);

    if (!points)
        return soma__fail(err, SOMA_MEMORY, "out of memory while drawing a plot");
    draw_rectangle(c, 0, 0, width, height, PAPER);
    if (plot->title)
        draw_text(c, width / 2.0, 25, 16, ANCHOR_MIDDLE, INK, plot->title);
    for (size_t i = 0; i < plot->count; i++) {
        double share = (double)width / (double)plot->count;
        draw_panel(c, &plot->panels[i], share * (double)i, top, share, height - top, points);
    }
    soma__free(points);
    return SOMA_OK;
}

soma_status soma__plot_svg(soma__text *out, const soma__plot *plot, soma_error *err)
{
    canvas c = {.svg = out, .scale = 1};
    int width = 0, height = 0;

    SOMA__TRY(plot_size(plot, &width, &height, err));
    soma__text_add(out,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                   "viewBox=\"0 0 %d %d\" font-family=\"Helvetica, Arial, sans-serif\" "
                   "fill=\"none\" stroke-linecap=\"round\" stroke-linejoin=\"round\">\n",
                   width, height, width, height);
    SOMA__TRY(draw_plot(&c, plot, width, height, err));
    soma__text_add(out, "</svg>\n");
    return out->failed ? soma__fail(err, SOMA_MEMORY, "out of memory while drawing a plot")
                       : SOMA_OK;
}

soma_status soma__plot_png(soma__text *out, const soma__plot *plot, soma_error *err)
{
    canvas c = {.scale = PNG_SCALE};
    int width = 0, height = 0;
    size_t count;
    soma_status status;

    SOMA__TRY(plot_size(plot, &width, &height, err));
    c.width = width * PNG_SCALE;
    c.height = height * PNG_SCALE;
    count = (size_t)c.width * (size_t)c.height;
    c.pixels = soma__calloc(count, 3);
    c.cover = soma__calloc(count, 1);
    if (c.pixels && c.cover)
        status = draw_plot(&c, plot, width, height, err);
    else
        status = soma__fail(err, SOMA_MEMORY, "out of memory while drawing a plot");
    if (status == SOMA_OK)
        status = soma__png_encode(out, c.pixels, c.width, c.height, 3, err);
    soma__free(c.cover);
    soma__free(c.pixels);
    return status;
}

soma_status soma__plot_write(const char *path, const soma__plot *plot, soma_error *err)
{
    size_t length = strlen(path);
    const char *suffix = length >= 4 ? path + length - 4 : "";
    soma__text text = {0};
    soma_status status;

    if (strcmp(suffix, ".svg") == 0)
        status = soma__plot_svg(&text, plot, err);
    else if (strcmp(suffix, ".png") == 0)
        status = soma__plot_png(&text, plot, err);
    else
        status =
            soma__fail(err, SOMA_INVALID, "%s: a plot is written to a .svg or a .png file", path);
    if (status == SOMA_OK)
        status = soma__file_write(path, text.data, text.length, err);
    soma__text_free(&text);
    return status;
}
