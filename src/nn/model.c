/* model.c: models: creation, parameters, and the graph of a forward pass. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "nn/nn.h"

const char *soma__task_text(soma_task task)
{
    switch (task) {
    case SOMA_TASK_CLASSIFY:
        return "classify";
    case SOMA_TASK_BINARY:
        return "binary";
    case SOMA_TASK_REGRESS:
        return "regress";
    }
    return NULL;
}

/* --- parameters --------------------------------------------------------------------------------
 */

soma_status soma__model_add(soma_model *model, const char *name, soma_tensor *tensor,
                            bool trainable, bool buffer, int row, soma_error *err)
{
    if (soma__model_index(model, name, -1) >= 0)
        return soma__fail(err, SOMA_INVALID, "two parameters are named '%s'", name);
    soma__model_parameter *parameter = soma__arena_alloc(&model->arena, sizeof *parameter);
    char *copy = soma__arena_strdup(&model->arena, name);
    void *array = model->parameters;
    if (!parameter || !copy ||
        !soma__grow(&array, &model->parameter_capacity, model->parameter_count,
                    sizeof(soma__model_parameter *)))
        return soma__fail(err, SOMA_MEMORY, "out of memory for parameter '%s'", name);
    model->parameters = array;
    *parameter = (soma__model_parameter){.public = {.name = copy,
                                                    .tensor = soma_tensor_retain(tensor),
                                                    .trainable = trainable,
                                                    .buffer = buffer},
                                         .row = row};
    model->parameters[model->parameter_count++] = parameter;
    return SOMA_OK;
}

int soma__model_index(const soma_model *model, const char *name, int hint)
{
    if (hint >= 0 && (size_t)hint < model->parameter_count &&
        strcmp(model->parameters[hint]->public.name, name) == 0)
        return hint;
    for (size_t i = 0; i < model->parameter_count; i++)
        if (strcmp(model->parameters[i]->public.name, name) == 0)
            return (int)i;
    return -1;
}

int soma_model_parameter_count(const soma_model *model)
{
    return (int)model->parameter_count;
}

const soma_parameter *soma_model_parameter(const soma_model *model, int index)
{
    if (index < 0 || (size_t)index >= model->parameter_count)
        return NULL;
    return &model->parameters[index]->public;
}

const soma_parameter *soma_model_find(const soma_model *model, const char *name)
{
    return name ? soma_model_parameter(model, soma__model_index(model, name, -1)) : NULL;
}

int64_t soma_model_size(const soma_model *model, bool trainable_only)
{
    int64_t size = 0;
    for (size_t i = 0; i < model->parameter_count; i++) {
        const soma_parameter *parameter = &model->parameters[i]->public;
        if (!parameter->buffer && (parameter->trainable || !trainable_only))
            size += soma_tensor_count(parameter->tensor);
    }
    return size;
}

int soma_model_freeze(soma_model *model, const char *prefix, bool frozen)
{
    int count = 0;
    for (size_t i = 0; i < model->parameter_count; i++) {
        soma_parameter *parameter = &model->parameters[i]->public;
        if (parameter->buffer || strncmp(parameter->name, prefix, strlen(prefix)) != 0)
            continue;
        parameter->trainable = !frozen;
        count++;
    }
    /* A frozen batch norm computes something else. */
    soma__model_forget_sessions(model);
    return count;
}

soma_status soma_model_set_precision(soma_model *model, soma_dtype precision, soma_error *err)
{
    if (precision != SOMA_F32 && precision != SOMA_BF16)
        return soma__fail(err, SOMA_INVALID, "a model trains in the precision f32 or bf16, not %s",
                          soma_dtype_text(precision));
    model->precision = precision == SOMA_BF16 ? SOMA_BF16 : 0;
    return SOMA_OK;
}

soma_dtype soma_model_get_precision(const soma_model *model)
{
    return model->precision ? model->precision : SOMA_F32;
}

/* --- summary -----------------------------------------------------------------------------------
 */

int soma__model_add_row(soma_model *model, const char *name, const char *type, int depth)
{
    void *array = model->rows;
    char *copy = soma__arena_strdup(&model->arena, name);
    if (!copy ||
        !soma__grow(&array, &model->row_capacity, model->row_count, sizeof(soma_layer_row)))
        return -1;
    model->rows = array;
    model->rows[model->row_count] = (soma_layer_row){.name = copy, .type = type, .depth = depth};
    return (int)model->row_count++;
}

/* Flops of one node. */
static double node_flops(const soma_graph *graph, const soma__node *node)
{
    enum { MOST_INPUTS = 16 };
    soma__view in[MOST_INPUTS] = {0}, out = {.dtype = node->dtype, .shape = node->shape};
    int64_t count;

    if ((node->op->flags & (SOMA__OP_LEAF | SOMA__OP_VIEW)) ||
        !soma__shape_count(&node->shape, &out.count))
        return 0;
    if (!node->op->flops || node->nin > MOST_INPUTS) {
        int each = node->op->scalar ? soma__scalar_flops(node->op->scalar) : 1;
        return (double)each * (double)out.count;
    }
    for (int i = 0; i < node->nin; i++) {
        const soma__node *from = graph->nodes[node->in[i]];
        in[i].dtype = from->dtype;
        in[i].shape = from->shape;
        in[i].count = soma__shape_count(&from->shape, &count) ? count : 0;
    }
    return node->op->flops(&(soma__call){
        .op = node->op, .attrs = node->attrs, .nin = node->nin, .nout = 1, .in = in, .out = &out});
}

void soma__model_count_flops(soma_model *model, int row, const soma_graph *graph, size_t from)
{
    for (size_t i = from; row >= 0 && i < graph->count; i++)
        model->rows[row].flops += node_flops(graph, graph->nodes[i]);
}

soma_status soma_model_summary(soma_model *model, soma_layer_row **rows, int *count,
                               soma_error *err)
{
    *count = 0;
    *rows = soma__calloc(model->row_count + 1, sizeof **rows);
    if (!*rows)
        return soma__fail(err, SOMA_MEMORY, "out of memory for the summary");
    if (model->row_count)
        memcpy(*rows, model->rows, model->row_count * sizeof **rows);
    *count = (int)model->row_count;
    for (size_t i = 0; i < model->parameter_count; i++) {
        const soma__model_parameter *parameter = model->parameters[i];
        if (parameter->row < 0 || parameter->public.buffer)
            continue;
        int64_t size = soma_tensor_count(parameter->public.tensor);
        (*rows)[parameter->row].parameters += size;
        if (parameter->public.trainable)
            (*rows)[parameter->row].trainable += size;
    }
    return SOMA_OK;
}

/* --- the graph ---------------------------------------------------------------------------------
 */

soma_var soma_model_variable(soma_model *model, soma_graph *graph, int index)
{
    const soma_parameter *parameter = soma_model_parameter(model, index);
    if (!parameter) {
        soma_graph_fail(graph, SOMA_INVALID, "the model has %d parameters, there is no number %d",
                        soma_model_parameter_count(model), index);
        return (soma_var){graph, -1};
    }
    /* Looking for the tensor's node, rather than keeping a note, stays right when a graph is
     * destroyed and another one begins at the same address. */
    for (size_t i = 0; i < graph->count; i++)
        if (graph->nodes[i]->tensor == parameter->tensor &&
            graph->nodes[i]->op == &soma__op_variable)
            return graph->error.code == SOMA_OK ? (soma_var){graph, (int32_t)i}
                                                : (soma_var){graph, -1};
    return soma_variable(graph, parameter->name, parameter->tensor);
}

/* Input `index`, x [B, input…], as the layers want it: checked, f32, scaled. `steps`, unless 0:
 * what the first dimension of its samples was cut to. */
static soma_var prepare_input(soma_model *model, soma_graph *graph, int index, soma_var x,
                              int64_t steps)
{
    soma_shape shape = soma_var_shape(x), want = model->inputs[index].shape;
    char left[SOMA_SHAPE_TEXT_SIZE], right[SOMA_SHAPE_TEXT_SIZE];
    bool fits = shape.ndim == want.ndim + 1;

    if (steps && want.ndim)
        want.dim[0] = steps;
    for (int i = 0; fits && i < want.ndim; i++)
        fits = shape.dim[i + 1] == want.dim[i];
    if (!fits) {
        soma_graph_fail(graph, SOMA_SHAPE, "the model takes a batch of samples of shape %s, got %s",
                        soma_shape_text(&want, left, sizeof left),
                        soma_shape_text(&shape, right, sizeof right));
        return (soma_var){graph, -1};
    }
    if (soma_var_dtype(x) != SOMA_F32)
        x = soma_cast(x, SOMA_F32);
    if (index == 0 && model->shift >= 0) {
        soma_scope_begin(graph, "input");
        x = soma_mul(soma_sub(x, soma_model_variable(model, graph, model->shift)),
                     soma_model_variable(model, graph, model->scale));
        soma_scope_end(graph);
    }
    return x;
}

const soma_layer *soma__model_root(const soma_layer *layer)
{
    if (layer->type == &soma__layer_sequential && !layer->fault && layer->child_count == 1 &&
        layer->children[0]->type == &soma__layer_graph)
        return layer->children[0];
    return layer;
}

/* The outermost sequential block or graph is no level of its own: its layers are called conv1, not
 * sequential1.conv1. */
static void build_layers(soma__layer_build *b, const soma_layer *layer, const soma_var *x,
                         soma_var *y)
{
    char name[SOMA__LAYER_NAME_SIZE];
    bool ok = soma_graph_status(b->graph, NULL) == SOMA_OK;
    int count = b->model->input_count;

    layer = soma__model_root(layer);
    if (ok && !layer->fault && layer->type == &soma__layer_graph) {
        soma__graph_build(b, layer, x, count, y);
        return;
    }
    if (ok && !layer->fault && layer->type == &soma__layer_sequential &&
        !soma__layer_given_name(layer)) {
        y[0] = layer->type->merge(b, layer, x, count);
        return;
    }
    soma__layer_child_name(NULL, 0, layer, name);
    y[0] = soma__layer_apply_many(b, layer, name, x, count);
}

/* The checks are the caller's; y has room for all outputs. */
static void apply(soma_model *model, soma_graph *graph, const soma_var *x, soma_mode mode,
                  soma_var key, soma_var share, int64_t steps, soma_update *updates,
                  int update_capacity, int *update_count, const char *tap, soma_var *tapped,
                  soma_var *y)
{
    int unused = 0;
    soma_var in[SOMA_MODEL_INPUTS];
    soma__layer_build b = {.model = model,
                           .graph = graph,
                           .mode = mode,
                           .precision = mode == SOMA_TRAIN ? model->precision : 0,
                           .key = key,
                           .share = share,
                           .updates = updates,
                           .update_capacity = update_capacity,
                           .update_count = update_count ? update_count : &unused,
                           .tap = tap,
                           .tapped = {graph, -1},
                           .row = -1};

    for (int i = 0; i < model->output_count; i++)
        y[i] = (soma_var){graph, -1};
    for (int i = 0; i < model->input_count; i++) {
        if (!soma_var_ok(x[i])) {
            soma_graph_fail(graph, SOMA_INVALID, "the model's input is not a value of this graph");
            return;
        }
        in[i] = prepare_input(model, graph, i, x[i], steps);
    }
    build_layers(&b, model->layer, in, y);
    if (tapped)
        *tapped = b.tapped;
}

void soma__model_apply_steps(soma_model *model, soma_graph *graph, const soma_var *given,
                             soma__carry *carry, soma_var *y)
{
    const int last = model->input_count - 1;
    soma_var in[SOMA_MODEL_INPUTS];
    soma__layer_build b = {.model = model,
                           .graph = graph,
                           .mode = SOMA_EVALUATE,
                           .update_count = &(int){0},
                           .carry = carry,
                           .tapped = {graph, -1},
                           .row = -1};
    for (int i = 0; i < model->output_count; i++)
        y[i] = (soma_var){graph, -1};
    if (model->shift >= 0) {
        soma_graph_fail(graph, SOMA_UNSUPPORTED,
                        "the model scales its input: it does not go on from ids");
        return;
    }
    for (int i = 0; i < last; i++)
        in[i] = prepare_input(model, graph, i, given[i], 0);
    in[last] = carry->x;
    build_layers(&b, model->layer, in, y);
    soma__carry_end(carry, graph);
}

soma_var soma_model_apply(soma_model *model, soma_graph *graph, soma_var x, soma_mode mode,
                          soma_var key, soma_update *updates, int update_capacity,
                          int *update_count)
{
    return soma__model_apply(model, graph, x, mode, key, (soma_var){0}, 0, updates, update_capacity,
                             update_count);
}

soma_shape soma__model_sample(const soma_model *model)
{
    int64_t values = 0, one = 0;
    for (int i = 0; i < model->input_count; i++) {
        soma__shape_count(&model->inputs[i].shape, &one);
        values += one;
    }
    return model->input_count == 1 ? model->inputs[0].shape : SOMA_SHAPE(values);
}

/* x [B,values] as the inputs, whose values lie one after another. */
static bool take_apart(const soma_model *model, soma_var x, soma_var *in)
{
    const soma_shape shape = soma_var_shape(x);
    int64_t at = 0, values = 0;
    if (shape.ndim != 2 || shape.dim[1] != soma__model_sample(model).dim[0])
        return false;
    for (int i = 0; i < model->input_count; i++, at += values) {
        soma__shape_count(&model->inputs[i].shape, &values);
        in[i] = soma_reshape(soma_slice(x, 1, at, at + values),
                             soma__shape_batched(&model->inputs[i].shape, shape.dim[0]));
    }
    return true;
}

soma_var soma__model_apply(soma_model *model, soma_graph *graph, soma_var x, soma_mode mode,
                           soma_var key, soma_var share, int64_t steps, soma_update *updates,
                           int update_capacity, int *update_count)
{
    soma_var failed = {graph, -1}, one, in[SOMA_MODEL_INPUTS] = {x};
    if (model->input_count != 1 && !take_apart(model, x, in)) {
        soma_graph_fail(graph, SOMA_INVALID,
                        "the model takes %d inputs: samples hold their values one after another, "
                        "or soma_model_apply_all feeds them",
                        model->input_count);
        return failed;
    }
    soma_var *y = &one;
    if (model->output_count > 1)
        y = soma__arena_array(&graph->arena, (size_t)model->output_count, sizeof *y);
    if (!y) {
        soma_graph_fail(graph, SOMA_MEMORY, "out of memory for the model's outputs");
        return failed;
    }
    apply(model, graph, in, mode, key, share, steps, updates, update_capacity, update_count, NULL,
          NULL, y);
    return y[0];
}

soma_var soma_model_layer(soma_model *model, soma_graph *graph, soma_var x, const char *name)
{
    soma_var tapped = {graph, -1};
    soma_var *y = soma__arena_array(&graph->arena, (size_t)model->output_count, sizeof *y);
    if (!y)
        soma_graph_fail(graph, SOMA_MEMORY, "out of memory for the model's outputs");
    else if (model->input_count != 1)
        soma_graph_fail(graph, SOMA_INVALID,
                        "the layers of a model of %d inputs cannot be asked for",
                        model->input_count);
    else
        apply(model, graph, &x, SOMA_EVALUATE, (soma_var){0}, (soma_var){0}, 0, NULL, 0, NULL, name,
              &tapped, y);
    if (!soma_var_ok(tapped))
        soma_graph_fail(graph, SOMA_NOT_FOUND,
                        "the model has no layer '%s'; soma summary shows their names", name);
    return tapped;
}

void soma_model_apply_all(soma_model *model, soma_graph *graph, const soma_var *x, soma_mode mode,
                          soma_var key, soma_update *updates, int update_capacity,
                          int *update_count, soma_var *y)
{
    apply(model, graph, x, mode, key, (soma_var){0}, 0, updates, update_capacity, update_count,
          NULL, NULL, y);
}

/* --- creation ----------------------------------------------------------------------------------
 */

static soma_status check_input(const soma_shape *input, soma_dtype dtype, soma_error *err)
{
    char text[SOMA_SHAPE_TEXT_SIZE];

    if (input->ndim < 0 || input->ndim >= SOMA_MAX_DIMS)
        return soma__fail(err, SOMA_INVALID, "a sample has 0 to %d dimensions, not %d",
                          SOMA_MAX_DIMS - 1, input->ndim);
    for (int i = 0; i < input->ndim; i++)
        if (input->dim[i] < 1)
            return soma__fail(err, SOMA_SHAPE, "the input shape %s must hold sizes of at least 1",
                              soma_shape_text(input, text, sizeof text));
    if (dtype && dtype != SOMA_F32 && dtype != SOMA_U8)
        return soma__fail(err, SOMA_DTYPE, "a model's input is f32 or u8, not %s",
                          soma_dtype_text(dtype));
    return SOMA_OK;
}

/* A copy of a name in the model's arena. */
static soma_status keep_name(soma_model *model, const char **out, const char *name, int length,
                             soma_error *err)
{
    char *copy = soma__arena_alloc(&model->arena, (size_t)length + 1);
    if (!copy)
        return soma__fail(err, SOMA_MEMORY, "out of memory for a model");
    memcpy(copy, name, (size_t)length);
    copy[length] = '\0';
    *out = copy;
    return SOMA_OK;
}

/* Name of input (or output) `index`: the graph's; of other layers the standard one. */
static soma_status name_value(soma_model *model, const soma_layer *root, bool output, int index,
                              soma_error *err)
{
    const char *name = output ? "output" : "input";
    soma_model_input *value = output ? &model->outputs[index] : &model->inputs[index];
    const char *given = value->name;
    int length = (int)strlen(name);

    if (root->type == &soma__layer_graph && !root->fault)
        soma__graph_name(root, output, index, &name, &length);
    else if (given)
        name = given, length = (int)strlen(given);
    if (given && (strlen(given) != (size_t)length || memcmp(given, name, (size_t)length) != 0))
        return soma__fail(err, SOMA_INVALID,
                          "input %d is called '%s' in the options, but '%.*s' in the graph",
                          index + 1, given, length, name);
    return keep_name(model, &value->name, name, length, err);
}

/* Checks the options and takes the inputs over. */
static soma_status take_inputs(soma_model *model, const soma_layer *layer, soma_error *err)
{
    soma_model_options *options = &model->options;
    soma_model_input one = {.shape = options->input, .dtype = options->input_dtype};
    const soma_model_input *given = options->input_count ? options->inputs : &one;
    int count = options->input_count ? options->input_count : 1;
    const soma_layer *root = soma__model_root(layer);

    if (count < 0 || count > SOMA_MODEL_INPUTS || !given)
        return soma__fail(err, SOMA_INVALID, "a model has 1 to %d inputs, not %d",
                          SOMA_MODEL_INPUTS, count);
    int outputs =
        root->type == &soma__layer_graph && !root->fault ? soma__graph_output_count(root) : 1;
    model->inputs = soma__arena_array(&model->arena, (size_t)count, sizeof *model->inputs);
    model->outputs = soma__arena_array(&model->arena, (size_t)outputs, sizeof *model->outputs);
    if (!model->inputs || !model->outputs)
        return soma__fail(err, SOMA_MEMORY, "out of memory for a model");
    memcpy(model->inputs, given, (size_t)count * sizeof *given);
    memset(model->outputs, 0, (size_t)outputs * sizeof *model->outputs);
    model->input_count = count;
    model->output_count = outputs;
    for (int i = 0; i < count; i++) {
        SOMA__TRY(check_input(&given[i].shape, given[i].dtype, err));
        if (!model->inputs[i].dtype)
            model->inputs[i].dtype = SOMA_F32;
        SOMA__TRY(name_value(model, root, false, i, err));
    }
    for (int i = 0; i < outputs; i++)
        SOMA__TRY(name_value(model, root, true, i, err));
    options->input = model->inputs[0].shape;
    options->input_dtype = model->inputs[0].dtype;
    options->inputs = model->inputs;
    options->input_count = count;
    if (!soma__task_text(options->task))
        return soma__fail(err, SOMA_INVALID, "there is no task number %d", (int)options->task);
    return SOMA_OK;
}

/* Numbers stand for class names until these are given. */
static soma_status number_classes(soma_model *model, int64_t count, soma_error *err)
{
    char text[24];
    if (count > INT32_MAX)
        return soma__fail(err, SOMA_UNSUPPORTED, "%lld classes are too many", (long long)count);
    model->classes = soma__arena_array(&model->arena, (size_t)count, sizeof *model->classes);
    for (int i = 0; model->classes && i < count; i++) {
        snprintf(text, sizeof text, "%d", i);
        model->classes[i] = soma__arena_strdup(&model->arena, text);
        if (!model->classes[i])
            model->classes = NULL;
    }
    if (!model->classes)
        return soma__fail(err, SOMA_MEMORY, "out of memory for the names of %lld classes",
                          (long long)count);
    model->class_count = (int)count;
    return SOMA_OK;
}

/* Checks the output against the task. */
static soma_status check_output(soma_model *model, soma_error *err)
{
    const soma_shape *shape = &model->outputs[0].shape;
    char text[SOMA_SHAPE_TEXT_SIZE];

    if (model->options.task != SOMA_TASK_CLASSIFY)
        return SOMA_OK;
    if (shape->ndim < 1 || shape->ndim > 2)
        return soma__fail(err, SOMA_SHAPE,
                          "a classifier gives one number for each class and sample (or class and "
                          "step of a sequence), this network gives %s a sample; is a flatten or "
                          "global_avg_pool2d missing?",
                          soma_shape_text(shape, text, sizeof text));
    const int64_t classes = shape->dim[shape->ndim - 1];
    if (classes < 2)
        return soma__fail(err, SOMA_SHAPE,
                          "a classifier needs at least 2 outputs, this network has %lld; for yes "
                          "or no from one output use the binary task",
                          (long long)classes);
    return number_classes(model, classes, err);
}

/* The first build: on a batch of one. `b` says what else is to be done. */
static soma_status first_build(soma_model *model, const soma_layer *layer, soma__layer_build *b,
                               soma_error *err)
{
    soma_var x[SOMA_MODEL_INPUTS];
    char name[16];
    int unused = 0;
    soma_graph *graph;
    soma_var *y = soma__arena_array(&model->arena, (size_t)model->output_count, sizeof(soma_var));
    if (!y)
        return soma__fail(err, SOMA_MEMORY, "out of memory for a model");

    SOMA__TRY(soma_graph_create(&graph, err));
    b->model = model;
    b->graph = graph;
    b->mode = SOMA_EVALUATE;
    b->update_count = &unused;
    b->creating = true;
    b->row = -1;
    for (int i = 0; i < model->input_count; i++) {
        snprintf(name, sizeof name, "x%d", i);
        x[i] = soma_input(graph, name, SOMA_F32, soma__shape_batched(&model->inputs[i].shape, 1));
    }
    b->counted = graph->count;
    build_layers(b, layer, x, y);
    model->chain = b->chain.graph && b->chain.id == y[0].id;
    soma_status status = soma_graph_status(graph, err);
    for (int i = 0; i < model->output_count && status == SOMA_OK; i++) {
        soma_shape shape = soma_var_shape(y[i]), *out = &model->outputs[i].shape;
        for (int k = 1; k < shape.ndim; k++)
            out->dim[out->ndim++] = shape.dim[k];
        model->outputs[i].dtype = soma_var_dtype(y[i]);
    }
    soma_graph_destroy(graph);
    return status;
}

soma_status soma_layer_measure(const soma_layer *layer, soma_shape input, soma_layer_cost *out,
                               soma_error *err)
{
    /* Only what a build writes to: shapes and rows. */
    soma_model model = {.options = {.input = input},
                        .shift = -1,
                        .scale = -1,
                        .target_shift = -1,
                        .target_scale = -1};
    soma__layer_build b = {.measuring = true};

    *out = (soma_layer_cost){0};
    if (!layer)
        return soma__fail(err, SOMA_INVALID, "there is no layer to measure");
    soma_status status = take_inputs(&model, layer, err);
    if (status == SOMA_OK)
        status = first_build(&model, layer, &b, err);
    if (status == SOMA_OK) {
        out->output = model.outputs[0].shape;
        for (size_t i = 0; i < model.row_count; i++) {
            out->parameters += model.rows[i].parameters;
            out->trainable += model.rows[i].trainable;
            out->flops += model.rows[i].flops;
        }
    }
    soma__free(model.rows);
    soma__arena_clear(&model.arena);
    return status;
}

soma_status soma__model_create(soma_model **out, soma_context *context, soma_layer *layer,
                               const soma_model_options *options, const soma__archive *archive,
                               const char *source, int *blame, soma_error *err)
{
    soma_model *model;
    soma_status status;

    *out = NULL;
    if (!context || !layer || !options || layer->taken) {
        status = soma__fail(err, SOMA_INVALID,
                            !context   ? "a model needs a context"
                            : !layer   ? "a model needs a layer"
                            : !options ? "a model needs options"
                                       : "the layer belongs to a block or a model already");
        if (layer && !layer->taken)
            soma_layer_destroy(layer);
        return status;
    }
    model = soma__calloc(1, sizeof *model);
    if (!model || pthread_mutex_init(&model->lock, NULL) != 0) {
        soma__free(model);
        soma_layer_destroy(layer);
        return soma__fail(err, SOMA_MEMORY, "out of memory for a model");
    }
    if (!layer->constant)
        layer->taken = true;
    model->context = context;
    model->layer = layer;
    model->options = *options;
    model->shift = model->scale = model->target_shift = model->target_scale = -1;
    status = take_inputs(model, layer, err);
    if (status == SOMA_OK)
        status = first_build(
            model, layer,
            &(soma__layer_build){.archive = archive, .source = source, .blame = blame}, err);
    if (status == SOMA_OK)
        status = check_output(model, err);
    if (status != SOMA_OK) {
        soma_model_destroy(model);
        return status;
    }
    *out = model;
    return SOMA_OK;
}

soma_status soma_model_create(soma_model **out, soma_context *context, soma_layer *layer,
                              const soma_model_options *options, soma_error *err)
{
    return soma__model_create(out, context, layer, options, NULL, NULL, NULL, err);
}

void soma_model_destroy(soma_model *model)
{
    if (!model)
        return;
    soma__model_forget_sessions(model);
    for (size_t i = 0; i < model->parameter_count; i++)
        soma_tensor_release(model->parameters[i]->public.tensor);
    for (size_t i = 0; i < model->meta_count; i++)
        soma__free(model->meta[i]);
    soma__free(model->meta);
    soma__free(model->parameters);
    soma__free(model->rows);
    soma__arena_clear(&model->arena);
    soma_layer_destroy(model->layer);
    pthread_mutex_destroy(&model->lock);
    soma__free(model);
}

/* --- classes ------------------------------------------------------------------------------------
 */

soma_status soma_model_set_classes(soma_model *model, const char *const *names, int count,
                                   soma_error *err)
{
    if (model->options.task != SOMA_TASK_CLASSIFY)
        return soma__fail(err, SOMA_STATE, "only classify models have class names");
    if (count != model->class_count)
        return soma__fail(err, SOMA_INVALID, "%d class names for a model with %d classes", count,
                          model->class_count);
    const char **copies = soma__arena_array(&model->arena, (size_t)count, sizeof *copies);
    if (!copies)
        return soma__fail(err, SOMA_MEMORY, "out of memory for class names");
    for (int i = 0; i < count; i++) {
        if (!names[i])
            return soma__fail(err, SOMA_INVALID, "class %d has no name", i);
        copies[i] = soma__arena_strdup(&model->arena, names[i]);
        if (!copies[i])
            return soma__fail(err, SOMA_MEMORY, "out of memory for class names");
    }
    model->classes = copies;
    return SOMA_OK;
}

int64_t soma__model_steps(const soma_model *model)
{
    const soma_shape *shape = &model->outputs[0].shape;
    if (model->options.task != SOMA_TASK_CLASSIFY || shape->ndim != 2)
        return 0;
    return model->chain ? shape->dim[0] - shape->dim[1] - 3 : shape->dim[0];
}

bool soma__model_chain(const soma_model *model)
{
    return model->chain && model->options.task == SOMA_TASK_CLASSIFY;
}

int soma_model_class_count(const soma_model *model)
{
    return model->class_count;
}

const char *soma_model_class(const soma_model *model, int index)
{
    return index >= 0 && index < model->class_count ? model->classes[index] : NULL;
}

const soma_model_options *soma_model_get_options(const soma_model *model)
{
    return &model->options;
}

soma_context *soma_model_context(const soma_model *model)
{
    return model->context;
}

int soma_model_input_count(const soma_model *model)
{
    return model->input_count;
}

int soma_model_output_count(const soma_model *model)
{
    return model->output_count;
}

const soma_model_input *soma_model_get_input(const soma_model *model, int index)
{
    return index >= 0 && index < model->input_count ? &model->inputs[index] : NULL;
}

const soma_model_input *soma_model_get_output(const soma_model *model, int index)
{
    return index >= 0 && index < model->output_count ? &model->outputs[index] : NULL;
}
