#include "text/unicode.h"

#include "base/mem.h"
#include "format/utf8.h"

static soma__class ascii_class(uint32_t code)
{
    if ((code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z'))
        return SOMA__CLASS_LETTER;
    if (code >= '0' && code <= '9')
        return SOMA__CLASS_NUMBER;
    if (code == ' ' || (code >= '\t' && code <= '\r'))
        return SOMA__CLASS_SPACE;
    switch (code) {
    case '$':
    case '+':
    case '<':
    case '=':
    case '>':
    case '^':
    case '`':
    case '|':
    case '~':
        return SOMA__CLASS_SYMBOL;
    default:
        return code > ' ' && code < 0x7f ? SOMA__CLASS_PUNCTUATION : SOMA__CLASS_OTHER;
    }
}

#if defined(SOMA_HAVE_UTF8PROC) && SOMA_HAVE_UTF8PROC
#include <utf8proc.h>

soma_status soma__unicode_need(const char *what, soma_error *err)
{
    (void)what, (void)err;
    return SOMA_OK;
}

/* White_Space is a closed list in practice: PropList.txt last changed it in Unicode 6.3. */
static bool is_space(uint32_t code)
{
    return code == 0x85 || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) ||
           code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

static utf8proc_category_t category(uint32_t code)
{
    return utf8proc_category((utf8proc_int32_t)code);
}

soma__class soma__unicode_class(uint32_t code)
{
    if (code < 0x80)
        return ascii_class(code);
    if (is_space(code))
        return SOMA__CLASS_SPACE;
    switch (category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return SOMA__CLASS_LETTER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return SOMA__CLASS_NUMBER;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return SOMA__CLASS_PUNCTUATION;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
        return SOMA__CLASS_SYMBOL;
    default:
        return SOMA__CLASS_OTHER;
    }
}

/* Alphabetic is letters, letter numbers and Other_Alphabetic, which is marks (words anyway) and the
 * letters in circles and squares. */
static bool is_enclosed_letter(uint32_t code)
{
    return (code >= 0x24b6 && code <= 0x24e9) || (code >= 0x1f130 && code <= 0x1f149) ||
           (code >= 0x1f150 && code <= 0x1f169) || (code >= 0x1f170 && code <= 0x1f189);
}

bool soma__unicode_is_word(uint32_t code)
{
    if (code < 0x80)
        return code == '_' || ascii_class(code) == SOMA__CLASS_LETTER ||
               ascii_class(code) == SOMA__CLASS_NUMBER;
    switch (category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default:
        return code == 0x200c || code == 0x200d || is_enclosed_letter(code);
    }
}

int soma__unicode_lower(uint32_t code, uint32_t out[2])
{
    out[0] = code;
    if (code < 0x80) {
        out[0] = code >= 'A' && code <= 'Z' ? code + 32 : code;
        return 1;
    }
    /* The one code point whose lower case without context is two: I with a dot above. */
    if (code == 0x130) {
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
    return 1;
}

size_t soma__unicode_cluster(const char *text, size_t size)
{
    utf8proc_int32_t state = 0;
    uint32_t before, code;
    size_t at = soma__utf8_step(text, size, &before);
    while (at < size) {
        size_t length = soma__utf8_step(text + at, size - at, &code);
        if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)code,
                                             &state))
            break;
        before = code;
        at += length;
    }
    return at;
}

/* Everything below U+0300 is its own NFC, alone or followed by more of the kind. */
static bool is_nfc_already(const char *text, size_t size)
{
    uint32_t code;
    for (size_t at = 0; at < size;) {
        size_t length = soma__utf8_next(text + at, size - at, &code);
        if (!length || code >= 0x300)
            return false;
        at += length;
    }
    return true;
}

void soma__unicode_nfc(soma__text *out, const char *text, size_t size)
{
    if (is_nfc_already(text, size)) {
        soma__text_append(out, text, size);
        return;
    }
    utf8proc_int32_t few[64], *codes, *parts = NULL;
    size_t count = 0, bytes;
    /* Canonical decomposition gives at most four code points for one. */
    if (!soma__mul(size, 4 * sizeof *parts, &bytes) ||
        (bytes > sizeof few && !(parts = soma__malloc(bytes)))) {
        out->failed = true;
        return;
    }
    codes = parts ? parts : few;
    for (size_t at = 0; at < size;) {
        uint32_t code;
        int last_class = 0;
        at += soma__utf8_step(text + at, size - at, &code);
        utf8proc_ssize_t got =
            utf8proc_decompose_char((utf8proc_int32_t)code, codes + count, 4,
                                    UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, &last_class);
        count += got > 0 && got <= 4 ? (size_t)got : 0;
    }
    /* Marks in order of their combining class, those of one class as they stood. */
    for (size_t i = 1; i < count; i++) {
        utf8proc_int32_t moved = codes[i];
        utf8proc_propval_t combining = utf8proc_get_property(moved)->combining_class;
        size_t j = i;
        for (; combining && j > 0; j--) {
            if (utf8proc_get_property(codes[j - 1])->combining_class <= combining)
                break;
            codes[j] = codes[j - 1];
        }
        codes[j] = moved;
    }
    utf8proc_ssize_t left = utf8proc_normalize_utf32(codes, (utf8proc_ssize_t)count,
                                                     UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    for (utf8proc_ssize_t i = 0; i < left; i++) {
        char bytes_of[4];
        soma__text_append(out, bytes_of, soma__utf8_put((uint32_t)codes[i], bytes_of));
    }
    soma__free(parts);
}

#else
soma_status soma__unicode_need(const char *what, soma_error *err)
{
    return soma__fail(
        err, SOMA_UNSUPPORTED,
        "%s needs utf8proc for Unicode: this soma was built without it; character and "
        "byte tokenisers work",
        what);
}

soma__class soma__unicode_class(uint32_t code)
{
    return code < 0x80 ? ascii_class(code) : SOMA__CLASS_OTHER;
}

bool soma__unicode_is_word(uint32_t code)
{
    return code == '_' || (code < 0x80 && (ascii_class(code) == SOMA__CLASS_LETTER ||
                                           ascii_class(code) == SOMA__CLASS_NUMBER));
}

int soma__unicode_lower(uint32_t code, uint32_t out[2])
{
    out[0] = code >= 'A' && code <= 'Z' ? code + 32 : code;
    return 1;
}

size_t soma__unicode_cluster(const char *text, size_t size)
{
    return soma__utf8_step(text, size, NULL);
}

void soma__unicode_nfc(soma__text *out, const char *text, size_t size)
{
    soma__text_append(out, text, size);
}
#endif
