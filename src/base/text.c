/* text.c: growing strings, strict number readers, and numbers written for people.
 *
 * Numbers always use the C locale: a program that has called setlocale for German would otherwise
 * make this library write "0,5" into files and refuse to read "0.5". */
#include "base/text.h"

#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

/* The C library hands out a constant object for "C", so making one each time costs nothing and
 * needs no global of ours. */
static locale_t c_locale(void)
{
    return newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static int c_vsnprintf(char *buffer, size_t size, const char *format, va_list args)
{
    locale_t c = c_locale();
    locale_t before = uselocale(c);
    int length = vsnprintf(buffer, size, format, args);
    uselocale(before);
    if (c)
        freelocale(c);
    return length;
}

int soma__format(char *buffer, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = c_vsnprintf(buffer, size, format, args);
    va_end(args);
    return length;
}

/* --- growing strings ---------------------------------------------------------------------------
 */

/* Makes room for `extra` more bytes and the final NUL. */
static bool reserve(soma__text *text, size_t extra)
{
    size_t wanted, doubled;
    if (text->failed)
        return false;
    if (!soma__add(text->length, extra, &wanted) || !soma__add(wanted, 1, &wanted))
        goto fail;
    if (wanted <= text->capacity)
        return true;
    if (soma__mul(text->capacity, 2, &doubled) && doubled > wanted)
        wanted = doubled;
    if (wanted < 64)
        wanted = 64;
    char *data = soma__realloc(text->data, wanted);
    if (!data)
        goto fail;
    text->data = data;
    text->capacity = wanted;
    return true;
fail:
    text->failed = true;
    return false;
}

void soma__text_append(soma__text *text, const void *bytes, size_t length)
{
    if (!reserve(text, length))
        return;
    if (length)
        memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void soma__text_add(soma__text *text, const char *format, ...)
{
    /* Most pieces are short: they are made on the stack and copied. A long one is made a second
     * time, now that its length is known. */
    char small[256];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = c_vsnprintf(small, sizeof small, format, args);
    if (length < 0) {
        text->failed = true;
    } else if ((size_t)length < sizeof small) {
        soma__text_append(text, small, (size_t)length);
    } else if (reserve(text, (size_t)length)) {
        c_vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
    va_end(args);
}

soma_status soma__text_take(soma__text *text, char **out, soma_error *err)
{
    soma__text_append(text, "", 0);
    if (text->failed) {
        soma__text_free(text);
        return soma__fail(err, SOMA_MEMORY, "out of memory while making a text");
    }
    *out = text->data;
    *text = (soma__text){0};
    return SOMA_OK;
}

void soma__text_free(soma__text *text)
{
    soma__free(text->data);
    *text = (soma__text){0};
}

/* --- numbers from text -------------------------------------------------------------------------
 */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Of ASCII letters only: tolower would follow the locale, where a Turkish I is not an i. */
static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_word(const char *a, const char *b)
{
    while (*a && lower(*a) == lower(*b))
        a++, b++;
    return *a == *b;
}

bool soma__parse_int(const char *text, int64_t *out)
{
    const char *p = text;
    bool negative = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    if (!is_digit(*p))
        return false;
    /* Counts downwards, because the negative range is the larger one. */
    int64_t value = 0;
    for (; is_digit(*p); p++)
        if (!soma__mul64(value, 10, &value) || !soma__add64(value, -(int64_t)(*p - '0'), &value))
            return false;
    if (*p || (!negative && value == INT64_MIN))
        return false;
    *out = negative ? value : -value;
    return true;
}

bool soma__parse_float(const char *text, double *out)
{
    /* strtod reads more than we want (leading blanks, hexadecimal, "nan(0x1)"), so the shape of the
     * number is checked first and strtod only converts. */
    const char *p = text;
    if (*p == '-' || *p == '+')
        p++;
    if (same_word(p, "inf") || same_word(p, "infinity")) {
        *out = *text == '-' ? -HUGE_VAL : HUGE_VAL;
        return true;
    }
    if (same_word(p, "nan")) {
        *out = (double)NAN;
        return true;
    }
    int digits = 0;
    for (; is_digit(*p); p++)
        digits = 1;
    if (*p == '.')
        for (p++; is_digit(*p); p++)
            digits = 1;
    if (!digits)
        return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '-' || *p == '+')
            p++;
        if (!is_digit(*p))
            return false;
        while (is_digit(*p))
            p++;
    }
    if (*p)
        return false;

    locale_t c = c_locale();
    double value = c ? strtod_l(text, NULL, c) : strtod(text, NULL);
    if (c)
        freelocale(c);
    /* Too large is an error; too small is the nearest number, 0 or a denormal. */
    if (isinf(value))
        return false;
    *out = value;
    return true;
}

/* --- did you mean ------------------------------------------------------------------------------
 */

#define LONGEST_NAME 64

static size_t min2(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance that counts a swap of neighbours as one, ignoring case; names longer than
 * LONGEST_NAME are never near. Three rows of the usual table are enough. */
static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
    size_t rows[3][LONGEST_NAME + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= nb; j++)
        above[j] = j;
    for (size_t i = 1; i <= na; i++) {
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t change = above[j - 1] + (lower(a[i - 1]) != lower(b[j - 1]));
            row[j] = min2(change, min2(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                row[j] = min2(row[j], before[j - 2] + 1);
        }
        size_t *free_row = before;
        before = above;
        above = row;
        row = free_row;
    }
    return above[nb];
}

const char *soma__nearest(const char *text, const char *const *names, size_t count)
{
    size_t length = strlen(text);
    if (length == 0 || length > LONGEST_NAME)
        return NULL;
    /* A third of the letters may be wrong; beyond that a suggestion is noise. */
    size_t best = (length + 2) / 3 + 1;
    const char *nearest = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t n = names[i] ? strlen(names[i]) : 0;
        if (n == 0 || n > LONGEST_NAME)
            continue;
        size_t d = distance(text, length, names[i], n);
        /* All letters replaced is no likeness, which matters for names of one or two letters. */
        if (d < best && d < length) {
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}

/* --- numbers for people ------------------------------------------------------------------------
 */

char *soma__format_count(int64_t value, char *buffer, size_t size)
{
    char digits[24], grouped[32];
    int n = snprintf(digits, sizeof digits, "%lld", (long long)value);
    size_t length = 0;
    for (int i = 0; i < n; i++) {
        grouped[length++] = digits[i];
        if (i < n - 1 && digits[i] != '-' && (n - 1 - i) % 3 == 0)
            grouped[length++] = ',';
    }
    grouped[length] = '\0';
    if (size)
        snprintf(buffer, size, "%s", grouped);
    return buffer;
}

char *soma__format_bytes(double bytes, char *buffer, size_t size)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    size_t unit = 0;
    /* 999.95 would print as 1000.0, so it belongs to the next unit already. */
    while (fabs(bytes) >= (unit ? 999.95 : 999.5) && unit + 1 < sizeof units / sizeof *units) {
        bytes /= 1000;
        unit++;
    }
    soma__format(buffer, size, "%.*f %s", unit ? 1 : 0, bytes, units[unit]);
    return buffer;
}

char *soma__format_duration(double seconds, char *buffer, size_t size)
{
    if (!(seconds >= 0) || seconds > 1e12) {
        soma__format(buffer, size, "?");
    } else if (seconds < 0.9995e-3) {
        soma__format(buffer, size, "%.0f us", seconds * 1e6);
    } else if (seconds < 0.9995) {
        soma__format(buffer, size, "%.0f ms", seconds * 1e3);
    } else if (seconds < 59.95) {
        soma__format(buffer, size, "%.1f s", seconds);
    } else {
        long long s = llround(seconds);
        if (s < 3600)
            soma__format(buffer, size, "%lldm %02llds", s / 60, s % 60);
        else if (s < 86400)
            soma__format(buffer, size, "%lldh %02lldm", s / 3600, s % 3600 / 60);
        else
            soma__format(buffer, size, "%lldd %02lldh", s / 86400, s % 86400 / 3600);
    }
    return buffer;
}

uint64_t soma__hash(uint64_t seed, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++)
        seed = (seed ^ bytes[i]) * UINT64_C(0x100000001b3);
    return seed;
}

bool soma__ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && memcmp(text + n - m, end, m) == 0;
}
