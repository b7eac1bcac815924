/* overlap.c - overlap_add: windows added up where they came from.
 *
 *     out[.. p ..] = sum of x[.. i .., k..] over the i and k with i * step + k * dilation = p
 *
 * params: for each windowed axis, ascending: the axis, step and dilation; their windows are the last axes
 * of x, in that order. Elements that no window covers are 0. Not bool: 16-bit floats are summed in
 * float32, integers wrap around. x may have any strides; out is dense and new.
 *
 * What lies before the first windowed axis is shared out over the threads; a part adds window place
 * after window place, in their order. */
#include "axes.h"
#include "reduce.h"
#include "windows.h"

#include <string.h>

enum { PARALLEL = 1 << 15 };

typedef struct overlap {
    const pg_op *op;
    pg_window_add *add;
    const pg_reduce_loops *loops;
    pg_axis outer[PG_MAX_NDIM]; /* array 0: out, 1: x */
    pg_axis inner[PG_MAX_NDIM]; /* array 0: accumulators, 1: x; places in the window come first */
    int32_t n_outer, n_inner;
    int64_t part; /* elements of out in a part */
    const char *x;
    char *out;
    bool rounded; /* accumulators are not what out holds */
    atomic_bool no_memory;
} overlap;

static void add_parts(void *context, int64_t begin, int64_t end)
{
    overlap *o = context;
    int64_t item = pg_dtype_size(o->op->out[0].dtype), bytes = o->part * o->loops->accumulator_size;
    void *memory = NULL;
    if (o->rounded && pg_cpu_alloc(o->op->device, bytes, &memory) != PG_OK) {
        atomic_store(&o->no_memory, true);
        return;
    }
    pg_axis row = o->inner[o->n_inner - 1];
    int64_t rows = pg_axes_count(o->inner, o->n_inner - 1);
    for (int64_t i = begin; i < end; i++) {
        char *out = o->out + i * o->part * item, *acc = o->rounded ? memory : out;
        const char *x = o->x + pg_axes_offset(o->outer, o->n_outer, i, 1);
        memset(acc, 0, (size_t)bytes);
        for (int64_t r = 0; r < rows; r++)
            o->add(row.size, acc + pg_axes_offset(o->inner, o->n_inner - 1, r, 0), row.stride[0],
                   x + pg_axes_offset(o->inner, o->n_inner - 1, r, 1), row.stride[1]);
        if (o->rounded) o->loops->store(acc, out, item, o->part);
    }
    if (memory) pg_cpu_free(o->op->device, memory, bytes);
}

static pg_status overlap_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    const pg_aval *aval = &op->out[0];
    const pg_array *x = in[0];
    PG_TRY(pg_array_new(op->device, aval->dtype, aval->ndim, aval->shape, out));
    if (aval->count == 0) return PG_OK;
    if (op->in[0].count == 0) {
        memset(out[0]->data, 0, (size_t)(aval->count * pg_dtype_size(aval->dtype)));
        return PG_OK;
    }
    overlap o = {.op = op,
                 .add = PG_ISA_SELECT(pg_window_adds)[aval->dtype],
                 .loops = PG_ISA_SELECT(pg_reduce_loops)[PG_SUM][aval->dtype],
                 .part = 1,
                 .x = x->data,
                 .out = out[0]->data};
    int64_t size = o.loops->accumulator_size, n = op->n_params / 3;
    o.rounded = size != pg_dtype_size(aval->dtype);
    int64_t steps[PG_MAX_NDIM] = {0};
    for (int64_t i = 0; i < n; i++)
        steps[op->params[3 * i]] = op->params[3 * i + 1];
    int32_t first = n ? (int32_t)op->params[0] : aval->ndim;
    int64_t strides[PG_MAX_NDIM + 1]; /* of a part, as accumulators */
    for (int32_t a = aval->ndim; a-- > 0;) {
        strides[a] = o.part * size;
        if (a >= first) o.part *= aval->shape[a];
    }
    for (int32_t a = 0; a < first; a++)
        o.outer[o.n_outer++] = (pg_axis){x->shape[a], {0, x->strides[a], 0}};
    for (int64_t i = 0; i < n; i++) {
        int64_t at = aval->ndim + i;
        /* steps are only taken where there are two places; elsewhere they might overflow */
        int64_t dilation = x->shape[at] > 1 ? op->params[3 * i + 2] : 1;
        o.inner[o.n_inner++] =
            (pg_axis){x->shape[at], {strides[op->params[3 * i]] * dilation, x->strides[at], 0}};
    }
    for (int32_t a = first; a < aval->ndim; a++)
        o.inner[o.n_inner++] = (pg_axis){
            x->shape[a],
            {strides[a] * (steps[a] && x->shape[a] > 1 ? steps[a] : 1), x->strides[a], 0}};
    o.n_inner = pg_axes_merge(o.inner, o.n_inner);
    if (!o.n_inner) o.inner[o.n_inner++] = (pg_axis){.size = 1};
    pg_parallel_for(aval->count / o.part, PARALLEL / (pg_axes_count(o.inner, o.n_inner) + 1) + 1,
                    add_parts, &o);
    if (!atomic_load(&o.no_memory)) return PG_OK;
    pg_array_release(out[0]);
    return pg_fail(PG_ENOMEM, "no memory for %lld sums", (long long)o.part);
}

static pg_status overlap_prepare(pg_op *op)
{
    PG_REQUIRE(op->n_in == 1 && op->n_out == 1, "takes 1 input and gives 1 output, not %d and %d",
               op->n_in, op->n_out);
    const pg_aval *x = &op->in[0], *out = &op->out[0];
    int64_t n = op->n_params / 3, before = -1;
    PG_REQUIRE(op->n_params == 3 * n && x->ndim == out->ndim + n,
               "%lld parameters and %d input axes do not fit %d output axes",
               (long long)op->n_params, x->ndim, out->ndim);
    PG_REQUIRE(x->dtype == out->dtype, "input is %s, but output is %s", pg_dtype_name(x->dtype),
               pg_dtype_name(out->dtype));
    if (!PG_ISA_SELECT(pg_window_adds)[x->dtype])
        return pg_fail(PG_EUNSUPPORTED, "not defined for %s", pg_dtype_name(x->dtype));
    bool windowed[PG_MAX_NDIM] = {false};
    for (int64_t i = 0; i < n; i++) {
        const int64_t *p = op->params + 3 * i;
        PG_REQUIRE(p[0] > before && p[0] < out->ndim && p[1] >= 1 && p[2] >= 1,
                   "axis %lld with step %lld and dilation %lld", (long long)p[0], (long long)p[1],
                   (long long)p[2]);
        before = p[0];
        windowed[p[0]] = true;
        int64_t window = x->shape[out->ndim + i], places = x->shape[p[0]], reach, span;
        if (!window || !places) continue;
        PG_REQUIRE(!__builtin_mul_overflow(window - 1, p[2], &reach) &&
                       !__builtin_mul_overflow(places - 1, p[1], &span) &&
                       !__builtin_add_overflow(reach, span, &span) && span < out->shape[p[0]],
                   "windows reach beyond axis %lld, of size %lld", (long long)p[0],
                   (long long)out->shape[p[0]]);
    }
    for (int32_t a = 0; a < out->ndim; a++)
        PG_REQUIRE(windowed[a] || x->shape[a] == out->shape[a],
                   "axis %d has size %lld in the input, but %lld in the output", a,
                   (long long)x->shape[a], (long long)out->shape[a]);
    return PG_OK;
}

const pg_kernel pg_cpu_overlap_kernels[] = {
    {"overlap_add", overlap_prepare, overlap_run},
    {0},
};
