/* text.c: rows of texts with labels, and how they become samples. */
#include "data/text.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/dataset.h"
#include "format/csv.h"
#include "format/gzip.h"
#include "format/json.h"
#include "text/strings.h"
#include "text/tokenizer.h"

#define MAX_BYTES ((size_t)8 << 30)
#define MAX_LENGTH (1 << 24)

/* The rows of one file. The texts lie in `bytes` or in the table. */
struct soma__texts {
    atomic_int references;
    char *source;
    void *bytes;
    soma__csv csv;
    soma_text *row;
    int64_t rows;
    soma__text_options options; /* its strings in the arena */
    soma__arena arena;
};

void soma__texts_release(struct soma__texts *t)
{
    if (!t || atomic_fetch_sub_explicit(&t->references, 1, memory_order_acq_rel) != 1)
        return;
    soma__free(t->source);
    soma__free(t->bytes);
    soma__free(t->row);
    soma__csv_clear(&t->csv);
    soma__arena_clear(&t->arena);
    soma__free(t);
}

static soma_status no_memory(const char *source, soma_error *err)
{
    return soma__fail(err, SOMA_MEMORY, "%s: out of memory for texts", source);
}

/* --- encodings ----------------------------------------------------------------------------------
 */

soma_status soma__text_encoding_new(soma__text_encoding **out, soma_tokenizer *tokenizer,
                                    int64_t length, bool keep_end, int64_t target, soma_error *err)
{
    soma__text_encoding *e = soma__calloc(1, sizeof *e);
    *out = e;
    if (!e) {
        soma_tokenizer_release(tokenizer);
        return soma__fail(err, SOMA_MEMORY, "no memory for an encoding of texts");
    }
    atomic_init(&e->references, 1);
    e->tokenizer = tokenizer;
    e->length = length;
    e->keep_end = keep_end;
    e->target = target;
    return SOMA_OK;
}

soma__text_encoding *soma__text_encoding_retain(soma__text_encoding *encoding)
{
    atomic_fetch_add_explicit(&encoding->references, 1, memory_order_relaxed);
    return encoding;
}

void soma__text_encoding_release(soma__text_encoding *e)
{
    if (!e || atomic_fetch_sub_explicit(&e->references, 1, memory_order_acq_rel) != 1)
        return;
    soma_tokenizer_release(e->tokenizer);
    soma__free(e);
}

const soma__text_encoding *soma__dataset_text(const soma_dataset *dataset)
{
    return dataset ? soma__dataset_whole(dataset)->text_encoding : NULL;
}

soma_status soma__text_encoding_text(char **out, const soma__text_encoding *e, soma_error *err)
{
    soma__text text = {0}, tokenizer = {0};
    soma_status status = soma__tokenizer_write(&tokenizer, e->tokenizer, err);
    *out = NULL;
    if (status == SOMA_OK) {
        soma__text_add(&text, "{\"version\":1,\"length\":%" PRId64 ",\"keep_end\":%s,", e->length,
                       e->keep_end ? "true" : "false");
        if (e->target)
            soma__text_add(&text, "\"target\":%" PRId64 ",", e->target);
        soma__text_add(&text, "\"tokenizer\":");
        soma__json_string(&text, tokenizer.data);
        soma__text_add(&text, "}");
        status = soma__text_take(&text, out, err);
    }
    soma__text_free(&tokenizer);
    return status;
}

static soma_status parse_encoding(soma__text_encoding **out, const soma__value *root,
                                  const char *source, soma_error *err)
{
    bool map = root->kind == SOMA__MAP;
    const soma__value *version = map ? soma__value_find(root, "version") : NULL;
    const soma__value *length = map ? soma__value_find(root, "length") : NULL;
    const soma__value *end = map ? soma__value_find(root, "keep_end") : NULL;
    const soma__value *tokenizer = map ? soma__value_find(root, "tokenizer") : NULL;
    if (version && version->kind == SOMA__INT && version->integer > 1)
        return soma__fail(err, SOMA_UNSUPPORTED,
                          "%s: its texts were encoded by a newer soma (version %lld)", source,
                          (long long)version->integer);
    const soma__value *target = map ? soma__value_find(root, "target") : NULL;
    const bool pairs = !target || (target->kind == SOMA__INT && target->integer >= 1 &&
                                   target->integer <= MAX_LENGTH);
    if (!version || !pairs || !length || length->kind != SOMA__INT || length->integer < 1 ||
        length->integer > MAX_LENGTH || !end || end->kind != SOMA__BOOL || !tokenizer ||
        tokenizer->kind != SOMA__STRING)
        return soma__fail(err, SOMA_FORMAT, "%s: how it encodes texts is damaged", source);
    soma_tokenizer *t;
    SOMA__TRY(soma__tokenizer_parse(&t, tokenizer->text, strlen(tokenizer->text), source, err));
    return soma__text_encoding_new(out, t, length->integer, end->boolean,
                                   target ? target->integer : 0, err);
}

soma_status soma__text_encoding_parse(soma__text_encoding **out, const char *text,
                                      const char *source, soma_error *err)
{
    soma__tree tree = {0};
    *out = NULL;
    SOMA__TRY(soma__json_parse(&tree, text, strlen(text), source, err));
    soma_status status = parse_encoding(out, tree.root, source, err);
    soma__tree_clear(&tree);
    return status;
}

soma_status soma__text_tokenizer(soma_tokenizer **out, const soma__text_options *o,
                                 soma_tokenizer_kind usual, unsigned special,
                                 const soma_text *texts, int64_t count, soma_error *err)
{
    soma_tokenizer_options how = {.kind = usual,
                                  .size = o->vocabulary,
                                  .min_count = o->min_count,
                                  .lowercase = o->lowercase,
                                  .special = special};
    const char *name, *doc;
    for (int i = 0; o->tokenizer; i++) {
        if (!soma_tokenizer_kind_text(i, &name, &doc))
            return soma_tokenizer_load(out, o->tokenizer, err);
        if (strcmp(name, o->tokenizer) == 0) {
            how.kind = (soma_tokenizer_kind)i;
            break;
        }
    }
    bool bytes = how.kind == SOMA_TOKENIZER_BYTE || how.kind == SOMA_TOKENIZER_BPE;
    if (bytes) /* nothing is unknown */
        how.special &= ~(1u << SOMA_SPECIAL_UNK);
    if (!how.special)
        how.special = SOMA_SPECIAL_NONE;
    return soma_tokenizer_train(out, texts, count, &how, err);
}

/* --- reading rows -------------------------------------------------------------------------------
 */

soma_status soma__text_file(void **out, size_t *size, const char *path, soma_error *err)
{
    void *data;
    SOMA__TRY(soma__file_read(&data, size, path, MAX_BYTES, err));
    *out = data;
    if (!soma__gzip_is(data, *size))
        return SOMA_OK;
    soma_status status = soma__gunzip_all(out, size, data, *size, MAX_BYTES, path, err);
    soma__free(data);
    return status;
}

/* A growing list of rows with the numbers of their labels. */
typedef struct rows {
    struct soma__texts *texts;
    size_t capacity, label_capacity;
    int32_t *label;
    soma__strings labels;
} rows;

static soma_status add_row(rows *r, soma_text text, soma_text label, soma_error *err)
{
    struct soma__texts *t = r->texts;
    void *row = t->row, *numbers = r->label;
    size_t count = (size_t)t->rows, before = r->labels.count;
    if (!soma__grow(&row, &r->capacity, count, sizeof *t->row))
        return no_memory(t->source, err);
    t->row = row;
    if (!soma__grow(&numbers, &r->label_capacity, count, sizeof *r->label))
        return no_memory(t->source, err);
    r->label = numbers;
    soma__string *string = soma__strings_add(&r->labels, label.data, label.size);
    if (!string)
        return no_memory(t->source, err);
    if (r->labels.count > before)
        string->value = (int64_t)before;
    t->row[count] = text;
    r->label[count] = (int32_t)string->value;
    t->rows++;
    return SOMA_OK;
}

/* Field `number` of a line (from the end where negative); false: it has fewer. */
static bool field(soma_text line, int64_t number, soma_text *out)
{
    int64_t fields = 1;
    for (size_t i = 0; i < line.size; i++)
        fields += line.data[i] == '\t';
    if (number < 0)
        number += fields;
    if (number < 0 || number >= fields)
        return false;
    const char *start = line.data, *end = line.data + line.size;
    for (int64_t at = 0; at < number; at++)
        start = (const char *)memchr(start, '\t', (size_t)(end - start)) + 1;
    const char *tab = memchr(start, '\t', (size_t)(end - start));
    *out = (soma_text){start, (size_t)((tab ? tab : end) - start)};
    return true;
}

/* The number of a column by its name in the first line. */
static soma_status column_of(int64_t *out, const char *wanted, int64_t usual, soma_text header,
                             bool *named, const char *source, soma_error *err)
{
    soma_text name;
    *out = usual;
    if (!wanted || soma__parse_int(wanted, out))
        return SOMA_OK;
    for (int64_t i = 0; field(header, i, &name); i++)
        if (name.size == strlen(wanted) && memcmp(name.data, wanted, name.size) == 0) {
            *out = i;
            *named = true;
            return SOMA_OK;
        }
    return soma__fail(err, SOMA_NOT_FOUND, "%s: no column is named '%s' in the first line", source,
                      wanted);
}

static soma_text next_line(const char *bytes, size_t size, size_t *at)
{
    const char *start = bytes + *at, *end = memchr(start, '\n', size - *at);
    size_t length = end ? (size_t)(end - start) : size - *at;
    *at += length + 1;
    if (length && start[length - 1] == '\r')
        length--;
    return (soma_text){start, length};
}

static soma_status read_lines(rows *r, const char *bytes, size_t size, soma_error *err)
{
    const soma__text_options *o = &r->texts->options;
    int64_t label, text, number = 0;
    bool named = false;
    size_t at = 0, first = 0;
    soma_text line = size ? next_line(bytes, size, &first) : (soma_text){bytes, 0};
    SOMA__TRY(column_of(&label, o->label, 0, line, &named, r->texts->source, err));
    SOMA__TRY(column_of(&text, o->text, -1, line, &named, r->texts->source, err));
    while (at < size) {
        soma_text of_text, of_label;
        line = next_line(bytes, size, &at);
        number++;
        if (!line.size || (named && number == 1))
            continue;
        if (!field(line, label, &of_label) || !field(line, text, &of_text))
            return soma__fail(err, SOMA_FORMAT,
                              "%s:%lld: has no field %lld; fields are separated by tabs",
                              r->texts->source, (long long)number,
                              (long long)(field(line, label, &of_label) ? text : label));
        SOMA__TRY(add_row(r, of_text, of_label, err));
    }
    return SOMA_OK;
}

static soma_status read_csv(rows *r, const void *bytes, size_t size, soma_error *err)
{
    struct soma__texts *t = r->texts;
    int label, text;
    SOMA__TRY(soma__csv_parse(&t->csv, bytes, size, t->source, NULL, err));
    SOMA__TRY(
        soma__csv_column_find(&label, &t->csv, t->options.label ? t->options.label : "0", err));
    SOMA__TRY(soma__csv_column_find(&text, &t->csv, t->options.text ? t->options.text : "-1", err));
    const soma__csv_column *l = &t->csv.column[label], *x = &t->csv.column[text];
    if (!x->categorical)
        return soma__fail(err, SOMA_FORMAT, "%s: column '%s' holds numbers, not texts", t->source,
                          x->name);
    for (int64_t i = 0; i < t->csv.rows; i++) {
        char number[32];
        const char *name = l->categorical && l->codes[i] >= 0 ? l->values[l->codes[i]] : number;
        const char *words = x->codes[i] >= 0 ? x->values[x->codes[i]] : "";
        if (l->categorical ? l->codes[i] < 0 : l->numbers[i] != l->numbers[i])
            return soma__fail(err, SOMA_FORMAT, "%s: data row %lld has no label", t->source,
                              (long long)i + 1);
        if (!l->categorical)
            soma__format(number, sizeof number, "%.15g", l->numbers[i]);
        SOMA__TRY(
            add_row(r, (soma_text){words, strlen(words)}, (soma_text){name, strlen(name)}, err));
    }
    return SOMA_OK;
}

static soma_status copy_options(struct soma__texts *t, const soma__text_options *o, soma_error *err)
{
    const char **const strings[] = {&t->options.text, &t->options.label, &t->options.tokenizer};
    t->options = *o;
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++)
        if (*strings[i] && !(*strings[i] = soma__arena_strdup(&t->arena, *strings[i])))
            return no_memory(t->source, err);
    return SOMA_OK;
}

static soma_status read_rows(rows *r, const char *path, const soma__text_options *o,
                             soma_error *err)
{
    size_t size;
    struct soma__texts *t = soma__calloc(1, sizeof *t);
    r->texts = t;
    if (!t)
        return no_memory(path, err);
    atomic_init(&t->references, 1);
    t->source = soma__strdup(path);
    if (!t->source)
        return no_memory(path, err);
    SOMA__TRY(copy_options(t, o, err));
    SOMA__TRY(soma__text_file(&t->bytes, &size, path, err));
    bool csv = soma__ends_with(path, ".csv") || soma__ends_with(path, ".csv.gz");
    SOMA__TRY(csv ? read_csv(r, t->bytes, size, err) : read_lines(r, t->bytes, size, err));
    if (t->rows == 0)
        return soma__fail(err, SOMA_FORMAT, "%s: has no rows", path);
    return SOMA_OK;
}

/* --- classes ------------------------------------------------------------------------------------
 */

/* Whole numbers by size, before texts by their bytes. */
static int by_label(const void *a, const void *b)
{
    const soma__string *x = *(const soma__string *const *)a, *y = *(const soma__string *const *)b;
    int64_t m, n;
    bool first = soma__parse_int(x->data, &m), second = soma__parse_int(y->data, &n);
    if (first && second && m != n)
        return m < n ? -1 : 1;
    return first != second ? (first ? -1 : 1) : strcmp(x->data, y->data);
}

#define MAX_CLASSES 100000

/* The distinct labels in order; each string's value becomes its class. */
static soma_status sort_labels(soma__string ***out, rows *r, soma_error *err)
{
    size_t count = r->labels.count;
    if (count > MAX_CLASSES)
        return soma__fail(err, SOMA_FORMAT, "%s: %zu different labels: is it the label column?",
                          r->texts->source, count);
    soma__string **order = soma__calloc(count, sizeof *order);
    *out = order;
    if (!order)
        return no_memory(r->texts->source, err);
    for (size_t i = 0; i < count; i++)
        order[i] = &r->labels.item[i];
    qsort(order, count, sizeof *order, by_label);
    for (size_t i = 0; i < count; i++)
        order[i]->value = (int64_t)i;
    return SOMA_OK;
}

/* The data set of rows: x is the number of each, y its class. Takes over the rows' texts. */
static soma_status make_rows(soma_dataset **out, rows *r, const soma__strings *classes,
                             const char *const *names, int count, soma_error *err)
{
    struct soma__texts *t = r->texts;
    soma_tensor *x, *y = NULL;
    SOMA_ASSERT(r->label || t->rows == 0, err);
    SOMA__TRY(soma_tensor_create(&x, SOMA_I64, SOMA_SHAPE(t->rows), err));
    soma_status status = soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(t->rows), err);
    for (int64_t i = 0; status == SOMA_OK && i < t->rows; i++) {
        const soma__string *label = &r->labels.item[r->label[i]];
        const soma__string *class = soma__strings_find(classes, label->data, label->size);
        if (!class)
            status = soma__fail(err, SOMA_FORMAT, "%s: label '%.40s' is not in the training file",
                                t->source, label->data);
        else
            ((int64_t *)soma_tensor_data(y))[i] = class->value;
        ((int64_t *)soma_tensor_data(x))[i] = i;
    }
    if (status == SOMA_OK)
        status = soma_dataset_from_tensors(out, x, y, err);
    soma_tensor_release(x);
    soma_tensor_release(y);
    SOMA__TRY(status);
    (*out)->texts = t;
    r->texts = NULL;
    return soma__dataset_set_classes(*out, names, count, err);
}

static soma_status open_rows(soma_data *out, rows *train, rows *test, const char *path,
                             const char *test_path, const soma__text_options *o, soma_error *err)
{
    soma__string **order = NULL;
    const char **names = NULL;
    SOMA__TRY(read_rows(train, path, o, err));
    SOMA__TRY(sort_labels(&order, train, err));
    int count = (int)train->labels.count;
    /* The names that are known are those of the labels 0, 1, 2, … */
    bool named = o->classes && o->class_count == count;
    for (int i = 0; named && i < count; i++) {
        int64_t number;
        named = soma__parse_int(order[i]->data, &number) && number == i;
    }
    names = soma__calloc((size_t)count, sizeof *names);
    soma_status status = names ? SOMA_OK : no_memory(path, err);
    for (int i = 0; names && i < count; i++)
        names[i] = named ? o->classes[i] : order[i]->data;
    if (status == SOMA_OK)
        status = make_rows(&out->train, train, &train->labels, names, count, err);
    if (status == SOMA_OK && test_path)
        status = read_rows(test, test_path, o, err);
    if (status == SOMA_OK && test_path)
        status = make_rows(&out->test, test, &train->labels, names, count, err);
    soma__free(names);
    soma__free(order);
    return status;
}

soma_status soma__texts_open(soma_data *out, const char *path, const char *test_path,
                             const soma__text_options *options, soma_error *err)
{
    rows train = {0}, test = {0};
    *out = (soma_data){0};
    soma_status status = open_rows(out, &train, &test, path, test_path, options, err);
    soma__texts_release(train.texts);
    soma__texts_release(test.texts);
    soma__free(train.label);
    soma__free(test.label);
    soma__strings_clear(&train.labels);
    soma__strings_clear(&test.labels);
    if (status != SOMA_OK)
        soma_data_clear(out);
    return status;
}

/* --- rows become samples ------------------------------------------------------------------------
 */

/* The ids of one text into a sample, cut off or filled up. */
static void fill(float *x, const soma_tokens *tokens, const soma__text_encoding *e, int64_t pad)
{
    /* NOLINTNEXTLINE(misc-redundant-expression): the limit may change, this must hold */
    _Static_assert(SOMA__MAX_TOKENS <= 1 << 24, "ids are exact as f32");
    int64_t extra = tokens->count > e->length ? tokens->count - e->length : 0;
    int64_t count = tokens->count - extra;
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)tokens->ids[i + (e->keep_end ? extra : 0)];
    for (int64_t i = count; i < e->length; i++)
        x[i] = (float)pad;
}

soma_status soma__texts_samples(soma_tensor **out, const soma_text *texts, int64_t count,
                                const soma__text_encoding *e, soma_error *err)
{
    const soma_encode_options plain = {.plain = true};
    int64_t pad = soma_tokenizer_special(e->tokenizer, SOMA_SPECIAL_PAD);
    soma_tokens tokens = {0};
    size_t capacity = 0;
    soma__encoder encoder;
    *out = NULL;
    if (pad < 0)
        return soma__fail(err, SOMA_INVALID,
                          "the tokeniser has no padding token ('<pad>') to fill short texts up");
    SOMA__TRY(soma_tensor_create(out, SOMA_F32, SOMA_SHAPE(count, e->length), err));
    float *x = soma_tensor_data(*out);
    soma_status status = SOMA_OK;
    soma__encoder_init(&encoder, e->tokenizer, true);
    for (int64_t i = 0; status == SOMA_OK && i < count; i++) {
        status = soma__encoder_run(&encoder, texts[i], &plain, &tokens, &capacity, err);
        if (status == SOMA_OK)
            fill(x + i * e->length, &tokens, e, pad);
        else
            soma__fail_within(err, status, "text %lld", (long long)i);
    }
    soma__encoder_clear(&encoder);
    soma_tokens_clear(&tokens);
    if (status != SOMA_OK) {
        soma_tensor_release(*out);
        *out = NULL;
    }
    return status;
}

/* The encoded whole of a part. */
static soma_status encode_whole(soma_dataset **out, const soma_dataset *all,
                                soma__text_encoding *encoding, soma_error *err)
{
    soma_tensor *x;
    SOMA__TRY(soma__texts_samples(&x, all->texts->row, all->texts->rows, encoding, err));
    soma_status status = soma_dataset_from_tensors(out, x, all->y, err);
    soma_tensor_release(x);
    SOMA__TRY(status);
    (*out)->text_encoding = soma__text_encoding_retain(encoding);
    return soma__dataset_set_classes(*out, (const char *const *)all->class_names, all->class_count,
                                     err);
}

soma_status soma__texts_encode_by(soma_data *data, soma__text_encoding *encoding, soma_error *err)
{
    soma_dataset **parts[] = {&data->train, &data->validation, &data->test};
    const soma_dataset *from[3] = {NULL};
    soma_dataset *to[3] = {NULL};
    soma_status status = SOMA_OK;
    int count = 0;
    for (int i = 0; status == SOMA_OK && i < 3; i++) {
        const soma_dataset *all = soma__dataset_whole(*parts[i]);
        int at = 0;
        if (!all || !all->texts)
            continue;
        while (at < count && from[at] != all)
            at++;
        if (at == count) {
            from[count] = all;
            status = encode_whole(&to[count], all, encoding, err);
            /* What is moved away from is released with its last part: it must not be taken for a
             * new one at the same address. */
            soma_dataset_retain((soma_dataset *)(uintptr_t)all);
            count++;
        }
        if (status == SOMA_OK)
            status = soma__dataset_move(parts[i], to[at], err);
    }
    for (int i = 0; i < count; i++) {
        soma_dataset_release((soma_dataset *)(uintptr_t)from[i]);
        soma_dataset_release(to[i]);
    }
    return status;
}

soma_status soma__texts_encode(soma_data *data, soma_error *err)
{
    const soma_dataset *train = data->train, *all = soma__dataset_whole(train);
    if (!train || !all->texts)
        return SOMA_OK;
    const soma__text_options *o = &all->texts->options;
    soma_text *texts = soma__calloc((size_t)train->count, sizeof *texts);
    soma_tokenizer *tokenizer;
    soma__text_encoding *encoding;
    if (!texts)
        return no_memory(all->texts->source, err);
    for (int64_t i = 0; i < train->count; i++)
        texts[i] = all->texts->row[soma__dataset_in_whole(train, i)];
    soma_status status = soma__text_tokenizer(&tokenizer, o, SOMA_TOKENIZER_WORD,
                                              1u << SOMA_SPECIAL_PAD | 1u << SOMA_SPECIAL_UNK,
                                              texts, train->count, err);
    soma__free(texts);
    SOMA__TRY(status);
    SOMA__TRY(soma__text_encoding_new(
        &encoding, tokenizer, o->length ? o->length : SOMA__TEXT_LENGTH, o->keep_end, 0, err));
    status = soma__texts_encode_by(data, encoding, err);
    soma__text_encoding_release(encoding);
    return status;
}

/* --- windows ------------------------------------------------------------------------------------
 */

/* The ids of a part, which its windows share. */
typedef struct window_part {
    soma__text_encoding *encoding;
    int32_t *ids;
    int64_t stride;
} window_part;

static void window_destroy(void *user)
{
    window_part *w = user;
    soma__text_encoding_release(w->encoding);
    soma__free(w->ids);
    soma__free(w);
}

static soma_status window_read(void *user, int64_t index, void *x, void *y, soma_error *err)
{
    const window_part *w = user;
    const int32_t *ids = w->ids + index * w->stride;
    (void)err;
    for (int64_t i = 0; i < w->encoding->length; i++) {
        ((float *)x)[i] = (float)ids[i];
        ((int64_t *)y)[i] = ids[i + 1];
    }
    return SOMA_OK;
}

/* Takes the ids over, also when it fails. */
static soma_status make_windows(soma_dataset **out, int32_t *ids, int64_t count, int64_t stride,
                                soma__text_encoding *encoding, const char *path, soma_error *err)
{
    int64_t length = encoding->length;
    window_part *w = soma__calloc(1, sizeof *w);
    if (!w || count <= length) {
        soma_status status =
            w ? soma__fail(err, SOMA_INVALID,
                           "%s: a part of %lld tokens has no window of %lld and the next one: make "
                           "the text longer, the length or the part's share smaller",
                           path, (long long)count, (long long)length)
              : no_memory(path, err);
        soma__free(ids);
        soma__free(w);
        return status;
    }
    *w = (window_part){soma__text_encoding_retain(encoding), ids, stride};
    const soma_dataset_source source = {.count = (count - length - 1) / stride + 1,
                                        .x_dtype = SOMA_F32,
                                        .x_shape = SOMA_SHAPE(length),
                                        .y_dtype = SOMA_I64,
                                        .y_shape = SOMA_SHAPE(length),
                                        .read = window_read,
                                        .destroy = window_destroy,
                                        .user = w};
    soma_status status = soma_dataset_from_callback(out, &source, err);
    if (status != SOMA_OK)
        window_destroy(w);
    else
        (*out)->text_encoding = soma__text_encoding_retain(encoding);
    return status;
}

/* How many bytes of the text are a part: a share of it, or about so many windows. */
static size_t part_bytes(double wanted, size_t size, int64_t length)
{
    double bytes = wanted < 1 ? wanted * (double)size : wanted * (double)length;
    return bytes >= (double)size ? size : (size_t)bytes;
}

static soma_status encode_part(soma_dataset **out, soma_text text, int64_t stride,
                               soma__text_encoding *encoding, const char *path, soma_error *err)
{
    soma_tokens tokens;
    SOMA__TRY(soma_tokenizer_encode(encoding->tokenizer, text,
                                    &(soma_encode_options){.plain = true}, &tokens, err));
    int32_t *ids = tokens.ids;
    tokens.ids = NULL;
    int64_t count = tokens.count;
    soma_tokens_clear(&tokens);
    return make_windows(out, ids, count, stride, encoding, path, err);
}

static soma_status cut_windows(soma_data *out, soma_text text, const soma__text_options *o,
                               double validation, double test, soma__text_encoding *encoding,
                               const char *path, soma_error *err)
{
    int64_t length = encoding ? encoding->length : o->length ? o->length : SOMA__WINDOW_LENGTH;
    int64_t stride = o->stride ? o->stride : length;
    size_t for_test = part_bytes(test, text.size, length);
    size_t for_validation = part_bytes(validation, text.size - for_test, length);
    size_t end = text.size - for_test, begin = end - for_validation;
    soma_text train = {text.data, begin};
    soma_status status = SOMA_OK;
    if (encoding) {
        soma__text_encoding_retain(encoding);
    } else {
        soma_tokenizer *tokenizer;
        SOMA__TRY(soma__text_tokenizer(&tokenizer, o, SOMA_TOKENIZER_CHAR, 1u << SOMA_SPECIAL_UNK,
                                       &train, 1, err));
        SOMA__TRY(soma__text_encoding_new(&encoding, tokenizer, length, false, 0, err));
    }
    status = encode_part(&out->train, train, stride, encoding, path, err);
    if (status == SOMA_OK && for_validation)
        status = encode_part(&out->validation, (soma_text){text.data + begin, for_validation},
                             stride, encoding, path, err);
    if (status == SOMA_OK && for_test)
        status = encode_part(&out->test, (soma_text){text.data + end, for_test}, stride, encoding,
                             path, err);
    soma__text_encoding_release(encoding);
    return status;
}

soma_status soma__windows_open(soma_data *out, const char *path, const soma__text_options *options,
                               double validation, double test, soma__text_encoding *encoding,
                               soma_error *err)
{
    void *bytes;
    size_t size;
    *out = (soma_data){0};
    SOMA__TRY(soma__text_file(&bytes, &size, path, err));
    soma_status status =
        cut_windows(out, (soma_text){bytes, size}, options, validation, test, encoding, path, err);
    soma__free(bytes);
    if (status != SOMA_OK)
        soma_data_clear(out);
    return status;
}
