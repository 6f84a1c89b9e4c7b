/* fetch.h: downloads of known data sets, checked, resumed where they broke off, unpacked. */
#ifndef SOMA__FETCH_H
#define SOMA__FETCH_H

#include "base/error.h"

typedef struct soma__fetch_options {
    const char *folder; /* a folder of the set's name is made in it; NULL: the user's cache */
    const char *url; /* where the files are, in place of the places that are known; may be NULL */
    /* `all` is the file's size; false stops (the part stays, to be resumed). May be NULL. */
    bool (*progress)(void *user, const char *file, int64_t done, int64_t all);
    void *user;
} soma__fetch_options;

/* The names of the sets that can be fetched; NULL beyond the last. */
const char *soma__fetch_name(int index);

/* Gets what is not there yet. A file takes its name only when its SHA-256 is right; until then it
 * lies beside it with ".part", and a later call goes on with it. *folder (with soma__free) is where
 * the set is then. Errors: SOMA_NOT_FOUND (no such set), SOMA_UNSUPPORTED (no libcurl), SOMA_IO
 * (the network, the disk), SOMA_FORMAT (other contents than expected), SOMA_CANCELLED, SOMA_MEMORY.
 */
soma_status soma__data_fetch(char **folder, const char *name, const soma__fetch_options *options,
                             soma_error *err);

/* The SHA-256 of a file, as text. */
soma_status soma__file_sha256(char out[65], const char *path, soma_error *err);

/* The files of CIFAR-10 out of its .tar.gz into a sub-folder of `folder`; the archive is removed.
 * Errors: SOMA_FORMAT (damaged, files are missing), SOMA_IO, SOMA_MEMORY, SOMA_UNSUPPORTED. */
soma_status soma__cifar10_unpack(const char *archive, const char *folder, soma_error *err);

#endif
