/* linalg_eig.c - eig: eigenvalues and right eigenvectors of each matrix of a batch.
 *
 *     eig    A[.., n, n] -> W[.., n], V[.., n, n]; A -> W alone if there is one output.
 *            A V = V W, W and V complex; columns of V have norm 1 and a largest element that is real.
 *            The order of W is that of LAPACK's geev.
 *
 * Any strides and sizes, 0 included. A matrix with infinite or NaN elements gives NaN, and so does one
 * for which LAPACK finds no solution. Outputs are new; V is column-major. Needs LAPACK. */
#include "linalg.h"

#include <math.h>

static pg_dtype complex_dtype(pg_dtype dtype)
{
    return pg_real_dtype(dtype) == PG_FLOAT32 ? PG_COMPLEX64 : PG_COMPLEX128;
}

/* Complex numbers from separate parts: to[i] = re[i] + sign i im[i]; im may be NULL. */
static void pair(pg_dtype dtype, char *to, const char *re, const char *im, double sign, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double x = pg_real_at(dtype, re, i), y = im ? sign * pg_real_at(dtype, im, i) : 0;
        if (dtype == PG_FLOAT32)
            ((float *)to)[2 * i] = (float)x, ((float *)to)[2 * i + 1] = (float)y;
        else
            ((double *)to)[2 * i] = x, ((double *)to)[2 * i + 1] = y;
    }
}

/* The results of a real matrix, from LAPACK's way to lay them out. */
static void unpack(pg_dtype dtype, int64_t n, const char *values, const char *vectors, char *w,
                   char *v)
{
    int64_t item = pg_dtype_size(dtype), column = n * item;
    const char *imaginary = values + column;
    pair(dtype, w, values, imaginary, 1, n);
    for (int64_t j = 0; v && j < n; j++) {
        const char *first = vectors + j * column;
        if (pg_real_at(dtype, imaginary, j) == 0 || j + 1 == n) {
            pair(dtype, v + 2 * j * column, first, NULL, 0, n);
            continue;
        }
        pair(dtype, v + 2 * j * column, first, first + column, 1, n);
        j++;
        pair(dtype, v + 2 * j * column, first, first + column, -1, n);
    }
}

static void eig_one(const pg_linalg *job, int64_t index, char *memory, pg_work *w)
{
    pg_dtype dtype = job->op->in[0].dtype, complex = complex_dtype(dtype);
    const char *how = job->op->n_out == 2 ? "V" : "N";
    int64_t n = job->n, matrix = n * n * job->lapack->item;
    char *values = pg_linalg_at(job->out[0], index, 1);
    char *vectors = job->op->n_out == 2 ? pg_linalg_at(job->out[1], index, 2) : NULL;
    char *real_vectors = memory + matrix, *real_values = real_vectors + matrix;
    bool direct = job->lapack->complex;
    bool good = pg_linalg_read(job->in[0], index, memory, true) &&
                pg_lapack_geev(job->lapack, how, job->n, memory, direct ? values : real_values,
                               direct ? vectors : real_vectors, w) == 0;
    if (good && !direct) unpack(dtype, n, real_values, real_vectors, values, vectors);
    if (good) return;
    pg_linalg_fill_nan(complex, values, n);
    if (vectors) pg_linalg_fill_nan(complex, vectors, n * n);
}

static pg_status eig_prepare(pg_op *op)
{
    PG_TRY(pg_linalg_counts(op, 1, op->n_out == 1 ? 1 : 2, 0));
    PG_TRY(pg_linalg_matrices(op));
    PG_REQUIRE(pg_linalg_square(op), "matrices are not square");
    const pg_aval *x = &op->in[0];
    int64_t n = x->shape[x->ndim - 1];
    pg_dtype complex = complex_dtype(x->dtype);
    PG_TRY(pg_linalg_aval(op, "the eigenvalues", &op->out[0], complex, 1, n, 0));
    if (op->n_out == 1) return PG_OK;
    return pg_linalg_aval(op, "the eigenvectors", &op->out[1], complex, 2, n, n);
}

static pg_status eig_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    pg_linalg job;
    PG_TRY(pg_linalg_begin(&job, op, in, out, true));
    PG_TRY(pg_linalg_outputs(&job, 2));
    if (op->out[0].count == 0) return PG_OK;
    job.work.lwork = -1;
    const char *how = op->n_out == 2 ? "V" : "N";
    if (pg_lapack_geev(job.lapack, how, job.n, NULL, NULL, NULL, &job.work) != 0)
        return pg_linalg_too_large(&job);
    int64_t n = job.n; /* the matrix; its vectors and values where they are packed */
    job.bytes = (2 * n * n + 2 * n) * job.lapack->item;
    job.one = eig_one;
    return pg_linalg_run(&job, 25 * pow(job.n, 3));
}

const pg_kernel pg_cpu_linalg_eig_kernels[] = {
    {"eig", eig_prepare, eig_run},
    {0},
};
