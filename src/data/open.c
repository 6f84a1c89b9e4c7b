/* open.c: data sets from files that the user names. */
#include "data/open.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "data/dataset.h"
#include "data/table.h"
#include "format/idx.h"
#include "format/npy.h"

/* --- IDX ----------------------------------------------------------------------------------------
 */

soma_status soma__dataset_from_idx(soma_dataset **out, soma_tensor *images, soma_tensor *labels,
                                   const char *images_name, const char *labels_name,
                                   soma_error *err)
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
        status = soma__dataset_from_idx(out, x, y, images, labels, err);
        soma_tensor_release(y);
    }
    soma_tensor_release(x);
    return status;
}

/* --- NumPy --------------------------------------------------------------------------------------
 */

/* A big file of samples is read as they are needed: by pread, so that threads do not disturb each
 * other. */
typedef struct records {
    int file;
    char *path;
    soma__npy_header header;
    int64_t values;            /* of a sample */
    size_t bytes, label_bytes; /* of a sample in the file, of a label */
    soma_tensor *labels;
} records;

static void records_destroy(void *user)
{
    records *r = user;
    if (!r)
        return;
    if (r->file >= 0)
        close(r->file);
    soma_tensor_release(r->labels);
    soma__free(r->path);
    soma__free(r);
}

static soma_status read_at(const records *r, void *data, size_t size, size_t offset,
                           soma_error *err)
{
    while (size) {
        ssize_t got = pread(r->file, data, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return soma__fail(err, got ? SOMA_IO : SOMA_FORMAT, "%s: %s at byte %zu", r->path,
                              got ? "reading failed" : "it ends", offset);
        data = (char *)data + got;
        size -= (size_t)got;
        offset += (size_t)got;
    }
    return SOMA_OK;
}

static soma_status read_record(void *user, int64_t index, void *x, void *y, soma_error *err)
{
    const records *r = user;
    const soma__npy_header *h = &r->header;
    size_t offset = h->offset + (size_t)index * r->bytes, width = soma_dtype_size(h->dtype);
    memcpy(y, (const char *)r->labels->data + (size_t)index * r->label_bytes, r->label_bytes);
    if (width == (size_t)h->size && !h->swap)
        return read_at(r, x, r->bytes, offset, err);
    void *raw = soma__malloc(r->bytes);
    soma_status status = raw ? read_at(r, raw, r->bytes, offset, err)
                             : soma__fail(err, SOMA_MEMORY, "%s: no memory for a sample", r->path);
    if (status == SOMA_OK)
        status = soma__npy_convert(x, raw, r->values, h, r->path, err);
    soma__free(raw);
    return status;
}

/* The header of a file, and its size. */
static soma_status open_records(records *r, const char *path, soma_error *err)
{
    char head[65536];
    struct stat info;
    int64_t count;
    size_t all;
    r->path = soma__strdup(path);
    r->file = open(path, O_RDONLY | O_CLOEXEC);
    if (!r->path || r->file < 0 || fstat(r->file, &info) != 0)
        return soma__fail(err, r->path ? SOMA_IO : SOMA_MEMORY, "cannot open '%s'", path);
    ssize_t got = pread(r->file, head, sizeof head, 0);
    if (got < 0)
        return soma__fail(err, SOMA_IO, "cannot read '%s'", path);
    SOMA__TRY(soma__npy_read_header(&r->header, head, (size_t)got, path, err));
    if (r->header.fortran || r->header.kind == 'b' ||
        (r->header.kind == 'u' && r->header.size == 8))
        return soma__fail(err, SOMA_UNSUPPORTED,
                          "%s: only C-ordered numbers are streamed; set `stream: false`", path);
    if (!soma__shape_count(&r->header.shape, &count) ||
        !soma__mul((size_t)count, (size_t)r->header.size, &all) || r->header.shape.ndim < 1 ||
        r->header.shape.dim[0] < 1 || all != (size_t)info.st_size - r->header.offset)
        return soma__fail(err, SOMA_FORMAT, "%s: its size is not that of the array in its header",
                          path);
    r->values = count / r->header.shape.dim[0];
    r->bytes = (size_t)r->values * (size_t)r->header.size;
    return SOMA_OK;
}

/* Labels of any whole type become i64; other whole numbers of x become f32, bytes stay. */
static soma_status labels_of(soma_tensor **out, soma_tensor *y, soma_error *err)
{
    if (soma_dtype_is_float(y->dtype)) {
        return soma_tensor_cast(out, y, SOMA_F32, err);
    }
    SOMA__TRY(soma_tensor_cast(out, y, SOMA_I64, err));
    /* Keras keeps them as a column. */
    if ((*out)->shape.ndim == 2 && (*out)->shape.dim[1] == 1) {
        soma_tensor *flat;
        soma_status status =
            soma_tensor_reshape(&flat, *out, SOMA_SHAPE((*out)->shape.dim[0]), err);
        soma_tensor_release(*out);
        *out = flat;
        return status;
    }
    return SOMA_OK;
}

static soma_status stream_npy(soma_dataset **out, const char *x_path, soma_tensor *labels,
                              soma_error *err)
{
    records *r = soma__calloc(1, sizeof *r);
    if (!r)
        return soma__fail(err, SOMA_MEMORY, "no memory for '%s'", x_path);
    r->file = -1;
    soma_status status = open_records(r, x_path, err);
    if (status == SOMA_OK && labels->shape.dim[0] != r->header.shape.dim[0])
        status =
            soma__fail(err, SOMA_SHAPE, "'%s' has %lld samples, but there are %lld labels", x_path,
                       (long long)r->header.shape.dim[0], (long long)labels->shape.dim[0]);
    if (status != SOMA_OK) {
        records_destroy(r);
        return status;
    }
    soma_dataset_source source = {.count = r->header.shape.dim[0],
                                  .x_dtype = r->header.dtype,
                                  .y_dtype = labels->dtype,
                                  .read = read_record,
                                  .destroy = records_destroy,
                                  .user = r};
    source.x_shape.ndim = r->header.shape.ndim - 1;
    memcpy(source.x_shape.dim, r->header.shape.dim + 1,
           (size_t)source.x_shape.ndim * sizeof source.x_shape.dim[0]);
    source.y_shape.ndim = labels->shape.ndim - 1;
    memcpy(source.y_shape.dim, labels->shape.dim + 1,
           (size_t)source.y_shape.ndim * sizeof source.y_shape.dim[0]);
    r->labels = soma_tensor_retain(labels);
    r->label_bytes = labels->bytes / (size_t)labels->shape.dim[0];
    return soma__dataset_from_source(out, &source, labels, NULL, err);
}

static soma_status from_arrays(soma_dataset **out, soma_tensor *x, soma_tensor *y, const char *name,
                               soma_error *err)
{
    soma_tensor *labels, *samples;
    SOMA__TRY(labels_of(&labels, y, err));
    bool plain = x->dtype == SOMA_U8 || x->dtype == SOMA_F32;
    soma_status status = plain ? SOMA_OK : soma_tensor_cast(&samples, x, SOMA_F32, err);
    if (plain)
        samples = soma_tensor_retain(x);
    if (status == SOMA_OK) {
        status = soma__dataset_from_idx(out, samples, labels, name, "its labels", err);
        soma_tensor_release(samples);
    }
    soma_tensor_release(labels);
    return status;
}

/* More than this is not taken into memory unless it is told to. */
#define STREAM_BYTES ((int64_t)1 << 30)

soma_status soma__dataset_open_npy(soma_dataset **out, const char *x_path, const char *y_path,
                                   bool stream, soma_error *err)
{
    soma_tensor *x = NULL, *y, *labels = NULL;
    struct stat info;
    *out = NULL;
    SOMA__TRY(soma__npy_read(&y, y_path, err));
    soma_status status = SOMA_OK;
    if (y->shape.ndim < 1 || y->shape.dim[0] < 1)
        status = soma__fail(err, SOMA_SHAPE, "'%s' has no labels", y_path);
    if (status == SOMA_OK &&
        (stream || (stat(x_path, &info) == 0 && (int64_t)info.st_size > STREAM_BYTES))) {
        status = labels_of(&labels, y, err);
        if (status == SOMA_OK)
            status = stream_npy(out, x_path, labels, err);
        soma_tensor_release(labels);
    } else if (status == SOMA_OK) {
        status = soma__npy_read(&x, x_path, err);
        if (status == SOMA_OK)
            status = from_arrays(out, x, y, x_path, err);
        soma_tensor_release(x);
    }
    soma_tensor_release(y);
    return status;
}

/* The first of the keys that is there; *out NULL: none. */
static soma_status first_key(soma_tensor **out, const void *bytes, size_t size,
                             const char *const *keys, const char *path, soma_error *err)
{
    *out = NULL;
    for (; *keys && !*out; keys++)
        SOMA__TRY(soma__npz_parse(out, bytes, size, *keys, path, err));
    return SOMA_OK;
}

static soma_status npz_part(soma_dataset **out, const void *bytes, size_t size,
                            const char *const *x_keys, const char *const *y_keys, const char *path,
                            soma_error *err)
{
    soma_tensor *x, *y = NULL;
    SOMA__TRY(first_key(&x, bytes, size, x_keys, path, err));
    if (!x)
        return SOMA_OK;
    soma_status status = first_key(&y, bytes, size, y_keys, path, err);
    if (status == SOMA_OK && !y)
        status = soma__fail(err, SOMA_NOT_FOUND, "%s: has '%s' but no labels '%s'", path, x_keys[0],
                            y_keys[0]);
    if (status == SOMA_OK && (x->shape.ndim < 1 || y->shape.ndim < 1))
        status = soma__fail(err, SOMA_SHAPE, "%s: samples and labels are arrays", path);
    if (status == SOMA_OK)
        status = from_arrays(out, x, y, path, err);
    soma_tensor_release(x);
    soma_tensor_release(y);
    return status;
}

soma_status soma__data_open_npz(soma_data *out, const char *path, soma_error *err)
{
    static const char *const train_x[] = {"x_train", "x", "X", "images", "data", NULL};
    static const char *const train_y[] = {"y_train", "y", "Y", "labels", "target", NULL};
    static const char *const valid_x[] = {"x_val", "x_validation", NULL};
    static const char *const valid_y[] = {"y_val", "y_validation", NULL};
    static const char *const test_x[] = {"x_test", NULL}, *const test_y[] = {"y_test", NULL};
    void *bytes;
    size_t size;
    *out = (soma_data){0};
    SOMA__TRY(soma__file_read(&bytes, &size, path, 0, err));
    soma_status status = npz_part(&out->train, bytes, size, train_x, train_y, path, err);
    if (status == SOMA_OK && !out->train)
        status = soma__fail(err, SOMA_NOT_FOUND,
                            "%s: has none of the arrays x_train, x, X, images, data", path);
    if (status == SOMA_OK)
        status = npz_part(&out->validation, bytes, size, valid_x, valid_y, path, err);
    if (status == SOMA_OK)
        status = npz_part(&out->test, bytes, size, test_x, test_y, path, err);
    soma__free(bytes);
    if (status != SOMA_OK)
        soma_data_clear(out);
    return status;
}

/* --- CSV ----------------------------------------------------------------------------------------
 */

soma_status soma_dataset_open_csv(soma_dataset **out, const char *path, const char *label,
                                  bool regress, soma_error *err)
{
    const soma__table_options options = {.labels = {&label, label != NULL},
                                         .target =
                                             regress ? SOMA__TARGET_NUMBERS : SOMA__TARGET_CLASSES};
    soma_data data = {0};
    *out = NULL;
    SOMA__TRY(soma__table_open(&data.train, path, NULL, 0, &options, err));
    soma_status status = soma__table_encode(&data, err);
    if (status == SOMA_OK)
        *out = soma_dataset_retain(data.train);
    soma_data_clear(&data);
    return status;
}
