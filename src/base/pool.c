/* pool.c: the thread pool.
 *
 * A step of a small model is hundreds of kernels of a few microseconds, so handing out work must
 * cost far less than a microsecond. What costs are cache lines that go from core to core, a tenth
 * of a microsecond each and more, and a kernel's data is made of them too. So every thread has a
 * seat, a cache line of its own, and the same part of every job: of blocks 0 to n - 1 thread t of T
 * is offered those from t·n/T on. A kernel that runs again, or one that cuts the same arrays the
 * same way, finds what it wrote last time in its own cache.
 *
 *   caller                                  worker t
 *   ──────                                  ────────
 *   write fn and context to each seat       spin until seat t has blocks
 *   seat t = its blocks       ── release ─▶ claim from the front: next → next + k
 *   claim and run those of seat 0           run them
 *   claim from the back of other seats      done += what it ran, then other seats' too
 *   spin until done is all   ◀─ release ──
 *
 * Why it is safe. A claim that succeeds took blocks which were not done, so the caller cannot
 * return, and cannot touch fn and context, before the claimer adds them to `done`: the claimer may
 * read these plain fields after its claim. A worker that sleeps through a whole job finds empty
 * seats, or a later job's blocks, which are as good to it. So the caller waits for blocks, never
 * for workers: one that the system has not scheduled holds nobody up, its blocks are taken from its
 * seat.
 *
 * Idle workers spin, first with pauses, then giving way to other processes, then they park on a
 * condition variable. The caller looks whether a worker that it has work for is parked, without
 * ordering that look after the offer: a worker that parks just then misses one job, which the
 * caller does without it. A caller that waits long for a block parks as well; that is announced
 * before its last look at `done`, and a worker looks for the announcement after it has added, both
 * in sequentially consistent order: at least one of the two sees the other. */
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

/* Blocks of a job at most, so that a part of it fits half a word; longer jobs are run in rounds. */
#define ROUND ((int64_t)1 << 20)

/* What a thread is offered. */
typedef struct seat {
    _Alignas(CACHE_LINE) _Atomic uint64_t part; /* blocks: next in the low half, end in the high */
    /* Written by the caller while nothing is offered. */
    soma__block_fn *fn;
    void *context;
    int64_t base; /* of the round: what its block 0 is called outside */
} seat;

typedef struct worker {
    _Alignas(CACHE_LINE) soma__pool *pool;
    int index;
    pthread_t thread;
    pthread_cond_t work; /* waits here when parked */
    atomic_bool parked;  /* changed under `lock` */
    bool called;         /* to wake up; under `lock` */
} worker;

struct soma__pool {
    int threads;
    int active;      /* threads that are offered work: more of them than CPUs help nobody */
    bool crowded;    /* more threads than CPUs */
    worker *workers; /* threads - 1 of them; worker[i] has index i + 1 */
    seat *seats;     /* of each thread; the caller's is 0 */

    pthread_mutex_t run;  /* held from enter to leave */
    pthread_mutex_t lock; /* for parking */
    pthread_cond_t end;   /* the caller waits here */

    uint64_t due; /* what `done` will be when all that was handed to workers is done */
    /* Whoever writes one of these takes its cache line from all who watch it, so each has its own.
     */
    _Alignas(CACHE_LINE) _Atomic uint64_t done; /* blocks that workers ran, ever */
    /* Rarely written. */
    _Alignas(CACHE_LINE) atomic_bool running; /* inside enter/leave */
    atomic_bool stop;
    atomic_bool caller_parked;
};

static void cpu_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb" ::: "memory"); /* "yield" returns at once on most cores */
#endif
}

static uint64_t part_of(uint64_t next, uint64_t end)
{
    return end << 32 | next;
}

/* Takes some of the blocks that seat `from` still offers and runs them; 0: it offers none. The
 * thread whose seat it is takes from the front, a few at a time where there are many; others take
 * half of what is left, from the back. */
static int64_t run_some(soma__pool *pool, int from, int index)
{
    seat *s = &pool->seats[from];
    uint64_t part = atomic_load_explicit(&s->part, memory_order_relaxed);
    for (;;) {
        uint64_t next = part & UINT32_MAX, end = part >> 32, left = end - next, first = next;
        if (left == 0)
            return 0;
        uint64_t claim = from == index ? 1 + left / 16 : (left + 1) / 2;
        if (from == index)
            next += claim;
        else
            first = end -= claim;
        if (!atomic_compare_exchange_weak_explicit(&s->part, &part, part_of(next, end),
                                                   memory_order_acquire, memory_order_relaxed))
            continue;
        soma__block_fn *fn = s->fn;
        void *context = s->context;
        int64_t base = s->base + (int64_t)first;
        for (int64_t block = base; block < base + (int64_t)claim; block++)
            fn(context, block, index);
        return (int64_t)claim;
    }
}

/* Runs what the own seat offers. */
static int64_t run_own(soma__pool *pool, int index)
{
    int64_t ran = 0;
    for (int64_t some = 1; some > 0; ran += some)
        some = run_some(pool, index, index);
    return ran;
}

/* Runs what the other seats offer, until one round over all of them finds nothing. */
static int64_t run_others(soma__pool *pool, int index)
{
    int64_t ran = 0;
    for (int looked = 1; looked < pool->active;) {
        int64_t some = run_some(pool, (index + looked) % pool->active, index);
        looked = some ? 1 : looked + 1;
        ran += some;
    }
    return ran;
}

/* --- workers ------------------------------------------------------------------------------------
 */

static bool has_work(const worker *self)
{
    uint64_t part =
        atomic_load_explicit(&self->pool->seats[self->index].part, memory_order_relaxed);
    return (part & UINT32_MAX) != part >> 32;
}

/* After this addition the job may be over and its fields rewritten. */
static void add_done(soma__pool *pool, int64_t ran)
{
    atomic_fetch_add(&pool->done, (uint64_t)ran);
    if (atomic_load(&pool->caller_parked)) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_signal(&pool->end);
        pthread_mutex_unlock(&pool->lock);
    }
}

/* Runs what the own seat offers, then what others do. */
static void work(const worker *self)
{
    soma__pool *pool = self->pool;
    int64_t ran = run_own(pool, self->index);
    if (ran)
        add_done(pool, ran);
    /* Only now: to look at other seats takes time that the caller may be waiting for. */
    ran = run_others(pool, self->index);
    if (ran)
        add_done(pool, ran);
}

/* Spins until there is something to do (true) or spinning is no longer worth it (false). */
static bool spin_for_work(const worker *self)
{
    soma__pool *pool = self->pool;
    double start = soma__seconds();
    for (;;) {
        for (int i = 0; i < 32; i++) {
            if (has_work(self))
                return true;
            cpu_pause();
        }
        if (atomic_load_explicit(&pool->stop, memory_order_relaxed))
            return true;
        double waited = soma__seconds() - start;
        if (pool->crowded || waited > SPIN_IN_RUN ||
            (waited > SPIN_IDLE && !atomic_load_explicit(&pool->running, memory_order_relaxed)))
            return false;
        if (waited > SPIN_PAUSE)
            sched_yield();
    }
}

static void park(worker *self)
{
    soma__pool *pool = self->pool;
    pthread_mutex_lock(&pool->lock);
    self->called = false;
    atomic_store(&self->parked, true);
    while (!has_work(self) && !self->called && !atomic_load(&pool->stop))
        pthread_cond_wait(&self->work, &pool->lock);
    atomic_store(&self->parked, false);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *argument)
{
    worker *self = argument;
    soma__pool *pool = self->pool;
    while (!atomic_load_explicit(&pool->stop, memory_order_relaxed)) {
        if (spin_for_work(self))
            work(self);
        else
            park(self);
    }
    return NULL;
}

/* Wakes those of the first `count` threads that are parked. */
static void wake(soma__pool *pool, int count)
{
    for (int i = 0; i < count - 1; i++) {
        worker *w = &pool->workers[i];
        if (!atomic_load_explicit(&w->parked, memory_order_relaxed))
            continue;
        pthread_mutex_lock(&pool->lock);
        w->called = true;
        pthread_cond_signal(&w->work);
        pthread_mutex_unlock(&pool->lock);
    }
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
    for (int i = 0; i < started; i++)
        pthread_cond_signal(&pool->workers[i].work);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < started; i++)
        pthread_join(pool->workers[i].thread, NULL);
}

static void free_pool(soma__pool *pool)
{
    for (int i = 0; i < pool->threads - 1; i++)
        pthread_cond_destroy(&pool->workers[i].work);
    pthread_cond_destroy(&pool->end);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->run);
    soma__free(pool->seats);
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
    worker *workers = soma__aligned((size_t)threads * sizeof *workers);
    seat *seats = soma__aligned((size_t)threads * sizeof *seats);
    if (!pool || !workers || !seats) {
        soma__free(pool);
        soma__free(workers);
        soma__free(seats);
        return soma__fail(err, SOMA_MEMORY, "out of memory while making a pool of %d threads",
                          threads);
    }
    int cpus = threads > 1 ? soma__cpu_count() : 1;
    memset(pool, 0, sizeof *pool);
    pool->threads = threads;
    pool->workers = workers;
    pool->seats = seats;
    pool->crowded = threads > cpus;
    pool->active = !pool->crowded ? threads : cpus > 2 ? cpus : 2;
    atomic_init(&pool->done, 0);
    atomic_init(&pool->running, false);
    atomic_init(&pool->stop, false);
    atomic_init(&pool->caller_parked, false);
    /* With default attributes these cannot fail on any system that we know. */
    pthread_mutex_init(&pool->run, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->end, NULL);
    memset(workers, 0, (size_t)threads * sizeof *workers);
    memset(seats, 0, (size_t)threads * sizeof *seats);
    for (int i = 0; i < threads; i++)
        atomic_init(&seats[i].part, 0);
    for (int i = 0; i < threads - 1; i++) {
        workers[i].pool = pool;
        workers[i].index = i + 1;
        atomic_init(&workers[i].parked, false);
        pthread_cond_init(&workers[i].work, NULL);
    }

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
    /* Parked workers sleep on until there is work to share: a small run may have none. */
    atomic_store_explicit(&pool->running, true, memory_order_relaxed);
}

void soma__pool_leave(soma__pool *pool)
{
    if (!pool)
        return;
    atomic_store_explicit(&pool->running, false, memory_order_relaxed);
    pthread_mutex_unlock(&pool->run);
}

/* Returns when the workers have done what is due. */
static void wait_for_end(soma__pool *pool)
{
    double start = 0;
    for (unsigned looks = 1;; looks++) {
        if (atomic_load_explicit(&pool->done, memory_order_acquire) == pool->due)
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
    while (atomic_load(&pool->done) != pool->due)
        pthread_cond_wait(&pool->end, &pool->lock);
    atomic_store(&pool->caller_parked, false);
    pthread_mutex_unlock(&pool->lock);
}

/* Blocks [base, base + count), at most ROUND of them. */
static void run_round(soma__pool *pool, int64_t base, int64_t count, soma__block_fn *fn,
                      void *context)
{
    int threads = count < pool->active ? (int)count : pool->active;
    /* The caller's own seat last: others are waiting. */
    for (int t = threads - 1; t >= 0; t--) {
        seat *s = &pool->seats[t];
        s->fn = fn;
        s->context = context;
        s->base = base;
        uint64_t first = (uint64_t)(count * t / threads),
                 end = (uint64_t)(count * (t + 1) / threads);
        atomic_store_explicit(&s->part, part_of(first, end), memory_order_release);
    }
    wake(pool, threads);
    pool->due += (uint64_t)(count - run_own(pool, 0));
    if (atomic_load_explicit(&pool->done, memory_order_acquire) == pool->due)
        return;
    pool->due -= (uint64_t)run_others(pool, 0);
    wait_for_end(pool);
}

void soma__parallel(soma__pool *pool, int64_t blocks, soma__block_fn *fn, void *context)
{
    if (!pool || pool->threads == 1 || blocks <= 1) {
        for (int64_t block = 0; block < blocks; block++)
            fn(context, block, 0);
        return;
    }
    for (int64_t base = 0; base < blocks; base += ROUND)
        run_round(pool, base, blocks - base < ROUND ? blocks - base : ROUND, fn, context);
}
