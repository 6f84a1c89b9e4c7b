#include "format/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "format/json.h"
#include "format/utf8.h"
#include "format/xxh64.h"
#include "tensor/tensor.h"

/* Tensor bytes are copied as they are, so the host has to agree with the file. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors needs a little-endian host");

#define MAX_HEADER 100000000u /* of the reference implementation */
#define META_KEY "__metadata__"
#define FORMAT_KEY "soma.format"
#define FORMAT_VALUE "1"
#define CHECKSUM_KEY "soma.xxh64"
#define CHECKSUM_DIGITS 16
static const char checksum_zeros[CHECKSUM_DIGITS + 1] = "0000000000000000";

static const struct {
    const char *text;
    soma_dtype dtype;
} dtypes[] = {
    {"F32", SOMA_F32}, {"F64", SOMA_F64}, {"F16", SOMA_F16}, {"BF16", SOMA_BF16}, {"I8", SOMA_I8},
    {"U8", SOMA_U8},   {"I32", SOMA_I32}, {"I64", SOMA_I64}, {"BOOL", SOMA_BOOL},
};
#define DTYPE_COUNT (sizeof dtypes / sizeof dtypes[0])

/* --- the index -------------------------------------------------------------------------------- */

/* Both kinds of item begin with their key. */
static const char *item_key(const void *items, size_t item_size, size_t number)
{
    const char *key;
    memcpy(&key, (const char *)items + item_size * number, sizeof key);
    return key;
}

/* The slot that holds `key`, or the free one where it belongs. The index is never full. */
static size_t index_slot(const soma__archive_index *index, const void *items, size_t item_size,
                         const char *key)
{
    size_t slot = (size_t)soma__hash(SOMA__HASH_SEED, key, strlen(key)) & (index->size - 1);
    while (index->slots[slot] &&
           strcmp(item_key(items, item_size, index->slots[slot] - 1), key) != 0)
        slot = (slot + 1) & (index->size - 1);
    return slot;
}

/* The item's number, or SIZE_MAX. */
static size_t index_find(const soma__archive_index *index, const void *items, size_t item_size,
                         const char *key)
{
    size_t slot;
    if (!index->size)
        return SIZE_MAX;
    slot = index_slot(index, items, item_size, key);
    return index->slots[slot] ? index->slots[slot] - 1 : SIZE_MAX;
}

/* Makes room for item number `count`; at most half of the slots are used. */
static bool index_reserve(soma__archive_index *index, const void *items, size_t item_size,
                          size_t count)
{
    soma__archive_index bigger;

    if (count >= UINT32_MAX / 4)
        return false;
    if ((count + 1) * 2 <= index->size)
        return true;
    bigger.size = index->size ? index->size * 2 : 32;
    bigger.slots = soma__calloc(bigger.size, sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < count; i++)
        bigger.slots[index_slot(&bigger, items, item_size, item_key(items, item_size, i))] =
            (uint32_t)i + 1;
    soma__free(index->slots);
    *index = bigger;
    return true;
}

/* --- the archive ------------------------------------------------------------------------------ */

soma_status soma__archive_add(soma__archive *archive, const char *name, soma_tensor *tensor,
                              soma_error *err)
{
    const size_t item = sizeof *archive->entries;
    void *array = archive->entries;
    char *copy;

    if (!*name || strcmp(name, META_KEY) == 0 || !soma__utf8_valid(name, strlen(name)))
        return soma__fail(err, SOMA_INVALID, "'%s' cannot be the name of a tensor", name);
    if (index_find(&archive->entry_index, archive->entries, item, name) != SIZE_MAX)
        return soma__fail(err, SOMA_INVALID, "two tensors are named '%s'", name);
    copy = soma__strdup(name);
    if (!copy || !soma__grow(&array, &archive->capacity, archive->count, item)) {
        soma__free(copy);
        return soma__fail(err, SOMA_MEMORY, "out of memory for tensor '%s'", name);
    }
    archive->entries = array;
    if (!index_reserve(&archive->entry_index, array, item, archive->count)) {
        soma__free(copy);
        return soma__fail(err, SOMA_MEMORY, "out of memory for tensor '%s'", name);
    }
    archive->entry_index.slots[index_slot(&archive->entry_index, array, item, copy)] =
        (uint32_t)archive->count + 1;
    archive->entries[archive->count].name = copy;
    archive->entries[archive->count++].tensor = soma_tensor_retain(tensor);
    return SOMA_OK;
}

soma_tensor *soma__archive_find(const soma__archive *archive, const char *name)
{
    size_t i = index_find(&archive->entry_index, archive->entries, sizeof *archive->entries, name);
    return i == SIZE_MAX ? NULL : archive->entries[i].tensor;
}

soma_status soma__archive_set_meta(soma__archive *archive, const char *key, const char *value,
                                   soma_error *err)
{
    const size_t item = sizeof *archive->meta;
    void *array = archive->meta;
    char *key_copy, *value_copy;
    size_t number;

    if (strcmp(key, FORMAT_KEY) == 0 || strcmp(key, CHECKSUM_KEY) == 0)
        return soma__fail(err, SOMA_INVALID, "metadata '%s' is set by the writer alone", key);
    if (!soma__utf8_valid(key, strlen(key)) || !soma__utf8_valid(value, strlen(value)))
        return soma__fail(err, SOMA_INVALID, "metadata '%s' is not UTF-8 text", key);

    value_copy = soma__strdup(value);
    if (!value_copy)
        return soma__fail(err, SOMA_MEMORY, "out of memory for metadata '%s'", key);
    number = index_find(&archive->meta_index, archive->meta, item, key);
    if (number != SIZE_MAX) {
        soma__free(archive->meta[number].value);
        archive->meta[number].value = value_copy;
        return SOMA_OK;
    }

    key_copy = soma__strdup(key);
    if (key_copy && soma__grow(&array, &archive->meta_capacity, archive->meta_count, item)) {
        archive->meta = array;
        if (index_reserve(&archive->meta_index, array, item, archive->meta_count)) {
            archive->meta_index.slots[index_slot(&archive->meta_index, array, item, key_copy)] =
                (uint32_t)archive->meta_count + 1;
            archive->meta[archive->meta_count].key = key_copy;
            archive->meta[archive->meta_count++].value = value_copy;
            return SOMA_OK;
        }
    }
    soma__free(key_copy);
    soma__free(value_copy);
    return soma__fail(err, SOMA_MEMORY, "out of memory for metadata '%s'", key);
}

const char *soma__archive_meta(const soma__archive *archive, const char *key)
{
    size_t i = index_find(&archive->meta_index, archive->meta, sizeof *archive->meta, key);
    return i == SIZE_MAX ? NULL : archive->meta[i].value;
}

void soma__archive_clear(soma__archive *archive)
{
    for (size_t i = 0; i < archive->count; i++) {
        soma__free(archive->entries[i].name);
        soma_tensor_release(archive->entries[i].tensor);
    }
    for (size_t i = 0; i < archive->meta_count; i++) {
        soma__free(archive->meta[i].key);
        soma__free(archive->meta[i].value);
    }
    soma__free(archive->entries);
    soma__free(archive->meta);
    soma__free(archive->entry_index.slots);
    soma__free(archive->meta_index.slots);
    *archive = (soma__archive){0};
}

/* --- reading: the header's JSON --------------------------------------------------------------- */

/* What the header says of one tensor. */
typedef struct info {
    char *name;
    soma_dtype dtype;
    soma_shape shape;
    uint64_t begin, end;
    size_t position; /* in the header: keeps the sort stable */
} info;

typedef struct parser {
    const char *start, *at, *end;
    const char *file;
    soma_error *err;
    soma__archive *archive;
    soma__text text; /* the last string, unescaped */
    const char *raw; /* the same as it stands in the header, without its quotes */
    size_t raw_size;
    info *infos;
    size_t count, capacity;
    const char *checksum;      /* the sixteen digits inside the header, or NULL */
    bool marked, has_metadata; /* saw "soma.format"; saw "__metadata__" */
} parser;

static soma_status bad_header(parser *p, const char *what)
{
    return soma__fail(p->err, SOMA_FORMAT, "%s: damaged safetensors header at byte %td: %s",
                      p->file, p->at - p->start + 8, what);
}

static soma_status header_memory(parser *p)
{
    return soma__fail(p->err, SOMA_MEMORY, "%s: out of memory while reading the header", p->file);
}

static void skip_space(parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        p->at++;
}

/* Takes `c`, with space before it, if it comes next. */
static bool accept(parser *p, char c)
{
    skip_space(p);
    if (p->at == p->end || *p->at != c)
        return false;
    p->at++;
    return true;
}

static soma_status expect(parser *p, char c)
{
    char what[] = "expected ' '";
    if (accept(p, c))
        return SOMA_OK;
    what[sizeof "expected '" - 1] = c;
    return bad_header(p, what);
}

static bool read_hex4(parser *p, uint32_t *out)
{
    *out = 0;
    if (p->end - p->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = *p->at++;
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return false;
        *out = *out << 4 | digit;
    }
    return true;
}

/* After "\u": one code point, which takes a second escape when it is beyond 16 bits. */
static bool read_unicode_escape(parser *p, uint32_t *code)
{
    uint32_t low;

    if (!read_hex4(p, code) || *code == 0)
        return false;
    if (*code < 0xd800 || *code >= 0xe000)
        return true;
    if (*code >= 0xdc00 || p->end - p->at < 6 || p->at[0] != '\\' || p->at[1] != 'u')
        return false;
    p->at += 2;
    if (!read_hex4(p, &low) || low < 0xdc00 || low >= 0xe000)
        return false;
    *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static soma_status read_string(parser *p)
{
    SOMA__TRY(expect(p, '"'));
    soma__text_free(&p->text);
    soma__text_append(&p->text, "", 0);
    p->raw = p->at;
    for (;;) {
        const char *run = p->at;
        while (p->at < p->end && *p->at != '"' && *p->at != '\\' && (unsigned char)*p->at >= 0x20)
            p->at++;
        soma__text_append(&p->text, run, (size_t)(p->at - run));
        if (p->at == p->end || (unsigned char)*p->at < 0x20)
            return bad_header(p, "a string does not end");
        if (*p->at == '"')
            break;
        if (p->end - p->at < 2)
            return bad_header(p, "a string does not end");
        p->at += 2;
        static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
        const char *known = p->at[-1] ? strchr(escapes, p->at[-1]) : NULL;
        if (known) {
            soma__text_append(&p->text, &meanings[known - escapes], 1);
        } else {
            uint32_t code;
            char bytes[4];
            if (p->at[-1] != 'u' || !read_unicode_escape(p, &code))
                return bad_header(p, "a string holds an invalid escape");
            soma__text_append(&p->text, bytes, soma__utf8_put(code, bytes));
        }
    }
    p->raw_size = (size_t)(p->at - p->raw);
    p->at++;
    return p->text.failed ? header_memory(p) : SOMA_OK;
}

/* The last string; "" when nothing was added to it. */
static const char *last_string(const parser *p)
{
    return p->text.data ? p->text.data : "";
}

/* A size or an offset: plain digits up to 2^63-1. */
static soma_status read_size(parser *p, uint64_t *out)
{
    uint64_t value = 0;
    const char *first;

    skip_space(p);
    first = p->at;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++) {
        uint64_t digit = (uint64_t)(*p->at - '0');
        if (value > ((uint64_t)INT64_MAX - digit) / 10)
            return bad_header(p, "a number is too large");
        value = value * 10 + digit;
    }
    if (p->at == first || (*first == '0' && p->at - first > 1))
        return bad_header(p, "expected a number of plain digits");
    *out = value;
    return SOMA_OK;
}

static soma_status read_shape(parser *p, soma_shape *shape)
{
    *shape = SOMA_SCALAR;
    SOMA__TRY(expect(p, '['));
    if (accept(p, ']'))
        return SOMA_OK;
    do {
        uint64_t size;
        SOMA__TRY(read_size(p, &size));
        if (shape->ndim == SOMA_MAX_DIMS)
            return soma__fail(p->err, SOMA_UNSUPPORTED,
                              "%s: a tensor has more than %d dimensions, which soma does not read",
                              p->file, SOMA_MAX_DIMS);
        shape->dim[shape->ndim++] = (int64_t)size;
    } while (accept(p, ','));
    return expect(p, ']');
}

static soma_status read_dtype(parser *p, const char *name, soma_dtype *out)
{
    SOMA__TRY(read_string(p));
    for (size_t i = 0; i < DTYPE_COUNT; i++) {
        if (strcmp(last_string(p), dtypes[i].text) == 0) {
            *out = dtypes[i].dtype;
            return SOMA_OK;
        }
    }
    return soma__fail(p->err, SOMA_UNSUPPORTED,
                      "%s: tensor '%s' has elements of type '%s', which soma does not read",
                      p->file, name, last_string(p));
}

/* {"dtype": …, "shape": […], "data_offsets": [begin, end]}, each once and nothing else. */
static soma_status read_info(parser *p, info *into)
{
    bool dtype = false, shape = false, offsets = false;

    SOMA__TRY(expect(p, '{'));
    do {
        SOMA__TRY(read_string(p));
        SOMA__TRY(expect(p, ':'));
        if (!dtype && strcmp(last_string(p), "dtype") == 0) {
            dtype = true;
            SOMA__TRY(read_dtype(p, into->name, &into->dtype));
        } else if (!shape && strcmp(last_string(p), "shape") == 0) {
            shape = true;
            SOMA__TRY(read_shape(p, &into->shape));
        } else if (!offsets && strcmp(last_string(p), "data_offsets") == 0) {
            offsets = true;
            SOMA__TRY(expect(p, '['));
            SOMA__TRY(read_size(p, &into->begin));
            SOMA__TRY(expect(p, ','));
            SOMA__TRY(read_size(p, &into->end));
            SOMA__TRY(expect(p, ']'));
        } else {
            return bad_header(p, "a tensor has an unknown or repeated key");
        }
    } while (accept(p, ','));
    SOMA__TRY(expect(p, '}'));
    if (!dtype || !shape || !offsets)
        return bad_header(p, "a tensor lacks its dtype, shape or data_offsets");
    return SOMA_OK;
}

static soma_status read_pair(parser *p, const char *key)
{
    SOMA__TRY(expect(p, ':'));
    SOMA__TRY(read_string(p));
    if (strcmp(key, CHECKSUM_KEY) == 0) {
        if (p->checksum || p->raw_size != CHECKSUM_DIGITS)
            return bad_header(p, "the checksum is malformed");
        p->checksum = p->raw;
        return SOMA_OK;
    }
    if (strcmp(key, FORMAT_KEY) == 0) {
        if (p->marked)
            return bad_header(p, "a metadata key is repeated");
        p->marked = true;
        if (strcmp(last_string(p), FORMAT_VALUE) != 0)
            return soma__fail(p->err, SOMA_UNSUPPORTED,
                              "%s: was written by a newer soma (format '%s'), or is damaged",
                              p->file, last_string(p));
        return SOMA_OK;
    }
    if (soma__archive_meta(p->archive, key))
        return bad_header(p, "a metadata key is repeated");
    return soma__archive_set_meta(p->archive, key, last_string(p), p->err);
}

static soma_status read_metadata(parser *p)
{
    SOMA__TRY(expect(p, '{'));
    if (accept(p, '}'))
        return SOMA_OK;
    do {
        char *key;
        soma_status status;
        SOMA__TRY(read_string(p));
        key = soma__strdup(last_string(p));
        if (!key)
            return header_memory(p);
        status = read_pair(p, key);
        soma__free(key);
        SOMA__TRY(status);
    } while (accept(p, ','));
    return expect(p, '}');
}

static soma_status read_header(parser *p)
{
    if (p->at == p->end || *p->at != '{')
        return bad_header(p, "it does not begin with '{': this is not a safetensors file");
    p->at++;
    if (!accept(p, '}')) {
        do {
            SOMA__TRY(read_string(p));
            if (strcmp(last_string(p), META_KEY) == 0) {
                if (p->has_metadata)
                    return bad_header(p, "the metadata is repeated");
                p->has_metadata = true;
                SOMA__TRY(expect(p, ':'));
                SOMA__TRY(read_metadata(p));
                continue;
            }

            void *array = p->infos;
            char *name = soma__strdup(last_string(p));
            if (!name || !soma__grow(&array, &p->capacity, p->count, sizeof *p->infos)) {
                soma__free(name);
                return header_memory(p);
            }
            p->infos = array;
            p->infos[p->count] = (info){.name = name, .position = p->count};
            p->count++;
            SOMA__TRY(expect(p, ':'));
            SOMA__TRY(read_info(p, &p->infos[p->count - 1]));
        } while (accept(p, ','));
        SOMA__TRY(expect(p, '}'));
    }
    skip_space(p);
    return p->at == p->end ? SOMA_OK : bad_header(p, "something follows its end");
}

/* --- reading: checks and data ----------------------------------------------------------------- */

static int compare_infos(const void *a, const void *b)
{
    const info *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return x->position < y->position ? -1 : x->position > y->position;
}

/* Every byte of the data belongs to exactly one tensor, and to one of the right size. */
static soma_status check_layout(parser *p, size_t data_size)
{
    uint64_t at = 0;

    /* qsort must not be given NULL, not even for no elements. */
    if (p->count)
        qsort(p->infos, p->count, sizeof *p->infos, compare_infos);
    for (size_t i = 0; i < p->count; i++) {
        const info *t = &p->infos[i];
        char shape[SOMA_SHAPE_TEXT_SIZE];
        size_t bytes;
        if (t->begin != at || t->end < t->begin)
            return soma__fail(p->err, SOMA_FORMAT,
                              "%s: tensor '%s' lies at bytes %" PRIu64 " to %" PRIu64
                              " of the data, expected it to begin at %" PRIu64,
                              p->file, t->name, t->begin, t->end, at);
        if (!soma__shape_bytes(&t->shape, t->dtype, &bytes) || bytes != t->end - t->begin)
            return soma__fail(p->err, SOMA_FORMAT,
                              "%s: tensor '%s' has %" PRIu64 " bytes, which do not fit %s %s",
                              p->file, t->name, t->end - t->begin, soma_dtype_text(t->dtype),
                              soma_shape_text(&t->shape, shape, sizeof shape));
        at = t->end;
    }
    if (at != data_size)
        return soma__fail(
            p->err, SOMA_FORMAT,
            "%s: the header describes %" PRIu64 " bytes of tensors, the file holds %zu: it is %s",
            p->file, at, data_size, at > data_size ? "cut short" : "longer than it should be");
    return SOMA_OK;
}

static void format_checksum(char out[CHECKSUM_DIGITS + 1], uint64_t checksum)
{
    snprintf(out, CHECKSUM_DIGITS + 1, "%016" PRIx64, checksum);
}

static soma_status check_checksum(parser *p, const void *bytes, size_t size)
{
    const char *first = bytes;
    char digits[CHECKSUM_DIGITS + 1];
    soma__xxh64 hash;

    if (!p->checksum)
        return p->marked ? soma__fail(p->err, SOMA_FORMAT,
                                      "%s: the file is damaged: its checksum is missing", p->file)
                         : SOMA_OK;
    soma__xxh64_start(&hash);
    soma__xxh64_add(&hash, first, (size_t)(p->checksum - first));
    soma__xxh64_add(&hash, checksum_zeros, CHECKSUM_DIGITS);
    soma__xxh64_add(&hash, p->checksum + CHECKSUM_DIGITS,
                    size - (size_t)(p->checksum - first) - CHECKSUM_DIGITS);
    format_checksum(digits, soma__xxh64_end(&hash));
    if (memcmp(digits, p->checksum, CHECKSUM_DIGITS) != 0)
        return soma__fail(p->err, SOMA_FORMAT,
                          "%s: the file is damaged: its checksum is %s, it should be %.16s",
                          p->file, digits, p->checksum);
    return SOMA_OK;
}

static soma_status load_tensor(parser *p, const info *t, const char *data)
{
    soma_tensor *tensor;
    soma_status status;

    if (!*t->name || soma__archive_find(p->archive, t->name))
        return soma__fail(p->err, SOMA_FORMAT,
                          *t->name ? "%s: two tensors are named '%s'"
                                   : "%s: a tensor has no name%s",
                          p->file, t->name);
    SOMA__TRY(soma_tensor_create(&tensor, t->dtype, t->shape, p->err));
    /* Offsets were checked against the file's size, so they fit size_t. */
    if (t->end > t->begin)
        memcpy(soma__tensor_write(tensor), data + t->begin, (size_t)(t->end - t->begin));
    if (t->dtype == SOMA_BOOL) {
        unsigned char *truth = soma__tensor_write(tensor);
        for (int64_t i = 0; i < soma_tensor_count(tensor); i++)
            truth[i] = truth[i] != 0;
    }
    status = soma__archive_add(p->archive, t->name, tensor, p->err);
    soma_tensor_release(tensor);
    return status;
}

static soma_status parse(parser *p, const char *bytes, size_t size)
{
    uint64_t header = 0;

    if (size < 8)
        return soma__fail(p->err, SOMA_FORMAT, "%s: %zu bytes are too few for a safetensors file",
                          p->file, size);
    memcpy(&header, bytes, 8);
    if (header > MAX_HEADER)
        return soma__fail(p->err, SOMA_FORMAT,
                          "%s: a header of %" PRIu64
                          " bytes is beyond the limit of %u: this is not a safetensors file",
                          p->file, header, MAX_HEADER);
    if (header > size - 8)
        return soma__fail(p->err, SOMA_FORMAT,
                          "%s: the header should have %" PRIu64
                          " bytes, the file ends after %zu of them: it is cut short",
                          p->file, header, size - 8);
    p->start = p->at = bytes + 8;
    p->end = p->start + header;
    if (!soma__utf8_valid(p->start, (size_t)header))
        return bad_header(p, "it is not UTF-8 text");
    SOMA__TRY(read_header(p));
    SOMA__TRY(check_layout(p, size - 8 - (size_t)header));
    SOMA__TRY(check_checksum(p, bytes, size));
    for (size_t i = 0; i < p->count; i++)
        SOMA__TRY(load_tensor(p, &p->infos[i], p->end));
    return SOMA_OK;
}

soma_status soma__archive_parse(soma__archive *archive, const void *bytes, size_t size,
                                const char *name, soma_error *err)
{
    parser p = {.file = name, .err = err, .archive = archive};
    soma_status status = parse(&p, bytes, size);

    soma__text_free(&p.text);
    for (size_t i = 0; i < p.count; i++)
        soma__free(p.infos[i].name);
    soma__free(p.infos);
    if (status != SOMA_OK)
        soma__archive_clear(archive);
    return status;
}

soma_status soma__archive_read(soma__archive *archive, const char *path, soma_error *err)
{
    void *data;
    size_t size;
    soma_status status;

    SOMA__TRY(soma__file_read(&data, &size, path, 0, err));
    status = soma__archive_parse(archive, data, size, path, err);
    soma__free(data);
    return status;
}

/* --- writing ---------------------------------------------------------------------------------- */

static const char *dtype_name(soma_dtype dtype)
{
    for (size_t i = 0; i < DTYPE_COUNT; i++)
        if (dtypes[i].dtype == dtype)
            return dtypes[i].text;
    return "";
}

/* Fills order[] with entry numbers: larger elements first, else as they were added. */
static void choose_order(const soma__archive *archive, size_t *order)
{
    size_t n = 0;
    for (size_t size = 8; size; size /= 2)
        for (size_t i = 0; i < archive->count; i++)
            if (soma_dtype_size(soma_tensor_dtype(archive->entries[i].tensor)) == size)
                order[n++] = i;
}

/* The header with a checksum of zeros; *checksum_at says where that is. */
static void build_header(soma__text *out, size_t *checksum_at, const soma__archive *archive,
                         const size_t *order)
{
    size_t offset = 0;

    soma__text_add(out, "{\"%s\":{\"%s\":\"%s\",\"%s\":\"", META_KEY, FORMAT_KEY, FORMAT_VALUE,
                   CHECKSUM_KEY);
    *checksum_at = out->length;
    soma__text_add(out, "%s\"", checksum_zeros);
    for (size_t i = 0; i < archive->meta_count; i++) {
        soma__text_add(out, ",");
        soma__json_string(out, archive->meta[i].key);
        soma__text_add(out, ":");
        soma__json_string(out, archive->meta[i].value);
    }
    soma__text_add(out, "}");
    for (size_t i = 0; i < archive->count; i++) {
        const soma__archive_entry *entry = &archive->entries[order[i]];
        const soma_shape *shape = soma_tensor_shape(entry->tensor);
        size_t end = offset + soma_tensor_bytes(entry->tensor);
        soma__text_add(out, ",");
        soma__json_string(out, entry->name);
        soma__text_add(out, ":{\"dtype\":\"%s\",\"shape\":[",
                       dtype_name(soma_tensor_dtype(entry->tensor)));
        for (int d = 0; d < shape->ndim; d++)
            soma__text_add(out, d ? ",%" PRId64 : "%" PRId64, shape->dim[d]);
        soma__text_add(out, "],\"data_offsets\":[%zu,%zu]}", offset, end);
        offset = end;
    }
    soma__text_add(out, "}");
    while (out->length % 8 && !out->failed)
        soma__text_append(out, " ", 1);
}

static soma_status write_file(const char *path, const soma__archive *archive, const size_t *order,
                              const soma__text *header, soma_error *err)
{
    uint64_t length = header->length;
    soma__writer *writer;
    soma_status status;

    SOMA__TRY(soma__writer_open(&writer, path, err));
    status = soma__writer_write(writer, &length, 8, err);
    if (status == SOMA_OK)
        status = soma__writer_write(writer, header->data, header->length, err);
    for (size_t i = 0; i < archive->count && status == SOMA_OK; i++) {
        const soma_tensor *tensor = archive->entries[order[i]].tensor;
        status = soma__writer_write(writer, soma_tensor_const_data(tensor),
                                    soma_tensor_bytes(tensor), err);
    }
    if (status == SOMA_OK)
        return soma__writer_commit(writer, err);
    soma__writer_abandon(writer);
    return status;
}

soma_status soma__archive_write(const soma__archive *archive, const char *path, soma_error *err)
{
    soma__text header = {0};
    size_t checksum_at = 0;
    size_t *order = soma__calloc(archive->count + 1, sizeof *order);
    soma_status status;

    if (!order)
        return soma__fail(err, SOMA_MEMORY, "%s: out of memory while writing", path);
    choose_order(archive, order);
    build_header(&header, &checksum_at, archive, order);
    if (header.failed) {
        status = soma__fail(err, SOMA_MEMORY, "%s: out of memory while writing", path);
    } else if (header.length > MAX_HEADER) {
        status = soma__fail(err, SOMA_INVALID,
                            "%s: names and metadata of %zu bytes are beyond the limit of %u", path,
                            header.length, MAX_HEADER);
    } else {
        uint64_t length = header.length;
        char digits[CHECKSUM_DIGITS + 1];
        soma__xxh64 hash;
        soma__xxh64_start(&hash);
        soma__xxh64_add(&hash, &length, 8);
        soma__xxh64_add(&hash, header.data, header.length);
        for (size_t i = 0; i < archive->count; i++) {
            const soma_tensor *tensor = archive->entries[order[i]].tensor;
            soma__xxh64_add(&hash, soma_tensor_const_data(tensor), soma_tensor_bytes(tensor));
        }
        format_checksum(digits, soma__xxh64_end(&hash));
        memcpy(header.data + checksum_at, digits, CHECKSUM_DIGITS);
        status = write_file(path, archive, order, &header, err);
    }
    soma__text_free(&header);
    soma__free(order);
    return status;
}
