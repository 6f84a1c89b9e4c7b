/* loss_class.c: losses of one class among K: one value per sample. Only the plain cross-entropy has
 * a kernel of its own, forward and (through softmax) backward: it is what most networks end in. */
#include "ops/loss.h"

/* --- cross_entropy ---------------------------------------------------------------------------- */

static soma_status cross_entropy_rule(soma__rule *rule)
{
    const soma_shape *logits = &rule->in_shape[0], *labels = &rule->in_shape[1];
    char tx[SOMA_SHAPE_TEXT_SIZE], tl[SOMA_SHAPE_TEXT_SIZE];
    soma_shape samples = *logits;
    SOMA__TRY(soma__rule_float(rule, 0));
    if (rule->in_dtype[1] != SOMA_I32 && rule->in_dtype[1] != SOMA_I64)
        return soma__rule_fail(rule, SOMA_DTYPE,
                               "labels are %s, but must be i32 or i64 class numbers (a "
                               "distribution has the dtype of the logits)",
                               soma_dtype_text(rule->in_dtype[1]));
    soma_shape_text(logits, tx, sizeof(tx));
    if (logits->ndim < 1 || logits->dim[logits->ndim - 1] < 1)
        return soma__rule_fail(rule, SOMA_SHAPE, "logits are %s, but must be [B…,classes]", tx);
    samples.dim[--samples.ndim] = 0;
    if (!soma_shape_equal(&samples, labels))
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "labels are %s, but logits %s want one label per row",
                               soma_shape_text(labels, tl, sizeof(tl)), tx);
    rule->shape = samples;
    return SOMA_OK;
}

/* (softmax(logits) - one_hot(labels))·dout. A label out of range has made the loss NaN already. */
static void cross_entropy_gradient(soma__grad *grad)
{
    soma_var logits = grad->in[0], labels = grad->in[1];
    soma_shape shape = soma_var_shape(logits), column = shape;
    if (!grad->need[0] || shape.ndim == 0) /* no shape: the graph has failed */
        return;
    column.dim[column.ndim - 1] = 1;
    soma_var target = soma_one_hot(labels, shape.dim[shape.ndim - 1]);
    if (soma_var_dtype(logits) != SOMA_F32)
        target = soma_cast(target, soma_var_dtype(logits));
    soma_var excess = soma_sub(soma_softmax(logits, -1), target);
    grad->din[0] = soma_mul(excess, soma_reshape(grad->dout, column));
}

static void cross_entropy_reference(const soma__call *call)
{
    const soma__view *x = &call->in[0], *labels = &call->in[1], *y = &call->out[0];
    int64_t classes = x->shape.dim[x->shape.ndim - 1];
    for (int64_t row = 0; row < y->count; row++) {
        double label = soma__load(labels->dtype, labels->data, row), most = -INFINITY, sum = 0;
        if (!(label >= 0 && label < (double)classes)) {
            soma__store(y->dtype, y->data, row, NAN);
            continue;
        }
        for (int64_t k = 0; k < classes; k++) {
            double value = soma__load(x->dtype, x->data, row * classes + k);
            if (value > most || isnan(value))
                most = value;
            if (isnan(most))
                break;
        }
        for (int64_t k = 0; k < classes; k++)
            sum += exp(soma__load(x->dtype, x->data, row * classes + k) - most);
        soma__store(y->dtype, y->data, row,
                    log(sum) + most -
                        soma__load(x->dtype, x->data, row * classes + (int64_t)label));
    }
}

/* For each logit a compare, a subtraction, an exponential (10) and an addition. */
static double cross_entropy_flops(const soma__call *call)
{
    return 13 * (double)call->in[0].count;
}

const soma__op soma__op_cross_entropy = {
    .name = "cross_entropy",
    .family = "loss",
    .doc = "logits [B…,K], labels [B…] -> [B…]: log Σ e^logits - logits[label]",
    .inputs = "logits labels",
    .min_inputs = 2,
    .max_inputs = 2,
    .rule = cross_entropy_rule,
    .gradient = cross_entropy_gradient,
    .reference = cross_entropy_reference,
    .flops = cross_entropy_flops,
};

/* --- options of class losses -------------------------------------------------------------------
 */

/* x [B…,K] float, labels [B…], an optional weight [K]. */
static soma_status class_rule(soma__rule *rule)
{
    char tx[SOMA_SHAPE_TEXT_SIZE], tw[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(cross_entropy_rule(rule));
    if (rule->nin > 2) {
        const soma_shape *x = &rule->in_shape[0], *w = &rule->in_shape[2];
        if (rule->in_dtype[2] != rule->in_dtype[0])
            return soma__rule_fail(rule, SOMA_DTYPE, "weight is %s, x %s; use soma_cast",
                                   soma_dtype_text(rule->in_dtype[2]),
                                   soma_dtype_text(rule->in_dtype[0]));
        if (w->ndim != 1 || w->dim[0] != x->dim[x->ndim - 1])
            return soma__rule_fail(
                rule, SOMA_SHAPE, "weight is %s, but x %s wants one number per class",
                soma_shape_text(w, tw, sizeof(tw)), soma_shape_text(x, tx, sizeof(tx)));
    }
    return soma__loss_finish_rule(rule);
}

static soma_status smoothing_ok(soma__rule *rule)
{
    const soma__loss_attrs *attrs = rule->attrs;
    if (attrs->number[0] >= 0 && attrs->number[0] < 1)
        return SOMA_OK;
    return soma__rule_fail(rule, SOMA_INVALID, "smoothing %g must be at least 0 and below 1",
                           attrs->number[0]);
}

static soma_status weighted_rule(soma__rule *rule)
{
    SOMA__TRY(smoothing_ok(rule));
    return class_rule(rule);
}

static soma_status soft_rule(soma__rule *rule)
{
    const soma__loss_attrs *attrs = rule->attrs;
    const soma_shape *x = &rule->in_shape[0];
    char tx[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(smoothing_ok(rule));
    SOMA__TRY(soma__loss_same(rule, 2));
    if (x->ndim < 1 || x->dim[x->ndim - 1] < 1)
        return soma__rule_fail(rule, SOMA_SHAPE, "logits are %s, but must be [B…,classes]",
                               soma_shape_text(x, tx, sizeof(tx)));
    if (rule->nin > 2 &&
        (rule->in_shape[2].ndim != 1 || rule->in_shape[2].dim[0] != x->dim[x->ndim - 1]))
        return soma__rule_fail(rule, SOMA_SHAPE, "logits %s want one weight per class",
                               soma_shape_text(x, tx, sizeof(tx)));
    if (attrs->ignores)
        return soma__rule_fail(rule, SOMA_INVALID,
                               "ignore_index goes with labels, the target is a distribution");
    rule->shape.dim[--rule->shape.ndim] = 0;
    return soma__loss_finish_rule(rule);
}

static soma_status focal_rule(soma__rule *rule)
{
    const soma__loss_attrs *attrs = rule->attrs;
    SOMA__TRY(soma__loss_range(rule, "gamma", attrs->number[0], 0, INFINITY));
    return class_rule(rule);
}

static soma_status margin_rule(soma__rule *rule)
{
    const soma__loss_attrs *attrs = rule->attrs;
    if (attrs->flag[0] != 1 && attrs->flag[0] != 2)
        return soma__rule_fail(rule, SOMA_INVALID, "p %lld must be 1 or 2",
                               (long long)attrs->flag[0]);
    SOMA__TRY(soma__loss_range(rule, "margin", attrs->number[0], -1e300, 1e300));
    return class_rule(rule);
}

/* --- parts -------------------------------------------------------------------------------------
 */

static int64_t classes_of(soma_var x)
{
    soma_shape shape = soma_var_shape(x);
    return shape.ndim ? shape.dim[shape.ndim - 1] : 1;
}

static soma_var last_sum(soma_var x)
{
    return soma_sum(x, .axes = {-1}, .count = 1);
}

/* [B…] -> [B…,1] */
static soma_var as_column(soma_var x)
{
    soma_shape shape = soma_var_shape(x);
    if (soma_var_ok(x))
        shape.dim[shape.ndim++] = 1;
    return soma_reshape(x, shape);
}

/* bool [B…,K], true at the label. */
static soma_var chosen(soma_var x, soma_var labels)
{
    soma_var hot = soma_one_hot(labels, classes_of(x));
    return soma_less(soma_scalar(x.graph, SOMA_F32, 0), hot);
}

/* x[label], [B…]; NaN for a label out of range. Selected, not multiplied by a one-hot array, which
 * would make NaN of an infinite value that is not asked for. */
static soma_var pick(soma_var x, soma_var labels)
{
    soma_dtype dtype = soma_var_dtype(labels);
    soma_var low = soma_scalar(x.graph, dtype, 0);
    soma_var high = soma_scalar(x.graph, dtype, (double)classes_of(x));
    soma_var known = soma_logical_and(soma_less_equal(low, labels), soma_less(labels, high));
    soma_var value = last_sum(soma_where(chosen(x, labels), x, soma__like(x, 0)));
    return soma_where(known, value, soma__like(x, NAN));
}

/* What labels mean: which samples count, and how much. */
typedef struct counted {
    soma_var labels;  /* those ignored replaced by 0 */
    soma_var ignored; /* bool [B…]; graph NULL: none can be */
    soma_var weight;  /* [B…]; graph NULL: 1 each */
} counted;

static counted count_labels(soma_var labels, soma_var weight, const soma__loss_attrs *attrs)
{
    counted c = {.labels = labels};
    soma_dtype dtype = soma_var_dtype(labels);
    if (attrs->ignores) {
        soma_var index = soma_scalar(labels.graph, dtype, (double)attrs->ignore_index);
        c.ignored = soma_equal(labels, index);
        c.labels = soma_where(c.ignored, soma_scalar(labels.graph, dtype, 0), labels);
    }
    if (weight.graph)
        c.weight = soma_gather(weight, c.labels, 0);
    return c;
}

/* The mean of losses that are weighted already is over the weights. */
static soma_var finish(soma_var each, const counted *c, int64_t reduction)
{
    soma_var zero = soma__like(each, 0);
    if (c->ignored.graph)
        each = soma_where(c->ignored, zero, each);
    if (reduction != SOMA_REDUCTION_MEAN || (!c->ignored.graph && !c->weight.graph))
        return soma__loss_reduce(each, reduction);
    soma_var weight = c->weight;
    if (!weight.graph)
        weight = soma_cast(soma_logical_not(c->ignored), soma_var_dtype(each));
    else if (c->ignored.graph)
        weight = soma_where(c->ignored, zero, weight);
    return soma_div(soma_sum(each), soma_sum(weight));
}

#define FORMULA(name_)                                                                             \
    static soma_var decompose_##name_(soma_graph *graph, const soma_var *in, int nin,              \
                                      const void *attributes)
#define ATTRS                                                                                      \
    const soma__loss_attrs *attrs = attributes;                                                    \
    (void)graph;                                                                                   \
    soma_var weight = nin > 2 ? in[2] : (soma_var)                                                 \
    {                                                                                              \
        0                                                                                          \
    }

/* --- formulas ----------------------------------------------------------------------------------
 */

/* (1 - s)·w[label]·(-log p[label]) + s/K·Σ w·(-log p) */
FORMULA(weighted_cross_entropy)
{
    ATTRS;
    double smoothing = attrs->number[0];
    counted c = count_labels(in[1], weight, attrs);
    soma_var each =
        soma__graph_add(graph, &soma__op_cross_entropy, (soma_var[]){in[0], c.labels}, 2, NULL);
    if (weight.graph)
        each = soma_mul(each, c.weight);
    if (smoothing > 0) {
        soma_var logs = soma_log_softmax(in[0], -1);
        soma_var all = last_sum(weight.graph ? soma_mul(logs, weight) : logs);
        each = soma_sub(soma_mul_scalar(each, 1 - smoothing),
                        soma_mul_scalar(all, smoothing / (double)classes_of(in[0])));
    }
    return finish(each, &c, attrs->reduction);
}

FORMULA(soft_cross_entropy)
{
    ATTRS;
    double smoothing = attrs->number[0];
    soma_var target = in[1], logs = soma_log_softmax(in[0], -1);
    if (smoothing > 0)
        target = soma_add_scalar(soma_mul_scalar(target, 1 - smoothing),
                                 smoothing / (double)classes_of(in[0]));
    if (weight.graph)
        target = soma_mul(target, weight);
    return soma__loss_reduce(soma_neg(last_sum(soma_mul(target, logs))), attrs->reduction);
}

FORMULA(nll)
{
    ATTRS;
    counted c = count_labels(in[1], weight, attrs);
    soma_var each = soma_neg(pick(in[0], c.labels));
    if (weight.graph)
        each = soma_mul(each, c.weight);
    return finish(each, &c, attrs->reduction);
}

/* 1 - p is kept off 0: rounding may put it below, where powers are not defined. */
FORMULA(softmax_focal)
{
    ATTRS;
    soma_var entropy = soma__graph_add(graph, &soma__op_cross_entropy, in, 2, NULL);
    soma_var miss = soma_add_scalar(soma_neg(soma_exp(soma_neg(entropy))), 1);
    soma_var focus = soma_pow_scalar(soma_clamp(miss, 1e-12, 1), attrs->number[0]);
    soma_var each = soma_mul(focus, entropy);
    if (weight.graph)
        each = soma_mul(each, soma_gather(weight, in[1], 0));
    return soma__loss_reduce(each, attrs->reduction);
}

FORMULA(multi_margin)
{
    ATTRS;
    soma_var x = in[0], labels = in[1];
    soma_var lead = soma_sub(x, as_column(pick(x, labels)));
    soma_var short_of = soma_relu(soma_add_scalar(lead, attrs->number[0]));
    if (attrs->flag[0] == 2)
        short_of = soma_square(short_of);
    soma_var others = soma_where(chosen(x, labels), soma__like(x, 0), short_of);
    soma_var each = soma_mul_scalar(last_sum(others), 1 / (double)classes_of(x));
    if (weight.graph)
        each = soma_mul(each, soma_gather(weight, labels, 0));
    return soma__loss_reduce(each, attrs->reduction);
}

/* --- descriptors and builders ------------------------------------------------------------------
 */

#define IGNORE_ATTRS                                                                               \
    {"ignores", SOMA__ATTR_BOOL, offsetof(soma__loss_attrs, ignores), 1,                           \
     "is there ignore_index?"},                                                                    \
    {                                                                                              \
        "ignore_index", SOMA__ATTR_INT, offsetof(soma__loss_attrs, ignore_index), 1,               \
            "the label that counts for nothing"                                                    \
    }
#define SMOOTHING SOMA__LOSS_NUMBER("smoothing", 0, "share of the target that all classes get")

SOMA__LOSS(weighted_cross_entropy, weighted_rule, "logits labels weight", 2, 3,
           "cross_entropy with class weights, smoothing and labels to ignore", SMOOTHING,
           IGNORE_ATTRS, );
SOMA__LOSS(soft_cross_entropy, soft_rule, "logits target weight", 2, 3,
           "-Σ weight·target·log softmax(logits), target a distribution", SMOOTHING, );
SOMA__LOSS(nll, class_rule, "x labels weight", 2, 3, "-weight[label]·x[label], x log-probabilities",
           IGNORE_ATTRS, );
SOMA__LOSS(softmax_focal, focal_rule, "logits labels weight", 2, 3,
           "weight[label]·(1 - p)^gamma·cross_entropy, p = softmax(logits)[label]",
           SOMA__LOSS_NUMBER("gamma", 0, "how little easy samples count"), );
SOMA__LOSS(multi_margin, margin_rule, "x labels weight", 2, 3,
           "weight[label]·Σ_k≠label max(0, margin - x[label] + x[k])^p / K",
           SOMA__LOSS_NUMBER("margin", 0, "by which the label should lead"),
           {"p", SOMA__ATTR_INT, offsetof(soma__loss_attrs, flag), 1, "1 or 2"}, );

static soma_var add_class(const soma__op *op, soma_var x, soma_var target, soma_var weight,
                          soma__loss_attrs attrs)
{
    return soma__graph_add(NULL, op, (soma_var[]){x, target, weight}, weight.graph ? 3 : 2, &attrs);
}

static soma__loss_attrs entropy_attrs(const soma_cross_entropy_options *o)
{
    return (soma__loss_attrs){.reduction = o->reduction,
                              .number = {o->smoothing},
                              .ignores = o->ignores,
                              .ignore_index = o->ignores ? o->ignore_index : 0};
}

soma_var soma_cross_entropy_opt(soma_var logits, soma_var target,
                                soma_cross_entropy_options options)
{
    const soma__op *op = &soma__op_weighted_cross_entropy;
    bool plain = !options.weight.graph && options.smoothing == 0 && !options.ignores;
    if (soma_var_ok(target) && soma_dtype_is_float(soma_var_dtype(target)))
        op = &soma__op_soft_cross_entropy;
    else if (plain && options.reduction == SOMA_REDUCTION_NONE)
        return soma__graph_add(NULL, &soma__op_cross_entropy, (soma_var[]){logits, target}, 2,
                               NULL);
    return add_class(op, logits, target, options.weight, entropy_attrs(&options));
}

soma_var soma_nll_opt(soma_var x, soma_var labels, soma_cross_entropy_options options)
{
    if (options.smoothing != 0) {
        soma_graph_fail(x.graph, SOMA_INVALID, "nll: takes no smoothing; soma_cross_entropy does");
        return soma__failed(x);
    }
    return add_class(&soma__op_nll, x, labels, options.weight, entropy_attrs(&options));
}

soma_var soma_softmax_focal(soma_var logits, soma_var labels, double gamma, soma_var weight,
                            soma_reduction reduction)
{
    return add_class(&soma__op_softmax_focal, logits, labels, weight,
                     (soma__loss_attrs){.reduction = reduction, .number = {gamma}});
}

soma_var soma_multi_margin(soma_var x, soma_var labels, int p, double margin, soma_var weight,
                           soma_reduction reduction)
{
    return add_class(&soma__op_multi_margin, x, labels, weight,
                     (soma__loss_attrs){.reduction = reduction, .number = {margin}, .flag = {p}});
}
