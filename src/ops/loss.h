/* loss.h: what the loss files share: rules, weights and reductions. */
#ifndef SOMA__OPS_LOSS_H
#define SOMA__OPS_LOSS_H

#include "ops/ops.h"

/* Rows of an attribute table. */
#define SOMA__LOSS_REDUCTION                                                                       \
    {                                                                                              \
        "reduction", SOMA__ATTR_INT, offsetof(soma__loss_attrs, reduction), 1,                     \
            "0 none, 1 mean, 2 sum"                                                                \
    }
#define SOMA__LOSS_NUMBER(name_, index_, doc_)                                                     \
    {                                                                                              \
        name_, SOMA__ATTR_FLOAT, offsetof(soma__loss_attrs, number) + 8 * (index_), 1, doc_        \
    }
#define SOMA__LOSS_FLAG(name_, index_, doc_)                                                       \
    {                                                                                              \
        name_, SOMA__ATTR_BOOL, offsetof(soma__loss_attrs, flag) + 8 * (index_), 1, doc_           \
    }

/* A composite loss: decompose_<name> and the given rule, inputs and further attributes. */
#define SOMA__LOSS(name_, rule_, inputs_, least_, most_, doc_, ...)                                \
    const soma__op soma__op_##name_ = {                                                            \
        .name = #name_,                                                                            \
        .family = "loss",                                                                          \
        .doc = doc_,                                                                               \
        .inputs = inputs_,                                                                         \
        .min_inputs = least_,                                                                      \
        .max_inputs = most_,                                                                       \
        .attr_size = sizeof(soma__loss_attrs),                                                     \
        .attrs = (const soma__attr[]){SOMA__LOSS_REDUCTION, __VA_ARGS__{0}},                       \
        .rule = rule_,                                                                             \
        .decompose = decompose_##name_,                                                            \
    }

/* A number of x's dtype. */
static inline soma_var soma__like(soma_var x, double value)
{
    return soma_scalar(x.graph, soma_var_dtype(x), value);
}

/* The result's shape is in rule->shape: checks the reduction and makes it a scalar where asked. */
soma_status soma__loss_finish_rule(soma__rule *rule);
/* Inputs [0, count) are floats of one dtype and shape. */
soma_status soma__loss_same(soma__rule *rule, int count);
/* An attribute that must lie in [low, high]. */
soma_status soma__loss_range(soma__rule *rule, const char *name, double value, double low,
                             double high);
soma_var soma__loss_reduce(soma_var each, int64_t reduction);

#endif
