/* windows.c - reduce_window_sum, reduce_window_max, reduce_window_min.
 *
 *     out[i..] = op over k.. of x[(i * step + k * dilation - low) / base ..]
 *
 * over the places k of a window for which the division has no rest and there is such an element; windows
 * may have any size along every axis. params: for each axis its window, step, low, high, base dilation and
 * window dilation; low and high may be negative, and high only matters for the size of out. A window
 * without elements gives 0 (sum), -inf or the lowest (max), inf or the highest (min). NaN: max and min return
 * it; they do not take complex numbers. 16-bit floats are summed in float32, integers wrap around.
 *
 * x may have any strides; out is dense and new. A row of outputs is made in two steps: the rows of x that
 * it sees are combined to one, whose windows then give the outputs. Both have the last axis as lanes. */
#include "windows.h"

#include "axes.h"
#include "reduce.h"

#include <string.h>

enum {
    OUTS = 512,         /* of a row made at once, at most */
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

pg_status pg_window_check(const int64_t *params, int64_t n_params, const pg_aval *x,
                          const pg_aval *out)
{
    PG_REQUIRE(x->ndim == out->ndim, "input has %d axes, but output has %d", x->ndim, out->ndim);
    PG_REQUIRE(n_params == 6 * (int64_t)x->ndim, "%lld parameters do not fit %d axes",
               (long long)n_params, x->ndim);
    for (int32_t i = 0; i < x->ndim; i++) {
        const int64_t *p = params + 6 * i;
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

int32_t pg_window_axes(const int64_t *params, const pg_aval *out, const pg_array *x,
                       pg_window_axis *axes)
{
    int32_t n = 0;
    for (int32_t i = 0; i < x->ndim; i++) {
        const int64_t *p = params + 6 * i;
        pg_window_axis axis = {x->shape[i], out->shape[i], p[0], p[1],
                               p[2],        p[4],          p[5], x->strides[i]};
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

/* ---- planes of 2 x 2 windows ------------------------------------------------------------------- */

static bool is_pair(const int64_t *p, int64_t size, int64_t outs)
{
    return p[0] == 2 && p[1] == 2 && p[2] == 0 && p[4] == 1 && p[5] == 1 && 2 * outs <= size;
}

static bool is_plain(const int64_t *p, int64_t size, int64_t outs)
{
    return p[0] == 1 && p[1] == 1 && p[2] == 0 && p[4] == 1 && outs == size;
}

/* Axes h and h + 1 have windows, and no others; true if the axes after them are as one. */
static bool find_pair(const int64_t *params, const pg_aval *out, const pg_array *x, int32_t *h,
                      int64_t *inner)
{
    int64_t bytes = pg_dtype_size(x->dtype);
    int32_t a = x->ndim;
    for (*inner = 1; a > 0 && is_plain(params + 6 * (a - 1), x->shape[a - 1], out->shape[a - 1]);
         a--) {
        if (x->strides[a - 1] != bytes && x->shape[a - 1] != 1) return false;
        bytes *= x->shape[a - 1];
        *inner *= x->shape[a - 1];
    }
    if (a < 2) return false;
    *h = a - 2;
    for (int32_t i = 0; i < a - 2; i++)
        if (!is_plain(params + 6 * i, x->shape[i], out->shape[i])) return false;
    return is_pair(params + 6 * (a - 2), x->shape[a - 2], out->shape[a - 2]) &&
           is_pair(params + 6 * (a - 1), x->shape[a - 1], out->shape[a - 1]);
}

bool pg_window_find_planes(const int64_t *params, const pg_aval *out, const pg_array *x,
                           pg_window_planes *planes)
{
    int32_t h;
    int64_t inner, item = pg_dtype_size(x->dtype);
    if (x->dtype != PG_FLOAT32 || !find_pair(params, out, x, &h, &inner)) return false;
    int64_t height = x->shape[h], width = x->shape[h + 1], outs = out->shape[h + 1];
    int64_t cell = inner * item, row = x->strides[h], column = x->strides[h + 1];
    if (inner == 1 && column != item) return false;
    planes->covered = height == 2 * out->shape[h] && width == 2 * outs;
    planes->pairs = (pg_window_pairs){.apart = inner > 1,
                                      .rows = inner > 1 ? outs : out->shape[h],
                                      .count = inner > 1 ? inner : outs,
                                      .x_row = inner > 1 ? 2 * column : 2 * row,
                                      .x_right = column,
                                      .x_below = row,
                                      .to_row = inner > 1 ? 2 * cell : 2 * width * item,
                                      .to_right = cell,
                                      .to_below = width * cell,
                                      .out_row = inner > 1 ? cell : outs * item};
    pg_axis *axes = planes->outer;
    int64_t out_bytes = out->shape[h] * outs * cell, to_bytes = height * width * cell;
    for (int32_t a = h; a-- > 0; out_bytes *= x->shape[a], to_bytes *= x->shape[a])
        axes[a] = (pg_axis){x->shape[a], {x->strides[a], out_bytes, to_bytes}};
    planes->n_outer = pg_axes_merge(axes, h);
    if (inner > 1)
        axes[planes->n_outer++] =
            (pg_axis){out->shape[h], {2 * row, outs * cell, 2 * width * cell}};
    return true;
}

typedef struct pairing {
    const pg_window_planes *planes;
    const char *x;
    char *out;
} pairing;

static void reduce_planes(void *context, int64_t begin, int64_t end)
{
    const pairing *p = context;
    const pg_window_planes *planes = p->planes;
    for (int64_t i = begin; i < end; i++)
        PG_ISA_SELECT(pg_window_pairs_reduce)
    (&planes->pairs, p->x + pg_axes_offset(planes->outer, planes->n_outer, i, 0),
     p->out + pg_axes_offset(planes->outer, planes->n_outer, i, 1));
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
    pg_window_planes planes;
    if (kind != PG_SUM && pg_window_find_planes(op->params, &op->out[0], x, &planes)) {
        planes.pairs.largest = kind == PG_MAX;
        pairing p = {&planes, x->data, out[0]->data};
        pg_parallel_for(pg_axes_count(planes.outer, planes.n_outer),
                        PARALLEL / (4 * planes.pairs.rows * planes.pairs.count) + 1, reduce_planes,
                        &p);
        return PG_OK;
    }
    sliding s = {.loops = PG_ISA_SELECT(pg_reduce_loops)[kind][x->dtype],
                 .across = PG_ISA_SELECT(pg_reduce_loops)[kind][accumulator(x->dtype)],
                 .device = op->device,
                 .x = x->data,
                 .out = out[0]->data,
                 .item = pg_dtype_size(x->dtype)};
    s.n_axes = pg_window_axes(op->params, &op->out[0], x, s.axes);
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
    PG_REQUIRE(op->n_in == 1 && op->n_out == 1, "takes 1 input and gives 1 output, not %d and %d",
               op->n_in, op->n_out);
    PG_TRY(pg_window_check(op->params, op->n_params, &op->in[0], &op->out[0]));
    if (!PG_ISA_SELECT(pg_reduce_loops)[kind][op->in[0].dtype])
        return pg_fail(PG_EUNSUPPORTED, "not defined for %s", pg_dtype_name(op->in[0].dtype));
    PG_REQUIRE(op->in[0].dtype == op->out[0].dtype, "input is %s, but output is %s",
               pg_dtype_name(op->in[0].dtype), pg_dtype_name(op->out[0].dtype));
    return PG_OK;
}

static pg_status sum_prepare(pg_op *op) { return reduce_prepare(op, PG_SUM); }
static pg_status max_prepare(pg_op *op) { return reduce_prepare(op, PG_MAX); }
static pg_status min_prepare(pg_op *op) { return reduce_prepare(op, PG_MIN); }

const pg_kernel pg_cpu_windows_kernels[] = {
    {"reduce_window_sum", sum_prepare, sum_run},
    {"reduce_window_max", max_prepare, max_run},
    {"reduce_window_min", min_prepare, min_run},
    {0},
};
