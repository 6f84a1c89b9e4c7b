#include "plan/support.h"

#include <math.h>
#include <string.h>

/* --- a plain backend -------------------------------------------------------------------------- */

int prepared_forms;

static void run_fused(const soma__call *call)
{
    soma__op_find("fused")->reference(call);
}

static size_t block_bytes(const soma__call *call, int threads)
{
    (void)threads;
    return call->program ? (size_t)call->out[0].count * 4 + 64 : 0;
}

/* The product into scratch memory, then the epilogue over it as if it were a fused step. */
static void run_product(const soma__call *call)
{
    soma__view own[SOMA__PROGRAM_OPERANDS + 2];
    soma__call kept = *call;
    if (call->prepared) {
        memcpy(own, call->in, (size_t)call->nin * sizeof *own);
        own[1].data = (void *)(uintptr_t)call->prepared;
        kept.in = own;
        call = &kept;
    }
    if (!call->program) {
        call->op->reference(call);
        return;
    }
    soma__view block = {call->scratch, SOMA_F32, call->program->shape, call->out[0].count};
    soma__call product = *call;
    product.nin = call->epilogue_first;
    product.nout = 1;
    product.out = &block;
    product.program = NULL;
    call->op->reference(&product);
    soma__view in[SOMA__PROGRAM_OPERANDS] = {block};
    for (int i = 1; i < call->program->loads; i++)
        in[i] = call->in[call->epilogue_first + i - 1];
    soma__call epilogue = {.op = soma__op_find("fused"),
                           .nin = call->program->loads,
                           .nout = call->nout,
                           .in = in,
                           .out = call->out,
                           .program = call->program};
    epilogue.op->reference(&epilogue);
}

/* The prepared form of a product's second operand: a copy, so that a test can see which was read.
 */
static size_t copy_bytes(const soma__call *call)
{
    return (size_t)call->in[1].count * soma_dtype_size(call->in[1].dtype);
}
static void copy_operand(const soma__call *call, void *to)
{
    prepared_forms++;
    memcpy(to, call->in[1].data, copy_bytes(call));
}

static const soma__kernel plain_kernels[] = {
    {.op = "fused", .name = "plain", .in_place = true, .run = run_fused},
    {.op = "matmul",
     .name = "plain",
     .epilogue = true,
     .scratch = block_bytes,
     .run = run_product,
     .prepared = copy_bytes,
     .prepare = copy_operand},
};

static const soma__backend plain_backend = {"plain", "plain", plain_kernels, 2, NULL};

/* --- contexts --------------------------------------------------------------------------------- */

soma_context *reference_context(void)
{
    soma_context *context;
    ok(soma_context_create(&context, &(soma_context_options){.threads = 1, .isa = "reference"},
                           err));
    return context;
}

soma_context *plain_context(void)
{
    soma_context *context = reference_context();
    context->backend = &plain_backend;
    return context;
}

soma_context *fast_context(void)
{
    soma_context *context;
    ok(soma_context_create(&context, &(soma_context_options){.threads = 2}, err));
    return context;
}

/* --- tensors ---------------------------------------------------------------------------------- */

soma_var f32_variable(soma_graph *graph, const char *name, soma_tensor *tensor)
{
    return soma_variable(graph, name, tensor);
}

soma_tensor *numbers(soma_shape shape, int seed)
{
    soma_tensor *t;
    ok(soma_tensor_create(&t, SOMA_F32, shape, err));
    for (int64_t i = 0; i < soma_tensor_count(t); i++)
        soma_tensor_set(t, i, sin((double)(i * 7 + seed * 13 + 1)));
    return t;
}

soma_tensor *filled(soma_shape shape, double value)
{
    soma_tensor *t;
    ok(soma_tensor_create(&t, SOMA_F32, shape, err));
    soma_tensor_fill(t, value);
    return t;
}

void assert_same(soma_context *context, const soma_var *outputs, int count)
{
    soma_context *reference = reference_context();
    soma_tensor *a[16], *b[16];
    assert_true(count <= 16);
    ok(soma_eval_many(a, context, outputs, count, NULL, 0, err));
    ok(soma_eval_many(b, reference, outputs, count, NULL, 0, err));
    for (int i = 0; i < count; i++) {
        assert_int_equal(soma_tensor_dtype(a[i]), soma_tensor_dtype(b[i]));
        assert_true(soma_shape_equal(soma_tensor_shape(a[i]), soma_tensor_shape(b[i])));
        for (int64_t k = 0; k < soma_tensor_count(a[i]); k++) {
            double x = soma_tensor_get(a[i], k), y = soma_tensor_get(b[i], k);
            if (!(fabs(x - y) <= 1e-4 * (1 + fabs(y))) && !(isnan(x) && isnan(y)))
                fail_msg("output %d, value %d: %.9g, reference %.9g", i, (int)k, x, y);
        }
        soma_tensor_release(a[i]);
        soma_tensor_release(b[i]);
    }
    soma_context_destroy(reference);
}

int64_t steps_of(soma_context *context, const soma_var *outputs, int count)
{
    soma_plan *plan;
    soma_plan_info info;
    ok(soma_plan_create(&plan, context, outputs, count, NULL, 0, err));
    soma_plan_describe(plan, &info);
    soma_plan_release(plan);
    return info.steps;
}

void assert_values(const soma_tensor *tensor, const double *wanted, int count)
{
    assert_int_equal(soma_tensor_count(tensor), count);
    for (int i = 0; i < count; i++)
        if (fabs(soma_tensor_get(tensor, i) - wanted[i]) > 1e-5 * (1 + fabs(wanted[i])))
            fail_msg("value %d: %.9g, wanted %.9g", i, soma_tensor_get(tensor, i), wanted[i]);
}
