/* loss.c: losses, one value per sample (or per element); the mean over them is the caller's. */
#include "ops/attrs.h"
#include "ops/ops.h"

/* --- cross_entropy ---------------------------------------------------------------------------- */

static soma_status cross_entropy_rule(soma__rule *rule)
{
    const soma_shape *logits = &rule->in_shape[0], *labels = &rule->in_shape[1];
    char tx[SOMA_SHAPE_TEXT_SIZE], tl[SOMA_SHAPE_TEXT_SIZE];
    soma_shape samples = *logits;
    SOMA__TRY(soma__rule_float(rule, 0));
    if (rule->in_dtype[1] != SOMA_I32 && rule->in_dtype[1] != SOMA_I64)
        return soma__rule_fail(rule, SOMA_DTYPE,
                               "labels are %s, but must be i32 or i64 class numbers (for "
                               "probabilities multiply by soma_log_softmax and sum)",
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

soma_var soma_cross_entropy(soma_var logits, soma_var labels)
{
    return soma__graph_add(NULL, &soma__op_cross_entropy, (soma_var[]){logits, labels}, 2, NULL);
}

/* --- composites of two arrays of one shape ---------------------------------------------------- */

/* Broadcasting is refused: [N,1] against [N] would quietly become [N,N]. */
static soma_status pair_rule(soma__rule *rule)
{
    char ta[SOMA_SHAPE_TEXT_SIZE], tb[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(soma__rule_same_dtypes(rule));
    if (!soma_shape_equal(&rule->in_shape[0], &rule->in_shape[1]))
        return soma__rule_fail(
            rule, SOMA_SHAPE,
            "prediction %s and target %s must have one shape: soma_reshape one of them",
            soma_shape_text(&rule->in_shape[0], ta, sizeof(ta)),
            soma_shape_text(&rule->in_shape[1], tb, sizeof(tb)));
    return SOMA_OK;
}

/* softplus(x) = max(x,0) + log(1+e^-|x|) is stable at both ends, and its gradient sigmoid(x) has no
 * kink at 0, as the gradients of the parts would. */
static soma_var bce_logits_decompose(soma_graph *graph, const soma_var *in, int nin,
                                     const void *attrs)
{
    (void)graph;
    (void)nin;
    (void)attrs;
    return soma_sub(soma_softplus(in[0]), soma_mul(in[0], in[1]));
}

const soma__op soma__op_bce_logits = {
    .name = "bce_logits",
    .family = "loss",
    .doc = "max(x,0) - x·t + log(1+e^-|x|): binary cross-entropy of sigmoid(x)",
    .inputs = "x t",
    .min_inputs = 2,
    .max_inputs = 2,
    .rule = pair_rule,
    .decompose = bce_logits_decompose,
};

soma_var soma_bce_logits(soma_var logits, soma_var targets)
{
    return soma__graph_add(NULL, &soma__op_bce_logits, (soma_var[]){logits, targets}, 2, NULL);
}

static soma_var squared_error_decompose(soma_graph *graph, const soma_var *in, int nin,
                                        const void *attrs)
{
    (void)graph;
    (void)nin;
    (void)attrs;
    return soma_square(soma_sub(in[0], in[1]));
}

const soma__op soma__op_squared_error = {
    .name = "squared_error",
    .family = "loss",
    .doc = "(x - t)²",
    .inputs = "x t",
    .min_inputs = 2,
    .max_inputs = 2,
    .rule = pair_rule,
    .decompose = squared_error_decompose,
};

soma_var soma_squared_error(soma_var x, soma_var target)
{
    return soma__graph_add(NULL, &soma__op_squared_error, (soma_var[]){x, target}, 2, NULL);
}
