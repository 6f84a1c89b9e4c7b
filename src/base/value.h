/* value.h: trees of plain values, as recipes and metadata hold them, with the line each came from.
 * format/yaml.c and format/json.c make them from text. All nodes live in the tree's arena. */
#ifndef SOMA__VALUE_H
#define SOMA__VALUE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

typedef enum soma__value_kind {
    SOMA__NULL,
    SOMA__BOOL,
    SOMA__INT,
    SOMA__FLOAT,
    SOMA__STRING,
    SOMA__LIST,
    SOMA__MAP, /* in the order written; keys are unique */
} soma__value_kind;

typedef struct soma__value {
    soma__value_kind kind;
    int line; /* 1-based; 0: not from a file */
    bool boolean;
    int64_t integer;
    double number;    /* also set for SOMA__INT */
    const char *text; /* SOMA__STRING, and the source text of plain scalars */
    const char *key;  /* when it is an entry of a map */
    struct soma__value *first, *last, *next; /* children of a list or map; next sibling */
    int count;
} soma__value;

typedef struct soma__tree {
    soma__arena arena;
    soma__value *root;
    const char *source; /* file name for messages, in the arena */
    const void *layers; /* for nn: kinds of layers that the user's program registered; borrowed */
} soma__tree;

void soma__tree_clear(soma__tree *tree);
soma__value *soma__value_new(soma__tree *tree, soma__value_kind kind); /* NULL: no memory */
soma__value *soma__value_string(soma__tree *tree, const char *text);
soma__value *soma__value_int(soma__tree *tree, int64_t value);
soma__value *soma__value_float(soma__tree *tree, double value);
soma__value *soma__value_bool(soma__tree *tree, bool value);
void soma__value_append(soma__value *list, soma__value *item);
/* Adds or replaces. False: no memory. */
bool soma__value_set(soma__tree *tree, soma__value *map, const char *key, soma__value *item);
soma__value *soma__value_find(const soma__value *map, const char *key); /* NULL: absent */
const char *soma__value_kind_text(soma__value_kind kind);
/* "train.epochs=5" (the right side read as a YAML scalar: int, float, bool, null, else a string;
 * "a.0.b" indexes lists). Makes missing maps. Errors: SOMA_INVALID. */
soma_status soma__value_override(soma__tree *tree, const char *assignment, soma_error *err);
/* Reads a plain scalar as YAML 1.2 core schema does, into *out (already made), which keeps `text`:
 * it must live in the tree's arena. A whole number beyond int64_t becomes a float. */
void soma__value_plain(soma__value *out, const char *text);

/* --- binding to C structs: one table per option struct --------------------------------------- */

typedef enum soma__field_kind {
    SOMA__FIELD_INT,    /* int64_t */
    SOMA__FIELD_FLOAT,  /* double */
    SOMA__FIELD_BOOL,   /* bool */
    SOMA__FIELD_STRING, /* const char * (borrowed from the tree) */
    SOMA__FIELD_ENUM,   /* int; text among `choices`, index = value */
    SOMA__FIELD_INTS,   /* int64_t[count]; one number fills all */
    SOMA__FIELD_FLOATS, /* double[count]; one number fills all */
    SOMA__FIELD_VALUE,  /* const soma__value *: nested, read by its owner */
    SOMA__FIELD_CHOICE, /* a struct that begins with an enum; `parts` are its fields, the enum's
                           first, and offsets count from the struct. Written `name`,
                           `{name: {key: value}}`, or `{name: value}` where `shorts` has a key */
} soma__field_kind;

typedef struct soma__field {
    const char *key;
    soma__field_kind kind;
    size_t offset;
    int count;                  /* SOMA__FIELD_INTS, SOMA__FIELD_FLOATS */
    const char *const *choices; /* SOMA__FIELD_ENUM: NULL-terminated, index is the value */
    double min, max;            /* both 0: any */
    bool required;
    const char *doc;                 /* one line, for `soma ops`, help and docs */
    const struct soma__field *parts; /* SOMA__FIELD_CHOICE */
    int part_count;
    const char *const *shorts; /* SOMA__FIELD_CHOICE: for each choice a key or NULL */
} soma__field;

/* Fills `target` from map `value`: unknown keys ("did you mean"), wrong types, ranges and missing
 * required keys are SOMA_INVALID with "file:line: where: …". Fields not mentioned, or null, keep
 * what is there (their defaults); SOMA__FIELD_VALUE gets a null too, for its owner to judge. INT
 * takes 1e3 and 2.0, FLOAT takes whole numbers, STRING takes the source text of any plain scalar.
 * `where` is the path for messages ("model.2.conv"). `value` NULL or null: only required is
 * checked. */
soma_status soma__fields_read(const soma__field *fields, size_t count, void *target,
                              const soma__tree *tree, const soma__value *value, const char *where,
                              soma_error *err);

/* SOMA_INVALID with a message at a value: "file:line: text"; "file: text" for value NULL. A value
 * of line 0 (an override, say) names no file. */
soma_status soma__value_fail(const soma__tree *tree, const soma__value *value, soma_error *err,
                             const char *format, ...) SOMA_PRINTF(4, 5);

#endif
