/* open.c: data sets from files and by name. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/dataset.h"
#include "format/csv.h"
#include "format/embedded.h"
#include "format/idx.h"

/* --- IDX ----------------------------------------------------------------------------------------
 */

/* Images [N,H,W] get their channel; labels of any integer type become i64. */
static soma_status from_idx(soma_dataset **out, soma_tensor *images, soma_tensor *labels,
                            const char *images_name, const char *labels_name, soma_error *err)
{
    *out = NULL;
    soma_tensor *x = NULL, *y = NULL;
    soma_status status;
    if (images->shape.ndim == 3) {
        soma_shape shape = images->shape;
        shape.dim[shape.ndim++] = 1;
        status = soma_tensor_reshape(&x, images, shape, err);
    } else {
        x = soma_tensor_retain(images);
        status = SOMA_OK;
    }
    if (status == SOMA_OK && soma_dtype_is_float(labels->dtype))
        y = soma_tensor_retain(labels);
    else if (status == SOMA_OK)
        status = soma_tensor_cast(&y, labels, SOMA_I64, err);
    if (status == SOMA_OK) {
        status = soma_dataset_from_tensors(out, x, y, err);
        if (status != SOMA_OK)
            soma__fail_within(err, status, "'%s' with '%s'", images_name, labels_name);
    }
    soma_tensor_release(x);
    soma_tensor_release(y);
    return status;
}

soma_status soma_dataset_open_idx(soma_dataset **out, const char *images, const char *labels,
                                  soma_error *err)
{
    *out = NULL;
    soma_tensor *x, *y;
    SOMA__TRY(soma__idx_read(&x, images, err));
    soma_status status = soma__idx_read(&y, labels, err);
    if (status == SOMA_OK) {
        status = from_idx(out, x, y, images, labels, err);
        soma_tensor_release(y);
    }
    soma_tensor_release(x);
    return status;
}

/* --- CSV ----------------------------------------------------------------------------------------
 */

/* Targets f32 [rows,1] of a numeric column. */
static soma_status targets_of(soma_tensor **out, const soma__csv *csv, int column, soma_error *err)
{
    const soma__csv_column *target = &csv->column[column];
    if (target->categorical)
        return soma__fail(err, SOMA_INVALID, "%s: column '%s' is text, a regression needs numbers",
                          csv->source, target->name);
    SOMA__TRY(soma_tensor_create(out, SOMA_F32, SOMA_SHAPE(csv->rows, 1), err));
    for (int64_t row = 0; row < csv->rows; row++)
        soma_tensor_f32(*out)[row] = (float)target->numbers[row];
    return SOMA_OK;
}

static soma_status from_csv(soma_dataset **out, const soma__csv *csv, const char *label,
                            bool regress, soma_error *err)
{
    int column;
    SOMA__TRY(soma__csv_column_find(&column, csv, label ? label : "-1", err));
    soma__csv_dataset table = {0};
    soma_tensor *targets = NULL;
    if (regress)
        SOMA__TRY(targets_of(&targets, csv, column, err));
    soma_status status = regress ? soma__csv_features(&table, csv, column, err)
                                 : soma__csv_split(&table, csv, column, err);
    if (status == SOMA_OK) {
        status =
            soma_dataset_from_tensors(out, table.features, regress ? targets : table.labels, err);
        if (status != SOMA_OK)
            soma__fail_within(err, status, "%s", csv->source);
    }
    if (status == SOMA_OK && !regress)
        status = soma__dataset_set_classes(*out, table.class_names, (int)table.class_count, err);
    if (status != SOMA_OK) {
        soma_dataset_release(*out);
        *out = NULL;
    }
    soma_tensor_release(targets);
    soma__csv_dataset_clear(&table);
    return status;
}

soma_status soma_dataset_open_csv(soma_dataset **out, const char *path, const char *label,
                                  bool regress, soma_error *err)
{
    *out = NULL;
    soma__csv csv = {0};
    SOMA__TRY(soma__csv_read(&csv, path, NULL, err));
    soma_status status = from_csv(out, &csv, label, regress, err);
    soma__csv_clear(&csv);
    return status;
}

/* --- by name ------------------------------------------------------------------------------------
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

static soma_status open_digits(soma_data *out, const char *folder, const char *name,
                               soma_error *err)
{
    (void)folder;
    (void)name;
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
        status = from_idx(&all, x, y, images_name, labels_name, err);
        soma_tensor_release(y);
    }
    soma_tensor_release(x);
    return status == SOMA_OK ? split_off_test(out, all, err) : status;
}

static soma_status open_iris(soma_data *out, const char *folder, const char *name, soma_error *err)
{
    (void)folder;
    (void)name;
    const void *bytes;
    size_t size;
    if (!soma__embedded_find("iris.csv", &bytes, &size))
        return soma__fail(err, SOMA_NOT_FOUND, "this soma was built without the embedded iris");
    soma__csv csv = {0};
    SOMA__TRY(soma__csv_parse(&csv, bytes, size, "iris.csv", NULL, err));
    soma_dataset *all = NULL;
    soma_status status = from_csv(&all, &csv, NULL, false, err);
    soma__csv_clear(&csv);
    return status == SOMA_OK ? split_off_test(out, all, err) : status;
}

/* Looks for folder/name/file, folder/file, with and without ".gz"; *path stays NULL if there is
 * none. */
static soma_status look_in(char **path, const char *folder, const char *name, const char *file,
                           soma_error *err)
{
    *path = NULL;
    for (int variant = 0; variant < 4 && !*path; variant++) {
        soma__text text = {0};
        soma__text_add(&text, "%s/%s%s%s%s", folder, variant & 1 ? "" : name,
                       variant & 1 ? "" : "/", file, variant & 2 ? "" : ".gz");
        SOMA__TRY(soma__text_take(&text, path, err));
        if (!soma__file_exists(*path)) {
            soma__free(*path);
            *path = NULL;
        }
    }
    return SOMA_OK;
}

static soma_status find_file(char **path, const char *folder, const char *name, const char *file,
                             soma_error *err)
{
    const char *environment = getenv("SOMA_DATA");
    const char *places[] = {folder, environment, "data"};
    *path = NULL;
    for (size_t i = 0; i < 3 && !*path; i++)
        if (places[i] && *places[i])
            SOMA__TRY(look_in(path, places[i], name, file, err));
    if (*path)
        return SOMA_OK;
    return soma__fail(
        err, SOMA_NOT_FOUND,
        "data '%s': found no %s[.gz] in %s%s%s%s./data (or a '%s' folder there); give "
        "the folder with --data or SOMA_DATA",
        name, file, folder ? folder : "", folder ? ", " : "", environment ? environment : "",
        environment ? ", " : "", name);
}

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

static soma_status open_mnist(soma_data *out, const char *folder, const char *name, soma_error *err)
{
    SOMA__TRY(open_pair(&out->train, folder, name, "train-images-idx3-ubyte",
                        "train-labels-idx1-ubyte", err));
    soma_status status = open_pair(&out->test, folder, name, "t10k-images-idx3-ubyte",
                                   "t10k-labels-idx1-ubyte", err);
    if (status == SOMA_OK && strcmp(name, "fashion-mnist") == 0) {
        status = soma__dataset_set_classes(out->train, fashion_classes, 10, err);
        if (status == SOMA_OK)
            status = soma__dataset_set_classes(out->test, fashion_classes, 10, err);
    }
    return status;
}

static const struct {
    const char *name, *doc;
    soma_status (*open)(soma_data *out, const char *folder, const char *name, soma_error *err);
} sources[] = {
    {"digits", "UCI handwritten digits, 1,797 grey images 8x8, 10 classes; embedded", open_digits},
    {"iris", "150 flowers, 4 measures, 3 classes; embedded", open_iris},
    {"mnist", "60,000 + 10,000 grey images 28x28 of digits, 10 classes; IDX files", open_mnist},
    {"fashion-mnist", "60,000 + 10,000 grey images 28x28 of clothes, 10 classes; IDX files",
     open_mnist},
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

soma_status soma_data_open(soma_data *out, const char *name, const char *folder, soma_error *err)
{
    *out = (soma_data){0};
    const char *names[SOURCE_COUNT];
    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        names[i] = sources[i].name;
        if (strcmp(sources[i].name, name) == 0) {
            soma_status status = sources[i].open(out, folder, name, err);
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
