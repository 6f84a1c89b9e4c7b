/* leaf.c: the three kinds of values that no op computes. A leaf has no rule, gradient or kernel;
 * the graph fills its dtype and shape, a session binds its memory. */
#include "graph/graph.h"

const soma__op soma__op_input = {
    .name = "input",
    .family = "leaf",
    .doc = "a value that each run feeds",
    .inputs = "",
    .flags = SOMA__OP_LEAF,
};

const soma__op soma__op_variable = {
    .name = "variable",
    .family = "leaf",
    .doc = "a tensor outside of the graph: read at each run, written by updates",
    .inputs = "",
    .flags = SOMA__OP_LEAF,
};

const soma__op soma__op_constant = {
    .name = "constant",
    .family = "leaf",
    .doc = "a value fixed when the graph is built",
    .inputs = "",
    .flags = SOMA__OP_LEAF,
};
