/* Models step by step: what is carried gives what the whole sequence gives, whatever the layers;
 * beam search finds what trying everything finds; what cannot go on step by step is refused by
 * name. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "soma/soma.h"

enum { WORDS = 7, STEPS = 40 };

static soma_context *context;

static int set_up(void **state)
{
    (void)state;
    return soma_context_create(&context, &(soma_context_options){.threads = 2}, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    soma_context_destroy(context);
    return 0;
}

static soma_model *model_of(soma_layer *layers, int64_t steps)
{
    soma_model *model;
    soma_error err = {0};
    soma_model_options takes = {.input = SOMA_SHAPE(steps), .seed = 5};
    if (soma_model_create(&model, context, layers, &takes, &err))
        fail_msg("%s", err.message);
    return model;
}

static soma_layer *embedding(void)
{
    return soma_layer_embedding(WORDS, 16);
}

static soma_layer *block(void)
{
    return soma_layer_transformer_encoder(4, .causal = true, .norm_first = true);
}

static int64_t id_at(int64_t row, int64_t t)
{
    return (row * 3 + t * t + t / 5) % WORDS;
}

static soma_tensor *whole(int64_t rows, int64_t steps)
{
    soma_tensor *x;
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(rows, steps), NULL), SOMA_OK);
    for (int64_t i = 0; i < rows * steps; i++)
        soma_tensor_set(x, i, (double)id_at(i / steps, i % steps));
    return x;
}

static soma_generator *generator_of(soma_model *model, int64_t rows)
{
    soma_generator *g;
    soma_error err = {0};
    if (soma_generator_create(&g, model, &(soma_generator_options){.rows = rows}, &err))
        fail_msg("%s", err.message);
    return g;
}

static double worst(const float *scores, const soma_tensor *y, int64_t rows, int64_t steps,
                    int64_t t)
{
    double most = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < WORDS; k++)
            most = fmax(most, fabs((double)scores[r * WORDS + k] -
                                   soma_tensor_get(y, (r * steps + t) * WORDS + k)));
    return most;
}

/* Reads in pieces of these sizes; after each the scores are those of the whole sequence. */
static void same_as_whole(soma_layer *layers)
{
    static const int64_t pieces[] = {1, 33, 1, 1, 3, 1};
    enum { ROWS = 2 };
    soma_model *model = model_of(layers, STEPS);
    soma_generator *g = generator_of(model, ROWS);
    soma_tensor *x = whole(ROWS, STEPS), *y;
    soma_error err = {0};
    assert_int_equal(soma_model_predict(model, x, &y, NULL), SOMA_OK);
    for (int round = 0; round < 2; round++) { /* the second begins anew */
        int64_t t = 0;
        assert_int_equal(soma_generator_start(g, NULL, NULL), SOMA_OK);
        for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
            int64_t ids[ROWS * STEPS];
            const float *scores;
            for (int64_t r = 0; r < ROWS; r++)
                for (int64_t k = 0; k < pieces[i]; k++)
                    ids[r * pieces[i] + k] = id_at(r, t + k);
            if (soma_generator_read(g, ids, pieces[i], &scores, &err))
                fail_msg("%s", err.message);
            t += pieces[i];
            assert_true(worst(scores, y, ROWS, STEPS, t - 1) < 1e-5);
            assert_int_equal(soma_generator_length(g), t);
        }
        assert_int_equal(t, STEPS);
    }
    soma_tensor_release(x);
    soma_tensor_release(y);
    soma_generator_destroy(g);
    soma_model_destroy(model);
}

static void learned_positions(void **state)
{
    (void)state;
    same_as_whole(soma_layer_sequential(embedding(), soma_layer_positions(STEPS), block(), block(),
                                        soma_layer_layer_norm(), soma_layer_dense(WORDS)));
}

static void sines(void **state)
{
    (void)state;
    same_as_whole(soma_layer_sequential(embedding(), soma_layer_positions(0),
                                        soma_layer_dropout(0.5), block(), soma_layer_dense(WORDS)));
}

static void rotary_with_shared_keys(void **state)
{
    (void)state;
    same_as_whole(soma_layer_sequential(
        embedding(),
        soma_layer_transformer_encoder(4, .key_heads = 2, .causal = true, .rotary = true,
                                       .norm = SOMA_TRANSFORMER_RMS_NORM,
                                       .activation = SOMA_FEED_SWIGLU),
        soma_layer_multi_head_attention(2, .key_heads = 1, .causal = true, .rotary = true),
        soma_layer_dense(WORDS)));
}

static void alibi(void **state)
{
    (void)state;
    same_as_whole(soma_layer_sequential(
        embedding(), soma_layer_transformer_encoder(4, .causal = true, .alibi = true),
        soma_layer_dense(WORDS)));
}

static void recurrent_layers(void **state)
{
    (void)state;
    same_as_whole(soma_layer_sequential(embedding(), soma_layer_lstm(12, .layers = 2),
                                        soma_layer_gru(9), soma_layer_rnn(8),
                                        soma_layer_dense(WORDS)));
}

/* --- what cannot go on --------------------------------------------------------------------------
 */

static void refused(soma_layer *layers, const char *words)
{
    soma_model *model = model_of(layers, STEPS);
    soma_generator *g;
    soma_error err = {0};
    assert_int_equal(soma_generator_create(&g, model, NULL, &err), SOMA_UNSUPPORTED);
    assert_null(g);
    if (!strstr(err.message, words))
        fail_msg("'%s' does not tell '%s'", err.message, words);
    soma_model_destroy(model);
}

static void what_looks_ahead_is_refused(void **state)
{
    (void)state;
    refused(soma_layer_sequential(embedding(), soma_layer_transformer_encoder(4),
                                  soma_layer_dense(WORDS)),
            "multi_head_attention 'block1.self_attn': is not causal");
    refused(soma_layer_sequential(embedding(), soma_layer_lstm(8, .bidirectional = true),
                                  soma_layer_dense(WORDS)),
            "lstm 'lstm1': begins at the end");
    refused(soma_layer_sequential(embedding(), soma_layer_conv1d(8, 3, .padding = SOMA_PAD_SAME),
                                  soma_layer_dense(WORDS)),
            "conv1d 'conv1': looks at steps");
    refused(soma_layer_sequential(embedding(), soma_layer_flatten(), soma_layer_dense(WORDS)),
            "not scores of the next token");
}

static void ids_and_lengths_out_of_range(void **state)
{
    (void)state;
    soma_model *model =
        model_of(soma_layer_sequential(embedding(), block(), soma_layer_dense(WORDS)), STEPS);
    soma_generator *g = generator_of(model, 1);
    soma_error err = {0};
    const float *scores;
    int64_t ids[STEPS + 1] = {0}, bad[] = {0, WORDS}, negative[] = {-1};
    assert_int_equal(soma_generator_read(g, ids, 1, &scores, &err), SOMA_STATE);
    assert_int_equal(soma_generator_start(g, NULL, NULL), SOMA_OK);
    assert_int_equal(soma_generator_read(g, bad, 2, &scores, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "id 7 is not one of the 7"));
    assert_int_equal(soma_generator_read(g, negative, 1, &scores, &err), SOMA_INVALID);
    assert_int_equal(soma_generator_read(g, ids, 0, &scores, &err), SOMA_INVALID);
    assert_int_equal(soma_generator_read(g, ids, STEPS + 1, &scores, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "do not fit into the context of 40"));
    assert_int_equal(soma_generator_read(g, ids, STEPS, &scores, &err), SOMA_OK);
    assert_int_equal(soma_generator_read(g, ids, 1, &scores, &err), SOMA_INVALID);
    assert_int_equal(soma_generator_select(g, bad + 1, &err), SOMA_INVALID);
    assert_int_equal(soma_generate(g, ids, 0, NULL, NULL, NULL, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "the prompt is empty"));
    soma_generate_options cold = {.sampling = {.temperature = -1}};
    assert_int_equal(soma_generate(g, ids, 1, &cold, NULL, NULL, &err), SOMA_INVALID);
    soma_generate_options wide = {.beams = 3};
    assert_int_equal(soma_generate(g, ids, 1, &wide, NULL, NULL, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "3 beams need as many rows"));
    soma_generator_destroy(g);
    assert_int_equal(soma_generator_create(&g, model, &(soma_generator_options){.rows = -1}, &err),
                     SOMA_INVALID);
    soma_model_destroy(model);
}

/* --- sequences ----------------------------------------------------------------------------------
 */

static void rows_change_places(void **state)
{
    (void)state;
    soma_model *model =
        model_of(soma_layer_sequential(embedding(), soma_layer_positions(STEPS), soma_layer_gru(16),
                                       block(), soma_layer_dense(WORDS)),
                 STEPS);
    soma_generator *g = generator_of(model, 3);
    soma_tensor *x = whole(3, STEPS), *y;
    const int64_t from[] = {2, 0, 2};
    const float *scores;
    int64_t ids[3], two[6];
    assert_int_equal(soma_generator_start(g, NULL, NULL), SOMA_OK);
    for (int r = 0; r < 3; r++)
        for (int t = 0; t < 2; t++)
            two[r * 2 + t] = id_at(r, t);
    assert_int_equal(soma_generator_read(g, two, 2, &scores, NULL), SOMA_OK);
    assert_int_equal(soma_generator_select(g, from, NULL), SOMA_OK);
    for (int64_t r = 0; r < 3; r++)
        ids[r] = id_at(from[r], 2);
    assert_int_equal(soma_generator_read(g, ids, 1, &scores, NULL), SOMA_OK);
    assert_int_equal(soma_model_predict(model, x, &y, NULL), SOMA_OK);
    for (int64_t r = 0; r < 3; r++)
        for (int64_t k = 0; k < WORDS; k++)
            assert_true(fabs((double)scores[r * WORDS + k] -
                             soma_tensor_get(y, (from[r] * STEPS + 2) * WORDS + k)) < 1e-5);
    soma_tensor_release(x);
    soma_tensor_release(y);
    soma_generator_destroy(g);
    soma_model_destroy(model);
}

static void generate_ids(soma_generator *g, uint64_t seed, int64_t prompt, int64_t tokens,
                         int64_t *out)
{
    int64_t ids[100], *made, count;
    soma_error err = {0};
    soma_generate_options o = {.sampling = {.seed = seed}, .tokens = tokens};
    for (int64_t i = 0; i < prompt; i++)
        ids[i] = id_at(0, i);
    if (soma_generate(g, ids, prompt, &o, &made, &count, &err))
        fail_msg("%s", err.message);
    assert_int_equal(count, tokens);
    memcpy(out, made, (size_t)tokens * sizeof *out);
    soma_free(made);
}

static void a_seed_says_what_comes(void **state)
{
    (void)state;
    soma_model *model =
        model_of(soma_layer_sequential(embedding(), block(), soma_layer_dense(WORDS)), STEPS);
    soma_generator *g = generator_of(model, 1);
    int64_t a[90], b[90], c[90];
    generate_ids(g, 3, 5, 90, a); /* beyond the context */
    generate_ids(g, 3, 5, 90, b);
    generate_ids(g, 4, 5, 90, c);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
    /* A prompt beyond the context: its end counts. */
    generate_ids(g, 3, 60, 10, a);
    soma_generator_destroy(g);
    /* The same without threads. */
    soma_generator *alone = generator_of(model, 1);
    generate_ids(alone, 3, 60, 10, b);
    assert_memory_equal(a, b, 10 * sizeof *a);
    soma_generator_destroy(alone);
    soma_model_destroy(model);
}

static bool stop_at_three(void *user, int64_t id)
{
    (void)id;
    return ++*(int *)user < 3;
}

static void a_callback_stops_and_an_end_ends(void **state)
{
    (void)state;
    soma_model *model =
        model_of(soma_layer_sequential(embedding(), block(), soma_layer_dense(WORDS)), STEPS);
    soma_generator *g = generator_of(model, 1);
    int64_t prompt = 1, *ids, count;
    int calls = 0;
    soma_generate_options o = {.callback = stop_at_three, .user = &calls};
    assert_int_equal(soma_generate(g, &prompt, 1, &o, &ids, &count, NULL), SOMA_OK);
    assert_int_equal(count, 3);
    const int64_t third = ids[2];
    soma_free(ids);
    o = (soma_generate_options){.ends = true, .end = third};
    assert_int_equal(soma_generate(g, &prompt, 1, &o, &ids, &count, NULL), SOMA_OK);
    assert_true(count <= 2);
    soma_free(ids);
    /* All the room: the last token needs no step. */
    assert_int_equal(soma_generate(g, &prompt, 1, NULL, &ids, &count, NULL), SOMA_OK);
    assert_int_equal(count, STEPS);
    soma_free(ids);
    soma_generator_destroy(g);
    soma_model_destroy(model);
}

/* --- beams --------------------------------------------------------------------------------------
 */

enum { LONGEST = 4, END = 2 };

/* Log p of `count` tokens after the prompt {1}, by the whole model. */
static double log_p(soma_model *model, const int64_t *ids, int64_t count)
{
    soma_tensor *x, *y;
    double sum = 0;
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(1, 8), NULL), SOMA_OK);
    soma_tensor_set(x, 0, 1);
    for (int64_t i = 0; i + 1 < count; i++)
        soma_tensor_set(x, i + 1, (double)ids[i]);
    assert_int_equal(soma_model_predict(model, x, &y, NULL), SOMA_OK);
    for (int64_t t = 0; t < count; t++) {
        double total = 0;
        for (int64_t k = 0; k < WORDS; k++)
            total += exp(soma_tensor_get(y, t * WORDS + k));
        sum += soma_tensor_get(y, t * WORDS + ids[t]) - log(total);
    }
    soma_tensor_release(x);
    soma_tensor_release(y);
    return sum;
}

/* Tries every sequence that ends, or is as long as it may be. */
static void try_all(soma_model *model, int64_t *ids, int64_t count, double penalty, double *best,
                    int64_t *found, int64_t *found_count)
{
    for (int64_t id = 0; id < WORDS; id++) {
        ids[count] = id;
        const bool ends = id == END;
        if (!ends && count + 1 < LONGEST) {
            try_all(model, ids, count + 1, penalty, best, found, found_count);
            continue;
        }
        const double value = log_p(model, ids, count + 1) / pow((double)(count + 1), penalty);
        if (value > *best) {
            *best = value;
            *found_count = count + !ends;
            memcpy(found, ids, (size_t)*found_count * sizeof *ids);
        }
    }
}

static void beams_find_the_likeliest(void **state)
{
    (void)state;
    static const double penalties[] = {0, 1, 2.5, -1};
    for (size_t i = 0; i < 2 * (sizeof penalties / sizeof penalties[0]); i++) {
        soma_model *model;
        /* Another model each time, sharper ones by a wide embedding. */
        soma_model_options takes = {.input = SOMA_SHAPE(8), .seed = 20 + i};
        assert_int_equal(
            soma_model_create(&model, context,
                              soma_layer_sequential(soma_layer_embedding(WORDS, 48),
                                                    soma_layer_gru(24), soma_layer_dense(WORDS)),
                              &takes, NULL),
            SOMA_OK);
        const double penalty = penalties[i / 2];
        int64_t ids[LONGEST], want[LONGEST], want_count = 0, prompt = 1, *got, got_count;
        double best = -INFINITY;
        try_all(model, ids, 0, penalty, &best, want, &want_count);
        /* As many beams as there can be prefixes: nothing is lost. */
        soma_generator *g = generator_of(model, WORDS * WORDS * WORDS);
        soma_generate_options o = {.tokens = LONGEST,
                                   .ends = true,
                                   .end = END,
                                   .beams = WORDS * WORDS * WORDS,
                                   .length_penalty = penalty};
        assert_int_equal(soma_generate(g, &prompt, 1, &o, &got, &got_count, NULL), SOMA_OK);
        assert_int_equal(got_count, want_count);
        assert_memory_equal(got, want, (size_t)want_count * sizeof *want);
        soma_free(got);
        soma_generator_destroy(g);
        soma_model_destroy(model);
    }
}

static void one_beam_is_greedy(void **state)
{
    (void)state;
    soma_model *model =
        model_of(soma_layer_sequential(embedding(), block(), soma_layer_dense(WORDS)), STEPS);
    soma_generator *one = generator_of(model, 1), *many = generator_of(model, 4);
    int64_t prompt = 1, *a, *b[4], count, counts[4];
    soma_generate_options o = {.sampling = {.greedy = true}, .tokens = 12};
    assert_int_equal(soma_generate(one, &prompt, 1, &o, &a, &count, NULL), SOMA_OK);
    /* Four sequences of one beam each. */
    assert_int_equal(soma_generator_start(many, NULL, NULL), SOMA_OK);
    assert_int_equal(soma_beam_search(many, &prompt, 1, &o, b, counts, NULL), SOMA_OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(counts[i], count);
        assert_memory_equal(a, b[i], (size_t)count * sizeof *a);
        soma_free(b[i]);
    }
    soma_free(a);
    soma_generator_destroy(one);
    soma_generator_destroy(many);
    soma_model_destroy(model);
}

/* --- a memory -----------------------------------------------------------------------------------
 */

enum { SOURCE = 6 };

static soma_model *translator(void)
{
    const soma_graph_node nodes[] = {
        {"from", .from = "source", .layer = soma_layer_embedding(WORDS, 16)},
        {"memory", .from = "from", .layer = soma_layer_transformer_encoder(4)},
        {"sum", .from = "from",
         .layer = soma_layer_gru(16, .output = SOMA_RECURRENT_STATE, .backwards = true)},
        {"to", .from = "target", .layer = soma_layer_embedding(WORDS, 16)},
        {"state", .from = "to,sum", .layer = soma_layer_gru(16)},
        {"decoded", .from = "state,memory", .layer = soma_layer_transformer_decoder(4)},
        {"out", .from = "decoded", .layer = soma_layer_dense(WORDS)},
    };
    const soma_model_input inputs[] = {{.shape = SOMA_SHAPE(SOURCE)}, {.shape = SOMA_SHAPE(STEPS)}};
    soma_model *model;
    soma_error err = {0};
    soma_model_options takes = {.inputs = inputs, .input_count = 2, .seed = 3};
    soma_layer *layers =
        soma_layer_graph("source,target", nodes, sizeof nodes / sizeof nodes[0], NULL);
    if (soma_model_create(&model, context, layers, &takes, &err))
        fail_msg("%s", err.message);
    return model;
}

static void a_decoder_keeps_its_memory(void **state)
{
    (void)state;
    soma_model *model = translator();
    soma_generator *g = generator_of(model, 2);
    soma_tensor *in[2], *y;
    soma_error err = {0};
    const float *scores;
    assert_int_equal(soma_generator_start(g, NULL, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "takes 'source' besides"));
    assert_int_equal(soma_tensor_create(&in[0], SOMA_F32, SOMA_SHAPE(2, SOURCE), NULL), SOMA_OK);
    in[1] = whole(2, STEPS);
    for (int round = 0; round < 2; round++) { /* another source the second time */
        for (int64_t i = 0; i < (int64_t)2 * SOURCE; i++)
            soma_tensor_set(in[0], i, (double)((i * i + round) % WORDS));
        assert_int_equal(soma_model_predict_all(model, (const soma_tensor *const *)in, &y, NULL),
                         SOMA_OK);
        if (soma_generator_start(g, (const soma_tensor *const *)in, &err))
            fail_msg("%s", err.message);
        for (int64_t t = 0; t < 9; t++) {
            const int64_t ids[2] = {id_at(0, t), id_at(1, t)};
            assert_int_equal(soma_generator_read(g, ids, 1, &scores, NULL), SOMA_OK);
            assert_true(worst(scores, y, 2, STEPS, t) < 1e-5);
        }
        soma_tensor_release(y);
    }
    soma_tensor_release(in[0]);
    soma_tensor_release(in[1]);
    soma_generator_destroy(g);
    soma_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learned_positions),
        cmocka_unit_test(sines),
        cmocka_unit_test(rotary_with_shared_keys),
        cmocka_unit_test(alibi),
        cmocka_unit_test(recurrent_layers),
        cmocka_unit_test(what_looks_ahead_is_refused),
        cmocka_unit_test(ids_and_lengths_out_of_range),
        cmocka_unit_test(rows_change_places),
        cmocka_unit_test(a_seed_says_what_comes),
        cmocka_unit_test(a_callback_stops_and_an_end_ends),
        cmocka_unit_test(beams_find_the_likeliest),
        cmocka_unit_test(one_beam_is_greedy),
        cmocka_unit_test(a_decoder_keeps_its_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
