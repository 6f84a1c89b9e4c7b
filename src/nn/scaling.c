/* scaling.c: what a model keeps of its data: the scaling of inputs and of targets, and text for the
 * model file. */
#include <string.h>

#include "base/mem.h"
#include "nn/nn.h"

/* --- scaling ------------------------------------------------------------------------------------
 */

/* An f32 tensor of its own, whose shape broadcasts to `sample`. */
static soma_status scaling_tensor(soma_tensor **out, const soma_shape *sample, const char *what,
                                  const soma_tensor *tensor, soma_error *err)
{
    char left[SOMA_SHAPE_TEXT_SIZE], right[SOMA_SHAPE_TEXT_SIZE];
    const soma_shape *shape = soma_tensor_shape(tensor);
    soma_shape both;

    if (!soma__shape_broadcast(shape, sample, &both) || !soma_shape_equal(&both, sample))
        return soma__fail(err, SOMA_SHAPE, "the %s %s does not broadcast to a sample of %s", what,
                          soma_shape_text(shape, left, sizeof left),
                          soma_shape_text(sample, right, sizeof right));
    return soma_tensor_cast(out, tensor, SOMA_F32, err);
}

/* Puts a tensor in the place of a buffer, which is made if it is not there. */
static soma_status set_buffer(soma_model *model, int *index, const char *name, soma_tensor *tensor,
                              soma_error *err)
{
    if (*index < 0) {
        SOMA__TRY(soma__model_add(model, name, tensor, false, true, -1, err));
        *index = (int)model->parameter_count - 1;
        return SOMA_OK;
    }
    soma_parameter *parameter = &model->parameters[*index]->public;
    soma_tensor_release(parameter->tensor);
    parameter->tensor = soma_tensor_retain(tensor);
    return SOMA_OK;
}

/* A pair of buffers, both or none. */
typedef struct pair {
    const char *shift_name, *scale_name;
    int *shift, *scale;
} pair;

static soma_status set_pair(soma_model *model, const pair *p, const soma_shape *sample,
                            const soma_tensor *shift, const soma_tensor *scale, soma_error *err)
{
    soma_tensor *a = NULL, *b = NULL;
    int shift_index = *p->shift, scale_index = *p->scale;

    if (!shift || !scale)
        return soma__fail(err, SOMA_INVALID, "scaling needs both a shift and a scale");
    soma_status status = scaling_tensor(&a, sample, "shift", shift, err);
    if (status == SOMA_OK)
        status = scaling_tensor(&b, sample, "scale", scale, err);
    if (status == SOMA_OK)
        status = set_buffer(model, &shift_index, p->shift_name, a, err);
    if (status == SOMA_OK) {
        status = set_buffer(model, &scale_index, p->scale_name, b, err);
        if (status == SOMA_OK) {
            *p->shift = shift_index;
            *p->scale = scale_index;
        } else {
            /* Only a first scaling can fail here: the shift was just appended and goes again. */
            soma_tensor_release(model->parameters[--model->parameter_count]->public.tensor);
        }
    }
    soma_tensor_release(a);
    soma_tensor_release(b);
    soma__model_forget_sessions(model);
    return status;
}

soma_status soma_model_set_scaling(soma_model *model, const soma_tensor *shift,
                                   const soma_tensor *scale, soma_error *err)
{
    const pair p = {"input.shift", "input.scale", &model->shift, &model->scale};
    return set_pair(model, &p, &model->options.input, shift, scale, err);
}

soma_status soma_model_set_target_scaling(soma_model *model, const soma_tensor *shift,
                                          const soma_tensor *scale, soma_error *err)
{
    const pair p = {"target.shift", "target.scale", &model->target_shift, &model->target_scale};
    if (model->options.task != SOMA_TASK_REGRESS)
        return soma__fail(err, SOMA_STATE, "only the targets of a regression are scaled");
    for (int64_t i = 0; scale && i < soma_tensor_count(scale); i++)
        if (!(soma_tensor_get(scale, i) > 0))
            return soma__fail(err, SOMA_INVALID, "the scale of targets must be above 0");
    return set_pair(model, &p, &model->outputs[0].shape, shift, scale, err);
}

soma_var soma__model_scale_target(soma_model *model, soma_var y)
{
    if (model->target_shift < 0)
        return y;
    return soma_mul(soma_sub(y, soma_model_variable(model, y.graph, model->target_shift)),
                    soma_model_variable(model, y.graph, model->target_scale));
}

soma_var soma__model_unscale_target(soma_model *model, soma_var out)
{
    if (model->target_shift < 0)
        return out;
    return soma_add(soma_div(out, soma_model_variable(model, out.graph, model->target_scale)),
                    soma_model_variable(model, out.graph, model->target_shift));
}

/* --- text ---------------------------------------------------------------------------------------
 */

static size_t find_meta(const soma_model *model, const char *key)
{
    size_t i = 0;
    while (i < model->meta_count && strcmp(model->meta[i], key) != 0)
        i += 2;
    return i;
}

const char *soma_model_meta(const soma_model *model, const char *key)
{
    size_t i = find_meta(model, key);
    return i < model->meta_count ? model->meta[i + 1] : NULL;
}

static soma_status append(soma_model *model, char *text, soma_error *err)
{
    void *array = model->meta;
    if (!text || !soma__grow(&array, &model->meta_capacity, model->meta_count, sizeof(char *)))
        return soma__fail(err, SOMA_MEMORY, "out of memory for the model's metadata");
    model->meta = array;
    model->meta[model->meta_count++] = text;
    return SOMA_OK;
}

soma_status soma_model_set_meta(soma_model *model, const char *key, const char *text,
                                soma_error *err)
{
    if (!*key || strncmp(key, "soma.", 5) == 0)
        return soma__fail(err, SOMA_INVALID, "'%s' cannot be a key of a model's metadata", key);
    char *copy = text ? soma__strdup(text) : NULL, *name = NULL;
    size_t i = find_meta(model, key);
    if (text && !copy)
        return soma__fail(err, SOMA_MEMORY, "out of memory for the model's metadata");
    if (i < model->meta_count && text) {
        soma__free(model->meta[i + 1]);
        model->meta[i + 1] = copy;
    } else if (i < model->meta_count) {
        soma__free(model->meta[i]);
        soma__free(model->meta[i + 1]);
        model->meta_count -= 2;
        memmove(model->meta + i, model->meta + i + 2, (model->meta_count - i) * sizeof(char *));
    } else if (text) {
        name = soma__strdup(key);
        soma_status status = append(model, name, err);
        if (status != SOMA_OK) {
            soma__free(name);
            soma__free(copy);
            return status;
        }
        status = append(model, copy, err);
        if (status != SOMA_OK) {
            soma__free(model->meta[--model->meta_count]);
            soma__free(copy);
            return status;
        }
    }
    return SOMA_OK;
}
