/* linalg.c - batches of matrices: checks, outputs, work for all threads, copies (see linalg.h). */
#include "linalg.h"

#include <limits.h>
#include <string.h>

/* ---- preparing --------------------------------------------------------------------------------- */

pg_status pg_linalg_counts(const pg_op *op, int32_t n_in, int32_t n_out, int64_t n_params)
{
    PG_REQUIRE(op->n_in == n_in && op->n_out == n_out && op->n_params == n_params,
               "takes %d inputs, %d outputs and %lld parameters, not %d, %d and %lld", n_in, n_out,
               (long long)n_params, op->n_in, op->n_out, (long long)op->n_params);
    return PG_OK;
}

pg_dtype pg_real_dtype(pg_dtype dtype)
{
    return dtype == PG_FLOAT32 || dtype == PG_COMPLEX64 ? PG_FLOAT32 : PG_FLOAT64;
}

static int64_t reals_in(pg_dtype dtype, int64_t count)
{
    return pg_dtype_is_complex(dtype) ? 2 * count : count;
}

pg_status pg_linalg_matrices(const pg_op *op)
{
    const pg_aval *x = &op->in[0];
    if (x->dtype != PG_FLOAT32 && x->dtype != PG_FLOAT64 && !pg_dtype_is_complex(x->dtype))
        return pg_fail(PG_EUNSUPPORTED, "takes float32, float64 or complex numbers, not %s",
                       pg_dtype_name(x->dtype));
    PG_REQUIRE(x->ndim >= 2, "input 0 has %d axes, but matrices have 2", x->ndim);
    for (int32_t i = 1; i <= 2; i++)
        PG_REQUIRE(x->shape[x->ndim - i] < INT_MAX / 8,
                   "matrices of %lld rows or columns are too large",
                   (long long)x->shape[x->ndim - i]);
    return PG_OK;
}

bool pg_linalg_square(const pg_op *op)
{
    const pg_aval *x = &op->in[0];
    return x->shape[x->ndim - 1] == x->shape[x->ndim - 2];
}

pg_status pg_linalg_aval(const pg_op *op, const char *what, const pg_aval *x, pg_dtype dtype,
                         int n_core, int64_t rows, int64_t columns)
{
    const pg_aval *first = &op->in[0];
    int32_t lead = first->ndim - 2;
    PG_REQUIRE(x->dtype == dtype, "%s must be %s, not %s", what, pg_dtype_name(dtype),
               pg_dtype_name(x->dtype));
    PG_REQUIRE(x->ndim == lead + n_core, "%s has %d axes, expected %d", what, x->ndim,
               lead + n_core);
    int64_t core[] = {rows, columns};
    for (int32_t i = 0; i < x->ndim; i++) {
        int64_t expected = i < lead ? first->shape[i] : core[i - lead];
        PG_REQUIRE(x->shape[i] == expected, "axis %d of %s has size %lld, expected %lld", i, what,
                   (long long)x->shape[i], (long long)expected);
    }
    return PG_OK;
}

/* ---- running ----------------------------------------------------------------------------------- */

pg_status pg_linalg_begin(pg_linalg *job, const pg_op *op, pg_array *const *in, pg_array **out,
                          bool needs_lapack)
{
    const pg_aval *x = &op->in[0];
    *job = (pg_linalg){.op = op,
                       .in = in,
                       .out = out,
                       .lapack = pg_lapack_of(x->dtype),
                       .m = (int)x->shape[x->ndim - 2],
                       .n = (int)x->shape[x->ndim - 1]};
    job->k = job->m < job->n ? job->m : job->n;
    if (needs_lapack && !job->lapack)
        return pg_fail(PG_EDEVICE,
                       "needs LAPACK, and no library with it is loaded: install the package "
                       "scipy-openblas32, and do not set PG_BLAS=none");
    return PG_OK;
}

static void release_outputs(pg_linalg *job, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        pg_array_release(job->out[i]);
        job->out[i] = NULL;
    }
}

/* Exchanges the last two axes of a new array: its rows become adjacent in memory. */
static pg_status lay_by_columns(const pg_aval *aval, pg_array **array)
{
    int64_t strides[PG_MAX_NDIM];
    int32_t n = aval->ndim;
    int64_t item = pg_dtype_size(aval->dtype), rows = aval->shape[n - 2];
    memcpy(strides, (*array)->strides, (size_t)n * sizeof *strides);
    strides[n - 2] = item;
    strides[n - 1] = item * (rows > 1 ? rows : 1);
    pg_array *view;
    PG_TRY(pg_array_view(*array, (*array)->data, n, aval->shape, strides, &view));
    pg_array_release(*array);
    *array = view;
    return PG_OK;
}

pg_status pg_linalg_outputs(pg_linalg *job, uint32_t by_columns)
{
    for (int32_t i = 0; i < job->op->n_out; i++) {
        const pg_aval *aval = &job->op->out[i];
        pg_status status =
            pg_array_new(job->op->device, aval->dtype, aval->ndim, aval->shape, &job->out[i]);
        if (status == PG_OK && by_columns >> i & 1 && aval->count) {
            status = lay_by_columns(aval, &job->out[i]);
            if (status != PG_OK) pg_array_release(job->out[i]);
        }
        if (status != PG_OK) {
            release_outputs(job, i);
            return status;
        }
    }
    return PG_OK;
}

typedef struct sharing {
    const pg_linalg *job;
    atomic_bool no_memory;
} sharing;

static void run_matrices(void *context, int64_t begin, int64_t end)
{
    sharing *s = context;
    const pg_linalg *job = s->job;
    pg_device *device = job->op->device;
    int64_t own = (job->bytes + 63) & ~(int64_t)63;
    int64_t bytes = own + (job->lapack ? pg_work_bytes(job->lapack, &job->work) : 0);
    void *memory = NULL;
    if (bytes && pg_cpu_alloc(device, bytes, &memory) != PG_OK) {
        atomic_store(&s->no_memory, true);
        return;
    }
    pg_work work = job->work;
    if (memory && job->lapack) pg_work_place(job->lapack, &work, (char *)memory + own);
    for (int64_t i = begin; i < end; i++)
        job->one(job, i, memory, &work);
    if (bytes) pg_cpu_free(device, memory, bytes);
}

pg_status pg_linalg_run(pg_linalg *job, double flops)
{
    const pg_aval *x = &job->op->in[0];
    int64_t count = 1, results = 0;
    for (int32_t i = 0; i + 2 < x->ndim; i++)
        count *= x->shape[i];
    for (int32_t i = 0; i < job->op->n_out; i++)
        results |= job->op->out[i].count;
    if (results == 0) return PG_OK; /* there may still be very many empty matrices */
    sharing s = {.job = job};
    pg_parallel_for(count, (int64_t)(30000 / (flops + 1000)) + 1, run_matrices, &s);
    if (!atomic_load(&s.no_memory)) return PG_OK;
    release_outputs(job, job->op->n_out);
    return pg_fail(PG_ENOMEM, "no memory left for the workspace of %d x %d matrices", job->m,
                   job->n);
}

pg_status pg_linalg_too_large(pg_linalg *job)
{
    release_outputs(job, job->op->n_out);
    return pg_fail(PG_EINVAL, "%d x %d matrices are too large for LAPACK with 32-bit integers",
                   job->m, job->n);
}

/* ---- one matrix -------------------------------------------------------------------------------- */

char *pg_linalg_at(const pg_array *x, int64_t index, int32_t n_core)
{
    int64_t offset = 0;
    for (int32_t i = x->ndim - n_core; i-- > 0 && index;) {
        offset += index % x->shape[i] * x->strides[i];
        index /= x->shape[i];
    }
    return x->data + offset;
}

/* to[j * n + i] = the element at i * inner + j * outer, in tiles that stay in the cache */
#define COPY(name, T)                                                                             \
    static void name(const char *from, int64_t outer, int64_t inner, int64_t m, int64_t n, T *to) \
    {                                                                                             \
        enum { TILE = 32 };                                                                       \
        int64_t tile = inner == sizeof(T) ? n : TILE;                                             \
        for (int64_t j0 = 0; j0 < m; j0 += TILE)                                                  \
            for (int64_t i0 = 0; i0 < n; i0 += tile)                                              \
                for (int64_t j = j0; j < m && j < j0 + TILE; j++)                                 \
                    for (int64_t i = i0; i < n && i < i0 + tile; i++)                             \
                        to[j * n + i] = *(const T *)(from + i * inner + j * outer);               \
    }
COPY(copy_4, uint32_t)
COPY(copy_8, uint64_t)
typedef struct uint128 {
    uint64_t words[2];
} uint128;
COPY(copy_16, uint128)

bool pg_linalg_read(const pg_array *x, int64_t index, char *to, bool by_columns)
{
    const char *from = pg_linalg_at(x, index, 2);
    int32_t row = x->ndim - 2, column = x->ndim - 1;
    int32_t outer = by_columns ? column : row, inner = by_columns ? row : column;
    int64_t m = x->shape[outer], n = x->shape[inner];
    if (pg_dtype_size(x->dtype) == 4)
        copy_4(from, x->strides[outer], x->strides[inner], m, n, (uint32_t *)to);
    else if (pg_dtype_size(x->dtype) == 16)
        copy_16(from, x->strides[outer], x->strides[inner], m, n, (uint128 *)to);
    else
        copy_8(from, x->strides[outer], x->strides[inner], m, n, (uint64_t *)to);
    return pg_linalg_is_finite(x->dtype, to, m * n);
}

bool pg_linalg_is_finite(pg_dtype dtype, const char *x, int64_t count)
{
    enum { LANES = 16 };
    int64_t i = 0;
    count = reals_in(dtype, count);
    if (pg_real_dtype(dtype) == PG_FLOAT32) {
        float sums[LANES] = {0}; /* of zeros, or NaN */
        for (; i + LANES <= count; i += LANES)
            for (int64_t j = 0; j < LANES; j++)
                sums[j] += ((const float *)x)[i + j] * 0;
        for (; i < count; i++)
            sums[0] += ((const float *)x)[i] * 0;
        for (int64_t j = 1; j < LANES; j++)
            sums[0] += sums[j];
        return sums[0] == 0;
    }
    double sums[LANES] = {0};
    for (; i + LANES <= count; i += LANES)
        for (int64_t j = 0; j < LANES; j++)
            sums[j] += ((const double *)x)[i + j] * 0;
    for (; i < count; i++)
        sums[0] += ((const double *)x)[i] * 0;
    for (int64_t j = 1; j < LANES; j++)
        sums[0] += sums[j];
    return sums[0] == 0;
}

void pg_linalg_fill_nan(pg_dtype dtype, char *x, int64_t count)
{
    count = reals_in(dtype, count);
    for (int64_t i = 0; i < count; i++) {
        if (pg_real_dtype(dtype) == PG_FLOAT32)
            ((float *)x)[i] = __builtin_nanf("");
        else
            ((double *)x)[i] = __builtin_nan("");
    }
}

void pg_linalg_identity(const pg_lapack *l, char *x, int64_t m, int64_t n)
{
    memset(x, 0, (size_t)(m * n * l->item));
    for (int64_t i = 0; i < m && i < n; i++)
        memcpy(x + i * (m + 1) * l->item, l->one, (size_t)l->item);
}

bool pg_linalg_factor(const pg_linalg *job, int64_t index, char *a, int *pivots)
{
    int info = 0;
    bool good = pg_linalg_read(job->in[0], index, a, true);
    for (int i = 0; i < job->k; i++)
        pivots[i] = i + 1;
    if (good && job->k) job->lapack->getrf(&job->m, &job->n, a, &job->m, pivots, &info);
    if (!good) pg_linalg_fill_nan(job->op->in[0].dtype, a, (int64_t)job->m * job->n);
    return good;
}

void pg_linalg_pivots(const int *from_one, int k, int m, int32_t *pivots, int32_t *permutation)
{
    for (int i = 0; i < m; i++)
        permutation[i] = i;
    for (int i = 0; i < k; i++) {
        int other = from_one[i] - 1;
        int32_t row = permutation[i];
        permutation[i] = permutation[other];
        permutation[other] = row;
        if (pivots) pivots[i] = other;
    }
}

/* A in row-major order is A^T to LAPACK: its singular vectors come back exchanged and transposed,
 * which is U and V^H in row-major order. */
int pg_linalg_svd(const pg_linalg *job, const char *svd_job, char *a, char *u, char *s, char *vh,
                  pg_work *w)
{
    int u_columns = *svd_job == 'A' ? job->m : job->k;
    return pg_lapack_gesdd(job->lapack, svd_job, job->n, job->m, a, s, vh, job->n > 1 ? job->n : 1,
                           u, u_columns > 1 ? u_columns : 1, w);
}

double pg_real_at(pg_dtype dtype, const char *x, int64_t i)
{
    return pg_real_dtype(dtype) == PG_FLOAT32 ? ((const float *)x)[i] : ((const double *)x)[i];
}
