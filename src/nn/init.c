/* init.c: initial values. Each draw is a function of the seed, the parameter's name and the
 * element, so adding a layer to a network does not change the weights of the others. */
#include <math.h>

#include "base/rng.h"
#include "nn/layer.h"

const char *const soma__init_names[] = {
    "default", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal",
    "normal",  "uniform",        "zeros",         "ones",       NULL};

/* Values of the two schemes that take no fan. */
#define PLAIN_WIDTH 0.05

static void fill_uniform(float *out, int64_t count, const soma__rng_key *key, double bound)
{
    soma__rng_uniforms(key, 0, count, out);
    for (int64_t i = 0; i < count; i++)
        out[i] = (float)((2 * (double)out[i] - 1) * bound);
}

static void fill_normal(float *out, int64_t count, const soma__rng_key *key, double deviation)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = (float)(soma__rng_normal(key, (uint64_t)i) * deviation);
}

void soma__init_fill(soma_tensor *tensor, soma_init init, double fan_in, double fan_out,
                     uint64_t seed, const char *name)
{
    soma__rng_key key = {.seed = seed, .stream = soma__rng_stream(name)};
    float *out = soma_tensor_f32(tensor);
    int64_t count = soma_tensor_count(tensor);
    double in = fan_in > 0 ? fan_in : 1, both = fan_in + fan_out > 0 ? fan_in + fan_out : 1;

    /* A uniform on [-a, a) has the variance a²/3, hence the factor 3 between the pairs. */
    switch (init) {
    case SOMA_INIT_DEFAULT:
    case SOMA_INIT_XAVIER_UNIFORM:
        fill_uniform(out, count, &key, sqrt(6 / both));
        break;
    case SOMA_INIT_XAVIER_NORMAL:
        fill_normal(out, count, &key, sqrt(2 / both));
        break;
    case SOMA_INIT_HE_UNIFORM:
        fill_uniform(out, count, &key, sqrt(6 / in));
        break;
    case SOMA_INIT_HE_NORMAL:
        fill_normal(out, count, &key, sqrt(2 / in));
        break;
    case SOMA_INIT_NORMAL:
        fill_normal(out, count, &key, PLAIN_WIDTH);
        break;
    case SOMA_INIT_UNIFORM:
        fill_uniform(out, count, &key, PLAIN_WIDTH);
        break;
    case SOMA_INIT_ZEROS:
        soma_tensor_fill(tensor, 0);
        break;
    case SOMA_INIT_ONES:
        soma_tensor_fill(tensor, 1);
        break;
    }
}
