/* yaml.h: YAML text -> a soma__value tree in which each value knows its line.
 *
 * One document of maps, lists and scalars. Plain scalars are read by the YAML 1.2 core schema
 * (soma__value_plain); quoted and block scalars are strings. Anchors and aliases work: an alias is
 * a copy, and the copies are counted, so that a small file cannot unfold to a huge tree. Refused
 * with the line: duplicate keys, keys that are not scalars, merge keys (<<), tags other than !!str,
 * a second document, nesting beyond 64 levels. */
#ifndef SOMA__YAML_H
#define SOMA__YAML_H

#include "base/error.h"
#include "base/value.h"

#define SOMA__YAML_MAX_DEPTH 64
#define SOMA__YAML_MAX_VALUES 200000
#define SOMA__YAML_MAX_BYTES ((size_t)4 << 20)

/* Parses into *out, which must be empty ({0} or cleared) and stays empty on failure;
 * soma__tree_clear releases it. `name` is kept as the tree's source; messages begin with
 * "name:line: ". An empty text is an error.
 * Errors: SOMA_FORMAT, SOMA_MEMORY, SOMA_UNSUPPORTED (built without libyaml). */
soma_status soma__yaml_parse(soma__tree *out, const char *text, size_t size, const char *name,
                             soma_error *err);
/* The same from a file; also SOMA_IO. */
soma_status soma__yaml_read(soma__tree *out, const char *path, soma_error *err);

#endif
