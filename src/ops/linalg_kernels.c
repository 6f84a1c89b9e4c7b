/* linalg_kernels.c: the reference kernels of linear algebra, one matrix at a time. Each loads it
 * into double, works there and stores: rows are contiguous, a[i·n + j]. */
#include "ops/linalg.h"

#include <float.h>
#include <string.h>

#define SWEEPS 64 /* of Jacobi's method, which wants fewer than ten */

void soma__matrix_load(const soma__view *x, int64_t matrix, int64_t count, double *out)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = soma__load(x->dtype, x->data, matrix * count + i);
}

void soma__matrix_store(const soma__view *y, int64_t matrix, int64_t count, const double *values)
{
    for (int64_t i = 0; i < count; i++)
        soma__store(y->dtype, y->data, matrix * count + i, values[i]);
}

static int64_t last_dim(const soma__view *x, int back)
{
    return x->shape.dim[x->shape.ndim - back];
}

/* Empty matrices count: their determinant is 1. */
int64_t soma__matrix_count(const soma__call *call)
{
    const soma_shape *a = &call->in[0].shape;
    int64_t count = 1;
    for (int d = 0; d < a->ndim - 2; d++)
        count *= a->dim[d];
    return count;
}

size_t soma__linalg_scratch(const soma__call *call)
{
    /* The matrix, a result as large, that of the shorter side squared, the right side, two rows. */
    size_t m = (size_t)last_dim(&call->in[0], 2), n = (size_t)last_dim(&call->in[0], 1);
    size_t right = call->nin > 1 ? (size_t)last_dim(&call->in[1], 1) : 0, k = m < n ? m : n;
    return (2 * m * n + k * k + n * right + 2 * k) * sizeof(double);
}

/* --- LU ----------------------------------------------------------------------------------------
 */

static void swap_rows(double *a, int64_t width, int64_t i, int64_t j)
{
    for (int64_t k = 0; k < width; k++) {
        double kept = a[i * width + k];
        a[i * width + k] = a[j * width + k];
        a[j * width + k] = kept;
    }
}

/* Makes a upper triangular, doing the same to b [n,k]; returns the sign of the row exchanges. */
static double eliminate(double *a, int64_t n, double *b, int64_t k)
{
    double sign = 1;
    for (int64_t c = 0; c < n; c++) {
        int64_t best = c;
        for (int64_t i = c + 1; i < n; i++)
            if (fabs(a[i * n + c]) > fabs(a[best * n + c]))
                best = i;
        if (best != c) {
            swap_rows(a, n, best, c);
            swap_rows(b, k, best, c);
            sign = -sign;
        }
        double pivot = a[c * n + c];
        for (int64_t i = c + 1; i < n && pivot != 0; i++) {
            double factor = a[i * n + c] / pivot;
            for (int64_t j = c; j < n; j++)
                a[i * n + j] -= factor * a[c * n + j];
            for (int64_t j = 0; j < k; j++)
                b[i * k + j] -= factor * b[c * k + j];
        }
    }
    return sign;
}

/* b becomes x with op(a) x = b for a triangle a. */
static void substitute(const double *a, int64_t n, double *b, int64_t k, bool upper, bool transpose,
                       bool unit)
{
    bool backwards = upper != transpose;
    for (int64_t step = 0; step < n; step++) {
        int64_t i = backwards ? n - 1 - step : step;
        int64_t from = backwards ? i + 1 : 0, to = backwards ? n : i;
        for (int64_t c = 0; c < k; c++) {
            double sum = b[i * k + c];
            for (int64_t j = from; j < to; j++)
                sum -= (transpose ? a[j * n + i] : a[i * n + j]) * b[j * k + c];
            b[i * k + c] = unit ? sum : sum / a[i * n + i];
        }
    }
}

void soma__matrix_solve(const soma__call *call, int64_t m, double *work)
{
    int64_t n = last_dim(&call->in[0], 1), k = last_dim(&call->in[1], 1);
    double *a = work, *b = a + n * n;
    soma__matrix_load(&call->in[0], m, n * n, a);
    soma__matrix_load(&call->in[1], m, n * k, b);
    eliminate(a, n, b, k);
    substitute(a, n, b, k, true, false, false);
    soma__matrix_store(&call->out[0], m, n * k, b);
}

void soma__matrix_triangular_solve(const soma__call *call, int64_t m, double *work)
{
    const soma__triangle_attrs *t = call->attrs;
    int64_t n = last_dim(&call->in[0], 1), k = last_dim(&call->in[1], 1);
    double *a = work, *b = a + n * n;
    soma__matrix_load(&call->in[0], m, n * n, a);
    soma__matrix_load(&call->in[1], m, n * k, b);
    substitute(a, n, b, k, t->upper, t->transpose, t->unit);
    soma__matrix_store(&call->out[0], m, n * k, b);
}

/* Of what elimination leaves: the determinant, ln |det| or its sign (SOMA__DET, …). */
double soma__det_of_diagonal(const double *a, int64_t n, double sign, soma__det_part part)
{
    double det = sign, logs = 0;
    for (int64_t i = 0; i < n; i++) {
        double pivot = a[i * n + i];
        det *= pivot;
        logs += log(fabs(pivot));
        sign *= isnan(pivot) ? NAN : (double)((pivot > 0) - (pivot < 0));
    }
    return part == SOMA__DET ? det : part == SOMA__DET_SIGN ? sign : logs;
}

static void determinant(const soma__call *call, int64_t m, double *a, soma__det_part part)
{
    int64_t n = last_dim(&call->in[0], 1);
    soma__matrix_load(&call->in[0], m, n * n, a);
    double sign = eliminate(a, n, NULL, 0), result = soma__det_of_diagonal(a, n, sign, part);
    soma__matrix_store(&call->out[0], m, 1, &result);
}

void soma__matrix_det(const soma__call *call, int64_t m, double *work)
{
    determinant(call, m, work, SOMA__DET);
}
void soma__matrix_log_abs_det(const soma__call *call, int64_t m, double *work)
{
    determinant(call, m, work, SOMA__DET_LOG);
}
void soma__matrix_det_sign(const soma__call *call, int64_t m, double *work)
{
    determinant(call, m, work, SOMA__DET_SIGN);
}

/* --- Cholesky ----------------------------------------------------------------------------------
 */

/* Row by row, of the lower triangle alone; NaN everywhere where a root does not exist. */
static void cholesky(double *a, int64_t n)
{
    bool fine = true;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (int64_t k = 0; k < j; k++)
                sum -= a[i * n + k] * a[j * n + k];
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
            fine = fine && (i != j || sum > 0);
        }
        for (int64_t j = i + 1; j < n; j++)
            a[i * n + j] = 0;
    }
    for (int64_t i = 0; i < n * n && !fine; i++)
        a[i] = NAN;
}

void soma__matrix_cholesky(const soma__call *call, int64_t m, double *work)
{
    int64_t n = last_dim(&call->in[0], 1);
    soma__matrix_load(&call->in[0], m, n * n, work);
    cholesky(work, n);
    soma__matrix_store(&call->out[0], m, n * n, work);
}

/* --- QR ----------------------------------------------------------------------------------------
 */

/* a - tau v (vᵀ a) for columns [first, width), v = 1 and the cells of column c of `w` below c. */
static void reflect(double *a, int64_t width, int64_t first, const double *w, int64_t n,
                    int64_t rows, int64_t c, double tau)
{
    for (int64_t j = first; j < width; j++) {
        double sum = a[c * width + j];
        for (int64_t i = c + 1; i < rows; i++)
            sum += w[i * n + c] * a[i * width + j];
        sum *= tau;
        a[c * width + j] -= sum;
        for (int64_t i = c + 1; i < rows; i++)
            a[i * width + j] -= sum * w[i * n + c];
    }
}

/* R on and above the diagonal, Householder's vectors below, as LAPACK's geqrf leaves them. */
static void householder(double *a, int64_t rows, int64_t n, double *tau)
{
    for (int64_t c = 0; c < rows && c < n; c++) {
        double alpha = a[c * n + c], below = 0;
        for (int64_t i = c + 1; i < rows; i++)
            below = hypot(below, a[i * n + c]);
        tau[c] = 0;
        if (below == 0)
            continue;
        double beta = -copysign(hypot(alpha, below), alpha);
        tau[c] = (beta - alpha) / beta;
        for (int64_t i = c + 1; i < rows; i++)
            a[i * n + c] /= alpha - beta;
        a[c * n + c] = beta;
        reflect(a, n, c + 1, a, n, rows, c, tau[c]);
    }
}

static void qr(const soma__call *call, int64_t m, double *work, bool want_q)
{
    int64_t rows = last_dim(&call->in[0], 2), n = last_dim(&call->in[0], 1);
    int64_t k = rows < n ? rows : n;
    double *a = work, *q = a + rows * n, *tau = q + rows * k;
    soma__matrix_load(&call->in[0], m, rows * n, a);
    householder(a, rows, n, tau);
    if (want_q) {
        for (int64_t i = 0; i < rows * k; i++)
            q[i] = i / k == i % k;
        for (int64_t c = k - 1; c >= 0; c--)
            reflect(q, k, 0, a, n, rows, c, tau[c]);
        soma__matrix_store(&call->out[0], m, rows * k, q);
    } else {
        for (int64_t i = 1; i < k; i++)
            for (int64_t j = 0; j < i; j++)
                a[i * n + j] = 0;
        soma__matrix_store(&call->out[0], m, k * n, a);
    }
}

void soma__matrix_qr_q(const soma__call *call, int64_t m, double *work)
{
    qr(call, m, work, true);
}
void soma__matrix_qr_r(const soma__call *call, int64_t m, double *work)
{
    qr(call, m, work, false);
}

/* --- eigenvalues -------------------------------------------------------------------------------
 */

/* Turns rows and columns p and q of a, and columns of v, so that a[p,q] becomes 0 (Golub & Van
 * Loan, 8.5). */
static void rotate(double *a, double *v, int64_t n, int64_t p, int64_t q)
{
    double apq = a[p * n + q], theta = (a[q * n + q] - a[p * n + p]) / (2 * apq);
    double t = copysign(1, theta) / (fabs(theta) + hypot(1, theta));
    double c = 1 / hypot(1, t), s = t * c;
    for (int64_t i = 0; i < n; i++) {
        double x = a[i * n + p], y = a[i * n + q];
        a[i * n + p] = c * x - s * y;
        a[i * n + q] = s * x + c * y;
    }
    for (int64_t i = 0; i < n; i++) {
        double x = a[p * n + i], y = a[q * n + i];
        a[p * n + i] = c * x - s * y;
        a[q * n + i] = s * x + c * y;
        x = v[i * n + p], y = v[i * n + q];
        v[i * n + p] = c * x - s * y;
        v[i * n + q] = s * x + c * y;
    }
    a[p * n + q] = a[q * n + p] = 0;
}

static void jacobi(double *a, double *v, int64_t n)
{
    double norm = 0;
    for (int64_t i = 0; i < n * n; i++) {
        v[i] = i / n == i % n;
        norm = hypot(norm, a[i]);
    }
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        int64_t turned = 0;
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++)
                if (fabs(a[p * n + q]) > norm * DBL_EPSILON * DBL_EPSILON) {
                    rotate(a, v, n, p, q);
                    turned++;
                }
        if (!turned || !isfinite(norm))
            return;
    }
}

/* Cells that are equal but for rounding must not decide by it, so the first of them is taken. */
double soma__sign_of_peak(const double *v, int64_t count, int64_t step)
{
    double most = 0;
    for (int64_t i = 0; i < count; i++)
        most = fmax(most, fabs(v[i * step]));
    for (int64_t i = 0; i < count; i++)
        if (fabs(v[i * step]) >= most * (1 - 1e-6))
            return v[i * step] < 0 ? -1 : 1;
    return 1;
}

/* Swaps so that values (of the diagonal, in w) ascend; each vector's largest cell positive. */
static void order_pairs(double *w, double *v, int64_t n)
{
    for (int64_t c = 0; c < n; c++) {
        int64_t least = c;
        for (int64_t j = c + 1; j < n; j++)
            if (w[j] < w[least])
                least = j;
        double kept = w[c];
        w[c] = w[least];
        w[least] = kept;
        for (int64_t i = 0; i < n && least != c; i++) {
            kept = v[i * n + c];
            v[i * n + c] = v[i * n + least];
            v[i * n + least] = kept;
        }
        double sign = soma__sign_of_peak(v + c, n, n);
        for (int64_t i = 0; i < n; i++)
            v[i * n + c] *= sign;
    }
}

static void eigh(const soma__call *call, int64_t m, double *work, bool vectors)
{
    int64_t n = last_dim(&call->in[0], 1);
    double *a = work, *v = a + n * n, *w = v + n * n;
    soma__matrix_load(&call->in[0], m, n * n, a);
    bool finite = true;
    for (int64_t i = 0; i < n * n; i++)
        finite = finite && isfinite(a[i]);
    jacobi(a, v, n);
    for (int64_t i = 0; i < n; i++)
        w[i] = a[i * n + i];
    order_pairs(w, v, n);
    double *result = vectors ? v : w;
    int64_t count = vectors ? n * n : n;
    for (int64_t i = 0; i < count && !finite; i++)
        result[i] = NAN;
    soma__matrix_store(&call->out[0], m, count, result);
}

void soma__matrix_eigh_values(const soma__call *call, int64_t m, double *work)
{
    eigh(call, m, work, false);
}
void soma__matrix_eigh_vectors(const soma__call *call, int64_t m, double *work)
{
    eigh(call, m, work, true);
}

/* --- kernels -----------------------------------------------------------------------------------
 */

#define REFERENCE(name_)                                                                           \
    void soma__reference_##name_(const soma__call *call)                                           \
    {                                                                                              \
        for (int64_t m = 0; m < soma__matrix_count(call); m++)                                     \
            soma__matrix_##name_(call, m, call->scratch);                                          \
    }
SOMA__LINALG_OPS(REFERENCE)
