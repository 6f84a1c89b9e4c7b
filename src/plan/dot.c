/* dot.c: a picture of a plan: one box per step, one edge per array that goes from step to step. */
#include "plan/plan.h"

static void add_quoted(soma__text *text, const char *s)
{
    for (; *s; s++)
        soma__text_add(text, *s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
}

static void add_leaf(soma__text *text, const char *kind, int slot, const soma__ir_slot *s,
                     const char *fill)
{
    char shape[SOMA_SHAPE_TEXT_SIZE];
    if (s->node < 0)
        return;
    soma__text_add(text, "  %s%d [label=\"%s ", kind, slot, kind);
    add_quoted(text, s->name);
    soma__text_add(text, "\\n%s %s\", fillcolor=%s];\n", soma_dtype_text(s->dtype),
                   soma_shape_text(&s->shape, shape, sizeof shape), fill);
}

static void add_step(soma__text *text, const soma__core *core, int32_t s)
{
    const soma__step *step = &core->step[s];
    char bytes[32], shape[SOMA_SHAPE_TEXT_SIZE];
    soma__text_add(text, "  s%d [label=\"%d: %s", (int)s, (int)s, step->label);
    if (step->name[0]) {
        soma__text_add(text, "\\n");
        add_quoted(text, step->name);
    }
    soma__text_add(text, "\\n%s", step->engine);
    for (int i = 0; i < step->nout; i++) {
        const soma__value *v = &core->value[step->out[i]];
        soma__text_add(text, "\\n%s %s, %s", soma_dtype_text(v->dtype),
                       soma_shape_text(&v->shape, shape, sizeof shape),
                       soma__format_bytes((double)v->bytes, bytes, sizeof bytes));
    }
    soma__text_add(text, "\", fillcolor=%s];\n", step->program ? "palegreen" : "white");
    for (int i = 0; i < step->nin; i++) {
        const soma__value *root = soma__root_of(core, step->in[i]);
        if (root->step >= 0)
            soma__text_add(text, "  s%d -> s%d;\n", (int)root->step, (int)s);
        else if (root->place == SOMA__AT_INPUT)
            soma__text_add(text, "  input%d -> s%d;\n", root->slot, (int)s);
        else if (root->place == SOMA__AT_VARIABLE)
            soma__text_add(text, "  variable%d -> s%d;\n", root->slot, (int)s);
    }
    for (int i = 0; i < step->nout; i++) {
        const soma__value *root = soma__root_of(core, step->out[i]);
        if (root->place == SOMA__AT_VARIABLE)
            soma__text_add(text, "  s%d -> variable%d [style=dashed];\n", (int)s, root->slot);
    }
}

soma_status soma_plan_dot(char **out, const soma_plan *plan, soma_error *err)
{
    const soma__core *core = plan->core;
    soma__text text = {0};
    soma__text_add(&text, "digraph plan {\n  rankdir=TB;\n"
                          "  node [shape=box, style=filled, fontname=\"sans-serif\"];\n");
    for (int i = 0; i < core->ir->input_count; i++)
        add_leaf(&text, "input", i, &core->ir->input[i], "lightblue");
    for (int i = 0; i < core->ir->variable_count; i++)
        add_leaf(&text, "variable", i, &core->ir->variable[i], "khaki");
    for (int32_t s = 0; s < core->step_count; s++)
        add_step(&text, core, s);
    for (int i = 0; i < core->ir->output_count; i++)
        soma__text_add(&text, "  output%d [shape=ellipse, fillcolor=gray90];\n  s%d -> output%d;\n",
                       i, (int)soma__root_of(core, core->output[i])->step, i);
    soma__text_add(&text, "}\n");
    return soma__text_take(&text, out, err);
}
