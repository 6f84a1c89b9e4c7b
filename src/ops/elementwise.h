/* elementwise.h: what elementwise.c shares with the other files of elementwise ops. */
#ifndef SOMA__ELEMENTWISE_H
#define SOMA__ELEMENTWISE_H

#include "ops/ops.h"

/* Rules for any number of inputs that broadcast together: what dtypes an op takes, all of them
 * equal, and what it gives. */
soma_status soma__rule_floats(soma__rule *rule);
soma_status soma__rule_numbers(soma__rule *rule);
soma_status soma__rule_integers(soma__rule *rule);
soma_status soma__rule_bools(soma__rule *rule);
soma_status soma__rule_any_to_bool(soma__rule *rule);

/* The one reference kernel. It computes on int64_t if the op's values are integers, else on double.
 */
void soma__reference_elementwise(const soma__call *call);
bool soma__elementwise_integers(const soma__call *call);
double soma__flops_elementwise(const soma__call *call);

/* din[i] = value, summed over the axes along which input i was broadcast. */
void soma__grad_to(soma__grad *g, int i, soma_var value);
/* A scalar 0 of x's dtype. */
soma_var soma__zero_like(soma_var x);

#define SOMA__ELEMENTWISE(family_, name_, code_, rule_, gradient_, inputs_, arity_, doc_)          \
    const soma__op soma__op_##name_ = {                                                            \
        .name = #name_,                                                                            \
        .family = #family_,                                                                        \
        .doc = doc_,                                                                               \
        .inputs = inputs_,                                                                         \
        .min_inputs = arity_,                                                                      \
        .max_inputs = arity_,                                                                      \
        .scalar = SOMA__SCALAR_##code_,                                                            \
        .rule = rule_,                                                                             \
        .gradient = gradient_,                                                                     \
        .reference = soma__reference_elementwise,                                                  \
        .flops = soma__flops_elementwise,                                                          \
    };

/* Descriptor and builder soma_<name>(x), soma_<name>(a, b). */
#define SOMA__UNARY(family_, name_, code_, rule_, gradient_, doc_)                                 \
    SOMA__ELEMENTWISE(family_, name_, code_, rule_, gradient_, "x", 1, doc_)                       \
    soma_var soma_##name_(soma_var x)                                                              \
    {                                                                                              \
        return soma__graph_add(x.graph, &soma__op_##name_, &x, 1, NULL);                           \
    }

#define SOMA__BINARY(family_, name_, code_, rule_, gradient_, doc_)                                \
    SOMA__ELEMENTWISE(family_, name_, code_, rule_, gradient_, "a b", 2, doc_)                     \
    soma_var soma_##name_(soma_var a, soma_var b)                                                  \
    {                                                                                              \
        const soma_var in[2] = {a, b};                                                             \
        return soma__graph_add(a.graph, &soma__op_##name_, in, 2, NULL);                           \
    }

/* A composite: its parts are what decompose_<name> builds. */
#define SOMA__COMPOSITE(family_, name_, inputs_, arity_, doc_, ...)                                \
    const soma__op soma__op_##name_ = {.name = #name_,                                             \
                                       .family = #family_,                                         \
                                       .doc = doc_,                                                \
                                       .inputs = inputs_,                                          \
                                       .min_inputs = arity_,                                       \
                                       .max_inputs = arity_,                                       \
                                       .decompose = decompose_##name_,                             \
                                       __VA_ARGS__};

#endif
