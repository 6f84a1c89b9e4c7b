/* init.c: initial values. Each draw is a function of the seed, the parameter's name and the
 * element, so adding a layer to a network does not change the weights of the others. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "nn/layer.h"

const char *const soma__init_names[] = {"default",
                                        "xavier_uniform",
                                        "xavier_normal",
                                        "he_uniform",
                                        "he_normal",
                                        "normal",
                                        "uniform",
                                        "zeros",
                                        "ones",
                                        "lecun_uniform",
                                        "lecun_normal",
                                        "truncated_normal",
                                        "orthogonal",
                                        "constant",
                                        "identity",
                                        "dirac",
                                        "variance_scaling",
                                        NULL};
/* What `normal: 0.02` sets. */
const char *const soma__init_shorts[] = {NULL,   NULL,    NULL,   NULL,   NULL,   "deviation",
                                         NULL,   NULL,    NULL,   NULL,   NULL,   "deviation",
                                         "gain", "value", "gain", "gain", "scale"};
static const char *const fan_names[] = {"default", "in", "out", "average", NULL};
static const char *const distribution_names[] = {"truncated_normal", "normal", "uniform", NULL};

typedef soma_init_options options;

#define NUMBER(member_, min_, max_, doc_)                                                          \
    {                                                                                              \
        .key = #member_, .kind = SOMA__FIELD_FLOAT, .offset = offsetof(options, member_),          \
        .min = min_, .max = max_, .doc = doc_                                                      \
    }
#define CHOICE(member_, key_, choices_, doc_)                                                      \
    {                                                                                              \
        .key = key_, .kind = SOMA__FIELD_ENUM, .offset = offsetof(options, member_),               \
        .choices = choices_, .doc = doc_                                                           \
    }

const soma__field soma__init_parts[] = {
    CHOICE(kind, "kind", soma__init_names, "scheme"),
    NUMBER(gain, 0, INFINITY, "factor of scaled schemes, orthogonal, identity and dirac"),
    CHOICE(gain_of, "gain_of", soma__activation_names, "the gain that suits this activation"),
    CHOICE(fan, "fan", fan_names, "what the variance is divided by"),
    NUMBER(mean, 0, 0, "of normal, truncated_normal"),
    NUMBER(deviation, 0, INFINITY, "of normal, truncated_normal [0.05]"),
    NUMBER(low, 0, 0, "uniform: least value; truncated_normal: cut"),
    NUMBER(high, 0, 0, "uniform: bound; truncated_normal: cut"),
    NUMBER(value, 0, 0, "of constant"),
    NUMBER(scale, 0, INFINITY, "of variance_scaling [1]"),
    CHOICE(distribution, "distribution", distribution_names, "of variance_scaling"),
};
_Static_assert(sizeof soma__init_parts / sizeof soma__init_parts[0] == SOMA__INIT_PARTS,
               "layer.h has the number of parts");
_Static_assert(sizeof soma__init_shorts / sizeof soma__init_shorts[0] ==
                   SOMA_INIT_VARIANCE_SCALING + 1,
               "one entry for each scheme");

/* Values of the schemes that take no fan. */
#define PLAIN_WIDTH 0.05
/* The deviation of a standard normal that is cut at ±2. */
#define CUT_DEVIATION 0.87962566103423978

double soma_init_gain(soma_activation activation)
{
    if (activation == SOMA_TANH)
        return 5.0 / 3;
    if (activation == SOMA_LEAKY_RELU)
        return sqrt(2 / (1 + 0.01 * 0.01));
    return soma__activation_relu_like(activation) ? sqrt(2) : 1;
}

bool soma_parameter_is_constant(const soma_parameter *parameter)
{
    const soma_shape *shape = soma_tensor_shape(parameter->tensor);
    int64_t count = soma_tensor_count(parameter->tensor);
    const float *value = soma_tensor_const_data(parameter->tensor);

    if (parameter->buffer || shape->ndim < 2 || shape->dim[0] < 2 || count < 1)
        return false;
    for (int64_t i = 1; i < count; i++)
        if (value[i] < value[0] || value[i] > value[0])
            return false;
    return true;
}

/* --- draws --------------------------------------------------------------------------------------
 */

/* The tensor that is being filled. */
typedef struct filler {
    float *out;
    int64_t count;
    const soma_shape *shape;
    soma__rng_key key;
} filler;

static void fill_uniform(const filler *f, double low, double high)
{
    soma__rng_uniforms(&f->key, 0, f->count, f->out);
    for (int64_t i = 0; i < f->count; i++)
        f->out[i] = (float)(low + (double)f->out[i] * (high - low));
}

static void fill_centred(const filler *f, double bound)
{
    soma__rng_uniforms(&f->key, 0, f->count, f->out);
    for (int64_t i = 0; i < f->count; i++)
        f->out[i] = (float)((2 * (double)f->out[i] - 1) * bound);
}

static void fill_normal(const filler *f, double mean, double deviation)
{
    for (int64_t i = 0; i < f->count; i++)
        f->out[i] = (float)(mean + soma__rng_normal(&f->key, (uint64_t)i) * deviation);
}

/* Draws again what lies outside; try t of element i has the index i + t·2^40. */
static void fill_cut(const filler *f, double mean, double deviation, double low, double high)
{
    for (int64_t i = 0; i < f->count; i++) {
        double value;
        uint64_t index = (uint64_t)i;
        do {
            value = mean + deviation * soma__rng_normal(&f->key, index);
            index += (uint64_t)1 << 40;
        } while (!(value >= low && value <= high));
        f->out[i] = (float)value;
    }
}

static soma_status fill_truncated(const filler *f, const options *o, soma_error *err)
{
    double deviation = o->deviation > 0 ? o->deviation : PLAIN_WIDTH;
    bool given = o->low < o->high;
    double low = given ? o->low : o->mean - 2 * deviation;
    double high = given ? o->high : o->mean + 2 * deviation;
    /* The chance to hit. Where it is small, a constant was probably meant. */
    double chance = 0.5 * (erf((high - o->mean) / (deviation * sqrt(2))) -
                           erf((low - o->mean) / (deviation * sqrt(2))));
    if (o->low > o->high || !(chance >= 0.01))
        return soma__fail(
            err, SOMA_INVALID,
            "truncated_normal: [%g, %g] holds less than 1 %% of a normal distribution "
            "of mean %g and deviation %g",
            o->low, o->high, o->mean, deviation);
    fill_cut(f, o->mean, deviation, low, high);
    return SOMA_OK;
}

/* --- matrices -----------------------------------------------------------------------------------
 */

/* Reflects the tail [k, n) of column x: x -= v (v·x) · 2/(v·v), with v given from k on. */
static void reflect(const double *v, double factor, double *x, int64_t k, int64_t n)
{
    double dot = 0;
    for (int64_t i = k; i < n; i++)
        dot += v[i] * x[i];
    dot *= factor;
    for (int64_t i = k; i < n; i++)
        x[i] -= dot * v[i];
}

/* Turns `m` columns of length n >= m into the Q of their QR decomposition with positive diagonal
 * of R, which is uniform over all such Q when the columns were normal (Mezzadri 2007). `q` has room
 * for as many columns, `factor` and `sign` for m numbers. */
static void orthonormal(double *a, double *q, double *factor, double *sign, int64_t n, int64_t m)
{
    for (int64_t k = 0; k < m; k++) {
        double *v = a + k * n, square = 0;
        for (int64_t i = k; i < n; i++)
            square += v[i] * v[i];
        double norm = sqrt(square), first = v[k];
        /* The reflector takes the column to -norm on the side that loses no digits. */
        v[k] = first < 0 ? first - norm : first + norm;
        double length = square - first * first + v[k] * v[k];
        factor[k] = length > 0 ? 2 / length : 0;
        sign[k] = first < 0 ? 1 : -1;
        for (int64_t j = k + 1; j < m; j++)
            reflect(v, factor[k], a + j * n, k, n);
    }
    for (int64_t j = 0; j < m; j++) {
        double *x = q + j * n;
        memset(x, 0, (size_t)n * sizeof *x);
        x[j] = sign[j];
        for (int64_t k = j; k >= 0; k--)
            reflect(a + k * n, factor[k], x, k, n);
    }
}

static soma_status fill_orthogonal(const filler *f, double gain, soma_error *err)
{
    if (f->shape->ndim < 2)
        return soma__fail(err, SOMA_SHAPE, "orthogonal needs at least two dimensions");
    int64_t rows = f->shape->dim[0], columns = rows ? f->count / rows : 0;
    int64_t n = rows > columns ? rows : columns, m = rows > columns ? columns : rows;
    size_t bytes, cells = (size_t)f->count;

    if (f->count == 0)
        return SOMA_OK;
    if (cells > (SIZE_MAX - 2 * (size_t)m * sizeof(double)) / (2 * sizeof(double)))
        return soma__fail(err, SOMA_MEMORY, "no memory for an orthogonal matrix");
    bytes = 2 * (cells + (size_t)m) * sizeof(double);
    double *work = soma__malloc(bytes);
    if (!work)
        return soma__fail(err, SOMA_MEMORY, "no memory for an orthogonal matrix");
    double *q = work + cells, *factor = q + cells, *sign = factor + m;
    for (size_t i = 0; i < cells; i++)
        work[i] = soma__rng_normal(&f->key, i);
    orthonormal(work, q, factor, sign, n, m);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            f->out[i * columns + j] =
                (float)(gain * (rows > columns ? q[j * n + i] : q[i * n + j]));
    soma__free(work);
    return SOMA_OK;
}

static soma_status fill_identity(const filler *f, double gain, soma_error *err)
{
    if (f->shape->ndim != 2)
        return soma__fail(err, SOMA_SHAPE, "identity is for matrices, this has %d dimensions",
                          f->shape->ndim);
    for (int64_t i = 0; i < f->shape->dim[0] && i < f->shape->dim[1]; i++)
        f->out[i * f->shape->dim[1] + i] = (float)gain;
    return SOMA_OK;
}

/* [O, window…, I]: in each group, output channel c takes the middle of input channel c. */
static soma_status fill_dirac(const filler *f, double gain, int64_t groups, soma_error *err)
{
    int64_t inputs = f->shape->dim[f->shape->ndim > 0 ? f->shape->ndim - 1 : 0], window = 1;
    int64_t middle = 0, each = f->shape->dim[0] / groups;

    if (f->shape->ndim < 3)
        return soma__fail(err, SOMA_SHAPE, "dirac is for convolutions, this has %d dimensions",
                          f->shape->ndim);
    for (int i = 1; i < f->shape->ndim - 1; i++) {
        middle = middle * f->shape->dim[i] + f->shape->dim[i] / 2;
        window *= f->shape->dim[i];
    }
    for (int64_t g = 0; g < groups; g++)
        for (int64_t c = 0; c < each && c < inputs; c++)
            f->out[((g * each + c) * window + middle) * inputs + c] = (float)gain;
    return SOMA_OK;
}

/* --- the schemes --------------------------------------------------------------------------------
 */

/* The deviation of a scheme that is scaled by fans. */
static double scaled(const options *o, const soma__param *param, soma_fan fan, double gain)
{
    double in = param->fan_in, out = param->fan_out;
    if (o->fan != SOMA_FAN_DEFAULT)
        fan = o->fan;
    double divisor = fan == SOMA_FAN_IN ? in : fan == SOMA_FAN_OUT ? out : (in + out) / 2;
    return gain / sqrt(divisor > 0 ? divisor : 1);
}

static void fill_variance(const filler *f, const options *o, double deviation)
{
    switch (o->distribution) {
    case SOMA_DISTRIBUTION_TRUNCATED_NORMAL: {
        double wide = deviation / CUT_DEVIATION;
        fill_cut(f, 0, wide, -2 * wide, 2 * wide);
        break;
    }
    case SOMA_DISTRIBUTION_NORMAL:
        fill_normal(f, 0, deviation);
        break;
    case SOMA_DISTRIBUTION_UNIFORM:
        fill_centred(f, sqrt(3) * deviation);
        break;
    }
}

soma_status soma__init_fill(soma_tensor *tensor, const soma_init_options *o,
                            const soma__param *param, uint64_t seed, const char *name,
                            soma_error *err)
{
    const filler f = {.out = soma__tensor_write(tensor),
                      .count = soma_tensor_count(tensor),
                      .shape = soma_tensor_shape(tensor),
                      .key = {.seed = seed, .stream = soma__rng_stream(name)}};
    bool he = o->kind == SOMA_INIT_HE_UNIFORM || o->kind == SOMA_INIT_HE_NORMAL;
    double gain = o->gain > 0                 ? o->gain
                  : o->gain_of != SOMA_LINEAR ? soma_init_gain(o->gain_of)
                  : he                        ? sqrt(2)
                                              : 1;
    double deviation = o->deviation > 0 ? o->deviation : PLAIN_WIDTH;

    /* A uniform on [-a, a) has the variance a²/3. */
    switch (o->kind) {
    case SOMA_INIT_DEFAULT:
    case SOMA_INIT_XAVIER_UNIFORM:
        fill_centred(&f, sqrt(3) * scaled(o, param, SOMA_FAN_AVERAGE, gain));
        break;
    case SOMA_INIT_XAVIER_NORMAL:
        fill_normal(&f, 0, scaled(o, param, SOMA_FAN_AVERAGE, gain));
        break;
    case SOMA_INIT_HE_UNIFORM:
    case SOMA_INIT_LECUN_UNIFORM:
        fill_centred(&f, sqrt(3) * scaled(o, param, SOMA_FAN_IN, gain));
        break;
    case SOMA_INIT_HE_NORMAL:
    case SOMA_INIT_LECUN_NORMAL:
        fill_normal(&f, 0, scaled(o, param, SOMA_FAN_IN, gain));
        break;
    case SOMA_INIT_NORMAL:
        fill_normal(&f, o->mean, deviation);
        break;
    case SOMA_INIT_UNIFORM:
        if (o->low > o->high)
            return soma__fail(err, SOMA_INVALID, "uniform: low %g is above high %g", o->low,
                              o->high);
        if (o->low < o->high)
            fill_uniform(&f, o->low, o->high);
        else
            fill_centred(&f, PLAIN_WIDTH);
        break;
    case SOMA_INIT_ZEROS:
        break;
    case SOMA_INIT_ONES:
        soma_tensor_fill(tensor, 1);
        break;
    case SOMA_INIT_TRUNCATED_NORMAL:
        return fill_truncated(&f, o, err);
    case SOMA_INIT_ORTHOGONAL:
        return fill_orthogonal(&f, gain, err);
    case SOMA_INIT_CONSTANT:
        soma_tensor_fill(tensor, o->value);
        break;
    case SOMA_INIT_IDENTITY:
        return fill_identity(&f, gain, err);
    case SOMA_INIT_DIRAC:
        return fill_dirac(&f, gain, param->groups ? param->groups : 1, err);
    case SOMA_INIT_VARIANCE_SCALING:
        fill_variance(&f, o, scaled(o, param, SOMA_FAN_IN, o->scale > 0 ? sqrt(o->scale) : 1));
        break;
    }
    return SOMA_OK;
}
