/* loss.c: losses of single values: x against t, element by element. Those of classes are in
 * loss_class.c, those of whole samples in loss_sample.c.
 *
 * All are composites. Where a formula has a kink, soma_where chooses a side, and what the side not
 * taken would compute out of its domain is kept away from it: its gradient is zero times what the
 * formula gives, and that must not be zero times infinity. */
#include "ops/loss.h"

#define SCALE_2PI 0.91893853320467274178 /* ln(2π)/2 */

soma_status soma__loss_finish_rule(soma__rule *rule)
{
    const soma__loss_attrs *attrs = rule->attrs;
    if (attrs->reduction < SOMA_REDUCTION_NONE || attrs->reduction > SOMA_REDUCTION_SUM)
        return soma__rule_fail(rule, SOMA_INVALID, "there is no reduction %lld",
                               (long long)attrs->reduction);
    if (attrs->reduction != SOMA_REDUCTION_NONE)
        rule->shape = SOMA_SCALAR;
    return SOMA_OK;
}

soma_status soma__loss_same(soma__rule *rule, int count)
{
    char ta[SOMA_SHAPE_TEXT_SIZE], tb[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(soma__rule_same_dtypes(rule));
    for (int i = 1; i < count; i++)
        if (!soma_shape_equal(&rule->in_shape[0], &rule->in_shape[i]))
            return soma__rule_fail(
                rule, SOMA_SHAPE,
                "prediction %s and %s %s must have one shape: soma_reshape one of them",
                soma_shape_text(&rule->in_shape[0], ta, sizeof(ta)),
                i == 1 ? "target" : "the third input",
                soma_shape_text(&rule->in_shape[i], tb, sizeof(tb)));
    return SOMA_OK;
}

soma_status soma__loss_range(soma__rule *rule, const char *name, double value, double low,
                             double high)
{
    if (value >= low && value <= high && !isinf(value))
        return SOMA_OK;
    if (isinf(high))
        return soma__rule_fail(rule, SOMA_INVALID, "%s %g must be a number of at least %g", name,
                               value, low);
    return soma__rule_fail(rule, SOMA_INVALID, "%s %g must be from %g to %g", name, value, low,
                           high);
}

soma_var soma__loss_reduce(soma_var each, int64_t reduction)
{
    if (reduction == SOMA_REDUCTION_NONE)
        return each;
    return reduction == SOMA_REDUCTION_MEAN ? soma_mean(each) : soma_sum(each);
}

/* --- rules -------------------------------------------------------------------------------------
 */

static soma_status pair_rule(soma__rule *rule)
{
    SOMA__TRY(soma__loss_same(rule, rule->nin));
    return rule->op->attr_size ? soma__loss_finish_rule(rule) : SOMA_OK;
}

/* number[0] is a width: huber's must not be 0. */
static soma_status huber_rule(soma__rule *rule)
{
    const soma__loss_attrs *attrs = rule->attrs;
    SOMA__TRY(pair_rule(rule));
    if (attrs->number[0] > 0 && !isinf(attrs->number[0]))
        return SOMA_OK;
    return soma__rule_fail(rule, SOMA_INVALID, "delta %g must be a number above 0",
                           attrs->number[0]);
}

static soma_status smooth_l1_rule(soma__rule *rule)
{
    const soma__loss_attrs *attrs = rule->attrs;
    SOMA__TRY(pair_rule(rule));
    return soma__loss_range(rule, "beta", attrs->number[0], 0, INFINITY);
}

static soma_status pinball_rule(soma__rule *rule)
{
    const soma__loss_attrs *attrs = rule->attrs;
    SOMA__TRY(pair_rule(rule));
    if (attrs->number[0] > 0 && attrs->number[0] < 1)
        return SOMA_OK;
    return soma__rule_fail(rule, SOMA_INVALID, "q %g must lie between 0 and 1", attrs->number[0]);
}

static soma_status focal_rule(soma__rule *rule)
{
    const soma__loss_attrs *attrs = rule->attrs;
    SOMA__TRY(pair_rule(rule));
    SOMA__TRY(soma__loss_range(rule, "gamma", attrs->number[0], 0, INFINITY));
    return soma__loss_range(rule, "alpha", attrs->number[1], 0, 1);
}

static soma_status ranking_rule(soma__rule *rule)
{
    const soma__loss_attrs *attrs = rule->attrs;
    SOMA__TRY(pair_rule(rule));
    return soma__loss_range(rule, "margin", attrs->number[0], -1e300, 1e300);
}

/* The weights: scalars, one for each of the last axis, or (those of elements) one for each. */
static soma_status bce_logits_rule(soma__rule *rule)
{
    const soma__loss_attrs *attrs = rule->attrs;
    const soma_shape *x = &rule->in_shape[0];
    char tx[SOMA_SHAPE_TEXT_SIZE], tw[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(soma__loss_same(rule, 2));
    for (int i = 2; i < rule->nin; i++) {
        const soma_shape *w = &rule->in_shape[i];
        bool pos = i == 2 && (attrs->optional & 1);
        if (w->ndim == 0 || (!pos && soma_shape_equal(w, x)) ||
            (w->ndim == 1 && x->ndim > 0 && w->dim[0] == x->dim[x->ndim - 1]))
            continue;
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "%s is %s, but for x %s must be a scalar%s one for each of the "
                               "last axis",
                               pos ? "pos_weight" : "weight", soma_shape_text(w, tw, sizeof(tw)),
                               soma_shape_text(x, tx, sizeof(tx)),
                               pos ? " or" : ", of x's shape or");
    }
    return soma__loss_finish_rule(rule);
}

/* --- formulas ----------------------------------------------------------------------------------
 */

#define FORMULA(name_)                                                                             \
    static soma_var decompose_##name_(soma_graph *graph, const soma_var *in, int nin,              \
                                      const void *attributes)
#define UNUSED (void)graph, (void)nin, (void)attributes
#define ATTRS                                                                                      \
    const soma__loss_attrs *attrs = attributes;                                                    \
    (void)graph, (void)nin

FORMULA(squared_error)
{
    UNUSED;
    return soma_square(soma_sub(in[0], in[1]));
}

FORMULA(mse)
{
    ATTRS;
    return soma__loss_reduce(soma_square(soma_sub(in[0], in[1])), attrs->reduction);
}

FORMULA(half_mse)
{
    ATTRS;
    soma_var each = soma_mul_scalar(soma_square(soma_sub(in[0], in[1])), 0.5);
    return soma__loss_reduce(each, attrs->reduction);
}

FORMULA(mae)
{
    ATTRS;
    return soma__loss_reduce(soma_abs(soma_sub(in[0], in[1])), attrs->reduction);
}

FORMULA(huber)
{
    ATTRS;
    double delta = attrs->number[0];
    soma_var d = soma_sub(in[0], in[1]), e = soma_abs(d);
    soma_var near = soma_mul_scalar(soma_square(d), 0.5);
    soma_var far = soma_mul_scalar(soma_add_scalar(e, -delta / 2), delta);
    soma_var each = soma_where(soma_less_equal(e, soma__like(e, delta)), near, far);
    return soma__loss_reduce(each, attrs->reduction);
}

FORMULA(smooth_l1)
{
    ATTRS;
    double beta = attrs->number[0];
    soma_var d = soma_sub(in[0], in[1]), each = soma_abs(d);
    if (beta > 0) {
        soma_var near = soma_mul_scalar(soma_square(d), 0.5 / beta);
        each = soma_where(soma_less(each, soma__like(d, beta)), near,
                          soma_add_scalar(each, -beta / 2));
    }
    return soma__loss_reduce(each, attrs->reduction);
}

/* ln cosh d = d + ln(1 + e^-2d) - ln 2 */
FORMULA(log_cosh)
{
    ATTRS;
    soma_var d = soma_sub(in[0], in[1]);
    soma_var each = soma_add(d, soma_softplus(soma_mul_scalar(d, -2)));
    return soma__loss_reduce(soma_add_scalar(each, -M_LN2), attrs->reduction);
}

FORMULA(pinball)
{
    ATTRS;
    soma_var e = soma_sub(in[1], in[0]);
    soma_var each =
        soma_where(soma_less(e, soma__like(e, 0)), soma_mul_scalar(e, attrs->number[0] - 1),
                   soma_mul_scalar(e, attrs->number[0]));
    return soma__loss_reduce(each, attrs->reduction);
}

FORMULA(poisson_nll)
{
    ATTRS;
    soma_var x = in[0], t = in[1];
    soma_var each = attrs->flag[0] ? soma_sub(soma_exp(x), soma_mul(t, x))
                                   : soma_sub(x, soma_mul(t, soma_log(soma_add_scalar(x, 1e-8))));
    if (attrs->flag[1]) {
        soma_var many = soma_less(soma__like(t, 1), t);
        soma_var n = soma_where(many, t, soma__like(t, 2));
        soma_var last = soma_add_scalar(soma_mul_scalar(soma_log(n), 0.5), SCALE_2PI);
        soma_var stirling = soma_add(soma_sub(soma_mul(n, soma_log(n)), n), last);
        each = soma_add(each, soma_where(many, stirling, soma__like(t, 0)));
    }
    return soma__loss_reduce(each, attrs->reduction);
}

/* The limit is added as a constant, so that a variance below it is still told to grow. */
FORMULA(gaussian_nll)
{
    ATTRS;
    soma_var limited = soma_maximum(in[2], soma__like(in[2], 1e-6));
    soma_var v = soma_add(in[2], soma_stop_gradient(soma_sub(limited, in[2])));
    soma_var square = soma_div(soma_square(soma_sub(in[0], in[1])), v);
    soma_var each = soma_mul_scalar(soma_add(soma_log(v), square), 0.5);
    if (attrs->flag[0])
        each = soma_add_scalar(each, SCALE_2PI);
    return soma__loss_reduce(each, attrs->reduction);
}

/* max(ln p, -100), without the infinite slope at 0. */
static soma_var limited_log(soma_var p)
{
    soma_var gone = soma_less(p, soma__like(p, 1e-38));
    return soma_where(gone, soma__like(p, -100), soma_log(soma_where(gone, soma__like(p, 1), p)));
}

FORMULA(bce)
{
    ATTRS;
    soma_var x = in[0], t = in[1];
    soma_var other = soma_add_scalar(soma_neg(x), 1), no = soma_add_scalar(soma_neg(t), 1);
    soma_var sum = soma_add(soma_mul(t, limited_log(x)), soma_mul(no, limited_log(other)));
    return soma__loss_reduce(soma_neg(sum), attrs->reduction);
}

/* softplus(x) = max(x,0) + log(1+e^-|x|) is stable at both ends, and its gradient sigmoid(x) has no
 * kink at 0, as the gradients of the parts would. */
FORMULA(bce_logits)
{
    ATTRS;
    soma_var x = in[0], t = in[1], each;
    int next = 2;
    if (attrs->optional & 1) {
        soma_var factor = soma_add_scalar(soma_mul(t, soma_add_scalar(in[next++], -1)), 1);
        soma_var no = soma_add_scalar(soma_neg(t), 1);
        each = soma_add(soma_mul(no, x), soma_mul(factor, soma_softplus(soma_neg(x))));
    } else {
        each = soma_sub(soma_softplus(x), soma_mul(x, t));
    }
    if (attrs->optional & 2)
        each = soma_mul(each, in[next]);
    return soma__loss_reduce(each, attrs->reduction);
}

static soma_var hinge(const soma_var *in)
{
    return soma_relu(soma_add_scalar(soma_neg(soma_mul(in[0], in[1])), 1));
}

FORMULA(hinge)
{
    ATTRS;
    return soma__loss_reduce(hinge(in), attrs->reduction);
}

FORMULA(squared_hinge)
{
    ATTRS;
    return soma__loss_reduce(soma_square(hinge(in)), attrs->reduction);
}

/* 1 - p = t·sigmoid(-x) + (1-t)·sigmoid(x) keeps its digits where p is near 1. It is kept off 0,
 * where powers below 1 have no slope. */
FORMULA(focal)
{
    ATTRS;
    soma_var x = in[0], t = in[1], no = soma_add_scalar(soma_neg(t), 1);
    soma_var miss = soma_add(soma_mul(t, soma_sigmoid(soma_neg(x))), soma_mul(no, soma_sigmoid(x)));
    soma_var focus = soma_pow_scalar(soma_clamp(miss, 1e-12, 1), attrs->number[0]);
    soma_var each = soma_mul(focus, soma_sub(soma_softplus(x), soma_mul(x, t)));
    double alpha = attrs->number[1];
    if (alpha > 0)
        each = soma_mul(each, soma_add_scalar(soma_mul_scalar(t, 2 * alpha - 1), 1 - alpha));
    return soma__loss_reduce(each, attrs->reduction);
}

FORMULA(kl_div)
{
    ATTRS;
    soma_var x = in[0], t = in[1], each;
    if (attrs->flag[0]) {
        each = soma_mul(soma_exp(t), soma_sub(t, x));
    } else {
        soma_var some = soma_less(soma__like(t, 0), t);
        soma_var entropy = soma_mul(t, soma_log(soma_where(some, t, soma__like(t, 1))));
        each = soma_sub(entropy, soma_mul(t, x));
    }
    return soma__loss_reduce(each, attrs->reduction);
}

FORMULA(margin_ranking)
{
    ATTRS;
    soma_var ahead = soma_mul(in[2], soma_sub(in[0], in[1]));
    soma_var each = soma_relu(soma_add_scalar(soma_neg(ahead), attrs->number[0]));
    return soma__loss_reduce(each, attrs->reduction);
}

/* --- descriptors -------------------------------------------------------------------------------
 */

const soma__op soma__op_squared_error = {
    .name = "squared_error",
    .family = "loss",
    .doc = "(x - t)²",
    .inputs = "x t",
    .min_inputs = 2,
    .max_inputs = 2,
    .rule = pair_rule,
    .decompose = decompose_squared_error,
};

SOMA__LOSS(mse, pair_rule, "x t", 2, 2, "(x - t)², reduced", );
SOMA__LOSS(half_mse, pair_rule, "x t", 2, 2, "(x - t)²/2", );
SOMA__LOSS(mae, pair_rule, "x t", 2, 2, "|x - t|", );
SOMA__LOSS(huber, huber_rule, "x t", 2, 2,
           "e²/2 for e = |x - t| <= delta, else delta·(e - delta/2)",
           SOMA__LOSS_NUMBER("delta", 0, "where the parabola ends"), );
SOMA__LOSS(smooth_l1, smooth_l1_rule, "x t", 2, 2,
           "e²/(2·beta) for e = |x - t| < beta, else e - beta/2",
           SOMA__LOSS_NUMBER("beta", 0, "where the parabola ends"), );
SOMA__LOSS(log_cosh, pair_rule, "x t", 2, 2, "ln cosh(x - t)", );
SOMA__LOSS(pinball, pinball_rule, "x t", 2, 2, "q·e for e = t - x >= 0, else (q - 1)·e",
           SOMA__LOSS_NUMBER("q", 0, "the quantile that is learnt"), );
SOMA__LOSS(poisson_nll, pair_rule, "x t", 2, 2, "e^x - t·x, or x - t·ln x",
           SOMA__LOSS_FLAG("log_input", 0, "x is a logarithm"),
           SOMA__LOSS_FLAG("full", 1, "with Stirling's approximation of ln t!"), );
SOMA__LOSS(gaussian_nll, pair_rule, "x t var", 3, 3, "(ln var + (x - t)²/var)/2",
           SOMA__LOSS_FLAG("full", 0, "with ln(2π)/2"), );
SOMA__LOSS(bce, pair_rule, "x t", 2, 2, "-(t ln x + (1-t) ln(1-x)): binary cross-entropy", );
SOMA__LOSS(bce_logits, bce_logits_rule, "x t pos_weight weight", 2, 4,
           "max(x,0) - x·t + log(1+e^-|x|): binary cross-entropy of sigmoid(x)",
           {"optional", SOMA__ATTR_INT, offsetof(soma__loss_attrs, optional), 1,
            "1: pos_weight is there, 2: weight"}, );
SOMA__LOSS(hinge, pair_rule, "x t", 2, 2, "max(0, 1 - t·x), t -1 or 1", );
SOMA__LOSS(squared_hinge, pair_rule, "x t", 2, 2, "max(0, 1 - t·x)², t -1 or 1", );
SOMA__LOSS(focal, focal_rule, "x t", 2, 2, "(1 - p)^gamma · bce_logits(x, t), p the truth's chance",
           SOMA__LOSS_NUMBER("gamma", 0, "how little easy samples count"),
           SOMA__LOSS_NUMBER("alpha", 1, "factor of t = 1, the others get 1 - alpha; 0: none"), );
SOMA__LOSS(kl_div, pair_rule, "x t", 2, 2, "t (ln t - x), x log-probabilities",
           SOMA__LOSS_FLAG("log_target", 0, "t is a logarithm"), );
SOMA__LOSS(margin_ranking, ranking_rule, "a b y", 3, 3, "max(0, margin - y·(a - b))",
           SOMA__LOSS_NUMBER("margin", 0, "by which the better one should lead"), );

/* --- builders ----------------------------------------------------------------------------------
 */

static soma_var add_pair(const soma__op *op, soma_var x, soma_var t, soma__loss_attrs attrs)
{
    return soma__graph_add(NULL, op, (soma_var[]){x, t}, 2, &attrs);
}

soma_var soma_squared_error(soma_var x, soma_var t)
{
    return soma__graph_add(NULL, &soma__op_squared_error, (soma_var[]){x, t}, 2, NULL);
}

soma_var soma_mse(soma_var x, soma_var t, soma_reduction reduction)
{
    return add_pair(&soma__op_mse, x, t, (soma__loss_attrs){.reduction = reduction});
}

soma_var soma_half_mse(soma_var x, soma_var t, soma_reduction reduction)
{
    return add_pair(&soma__op_half_mse, x, t, (soma__loss_attrs){.reduction = reduction});
}

soma_var soma_mae(soma_var x, soma_var t, soma_reduction reduction)
{
    return add_pair(&soma__op_mae, x, t, (soma__loss_attrs){.reduction = reduction});
}

soma_var soma_huber(soma_var x, soma_var t, double delta, soma_reduction reduction)
{
    return add_pair(&soma__op_huber, x, t,
                    (soma__loss_attrs){.reduction = reduction, .number = {delta}});
}

soma_var soma_smooth_l1(soma_var x, soma_var t, double beta, soma_reduction reduction)
{
    return add_pair(&soma__op_smooth_l1, x, t,
                    (soma__loss_attrs){.reduction = reduction, .number = {beta}});
}

soma_var soma_log_cosh(soma_var x, soma_var t, soma_reduction reduction)
{
    return add_pair(&soma__op_log_cosh, x, t, (soma__loss_attrs){.reduction = reduction});
}

soma_var soma_pinball(soma_var x, soma_var t, double q, soma_reduction reduction)
{
    return add_pair(&soma__op_pinball, x, t,
                    (soma__loss_attrs){.reduction = reduction, .number = {q}});
}

soma_var soma_poisson_nll(soma_var x, soma_var t, bool log_input, bool full,
                          soma_reduction reduction)
{
    return add_pair(&soma__op_poisson_nll, x, t,
                    (soma__loss_attrs){.reduction = reduction, .flag = {log_input, full}});
}

soma_var soma_gaussian_nll(soma_var x, soma_var t, soma_var var, bool full,
                           soma_reduction reduction)
{
    soma__loss_attrs attrs = {.reduction = reduction, .flag = {full}};
    return soma__graph_add(NULL, &soma__op_gaussian_nll, (soma_var[]){x, t, var}, 3, &attrs);
}

soma_var soma_bce(soma_var x, soma_var t, soma_reduction reduction)
{
    return add_pair(&soma__op_bce, x, t, (soma__loss_attrs){.reduction = reduction});
}

soma_var soma_bce_logits_opt(soma_var x, soma_var t, soma_bce_options options)
{
    soma__loss_attrs attrs = {.reduction = options.reduction};
    soma_var in[4] = {x, t};
    int count = 2;
    if (options.pos_weight.graph) {
        in[count++] = options.pos_weight;
        attrs.optional |= 1;
    }
    if (options.weight.graph) {
        in[count++] = options.weight;
        attrs.optional |= 2;
    }
    return soma__graph_add(NULL, &soma__op_bce_logits, in, count, &attrs);
}

soma_var soma_hinge(soma_var x, soma_var t, soma_reduction reduction)
{
    return add_pair(&soma__op_hinge, x, t, (soma__loss_attrs){.reduction = reduction});
}

soma_var soma_squared_hinge(soma_var x, soma_var t, soma_reduction reduction)
{
    return add_pair(&soma__op_squared_hinge, x, t, (soma__loss_attrs){.reduction = reduction});
}

soma_var soma_focal(soma_var x, soma_var t, double gamma, double alpha, soma_reduction reduction)
{
    return add_pair(&soma__op_focal, x, t,
                    (soma__loss_attrs){.reduction = reduction, .number = {gamma, alpha}});
}

soma_var soma_kl_div(soma_var x, soma_var t, bool log_target, soma_reduction reduction)
{
    return add_pair(&soma__op_kl_div, x, t,
                    (soma__loss_attrs){.reduction = reduction, .flag = {log_target}});
}

soma_var soma_margin_ranking(soma_var a, soma_var b, soma_var y, double margin,
                             soma_reduction reduction)
{
    soma__loss_attrs attrs = {.reduction = reduction, .number = {margin}};
    return soma__graph_add(NULL, &soma__op_margin_ranking, (soma_var[]){a, b, y}, 3, &attrs);
}
