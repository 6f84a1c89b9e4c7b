/* soma/custom.h: layers of your own, registered with a context.
 *
 * A kind of layer is a name, a struct of options with a table of its fields, and a function that
 * builds its graph. From then on recipes and model files that are read with the context know it by
 * its name, its options are checked like any layer's, and summaries, saving and training treat it
 * as one of the library's. examples/custom_layer.c is a whole program.
 */
#ifndef SOMA_CUSTOM_H
#define SOMA_CUSTOM_H

#include "nn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum soma_field_kind {
    SOMA_FIELD_INT,   /* int64_t */
    SOMA_FIELD_FLOAT, /* double */
    SOMA_FIELD_BOOL,  /* bool */
    SOMA_FIELD_TEXT,  /* const char *; the layer keeps a copy */
    SOMA_FIELD_ENUM,  /* int, an index into `choices` */
    SOMA_FIELD_INTS,  /* int64_t[count] */
} soma_field_kind;

/* One option. Zero in the struct means that it was not given. */
typedef struct soma_field {
    const char *key; /* in recipes; "name" is taken */
    soma_field_kind kind;
    size_t offset;              /* offsetof(struct, member) */
    int count;                  /* SOMA_FIELD_INTS; at most 8 */
    const char *const *choices; /* SOMA_FIELD_ENUM; NULL-terminated */
    double min, max;            /* of numbers; both 0: any */
    bool required;
    const char *doc;
} soma_field;

/* A layer at work; valid during the call of its build function. */
typedef struct soma_layer_scope soma_layer_scope;

/* Builds the graph of the layer on x[0 … count-1], each [B, …], and returns its output [B, …]. Runs
 * each time that a graph is made, from any thread, and must ask for the same parameters in the same
 * order each time. Faults: return soma_layer_fault(…), or what a failed op returned. */
typedef soma_var (*soma_layer_build)(soma_layer_scope *scope, const void *options,
                                     const soma_var *x, int count);

typedef struct soma_layer_kind {
    const char *name; /* in recipes: letters, digits and '_'; no layer of the library is called so
                       */
    const char *doc;  /* one line; may be NULL */
    size_t size;      /* of the option struct; 0: no options */
    const soma_field *fields;
    int field_count;
    const char *primary; /* key that the short form `- name: value` sets; NULL: there is none */
    int inputs;          /* it takes up to so many, in a graph; 0: one */
    soma_layer_build build;
} soma_layer_kind;

/* The kind is copied; what it points to stays the caller's and must outlive the context. Register
 * before other threads use the context. Errors: SOMA_INVALID (names, fields), SOMA_MEMORY. */
SOMA_MUST_CHECK SOMA_API soma_status soma_layer_register(soma_context *context,
                                                         const soma_layer_kind *kind,
                                                         soma_error *err);
/* A layer of a registered kind with a copy of `options` (NULL: all zero). It must not outlive the
 * context. A fault (say, an unknown kind) is kept and reported when the model is created. */
SOMA_API soma_layer *soma_layer_custom(soma_context *context, const char *kind,
                                       const void *options);

/* --- inside a build function --------------------------------------------------------------------
 */

typedef struct soma_layer_parameter {
    const char *name; /* "weight"; of the layer's own */
    soma_shape shape;
    soma_init_options init; /* kind default: by the activation that follows */
    double fan_in, fan_out; /* for the schemes that are scaled by them */
    bool frozen;            /* not trained */
    bool buffer;            /* no parameter: state that soma_layer_set_buffer changes */
} soma_layer_parameter;
/* The f32 variable of a parameter; the first build of a model makes and initialises it. */
SOMA_API soma_var soma_layer_get_parameter(soma_layer_scope *scope,
                                           const soma_layer_parameter *parameter);
/* After a training step the buffer holds `value`. Does nothing where updates are not wanted. */
SOMA_API void soma_layer_set_buffer(soma_layer_scope *scope, soma_var buffer, soma_var value);
/* Builds other layers inside this one, as `name`; takes `layer`. */
SOMA_API soma_var soma_layer_inner(soma_layer_scope *scope, const char *name, soma_layer *layer,
                                   soma_var x);
SOMA_API soma_graph *soma_layer_get_graph(const soma_layer_scope *scope);
SOMA_API soma_mode soma_layer_get_mode(const soma_layer_scope *scope);
/* For random ops: the step's key (a failed var in evaluation) and this layer's stream. */
SOMA_API soma_var soma_layer_get_key(const soma_layer_scope *scope);
SOMA_API uint32_t soma_layer_get_stream(const soma_layer_scope *scope);
/* Records "kind 'path': text" in the graph; returns a failed var. */
SOMA_API soma_var soma_layer_fault(soma_layer_scope *scope, soma_status code, const char *format,
                                   ...) SOMA_PRINTF(3, 4);

#ifdef __cplusplus
}
#endif
#endif
