#include "text/normalize.h"

#include <string.h>

#include "base/mem.h"
#include "format/utf8.h"
#include "text/unicode.h"

/* Notes that the last `size` bytes of the new text came from `from_size` bytes there. */
static bool note(soma__normal *n, size_t size, size_t from, size_t from_size)
{
    soma__stretch *last = n->count ? &n->stretch[n->count - 1] : NULL;
    if (last && size == from_size && last->size == last->from_size &&
        last->from + last->from_size == from) {
        last->size += size;
        last->from_size += size;
        return true;
    }
    void *grown = n->stretch;
    if (!soma__grow(&grown, &n->capacity, n->count, sizeof *n->stretch))
        return false;
    n->stretch = grown;
    n->stretch[n->count++] = (soma__stretch){n->text.length - size, size, from, from_size};
    return true;
}

/* Adds the text, every bad sequence replaced, in lower case if so asked. */
static void put_codes(soma__text *out, const char *text, size_t size, bool lowercase)
{
    uint32_t code, lower[2];
    for (size_t at = 0; at < size;) {
        at += soma__utf8_step(text + at, size - at, &code);
        int count = 1;
        lower[0] = code;
        if (lowercase)
            count = soma__unicode_lower(code, lower);
        for (int i = 0; i < count; i++) {
            char bytes[4];
            soma__text_append(out, bytes, soma__utf8_put(lower[i], bytes));
        }
    }
}

/* The next piece that can be changed by itself: a run of ASCII that no mark follows, one code
 * point, or (for NFC) a cluster with its marks. */
static size_t next_piece(const char *text, size_t size, bool nfc)
{
    size_t ascii = 0;
    while (ascii < size && (unsigned char)text[ascii] < 0x80)
        ascii++;
    if (ascii == size)
        return size;
    if (ascii > 1)
        return ascii - 1; /* the last one may take a mark that follows */
    if (!nfc)
        return ascii ? ascii : soma__utf8_step(text, size, NULL);
    return soma__unicode_cluster(text, size);
}

soma_status soma__normal_make(soma__normal *n, soma_text text, bool nfc, bool lowercase,
                              bool prefix_space, soma_error *err)
{
    soma__text composed = {0};
    bool fits = true;
    if (prefix_space && text.size && text.data[0] != ' ') {
        soma__text_append(&n->text, " ", 1);
        fits = note(n, 1, 0, 0);
    }
    for (size_t at = 0; fits && at < text.size;) {
        size_t before = n->text.length, size = next_piece(text.data + at, text.size - at, nfc);
        const char *piece = text.data + at;
        size_t piece_size = size;
        if (nfc) {
            composed.length = 0;
            soma__unicode_nfc(&composed, piece, size);
            piece = composed.data;
            piece_size = composed.length;
        }
        if (!composed.failed)
            put_codes(&n->text, piece, piece_size, lowercase);
        fits = !composed.failed && !n->text.failed && note(n, n->text.length - before, at, size);
        at += size;
    }
    soma__text_free(&composed);
    return fits ? SOMA_OK : soma__fail(err, SOMA_MEMORY, "no memory for normalised text");
}

/* The stretch that byte `at` is in: the last that begins at or before it. */
static const soma__stretch *stretch_at(const soma__normal *n, size_t at)
{
    size_t low = 0, high = n->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (n->stretch[middle].at <= at)
            low = middle;
        else
            high = middle;
    }
    return &n->stretch[low];
}

void soma__normal_origin(const soma__normal *n, int64_t *start, int64_t *end)
{
    if (!n->count || *start >= *end)
        return;
    const soma__stretch *first = stretch_at(n, (size_t)*start);
    const soma__stretch *last = stretch_at(n, (size_t)*end - 1);
    size_t from = first->from, to = last->from + last->from_size;
    if (first->size == first->from_size)
        from += (size_t)*start - first->at;
    if (last->size == last->from_size)
        to = last->from + ((size_t)*end - last->at);
    *start = (int64_t)from;
    *end = (int64_t)to;
}

void soma__normal_reset(soma__normal *normal)
{
    normal->count = 0;
    normal->text.length = 0;
}

void soma__normal_clear(soma__normal *normal)
{
    soma__text_free(&normal->text);
    soma__free(normal->stretch);
    *normal = (soma__normal){0};
}

soma_status soma_text_normalize(char **out, size_t *size, soma_text text, bool nfc, bool lowercase,
                                soma_error *err)
{
    soma__normal normal = {0};
    *out = NULL;
    if (nfc || lowercase)
        SOMA__TRY(soma__unicode_need(nfc ? "NFC" : "lower case", err));
    soma_status status = soma__normal_make(&normal, text, nfc, lowercase, false, err);
    size_t length = normal.text.length;
    if (status == SOMA_OK)
        status = soma__text_take(&normal.text, out, err);
    if (status == SOMA_OK && size)
        *size = length;
    soma__normal_clear(&normal);
    return status;
}

void soma_text_free(char *text)
{
    soma__free(text);
}
