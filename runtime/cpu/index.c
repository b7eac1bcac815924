/* index.c - dimension numbers of gather and scatter; index.h says what they mean. */
#include "index.h"

/* ---- reading and checking ---------------------------------------------------------------------- */

pg_status pg_index_read(const pg_op *op, int64_t first, pg_index_numbers *out)
{
    PG_REQUIRE(op->n_params > first, "%lld parameters are too few", (long long)op->n_params);
    PG_REQUIRE(op->params[first] >= 0 && op->params[first] <= 2,
               "mode must be 0 (clip), 1 (fill or drop) or 2 (zero), not %lld",
               (long long)op->params[first]);
    out->clip = op->params[first] == 0;
    out->zero = op->params[first] == 2;

    pg_index_list *lists[6] = {&out->offset_dims,      &out->collapsed_dims, &out->operand_batching,
                               &out->indices_batching, &out->start_map,      &out->slice_sizes};
    int64_t next = first + 1;
    for (int i = 0; i < 6; i++) {
        PG_REQUIRE(next < op->n_params, "parameters end before list %d of the dimension numbers",
                   i);
        int64_t n = op->params[next++];
        PG_REQUIRE(n >= 0 && n <= op->n_params - next,
                   "list %d of the dimension numbers says %lld items, but %lld are left", i,
                   (long long)n, (long long)(op->n_params - next));
        *lists[i] = (pg_index_list){op->params + next, n};
        next += n;
    }
    PG_REQUIRE(next == op->n_params, "%lld parameters behind the dimension numbers",
               (long long)(op->n_params - next));
    return PG_OK;
}

static bool contains(pg_index_list list, int64_t item)
{
    for (int64_t i = 0; i < list.n; i++)
        if (list.at[i] == item) return true;
    return false;
}

/* Every item names another axis of `ndim`. */
static pg_status check_axes(const char *what, pg_index_list list, int64_t ndim)
{
    for (int64_t i = 0; i < list.n; i++) {
        PG_REQUIRE(list.at[i] >= 0 && list.at[i] < ndim, "%s has %lld, outside [0, %lld)", what,
                   (long long)list.at[i], (long long)ndim);
        PG_REQUIRE(!contains((pg_index_list){list.at, i}, list.at[i]), "%s has %lld twice", what,
                   (long long)list.at[i]);
    }
    return PG_OK;
}

static bool in_window(const pg_index_numbers *numbers, int64_t operand_axis)
{
    return !contains(numbers->collapsed_dims, operand_axis) &&
           !contains(numbers->operand_batching, operand_axis);
}

/* Axes outside the window have size 1 there, also where the caller wrote 0. */
static int64_t window_size(const pg_index_numbers *numbers, int64_t operand_axis)
{
    return in_window(numbers, operand_axis) ? numbers->slice_sizes.at[operand_axis] : 1;
}

static pg_status check_operand_axes(const pg_index_numbers *numbers, const pg_aval *operand,
                                    const pg_aval *slices)
{
    for (int64_t i = 0; i < operand->ndim; i++) {
        int64_t size = numbers->slice_sizes.at[i];
        PG_REQUIRE(size >= 0, "slice size %lld on operand axis %lld is negative", (long long)size,
                   (long long)i);
        PG_REQUIRE(in_window(numbers, i) || size <= 1,
                   "operand axis %lld is collapsed or batching, so its slice size is 1, not "
                   "%lld",
                   (long long)i, (long long)size);
        PG_REQUIRE(!contains(numbers->collapsed_dims, i) || !contains(numbers->operand_batching, i),
                   "operand axis %lld is both collapsed and batching", (long long)i);
        PG_REQUIRE(!contains(numbers->start_map, i) || !contains(numbers->operand_batching, i),
                   "operand axis %lld is batching, so it takes no start index", (long long)i);
        bool may_miss = !numbers->clip && contains(numbers->start_map, i);
        PG_REQUIRE(window_size(numbers, i) <= operand->shape[i] || may_miss || slices->count == 0,
                   "slice size %lld on operand axis %lld exceeds its size %lld",
                   (long long)window_size(numbers, i), (long long)i, (long long)operand->shape[i]);
    }
    return PG_OK;
}

/* The slices have the shape that positions and window sizes give. */
static pg_status check_slices(const pg_index_numbers *numbers, const pg_aval *indices,
                              const pg_aval *slices)
{
    int32_t position = 0, operand_axis = 0;
    for (int32_t i = 0; i < slices->ndim; i++) {
        int64_t expected;
        if (contains(numbers->offset_dims, i)) {
            while (!in_window(numbers, operand_axis))
                operand_axis++;
            expected = window_size(numbers, operand_axis++);
        } else {
            expected = indices->shape[position++];
        }
        PG_REQUIRE(slices->shape[i] == expected,
                   "axis %d of the windows array has size %lld, but the dimension numbers give "
                   "%lld",
                   i, (long long)slices->shape[i], (long long)expected);
    }
    return PG_OK;
}

pg_status pg_index_check(const pg_index_numbers *numbers, const pg_aval *operand,
                         const pg_aval *indices, const pg_aval *slices)
{
    PG_REQUIRE(indices->dtype >= PG_INT8 && indices->dtype <= PG_UINT64,
               "indices must be integers, not %s", pg_dtype_name(indices->dtype));
    PG_REQUIRE(slices->dtype == operand->dtype, "operand is %s, but its windows are %s",
               pg_dtype_name(operand->dtype), pg_dtype_name(slices->dtype));
    PG_REQUIRE(indices->ndim >= 1, "indices need an axis for the index vector");
    int64_t positions = indices->ndim - 1, n = numbers->slice_sizes.n;
    PG_REQUIRE(n == operand->ndim, "%lld slice sizes for an operand with %d axes", (long long)n,
               operand->ndim);

    PG_TRY(check_axes("offset_dims", numbers->offset_dims, slices->ndim));
    PG_TRY(check_axes("collapsed_slice_dims", numbers->collapsed_dims, operand->ndim));
    PG_TRY(check_axes("operand_batching_dims", numbers->operand_batching, operand->ndim));
    PG_TRY(check_axes("start_indices_batching_dims", numbers->indices_batching, positions));
    PG_TRY(check_axes("start_index_map", numbers->start_map, operand->ndim));
    for (int64_t i = 1; i < numbers->offset_dims.n; i++)
        PG_REQUIRE(numbers->offset_dims.at[i - 1] < numbers->offset_dims.at[i],
                   "offset_dims must ascend");

    PG_TRY(check_operand_axes(numbers, operand, slices));
    PG_REQUIRE(numbers->start_map.n == indices->shape[positions],
               "start_index_map has %lld items, but an index vector has %lld",
               (long long)numbers->start_map.n, (long long)indices->shape[positions]);
    PG_REQUIRE(numbers->operand_batching.n == numbers->indices_batching.n,
               "%lld batching axes of the operand, but %lld of the indices",
               (long long)numbers->operand_batching.n, (long long)numbers->indices_batching.n);
    for (int64_t i = 0; i < numbers->operand_batching.n; i++) {
        int64_t axis = numbers->operand_batching.at[i], other = numbers->indices_batching.at[i];
        PG_REQUIRE(operand->shape[axis] == indices->shape[other],
                   "batching axis %lld of the operand has size %lld, but axis %lld of the "
                   "indices has %lld",
                   (long long)axis, (long long)operand->shape[axis], (long long)other,
                   (long long)indices->shape[other]);
    }

    int64_t window_axes = operand->ndim - numbers->collapsed_dims.n - numbers->operand_batching.n;
    PG_REQUIRE(numbers->offset_dims.n == window_axes,
               "%lld offset_dims, but the window has %lld axes that are neither collapsed nor "
               "batching",
               (long long)numbers->offset_dims.n, (long long)window_axes);
    PG_REQUIRE(slices->ndim == positions + window_axes,
               "the windows array has %d axes, but positions and window have %lld", slices->ndim,
               (long long)(positions + window_axes));
    return check_slices(numbers, indices, slices);
}

/* ---- walking ----------------------------------------------------------------------------------- */

/* Whether the first window axis longer than 1 has no start index that could move the window. (Axes
 * merged into it are whole operand axes, along which nothing can move either.) */
static bool first_axis_stays(const pg_index_numbers *numbers, const pg_array *operand)
{
    for (int64_t axis = 0; axis < operand->ndim; axis++) {
        int64_t size = window_size(numbers, axis);
        if (size == 1) continue;
        return size >= operand->shape[axis] || !contains(numbers->start_map, axis);
    }
    return false;
}

void pg_index_walk_begin(pg_index_walk *walk, const pg_index_numbers *numbers,
                         const pg_array *operand, const pg_array *indices, const pg_array *slices)
{
    *walk = (pg_index_walk){.indices = indices->data,
                            .index_dtype = indices->dtype,
                            .index_stride = indices->strides[indices->ndim - 1],
                            .clip = numbers->clip,
                            .n_map = numbers->start_map.n,
                            .owner = -1};
    int32_t operand_axis = 0;
    for (int32_t i = 0; i < slices->ndim; i++) {
        if (contains(numbers->offset_dims, i)) {
            while (!in_window(numbers, operand_axis))
                operand_axis++;
            walk->window[walk->n_window++] = (pg_axis){
                slices->shape[i], {operand->strides[operand_axis++], slices->strides[i], 0}};
        } else {
            int32_t position = walk->n_batch;
            walk->batch[walk->n_batch++] =
                (pg_axis){slices->shape[i], {indices->strides[position], slices->strides[i], 0}};
        }
    }
    for (int64_t i = 0; i < numbers->operand_batching.n; i++)
        walk->batch[numbers->indices_batching.at[i]].stride[2] =
            operand->strides[numbers->operand_batching.at[i]];
    for (int64_t i = 0; i < walk->n_map; i++) {
        int64_t axis = numbers->start_map.at[i];
        walk->map[i].stride = operand->strides[axis];
        walk->map[i].highest = operand->shape[axis] - window_size(numbers, axis);
    }
    walk->positions = pg_axes_count(walk->batch, walk->n_batch);
    walk->window_count = pg_axes_count(walk->window, walk->n_window);
    walk->n_batch = pg_axes_merge(walk->batch, walk->n_batch);
    walk->n_window = pg_axes_merge(walk->window, walk->n_window);
    walk->aligned = walk->n_window > 0 && first_axis_stays(numbers, operand);
}

static int64_t load_index(pg_dtype dtype, const char *at)
{
    switch (dtype) {
    case PG_INT8: return *(const int8_t *)at;
    case PG_INT16: return *(const int16_t *)at;
    case PG_INT32: return *(const int32_t *)at;
    case PG_INT64: return *(const int64_t *)at;
    case PG_UINT8: return *(const uint8_t *)at;
    case PG_UINT16: return *(const uint16_t *)at;
    case PG_UINT32: return *(const uint32_t *)at;
    default: {
        uint64_t index = *(const uint64_t *)at;
        return index > INT64_MAX ? INT64_MAX : (int64_t)index; /* outside of any operand */
    }
    }
}

void pg_index_offsets(const pg_index_walk *walk, int64_t begin, int64_t n, int64_t *operand,
                      int64_t *slices, int64_t *starts)
{
    int64_t at[PG_MAX_NDIM], offset[3], index = begin;
    for (int32_t a = walk->n_batch; a-- > 0; index /= walk->batch[a].size)
        at[a] = index % walk->batch[a].size;
    for (int which = 0; which < 3; which++)
        offset[which] = pg_axes_offset(walk->batch, walk->n_batch, begin, which);

    for (int64_t i = 0; i < n; i++) {
        int64_t corner = offset[2];
        for (int64_t k = 0; k < walk->n_map; k++) {
            int64_t start =
                load_index(walk->index_dtype, walk->indices + offset[0] + k * walk->index_stride);
            if (start < 0 || start > walk->map[k].highest) {
                if (!walk->clip) {
                    corner = PG_INDEX_OUTSIDE;
                    break;
                }
                start = start < 0 ? 0 : walk->map[k].highest;
            }
            if (starts && k == walk->owner) starts[i] = start;
            corner += start * walk->map[k].stride;
        }
        operand[i] = corner;
        slices[i] = offset[1];

        for (int32_t a = walk->n_batch; a-- > 0;) {
            const pg_axis *axis = &walk->batch[a];
            int64_t step = ++at[a] < axis->size ? 1 : 1 - axis->size;
            for (int which = 0; which < 3; which++)
                offset[which] += step * axis->stride[which];
            if (step == 1) break;
            at[a] = 0;
        }
    }
}
