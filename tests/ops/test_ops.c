/* test_ops.c: the op driver as tests. By hand: test_ops check|grad|support|perf [op]. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "driver.h"

static void support(void **state)
{
    (void)state;
    assert_int_equal(driver_support(NULL), 0);
    assert_true(driver_seen() > soma__op_count());
}

static void check(void **state)
{
    (void)state;
    assert_int_equal(driver_check(NULL), 0);
    assert_true(driver_seen() > soma__op_count() / 2);
}

static void grad(void **state)
{
    (void)state;
    assert_int_equal(driver_grad(NULL), 0);
    assert_true(driver_seen() > soma__op_count() / 2);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const char *op);
    } modes[] = {{"support", driver_support},
                 {"check", driver_check},
                 {"grad", driver_grad},
                 {"perf", driver_perf},
                 {"tested", driver_tested}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(support),
        cmocka_unit_test(check),
        cmocka_unit_test(grad),
    };
    if (argc < 2)
        return cmocka_run_group_tests(tests, NULL, NULL);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(argv[1], modes[i].name) == 0) {
            int faults = modes[i].run(argc > 2 ? argv[2] : NULL);
            if (modes[i].run != driver_tested)
                printf("%s: %d samples, %d faults\n", argv[1], driver_seen(), faults);
            return faults != 0;
        }
    fprintf(stderr, "usage: %s [support|check|grad|perf|tested [op]]\n", argv[0]);
    return 2;
}
