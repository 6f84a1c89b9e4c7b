/* recurrent.h: the cells of recurrent networks, a run of units of one sequence at one step. */
#ifndef SOMA__CPU_RECURRENT_H
#define SOMA__CPU_RECURRENT_H

#include "backend/cpu/isa.h"

/* Arrays lie at their first unit of the run; from part to part (gate to gate) it is `units`, of `a`
 * a_step. */
typedef struct soma__cell {
    int64_t count, units;
    const float *x, *bias;
    const float *a; /* products of the state */
    int64_t a_step;
    const float *h, *c; /* the state before */
    float *y;           /* the result */
    float *rh;          /* gru that resets first: r h */
} soma__cell;

typedef struct soma__cell_back {
    int64_t count, units;
    const float *y, *h, *c; /* the result, and the state before */
    const float *dy, *dh;   /* arriving from above, and from the step after */
    float *dc;              /* of lstm: from the step after, then to the one before */
    float *dx;              /* the gradients of the gates */
    float *next;            /* what goes to the state before, but for the products */
    const float *drh;       /* gru that resets first, second half: gradient of r h */
} soma__cell_back;

struct soma__isa_recurrent {
    void (*rnn)(const soma__cell *cell, bool relu);
    void (*lstm)(const soma__cell *cell);
    /* What the state's product needs of a gru: r and z (a of two gates); rh unless NULL. */
    void (*gru_gates)(const soma__cell *cell);
    /* Then n and h; a of the third gate alone. `first`: the state was reset before its product. */
    void (*gru)(const soma__cell *cell, bool first);

    void (*rnn_back)(const soma__cell_back *cell, bool relu);
    void (*lstm_back)(const soma__cell_back *cell);
    void (*gru_back)(const soma__cell_back *cell, bool first);
    /* The rest of a gru that resets first, once drh is known. */
    void (*gru_back_reset)(const soma__cell_back *cell);
};

#endif
