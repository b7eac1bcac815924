/* linalg_det.c - det, slogdet, adjugate, of each matrix of a batch.
 *
 *     det       A[.., n, n] -> D[..]                   the determinant; 1 of 0 x 0
 *     slogdet   A[.., n, n] -> sign[..], L[..]         det A = sign exp(L); 0 and -inf if it is 0
 *     adjugate  A[.., n, n] -> X[.., n, n]             A X = X A = det(A) I; the transposed derivative of
 *                                                      the determinant
 *
 * Any strides and sizes, 0 included. A matrix with infinite or NaN elements gives NaN. Outputs are new.
 * All go through LAPACK's LU factors. Where these show a matrix that is singular or nearly so, the
 * adjugate comes from singular values: X = det(V) V diag(product of the others) U^H det(U). */
#include "linalg.h"

#include <complex.h>
#include <math.h>
#include <string.h>

/* ---- determinants ------------------------------------------------------------------------------ */

static int sign_of(const int *pivots, int n)
{
    int sign = 1;
    for (int i = 0; i < n; i++)
        if (pivots[i] != i + 1) sign = -sign;
    return sign;
}

typedef double _Complex number; /* elements of every dtype */

static number element(pg_dtype dtype, const char *x, int64_t i)
{
    if (!pg_dtype_is_complex(dtype)) return pg_real_at(dtype, x, i);
    return pg_real_at(dtype, x, 2 * i) + pg_real_at(dtype, x, 2 * i + 1) * I;
}

static void store(pg_dtype dtype, char *to, int64_t i, number value)
{
    switch (dtype) {
    case PG_FLOAT32: ((float *)to)[i] = (float)creal(value); break;
    case PG_FLOAT64: ((double *)to)[i] = creal(value); break;
    case PG_COMPLEX64: ((float _Complex *)to)[i] = (float _Complex)value; break;
    default: ((double _Complex *)to)[i] = value;
    }
}

/* The determinant from LU factors. */
static number det_of(pg_dtype dtype, const char *factors, const int *pivots, int64_t n)
{
    number product = sign_of(pivots, (int)n);
    for (int64_t i = 0; i < n; i++)
        product *= element(dtype, factors, i * (n + 1));
    return product;
}

static int64_t padded(int64_t bytes) { return (bytes + 63) & ~(int64_t)63; }

static void det_one(const pg_linalg *job, int64_t index, char *memory, pg_work *w)
{
    (void)w;
    pg_dtype dtype = job->op->in[0].dtype;
    int64_t n = job->n;
    int *pivots = (int *)(memory + padded(n * n * job->lapack->item));
    pg_linalg_factor(job, index, memory, pivots);
    char *out = pg_linalg_at(job->out[0], index, 0);
    if (job->op->n_out == 1) {
        store(dtype, out, 0, det_of(dtype, memory, pivots, n));
        return;
    }
    number sign = sign_of(pivots, job->n);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        number u = element(dtype, memory, i * (n + 1));
        double size = cabs(u);
        sign *= size == 0 ? 0 : u / size;
        sum += log(size);
    }
    store(dtype, out, 0, sign);
    store(pg_real_dtype(dtype), pg_linalg_at(job->out[1], index, 0), 0, sum);
}

static pg_status det_prepare(pg_op *op)
{
    PG_TRY(pg_linalg_counts(op, 1, op->n_out == 1 ? 1 : 2, 0));
    PG_TRY(pg_linalg_matrices(op));
    PG_REQUIRE(pg_linalg_square(op), "matrices are not square");
    pg_dtype dtype = op->in[0].dtype;
    PG_TRY(pg_linalg_aval(op, "output 0", &op->out[0], dtype, 0, 0, 0));
    if (op->n_out == 1) return PG_OK;
    return pg_linalg_aval(op, "output 1", &op->out[1], pg_real_dtype(dtype), 0, 0, 0);
}

static pg_status det_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    pg_linalg job;
    PG_TRY(pg_linalg_begin(&job, op, in, out, true));
    PG_TRY(pg_linalg_outputs(&job, 0));
    job.bytes = padded((int64_t)job.n * job.n * job.lapack->item) + job.n * (int64_t)sizeof(int);
    job.one = det_one;
    return pg_linalg_run(&job, pow(job.n, 3));
}

/* ---- adjugate ---------------------------------------------------------------------------------- */

typedef struct places {
    char *a, *u, *vh, *s;
    int *pivots;
} places;

static int64_t matrix_bytes(const pg_linalg *job)
{
    return padded((int64_t)job->n * job->n * job->lapack->item);
}

static places place(const pg_linalg *job, char *memory)
{
    int64_t matrix = matrix_bytes(job), vector = padded(job->n * 8);
    return (places){memory, memory + matrix, memory + 2 * matrix, memory + 3 * matrix,
                    (int *)(memory + 3 * matrix + vector)};
}

/* x *= factor */
static void scale(pg_dtype dtype, char *x, int64_t count, number factor)
{
    for (int64_t i = 0; i < count; i++)
        store(dtype, x, i, element(dtype, x, i) * factor);
}

/* Whether the pivots are far enough from 0 to divide by. */
static bool is_regular(pg_dtype dtype, const char *factors, int64_t n)
{
    double smallest = INFINITY, largest = 0;
    for (int64_t i = 0; i < n; i++) {
        double u = cabs(element(dtype, factors, i * (n + 1)));
        smallest = fmin(smallest, u);
        largest = fmax(largest, u);
    }
    return smallest > (pg_real_dtype(dtype) == PG_FLOAT32 ? 1e-3 : 1e-7) * largest;
}

/* The determinant of a matrix, which is lost. */
static number det_in_place(const pg_linalg *job, char *a, int *pivots)
{
    int info = 0;
    job->lapack->getrf(&job->n, &job->n, a, &job->n, pivots, &info);
    return det_of(job->op->in[0].dtype, a, pivots, job->n);
}

static bool adjugate_of_singular(const pg_linalg *job, int64_t index, places p, char *x, pg_work *w)
{
    const pg_lapack *l = job->lapack;
    pg_dtype dtype = job->op->in[0].dtype;
    const int *n = &job->n;
    int64_t size = job->n, row = size * l->item;
    pg_linalg_read(job->in[0], index, p.a, false);
    if (pg_linalg_svd(job, "S", p.a, p.u, p.s, p.vh, w) != 0) return false;
    memcpy(p.a, p.u, (size_t)(size * row));
    number phase = det_in_place(job, p.a, p.pivots);
    memcpy(p.a, p.vh, (size_t)(size * row));
    phase *= det_in_place(job, p.a, p.pivots);
    phase = conj(phase / cabs(phase)); /* what it scales is conjugated below */
    for (int64_t i = 0; i < size; i++) {
        number others = phase;
        for (int64_t j = 0; j < size; j++)
            if (j != i) others *= pg_real_at(dtype, p.s, j);
        scale(dtype, p.vh + i * row, size, others);
    }
    l->gemm("C", "C", n, n, n, l->one, p.u, n, p.vh, n, l->zero, x, n, 1, 1);
    return true;
}

static void adjugate_one(const pg_linalg *job, int64_t index, char *memory, pg_work *w)
{
    const pg_lapack *l = job->lapack;
    pg_dtype dtype = job->op->in[0].dtype;
    int64_t n = job->n;
    places p = place(job, memory);
    char *x = pg_linalg_at(job->out[0], index, 2);
    bool good = pg_linalg_factor(job, index, p.a, p.pivots);
    if (good && is_regular(dtype, p.a, n)) {
        /* the inverse of A, transposed: row-major to us */
        int info = 0;
        number det = det_of(dtype, p.a, p.pivots, n);
        pg_linalg_identity(l, x, n, n);
        l->getrs("T", &job->n, &job->n, p.a, &job->n, p.pivots, x, &job->n, &info, 1);
        scale(dtype, x, n * n, det);
    } else if (!good || !adjugate_of_singular(job, index, p, x, w)) {
        pg_linalg_fill_nan(dtype, x, n * n);
    }
}

static pg_status adjugate_prepare(pg_op *op)
{
    PG_TRY(pg_linalg_counts(op, 1, 1, 0));
    PG_TRY(pg_linalg_matrices(op));
    PG_REQUIRE(pg_linalg_square(op), "matrices are not square");
    int64_t n = op->in[0].shape[op->in[0].ndim - 1];
    return pg_linalg_aval(op, "the output", &op->out[0], op->in[0].dtype, 2, n, n);
}

static pg_status adjugate_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    pg_linalg job;
    PG_TRY(pg_linalg_begin(&job, op, in, out, true));
    PG_TRY(pg_linalg_outputs(&job, 0));
    if (op->out[0].count == 0) return PG_OK;
    job.work.lwork = -1;
    if (pg_linalg_svd(&job, "S", NULL, NULL, NULL, NULL, &job.work) != 0)
        return pg_linalg_too_large(&job);
    job.bytes = 3 * matrix_bytes(&job) + 2 * padded(job.n * 8);
    job.one = adjugate_one;
    return pg_linalg_run(&job, 3 * pow(job.n, 3));
}

const pg_kernel pg_cpu_linalg_det_kernels[] = {
    {"det", det_prepare, det_run},
    {"slogdet", det_prepare, det_run},
    {"adjugate", adjugate_prepare, adjugate_run},
    {0},
};
