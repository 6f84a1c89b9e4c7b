/* plan.h: inside view of plans and sessions. */
#ifndef SOMA__PLAN_H
#define SOMA__PLAN_H

#include "plan/core.h"

/* A core and the tensors that stand for its variables. */
struct soma_plan {
    atomic_int references;
    soma_context *context; /* borrowed */
    soma__core *core;
    soma_tensor **variable; /* per slot; retained */
    bool cached;
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
/* Runs step `index`. */
void soma__session_step(const soma_session *session, int32_t index);
/* Points the calls at what was fed; an input that was not is an error. */
soma_status soma__session_ready(soma_session *session, soma_error *err);

#endif
