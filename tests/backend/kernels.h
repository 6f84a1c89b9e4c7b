/* kernels.h: compares the fast kernels of every instruction set with an op's reference kernel, on
 * one, two and three threads. */
#ifndef SOMA__TEST_KERNELS_H
#define SOMA__TEST_KERNELS_H

#include "plan/backend.h"

#define MOST_VIEWS 16

/* A call under test. Inputs and outputs are made by add_input and add_output. */
typedef struct kernel_case {
    const char *op;
    const char *what; /* for messages */
    const void *attrs;
    const soma__program *program;
    soma__view in[MOST_VIEWS], out[MOST_VIEWS];
    int nin, nout;
    int in_place;     /* 1 + the input that output 0 lies in; 0: none */
    double tolerance; /* relative to max(1, |reference|); 0: the same bits */
} kernel_case;

/* Uniform numbers in [low, high) of any dtype, the same for the same case; returns the data. */
void *add_input(kernel_case *test, soma_dtype dtype, soma_shape shape, double low, double high);
void add_output(kernel_case *test, soma_dtype dtype, soma_shape shape);

/* Runs the case on all instruction sets and thread counts; fails the cmocka test at the first
 * difference, at a refusal, at bytes written outside of an output, or when the bits depend on the
 * number of threads or on whether the kernel's second operand was prepared. Frees the views. */
void check_kernel(kernel_case *test);

/* The kernel of an instruction set that takes the call; fails the test when there is none. */
const soma__kernel *find_kernel(const char *isa, const soma__call *call);

#endif
