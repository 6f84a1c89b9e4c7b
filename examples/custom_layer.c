/* A layer of one's own: Fourier features (Tancik et al. 2020) let a small network learn a function
 * that oscillates. The kind is registered, used from C and saved; a file that names it is loaded.
 */
#include <math.h>
#include <soma/soma.h>
#include <stdio.h>

typedef struct fourier_options {
    int64_t features; /* outputs: a sine and a cosine of each */
    double scale;     /* deviation of the frequencies; 0: 1 */
} fourier_options;

static const soma_field fourier_fields[] = {
    {.key = "features",
     .kind = SOMA_FIELD_INT,
     .offset = offsetof(fourier_options, features),
     .min = 1,
     .max = 1e6,
     .required = true,
     .doc = "number of frequencies"},
    {.key = "scale",
     .kind = SOMA_FIELD_FLOAT,
     .offset = offsetof(fourier_options, scale),
     .min = 0,
     .max = 1e6,
     .doc = "deviation of the frequencies [1]"},
};

/* [B,I] -> [B,2·features]: sin(x·fᵀ), cos(x·fᵀ) with frequencies f that are drawn, not trained. */
static soma_var fourier_build(soma_layer_scope *scope, const void *options, const soma_var *x,
                              int count)
{
    const fourier_options *o = options;
    soma_shape shape = soma_var_shape(x[0]);
    (void)count;
    if (shape.ndim != 2)
        return soma_layer_fault(scope, SOMA_SHAPE, "needs [B,I], got %d dimensions", shape.ndim);
    soma_layer_parameter frequencies = {
        .name = "frequencies",
        .shape = SOMA_SHAPE(o->features, shape.dim[1]),
        .init = {.kind = SOMA_INIT_NORMAL, .deviation = o->scale > 0 ? o->scale : 1},
        .frozen = true};
    soma_var angle =
        soma_linear(x[0], soma_layer_get_parameter(scope, &frequencies), (soma_var){0});
    soma_var both[2] = {soma_sin(angle), soma_cos(angle)};
    return soma_concat(both, 2, -1);
}

static const soma_layer_kind fourier = {.name = "fourier",
                                        .doc = "sines and cosines of fixed random frequencies",
                                        .size = sizeof(fourier_options),
                                        .fields = fourier_fields,
                                        .field_count = 2,
                                        .primary = "features",
                                        .build = fourier_build};

/* Samples of sin(20 x) on [-1, 1], made as they are read. */
static soma_status read_wave(void *user, int64_t index, void *x, void *y, soma_error *err)
{
    float at = (float)index / 256 - 1;
    (void)user, (void)err;
    *(float *)x = at;
    *(float *)y = sinf(20 * at);
    return SOMA_OK;
}

static soma_status run(soma_context *context, const soma_data *data, double *error, double *again,
                       soma_error *err)
{
    const char *path = "fourier.safetensors";
    soma_model *model = NULL, *loaded = NULL;
    soma_metrics metrics = {0};
    soma_model_options takes = {.input = SOMA_SHAPE(1), .task = SOMA_TASK_REGRESS, .seed = 1};
    soma_train_options how = {.epochs = 60, .optimizer = {.kind = SOMA_ADAM, .rate = 0.005}};
    soma_layer *layers = soma_layer_sequential(
        soma_layer_custom(context, "fourier", &(fourier_options){.features = 32, .scale = 15}),
        soma_layer_dense(32, .activation = SOMA_RELU), soma_layer_dense(1));

    soma_status status = soma_model_create(&model, context, layers, &takes, err);
    if (status == SOMA_OK)
        status = soma_train(model, data, &how, NULL, err);
    if (status == SOMA_OK)
        status = soma_evaluate(model, data->train, 0, &metrics, NULL, err);
    *error = metrics.loss;
    if (status == SOMA_OK)
        status = soma_model_save(model, path, err);
    if (status == SOMA_OK)
        status = soma_model_load(&loaded, context, path, err);
    if (status == SOMA_OK)
        status = soma_evaluate(loaded, data->train, 0, &metrics, NULL, err);
    *again = metrics.loss;
    remove(path);
    soma_model_destroy(model);
    soma_model_destroy(loaded);
    return status;
}

int main(void)
{
    soma_error err = {0};
    soma_context *context = NULL;
    soma_data data = {0};
    double error = 0, again = 0;
    const soma_dataset_source wave = {.count = 512,
                                      .x_dtype = SOMA_F32,
                                      .x_shape = SOMA_SHAPE(1),
                                      .y_dtype = SOMA_F32,
                                      .y_shape = SOMA_SHAPE(1),
                                      .read = read_wave};
    soma_status status = soma_context_create(&context, NULL, &err);
    if (status == SOMA_OK)
        status = soma_layer_register(context, &fourier, &err);
    if (status == SOMA_OK)
        status = soma_dataset_from_callback(&data.train, &wave, &err);
    if (status == SOMA_OK)
        status = run(context, &data, &error, &again, &err);
    soma_data_clear(&data);
    soma_context_destroy(context);
    if (status != SOMA_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("squared error of sin(20 x): %.5f, of the loaded model %.5f\n", error, again);
    return error < 0.01 && fabs(error - again) < 1e-6 ? 0 : 1;
}
