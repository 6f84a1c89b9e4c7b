/* losses.c: the table of losses: options, tasks and how each is built. */
#include <math.h>
#include <stddef.h>

#include "soma/sequence.h"
#include "train/loss.h"

#define AT(member_) (offsetof(soma__loss_section, options) + offsetof(soma_loss_options, member_))
#define NUMBER(key_, member_, min_, max_, doc_)                                                    \
    {                                                                                              \
        .key = key_, .kind = SOMA__FIELD_FLOAT, .offset = AT(member_), .min = min_, .max = max_,   \
        .doc = doc_                                                                                \
    }
#define FLAG(key_, member_, doc_)                                                                  \
    {                                                                                              \
        .key = key_, .kind = SOMA__FIELD_BOOL, .offset = AT(member_), .doc = doc_                  \
    }
#define CLASS_WEIGHTS                                                                              \
    {                                                                                              \
        .key = "class_weights", .kind = SOMA__FIELD_VALUE,                                         \
        .offset = offsetof(soma__loss_section, class_weights),                                     \
        .doc = "a number per class, or `balanced`: by how rare each is; 1 each"                    \
    }
#define IGNORE_INDEX                                                                               \
    {                                                                                              \
        .key = "ignore_index", .kind = SOMA__FIELD_INT, .offset = AT(ignore_index),                \
        .doc = "samples of this label count for nothing; none"                                     \
    }
#define MARGIN NUMBER("margin", margin, 1e-9, 1e9, "by which the truth should lead; 1")
#define SMOOTH NUMBER("smooth", smooth, 1e-12, 1e9, "added above and below the fraction; 1")
#define GAMMA NUMBER("gamma", gamma, 1e-9, 100, "how little easy samples count; 2")

#define CLASSIFY SOMA__TASK_BIT(SOMA_TASK_CLASSIFY)
#define BINARY SOMA__TASK_BIT(SOMA_TASK_BINARY)
#define REGRESS SOMA__TASK_BIT(SOMA_TASK_REGRESS)

#define LOGITS "k logits, class labels"
#define BINARY_LOGITS "logits, targets in [0,1]"
#define ANY_VALUES "values, values"

/* A row of the table: `each_` is an expression of b, further fields follow. */
#define TYPE(name_, doc_, wants_, tasks_, defaults_, each_, ...)                                   \
    static const soma__field name_##_fields[] = {__VA_ARGS__};                                     \
    static soma_var name_##_each(const soma__loss_build *b)                                        \
    {                                                                                              \
        return each_;                                                                              \
    }                                                                                              \
    const soma__loss_type soma__loss_##name_ = {                                                   \
        .name = #name_,                                                                            \
        .doc = doc_,                                                                               \
        .wants = wants_,                                                                           \
        .tasks = tasks_,                                                                           \
        .fields = name_##_fields,                                                                  \
        .field_count = (int)(sizeof name_##_fields / sizeof name_##_fields[0]),                    \
        .defaults = {defaults_},                                                                   \
        .each = name_##_each,                                                                      \
    }
/* The same without options. */
#define PLAIN_TYPE(name_, doc_, wants_, tasks_, each_)                                             \
    static soma_var name_##_each(const soma__loss_build *b)                                        \
    {                                                                                              \
        return each_;                                                                              \
    }                                                                                              \
    const soma__loss_type soma__loss_##name_ = {                                                   \
        .name = #name_,                                                                            \
        .doc = doc_,                                                                               \
        .wants = wants_,                                                                           \
        .tasks = tasks_,                                                                           \
        .each = name_##_each,                                                                      \
    }

/* --- classes -----------------------------------------------------------------------------------
 */

TYPE(cross_entropy, "-log of the softmax at the label; what `classify` takes", LOGITS, CLASSIFY, 0,
     soma_cross_entropy(b->out, b->y, .weight = b->weight, .smoothing = b->options->smoothing,
                        .ignores = b->options->ignores, .ignore_index = b->options->ignore_index),
     NUMBER("smoothing", smoothing, 0, 0.999,
            "share of the target that all classes get; 0 (Szegedy et al. 2016)"),
     CLASS_WEIGHTS, IGNORE_INDEX);
TYPE(nll, "-value at the label, for models that end in log_softmax", "log-probabilities, labels",
     CLASSIFY, 0,
     soma_nll(b->out, b->y, .weight = b->weight, .ignores = b->options->ignores,
              .ignore_index = b->options->ignore_index),
     CLASS_WEIGHTS, IGNORE_INDEX);
TYPE(multi_margin, "how far other classes come up to the label's, less a margin",
     "k scores, class labels", CLASSIFY, .margin = 1,
     soma_multi_margin(b->out, b->y, b->options->squared ? 2 : 1, b->options->margin, b->weight,
                       SOMA_REDUCTION_NONE),
     MARGIN, FLAG("squared", squared, "squares what falls short; false"), CLASS_WEIGHTS);

static soma_var focal(const soma__loss_build *b)
{
    double gamma = b->options->gamma;
    return b->task == SOMA_TASK_CLASSIFY
               ? soma_softmax_focal(b->out, b->y, gamma, b->weight, SOMA_REDUCTION_NONE)
               : soma_focal(b->out, b->y, gamma, b->options->alpha, SOMA_REDUCTION_NONE);
}
TYPE(focal, "cross-entropy that counts easy samples less (Lin et al. 2017)",
     LOGITS "; " BINARY_LOGITS, CLASSIFY | BINARY, .gamma = 2, focal(b), GAMMA,
     NUMBER("alpha", alpha, 0, 1, "binary: weight of targets 1, the others get 1 - alpha; none"),
     CLASS_WEIGHTS);

/* --- two classes -------------------------------------------------------------------------------
 */

static soma_var bce(const soma__loss_build *b)
{
    soma_var pos = {0};
    if (b->options->pos_weight < 1 || b->options->pos_weight > 1)
        pos = soma_scalar(b->out.graph, soma_var_dtype(b->out), b->options->pos_weight);
    return soma_bce_logits(b->out, b->y, .pos_weight = pos);
}
TYPE(bce_logits, "binary cross-entropy of the sigmoid; what `binary` takes", BINARY_LOGITS, BINARY,
     .pos_weight = 1, bce(b),
     NUMBER("pos_weight", pos_weight, 1e-9, 1e9, "weight of targets 1; 1"));

/* Targets 0 and 1 as -1 and 1. */
static soma_var signs(const soma__loss_build *b)
{
    return soma_add_scalar(soma_mul_scalar(b->y, 2), -1);
}
PLAIN_TYPE(hinge, "max(0, 1 - score), the score's sign turned for targets 0",
           "scores, targets 0 or 1", BINARY, soma_hinge(b->out, signs(b), SOMA_REDUCTION_NONE));
PLAIN_TYPE(squared_hinge, "the square of hinge", "scores, targets 0 or 1", BINARY,
           soma_squared_hinge(b->out, signs(b), SOMA_REDUCTION_NONE));
TYPE(dice, "1 - Dice's overlap of the sigmoid with the target (Milletari et al. 2016)",
     BINARY_LOGITS ", such as masks", BINARY, .smooth = 1,
     soma_dice(soma_sigmoid(b->out), b->y, b->options->smooth, SOMA_REDUCTION_NONE), SMOOTH);
TYPE(iou, "1 - intersection over union of the sigmoid and the target",
     BINARY_LOGITS ", such as masks", BINARY, .smooth = 1,
     soma_iou(soma_sigmoid(b->out), b->y, b->options->smooth, SOMA_REDUCTION_NONE), SMOOTH);

/* --- values ------------------------------------------------------------------------------------
 */

PLAIN_TYPE(mse, "squared error; what `regress` takes", ANY_VALUES, REGRESS,
           soma_squared_error(b->out, b->y));
PLAIN_TYPE(half_mse, "half the squared error", ANY_VALUES, REGRESS,
           soma_half_mse(b->out, b->y, SOMA_REDUCTION_NONE));
PLAIN_TYPE(mae, "absolute error: learns the median", ANY_VALUES, REGRESS,
           soma_mae(b->out, b->y, SOMA_REDUCTION_NONE));
TYPE(huber, "squared error near, absolute error beyond delta (Huber 1964)", ANY_VALUES, REGRESS,
     .delta = 1, soma_huber(b->out, b->y, b->options->delta, SOMA_REDUCTION_NONE),
     NUMBER("delta", delta, 1e-9, 1e9, "where the parabola ends; 1"));
TYPE(smooth_l1, "huber over its delta, here beta (Girshick 2015)", ANY_VALUES, REGRESS, .beta = 1,
     soma_smooth_l1(b->out, b->y, b->options->beta, SOMA_REDUCTION_NONE),
     NUMBER("beta", beta, 1e-9, 1e9, "where the parabola ends; 1"));
PLAIN_TYPE(log_cosh, "ln cosh of the error: huber without a seam", ANY_VALUES, REGRESS,
           soma_log_cosh(b->out, b->y, SOMA_REDUCTION_NONE));
TYPE(quantile, "pinball: learns the q-quantile (Koenker & Bassett 1978)", ANY_VALUES, REGRESS,
     .q = 0.5, soma_pinball(b->out, b->y, b->options->q, SOMA_REDUCTION_NONE),
     NUMBER("q", q, 1e-6, 0.999999, "the quantile; 0.5"));
TYPE(poisson, "of counts: e^x - t·x, or x - t·ln x", "logarithms of rates (or rates), counts",
     REGRESS, 0,
     soma_poisson_nll(b->out, b->y, !b->options->rates, b->options->full, SOMA_REDUCTION_NONE),
     FLAG("rates", rates, "the model says rates, not their logarithms; false"),
     FLAG("full", full, "with Stirling's approximation of ln t!; false"));
TYPE(kl_div, "t·(ln t - x): distance of distributions", "log-probabilities, probabilities", REGRESS,
     0, soma_kl_div(b->out, b->y, b->options->log_target, SOMA_REDUCTION_NONE),
     FLAG("log_target", log_target, "the targets are logarithms; false"));

static soma_var cosine(const soma__loss_build *b)
{
    soma_var similar = soma_cosine_similarity(b->out, b->y, -1, 1e-8);
    return soma_add_scalar(soma_neg(similar), 1);
}
PLAIN_TYPE(cosine, "1 - the cosine between answer and target", "vectors, vectors", REGRESS,
           cosine(b));

/* --- tags --------------------------------------------------------------------------------------
 */

PLAIN_TYPE(crf, "-log of the probability of a row of tags; what models with a crf layer last take",
           "a chain, tags", CLASSIFY, soma_chain_loss(b->out, b->y));
