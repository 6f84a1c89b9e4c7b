/* sound.c: spectra, mel bands and sampling rates, all of them products with a table. A short-time
 * Fourier transform is a convolution over time with the window times the waves of each frequency:
 * at the few hundred cells of a window the product kernels outrun the fewer steps of an FFT, and
 * gradients and fusion come with them. */
#include "soma/sound.h"

#include <math.h>

#include "ops/ops.h"

#define MOST_FFT 65536
#define MOST_RATE 4096 /* over the greatest common divisor */
#define MOST_TABLE (INT64_C(1) << 26)

static soma_var fail(soma_var x, soma_status code, const char *what, const char *message)
{
    soma_graph_fail(x.graph, code, "%s: %s", what, message);
    return soma__failed(x);
}

/* A constant of x's dtype with the numbers that `fill` writes. */
static soma_var table(soma_var x, soma_shape shape, void (*fill)(double *to, const void *how),
                      const void *how)
{
    soma_error err = {0};
    soma_tensor *wide, *tensor;
    if (soma_tensor_create(&wide, SOMA_F64, shape, &err) != SOMA_OK) {
        soma_graph_fail(x.graph, err.code, "%s", err.message);
        return soma__failed(x);
    }
    fill(soma_tensor_data(wide), how);
    const soma_status status = soma_tensor_create(&tensor, soma_var_dtype(x), shape, &err);
    if (status != SOMA_OK)
        soma_graph_fail(x.graph, status, "%s", err.message);
    for (int64_t i = 0; status == SOMA_OK && i < soma_tensor_count(wide); i++)
        soma_tensor_set(tensor, i, soma_tensor_get(wide, i));
    soma_tensor_release(wide);
    return status == SOMA_OK ? soma__constant_of(x.graph, tensor) : soma__failed(x);
}

/* --- options -----------------------------------------------------------------------------------
 */

/* False where the graph has failed, or fails now. */
static bool complete(soma_sound_options *o, soma_var x, const char *what)
{
    if (!soma_var_ok(x))
        return false;
    char text[SOMA_SHAPE_TEXT_SIZE];
    const soma_shape shape = soma_var_shape(x);
    o->rate = o->rate ? o->rate : 16000;
    o->fft = o->fft ? o->fft : 400;
    o->hop = o->hop ? o->hop : o->fft / 2;
    o->power = o->power > 0 || o->power < 0 ? o->power : 2;
    o->mels = o->mels ? o->mels : 64;
    o->high = o->high > 0 || o->high < 0 ? o->high : (double)o->rate / 2;
    o->coefficients = o->coefficients ? o->coefficients : 13;
    if (shape.ndim != 2 || !soma_dtype_is_float(soma_var_dtype(x)))
        soma_graph_fail(x.graph, SOMA_SHAPE, "%s: waves are %s %s, but must be floats [B,N]", what,
                        soma_dtype_text(soma_var_dtype(x)),
                        soma_shape_text(&shape, text, sizeof text));
    else if (o->rate < 1 || o->fft < 2 || o->fft > MOST_FFT || o->hop < 1)
        soma_graph_fail(x.graph, SOMA_INVALID,
                        "%s: rate %lld and hop %lld must be at least 1, fft %lld from 2 to %d",
                        what, (long long)o->rate, (long long)o->hop, (long long)o->fft, MOST_FFT);
    else if (!(o->power > 0) || isinf(o->power))
        soma_graph_fail(x.graph, SOMA_INVALID, "%s: power %g must be a number above 0", what,
                        o->power);
    else if (shape.dim[1] < (o->inside ? o->fft : o->zeros ? 1 : o->fft / 2 + 1))
        soma_graph_fail(x.graph, SOMA_SHAPE, "%s: %lld cells are too few for a window of %lld%s",
                        what, (long long)shape.dim[1], (long long)o->fft,
                        o->inside ? "" : ", which is filled up by mirroring; zeros always fit");
    else
        return true;
    return false;
}

static bool complete_mel(soma_sound_options *o, soma_var x, const char *what)
{
    if (!complete(o, x, what))
        return false;
    if (o->mels < 1 || o->mels > MOST_FFT || !(o->low >= 0) || !(o->low < o->high) ||
        !(o->high <= (double)o->rate / 2))
        soma_graph_fail(x.graph, SOMA_INVALID,
                        "%s: %lld bands from %g to %g Hz: there must be one at least, between 0 "
                        "and half the rate, which is %g",
                        what, (long long)o->mels, o->low, o->high, (double)o->rate / 2);
    else if (o->level < SOMA_LEVEL_NONE || o->level > SOMA_LEVEL_DB || o->mel < SOMA_MEL_HTK ||
             o->mel > SOMA_MEL_SLANEY)
        soma_graph_fail(x.graph, SOMA_INVALID, "%s: there is no such level or scale", what);
    else
        return true;
    return false;
}

/* --- spectra -----------------------------------------------------------------------------------
 */

/* [2F, fft, 1]: Hann's window times cosines, then minus sines. */
static void fill_waves(double *to, const void *how)
{
    const int64_t n = *(const int64_t *)how, count = n / 2 + 1;
    for (int64_t f = 0; f < count; f++)
        for (int64_t i = 0; i < n; i++) {
            const double window = 0.5 - 0.5 * cos(2 * M_PI * (double)i / (double)n);
            /* f·i modulo n keeps the angle small, and so exact. */
            const double angle = 2 * M_PI * (double)(f * i % n) / (double)n;
            to[f * n + i] = window * cos(angle);
            to[(count + f) * n + i] = -window * sin(angle);
        }
}

static soma_var stft(soma_var x, const soma_sound_options *o)
{
    const soma_shape shape = soma_var_shape(x);
    const int64_t side[2] = {0, o->inside ? 0 : o->fft / 2};
    if (!o->inside)
        x = o->zeros ? soma_pad(x, side, side, 2, 0)
                     : soma_pad_border(x, side, side, 2, SOMA_PAD_REFLECT);
    soma_var w = table(x, SOMA_SHAPE(2 * (o->fft / 2 + 1), o->fft, 1), fill_waves, &o->fft);
    x = soma_reshape(x, SOMA_SHAPE(shape.dim[0], shape.dim[1] + 2 * side[1], 1));
    return soma_conv1d(x, w, .stride = {o->hop});
}

soma_var soma_stft_opt(soma_var x, soma_sound_options o)
{
    return complete(&o, x, "stft") ? stft(x, &o) : soma__failed(x);
}

static soma_var spectrogram(soma_var x, const soma_sound_options *o)
{
    const int64_t count = o->fft / 2 + 1;
    soma_var both = stft(x, o);
    soma_var square = soma_add(soma_square(soma_slice(both, 2, 0, count)),
                               soma_square(soma_slice(both, 2, count, 2 * count)));
    if (o->power >= 2 && o->power <= 2)
        return square;
    return soma_pow(square, soma_scalar(x.graph, soma_var_dtype(x), o->power / 2));
}

soma_var soma_spectrogram_opt(soma_var x, soma_sound_options o)
{
    return complete(&o, x, "spectrogram") ? spectrogram(x, &o) : soma__failed(x);
}

/* --- mel bands ---------------------------------------------------------------------------------
 */

/* Slaney's scale: 200/3 Hz a mel up to 1 kHz, then 27 steps to 6.4 times as much. */
#define SLANEY_HZ (200.0 / 3)
#define SLANEY_KNEE 15.0
#define SLANEY_STEP (1.85629799036562 / 27) /* ln 6.4 / 27 */

static double mel_of(soma_mel_kind kind, double hz)
{
    if (kind == SOMA_MEL_HTK)
        return 2595 * log10(1 + hz / 700);
    return hz < 1000 ? hz / SLANEY_HZ : SLANEY_KNEE + log(hz / 1000) / SLANEY_STEP;
}

static double hz_of(soma_mel_kind kind, double mel)
{
    if (kind == SOMA_MEL_HTK)
        return 700 * (pow(10, mel / 2595) - 1);
    return mel < SLANEY_KNEE ? mel * SLANEY_HZ : 1000 * exp(SLANEY_STEP * (mel - SLANEY_KNEE));
}

/* [F,mels]: triangles between neighbours of mels + 2 points that lie evenly on the scale. */
static void fill_bands(double *to, const void *how)
{
    const soma_sound_options *o = how;
    const int64_t count = o->fft / 2 + 1;
    const double first = mel_of(o->mel, o->low), last = mel_of(o->mel, o->high);
    for (int64_t m = 0; m < o->mels; m++) {
        double hz[3];
        for (int i = 0; i < 3; i++)
            hz[i] = hz_of(o->mel, first + (last - first) * (double)(m + i) / (double)(o->mels + 1));
        const double height = o->mel == SOMA_MEL_SLANEY ? 2 / (hz[2] - hz[0]) : 1;
        for (int64_t f = 0; f < count; f++) {
            const double at = (double)f * (double)o->rate / (double)o->fft;
            const double up = (at - hz[0]) / (hz[1] - hz[0]), down = (hz[2] - at) / (hz[2] - hz[1]);
            to[f * o->mels + m] = height * fmax(0, fmin(up, down));
        }
    }
}

static soma_var decibels(soma_var x)
{
    const soma_dtype dtype = soma_var_dtype(x);
    soma_var least = soma_scalar(x.graph, dtype, 1e-10);
    soma_var db = soma_mul_scalar(soma_log(soma_maximum(x, least)), 10 / M_LN10);
    soma_var top = soma_max(db, .axes = {1, 2}, .count = 2, .keep_dims = true);
    return soma_maximum(db, soma_add_scalar(top, -80));
}

static soma_var mel_spectrogram(soma_var x, const soma_sound_options *o)
{
    soma_var bands = table(x, SOMA_SHAPE(o->fft / 2 + 1, o->mels), fill_bands, o);
    soma_var y = soma_matmul(spectrogram(x, o), bands);
    if (o->level == SOMA_LEVEL_LOG)
        return soma_log(soma_add_scalar(y, 1e-6));
    return o->level == SOMA_LEVEL_DB ? decibels(y) : y;
}

soma_var soma_mel_spectrogram_opt(soma_var x, soma_sound_options o)
{
    return complete_mel(&o, x, "mel_spectrogram") ? mel_spectrogram(x, &o) : soma__failed(x);
}

/* [mels, coefficients]: the orthonormal DCT-II. */
static void fill_cosines(double *to, const void *how)
{
    const soma_sound_options *o = how;
    const double n = (double)o->mels;
    for (int64_t m = 0; m < o->mels; m++)
        for (int64_t k = 0; k < o->coefficients; k++)
            to[m * o->coefficients + k] =
                (k ? sqrt(2 / n) : sqrt(1 / n)) * cos(M_PI / n * ((double)m + 0.5) * (double)k);
}

soma_var soma_mfcc_opt(soma_var x, soma_sound_options o)
{
    o.level = SOMA_LEVEL_DB;
    if (!complete_mel(&o, x, "mfcc"))
        return soma__failed(x);
    if (o.coefficients < 1 || o.coefficients > o.mels)
        return fail(x, SOMA_INVALID, "mfcc", "the coefficients must be from 1 to the bands");
    soma_var cosines = table(x, SOMA_SHAPE(o.mels, o.coefficients), fill_cosines, &o);
    return soma_matmul(mel_spectrogram(x, &o), cosines);
}

/* --- sampling rates ----------------------------------------------------------------------------
 */

#define CROSSINGS 6
#define ROLLOFF 0.99

/* From `from` cells to `to`, over their greatest common divisor; `width` cells around. */
typedef struct rates {
    int64_t from, to, width;
} rates;

/* [to, 2 width + from, 1]: of each of `to` new cells the weights of the old ones around. */
static void fill_sincs(double *to, const void *how)
{
    const rates *r = how;
    const double base = ROLLOFF * (double)(r->from < r->to ? r->from : r->to);
    const int64_t size = 2 * r->width + r->from;
    for (int64_t j = 0; j < r->to; j++)
        for (int64_t i = 0; i < size; i++) {
            double t = (double)(i - r->width) / (double)r->from - (double)j / (double)r->to;
            t = fmax(-CROSSINGS, fmin(CROSSINGS, t * base));
            const double window = cos(t * M_PI / CROSSINGS / 2);
            const double sinc = fabs(t) > 0 ? sin(M_PI * t) / (M_PI * t) : 1;
            to[j * size + i] = sinc * window * window * base / (double)r->from;
        }
}

static int64_t divisor(int64_t a, int64_t b)
{
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

soma_var soma_sound_resample(soma_var x, int64_t from, int64_t to)
{
    if (!soma_var_ok(x))
        return soma__failed(x);
    const soma_shape shape = soma_var_shape(x);
    if (shape.ndim != 2 || shape.dim[1] < 1 || !soma_dtype_is_float(soma_var_dtype(x)))
        return fail(x, SOMA_SHAPE, "sound_resample",
                    "waves must be floats [B,N] of a cell or more");
    if (from < 1 || to < 1)
        return fail(x, SOMA_INVALID, "sound_resample", "rates must be at least 1 Hz");
    const int64_t common = divisor(from, to);
    rates r = {.from = from / common, .to = to / common};
    if (r.from == r.to)
        return x;
    const double base = ROLLOFF * (double)(r.from < r.to ? r.from : r.to);
    r.width = (int64_t)ceil(CROSSINGS * (double)r.from / base);
    if (r.from > MOST_RATE || r.to > MOST_RATE || r.to * (2 * r.width + r.from) > MOST_TABLE)
        return fail(x, SOMA_UNSUPPORTED, "sound_resample",
                    "the rates have too little in common: their ratio must be one of numbers up to "
                    "4096");
    const int64_t before[2] = {0, r.width}, after[2] = {0, r.width + r.from};
    const int64_t size = shape.dim[1] + r.width + after[1];
    const int64_t length = (r.to * shape.dim[1] + r.from - 1) / r.from;
    soma_var w = table(x, SOMA_SHAPE(r.to, 2 * r.width + r.from, 1), fill_sincs, &r);
    soma_var y = soma_reshape(soma_pad(x, before, after, 2, 0), SOMA_SHAPE(shape.dim[0], size, 1));
    y = soma_conv1d(y, w, .stride = {r.from});
    return soma_slice(soma_reshape(y, SOMA_SHAPE(shape.dim[0], -1)), 1, 0, length);
}

/* --- SpecAugment -------------------------------------------------------------------------------
 */

/* [B,size]: 1 on a run of 0 to `most` cells that is drawn for each row, else 0. */
static soma_var run_of(soma_var key, int64_t batch, int64_t size, int64_t most, uint32_t stream)
{
    soma_var draw = soma_random_uniform(key, SOMA_SHAPE(batch, 2), stream);
    soma_var width = soma_floor(soma_mul_scalar(soma_slice(draw, 1, 0, 1), (double)(most + 1)));
    soma_var room = soma_add_scalar(soma_neg(width), (double)size + 1);
    soma_var first = soma_floor(soma_mul(soma_slice(draw, 1, 1, 2), room));
    soma_var at = soma_arange(key.graph, SOMA_F32, 0, (double)size, 1);
    return soma_logical_and(soma_less_equal(first, at), soma_less(at, soma_add(first, width)));
}

soma_var soma_spec_augment(soma_var x, soma_var key, int64_t time, int64_t bands, uint32_t stream)
{
    if (!soma_var_ok(x))
        return soma__failed(x);
    const soma_shape shape = soma_var_shape(x);
    if (shape.ndim != 3)
        return fail(x, SOMA_SHAPE, "spec_augment", "spectra must be [B,T,F]");
    if (time < 0 || bands < 0 || time > shape.dim[1] || bands > shape.dim[2])
        return fail(x, SOMA_INVALID, "spec_augment",
                    "a run is from 0 to all steps, and to all bands");
    const int64_t batch = shape.dim[0];
    soma_var mean = soma_mean(x, .axes = {1, 2}, .count = 2, .keep_dims = true);
    soma_var steps = run_of(key, batch, shape.dim[1], time, stream);
    soma_var rows = run_of(key, batch, shape.dim[2], bands, stream ^ 0x5bd1e995u);
    soma_var covered = soma_logical_or(soma_reshape(steps, SOMA_SHAPE(batch, shape.dim[1], 1)),
                                       soma_reshape(rows, SOMA_SHAPE(batch, 1, shape.dim[2])));
    return soma_where(covered, mean, x);
}
