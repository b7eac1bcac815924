/* elementwise.c - runs a one-axis loop (elementwise.h) over arrays of any shape and strides.
 *
 * The output is dense; inputs have stride 0 where they are broadcast. Where all operands are dense or
 * single values, the arrays are one axis. Otherwise axes are merged where every operand allows it, and
 * the last two of those left are cut into tiles: the tiles are what threads share, and within a tile
 * a transposed input stays in the first-level cache; if its elements have 4 bytes, it is turned there. */
#include "elementwise.h"

#include "turn.h"

/* ---- preparing --------------------------------------------------------------------------------- */

static pg_dtype result_dtype(const pg_elementwise *kind, pg_dtype dtype)
{
    if (kind->gives_bool) return PG_BOOL;
    if (kind->joins) return dtype == PG_FLOAT32 ? PG_COMPLEX64 : PG_COMPLEX128;
    if (kind->gives_part && pg_dtype_is_complex(dtype))
        return dtype == PG_COMPLEX64 ? PG_FLOAT32 : PG_FLOAT64;
    return dtype;
}

static pg_status check_dtypes(const pg_op *op, const pg_elementwise *kind)
{
    pg_dtype dtype = op->in[kind->n_in - 1].dtype;
    if (!kind->loops[dtype])
        return pg_fail(PG_EUNSUPPORTED, "not offered for %s", pg_dtype_name(dtype));
    for (int32_t i = 0; i < kind->n_in; i++) {
        pg_dtype wanted = i == 0 && kind->selects ? PG_BOOL : dtype;
        PG_REQUIRE(op->in[i].dtype == wanted, "input %d is %s, not %s", i,
                   pg_dtype_name(op->in[i].dtype), pg_dtype_name(wanted));
    }
    pg_dtype result = result_dtype(kind, dtype);
    PG_REQUIRE(kind->converts || op->out[0].dtype == result, "the output is %s, not %s",
               pg_dtype_name(result), pg_dtype_name(op->out[0].dtype));
    return PG_OK;
}

/* NumPy's rule: trailing axes correspond; sizes are equal, or the input's is 1. */
static pg_status check_broadcast(const pg_aval *in, const pg_aval *out, int32_t number)
{
    PG_REQUIRE(in->ndim <= out->ndim, "input %d has more axes than the output", number);
    int32_t missing = out->ndim - in->ndim;
    for (int32_t i = 0; i < in->ndim; i++)
        PG_REQUIRE(in->shape[i] == 1 || in->shape[i] == out->shape[missing + i],
                   "axis %d of input %d does not fit size %lld of the output", i, number,
                   (long long)out->shape[missing + i]);
    return PG_OK;
}

pg_status pg_elementwise_prepare(pg_op *op, const pg_elementwise *kind)
{
    op->plan = pg_output;
    PG_REQUIRE(op->n_in == kind->n_in && op->n_out == 1,
               "takes %d inputs and gives one output, not %d and %d", kind->n_in, op->n_in,
               op->n_out);
    PG_REQUIRE(op->n_params == kind->n_params, "takes %d parameters, not %lld", kind->n_params,
               (long long)op->n_params);
    PG_TRY(check_dtypes(op, kind));
    for (int32_t i = 0; i < op->n_in; i++)
        PG_TRY(check_broadcast(&op->in[i], &op->out[0], i));
    op->state = kind;
    return PG_OK;
}

/* ---- one axis ---------------------------------------------------------------------------------- */

enum { MAX_OPERANDS = 1 + PG_ELEMENTWISE_MAX_IN }; /* the output is operand 0 */

typedef struct flat {
    pg_loop *loop;
    int64_t parameter;
    int32_t n_in;
    char *out;
    const char *in[PG_ELEMENTWISE_MAX_IN];
    int64_t strides[MAX_OPERANDS];
} flat;

/* Describes the arrays as one axis; false if an input is neither dense nor a single value. */
static bool flatten(const pg_op *op, pg_array *const *in, flat *f)
{
    for (int32_t i = 0; i < op->n_in; i++) {
        f->in[i] = in[i]->data;
        if (op->in[i].count == op->out[0].count && pg_array_is_dense(in[i]))
            f->strides[i + 1] = pg_dtype_size(in[i]->dtype);
        else if (op->in[i].count == 1)
            f->strides[i + 1] = 0;
        else
            return false;
    }
    return true;
}

static void run_flat_range(void *context, int64_t begin, int64_t end)
{
    const flat *f = context;
    const char *in[PG_ELEMENTWISE_MAX_IN];
    for (int32_t i = 0; i < f->n_in; i++)
        in[i] = f->in[i] + begin * f->strides[i + 1];
    f->loop(f->out + begin * f->strides[0], in, f->strides, end - begin, f->parameter);
}

/* ---- several axes ------------------------------------------------------------------------------ */

typedef struct axis {
    int64_t size;
    int64_t strides[MAX_OPERANDS];
} axis;

enum { TILE = 64, MAX_TURNED = 2 };

typedef struct nest {
    pg_loop *loop;
    int64_t parameter;
    int32_t n_operands;
    char *start[MAX_OPERANDS];
    int32_t n_axes; /* at least 2: the last is the loop's, the one before is the rows' */
    axis axes[PG_MAX_NDIM + 1];
    int64_t tile_rows, tile_length;
    int32_t n_turned, turned[MAX_TURNED]; /* operands that are copied, turned, before the loop */
} nest;

static axis *last_axis(nest *n) { return &n->axes[n->n_axes - 1]; }

static bool mergeable(const nest *n, const axis *outer, const axis *inner)
{
    for (int32_t i = 0; i < n->n_operands; i++)
        if (outer->strides[i] != inner->strides[i] * inner->size) return false;
    return true;
}

static void collect_axes(nest *n, pg_array *const *in, const pg_array *out)
{
    for (int32_t a = 0; a < out->ndim; a++) {
        if (out->shape[a] == 1) continue;
        axis next = {.size = out->shape[a], .strides = {out->strides[a]}};
        for (int32_t i = 1; i < n->n_operands; i++) {
            int32_t own = a - (out->ndim - in[i - 1]->ndim);
            bool moves = own >= 0 && in[i - 1]->shape[own] != 1;
            next.strides[i] = moves ? in[i - 1]->strides[own] : 0;
        }
        if (n->n_axes && mergeable(n, last_axis(n), &next)) {
            next.size *= last_axis(n)->size;
            *last_axis(n) = next;
        } else {
            n->axes[n->n_axes++] = next;
        }
    }
    while (n->n_axes < 2) { /* axes of size 1 in front */
        for (int32_t a = n->n_axes; a > 0; a--)
            n->axes[a] = n->axes[a - 1];
        n->axes[0] = (axis){.size = 1};
        n->n_axes++;
    }
}

/* Moves axis `a` to place `to`, and those between one place up. */
static void move_axis(nest *n, int32_t a, int32_t to)
{
    axis moved = n->axes[a];
    for (; a < to; a++)
        n->axes[a] = n->axes[a + 1];
    n->axes[to] = moved;
}

enum { CACHE_LINE = 64, LONG_PIECE = 4096 };

static int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

/* Of the axes before `end`, the one along which operand `i` is closest to contiguous; -1 if it does
 * not move along any. */
static int32_t natural_axis(const nest *n, int32_t i, int32_t end)
{
    int32_t best = -1;
    for (int32_t a = end - 1; a >= 0; a--) {
        int64_t stride = magnitude(n->axes[a].strides[i]);
        if (!stride || n->axes[a].size == 1) continue;
        if (best < 0 || stride < magnitude(n->axes[best].strides[i])) best = a;
    }
    return best;
}

static int32_t longest_axis(const nest *n)
{
    int32_t best = n->n_axes - 1;
    for (int32_t a = n->n_axes - 1; a >= 0; a--)
        if (n->axes[a].size > n->axes[best].size) best = a;
    return best;
}

/* The first input whose elements lie far apart along the loop's axis and closer along another; 0 if
 * there is none. */
static int32_t transposed_input(const nest *n)
{
    int32_t last = n->n_axes - 1;
    for (int32_t i = 1; i < n->n_operands; i++) {
        int64_t stride = magnitude(n->axes[last].strides[i]);
        if (stride >= CACHE_LINE && natural_axis(n, i, n->n_axes) != last) return i;
    }
    return 0;
}

/* Which inputs lie along the rows' axis, element by element. */
static void find_turned(nest *n, pg_array *const *in)
{
    const axis *rows = &n->axes[n->n_axes - 2], *length = last_axis(n);
    for (int32_t i = 1; i < n->n_operands && n->n_turned < MAX_TURNED; i++)
        if (rows->strides[i] == 4 && pg_dtype_size(in[i - 1]->dtype) == 4 &&
            magnitude(length->strides[i]) > 4)
            n->turned[n->n_turned++] = i;
}

/* Chooses the loop's axis, the rows' axis and the tiles. */
static void arrange(nest *n, pg_array *const *in)
{
    enum { SHORT = 16 }; /* below this, calling the loop costs more than the loop */
    int32_t last = n->n_axes - 1, longest = longest_axis(n);
    if (n->axes[last].size < SHORT && longest != last) {
        move_axis(n, longest, last);
        n->tile_rows = SHORT;
        n->tile_length = 1024;
        return;
    }
    int32_t transposed = transposed_input(n);
    if (transposed) {
        move_axis(n, natural_axis(n, transposed, last), last - 1);
        n->tile_rows = TILE;
        n->tile_length = TILE;
        find_turned(n, in);
        return;
    }
    n->tile_rows = 1;
    n->tile_length = 1 << 14;
    /* Long pieces are read in the order in which they lie in memory. Short ones are written in order:
     * lines of the output must be fetched, too, and only those that come one after the other are in time. */
    if (n->axes[last].size * n->axes[last].strides[0] < LONG_PIECE) return;
    for (int32_t i = 1; i < n->n_operands; i++) {
        int32_t natural = natural_axis(n, i, last);
        if (natural < 0) continue;
        move_axis(n, natural, last - 1);
        return;
    }
}

static int64_t tiles(int64_t size, int64_t tile) { return (size - 1) / tile + 1; }

/* An axis counted in tiles. */
static axis tiled(const nest *n, int32_t a, int64_t tile)
{
    axis result = {.size = tiles(n->axes[a].size, tile)};
    for (int32_t i = 0; i < n->n_operands; i++)
        result.strides[i] = n->axes[a].strides[i] * tile;
    return result;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void run_tile(const nest *n, char *const *start, int64_t row, int64_t column)
{
    const axis *rows = &n->axes[n->n_axes - 2], *length = &n->axes[n->n_axes - 1];
    int64_t n_rows = least(n->tile_rows, rows->size - row);
    int64_t n_columns = least(n->tile_length, length->size - column);
    int64_t strides[MAX_OPERANDS], row_strides[MAX_OPERANDS];
    char *at[MAX_OPERANDS];
    for (int32_t i = 0; i < n->n_operands; i++) {
        at[i] = start[i];
        strides[i] = length->strides[i];
        row_strides[i] = rows->strides[i];
    }
    _Alignas(64) uint32_t turned[MAX_TURNED][TILE * TILE];
    for (int32_t k = 0; k < n->n_turned; k++) {
        int32_t i = n->turned[k];
        PG_ISA_SELECT(pg_turn)
        (turned[k], n_columns, (const uint32_t *)at[i], strides[i] / 4, n_columns, n_rows);
        at[i] = (char *)turned[k];
        strides[i] = 4;
        row_strides[i] = 4 * n_columns;
    }
    bool is_dense = true;
    for (int32_t i = 0; i < n->n_operands; i++)
        is_dense &= row_strides[i] == strides[i] * n_columns;
    if (is_dense) { /* short rows are one long one */
        n_columns *= n_rows;
        n_rows = 1;
    }
    for (int64_t r = 0; r < n_rows; r++) {
        n->loop(at[0], (const char *const *)&at[1], strides, n_columns, n->parameter);
        for (int32_t i = 0; i < n->n_operands; i++)
            at[i] += row_strides[i];
    }
}

static void run_tiles(void *context, int64_t begin, int64_t end)
{
    const nest *n = context;
    int32_t last = n->n_axes - 1;
    /* the axes, the last two counted in tiles, and swapped: going down the rows first, a transposed
     * input is read along its memory */
    axis steps[PG_MAX_NDIM + 1];
    int64_t index[PG_MAX_NDIM + 1];
    char *at[MAX_OPERANDS];
    for (int32_t a = 0; a < last - 1; a++)
        steps[a] = n->axes[a];
    steps[last - 1] = tiled(n, last, n->tile_length);
    steps[last] = tiled(n, last - 1, n->tile_rows);

    for (int32_t i = 0; i < n->n_operands; i++)
        at[i] = n->start[i];
    int64_t rest = begin;
    for (int32_t a = last; a >= 0; a--) {
        index[a] = rest % steps[a].size;
        rest /= steps[a].size;
        for (int32_t i = 0; i < n->n_operands; i++)
            at[i] += index[a] * steps[a].strides[i];
    }
    for (int64_t tile = begin; tile < end; tile++) {
        run_tile(n, at, index[last] * n->tile_rows, index[last - 1] * n->tile_length);
        for (int32_t a = last; a >= 0; a--) { /* count one up, as on an odometer */
            bool carry = ++index[a] == steps[a].size;
            int64_t by = carry ? 1 - steps[a].size : 1;
            for (int32_t i = 0; i < n->n_operands; i++)
                at[i] += by * steps[a].strides[i];
            if (!carry) break;
            index[a] = 0;
        }
    }
}

static void run_nest(const pg_elementwise *kind, pg_loop *loop, int64_t parameter,
                     pg_array *const *in, pg_array *out)
{
    nest n = {
        .loop = loop, .parameter = parameter, .n_operands = kind->n_in + 1, .start = {out->data}};
    for (int32_t i = 0; i < kind->n_in; i++)
        n.start[i + 1] = in[i]->data;
    collect_axes(&n, in, out);
    arrange(&n, in);
    int32_t last = n.n_axes - 1;
    int64_t n_tiles =
        tiles(n.axes[last - 1].size, n.tile_rows) * tiles(n.axes[last].size, n.tile_length);
    for (int32_t a = 0; a < last - 1; a++)
        n_tiles *= n.axes[a].size;
    int64_t tile_elements =
        least(n.tile_rows, n.axes[last - 1].size) * least(n.tile_length, n.axes[last].size);
    pg_parallel_for(n_tiles, kind->grain / tile_elements, run_tiles, &n);
}

/* ---- running ----------------------------------------------------------------------------------- */

void pg_elementwise_apply(const pg_op *op, pg_array *const *in, pg_array *out)
{
    const pg_elementwise *kind = op->state;
    int64_t count = op->out[0].count;
    if (count == 0) return;
    int64_t parameter = op->n_params ? op->params[0] : 0;
    pg_loop *loop = kind->loops[op->in[kind->n_in - 1].dtype];
    flat f = {.loop = loop,
              .parameter = parameter,
              .n_in = kind->n_in,
              .out = out->data,
              .strides = {pg_dtype_size(op->out[0].dtype)}};
    if (flatten(op, in, &f))
        pg_parallel_for(count, kind->grain, run_flat_range, &f);
    else
        run_nest(kind, loop, parameter, in, out);
}

pg_status pg_elementwise_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    pg_array *result = NULL;
    PG_TRY(pg_output(op, in, dying, &result));
    pg_elementwise_apply(op, in, result);
    *out = result;
    return PG_OK;
}
