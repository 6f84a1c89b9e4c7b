/* Building graphs: sticky errors, scopes, leaves, pictures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "graph/graph.h"
#include "soma/ops.h"

static soma_graph *new_graph(void)
{
    soma_graph *graph;
    assert_int_equal(soma_graph_create(&graph, NULL), SOMA_OK);
    return graph;
}

static void the_first_fault_sticks_and_names_op_scope_and_shapes(void **state)
{
    (void)state;
    soma_graph *graph = new_graph();
    soma_var a = soma_input(graph, "a", SOMA_F32, SOMA_SHAPE(32, 128));
    soma_var b = soma_input(graph, "b", SOMA_F32, SOMA_SHAPE(64, 10));
    soma_scope_begin(graph, "net");
    soma_scope_begin(graph, "fc1");
    soma_var y = soma_matmul(a, b);
    soma_scope_end(graph);
    soma_scope_end(graph);
    assert_false(soma_var_ok(y));
    int64_t count = soma_graph_count(graph);
    /* Later calls pass the failed var on and add nothing. */
    soma_var z = soma_relu(soma_add(y, a));
    assert_false(soma_var_ok(z));
    assert_int_equal(soma_graph_count(graph), count);
    soma_error err = {0};
    assert_int_equal(soma_graph_status(graph, &err), SOMA_SHAPE);
    assert_non_null(strstr(err.message, "matmul 'net.fc1'"));
    assert_non_null(strstr(err.message, "[32,128]"));
    assert_non_null(strstr(err.message, "[64,10]"));
    soma_graph_destroy(graph);
}

static void a_var_of_another_graph_is_refused(void **state)
{
    (void)state;
    soma_graph *one = new_graph(), *two = new_graph();
    soma_var a = soma_input(one, "a", SOMA_F32, SOMA_SHAPE(2));
    soma_var b = soma_input(two, "b", SOMA_F32, SOMA_SHAPE(2));
    assert_false(soma_var_ok(soma_add(a, b)));
    assert_int_equal(soma_graph_status(one, NULL), SOMA_INVALID);
    assert_int_equal(soma_graph_status(two, NULL), SOMA_INVALID);
    soma_graph_destroy(one);
    soma_graph_destroy(two);
}

static void a_var_that_was_never_set_is_refused(void **state)
{
    (void)state;
    soma_graph *graph = new_graph();
    soma_var a = soma_input(graph, "a", SOMA_F32, SOMA_SHAPE(2));
    soma_var none = {0};
    assert_false(soma_var_ok(none));
    assert_false(soma_var_ok(soma_relu(none)));
    assert_false(soma_var_ok(soma_add(a, none)));
    assert_int_equal(soma_graph_status(graph, NULL), SOMA_INVALID);
    soma_graph_destroy(graph);
    assert_int_equal(soma_graph_status(NULL, NULL), SOMA_INVALID);
}

static void inputs_need_distinct_names(void **state)
{
    (void)state;
    soma_graph *graph = new_graph();
    assert_true(soma_var_ok(soma_input(graph, "x", SOMA_F32, SOMA_SCALAR)));
    assert_false(soma_var_ok(soma_input(graph, "x", SOMA_F32, SOMA_SCALAR)));
    soma_error err = {0};
    assert_int_equal(soma_graph_status(graph, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "'x'"));
    soma_graph_destroy(graph);
}

static void sizes_that_do_not_fit_memory_are_refused(void **state)
{
    (void)state;
    soma_graph *graph = new_graph();
    soma_var huge = soma_input(graph, "x", SOMA_F32, SOMA_SHAPE(INT64_MAX / 4, INT64_MAX / 4));
    assert_false(soma_var_ok(huge));
    soma_graph_destroy(graph);
    graph = new_graph();
    soma_var a = soma_input(graph, "a", SOMA_F32, SOMA_SHAPE(INT64_MAX / 64, 1));
    soma_var b = soma_input(graph, "b", SOMA_F32, SOMA_SHAPE(1, INT64_MAX / 64));
    assert_true(soma_var_ok(a) && soma_var_ok(b));
    assert_false(soma_var_ok(soma_add(a, b)));
    assert_int_equal(soma_graph_status(graph, NULL), SOMA_SHAPE);
    soma_graph_destroy(graph);
}

static void scopes_nest_and_end_even_when_a_path_is_too_long(void **state)
{
    (void)state;
    soma_graph *graph = new_graph();
    soma_var x = soma_input(graph, "x", SOMA_F32, SOMA_SHAPE(2));
    for (int i = 0; i < 100; i++)
        soma_scope_begin(graph, "a-rather-long-name");
    assert_true(soma_var_ok(soma_relu(x)));
    for (int i = 0; i < 100; i++)
        soma_scope_end(graph);
    assert_string_equal(graph->scope, "");
    soma_scope_begin(graph, "with.dot");
    soma_scope_begin(graph, "inner");
    soma_var y = soma_relu(x);
    assert_string_equal(soma__node_of(y)->name, "with.dot.inner");
    soma_scope_end(graph);
    soma_var z = soma_relu(x);
    assert_string_equal(soma__node_of(z)->name, "with.dot");
    soma_scope_end(graph);
    assert_null(soma__node_of(soma_relu(x))->name);
    soma_graph_destroy(graph);
}

static void the_picture_has_every_node_and_escapes_names(void **state)
{
    (void)state;
    soma_graph *graph = new_graph();
    soma_var x = soma_input(graph, "a\"b", SOMA_F32, SOMA_SHAPE(2, 3));
    soma_relu(x);
    char *dot;
    assert_int_equal(soma_graph_dot(&dot, graph, NULL), SOMA_OK);
    assert_non_null(strstr(dot, "digraph"));
    assert_non_null(strstr(dot, "a\\\"b"));
    assert_non_null(strstr(dot, "n0 -> n1"));
    soma_free(dot);
    soma_graph_destroy(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_fault_sticks_and_names_op_scope_and_shapes),
        cmocka_unit_test(a_var_of_another_graph_is_refused),
        cmocka_unit_test(a_var_that_was_never_set_is_refused),
        cmocka_unit_test(inputs_need_distinct_names),
        cmocka_unit_test(sizes_that_do_not_fit_memory_are_refused),
        cmocka_unit_test(scopes_nest_and_end_even_when_a_path_is_too_long),
        cmocka_unit_test(the_picture_has_every_node_and_escapes_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
