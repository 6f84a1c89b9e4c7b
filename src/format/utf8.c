#include "format/utf8.h"

size_t soma__utf8_next(const char *text, size_t size, uint32_t *out)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t length;
    uint32_t code, least;

    if (size == 0)
        return 0;
    if (p[0] < 0x80) {
        length = 1, code = p[0], least = 0;
    } else if (p[0] >= 0xc2 && p[0] < 0xe0) {
        length = 2, code = p[0] & 0x1fu, least = 0x80;
    } else if ((p[0] & 0xf0) == 0xe0) {
        length = 3, code = p[0] & 0x0fu, least = 0x800;
    } else if ((p[0] & 0xf8) == 0xf0) {
        length = 4, code = p[0] & 0x07u, least = 0x10000;
    } else {
        return 0;
    }
    if (length > size)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3fu);
    }
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    if (out)
        *out = code;
    return length;
}

/* How many bytes at `p` are the beginning of some code point: at least 1. The second byte decides
 * more than the rest: after e0, ed, f0 and f4 only a part of the continuation bytes can follow. */
static size_t maximal_subpart(const unsigned char *p, size_t size)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t length, at = 1;

    if (p[0] >= 0xc2 && p[0] < 0xe0)
        length = 2;
    else if (p[0] >= 0xe0 && p[0] < 0xf0)
        length = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        length = 4;
    else
        return 1;
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f;
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;
    while (at < length && at < size && p[at] >= low && p[at] <= high) {
        at++;
        low = 0x80;
        high = 0xbf;
    }
    return at;
}

size_t soma__utf8_step(const char *text, size_t size, uint32_t *out)
{
    size_t length = soma__utf8_next(text, size, out);
    if (length || size == 0)
        return length;
    if (out)
        *out = SOMA__UTF8_REPLACEMENT;
    return maximal_subpart((const unsigned char *)text, size);
}

size_t soma__utf8_put(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

bool soma__utf8_valid(const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t length = soma__utf8_next(text + at, size - at, NULL);
        if (!length)
            return false;
        at += length;
    }
    return true;
}
