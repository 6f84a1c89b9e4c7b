/* crf.h: one sequence of a linear-chain conditional random field, for rules and kernels. */
#ifndef SOMA__OPS_CRF_H
#define SOMA__OPS_CRF_H

#include "graph/op.h"

/* Inputs of the ops. `scores` [B,T+K+2,K] hold all that a chain is scored by: of each step the K
 * tags; of each tag the K that may follow; of the first step's tag; of the last one's. Then tags
 * [B,T] (not of crf_decode), lengths [B], and of the gradient dy [B]. */

/* Bytes of scratch that a sequence takes. */
size_t soma__crf_scratch(const soma__call *call);
/* The loss of sequence b; its part of the gradient; its best tags. */
void soma__crf_loss(const soma__call *call, int64_t b, double *scratch);
void soma__crf_grad(const soma__call *call, int64_t b, double *scratch);
void soma__crf_decode(const soma__call *call, int64_t b, double *scratch);

#endif
