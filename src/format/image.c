#include "format/image.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

#if defined(SOMA_HAVE_PNG) && SOMA_HAVE_PNG
#include <png.h>
#include <setjmp.h>

/* libpng leaves by longjmp when something is wrong. All state that must survive the jump lives in
 * this struct, outside of the function that calls setjmp, so no local variable is at risk. */
typedef struct codec {
    png_structp png;
    png_infop info;
    const unsigned char *bytes; /* reading: what is left */
    size_t left;
    soma__text *text; /* writing */
    const uint8_t *source;
    bool no_memory;
    char message[128];
    png_uint_32 width, height;
    int channels; /* 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha; after expansion to 8 bits */
    uint8_t *pixels; /* reading: what was decoded, and where its rows begin */
    png_bytep *rows;
} codec;

static PNG_NORETURN void on_error(png_structp png, png_const_charp message)
{
    codec *c = png_get_error_ptr(png);
    size_t length = strlen(message);
    if (length >= sizeof c->message)
        length = sizeof c->message - 1;
    memcpy(c->message, message, length);
    c->message[length] = 0;
    png_longjmp(png, 1);
}

/* Warnings are of things like unknown profiles, which do not touch the pixels. */
static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static png_voidp png_alloc(png_structp png, png_alloc_size_t size)
{
    void *memory = soma__malloc(size);
    codec *c = png_get_mem_ptr(png);
    if (!memory)
        c->no_memory = true;
    return memory;
}

static void png_release(png_structp png, png_voidp memory)
{
    (void)png;
    soma__free(memory);
}

static void on_read(png_structp png, png_bytep data, size_t size)
{
    codec *c = png_get_io_ptr(png);
    if (size > c->left)
        png_error(png, "the file is cut short");
    memcpy(data, c->bytes, size);
    c->bytes += size;
    c->left -= size;
}

static soma_status png_failure(const codec *c, const char *name, soma_error *err)
{
    if (c->no_memory)
        return soma__fail(err, SOMA_MEMORY, "%s: out of memory while decoding PNG", name);
    return soma__fail(err, SOMA_FORMAT, "%s: damaged PNG: %s", name, c->message);
}

/* Header and conversions, up to the point where the size of a decoded row is known. False: jumped.
 */
static bool read_header(codec *c)
{
    int depth, type;

    if (setjmp(png_jmpbuf(c->png)))
        return false;
    png_set_user_limits(c->png, SOMA__IMAGE_MAX_SIDE, SOMA__IMAGE_MAX_SIDE);
    png_set_chunk_malloc_max(c->png, 8000000);
    png_set_chunk_cache_max(c->png, 128);
    png_set_read_fn(c->png, c, on_read);
    png_read_info(c->png, c->info);
    png_get_IHDR(c->png, c->info, &c->width, &c->height, &depth, &type, NULL, NULL, NULL);
    png_set_scale_16(c->png);
    png_set_expand(c->png); /* palettes to RGB, few bits to 8, tRNS to alpha */
    png_set_interlace_handling(c->png);
    png_read_update_info(c->png, c->info);
    c->channels = png_get_channels(c->png, c->info);
    return true;
}

static bool read_pixels(codec *c)
{
    if (setjmp(png_jmpbuf(c->png)))
        return false;
    png_read_image(c->png, c->rows);
    png_read_end(c->png, NULL);
    return true;
}

static soma_status decode(codec *c, size_t file_size, const char *name, soma_error *err)
{
    size_t row, all;

    if (!read_header(c)) {
        /* libpng reports this limit like damage; to the user it is something else. */
        if (strstr(c->message, "user limit") || strstr(c->message, "Invalid IHDR"))
            return soma__fail(err, SOMA_UNSUPPORTED,
                              "%s: invalid or too large PNG (a side has at most %d pixels)", name,
                              SOMA__IMAGE_MAX_SIDE);
        return png_failure(c, name, err);
    }
    row = png_get_rowbytes(c->png, c->info);
    if (row != (size_t)c->width * (size_t)c->channels)
        return soma__fail(err, SOMA_UNSUPPORTED, "%s: a kind of PNG that soma does not read", name);
    if (!soma__mul(row, c->height, &all) || all > SOMA__IMAGE_MAX_BYTES)
        return soma__fail(err, SOMA_UNSUPPORTED, "%s: %u x %u pixels are more than soma reads",
                          name, c->width, c->height);
    /* Deflate packs at most 1032 bytes into one, and eight 1-bit pixels of up to four channels go
     * into a byte: a file too small for its promised size is refused before memory is taken. */
    if (all / 1032 / 32 > file_size)
        return soma__fail(err, SOMA_FORMAT, "%s: the file cannot hold %u x %u pixels", name,
                          c->width, c->height);
    c->pixels = soma__malloc(all);
    c->rows = soma__calloc(c->height, sizeof *c->rows);
    if (!c->pixels || !c->rows)
        return soma__fail(err, SOMA_MEMORY, "%s: out of memory for %u x %u pixels", name, c->width,
                          c->height);
    for (png_uint_32 y = 0; y < c->height; y++)
        c->rows[y] = c->pixels + row * y;
    return read_pixels(c) ? SOMA_OK : png_failure(c, name, err);
}

/* v drawn on white with opacity a, rounded. */
static uint8_t on_white(unsigned v, unsigned a)
{
    return (uint8_t)((v * a + 255 * (255 - a) + 127) / 255);
}

/* Drops alpha and brings the decoded pixels to `channels`. */
static void convert(uint8_t *to, const codec *c, int channels)
{
    size_t count = (size_t)c->width * c->height;
    const uint8_t *from = c->pixels;
    int colours = c->channels >= 3 ? 3 : 1;
    bool alpha = c->channels == 2 || c->channels == 4;

    for (size_t i = 0; i < count; i++, from += c->channels, to += channels) {
        uint8_t v[3];
        for (int k = 0; k < colours; k++)
            v[k] = alpha ? on_white(from[k], from[colours]) : from[k];
        if (colours == channels)
            memcpy(to, v, (size_t)channels);
        else if (channels == 1)
            to[0] = (uint8_t)((299u * v[0] + 587u * v[1] + 114u * v[2] + 500) / 1000);
        else
            to[0] = to[1] = to[2] = v[0];
    }
}

soma_status soma__png_parse(soma_tensor **out, const void *bytes, size_t size, const char *name,
                            int channels, soma_error *err)
{
    codec c = {.bytes = bytes, .left = size};
    soma_status status;

    *out = NULL;
    if (channels != 0 && channels != 1 && channels != 3)
        return soma__fail(err, SOMA_INVALID, "%s: an image has 1 or 3 channels, not %d", name,
                          channels);
    if (!size)
        return soma__fail(err, SOMA_FORMAT, "%s: the file is empty", name);
    if (size < 8 || png_sig_cmp(bytes, 0, 8))
        return soma__fail(err, SOMA_FORMAT, "%s: not a PNG file", name);
    c.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &c, on_error, on_warning, &c, png_alloc,
                                     png_release);
    c.info = c.png ? png_create_info_struct(c.png) : NULL;
    if (!c.info) {
        png_destroy_read_struct(&c.png, NULL, NULL);
        return soma__fail(err, SOMA_MEMORY, "%s: out of memory while decoding PNG", name);
    }
    status = decode(&c, size, name, err);
    if (status == SOMA_OK) {
        int given = channels ? channels : c.channels >= 3 ? 3 : 1;
        status = soma_tensor_create(out, SOMA_U8, SOMA_SHAPE(c.height, c.width, given), err);
        if (status == SOMA_OK)
            convert(soma_tensor_data(*out), &c, given);
    }
    png_destroy_read_struct(&c.png, &c.info, NULL);
    soma__free(c.rows);
    soma__free(c.pixels);
    return status;
}

static void on_write(png_structp png, png_bytep data, size_t size)
{
    codec *c = png_get_io_ptr(png);
    soma__text_append(c->text, data, size);
    if (c->text->failed) {
        c->no_memory = true;
        png_error(png, "out of memory");
    }
}

static void on_flush(png_structp png)
{
    (void)png;
}

/* What is written is in width, height, channels and source. */
static bool write_pixels(codec *c)
{
    if (setjmp(png_jmpbuf(c->png)))
        return false;
    png_set_write_fn(c->png, c, on_write, on_flush);
    png_set_user_limits(c->png, SOMA__IMAGE_MAX_SIDE, SOMA__IMAGE_MAX_SIDE);
    png_set_IHDR(c->png, c->info, c->width, c->height, 8,
                 c->channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(c->png, c->info);
    for (png_uint_32 y = 0; y < c->height; y++)
        png_write_row(c->png, c->source + (size_t)y * c->width * (size_t)c->channels);
    png_write_end(c->png, c->info);
    return true;
}

soma_status soma__png_encode(soma__text *out, const uint8_t *pixels, int width, int height,
                             int channels, soma_error *err)
{
    codec c = {.text = out, .source = pixels, .channels = channels};
    soma_status status = SOMA_OK;

    if (width < 1 || height < 1 || width > SOMA__IMAGE_MAX_SIDE || height > SOMA__IMAGE_MAX_SIDE ||
        (channels != 1 && channels != 3))
        return soma__fail(err, SOMA_SHAPE, "a PNG of %d x %d pixels and %d channels", width, height,
                          channels);
    c.png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &c, on_error, on_warning, &c,
                                      png_alloc, png_release);
    c.info = c.png ? png_create_info_struct(c.png) : NULL;
    if (!c.info) {
        png_destroy_write_struct(&c.png, NULL);
        return soma__fail(err, SOMA_MEMORY, "out of memory while encoding PNG");
    }
    c.width = (png_uint_32)width;
    c.height = (png_uint_32)height;
    if (!write_pixels(&c))
        status = c.no_memory ? soma__fail(err, SOMA_MEMORY, "out of memory while encoding PNG")
                             : soma__fail(err, SOMA_INTERNAL, "libpng failed: %s", c.message);
    png_destroy_write_struct(&c.png, &c.info);
    return status;
}

#else
soma_status soma__png_parse(soma_tensor **out, const void *bytes, size_t size, const char *name,
                            int channels, soma_error *err)
{
    (void)bytes, (void)size, (void)channels;
    *out = NULL;
    return soma__fail(err, SOMA_UNSUPPORTED,
                      "%s: reading PNG needs libpng: this soma was built without it", name);
}

soma_status soma__png_encode(soma__text *out, const uint8_t *pixels, int width, int height,
                             int channels, soma_error *err)
{
    (void)out, (void)pixels, (void)width, (void)height, (void)channels;
    return soma__fail(err, SOMA_UNSUPPORTED,
                      "writing PNG needs libpng: this soma was built without it");
}
#endif

soma_status soma__png_read(soma_tensor **out, const char *path, int channels, soma_error *err)
{
    void *data;
    size_t size;
    soma_status status;

    *out = NULL;
    SOMA__TRY(soma__file_read(&data, &size, path, (size_t)1 << 30, err));
    status = soma__png_parse(out, data, size, path, channels, err);
    soma__free(data);
    return status;
}

/* Height, width and channels of a u8 tensor that is an image. */
static soma_status image_sizes(const soma_tensor *image, int64_t size[3], soma_error *err)
{
    const soma_shape *shape = soma_tensor_shape(image);
    char text[SOMA_SHAPE_TEXT_SIZE];

    if (soma_tensor_dtype(image) != SOMA_U8)
        return soma__fail(err, SOMA_DTYPE, "an image is of u8, not %s",
                          soma_dtype_text(soma_tensor_dtype(image)));
    size[2] = 1;
    for (int i = 0; i < 3 && i < shape->ndim; i++)
        size[i] = shape->dim[i];
    if (shape->ndim < 2 || shape->ndim > 3 || size[0] < 1 || size[1] < 1 || size[2] < 1 ||
        size[0] > SOMA__IMAGE_MAX_SIDE || size[1] > SOMA__IMAGE_MAX_SIDE)
        return soma__fail(err, SOMA_SHAPE, "%s is no shape of an image: [height,width,channels]",
                          soma_shape_text(shape, text, sizeof text));
    return SOMA_OK;
}

soma_status soma__png_write(const char *path, const soma_tensor *image, soma_error *err)
{
    soma__text text = {0};
    int64_t size[3];
    soma_status status;

    SOMA__TRY(image_sizes(image, size, err));
    if (size[2] != 1 && size[2] != 3)
        return soma__fail(err, SOMA_SHAPE, "%s: a PNG has 1 or 3 channels, not %d", path,
                          (int)(size[2] > 9999 ? 9999 : size[2]));
    status = soma__png_encode(&text, soma_tensor_const_data(image), (int)size[1], (int)size[0],
                              (int)size[2], err);
    if (status == SOMA_OK)
        status = soma__file_write(path, text.data, text.length, err);
    soma__text_free(&text);
    return status;
}

/* --- resizing ----------------------------------------------------------------------------------*/

/* One output place is a weighted mean of the inputs first … first+count-1. */
typedef struct tap {
    int64_t first;
    int count;
} tap;

/* Taps of `to` places over `from` places; `weights` has `most` entries for each. The window is a
 * triangle as wide as one output pixel on the input (or one input pixel, when the image grows). */
static void build_taps(tap *taps, float *weights, int most, int64_t from, int64_t to)
{
    double scale = (double)from / (double)to, radius = scale > 1 ? scale : 1;

    for (int64_t i = 0; i < to; i++) {
        double centre = ((double)i + 0.5) * scale - 0.5, sum = 0;
        int64_t first = (int64_t)ceil(centre - radius), last = (int64_t)floor(centre + radius);
        float *w = weights + i * most;
        first = first < 0 ? 0 : first;
        last = last > from - 1 ? from - 1 : last;
        taps[i].first = first;
        taps[i].count = (int)(last - first + 1);
        for (int k = 0; k < taps[i].count; k++) {
            double weight = 1 - fabs((double)(first + k) - centre) / radius;
            w[k] = (float)(weight > 0 ? weight : 0);
            sum += w[k];
        }
        for (int k = 0; k < taps[i].count; k++)
            w[k] = (float)(w[k] / sum);
    }
}

static int most_taps(int64_t from, int64_t to)
{
    double scale = (double)from / (double)to;
    return 2 * (int)ceil(scale > 1 ? scale : 1) + 1;
}

soma_status soma__image_resize(soma_tensor **out, const soma_tensor *image, int64_t height,
                               int64_t width, soma_error *err)
{
    int64_t size[3], channels;
    int most_y, most_x;
    tap *taps;
    float *weights, *wide;
    size_t cells;
    soma_status status;

    *out = NULL;
    SOMA__TRY(image_sizes(image, size, err));
    if (height < 1 || width < 1 || height > SOMA__IMAGE_MAX_SIDE || width > SOMA__IMAGE_MAX_SIDE)
        return soma__fail(err, SOMA_SHAPE, "an image cannot be resized to %d x %d",
                          (int)(height & INT32_MAX), (int)(width & INT32_MAX));
    channels = size[2];
    most_y = most_taps(size[0], height);
    most_x = most_taps(size[1], width);
    taps = soma__calloc((size_t)(height + width), sizeof *taps);
    weights = soma__calloc((size_t)(height * most_y + width * most_x), sizeof *weights);
    /* Columns first: the image between the two passes is [old height, new width, channels]. */
    wide = soma__mul((size_t)(size[0] * width), (size_t)channels, &cells)
               ? soma__calloc(cells, sizeof *wide)
               : NULL;
    if (!taps || !weights || !wide)
        status = soma__fail(err, SOMA_MEMORY, "out of memory while resizing an image");
    else
        status = soma_tensor_create(out, SOMA_U8, SOMA_SHAPE(height, width, channels), err);

    if (status == SOMA_OK) {
        const uint8_t *from = soma_tensor_const_data(image);
        uint8_t *to = soma_tensor_data(*out);
        const tap *tap_y = taps, *tap_x = taps + height;
        const float *weight_y = weights, *weight_x = weights + height * most_y;
        build_taps(taps, weights, most_y, size[0], height);
        build_taps(taps + height, weights + height * most_y, most_x, size[1], width);

        for (int64_t y = 0; y < size[0]; y++)
            for (int64_t x = 0; x < width; x++)
                for (int k = 0; k < tap_x[x].count; k++) {
                    const uint8_t *pixel = from + (y * size[1] + tap_x[x].first + k) * channels;
                    for (int64_t c = 0; c < channels; c++)
                        wide[(y * width + x) * channels + c] += weight_x[x * most_x + k] * pixel[c];
                }
        for (int64_t y = 0; y < height; y++)
            for (int64_t i = 0; i < width * channels; i++) {
                float sum = 0.5f;
                for (int k = 0; k < tap_y[y].count; k++)
                    sum += weight_y[y * most_y + k] *
                           wide[(tap_y[y].first + k) * width * channels + i];
                to[y * width * channels + i] = (uint8_t)(sum > 255 ? 255 : sum);
            }
    }
    soma__free(wide);
    soma__free(weights);
    soma__free(taps);
    return status;
}
