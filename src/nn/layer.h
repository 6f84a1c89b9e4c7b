/* layer.h: the type that describes a layer, layers themselves, and how one builds its graph.
 *
 * A layer type is described once. Its field table is what recipes read, model files store, `soma
 * ops
 * --layers` prints and C calls are checked against; its build function states shapes, parameters
 * and computation at once: it runs each time a graph is made, and the first run (soma_model_create)
 * is the one in which the parameters it asks for come into being. */
#ifndef SOMA__LAYER_H
#define SOMA__LAYER_H

#include "base/value.h"
#include "format/safetensors.h"
#include "graph/graph.h"
#include "soma/nn.h"

/* Nesting of layers. A level takes at most three levels of the JSON in a model file, which has room
 * for 64, and bounds the recursions over layers. */
#define SOMA__LAYER_DEPTH 20
#define SOMA__LAYER_NAME_SIZE 64
#define SOMA__LAYER_PATH_SIZE 256

typedef struct soma__layer_type soma__layer_type;
typedef struct soma__layer_build soma__layer_build;
struct soma__param;
struct soma__carry;

struct soma_layer {
    const soma__layer_type *type; /* NULL only in the constant layers that stand for a fault */
    soma_layer **children;        /* in the order of the type's SOMA__FIELD_VALUE fields, where an
                                     entry may be NULL, or a list */
    int child_count;
    int depth;             /* 1 without children */
    bool taken;            /* by a block or a model */
    bool constant;         /* never freed, never written */
    int line;              /* of the file that it was read from; 0: none */
    soma_status status;    /* a fault, reported when the model is created */
    const char *fault;     /* its text; NULL: none */
    max_align_t options[]; /* the type's option struct; its strings belong to the layer */
};

typedef enum soma__layer_children {
    SOMA__CHILDREN_NONE,
    SOMA__CHILDREN_SLOTS, /* child i belongs to the i-th SOMA__FIELD_VALUE field */
    SOMA__CHILDREN_LIST,  /* the one SOMA__FIELD_VALUE field is a list of layers */
    SOMA__CHILDREN_OWN,   /* the type's read and write see to them; entries may be NULL */
} soma__layer_children;

struct soma__layer_type {
    const char *name;       /* "conv2d", as recipes call it */
    const char *prefix;     /* of automatic names: "conv" gives conv1, conv2, … */
    const char *doc;        /* one line */
    const char *shapes;     /* "[N,H,W,C] -> [N,Ho,Wo,filters]" */
    const char *parameters; /* "weight [filters,kh,kw,C/groups], bias [filters]"; "" without */
    size_t size;            /* of the option struct */
    const soma__field *fields;
    int field_count;
    const char *primary; /* the key that a short form sets, "- dense: 128"; NULL: there is none */
    const char *alias;   /* an enum field whose choices are recipe names of their own: "- relu" */
    soma__layer_children children;
    const char *child_prefix; /* automatic names of a list's children; NULL: by their types */
    bool steps;       /* a step of the result depends on that step, and on those before by what is
                         carried (nn/carry.h), so that steps may come one after another */
    bool transparent; /* an initialiser looks through it for the activation that comes next */
    soma_var (*build)(soma__layer_build *b, const soma_layer *layer, soma_var x);
    /* The same on several inputs, for layers that take them; else NULL. */
    soma_var (*merge)(soma__layer_build *b, const soma_layer *layer, const soma_var *x, int count);
    /* In the place of `build`, for layers that stand for others: the layers (the caller's) for an
     * input of shape x, whose rows and parameters appear below this one's; NULL after
     * soma__layer_fail. */
    soma_layer *(*expand)(soma__layer_build *b, const soma_layer *layer, const soma_shape *x);
    /* For fields of kind SOMA__FIELD_VALUE that are not layers: takes the value over into the
     * options (which must not point into the tree afterwards), and back. NULL: there are none. */
    soma_status (*read)(soma_layer *layer, const soma__tree *tree, const soma__value *value,
                        const char *where, soma_error *err);
    soma__value *(*write)(const soma_layer *layer, const soma__field *field,
                          soma__tree *tree); /* NULL: no memory */
    /* Frees what the options hold besides strings; NULL: nothing. */
    void (*release)(soma_layer *layer);
};

/* The registry. `find` also knows the aliases: then *choice is the value of the alias field, else
 * -1. */
int soma__layer_type_count(void);
const soma__layer_type *soma__layer_type_at(int index); /* NULL: out of range */
const soma__layer_type *soma__layer_type_find(const char *name, int *choice);
/* The name nearest to an unknown one, or NULL. */
const char *soma__layer_type_nearest(const char *name);
const soma__field *soma__layer_field(const soma__layer_type *type, const char *key);

/* Kinds that the user's program registered with the context (nn/custom.c): a list that grows at its
 * head, so that what was taken here stays as it was. */
const void *soma__context_layers(soma_context *context);
const soma__layer_type *soma__custom_find(const void *layers, const char *name);

#define LAYER(name_) extern const soma__layer_type soma__layer_##name_;
#include "nn/layers.def"
#undef LAYER

/* Of layers of type graph. A name is *length characters from *name on; false: out of range. */
int soma__graph_input_count(const soma_layer *layer);
int soma__graph_output_count(const soma_layer *layer);
bool soma__graph_name(const soma_layer *layer, bool output, int index, const char **name,
                      int *length);
/* y receives all outputs: for the outermost graph of a model. */
void soma__graph_build(soma__layer_build *b, const soma_layer *layer, const soma_var *x, int count,
                       soma_var *y);

/* --- layers ------------------------------------------------------------------------------------
 */

/* A layer with a copy of `options` (and of its strings) that takes the children (entries may be
 * NULL in slots). Never NULL: a fault gives a layer that carries it. `children` itself stays the
 * caller's. */
soma_layer *soma__layer_new(const soma__layer_type *type, const void *options,
                            soma_layer *const *children, int count);
/* Stands for one of a kind that nobody registered. */
soma_layer *soma__layer_unknown(void);
/* "conv2d", or the alias: "relu". */
const char *soma__layer_kind(const soma_layer *layer);
/* The given name, or NULL. */
const char *soma__layer_given_name(const soma_layer *layer);
/* Name of child `index` in `parent` (NULL: `layer` alone at the top), given or automatic. */
void soma__layer_child_name(const soma_layer *parent, int index, const soma_layer *child,
                            char name[SOMA__LAYER_NAME_SIZE]);
/* False, with a message, if it cannot be part of a parameter's name. */
bool soma__layer_name_ok(const char *name, char *message, size_t size);
/* False, with a message, if the options break the field table's rules. */
bool soma__layer_options_ok(const soma_layer *layer, char *message, size_t size);

/* A list (a sequential block), a name, or "name: options"; `where` is the path for messages
 * ("model"); tree->layers, unless NULL, are the user's own kinds (soma__context_layers). Errors:
 * SOMA_INVALID with file, line and path; SOMA_MEMORY. */
soma_status soma__layer_from_value(soma_layer **out, const soma__tree *tree,
                                   const soma__value *value, const char *where, soma_error *err);
/* The reverse: reading it gives an equal layer. NULL: no memory. */
soma__value *soma__layer_to_value(soma__tree *tree, const soma_layer *layer);

/* Layers that are put together one by one, as an `expand` does. A fault (also of memory) is kept by
 * the layer that comes of it. {0} is empty. */
typedef struct soma__layer_list {
    soma_layer **items;
    size_t count, capacity;
    bool failed;
} soma__layer_list;
/* Takes the layer; NULL adds nothing. */
void soma__layer_list_add(soma__layer_list *list, soma_layer *layer);
/* The layers as one that takes them; the list is empty afterwards. */
soma_layer *soma__layer_list_sequential(soma__layer_list *list);
soma_layer *soma__layer_list_concat(soma__layer_list *list);

/* Rows for field tables. */
#define SOMA__FIELD_NAME(struct_)                                                                  \
    {                                                                                              \
        .key = "name", .kind = SOMA__FIELD_STRING, .offset = offsetof(struct_, name),              \
        .doc = "name in messages and of the parameters; else the type and a number"                \
    }
#define SOMA__FIELD_COUNT(fields_) ((int)(sizeof(fields_) / sizeof((fields_)[0])))

/* Names of the activations, NULL-terminated; index is the soma_activation. */
extern const char *const soma__activation_names[];
extern const char *const soma__init_names[];
/* Parts of a field of kind SOMA__FIELD_CHOICE over soma_init_options. */
extern const soma__field soma__init_parts[];
extern const char *const soma__init_shorts[];
#define SOMA__INIT_PARTS 11
#define SOMA__FIELD_INIT(struct_, member_, doc_)                                                   \
    {                                                                                              \
        .key = #member_, .kind = SOMA__FIELD_CHOICE, .offset = offsetof(struct_, member_),         \
        .parts = soma__init_parts, .part_count = SOMA__INIT_PARTS, .shorts = soma__init_shorts,    \
        .doc = doc_                                                                                \
    }
extern const char *const soma__padding_names[];
soma_var soma__activate(soma_activation activation, soma_var x);
/* Zero on one side and nearly the identity on the other, which halves the variance (He et al.). */
bool soma__activation_relu_like(soma_activation activation);

/* --- building ----------------------------------------------------------------------------------
 */

/* How a wrapper makes the weights of the layers inside (reparam.c). */
typedef soma_var (*soma__reparam)(soma__layer_build *b, const soma_layer *layer,
                                  const struct soma__param *param);

struct soma__layer_build {
    soma_model *model;
    soma_graph *graph;
    soma_mode mode;
    soma_dtype precision; /* of products, as of soma_matmul: SOMA_BF16 or 0 */
    soma_var key;
    soma_update *updates; /* NULL: not wanted */
    int update_capacity, *update_count;

    bool creating;                /* the model's first build: parameters are made */
    bool measuring;               /* parameters are only counted, in the summary's rows */
    const soma__archive *archive; /* when creating: parameters come from here; NULL: initialised */
    const char *source;           /* the archive's file name */
    int *blame;                   /* unless NULL receives the line of the first layer at fault */
    soma_activation next;         /* the activation that comes after this layer, if any */
    int row;                      /* summary row of the layer at work, -1: none */
    size_t counted;               /* nodes below this one are in some row's flops */
    int cursor;                   /* parameters are asked for in the same order each time */
    int level;
    uint32_t use, uses;    /* number of the shared use at work, 0: none; given so far */
    soma__reparam reparam; /* of parameters called weight with two dimensions or more; or NULL */
    char path[SOMA__LAYER_PATH_SIZE]; /* "features.conv1" */
    const char *tap; /* path of the layer whose output is asked for, into `tapped`; NULL: none */
    soma_var tapped;
    struct soma__carry *carry; /* steps come one after another; NULL: whole sequences */
    soma_var chain;            /* what a crf layer gave last */
    soma_var share; /* weight of this batch in running statistics; graph NULL: the layer's own */
};

/* Builds `layer` named `name` inside the layer at work: scope, path, summary row. */
soma_var soma__layer_apply(soma__layer_build *b, const soma_layer *layer, const char *name,
                           soma_var x);
soma_var soma__layer_apply_many(soma__layer_build *b, const soma_layer *layer, const char *name,
                                const soma_var *x, int count);
/* The same for child `index` of `parent`. */
soma_var soma__layer_apply_child(soma__layer_build *b, const soma_layer *parent, int index,
                                 soma_var x);
soma_var soma__layer_apply_child_many(soma__layer_build *b, const soma_layer *parent, int index,
                                      const soma_var *x, int count);
/* Uses `layer`, which was applied as `origin` within the same block, once more: with the same
 * parameters, and a row `name` of its own. */
soma_var soma__layer_apply_again(soma__layer_build *b, const soma_layer *layer, const char *name,
                                 const char *origin, const soma_var *x, int count);
/* Records "conv2d 'features.conv1': …" in the graph; returns a failed var. */
soma_var soma__layer_fail(soma__layer_build *b, const soma_layer *layer, soma_status code,
                          const char *format, ...) SOMA_PRINTF(4, 5);

typedef struct soma__param {
    const char *name; /* "weight" */
    soma_shape shape;
    soma_init init;               /* SOMA_INIT_DEFAULT: by `b->next` */
    const soma_init_options *how; /* the user's wish; NULL or of kind default: as `init` says */
    double fan_in, fan_out;       /* for the scaled schemes */
    int64_t groups;               /* of a convolution, for dirac; 0: 1 */
    bool frozen, buffer;
    bool *trainable; /* unless NULL receives whether it is trained */
} soma__param;
/* The variable of a parameter of the layer at work, f32. */
soma_var soma__layer_param(soma__layer_build *b, const soma_layer *layer, const soma__param *param);
/* After a training step buffer `variable` becomes `value`; of several calls the last counts. */
void soma__layer_update(soma__layer_build *b, const soma_layer *layer, soma_var variable,
                        soma_var value);
/* What buffer `variable` will be after this step, as far as that is known: a layer that is used
 * several times in a graph goes on from there. */
soma_var soma__layer_current(const soma__layer_build *b, soma_var variable);
/* A number for this layer's random draws, from its path (and use, where it is shared). */
uint32_t soma__layer_stream(const soma__layer_build *b);

/* Fills an f32 tensor; the draws depend on (seed, name) only. Errors: SOMA_INVALID, SOMA_SHAPE
 * where the scheme does not suit the shape, SOMA_MEMORY. */
soma_status soma__init_fill(soma_tensor *tensor, const soma_init_options *init,
                            const soma__param *param, uint64_t seed, const char *name,
                            soma_error *err);

#endif
