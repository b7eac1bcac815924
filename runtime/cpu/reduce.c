/* reduce.c - reduce_sum, reduce_prod, reduce_max, reduce_min, reduce_and, reduce_or.
 *
 *     out[kept axes] = op over the reduced axes of x[all axes]        params: axes, ascending
 *
 * x may have any strides; out is dense and new. Nothing to reduce gives the identity of the op.
 * float16 and bfloat16 accumulate in float32. NaN: max and min return it.
 *
 * The work is cut into units: some neighbouring outputs times a piece of the reduced elements. The
 * cut depends on shape and strides only, so the result does not depend on the number of threads.
 * Inside a unit, blocks of rows are combined pairwise: errors grow like the logarithm of the size. */
#include "reduce.h"

#include "axes.h"
#include "backend.h"
#include "cpu.h"
#include "turn.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_LANES = 1024,
    LANE_BYTES = 8192,  /* of accumulators: a quarter of the L1 cache */
    FOLD_LANES = 256,   /* lanes for one output: enough to hide the latency of an addition */
    SHORT_ROW = 16,     /* below this, lanes over a reduced axis are not worth folding */
    TURNED_ROW = 128,   /* below this, not even if outputs can be turned to lie side by side */
    TURN = 64,          /* lanes and elements that are turned at a time */
    LEAF_ROWS = 128,    /* rows added one after another before the pairwise tree begins */
    PIECE = 1 << 16,    /* elements of x that make a unit of their own */
    MIN_UNITS = 64,     /* units wanted when x is large enough: processors to keep busy */
    PARALLEL = 1 << 15, /* elements worth a thread */
};

typedef struct reduction {
    const pg_reduce_loops *loops;
    const char *x;
    char *out;
    pg_axis kept[PG_MAX_NDIM]; /* array 0: x, 1: out; without the axis that gives the lanes */
    pg_axis reduced[PG_MAX_NDIM];
    int32_t n_kept, n_reduced;
    pg_axis lanes; /* neighbouring outputs computed side by side */
    int64_t tile;  /* lanes of a unit */
    int64_t wide;  /* rows that follow each other in memory and are read as one, for more lanes */
    bool turns;    /* elements of 4 bytes that lie along the reduced axis are turned first */
    int64_t outer; /* outputs per lane = product of kept */
    int64_t rows;  /* elements per output = product of reduced */
    int64_t tiles, pieces; /* units = outer * tiles * pieces */
    char *partials;        /* pieces x outer x lanes accumulators, if pieces > 1 */
} reduction;

/* acc = `count` elements that follow each other in memory, for each of `lanes` lanes. */
static void accumulate_turned(const reduction *r, const char *x, int64_t lanes, int64_t count,
                              char *acc)
{
    _Alignas(64) uint32_t turned[TURN * TURN];
    for (int64_t i = 0; i < count; i += TURN) {
        int64_t n = count - i < TURN ? count - i : TURN;
        PG_ISA_SELECT(pg_turn)
        (turned, lanes, (const uint32_t *)x + i, r->lanes.stride[0] / 4, lanes, n);
        r->loops->accumulate(acc, (const char *)turned, n, 4 * lanes, lanes, 4);
    }
}

/* acc = rows [begin, end) of the flattened reduced axes, for `lanes` lanes from x on. */
static void accumulate_rows(const reduction *r, const char *x, int64_t lanes, int64_t begin,
                            int64_t end, char *acc)
{
    int32_t outer_axes = r->n_reduced ? r->n_reduced - 1 : 0;
    pg_axis inner = r->n_reduced ? r->reduced[outer_axes] : (pg_axis){.size = 1};
    int64_t stride = r->lanes.stride[0];
    while (begin < end) {
        int64_t first = begin % inner.size, left = inner.size - first;
        int64_t count = left < end - begin ? left : end - begin;
        const char *row = x + pg_axes_offset(r->reduced, outer_axes, begin / inner.size, 0) +
                          first * inner.stride[0];
        begin += count;
        if (r->turns) {
            accumulate_turned(r, row, lanes, count, acc);
            continue;
        }
        int64_t whole = count / r->wide, rest = count % r->wide;
        r->loops->accumulate(acc, row, whole, r->wide * inner.stride[0], r->wide * lanes, stride);
        if (rest)
            r->loops->accumulate(acc, row + whole * r->wide * inner.stride[0], 1, 0, rest * lanes,
                                 stride);
    }
}

/* acc = identity op rows [begin, end), halved down to blocks of LEAF_ROWS. */
static void reduce_rows(const reduction *r, const char *x, int64_t lanes, int64_t begin,
                        int64_t end, char *acc)
{
    int64_t leaf = LEAF_ROWS * r->wide, blocks = (end - begin + leaf - 1) / leaf;
    if (blocks <= 1) {
        r->loops->fill(acc, lanes * r->wide);
        accumulate_rows(r, x, lanes, begin, end, acc);
        return;
    }
    _Alignas(64) char second[LANE_BYTES];
    int64_t middle = begin + (blocks + 1) / 2 * leaf;
    reduce_rows(r, x, lanes, begin, middle, acc);
    reduce_rows(r, x, lanes, middle, end, second);
    r->loops->merge(acc, second, lanes * r->wide);
}

static void run_units(void *context, int64_t begin, int64_t end)
{
    const reduction *r = context;
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t piece = unit % r->pieces, tile = unit / r->pieces % r->tiles;
        int64_t outer = unit / r->pieces / r->tiles, first = tile * r->tile;
        int64_t lanes = r->lanes.size - first < r->tile ? r->lanes.size - first : r->tile;
        int64_t share = r->rows / r->pieces, extra = r->rows % r->pieces;
        int64_t from = piece * share + (piece < extra ? piece : extra);
        int64_t to = from + share + (piece < extra);

        _Alignas(64) char acc[LANE_BYTES];
        const char *x = r->x + pg_axes_offset(r->kept, r->n_kept, outer, 0);
        reduce_rows(r, x + first * r->lanes.stride[0], lanes, from, to, acc);
        r->loops->fold(acc, r->wide, lanes);
        if (r->pieces > 1) {
            int64_t at = (piece * r->outer + outer) * r->lanes.size + first;
            memcpy(r->partials + at * r->loops->accumulator_size, acc,
                   (size_t)(lanes * r->loops->accumulator_size));
        } else {
            char *out = r->out + pg_axes_offset(r->kept, r->n_kept, outer, 1);
            r->loops->store(acc, out + first * r->lanes.stride[1], r->lanes.stride[1], lanes);
        }
    }
}

/* Splits the axes into kept and reduced, and picks the kept axis whose elements become lanes. */
static void plan_axes(reduction *r, const pg_op *op, const pg_array *x, const pg_array *out)
{
    int32_t next_out = 0;
    int64_t next_param = 0;
    for (int32_t i = 0; i < x->ndim; i++) {
        pg_axis axis = {x->shape[i], {x->strides[i], 0, 0}};
        if (next_param < op->n_params && op->params[next_param] == i) {
            next_param++;
            if (axis.stride[0] < 0 && axis.size > 0) { /* the order does not matter: walk upwards */
                r->x += (axis.size - 1) * axis.stride[0];
                axis.stride[0] = -axis.stride[0];
            }
            r->reduced[r->n_reduced++] = axis;
        } else {
            axis.stride[1] = out->strides[next_out++];
            r->kept[r->n_kept++] = axis;
        }
    }
    pg_axes_sort(r->kept, r->n_kept);
    pg_axes_sort(r->reduced, r->n_reduced);
    r->n_kept = pg_axes_merge(r->kept, r->n_kept);
    r->n_reduced = pg_axes_merge(r->reduced, r->n_reduced);

    pg_axis inner = r->n_reduced ? r->reduced[r->n_reduced - 1] : (pg_axis){.size = 1};
    pg_axis last = r->n_kept ? r->kept[r->n_kept - 1] : (pg_axis){.size = 1};
    int64_t last_stride = last.stride[0] < 0 ? -last.stride[0] : last.stride[0];
    bool adjacent = inner.stride[0] == last.size * last.stride[0];
    bool over_kept = r->n_kept > 0 && last_stride != 0 &&
                     (inner.size == 1 || inner.stride[0] == 0 || last_stride < inner.stride[0] ||
                      (inner.size < SHORT_ROW && last.size > inner.size));
    if (over_kept && last.size < SHORT_ROW && inner.size > last.size && !adjacent)
        over_kept = false;
    r->turns = pg_dtype_size(x->dtype) == 4 && inner.stride[0] == 4 && last_stride > 4 &&
               inner.size > 1 && inner.size < TURNED_ROW && last.size >= SHORT_ROW;

    if (r->turns) {
        r->n_kept--;
        r->lanes = last;
        adjacent = false;
    } else if (over_kept) {
        r->n_kept--;
        r->lanes = last;
    } else {
        r->lanes = (pg_axis){1, {inner.stride[0], 0, 0}};
        adjacent = true;
    }
    r->wide = 1;
    if (adjacent && r->lanes.size < FOLD_LANES) {
        r->wide = FOLD_LANES / r->lanes.size;
        if (r->wide > inner.size) r->wide = inner.size > 0 ? inner.size : 1;
    }
}

static void plan_units(reduction *r)
{
    r->outer = pg_axes_count(r->kept, r->n_kept);
    r->rows = pg_axes_count(r->reduced, r->n_reduced);
    int64_t most = LANE_BYTES / r->loops->accumulator_size;
    if (most > MAX_LANES) most = MAX_LANES;
    if (r->turns && most > TURN) most = TURN;
    r->tile = r->lanes.size < most ? r->lanes.size : most;
    r->tiles = (r->lanes.size + r->tile - 1) / r->tile;
    r->pieces = 1;
    int64_t units = r->outer * r->tiles, worthwhile = r->tile * r->rows / PIECE;
    if (units < MIN_UNITS / 4 && worthwhile > 1) {
        r->pieces = (MIN_UNITS + units - 1) / units;
        if (r->pieces > worthwhile) r->pieces = worthwhile;
    }
}

/* out = the pieces of every output, merged as a tree. */
static void merge_pieces(const reduction *r)
{
    r->loops->fold(r->partials, r->pieces, r->outer * r->lanes.size);
    for (int64_t outer = 0; outer < r->outer; outer++)
        r->loops->store(r->partials + outer * r->lanes.size * r->loops->accumulator_size,
                        r->out + pg_axes_offset(r->kept, r->n_kept, outer, 1), r->lanes.stride[1],
                        r->lanes.size);
}

static pg_status reduce_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    PG_TRY(pg_array_new(op->device, op->out[0].dtype, op->out[0].ndim, op->out[0].shape, out));
    if (op->out[0].count == 0) return PG_OK;

    reduction r = {.loops = PG_ISA_SELECT(pg_reduce_loops)[op->scratch[0]][op->in[0].dtype],
                   .x = in[0]->data,
                   .out = out[0]->data};
    plan_axes(&r, op, in[0], out[0]);
    plan_units(&r);
    if (r.pieces > 1) {
        int64_t lanes = r.pieces * r.outer * r.lanes.size;
        r.partials = malloc((size_t)(lanes * r.loops->accumulator_size));
        if (!r.partials) {
            pg_array_release(out[0]);
            return pg_fail(PG_ENOMEM, "no memory for %lld partial results", (long long)lanes);
        }
    }
    int64_t elements = r.tile * r.rows / r.pieces;
    pg_parallel_for(r.outer * r.tiles * r.pieces,
                    elements < PARALLEL ? PARALLEL / (elements + 1) : 1, run_units, &r);
    if (r.pieces > 1) merge_pieces(&r);
    free(r.partials);
    return PG_OK;
}

/* Checks that params are ascending axes of x, and that out has the others. */
static pg_status check_shapes(const pg_op *op)
{
    PG_REQUIRE(op->n_in == 1 && op->n_out == 1, "takes 1 input and gives 1 output, not %d and %d",
               op->n_in, op->n_out);
    const pg_aval *x = &op->in[0], *out = &op->out[0];
    PG_REQUIRE(out->dtype == x->dtype, "input is %s, but output is %s", pg_dtype_name(x->dtype),
               pg_dtype_name(out->dtype));
    for (int64_t i = 0; i < op->n_params; i++) {
        PG_REQUIRE(op->params[i] >= 0 && op->params[i] < x->ndim,
                   "axis %lld is not an axis of an array with %d axes", (long long)op->params[i],
                   x->ndim);
        PG_REQUIRE(i == 0 || op->params[i - 1] < op->params[i],
                   "axes must ascend, but axis %lld follows axis %lld", (long long)op->params[i],
                   (long long)op->params[i - 1]);
    }
    PG_REQUIRE(out->ndim == x->ndim - op->n_params, "output has %d axes, expected %lld", out->ndim,
               (long long)(x->ndim - op->n_params));
    int32_t next_out = 0;
    int64_t next_param = 0;
    for (int32_t i = 0; i < x->ndim; i++) {
        if (next_param < op->n_params && op->params[next_param] == i) {
            next_param++;
            continue;
        }
        PG_REQUIRE(out->shape[next_out] == x->shape[i],
                   "output axis %d has size %lld, but input axis %d has %lld", next_out,
                   (long long)out->shape[next_out], i, (long long)x->shape[i]);
        next_out++;
    }
    return PG_OK;
}

static pg_status prepare(pg_op *op, int reduction_kind)
{
    PG_TRY(check_shapes(op));
    op->scratch[0] = reduction_kind;
    if (!PG_ISA_SELECT(pg_reduce_loops)[reduction_kind][op->in[0].dtype])
        return pg_fail(PG_EUNSUPPORTED, "not defined for %s", pg_dtype_name(op->in[0].dtype));
    return PG_OK;
}

static pg_status prepare_sum(pg_op *op) { return prepare(op, PG_SUM); }
static pg_status prepare_prod(pg_op *op) { return prepare(op, PG_PROD); }
static pg_status prepare_max(pg_op *op) { return prepare(op, PG_MAX); }
static pg_status prepare_min(pg_op *op) { return prepare(op, PG_MIN); }
static pg_status prepare_and(pg_op *op) { return prepare(op, PG_AND); }
static pg_status prepare_or(pg_op *op) { return prepare(op, PG_OR); }

const pg_kernel pg_cpu_reduce_kernels[] = {
    {"reduce_sum", prepare_sum, reduce_run},
    {"reduce_prod", prepare_prod, reduce_run},
    {"reduce_max", prepare_max, reduce_run},
    {"reduce_min", prepare_min, reduce_run},
    {"reduce_and", prepare_and, reduce_run},
    {"reduce_or", prepare_or, reduce_run},
    {0},
};
