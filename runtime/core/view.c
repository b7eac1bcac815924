/* view.c - kernels that only compute strides. No element is read or written, except by `reshape` and
 * `bitcast` where no strides describe the result: they then make a dense copy first. Empty arrays keep the
 * address of their base. */
#include "core.h"

#include <string.h>

static pg_status one_to_one(const pg_op *op, int64_t n_params)
{
    PG_REQUIRE(op->n_in == 1 && op->n_out == 1,
               "takes one input and gives one output, not %d and %d", op->n_in, op->n_out);
    PG_REQUIRE(op->in[0].dtype == op->out[0].dtype, "the output cannot be %s",
               pg_dtype_name(op->out[0].dtype));
    PG_REQUIRE(n_params < 0 || op->n_params == n_params, "takes %lld parameters, not %lld",
               (long long)n_params, (long long)op->n_params);
    return PG_OK;
}

static pg_status same_ndim(const pg_op *op)
{
    PG_REQUIRE(op->in[0].ndim == op->out[0].ndim, "the output cannot have %d axes",
               op->out[0].ndim);
    return PG_OK;
}

static pg_status output_size(const pg_op *op, int32_t axis, int64_t expected)
{
    PG_REQUIRE(op->out[0].shape[axis] == expected, "axis %d of the output has size %lld, not %lld",
               axis, (long long)expected, (long long)op->out[0].shape[axis]);
    return PG_OK;
}

/* Checks that params[0..n) are different axes below `ndim`. */
static pg_status distinct_axes(const pg_op *op, int64_t n, int32_t ndim)
{
    uint32_t seen = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t axis = op->params[i];
        PG_REQUIRE(axis >= 0 && axis < ndim, "there is no axis %lld", (long long)axis);
        PG_REQUIRE(!(seen >> axis & 1), "axis %lld is named twice", (long long)axis);
        seen |= 1u << axis;
    }
    return PG_OK;
}

/* ---- reshape ----------------------------------------------------------------------------------- */

static pg_status reshape_prepare(pg_op *op)
{
    PG_TRY(one_to_one(op, 0));
    PG_REQUIRE(op->in[0].count == op->out[0].count, "%lld elements cannot become %lld",
               (long long)op->in[0].count, (long long)op->out[0].count);
    return PG_OK;
}

/* Strides of `x` seen with another shape of as many elements; false if there are none. Old and new
 * axes are matched in runs of equal element count; the old axes of a run must be steps of one
 * another, then the new ones divide the run among themselves. */
static bool reshaped_strides(const pg_array *x, int32_t ndim, const int64_t *shape,
                             int64_t *strides)
{
    int64_t old_shape[PG_MAX_NDIM], old_strides[PG_MAX_NDIM];
    int32_t n_old = 0;
    for (int32_t i = 0; i < x->ndim; i++) {
        if (x->shape[i] == 1) continue;
        old_shape[n_old] = x->shape[i];
        old_strides[n_old++] = x->strides[i];
    }
    int32_t o = 0, n = 0; /* first old and new axis of the run */
    while (o < n_old) {
        int32_t o_end = o + 1, n_end = n + 1;
        int64_t o_count = old_shape[o], n_count = shape[n];
        while (o_count != n_count) {
            if (o_count < n_count)
                o_count *= old_shape[o_end++];
            else
                n_count *= shape[n_end++];
        }
        for (int32_t i = o; i + 1 < o_end; i++)
            if (old_strides[i] != old_strides[i + 1] * old_shape[i + 1]) return false;
        int64_t step = old_strides[o_end - 1];
        for (int32_t i = n_end - 1; i >= n; i--) {
            strides[i] = step;
            step *= shape[i];
        }
        o = o_end;
        n = n_end;
    }
    for (; n < ndim; n++)
        strides[n] = pg_dtype_size(x->dtype); /* trailing axes of size 1 */
    return true;
}

static pg_status reshape_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    const pg_aval *result = &op->out[0];
    int64_t strides[PG_MAX_NDIM];
    if (result->count == 0 || pg_array_is_dense(in[0])) {
        pg_dense_strides(result->dtype, result->ndim, result->shape, strides);
        return pg_array_view(in[0], in[0]->data, result->ndim, result->shape, strides, out);
    }
    if (reshaped_strides(in[0], result->ndim, result->shape, strides))
        return pg_array_view(in[0], in[0]->data, result->ndim, result->shape, strides, out);
    pg_array *dense;
    PG_TRY(pg_array_dense(in[0], &dense));
    pg_dense_strides(result->dtype, result->ndim, result->shape, strides);
    pg_status status = pg_array_view(dense, dense->data, result->ndim, result->shape, strides, out);
    pg_array_release(dense);
    return status;
}

/* ---- transpose --------------------------------------------------------------------------------- */

static pg_status transpose_prepare(pg_op *op)
{
    PG_TRY(one_to_one(op, op->in[0].ndim));
    PG_TRY(same_ndim(op));
    PG_TRY(distinct_axes(op, op->n_params, op->in[0].ndim));
    for (int32_t i = 0; i < op->out[0].ndim; i++)
        PG_TRY(output_size(op, i, op->in[0].shape[op->params[i]]));
    return PG_OK;
}

static pg_status transpose_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    int64_t strides[PG_MAX_NDIM];
    for (int32_t i = 0; i < in[0]->ndim; i++)
        strides[i] = in[0]->strides[op->params[i]];
    return pg_array_view(in[0], in[0]->data, in[0]->ndim, op->out[0].shape, strides, out);
}

/* ---- broadcast_in_dim -------------------------------------------------------------------------- */

static pg_status broadcast_prepare(pg_op *op)
{
    const pg_aval *x = &op->in[0], *y = &op->out[0];
    PG_TRY(one_to_one(op, x->ndim));
    PG_TRY(distinct_axes(op, x->ndim, y->ndim));
    for (int32_t i = 0; i < x->ndim; i++)
        if (x->shape[i] != 1) PG_TRY(output_size(op, (int32_t)op->params[i], x->shape[i]));
    return PG_OK;
}

static pg_status broadcast_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    const pg_array *x = in[0];
    int64_t strides[PG_MAX_NDIM] = {0};
    for (int32_t i = 0; i < x->ndim; i++)
        if (x->shape[i] != 1) strides[op->params[i]] = x->strides[i];
    return pg_array_view(x, x->data, op->out[0].ndim, op->out[0].shape, strides, out);
}

/* ---- slice ------------------------------------------------------------------------------------- */

static pg_status slice_prepare(pg_op *op)
{
    int32_t ndim = op->in[0].ndim;
    PG_TRY(one_to_one(op, 2 * ndim));
    PG_TRY(same_ndim(op));
    for (int32_t i = 0; i < ndim; i++) {
        int64_t start = op->params[i], step = op->params[ndim + i];
        int64_t size = op->in[0].shape[i], length = op->out[0].shape[i];
        PG_REQUIRE(step >= 1, "axis %d: step %lld is below 1", i, (long long)step);
        bool inside = start >= 0 && start <= size &&
                      (length == 0 || (start < size && length - 1 <= (size - 1 - start) / step));
        PG_REQUIRE(inside, "axis %d: %lld elements from %lld by steps of %lld leave its size %lld",
                   i, (long long)length, (long long)start, (long long)step, (long long)size);
    }
    return PG_OK;
}

static pg_status slice_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    const pg_array *x = in[0];
    int64_t strides[PG_MAX_NDIM];
    int64_t offset = 0;
    for (int32_t i = 0; i < x->ndim; i++) {
        /* a step is only taken on axes with two elements; elsewhere it might overflow */
        strides[i] = x->strides[i] * (op->out[0].shape[i] > 1 ? op->params[x->ndim + i] : 1);
        if (op->out[0].count) offset += x->strides[i] * op->params[i];
    }
    return pg_array_view(x, x->data + offset, x->ndim, op->out[0].shape, strides, out);
}

/* ---- rev --------------------------------------------------------------------------------------- */

static pg_status rev_prepare(pg_op *op)
{
    PG_TRY(one_to_one(op, -1));
    PG_TRY(same_ndim(op));
    for (int32_t i = 0; i < op->in[0].ndim; i++)
        PG_TRY(output_size(op, i, op->in[0].shape[i]));
    return distinct_axes(op, op->n_params, op->in[0].ndim);
}

static pg_status rev_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    const pg_array *x = in[0];
    int64_t strides[PG_MAX_NDIM];
    int64_t offset = 0;
    for (int32_t i = 0; i < x->ndim; i++)
        strides[i] = x->strides[i];
    for (int64_t p = 0; p < op->n_params; p++) {
        int64_t axis = op->params[p];
        if (op->out[0].count) offset += strides[axis] * (x->shape[axis] - 1);
        strides[axis] = -strides[axis];
    }
    return pg_array_view(x, x->data + offset, x->ndim, x->shape, strides, out);
}

/* ---- bitcast ----------------------------------------------------------------------------------- */

/* The same bits as another dtype. To a smaller one: a new last axis over the parts of an element, the
 * lowest bits first; to a larger one: the last axis disappears. */
static pg_status bitcast_prepare(pg_op *op)
{
    PG_REQUIRE(op->n_in == 1 && op->n_out == 1 && op->n_params == 0,
               "takes one input, gives one output and has no parameters, not %d, %d and %lld",
               op->n_in, op->n_out, (long long)op->n_params);
    const pg_aval *x = &op->in[0], *y = &op->out[0];
    PG_REQUIRE((x->dtype == PG_BOOL) == (y->dtype == PG_BOOL), "bool has no bits to exchange");
    int64_t from = pg_dtype_size(x->dtype), to = pg_dtype_size(y->dtype);
    int32_t more = (from > to) - (from < to); /* axes */
    PG_REQUIRE(y->ndim == x->ndim + more, "the output cannot have %d axes", y->ndim);
    int32_t common = x->ndim < y->ndim ? x->ndim : y->ndim;
    for (int32_t i = 0; i < common; i++)
        PG_TRY(output_size(op, i, x->shape[i]));
    if (more > 0) return output_size(op, common, from / to);
    PG_REQUIRE(more == 0 || x->shape[common] == to / from,
               "the last axis has size %lld, but %lld elements make one of the output",
               (long long)x->shape[common], (long long)(to / from));
    return PG_OK;
}

/* Whether elements of `size` bytes can be read at the places that `x` describes. */
static bool readable_as(const pg_array *x, int32_t ndim, int64_t size)
{
    bool aligned = (uintptr_t)x->data % (uint64_t)size == 0;
    for (int32_t i = 0; i < ndim; i++)
        aligned &= x->shape[i] < 2 || x->strides[i] % size == 0;
    int64_t item = pg_dtype_size(x->dtype);
    return aligned && (size <= item || x->strides[ndim] == item);
}

static pg_status bitcast_view(const pg_op *op, const pg_array *x, pg_array **out)
{
    const pg_aval *y = &op->out[0];
    int64_t strides[PG_MAX_NDIM];
    int32_t common = x->ndim < y->ndim ? x->ndim : y->ndim;
    for (int32_t i = 0; i < common; i++)
        strides[i] = x->strides[i];
    if (y->ndim > common) strides[common] = pg_dtype_size(y->dtype);
    PG_TRY(pg_array_view(x, x->data, y->ndim, y->shape, strides, out));
    out[0]->dtype = y->dtype;
    return PG_OK;
}

static pg_status bitcast_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    const pg_aval *y = &op->out[0];
    int32_t common = in[0]->ndim < y->ndim ? in[0]->ndim : y->ndim;
    if (y->count == 0 || readable_as(in[0], common, pg_dtype_size(y->dtype)))
        return bitcast_view(op, in[0], out);
    pg_array *dense;
    PG_TRY(pg_array_copy(in[0], &dense));
    pg_status status = bitcast_view(op, dense, out);
    pg_array_release(dense);
    return status;
}

/* ---- windows ----------------------------------------------------------------------------------- */

/* params: for each windowed axis, ascending: the axis, the window's size, step and dilation. */
static pg_status windows_prepare(pg_op *op)
{
    const pg_aval *x = &op->in[0], *y = &op->out[0];
    PG_TRY(one_to_one(op, -1));
    int64_t n = op->n_params / 4, before = -1;
    PG_REQUIRE(op->n_params == 4 * n && y->ndim == x->ndim + n,
               "%lld parameters and %d output axes do not fit %d input axes",
               (long long)op->n_params, y->ndim, x->ndim);
    int64_t sizes[PG_MAX_NDIM];
    for (int32_t i = 0; i < x->ndim; i++)
        sizes[i] = x->shape[i];
    for (int64_t i = 0; i < n; i++) {
        const int64_t *p = op->params + 4 * i;
        PG_REQUIRE(p[0] > before && p[0] < x->ndim, "axis %lld: axes must ascend, below %d",
                   (long long)p[0], x->ndim);
        before = p[0];
        int64_t size = x->shape[p[0]];
        PG_REQUIRE(p[1] >= 1 && p[2] >= 1 && p[3] >= 1 &&
                       (p[1] == 1 || (size > 0 && p[1] - 1 <= (size - 1) / p[3])),
                   "a window of %lld with step %lld and dilation %lld does not fit axis %lld, of "
                   "size %lld",
                   (long long)p[1], (long long)p[2], (long long)p[3], (long long)p[0],
                   (long long)size);
        int64_t room = size - 1 - (p[1] - 1) * p[3];
        sizes[p[0]] = room < 0 ? 0 : room / p[2] + 1;
        PG_TRY(output_size(op, (int32_t)(x->ndim + i), p[1]));
    }
    for (int32_t i = 0; i < x->ndim; i++)
        PG_TRY(output_size(op, i, sizes[i]));
    return PG_OK;
}

static pg_status windows_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    const pg_array *x = in[0];
    const pg_aval *y = &op->out[0];
    int64_t strides[PG_MAX_NDIM];
    for (int32_t i = 0; i < x->ndim; i++)
        strides[i] = x->strides[i];
    for (int64_t i = 0; i < op->n_params / 4; i++) {
        const int64_t *p = op->params + 4 * i;
        /* a step is only taken where there are two places; elsewhere it might overflow */
        strides[x->ndim + i] = x->strides[p[0]] * (p[1] > 1 ? p[3] : 1);
        strides[p[0]] = x->strides[p[0]] * (y->shape[p[0]] > 1 ? p[2] : 1);
    }
    return pg_array_view(x, x->data, y->ndim, y->shape, strides, out);
}

/* ---- alias ------------------------------------------------------------------------------------- */

static pg_status alias_prepare(pg_op *op)
{
    PG_TRY(one_to_one(op, 0));
    PG_TRY(same_ndim(op));
    for (int32_t i = 0; i < op->in[0].ndim; i++)
        PG_TRY(output_size(op, i, op->in[0].shape[i]));
    return PG_OK;
}

static pg_status alias_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)op;
    (void)dying;
    pg_array_retain(in[0]);
    *out = in[0];
    return PG_OK;
}

const pg_kernel *pg_find_view_kernel(const char *name)
{
    static const pg_kernel kernels[] = {
        {"reshape", reshape_prepare, reshape_run},
        {"transpose", transpose_prepare, transpose_run},
        {"broadcast_in_dim", broadcast_prepare, broadcast_run},
        {"slice", slice_prepare, slice_run},
        {"rev", rev_prepare, rev_run},
        {"bitcast", bitcast_prepare, bitcast_run},
        {"windows", windows_prepare, windows_run},
        {"alias", alias_prepare, alias_run},
    };
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        if (strcmp(name, kernels[i].name) == 0) return &kernels[i];
    return NULL;
}
