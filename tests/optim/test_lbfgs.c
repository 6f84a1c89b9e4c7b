/* L-BFGS: against PyTorch's (tests/golden/README.md), on a hard valley, and its faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/safetensors.h"
#include "soma/soma.h"

#define assert_ok(expression_, error_)                                                             \
    do {                                                                                           \
        soma_status status_ok_ = (expression_);                                                    \
        if (status_ok_ != SOMA_OK)                                                                 \
            fail_msg("%s: %d: %s", #expression_, status_ok_, (error_).message);                    \
    } while (0)

#define STEPS 6
static const char *const keys[] = {"w", "b"};
static soma__archive golden;

static int open_golden(void **state)
{
    soma_error err = {0};
    (void)state;
    if (soma__archive_read(&golden, SOMA_TEST_FOLDER "/golden/lbfgs.safetensors", &err))
        fprintf(stderr, "%s\n", err.message);
    return err.code != SOMA_OK;
}

static int close_golden(void **state)
{
    (void)state;
    soma__archive_clear(&golden);
    return 0;
}

static soma_tensor *stored(const char *name, const char *part)
{
    char full[96];
    snprintf(full, sizeof full, "%s/%s", name, part);
    soma_tensor *tensor = soma__archive_find(&golden, full);
    if (!tensor)
        fail_msg("the golden file lacks '%s'", full);
    return tensor;
}

/* Sum over neighbours x, y of steep (y - x²)² + flat (1 - x)². */
typedef struct valley {
    soma_tensor *p[2], *g[2];
    double steep, flat;
    int calls, fail_at, lie_at; /* 0: never */
} valley;

static double *at(soma_tensor *const *tensors, int index, double *some)
{
    int first = (int)soma_tensor_count(tensors[0]);
    *some = index < first ? soma_tensor_get(tensors[0], index)
                          : soma_tensor_get(tensors[1], index - first);
    return some;
}

static soma_status evaluate(void *user, double *loss, soma_error *err)
{
    valley *v = user;
    int first = (int)soma_tensor_count(v->p[0]), n = first + (int)soma_tensor_count(v->p[1]);
    double x, y, g[16] = {0};
    if (++v->calls == v->fail_at) {
        snprintf(err->message, sizeof err->message, "told to");
        return err->code = SOMA_CANCELLED;
    }
    *loss = 0;
    for (int i = 0; i + 1 < n; i++) {
        at(v->p, i, &x);
        at(v->p, i + 1, &y);
        double off = y - x * x;
        *loss += v->steep * off * off + v->flat * (1 - x) * (1 - x);
        g[i] += -4 * v->steep * off * x - 2 * v->flat * (1 - x);
        g[i + 1] += 2 * v->steep * off;
    }
    for (int i = 0; i < n; i++)
        soma_tensor_set(v->g[i >= first], i < first ? i : i - first, g[i]);

    if (v->calls == v->lie_at)
        *loss = (double)NAN;
    return SOMA_OK;
}

static valley begin(double steep, double flat)
{
    soma_error err = {0};
    valley v = {.steep = steep, .flat = flat};
    for (int i = 0; i < 2; i++) {
        assert_ok(soma_tensor_cast(&v.p[i], stored("initial", keys[i]), SOMA_F32, &err), err);
        assert_ok(soma_tensor_create(&v.g[i], SOMA_F32, *soma_tensor_shape(v.p[i]), &err), err);
    }
    return v;
}

static void end(valley *v)
{
    for (int i = 0; i < 2; i++) {
        soma_tensor_release(v->p[i]);
        soma_tensor_release(v->g[i]);
    }
}

static void agrees_with_pytorch(void **state)
{
    static const struct {
        const char *name;
        soma_optimizer_options options;
    } cases[] = {
        {"plain", {.kind = SOMA_LBFGS, .iterations = 4}},
        {"history", {.kind = SOMA_LBFGS, .iterations = 4, .history = 2}},
        {"rate", {.kind = SOMA_LBFGS, .iterations = 5, .rate = 0.1}},
        {"evaluations", {.kind = SOMA_LBFGS, .iterations = 10, .evaluations = 3}},
        {"decay", {.kind = SOMA_LBFGS, .iterations = 6, .weight_decay = 0.1}},
    };
    soma_error err = {0};
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        valley v = begin(1, 0.5);
        soma_lbfgs *lbfgs;
        assert_ok(soma_lbfgs_create(&lbfgs, &cases[c].options, v.p, v.g, 2, &err), err);
        for (int64_t step = 0; step < STEPS; step++) {
            double loss, want = soma_tensor_get(stored(cases[c].name, "loss"), step);
            assert_ok(soma_lbfgs_step(lbfgs, evaluate, &v, &loss, &err), err);
            if (!(fabs(loss - want) <= 1e-4 * (1e-3 + want)))
                fail_msg("%s, step %d: loss %.9g, PyTorch %.9g", cases[c].name, (int)step, loss,
                         want);
            for (int i = 0; i < 2; i++) {
                const soma_tensor *p = stored(cases[c].name, i ? "p/b" : "p/w");
                int64_t count = soma_tensor_count(v.p[i]);
                for (int64_t k = 0; k < count; k++) {
                    double got = soma_tensor_get(v.p[i], k);
                    want = soma_tensor_get(p, step * count + k);
                    if (!(fabs(got - want) <= 5e-5 * (1 + fabs(want))))
                        fail_msg("%s, step %d, %s[%d]: %.9g, PyTorch %.9g", cases[c].name,
                                 (int)step, keys[i], (int)k, got, want);
                }
            }
        }
        soma_lbfgs_destroy(lbfgs);
        end(&v);
    }
}

/* Rosenbrock's valley in 12 dimensions. */
static void gets_through_a_valley(void **state)
{
    soma_error err = {0};
    valley v = begin(100, 1);
    soma_lbfgs *lbfgs;
    double loss, x;
    (void)state;
    for (int k = 0; k < 12; k++)
        soma_tensor_set(v.p[k >= 8], k % 8, 0.5);
    assert_ok(soma_lbfgs_create(&lbfgs, NULL, v.p, v.g, 2, &err), err);
    for (int i = 0; i < 15; i++)
        assert_ok(soma_lbfgs_step(lbfgs, evaluate, &v, &loss, &err), err);
    for (int k = 0; k < 12; k++)
        if (!(fabs(*at(v.p, k, &x) - 1) < 1e-3))
            fail_msg("x[%d] = %g", k, x);
    assert_true(loss < 1e-6);
    assert_true(v.calls < 400);
    soma_lbfgs_destroy(lbfgs);
    end(&v);
}

static void bears_faults(void **state)
{
    soma_error err = {0};
    soma_lbfgs *lbfgs;
    double loss, x, y;
    (void)state;
    /* A loss that is no number within the search: it turns back and goes on. */
    valley v = begin(1, 0.5);
    v.lie_at = 2;
    assert_ok(soma_lbfgs_create(&lbfgs, NULL, v.p, v.g, 2, &err), err);
    assert_ok(soma_lbfgs_step(lbfgs, evaluate, &v, &loss, &err), err);
    double first = loss;
    assert_ok(soma_lbfgs_step(lbfgs, evaluate, &v, &loss, &err), err);
    assert_true(isfinite(loss) && loss < first);
    /* Where it begins: an error, and nothing moves. */
    v.lie_at = v.calls + 1;
    at(v.p, 3, &x);
    assert_int_equal(soma_lbfgs_step(lbfgs, evaluate, &v, &loss, &err), SOMA_NUMERIC);
    assert_true(fabs(*at(v.p, 3, &y) - x) <= 0);
    soma_lbfgs_destroy(lbfgs);
    end(&v);
    /* What the function returns comes back; the parameters are those before the iteration. */
    v = begin(1, 0.5);
    v.fail_at = 2;
    assert_ok(soma_lbfgs_create(&lbfgs, NULL, v.p, v.g, 2, &err), err);
    at(v.p, 3, &x);
    assert_int_equal(soma_lbfgs_step(lbfgs, evaluate, &v, &loss, &err), SOMA_CANCELLED);
    assert_string_equal(err.message, "told to");
    assert_true(fabs(*at(v.p, 3, &y) - x) <= 0);
    soma_lbfgs_destroy(lbfgs);
    end(&v);
}

static void refuses(void **state)
{
    static const soma_optimizer_options cases[] = {
        {.kind = SOMA_ADAM},
        {.kind = SOMA_LBFGS, .clip_norm = 1},
        {.kind = SOMA_LBFGS, .ema = 0.9},
        {.kind = SOMA_LBFGS, .history = -1},
        {.kind = SOMA_LBFGS, .history = 100000},
        {.kind = SOMA_LBFGS, .rate = -1},
        {.kind = SOMA_LBFGS, .schedule = SOMA_SCHEDULE_COSINE}};
    valley v = begin(1, 1);
    soma_error err = {0};
    soma_lbfgs *lbfgs;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(soma_lbfgs_create(&lbfgs, &cases[i], v.p, v.g, 2, &err), SOMA_INVALID);
    assert_int_equal(soma_lbfgs_create(&lbfgs, NULL, v.p, v.g, 0, &err), SOMA_INVALID);
    soma_tensor *wrong[] = {v.g[1], v.g[0]};
    assert_int_equal(soma_lbfgs_create(&lbfgs, NULL, v.p, wrong, 2, &err), SOMA_INVALID);
    end(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_pytorch),
        cmocka_unit_test(gets_through_a_valley),
        cmocka_unit_test(bears_faults),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests_name("lbfgs", tests, open_golden, close_golden);
}
