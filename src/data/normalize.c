/* normalize.c: transforms of values and labels: normalize, standardize, one_hot. */
#include <math.h>
#include <stddef.h>

#include "data/transform.h"

/* Room for mean and std, which the reader of lists takes (transform.c): behind the options. */
#define T_CHANNELS(key_, slot_, doc_)                                                              \
    {                                                                                              \
        .key = key_, .kind = SOMA__FIELD_VALUE,                                                    \
        .offset = sizeof(soma_transform) + (slot_) * sizeof(soma__value *), .doc = doc_            \
    }

/* --- normalize ----------------------------------------------------------------------------------
 */

static soma_status check_normalize(soma_transform *t, soma__form *form, soma_error *err)
{
    const soma_shape *shape = &form->x_shape;
    int64_t features = shape->ndim ? shape->dim[shape->ndim - 1] : 1;
    if (!t->channels)
        return soma__fail(err, SOMA_INVALID, "needs mean and std");
    if (t->channels != 1 && t->channels != features)
        return soma__fail(err, SOMA_SHAPE, "%d means for %lld channels", t->channels,
                          (long long)features);
    for (int i = 0; i < t->channels; i++)
        if (!isfinite(t->mean[i]) || !isfinite(t->std[i]) || !(t->std[i] > 0))
            return soma__fail(err, SOMA_INVALID, "std must be above 0 and mean finite; give both");
    form->x_dtype = SOMA_F32;
    form->normalized = true;
    return SOMA_OK;
}

/* y = x · scale[c] + shift[c], c running through the channels. Three channels, and one for all, are
 * done in pieces whose length is known: the compiler makes vectors of them. */
static void scale_u8(const uint8_t *restrict x, float *restrict y, int64_t count, int channels,
                     const float *scale, const float *shift)
{
    enum { PIECE = 48 }; /* of 1, 2, 3, 4, 6, 8 … channels */
    float a[PIECE], b[PIECE];
    int64_t i = 0;
    if (PIECE % channels == 0) {
        for (int k = 0; k < PIECE; k++) {
            a[k] = scale[k % channels];
            b[k] = shift[k % channels];
        }
        for (; i + PIECE <= count; i += PIECE)
            for (int k = 0; k < PIECE; k++)
                y[i + k] = (float)x[i + k] * a[k] + b[k];
    }
    for (; i < count; i++)
        y[i] = (float)x[i] * scale[i % channels] + shift[i % channels];
}

static void apply_normalize(soma__apply *a)
{
    const soma_transform *t = a->t;
    float scale[SOMA_MAX_CHANNELS] = {0}, shift[SOMA_MAX_CHANNELS] = {0};
    double unit = a->from->x_dtype == SOMA_U8 ? 1.0 / 255 : 1;
    for (int k = 0; k < t->channels; k++) {
        scale[k] = (float)(unit / t->std[k]);
        shift[k] = (float)(-t->mean[k] / t->std[k]);
    }
    if (a->from->x_dtype == SOMA_U8) {
        scale_u8(a->x, a->y, a->from->count, t->channels, scale, shift);
        return;
    }
    const float *x = a->x;
    float *y = a->y;
    for (int64_t i = 0; i < a->from->count; i++) {
        int64_t k = t->channels == 1 ? 0 : i % t->channels;
        y[i] = x[i] * scale[k] + shift[k];
    }
}

static const soma__field normalize_fields[] = {
    T_CHANNELS("mean", 0, "one number, or one a channel; bytes count as x / 255"),
    T_CHANNELS("std", 1, "the same"),
    SOMA__T_WHEN,
};

const soma__transform_type soma__transform_normalize = {
    .name = "normalize",
    .doc = "(x - mean) / std, as f32; bytes are divided by 255 first; always",
    .shapes = "[...,C] -> f32 [...,C]",
    .fields = normalize_fields,
    .field_count = sizeof normalize_fields / sizeof normalize_fields[0],
    .when = SOMA_WHEN_ALWAYS,
    .check = check_normalize,
    .apply = apply_normalize,
};

/* --- standardize --------------------------------------------------------------------------------
 */

static soma_status check_standardize(soma_transform *t, soma__form *form, soma_error *err)
{
    (void)t;
    (void)err;
    form->x_dtype = SOMA_F32;
    form->normalized = true;
    return SOMA_OK;
}

static void apply_standardize(soma__apply *a)
{
    int64_t n = a->from->count;
    float *y = a->y;
    double sum = 0, squares = 0;
    if (a->from->x_dtype == SOMA_U8) {
        /* Whole numbers: exact, and the compiler adds them side by side. */
        const uint8_t *x = a->x;
        uint64_t s = 0, q = 0;
        for (int64_t i = 0; i < n; i++) {
            s += x[i];
            q += (uint64_t)((unsigned)x[i] * x[i]);
        }
        double mean = (double)s / (double)n;
        squares = (double)q / (double)n - mean * mean;
        sum = mean;
    } else {
        const float *x = a->x;
        for (int64_t i = 0; i < n; i++)
            sum += (double)x[i];
        sum /= (double)n;
        for (int64_t i = 0; i < n; i++)
            squares += ((double)x[i] - sum) * ((double)x[i] - sum);
        squares /= (double)n;
    }
    /* A sample that is all of one value becomes 0. The floor is TensorFlow's for images: a
     * deviation of less than 1/sqrt(n) of a step is noise. */
    bool bytes = a->from->x_dtype == SOMA_U8;
    double floor_ = bytes ? 1 / sqrt((double)n) : 1e-12;
    double deviation = sqrt(fmax(squares, 0));
    float scale = (float)(1 / fmax(deviation, floor_)), shift = (float)(-sum * (double)scale);
    if (bytes) {
        scale_u8(a->x, y, n, 1, &scale, &shift);
        return;
    }
    const float *x = a->x;
    for (int64_t i = 0; i < n; i++)
        y[i] = (x[i] - (float)sum) * scale;
}

static const soma__field standardize_fields[] = {SOMA__T_WHEN};

const soma__transform_type soma__transform_standardize = {
    .name = "standardize",
    .doc = "each sample to mean 0 and variance 1 over all its values, as f32; always",
    .shapes = "[...] -> f32 [...]",
    .fields = standardize_fields,
    .field_count = sizeof standardize_fields / sizeof standardize_fields[0],
    .when = SOMA_WHEN_ALWAYS,
    .check = check_standardize,
    .apply = apply_standardize,
};
