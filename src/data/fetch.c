#include "data/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "data/locate.h"
#include "format/gzip.h"
#include "format/sha256.h"
#include "format/tar.h"

#define MIRRORS 2

typedef struct remote {
    const char *set, *file;
    int64_t size;
    const char *sha256;
    const char *base[MIRRORS]; /* the file's folder, with its last slash */
    bool unpack;
} remote;

#define MNIST_BASES                                                                                \
    {                                                                                              \
        "https://storage.googleapis.com/cvdf-datasets/mnist/",                                     \
            "https://ossci-datasets.s3.amazonaws.com/mnist/"                                       \
    }
#define FASHION_BASES                                                                              \
    {                                                                                              \
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",               \
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"                          \
    }

static const remote remotes[] = {
    {"mnist", "train-images-idx3-ubyte.gz", 9912422,
     "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", MNIST_BASES, false},
    {"mnist", "train-labels-idx1-ubyte.gz", 28881,
     "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", MNIST_BASES, false},
    {"mnist", "t10k-images-idx3-ubyte.gz", 1648877,
     "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", MNIST_BASES, false},
    {"mnist", "t10k-labels-idx1-ubyte.gz", 4542,
     "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", MNIST_BASES, false},
    {"fashion-mnist", "train-images-idx3-ubyte.gz", 26421880,
     "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", FASHION_BASES, false},
    {"fashion-mnist", "train-labels-idx1-ubyte.gz", 29515,
     "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", FASHION_BASES, false},
    {"fashion-mnist", "t10k-images-idx3-ubyte.gz", 4422102,
     "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", FASHION_BASES, false},
    {"fashion-mnist", "t10k-labels-idx1-ubyte.gz", 5148,
     "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", FASHION_BASES, false},
    {"cifar10",
     "cifar-10-binary.tar.gz",
     170052171,
     "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
     {"https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/"},
     true},
};
#define REMOTE_COUNT ((int)(sizeof remotes / sizeof remotes[0]))

const char *soma__fetch_name(int index)
{
    for (int i = 0; i < REMOTE_COUNT; i++)
        if ((i == 0 || strcmp(remotes[i].set, remotes[i - 1].set) != 0) && index-- == 0)
            return remotes[i].set;
    return NULL;
}

soma_status soma__file_sha256(char out[65], const char *path, soma_error *err)
{
    FILE *file = fopen(path, "rb");
    char *buffer = soma__malloc(1 << 16);
    soma__sha256 hash;
    size_t got;
    soma_status status = SOMA_OK;
    soma__sha256_start(&hash);
    if (!file || !buffer)
        status = soma__fail(err, file ? SOMA_MEMORY : SOMA_IO, "cannot read '%s'", path);
    while (status == SOMA_OK && (got = fread(buffer, 1, 1 << 16, file)) > 0)
        soma__sha256_add(&hash, buffer, got);
    if (status == SOMA_OK && ferror(file))
        status = soma__fail(err, SOMA_IO, "cannot read '%s'", path);
    if (file)
        fclose(file);
    soma__free(buffer);
    soma__sha256_end(&hash, out);
    return status;
}

/* --- one transfer -------------------------------------------------------------------------------
 */

#if defined(SOMA_HAVE_CURL) && SOMA_HAVE_CURL
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <dlfcn.h>

/* libcurl as far as it is needed, found when it is: nothing else of soma depends on it. */
typedef struct curl_library {
    void *handle;
    CURLcode (*global_init)(long flags);
    CURL *(*init)(void);
    CURLcode (*set)(CURL *curl, CURLoption option, ...);
    CURLcode (*perform)(CURL *curl);
    void (*cleanup)(CURL *curl);
} curl_library;

/* POSIX lets a pointer to data stand for one to a function; ISO C wants the copy. */
static bool find(const curl_library *c, const char *name, void *out)
{
    void *symbol = dlsym(c->handle, name);
    memcpy(out, &symbol, sizeof symbol);
    return symbol != NULL;
}

static soma_status load_curl(curl_library *c, soma_error *err)
{
    *c = (curl_library){.handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL)};
    if (!c->handle || !find(c, "curl_global_init", &c->global_init) ||
        !find(c, "curl_easy_init", &c->init) || !find(c, "curl_easy_setopt", &c->set) ||
        !find(c, "curl_easy_perform", &c->perform) || !find(c, "curl_easy_cleanup", &c->cleanup) ||
        c->global_init(CURL_GLOBAL_DEFAULT) != 0)
        return soma__fail(err, SOMA_UNSUPPORTED,
                          "downloads need libcurl (Debian: libcurl4), which was not found here");
    return SOMA_OK;
}

typedef struct transfer {
    const curl_library *library;
    const soma__fetch_options *options;
    const char *name;
    CURL *curl;
    FILE *file;
    int64_t start, size; /* bytes that were there, and all that are expected */
    int64_t written;     /* in this transfer */
    bool failed, stopped;
} transfer;

static size_t on_data(char *data, size_t one, size_t count, void *user)
{
    transfer *t = user;
    (void)one;
    if (t->start + t->written + (int64_t)count > t->size)
        return 0; /* more than there should be is something else */
    if (fwrite(data, 1, count, t->file) != count) {
        t->failed = true;
        return 0;
    }
    t->written += (int64_t)count;
    return count;
}

static int on_progress(void *user, curl_off_t all, curl_off_t done, curl_off_t up_all,
                       curl_off_t up_done)
{
    transfer *t = user;
    (void)all, (void)done, (void)up_all, (void)up_done;
    if (t->options->progress &&
        !t->options->progress(t->options->user, t->name, t->start + t->written, t->size))
        t->stopped = true;
    return t->stopped;
}

static void set_options(const transfer *t, const char *url, char *message)
{
    CURLcode (*set)(CURL *, CURLoption, ...) = t->library->set;
    CURL *curl = t->curl;
    set(curl, CURLOPT_URL, url);
    set(curl, CURLOPT_USERAGENT, "soma/" SOMA_VERSION);
#if LIBCURL_VERSION_NUM >= 0x075500
    set(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    set(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#endif
    set(curl, CURLOPT_FOLLOWLOCATION, 1L);
    set(curl, CURLOPT_MAXREDIRS, 8L);
    set(curl, CURLOPT_FAILONERROR, 1L);
    set(curl, CURLOPT_NOSIGNAL, 1L);
    set(curl, CURLOPT_CONNECTTIMEOUT, 30L);
    set(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(curl, CURLOPT_LOW_SPEED_TIME, 60L);
    set(curl, CURLOPT_ERRORBUFFER, message);
    set(curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t->start);
    set(curl, CURLOPT_WRITEFUNCTION, on_data);
    set(curl, CURLOPT_WRITEDATA, t);
    set(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    set(curl, CURLOPT_XFERINFODATA, t);
    set(curl, CURLOPT_NOPROGRESS, 0L);
}

/* Goes on with the file `part`. *from_start: the server cannot do that, it has to be all or
 * nothing. */
static soma_status resume(bool *from_start, const char *part, const char *url, const remote *r,
                          const soma__fetch_options *options, soma_error *err)
{
    curl_library library;
    char message[CURL_ERROR_SIZE] = "";
    struct stat info;
    transfer t = {.library = &library, .options = options, .name = r->file, .size = r->size};
    SOMA__TRY(load_curl(&library, err));
    t.file = fopen(part, "ab");
    t.curl = t.file ? library.init() : NULL;
    if (!t.curl || fstat(fileno(t.file), &info) != 0) {
        if (t.file)
            fclose(t.file);
        return soma__fail(err, SOMA_IO, "cannot write '%s'", part);
    }
    t.start = (int64_t)info.st_size;
    set_options(&t, url, message);
    CURLcode code = library.perform(t.curl);
    library.cleanup(t.curl);
    bool flushed = fflush(t.file) == 0 && fsync(fileno(t.file)) == 0;
    flushed = fclose(t.file) == 0 && flushed && !t.failed;
    if (t.stopped)
        return soma__fail(err, SOMA_CANCELLED, "stopped; the same command goes on with it");
    if (!flushed)
        return soma__fail(err, SOMA_IO, "cannot write '%s': is the disk full?", part);
    *from_start = code == CURLE_RANGE_ERROR && t.start > 0;
    if (code != CURLE_OK)
        return soma__fail(err, SOMA_IO, "%s: %s", url,
                          message[0] ? message : "the transfer broke off");
    return SOMA_OK;
}

static soma_status download(const char *part, const char *url, const remote *r,
                            const soma__fetch_options *options, soma_error *err)
{
    bool from_start = false;
    soma_status status = resume(&from_start, part, url, r, options, err);
    if (from_start && remove(part) == 0)
        status = resume(&from_start, part, url, r, options, err);
    return status;
}
#else
static soma_status download(const char *part, const char *url, const remote *r,
                            const soma__fetch_options *options, soma_error *err)
{
    (void)part, (void)r, (void)options;
    return soma__fail(err, SOMA_UNSUPPORTED, "%s: this soma was built without libcurl", url);
}
#endif

/* --- files --------------------------------------------------------------------------------------
 */

static int64_t size_of(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (int64_t)info.st_size : -1;
}

/* Is the file whole? What is of the right size but has other contents goes away. */
static soma_status check(bool *right, const char *path, const remote *r, soma_error *err)
{
    char sum[SOMA__SHA256_TEXT];
    *right = false;
    if (size_of(path) != r->size)
        return SOMA_OK;
    SOMA__TRY(soma__file_sha256(sum, path, err));
    *right = strcmp(sum, r->sha256) == 0;
    return SOMA_OK;
}

/* From one place: downloads what is missing of the part, and gives the file its name when it is
 * right. */
static soma_status fetch_from(const char *base, const char *path, const char *part, const remote *r,
                              const soma__fetch_options *options, soma_error *err)
{
    soma__text text = {0};
    char *url;
    bool right;
    if (size_of(part) > r->size)
        remove(part);
    soma__text_add(&text, "%s%s%s", base, soma__ends_with(base, "/") ? "" : "/", r->file);
    SOMA__TRY(soma__text_take(&text, &url, err));
    soma_status status = SOMA_OK;
    if (size_of(part) < r->size)
        status = download(part, url, r, options, err);
    if (status == SOMA_OK)
        status = check(&right, part, r, err);
    if (status == SOMA_OK && !right) {
        int64_t size = size_of(part);
        remove(part); /* going on with it would never make it right */
        status = soma__fail(err, SOMA_FORMAT,
                            "%s: %lld bytes of other contents than expected (SHA-256 %.16s…)", url,
                            (long long)size, r->sha256);
    }
    if (status == SOMA_OK && rename(part, path) != 0)
        status = soma__fail(err, SOMA_IO, "cannot rename '%s' to '%s'", part, path);
    soma__free(url);
    return status;
}

static soma_status fetch_file(const char *path, const remote *r, const soma__fetch_options *options,
                              soma_error *err)
{
    soma__text text = {0};
    char *part;
    bool right;
    SOMA__TRY(check(&right, path, r, err));
    if (right)
        return SOMA_OK;
    soma__text_add(&text, "%s.part", path);
    SOMA__TRY(soma__text_take(&text, &part, err));
    soma_status status = SOMA_IO;
    for (int i = 0; i < (options->url ? 1 : MIRRORS) && status != SOMA_OK; i++) {
        status = fetch_from(options->url ? options->url : r->base[i], path, part, r, options, err);
        if (status == SOMA_CANCELLED || status == SOMA_UNSUPPORTED || status == SOMA_MEMORY)
            break;
    }
    soma__free(part);
    return status;
}

/* --- archives -----------------------------------------------------------------------------------
 */

static const char *const cifar10_files[] = {
    "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
    "data_batch_5.bin", "test_batch.bin",   "batches.meta.txt"};
#define CIFAR10_FILES (sizeof cifar10_files / sizeof cifar10_files[0])
#define CIFAR10_FOLDER "cifar-10-batches-bin"
#define CIFAR10_MOST ((size_t)512 << 20) /* of the unpacked archive; it has 184 MB */

static bool unpacked_already(const char *folder)
{
    for (size_t i = 0; i < CIFAR10_FILES; i++) {
        char path[4096];
        int n = snprintf(path, sizeof path, "%s/" CIFAR10_FOLDER "/%s", folder, cifar10_files[i]);
        if (n < 0 || (size_t)n >= sizeof path || !soma__file_exists(path))
            return false;
    }
    return true;
}

/* Only the files that are known, by their own names: whatever paths an archive has, nothing else is
 * written. */
static soma_status unpack_one(void *user, const char *path, const void *bytes, size_t size,
                              soma_error *err)
{
    const char *folder = user, *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < CIFAR10_FILES && soma__tar_safe(path); i++)
        if (strcmp(name, cifar10_files[i]) == 0) {
            char *to;
            SOMA__TRY(soma__path_join(&to, folder, name, err));
            soma_status status = soma__file_write(to, bytes, size, err);
            soma__free(to);
            return status;
        }
    return SOMA_OK;
}

soma_status soma__cifar10_unpack(const char *archive, const char *folder, soma_error *err)
{
    void *packed, *bytes = NULL;
    size_t packed_size, size;
    char *inside;
    SOMA__TRY(soma__path_join(&inside, folder, CIFAR10_FOLDER, err));
    soma_status status = soma__make_folder(inside, err);
    if (status == SOMA_OK)
        status = soma__file_read(&packed, &packed_size, archive, CIFAR10_MOST, err);
    if (status == SOMA_OK) {
        status = soma__gunzip_all(&bytes, &size, packed, packed_size, CIFAR10_MOST, archive, err);
        soma__free(packed);
    }
    if (status == SOMA_OK)
        status = soma__tar_each(bytes, size, archive, unpack_one, inside, err);
    if (status == SOMA_OK && !unpacked_already(folder))
        status = soma__fail(err, SOMA_FORMAT, "%s: the archive lacks some of its files", archive);
    if (status == SOMA_OK)
        remove(archive);
    soma__free(bytes);
    soma__free(inside);
    return status;
}

/* --- all of a set -------------------------------------------------------------------------------
 */

static soma_status target_folder(char **out, const char *name, const soma__fetch_options *options,
                                 soma_error *err)
{
    char *cache = NULL;
    *out = NULL;
    if (!options->folder) {
        SOMA__TRY(soma__cache_folder(&cache, err));
        if (!cache)
            return soma__fail(err, SOMA_NOT_FOUND,
                              "there is no cache folder (HOME is not set): give one with --data");
    }
    soma_status status = soma__path_join(out, cache ? cache : options->folder, name, err);
    soma__free(cache);
    if (status == SOMA_OK)
        status = soma__make_folder(*out, err);
    if (status != SOMA_OK) {
        soma__free(*out);
        *out = NULL;
    }
    return status;
}

static soma_status fetch_one(const char *folder, const remote *r,
                             const soma__fetch_options *options, soma_error *err)
{
    char *path;
    if (r->unpack && unpacked_already(folder))
        return SOMA_OK;
    SOMA__TRY(soma__path_join(&path, folder, r->file, err));
    soma_status status = fetch_file(path, r, options, err);
    if (status == SOMA_OK && r->unpack)
        status = soma__cifar10_unpack(path, folder, err);
    soma__free(path);
    return status;
}

soma_status soma__data_fetch(char **folder, const char *name, const soma__fetch_options *options,
                             soma_error *err)
{
    bool known = false;
    *folder = NULL;
    for (int i = 0; i < REMOTE_COUNT; i++)
        known = known || strcmp(remotes[i].set, name) == 0;
    if (!known) {
        soma__text names = {0};
        for (int i = 0; soma__fetch_name(i); i++)
            soma__text_add(&names, "%s%s", i ? ", " : "", soma__fetch_name(i));
        soma__fail(err, SOMA_NOT_FOUND, "'%s' cannot be fetched; these can: %s", name,
                   names.data ? names.data : "");
        soma__text_free(&names);
        return SOMA_NOT_FOUND;
    }
    SOMA__TRY(target_folder(folder, name, options, err));
    soma_status status = SOMA_OK;
    for (int i = 0; i < REMOTE_COUNT && status == SOMA_OK; i++)
        if (strcmp(remotes[i].set, name) == 0)
            status = fetch_one(*folder, &remotes[i], options, err);
    if (status != SOMA_OK) {
        soma__free(*folder);
        *folder = NULL;
    }
    return status;
}
