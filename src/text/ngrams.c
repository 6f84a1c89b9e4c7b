#include "text/ngrams.h"

#include "base/mem.h"
#include "format/utf8.h"
#include "text/unicode.h"

void soma__codes_add(soma__codes *codes, int32_t code)
{
    void *at = codes->at;
    if (codes->failed || !soma__grow(&at, &codes->capacity, codes->count, sizeof *codes->at)) {
        codes->failed = true;
        return;
    }
    codes->at = at;
    codes->at[codes->count++] = code;
}

void soma__codes_clear(soma__codes *codes)
{
    soma__free(codes->at);
    *codes = (soma__codes){0};
}

void soma__codes_read(soma__codes *codes, soma_text text, bool lowercase)
{
    for (size_t at = 0; at < text.size;) {
        uint32_t code, lower[2];
        at += soma__utf8_step(text.data + at, text.size - at, &code);
        int count = lowercase ? soma__unicode_lower(code, lower) : 1;
        soma__codes_add(codes, (int32_t)(lowercase ? lower[0] : code));
        if (count == 2)
            soma__codes_add(codes, (int32_t)lower[1]);
    }
}

bool soma__is_python_space(int32_t code)
{
    return (code >= 9 && code <= 13) || (code >= 0x1c && code <= 0x20) || code == 0x85 ||
           code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
           code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

int32_t soma__word_number(soma__strings *words, const int32_t *codes, size_t count)
{
    size_t before = words->count, size;
    soma__string *word = soma__mul(count, sizeof *codes, &size)
                             ? soma__strings_add(words, (const char *)codes, size)
                             : NULL;
    if (!word)
        return -1;
    if (words->count > before)
        word->value = (int64_t)before;
    return (int32_t)word->value;
}

void soma__codes_words(soma__codes *out, soma__strings *words, const int32_t *codes, size_t count)
{
    for (size_t at = 0, end; at < count; at = end) {
        end = at + 1;
        if (soma__is_python_space(codes[at]))
            continue;
        while (end < count && !soma__is_python_space(codes[end]))
            end++;
        int32_t number = soma__word_number(words, codes + at, end - at);
        soma__codes_add(out, number);
        out->failed |= number < 0;
    }
}

bool soma__ngrams_count(soma__strings *counts, const int32_t *units, size_t count, size_t order)
{
    for (size_t i = 0; i + order <= count; i++) {
        soma__string *ngram =
            soma__strings_add(counts, (const char *)(units + i), order * sizeof *units);
        if (!ngram)
            return false;
        ngram->value++;
    }
    return true;
}
