/* dynamic.c - slices whose place is only known at run time.
 *
 *     dynamic_slice         x[start : start + size] on every axis; the size is that of the output
 *     dynamic_update_slice  x with v at start
 *
 * The starts are 0-d integer arrays, one per axis, the last inputs. As in XLA they are clamped so that
 * the slice lies within x. dynamic_slice is a view: nothing is copied. dynamic_update_slice reuses
 * x if it is dying, so that it costs what v costs; else it writes into a copy. */
#include "block.h"
#include "cpu.h"

static int64_t read_start(const pg_array *start)
{
    switch (start->dtype) {
    case PG_INT8: return *(const int8_t *)start->data;
    case PG_INT16: return *(const int16_t *)start->data;
    case PG_INT32: return *(const int32_t *)start->data;
    case PG_INT64: return *(const int64_t *)start->data;
    case PG_UINT8: return *(const uint8_t *)start->data;
    case PG_UINT16: return *(const uint16_t *)start->data;
    case PG_UINT32: return *(const uint32_t *)start->data;
    default: {
        uint64_t value = *(const uint64_t *)start->data;
        return value > INT64_MAX ? INT64_MAX : (int64_t)value;
    }
    }
}

/* Byte offset in `x` of a slice of shape `sizes` at `starts`, clamped. */
static int64_t slice_offset(const pg_array *x, const int64_t *sizes, pg_array *const *starts)
{
    int64_t offset = 0;
    for (int32_t i = 0; i < x->ndim; i++) {
        int64_t start = read_start(starts[i]), highest = x->shape[i] - sizes[i];
        start = start > highest ? highest : start;
        offset += (start < 0 ? 0 : start) * x->strides[i];
    }
    return offset;
}

/* Checks inputs x, `n_before - 1` others and the starts; `part` is what lies within x. */
static pg_status check(const pg_op *op, int32_t n_before, const pg_aval *part)
{
    const pg_aval *x = &op->in[0];
    PG_REQUIRE(op->n_in == n_before + x->ndim && op->n_out == 1 && op->n_params == 0,
               "takes %d inputs and a start per axis of x, gives 1 output and has no parameters; "
               "got %d, %d and %lld",
               n_before, op->n_in, op->n_out, (long long)op->n_params);
    PG_REQUIRE(part->dtype == x->dtype && op->out[0].dtype == x->dtype,
               "x is %s, but the slice is %s", pg_dtype_name(x->dtype), pg_dtype_name(part->dtype));
    PG_REQUIRE(part->ndim == x->ndim, "x has %d axes, but the slice has %d", x->ndim, part->ndim);
    for (int32_t i = 0; i < x->ndim; i++) {
        PG_REQUIRE(part->shape[i] <= x->shape[i], "axis %d has size %lld, but the slice has %lld",
                   i, (long long)x->shape[i], (long long)part->shape[i]);
        const pg_aval *start = &op->in[n_before + i];
        PG_REQUIRE(start->ndim == 0 && start->dtype >= PG_INT8 && start->dtype <= PG_UINT64,
                   "the start of axis %d must be a 0-d integer", i);
    }
    return PG_OK;
}

/* Where it begins does not matter. */
static pg_status dynamic_slice_plan(const pg_op *op, pg_array *const *in, pg_dying dying,
                                    pg_array **out)
{
    (void)dying;
    return pg_array_view(in[0], in[0]->data, op->out[0].ndim, op->out[0].shape, in[0]->strides,
                         out);
}

static pg_status dynamic_slice_prepare(pg_op *op)
{
    PG_REQUIRE(op->n_in >= 1 && op->n_out == 1, "takes x and gives 1 output");
    op->plan = dynamic_slice_plan;
    return check(op, 1, &op->out[0]);
}

static pg_status dynamic_slice_run(const pg_op *op, pg_array *const *in, pg_dying dying,
                                   pg_array **out)
{
    (void)dying;
    const pg_array *x = in[0];
    const pg_aval *aval = &op->out[0];
    int64_t offset = aval->count ? slice_offset(x, aval->shape, in + 1) : 0;
    return pg_array_view(x, x->data + offset, aval->ndim, aval->shape, x->strides, out);
}

static pg_status dynamic_update_slice_prepare(pg_op *op)
{
    PG_REQUIRE(op->n_in >= 2 && op->n_out == 1, "takes x and v and gives 1 output");
    op->plan = pg_plan_first_input;
    PG_TRY(check(op, 2, &op->in[1]));
    const pg_aval *x = &op->in[0], *out = &op->out[0];
    PG_REQUIRE(out->ndim == x->ndim, "x has %d axes, but the output has %d", x->ndim, out->ndim);
    for (int32_t i = 0; i < x->ndim; i++)
        PG_REQUIRE(out->shape[i] == x->shape[i],
                   "axis %d has size %lld in x, but %lld in the output", i, (long long)x->shape[i],
                   (long long)out->shape[i]);
    return PG_OK;
}

static pg_status dynamic_update_slice_run(const pg_op *op, pg_array *const *in, pg_dying dying,
                                          pg_array **out)
{
    const pg_array *v = in[1];
    PG_TRY(pg_block_writable(op, in[0], dying & 1, in + 1, op->n_in - 1, out));
    if (op->in[1].count == 0) return PG_OK;
    pg_axis axes[PG_MAX_NDIM];
    for (int32_t i = 0; i < v->ndim; i++)
        axes[i] = (pg_axis){v->shape[i], {out[0]->strides[i], v->strides[i], 0}};
    pg_block_copy_parallel(axes, v->ndim, pg_dtype_size(v->dtype),
                           out[0]->data + slice_offset(out[0], v->shape, in + 2), v->data);
    return PG_OK;
}

const pg_kernel pg_cpu_dynamic_kernels[] = {
    {"dynamic_slice", dynamic_slice_prepare, dynamic_slice_run},
    {"dynamic_update_slice", dynamic_update_slice_prepare, dynamic_update_slice_run},
    {0},
};
