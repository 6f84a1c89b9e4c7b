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
 * Then each product that has an epilogue may take the nodes that use it out of their class, as far
 * as their other operands allow, after a search shows that no cycle arises. What is left of the
 * classes is cut, in order, into programs within the limits. */
#include <string.h>

#include "plan/lower.h"

typedef struct fusion {
    soma__lowering *l;
    const soma__ir *ir;
    bool *fusable;
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

/* Whether class `c` needs, through other classes, its own results. */
static bool cyclic(fusion *f, int32_t c)
{
    int32_t top = 0;
    f->search++;
    for (int32_t at = c;;) {
        for (int32_t i = f->class_first[at]; i >= 0; i = f->next[i])
            for (int k = 0; k < f->ir->node[i].nin; k++) {
                int32_t d = f->class_of[f->ir->node[i].in[k]];
                if (d < 0 || d == at)
                    continue;
                if (d == c)
                    return true;
                if (f->seen[d] != f->search) {
                    f->seen[d] = f->search;
                    f->stack[top++] = d;
                }
            }
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

/* Whether a kernel runs `group` as an epilogue of its head. */
static soma_status kernel_takes(fusion *f, soma__group *group, bool *takes, soma_error *err)
{
    soma__lowering *l = f->l;
    const soma__ir_node *head = &f->ir->node[group->head];
    int32_t in[SOMA__PROGRAM_OPERANDS + 8];
    *takes = false;
    if (head->nin > 8)
        return SOMA_OK;
    int nin = 0;
    for (int k = 0; k < head->nin; k++)
        in[nin++] = head->in[k];
    for (int k = 1; k < group->program->loads; k++)
        in[nin++] = group->load[k];
    soma__step step = {.op = head->op,
                       .attrs = head->attrs,
                       .program = group->program,
                       .epilogue_first = head->nin,
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

/* --- groups ----------------------------------------------------------------------------------- */

/* Cuts a class of elementwise nodes, in order, into the longest programs that fit. */
static soma_status cut_class(fusion *f, int32_t c, soma_error *err)
{
    soma__lowering *l = f->l;
    enum { LONGEST = 96 };
    int32_t count = 0;
    for (int32_t i = f->class_first[c]; i >= 0; i = f->next[i])
        count++;
    int32_t *nodes = soma__arena_array(&l->arena, (size_t)count + 1, sizeof *nodes);
    if (!nodes)
        return soma__lower_memory(err);
    count = 0;
    for (int32_t i = f->class_first[c]; i >= 0; i = f->next[i])
        nodes[count++] = i;
    for (int32_t start = 0; start < count;) {
        soma__group group = {.node = nodes + start, .head = -1};
        bool memory = false;
        group.count = count - start < LONGEST ? count - start : LONGEST;
        while (group.count > 0 && !soma__compile(l, &group, &memory) && !memory)
            group.count--;
        if (memory)
            return soma__lower_memory(err);
        SOMA_ASSERT(group.count > 0, err); /* one node always fits */
        l->group[l->group_count++] = group;
        start += group.count;
    }
    return SOMA_OK;
}

static soma_status make_group(fusion *f, int32_t c, soma_error *err)
{
    soma__lowering *l = f->l;
    int32_t first = f->class_first[c];
    if (first < 0 || soma__ir_is_view(&f->ir->node[first]))
        return SOMA_OK;
    if (f->fusable[first])
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
    /* An epilogue adds a class, and there are at most as many as nodes. */
    int32_t *room = soma__arena_array(&l->arena, 12 * (n + 1), sizeof *room);
    l->group = soma__arena_array(&l->arena, n + 1, sizeof *l->group);
    if (!f.fusable || !room || !l->group)
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
    for (int32_t c = 0; c < l->ir->count; c++)
        SOMA__TRY(make_group(&f, c, err));
    return SOMA_OK;
}
