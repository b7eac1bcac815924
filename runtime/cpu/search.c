/* search.c - top_k, searchsorted; both in the order of sort (order.h): NaN is above all numbers.
 *
 *     top_k         values[.., j], positions[.., j]: the k largest of x[.., :], largest first, of
 *                   equals the first ones; k is the last size of the outputs; positions: int32
 *     searchsorted  out[.., j] = how many of sorted[.., :] are below v[.., j] (side 1: not above it)
 *                                                        params: side; out: int32
 *
 * Along the last axis; all others are rows. Inputs may have any strides; outputs are dense and new. */
#include "cpu.h"
#include "order.h"

enum { PARALLEL = 1 << 14, SEARCH_GRAIN = 1 << 9, CHUNK = 1 << 12, ROOM = 256 };

static int64_t last_size(const pg_aval *aval) { return aval->shape[aval->ndim - 1]; }

static int64_t last_stride(const pg_array *array) { return array->strides[array->ndim - 1]; }

/* Byte offset of a row: of an index into all axes but the last. */
static int64_t row_offset(const pg_array *array, int64_t row)
{
    int64_t offset = 0;
    for (int32_t i = array->ndim - 1; i-- > 0 && row;) {
        offset += row % array->shape[i] * array->strides[i];
        row /= array->shape[i];
    }
    return offset;
}

/* ---- top_k ------------------------------------------------------------------------------------- */

typedef struct selecting {
    const pg_order *order;
    const pg_array *x;
    char *values;
    int32_t *positions;
    int64_t n, k, room;  /* room: pairs that are collected before they are sorted */
    int64_t rows, parts; /* part p takes rows [rows * p / parts, rows * (p + 1) / parts) */
    char *scratch;
    int64_t scratch_bytes; /* of a part */
} selecting;

/* A row is read once. What beats the k-th best so far is collected; where the room for it is used up,
 * it is sorted and all but the best k are dropped. Keys are inverted, so that the stable sort puts the
 * largest, and of equals the first, in front. */
#define SELECT_ROW(name, PAIR, K, SORT, PAIR_OF, KEY_OF, POSITION_OF)                       \
    static void name(const selecting *s, const char *x, int64_t stride, int32_t *positions, \
                     char *scratch)                                                         \
    {                                                                                       \
        PAIR *best = (PAIR *)scratch, *spare = best + s->room;                              \
        K *keys = (K *)(spare + s->room);                                                   \
        K worst = 0;                                                                        \
        bool full = false; /* k pairs are known, and `worst` is the key of the last */      \
        int64_t found = 0;                                                                  \
        for (int64_t first = 0; first < s->n; first += CHUNK) {                             \
            int64_t n = s->n - first < CHUNK ? s->n - first : CHUNK;                        \
            s->order->keys(x + first * stride, stride, n, keys);                            \
            for (int64_t i = 0; i < n; i++) {                                               \
                K key = (K)~keys[i];                                                        \
                if (full && key >= worst) continue;                                         \
                best[found++] = PAIR_OF(key, first + i);                                    \
                if (found < s->room) continue;                                              \
                PAIR *sorted = SORT(best, spare, found);                                    \
                spare = sorted == best ? spare : best;                                      \
                best = sorted;                                                              \
                found = s->k;                                                               \
                worst = KEY_OF(best[s->k - 1]);                                             \
                full = true;                                                                \
            }                                                                               \
        }                                                                                   \
        best = SORT(best, spare, found);                                                    \
        for (int64_t j = 0; j < s->k; j++)                                                  \
            positions[j] = (int32_t)POSITION_OF(best[j]);                                   \
    }

#define NARROW_KEY(pair) ((uint32_t)((pair) >> 32))
#define NARROW_POSITION(pair) ((uint32_t)(pair))
#define WIDE_OF(key, position) ((pg_wide){key, position})
#define WIDE_KEY(pair) ((pair).key)
#define WIDE_POSITION(pair) ((pair).position)
SELECT_ROW(select_narrow, pg_narrow, uint32_t, pg_sort_narrow, pg_narrow_of, NARROW_KEY,
           NARROW_POSITION)
SELECT_ROW(select_wide, pg_wide, uint64_t, pg_sort_wide, WIDE_OF, WIDE_KEY, WIDE_POSITION)

#define READ(T)                        \
    for (int64_t j = 0; j < s->k; j++) \
        ((T *)values)[j] = *(const T *)(x + positions[j] * stride);

static void select_parts(void *context, int64_t begin, int64_t end)
{
    const selecting *s = context;
    int64_t stride = last_stride(s->x), item = pg_dtype_size(s->x->dtype);
    for (int64_t part = begin; part < end; part++) {
        char *scratch = s->scratch + part * s->scratch_bytes;
        for (int64_t row = s->rows * part / s->parts; row < s->rows * (part + 1) / s->parts;
             row++) {
            const char *x = s->x->data + row_offset(s->x, row);
            int32_t *positions = s->positions + row * s->k;
            char *values = s->values + row * s->k * item;
            if (s->order->narrow)
                select_narrow(s, x, stride, positions, scratch);
            else
                select_wide(s, x, stride, positions, scratch);
            switch (item) {
            case 1: READ(uint8_t) break;
            case 2: READ(uint16_t) break;
            case 4: READ(uint32_t) break;
            default: READ(uint64_t)
            }
        }
    }
}

static pg_status select_into(const pg_op *op, const pg_array *x, pg_array **out)
{
    if (op->out[0].count == 0) return PG_OK;
    selecting s = {.order = pg_orders[x->dtype],
                   .x = x,
                   .values = out[0]->data,
                   .positions = (int32_t *)out[1]->data,
                   .n = last_size(&op->in[0]),
                   .k = last_size(&op->out[0])};
    s.rows = op->out[0].count / s.k;
    s.room = s.k + (s.k > ROOM ? s.k : ROOM);
    if (s.room > s.n) s.room = s.n;
    int64_t threads = s.rows * s.n < PARALLEL ? 1 : pg_num_threads();
    s.parts = threads < s.rows ? threads : s.rows;
    s.scratch_bytes = s.order->narrow ? 2 * s.room * (int64_t)sizeof(pg_narrow) + CHUNK * 4
                                      : 2 * s.room * (int64_t)sizeof(pg_wide) + CHUNK * 8;
    int64_t bytes = s.scratch_bytes * s.parts;
    pg_array *scratch;
    PG_TRY(pg_array_new(op->device, PG_UINT8, 1, &bytes, &scratch));
    s.scratch = scratch->data;
    pg_parallel_for(s.parts, 1, select_parts, &s);
    pg_array_release(scratch);
    return PG_OK;
}

static pg_status top_k_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    const pg_aval *aval = op->out;
    PG_TRY(pg_array_new(op->device, aval[0].dtype, aval[0].ndim, aval[0].shape, &out[0]));
    pg_status status = pg_array_new(op->device, PG_INT32, aval[1].ndim, aval[1].shape, &out[1]);
    int64_t made = status == PG_OK ? 2 : 1;
    if (status == PG_OK) status = select_into(op, in[0], out);
    if (status != PG_OK) pg_arrays_release(out, made);
    return status;
}

static pg_status top_k_prepare(pg_op *op)
{
    PG_REQUIRE(op->n_in == 1 && op->n_out == 2 && op->n_params == 0,
               "takes 1 input, 2 outputs and no parameters, not %d, %d and %lld", op->n_in,
               op->n_out, (long long)op->n_params);
    const pg_aval *x = &op->in[0];
    PG_REQUIRE(x->ndim >= 1, "a 0-d array has no axis to select from");
    PG_REQUIRE(pg_orders[x->dtype], "%s has no order", pg_dtype_name(x->dtype));
    PG_REQUIRE(op->out[0].dtype == x->dtype && op->out[1].dtype == PG_INT32,
               "gives %s and int32, not %s and %s", pg_dtype_name(x->dtype),
               pg_dtype_name(op->out[0].dtype), pg_dtype_name(op->out[1].dtype));
    PG_REQUIRE(last_size(x) <= INT32_MAX, "%lld elements have no int32 positions",
               (long long)last_size(x));
    for (int k = 0; k < 2; k++) {
        const pg_aval *out = &op->out[k];
        PG_REQUIRE(out->ndim == x->ndim && last_size(out) <= last_size(x),
                   "output %d must have %d axes and at most %lld elements on the last", k, x->ndim,
                   (long long)last_size(x));
        PG_REQUIRE(last_size(out) == last_size(&op->out[0]), "the outputs differ in size");
        for (int32_t i = 0; i + 1 < x->ndim; i++)
            PG_REQUIRE(out->shape[i] == x->shape[i], "axis %d of output %d must have size %lld", i,
                       k, (long long)x->shape[i]);
    }
    return PG_OK;
}

/* ---- searchsorted ------------------------------------------------------------------------------ */

typedef struct searching {
    const pg_order *order;
    const pg_array *sorted, *v;
    int32_t *out;
    int64_t n, m; /* elements and values per row */
    bool right;
} searching;

static void search_values(void *context, int64_t begin, int64_t end)
{
    const searching *s = context;
    while (begin < end) {
        int64_t row = begin / s->m, first = begin % s->m;
        int64_t count = s->m - first < end - begin ? s->m - first : end - begin;
        s->order->search(s->sorted->data + row_offset(s->sorted, row), last_stride(s->sorted), s->n,
                         s->v->data + row_offset(s->v, row) + first * last_stride(s->v),
                         last_stride(s->v), count, s->right, s->out + begin);
        begin += count;
    }
}

static pg_status searchsorted_run(const pg_op *op, pg_array *const *in, pg_dying dying,
                                  pg_array **out)
{
    (void)dying;
    PG_TRY(pg_array_new(op->device, PG_INT32, op->out[0].ndim, op->out[0].shape, out));
    if (op->out[0].count == 0) return PG_OK;
    searching s = {.order = pg_orders[in[0]->dtype],
                   .sorted = in[0],
                   .v = in[1],
                   .out = (int32_t *)out[0]->data,
                   .n = last_size(&op->in[0]),
                   .m = last_size(&op->in[1]),
                   .right = op->params[0] != 0};
    pg_parallel_for(op->out[0].count, SEARCH_GRAIN, search_values, &s);
    return PG_OK;
}

static pg_status searchsorted_prepare(pg_op *op)
{
    PG_REQUIRE(op->n_in == 2 && op->n_out == 1 && op->n_params == 1,
               "takes 2 inputs, 1 output and 1 parameter (side), not %d, %d and %lld", op->n_in,
               op->n_out, (long long)op->n_params);
    const pg_aval *sorted = &op->in[0], *v = &op->in[1], *out = &op->out[0];
    PG_REQUIRE(sorted->ndim >= 1 && v->ndim == sorted->ndim && out->ndim == v->ndim,
               "all arrays must have the same number of axes, at least 1");
    PG_REQUIRE(sorted->dtype == v->dtype && pg_orders[v->dtype], "searches %s for %s",
               pg_dtype_name(sorted->dtype), pg_dtype_name(v->dtype));
    PG_REQUIRE(out->dtype == PG_INT32, "the output must be int32, not %s",
               pg_dtype_name(out->dtype));
    PG_REQUIRE(last_size(sorted) <= INT32_MAX, "%lld elements have no int32 positions",
               (long long)last_size(sorted));
    for (int32_t i = 0; i < v->ndim; i++) {
        PG_REQUIRE(out->shape[i] == v->shape[i], "axis %d of the output must have size %lld", i,
                   (long long)v->shape[i]);
        PG_REQUIRE(i == v->ndim - 1 || sorted->shape[i] == v->shape[i],
                   "axis %d has sizes %lld and %lld", i, (long long)sorted->shape[i],
                   (long long)v->shape[i]);
    }
    return PG_OK;
}

const pg_kernel pg_cpu_search_kernels[] = {
    {"top_k", top_k_prepare, top_k_run},
    {"searchsorted", searchsorted_prepare, searchsorted_run},
    {0},
};
