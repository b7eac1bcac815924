/* block.c - copies and fills of strided blocks; block.h says what each does. */
#include "block.h"

#include "cpu.h"

#include <string.h>

enum { PARALLEL_BYTES = 1 << 18 };

/* ---- one row ----------------------------------------------------------------------------------- */

#define FILL_ROW(T)                          \
    {                                        \
        T x = *(const T *)value;             \
        if (stride == (int64_t)sizeof(T))    \
            for (int64_t i = 0; i < n; i++)  \
                ((T *)to)[i] = x;            \
        else                                 \
            for (int64_t i = 0; i < n; i++)  \
                *(T *)(to + i * stride) = x; \
    }

static void fill_row(int64_t item, int64_t n, char *to, int64_t stride, const void *value)
{
    switch (item) {
    case 1: FILL_ROW(uint8_t) break;
    case 2: FILL_ROW(uint16_t) break;
    case 4: FILL_ROW(uint32_t) break;
    case 8: FILL_ROW(uint64_t) break;
    default: FILL_ROW(pg_item16)
    }
}

#define COPY_ROW(T)                 \
    for (int64_t i = 0; i < n; i++) \
        *(T *)(to + i * to_stride) = *(const T *)(from + i * from_stride);

static void copy_row(int64_t item, int64_t n, char *to, int64_t to_stride, const char *from,
                     int64_t from_stride)
{
    if (to_stride == item && from_stride == item) {
        memcpy(to, from, (size_t)(n * item));
        return;
    }
    if (from_stride == 0) {
        fill_row(item, n, to, to_stride, from);
        return;
    }
    switch (item) {
    case 1: COPY_ROW(uint8_t) break;
    case 2: COPY_ROW(uint16_t) break;
    case 4: COPY_ROW(uint32_t) break;
    case 8: COPY_ROW(uint64_t) break;
    default: COPY_ROW(pg_item16)
    }
}

/* ---- blocks ------------------------------------------------------------------------------------ */

void pg_block_copy(const pg_axis *axes, int32_t n, int64_t item, char *to, const char *from)
{
    if (n <= 1) {
        pg_axis row = n ? axes[0] : (pg_axis){1, {item, item, 0}};
        copy_row(item, row.size, to, row.stride[0], from, row.stride[1]);
        return;
    }
    for (int64_t i = 0; i < axes[0].size; i++)
        pg_block_copy(axes + 1, n - 1, item, to + i * axes[0].stride[0],
                      from + i * axes[0].stride[1]);
}

void pg_block_fill(const pg_axis *axes, int32_t n, int64_t item, char *to, const void *value)
{
    if (n <= 1) {
        pg_axis row = n ? axes[0] : (pg_axis){1, {item, item, 0}};
        fill_row(item, row.size, to, row.stride[0], value);
        return;
    }
    for (int64_t i = 0; i < axes[0].size; i++)
        pg_block_fill(axes + 1, n - 1, item, to + i * axes[0].stride[0], value);
}

/* ---- parallel ---------------------------------------------------------------------------------- */

typedef struct block {
    pg_axis axes[PG_MAX_NDIM + 1]; /* the leading `split` of them are cut into units */
    int32_t n, split;
    int64_t item;
    char *to;
    const char *from;
    const void *value;
} block;

static void copy_units(void *context, int64_t begin, int64_t end)
{
    const block *b = context;
    for (int64_t i = begin; i < end; i++)
        pg_block_copy(b->axes + b->split, b->n - b->split, b->item,
                      b->to + pg_axes_offset(b->axes, b->split, i, 0),
                      b->from + pg_axes_offset(b->axes, b->split, i, 1));
}

/* Elements of one row with gaps. */
static void copy_elements(void *context, int64_t begin, int64_t end)
{
    const block *b = context;
    const pg_axis *axis = &b->axes[0];
    copy_row(b->item, end - begin, b->to + begin * axis->stride[0], axis->stride[0],
             b->from + begin * axis->stride[1], axis->stride[1]);
}

/* Bytes of one contiguous row: units are bytes, so that even a single row is shared out. */
static void copy_bytes(void *context, int64_t begin, int64_t end)
{
    const block *b = context;
    memcpy(b->to + begin, b->from + begin, (size_t)(end - begin));
}

void pg_block_copy_parallel(const pg_axis *axes, int32_t n, int64_t item, char *to,
                            const char *from)
{
    block b = {.item = item, .to = to, .from = from};
    memcpy(b.axes, axes, (size_t)n * sizeof *axes);
    b.n = pg_axes_merge(b.axes, n);
    int64_t count = pg_axes_count(b.axes, b.n);
    if (count == 0) return;
    if (b.n == 0 || (b.n == 1 && b.axes[0].stride[0] == item && b.axes[0].stride[1] == item)) {
        pg_parallel_for(count * item, PARALLEL_BYTES, copy_bytes, &b);
        return;
    }
    if (b.n == 1) {
        pg_parallel_for(count, PARALLEL_BYTES / item, copy_elements, &b);
        return;
    }
    int64_t units = 1;
    while (b.split < b.n - 1 && units < 1024)
        units *= b.axes[b.split++].size;
    pg_parallel_for(units, PARALLEL_BYTES / (count / units * item) + 1, copy_units, &b);
}

static void fill_range(void *context, int64_t begin, int64_t end)
{
    const block *b = context;
    fill_row(b->item, end - begin, b->to + begin * b->item, b->item, b->value);
}

void pg_block_fill_parallel(int64_t count, int64_t item, char *to, const void *value)
{
    block b = {.item = item, .to = to, .value = value};
    pg_parallel_for(count, PARALLEL_BYTES / item, fill_range, &b);
}

/* ---- in place ---------------------------------------------------------------------------------- */

pg_status pg_block_writable(const pg_op *op, pg_array *array, bool dying, pg_array *const *others,
                            int32_t n, pg_array **out)
{
    bool shared = !dying || !pg_array_is_dense(array) ||
                  array->buffer->bytes != pg_array_count(array) * pg_dtype_size(array->dtype);
    for (int32_t i = 0; i < n; i++)
        shared |= others[i]->buffer == array->buffer;
    if (!shared) {
        pg_array_retain(array);
        *out = array;
        return PG_OK;
    }
    PG_TRY(pg_array_new(op->device, array->dtype, array->ndim, array->shape, out));
    pg_axis axes[PG_MAX_NDIM];
    for (int32_t i = 0; i < array->ndim; i++)
        axes[i] = (pg_axis){array->shape[i], {out[0]->strides[i], array->strides[i], 0}};
    pg_block_copy_parallel(axes, array->ndim, pg_dtype_size(array->dtype), out[0]->data,
                           array->data);
    return PG_OK;
}
