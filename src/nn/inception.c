/* inception.c: the blocks of the Inception networks: branches side by side. */
#include <math.h>
#include <stddef.h>

#include "nn/blocks.h"

/* --- inception (v1) -----------------------------------------------------------------------------
 */

typedef soma_inception_options options;

static const soma__field fields[] = {
    {.key = "filters",
     .kind = SOMA__FIELD_INTS,
     .offset = offsetof(options, filters),
     .count = 6,
     .min = 1,
     .max = INFINITY,
     .required = true,
     .doc = "1x1; 3x3 reduction, 3x3; 5x5 reduction, 5x5; after the pool"},
    SOMA__FIELD_WHOLE(options, kernel, "of the third branch [5]"),
    SOMA__FIELD_FLAG(options, batch_norm, "after each convolution"),
    SOMA__FIELD_NAME(options),
};

/* Convolution and relu, with batch norm or a bias. */
static void add_conv(soma__layer_list *list, const options *o, int64_t filters, int64_t k)
{
    if (o->batch_norm)
        soma__add_conv_norm(list, filters, k, 1, 1, SOMA_RELU);
    else
        soma__layer_list_add(list,
                             soma_layer_conv2d(filters, k, .pad = {k / 2, k / 2, k / 2, k / 2},
                                               .activation = SOMA_RELU));
}

static soma_layer *expand(soma__layer_build *b, const soma_layer *layer, const soma_shape *x)
{
    const options *o = (const options *)layer->options;
    soma__layer_list one = {0}, three = {0}, five = {0}, pool = {0}, all = {0};

    if (!soma__wants_images(b, layer, x))
        return NULL;
    for (int i = 0; i < 6; i++)
        if (o->filters[i] < 1)
            return soma__layer_fail(b, layer, SOMA_INVALID, "filters must be six numbers"), NULL;
    add_conv(&one, o, o->filters[0], 1);
    add_conv(&three, o, o->filters[1], 1);
    add_conv(&three, o, o->filters[2], 3);
    add_conv(&five, o, o->filters[3], 1);
    add_conv(&five, o, o->filters[4], soma__or(o->kernel, 5));
    soma__layer_list_add(&pool, soma_layer_max_pool2d(3, .stride = {1, 1}, .pad = {1, 1, 1, 1}));
    add_conv(&pool, o, o->filters[5], 1);
    soma__layer_list_add(&all, soma__layer_list_sequential(&one));
    soma__layer_list_add(&all, soma__layer_list_sequential(&three));
    soma__layer_list_add(&all, soma__layer_list_sequential(&five));
    soma__layer_list_add(&all, soma__layer_list_sequential(&pool));
    return soma__layer_list_concat(&all);
}

const soma__layer_type soma__layer_inception = {
    .name = "inception",
    .prefix = "inception",
    .doc = "1x1, 3x3, 5x5 convolutions and a pool side by side (Szegedy et al. 2015)",
    .shapes = "[N,H,W,C] -> [N,H,W,sum of the branches]",
    .parameters = "of branch1 … branch4",
    .size = sizeof(options),
    .fields = fields,
    .field_count = SOMA__FIELD_COUNT(fields),
    .primary = "filters",
    .expand = expand,
};

soma_layer *soma_layer_inception_opt(soma_inception_options o)
{
    return soma__layer_new(&soma__layer_inception, &o, NULL, 0);
}

/* --- inception_v3_block -------------------------------------------------------------------------
 */

typedef struct v3_options {
    soma_inception_kind kind;
    int64_t filters;
    const char *name;
} v3_options;

static const char *const kind_names[] = {"a", "b", "c", "d", "e", NULL};

static const soma__field v3_fields[] = {
    {.key = "kind",
     .kind = SOMA__FIELD_ENUM,
     .offset = offsetof(v3_options, kind),
     .choices = kind_names,
     .doc = "a: 5x5 and 3x3; c: 7x7 in two parts; e: 3x3 in two parts; b, d: halve the size"},
    SOMA__FIELD_WHOLE(v3_options, filters, "a: after the pool [32]; c: within the branches [128]"),
    SOMA__FIELD_NAME(v3_options),
};

/* Convolution of kh x kw, batch norm, relu. Stride 2 goes without padding. */
static void add_v3(soma__layer_list *list, int64_t filters, int64_t kh, int64_t kw, int64_t stride)
{
    int64_t down = stride == 1 ? kh / 2 : 0, right = stride == 1 ? kw / 2 : 0;
    soma__layer_list_add(
        list, soma_layer_conv2d_opt((soma_conv2d_options){.filters = filters,
                                                          .kernel = {kh, kw},
                                                          .stride = {stride, stride},
                                                          .pad = {down, right, down, right},
                                                          .no_bias = true}));
    soma__layer_list_add(list, soma_layer_batch_norm());
    soma__layer_list_add(list, soma_layer_activation(SOMA_RELU));
}

static soma_layer *mean_pool(void)
{
    return soma_layer_avg_pool2d(3, .stride = {1, 1}, .pad = {1, 1, 1, 1}, .count_pad = true);
}

/* Each fills four branches. */
static void branches_a(soma__layer_list *branch, int64_t filters)
{
    add_v3(&branch[0], 64, 1, 1, 1);
    add_v3(&branch[1], 48, 1, 1, 1);
    add_v3(&branch[1], 64, 5, 5, 1);
    add_v3(&branch[2], 64, 1, 1, 1);
    add_v3(&branch[2], 96, 3, 3, 1);
    add_v3(&branch[2], 96, 3, 3, 1);
    soma__layer_list_add(&branch[3], mean_pool());
    add_v3(&branch[3], soma__or(filters, 32), 1, 1, 1);
}

static void branches_b(soma__layer_list *branch)
{
    add_v3(&branch[0], 384, 3, 3, 2);
    add_v3(&branch[1], 64, 1, 1, 1);
    add_v3(&branch[1], 96, 3, 3, 1);
    add_v3(&branch[1], 96, 3, 3, 2);
    soma__layer_list_add(&branch[2], soma_layer_max_pool2d(3, .stride = {2, 2}));
}

static void branches_c(soma__layer_list *branch, int64_t filters)
{
    int64_t f = soma__or(filters, 128);
    add_v3(&branch[0], 192, 1, 1, 1);
    add_v3(&branch[1], f, 1, 1, 1);
    add_v3(&branch[1], f, 1, 7, 1);
    add_v3(&branch[1], 192, 7, 1, 1);
    add_v3(&branch[2], f, 1, 1, 1);
    add_v3(&branch[2], f, 7, 1, 1);
    add_v3(&branch[2], f, 1, 7, 1);
    add_v3(&branch[2], f, 7, 1, 1);
    add_v3(&branch[2], 192, 1, 7, 1);
    soma__layer_list_add(&branch[3], mean_pool());
    add_v3(&branch[3], 192, 1, 1, 1);
}

static void branches_d(soma__layer_list *branch)
{
    add_v3(&branch[0], 192, 1, 1, 1);
    add_v3(&branch[0], 320, 3, 3, 2);
    add_v3(&branch[1], 192, 1, 1, 1);
    add_v3(&branch[1], 192, 1, 7, 1);
    add_v3(&branch[1], 192, 7, 1, 1);
    add_v3(&branch[1], 192, 3, 3, 2);
    soma__layer_list_add(&branch[2], soma_layer_max_pool2d(3, .stride = {2, 2}));
}

/* 1x3 and 3x1 side by side. */
static soma_layer *split_three(void)
{
    soma__layer_list wide = {0}, high = {0}, both = {0};
    add_v3(&wide, 384, 1, 3, 1);
    add_v3(&high, 384, 3, 1, 1);
    soma__layer_list_add(&both, soma__layer_list_sequential(&wide));
    soma__layer_list_add(&both, soma__layer_list_sequential(&high));
    return soma__layer_list_concat(&both);
}

static void branches_e(soma__layer_list *branch)
{
    add_v3(&branch[0], 320, 1, 1, 1);
    add_v3(&branch[1], 384, 1, 1, 1);
    soma__layer_list_add(&branch[1], split_three());
    add_v3(&branch[2], 448, 1, 1, 1);
    add_v3(&branch[2], 384, 3, 3, 1);
    soma__layer_list_add(&branch[2], split_three());
    soma__layer_list_add(&branch[3], mean_pool());
    add_v3(&branch[3], 192, 1, 1, 1);
}

static soma_layer *expand_v3(soma__layer_build *b, const soma_layer *layer, const soma_shape *x)
{
    const v3_options *o = (const v3_options *)layer->options;
    soma__layer_list branch[4] = {{0}}, all = {0};

    if (!soma__wants_images(b, layer, x))
        return NULL;
    switch (o->kind) {
    case SOMA_INCEPTION_A:
        branches_a(branch, o->filters);
        break;
    case SOMA_INCEPTION_B:
        branches_b(branch);
        break;
    case SOMA_INCEPTION_C:
        branches_c(branch, o->filters);
        break;
    case SOMA_INCEPTION_D:
        branches_d(branch);
        break;
    case SOMA_INCEPTION_E:
        branches_e(branch);
        break;
    }
    for (int i = 0; i < 4; i++)
        if (branch[i].count || branch[i].failed)
            soma__layer_list_add(&all, soma__layer_list_sequential(&branch[i]));
    return soma__layer_list_concat(&all);
}

const soma__layer_type soma__layer_inception_v3_block = {
    .name = "inception_v3_block",
    .prefix = "inception",
    .doc = "one of the five kinds of branches side by side in Inception v3 (Szegedy et al. 2016)",
    .shapes = "[N,H,W,C] -> [N,Ho,Wo,sum of the branches]",
    .parameters = "of branch1, branch2, …",
    .size = sizeof(v3_options),
    .fields = v3_fields,
    .field_count = SOMA__FIELD_COUNT(v3_fields),
    .primary = "kind",
    .expand = expand_v3,
};

soma_layer *soma_layer_inception_v3_block(soma_inception_kind kind, int64_t filters)
{
    return soma__layer_new(&soma__layer_inception_v3_block,
                           &(v3_options){.kind = kind, .filters = filters}, NULL, 0);
}
