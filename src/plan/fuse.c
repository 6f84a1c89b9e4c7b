/* fuse.c: which nodes share a step.
 *
 * Elementwise nodes of one shape may run as one program. What must not happen is a cycle: group A
 * needs B's result and B needs A's. Depths rule that out by construction. Call an edge soft when
 * both its ends are elementwise nodes of the same shape, and let depth(n) be the largest number of
 * hard edges on a path from n to an end of the graph. Depths never grow along an edge, and only
 * soft edges keep them; so a path between two nodes of equal depth is all soft, and joining nodes
 * of equal depth and shape that soft edges connect can close no cycle:
 *
 *      x ── mul ── add ──▶ matmul ── relu ──▶ out        depth 2 2 (hard) 1 (hard) 0
 *
 * Counting from the end, not from the start, puts a node as near to its users as it goes: what only
 * the backward pass needs is computed there and need not be kept.
 *
 * Reductions do not take part in that: the mean of x and what is made of x and its mean have
 * different depths. Each begins as a class of its own and then joins, as far as a search finds no
 * cycle, the class that makes what it folds, or others that read it, so that one pass over memory
 * serves them all. A cheap function of an array that is in memory anyway (x - mean, wanted by
 * forward and backward) is not stored for several classes: each computes it again.
 *
 * Before, each product that has an epilogue may take the nodes that use it out of their class, as
 * far as their other operands allow, after a search shows that no cycle arises. What is left of the
 * classes is cut, in order, into programs within the limits. */
#include <string.h>

#include "plan/lower.h"

typedef struct fusion {
    soma__lowering *l;
    const soma__ir *ir;
    bool *fusable;  /* elementwise */
    bool *foldable; /* reductions that a program can end in */
    int32_t *depth;
    int32_t *parent;             /* union-find over nodes */
    int32_t *class_of;           /* per node; -1: leaf */
    int32_t *class_first, *next; /* members of a class, ascending; -1 ends */
    int32_t class_count;
    int32_t *seen; /* per class: stamp of the last search */
    int32_t search;
    int32_t *stack, *picked; /* room for every node */
} fusion;

static bool same_shape(const fusion *f, int32_t a, int32_t b)
{
    return soma_shape_equal(&f->ir->node[a].shape, &f->ir->node[b].shape);
}

/* Whether v can read u from a register: same shape, and no rounding between them. */
static bool soft(const fusion *f, int32_t u, int32_t v)
{
    soma_dtype dtype = f->ir->node[u].dtype;
    return f->fusable[u] && f->fusable[v] && (dtype == SOMA_F32 || dtype == SOMA_BOOL) &&
           same_shape(f, u, v);
}

static int32_t find(fusion *f, int32_t x)
{
    while (f->parent[x] != x)
        x = f->parent[x] = f->parent[f->parent[x]];
    return x;
}

static void join(fusion *f, int32_t a, int32_t b)
{
    a = find(f, a);
    b = find(f, b);
    if (a < b) /* the older node stands for its class */
        f->parent[b] = a;
    else
        f->parent[a] = b;
}

static void find_depths(fusion *f)
{
    const soma__lowering *l = f->l;
    for (int32_t u = f->ir->count - 1; u >= 0; u--) {
        f->depth[u] = 0;
        for (int32_t k = l->user_first[u]; k < l->user_first[u + 1]; k++) {
            int32_t v = l->user[k], d = f->depth[v] + !soft(f, u, v);
            f->depth[u] = d > f->depth[u] ? d : f->depth[u];
        }
    }
}

/* Joins along soft edges, and nodes that read the same array of their shape: one pass over memory
 * then serves both. */
static void join_classes(fusion *f)
{
    const soma__lowering *l = f->l;
    for (int32_t u = 0; u < f->ir->count; u++) {
        if (l->uniform[u])
            continue;
        int32_t end = l->user_first[u + 1];
        for (int32_t k = l->user_first[u]; k < end; k++) {
            int32_t v = l->user[k];
            if (!f->fusable[v] || !same_shape(f, u, v))
                continue;
            if (soft(f, u, v) && f->depth[u] == f->depth[v])
                join(f, u, v);
            for (int32_t j = k - 1; j >= l->user_first[u]; j--) {
                int32_t w = l->user[j];
                if (f->fusable[w] && f->depth[w] == f->depth[v] && same_shape(f, w, v)) {
                    join(f, v, w);
                    break;
                }
            }
        }
    }
}

/* Every node but leaves gets a class; members are linked in ascending order. */
static void list_classes(fusion *f)
{
    for (int32_t i = f->ir->count - 1; i >= 0; i--) {
        if (soma__ir_is_leaf(&f->ir->node[i])) {
            f->class_of[i] = -1;
            continue;
        }
        int32_t c = find(f, i);
        f->class_of[i] = c;
        f->next[i] = f->class_first[c];
        f->class_first[c] = i;
    }
    f->class_count = f->ir->count;
}

/* --- epilogues -------------------------------------------------------------------------------- */

/* Operands that an epilogue can read beside its block: the block's own shape, one per last axis,
 * one per row, or one number. */
static bool epilogue_operand(const soma_shape *x, const soma_shape *block)
{
    int64_t count = 1, last = x->ndim ? x->dim[x->ndim - 1] : 1, rows = 1;
    for (int d = 0; d < x->ndim; d++)
        count *= x->dim[d];
    if (count == 1 || soma_shape_equal(x, block))
        return true;
    if (!block->ndim || x->ndim > block->ndim)
        return false;
    for (int d = 0; d + 1 < block->ndim; d++)
        rows *= block->dim[d];
    if (count == last && last == block->dim[block->ndim - 1])
        return true;
    return last == 1 && count == rows;
}

/* Marks, in picked[], the nodes of class `c` that `head` can take: those that depend on it through
 * nodes that it can take, and what these need of the class. picked is closed under inputs within
 * the class, so what stays behind only reads from it. Returns how many. */
static int32_t pick_nodes(fusion *f, int32_t head, int32_t c)
{
    const soma__ir *ir = f->ir;
    const soma__lowering *l = f->l;
    enum { NO, CAN, DEPENDS, TAKEN };
    int32_t *state = f->stack; /* indexed by node */
    for (int32_t i = f->class_first[c]; i >= 0; i = f->next[i]) {
        const soma__ir_node *n = &ir->node[i];
        /* Updates stay outside: a program of their own can write in place. */
        state[i] = l->is_update[i] ? NO : CAN;
        for (int k = 0; k < n->nin && state[i] != NO; k++) {
            int32_t x = n->in[k];
            if (x == head)
                state[i] = DEPENDS;
            else if (f->class_of[x] == c)
                state[i] = state[x] == NO ? NO : state[x] == DEPENDS ? DEPENDS : state[i];
            else if (!l->uniform[x] && !epilogue_operand(&ir->node[x].shape, &ir->node[head].shape))
                state[i] = NO;
        }
    }
    /* A node that was set NO after an operand made it DEPENDS is NO: the loop stops there. */
    int32_t members = 0, count = 0;
    for (int32_t i = f->class_first[c]; i >= 0; i = f->next[i])
        f->picked[members++] = i;
    for (int32_t m = members - 1; m >= 0; m--) {
        int32_t i = f->picked[m];
        if (state[i] == DEPENDS)
            state[i] = TAKEN;
        if (state[i] != TAKEN)
            continue;
        for (int k = 0; k < ir->node[i].nin; k++)
            if (f->class_of[ir->node[i].in[k]] == c)
                state[ir->node[i].in[k]] = TAKEN;
    }
    for (int32_t m = 0; m < members; m++)
        if (state[f->picked[m]] == TAKEN)
            f->picked[count++] = f->picked[m];
    return count;
}

/* Pushes the classes that node `i` of class `at` reads and that this search has not seen. True when
 * class `c` is among them. */
static bool push_sources(fusion *f, int32_t i, int32_t at, int32_t c, int32_t *top)
{
    for (int k = 0; k < f->ir->node[i].nin; k++) {
        int32_t x = f->ir->node[i].in[k], d = f->class_of[x];
        if (f->l->repeated[x] && push_sources(f, x, at, c, top)) /* few of these in a row */
            return true;
        if (d < 0 || d == at)
            continue;
        if (d == c)
            return true;
        if (f->seen[d] != f->search) {
            f->seen[d] = f->search;
            f->stack[(*top)++] = d;
        }
    }
    return false;
}

/* Whether class `c` needs, through other classes, its own results. */
static bool cyclic(fusion *f, int32_t c)
{
    int32_t top = 0;
    f->search++;
    for (int32_t at = c;;) {
        for (int32_t i = f->class_first[at]; i >= 0; i = f->next[i])
            if (push_sources(f, i, at, c, &top))
                return true;
        if (!top)
            return false;
        at = f->stack[--top];
    }
}

/* Moves the nodes into a new class; `nodes` ascending. */
static int32_t split_class(fusion *f, int32_t c, const int32_t *nodes, int32_t count)
{
    int32_t made = f->class_count++;
    for (int32_t k = 0; k < count; k++)
        f->class_of[nodes[k]] = made;
    int32_t *rest = &f->class_first[c], *taken = &f->class_first[made];
    for (int32_t i = f->class_first[c], after; i >= 0; i = after) {
        after = f->next[i];
        int32_t **tail = f->class_of[i] == made ? &taken : &rest;
        **tail = i;
        *tail = &f->next[i];
    }
    *rest = *taken = -1;
    return made;
}

/* Undoes a split: merges two ascending lists into class `c`. */
static void merge_back(fusion *f, int32_t c, int32_t made)
{
    int32_t a = f->class_first[c], b = f->class_first[made], *tail = &f->class_first[c];
    while (a >= 0 || b >= 0) {
        int32_t *from = b < 0 || (a >= 0 && a < b) ? &a : &b;
        int32_t i = *from;
        *from = f->next[i];
        f->class_of[i] = c;
        *tail = i;
        tail = &f->next[i];
    }
    *tail = -1;
    f->class_first[made] = -1;
    f->class_count--;
}

/* How many values of the group just compiled (they carry the stamp) the rest of class `c` reads.
 * Each is an array that the head must store and another step load again, where without an epilogue
 * it would be one, the product itself. */
static int32_t crossing(const fusion *f, const soma__group *group, int32_t c)
{
    const soma__lowering *l = f->l;
    int32_t count = 0;
    for (int k = 0; k < group->count; k++) {
        int32_t x = group->node[k], u = l->user_first[x], end = l->user_first[x + 1];
        while (u < end && (f->class_of[l->user[u]] != c || l->mark[l->user[u]] == l->stamp))
            u++;
        count += u < end;
    }
    return count;
}

/* Whether a kernel runs `group`: its program alone, or as the epilogue of its head. */
static soma_status kernel_takes(fusion *f, soma__group *group, bool *takes, soma_error *err)
{
    enum { MOST_OWN = 8 };
    soma__lowering *l = f->l;
    const soma__ir_node *head = group->head < 0 ? NULL : &f->ir->node[group->head];
    int32_t in[SOMA__PROGRAM_OPERANDS + MOST_OWN];
    int nin = 0, own = head ? head->nin : 0;
    *takes = false;
    if (own > MOST_OWN)
        return SOMA_OK;
    for (int k = 0; k < own; k++)
        in[nin++] = head->in[k];
    for (int k = head != NULL; k < group->program->loads; k++)
        in[nin++] = group->load[k];
    soma__step step = {.op = head ? head->op : l->fused,
                       .attrs = head ? head->attrs : NULL,
                       .program = group->program,
                       .epilogue_first = own,
                       .in = in,
                       .nin = nin,
                       .out = group->store,
                       .nout = group->program->stores};
    const soma__kernel *kernel;
    size_t scratch;
    SOMA__TRY(soma__choose_kernel(l, &step, &kernel, &scratch, NULL, err));
    *takes = kernel != NULL;
    return SOMA_OK;
}

/* Tries to give `head` an epilogue out of class `c`, shrinking it until it fits. */
static soma_status attach(fusion *f, int32_t head, int32_t c, bool *done, soma_error *err)
{
    soma__lowering *l = f->l;
    int32_t count = pick_nodes(f, head, c);
    *done = false;
    if (!count)
        return SOMA_OK;
    int32_t *nodes = soma__arena_array(&l->arena, (size_t)count + 1, sizeof *nodes);
    if (!nodes)
        return soma__lower_memory(err);
    /* The head comes first in the list of its group; it may be younger than some of the others,
     * which do not depend on it. */
    nodes[0] = head;
    memcpy(nodes + 1, f->picked, (size_t)count * sizeof *nodes);
    for (; count > 0; count--) {
        soma__group group = {.node = nodes, .count = count + 1, .head = head};
        bool memory = false, takes = false, depends = false;
        for (int32_t k = 1; k <= count; k++)
            for (int j = 0; j < f->ir->node[nodes[k]].nin; j++)
                depends |= f->ir->node[nodes[k]].in[j] == head;
        if (!depends)
            return SOMA_OK;
        if (soma__compile(l, &group, &memory) && crossing(f, &group, c) <= 1)
            SOMA__TRY(kernel_takes(f, &group, &takes, err));
        if (memory)
            return soma__lower_memory(err);
        if (!takes)
            continue;
        int32_t made = split_class(f, c, nodes + 1, count), own = f->class_of[head];
        f->class_of[head] = made;
        f->next[head] = f->class_first[made]; /* order within the class does not matter here */
        f->class_first[made] = head;
        if (cyclic(f, made)) {
            f->class_first[made] = f->next[head];
            f->next[head] = -1;
            f->class_of[head] = own;
            merge_back(f, c, made);
            continue;
        }
        f->class_first[own] = -1;
        l->group[l->group_count++] = group;
        *done = true;
        return SOMA_OK;
    }
    return SOMA_OK;
}

static soma_status attach_epilogues(fusion *f, soma_error *err)
{
    const soma__lowering *l = f->l;
    for (int32_t head = 0; head < f->ir->count; head++) {
        const soma__ir_node *n = &f->ir->node[head];
        if (!(n->op->flags & SOMA__OP_EPILOGUE) || n->dtype != SOMA_F32 || l->is_update[head])
            continue;
        bool done = false;
        /* The earliest use first: forward users before those of the backward pass. */
        for (int32_t k = l->user_first[head]; k < l->user_first[head + 1] && !done; k++) {
            int32_t v = l->user[k];
            if (f->fusable[v] && same_shape(f, head, v) && f->class_of[v] < f->ir->count)
                SOMA__TRY(attach(f, head, f->class_of[v], &done, err));
        }
    }
    return SOMA_OK;
}

/* --- reductions ------------------------------------------------------------------------------- */

enum { LONGEST = 96 }; /* nodes of a program, more than any has */

/* The operand of an elementwise node that has its shape and is in memory whatever becomes of the
 * node (or is as cheap as this one to make of such an array), if it is the only one of that shape;
 * else -1. */
static int32_t base_of(const fusion *f, int32_t i)
{
    const soma__ir_node *n = &f->ir->node[i];
    int32_t base = -1;
    for (int k = 0; k < n->nin; k++) {
        int32_t x = n->in[k];
        if (f->l->uniform[x] || !same_shape(f, x, i) || x == base)
            continue;
        if (base >= 0)
            return -1;
        base = x;
    }
    return base >= 0 && (!f->fusable[base] || f->l->repeated[base]) ? base : -1;
}

/* Whether every step that reads node `i` should compute it again: it costs one operation, and two
 * classes want it. */
static bool worth_repeating(const fusion *f, int32_t i)
{
    enum { MOST_IN_A_ROW = 3 };
    const soma__lowering *l = f->l;
    const soma__ir_node *n = &f->ir->node[i];
    int in_a_row = 0;
    if (!f->fusable[i] || n->dtype != SOMA_F32 || f->class_of[i] >= f->ir->count ||
        l->is_output[i] || l->is_update[i] || soma__scalar_flops(n->op->scalar) > 1)
        return false;
    for (int32_t x = base_of(f, i); x < 0 || l->repeated[x]; x = base_of(f, x))
        if (x < 0 || ++in_a_row == MOST_IN_A_ROW)
            return false;
    bool several = false;
    for (int32_t u = l->user_first[i]; u < l->user_first[i + 1]; u++) {
        int32_t v = l->user[u];
        bool takes = f->foldable[v] || (f->fusable[v] && same_shape(f, i, v));
        if (!takes || f->class_of[v] >= f->ir->count)
            return false;
        several |= f->class_of[v] != f->class_of[l->user[l->user_first[i]]];
    }
    return several;
}

static void leave_class(fusion *f, int32_t i)
{
    int32_t *at = &f->class_first[f->class_of[i]];
    while (*at != i)
        at = &f->next[*at];
    *at = f->next[i];
    f->class_of[i] = -1;
}

static void mark_repeated(fusion *f)
{
    for (int32_t i = 0; i < f->ir->count; i++)
        if (worth_repeating(f, i)) {
            leave_class(f, i);
            f->l->repeated[i] = true;
        }
}

/* Adds the repeated nodes that `i` needs and that do not carry the stamp. */
static void add_needed(fusion *f, int32_t i, int32_t *nodes, int *count)
{
    soma__lowering *l = f->l;
    for (int k = 0; k < f->ir->node[i].nin; k++) {
        int32_t x = f->ir->node[i].in[k];
        if (!l->repeated[x] || l->mark[x] == l->stamp)
            continue;
        l->mark[x] = l->stamp;
        add_needed(f, x, nodes, count);
        nodes[(*count)++] = x;
    }
}

/* Compiles a group of these members of a class and what they need again. Without a program in the
 * group they do not fit one. */
static soma_status make_program(fusion *f, const int32_t *member, int count, soma__group *group,
                                soma_error *err)
{
    soma__lowering *l = f->l;
    enum { MOST_NEEDED = 10 }; /* by a member, itself among them: 3 operands, 3 in a row */
    int32_t *nodes = soma__arena_array(&l->arena, (size_t)count * MOST_NEEDED + 1, sizeof *nodes);
    if (!nodes)
        return soma__lower_memory(err);
    *group = (soma__group){.node = nodes, .head = -1};
    l->stamp++;
    for (int i = 0; i < count; i++)
        add_needed(f, member[i], nodes, &group->count);
    for (int i = 0; i < count; i++)
        nodes[group->count++] = member[i];
    for (int i = 1; i < group->count; i++) /* ascending: nearly so already */
        for (int k = i; k > 0 && nodes[k] < nodes[k - 1]; k--) {
            int32_t t = nodes[k];
            nodes[k] = nodes[k - 1];
            nodes[k - 1] = t;
        }
    bool memory = false, takes = true;
    if (soma__compile(l, group, &memory) && group->program->folded)
        SOMA__TRY(kernel_takes(f, group, &takes, err));
    if (memory)
        return soma__lower_memory(err);
    if (!takes)
        group->program = NULL;
    return SOMA_OK;
}

static soma_status find_foldable(fusion *f, soma_error *err)
{
    for (int32_t i = 0; i < f->ir->count; i++) {
        soma__group group;
        if (!f->l->fused || !soma__foldable(f->ir, &f->ir->node[i]))
            continue;
        SOMA__TRY(make_program(f, &i, 1, &group, err));
        f->foldable[i] = group.program != NULL;
    }
    return SOMA_OK;
}

/* Whether `i` reads, itself or through what it computes again, a reduction of class `c`. */
static bool reads_fold(const fusion *f, int32_t i, int32_t c)
{
    for (int k = 0; k < f->ir->node[i].nin; k++) {
        int32_t x = f->ir->node[i].in[k];
        if ((f->foldable[x] && f->class_of[x] == c) || (f->l->repeated[x] && reads_fold(f, x, c)))
            return true;
    }
    return false;
}

static void relink(fusion *f, int32_t c, const int32_t *nodes, int count)
{
    int32_t *tail = &f->class_first[c];
    for (int i = 0; i < count; i++) {
        f->class_of[nodes[i]] = c;
        *tail = nodes[i];
        tail = &f->next[nodes[i]];
    }
    *tail = -1;
}

/* Joins two classes when one program holds both and no cycle arises; else they stay. */
static soma_status unite(fusion *f, int32_t a, int32_t b, soma_error *err)
{
    int32_t member[2][LONGEST], all[LONGEST];
    const int32_t class[2] = {a, b};
    int count[2] = {0}, total = 0;
    if (a == b || f->class_first[a] < 0 || f->class_first[b] < 0 ||
        !soma_shape_equal(soma__space(f->ir, &f->ir->node[f->class_first[a]]),
                          soma__space(f->ir, &f->ir->node[f->class_first[b]])))
        return SOMA_OK;
    for (int s = 0; s < 2; s++)
        for (int32_t i = f->class_first[class[s]]; i >= 0; i = f->next[i]) {
            if (count[0] + count[1] == LONGEST)
                return SOMA_OK;
            member[s][count[s]++] = i;
        }
    for (int i = 0, k = 0; i < count[0] || k < count[1];) {
        bool first = k == count[1] || (i < count[0] && member[0][i] < member[1][k]);
        all[total++] = first ? member[0][i++] : member[1][k++];
    }
    relink(f, b, NULL, 0);
    relink(f, a, all, total);
    bool joins = !cyclic(f, a);
    for (int i = 0; i < total && joins; i++)
        joins = !reads_fold(f, all[i], a);
    if (joins) {
        soma__group group;
        SOMA__TRY(make_program(f, all, total, &group, err));
        joins = group.program != NULL;
    }
    if (!joins) {
        relink(f, a, member[0], count[0]);
        relink(f, b, member[1], count[1]);
    }
    return SOMA_OK;
}

/* Unites the class of reduction `fold` with those of what else reads array `x` in its space. */
static soma_status unite_readers(fusion *f, int32_t fold, int32_t x, soma_error *err)
{
    const soma__lowering *l = f->l;
    for (int32_t u = l->user_first[x]; u < l->user_first[x + 1]; u++) {
        int32_t v = l->user[u];
        if (l->repeated[v])
            SOMA__TRY(unite_readers(f, fold, v, err));
        else if ((f->fusable[v] || f->foldable[v]) && f->class_of[v] < f->ir->count)
            SOMA__TRY(unite(f, f->class_of[v], f->class_of[fold], err));
    }
    return SOMA_OK;
}

static soma_status unite_folds(fusion *f, soma_error *err)
{
    for (int32_t i = 0; i < f->ir->count; i++) {
        if (!f->foldable[i])
            continue;
        int32_t x = f->ir->node[i].in[0];
        if (f->fusable[x] && !f->l->repeated[x] && f->class_of[x] < f->ir->count)
            SOMA__TRY(unite(f, f->class_of[x], f->class_of[i], err));
        while (f->l->repeated[x])
            x = base_of(f, x);
        SOMA__TRY(unite_readers(f, i, x, err));
    }
    return SOMA_OK;
}

/* --- groups ----------------------------------------------------------------------------------- */

/* Cuts a class of elementwise nodes and reductions, in order, into the longest programs that fit.
 */
static soma_status cut_class(fusion *f, int32_t c, soma_error *err)
{
    soma__lowering *l = f->l;
    int32_t count = 0;
    for (int32_t i = f->class_first[c]; i >= 0; i = f->next[i])
        f->picked[count++] = i;
    for (int32_t start = 0, taken; start < count; start += taken) {
        soma__group group = {0};
        taken = count - start < LONGEST ? count - start : LONGEST;
        for (; taken > 0; taken--) {
            SOMA__TRY(make_program(f, f->picked + start, taken, &group, err));
            if (group.program)
                break;
        }
        SOMA_ASSERT(taken > 0, err); /* one node always fits */
        l->group[l->group_count++] = group;
    }
    return SOMA_OK;
}

/* Whether a reduction that stands alone has a kernel of its own. */
static soma_status has_own_kernel(fusion *f, int32_t i, bool *has, soma_error *err)
{
    const soma__ir_node *n = &f->ir->node[i];
    soma__step step = {
        .op = n->op, .attrs = n->attrs, .in = n->in, .nin = n->nin, .out = &i, .nout = 1};
    const soma__kernel *kernel = NULL;
    size_t scratch;
    if (!f->l->repeated[n->in[0]])
        SOMA__TRY(soma__choose_kernel(f->l, &step, &kernel, &scratch, NULL, err));
    *has = kernel != NULL;
    return SOMA_OK;
}

static soma_status make_group(fusion *f, int32_t c, soma_error *err)
{
    soma__lowering *l = f->l;
    int32_t first = f->class_first[c];
    bool own = false;
    if (first < 0 || soma__ir_is_view(&f->ir->node[first]))
        return SOMA_OK;
    if (f->foldable[first] && f->next[first] < 0)
        SOMA__TRY(has_own_kernel(f, first, &own, err));
    if ((f->fusable[first] || f->foldable[first]) && !own)
        return cut_class(f, c, err);
    int32_t *node = soma__arena_copy(&l->arena, &first, sizeof first);
    if (!node)
        return soma__lower_memory(err);
    l->group[l->group_count++] = (soma__group){.node = node, .count = 1, .head = -1};
    return SOMA_OK;
}

soma_status soma__fuse(soma__lowering *l, soma_error *err)
{
    size_t n = (size_t)l->ir->count;
    fusion f = {.l = l, .ir = l->ir};
    f.fusable = soma__arena_array(&l->arena, n + 1, sizeof *f.fusable);
    f.foldable = soma__arena_array(&l->arena, n + 1, sizeof *f.foldable);
    /* An epilogue adds a class, and there are at most as many as nodes. */
    int32_t *room = soma__arena_array(&l->arena, 12 * (n + 1), sizeof *room);
    l->group = soma__arena_array(&l->arena, n + 1, sizeof *l->group);
    if (!f.fusable || !f.foldable || !room || !l->group)
        return soma__lower_memory(err);
    int32_t **table[] = {&f.depth, &f.parent, &f.class_of, &f.next, &f.picked};
    for (size_t t = 0; t < sizeof table / sizeof *table; t++)
        *table[t] = room + t * (n + 1);
    f.class_first = room + 5 * (n + 1);
    f.seen = room + 7 * (n + 1);
    f.stack = room + 9 * (n + 1);
    for (int32_t i = 0; i < l->ir->count; i++) {
        f.parent[i] = i;
        f.fusable[i] = l->fused && soma__compilable(l->ir, &l->ir->node[i]);
    }
    for (size_t i = 0; i < 2 * (n + 1); i++)
        f.class_first[i] = -1;
    find_depths(&f);
    join_classes(&f);
    list_classes(&f);
    if (l->fused)
        SOMA__TRY(attach_epilogues(&f, err));
    SOMA__TRY(find_foldable(&f, err));
    mark_repeated(&f);
    SOMA__TRY(unite_folds(&f, err));
    for (int32_t c = 0; c < l->ir->count; c++)
        SOMA__TRY(make_group(&f, c, err));
    return SOMA_OK;
}
