/* shape.c - concatenate, pad, slice_update, iota.
 *
 *     concatenate   out = the inputs one after another along `axis`            params: axis
 *     pad           x with `interior` values between neighbours, then low and high values before
 *                   and behind; negative low and high take away      params: low.., high.., interior..
 *     slice_update  x with v at start + i * step                      params: start.., step..
 *     iota          out[i..] = i[axis], wrapped or rounded to the dtype        params: axis
 *
 * Inputs may have any strides; out is dense and new, but slice_update reuses x if it is dying. */
#include "block.h"
#include "cpu.h"
#include "pequegrad_complex.h"

enum { PARALLEL = 1 << 15 };

static pg_status check_count(const pg_op *op, int32_t n_in, int64_t n_params)
{
    PG_REQUIRE(op->n_in == n_in && op->n_out == 1 && op->n_params == n_params,
               "takes %d inputs, 1 output and %lld parameters, not %d, %d and %lld", n_in,
               (long long)n_params, op->n_in, op->n_out, (long long)op->n_params);
    return PG_OK;
}

static pg_status check_same_dtype(const pg_op *op, const pg_aval *a)
{
    PG_REQUIRE(a->dtype == op->out[0].dtype, "input is %s, but output is %s",
               pg_dtype_name(a->dtype), pg_dtype_name(op->out[0].dtype));
    return PG_OK;
}

static pg_status check_same_ndim(const pg_op *op, const pg_aval *a)
{
    PG_REQUIRE(a->ndim == op->out[0].ndim, "input has %d axes, but output has %d", a->ndim,
               op->out[0].ndim);
    return PG_OK;
}

static pg_status check_axis(const pg_op *op, int64_t axis)
{
    PG_REQUIRE(axis >= 0 && axis < op->out[0].ndim,
               "axis %lld is not an axis of an array with %d axes", (long long)axis,
               op->out[0].ndim);
    return PG_OK;
}

/* ---- concatenate ------------------------------------------------------------------------------- */

static pg_status concatenate_prepare(pg_op *op)
{
    PG_REQUIRE(op->n_in >= 1, "needs at least one input");
    PG_TRY(check_count(op, op->n_in, 1));
    int64_t axis = op->params[0], total = 0;
    PG_TRY(check_axis(op, axis));
    const pg_aval *out = &op->out[0];
    for (int32_t k = 0; k < op->n_in; k++) {
        const pg_aval *x = &op->in[k];
        PG_TRY(check_same_dtype(op, x));
        PG_TRY(check_same_ndim(op, x));
        PG_REQUIRE(!__builtin_add_overflow(total, x->shape[axis], &total),
                   "the inputs have more than 2**63 elements along axis %lld", (long long)axis);
        for (int32_t i = 0; i < out->ndim; i++)
            PG_REQUIRE(i == axis || x->shape[i] == out->shape[i],
                       "axis %d of input %d has size %lld, but the output has %lld", i, k,
                       (long long)x->shape[i], (long long)out->shape[i]);
    }
    PG_REQUIRE(total == out->shape[axis],
               "the inputs have %lld elements along axis %lld, but the output has %lld",
               (long long)total, (long long)axis, (long long)out->shape[axis]);
    return PG_OK;
}

static pg_status concatenate_run(const pg_op *op, pg_array *const *in, pg_dying dying,
                                 pg_array **out)
{
    (void)dying;
    const pg_aval *aval = &op->out[0];
    PG_TRY(pg_array_new(op->device, aval->dtype, aval->ndim, aval->shape, out));
    int64_t axis = op->params[0];
    char *to = out[0]->data;
    for (int32_t k = 0; k < op->n_in; k++) {
        pg_axis axes[PG_MAX_NDIM];
        for (int32_t i = 0; i < aval->ndim; i++)
            axes[i] = (pg_axis){in[k]->shape[i], {out[0]->strides[i], in[k]->strides[i], 0}};
        pg_block_copy_parallel(axes, aval->ndim, pg_dtype_size(aval->dtype), to, in[k]->data);
        to += in[k]->shape[axis] * out[0]->strides[axis];
    }
    return PG_OK;
}

/* ---- pad --------------------------------------------------------------------------------------- */

/* Sizes near 2**63 must not overflow below. */
static bool reasonable(int64_t x) { return x > -(INT64_C(1) << 56) && x < INT64_C(1) << 56; }

static pg_status pad_prepare(pg_op *op)
{
    const pg_aval *x = &op->in[0], *out = &op->out[0];
    PG_REQUIRE(op->n_in == 2, "takes x and the padding value, not %d inputs", op->n_in);
    PG_TRY(check_count(op, 2, 3 * (int64_t)x->ndim));
    PG_TRY(check_same_dtype(op, x));
    PG_TRY(check_same_dtype(op, &op->in[1]));
    PG_TRY(check_same_ndim(op, x));
    PG_REQUIRE(op->in[1].ndim == 0, "the padding value has %d axes, expected a scalar",
               op->in[1].ndim);
    for (int32_t i = 0; i < x->ndim; i++) {
        int64_t low = op->params[i], high = op->params[x->ndim + i];
        int64_t interior = op->params[2 * x->ndim + i], n = x->shape[i], spread = 0;
        PG_REQUIRE(interior >= 0, "interior padding %lld of axis %d is negative",
                   (long long)interior, i);
        PG_REQUIRE(reasonable(low) && reasonable(high) && reasonable(interior) &&
                       !__builtin_mul_overflow(n ? n - 1 : 0, interior, &spread) &&
                       reasonable(spread) && reasonable(n),
                   "the padding of axis %d is too large", i);
        int64_t expected = low + high + n + spread;
        PG_REQUIRE(out->shape[i] == expected,
                   "axis %d of the output has size %lld, but the padding gives %lld", i,
                   (long long)out->shape[i], (long long)expected);
    }
    return PG_OK;
}

static pg_status pad_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    const pg_aval *aval = &op->out[0];
    PG_TRY(pg_array_new(op->device, aval->dtype, aval->ndim, aval->shape, out));
    int64_t item = pg_dtype_size(aval->dtype);

    /* the elements of x that stay: first..last along each axis */
    pg_axis axes[PG_MAX_NDIM];
    char *to = out[0]->data;
    const char *from = in[0]->data;
    bool covered = true;
    int64_t kept = 1;
    for (int32_t i = 0; i < aval->ndim; i++) {
        int64_t low = op->params[i], step = op->params[2 * aval->ndim + i] + 1;
        int64_t first = low < 0 ? (-low + step - 1) / step : 0;
        int64_t room = aval->shape[i] - 1 - low; /* the last place in out, seen from element 0 */
        int64_t last = room < 0 ? -1 : room / step;
        if (last > in[0]->shape[i] - 1) last = in[0]->shape[i] - 1;
        int64_t size = last < first ? 0 : last - first + 1;
        axes[i] =
            (pg_axis){size, {(size > 1 ? step : 1) * out[0]->strides[i], in[0]->strides[i], 0}};
        covered &= size == aval->shape[i];
        kept *= size;
        if (size) {
            to += (low + first * step) * out[0]->strides[i];
            from += first * in[0]->strides[i];
        }
    }
    if (!covered) pg_block_fill_parallel(aval->count, item, out[0]->data, in[1]->data);
    if (kept) pg_block_copy_parallel(axes, aval->ndim, item, to, from);
    return PG_OK;
}

/* ---- slice_update ------------------------------------------------------------------------------ */

static pg_status slice_update_prepare(pg_op *op)
{
    op->plan = pg_plan_first_input;
    const pg_aval *x = &op->in[0], *out = &op->out[0];
    PG_REQUIRE(op->n_in == 2, "takes x and v, not %d inputs", op->n_in);
    PG_TRY(check_count(op, 2, 2 * (int64_t)x->ndim));
    for (int32_t k = 0; k < 2; k++) {
        PG_TRY(check_same_dtype(op, &op->in[k]));
        PG_TRY(check_same_ndim(op, &op->in[k]));
    }
    for (int32_t i = 0; i < x->ndim; i++) {
        int64_t start = op->params[i], step = op->params[x->ndim + i], n = op->in[1].shape[i];
        PG_REQUIRE(out->shape[i] == x->shape[i],
                   "axis %d has size %lld in x, but %lld in the output", i, (long long)x->shape[i],
                   (long long)out->shape[i]);
        PG_REQUIRE(step >= 1 && start >= 0, "axis %d starts at %lld with step %lld", i,
                   (long long)start, (long long)step);
        int64_t span = 0;
        PG_REQUIRE(start <= x->shape[i] &&
                       (n == 0 || (!__builtin_mul_overflow(n - 1, step, &span) &&
                                   span < x->shape[i] - start)),
                   "%lld elements from %lld in steps of %lld leave axis %d, of size "
                   "%lld",
                   (long long)n, (long long)start, (long long)step, i, (long long)x->shape[i]);
    }
    return PG_OK;
}

static pg_status slice_update_run(const pg_op *op, pg_array *const *in, pg_dying dying,
                                  pg_array **out)
{
    PG_TRY(pg_block_writable(op, in[0], dying & 1, in + 1, 1, out));
    if (op->in[1].count == 0) return PG_OK;
    pg_axis axes[PG_MAX_NDIM];
    int32_t ndim = op->in[0].ndim;
    char *to = out[0]->data;
    for (int32_t i = 0; i < ndim; i++) {
        to += op->params[i] * out[0]->strides[i];
        int64_t step = in[1]->shape[i] > 1 ? op->params[ndim + i] : 1;
        if (in[1]->shape[i] <= 1) step = 1; /* never taken, and it might overflow */
        axes[i] = (pg_axis){in[1]->shape[i], {step * out[0]->strides[i], in[1]->strides[i], 0}};
    }
    pg_block_copy_parallel(axes, ndim, pg_dtype_size(op->in[0].dtype), to, in[1]->data);
    return PG_OK;
}

/* ---- iota -------------------------------------------------------------------------------------- */

typedef struct counting {
    pg_dtype dtype;
    int64_t size, inner; /* of the counted axis; elements between two of its values */
    char *out;
} counting;

#define COUNT(T, VALUE)                                                   \
    while (begin < end) { /* one pass over the axis after another */      \
        int64_t first = begin % c->size, rest = c->size - first;          \
        int64_t last = first + (rest < end - begin ? rest : end - begin); \
        T *out = (T *)c->out + begin * c->inner;                          \
        if (c->inner == 1)                                                \
            for (int64_t i = first; i < last; i++)                        \
                out[i - first] = VALUE;                                   \
        else                                                              \
            for (int64_t i = first; i < last; i++)                        \
                for (int64_t j = 0; j < c->inner; j++)                    \
                    *out++ = VALUE;                                       \
        begin += last - first;                                            \
    }                                                                     \
    break;

/* A row is the run of equal values that belongs to one i. */
static void iota_rows(void *context, int64_t begin, int64_t end)
{
    const counting *c = context;
    switch (c->dtype) {
    case PG_INT8:
    case PG_UINT8: COUNT(uint8_t, (uint8_t)i)
    case PG_INT16:
    case PG_UINT16: COUNT(uint16_t, (uint16_t)i)
    case PG_INT32:
    case PG_UINT32: COUNT(uint32_t, (uint32_t)i)
    case PG_INT64:
    case PG_UINT64: COUNT(uint64_t, (uint64_t)i)
    case PG_FLOAT16: COUNT(uint16_t, pg_float_to_half((float)i))
    case PG_BFLOAT16: COUNT(uint16_t, pg_float_to_bfloat16((float)i))
    case PG_FLOAT32: COUNT(float, (float)i)
    case PG_FLOAT64: COUNT(double, (double)i)
    case PG_COMPLEX64: COUNT(pg_complex64, pg_complex_complex64((float)i, 0))
    default: COUNT(pg_complex128, pg_complex_complex128((double)i, 0))
    }
}

static pg_status iota_prepare(pg_op *op)
{
    PG_TRY(check_count(op, 0, 1));
    PG_TRY(check_axis(op, op->params[0]));
    PG_REQUIRE(op->out[0].dtype != PG_BOOL, "bool has too few values to count");
    return PG_OK;
}

static pg_status iota_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)in;
    (void)dying;
    const pg_aval *aval = &op->out[0];
    PG_TRY(pg_array_new(op->device, aval->dtype, aval->ndim, aval->shape, out));
    if (aval->count == 0) return PG_OK;
    int32_t axis = (int32_t)op->params[0];
    counting c = {aval->dtype, aval->shape[axis], 1, out[0]->data};
    for (int32_t i = axis + 1; i < aval->ndim; i++)
        c.inner *= aval->shape[i];
    pg_parallel_for(aval->count / c.inner, PARALLEL / c.inner + 1, iota_rows, &c);
    return PG_OK;
}

const pg_kernel pg_cpu_shape_kernels[] = {
    {"concatenate", concatenate_prepare, concatenate_run},
    {"pad", pad_prepare, pad_run},
    {"slice_update", slice_update_prepare, slice_update_run},
    {"iota", iota_prepare, iota_run},
    {0},
};
