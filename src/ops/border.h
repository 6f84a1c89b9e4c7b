/* border.h: which cell a cell outside of an axis repeats. */
#ifndef SOMA__BORDER_H
#define SOMA__BORDER_H

#include "soma/ops.h"

/* The cell of [0, size) that cell i of the padded axis shows; i counts from the axis' first cell
 * and lies at most a border that the rule allows outside. */
static inline int64_t soma__border_cell(soma_pad_mode border, int64_t i, int64_t size)
{
    if (i >= 0 && i < size)
        return i;
    switch (border) {
    case SOMA_PAD_REFLECT:
        return i < 0 ? -i : 2 * (size - 1) - i;
    case SOMA_PAD_SYMMETRIC:
        return i < 0 ? -1 - i : 2 * size - 1 - i;
    case SOMA_PAD_WRAP:
        return i < 0 ? i + size : i - size;
    case SOMA_PAD_EDGE:
        break;
    }
    return i < 0 ? 0 : size - 1;
}

#endif
