/* Taggers: models whose last layer is crf, from training to a loaded file. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "soma/soma.h"

enum { COUNT = 40, STEPS = 9, TAGS = 3 };

#define assert_ok(expression_, error_)                                                             \
    do {                                                                                           \
        if ((expression_) != SOMA_OK)                                                              \
            fail_msg("%s: %s", #expression_, (error_).message);                                    \
    } while (0)

static soma_context *context;

static int open_context(void **state)
{
    (void)state;
    return soma_context_create(&context, NULL, NULL) != SOMA_OK;
}

static int close_context(void **state)
{
    (void)state;
    soma_context_destroy(context);
    return 0;
}

/* The first word tells where the turns of the tags begin; the others are all the same. Two
 * sentences have no word, one has a tag that nobody knows. */
static soma_dataset *sentences(void)
{
    soma_error err = {0};
    soma_tensor *x, *y;
    soma_dataset *dataset;
    assert_ok(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(COUNT, STEPS), &err), err);
    assert_ok(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(COUNT, STEPS), &err), err);
    for (int64_t i = 0; i < COUNT; i++)
        for (int64_t t = 0; t < STEPS; t++) {
            const bool counts = t < i % (STEPS + 1) || (i == 0 && t < 3);
            soma_tensor_set(x, i * STEPS + t, !counts ? 0 : t == 0 ? 1 + (double)(i % TAGS) : 4);
            soma_tensor_set(y, i * STEPS + t,
                            !counts || (i == 7 && t == 2) ? -1 : (double)((i + t) % TAGS));
        }
    assert_ok(soma_dataset_from_tensors(&dataset, x, y, &err), err);
    soma_tensor_release(x);
    soma_tensor_release(y);
    return dataset;
}

static soma_layer *tagger(bool chain)
{
    const soma_graph_node nodes[] = {
        {.name = "lengths", .layer = soma_layer_lengths()},
        {.name = "scores", .from = "input", .layer = soma_layer_embedding(5, TAGS)},
        {.name = "tags", .from = "scores,lengths", .layer = soma_layer_crf()}};
    if (!chain)
        soma_layer_destroy(nodes[2].layer);
    return soma_layer_graph(NULL, nodes, chain ? 3 : 2, NULL);
}

static soma_model *model_of(soma_layer *layer)
{
    soma_error err = {0};
    soma_model *model;
    const soma_model_options options = {.input = SOMA_SHAPE(STEPS), .seed = 3};
    assert_ok(soma_model_create(&model, context, layer, &options, &err), err);
    return model;
}

static void learns_pairs_of_tags(void **state)
{
    (void)state;
    soma_error err = {0};
    char path[64];
    const int64_t lengths[] = {3, 6};
    soma_data data = {.train = sentences()};
    soma_model *model = model_of(tagger(true)), *loaded;
    soma_metrics metrics, again;
    soma_history history;
    const soma_train_options options = {.epochs = 60,
                                        .batch = 8,
                                        .optimizer = {.kind = SOMA_ADAM, .rate = 0.1},
                                        .buckets = lengths,
                                        .bucket_count = 2};
    assert_int_equal(soma_model_class_count(model), TAGS);
    assert_ok(soma_train(model, &data, &options, &history, &err), err);
    /* At first each tag is a guess, of about ln 3. */
    assert_true(history.epochs[0].train.loss < 2 && history.epochs[0].train.loss > 0.3);
    soma_history_clear(&history);
    int64_t confusion[TAGS * TAGS], counted = 0, right = 0;
    assert_ok(soma_evaluate(model, data.train, 16, &metrics, confusion, &err), err);
    assert_true(metrics.accuracy >= 1 && metrics.loss < 0.1);
    for (int i = 0; i < TAGS * TAGS; i++) {
        counted += confusion[i];
        right += i % (TAGS + 1) == 0 ? confusion[i] : 0;
    }
    int64_t words = 0;
    for (int64_t i = 0; i < COUNT; i++)
        words += i % (STEPS + 1) + (i == 0 ? 3 : 0) - (i == 7);
    assert_int_equal(counted, words);
    assert_int_equal(right, words);
    soma_scores scores;
    assert_ok(soma_evaluate_scores(model, data.train, 16, &scores, NULL, &err), err);
    assert_true(fabs(scores.perplexity - exp(metrics.loss)) < 1e-9);

    snprintf(path, sizeof path, "/tmp/soma-tagger-%d.safetensors", (int)getpid());
    assert_ok(soma_model_save(model, path, &err), err);
    assert_ok(soma_model_load(&loaded, context, path, &err), err);
    unlink(path);
    assert_ok(soma_evaluate(loaded, data.train, 16, &again, NULL, &err), err);
    assert_memory_equal(&again, &metrics, sizeof metrics);
    soma_model_destroy(loaded);
    soma_model_destroy(model);
    soma_dataset_release(data.train);
}

/* A loss that does not fit the last layer, tags that are none, targets of other steps. */
static void refuses(void **state)
{
    (void)state;
    soma_error err = {0};
    soma_data data = {.train = sentences()};
    soma_model *with = model_of(tagger(true)), *without = model_of(tagger(false));
    soma_train_options options = {.epochs = 1, .loss = {.kind = SOMA_LOSS_CROSS_ENTROPY}};
    assert_int_equal(soma_train(with, &data, &options, NULL, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "cross_entropy does not fit a crf layer"));
    options.loss.kind = SOMA_LOSS_CRF;
    assert_int_equal(soma_train(without, &data, &options, NULL, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "whose last layer is crf"));
    soma_dataset_release(data.train);

    soma_tensor *x, *y;
    for (int64_t steps = STEPS - 1; steps <= STEPS; steps++) {
        assert_ok(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(4, STEPS), &err), err);
        assert_ok(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(4, steps), &err), err);
        soma_tensor_set(y, 5, TAGS);
        assert_ok(soma_dataset_from_tensors(&data.train, x, y, &err), err);
        options.batch = 4;
        soma_status status = soma_train(with, &data, &options, NULL, &err);
        assert_int_equal(status, steps == STEPS ? SOMA_INVALID : SOMA_SHAPE);
        assert_non_null(strstr(err.message, steps == STEPS ? "label 3, but the model has 3 classes"
                                                           : "a class for each of 9 steps"));
        soma_dataset_release(data.train);
        soma_tensor_release(x);
        soma_tensor_release(y);
    }
    soma_model_destroy(with);
    soma_model_destroy(without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_pairs_of_tags),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
