/* linalg_solve.c - triangular_solve and solve, for each matrix of a batch.
 *
 *     triangular_solve   A[.., n, n], B[.., m, r] -> X[.., m, r]
 *                        params: left, lower, transpose (0 none, 1 transpose, 2 conjugate transpose), unit
 *                        op(A) X = B if left (n = m), else X op(A) = B (n = r). Only the triangle of A
 *                        is read, and not its diagonal if unit: that counts as ones. A zero on the
 *                        diagonal gives infinities and NaN. Has loops of its own for real matrices where there is no BLAS.
 *     solve              A[.., n, n], B[.., n, r] -> X[.., n, r], F[.., n, n], permutation int32[.., n]
 *                        A X = B through the factors F of A, which are those of `lu`. A singular A gives
 *                        infinities and NaN. LAPACK's getrf and getrs.
 *
 * Any strides and sizes, 0 included. In solve, a matrix A with infinite or NaN elements gives
 * NaN. Outputs are new; F and the X of solve are column-major. */
#include "linalg.h"

#include <math.h>
#include <string.h>

/* ---- triangular_solve -------------------------------------------------------------------------- */

typedef struct triangle {
    const char *a;
    int64_t row, column; /* strides of op(A) in bytes */
    int64_t n;
    bool lower, unit; /* lower: op(A) is */
} triangle;

/* Row i of X after those it depends on (left); or, in each row of X, element j after those. */
#define OWN_SOLVE(name, T)                                                            \
    static void name(const triangle *t, bool left, int64_t m, int64_t r, T *x)        \
    {                                                                                 \
        for (int64_t step = 0; left && step < m; step++) {                            \
            int64_t i = t->lower ? step : m - 1 - step;                               \
            const char *row = t->a + i * t->row;                                      \
            for (int64_t j = t->lower ? 0 : i + 1; j < (t->lower ? i : m); j++) {     \
                T factor = *(const T *)(row + j * t->column);                         \
                for (int64_t c = 0; c < r; c++)                                       \
                    x[i * r + c] -= factor * x[j * r + c];                            \
            }                                                                         \
            for (int64_t c = 0; c < r && !t->unit; c++)                               \
                x[i * r + c] /= *(const T *)(row + i * t->column);                    \
        }                                                                             \
        for (int64_t i = 0; !left && i < m; i++)                                      \
            for (int64_t step = 0; step < r; step++) {                                \
                int64_t j = t->lower ? r - 1 - step : step;                           \
                const char *row = t->a + j * t->row;                                  \
                if (!t->unit) x[i * r + j] /= *(const T *)(row + j * t->column);      \
                for (int64_t c = t->lower ? 0 : j + 1; c < (t->lower ? j : r); c++)   \
                    x[i * r + c] -= x[i * r + j] * *(const T *)(row + c * t->column); \
            }                                                                         \
    }
OWN_SOLVE(own_solve_f32, float)
OWN_SOLVE(own_solve_f64, double)

enum { LEFT, LOWER, TRANSPOSE, UNIT };

static void triangular_one(const pg_linalg *job, int64_t index, char *memory, pg_work *w)
{
    (void)w;
    const pg_array *a = job->in[0];
    const pg_lapack *l = job->lapack;
    const int64_t *params = job->op->params;
    char *x = pg_linalg_at(job->out[0], index, 2);
    int32_t ndim = a->ndim;
    int64_t n = job->n, item = pg_dtype_size(a->dtype);
    int64_t row = a->strides[ndim - 2], column = a->strides[ndim - 1];
    int m = (int)job->op->out[0].shape[ndim - 2], r = (int)job->op->out[0].shape[ndim - 1];
    const char *from = pg_linalg_at(a, index, 2);
    bool transposed = params[TRANSPOSE] != 0;
    pg_linalg_read(job->in[1], index, x, false);
    if (!l) {
        triangle t = {from, transposed ? column : row,          transposed ? row : column,
                      n,    (params[LOWER] != 0) != transposed, params[UNIT] != 0};
        if (a->dtype == PG_FLOAT32)
            own_solve_f32(&t, params[LEFT], m, r, (float *)x);
        else
            own_solve_f64(&t, params[LEFT], m, r, (double *)x);
        return;
    }
    /* What lies in row-major order is transposed to BLAS: op(A) X = B is X^T op(A)^T = B^T, with the
     * sides and the triangles exchanged. An A in column-major order is taken as it is. */
    int64_t widest = INT32_MAX * item;
    bool by_rows = column == item && row >= n * item && row <= widest;
    bool by_columns =
        !by_rows && row == item && column >= n * item && column <= widest && params[TRANSPOSE] < 2;
    if (!by_rows && !by_columns) pg_linalg_read(a, index, memory, false), from = memory;
    int lda = (int)(by_columns ? column / item : by_rows ? row / item : n);
    bool lower = (params[LOWER] != 0) == by_columns;
    const char *how = params[TRANSPOSE] == 2 ? "C" : transposed == by_columns ? "N" : "T";
    l->trsm(params[LEFT] ? "R" : "L", lower ? "L" : "U", how, params[UNIT] ? "U" : "N", &r, &m,
            l->one, from, &lda, x, &r, 1, 1, 1, 1);
}

static pg_status triangular_prepare(pg_op *op)
{
    PG_TRY(pg_linalg_counts(op, 2, 1, 4));
    PG_TRY(pg_linalg_matrices(op));
    PG_REQUIRE(pg_linalg_square(op), "matrices are not square");
    PG_REQUIRE(op->params[TRANSPOSE] >= 0 && op->params[TRANSPOSE] <= 2,
               "there is no transpose %lld", (long long)op->params[TRANSPOSE]);
    const pg_aval *a = &op->in[0], *b = &op->in[1];
    PG_REQUIRE(b->ndim == a->ndim, "input 1 has %d axes, expected %d", b->ndim, a->ndim);
    int64_t n = a->shape[a->ndim - 1], m = b->shape[b->ndim - 2], r = b->shape[b->ndim - 1];
    PG_TRY(pg_linalg_aval(op, "input 1", b, a->dtype, 2, op->params[LEFT] ? n : m,
                          op->params[LEFT] ? r : n));
    PG_REQUIRE(m < INT32_MAX && r < INT32_MAX, "input 1 is too large");
    return pg_linalg_aval(op, "the output", &op->out[0], a->dtype, 2, m, r);
}

static pg_status triangular_run(const pg_op *op, pg_array *const *in, pg_dying dying,
                                pg_array **out)
{
    (void)dying;
    pg_linalg job;
    PG_TRY(pg_linalg_begin(&job, op, in, out, pg_dtype_is_complex(op->in[0].dtype)));
    PG_TRY(pg_linalg_outputs(&job, 0));
    if (op->out[0].count == 0) return PG_OK;
    job.bytes = job.lapack ? (int64_t)job.n * job.n * job.lapack->item : 0;
    job.one = triangular_one;
    const pg_aval *x = &op->out[0];
    return pg_linalg_run(&job, (double)job.n * (double)x->shape[x->ndim - 2] *
                                   (double)x->shape[x->ndim - 1]);
}

/* ---- solve ------------------------------------------------------------------------------------- */

static void solve_one(const pg_linalg *job, int64_t index, char *memory, pg_work *w)
{
    (void)w;
    int n = job->n, info = 0;
    int r = (int)job->op->out[0].shape[job->op->out[0].ndim - 1];
    char *x = pg_linalg_at(job->out[0], index, 2), *a = pg_linalg_at(job->out[1], index, 2);
    int *pivots = (int *)memory;
    bool good = pg_linalg_factor(job, index, a, pivots);
    pg_linalg_pivots(pivots, n, n, NULL, (int32_t *)pg_linalg_at(job->out[2], index, 1));
    pg_linalg_read(job->in[1], index, x, true);
    if (!good)
        pg_linalg_fill_nan(job->op->in[0].dtype, x, (int64_t)n * r);
    else if (n && r)
        job->lapack->getrs("N", &n, &r, a, &n, pivots, x, &n, &info, 1);
}

static pg_status solve_prepare(pg_op *op)
{
    PG_TRY(pg_linalg_counts(op, 2, 3, 0));
    PG_TRY(pg_linalg_matrices(op));
    PG_REQUIRE(pg_linalg_square(op), "matrices are not square");
    const pg_aval *a = &op->in[0], *b = &op->in[1];
    PG_REQUIRE(b->ndim == a->ndim, "input 1 has %d axes, expected %d", b->ndim, a->ndim);
    int64_t n = a->shape[a->ndim - 1], r = b->shape[b->ndim - 1];
    PG_REQUIRE(r < INT32_MAX, "input 1 is too large");
    PG_TRY(pg_linalg_aval(op, "input 1", b, a->dtype, 2, n, r));
    PG_TRY(pg_linalg_aval(op, "the output", &op->out[0], a->dtype, 2, n, r));
    PG_TRY(pg_linalg_aval(op, "the factors", &op->out[1], a->dtype, 2, n, n));
    return pg_linalg_aval(op, "the permutation", &op->out[2], PG_INT32, 1, n, 0);
}

static pg_status solve_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    pg_linalg job;
    PG_TRY(pg_linalg_begin(&job, op, in, out, true));
    PG_TRY(pg_linalg_outputs(&job, 3));
    job.bytes = job.n * (int64_t)sizeof(int);
    job.one = solve_one;
    double n = job.n;
    return pg_linalg_run(&job, n * n * n + 2 * n * n * (double)in[1]->shape[in[1]->ndim - 1]);
}

const pg_kernel pg_cpu_linalg_solve_kernels[] = {
    {"triangular_solve", triangular_prepare, triangular_run},
    {"solve", solve_prepare, solve_run},
    {0},
};
