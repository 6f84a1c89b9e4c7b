/* nn.h: inside view of models. */
#ifndef SOMA__NN_H
#define SOMA__NN_H

#include <pthread.h>

#include "nn/carry.h"

typedef struct soma__model_parameter {
    soma_parameter public; /* first: soma_model_parameter hands it out */
    int row;               /* of the summary; -1: the model's own (scaling) */
} soma__model_parameter;

/* Sessions of soma_model_predict that wait for the next call. A call takes one out, so threads run
 * side by side. */
#define SOMA__PREDICT_SESSIONS 4
typedef struct soma__predict_session {
    soma_session *session; /* NULL: free slot */
    int64_t batch;
    uint32_t bytes; /* bit i: input i is u8, else f32 */
} soma__predict_session;

/* The plans of the batch sizes that were used last: all sessions of a size share one, and with it
 * the weights that it keeps prepared. */
typedef struct soma__predict_plan {
    soma_plan *plan; /* NULL: free slot; the latest is in slot 0 */
    int64_t batch;
    uint32_t bytes;
} soma__predict_plan;

struct soma_model {
    soma_context *context;
    soma_layer *layer;
    soma_model_options options;
    soma_dtype precision;               /* of products in training: SOMA_BF16, or 0: f32 */
    soma_model_input *inputs, *outputs; /* in the arena */
    int input_count, output_count;
    soma__arena arena; /* names, rows, inputs, outputs */
    soma__model_parameter **parameters;
    size_t parameter_count, parameter_capacity;
    int shift, scale;               /* parameters of the scaling; -1: none */
    int target_shift, target_scale; /* of the targets */
    char **meta;                    /* key, text, key, text, … */
    size_t meta_count, meta_capacity;
    soma_layer_row *rows;
    size_t row_count, row_capacity;
    bool chain;           /* the first output is one: what a crf layer gives */
    const char **classes; /* class_count names or numbers */
    int class_count;
    pthread_mutex_t lock; /* of the sessions and plans */
    soma__predict_session sessions[SOMA__PREDICT_SESSIONS];
    soma__predict_plan plans[SOMA__PREDICT_SESSIONS];
};

/* Creation from a layer (taken) whose parameters come from an archive, or are initialised when that
 * is NULL. `*blame`, unless NULL, is 0 before and on failure the line of the layer at fault, where
 * it came from a file. */
soma_status soma__model_create(soma_model **out, soma_context *context, soma_layer *layer,
                               const soma_model_options *options, const soma__archive *archive,
                               const char *source, int *blame, soma_error *err);
/* The layer that a model is built from: where that is a sequential block of one graph, the graph.
 */
const soma_layer *soma__model_root(const soma_layer *layer);
/* Appends a parameter; the tensor is retained. */
soma_status soma__model_add(soma_model *model, const char *name, soma_tensor *tensor,
                            bool trainable, bool buffer, int row, soma_error *err);
/* Steps of a classifier that names a class for each step of a sequence; 0: one for each sample. */
int64_t soma__model_steps(const soma_model *model);
/* Of these, one that ends in a crf layer: a chain, from which the classes follow together. */
bool soma__model_chain(const soma_model *model);
/* Index of a parameter, -1: unknown; looks at `hint` first. */
int soma__model_index(const soma_model *model, const char *name, int hint);
/* Adds one row to the summary under construction; its index or -1. */
int soma__model_add_row(soma_model *model, const char *name, const char *type, int depth);
/* Adds the flops of nodes [from, graph count) to a row. */
void soma__model_count_flops(soma_model *model, int row, const soma_graph *graph, size_t from);
/* Targets as the network learns them, and its output in terms of the targets; the same variable
 * where targets are not scaled. */
soma_var soma__model_scale_target(soma_model *model, soma_var y);
soma_var soma__model_unscale_target(soma_model *model, soma_var out);
/* soma_model_apply; `share`, unless {0}, is the weight (a scalar) with which this batch enters
 * running statistics. `steps`, unless 0, is what the samples' first dimension was cut to. */
soma_var soma__model_apply(soma_model *model, soma_graph *graph, soma_var x, soma_mode mode,
                           soma_var key, soma_var share, int64_t steps, soma_update *updates,
                           int update_capacity, int *update_count);
/* The shape of a sample of data: that of the input; of several inputs [values], one input's values
 * after another's, which soma__model_apply takes apart. */
soma_shape soma__model_sample(const soma_model *model);
/* For a model that reads steps as they come (nn/carry.h): after soma__carry_begin, `given` are the
 * inputs before the last one, whose steps are carry->x. The fault is the graph's. */
void soma__model_apply_steps(soma_model *model, soma_graph *graph, const soma_var *given,
                             soma__carry *carry, soma_var *y);
/* Drops the sessions and plans that predict keeps. */
void soma__model_forget_sessions(soma_model *model);
const char *soma__task_text(soma_task task);

/* The model as tensors and metadata, and back. Checkpoints put more into the same archive: tensors
 * whose names contain '/' (which no layer's name can) are not the model's and are ignored here. */
soma_status soma__model_to_archive(const soma_model *model, soma__archive *archive,
                                   soma_error *err);
/* `source` stands for the file in messages. */
soma_status soma__model_from_archive(soma_model **out, soma_context *context,
                                     const soma__archive *archive, const char *source,
                                     soma_error *err);
/* Copies weights into a model that exists: all of them or, with an error, none. */
soma_status soma__model_copy_weights(soma_model *model, const soma__archive *archive,
                                     const char *source, soma_error *err);

#endif
