/* synthetic.c: random data in the shapes of a model, and a training step on it: speed does not
 * depend on the values. */
#include <string.h>

#include "base/rng.h"
#include "cli/cli.h"
#include "nn/nn.h"
#include "tensor/tensor.h"
#include "train/step.h"

/* Numbers in [0, top), whole for integers. */
static void fill(soma_tensor *tensor, double top, const char *stream)
{
    soma__rng_key key = {.seed = 1, .stream = soma__rng_stream(stream)};
    int64_t count = soma_tensor_count(tensor);
    bool whole = !soma_dtype_is_float(soma_tensor_dtype(tensor));
    for (int64_t i = 0; i < count; i++) {
        double value = (double)soma__rng_uniform(&key, (uint64_t)i) * top;
        soma_tensor_set(tensor, i, whole ? (double)(int64_t)value : value);
    }
}

/* The shape of what the model makes of one sample, found by running it on one. */
static soma_status output_shape(soma_shape *out, soma_model *model, soma_error *err)
{
    const soma_model_options *o = soma_model_get_options(model);
    soma_tensor *x, *y;
    SOMA__TRY(soma_tensor_create(&x, SOMA_F32, soma__shape_batched(&o->input, 1), err));
    soma_status status = soma_model_predict(model, x, &y, err);
    soma_tensor_release(x);
    SOMA__TRY(status);
    *out = *soma_tensor_shape(y);
    soma_tensor_release(y);
    return SOMA_OK;
}

static soma_status make_targets(soma_tensor **out, soma_model *model, int64_t count,
                                soma_error *err)
{
    bool classify = soma_model_get_options(model)->task == SOMA_TASK_CLASSIFY;
    const int64_t steps = soma__model_steps(model);
    soma_shape shape = steps ? SOMA_SHAPE(count, steps) : SOMA_SHAPE(count);
    if (!classify) {
        SOMA__TRY(output_shape(&shape, model, err));
        shape.dim[0] = count;
    }
    SOMA__TRY(soma_tensor_create(out, classify ? SOMA_I64 : SOMA_F32, shape, err));
    fill(*out, classify ? soma_model_class_count(model) : 1, "targets");
    return SOMA_OK;
}

soma_status cli_synthetic(soma_dataset **out, soma_model *model, int64_t count, soma_error *err)
{
    const soma_model_options *o = soma_model_get_options(model);
    soma_dtype dtype = o->input_dtype ? o->input_dtype : SOMA_F32;
    soma_tensor *x, *y = NULL;
    *out = NULL;
    const soma_shape sample = soma__model_sample(model);
    SOMA__TRY(soma_tensor_create(&x, dtype, soma__shape_batched(&sample, count), err));
    fill(x, dtype == SOMA_U8 ? 256 : 1, "inputs");
    soma_status status = make_targets(&y, model, count, err);
    if (status == SOMA_OK)
        status = soma_dataset_from_tensors(out, x, y, err);
    soma_tensor_release(x);
    soma_tensor_release(y);
    return status;
}

static soma_status make_optimizer(cli_step *s, soma_model *model,
                                  const soma_optimizer_options *options, soma_error *err)
{
    int count = soma_model_parameter_count(model), used = 0;
    const char **names = soma__calloc((size_t)count + 1, sizeof *names);
    soma_tensor **tensors = soma__calloc((size_t)count + 1, sizeof *tensors);
    soma_status status = SOMA_OK;
    if (!names || !tensors)
        status = soma__fail(err, SOMA_MEMORY, "no memory for the optimizer");
    for (int i = 0; i < count && status == SOMA_OK; i++) {
        const soma_parameter *p = soma_model_parameter(model, i);
        if (p->trainable) {
            names[used] = p->name;
            tensors[used++] = p->tensor;
        }
    }
    if (status == SOMA_OK)
        status = soma_optimizer_create(&s->optimizer, options, names, tensors, used, err);
    soma__free(names);
    soma__free(tensors);
    return status;
}

static soma_status prepare(cli_step *s, soma_model *model, int64_t batch,
                           const soma_optimizer_options *options, soma_error *err)
{
    SOMA__TRY(cli_synthetic(&s->dataset, model, batch, err));
    SOMA__TRY(make_optimizer(s, model, options, err));
    soma_tensor *x, *y; /* only to know how many bytes a batch has */
    const soma_shape *x_shape = soma_dataset_x_shape(s->dataset);
    const soma_shape *y_shape = soma_dataset_y_shape(s->dataset);
    SOMA__TRY(soma_tensor_create(&x, soma_dataset_x_dtype(s->dataset),
                                 soma__shape_batched(x_shape, batch), err));
    s->x = x;
    SOMA__TRY(soma_tensor_create(&y, soma_dataset_y_dtype(s->dataset),
                                 soma__shape_batched(y_shape, batch), err));
    s->y = y;
    for (int64_t i = 0; i < batch; i++) {
        char *to_x = (char *)soma_tensor_data(x) + soma_tensor_bytes(x) / (size_t)batch * (size_t)i;
        char *to_y = (char *)soma_tensor_data(y) + soma_tensor_bytes(y) / (size_t)batch * (size_t)i;
        SOMA__TRY(soma_dataset_read(s->dataset, &i, 1, to_x, to_y, err));
    }
    s->step = soma__calloc(1, sizeof *s->step);
    if (!s->step)
        return soma__fail(err, SOMA_MEMORY, "no memory for a training step");
    SOMA__TRY(soma__step_create(s->step, model, s->dataset, batch, s->optimizer, NULL, err));
    s->hyper = soma__calloc((size_t)soma_optimizer_hyper_count(s->optimizer), sizeof(float));
    if (!s->hyper)
        return soma__fail(err, SOMA_MEMORY, "no memory for a training step");
    soma_optimizer_hyper(s->optimizer, 0, 1, 1, s->hyper);
    s->key[0] = 1;
    return soma__step_feed(s->step, model, s->dataset, soma_tensor_const_data(x),
                           soma_tensor_const_data(y), s->hyper, s->key, err);
}

soma_status cli_step_make(cli_step *out, soma_model *model, int64_t batch,
                          const soma_optimizer_options *options, soma_error *err)
{
    *out = (cli_step){0};
    soma_status status = prepare(out, model, batch, options, err);
    if (status != SOMA_OK)
        cli_step_clear(out);
    return status;
}

void cli_step_clear(cli_step *step)
{
    if (step->step)
        soma__step_destroy(step->step);
    soma__free(step->step);
    soma__free(step->hyper);
    soma_optimizer_destroy(step->optimizer);
    soma_dataset_release(step->dataset);
    soma_tensor_release(step->x);
    soma_tensor_release(step->y);
    *step = (cli_step){0};
}
