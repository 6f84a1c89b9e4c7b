/* window.c: the sizes of sliding windows. */
#include "ops/window.h"

#include "soma/ops.h"

/* Sizes beyond this are refused, so that the sums below cannot overflow. */
#define LIMIT (INT64_C(1) << 40)

static soma_status check_options(soma__rule *rule, const char *what, const int64_t size[2],
                                 const int64_t stride[2], const int64_t dilation[2],
                                 const int64_t pad[4], int64_t padding)
{
    for (int d = 0; d < 2; d++) {
        if (size[d] < 1 || size[d] > LIMIT)
            return soma__rule_fail(rule, SOMA_INVALID,
                                   "%s size %lld must be at least 1 and not huge", what,
                                   (long long)size[d]);
        if (stride[d] < 1 || stride[d] > LIMIT)
            return soma__rule_fail(rule, SOMA_INVALID,
                                   "stride %lld must be at least 1 and not huge",
                                   (long long)stride[d]);
        if (dilation[d] < 1 || dilation[d] > LIMIT / size[d])
            return soma__rule_fail(rule, SOMA_INVALID,
                                   "dilation %lld must be at least 1 and not huge",
                                   (long long)dilation[d]);
    }
    for (int i = 0; i < 4; i++) {
        if (pad[i] < 0 || pad[i] > LIMIT)
            return soma__rule_fail(rule, SOMA_INVALID, "pad %lld must not be negative or huge",
                                   (long long)pad[i]);
        if (pad[i] != 0 && padding != SOMA_PAD_EXPLICIT)
            return soma__rule_fail(rule, SOMA_INVALID,
                                   "pad is given as numbers and as %s: drop one of them",
                                   padding == SOMA_PAD_SAME ? "SAME" : "VALID");
    }
    if (padding != SOMA_PAD_EXPLICIT && padding != SOMA_PAD_SAME && padding != SOMA_PAD_VALID)
        return soma__rule_fail(rule, SOMA_INVALID, "unknown padding %lld", (long long)padding);
    return SOMA_OK;
}

soma_status soma__window_resolve(soma__rule *rule, const char *what, const int64_t input[2],
                                 const int64_t size[2], const int64_t stride[2],
                                 const int64_t dilation[2], int64_t pad[4], int64_t *padding,
                                 int64_t output[2])
{
    SOMA__TRY(check_options(rule, what, size, stride, dilation, pad, *padding));
    int64_t extent[2], padded[2];
    for (int d = 0; d < 2; d++) {
        if (input[d] < 1 || input[d] > LIMIT)
            return soma__rule_fail(rule, SOMA_SHAPE,
                                   "images are %lldx%lld, but must have at least one cell",
                                   (long long)input[0], (long long)input[1]);
        extent[d] = (size[d] - 1) * dilation[d] + 1;
        if (*padding == SOMA_PAD_SAME) {
            /* As many positions as there are strides in the input; what the last one lacks is
             * padding, the odd cell of it at the end. */
            int64_t positions = (input[d] + stride[d] - 1) / stride[d];
            int64_t total = (positions - 1) * stride[d] + extent[d] - input[d];
            total = total > 0 ? total : 0;
            pad[d] = total / 2;
            pad[d + 2] = total - pad[d];
        }
        padded[d] = input[d] + pad[d] + pad[d + 2];
    }
    if (extent[0] > padded[0] || extent[1] > padded[1])
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "the %s covers %lldx%lld cells, but the padded input has only "
                               "%lldx%lld: use a smaller %s or more padding",
                               what, (long long)extent[0], (long long)extent[1],
                               (long long)padded[0], (long long)padded[1], what);
    for (int d = 0; d < 2; d++)
        output[d] = (padded[d] - extent[d]) / stride[d] + 1;
    *padding = SOMA_PAD_EXPLICIT;
    return SOMA_OK;
}
