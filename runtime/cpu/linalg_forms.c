/* linalg_forms.c - reflections, hessenberg, tridiagonal, schur: forms that unitary matrices lead to.
 *
 *     reflections   A[.., m, n] -> F[.., m, n], tau[.., k], and columns int32[.., n] if there are three
 *                   outputs. k = min(m, n). F holds R of A = Q R, or of A[:, columns] = Q R whose
 *                   diagonal falls, in its upper triangle, and the vectors of reflections below:
 *                   Q = H_0 H_1 .., H_i = I - tau_i v_i v_i^H, v_i = (0 .., 1, F[i + 1 ..., i]).
 *     hessenberg    A[.., n, n] -> F[.., n, n], tau[.., n - 1]; n > 0. F holds H of A = Q H Q^H in its
 *                   upper triangle and first subdiagonal, and the vectors of reflections below these.
 *     tridiagonal   A[.., n, n] -> F[.., n, n], d real[.., n], e real[.., n - 1], tau[.., n - 1]; n > 0.
 *                   A = Q T Q^H for a Hermitian A of which one triangle is read; T has the diagonal d
 *                   and e beside it. F holds both and the vectors of reflections in that
 *                   triangle; its other one is that of A.                     params: whether it is the lower one
 *     schur         A[.., n, n] -> T[.., n, n], Z[.., n, n]; A -> T alone if there is one output.
 *                   A = Z T Z^H, Z unitary, T upper triangular; of real A with 2 x 2 blocks for pairs of
 *                   conjugate eigenvalues.
 *
 * Any strides, and sizes 0 where nothing else is said. A matrix with infinite or NaN elements (for
 * tridiagonal: in the triangle that is read) gives NaN, and columns 0, 1, 2, ...; so does one for
 * which LAPACK finds no solution. Outputs are new; matrices are column-major. All need LAPACK. */
#include "linalg.h"

#include <math.h>

/* ---- reflections ------------------------------------------------------------------------------- */

static void reflections_one(const pg_linalg *job, int64_t index, char *memory, pg_work *w)
{
    (void)memory;
    const pg_lapack *l = job->lapack;
    pg_dtype dtype = job->op->in[0].dtype;
    int m = job->m, n = job->n, lda = m > 1 ? m : 1, info = 0;
    char *a = pg_linalg_at(job->out[0], index, 2), *tau = pg_linalg_at(job->out[1], index, 1);
    int *columns = job->op->n_out == 3 ? (int *)pg_linalg_at(job->out[2], index, 1) : NULL;
    bool good = pg_linalg_read(job->in[0], index, a, true);
    bool chooses = columns && good && job->k;
    for (int i = 0; columns && i < n; i++)
        columns[i] = chooses ? 0 : i;
    if (!good) {
        pg_linalg_fill_nan(dtype, a, (int64_t)m * n);
        pg_linalg_fill_nan(dtype, tau, job->k);
    } else if (chooses) {
        pg_lapack_geqp3(l, m, n, a, columns, tau, w);
        for (int i = 0; i < n; i++)
            columns[i]--;
    } else if (job->k) {
        l->geqrf(&m, &n, a, &lda, tau, w->work, &w->lwork, &info);
    }
}

static pg_status reflections_prepare(pg_op *op)
{
    PG_TRY(pg_linalg_counts(op, 1, op->n_out == 3 ? 3 : 2, 0));
    PG_TRY(pg_linalg_matrices(op));
    const pg_aval *x = &op->in[0];
    int64_t m = x->shape[x->ndim - 2], n = x->shape[x->ndim - 1];
    PG_TRY(pg_linalg_aval(op, "the factors", &op->out[0], x->dtype, 2, m, n));
    PG_TRY(pg_linalg_aval(op, "tau", &op->out[1], x->dtype, 1, m < n ? m : n, 0));
    if (op->n_out == 2) return PG_OK;
    return pg_linalg_aval(op, "the columns", &op->out[2], PG_INT32, 1, n, 0);
}

static pg_status reflections_run(const pg_op *op, pg_array *const *in, pg_dying dying,
                                 pg_array **out)
{
    (void)dying;
    pg_linalg job;
    PG_TRY(pg_linalg_begin(&job, op, in, out, true));
    PG_TRY(pg_linalg_outputs(&job, 1));
    int m = job.m, n = job.n, lda = m > 1 ? m : 1, ask = -1, info = 0;
    double answer[2] = {0};
    job.work.lwork = -1;
    if (job.k == 0) {
        job.work.lwork = 0;
    } else if (op->n_out == 3) {
        if (pg_lapack_geqp3(job.lapack, m, n, NULL, NULL, NULL, &job.work) != 0)
            return pg_linalg_too_large(&job);
    } else {
        job.lapack->geqrf(&m, &n, NULL, &lda, NULL, answer, &ask, &info);
        if (!pg_work_size(job.lapack, answer, &job.work.lwork)) return pg_linalg_too_large(&job);
    }
    job.one = reflections_one;
    return pg_linalg_run(&job, 2.0 * m * n * job.k);
}

/* ---- hessenberg -------------------------------------------------------------------------------- */

static pg_status has_rows(const pg_op *op)
{
    PG_REQUIRE(pg_linalg_square(op) && op->in[0].shape[op->in[0].ndim - 1] > 0,
               "matrices are not square, or empty");
    return PG_OK;
}

static void hessenberg_one(const pg_linalg *job, int64_t index, char *memory, pg_work *w)
{
    (void)memory;
    pg_dtype dtype = job->op->in[0].dtype;
    int n = job->n, first = 1, info = 0;
    char *a = pg_linalg_at(job->out[0], index, 2), *tau = pg_linalg_at(job->out[1], index, 1);
    if (pg_linalg_read(job->in[0], index, a, true)) {
        job->lapack->gehrd(&n, &first, &n, a, &n, tau, w->work, &w->lwork, &info);
        return;
    }
    pg_linalg_fill_nan(dtype, a, (int64_t)n * n);
    pg_linalg_fill_nan(dtype, tau, n - 1);
}

static pg_status hessenberg_prepare(pg_op *op)
{
    PG_TRY(pg_linalg_counts(op, 1, 2, 0));
    PG_TRY(pg_linalg_matrices(op));
    PG_TRY(has_rows(op));
    const pg_aval *x = &op->in[0];
    int64_t n = x->shape[x->ndim - 1];
    PG_TRY(pg_linalg_aval(op, "the factors", &op->out[0], x->dtype, 2, n, n));
    return pg_linalg_aval(op, "tau", &op->out[1], x->dtype, 1, n - 1, 0);
}

static pg_status hessenberg_run(const pg_op *op, pg_array *const *in, pg_dying dying,
                                pg_array **out)
{
    (void)dying;
    pg_linalg job;
    PG_TRY(pg_linalg_begin(&job, op, in, out, true));
    PG_TRY(pg_linalg_outputs(&job, 1));
    int n = job.n, first = 1, ask = -1, info = 0;
    double answer[2] = {0};
    job.lapack->gehrd(&n, &first, &n, NULL, &n, NULL, answer, &ask, &info);
    if (!pg_work_size(job.lapack, answer, &job.work.lwork)) return pg_linalg_too_large(&job);
    job.one = hessenberg_one;
    return pg_linalg_run(&job, 10.0 / 3 * pow(n, 3));
}

/* ---- tridiagonal ------------------------------------------------------------------------------- */

static void tridiagonal_one(const pg_linalg *job, int64_t index, char *memory, pg_work *w)
{
    (void)memory;
    pg_dtype dtype = job->op->in[0].dtype;
    bool lower = job->op->params[0] != 0, good = true;
    int n = job->n, info = 0;
    int64_t item = job->lapack->item;
    char *a = pg_linalg_at(job->out[0], index, 2), *d = pg_linalg_at(job->out[1], index, 1);
    char *e = pg_linalg_at(job->out[2], index, 1), *tau = pg_linalg_at(job->out[3], index, 1);
    pg_linalg_read(job->in[0], index, a, true);
    for (int64_t j = 0; j < n; j++)
        good = good && pg_linalg_is_finite(dtype, a + (j * n + (lower ? j : 0)) * item,
                                           lower ? n - j : j + 1);
    if (good) {
        job->lapack->sytrd(lower ? "L" : "U", &n, a, &n, d, e, tau, w->work, &w->lwork, &info, 1);
        return;
    }
    pg_linalg_fill_nan(dtype, a, (int64_t)n * n);
    pg_linalg_fill_nan(pg_real_dtype(dtype), d, n);
    pg_linalg_fill_nan(pg_real_dtype(dtype), e, n - 1);
    pg_linalg_fill_nan(dtype, tau, n - 1);
}

static pg_status tridiagonal_prepare(pg_op *op)
{
    PG_TRY(pg_linalg_counts(op, 1, 4, 1));
    PG_TRY(pg_linalg_matrices(op));
    PG_TRY(has_rows(op));
    const pg_aval *x = &op->in[0];
    int64_t n = x->shape[x->ndim - 1];
    pg_dtype real = pg_real_dtype(x->dtype);
    PG_TRY(pg_linalg_aval(op, "the factors", &op->out[0], x->dtype, 2, n, n));
    PG_TRY(pg_linalg_aval(op, "the diagonal", &op->out[1], real, 1, n, 0));
    PG_TRY(pg_linalg_aval(op, "what is beside it", &op->out[2], real, 1, n - 1, 0));
    return pg_linalg_aval(op, "tau", &op->out[3], x->dtype, 1, n - 1, 0);
}

static pg_status tridiagonal_run(const pg_op *op, pg_array *const *in, pg_dying dying,
                                 pg_array **out)
{
    (void)dying;
    pg_linalg job;
    PG_TRY(pg_linalg_begin(&job, op, in, out, true));
    PG_TRY(pg_linalg_outputs(&job, 1));
    int n = job.n, ask = -1, info = 0;
    double answer[2] = {0};
    job.lapack->sytrd("L", &n, NULL, &n, NULL, NULL, NULL, answer, &ask, &info, 1);
    if (!pg_work_size(job.lapack, answer, &job.work.lwork)) return pg_linalg_too_large(&job);
    job.one = tridiagonal_one;
    return pg_linalg_run(&job, 4.0 / 3 * pow(n, 3));
}

/* ---- schur ------------------------------------------------------------------------------------- */

static const char *schur_job(const pg_op *op) { return op->n_out == 2 ? "V" : "N"; }

static void schur_one(const pg_linalg *job, int64_t index, char *memory, pg_work *w)
{
    pg_dtype dtype = job->op->in[0].dtype;
    int64_t n = job->n;
    char *t = pg_linalg_at(job->out[0], index, 2);
    char *z = job->op->n_out == 2 ? pg_linalg_at(job->out[1], index, 2) : NULL;
    bool good = pg_linalg_read(job->in[0], index, t, true) &&
                pg_lapack_gees(job->lapack, schur_job(job->op), job->n, t, memory, z, w) == 0;
    if (good) return;
    pg_linalg_fill_nan(dtype, t, n * n);
    if (z) pg_linalg_fill_nan(dtype, z, n * n);
}

static pg_status schur_prepare(pg_op *op)
{
    PG_TRY(pg_linalg_counts(op, 1, op->n_out == 1 ? 1 : 2, 0));
    PG_TRY(pg_linalg_matrices(op));
    PG_REQUIRE(pg_linalg_square(op), "matrices are not square");
    const pg_aval *x = &op->in[0];
    int64_t n = x->shape[x->ndim - 1];
    PG_TRY(pg_linalg_aval(op, "T", &op->out[0], x->dtype, 2, n, n));
    return op->n_out == 1 ? PG_OK : pg_linalg_aval(op, "Z", &op->out[1], x->dtype, 2, n, n);
}

static pg_status schur_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    pg_linalg job;
    PG_TRY(pg_linalg_begin(&job, op, in, out, true));
    PG_TRY(pg_linalg_outputs(&job, 3));
    if (op->out[0].count == 0) return PG_OK;
    job.work.lwork = -1;
    if (pg_lapack_gees(job.lapack, schur_job(op), job.n, NULL, NULL, NULL, &job.work) != 0)
        return pg_linalg_too_large(&job);
    job.bytes = 2 * (int64_t)job.n * job.lapack->item; /* the eigenvalues */
    job.one = schur_one;
    return pg_linalg_run(&job, 25 * pow(job.n, 3));
}

const pg_kernel pg_cpu_linalg_forms_kernels[] = {
    {"reflections", reflections_prepare, reflections_run},
    {"hessenberg", hessenberg_prepare, hessenberg_run},
    {"tridiagonal", tridiagonal_prepare, tridiagonal_run},
    {"schur", schur_prepare, schur_run},
    {0},
};
