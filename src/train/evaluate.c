/* evaluate.c: loss, accuracy and confusion on a data set. */
#include <string.h>

#include "data/dataset.h"
#include "train/step.h"

soma_status soma__evaluator_create(soma__evaluator *out, soma_model *model,
                                   const soma_dataset *dataset, int64_t batch,
                                   const soma__loss *loss, soma_error *err)
{
    int64_t n = dataset->count;
    /* An evaluation has no reason to fail on a small set: its batch is at most the set. */
    batch = batch > 0 ? batch : 256;
    batch = batch < n ? batch : n;
    *out = (soma__evaluator){.model = model, .dataset = (soma_dataset *)(uintptr_t)dataset};
    soma_loader_options options = {.batch = batch, .prefetch = 2};
    soma_status status = soma_loader_create(&out->loader, out->dataset, &options, err);
    if (status == SOMA_OK)
        status = soma__step_create(&out->full, model, dataset, batch, NULL, loss, err);
    if (status == SOMA_OK && n % batch)
        status = soma__step_create(&out->rest, model, dataset, n % batch, NULL, loss, err);
    if (status != SOMA_OK)
        soma__evaluator_destroy(out);
    return status;
}

void soma__evaluator_destroy(soma__evaluator *evaluator)
{
    soma_loader_destroy(evaluator->loader);
    soma__step_destroy(&evaluator->full);
    soma__step_destroy(&evaluator->rest);
    *evaluator = (soma__evaluator){0};
}

/* `y` are labels, or f32 distributions, whose largest share counts. */
static void count_confusion(int64_t *confusion, int classes, const soma__step *step,
                            const soma_dataset *like, const void *y)
{
    const soma_tensor *said = soma_session_output(step->session, step->classes);
    const int64_t *predicted = soma_tensor_const_data(said), *label = y;
    if (soma_tensor_shape(said)->ndim > 1) { /* of steps; those without a label are none */
        for (int64_t i = 0; i < soma_tensor_count(said); i++)
            if (label[i] >= 0 && predicted[i] >= 0)
                confusion[label[i] * classes + predicted[i]]++;
        return;
    }
    for (int64_t i = 0; i < step->batch; i++) {
        int64_t truth = 0;
        const float *share = (const float *)y + i * classes;
        if (like->labels)
            truth = label[i];
        for (int k = 1; k < classes && !like->labels; k++)
            truth = share[k] > share[truth] ? k : truth;
        confusion[truth * classes + predicted[i]]++;
    }
}

soma_status soma__evaluator_run(soma__evaluator *evaluator, soma_metrics *out, int64_t *confusion,
                                const volatile int *stop, soma_error *err)
{
    soma__meter meter = {0};
    int classes = soma_model_class_count(evaluator->model);
    bool classify = soma_model_get_options(evaluator->model)->task == SOMA_TASK_CLASSIFY;
    SOMA__TRY(soma_loader_start(evaluator->loader, 0, 0, err));
    for (;;) {
        const void *x, *y;
        int64_t count;
        SOMA__TRY(soma_loader_next(evaluator->loader, &x, &y, &count, err));
        if (!count)
            break;
        soma__step *step = count == evaluator->full.batch ? &evaluator->full : &evaluator->rest;
        SOMA__TRY(
            soma__step_feed(step, evaluator->model, evaluator->dataset, x, y, NULL, NULL, err));
        SOMA__TRY(soma_session_run(step->session, err));
        soma__meter_add(&meter, step);
        if (confusion && classify && step->classes)
            count_confusion(confusion, classes, step, evaluator->dataset, y);
        if (evaluator->see)
            evaluator->see(evaluator->user, soma_session_output(step->session, step->raw), y,
                           count);
        if (stop && *stop)
            return soma__fail(err, SOMA_CANCELLED, "stopped during evaluation");
    }
    *out = soma__meter_read(&meter, evaluator->model);
    return SOMA_OK;
}

soma_status soma_evaluate(soma_model *model, const soma_dataset *dataset, int64_t batch,
                          soma_metrics *out, int64_t *confusion, soma_error *err)
{
    *out = (soma_metrics){0};
    if (!model || !dataset)
        return soma__fail(err, SOMA_INVALID, "an evaluation needs a model and a data set");
    SOMA__TRY(soma__data_fits(model, NULL, dataset, "data", err));
    if (confusion) {
        size_t classes = (size_t)soma_model_class_count(model);
        memset(confusion, 0, classes * classes * sizeof *confusion);
    }
    soma__evaluator evaluator;
    SOMA__TRY(soma__evaluator_create(&evaluator, model, dataset, batch, NULL, err));
    soma_status status = soma__evaluator_run(&evaluator, out, confusion, NULL, err);
    soma__evaluator_destroy(&evaluator);
    return status;
}
