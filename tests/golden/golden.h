/* golden.h: results and gradients of ops against PyTorch's (README.md here).
 *
 * A group of ops has a file <group>.safetensors, written by scripts/make-golden.py, and a test
 * test_golden_<group>.c: a table with one row for each case of the file. */
#ifndef SOMA__GOLDEN_H
#define SOMA__GOLDEN_H

#include "soma/soma.h"

typedef struct golden {
    const char *name;   /* prefix in the file */
    const char *inputs; /* "x w" */
    soma_var (*build)(const soma_var *in);
} golden;

/* A row's function: `y_` may use in[0], in[1], … */
#define GOLDEN(name_, y_)                                                                          \
    static soma_var name_(const soma_var *in)                                                      \
    {                                                                                              \
        return y_;                                                                                 \
    }

/* The main function of a test: every case of tests/golden/<file> has a row and every row a case;
 * values and gradients agree, with the reference kernels and with the fast ones. */
int golden_run(const char *file, const golden *cases, size_t count);

#endif
