/* window_search.c - window_argmax, window_argmin, window_take, window_put: which element of a window is its best.
 *
 * Windows are as in windows.c; base dilations must be 1. The best element of a window is its first NaN, or else the
 * first of its largest (smallest) elements.
 *
 * window_argmax, window_argmin: out is int32 or int64, the row-major index of that element in x, -1 for a window without
 * elements. window_take (x, y of the shape of x): the element of y at that place, 0 for a window without elements.
 * window_put (x, y with one element per window): of the shape of x, at each place the sum of those elements of y whose
 * windows have their best there; 0 where there are none, and 16-bit floats are summed in float32. The last two: floats
 * only; before the parameters of windows: 0 for the largest, 1 for the smallest.
 *
 * x and y may have any strides; out is dense and new. Rows of windows are searched with the last axis as lanes. */
#include "windows.h"

#include "axes.h"
#include "reduce.h"

#include <string.h>

enum {
    TABLE = 1024,       /* places of a window whose indices are kept */
    PARALLEL = 1 << 15, /* elements worth a thread */
};

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* ---- searching --------------------------------------------------------------------------------- */

typedef struct searching {
    pg_window_see *see;
    pg_window_axis axes[PG_MAX_NDIM];
    int64_t index[PG_MAX_NDIM]; /* what a step along each axis adds to the index in x */
    int32_t n_axes;
    int64_t chunks; /* of a row of windows */
    const char *x;
    int64_t value_size;
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

/* The indices in x of the best elements of the windows of chunk `unit`, -1 for none; returns how many. */
static int64_t search_chunk(const searching *s, int64_t unit, int64_t *index)
{
    const pg_window_axis *last = &s->axes[s->n_axes - 1];
    pg_window_best best;
    int64_t first = unit % s->chunks * PG_WINDOW_LANES,
            n = least(PG_WINDOW_LANES, last->outs - first);
    int64_t lanes = ceil_divide(n, PG_WINDOW_BLOCK) * PG_WINDOW_BLOCK;
    memset(best.tap, 0xff, (size_t)lanes * sizeof *best.tap);
    memset(best.value, 0, (size_t)(lanes * s->value_size));
    int64_t origin = see_rows(s, &best, unit / s->chunks, first, n);
    for (int64_t j = 0; j < n; j++) {
        int64_t tap = best.tap[j];
        index[j] =
            tap < 0 ? -1
                    : origin + j * last->step + (tap < TABLE ? s->table[tap] : tap_index(s, tap));
    }
    return n;
}

static void plan_search(searching *s, int kind, const int64_t *params, const pg_aval *windows,
                        const pg_array *x)
{
    s->see = PG_ISA_SELECT(pg_window_loops)[kind][x->dtype];
    s->x = x->data;
    s->value_size =
        pg_dtype_size(x->dtype == PG_FLOAT16 || x->dtype == PG_BFLOAT16 ? PG_FLOAT32 : x->dtype);
    s->n_axes = pg_window_axes(params, windows, x, s->axes);
    int64_t index = 1, taps = 1;
    for (int32_t a = s->n_axes; a-- > 0; index *= s->axes[a].size) {
        s->index[a] = index;
        taps *= s->axes[a].window;
    }
    for (int64_t tap = 0; tap < least(TABLE, taps); tap++)
        s->table[tap] = tap_index(s, tap);
    s->chunks = ceil_divide(s->axes[s->n_axes - 1].outs, PG_WINDOW_LANES);
}

/* Elements that are seen for one chunk, at most. */
static int64_t chunk_work(const searching *s)
{
    int64_t seen = PG_WINDOW_LANES;
    for (int32_t a = 0; a < s->n_axes && seen < PARALLEL; a++)
        seen *= s->axes[a].window;
    return seen;
}

static pg_status check_search(const int64_t *params, int64_t n_params, const pg_aval *x,
                              const pg_aval *windows)
{
    PG_TRY(pg_window_check(params, n_params, x, windows));
    if (!PG_ISA_SELECT(pg_window_loops)[0][x->dtype])
        return pg_fail(PG_EUNSUPPORTED, "not defined for %s", pg_dtype_name(x->dtype));
    int64_t places = 1;
    for (int32_t i = 0; i < x->ndim; i++) {
        PG_REQUIRE(params[6 * i + 4] == 1, "axis %d: the base dilation must be 1", i);
        PG_REQUIRE(!__builtin_mul_overflow(places, params[6 * i], &places) && places <= INT32_MAX,
                   "windows have 2**31 or more elements");
    }
    return PG_OK;
}

/* ---- window_argmax, window_argmin ---------------------------------------------------------------- */

/* What is done with the indices: window_argmax writes them, window_take what y holds there. */
typedef struct reading {
    searching search;
    const char *y; /* dense; NULL: none */
    char *out;
    int64_t item; /* bytes of an element of out */
} reading;

static void write_chunk(const reading *r, int64_t at, int64_t n, const int64_t *index)
{
    char *out = r->out + at * r->item;
    for (int64_t j = 0; j < n && r->y; j++) {
        static const char nothing[8];
        memcpy(out + j * r->item, index[j] < 0 ? nothing : r->y + index[j] * r->item,
               (size_t)r->item);
    }
    if (!r->y && r->item == 8) memcpy(out, index, (size_t)(n * r->item));
    for (int64_t j = 0; j < n && !r->y && r->item == 4; j++)
        ((int32_t *)out)[j] = (int32_t)index[j];
}

static void read_chunks(void *context, int64_t begin, int64_t end)
{
    const reading *r = context;
    const searching *s = &r->search;
    int64_t index[PG_WINDOW_LANES], outs = s->axes[s->n_axes - 1].outs;
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t n = search_chunk(s, unit, index);
        write_chunk(r, unit / s->chunks * outs + unit % s->chunks * PG_WINDOW_LANES, n, index);
    }
}

static pg_status read_windows(const pg_op *op, const int64_t *params, int kind, const pg_array *x,
                              const pg_array *y, pg_array **out)
{
    PG_TRY(pg_array_new(op->device, op->out[0].dtype, op->out[0].ndim, op->out[0].shape, out));
    if (op->out[0].count == 0) return PG_OK;
    reading r = {
        .y = y ? y->data : NULL, .out = out[0]->data, .item = pg_dtype_size(op->out[0].dtype)};
    plan_search(&r.search, kind, params, &op->out[0], x);
    int64_t outs = r.search.axes[r.search.n_axes - 1].outs;
    pg_parallel_for(op->out[0].count / outs * r.search.chunks, PARALLEL / chunk_work(&r.search) + 1,
                    read_chunks, &r);
    return PG_OK;
}

static pg_status argmax_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    return read_windows(op, op->params, 0, in[0], NULL, out);
}

static pg_status argmin_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    return read_windows(op, op->params, 1, in[0], NULL, out);
}

static pg_status search_prepare(pg_op *op)
{
    PG_REQUIRE(op->n_in == 1 && op->n_out == 1, "takes 1 input and gives 1 output, not %d and %d",
               op->n_in, op->n_out);
    PG_TRY(check_search(op->params, op->n_params, &op->in[0], &op->out[0]));
    pg_dtype out = op->out[0].dtype;
    PG_REQUIRE(out == PG_INT64 || (out == PG_INT32 && op->in[0].count <= INT32_MAX),
               "output must be int64, or int32 for fewer than 2**31 elements, not %s",
               pg_dtype_name(out));
    return PG_OK;
}

/* ---- window_take ---------------------------------------------------------------------------------- */

static pg_status take_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    pg_array *y;
    PG_TRY(pg_array_dense(in[1], &y));
    pg_status status = read_windows(op, op->params + 1, (int)op->params[0], in[0], y, out);
    pg_array_release(y);
    return status;
}

/* The shapes of two operands and the result: x and y are read, or x and one element per window. */
static pg_status check_pair(const pg_op *op, const pg_aval **windows)
{
    PG_REQUIRE(op->n_in == 2 && op->n_out == 1, "takes 2 inputs and gives 1 output, not %d and %d",
               op->n_in, op->n_out);
    const pg_aval *x = &op->in[0], *other = *windows == &op->in[1] ? &op->out[0] : &op->in[1];
    PG_REQUIRE(op->n_params >= 1 && (op->params[0] == 0 || op->params[0] == 1),
               "the first parameter must be 0 or 1");
    PG_REQUIRE(op->in[1].dtype == x->dtype && op->out[0].dtype == x->dtype,
               "inputs are %s and %s, but output is %s", pg_dtype_name(x->dtype),
               pg_dtype_name(op->in[1].dtype), pg_dtype_name(op->out[0].dtype));
    if (!PG_ISA_SELECT(pg_window_puts)[x->dtype])
        return pg_fail(PG_EUNSUPPORTED, "not defined for %s", pg_dtype_name(x->dtype));
    PG_REQUIRE(other->ndim == x->ndim &&
                   !memcmp(other->shape, x->shape, (size_t)x->ndim * sizeof *x->shape),
               "%s must have the shape of input 0", other == &op->in[1] ? "input 1" : "the output");
    return check_search(op->params + 1, op->n_params - 1, x, *windows);
}

static pg_status take_prepare(pg_op *op)
{
    const pg_aval *windows = &op->out[0];
    return check_pair(op, &windows);
}

/* ---- window_put ----------------------------------------------------------------------------------- */

/* What lies before the first axis with windows is shared out: windows of different parts do not meet. */
typedef struct putting {
    searching search;
    const pg_op *op;
    pg_window_put *put;
    const pg_reduce_loops *loops;
    const char *y; /* dense */
    char *out;
    int64_t item, part, part_rows; /* elements of x, and rows of windows, in a part */
    bool rounded;                  /* accumulators are not what out holds */
    atomic_bool no_memory;
} putting;

static void put_part(const putting *p, int64_t part, char *acc)
{
    const searching *s = &p->search;
    int64_t index[PG_WINDOW_LANES], outs = s->axes[s->n_axes - 1].outs;
    for (int64_t unit = part * p->part_rows * s->chunks;
         unit < (part + 1) * p->part_rows * s->chunks; unit++) {
        int64_t n = search_chunk(s, unit, index);
        for (int64_t j = 0; j < n; j++)
            index[j] -= part * p->part; /* stays below 0 where there is none */
        const char *y =
            p->y + (unit / s->chunks * outs + unit % s->chunks * PG_WINDOW_LANES) * p->item;
        p->put(n, index, y, p->item, acc);
    }
}

static void put_parts(void *context, int64_t begin, int64_t end)
{
    putting *p = context;
    int64_t bytes = p->part * p->loops->accumulator_size;
    void *memory = NULL;
    if (p->rounded && pg_cpu_alloc(p->op->device, bytes, &memory) != PG_OK) {
        atomic_store(&p->no_memory, true);
        return;
    }
    for (int64_t i = begin; i < end; i++) {
        char *out = p->out + i * p->part * p->item, *acc = p->rounded ? memory : out;
        memset(acc, 0, (size_t)bytes);
        put_part(p, i, acc);
        if (p->rounded) p->loops->store(acc, out, p->item, p->part);
    }
    if (memory) pg_cpu_free(p->op->device, memory, bytes);
}

typedef struct placing {
    const pg_window_planes *planes;
    const char *x, *y;
    char *out;
} placing;

static void put_planes(void *context, int64_t begin, int64_t end)
{
    const placing *p = context;
    const pg_window_planes *planes = p->planes;
    for (int64_t i = begin; i < end; i++)
        PG_ISA_SELECT(pg_window_pairs_put)
    (&planes->pairs, p->x + pg_axes_offset(planes->outer, planes->n_outer, i, 0),
     p->y + pg_axes_offset(planes->outer, planes->n_outer, i, 1),
     p->out + pg_axes_offset(planes->outer, planes->n_outer, i, 2));
}

static pg_status put_dense(const pg_op *op, const pg_array *x, const pg_array *y, pg_array *out)
{
    int kind = (int)op->params[0];
    pg_window_planes planes;
    int64_t item = pg_dtype_size(out->dtype);
    if (pg_window_find_planes(op->params + 1, &op->in[1], x, &planes)) {
        planes.pairs.largest = kind == 0;
        if (!planes.covered) memset(out->data, 0, (size_t)(op->out[0].count * item));
        placing p = {&planes, x->data, y->data, out->data};
        pg_parallel_for(pg_axes_count(planes.outer, planes.n_outer),
                        PARALLEL / (4 * planes.pairs.rows * planes.pairs.count) + 1, put_planes,
                        &p);
        return PG_OK;
    }
    putting p = {.op = op,
                 .put = PG_ISA_SELECT(pg_window_puts)[x->dtype],
                 .loops = PG_ISA_SELECT(pg_reduce_loops)[PG_SUM][x->dtype],
                 .y = y->data,
                 .out = out->data,
                 .item = item};
    plan_search(&p.search, kind, op->params + 1, &op->in[1], x);
    const pg_window_axis *first = &p.search.axes[0];
    bool shared = p.search.n_axes > 1 && first->window == 1 && first->step == 1 && !first->low &&
                  first->outs == first->size;
    int64_t parts = shared ? first->size : 1;
    p.rounded = p.loops->accumulator_size != item;
    p.part = op->out[0].count / parts;
    p.part_rows = op->in[1].count / p.search.axes[p.search.n_axes - 1].outs / parts;
    int64_t work = p.part_rows * p.search.chunks * chunk_work(&p.search);
    pg_parallel_for(parts, PARALLEL / (work + 1) + 1, put_parts, &p);
    return atomic_load(&p.no_memory)
               ? pg_fail(PG_ENOMEM, "no memory for %lld sums", (long long)p.part)
               : PG_OK;
}

static pg_status put_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    pg_array *y;
    PG_TRY(pg_array_new(op->device, op->out[0].dtype, op->out[0].ndim, op->out[0].shape, out));
    pg_status status = pg_array_dense(in[1], &y);
    if (status == PG_OK) {
        if (op->out[0].count && op->in[1].count)
            status = put_dense(op, in[0], y, out[0]);
        else
            memset(out[0]->data, 0, (size_t)(op->out[0].count * pg_dtype_size(op->out[0].dtype)));
        pg_array_release(y);
    }
    if (status != PG_OK) pg_array_release(out[0]);
    return status;
}

static pg_status put_prepare(pg_op *op)
{
    const pg_aval *windows = &op->in[1];
    return check_pair(op, &windows);
}

const pg_kernel pg_cpu_window_search_kernels[] = {
    {"window_argmax", search_prepare, argmax_run},
    {"window_argmin", search_prepare, argmin_run},
    {"window_take", take_prepare, take_run},
    {"window_put", put_prepare, put_run},
    {0},
};
