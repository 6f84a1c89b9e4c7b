/* crf.c: linear-chain conditional random fields (Lafferty et al. 2001). The probability of a row of
 * tags is e^(its score) over the sum of e^score of all rows, which goes from step to step in
 * logarithms (forward); with the sums from the other end (backward) that gives the probability of
 * each tag and each pair, and these are the gradient.
 *
 * The score of the given tags is the same sum over the rows that agree with them. So a step whose
 * tag is not known may have any, and the gradient is one difference of probabilities. */
#include "ops/crf.h"

#include <math.h>
#include <string.h>

#include "ops/ops.h"
#include "soma/sequence.h"

/* --- one chain ----------------------------------------------------------------------------------
 */

/* A sequence as the kernels see it: `steps` are those that count, of `rows`. */
typedef struct chain {
    int64_t rows, tags, steps;
    const double *step, *follow, *first, *last;
    double *alpha, *beta; /* [rows,tags] each */
} chain;

size_t soma__crf_scratch(const soma__call *call)
{
    const soma_shape *scores = &call->in[0].shape;
    return 4 * (size_t)(scores->dim[1] * scores->dim[2]) * sizeof(double);
}

/* Sequence b in doubles, in the scratch. */
static chain chain_of(const soma__call *call, const soma__view *lengths, int64_t b, double *scratch)
{
    const soma__view *scores = &call->in[0];
    const int64_t all = scores->shape.dim[1], tags = scores->shape.dim[2], cells = all * tags;
    const int64_t rows = all - tags - 2, given = soma__view_index(lengths, b);
    for (int64_t i = 0; i < cells; i++)
        scratch[i] = soma__load(scores->dtype, scores->data, b * cells + i);
    return (chain){.rows = rows,
                   .tags = tags,
                   .steps = given < 0      ? 0
                            : given > rows ? rows
                                           : given,
                   .step = scratch,
                   .follow = scratch + rows * tags,
                   .first = scratch + (rows + tags) * tags,
                   .last = scratch + (rows + tags + 1) * tags,
                   .alpha = scratch + cells,
                   .beta = scratch + 2 * cells};
}

/* No row of tags goes through here. */
static bool impossible(double score)
{
    return score == -INFINITY;
}

/* log Σ e^x[i]; -Inf of nothing but -Inf, NaN where there is one. */
static double log_sum(const double *x, int64_t count)
{
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < count; i++)
        most = fmax(most, x[i]);
    for (int64_t i = 0; i < count; i++)
        sum += most > -INFINITY ? exp(x[i] - most) : x[i];
    return most > -INFINITY ? most + log(sum) : sum;
}

/* Row t of `tags` (NULL: any) is tag j, or not known. */
static bool agrees(const soma__view *tags, int64_t at, int64_t j)
{
    if (!tags)
        return true;
    const int64_t tag = soma__view_index(tags, at);
    return tag < 0 || tag == j;
}

/* log Σ e^score over the rows of tags that agree with those from `at` on; fills alpha: the same of
 * the first steps up to each, by their last tag. `row` has room for a sum's terms. */
static double forward(const chain *c, const soma__view *tags, int64_t at, double *row)
{
    const int64_t k = c->tags;
    for (int64_t t = 0; t < c->steps; t++)
        for (int64_t j = 0; j < k; j++) {
            double *out = &c->alpha[t * k + j];
            if (!agrees(tags, at + t, j)) {
                *out = -INFINITY;
                continue;
            }
            for (int64_t i = 0; i < k && t > 0; i++)
                row[i] = c->alpha[(t - 1) * k + i] + c->follow[i * k + j];
            *out = c->step[t * k + j] + (t > 0 ? log_sum(row, k) : c->first[j]);
        }
    for (int64_t j = 0; j < k; j++)
        row[j] = c->alpha[(c->steps - 1) * k + j] + c->last[j];
    return log_sum(row, k);
}

/* After forward: the same of the steps after each, by its tag, into beta. */
static void backward(const chain *c, const soma__view *tags, int64_t at, double *row)
{
    const int64_t k = c->tags;
    for (int64_t t = c->steps - 1; t >= 0; t--)
        for (int64_t i = 0; i < k; i++) {
            double *out = &c->beta[t * k + i];
            if (t == c->steps - 1) {
                *out = c->last[i];
                continue;
            }
            for (int64_t j = 0; j < k; j++)
                row[j] =
                    agrees(tags, at + t + 1, j)
                        ? c->follow[i * k + j] + c->step[(t + 1) * k + j] + c->beta[(t + 1) * k + j]
                        : -INFINITY;
            *out = log_sum(row, k);
        }
}

/* Adds `by` times the probabilities of tags and pairs to the gradient of the scores. */
static void add_probabilities(const chain *c, double total, double by, double *gradient)
{
    const int64_t k = c->tags;
    double *follow = gradient + c->rows * k, *first = follow + k * k, *last = first + k;
    for (int64_t t = 0; t < c->steps && !impossible(total); t++)
        for (int64_t j = 0; j < k; j++) {
            if (impossible(c->alpha[t * k + j]))
                continue;
            const double p = by * exp(c->alpha[t * k + j] + c->beta[t * k + j] - total);
            gradient[t * k + j] += p;
            if (t == 0)
                first[j] += p;
            if (t == c->steps - 1)
                last[j] += p;
            for (int64_t i = 0; i < k && t > 0; i++)
                follow[i * k + j] += by * exp(c->alpha[(t - 1) * k + i] + c->follow[i * k + j] +
                                              c->step[t * k + j] + c->beta[t * k + j] - total);
        }
}

/* A tag beyond the last one among the steps that count is no tag at all. */
static bool has_wrong_tag(const chain *c, const soma__view *tags, int64_t b)
{
    for (int64_t t = 0; t < c->steps; t++)
        if (soma__view_index(tags, b * c->rows + t) >= c->tags)
            return true;
    return false;
}

void soma__crf_loss(const soma__call *call, int64_t b, double *scratch)
{
    const soma__view *tags = &call->in[1];
    const chain c = chain_of(call, &call->in[2], b, scratch);
    double loss = 0;
    /* beta is not used: its room serves a sum's terms. */
    if (has_wrong_tag(&c, tags, b)) {
        loss = NAN;
    } else if (c.steps > 0) {
        const double all = forward(&c, NULL, 0, c.beta);
        const double given = forward(&c, tags, b * c.rows, c.beta);
        loss = impossible(given) ? INFINITY : all - given;
    }
    soma__store(call->out[0].dtype, call->out[0].data, b, loss);
}

void soma__crf_grad(const soma__call *call, int64_t b, double *scratch)
{
    const soma__view *tags = &call->in[1], *dy = &call->in[3], *out = &call->out[0];
    const chain c = chain_of(call, &call->in[2], b, scratch);
    const int64_t cells = out->shape.dim[1] * out->shape.dim[2];
    /* A sum's terms and the gradient lie behind the steps of beta and alpha: there are K+2 more
     * rows of K. */
    double *row = c.beta + c.rows * c.tags, *gradient = scratch + 3 * cells;
    double by = soma__load(dy->dtype, dy->data, b);
    memset(gradient, 0, (size_t)cells * sizeof *gradient);
    if (has_wrong_tag(&c, tags, b))
        by = NAN;
    for (int given = 0; given < 2 && c.steps > 0; given++) {
        const soma__view *which = given ? tags : NULL;
        const double total = forward(&c, which, b * c.rows, row);
        backward(&c, which, b * c.rows, row);
        add_probabilities(&c, total, given ? -by : by, gradient);
    }
    for (int64_t i = 0; i < cells; i++)
        soma__store(out->dtype, out->data, b * cells + i, gradient[i]);
}

/* Viterbi: the best score up to each step by its last tag, and which tag came before it; of equal
 * ones the first. */
void soma__crf_decode(const soma__call *call, int64_t b, double *scratch)
{
    const chain c = chain_of(call, &call->in[1], b, scratch);
    const int64_t k = c.tags;
    int64_t *out = (int64_t *)call->out[0].data + b * c.rows;
    for (int64_t t = 0; t < c.steps; t++)
        for (int64_t j = 0; j < k; j++) {
            int64_t from = 0;
            for (int64_t i = 1; i < k && t > 0; i++)
                if (c.alpha[(t - 1) * k + i] + c.follow[i * k + j] >
                    c.alpha[(t - 1) * k + from] + c.follow[from * k + j])
                    from = i;
            c.alpha[t * k + j] =
                c.step[t * k + j] +
                (t > 0 ? c.alpha[(t - 1) * k + from] + c.follow[from * k + j] : c.first[j]);
            c.beta[t * k + j] = (double)from;
        }
    int64_t best = 0;
    for (int64_t j = 1; j < k && c.steps > 0; j++)
        if (c.alpha[(c.steps - 1) * k + j] + c.last[j] >
            c.alpha[(c.steps - 1) * k + best] + c.last[best])
            best = j;
    for (int64_t t = c.rows - 1; t >= 0; t--) {
        out[t] = t < c.steps ? best : -1;
        if (t < c.steps)
            best = (int64_t)c.beta[t * k + best];
    }
}

/* --- rules --------------------------------------------------------------------------------------
 */

static soma_status check_scores(soma__rule *rule)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    const soma_shape *scores = &rule->in_shape[0];
    SOMA__TRY(soma__rule_float(rule, 0));
    if (scores->ndim != 3 || scores->dim[2] < 1 || scores->dim[1] < scores->dim[2] + 3)
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "scores are %s, but must be [B,T+K+2,K] of a step or more",
                               soma_shape_text(scores, text, sizeof(text)));
    return SOMA_OK;
}

/* Input `index` holds whole numbers of this shape. */
static soma_status check_numbers(soma__rule *rule, int index, const char *name, soma_shape shape)
{
    char got[SOMA_SHAPE_TEXT_SIZE], want[SOMA_SHAPE_TEXT_SIZE];
    const soma_dtype dtype = rule->in_dtype[index];
    if (dtype != SOMA_I64 && dtype != SOMA_I32)
        return soma__rule_fail(rule, SOMA_DTYPE, "%s are %s, but must be i32 or i64", name,
                               soma_dtype_text(dtype));
    if (!soma_shape_equal(&rule->in_shape[index], &shape))
        return soma__rule_fail(rule, SOMA_SHAPE, "%s are %s, but must be %s", name,
                               soma_shape_text(&rule->in_shape[index], got, sizeof(got)),
                               soma_shape_text(&shape, want, sizeof(want)));
    return SOMA_OK;
}

static soma_shape steps_of(const soma_shape *scores)
{
    return SOMA_SHAPE(scores->dim[0], scores->dim[1] - scores->dim[2] - 2);
}

static soma_status rule_crf(soma__rule *rule)
{
    SOMA__TRY(check_scores(rule));
    const soma_shape steps = steps_of(&rule->in_shape[0]);
    SOMA__TRY(check_numbers(rule, 1, "tags", steps));
    SOMA__TRY(check_numbers(rule, 2, "lengths", SOMA_SHAPE(steps.dim[0])));
    rule->shape = SOMA_SHAPE(steps.dim[0]);
    return SOMA_OK;
}

static soma_status rule_crf_grad(soma__rule *rule)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(rule_crf(rule));
    if (rule->in_dtype[3] != rule->in_dtype[0])
        return soma__rule_fail(rule, SOMA_DTYPE, "dy is %s, but the scores are %s",
                               soma_dtype_text(rule->in_dtype[3]),
                               soma_dtype_text(rule->in_dtype[0]));
    if (!soma_shape_equal(&rule->in_shape[3], &rule->shape))
        return soma__rule_fail(rule, SOMA_SHAPE, "dy is %s, but must be [%lld]",
                               soma_shape_text(&rule->in_shape[3], text, sizeof(text)),
                               (long long)rule->shape.dim[0]);
    rule->shape = rule->in_shape[0];
    return SOMA_OK;
}

static soma_status rule_crf_decode(soma__rule *rule)
{
    SOMA__TRY(check_scores(rule));
    const soma_shape steps = steps_of(&rule->in_shape[0]);
    SOMA__TRY(check_numbers(rule, 1, "lengths", SOMA_SHAPE(steps.dim[0])));
    rule->shape = steps;
    rule->dtype = SOMA_I64;
    return SOMA_OK;
}

/* --- descriptors --------------------------------------------------------------------------------
 */

static void grad_crf(soma__grad *g)
{
    const soma_var in[4] = {g->in[0], g->in[1], g->in[2], g->dout};
    if (g->need[0] && soma_var_ok(g->dout))
        g->din[0] = soma__graph_add(g->graph, &soma__op_crf_grad, in, 4, NULL);
}

static void grad_crf_grad(soma__grad *g)
{
    soma_graph_fail(g->graph, SOMA_UNSUPPORTED,
                    "crf_grad has no gradient: crf can be differentiated once, not twice");
}

static void each_sequence(const soma__call *call,
                          void (*sequence)(const soma__call *call, int64_t b, double *scratch))
{
    for (int64_t b = 0; b < call->in[0].shape.dim[0]; b++)
        sequence(call, b, call->scratch);
}
static void reference_crf(const soma__call *call)
{
    each_sequence(call, soma__crf_loss);
}
static void reference_crf_grad(const soma__call *call)
{
    each_sequence(call, soma__crf_grad);
}
static void reference_crf_decode(const soma__call *call)
{
    each_sequence(call, soma__crf_decode);
}

/* Pairs of tags at all steps; an exponential counts as ten flops. */
static double pairs(const soma__call *call)
{
    const soma_shape *scores = &call->in[0].shape;
    return (double)steps_of(scores).dim[1] * (double)scores->dim[0] * (double)scores->dim[2] *
           (double)scores->dim[2];
}
static double flops_crf(const soma__call *call)
{
    return 14 * pairs(call);
}
static double flops_crf_grad(const soma__call *call)
{
    return 42 * pairs(call);
}
static double flops_crf_decode(const soma__call *call)
{
    return 2 * pairs(call);
}

#define CRF(name_, inputs_, count_, gradient_, doc_)                                               \
    const soma__op soma__op_##name_ = {                                                            \
        .name = #name_,                                                                            \
        .family = "crf",                                                                           \
        .doc = doc_,                                                                               \
        .inputs = inputs_,                                                                         \
        .min_inputs = count_,                                                                      \
        .max_inputs = count_,                                                                      \
        .rule = rule_##name_,                                                                      \
        .gradient = gradient_,                                                                     \
        .reference = reference_##name_,                                                            \
        .reference_scratch = soma__crf_scratch,                                                    \
        .flops = flops_##name_,                                                                    \
    };
CRF(crf, "scores tags lengths", 3, grad_crf,
    "-log of the probability of a row of tags in a linear chain")
CRF(crf_grad, "scores tags lengths dy", 4, grad_crf_grad,
    "gradient of crf: probabilities of tags and pairs, minus those given")
CRF(crf_decode, "scores lengths", 2, soma__grad_none, "the most probable tags (Viterbi 1967)")

/* --- builders -----------------------------------------------------------------------------------
 */

/* [K,K] or [K] as rows of each sequence: [B,rows,K]. */
static soma_var rows_of(soma_var x, soma_var emissions, int64_t rows, bool matrix)
{
    const soma_shape e = soma_var_shape(emissions);
    const soma_shape all = SOMA_SHAPE(e.dim[0], rows, e.dim[2]);
    if (!x.graph)
        return soma_full(emissions.graph, soma_var_dtype(emissions), all, 0);
    if (!soma_var_ok(x))
        return x;
    soma_shape own = soma_var_shape(x);
    char text[SOMA_SHAPE_TEXT_SIZE];
    if (soma_shape_equal(&own, &all))
        return x;
    const bool fits = matrix ? own.ndim == 2 && own.dim[0] == rows && own.dim[1] == e.dim[2]
                             : own.ndim == 1 && own.dim[0] == e.dim[2];
    if (!fits) {
        soma_graph_fail(x.graph, SOMA_SHAPE, "crf: %s are %s, but must be %s with K = %lld tags",
                        matrix ? "transitions" : "scores of the first or last tag",
                        soma_shape_text(&own, text, sizeof(text)), matrix ? "[K,K]" : "[K]",
                        (long long)e.dim[2]);
        return soma__failed(x);
    }
    return soma_expand(soma_reshape(x, SOMA_SHAPE(1, rows, e.dim[2])), all);
}

soma_var soma_crf_scores_opt(soma_var emissions, soma_var transitions, soma_crf_options o)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    if (!soma_var_ok(emissions))
        return soma__failed(emissions);
    const soma_shape e = soma_var_shape(emissions);
    if (e.ndim != 3) {
        soma_graph_fail(emissions.graph, SOMA_SHAPE,
                        "crf: emissions are %s, but must be [B,T,K]: a score of each tag at each "
                        "step",
                        soma_shape_text(&e, text, sizeof(text)));
        return soma__failed(emissions);
    }
    const soma_var part[4] = {emissions, rows_of(transitions, emissions, e.dim[2], true),
                              rows_of(o.first, emissions, 1, false),
                              rows_of(o.last, emissions, 1, false)};
    return soma_concat(part, 4, 1);
}

/* `lengths`, or all T steps. */
static soma_var lengths_or_all(soma_var lengths, soma_var scores)
{
    if (lengths.graph || !soma_var_ok(scores))
        return lengths;
    const soma_shape shape = soma_var_shape(scores);
    return soma_full(scores.graph, SOMA_I64, SOMA_SHAPE(shape.ndim ? shape.dim[0] : 1),
                     shape.ndim == 3 ? (double)(shape.dim[1] - shape.dim[2] - 2) : 0);
}

soma_var soma_crf(soma_var scores, soma_var tags, soma_var lengths)
{
    const soma_var in[3] = {scores, tags, lengths_or_all(lengths, scores)};
    return soma__graph_add(scores.graph, &soma__op_crf, in, 3, NULL);
}

soma_var soma_crf_decode(soma_var scores, soma_var lengths)
{
    const soma_var in[2] = {scores, lengths_or_all(lengths, scores)};
    return soma__graph_add(scores.graph, &soma__op_crf_decode, in, 2, NULL);
}

/* --- chains -------------------------------------------------------------------------------------
 */

soma_var soma_chain(soma_var scores, soma_var lengths)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    if (!soma_var_ok(scores))
        return soma__failed(scores);
    const soma_shape shape = soma_var_shape(scores);
    if (shape.ndim != 3) {
        soma_graph_fail(scores.graph, SOMA_SHAPE, "the scores of a chain are [B,T+K+2,K], not %s",
                        soma_shape_text(&shape, text, sizeof(text)));
        return soma__failed(scores);
    }
    lengths = lengths_or_all(lengths, scores);
    if (!soma_var_ok(lengths))
        return soma__failed(lengths);
    soma_var row =
        soma_reshape(soma_cast(lengths, soma_var_dtype(scores)), SOMA_SHAPE(shape.dim[0], 1, 1));
    const soma_var both[2] = {
        scores, soma_stop_gradient(soma_expand(row, SOMA_SHAPE(shape.dim[0], 1, shape.dim[2])))};
    return soma_concat(both, 2, 1);
}

/* The scores of a chain, and its lengths. */
static soma_var take_apart(soma_var x, soma_var *lengths)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    *lengths = soma__failed(x);
    if (!soma_var_ok(x))
        return soma__failed(x);
    const soma_shape shape = soma_var_shape(x);
    if (shape.ndim != 3 || shape.dim[2] < 1 || shape.dim[1] < shape.dim[2] + 4) {
        soma_graph_fail(x.graph, SOMA_SHAPE,
                        "a chain is [B,T+K+3,K], as soma_chain gives it, not %s",
                        soma_shape_text(&shape, text, sizeof(text)));
        return soma__failed(x);
    }
    const int64_t rows = shape.dim[1] - 1;
    soma_var row = soma_slice(soma_slice(x, 1, rows, rows + 1), 2, 0, 1);
    *lengths = soma_cast(soma_reshape(soma_stop_gradient(row), SOMA_SHAPE(shape.dim[0])), SOMA_I64);
    return soma_slice(x, 1, 0, rows);
}

soma_var soma_chain_loss(soma_var x, soma_var tags)
{
    soma_var lengths, scores = take_apart(x, &lengths);
    return soma_crf(scores, tags, lengths);
}

soma_var soma_chain_tags(soma_var x)
{
    soma_var lengths, scores = take_apart(x, &lengths);
    return soma_crf_decode(scores, lengths);
}
