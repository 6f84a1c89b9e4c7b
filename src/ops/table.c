/* table.c: the op table, in the order of ops.def. */
#include <string.h>

#include "ops/ops.h"

static const soma__op *const table[] = {
#define SOMA__OP(name_, family_) &soma__op_##name_,
#include "ops/ops.def"
#undef SOMA__OP
};

int soma__op_count(void)
{
    return (int)(sizeof(table) / sizeof(table[0]));
}

const soma__op *soma__op_at(int index)
{
    return index >= 0 && index < soma__op_count() ? table[index] : NULL;
}

/* Called when a graph is read from a file or a backend looks for its rows, never in a step: a
 * linear search is fast enough. */
const soma__op *soma__op_find(const char *name)
{
    for (int i = 0; i < soma__op_count(); i++)
        if (strcmp(table[i]->name, name) == 0)
            return table[i];
    return NULL;
}
