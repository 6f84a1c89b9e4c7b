/* data_sheet.c: `soma data show --sheet FILE`: a sheet of sample pictures, a row for each class. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "data/dataset.h"
#include "format/image.h"
#include "format/plot.h"

#define COLUMNS 10
#define MOST_ROWS 20
#define CELL 64    /* small pictures are enlarged by whole factors to about this */
#define MARGIN 110 /* for the class's name */
#define GAP 4

typedef struct sheet {
    const soma_dataset *dataset;
    soma_tensor *image; /* RGB */
    int width, height;
    int cell_h, cell_w, factor;
} sheet;

/* Values of a sample as bytes: floats are taken to be 0 to 1, or are stretched over their range. */
static void to_bytes(uint8_t *out, const soma_dataset *d, const void *x, int64_t each)
{
    double low = 0, high = d->x_dtype == SOMA_U8 ? 255 : 1;
    for (int64_t i = 0; i < each; i++) {
        double value = soma__load(d->x_dtype, x, i);
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    for (int64_t i = 0; i < each; i++)
        out[i] = (uint8_t)((soma__load(d->x_dtype, x, i) - low) * 255 / (high - low) + 0.5);
}

static void place(sheet *s, int row, int column, const uint8_t *pixels)
{
    const int64_t *dim = s->dataset->x_shape.dim;
    int channels = s->dataset->x_shape.ndim == 3 ? (int)dim[2] : 1;
    int top = GAP + row * (s->cell_h + GAP), left = MARGIN + column * (s->cell_w + GAP);
    uint8_t *sheet_pixels = soma_tensor_data(s->image);
    for (int y = 0; y < s->cell_h; y++)
        for (int x = 0; x < s->cell_w; x++) {
            const uint8_t *from =
                pixels + ((int64_t)(y / s->factor) * dim[1] + x / s->factor) * channels;
            uint8_t *to =
                sheet_pixels + ((size_t)(top + y) * (size_t)s->width + (size_t)(left + x)) * 3;
            for (int c = 0; c < 3; c++)
                to[c] = from[channels >= 3 ? c : 0];
        }
}

/* Fills row after row with the first samples of each class (or of all). */
static soma_status fill(sheet *s, int rows, int classes, soma_error *err)
{
    const soma_dataset *d = s->dataset;
    int64_t each = (int64_t)(d->x_bytes / soma_dtype_size(d->x_dtype));
    void *x = soma__malloc(d->x_bytes), *y = soma__malloc(d->y_bytes);
    uint8_t *bytes = soma__malloc((size_t)each);
    soma_status status =
        x && y && bytes ? SOMA_OK : soma__fail(err, SOMA_MEMORY, "no memory for the sheet");
    int64_t next = 0;
    for (int row = 0; row < rows && status == SOMA_OK; row++) {
        char name[64] = "";
        int column = 0;
        for (int64_t i = classes ? 0 : next; i < d->count && column < COLUMNS; i++) {
            if (classes && soma__dataset_label(d, i) != row)
                continue;
            status = soma_dataset_read(d, &i, 1, x, y, err);
            if (status != SOMA_OK)
                break;
            to_bytes(bytes, d, x, each);
            place(s, row, column++, bytes);
            next = i + 1;
        }
        if (classes && soma_dataset_class(d, row))
            snprintf(name, sizeof name, "%.16s", soma_dataset_class(d, row));
        else if (classes)
            snprintf(name, sizeof name, "%d", row);
        if (status == SOMA_OK)
            status = soma__plot_text(soma_tensor_data(s->image), s->width, s->height, GAP,
                                     GAP + row * (s->cell_h + GAP) + s->cell_h / 2.0 + 5, 14,
                                     0x333333, name, err);
    }
    soma__free(x);
    soma__free(y);
    soma__free(bytes);
    return status;
}

soma_status cli_data_sheet(const soma_dataset *d, const char *path, soma_error *err)
{
    sheet s = {.dataset = d};
    const soma_shape *shape = &d->x_shape;
    int channels = shape->ndim == 3 ? (int)shape->dim[2] : 1;
    char text[SOMA_SHAPE_TEXT_SIZE];
    if (shape->ndim < 2 || shape->ndim > 3 || (channels != 1 && channels != 3) ||
        shape->dim[0] > 1024 || shape->dim[1] > 1024)
        return soma__fail(err, SOMA_INVALID,
                          "samples of shape %s are no pictures that a sheet can show",
                          soma_shape_text(shape, text, sizeof text));
    int classes = soma_dataset_class_count(d);
    if (soma__dataset_label(d, 0) < 0)
        classes = 0;
    int rows = classes ? classes : (int)((d->count + COLUMNS - 1) / COLUMNS);
    rows = rows > MOST_ROWS ? MOST_ROWS : rows;
    int side = (int)(shape->dim[0] > shape->dim[1] ? shape->dim[0] : shape->dim[1]);
    s.factor = side < CELL ? CELL / side : 1;
    s.cell_h = (int)shape->dim[0] * s.factor;
    s.cell_w = (int)shape->dim[1] * s.factor;
    s.width = MARGIN + COLUMNS * (s.cell_w + GAP);
    s.height = GAP + rows * (s.cell_h + GAP);
    SOMA__TRY(soma_tensor_create(&s.image, SOMA_U8, SOMA_SHAPE(s.height, s.width, 3), err));
    soma_tensor_fill(s.image, 255);
    soma_status status = fill(&s, rows, classes, err);
    if (status == SOMA_OK)
        status = soma__png_write(path, s.image, err);
    soma_tensor_release(s.image);
    return status;
}
