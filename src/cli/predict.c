/* predict.c: `soma predict`: pictures, tables and IDX images through a model. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "data/series.h"
#include "data/table.h"
#include "data/transform.h"
#include "format/csv.h"
#include "format/idx.h"

#define DEFAULT_TOP 3

/* --- from files to batches [N, input…] ----------------------------------------------------------
 */

static void invert(soma_tensor *pixels)
{
    uint8_t *p = soma_tensor_data(pixels);
    for (int64_t i = 0; i < soma_tensor_count(pixels); i++)
        p[i] = (uint8_t)(255 - p[i]);
}

/* Takes `t` and hands it out in another shape. */
static soma_status reshaped(soma_tensor **out, soma_tensor *t, soma_shape shape, soma_error *err)
{
    soma_status status = soma_tensor_reshape(out, t, shape, err);
    soma_tensor_release(t);
    return status;
}

static soma_status read_picture(soma_tensor **out, const arguments *args, const soma_model *model,
                                const soma_shape *input, const char *path, soma_error *err)
{
    int64_t channels = input->ndim == 3 ? input->dim[2] : 1;
    if ((input->ndim != 2 && input->ndim != 3) || (channels != 1 && channels != 3)) {
        char text[SOMA_SHAPE_TEXT_SIZE];
        return soma__fail(err, SOMA_SHAPE,
                          "'%s' is a picture, but the model takes samples of shape %s", path,
                          soma_shape_text(input, text, sizeof text));
    }
    soma_tensor *picture, *resized;
    SOMA__TRY(soma__picture_read(&picture, path, (int)channels, err));
    if (args->invert)
        invert(picture);
    soma_status status = soma__picture_fit(&resized, picture, input->dim[0], input->dim[1],
                                           cli_picture_fit(model), err);
    soma_tensor_release(picture);
    SOMA__TRY(status);
    soma_shape shape = {.ndim = input->ndim + 1, .dim = {1}};
    memcpy(shape.dim + 1, input->dim, (size_t)input->ndim * sizeof shape.dim[0]);
    return reshaped(out, resized, shape, err);
}

/* The samples as the model's transforms make them; takes *x. */
static soma_status transformed(soma_tensor **x, const char *transforms, const char *file,
                               soma_error *err)
{
    soma_tensor *plain = *x, *y;
    soma_dataset *dataset = NULL;
    int64_t n = soma_tensor_shape(plain)->dim[0];
    *x = NULL;
    soma_status status = soma_tensor_create(&y, SOMA_F32, SOMA_SHAPE(n), err);
    if (status == SOMA_OK) {
        soma_tensor_fill(y, 0);
        status = soma_dataset_from_tensors(&dataset, plain, y, err);
    }
    soma_tensor_release(plain);
    if (status == SOMA_OK)
        status = soma__transforms_over(&dataset, transforms, file, err);
    if (status == SOMA_OK)
        status = soma_tensor_create(x, soma_dataset_x_dtype(dataset),
                                    soma__shape_batched(soma_dataset_x_shape(dataset), n), err);
    size_t each = status == SOMA_OK ? soma_tensor_bytes(*x) / (size_t)n : 0;
    for (int64_t i = 0; i < n && status == SOMA_OK; i++) {
        float ignored;
        status = soma_dataset_read(dataset, &i, 1, (char *)soma_tensor_data(*x) + (size_t)i * each,
                                   &ignored, err);
    }
    if (status != SOMA_OK) {
        soma_tensor_release(*x);
        *x = NULL;
    }
    soma_dataset_release(dataset);
    soma_tensor_release(y);
    return status;
}

/* The first `limit` samples (0: all). */
static soma_status limited(soma_tensor **out, soma_tensor *t, int64_t limit, soma_error *err)
{
    soma_shape shape = *soma_tensor_shape(t);
    if (!limit || shape.dim[0] <= limit) {
        *out = t;
        return SOMA_OK;
    }
    shape.dim[0] = limit;
    soma_status status =
        soma_tensor_from(out, soma_tensor_dtype(t), shape, soma_tensor_const_data(t), err);
    soma_tensor_release(t);
    return status;
}

static soma_status read_idx(soma_tensor **out, const arguments *args, const soma_shape *input,
                            const char *path, soma_error *err)
{
    soma_tensor *images;
    SOMA__TRY(soma__idx_read(&images, path, err));
    soma_shape shape = *soma_tensor_shape(images);
    if (shape.ndim < 1 || shape.dim[0] < 1) {
        soma_tensor_release(images);
        return soma__fail(err, SOMA_FORMAT, "'%s' holds no samples", path);
    }
    if (args->invert && soma_tensor_dtype(images) != SOMA_U8) {
        soma_tensor_release(images);
        return soma__fail(err, SOMA_DTYPE, "--invert needs pixels of 8 bits, '%s' has others",
                          path);
    }
    SOMA__TRY(limited(&images, images, args->limit, err));
    if (args->invert)
        invert(images);
    shape = *soma_tensor_shape(images);
    if (shape.ndim == 3 && input->ndim == 3) {
        shape.dim[shape.ndim++] = 1;
        return reshaped(out, images, shape, err);
    }
    *out = images;
    return SOMA_OK;
}

/* A model that was not made by a recipe for tables: all columns are numbers and features. */
static soma_status plain_table(soma_tensor **out, const soma_shape *input, const char *path,
                               soma_error *err)
{
    soma__csv csv = {0};
    SOMA__TRY(soma__csv_read(&csv, path, NULL, err));
    soma_status status = soma_tensor_create(out, SOMA_F32, SOMA_SHAPE(csv.rows, csv.columns), err);
    if (status == SOMA_OK && (input->ndim != 1 || csv.columns != input->dim[0])) {
        char text[SOMA_SHAPE_TEXT_SIZE];
        status =
            soma__fail(err, SOMA_SHAPE, "'%s' has %d columns, the model takes samples of shape %s",
                       path, csv.columns, soma_shape_text(input, text, sizeof text));
    }
    for (int k = 0; k < csv.columns && status == SOMA_OK; k++) {
        const soma__csv_column *column = &csv.column[k];
        if (column->categorical)
            status = soma__fail(err, SOMA_INVALID, "'%s': column '%s' is text", path, column->name);
        for (int64_t i = 0; i < csv.rows && status == SOMA_OK; i++) {
            soma_tensor_f32(*out)[i * csv.columns + k] = (float)column->numbers[i];
            if (isnan(column->numbers[i]))
                status = soma__fail(err, SOMA_INVALID, "'%s': data row %lld has no value for '%s'",
                                    path, (long long)i + 1, column->name);
        }
    }
    if (status != SOMA_OK) {
        soma_tensor_release(*out);
        *out = NULL;
    }
    soma__csv_clear(&csv);
    return status;
}

/* What comes after the end of a series. */
static soma_status read_series(soma_tensor **out, const char *meta, const char *file,
                               const char *path, soma_error *err)
{
    soma__series_encoding *encoding;
    SOMA__TRY(soma__series_encoding_parse(&encoding, meta, file, err));
    soma_status status = soma__series_last(out, path, encoding, err);
    soma__series_encoding_release(encoding);
    return status;
}

static soma_status read_table(soma_tensor **out, const arguments *args, const soma_model *model,
                              const char *path, soma_error *err)
{
    soma__encoding *encoding;
    soma_tensor *x;
    const char *series = soma_model_meta(model, SOMA__SERIES_META);
    if (args->invert)
        return soma__fail(err, SOMA_INVALID, "--invert is for pictures, '%s' is a table", path);
    if (series)
        return read_series(out, series, args->positional[0], path, err);
    SOMA__TRY(cli_encoding(&encoding, model, args->positional[0], err));
    soma_status status = encoding
                             ? soma__encoding_read(&x, encoding, path, err)
                             : plain_table(&x, &soma_model_get_options(model)->input, path, err);
    soma__encoding_release(encoding);
    return status == SOMA_OK ? limited(out, x, args->limit, err) : status;
}

static soma_status read_samples(soma_tensor **out, const arguments *args, const soma_model *model,
                                const char *path, soma_error *err)
{
    const char *transforms = soma_model_meta(model, SOMA__TRANSFORMS_META);
    const char *file = args->positional[0];
    soma_shape input = soma_model_get_options(model)->input;
    if (transforms)
        SOMA__TRY(soma__transforms_input(&input, transforms, file, err));
    if (soma__ends_with(path, ".csv") || soma__ends_with(path, ".csv.gz"))
        SOMA__TRY(read_table(out, args, model, path, err));
    else if (soma__picture_name(path))
        SOMA__TRY(read_picture(out, args, model, &input, path, err));
    else
        SOMA__TRY(read_idx(out, args, &input, path, err));
    return transforms ? transformed(out, transforms, file, err) : SOMA_OK;
}

/* --- from outputs to answers --------------------------------------------------------------------
 */

/* softmax(logits), in place; the largest is taken off first, so that nothing overflows. */
static void softmax(double *value, int count)
{
    double top = value[0], sum = 0;
    for (int i = 1; i < count; i++)
        top = fmax(top, value[i]);
    for (int i = 0; i < count; i++)
        sum += value[i] = exp(value[i] - top);
    for (int i = 0; i < count; i++)
        value[i] /= sum;
}

static int largest(const double *value, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++)
        if (value[i] > value[best])
            best = i;
    return best;
}

/* The answer for one sample. `value` holds its raw outputs and is used up. */
static void answer_text(const soma_model *model, const char *name, double *value, int count,
                        int top)
{
    char percent[32];
    soma_task task = soma_model_get_options(model)->task;
    printf("%s", name);
    for (int i = 0; task == SOMA_TASK_REGRESS && i < count; i++)
        printf("  %.6g", value[i]);
    for (int i = 0; task == SOMA_TASK_BINARY && i < count; i++)
        printf("  %s", cli_percent(1 / (1 + exp(-value[i])), percent, sizeof percent));
    if (task == SOMA_TASK_CLASSIFY) {
        softmax(value, count);
        for (int i = 0; i < top && i < count; i++) {
            int best = largest(value, count);
            printf("%s %s %s", i ? "," : " ", soma_model_class(model, best),
                   cli_percent(value[best], percent, sizeof percent));
            value[best] = -1;
        }
    }
    printf("\n");
}

static void answer_json(const soma_model *model, const char *file, int64_t index, double *value,
                        int count, int top)
{
    soma_task task = soma_model_get_options(model)->task;
    cli_json json, list = {0};
    cli_json_begin(&json, "sample");
    cli_json_string(&json, "file", file);
    cli_json_int(&json, "index", index);
    soma__text_add(&list.text, "[");
    if (task == SOMA_TASK_CLASSIFY)
        softmax(value, count);
    else
        top = count;
    for (int i = 0; i < top && i < count; i++) {
        soma__text_add(&list.text, i ? "," : "");
        if (task == SOMA_TASK_CLASSIFY) {
            int best = largest(value, count);
            soma__text_add(&list.text, "{");
            list.first = true;
            cli_json_string(&list, "class", soma_model_class(model, best));
            cli_json_number(&list, "probability", value[best]);
            soma__text_add(&list.text, "}");
            value[best] = -1;
        } else {
            double v = task == SOMA_TASK_BINARY ? 1 / (1 + exp(-value[i])) : value[i];
            soma__text_add(&list.text, "%.9g", v);
        }
    }
    soma__text_add(&list.text, "]");
    if (!list.text.failed)
        cli_json_raw(&json, task == SOMA_TASK_CLASSIFY ? "classes" : "values", list.text.data);
    soma__text_free(&list.text);
    cli_json_end(&json);
}

static soma_status answer(const arguments *args, const soma_model *model, const char *file,
                          const soma_tensor *out, soma_error *err)
{
    int64_t samples = soma_tensor_shape(out)->dim[0], each = soma_tensor_count(out) / samples;
    int top = (int)(args->top ? args->top : DEFAULT_TOP);
    double *value = soma__calloc((size_t)each, sizeof *value);
    if (!value)
        return soma__fail(err, SOMA_MEMORY, "no memory for the answers");
    for (int64_t s = 0; s < samples; s++) {
        char name[512];
        for (int64_t i = 0; i < each; i++)
            value[i] = soma_tensor_get(out, s * each + i);
        snprintf(name, sizeof name, samples > 1 ? "%.480s[%lld]" : "%.480s", file, (long long)s);
        if (args->json)
            answer_json(model, file, s, value, (int)each, top);
        else
            answer_text(model, name, value, (int)each, top);
    }
    soma__free(value);
    return SOMA_OK;
}

/* --- the command --------------------------------------------------------------------------------
 */

static soma_status predict_file(const arguments *args, soma_model *model, const char *file,
                                int64_t *samples, soma_error *err)
{
    soma_tensor *x, *y;
    SOMA__TRY(read_samples(&x, args, model, file, err));
    soma_status status = soma_model_predict(model, x, &y, err);
    soma_tensor_release(x);
    if (status != SOMA_OK)
        return soma__fail_within(err, status, "'%s'", file);
    *samples += soma_tensor_shape(y)->dim[0];
    status = answer(args, model, file, y, err);
    soma_tensor_release(y);
    return status;
}

int cli_run_predict(const arguments *args)
{
    cli_model m = {0};
    soma_error err = {0};
    int64_t samples = 0;
    soma_status status = cli_context(args, &m.context, &err);
    if (status == SOMA_OK)
        status = soma_model_load(&m.model, m.context, args->positional[0], &err);
    for (int i = 1; i < args->positional_count && status == SOMA_OK; i++)
        status = predict_file(args, m.model, args->positional[i], &samples, &err);
    int code = EXIT_CODE_OK;
    if (status != SOMA_OK) {
        code = cli_fail(args, status, &err);
    } else if (args->json) {
        cli_json json;
        cli_json_begin(&json, "done");
        cli_json_int(&json, "samples", samples);
        cli_json_end(&json);
    }
    cli_model_close(&m);
    return code;
}
