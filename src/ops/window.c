/* window.c: the sizes of sliding windows. */
#include "ops/window.h"

#include <stdio.h>

#include "soma/ops.h"

/* Sizes beyond this are refused, so that the sums below cannot overflow. */
#define LIMIT (INT64_C(1) << 40)

char *soma__window_text(const int64_t *size, int dims, char text[SOMA__WINDOW_TEXT_SIZE])
{
    size_t at = 0;
    text[0] = 0;
    for (int d = 0; d < dims && at < SOMA__WINDOW_TEXT_SIZE; d++)
        at += (size_t)snprintf(text + at, SOMA__WINDOW_TEXT_SIZE - at, "%s%lld", d ? "x" : "",
                               (long long)size[d]);
    return text;
}

static const char *padding_text(int64_t padding)
{
    return padding == SOMA_PAD_SAME ? "SAME" : padding == SOMA_PAD_VALID ? "VALID" : "SAME_LOWER";
}

soma_status soma__window_check(soma__rule *rule, const soma__window *w)
{
    const int64_t padding = *w->padding;
    for (int d = 0; d < w->dims; d++) {
        if (w->size[d] < 1 || w->size[d] > LIMIT)
            return soma__rule_fail(rule, SOMA_INVALID,
                                   "%s size %lld must be at least 1 and not huge", w->what,
                                   (long long)w->size[d]);
        if (w->stride[d] < 1 || w->stride[d] > LIMIT)
            return soma__rule_fail(rule, SOMA_INVALID,
                                   "stride %lld must be at least 1 and not huge",
                                   (long long)w->stride[d]);
        if (w->dilation[d] < 1 || w->dilation[d] > LIMIT / w->size[d])
            return soma__rule_fail(rule, SOMA_INVALID,
                                   "dilation %lld must be at least 1 and not huge",
                                   (long long)w->dilation[d]);
    }
    for (int i = 0; i < 2 * w->dims; i++) {
        if (w->pad[i] < 0 || w->pad[i] > LIMIT)
            return soma__rule_fail(rule, SOMA_INVALID, "pad %lld must not be negative or huge",
                                   (long long)w->pad[i]);
        if (w->pad[i] != 0 && padding != SOMA_PAD_EXPLICIT)
            return soma__rule_fail(rule, SOMA_INVALID,
                                   "pad is given as numbers and as %s: drop one of them",
                                   padding_text(padding));
    }
    if (padding < SOMA_PAD_EXPLICIT || padding > SOMA_PAD_SAME_LOWER)
        return soma__rule_fail(rule, SOMA_INVALID, "unknown padding %lld", (long long)padding);
    return SOMA_OK;
}

/* The pads that SAME stands for along axis `d`: there are as many positions as strides in the
 * input, and what the last one lacks is padding. Its odd cell goes to the end, or with SAME_LOWER
 * to the begin. */
static void resolve_same(const soma__window *w, int d, int64_t extent)
{
    int64_t positions = (w->input[d] + w->stride[d] - 1) / w->stride[d];
    int64_t total = (positions - 1) * w->stride[d] + extent - w->input[d];
    total = total > 0 ? total : 0;
    w->pad[d] = *w->padding == SOMA_PAD_SAME ? total / 2 : total - total / 2;
    w->pad[d + w->dims] = total - w->pad[d];
}

soma_status soma__window_resolve(soma__rule *rule, const soma__window *w, int64_t *output)
{
    SOMA__TRY(soma__window_check(rule, w));
    int64_t extent[SOMA__WINDOW_DIMS] = {0}, padded[SOMA__WINDOW_DIMS] = {0};
    char a[SOMA__WINDOW_TEXT_SIZE], b[SOMA__WINDOW_TEXT_SIZE];
    bool fits = true;
    for (int d = 0; d < w->dims; d++) {
        if (w->input[d] < 1 || w->input[d] > LIMIT)
            return soma__rule_fail(rule, SOMA_SHAPE,
                                   "images are %s, but must have at least one cell",
                                   soma__window_text(w->input, w->dims, a));
        extent[d] = soma__window_extent(w->size[d], w->dilation[d]);
        if (*w->padding == SOMA_PAD_SAME || *w->padding == SOMA_PAD_SAME_LOWER)
            resolve_same(w, d, extent[d]);
        padded[d] = w->input[d] + w->pad[d] + w->pad[d + w->dims];
        fits = fits && extent[d] <= padded[d];
    }
    if (!fits)
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "the %s covers %s cells, but the padded input has only %s: use a "
                               "smaller %s or more padding",
                               w->what, soma__window_text(extent, w->dims, a),
                               soma__window_text(padded, w->dims, b), w->what);
    for (int d = 0; d < w->dims; d++) {
        int64_t room = padded[d] - extent[d], stride = w->stride[d];
        output[d] = room / stride + 1;
        if (w->ceil && room % stride != 0 && output[d] * stride < w->input[d] + w->pad[d])
            output[d]++;
    }
    *w->padding = SOMA_PAD_EXPLICIT;
    return SOMA_OK;
}
