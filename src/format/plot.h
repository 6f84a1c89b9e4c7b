/* plot.h: line charts, as training curves need them, in SVG or PNG.
 *
 * A plot is a row of panels under one title; a panel has series, axes with round ticks and a
 * legend. The caller fills the structs; everything in them is borrowed and stays unchanged. */
#ifndef SOMA__PLOT_H
#define SOMA__PLOT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

typedef struct soma__plot_series {
    const char *name;
    const double *x; /* NULL: 1, 2, 3, … */
    const double *y; /* a value that is not finite leaves a gap */
    size_t count;
} soma__plot_series;

typedef struct soma__plot_panel {
    const char *title;   /* what y is; may be NULL */
    const char *x_label; /* may be NULL */
    const soma__plot_series *series;
    size_t count;
} soma__plot_panel;

typedef struct soma__plot {
    const char *title; /* may be NULL */
    const soma__plot_panel *panels;
    size_t count;
    int width, height; /* of the whole; 0: 520 a panel, and 380 */
} soma__plot;

/* Adds the picture to `out`. The PNG has two pixels for each unit of width and height.
 * Errors: SOMA_INVALID (no panel, a size beyond 8000), SOMA_MEMORY, SOMA_UNSUPPORTED (PNG without
 * libpng). */
soma_status soma__plot_svg(soma__text *out, const soma__plot *plot, soma_error *err);
soma_status soma__plot_png(soma__text *out, const soma__plot *plot, soma_error *err);

/* Replaces the file atomically; the kind is that of the suffix, ".svg" or ".png" (else
 * SOMA_INVALID). Also SOMA_IO. */
soma_status soma__plot_write(const char *path, const soma__plot *plot, soma_error *err);

/* Draws a line of text into RGB pixels [height, width, 3]: its left end at x, its base line at
 * `base`, capitals 0.7 `size` high, `colour` 0xrrggbb; what is outside is cut off. Errors:
 * SOMA_MEMORY. */
soma_status soma__plot_text(uint8_t *pixels, int width, int height, double x, double base,
                            double size, uint32_t colour, const char *text, soma_error *err);

#endif
