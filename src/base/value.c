/* value.c: trees of plain values: making, finding, overriding. fields.c binds them to structs. */
#include "base/value.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

void soma__tree_clear(soma__tree *tree)
{
    soma__arena_clear(&tree->arena);
    *tree = (soma__tree){0};
}

soma__value *soma__value_new(soma__tree *tree, soma__value_kind kind)
{
    soma__value *value = soma__arena_alloc(&tree->arena, sizeof *value);
    if (value)
        value->kind = kind;
    return value;
}

soma__value *soma__value_string(soma__tree *tree, const char *text)
{
    soma__value *value = soma__value_new(tree, SOMA__STRING);
    if (!value)
        return NULL;
    value->text = soma__arena_strdup(&tree->arena, text);
    return value->text ? value : NULL;
}

soma__value *soma__value_int(soma__tree *tree, int64_t integer)
{
    soma__value *value = soma__value_new(tree, SOMA__INT);
    if (value) {
        value->integer = integer;
        value->number = (double)integer;
    }
    return value;
}

soma__value *soma__value_float(soma__tree *tree, double number)
{
    soma__value *value = soma__value_new(tree, SOMA__FLOAT);
    if (value)
        value->number = number;
    return value;
}

soma__value *soma__value_bool(soma__tree *tree, bool boolean)
{
    soma__value *value = soma__value_new(tree, SOMA__BOOL);
    if (value)
        value->boolean = boolean;
    return value;
}

void soma__value_append(soma__value *list, soma__value *item)
{
    item->next = NULL;
    if (list->last)
        list->last->next = item;
    else
        list->first = item;
    list->last = item;
    list->count++;
}

soma__value *soma__value_find(const soma__value *map, const char *key)
{
    if (!map || map->kind != SOMA__MAP)
        return NULL;
    for (soma__value *item = map->first; item; item = item->next)
        if (strcmp(item->key, key) == 0)
            return item;
    return NULL;
}

/* Puts `item` where `old` is. */
static void replace(soma__value *parent, soma__value *old, soma__value *item)
{
    soma__value **link = &parent->first;
    /* `old` is a child of `parent`, so the list does not end before it. */
    while (*link != old) /* NOLINT(clang-analyzer-core.NullDereference): see above */
        link = &(*link)->next;
    *link = item;
    item->next = old->next;
    if (parent->last == old)
        parent->last = item;
}

bool soma__value_set(soma__tree *tree, soma__value *map, const char *key, soma__value *item)
{
    soma__value *old = soma__value_find(map, key);
    item->key = old ? old->key : soma__arena_strdup(&tree->arena, key);
    if (!item->key)
        return false;
    if (!old)
        soma__value_append(map, item);
    else if (old != item)
        replace(map, old, item);
    return true;
}

const char *soma__value_kind_text(soma__value_kind kind)
{
    switch (kind) {
    case SOMA__NULL:
        return "null";
    case SOMA__BOOL:
        return "true/false";
    case SOMA__INT:
        return "whole number";
    case SOMA__FLOAT:
        return "number";
    case SOMA__STRING:
        return "text";
    case SOMA__LIST:
        return "list";
    case SOMA__MAP:
        return "map";
    }
    return "unknown kind";
}

soma_status soma__value_fail(const soma__tree *tree, const soma__value *value, soma_error *err,
                             const char *format, ...)
{
    va_list args;
    va_start(args, format);
    soma__vfail(err, SOMA_INVALID, format, args);
    va_end(args);
    /* A value without a line did not come from the file (an override, say), so naming the file
     * would send the reader to the wrong place. */
    if (tree && tree->source && !value)
        soma__fail_within(err, SOMA_INVALID, "%s", tree->source);
    else if (tree && tree->source && value->line > 0)
        soma__fail_within(err, SOMA_INVALID, "%s:%d", tree->source, value->line);
    else if (value && value->line > 0)
        soma__fail_within(err, SOMA_INVALID, "line %d", value->line);
    return SOMA_INVALID;
}

/* --- plain scalars: the core schema of YAML 1.2 (section 10.3.2) ---------------------------------
 */

static bool one_of(const char *text, const char *a, const char *b, const char *c)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0 || strcmp(text, c) == 0;
}

/* 0x… and 0o…, which the schema knows without a sign. A number too large for int64_t becomes a
 * float, as a decimal one does. */
static bool read_based(soma__value *out, const char *text)
{
    int base = text[0] != '0' ? 0 : text[1] == 'x' ? 16 : text[1] == 'o' ? 8 : 0;
    if (base == 0 || text[2] == '\0')
        return false;
    int64_t integer = 0;
    double number = 0;
    bool fits = true;
    for (const char *p = text + 2; *p; p++) {
        int digit = *p >= '0' && *p <= '9'   ? *p - '0'
                    : *p >= 'a' && *p <= 'f' ? *p - 'a' + 10
                    : *p >= 'A' && *p <= 'F' ? *p - 'A' + 10
                                             : base;
        if (digit >= base)
            return false;
        number = number * base + digit;
        fits =
            fits && soma__mul64(integer, base, &integer) && soma__add64(integer, digit, &integer);
    }
    out->kind = fits ? SOMA__INT : SOMA__FLOAT;
    out->integer = fits ? integer : 0;
    out->number = fits ? (double)integer : number;
    return true;
}

static bool read_special_float(soma__value *out, const char *text)
{
    const char *p = text + (*text == '+' || *text == '-');
    if (one_of(p, ".inf", ".Inf", ".INF"))
        out->number = *text == '-' ? -HUGE_VAL : HUGE_VAL;
    else if (one_of(text, ".nan", ".NaN", ".NAN"))
        out->number = (double)NAN;
    else
        return false;
    out->kind = SOMA__FLOAT;
    return true;
}

/* soma__parse_float also reads "inf" and "nan", which are words in YAML. */
static bool looks_like_number(const char *text)
{
    text += *text == '+' || *text == '-';
    text += *text == '.';
    return *text >= '0' && *text <= '9';
}

void soma__value_plain(soma__value *out, const char *text)
{
    out->text = text;
    out->boolean = false;
    out->integer = 0;
    out->number = 0;
    if (*text == '\0' || strcmp(text, "~") == 0 || one_of(text, "null", "Null", "NULL")) {
        out->kind = SOMA__NULL;
    } else if (one_of(text, "true", "True", "TRUE")) {
        out->kind = SOMA__BOOL;
        out->boolean = true;
    } else if (one_of(text, "false", "False", "FALSE")) {
        out->kind = SOMA__BOOL;
    } else if (soma__parse_int(text, &out->integer)) {
        out->kind = SOMA__INT;
        out->number = (double)out->integer;
    } else if (looks_like_number(text) && soma__parse_float(text, &out->number)) {
        out->kind = SOMA__FLOAT;
    } else if (!read_based(out, text) && !read_special_float(out, text)) {
        out->kind = SOMA__STRING;
    }
}

/* --- overrides: "train.epochs=5" -----------------------------------------------------------------
 */

static soma_status no_memory(soma_error *err)
{
    return soma__fail(err, SOMA_MEMORY, "out of memory while reading an override");
}

static soma_status bad_override(soma_error *err, const char *assignment, const char *format, ...)
    SOMA_PRINTF(3, 4);

static soma_status bad_override(soma_error *err, const char *assignment, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    soma__vfail(err, SOMA_INVALID, format, args);
    va_end(args);
    return soma__fail_within(err, SOMA_INVALID, "override '%s'", assignment);
}

/* The right side: quotes make text of anything ('5' is not the number 5), all else is plain. */
static soma__value *read_right_side(soma__tree *tree, const char *text)
{
    size_t length = strlen(text);
    char quote = text[0];
    if (length >= 2 && (quote == '\'' || quote == '"') && text[length - 1] == quote) {
        soma__value *value = soma__value_new(tree, SOMA__STRING);
        char *inner = soma__arena_copy(&tree->arena, text + 1, length - 1);
        if (!value || !inner)
            return NULL;
        inner[length - 2] = '\0';
        value->text = inner;
        return value;
    }
    soma__value *value = soma__value_new(tree, SOMA__NULL);
    char *copy = soma__arena_strdup(&tree->arena, text);
    if (!value || !copy)
        return NULL;
    soma__value_plain(value, copy);
    return value;
}

/* Entry `part` of the list `node`; NULL with a message if it is no index or out of range. */
static soma__value *list_entry(soma__value *node, const char *path, const char *part,
                               const char *assignment, soma_error *err)
{
    int64_t index;
    if (!soma__parse_int(part, &index) || index < 0 || index >= node->count) {
        if (node->count > 0)
            bad_override(err, assignment, "'%s' is a list, so '%s' should be a number from 0 to %d",
                         path, part, node->count - 1);
        else
            bad_override(err, assignment, "'%s' is an empty list and has no entry '%s'", path,
                         part);
        return NULL;
    }
    soma__value *entry = node->first;
    while (index-- > 0)
        entry = entry->next;
    return entry;
}

/* "train:" with nothing after it is null, and means an empty map when an entry is wanted in it. */
static void null_to_map(soma__value *value)
{
    if (value->kind == SOMA__NULL) {
        value->kind = SOMA__MAP;
        value->text = NULL;
    }
}

/* Walks `path` (cut at its dots as we go) and puts `item` at its end. `path` up to the current part
 * stays readable for messages, because each dot is put back once its part has been used. */
static soma_status assign(soma__tree *tree, char *path, soma__value *item, const char *assignment,
                          soma_error *err)
{
    soma__value *node = tree->root;
    char *part = path;
    for (;;) {
        char *dot = strchr(part, '.');
        if (dot)
            *dot = '\0';
        if (*part == '\0')
            return bad_override(err, assignment, "a key is empty; write KEY.KEY=VALUE");

        /* What is above this part, for messages; the part itself is still cut off at its end. */
        char *before = part > path ? part - 1 : NULL;
        if (before)
            *before = '\0';
        const char *above = before ? path : "the top level";
        soma__value *entry;
        if (node->kind == SOMA__MAP) {
            entry = soma__value_find(node, part);
        } else if (node->kind == SOMA__LIST) {
            entry = list_entry(node, above, part, assignment, err);
            if (!entry)
                return SOMA_INVALID;
        } else {
            return bad_override(err, assignment, "'%s' is a %s, so it has no entry '%s'", above,
                                soma__value_kind_text(node->kind), part);
        }

        if (!dot) {
            if (node->kind == SOMA__LIST) {
                replace(node, entry, item);
                return SOMA_OK;
            }
            return soma__value_set(tree, node, part, item) ? SOMA_OK : no_memory(err);
        }
        if (entry)
            null_to_map(entry);
        if (!entry) {
            entry = soma__value_new(tree, SOMA__MAP);
            if (!entry || !soma__value_set(tree, node, part, entry))
                return no_memory(err);
        }
        if (before)
            *before = '.';
        *dot = '.';
        node = entry;
        part = dot + 1;
    }
}

soma_status soma__value_override(soma__tree *tree, const char *assignment, soma_error *err)
{
    const char *equals = strchr(assignment, '=');
    if (!equals || equals == assignment)
        return bad_override(err, assignment, "expected KEY=VALUE, as in train.epochs=5");
    char *path = soma__arena_strdup(&tree->arena, assignment);
    soma__value *item = read_right_side(tree, equals + 1);
    if (!tree->root)
        tree->root = soma__value_new(tree, SOMA__MAP);
    if (!path || !item || !tree->root)
        return no_memory(err);
    null_to_map(tree->root);
    path[equals - assignment] = '\0';
    return assign(tree, path, item, assignment, err);
}
