/* loss_sample.c: losses that look at a whole sample: regions, boxes, embeddings. One value for each
 * sample or vector; all composites. */
#include "ops/loss.h"

#define DISTANCE_EPS 1e-6 /* keeps the root of a distance off 0, where it has no slope */
#define COSINE_EPS 1e-12  /* added to squared lengths */

#define FORMULA(name_)                                                                             \
    static soma_var decompose_##name_(soma_graph *graph, const soma_var *in, int nin,              \
                                      const void *attributes)
#define ATTRS                                                                                      \
    const soma__loss_attrs *attrs = attributes;                                                    \
    (void)graph, (void)nin

static soma_var last_sum(soma_var x)
{
    return soma_sum(x, .axes = {-1}, .count = 1);
}

/* --- regions -----------------------------------------------------------------------------------
 */

static soma_status region_rule(soma__rule *rule)
{
    const soma__loss_attrs *attrs = rule->attrs;
    char text[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(soma__loss_same(rule, 2));
    if (rule->in_shape[0].ndim < 2)
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "x is %s, but must be [B,…] with a region for each sample",
                               soma_shape_text(&rule->in_shape[0], text, sizeof(text)));
    SOMA__TRY(soma__loss_range(rule, "smooth", attrs->number[0], 0, INFINITY));
    rule->shape = SOMA_SHAPE(rule->in_shape[0].dim[0]);
    return soma__loss_finish_rule(rule);
}

/* Σ over all but the batch. */
static soma_var sample_sum(soma_var x)
{
    return soma_sum(soma_flatten(x, 1), .axes = {1}, .count = 1);
}

static soma_var one_minus(soma_var part, soma_var whole, double smooth, int64_t reduction)
{
    soma_var share = soma_div(soma_add_scalar(part, smooth), soma_add_scalar(whole, smooth));
    return soma__loss_reduce(soma_add_scalar(soma_neg(share), 1), reduction);
}

FORMULA(dice)
{
    ATTRS;
    soma_var both = soma_mul_scalar(sample_sum(soma_mul(in[0], in[1])), 2);
    soma_var sum = sample_sum(soma_add(in[0], in[1]));
    return one_minus(both, sum, attrs->number[0], attrs->reduction);
}

FORMULA(iou)
{
    ATTRS;
    soma_var both = sample_sum(soma_mul(in[0], in[1]));
    soma_var sum = sample_sum(soma_add(in[0], in[1]));
    return one_minus(both, soma_sub(sum, both), attrs->number[0], attrs->reduction);
}

/* --- boxes -------------------------------------------------------------------------------------
 */

static soma_status box_rule(soma__rule *rule)
{
    const soma_shape *x = &rule->in_shape[0];
    char text[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(soma__loss_same(rule, 2));
    if (x->ndim < 1 || x->dim[x->ndim - 1] != 4)
        return soma__rule_fail(rule, SOMA_SHAPE, "boxes are %s, but must be [B…,4]",
                               soma_shape_text(x, text, sizeof(text)));
    rule->shape.dim[--rule->shape.ndim] = 0;
    return soma__loss_finish_rule(rule);
}

static soma_var area(soma_var corner, soma_var opposite)
{
    soma_var sides = soma_relu(soma_sub(opposite, corner));
    soma_var width = soma_slice(sides, -1, 0, 1), height = soma_slice(sides, -1, 1, 2);
    return last_sum(soma_mul(width, height));
}

/* Areas of no size at all give 0/eps: apart, not NaN. */
FORMULA(box_iou)
{
    ATTRS;
    soma_var x0 = soma_slice(in[0], -1, 0, 2), x1 = soma_slice(in[0], -1, 2, 4);
    soma_var t0 = soma_slice(in[1], -1, 0, 2), t1 = soma_slice(in[1], -1, 2, 4);
    soma_var both = area(soma_maximum(x0, t0), soma_minimum(x1, t1));
    soma_var any = soma_sub(soma_add(area(x0, x1), area(t0, t1)), both);
    soma_var each = soma_sub(soma__like(both, 1), soma_div(both, soma_add_scalar(any, 1e-7)));
    if (attrs->flag[0]) {
        soma_var around = area(soma_minimum(x0, t0), soma_maximum(x1, t1));
        each = soma_add(each, soma_div(soma_sub(around, any), soma_add_scalar(around, 1e-7)));
    }
    return soma__loss_reduce(each, attrs->reduction);
}

/* --- embeddings --------------------------------------------------------------------------------
 */

static soma_status similarity_rule(soma__rule *rule)
{
    soma__loss_attrs *attrs = rule->attrs;
    SOMA__TRY(soma__loss_same(rule, 2));
    if (rule->in_shape[0].ndim < 1)
        return soma__rule_fail(rule, SOMA_SHAPE, "a must have at least one dimension");
    SOMA__TRY(soma__rule_axis(rule, &attrs->flag[0], rule->in_shape[0].ndim));
    SOMA__TRY(soma__loss_range(rule, "eps", attrs->number[0], 0, INFINITY));
    for (int d = (int)attrs->flag[0]; d + 1 < rule->shape.ndim; d++)
        rule->shape.dim[d] = rule->shape.dim[d + 1];
    rule->shape.dim[--rule->shape.ndim] = 0;
    return SOMA_OK;
}

/* The first `vectors` inputs are [B…,D], a further one [B…]. number[0] is the margin. */
static soma_status embedding_rule(soma__rule *rule, int vectors)
{
    const soma__loss_attrs *attrs = rule->attrs;
    char tx[SOMA_SHAPE_TEXT_SIZE], ty[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(soma__loss_same(rule, vectors));
    if (rule->in_shape[0].ndim < 1)
        return soma__rule_fail(rule, SOMA_SHAPE, "vectors must have at least one dimension");
    rule->shape.dim[--rule->shape.ndim] = 0;
    if (rule->nin > vectors && !soma_shape_equal(&rule->shape, &rule->in_shape[vectors]))
        return soma__rule_fail(rule, SOMA_SHAPE, "targets are %s, but vectors %s want %s",
                               soma_shape_text(&rule->in_shape[vectors], ty, sizeof(ty)),
                               soma_shape_text(&rule->in_shape[0], tx, sizeof(tx)), "one for each");
    SOMA__TRY(soma__loss_range(rule, "margin", attrs->number[0], -1e300, 1e300));
    return soma__loss_finish_rule(rule);
}

static soma_status cosine_embedding_rule(soma__rule *rule)
{
    return embedding_rule(rule, 2);
}

static soma_status triplet_rule(soma__rule *rule)
{
    const soma__loss_attrs *attrs = rule->attrs;
    SOMA__TRY(embedding_rule(rule, 3));
    return soma__loss_range(rule, "p", attrs->number[1], 1, 1e3);
}

static soma_var dot(soma_var a, soma_var b, int64_t axis)
{
    return soma_sum(soma_mul(a, b), .axes = {axis}, .count = 1);
}

FORMULA(cosine_similarity)
{
    ATTRS;
    int64_t axis = attrs->flag[0];
    soma_var least = soma__like(in[0], attrs->number[0] * attrs->number[0]);
    soma_var a = soma_maximum(dot(in[0], in[0], axis), least);
    soma_var b = soma_maximum(dot(in[1], in[1], axis), least);
    return soma_mul(dot(in[0], in[1], axis), soma_mul(soma_rsqrt(a), soma_rsqrt(b)));
}

FORMULA(cosine_embedding)
{
    ATTRS;
    soma_var a = soma_add_scalar(dot(in[0], in[0], -1), COSINE_EPS);
    soma_var b = soma_add_scalar(dot(in[1], in[1], -1), COSINE_EPS);
    soma_var cosine = soma_mul(dot(in[0], in[1], -1), soma_mul(soma_rsqrt(a), soma_rsqrt(b)));
    soma_var apart = soma_relu(soma_add_scalar(cosine, -attrs->number[0]));
    soma_var together = soma_add_scalar(soma_neg(cosine), 1);
    soma_var each = soma_where(soma_less(soma__like(in[2], 0), in[2]), together, apart);
    return soma__loss_reduce(each, attrs->reduction);
}

/* ‖a - b + eps‖_p along the last axis. */
static soma_var distance(soma_var a, soma_var b, double p)
{
    soma_var d = soma_add_scalar(soma_sub(a, b), DISTANCE_EPS);
    if (p == 1)
        return last_sum(soma_abs(d));
    if (p == 2)
        return soma_sqrt(last_sum(soma_square(d)));
    return soma_pow_scalar(last_sum(soma_pow_scalar(soma_abs(d), p)), 1 / p);
}

FORMULA(triplet)
{
    ATTRS;
    double p = attrs->number[1];
    soma_var near = distance(in[0], in[1], p), far = distance(in[0], in[2], p);
    if (attrs->flag[0])
        far = soma_minimum(far, distance(in[1], in[2], p));
    soma_var each = soma_relu(soma_add_scalar(soma_sub(near, far), attrs->number[0]));
    return soma__loss_reduce(each, attrs->reduction);
}

FORMULA(contrastive)
{
    ATTRS;
    soma_var d = distance(in[0], in[1], 2), t = in[2];
    soma_var short_of = soma_relu(soma_add_scalar(soma_neg(d), attrs->number[0]));
    soma_var apart = soma_mul(soma_add_scalar(soma_neg(t), 1), soma_square(short_of));
    soma_var each = soma_mul_scalar(soma_add(soma_mul(t, soma_square(d)), apart), 0.5);
    return soma__loss_reduce(each, attrs->reduction);
}

/* --- descriptors and builders ------------------------------------------------------------------
 */

#define SMOOTH SOMA__LOSS_NUMBER("smooth", 0, "added above and below the fraction")
#define MARGIN(doc_) SOMA__LOSS_NUMBER("margin", 0, doc_)

SOMA__LOSS(dice, region_rule, "x t", 2, 2, "1 - (2 Σ x·t + smooth) / (Σ x + Σ t + smooth)",
           SMOOTH, );
SOMA__LOSS(iou, region_rule, "x t", 2, 2,
           "1 - (Σ x·t + smooth) / (Σ x + Σ t - Σ x·t + smooth): soft Jaccard", SMOOTH, );
SOMA__LOSS(box_iou, box_rule, "x t", 2, 2, "boxes [B…,4]: 1 - intersection / union",
           SOMA__LOSS_FLAG("generalised", 0, "adds what the box around both has to spare"), );
const soma__op soma__op_cosine_similarity = {
    .name = "cosine_similarity",
    .family = "loss",
    .doc = "a·b / (max(‖a‖, eps) max(‖b‖, eps)) along axis",
    .inputs = "a b",
    .min_inputs = 2,
    .max_inputs = 2,
    .attr_size = sizeof(soma__loss_attrs),
    .attrs = (const soma__attr[]){{"axis", SOMA__ATTR_INT, offsetof(soma__loss_attrs, flag), 1,
                                   "of the vectors"},
                                  SOMA__LOSS_NUMBER("eps", 0, "least length"),
                                  {0}},
    .rule = similarity_rule,
    .decompose = decompose_cosine_similarity,
};
SOMA__LOSS(cosine_embedding, cosine_embedding_rule, "a b y", 3, 3,
           "1 - cos(a, b) for y = 1, max(0, cos(a, b) - margin) for y = -1",
           MARGIN("largest cosine that others may have"), );
SOMA__LOSS(triplet, triplet_rule, "anchor positive negative", 3, 3,
           "max(0, d(anchor, positive) - d(anchor, negative) + margin)",
           MARGIN("by which the negative should be further off"),
           SOMA__LOSS_NUMBER("p", 1, "of the norm"),
           SOMA__LOSS_FLAG("swap", 0, "the nearer of anchor and positive counts"), );
SOMA__LOSS(contrastive, cosine_embedding_rule, "a b t", 3, 3,
           "(t·d² + (1-t)·max(0, margin - d)²)/2, d = ‖a - b‖",
           MARGIN("least distance of those that do not belong together"), );

static soma_var add(const soma__op *op, const soma_var *in, int count, soma__loss_attrs attrs)
{
    return soma__graph_add(NULL, op, in, count, &attrs);
}

soma_var soma_dice(soma_var x, soma_var t, double smooth, soma_reduction reduction)
{
    return add(&soma__op_dice, (soma_var[]){x, t}, 2,
               (soma__loss_attrs){.reduction = reduction, .number = {smooth}});
}

soma_var soma_iou(soma_var x, soma_var t, double smooth, soma_reduction reduction)
{
    return add(&soma__op_iou, (soma_var[]){x, t}, 2,
               (soma__loss_attrs){.reduction = reduction, .number = {smooth}});
}

soma_var soma_box_iou(soma_var x, soma_var t, bool generalised, soma_reduction reduction)
{
    return add(&soma__op_box_iou, (soma_var[]){x, t}, 2,
               (soma__loss_attrs){.reduction = reduction, .flag = {generalised}});
}

soma_var soma_cosine_similarity(soma_var a, soma_var b, int64_t axis, double eps)
{
    return add(&soma__op_cosine_similarity, (soma_var[]){a, b}, 2,
               (soma__loss_attrs){.number = {eps}, .flag = {axis}});
}

soma_var soma_cosine_embedding(soma_var a, soma_var b, soma_var y, double margin,
                               soma_reduction reduction)
{
    return add(&soma__op_cosine_embedding, (soma_var[]){a, b, y}, 3,
               (soma__loss_attrs){.reduction = reduction, .number = {margin}});
}

soma_var soma_triplet(soma_var anchor, soma_var positive, soma_var negative, double margin,
                      double p, bool swap, soma_reduction reduction)
{
    return add(&soma__op_triplet, (soma_var[]){anchor, positive, negative}, 3,
               (soma__loss_attrs){.reduction = reduction, .number = {margin, p}, .flag = {swap}});
}

soma_var soma_contrastive(soma_var a, soma_var b, soma_var t, double margin,
                          soma_reduction reduction)
{
    return add(&soma__op_contrastive, (soma_var[]){a, b, t}, 3,
               (soma__loss_attrs){.reduction = reduction, .number = {margin}});
}
