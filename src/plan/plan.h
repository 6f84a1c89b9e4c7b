/* plan.h: inside view of plans and sessions. */
#ifndef SOMA__PLAN_H
#define SOMA__PLAN_H

#include "plan/core.h"

/* The form that a step's kernel wants its second operand in (prepare.c). */
typedef struct soma__prepared {
    soma_tensor *tensor; /* the operand; borrowed from the plan or its core */
    int32_t step;
    int slot;             /* of the variable; -1: a constant */
    size_t offset;        /* in prepared_data */
    atomic_ulong version; /* 1 + the tensor's writes when it was made; 0: not yet */
} soma__prepared;

/* A core and the tensors that stand for its variables. */
struct soma_plan {
    atomic_int references;
    soma_context *context; /* borrowed */
    soma__core *core;
    soma_tensor **variable; /* per slot; retained */
    bool cached;
    soma__prepared *prepared; /* NULL: the plan keeps no prepared forms */
    int prepared_count;
    char *prepared_data;
    size_t prepared_bytes;
    pthread_mutex_t prepare_lock; /* of making forms */
};

struct soma_session {
    soma_plan *plan;  /* retained; NULL while the session lies idle in the cache */
    soma__core *core; /* retained */
    char *arena;
    soma__call *call;    /* per step */
    soma__view *view;    /* of all calls */
    bool *idle;          /* per step: makes nothing (an array without elements) */
    const void **fed;    /* per input slot; NULL: not fed yet */
    soma_tensor *output; /* wrappers over the arena */
    /* Made by profiles. */
    soma_profile_row *row;
};

/* The core of a graph: from the context's cache, or compiled and put there. `*bound` (with
 * soma__free) holds the tensors of its variable slots, retained. */
soma_status soma__cache_core(soma__core **out, soma_tensor ***bound, bool *cached,
                             soma_context *context, const soma_var *outputs, int output_count,
                             const soma_update *updates, int update_count, soma_error *err);
/* A session that an earlier soma_eval of the same core left behind, or NULL. */
soma_session *soma__cache_take_session(soma_context *context, const soma__core *core);
/* Leaves a session for later, or destroys it. */
void soma__cache_give_session(soma_context *context, soma_session *session);

/* Makes the session run `plan`, which has the same core; unbind lets go of plan and inputs. */
void soma__session_bind(soma_session *session, soma_plan *plan);
void soma__session_unbind(soma_session *session);
/* Tells the calls where the prepared forms of their operands are, after making those that are not
 * of the operands' present state. Allocates nothing. */
void soma__prepared_use(soma_session *session);
void soma__prepared_free(soma_plan *plan);
/* Runs step `index`. */
void soma__session_step(const soma_session *session, int32_t index);
/* Points the calls at what was fed (an input that was not is an error) and at prepared forms. */
soma_status soma__session_ready(soma_session *session, soma_error *err);
/* Counts a write to each variable that the plan updates. */
void soma__session_wrote(const soma_session *session);

#endif
