/* Prepared weights: made once for all sessions, made again after every change, never of what may
 * change unseen; the same results as without. */
#include <pthread.h>

#include "plan/support.h"

static soma_context *context;
static soma_graph *graph;
static soma_plan *plan;

static int setup(void **state)
{
    (void)state;
    context = plain_context();
    ok(soma_graph_create(&graph, err));
    plan = NULL;
    prepared_forms = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    soma_plan_release(plan);
    soma_graph_destroy(graph);
    soma_context_destroy(context);
    return 0;
}

/* A prepared plan of `y`; returns the bytes that it keeps. */
static size_t prepare(soma_var y, const soma_update *updates, int update_count)
{
    soma_plan_info info;
    ok(soma_plan_create(&plan, context, &y, 1, updates, update_count, err));
    soma_plan_describe(plan, &info);
    assert_int_equal(info.prepared_bytes, 0);
    ok(soma_plan_prepare(plan, err));
    ok(soma_plan_prepare(plan, err)); /* changes nothing */
    soma_plan_describe(plan, &info);
    return info.prepared_bytes;
}

static soma_session *new_session(const soma_tensor *x)
{
    soma_session *session;
    ok(soma_session_create(&session, plan, err));
    if (x)
        ok(soma_session_set_tensor(session, "x", x, err));
    return session;
}

/* The first value of a run. */
static double run(soma_session *session)
{
    ok(soma_session_run(session, err));
    return soma_tensor_get(soma_session_output(session, 0), 0);
}

static soma_var input(void)
{
    return soma_input(graph, "x", SOMA_F32, SOMA_SHAPE(1, 2));
}

static void forms_are_made_once(void **state)
{
    (void)state;
    soma_tensor *w = filled(SOMA_SHAPE(2, 2), 3), *x = filled(SOMA_SHAPE(1, 2), 1);
    soma_var c = soma_full(graph, SOMA_F32, SOMA_SHAPE(2, 2), 2);
    /* A view of a variable is prepared as the variable is; the sum is no weight. */
    soma_var v = soma_reshape(soma_variable(graph, "w", w), SOMA_SHAPE(2, 2));
    soma_var y = soma_relu(soma_matmul(soma_matmul(input(), v), c));
    y = soma_matmul(y, soma_add(soma_transpose(v), v));
    assert_int_equal(prepare(y, NULL, 0), 2 * 64);
    soma_session *a = new_session(x), *b = new_session(x);
    assert_true(run(a) == 24 * 12);
    assert_int_equal(prepared_forms, 2);
    assert_true(run(a) == 24 * 12);
    assert_true(run(b) == 24 * 12);
    ok(soma_session_check(b, err));
    assert_int_equal(prepared_forms, 2);
    soma_session_destroy(a);
    soma_session_destroy(b);
    soma_tensor_release(w);
    soma_tensor_release(x);
}

static void changes_are_seen(void **state)
{
    (void)state;
    soma_tensor *w = filled(SOMA_SHAPE(2, 2), 1), *x = filled(SOMA_SHAPE(1, 2), 1);
    soma_var v = soma_variable(graph, "w", w);
    assert_int_equal(prepare(soma_matmul(input(), v), NULL, 0), 64);
    soma_session *session = new_session(x);
    assert_true(run(session) == 2);
    soma_tensor_fill(w, 2);
    assert_true(run(session) == 4);
    soma_tensor_set(w, 0, 5);
    assert_true(run(session) == 7);
    assert_int_equal(prepared_forms, 3);

    /* By a plan that updates it, which keeps no form of it itself. */
    soma_plan *step;
    soma_session *update;
    const soma_profile_row *rows;
    int count;
    soma_plan_info info;
    soma_update u = {v, soma_matmul(v, v)};
    ok(soma_plan_create(&step, context, NULL, 0, &u, 1, err));
    ok(soma_plan_prepare(step, err));
    soma_plan_describe(step, &info);
    assert_int_equal(info.prepared_bytes, 0);
    ok(soma_session_create(&update, step, err));
    soma_tensor_fill(w, 1);
    ok(soma_session_run(update, err)); /* 2 everywhere */
    assert_true(run(session) == 4);
    ok(soma_session_profile(update, 1, &rows, &count, err)); /* 8 */
    assert_true(run(session) == 16);
    ok(soma_session_check(update, err)); /* is not written */
    assert_true(run(session) == 16);
    soma_session_destroy(update);
    soma_plan_release(step);
    soma_session_destroy(session);
    soma_tensor_release(w);
    soma_tensor_release(x);
}

static void what_may_change_unseen_is_not_kept(void **state)
{
    (void)state;
    soma_tensor *w = filled(SOMA_SHAPE(2, 2), 1), *x = filled(SOMA_SHAPE(1, 2), 1);
    soma_tensor *other = filled(SOMA_SHAPE(2, 2), 1);
    float *pointer = soma_tensor_f32(other);
    soma_var y = soma_matmul(soma_matmul(input(), soma_variable(graph, "w", w)),
                             soma_variable(graph, "other", other));
    assert_int_equal(prepare(y, NULL, 0), 64); /* of w */
    soma_session *session = new_session(x);
    assert_true(run(session) == 4);
    assert_true(soma_tensor_const_data(w) != NULL); /* for reading: changes nothing */
    assert_true(run(session) == 4);
    assert_int_equal(prepared_forms, 1);
    pointer[0] = 2;
    assert_true(run(session) == 6);
    float *late = soma_tensor_data(w); /* from here on w may change at any time */
    assert_true(run(session) == 6);
    late[0] = 3;
    assert_true(run(session) == 10);
    assert_int_equal(prepared_forms, 1);
    soma_session_destroy(session);
    soma_tensor_release(w);
    soma_tensor_release(x);
    soma_tensor_release(other);
}

enum { THREADS = 4, ROUNDS = 50 };

static void *serve(void *x)
{
    for (int i = 0; i < ROUNDS; i++) {
        soma_session *session;
        if (soma_session_create(&session, plan, NULL) ||
            soma_session_set_tensor(session, "x", x, NULL) || soma_session_run(session, NULL) ||
            soma_tensor_get(soma_session_output(session, 0), 0) != 6)
            return x;
        soma_session_destroy(session);
    }
    return NULL;
}

static void threads_share_the_forms(void **state)
{
    (void)state;
    soma_tensor *w = filled(SOMA_SHAPE(2, 2), 1), *x = filled(SOMA_SHAPE(1, 2), 1);
    prepare(soma_matmul(input(), soma_variable(graph, "w", w)), NULL, 0);
    soma_tensor_fill(w, 3);
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, serve, x), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        assert_int_equal(pthread_join(thread[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(prepared_forms, 1);
    soma_tensor_release(w);
    soma_tensor_release(x);
}

/* The kernels of this machine: the same bits with and without. */
static void results_are_the_same(void **state)
{
    (void)state;
    soma_context_destroy(context);
    context = fast_context();
    soma_tensor *x = numbers(SOMA_SHAPE(2, 9, 9, 16), 1), *w = numbers(SOMA_SHAPE(24, 3, 3, 16), 2);
    soma_tensor *depth = numbers(SOMA_SHAPE(24, 3, 3, 1), 3);
    soma_tensor *one = numbers(SOMA_SHAPE(40, 1, 1, 24), 4), *fc = numbers(SOMA_SHAPE(70, 40), 5);
    soma_var y = soma_input(graph, "x", SOMA_F32, x->shape);
    y = soma_relu(soma_conv2d(y, soma_variable(graph, "w", w), .pad = {1, 1, 1, 1}));
    y = soma_conv2d(y, soma_variable(graph, "depth", depth), .groups = 24);
    y = soma_reshape(soma_conv2d(y, soma_variable(graph, "one", one)), SOMA_SHAPE(98, 40));
    y = soma_matmul(y, soma_variable(graph, "fc", fc), .transpose_b = true);
    soma_plan *plain;
    soma_session *without, *with;
    ok(soma_plan_create(&plain, context, &y, 1, NULL, 0, err));
    ok(soma_session_create(&without, plain, err));
    ok(soma_session_set_tensor(without, "x", x, err));
    size_t weights = w->bytes + depth->bytes + one->bytes + fc->bytes;
    assert_true(prepare(y, NULL, 0) >= weights);
    with = new_session(x);
    for (int i = 0; i < 2; i++) {
        ok(soma_session_run(without, err));
        ok(soma_session_run(with, err));
        assert_memory_equal(soma_session_output(with, 0)->data,
                            soma_session_output(without, 0)->data,
                            soma_session_output(with, 0)->bytes);
        soma_tensor_fill(w, 0.25);
    }
    soma_session_destroy(with);
    soma_session_destroy(without);
    soma_plan_release(plain);
    soma_tensor *all[5] = {x, w, depth, one, fc};
    for (int i = 0; i < 5; i++)
        soma_tensor_release(all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(forms_are_made_once, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_are_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(what_may_change_unseen_is_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(threads_share_the_forms, setup, teardown),
        cmocka_unit_test_setup_teardown(results_are_the_same, setup, teardown),
    };
    return cmocka_run_group_tests_name("prepared weights", tests, NULL, NULL);
}
