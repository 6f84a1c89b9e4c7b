/* check_graph.c: checks that read the graph of a model. Working on nodes instead of layers, they
 * see through blocks, whole networks and layers that the user's program registered. */
#include <string.h>

#include "base/base.h"
#include "data/dataset.h"
#include "graph/graph.h"
#include "nn/nn.h"
#include "train/check.h"

#define RELU_SAMPLES 32
#define RELU_LAYERS 64
#define RELU_SHARE 0.5

/* --- the graph ----------------------------------------------------------------------------------
 */

static bool is_op(const soma__node *node, const char *name)
{
    return strcmp(node->op->name, name) == 0;
}

static const soma__node *node_at(const soma__check_graph *g, int32_t id)
{
    return g->graph->nodes[id];
}

/* Inputs come before what is made of them, so one pass in order is enough. */
static void mark(soma__check_graph *g)
{
    for (size_t i = 0; i < g->graph->count; i++) {
        const soma__node *node = g->graph->nodes[i];
        g->depends[i] = node->input && strcmp(node->input, "key") != 0;
        g->random[i] = (node->op->flags & SOMA__OP_RANDOM) != 0;
        for (int k = 0; k < node->nin; k++) {
            g->depends[i] = g->depends[i] || g->depends[node->in[k]];
            g->random[i] = g->random[i] || g->random[node->in[k]];
        }
        g->random[i] = g->random[i] && !g->depends[i];
    }
}

static soma_status build(soma__check_graph *g, soma_model *model, soma_mode mode, int64_t batch,
                         soma_error *err)
{
    SOMA__TRY(soma_graph_create(&g->graph, err));
    const soma_model_options *o = soma_model_get_options(model);
    const soma_shape sample = soma__model_sample(model);
    soma_var x = soma_input(g->graph, "x", o->input_dtype ? o->input_dtype : SOMA_F32,
                            soma__shape_batched(&sample, batch));
    soma_var key = {0};
    if (mode == SOMA_TRAIN)
        key = soma_input(g->graph, "key", SOMA_I64, SOMA_SHAPE(2));
    g->out = soma_model_apply(model, g->graph, x, mode, key, NULL, 0, NULL);
    if (!soma_var_ok(g->out))
        return soma__fail(err, soma_graph_status(g->graph, err), "%s", err ? err->message : "");
    g->depends = soma__calloc(g->graph->count, sizeof *g->depends);
    g->random = soma__calloc(g->graph->count, sizeof *g->random);
    if (!g->depends || !g->random)
        return soma__fail(err, SOMA_MEMORY, "no memory to check the model");
    mark(g);
    return SOMA_OK;
}

soma_status soma__check_graph_create(soma__check_graph *out, soma_model *model, soma_mode mode,
                                     soma_error *err)
{
    *out = (soma__check_graph){0};
    /* Two samples: what is built for one may be simpler. */
    soma_status status = build(out, model, mode, 2, err);
    if (status != SOMA_OK)
        soma__check_graph_destroy(out);
    return status;
}

void soma__check_graph_destroy(soma__check_graph *g)
{
    soma_graph_destroy(g->graph);
    soma__free(g->depends);
    soma__free(g->random);
    *g = (soma__check_graph){0};
}

/* --- walking back -------------------------------------------------------------------------------
 */

/* The one input of a node that depends on the model's input; -1: none, or several. */
static int32_t source_of(const soma__check_graph *g, const soma__node *node)
{
    int32_t found = -1;
    for (int k = 0; k < node->nin; k++)
        if (g->depends[node->in[k]]) {
            if (found >= 0)
                return -1;
            found = node->in[k];
        }
    return found;
}

static bool is_view(const soma__node *node)
{
    return is_op(node, "reshape") || is_op(node, "permute") || is_op(node, "cast") ||
           is_op(node, "expand");
}

/* Does the node, of one input that depends on x, keep straight lines straight? */
static bool is_affine(const soma__check_graph *g, const soma__node *node)
{
    static const char *const names[] = {"add", "sub", "mul", "neg"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (is_op(node, names[i]))
            return true;
    return is_view(node) || (is_op(node, "div") && g->depends[node->in[0]]);
}

static bool is_product(const soma__node *node)
{
    return is_op(node, "matmul") || strncmp(node->op->name, "conv", 4) == 0;
}

const char *soma__check_output_op(const soma__check_graph *g)
{
    int32_t id = g->out.id;
    while (is_view(node_at(g, id))) {
        int32_t before = source_of(g, node_at(g, id));
        if (before < 0)
            break;
        id = before;
    }
    return node_at(g, id)->op->name;
}

static const char *name_of(const soma__node *node)
{
    return node->name && *node->name ? node->name : "a layer without a name";
}

/* --- no-nonlinearity ----------------------------------------------------------------------------
 */

static int64_t width(const soma__node *node)
{
    return node->shape.ndim ? node->shape.dim[node->shape.ndim - 1] : 1;
}

/* A layer narrower than what comes before and after it says that the product is to be of low rank:
 * the code of an autoencoder, a factorised weight. */
static bool is_bottleneck(const soma__check_graph *g, const soma__node *first,
                          const soma__node *second)
{
    int32_t from = source_of(g, first);
    return from >= 0 && width(first) < width(node_at(g, from)) && width(first) < width(second);
}

/* The dense layer whose output reaches this one through affine ops alone; -1: none. Convolutions
 * end the search: networks leave out what is between two of them on purpose. */
static int32_t dense_before(const soma__check_graph *g, int32_t dense)
{
    int32_t id = source_of(g, node_at(g, dense));
    while (id >= 0) {
        const soma__node *node = node_at(g, id);
        if (is_op(node, "matmul"))
            return source_of(g, node) >= 0 ? id : -1;
        if (!is_affine(g, node))
            return -1;
        id = source_of(g, node);
    }
    return -1;
}

soma_status soma__check_no_nonlinearity(soma__linter *l, soma_error *err)
{
    const soma__check_graph *g = &l->evaluate;
    for (size_t i = 0; i < g->graph->count; i++) {
        const soma__node *node = g->graph->nodes[i];
        if (!is_op(node, "matmul") || source_of(g, node) < 0)
            continue;
        int32_t before = dense_before(g, (int32_t)i);
        if (before >= 0 && !is_bottleneck(g, node_at(g, before), node))
            SOMA__TRY(soma__lint_found(
                l, SOMA_SEVERITY_WARNING, err,
                "give the first an activation such as relu, or leave one of them out",
                "there is no activation between '%s' and '%s': both together can do no more than "
                "one dense layer",
                name_of(node_at(g, before)), name_of(node)));
    }
    return SOMA_OK;
}

/* --- dropout-after-output -----------------------------------------------------------------------
 */

soma_status soma__check_dropout(soma__linter *l, soma_error *err)
{
    const soma__check_graph *g = &l->train;
    for (int32_t id = g->out.id; id >= 0;) {
        const soma__node *node = node_at(g, id);
        if (is_product(node))
            return SOMA_OK;
        for (int k = 0; k < node->nin; k++)
            if (g->random[node->in[k]])
                return soma__lint_found(
                    l, SOMA_SEVERITY_WARNING, err, "move it before the last layer with weights",
                    "'%s' draws at random after the last layer with weights: it erases answers "
                    "instead of features",
                    name_of(node));
        id = source_of(g, node);
    }
    return SOMA_OK;
}

/* --- dead-relu ----------------------------------------------------------------------------------
 */

/* Share of units (last axis) that are 0 for every sample and place. */
static double dead_share(const soma_tensor *t, bool *alive)
{
    const soma_shape *shape = soma_tensor_shape(t);
    int64_t units = shape->ndim ? shape->dim[shape->ndim - 1] : 1, dead = 0;
    const float *value = soma_tensor_const_data(t);
    memset(alive, 0, (size_t)units);
    for (int64_t i = 0; i < soma_tensor_count(t); i++)
        if (value[i] > 0)
            alive[i % units] = true;
    for (int64_t k = 0; k < units; k++)
        dead += !alive[k];
    return units ? (double)dead / (double)units : 0;
}

static soma_status judge_relus(soma__linter *l, const soma__check_graph *g, const soma_var *relus,
                               int count, soma_session *session, soma_error *err)
{
    for (int i = 0; i < count; i++) {
        const soma_tensor *t = soma_session_output(session, i);
        int64_t units = soma_tensor_count(t);
        bool *alive = soma__calloc((size_t)units + 1, sizeof *alive);
        if (!alive)
            return soma__fail(err, SOMA_MEMORY, "no memory to look at '%s'",
                              name_of(node_at(g, relus[i].id)));
        double share = soma_tensor_dtype(t) == SOMA_F32 ? dead_share(t, alive) : 0;
        soma__free(alive);
        if (share > RELU_SHARE)
            SOMA__TRY(soma__lint_found(
                l, SOMA_SEVERITY_WARNING, err,
                "scale the inputs (data.scale), take the default initialiser and biases of 0, or "
                "leaky_relu",
                "%.0f %% of the relu units of '%s' are 0 for all of %d samples: they learn nothing",
                100 * share, name_of(node_at(g, relus[i].id)), RELU_SAMPLES));
    }
    return SOMA_OK;
}

static soma_status run_relus(soma__linter *l, const soma__check_graph *g, const soma_var *relus,
                             int count, const void *x, int64_t samples, soma_error *err)
{
    soma_plan *plan;
    soma_session *session = NULL;
    const soma_dataset *train = l->data->train;
    soma_shape shape = soma__shape_batched(&train->x_shape, samples);
    SOMA__TRY(soma_plan_create(&plan, soma_model_context(l->model), relus, count, NULL, 0, err));
    soma_status status = soma_session_create(&session, plan, err);
    if (status == SOMA_OK)
        status = soma_session_set(session, "x", train->x_dtype, &shape, x, err);
    if (status == SOMA_OK)
        status = soma_session_run(session, err);
    if (status == SOMA_OK)
        status = judge_relus(l, g, relus, count, session, err);
    soma_session_destroy(session);
    soma_plan_release(plan);
    return status;
}

soma_status soma__check_dead_relu(soma__linter *l, soma_error *err)
{
    soma__check_graph g = {0};
    soma_var relus[RELU_LAYERS];
    int count = 0;
    int64_t samples = RELU_SAMPLES;
    void *x = NULL, *y = NULL;
    /* Another dtype than the model's would need a cast that is not worth its code here. */
    if (l->data->train->x_dtype != soma_model_get_options(l->model)->input_dtype)
        return SOMA_OK;
    SOMA__TRY(soma__check_samples(l, &samples, &x, &y, err));
    soma_status status = build(&g, l->model, SOMA_EVALUATE, samples, err);
    for (size_t i = 0; status == SOMA_OK && i < g.graph->count && count < RELU_LAYERS; i++)
        if (is_op(g.graph->nodes[i], "relu") && g.depends[i])
            relus[count++] = (soma_var){g.graph, (int32_t)i};
    if (status == SOMA_OK && count && samples == RELU_SAMPLES)
        status = run_relus(l, &g, relus, count, x, samples, err);
    soma__check_graph_destroy(&g);
    soma__free(x);
    soma__free(y);
    return status;
}
