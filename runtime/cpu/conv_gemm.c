/* conv_gemm.c - pg_conv_gemm: a convolution as a product of matrices; conv.h says what is computed.
 *
 *     out[row, column] = sum over depth of rhs[row, depth] * lhs[depth, column]       for each group
 *
 * rhs is packed once, in panels as high as the register tile of gemm.c. The matrix of lhs, in which
 * every element appears once for each place of the window that covers it, never exists: panels of it, as
 * wide as the tile, are collected in L1 for one block of depth at a time, and used for all rows at hand.
 *
 * The work is cut by shape alone: blocks of columns; of rows where columns are few; and pieces of a
 * long sum, which are added up at the end. */
#include "conv.h"
#include "gemm.h"

#include <string.h>

enum {
    DEPTH = 256,              /* of a block: a panel of lhs then has 32 KB with AVX-512 */
    BLOCK_BYTES = 1 << 17,    /* of sums that a unit keeps in L2 */
    MAX_COLUMNS = 1024,       /* of a unit */
    UNITS = 16,               /* wanted, where the work is worth it */
    PIECE = 2048,             /* depth of a piece of a long sum, at least */
    PARALLEL_FLOPS = 1 << 21, /* work worth a thread */
    PARALLEL_PACK = 1 << 15,  /* elements worth a thread */
};

typedef struct plan {
    const pg_conv *conv;
    const pg_gemm_loops *gemm;
    const pg_conv_loops *loops;
    pg_conv_store *store;
    int64_t rows, columns, depth; /* sizes of one group */
    int64_t panels;               /* of rhs in a group */
    int64_t block_panels, block_columns;
    int64_t row_blocks, column_blocks, pieces; /* units: groups times these three */
    int64_t piece_depth;                       /* a multiple of DEPTH */
    char *packed;   /* [group, block of depth, panel, depth in block, row in panel] */
    char *partials; /* [piece, group, row, column] if there are pieces, else NULL */
    atomic_bool no_memory;
} plan;

/* What a thread needs while it works on a unit. */
typedef struct scratch {
    char *panel, *sums;
    int64_t sums_row; /* bytes from one row of sums to the next */
    int64_t *columns, *outs;
    int64_t depths[DEPTH];
} scratch;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* ---- packing rhs ------------------------------------------------------------------------------- */

static int64_t packed_group(const plan *p)
{
    return p->panels * p->gemm->rows * p->depth * p->gemm->size;
}

static char *packed_panel(const plan *p, int64_t group, int64_t first, int64_t panel)
{
    int64_t count = least(DEPTH, p->depth - first);
    return p->packed + group * packed_group(p) +
           (first * p->panels + panel * count) * p->gemm->rows * p->gemm->size;
}

/* A unit is one panel of one block of depth. Depth indices that have one stride are packed at once. */
static void pack_units(void *context, int64_t begin, int64_t end)
{
    const plan *p = context;
    const pg_conv *c = p->conv;
    pg_axis inner = c->n_depth ? c->depth[c->n_depth - 1] : (pg_axis){.size = 1};
    int32_t n_outer = c->n_depth ? c->n_depth - 1 : 0;
    int64_t rows = p->gemm->rows, blocks = ceil_divide(p->depth, DEPTH);
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t panel = unit % p->panels, block = unit / p->panels % blocks;
        int64_t group = unit / p->panels / blocks, first = block * DEPTH;
        int64_t last = least(first + DEPTH, p->depth), run;
        char *to = packed_panel(p, group, first, panel);
        const char *from = c->rhs + group * c->group.stride[1] + panel * rows * c->row.stride[1];
        for (int64_t d = first; d < last; d += run, to += run * rows * p->gemm->size) {
            run = least(inner.size - d % inner.size, last - d);
            p->gemm->pack_a(to,
                            from + pg_axes_offset(c->depth, n_outer, d / inner.size, 1) +
                                d % inner.size * inner.stride[1],
                            c->row.stride[1], inner.stride[1], least(rows, p->rows - panel * rows),
                            run);
        }
    }
}

/* ---- one unit ---------------------------------------------------------------------------------- */

/* Adds depth [first, last) for `n` columns and the panels of rhs from `panel` to `panel_end`. */
static void multiply_block(const plan *p, scratch *s, int64_t group, int64_t panel,
                           int64_t panel_end, int64_t n, int64_t first, int64_t last, bool add)
{
    const pg_conv *c = p->conv;
    int64_t width = p->gemm->columns, rows = p->gemm->rows, count = last - first;
    pg_conv_offsets(c->depth, c->n_depth, 0, first, count, s->depths);
    for (int64_t j = 0; j < n; j += width) {
        p->loops->pack(s->panel, c->lhs + group * c->group.stride[0], s->columns + j,
                       least(width, n - j), s->depths, count);
        for (int64_t i = panel; i < panel_end; i++)
            p->gemm->multiply(count, packed_panel(p, group, first, i), s->panel,
                              s->sums + (i - panel) * rows * s->sums_row + j * p->gemm->size,
                              s->sums_row, least(rows, p->rows - i * rows), least(width, n - j),
                              add);
    }
}

/* Writes the sums of `rows` x `n` outputs, a run of neighbours at a time. */
static void store_sums(const plan *p, const scratch *s, int64_t group, int64_t row, int64_t rows,
                       int64_t n)
{
    const pg_conv *c = p->conv;
    int64_t item = p->gemm->size, length;
    char *out = c->out + group * c->group.stride[2] + row * c->row.stride[2];
    if (c->row.stride[2] == pg_dtype_size(c->out_dtype) && rows > 1) { /* features come last */
        char together[4096];
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < rows; i += length) {
                length = least(rows - i, (int64_t)sizeof together / item);
                for (int64_t k = 0; k < length; k++)
                    memcpy(together + k * item, s->sums + (i + k) * s->sums_row + j * item,
                           (size_t)item);
                p->store(length, together, out + s->outs[j] + i * c->row.stride[2],
                         c->row.stride[2]);
            }
        return;
    }
    for (int64_t j = 0; j < n; j += length) {
        int64_t step = j + 1 < n ? s->outs[j + 1] - s->outs[j] : 0;
        for (length = 1; j + length < n && s->outs[j + length] == s->outs[j] + length * step;)
            length++;
        for (int64_t i = 0; i < rows; i++)
            p->store(length, s->sums + i * s->sums_row + j * item,
                     out + i * c->row.stride[2] + s->outs[j], step);
    }
}

static void keep_partials(const plan *p, const scratch *s, int64_t outer, int64_t row, int64_t rows,
                          int64_t column, int64_t n)
{
    for (int64_t i = 0; i < rows; i++)
        memcpy(p->partials + ((outer * p->rows + row + i) * p->columns + column) * p->gemm->size,
               s->sums + i * s->sums_row, (size_t)(n * p->gemm->size));
}

static void run_unit(const plan *p, scratch *s, int64_t unit)
{
    const pg_conv *c = p->conv;
    int64_t column = unit % p->column_blocks * p->block_columns;
    int64_t panel = unit / p->column_blocks % p->row_blocks * p->block_panels;
    int64_t outer = unit / p->column_blocks / p->row_blocks; /* piece, group */
    int64_t group = outer % c->group.size, piece = outer / c->group.size;
    int64_t n = least(p->block_columns, p->columns - column);
    int64_t panel_end = least(panel + p->block_panels, p->panels);
    int64_t row = panel * p->gemm->rows, rows = least(panel_end * p->gemm->rows, p->rows) - row;
    int64_t begin = piece * p->piece_depth, end = least(begin + p->piece_depth, p->depth);
    pg_conv_offsets(c->column, c->n_column, 0, column, n, s->columns);
    pg_conv_offsets(c->column, c->n_column, 2, column, n, s->outs);
    for (int64_t d = begin; d < end; d += DEPTH)
        multiply_block(p, s, group, panel, panel_end, n, d, least(d + DEPTH, end), d > begin);
    if (p->partials)
        keep_partials(p, s, outer, row, rows, column, n);
    else
        store_sums(p, s, group, row, rows, n);
}

static void run_units(void *context, int64_t begin, int64_t end)
{
    plan *p = context;
    scratch s;
    int64_t panel = p->gemm->columns * DEPTH * p->gemm->size;
    int64_t lists = p->block_columns * (int64_t)sizeof(int64_t);
    /* an odd number of cache lines, so that the rows of a tile do not share one set of the cache */
    s.sums_row = (ceil_divide(p->block_columns * p->gemm->size, 128) * 2 + 1) * 64;
    int64_t bytes = panel + p->block_panels * p->gemm->rows * s.sums_row + 2 * lists;
    void *memory;
    if (pg_cpu_alloc(p->conv->device, bytes, &memory) != PG_OK) {
        atomic_store(&p->no_memory, true);
        return;
    }
    s.panel = memory;
    s.sums = s.panel + panel;
    s.columns = (int64_t *)(s.sums + p->block_panels * p->gemm->rows * s.sums_row);
    s.outs = s.columns + p->block_columns;
    for (int64_t unit = begin; unit < end; unit++)
        run_unit(p, &s, unit);
    pg_cpu_free(p->conv->device, memory, bytes);
}

/* ---- pieces ------------------------------------------------------------------------------------ */

/* Adds the pieces of one row of outputs, then stores it. */
static void add_pieces(void *context, int64_t begin, int64_t end)
{
    const plan *p = context;
    const pg_conv *c = p->conv;
    int64_t row_bytes = p->columns * p->gemm->size, all = c->group.size * p->rows;
    int64_t places[DEPTH];
    for (int64_t row = begin; row < end; row++) {
        char *sums = p->partials + row * row_bytes;
        for (int64_t piece = 1; piece < p->pieces; piece++)
            p->loops->add(p->columns, sums, sums + piece * all * row_bytes);
        char *out = c->out + row / p->rows * c->group.stride[2] + row % p->rows * c->row.stride[2];
        for (int64_t j = 0; j < p->columns; j += DEPTH) {
            int64_t n = least(DEPTH, p->columns - j);
            pg_conv_offsets(c->column, c->n_column, 2, j, n, places);
            for (int64_t k = 0; k < n; k++)
                p->store(1, sums + (j + k) * p->gemm->size, out + places[k], 0);
        }
    }
}

static void choose_blocks(plan *p)
{
    int64_t width = p->gemm->columns, groups = p->conv->group.size;
    p->block_panels = p->panels;
    int64_t room = BLOCK_BYTES / (p->panels * p->gemm->rows * p->gemm->size * width) * width;
    p->block_columns = least(MAX_COLUMNS, room < width ? width : room);
    int64_t spread = ceil_divide(ceil_divide(p->columns, UNITS), width) * width;
    if (groups < UNITS && spread < p->block_columns) p->block_columns = spread;
    p->column_blocks = ceil_divide(p->columns, p->block_columns);
    int64_t units = groups * p->column_blocks;
    p->pieces = 1;
    if (units < UNITS && p->depth >= 2 * PIECE)
        p->pieces = least(ceil_divide(UNITS, units), p->depth / PIECE);
    p->piece_depth = ceil_divide(ceil_divide(p->depth, p->pieces), DEPTH) * DEPTH;
    p->pieces = ceil_divide(p->depth, p->piece_depth);
    units *= p->pieces;
    if (units < UNITS && p->panels > 1)
        p->block_panels = ceil_divide(p->panels, ceil_divide(UNITS, units));
    p->row_blocks = ceil_divide(p->panels, p->block_panels);
}

static pg_status run_plan(plan *p)
{
    int64_t groups = p->conv->group.size, blocks = ceil_divide(p->depth, DEPTH);
    pg_parallel_for(groups * blocks * p->panels,
                    PARALLEL_PACK / (p->gemm->rows * least(DEPTH, p->depth)) + 1, pack_units, p);
    int64_t flops =
        2 * p->block_panels * p->gemm->rows * p->block_columns * least(p->depth, p->piece_depth);
    pg_parallel_for(groups * p->pieces * p->row_blocks * p->column_blocks,
                    PARALLEL_FLOPS / (flops + 1) + 1, run_units, p);
    if (atomic_load(&p->no_memory)) return pg_fail(PG_ENOMEM, "no memory for packed operands");
    if (p->partials)
        pg_parallel_for(groups * p->rows, PARALLEL_PACK / (p->columns * p->pieces) + 1, add_pieces,
                        p);
    return PG_OK;
}

pg_status pg_conv_gemm(const pg_conv *conv)
{
    plan p = {.conv = conv,
              .gemm = PG_ISA_SELECT(pg_gemm_loops)[conv->dtype],
              .loops = PG_ISA_SELECT(pg_conv_loops)[conv->dtype],
              .store = PG_ISA_SELECT(pg_conv_stores)[conv->out_dtype],
              .rows = conv->row.size,
              .columns = pg_axes_count(conv->column, conv->n_column),
              .depth = pg_axes_count(conv->depth, conv->n_depth)};
    p.panels = ceil_divide(p.rows, p.gemm->rows);
    choose_blocks(&p);
    int64_t packed = conv->group.size * packed_group(&p);
    int64_t partials =
        p.pieces > 1 ? p.pieces * conv->group.size * p.rows * p.columns * p.gemm->size : 0;
    void *memory;
    PG_TRY(pg_cpu_alloc(conv->device, packed + partials, &memory));
    p.packed = memory;
    p.partials = partials ? p.packed + packed : NULL;
    pg_status status = run_plan(&p);
    pg_cpu_free(conv->device, memory, packed + partials);
    return status;
}
