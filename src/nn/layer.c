/* layer.c: the registry, layers as objects, and the walk that builds their graph. */
#include "nn/carry.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "nn/nn.h"

/* --- the registry ------------------------------------------------------------------------------
 */

static const soma__layer_type *const types[] = {
#define LAYER(name_) &soma__layer_##name_,
#include "nn/layers.def"
#undef LAYER
};
#define TYPE_COUNT ((int)(sizeof types / sizeof types[0]))

int soma__layer_type_count(void)
{
    return TYPE_COUNT;
}

const soma__layer_type *soma__layer_type_at(int index)
{
    return index >= 0 && index < TYPE_COUNT ? types[index] : NULL;
}

const soma__field *soma__layer_field(const soma__layer_type *type, const char *key)
{
    for (int i = 0; i < type->field_count; i++)
        if (strcmp(type->fields[i].key, key) == 0)
            return &type->fields[i];
    return NULL;
}

const soma__layer_type *soma__layer_type_find(const char *name, int *choice)
{
    *choice = -1;
    for (int i = 0; i < TYPE_COUNT; i++)
        if (strcmp(types[i]->name, name) == 0)
            return types[i];
    for (int i = 0; i < TYPE_COUNT; i++) {
        if (!types[i]->alias)
            continue;
        const char *const *choices = soma__layer_field(types[i], types[i]->alias)->choices;
        for (int c = 0; choices[c]; c++)
            if (strcmp(choices[c], name) == 0) {
                *choice = c;
                return types[i];
            }
    }
    return NULL;
}

const char *soma__layer_type_nearest(const char *name)
{
    const char *names[256];
    size_t count = 0;
    for (int i = 0; i < TYPE_COUNT; i++) {
        if (count < 256)
            names[count++] = types[i]->name;
        if (!types[i]->alias)
            continue;
        const char *const *choices = soma__layer_field(types[i], types[i]->alias)->choices;
        for (int c = 0; choices[c] && count < 256; c++)
            names[count++] = choices[c];
    }
    return soma__nearest(name, names, count);
}

/* --- layers ------------------------------------------------------------------------------------
 */

/* Builders never return NULL, so these stand for layers that could not be made. */
static const soma_layer no_memory = {
    .constant = true, .status = SOMA_MEMORY, .fault = "out of memory while the layer was made"};
static const soma_layer too_deep = {.constant = true,
                                    .status = SOMA_INVALID,
                                    .fault =
                                        "blocks are nested too deeply; 20 levels are the limit"};
static const soma_layer used_twice = {
    .constant = true,
    .status = SOMA_INVALID,
    .fault = "the same layer is used in two places; make one for each"};
static const soma_layer unknown = {
    .constant = true,
    .status = SOMA_INVALID,
    .fault = "soma_layer_custom: no such kind of layer is registered with the context"};
static const soma_layer absent = {
    .constant = true, .status = SOMA_INVALID, .fault = "a layer is NULL where one is needed"};

/* Constant layers pass as ordinary ones; `constant` keeps everybody from writing to them. */
static soma_layer *constant(const soma_layer *layer)
{
    return (soma_layer *)(uintptr_t)layer;
}

soma_layer *soma__layer_unknown(void)
{
    return constant(&unknown);
}

/* The strings of the options, one after the other; NULL after the last. */
static const char **string_field(const soma_layer *layer, int *position)
{
    for (int i = *position; layer->type && i < layer->type->field_count; i++)
        if (layer->type->fields[i].kind == SOMA__FIELD_STRING) {
            *position = i + 1;
            return (const char **)(uintptr_t)((const char *)layer->options +
                                              layer->type->fields[i].offset);
        }
    return NULL;
}

void soma_layer_destroy(soma_layer *layer)
{
    const char **text;
    if (!layer || layer->constant)
        return;
    for (int i = 0; (text = string_field(layer, &i)) != NULL;)
        soma__free((void *)(uintptr_t)*text);
    if (layer->type && layer->type->release)
        layer->type->release(layer);
    for (int i = 0; i < layer->child_count; i++)
        soma_layer_destroy(layer->children[i]);
    soma__free(layer->children);
    soma__free(layer);
}

static bool copy_strings(soma_layer *layer)
{
    const char **text;
    bool ok = true;
    for (int i = 0; (text = string_field(layer, &i)) != NULL;)
        if (*text) {
            *text = ok ? soma__strdup(*text) : NULL;
            ok = ok && *text;
        }
    return ok;
}

/* Marks the children as taken. On a fault it is returned, and the children are destroyed. */
static const soma_layer *take(soma_layer *const *children, int count, int *depth)
{
    const soma_layer *fault = NULL;
    int taken = 0;

    *depth = 1;
    for (; taken < count && !fault; taken++) {
        soma_layer *child = children[taken];
        if (!child || child->constant)
            continue;
        if (child->taken) {
            fault = &used_twice;
            break;
        }
        child->taken = true;
        if (child->depth + 1 > *depth)
            *depth = child->depth + 1;
        if (*depth > SOMA__LAYER_DEPTH)
            fault = &too_deep;
    }
    if (!fault)
        return NULL;
    for (int i = 0; i < taken; i++)
        soma_layer_destroy(children[i]);
    /* What comes after the fault was handed over as well, but the one used twice has an owner. */
    for (int i = taken; i < count; i++) {
        bool earlier = false;
        for (int j = 0; j < i; j++)
            earlier = earlier || children[j] == children[i];
        if (!earlier && children[i] && !children[i]->constant && !children[i]->taken)
            soma_layer_destroy(children[i]);
    }
    return fault;
}

soma_layer *soma__layer_new(const soma__layer_type *type, const void *options,
                            soma_layer *const *children, int count)
{
    int depth;
    const soma_layer *fault = take(children, count, &depth);
    if (fault)
        return constant(fault);

    soma_layer *layer = soma__calloc(1, sizeof *layer + type->size);
    soma_layer **list = count ? soma__calloc((size_t)count, sizeof(soma_layer *)) : NULL;
    if (!layer || (count && !list)) {
        for (int i = 0; i < count; i++)
            soma_layer_destroy(children[i]);
        soma__free(layer);
        soma__free(list);
        return constant(&no_memory);
    }
    layer->type = type;
    layer->depth = depth;
    layer->children = list;
    layer->child_count = count;
    for (int i = 0; i < count; i++)
        list[i] = children[i];
    memcpy(layer->options, options, type->size);
    if (!copy_strings(layer)) {
        layer->status = no_memory.status;
        layer->fault = no_memory.fault;
    }
    return layer;
}

void soma__layer_list_add(soma__layer_list *list, soma_layer *layer)
{
    void *array = list->items;
    if (!layer)
        return;
    if (list->failed || !soma__grow(&array, &list->capacity, list->count, sizeof(soma_layer *))) {
        list->failed = true;
        soma_layer_destroy(layer);
        return;
    }
    list->items = array;
    list->items[list->count++] = layer;
}

/* The list as the children of a block without options. */
static soma_layer *list_end(soma__layer_list *list, soma_layer *(*block)(soma_layer *const *))
{
    soma_layer *result = constant(&no_memory);
    void *array = list->items;
    /* One place more for the NULL at the end. */
    if (!list->failed && soma__grow(&array, &list->capacity, list->count, sizeof(soma_layer *))) {
        list->items = array;
        list->items[list->count] = NULL;
        result = block(list->items);
    } else {
        for (size_t i = 0; i < list->count; i++)
            soma_layer_destroy(list->items[i]);
    }
    soma__free(list->items);
    *list = (soma__layer_list){0};
    return result;
}

soma_layer *soma__layer_list_sequential(soma__layer_list *list)
{
    return list_end(list, soma_layer_sequential_list);
}

soma_layer *soma__layer_list_concat(soma__layer_list *list)
{
    return list_end(list, soma_layer_concat_list);
}

soma_layer *soma_layer_named(soma_layer *layer, const char *name)
{
    if (!layer)
        return constant(&absent);
    const soma__field *field = layer->type ? soma__layer_field(layer->type, "name") : NULL;
    if (layer->constant || !field)
        return layer;
    const char **slot = (const char **)(void *)((char *)layer->options + field->offset);
    char *copy = name ? soma__strdup(name) : NULL;
    if (name && !copy) {
        layer->status = no_memory.status;
        layer->fault = no_memory.fault;
        return layer;
    }
    soma__free((void *)(uintptr_t)*slot);
    *slot = copy;
    return layer;
}

static int enum_option(const soma_layer *layer, const soma__field *field)
{
    int value;
    memcpy(&value, (const char *)layer->options + field->offset, sizeof value);
    return value;
}

const char *soma__layer_kind(const soma_layer *layer)
{
    if (!layer->type)
        return "layer";
    if (layer->type->alias) {
        const soma__field *field = soma__layer_field(layer->type, layer->type->alias);
        int value = enum_option(layer, field), count = 0;
        while (field->choices[count])
            count++;
        if (value >= 0 && value < count)
            return field->choices[value];
    }
    return layer->type->name;
}

const char *soma__layer_given_name(const soma_layer *layer)
{
    const soma__field *field = layer->type ? soma__layer_field(layer->type, "name") : NULL;
    const char *name = NULL;
    if (field)
        memcpy(&name, (const char *)layer->options + field->offset, sizeof name);
    return name;
}

static const char *prefix(const soma_layer *layer)
{
    if (!layer || !layer->type)
        return "layer";
    return layer->type->alias ? soma__layer_kind(layer) : layer->type->prefix;
}

/* Key of the index-th nested field. */
static const char *slot_key(const soma__layer_type *type, int index)
{
    for (int i = 0; i < type->field_count; i++)
        if (type->fields[i].kind == SOMA__FIELD_VALUE && index-- == 0)
            return type->fields[i].key;
    return "layer";
}

void soma__layer_child_name(const soma_layer *parent, int index, const soma_layer *child,
                            char name[SOMA__LAYER_NAME_SIZE])
{
    const char *given = soma__layer_given_name(child);
    int number = 1;

    if (given) {
        snprintf(name, SOMA__LAYER_NAME_SIZE, "%s", given);
    } else if (parent && parent->type->children == SOMA__CHILDREN_SLOTS) {
        snprintf(name, SOMA__LAYER_NAME_SIZE, "%s", slot_key(parent->type, index));
    } else if (parent && parent->type->child_prefix) {
        snprintf(name, SOMA__LAYER_NAME_SIZE, "%s%d", parent->type->child_prefix, index + 1);
    } else {
        for (int i = 0; parent && i < index; i++)
            number += strcmp(prefix(parent->children[i]), prefix(child)) == 0;
        snprintf(name, SOMA__LAYER_NAME_SIZE, "%s%d", prefix(child), number);
    }
}

/* --- checks ------------------------------------------------------------------------------------
 */

/* Names become parts of parameter names and of file metadata, so they are plain words. */
bool soma__layer_name_ok(const char *name, char *message, size_t size)
{
    size_t length = strlen(name);
    if (length == 0 || length >= SOMA__LAYER_NAME_SIZE) {
        snprintf(message, size, "a name has 1 to %d characters, '%.80s' has %zu",
                 SOMA__LAYER_NAME_SIZE - 1, name, length);
        return false;
    }
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-') {
            snprintf(message, size, "the name '%s' may hold only letters, digits, '_' and '-'",
                     name);
            return false;
        }
    return true;
}

static bool in_range(const soma__field *field, double value, char *message, size_t size)
{
    bool unlimited = fpclassify(field->min) == FP_ZERO && fpclassify(field->max) == FP_ZERO;
    if (unlimited ? isfinite(value) : value >= field->min && value <= field->max)
        return true;
    if (isinf(field->max) || unlimited)
        snprintf(message, size, "%s must be at least %g, got %g", field->key, field->min, value);
    else
        snprintf(message, size, "%s must be from %g to %g, got %g", field->key, field->min,
                 field->max, value);
    return false;
}

/* The rule of one field for what lies at `at`. */
static bool field_ok(const soma__field *field, const char *at, char *message, size_t size)
{
    int64_t integer = 0;
    double number = 0;
    int choice, choices = 0;
    const char *text;

    switch (field->kind) {
    case SOMA__FIELD_INT:
        memcpy(&integer, at, sizeof integer);
        /* Zero asks for the default. */
        return (!integer && !field->required) || in_range(field, (double)integer, message, size);
    case SOMA__FIELD_INTS:
        for (int k = 0; k < field->count; k++) {
            memcpy(&integer, at + (size_t)k * sizeof integer, sizeof integer);
            if ((integer || (field->required && k == 0)) &&
                !in_range(field, (double)integer, message, size))
                return false;
        }
        return true;
    case SOMA__FIELD_FLOATS:
        for (int k = 0; k < field->count; k++) {
            memcpy(&number, at + (size_t)k * sizeof number, sizeof number);
            if ((fpclassify(number) != FP_ZERO || (field->required && k == 0)) &&
                !in_range(field, number, message, size))
                return false;
        }
        return true;
    case SOMA__FIELD_FLOAT:
        memcpy(&number, at, sizeof number);
        return (fpclassify(number) == FP_ZERO && !field->required) ||
               in_range(field, number, message, size);
    case SOMA__FIELD_ENUM:
        memcpy(&choice, at, sizeof choice);
        while (field->choices[choices])
            choices++;
        if (choice >= 0 && choice < choices)
            return true;
        snprintf(message, size, "%s has no choice number %d", field->key, choice);
        return false;
    case SOMA__FIELD_STRING:
        memcpy(&text, at, sizeof text);
        return !text || strcmp(field->key, "name") != 0 || soma__layer_name_ok(text, message, size);
    case SOMA__FIELD_CHOICE:
        for (int k = 0; k < field->part_count; k++)
            if (!field_ok(&field->parts[k], at + field->parts[k].offset, message, size))
                return false;
        return true;
    case SOMA__FIELD_BOOL:
    case SOMA__FIELD_VALUE:
        break;
    }
    return true;
}

bool soma__layer_options_ok(const soma_layer *layer, char *message, size_t size)
{
    for (int i = 0; i < layer->type->field_count; i++) {
        const soma__field *field = &layer->type->fields[i];
        if (!field_ok(field, (const char *)layer->options + field->offset, message, size))
            return false;
    }
    return true;
}

/* --- building ----------------------------------------------------------------------------------
 */

soma_var soma__layer_fail(soma__layer_build *b, const soma_layer *layer, soma_status code,
                          const char *format, ...)
{
    char text[SOMA_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    soma_graph_fail(b->graph, code, "%s '%s': %s", layer ? soma__layer_kind(layer) : "layer",
                    b->path, text);
    return (soma_var){b->graph, -1};
}

/* Starts a row of the summary; what came before belongs to the row around it. */
static bool begin_row(soma__layer_build *b, const soma_layer *layer)
{
    soma__model_count_flops(b->model, b->row, b->graph, b->counted);
    b->counted = b->graph->count;
    b->row = soma__model_add_row(b->model, b->path, soma__layer_kind(layer), b->level);
    return b->row >= 0;
}

static void end_row(soma__layer_build *b, soma_var y)
{
    soma__model_count_flops(b->model, b->row, b->graph, b->counted);
    b->counted = b->graph->count;
    b->model->rows[b->row].output = soma_var_shape(y);
}

/* Runs the type's build function, or builds what the layer stands for in its place. */
static soma_var run_build(soma__layer_build *b, const soma_layer *layer, const soma_var *x,
                          int count)
{
    char message[SOMA_ERROR_MESSAGE_SIZE];
    if (count > 1)
        return layer->type->merge
                   ? layer->type->merge(b, layer, x, count)
                   : soma__layer_fail(b, layer, SOMA_INVALID,
                                      "takes one input, got %d; merge them with concat or add",
                                      count);
    if (!layer->type->expand)
        return layer->type->build(b, layer, x[0]);
    soma_shape shape = soma_var_shape(x[0]);
    soma_layer *inner = layer->type->expand(b, layer, &shape);
    soma_var y = {b->graph, -1};
    if (!inner)
        return y;
    if (inner->fault)
        y = soma__layer_fail(b, layer, inner->status, "%s", inner->fault);
    else if (b->creating && !soma__layer_options_ok(inner, message, sizeof message))
        y = soma__layer_fail(b, layer, SOMA_INVALID, "%s", message);
    else
        y = run_build(b, inner, x, 1);
    soma_layer_destroy(inner);
    return y;
}

/* Adds "name" to the path; false, with the fault recorded, if it grows too long. */
static bool enter(soma__layer_build *b, const soma_layer *layer, const char *name)
{
    size_t length = strlen(b->path), extra = strlen(name);
    if (length + extra + 2 > sizeof b->path) {
        soma__layer_fail(b, layer, SOMA_INVALID,
                         "the path of '%s' is longer than %zu characters; use shorter names", name,
                         sizeof b->path - 1);
        return false;
    }
    snprintf(b->path + length, sizeof b->path - length, "%s%s", length ? "." : "", name);
    return true;
}

/* Builds the layer that the path names; `as` is the row's and the scope's name. */
static soma_var build_here(soma__layer_build *b, const soma_layer *layer, const char *as,
                           const soma_var *x, int count)
{
    char message[SOMA_ERROR_MESSAGE_SIZE];
    if (layer->fault)
        return soma__layer_fail(b, layer, layer->status, "%s", layer->fault);
    if (b->creating && !soma__layer_options_ok(layer, message, sizeof message))
        return soma__layer_fail(b, layer, SOMA_INVALID, "%s", message);
    for (int i = 0; i < count && !layer->type->steps; i++)
        if (soma__carry_moves(b, x[i]))
            return soma__layer_fail(b, layer, SOMA_UNSUPPORTED,
                                    "looks at steps that are still to come: the model cannot go on "
                                    "step by step");
    soma_scope_begin(b->graph, as);
    b->level++;
    soma_var y = run_build(b, layer, x, count);
    b->level--;
    soma_scope_end(b->graph);
    if (b->tap && strcmp(b->path, b->tap) == 0)
        b->tapped = y;
    return y;
}

/* The innermost layer comes back first. */
static soma_var blamed(soma__layer_build *b, const soma_layer *layer, soma_var y)
{
    if (b->blame && !*b->blame && !soma_var_ok(y))
        *b->blame = layer->line;
    return y;
}

static bool all_ok(const soma_var *x, int count)
{
    for (int i = 0; i < count; i++)
        if (!soma_var_ok(x[i]))
            return false;
    return true;
}

soma_var soma__layer_apply_many(soma__layer_build *b, const soma_layer *layer, const char *name,
                                const soma_var *x, int count)
{
    size_t length = strlen(b->path);
    int row = b->row;
    soma_activation next = b->next;
    soma_var y = {b->graph, -1};

    if (!all_ok(x, count) || !enter(b, layer, name))
        return y;
    /* Below a second use of a layer there are no rows: its parameters stand in those of the first.
     */
    bool rows = b->creating && !b->use;
    if (rows && !layer->fault && !begin_row(b, layer))
        y = soma__layer_fail(b, layer, SOMA_MEMORY, "out of memory for the summary");
    else
        y = build_here(b, layer, name, x, count);
    if (rows && soma_var_ok(y))
        end_row(b, y);
    b->path[length] = '\0';
    b->row = row;
    b->next = next;
    return blamed(b, layer, y);
}

soma_var soma__layer_apply(soma__layer_build *b, const soma_layer *layer, const char *name,
                           soma_var x)
{
    return soma__layer_apply_many(b, layer, name, &x, 1);
}

soma_var soma__layer_apply_again(soma__layer_build *b, const soma_layer *layer, const char *name,
                                 const char *origin, const soma_var *x, int count)
{
    size_t length = strlen(b->path);
    int row = b->row;
    uint32_t use = b->use;
    soma_activation next = b->next;
    soma_var y = {b->graph, -1};

    if (!all_ok(x, count) || !enter(b, layer, name))
        return y;
    bool rows = b->creating && !b->use;
    if (rows && !begin_row(b, layer)) {
        y = soma__layer_fail(b, layer, SOMA_MEMORY, "out of memory for the summary");
    } else {
        b->path[length] = '\0';
        b->use = ++b->uses;
        if (enter(b, layer, origin))
            y = build_here(b, layer, name, x, count);
        b->use = use;
    }
    if (rows && soma_var_ok(y))
        end_row(b, y);
    b->path[length] = '\0';
    b->row = row;
    b->next = next;
    return blamed(b, layer, y);
}

soma_var soma__layer_apply_child(soma__layer_build *b, const soma_layer *parent, int index,
                                 soma_var x)
{
    return soma__layer_apply_child_many(b, parent, index, &x, 1);
}

soma_var soma__layer_apply_child_many(soma__layer_build *b, const soma_layer *parent, int index,
                                      const soma_var *x, int count)
{
    const soma_layer *child = parent->children[index];
    char name[SOMA__LAYER_NAME_SIZE], other[SOMA__LAYER_NAME_SIZE];

    if (!all_ok(x, count))
        return (soma_var){b->graph, -1};
    soma__layer_child_name(parent, index, child, name);
    for (int i = 0; b->creating && i < index; i++) {
        if (!parent->children[i])
            continue;
        soma__layer_child_name(parent, i, parent->children[i], other);
        if (strcmp(name, other) == 0)
            return soma__layer_fail(b, parent, SOMA_INVALID,
                                    "layers %d and %d are both named '%s'; names must differ",
                                    i + 1, index + 1, name);
    }
    return soma__layer_apply_many(b, child, name, x, count);
}

uint32_t soma__layer_stream(const soma__layer_build *b)
{
    /* The factor spreads small numbers over all bits (Knuth). */
    return soma__rng_stream(b->path) ^ (b->use * 2654435769U);
}

soma_var soma__layer_current(const soma__layer_build *b, soma_var variable)
{
    for (int i = 0; b->updates && i < *b->update_count; i++)
        if (b->updates[i].variable.id == variable.id)
            return b->updates[i].value;
    return variable;
}

void soma__layer_update(soma__layer_build *b, const soma_layer *layer, soma_var variable,
                        soma_var value)
{
    if (!b->updates || !soma_var_ok(value) || !soma_var_ok(variable))
        return;
    for (int i = 0; i < *b->update_count; i++)
        if (b->updates[i].variable.id == variable.id) {
            b->updates[i].value = value;
            return;
        }
    if (*b->update_count >= b->update_capacity) {
        soma__layer_fail(b, layer, SOMA_INVALID,
                         "the model needs room for more than %d updates; "
                         "soma_model_parameter_count() are always enough",
                         b->update_capacity);
        return;
    }
    b->updates[(*b->update_count)++] = (soma_update){variable, value};
}

/* --- parameters --------------------------------------------------------------------------------
 */

/* A parameter of a model that is being made, from the archive or initialised. */
static soma_status make_tensor(soma_tensor **out, soma__layer_build *b, const char *full,
                               const soma__param *param, soma_error *err)
{
    char want[SOMA_SHAPE_TEXT_SIZE], got[SOMA_SHAPE_TEXT_SIZE];

    if (!b->archive) {
        soma_init_options init = {.kind = param->init};
        if (param->how && param->how->kind != SOMA_INIT_DEFAULT)
            init = *param->how;
        else if (init.kind == SOMA_INIT_DEFAULT)
            init.kind = soma__activation_relu_like(b->next) ? SOMA_INIT_HE_UNIFORM
                                                            : SOMA_INIT_XAVIER_UNIFORM;
        SOMA__TRY(soma_tensor_create(out, SOMA_F32, param->shape, err));
        return soma__init_fill(*out, &init, param, b->model->options.seed, full, err);
    }

    soma_tensor *tensor = soma__archive_find(b->archive, full);
    if (!tensor)
        return soma__fail(err, SOMA_FORMAT, "%s lacks the tensor '%s'", b->source, full);
    if (soma_tensor_dtype(tensor) != SOMA_F32)
        return soma__fail(err, SOMA_DTYPE, "'%s' in %s is %s, must be f32", full, b->source,
                          soma_dtype_text(soma_tensor_dtype(tensor)));
    if (!soma_shape_equal(soma_tensor_shape(tensor), &param->shape))
        return soma__fail(err, SOMA_SHAPE, "'%s' is %s in %s, but the architecture needs %s", full,
                          soma_shape_text(soma_tensor_shape(tensor), got, sizeof got), b->source,
                          soma_shape_text(&param->shape, want, sizeof want));
    *out = soma_tensor_retain(tensor);
    return SOMA_OK;
}

/* Counts a parameter that is never made; a placeholder stands for it in the graph. */
static soma_var measure_param(soma__layer_build *b, const soma_layer *layer, const char *full,
                              const soma__param *param)
{
    soma_layer_row *row = &b->model->rows[b->row];
    char name[SOMA__LAYER_PATH_SIZE + 48];
    int64_t count;
    if (!soma__shape_count(&param->shape, &count) || count > INT64_MAX - row->parameters)
        return soma__layer_fail(b, layer, SOMA_SHAPE, "%s: larger than any memory", param->name);
    if (!param->buffer && !b->use) {
        row->parameters += count;
        row->trainable += param->frozen ? 0 : count;
    }
    if (param->trainable)
        *param->trainable = !param->frozen && !param->buffer;
    /* Each use of a shared layer has a placeholder of its own, as only shapes matter. */
    snprintf(name, sizeof name, "%s#%u", full, (unsigned)b->use);
    return soma_input(b->graph, name, SOMA_F32, param->shape);
}

soma_var soma__layer_param(soma__layer_build *b, const soma_layer *layer, const soma__param *param)
{
    char full[SOMA__LAYER_PATH_SIZE + 32];
    int index;

    if (b->reparam && param->shape.ndim >= 2 && strcmp(param->name, "weight") == 0) {
        soma__reparam reparam = b->reparam;
        b->reparam = NULL;
        soma_var weight = reparam(b, layer, param);
        b->reparam = reparam;
        return weight;
    }
    snprintf(full, sizeof full, "%s.%s", b->path, param->name);
    if (b->measuring)
        return measure_param(b, layer, full, param);
    if (b->creating && !b->use) {
        soma_error err = {0};
        soma_tensor *tensor = NULL;
        soma_status status = make_tensor(&tensor, b, full, param, &err);
        if (status == SOMA_OK)
            status = soma__model_add(b->model, full, tensor, !param->frozen && !param->buffer,
                                     param->buffer, b->row, &err);
        soma_tensor_release(tensor);
        if (status != SOMA_OK)
            return soma__layer_fail(b, layer, status, "%s: %s", param->name, err.message);
        index = (int)b->model->parameter_count - 1;
    } else {
        index = soma__model_index(b->model, full, b->cursor);
        if (index < 0)
            return soma__layer_fail(b, layer, SOMA_INTERNAL, "has no parameter '%s'", full);
        b->cursor = index + 1;
    }
    if (param->trainable)
        *param->trainable = b->model->parameters[index]->public.trainable;
    return soma_model_variable(b->model, b->graph, index);
}
