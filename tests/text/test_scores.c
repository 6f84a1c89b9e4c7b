/* Scores of texts against sacrebleu, jiwer and seqeval, and where they have no value. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "soma/text_scores.h"
#include "support.h"
#include "support/door.h"

static soma__tree golden;

#define must(call_)                                                                                \
    do {                                                                                           \
        soma_error fault = {0};                                                                    \
        if ((call_) != SOMA_OK)                                                                    \
            fail_msg("%s: %s", #call_, fault.message);                                             \
    } while (0)

static void near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-9))
        fail_msg("%.12g, expected %.12g", a, b);
}

static int setup(void **state)
{
    (void)state;
    golden_read(&golden, GOLDEN "scores.json");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    soma__tree_clear(&golden);
    return 0;
}

#define MOST 64

/* The strings of a list, or of lists of lists one after the other; returns how many. */
static int64_t texts_of(soma_text *out, const soma__value *list)
{
    int64_t count = 0;
    for (const soma__value *v = list->first; v; v = v->next) {
        assert_true(count < MOST);
        if (v->kind == SOMA__LIST)
            count += texts_of(out + count, v);
        else
            out[count++] = text_of(v->text);
    }
    return count;
}

static const char *option_text(const soma__value *c, const char *key, const char *otherwise)
{
    const soma__value *v = soma__value_find(member(c, "options"), key);
    return v ? v->text : otherwise;
}

static bool option_bool(const soma__value *c, const char *key)
{
    const soma__value *v = soma__value_find(member(c, "options"), key);
    return v && v->boolean;
}

static void bleu(void **state)
{
    (void)state;
    static const char *const ways[] = {"13a", "intl", "char", "none"};
    for (const soma__value *c = member(golden.root, "bleu")->first; c; c = c->next) {
        soma_text system[MOST], references[MOST];
        soma_bleu_score s;
        soma_bleu_options options = {.lowercase = option_bool(c, "lowercase")};
        int64_t count = texts_of(system, member(c, "system"));
        texts_of(references, member(c, "references"));
        for (int i = 0; i < 4; i++)
            if (strcmp(option_text(c, "tokenize", "13a"), ways[i]) == 0)
                options.tokens = (soma_bleu_tokens)i;
        must(soma_bleu(&s, system, references, count, member(c, "references")->count, &options,
                       &fault));
        near(s.score, member(c, "score")->number);
        near(s.brevity, member(c, "bp")->number);
        assert_int_equal(s.length, member(c, "system_length")->integer);
        assert_int_equal(s.reference_length, member(c, "reference_length")->integer);
        const soma__value *p = member(c, "precisions")->first;
        for (int i = 0; i < SOMA_BLEU_ORDER; i++, p = p->next)
            near(s.precisions[i], p->number);
    }
}

static void chrf(void **state)
{
    (void)state;
    for (const soma__value *c = member(golden.root, "chrf")->first; c; c = c->next) {
        soma_text system[MOST], references[MOST];
        double score;
        soma_chrf_options options = {.word_order =
                                         (int)member(member(c, "options"), "word_order")->integer};
        int64_t count = texts_of(system, member(c, "system"));
        texts_of(references, member(c, "references"));
        must(soma_chrf(&score, system, references, count, member(c, "references")->count, &options,
                       &fault));
        near(score, member(c, "score")->number);
    }
}

static void error_rates(void **state)
{
    (void)state;
    for (const soma__value *c = member(golden.root, "rates")->first; c; c = c->next) {
        soma_text truth[MOST], said[MOST];
        soma_error_rate r;
        int64_t count = texts_of(truth, member(c, "truth"));
        texts_of(said, member(c, "said"));
        must(soma_word_error_rate(&r, truth, said, count, &fault));
        near(r.rate, member(c, "wer")->number);
        const soma__value *hits = member(c, "words")->first;
        assert_int_equal(r.hits, hits->integer);
        assert_int_equal(r.substitutions, hits->next->integer);
        assert_int_equal(r.deletions, hits->next->next->integer);
        assert_int_equal(r.insertions, hits->next->next->next->integer);
        must(soma_character_error_rate(&r, truth, said, count, &fault));
        near(r.rate, member(c, "cer")->number);
    }
}

/* jiwer's rules for spaces, by hand: a tab alone is part of a word, two spaces of any kind are not.
 */
static void error_rates_by_hand(void **state)
{
    (void)state;
    const soma_text a[] = {text_of("\ta\tb c \t d\n")}, b[] = {text_of("a b c d")};
    const soma_text nothing[] = {{NULL, 0}};
    soma_error_rate r;
    must(soma_word_error_rate(&r, a, b, 1, &fault));
    assert_int_equal(r.hits, 2);
    assert_int_equal(r.substitutions + r.insertions, 2);
    near(r.rate, 2.0 / 3);
    must(soma_character_error_rate(&r, b, a, 1, &fault));
    near(r.rate, 3.0 / 7);
    must(soma_word_error_rate(&r, nothing, b, 1, &fault));
    assert_true(isnan(r.rate));
    assert_int_equal(r.insertions, 4);
    must(soma_word_error_rate(&r, b, nothing, 1, &fault));
    near(r.rate, 1);
}

/* The tags of all sentences, and their lengths. */
static int64_t tags_of(const char **out, int64_t *lengths, const soma__value *list)
{
    int64_t words = 0, count = 0;
    for (const soma__value *sentence = list->first; sentence; sentence = sentence->next) {
        lengths[count++] = sentence->count;
        for (const soma__value *v = sentence->first; v; v = v->next)
            out[words++] = v->text;
    }
    assert_true(words <= MOST);
    return count;
}

/* A ratio without a value is 0 there and NaN here. */
static void near_or_none(double ours, double theirs)
{
    if (isnan(ours))
        near(0, theirs);
    else
        near(ours, theirs);
}

static void spans(void **state)
{
    (void)state;
    for (const soma__value *c = member(golden.root, "spans")->first; c; c = c->next) {
        const char *truth[MOST], *predicted[MOST];
        int64_t lengths[MOST];
        soma_span_scores s;
        int64_t count = tags_of(truth, lengths, member(c, "truth"));
        tags_of(predicted, lengths, member(c, "predicted"));
        must(soma_spans(&s, truth, predicted, lengths, count, &fault));
        const soma__value *micro = member(c, "micro")->first;
        near_or_none(s.all.precision, micro->number);
        near_or_none(s.all.recall, micro->next->number);
        near_or_none(s.all.f1, micro->next->next->number);
        near(s.macro_f1, member(c, "macro_f1")->number);
        assert_int_equal(s.type_count, member(c, "types")->count);
        const soma__value *type = member(c, "types")->first;
        for (int i = 0; i < s.type_count; i++, type = type->next) {
            assert_string_equal(s.type[i], type->key);
            near_or_none(s.scores[i].precision, type->first->number);
            near_or_none(s.scores[i].recall, type->first->next->number);
            near_or_none(s.scores[i].f1, type->first->next->next->number);
            assert_int_equal(s.scores[i].support, type->last->integer);
        }
        soma_span_scores_clear(&s);
    }
}

/* E and S, tags without a type, nothing at all, by hand. */
static void spans_by_hand(void **state)
{
    (void)state;
    const char *const truth[] = {"B-a", "I-a", "E-a", "S-b", "I-b", "O", "B", "I"};
    const char *const same[] = {"I-a", "I-a", "I-a", "B-b", "B-b", "O", "B", "O"};
    const char *const none[] = {"O", "O", "O", "O", "O", "O", "O", "O"};
    const int64_t lengths[] = {8, 0};
    soma_span_scores s;
    soma_error err = {0};
    must(soma_spans(&s, truth, same, lengths, 2, &fault));
    assert_int_equal(s.type_count, 3);
    assert_string_equal(s.type[0], "_");
    near(s.scores[0].f1, 0);
    near(s.scores[1].f1, 1);
    near(s.scores[2].f1, 1);
    near(s.all.f1, 0.75);
    soma_span_scores_clear(&s);
    must(soma_spans(&s, none, none, lengths, 1, &fault));
    assert_true(isnan(s.all.f1) && isnan(s.macro_f1));
    soma_span_scores_clear(&s);
    const char *const bad[] = {"O", "X-a"};
    assert_int_equal(soma_spans(&s, bad, bad, (int64_t[]){2}, 1, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "tag 1 is 'X-a'"));
    assert_int_equal(soma_spans(&s, none, none, (int64_t[]){-1}, 1, &err), SOMA_INVALID);
    assert_int_equal(soma_spans(&s, none, none, lengths, 0, &err), SOMA_INVALID);
}

static void wrong_options(void **state)
{
    (void)state;
    const soma_text text = text_of("a");
    soma_bleu_score b;
    soma_error_rate r;
    double f;
    soma_error err = {0};
    assert_int_equal(soma_bleu(&b, &text, &text, 0, 1, NULL, &err), SOMA_INVALID);
    assert_int_equal(soma_bleu(&b, &text, &text, 1, 0, NULL, &err), SOMA_INVALID);
    assert_int_equal(soma_bleu(&b, &text, &text, 1, 1,
                               &(soma_bleu_options){.tokens = (soma_bleu_tokens)7}, &err),
                     SOMA_INVALID);
    assert_int_equal(
        soma_chrf(&f, &text, &text, 1, 1, &(soma_chrf_options){.word_order = 17}, &err),
        SOMA_INVALID);
    assert_int_equal(soma_chrf(&f, &text, &text, 1, 1, &(soma_chrf_options){.beta = -1}, &err),
                     SOMA_INVALID);
    assert_int_equal(soma_word_error_rate(&r, &text, &text, 0, &err), SOMA_INVALID);
}

static soma_status work(soma_error *err)
{
    const soma_text a[] = {text_of("the dog, it bit 1,234 men"), text_of("b")};
    const soma_text b[] = {text_of("the dog bit (many) men"), text_of("")};
    const char *const tags[] = {"B-a", "I-b", "O"};
    soma_bleu_score score;
    soma_error_rate rate;
    soma_span_scores s;
    double f;
    SOMA__TRY(soma_bleu(&score, a, b, 2, 1, NULL, err));
    SOMA__TRY(soma_chrf(&f, a, b, 2, 1, &(soma_chrf_options){.word_order = 2}, err));
    SOMA__TRY(soma_word_error_rate(&rate, a, b, 2, err));
    SOMA__TRY(soma_character_error_rate(&rate, a, b, 2, err));
    SOMA__TRY(soma_spans(&s, tags, tags, (int64_t[]){3}, 1, err));
    soma_span_scores_clear(&s);
    return SOMA_OK;
}

static void without_memory(void **state)
{
    (void)state;
    long before = door_live;
    door_refuse_each(work, 50, false);
    assert_int_equal(door_live, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bleu),          cmocka_unit_test(chrf),
        cmocka_unit_test(error_rates),   cmocka_unit_test(error_rates_by_hand),
        cmocka_unit_test(spans),         cmocka_unit_test(spans_by_hand),
        cmocka_unit_test(wrong_options), cmocka_unit_test(without_memory),
    };
    if (!have_unicode())
        return 77;
    return cmocka_run_group_tests(tests, setup, teardown);
}
