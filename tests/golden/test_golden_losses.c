/* test_golden_losses.c: losses against PyTorch's. */
#include "golden.h"

#define NONE SOMA_REDUCTION_NONE
#define MEAN SOMA_REDUCTION_MEAN
#define SUM SOMA_REDUCTION_SUM

/* --- values ------------------------------------------------------------------------------------
 */
GOLDEN(mse_none, soma_mse(in[0], in[1], NONE))
GOLDEN(mse_mean, soma_mse(in[0], in[1], MEAN))
GOLDEN(mse_sum, soma_mse(in[0], in[1], SUM))
GOLDEN(half_mse, soma_half_mse(in[0], in[1], MEAN))
GOLDEN(mae, soma_mae(in[0], in[1], MEAN))
GOLDEN(huber, soma_huber(in[0], in[1], 0.7, NONE))
GOLDEN(smooth_l1, soma_smooth_l1(in[0], in[1], 0.7, SUM))
GOLDEN(smooth_l1_zero, soma_smooth_l1(in[0], in[1], 0, MEAN))
GOLDEN(log_cosh, soma_log_cosh(in[0], in[1], NONE))
GOLDEN(pinball, soma_pinball(in[0], in[1], 0.8, MEAN))
GOLDEN(poisson_nll_log, soma_poisson_nll(in[0], in[1], true, false, NONE))
GOLDEN(poisson_nll_full, soma_poisson_nll(in[0], in[1], true, true, MEAN))
GOLDEN(poisson_nll, soma_poisson_nll(in[0], in[1], false, false, SUM))
GOLDEN(gaussian_nll, soma_gaussian_nll(in[0], in[1], in[2], false, NONE))
GOLDEN(gaussian_nll_full, soma_gaussian_nll(in[0], in[1], in[2], true, MEAN))
GOLDEN(margin_ranking, soma_margin_ranking(in[0], in[1], in[2], 0.5, MEAN))

/* --- two classes -------------------------------------------------------------------------------
 */
GOLDEN(bce, soma_bce(in[0], in[1], MEAN))
GOLDEN(bce_limit, soma_bce(in[0], in[1], NONE))
GOLDEN(bce_logits_pos, soma_bce_logits(in[0], in[1], .pos_weight = in[2]))
GOLDEN(bce_logits_weight, soma_bce_logits(in[0], in[1], .weight = in[2], .reduction = MEAN))
GOLDEN(bce_logits_both,
       soma_bce_logits(in[0], in[1], .pos_weight = in[2], .weight = in[3], .reduction = SUM))
GOLDEN(hinge, soma_hinge(in[0], in[1], MEAN))
GOLDEN(squared_hinge, soma_squared_hinge(in[0], in[1], NONE))
GOLDEN(focal, soma_focal(in[0], in[1], 2, 0.25, NONE))
GOLDEN(focal_plain, soma_focal(in[0], in[1], 1.5, 0, MEAN))

/* --- classes -----------------------------------------------------------------------------------
 */
#define ALL(reduction_)                                                                            \
    soma_cross_entropy(in[0], in[1], .weight = in[2], .smoothing = 0.1, .ignores = true,           \
                       .ignore_index = -100, .reduction = (reduction_))
GOLDEN(cross_entropy_none, ALL(NONE))
GOLDEN(cross_entropy_mean, ALL(MEAN))
GOLDEN(cross_entropy_sum, ALL(SUM))
GOLDEN(cross_entropy_plain, soma_cross_entropy(in[0], in[1], .reduction = MEAN))
GOLDEN(cross_entropy_smooth, soma_cross_entropy(in[0], in[1], .smoothing = 0.2, .reduction = MEAN))
GOLDEN(cross_entropy_ignore, soma_cross_entropy(in[0], in[1], .smoothing = 0.2, .ignores = true,
                                                .ignore_index = 4, .reduction = MEAN))
GOLDEN(cross_entropy_weight, soma_cross_entropy(in[0], in[1], .weight = in[2], .reduction = MEAN))
GOLDEN(cross_entropy_soft, soma_cross_entropy(in[0], in[1], .reduction = MEAN))
GOLDEN(cross_entropy_soft_all, soma_cross_entropy(in[0], in[1], .weight = in[2], .smoothing = 0.1))
GOLDEN(nll, soma_nll(in[0], in[1]))
GOLDEN(nll_weight, soma_nll(in[0], in[1], .weight = in[2], .ignores = true, .ignore_index = 4,
                            .reduction = MEAN))
GOLDEN(softmax_focal, soma_softmax_focal(in[0], in[1], 2, in[2], MEAN))
GOLDEN(softmax_focal_half, soma_softmax_focal(in[0], in[1], 0.5, in[2], MEAN))
GOLDEN(multi_margin, soma_multi_margin(in[0], in[1], 1, 1, (soma_var){0}, NONE))
GOLDEN(kl_div, soma_kl_div(in[0], in[1], false, SUM))
GOLDEN(kl_div_log, soma_kl_div(in[0], in[1], true, NONE))

static soma_var multi_margin_square(const soma_var *in)
{
    soma_tensor *weight;
    soma_error err;
    const float values[] = {1, 0.5f, 2, 1, 1.5f};
    if (soma_tensor_from(&weight, SOMA_F32, SOMA_SHAPE(5), values, &err) != SOMA_OK)
        return (soma_var){0};
    soma_var w = soma_constant(in[0].graph, weight);
    soma_tensor_release(weight);
    return soma_multi_margin(in[0], in[1], 2, 0.6, w, MEAN);
}

/* --- samples -----------------------------------------------------------------------------------
 */
GOLDEN(dice, soma_dice(in[0], in[1], 1, NONE))
GOLDEN(iou, soma_iou(in[0], in[1], 0.5, MEAN))
GOLDEN(box_iou, soma_box_iou(in[0], in[1], false, NONE))
GOLDEN(box_giou, soma_box_iou(in[0], in[1], true, MEAN))
GOLDEN(cosine_similarity, soma_cosine_similarity(in[0], in[1], -1, 1e-8))
GOLDEN(cosine_similarity_axis, soma_cosine_similarity(in[0], in[1], 0, 1e-8))
GOLDEN(triplet, soma_triplet(in[0], in[1], in[2], 1, 2, false, MEAN))
GOLDEN(triplet_swap, soma_triplet(in[0], in[1], in[2], 0.6, 1, true, NONE))
GOLDEN(triplet_three, soma_triplet(in[0], in[1], in[2], 2, 3, false, SUM))
GOLDEN(contrastive, soma_contrastive(in[0], in[1], in[2], 3, MEAN))

static soma_var cosine_embedding(const soma_var *in)
{
    soma_tensor *y;
    soma_error err;
    const float values[] = {1, -1, 1, -1, -1};
    if (soma_tensor_from(&y, SOMA_F32, SOMA_SHAPE(5), values, &err) != SOMA_OK)
        return (soma_var){0};
    soma_var signs = soma_constant(in[0].graph, y);
    soma_tensor_release(y);
    return soma_cosine_embedding(in[0], in[1], signs, -0.5, NONE);
}

static const golden cases[] = {
    {"mse_none", "x t", mse_none},
    {"mse_mean", "x t", mse_mean},
    {"mse_sum", "x t", mse_sum},
    {"half_mse", "x t", half_mse},
    {"mae", "x t", mae},
    {"huber", "x t", huber},
    {"smooth_l1", "x t", smooth_l1},
    {"smooth_l1_zero", "x t", smooth_l1_zero},
    {"log_cosh", "x t", log_cosh},
    {"pinball", "x t", pinball},
    {"poisson_nll_log", "x t", poisson_nll_log},
    {"poisson_nll_full", "x t", poisson_nll_full},
    {"poisson_nll", "x t", poisson_nll},
    {"gaussian_nll", "x t var", gaussian_nll},
    {"gaussian_nll_full", "x t var", gaussian_nll_full},
    {"margin_ranking", "a b s", margin_ranking},
    {"bce", "x t", bce},
    {"bce_limit", "x t", bce_limit},
    {"bce_logits_pos", "x t p", bce_logits_pos},
    {"bce_logits_weight", "x t w", bce_logits_weight},
    {"bce_logits_both", "x t p w", bce_logits_both},
    {"hinge", "x t", hinge},
    {"squared_hinge", "x t", squared_hinge},
    {"focal", "x t", focal},
    {"focal_plain", "x t", focal_plain},
    {"cross_entropy_none", "x labels weight", cross_entropy_none},
    {"cross_entropy_mean", "x labels weight", cross_entropy_mean},
    {"cross_entropy_sum", "x labels weight", cross_entropy_sum},
    {"cross_entropy_plain", "x labels", cross_entropy_plain},
    {"cross_entropy_smooth", "x labels", cross_entropy_smooth},
    {"cross_entropy_ignore", "x labels", cross_entropy_ignore},
    {"cross_entropy_weight", "x labels weight", cross_entropy_weight},
    {"cross_entropy_pixels", "x labels weight", cross_entropy_weight},
    {"cross_entropy_soft", "x t", cross_entropy_soft},
    {"cross_entropy_soft_all", "x t weight", cross_entropy_soft_all},
    {"nll", "x labels", nll},
    {"nll_weight", "x labels weight", nll_weight},
    {"softmax_focal", "x labels weight", softmax_focal},
    {"softmax_focal_half", "x labels weight", softmax_focal_half},
    {"multi_margin", "x labels", multi_margin},
    {"multi_margin_square", "x labels", multi_margin_square},
    {"kl_div", "x t", kl_div},
    {"kl_div_log", "x t", kl_div_log},
    {"dice", "x t", dice},
    {"iou", "x t", iou},
    {"box_iou", "x t", box_iou},
    {"box_giou", "x t", box_giou},
    {"cosine_similarity", "a b", cosine_similarity},
    {"cosine_similarity_axis", "a b", cosine_similarity_axis},
    {"cosine_embedding", "a b", cosine_embedding},
    {"triplet", "a b c", triplet},
    {"triplet_swap", "a b c", triplet_swap},
    {"triplet_three", "a b c", triplet_three},
    {"contrastive", "a b t", contrastive},
};

int main(void)
{
    return golden_run("losses.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
