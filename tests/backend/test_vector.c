/* Every vector function against the C library in double, over all exponents of its operands: the
 * largest error in units in the last place is bounded, and special values are exact. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/fused.h"

#define COUNT 1000 /* no multiple of a vector */

static const float special[] = {0.0F,
                                -0.0F,
                                1.0F,
                                -1.0F,
                                0.5F,
                                -0.5F,
                                1.5F,
                                -1.5F,
                                2.5F,
                                INFINITY,
                                -INFINITY,
                                NAN,
                                0x1p-149F,
                                -0x1p-149F,
                                0x1p-126F,
                                0x1.fffffep127F,
                                -0x1.fffffep127F,
                                88.0F,
                                89.0F,
                                -87.0F,
                                -103.0F,
                                -104.5F,
                                0x1p23F,
                                -0x1p23F,
                                8388607.5F,
                                0x1p31F,
                                3.0F,
                                -2.0F,
                                0.49999997F};
#define SPECIALS (sizeof(special) / sizeof(special[0]))

/* Errors allowed beyond the exact ones: half a unit where IEEE rounds once. */
static double bound(soma__scalar code)
{
    switch (code) {
    case SOMA__SCALAR_EXP:
        return 1.2;
    case SOMA__SCALAR_LOG:
    case SOMA__SCALAR_SIN:
    case SOMA__SCALAR_COS:
    case SOMA__SCALAR_POW:
    case SOMA__SCALAR_EXP2:
    case SOMA__SCALAR_TAN:
    case SOMA__SCALAR_ASIN:
    case SOMA__SCALAR_ACOS:
    case SOMA__SCALAR_ATAN:
    case SOMA__SCALAR_CBRT:
        return 1;
    case SOMA__SCALAR_TANH:
    case SOMA__SCALAR_ERF:
    case SOMA__SCALAR_RSQRT:
        return 1.6;
    case SOMA__SCALAR_SIGMOID:
        return 2.5;
    case SOMA__SCALAR_LOG2:
    case SOMA__SCALAR_LOG10:
    case SOMA__SCALAR_SINH:
    case SOMA__SCALAR_COSH:
    case SOMA__SCALAR_ASINH:
    case SOMA__SCALAR_ACOSH:
    case SOMA__SCALAR_ATANH:
    case SOMA__SCALAR_ATAN2:
        return 1.8;
    case SOMA__SCALAR_EXPM1:
    case SOMA__SCALAR_LOG1P:
    case SOMA__SCALAR_ERFC:
        return 2.8;
    case SOMA__SCALAR_SOFTPLUS:
        return 3;
    default:
        return 0.5;
    }
}

static double ulps(float got, double want)
{
    float rounded = (float)want;
    if ((isnan(want) && isnan(got)) || rounded == got)
        return 0;
    if (isnan(want) || isnan(got) || isinf(rounded) || isinf(got))
        return INFINITY;
    int exponent;
    (void)frexpf(rounded, &exponent);
    return fabs((double)got - want) / ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

static const char *const names[] = {
#define NAME(name_, arity_, formula_, flops_) [SOMA__SCALAR_##name_] = #name_,
    SOMA__SCALAR_LIST(NAME)
#undef NAME
};

/* Any bits at all, now and then a special value. */
static float draw(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    if ((*state >> 24) % 8 == 0)
        return special[(*state >> 8) % SPECIALS];
    uint32_t bits = *state ^ *state >> 15;
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Rounds of COUNT operands. */
static void check_function(const soma__isa_table *isa, soma__scalar code)
{
    static float a[COUNT], b[COUNT], c[COUNT], d[COUNT + 1];
    double worst = 0;
    uint32_t state = 1;
    float at[3] = {0};
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < COUNT; i++) {
            a[i] = draw(&state);
            b[i] = draw(&state);
            c[i] = draw(&state);
            if (round % 2) { /* moderate values, where networks live */
                int unused;
                a[i] = frexpf(a[i], &unused) * (float)(round % 16);
                b[i] = frexpf(b[i], &unused) * 3;
            }
        }
        soma__strip sa = {a, 0, false}, sb = {b, 0, false}, sc = {c, 0, false};
        soma__strip sd = {d, 0, false};
        d[COUNT] = 12345;
        isa->fused->apply[code](1, COUNT, &sd, &sa, &sb, &sc);
        assert_true(d[COUNT] == 12345);
        for (int i = 0; i < COUNT; i++) {
            double e =
                ulps(d[i], soma__scalar_apply(code, (double)a[i], (double)b[i], (double)c[i]));
            if (e > worst) {
                worst = e;
                at[0] = a[i];
                at[1] = b[i];
                at[2] = d[i];
            }
        }
    }
    if (worst > bound(code))
        fail_msg("%s %s: %.3f ulp at %a, %a: got %a", isa->name, names[code], worst, (double)at[0],
                 (double)at[1], (double)at[2]);
    if (worst > 0.5)
        print_message("%-8s %-10s %.2f ulp\n", isa->name, names[code], worst);
}

static void functions(void **state)
{
    (void)state;
    for (const char *const *name = soma__cpu_isas(); *name; name++)
        for (int code = 1; code < SOMA__SCALAR_COUNT; code++)
            check_function(soma__isa_find(*name), (soma__scalar)code);
}

/* Splats, rows apart and rows that repeat. */
static void strips(void **state)
{
    (void)state;
    enum { ROWS = 5, N = 19, LD = 23 };
    for (const char *const *name = soma__cpu_isas(); *name; name++) {
        const soma__isa_table *isa = soma__isa_find(*name);
        float a[ROWS * LD], b[N], c[ROWS * SOMA__SPLAT], d[ROWS * LD];
        for (int i = 0; i < ROWS * LD; i++) {
            a[i] = (float)(i % 3 == 0);
            d[i] = -1;
        }
        for (int i = 0; i < N; i++)
            b[i] = (float)(100 + i);
        for (int i = 0; i < ROWS * SOMA__SPLAT; i++)
            c[i] = (float)(i / SOMA__SPLAT);
        soma__strip sa = {a, LD, false}, sb = {b, 0, false}, sc = {c, SOMA__SPLAT, true};
        soma__strip sd = {d, LD, false};
        isa->fused->apply[SOMA__SCALAR_WHERE](ROWS, N, &sd, &sa, &sb, &sc);
        for (int r = 0; r < ROWS; r++)
            for (int i = 0; i < LD; i++) {
                float want = a[r * LD + i] != 0 ? b[i < N ? i : 0] : (float)r;
                assert_true(d[r * LD + i] == (i < N ? want : -1));
            }
    }
}

/* Loads and stores of the other dtypes: as soma__load and soma__store. */
static void conversions(void **state)
{
    static const soma_dtype dtypes[] = {SOMA_U8, SOMA_I8, SOMA_I32, SOMA_BOOL, SOMA_BF16, SOMA_F16};
    (void)state;
    for (const char *const *name = soma__cpu_isas(); *name; name++) {
        const struct soma__isa_fused *isa = soma__isa_find(*name)->fused;
        for (size_t t = 0; t < sizeof(dtypes) / sizeof(dtypes[0]); t++) {
            float x[COUNT], back[COUNT];
            int32_t got[COUNT], want[COUNT]; /* wide enough for each dtype */
            uint32_t seed = 5;
            for (int i = 0; i < COUNT; i++) {
                x[i] = draw(&seed);
                if (i % 2)
                    x[i] = (float)(int32_t)(seed >> 20) * 0.25F - 200;
            }
            memset(got, 0, sizeof(got));
            memset(want, 0, sizeof(want));
            soma__strip from = {x, 0, false};
            isa->store(dtypes[t], got, 0, 1, COUNT, &from);
            for (int i = 0; i < COUNT; i++)
                soma__store(dtypes[t], want, i, (double)x[i]);
            for (int i = 0; i < COUNT; i++) {
                double a = soma__load(dtypes[t], got, i), b = soma__load(dtypes[t], want, i);
                if (a != b && !(isnan(a) && isnan(b)))
                    fail_msg("%s: %a stored as %s is %g, not %g", *name, (double)x[i],
                             soma_dtype_text(dtypes[t]), a, b);
            }
            isa->load(dtypes[t], got, COUNT, back);
            for (int i = 0; i < COUNT; i++) {
                float b = (float)soma__load(dtypes[t], got, i);
                assert_true(back[i] == b || (isnan(back[i]) && isnan(b)));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(functions), cmocka_unit_test(strips),
                                       cmocka_unit_test(conversions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
