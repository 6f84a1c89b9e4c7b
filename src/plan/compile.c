/* compile.c: from a set of elementwise nodes to a small vector program (plan/program.h).
 *
 * Values get a "place": a register, or a constant. Casts and copies cost nothing where a register
 * holds the same number before and after: they share the place of their input. Registers are given
 * out in program order and taken back after the last use. */
#include <math.h>
#include <string.h>

#include "plan/lower.h"

/* dtypes whose every value a f32 register holds exactly. */
static bool exact(soma_dtype dtype)
{
    return dtype == SOMA_F32 || dtype == SOMA_BOOL || dtype == SOMA_U8 || dtype == SOMA_I8 ||
           dtype == SOMA_BF16 || dtype == SOMA_F16;
}

static bool plain(soma_dtype dtype)
{
    return dtype == SOMA_F32 || dtype == SOMA_BOOL;
}

static bool gives_bool(soma__scalar code)
{
    switch (code) {
    case SOMA__SCALAR_ISFINITE:
    case SOMA__SCALAR_ISNAN:
    case SOMA__SCALAR_ISINF:
    case SOMA__SCALAR_NOT:
    case SOMA__SCALAR_EQUAL:
    case SOMA__SCALAR_NOT_EQUAL:
    case SOMA__SCALAR_LESS:
    case SOMA__SCALAR_LESS_EQUAL:
    case SOMA__SCALAR_AND:
    case SOMA__SCALAR_OR:
    case SOMA__SCALAR_XOR:
    case SOMA__SCALAR_WHERE: /* of bools */
        return true;
    default:
        return false;
    }
}

bool soma__compilable(const soma__ir *ir, const soma__ir_node *n)
{
    if (n->op->scalar == SOMA__SCALAR_NONE || n->nin != soma__scalar_arity(n->op->scalar))
        return false;
    if (n->op->scalar == SOMA__SCALAR_COPY) {
        soma_dtype from = ir->node[n->in[0]].dtype;
        /* An i32 is rounded once on its way into a register, so it may go to f32 only. */
        if (from == SOMA_I32)
            return n->dtype == SOMA_F32;
        return exact(from) && (exact(n->dtype) || n->dtype == SOMA_I32);
    }
    for (int i = 0; i < n->nin; i++)
        if (!plain(ir->node[n->in[i]].dtype))
            return false;
    if (n->dtype == SOMA_F32)
        return true;
    return n->dtype == SOMA_BOOL && gives_bool(n->op->scalar);
}

/* Whether a program can end in reduction n: what it folds is in an f32 register. */
bool soma__foldable(const soma__ir *ir, const soma__ir_node *n)
{
    const soma__reduce_attrs *attrs = n->attrs;
    return n->op->fold != SOMA__FOLD_NONE && n->op->fold != SOMA__FOLD_PROD &&
           n->dtype == SOMA_F32 && ir->node[n->in[0]].dtype == SOMA_F32 && attrs->mask != 0;
}

static bool is_fold(const soma__ir_node *n)
{
    return n->op->fold != SOMA__FOLD_NONE;
}

const soma_shape *soma__space(const soma__ir *ir, const soma__ir_node *n)
{
    return is_fold(n) ? &ir->node[n->in[0]].shape : &n->shape;
}

/* A copy that leaves the register as it is: rounding, if any, happens at the store. */
static bool shares_place(const soma__ir *ir, const soma__ir_node *n)
{
    return n->op->scalar == SOMA__SCALAR_COPY &&
           (n->dtype != SOMA_BOOL || ir->node[n->in[0]].dtype == SOMA_BOOL);
}

/* --- the work of one compilation -------------------------------------------------------------- */

enum { MOST_PLACES = SOMA__PROGRAM_OPERANDS + SOMA__PROGRAM_INSNS + 8, FOREVER = 1 << 20 };

typedef struct place {
    bool constant;
    uint8_t index; /* of the register, when it has one, or of the constant */
    int uses;      /* still to come */
} place;

typedef struct work {
    soma__lowering *l;
    const soma__group *group;
    soma__program *program;
    int32_t insn_node[SOMA__PROGRAM_INSNS], load[SOMA__PROGRAM_OPERANDS];
    int32_t store[SOMA__PROGRAM_STORES];
    place place[MOST_PLACES];
    int places;
    int32_t *place_of, *known; /* the lowering's: place of a node where known[] has the stamp */
    int32_t stamp;
    bool taken[SOMA__PROGRAM_REGISTERS];
} work;

static bool inside(const work *w, int32_t node)
{
    return w->l->mark[node] == w->stamp;
}

static int new_place(work *w, int32_t node)
{
    if (w->places == MOST_PLACES)
        return -1;
    w->place[w->places] = (place){0};
    w->place_of[node] = w->places;
    w->known[node] = w->stamp;
    return w->places++;
}

/* The index of a constant in the program; -1: too many. Equal bits share one. */
static int constant_index(soma__program *p, float value)
{
    enum { MOST = sizeof p->constant / sizeof *p->constant };
    uint32_t bits, other;
    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < p->constants; i++) {
        memcpy(&other, &p->constant[i], sizeof other);
        if (other == bits)
            return i;
    }
    if (p->constants == MOST)
        return -1;
    p->constant[p->constants] = value;
    return p->constants++;
}

static int add_load(work *w, int32_t node)
{
    soma__program *p = w->program;
    if (p->loads == SOMA__PROGRAM_OPERANDS)
        return -1;
    int at = new_place(w, node);
    if (at < 0)
        return -1;
    w->place[at].index = (uint8_t)p->loads;
    w->load[p->loads++] = node;
    return at;
}

/* The place of an operand: made inside, loaded already, a constant, or a new load. The result of a
 * fold is not there before the program ends, and that of a cast that rounds is not in a register.
 */
static int operand_place(work *w, int32_t node)
{
    const soma__ir_node *n = &w->l->ir->node[node];
    if (inside(w, node) && node != w->group->head && (is_fold(n) || !plain(n->dtype)))
        return -1;
    if (w->known[node] == w->stamp)
        return w->place_of[node];
    if (!w->l->uniform[node])
        return add_load(w, node);
    int at = new_place(w, node), index = constant_index(w->program, w->l->uniform_value[node]);
    if (at < 0 || index < 0)
        return -1;
    w->place[at].constant = true;
    w->place[at].index = (uint8_t)(SOMA__PROGRAM_REGISTERS + index);
    return at;
}

/* Whether a value of the group is wanted by anybody outside of it. */
static bool wanted_outside(const work *w, int32_t node)
{
    const soma__lowering *l = w->l;
    if (l->is_output[node] || l->is_update[node])
        return true;
    if (l->repeated[node])
        return false;
    for (int32_t u = l->user_first[node]; u < l->user_first[node + 1]; u++)
        if (!inside(w, l->user[u]))
            return true;
    return false;
}

static bool add_store(work *w, int32_t node)
{
    soma__program *p = w->program;
    if (p->stores == SOMA__PROGRAM_STORES)
        return false;
    w->store[p->stores++] = node;
    return true;
}

/* A reduction of what is in a register: all go over the same axes. */
static bool survey_fold(work *w, int32_t id, const soma__ir_node *n)
{
    const soma__reduce_attrs *attrs = n->attrs;
    const soma__ir_node *x = &w->l->ir->node[n->in[0]];
    soma__program *p = w->program;
    int at = operand_place(w, n->in[0]);
    double cells = 1;
    for (int d = 0; d < x->shape.ndim; d++)
        cells *= attrs->mask >> d & 1 ? (double)x->shape.dim[d] : 1;
    if (at < 0 || (p->folded && p->folded != attrs->mask) || !add_store(w, id))
        return false;
    p->folded = attrs->mask;
    p->fold[p->stores - 1] = (uint8_t)n->op->fold;
    p->divisor[p->stores - 1] = fmax(0, cells - attrs->correction);
    p->flops += n->op->fold == SOMA__FOLD_VARIANCE ? 4 : 1;
    w->place[at].uses += FOREVER;
    return true;
}

/* First look: places, loads, constants, stores, and how often each place is used. */
static bool survey(work *w)
{
    const soma__ir *ir = w->l->ir;
    for (int i = 0; i < w->group->count; i++) {
        int32_t id = w->group->node[i];
        const soma__ir_node *n = &ir->node[id];
        if (id != w->group->head && is_fold(n)) {
            if (!survey_fold(w, id, n))
                return false;
            continue;
        }
        if (id == w->group->head) { /* its block is in register 0 */
            if (add_load(w, id) != 0)
                return false;
        } else {
            bool shared = shares_place(ir, n);
            for (int k = 0; k < n->nin; k++) {
                int at = operand_place(w, n->in[k]);
                if (at < 0)
                    return false;
                w->place[at].uses += !shared;
            }
            if (shared) {
                w->place_of[id] = w->place_of[n->in[0]];
                w->known[id] = w->stamp;
            } else if (new_place(w, id) < 0) {
                return false;
            }
        }
        if (wanted_outside(w, id) && !add_store(w, id))
            return false;
    }
    for (int s = 0; s < w->program->stores; s++)
        if (w->program->fold[s] == SOMA__FOLD_NONE)
            w->place[w->place_of[w->store[s]]].uses += FOREVER;
    return w->program->stores > 0;
}

static int free_register(const work *w)
{
    for (int r = 0; r < SOMA__PROGRAM_REGISTERS; r++)
        if (!w->taken[r])
            return r;
    return -1;
}

static bool add_insn(work *w, soma__scalar code, const int *operand, int operands, place *result,
                     int32_t node)
{
    soma__program *p = w->program;
    if (p->insns == SOMA__PROGRAM_INSNS)
        return false;
    uint8_t index[3] = {0};
    for (int k = 0; k < operands; k++)
        index[k] = w->place[operand[k]].index;
    /* A result may take the register of an operand that is used here for the last time. */
    for (int k = 0; k < operands; k++) {
        place *o = &w->place[operand[k]];
        if (--o->uses == 0 && !o->constant)
            w->taken[o->index] = false;
    }
    int dst = free_register(w);
    if (dst < 0)
        return false;
    w->taken[dst] = result->uses > 0;
    result->index = (uint8_t)dst;
    w->insn_node[p->insns] = node;
    p->insn[p->insns++] = (soma__insn){(uint8_t)code, result->index, index[0], index[1], index[2]};
    p->flops += soma__scalar_flops(code);
    return true;
}

/* Second look: instructions and registers. */
static bool emit(work *w)
{
    const soma__ir *ir = w->l->ir;
    soma__program *p = w->program;
    for (int r = 0; r < p->loads; r++)
        w->taken[r] = true;
    for (int i = 0; i < w->group->count; i++) {
        int32_t id = w->group->node[i];
        const soma__ir_node *n = &ir->node[id];
        if (id == w->group->head || is_fold(n) || shares_place(ir, n))
            continue;
        int operand[3] = {0}, operands = n->nin;
        soma__scalar code = n->op->scalar;
        for (int k = 0; k < n->nin; k++)
            operand[k] = w->place_of[n->in[k]];
        place *result = &w->place[w->place_of[id]];
        if (code != SOMA__SCALAR_COPY) {
            if (!add_insn(w, code, operand, operands, result, id))
                return false;
            continue;
        }
        /* A cast to bool is a comparison with zero. */
        int zero = constant_index(p, 0), at = w->places;
        if (zero < 0 || at == MOST_PLACES)
            return false;
        w->place[w->places++] = (place){true, (uint8_t)(SOMA__PROGRAM_REGISTERS + zero), 1};
        operand[1] = at;
        if (!add_insn(w, SOMA__SCALAR_NOT_EQUAL, operand, 2, result, id))
            return false;
    }
    for (int s = 0; s < p->stores; s++) {
        bool fold = p->fold[s] != SOMA__FOLD_NONE;
        int32_t from = fold ? ir->node[w->store[s]].in[0] : w->store[s];
        int at = w->place_of[from];
        if (w->place[at].constant) { /* a filled array: its value needs a register */
            place filled = {.uses = FOREVER};
            if (!add_insn(w, SOMA__SCALAR_COPY, &at, 1, &filled, from))
                return false;
            p->store[s] = filled.index;
        } else {
            p->store[s] = w->place[at].index;
        }
    }
    return true;
}

bool soma__compile(soma__lowering *l, soma__group *group, bool *memory)
{
    soma__arena *keep = &l->ir->arena;
    const soma__ir_node *last = &l->ir->node[group->node[group->count - 1]];
    soma__program program = {.shape = *soma__space(l->ir, last)};
    work w = {.l = l,
              .group = group,
              .program = &program,
              .place_of = l->place_of,
              .known = l->known,
              .stamp = ++l->stamp};
    for (int i = 0; i < group->count; i++)
        l->mark[group->node[i]] = w.stamp;
    group->program = NULL;
    if (!survey(&w) || !emit(&w))
        return false;
    soma__program *kept = soma__arena_copy(keep, &program, sizeof program);
    group->insn_node = soma__arena_copy(keep, w.insn_node, sizeof w.insn_node);
    group->load = soma__arena_copy(keep, w.load, sizeof w.load);
    group->store = soma__arena_copy(keep, w.store, sizeof w.store);
    if (!kept || !group->insn_node || !group->load || !group->store) {
        *memory = true;
        return false;
    }
    group->program = kept;
    return true;
}
