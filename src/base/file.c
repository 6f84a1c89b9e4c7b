/* file.c: whole files in, atomic replacement out.
 *
 *   open      a temporary file "model.soma.tmp-4711-0" beside the target
 *   write     through a buffer
 *   commit    write out, fsync, rename over the target, fsync the folder
 *
 * Whoever looks at the target at any moment, even after a crash, sees the whole old file or the
 * whole new one. The rename is atomic only within a file system, hence "beside". */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

#define DEFAULT_LIMIT ((size_t)16 << 30)
#define BUFFER ((size_t)64 << 10)
#define MOST_LINKS 40 /* as many as Linux follows before it says ELOOP */

typedef struct reason {
    char text[160];
} reason;

/* The system's words for an errno. strerror has a static buffer, and strerror_r comes in two kinds;
 * this is the GNU one, which the build asks for with _GNU_SOURCE. */
static const char *system_reason(int code, reason *buffer)
{
    return strerror_r(code, buffer->text, sizeof buffer->text);
}

/* The folder part of a path, "." if there is none. NULL: no memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return soma__strdup(".");
    return soma__strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static soma_status no_memory(soma_error *err, const char *path)
{
    return soma__fail(err, SOMA_MEMORY, "out of memory for '%s'", path);
}

/* --- reading ------------------------------------------------------------------------------------
 */

/* One read that is not disturbed by signals; a single read of more than 2 GiB is refused by some
 * systems, so the size is kept below. */
static ssize_t read_some(int fd, void *data, size_t size)
{
    ssize_t got;
    if (size > (size_t)1 << 30)
        size = (size_t)1 << 30;
    do
        got = read(fd, data, size);
    while (got < 0 && errno == EINTR);
    return got;
}

static soma_status too_big(const char *path, size_t limit, soma_error *err)
{
    char text[32];
    return soma__fail(err, SOMA_IO, "cannot read '%s': it is larger than the %s allowed here", path,
                      soma__format_bytes((double)limit, text, sizeof text));
}

/* Reads to the end of the file. The size that fstat gave is only a first guess: files in /proc say
 * 0, and a log may grow while we read. */
static soma_status read_all(int fd, size_t guess, size_t limit, const char *path, void **data,
                            size_t *size, soma_error *err)
{
    /* One byte for the final 0 and one to see that the end really is the end. */
    size_t capacity = guess + 2, used = 0;
    char *buffer = soma__malloc(capacity);
    if (!buffer)
        return no_memory(err, path);
    for (;;) {
        if (capacity - used < 2) {
            size_t larger = capacity < 4096 ? 4096 : capacity + capacity / 2;
            char *grown = soma__realloc(buffer, larger);
            if (!grown) {
                soma__free(buffer);
                return no_memory(err, path);
            }
            buffer = grown;
            capacity = larger;
        }
        ssize_t got = read_some(fd, buffer + used, capacity - used - 1);
        if (got < 0) {
            reason why;
            int code = errno;
            soma__free(buffer);
            return soma__fail(err, SOMA_IO, "cannot read '%s': %s", path,
                              system_reason(code, &why));
        }
        if (got == 0)
            break;
        used += (size_t)got;
        if (used > limit) {
            soma__free(buffer);
            return too_big(path, limit, err);
        }
    }
    buffer[used] = '\0';
    *data = buffer;
    *size = used;
    return SOMA_OK;
}

soma_status soma__file_read(void **data, size_t *size, const char *path, size_t limit,
                            soma_error *err)
{
    reason why;
    if (limit == 0 || limit > SIZE_MAX - 2)
        limit = DEFAULT_LIMIT;
    /* Without O_NONBLOCK, opening a pipe would wait for its writer before we could refuse it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        int code = errno;
        return soma__fail(err, SOMA_IO, "cannot open '%s': %s%s", path, system_reason(code, &why),
                          *path ? "" : " (the name is empty)");
    }
    struct stat info;
    soma_status status;
    if (fstat(fd, &info) != 0)
        status =
            soma__fail(err, SOMA_IO, "cannot examine '%s': %s", path, system_reason(errno, &why));
    else if (S_ISDIR(info.st_mode))
        status = soma__fail(err, SOMA_IO, "cannot read '%s': it is a folder, not a file", path);
    else if (!S_ISREG(info.st_mode))
        status = soma__fail(err, SOMA_IO,
                            "cannot read '%s': it is not a regular file; copy its contents to one",
                            path);
    else if (info.st_size < 0 || (uintmax_t)info.st_size > limit)
        status = too_big(path, limit, err);
    else
        status = read_all(fd, (size_t)info.st_size, limit, path, data, size, err);
    close(fd);
    return status;
}

/* --- writing ------------------------------------------------------------------------------------
 */

struct soma__writer {
    int fd;
    int failure;     /* errno of the first failed write: the file is broken, commit refuses it */
    char *path;      /* as the caller named it, for messages */
    char *target;    /* with symbolic links followed */
    char *temporary; /* NULL: written directly, because the target is a device or a pipe */
    size_t used;
    char buffer[BUFFER];
};

static int write_out(int fd, const char *data, size_t size)
{
    while (size > 0) {
        size_t part = size < (size_t)1 << 30 ? size : (size_t)1 << 30;
        ssize_t written = write(fd, data, part);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? errno : EIO;
        data += written;
        size -= (size_t)written;
    }
    return 0;
}

/* Follows symbolic links at the end of the path, so that replacing "latest.soma" replaces the file
 * that it points to and the link stays, even if it points to a file still to be made. `*out` is
 * NULL without memory; otherwise the result is an errno. */
static int follow_links(const char *path, char **out)
{
    char *current = soma__strdup(path);
    for (int links = 0; current; links++) {
        char link[PATH_MAX];
        ssize_t length = readlink(current, link, sizeof link - 1);
        if (length < 0 || links == MOST_LINKS) {
            *out = current;
            return length < 0 ? 0 : ELOOP;
        }
        link[length] = '\0';
        char *folder = folder_of(current), *next = NULL;
        if (folder && soma__path_join(&next, folder, link, NULL) != SOMA_OK)
            next = NULL;
        soma__free(folder);
        soma__free(current);
        current = next;
    }
    *out = NULL;
    return ENOMEM;
}

static soma_status cannot_create(const char *path, const char *target, int code, soma_error *err)
{
    reason why;
    char *folder = folder_of(target);
    const char *place = folder ? folder : "its folder";
    if (code == ENOENT)
        soma__fail(err, SOMA_IO, "cannot write '%s': there is no folder '%s'", path, place);
    else if (code == EACCES || code == EPERM || code == EROFS)
        soma__fail(err, SOMA_IO,
                   "cannot write '%s': %s; a new file must be made in '%s', so that folder has to "
                   "be writable",
                   path, system_reason(code, &why), place);
    else
        soma__fail(err, SOMA_IO, "cannot write '%s': %s", path, system_reason(code, &why));
    soma__free(folder);
    return SOMA_IO;
}

/* Makes the temporary file. Its name holds the process and a number that is raised while taken;
 * O_EXCL decides between threads, so no counter needs to be shared. A long name is cut, because the
 * addition must not pass the limit of the file system. */
static soma_status create_temporary(soma__writer *writer, const struct stat *old, soma_error *err)
{
    const char *name = name_of(writer->target);
    int stem = (int)(name - writer->target) + (int)strnlen(name, 200);
    for (unsigned attempt = 0; attempt < 10000; attempt++) {
        soma__text text = {0};
        soma__text_add(&text, "%.*s.tmp-%ld-%u", stem, writer->target, (long)getpid(), attempt);
        SOMA__TRY(soma__text_take(&text, &writer->temporary, err));
        writer->fd = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (writer->fd >= 0) {
            /* The new file takes owner and permissions of the one that it replaces, as far as we
             * may give them; a failure leaves our own, which is no reason to lose the data. */
            if (old && fchown(writer->fd, old->st_uid, old->st_gid) == 0)
                (void)!fchmod(writer->fd, old->st_mode & 07777);
            else if (old)
                (void)!fchmod(writer->fd, old->st_mode & 0777);
            return SOMA_OK;
        }
        int code = errno;
        soma__free(writer->temporary);
        writer->temporary = NULL;
        if (code != EEXIST)
            return cannot_create(writer->path, writer->target, code, err);
    }
    return soma__fail(err, SOMA_IO,
                      "cannot write '%s': 10000 temporary files are in the way; delete '%s.tmp-*'",
                      writer->path, writer->target);
}

/* Decides where the bytes go and opens it. */
static soma_status open_target(soma__writer *writer, soma_error *err)
{
    reason why;
    const char *path = writer->path;
    if (!*path)
        return soma__fail(err, SOMA_IO, "cannot write a file whose name is empty");
    int code = follow_links(path, &writer->target);
    if (!writer->target)
        return no_memory(err, path);
    if (code != 0)
        return soma__fail(err, SOMA_IO, "cannot write '%s': %s", path, system_reason(code, &why));

    struct stat old;
    if (stat(writer->target, &old) != 0) {
        if (errno != ENOENT)
            return cannot_create(path, writer->target, errno, err);
        return create_temporary(writer, NULL, err);
    }
    if (S_ISDIR(old.st_mode))
        return soma__fail(err, SOMA_IO, "cannot write '%s': it is a folder", path);
    /* Renaming would get around a write protection that somebody has set on purpose. */
    if (access(writer->target, W_OK) != 0)
        return soma__fail(err, SOMA_IO, "cannot write '%s': %s", path, system_reason(errno, &why));
    if (S_ISREG(old.st_mode))
        return create_temporary(writer, &old, err);
    /* /dev/stdout and the like are to be written to; replacing them would be a disaster. */
    writer->fd = open(writer->target, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (writer->fd < 0)
        return soma__fail(err, SOMA_IO, "cannot write '%s': %s", path, system_reason(errno, &why));
    return SOMA_OK;
}

/* Frees everything, and removes what was written. */
void soma__writer_abandon(soma__writer *writer)
{
    if (!writer)
        return;
    if (writer->fd >= 0)
        close(writer->fd);
    if (writer->temporary)
        unlink(writer->temporary);
    soma__free(writer->temporary);
    soma__free(writer->target);
    soma__free(writer->path);
    soma__free(writer);
}

soma_status soma__writer_open(soma__writer **out, const char *path, soma_error *err)
{
    *out = NULL;
    soma__writer *writer = soma__malloc(sizeof *writer);
    if (!writer)
        return no_memory(err, path);
    writer->fd = -1;
    writer->failure = 0;
    writer->path = soma__strdup(path);
    writer->target = writer->temporary = NULL;
    writer->used = 0;
    soma_status status = writer->path ? open_target(writer, err) : no_memory(err, path);
    if (status != SOMA_OK) {
        soma__writer_abandon(writer);
        return status;
    }
    *out = writer;
    return SOMA_OK;
}

static soma_status write_failed(soma__writer *writer, int code, soma_error *err)
{
    reason why;
    writer->failure = code;
    return soma__fail(err, SOMA_IO, "cannot write '%s': %s%s", writer->path,
                      system_reason(code, &why),
                      code == ENOSPC || code == EDQUOT ? "; make room and try again" : "");
}

/* Writes the buffer out. */
static soma_status flush(soma__writer *writer, soma_error *err)
{
    int code =
        writer->failure ? writer->failure : write_out(writer->fd, writer->buffer, writer->used);
    writer->used = 0;
    return code ? write_failed(writer, code, err) : SOMA_OK;
}

soma_status soma__writer_write(soma__writer *writer, const void *data, size_t size, soma_error *err)
{
    if (size > BUFFER - writer->used) {
        SOMA__TRY(flush(writer, err));
        if (size >= BUFFER) {
            int code = write_out(writer->fd, data, size);
            return code ? write_failed(writer, code, err) : SOMA_OK;
        }
    }
    if (size)
        memcpy(writer->buffer + writer->used, data, size);
    writer->used += size;
    return SOMA_OK;
}

static int sync_folder(const char *path)
{
    /* No allocation: after the rename, a lack of memory must not look like a failure. The path has
     * been opened already, so it is no longer than PATH_MAX. */
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = fd < 0 ? errno : 0;
    if (fd >= 0) {
        code = fsync(fd) != 0 ? errno : 0;
        close(fd);
    }
    /* Some file systems cannot sync a folder, and one that we may not read cannot be opened. */
    return code == EINVAL || code == ENOTSUP || code == EACCES ? 0 : code;
}

soma_status soma__writer_commit(soma__writer *writer, soma_error *err)
{
    soma_status status = flush(writer, err);
    /* A pipe or a device has nothing to sync, and says EINVAL or ENOTSUP. */
    if (status == SOMA_OK && fsync(writer->fd) != 0 && errno != EINVAL && errno != ENOTSUP)
        status = write_failed(writer, errno, err);
    if (status == SOMA_OK) {
        /* Network file systems report a full disk as late as here. On Linux the descriptor is gone
         * even after EINTR. */
        int closed = close(writer->fd);
        writer->fd = -1;
        if (closed != 0 && errno != EINTR)
            status = write_failed(writer, errno, err);
    }
    if (status == SOMA_OK && writer->temporary) {
        if (rename(writer->temporary, writer->target) != 0) {
            status = write_failed(writer, errno, err);
        } else {
            soma__free(writer->temporary);
            writer->temporary = NULL;
            int code = sync_folder(writer->target);
            reason why;
            if (code)
                status = soma__fail(err, SOMA_IO,
                                    "'%s' is written, but its folder could not be synced (%s), so "
                                    "a power failure may undo it",
                                    writer->path, system_reason(code, &why));
        }
    }
    soma__writer_abandon(writer);
    return status;
}

soma_status soma__file_write(const char *path, const void *data, size_t size, soma_error *err)
{
    soma__writer *writer;
    SOMA__TRY(soma__writer_open(&writer, path, err));
    soma_status status = soma__writer_write(writer, data, size, err);
    if (status != SOMA_OK) {
        soma__writer_abandon(writer);
        return status;
    }
    return soma__writer_commit(writer, err);
}

/* --- folders, paths, time -----------------------------------------------------------------------
 */

bool soma__file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

/* Makes one folder; one that is there already is fine. */
static soma_status make_one(const char *path, soma_error *err)
{
    reason why;
    struct stat info;
    if (mkdir(path, 0777) == 0) {
        /* So that a file which is committed in it survives a power failure along with it. */
        (void)sync_folder(path);
        return SOMA_OK;
    }
    int code = errno;
    if (stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode))
            return SOMA_OK;
        return soma__fail(err, SOMA_IO, "cannot make the folder '%s': a file has that name", path);
    }
    return soma__fail(err, SOMA_IO, "cannot make the folder '%s': %s", path,
                      system_reason(code, &why));
}

soma_status soma__make_folder(const char *path, soma_error *err)
{
    char *copy = soma__strdup(path);
    if (!copy)
        return no_memory(err, path);
    /* "a//b/" is "a/b": a slash at the end would only confuse the search for parents. */
    size_t length = strlen(copy);
    while (length > 1 && copy[length - 1] == '/')
        copy[--length] = '\0';

    soma_status status = SOMA_OK;
    for (char *p = copy + 1; length > 0 && *p && status == SOMA_OK; p++)
        if (*p == '/' && p[-1] != '/') {
            *p = '\0';
            status = make_one(copy, err);
            *p = '/';
        }
    if (status == SOMA_OK)
        status = make_one(copy, err);
    soma__free(copy);
    return status;
}

soma_status soma__path_join(char **out, const char *folder, const char *name, soma_error *err)
{
    size_t length = strlen(folder);
    bool slash = length > 0 && folder[length - 1] != '/';
    if (name[0] == '/')
        length = 0, slash = false;
    soma__text text = {0};
    soma__text_append(&text, folder, length);
    soma__text_append(&text, "/", slash);
    soma__text_append(&text, name, strlen(name));
    return soma__text_take(&text, out, err);
}

double soma__seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
