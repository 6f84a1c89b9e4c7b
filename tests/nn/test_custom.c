/* Kinds of layers that a program registers: built, trained state, files, recipes, refusals. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "nn/nn.h"
#include "soma/custom.h"
#include "soma/recipe.h"

/* --- a kind with every sort of option -----------------------------------------------------------
 */

typedef struct affine_options {
    int64_t units;
    double slope;
    bool negate;
    int flavour;
    int64_t pair[2];
    const char *label;
} affine_options;

static const char *const flavours[] = {"plain", "double", NULL};

#define FIELD(member_, kind_, ...)                                                                 \
    {                                                                                              \
        .key = #member_, .kind = kind_, .offset = offsetof(affine_options, member_), __VA_ARGS__   \
    }
static const soma_field affine_fields[] = {
    FIELD(units, SOMA_FIELD_INT, .min = 1, .max = 100, .required = true),
    FIELD(slope, SOMA_FIELD_FLOAT, .min = -10, .max = 10),
    FIELD(negate, SOMA_FIELD_BOOL, .doc = "the other sign"),
    FIELD(flavour, SOMA_FIELD_ENUM, .choices = flavours),
    FIELD(pair, SOMA_FIELD_INTS, .count = 2, .min = 0, .max = 9),
    FIELD(label, SOMA_FIELD_TEXT, .min = 0),
};

/* Sums the inputs; scaled by the options: ±slope·(flavour+1)·(x·wᵀ) + pair[0] + pair[1] + the
 * length of the label. A buffer counts the training steps. */
static soma_var affine_build(soma_layer_scope *scope, const void *options, const soma_var *x,
                             int count)
{
    const affine_options *o = options;
    soma_shape shape = soma_var_shape(x[0]);
    if (shape.ndim != 2)
        return soma_layer_fault(scope, SOMA_SHAPE, "wants [B,I], got %d dimensions", shape.ndim);
    soma_var sum = x[0];
    for (int i = 1; i < count; i++)
        sum = soma_add(sum, x[i]);
    soma_var weight = soma_layer_get_parameter(
        scope, &(soma_layer_parameter){.name = "weight",
                                       .shape = SOMA_SHAPE(o->units, shape.dim[1]),
                                       .init = {.kind = SOMA_INIT_ONES}});
    soma_var steps =
        soma_layer_get_parameter(scope, &(soma_layer_parameter){.name = "steps",
                                                                .shape = SOMA_SHAPE(1),
                                                                .init = {.kind = SOMA_INIT_ZEROS},
                                                                .buffer = true});
    if (soma_layer_get_mode(scope) == SOMA_TRAIN)
        soma_layer_set_buffer(scope, steps, soma_add_scalar(steps, 1));
    double factor = (o->slope < 0 || o->slope > 0 ? o->slope : 1) * (o->flavour + 1);
    soma_var y =
        soma_mul_scalar(soma_linear(sum, weight, (soma_var){0}), o->negate ? -factor : factor);
    return soma_add_scalar(y, (double)(o->pair[0] + o->pair[1]) +
                                  (o->label ? (double)strlen(o->label) : 0));
}

static const soma_layer_kind affine = {.name = "affine",
                                       .doc = "for tests",
                                       .size = sizeof(affine_options),
                                       .fields = affine_fields,
                                       .field_count = 6,
                                       .primary = "units",
                                       .inputs = 3,
                                       .build = affine_build};

/* A block of library layers with noise in training. */
static soma_var noisy_build(soma_layer_scope *scope, const void *options, const soma_var *x,
                            int count)
{
    (void)options, (void)count;
    soma_var y = soma_layer_inner(
        scope, "body", soma_layer_sequential(soma_layer_dense(4), soma_layer_batch_norm()), x[0]);
    if (soma_layer_get_mode(scope) == SOMA_EVALUATE || !soma_var_ok(y))
        return y;
    return soma_add(y, soma_random_normal(soma_layer_get_key(scope), soma_var_shape(y),
                                          soma_layer_get_stream(scope)));
}
static const soma_layer_kind noisy = {.name = "noisy", .build = noisy_build};

static soma_var broken_build(soma_layer_scope *scope, const void *options, const soma_var *x,
                             int count)
{
    (void)options, (void)x, (void)count;
    return (soma_var){soma_layer_get_graph(scope), -1};
}
static const soma_layer_kind broken = {.name = "broken", .build = broken_build};

/* A parameter whose name will not do. */
static soma_var nameless_build(soma_layer_scope *scope, const void *options, const soma_var *x,
                               int count)
{
    (void)options, (void)x, (void)count;
    return soma_layer_get_parameter(scope, &(soma_layer_parameter){.shape = SOMA_SHAPE(2)});
}
static const soma_layer_kind nameless = {.name = "nameless", .build = nameless_build};

static int open_with_kinds(void **state)
{
    return open_context(state) || soma_layer_register(context, &affine, NULL) ||
           soma_layer_register(context, &noisy, NULL) ||
           soma_layer_register(context, &broken, NULL) ||
           soma_layer_register(context, &nameless, NULL);
}

/* --- tests --------------------------------------------------------------------------------------
 */

static void expect_first(soma_model *model, const float *in, double want)
{
    soma_error err = {0};
    soma_tensor *y, *x = tensor_of(SOMA_SHAPE(1, 2), in);
    assert_ok(soma_model_predict(model, x, &y, &err), err);
    if (fabs(soma_tensor_get(y, 0) - want) > 1e-5)
        fail_msg("%g, expected %g", soma_tensor_get(y, 0), want);
    soma_tensor_release(x);
    soma_tensor_release(y);
}

static void builds_and_keeps_options(void **state)
{
    soma_error err = {0};
    soma_model *loaded;
    char label[] = "abc";
    affine_options o = {
        .units = 3, .slope = 2, .negate = true, .flavour = 1, .pair = {4, 5}, .label = label};
    soma_layer *layer = soma_layer_named(soma_layer_custom(context, "affine", &o), "mine");
    (void)state;
    label[0] = '\0'; /* the layer has its own */
    soma_model *model = model_of(layer, SOMA_SHAPE(2), SOMA_TASK_REGRESS);
    assert_int_equal(soma_model_size(model, true), 6);
    assert_true(soma_model_find(model, "mine.steps")->buffer);
    /* -2·2·(1+10) + 9 + 3 */
    expect_first(model, (const float[]){1, 10}, -32);
    assert_ok(soma_model_save(model, scratch("custom"), &err), err);
    assert_ok(soma_model_load(&loaded, context, scratch("custom"), &err), err);
    expect_first(loaded, (const float[]){1, 10}, -32);
    soma_model_destroy(loaded);
    soma_model_destroy(model);

    /* A context that does not know the kind says so. */
    soma_context *other;
    assert_ok(soma_context_create(&other, &(soma_context_options){.threads = 1}, &err), err);
    assert_int_not_equal(soma_model_load(&loaded, other, scratch("custom"), &err), SOMA_OK);
    assert_contains(err.message, "unknown layer 'affine'");
    soma_context_destroy(other);
}

static void follows_training(void **state)
{
    soma_error err = {0};
    soma_model *model = model_of(
        soma_layer_sequential(soma_layer_custom(context, "noisy", NULL),
                              soma_layer_custom(context, "affine", &(affine_options){.units = 1})),
        SOMA_SHAPE(2), SOMA_TASK_REGRESS);
    soma_tensor *x = noise(SOMA_SHAPE(5, 2), 1), *key;
    (void)state;
    assert_non_null(soma_model_find(model, "noisy1.body.dense1.weight"));
    assert_ok(soma_tensor_from(&key, SOMA_I64, SOMA_SHAPE(2), (const int64_t[]){1, 2}, &err), err);
    for (int step = 1; step < 4; step++) {
        soma_graph *graph;
        soma_update updates[8];
        soma_tensor *out;
        int count = 0;
        assert_ok(soma_graph_create(&graph, &err), err);
        soma_var y = soma_model_apply(model, graph, soma_constant(graph, x), SOMA_TRAIN,
                                      soma_constant(graph, key), updates, 8, &count);
        assert_int_equal(count, 3);
        assert_ok(soma_eval_many(&out, context, &y, 1, updates, count, &err), err);
        soma_tensor_release(out);
        soma_graph_destroy(graph);
        assert_true(fabs(soma_tensor_get(soma_model_find(model, "affine1.steps")->tensor, 0) -
                         step) < 1e-9);
    }
    soma_tensor_release(x);
    soma_tensor_release(key);
    soma_model_destroy(model);
}

static void takes_several_inputs(void **state)
{
    const soma_graph_node nodes[] = {
        {.name = "sum",
         .from = "input,input,input",
         .layer = soma_layer_custom(context, "affine", &(affine_options){.units = 1})}};
    (void)state;
    soma_model *model =
        model_of(soma_layer_graph(NULL, nodes, 1, NULL), SOMA_SHAPE(2), SOMA_TASK_REGRESS);
    expect_first(model, (const float[]){1, 10}, 33);
    soma_model_destroy(model);
    const soma_graph_node many[] = {
        {.name = "sum",
         .from = "input,input,input,input",
         .layer = soma_layer_custom(context, "affine", &(affine_options){.units = 1})}};
    expect_refusal(soma_layer_graph(NULL, many, 1, NULL), SOMA_SHAPE(2), SOMA_TASK_REGRESS,
                   SOMA_INVALID, "takes at most 3 inputs, got 4");
}

static void write_recipe(const char *path, const char *layer)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "data: {source: iris}\nmodel:\n  - %s\n  - dense: 3\n", layer);
    assert_int_equal(fclose(file), 0);
}

static soma_status from_recipe(const char *layer, soma_model **model, soma_error *err)
{
    const char *path = scratch("custom.yaml");
    soma_recipe *recipe;
    soma_data data;
    write_recipe(path, layer);
    SOMA__TRY(soma_recipe_load(&recipe, path, NULL, 0, NULL, err));
    soma_status status = soma_recipe_data(recipe, &data, err);
    if (status == SOMA_OK) {
        status = soma_recipe_model(recipe, context, &data, model, err);
        soma_data_clear(&data);
    }
    soma_recipe_destroy(recipe);
    return status;
}

static void reads_recipes(void **state)
{
    soma_error err = {0};
    soma_model *model;
    (void)state;
    assert_ok(from_recipe("affine: 5", &model, &err), err);
    assert_int_equal(soma_model_size(model, false), 5 * 4 + 18);
    soma_model_destroy(model);
    assert_ok(from_recipe("affine: {units: 2, slope: 3, flavour: double, pair: 4, label: x}",
                          &model, &err),
              err);
    soma_model_destroy(model);
    assert_ok(from_recipe("noisy", &model, &err), err);
    soma_model_destroy(model);
    assert_int_equal(from_recipe("affine: 0", &model, &err), SOMA_INVALID);
    assert_contains(err.message, "custom.yaml:3: model.0.affine.units: must be from 1 to 100");
    assert_int_equal(from_recipe("affine: {units: 1, slpoe: 3}", &model, &err), SOMA_INVALID);
    assert_contains(err.message, "did you mean 'slope'");
    assert_int_equal(from_recipe("affine", &model, &err), SOMA_INVALID);
    assert_contains(err.message, "'units' is missing");
}

static void refuses_bad_kinds(void **state)
{
    static const soma_field twice[] = {FIELD(units, SOMA_FIELD_INT, .min = 0),
                                       FIELD(units, SOMA_FIELD_INT, .min = 0)};
    static const soma_field far[] = {{.key = "a", .kind = SOMA_FIELD_INT, .offset = 4}};
    static const soma_field named[] = {{.key = "name", .kind = SOMA_FIELD_TEXT}};
    static const soma_field empty[] = {{.key = "a", .kind = SOMA_FIELD_ENUM}};
    static const soma_field wide[] = {{.key = "a", .kind = SOMA_FIELD_INTS, .count = 9}};
    const struct {
        soma_layer_kind kind;
        const char *part;
    } cases[] = {
        {{.name = "dense", .build = broken_build}, "there is a layer 'dense' already"},
        {{.name = "relu", .build = broken_build}, "there is a layer 'relu' already"},
        {{.name = "affine", .build = broken_build}, "there is a layer 'affine' already"},
        {{.name = "a.b", .build = broken_build}, "needs a name"},
        {{.build = broken_build}, "needs a name"},
        {{.name = "new"}, "build function is missing"},
        {{.name = "new", .build = broken_build, .primary = "units"}, "no field 'units'"},
        {{.name = "new", .build = broken_build, .size = 64, .fields = twice, .field_count = 2},
         "two fields are called 'units'"},
        {{.name = "new", .build = broken_build, .size = 8, .fields = far, .field_count = 1},
         "outside of the 8 bytes"},
        {{.name = "new", .build = broken_build, .size = 8, .fields = named, .field_count = 1},
         "other than 'name'"},
        {{.name = "new", .build = broken_build, .size = 8, .fields = empty, .field_count = 1},
         "no choices"},
        {{.name = "new", .build = broken_build, .size = 99, .fields = wide, .field_count = 1},
         "from 1 to 8"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_error err = {0};
        assert_int_equal(soma_layer_register(context, &cases[i].kind, &err), SOMA_INVALID);
        assert_contains(err.message, cases[i].part);
    }
    assert_int_equal(soma_layer_register(NULL, &affine, NULL), SOMA_INVALID);
}

static void refuses_bad_use(void **state)
{
    const soma_task task = SOMA_TASK_REGRESS;
    (void)state;
    expect_refusal(soma_layer_custom(context, "nobody", NULL), SOMA_SHAPE(2), task, SOMA_INVALID,
                   "no such kind");
    expect_refusal(soma_layer_custom(context, "affine", NULL), SOMA_SHAPE(2), task, SOMA_INVALID,
                   "units must be from 1 to 100, got 0");
    expect_refusal(soma_layer_custom(context, "affine", &(affine_options){.units = 2}),
                   SOMA_SHAPE(2, 2), task, SOMA_SHAPE,
                   "affine 'affine1': wants [B,I], got 3 dimensions");
    expect_refusal(soma_layer_custom(context, "broken", NULL), SOMA_SHAPE(2), task, SOMA_INVALID,
                   "returned no value of the graph");
    expect_refusal(soma_layer_custom(context, "nameless", NULL), SOMA_SHAPE(2), task, SOMA_INVALID,
                   "a parameter: a name has 1 to");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds_and_keeps_options), cmocka_unit_test(follows_training),
        cmocka_unit_test(takes_several_inputs),     cmocka_unit_test(reads_recipes),
        cmocka_unit_test(refuses_bad_kinds),        cmocka_unit_test(refuses_bad_use),
    };
    return cmocka_run_group_tests_name("custom layers", tests, open_with_kinds, close_context);
}
