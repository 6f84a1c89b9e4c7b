#include "format/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "format/utf8.h"

#if defined(SOMA_HAVE_JANSSON) && SOMA_HAVE_JANSSON
#include <jansson.h>

static soma_status no_memory(const char *name, soma_error *err)
{
    return soma__fail(err, SOMA_MEMORY, "%s: out of memory while reading JSON", name);
}

/* Copies one Jansson value and what it holds into the tree's arena. The recursion is bounded by
 * SOMA__JSON_MAX_DEPTH, so hostile nesting cannot use up the stack. */
static soma_status convert(soma__value **out, soma__tree *tree, const json_t *json, int depth,
                           soma_error *err)
{
    soma__value *value = NULL;

    if (depth > SOMA__JSON_MAX_DEPTH)
        return soma__fail(err, SOMA_FORMAT, "%s: JSON is nested more than %d levels deep",
                          tree->source, SOMA__JSON_MAX_DEPTH);
    switch (json_typeof(json)) {
    case JSON_NULL:
        value = soma__value_new(tree, SOMA__NULL);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        value = soma__value_bool(tree, json_is_true(json));
        break;
    case JSON_INTEGER:
        value = soma__value_int(tree, json_integer_value(json));
        break;
    case JSON_REAL:
        value = soma__value_float(tree, json_real_value(json));
        break;
    case JSON_STRING:
        value = soma__value_string(tree, json_string_value(json));
        break;
    case JSON_ARRAY:
        value = soma__value_new(tree, SOMA__LIST);
        for (size_t i = 0; value && i < json_array_size(json); i++) {
            soma__value *item;
            SOMA__TRY(convert(&item, tree, json_array_get(json, i), depth + 1, err));
            soma__value_append(value, item);
        }
        break;
    case JSON_OBJECT: {
        const char *key;
        json_t *child;
        value = soma__value_new(tree, SOMA__MAP);
        if (!value)
            break;
        /* Jansson has refused duplicates already, so appending is enough and keeps this linear. The
         * cast is for the macro, which takes a mutable object but only walks it. */
        json_object_foreach((json_t *)(uintptr_t)json, key, child)
        {
            soma__value *item;
            SOMA__TRY(convert(&item, tree, child, depth + 1, err));
            item->key = soma__arena_strdup(&tree->arena, key);
            if (!item->key)
                return no_memory(tree->source, err);
            soma__value_append(value, item);
        }
        break;
    }
    }
    if (!value)
        return no_memory(tree->source, err);
    *out = value;
    return SOMA_OK;
}

soma_status soma__json_parse(soma__tree *out, const char *text, size_t size, const char *name,
                             soma_error *err)
{
    json_error_t fault;
    json_t *json;
    soma_status status;

    if (size > SOMA__JSON_MAX_BYTES)
        return soma__fail(err, SOMA_FORMAT, "%s: JSON of %zu bytes is larger than the limit of %zu",
                          name, size, SOMA__JSON_MAX_BYTES);
    json = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &fault);
    if (!json) {
        if (json_error_code(&fault) == json_error_out_of_memory)
            return no_memory(name, err);
        return soma__fail(err, SOMA_FORMAT, "%s:%d: not valid JSON: %s", name,
                          fault.line > 0 ? fault.line : 1, fault.text);
    }
    out->source = soma__arena_strdup(&out->arena, name);
    status = out->source ? convert(&out->root, out, json, 1, err) : no_memory(name, err);
    json_decref(json);
    if (status != SOMA_OK)
        soma__tree_clear(out);
    return status;
}
#else
soma_status soma__json_parse(soma__tree *out, const char *text, size_t size, const char *name,
                             soma_error *err)
{
    (void)out, (void)text, (void)size;
    return soma__fail(err, SOMA_UNSUPPORTED,
                      "%s: reading JSON needs Jansson: this soma was built without it", name);
}
#endif

soma_status soma__json_read(soma__tree *out, const char *path, soma_error *err)
{
    void *data;
    size_t size;
    soma_status status;

    SOMA__TRY(soma__file_read(&data, &size, path, SOMA__JSON_MAX_BYTES, err));
    status = soma__json_parse(out, data, size, path, err);
    soma__free(data);
    return status;
}

void soma__json_string(soma__text *out, const char *text)
{
    size_t left = strlen(text);

    soma__text_append(out, "\"", 1);
    while (left) {
        /* Runs that need no escape are copied at once. */
        size_t run = 0;
        while (run < left && text[run] != '"' && text[run] != '\\' &&
               (unsigned char)text[run] >= 0x20 && (unsigned char)text[run] < 0x7f)
            run++;
        soma__text_append(out, text, run);
        text += run;
        left -= run;
        if (!left)
            break;

        unsigned char c = (unsigned char)*text;
        size_t length = 1;
        if (c == '"' || c == '\\')
            soma__text_add(out, "\\%c", c);
        else if (c == '\n')
            soma__text_append(out, "\\n", 2);
        else if (c == '\r')
            soma__text_append(out, "\\r", 2);
        else if (c == '\t')
            soma__text_append(out, "\\t", 2);
        else if (c < 0x20 || c == 0x7f)
            soma__text_add(out, "\\u%04x", c);
        else if ((length = soma__utf8_next(text, left, NULL)) != 0)
            soma__text_append(out, text, length);
        else
            soma__text_append(out, "\xef\xbf\xbd", 3), length = 1;
        text += length;
        left -= length;
    }
    soma__text_append(out, "\"", 1);
}

void soma__json_number(soma__text *out, double number)
{
    size_t start = out->length;

    if (!isfinite(number)) {
        soma__text_append(out, "null", 4);
        return;
    }
    /* Fifteen digits are enough for most numbers that people wrote, seventeen for any. */
    for (int digits = 15; digits <= 17 && !out->failed; digits++) {
        double again;
        if (digits > 15)
            out->length = start;
        soma__text_add(out, "%.*g", digits, number);
        if (!out->failed && soma__parse_float(out->data + start, &again) && again == number)
            break;
    }
    /* A float stays a float when it is read again. */
    if (!out->failed && !strpbrk(out->data + start, ".e"))
        soma__text_append(out, ".0", 2);
}

static void new_line(soma__text *out, int indent, int level)
{
    if (indent > 0)
        soma__text_add(out, "\n%*s", indent * level, "");
}

static void write_value(soma__text *out, const soma__value *value, int indent, int level)
{
    switch (value ? value->kind : SOMA__NULL) {
    case SOMA__NULL:
        soma__text_append(out, "null", 4);
        break;
    case SOMA__BOOL:
        soma__text_add(out, value->boolean ? "true" : "false");
        break;
    case SOMA__INT:
        soma__text_add(out, "%" PRId64, value->integer);
        break;
    case SOMA__FLOAT:
        soma__json_number(out, value->number);
        break;
    case SOMA__STRING:
        soma__json_string(out, value->text ? value->text : "");
        break;
    case SOMA__LIST:
    case SOMA__MAP: {
        bool map = value->kind == SOMA__MAP;
        soma__text_append(out, map ? "{" : "[", 1);
        for (const soma__value *item = value->first; item; item = item->next) {
            if (item != value->first)
                soma__text_append(out, indent > 0 ? "," : ", ", indent > 0 ? 1 : 2);
            new_line(out, indent, level + 1);
            if (map) {
                soma__json_string(out, item->key ? item->key : "");
                soma__text_append(out, ": ", 2);
            }
            write_value(out, item, indent, level + 1);
        }
        if (value->first)
            new_line(out, indent, level);
        soma__text_append(out, map ? "}" : "]", 1);
        break;
    }
    }
}

void soma__json_write(soma__text *out, const soma__value *value, int indent)
{
    write_value(out, value, indent, 0);
}

void soma__json_member(soma__text *out, const char *key, double number)
{
    soma__text_add(out, ",\"%s\":", key);
    soma__json_number(out, number);
}
