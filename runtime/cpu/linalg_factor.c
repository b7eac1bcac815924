/* linalg_factor.c - cholesky, lu, pivots_to_permutation, qr: factors of each matrix of a batch.
 *
 *     cholesky   A[.., n, n] -> L[.., n, n]                      A = L L^H, L lower triangular
 *                Reads the lower triangle of A. Zeros above the diagonal; NaN elsewhere if A is not
 *                positive definite. Has a simple loop of its own for real matrices where there is no LAPACK.
 *     lu         A[.., m, n] -> F[.., m, n], pivots int32[.., k], permutation int32[.., m]
 *                A[permutation] = L U; F holds U in its upper triangle and L, whose diagonal is 1,
 *                below. Row i was exchanged with row pivots[i]. A singular A gives zeros in U.
 *     pivots_to_permutation   pivots int32[.., k] -> int32[.., m]
 *                The permutation of m >= k rows that these exchanges make. Pivots below 0 or not below m
 *                exchange nothing. Needs no LAPACK.
 *     qr         A[.., m, n] -> Q[.., m, q], R[.., q, n]                              params: full
 *                q = m if full, else k = min(m, n). Householder's method; signs are LAPACK's.
 *
 * Any strides and sizes, 0 included. A matrix with infinite or NaN elements (for cholesky: in its
 * lower triangle) gives NaN, and the permutation 0, 1, 2, ... Outputs are new; F, Q and R are
 * column-major. */
#include "linalg.h"

#include <math.h>
#include <string.h>

/* ---- cholesky ---------------------------------------------------------------------------------- */

/* Row by row: each element is a difference of dot products of adjacent numbers. */
#define OWN_CHOLESKY(name, T, SQRT)                             \
    static bool name(T *a, int64_t n)                           \
    {                                                           \
        for (int64_t i = 0; i < n; i++)                         \
            for (int64_t j = 0; j <= i; j++) {                  \
                T *row = a + i * n, *other = a + j * n;         \
                T sum = 0;                                      \
                for (int64_t p = 0; p < j; p++)                 \
                    sum += row[p] * other[p];                   \
                T rest = row[j] - sum;                          \
                if (i == j && !(rest > 0)) return false;        \
                row[j] = i == j ? SQRT(rest) : rest / other[j]; \
            }                                                   \
        return true;                                            \
    }
OWN_CHOLESKY(own_cholesky_f32, float, sqrtf)
OWN_CHOLESKY(own_cholesky_f64, double, sqrt)

/* The row-major lower triangle is LAPACK's upper one, and LL^H its U^H U: nothing is transposed. */
static void cholesky_one(const pg_linalg *job, int64_t index, char *memory, pg_work *w)
{
    (void)memory, (void)w;
    pg_dtype dtype = job->op->in[0].dtype;
    int64_t n = job->n, item = pg_dtype_size(dtype);
    char *a = pg_linalg_at(job->out[0], index, 2);
    pg_linalg_read(job->in[0], index, a, false);
    bool good = true;
    for (int64_t i = 0; i < n; i++) {
        good = good && pg_linalg_is_finite(dtype, a + i * n * item, i + 1);
        memset(a + (i * n + i + 1) * item, 0, (size_t)((n - i - 1) * item));
    }
    if (good && job->lapack) {
        int info = 0;
        job->lapack->potrf("U", &job->n, a, &job->n, &info, 1);
        good = info == 0;
    } else if (good) {
        good = dtype == PG_FLOAT32 ? own_cholesky_f32((float *)a, n)
                                   : own_cholesky_f64((double *)a, n);
    }
    for (int64_t i = 0; i < n && !good; i++)
        pg_linalg_fill_nan(dtype, a + i * n * item, i + 1);
}

static pg_status cholesky_prepare(pg_op *op)
{
    PG_TRY(pg_linalg_counts(op, 1, 1, 0));
    PG_TRY(pg_linalg_matrices(op));
    PG_REQUIRE(pg_linalg_square(op), "matrices are not square");
    int64_t n = op->in[0].shape[op->in[0].ndim - 1];
    return pg_linalg_aval(op, "the output", &op->out[0], op->in[0].dtype, 2, n, n);
}

static pg_status cholesky_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    pg_linalg job;
    PG_TRY(pg_linalg_begin(&job, op, in, out, pg_dtype_is_complex(op->in[0].dtype)));
    PG_TRY(pg_linalg_outputs(&job, 0));
    if (op->out[0].count == 0) return PG_OK;
    job.one = cholesky_one;
    return pg_linalg_run(&job, pow(job.n, 3) / 3);
}

/* ---- lu ---------------------------------------------------------------------------------------- */

static void lu_one(const pg_linalg *job, int64_t index, char *memory, pg_work *w)
{
    (void)w;
    char *a = pg_linalg_at(job->out[0], index, 2);
    int *pivots = (int *)memory;
    pg_linalg_factor(job, index, a, pivots);
    pg_linalg_pivots(pivots, job->k, job->m, (int32_t *)pg_linalg_at(job->out[1], index, 1),
                     (int32_t *)pg_linalg_at(job->out[2], index, 1));
}

static pg_status lu_prepare(pg_op *op)
{
    PG_TRY(pg_linalg_counts(op, 1, 3, 0));
    PG_TRY(pg_linalg_matrices(op));
    const pg_aval *x = &op->in[0];
    int64_t m = x->shape[x->ndim - 2], n = x->shape[x->ndim - 1];
    PG_TRY(pg_linalg_aval(op, "the factors", &op->out[0], x->dtype, 2, m, n));
    PG_TRY(pg_linalg_aval(op, "the pivots", &op->out[1], PG_INT32, 1, m < n ? m : n, 0));
    return pg_linalg_aval(op, "the permutation", &op->out[2], PG_INT32, 1, m, 0);
}

static pg_status lu_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    pg_linalg job;
    PG_TRY(pg_linalg_begin(&job, op, in, out, true));
    PG_TRY(pg_linalg_outputs(&job, 1));
    job.one = lu_one;
    job.bytes = job.k * (int64_t)sizeof(int);
    return pg_linalg_run(&job, (double)job.m * job.n * job.k);
}

typedef struct exchanges {
    const pg_array *pivots;
    int32_t *permutation;
    int64_t k, m;
} exchanges;

static void permute(void *context, int64_t begin, int64_t end)
{
    const exchanges *e = context;
    int64_t stride = e->pivots->strides[e->pivots->ndim - 1];
    for (int64_t index = begin; index < end; index++) {
        const char *pivots = pg_linalg_at(e->pivots, index, 1);
        int32_t *permutation = e->permutation + index * e->m;
        for (int64_t i = 0; i < e->m; i++)
            permutation[i] = (int32_t)i;
        for (int64_t i = 0; i < e->k; i++) {
            int32_t other = *(const int32_t *)(pivots + i * stride), row = permutation[i];
            if (other < 0 || other >= e->m) continue;
            permutation[i] = permutation[other];
            permutation[other] = row;
        }
    }
}

static pg_status permute_prepare(pg_op *op)
{
    PG_TRY(pg_linalg_counts(op, 1, 1, 0));
    const pg_aval *pivots = &op->in[0], *out = &op->out[0];
    PG_REQUIRE(pivots->dtype == PG_INT32 && out->dtype == PG_INT32, "takes and gives int32");
    PG_REQUIRE(pivots->ndim >= 1 && out->ndim == pivots->ndim,
               "input and output need as many axes");
    int32_t last = out->ndim - 1;
    for (int32_t i = 0; i < last; i++)
        PG_REQUIRE(out->shape[i] == pivots->shape[i], "axis %d of the output has another size", i);
    PG_REQUIRE(out->shape[last] >= pivots->shape[last] && out->shape[last] < INT32_MAX,
               "%lld pivots of %lld rows", (long long)pivots->shape[last],
               (long long)out->shape[last]);
    return PG_OK;
}

static pg_status permute_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    const pg_aval *aval = &op->out[0];
    PG_TRY(pg_array_new(op->device, PG_INT32, aval->ndim, aval->shape, out));
    if (aval->count == 0) return PG_OK;
    int64_t m = aval->shape[aval->ndim - 1];
    exchanges e = {in[0], (int32_t *)out[0]->data, in[0]->shape[aval->ndim - 1], m};
    pg_parallel_for(aval->count / m, 20000 / m + 1, permute, &e);
    return PG_OK;
}

/* ---- qr ---------------------------------------------------------------------------------------- */

/* Columns of R have q elements. Where R is as tall as A, A is factored in its place, else in Q's. */
static void qr_one(const pg_linalg *job, int64_t index, char *memory, pg_work *w)
{
    const pg_lapack *l = job->lapack;
    int m = job->m, n = job->n, k = job->k, info = 0;
    int columns = job->op->params[0] ? m : k;
    int lda = m > 1 ? m : 1;
    int64_t item = l->item;
    char *q = pg_linalg_at(job->out[0], index, 2), *r = pg_linalg_at(job->out[1], index, 2);
    char *a = columns == m ? r : q;
    if (!pg_linalg_read(job->in[0], index, a, true)) {
        pg_linalg_fill_nan(job->op->in[0].dtype, q, (int64_t)m * columns);
        pg_linalg_fill_nan(job->op->in[0].dtype, r, (int64_t)columns * n);
        return;
    }
    if (k == 0) { /* LAPACK would not touch Q */
        pg_linalg_identity(l, q, m, columns);
        return;
    }
    l->geqrf(&m, &n, a, &lda, memory, w->work, &w->lwork, &info);
    for (int64_t j = 0; j < n; j++) {
        int64_t used = j + 1 < columns ? j + 1 : columns;
        char *column = r + j * columns * item;
        if (a == q)
            memcpy(column, a + j * m * item, (size_t)(used * item));
        else if (j < k)
            memcpy(q + j * m * item, column, (size_t)(m * item));
        memset(column + used * item, 0, (size_t)((columns - used) * item));
    }
    l->orgqr(&m, &columns, &k, q, &lda, memory, w->work, &w->lwork, &info);
}

static pg_status qr_prepare(pg_op *op)
{
    PG_TRY(pg_linalg_counts(op, 1, 2, 1));
    PG_TRY(pg_linalg_matrices(op));
    const pg_aval *x = &op->in[0];
    int64_t m = x->shape[x->ndim - 2], n = x->shape[x->ndim - 1];
    int64_t columns = op->params[0] || m < n ? m : n;
    PG_TRY(pg_linalg_aval(op, "Q", &op->out[0], x->dtype, 2, m, columns));
    return pg_linalg_aval(op, "R", &op->out[1], x->dtype, 2, columns, n);
}

static pg_status qr_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    pg_linalg job;
    PG_TRY(pg_linalg_begin(&job, op, in, out, true));
    PG_TRY(pg_linalg_outputs(&job, 3));
    const pg_lapack *l = job.lapack;
    int m = job.m, n = job.n, k = job.k, columns = op->params[0] ? m : k;
    int lda = m > 1 ? m : 1, ask = -1, info = 0, lwork = 1, second = 1;
    double answer[2] = {0};
    if (k) {
        l->geqrf(&m, &n, NULL, &lda, NULL, answer, &ask, &info);
        bool fits = pg_work_size(l, answer, &lwork);
        l->orgqr(&m, &columns, &k, NULL, &lda, NULL, answer, &ask, &info);
        if (!fits || !pg_work_size(l, answer, &second)) return pg_linalg_too_large(&job);
    }
    job.work.lwork = lwork > second ? lwork : second;
    job.bytes = k * l->item; /* the factors of the reflections */
    job.one = qr_one;
    return pg_linalg_run(&job, 4.0 * m * columns * n);
}

const pg_kernel pg_cpu_linalg_factor_kernels[] = {
    {"cholesky", cholesky_prepare, cholesky_run},
    {"lu", lu_prepare, lu_run},
    {"pivots_to_permutation", permute_prepare, permute_run},
    {"qr", qr_prepare, qr_run},
    {0},
};
