/* speech.c: spoken digits. Both parts share the recordings, one after the other in memory; a sample
 * is put together when it is read. */
#include "data/speech.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"
#include "data/dataset.h"
#include "format/gzip.h"
#include "format/sound.h"
#include "format/tar.h"

#define MOST_BYTES ((size_t)1 << 30)
#define MOST_RECORDINGS 1000000
#define MOST_LENGTH (INT64_C(1) << 24)
#define SPEAKER 24
#define OFFICIAL_TEST 5
#define STRINGS 4 /* that begin with a recording of the training part */
/* Pauses between digits, in cells: an eighth of a second at most. */
#define MOST_PAUSE (SOMA__SPEECH_RATE / 8)

typedef struct recording {
    int64_t first, count; /* cells */
    int64_t digit, number;
    char speaker[SPEAKER];
} recording;

/* All recordings. */
typedef struct speech {
    atomic_int references;
    recording *all;
    size_t count, capacity;
    float *cells;
    size_t cell_count, cell_capacity;
    const char *path; /* while they are read */
} speech;

static void release(speech *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) != 1)
        return;
    soma__free(s->all);
    soma__free(s->cells);
    soma__free(s);
}

/* --- the archive -------------------------------------------------------------------------------
 */

static soma_status no_memory(const char *path, soma_error *err)
{
    return soma__fail(err, SOMA_MEMORY, "%s: no memory for its recordings", path);
}

static soma_status add_cells(speech *s, const soma_tensor *sound, soma_error *err)
{
    const size_t more = (size_t)soma_tensor_count(sound);
    if (s->cell_count + more > s->cell_capacity) {
        const size_t room = 2 * s->cell_capacity + more;
        float *cells = soma__realloc(s->cells, room * sizeof *cells);
        if (!cells)
            return no_memory(s->path, err);
        s->cells = cells;
        s->cell_capacity = room;
    }
    memcpy(s->cells + s->cell_count, soma_tensor_const_data(sound), more * sizeof *s->cells);
    s->cell_count += more;
    return SOMA_OK;
}

/* "…/7_theo_12.wav" */
static bool read_name(recording *r, const char *path)
{
    const char *name = strrchr(path, '/');
    int end = 0;
    name = name ? name + 1 : path;
    long long digit, number;
    if (sscanf(name, "%1lld_%23[a-z]_%5lld.wav%n", &digit, r->speaker, &number, &end) != 3 ||
        !end || name[end] || digit < 0 || number < 0)
        return false;
    r->digit = digit;
    r->number = number;
    return true;
}

static soma_status add_recording(void *user, const char *path, const void *bytes, size_t size,
                                 soma_error *err)
{
    speech *s = user;
    recording r = {.first = (int64_t)s->cell_count};
    soma_tensor *sound;
    int64_t rate;
    if (!soma__ends_with(path, ".wav"))
        return SOMA_OK;
    if (!read_name(&r, path) || s->count == MOST_RECORDINGS)
        return soma__fail(err, SOMA_FORMAT,
                          "%s: '%s' is not named DIGIT_SPEAKER_NUMBER.wav, or one too many",
                          s->path, path);
    SOMA__TRY(soma__sound_parse(&sound, &rate, bytes, size, path, err));
    const soma_shape *shape = soma_tensor_shape(sound);
    soma_status status = SOMA_OK;
    r.count = shape->dim[0];
    if (rate != SOMA__SPEECH_RATE || shape->dim[1] != 1)
        status =
            soma__fail(err, SOMA_FORMAT, "%s: %s has %lld channels at %lld Hz, not 1 at %d",
                       s->path, path, (long long)shape->dim[1], (long long)rate, SOMA__SPEECH_RATE);
    else if (!soma__grow((void **)&s->all, &s->capacity, s->count, sizeof *s->all))
        status = no_memory(s->path, err);
    else
        status = add_cells(s, sound, err);
    if (status == SOMA_OK)
        s->all[s->count++] = r;
    soma_tensor_release(sound);
    return status;
}

/* Archives differ in their order, samples must not. */
static int by_name(const void *a, const void *b)
{
    const recording *x = a, *y = b;
    const int speaker = strcmp(x->speaker, y->speaker);
    if (speaker)
        return speaker;
    if (x->digit != y->digit)
        return x->digit < y->digit ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static soma_status read_archive(speech *s, soma_error *err)
{
    void *bytes, *packed = NULL;
    size_t size;
    SOMA__TRY(soma__file_read(&bytes, &size, s->path, MOST_BYTES, err));
    soma_status status = SOMA_OK;
    if (soma__gzip_is(bytes, size)) {
        packed = bytes;
        bytes = NULL;
        status = soma__gunzip_all(&bytes, &size, packed, size, MOST_BYTES, s->path, err);
        soma__free(packed);
    }
    if (status == SOMA_OK)
        status = soma__tar_each(bytes, size, s->path, add_recording, s, err);
    soma__free(bytes);
    if (status == SOMA_OK && !s->count)
        status = soma__fail(err, SOMA_FORMAT, "%s: has no recordings in it", s->path);
    if (status == SOMA_OK)
        qsort(s->all, s->count, sizeof *s->all, by_name);
    return status;
}

/* --- a part ------------------------------------------------------------------------------------
 */

typedef struct part {
    speech *speech;
    const recording **of; /* sorted by speaker */
    int64_t count;
    int64_t length, join;
    uint64_t stream; /* of the draws of its strings */
} part;

static void part_destroy(void *user)
{
    part *p = user;
    release(p->speech);
    soma__free(p->of);
    soma__free(p);
}

/* Copies as much as fits; where it ends. */
static int64_t place(const part *p, float *x, int64_t at, const recording *r)
{
    const int64_t room = p->length - at, count = r->count < room ? r->count : room;
    memcpy(x + at, p->speech->cells + r->first, (size_t)count * sizeof *x);
    return at + count;
}

static soma_status read_digit(void *user, int64_t index, void *x, void *y, soma_error *err)
{
    const part *p = user;
    (void)err;
    memset(x, 0, (size_t)p->length * sizeof(float));
    place(p, x, 0, p->of[index]);
    *(int64_t *)y = p->of[index]->digit;
    return SOMA_OK;
}

static soma_status read_string(void *user, int64_t index, void *x, void *y, soma_error *err)
{
    const part *p = user;
    const soma__rng_key key = {.seed = p->stream, .step = (uint64_t)index};
    const recording *r = p->of[index % p->count];
    int64_t *labels = y, first = index % p->count, end = first, used = 0;
    (void)err;
    /* Recordings of one speaker lie together. */
    while (first > 0 && strcmp(p->of[first - 1]->speaker, r->speaker) == 0)
        first--;
    while (end < p->count && strcmp(p->of[end]->speaker, r->speaker) == 0)
        end++;
    const int64_t wanted = 1 + (int64_t)soma__rng_below(&key, 0, (uint64_t)p->join);
    memset(x, 0, (size_t)p->length * sizeof(float));
    for (int64_t i = 0; i < p->join; i++)
        labels[i] = -1;
    for (int64_t at = 0; used < wanted; used++) {
        if (used > 0) {
            at += (int64_t)soma__rng_below(&key, 2 * (uint64_t)used, MOST_PAUSE);
            r = p->of[first + (int64_t)soma__rng_below(&key, 2 * (uint64_t)used + 1,
                                                       (uint64_t)(end - first))];
            if (at + r->count > p->length)
                break;
        }
        at = place(p, x, at, r);
        labels[used] = r->digit + 1;
    }
    return SOMA_OK;
}

static bool is_test(const recording *r, const soma__speech_options *o)
{
    return o->held_out ? strcmp(r->speaker, o->held_out) == 0 : r->number < OFFICIAL_TEST;
}

/* Single digits: the classes are known without reading a sample. */
static soma_status open_digits(soma_dataset **out, const soma_dataset_source *source, const part *p,
                               soma_error *err)
{
    static const char *const names[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    soma_tensor *y;
    soma_status status = soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(p->count), err);
    if (status != SOMA_OK) {
        source->destroy(source->user);
        return status;
    }
    int64_t *labels = soma_tensor_data(y);
    for (int64_t i = 0; i < p->count; i++)
        labels[i] = p->of[i]->digit;
    status = soma__dataset_from_source(out, source, y, NULL, err);
    soma_tensor_release(y);
    return status == SOMA_OK ? soma__dataset_set_classes(*out, names, 10, err) : status;
}

static soma_status open_part(soma_dataset **out, speech *s, const soma__speech_options *o,
                             bool test, soma_error *err)
{
    part *p = soma__calloc(1, sizeof *p);
    const recording **of = soma__calloc(s->count, sizeof *of);
    if (!p || !of) {
        soma__free(p);
        soma__free(of);
        return no_memory(s->path, err);
    }
    *p = (part){.speech = s, .of = of, .length = o->length, .join = o->join, .stream = 1 + test};
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    for (size_t i = 0; i < s->count; i++)
        if (is_test(&s->all[i], o) == test)
            of[p->count++] = &s->all[i];
    const soma_dataset_source source = {.count = p->count * (o->join && !test ? STRINGS : 1),
                                        .x_dtype = SOMA_F32,
                                        .x_shape = SOMA_SHAPE(o->length),
                                        .y_dtype = SOMA_I64,
                                        .y_shape = o->join ? SOMA_SHAPE(o->join) : SOMA_SCALAR,
                                        .read = o->join ? read_string : read_digit,
                                        .destroy = part_destroy,
                                        .user = p};
    if (!p->count) {
        part_destroy(p);
        return soma__fail(err, SOMA_NOT_FOUND, "%s: there is no recording%s%s for the %s part",
                          s->path, o->held_out ? " by or beside " : "",
                          o->held_out ? o->held_out : "", test ? "test" : "training");
    }
    if (!o->join)
        return open_digits(out, &source, p, err);
    soma_status status = soma_dataset_from_callback(out, &source, err);
    if (status != SOMA_OK)
        part_destroy(p);
    return status;
}

soma_status soma__speech_open(soma_data *out, const char *path, const soma__speech_options *options,
                              soma_error *err)
{
    soma__speech_options o = *options;
    *out = (soma_data){0};
    if (!o.length)
        o.length = o.join ? o.join * SOMA__SPEECH_RATE / 2 : SOMA__SPEECH_RATE;
    if (o.length < 1 || o.length > MOST_LENGTH || o.join < 0 || o.join > MOST_LENGTH)
        return soma__fail(err, SOMA_INVALID,
                          "%lld cells of %lld digits: a sample has 1 to %lld cells, a string one "
                          "digit or more",
                          (long long)o.length, (long long)o.join, (long long)MOST_LENGTH);
    speech *s = soma__calloc(1, sizeof *s);
    if (!s)
        return no_memory(path, err);
    atomic_init(&s->references, 1);
    s->path = path;
    soma_status status = read_archive(s, err);
    if (status == SOMA_OK)
        status = open_part(&out->train, s, &o, false, err);
    if (status == SOMA_OK)
        status = open_part(&out->test, s, &o, true, err);
    s->path = NULL;
    release(s);
    if (status != SOMA_OK)
        soma_data_clear(out);
    return status;
}
