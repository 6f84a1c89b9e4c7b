/* pool.c: the thread pool.
 *
 * A step of a small model is hundreds of kernels of a few microseconds, so handing out work must
 * cost far less than a microsecond. Everything hangs on one counter:
 *
 *   caller                               worker
 *   ──────                               ──────
 *   write fn, context, blocks            spin until unclaimed > 0
 *   unclaimed = blocks    ── release ──▶ claim some: unclaimed: n → n - k
 *   claim and run blocks like a worker   run them
 *   spin until done == blocks ◀─ release ─ done += k
 *
 * Why it is safe. A claim that succeeds took blocks which were not done, so the caller cannot
 * return, and cannot touch fn, context and blocks, before the claimer adds them to `done`: the
 * claimer may read these plain fields after its claim. A worker that sleeps through a whole job
 * finds unclaimed == 0, or a later job's blocks, which are as good to it. So the caller waits for
 * blocks, never for workers: one that the system has not scheduled holds nobody up.
 *
 * Idle workers spin, first with pauses, then giving way to other processes, then they park on a
 * condition variable. A caller that waits long for a block parks the same way. Both kinds of
 * parking are announced before the last look at the counter, and the other side looks for the
 * announcement after its change of the counter, all in sequentially consistent order: at least one
 * of the two sees the other, so no wake-up is lost. */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpus.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#define MOST_THREADS 1024
/* The system's default may be as small as 128 KiB; kernels keep tiles on the stack. */
#define STACK_BYTES ((size_t)4 << 20)

/* Seconds of spinning: with pauses only; then, giving way between looks, inside a run (where the
 * next kernel comes soon) and outside one (where the next run may). When there are more threads
 * than CPUs, a spinning thread keeps a working one from its CPU, so it parks at once. */
#define SPIN_PAUSE 20e-6
#define SPIN_IN_RUN 2e-3
#define SPIN_IDLE 200e-6

#define CACHE_LINE 64

typedef struct worker {
    soma__pool *pool;
    int index;
    pthread_t thread;
} worker;

struct soma__pool {
    int threads;
    int most_awake;  /* workers worth waking: more of them than CPUs help nobody */
    bool crowded;    /* more threads than CPUs */
    worker *workers; /* threads - 1 of them; worker[i] has index i + 1 */

    pthread_mutex_t run;  /* held from enter to leave */
    pthread_mutex_t lock; /* for parking */
    pthread_cond_t work;  /* workers wait here */
    pthread_cond_t end;   /* the caller waits here */

    /* The job: written by the caller while unclaimed == 0 and nobody works. */
    soma__block_fn *fn;
    void *context;
    int64_t blocks;
    /* Whoever writes one of these takes its cache line from all who watch it, so each has its own.
     */
    _Alignas(CACHE_LINE) _Atomic int64_t unclaimed;
    _Alignas(CACHE_LINE) _Atomic int64_t done;
    /* Rarely written. */
    _Alignas(CACHE_LINE) atomic_bool running; /* inside enter/leave */
    atomic_bool stop;
    atomic_bool caller_parked;
    atomic_int parked; /* workers parked; changed under `lock` */
    atomic_uint wakes; /* told to wake up so far; changed under `lock` */
};

static void cpu_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb" ::: "memory"); /* "yield" returns at once on most cores */
#endif
}

/* Runs blocks until none is left to claim. */
static void work(soma__pool *pool, int index)
{
    int64_t left = atomic_load_explicit(&pool->unclaimed, memory_order_relaxed);
    while (left > 0) {
        /* Many small blocks are claimed a few at a time, fewer towards the end, so that the counter
         * is not fought over and the last blocks are still shared. */
        int64_t claim = left / (4 * (int64_t)pool->threads);
        if (claim < 1)
            claim = 1;
        if (!atomic_compare_exchange_weak_explicit(&pool->unclaimed, &left, left - claim,
                                                   memory_order_acquire, memory_order_relaxed))
            continue;
        soma__block_fn *fn = pool->fn;
        void *context = pool->context;
        int64_t blocks = pool->blocks;
        int64_t first = blocks - left;
        for (int64_t block = first; block < first + claim; block++)
            fn(context, block, index);
        /* After this addition the job may be over and its fields rewritten. */
        int64_t done = atomic_fetch_add(&pool->done, claim) + claim;
        if (done == blocks && index != 0 && atomic_load(&pool->caller_parked)) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->end);
            pthread_mutex_unlock(&pool->lock);
        }
        left = atomic_load_explicit(&pool->unclaimed, memory_order_relaxed);
    }
}

/* --- workers ------------------------------------------------------------------------------------
 */

static bool has_work(soma__pool *pool)
{
    return atomic_load_explicit(&pool->unclaimed, memory_order_relaxed) > 0 ||
           atomic_load_explicit(&pool->stop, memory_order_relaxed);
}

/* Spins until there is something to do (true) or spinning is no longer worth it (false). */
static bool spin_for_work(soma__pool *pool)
{
    double start = soma__seconds();
    for (;;) {
        for (int i = 0; i < 32; i++) {
            if (has_work(pool))
                return true;
            cpu_pause();
        }
        double waited = soma__seconds() - start;
        if (pool->crowded || waited > SPIN_IN_RUN ||
            (waited > SPIN_IDLE && !atomic_load_explicit(&pool->running, memory_order_relaxed)))
            return false;
        if (waited > SPIN_PAUSE)
            sched_yield();
    }
}

static void park(soma__pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    unsigned before = atomic_load(&pool->wakes);
    atomic_fetch_add(&pool->parked, 1);
    while (atomic_load(&pool->unclaimed) <= 0 && !atomic_load(&pool->stop) &&
           atomic_load(&pool->wakes) == before)
        pthread_cond_wait(&pool->work, &pool->lock);
    atomic_fetch_sub(&pool->parked, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *argument)
{
    worker *self = argument;
    soma__pool *pool = self->pool;
    while (!atomic_load_explicit(&pool->stop, memory_order_relaxed)) {
        if (spin_for_work(pool))
            work(pool, self->index);
        else
            park(pool);
    }
    return NULL;
}

/* Wakes parked workers until `wanted` are awake, as far as there are so many. */
static void wake(soma__pool *pool, int64_t wanted)
{
    if (wanted > pool->most_awake)
        wanted = pool->most_awake;
    int parked = atomic_load(&pool->parked);
    if (parked == 0 || pool->threads - 1 - parked >= wanted)
        return;
    pthread_mutex_lock(&pool->lock);
    parked = atomic_load(&pool->parked);
    int64_t missing = wanted - (pool->threads - 1 - parked);
    if (missing > 0)
        atomic_fetch_add(&pool->wakes, 1);
    if (missing >= parked)
        pthread_cond_broadcast(&pool->work);
    else
        for (; missing > 0; missing--)
            pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

/* --- life ---------------------------------------------------------------------------------------
 */

static soma_status count_threads(int *threads, soma_error *err)
{
    const char *text = getenv("SOMA_THREADS");
    int64_t value;
    if (*threads < 0 || *threads > MOST_THREADS)
        return soma__fail(err, SOMA_INVALID,
                          "threads is %d; give 1 to %d, or 0 to use every CPU of this process",
                          *threads, MOST_THREADS);
    if (*threads > 0)
        return SOMA_OK;
    if (text && *text) {
        if (!soma__parse_int(text, &value) || value < 1 || value > MOST_THREADS)
            return soma__fail(err, SOMA_INVALID,
                              "the environment says SOMA_THREADS=%s; give a whole number from 1 to "
                              "%d, or unset it to use every CPU of this process",
                              text, MOST_THREADS);
        *threads = (int)value;
        return SOMA_OK;
    }
    int cpus = soma__cpu_count();
    *threads = cpus < MOST_THREADS ? cpus : MOST_THREADS;
    return SOMA_OK;
}

/* Ends and joins the first `started` workers. */
static void stop_workers(soma__pool *pool, int started)
{
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->stop, true);
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < started; i++)
        pthread_join(pool->workers[i].thread, NULL);
}

static void free_pool(soma__pool *pool)
{
    pthread_cond_destroy(&pool->end);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->run);
    soma__free(pool->workers);
    soma__free(pool);
}

/* Starts the workers; *started says how many run, also after a failure. */
static int start_workers(soma__pool *pool, int *started)
{
    pthread_attr_t attributes;
    int code = pthread_attr_init(&attributes);
    if (code != 0)
        return code;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    /* Threads inherit the signal mask. Ours take no signals, so that the program's handlers run on
     * the program's own threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 0; i < pool->threads - 1 && code == 0; i++) {
        pool->workers[i] = (worker){.pool = pool, .index = i + 1};
        code =
            pthread_create(&pool->workers[i].thread, &attributes, worker_main, &pool->workers[i]);
        *started += code == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return code;
}

soma_status soma__pool_create(soma__pool **out, int threads, soma_error *err)
{
    *out = NULL;
    SOMA__TRY(count_threads(&threads, err));
    soma__pool *pool = soma__aligned(sizeof *pool);
    worker *workers = soma__calloc((size_t)threads, sizeof *workers);
    if (!pool || !workers) {
        soma__free(pool);
        soma__free(workers);
        return soma__fail(err, SOMA_MEMORY, "out of memory while making a pool of %d threads",
                          threads);
    }
    int cpus = threads > 1 ? soma__cpu_count() : 1;
    memset(pool, 0, sizeof *pool);
    pool->threads = threads;
    pool->workers = workers;
    pool->crowded = threads > cpus;
    pool->most_awake = !pool->crowded ? threads - 1 : cpus > 1 ? cpus - 1 : 1;
    atomic_init(&pool->unclaimed, 0);
    atomic_init(&pool->done, 0);
    atomic_init(&pool->running, false);
    atomic_init(&pool->stop, false);
    atomic_init(&pool->caller_parked, false);
    atomic_init(&pool->parked, 0);
    atomic_init(&pool->wakes, 0);
    /* With default attributes these cannot fail on any system that we know. */
    pthread_mutex_init(&pool->run, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->end, NULL);

    int started = 0;
    int code = threads > 1 ? start_workers(pool, &started) : 0;
    if (code != 0) {
        stop_workers(pool, started);
        free_pool(pool);
        return soma__fail(err, SOMA_MEMORY,
                          "the system started only %d of %d threads; ask for fewer with "
                          "SOMA_THREADS, or raise the limit (ulimit -u)",
                          started + 1, threads);
    }
    *out = pool;
    return SOMA_OK;
}

void soma__pool_destroy(soma__pool *pool)
{
    if (!pool)
        return;
    stop_workers(pool, pool->threads - 1);
    free_pool(pool);
}

int soma__pool_threads(const soma__pool *pool)
{
    return pool ? pool->threads : 1;
}

/* --- runs ---------------------------------------------------------------------------------------
 */

void soma__pool_enter(soma__pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->run);
    if (pool->threads == 1)
        return;
    atomic_store_explicit(&pool->running, true, memory_order_relaxed);
    /* By the time of the first kernel the workers are up. In a crowd they would only park again. */
    if (!pool->crowded)
        wake(pool, pool->threads - 1);
}

void soma__pool_leave(soma__pool *pool)
{
    if (!pool)
        return;
    atomic_store_explicit(&pool->running, false, memory_order_relaxed);
    pthread_mutex_unlock(&pool->run);
}

/* Returns when `done` has reached `blocks`. */
static void wait_for_end(soma__pool *pool, int64_t blocks)
{
    double start = 0;
    for (unsigned looks = 1;; looks++) {
        if (atomic_load_explicit(&pool->done, memory_order_acquire) == blocks)
            return;
        if (looks % 32 != 0) {
            cpu_pause();
            continue;
        }
        double now = soma__seconds();
        if (start <= 0)
            start = now;
        if (pool->crowded || now - start > SPIN_IN_RUN)
            break;
        if (now - start > SPIN_PAUSE)
            sched_yield();
    }
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->caller_parked, true);
    while (atomic_load(&pool->done) != blocks)
        pthread_cond_wait(&pool->end, &pool->lock);
    atomic_store(&pool->caller_parked, false);
    pthread_mutex_unlock(&pool->lock);
}

void soma__parallel(soma__pool *pool, int64_t blocks, soma__block_fn *fn, void *context)
{
    if (!pool || pool->threads == 1 || blocks <= 1) {
        for (int64_t block = 0; block < blocks; block++)
            fn(context, block, 0);
        return;
    }
    pool->fn = fn;
    pool->context = context;
    pool->blocks = blocks;
    atomic_store_explicit(&pool->done, 0, memory_order_relaxed);
    /* Sequentially consistent, so that it comes before the look at `parked`; it publishes the
     * fields above as well. */
    atomic_store(&pool->unclaimed, blocks);
    wake(pool, blocks - 1);
    work(pool, 0);
    wait_for_end(pool, blocks);
}
