/* fused.c: the op that plans put in the place of a chain of elementwise nodes: it runs a small
 * program (plan/program.h) on each element. Users cannot build it. */
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

/* Interprets the program, one element at a time, in double. */
static void reference_fused(const soma__call *call)
{
    const soma__program *program = call->program;
    int64_t count = 1;
    for (int d = 0; d < program->shape.ndim; d++)
        count *= program->shape.dim[d];
    soma__walk walk;
    soma__walk_start(&walk, &program->shape);
    for (int i = 0; i < program->loads; i++)
        soma__walk_broadcast(&walk, &call->in[i].shape);
    double registers[SOMA__PROGRAM_REGISTERS] = {0};
    for (int64_t cell = 0; cell < count; cell++, soma__walk_next(&walk)) {
        for (int i = 0; i < program->loads; i++)
            registers[i] = soma__load(call->in[i].dtype, call->in[i].data, walk.at[i]);
        for (int i = 0; i < program->insns; i++) {
            const soma__insn *insn = &program->insn[i];
            registers[insn->dst] = soma__scalar_apply(
                (soma__scalar)insn->code, operand(program, registers, insn->a),
                operand(program, registers, insn->b), operand(program, registers, insn->c));
        }
        for (int i = 0; i < program->stores; i++)
            soma__store(call->out[i].dtype, call->out[i].data, cell, registers[program->store[i]]);
    }
}

static double flops_fused(const soma__call *call)
{
    return (double)call->program->flops * (double)call->out[0].count;
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
