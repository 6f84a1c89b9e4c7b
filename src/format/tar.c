#include "format/tar.h"

#include <string.h>

#define BLOCK ((size_t)512)
#define LONGEST_PATH 1024

/* A number of `length` octal digits, which end in a blank or a zero. */
static bool octal(const unsigned char *text, size_t length, uint64_t *out)
{
    size_t i = 0;
    *out = 0;
    while (i < length && text[i] == ' ')
        i++;
    for (; i < length && text[i] >= '0' && text[i] <= '7'; i++)
        *out = *out * 8 + (uint64_t)(text[i] - '0');
    return i == length || text[i] == 0 || text[i] == ' ';
}

/* Sizes from 8 GiB on are written in base 256 by GNU: more than is ever read here. */
static bool header_size(const unsigned char *h, uint64_t *size)
{
    return octal(h + 124, 12, size);
}

/* The sum of the header's bytes, with blanks in place of the sum itself. */
static bool sum_is_right(const unsigned char *h)
{
    uint64_t want, sum = 0;
    if (!octal(h + 148, 8, &want))
        return false;
    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : h[i];
    return sum == want;
}

/* The path of a ustar header: a prefix and a name, neither of which needs to end in a zero. */
static void header_path(char *out, const unsigned char *h)
{
    size_t length = 0;
    if (memcmp(h + 257, "ustar", 5) == 0 && h[345] && h[263] == '0') {
        length = strnlen((const char *)h + 345, 155);
        memcpy(out, h + 345, length);
        out[length++] = '/';
    }
    size_t name = strnlen((const char *)h, 100);
    memcpy(out + length, h, name);
    out[length + name] = 0;
}

bool soma__tar_safe(const char *path)
{
    if (*path == '/' || *path == 0)
        return false;
    for (const char *part = path; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == 0))
            return false;
    return true;
}

soma_status soma__tar_each(const void *bytes, size_t size, const char *name,
                           soma_status (*fn)(void *user, const char *path, const void *bytes,
                                             size_t size, soma_error *err),
                           void *user, soma_error *err)
{
    const unsigned char *b = bytes;
    char path[LONGEST_PATH] = "";
    bool long_path = false;
    for (size_t at = 0; at < size;) {
        uint64_t length;
        const unsigned char *h = b + at;
        if (size - at < BLOCK)
            return soma__fail(err, SOMA_FORMAT, "%s: the archive is cut short", name);
        if (h[0] == 0)
            return SOMA_OK; /* blocks of zeros end the archive */
        if (!sum_is_right(h) || !header_size(h, &length))
            return soma__fail(err, SOMA_FORMAT, "%s: not a tar archive, or damaged at byte %zu",
                              name, at);
        at += BLOCK;
        if (length > size - at)
            return soma__fail(err, SOMA_FORMAT, "%s: the archive is cut short", name);
        size_t padded = ((size_t)length + BLOCK - 1) / BLOCK * BLOCK;
        if (h[156] == 'L' && length < LONGEST_PATH) { /* the next header's path */
            memcpy(path, b + at, (size_t)length);
            path[length] = 0;
            long_path = true;
        } else {
            if (!long_path)
                header_path(path, h);
            long_path = false;
            if (h[156] == '0' || h[156] == 0)
                SOMA__TRY(fn(user, path, b + at, (size_t)length, err));
        }
        at = padded > size - at ? size : at + padded;
    }
    return soma__fail(err, SOMA_FORMAT, "%s: the archive has no end", name);
}
