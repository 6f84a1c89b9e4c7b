/* window.h: the sizes of sliding windows, shared by the convs and the pools. */
#ifndef SOMA__WINDOW_H
#define SOMA__WINDOW_H

#include "graph/op.h"

#define SOMA__WINDOW_DIMS 3

/* A window over `dims` image axes (at most SOMA__WINDOW_DIMS), one entry for each in the arrays;
 * pad holds the begins of all axes, then their ends (2-D: top, left, bottom, right). */
typedef struct soma__window {
    const char *what; /* in messages: "window", "kernel" */
    int dims;
    const int64_t *input, *size, *stride, *dilation;
    int64_t *pad;
    int64_t *padding; /* a soma_padding; becomes SOMA_PAD_EXPLICIT, and `pad` what it stood for */
    bool ceil;        /* a last window may reach beyond the padded input, if it starts inside of the
                         input or of the padding before it (PyTorch, ONNX) */
} soma__window;

/* Checks everything and gives the number of window positions along each axis. Errors: SOMA_INVALID
 * for bad options, SOMA_SHAPE for a window that is larger than the padded input. */
soma_status soma__window_resolve(soma__rule *rule, const soma__window *window, int64_t *output);
/* The cells of a window less the gaps of its dilation: (size - 1)·dilation + 1. */
static inline int64_t soma__window_extent(int64_t size, int64_t dilation)
{
    return (size - 1) * dilation + 1;
}
/* Checks sizes, strides, dilations and pads alone. */
soma_status soma__window_check(soma__rule *rule, const soma__window *window);
/* "3x3" */
#define SOMA__WINDOW_TEXT_SIZE 72
char *soma__window_text(const int64_t *size, int dims, char text[SOMA__WINDOW_TEXT_SIZE]);

#endif
