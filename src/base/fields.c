/* fields.c: fills option structs from maps, by a table of fields.
 *
 * The tables are the one description of every option: this reader, `--help`, the docs and the
 * recipe schema all use them. A message names the file, the line, the path of the option, what was
 * found and what was expected. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/value.h"

/* What is being read, for messages. */
typedef struct place {
    const soma__tree *tree;
    const soma__value *value;
    const char *where; /* path of the map, "" at the top */
    const char *key;
    soma_error *err;
} place;

/* "model.2.conv.stride: " and the text. */
static soma_status wrong(const place *at, const char *format, ...) SOMA_PRINTF(2, 3);
static soma_status wrong(const place *at, const char *format, ...)
{
    soma_error inner = {0};
    va_list args;
    va_start(args, format);
    soma__vfail(&inner, SOMA_INVALID, format, args);
    va_end(args);
    return soma__value_fail(at->tree, at->value, at->err, "%s%s%s%s%s", at->where,
                            *at->where && *at->key ? "." : "", at->key,
                            *at->where || *at->key ? ": " : "", inner.message);
}

/* The value as the user wrote it, cut to a readable length, for "got …". */
static const char *shown(const soma__value *value, char *buffer, size_t size)
{
    if (value->kind == SOMA__LIST)
        snprintf(buffer, size, "a list of %d", value->count);
    else if (value->kind == SOMA__MAP)
        snprintf(buffer, size, "a map");
    else if (value->text)
        snprintf(buffer, size, "'%.40s'", value->text);
    else if (value->kind == SOMA__INT)
        snprintf(buffer, size, "%lld", (long long)value->integer);
    else if (value->kind == SOMA__FLOAT)
        soma__format(buffer, size, "%.9g", value->number);
    else
        snprintf(buffer, size, "%s",
                 value->kind == SOMA__NULL ? "nothing"
                 : value->boolean          ? "true"
                                           : "false");
    return buffer;
}

static soma_status expected(const place *at, const char *what)
{
    char got[80];
    return wrong(at, "expected %s, got %s", what, shown(at->value, got, sizeof got));
}

/* --- ranges -------------------------------------------------------------------------------------
 */

static soma_status check_range(const place *at, const soma__field *field, double number)
{
    bool unlimited = field->min >= 0 && field->min <= 0 && field->max >= 0 && field->max <= 0;
    if (unlimited || (number >= field->min && number <= field->max))
        return SOMA_OK;
    char low[32], high[32], got[80];
    /* Ten digits write 2147483647 in full, and 0.5 and 1e-9 no longer than they need be. */
    soma__format(low, sizeof low, "%.10g", field->min);
    soma__format(high, sizeof high, "%.10g", field->max);
    shown(at->value, got, sizeof got);
    if (isinf(field->max))
        return wrong(at, "must be at least %s, got %s", low, got);
    if (isinf(field->min))
        return wrong(at, "must be at most %s, got %s", high, got);
    return wrong(at, "must be from %s to %s, got %s", low, high, got);
}

/* --- one field ----------------------------------------------------------------------------------
 */

/* A whole number, also when written as 1e3. */
static bool whole(const soma__value *value, int64_t *out)
{
    if (value->kind == SOMA__INT) {
        *out = value->integer;
        return true;
    }
    double number = value->number;
    /* NaN is neither. cppcheck reads the hexadecimal constants as equal. */
    // cppcheck-suppress incorrectLogicOperator
    if (value->kind != SOMA__FLOAT || !(number >= -0x1p63 && number < 0x1p63))
        return false;
    int64_t integer = (int64_t)number;
    double back = (double)integer;
    if (back < number || back > number)
        return false;
    *out = integer;
    return true;
}

static soma_status read_int(const place *at, const soma__field *field, int64_t *out)
{
    int64_t integer;
    if (!whole(at->value, &integer))
        return expected(at, "a whole number");
    SOMA__TRY(check_range(at, field, (double)integer));
    *out = integer;
    return SOMA_OK;
}

static soma_status read_float(const place *at, const soma__field *field, double *out)
{
    if (at->value->kind != SOMA__INT && at->value->kind != SOMA__FLOAT)
        return expected(at, "a number");
    SOMA__TRY(check_range(at, field, at->value->number));
    *out = at->value->number;
    return SOMA_OK;
}

static soma_status read_bool(const place *at, bool *out)
{
    if (at->value->kind != SOMA__BOOL)
        return expected(at, "true or false");
    *out = at->value->boolean;
    return SOMA_OK;
}

/* "a, b or c" */
static void list_names(soma__text *text, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        soma__text_add(text, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", names[i]);
}

static soma_status read_enum(const place *at, const soma__field *field, int *out)
{
    size_t count = 0;
    while (field->choices[count])
        count++;
    /* The source text, because a choice may be called "none", "1" or "true". */
    const char *name = at->value->kind < SOMA__LIST ? at->value->text : NULL;
    for (size_t i = 0; name && i < count; i++)
        if (strcmp(name, field->choices[i]) == 0) {
            *out = (int)i;
            return SOMA_OK;
        }
    soma__text choices = {0};
    list_names(&choices, field->choices, count);
    const char *all = choices.data ? choices.data : "a known name";
    const char *near = name ? soma__nearest(name, field->choices, count) : NULL;
    char got[80];
    shown(at->value, got, sizeof got);
    soma_status status =
        near ? wrong(at, "unknown choice %s, did you mean '%s'? (it can be %s)", got, near, all)
             : wrong(at, "expected %s, got %s", all, got);
    soma__text_free(&choices);
    return status;
}

static soma_status read_ints(const place *at, const soma__field *field, int64_t *out)
{
    int64_t integer;
    if (at->value->kind != SOMA__LIST) {
        if (!whole(at->value, &integer))
            return expected(at, "a whole number or a list of them");
        SOMA__TRY(check_range(at, field, (double)integer));
        for (int i = 0; i < field->count; i++)
            out[i] = integer;
        return SOMA_OK;
    }
    if (at->value->count != field->count)
        return wrong(at, "expected %d whole numbers, or one for all, got %d", field->count,
                     at->value->count);
    /* All entries are checked before any is stored, so that a failure leaves the defaults. */
    place entry = *at;
    for (entry.value = at->value->first; entry.value; entry.value = entry.value->next)
        SOMA__TRY(read_int(&entry, field, &integer));
    for (const soma__value *item = at->value->first; item; item = item->next)
        if (whole(item, &integer))
            *out++ = integer;
    return SOMA_OK;
}

static soma_status read_floats(const place *at, const soma__field *field, double *out)
{
    double number;
    if (at->value->kind != SOMA__LIST) {
        if (at->value->kind != SOMA__INT && at->value->kind != SOMA__FLOAT)
            return expected(at, "a number or a list of them");
        SOMA__TRY(check_range(at, field, at->value->number));
        for (int i = 0; i < field->count; i++)
            out[i] = at->value->number;
        return SOMA_OK;
    }
    if (at->value->count != field->count)
        return wrong(at, "expected %d numbers, or one for all, got %d", field->count,
                     at->value->count);
    /* As above: all are checked before any is stored. */
    place entry = *at;
    for (entry.value = at->value->first; entry.value; entry.value = entry.value->next)
        SOMA__TRY(read_float(&entry, field, &number));
    for (const soma__value *item = at->value->first; item; item = item->next)
        *out++ = item->number;
    return SOMA_OK;
}

/* A name, or one name with what belongs to it. */
static soma_status read_choice(const place *at, const soma__field *field, void *target)
{
    const soma__value *value = at->value;
    char where[256];
    if (value->kind != SOMA__MAP)
        return read_enum(at, &field->parts[0], (int *)target);
    if (value->count != 1)
        return expected(at, "a name, or one name with options");

    /* The name stands as a key: it is read as if it were a value. */
    int choice = 0;
    soma__value name = {.kind = SOMA__STRING, .line = value->first->line};
    name.text = value->first->key;
    place inner = *at;
    inner.value = &name;
    SOMA__TRY(read_enum(&inner, &field->parts[0], &choice));
    *(int *)target = choice;

    snprintf(where, sizeof where, "%.120s%s%.40s.%.60s", at->where, *at->where ? "." : "", at->key,
             name.text);
    soma__value pair = *value->first, map = {.kind = SOMA__MAP, .line = pair.line, .count = 1};
    const soma__value *options = value->first;
    if (options->kind != SOMA__MAP && options->kind != SOMA__NULL) {
        if (!field->shorts || !field->shorts[choice])
            return wrong(at, "'%s' takes no short form; write {%s: {key: value}}", name.text,
                         name.text);
        pair.key = field->shorts[choice];
        pair.next = NULL;
        map.first = map.last = &pair;
        options = &map;
    }
    return soma__fields_read(field->parts + 1, (size_t)field->part_count - 1, target, at->tree,
                             options, where, at->err);
}

static soma_status read_field(const place *at, const soma__field *field, void *target)
{
    switch (field->kind) {
    case SOMA__FIELD_INT:
        return read_int(at, field, target);
    case SOMA__FIELD_FLOAT:
        return read_float(at, field, target);
    case SOMA__FIELD_BOOL:
        return read_bool(at, target);
    case SOMA__FIELD_STRING:
        /* A name such as 5 or true needs no quotes: the text is what the user wrote. */
        if (at->value->kind >= SOMA__LIST || !at->value->text)
            return expected(at, "text");
        *(const char **)target = at->value->text;
        return SOMA_OK;
    case SOMA__FIELD_ENUM:
        return read_enum(at, field, target);
    case SOMA__FIELD_INTS:
        return read_ints(at, field, target);
    case SOMA__FIELD_FLOATS:
        return read_floats(at, field, target);
    case SOMA__FIELD_VALUE:
        *(const soma__value **)target = at->value;
        return SOMA_OK;
    case SOMA__FIELD_CHOICE:
        return read_choice(at, field, target);
    }
    return soma__fail(at->err, SOMA_INTERNAL, "field '%s' has the unknown kind %d", field->key,
                      (int)field->kind);
}

/* --- the whole map ------------------------------------------------------------------------------
 */

#define MOST_NAMES 128

static soma_status unknown_key(const place *map, const soma__field *fields, size_t count,
                               const soma__value *entry)
{
    const char *names[MOST_NAMES] = {0};
    size_t known = count < MOST_NAMES ? count : MOST_NAMES;
    for (size_t i = 0; i < known; i++)
        names[i] = fields[i].key;
    place at = *map;
    at.value = entry;
    const char *near = soma__nearest(entry->key, names, known);
    if (near)
        return wrong(&at, "unknown key '%s', did you mean '%s'?", entry->key, near);
    if (known == 0)
        return wrong(&at, "unknown key '%s'; nothing can be set here", entry->key);
    soma__text all = {0};
    list_names(&all, names, known);
    soma_status status = wrong(&at, "unknown key '%s'; it can be %s", entry->key,
                               all.data ? all.data : "one of the documented keys");
    soma__text_free(&all);
    return status;
}

soma_status soma__fields_read(const soma__field *fields, size_t count, void *target,
                              const soma__tree *tree, const soma__value *value, const char *where,
                              soma_error *err)
{
    place map = {.tree = tree, .value = value, .where = where ? where : "", .key = "", .err = err};
    /* A key with nothing after it ("train:") is null: an empty map. */
    if (value && value->kind != SOMA__MAP && value->kind != SOMA__NULL)
        return expected(&map, "a map of options");

    for (const soma__value *entry = value ? value->first : NULL; entry; entry = entry->next) {
        size_t i = 0;
        while (i < count && strcmp(fields[i].key, entry->key) != 0)
            i++;
        if (i == count)
            return unknown_key(&map, fields, count, entry);
        /* Null asks for the default; what it means to a nested part is its owner's business. */
        if (entry->kind == SOMA__NULL && fields[i].kind != SOMA__FIELD_VALUE)
            continue;
        place at = map;
        at.value = entry;
        at.key = entry->key;
        SOMA__TRY(read_field(&at, &fields[i], (char *)target + fields[i].offset));
    }

    for (size_t i = 0; i < count; i++) {
        const soma__value *entry =
            fields[i].required ? soma__value_find(value, fields[i].key) : NULL;
        if (fields[i].required && (!entry || entry->kind == SOMA__NULL))
            return wrong(&map, "'%s' is missing%s%s%s", fields[i].key, fields[i].doc ? " (" : "",
                         fields[i].doc ? fields[i].doc : "", fields[i].doc ? ")" : "");
    }
    return SOMA_OK;
}
