/* Value trees, plain scalars, overrides, and the binding to option structs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/value.h"

static void plain_scalars(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        soma__value_kind kind;
        double number;
    } cases[] = {
        {"", SOMA__NULL, 0},
        {"~", SOMA__NULL, 0},
        {"null", SOMA__NULL, 0},
        {"NULL", SOMA__NULL, 0},
        {"nUll", SOMA__STRING, 0},
        {"true", SOMA__BOOL, 1},
        {"False", SOMA__BOOL, 0},
        {"yes", SOMA__STRING, 0},
        {"12", SOMA__INT, 12},
        {"-7", SOMA__INT, -7},
        {"+3", SOMA__INT, 3},
        {"007", SOMA__INT, 7},
        {"0x1F", SOMA__INT, 31},
        {"0o17", SOMA__INT, 15},
        {"0o8", SOMA__STRING, 0},
        {"0x", SOMA__STRING, 0},
        {"1e-3", SOMA__FLOAT, 1e-3},
        {"1.5", SOMA__FLOAT, 1.5},
        {".5", SOMA__FLOAT, .5},
        {"5.", SOMA__FLOAT, 5},
        {"-1E3", SOMA__FLOAT, -1000},
        {"inf", SOMA__STRING, 0},
        {"nan", SOMA__STRING, 0},
        {"-.inf", SOMA__FLOAT, -HUGE_VAL},
        {".Inf", SOMA__FLOAT, HUGE_VAL},
        {"+.inf", SOMA__FLOAT, HUGE_VAL},
        {"1_000", SOMA__STRING, 0},
        {"1.2.3", SOMA__STRING, 0},
        {"-", SOMA__STRING, 0},
        {".", SOMA__STRING, 0},
        {"9223372036854775808", SOMA__FLOAT, 0x1p63},
        {"0xFFFFFFFFFFFFFFFFF", SOMA__FLOAT, 0x1p68},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        soma__value value = {0};
        soma__value_plain(&value, cases[i].text);
        if (value.kind != cases[i].kind)
            fail_msg("'%s' is read as %s", cases[i].text, soma__value_kind_text(value.kind));
        if (value.kind == SOMA__BOOL)
            assert_int_equal(value.boolean, cases[i].number > 0);
        else
            assert_true(value.number == cases[i].number);
        if (value.kind == SOMA__INT)
            assert_true((double)value.integer == cases[i].number);
        assert_ptr_equal(value.text, cases[i].text);
    }
    soma__value value = {0};
    soma__value_plain(&value, ".NaN");
    assert_true(value.kind == SOMA__FLOAT && isnan(value.number));
}

static void maps_keep_order_and_replace(void **state)
{
    (void)state;
    soma__tree tree = {0};
    soma__value *map = soma__value_new(&tree, SOMA__MAP);
    const char *const keys[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++)
        assert_true(soma__value_set(&tree, map, keys[i], soma__value_int(&tree, i)));
    assert_true(soma__value_set(&tree, map, "a", soma__value_string(&tree, "first")));
    assert_true(soma__value_set(&tree, map, "c", soma__value_float(&tree, 0.5)));
    assert_true(soma__value_set(&tree, map, "b", soma__value_find(map, "b")));
    assert_int_equal(map->count, 3);
    assert_string_equal(map->first->text, "first");
    assert_string_equal(map->first->next->key, "b");
    assert_ptr_equal(map->first->next->next, map->last);
    assert_true(map->last->number == 0.5);
    assert_true(soma__value_set(&tree, map, "d", soma__value_bool(&tree, true)));
    assert_string_equal(map->last->key, "d");
    assert_null(soma__value_find(map, "e"));
    assert_null(soma__value_find(map->first, "e"));
    assert_null(soma__value_find(NULL, "e"));
    soma__tree_clear(&tree);
    assert_null(tree.root);
}

static const soma__value *get(const soma__tree *tree, const char *a, const char *b)
{
    const soma__value *value = soma__value_find(tree->root, a);
    return b ? soma__value_find(value, b) : value;
}

static void override_ok(soma__tree *tree, const char *assignment)
{
    soma_error err = {0};
    if (soma__value_override(tree, assignment, &err) != SOMA_OK)
        fail_msg("%s", err.message);
}

static void override_fails(soma__tree *tree, const char *assignment, const char *part)
{
    soma_error err = {0};
    assert_int_equal(soma__value_override(tree, assignment, &err), SOMA_INVALID);
    if (!strstr(err.message, part) || !strstr(err.message, assignment))
        fail_msg("expected '%s' in: %s", part, err.message);
}

static void overrides(void **state)
{
    (void)state;
    soma__tree tree = {0};
    override_ok(&tree, "train.epochs=5");
    override_ok(&tree, "train.lr=1e-3");
    override_ok(&tree, "train.epochs=6");
    override_ok(&tree, "name=a=b");
    override_ok(&tree, "empty=");
    override_ok(&tree, "quoted='12'");
    override_ok(&tree, "double=\"\"");
    assert_int_equal(get(&tree, "train", "epochs")->integer, 6);
    assert_int_equal(get(&tree, "train", NULL)->count, 2);
    assert_true(get(&tree, "train", "lr")->number == 1e-3);
    assert_string_equal(get(&tree, "name", NULL)->text, "a=b");
    assert_int_equal(get(&tree, "empty", NULL)->kind, SOMA__NULL);
    assert_int_equal(get(&tree, "quoted", NULL)->kind, SOMA__STRING);
    assert_string_equal(get(&tree, "quoted", NULL)->text, "12");
    assert_string_equal(get(&tree, "double", NULL)->text, "");
    override_ok(&tree, "empty.inner=1"); /* null is an empty map */
    assert_int_equal(get(&tree, "empty", "inner")->integer, 1);

    soma__value *list = soma__value_new(&tree, SOMA__LIST);
    soma__value *layer = soma__value_new(&tree, SOMA__MAP);
    soma__value_append(list, soma__value_int(&tree, 10));
    soma__value_append(list, layer);
    soma__value_set(&tree, tree.root, "model", list);
    override_ok(&tree, "model.1.units=64");
    override_ok(&tree, "model.0=relu");
    assert_int_equal(soma__value_find(layer, "units")->integer, 64);
    assert_string_equal(list->first->text, "relu");
    assert_ptr_equal(list->first->next, layer);
    assert_int_equal(list->count, 2);

    override_fails(&tree, "model.2=x", "from 0 to 1");
    override_fails(&tree, "model.conv=x", "'model' is a list");
    override_fails(&tree, "model.-1.y=x", "from 0 to 1");
    override_fails(&tree, "train.epochs.x=1", "'train.epochs' is a whole number");
    override_fails(&tree, "epochs", "KEY=VALUE");
    override_fails(&tree, "=5", "KEY=VALUE");
    override_fails(&tree, "a..b=5", "a key is empty");
    override_fails(&tree, ".a=5", "a key is empty");
    override_fails(&tree, "a.=5", "a key is empty");
    soma__value_set(&tree, tree.root, "none", soma__value_new(&tree, SOMA__LIST));
    override_fails(&tree, "none.0=5", "an empty list");
    soma__tree_clear(&tree);
}

/* --- fields
 * --------------------------------------------------------------------------------------- */

typedef struct options {
    int64_t units;
    double rate;
    bool bias;
    const char *name;
    int activation;
    int64_t stride[2];
    const soma__value *nested;
    int64_t free;
} options;

static const char *const activations[] = {"none", "relu", "gelu", NULL};

static const soma__field fields[] = {
    {.key = "units",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(options, units),
     .min = 1,
     .max = HUGE_VAL,
     .required = true,
     .doc = "number of outputs"},
    {.key = "rate",
     .kind = SOMA__FIELD_FLOAT,
     .offset = offsetof(options, rate),
     .min = 0,
     .max = 0.5},
    {.key = "bias", .kind = SOMA__FIELD_BOOL, .offset = offsetof(options, bias)},
    {.key = "name", .kind = SOMA__FIELD_STRING, .offset = offsetof(options, name)},
    {.key = "activation",
     .kind = SOMA__FIELD_ENUM,
     .offset = offsetof(options, activation),
     .choices = activations},
    {.key = "stride",
     .kind = SOMA__FIELD_INTS,
     .offset = offsetof(options, stride),
     .count = 2,
     .min = 1,
     .max = 64},
    {.key = "nested", .kind = SOMA__FIELD_VALUE, .offset = offsetof(options, nested)},
    {.key = "free", .kind = SOMA__FIELD_INT, .offset = offsetof(options, free)},
};

/* Reads options from overrides such as "units=3"; the line of all values is 7. */
static soma_status read_options(soma__tree *tree, options *out, soma_error *err,
                                const char *const *assignments)
{
    *tree = (soma__tree){.source = "recipe.yaml"};
    tree->root = soma__value_new(tree, SOMA__MAP);
    tree->root->line = 3;
    for (; *assignments; assignments++)
        override_ok(tree, *assignments);
    for (soma__value *item = tree->root->first; item; item = item->next)
        item->line = 7;
    return soma__fields_read(fields, sizeof fields / sizeof *fields, out, tree, tree->root,
                             "model.2", err);
}

static void fields_fail(const char *assignment, const char *message)
{
    soma__tree tree;
    options out = {.units = -99};
    soma_error err = {0};
    const char *const assignments[] = {assignment, "units=4", NULL};
    assert_int_equal(read_options(&tree, &out, &err, assignments), SOMA_INVALID);
    assert_string_equal(err.message, message);
    soma__tree_clear(&tree);
}

static void fields_are_read(void **state)
{
    (void)state;
    soma__tree tree;
    options out = {.rate = 0.25, .free = 77, .stride = {9, 9}};
    soma_error err = {0};
    const char *const assignments[] = {"units=1e3",       "bias=true",  "name=5", "nested.x=1",
                                       "activation=gelu", "stride=2.0", "free=~", NULL};
    if (read_options(&tree, &out, &err, assignments) != SOMA_OK)
        fail_msg("%s", err.message);
    assert_int_equal(out.units, 1000);
    assert_true(out.rate == 0.25);
    assert_true(out.bias);
    assert_string_equal(out.name, "5");
    assert_int_equal(out.activation, 2);
    assert_true(out.stride[0] == 2 && out.stride[1] == 2);
    assert_int_equal(soma__value_find(out.nested, "x")->integer, 1);
    assert_int_equal(out.free, 77);

    soma__value *list = soma__value_new(&tree, SOMA__LIST);
    soma__value_append(list, soma__value_int(&tree, 3));
    soma__value_append(list, soma__value_float(&tree, 4));
    soma__value_set(&tree, tree.root, "stride", list);
    soma__value_set(&tree, tree.root, "rate", soma__value_int(&tree, 0));
    assert_int_equal(soma__fields_read(fields, 8, &out, &tree, tree.root, "", &err), SOMA_OK);
    assert_true(out.stride[0] == 3 && out.stride[1] == 4 && out.rate == 0);

    soma__value_append(list, soma__value_int(&tree, 5));
    assert_int_equal(soma__fields_read(fields, 8, &out, &tree, tree.root, "", &err), SOMA_INVALID);
    assert_string_equal(err.message, "stride: expected 2 whole numbers, or one for all, got 3");
    soma__tree_clear(&tree);
}

static void fields_explain_themselves(void **state)
{
    (void)state;
    fields_fail("unit=3", "recipe.yaml:7: model.2: unknown key 'unit', did you mean 'units'?");
    fields_fail("zzzzzz=3", "recipe.yaml:7: model.2: unknown key 'zzzzzz'; it can be units, rate, "
                            "bias, name, activation, stride, nested or free");
    fields_fail("free=2.5", "recipe.yaml:7: model.2.free: expected a whole number, got '2.5'");
    fields_fail("free=many", "recipe.yaml:7: model.2.free: expected a whole number, got 'many'");
    fields_fail("free=1e30", "recipe.yaml:7: model.2.free: expected a whole number, got '1e30'");
    fields_fail("free=.nan", "recipe.yaml:7: model.2.free: expected a whole number, got '.nan'");
    fields_fail("rate=0.6", "recipe.yaml:7: model.2.rate: must be from 0 to 0.5, got '0.6'");
    fields_fail("rate=.nan", "recipe.yaml:7: model.2.rate: must be from 0 to 0.5, got '.nan'");
    fields_fail("rate=true", "recipe.yaml:7: model.2.rate: expected a number, got 'true'");
    fields_fail("bias=yes", "recipe.yaml:7: model.2.bias: expected true or false, got 'yes'");
    fields_fail("name.x=1", "recipe.yaml:7: model.2.name: expected text, got a map");
    fields_fail("stride=0", "recipe.yaml:7: model.2.stride: must be from 1 to 64, got '0'");
    fields_fail("activation=rleu", "recipe.yaml:7: model.2.activation: unknown choice 'rleu', did "
                                   "you mean 'relu'? (it can be none, relu or gelu)");
    fields_fail("activation=7",
                "recipe.yaml:7: model.2.activation: expected none, relu or gelu, got '7'");

    soma__tree tree;
    options out = {0};
    soma_error err = {0};
    const char *const too_small[] = {"units=0", NULL}, *const missing[] = {"bias=true", NULL};
    assert_int_equal(read_options(&tree, &out, &err, too_small), SOMA_INVALID);
    assert_string_equal(err.message, "recipe.yaml:7: model.2.units: must be at least 1, got '0'");
    soma__tree_clear(&tree);
    assert_int_equal(read_options(&tree, &out, &err, missing), SOMA_INVALID);
    assert_string_equal(err.message,
                        "recipe.yaml:3: model.2: 'units' is missing (number of outputs)");
    /* No map at all, and something that is no map. */
    assert_int_equal(soma__fields_read(fields, 8, &out, &tree, NULL, "model", &err), SOMA_INVALID);
    assert_string_equal(err.message, "recipe.yaml: model: 'units' is missing (number of outputs)");
    assert_int_equal(soma__fields_read(fields + 1, 7, &out, &tree, NULL, "model", &err), SOMA_OK);
    soma__tree_clear(&tree);
    soma__value *number = soma__value_int(&tree, 5);
    assert_int_equal(soma__fields_read(fields, 8, &out, &tree, number, "model", &err),
                     SOMA_INVALID);
    assert_string_equal(err.message, "model: expected a map of options, got 5");
    soma__tree_clear(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_scalars),
        cmocka_unit_test(maps_keep_order_and_replace),
        cmocka_unit_test(overrides),
        cmocka_unit_test(fields_are_read),
        cmocka_unit_test(fields_explain_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
