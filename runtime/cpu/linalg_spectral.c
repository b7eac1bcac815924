/* linalg_spectral.c - svd, pinv, eigh: singular values and eigenvalues of each matrix of a batch.
 *
 *     svd    A[.., m, n] -> U[.., m, u], S[.., k], V^H[.., v, n]                      params: full
 *            A -> S alone if there is one output. A = U S V^H; k = min(m, n); u = m and v = n if full,
 *            else k; S descending. LAPACK's gesdd (divide and conquer).
 *     pinv   A[.., m, n], rtol[..] -> P[.., n, m]: the inverse of Moore and Penrose; singular values
 *            that are not above rtol times the largest count as 0.
 *     eigh   A[.., n, n] -> W[.., n], V[.., n, n]; A -> W alone if there is one output.
 *            A V = V W for a Hermitian A, of which the lower triangle is read; W ascending. LAPACK's
 *            syevd.
 *
 * S and W are real, as rtol is. Any strides and sizes, 0 included. A matrix with infinite or NaN
 * elements gives NaN, and so does one for which LAPACK finds no solution. Outputs are new. All need
 * LAPACK. */
#include "linalg.h"

#include <math.h>
#include <string.h>

/* ---- svd --------------------------------------------------------------------------------------- */

static const char *svd_job(const pg_op *op)
{
    return op->n_out == 1 ? "N" : op->params[0] ? "A" : "S";
}

static void svd_one(const pg_linalg *job, int64_t index, char *memory, pg_work *w)
{
    const pg_op *op = job->op;
    bool vectors = op->n_out == 3;
    char *u = vectors ? pg_linalg_at(job->out[0], index, 2) : NULL;
    char *vh = vectors ? pg_linalg_at(job->out[2], index, 2) : NULL;
    char *s = pg_linalg_at(job->out[vectors], index, 1);
    int64_t rows = op->params[0] ? job->n : job->k, columns = op->params[0] ? job->m : job->k;
    if (job->k == 0) {
        if (vectors) pg_linalg_identity(job->lapack, u, job->m, columns);
        if (vectors) pg_linalg_identity(job->lapack, vh, rows, job->n);
        return;
    }
    bool good = pg_linalg_read(job->in[0], index, memory, false) &&
                pg_linalg_svd(job, svd_job(op), memory, u, s, vh, w) == 0;
    if (good) return;
    pg_dtype dtype = op->in[0].dtype;
    pg_linalg_fill_nan(pg_real_dtype(dtype), s, job->k);
    if (vectors) pg_linalg_fill_nan(dtype, u, job->m * columns);
    if (vectors) pg_linalg_fill_nan(dtype, vh, rows * job->n);
}

static pg_status svd_prepare(pg_op *op)
{
    PG_TRY(pg_linalg_counts(op, 1, op->n_out == 1 ? 1 : 3, 1));
    PG_TRY(pg_linalg_matrices(op));
    const pg_aval *x = &op->in[0];
    int64_t m = x->shape[x->ndim - 2], n = x->shape[x->ndim - 1], k = m < n ? m : n;
    bool full = op->params[0] != 0, vectors = op->n_out == 3;
    pg_dtype real = pg_real_dtype(x->dtype);
    PG_TRY(pg_linalg_aval(op, "S", &op->out[vectors], real, 1, k, 0));
    if (!vectors) return PG_OK;
    PG_TRY(pg_linalg_aval(op, "U", &op->out[0], x->dtype, 2, m, full ? m : k));
    return pg_linalg_aval(op, "V^H", &op->out[2], x->dtype, 2, full ? n : k, n);
}

static pg_status svd_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    pg_linalg job;
    PG_TRY(pg_linalg_begin(&job, op, in, out, true));
    PG_TRY(pg_linalg_outputs(&job, 0));
    job.work.lwork = -1;
    if (job.k == 0)
        job.work.lwork = 0;
    else if (pg_linalg_svd(&job, svd_job(op), NULL, NULL, NULL, NULL, &job.work) != 0)
        return pg_linalg_too_large(&job);
    job.bytes = (int64_t)job.m * job.n * job.lapack->item;
    job.one = svd_one;
    return pg_linalg_run(&job, 20.0 * job.m * job.n * job.k);
}

/* ---- pinv -------------------------------------------------------------------------------------- */

/* x /= s */
static void divide(pg_dtype dtype, char *x, int64_t count, double s)
{
    if (pg_dtype_is_complex(dtype)) count *= 2;
    for (int64_t i = 0; i < count; i++) {
        if (pg_real_dtype(dtype) == PG_FLOAT32)
            ((float *)x)[i] /= (float)s;
        else
            ((double *)x)[i] /= s;
    }
}

/* P = V S^+ U^H. To LAPACK, U lies there as U^T (k x m), V^H as conj(V) (n x k), and P as P^T. */
static void pinv_one(const pg_linalg *job, int64_t index, char *memory, pg_work *w)
{
    const pg_lapack *l = job->lapack;
    pg_dtype dtype = job->op->in[0].dtype;
    int m = job->m, n = job->n, k = job->k;
    char *u = memory + (int64_t)m * n * l->item, *vh = u + (int64_t)m * k * l->item;
    char *s = vh + (int64_t)k * n * l->item, *p = pg_linalg_at(job->out[0], index, 2);
    double rtol = pg_real_at(dtype, pg_linalg_at(job->in[1], index, 0), 0);
    if (!pg_linalg_read(job->in[0], index, memory, false) || rtol != rtol ||
        pg_linalg_svd(job, "S", memory, u, s, vh, w) != 0) {
        pg_linalg_fill_nan(dtype, p, (int64_t)m * n);
        return;
    }
    int rank = 0;
    while (rank < k && pg_real_at(dtype, s, rank) > rtol * pg_real_at(dtype, s, 0))
        rank++;
    for (int64_t j = 0; j < rank; j++)
        divide(dtype, vh + j * n * l->item, n, pg_real_at(dtype, s, j));
    if (rank)
        l->gemm("C", "C", &m, &n, &rank, l->one, u, &k, vh, &n, l->zero, p, &m, 1, 1);
    else
        memset(p, 0, (size_t)((int64_t)m * n * l->item));
}

static pg_status pinv_prepare(pg_op *op)
{
    PG_TRY(pg_linalg_counts(op, 2, 1, 0));
    PG_TRY(pg_linalg_matrices(op));
    const pg_aval *x = &op->in[0];
    int64_t m = x->shape[x->ndim - 2], n = x->shape[x->ndim - 1];
    PG_TRY(pg_linalg_aval(op, "rtol", &op->in[1], pg_real_dtype(x->dtype), 0, 0, 0));
    return pg_linalg_aval(op, "the output", &op->out[0], x->dtype, 2, n, m);
}

static pg_status pinv_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    pg_linalg job;
    PG_TRY(pg_linalg_begin(&job, op, in, out, true));
    PG_TRY(pg_linalg_outputs(&job, 0));
    if (op->out[0].count == 0) return PG_OK;
    job.work.lwork = -1;
    if (pg_linalg_svd(&job, "S", NULL, NULL, NULL, NULL, &job.work) != 0)
        return pg_linalg_too_large(&job);
    int64_t m = job.m, n = job.n, k = job.k;
    job.bytes = (m * n + m * k + k * n) * job.lapack->item + k * job.lapack->real_item;
    job.one = pinv_one;
    return pg_linalg_run(&job, 20.0 * job.m * job.n * job.k);
}

/* ---- eigh -------------------------------------------------------------------------------------- */

static void eigh_one(const pg_linalg *job, int64_t index, char *memory, pg_work *w)
{
    bool vectors = job->op->n_out == 2;
    pg_dtype dtype = job->op->in[0].dtype;
    int64_t n = job->n, item = job->lapack->item;
    char *values = pg_linalg_at(job->out[0], index, 1);
    char *a = vectors ? pg_linalg_at(job->out[1], index, 2) : memory;
    pg_linalg_read(job->in[0], index, a, true);
    bool good = true;
    for (int64_t j = 0; j < n; j++)
        good = good && pg_linalg_is_finite(dtype, a + j * (n + 1) * item, n - j);
    if (good && pg_lapack_syevd(job->lapack, vectors ? "V" : "N", job->n, a, values, w) == 0)
        return;
    pg_linalg_fill_nan(pg_real_dtype(dtype), values, n);
    pg_linalg_fill_nan(dtype, a, n * n);
}

static pg_status eigh_prepare(pg_op *op)
{
    PG_TRY(pg_linalg_counts(op, 1, op->n_out == 1 ? 1 : 2, 0));
    PG_TRY(pg_linalg_matrices(op));
    PG_REQUIRE(pg_linalg_square(op), "matrices are not square");
    const pg_aval *x = &op->in[0];
    int64_t n = x->shape[x->ndim - 1];
    PG_TRY(pg_linalg_aval(op, "the eigenvalues", &op->out[0], pg_real_dtype(x->dtype), 1, n, 0));
    if (op->n_out == 1) return PG_OK;
    return pg_linalg_aval(op, "the eigenvectors", &op->out[1], x->dtype, 2, n, n);
}

static pg_status eigh_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    pg_linalg job;
    PG_TRY(pg_linalg_begin(&job, op, in, out, true));
    PG_TRY(pg_linalg_outputs(&job, 2));
    if (op->out[0].count == 0) return PG_OK;
    job.work.lwork = -1;
    if (pg_lapack_syevd(job.lapack, op->n_out == 2 ? "V" : "N", job.n, NULL, NULL, &job.work) != 0)
        return pg_linalg_too_large(&job);
    job.bytes = op->n_out == 1 ? (int64_t)job.n * job.n * job.lapack->item : 0;
    job.one = eigh_one;
    return pg_linalg_run(&job, 9 * pow(job.n, 3));
}

const pg_kernel pg_cpu_linalg_spectral_kernels[] = {
    {"svd", svd_prepare, svd_run},
    {"pinv", pinv_prepare, pinv_run},
    {"eigh", eigh_prepare, eigh_run},
    {0},
};
