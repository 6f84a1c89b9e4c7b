/* A tokenizer.json that can be read is written and read again, to equal text; and its tokens cover
 * the text that follows the JSON (behind the first NUL), or it says why not. */
#include <string.h>

#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const soma_tokenizer *t, soma_text text)
{
    const soma_encode_options strict = {.strict = true, .plain = true};
    soma_tokens tokens;
    soma_error err = {0};
    char *back;
    if (soma_tokenizer_encode(t, text, NULL, &tokens, &err) == SOMA_OK) {
        for (int64_t i = 0; i < tokens.count; i++)
            if (tokens.start[i] < 0 || tokens.start[i] > tokens.end[i] ||
                tokens.end[i] > (int64_t)text.size)
                __builtin_trap();
        if (soma_tokenizer_decode(t, tokens.ids, tokens.count, true, &back, NULL, &err) != SOMA_OK)
            __builtin_trap();
        soma_text_free(back);
        soma_tokens_clear(&tokens);
    }
    if (soma_tokenizer_encode(t, text, &strict, &tokens, &err) == SOMA_OK)
        soma_tokens_clear(&tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    soma_tokenizer *t, *again;
    soma__text first = {0}, second = {0};
    soma_error err = {0};
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t json = nul ? (size_t)(nul - data) : size;

    if (soma__tokenizer_parse(&t, (const char *)data, json, "fuzz", &err) != SOMA_OK)
        return 0;
    if (nul)
        use(t, (soma_text){(const char *)nul + 1, size - json - 1});
    if (soma__tokenizer_write(&first, t, &err) != SOMA_OK ||
        soma__tokenizer_parse(&again, first.data, first.length, "again", &err) != SOMA_OK ||
        soma__tokenizer_write(&second, again, &err) != SOMA_OK ||
        strcmp(first.data, second.data) != 0)
        __builtin_trap();
    soma__text_free(&first);
    soma__text_free(&second);
    soma_tokenizer_release(t);
    soma_tokenizer_release(again);
    return 0;
}
