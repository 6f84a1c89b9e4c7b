#include "format/yaml.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

#if defined(SOMA_HAVE_YAML) && SOMA_HAVE_YAML
#include <yaml.h>

typedef struct anchor {
    const char *name;
    const soma__value *value; /* NULL while the value is still being read */
} anchor;

typedef struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; always initialised, so it can always be deleted */
    soma__tree *tree;
    const char *name;
    soma_error *err;
    anchor *anchors;
    size_t anchor_count, anchor_capacity;
    int values; /* made so far, aliases' copies included */
} reader;

static int mark_line(yaml_mark_t mark)
{
    return (int)mark.line + 1;
}

static soma_status no_memory(reader *r)
{
    return soma__fail(r->err, SOMA_MEMORY, "%s: out of memory while reading YAML", r->name);
}

static soma_status fail_at(reader *r, int line, const char *what)
{
    return soma__fail(r->err, SOMA_FORMAT, "%s:%d: %s", r->name, line, what);
}

/* Replaces the current event with the next one. */
static soma_status next(reader *r)
{
    yaml_event_delete(&r->event);
    memset(&r->event, 0, sizeof r->event);
    if (yaml_parser_parse(&r->parser, &r->event))
        return SOMA_OK;
    memset(&r->event, 0, sizeof r->event);
    switch (r->parser.error) {
    case YAML_MEMORY_ERROR:
        return no_memory(r);
    case YAML_READER_ERROR: {
        /* These faults know the byte only. */
        return soma__fail(r->err, SOMA_FORMAT, "%s:%d: not valid YAML: %s", r->name,
                          mark_line(r->parser.mark),
                          r->parser.problem ? r->parser.problem : "unreadable text");
    }
    default:
        return soma__fail(r->err, SOMA_FORMAT, "%s:%d: not valid YAML: %s%s%s", r->name,
                          mark_line(r->parser.problem_mark),
                          r->parser.problem ? r->parser.problem : "syntax error",
                          r->parser.context ? " " : "", r->parser.context ? r->parser.context : "");
    }
}

static soma_status new_value(soma__value **out, reader *r, soma__value_kind kind, int line)
{
    if (r->values == SOMA__YAML_MAX_VALUES)
        return soma__fail(r->err, SOMA_FORMAT, "%s:%d: more than %d values", r->name, line,
                          SOMA__YAML_MAX_VALUES);
    r->values++;
    *out = soma__value_new(r->tree, kind);
    if (!*out)
        return no_memory(r);
    (*out)->line = line;
    return SOMA_OK;
}

/* --- anchors ---------------------------------------------------------------------------------- */

/* The newest anchor of that name: YAML lets a later one hide an earlier. */
static anchor *find_anchor(reader *r, const char *name)
{
    for (size_t i = r->anchor_count; i-- > 0;)
        if (strcmp(r->anchors[i].name, name) == 0)
            return &r->anchors[i];
    return NULL;
}

/* Notes an anchor before its value is read, so that an alias inside of it is seen to be circular.
 * *out is SIZE_MAX when the value has none. */
static soma_status begin_anchor(size_t *out, reader *r, const yaml_char_t *name)
{
    void *array = r->anchors;
    char *copy;

    *out = SIZE_MAX;
    if (!name)
        return SOMA_OK;
    /* Looking them up is linear; a file of only anchors should not take quadratic time. */
    if (r->anchor_count == 1000)
        return fail_at(r, mark_line(r->event.start_mark), "more than 1000 anchors");
    copy = soma__arena_strdup(&r->tree->arena, (const char *)name);
    if (!copy || !soma__grow(&array, &r->anchor_capacity, r->anchor_count, sizeof *r->anchors))
        return no_memory(r);
    r->anchors = array;
    *out = r->anchor_count;
    r->anchors[r->anchor_count++] = (anchor){.name = copy};
    return SOMA_OK;
}

static void end_anchor(reader *r, size_t number, const soma__value *value)
{
    if (number != SIZE_MAX)
        r->anchors[number].value = value;
}

/* A deep copy that keeps the lines of the original. `depth` is that of the copy's place. */
static soma_status copy_value(soma__value **out, reader *r, const soma__value *from, int depth,
                              int line)
{
    soma__value *to;

    if (depth > SOMA__YAML_MAX_DEPTH)
        return fail_at(r, line, "an alias nests more than 64 levels deep");
    SOMA__TRY(new_value(&to, r, from->kind, from->line));
    to->boolean = from->boolean;
    to->integer = from->integer;
    to->number = from->number;
    to->text = from->text;
    for (const soma__value *child = from->first; child; child = child->next) {
        soma__value *copy;
        SOMA__TRY(copy_value(&copy, r, child, depth + 1, line));
        copy->key = child->key;
        soma__value_append(to, copy);
    }
    *out = to;
    return SOMA_OK;
}

static soma_status read_alias(soma__value **out, reader *r, int depth)
{
    int line = mark_line(r->event.start_mark);
    const char *name = (const char *)r->event.data.alias.anchor;
    const anchor *found = find_anchor(r, name);

    if (!found)
        return soma__fail(r->err, SOMA_FORMAT, "%s:%d: no anchor is named '%s'", r->name, line,
                          name);
    if (!found->value)
        return soma__fail(r->err, SOMA_FORMAT,
                          "%s:%d: alias '%s' lies inside of what it stands for", r->name, line,
                          name);
    return copy_value(out, r, found->value, depth, line);
}

/* --- values ----------------------------------------------------------------------------------- */

static soma_status read_value(soma__value **out, reader *r, int depth);

static soma_status check_tag(reader *r, const yaml_char_t *tag, const char *allowed)
{
    if (!tag || strcmp((const char *)tag, "!") == 0 || strcmp((const char *)tag, allowed) == 0)
        return SOMA_OK;
    return soma__fail(r->err, SOMA_FORMAT, "%s:%d: the tag '%s' is not supported", r->name,
                      mark_line(r->event.start_mark), (const char *)tag);
}

/* The current event's scalar as text in the arena. */
static soma_status scalar_text(const char **out, reader *r)
{
    size_t length = r->event.data.scalar.length;
    const char *text = (const char *)r->event.data.scalar.value;

    if (memchr(text, 0, length))
        return fail_at(r, mark_line(r->event.start_mark), "a string holds a NUL character");
    *out = soma__arena_strdup(&r->tree->arena, text);
    return *out ? SOMA_OK : no_memory(r);
}

static soma_status read_scalar(soma__value **out, reader *r)
{
    const yaml_char_t *tag = r->event.data.scalar.tag;
    bool plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !tag;
    const char *text;
    size_t anchor_number;

    SOMA__TRY(check_tag(r, tag, YAML_STR_TAG));
    SOMA__TRY(begin_anchor(&anchor_number, r, r->event.data.scalar.anchor));
    SOMA__TRY(scalar_text(&text, r));
    SOMA__TRY(new_value(out, r, SOMA__STRING, mark_line(r->event.start_mark)));
    (*out)->text = text;
    if (plain)
        soma__value_plain(*out, text);
    end_anchor(r, anchor_number, *out);
    return SOMA_OK;
}

static soma_status read_list(soma__value **out, reader *r, int depth)
{
    size_t anchor_number;

    SOMA__TRY(check_tag(r, r->event.data.sequence_start.tag, YAML_SEQ_TAG));
    SOMA__TRY(begin_anchor(&anchor_number, r, r->event.data.sequence_start.anchor));
    SOMA__TRY(new_value(out, r, SOMA__LIST, mark_line(r->event.start_mark)));
    SOMA__TRY(next(r));
    while (r->event.type != YAML_SEQUENCE_END_EVENT) {
        soma__value *item;
        SOMA__TRY(read_value(&item, r, depth + 1));
        soma__value_append(*out, item);
        SOMA__TRY(next(r));
    }
    end_anchor(r, anchor_number, *out);
    return SOMA_OK;
}

/* A key with the line it stands in, which a value on the next line does not share. */
typedef struct map_key {
    const char *text;
    int line;
} map_key;

static int compare_keys(const void *a, const void *b)
{
    const map_key *x = a, *y = b;
    int order = strcmp(x->text, y->text);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

/* Sorted, twins are neighbours: a map of many keys costs n log n. */
static soma_status check_unique(reader *r, map_key *keys, size_t count)
{
    if (count)
        qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 1; i < count; i++)
        if (strcmp(keys[i - 1].text, keys[i].text) == 0)
            return soma__fail(r->err, SOMA_FORMAT,
                              "%s:%d: the key '%s' was given in line %d already", r->name,
                              keys[i].line, keys[i].text, keys[i - 1].line);
    return SOMA_OK;
}

static soma_status read_key(map_key *out, reader *r)
{
    out->line = mark_line(r->event.start_mark);
    if (r->event.type != YAML_SCALAR_EVENT)
        return fail_at(r, out->line, "a key must be a plain word or a string");
    if (r->event.data.scalar.anchor)
        return fail_at(r, out->line, "a key cannot be an anchor");
    SOMA__TRY(check_tag(r, r->event.data.scalar.tag, YAML_STR_TAG));
    SOMA__TRY(scalar_text(&out->text, r));
    if (strcmp(out->text, "<<") == 0 && r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return fail_at(r, out->line, "merge keys (<<) are not supported; write the keys out");
    return SOMA_OK;
}

/* Reads the entries of `map`; *keys is the caller's to free, whatever happens. */
static soma_status read_entries(soma__value *map, reader *r, int depth, map_key **keys)
{
    size_t count = 0, capacity = 0;

    SOMA__TRY(next(r));
    while (r->event.type != YAML_MAPPING_END_EVENT) {
        void *array = *keys;
        soma__value *item;
        if (!soma__grow(&array, &capacity, count, sizeof **keys))
            return no_memory(r);
        *keys = array;
        SOMA__TRY(read_key(&(*keys)[count], r));
        SOMA__TRY(next(r));
        SOMA__TRY(read_value(&item, r, depth + 1));
        item->key = (*keys)[count++].text;
        soma__value_append(map, item);
        SOMA__TRY(next(r));
    }
    return check_unique(r, *keys, count);
}

static soma_status read_map(soma__value **out, reader *r, int depth)
{
    map_key *keys = NULL;
    size_t anchor_number;
    soma_status status;

    SOMA__TRY(check_tag(r, r->event.data.mapping_start.tag, YAML_MAP_TAG));
    SOMA__TRY(begin_anchor(&anchor_number, r, r->event.data.mapping_start.anchor));
    SOMA__TRY(new_value(out, r, SOMA__MAP, mark_line(r->event.start_mark)));
    status = read_entries(*out, r, depth, &keys);
    soma__free(keys);
    end_anchor(r, anchor_number, *out);
    return status;
}

/* Reads the value that begins with the current event; the last event of it is current afterwards.
 */
static soma_status read_value(soma__value **out, reader *r, int depth)
{
    if (depth > SOMA__YAML_MAX_DEPTH)
        return fail_at(r, mark_line(r->event.start_mark), "nested more than 64 levels deep");
    switch (r->event.type) {
    case YAML_SCALAR_EVENT:
        return read_scalar(out, r);
    case YAML_SEQUENCE_START_EVENT:
        return read_list(out, r, depth);
    case YAML_MAPPING_START_EVENT:
        return read_map(out, r, depth);
    case YAML_ALIAS_EVENT:
        return read_alias(out, r, depth);
    default:
        return fail_at(r, mark_line(r->event.start_mark), "a value was expected here");
    }
}

static soma_status read_document(reader *r)
{
    SOMA__TRY(next(r)); /* the stream's start */
    SOMA__TRY(next(r));
    if (r->event.type == YAML_STREAM_END_EVENT)
        return fail_at(r, 1, "the file is empty");
    SOMA__TRY(next(r)); /* past the document's start */
    SOMA__TRY(read_value(&r->tree->root, r, 1));
    SOMA__TRY(next(r)); /* the document's end */
    SOMA__TRY(next(r));
    if (r->event.type != YAML_STREAM_END_EVENT)
        return fail_at(r, mark_line(r->event.start_mark), "a second document begins here");
    return SOMA_OK;
}

soma_status soma__yaml_parse(soma__tree *out, const char *text, size_t size, const char *name,
                             soma_error *err)
{
    reader r = {.tree = out, .name = name, .err = err};
    soma_status status;

    if (size > SOMA__YAML_MAX_BYTES)
        return soma__fail(err, SOMA_FORMAT, "%s: YAML of %zu bytes is larger than the limit of %zu",
                          name, size, SOMA__YAML_MAX_BYTES);
    if (!yaml_parser_initialize(&r.parser))
        return no_memory(&r);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
    out->source = soma__arena_strdup(&out->arena, name);
    status = out->source ? read_document(&r) : no_memory(&r);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    soma__free(r.anchors);
    if (status != SOMA_OK)
        soma__tree_clear(out);
    return status;
}
#else
soma_status soma__yaml_parse(soma__tree *out, const char *text, size_t size, const char *name,
                             soma_error *err)
{
    (void)out, (void)text, (void)size;
    return soma__fail(err, SOMA_UNSUPPORTED,
                      "%s: reading YAML needs libyaml: this soma was built without it", name);
}
#endif

soma_status soma__yaml_read(soma__tree *out, const char *path, soma_error *err)
{
    void *data;
    size_t size;
    soma_status status;

    SOMA__TRY(soma__file_read(&data, &size, path, SOMA__YAML_MAX_BYTES, err));
    status = soma__yaml_parse(out, data, size, path, err);
    soma__free(data);
    return status;
}
