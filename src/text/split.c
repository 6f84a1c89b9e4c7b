#include "text/split.h"

#include <string.h>

#include "format/utf8.h"
#include "text/unicode.h"

/* The classes of GPT-2's pattern: three, and the end of the text. */
typedef enum group { GROUP_LETTER, GROUP_NUMBER, GROUP_SPACE, GROUP_OTHER, GROUP_END } group;

static group group_at(const char *text, size_t size, size_t *length)
{
    uint32_t code;
    *length = soma__utf8_step(text, size, &code);
    if (!*length)
        return GROUP_END;
    switch (soma__unicode_class(code)) {
    case SOMA__CLASS_LETTER:
        return GROUP_LETTER;
    case SOMA__CLASS_NUMBER:
        return GROUP_NUMBER;
    case SOMA__CLASS_SPACE:
        return GROUP_SPACE;
    default:
        return GROUP_OTHER;
    }
}

/* 's 't 're 've 'm 'll 'd */
static size_t contraction(const char *text, size_t size)
{
    if (size < 2 || text[0] != '\'')
        return 0;
    if (strchr("stmd", text[1]) && text[1])
        return 2;
    if (size >= 3 && (memcmp(text + 1, "re", 2) == 0 || memcmp(text + 1, "ve", 2) == 0 ||
                      memcmp(text + 1, "ll", 2) == 0))
        return 3;
    return 0;
}

size_t soma__split_gpt2(const char *text, size_t size)
{
    size_t at = contraction(text, size), length, last;
    if (at)
        return at;
    group first = group_at(text, size, &length);
    if (first == GROUP_SPACE) {
        /* One blank belongs to the word after it. */
        size_t next;
        group after = group_at(text + length, size - length, &next);
        if (text[0] == ' ' && after != GROUP_SPACE && after != GROUP_END) {
            at = length;
            first = after;
            length = next;
        }
    }
    group now;
    do {
        last = length;
        at += length;
        now = group_at(text + at, size - at, &length);
    } while (now == first);
    /* A run of spaces leaves its last one to what follows, unless it is the only one. */
    if (first == GROUP_SPACE && now != GROUP_END && at > last)
        at -= last;
    return at;
}

size_t soma__split_word(const char *text, size_t size, size_t *skipped)
{
    size_t at = 0, length, start;
    uint32_t code;
    while ((length = soma__utf8_step(text + at, size - at, &code)) != 0 &&
           soma__unicode_class(code) == SOMA__CLASS_SPACE)
        at += length;
    *skipped = start = at;
    if (!length)
        return 0;
    bool word = soma__unicode_is_word(code);
    do {
        at += length;
        length = soma__utf8_step(text + at, size - at, &code);
    } while (length && soma__unicode_is_word(code) == word &&
             (word || soma__unicode_class(code) != SOMA__CLASS_SPACE));
    return at - start;
}
