/* ctc.c: connectionist temporal classification (Graves et al. 2006): the loss of a sequence of
 * labels that is shorter than the sequence of what is said about them, without knowing where each
 * belongs. Forward-backward in logarithms and in double, whatever the dtype: the sums of long
 * sequences lie far below what f32 tells apart. */
#include "ops/ctc.h"

#include <math.h>

#include "ops/ops.h"
#include "soma/ctc.h"

/* --- one sequence ------------------------------------------------------------------------------
 */

typedef struct sequence {
    const soma__view *x;
    int64_t first; /* of x's cells */
    int64_t steps, classes;
    const soma__view *targets;
    int64_t target; /* first of the targets' cells */
    int64_t states; /* 2n + 1 */
    int64_t blank;
} sequence;

static int64_t limited(int64_t length, int64_t most)
{
    return length < 0 ? 0 : length < most ? length : most;
}

static sequence sequence_of(const soma__call *call, int64_t b)
{
    const soma__ctc_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *targets = &call->in[1];
    const int64_t *shape = x->shape.dim;
    const int64_t labels = limited(soma__view_index(&call->in[3], b), targets->shape.dim[1]);
    return (sequence){.x = x,
                      .first = b * shape[1] * shape[2],
                      .steps = limited(soma__view_index(&call->in[2], b), shape[1]),
                      .classes = shape[2],
                      .targets = targets,
                      .target = b * targets->shape.dim[1],
                      .states = 2 * labels + 1,
                      .blank = attrs->blank};
}

/* What state s stands for. */
static int64_t label_of(const sequence *q, int64_t s)
{
    return s % 2 ? soma__view_index(q->targets, q->target + s / 2) : q->blank;
}

/* Whether a path may come to state s from two before it. */
static bool skips(const sequence *q, int64_t s)
{
    return s % 2 && s >= 3 && label_of(q, s) != label_of(q, s - 2);
}

/* Whether all labels are classes, and none the blank. */
static bool well_labelled(const sequence *q)
{
    for (int64_t s = 1; s < q->states; s += 2) {
        const int64_t label = label_of(q, s);
        if (label < 0 || label >= q->classes || label == q->blank)
            return false;
    }
    return true;
}

static double said(const sequence *q, int64_t t, int64_t s)
{
    return soma__load(q->x->dtype, q->x->data, q->first + t * q->classes + label_of(q, s));
}

/* log(e^a + e^b + e^c); all may be -Inf, and NaN stays. */
static double log_sum(double a, double b, double c)
{
    const double high = fmax(a, fmax(b, c));
    if (isnan(a) || isnan(b) || isnan(c))
        return NAN;
    if (isinf(high))
        return high;
    return high + log(exp(a - high) + exp(b - high) + exp(c - high));
}

/* States that a path can be in at step t and still end in time: [low, high). */
static void reach(const sequence *q, int64_t t, int64_t *low, int64_t *high)
{
    const int64_t rest = q->states - 2 * (q->steps - t);
    *low = rest > 0 ? rest : 0;
    *high = 2 * t + 2 < q->states ? 2 * t + 2 : q->states;
}

/* to[s]: all ways to be in state s after step t, of those after the step before (`from`). */
static void step_forward(const sequence *q, int64_t t, const double *from, double *to)
{
    int64_t low, high;
    reach(q, t, &low, &high);
    for (int64_t s = 0; s < q->states; s++) {
        to[s] = -INFINITY;
        if (s < low || s >= high)
            continue;
        const double before = t == 0 ? 0
                                     : log_sum(from[s], s >= 1 ? from[s - 1] : -INFINITY,
                                               skips(q, s) ? from[s - 2] : -INFINITY);
        to[s] = before + said(q, t, s);
    }
}

/* to[s]: all ways on from state s after step t, of those after the step that follows (`from`). */
static void step_backward(const sequence *q, int64_t t, const double *from, double *to)
{
    for (int64_t s = 0; s < q->states; s++) {
        const bool end = s + 2 >= q->states;
        to[s] = end ? 0 : -INFINITY;
        if (t + 1 == q->steps)
            continue;
        const double stay = from[s] + said(q, t + 1, s);
        const double next = s + 1 < q->states ? from[s + 1] + said(q, t + 1, s + 1) : -INFINITY;
        const double skip =
            s + 2 < q->states && skips(q, s + 2) ? from[s + 2] + said(q, t + 1, s + 2) : -INFINITY;
        to[s] = log_sum(stay, next, skip);
    }
}

/* All ways to the end, of those to each state after the last step. */
static double whole(const sequence *q, const double *last)
{
    if (q->steps == 0)
        return q->states == 1 ? 0 : -INFINITY;
    return log_sum(last[q->states - 1], q->states > 1 ? last[q->states - 2] : -INFINITY, -INFINITY);
}

static void swap(double **a, double **b)
{
    double *c = *a;
    *a = *b;
    *b = c;
}

void soma__ctc_forward(const soma__call *call, int64_t b, double *scratch)
{
    const soma__ctc_attrs *attrs = call->attrs;
    const soma__view *y = &call->out[0];
    const sequence q = sequence_of(call, b);
    double *from = scratch, *to = scratch + q.states, loss = NAN;
    if (well_labelled(&q)) {
        for (int64_t t = 0; t < q.steps; t++, swap(&from, &to))
            step_forward(&q, t, from, to);
        loss = -whole(&q, from);
    }
    if (attrs->zero_infinity && isinf(loss) && loss > 0)
        loss = 0;
    soma__store(y->dtype, y->data, b, loss);
}

/* dx of step t: -dy for the share of all paths that are at each class there. `share` [K]. */
static void store_step(const soma__call *call, const sequence *q, int64_t t, const double *share)
{
    const soma__view *dx = &call->out[0];
    for (int64_t k = 0; k < q->classes; k++)
        soma__store(dx->dtype, dx->data, q->first + t * q->classes + k, share[k]);
}

void soma__ctc_backward(const soma__call *call, int64_t b, double *scratch)
{
    const soma__view *dy = &call->in[4];
    const sequence q = sequence_of(call, b);
    const double weight = soma__load(dy->dtype, dy->data, b);
    double *share = scratch, *from = share + q.classes, *to = from + q.states;
    double *ways = to + q.states; /* [steps, states]: what step_forward says of each step */
    double all = NAN;
    if (well_labelled(&q)) {
        for (int64_t t = 0; t < q.steps; t++)
            step_forward(&q, t, ways + (t > 0 ? t - 1 : 0) * q.states, ways + t * q.states);
        all = whole(&q, q.steps ? ways + (q.steps - 1) * q.states : ways);
    }
    for (int64_t t = call->in[0].shape.dim[1] - 1; t >= 0; t--) {
        /* Where no path fits nothing can be made better: 0, as beyond the steps that count. */
        const bool counts = t < q.steps && !(isinf(all) && all < 0);
        for (int64_t k = 0; k < q.classes; k++)
            share[k] = counts && isnan(all) ? NAN : 0;
        if (counts && !isnan(all)) {
            step_backward(&q, t, from, to);
            for (int64_t s = 0; s < q.states; s++)
                share[label_of(&q, s)] -= weight * exp(ways[t * q.states + s] + to[s] - all);
            swap(&from, &to);
        }
        store_step(call, &q, t, share);
    }
}

size_t soma__ctc_scratch(const soma__call *call, bool gradient)
{
    const size_t steps = (size_t)call->in[0].shape.dim[1],
                 classes = (size_t)call->in[0].shape.dim[2];
    const size_t states = 2 * (size_t)call->in[1].shape.dim[1] + 1;
    return ((gradient ? steps * states + classes : 0) + 2 * states) * sizeof(double);
}

/* --- rules -------------------------------------------------------------------------------------
 */

static soma_status check_index(soma__rule *rule, int index, const char *name, soma_shape want)
{
    char got[SOMA_SHAPE_TEXT_SIZE], text[SOMA_SHAPE_TEXT_SIZE];
    if (rule->in_dtype[index] != SOMA_I32 && rule->in_dtype[index] != SOMA_I64)
        return soma__rule_fail(rule, SOMA_DTYPE, "%s are %s, but must be i32 or i64", name,
                               soma_dtype_text(rule->in_dtype[index]));
    if (!soma_shape_equal(&rule->in_shape[index], &want))
        return soma__rule_fail(rule, SOMA_SHAPE, "%s are %s, but must be %s", name,
                               soma_shape_text(&rule->in_shape[index], got, sizeof got),
                               soma_shape_text(&want, text, sizeof text));
    return SOMA_OK;
}

/* All inputs but dy. */
static soma_status check_inputs(soma__rule *rule)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    const soma__ctc_attrs *attrs = rule->attrs;
    const soma_shape *x = &rule->in_shape[0], *targets = &rule->in_shape[1];
    size_t cells;
    SOMA__TRY(soma__rule_float(rule, 0));
    if (x->ndim != 3 || x->dim[2] < 1)
        return soma__rule_fail(rule, SOMA_SHAPE, "log_probs are %s, but must be [B,T,classes]",
                               soma_shape_text(x, text, sizeof text));
    const int64_t batch = x->dim[0], labels = targets->ndim == 2 ? targets->dim[1] : 0;
    SOMA__TRY(check_index(rule, 1, "targets", SOMA_SHAPE(batch, labels)));
    SOMA__TRY(check_index(rule, 2, "input_lengths", SOMA_SHAPE(batch)));
    SOMA__TRY(check_index(rule, 3, "target_lengths", SOMA_SHAPE(batch)));
    if (attrs->blank < 0 || attrs->blank >= x->dim[2])
        return soma__rule_fail(rule, SOMA_INVALID, "blank %lld must be a class from 0 to %lld",
                               (long long)attrs->blank, (long long)x->dim[2] - 1);
    /* With room to spare for what soma__ctc_scratch adds. */
    if (labels > INT32_MAX || !soma__mul((size_t)x->dim[1] + 4, 32 * (size_t)(labels + 1), &cells))
        return soma__rule_fail(rule, SOMA_SHAPE, "%lld steps of %lld labels are too many",
                               (long long)x->dim[1], (long long)labels);
    return SOMA_OK;
}

static soma_status ctc_loss_rule(soma__rule *rule)
{
    SOMA__TRY(check_inputs(rule));
    rule->shape = SOMA_SHAPE(rule->in_shape[0].dim[0]);
    return SOMA_OK;
}

static soma_status ctc_loss_grad_rule(soma__rule *rule)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    const soma_shape want = SOMA_SHAPE(rule->in_shape[0].ndim ? rule->in_shape[0].dim[0] : 0);
    SOMA__TRY(check_inputs(rule));
    if (rule->in_dtype[4] != rule->in_dtype[0] || !soma_shape_equal(&rule->in_shape[4], &want))
        return soma__rule_fail(rule, SOMA_SHAPE, "dy is %s %s, but must be %s [%lld]",
                               soma_dtype_text(rule->in_dtype[4]),
                               soma_shape_text(&rule->in_shape[4], text, sizeof text),
                               soma_dtype_text(rule->in_dtype[0]), (long long)want.dim[0]);
    return SOMA_OK;
}

/* --- gradients ---------------------------------------------------------------------------------
 */

static void ctc_loss_gradient(soma__grad *g)
{
    const soma_var in[5] = {g->in[0], g->in[1], g->in[2], g->in[3], g->dout};
    if (g->need[0])
        g->din[0] = soma__graph_add(g->graph, &soma__op_ctc_loss_grad, in, 5, g->attrs);
}

static void ctc_loss_grad_gradient(soma__grad *g)
{
    soma_graph_fail(
        g->graph, SOMA_UNSUPPORTED,
        "ctc_loss_grad has no gradient: ctc_loss can be differentiated once, not twice");
}

/* --- kernels, descriptors ----------------------------------------------------------------------
 */

static void ctc_loss_reference(const soma__call *call)
{
    for (int64_t b = 0; b < call->in[0].shape.dim[0]; b++)
        soma__ctc_forward(call, b, call->scratch);
}
static void ctc_loss_grad_reference(const soma__call *call)
{
    for (int64_t b = 0; b < call->in[0].shape.dim[0]; b++)
        soma__ctc_backward(call, b, call->scratch);
}
static size_t forward_scratch(const soma__call *call)
{
    return soma__ctc_scratch(call, false);
}
static size_t backward_scratch(const soma__call *call)
{
    return soma__ctc_scratch(call, true);
}

/* For each step and state three exponentials (10 each), a logarithm (10) and eight more; backwards
 * as much again, and the share. */
static double states_of(const soma__call *call)
{
    const soma_shape *x = &call->in[0].shape;
    return (double)x->dim[0] * (double)x->dim[1] * (2 * (double)call->in[1].shape.dim[1] + 1);
}
static double ctc_loss_flops(const soma__call *call)
{
    return 48 * states_of(call);
}
static double ctc_loss_grad_flops(const soma__call *call)
{
    return 110 * states_of(call);
}

static const soma__attr ctc_attrs[] = {
    {"blank", SOMA__ATTR_INT, offsetof(soma__ctc_attrs, blank), 1, "the class that is no label"},
    {"zero_infinity", SOMA__ATTR_BOOL, offsetof(soma__ctc_attrs, zero_infinity), 1,
     "targets that do not fit lose 0, not Inf"},
    {0},
};

const soma__op soma__op_ctc_loss = {
    .name = "ctc_loss",
    .family = "ctc",
    .doc = "log_probs [B,T,K], targets [B,S] -> [B]: -log Σ over alignments of their probability",
    .inputs = "log_probs targets input_lengths target_lengths",
    .min_inputs = 4,
    .max_inputs = 4,
    .attr_size = sizeof(soma__ctc_attrs),
    .attrs = ctc_attrs,
    .rule = ctc_loss_rule,
    .gradient = ctc_loss_gradient,
    .reference = ctc_loss_reference,
    .reference_scratch = forward_scratch,
    .flops = ctc_loss_flops,
};

const soma__op soma__op_ctc_loss_grad = {
    .name = "ctc_loss_grad",
    .family = "ctc",
    .doc = "gradient of ctc_loss with respect to log_probs",
    .inputs = "log_probs targets input_lengths target_lengths dy",
    .min_inputs = 5,
    .max_inputs = 5,
    .attr_size = sizeof(soma__ctc_attrs),
    .attrs = ctc_attrs,
    .rule = ctc_loss_grad_rule,
    .gradient = ctc_loss_grad_gradient,
    .reference = ctc_loss_grad_reference,
    .reference_scratch = backward_scratch,
    .flops = ctc_loss_grad_flops,
};

/* --- builders ----------------------------------------------------------------------------------
 */

/* The labels of each row before its padding: those that are not negative. */
static soma_var counted(soma_var targets)
{
    soma_var zero = soma_scalar(targets.graph, soma_var_dtype(targets), 0);
    soma_var there = soma_cast(soma_greater_equal(targets, zero), SOMA_I64);
    return soma_sum(there, .axes = {1}, .count = 1);
}

soma_var soma_ctc_loss_opt(soma_var log_probs, soma_var targets, soma_ctc_options o)
{
    const soma__ctc_attrs attrs = {o.blank, o.zero_infinity};
    soma_graph *graph = log_probs.graph;
    if (!soma_var_ok(log_probs) || !soma_var_ok(targets))
        return soma__failed(soma_var_ok(log_probs) ? targets : log_probs);
    if (o.reduction < SOMA_REDUCTION_NONE || o.reduction > SOMA_REDUCTION_SUM) {
        soma_graph_fail(graph, SOMA_INVALID, "ctc_loss: there is no reduction %d",
                        (int)o.reduction);
        return soma__failed(log_probs);
    }
    const soma_shape x = soma_var_shape(log_probs), t = soma_var_shape(targets);
    const soma_shape batch = SOMA_SHAPE(x.ndim > 0 ? x.dim[0] : 1);
    soma_var in[4] = {log_probs, targets, o.input_lengths, o.target_lengths};
    if (!in[2].graph)
        in[2] = soma_full(graph, SOMA_I64, batch, x.ndim == 3 ? (double)x.dim[1] : 0);
    if (!in[3].graph) /* where targets are no matrix the rule says so */
        in[3] = t.ndim == 2 ? counted(targets) : soma_full(graph, SOMA_I64, batch, 0);
    soma_var each = soma__graph_add(graph, &soma__op_ctc_loss, in, 4, &attrs);
    if (o.reduction == SOMA_REDUCTION_SUM)
        return soma_sum(each);
    if (o.reduction == SOMA_REDUCTION_NONE || !soma_var_ok(each))
        return each;
    const soma_dtype dtype = soma_var_dtype(each);
    soma_var lengths =
        soma_clamp(soma_cast(in[3], dtype), 1, (double)(t.dim[1] > 1 ? t.dim[1] : 1));
    return soma_mean(soma_div(each, lengths));
}

/* A label where it differs from the one of the step before and is no blank; else -1. */
soma_var soma_ctc_best_path(soma_var log_probs, soma_var input_lengths, int64_t blank)
{
    if (!soma_var_ok(log_probs))
        return soma__failed(log_probs);
    soma_graph *graph = log_probs.graph;
    const soma_shape x = soma_var_shape(log_probs);
    if (x.ndim != 3 || x.dim[1] < 1 || blank < 0 || blank >= x.dim[2]) {
        char text[SOMA_SHAPE_TEXT_SIZE];
        soma_graph_fail(graph, SOMA_SHAPE,
                        "ctc_best_path: log_probs are %s, but must be [B,T,classes] of a step or "
                        "more, and blank %lld one of the classes",
                        soma_shape_text(&x, text, sizeof text), (long long)blank);
        return soma__failed(log_probs);
    }
    soma_var best = soma_argmax(log_probs, 2);
    soma_var none = soma_full(graph, SOMA_I64, SOMA_SHAPE(x.dim[0], x.dim[1]), -1);
    soma_var first = soma_full(graph, SOMA_I64, SOMA_SHAPE(x.dim[0], 1), -1);
    const soma_var both[2] = {first, soma_slice(best, 1, 0, x.dim[1] - 1)};
    soma_var new = soma_not_equal(best, x.dim[1] > 1 ? soma_concat(both, 2, 1) : first);
    soma_var label = soma_not_equal(best, soma_scalar(graph, SOMA_I64, (double)blank));
    best = soma_where(soma_logical_and(new, label), best, none);
    if (input_lengths.graph)
        best = soma_where(soma_sequence_mask(input_lengths, x.dim[1]), best, none);
    return best;
}
