/* blocks.h: what the blocks of well-known networks share: short forms of layers added to a list. */
#ifndef SOMA__BLOCKS_H
#define SOMA__BLOCKS_H

#include "nn/layer.h"
#include "soma/networks.h"

/* A convolution of k x k, padded with k/2, without bias. */
void soma__add_conv(soma__layer_list *list, int64_t filters, int64_t k, int64_t stride,
                    int64_t groups);
/* The same, then batch norm and an activation (SOMA_LINEAR: none). */
void soma__add_conv_norm(soma__layer_list *list, int64_t filters, int64_t k, int64_t stride,
                         int64_t groups, soma_activation activation);
/* batch norm, relu, convolution. */
void soma__add_norm_conv(soma__layer_list *list, int64_t filters, int64_t k);
/* True for [N,H,W,C]; else records the fault. */
bool soma__wants_images(soma__layer_build *b, const soma_layer *layer, const soma_shape *x);
/* The first that is not 0. */
static inline int64_t soma__or(int64_t value, int64_t standard)
{
    return value ? value : standard;
}
static inline soma_activation soma__or_activation(soma_activation value, soma_activation standard)
{
    return value != SOMA_LINEAR ? value : standard;
}

/* Rows for field tables. */
#define SOMA__FIELD_FILTERS(struct_, doc_)                                                         \
    {                                                                                              \
        .key = "filters", .kind = SOMA__FIELD_INT, .offset = offsetof(struct_, filters), .min = 1, \
        .max = INFINITY, .required = true, .doc = doc_                                             \
    }
#define SOMA__FIELD_WHOLE(struct_, member_, doc_)                                                  \
    {                                                                                              \
        .key = #member_, .kind = SOMA__FIELD_INT, .offset = offsetof(struct_, member_), .min = 1,  \
        .max = INFINITY, .doc = doc_                                                               \
    }
#define SOMA__FIELD_FLAG(struct_, member_, doc_)                                                   \
    {                                                                                              \
        .key = #member_, .kind = SOMA__FIELD_BOOL, .offset = offsetof(struct_, member_),           \
        .doc = doc_                                                                                \
    }
#define SOMA__FIELD_ACTIVATION(struct_, member_, doc_)                                             \
    {                                                                                              \
        .key = #member_, .kind = SOMA__FIELD_ENUM, .offset = offsetof(struct_, member_),           \
        .choices = soma__activation_names, .doc = doc_                                             \
    }
#define SOMA__FIELD_SHORTCUT(struct_)                                                              \
    {                                                                                              \
        .key = "shortcut", .kind = SOMA__FIELD_ENUM, .offset = offsetof(struct_, shortcut),        \
        .choices = soma__shortcut_names,                                                           \
        .doc = "where the shape changes: projection (option B) or pad (option A)"                  \
    }

extern const char *const soma__shortcut_names[];

#endif
