/* fft.c - fft, rfft, irfft: discrete Fourier transforms over the last axis.
 *
 *     fft     x[.., n] -> X[.., n]             X[k] = s sum over j of x[j] exp(-+ 2 pi i j k / n)
 *     rfft    x[.., n] -> X[.., n / 2 + 1]     the first half of the same for real x
 *     irfft   X[.., n / 2 + 1] -> x[.., n]     real x from such a half, with exp(+ ...); the imaginary
 *             parts of X[0], and of X[n / 2] if n is even, are not read
 *                              params: inverse (fft only: exp(+ ...)), scale: s = 1, 1 / n or n**-0.5 for
 *                              0, 1 and 2
 *
 * x is float32 or float64 where it is real, else complex64 or complex128, like X. n >= 1, any strides. NaN and infinities stay in their row. Outputs are dense and
 * new. The error is O(eps log n): mixed radices 2 to 61, and Bluestein's convolution where n has a
 * larger prime factor. Rows are transformed side by side, one in each lane of a vector, so that every
 * operation is on whole vectors; a row that is left alone goes through the same code for scalars.
 *
 * Compiled once per instruction set. */
#include "fft.h"

#include <math.h>
#include <string.h>

typedef enum fft_kind { COMPLEX, FROM_REAL, TO_REAL } fft_kind;

typedef struct fft_job {
    const pg_op *op;
    const pg_fft_plan *plan;
    fft_kind kind;
    bool inverse;
    double scale;
    const pg_array *x;
    int64_t step, part; /* strides in bytes: to the next number, to the imaginary part */
    char *out;
    int64_t out_row; /* bytes */
    int64_t rows;
    int64_t data, elements; /* complex numbers of a row, and with workspace */
    atomic_bool no_memory;
} fft_job;

enum { LANE_BYTES = 32 };
typedef float floats __attribute__((vector_size(LANE_BYTES)));
typedef double doubles __attribute__((vector_size(LANE_BYTES)));

#define T float
#define V float
#define FFT(name) name##_f32
#include "fft_passes.h"
#undef V
#undef FFT
#define V floats
#define FFT(name) name##_f32s
#include "fft_passes.h"
#undef T
#undef V
#undef FFT
#define T double
#define V double
#define FFT(name) name##_f64
#include "fft_passes.h"
#undef V
#undef FFT
#define V doubles
#define FFT(name) name##_f64s
#include "fft_passes.h"
#undef T
#undef V
#undef FFT

void PG_ISA_NAME(pg_fft_row)(const pg_fft_plan *plan, void *data, void *work)
{
    if (plan->real == PG_FLOAT32)
        transform_f32(plan, data, work);
    else
        transform_f64(plan, data, work);
}

/* ---- batches ----------------------------------------------------------------------------------- */

static const char *row_at(const fft_job *job, int64_t row)
{
    const pg_array *x = job->x;
    const char *data = x->data;
    for (int32_t i = x->ndim - 1; i-- > 0 && row;) {
        data += row % x->shape[i] * x->strides[i];
        row /= x->shape[i];
    }
    return data;
}

static void run_groups(void *context, int64_t begin, int64_t end)
{
    fft_job *job = context;
    bool is_float = job->plan->real == PG_FLOAT32;
    int64_t lanes = is_float ? (int64_t)lanes_f32s : (int64_t)lanes_f64s;
    int64_t width = job->rows > 1 ? LANE_BYTES : is_float ? 4 : 8;
    int64_t bytes = 2 * width * job->elements;
    void *memory;
    if (pg_cpu_alloc(job->op->device, bytes, &memory) != PG_OK) {
        atomic_store(&job->no_memory, true);
        return;
    }
    for (int64_t group = begin; group < end; group++) {
        const char *in[LANE_BYTES / 4];
        char *out[LANE_BYTES / 4];
        int64_t first = group * lanes;
        int64_t n = job->rows - first < lanes ? job->rows - first : lanes;
        for (int64_t l = 0; l < lanes; l++) { /* lanes without a row repeat the last one */
            int64_t row = first + (l < n ? l : n - 1);
            in[l] = row_at(job, row);
            out[l] = job->out + row * job->out_row;
        }
        if (n > 1)
            (is_float ? rows_f32s : rows_f64s)(job, in, out, memory);
        else
            (is_float ? rows_f32 : rows_f64)(job, in, out, memory);
    }
    pg_cpu_free(job->op->device, memory, bytes);
}

static pg_dtype real_of(pg_dtype dtype)
{
    return dtype == PG_COMPLEX64 ? PG_FLOAT32 : dtype == PG_COMPLEX128 ? PG_FLOAT64 : dtype;
}

static pg_status fft_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    const pg_aval *aval = &op->out[0];
    fft_kind kind = (fft_kind)op->scratch[0];
    const pg_array *x = in[0];
    int64_t n = op->scratch[1];
    pg_dtype real = real_of(x->dtype);
    PG_TRY(pg_array_new(op->device, aval->dtype, aval->ndim, aval->shape, out));
    if (aval->count == 0) return PG_OK;

    pg_fft_plan *plan = pg_fft_plan_get(n, real);
    int64_t code = op->params[op->n_params - 1];
    bool even = kind != COMPLEX && n % 2 == 0;
    fft_job job = {.op = op,
                   .plan = plan,
                   .kind = kind,
                   .inverse = kind == COMPLEX && op->params[0] != 0,
                   .scale = code == 0   ? 1
                            : code == 1 ? 1 / (double)n
                                        : 1 / sqrt((double)n),
                   .x = x,
                   .step = x->strides[x->ndim - 1],
                   .part = pg_dtype_size(real),
                   .out = out[0]->data,
                   .out_row = pg_dtype_size(aval->dtype) * aval->shape[aval->ndim - 1]};
    job.rows = aval->count / aval->shape[aval->ndim - 1];
    if (plan) {
        int64_t lanes = real == PG_FLOAT32 ? (int64_t)lanes_f32s : (int64_t)lanes_f64s;
        job.data = even ? n / 2 + 1 : n;
        job.elements = job.data + pg_fft_workspace(even ? plan->half : plan);
        pg_parallel_for((job.rows + lanes - 1) / lanes, 20000 / (lanes * n) + 1, run_groups, &job);
    }
    pg_fft_plan_release(plan);
    if (plan && !atomic_load(&job.no_memory)) return PG_OK;
    pg_array_release(out[0]);
    out[0] = NULL;
    return pg_fail(PG_ENOMEM, "no memory left for the tables or the workspace of length %lld",
                   (long long)n);
}

static pg_status fft_prepare(pg_op *op)
{
    fft_kind kind = op->kernel->name[0] == 'f'   ? COMPLEX
                    : op->kernel->name[0] == 'r' ? FROM_REAL
                                                 : TO_REAL;
    int64_t n_params = kind == COMPLEX ? 2 : 1;
    PG_REQUIRE(op->n_in == 1 && op->n_out == 1 && op->n_params == n_params,
               "takes 1 input, 1 output and %lld parameters, not %d, %d and %lld",
               (long long)n_params, op->n_in, op->n_out, (long long)op->n_params);
    const pg_aval *x = &op->in[0], *out = &op->out[0];
    int64_t code = op->params[n_params - 1];
    PG_REQUIRE(code >= 0 && code <= 2, "there is no scale %lld", (long long)code);
    pg_dtype real = real_of(x->dtype), in = real, complex = PG_COMPLEX64;
    if (real == PG_FLOAT64) complex = PG_COMPLEX128;
    if (kind != FROM_REAL) in = complex;
    if ((real != PG_FLOAT32 && real != PG_FLOAT64) || x->dtype != in)
        return pg_fail(PG_EUNSUPPORTED, "not defined for %s", pg_dtype_name(x->dtype));
    PG_REQUIRE(out->dtype == (kind == TO_REAL ? real : complex), "output is %s, but input is %s",
               pg_dtype_name(out->dtype), pg_dtype_name(x->dtype));
    int32_t lead = x->ndim - 1;
    PG_REQUIRE(lead >= 0 && out->ndim == x->ndim, "input and output have %d and %d axes", x->ndim,
               out->ndim);
    for (int32_t i = 0; i < lead; i++)
        PG_REQUIRE(x->shape[i] == out->shape[i], "axis %d has size %lld, but %lld in the output", i,
                   (long long)x->shape[i], (long long)out->shape[i]);
    int64_t n = kind == TO_REAL ? out->shape[lead] : x->shape[lead];
    PG_REQUIRE(n >= 1 && n < (int64_t)1 << 40, "cannot transform rows of length %lld",
               (long long)n);
    int64_t in_n = kind == TO_REAL ? n / 2 + 1 : n, out_n = kind == FROM_REAL ? n / 2 + 1 : n;
    PG_REQUIRE(x->shape[lead] == in_n && out->shape[lead] == out_n,
               "rows of %lld numbers do not become rows of %lld", (long long)x->shape[lead],
               (long long)out->shape[lead]);
    op->scratch[0] = kind;
    op->scratch[1] = n;
    return PG_OK;
}

const pg_kernel PG_ISA_NAME(pg_cpu_fft_kernels)[] = {
    {"fft", fft_prepare, fft_run},
    {"rfft", fft_prepare, fft_run},
    {"irfft", fft_prepare, fft_run},
    {0},
};
