/* argreduce.c - argmax, argmin.
 *
 *     out[kept axes] = the smallest i such that x[.., i, ..] is the maximum (minimum) along `axis`
 *                                                          params: axis; out: int32 or int64
 * NaN counts as better than any number: the first NaN wins. x may have any strides; out is dense
 * and new. An empty axis is an error unless there is no output at all.
 *
 * Compiled once per instruction set. A contiguous axis is read once for the best value and then up
 * to its first appearance; otherwise neighbouring outputs are followed side by side. */
#include "axes.h"
#include "backend.h"
#include "cpu.h"
#include "pequegrad_scalar.h"

#include <string.h>

enum { LANES = 64, MAX_LANES = 512, SHORT_ROW = 16, PARALLEL = 1 << 15 };

/* index[j] = where column j (x + j * stride) has its best element */
typedef void columns_loop(const char *x, int64_t rows, int64_t row_stride, int64_t n,
                          int64_t stride, int64_t *index);
/* where n contiguous elements have their best */
typedef int64_t row_loop(const char *x, int64_t n);
typedef struct arg_loops {
    columns_loop *columns;
    row_loop *row;
} arg_loops;

#define SAME(x) (x)
#define GREATER(a, b) ((a) > (b))
#define LESS(a, b) ((a) < (b))

/* `challenger` replaces `best` if strictly better, or the first NaN. */
#define BEATS(BETTER, challenger, best) \
    (BETTER(challenger, best) | (((challenger) != (challenger)) & ((best) == (best))))

#define ARG(name, T, A, LOAD, BETTER)                                                          \
    static void name##_columns(const char *x, int64_t rows, int64_t row_stride, int64_t n,     \
                               int64_t stride, int64_t *restrict index)                        \
    {                                                                                          \
        A best[MAX_LANES];                                                                     \
        for (int64_t j = 0; j < n; j++) {                                                      \
            best[j] = LOAD(*(const T *)(x + j * stride));                                      \
            index[j] = 0;                                                                      \
        }                                                                                      \
        for (int64_t r = 1; r < rows; r++) {                                                   \
            x += row_stride;                                                                   \
            for (int64_t j = 0; j < n; j++) {                                                  \
                A value = LOAD(*(const T *)(x + j * stride));                                  \
                int beats = BEATS(BETTER, value, best[j]);                                     \
                best[j] = beats ? value : best[j];                                             \
                index[j] = beats ? r : index[j];                                               \
            }                                                                                  \
        }                                                                                      \
    }                                                                                          \
    static int64_t name##_row(const char *x_, int64_t n)                                       \
    {                                                                                          \
        const T *x = (const T *)x_;                                                            \
        A best[LANES];                                                                         \
        for (int64_t j = 0; j < LANES; j++)                                                    \
            best[j] = LOAD(x[0]);                                                              \
        int64_t i = 0;                                                                         \
        for (; i + LANES <= n; i += LANES)                                                     \
            for (int64_t j = 0; j < LANES; j++) {                                              \
                A value = LOAD(x[i + j]);                                                      \
                best[j] = BEATS(BETTER, value, best[j]) ? value : best[j];                     \
            }                                                                                  \
        for (; i < n; i++) {                                                                   \
            A value = LOAD(x[i]);                                                              \
            best[0] = BEATS(BETTER, value, best[0]) ? value : best[0];                         \
        }                                                                                      \
        for (int64_t j = 1; j < LANES; j++)                                                    \
            best[0] = BEATS(BETTER, best[j], best[0]) ? best[j] : best[0];                     \
        /* if there is any NaN, best is one; so this finds the first NaN, or the first best */ \
        for (i = 0; i + LANES <= n; i += LANES) {                                              \
            int found = 0;                                                                     \
            for (int64_t j = 0; j < LANES; j++) {                                              \
                A value = LOAD(x[i + j]);                                                      \
                found |= (value == best[0]) | (value != value);                                \
            }                                                                                  \
            if (found) break;                                                                  \
        }                                                                                      \
        while (LOAD(x[i]) != best[0] && LOAD(x[i]) == LOAD(x[i]))                              \
            i++;                                                                               \
        return i;                                                                              \
    }                                                                                          \
    static const arg_loops name = {name##_columns, name##_row};

#define ARG_BOTH(name, T, A, LOAD)          \
    ARG(argmax_##name, T, A, LOAD, GREATER) \
    ARG(argmin_##name, T, A, LOAD, LESS)

ARG_BOTH(i8, int8_t, int8_t, SAME)
ARG_BOTH(i16, int16_t, int16_t, SAME)
ARG_BOTH(i32, int32_t, int32_t, SAME)
ARG_BOTH(i64, int64_t, int64_t, SAME)
ARG_BOTH(u8, uint8_t, uint8_t, SAME)
ARG_BOTH(u16, uint16_t, uint16_t, SAME)
ARG_BOTH(u32, uint32_t, uint32_t, SAME)
ARG_BOTH(u64, uint64_t, uint64_t, SAME)
ARG_BOTH(f16, uint16_t, float, pg_half_to_float)
ARG_BOTH(bf16, uint16_t, float, pg_bfloat16_to_float)
ARG_BOTH(f32, float, float, SAME)
ARG_BOTH(f64, double, double, SAME)

#define ARG_ROW(name)                                                                      \
    {[PG_BOOL] = &name##_u8,     [PG_INT8] = &name##_i8,       [PG_INT16] = &name##_i16,   \
     [PG_INT32] = &name##_i32,   [PG_INT64] = &name##_i64,     [PG_UINT8] = &name##_u8,    \
     [PG_UINT16] = &name##_u16,  [PG_UINT32] = &name##_u32,    [PG_UINT64] = &name##_u64,  \
     [PG_FLOAT16] = &name##_f16, [PG_BFLOAT16] = &name##_bf16, [PG_FLOAT32] = &name##_f32, \
     [PG_FLOAT64] = &name##_f64}

static const arg_loops *const argmax_loops[PG_DTYPE_COUNT] = ARG_ROW(argmax);
static const arg_loops *const argmin_loops[PG_DTYPE_COUNT] = ARG_ROW(argmin);

typedef struct search {
    const arg_loops *loops;
    const char *x;
    char *out;
    bool wide_out;        /* int64 rather than int32 */
    int64_t size, stride; /* of the searched axis */
    bool contiguous;
    pg_axis kept[PG_MAX_NDIM]; /* array 0: x, 1: out */
    int32_t n_kept;
    pg_axis lanes;
    int64_t tile, tiles;
} search;

static void run_units(void *context, int64_t begin, int64_t end)
{
    const search *s = context;
    int64_t index[MAX_LANES];
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t outer = unit / s->tiles, first = unit % s->tiles * s->tile;
        int64_t n = s->lanes.size - first < s->tile ? s->lanes.size - first : s->tile;
        const char *x =
            s->x + pg_axes_offset(s->kept, s->n_kept, outer, 0) + first * s->lanes.stride[0];
        char *out =
            s->out + pg_axes_offset(s->kept, s->n_kept, outer, 1) + first * s->lanes.stride[1];
        if (s->contiguous)
            index[0] = s->loops->row(x, s->size);
        else
            s->loops->columns(x, s->size, s->stride, n, s->lanes.stride[0], index);
        for (int64_t j = 0; j < n; j++) {
            if (s->wide_out)
                *(int64_t *)(out + j * s->lanes.stride[1]) = index[j];
            else
                *(int32_t *)(out + j * s->lanes.stride[1]) = (int32_t)index[j];
        }
    }
}

static pg_status arg_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    PG_TRY(pg_array_new(op->device, op->out[0].dtype, op->out[0].ndim, op->out[0].shape, out));
    if (op->out[0].count == 0) return PG_OK;

    const pg_array *x = in[0];
    int32_t axis = (int32_t)op->params[0];
    search s = {.loops = ((const arg_loops *const *)op->state)[x->dtype],
                .x = x->data,
                .out = out[0]->data,
                .wide_out = op->out[0].dtype == PG_INT64,
                .size = x->shape[axis],
                .stride = x->strides[axis]};
    for (int32_t i = 0; i < x->ndim; i++)
        if (i != axis)
            s.kept[s.n_kept++] =
                (pg_axis){x->shape[i], {x->strides[i], out[0]->strides[i - (i > axis)], 0}};
    pg_axes_sort(s.kept, s.n_kept);
    s.n_kept = pg_axes_merge(s.kept, s.n_kept);

    s.contiguous = s.stride == pg_dtype_size(x->dtype) && s.size >= SHORT_ROW;
    s.lanes = s.contiguous || !s.n_kept ? (pg_axis){.size = 1} : s.kept[--s.n_kept];
    s.tile = s.lanes.size < MAX_LANES ? s.lanes.size : MAX_LANES;
    s.tiles = (s.lanes.size + s.tile - 1) / s.tile;
    pg_parallel_for(pg_axes_count(s.kept, s.n_kept) * s.tiles, PARALLEL / (s.tile * s.size) + 1,
                    run_units, &s);
    return PG_OK;
}

static pg_status arg_prepare(pg_op *op)
{
    const char *name = op->kernel->name;
    PG_REQUIRE(op->n_in == 1 && op->n_out == 1 && op->n_params == 1,
               "takes 1 input, 1 output and 1 parameter (the axis), not %d, %d and %lld", op->n_in,
               op->n_out, (long long)op->n_params);
    const pg_aval *x = &op->in[0], *out = &op->out[0];
    int64_t axis = op->params[0];
    PG_REQUIRE(axis >= 0 && axis < x->ndim, "axis %lld is not an axis of an array with %d axes",
               (long long)axis, x->ndim);
    PG_REQUIRE(out->dtype == PG_INT32 || out->dtype == PG_INT64,
               "output must be int32 or int64, not %s", pg_dtype_name(out->dtype));
    if (pg_dtype_is_complex(x->dtype))
        return pg_fail(PG_EUNSUPPORTED, "not defined for %s", pg_dtype_name(x->dtype));
    PG_REQUIRE(out->ndim == x->ndim - 1, "output has %d axes, expected %d", out->ndim, x->ndim - 1);
    for (int32_t i = 0; i < out->ndim; i++)
        PG_REQUIRE(out->shape[i] == x->shape[i + (i >= axis)],
                   "output axis %d has size %lld, but the input has %lld there", i,
                   (long long)out->shape[i], (long long)x->shape[i + (i >= axis)]);
    PG_REQUIRE(x->shape[axis] > 0 || out->count == 0, "axis %lld is empty", (long long)axis);
    PG_REQUIRE(out->dtype == PG_INT64 || x->shape[axis] <= INT32_MAX,
               "%lld elements need an int64 output", (long long)x->shape[axis]);
    op->state = strcmp(name, "argmax") == 0 ? argmax_loops : argmin_loops;
    return PG_OK;
}

const pg_kernel PG_ISA_NAME(pg_cpu_argreduce_kernels)[] = {
    {"argmax", arg_prepare, arg_run},
    {"argmin", arg_prepare, arg_run},
    {0},
};
