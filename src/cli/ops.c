/* ops.c: `soma ops`: what the op table, the layer registry and the tables of optimisers
 * know. */
#include <string.h>

#include "cli/cli.h"
#include "data/transform.h"
#include "graph/op.h"
#include "nn/layer.h"
#include "nn/nn.h"
#include "optim/optim.h"
#include "plan/backend.h"
#include "train/loss.h"

/* `flag` is what `soma ops` is given to list them; `near` may be NULL. */
static soma_status no_such(const char *what, const char *flag, const char *name, const char *near,
                           soma_error *err)
{
    return soma__fail(err, SOMA_NOT_FOUND, "there is no %s '%s'%s%s%s; `soma ops%s` lists them",
                      what, name, near ? "; did you mean '" : "", near ? near : "",
                      near ? "'?" : "", flag);
}

/* --- ops ----------------------------------------------------------------------------------------
 */

static const char *gradient_text(const soma__op *op)
{
    if (op->flags & SOMA__OP_LEAF)
        return "a leaf: it is what gradients are taken of";
    if (op->decompose)
        return "that of its parts";
    if (op->gradient == soma__grad_none)
        return "none: zero everywhere";
    return op->gradient ? "yes" : "not defined: an error that names the op";
}

static const char *gradient_word(const soma__op *op)
{
    if (op->flags & SOMA__OP_LEAF)
        return "leaf";
    if (op->decompose)
        return "parts";
    return op->gradient == soma__grad_none ? "none" : op->gradient ? "yes" : "error";
}

/* Where the op's work is done on this machine: fused programs run f32 elementwise ops, other
 * kernels have a row of their own. */
static const char *kernel_word(const soma__op *op)
{
    const soma__backend *backend = soma__cpu_backend(NULL);
    if (op->flags & (SOMA__OP_LEAF | SOMA__OP_VIEW))
        return "free";
    for (int i = 0; backend && i < backend->count; i++)
        if (strcmp(backend->kernels[i].op, op->name) == 0)
            return backend->name;
    if (op->decompose)
        return "parts";
    return backend && op->scalar && op->scalar < SOMA__SCALAR_COUNT ? "cpu fused" : "reference";
}

/* How an op is tested: the build counts the samples of tests/ops (valid, refused, worked by hand)
 * and the cases of tests/golden, whose values are PyTorch's. A build without tests cannot know. */
typedef struct tested_op {
    const char *op;
    int valid, refused, worked, golden;
} tested_op;

static const tested_op tested[] = {
#ifdef SOMA_TESTED_OPS
#include <tested_ops.inc> /* made by the build: cmake/tests.cmake */
#endif
    {0}};

static const tested_op *tests_of(const soma__op *op)
{
    for (const tested_op *t = tested; t->op; t++)
        if (strcmp(t->op, op->name) == 0)
            return t;
    return NULL;
}

static void add_inputs(soma__text *out, const soma__op *op)
{
    soma__text_add(out, "%s(", op->name);
    for (const char *c = op->inputs ? op->inputs : ""; *c; c++)
        soma__text_add(out, *c == ' ' ? ", " : "%c", *c);
    soma__text_add(out, ")");
}

static void print_op(const soma__op *op, bool with_doc)
{
    soma__text call = {0};
    add_inputs(&call, op);
    const tested_op *t = tests_of(op);
    char tests[32] = "-";
    if (t)
        snprintf(tests, sizeof(tests), "%d + %d", t->valid + t->refused, t->golden);
    if (!call.failed && with_doc)
        printf("  %-36s %-6s %-10s %-8s %s\n", call.data, gradient_word(op), kernel_word(op), tests,
               op->doc);
    else if (!call.failed)
        printf("%s: %s\n", call.data, op->doc);
    soma__text_free(&call);
}

static const char *attr_kind_text(soma__attr_kind kind)
{
    switch (kind) {
    case SOMA__ATTR_INT:
        return "whole number";
    case SOMA__ATTR_FLOAT:
        return "number";
    case SOMA__ATTR_DTYPE:
        return "dtype";
    case SOMA__ATTR_BOOL:
        return "true or false";
    }
    return "";
}

static void print_detail(const soma__op *op)
{
    print_op(op, false);
    printf("family    %s\ninputs    %d", op->family, op->min_inputs);
    if (op->max_inputs < 0)
        printf(" or more");
    else if (op->max_inputs > op->min_inputs)
        printf(" to %d", op->max_inputs);
    printf("\ngradient  %s\nkernel    %s\n", gradient_text(op), kernel_word(op));
    const tested_op *t = tests_of(op);
    if (t)
        printf("tests     %d valid samples, %d refused, %d worked by hand; %d cases of PyTorch's\n",
               t->valid, t->refused, t->worked, t->golden);
    else
        printf("tests     not known: built without them\n");
    if (op->decompose)
        printf("composite: built out of other ops, which a kernel may still claim whole\n");
    if (op->flags & SOMA__OP_RANDOM)
        printf("random: a function of its key; never folded\n");
    if (op->flags & SOMA__OP_VIEW)
        printf("view: the same bytes in another shape; costs nothing\n");
    if (op->flags & SOMA__OP_EPILOGUE)
        printf("epilogue: what follows elementwise runs on its finished blocks\n");
    if (op->flags & SOMA__OP_INTERNAL)
        printf("internal: made by plans only\n");
    for (const soma__attr *a = op->attrs; a && a->name; a++)
        printf("%s%-10s %s%s%s%s\n", a == op->attrs ? "attributes\n  " : "  ", a->name,
               attr_kind_text(a->kind), a->count > 1 ? "s" : "", a->doc ? ": " : "",
               a->doc ? a->doc : "");
}

static void json_op(const soma__op *op)
{
    cli_json json, list = {.first = true};
    cli_json_begin(&json, "op");
    cli_json_string(&json, "name", op->name);
    cli_json_string(&json, "family", op->family);
    cli_json_string(&json, "doc", op->doc);
    cli_json_string(&json, "inputs", op->inputs ? op->inputs : "");
    cli_json_int(&json, "min_inputs", op->min_inputs);
    cli_json_int(&json, "max_inputs", op->max_inputs);
    cli_json_string(&json, "gradient", gradient_text(op));
    cli_json_string(&json, "kernel", kernel_word(op));
    const tested_op *t = tests_of(op);
    if (t) {
        cli_json_int(&json, "valid_samples", t->valid);
        cli_json_int(&json, "refused_samples", t->refused);
        cli_json_int(&json, "worked_samples", t->worked);
        cli_json_int(&json, "golden_cases", t->golden);
    }
    cli_json_bool(&json, "composite", op->decompose != NULL);
    cli_json_bool(&json, "internal", (op->flags & SOMA__OP_INTERNAL) != 0);
    soma__text_add(&list.text, "{");
    for (const soma__attr *a = op->attrs; a && a->name; a++)
        cli_json_string(&list, a->name, attr_kind_text(a->kind));
    soma__text_add(&list.text, "}");
    if (!list.text.failed)
        cli_json_raw(&json, "attributes", list.text.data);
    soma__text_free(&list.text);
    cli_json_end(&json);
}

/* Ops by family, in the order in which the table first names the families. */
static void list_ops(void)
{
    printf("  %-36s %-6s %-10s %-8s\n\n", "op", "grad", "kernel", "samples + PyTorch's cases");
    for (int i = 0; i < soma__op_count(); i++) {
        const char *family = soma__op_at(i)->family;
        bool seen = false;
        for (int k = 0; k < i && !seen; k++)
            seen = strcmp(soma__op_at(k)->family, family) == 0;
        if (seen)
            continue;
        printf("%s%s\n", i ? "\n" : "", family);
        for (int k = i; k < soma__op_count(); k++)
            if (strcmp(soma__op_at(k)->family, family) == 0)
                print_op(soma__op_at(k), true);
    }
}

static soma_status show_ops(const arguments *args, int *shown, soma_error *err)
{
    const char *name = args->positional_count ? args->positional[0] : NULL;
    const soma__op *one = name ? soma__op_find(name) : NULL;
    if (name && !one) {
        const char *names[512];
        size_t count = 0;
        for (int i = 0; i < soma__op_count() && count < 512; i++)
            names[count++] = soma__op_at(i)->name;
        const char *near = soma__nearest(name, names, count);
        return no_such("op", "", name, near, err);
    }
    *shown = one ? 1 : soma__op_count();
    for (int i = 0; args->json && i < *shown; i++)
        json_op(one ? one : soma__op_at(i));
    if (!args->json && one)
        print_detail(one);
    else if (!args->json)
        list_ops();
    return SOMA_OK;
}

/* --- layers -------------------------------------------------------------------------------------
 */

static const char *field_kind_text(const soma__field *field)
{
    switch (field->kind) {
    case SOMA__FIELD_INT:
        return "whole number";
    case SOMA__FIELD_FLOAT:
        return "number";
    case SOMA__FIELD_BOOL:
        return "true or false";
    case SOMA__FIELD_STRING:
        return "text";
    case SOMA__FIELD_ENUM:
        return "one of";
    case SOMA__FIELD_INTS:
        return "whole numbers";
    case SOMA__FIELD_FLOATS:
        return "numbers";
    case SOMA__FIELD_VALUE:
        return "nested";
    case SOMA__FIELD_CHOICE:
        return "one of";
    }
    return "";
}

static void print_fields(const soma__field *fields, int count, const char *primary)
{
    for (int i = 0; i < count; i++) {
        const soma__field *f = &fields[i];
        bool is_primary = primary && strcmp(primary, f->key) == 0;
        printf("%s%-10s %s", i ? "  " : "keys\n  ", f->key, field_kind_text(f));
        const soma__field *names = f->kind == SOMA__FIELD_CHOICE ? &f->parts[0] : f;
        for (int k = 0; names->kind == SOMA__FIELD_ENUM && names->choices[k]; k++)
            printf("%s%s", k ? ", " : " ", names->choices[k]);
        if (f->kind == SOMA__FIELD_CHOICE)
            printf("; with");
        for (int k = 1; f->kind == SOMA__FIELD_CHOICE && k < f->part_count; k++)
            printf("%s %s", k > 1 ? "," : "", f->parts[k].key);
        printf("; %s%s%s\n", f->doc ? f->doc : "", f->required ? "; required" : "",
               is_primary ? "; also the short form" : "");
    }
}

static void json_fields(cli_json *json, const soma__field *fields, int count)
{
    cli_json list = {.first = true};
    soma__text_add(&list.text, "{");
    for (int i = 0; i < count; i++)
        cli_json_string(&list, fields[i].key, field_kind_text(&fields[i]));
    soma__text_add(&list.text, "}");
    if (!list.text.failed)
        cli_json_raw(json, "keys", list.text.data);
    soma__text_free(&list.text);
}

static void print_layer(const soma__layer_type *type, bool detail)
{
    if (!detail) {
        printf("%-18s %s\n", type->name, type->doc);
        return;
    }
    printf("%s: %s\nshapes      %s\nparameters  %s\n", type->name, type->doc, type->shapes,
           *type->parameters ? type->parameters : "none");
    print_fields(type->fields, type->field_count, type->primary);
    if (type->alias)
        printf("each choice of `%s` is a layer name of its own\n", type->alias);
}

static void json_layer(const soma__layer_type *type)
{
    cli_json json;
    cli_json_begin(&json, "layer");
    cli_json_string(&json, "name", type->name);
    cli_json_string(&json, "doc", type->doc);
    cli_json_string(&json, "shapes", type->shapes);
    cli_json_string(&json, "parameters", type->parameters);
    json_fields(&json, type->fields, type->field_count);
    cli_json_end(&json);
}

static soma_status show_layers(const arguments *args, int *shown, soma_error *err)
{
    const char *name = args->positional_count ? args->positional[0] : NULL;
    int choice;
    const soma__layer_type *one = name ? soma__layer_type_find(name, &choice) : NULL;
    if (name && !one) {
        const char *near = soma__layer_type_nearest(name);
        return no_such("layer", " --layers", name, near, err);
    }
    *shown = one ? 1 : soma__layer_type_count();
    for (int i = 0; i < *shown; i++) {
        const soma__layer_type *type = one ? one : soma__layer_type_at(i);
        if (args->json)
            json_layer(type);
        else
            print_layer(type, one != NULL);
    }
    return SOMA_OK;
}

/* --- transforms ---------------------------------------------------------------------------------
 */

static void show_transform(const arguments *args, const soma__transform_type *type, bool detail)
{
    if (args->json) {
        cli_json json;
        cli_json_begin(&json, "transform");
        cli_json_string(&json, "name", type->name);
        cli_json_string(&json, "doc", type->doc);
        cli_json_string(&json, "shapes", type->shapes);
        cli_json_string(&json, "when", soma__when_names[type->when]);
        json_fields(&json, type->fields, type->field_count);
        cli_json_end(&json);
    } else if (detail) {
        printf("%s: %s\nshapes      %s\nruns        %s%s\n", type->name, type->doc, type->shapes,
               type->when == SOMA_WHEN_ALWAYS ? "always" : "on the training part",
               " unless `when` says otherwise");
        print_fields(type->fields, type->field_count, type->primary);
    } else {
        printf("%-15s %s\n", type->name, type->doc);
    }
}

static soma_status show_transforms(const arguments *args, int *shown, soma_error *err)
{
    const char *name = args->positional_count ? args->positional[0] : NULL;
    const soma__transform_type *one = name ? soma__transform_type_find(name) : NULL;
    if (name && !one) {
        const char *near = soma__transform_type_nearest(name);
        return no_such("transform", " --transforms", name, near, err);
    }
    *shown = one ? 1 : soma__transform_type_count();
    for (int i = 0; i < *shown; i++)
        show_transform(args, one ? one : soma__transform_type_at(i), one != NULL);
    return SOMA_OK;
}

/* --- optimisers and schedules -------------------------------------------------------------------
 */

/* Two lists of names and what each is, of the same form. */
static soma_status show_names(const arguments *args, const char *what, const char *const *names,
                              const char *(*doc)(int index), int *shown, soma_error *err)
{
    const char *name = args->positional_count ? args->positional[0] : NULL;
    size_t count = 0;
    bool found = false;
    while (names[count])
        count++;
    for (size_t i = 0; i < count; i++) {
        if (name && strcmp(name, names[i]) != 0)
            continue;
        found = true;
        ++*shown;
        if (args->json) {
            cli_json json;
            cli_json_begin(&json, what);
            cli_json_string(&json, "name", names[i]);
            cli_json_string(&json, "doc", doc((int)i));
            cli_json_end(&json);
        } else {
            printf("%-18s %s\n", names[i], doc((int)i));
        }
    }
    if (found)
        return SOMA_OK;
    const char *near = name ? soma__nearest(name, names, count) : NULL;
    char flag[32];
    snprintf(flag, sizeof flag, " --%ss", what);
    return no_such(what, flag, name ? name : "", near, err);
}

static const char *optimizer_doc(int index)
{
    return soma__optim_kind_of((soma_optimizer_kind)index)->doc;
}

static const char *schedule_doc(int index)
{
    return soma__schedule_docs[index];
}

static soma_status show_optimizers(const arguments *args, int *shown, soma_error *err)
{
    SOMA__TRY(show_names(args, "optimizer", soma__optimizer_names, optimizer_doc, shown, err));
    if (!args->positional_count || args->json)
        return SOMA_OK;
    print_fields(soma__optimizer_fields, soma__optimizer_field_count, NULL);
    printf("of each group, ");
    print_fields(soma__optimizer_group_fields, soma__optimizer_group_field_count, NULL);
    return SOMA_OK;
}

/* --- losses -------------------------------------------------------------------------------------
 */

static void add_tasks(soma__text *out, const soma__loss_type *type)
{
    for (int task = SOMA_TASK_CLASSIFY; task <= SOMA_TASK_REGRESS; task++)
        if (type->tasks & SOMA__TASK_BIT(task))
            soma__text_add(out, "%s%s", out->length ? ", " : "", soma__task_text((soma_task)task));
}

static void show_loss(const arguments *args, const soma__loss_type *type, bool detail)
{
    soma__text tasks = {0};
    add_tasks(&tasks, type);
    const char *names = tasks.failed ? "" : tasks.data;
    if (args->json) {
        cli_json json;
        cli_json_begin(&json, "loss");
        cli_json_string(&json, "name", type->name);
        cli_json_string(&json, "doc", type->doc);
        cli_json_string(&json, "tasks", names);
        cli_json_string(&json, "wants", type->wants);
        json_fields(&json, type->fields, type->field_count);
        cli_json_end(&json);
    } else if (detail) {
        printf("%s: %s\ntasks       %s\nwants       %s\n", type->name, type->doc, names,
               type->wants);
        print_fields(type->fields, type->field_count, NULL);
    } else {
        printf("%-15s %-17s %s\n", type->name, names, type->doc);
    }
    soma__text_free(&tasks);
}

static soma_status show_losses(const arguments *args, int *shown, soma_error *err)
{
    const char *name = args->positional_count ? args->positional[0] : NULL;
    const soma__loss_type *one = name ? soma__loss_find(name) : NULL;
    if (name && !one) {
        const char *near = soma__loss_nearest(name);
        return no_such("loss", " --losses", name, near, err);
    }
    *shown = one ? 1 : soma__loss_count();
    for (int i = 0; i < *shown; i++)
        show_loss(args, one ? one : soma__loss_at(i), one != NULL);
    return SOMA_OK;
}

static soma_status show(const arguments *args, int *shown, soma_error *err)
{
    if (args->layers)
        return show_layers(args, shown, err);
    if (args->transforms)
        return show_transforms(args, shown, err);
    if (args->losses)
        return show_losses(args, shown, err);
    if (args->optimizers)
        return show_optimizers(args, shown, err);
    if (args->schedules)
        return show_names(args, "schedule", soma__schedule_names, schedule_doc, shown, err);
    return show_ops(args, shown, err);
}

int cli_run_ops(const arguments *args)
{
    soma_error err = {0};
    int shown = 0;
    soma_status status = show(args, &shown, &err);
    if (status != SOMA_OK)
        return cli_fail(args, status, &err);
    if (args->json) {
        cli_json json;
        cli_json_begin(&json, "done");
        cli_json_int(&json, "count", shown);
        cli_json_end(&json);
    }
    return EXIT_CODE_OK;
}
