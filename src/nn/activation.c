/* activation.c: activation functions, as layers of their own and as the `activation` option of
 * others.
 */
#include <stddef.h>

#include "nn/layer.h"

/* In the order of soma_activation. */
const char *const soma__activation_names[] = {
    "linear",  "relu",       "tanh",       "sigmoid",      "gelu",       "gelu_tanh",
    "silu",    "leaky_relu", "elu",        "softplus",     "softmax",    "log_softmax",
    "relu6",   "selu",       "celu",       "hard_sigmoid", "hard_swish", "hard_tanh",
    "mish",    "softsign",   "logsigmoid", "softshrink",   "hardshrink", "tanhshrink",
    "softmin", NULL};
_Static_assert(sizeof soma__activation_names / sizeof soma__activation_names[0] == SOMA_SOFTMIN + 2,
               "one name for each activation");

bool soma__activation_relu_like(soma_activation activation)
{
    switch (activation) {
    case SOMA_RELU:
    case SOMA_GELU:
    case SOMA_GELU_TANH:
    case SOMA_SILU:
    case SOMA_LEAKY_RELU:
    case SOMA_ELU:
    case SOMA_SOFTPLUS:
    case SOMA_RELU6:
    case SOMA_CELU:
    case SOMA_HARD_SWISH:
    case SOMA_MISH:
        return true;
    case SOMA_LINEAR:
    case SOMA_TANH:
    case SOMA_SIGMOID:
    case SOMA_SOFTMAX:
    case SOMA_LOG_SOFTMAX:
    case SOMA_SELU: /* keeps the variance by itself */
    case SOMA_HARD_SIGMOID:
    case SOMA_HARD_TANH:
    case SOMA_SOFTSIGN:
    case SOMA_LOGSIGMOID:
    case SOMA_SOFTSHRINK:
    case SOMA_HARDSHRINK:
    case SOMA_TANHSHRINK:
    case SOMA_SOFTMIN:
        break;
    }
    return false;
}

soma_var soma__activate(soma_activation activation, soma_var x)
{
    switch (activation) {
    case SOMA_LINEAR:
        return x;
    case SOMA_RELU:
        return soma_relu(x);
    case SOMA_TANH:
        return soma_tanh(x);
    case SOMA_SIGMOID:
        return soma_sigmoid(x);
    case SOMA_GELU:
        return soma_gelu(x);
    case SOMA_GELU_TANH:
        return soma_gelu_tanh(x);
    case SOMA_SILU:
        return soma_silu(x);
    case SOMA_LEAKY_RELU:
        return soma_leaky_relu(x, 0.01);
    case SOMA_ELU:
        return soma_elu(x, 1);
    case SOMA_SOFTPLUS:
        return soma_softplus(x);
    case SOMA_SOFTMAX:
        return soma_softmax(x, -1);
    case SOMA_LOG_SOFTMAX:
        return soma_log_softmax(x, -1);
    case SOMA_RELU6:
        return soma_relu6(x);
    case SOMA_SELU:
        return soma_selu(x);
    case SOMA_CELU:
        return soma_celu(x, 1);
    case SOMA_HARD_SIGMOID:
        return soma_hard_sigmoid(x);
    case SOMA_HARD_SWISH:
        return soma_hard_swish(x);
    case SOMA_HARD_TANH:
        return soma_hard_tanh(x, -1, 1);
    case SOMA_MISH:
        return soma_mish(x);
    case SOMA_SOFTSIGN:
        return soma_softsign(x);
    case SOMA_LOGSIGMOID:
        return soma_logsigmoid(x);
    case SOMA_SOFTSHRINK:
        return soma_softshrink(x, 0.5);
    case SOMA_HARDSHRINK:
        return soma_hardshrink(x, 0.5);
    case SOMA_TANHSHRINK:
        return soma_tanhshrink(x);
    case SOMA_SOFTMIN:
        return soma_softmin(x, -1);
    }
    soma_graph_fail(x.graph, SOMA_INVALID, "there is no activation number %d", (int)activation);
    return (soma_var){x.graph, -1};
}

typedef struct activation_options {
    soma_activation function;
    const char *name;
} activation_options;

static const soma__field fields[] = {
    {.key = "function",
     .kind = SOMA__FIELD_ENUM,
     .offset = offsetof(activation_options, function),
     .choices = soma__activation_names,
     .doc = "which function; each is also a layer name of its own: \"- relu\""},
    SOMA__FIELD_NAME(activation_options),
};

static soma_var build(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const activation_options *o = (const activation_options *)layer->options;
    (void)b;
    return soma__activate(o->function, x);
}

const soma__layer_type soma__layer_activation = {
    .name = "activation",
    .prefix = "activation",
    .doc = "an activation function",
    .shapes = "[B…] -> [B…]",
    .parameters = "",
    .size = sizeof(activation_options),
    .fields = fields,
    .field_count = SOMA__FIELD_COUNT(fields),
    .primary = "function",
    .alias = "function",
    .steps = true,
    .build = build,
};

soma_layer *soma_layer_activation(soma_activation activation)
{
    return soma__layer_new(&soma__layer_activation, &(activation_options){.function = activation},
                           NULL, 0);
}
