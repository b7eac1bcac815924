/* scatter.c - scatter: windows of updates combined into the operand at given corners.
 *
 *     out = operand; for each position in row-major order, each element of its window:
 *         out[corner(indices[position..]) + window..] op= updates[position.., window..]
 *                              params: combine, mode, then the dimension numbers (index.h)
 * combine: 0 set, 1 add, 2 mul, 3 min, 4 max (bool: add and max are or, mul and min are and; NaN
 * wins min and max). mode 0 (clip): a corner is moved until its window fits. mode 1 (drop): a window
 * that does not fit wholly is skipped. float16 and bfloat16 are rounded after each update.
 *
 * Updates of one element are combined in the order of the positions: threads share out the target,
 * never the updates, and each walks over all positions. Inputs may have any strides; the operand's
 * memory becomes the output if it is dying. */
#include "block.h"
#include "cpu.h"
#include "index.h"
#include "pequegrad_complex.h"

enum { PARALLEL = 1 << 15 };
enum { COMBINE_COUNT = 5 }; /* set, add, mul, min, max */

/* ---- one row of a window ------------------------------------------------------------------------ */

typedef void combine_row(int64_t n, char *to, int64_t to_stride, const char *from,
                         int64_t from_stride);

#define SAME(x) (x)
#define COMBINE_ELEMENTS(T, A, LOAD, STORE, OP, to_stride, from_stride) \
    for (int64_t i = 0; i < n; i++) {                                   \
        A old = LOAD(*(T *)(to + i * (to_stride)));                     \
        A update = LOAD(*(const T *)(from + i * (from_stride)));        \
        *(T *)(to + i * (to_stride)) = STORE(OP(old, update));          \
    }
#define COMBINE(name, T, A, LOAD, STORE, OP)                                                     \
    static void name(int64_t n, char *restrict to, int64_t to_stride, const char *restrict from, \
                     int64_t from_stride)                                                        \
    {                                                                                            \
        const int64_t size = sizeof(T);                                                          \
        if (to_stride == size && from_stride == size)                                            \
            COMBINE_ELEMENTS(T, A, LOAD, STORE, OP, size, size)                                  \
        else                                                                                     \
            COMBINE_ELEMENTS(T, A, LOAD, STORE, OP, to_stride, from_stride)                      \
    }
#define COMBINE_ALL(name, T, A, LOAD, STORE, computed)        \
    COMBINE(add_##name, T, A, LOAD, STORE, pg_add_##computed) \
    COMBINE(mul_##name, T, A, LOAD, STORE, pg_mul_##computed) \
    COMBINE(min_##name, T, A, LOAD, STORE, pg_min_##computed) \
    COMBINE(max_##name, T, A, LOAD, STORE, pg_max_##computed)

COMBINE_ALL(bool, uint8_t, uint8_t, SAME, SAME, bool)
COMBINE_ALL(int8, int8_t, int8_t, SAME, SAME, int8)
COMBINE_ALL(int16, int16_t, int16_t, SAME, SAME, int16)
COMBINE_ALL(int32, int32_t, int32_t, SAME, SAME, int32)
COMBINE_ALL(int64, int64_t, int64_t, SAME, SAME, int64)
COMBINE_ALL(uint8, uint8_t, uint8_t, SAME, SAME, uint8)
COMBINE_ALL(uint16, uint16_t, uint16_t, SAME, SAME, uint16)
COMBINE_ALL(uint32, uint32_t, uint32_t, SAME, SAME, uint32)
COMBINE_ALL(uint64, uint64_t, uint64_t, SAME, SAME, uint64)
COMBINE_ALL(float16, uint16_t, float, pg_half_to_float, pg_float_to_half, float32)
COMBINE_ALL(bfloat16, uint16_t, float, pg_bfloat16_to_float, pg_float_to_bfloat16, float32)
COMBINE_ALL(float32, float, float, SAME, SAME, float32)
COMBINE_ALL(float64, double, double, SAME, SAME, float64)
COMBINE(add_complex64, pg_complex64, pg_complex64, SAME, SAME, pg_add_complex64)
COMBINE(mul_complex64, pg_complex64, pg_complex64, SAME, SAME, pg_mul_complex64)
COMBINE(add_complex128, pg_complex128, pg_complex128, SAME, SAME, pg_add_complex128)
COMBINE(mul_complex128, pg_complex128, pg_complex128, SAME, SAME, pg_mul_complex128)

#define COMBINE_ROW(name) {NULL, add_##name, mul_##name, min_##name, max_##name}
/* NULL for `set`, which block.h does for every dtype, and for what complex numbers do not have */
static combine_row *const combine_rows[PG_DTYPE_COUNT][COMBINE_COUNT] = {
    [PG_BOOL] = COMBINE_ROW(bool),
    [PG_INT8] = COMBINE_ROW(int8),
    [PG_INT16] = COMBINE_ROW(int16),
    [PG_INT32] = COMBINE_ROW(int32),
    [PG_INT64] = COMBINE_ROW(int64),
    [PG_UINT8] = COMBINE_ROW(uint8),
    [PG_UINT16] = COMBINE_ROW(uint16),
    [PG_UINT32] = COMBINE_ROW(uint32),
    [PG_UINT64] = COMBINE_ROW(uint64),
    [PG_FLOAT16] = COMBINE_ROW(float16),
    [PG_BFLOAT16] = COMBINE_ROW(bfloat16),
    [PG_FLOAT32] = COMBINE_ROW(float32),
    [PG_FLOAT64] = COMBINE_ROW(float64),
    [PG_COMPLEX64] = {NULL, add_complex64, mul_complex64},
    [PG_COMPLEX128] = {NULL, add_complex128, mul_complex128},
};

static void combine_block(combine_row *combine, const pg_axis *axes, int32_t n, int64_t item,
                          char *to, const char *from)
{
    if (!combine) {
        pg_block_copy(axes, n, item, to, from);
    } else if (n <= 1) {
        pg_axis row = n ? axes[0] : (pg_axis){.size = 1};
        combine(row.size, to, row.stride[0], from, row.stride[1]);
    } else {
        for (int64_t i = 0; i < axes[0].size; i++)
            combine_block(combine, axes + 1, n - 1, item, to + i * axes[0].stride[0],
                          from + i * axes[0].stride[1]);
    }
}

/* ---- all windows -------------------------------------------------------------------------------- */

typedef struct scattering {
    pg_index_walk walk; /* its owner, if any: targets are shared out by that start index */
    int64_t item;
    char *out;
    const char *updates;
    combine_row *combine;
} scattering;

/* The windows whose owner index lies in [low, high), cut down to [low, high) of window axis 0 if
 * there is no owner. */
static void scatter_part(void *context, int64_t low, int64_t high)
{
    const scattering *s = context;
    bool owned = s->walk.owner >= 0;
    int64_t to[PG_INDEX_BLOCK], from[PG_INDEX_BLOCK], starts[PG_INDEX_BLOCK];
    pg_axis window[PG_MAX_NDIM];
    for (int32_t a = 0; a < s->walk.n_window; a++)
        window[a] = s->walk.window[a];
    int64_t to_shift = 0, from_shift = 0;
    if (!owned && s->walk.aligned) {
        window[0].size = high - low;
        to_shift = low * window[0].stride[0];
        from_shift = low * window[0].stride[1];
    }
    for (int64_t first = 0; first < s->walk.positions; first += PG_INDEX_BLOCK) {
        int64_t left = s->walk.positions - first;
        int64_t n = left < PG_INDEX_BLOCK ? left : PG_INDEX_BLOCK;
        pg_index_offsets(&s->walk, first, n, to, from, owned ? starts : NULL);
        pg_axis row = s->walk.n_window ? window[0] : (pg_axis){.size = 1};
        for (int64_t i = 0; i < n; i++) {
            if (to[i] == PG_INDEX_OUTSIDE || (owned && (starts[i] < low || starts[i] >= high)))
                continue;
            char *target = s->out + to[i] + to_shift;
            const char *update = s->updates + from[i] + from_shift;
            if (s->combine && s->walk.n_window <= 1)
                s->combine(row.size, target, row.stride[0], update, row.stride[1]);
            else
                combine_block(s->combine, window, s->walk.n_window, s->item, target, update);
        }
    }
}

/* How many parts the target is shared out in: along an axis with start indices and windows of size 1
 * if there is one, else along the first window axis if all windows begin at the same place there (else
 * two threads would write one element), else not at all. */
static int64_t share_target(pg_index_walk *walk, const pg_index_numbers *numbers,
                            const pg_array *operand)
{
    if (walk->aligned && walk->window[0].size >= 256) return walk->window[0].size;
    int64_t size = 1;
    for (int64_t i = 0; i < walk->n_map; i++) {
        int64_t targets = operand->shape[numbers->start_map.at[i]];
        if (walk->map[i].highest == targets - 1 && targets > size) {
            size = targets;
            walk->owner = i;
        }
    }
    if (walk->owner >= 0) return size;
    return walk->aligned ? walk->window[0].size : 1;
}

static pg_status scatter_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    pg_index_numbers numbers;
    PG_TRY(pg_index_read(op, 1, &numbers));
    PG_TRY(pg_block_writable(op, in[0], dying & 1, in + 1, 2, out));
    if (op->in[2].count == 0 || op->out[0].count == 0) return PG_OK;

    scattering s = {.item = pg_dtype_size(op->in[0].dtype),
                    .out = out[0]->data,
                    .updates = in[2]->data,
                    .combine = combine_rows[op->in[0].dtype][op->params[0]]};
    pg_index_walk_begin(&s.walk, &numbers, out[0], in[1], in[2]);
    int64_t targets = share_target(&s.walk, &numbers, out[0]);
    /* every part walks over all positions, so there are no more parts than threads */
    bool parallel = op->in[2].count >= PARALLEL;
    int64_t threads = parallel ? pg_num_threads() : 1;
    pg_parallel_for(targets, (targets + threads - 1) / threads, scatter_part, &s);
    return PG_OK;
}

static pg_status scatter_prepare(pg_op *op)
{
    PG_REQUIRE(op->n_in == 3 && op->n_out == 1,
               "takes operand, indices and updates and gives 1 output, not %d inputs and "
               "%d outputs",
               op->n_in, op->n_out);
    PG_REQUIRE(op->n_params > 0 && op->params[0] >= 0 && op->params[0] < COMBINE_COUNT,
               "combine must be 0 (set), 1 (add), 2 (mul), 3 (min) or 4 (max)");
    const pg_aval *operand = &op->in[0], *out = &op->out[0];
    if (op->params[0] > 0 && !combine_rows[operand->dtype][op->params[0]])
        return pg_fail(PG_EUNSUPPORTED, "min and max are not defined for %s",
                       pg_dtype_name(operand->dtype));
    PG_REQUIRE(out->dtype == operand->dtype, "operand is %s, but output is %s",
               pg_dtype_name(operand->dtype), pg_dtype_name(out->dtype));
    PG_REQUIRE(out->ndim == operand->ndim, "operand has %d axes, but output has %d", operand->ndim,
               out->ndim);
    for (int32_t i = 0; i < out->ndim; i++)
        PG_REQUIRE(out->shape[i] == operand->shape[i],
                   "axis %d has size %lld in the operand, but %lld in the output", i,
                   (long long)operand->shape[i], (long long)out->shape[i]);
    pg_index_numbers numbers;
    op->plan = pg_plan_first_input;
    PG_TRY(pg_index_read(op, 1, &numbers));
    return pg_index_check(&numbers, operand, &op->in[1], &op->in[2]);
}

const pg_kernel pg_cpu_scatter_kernels[] = {
    {"scatter", scatter_prepare, scatter_run},
    {0},
};
