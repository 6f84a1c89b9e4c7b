#include "format/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "format/gzip.h"
#include "tensor/tensor.h"

#define LITTLE (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

/* Elements in the file and what they become. */
static const struct {
    char kind;
    int size;
    soma_dtype dtype;
} types[] = {
    {'b', 1, SOMA_BOOL}, {'u', 1, SOMA_U8},  {'i', 1, SOMA_I8},  {'u', 2, SOMA_I32},
    {'i', 2, SOMA_I32},  {'u', 4, SOMA_I64}, {'i', 4, SOMA_I32}, {'u', 8, SOMA_I64},
    {'i', 8, SOMA_I64},  {'f', 2, SOMA_F16}, {'f', 4, SOMA_F32}, {'f', 8, SOMA_F64},
};
#define TYPE_COUNT (sizeof types / sizeof types[0])

/* --- the header ---------------------------------------------------------------------------------
 * It is a Python literal of three keys in any order; this reads no more of Python than that. */

typedef struct cursor {
    const char *at, *end;
} cursor;

static void blanks(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t'))
        c->at++;
}

static bool eat(cursor *c, char what)
{
    blanks(c);
    if (c->at == c->end || *c->at != what)
        return false;
    c->at++;
    return true;
}

static bool eat_word(cursor *c, const char *word)
{
    size_t length = strlen(word);
    blanks(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
        return false;
    c->at += length;
    return true;
}

/* A quoted text without escapes, cut to fit. */
static bool eat_text(cursor *c, char *out, size_t size)
{
    blanks(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"'))
        return false;
    char quote = *c->at++;
    size_t length = 0;
    for (; c->at < c->end && *c->at != quote; c->at++) {
        if (length + 1 < size)
            out[length++] = *c->at;
    }
    out[length] = 0;
    return c->at < c->end && *c->at++ == quote;
}

static bool eat_number(cursor *c, int64_t *out)
{
    blanks(c);
    const char *start = c->at;
    *out = 0;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
        if (!soma__mul64(*out, 10, out) || !soma__add64(*out, *c->at++ - '0', out))
            return false;
    if (c->at > start && c->at < c->end && *c->at == 'L')
        c->at++; /* Python 2 wrote long numbers so */
    return c->at > start;
}

static soma_status damaged(const char *name, const char *what, soma_error *err)
{
    return soma__fail(err, SOMA_FORMAT, "%s: damaged npy header: %s", name, what);
}

static soma_status read_shape(cursor *c, soma_shape *shape, const char *name, soma_error *err)
{
    if (!eat(c, '('))
        return damaged(name, "shape", err);
    while (!eat(c, ')')) {
        if (shape->ndim == SOMA_MAX_DIMS)
            return soma__fail(err, SOMA_UNSUPPORTED, "%s: more than %d dimensions", name,
                              SOMA_MAX_DIMS);
        if (!eat_number(c, &shape->dim[shape->ndim++]))
            return damaged(name, "shape", err);
        if (!eat(c, ',')) {
            if (!eat(c, ')'))
                return damaged(name, "shape", err);
            break;
        }
    }
    return SOMA_OK;
}

static soma_status read_type(soma__npy_header *h, const char *descr, const char *name,
                             soma_error *err)
{
    size_t length = strlen(descr);
    char order = length ? descr[0] : 0;
    if (length == 3 && strchr("<>|=", order)) {
        h->kind = descr[1];
        h->size = descr[2] - '0';
        h->swap = h->size > 1 && (order == '>') == LITTLE && order != '=';
        for (size_t i = 0; i < TYPE_COUNT; i++)
            if (types[i].kind == h->kind && types[i].size == h->size) {
                h->dtype = types[i].dtype;
                return SOMA_OK;
            }
    }
    return soma__fail(err, SOMA_UNSUPPORTED,
                      "%s: elements of type '%s'; soma reads whole numbers, floats and booleans",
                      name, descr);
}

static soma_status read_dictionary(soma__npy_header *h, cursor *c, const char *name,
                                   soma_error *err)
{
    bool has_type = false, has_order = false, has_shape = false;
    char key[32] = "", descr[32] = "";
    if (!eat(c, '{'))
        return damaged(name, "no '{'", err);
    while (!eat(c, '}')) {
        if (!eat_text(c, key, sizeof key) || !eat(c, ':'))
            return damaged(name, "no key", err);
        if (strcmp(key, "descr") == 0 && !has_type) {
            has_type = true;
            if (!eat_text(c, descr, sizeof descr))
                return soma__fail(err, SOMA_UNSUPPORTED, "%s: elements are structures", name);
            SOMA__TRY(read_type(h, descr, name, err));
        } else if (strcmp(key, "fortran_order") == 0 && !has_order) {
            has_order = true;
            h->fortran = eat_word(c, "True");
            if (!h->fortran && !eat_word(c, "False"))
                return damaged(name, "fortran_order", err);
        } else if (strcmp(key, "shape") == 0 && !has_shape) {
            has_shape = true;
            SOMA__TRY(read_shape(c, &h->shape, name, err));
        } else {
            return damaged(name, "an unknown or repeated key", err);
        }
        if (!eat(c, ',')) {
            if (!eat(c, '}'))
                return damaged(name, "no '}'", err);
            break;
        }
    }
    return has_type && has_order && has_shape ? SOMA_OK : damaged(name, "a key is missing", err);
}

soma_status soma__npy_read_header(soma__npy_header *out, const void *bytes, size_t size,
                                  const char *name, soma_error *err)
{
    const unsigned char *b = bytes;
    size_t length, start;
    *out = (soma__npy_header){0};
    if (size < 12 || memcmp(b, "\x93NUMPY", 6) != 0)
        return soma__fail(err, SOMA_FORMAT, "%s: not a npy array", name);
    if (b[6] < 1 || b[6] > 3)
        return soma__fail(err, SOMA_UNSUPPORTED, "%s: npy version %d; soma reads 1 to 3", name,
                          b[6]);
    start = b[6] == 1 ? 10 : 12;
    length = (size_t)b[8] | (size_t)b[9] << 8;
    if (b[6] > 1)
        length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (length > size - start)
        return damaged(name, "it is cut short", err);
    cursor c = {(const char *)b + start, (const char *)b + start + length};
    SOMA__TRY(read_dictionary(out, &c, name, err));
    blanks(&c);
    if (c.at != c.end)
        return damaged(name, "text follows it", err);
    out->offset = start + length;
    return SOMA_OK;
}

/* --- elements -----------------------------------------------------------------------------------
 */

static uint64_t take(const unsigned char *p, int size, bool swap)
{
    uint64_t value = 0;
    /* The value by its bytes, least significant first. */
    for (int i = 0; i < size; i++)
        value |= (uint64_t)p[(LITTLE != 0) != swap ? i : size - 1 - i] << (8 * i);
    return value;
}

soma_status soma__npy_convert(void *to, const void *from, int64_t count, const soma__npy_header *h,
                              const char *name, soma_error *err)
{
    const unsigned char *p = from;
    size_t width = soma_dtype_size(h->dtype);
    if (!h->swap && width == (size_t)h->size && h->kind != 'b' &&
        !(h->kind == 'u' && h->size == 8)) {
        memcpy(to, from, (size_t)count * width);
        return SOMA_OK;
    }
    for (int64_t i = 0; i < count; i++, p += h->size) {
        uint64_t bits = take(p, h->size, h->swap);
        if (h->kind == 'u' && bits > INT64_MAX)
            return soma__fail(err, SOMA_UNSUPPORTED, "%s: element %lld is beyond 2^63", name,
                              (long long)i);
        if (h->kind == 'b')
            bits = bits != 0;
        if (h->kind == 'i' && h->size == 2)
            bits = (uint64_t)(int64_t)(int16_t)bits;
        /* The low bytes are the value in the wider type as well. */
        for (size_t k = 0; k < width; k++)
            ((unsigned char *)to)[(size_t)i * width + (LITTLE ? k : width - 1 - k)] =
                (unsigned char)(bits >> (8 * k));
    }
    return SOMA_OK;
}

/* From the first index running fastest to the last one. */
static soma_status to_c_order(soma_tensor **tensor, soma_error *err)
{
    const soma_shape *shape = &(*tensor)->shape;
    size_t width = soma_dtype_size((*tensor)->dtype);
    int64_t index[SOMA_MAX_DIMS] = {0};
    soma_tensor *turned;
    SOMA__TRY(soma_tensor_create(&turned, (*tensor)->dtype, *shape, err));
    for (int64_t i = 0; i < (*tensor)->count; i++) {
        int64_t to = 0;
        for (int k = 0; k < shape->ndim; k++)
            to = to * shape->dim[k] + index[k];
        memcpy((char *)turned->data + (size_t)to * width,
               (const char *)(*tensor)->data + (size_t)i * width, width);
        for (int k = 0; k < shape->ndim && ++index[k] == shape->dim[k]; k++)
            index[k] = 0;
    }
    soma_tensor_release(*tensor);
    *tensor = turned;
    return SOMA_OK;
}

soma_status soma__npy_parse(soma_tensor **out, const void *bytes, size_t size, const char *name,
                            soma_error *err)
{
    soma__npy_header h;
    int64_t count;
    size_t all;
    char text[SOMA_SHAPE_TEXT_SIZE];
    *out = NULL;
    SOMA__TRY(soma__npy_read_header(&h, bytes, size, name, err));
    if (!soma__shape_count(&h.shape, &count) || !soma__mul((size_t)count, (size_t)h.size, &all) ||
        all != size - h.offset)
        return soma__fail(err, SOMA_FORMAT,
                          "%s: the header promises %s elements of %d bytes, but %zu bytes follow",
                          name, soma_shape_text(&h.shape, text, sizeof text), h.size,
                          size - h.offset);
    SOMA__TRY(soma_tensor_create(out, h.dtype, h.shape, err));
    soma_status status =
        soma__npy_convert((*out)->data, (const char *)bytes + h.offset, count, &h, name, err);
    if (status == SOMA_OK && h.fortran && h.shape.ndim > 1)
        status = to_c_order(out, err);
    if (status != SOMA_OK) {
        soma_tensor_release(*out);
        *out = NULL;
    }
    return status;
}

soma_status soma__npy_read(soma_tensor **out, const char *path, soma_error *err)
{
    void *bytes;
    size_t size;
    *out = NULL;
    SOMA__TRY(soma__file_read(&bytes, &size, path, 0, err));
    soma_status status = soma__npy_parse(out, bytes, size, path, err);
    soma__free(bytes);
    return status;
}

/* --- writing ------------------------------------------------------------------------------------
 */

/* The header of a tensor, padded so that the elements begin at a multiple of 64. */
static soma_status make_header(soma__text *out, const soma_tensor *tensor, soma_error *err)
{
    size_t i = 0;
    soma__text body = {0};
    while (i < TYPE_COUNT && (types[i].dtype != tensor->dtype ||
                              (size_t)types[i].size != soma_dtype_size(tensor->dtype) ||
                              (types[i].kind == 'u' && types[i].size == 8)))
        i++;
    if (i == TYPE_COUNT)
        return soma__fail(err, SOMA_DTYPE, "NumPy has no type for %s",
                          soma_dtype_text(tensor->dtype));
    soma__text_add(&body, "{'descr': '%s%c%d', 'fortran_order': False, 'shape': (",
                   types[i].size == 1 ? "|"
                   : LITTLE           ? "<"
                                      : ">",
                   types[i].kind, types[i].size);
    for (int k = 0; k < tensor->shape.ndim; k++)
        soma__text_add(&body, "%lld,%s", (long long)tensor->shape.dim[k],
                       k + 1 < tensor->shape.ndim ? " " : "");
    soma__text_add(&body, "), }");
    size_t length = soma__align_up(10 + body.length + 1, 64) - 10;
    while (body.length + 1 < length && !body.failed)
        soma__text_append(&body, " ", 1);
    soma__text_append(&body, "\n", 1);
    const unsigned char head[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)length, (unsigned char)(length >> 8)};
    soma__text_append(out, head, sizeof head);
    soma__text_append(out, body.data, body.length);
    bool complete = !body.failed && !out->failed;
    soma__text_free(&body);
    return complete ? SOMA_OK : soma__fail(err, SOMA_MEMORY, "no memory to write an array");
}

soma_status soma__npy_write(const char *path, const soma_tensor *tensor, soma_error *err)
{
    soma__text head = {0};
    soma__writer *writer;
    soma_status status = make_header(&head, tensor, err);
    if (status == SOMA_OK)
        status = soma__writer_open(&writer, path, err);
    if (status == SOMA_OK) {
        status = soma__writer_write(writer, head.data, head.length, err);
        if (status == SOMA_OK)
            status = soma__writer_write(writer, tensor->data, tensor->bytes, err);
        if (status == SOMA_OK)
            status = soma__writer_commit(writer, err);
        else
            soma__writer_abandon(writer);
    }
    soma__text_free(&head);
    return status;
}

/* --- ZIP ----------------------------------------------------------------------------------------
 * Members are found by the directory at the file's end, which alone is to be believed. */

static uint32_t u16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}
static uint32_t u32(const unsigned char *p)
{
    return u16(p) | u16(p + 2) << 16;
}

#define DIRECTORY_END "PK\5\6"
#define DIRECTORY_ENTRY "PK\1\2"
#define LOCAL_ENTRY "PK\3\4"

typedef struct member {
    size_t packed, size, local; /* bytes in the file, unpacked, and where its local header is */
    uint32_t method, flags, crc;
} member;

static soma_status bad_zip(const char *name, const char *what, soma_error *err)
{
    return soma__fail(err, SOMA_FORMAT, "%s: damaged npz: %s", name, what);
}

/* The directory's place: its end record is the last thing in the file but for a comment. */
static soma_status find_directory(const unsigned char *b, size_t size, size_t *at, uint32_t *count,
                                  const char *name, soma_error *err)
{
    for (size_t back = 22; back <= size && back <= 22 + 65535; back++) {
        const unsigned char *p = b + size - back;
        if (memcmp(p, DIRECTORY_END, 4) != 0 || u16(p + 20) != back - 22)
            continue;
        *count = u16(p + 10);
        *at = u32(p + 16);
        if (*at == UINT32_MAX || *count == 0xffff)
            return soma__fail(err, SOMA_UNSUPPORTED, "%s: a ZIP64 archive of 4 GiB or more", name);
        if (u32(p + 12) > size - back || *at > size - back - u32(p + 12))
            return bad_zip(name, "its directory is not in the file", err);
        return SOMA_OK;
    }
    return soma__fail(err, SOMA_FORMAT, "%s: not a npz archive, or cut short", name);
}

/* *found: there is a member key.npy. */
static soma_status find_member(member *out, bool *found, const unsigned char *b, size_t size,
                               const char *key, const char *name, soma_error *err)
{
    size_t at = 0, length = strlen(key);
    uint32_t count = 0;
    *found = false;
    SOMA__TRY(find_directory(b, size, &at, &count, name, err));
    for (uint32_t i = 0; i < count && !*found; i++) {
        if (size - at < 46 || memcmp(b + at, DIRECTORY_ENTRY, 4) != 0)
            return bad_zip(name, "directory", err);
        const unsigned char *p = b + at;
        size_t name_length = u16(p + 28), rest = (size_t)u16(p + 30) + u16(p + 32);
        if (size - at - 46 < name_length + rest)
            return bad_zip(name, "directory", err);
        const char *text = (const char *)p + 46;
        if (name_length == length + 4 && memcmp(text, key, length) == 0 &&
            memcmp(text + length, ".npy", 4) == 0) {
            *found = true;
            *out = (member){.flags = u16(p + 8),
                            .method = u16(p + 10),
                            .crc = u32(p + 16),
                            .packed = u32(p + 20),
                            .size = u32(p + 24),
                            .local = u32(p + 42)};
        }
        at += 46 + name_length + rest;
    }
    return SOMA_OK;
}

/* The packed bytes of a member. */
static soma_status member_bytes(const unsigned char **out, const member *m, const unsigned char *b,
                                size_t size, const char *name, soma_error *err)
{
    if (m->local > size || size - m->local < 30 || memcmp(b + m->local, LOCAL_ENTRY, 4) != 0)
        return bad_zip(name, "a member's header", err);
    size_t skip = 30 + (size_t)u16(b + m->local + 26) + u16(b + m->local + 28);
    if (skip > size - m->local || m->packed > size - m->local - skip)
        return bad_zip(name, "a member is cut short", err);
    *out = b + m->local + skip;
    return SOMA_OK;
}

/* CRC-32 (polynomial edb88320, bit by bit from a table of 16). */
static uint32_t crc32_of(const void *data, size_t size)
{
    uint32_t table[16], crc = UINT32_MAX;
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t v = i;
        for (int k = 0; k < 4; k++)
            v = v & 1 ? v >> 1 ^ 0xedb88320u : v >> 1;
        table[i] = v;
    }
    for (const unsigned char *p = data, *end = p + size; p < end; p++) {
        crc ^= *p;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

soma_status soma__npz_parse(soma_tensor **out, const void *bytes, size_t size, const char *key,
                            const char *name, soma_error *err)
{
    member m;
    bool found;
    const unsigned char *packed = NULL;
    void *unpacked = NULL;
    char full[512];
    *out = NULL;
    snprintf(full, sizeof full, "%.400s (%.80s)", name, key);
    SOMA__TRY(find_member(&m, &found, bytes, size, key, name, err));
    if (!found)
        return SOMA_OK;
    if ((m.flags & 1) || (m.method != 0 && m.method != 8))
        return soma__fail(err, SOMA_UNSUPPORTED, "%s: encrypted, or packed by method %u", full,
                          m.method);
    SOMA__TRY(member_bytes(&packed, &m, bytes, size, full, err));
    soma_status status = SOMA_OK;
    if (m.method == 8)
        status = soma__inflate_raw(&unpacked, m.size, packed, m.packed, full, err);
    else if (m.packed != m.size)
        status = bad_zip(full, "sizes of a stored member differ", err);
    const void *array = unpacked ? unpacked : packed;
    if (status == SOMA_OK && crc32_of(array, m.size) != m.crc)
        status = bad_zip(full, "wrong checksum", err);
    if (status == SOMA_OK)
        status = soma__npy_parse(out, array, m.size, full, err);
    soma__free(unpacked);
    return status;
}

static void put16(soma__text *t, size_t v)
{
    const unsigned char b[2] = {(unsigned char)v, (unsigned char)(v >> 8)};
    soma__text_append(t, b, 2);
}
static void put32(soma__text *t, size_t v)
{
    put16(t, v & 0xffff);
    put16(t, v >> 16 & 0xffff);
}

/* What the local and the directory's headers share: version to checksum, sizes and name length. The
 * date is 1980-01-01, the first that ZIP has. */
static void put_common(soma__text *t, size_t crc, size_t size, size_t name_length)
{
    put16(t, 20);
    put16(t, 0);
    put16(t, 0);
    put16(t, 0);
    put16(t, 0x21);
    put32(t, crc);
    put32(t, size);
    put32(t, size);
    put16(t, name_length);
    put16(t, 0);
}

soma_status soma__npz_write(const char *path, const soma__npz_entry *entries, int count,
                            soma_error *err)
{
    soma__text file = {0}, directory = {0};
    soma_status status = SOMA_OK;
    for (int i = 0; i < count && status == SOMA_OK; i++) {
        soma__text array = {0};
        size_t name_length = strlen(entries[i].key) + 4, at = file.length;
        status = make_header(&array, entries[i].tensor, err);
        soma__text_append(&array, entries[i].tensor->data, entries[i].tensor->bytes);
        size_t crc = array.failed ? 0 : crc32_of(array.data, array.length);
        if (status == SOMA_OK && array.length >= UINT32_MAX - at - 1024)
            status = soma__fail(err, SOMA_UNSUPPORTED, "%s: a npz is below 4 GiB here", path);
        soma__text_append(&file, LOCAL_ENTRY, 4);
        put_common(&file, crc, array.length, name_length);
        soma__text_add(&file, "%s.npy", entries[i].key);
        soma__text_append(&file, array.data, array.length);
        soma__text_append(&directory, DIRECTORY_ENTRY, 4);
        put16(&directory, 20);
        put_common(&directory, crc, array.length, name_length);
        put16(&directory, 0); /* comment */
        put16(&directory, 0); /* disk */
        put16(&directory, 0); /* attributes */
        put32(&directory, 0);
        put32(&directory, at);
        soma__text_add(&directory, "%s.npy", entries[i].key);
        file.failed = file.failed || array.failed;
        soma__text_free(&array);
    }
    size_t at = file.length, length = directory.length;
    soma__text_append(&file, directory.data, directory.length);
    soma__text_append(&file, DIRECTORY_END, 4);
    put32(&file, 0);
    put16(&file, (size_t)count);
    put16(&file, (size_t)count);
    put32(&file, length);
    put32(&file, at);
    put16(&file, 0);
    if (status == SOMA_OK && (file.failed || directory.failed))
        status = soma__fail(err, SOMA_MEMORY, "%s: no memory for the archive", path);
    if (status == SOMA_OK)
        status = soma__file_write(path, file.data, file.length, err);
    soma__text_free(&file);
    soma__text_free(&directory);
    return status;
}
