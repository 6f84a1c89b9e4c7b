#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/median.h"

static void is_the_middle(void **state)
{
    double one[] = {4}, two[] = {3, -1}, five[] = {2, 9, -7, 2, 8};
    (void)state;
    assert_true(soma__median(one, 1) >= 4 && one[0] <= 4);
    assert_true(soma__median(two, 2) >= 3 && two[0] <= -1);
    assert_true(soma__median(five, 5) >= 2 && five[2] <= 2);
    for (int i = 1; i < 5; i++)
        assert_true(five[i - 1] <= five[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(is_the_middle)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
