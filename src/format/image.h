/* image.h: PNG files <-> u8 tensors [height, width, channels], and resizing.
 *
 * Channels are 1 (grey) or 3 (RGB). 16-bit files are rounded to 8 bits, palettes are looked up,
 * transparent pixels are drawn on white. Pixel values are taken as stored: gamma and colour
 * profiles are ignored, as training pipelines do. */
#ifndef SOMA__IMAGE_H
#define SOMA__IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "soma/tensor.h"

#define SOMA__IMAGE_MAX_SIDE 16384
#define SOMA__IMAGE_MAX_BYTES ((size_t)256 << 20) /* of the decoded rows */

/* `channels` is 1, 3 or 0 for what the file has. RGB becomes grey by the luma of ITU-R BT.601, grey
 * becomes RGB by repetition. `*out` is the caller's. Errors: SOMA_FORMAT (not a PNG, damaged, cut
 * short), SOMA_INVALID (channels), SOMA_UNSUPPORTED (larger than the limits; built without libpng),
 * SOMA_IO, SOMA_MEMORY. */
soma_status soma__png_read(soma_tensor **out, const char *path, int channels, soma_error *err);
soma_status soma__png_parse(soma_tensor **out, const void *bytes, size_t size, const char *name,
                            int channels, soma_error *err);

/* Writes a u8 [height, width], [height, width, 1] or [height, width, 3] tensor; the file is
 * replaced atomically. Errors: SOMA_SHAPE, SOMA_DTYPE, SOMA_UNSUPPORTED, SOMA_IO, SOMA_MEMORY. */
soma_status soma__png_write(const char *path, const soma_tensor *image, soma_error *err);
/* The same from plain pixels, added to `out`. */
soma_status soma__png_encode(soma__text *out, const uint8_t *pixels, int width, int height,
                             int channels, soma_error *err);

/* A u8 [height, width, channels] image of another size: bilinear where it grows, the mean of the
 * area (with a triangular window) where it shrinks, so that thin strokes do not vanish.
 * Errors: SOMA_SHAPE, SOMA_DTYPE, SOMA_MEMORY. */
soma_status soma__image_resize(soma_tensor **out, const soma_tensor *image, int64_t height,
                               int64_t width, soma_error *err);

#endif
