/* recipe.c: layers from trees of values and back.
 *
 *   - flatten                                     a name
 *   - dense: 128                                  a name and its most important option
 *   - dense: {units: 128, activation: relu}       a name and options
 *   - [conv2d: 8, relu]                           a list is a sequential block
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "nn/layer.h"

/* --- from values --------------------------------------------------------------------------------
 */

/* What is being read. Layers are made before their block takes them, so a failure destroys them. */
typedef struct reader {
    const soma__tree *tree;
    soma_error *err;
    int depth;
} reader;

#define WHERE_SIZE 256

static soma_status read_layer(soma_layer **out, reader *r, const soma__value *value,
                              const char *where);

/* "model.2"; a path that does not fit is cut, which only shortens messages. */
static void extend(char out[WHERE_SIZE], const char *where, const char *key)
{
    snprintf(out, WHERE_SIZE, "%.*s.%s", WHERE_SIZE - 80, where, key);
}

static const soma__value *nested(const soma_layer *layer, const soma__field *field)
{
    const soma__value *value;
    memcpy(&value, (const char *)layer->options + field->offset, sizeof value);
    return value;
}

/* Items of a list as the layer's children. */
static soma_status read_list(soma_layer *layer, reader *r, const soma__value *list,
                             const char *where)
{
    char path[WHERE_SIZE], number[16];

    if (!list || list->kind == SOMA__NULL)
        return SOMA_OK;
    if (list->kind != SOMA__LIST)
        return soma__value_fail(r->tree, list, r->err, "%s: expected a list of layers, got %s",
                                where, soma__value_kind_text(list->kind));
    layer->children = soma__calloc((size_t)list->count + 1, sizeof(soma_layer *));
    if (!layer->children)
        return soma__fail(r->err, SOMA_MEMORY, "out of memory while reading layers");
    for (const soma__value *item = list->first; item; item = item->next) {
        snprintf(number, sizeof number, "%d", layer->child_count);
        extend(path, where, number);
        SOMA__TRY(read_layer(&layer->children[layer->child_count], r, item, path));
        layer->children[layer->child_count++]->taken = true;
    }
    return SOMA_OK;
}

/* One layer for each nested option that is there. */
static soma_status read_slots(soma_layer *layer, reader *r, const char *where)
{
    char path[WHERE_SIZE];

    layer->children = soma__calloc((size_t)layer->type->field_count, sizeof(soma_layer *));
    if (!layer->children)
        return soma__fail(r->err, SOMA_MEMORY, "out of memory while reading layers");
    for (int i = 0; i < layer->type->field_count; i++) {
        const soma__field *field = &layer->type->fields[i];
        if (field->kind != SOMA__FIELD_VALUE)
            continue;
        const soma__value *value = nested(layer, field);
        soma_layer **slot = &layer->children[layer->child_count++];
        if (!value || value->kind == SOMA__NULL)
            continue;
        extend(path, where, field->key);
        SOMA__TRY(read_layer(slot, r, value, path));
        (*slot)->taken = true;
    }
    return SOMA_OK;
}

static soma_status read_children(soma_layer *layer, reader *r, const char *where)
{
    soma_status status = SOMA_OK;

    if (layer->type->children == SOMA__CHILDREN_NONE || layer->type->children == SOMA__CHILDREN_OWN)
        return SOMA_OK;
    r->depth++;
    if (layer->type->children == SOMA__CHILDREN_SLOTS)
        status = read_slots(layer, r, where);
    for (int i = 0; i < layer->type->field_count; i++) {
        const soma__field *field = &layer->type->fields[i];
        if (field->kind != SOMA__FIELD_VALUE)
            continue;
        if (layer->type->children == SOMA__CHILDREN_LIST && status == SOMA_OK)
            status = read_list(layer, r, nested(layer, field), where);
        /* The tree is not ours to keep. */
        memset((char *)layer->options + field->offset, 0, sizeof(soma__value *));
    }
    r->depth--;
    for (int i = 0; i < layer->child_count; i++)
        if (layer->children[i] && layer->children[i]->depth >= layer->depth)
            layer->depth = layer->children[i]->depth + 1;
    return status;
}

/* Reads the options, which are a map or NULL, into a new layer. */
static soma_status read_options(soma_layer *layer, reader *r, const soma__value *map,
                                const char *where)
{
    const soma__layer_type *type = layer->type;
    soma_status status = soma__fields_read(type->fields, (size_t)type->field_count, layer->options,
                                           r->tree, map, where, r->err);
    bool ok = true;

    /* The strings belong to the tree: the layer gets its own, also after a failure half-way,
     * because from here on soma_layer_destroy frees them. */
    for (int i = 0; i < type->field_count; i++) {
        const char **text =
            (const char **)(void *)((char *)layer->options + type->fields[i].offset);
        if (type->fields[i].kind != SOMA__FIELD_STRING || !*text)
            continue;
        *text = ok && status == SOMA_OK ? soma__strdup(*text) : NULL;
        ok = ok && *text;
    }
    if (status == SOMA_OK && !ok)
        return soma__fail(r->err, SOMA_MEMORY, "out of memory while reading layers");
    return status;
}

/* Options of a known type; `value` is what stands behind its name, or NULL. `at` is where the name
 * stands. */
static soma_status read_type(soma_layer **out, reader *r, const char *name,
                             const soma__value *value, const soma__value *at, const char *where)
{
    char path[WHERE_SIZE], message[SOMA_ERROR_MESSAGE_SIZE];
    soma__value pair, map = {.kind = SOMA__MAP, .line = at->line, .count = 1};
    int choice;

    const soma__layer_type *type = soma__layer_type_find(name, &choice);
    if (!type)
        type = soma__custom_find(r->tree->layers, name);
    if (!type) {
        const char *near = soma__layer_type_nearest(name);
        return soma__value_fail(r->tree, at, r->err, "%s: unknown layer '%s'%s%s%s", where, name,
                                near ? ", did you mean '" : "; `soma ops --layers` lists them",
                                near ? near : "", near ? "'?" : "");
    }
    extend(path, where, name);

    const char *primary = choice < 0 ? type->primary : NULL;
    if (choice >= 0 && value && soma__value_find(value, type->alias))
        return soma__value_fail(r->tree, value, r->err, "%s: '%s' contradicts the layer's name",
                                path, type->alias);
    if (value && value->kind != SOMA__MAP && value->kind != SOMA__NULL) {
        if (!primary)
            return soma__value_fail(
                r->tree, value, r->err,
                "%s: takes no short form; write `%s: {key: value}` or just `%s`", path, name, name);
        pair = *value;
        pair.key = primary;
        pair.next = NULL;
        map.first = map.last = &pair;
        value = &map;
    }
    if (!value || value->kind == SOMA__NULL) {
        map.first = map.last = NULL;
        map.count = 0;
        value = &map;
    }

    soma_layer *layer = soma__calloc(1, sizeof *layer + type->size);
    if (!layer)
        return soma__fail(r->err, SOMA_MEMORY, "out of memory while reading layers");
    layer->type = type;
    layer->depth = 1;
    layer->line = at->line;
    soma_status status = read_options(layer, r, value, path);
    if (status == SOMA_OK && choice >= 0)
        memcpy((char *)layer->options + soma__layer_field(type, type->alias)->offset, &choice,
               sizeof choice);
    if (status == SOMA_OK && !soma__layer_options_ok(layer, message, sizeof message))
        status = soma__value_fail(r->tree, value, r->err, "%s: %s", path, message);
    if (status == SOMA_OK && type->read)
        status = type->read(layer, r->tree, value, path, r->err);
    if (status == SOMA_OK)
        status = read_children(layer, r, path);
    if (status != SOMA_OK) {
        soma_layer_destroy(layer);
        return status;
    }
    *out = layer;
    return SOMA_OK;
}

static soma_status read_sequential(soma_layer **out, reader *r, const soma__value *list,
                                   const char *where)
{
    const soma__layer_type *type = &soma__layer_sequential;
    soma_layer *layer = soma__calloc(1, sizeof *layer + type->size);
    if (!layer)
        return soma__fail(r->err, SOMA_MEMORY, "out of memory while reading layers");
    layer->type = type;
    layer->depth = 1;
    r->depth++;
    soma_status status = read_list(layer, r, list, where);
    r->depth--;
    if (status != SOMA_OK) {
        soma_layer_destroy(layer);
        return status;
    }
    for (int i = 0; i < layer->child_count; i++)
        if (layer->children[i]->depth >= layer->depth)
            layer->depth = layer->children[i]->depth + 1;
    *out = layer;
    return SOMA_OK;
}

static soma_status read_layer(soma_layer **out, reader *r, const soma__value *value,
                              const char *where)
{
    if (r->depth >= SOMA__LAYER_DEPTH)
        return soma__value_fail(r->tree, value, r->err,
                                "%s: blocks are nested more than %d levels deep", where,
                                SOMA__LAYER_DEPTH);
    if (value->kind == SOMA__LIST)
        return read_sequential(out, r, value, where);
    if (value->kind == SOMA__STRING)
        return read_type(out, r, value->text, NULL, value, where);
    if (value->kind == SOMA__MAP && value->count == 1)
        return read_type(out, r, value->first->key, value->first, value->first, where);
    if (value->kind == SOMA__MAP && value->count > 1)
        /* What comes of options that are indented as deep as the layer's name. */
        return soma__value_fail(r->tree, value, r->err,
                                "%s: one layer needs one name, found '%s' and '%s'; options go "
                                "into braces: `%s: {%s: …}`",
                                where, value->first->key, value->first->next->key,
                                value->first->key, value->first->next->key);
    return soma__value_fail(
        r->tree, value, r->err, "%s: expected a layer such as `relu` or `dense: 128`, got %s",
        where, value->kind == SOMA__MAP ? "an empty map" : soma__value_kind_text(value->kind));
}

soma_status soma__layer_from_value(soma_layer **out, const soma__tree *tree,
                                   const soma__value *value, const char *where, soma_error *err)
{
    reader r = {.tree = tree, .err = err};
    *out = NULL;
    if (!value)
        return soma__fail(err, SOMA_INVALID, "%s: there are no layers", where);
    return read_layer(out, &r, value, where);
}

/* --- to values ----------------------------------------------------------------------------------
 */

/* The children of a list type. */
static soma__value *write_list(soma__tree *tree, const soma_layer *layer)
{
    soma__value *list = soma__value_new(tree, SOMA__LIST);
    for (int i = 0; list && i < layer->child_count; i++) {
        soma__value *item = soma__layer_to_value(tree, layer->children[i]);
        if (!item)
            return NULL;
        soma__value_append(list, item);
    }
    return list;
}

static soma__value *write_ints(soma__tree *tree, const soma__field *field, const char *at)
{
    soma__value *list = soma__value_new(tree, SOMA__LIST);
    for (int i = 0; list && i < field->count; i++) {
        int64_t integer;
        memcpy(&integer, at + (size_t)i * sizeof integer, sizeof integer);
        soma__value *item = soma__value_int(tree, integer);
        if (!item)
            return NULL;
        soma__value_append(list, item);
    }
    return list;
}

/* True if the option is worth writing: it is not the default, which is zero in every byte. */
static bool is_set(const soma__field *field, const char *at)
{
    static const char zeros[SOMA_MAX_DIMS * sizeof(int64_t)];
    size_t size = 0;
    switch (field->kind) {
    case SOMA__FIELD_INT:
        size = sizeof(int64_t);
        break;
    case SOMA__FIELD_FLOAT:
        size = sizeof(double);
        break;
    case SOMA__FIELD_BOOL:
        size = sizeof(bool);
        break;
    case SOMA__FIELD_ENUM:
        size = sizeof(int);
        break;
    case SOMA__FIELD_STRING:
        size = sizeof(char *);
        break;
    case SOMA__FIELD_INTS:
        size = (size_t)field->count * sizeof(int64_t);
        break;
    case SOMA__FIELD_FLOATS:
        size = (size_t)field->count * sizeof(double);
        break;
    case SOMA__FIELD_CHOICE:
        for (int i = 0; i < field->part_count; i++)
            if (is_set(&field->parts[i], at + field->parts[i].offset))
                return true;
        return false;
    case SOMA__FIELD_VALUE:
        return true;
    }
    return field->required || memcmp(at, zeros, size) != 0;
}

static soma__value *write_floats(soma__tree *tree, const soma__field *field, const char *at)
{
    soma__value *list = soma__value_new(tree, SOMA__LIST);
    for (int i = 0; list && i < field->count; i++) {
        double number;
        memcpy(&number, at + (size_t)i * sizeof number, sizeof number);
        soma__value *item = soma__value_float(tree, number);
        if (!item)
            return NULL;
        soma__value_append(list, item);
    }
    return list;
}

static soma__value *write_plain(soma__tree *tree, const soma__field *field, const char *at);

/* `name`, or `{name: {key: value}}`. */
static soma__value *write_choice(soma__tree *tree, const soma__field *field, const char *at)
{
    soma__value *name = write_plain(tree, &field->parts[0], at + field->parts[0].offset);
    soma__value *map = soma__value_new(tree, SOMA__MAP),
                *options = soma__value_new(tree, SOMA__MAP);
    if (!name || !map || !options)
        return NULL;
    for (int i = 1; i < field->part_count; i++) {
        const soma__field *part = &field->parts[i];
        if (!is_set(part, at + part->offset))
            continue;
        soma__value *item = write_plain(tree, part, at + part->offset);
        if (!item || !soma__value_set(tree, options, part->key, item))
            return NULL;
    }
    if (options->count == 0)
        return name;
    return soma__value_set(tree, map, name->text, options) ? map : NULL;
}

/* An option that is no layer. */
static soma__value *write_plain(soma__tree *tree, const soma__field *field, const char *at)
{
    int64_t integer;
    double number;
    bool boolean;
    int choice;
    const char *text;

    switch (field->kind) {
    case SOMA__FIELD_INT:
        memcpy(&integer, at, sizeof integer);
        return soma__value_int(tree, integer);
    case SOMA__FIELD_FLOAT:
        memcpy(&number, at, sizeof number);
        return soma__value_float(tree, number);
    case SOMA__FIELD_BOOL:
        memcpy(&boolean, at, sizeof boolean);
        return soma__value_bool(tree, boolean);
    case SOMA__FIELD_STRING:
        memcpy(&text, at, sizeof text);
        return soma__value_string(tree, text);
    case SOMA__FIELD_ENUM:
        memcpy(&choice, at, sizeof choice);
        return soma__value_string(tree, field->choices[choice]);
    case SOMA__FIELD_FLOATS:
        return write_floats(tree, field, at);
    case SOMA__FIELD_INTS:
        return write_ints(tree, field, at);
    case SOMA__FIELD_CHOICE:
        return write_choice(tree, field, at);
    case SOMA__FIELD_VALUE:
        break;
    }
    return NULL;
}

static soma__value *write_field(soma__tree *tree, const soma_layer *layer, const soma__field *field,
                                int slot)
{
    if (field->kind != SOMA__FIELD_VALUE)
        return write_plain(tree, field, (const char *)layer->options + field->offset);
    if (layer->type->write)
        return layer->type->write(layer, field, tree);
    if (layer->type->children == SOMA__CHILDREN_LIST)
        return write_list(tree, layer);
    return soma__layer_to_value(tree, layer->children[slot]);
}

soma__value *soma__layer_to_value(soma__tree *tree, const soma_layer *layer)
{
    const soma__layer_type *type = layer->type;
    soma__value *options = soma__value_new(tree, SOMA__MAP);
    int slot = 0;

    if (!options || !type)
        return NULL;
    if (type == &soma__layer_sequential && !soma__layer_given_name(layer))
        return write_list(tree, layer);
    for (int i = 0; i < type->field_count; i++) {
        const soma__field *field = &type->fields[i];
        const char *at = (const char *)layer->options + field->offset;
        int index = field->kind == SOMA__FIELD_VALUE ? slot++ : 0;
        bool absent = field->kind == SOMA__FIELD_VALUE && type->children == SOMA__CHILDREN_SLOTS &&
                      !layer->children[index];
        /* An alias says it with the layer's name. */
        if (absent || !is_set(field, at) || (type->alias && strcmp(field->key, type->alias) == 0))
            continue;
        soma__value *item = write_field(tree, layer, field, index);
        if (!item || !soma__value_set(tree, options, field->key, item))
            return NULL;
    }
    if (options->count == 0)
        return soma__value_string(tree, soma__layer_kind(layer));
    soma__value *map = soma__value_new(tree, SOMA__MAP);
    if (!map || !soma__value_set(tree, map, soma__layer_kind(layer), options))
        return NULL;
    return map;
}
