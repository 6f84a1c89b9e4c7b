/* eval.c: `soma eval`. */
#include <string.h>

#include "cli/cli.h"
#include "data/dataset.h"
#include "data/options.h"
#include "data/text.h"
#include "data/transform.h"
#include "train/train.h"

/* The same number of classes in another order, or other classes, would give a wrong figure in
 * silence. Numbers as names are what models have that were never told names. */
static soma_status classes_agree(const soma_model *model, const soma_dataset *dataset,
                                 soma_error *err)
{
    int count = soma_dataset_class_count(dataset);
    if (soma_model_get_options(model)->task != SOMA_TASK_CLASSIFY ||
        count != soma_model_class_count(model))
        return SOMA_OK;
    for (int i = 0; i < count; i++) {
        const char *in_data = soma_dataset_class(dataset, i),
                   *in_model = soma_model_class(model, i);
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        if (in_data && strcmp(in_data, in_model) != 0 && strcmp(in_model, number) != 0)
            return soma__fail(err, SOMA_INVALID,
                              "class %d is '%s' in the data, but '%s' in the model: this data "
                              "labels something else",
                              i, in_data, in_model);
    }
    return SOMA_OK;
}

/* The test part of a folder, or all of it, brought to the model's size as in training. */
static soma_status open_pictures(const soma_model *model, const char *path, soma_dataset **out,
                                 soma_error *err)
{
    const soma_shape *input = &soma_model_get_options(model)->input;
    soma__folder_options options = {.fit = cli_picture_fit(model)};
    soma_data data;
    if (input->ndim == 3) {
        options.size[0] = input->dim[0];
        options.size[1] = input->dim[1];
        options.channels = (int)input->dim[2];
    }
    SOMA__TRY(soma__folder_open(&data, path, &options, err));
    *out = soma_dataset_retain(data.test ? data.test : data.train);
    soma_data_clear(&data);
    return SOMA_OK;
}

/* Texts become samples as those did that the model learned from: of a set by name, or of a file
 * with the label in --label (default: the first column) and the text in the last. */
static soma_status open_texts(const arguments *args, const soma_model *model, const char *meta,
                              const soma__target *target, soma_dataset **out, soma_error *err)
{
    enum { MOST = 256 };
    const char *classes[MOST];
    const char *what = args->positional[1];
    soma__text_encoding *encoding;
    SOMA__TRY(soma__text_encoding_parse(&encoding, meta, args->positional[0], err));
    const soma__source_request request = {
        .name = what, .folder = args->data, .target = target, .text_encoding = encoding};
    soma__text_options options = {.label = args->label, .classes = classes};
    while (options.class_count < soma_model_class_count(model) && options.class_count < MOST) {
        classes[options.class_count] = soma_model_class(model, options.class_count);
        if (!classes[options.class_count++])
            options.classes = NULL;
    }
    soma_data data = {0};
    soma_status status;
    if (cli_known_source(what)) {
        status = soma__source_open(&data, &request, err);
    } else if (encoding->target) {
        status = soma__pairs_open(&data, what, NULL, 0, 0, encoding, err);
    } else {
        status = soma__texts_open(&data, what, NULL, &options, err);
        if (status == SOMA_OK)
            status = soma__texts_encode_by(&data, encoding, err);
    }
    if (status == SOMA_OK)
        *out = soma_dataset_retain(data.test ? data.test : data.train);
    soma_data_clear(&data);
    soma__text_encoding_release(encoding);
    return status;
}

/* A series becomes windows as the one did that the model learned from: the test part of a set by
 * name, all of a file. */
static soma_status open_series(const arguments *args, const char *meta, soma_dataset **out,
                               soma_error *err)
{
    const char *what = args->positional[1];
    soma__series_encoding *encoding;
    SOMA__TRY(soma__series_encoding_parse(&encoding, meta, args->positional[0], err));
    const soma__source_request request = {
        .name = what, .folder = args->data, .series_encoding = encoding};
    soma_data data = {0};
    soma_status status = cli_known_source(what)
                             ? soma__source_open(&data, &request, err)
                             : soma__series_read(&data.test, what, encoding, err);
    if (status == SOMA_OK && !soma__dataset_series(data.test))
        status = soma__fail(err, SOMA_INVALID, "the model forecasts a series, '%s' is none", what);
    if (status == SOMA_OK)
        *out = soma_dataset_retain(data.test);
    soma_data_clear(&data);
    soma__series_encoding_release(encoding);
    return status;
}

/* A table is read as the one was that the model learned from. */
static soma_status open_plain(const arguments *args, const soma_model *model, soma_task task,
                              soma_dataset **out, soma_error *err)
{
    const soma__target target = soma__task_target(task);
    const char *what = args->positional[1];
    if (!cli_known_source(what) && soma__is_folder(what))
        return open_pictures(model, what, out, err);
    const char *texts = soma_model_meta(model, SOMA__TEXT_META);
    if (texts)
        return open_texts(args, model, texts, &target, out, err);
    const char *series = soma_model_meta(model, SOMA__SERIES_META);
    if (series)
        return open_series(args, series, out, err);
    soma__encoding *encoding;
    SOMA__TRY(cli_encoding(&encoding, model, args->positional[0], err));
    bool csv =
        !strchr(what, ',') && (soma__ends_with(what, ".csv") || soma__ends_with(what, ".csv.gz"));
    soma_status status = SOMA_OK;
    if (encoding && csv) {
        status = soma__encoding_open(out, encoding, what, args->label, target, err);
    } else if (encoding && !strchr(what, ',')) {
        const soma__source_request request = {
            .name = what, .folder = args->data, .target = &target, .encoding = encoding};
        soma_data data;
        status = soma__source_open(&data, &request, err);
        if (status == SOMA_OK)
            *out = soma_dataset_retain(data.test ? data.test : data.train);
        soma_data_clear(&data);
    } else {
        status = cli_dataset(args, what, task != SOMA_TASK_CLASSIFY, out, err);
    }
    soma__encoding_release(encoding);
    return status;
}

soma_status cli_model_data(const arguments *args, const soma_model *model, soma_task task,
                           soma_dataset **out, soma_error *err)
{
    *out = NULL;
    SOMA__TRY(open_plain(args, model, task, out, err));
    const char *transforms = soma_model_meta(model, SOMA__TRANSFORMS_META);
    return transforms ? soma__transforms_over(out, transforms, args->positional[0], err) : SOMA_OK;
}

static soma_status evaluate(const arguments *args, cli_model *m, cli_report *report,
                            soma_error *err)
{
    SOMA__TRY(cli_context(args, &m->context, err));
    SOMA__TRY(soma_model_load(&m->model, m->context, args->positional[0], err));
    SOMA__TRY(
        cli_model_data(args, m->model, soma_model_get_options(m->model)->task, &m->data.test, err));
    /* An autoencoder is to give back what it is given. */
    if (soma_model_meta(m->model, SOMA__TARGET_META))
        SOMA__TRY(soma__dataset_mirror(&m->data.test, err));
    SOMA__TRY(classes_agree(m->model, m->data.test, err));
    SOMA__TRY(cli_report_make(report, m->model, m->data.test, args->batch, err));
    const soma__text_encoding *texts = soma__dataset_text(m->data.test);
    if (!texts || !texts->target)
        return SOMA_OK;
    const soma_generate_options how = {.beams = args->beam, .length_penalty = args->length_penalty};
    soma_bleu_score bleu;
    SOMA__TRY(soma_evaluate_bleu(m->model, m->data.test, &how, &bleu, err));
    report->bleu = bleu.score;
    report->translated = true;
    return SOMA_OK;
}

int cli_run_eval(const arguments *args)
{
    cli_model m = {0};
    cli_report report = {0};
    soma_error err = {0};
    soma_status status = evaluate(args, &m, &report, &err);
    int code = EXIT_CODE_OK;
    if (status != SOMA_OK) {
        code = cli_fail(args, status, &err);
    } else if (args->json) {
        cli_json json;
        cli_json_begin(&json, "done");
        cli_report_json(&report, m.model, "", &json);
        if (report.translated)
            cli_json_number(&json, "bleu", report.bleu);
        cli_json_end(&json);
    } else {
        cli_report_line(&report, args->positional[1]);
        if (report.translated)
            printf("BLEU %.2f (beam %lld)\n", report.bleu,
                   (long long)(args->beam ? args->beam : 1));
        if (!args->quiet) {
            cli_report_confusion(&report, m.model);
            cli_report_classes(&report, m.model);
        }
    }
    cli_report_clear(&report);
    cli_model_close(&m);
    return code;
}
