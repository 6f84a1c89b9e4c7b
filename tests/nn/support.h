/* support.h: what the tests of layers and models share. */
#ifndef SOMA__TEST_NN_SUPPORT_H
#define SOMA__TEST_NN_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "soma/nn.h"

#define assert_ok(expression_, error_)                                                             \
    do {                                                                                           \
        soma_status status_ok_ = (expression_);                                                    \
        if (status_ok_ != SOMA_OK)                                                                 \
            fail_msg("%s: %d: %s", #expression_, status_ok_, (error_).message);                    \
    } while (0)

/* Group setup and teardown: a context of one thread. */
extern soma_context *context;
int open_context(void **state);
int close_context(void **state);

/* The same with a file of tests/golden, which holds PyTorch's values. */
int open_golden_file(void **state, const char *file);
int close_golden(void **state);
/* A tensor of that file; NULL: it has none of this name. */
soma_tensor *golden_tensor(const char *name);
/* Each element of `got` must be as `want` has it, to tolerance · (1 + |want|). */
void expect_close(const char *of, const char *what, const soma_tensor *got, const soma_tensor *want,
                  double tolerance);

/* A model of these layers (taken) that must come into being. */
soma_model *model_of(soma_layer *layer, soma_shape input, soma_task task);

/* The layers must be refused with `code` and a message that holds `part`. */
void expect_refusal(soma_layer *layer, soma_shape input, soma_task task, soma_status code,
                    const char *part);

/* Numbers from -1 to 1 that depend on `seed`. */
soma_tensor *noise(soma_shape shape, uint64_t seed);
soma_tensor *tensor_of(soma_shape shape, const float *values);

/* A path in a folder of this process' own under $TMPDIR; the string is static. */
const char *scratch(const char *name);

void assert_contains(const char *text, const char *part);

#endif
