/* The thread pool: every block once, no lost wake-ups, any number of threads on any machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cpus.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/pool.h"

typedef struct job {
    int threads;
    atomic_int bad_worker;
    atomic_int nap_worker;
    unsigned char *seen; /* plain memory: a block that ran twice, or whose writes the caller cannot
                            see, is found by the counts and by the thread sanitizer */
    int64_t round;
    int64_t *results;
} job;

static void count_block(void *context, int64_t block, int worker)
{
    job *j = context;
    j->seen[block]++;
    if (j->results)
        j->results[block] = j->round * 1000 + block;
    if (worker < 0 || worker >= j->threads)
        atomic_store(&j->bad_worker, 1);
}

static void each_block_runs_once(void **state)
{
    (void)state;
    const int threads[] = {1, 2, 3, 8};
    const int64_t blocks[] = {0, 1, 2, 3, 7, 64, 1000, 5003};
    for (size_t t = 0; t < 4; t++) {
        soma__pool *pool;
        assert_int_equal(soma__pool_create(&pool, threads[t], NULL), SOMA_OK);
        assert_int_equal(soma__pool_threads(pool), threads[t]);
        for (size_t b = 0; b < 8; b++) {
            job j = {.threads = threads[t], .seen = soma__calloc((size_t)blocks[b], 1)};
            soma__pool_enter(pool);
            soma__parallel(pool, blocks[b], count_block, &j);
            soma__parallel(pool, blocks[b], count_block, &j);
            soma__pool_leave(pool);
            for (int64_t i = 0; i < blocks[b]; i++)
                assert_int_equal(j.seen[i], 2);
            assert_int_equal(atomic_load(&j.bad_worker), 0);
            soma__free(j.seen);
        }
        soma__pool_destroy(pool);
    }
}

/* Thousands of tiny jobs whose fields change each time: a worker that took a stale job would write
 * a wrong result. */
static void many_small_jobs(void **state)
{
    (void)state;
    const int threads[] = {2, 3, 8};
    for (size_t t = 0; t < 3; t++) {
        soma__pool *pool;
        assert_int_equal(soma__pool_create(&pool, threads[t], NULL), SOMA_OK);
        soma__pool_enter(pool);
        for (int64_t round = 0; round < 3000; round++) {
            unsigned char seen[24] = {0};
            int64_t results[24];
            job j = {.threads = threads[t], .seen = seen, .round = round, .results = results};
            int64_t blocks = 2 + round % 23;
            soma__parallel(pool, blocks, count_block, &j);
            for (int64_t i = 0; i < blocks; i++) {
                assert_int_equal(seen[i], 1);
                assert_int_equal(results[i], round * 1000 + i);
            }
        }
        soma__pool_leave(pool);
        soma__pool_destroy(pool);
    }
}

typedef struct hold {
    int64_t blocks;
    atomic_bool held;
    atomic_llong others;
} hold;

/* The block that starts first ends last. */
static void held_block(void *context, int64_t block, int worker)
{
    hold *h = context;
    (void)block;
    (void)worker;
    if (atomic_exchange(&h->held, true))
        atomic_fetch_add(&h->others, 1);
    else
        while (atomic_load(&h->others) < h->blocks - 1)
            sched_yield();
}

/* The blocks that a thread was offered are run by others while it cannot. */
static void nobody_waits_for_a_slow_thread(void **state)
{
    (void)state;
    const int threads[] = {2, 3, 8};
    for (size_t t = 0; t < 3; t++) {
        soma__pool *pool;
        assert_int_equal(soma__pool_create(&pool, threads[t], NULL), SOMA_OK);
        soma__pool_enter(pool);
        for (int64_t blocks = 2; blocks <= 16; blocks++) {
            hold h = {.blocks = blocks};
            soma__parallel(pool, blocks, held_block, &h);
            assert_int_equal(atomic_load(&h.others), blocks - 1);
        }
        soma__pool_leave(pool);
        soma__pool_destroy(pool);
    }
}

static void sum_block(void *context, int64_t block, int worker)
{
    int64_t *sums = context; /* a cache line for each worker */
    sums[worker * 8] += block + 1;
}

/* More blocks than are handed out at once. */
static void long_jobs_run_in_rounds(void **state)
{
    (void)state;
    const int64_t blocks = ((int64_t)5 << 19) + 3;
    for (int threads = 1; threads <= 3; threads++) {
        soma__pool *pool;
        int64_t sums[3 * 8] = {0}, total = 0;
        assert_int_equal(soma__pool_create(&pool, threads, NULL), SOMA_OK);
        soma__pool_enter(pool);
        soma__parallel(pool, blocks, sum_block, sums);
        soma__pool_leave(pool);
        soma__pool_destroy(pool);
        for (int i = 0; i < 3; i++)
            total += sums[i * 8];
        assert_int_equal(total, blocks * (blocks + 1) / 2);
    }
}

static void nap_block(void *context, int64_t block, int worker)
{
    job *j = context;
    j->seen[block]++;
    if (worker != 0)
        atomic_fetch_add(&j->nap_worker, 1);
    usleep(4000);
}

/* Pauses long enough for everyone to park, and blocks long enough for the caller to park. */
static void parked_threads_wake_up(void **state)
{
    (void)state;
    const int threads[] = {2, 3, 8};
    for (size_t t = 0; t < 3; t++) {
        soma__pool *pool;
        assert_int_equal(soma__pool_create(&pool, threads[t], NULL), SOMA_OK);
        int helped = 0;
        for (int round = 0; round < 10; round++) {
            unsigned char seen[4] = {0};
            job j = {.threads = threads[t], .seen = seen};
            usleep(round % 2 ? 5000 : 0);
            soma__pool_enter(pool);
            usleep(round % 3 ? 3000 : 0);
            soma__parallel(pool, 4, nap_block, &j);
            soma__pool_leave(pool);
            for (int i = 0; i < 4; i++)
                assert_int_equal(seen[i], 1);
            helped += atomic_load(&j.nap_worker);
        }
        /* Naps need no CPU, so workers take part however busy the machine is. */
        assert_true(helped > 0);
        soma__pool_destroy(pool);
    }
}

static void *run_in_turn(void *argument)
{
    soma__pool *pool = argument;
    for (int round = 0; round < 200; round++) {
        unsigned char seen[9] = {0};
        job j = {.threads = soma__pool_threads(pool), .seen = seen};
        soma__pool_enter(pool);
        soma__parallel(pool, 9, count_block, &j);
        soma__parallel(pool, 9, count_block, &j);
        soma__pool_leave(pool);
        for (int i = 0; i < 9; i++)
            if (seen[i] != 2)
                return pool;
    }
    return NULL;
}

static void runs_of_several_threads_take_turns(void **state)
{
    (void)state;
    const int threads[] = {1, 3};
    for (size_t t = 0; t < 2; t++) {
        soma__pool *pool;
        pthread_t runners[4];
        assert_int_equal(soma__pool_create(&pool, threads[t], NULL), SOMA_OK);
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&runners[i], NULL, run_in_turn, pool), 0);
        for (int i = 0; i < 4; i++) {
            void *bad;
            pthread_join(runners[i], &bad);
            assert_null(bad);
        }
        soma__pool_destroy(pool);
    }
}

static void no_pool_is_a_loop(void **state)
{
    (void)state;
    unsigned char seen[5] = {0};
    job j = {.threads = 1, .seen = seen};
    soma__pool_enter(NULL);
    soma__parallel(NULL, 5, count_block, &j);
    soma__pool_leave(NULL);
    for (int i = 0; i < 5; i++)
        assert_int_equal(seen[i], 1);
    assert_int_equal(soma__pool_threads(NULL), 1);
    soma__pool_destroy(NULL);
}

static void empty_block(void *context, int64_t block, int worker)
{
    (void)context;
    (void)block;
    (void)worker;
}

/* A pool that is destroyed at once, while its workers are still starting or just parking. */
static void short_lives(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++) {
        soma__pool *pool;
        assert_int_equal(soma__pool_create(&pool, 1 + i % 5, NULL), SOMA_OK);
        if (i % 2) {
            soma__pool_enter(pool);
            soma__parallel(pool, 3, empty_block, NULL);
            soma__pool_leave(pool);
        }
        usleep((unsigned)(i % 4) * 100);
        soma__pool_destroy(pool);
    }
}

static void thread_counts_are_checked(void **state)
{
    (void)state;
    soma__pool *pool;
    soma_error err = {0};
    assert_int_equal(soma__pool_create(&pool, -1, &err), SOMA_INVALID);
    assert_null(pool);
    assert_non_null(strstr(err.message, "threads is -1"));
    assert_int_equal(soma__pool_create(&pool, 1025, &err), SOMA_INVALID);

    const char *const bad[] = {"0", "-2", "1025", "two", "2x", " 2", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("SOMA_THREADS", bad[i], 1);
        err.message[0] = '\0';
        assert_int_equal(soma__pool_create(&pool, 0, &err), SOMA_INVALID);
        assert_non_null(strstr(err.message, "SOMA_THREADS="));
        assert_non_null(strstr(err.message, bad[i]));
    }
    setenv("SOMA_THREADS", "3", 1);
    assert_int_equal(soma__pool_create(&pool, 0, &err), SOMA_OK);
    assert_int_equal(soma__pool_threads(pool), 3);
    soma__pool_destroy(pool);
    assert_int_equal(soma__pool_create(&pool, 2, &err), SOMA_OK); /* the argument goes first */
    assert_int_equal(soma__pool_threads(pool), 2);
    soma__pool_destroy(pool);
    setenv("SOMA_THREADS", "", 1);
    assert_int_equal(soma__pool_create(&pool, 0, &err), SOMA_OK);
    assert_int_equal(soma__pool_threads(pool), soma__cpu_count());
    soma__pool_destroy(pool);
    unsetenv("SOMA_THREADS");
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* gcc's way to tell */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1 /* clang's */
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* With little address space left the system refuses a stack after some threads have started. The
 * sanitizers reserve terabytes of address space, so this one is for plain builds. */
#if !SANITIZED
static void refused_threads_are_cleaned_up(void **state)
{
    (void)state;
    struct rlimit before, tight;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    tight = before;
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld", &pages), 1);
    fclose(file);
    tight.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + ((rlim_t)64 << 20);
    assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
    soma__pool *pool;
    soma_error err = {0};
    soma_status status = soma__pool_create(&pool, 1024, &err);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(status, SOMA_MEMORY);
    assert_null(pool);
    assert_non_null(strstr(err.message, "of 1024 threads"));
}
#endif

static void write_text(const char *path, const char *text)
{
    assert_int_equal(soma__file_write(path, text, strlen(text), NULL), SOMA_OK);
}

static void quotas_are_read(void **state)
{
    (void)state;
    char folder[] = "/tmp/soma_cpus_XXXXXX", path[200], member[200];
    assert_non_null(mkdtemp(folder));
    snprintf(member, sizeof member, "%s/cgroup", folder);
    assert_int_equal(soma__cpu_quota(member, folder), 0); /* nothing there */

    snprintf(path, sizeof path, "%s/a/b", folder);
    assert_int_equal(soma__make_folder(path, NULL), SOMA_OK);
    write_text(member, "0::/a/b\n");
    assert_int_equal(soma__cpu_quota(member, folder), 0);
    snprintf(path, sizeof path, "%s/a/b/cpu.max", folder);
    write_text(path, "max 100000\n");
    assert_int_equal(soma__cpu_quota(member, folder), 0);
    write_text(path, "350000 100000\n");
    assert_int_equal(soma__cpu_quota(member, folder), 4); /* 3.5 rounded up */
    snprintf(path, sizeof path, "%s/a/cpu.max", folder);
    write_text(path, "150000 100000\n");
    assert_int_equal(soma__cpu_quota(member, folder), 2); /* the parent is tighter */
    write_text(path, "nonsense\n");
    assert_int_equal(soma__cpu_quota(member, folder), 4);

    /* A group of the host that this mount does not show: the root counts. */
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    write_text(path, "100000 100000\n");
    write_text(member, "0::/docker/0123\n");
    assert_int_equal(soma__cpu_quota(member, folder), 1);

    /* Version 1. */
    write_text(member, "12:pids:/x\n4:cpu,cpuacct:/y\nbroken\n");
    snprintf(path, sizeof path, "%s/cpu/y", folder);
    assert_int_equal(soma__make_folder(path, NULL), SOMA_OK);
    snprintf(path, sizeof path, "%s/cpu/y/cpu.cfs_period_us", folder);
    write_text(path, "100000\n");
    snprintf(path, sizeof path, "%s/cpu/y/cpu.cfs_quota_us", folder);
    write_text(path, "-1\n");
    assert_int_equal(soma__cpu_quota(member, folder), 0);
    write_text(path, "200001\n");
    assert_int_equal(soma__cpu_quota(member, folder), 3);

    assert_true(soma__cpu_count() >= 1);
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
}

/* With one CPU in the mask, every pool of several threads is crowded. */
static void affinity_counts(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &before))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(soma__cpu_count(), 1);
    soma__pool *pool;
    assert_int_equal(soma__pool_create(&pool, 4, NULL), SOMA_OK);
    soma__pool_enter(pool);
    double start = soma__seconds();
    for (int i = 0; i < 500; i++)
        soma__parallel(pool, 8, empty_block, NULL);
    double seconds = soma__seconds() - start;
    soma__pool_leave(pool);
    soma__pool_destroy(pool);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    /* Spinning through time slices would take 500 × 4 ms; a very loaded machine gets its share. */
    assert_true(seconds < 1.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_block_runs_once),
        cmocka_unit_test(many_small_jobs),
        cmocka_unit_test(nobody_waits_for_a_slow_thread),
        cmocka_unit_test(long_jobs_run_in_rounds),
        cmocka_unit_test(parked_threads_wake_up),
        cmocka_unit_test(runs_of_several_threads_take_turns),
        cmocka_unit_test(no_pool_is_a_loop),
        cmocka_unit_test(short_lives),
        cmocka_unit_test(thread_counts_are_checked),
#if !SANITIZED
        cmocka_unit_test(refused_threads_are_cleaned_up),
#endif
        cmocka_unit_test(quotas_are_read),
        cmocka_unit_test(affinity_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
