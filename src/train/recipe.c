/* recipe.c: from a YAML file to data, model and training options. One field table per section says
 * its keys, types and ranges; the layers of `model` have theirs in the layer registry. */
#include "soma/recipe.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/file.h"
#include "base/value.h"
#include "data/dataset.h"
#include "data/folder.h"
#include "data/options.h"
#include "data/text.h"
#include "data/transform.h"
#include "format/embedded.h"
#include "format/yaml.h"
#include "nn/nn.h"
#include "optim/optim.h"
#include "train/loss.h"
#include "train/train.h"

typedef struct top_section {
    const char *name, *description;
    int64_t seed;
    int task; /* soma_task */
    const soma__value *data, *model, *train;
} top_section;

typedef struct train_section {
    int64_t epochs, steps, accumulate, patience, checkpoint_steps, loader_threads;
    const soma__value *batch, *buckets;
    const char *monitor;
    int mode; /* soma_monitor_mode */
    double min_delta;
    bool keep_last, no_shuffle, balanced;
    const soma__value *optimizer, *loss;
    int precision; /* of precision_names */
} train_section;

struct soma_recipe {
    soma__tree tree;
    char *name;
    char *folder; /* where data is looked for; NULL: the usual places */
    top_section top;
    soma__data_options data;
    soma_transform *transforms;
    int transform_count;
    uint64_t seed;
    soma_train_options options;
};

/* --- tables -------------------------------------------------------------------------------------
 */

static const char *const mode_names[] = {"auto", "min", "max", NULL};
static const char *const precision_names[] = {"f32", "bf16", NULL};
static const char *const task_names[] = {"classify", "binary", "regress", NULL};

#define TOP(member_) offsetof(top_section, member_)
static const soma__field top_fields[] = {
    {.key = "name", .kind = SOMA__FIELD_STRING, .offset = TOP(name), .doc = "for messages"},
    {.key = "description",
     .kind = SOMA__FIELD_STRING,
     .offset = TOP(description),
     .doc = "for people"},
    {.key = "seed",
     .kind = SOMA__FIELD_INT,
     .offset = TOP(seed),
     .min = 0,
     .max = 9e18,
     .doc = "of weights, split and order; 1"},
    {.key = "task",
     .kind = SOMA__FIELD_ENUM,
     .offset = TOP(task),
     .choices = task_names,
     .doc = "what the model learns; classify"},
    {.key = "data",
     .kind = SOMA__FIELD_VALUE,
     .offset = TOP(data),
     .required = true,
     .doc = "where samples come from"},
    {.key = "model",
     .kind = SOMA__FIELD_VALUE,
     .offset = TOP(model),
     .required = true,
     .doc = "the layers"},
    {.key = "train", .kind = SOMA__FIELD_VALUE, .offset = TOP(train), .doc = "how to train"},
};

#define TRAIN(member_) offsetof(train_section, member_)
static const soma__field train_fields[] = {
    {.key = "epochs",
     .kind = SOMA__FIELD_INT,
     .offset = TRAIN(epochs),
     .min = 1,
     .max = 1e9,
     .doc = "passes over the training part; 10"},
    {.key = "steps",
     .kind = SOMA__FIELD_INT,
     .offset = TRAIN(steps),
     .min = 0,
     .max = 1e15,
     .doc = "updates, in place of epochs: the last epoch ends where they do; 0: by epochs"},
    {.key = "batch",
     .kind = SOMA__FIELD_VALUE,
     .offset = TRAIN(batch),
     .doc = "samples a step, or all; 32"},
    {.key = "buckets",
     .kind = SOMA__FIELD_VALUE,
     .offset = TRAIN(buckets),
     .doc = "list of lengths that batches of sequences may be cut to; none"},
    {.key = "accumulate",
     .kind = SOMA__FIELD_INT,
     .offset = TRAIN(accumulate),
     .min = 1,
     .max = 1e9,
     .doc = "batches whose gradients make one update; 1"},
    {.key = "precision",
     .kind = SOMA__FIELD_ENUM,
     .offset = TRAIN(precision),
     .choices = precision_names,
     .doc = "of the factors in dense and convolution layers; f32"},
    {.key = "monitor",
     .kind = SOMA__FIELD_STRING,
     .offset = TRAIN(monitor),
     .doc = "metric that chooses the best epoch; validation.loss"},
    {.key = "mode",
     .kind = SOMA__FIELD_ENUM,
     .offset = TRAIN(mode),
     .choices = mode_names,
     .doc = "which value of it is better; auto"},
    {.key = "optimizer",
     .kind = SOMA__FIELD_VALUE,
     .offset = TRAIN(optimizer),
     .doc = "its name, or a map with `kind`; sgd"},
    {.key = "loss",
     .kind = SOMA__FIELD_VALUE,
     .offset = TRAIN(loss),
     .doc = "a name, or a name with options; the task's own"},
    {.key = "patience",
     .kind = SOMA__FIELD_INT,
     .offset = TRAIN(patience),
     .min = 0,
     .max = 1e9,
     .doc = "early stopping: epochs without a better value of the metric; 0 is off"},
    {.key = "min_delta",
     .kind = SOMA__FIELD_FLOAT,
     .offset = TRAIN(min_delta),
     .min = 0,
     .max = 1e9,
     .doc = "what counts as better; 0"},
    {.key = "keep_last",
     .kind = SOMA__FIELD_BOOL,
     .offset = TRAIN(keep_last),
     .doc = "end with the last weights, not the best; false"},
    {.key = "balanced",
     .kind = SOMA__FIELD_BOOL,
     .offset = TRAIN(balanced),
     .doc = "each class as often as any other, samples drawn with replacement; false"},
    {.key = "no_shuffle",
     .kind = SOMA__FIELD_BOOL,
     .offset = TRAIN(no_shuffle),
     .doc = "keep the order of samples; false"},
    {.key = "checkpoint_steps",
     .kind = SOMA__FIELD_INT,
     .offset = TRAIN(checkpoint_steps),
     .min = 0,
     .max = 1e15,
     .doc = "also save every so many steps; 0: each epoch"},
    {.key = "loader_threads",
     .kind = SOMA__FIELD_INT,
     .offset = TRAIN(loader_threads),
     .min = 0,
     .max = 256,
     .doc = "threads that prepare batches; 1"},
};

#define COUNT_OF(array_) (sizeof(array_) / sizeof((array_)[0]))

/* Built-in recipes are the embedded files "recipe/NAME". */
static const char builtin_prefix[] = "recipe/";

/* --- loading ------------------------------------------------------------------------------------
 */

/* A number, or "all". */
static soma_status read_batch(int64_t *out, const soma__tree *tree, const soma__value *value,
                              soma_error *err)
{
    if (!value || value->kind == SOMA__NULL)
        return SOMA_OK;
    if (value->kind == SOMA__STRING && strcmp(value->text, "all") == 0) {
        *out = SOMA_BATCH_ALL;
        return SOMA_OK;
    }
    if (value->kind != SOMA__INT || value->integer < 1 || value->integer > 1000000000)
        return soma__value_fail(tree, value, err,
                                "train.batch: must be from 1 to 1000000000, or all, got %s%s%s",
                                value->text ? "'" : "", value->text ? value->text : "a list or map",
                                value->text ? "'" : "");
    *out = value->integer;
    return SOMA_OK;
}

/* A list of whole numbers; whether they rise and fit the samples, the loader says. */
static soma_status read_buckets(soma_train_options *out, soma__tree *tree, const soma__value *value,
                                soma_error *err)
{
    if (!value || value->kind == SOMA__NULL)
        return SOMA_OK;
    if (value->kind != SOMA__LIST || value->count > SOMA_BUCKETS)
        return soma__value_fail(
            tree, value, err, "train.buckets: expected a list of at most %d lengths", SOMA_BUCKETS);
    int64_t *lengths = soma__arena_array(&tree->arena, (size_t)value->count + 1, sizeof *lengths);
    if (!lengths)
        return soma__fail(err, SOMA_MEMORY, "no memory for buckets");
    for (const soma__value *item = value->first; item; item = item->next) {
        if (item->kind != SOMA__INT)
            return soma__value_fail(tree, item, err,
                                    "train.buckets: expected whole numbers, got %s",
                                    soma__value_kind_text(item->kind));
        lengths[out->bucket_count++] = item->integer;
    }
    out->buckets = lengths;
    return SOMA_OK;
}

static soma_status read_train(soma_recipe *recipe, soma_error *err)
{
    train_section section = {0};
    if (recipe->top.train)
        SOMA__TRY(soma__fields_read(train_fields, COUNT_OF(train_fields), &section, &recipe->tree,
                                    recipe->top.train, "train", err));
    SOMA__TRY(soma__optimizer_read(&recipe->options.optimizer, &recipe->tree, section.optimizer,
                                   "train.optimizer", err));
    SOMA__TRY(
        soma__loss_read(&recipe->options.loss, &recipe->tree, section.loss, "train.loss", err));
    soma_train_options *o = &recipe->options;
    o->epochs = section.epochs;
    o->steps = section.steps;
    SOMA__TRY(read_batch(&o->batch, &recipe->tree, section.batch, err));
    SOMA__TRY(read_buckets(o, &recipe->tree, section.buckets, err));
    o->accumulate = section.accumulate;
    o->precision = section.precision ? SOMA_BF16 : SOMA_F32;
    o->monitor = section.monitor;
    o->monitor_mode = (soma_monitor_mode)section.mode;
    o->patience = section.patience;
    o->min_delta = section.min_delta;
    o->keep_last = section.keep_last;
    o->no_shuffle = section.no_shuffle;
    o->balanced = section.balanced;
    o->checkpoint_steps = section.checkpoint_steps;
    o->loader_threads = (int)section.loader_threads;
    return SOMA_OK;
}

static soma_status read_sections(soma_recipe *recipe, soma_error *err)
{
    const soma__tree *tree = &recipe->tree;
    if (!tree->root || tree->root->kind != SOMA__MAP)
        return soma__fail(err, SOMA_INVALID, "%s: a recipe is a map with data, model and train",
                          tree->source);
    recipe->top.seed = 1;
    SOMA__TRY(soma__fields_read(top_fields, COUNT_OF(top_fields), &recipe->top, tree, tree->root,
                                "recipe", err));
    recipe->data = soma__data_defaults();
    SOMA__TRY(soma__fields_read(soma__data_fields, (size_t)soma__data_field_count, &recipe->data,
                                tree, recipe->top.data, "data", err));
    SOMA__TRY(soma__transforms_read(&recipe->transforms, &recipe->transform_count, tree,
                                    recipe->data.transforms, "data.transforms", err));
    SOMA__TRY(read_train(recipe, err));
    soma_recipe_set_seed(recipe, (uint64_t)recipe->top.seed);
    return SOMA_OK;
}

/* "a/b/name.yaml" -> "name" */
static char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *start = slash ? slash + 1 : path;
    const char *dot = strrchr(start, '.');
    return soma__strndup(start, dot && dot != start ? (size_t)(dot - start) : strlen(start));
}

/* A built-in recipe, or else a file: a folder of runs that is called like a recipe (or a file, then
 * "./name" means it) does not get into the way. */
static soma_status read_tree(soma_recipe *recipe, const char *path, soma_error *err)
{
    char file[128];
    const void *text;
    size_t size;
    int length = snprintf(file, sizeof file, "%s%s", builtin_prefix, path);
    if (length > 0 && (size_t)length < sizeof file && soma__embedded_find(file, &text, &size)) {
        snprintf(file, sizeof file, "%.100s.yaml", path);
        return soma__yaml_parse(&recipe->tree, text, size, file, err);
    }
    if (soma__file_exists(path))
        return soma__yaml_read(&recipe->tree, path, err);
    const char *names[64];
    size_t count = 0;
    while (count < COUNT_OF(names) && (names[count] = soma_recipe_builtin((int)count)) != NULL)
        count++;
    const char *near = soma__nearest(path, names, count);
    return soma__fail(err, SOMA_NOT_FOUND,
                      "there is no recipe file and no built-in recipe '%s'%s%s%s; `soma train "
                      "--list` lists them",
                      path, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

soma_status soma_recipe_load(soma_recipe **out, const char *path, const char *const *overrides,
                             int override_count, const char *folder, soma_error *err)
{
    *out = NULL;
    soma_recipe *recipe = soma__calloc(1, sizeof *recipe);
    if (!recipe)
        return soma__fail(err, SOMA_MEMORY, "no memory for the recipe");
    soma_status status = read_tree(recipe, path, err);
    for (int i = 0; i < override_count && status == SOMA_OK; i++)
        status = soma__value_override(&recipe->tree, overrides[i], err);
    if (status == SOMA_OK)
        status = read_sections(recipe, err);
    if (status == SOMA_OK) {
        recipe->name = recipe->top.name ? soma__strdup(recipe->top.name) : name_of(path);
        recipe->folder = folder ? soma__strdup(folder) : NULL;
        if (!recipe->name || (folder && !recipe->folder))
            status = soma__fail(err, SOMA_MEMORY, "no memory for the recipe");
    }
    if (status != SOMA_OK) {
        soma_recipe_destroy(recipe);
        return status;
    }
    *out = recipe;
    return SOMA_OK;
}

void soma_recipe_destroy(soma_recipe *recipe)
{
    if (!recipe)
        return;
    soma__tree_clear(&recipe->tree);
    soma__free(recipe->name);
    soma__free(recipe->folder);
    soma__free(recipe->transforms);
    soma__free(recipe);
}

const char *soma_recipe_name(const soma_recipe *recipe)
{
    return recipe->name;
}
const char *soma_recipe_description(const soma_recipe *recipe)
{
    return recipe->top.description ? recipe->top.description : "";
}
uint64_t soma_recipe_seed(const soma_recipe *recipe)
{
    return recipe->seed;
}
const soma_train_options *soma_recipe_options(const soma_recipe *recipe)
{
    return &recipe->options;
}

void soma_recipe_set_seed(soma_recipe *recipe, uint64_t seed)
{
    recipe->seed = seed;
    recipe->options.seed = seed;
}

const char *soma_recipe_builtin(int index)
{
    const char *name;
    for (size_t i = 0; index >= 0 && (name = soma__embedded_name(i)) != NULL; i++)
        if (strncmp(name, builtin_prefix, sizeof builtin_prefix - 1) == 0 && index-- == 0)
            return name + sizeof builtin_prefix - 1;
    return NULL;
}

/* --- data ---------------------------------------------------------------------------------------
 */

soma__target soma__task_target(soma_task task)
{
    return task == SOMA_TASK_CLASSIFY ? SOMA__TARGET_CLASSES
           : task == SOMA_TASK_BINARY ? SOMA__TARGET_BINARY
                                      : SOMA__TARGET_NUMBERS;
}

/* Tables come as rows: what is fitted to them waits until the training part is known. */
static soma_status open_data(const soma_recipe *recipe, soma_data *out, soma_error *err)
{
    const soma__target target = soma__task_target((soma_task)recipe->top.task);
    return soma__data_open(out, &recipe->data, &target, &recipe->tree, recipe->top.data,
                           recipe->folder, recipe->seed, err);
}

/* Puts the transforms over one part, whose reference it takes over. */
static soma_status transform_part(const soma_recipe *recipe, soma_dataset **part, bool training,
                                  soma_error *err)
{
    soma_dataset *plain = *part;
    if (!plain || !recipe->transform_count)
        return SOMA_OK;
    soma_status status = soma_dataset_transform(
        part, plain, recipe->transforms, recipe->transform_count, training, recipe->seed, err);
    soma_dataset_release(plain);
    if (status != SOMA_OK)
        return soma__fail_within(err, status, "%s:%d: data", recipe->tree.source,
                                 recipe->data.transforms->line);
    return SOMA_OK;
}

/* An autoencoder's targets are its inputs, as they are before transforms. */
static soma_status reconstruct_parts(const soma_recipe *recipe, soma_data *out, soma_error *err)
{
    if (!recipe->data.target)
        return SOMA_OK;
    if (recipe->top.task != SOMA_TASK_REGRESS)
        return soma__value_fail(&recipe->tree, recipe->top.data, err,
                                "data.target: input is for `task: regress`");
    SOMA__TRY(soma__dataset_mirror(&out->train, err));
    SOMA__TRY(soma__dataset_mirror(&out->validation, err));
    return soma__dataset_mirror(&out->test, err);
}

/* Splits the validation part off the training part, turns rows of tables and texts into features,
 * then puts the transforms over all. */
static soma_status finish_parts(const soma_recipe *recipe, soma_data *out, soma_error *err)
{
    if (recipe->data.validation > 0 && !out->validation) {
        soma_dataset *all = out->train;
        soma_status status = soma_dataset_split(&out->train, &out->validation, all,
                                                recipe->data.validation, recipe->seed, err);
        soma_dataset_release(all);
        if (status != SOMA_OK)
            return soma__fail_within(err, status, "%s: data.validation", recipe->tree.source);
    }
    SOMA__TRY(soma__data_encode(out, err));
    SOMA__TRY(reconstruct_parts(recipe, out, err));
    SOMA__TRY(transform_part(recipe, &out->train, true, err));
    SOMA__TRY(transform_part(recipe, &out->validation, false, err));
    return transform_part(recipe, &out->test, false, err);
}

soma_status soma_recipe_data(const soma_recipe *recipe, soma_data *out, soma_error *err)
{
    *out = (soma_data){0};
    soma_status status = open_data(recipe, out, err);
    if (status == SOMA_OK)
        status = finish_parts(recipe, out, err);
    if (status != SOMA_OK)
        soma_data_clear(out);
    return status;
}

soma_status soma_recipe_fold(const soma_recipe *recipe, int folds, int fold, soma_data *out,
                             soma_error *err)
{
    *out = (soma_data){0};
    soma_status status = open_data(recipe, out, err);
    bool cut = false;
    if (status == SOMA_OK)
        status = soma__series_fold(out, folds, fold, recipe->data.validation, &cut, err);
    if (status == SOMA_OK && !cut) {
        soma_dataset *all = out->train;
        soma_dataset_release(out->test);
        status = soma_dataset_fold(&out->train, &out->test, all, folds, fold, recipe->seed, err);
        soma_dataset_release(all);
    }
    if (status == SOMA_OK)
        status = finish_parts(recipe, out, err);
    if (status != SOMA_OK)
        soma_data_clear(out);
    return status;
}

soma_status soma_dataset_open(soma_dataset **out, const char *what, const char *folder,
                              const char *label, bool regress, soma_error *err)
{
    *out = NULL;
    const char *comma = strchr(what, ',');
    if (comma) {
        char *images = soma__strndup(what, (size_t)(comma - what));
        soma_status status = images ? soma_dataset_open_idx(out, images, comma + 1, err)
                                    : soma__fail(err, SOMA_MEMORY, "no memory for a path");
        soma__free(images);
        return status;
    }
    if (soma__ends_with(what, ".csv") || soma__ends_with(what, ".csv.gz"))
        return soma_dataset_open_csv(out, what, label, regress, err);
    soma_data data;
    if (soma__is_folder(what) && strchr(what, '/'))
        SOMA__TRY(soma__folder_open(&data, what, &(soma__folder_options){0}, err));
    else
        SOMA__TRY(soma_data_open(&data, what, folder, err));
    *out = soma_dataset_retain(data.test ? data.test : data.train);
    soma_data_clear(&data);
    return SOMA_OK;
}

/* --- model --------------------------------------------------------------------------------------
 */

static soma_status set_classes(soma_model *model, const soma_dataset *dataset, soma_error *err)
{
    int count = soma_dataset_class_count(dataset);
    if (count < 1 || !soma_dataset_class(dataset, 0) || count != soma_model_class_count(model))
        return SOMA_OK;
    const char **names = soma__calloc((size_t)count, sizeof *names);
    if (!names)
        return soma__fail(err, SOMA_MEMORY, "no memory for class names");
    for (int i = 0; i < count; i++)
        names[i] = soma_dataset_class(dataset, i);
    soma_status status = soma_model_set_classes(model, names, count, err);
    soma__free(names);
    return status;
}

static soma_status scale_targets(const soma_recipe *recipe, soma_model *model,
                                 const soma_data *data, soma_error *err)
{
    soma_tensor *shift, *scale;
    if (!recipe->data.target_scale)
        return SOMA_OK;
    if (recipe->top.task != SOMA_TASK_REGRESS)
        return soma__value_fail(
            &recipe->tree, recipe->top.data, err,
            "data.target_scale: only the targets of `task: regress` are scaled");
    SOMA__TRY(
        soma__target_scaling_fit(&shift, &scale, data->train, recipe->data.target_scale == 2, err));
    soma_status status = soma_model_set_target_scaling(model, shift, scale, err);
    soma_tensor_release(shift);
    soma_tensor_release(scale);
    return status;
}

/* How pictures are brought to their size, and how a table's columns or texts become features, goes
 * into the model file, for `soma predict`. */
static soma_status keep_encoding(soma_model *model, const soma_dataset *train, soma_error *err)
{
    const soma__encoding *encoding = soma__dataset_encoding(train);
    char *text;
    int fit = soma__dataset_fit(train);
    if (fit >= 0)
        return soma_model_set_meta(model, SOMA__PICTURE_META,
                                   fit == SOMA__FIT_CROP ? "crop" : "stretch", err);
    const soma__text_encoding *texts = soma__dataset_text(train);
    const soma__series_encoding *series = soma__dataset_series(train);
    const char *key = encoding ? SOMA__TABLE_META : texts ? SOMA__TEXT_META : SOMA__SERIES_META;
    if (!encoding && !texts && !series)
        return SOMA_OK;
    SOMA__TRY(encoding ? soma__encoding_text(&text, encoding, err)
              : texts  ? soma__text_encoding_text(&text, texts, err)
                       : soma__series_encoding_text(&text, series, err));
    soma_status status = soma_model_set_meta(model, key, text, err);
    soma__free(text);
    return status;
}

/* What evaluation does to samples goes there too. */
static soma_status keep_transforms(soma_model *model, const soma_dataset *train, soma_error *err)
{
    char *text;
    SOMA__TRY(soma__transforms_text(&text, train, err));
    soma_status status =
        text ? soma_model_set_meta(model, SOMA__TRANSFORMS_META, text, err) : SOMA_OK;
    soma__free(text);
    return status;
}

static soma_status prepare(const soma_recipe *recipe, soma_model *model, const soma_data *data,
                           soma_error *err)
{
    soma_scaling kind = (soma_scaling)recipe->data.scale;
    if (kind != SOMA_SCALE_NONE) {
        soma_tensor *shift, *scale;
        SOMA__TRY(soma_scaling_fit(&shift, &scale, data->train, kind, err));
        soma_status status = soma_model_set_scaling(model, shift, scale, err);
        soma_tensor_release(shift);
        soma_tensor_release(scale);
        SOMA__TRY(status);
    }
    SOMA__TRY(scale_targets(recipe, model, data, err));
    SOMA__TRY(keep_encoding(model, data->train, err));
    if (recipe->data.target)
        SOMA__TRY(soma_model_set_meta(model, SOMA__TARGET_META, "input", err));
    SOMA__TRY(keep_transforms(model, data->train, err));
    return set_classes(model, data->train, err);
}

soma_status soma_recipe_model(const soma_recipe *recipe, soma_context *context,
                              const soma_data *data, soma_model **out, soma_error *err)
{
    *out = NULL;
    soma_layer *layer;
    /* A view of the recipe's tree that knows the context's layers. */
    soma__tree tree = recipe->tree;
    tree.layers = soma__context_layers(context);
    SOMA__TRY(soma__layer_from_value(&layer, &tree, recipe->top.model, "model", err));
    soma_model_options options = {.input = *soma_dataset_x_shape(data->train),
                                  .input_dtype = soma_dataset_x_dtype(data->train),
                                  .task = (soma_task)recipe->top.task,
                                  .seed = recipe->seed};
    /* Pairs of texts are a source and a target, side by side in a sample. */
    const soma__text_encoding *texts = soma__dataset_text(data->train);
    const soma_model_input pair[2] = {{.shape = SOMA_SHAPE(texts ? texts->length : 0)},
                                      {.shape = SOMA_SHAPE(texts ? texts->target : 0)}};
    if (texts && texts->target) {
        options.inputs = pair;
        options.input_count = 2;
    }
    int line = 0;
    soma_status status = soma__model_create(out, context, layer, &options, NULL, NULL, &line, err);
    if (status != SOMA_OK)
        return soma__fail_within(err, status, "%s:%d", recipe->tree.source,
                                 line ? line : recipe->top.model->line);
    status = soma_model_set_precision(*out, recipe->options.precision, err);
    if (status == SOMA_OK)
        status = prepare(recipe, *out, data, err);
    if (status != SOMA_OK) {
        soma_model_destroy(*out);
        *out = NULL;
    }
    return status;
}
