/* Scores and clusters against scikit-learn 1.7 on small random data (the values stand beside each
 * check), and where they have no value. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "soma/metrics.h"
#include "support/door.h"

#define assert_near(a_, b_) assert_true(fabs((a_) - (b_)) <= 1e-6)

#define COUNT 40
#define CLASSES 3

static const int64_t labels[COUNT] = {0, 1, 0, 1, 1, 2, 0, 2, 0, 0, 0, 2, 1, 2, 2, 0, 1, 1, 1, 1,
                                      0, 1, 0, 0, 1, 2, 0, 2, 0, 1, 1, 2, 0, 1, 1, 1, 0, 2, 0, 2};
static const float scores[COUNT * CLASSES] = {
    1.0F,  1.5F,  -0.3F, 0.0F,  2.7F,  1.5F,  1.8F, 0.1F,  -1.1F, 1.4F,  3.0F,  -0.6F, 0.2F,  0.7F,
    -1.1F, 0.6F,  -0.4F, 0.4F,  2.2F,  -1.9F, 0.2F, -0.0F, -0.1F, 1.0F,  1.6F,  -1.0F, -0.2F, -0.5F,
    -0.6F, -0.5F, 1.5F,  -0.8F, -0.3F, -0.4F, 1.1F, 0.7F,  0.4F,  1.2F,  1.5F,  0.6F,  -0.4F, 0.5F,
    -0.4F, -0.7F, 0.5F,  1.1F,  0.6F,  1.8F,  0.2F, -0.5F, 0.2F,  -0.9F, 1.0F,  0.5F,  -0.8F, 1.6F,
    -1.0F, 1.0F,  1.5F,  -1.3F, 2.1F,  -0.9F, 1.8F, 1.5F,  -0.2F, 0.4F,  1.1F,  0.6F,  0.5F,  2.0F,
    0.9F,  -0.6F, 0.9F,  0.9F,  1.0F,  0.2F,  1.1F, 2.1F,  1.8F,  0.0F,  -1.0F, 1.9F,  -0.2F, 1.3F,
    2.2F,  -1.3F, 0.8F,  -1.5F, 0.1F,  -0.2F, 0.6F, -0.5F, 1.5F,  1.9F,  1.3F,  2.5F,  2.1F,  -0.2F,
    -1.0F, -2.0F, 1.3F,  0.1F,  -0.6F, 1.5F,  0.2F, 0.4F,  1.2F,  0.0F,  0.3F,  0.3F,  0.4F,  0.4F,
    -1.9F, 2.6F,  1.4F,  -0.4F, 1.7F,  -0.4F, 1.3F, 0.4F};
static const int64_t confusion[CLASSES * CLASSES] = {11, 1, 3, 2, 10, 3, 3, 2, 5};
static const float truth[12] = {0.25F, -3.87F, -1.98F, 0.0F,  0.59F, 1.24F,
                                3.59F, 5.65F,  2.14F,  6.85F, 4.69F, 1.83F};
static const float predicted[12] = {-0.63F, -5.49F, -2.56F, -4.08F, -0.97F, 1.19F,
                                    1.78F,  5.02F,  1.21F,  8.34F,  4.89F,  1.36F};

#define POINTS 24
static const float points[POINTS * 2] = {
    0.91F,  -1.15F, 0.33F, -0.57F, -0.39F, 0.56F,  0.67F, -0.88F, 0.21F, 0.54F,  -0.19F, 0.32F,
    -0.27F, 0.26F,  0.05F, 0.13F,  2.54F,  0.43F,  3.05F, -0.74F, 2.05F, -0.57F, 2.12F,  -0.14F,
    3.52F,  0.12F,  3.02F, -0.52F, 3.2F,   -0.34F, 3.63F, -1.0F,  0.83F, 2.85F,  -0.11F, 2.91F,
    1.2F,   3.12F,  1.05F, 2.59F,  1.25F,  3.05F,  0.5F,  2.6F,   1.1F,  3.26F,  0.65F,  3.46F};
static const int64_t clusters[POINTS] = {1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 1, 1,
                                         1, 1, 1, 1, 2, 0, 2, 2, 2, 2, 2, 2};

static void confusion_scores(void **state)
{
    (void)state;
    soma_class_scores macro = soma_scores_average(confusion, CLASSES, SOMA_AVERAGE_MACRO);
    assert_near(macro.precision, 0.6370920745920746);
    assert_near(macro.recall, 0.6333333333333333);
    assert_near(macro.f1, 0.6333845366103431);
    assert_int_equal(macro.support, COUNT);
    soma_class_scores weighted = soma_scores_average(confusion, CLASSES, SOMA_AVERAGE_WEIGHTED);
    assert_near(weighted.precision, 0.6599104020979022);
    assert_near(weighted.recall, 0.65);
    assert_near(weighted.f1, 0.6530337941628266);
    assert_near(soma_scores_average(confusion, CLASSES, SOMA_AVERAGE_MICRO).f1, 0.65);
    assert_near(soma_scores_accuracy(confusion, CLASSES), 0.65);
    assert_near(soma_scores_balanced_accuracy(confusion, CLASSES), 0.6333333333333333);
    assert_near(soma_scores_mcc(confusion, CLASSES), 0.4705331697248675);
    assert_near(soma_scores_kappa(confusion, CLASSES), 0.4691943127962085);
    /* Class 0 by hand: 11 of the 16 predicted, 11 of 15 found. */
    soma_class_scores first = soma_scores_class(confusion, CLASSES, 0);
    assert_near(first.precision, 11.0 / 16);
    assert_near(first.recall, 11.0 / 15);
    assert_int_equal(first.support, 15);
}

/* Class 1 is never predicted, class 2 in neither: no value, and not a made-up one. */
static void confusion_without_values(void **state)
{
    (void)state;
    const int64_t some[9] = {2, 0, 0, 1, 0, 0, 0, 0, 0}, none[4] = {0};
    assert_true(isnan(soma_scores_class(some, 3, 1).precision));
    assert_near(soma_scores_class(some, 3, 1).f1, 0);
    assert_true(isnan(soma_scores_class(some, 3, 2).f1));
    assert_near(soma_scores_average(some, 3, SOMA_AVERAGE_MACRO).recall, 0.5);
    assert_near(soma_scores_balanced_accuracy(some, 3), 0.5);
    assert_true(isnan(soma_scores_mcc(some, 3)));
    assert_true(isnan(soma_scores_accuracy(none, 2)));
    assert_true(isnan(soma_scores_kappa(none, 2)));
}

static void ranking(void **state)
{
    (void)state;
    float first[COUNT];
    bool positive[COUNT];
    double roc, ap;
    for (int i = 0; i < COUNT; i++) {
        first[i] = scores[i * CLASSES];
        positive[i] = labels[i] == 0;
    }
    assert_int_equal(soma_roc_auc(&roc, first, positive, COUNT, NULL), SOMA_OK);
    assert_near(roc, 0.8493333333333333);
    assert_int_equal(soma_average_precision(&ap, first, positive, COUNT, NULL), SOMA_OK);
    assert_near(ap, 0.8006064306064307);
    assert_int_equal(soma_one_vs_rest(&roc, &ap, scores, labels, COUNT, CLASSES, NULL), SOMA_OK);
    assert_near(roc, 0.8096666666666666);
    assert_near(ap, 0.7053589795583259);
    assert_near(soma_top_k(scores, labels, COUNT, CLASSES, 1), 0.65);
    assert_near(soma_top_k(scores, labels, COUNT, CLASSES, 2), 0.9);
    assert_near(soma_top_k(scores, labels, COUNT, CLASSES, 3), 1);

    memset(positive, 0, sizeof positive);
    assert_int_equal(soma_roc_auc(&roc, first, positive, COUNT, NULL), SOMA_OK);
    assert_true(isnan(roc));
    soma_error err = {0};
    first[7] = NAN;
    assert_int_equal(soma_roc_auc(&roc, first, positive, COUNT, &err), SOMA_NUMERIC);
    assert_non_null(strstr(err.message, "sample 7"));
}

static void calibration(void **state)
{
    (void)state;
    float probabilities[COUNT * CLASSES];
    for (int i = 0; i < COUNT; i++) {
        double sum = 0;
        for (int c = 0; c < CLASSES; c++)
            sum += exp((double)scores[i * CLASSES + c]);
        for (int c = 0; c < CLASSES; c++)
            probabilities[i * CLASSES + c] = (float)(exp((double)scores[i * CLASSES + c]) / sum);
    }
    assert_near(soma_calibration_error(probabilities, labels, COUNT, CLASSES, 10),
                0.17017630430277358);
}

static void regression(void **state)
{
    (void)state;
    soma_regression_scores s = soma_scores_regression(predicted, truth, 12);
    assert_near(s.mae, 1.1916666666666667);
    assert_near(s.mse, 2.486383333333334);
    assert_near(s.rmse, sqrt(2.486383333333334));
    assert_near(s.r2, 0.7180522853376465);
    assert_near(s.max_error, 4.08);
    assert_near(s.mape, 0.7711981118970935);
    const float same[2] = {1, 1};
    assert_true(isnan(soma_scores_regression(predicted, same, 2).r2));
    assert_true(isnan(soma_scores_regression(predicted, truth, 0).mse));
}

/* By hand: errors 1, 0, 2 of truths 2, 0, 4. */
static void forecasts(void **state)
{
    (void)state;
    const float said[3] = {3, 0, 2}, true_[3] = {2, 0, 4}, series[5] = {1, 4, NAN, 2, 6};
    assert_near(soma_mase(said, true_, 3, 2), 0.5);
    assert_near(soma_smape(said, true_, 3), (2.0 / 5 + 0 + 4.0 / 6) / 3);
    assert_near(soma_pinball_loss(said, true_, 3, 0.9), (0.1 * 1 + 0 + 0.9 * 2) / 3);
    assert_near(soma_naive_scale(series, 5, 1), (3.0 + 4) / 2);
    assert_near(soma_naive_scale(series, 5, 3), (1.0 + 2) / 2);
    assert_true(isnan(soma_naive_scale(series, 5, 5)));
    assert_true(isnan(soma_naive_scale(series, 5, 0)));
    assert_true(isnan(soma_mase(said, true_, 3, 0)));
    assert_true(isnan(soma_mase(said, true_, 0, 1)));
    assert_true(isnan(soma_smape(said, true_, 0)));
    assert_true(isnan(soma_pinball_loss(said, true_, 0, 0.5)));
    assert_true(isnan(soma_smape(series, series, 5)));
}

static void agreement(void **state)
{
    (void)state;
    int64_t groups[POINTS], zeros[POINTS] = {0}, below[2] = {0, -1};
    double value;
    for (int i = 0; i < POINTS; i++)
        groups[i] = i / 8;
    assert_int_equal(soma_silhouette(&value, points, clusters, POINTS, 2, NULL), SOMA_OK);
    assert_near(value, 0.4575114727131984);
    assert_int_equal(soma_nmi(&value, groups, clusters, POINTS, NULL), SOMA_OK);
    assert_near(value, 0.6570490198018722);
    assert_int_equal(soma_adjusted_rand(&value, groups, clusters, POINTS, NULL), SOMA_OK);
    assert_near(value, 0.640625);
    assert_int_equal(soma_purity(&value, clusters, groups, POINTS, NULL), SOMA_OK);
    assert_near(value, 21.0 / 24);
    assert_int_equal(soma_nmi(&value, zeros, zeros, POINTS, NULL), SOMA_OK);
    assert_near(value, 1);
    assert_int_equal(soma_adjusted_rand(&value, zeros, zeros, POINTS, NULL), SOMA_OK);
    assert_near(value, 1);
    assert_int_equal(soma_silhouette(&value, points, zeros, POINTS, 2, NULL), SOMA_INVALID);
    assert_int_equal(soma_nmi(&value, below, below, 2, NULL), SOMA_INVALID);
}

static void kmeans(void **state)
{
    (void)state;
    float centres[6], again[6];
    int64_t assigned[POINTS], groups[POINTS];
    double inertia, agreed;
    const soma_kmeans_options options = {.clusters = 3, .seed = 5};
    assert_int_equal(soma_kmeans(centres, assigned, &inertia, points, POINTS, 2, &options, NULL),
                     SOMA_OK);
    assert_near(inertia, 10.7484625);
    for (int i = 0; i < POINTS; i++)
        groups[i] = i / 8;
    assert_int_equal(soma_adjusted_rand(&agreed, assigned, groups, POINTS, NULL), SOMA_OK);
    assert_near(agreed, 1);
    assert_int_equal(soma_kmeans(again, assigned, NULL, points, POINTS, 2, &options, NULL),
                     SOMA_OK);
    assert_memory_equal(centres, again, sizeof centres);
}

/* More clusters than different samples: no empty cluster, nothing that is not a number. */
static void kmeans_degenerate(void **state)
{
    (void)state;
    const float x[5] = {1, 1, 1, 1, 2}, bad[2] = {0, INFINITY};
    float centres[5];
    int64_t assigned[5];
    double inertia;
    soma_kmeans_options options = {.clusters = 4};
    assert_int_equal(soma_kmeans(centres, assigned, &inertia, x, 5, 1, &options, NULL), SOMA_OK);
    assert_near(inertia, 0);
    for (int c = 0; c < 4; c++)
        assert_true(isfinite(centres[c]));
    options.clusters = 6;
    soma_error err = {0};
    assert_int_equal(soma_kmeans(centres, assigned, NULL, x, 5, 1, &options, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "take 1 to 5"));
    options.clusters = 1;
    assert_int_equal(soma_kmeans(centres, assigned, NULL, bad, 2, 1, &options, NULL), SOMA_NUMERIC);
}

static soma_status work(soma_error *err)
{
    float centres[6];
    int64_t assigned[POINTS];
    bool positive[COUNT] = {true};
    double value, other;
    const soma_kmeans_options options = {.clusters = 3};
    SOMA__TRY(soma_kmeans(centres, assigned, NULL, points, POINTS, 2, &options, err));
    SOMA__TRY(soma_silhouette(&value, points, clusters, POINTS, 2, err));
    SOMA__TRY(soma_nmi(&value, clusters, clusters, POINTS, err));
    SOMA__TRY(soma_roc_auc(&value, scores, positive, COUNT, err));
    return soma_one_vs_rest(&value, &other, scores, labels, COUNT, CLASSES, err);
}

static void without_memory(void **state)
{
    (void)state;
    door_refuse_each(work, 11, false);
    assert_int_equal(door_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confusion_scores),  cmocka_unit_test(confusion_without_values),
        cmocka_unit_test(ranking),           cmocka_unit_test(calibration),
        cmocka_unit_test(regression),        cmocka_unit_test(forecasts),
        cmocka_unit_test(agreement),         cmocka_unit_test(kmeans),
        cmocka_unit_test(kmeans_degenerate), cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
