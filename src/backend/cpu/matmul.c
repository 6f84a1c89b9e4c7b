/* matmul.c: the kernel of op matmul: reads shapes and strides off the call for product.c. */
#include "backend/cpu/gemm.h"
#include "ops/attrs.h"

const char *soma__refuses_matmul(const soma__call *call)
{
    if (call->in[0].dtype != SOMA_F32 || call->in[1].dtype != SOMA_F32)
        return "operands are not f32";
    if (!call->program && call->out[0].dtype != SOMA_F32)
        return "the result is not f32";
    return NULL;
}

void soma__matmul_read(const soma__call *call, soma__product *p, soma__product_data *data)
{
    const soma__matmul_attrs *attrs = call->attrs;
    const soma_shape *a = &call->in[0].shape, *b = &call->in[1].shape;
    const bool ta = attrs->transpose_a != 0, tb = attrs->transpose_b != 0;
    *p = (soma__product){
        .m = a->dim[a->ndim - (ta ? 1 : 2)],
        .k = a->dim[a->ndim - (ta ? 2 : 1)],
        .n = b->dim[b->ndim - (tb ? 2 : 1)],
        .batch = 1,
        .epilogue = call->program != NULL,
    };
    const int64_t matrix_a = p->m * p->k, matrix_b = p->k * p->n;
    soma_shape batch_a = *a, batch_b = *b, batch;
    batch_a.ndim -= 2;
    batch_b.ndim -= 2;
    int64_t stack_b = 1;
    for (int i = 0; i < batch_b.ndim; i++)
        stack_b *= b->dim[i];
    soma__product_data d = {.a = call->in[0].data,
                            .b = call->in[1].data,
                            .prepared = call->prepared,
                            .c = call->program ? NULL : call->out[0].data};
    if (!ta && stack_b == 1) {
        /* One matrix b under a stack of a: the rows of the stack are the rows of one product. */
        for (int i = 0; i < batch_a.ndim; i++)
            p->m *= a->dim[i];
    } else {
        soma__shape_broadcast(&batch_a, &batch_b, &batch); /* the shape rule has checked it */
        d.batch_dims = batch.ndim;
        soma__broadcast_strides(&batch_a, &batch, d.a_step);
        soma__broadcast_strides(&batch_b, &batch, d.b_step);
        for (int i = 0; i < batch.ndim; i++) {
            p->batch *= batch.dim[i];
            d.batch_dim[i] = batch.dim[i];
            d.a_step[i] *= matrix_a;
            d.b_step[i] *= matrix_b;
        }
    }
    p->a_row = ta ? 1 : p->k;
    p->a_col = ta ? p->m : 1;
    p->b_row = tb ? 1 : p->n;
    p->b_col = tb ? p->k : 1;
    if (data)
        *data = d;
}

size_t soma__scratch_matmul(const soma__call *call, const soma__isa_table *isa, int threads)
{
    soma__product p;
    soma__matmul_read(call, &p, NULL);
    return soma__product_scratch(&p, isa, threads);
}

void soma__run_matmul(const soma__call *call, const soma__isa_table *isa)
{
    soma__product p;
    soma__product_data data;
    soma__matmul_read(call, &p, &data);
    soma__product_run(&p, &data, call, isa);
}

size_t soma__prepared_matmul(const soma__call *call, const soma__isa_table *isa)
{
    soma__product p;
    soma__matmul_read(call, &p, NULL);
    return soma__product_prepared(&p, isa);
}

void soma__prepare_matmul(const soma__call *call, const soma__isa_table *isa, void *to)
{
    soma__product p;
    soma__matmul_read(call, &p, NULL);
    soma__product_prepare(&p, call->in[1].data, isa, call->pool, to);
}
