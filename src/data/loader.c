/* loader.c: batches ahead of their use.
 *
 * A ring of `prefetch` slots. Batch b of an epoch goes to slot b % prefetch; loader threads claim
 * the next batch whose slot is free, the user takes batches in order:
 *
 *      taken by the user    ready, being filled       not yet
 *   ───────────┬─────────┬────────────────────────┬────────────▶ batch number
 *              │ current │ current+1 … claimed-1  │ claimed …
 *
 * The slot of `current` belongs to the user until the next call. One lock guards the numbers;
 * samples are copied outside of it. The order of an epoch is drawn from (seed, epoch) alone, and
 * so is the way in which buckets put samples of a like length together (buckets.h). */
#include <pthread.h>
#include <string.h>

#include "base/rng.h"
#include "data/buckets.h"
#include "data/dataset.h"

typedef struct slot {
    void *x, *y;
    int64_t batch;  /* that is ready here; -1: none */
    int64_t length; /* steps of its samples, where there are buckets */
    soma_status status;
    soma_error error;
} slot;

struct soma_loader {
    soma_dataset *dataset;
    soma_loader_options options;
    int64_t batches;
    int64_t *order;
    int64_t *members, *starts; /* balanced: samples class by class, and where each class starts */
    int classes;               /* of those, the ones that occur */
    soma__buckets buckets;

    pthread_mutex_t lock;
    pthread_cond_t filled, freed;
    bool running; /* an epoch is under way */
    bool closing; /* threads are to end */
    int64_t epoch;
    int64_t current; /* the user holds it; first-1 at the start */
    int64_t claimed; /* the next batch to claim */
    int busy;        /* threads copying now */

    slot *slots;
    pthread_t *threads;
    int thread_count;
    char *scratch; /* of all threads, for transforms; NULL: there are none */
    size_t scratch_each;
    int scratch_taken;
};

static int64_t batch_size(const soma_loader *loader, int64_t batch)
{
    int64_t left = loader->dataset->count - batch * loader->options.batch;
    return left < loader->options.batch ? left : loader->options.batch;
}

static void *work(void *argument)
{
    soma_loader *loader = argument;
    int slots = loader->options.prefetch;
    pthread_mutex_lock(&loader->lock);
    char *scratch = loader->scratch;
    if (scratch)
        scratch += loader->scratch_each * (size_t)loader->scratch_taken++;
    while (!loader->closing) {
        /* A slot is free when the user is past the batch that it held: the slots of
         * current … current+slots-1 are distinct. */
        if (!loader->running || loader->claimed >= loader->batches ||
            loader->claimed >= (loader->current < 0 ? 0 : loader->current) + slots) {
            pthread_cond_wait(&loader->freed, &loader->lock);
            continue;
        }
        int64_t batch = loader->claimed++, epoch = loader->epoch;
        slot *s = &loader->slots[batch % slots];
        loader->busy++;
        pthread_mutex_unlock(&loader->lock);

        s->error = (soma_error){0};
        s->status = soma__dataset_read_epoch(
            loader->dataset, epoch, loader->order + batch * loader->options.batch,
            batch_size(loader, batch), scratch, s->x, s->y, &s->error);
        if (s->status == SOMA_OK && loader->buckets.count)
            s->length =
                soma__buckets_cut(&loader->buckets, batch, batch_size(loader, batch), s->x, s->y);

        pthread_mutex_lock(&loader->lock);
        loader->busy--;
        s->batch = batch;
        pthread_cond_broadcast(&loader->filled);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

/* Waits until no thread copies and forgets what is ready. Called with the lock held. */
static void halt(soma_loader *loader)
{
    loader->running = false;
    while (loader->busy)
        pthread_cond_wait(&loader->filled, &loader->lock);
    for (int i = 0; i < loader->options.prefetch; i++)
        loader->slots[i].batch = -1;
}

static soma_status allocate(soma_loader *loader, soma_error *err)
{
    const soma_dataset *dataset = loader->dataset;
    size_t batch = (size_t)loader->options.batch, x_size, y_size;
    loader->order = soma__calloc((size_t)dataset->count, sizeof *loader->order);
    loader->slots = soma__calloc((size_t)loader->options.prefetch, sizeof *loader->slots);
    loader->threads = soma__calloc((size_t)loader->options.threads, sizeof *loader->threads);
    bool complete = loader->order && loader->slots && loader->threads &&
                    soma__mul(batch, dataset->x_bytes, &x_size) &&
                    soma__mul(batch, dataset->y_bytes, &y_size);
    size_t scratch = soma__align_up(soma__dataset_scratch(dataset), 64), all;
    loader->scratch_each = scratch;
    if (complete && scratch) {
        complete = soma__mul(scratch, (size_t)loader->options.threads, &all);
        loader->scratch = complete ? soma__aligned(all) : NULL;
        complete = loader->scratch != NULL;
    }
    for (int i = 0; complete && i < loader->options.prefetch; i++) {
        slot *s = &loader->slots[i];
        s->batch = -1;
        s->x = soma__aligned(x_size);
        s->y = soma__aligned(y_size);
        complete = s->x && s->y;
    }
    return complete ? SOMA_OK
                    : soma__fail(err, SOMA_MEMORY, "no memory for %d batches of %lld samples",
                                 loader->options.prefetch, (long long)loader->options.batch);
}

/* Sorts the samples by class (counting sort), for a balanced order. */
static soma_status group_classes(soma_loader *loader, soma_error *err)
{
    const soma_dataset *dataset = loader->dataset;
    int classes = soma_dataset_class_count(dataset);
    if (classes < 1 || soma__dataset_label(dataset, 0) < 0)
        return soma__fail(err, SOMA_INVALID, "balanced batches need class labels");
    int64_t *next = soma__calloc((size_t)classes + 2, sizeof *next);
    loader->starts = soma__calloc((size_t)classes + 1, sizeof *loader->starts);
    loader->members = soma__calloc((size_t)dataset->count, sizeof *loader->members);
    if (!next || !loader->starts || !loader->members) {
        soma__free(next);
        return soma__fail(err, SOMA_MEMORY, "no memory to sort %lld samples by class",
                          (long long)dataset->count);
    }
    for (int64_t i = 0; i < dataset->count; i++)
        next[soma__dataset_label(dataset, i) + 1]++;
    for (int k = 0; k < classes; k++) {
        if (next[k + 1])
            loader->starts[loader->classes++] = next[k];
        next[k + 1] += next[k];
    }
    loader->starts[loader->classes] = dataset->count;
    for (int64_t i = 0; i < dataset->count; i++)
        loader->members[next[soma__dataset_label(dataset, i)]++] = i;
    soma__free(next);
    return SOMA_OK;
}

/* The classes in turns, a random sample of each; then all of them shuffled. */
static void draw_balanced(soma_loader *loader, int64_t epoch)
{
    int64_t n = loader->dataset->count;
    soma__rng_key places = {loader->options.seed, soma__rng_stream("shuffle"), (uint64_t)epoch};
    soma__rng_key draws = {loader->options.seed, soma__rng_stream("balance"), (uint64_t)epoch};
    soma__rng_permutation(&places, n, loader->order);
    for (int64_t i = 0; i < n; i++) {
        /* order[i] is the place in the unshuffled row of turns. */
        int64_t turn = loader->order[i], k = turn % loader->classes;
        int64_t size = loader->starts[k + 1] - loader->starts[k];
        uint64_t pick = soma__rng_below(&draws, (uint64_t)turn, (uint64_t)size);
        loader->order[i] = loader->members[loader->starts[k] + (int64_t)pick];
    }
}

static soma_status start_threads(soma_loader *loader, soma_error *err)
{
    for (int i = 0; i < loader->options.threads; i++) {
        int code = pthread_create(&loader->threads[i], NULL, work, loader);
        if (code)
            return soma__fail(err, SOMA_MEMORY, "cannot start a loader thread: error %d", code);
        loader->thread_count++;
    }
    return SOMA_OK;
}

soma_status soma_loader_create(soma_loader **out, soma_dataset *dataset,
                               const soma_loader_options *options, soma_error *err)
{
    *out = NULL;
    if (!options || options->batch < 1)
        return soma__fail(err, SOMA_INVALID, "a loader needs a batch size of at least 1");
    if (options->batch > dataset->count)
        return soma__fail(err, SOMA_INVALID,
                          "batch %lld is larger than the data set of %lld samples",
                          (long long)options->batch, (long long)dataset->count);
    if (options->threads < 0 || options->threads > 256 || options->prefetch < 0 ||
        options->prefetch > 4096)
        return soma__fail(err, SOMA_INVALID,
                          "a loader has 1 to 256 threads and 1 to 4096 batches of prefetch");
    if (options->bucket_count && !options->shuffle)
        return soma__fail(err, SOMA_INVALID,
                          "buckets put samples into another order: they need a shuffled one");
    soma_loader *loader = soma__calloc(1, sizeof *loader);
    if (!loader)
        return soma__fail(err, SOMA_MEMORY, "no memory for a loader");
    loader->options = *options;
    loader->options.threads = options->threads ? options->threads : 1;
    loader->options.prefetch = options->prefetch ? options->prefetch : SOMA__PREFETCH;
    loader->dataset = soma_dataset_retain(dataset);
    loader->batches = dataset->count / options->batch;
    if (!options->drop_last && dataset->count % options->batch)
        loader->batches++;
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->filled, NULL);
    pthread_cond_init(&loader->freed, NULL);
    soma_status status = allocate(loader, err);
    if (status == SOMA_OK && options->balanced)
        status = group_classes(loader, err);
    if (status == SOMA_OK && options->bucket_count)
        status = soma__buckets_create(&loader->buckets, dataset, options->buckets,
                                      options->bucket_count, options->batch, err);
    if (status == SOMA_OK)
        status = start_threads(loader, err);
    if (status != SOMA_OK) {
        soma_loader_destroy(loader);
        return status;
    }
    *out = loader;
    return SOMA_OK;
}

void soma_loader_destroy(soma_loader *loader)
{
    if (!loader)
        return;
    pthread_mutex_lock(&loader->lock);
    loader->closing = true;
    pthread_cond_broadcast(&loader->freed);
    pthread_mutex_unlock(&loader->lock);
    for (int i = 0; i < loader->thread_count; i++)
        pthread_join(loader->threads[i], NULL);
    for (int i = 0; loader->slots && i < loader->options.prefetch; i++) {
        soma__free(loader->slots[i].x);
        soma__free(loader->slots[i].y);
    }
    pthread_cond_destroy(&loader->filled);
    pthread_cond_destroy(&loader->freed);
    pthread_mutex_destroy(&loader->lock);
    soma__free(loader->slots);
    soma__free(loader->threads);
    soma__free(loader->order);
    soma__free(loader->members);
    soma__free(loader->starts);
    soma__free(loader->scratch);
    soma__buckets_clear(&loader->buckets);
    soma_dataset_release(loader->dataset);
    soma__free(loader);
}

int64_t soma_loader_batches(const soma_loader *loader)
{
    return loader->batches;
}

soma_status soma_loader_start(soma_loader *loader, int64_t epoch, int64_t first, soma_error *err)
{
    if (epoch < 0 || first < 0 || first > loader->batches)
        return soma__fail(err, SOMA_INVALID, "an epoch of %lld batches cannot start at %lld",
                          (long long)loader->batches, (long long)first);
    pthread_mutex_lock(&loader->lock);
    halt(loader);
    if (loader->options.balanced) {
        draw_balanced(loader, epoch);
    } else if (loader->options.shuffle) {
        soma__rng_key key = {.seed = loader->options.seed,
                             .stream = soma__rng_stream("shuffle"),
                             .step = (uint64_t)epoch};
        soma__rng_permutation(&key, loader->dataset->count, loader->order);
    } else {
        for (int64_t i = 0; i < loader->dataset->count; i++)
            loader->order[i] = i;
    }
    if (loader->buckets.count) {
        soma__rng_key key = {loader->options.seed, soma__rng_stream("buckets"), (uint64_t)epoch};
        soma__buckets_arrange(&loader->buckets, &key, loader->order);
    }
    loader->epoch = epoch;
    loader->current = first - 1;
    loader->claimed = first;
    loader->running = true;
    pthread_cond_broadcast(&loader->freed);
    pthread_mutex_unlock(&loader->lock);
    return SOMA_OK;
}

soma_status soma_loader_next(soma_loader *loader, const void **x, const void **y, int64_t *count,
                             soma_error *err)
{
    *x = *y = NULL;
    *count = 0;
    pthread_mutex_lock(&loader->lock);
    if (!loader->running) {
        pthread_mutex_unlock(&loader->lock);
        return soma__fail(err, SOMA_STATE, "the loader was not started (soma_loader_start)");
    }
    if (loader->current + 1 >= loader->batches) {
        halt(loader);
        pthread_mutex_unlock(&loader->lock);
        return SOMA_OK;
    }
    int64_t batch = ++loader->current;
    pthread_cond_broadcast(&loader->freed);
    slot *s = &loader->slots[batch % loader->options.prefetch];
    while (s->batch != batch)
        pthread_cond_wait(&loader->filled, &loader->lock);
    pthread_mutex_unlock(&loader->lock);
    if (s->status != SOMA_OK)
        return soma__fail(err, s->status, "%s", s->error.message);
    *x = s->x;
    *y = s->y;
    *count = batch_size(loader, batch);
    return SOMA_OK;
}

int64_t soma_loader_length(const soma_loader *loader)
{
    bool given = loader->buckets.count && loader->running && loader->current >= 0;
    return given ? loader->slots[loader->current % loader->options.prefetch].length : 0;
}
