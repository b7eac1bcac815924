/* contraction.c - the axes of dot_general; contraction.h says what each function does. */
#include "contraction.h"

#include "block.h"

/* ---- grouping -------------------------------------------------------------------------------------- */

pg_contraction_axes pg_contraction_read(const pg_op *op)
{
    pg_contraction_axes lists = {.n_batch = op->params[0], .n_contract = op->params[1]};
    const int64_t *next = op->params + 2;
    for (int side = 0; side < 2; side++, next += lists.n_batch)
        lists.batch[side] = next;
    for (int side = 0; side < 2; side++, next += lists.n_contract)
        lists.contract[side] = next;
    return lists;
}

static bool contains(const int64_t *list, int64_t n, int64_t item)
{
    for (int64_t i = 0; i < n; i++)
        if (list[i] == item) return true;
    return false;
}

static bool is_free(const pg_contraction_axes *lists, int side, int64_t axis)
{
    return !contains(lists->batch[side], lists->n_batch, axis) &&
           !contains(lists->contract[side], lists->n_contract, axis);
}

static void group_axes(pg_operand *o, const pg_contraction_axes *lists, int side, const pg_array *x)
{
    o->data = x->data;
    o->dtype = x->dtype;
    for (int64_t i = 0; i < lists->n_batch; i++) {
        int64_t axis = lists->batch[side][i];
        o->batch[o->n_batch++] = (pg_axis){x->shape[axis], {x->strides[axis], 0, 0}};
    }
    for (int32_t axis = 0; axis < x->ndim; axis++)
        if (is_free(lists, side, axis))
            o->free[o->n_free++] = (pg_axis){x->shape[axis], {x->strides[axis], 0, 0}};
}

/* The contracting axes in the order of lhs's strides: most often they then are one axis in both. */
static void group_contracting(pg_operand o[2], const pg_contraction_axes *lists,
                              const pg_array *lhs, const pg_array *rhs)
{
    pg_axis both[PG_MAX_NDIM];
    int32_t n = (int32_t)lists->n_contract;
    for (int32_t i = 0; i < n; i++) {
        int64_t left = lists->contract[0][i], right = lists->contract[1][i];
        both[i] = (pg_axis){lhs->shape[left], {lhs->strides[left], rhs->strides[right], 0}};
    }
    pg_axes_sort(both, n);
    for (int side = 0; side < 2; side++) {
        o[side].n_contract = n;
        for (int32_t i = 0; i < n; i++)
            o[side].contract[i] = (pg_axis){both[i].size, {both[i].stride[side], 0, 0}};
    }
}

void pg_contraction_group(const pg_contraction_axes *lists, const pg_array *lhs,
                          const pg_array *rhs, pg_operand o[2])
{
    group_axes(&o[0], lists, 0, lhs);
    group_axes(&o[1], lists, 1, rhs);
    group_contracting(o, lists, lhs, rhs);
}

/* Puts the one stride of merged axes into *stride; false if they need more than one. */
static bool one_stride(pg_axis *axes, int32_t *n, int64_t item, int64_t *stride)
{
    *n = pg_axes_merge(axes, *n);
    *stride = *n ? axes[0].stride[0] : item;
    return *n <= 1;
}

pg_status pg_operand_copy(const pg_op *op, pg_operand *o, bool contract_last)
{
    pg_axis axes[PG_MAX_NDIM];
    int32_t n = 0;
    for (int32_t i = 0; i < o->n_batch; i++)
        axes[n++] = o->batch[i];
    for (int32_t i = 0; i < o->n_free && contract_last; i++)
        axes[n++] = o->free[i];
    for (int32_t i = 0; i < o->n_contract; i++)
        axes[n++] = o->contract[i];
    for (int32_t i = 0; i < o->n_free && !contract_last; i++)
        axes[n++] = o->free[i];
    int64_t item = pg_dtype_size(o->dtype), stride = item, count = pg_axes_count(axes, n);
    for (int32_t i = n; i-- > 0; stride *= axes[i].size) {
        axes[i].stride[1] = axes[i].stride[0];
        axes[i].stride[0] = stride;
    }
    pg_array *copy;
    PG_TRY(pg_array_new(op->device, o->dtype, 1, &count, &copy));
    pg_block_copy_parallel(axes, n, item, copy->data, o->data);
    pg_array_release(o->copy);
    o->copy = copy;
    o->data = copy->data;

    int64_t free_count = pg_axes_count(o->free, o->n_free);
    int64_t contract_count = pg_axes_count(o->contract, o->n_contract);
    for (int32_t i = 0; i < o->n_batch; i++)
        o->batch[i].stride[0] = axes[i].stride[0];
    o->free[0] = (pg_axis){free_count, {contract_last ? item * contract_count : item, 0, 0}};
    o->contract[0] = (pg_axis){contract_count, {contract_last ? item : item * free_count, 0, 0}};
    o->n_free = o->n_contract = 1;
    one_stride(o->free, &o->n_free, item, &o->free_stride);
    one_stride(o->contract, &o->n_contract, item, &o->contract_stride);
    return PG_OK;
}

pg_status pg_operand_collapse(const pg_op *op, pg_operand *o)
{
    int64_t item = pg_dtype_size(o->dtype);
    bool free = one_stride(o->free, &o->n_free, item, &o->free_stride);
    bool contract = one_stride(o->contract, &o->n_contract, item, &o->contract_stride);
    return free && contract ? PG_OK : pg_operand_copy(op, o, true);
}

/* ---- checking --------------------------------------------------------------------------------- */

static pg_status check_list(const char *what, const int64_t *list, int64_t n, const pg_aval *x)
{
    for (int64_t i = 0; i < n; i++) {
        PG_REQUIRE(list[i] >= 0 && list[i] < x->ndim,
                   "%s axis %lld is not an axis of an array with %d axes", what, (long long)list[i],
                   x->ndim);
        PG_REQUIRE(!contains(list, i, list[i]), "%s axis %lld appears twice", what,
                   (long long)list[i]);
    }
    return PG_OK;
}

static pg_status check_pairs(const char *what, const pg_op *op, const int64_t *lhs,
                             const int64_t *rhs, int64_t n)
{
    PG_TRY(check_list(what, lhs, n, &op->in[0]));
    PG_TRY(check_list(what, rhs, n, &op->in[1]));
    for (int64_t i = 0; i < n; i++)
        PG_REQUIRE(op->in[0].shape[lhs[i]] == op->in[1].shape[rhs[i]],
                   "%s axes %lld of lhs and %lld of rhs have sizes %lld and %lld", what,
                   (long long)lhs[i], (long long)rhs[i], (long long)op->in[0].shape[lhs[i]],
                   (long long)op->in[1].shape[rhs[i]]);
    return PG_OK;
}

static bool is_float(pg_dtype dtype) { return dtype >= PG_FLOAT16; }

static bool may_widen(pg_dtype from, pg_dtype to)
{
    if (from == to) return true;
    if (is_float(from) != is_float(to) || from == PG_BOOL) return false;
    if (pg_dtype_is_complex(from) != pg_dtype_is_complex(to)) return false;
    return pg_dtype_size(to) > pg_dtype_size(from);
}

/* Everything but the output: the lists of axes fit the inputs. */
static pg_status check_lists(const pg_op *op)
{
    PG_REQUIRE(op->n_params >= 2 && op->params[0] >= 0 && op->params[0] <= PG_MAX_NDIM &&
                   op->params[1] >= 0 && op->params[1] <= PG_MAX_NDIM &&
                   op->n_params == 2 + 2 * (op->params[0] + op->params[1]),
               "%lld parameters do not fit the numbers of axes", (long long)op->n_params);
    pg_contraction_axes lists = pg_contraction_read(op);
    PG_TRY(check_pairs("batch", op, lists.batch[0], lists.batch[1], lists.n_batch));
    PG_TRY(check_pairs("contracting", op, lists.contract[0], lists.contract[1], lists.n_contract));
    for (int side = 0; side < 2; side++)
        for (int64_t i = 0; i < lists.n_batch; i++)
            PG_REQUIRE(!contains(lists.contract[side], lists.n_contract, lists.batch[side][i]),
                       "axis %lld is both batch and contracting", (long long)lists.batch[side][i]);
    return PG_OK;
}

pg_status pg_contraction_shape(const pg_op *op, int64_t *shape, int32_t *ndim, int64_t *rows)
{
    PG_TRY(check_lists(op));
    pg_contraction_axes lists = pg_contraction_read(op);
    *ndim = 0;
    *rows = 1;
    for (int64_t i = 0; i < lists.n_batch; i++)
        *rows *= shape[(*ndim)++] = op->in[0].shape[lists.batch[0][i]];
    for (int side = 0; side < 2; side++)
        for (int32_t axis = 0; axis < op->in[side].ndim; axis++) {
            if (!is_free(&lists, side, axis)) continue;
            shape[(*ndim)++] = op->in[side].shape[axis];
            if (side == 0) *rows *= op->in[0].shape[axis];
        }
    return PG_OK;
}

pg_status pg_contraction_check(pg_op *op)
{
    PG_REQUIRE(op->n_in == 2 && op->n_out == 1, "takes 2 inputs and gives 1 output, not %d and %d",
               op->n_in, op->n_out);
    const pg_aval *in = op->in, *out = &op->out[0];
    PG_REQUIRE(in[0].dtype == in[1].dtype, "lhs is %s, but rhs is %s", pg_dtype_name(in[0].dtype),
               pg_dtype_name(in[1].dtype));
    PG_REQUIRE(may_widen(in[0].dtype, out->dtype), "inputs are %s, but output is %s",
               pg_dtype_name(in[0].dtype), pg_dtype_name(out->dtype));
    int64_t shape[2 * PG_MAX_NDIM], rows;
    int32_t ndim;
    PG_TRY(pg_contraction_shape(op, shape, &ndim, &rows));
    for (int32_t i = 0; i < ndim && i < out->ndim; i++)
        PG_REQUIRE(out->shape[i] == shape[i],
                   "output axis %d has size %lld, but the inputs give %lld", i,
                   (long long)out->shape[i], (long long)shape[i]);
    PG_REQUIRE(ndim == out->ndim, "output has %d axes, but the inputs give %d", out->ndim, ndim);
    return PG_OK;
}
