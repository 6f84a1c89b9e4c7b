/* support.h: contexts and comparisons for the tests of plans. */
#ifndef TESTS_PLAN_SUPPORT_H
#define TESTS_PLAN_SUPPORT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plan/plan.h"
#include "soma/ops.h"

#define ok(expression_)                                                                            \
    do {                                                                                           \
        soma_error error_ = {0};                                                                   \
        soma_error *err = &error_;                                                                 \
        if ((expression_) != SOMA_OK)                                                              \
            fail_msg("%s: %s", #expression_, error_.message);                                      \
    } while (0)

/* A context of reference kernels: the witness. */
soma_context *reference_context(void);
/* A context whose backend fuses and takes epilogues through plain interpreters, so that what plans
 * do is tested apart from the fast kernels. */
soma_context *plain_context(void);
extern int prepared_forms;        /* made by that backend so far */
soma_context *fast_context(void); /* the best this machine has */

soma_var f32_variable(soma_graph *graph, const char *name, soma_tensor *tensor);
/* A tensor of small numbers that depend on `seed`. */
soma_tensor *numbers(soma_shape shape, int seed);
soma_tensor *filled(soma_shape shape, double value);

/* The outputs are the same (to 1e-4 relative) in `context` as with reference kernels. */
void assert_same(soma_context *context, const soma_var *outputs, int count);
/* Steps of the plan of `outputs`. */
int64_t steps_of(soma_context *context, const soma_var *outputs, int count);
void assert_values(const soma_tensor *tensor, const double *wanted, int count);

#endif
