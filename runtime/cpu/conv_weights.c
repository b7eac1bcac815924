/* conv_weights.c - pg_conv_weights: the gradient of a convolution's weights; conv_tiles.h says what is computed.
 *
 * A sum of outer products over all places of all images: rows (output features, from rhs) times columns (batch of the
 * convolution: input features, under each weight). Both are laid out with their features innermost, an image or a part of one
 * at a time; the tiles then run along rows and columns and read one place after another.
 *
 * The parts are shared out to a fixed number of pieces, each with sums of its own, which are added in
 * order. Here channel is what is summed over besides places: the batch of the forward convolution. */
#include "conv.h"
#include "conv_tiles.h"

#include <string.h>

enum {
    PLACES = 128,             /* summed at once: a panel of them has 16 KB */
    PART_PLACES = 512,        /* laid out at once */
    PIECE_PLACES = 512,       /* in a piece, at least */
    UNITS = 16,               /* wanted, where the work is worth it */
    PARALLEL_FLOPS = 1 << 21, /* work worth a thread */
    PARALLEL_ADD = 1 << 14,   /* accumulators worth a thread */
};

/* Columns that are neighbours in a slab: all input features under one weight, or under a row of weights. */
typedef struct plan {
    const pg_conv_image
        *image; /* of the convolution, with channel and batch exchanged: see slab_image() */
    pg_conv_image turned;
    const pg_conv_tile_loops *loops;
    pg_conv_store *store;
    const pg_conv_loops *adding;
    pg_conv_slab slab;
    int64_t run, runs;                 /* columns side by side, and how many such runs */
    bool row_runs;                     /* a run goes along the last axis, too */
    int64_t panels, panel_rows;        /* of a group */
    int64_t panel_blocks, panel_block; /* units are groups * pieces * panel_blocks */
    int64_t line;                      /* places of `many` in one index along axis 0 */
    int64_t slabs, parts;              /* parts of an image; in all */
    int64_t pieces;                    /* of parts */
    char *sums;                        /* [piece, group, panel, run, column in run, row] */
    atomic_bool no_memory;
} plan;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int64_t panel_vectors(const plan *p, int64_t panel)
{
    int64_t rows = p->image->row.size - panel * p->panel_rows;
    return rows > p->loops->lanes ? 2 : 1;
}

static int64_t panel_sums(const plan *p)
{
    return p->runs * p->run * p->panel_rows * p->loops->size;
}

static char *sums_of(const plan *p, int64_t piece, int64_t group, int64_t panel)
{
    return p->sums + ((piece * p->image->group.size + group) * p->panels + panel) * panel_sums(p);
}

/* ---- one part ---------------------------------------------------------------------------------- */

/* Lays out the rows of a panel: [place, row], `count` indices along axis 0 from `first` on. */
static void pack_panel(const plan *p, const char *rhs, int64_t panel, int64_t count, char *to)
{
    const pg_conv_image *image = p->image;
    int64_t width = panel_vectors(p, panel) * p->loops->lanes * p->loops->size;
    int64_t rows = least(p->panel_rows, image->row.size - panel * p->panel_rows);
    if (rows * p->loops->size < width) memset(to, 0, (size_t)(count * p->line * width));
    pg_axis axes[PG_MAX_NDIM];
    for (int32_t a = 0; a < image->n_space; a++)
        axes[a] = (pg_axis){a ? image->space[a].many : count, {0, image->space[a].many_stride, 0}};
    int32_t n = pg_axes_merge(axes, image->n_space);
    pg_axis inner = n ? axes[--n] : (pg_axis){.size = 1};
    rhs += panel * p->panel_rows * image->row.stride[1];
    for (int64_t d = 0; d < count * p->line; d += inner.size, to += inner.size * width)
        p->loops->copy(to, width, rhs + pg_axes_offset(axes, n, d / inner.size, 1), inner.stride[1],
                       image->row.stride[1], inner.size, rows);
}

static void find_places(const plan *p, int64_t first, int64_t count, int64_t *at)
{
    const pg_conv_image *image = p->image;
    for (int64_t i = 0; i < count; i++) {
        int64_t rest = first + i;
        at[i] = 0;
        for (int32_t a = image->n_space; a-- > 0;) {
            int64_t index = a ? rest % image->space[a].many : rest;
            at[i] += index * p->slab.unit[a];
            rest /= image->space[a].many;
        }
    }
}

/* Where the columns of a run begin in a slab. */
static int64_t find_run(const plan *p, int64_t run)
{
    int64_t at = 0;
    int32_t n = p->image->n_space - p->row_runs;
    for (int32_t a = n; a-- > 0; run /= p->image->space[a].few)
        at += pg_conv_slab_few(&p->slab, a, run % p->image->space[a].few);
    return at;
}

static void sum_places(const plan *p, int64_t panel, int64_t count, const int64_t *at,
                       const char *slab, const char *packed, char *sums, bool add)
{
    int64_t vectors = panel_vectors(p, panel), size = p->loops->size;
    int64_t width = vectors * p->loops->lanes * size, parts = ceil_divide(p->run, p->loops->width);
    for (int64_t run = 0; run < p->runs; run++) {
        const char *from = slab + find_run(p, run);
        for (int64_t part = 0, j = 0, next; part < parts; part++, j = next) {
            next = (part + 1) * p->run / parts;
            p->loops->multiply(next - j, vectors, count, from + j * size, at, 0, packed, sums, add);
            sums += (next - j) * width;
        }
    }
}

static void run_part(const plan *p, int64_t part, int64_t group, int64_t panel, bool add,
                     bool zeroed, char *sums, char *slab, char *packed)
{
    const pg_conv_image *image = p->image;
    int64_t first = part % p->slabs * p->slab.count, channel = part / p->slabs;
    int64_t count = least(p->slab.count, image->space[0].many - first),
            end = least(panel + p->panel_block, p->panels);
    const char *filled = pg_conv_slab_fill(&p->slab, group, channel, first, count, zeroed, slab);
    const char *rhs = image->rhs + group * image->group.stride[1] +
                      channel * image->channel.stride[1] + first * image->space[0].many_stride;
    int64_t at[PLACES], places = count * p->line;
    for (int64_t i = panel; i < end; i++)
        pack_panel(p, rhs, i, count,
                   packed + (i - panel) * p->slab.count * p->line * p->panel_rows * p->loops->size);
    int64_t blocks = ceil_divide(places, PLACES);
    for (int64_t block = 0; block < blocks; block++) {
        int64_t place = block * places / blocks, n = (block + 1) * places / blocks - place;
        find_places(p, place, n, at);
        for (int64_t i = panel; i < end; i++)
            sum_places(p, i, n, at, filled,
                       packed + ((i - panel) * p->slab.count * p->line * p->panel_rows +
                                 place * panel_vectors(p, i) * p->loops->lanes) *
                                    p->loops->size,
                       sums + (i - panel) * panel_sums(p), add || block);
    }
}

static void run_units(void *context, int64_t begin, int64_t end)
{
    plan *p = context;
    int64_t packed = p->panel_block * p->slab.count * p->line * p->panel_rows * p->loops->size;
    bool alike = pg_conv_slabs_alike(&p->slab);
    void *memory;
    if (pg_cpu_alloc(p->image->device, packed + p->slab.bytes, &memory) != PG_OK) {
        atomic_store(&p->no_memory, true);
        return;
    }
    char *slab = (char *)memory + packed;
    if (alike) memset(slab, 0, (size_t)p->slab.bytes);
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t panel = unit % p->panel_blocks * p->panel_block, rest = unit / p->panel_blocks;
        int64_t piece = rest % p->pieces, group = rest / p->pieces;
        int64_t part = piece * p->parts / p->pieces, last = (piece + 1) * p->parts / p->pieces;
        char *sums = sums_of(p, piece, group, panel);
        for (int64_t i = part; i < last; i++)
            run_part(p, i, group, panel, i > part, alike, sums, slab, memory);
    }
    pg_cpu_free(p->image->device, memory, packed + p->slab.bytes);
}

/* ---- the end ----------------------------------------------------------------------------------- */

/* Adds the pieces of one run of columns of one panel, then stores it. */
static void add_units(void *context, int64_t begin, int64_t end)
{
    const plan *p = context;
    const pg_conv_image *image = p->image;
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t run = unit % p->runs, panel = unit / p->runs % p->panels,
                group = unit / p->runs / p->panels;
        int64_t width = panel_vectors(p, panel) * p->loops->lanes, bytes = width * p->loops->size;
        char *sums = sums_of(p, 0, group, panel) + run * p->run * bytes;
        for (int64_t piece = 1; piece < p->pieces; piece++)
            p->adding->add(p->run * width, sums,
                           sums_of(p, piece, group, panel) + run * p->run * bytes);
        char *out = image->out + group * image->group.stride[2] +
                    panel * p->panel_rows * image->row.stride[2];
        int64_t rest = run;
        for (int32_t a = image->n_space - p->row_runs; a-- > 0; rest /= image->space[a].few)
            out += rest % image->space[a].few * image->space[a].few_stride;
        int64_t rows = least(p->panel_rows, image->row.size - panel * p->panel_rows);
        pg_axis batch = image->batch;
        for (int64_t i = 0; i < p->run; i++)
            p->store(rows, sums + i * bytes,
                     out + i % batch.size * batch.stride[2] +
                         i / batch.size * image->space[image->n_space - 1].few_stride,
                     image->row.stride[2]);
    }
}

/* ---- the plan ---------------------------------------------------------------------------------- */

static void choose_units(plan *p)
{
    const pg_conv_image *image = p->image;
    int64_t many = image->space[0].many, groups = image->group.size;
    p->line = 1;
    for (int32_t a = 1; a < image->n_space; a++)
        p->line *= image->space[a].many;
    int64_t count = p->line < PART_PLACES ? least(many, PART_PLACES / p->line) : 1;
    p->slab =
        pg_conv_slab_plan(&p->turned, ceil_divide(many, ceil_divide(many, count)), true, false);
    p->slabs = ceil_divide(many, p->slab.count);
    p->parts = image->channel.size * p->slabs;
    int64_t places = image->channel.size * many * p->line;
    p->pieces = least(least(p->parts, UNITS), places / PIECE_PLACES + 1);
    int64_t wanted = least(p->panels, ceil_divide(UNITS, groups * p->pieces));
    p->panel_block = ceil_divide(p->panels, wanted);
    p->panel_blocks = ceil_divide(p->panels, p->panel_block);
}

pg_status pg_conv_weights(const pg_conv_image *given)
{
    pg_conv_image folded = pg_conv_with_batch(given, true), *image = &folded;
    plan p = {.image = image,
              .turned = *image,
              .loops = PG_ISA_SELECT(pg_conv_tile_loops)[image->dtype],
              .store = PG_ISA_SELECT(pg_conv_stores)[image->out_dtype],
              .adding = PG_ISA_SELECT(pg_conv_loops)[image->dtype]};
    p.turned.batch =
        image->channel; /* what slabs are made of, one at a time, and what is innermost there */
    p.turned.channel = image->batch;
    p.panel_rows = 2 * p.loops->lanes;
    p.panels = ceil_divide(image->row.size, p.panel_rows);
    choose_units(&p);
    int32_t last = image->n_space - 1;
    const pg_conv_space *row = &image->space[last];
    p.run = image->batch.size;
    /* are the columns of the next weight behind those of the first? */
    p.row_runs = row->few > 1 && pg_conv_slab_few(&p.slab, last, 1) == p.run * p.loops->size;
    for (int64_t k = 2; p.row_runs && k < row->few; k++)
        p.row_runs = pg_conv_slab_few(&p.slab, last, k) == k * p.run * p.loops->size;
    if (p.row_runs) p.run *= row->few;
    p.runs = 1;
    for (int32_t a = 0; a < image->n_space - p.row_runs; a++)
        p.runs *= image->space[a].few;
    int64_t bytes = p.pieces * image->group.size * p.panels * panel_sums(&p);
    void *memory;
    PG_TRY(pg_cpu_alloc(image->device, bytes, &memory));
    p.sums = memory;
    int64_t flops = 2 * p.panel_block * p.panel_rows * p.runs * p.run * (p.parts / p.pieces) *
                    p.slab.count * p.line;
    pg_parallel_for(image->group.size * p.pieces * p.panel_blocks, PARALLEL_FLOPS / (flops + 1) + 1,
                    run_units, &p);
    if (!atomic_load(&p.no_memory))
        pg_parallel_for(image->group.size * p.panels * p.runs,
                        PARALLEL_ADD / (p.run * p.panel_rows * p.pieces) + 1, add_units, &p);
    pg_cpu_free(image->device, memory, bytes);
    return atomic_load(&p.no_memory) ? pg_fail(PG_ENOMEM, "no memory for a part of the input")
                                     : PG_OK;
}
