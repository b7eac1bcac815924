/* linalg.h - what the kernels on batches of matrices share.
 *
 * An operand holds matrices in its last two axes; `index` counts them, row-major over the axes before.
 * Threads share out the matrices; LAPACK works on each by one thread. */
#ifndef PG_LINALG_H
#define PG_LINALG_H

#include "cpu.h"
#include "lapack.h"

typedef struct pg_linalg {
    const pg_op *op;
    pg_array *const *in;
    pg_array **out;
    const pg_lapack *lapack;
    int m, n;      /* rows and columns of the matrices of input 0 */
    int k;         /* the smaller of both */
    pg_work work;  /* for LAPACK */
    int64_t bytes; /* of further workspace for one matrix */
    /* Works on one matrix. `memory` has `bytes` bytes; w says and holds what `work` does. */
    void (*one)(const struct pg_linalg *job, int64_t index, char *memory, pg_work *w);
} pg_linalg;

/* ---- preparing ---------------------------------------------------------------------------------- */

pg_status pg_linalg_counts(const pg_op *op, int32_t n_in, int32_t n_out, int64_t n_params);
/* Checks that `x` has the leading axes of input 0, and then these `n_core` (0 to 2) axes. */
pg_status pg_linalg_aval(const pg_op *op, const char *what, const pg_aval *x, pg_dtype dtype,
                         int n_core, int64_t rows, int64_t columns);
/* Checks that input 0 is a batch of matrices of a dtype that these kernels take. */
pg_status pg_linalg_matrices(const pg_op *op);
bool pg_linalg_square(const pg_op *op);
pg_dtype pg_real_dtype(pg_dtype dtype); /* float32 for float32 and complex64, else float64 */

/* ---- running ------------------------------------------------------------------------------------ */

/* A job for input 0; fails with PG_EDEVICE if LAPACK is needed and not there. */
pg_status pg_linalg_begin(pg_linalg *job, const pg_op *op, pg_array *const *in, pg_array **out,
                          bool needs_lapack);
/* Makes all outputs. Bit i of `by_columns`: the matrices of output i are column-major. */
pg_status pg_linalg_outputs(pg_linalg *job, uint32_t by_columns);
/* Calls job->one for each matrix. `flops`: of one. Outputs are released if it fails. */
pg_status pg_linalg_run(pg_linalg *job, double flops);
/* Releases the outputs and fails because LAPACK cannot do it. */
pg_status pg_linalg_too_large(pg_linalg *job);

/* ---- one matrix --------------------------------------------------------------------------------- */

/* Element 0 of item `index` of `x`, which has `n_core` axes. */
char *pg_linalg_at(const pg_array *x, int64_t index, int32_t n_core);
/* A dense copy of matrix `index` of x, column- or row-major. Returns false, and copies, if an element
 * is infinite or NaN. */
bool pg_linalg_read(const pg_array *x, int64_t index, char *to, bool by_columns);
bool pg_linalg_is_finite(pg_dtype dtype, const char *x, int64_t count);
void pg_linalg_fill_nan(pg_dtype dtype, char *x, int64_t count);
/* An m x n column-major matrix with ones on its diagonal, else zeros. */
void pg_linalg_identity(const pg_lapack *l, char *x, int64_t m, int64_t n);
/* Factors a matrix of input 0 into `a`, column-major; with NaN, and returns false, if it is not finite. */
bool pg_linalg_factor(const pg_linalg *job, int64_t index, char *a, int *pivots);
/* LAPACK's row exchanges as 0-based indices (if wanted), and as the permutation of m rows. */
void pg_linalg_pivots(const int *from_one, int k, int m, int32_t *pivots, int32_t *permutation);
/* Singular values of a row-major matrix, which is lost; with job "S" or "A" its row-major U (m x k or
 * m x m) and V^H (k x n or n x n), too. With w->lwork = -1 it only says in w what it needs. Returns
 * LAPACK's info. */
int pg_linalg_svd(const pg_linalg *job, const char *svd_job, char *a, char *u, char *s, char *vh,
                  pg_work *w);
double pg_real_at(pg_dtype dtype, const char *x, int64_t i); /* a real number of the dtype's kind */

#endif
