/* reduce.h: what the files of reductions share. */
#ifndef SOMA__OPS_REDUCE_H
#define SOMA__OPS_REDUCE_H

#include "ops/ops.h"

/* Rules of attributes that begin with a soma__reduce_attrs: the axes turned into a mask, and the
 * result's shape. */
soma_status soma__rule_reduce(soma__rule *rule);
soma_status soma__rule_reduce_float(soma__rule *rule);
extern const soma__attr soma__reduce_attr_list[];
soma__reduce_attrs soma__reduce_options(const soma_reduce_options *options);
/* How many cells of x become one. */
double soma__reduced_cells(soma_var x, int64_t mask);

/* Descriptor and builder(x, options). */
#define SOMA__REDUCE(family_, name_, builder_, doc_, ...)                                          \
    const soma__op soma__op_##name_ = {.name = #name_,                                             \
                                       .family = #family_,                                         \
                                       .doc = doc_,                                                \
                                       .inputs = "x",                                              \
                                       .min_inputs = 1,                                            \
                                       .max_inputs = 1,                                            \
                                       .attr_size = sizeof(soma__reduce_attrs),                    \
                                       .attrs = soma__reduce_attr_list,                            \
                                       __VA_ARGS__};                                               \
    soma_var builder_(soma_var x, soma_reduce_options options)                                     \
    {                                                                                              \
        const soma__reduce_attrs attrs = soma__reduce_options(&options);                           \
        return soma__graph_add(x.graph, &soma__op_##name_, &x, 1, &attrs);                         \
    }

#endif
