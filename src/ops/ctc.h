/* ctc.h: one sequence of a connectionist temporal classification, for rules and kernels.
 *
 * Between, before and after the n labels of a target stands a blank: 2n + 1 states, of which a path
 * starts in one of the first two, ends in one of the last two and at each step stays, goes on by
 * one, or skips a blank between two different labels. The loss is -log of the sum over all paths of
 * what their steps' labels are given. */
#ifndef SOMA__OPS_CTC_H
#define SOMA__OPS_CTC_H

#include "graph/op.h"

/* Inputs of the ops: x [B,T,K], targets [B,S], the steps and labels of each that count, both [B],
 * and of the gradient dy [B]. */

/* Bytes of scratch that a sequence takes. */
size_t soma__ctc_scratch(const soma__call *call, bool gradient);
/* The loss of sequence b. */
void soma__ctc_forward(const soma__call *call, int64_t b, double *scratch);
/* Its part of dx [B,T,K]. */
void soma__ctc_backward(const soma__call *call, int64_t b, double *scratch);

#endif
