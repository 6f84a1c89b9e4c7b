/* window.h: the sizes of sliding windows, shared by conv2d and the pools. */
#ifndef SOMA__WINDOW_H
#define SOMA__WINDOW_H

#include "graph/op.h"

/* For a window over the two image axes: makes pad[4] (top, left, bottom, right) explicit where
 * `*padding` (a soma_padding, then set to SOMA_PAD_EXPLICIT) asks for SAME or VALID, checks all
 * arguments, and gives the number of window positions in output[2]. `what` names the window in
 * messages ("window", "kernel"). Errors: SOMA_INVALID for bad options, SOMA_SHAPE for a window that
 * is larger than the padded input. */
soma_status soma__window_resolve(soma__rule *rule, const char *what, const int64_t input[2],
                                 const int64_t size[2], const int64_t stride[2],
                                 const int64_t dilation[2], int64_t pad[4], int64_t *padding,
                                 int64_t output[2]);

#endif
