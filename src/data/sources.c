/* sources.c: the data sets that are known by name. A row of the table at the end for each. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "data/dataset.h"
#include "data/locate.h"
#include "data/open.h"
#include "data/options.h"
#include "data/speech.h"
#include "format/cifar.h"
#include "format/embedded.h"
#include "format/gzip.h"
#include "format/idx.h"

/* Ten times the largest file of the real sets. */
#define CIFAR_MAX_BYTES ((size_t)2 << 30)

typedef soma__source_request request;

/* --- embedded -----------------------------------------------------------------------------------
 */

/* The embedded sets come whole; their test part is this draw, the same for everyone and for ever.
 */
#define FIXED_SPLIT_SEED 1
#define FIXED_TEST_SHARE 0.2

static soma_status split_off_test(soma_data *out, soma_dataset *all, soma_error *err)
{
    soma_status status =
        soma_dataset_split(&out->train, &out->test, all, FIXED_TEST_SHARE, FIXED_SPLIT_SEED, err);
    soma_dataset_release(all);
    return status;
}

/* The set has 17 grey levels; like every image here it is handed out with 0 to 255. */
static void stretch(soma_tensor *images)
{
    uint8_t *pixel = images->data;
    for (int64_t i = 0; i < images->count; i++)
        pixel[i] = (uint8_t)((pixel[i] * 255 + 8) / 16);
}

static soma_status open_digits(soma_data *out, const request *r, soma_error *err)
{
    (void)r;
    static const char images_name[] = "digits-images-idx3-ubyte.gz";
    static const char labels_name[] = "digits-labels-idx1-ubyte.gz";
    const void *images, *labels;
    size_t images_size, labels_size;
    if (!soma__embedded_find(images_name, &images, &images_size) ||
        !soma__embedded_find(labels_name, &labels, &labels_size))
        return soma__fail(err, SOMA_NOT_FOUND, "this soma was built without the embedded digits");
    soma_tensor *x, *y;
    SOMA__TRY(soma__idx_parse(&x, images, images_size, images_name, err));
    soma_status status = soma__idx_parse(&y, labels, labels_size, labels_name, err);
    soma_dataset *all = NULL;
    if (status == SOMA_OK) {
        stretch(x);
        status = soma__dataset_from_idx(&all, x, y, images_name, labels_name, err);
        soma_tensor_release(y);
    }
    soma_tensor_release(x);
    return status == SOMA_OK ? split_off_test(out, all, err) : status;
}

/* name/file or file itself, in the places where data is looked for. */
static soma_status find_file(char **path, const char *folder, const char *name, const char *file,
                             soma_error *err)
{
    const char *subs[] = {name, "", NULL}, *files[] = {file, NULL};
    char wanted[128];
    SOMA__TRY(soma__data_look(path, folder, subs, files, err));
    if (*path)
        return SOMA_OK;
    snprintf(wanted, sizeof wanted, "%s[.gz]", file);
    return soma__data_missing(err, name, folder, wanted);
}

static soma_status name_classes(soma_data *data, const char *const *names, int count,
                                soma_error *err)
{
    SOMA__TRY(soma__dataset_set_classes(data->train, names, count, err));
    return soma__dataset_set_classes(data->test, names, count, err);
}

/* --- MNIST and its kin --------------------------------------------------------------------------
 */

static soma_status open_pair(soma_dataset **out, const char *folder, const char *name,
                             const char *images, const char *labels, soma_error *err)
{
    char *images_path, *labels_path;
    SOMA__TRY(find_file(&images_path, folder, name, images, err));
    soma_status status = find_file(&labels_path, folder, name, labels, err);
    if (status == SOMA_OK) {
        status = soma_dataset_open_idx(out, images_path, labels_path, err);
        soma__free(labels_path);
    }
    soma__free(images_path);
    return status;
}

static const char *const fashion_classes[] = {"T-shirt/top", "Trouser",   "Pullover", "Dress",
                                              "Coat",        "Sandal",    "Shirt",    "Sneaker",
                                              "Bag",         "Ankle boot"};

static soma_status open_mnist(soma_data *out, const request *r, soma_error *err)
{
    const char *folder = r->folder, *name = r->name;
    SOMA__TRY(open_pair(&out->train, folder, name, "train-images-idx3-ubyte",
                        "train-labels-idx1-ubyte", err));
    soma_status status = open_pair(&out->test, folder, name, "t10k-images-idx3-ubyte",
                                   "t10k-labels-idx1-ubyte", err);
    if (status == SOMA_OK && strcmp(name, "fashion-mnist") == 0)
        status = name_classes(out, fashion_classes, 10, err);
    return status;
}

/* --- CIFAR --------------------------------------------------------------------------------------
 */

#define CIFAR_BATCHES 5

/* Where one of the CIFAR sets lies and what it is made of. Each part has alternatives: the files of
 * the original set, or one file with a share of it. */
typedef struct cifar {
    const char *name;
    soma__cifar_layout layout;
    const char *const *subs;
    const char *const *train[2], *const *test[2];
    const char *classes;      /* the file with the names of the classes */
    const char *const *known; /* their names where that file is missing, or NULL */
    const char *wanted;       /* for the message when there is nothing */
} cifar;

static const char *const cifar10_subs[] = {"cifar10", "cifar-10-batches-bin",
                                           "cifar10/cifar-10-batches-bin", "", NULL};
static const char *const cifar10_train[] = {"data_batch_1.bin", "data_batch_2.bin",
                                            "data_batch_3.bin", "data_batch_4.bin",
                                            "data_batch_5.bin", NULL};
static const char *const cifar10_test[] = {"test_batch.bin", NULL};
static const char *const cifar10_train_part[] = {"train_10k.bin", NULL};
static const char *const cifar10_test_part[] = {"test_2k.bin", NULL};
static const char *const cifar100_subs[] = {"cifar100", "cifar-100-binary",
                                            "cifar100/cifar-100-binary", NULL};
static const char *const cifar100_train[] = {"train.bin", NULL};
static const char *const cifar100_test[] = {"test.bin", NULL};

static const char *const cifar10_classes[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                              "dog",      "frog",       "horse", "ship", "truck"};

static const cifar cifars[] = {
    {"cifar10",
     {1, 0, 10},
     cifar10_subs,
     {cifar10_train, cifar10_train_part},
     {cifar10_test, cifar10_test_part},
     "batches.meta.txt",
     cifar10_classes,
     "data_batch_1.bin to data_batch_5.bin and test_batch.bin (or train_10k.bin and test_2k.bin)"},
    {"cifar100",
     {2, 1, 100},
     cifar100_subs,
     {cifar100_train, NULL},
     {cifar100_test, NULL},
     "fine_label_names.txt",
     NULL,
     "train.bin and test.bin"},
    {"cifar100-coarse",
     {2, 0, 20},
     cifar100_subs,
     {cifar100_train, NULL},
     {cifar100_test, NULL},
     "coarse_label_names.txt",
     NULL,
     "train.bin and test.bin"},
};

/* The bytes of a part's files, until they are decoded. */
typedef struct cifar_files {
    char *path[CIFAR_BATCHES];
    void *bytes[CIFAR_BATCHES];
    int64_t records[CIFAR_BATCHES], total;
    int count;
} cifar_files;

static void cifar_files_free(cifar_files *f)
{
    for (int i = 0; i < f->count; i++) {
        soma__free(f->path[i]);
        soma__free(f->bytes[i]);
    }
}

static soma_status cifar_read(cifar_files *f, const cifar *kind, const char *folder,
                              const char *const *names, soma_error *err)
{
    for (; *names; names++) {
        const char *file[] = {*names, NULL};
        size_t size;
        int at = f->count;
        SOMA__TRY(soma__data_look(&f->path[at], folder, kind->subs, file, err));
        if (!f->path[at])
            return soma__data_missing(err, kind->name, folder, *names);
        f->count++;
        SOMA__TRY(soma__file_read(&f->bytes[at], &size, f->path[at], 0, err));
        if (soma__gzip_is(f->bytes[at], size)) {
            void *packed = f->bytes[at];
            f->bytes[at] = NULL;
            soma_status status = soma__gunzip_all(&f->bytes[at], &size, packed, size,
                                                  CIFAR_MAX_BYTES, f->path[at], err);
            soma__free(packed);
            SOMA__TRY(status);
        }
        SOMA__TRY(soma__cifar_count(&f->records[at], size, &kind->layout, f->path[at], err));
        f->total += f->records[at];
    }
    return SOMA_OK;
}

static soma_status cifar_decode(soma_dataset **out, const cifar_files *f, const cifar *kind,
                                soma_error *err)
{
    soma_tensor *x, *y = NULL;
    SOMA__TRY(soma_tensor_create(&x, SOMA_U8,
                                 SOMA_SHAPE(f->total, SOMA__CIFAR_SIDE, SOMA__CIFAR_SIDE, 3), err));
    soma_status status = soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(f->total), err);
    uint8_t *pixels = soma_tensor_data(x);
    int64_t *labels = status == SOMA_OK ? soma_tensor_data(y) : NULL;
    for (int i = 0; i < f->count && status == SOMA_OK; i++) {
        status = soma__cifar_decode(pixels, labels, f->bytes[i], f->records[i], &kind->layout,
                                    f->path[i], err);
        pixels += (size_t)f->records[i] * SOMA__CIFAR_PIXELS;
        labels += f->records[i];
    }
    if (status == SOMA_OK)
        status = soma_dataset_from_tensors(out, x, y, err);
    soma_tensor_release(x);
    soma_tensor_release(y);
    return status;
}

/* The first alternative whose first file is there. */
static soma_status cifar_part(soma_dataset **out, const cifar *kind, const char *folder,
                              const char *const *const *alternatives, soma_error *err)
{
    cifar_files files = {0};
    for (int i = 0; i < 2 && alternatives[i]; i++) {
        const char *first[] = {alternatives[i][0], NULL};
        char *found;
        SOMA__TRY(soma__data_look(&found, folder, kind->subs, first, err));
        if (!found)
            continue;
        soma__free(found);
        soma_status status = cifar_read(&files, kind, folder, alternatives[i], err);
        if (status == SOMA_OK)
            status = cifar_decode(out, &files, kind, err);
        cifar_files_free(&files);
        return status;
    }
    return soma__data_missing(err, kind->name, folder, kind->wanted);
}

/* One name a line. */
static soma_status read_classes(soma_data *data, const char *path, int classes, soma_error *err)
{
    const char *names[100];
    char *rest = NULL;
    void *bytes;
    size_t size;
    int count = 0;
    SOMA__TRY(soma__file_read(&bytes, &size, path, 1 << 16, err));
    for (char *line = strtok_r(bytes, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        if (count < classes)
            names[count] = line;
        count++;
    }
    soma_status status = count == classes ? name_classes(data, names, count, err)
                                          : soma__fail(err, SOMA_FORMAT,
                                                       "%s: has %d names of classes, %d are needed",
                                                       path, count, classes);
    soma__free(bytes);
    return status;
}

static soma_status cifar_classes(soma_data *data, const cifar *kind, const char *folder,
                                 soma_error *err)
{
    const char *file[] = {kind->classes, NULL};
    char *path;
    SOMA__TRY(soma__data_look(&path, folder, kind->subs, file, err));
    if (!path)
        return kind->known ? name_classes(data, kind->known, kind->layout.classes, err) : SOMA_OK;
    soma_status status = read_classes(data, path, kind->layout.classes, err);
    soma__free(path);
    return status;
}

static soma_status open_cifar(soma_data *out, const request *r, soma_error *err)
{
    const char *folder = r->folder, *name = r->name;
    const cifar *kind = cifars;
    while (strcmp(kind->name, name) != 0)
        kind++;
    SOMA__TRY(cifar_part(&out->train, kind, folder, kind->train, err));
    SOMA__TRY(cifar_part(&out->test, kind, folder, kind->test, err));
    return cifar_classes(out, kind, folder, err);
}

/* --- tables -------------------------------------------------------------------------------------
 */

#define NAMES(list_)                                                                               \
    {                                                                                              \
        (list_), (int)(sizeof(list_) / sizeof(list_)[0])                                           \
    }

/* The columns of the sets from UCI (their files have no header, or another one in the same order).
 */
static const char *const wine_quality_names[] = {"fixed acidity",
                                                 "volatile acidity",
                                                 "citric acid",
                                                 "residual sugar",
                                                 "chlorides",
                                                 "free sulfur dioxide",
                                                 "total sulfur dioxide",
                                                 "density",
                                                 "pH",
                                                 "sulphates",
                                                 "alcohol",
                                                 "quality"};
static const char *const wine_names[] = {"alcohol",
                                         "malic acid",
                                         "ash",
                                         "alcalinity of ash",
                                         "magnesium",
                                         "total phenols",
                                         "flavanoids",
                                         "nonflavanoid phenols",
                                         "proanthocyanins",
                                         "color intensity",
                                         "hue",
                                         "OD280/OD315 of diluted wines",
                                         "proline",
                                         "class"};
static const char *const german_names[] = {"checking account",
                                           "months",
                                           "credit history",
                                           "purpose",
                                           "amount",
                                           "savings",
                                           "employment since",
                                           "installment rate",
                                           "personal status",
                                           "other debtors",
                                           "residence since",
                                           "property",
                                           "age",
                                           "other installments",
                                           "housing",
                                           "credits here",
                                           "job",
                                           "dependants",
                                           "telephone",
                                           "foreign worker",
                                           "risk"};
static const char *const banknote_names[] = {"variance", "skewness", "curtosis", "entropy",
                                             "class"};
static const char *const abalone_names[] = {
    "sex",          "length",         "diameter",       "height",
    "whole weight", "shucked weight", "viscera weight", "shell weight",
    "rings"};
static const char *const house_value[] = {"median_house_value"};

/* A table that is known by name. */
typedef struct known_table {
    const char *name;
    const char *files[3]; /* alternatives */
    const char *embedded; /* or the name of an embedded file */
    soma__table_options options;
} known_table;

static const known_table tables[] = {
    {.name = "iris", .embedded = "iris.csv"},
    {.name = "wine", .files = {"wine.csv", NULL}, .options = {.names = NAMES(wine_names)}},
    {.name = "wine-quality",
     .files = {"winequality-white.csv", NULL},
     .options = {.names = NAMES(wine_quality_names), .target = SOMA__TARGET_NUMBERS}},
    {.name = "wine-quality-red",
     .files = {"winequality-red.csv", NULL},
     .options = {.names = NAMES(wine_quality_names), .target = SOMA__TARGET_NUMBERS}},
    {.name = "california-housing",
     .files = {"california-housing.csv", "housing.csv", NULL},
     .options = {.labels = NAMES(house_value),
                 .missing = SOMA__MISSING_MEDIAN,
                 .target = SOMA__TARGET_NUMBERS}},
    {.name = "german-credit",
     .files = {"german.csv", "german.data", NULL},
     .options = {.names = NAMES(german_names)}},
    {.name = "banknote",
     .files = {"banknote_authentication.csv", "data_banknote_authentication.txt", NULL},
     .options = {.names = NAMES(banknote_names)}},
    {.name = "abalone",
     .files = {"abalone.csv", "abalone.data", NULL},
     .options = {.names = NAMES(abalone_names), .target = SOMA__TARGET_NUMBERS}},
};

static soma_status open_rows(soma_dataset **out, const known_table *known, const request *r,
                             const soma__table_options *options, soma_error *err)
{
    const char *subs[] = {known->name, "tabular", "", NULL};
    if (known->embedded) {
        const void *bytes;
        size_t size;
        if (!soma__embedded_find(known->embedded, &bytes, &size))
            return soma__fail(err, SOMA_NOT_FOUND, "this soma was built without the embedded %s",
                              known->name);
        return soma__table_open(out, known->embedded, bytes, size, options, err);
    }
    char *path;
    SOMA__TRY(soma__data_look(&path, r->folder, subs, known->files, err));
    if (!path)
        return soma__data_missing(err, known->name, r->folder, known->files[0]);
    soma__table_options here = *options;
    /* The original file of UCI. */
    if (soma__ends_with(path, "german.data"))
        here.separator = ' ';
    soma_status status = soma__table_open(out, path, NULL, 0, &here, err);
    soma__free(path);
    return status;
}

static soma_status open_table(soma_data *out, const request *r, soma_error *err)
{
    const known_table *known = tables;
    soma__arena arena = {0};
    soma_dataset *all = NULL;
    while (strcmp(known->name, r->name) != 0)
        known++;
    soma__table_options options = known->options;
    if (r->target)
        options.target = *r->target;
    soma_status status = SOMA_OK;
    if (r->options)
        status = soma__data_table_options(&options, r->options, r->tree, &arena, err);
    if (r->encoding)
        status = soma__encoding_categories(&options.categorical, &arena, r->encoding, err);
    if (status == SOMA_OK)
        status = open_rows(&all, known, r, &options, err);
    soma__arena_clear(&arena);
    if (status == SOMA_OK)
        status = split_off_test(out, all, err);
    if (status == SOMA_OK && r->encoding)
        status = soma__table_encode_by(out, r->encoding, err);
    return status;
}

/* --- texts --------------------------------------------------------------------------------------
 */

/* As a recipe says it, or all defaults. */
static soma_status text_options(soma__text_options *out, const request *r, soma_error *err)
{
    return r->options ? soma__data_text_options(out, r->options, r->tree, err) : SOMA_OK;
}

static const char *const imdb_classes[] = {"negative", "positive"};

static soma_status open_imdb(soma_data *out, const request *r, soma_error *err)
{
    const char *subs[] = {r->name, "text-imdb", "", NULL};
    const char *train[] = {"imdb-train.tsv", NULL}, *test[] = {"imdb-test.tsv", NULL};
    soma__text_options options = {.classes = imdb_classes, .class_count = 2};
    char *train_path, *test_path = NULL;
    SOMA__TRY(text_options(&options, r, err));
    SOMA__TRY(soma__data_look(&train_path, r->folder, subs, train, err));
    soma_status status = soma__data_look(&test_path, r->folder, subs, test, err);
    if (status == SOMA_OK && (!train_path || !test_path))
        status = soma__data_missing(err, r->name, r->folder,
                                    "imdb-train.tsv[.gz] and imdb-test.tsv[.gz]");
    if (status == SOMA_OK)
        status = soma__texts_open(out, train_path, test_path, &options, err);
    if (status == SOMA_OK && r->text_encoding)
        status = soma__texts_encode_by(out, r->text_encoding, err);
    soma__free(train_path);
    soma__free(test_path);
    return status;
}

/* The last tenth is the test part. */
#define SHAKESPEARE_TEST 0.1

static soma_status open_shakespeare(soma_data *out, const request *r, soma_error *err)
{
    const char *subs[] = {r->name, "text-tinyshakespeare", "tinyshakespeare", NULL};
    const char *files[] = {"input.txt", NULL};
    soma__text_options options = {0};
    char *path;
    SOMA__TRY(text_options(&options, r, err));
    SOMA__TRY(soma__data_look(&path, r->folder, subs, files, err));
    if (!path)
        return soma__data_missing(err, r->name, r->folder, "shakespeare/input.txt[.gz]");
    soma_status status =
        soma__windows_open(out, path, &options, r->options ? r->options->validation : 0,
                           SHAKESPEARE_TEST, r->text_encoding, err);
    soma__free(path);
    return status;
}

static soma_status open_speech(soma_data *out, const request *r, soma_error *err)
{
    const char *subs[] = {r->name, "speech-fsdd", "", NULL};
    const char *files[] = {"fsdd-recordings.tar", NULL};
    soma__speech_options options = {0};
    char *path;
    if (r->options)
        options =
            (soma__speech_options){r->options->length, r->options->join, r->options->held_out};
    SOMA__TRY(soma__data_look(&path, r->folder, subs, files, err));
    if (!path)
        return soma__data_missing(err, r->name, r->folder, "fsdd-recordings.tar[.gz]");
    soma_status status = soma__speech_open(out, path, &options, err);
    soma__free(path);
    return status;
}

/* --- series -------------------------------------------------------------------------------------
 */

/* A series that is known by name. */
static const struct known_series {
    const char *name, *file;
    soma__series_options options;
} series[] = {
    {"daily-temperatures",
     "daily-min-temperatures.csv",
     {.label = "Temp", .length = 28, .horizon = 7, .season = 365}},
    {"air-passengers",
     "airline-passengers.csv",
     {.label = "Passengers", .length = 24, .horizon = 12, .season = 12}},
    {"sunspots",
     "monthly-sunspots.csv",
     {.label = "Sunspots", .length = 132, .horizon = 12, .season = 132}},
    {"beijing-pm25",
     "beijing-pm25.csv",
     {.label = "pm2.5", .length = 48, .horizon = 24, .season = 24, .gaps = SOMA__GAPS_PREVIOUS}},
};

static soma_status open_series(soma_data *out, const request *r, soma_error *err)
{
    const struct known_series *known = series;
    while (strcmp(known->name, r->name) != 0)
        known++;
    const char *subs[] = {known->name, "timeseries", "", NULL}, *files[] = {known->file, NULL};
    soma__series_options options = known->options;
    soma__arena arena = {0};
    char *path;
    SOMA__TRY(soma__data_look(&path, r->folder, subs, files, err));
    if (!path)
        return soma__data_missing(err, known->name, r->folder, known->file);
    soma_status status = SOMA_OK;
    if (r->options)
        status = soma__data_series_options(&options, r->options, r->tree, &arena, err);
    if (status == SOMA_OK)
        status = soma__series_open(out, path, &options, r->options ? r->options->validation : 0,
                                   FIXED_TEST_SHARE, r->series_encoding, err);
    soma__arena_clear(&arena);
    soma__free(path);
    return status;
}

/* A twentieth is the test part. */
#define TATOEBA_TEST 0.05

static soma_status open_tatoeba(soma_data *out, const request *r, soma_error *err)
{
    const char *subs[] = {r->name, "mt-tatoeba-fra", "", NULL};
    const char *files[] = {"fra-eng-30k.tsv", "fra-eng.tsv", NULL};
    soma__text_options options = {0};
    char *path;
    SOMA__TRY(text_options(&options, r, err));
    SOMA__TRY(soma__data_look(&path, r->folder, subs, files, err));
    if (!path)
        return soma__data_missing(err, r->name, r->folder, "fra-eng-30k.tsv[.gz]");
    soma_status status =
        soma__pairs_open(out, path, &options, r->options ? r->options->validation : 0, TATOEBA_TEST,
                         r->text_encoding, err);
    soma__free(path);
    return status;
}

/* --- all of them --------------------------------------------------------------------------------
 */

static const struct {
    const char *name, *doc;
    soma_status (*open)(soma_data *out, const request *request, soma_error *err);
} sources[] = {
    {"digits", "UCI handwritten digits, 1,797 grey images 8x8, 10 classes; embedded", open_digits},
    {"iris", "150 flowers, 4 measures, 3 classes; embedded", open_table},
    {"mnist", "60,000 + 10,000 grey images 28x28 of digits, 10 classes; IDX files", open_mnist},
    {"fashion-mnist", "60,000 + 10,000 grey images 28x28 of clothes, 10 classes; IDX files",
     open_mnist},
    {"cifar10", "50,000 + 10,000 colour images 32x32, 10 classes (or a part of them); binary files",
     open_cifar},
    {"cifar100", "50,000 + 10,000 colour images 32x32, 100 classes; binary files", open_cifar},
    {"cifar100-coarse", "the same with their 20 coarse classes", open_cifar},
    {"wine", "178 wines, 13 measures, 3 cultivars; CSV", open_table},
    {"wine-quality", "4,898 white wines, 11 measures, quality 3 to 9 (regression); CSV",
     open_table},
    {"wine-quality-red", "1,599 red wines, 11 measures, quality 3 to 8 (regression); CSV",
     open_table},
    {"california-housing", "20,640 districts, 9 measures, median house value (regression); CSV",
     open_table},
    {"german-credit", "1,000 loans, 20 measures and categories, 1 good or 2 bad; CSV", open_table},
    {"banknote", "1,372 banknotes, 4 measures, 0 genuine or 1 forged; CSV", open_table},
    {"abalone", "4,177 shells, 8 measures, number of rings (regression); CSV", open_table},
    {"daily-temperatures", "3,650 daily minima in Melbourne; a series, CSV", open_series},
    {"air-passengers", "144 months of airline passengers; a series, CSV", open_series},
    {"sunspots", "2,820 months of sunspots; a series, CSV", open_series},
    {"beijing-pm25", "43,824 hours of fine dust and weather in Beijing; a series, CSV",
     open_series},
    {"imdb", "film reviews, negative or positive, with a test part; texts, TSV", open_imdb},
    {"shakespeare", "Shakespeare's plays, 1.1 MB (Tiny Shakespeare), for language models; one text",
     open_shakespeare},
    {"speech-digits",
     "3,000 recordings of digits by 6 speakers (FSDD), 8 kHz; archive of WAV files", open_speech},
    {"tatoeba-fra", "30,000 English sentences with French translations (Tatoeba); lines with a tab",
     open_tatoeba},
};
#define SOURCE_COUNT (sizeof sources / sizeof sources[0])

bool soma_data_source(int index, const char **name, const char **doc)
{
    if (index < 0 || (size_t)index >= SOURCE_COUNT)
        return false;
    *name = sources[index].name;
    *doc = sources[index].doc;
    return true;
}

soma_status soma__source_open(soma_data *out, const soma__source_request *r, soma_error *err)
{
    *out = (soma_data){0};
    const char *name = r->name;
    const char *names[SOURCE_COUNT];
    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        names[i] = sources[i].name;
        if (strcmp(sources[i].name, name) == 0) {
            soma_status status = sources[i].open(out, r, err);
            if (status != SOMA_OK)
                soma_data_clear(out);
            return status;
        }
    }
    const char *near = soma__nearest(name, names, SOURCE_COUNT);
    return soma__fail(err, SOMA_NOT_FOUND,
                      "there is no data set '%s'%s%s%s; `soma data` lists them", name,
                      near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

soma_status soma_data_open(soma_data *out, const char *name, const char *folder, soma_error *err)
{
    const soma__source_request asked = {.name = name, .folder = folder};
    SOMA__TRY(soma__source_open(out, &asked, err));
    soma_status status = soma__data_encode(out, err);
    if (status != SOMA_OK)
        soma_data_clear(out);
    return status;
}
