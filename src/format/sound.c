#include "format/sound.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "soma/sound.h"

#define MOST_VALUES ((size_t)1 << 31)
#define MOST_FILE ((size_t)4 << 30)
#define BLOCK 16384 /* frames that are decoded at a time: a header may promise anything */

#if defined(SOMA_HAVE_SNDFILE) && SOMA_HAVE_SNDFILE
#include <dlfcn.h>
#include <sndfile.h>

/* libsndfile as far as it is needed, found when it is. The handle stays open, as dlopen counts. */
typedef struct library {
    void *handle;
    SNDFILE *(*open)(SF_VIRTUAL_IO *io, int mode, SF_INFO *info, void *user);
    sf_count_t (*read)(SNDFILE *file, float *to, sf_count_t frames);
    const char *(*error)(SNDFILE *file);
    int (*close)(SNDFILE *file);
} library;

static bool find(const library *l, const char *name, void *to)
{
    void *symbol = dlsym(l->handle, name);
    memcpy(to, &symbol, sizeof symbol);
    return symbol != NULL;
}

static soma_status load(library *l, const char *name, soma_error *err)
{
    *l = (library){.handle = dlopen("libsndfile.so.1", RTLD_NOW | RTLD_LOCAL)};
    if (!l->handle || !find(l, "sf_open_virtual", &l->open) ||
        !find(l, "sf_readf_float", &l->read) || !find(l, "sf_strerror", &l->error) ||
        !find(l, "sf_close", &l->close))
        return soma__fail(err, SOMA_UNSUPPORTED,
                          "%s: reading sound needs libsndfile (Debian: libsndfile1), which was not "
                          "found here",
                          name);
    return SOMA_OK;
}

/* --- a file in memory, as libsndfile sees it ----------------------------------------------------
 */

typedef struct memory {
    const char *bytes;
    sf_count_t size, at;
} memory;

static sf_count_t memory_size(void *user)
{
    return ((const memory *)user)->size;
}

static sf_count_t memory_seek(sf_count_t offset, int whence, void *user)
{
    memory *m = user;
    const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? m->at : m->size;
    if (offset < -base || offset > m->size - base)
        return -1;
    return m->at = base + offset;
}

static sf_count_t memory_read(void *to, sf_count_t count, void *user)
{
    memory *m = user;
    const sf_count_t rest = m->size - m->at;
    count = count < 0 ? 0 : count < rest ? count : rest;
    memcpy(to, m->bytes + m->at, (size_t)count);
    m->at += count;
    return count;
}

static sf_count_t memory_write(const void *from, sf_count_t count, void *user)
{
    (void)from, (void)count, (void)user;
    return 0;
}

static sf_count_t memory_tell(void *user)
{
    return ((const memory *)user)->at;
}

/* --- reading ------------------------------------------------------------------------------------
 */

static uint32_t word(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Whether the samples of a WAV end before its header says so: libsndfile takes what is there. A
 * program that writes to a pipe does not know the size and promises the most, or nothing. */
static bool cut_short(const void *bytes, size_t size)
{
    const unsigned char *file = bytes;
    if (size < 12 || memcmp(file, "RIFF", 4) != 0 || memcmp(file + 8, "WAVE", 4) != 0)
        return false;
    for (size_t at = 12; size - at >= 8;) {
        const size_t length = word(file + at + 4), rest = size - at - 8;
        if (memcmp(file + at, "data", 4) == 0)
            return length > rest && length < 0x7fffff00u;
        if (length + length % 2 > rest)
            return true;
        at += 8 + length + length % 2;
    }
    return true;
}

/* What libsndfile hands out until nothing comes. */
typedef struct sound {
    float *values;
    size_t count, room; /* values */
} sound;

static soma_status read_all(sound *s, const library *l, SNDFILE *file, const SF_INFO *info,
                            const char *name, soma_error *err)
{
    const size_t channels = (size_t)info->channels, block = BLOCK * channels;
    for (;;) {
        if (s->room - s->count < block) {
            const size_t room = s->room ? 2 * s->room : block;
            if (room > MOST_VALUES + block)
                return soma__fail(err, SOMA_UNSUPPORTED, "%s: is more sound than soma reads", name);
            float *more = soma__realloc(s->values, room * sizeof *more);
            if (!more)
                return soma__fail(err, SOMA_MEMORY, "%s: out of memory while decoding sound", name);
            s->values = more;
            s->room = room;
        }
        const sf_count_t frames = l->read(file, s->values + s->count, BLOCK);
        if (frames <= 0)
            break;
        s->count += (size_t)frames * channels;
    }
    const sf_count_t frames = (sf_count_t)(s->count / channels);
    if (frames == 0)
        return soma__fail(err, SOMA_FORMAT, "%s: has no sound in it, or is damaged", name);
    if (frames < info->frames && info->frames < SF_COUNT_MAX)
        return soma__fail(err, SOMA_FORMAT,
                          "%s: is damaged or cut short: %lld frames of %lld could be read", name,
                          (long long)frames, (long long)info->frames);
    return SOMA_OK;
}

static soma_status decode(soma_tensor **out, int64_t *rate, const library *l, SNDFILE *file,
                          const SF_INFO *info, const char *name, soma_error *err)
{
    sound s = {0};
    if (info->channels < 1 || info->channels > 1024 || info->samplerate < 1)
        return soma__fail(err, SOMA_FORMAT, "%s: %d channels at %d Hz are no sound", name,
                          info->channels, info->samplerate);
    soma_status status = read_all(&s, l, file, info, name, err);
    if (status == SOMA_OK)
        status = soma_tensor_from(out, SOMA_F32,
                                  SOMA_SHAPE((int64_t)s.count / info->channels, info->channels),
                                  s.values, err);
    soma__free(s.values);
    *rate = info->samplerate;
    return status;
}

soma_status soma__sound_parse(soma_tensor **out, int64_t *rate, const void *bytes, size_t size,
                              const char *name, soma_error *err)
{
    static const SF_VIRTUAL_IO calls = {memory_size, memory_seek, memory_read, memory_write,
                                        memory_tell};
    SF_VIRTUAL_IO io = calls;
    SF_INFO info = {0};
    memory m = {.bytes = bytes, .size = (sf_count_t)size};
    library l;
    *out = NULL;
    *rate = 0;
    SOMA__TRY(load(&l, name, err));
    SNDFILE *file = l.open(&io, SFM_READ, &info, &m);
    if (!file)
        return soma__fail(err, SOMA_FORMAT, "%s: not a sound file: %s", name, l.error(NULL));
    soma_status status =
        cut_short(bytes, size)
            ? soma__fail(err, SOMA_FORMAT, "%s: is cut short: it is smaller than its header says",
                         name)
            : decode(out, rate, &l, file, &info, name, err);
    l.close(file);
    return status;
}
#else
soma_status soma__sound_parse(soma_tensor **out, int64_t *rate, const void *bytes, size_t size,
                              const char *name, soma_error *err)
{
    (void)bytes, (void)size;
    *out = NULL;
    *rate = 0;
    return soma__fail(err, SOMA_UNSUPPORTED, "%s: this soma was built without libsndfile", name);
}
#endif

soma_status soma_sound_read(soma_tensor **out, int64_t *rate, const char *path, soma_error *err)
{
    void *bytes;
    size_t size;
    *out = NULL;
    *rate = 0;
    SOMA__TRY(soma__file_read(&bytes, &size, path, MOST_FILE, err));
    soma_status status = soma__sound_parse(out, rate, bytes, size, path, err);
    soma__free(bytes);
    return status;
}
