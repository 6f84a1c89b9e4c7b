/* cluster.c: k-means, and how well clusters and labels agree. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/base.h"
#include "base/rng.h"
#include "soma/metrics.h"

static double squared_distance(const float *a, const float *b, int64_t width)
{
    double sum = 0;
    for (int64_t j = 0; j < width; j++) {
        double d = (double)a[j] - (double)b[j];
        sum += d * d;
    }
    return sum;
}

/* --- k-means ------------------------------------------------------------------------------------
 */

typedef struct kmeans {
    const float *x;
    int64_t count, width;
    int clusters;
    /* One attempt. */
    float *centres;
    int64_t *assigned;
    double *distance; /* [count] squared, to the own centre */
    double *sums;     /* [clusters, width] */
    int64_t *sizes;   /* [clusters] */
} kmeans;

static const float *sample(const kmeans *k, int64_t i)
{
    return k->x + i * k->width;
}

static void set_centre(kmeans *k, int c, int64_t from)
{
    memcpy(k->centres + c * k->width, sample(k, from), (size_t)k->width * sizeof(float));
}

/* k-means++: each further centre is a sample drawn with the chance of its squared distance. */
static void start(kmeans *k, uint64_t seed, int attempt)
{
    const soma__rng_key key = {seed, soma__rng_stream("kmeans"), (uint64_t)attempt};
    set_centre(k, 0, (int64_t)soma__rng_below(&key, 0, (uint64_t)k->count));
    for (int64_t i = 0; i < k->count; i++)
        k->distance[i] = squared_distance(sample(k, i), k->centres, k->width);
    for (int c = 1; c < k->clusters; c++) {
        double total = 0;
        for (int64_t i = 0; i < k->count; i++)
            total += k->distance[i];
        double left = total * (double)soma__rng_uniform(&key, (uint64_t)c << 32);
        /* Where all samples lie on centres already any of them will do. */
        int64_t chosen = c % k->count;
        for (int64_t i = 0; i < k->count && total > 0; i++) {
            if (k->distance[i] > 0) {
                chosen = i;
                left -= k->distance[i];
                if (left < 0)
                    break;
            }
        }
        set_centre(k, c, chosen);
        for (int64_t i = 0; i < k->count; i++) {
            double d = squared_distance(sample(k, i), k->centres + c * k->width, k->width);
            k->distance[i] = d < k->distance[i] ? d : k->distance[i];
        }
    }
}

/* Each sample to its nearest centre (the first of equals); returns the sum of squared distances. */
static double assign(kmeans *k)
{
    double inertia = 0;
    for (int64_t i = 0; i < k->count; i++) {
        double best = DBL_MAX;
        for (int c = 0; c < k->clusters; c++) {
            double d = squared_distance(sample(k, i), k->centres + c * k->width, k->width);
            if (d < best) {
                best = d;
                k->assigned[i] = c;
            }
        }
        k->distance[i] = best;
        inertia += best;
    }
    return inertia;
}

static void refill(kmeans *k, int cluster)
{
    int64_t farthest = -1;
    for (int64_t i = 0; i < k->count; i++)
        if (k->sizes[k->assigned[i]] > 1 &&
            (farthest < 0 || k->distance[i] > k->distance[farthest]))
            farthest = i;
    if (farthest < 0)
        return;
    const float *x = sample(k, farthest);
    int64_t old = k->assigned[farthest];
    for (int64_t j = 0; j < k->width; j++) {
        k->sums[old * k->width + j] -= (double)x[j];
        k->sums[cluster * k->width + j] = (double)x[j];
    }
    k->sizes[old]--;
    k->sizes[cluster] = 1;
    k->assigned[farthest] = cluster;
    k->distance[farthest] = 0;
}

/* Centres become the means of their samples; returns how far they moved, squared and summed. */
static double move(kmeans *k)
{
    memset(k->sums, 0, (size_t)(k->clusters * k->width) * sizeof *k->sums);
    memset(k->sizes, 0, (size_t)k->clusters * sizeof *k->sizes);
    for (int64_t i = 0; i < k->count; i++) {
        k->sizes[k->assigned[i]]++;
        for (int64_t j = 0; j < k->width; j++)
            k->sums[k->assigned[i] * k->width + j] += (double)sample(k, i)[j];
    }
    for (int c = 0; c < k->clusters; c++)
        if (!k->sizes[c])
            refill(k, c);
    double moved = 0;
    for (int c = 0; c < k->clusters; c++)
        for (int64_t j = 0; j < k->width && k->sizes[c]; j++) {
            float *centre = &k->centres[c * k->width + j];
            float mean = (float)(k->sums[c * k->width + j] / (double)k->sizes[c]);
            double step = (double)mean - (double)*centre;
            moved += step * step;
            *centre = mean;
        }
    return moved;
}

/* Mean variance of the features: what movements are measured by. False for a NaN or Inf. */
static bool spread_of(const float *x, int64_t count, int64_t width, double *out)
{
    double spread = 0;
    for (int64_t j = 0; j < width; j++) {
        double mean = 0, square = 0;
        for (int64_t i = 0; i < count; i++)
            mean += (double)x[i * width + j] / (double)count;
        for (int64_t i = 0; i < count; i++) {
            double d = (double)x[i * width + j] - mean;
            square += d * d;
        }
        spread += square / (double)count / (double)width;
    }
    *out = spread;
    return isfinite(spread);
}

static soma_status attempts(kmeans *k, float *centres, int64_t *assigned, double *inertia,
                            const soma_kmeans_options *o, double tolerance)
{
    int restarts = o->restarts > 0 ? o->restarts : 10;
    int64_t rounds = o->most_rounds > 0 ? o->most_rounds : 300;
    double best = INFINITY;
    for (int attempt = 0; attempt < restarts; attempt++) {
        start(k, o->seed, attempt);
        double sum = assign(k);
        for (int64_t round = 0; round < rounds; round++) {
            double moved = move(k);
            sum = assign(k);
            if (moved <= tolerance)
                break;
        }
        if (sum < best) {
            best = sum;
            memcpy(centres, k->centres, (size_t)k->clusters * (size_t)k->width * sizeof *centres);
            memcpy(assigned, k->assigned, (size_t)k->count * sizeof *assigned);
        }
    }
    if (inertia)
        *inertia = best;
    return SOMA_OK;
}

soma_status soma_kmeans(float *centres, int64_t *assigned, double *inertia, const float *x,
                        int64_t count, int64_t width, const soma_kmeans_options *options,
                        soma_error *err)
{
    kmeans k = {.x = x, .count = count, .width = width, .clusters = options->clusters};
    size_t cells;
    double spread, tolerance = options->tolerance > 0 ? options->tolerance : 1e-4;
    if (count < 1 || width < 1)
        return soma__fail(err, SOMA_INVALID, "k-means: %lld samples of %lld features",
                          (long long)count, (long long)width);
    if (k.clusters < 1 || k.clusters > count)
        return soma__fail(err, SOMA_INVALID, "k-means: %d clusters of %lld samples; take 1 to %lld",
                          k.clusters, (long long)count, (long long)count);
    if (!soma__mul((size_t)k.clusters, (size_t)width, &cells) || cells > SIZE_MAX / 8)
        return soma__fail(err, SOMA_INVALID, "k-means: %d centres of %lld features are too many",
                          k.clusters, (long long)width);
    if (!spread_of(x, count, width, &spread))
        return soma__fail(err, SOMA_NUMERIC, "k-means: a feature is not a finite number");
    k.centres = soma__calloc(cells, sizeof *k.centres);
    k.assigned = soma__calloc((size_t)count, sizeof *k.assigned);
    k.distance = soma__calloc((size_t)count, sizeof *k.distance);
    k.sums = soma__calloc(cells, sizeof *k.sums);
    k.sizes = soma__calloc((size_t)k.clusters, sizeof *k.sizes);
    soma_status status =
        k.centres && k.assigned && k.distance && k.sums && k.sizes
            ? attempts(&k, centres, assigned, inertia, options, tolerance * spread)
            : soma__fail(err, SOMA_MEMORY, "k-means: no memory for %lld samples", (long long)count);
    soma__free(k.centres);
    soma__free(k.assigned);
    soma__free(k.distance);
    soma__free(k.sums);
    soma__free(k.sizes);
    return status;
}

/* --- agreement ----------------------------------------------------------------------------------
 */

/* The number of clusters, from labels that are numbered from 0. */
static soma_status numbers(int64_t *out, const int64_t *labels, int64_t count, soma_error *err)
{
    int64_t most = -1;
    for (int64_t i = 0; i < count; i++) {
        if (labels[i] < 0 || labels[i] > INT32_MAX)
            return soma__fail(err, SOMA_INVALID, "sample %lld: cluster number %lld", (long long)i,
                              (long long)labels[i]);
        most = labels[i] > most ? labels[i] : most;
    }
    *out = most + 1;
    return count > 0 ? SOMA_OK : soma__fail(err, SOMA_INVALID, "there are no samples");
}

soma_status soma_silhouette(double *out, const float *x, const int64_t *assigned, int64_t count,
                            int64_t width, soma_error *err)
{
    int64_t clusters, used = 0;
    *out = NAN;
    SOMA__TRY(numbers(&clusters, assigned, count, err));
    double *sums = soma__calloc((size_t)clusters, sizeof *sums);
    int64_t *sizes = soma__calloc((size_t)clusters, sizeof *sizes);
    soma_status status = sums && sizes ? SOMA_OK
                                       : soma__fail(err, SOMA_MEMORY, "no memory for %lld clusters",
                                                    (long long)clusters);
    for (int64_t i = 0; i < count && status == SOMA_OK; i++)
        used += sizes[assigned[i]]++ == 0;
    if (status == SOMA_OK && used < 2)
        status = soma__fail(err, SOMA_INVALID, "a silhouette needs two clusters, there is one");
    double total = 0;
    for (int64_t i = 0; i < count && status == SOMA_OK; i++) {
        memset(sums, 0, (size_t)clusters * sizeof *sums);
        for (int64_t j = 0; j < count; j++)
            sums[assigned[j]] += sqrt(squared_distance(x + i * width, x + j * width, width));
        int64_t own = assigned[i];
        if (sizes[own] < 2)
            continue; /* alone: counts as 0 */
        double a = sums[own] / (double)(sizes[own] - 1), b = INFINITY;
        for (int64_t c = 0; c < clusters; c++)
            if (c != own && sizes[c])
                b = fmin(b, sums[c] / (double)sizes[c]);
        double widest = fmax(a, b);
        total += widest > 0 ? (b - a) / widest : 0;
    }
    if (status == SOMA_OK)
        *out = total / (double)count;
    soma__free(sums);
    soma__free(sizes);
    return status;
}

/* Counts of pairs [rows, cols] and their margins. */
typedef struct contingency {
    int64_t rows, cols;
    double *cells, *row, *col;
} contingency;

static void contingency_clear(contingency *t)
{
    soma__free(t->cells);
    soma__free(t->row);
    soma__free(t->col);
}

static soma_status contingency_make(contingency *t, const int64_t *a, const int64_t *b,
                                    int64_t count, soma_error *err)
{
    *t = (contingency){0};
    SOMA__TRY(numbers(&t->rows, a, count, err));
    SOMA__TRY(numbers(&t->cols, b, count, err));
    size_t cells;
    if (soma__mul((size_t)t->rows, (size_t)t->cols, &cells)) {
        t->cells = soma__calloc(cells, sizeof *t->cells);
        t->row = soma__calloc((size_t)t->rows, sizeof *t->row);
        t->col = soma__calloc((size_t)t->cols, sizeof *t->col);
    }
    if (!t->cells || !t->row || !t->col) {
        contingency_clear(t);
        return soma__fail(err, SOMA_MEMORY, "no memory for %lld x %lld clusters",
                          (long long)t->rows, (long long)t->cols);
    }
    for (int64_t i = 0; i < count; i++) {
        t->cells[a[i] * t->cols + b[i]]++;
        t->row[a[i]]++;
        t->col[b[i]]++;
    }
    return SOMA_OK;
}

static double entropy(const double *counts, int64_t n, double all)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum -= counts[i] > 0 ? counts[i] / all * log(counts[i] / all) : 0;
    return sum;
}

soma_status soma_nmi(double *out, const int64_t *a, const int64_t *b, int64_t count,
                     soma_error *err)
{
    contingency t;
    *out = NAN;
    SOMA__TRY(contingency_make(&t, a, b, count, err));
    double all = (double)count, mutual = 0;
    for (int64_t i = 0; i < t.rows; i++)
        for (int64_t j = 0; j < t.cols; j++) {
            double both = t.cells[i * t.cols + j];
            if (both > 0)
                mutual += both / all * log(both * all / (t.row[i] * t.col[j]));
        }
    double mean = (entropy(t.row, t.rows, all) + entropy(t.col, t.cols, all)) / 2;
    *out = mean > 0 ? fmax(mutual, 0) / mean : 1;
    contingency_clear(&t);
    return SOMA_OK;
}

static double pairs(double n)
{
    return n * (n - 1) / 2;
}

soma_status soma_adjusted_rand(double *out, const int64_t *a, const int64_t *b, int64_t count,
                               soma_error *err)
{
    contingency t;
    *out = NAN;
    SOMA__TRY(contingency_make(&t, a, b, count, err));
    double both = 0, rows = 0, cols = 0;
    for (int64_t i = 0; i < t.rows * t.cols; i++)
        both += pairs(t.cells[i]);
    for (int64_t i = 0; i < t.rows; i++)
        rows += pairs(t.row[i]);
    for (int64_t j = 0; j < t.cols; j++)
        cols += pairs(t.col[j]);
    double chance = count > 1 ? rows * cols / pairs((double)count) : 0;
    double most = (rows + cols) / 2;
    /* Both are one cluster, or all clusters are single samples: they agree. */
    *out = most - chance != 0 ? (both - chance) / (most - chance) : 1;
    contingency_clear(&t);
    return SOMA_OK;
}

soma_status soma_purity(double *out, const int64_t *clusters, const int64_t *labels, int64_t count,
                        soma_error *err)
{
    contingency t;
    *out = NAN;
    SOMA__TRY(contingency_make(&t, clusters, labels, count, err));
    double hit = 0;
    for (int64_t i = 0; i < t.rows; i++) {
        double best = 0;
        for (int64_t j = 0; j < t.cols; j++)
            best = fmax(best, t.cells[i * t.cols + j]);
        hit += best;
    }
    *out = hit / (double)count;
    contingency_clear(&t);
    return SOMA_OK;
}
