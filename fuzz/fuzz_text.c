/* Any bytes as text: a byte-level BPE and a byte tokeniser trained on them give them back exactly,
 * words and characters are found at places in order, and normalised text is UTF-8. The first byte
 * is options. */
#include <string.h>

#include "format/utf8.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(soma_tokenizer_options options, soma_text text, bool exact)
{
    soma_tokenizer *t;
    soma_tokens tokens;
    soma_error err = {0};
    char *back;
    size_t size;
    int64_t at = 0;
    soma_status status = soma_tokenizer_train(&t, &text, 1, &options, &err);
    if (status == SOMA_UNSUPPORTED) /* a build without utf8proc */
        return;
    if (status != SOMA_OK)
        __builtin_trap();
    if (soma_tokenizer_encode(t, text, NULL, &tokens, &err) != SOMA_OK)
        __builtin_trap();
    for (int64_t i = 0; i < tokens.count; i++) {
        if (tokens.end[i] < tokens.start[i] || tokens.end[i] > (int64_t)text.size ||
            (exact && tokens.start[i] != at))
            __builtin_trap();
        at = tokens.end[i];
    }
    if (soma_tokenizer_decode(t, tokens.ids, tokens.count, true, &back, &size, &err) != SOMA_OK)
        __builtin_trap();
    if (exact && (size != text.size || (size && memcmp(back, text.data, size) != 0)))
        __builtin_trap();
    soma_text_free(back);
    soma_tokens_clear(&tokens);
    soma_tokenizer_release(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    bool nfc = data[0] & 1, lowercase = data[0] & 2;
    soma_text text = {(const char *)data + 1, size - 1};
    soma_error err = {0};
    char *normal;
    size_t normal_size;
    soma_status status = soma_text_normalize(&normal, &normal_size, text, nfc, lowercase, &err);
    if (status == SOMA_UNSUPPORTED)
        return 0;
    if (status != SOMA_OK || !soma__utf8_valid(normal, normal_size))
        __builtin_trap();
    soma_text_free(normal);
    for (int kind = SOMA_TOKENIZER_WORD; kind <= SOMA_TOKENIZER_BPE; kind++) {
        soma_tokenizer_options options = {.kind = (soma_tokenizer_kind)kind, .min_count = 1};
        bool bytes = kind == SOMA_TOKENIZER_BYTE || kind == SOMA_TOKENIZER_BPE;
        if (bytes) {
            check(options, text, true);
            options.size = 300;
        }
        options.nfc = nfc;
        options.lowercase = lowercase;
        check(options, text, false);
    }
    return 0;
}
