/* Learns handwritten digits, measures itself on unseen ones, saves, loads and reads one. */
#include <soma/soma.h>
#include <stdio.h>

int main(void)
{
    soma_error err = {0};
    soma_context *context;
    soma_data data;
    soma_model *model, *loaded;
    soma_metrics test;
    soma_tensor *image, *scores;
    int64_t label, best = 0;
    soma_model_options takes = {.input = SOMA_SHAPE(8, 8, 1), .input_dtype = SOMA_U8, .seed = 1};
    soma_train_options how = {.epochs = 20, .optimizer = {.kind = SOMA_ADAM}};
    soma_layer *layers =
        soma_layer_sequential(soma_layer_flatten(), soma_layer_layer_norm(),
                              soma_layer_dense(128, .activation = SOMA_RELU), soma_layer_dense(10));

    if (soma_context_create(&context, NULL, &err) || soma_data_open(&data, "digits", NULL, &err) ||
        soma_model_create(&model, context, layers, &takes, &err) ||
        soma_train(model, &data, &how, NULL, &err) ||
        soma_evaluate(model, data.test, 0, &test, NULL, &err) ||
        soma_model_save(model, "digits.safetensors", &err) ||
        soma_model_load(&loaded, context, "digits.safetensors", &err) ||
        soma_tensor_create(&image, SOMA_U8, SOMA_SHAPE(1, 8, 8, 1), &err) ||
        soma_dataset_read(data.test, (int64_t[]){0}, 1, soma_tensor_data(image), &label, &err) ||
        soma_model_predict(loaded, image, &scores, &err))
        return fprintf(stderr, "%s\n", err.message), 1;
    for (int64_t i = 1; i < 10; i++)
        best = soma_tensor_get(scores, i) > soma_tensor_get(scores, best) ? i : best;
    printf("accuracy on %d unseen digits: %.2f %%\n", (int)test.samples, 100 * test.accuracy);
    printf("a %d was read as a %s\n", (int)label, soma_model_class(loaded, (int)best));

    soma_tensor_release(image);
    soma_tensor_release(scores);
    soma_model_destroy(loaded);
    soma_model_destroy(model);
    soma_data_clear(&data);
    soma_context_destroy(context);
    return test.accuracy > 0.95 ? 0 : 1;
}
