/* sort.c - sort: operands of one shape, sorted together along one axis.
 *
 *     out[k][.., i, ..] = x[k][.., order[i], ..]        params: axis, number of keys
 *
 * The first operands are keys, compared one after the other (lexicographic); the others follow. The
 * sort is stable. NaN is above all numbers, all NaN are equal, and so are -0.0 and 0.0. Inputs may have
 * any strides; outputs are dense and new.
 *
 * Each row is sorted by radix on one thread: a single operand as keys, else pairs of key and position,
 * by the last key first. Rows are shared out over the threads. */
#include "cpu.h"
#include "order.h"

enum { PARALLEL = 1 << 14, MAX_OPERANDS = 32 };

typedef struct sorting {
    int32_t n_operands, n_keys;
    int64_t size;        /* of the sorted axis */
    int64_t rows, parts; /* part k sorts rows [rows * k / parts, rows * (k + 1) / parts) */
    pg_array *const *in, **out;
    int32_t axis;
    char *scratch;
    int64_t scratch_bytes; /* of a part */
} sorting;

/* What a part needs per element: keys, two lists of pairs, the order found so far. */
enum { NARROW_SCRATCH = 4 + 8 + 8 + 8, WIDE_SCRATCH = 8 + 16 + 16 + 8 };

static bool fits_narrow(const pg_order *order, int64_t n)
{
    return order->narrow && n <= (int64_t)1 << 32;
}

/* Sorts `order`, in which the row was left by later keys (NULL: as it is), by one key into `sorted`. */
static void sort_by_key(const pg_order *kind, const char *x, int64_t stride, int64_t n,
                        const int64_t *order, int64_t *sorted, char *scratch)
{
    if (fits_narrow(kind, n)) {
        pg_narrow *pairs = (pg_narrow *)scratch, *spare = pairs + n;
        uint32_t *keys = (uint32_t *)(spare + n);
        kind->keys(x, stride, n, keys);
        for (int64_t i = 0; i < n; i++) {
            int64_t position = order ? order[i] : i;
            pairs[i] = pg_narrow_of(keys[position], position);
        }
        pairs = pg_sort_narrow(pairs, spare, n);
        for (int64_t i = 0; i < n; i++)
            sorted[i] = (int64_t)(uint32_t)pairs[i];
        return;
    }
    pg_wide *pairs = (pg_wide *)scratch, *spare = pairs + n;
    uint64_t *keys = (uint64_t *)(spare + n);
    kind->keys(x, stride, n, keys);
    uint32_t *narrow_keys = (uint32_t *)keys;
    for (int64_t i = 0; i < n; i++) {
        int64_t position = order ? order[i] : i;
        pairs[i] = (pg_wide){kind->narrow ? narrow_keys[position] : keys[position], position};
    }
    pairs = pg_sort_wide(pairs, spare, n);
    for (int64_t i = 0; i < n; i++)
        sorted[i] = pairs[i].position;
}

typedef struct item16 {
    uint64_t bits[2];
} item16;

#define MOVE(T)                     \
    for (int64_t i = 0; i < n; i++) \
        *(T *)(out + i * out_stride) = *(const T *)(x + order[i] * stride);

static void move_elements(int64_t item, const char *x, int64_t stride, const int64_t *order,
                          int64_t n, char *out, int64_t out_stride)
{
    switch (item) {
    case 1: MOVE(uint8_t) break;
    case 2: MOVE(uint16_t) break;
    case 4: MOVE(uint32_t) break;
    case 8: MOVE(uint64_t) break;
    default: MOVE(item16)
    }
}

/* One operand: its keys say all, unless there are NaN or -0.0. */
static bool sort_keys_alone(const pg_order *kind, const char *x, int64_t stride, int64_t n,
                            char *out, int64_t out_stride, char *scratch)
{
    if (kind->keys(x, stride, n, scratch)) return false;
    if (kind->narrow) {
        uint32_t *keys = (uint32_t *)scratch;
        kind->elements(pg_sort_keys32(keys, keys + n, n), n, out, out_stride);
    } else {
        uint64_t *keys = (uint64_t *)scratch;
        kind->elements(pg_sort_keys64(keys, keys + n, n), n, out, out_stride);
    }
    return true;
}

/* Byte offset of a row: of an index into all axes but the sorted one. */
static int64_t row_offset(const pg_array *array, int32_t axis, int64_t row)
{
    int64_t offset = 0;
    for (int32_t i = array->ndim; i-- > 0 && row;) {
        if (i == axis) continue;
        offset += row % array->shape[i] * array->strides[i];
        row /= array->shape[i];
    }
    return offset;
}

static void sort_row(const sorting *s, int64_t row, char *scratch)
{
    int64_t n = s->size;
    int64_t *order = (int64_t *)scratch;
    scratch += n * (int64_t)sizeof *order;
    const char *x[MAX_OPERANDS];
    int64_t strides[MAX_OPERANDS];
    for (int32_t k = 0; k < s->n_operands; k++) {
        x[k] = s->in[k]->data + row_offset(s->in[k], s->axis, row);
        strides[k] = s->in[k]->strides[s->axis];
    }
    int64_t to = row_offset(s->out[0], s->axis, row) / pg_dtype_size(s->out[0]->dtype);
    int64_t step = s->out[0]->strides[s->axis] / pg_dtype_size(s->out[0]->dtype);
    if (s->n_operands == 1) {
        int64_t item = pg_dtype_size(s->in[0]->dtype);
        if (sort_keys_alone(pg_orders[s->in[0]->dtype], x[0], strides[0], n,
                            s->out[0]->data + to * item, step * item, scratch))
            return;
    }
    for (int32_t k = s->n_keys; k-- > 0;)
        sort_by_key(pg_orders[s->in[k]->dtype], x[k], strides[k], n,
                    k == s->n_keys - 1 ? NULL : order, order, scratch);
    for (int32_t k = 0; k < s->n_operands; k++) {
        int64_t item = pg_dtype_size(s->in[k]->dtype);
        move_elements(item, x[k], strides[k], order, n, s->out[k]->data + to * item, step * item);
    }
}

static void sort_parts(void *context, int64_t begin, int64_t end)
{
    const sorting *s = context;
    for (int64_t part = begin; part < end; part++)
        for (int64_t row = s->rows * part / s->parts; row < s->rows * (part + 1) / s->parts; row++)
            sort_row(s, row, s->scratch + part * s->scratch_bytes);
}

static pg_status sort_into(const pg_op *op, pg_array *const *in, pg_array **out)
{
    if (op->out[0].count == 0) return PG_OK;
    sorting s = {.n_operands = op->n_in,
                 .n_keys = (int32_t)op->params[1],
                 .axis = (int32_t)op->params[0],
                 .in = in,
                 .out = out};
    s.size = op->in[0].shape[s.axis];
    s.rows = op->in[0].count / s.size;
    bool narrow = true;
    for (int32_t k = 0; k < s.n_keys; k++)
        narrow &= fits_narrow(pg_orders[op->in[k].dtype], s.size);
    int64_t threads = op->in[0].count < PARALLEL ? 1 : pg_num_threads();
    s.parts = threads < s.rows ? threads : s.rows;
    s.scratch_bytes = ((narrow ? NARROW_SCRATCH : WIDE_SCRATCH) * s.size + 63) / 64 * 64;
    int64_t bytes = s.scratch_bytes * s.parts;
    pg_array *scratch;
    PG_TRY(pg_array_new(op->device, PG_UINT8, 1, &bytes, &scratch));
    s.scratch = scratch->data;
    pg_parallel_for(s.parts, 1, sort_parts, &s);
    pg_array_release(scratch);
    return PG_OK;
}

static pg_status sort_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    pg_status status = PG_OK;
    int32_t made = 0;
    for (; made < op->n_out && status == PG_OK; made += status == PG_OK)
        status = pg_array_new(op->device, op->out[made].dtype, op->out[made].ndim,
                              op->out[made].shape, &out[made]);
    if (status == PG_OK) status = sort_into(op, in, out);
    if (status != PG_OK) pg_arrays_release(out, made);
    return status;
}

static pg_status sort_prepare(pg_op *op)
{
    PG_REQUIRE(op->n_in >= 1 && op->n_in <= MAX_OPERANDS && op->n_out == op->n_in,
               "takes 1 to %d operands and gives as many results, not %d and %d", MAX_OPERANDS,
               op->n_in, op->n_out);
    PG_REQUIRE(op->n_params == 2, "takes 2 parameters (axis, number of keys), not %lld",
               (long long)op->n_params);
    const pg_aval *x = &op->in[0];
    PG_REQUIRE(op->params[0] >= 0 && op->params[0] < x->ndim,
               "axis %lld is not an axis of an array with %d axes", (long long)op->params[0],
               x->ndim);
    PG_REQUIRE(op->params[1] >= 1 && op->params[1] <= op->n_in, "%lld keys of %d operands",
               (long long)op->params[1], op->n_in);
    for (int32_t k = 0; k < op->n_in; k++) {
        const pg_aval *in = &op->in[k], *out = &op->out[k];
        PG_REQUIRE(in->dtype == out->dtype, "operand %d is %s, but its result is %s", k,
                   pg_dtype_name(in->dtype), pg_dtype_name(out->dtype));
        PG_REQUIRE(k >= op->params[1] || pg_orders[in->dtype], "%s has no order",
                   pg_dtype_name(in->dtype));
        PG_REQUIRE(in->ndim == x->ndim && out->ndim == x->ndim,
                   "operand %d or its result does not have %d axes", k, x->ndim);
        for (int32_t i = 0; i < x->ndim; i++)
            PG_REQUIRE(in->shape[i] == x->shape[i] && out->shape[i] == x->shape[i],
                       "axis %d of operand %d or its result does not have size %lld", i, k,
                       (long long)x->shape[i]);
    }
    return PG_OK;
}

const pg_kernel pg_cpu_sort_kernels[] = {
    {"sort", sort_prepare, sort_run},
    {0},
};
