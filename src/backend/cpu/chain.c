/* chain.c: epilogues that are a chain of the usual form, in one pass.
 *
 *     y = limit(((block - shift) · scale + bias) + term)
 *
 * where shift, scale and bias have a value for each column, `term` is as large as y, and any part
 * may be missing: bias and activation of a layer, a batch norm in evaluation, the sum at the end of
 * a residual block. Instruction by instruction (fused.c) such a program walks over the block many
 * times and takes longer than a product of few terms. The bits are the same.
 *
 * A limit is relu, or the comparison and choice that clamps are made of: x <= c ? c : x. */
#include "backend/cpu/fused.h"

enum { STAGE_START, STAGE_SHIFT, STAGE_SCALE, STAGE_BIAS, STAGE_TERM, STAGE_HIGH, STAGE_LOW };

/* What has been read of a program so far. */
typedef struct reading {
    const soma__call *call;
    const soma__program *p;
    soma__chain *chain;
    int at; /* the instruction */
    int stage;
    int value;  /* the register of the chain's value */
    int before; /* of the value before the upper limit was applied; -1: lost */
    int yes;    /* of a comparison of the value with `limit`; -1: none */
    float limit;
    bool upper; /* limit <= value, else value <= limit */
} reading;

/* An operand as the chain takes it: a value for each column, or for each element; NULL: neither. */
static const float *operand(const reading *r, int reg, bool columns)
{
    const soma__view *y = &r->call->out[0];
    const int64_t n = y->shape.dim[y->shape.ndim - 1];
    if (reg < 1 || reg >= r->p->loads)
        return NULL;
    for (int i = 0; i < r->at; i++)
        if (r->p->insn[i].dst == reg)
            return NULL; /* something else by now */
    const soma__view *v = &r->call->in[r->call->epilogue_first + reg - 1];
    if (v->dtype != SOMA_F32 || v->shape.ndim == 0)
        return NULL;
    bool one_row = v->count == n && v->shape.dim[v->shape.ndim - 1] == n;
    return columns ? (one_row ? v->data : NULL) : v->count == y->count ? v->data : NULL;
}

static bool constant(const reading *r, int index, float *value)
{
    if (index < SOMA__PROGRAM_REGISTERS)
        return false;
    *value = r->p->constant[index - SOMA__PROGRAM_REGISTERS];
    return true;
}

/* The chain goes on to `stage`; false: it is past it. */
static bool advance(reading *r, int stage)
{
    bool onward = r->stage < stage;
    r->stage = stage;
    return onward;
}

/* value (op) register `reg`. */
static bool read_operand(reading *r, soma__scalar code, int reg)
{
    soma__chain *chain = r->chain;
    const float *column = operand(r, reg, true), *all = operand(r, reg, false);
    if (code == SOMA__SCALAR_SUB && column) {
        chain->shift = column;
        return advance(r, STAGE_SHIFT);
    }
    if (code == SOMA__SCALAR_MUL && column) {
        chain->scale = column;
        return advance(r, STAGE_SCALE);
    }
    if (code == SOMA__SCALAR_ADD && column && r->stage < STAGE_BIAS) {
        chain->bias = column;
        return advance(r, STAGE_BIAS);
    }
    chain->term = all;
    return code == SOMA__SCALAR_ADD && all && advance(r, STAGE_TERM);
}

static bool read_limit(reading *r, float limit, bool upper)
{
    if (upper) {
        r->chain->high = limit;
        return advance(r, STAGE_HIGH);
    }
    /* Below the upper one, or it would matter which comes first. */
    bool fits = r->stage != STAGE_HIGH || limit <= r->chain->high;
    r->chain->low = limit;
    r->chain->limits = r->stage == STAGE_HIGH ? 2 : 1;
    return fits && advance(r, STAGE_LOW);
}

/* A comparison that a choice will follow. Where both limits are built from the same value (before
 * it was limited), the lower one gives the same after the upper one. */
static bool read_compare(reading *r, const soma__insn *insn)
{
    bool was = r->stage == STAGE_HIGH && insn->a == r->before;
    if ((insn->a == r->value || was) && constant(r, insn->b, &r->limit))
        r->upper = false;
    else if (insn->b == r->value && constant(r, insn->a, &r->limit))
        r->upper = true;
    else
        return false;
    r->yes = insn->dst;
    return insn->dst != r->value;
}

static bool read_choice(reading *r, const soma__insn *insn, int value)
{
    float limit;
    bool choice = r->yes >= 0 && insn->a == r->yes && insn->c == value &&
                  constant(r, insn->b, &limit) && limit <= r->limit && limit >= r->limit;
    r->yes = -1;
    r->before = insn->dst == value ? -1 : value;
    return choice && read_limit(r, r->limit, r->upper);
}

static bool read_insn(reading *r, const soma__insn *insn)
{
    const int value = r->value;
    if (insn->code == SOMA__SCALAR_LESS_EQUAL)
        return read_compare(r, insn);
    r->value = insn->dst;
    if (insn->code == SOMA__SCALAR_WHERE)
        return read_choice(r, insn, value);
    if (insn->code == SOMA__SCALAR_RELU)
        return insn->a == value && read_limit(r, 0, false);
    if (insn->a == value)
        return read_operand(r, insn->code, insn->b);
    return insn->b == value && insn->code != SOMA__SCALAR_SUB &&
           read_operand(r, insn->code, insn->a);
}

/* False where the program has another form. */
static bool read_program(soma__chain *chain, const soma__call *call)
{
    const soma__program *p = call->program;
    reading r = {.call = call, .p = p, .chain = chain, .before = -1, .yes = -1};
    *chain = (soma__chain){0};
    if (p->stores != 1 || p->folded || call->out[0].dtype != SOMA_F32)
        return false;
    for (; r.at < p->insns; r.at++)
        if (!read_insn(&r, &p->insn[r.at]))
            return false;
    bool norm = chain->shift && chain->scale && chain->bias;
    return p->store[0] == r.value && r.stage != STAGE_HIGH &&
           (norm || (!chain->shift && !chain->scale));
}

bool soma__chain_run(const soma__call *call, const soma__isa_table *isa, const float *block,
                     int64_t ld, int64_t row0, int64_t rows, int64_t col0, int64_t cols)
{
    soma__chain chain;
    if (!read_program(&chain, call))
        return false;
    const soma__view *y = &call->out[0];
    const int64_t n = y->shape.dim[y->shape.ndim - 1], at = row0 * n + col0;
    if (chain.shift) {
        chain.shift += col0;
        chain.scale += col0;
    }
    if (chain.bias)
        chain.bias += col0;
    if (chain.term)
        chain.term += at;
    chain.from = block;
    chain.from_step = ld;
    chain.to = (float *)y->data + at;
    chain.step = n;
    chain.rows = rows;
    chain.cols = cols;
    isa->fused->chain(&chain);
    return true;
}
