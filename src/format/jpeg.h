/* jpeg.h: JPEG files to u8 tensors [height, width, channels], and pictures of either kind.
 *
 * Grey and RGB as image.h has them; CMYK is refused. The orientation that a camera notes in the
 * file is ignored, as training pipelines do. libjpeg has an allocator of its own that cannot be
 * replaced: its working memory (about as much as the picture) does not come from soma__malloc. */
#ifndef SOMA__JPEG_H
#define SOMA__JPEG_H

#include "format/image.h"

bool soma__jpeg_is(const void *bytes, size_t size);
/* As soma__png_parse. A file that ends early is SOMA_FORMAT. */
soma_status soma__jpeg_parse(soma_tensor **out, const void *bytes, size_t size, const char *name,
                             int channels, soma_error *err);

/* PNG or JPEG, told by their first bytes. */
soma_status soma__picture_parse(soma_tensor **out, const void *bytes, size_t size, const char *name,
                                int channels, soma_error *err);
soma_status soma__picture_read(soma_tensor **out, const char *path, int channels, soma_error *err);
/* Does the name end like that of a picture? */
bool soma__picture_name(const char *name);

typedef enum soma__fit {
    SOMA__FIT_CROP,   /* the shorter side is resized, the middle cut out: keeps proportions */
    SOMA__FIT_STRETCH /* to the size, whatever the proportions */
} soma__fit;
/* A u8 image [H,W,C] of another size. Errors as soma__image_resize. */
soma_status soma__picture_fit(soma_tensor **out, const soma_tensor *image, int64_t height,
                              int64_t width, soma__fit fit, soma_error *err);

#endif
