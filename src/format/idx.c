#include "format/idx.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "format/gzip.h"
#include "tensor/tensor.h"

/* The element types: code in the file, bytes there, dtype in memory. */
static const struct {
    unsigned char code;
    unsigned char size;
    soma_dtype dtype;
} types[] = {
    {0x08, 1, SOMA_U8},  {0x09, 1, SOMA_I8},  {0x0b, 2, SOMA_I32},
    {0x0c, 4, SOMA_I32}, {0x0d, 4, SOMA_F32}, {0x0e, 8, SOMA_F64},
};
#define TYPE_COUNT (sizeof types / sizeof types[0])

/* Where the bytes come from: memory, or a gzip stream over it. */
typedef struct source {
    const unsigned char *bytes;
    size_t left;
    soma__gunzip *gunzip;
    const char *name;
} source;

static soma_status take(source *from, void *data, size_t size, soma_error *err)
{
    if (from->gunzip)
        return soma__gunzip_read(from->gunzip, data, size, err);
    if (size > from->left)
        return soma__fail(err, SOMA_FORMAT, "%s: cut short: %zu more bytes expected, %zu found",
                          from->name, size, from->left);
    if (size)
        memcpy(data, from->bytes, size);
    from->bytes += size;
    from->left -= size;
    return SOMA_OK;
}

/* Reverses the bytes of each element where the host is little-endian. Size 1 needs nothing. */
static void swap_elements(void *data, size_t count, size_t size)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (size == 4) {
        uint32_t *p = data;
        for (size_t i = 0; i < count; i++)
            p[i] = __builtin_bswap32(p[i]);
    } else if (size == 8) {
        uint64_t *p = data;
        for (size_t i = 0; i < count; i++)
            p[i] = __builtin_bswap64(p[i]);
    }
#else
    (void)data, (void)count, (void)size;
#endif
}

/* Spreads big-endian 16-bit integers, which fill the first half of `data`, over all of it. From the
 * last to the first, so that none is overwritten before it was read. */
static void widen_i16(void *data, size_t count)
{
    const unsigned char *from = data;
    int32_t *to = data;
    for (size_t i = count; i-- > 0;)
        to[i] = (int16_t)(uint16_t)(from[2 * i] << 8 | from[2 * i + 1]);
}

static soma_status read_sizes(source *from, int ndim, soma_shape *shape, soma_error *err)
{
    for (int i = 0; i < ndim; i++) {
        unsigned char b[4];
        SOMA__TRY(take(from, b, sizeof b, err));
        shape->dim[i] = (int64_t)b[0] << 24 | (int64_t)b[1] << 16 | (int64_t)b[2] << 8 | b[3];
    }
    shape->ndim = ndim;
    return SOMA_OK;
}

static soma_status parse(soma_tensor **out, source *from, soma_error *err)
{
    unsigned char head[4];
    char text[SOMA_SHAPE_TEXT_SIZE];
    soma_shape shape = SOMA_SCALAR;
    soma_tensor *tensor;
    int64_t count;
    size_t type = 0, bytes, most = from->left;
    soma_status status;

    SOMA__TRY(take(from, head, sizeof head, err));
    while (type < TYPE_COUNT && types[type].code != head[2])
        type++;
    if (head[0] || head[1] || type == TYPE_COUNT)
        return soma__fail(err, SOMA_FORMAT,
                          "%s: not an IDX file: it begins with %02x %02x %02x %02x", from->name,
                          head[0], head[1], head[2], head[3]);
    if (head[3] == 0)
        return soma__fail(err, SOMA_FORMAT, "%s: an IDX file without dimensions", from->name);
    if (head[3] > SOMA_MAX_DIMS)
        return soma__fail(err, SOMA_UNSUPPORTED, "%s: has %d dimensions, soma reads up to %d",
                          from->name, head[3], SOMA_MAX_DIMS);
    SOMA__TRY(read_sizes(from, head[3], &shape, err));

    /* The promise is compared with what the file can hold before any memory is asked for. */
    if (from->gunzip) {
        if (!soma__mul(most, SOMA__GZIP_MAX_RATIO, &most))
            most = SIZE_MAX;
    } else {
        most = from->left;
    }
    if (!soma__shape_count(&shape, &count) || !soma__mul((size_t)count, types[type].size, &bytes) ||
        bytes > most)
        return soma__fail(err, SOMA_FORMAT,
                          "%s: the header promises %s elements of %d bytes, more than the file "
                          "holds: it is damaged or cut short",
                          from->name, soma_shape_text(&shape, text, sizeof text), types[type].size);

    SOMA__TRY(soma_tensor_create(&tensor, types[type].dtype, shape, err));
    status = take(from, soma_tensor_data(tensor), bytes, err);
    if (status == SOMA_OK && from->gunzip)
        status = soma__gunzip_end(from->gunzip, err);
    else if (status == SOMA_OK && from->left)
        status = soma__fail(err, SOMA_FORMAT, "%s: %zu bytes follow the last element", from->name,
                            from->left);
    if (status != SOMA_OK) {
        soma_tensor_release(tensor);
        return status;
    }
    if (types[type].size == 2)
        widen_i16(soma_tensor_data(tensor), (size_t)count);
    else
        swap_elements(soma_tensor_data(tensor), (size_t)count, types[type].size);
    *out = tensor;
    return SOMA_OK;
}

soma_status soma__idx_parse(soma_tensor **out, const void *bytes, size_t size, const char *name,
                            soma_error *err)
{
    source from = {.bytes = bytes, .left = size, .name = name};
    soma_status status;

    *out = NULL;
    if (!size)
        return soma__fail(err, SOMA_FORMAT, "%s: the file is empty", name);
    if (soma__gzip_is(bytes, size))
        SOMA__TRY(soma__gunzip_open(&from.gunzip, bytes, size, name, err));
    status = parse(out, &from, err);
    soma__gunzip_close(from.gunzip);
    return status;
}

soma_status soma__idx_read(soma_tensor **out, const char *path, soma_error *err)
{
    void *data;
    size_t size;
    soma_status status;

    *out = NULL;
    SOMA__TRY(soma__file_read(&data, &size, path, 0, err));
    status = soma__idx_parse(out, data, size, path, err);
    soma__free(data);
    return status;
}

/* Header and elements, uncompressed. */
static void encode(soma__text *out, unsigned char code, const soma_tensor *tensor)
{
    const soma_shape *shape = soma_tensor_shape(tensor);
    size_t element = soma_dtype_size(soma_tensor_dtype(tensor));
    const char *data = soma_tensor_const_data(tensor);
    const unsigned char head[4] = {0, 0, code, (unsigned char)shape->ndim};
    uint64_t block[512];

    soma__text_append(out, head, sizeof head);
    for (int i = 0; i < shape->ndim; i++) {
        uint32_t size = (uint32_t)shape->dim[i];
        const unsigned char b[4] = {(unsigned char)(size >> 24), (unsigned char)(size >> 16),
                                    (unsigned char)(size >> 8), (unsigned char)size};
        soma__text_append(out, b, sizeof b);
    }
    for (size_t at = 0, all = soma_tensor_bytes(tensor); at < all;) {
        size_t part = all - at < sizeof block ? all - at : sizeof block;
        memcpy(block, data + at, part);
        swap_elements(block, part / element, element);
        soma__text_append(out, block, part);
        at += part;
    }
}

soma_status soma__idx_write(const char *path, const soma_tensor *tensor, soma_error *err)
{
    const soma_shape *shape = soma_tensor_shape(tensor);
    size_t length = strlen(path), type = 0;
    soma__text plain = {0}, packed = {0};
    const soma__text *text = &plain;
    soma_status status = SOMA_OK;

    /* i32 is met first as widened i16, so the element sizes have to agree too. */
    while (type < TYPE_COUNT && (types[type].dtype != soma_tensor_dtype(tensor) ||
                                 types[type].size != soma_dtype_size(types[type].dtype)))
        type++;
    if (type == TYPE_COUNT)
        return soma__fail(err, SOMA_DTYPE,
                          "%s: IDX has no %s elements; cast to u8, i8, i32, f32 or f64 first", path,
                          soma_dtype_text(soma_tensor_dtype(tensor)));
    if (shape->ndim == 0)
        return soma__fail(err, SOMA_SHAPE, "%s: IDX cannot hold a scalar", path);
    for (int i = 0; i < shape->ndim; i++)
        if (shape->dim[i] > UINT32_MAX)
            return soma__fail(err, SOMA_SHAPE, "%s: an IDX dimension is at most %u", path,
                              UINT32_MAX);

    encode(&plain, types[type].code, tensor);
    if (plain.failed)
        status = soma__fail(err, SOMA_MEMORY, "%s: out of memory while writing", path);
    if (status == SOMA_OK && length >= 3 && strcmp(path + length - 3, ".gz") == 0) {
        status = soma__gzip(&packed, plain.data, plain.length, err);
        text = &packed;
    }
    if (status == SOMA_OK)
        status = soma__file_write(path, text->data, text->length, err);
    soma__text_free(&packed);
    soma__text_free(&plain);
    return status;
}
