/* file.c: model files. A model is a safetensors archive: tensors under their names, and in the
 * metadata
 *
 *   soma.model         "1", the version of these rules
 *   soma.version       of the library that wrote it
 *   soma.architecture  the layers, as JSON with the names and keys of recipes
 *   soma.input         shape of one sample, JSON: [28, 28, 1]
 *   soma.input_dtype   "f32" or "u8"
 *   soma.inputs        of a model with several inputs: JSON list of {name, shape, dtype}
 *   soma.task          "classify", "binary", "regress"
 *   soma.classes       JSON list of names (classify)
 *   soma.frozen        JSON list of the parameters that are not trained
 *   any other key      as soma_model_set_meta was given it
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "format/json.h"
#include "nn/nn.h"

#define MODEL_VERSION "1"

/* --- to an archive ------------------------------------------------------------------------------
 */

/* Stores a value as JSON text. NULL stands for a value that could not be made. */
static soma_status set_json(soma__archive *archive, const char *key, const soma__value *value,
                            soma_error *err)
{
    soma__text text = {0};
    char *json;
    if (!value)
        return soma__fail(err, SOMA_MEMORY, "out of memory while describing the model");
    soma__json_write(&text, value, 0);
    SOMA__TRY(soma__text_take(&text, &json, err));
    soma_status status = soma__archive_set_meta(archive, key, json, err);
    soma__free(json);
    return status;
}

static soma__value *shape_value(soma__tree *tree, const soma_shape *shape)
{
    soma__value *list = soma__value_new(tree, SOMA__LIST);
    for (int i = 0; list && i < shape->ndim; i++) {
        soma__value *item = soma__value_int(tree, shape->dim[i]);
        if (!item)
            return NULL;
        soma__value_append(list, item);
    }
    return list;
}

static soma__value *inputs_value(soma__tree *tree, const soma_model *model)
{
    soma__value *list = soma__value_new(tree, SOMA__LIST);
    for (int i = 0; list && i < model->input_count; i++) {
        const soma_model_input *input = &model->inputs[i];
        soma__value *map = soma__value_new(tree, SOMA__MAP);
        soma__value *name = soma__value_string(tree, input->name);
        soma__value *shape = shape_value(tree, &input->shape);
        soma__value *dtype = soma__value_string(tree, soma_dtype_text(input->dtype));
        if (!map || !name || !shape || !dtype || !soma__value_set(tree, map, "name", name) ||
            !soma__value_set(tree, map, "shape", shape) ||
            !soma__value_set(tree, map, "dtype", dtype))
            return NULL;
        soma__value_append(list, map);
    }
    return list;
}

static soma__value *classes_value(soma__tree *tree, const soma_model *model)
{
    soma__value *list = soma__value_new(tree, SOMA__LIST);
    for (int i = 0; list && i < model->class_count; i++) {
        soma__value *item = soma__value_string(tree, model->classes[i]);
        if (!item)
            return NULL;
        soma__value_append(list, item);
    }
    return list;
}

static soma__value *frozen_value(soma__tree *tree, const soma_model *model)
{
    soma__value *list = soma__value_new(tree, SOMA__LIST);
    for (size_t i = 0; list && i < model->parameter_count; i++) {
        const soma_parameter *parameter = &model->parameters[i]->public;
        if (parameter->buffer || parameter->trainable)
            continue;
        soma__value *item = soma__value_string(tree, parameter->name);
        if (!item)
            return NULL;
        soma__value_append(list, item);
    }
    return list;
}

static soma_status describe(const soma_model *model, soma__archive *archive, soma__tree *tree,
                            soma_error *err)
{
    SOMA__TRY(soma__archive_set_meta(archive, "soma.model", MODEL_VERSION, err));
    SOMA__TRY(soma__archive_set_meta(archive, "soma.version", SOMA_VERSION, err));
    SOMA__TRY(
        set_json(archive, "soma.architecture", soma__layer_to_value(tree, model->layer), err));
    SOMA__TRY(set_json(archive, "soma.input", shape_value(tree, &model->options.input), err));
    if (model->input_count > 1)
        SOMA__TRY(set_json(archive, "soma.inputs", inputs_value(tree, model), err));
    SOMA__TRY(soma__archive_set_meta(archive, "soma.input_dtype",
                                     soma_dtype_text(model->options.input_dtype), err));
    SOMA__TRY(
        soma__archive_set_meta(archive, "soma.task", soma__task_text(model->options.task), err));
    if (model->options.task == SOMA_TASK_CLASSIFY)
        SOMA__TRY(set_json(archive, "soma.classes", classes_value(tree, model), err));
    for (size_t i = 0; i < model->meta_count; i += 2)
        SOMA__TRY(soma__archive_set_meta(archive, model->meta[i], model->meta[i + 1], err));
    return set_json(archive, "soma.frozen", frozen_value(tree, model), err);
}

soma_status soma__model_to_archive(const soma_model *model, soma__archive *archive, soma_error *err)
{
    soma__tree tree = {0};
    soma_status status = describe(model, archive, &tree, err);
    soma__tree_clear(&tree);
    for (size_t i = 0; i < model->parameter_count && status == SOMA_OK; i++)
        status = soma__archive_add(archive, model->parameters[i]->public.name,
                                   model->parameters[i]->public.tensor, err);
    return status;
}

soma_status soma_model_save(const soma_model *model, const char *path, soma_error *err)
{
    soma__archive archive = {0};
    soma_status status = soma__model_to_archive(model, &archive, err);
    if (status == SOMA_OK)
        status = soma__archive_write(&archive, path, err);
    soma__archive_clear(&archive);
    return status;
}

/* --- from an archive ----------------------------------------------------------------------------
 */

/* What is being read. */
typedef struct reader {
    const soma__archive *archive;
    const char *source;
    soma_error *err;
    soma_context *context; /* whose kinds of layers are known too; NULL: not needed */
} reader;

static soma_status get_text(reader *r, const char *key, const char **out)
{
    *out = soma__archive_meta(r->archive, key);
    if (!*out)
        return soma__fail(r->err, SOMA_FORMAT, "%s: its metadata lacks '%s'", r->source, key);
    return SOMA_OK;
}

static soma_status get_json(reader *r, const char *key, soma__tree *out)
{
    const char *text;
    char name[512];
    SOMA__TRY(get_text(r, key, &text));
    snprintf(name, sizeof name, "%.400s (%s)", r->source, key);
    return soma__json_parse(out, text, strlen(text), name, r->err);
}

/* False: no list of dimensions. */
static bool shape_of(const soma__value *list, soma_shape *out)
{
    bool ok = list && list->kind == SOMA__LIST && list->count < SOMA_MAX_DIMS;
    for (const soma__value *item = ok ? list->first : NULL; item && ok; item = item->next) {
        ok = item->kind == SOMA__INT;
        out->dim[out->ndim++] = item->integer;
    }
    return ok;
}

static soma_status read_shape(reader *r, soma_shape *out)
{
    soma__tree tree = {0};
    soma_status status = get_json(r, "soma.input", &tree);
    if (status == SOMA_OK && !shape_of(tree.root, out))
        status = soma__fail(r->err, SOMA_FORMAT,
                            "%s: 'soma.input' must be a list of at most %d whole numbers",
                            r->source, SOMA_MAX_DIMS - 1);
    soma__tree_clear(&tree);
    return status;
}

/* False: not what a file says of an input. Names are borrowed from the value. */
static bool input_of(const soma__value *map, soma_model_input *out)
{
    const soma__value *name = soma__value_find(map, "name");
    const soma__value *dtype = soma__value_find(map, "dtype");
    if (!name || name->kind != SOMA__STRING || !dtype || dtype->kind != SOMA__STRING ||
        !shape_of(soma__value_find(map, "shape"), &out->shape))
        return false;
    out->name = name->text;
    out->dtype = strcmp(dtype->text, "u8") == 0 ? SOMA_U8 : SOMA_F32;
    return out->dtype == SOMA_U8 || strcmp(dtype->text, "f32") == 0;
}

/* Several inputs, into `inputs` (SOMA_MODEL_INPUTS entries); `tree` keeps their names. */
static soma_status read_inputs(reader *r, soma__tree *tree, soma_model_input *inputs,
                               soma_model_options *options)
{
    if (!soma__archive_meta(r->archive, "soma.inputs"))
        return SOMA_OK;
    SOMA__TRY(get_json(r, "soma.inputs", tree));
    const soma__value *list = tree->root;
    bool ok = list->kind == SOMA__LIST && list->count > 1 && list->count <= SOMA_MODEL_INPUTS;
    for (const soma__value *item = ok ? list->first : NULL; item && ok; item = item->next)
        ok = item->kind == SOMA__MAP && input_of(item, &inputs[options->input_count++]);
    options->inputs = inputs;
    return ok ? SOMA_OK
              : soma__fail(
                    r->err, SOMA_FORMAT,
                    "%s: 'soma.inputs' must be a list of 2 to %d inputs with name, shape and "
                    "dtype",
                    r->source, SOMA_MODEL_INPUTS);
}

static soma_status read_choices(reader *r, soma_model_options *options)
{
    const char *dtype, *task;
    SOMA__TRY(get_text(r, "soma.input_dtype", &dtype));
    SOMA__TRY(get_text(r, "soma.task", &task));
    if (strcmp(dtype, "f32") != 0 && strcmp(dtype, "u8") != 0)
        return soma__fail(r->err, SOMA_FORMAT, "%s: the input is f32 or u8, not '%s'", r->source,
                          dtype);
    options->input_dtype = strcmp(dtype, "u8") == 0 ? SOMA_U8 : SOMA_F32;
    for (int i = SOMA_TASK_CLASSIFY; i <= SOMA_TASK_REGRESS; i++)
        if (strcmp(soma__task_text((soma_task)i), task) == 0) {
            options->task = (soma_task)i;
            return SOMA_OK;
        }
    return soma__fail(r->err, SOMA_FORMAT, "%s: unknown task '%s'", r->source, task);
}

static soma_status read_layers(reader *r, soma_layer **out)
{
    soma__tree tree = {0};
    soma_status status = get_json(r, "soma.architecture", &tree);
    if (status == SOMA_OK) {
        tree.layers = soma__context_layers(r->context);
        status = soma__layer_from_value(out, &tree, tree.root, "layers", r->err);
        /* The user did not write this, so it is a matter of the file. */
        if (status != SOMA_OK && status != SOMA_MEMORY)
            status = soma__fail_within(r->err, SOMA_FORMAT, "%s", r->source);
    }
    soma__tree_clear(&tree);
    return status;
}

/* True if the metadata entry is a list of strings. */
static bool all_text(const soma__value *list)
{
    if (list->kind != SOMA__LIST)
        return false;
    for (const soma__value *item = list->first; item; item = item->next)
        if (item->kind != SOMA__STRING)
            return false;
    return true;
}

static soma_status apply_classes(reader *r, soma_model *model)
{
    soma__tree tree = {0};
    const char **names = NULL;
    int count = 0;

    if (model->options.task != SOMA_TASK_CLASSIFY)
        return SOMA_OK;
    soma_status status = get_json(r, "soma.classes", &tree);
    if (status == SOMA_OK && !all_text(tree.root))
        status = soma__fail(r->err, SOMA_FORMAT, "%s: 'soma.classes' must be a list of names",
                            r->source);
    if (status == SOMA_OK) {
        names = soma__arena_array(&tree.arena, (size_t)tree.root->count + 1, sizeof *names);
        if (!names)
            status = soma__fail(r->err, SOMA_MEMORY, "out of memory for class names");
    }
    for (const soma__value *item = names ? tree.root->first : NULL; item; item = item->next)
        names[count++] = item->text;
    if (status == SOMA_OK) {
        status = soma_model_set_classes(model, names, count, r->err);
        if (status == SOMA_INVALID)
            status = soma__fail_within(r->err, status, "%s", r->source);
    }
    soma__tree_clear(&tree);
    return status;
}

static soma_status apply_frozen(reader *r, soma_model *model)
{
    soma__tree tree = {0};
    soma_status status = get_json(r, "soma.frozen", &tree);
    if (status == SOMA_OK && !all_text(tree.root))
        status =
            soma__fail(r->err, SOMA_FORMAT, "%s: 'soma.frozen' must be a list of names", r->source);
    if (status == SOMA_OK)
        for (size_t i = 0; i < model->parameter_count; i++)
            if (!model->parameters[i]->public.buffer)
                model->parameters[i]->public.trainable = true;
    for (const soma__value *item = status == SOMA_OK ? tree.root->first : NULL;
         item && status == SOMA_OK; item = item->next) {
        int index = soma__model_index(model, item->text, -1);
        if (index < 0)
            status = soma__fail(r->err, SOMA_FORMAT, "%s: 'soma.frozen' names the unknown '%s'",
                                r->source, item->text);
        else
            model->parameters[index]->public.trainable = false;
    }
    soma__tree_clear(&tree);
    return status;
}

typedef soma_status set_scaling(soma_model *model, const soma_tensor *shift,
                                const soma_tensor *scale, soma_error *err);

static soma_status apply_pair(reader *r, soma_model *model, const char *shift_name,
                              const char *scale_name, set_scaling *set)
{
    const soma_tensor *shift = soma__archive_find(r->archive, shift_name);
    const soma_tensor *scale = soma__archive_find(r->archive, scale_name);
    if (!shift && !scale)
        return SOMA_OK;
    if (!shift || !scale)
        return soma__fail(r->err, SOMA_FORMAT, "%s has one of %s and %s, not both", r->source,
                          shift_name, scale_name);
    soma_status status = set(model, shift, scale, r->err);
    return status == SOMA_OK ? status : soma__fail_within(r->err, status, "%s", r->source);
}

static soma_status apply_scaling(reader *r, soma_model *model)
{
    SOMA__TRY(apply_pair(r, model, "input.shift", "input.scale", soma_model_set_scaling));
    return apply_pair(r, model, "target.shift", "target.scale", soma_model_set_target_scaling);
}

static soma_status apply_meta(reader *r, soma_model *model)
{
    for (size_t i = 0; i < r->archive->meta_count; i++) {
        const char *key = r->archive->meta[i].key;
        if (*key && strncmp(key, "soma.", 5) != 0)
            SOMA__TRY(soma_model_set_meta(model, key, r->archive->meta[i].value, r->err));
    }
    return SOMA_OK;
}

/* Tensors that the architecture does not have are a sign that file and architecture do not belong
 * together. */
static soma_status refuse_others(reader *r, const soma_model *model)
{
    int hint = 0;
    for (size_t i = 0; i < r->archive->count; i++) {
        const char *name = r->archive->entries[i].name;
        if (strchr(name, '/'))
            continue;
        int index = soma__model_index(model, name, hint);
        if (index < 0)
            return soma__fail(r->err, SOMA_FORMAT,
                              "%s holds the tensor '%s', which its architecture does not have",
                              r->source, name);
        hint = index + 1;
    }
    return SOMA_OK;
}

soma_status soma__model_from_archive(soma_model **out, soma_context *context,
                                     const soma__archive *archive, const char *source,
                                     soma_error *err)
{
    reader r = {archive, source, err, context};
    soma_model_options options = {0};
    soma_model_input inputs[SOMA_MODEL_INPUTS] = {0};
    soma__tree names = {0};
    soma_layer *layer;
    soma_model *model;

    *out = NULL;
    const char *version = soma__archive_meta(archive, "soma.model");
    if (!version)
        return soma__fail(err, SOMA_FORMAT,
                          "%s is not a model that soma saved: it has tensors, but no architecture; "
                          "make the model first and load these weights into it",
                          source);
    if (strcmp(version, MODEL_VERSION) != 0) {
        const char *by = soma__archive_meta(archive, "soma.version");
        return soma__fail(
            err, SOMA_UNSUPPORTED,
            "%s has model version '%s' (written by soma %s); soma %s reads version %s", source,
            version, by ? by : "?", SOMA_VERSION, MODEL_VERSION);
    }
    SOMA__TRY(read_shape(&r, &options.input));
    SOMA__TRY(read_choices(&r, &options));
    SOMA__TRY(read_layers(&r, &layer));
    soma_status status = read_inputs(&r, &names, inputs, &options);
    if (status == SOMA_OK)
        status = soma__model_create(&model, context, layer, &options, archive, source, NULL, err);
    else
        soma_layer_destroy(layer);
    soma__tree_clear(&names);
    SOMA__TRY(status);
    status = apply_scaling(&r, model);
    if (status == SOMA_OK)
        status = refuse_others(&r, model);
    if (status == SOMA_OK)
        status = apply_classes(&r, model);
    if (status == SOMA_OK)
        status = apply_frozen(&r, model);
    if (status == SOMA_OK)
        status = apply_meta(&r, model);
    if (status != SOMA_OK) {
        soma_model_destroy(model);
        return status;
    }
    *out = model;
    return SOMA_OK;
}

soma_status soma_model_load(soma_model **out, soma_context *context, const char *path,
                            soma_error *err)
{
    soma__archive archive = {0};
    *out = NULL;
    SOMA__TRY(soma__archive_read(&archive, path, err));
    soma_status status = soma__model_from_archive(out, context, &archive, path, err);
    soma__archive_clear(&archive);
    return status;
}

/* --- weights only -------------------------------------------------------------------------------
 */

/* Finds and checks all weights; nothing is changed yet. A scaling that the file lacks stays. */
static soma_status match_weights(const soma_model *model, const soma__archive *archive,
                                 const char *source, soma_error *err)
{
    char left[SOMA_SHAPE_TEXT_SIZE], right[SOMA_SHAPE_TEXT_SIZE];
    for (size_t i = 0; i < model->parameter_count; i++) {
        const soma_parameter *parameter = &model->parameters[i]->public;
        if (model->parameters[i]->row < 0)
            continue;
        const soma_tensor *tensor = soma__archive_find(archive, parameter->name);
        if (!tensor)
            return soma__fail(err, SOMA_NOT_FOUND, "%s lacks the tensor '%s'", source,
                              parameter->name);
        if (!soma_dtype_is_float(soma_tensor_dtype(tensor)))
            return soma__fail(err, SOMA_DTYPE, "'%s' in %s is %s, must be a float", parameter->name,
                              source, soma_dtype_text(soma_tensor_dtype(tensor)));
        if (!soma_shape_equal(soma_tensor_shape(tensor), soma_tensor_shape(parameter->tensor)))
            return soma__fail(
                err, SOMA_SHAPE, "'%s' is %s in %s, but %s in the model", parameter->name,
                soma_shape_text(soma_tensor_shape(tensor), left, sizeof left), source,
                soma_shape_text(soma_tensor_shape(parameter->tensor), right, sizeof right));
    }
    for (size_t i = 0; i < archive->count; i++) {
        const char *name = archive->entries[i].name, *last = strrchr(name, '.');
        bool ignored = strchr(name, '/') || strncmp(name, "input.", 6) == 0 ||
                       strncmp(name, "target.", 7) == 0 ||
                       (last && strcmp(last, ".num_batches_tracked") == 0);
        if (!ignored && soma__model_index(model, name, -1) < 0)
            return soma__fail(err, SOMA_NOT_FOUND,
                              "%s holds the tensor '%s', which the model does not have", source,
                              name);
    }
    return SOMA_OK;
}

soma_status soma__model_copy_weights(soma_model *model, const soma__archive *archive,
                                     const char *source, soma_error *err)
{
    reader r = {archive, source, err, NULL};
    SOMA__TRY(match_weights(model, archive, source, err));
    SOMA__TRY(apply_scaling(&r, model));
    for (size_t i = 0; i < model->parameter_count; i++) {
        const soma_parameter *parameter = &model->parameters[i]->public;
        if (model->parameters[i]->row < 0)
            continue;
        const soma_tensor *from = soma__archive_find(archive, parameter->name);
        if (soma_tensor_dtype(from) == SOMA_F32) {
            memcpy(soma__tensor_write(parameter->tensor), soma_tensor_const_data(from),
                   soma_tensor_bytes(from));
            continue;
        }
        int64_t count = soma_tensor_count(from);
        for (int64_t k = 0; k < count; k++)
            soma_tensor_set(parameter->tensor, k, soma_tensor_get(from, k));
    }
    return SOMA_OK;
}

soma_status soma_model_load_weights(soma_model *model, const char *path, soma_error *err)
{
    soma__archive archive = {0};
    SOMA__TRY(soma__archive_read(&archive, path, err));
    soma_status status = soma__model_copy_weights(model, &archive, path, err);
    soma__archive_clear(&archive);
    return status;
}
