/* moments.c: the steps of Adam and AdamW, in one pass.
 *
 *     g = grad · clip                       (or as it is)
 *     g = g + param · l2                    (or as it is)
 *     m = exp_avg · keep1 + g · fresh1
 *     v = exp_avg_sq · keep2 + g² · fresh2
 *     p = param - param · decay             (or as it is)
 *     p = p - m · rate / (√v · correction + eps)
 *
 * and of each what it was before where the guard of an overflowing gradient says so. Instruction by
 * instruction (fused.c) such a program goes over each tile sixteen times, which takes longer than
 * reading the four arrays from memory. The bits are the same. */
#include "backend/cpu/fused.h"
#include "base/pool.h"

/* The program as a tree: values are operands, constants and results of instructions. */
enum { MOST_VALUES = SOMA__PROGRAM_OPERANDS + 64 + SOMA__PROGRAM_INSNS };

typedef struct value {
    uint8_t code;    /* soma__scalar; NONE: an operand or a constant */
    int16_t a, b, c; /* values */
    bool one;        /* for all elements: `number` */
    float number;
    float *data; /* of an operand of as many elements as the program has */
} value;

typedef struct tree {
    value value[MOST_VALUES];
    int count;
    int64_t elements;
} tree;

static bool is(const tree *t, int v, soma__scalar code)
{
    return t->value[v].code == code;
}

static bool is_array(const tree *t, int v)
{
    return t->value[v].code == SOMA__SCALAR_NONE && t->value[v].data;
}

/* `v` is `code` of something and of one number for all elements. */
static bool with_number(const tree *t, int v, soma__scalar code, int *of, float *number)
{
    if (!is(t, v, code) || !t->value[t->value[v].b].one)
        return false;
    *of = t->value[v].a;
    *number = t->value[t->value[v].b].number;
    return true;
}

static bool add_operand(tree *t, const soma__view *v)
{
    value *to = &t->value[t->count++];
    *to = (value){.code = SOMA__SCALAR_NONE, .one = v->count == 1};
    if (to->one)
        to->number = v->dtype == SOMA_BOOL ? (float)(*(const uint8_t *)v->data != 0)
                                           : *(const float *)v->data;
    else
        to->data = v->data;
    return (v->dtype == SOMA_F32 || (to->one && v->dtype == SOMA_BOOL)) &&
           (to->one || v->count == t->elements);
}

/* Of numbers for all elements only products are worked out (rate · decay). */
static void add_result(tree *t, const soma__insn *insn, const int16_t *of)
{
    value *to = &t->value[t->count++];
    int arity = soma__scalar_arity((soma__scalar)insn->code);
    *to = (value){.code = insn->code, .a = of[insn->a]};
    to->b = arity > 1 ? of[insn->b] : to->a;
    to->c = arity > 2 ? of[insn->c] : to->a;
    to->one = insn->code == SOMA__SCALAR_MUL && t->value[to->a].one && t->value[to->b].one;
    if (to->one)
        to->number = t->value[to->a].number * t->value[to->b].number;
}

/* Fills the tree; `stored` gets the value of each output. False where it is of another kind. */
static bool read_tree(tree *t, const soma__call *call, int16_t *stored)
{
    const soma__program *p = call->program;
    int16_t of[SOMA__PROGRAM_REGISTERS + 64] = {0};
    t->count = 0;
    t->elements = call->out[0].count;
    for (int i = 0; i < p->loads; i++) {
        of[i] = (int16_t)t->count;
        if (!add_operand(t, &call->in[i]))
            return false;
    }
    for (int i = 0; i < p->constants; i++) {
        of[SOMA__PROGRAM_REGISTERS + i] = (int16_t)t->count;
        t->value[t->count++] =
            (value){.code = SOMA__SCALAR_NONE, .one = true, .number = p->constant[i]};
    }
    for (int i = 0; i < p->insns; i++) {
        add_result(t, &p->insn[i], of);
        of[p->insn[i].dst] = (int16_t)(t->count - 1);
    }
    for (int k = 0; k < p->stores; k++)
        stored[k] = of[p->store[k]];
    return true;
}

/* Takes off a guard: where(guard, fresh, old). */
static bool read_guard(const tree *t, int16_t *v, float *guard)
{
    if (!is(t, *v, SOMA__SCALAR_WHERE))
        return true;
    const value *where = &t->value[*v];
    *guard = t->value[where->a].number;
    *v = where->b;
    return t->value[where->a].one && is_array(t, where->c);
}

/* old · keep + fresh · part */
static bool read_average(const tree *t, int v, float **old, int *fresh, float *keep, float *part)
{
    int of = 0;
    if (!is(t, v, SOMA__SCALAR_ADD) ||
        !with_number(t, t->value[v].a, SOMA__SCALAR_MUL, &of, keep) || !is_array(t, of) ||
        !with_number(t, t->value[v].b, SOMA__SCALAR_MUL, fresh, part))
        return false;
    *old = t->value[of].data;
    return true;
}

/* (grad · clip) + param · l2 */
static bool read_gradient(const tree *t, soma__moments *m, int v)
{
    int of = 0;
    if (is(t, v, SOMA__SCALAR_ADD)) {
        if (!with_number(t, t->value[v].b, SOMA__SCALAR_MUL, &of, &m->l2) || !is_array(t, of) ||
            t->value[of].data != m->param)
            return false;
        m->adds_l2 = true;
        v = t->value[v].a;
    }
    if (with_number(t, v, SOMA__SCALAR_MUL, &of, &m->clip)) {
        m->clips = true;
        v = of;
    }
    m->grad = t->value[v].data;
    return is_array(t, v);
}

/* √v · correction + eps, of the average `root` */
static bool read_root(const tree *t, soma__moments *m, int v, int *root)
{
    int of = 0;
    if (!with_number(t, v, SOMA__SCALAR_ADD, &of, &m->eps) ||
        !with_number(t, of, SOMA__SCALAR_MUL, &of, &m->correction) || !is(t, of, SOMA__SCALAR_SQRT))
        return false;
    *root = t->value[of].a;
    return true;
}

/* (param - param · decay) - mean · rate / root */
static bool read_step(const tree *t, soma__moments *m, int v, int *mean, int *root)
{
    int of = 0;
    if (!is(t, v, SOMA__SCALAR_SUB) || !is(t, t->value[v].b, SOMA__SCALAR_DIV))
        return false;
    const value *ratio = &t->value[t->value[v].b];
    if (!with_number(t, ratio->a, SOMA__SCALAR_MUL, mean, &m->rate) ||
        !read_root(t, m, ratio->b, root))
        return false;
    v = t->value[v].a;
    if (is(t, v, SOMA__SCALAR_SUB)) {
        if (!with_number(t, t->value[v].b, SOMA__SCALAR_MUL, &of, &m->decay) || of != t->value[v].a)
            return false;
        m->decays = true;
        v = of;
    }
    m->param = t->value[v].data;
    return is_array(t, v);
}

/* Which output is which: the step reads the averages. */
static bool read_moments(const tree *t, soma__moments *m, const int16_t stored[3], int place[3])
{
    int mean = -1, root = -1, g = 0, square = 0;
    place[0] = -1;
    for (int k = 0; k < 3 && place[0] < 0; k++)
        if (read_step(t, m, stored[k], &mean, &root))
            place[0] = k;
    place[1] = place[2] = -1;
    for (int k = 0; k < 3; k++) {
        if (stored[k] == mean)
            place[1] = k;
        else if (stored[k] == root)
            place[2] = k;
    }
    return place[0] >= 0 && place[1] >= 0 && place[2] >= 0 &&
           read_average(t, mean, &m->mean, &g, &m->keep[0], &m->part[0]) &&
           read_average(t, root, &m->square, &square, &m->keep[1], &m->part[1]) &&
           is(t, square, SOMA__SCALAR_SQUARE) && t->value[square].a == g && read_gradient(t, m, g);
}

/* Each array may be written where it was read, and nowhere else among them. */
static bool apart(const soma__moments *m)
{
    const float *in[] = {m->param, m->mean, m->square}, *out[] = {m->to[0], m->to[1], m->to[2]};
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 3; i++)
            if (out[k] == m->grad || (k != i && out[k] == in[i]))
                return false;
    return true;
}

static bool read_call(soma__moments *m, const soma__call *call)
{
    const soma__program *p = call->program;
    tree t;
    int16_t stored[SOMA__PROGRAM_STORES];
    int place[3];
    float guard = 1;
    if (p->stores != 3 || p->folded || p->insns < 13 || p->insns > 24)
        return false;
    for (int k = 0; k < 3; k++)
        if (call->out[k].dtype != SOMA_F32)
            return false;
    if (!read_tree(&t, call, stored))
        return false;
    /* A guard that holds back is rare: the long way does it. */
    for (int k = 0; k < 3; k++)
        if (!read_guard(&t, &stored[k], &guard) || guard == 0)
            return false;
    *m = (soma__moments){.elements = t.elements};
    if (!read_moments(&t, m, stored, place))
        return false;
    for (int k = 0; k < 3; k++)
        m->to[k] = call->out[place[k]].data;
    return apart(m);
}

typedef struct moments_job {
    soma__moments moments;
    const struct soma__isa_fused *isa;
} moments_job;

static void run_block(void *context, int64_t block, int worker)
{
    const moments_job *job = context;
    int64_t from = block * SOMA__FUSED_BLOCK, left = job->moments.elements - from;
    (void)worker;
    job->isa->moments(&job->moments, from, left < SOMA__FUSED_BLOCK ? left : SOMA__FUSED_BLOCK);
}

bool soma__moments_run(const soma__call *call, const soma__isa_table *isa)
{
    moments_job job = {.isa = isa->fused};
    if (!read_call(&job.moments, call))
        return false;
    soma__parallel(call->pool, (job.moments.elements + SOMA__FUSED_BLOCK - 1) / SOMA__FUSED_BLOCK,
                   run_block, &job);
    return true;
}
