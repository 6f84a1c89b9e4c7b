/* steps.c: groups of nodes become steps, each with the best kernel that takes it. */
#include <string.h>

#include "plan/lower.h"

static void copy_bytes(const soma__call *call)
{
    int64_t count = call->in[0].count;
    if (count)
        memcpy(call->out[0].data, call->in[0].data,
               (size_t)count * soma_dtype_size(call->in[0].dtype));
}

const soma__op soma__op_copy = {
    .name = "copy",
    .family = "internal",
    .doc = "the same bytes in another place",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = SOMA__OP_INTERNAL,
    .reference = copy_bytes,
    .flops = soma__flops_none,
};

soma_status soma__lower_memory(soma_error *err)
{
    return soma__fail(err, SOMA_MEMORY, "out of memory while a plan was made");
}

int32_t soma__add_value(soma__lowering *l, soma_dtype dtype, const soma_shape *shape)
{
    soma__core *core = l->core;
    soma__value *v = &core->value[core->value_count];
    *v = (soma__value){.dtype = dtype, .shape = *shape, .step = -1, .shares = -1};
    if (core->value_count == core->value_capacity || !soma__shape_count(shape, &v->count) ||
        !soma__shape_bytes(shape, dtype, &v->bytes))
        return -1;
    v->root = core->value_count;
    v->last = -1;
    return core->value_count++;
}

/* --- kernels ---------------------------------------------------------------------------------- */

static const char *refusal(const soma__kernel *kernel, const soma__step *step,
                           const soma__call *call)
{
    if (strcmp(kernel->op, step->op->name) != 0)
        return "another op";
    if (step->program && step->epilogue_first && !kernel->epilogue)
        return "no epilogue";
    return kernel->refuses ? kernel->refuses(call) : NULL;
}

soma_status soma__choose_kernel(soma__lowering *l, const soma__step *step, const soma__kernel **out,
                                size_t *scratch, double *flops, soma_error *err)
{
    *out = NULL;
    *scratch = 0;
    soma__view *view =
        soma__arena_array(&l->arena, (size_t)step->nin + (size_t)step->nout + 1, sizeof *view);
    if (!view)
        return soma__lower_memory(err);
    const soma__call call = soma__call_of(l->core, step, view, l->no_winograd);
    for (int k = 0; l->backend && k < l->backend->count && !*out; k++)
        if (!refusal(&l->backend->kernels[k], step, &call))
            *out = &l->backend->kernels[k];
    if (*out && (*out)->scratch)
        *scratch = (*out)->scratch(&call, l->threads);
    else if (!*out && step->op->reference_scratch)
        *scratch = step->op->reference_scratch(&call);
    if (flops) {
        *flops =
            step->op->flops ? step->op->flops(&call) : (double)(step->nout ? call.out[0].count : 0);
        if (step->program && step->epilogue_first)
            *flops += (double)step->program->flops * (double)call.out[0].count;
    }
    return SOMA_OK;
}

/* --- labels ----------------------------------------------------------------------------------- */

static const char *text_of(soma__lowering *l, soma__text *text)
{
    char *copy =
        text->failed ? NULL : soma__arena_strdup(&l->ir->arena, text->data ? text->data : "");
    soma__text_free(text);
    return copy;
}

/* "conv2d+add+relu"; long chains are cut. */
static const char *label_of(soma__lowering *l, const soma__group *group)
{
    enum { SHOWN = 6 };
    soma__text text = {0};
    for (int i = 0; i < group->count && i < SHOWN; i++)
        soma__text_add(&text, i ? "+%s" : "%s", l->ir->node[group->node[i]].op->name);
    if (group->count > SHOWN)
        soma__text_add(&text, "+%d more", group->count - SHOWN);
    return text_of(l, &text);
}

static const char *engine_of(soma__lowering *l, const soma__kernel *kernel)
{
    soma__text text = {0};
    if (!kernel)
        return "reference";
    soma__text_add(&text, "%s:%s", l->backend->name, kernel->name);
    return text_of(l, &text);
}

/* The first name among the nodes: the head's where there is one. */
static const char *name_of(const soma__ir *ir, const soma__group *group)
{
    for (int i = 0; i < group->count; i++)
        if (ir->node[group->node[i]].name[0])
            return ir->node[group->node[i]].name;
    return "";
}

/* --- steps ------------------------------------------------------------------------------------ */

/* Finishes a step (kernel, label, costs) and adds it to the core. */
static soma_status add_step(soma__lowering *l, soma__step step, soma_error *err)
{
    soma__core *core = l->core;
    SOMA_ASSERT(core->step_count < core->step_capacity, err);
    SOMA__TRY(soma__choose_kernel(l, &step, &step.kernel, &step.scratch, &step.flops, err));
    if (!step.kernel && !step.op->reference)
        return soma__fail(err, SOMA_UNSUPPORTED, "%s '%s': it has no kernel", step.op->name,
                          step.name);
    step.engine = engine_of(l, step.kernel);
    if (!step.engine || !step.label)
        return soma__lower_memory(err);
    for (int i = 0; i < step.nin; i++)
        step.bytes += (double)core->value[step.in[i]].bytes;
    for (int i = 0; i < step.nout; i++)
        step.bytes += (double)core->value[step.out[i]].bytes;
    for (int i = 0; i < step.nout; i++)
        if (core->value[step.out[i]].place == SOMA__AT_NOWHERE) /* not a leaf that is written */
            core->value[step.out[i]].step = core->step_count;
    core->arguments += step.nin + step.nout;
    core->step[core->step_count++] = step;
    return SOMA_OK;
}

soma_status soma__add_copy(soma__lowering *l, int32_t from, int32_t to, int32_t order,
                           soma_error *err)
{
    int32_t *args = soma__arena_array(&l->ir->arena, 2, sizeof *args);
    if (!args)
        return soma__lower_memory(err);
    args[0] = from;
    args[1] = to;
    const char *name = from < l->ir->count ? l->ir->node[from].name : "";
    return add_step(l,
                    (soma__step){.op = &soma__op_copy,
                                 .in = args,
                                 .nin = 1,
                                 .out = args + 1,
                                 .nout = 1,
                                 .order = order,
                                 .label = soma__op_copy.name,
                                 .name = name},
                    err);
}

/* Inputs of the step of `group`: a plain node's own; a program's loads; a head's own and then the
 * loads of its epilogue, of which the first is the head's block and no operand. */
static bool set_operands(soma__lowering *l, const soma__group *group, soma__step *step)
{
    const soma__ir_node *n = &l->ir->node[group->head >= 0 ? group->head : group->node[0]];
    int own = group->program && group->head < 0 ? 0 : n->nin;
    int skipped = group->head >= 0;
    int loads = group->program ? group->program->loads - skipped : 0;
    int32_t *in = soma__arena_array(&l->ir->arena, (size_t)(own + loads) + 1, sizeof *in);
    if (!in)
        return false;
    for (int i = 0; i < own; i++)
        in[step->nin++] = n->in[i];
    for (int i = 0; i < loads; i++)
        in[step->nin++] = group->load[i + skipped];
    step->in = in;
    step->epilogue_first = group->head >= 0 ? own : 0;
    return true;
}

static soma_status add_group(soma__lowering *l, const soma__group *group, soma_error *err)
{
    soma__arena *keep = &l->ir->arena;
    int32_t lead = group->head >= 0 ? group->head : group->node[0];
    int32_t *nodes = soma__arena_copy(keep, group->node, (size_t)group->count * sizeof *nodes);
    bool fused = group->program && group->head < 0;
    soma__step step = {.op = fused ? l->fused : l->ir->node[lead].op,
                       .attrs = fused ? NULL : l->ir->node[lead].attrs,
                       .program = group->program,
                       .insn_node = group->insn_node,
                       .node = nodes,
                       .node_count = group->count,
                       .label = label_of(l, group),
                       .name = name_of(l->ir, group)};
    if (!nodes || !set_operands(l, group, &step))
        return soma__lower_memory(err);
    step.out = group->program ? group->store : nodes;
    step.nout = group->program ? group->program->stores : 1;
    for (int i = 0; i < group->count; i++)
        step.order = nodes[i] > step.order ? nodes[i] : step.order;
    return add_step(l, step, err);
}

soma_status soma__make_values(soma__lowering *l, soma_error *err)
{
    const soma__ir *ir = l->ir;
    for (int32_t i = 0; i < ir->count; i++) {
        const soma__ir_node *n = &ir->node[i];
        int32_t id = soma__add_value(l, n->dtype, &n->shape);
        if (id < 0)
            return soma__fail(err, SOMA_MEMORY, "%s '%s': its result has too many bytes",
                              n->op->name, n->name);
        soma__value *v = &l->core->value[id];
        if (soma__ir_is_view(n))
            v->root = l->core->value[n->in[0]].root;
        v->slot = n->slot;
        if (n->op == &soma__op_input)
            v->place = SOMA__AT_INPUT;
        else if (n->op == &soma__op_variable)
            v->place = SOMA__AT_VARIABLE;
        else if (soma__ir_is_constant(n)) {
            v->place = SOMA__AT_CONSTANT;
            v->slot = i;
        }
    }
    return SOMA_OK;
}

soma_status soma__make_steps(soma__lowering *l, soma_error *err)
{
    for (int32_t g = 0; g < l->group_count; g++)
        SOMA__TRY(add_group(l, &l->group[g], err));
    return SOMA_OK;
}
