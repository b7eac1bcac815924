/* scan.c - cumsum, cumprod, cummax, cummin, cumlogsumexp, linear_recurrence.
 *
 *     out[.., i, ..] = x[.., 0, ..] op .. op x[.., i, ..]  along `axis`         params: axis, reverse
 *     linear_recurrence: out[i] = a[i] * out[i-1] + b[i], out[-1] = 0
 *
 * reverse != 0 begins at the end of the axis. Inputs may have any strides; out is dense and new.
 * NaN propagates to all that follows. Integers wrap around; bool: sum is or, product and.
 *
 * Rows (all other axes) are shared out over the threads. Where the elements of a row can be joined in
 * any grouping, rows are cut into blocks of fixed size: each is scanned on its own and joined to what
 * is before it. So blocks of one long row can be scanned at once, with the same bits as one after the
 * other, and results do not depend on the number of threads. Float products are not cut (a block
 * might overflow where the whole does not), nor is linear_recurrence. */
#include "scan.h"

#include "axes.h"
#include "cpu.h"

#include <string.h>

enum { BLOCK = 1024, LONG_ROW = 16 * BLOCK, FEW_ROWS = 16, PARALLEL = 1 << 14, STATE_BYTES = 16 };

typedef struct scanning {
    const pg_scan_loops *loops;
    pg_scan_part part;         /* strides, and element 0 in scanning order */
    int64_t size;              /* of the scanned axis */
    pg_axis kept[PG_MAX_NDIM]; /* array 0: x, 1: out, 2: b */
    int32_t n_kept;
    pg_axis lanes;
    int64_t tile, tiles;
    char *states; /* of the blocks of a long row */
} scanning;

/* Moves a part forward by `rows` steps. */
static void advance(pg_scan_part *part, int64_t rows)
{
    part->x += rows * part->x_row;
    if (part->b) part->b += rows * part->b_row;
    if (part->out) part->out += rows * part->out_row;
}

static void scan_units(void *context, int64_t begin, int64_t end)
{
    const scanning *s = context;
    _Alignas(64) char states[PG_SCAN_LANES * STATE_BYTES];
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t outer = unit / s->tiles, first = unit % s->tiles * s->tile;
        pg_scan_part part = s->part;
        part.lanes = s->lanes.size - first < s->tile ? s->lanes.size - first : s->tile;
        part.x += pg_axes_offset(s->kept, s->n_kept, outer, 0) + first * part.x_lane;
        part.out += pg_axes_offset(s->kept, s->n_kept, outer, 1) + first * part.out_lane;
        if (part.b) part.b += pg_axes_offset(s->kept, s->n_kept, outer, 2) + first * part.b_lane;
        s->loops->start(states, part.lanes);
        int64_t block = s->loops->divisible ? BLOCK : s->size;
        for (int64_t done = 0; done < s->size; done += part.rows) {
            part.rows = s->size - done < block ? s->size - done : block;
            s->loops->run(&part, states);
            advance(&part, part.rows);
        }
    }
}

/* ---- one long row: blocks are lanes ------------------------------------------------------------ */

/* Scans blocks [begin, end), PG_SCAN_CHAINS side by side, from the states in s->states. */
static void scan_blocks(void *context, int64_t begin, int64_t end)
{
    const scanning *s = context;
    int64_t whole = s->size / BLOCK, state = s->loops->state_size;
    for (int64_t first = begin, n; first < end; first += n) {
        pg_scan_part part = s->part;
        advance(&part, first * BLOCK);
        n = end - first < PG_SCAN_CHAINS ? end - first : PG_SCAN_CHAINS;
        if (first + n > whole) n = whole > first ? whole - first : 1; /* the last one is shorter */
        part.rows = first < whole ? BLOCK : s->size - whole * BLOCK;
        part.lanes = n;
        part.x_lane = part.x_row * BLOCK;
        part.out_lane = part.out_row * BLOCK;
        s->loops->run(&part, s->states + first * state);
    }
}

/* Totals of all blocks, then what is before each, then the scan. */
static void scan_long_row(scanning *s)
{
    int64_t blocks = (s->size + BLOCK - 1) / BLOCK, state = s->loops->state_size;
    char *out = s->part.out;
    s->part.out = NULL;
    s->loops->start(s->states, blocks);
    pg_parallel_for(blocks, PG_SCAN_CHAINS * 4, scan_blocks, s);
    char before[STATE_BYTES], next[STATE_BYTES];
    s->loops->start(before, 1);
    for (int64_t k = 0; k < blocks; k++) {
        memcpy(next, before, (size_t)state);
        s->loops->join(next, s->states + k * state);
        memcpy(s->states + k * state, before, (size_t)state);
        memcpy(before, next, (size_t)state);
    }
    s->part.out = out;
    pg_parallel_for(blocks, PG_SCAN_CHAINS * 4, scan_blocks, s);
}

static pg_status scan_long_rows(const pg_op *op, scanning *s)
{
    int64_t bytes = (s->size + BLOCK - 1) / BLOCK * s->loops->state_size;
    pg_array *states;
    PG_TRY(pg_array_new(op->device, PG_UINT8, 1, &bytes, &states));
    s->states = states->data;
    pg_scan_part part = s->part;
    int64_t rows = pg_axes_count(s->kept, s->n_kept);
    for (int64_t row = 0; row < rows; row++) {
        s->part.x = part.x + pg_axes_offset(s->kept, s->n_kept, row, 0);
        s->part.out = part.out + pg_axes_offset(s->kept, s->n_kept, row, 1);
        scan_long_row(s);
    }
    pg_array_release(states);
    return PG_OK;
}

/* ---- the kernels ------------------------------------------------------------------------------- */

static pg_status scan_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    PG_TRY(pg_array_new(op->device, op->out[0].dtype, op->out[0].ndim, op->out[0].shape, out));
    if (op->out[0].count == 0) return PG_OK;

    const pg_array *x = in[0], *b = op->n_in > 1 ? in[1] : in[0];
    int32_t axis = (int32_t)op->params[0];
    int64_t item = pg_dtype_size(x->dtype);
    scanning s = {.loops = op->state, .size = x->shape[axis]};
    s.part = (pg_scan_part){.x = x->data,
                            .b = op->n_in > 1 ? b->data : NULL,
                            .out = out[0]->data,
                            .x_row = x->strides[axis],
                            .b_row = b->strides[axis],
                            .out_row = out[0]->strides[axis]};
    if (op->params[1]) {
        advance(&s.part, s.size - 1);
        s.part.x_row = -s.part.x_row;
        s.part.b_row = -s.part.b_row;
        s.part.out_row = -s.part.out_row;
    }
    for (int32_t i = 0; i < x->ndim; i++)
        if (i != axis)
            s.kept[s.n_kept++] =
                (pg_axis){x->shape[i], {x->strides[i], out[0]->strides[i], b->strides[i]}};
    s.n_kept = pg_axes_merge(s.kept, s.n_kept);

    pg_status status = PG_OK;
    if (s.loops->divisible && s.size >= LONG_ROW && pg_axes_count(s.kept, s.n_kept) < FEW_ROWS) {
        status = scan_long_rows(op, &s);
    } else {
        /* neighbouring elements are scanned side by side; where rows are contiguous, a few rows are */
        s.lanes = s.n_kept ? s.kept[--s.n_kept] : (pg_axis){.size = 1};
        bool neighbours = s.lanes.stride[0] == item && s.lanes.stride[1] == item;
        int64_t most = neighbours ? PG_SCAN_LANES : PG_SCAN_CHAINS;
        s.tile = s.lanes.size < most ? s.lanes.size : most;
        s.tiles = (s.lanes.size + s.tile - 1) / s.tile;
        s.part.x_lane = s.lanes.stride[0];
        s.part.out_lane = s.lanes.stride[1];
        s.part.b_lane = s.lanes.stride[2];
        pg_parallel_for(pg_axes_count(s.kept, s.n_kept) * s.tiles, PARALLEL / (s.tile * s.size) + 1,
                        scan_units, &s);
    }
    if (status != PG_OK) pg_array_release(out[0]);
    return status;
}

static const char *const names[PG_SCAN_COUNT] = {"cumsum", "cumprod",      "cummax",
                                                 "cummin", "cumlogsumexp", "linear_recurrence"};

static pg_status scan_prepare(pg_op *op)
{
    int scan = 0;
    while (strcmp(names[scan], op->kernel->name) != 0)
        scan++;
    int32_t n_in = scan == PG_LINEAR_RECURRENCE ? 2 : 1;
    PG_REQUIRE(op->n_in == n_in && op->n_out == 1 && op->n_params == 2,
               "takes %d inputs, 1 output and 2 parameters (axis, reverse), not %d, %d and %lld",
               n_in, op->n_in, op->n_out, (long long)op->n_params);
    const pg_aval *out = &op->out[0];
    int64_t axis = op->params[0];
    PG_REQUIRE(axis >= 0 && axis < out->ndim, "axis %lld is not an axis of an array with %d axes",
               (long long)axis, out->ndim);
    for (int32_t k = 0; k < n_in; k++) {
        const pg_aval *x = &op->in[k];
        PG_REQUIRE(x->dtype == out->dtype, "input %d is %s, but the output is %s", k,
                   pg_dtype_name(x->dtype), pg_dtype_name(out->dtype));
        PG_REQUIRE(x->ndim == out->ndim, "input %d has %d axes, but the output has %d", k, x->ndim,
                   out->ndim);
        for (int32_t i = 0; i < out->ndim; i++)
            PG_REQUIRE(x->shape[i] == out->shape[i],
                       "axis %d of input %d has size %lld, but the output has %lld", i, k,
                       (long long)x->shape[i], (long long)out->shape[i]);
    }
    op->state = PG_ISA_SELECT(pg_scan_loops)[scan][out->dtype];
    PG_REQUIRE(op->state, "is not offered for %s", pg_dtype_name(out->dtype));
    return PG_OK;
}

const pg_kernel pg_cpu_scan_kernels[] = {
    {"cumsum", scan_prepare, scan_run},
    {"cumprod", scan_prepare, scan_run},
    {"cummax", scan_prepare, scan_run},
    {"cummin", scan_prepare, scan_run},
    {"cumlogsumexp", scan_prepare, scan_run},
    {"linear_recurrence", scan_prepare, scan_run},
    {0},
};
