/* roi.h: which cells of an image the bins of a box are made of, for the reference and the fast
 * kernels of roi_align. */
#ifndef SOMA__OPS_ROI_H
#define SOMA__OPS_ROI_H

#include <math.h>

#include "graph/op.h"
#include "ops/attrs.h"

/* More samples than this along a side of a bin are not taken. */
#define SOMA__ROI_SAMPLES 4096

/* One box, in cells: each bin takes samples[0] × samples[1] places, at start + (bin + (s + 1/2) /
 * samples) · step. */
typedef struct soma__roi {
    int64_t image; /* -1: there is no such image */
    double start[2], step[2];
    int64_t samples[2];
} soma__roi;

/* A place between four cells (h·W + w); a weight may be 0. */
typedef struct soma__roi_place {
    int64_t cell[4];
    double weight[4];
} soma__roi_place;

static inline soma__roi soma__roi_read(const soma__roi_attrs *a, const soma__view *boxes,
                                       const soma__view *batch, int64_t images, int64_t r)
{
    soma__roi roi;
    int64_t image = batch->dtype == SOMA_I64 ? ((const int64_t *)batch->data)[r]
                                             : ((const int32_t *)batch->data)[r];
    roi.image = image >= 0 && image < images ? image : -1;
    for (int d = 0; d < 2; d++) { /* a box is (x1, y1, x2, y2) */
        double first = soma__load(boxes->dtype, boxes->data, 4 * r + 1 - d) * a->scale;
        double last = soma__load(boxes->dtype, boxes->data, 4 * r + 3 - d) * a->scale;
        double length = last - first;
        if (!a->aligned && !(length >= 1))
            length = 1;
        roi.start[d] = first - (a->aligned ? 0.5 : 0);
        roi.step[d] = length / (double)a->size[d];
        double count = ceil(roi.step[d]);
        if (a->samples > 0)
            roi.samples[d] = a->samples;
        else
            roi.samples[d] = count >= 1 ? (int64_t)fmin(count, SOMA__ROI_SAMPLES) : 0;
    }
    return roi;
}

/* Sample `s` of bin `bin`, both (down, across), in an image of `size`; false more than a cell
 * outside of it. */
static inline bool soma__roi_at(const soma__roi *roi, const int64_t bin[2], const int64_t s[2],
                                const int64_t size[2], soma__roi_place *place)
{
    int64_t low[2], high[2];
    double share[2]; /* of high */
    for (int d = 0; d < 2; d++) {
        double at =
            roi->start[d] +
            ((double)bin[d] + ((double)s[d] + 0.5) / (double)roi->samples[d]) * roi->step[d];
        if (!(at >= -1 && at <= (double)size[d]))
            return false;
        at = at > 0 ? at : 0;
        low[d] = (int64_t)at;
        if (low[d] > size[d] - 1)
            low[d] = size[d] - 1;
        high[d] = low[d] < size[d] - 1 ? low[d] + 1 : low[d];
        share[d] = high[d] > low[d] ? at - (double)low[d] : 0;
    }
    for (int i = 0; i < 4; i++) {
        int64_t h = i / 2 ? high[0] : low[0], w = i % 2 ? high[1] : low[1];
        place->cell[i] = h * size[1] + w;
        place->weight[i] = (i / 2 ? share[0] : 1 - share[0]) * (i % 2 ? share[1] : 1 - share[1]);
    }
    return true;
}

#endif
