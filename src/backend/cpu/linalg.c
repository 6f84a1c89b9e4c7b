/* linalg.c: linear algebra by LAPACK, in double as its reference: threads share the matrices of a
 * batch, each is worked on by one.
 *
 * LAPACK is called by its Fortran interface, with work memory from the call's scratch. Its matrices
 * are stored by columns, so a matrix of rows is its own transpose there. What it cannot answer (a
 * cell that is not finite, a pivot of 0, no convergence) the reference kernel answers, matrix by
 * matrix, so that Inf and NaN are the same; and all of it in a build without LAPACK. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "backend/cpu/isa.h"
#include "base/pool.h"
#include "ops/linalg.h"

#define BLOCK_FLOPS 100000.0 /* small matrices are handed out together */
#define TILE 8
#define LARGEST 16384 /* of a side: LAPACK counts in int, and wants some n² of work */

typedef struct linalg_job linalg_job;
/* Matrix m by LAPACK; false where it has no answer. */
typedef bool lapack_fn(const linalg_job *job, int64_t m, double *work);
typedef void reference_fn(const soma__call *call, int64_t m, double *work);

struct linalg_job {
    const soma__call *call;
    lapack_fn *lapack;
    reference_fn *reference;
    size_t room;       /* bytes of scratch for each worker */
    int rows, cols, k; /* of the matrices; of the right side, else the shorter side */
    int count, block;  /* matrices in all, in a block */
};

#if SOMA_HAVE_LAPACK

#include <dlfcn.h>
#include <pthread.h>

/* The lengths of character arguments come last, as gfortran passes them. */
typedef void gesv_fn(const int *n, const int *nrhs, double *a, const int *lda, int *pivots,
                     double *b, const int *ldb, int *info);
typedef void getrf_fn(const int *m, const int *n, double *a, const int *lda, int *pivots,
                      int *info);
typedef void trtrs_fn(const char *uplo, const char *trans, const char *diag, const int *n,
                      const int *nrhs, const double *a, const int *lda, double *b, const int *ldb,
                      int *info, size_t, size_t, size_t);
typedef void potrf_fn(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t);
typedef void geqrf_fn(const int *m, const int *n, double *a, const int *lda, double *tau,
                      double *work, const int *lwork, int *info);
typedef void orgqr_fn(const int *m, const int *n, const int *k, double *a, const int *lda,
                      const double *tau, double *work, const int *lwork, int *info);
typedef void syevd_fn(const char *jobz, const char *uplo, const int *n, double *a, const int *lda,
                      double *w, double *work, const int *lwork, int *iwork, const int *liwork,
                      int *info, size_t, size_t);
typedef void gesdd_fn(const char *jobz, const int *m, const int *n, double *a, const int *lda,
                      double *s, double *u, const int *ldu, double *vt, const int *ldvt,
                      double *work, const int *lwork, int *iwork, int *info, size_t);

/* --- the library at hand -----------------------------------------------------------------------
 */

/* Opened when the first matrix is worked on: linked, it and what it needs would make every start of
 * a program several times slower. */
static struct lapack_library {
    gesv_fn *dgesv;
    getrf_fn *dgetrf;
    trtrs_fn *dtrtrs;
    potrf_fn *dpotrf;
    geqrf_fn *dgeqrf;
    orgqr_fn *dorgqr;
    syevd_fn *dsyevd;
    gesdd_fn *dgesdd;
    int (*openblas_parallel)(void); /* these three may be missing */
    int (*omp_threads)(void);
    void (*omp_set_threads)(int);
    bool found; /* and whole */
} fortran;
static pthread_once_t lapack_once = PTHREAD_ONCE_INIT;

/* Any LAPACK may stand behind the name. OpenBLAS built without threads has work memory that calls
 * from two threads take both (its results are then wrong now and then): it is called under a lock.
 */
static pthread_mutex_t lapack_lock = PTHREAD_MUTEX_INITIALIZER;

/* dlsym gives an address without a type; C lets it become a function only by its bytes. */
static bool find(void *library, const char *name, void *function)
{
    void *address = dlsym(library, name);
    memcpy(function, &address, sizeof(address));
    return address != NULL;
}

static void open_lapack(void)
{
    void *library = dlopen("liblapack.so.3", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return;
    fortran.found =
        find(library, "dgesv_", &fortran.dgesv) && find(library, "dgetrf_", &fortran.dgetrf) &&
        find(library, "dtrtrs_", &fortran.dtrtrs) && find(library, "dpotrf_", &fortran.dpotrf) &&
        find(library, "dgeqrf_", &fortran.dgeqrf) && find(library, "dorgqr_", &fortran.dorgqr) &&
        find(library, "dsyevd_", &fortran.dsyevd) && find(library, "dgesdd_", &fortran.dgesdd);
    /* Also found in the libraries that it brings with it. */
    (void)find(library, "openblas_get_parallel", &fortran.openblas_parallel);
    if (!find(library, "omp_get_max_threads", &fortran.omp_threads) ||
        !find(library, "omp_set_num_threads", &fortran.omp_set_threads))
        fortran.omp_threads = NULL;
}

static bool have_lapack(void)
{
    return pthread_once(&lapack_once, open_lapack) == 0 && fortran.found;
}

static bool not_for_threads(void)
{
    return fortran.openblas_parallel && fortran.openblas_parallel() == 0;
}

/* An OpenMP build would start threads of its own from each of ours. The number is the calling
 * thread's alone; returns what it was, 0 without OpenMP. */
static int set_inner_threads(int count)
{
    if (count < 1 || !fortran.omp_threads)
        return 0;
    int before = fortran.omp_threads();
    fortran.omp_set_threads(count);
    return before;
}

/* --- cells -------------------------------------------------------------------------------------
 */

static bool all_finite(const double *x, int64_t count)
{
    double sum = 0; /* NaN as soon as one cell is not finite */
    for (int64_t i = 0; i < count; i++)
        sum += x[i] * 0;
    return sum == 0;
}

/* y [cols,rows] = x [rows,cols] turned, tile by tile: whole columns of a matrix whose rows are a
 * power of two apart would fall on the same few cache lines. */
static void turn(const double *x, int64_t rows, int64_t cols, double *y)
{
    for (int64_t i0 = 0; i0 < rows; i0 += TILE)
        for (int64_t j0 = 0; j0 < cols; j0 += TILE)
            for (int64_t i = i0; i < rows && i < i0 + TILE; i++)
                for (int64_t j = j0; j < cols && j < j0 + TILE; j++)
                    y[j * rows + i] = x[i * cols + j];
}

/* Input `which` by rows, or through `work` by columns. */
static bool load(const linalg_job *job, int which, int64_t m, int64_t rows, int64_t cols,
                 double *to)
{
    soma__matrix_load(&job->call->in[which], m, rows * cols, to);
    return all_finite(to, rows * cols);
}

static bool load_turned(const linalg_job *job, int which, int64_t m, int64_t rows, int64_t cols,
                        double *to, double *work)
{
    bool finite = load(job, which, m, rows, cols, work);
    turn(work, rows, cols, to);
    return finite;
}

static void store_turned(const linalg_job *job, int64_t m, int64_t rows, int64_t cols,
                         const double *columns, double *work)
{
    turn(columns, cols, rows, work);
    soma__matrix_store(&job->call->out[0], m, rows * cols, work);
}

/* --- one matrix --------------------------------------------------------------------------------
 */

static bool lapack_solve(const linalg_job *job, int64_t m, double *work)
{
    int n = job->rows, k = job->k, info = 0;
    int64_t cells = (int64_t)n * n, right = (int64_t)n * k;
    double *a = work, *b = a + cells, *spare = b + right;
    int *pivots = (int *)(void *)(spare + (cells > right ? cells : right));
    if (!load_turned(job, 0, m, n, n, a, spare) || !load_turned(job, 1, m, n, k, b, spare))
        return false;
    fortran.dgesv(&n, &k, a, &n, pivots, b, &n, &info);
    if (info == 0)
        store_turned(job, m, n, k, b, spare);
    return info == 0;
}

/* By columns, a triangle above the diagonal is one below it, turned. */
static bool lapack_triangular_solve(const linalg_job *job, int64_t m, double *work)
{
    const soma__triangle_attrs *t = job->call->attrs;
    int n = job->rows, k = job->k, info = 0;
    double *a = work, *b = a + (int64_t)n * n, *spare = b + (int64_t)n * k;
    /* Cells of the other triangle are not looked at, so they may be anything. */
    soma__matrix_load(&job->call->in[0], m, (int64_t)n * n, a);
    for (int64_t i = 0; i < n; i++) {
        int64_t first = t->upper ? i : 0, last = t->upper ? n : i + 1;
        if (!all_finite(a + i * n + first, last - first))
            return false;
    }
    if (!load_turned(job, 1, m, n, k, b, spare))
        return false;
    fortran.dtrtrs(t->upper ? "L" : "U", t->transpose ? "N" : "T", t->unit ? "U" : "N", &n, &k, a,
                   &n, b, &n, &info, 1, 1, 1);
    if (info == 0)
        store_turned(job, m, n, k, b, spare);
    return info == 0;
}

/* The determinant of the transpose is the same. */
static bool determinant(const linalg_job *job, int64_t m, double *work, soma__det_part part)
{
    int n = job->rows, info = 0;
    int *pivots = (int *)(void *)(work + (int64_t)n * n);
    if (!load(job, 0, m, n, n, work))
        return false;
    fortran.dgetrf(&n, &n, work, &n, pivots, &info);
    if (info != 0)
        return false;
    double sign = 1;
    for (int i = 0; i < n; i++)
        sign = pivots[i] == i + 1 ? sign : -sign;
    double result = soma__det_of_diagonal(work, n, sign, part);
    soma__matrix_store(&job->call->out[0], m, 1, &result);
    return true;
}

static bool lapack_det(const linalg_job *job, int64_t m, double *work)
{
    return determinant(job, m, work, SOMA__DET);
}

static bool lapack_log_abs_det(const linalg_job *job, int64_t m, double *work)
{
    return determinant(job, m, work, SOMA__DET_LOG);
}

static bool lapack_det_sign(const linalg_job *job, int64_t m, double *work)
{
    return determinant(job, m, work, SOMA__DET_SIGN);
}

/* a = L Lᵀ by rows is a = Uᵀ U by columns. */
static bool lapack_cholesky(const linalg_job *job, int64_t m, double *work)
{
    int n = job->rows, info = 0;
    if (!load(job, 0, m, n, n, work))
        return false;
    fortran.dpotrf("U", &n, work, &n, &info, 1);
    if (info != 0)
        return false;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++)
            work[i * n + j] = 0;
    soma__matrix_store(&job->call->out[0], m, (int64_t)n * n, work);
    return true;
}

/* dgeqrf and dorgqr want a row of work; their blocks, of 32 columns, as many rows. */
#define QR_BLOCK 32

static bool qr(const linalg_job *job, int64_t m, double *work, bool want_q)
{
    int rows = job->rows, cols = job->cols, k = job->k, info = 0;
    int room = QR_BLOCK * (cols > 1 ? cols : 1);
    int64_t cells = (int64_t)rows * cols;
    double *a = work, *spare = a + cells, *tau = spare + cells, *more = tau + k;
    if (!load_turned(job, 0, m, rows, cols, a, spare))
        return false;
    fortran.dgeqrf(&rows, &cols, a, &rows, tau, more, &room, &info);
    if (info != 0)
        return false;
    if (want_q) {
        fortran.dorgqr(&rows, &k, &k, a, &rows, tau, more, &room, &info);
        if (info == 0)
            store_turned(job, m, rows, k, a, spare);
        return info == 0;
    }
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < cols; j++)
            spare[i * cols + j] = j < i ? 0 : a[j * rows + i];
    soma__matrix_store(&job->call->out[0], m, (int64_t)k * cols, spare);
    return true;
}

static bool lapack_qr_q(const linalg_job *job, int64_t m, double *work)
{
    return qr(job, m, work, true);
}

static bool lapack_qr_r(const linalg_job *job, int64_t m, double *work)
{
    return qr(job, m, work, false);
}

/* The least work that dsyevd takes. */
static int eigh_work(int n, bool vectors)
{
    return vectors ? 1 + 6 * n + 2 * n * n : 2 * n + 1;
}

static bool eigh(const linalg_job *job, int64_t m, double *work, bool vectors)
{
    int n = job->rows, lwork = eigh_work(n, vectors), liwork = vectors ? 3 + 5 * n : 1, info = 0;
    double *a = work, *w = a + (int64_t)n * n, *more = w + n;
    int *integers = (int *)(void *)(more + lwork);
    if (!load(job, 0, m, n, n, a))
        return false;
    fortran.dsyevd(vectors ? "V" : "N", "U", &n, a, &n, w, more, &lwork, integers, &liwork, &info,
                   1, 1);
    if (info != 0)
        return false;
    if (!vectors) {
        soma__matrix_store(&job->call->out[0], m, n, w);
        return true;
    }
    for (int64_t c = 0; c < n; c++) {
        double sign = soma__sign_of_peak(a + c * n, n, 1);
        for (int64_t i = 0; i < n; i++)
            a[c * n + i] *= sign;
    }
    store_turned(job, m, n, n, a, more);
    return true;
}

static bool lapack_eigh_values(const linalg_job *job, int64_t m, double *work)
{
    return eigh(job, m, work, false);
}

static bool lapack_eigh_vectors(const linalg_job *job, int64_t m, double *work)
{
    return eigh(job, m, work, true);
}

/* The least work that dgesdd takes (the bound of its newer versions, which is above the older), and
 * some to reduce by blocks. */
static int64_t svd_work(int64_t rows, int64_t cols, bool vectors)
{
    int64_t k = rows < cols ? rows : cols, side = rows < cols ? cols : rows;
    return (vectors ? 4 * k * k + 7 * k : 10 * k) + QR_BLOCK * (k + side);
}

/* By columns aᵀ = V diag(s) Uᵀ: `v` gets V's columns and `u` U's, each contiguous. */
typedef struct svd {
    double *u, *s, *v, *more;
} svd;

static bool decompose(const linalg_job *job, int64_t m, double *work, bool vectors, svd *d)
{
    int rows = job->rows, cols = job->cols, k = job->k, info = 0;
    int64_t cells = (int64_t)rows * cols;
    double *a = work, *u_turned = a + cells;
    *d = (svd){.u = u_turned + (int64_t)rows * k};
    d->v = d->u + (int64_t)rows * k;
    d->s = d->v + (int64_t)cols * k;
    d->more = d->s + k;
    int lwork = (int)svd_work(rows, cols, vectors);
    int *integers = (int *)(void *)(d->more + lwork);
    if (!load(job, 0, m, rows, cols, a))
        return false;
    fortran.dgesdd(vectors ? "S" : "N", &cols, &rows, a, &cols, d->s, d->v, &cols, u_turned, &k,
                   d->more, &lwork, integers, &info, 1);
    if (info != 0)
        return false;
    if (!vectors)
        return true;
    turn(u_turned, rows, k, d->u);
    for (int64_t c = 0; c < k; c++) {
        double sign = soma__sign_of_peak(d->u + c * rows, rows, 1);
        for (int64_t i = 0; i < rows; i++)
            d->u[c * rows + i] *= sign;
        for (int64_t i = 0; i < cols; i++)
            d->v[c * cols + i] *= sign;
    }
    return true;
}

static bool lapack_svd_u(const linalg_job *job, int64_t m, double *work)
{
    svd d;
    if (!decompose(job, m, work, true, &d))
        return false;
    store_turned(job, m, job->rows, job->k, d.u, work);
    return true;
}

static bool lapack_svd_s(const linalg_job *job, int64_t m, double *work)
{
    svd d;
    if (!decompose(job, m, work, false, &d))
        return false;
    soma__matrix_store(&job->call->out[0], m, job->k, d.s);
    return true;
}

static bool lapack_svd_v(const linalg_job *job, int64_t m, double *work)
{
    svd d;
    if (!decompose(job, m, work, true, &d))
        return false;
    store_turned(job, m, job->cols, job->k, d.v, work);
    return true;
}

static bool lapack_pinv(const linalg_job *job, int64_t m, double *work)
{
    svd d;
    if (!decompose(job, m, work, true, &d))
        return false;
    soma__pinv_of_svd(job->call, d.u, d.s, d.v, work);
    soma__matrix_store(&job->call->out[0], m, (int64_t)job->rows * job->cols, work);
    return true;
}

/* Cells of work that the functions above want, of double; integers are taken for as large. */
static size_t lapack_cells(const linalg_job *job)
{
    const char *op = job->call->op->name;
    int64_t m = job->rows, n = job->cols, k = m < n ? m : n, side = m < n ? n : m;
    int64_t cells = m * n, right = job->call->nin > 1 ? n * job->k : 0;
    if (strncmp(op, "svd", 3) == 0 || strcmp(op, "pinv") == 0)
        return (size_t)(cells + 2 * m * k + n * k + k + svd_work(m, n, true) + 8 * k);
    if (strncmp(op, "eigh", 4) == 0)
        return (size_t)(cells + n + eigh_work((int)n, true) + 3 + 5 * n);
    if (strncmp(op, "qr", 2) == 0)
        return (size_t)(2 * cells + k + QR_BLOCK * side);
    return (size_t)(2 * (cells + right) + n);
}

#define LAPACK(name_) lapack_##name_

#else

static int set_inner_threads(int count)
{
    (void)count;
    return 0;
}

static size_t lapack_cells(const linalg_job *job)
{
    (void)job;
    return 0;
}

#define LAPACK(name_) NULL

#endif

/* --- the batch ---------------------------------------------------------------------------------
 */

static linalg_job make_job(const soma__call *call)
{
    const soma_shape *a = &call->in[0].shape;
    linalg_job job = {.call = call,
                      .rows = (int)a->dim[a->ndim - 2],
                      .cols = (int)a->dim[a->ndim - 1],
                      .count = (int)soma__matrix_count(call)};
    job.k = job.rows < job.cols ? job.rows : job.cols;
    if (call->nin > 1)
        job.k = (int)call->in[1].shape.dim[call->in[1].shape.ndim - 1];
    size_t reference = soma__linalg_scratch(call), lapack = lapack_cells(&job) * sizeof(double);
    job.room = ((reference > lapack ? reference : lapack) + 63) / 64 * 64;
    double flops = soma__linalg_flops(call) / job.count;
    job.block = flops < BLOCK_FLOPS ? 1 + (int)(BLOCK_FLOPS / (flops + 100)) : 1;
    return job;
}

static void linalg_block(void *context, int64_t block, int worker)
{
    const linalg_job *job = context;
    double *work = (double *)(void *)((char *)job->call->scratch + (size_t)worker * job->room);
    int64_t first = block * job->block, last = first + job->block;
    int before = set_inner_threads(1);
    for (int64_t m = first; m < last && m < job->count; m++)
        if (!job->lapack || !job->lapack(job, m, work))
            job->reference(job->call, m, work);
    set_inner_threads(before);
}

static void run(const soma__call *call, lapack_fn *lapack, reference_fn *reference)
{
    linalg_job job = make_job(call);
    job.lapack = lapack;
    job.reference = reference;
    int64_t blocks = (job.count + job.block - 1) / job.block;
#if SOMA_HAVE_LAPACK
    if (!have_lapack()) {
        job.lapack = NULL;
    } else if (not_for_threads()) {
        pthread_mutex_lock(&lapack_lock);
        for (int64_t block = 0; block < blocks; block++)
            linalg_block(&job, block, 0);
        pthread_mutex_unlock(&lapack_lock);
        return;
    }
#endif
    soma__parallel(call->pool, blocks, linalg_block, &job);
}

static const char *refuses(const soma__call *call)
{
    for (int i = 0; i < call->nin; i++) {
        const soma_shape *shape = &call->in[i].shape;
        if (call->in[i].count == 0)
            return "a matrix is empty";
        if (shape->dim[shape->ndim - 1] > LARGEST || shape->dim[shape->ndim - 2] > LARGEST)
            return "a matrix has a side above 16384";
    }
    return soma__matrix_count(call) > INT_MAX ? "there are more matrices than an int counts" : NULL;
}

#define KERNEL(name_)                                                                              \
    const char *soma__refuses_##name_(const soma__call *call)                                      \
    {                                                                                              \
        return refuses(call);                                                                      \
    }                                                                                              \
    size_t soma__scratch_##name_(const soma__call *call, const soma__isa_table *isa, int threads)  \
    {                                                                                              \
        (void)isa;                                                                                 \
        return make_job(call).room * (size_t)threads;                                              \
    }                                                                                              \
    void soma__run_##name_(const soma__call *call, const soma__isa_table *isa)                     \
    {                                                                                              \
        (void)isa;                                                                                 \
        run(call, LAPACK(name_), soma__matrix_##name_);                                            \
    }
SOMA__LINALG_OPS(KERNEL)
