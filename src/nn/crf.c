/* crf.c: the scores of a linear-chain conditional random field, whose loss and best tags are ops
 * (soma/sequence.h). The names of the parameters are pytorch-crf's. */
#include <stddef.h>

#include "nn/layer.h"
#include "soma/sequence.h"

typedef struct crf_options {
    bool frozen;
    const char *name;
} crf_options;

static const soma__field fields[] = {
    {.key = "frozen",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(crf_options, frozen),
     .doc = "do not train the parameters"},
    SOMA__FIELD_NAME(crf_options),
};

static soma_var param(soma__layer_build *b, const soma_layer *layer, const char *name,
                      soma_shape shape)
{
    const crf_options *o = (const crf_options *)layer->options;
    const soma_init_options small = {.kind = SOMA_INIT_UNIFORM, .low = -0.1, .high = 0.1};
    return soma__layer_param(
        b, layer, &(soma__param){.name = name, .shape = shape, .how = &small, .frozen = o->frozen});
}

static soma_var merge(soma__layer_build *b, const soma_layer *layer, const soma_var *x, int count)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    const soma_shape shape = soma_var_shape(x[0]);
    if (shape.ndim != 3 || shape.dim[1] < 1 || shape.dim[2] < 1)
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "needs a score of each tag at each step, [B,T,K], got %s",
                                soma_shape_text(&shape, text, sizeof text));
    if (count > 2 || (count == 2 && (soma_var_shape(x[1]).ndim != 1 ||
                                     soma_var_shape(x[1]).dim[0] != shape.dim[0])))
        return soma__layer_fail(b, layer, SOMA_SHAPE, "takes [B,T,K] and lengths [%lld] alone",
                                (long long)shape.dim[0]);
    const int64_t tags = shape.dim[2];
    soma_var transitions = param(b, layer, "transitions", SOMA_SHAPE(tags, tags));
    soma_var first = param(b, layer, "start_transitions", SOMA_SHAPE(tags));
    soma_var last = param(b, layer, "end_transitions", SOMA_SHAPE(tags));
    soma_var scores = soma_crf_scores(x[0], transitions, .first = first, .last = last);
    b->chain = soma_chain(scores, count == 2 ? soma_cast(x[1], SOMA_I64) : (soma_var){0});
    return b->chain;
}

static soma_var build(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    return merge(b, layer, &x, 1);
}

const soma__layer_type soma__layer_crf = {
    .name = "crf",
    .prefix = "crf",
    .doc = "scores of pairs of tags beside those of each step (Lafferty et al. 2001), and the "
           "lengths: a chain",
    .shapes = "[B,T,K] (and lengths [B]) -> [B,T+K+3,K]",
    .parameters = "transitions [K,K], start_transitions [K], end_transitions [K]",
    .size = sizeof(crf_options),
    .fields = fields,
    .field_count = SOMA__FIELD_COUNT(fields),
    .build = build,
    .merge = merge,
};

soma_layer *soma_layer_crf(void)
{
    return soma__layer_new(&soma__layer_crf, &(crf_options){0}, NULL, 0);
}
