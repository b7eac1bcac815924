/* windows.c - reduce_window_sum, reduce_window_max, reduce_window_min, window_argmax, window_argmin.
 *
 *     out[i..] = op over k.. of x[(i * step + k * dilation - low) / base ..]
 *
 * over the places k of a window for which the division has no rest and there is such an element; windows
 * may have any size along every axis. params: for each axis its window, step, low, high, base dilation and
 * window dilation; low and high may be negative, and high only matters for the size of out. A window
 * without elements gives 0 (sum), -inf or the lowest (max), inf or the highest (min). NaN: max and min return
 * it; they do not take complex numbers. 16-bit floats are summed in float32, integers wrap around.
 *
 * window_argmax, window_argmin: out is int32 or int64, the row-major index in x of the window's first NaN, or else
 * of the first of its largest (smallest) elements, -1 for a window without elements. Base dilations must be 1.
 *
 * x may have any strides; out is dense and new. A row of outputs is made in two steps: the rows of x that
 * it sees are combined to one, whose windows then give the outputs. Both have the last axis as lanes. */
#include "windows.h"

#include "axes.h"
#include "reduce.h"

#include <string.h>

enum {
    OUTS = 512,         /* of a row made at once, at most */
    TABLE = 1024,       /* places of a window whose indices are kept */
    PARALLEL = 1 << 15, /* elements worth a thread */
};

/* ---- parameters -------------------------------------------------------------------------------- */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

pg_window_taps pg_window_find(const pg_window_axis *a, int64_t i)
{
    int64_t place = i * a->step - a->low;
    pg_window_taps t = {.tap_move =
                            a->base == 1 ? 1 : a->base / common_divisor(a->base, a->dilation)};
    int64_t tried = least(t.tap_move, a->window);
    while (a->base > 1 && t.tap < tried && (place + t.tap * a->dilation) % a->base)
        t.tap++;
    if (t.tap == tried) return t;
    t.move = t.tap_move * a->dilation / a->base;
    t.first = (place + t.tap * a->dilation) / a->base;
    t.count = ceil_divide(a->window - t.tap, t.tap_move);
    int64_t before = t.first < 0 ? ceil_divide(-t.first, t.move) : 0;
    t.first += before * t.move;
    t.tap += before * t.tap_move;
    int64_t inside = t.first < a->size ? (a->size - 1 - t.first) / t.move + 1 : 0;
    t.count = least(t.count - before, inside);
    if (t.count < 0) t.count = 0;
    return t;
}

/* Sizes near 2**63 must not overflow below. */
static bool reasonable(int64_t x) { return x > -(INT64_C(1) << 40) && x < INT64_C(1) << 40; }

static int64_t dilated(int64_t n, int64_t dilation) { return n ? (n - 1) * dilation + 1 : 0; }

pg_status pg_window_check(const pg_op *op)
{
    PG_REQUIRE(op->n_in == 1 && op->n_out == 1, "takes 1 input and gives 1 output, not %d and %d",
               op->n_in, op->n_out);
    const pg_aval *x = &op->in[0], *out = &op->out[0];
    PG_REQUIRE(x->ndim == out->ndim, "input has %d axes, but output has %d", x->ndim, out->ndim);
    PG_REQUIRE(op->n_params == 6 * (int64_t)x->ndim, "%lld parameters do not fit %d axes",
               (long long)op->n_params, x->ndim);
    for (int32_t i = 0; i < x->ndim; i++) {
        const int64_t *p = op->params + 6 * i;
        int64_t span, reach;
        PG_REQUIRE(p[0] >= 1 && p[1] >= 1 && p[4] >= 1 && p[5] >= 1,
                   "axis %d: window, step and dilations must be at least 1", i);
        PG_REQUIRE(reasonable(p[1]) && reasonable(p[2]) && reasonable(p[3]) && reasonable(p[4]) &&
                       reasonable(p[5]) && !__builtin_mul_overflow(x->shape[i], p[4], &span) &&
                       reasonable(span) && !__builtin_mul_overflow(p[0], p[5], &reach) &&
                       reasonable(reach),
                   "the windows of axis %d are too large", i);
        int64_t room = dilated(x->shape[i], p[4]) + p[2] + p[3] - dilated(p[0], p[5]);
        int64_t expected = room < 0 ? 0 : room / p[1] + 1;
        PG_REQUIRE(out->shape[i] == expected,
                   "axis %d of the output has size %lld, but the windows give %lld", i,
                   (long long)out->shape[i], (long long)expected);
    }
    return PG_OK;
}

static bool has_window(const pg_window_axis *a)
{
    return a->window > 1 || a->step > 1 || a->low || a->base > 1 || a->outs != a->size;
}

int32_t pg_window_axes(const pg_op *op, const pg_array *x, pg_window_axis *axes)
{
    int32_t n = 0;
    for (int32_t i = 0; i < x->ndim; i++) {
        const int64_t *p = op->params + 6 * i;
        pg_window_axis axis = {x->shape[i], op->out[0].shape[i], p[0], p[1], p[2], p[4],
                               p[5],        x->strides[i]};
        pg_window_axis *last = n ? &axes[n - 1] : NULL;
        if (last && !has_window(last) && !has_window(&axis) &&
            last->stride == axis.size * axis.stride) {
            axis.size *= last->size;
            axis.outs *= last->outs;
            *last = axis;
        } else {
            axes[n++] = axis;
        }
    }
    if (!n) axes[n++] = (pg_window_axis){1, 1, 1, 1, 0, 1, 1, pg_dtype_size(x->dtype)};
    return n;
}

/* ---- reduce_window ----------------------------------------------------------------------------- */

typedef struct sliding {
    const pg_reduce_loops *loops;  /* from elements of x to accumulators */
    const pg_reduce_loops *across; /* from accumulators to accumulators */
    pg_device *device;
    pg_window_axis axes[PG_MAX_NDIM];
    int32_t n_axes;
    int64_t chunk, chunks; /* outputs of a row made at once */
    int64_t span;          /* places along the last axis that a chunk sees */
    const char *x;
    char *out;
    int64_t item;
    atomic_bool no_memory;
} sliding;

/* acc[j] = op over the rows of x that output row `row` sees, of elements [begin, end) of the last axis */
static void combine_rows(const sliding *s, int64_t row, int64_t begin, int64_t end, char *acc)
{
    const pg_window_axis *last = &s->axes[s->n_axes - 1];
    pg_axis rows[PG_MAX_NDIM];
    int32_t n = s->n_axes - 1;
    const char *x = s->x + begin * last->stride;
    for (int32_t a = n; a-- > 0; row /= s->axes[a].outs) {
        const pg_window_axis *axis = &s->axes[a];
        pg_window_taps t = pg_window_find(axis, row % axis->outs);
        if (!t.count) return;
        x += t.first * axis->stride;
        rows[a] = (pg_axis){t.count, {t.move * axis->stride, 0, 0}};
    }
    n = pg_axes_merge(rows, n);
    pg_axis inner = n ? rows[--n] : (pg_axis){.size = 1};
    int64_t count = pg_axes_count(rows, n);
    for (int64_t i = 0; i < count; i++)
        s->loops->accumulate(acc, x + pg_axes_offset(rows, n, i, 0), inner.size, inner.stride[0],
                             end - begin, last->stride);
}

/* Outputs [first, first + n) of a row. seen: the places that they see, as accumulators. */
static void make_chunk(const sliding *s, int64_t row, int64_t first, int64_t n, char *seen,
                       char *spread)
{
    const pg_window_axis *last = &s->axes[s->n_axes - 1];
    int64_t size = s->loops->accumulator_size;
    char *out = s->out + (row * last->outs + first) * s->item;
    int64_t place = first * last->step - last->low; /* of the first element seen, before base */
    int64_t span = (n - 1) * last->step + (last->window - 1) * last->dilation + 1;
    int64_t begin = place > 0 ? ceil_divide(place, last->base) : 0;
    int64_t end = place + span > 0 ? least(last->size, ceil_divide(place + span, last->base)) : 0;
    s->loops->fill(seen, span);
    if (begin < end && last->base == 1) {
        combine_rows(s, row, begin, end, seen + (begin - place) * size);
    } else if (begin < end) {
        s->loops->fill(spread, end - begin);
        combine_rows(s, row, begin, end, spread);
        for (int64_t j = begin; j < end; j++)
            memcpy(seen + (j * last->base - place) * size, spread + (j - begin) * size,
                   (size_t)size);
    }
    if (last->window > 1 || last->step > 1) {
        s->across->fill(spread, n);
        s->across->accumulate(spread, seen, last->window, last->dilation * size, n,
                              last->step * size);
        seen = spread;
    }
    s->loops->store(seen, out, s->item, n);
}

static void slide_chunks(void *context, int64_t begin, int64_t end)
{
    sliding *s = context;
    int64_t outs = s->axes[s->n_axes - 1].outs, bytes = s->span * s->loops->accumulator_size;
    void *memory;
    if (pg_cpu_alloc(s->device, 2 * bytes, &memory) != PG_OK) {
        atomic_store(&s->no_memory, true);
        return;
    }
    for (int64_t i = begin; i < end; i++) {
        int64_t first = i % s->chunks * s->chunk;
        make_chunk(s, i / s->chunks, first, least(s->chunk, outs - first), memory,
                   (char *)memory + bytes);
    }
    pg_cpu_free(s->device, memory, 2 * bytes);
}

static pg_dtype accumulator(pg_dtype dtype)
{
    return dtype == PG_FLOAT16 || dtype == PG_BFLOAT16 ? PG_FLOAT32 : dtype;
}

static pg_status reduce_window(const pg_op *op, const pg_array *x, int kind, pg_array **out)
{
    PG_TRY(pg_array_new(op->device, op->out[0].dtype, op->out[0].ndim, op->out[0].shape, out));
    if (op->out[0].count == 0) return PG_OK;
    sliding s = {.loops = PG_ISA_SELECT(pg_reduce_loops)[kind][x->dtype],
                 .across = PG_ISA_SELECT(pg_reduce_loops)[kind][accumulator(x->dtype)],
                 .device = op->device,
                 .x = x->data,
                 .out = out[0]->data,
                 .item = pg_dtype_size(x->dtype)};
    s.n_axes = pg_window_axes(op, x, s.axes);
    const pg_window_axis *last = &s.axes[s.n_axes - 1];
    s.chunk = least(OUTS, last->outs);
    s.chunks = ceil_divide(last->outs, s.chunk);
    s.span = (s.chunk - 1) * last->step + (last->window - 1) * last->dilation + 1;
    int64_t seen = s.span;
    for (int32_t a = 0; a < s.n_axes - 1 && seen < PARALLEL; a++)
        seen *= s.axes[a].window;
    pg_parallel_for(op->out[0].count / last->outs * s.chunks, PARALLEL / (seen + 1) + 1,
                    slide_chunks, &s);
    if (!atomic_load(&s.no_memory)) return PG_OK;
    pg_array_release(out[0]);
    return pg_fail(PG_ENOMEM, "no memory for %lld partial results", (long long)s.span);
}

static pg_status sum_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    return reduce_window(op, in[0], PG_SUM, out);
}

static pg_status max_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    return reduce_window(op, in[0], PG_MAX, out);
}

static pg_status min_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    return reduce_window(op, in[0], PG_MIN, out);
}

static pg_status reduce_prepare(pg_op *op, int kind)
{
    PG_TRY(pg_window_check(op));
    if (!PG_ISA_SELECT(pg_reduce_loops)[kind][op->in[0].dtype])
        return pg_fail(PG_EUNSUPPORTED, "not defined for %s", pg_dtype_name(op->in[0].dtype));
    PG_REQUIRE(op->in[0].dtype == op->out[0].dtype, "input is %s, but output is %s",
               pg_dtype_name(op->in[0].dtype), pg_dtype_name(op->out[0].dtype));
    return PG_OK;
}

static pg_status sum_prepare(pg_op *op) { return reduce_prepare(op, PG_SUM); }
static pg_status max_prepare(pg_op *op) { return reduce_prepare(op, PG_MAX); }
static pg_status min_prepare(pg_op *op) { return reduce_prepare(op, PG_MIN); }

/* ---- window_argmax ----------------------------------------------------------------------------- */

typedef struct searching {
    pg_window_see *see;
    pg_window_axis axes[PG_MAX_NDIM];
    int64_t index[PG_MAX_NDIM]; /* what a step along each axis adds to the index in x */
    int32_t n_axes;
    int64_t chunks;
    const char *x;
    char *out;
    int64_t value_size;
    bool wide_out;        /* int64 rather than int32 */
    int64_t table[TABLE]; /* tap_index of the first places in the window */
} searching;

/* The lanes [first, first + n) of the last axis see one row of x, whose first place in the window is `tap`. */
static void see_row(const searching *s, pg_window_best *best, const char *x, int64_t first,
                    int64_t n, int64_t tap)
{
    const pg_window_axis *a = &s->axes[s->n_axes - 1];
    int64_t lanes = ceil_divide(n, PG_WINDOW_BLOCK) * PG_WINDOW_BLOCK;
    for (int64_t k = 0; k < a->window; k++) {
        int64_t place = first * a->step + k * a->dilation - a->low; /* that lane 0 sees */
        int64_t from = place < 0 ? ceil_divide(-place, a->step) : 0;
        int64_t to = place < a->size ? least(n, (a->size - 1 - place) / a->step + 1) : 0;
        if (from < to)
            s->see(best, lanes, from, to, x + place * a->stride, a->step * a->stride,
                   (int32_t)(tap + k));
    }
}

/* Sees every row of x that output row `row` sees, in order; returns the index in x, perhaps before its
 * beginning, of the window's place 0 for lane `first`. */
static int64_t see_rows(const searching *s, pg_window_best *best, int64_t row, int64_t first,
                        int64_t n)
{
    int32_t outer = s->n_axes - 1;
    const pg_window_axis *last = &s->axes[outer];
    pg_axis rows[PG_MAX_NDIM]; /* array 0: x, 1: places in the window */
    int64_t window = last->window, tap = 0, origin = first * last->step - last->low;
    const char *x = s->x;
    bool any = true;
    for (int32_t a = outer; a-- > 0; row /= s->axes[a].outs) {
        const pg_window_axis *axis = &s->axes[a];
        int64_t i = row % axis->outs;
        pg_window_taps t = pg_window_find(axis, i);
        any &= t.count > 0;
        origin += (i * axis->step - axis->low) * s->index[a];
        x += t.first * axis->stride;
        tap += t.tap * window;
        rows[a] = (pg_axis){t.count, {t.move * axis->stride, t.tap_move * window, 0}};
        window *= axis->window;
    }
    int64_t count = any ? pg_axes_count(rows, outer) : 0;
    for (int64_t i = 0; i < count; i++)
        see_row(s, best, x + pg_axes_offset(rows, outer, i, 0), first, n,
                tap + pg_axes_offset(rows, outer, i, 1));
    return origin;
}

/* How far place `tap` of the window lies behind its place 0, as an index in x. */
static int64_t tap_index(const searching *s, int64_t tap)
{
    int64_t index = 0;
    for (int32_t a = s->n_axes; a-- > 0; tap /= s->axes[a].window)
        index += tap % s->axes[a].window * s->axes[a].dilation * s->index[a];
    return index;
}

static void search_chunks(void *context, int64_t begin, int64_t end)
{
    const searching *s = context;
    const pg_window_axis *last = &s->axes[s->n_axes - 1];
    pg_window_best best;
    for (int64_t i = begin; i < end; i++) {
        int64_t row = i / s->chunks, first = i % s->chunks * PG_WINDOW_LANES;
        int64_t n = least(PG_WINDOW_LANES, last->outs - first);
        int64_t lanes = ceil_divide(n, PG_WINDOW_BLOCK) * PG_WINDOW_BLOCK;
        memset(best.tap, 0xff, (size_t)lanes * sizeof *best.tap);
        memset(best.value, 0, (size_t)(lanes * s->value_size));
        int64_t origin = see_rows(s, &best, row, first, n), at = row * last->outs + first;
        for (int64_t j = 0; j < n; j++) {
            int64_t tap = best.tap[j], index = -1;
            if (tap >= 0)
                index = origin + j * last->step + (tap < TABLE ? s->table[tap] : tap_index(s, tap));
            if (s->wide_out)
                ((int64_t *)s->out)[at + j] = index;
            else
                ((int32_t *)s->out)[at + j] = (int32_t)index;
        }
    }
}

static pg_status search(const pg_op *op, const pg_array *x, int kind, pg_array **out)
{
    PG_TRY(pg_array_new(op->device, op->out[0].dtype, op->out[0].ndim, op->out[0].shape, out));
    if (op->out[0].count == 0) return PG_OK;
    searching s = {.see = PG_ISA_SELECT(pg_window_loops)[kind][x->dtype],
                   .x = x->data,
                   .out = out[0]->data,
                   .value_size = pg_dtype_size(accumulator(x->dtype)),
                   .wide_out = op->out[0].dtype == PG_INT64};
    s.n_axes = pg_window_axes(op, x, s.axes);
    int64_t index = 1, seen = PG_WINDOW_LANES;
    for (int32_t a = s.n_axes; a-- > 0; index *= s.axes[a].size) {
        s.index[a] = index;
        if (seen < PARALLEL) seen *= s.axes[a].window;
    }
    int64_t taps = 1;
    for (int32_t a = 0; a < s.n_axes; a++)
        taps *= s.axes[a].window;
    for (int64_t tap = 0; tap < least(TABLE, taps); tap++)
        s.table[tap] = tap_index(&s, tap);
    int64_t outs = s.axes[s.n_axes - 1].outs;
    s.chunks = ceil_divide(outs, PG_WINDOW_LANES);
    pg_parallel_for(op->out[0].count / outs * s.chunks, PARALLEL / seen + 1, search_chunks, &s);
    return PG_OK;
}

static pg_status argmax_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    return search(op, in[0], 0, out);
}

static pg_status argmin_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    return search(op, in[0], 1, out);
}

static pg_status search_prepare(pg_op *op)
{
    PG_TRY(pg_window_check(op));
    if (!PG_ISA_SELECT(pg_window_loops)[0][op->in[0].dtype])
        return pg_fail(PG_EUNSUPPORTED, "not defined for %s", pg_dtype_name(op->in[0].dtype));
    pg_dtype out = op->out[0].dtype;
    PG_REQUIRE(out == PG_INT64 || (out == PG_INT32 && op->in[0].count <= INT32_MAX),
               "output must be int64, or int32 for fewer than 2**31 elements, not %s",
               pg_dtype_name(out));
    int64_t places = 1;
    for (int32_t i = 0; i < op->in[0].ndim; i++) {
        PG_REQUIRE(op->params[6 * i + 4] == 1, "axis %d: the base dilation must be 1", i);
        PG_REQUIRE(!__builtin_mul_overflow(places, op->params[6 * i], &places) &&
                       places <= INT32_MAX,
                   "windows have 2**31 or more elements");
    }
    return PG_OK;
}

const pg_kernel pg_cpu_windows_kernels[] = {
    {"reduce_window_sum", sum_prepare, sum_run},   {"reduce_window_max", max_prepare, max_run},
    {"reduce_window_min", min_prepare, min_run},   {"window_argmax", search_prepare, argmax_run},
    {"window_argmin", search_prepare, argmin_run}, {0},
};
