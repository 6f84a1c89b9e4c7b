/* gzip.h: gzip streams in memory, behind the one place that knows zlib.
 *
 * A reader hands out exactly the bytes that were asked for and never inflates more, so a small file
 * that would unfold to gigabytes costs nothing. */
#ifndef SOMA__GZIP_H
#define SOMA__GZIP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/text.h"

/* Deflate makes at most 1032 bytes of one: whoever promises more is lying. */
#define SOMA__GZIP_MAX_RATIO 1032

bool soma__gzip_is(const void *bytes, size_t size);

typedef struct soma__gunzip soma__gunzip;
/* `bytes` stay valid until close; `name` stands for the file in messages and stays valid too.
 * Errors: SOMA_MEMORY, SOMA_UNSUPPORTED without zlib. */
soma_status soma__gunzip_open(soma__gunzip **out, const void *bytes, size_t size, const char *name,
                              soma_error *err);
/* Exactly `size` bytes, or SOMA_FORMAT. */
soma_status soma__gunzip_read(soma__gunzip *reader, void *data, size_t size, soma_error *err);
/* SOMA_FORMAT unless the stream ends here with the right checksum and nothing follows it. */
soma_status soma__gunzip_end(soma__gunzip *reader, soma_error *err);
void soma__gunzip_close(soma__gunzip *reader);

/* Inflates all of it, as long as that is at most `limit` bytes. `*data` gets an extra 0 byte after
 * its end and is released with soma__free. */
soma_status soma__gunzip_all(void **data, size_t *size, const void *bytes, size_t bytes_size,
                             size_t limit, const char *name, soma_error *err);

/* Deflated bytes without a header, which must unfold to exactly `size`; *data with soma__free.
 * Errors: SOMA_FORMAT, SOMA_MEMORY, SOMA_UNSUPPORTED. */
soma_status soma__inflate_raw(void **data, size_t size, const void *bytes, size_t bytes_size,
                              const char *name, soma_error *err);

/* Adds the compressed bytes to `out`. The stream carries no time and no name, so that equal data
 * give equal files. Errors: SOMA_MEMORY, SOMA_UNSUPPORTED. */
soma_status soma__gzip(soma__text *out, const void *data, size_t size, soma_error *err);

#endif
