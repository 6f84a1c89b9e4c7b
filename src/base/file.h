/* file.h: whole files in, atomic replacement out. Failures are SOMA_IO (also for a file that does
 * not exist or is too large) or SOMA_MEMORY. */
#ifndef SOMA__FILE_H
#define SOMA__FILE_H

#include <stdio.h>

#include "base/error.h"

/* Reads a whole regular file of at most `limit` bytes (0: 16 GiB). `*data` gets one extra 0 byte
 * after its end and is released with soma__free. Messages name the path. */
soma_status soma__file_read(void **data, size_t *size, const char *path, size_t limit,
                            soma_error *err);

/* Atomic replacement: write to a temporary file beside `path`, then commit: flush, fsync, rename,
 * fsync of the directory. Until commit succeeds the old file is untouched; abandon (or a failed
 * commit) removes the temporary. An existing file keeps its permissions, a symbolic link stays and
 * what it points to is replaced, and a device or pipe (/dev/stdout) is written to directly. */
typedef struct soma__writer soma__writer;
soma_status soma__writer_open(soma__writer **out, const char *path, soma_error *err);
soma_status soma__writer_write(soma__writer *writer, const void *data, size_t size,
                               soma_error *err);
/* Frees the writer whatever the result. */
soma_status soma__writer_commit(soma__writer *writer, soma_error *err);
void soma__writer_abandon(soma__writer *writer);
/* All at once. */
soma_status soma__file_write(const char *path, const void *data, size_t size, soma_error *err);

bool soma__file_exists(const char *path);
/* Makes the folder and its parents. */
soma_status soma__make_folder(const char *path, soma_error *err);
/* "a/b" joined; *out with soma__free. */
soma_status soma__path_join(char **out, const char *folder, const char *name, soma_error *err);

/* Monotonic seconds. */
double soma__seconds(void);

#endif
