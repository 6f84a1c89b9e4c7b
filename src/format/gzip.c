#include "format/gzip.h"

#include <limits.h>
#include <string.h>

#include "base/mem.h"

bool soma__gzip_is(const void *bytes, size_t size)
{
    return size >= 2 && memcmp(bytes, "\x1f\x8b", 2) == 0;
}

#if defined(SOMA_HAVE_ZLIB) && SOMA_HAVE_ZLIB
#define ZLIB_CONST /* zlib then takes its input as const */
#include <zlib.h>

#define RAW_WINDOW -15        /* no header at all, as ZIP has it */
#define GZIP_WINDOW (15 + 16) /* the largest window; +16 asks zlib for gzip headers */

struct soma__gunzip {
    z_stream stream;
    const unsigned char *next; /* input that zlib has not been shown: it counts in 32 bits */
    size_t left;
    const char *name;
    bool ended;
};

static void *zlib_alloc(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return soma__calloc(count, size);
}

static void zlib_free(void *opaque, void *memory)
{
    (void)opaque;
    soma__free(memory);
}

static soma_status open_stream(soma__gunzip **out, const void *bytes, size_t size, int window,
                               const char *name, soma_error *err)
{
    soma__gunzip *reader = soma__calloc(1, sizeof *reader);

    *out = NULL;
    if (!reader)
        return soma__fail(err, SOMA_MEMORY, "%s: out of memory while decompressing", name);
    reader->next = bytes;
    reader->left = size;
    reader->name = name;
    reader->stream.zalloc = zlib_alloc;
    reader->stream.zfree = zlib_free;
    if (inflateInit2(&reader->stream, window) != Z_OK) {
        soma__free(reader);
        return soma__fail(err, SOMA_MEMORY, "%s: out of memory while decompressing", name);
    }
    *out = reader;
    return SOMA_OK;
}

soma_status soma__gunzip_open(soma__gunzip **out, const void *bytes, size_t size, const char *name,
                              soma_error *err)
{
    return open_stream(out, bytes, size, GZIP_WINDOW, name, err);
}

/* Inflates up to `size` bytes and says in *done how many there were. */
static soma_status inflate_some(soma__gunzip *reader, void *data, size_t size, size_t *done,
                                soma_error *err)
{
    z_stream *z = &reader->stream;
    unsigned char *at = data;

    while (size && !reader->ended) {
        unsigned room = size > UINT_MAX ? UINT_MAX : (unsigned)size;
        if (!z->avail_in && reader->left) {
            z->next_in = reader->next;
            z->avail_in = reader->left > UINT_MAX ? UINT_MAX : (unsigned)reader->left;
            reader->next += z->avail_in;
            reader->left -= z->avail_in;
        }
        z->next_out = at;
        z->avail_out = room;
        int code = inflate(z, Z_NO_FLUSH);
        at += room - z->avail_out;
        size -= room - z->avail_out;
        if (code == Z_STREAM_END)
            reader->ended = true;
        else if (code == Z_MEM_ERROR)
            return soma__fail(err, SOMA_MEMORY, "%s: out of memory while decompressing",
                              reader->name);
        else if (code == Z_BUF_ERROR ||
                 (code == Z_OK && !z->avail_in && !reader->left && z->avail_out))
            return soma__fail(err, SOMA_FORMAT, "%s: the gzip data is cut short", reader->name);
        else if (code != Z_OK)
            return soma__fail(err, SOMA_FORMAT, "%s: the gzip data is damaged: %s", reader->name,
                              z->msg ? z->msg : "not a valid stream");
    }
    *done = (size_t)(at - (unsigned char *)data);
    return SOMA_OK;
}

soma_status soma__gunzip_read(soma__gunzip *reader, void *data, size_t size, soma_error *err)
{
    size_t done;

    SOMA__TRY(inflate_some(reader, data, size, &done, err));
    if (done < size)
        return soma__fail(err, SOMA_FORMAT, "%s: its content ends %zu bytes too early",
                          reader->name, size - done);
    return SOMA_OK;
}

soma_status soma__gunzip_end(soma__gunzip *reader, soma_error *err)
{
    char extra;
    size_t done;

    /* The checksum is read with the end of the stream, so one byte more has to be asked for. */
    SOMA__TRY(inflate_some(reader, &extra, 1, &done, err));
    if (done)
        return soma__fail(err, SOMA_FORMAT, "%s: there is more data than its header promises",
                          reader->name);
    if (reader->stream.avail_in || reader->left)
        return soma__fail(err, SOMA_FORMAT, "%s: something follows the end of the gzip data",
                          reader->name);
    return SOMA_OK;
}

soma_status soma__inflate_raw(void **data, size_t size, const void *bytes, size_t bytes_size,
                              const char *name, soma_error *err)
{
    soma__gunzip *reader;
    *data = NULL;
    if (size / SOMA__GZIP_MAX_RATIO > bytes_size)
        return soma__fail(err, SOMA_FORMAT, "%s: %zu bytes cannot unfold to %zu", name, bytes_size,
                          size);
    SOMA__TRY(open_stream(&reader, bytes, bytes_size, RAW_WINDOW, name, err));
    soma_status status = SOMA_OK;
    *data = soma__malloc(size + 1);
    if (!*data)
        status = soma__fail(err, SOMA_MEMORY, "%s: out of memory while decompressing", name);
    if (status == SOMA_OK)
        status = soma__gunzip_read(reader, *data, size, err);
    if (status == SOMA_OK)
        status = soma__gunzip_end(reader, err);
    soma__gunzip_close(reader);
    if (status != SOMA_OK) {
        soma__free(*data);
        *data = NULL;
    }
    return status;
}

void soma__gunzip_close(soma__gunzip *reader)
{
    if (!reader)
        return;
    inflateEnd(&reader->stream);
    soma__free(reader);
}

/* Inflates into *buffer, which is grown by doubling; the caller frees it whatever happens. */
static soma_status inflate_all(soma__gunzip *reader, char **buffer, size_t *size, size_t limit,
                               soma_error *err)
{
    size_t capacity = 0;

    /* At least once: an end that has been reached gives no bytes, but the buffer has room for the
     * final 0. */
    do {
        size_t done;
        if (*size == capacity) {
            size_t bigger = capacity ? capacity * 2 : 4096;
            char *grown = soma__realloc(*buffer, bigger + 1);
            if (!grown)
                return soma__fail(err, SOMA_MEMORY, "%s: out of memory while decompressing",
                                  reader->name);
            *buffer = grown;
            capacity = bigger;
        }
        SOMA__TRY(inflate_some(reader, *buffer + *size, capacity - *size, &done, err));
        *size += done;
        if (*size > limit)
            return soma__fail(err, SOMA_FORMAT,
                              "%s: it unfolds to more than the limit of %zu bytes", reader->name,
                              limit);
    } while (!reader->ended);
    (*buffer)[*size] = 0;
    return soma__gunzip_end(reader, err);
}

soma_status soma__gunzip_all(void **data, size_t *size, const void *bytes, size_t bytes_size,
                             size_t limit, const char *name, soma_error *err)
{
    soma__gunzip *reader;
    char *buffer = NULL;
    soma_status status;

    *size = 0;
    SOMA__TRY(soma__gunzip_open(&reader, bytes, bytes_size, name, err));
    status = inflate_all(reader, &buffer, size, limit, err);
    soma__gunzip_close(reader);
    if (status != SOMA_OK) {
        soma__free(buffer);
        return status;
    }
    *data = buffer;
    return SOMA_OK;
}

soma_status soma__gzip(soma__text *out, const void *data, size_t size, soma_error *err)
{
    z_stream z = {.zalloc = zlib_alloc, .zfree = zlib_free};
    const unsigned char *next = data;
    unsigned char buffer[16384];
    int code;

    if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return soma__fail(err, SOMA_MEMORY, "out of memory while compressing");
    do {
        if (!z.avail_in && size) {
            z.next_in = next;
            z.avail_in = size > UINT_MAX ? UINT_MAX : (unsigned)size;
            next += z.avail_in;
            size -= z.avail_in;
        }
        z.next_out = buffer;
        z.avail_out = sizeof buffer;
        code = deflate(&z, size ? Z_NO_FLUSH : Z_FINISH);
        soma__text_append(out, buffer, sizeof buffer - z.avail_out);
    } while (code == Z_OK && !out->failed);
    deflateEnd(&z);
    if (out->failed)
        return soma__fail(err, SOMA_MEMORY, "out of memory while compressing");
    return code == Z_STREAM_END ? SOMA_OK
                                : soma__fail(err, SOMA_INTERNAL, "zlib failed with code %d", code);
}

#else
static soma_status missing(const char *name, soma_error *err)
{
    return soma__fail(err, SOMA_UNSUPPORTED, "%s: gzip needs zlib: this soma was built without it",
                      name);
}

soma_status soma__gunzip_open(soma__gunzip **out, const void *bytes, size_t size, const char *name,
                              soma_error *err)
{
    (void)bytes, (void)size;
    *out = NULL;
    return missing(name, err);
}

soma_status soma__gunzip_read(soma__gunzip *reader, void *data, size_t size, soma_error *err)
{
    (void)reader, (void)data, (void)size;
    return missing("reader", err);
}

soma_status soma__gunzip_end(soma__gunzip *reader, soma_error *err)
{
    (void)reader;
    return missing("reader", err);
}

soma_status soma__inflate_raw(void **data, size_t size, const void *bytes, size_t bytes_size,
                              const char *name, soma_error *err)
{
    (void)size, (void)bytes, (void)bytes_size;
    *data = NULL;
    return soma__fail(err, SOMA_UNSUPPORTED, "%s: this soma was built without zlib", name);
}

void soma__gunzip_close(soma__gunzip *reader)
{
    (void)reader;
}

soma_status soma__gunzip_all(void **data, size_t *size, const void *bytes, size_t bytes_size,
                             size_t limit, const char *name, soma_error *err)
{
    (void)data, (void)size, (void)bytes, (void)bytes_size, (void)limit;
    return missing(name, err);
}

soma_status soma__gzip(soma__text *out, const void *data, size_t size, soma_error *err)
{
    (void)out, (void)data, (void)size;
    return missing("writing", err);
}
#endif
