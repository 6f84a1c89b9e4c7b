#include "data/options.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "data/dataset.h"
#include "data/folder.h"
#include "data/open.h"

static const char *const scale_names[] = {"none", "unit", "standard", "minmax", NULL};
static const char *const target_names[] = {"label", "input", NULL};
static const char *const target_scale_names[] = {"none", "standard", "minmax", NULL};
static const char *const fit_names[] = {"crop", "stretch", NULL};
static const char *const header_names[] = {"auto", "yes", "no", NULL};
static const char *const encode_names[] = {"one_hot", "index", NULL};
static const char *const missing_names[] = {"error",         "drop",      "mean", "median",
                                            "most_frequent", "indicator", NULL};

static const char *const keep_names[] = {"beginning", "end", NULL};
static const char *const gap_names[] = {"error", "drop", "previous", NULL};

#define DATA(member_) offsetof(soma__data_options, member_)
const soma__field soma__data_fields[] = {
    {.key = "source",
     .kind = SOMA__FIELD_STRING,
     .offset = DATA(source),
     .required = true,
     .doc = "a known name, or csv, folder, idx, npy, npz, text, text-windows, pairs, "
            "series"},
    {.key = "path",
     .kind = SOMA__FIELD_STRING,
     .offset = DATA(path),
     .doc = "csv, npz, text, series: the file; folder: of pictures in folders by class"},
    {.key = "test_path",
     .kind = SOMA__FIELD_STRING,
     .offset = DATA(test_path),
     .doc = "text: the file of the test part"},
    {.key = "size",
     .kind = SOMA__FIELD_INTS,
     .offset = DATA(size),
     .count = 2,
     .min = 1,
     .max = 16384,
     .doc = "folder: height and width that pictures are brought to; that of the first"},
    {.key = "channels",
     .kind = SOMA__FIELD_INT,
     .offset = DATA(channels),
     .min = 1,
     .max = 3,
     .doc = "folder: 1 grey, 3 colour; 3"},
    {.key = "fit",
     .kind = SOMA__FIELD_ENUM,
     .offset = DATA(fit),
     .choices = fit_names,
     .doc = "folder: resize the shorter side and cut out the middle, or stretch; crop"},
    {.key = "images",
     .kind = SOMA__FIELD_STRING,
     .offset = DATA(images),
     .doc = "idx, npy: samples"},
    {.key = "labels",
     .kind = SOMA__FIELD_STRING,
     .offset = DATA(labels),
     .doc = "idx, npy: labels"},
    {.key = "test_images",
     .kind = SOMA__FIELD_STRING,
     .offset = DATA(test_images),
     .doc = "idx, npy: samples of the test part"},
    {.key = "test_labels",
     .kind = SOMA__FIELD_STRING,
     .offset = DATA(test_labels),
     .doc = "idx, npy: labels of the test part"},
    {.key = "stream",
     .kind = SOMA__FIELD_BOOL,
     .offset = DATA(stream),
     .doc = "npy: read samples as they are needed, as is done from 1 GiB on; false"},
    {.key = "label",
     .kind = SOMA__FIELD_VALUE,
     .offset = DATA(label),
     .doc =
         "tables: label column, by name or number; a list for a regression of several; the last"},
    {.key = "names",
     .kind = SOMA__FIELD_VALUE,
     .offset = DATA(names),
     .doc = "tables: list of the names of all columns, for a file without a header"},
    {.key = "columns",
     .kind = SOMA__FIELD_VALUE,
     .offset = DATA(columns),
     .doc = "tables: list of the columns that are features; all but the label"},
    {.key = "ignore",
     .kind = SOMA__FIELD_VALUE,
     .offset = DATA(ignore),
     .doc = "tables: list of columns that are not features"},
    {.key = "categorical",
     .kind = SOMA__FIELD_VALUE,
     .offset = DATA(categorical),
     .doc = "tables: list of columns of numbers that are categories; texts always are"},
    {.key = "separator",
     .kind = SOMA__FIELD_STRING,
     .offset = DATA(separator),
     .doc = "tables: one character, tab or space; comma, semicolon, tab or |, as it fits"},
    {.key = "header",
     .kind = SOMA__FIELD_ENUM,
     .offset = DATA(header),
     .choices = header_names,
     .doc = "tables: is the first row names; auto"},
    {.key = "encode",
     .kind = SOMA__FIELD_ENUM,
     .offset = DATA(encode),
     .choices = encode_names,
     .doc = "tables: a category as one 0/1 feature a value, or as its number from 1; one_hot"},
    {.key = "missing",
     .kind = SOMA__FIELD_ENUM,
     .offset = DATA(missing),
     .choices = missing_names,
     .doc = "tables: what a field without a value becomes; error"},
    {.key = "scale",
     .kind = SOMA__FIELD_ENUM,
     .offset = DATA(scale),
     .choices = scale_names,
     .doc = "scaling of inputs fitted on the training part; none"},
    {.key = "target",
     .kind = SOMA__FIELD_ENUM,
     .offset = DATA(target),
     .choices = target_names,
     .doc = "regression: the label, or the input itself before transforms (autoencoder); label"},
    {.key = "target_scale",
     .kind = SOMA__FIELD_ENUM,
     .offset = DATA(target_scale),
     .choices = target_scale_names,
     .doc = "regression: scaling of targets fitted on the training part; none"},
    {.key = "validation",
     .kind = SOMA__FIELD_FLOAT,
     .offset = DATA(validation),
     .min = 0,
     .max = 1e15,
     .doc = "share (below 1) or number of samples split off the training part; 0"},
    {.key = "test",
     .kind = SOMA__FIELD_FLOAT,
     .offset = DATA(test),
     .min = 0,
     .max = 1e15,
     .doc = "files without a test part: share or number split off first; 0.2"},
    {.key = "text",
     .kind = SOMA__FIELD_STRING,
     .offset = DATA(text),
     .doc = "text: column of the texts, by name or number; the last (labels are in `label`, the "
            "first)"},
    {.key = "tokenizer",
     .kind = SOMA__FIELD_STRING,
     .offset = DATA(tokenizer),
     .doc = "texts: word, char, byte, bpe, trained on the training part, or a tokenizer.json; "
            "word, of "
            "windows char"},
    {.key = "vocabulary",
     .kind = SOMA__FIELD_INT,
     .offset = DATA(vocabulary),
     .min = 1,
     .max = 1 << 24,
     .doc = "texts: most tokens of a tokenizer that is trained; 30000"},
    {.key = "min_count",
     .kind = SOMA__FIELD_INT,
     .offset = DATA(min_count),
     .min = 1,
     .max = 1e15,
     .doc = "texts: leave out what occurs less often; 1, of bpe 2"},
    {.key = "lowercase",
     .kind = SOMA__FIELD_BOOL,
     .offset = DATA(lowercase),
     .doc = "texts: into lower case first; false"},
    {.key = "length",
     .kind = SOMA__FIELD_INT,
     .offset = DATA(length),
     .min = 1,
     .max = 1 << 24,
     .doc = "texts: tokens of a sample, cut off or filled up with <pad>; 256, of windows 64. "
            "speech-digits: cells; 8000. series: steps that a forecast looks back over; 32"},
    {.key = "target_length",
     .kind = SOMA__FIELD_INT,
     .offset = DATA(target_length),
     .min = 1,
     .max = 1 << 24,
     .doc = "pairs: tokens of the target; as many as of the source"},
    {.key = "keep",
     .kind = SOMA__FIELD_ENUM,
     .offset = DATA(keep),
     .choices = keep_names,
     .doc = "text: what is kept of a text that is too long: beginning or end; beginning"},
    {.key = "stride",
     .kind = SOMA__FIELD_INT,
     .offset = DATA(stride),
     .min = 1,
     .max = 1 << 24,
     .doc = "text-windows: tokens from one window to the next; the length; series: steps; 1"},
    {.key = "held_out",
     .kind = SOMA__FIELD_STRING,
     .offset = DATA(held_out),
     .doc = "speech-digits: the speaker whose recordings are the test part; the official one"},
    {.key = "join",
     .kind = SOMA__FIELD_INT,
     .offset = DATA(join),
     .min = 1,
     .max = 1000,
     .doc = "speech-digits: strings of up to so many digits; single ones with their class"},
    {.key = "horizon",
     .kind = SOMA__FIELD_INT,
     .offset = DATA(horizon),
     .min = 1,
     .max = 1 << 24,
     .doc = "series: steps that are forecast; 1"},
    {.key = "season",
     .kind = SOMA__FIELD_INT,
     .offset = DATA(season),
     .min = 1,
     .max = 1 << 24,
     .doc = "series: steps after which it repeats, for the naive forecast that errors are "
            "measured by; 1"},
    {.key = "cycles",
     .kind = SOMA__FIELD_VALUE,
     .offset = DATA(cycles),
     .doc = "series: list of periods in steps whose phases (sine, cosine) are features; none"},
    {.key = "gaps",
     .kind = SOMA__FIELD_ENUM,
     .offset = DATA(gaps),
     .choices = gap_names,
     .doc = "series: steps without a value: error, drop windows that touch one, or in x repeat the "
            "previous value; error"},
    {.key = "transforms",
     .kind = SOMA__FIELD_VALUE,
     .offset = DATA(transforms),
     .doc = "list of what is done to samples as they are read"},
};
const int soma__data_field_count = (int)(sizeof soma__data_fields / sizeof soma__data_fields[0]);

soma__data_options soma__data_defaults(void)
{
    return (soma__data_options){.header = -1, .encode = -1, .missing = -1, .gaps = -1, .test = 0.2};
}

/* --- tables -------------------------------------------------------------------------------------
 */

/* A list of names, or one; numbers are taken as they were written. */
static soma_status read_names(soma__names *out, const soma__value *value, const char *key,
                              const soma__tree *tree, soma__arena *arena, soma_error *err)
{
    if (!value || value->kind == SOMA__NULL)
        return SOMA_OK;
    bool list = value->kind == SOMA__LIST;
    const char **name =
        soma__arena_array(arena, (size_t)(list ? value->count : 1) + 1, sizeof *name);
    if (!name)
        return soma__fail(err, SOMA_MEMORY, "no memory for data.%s", key);
    int count = 0;
    for (const soma__value *item = list ? value->first : value; item;
         item = list ? item->next : NULL) {
        if (!item->text)
            return soma__value_fail(tree, item, err, "data.%s: expected names of columns, got %s",
                                    key, soma__value_kind_text(item->kind));
        name[count++] = item->text;
    }
    *out = (soma__names){name, count};
    return SOMA_OK;
}

static soma_status read_separator(char *out, const char *text, const soma__tree *tree,
                                  const soma__value *section, soma_error *err)
{
    if (strcmp(text, "tab") == 0)
        *out = '\t';
    else if (strcmp(text, "space") == 0)
        *out = ' ';
    else if (strlen(text) == 1)
        *out = text[0];
    else
        return soma__value_fail(tree, section, err,
                                "data.separator: expected one character, tab or space, got '%.20s'",
                                text);
    return SOMA_OK;
}

soma_status soma__data_table_options(soma__table_options *out, const soma__data_options *o,
                                     const soma__tree *tree, soma__arena *arena, soma_error *err)
{
    const struct {
        soma__names *to;
        const soma__value *from;
        const char *key;
    } lists[] = {
        {&out->labels, o->label, "label"},
        {&out->names, o->names, "names"},
        {&out->columns, o->columns, "columns"},
        {&out->ignore, o->ignore, "ignore"},
        {&out->categorical, o->categorical, "categorical"},
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        SOMA__TRY(read_names(lists[i].to, lists[i].from, lists[i].key, tree, arena, err));
    if (o->separator)
        SOMA__TRY(read_separator(&out->separator, o->separator, tree, o->label, err));
    if (o->header >= 0)
        out->header = (soma__csv_header)o->header;
    if (o->encode >= 0)
        out->index = o->encode == 1;
    if (o->missing >= 0)
        out->missing = (soma__missing)o->missing;
    return SOMA_OK;
}

/* --- texts --------------------------------------------------------------------------------------
 */

soma_status soma__data_text_options(soma__text_options *out, const soma__data_options *o,
                                    const soma__tree *tree, soma_error *err)
{
    if (o->label && !o->label->text)
        return soma__value_fail(tree, o->label, err, "data.label: expected one column, got %s",
                                soma__value_kind_text(o->label->kind));
    if (o->label)
        out->label = o->label->text;
    if (o->text)
        out->text = o->text;
    if (o->tokenizer)
        out->tokenizer = o->tokenizer;
    if (o->vocabulary)
        out->vocabulary = o->vocabulary;
    if (o->length)
        out->length = o->length;
    out->min_count = o->min_count;
    out->lowercase = out->lowercase || o->lowercase;
    out->stride = o->stride;
    if (o->target_length)
        out->target_length = o->target_length;
    out->keep_end = o->keep == 1;
    return SOMA_OK;
}

/* --- series -------------------------------------------------------------------------------------
 */

static soma_status read_cycles(soma__series_options *out, const soma__value *list,
                               const soma__tree *tree, soma_error *err)
{
    if (!list || list->kind == SOMA__NULL)
        return SOMA_OK;
    if (list->kind != SOMA__LIST || list->count > SOMA__SERIES_CYCLES)
        return soma__value_fail(tree, list, err,
                                "data.cycles: expected a list of at most %d numbers",
                                SOMA__SERIES_CYCLES);
    out->cycles = 0;
    for (const soma__value *item = list->first; item; item = item->next) {
        if ((item->kind != SOMA__INT && item->kind != SOMA__FLOAT) || !(item->number > 1) ||
            item->number > 1e15)
            return soma__value_fail(tree, item, err,
                                    "data.cycles: a period is a number of steps above 1");
        out->cycle[out->cycles++] = item->number;
    }
    return SOMA_OK;
}

soma_status soma__data_series_options(soma__series_options *out, const soma__data_options *o,
                                      const soma__tree *tree, soma__arena *arena, soma_error *err)
{
    soma__names label = {0};
    SOMA__TRY(read_names(&label, o->label, "label", tree, arena, err));
    if (label.count > 1)
        return soma__value_fail(tree, o->label, err,
                                "data.label: a series forecasts one column, not %d", label.count);
    if (label.count)
        out->label = label.name[0];
    SOMA__TRY(read_names(&out->columns, o->columns, "columns", tree, arena, err));
    SOMA__TRY(read_names(&out->names, o->names, "names", tree, arena, err));
    SOMA__TRY(read_cycles(out, o->cycles, tree, err));
    if (o->separator)
        SOMA__TRY(read_separator(&out->separator, o->separator, tree, o->label, err));
    if (o->header >= 0)
        out->header = (soma__csv_header)o->header;
    out->length = o->length ? o->length : out->length;
    out->horizon = o->horizon ? o->horizon : out->horizon;
    out->season = o->season ? o->season : out->season;
    out->stride = o->stride ? o->stride : out->stride;
    out->gaps = o->gaps >= 0 ? (soma__gaps)o->gaps : out->gaps;
    return SOMA_OK;
}

soma_status soma__data_encode(soma_data *data, soma_error *err)
{
    SOMA__TRY(soma__table_encode(data, err));
    return soma__texts_encode(data, err);
}

/* --- opening ------------------------------------------------------------------------------------
 */

static soma_status needs(const soma__data_options *o, const soma__tree *tree,
                         const soma__value *section, const char *key, soma_error *err)
{
    return soma__value_fail(tree, section, err, "data: source %s needs '%s'", o->source, key);
}

static soma_status open_csv(soma_data *out, const soma__data_options *o, const soma__target *target,
                            const soma__tree *tree, const soma__value *section, soma_error *err)
{
    soma__arena arena = {0};
    soma__table_options options = {.target = target ? *target : SOMA__TARGET_CLASSES};
    if (!o->path)
        return needs(o, tree, section, "path", err);
    soma_status status = soma__data_table_options(&options, o, tree, &arena, err);
    if (status == SOMA_OK)
        status = soma__table_open(&out->train, o->path, NULL, 0, &options, err);
    soma__arena_clear(&arena);
    return status;
}

static soma_status open_pair(soma_dataset **out, const soma__data_options *o, const char *x,
                             const char *y, soma_error *err)
{
    return strcmp(o->source, "npy") == 0 ? soma__dataset_open_npy(out, x, y, o->stream, err)
                                         : soma_dataset_open_idx(out, x, y, err);
}

static soma_status open_pairs(soma_data *out, const soma__data_options *o, const soma__tree *tree,
                              const soma__value *section, soma_error *err)
{
    if (!o->images || !o->labels)
        return needs(o, tree, section, o->images ? "labels" : "images", err);
    SOMA__TRY(open_pair(&out->train, o, o->images, o->labels, err));
    if (o->test_images && o->test_labels)
        SOMA__TRY(open_pair(&out->test, o, o->test_images, o->test_labels, err));
    return SOMA_OK;
}

static soma_status open_folder(soma_data *out, const soma__data_options *o, const soma__tree *tree,
                               const soma__value *section, soma_error *err)
{
    const soma__folder_options options = {
        .size = {o->size[0], o->size[1]}, .channels = (int)o->channels, .fit = (soma__fit)o->fit};
    if (!o->path)
        return needs(o, tree, section, "path", err);
    if (o->channels == 2)
        return soma__value_fail(tree, section, err, "data.channels: pictures have 1 or 3, not 2");
    return soma__folder_open(out, o->path, &options, err);
}

static soma_status open_texts(soma_data *out, const soma__data_options *o, const soma__tree *tree,
                              const soma__value *section, soma_error *err)
{
    soma__text_options options = {0};
    if (!o->path)
        return needs(o, tree, section, "path", err);
    SOMA__TRY(soma__data_text_options(&options, o, tree, err));
    if (strcmp(o->source, "text") == 0)
        return soma__texts_open(out, o->path, o->test_path, &options, err);
    return (strcmp(o->source, "pairs") == 0 ? soma__pairs_open : soma__windows_open)(
        out, o->path, &options, o->validation, o->test, NULL, err);
}

static soma_status open_series(soma_data *out, const soma__data_options *o, const soma__tree *tree,
                               const soma__value *section, soma_error *err)
{
    soma__arena arena = {0};
    soma__series_options options = {0};
    if (!o->path)
        return needs(o, tree, section, "path", err);
    soma_status status = soma__data_series_options(&options, o, tree, &arena, err);
    if (status == SOMA_OK)
        status = soma__series_open(out, o->path, &options, o->validation, o->test, NULL, err);
    soma__arena_clear(&arena);
    return status;
}

/* Files without a test part of their own give one by a fixed draw. */
static soma_status split_test(soma_data *data, double share, uint64_t seed, const soma__tree *tree,
                              soma_error *err)
{
    if (share <= 0 || data->test)
        return SOMA_OK;
    soma_dataset *all = data->train;
    soma_status status = soma_dataset_split(&data->train, &data->test, all, share, seed, err);
    soma_dataset_release(all);
    return status == SOMA_OK ? status
                             : soma__fail_within(err, status, "%s: data.test", tree->source);
}

soma_status soma__data_open(soma_data *out, const soma__data_options *o, const soma__target *target,
                            const soma__tree *tree, const soma__value *section, const char *folder,
                            uint64_t seed, soma_error *err)
{
    *out = (soma_data){0};
    const soma__source_request request = {
        .name = o->source, .folder = folder, .options = o, .tree = tree, .target = target};
    soma_status status;
    if (strcmp(o->source, "csv") == 0)
        status = open_csv(out, o, target, tree, section, err);
    else if (strcmp(o->source, "idx") == 0 || strcmp(o->source, "npy") == 0)
        status = open_pairs(out, o, tree, section, err);
    else if (strcmp(o->source, "npz") == 0)
        status =
            o->path ? soma__data_open_npz(out, o->path, err) : needs(o, tree, section, "path", err);
    else if (strcmp(o->source, "folder") == 0)
        status = open_folder(out, o, tree, section, err);
    else if (strcmp(o->source, "text") == 0)
        status = open_texts(out, o, tree, section, err);
    /* Their parts are not drawn by the seed. */
    else if (strcmp(o->source, "text-windows") == 0 || strcmp(o->source, "pairs") == 0)
        return open_texts(out, o, tree, section, err);
    else if (strcmp(o->source, "series") == 0)
        return open_series(out, o, tree, section, err);
    else
        return soma__source_open(out, &request, err);
    if (status == SOMA_OK)
        status = split_test(out, o->test, seed, tree, err);
    if (status != SOMA_OK)
        soma_data_clear(out);
    return status;
}
