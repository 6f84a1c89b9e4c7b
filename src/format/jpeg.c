#include "format/jpeg.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/mem.h"

bool soma__jpeg_is(const void *bytes, size_t size)
{
    return size >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0;
}

#if defined(SOMA_HAVE_JPEG) && SOMA_HAVE_JPEG
#include <setjmp.h>

#include <jerror.h>
#include <jpeglib.h>

/* libjpeg leaves by longjmp when something is wrong. As in image.c, all that must survive the jump
 * lives in this struct. */
typedef struct decoder {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors; /* found again through info.client_data */
    jmp_buf escape;
    char message[JMSG_LENGTH_MAX];
    bool memory;
    int channels;
    soma_tensor *image;
    soma_error *err;
    soma_status status; /* of making the tensor */
} decoder;

static void on_error(j_common_ptr info)
{
    decoder *d = info->client_data;
    info->err->format_message(info, d->message);
    d->memory = info->err->msg_code == JERR_OUT_OF_MEMORY;
    longjmp(d->escape, 1);
}

/* Some pixels were not in the file and libjpeg made them up: that is not the picture. Other
 * warnings are of things beside it. */
static void on_message(j_common_ptr info, int level)
{
    int code = info->err->msg_code;
    if (level < 0 &&
        (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE))
        on_error(info);
}

static soma_status make_image(decoder *d, const char *name)
{
    int channels = d->channels;
    const struct jpeg_decompress_struct *info = &d->info;
    size_t all;
    if (!soma__mul((size_t)info->image_width * (size_t)info->image_height, (size_t)channels,
                   &all) ||
        all > SOMA__IMAGE_MAX_BYTES || info->image_width > SOMA__IMAGE_MAX_SIDE ||
        info->image_height > SOMA__IMAGE_MAX_SIDE)
        return soma__fail(d->err, SOMA_UNSUPPORTED, "%s: %u x %u pixels are more than soma reads",
                          name, info->image_width, info->image_height);
    return soma_tensor_create(
        &d->image, SOMA_U8,
        SOMA_SHAPE((int64_t)info->image_height, (int64_t)info->image_width, channels), d->err);
}

/* False: jumped, or d->status says why. */
static bool decode(decoder *d, const void *bytes, size_t size, const char *name)
{
    struct jpeg_decompress_struct *info = &d->info;
    if (setjmp(d->escape))
        return false;
    jpeg_create_decompress(info);
    jpeg_mem_src(info, bytes, (unsigned long)size);
    jpeg_read_header(info, TRUE);
    if (info->num_components != 1 && info->num_components != 3) {
        d->status = soma__fail(d->err, SOMA_UNSUPPORTED,
                               "%s: a JPEG of %d colour components; soma reads grey and colour",
                               name, info->num_components);
        return false;
    }
    if (!d->channels)
        d->channels = info->num_components;
    info->out_color_space = d->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    /* The exact transform, so that all machines see the same pixels. */
    info->dct_method = JDCT_ISLOW;
    d->status = make_image(d, name);
    if (d->status != SOMA_OK)
        return false;
    jpeg_start_decompress(info);
    size_t row = (size_t)info->output_width * (size_t)d->channels;
    while (info->output_scanline < info->output_height) {
        JSAMPROW at = (uint8_t *)soma_tensor_data(d->image) + row * info->output_scanline;
        jpeg_read_scanlines(info, &at, 1);
    }
    jpeg_finish_decompress(info);
    return true;
}

soma_status soma__jpeg_parse(soma_tensor **out, const void *bytes, size_t size, const char *name,
                             int channels, soma_error *err)
{
    *out = NULL;
    if (channels != 0 && channels != 1 && channels != 3)
        return soma__fail(err, SOMA_INVALID, "%s: a picture has 1 or 3 channels, not %d", name,
                          channels);
    if (!soma__jpeg_is(bytes, size))
        return soma__fail(err, SOMA_FORMAT, "%s: not a JPEG file", name);
    decoder *d = soma__calloc(1, sizeof *d);
    if (!d)
        return soma__fail(err, SOMA_MEMORY, "%s: out of memory while decoding JPEG", name);
    d->err = err;
    d->channels = channels;
    d->info.err = jpeg_std_error(&d->errors);
    d->info.client_data = d;
    d->errors.error_exit = on_error;
    d->errors.emit_message = on_message;
    soma_status status = SOMA_OK;
    if (!decode(d, bytes, size, name)) {
        status = d->status;
        if (status == SOMA_OK)
            status =
                d->memory
                    ? soma__fail(err, SOMA_MEMORY, "%s: out of memory while decoding JPEG", name)
                    : soma__fail(err, SOMA_FORMAT, "%s: damaged JPEG: %s", name, d->message);
        soma_tensor_release(d->image);
        d->image = NULL;
    }
    jpeg_destroy_decompress(&d->info);
    *out = d->image;
    soma__free(d);
    return status;
}
#else
soma_status soma__jpeg_parse(soma_tensor **out, const void *bytes, size_t size, const char *name,
                             int channels, soma_error *err)
{
    (void)bytes, (void)size, (void)channels;
    *out = NULL;
    return soma__fail(err, SOMA_UNSUPPORTED, "%s: this soma was built without libjpeg", name);
}
#endif

/* --- pictures of either kind --------------------------------------------------------------------
 */

soma_status soma__picture_parse(soma_tensor **out, const void *bytes, size_t size, const char *name,
                                int channels, soma_error *err)
{
    if (soma__jpeg_is(bytes, size))
        return soma__jpeg_parse(out, bytes, size, name, channels, err);
    return soma__png_parse(out, bytes, size, name, channels, err);
}

soma_status soma__picture_read(soma_tensor **out, const char *path, int channels, soma_error *err)
{
    void *bytes;
    size_t size;
    *out = NULL;
    SOMA__TRY(soma__file_read(&bytes, &size, path, SOMA__IMAGE_MAX_BYTES, err));
    soma_status status = soma__picture_parse(out, bytes, size, path, channels, err);
    soma__free(bytes);
    return status;
}

bool soma__picture_name(const char *name)
{
    static const char *const ends[] = {".png", ".jpg", ".jpeg"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (length > strlen(ends[i]) && strcasecmp(name + length - strlen(ends[i]), ends[i]) == 0)
            return true;
    return false;
}

/* The middle of an image. */
static soma_status crop(soma_tensor **out, const soma_tensor *image, int64_t height, int64_t width,
                        soma_error *err)
{
    const soma_shape *shape = soma_tensor_shape(image);
    int64_t top = (shape->dim[0] - height) / 2, left = (shape->dim[1] - width) / 2;
    int64_t channels = shape->dim[2];
    SOMA__TRY(soma_tensor_create(out, SOMA_U8, SOMA_SHAPE(height, width, channels), err));
    const uint8_t *from = soma_tensor_const_data(image);
    uint8_t *to = soma_tensor_data(*out);
    for (int64_t y = 0; y < height; y++)
        memcpy(to + y * width * channels, from + ((top + y) * shape->dim[1] + left) * channels,
               (size_t)(width * channels));
    return SOMA_OK;
}

soma_status soma__picture_fit(soma_tensor **out, const soma_tensor *image, int64_t height,
                              int64_t width, soma__fit fit, soma_error *err)
{
    const soma_shape *shape = soma_tensor_shape(image);
    soma_tensor *resized;
    int64_t h = height, w = width;
    if (fit == SOMA__FIT_STRETCH || shape->ndim != 3)
        return soma__image_resize(out, image, height, width, err);
    /* The smallest picture of these proportions that covers the size: one side is exact. */
    if (shape->dim[0] * width >= shape->dim[1] * height)
        h = (shape->dim[0] * width + shape->dim[1] / 2) / shape->dim[1];
    else
        w = (shape->dim[1] * height + shape->dim[0] / 2) / shape->dim[0];
    SOMA__TRY(soma__image_resize(&resized, image, h, w, err));
    soma_status status = crop(out, resized, height, width, err);
    soma_tensor_release(resized);
    return status;
}
