/* tar.h: the regular files of a tar archive in memory (POSIX ustar, and GNU's long names).
 *
 * Read here rather than by libarchive: it is 512-byte headers, and what is wanted of it is little:
 * a list of files whose names are known, where links, devices and paths that lead elsewhere are
 * passed over. */
#ifndef SOMA__TAR_H
#define SOMA__TAR_H

#include "base/error.h"

/* Calls fn for each regular file; `path` as in the archive, `bytes` in it. A status of fn other
 * than SOMA_OK ends the walk. Errors: SOMA_FORMAT (a bad checksum or size, cut short). */
soma_status soma__tar_each(const void *bytes, size_t size, const char *name,
                           soma_status (*fn)(void *user, const char *path, const void *bytes,
                                             size_t size, soma_error *err),
                           void *user, soma_error *err);
/* A path that stays below the folder where it is unpacked: relative, without "..". */
bool soma__tar_safe(const char *path);

#endif
