/* generate.c: `soma generate`. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"
#include "nn/nn.h"
#include "soma/generate.h"

/* Prints what comes, each token as soon as it is there. */
typedef struct printer {
    const arguments *args;
    const soma_tokenizer *tokenizer;
    int32_t last; /* -1: none */
    int64_t made;
    soma_error *err;
    soma_status status;
} printer;

/* What a token adds to the text: the text of it and the one before without that of the one before,
 * since words are joined by a space. */
static soma_status added(const printer *p, int32_t id, char **text, const char **from, size_t *size,
                         soma_error *err)
{
    const int32_t pair[2] = {p->last, id};
    const bool alone = p->last < 0;
    char *before = NULL;
    size_t skip = 0;
    SOMA__TRY(
        soma_tokenizer_decode(p->tokenizer, pair + alone, alone ? 1 : 2, true, text, size, err));
    if (!alone) {
        soma_status status =
            soma_tokenizer_decode(p->tokenizer, pair, 1, true, &before, &skip, err);
        soma_text_free(before);
        if (status != SOMA_OK) {
            soma_text_free(*text);
            return status;
        }
    }
    *from = *text + skip;
    *size -= skip;
    return SOMA_OK;
}

static bool print(void *user, int64_t id)
{
    printer *p = user;
    char *text;
    const char *from;
    size_t size;
    p->status = added(p, (int32_t)id, &text, &from, &size, p->err);
    if (p->status != SOMA_OK)
        return false;
    if (p->args->json) {
        cli_json json;
        cli_json_begin(&json, "token");
        cli_json_int(&json, "id", id);
        cli_json_string(&json, "text", from);
        cli_json_end(&json);
    } else {
        fwrite(from, 1, size, stdout);
        fflush(stdout);
    }
    soma_text_free(text);
    p->last = (int32_t)id;
    p->made++;
    return true;
}

static soma_generate_options options_of(const arguments *args, const soma_tokenizer *t)
{
    const int64_t end = soma_tokenizer_special(t, SOMA_SPECIAL_EOS);
    const bool cold = args->temperature_given && !(args->temperature > 0);
    return (soma_generate_options){
        .sampling = {.repetition_penalty = args->repetition_penalty,
                     .greedy = cold,
                     .temperature = cold ? 0 : args->temperature,
                     .top_k = args->top_k,
                     .top_p = args->top_p,
                     .min_p = args->min_p,
                     .seed = (uint64_t)(args->seed_given ? args->seed : 1)},
        .tokens = args->tokens,
        .ends = end >= 0,
        .end = end,
        .beams = args->beam,
        .length_penalty = args->length_penalty,
    };
}

/* The prompt as ids. Of a model of one input its tokens; the empty prompt is the token that begins
 * a text, or a line end where there is none. */
static soma_status prompt_ids(const arguments *args, const soma_tokenizer *t, int64_t **ids,
                              int64_t *count, soma_error *err)
{
    const char *text = args->prompt ? args->prompt : "";
    const int64_t begin = soma_tokenizer_special(t, SOMA_SPECIAL_BOS);
    soma_tokens tokens;
    if (!*text && begin < 0)
        text = "\n";
    SOMA__TRY(soma_tokenizer_encode(t, (soma_text){text, strlen(text)},
                                    &(soma_encode_options){.bos = begin >= 0}, &tokens, err));
    soma_status status = SOMA_OK;
    *ids = soma__calloc((size_t)tokens.count + 1, sizeof **ids);
    *count = tokens.count;
    if (!*ids)
        status = soma__fail(err, SOMA_MEMORY, "no memory for the prompt");
    for (int64_t i = 0; *ids && i < tokens.count; i++)
        (*ids)[i] = tokens.ids[i];
    soma_tokens_clear(&tokens);
    return status;
}

/* A model that learned from pairs of texts says the prompt in its own words. */
static soma_status translate(const arguments *args, soma_model *model,
                             const soma_generate_options *options, soma_error *err)
{
    const char *prompt = args->prompt ? args->prompt : "";
    const soma_text text = {prompt, strlen(prompt)};
    char *out;
    SOMA__TRY(soma_translate(model, &text, 1, options, &out, err));
    if (args->json) {
        cli_json json;
        cli_json_begin(&json, "text");
        cli_json_string(&json, "text", out);
        cli_json_end(&json);
    } else {
        fputs(out, stdout);
    }
    soma_text_free(out);
    return SOMA_OK;
}

static soma_status go(const arguments *args, soma_model *model, const soma_tokenizer *t, printer *p,
                      soma_error *err)
{
    soma_generate_options options = options_of(args, t);
    soma_generator *g;
    int64_t *ids = NULL, count = 0;
    if (model->input_count > 1)
        return translate(args, model, &options, err);
    SOMA__TRY(prompt_ids(args, t, &ids, &count, err));
    soma_status status = soma_generator_create(
        &g, model, &(soma_generator_options){.rows = options.beams > 1 ? options.beams : 1}, err);
    if (status == SOMA_OK) {
        if (!args->json && args->prompt) {
            fputs(args->prompt, stdout);
            p->last = count ? (int32_t)ids[count - 1] : -1;
        }
        options.callback = print;
        options.user = p;
        status = soma_generate(g, ids, count, &options, NULL, NULL, err);
        soma_generator_destroy(g);
    }
    soma__free(ids);
    return status == SOMA_OK ? p->status : status;
}

int cli_run_generate(const arguments *args)
{
    cli_model m = {0};
    soma_error err = {0};
    soma_tokenizer *t = NULL;
    printer p = {.args = args, .last = -1, .err = &err};
    const double start = soma__seconds();
    soma_status status = cli_context(args, &m.context, &err);
    if (status == SOMA_OK)
        status = soma_model_load(&m.model, m.context, args->positional[0], &err);
    if (status == SOMA_OK)
        status = soma_model_tokenizer(&t, m.model, &err);
    p.tokenizer = t;
    if (status == SOMA_OK)
        status = go(args, m.model, t, &p, &err);
    if (status == SOMA_OK && args->json) {
        cli_json json;
        cli_json_begin(&json, "done");
        cli_json_int(&json, "tokens", p.made);
        cli_json_number(&json, "seconds", soma__seconds() - start);
        cli_json_end(&json);
    } else if (status == SOMA_OK) {
        putchar('\n');
    }
    soma_tokenizer_release(t);
    cli_model_close(&m);
    return status == SOMA_OK ? EXIT_CODE_OK : cli_fail(args, status, &err);
}
