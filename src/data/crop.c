/* crop.c: transforms that move whole pixels: flips and crops. Exact for any dtype. */
#include <stddef.h>
#include <string.h>

#include "data/transform.h"

/* Bytes of one pixel: its channels. */
static size_t pixel_bytes(const soma__form *form)
{
    return (size_t)form->c * soma_dtype_size(form->x_dtype);
}

/* --- flip ---------------------------------------------------------------------------------------
 */

/* Writes a row of n pixels the other way around. The sizes that occur in practice are constants to
 * the compiler, so that a pixel is one or two instructions; one of three bytes is moved as four,
 * the fourth of which the next pixel overwrites. */
static void turn_row(const char *restrict x, char *restrict y, int64_t n, size_t pixel)
{
#define TURN(from_, to_, bytes_)                                                                   \
    for (int64_t i = (from_), k = n - 1 - (from_); i < (to_); i++, k--)                            \
        memcpy(y + i * (int64_t)pixel, x + k * (int64_t)pixel, (bytes_));
    switch (pixel) {
    case 1:
        TURN(0, n, 1)
        return;
    case 3:
        /* The first source pixel is the last of the row, which four bytes would leave. */
        TURN(0, n < 1 ? n : 1, 3)
        TURN(1, n - 1, 4)
        TURN(n > 1 ? n - 1 : n, n, 3)
        return;
    case 4:
        TURN(0, n, 4)
        return;
    case 12:
        TURN(0, n, 12)
        return;
    default:
        TURN(0, n, pixel)
        return;
    }
#undef TURN
}

static void apply_flip(soma__apply *a)
{
    size_t pixel = pixel_bytes(a->to), row = (size_t)a->to->w * pixel;
    const char *x = a->x;
    char *y = a->y;
    int64_t h = a->to->h, w = a->to->w;
    for (int64_t i = 0; i < h; i++)
        if (a->t->direction == SOMA_HORIZONTAL)
            turn_row(x + (size_t)i * row, y + (size_t)i * row, w, pixel);
        else
            memcpy(y + (size_t)i * row, x + (size_t)(h - 1 - i) * row, row);
}

static const soma__field flip_fields[] = {
    {.key = "direction",
     .kind = SOMA__FIELD_ENUM,
     .offset = SOMA__T(direction),
     .choices = soma__direction_names,
     .doc = "horizontal swaps left and right, vertical top and bottom; horizontal"},
    SOMA__T_P,
    SOMA__T_WHEN,
};

const soma__transform_type soma__transform_flip = {
    .name = "flip",
    .doc = "mirrors the image",
    .shapes = "[H,W,C] -> [H,W,C]",
    .fields = flip_fields,
    .field_count = sizeof flip_fields / sizeof flip_fields[0],
    .primary = "direction",
    .when = SOMA_WHEN_TRAIN,
    .p = 0.5,
    .image = true,
    .apply = apply_flip,
};

/* --- crops --------------------------------------------------------------------------------------
 */

/* Writes the `fill` pixel n times. */
static void fill_pixels(const soma__form *form, double fill, void *y, int64_t n)
{
    int64_t count = n * form->c;
    if (form->x_dtype == SOMA_U8) {
        uint8_t byte = 0;
        soma__store(SOMA_U8, &byte, 0, fill);
        memset(y, byte, (size_t)count);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        ((float *)y)[i] = (float)fill;
}

/* Row or column i of n where the border is looked at instead; -1: the constant. */
static int64_t inside(int64_t i, int64_t n, soma_border border)
{
    if (i >= 0 && i < n)
        return i;
    if (border == SOMA_BORDER_CONSTANT)
        return -1;
    if (border == SOMA_BORDER_EDGE || n == 1)
        return i < 0 ? 0 : n - 1;
    int64_t period = 2 * (n - 1);
    i = i < 0 ? -i : i;
    i %= period;
    return i < n ? i : period - i;
}

/* The window of the result's size whose corner lies at (top, left) of the source, which may be
 * outside of it. */
static void crop(const soma__apply *a, int64_t top, int64_t left)
{
    const soma__form *from = a->from, *to = a->to;
    size_t pixel = pixel_bytes(from);
    /* Columns of the result that lie inside. */
    int64_t begin = left < 0 ? -left : 0, end = from->w - left;
    begin = begin < to->w ? begin : to->w;
    end = end < begin ? begin : end < to->w ? end : to->w;
    for (int64_t i = 0; i < to->h; i++) {
        char *y = (char *)a->y + (size_t)(i * to->w) * pixel;
        int64_t row = inside(top + i, from->h, a->t->border);
        if (row < 0) {
            fill_pixels(to, a->t->fill, y, to->w);
            continue;
        }
        const char *x = (const char *)a->x + (size_t)(row * from->w) * pixel;
        memcpy(y + (size_t)begin * pixel, x + (left + begin) * (int64_t)pixel,
               (size_t)(end - begin) * pixel);
        if (a->t->border == SOMA_BORDER_CONSTANT) {
            fill_pixels(to, a->t->fill, y, begin);
            fill_pixels(to, a->t->fill, y + (size_t)end * pixel, to->w - end);
            continue;
        }
        for (int64_t j = 0; j < to->w; j = j + 1 == begin ? end : j + 1)
            if (j < begin || j >= end)
                memcpy(y + (size_t)j * pixel,
                       x + (size_t)inside(left + j, from->w, a->t->border) * pixel, pixel);
    }
}

static void apply_pad_crop(soma__apply *a)
{
    int64_t pad = a->t->pad;
    int64_t top = soma__draw_below(&a->draws, 2 * pad + 1);
    int64_t left = soma__draw_below(&a->draws, 2 * pad + 1);
    crop(a, top - pad, left - pad);
}

static const soma__field pad_crop_fields[] = {
    {.key = "pad",
     .kind = SOMA__FIELD_INT,
     .offset = SOMA__T(pad),
     .min = 1,
     .max = 16384,
     .required = true,
     .doc = "pixels added on each side before a window of the old size is cut out anywhere"},
    {.key = "border",
     .kind = SOMA__FIELD_ENUM,
     .offset = SOMA__T(border),
     .choices = soma__border_names,
     .doc = "what is added: constant (fill), edge, reflect; constant"},
    SOMA__T_FILL,
    SOMA__T_P,
    SOMA__T_WHEN,
};

const soma__transform_type soma__transform_pad_crop = {
    .name = "pad_crop",
    .doc = "moves the image by up to `pad` pixels each way",
    .shapes = "[H,W,C] -> [H,W,C]",
    .fields = pad_crop_fields,
    .field_count = sizeof pad_crop_fields / sizeof pad_crop_fields[0],
    .primary = "pad",
    .when = SOMA_WHEN_TRAIN,
    .image = true,
    .apply = apply_pad_crop,
};

soma_status soma__check_size(soma_transform *t, soma__form *form, soma_error *err)
{
    (void)err;
    form->x_shape.dim[0] = t->size[0];
    form->x_shape.dim[1] = t->size[1];
    return SOMA_OK;
}

/* Half of the surplus, rounded to even as Python does: PyTorch's crops are these. */
static int64_t margin(int64_t from, int64_t to)
{
    int64_t surplus = from - to;
    if (surplus < 0)
        return -(-surplus / 2);
    return surplus / 2 + (surplus & (surplus / 2) & 1);
}

static void apply_center_crop(soma__apply *a)
{
    crop(a, margin(a->from->h, a->to->h), margin(a->from->w, a->to->w));
}

static const soma__field center_crop_fields[] = {
    SOMA__T_SIZE,
    SOMA__T_FILL,
    SOMA__T_WHEN,
};

const soma__transform_type soma__transform_center_crop = {
    .name = "center_crop",
    .doc = "the middle of the image, padded where it is smaller; always",
    .shapes = "[H,W,C] -> [size,C]",
    .fields = center_crop_fields,
    .field_count = sizeof center_crop_fields / sizeof center_crop_fields[0],
    .primary = "size",
    .when = SOMA_WHEN_ALWAYS,
    .image = true,
    .check = soma__check_size,
    .apply = apply_center_crop,
};
