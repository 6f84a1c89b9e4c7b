/* A recursive network over parse trees (Socher et al. 2011), built anew for each tree.
 *
 *   "((0|!1)&1)"         &                 each node's vector is made of its symbol's vector and
 *                      /   \               its children's, by the same weights everywhere; the
 *                     |     1              root's vector says whether the formula is true
 *                    / \
 *                   0   !
 *                        \
 *                         1
 *
 * A graph is drawn for every tree, with its loss, gradients and updates. Trees of one shape draw
 * the same graph, and the context's plan cache knows it: what is compiled is one plan a shape. What
 * differs between such trees, their symbols, is data: a tensor of numbers that the graph reads.
 *
 * The task: the truth of formulas over 0, 1, !, &, | and ^, learnt from 500 of them without being
 * told what any sign means, and asked of others. */
#include <math.h>
#include <soma/soma.h>
#include <stdio.h>
#include <string.h>

#define TRAINING 500
#define TEST 200
#define EPOCHS 12
#define DEPTH 3
#define MOST_NODES 16 /* of a tree of this depth: 1 + 2 + 4 + 8 */
#define WIDTH 16
#define RATE 0.03

#define TRY(call)                                                                                  \
    do {                                                                                           \
        soma_status try_ = (call);                                                                 \
        if (try_ != SOMA_OK)                                                                       \
            return try_;                                                                           \
    } while (0)

/* --- formulas and their trees -------------------------------------------------------------------
 */

static const char symbols[] = "01!&|^";
enum { SYMBOLS = sizeof symbols - 1, TEXT = 64 };

/* Nodes in the order in which they are made: children before their parent, the root last. A leaf's
 * children are -1; ! has one child, which stands for both. */
typedef struct tree {
    int64_t symbol[MOST_NODES];
    int left[MOST_NODES], right[MOST_NODES];
    bool value[MOST_NODES];
    int count;
} tree;

static int add_node(tree *t, char symbol, int left, int right)
{
    int at = t->count++;
    bool a = left >= 0 && t->value[left], b = right >= 0 && t->value[right];
    t->symbol[at] = strchr(symbols, symbol) - symbols;
    t->left[at] = left;
    t->right[at] = right;
    t->value[at] = symbol == '1' || (symbol == '!' && !a) || (symbol == '&' && a && b) ||
                   (symbol == '|' && (a || b)) || (symbol == '^' && a != b);
    return at;
}

/* formula := 0 | 1 | ! formula | ( formula sign formula ); the number of its node. */
static int parse(tree *t, const char **text)
{
    char c = *(*text)++;
    if (c == '!') {
        int child = parse(t, text);
        return add_node(t, '!', child, child);
    }
    if (c != '(')
        return add_node(t, c, -1, -1);
    int left = parse(t, text);
    char sign = *(*text)++;
    int right = parse(t, text);
    (*text)++; /* the bracket */
    return add_node(t, sign, left, right);
}

static uint32_t draw(uint32_t *state, uint32_t below)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % below;
}

static void write_formula(char *text, int depth, uint32_t *state)
{
    size_t at = strlen(text);
    uint32_t kind = depth == 0 ? 0 : draw(state, 6);
    if (kind == 0) {
        text[at] = symbols[draw(state, 2)];
    } else if (kind == 1) {
        text[at] = '!';
        write_formula(text, depth - 1, state);
    } else {
        text[at] = '(';
        write_formula(text, depth - 1, state);
        at = strlen(text);
        text[at] = symbols[3 + draw(state, 3)];
        write_formula(text, depth - 1, state);
        at = strlen(text);
        text[at] = ')';
    }
}

/* --- the network --------------------------------------------------------------------------------
 */

enum { SYMBOL, W1, B1, W2, B2, W_OUT, B_OUT, WEIGHTS };
typedef struct network {
    soma_context *context;
    soma_tensor *weight[WEIGHTS];
} network;

static soma_status network_create(network *n, soma_error *err)
{
    const soma_shape shapes[WEIGHTS] = {SOMA_SHAPE(SYMBOLS, WIDTH),
                                        SOMA_SHAPE(3 * WIDTH, WIDTH),
                                        SOMA_SHAPE(1, WIDTH),
                                        SOMA_SHAPE(WIDTH, WIDTH),
                                        SOMA_SHAPE(1, WIDTH),
                                        SOMA_SHAPE(WIDTH, 1),
                                        SOMA_SHAPE(1, 1)};
    uint32_t state = 7;
    for (int i = 0; i < WEIGHTS; i++) {
        TRY(soma_tensor_create(&n->weight[i], SOMA_F32, shapes[i], err));
        float scale = i == SYMBOL ? 1 : sqrtf(3.0f / (float)shapes[i].dim[0]);
        for (int64_t k = 0; k < soma_tensor_count(n->weight[i]); k++)
            soma_tensor_f32(n->weight[i])[k] =
                shapes[i].dim[0] == 1 ? 0 : scale * ((float)draw(&state, 1 << 20) / (1 << 19) - 1);
    }
    return SOMA_OK;
}

static void network_clear(network *n)
{
    for (int i = 0; i < WEIGHTS; i++)
        soma_tensor_release(n->weight[i]);
    soma_context_destroy(n->context);
}

/* The logit [1,1] of a tree. */
static soma_var forward(const soma_var *w, soma_var symbol, const tree *t)
{
    soma_var vector[MOST_NODES], all = soma_embedding(w[SYMBOL], symbol, -1);
    for (int i = 0; i < t->count; i++) {
        soma_var own = soma_slice(all, 0, i, i + 1);
        vector[i] = own;
        if (t->left[i] < 0)
            continue;
        const soma_var parts[] = {own, vector[t->left[i]], vector[t->right[i]]};
        soma_var h = soma_concat(parts, 3, 1);
        h = soma_tanh(soma_add(soma_matmul(h, w[W1]), w[B1]));
        vector[i] = soma_tanh(soma_add(soma_matmul(h, w[W2]), w[B2]));
    }
    return soma_add(soma_matmul(vector[t->count - 1], w[W_OUT]), w[B_OUT]);
}

/* Draws the tree's graph and runs it; *logit is what the network says before it learns. */
static soma_status run(network *n, const tree *t, bool learn, double *logit, soma_error *err)
{
    soma_graph *graph;
    soma_var w[WEIGHTS], gradient[WEIGHTS];
    soma_update update[WEIGHTS];
    soma_tensor *symbol = NULL, *truth = NULL, *out;
    TRY(soma_graph_create(&graph, err));
    soma_status status = soma_tensor_from(&symbol, SOMA_I64, SOMA_SHAPE(t->count), t->symbol, err);
    if (status == SOMA_OK)
        status = soma_tensor_create(&truth, SOMA_F32, SOMA_SHAPE(1, 1), err);
    if (status == SOMA_OK) {
        soma_tensor_set(truth, 0, t->value[t->count - 1]);
        for (int i = 0; i < WEIGHTS; i++)
            w[i] = soma_variable(graph, "w", n->weight[i]);
        soma_var says = forward(w, soma_variable(graph, "symbols", symbol), t);
        soma_var loss = soma_sum(soma_bce_logits(says, soma_variable(graph, "truth", truth)));
        if (learn)
            soma_gradients(loss, w, WEIGHTS, gradient);
        for (int i = 0; i < WEIGHTS && learn; i++)
            update[i] = (soma_update){w[i], soma_sub(w[i], soma_mul_scalar(gradient[i], RATE))};
        status = soma_eval_many(&out, n->context, &says, 1, update, learn ? WEIGHTS : 0, err);
    }
    if (status == SOMA_OK) {
        *logit = soma_tensor_get(out, 0);
        soma_tensor_release(out);
    }
    soma_tensor_release(symbol);
    soma_tensor_release(truth);
    soma_graph_destroy(graph);
    return status;
}

/* --- training and test --------------------------------------------------------------------------
 */

/* Different formulas, the first TRAINING of which are learnt. */
static void make_formulas(char (*text)[TEXT], tree *trees)
{
    uint32_t state = 1;
    for (int i = 0; i < TRAINING + TEST; i++) {
        bool known = true;
        while (known) {
            memset(text[i], 0, TEXT);
            write_formula(text[i], DEPTH, &state);
            known = false;
            for (int k = 0; k < i && !known; k++)
                known = strcmp(text[k], text[i]) == 0;
        }
        const char *at = text[i];
        trees[i].count = 0;
        parse(&trees[i], &at);
    }
}

static soma_status learn_and_ask(network *n, double *share, soma_error *err)
{
    static char text[TRAINING + TEST][TEXT];
    static tree trees[TRAINING + TEST];
    double logit = 0;
    int right = 0;
    make_formulas(text, trees);
    for (int epoch = 0; epoch < EPOCHS; epoch++)
        for (int i = 0; i < TRAINING; i++)
            TRY(run(n, &trees[i], true, &logit, err));
    for (int i = TRAINING; i < TRAINING + TEST; i++) {
        bool truth = trees[i].value[trees[i].count - 1];
        TRY(run(n, &trees[i], false, &logit, err));
        right += (logit > 0) == truth;
        if (i < TRAINING + 3)
            printf("%-28s is %d, said with %.3f\n", text[i], truth, 1 / (1 + exp(-logit)));
    }
    *share = (double)right / TEST;
    return SOMA_OK;
}

int main(void)
{
    soma_error err = {0};
    network n = {0};
    double share = 0;
    int64_t found = 0, compiled = 0;
    /* A tree is too little work to be shared by threads. */
    const soma_context_options options = {.threads = 1};
    soma_status status = soma_context_create(&n.context, &options, &err);
    if (status == SOMA_OK)
        status = network_create(&n, &err);
    if (status == SOMA_OK)
        status = learn_and_ask(&n, &share, &err);
    if (status == SOMA_OK)
        soma_context_plans(n.context, &found, &compiled);
    network_clear(&n);
    if (status != SOMA_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    int64_t graphs = found + compiled;
    printf("%.1f %% of %d other formulas\n", 100 * share, TEST);
    printf("%lld graphs: %lld plans compiled, %lld found in the cache\n", (long long)graphs,
           (long long)compiled, (long long)found);
    /* Each shape is compiled twice at most: for learning and for asking. */
    bool ok = share > 0.95 && found > 20 * compiled;
    return ok ? 0 : 1;
}
