/* samples_losses.c: samples of the composite losses. Values that a formula has kinks at are kept
 * off them: spread numbers, targets of another grid. */
#include "driver.h"

#define S SOMA_SHAPE
#define NONE SOMA_REDUCTION_NONE
#define MEAN SOMA_REDUCTION_MEAN
#define SUM SOMA_REDUCTION_SUM

#define BUILD(name_, ...)                                                                          \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define VALUES(...)                                                                                \
    (const double[])                                                                               \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define X sample_spread(ctx, S(5, 7), -3, 3)
#define T sample_in(ctx, S(5, 7), -1, 1)
#define HALF_SHAPE sample_in(ctx, S(5), -1, 1)
#define LOGITS sample_in(ctx, S(6, 9), -3, 3)
#define LABELS sample_int(ctx, SOMA_I64, S(6), 0, 9)
#define WEIGHT sample_in(ctx, S(9), 0.5, 2)

/* A loss of x and t: on 5x7 in each reduction, an empty batch, and with two shapes, which is
 * refused. */
#define PAIR(name_, low_, high_, ...)                                                              \
    static soma_var name_##_of(soma_var x, soma_var t, soma_reduction reduction)                   \
    {                                                                                              \
        return __VA_ARGS__;                                                                        \
    }                                                                                              \
    BUILD(name_##_each, soma_var x = sample_spread(ctx, S(5, 7), low_, high_);                     \
          return name_##_of(x, sample_in(ctx, S(5, 7), 0.1, 0.9), NONE);)                          \
    BUILD(name_##_mean, soma_var x = sample_spread(ctx, S(3, 33), low_, high_);                    \
          return name_##_of(x, sample_in(ctx, S(3, 33), 0.1, 0.9), MEAN);)                         \
    BUILD(name_##_sum, soma_var x = sample_spread(ctx, S(17), low_, high_);                        \
          return name_##_of(x, sample_in(ctx, S(17), 0.1, 0.9), SUM);)                             \
    BUILD(name_##_empty, soma_var x = sample_in(ctx, S(0, 7), low_, high_);                        \
          return name_##_of(x, x, SUM);)                                                           \
    BUILD(name_##_shapes, soma_var x = sample_in(ctx, S(5, 1), low_, high_);                       \
          return name_##_of(x, sample_in(ctx, S(5), 0.1, 0.9), NONE);)                             \
    BUILD(name_##_reduction, soma_var x = sample_in(ctx, S(5), low_, high_);                       \
          return name_##_of(x, x, (soma_reduction)3);)
#define PAIR_ROWS(name_)                                                                           \
    {#name_, "5x7", .build = name_##_each, .tolerance = 1e-5},                                     \
        {#name_, "mean of 3x33", .build = name_##_mean, .tolerance = 1e-5},                        \
        {#name_, "sum of 17", .build = name_##_sum, .tolerance = 1e-5},                            \
        {#name_, "empty batch", .build = name_##_empty},                                           \
        {#name_, "two shapes", .build = name_##_shapes, .status = SOMA_SHAPE,                      \
         .message = "prediction [5,1] and target [5] must have one shape"},                        \
    {                                                                                              \
#name_, "no such reduction", .build = name_##_reduction, .status = SOMA_INVALID,           \
                                     .message = "there is no reduction 3"                          \
    }

PAIR(mse, -3, 3, soma_mse(x, t, reduction))
PAIR(half_mse, -3, 3, soma_half_mse(x, t, reduction))
PAIR(mae, -3, 3, soma_mae(x, t, reduction))
PAIR(huber, -3, 3, soma_huber(x, t, 0.8, reduction))
PAIR(smooth_l1, -3, 3, soma_smooth_l1(x, t, 0.8, reduction))
PAIR(log_cosh, -3, 3, soma_log_cosh(x, t, reduction))
PAIR(pinball, -3, 3, soma_pinball(x, t, 0.9, reduction))
PAIR(poisson_nll, -2, 2, soma_poisson_nll(x, t, true, false, reduction))
PAIR(bce, 0.02, 0.98, soma_bce(x, t, reduction))
PAIR(hinge, -3, 3, soma_hinge(x, t, reduction))
PAIR(squared_hinge, -3, 3, soma_squared_hinge(x, t, reduction))
PAIR(focal, -4, 4, soma_focal(x, t, 2, 0.25, reduction))
PAIR(kl_div, -3, -0.1, soma_kl_div(x, t, false, reduction))

/* --- values by hand ----------------------------------------------------------------------------
 */

/* x [n] and t [n] in the dtype under test. */
#define HAND(name_, n_, x_, t_, ...)                                                               \
    BUILD(name_, soma_var x = sample_values(ctx, 0, S(n_), (const double[])x_);                    \
          soma_var t = sample_values(ctx, 0, S(n_), (const double[])t_); return __VA_ARGS__;)
#define L(...)                                                                                     \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* Differences 0.5, -1, 3. */
#define THREE L(1.5, 1, 5)
#define TARGET L(1, 2, 2)
HAND(mse_mean_hand, 3, THREE, TARGET, soma_mse(x, t, MEAN))
HAND(half_mse_hand, 3, THREE, TARGET, soma_half_mse(x, t, SUM))
HAND(mae_hand, 3, THREE, TARGET, soma_mae(x, t, MEAN))
HAND(huber_hand, 3, THREE, TARGET, soma_huber(x, t, 2, NONE))
HAND(smooth_l1_hand, 3, THREE, TARGET, soma_smooth_l1(x, t, 2, NONE))
HAND(smooth_l1_sharp, 3, THREE, TARGET, soma_smooth_l1(x, t, 0, NONE))
HAND(log_cosh_hand, 3, L(0, 1, -50), L(0, 0, 50), soma_log_cosh(x, t, NONE))
HAND(pinball_hand, 3, THREE, TARGET, soma_pinball(x, t, 0.75, NONE))
HAND(poisson_hand, 3, L(0, 1, 0), L(5, 2, 1), soma_poisson_nll(x, t, true, false, NONE))
HAND(poisson_full, 3, L(0, 1, 0), L(2, 0, 1), soma_poisson_nll(x, t, true, true, NONE))
HAND(poisson_rate, 2, L(1, 3), L(4, 2), soma_poisson_nll(x, t, false, false, NONE))
HAND(bce_hand, 4, L(0.5, 0.25, 1, 0), L(0.3, 1, 0, 1), soma_bce(x, t, NONE))
HAND(hinge_hand, 4, L(0.5, 2, -1, 0.5), L(1, 1, 1, -1), soma_hinge(x, t, NONE))
HAND(squared_hinge_hand, 4, L(0.5, 2, -1, 0.5), L(1, 1, 1, -1), soma_squared_hinge(x, t, SUM))
HAND(focal_hand, 3, L(0, 0, 1000), L(1, 0, 1), soma_focal(x, t, 2, 0.25, NONE))
HAND(focal_plain, 3, L(0, 0, -1000), L(1, 0, 1), soma_focal(x, t, 0, 0, NONE))
HAND(kl_hand, 3, L(0, -1, -2), L(1, 0, 0.5), soma_kl_div(x, t, false, NONE))
HAND(kl_log, 2, L(0, -1), L(0, -3), soma_kl_div(x, t, true, NONE))

/* --- refused options ---------------------------------------------------------------------------
 */
BUILD(huber_delta, return soma_huber(X, T, 0, NONE);)
BUILD(smooth_l1_beta, return soma_smooth_l1(X, T, -1, NONE);)
BUILD(pinball_q, return soma_pinball(X, T, 1, NONE);)
BUILD(focal_gamma, return soma_focal(X, T, -1, 0, NONE);)
BUILD(focal_alpha, return soma_focal(X, T, 2, 1.5, NONE);)

/* --- three inputs ------------------------------------------------------------------------------
 */
BUILD(gaussian, soma_var x = X; soma_var t = T;
      return soma_gaussian_nll(x, t, sample_in(ctx, S(5, 7), 0.3, 2), true, NONE);)
BUILD(gaussian_hand, soma_var x = sample_values(ctx, 0, S(3), VALUES(1, 3, 0));
      soma_var t = sample_values(ctx, 0, S(3), VALUES(1, 1, 0.002));
      return soma_gaussian_nll(x, t, sample_values(ctx, 0, S(3), VALUES(1, 4, 0)), false, NONE);)
BUILD(gaussian_shapes, soma_var x = X; return soma_gaussian_nll(x, x, HALF_SHAPE, false, NONE);)
BUILD(ranking, soma_var a = X; soma_var b = T;
      return soma_margin_ranking(a, b, sample_in(ctx, S(5, 7), 0.5, 1.5), 0.3, MEAN);)
BUILD(ranking_hand, soma_var a = sample_values(ctx, 0, S(3), VALUES(1, 1, 2));
      soma_var b = sample_values(ctx, 0, S(3), VALUES(2, 2, 0));
      return soma_margin_ranking(a, b, sample_values(ctx, 0, S(3), VALUES(1, -1, 1)), 0.5, NONE);)
BUILD(ranking_shapes, soma_var x = X; return soma_margin_ranking(x, x, HALF_SHAPE, 0, NONE);)

BUILD(bce_pos, soma_var x = X; soma_var t = sample_in(ctx, S(5, 7), 0, 1);
      return soma_bce_logits(x, t, .pos_weight = sample_in(ctx, S(7), 0.5, 3));)
BUILD(bce_both, soma_var x = X; soma_var t = sample_in(ctx, S(5, 7), 0, 1);
      soma_var p = sample_in(ctx, SOMA_SCALAR, 0.5, 3);
      return soma_bce_logits(x, t, .pos_weight = p, .weight = sample_in(ctx, S(5, 7), 0.5, 3),
                             .reduction = MEAN);)
/* 3 ln 2 for a positive, ln 2 for a negative one; halved. */
BUILD(bce_weighted, soma_var x = sample_values(ctx, 0, S(2), VALUES(0, 0));
      soma_var t = sample_values(ctx, 0, S(2), VALUES(1, 0));
      return soma_bce_logits(x, t, .pos_weight = sample_values(ctx, 0, SOMA_SCALAR, VALUES(3)),
                             .weight = sample_values(ctx, 0, SOMA_SCALAR, VALUES(0.5)));)
BUILD(bce_weight_shape, soma_var x = X; return soma_bce_logits(x, x, .weight = HALF_SHAPE);)
BUILD(bce_pos_shape, soma_var x = X; return soma_bce_logits(x, x, .pos_weight = x);)

/* --- classes -----------------------------------------------------------------------------------
 */
BUILD(entropy_weight, soma_var x = LOGITS; soma_var y = LABELS;
      return soma_cross_entropy(x, y, .weight = WEIGHT);)
BUILD(entropy_smooth, soma_var x = LOGITS;
      return soma_cross_entropy(x, LABELS, .smoothing = 0.1, .reduction = SUM);)
BUILD(entropy_all, soma_var x = LOGITS; soma_var y = LABELS;
      return soma_cross_entropy(x, y, .weight = WEIGHT, .smoothing = 0.2, .ignores = true,
                                .ignore_index = 3, .reduction = MEAN);)
BUILD(entropy_mean, soma_var x = LOGITS; return soma_cross_entropy(x, LABELS, .reduction = MEAN);)
/* ln 2 for each, weights 1 and 3, the third ignored, the fourth out of range. */
BUILD(entropy_hand, soma_var x = sample_values(ctx, 0, S(4, 2), VALUES(0, 0, 0, 0, 5, 0, 0, 0));
      soma_var y = sample_values(ctx, SOMA_I64, S(4), VALUES(0, 1, -100, 2));
      soma_var w = sample_values(ctx, 0, S(2), VALUES(1, 3));
      return soma_cross_entropy(x, y, .weight = w, .ignores = true, .ignore_index = -100);)
/* (ln 2 + 3 ln 2) / 4 */
BUILD(entropy_hand_mean, soma_var x = sample_values(ctx, 0, S(3, 2), VALUES(0, 0, 0, 0, 5, 0));
      soma_var y = sample_values(ctx, SOMA_I64, S(3), VALUES(0, 1, -100));
      soma_var w = sample_values(ctx, 0, S(2), VALUES(1, 3));
      return soma_cross_entropy(x, y, .weight = w, .ignores = true, .ignore_index = -100,
                                .reduction = MEAN);)
BUILD(entropy_smoothing, return soma_cross_entropy(LOGITS, LABELS, .smoothing = 1);)
BUILD(entropy_weights, soma_var x = LOGITS; soma_var y = LABELS;
      return soma_cross_entropy(x, y, .weight = HALF_SHAPE);)
BUILD(entropy_weights_dtype, soma_var x = LOGITS; soma_var y = LABELS;
      return soma_cross_entropy(x, y, .weight = y);)

BUILD(soft, soma_var x = LOGITS;
      return soma_cross_entropy(x, sample_in(ctx, S(6, 9), 0, 0.5), .reduction = MEAN);)
BUILD(soft_all, soma_var x = LOGITS; soma_var t = sample_in(ctx, S(6, 9), 0, 0.5);
      return soma_cross_entropy(x, t, .weight = WEIGHT, .smoothing = 0.3);)
/* Half of each of two equal classes: ln 2. */
BUILD(soft_hand, soma_var x = sample_values(ctx, 0, S(1, 2), VALUES(3, 3));
      return soma_cross_entropy(x, sample_values(ctx, 0, S(1, 2), VALUES(0.5, 0.5)));)
BUILD(soft_shape, soma_var x = LOGITS; return soma_cross_entropy(x, HALF_SHAPE);)
BUILD(soft_weight, soma_var x = LOGITS; return soma_cross_entropy(x, x, .weight = HALF_SHAPE);)
BUILD(soft_ignore, soma_var x = LOGITS; return soma_cross_entropy(x, x, .ignores = true);)

BUILD(nll, soma_var x = sample_in(ctx, S(6, 9), -3, 0); soma_var y = LABELS;
      return soma_nll(x, y, .weight = WEIGHT, .reduction = MEAN);)
/* An infinite value that is not asked for does no harm; a label out of range does. */
BUILD(nll_hand, soma_var x = sample_values(ctx, 0, S(3, 2), VALUES(-1, -2, -INFINITY, -3, -1, -1));
      return soma_nll(x, sample_values(ctx, SOMA_I32, S(3), VALUES(0, 1, 2)));)
BUILD(nll_labels, return soma_nll(LOGITS, sample_int(ctx, SOMA_I64, S(5), 0, 9));)
BUILD(nll_smoothing, soma_var x = LOGITS; soma_var y = LABELS;
      return soma_nll(x, y, .smoothing = 0.1);)

BUILD(class_focal, soma_var x = LOGITS; soma_var y = LABELS;
      return soma_softmax_focal(x, y, 2, WEIGHT, NONE);)
/* p = 1/2: (1/2)² ln 2; p = 1: nothing. */
BUILD(class_focal_hand, soma_var x = sample_values(ctx, 0, S(2, 2), VALUES(0, 0, 1000, 0));
      soma_var y = sample_values(ctx, SOMA_I64, S(2), VALUES(1, 0));
      return soma_softmax_focal(x, y, 2, (soma_var){0}, NONE);)
BUILD(class_focal_gamma, soma_var x = LOGITS;
      return soma_softmax_focal(x, LABELS, -1, (soma_var){0}, NONE);)

BUILD(margin, soma_var x = sample_spread(ctx, S(6, 9), -3, 3); soma_var y = LABELS;
      return soma_multi_margin(x, y, 2, 8, WEIGHT, MEAN);)
BUILD(margin_hand, soma_var x = sample_values(ctx, 0, S(2, 3), VALUES(1, 0.5, -1, 0, 2, 0.5));
      soma_var y = sample_values(ctx, SOMA_I64, S(2), VALUES(0, 2));
      return soma_multi_margin(x, y, 1, 1, (soma_var){0}, NONE);)
BUILD(margin_p, soma_var x = LOGITS;
      return soma_multi_margin(x, LABELS, 3, 1, (soma_var){0}, NONE);)

/* --- samples -----------------------------------------------------------------------------------
 */
#define REGIONS sample_in(ctx, S(3, 4, 5), 0.1, 0.9)
BUILD(dice, soma_var x = REGIONS; return soma_dice(x, REGIONS, 1, NONE);)
BUILD(iou, soma_var x = REGIONS; return soma_iou(x, REGIONS, 1, MEAN);)
/* Two of three cells each, one in common: 1 - 2/4 and 1 - 1/3. */
#define MASKS                                                                                      \
    soma_var x = sample_values(ctx, 0, S(1, 3), VALUES(1, 1, 0));                                  \
    soma_var t = sample_values(ctx, 0, S(1, 3), VALUES(0, 1, 1))
BUILD(dice_hand, MASKS; return soma_dice(x, t, 0, NONE);)
BUILD(iou_hand, MASKS; return soma_iou(x, t, 0, NONE);)
BUILD(dice_batch, soma_var x = HALF_SHAPE; return soma_dice(x, x, 1, NONE);)
BUILD(dice_smooth, soma_var x = REGIONS; return soma_dice(x, x, -1, NONE);)
BUILD(iou_batch, soma_var x = HALF_SHAPE; return soma_iou(x, x, 1, NONE);)

/* 2x2 boxes one apart in both directions: 1 of 7 cells, 2 of the 9 around both left over. */
#define BOXES                                                                                      \
    soma_var x = sample_values(ctx, 0, S(1, 4), VALUES(0, 0, 2, 2));                               \
    soma_var t = sample_values(ctx, 0, S(1, 4), VALUES(1, 1, 3, 3))
BUILD(box_hand, BOXES; return soma_box_iou(x, t, false, NONE);)
BUILD(box_hand_generalised, BOXES; return soma_box_iou(x, t, true, NONE);)
BUILD(box_three, soma_var x = sample_in(ctx, S(5, 3), 0, 1); return soma_box_iou(x, x, true, NONE);)

#define VECTORS sample_in(ctx, S(4, 6), -1, 1)
BUILD(cosine, soma_var a = VECTORS; return soma_cosine_similarity(a, VECTORS, 0, 1e-8);)
BUILD(cosine_hand, soma_var a = sample_values(ctx, 0, S(2, 2), VALUES(3, 4, 0, 0));
      return soma_cosine_similarity(a, sample_values(ctx, 0, S(2, 2), VALUES(4, 3, 1, 0)), -1,
                                    1e-8);)
BUILD(cosine_axis, soma_var a = VECTORS; return soma_cosine_similarity(a, a, 2, 1e-8);)
BUILD(embedding, soma_var a = VECTORS; soma_var b = VECTORS; return soma_cosine_embedding(
          a, b, sample_values(ctx, sample_dtype(ctx), S(4), VALUES(1, -1, 1, -1)), -0.9, NONE);)
BUILD(embedding_hand, soma_var a = sample_values(ctx, 0, S(2, 2), VALUES(3, 4, 3, 4));
      soma_var b = sample_values(ctx, 0, S(2, 2), VALUES(4, 3, 4, 3));
      return soma_cosine_embedding(a, b, sample_values(ctx, 0, S(2), VALUES(1, -1)), 0.5, NONE);)
BUILD(embedding_targets, soma_var a = VECTORS;
      return soma_cosine_embedding(a, a, HALF_SHAPE, 0, NONE);)
BUILD(triplet, soma_var a = VECTORS; soma_var p = VECTORS;
      return soma_triplet(a, p, VECTORS, 1, 2, false, MEAN);)
BUILD(triplet_swap, soma_var a = VECTORS; soma_var p = VECTORS;
      return soma_triplet(a, p, VECTORS, 2, 3, true, NONE);)
/* Distances 5 and 2, but 3 from the positive to the negative. */
#define CORNERS                                                                                    \
    soma_var a = sample_values(ctx, 0, S(1, 2), VALUES(0, 0));                                     \
    soma_var p = sample_values(ctx, 0, S(1, 2), VALUES(5, 0));                                     \
    soma_var n = sample_values(ctx, 0, S(1, 2), VALUES(2, 0))
BUILD(triplet_hand, CORNERS; return soma_triplet(a, p, n, 1, 2, false, NONE);)
BUILD(triplet_near, CORNERS; return soma_triplet(p, a, n, 1, 1, true, NONE);)
BUILD(triplet_p, soma_var a = VECTORS; return soma_triplet(a, a, a, 1, 0.5, false, NONE);)
BUILD(contrastive, soma_var a = VECTORS; soma_var b = VECTORS;
      return soma_contrastive(a, b, sample_in(ctx, S(4), 0.1, 0.9), 4, NONE);)
BUILD(contrastive_hand, soma_var a = sample_values(ctx, 0, S(3, 2), VALUES(0, 0, 0, 0, 0, 0));
      soma_var b = sample_values(ctx, 0, S(3, 2), VALUES(3, 4, 3, 4, 0, 1));
      return soma_contrastive(a, b, sample_values(ctx, 0, S(3), VALUES(1, 0, 0)), 3, NONE);)
BUILD(contrastive_targets, soma_var a = VECTORS; return soma_contrastive(a, a, a, 1, NONE);)

#define KINK .flags = SAMPLE_NO_DIFFERENCES
#define LN2 0.69314718055994531

const soma__sample soma__samples_losses[] = {
    PAIR_ROWS(mse),
    {"mse", "by hand", .build = mse_mean_hand, SAMPLE_EXPECT(10.25 / 3)},
    PAIR_ROWS(half_mse),
    {"half_mse", "by hand", .build = half_mse_hand, SAMPLE_EXPECT(5.125)},
    PAIR_ROWS(mae),
    {"mae", "by hand", .build = mae_hand, SAMPLE_EXPECT(1.5)},
    PAIR_ROWS(huber),
    {"huber", "by hand", .build = huber_hand, SAMPLE_EXPECT(0.125, 0.5, 4)},
    {"huber", "no width", .build = huber_delta, .status = SOMA_INVALID, .message = "delta 0"},
    PAIR_ROWS(smooth_l1),
    {"smooth_l1", "by hand", .build = smooth_l1_hand, SAMPLE_EXPECT(0.0625, 0.25, 2)},
    {"smooth_l1", "beta 0", .build = smooth_l1_sharp, SAMPLE_EXPECT(0.5, 1, 3)},
    {"smooth_l1", "negative", .build = smooth_l1_beta, .status = SOMA_INVALID, .message = "beta"},
    PAIR_ROWS(log_cosh),
    {"log_cosh", "by hand", .build = log_cosh_hand,
     SAMPLE_EXPECT(0, 0.4337808304830271, 100 - LN2)},
    PAIR_ROWS(pinball),
    {"pinball", "by hand", .build = pinball_hand, SAMPLE_EXPECT(0.125, 0.75, 0.75)},
    {"pinball", "q 1", .build = pinball_q, .status = SOMA_INVALID, .message = "q 1 must lie"},
    PAIR_ROWS(poisson_nll),
    {"poisson_nll", "by hand", .build = poisson_hand, SAMPLE_EXPECT(1, M_E - 2, 1)},
    {"poisson_nll", "full", .build = poisson_full, KINK,
     SAMPLE_EXPECT(1 + 2 * LN2 - 2 + LN2 / 2 + 0.91893853320467274, M_E, 1)},
    {"poisson_nll", "of a rate", .build = poisson_rate,
     SAMPLE_EXPECT(1, 3 - 2 * 1.0986122886681098)},
    PAIR_ROWS(bce),
    /* ln 2 whatever the target, ln 4, and the limit of -100 twice. */
    {"bce", "by hand", .build = bce_hand, KINK, SAMPLE_EXPECT(LN2, 2 * LN2, 100, 100)},
    PAIR_ROWS(hinge),
    {"hinge", "by hand", .build = hinge_hand, SAMPLE_EXPECT(0.5, 0, 2, 1.5)},
    PAIR_ROWS(squared_hinge),
    {"squared_hinge", "by hand", .build = squared_hinge_hand, SAMPLE_EXPECT(6.5)},
    PAIR_ROWS(focal),
    {"focal", "by hand", .build = focal_hand, KINK, SAMPLE_EXPECT(LN2 / 16, 3 * LN2 / 16, 0)},
    {"focal", "gamma 0 is bce_logits", .build = focal_plain, KINK, SAMPLE_EXPECT(LN2, LN2, 1000)},
    {"focal", "negative gamma", .build = focal_gamma, .status = SOMA_INVALID, .message = "gamma"},
    {"focal", "alpha beyond 1", .build = focal_alpha, .status = SOMA_INVALID, .message = "alpha"},
    PAIR_ROWS(kl_div),
    {"kl_div", "by hand", .build = kl_hand, KINK, SAMPLE_EXPECT(0, 0, 1 - LN2 / 2)},
    {"kl_div", "logarithms", .build = kl_log, SAMPLE_EXPECT(0, -0.099574136735727889)},

    {"gaussian_nll", "5x7", .build = gaussian, .tolerance = 1e-5},
    /* A variance of 0 counts as a millionth. */
    {"gaussian_nll", "by hand", .build = gaussian_hand, KINK, .tolerance = 1e-5,
     SAMPLE_EXPECT(0, (2 * LN2 + 1) / 2, (-13.815510557964274 + 4) / 2)},
    {"gaussian_nll", "variance of another shape", .build = gaussian_shapes, .status = SOMA_SHAPE,
     .message = "third input"},
    {"margin_ranking", "5x7", .build = ranking, .tolerance = 1e-5},
    {"margin_ranking", "by hand", .build = ranking_hand, KINK, SAMPLE_EXPECT(1.5, 0, 0)},
    {"margin_ranking", "another shape", .build = ranking_shapes, .status = SOMA_SHAPE,
     .message = "third input"},

    {"bce_logits", "pos_weight for each", .build = bce_pos, .tolerance = 1e-5},
    {"bce_logits", "both weights", .build = bce_both, .tolerance = 1e-5},
    {"bce_logits", "weights by hand", .build = bce_weighted, SAMPLE_EXPECT(1.5 * LN2, 0.5 * LN2)},
    {"bce_logits", "weight of another shape", .build = bce_weight_shape, .status = SOMA_SHAPE,
     .message = "weight is [5], but for x [5,7] must be"},
    {"bce_logits", "pos_weight of x's shape", .build = bce_pos_shape, .status = SOMA_SHAPE,
     .message = "pos_weight is [5,7]"},

    {"weighted_cross_entropy", "weights", .build = entropy_weight, .tolerance = 1e-5},
    {"weighted_cross_entropy", "smoothing", .build = entropy_smooth, .tolerance = 1e-5},
    {"weighted_cross_entropy", "all of it", .build = entropy_all, .tolerance = 1e-5},
    {"weighted_cross_entropy", "plain mean", .build = entropy_mean, .tolerance = 1e-5},
    {"weighted_cross_entropy", "by hand", .build = entropy_hand, KINK,
     SAMPLE_EXPECT(LN2, 3 * LN2, 0, NAN)},
    {"weighted_cross_entropy", "mean by hand", .build = entropy_hand_mean, SAMPLE_EXPECT(LN2)},
    {"weighted_cross_entropy", "smoothing 1", .build = entropy_smoothing, .status = SOMA_INVALID,
     .message = "smoothing 1 must be"},
    {"weighted_cross_entropy", "too few weights", .build = entropy_weights, .status = SOMA_SHAPE,
     .message = "weight is [5], but x [6,9] wants one number per class"},
    {"weighted_cross_entropy", "integer weights", .build = entropy_weights_dtype,
     .status = SOMA_DTYPE, .message = "weight is i64"},
    {"soft_cross_entropy", "mean", .build = soft, .tolerance = 1e-5},
    {"soft_cross_entropy", "all of it", .build = soft_all, .tolerance = 1e-5},
    {"soft_cross_entropy", "by hand", .build = soft_hand, SAMPLE_EXPECT(LN2)},
    {"soft_cross_entropy", "another shape", .build = soft_shape, .status = SOMA_SHAPE,
     .message = "prediction [6,9] and target [5]"},
    {"soft_cross_entropy", "too few weights", .build = soft_weight, .status = SOMA_SHAPE,
     .message = "one weight per class"},
    {"soft_cross_entropy", "nothing to ignore", .build = soft_ignore, .status = SOMA_INVALID,
     .message = "ignore_index goes with labels"},
    {"nll", "weights", .build = nll, .tolerance = 1e-5},
    {"nll", "by hand", .build = nll_hand, KINK, SAMPLE_EXPECT(1, 3, NAN)},
    {"nll", "labels of another batch", .build = nll_labels, .status = SOMA_SHAPE,
     .message = "labels are [5]"},
    {"nll", "smoothing", .build = nll_smoothing, .status = SOMA_INVALID,
     .message = "takes no smoothing"},
    {"softmax_focal", "weights", .build = class_focal, .tolerance = 1e-5},
    {"softmax_focal", "by hand", .build = class_focal_hand, KINK, SAMPLE_EXPECT(LN2 / 4, 0)},
    {"softmax_focal", "negative gamma", .build = class_focal_gamma, .status = SOMA_INVALID,
     .message = "gamma"},
    {"multi_margin", "squares", .build = margin, .tolerance = 1e-5},
    {"multi_margin", "by hand", .build = margin_hand, SAMPLE_EXPECT(0.5 / 3, 1)},
    {"multi_margin", "p 3", .build = margin_p, .status = SOMA_INVALID, .message = "p 3"},

    {"dice", "3 regions", .build = dice, .tolerance = 1e-5},
    {"dice", "by hand", .build = dice_hand, SAMPLE_EXPECT(0.5)},
    {"dice", "no regions", .build = dice_batch, .status = SOMA_SHAPE, .message = "[B,…]"},
    {"dice", "negative smooth", .build = dice_smooth, .status = SOMA_INVALID, .message = "smooth"},
    {"iou", "3 regions", .build = iou, .tolerance = 1e-5},
    {"iou", "by hand", .build = iou_hand, SAMPLE_EXPECT(2.0 / 3)},
    {"iou", "no regions", .build = iou_batch, .status = SOMA_SHAPE, .message = "[B,…]"},
    {"box_iou", "by hand", .build = box_hand, SAMPLE_EXPECT(1 - 1 / 7.0)},
    {"box_iou", "generalised", .build = box_hand_generalised, SAMPLE_EXPECT(1 - 1 / 7.0 + 2 / 9.0)},
    {"box_iou", "three numbers", .build = box_three, .status = SOMA_SHAPE,
     .message = "boxes are [5,3]"},
    {"cosine_similarity", "axis 0", .build = cosine, .tolerance = 1e-5},
    {"cosine_similarity", "by hand", .build = cosine_hand, KINK, SAMPLE_EXPECT(0.96, 0)},
    {"cosine_similarity", "no such axis", .build = cosine_axis, .status = SOMA_SHAPE,
     .message = "axis 2"},
    {"cosine_embedding", "4x6", .build = embedding, .tolerance = 1e-5},
    {"cosine_embedding", "by hand", .build = embedding_hand, KINK, SAMPLE_EXPECT(0.04, 0.46)},
    {"cosine_embedding", "targets of another batch", .build = embedding_targets,
     .status = SOMA_SHAPE, .message = "targets are [5], but vectors [4,6] want one for each"},
    {"triplet", "4x6", .build = triplet, .tolerance = 1e-5},
    {"triplet", "swap, p 3", .build = triplet_swap, .tolerance = 2e-5},
    {"triplet", "by hand", .build = triplet_hand, SAMPLE_EXPECT(4)},
    {"triplet", "nearer to the positive", .build = triplet_near, KINK, SAMPLE_EXPECT(4.000002)},
    {"triplet", "p below 1", .build = triplet_p, .status = SOMA_INVALID, .message = "p 0.5"},
    {"contrastive", "4x6", .build = contrastive, .tolerance = 1e-5},
    {"contrastive", "by hand", .build = contrastive_hand, KINK, .tolerance = 1e-5,
     SAMPLE_EXPECT(12.499993, 0, 2.000002)},
    {"contrastive", "targets of another shape", .build = contrastive_targets, .status = SOMA_SHAPE,
     .message = "targets are [4,6]"},
    {0},
};
