/* tokenize.c: `soma tokenize`: train a tokeniser, encode, decode, show. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"
#include "format/gzip.h"
#include "format/json.h"
#include "soma/text.h"

#define MAX_TEXT ((size_t)INT32_MAX)

/* A file, unpacked where it is gzip; with soma__free. */
static soma_status read_file(const char *path, soma_text *out, soma_error *err)
{
    void *data, *unpacked;
    size_t size;
    SOMA__TRY(soma__file_read(&data, &size, path, MAX_TEXT, err));
    if (soma__gzip_is(data, size)) {
        size_t packed = size;
        soma_status status = soma__gunzip_all(&unpacked, &size, data, packed, MAX_TEXT, path, err);
        soma__free(data);
        SOMA__TRY(status);
        data = unpacked;
    }
    *out = (soma_text){data, size};
    return SOMA_OK;
}

/* Standard input to its end. */
static soma_status read_input(soma_text *out, soma_error *err)
{
    soma__text all = {0};
    char block[65536], *data;
    ssize_t got;
    while ((got = read(STDIN_FILENO, block, sizeof block)) != 0 && !all.failed) {
        if (got > 0)
            soma__text_append(&all, block, (size_t)got);
        else if (errno != EINTR)
            break;
    }
    if (got < 0) {
        soma__text_free(&all);
        return soma__fail(err, SOMA_IO, "reading standard input failed: %s", strerror(errno));
    }
    out->size = all.length;
    SOMA__TRY(soma__text_take(&all, &data, err));
    out->data = data;
    return SOMA_OK;
}

static void free_text(soma_text *text)
{
    soma__free((void *)(uintptr_t)text->data);
    *text = (soma_text){0};
}

/* tokenizer.json, or vocab.json,merges.txt. */
static soma_status load(soma_tokenizer **out, const char *what, soma_error *err)
{
    const char *comma = strchr(what, ',');
    if (!comma || soma__file_exists(what))
        return soma_tokenizer_load(out, what, err);
    char *vocab = soma__strndup(what, (size_t)(comma - what));
    if (!vocab)
        return soma__fail(err, SOMA_MEMORY, "no memory");
    soma_status status = soma_tokenizer_load_gpt2(out, vocab, comma + 1, err);
    soma__free(vocab);
    return status;
}

static const char *kind_name(soma_tokenizer_kind kind)
{
    const char *name = "", *doc;
    (void)soma_tokenizer_kind_text((int)kind, &name, &doc);
    return name;
}

/* --- train --------------------------------------------------------------------------------------
 */

static soma_status find_kind(soma_tokenizer_kind *out, const char *wanted, soma_error *err)
{
    const char *names[8], *doc;
    size_t count = 0;
    *out = SOMA_TOKENIZER_BPE;
    while (soma_tokenizer_kind_text((int)count, &names[count], &doc))
        count++;
    for (size_t i = 0; wanted && i < count; i++)
        if (strcmp(names[i], wanted) == 0)
            *out = (soma_tokenizer_kind)i;
    if (!wanted || strcmp(kind_name(*out), wanted) == 0)
        return SOMA_OK;
    const char *near = soma__nearest(wanted, names, count);
    return soma__fail(err, SOMA_INVALID,
                      "no kind of tokeniser is called '%s'%s%s%s; there are "
                      "word, char, byte and bpe",
                      wanted, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static soma_status train(const arguments *args, soma_error *err)
{
    const char *path = args->out ? args->out : "tokenizer.json";
    soma_tokenizer_options options = {.size = args->size,
                                      .min_count = args->min_count,
                                      .lowercase = args->lowercase,
                                      .nfc = args->nfc};
    int count = args->positional_count - 1;
    soma_text texts[SOMA__CLI_MAX_ARGUMENTS] = {0};
    soma_tokenizer *t = NULL;
    double began = soma__seconds();
    size_t bytes = 0;
    if (count < 1)
        return soma__fail(err, SOMA_INVALID, "train on what? soma tokenize train FILE...");
    soma_status status = find_kind(&options.kind, args->kind, err);
    for (int i = 0; status == SOMA_OK && i < count; i++) {
        status = read_file(args->positional[i + 1], &texts[i], err);
        bytes += texts[i].size;
    }
    if (status == SOMA_OK)
        status = soma_tokenizer_train(&t, texts, count, &options, err);
    if (status == SOMA_OK)
        status = soma_tokenizer_save(t, path, err);
    if (status == SOMA_OK && args->json) {
        cli_json json;
        cli_json_begin(&json, "done");
        cli_json_string(&json, "saved", path);
        cli_json_string(&json, "kind", kind_name(options.kind));
        cli_json_int(&json, "tokens", soma_tokenizer_count(t));
        cli_json_int(&json, "bytes", (int64_t)bytes);
        cli_json_number(&json, "seconds", soma__seconds() - began);
        cli_json_end(&json);
    } else if (status == SOMA_OK && !args->quiet) {
        char size[32];
        printf("saved %s: %s, %lld tokens, of %s\n", path, kind_name(options.kind),
               (long long)soma_tokenizer_count(t),
               soma__format_bytes((double)bytes, size, sizeof size));
    }
    for (int i = 0; i < count; i++)
        free_text(&texts[i]);
    soma_tokenizer_release(t);
    return status;
}

/* --- lines --------------------------------------------------------------------------------------
 */

typedef struct totals {
    int64_t lines, tokens, unknown, bytes;
} totals;

static void print_ids(const arguments *args, const soma_tokens *tokens)
{
    if (!args->json) {
        for (int64_t i = 0; i < tokens->count; i++)
            printf(i ? " %d" : "%d", tokens->ids[i]);
        putchar('\n');
        return;
    }
    cli_json json;
    soma__text ids = {0}, offsets = {0};
    for (int64_t i = 0; i < tokens->count; i++) {
        soma__text_add(&ids, "%s%d", i ? "," : "", tokens->ids[i]);
        soma__text_add(&offsets, "%s[%" PRId64 ",%" PRId64 "]", i ? "," : "", tokens->start[i],
                       tokens->end[i]);
    }
    cli_json_begin(&json, "line");
    soma__text_add(&json.text, ",\"ids\":[%s],\"offsets\":[%s]", ids.data ? ids.data : "",
                   offsets.data ? offsets.data : "");
    json.text.failed |= ids.failed || offsets.failed;
    cli_json_end(&json);
    soma__text_free(&ids);
    soma__text_free(&offsets);
}

static soma_status encode_line(const arguments *args, const soma_tokenizer *t, soma_text line,
                               totals *all, soma_error *err)
{
    soma_tokens tokens;
    int64_t unknown = soma_tokenizer_special(t, SOMA_SPECIAL_UNK);
    SOMA__TRY(soma_tokenizer_encode(t, line, NULL, &tokens, err));
    for (int64_t i = 0; i < tokens.count; i++)
        all->unknown += tokens.ids[i] == unknown;
    all->tokens += tokens.count;
    if (strcmp(args->positional[0], "encode") == 0)
        print_ids(args, &tokens);
    soma_tokens_clear(&tokens);
    return SOMA_OK;
}

/* The number that begins at `at`, behind blanks; false: there is none. */
static bool next_id(soma_text line, size_t *at, int32_t *out, bool *bad)
{
    int64_t value = 0;
    while (*at < line.size && strchr(" \t\r,", line.data[*at]) && line.data[*at])
        ++*at;
    size_t start = *at;
    while (*at < line.size && line.data[*at] >= '0' && line.data[*at] <= '9' && value < INT32_MAX)
        value = 10 * value + (line.data[(*at)++] - '0');
    *bad = value > INT32_MAX || (*at < line.size && *at == start) ||
           (*at < line.size && !strchr(" \t\r,", line.data[*at]));
    *out = (int32_t)value;
    return *at > start && !*bad;
}

static soma_status decode_line(const arguments *args, const soma_tokenizer *t, soma_text line,
                               totals *all, soma_error *err)
{
    int32_t *ids = NULL, id;
    size_t count = 0, capacity = 0, at = 0;
    bool bad = false;
    soma_status status = SOMA_OK;
    while (status == SOMA_OK && next_id(line, &at, &id, &bad)) {
        void *grown = ids;
        if (!soma__grow(&grown, &capacity, count, sizeof *ids))
            status = soma__fail(err, SOMA_MEMORY, "no memory for ids");
        ids = grown;
        if (status == SOMA_OK)
            ids[count++] = id;
    }
    if (status == SOMA_OK && bad)
        status = soma__fail(err, SOMA_FORMAT, "line %lld, byte %zu: not an id",
                            (long long)all->lines + 1, at + 1);
    char *text = NULL;
    size_t size = 0;
    if (status == SOMA_OK)
        status = soma_tokenizer_decode(t, ids, (int64_t)count, true, &text, &size, err);
    if (status == SOMA_OK && args->json) {
        cli_json json;
        cli_json_begin(&json, "line");
        cli_json_string(&json, "text", text);
        cli_json_end(&json);
    } else if (status == SOMA_OK) {
        fwrite(text, 1, size, stdout);
        putchar('\n');
    }
    all->tokens += (int64_t)count;
    soma_text_free(text);
    soma__free(ids);
    return status;
}

typedef soma_status work(const arguments *args, const soma_tokenizer *t, soma_text line,
                         totals *all, soma_error *err);

static soma_status each_line(const arguments *args, const soma_tokenizer *t, soma_text text,
                             work *do_line, totals *all, soma_error *err)
{
    for (size_t at = 0; at < text.size;) {
        const char *end = memchr(text.data + at, '\n', text.size - at);
        size_t size = end ? (size_t)(end - text.data) - at : text.size - at;
        SOMA__TRY(do_line(args, t, (soma_text){text.data + at, size}, all, err));
        all->lines++;
        at += size + 1;
    }
    all->bytes += (int64_t)text.size;
    return SOMA_OK;
}

static void show(const arguments *args, const soma_tokenizer *t, const totals *all)
{
    cli_json json;
    double per = all->tokens ? (double)all->bytes / (double)all->tokens : 0;
    double unknown = all->tokens ? (double)all->unknown / (double)all->tokens : 0;
    if (args->json) {
        cli_json_begin(&json, "done");
        cli_json_string(&json, "kind", kind_name(soma_tokenizer_kind_of(t)));
        cli_json_int(&json, "vocabulary", soma_tokenizer_count(t));
        cli_json_int(&json, "lines", all->lines);
        cli_json_int(&json, "tokens", all->tokens);
        cli_json_int(&json, "bytes", all->bytes);
        cli_json_number(&json, "unknown", unknown);
        cli_json_end(&json);
        return;
    }
    printf("%s, %lld tokens\n", kind_name(soma_tokenizer_kind_of(t)),
           (long long)soma_tokenizer_count(t));
    static const char *const roles[] = {"padding", "unknown", "begin", "end", "mask"};
    for (int i = 0; i < SOMA_SPECIAL_COUNT; i++) {
        int64_t id = soma_tokenizer_special(t, (soma_special)i);
        if (id >= 0)
            printf("  %-8s %lld %s\n", roles[i], (long long)id, soma_tokenizer_token(t, id).data);
    }
    if (all->bytes) {
        printf("%lld lines, %lld bytes, %lld tokens: %.2f bytes a token", (long long)all->lines,
               (long long)all->bytes, (long long)all->tokens, per);
        if (soma_tokenizer_special(t, SOMA_SPECIAL_UNK) >= 0)
            printf(", %.2f %% unknown", 100 * unknown);
        putchar('\n');
    }
}

static soma_status use(const arguments *args, soma_error *err)
{
    const char *what = args->positional[0];
    work *do_line = strcmp(what, "decode") == 0 ? decode_line : encode_line;
    bool shows = strcmp(what, "show") == 0;
    soma_tokenizer *t = NULL;
    totals all = {0};
    if (args->positional_count < 2)
        return soma__fail(err, SOMA_INVALID, "with which tokeniser? soma tokenize %s TOKENIZER",
                          what);
    SOMA__TRY(load(&t, args->positional[1], err));
    soma_status status = SOMA_OK;
    /* Standard input where no file is named; `show` needs neither. */
    for (int i = 2; status == SOMA_OK && (i < args->positional_count || (i == 2 && !shows)); i++) {
        soma_text text = {0};
        status = i < args->positional_count ? read_file(args->positional[i], &text, err)
                                            : read_input(&text, err);
        if (status == SOMA_OK)
            status = each_line(args, t, text, do_line, &all, err);
        free_text(&text);
    }
    if (status == SOMA_OK && (shows || args->json))
        show(args, t, &all);
    soma_tokenizer_release(t);
    return status;
}

int cli_run_tokenize(const arguments *args)
{
    static const char *const verbs[] = {"train", "encode", "decode", "show"};
    const char *verb = args->positional[0];
    soma_error err = {0};
    bool known = false;
    for (size_t i = 0; i < 4; i++)
        known |= strcmp(verb, verbs[i]) == 0;
    soma_status status;
    if (!known)
        status = soma__fail(&err, SOMA_INVALID,
                            "there is no 'soma tokenize %s': train, encode, decode or show", verb);
    else if (strcmp(verb, "train") == 0)
        status = train(args, &err);
    else
        status = use(args, &err);
    return status == SOMA_OK ? EXIT_CODE_OK : cli_fail(args, status, &err);
}
