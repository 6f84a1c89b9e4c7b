/* custom.c: kinds of layers that the user's program registers. They live with a context: a kind is
 * turned into a layer type like those of the registry, whose build function calls the user's. */
#include <ctype.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "nn/nn.h"
#include "plan/backend.h"
#include "soma/custom.h"

typedef struct custom_type {
    soma__layer_type type; /* first */
    soma_layer_kind kind;
    struct custom_type *next;
    soma__field fields[]; /* the user's, then the name */
} custom_type;

struct soma_layer_scope {
    soma__layer_build *b;
    const soma_layer *layer;
};

static void destroy_types(void *layers)
{
    for (custom_type *at = layers; at;) {
        custom_type *next = at->next;
        soma__free(at);
        at = next;
    }
}

const void *soma__context_layers(soma_context *context)
{
    if (!context)
        return NULL;
    pthread_mutex_lock(&context->lock);
    const void *layers = context->layers;
    pthread_mutex_unlock(&context->lock);
    return layers;
}

const soma__layer_type *soma__custom_find(const void *layers, const char *name)
{
    for (const custom_type *at = layers; at; at = at->next)
        if (strcmp(at->type.name, name) == 0)
            return &at->type;
    return NULL;
}

/* --- building -----------------------------------------------------------------------------------
 */

static soma_var merge(soma__layer_build *b, const soma_layer *layer, const soma_var *x, int count)
{
    const custom_type *custom = (const custom_type *)(const void *)layer->type;
    soma_layer_scope scope = {b, layer};
    if (count > (custom->kind.inputs ? custom->kind.inputs : 1))
        return soma__layer_fail(b, layer, SOMA_INVALID, "takes at most %d inputs, got %d",
                                custom->kind.inputs, count);
    soma_var y = custom->kind.build(&scope, layer->options, x, count);
    /* What is no value of this graph must not go on silently. */
    if (!soma_var_ok(y) || y.graph != b->graph) {
        if (soma_graph_status(b->graph, NULL) == SOMA_OK)
            soma__layer_fail(b, layer, SOMA_INVALID,
                             "its build function returned no value of the graph");
        return (soma_var){b->graph, -1};
    }
    /* cppcheck takes the var, two numbers, for a part of `scope`. */
    // cppcheck-suppress returnDanglingLifetime
    return y;
}

static soma_var build(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    return merge(b, layer, &x, 1);
}

soma_var soma_layer_get_parameter(soma_layer_scope *scope, const soma_layer_parameter *p)
{
    char message[SOMA_ERROR_MESSAGE_SIZE];
    const char *name = p->name ? p->name : "";
    if (!soma__layer_name_ok(name, message, sizeof message))
        return soma__layer_fail(scope->b, scope->layer, SOMA_INVALID, "a parameter: %s", message);
    return soma__layer_param(scope->b, scope->layer,
                             &(soma__param){.name = name,
                                            .shape = p->shape,
                                            .how = &p->init,
                                            .fan_in = p->fan_in,
                                            .fan_out = p->fan_out,
                                            .frozen = p->frozen,
                                            .buffer = p->buffer});
}

void soma_layer_set_buffer(soma_layer_scope *scope, soma_var buffer, soma_var value)
{
    soma__layer_update(scope->b, scope->layer, buffer, value);
}

soma_var soma_layer_inner(soma_layer_scope *scope, const char *name, soma_layer *layer, soma_var x)
{
    char message[SOMA_ERROR_MESSAGE_SIZE];
    soma_var y = {scope->b->graph, -1};
    if (!layer)
        return soma__layer_fail(scope->b, scope->layer, SOMA_INVALID, "an inner layer is NULL");
    if (layer->taken)
        return soma__layer_fail(scope->b, scope->layer, SOMA_INVALID,
                                "an inner layer belongs to a block or a model already");
    if (!soma__layer_name_ok(name ? name : "", message, sizeof message))
        soma__layer_fail(scope->b, scope->layer, SOMA_INVALID, "an inner layer: %s", message);
    else
        y = soma__layer_apply(scope->b, layer, name, x);
    soma_layer_destroy(layer);
    return y;
}

soma_graph *soma_layer_get_graph(const soma_layer_scope *scope)
{
    return scope->b->graph;
}

soma_mode soma_layer_get_mode(const soma_layer_scope *scope)
{
    return scope->b->mode;
}

soma_var soma_layer_get_key(const soma_layer_scope *scope)
{
    return scope->b->key.graph ? scope->b->key : (soma_var){scope->b->graph, -1};
}

uint32_t soma_layer_get_stream(const soma_layer_scope *scope)
{
    return soma__layer_stream(scope->b);
}

soma_var soma_layer_fault(soma_layer_scope *scope, soma_status code, const char *format, ...)
{
    char text[SOMA_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return soma__layer_fail(scope->b, scope->layer, code, "%s", text);
}

/* --- registering --------------------------------------------------------------------------------
 */

static bool plain_word(const char *text)
{
    if (!text || !*text || strlen(text) >= SOMA__LAYER_NAME_SIZE / 2)
        return false;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && *text != '_')
            return false;
    return true;
}

/* Bytes of an option in the struct; 0: not a field. */
static size_t field_size(const soma_field *field)
{
    switch (field->kind) {
    case SOMA_FIELD_INT:
        return sizeof(int64_t);
    case SOMA_FIELD_FLOAT:
        return sizeof(double);
    case SOMA_FIELD_BOOL:
        return sizeof(bool);
    case SOMA_FIELD_TEXT:
        return sizeof(char *);
    case SOMA_FIELD_ENUM:
        return field->choices && field->choices[0] ? sizeof(int) : 0;
    case SOMA_FIELD_INTS:
        return field->count > 0 && field->count <= SOMA_MAX_DIMS
                   ? (size_t)field->count * sizeof(int64_t)
                   : 0;
    }
    return 0;
}

static soma_status check_field(const soma_layer_kind *kind, int index, soma_error *err)
{
    const soma_field *field = &kind->fields[index];
    size_t size = field_size(field);
    if (!plain_word(field->key) || strcmp(field->key, "name") == 0)
        return soma__fail(err, SOMA_INVALID,
                          "layer kind '%s': field %d needs a key of letters, digits and '_' other "
                          "than 'name'",
                          kind->name, index + 1);
    for (int i = 0; i < index; i++)
        if (strcmp(kind->fields[i].key, field->key) == 0)
            return soma__fail(err, SOMA_INVALID, "layer kind '%s': two fields are called '%s'",
                              kind->name, field->key);
    if (size == 0)
        return soma__fail(err, SOMA_INVALID,
                          "layer kind '%s': field '%s' has no known kind, no choices, or a count "
                          "that is not from 1 to %d",
                          kind->name, field->key, SOMA_MAX_DIMS);
    if (field->offset > kind->size || size > kind->size - field->offset)
        return soma__fail(err, SOMA_INVALID,
                          "layer kind '%s': field '%s' lies outside of the %zu bytes of options",
                          kind->name, field->key, kind->size);
    return SOMA_OK;
}

static soma_status check_kind(soma_context *context, const soma_layer_kind *kind, soma_error *err)
{
    int choice;
    if (!plain_word(kind->name))
        return soma__fail(err, SOMA_INVALID,
                          "a layer kind needs a name of 1 to %d letters, digits and '_'",
                          SOMA__LAYER_NAME_SIZE / 2 - 1);
    if (soma__layer_type_find(kind->name, &choice) ||
        soma__custom_find(soma__context_layers(context), kind->name))
        return soma__fail(err, SOMA_INVALID, "there is a layer '%s' already", kind->name);
    if (!kind->build || kind->field_count < 0 || kind->field_count > 1000 || kind->inputs < 0 ||
        kind->size > 1 << 20 || (kind->field_count && !kind->fields))
        return soma__fail(err, SOMA_INVALID,
                          "layer kind '%s': the build function is missing, or a count is out of "
                          "range",
                          kind->name);
    bool found = !kind->primary;
    for (int i = 0; i < kind->field_count; i++) {
        SOMA__TRY(check_field(kind, i, err));
        found = found || strcmp(kind->fields[i].key, kind->primary) == 0;
    }
    return found ? SOMA_OK
                 : soma__fail(err, SOMA_INVALID, "layer kind '%s': there is no field '%s'",
                              kind->name, kind->primary);
}

static soma__field field_of(const soma_field *field)
{
    static const soma__field_kind kinds[] = {
        [SOMA_FIELD_INT] = SOMA__FIELD_INT,   [SOMA_FIELD_FLOAT] = SOMA__FIELD_FLOAT,
        [SOMA_FIELD_BOOL] = SOMA__FIELD_BOOL, [SOMA_FIELD_TEXT] = SOMA__FIELD_STRING,
        [SOMA_FIELD_ENUM] = SOMA__FIELD_ENUM, [SOMA_FIELD_INTS] = SOMA__FIELD_INTS};
    return (soma__field){.key = field->key,
                         .kind = kinds[field->kind],
                         .offset = field->offset,
                         .count = field->count,
                         .choices = field->choices,
                         .min = field->min,
                         .max = field->max,
                         .required = field->required,
                         .doc = field->doc ? field->doc : ""};
}

soma_status soma_layer_register(soma_context *context, const soma_layer_kind *kind, soma_error *err)
{
    if (!context || !kind)
        return soma__fail(err, SOMA_INVALID, "a layer kind is registered with a context");
    SOMA__TRY(check_kind(context, kind, err));
    int count = kind->field_count;
    /* The name comes after the user's struct. */
    size_t at = (kind->size + alignof(char *) - 1) / alignof(char *) * alignof(char *);
    custom_type *custom =
        soma__calloc(1, sizeof *custom + ((size_t)count + 1) * sizeof custom->fields[0]);
    if (!custom)
        return soma__fail(err, SOMA_MEMORY, "out of memory for layer kind '%s'", kind->name);
    custom->kind = *kind;
    for (int i = 0; i < count; i++)
        custom->fields[i] = field_of(&kind->fields[i]);
    custom->fields[count] = (soma__field){.key = "name",
                                          .kind = SOMA__FIELD_STRING,
                                          .offset = at,
                                          .doc = "name in messages and of the parameters"};
    custom->type = (soma__layer_type){.name = kind->name,
                                      .prefix = kind->name,
                                      .doc = kind->doc ? kind->doc : "",
                                      .shapes = "",
                                      .parameters = "",
                                      .size = at + sizeof(char *),
                                      .fields = custom->fields,
                                      .field_count = count + 1,
                                      .primary = kind->primary,
                                      .build = build,
                                      .merge = kind->inputs > 1 ? merge : NULL};
    pthread_mutex_lock(&context->lock);
    custom->next = context->layers;
    context->layers = custom;
    context->layers_destroy = destroy_types;
    pthread_mutex_unlock(&context->lock);
    return SOMA_OK;
}

soma_layer *soma_layer_custom(soma_context *context, const char *kind, const void *options)
{
    const soma__layer_type *type =
        kind && context ? soma__custom_find(soma__context_layers(context), kind) : NULL;
    if (!type)
        return soma__layer_unknown();
    const custom_type *custom = (const custom_type *)(const void *)type;
    void *copy = soma__calloc(1, type->size);
    if (copy && options && custom->kind.size)
        memcpy(copy, options, custom->kind.size);
    soma_layer *layer = soma__layer_new(type, copy, NULL, 0);
    soma__free(copy);
    return layer;
}
