/* fused.c: the op that plans put in the place of a chain of elementwise nodes: it runs a small
 * program (plan/program.h) on each element. Users cannot build it. */
#include <math.h>

#include "plan/program.h"
#include "tensor/walk.h"

static soma_status rule_fused(soma__rule *rule)
{
    return soma__rule_fail(rule, SOMA_INVALID, "is made by plans only");
}

static double operand(const soma__program *program, const double *registers, uint8_t index)
{
    return index < SOMA__PROGRAM_REGISTERS
               ? registers[index]
               : (double)program->constant[index - SOMA__PROGRAM_REGISTERS];
}

static int64_t count_of(const soma_shape *shape)
{
    int64_t count = 1;
    for (int d = 0; d < shape->ndim; d++)
        count *= shape->dim[d];
    return count;
}

/* The program's registers after the element at which the loads are. */
static void interpret(const soma__call *call, const int64_t *at, double *registers)
{
    const soma__program *program = call->program;
    for (int i = 0; i < program->loads; i++)
        registers[i] = soma__load(call->in[i].dtype, call->in[i].data, at[i]);
    for (int i = 0; i < program->insns; i++) {
        const soma__insn *insn = &program->insn[i];
        registers[insn->dst] = soma__scalar_apply(
            (soma__scalar)insn->code, operand(program, registers, insn->a),
            operand(program, registers, insn->b), operand(program, registers, insn->c));
    }
}

/* Walks the loads over the axes in `mask`, which start at the first element. */
static void walk_axes(soma__walk *walk, const soma__call *call, int64_t mask)
{
    const soma__program *program = call->program;
    soma_shape axes = program->shape;
    for (int d = 0; d < axes.ndim; d++)
        axes.dim[d] = mask >> d & 1 ? axes.dim[d] : 1;
    soma__walk_start(walk, &axes);
    for (int i = 0; i < program->loads; i++) {
        int64_t stride[SOMA_MAX_DIMS];
        soma__broadcast_strides(&call->in[i].shape, &program->shape, stride);
        soma__walk_strides(walk, stride, 0);
    }
}

/* Folds the register over the cells from `first` on; `mean` is for variances. */
static double fold_cells(const soma__call *call, int k, const soma__walk *first, double mean)
{
    const soma__program *program = call->program;
    double registers[SOMA__PROGRAM_REGISTERS] = {0}, result = 0;
    soma__walk walk;
    walk_axes(&walk, call, program->folded);
    int64_t cells = count_of(&walk.shape), at[SOMA__PROGRAM_OPERANDS];
    for (int64_t cell = 0; cell < cells; cell++, soma__walk_next(&walk)) {
        for (int i = 0; i < program->loads; i++)
            at[i] = first->at[i] + walk.at[i];
        interpret(call, at, registers);
        double x = registers[program->store[k]];
        switch (program->fold[k]) {
        case SOMA__FOLD_VARIANCE:
            result += (x - mean) * (x - mean);
            break;
        case SOMA__FOLD_MAX:
        case SOMA__FOLD_MIN:
            if (cell == 0 ||
                (!isnan(result) &&
                 (isnan(x) || (program->fold[k] == SOMA__FOLD_MAX ? x > result : x < result))))
                result = x;
            break;
        default:
            result += x;
            break;
        }
    }
    return result;
}

static void store_fold(const soma__call *call, int k)
{
    const soma__program *program = call->program;
    const soma__view *y = &call->out[k];
    soma__walk walk;
    walk_axes(&walk, call, ~program->folded);
    for (int64_t cell = 0; cell < y->count; cell++, soma__walk_next(&walk)) {
        double mean = 0, value;
        if (program->fold[k] == SOMA__FOLD_VARIANCE) {
            soma__program sum = *program;
            sum.fold[k] = SOMA__FOLD_SUM;
            soma__call again = *call;
            again.program = &sum;
            mean = fold_cells(&again, k, &walk, 0) /
                   ((double)count_of(&program->shape) / (double)y->count);
        }
        value = fold_cells(call, k, &walk, mean);
        if (program->fold[k] == SOMA__FOLD_MEAN || program->fold[k] == SOMA__FOLD_VARIANCE)
            value /= program->divisor[k];
        soma__store(y->dtype, y->data, cell, value);
    }
}

/* Interprets the program, one element at a time, in double: once for each fold, and once for the
 * elements that are stored. */
static void reference_fused(const soma__call *call)
{
    const soma__program *program = call->program;
    const int64_t count = count_of(&program->shape);
    double registers[SOMA__PROGRAM_REGISTERS] = {0};
    soma__walk walk;
    for (int k = 0; k < program->stores; k++)
        if (program->fold[k] != SOMA__FOLD_NONE)
            store_fold(call, k);
    walk_axes(&walk, call, -1);
    for (int64_t cell = 0; cell < count; cell++, soma__walk_next(&walk)) {
        interpret(call, walk.at, registers);
        for (int i = 0; i < program->stores; i++)
            if (program->fold[i] == SOMA__FOLD_NONE)
                soma__store(call->out[i].dtype, call->out[i].data, cell,
                            registers[program->store[i]]);
    }
}

static double flops_fused(const soma__call *call)
{
    return (double)call->program->flops * (double)count_of(&call->program->shape);
}

extern const soma__op soma__op_fused; /* named by the op table */

const soma__op soma__op_fused = {
    .name = "fused",
    .family = "internal",
    .doc = "a chain of elementwise ops as one program",
    .inputs = "x...",
    .min_inputs = 0,
    .max_inputs = -1,
    .flags = SOMA__OP_INTERNAL,
    .rule = rule_fused,
    .gradient = soma__grad_none,
    .reference = reference_fused,
    .flops = flops_fused,
};
