/* cpu.c: the CPU backend's table of kernels, one for each instruction set, and the choice among
 * them. The only state is the result of the detection, made once. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "backend/cpu/gemm.h"
#include "base/file.h"
#include "base/mem.h"

/* --- instruction sets ---------------------------------------------------------------------------
 */

/* name, f32 lanes; best last. */
#if defined(__x86_64__)
#define ISAS(X) X(baseline, 4) X(avx2, 8) X(avx512, 16) X(avx512_bf16, 16)
#else
#define ISAS(X) X(baseline, 4)
#endif

#define DECLARE(family_, isa_) extern const struct soma__isa_##family_ soma__isa_##family_##_##isa_;
#define DECLARE_BASELINE(family_) DECLARE(family_, baseline)
SOMA__ISA_FAMILIES(DECLARE_BASELINE)
#if defined(__x86_64__)
#define DECLARE_AVX2(family_) DECLARE(family_, avx2)
#define DECLARE_AVX512(family_) DECLARE(family_, avx512)
SOMA__ISA_FAMILIES(DECLARE_AVX2)
#define DECLARE_AVX512_BF16(family_) DECLARE(family_, avx512_bf16)
SOMA__ISA_FAMILIES(DECLARE_AVX512)
SOMA__ISA_FAMILIES(DECLARE_AVX512_BF16)
#endif

#define MEMBER_baseline(family_) .family_ = &soma__isa_##family_##_baseline,
#define MEMBER_avx2(family_) .family_ = &soma__isa_##family_##_avx2,
#define MEMBER_avx512(family_) .family_ = &soma__isa_##family_##_avx512,
#define MEMBER_avx512_bf16(family_) .family_ = &soma__isa_##family_##_avx512_bf16,

/* The table, and a soma__kernel for each row of kernels.inc: a plan calls kernels without telling
 * them the instruction set, so each row gets small functions that do. */
#define ISA_TABLE(isa_, width_)                                                                    \
    static const soma__isa_table table_##isa_ = {                                                  \
        .name = #isa_, .width = width_, SOMA__ISA_FAMILIES(MEMBER_##isa_)};
ISAS(ISA_TABLE)

#define FORWARD(isa_, kernel_)                                                                     \
    static size_t scratch_##kernel_##_##isa_(const soma__call *call, int threads)                  \
    {                                                                                              \
        return soma__scratch_##kernel_(call, &table_##isa_, threads);                              \
    }                                                                                              \
    static void run_##kernel_##_##isa_(const soma__call *call)                                     \
    {                                                                                              \
        soma__run_##kernel_(call, &table_##isa_);                                                  \
    }
#define FORWARD_PREPARES(isa_, kernel_)                                                            \
    FORWARD(isa_, kernel_)                                                                         \
    static size_t prepared_##kernel_##_##isa_(const soma__call *call)                              \
    {                                                                                              \
        return soma__prepared_##kernel_(call, &table_##isa_);                                      \
    }                                                                                              \
    static void prepare_##kernel_##_##isa_(const soma__call *call, void *to)                       \
    {                                                                                              \
        soma__prepare_##kernel_(call, &table_##isa_, to);                                          \
    }
#define ROW(isa_, op_, kernel_, in_place_, epilogue_, ...)                                         \
    {.op = op_,                                                                                    \
     .name = #kernel_ " " #isa_,                                                                   \
     .in_place = in_place_,                                                                        \
     .epilogue = epilogue_,                                                                        \
     .refuses = soma__refuses_##kernel_,                                                           \
     .scratch = scratch_##kernel_##_##isa_,                                                        \
     .run = run_##kernel_##_##isa_,                                                                \
     __VA_ARGS__},
#define ROW_PREPARES(isa_, op_, kernel_, in_place_, epilogue_)                                     \
    ROW(isa_, op_, kernel_, in_place_, epilogue_, .prepared = prepared_##kernel_##_##isa_,         \
        .prepare = prepare_##kernel_##_##isa_)

#define SOMA__KERNEL(op_, kernel_, in_place_, epilogue_) FORWARD(baseline, kernel_)
#define SOMA__KERNEL_PREPARES(op_, kernel_, in_place_, epilogue_)                                  \
    FORWARD_PREPARES(baseline, kernel_)
#include "backend/cpu/kernels.inc"
static const soma__kernel kernels_baseline[] = {
#define SOMA__KERNEL(op_, kernel_, in_place_, epilogue_)                                           \
    ROW(baseline, op_, kernel_, in_place_, epilogue_, .prepared = NULL)
#define SOMA__KERNEL_PREPARES(op_, kernel_, in_place_, epilogue_)                                  \
    ROW_PREPARES(baseline, op_, kernel_, in_place_, epilogue_)
#include "backend/cpu/kernels.inc"
};

#if defined(__x86_64__)
#define SOMA__KERNEL(op_, kernel_, in_place_, epilogue_) FORWARD(avx2, kernel_)
#define SOMA__KERNEL_PREPARES(op_, kernel_, in_place_, epilogue_) FORWARD_PREPARES(avx2, kernel_)
#include "backend/cpu/kernels.inc"
static const soma__kernel kernels_avx2[] = {
#define SOMA__KERNEL(op_, kernel_, in_place_, epilogue_)                                           \
    ROW(avx2, op_, kernel_, in_place_, epilogue_, .prepared = NULL)
#define SOMA__KERNEL_PREPARES(op_, kernel_, in_place_, epilogue_)                                  \
    ROW_PREPARES(avx2, op_, kernel_, in_place_, epilogue_)
#include "backend/cpu/kernels.inc"
};

#define SOMA__KERNEL(op_, kernel_, in_place_, epilogue_) FORWARD(avx512, kernel_)
#define SOMA__KERNEL_PREPARES(op_, kernel_, in_place_, epilogue_) FORWARD_PREPARES(avx512, kernel_)
#include "backend/cpu/kernels.inc"
static const soma__kernel kernels_avx512[] = {
#define SOMA__KERNEL(op_, kernel_, in_place_, epilogue_)                                           \
    ROW(avx512, op_, kernel_, in_place_, epilogue_, .prepared = NULL)
#define SOMA__KERNEL_PREPARES(op_, kernel_, in_place_, epilogue_)                                  \
    ROW_PREPARES(avx512, op_, kernel_, in_place_, epilogue_)
#include "backend/cpu/kernels.inc"
};

#define SOMA__KERNEL(op_, kernel_, in_place_, epilogue_) FORWARD(avx512_bf16, kernel_)
#define SOMA__KERNEL_PREPARES(op_, kernel_, in_place_, epilogue_)                                  \
    FORWARD_PREPARES(avx512_bf16, kernel_)
#include "backend/cpu/kernels.inc"
static const soma__kernel kernels_avx512_bf16[] = {
#define SOMA__KERNEL(op_, kernel_, in_place_, epilogue_)                                           \
    ROW(avx512_bf16, op_, kernel_, in_place_, epilogue_, .prepared = NULL)
#define SOMA__KERNEL_PREPARES(op_, kernel_, in_place_, epilogue_)                                  \
    ROW_PREPARES(avx512_bf16, op_, kernel_, in_place_, epilogue_)
#include "backend/cpu/kernels.inc"
};
#endif

/* --- measuring ----------------------------------------------------------------------------------
 */

/* One round of a measurement takes well under a millisecond, so that of the many that are made some
 * are not disturbed by other programs. */
#define BURN_ROUNDS 25000
#define ARRAY_BYTES ((size_t)64 << 20) /* at least; and twice the last cache */
#define MOST_CACHE (1 << 30)           /* that is believed */
#define CHUNK_FLOATS 65536
#define ROUND_BYTES ((size_t)8 << 20)
#define MEASURE_SECONDS 0.08

typedef struct probe {
    const struct soma__isa_gemm *gemm;
    const float *array; /* what the next round sweeps */
    double *flops;      /* a cache line for each worker */
    float *sink;
} probe;

static void burn_block(void *context, int64_t block, int worker)
{
    probe *p = context;
    (void)block;
    p->flops[worker * 8] += p->gemm->burn(BURN_ROUNDS, &p->sink[worker * 16]);
}

static void sum_block(void *context, int64_t block, int worker)
{
    probe *p = context;
    p->sink[worker * 16] += p->gemm->sum(p->array + block * CHUNK_FLOATS, CHUNK_FLOATS);
}

/* Swept from end to end, it has left every cache when it is swept again. */
static size_t array_bytes(void)
{
    size_t bytes = ARRAY_BYTES;
#ifdef _SC_LEVEL3_CACHE_SIZE
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    if (cache > 0 && cache < MOST_CACHE && 2 * (size_t)cache > bytes)
        bytes = 2 * (size_t)cache;
#endif
    return bytes / ROUND_BYTES * ROUND_BYTES;
}

static double best_flops(probe *p, soma__pool *pool)
{
    const int threads = soma__pool_threads(pool);
    double best = 0;
    for (double start = soma__seconds(); soma__seconds() - start < MEASURE_SECONDS;) {
        memset(p->flops, 0, (size_t)threads * 64);
        double begin = soma__seconds(), total = 0;
        soma__parallel(pool, (int64_t)threads * 8, burn_block, p);
        double seconds = soma__seconds() - begin;
        for (int i = 0; i < threads; i++)
            total += p->flops[i * 8];
        if (total / seconds > best)
            best = total / seconds;
    }
    return best;
}

static double best_bandwidth(probe *p, soma__pool *pool, const float *array, size_t bytes)
{
    const int64_t chunks = (int64_t)(ROUND_BYTES / (CHUNK_FLOATS * sizeof(float)));
    double best = 0;
    size_t at = 0;
    for (double start = soma__seconds(); soma__seconds() - start < MEASURE_SECONDS;) {
        p->array = array + at / sizeof(float);
        double begin = soma__seconds();
        soma__parallel(pool, chunks, sum_block, p);
        double rate = (double)ROUND_BYTES / (soma__seconds() - begin);
        if (rate > best)
            best = rate;
        at = at + 2 * ROUND_BYTES <= bytes ? at + ROUND_BYTES : 0;
    }
    return best;
}

/* The best of many rounds, since other programs may take the CPUs for a while. */
static soma_status measure(const soma__isa_table *isa, soma__pool *pool, soma_machine *out,
                           soma_error *err)
{
    const int threads = soma__pool_threads(pool);
    const size_t bytes = array_bytes();
    float *array = soma__aligned(bytes);
    double *flops = soma__aligned((size_t)threads * 64);
    float *sink = soma__aligned((size_t)threads * 64);
    soma_status status = SOMA_OK;
    if (!array || !flops || !sink) {
        status = soma__fail(err, SOMA_MEMORY, "out of memory while measuring the machine");
    } else {
        memset(array, 0, bytes);
        memset(sink, 0, (size_t)threads * 64);
        probe p = {.gemm = isa->gemm, .flops = flops, .sink = sink};
        soma__pool_enter(pool);
        out->flops = best_flops(&p, pool);
        out->bandwidth = best_bandwidth(&p, pool, array, bytes);
        soma__pool_leave(pool);
    }
    soma__free(array);
    soma__free(flops);
    soma__free(sink);
    return status;
}

#define BACKEND(isa_, width_)                                                                      \
    static soma_status measure_##isa_(soma__pool *pool, soma_machine *out, soma_error *err)        \
    {                                                                                              \
        return measure(&table_##isa_, pool, out, err);                                             \
    }                                                                                              \
    static const soma__backend backend_##isa_ = {                                                  \
        .name = "cpu",                                                                             \
        .isa = #isa_,                                                                              \
        .kernels = kernels_##isa_,                                                                 \
        .count = (int)(sizeof kernels_##isa_ / sizeof *kernels_##isa_),                            \
        .measure = measure_##isa_,                                                                 \
    };
ISAS(BACKEND)

/* --- detection ----------------------------------------------------------------------------------
 */

static bool runs_baseline(void)
{
    return true;
}

#if defined(__x86_64__)
/* The registers that the system saves on a switch of threads: bits of XCR0. A processor may well
 * have AVX-512 under a system, or a virtual machine, that does not keep its registers. */
static uint32_t saved_registers(void)
{
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    __asm__ __volatile__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}

/* Asked for by hand: not all compilers know "f16c" as a name. */
static bool has_f16c(void)
{
    uint32_t a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static bool runs_avx2(void)
{
    const uint32_t ymm = 0x06;
    return (saved_registers() & ymm) == ymm && __builtin_cpu_supports("avx2") &&
           __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2") && has_f16c();
}

static bool runs_avx512(void)
{
    const uint32_t zmm = 0xe6;
    return runs_avx2() && (saved_registers() & zmm) == zmm && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

/* Products of bf16 and of bytes; by hand, as above. */
static bool runs_avx512_bf16(void)
{
    uint32_t a, b, c, d;
    if (!runs_avx512() || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(c & 1u << 11)) /* VNNI */
        return false;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 5);
}
#endif

/* Indexes as in ISAS. */
static const struct {
    const soma__isa_table *table;
    const soma__backend *backend;
    bool (*runs)(void);
} isas[] = {
#define ISA_ENTRY(isa_, width_) {&table_##isa_, &backend_##isa_, runs_##isa_},
    ISAS(ISA_ENTRY)};
#define ISA_COUNT (sizeof isas / sizeof *isas)

static pthread_once_t detected = PTHREAD_ONCE_INIT;
static const char *names[ISA_COUNT + 1]; /* those that run here, best last */
static size_t best;

static void detect(void)
{
    size_t count = 0;
    for (size_t i = 0; i < ISA_COUNT; i++)
        if (isas[i].runs()) {
            names[count++] = isas[i].table->name;
            best = i;
        }
}

/* Index in `isas`, or ISA_COUNT. */
static size_t find(const char *name)
{
    pthread_once(&detected, detect);
    if (!name)
        return best;
    for (size_t i = 0; i < ISA_COUNT; i++)
        if (strcmp(isas[i].table->name, name) == 0 && isas[i].runs())
            return i;
    return ISA_COUNT;
}

const soma__isa_table *soma__isa_find(const char *name)
{
    size_t i = find(name);
    return i < ISA_COUNT ? isas[i].table : NULL;
}

const soma__backend *soma__cpu_backend(const char *isa)
{
    size_t i = find(isa);
    return i < ISA_COUNT ? isas[i].backend : NULL;
}

const char *const *soma__cpu_isas(void)
{
    pthread_once(&detected, detect);
    return names;
}
