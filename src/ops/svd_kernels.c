/* svd_kernels.c: the reference kernels of singular values: Jacobi's method on one side (Golub & Van
 * Loan, 8.6.3). Turns pairs of the shorter side's vectors until all are at right angles; their
 * lengths are the singular values then. Vectors are rows here, each contiguous. */
#include "ops/linalg.h"

#include <float.h>
#include <string.h>

#define SWEEPS 64 /* which wants about ten */

/* One matrix: the k vectors w [k,longer], the turns v [k,k] (w = v a or v aᵀ) and s [k]. */
typedef struct svd {
    int64_t rows, cols, k, longer;
    double *w, *v, *s;
    bool tall;
} svd;

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void turn(double *a, double *b, int64_t n, double c, double s)
{
    for (int64_t i = 0; i < n; i++) {
        double x = a[i], y = b[i];
        a[i] = c * x - s * y;
        b[i] = s * x + c * y;
    }
}

static void swap(double *a, double *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

/* Vectors that are nothing but rounding have no angles to mend: `least` is the square of their
 * length. */
static bool turn_pair(const svd *d, int64_t p, int64_t q, double least)
{
    double *a = d->w + p * d->longer, *b = d->w + q * d->longer;
    double aa = dot(a, a, d->longer), bb = dot(b, b, d->longer), ab = dot(a, b, d->longer);
    if (fabs(ab) <= DBL_EPSILON * sqrt(aa) * sqrt(bb) || fmin(aa, bb) <= least)
        return false;
    double zeta = (bb - aa) / (2 * ab);
    double t = copysign(1, zeta) / (fabs(zeta) + hypot(1, zeta)), c = 1 / hypot(1, t);
    turn(a, b, d->longer, c, c * t);
    turn(d->v + p * d->k, d->v + q * d->k, d->k, c, c * t);
    return true;
}

/* Makes w's row i, of hardly any length, a unit vector at right angles to those before it: its own
 * direction if that is one, else the first axis that leaves enough. */
static void complete(const svd *d, int64_t i)
{
    double *x = d->w + i * d->longer;
    const double enough = 0.5 / sqrt((double)d->longer);
    for (int64_t axis = -1; axis < d->longer; axis++) {
        if (axis >= 0)
            for (int64_t j = 0; j < d->longer; j++)
                x[j] = j == axis;
        double length = sqrt(dot(x, x, d->longer)), first = 0;
        for (int round = 0; round < 2 && length > 0; round++) {
            for (int64_t j = 0; j < d->longer; j++)
                x[j] /= length;
            for (int64_t p = 0; p < i; p++) {
                const double *before = d->w + p * d->longer, along = dot(before, x, d->longer);
                for (int64_t j = 0; j < d->longer; j++)
                    x[j] -= along * before[j];
            }
            length = sqrt(dot(x, x, d->longer));
            first = round == 0 ? length : first;
        }
        if (first > enough) {
            for (int64_t j = 0; j < d->longer; j++)
                x[j] /= length;
            return;
        }
    }
}

/* Lengths to s, descending, unit vectors to w; the signs are those of the vectors of u. */
static void finish(const svd *d, double scale)
{
    for (int64_t i = 0; i < d->k; i++)
        d->s[i] = sqrt(dot(d->w + i * d->longer, d->w + i * d->longer, d->longer));
    for (int64_t i = 0; i < d->k; i++) {
        int64_t most = i;
        for (int64_t j = i + 1; j < d->k; j++)
            if (d->s[j] > d->s[most])
                most = j;
        if (most != i) {
            swap(d->s + i, d->s + most, 1);
            swap(d->w + i * d->longer, d->w + most * d->longer, d->longer);
            swap(d->v + i * d->k, d->v + most * d->k, d->k);
        }
    }
    for (int64_t i = 0; i < d->k; i++) {
        double *x = d->w + i * d->longer, *y = d->v + i * d->k;
        if (d->s[i] <= (double)d->longer * DBL_EPSILON * d->s[0])
            complete(d, i);
        else
            for (int64_t j = 0; j < d->longer; j++)
                x[j] /= d->s[i];
        double sign =
            d->tall ? soma__sign_of_peak(x, d->longer, 1) : soma__sign_of_peak(y, d->k, 1);
        for (int64_t j = 0; j < d->longer; j++)
            x[j] *= sign;
        for (int64_t j = 0; j < d->k; j++)
            y[j] *= sign;
        d->s[i] *= scale;
    }
}

/* Decomposes matrix m of the call; all NaN where a cell is not finite. */
static svd decompose(const soma__call *call, int64_t m, double *work)
{
    const soma__view *a = &call->in[0];
    svd d = {.rows = a->shape.dim[a->shape.ndim - 2], .cols = a->shape.dim[a->shape.ndim - 1]};
    d.tall = d.rows >= d.cols;
    d.k = d.tall ? d.cols : d.rows;
    d.longer = d.tall ? d.rows : d.cols;
    d.w = work;
    d.v = d.w + d.k * d.longer;
    d.s = d.v + d.k * d.k;
    double scale = 0;
    bool finite = true;
    for (int64_t i = 0; i < d.rows * d.cols; i++) {
        double x = soma__load(a->dtype, a->data, m * d.rows * d.cols + i);
        d.w[d.tall ? i % d.cols * d.longer + i / d.cols : i] = x;
        scale = fmax(scale, fabs(x));
        finite = finite && isfinite(x);
    }
    if (!finite) {
        for (int64_t i = 0; i < d.k * (d.longer + d.k + 1); i++)
            work[i] = NAN;
        return d;
    }
    scale = scale > 0 ? scale : 1;
    for (int64_t i = 0; i < d.k * d.longer; i++)
        d.w[i] /= scale; /* so that squares neither overflow nor vanish */
    for (int64_t i = 0; i < d.k * d.k; i++)
        d.v[i] = i / d.k == i % d.k;
    double rounding = DBL_EPSILON * sqrt(dot(d.w, d.w, d.k * d.longer));
    bool turned = true;
    for (int sweep = 0; sweep < SWEEPS && turned; sweep++) {
        turned = false;
        for (int64_t p = 0; p < d.k; p++)
            for (int64_t q = p + 1; q < d.k; q++)
                turned = turn_pair(&d, p, q, rounding * rounding) || turned;
    }
    finish(&d, scale);
    return d;
}

/* The k vectors, each of `size` cells, as columns. */
static void store_columns(const soma__view *y, int64_t m, const double *vectors, int64_t size,
                          int64_t k)
{
    for (int64_t i = 0; i < size; i++)
        for (int64_t j = 0; j < k; j++)
            soma__store(y->dtype, y->data, (m * size + i) * k + j, vectors[j * size + i]);
}

void soma__matrix_svd_u(const soma__call *call, int64_t m, double *work)
{
    svd d = decompose(call, m, work);
    store_columns(&call->out[0], m, d.tall ? d.w : d.v, d.rows, d.k);
}

void soma__matrix_svd_s(const soma__call *call, int64_t m, double *work)
{
    svd d = decompose(call, m, work);
    soma__matrix_store(&call->out[0], m, d.k, d.s);
}

void soma__matrix_svd_v(const soma__call *call, int64_t m, double *work)
{
    svd d = decompose(call, m, work);
    store_columns(&call->out[0], m, d.tall ? d.v : d.w, d.cols, d.k);
}

void soma__pinv_of_svd(const soma__call *call, const double *u, const double *s, const double *v,
                       double *out)
{
    const soma__view *a = &call->in[0];
    const soma__rcond_attrs *attrs = call->attrs;
    int64_t rows = a->shape.dim[a->shape.ndim - 2], cols = a->shape.dim[a->shape.ndim - 1];
    int64_t k = rows < cols ? rows : cols;
    memset(out, 0, (size_t)(rows * cols) * sizeof(*out));
    for (int64_t p = 0; p < k; p++) {
        if (s[p] <= soma__rcond(attrs->rcond, a->dtype, rows, cols) * s[0])
            continue; /* not NaN, which has to spread */
        for (int64_t i = 0; i < cols; i++) {
            double factor = v[p * cols + i] / s[p];
            for (int64_t j = 0; j < rows; j++)
                out[i * rows + j] += factor * u[p * rows + j];
        }
    }
}

void soma__matrix_pinv(const soma__call *call, int64_t m, double *work)
{
    svd d = decompose(call, m, work);
    double *out = d.s + d.k;
    soma__pinv_of_svd(call, d.tall ? d.w : d.v, d.s, d.tall ? d.v : d.w, out);
    soma__matrix_store(&call->out[0], m, d.rows * d.cols, out);
}
