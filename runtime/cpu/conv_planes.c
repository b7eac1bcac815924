/* conv_planes.c - pg_conv_planes: convolutions over images with few rows (output features) in a group, depthwise above all;
 * conv_tiles.h says what is computed.
 *
 * Vectors run along the places. Since a step along any axis is a step of fixed length in a slab, all places of a slab are
 * one run there, with the slab's border between lines: sums are made for the whole run, and those of the border thrown
 * away. Each element that is read serves up to four rows.
 *
 * Units depend on shapes only: a slab of one image, or of several small ones, in one group. */
#include "conv.h"
#include "conv_tiles.h"

#include <string.h>

enum {
    BLOCK = 1024,             /* places summed before they are stored */
    SLAB_BYTES = 128 << 10,   /* fits L2 with room for more */
    UNITS = 16,               /* wanted, where the work is worth it */
    UNIT_PLACES = 256,        /* in a unit, at least */
    PARALLEL_FLOPS = 1 << 19, /* work worth a thread */
    SLACK = 64,               /* bytes behind a slab that the last vector may read */
};

typedef struct plan {
    const pg_conv_image *image;
    const pg_conv_tile_loops *loops;
    pg_conv_store *store;
    pg_conv_slab slab;
    int64_t depth, slabs; /* slabs of an image */
    int64_t *at;          /* of each depth index in a slab */
    char *packed;         /* [group, up to four rows, depth, row] */
    atomic_bool no_memory;
} plan;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

static char *packed_rows(const plan *p, int64_t group, int64_t row)
{
    return p->packed + (group * p->image->row.size + row) * p->depth * p->loops->size;
}

/* Depth is channel, then the window. */
static void pack(const plan *p)
{
    const pg_conv_image *image = p->image;
    int64_t taps = p->depth / image->channel.size, size = p->loops->size;
    for (int64_t tap = 0; tap < taps; tap++) {
        int64_t rest = tap, at = 0, from = 0;
        for (int32_t a = image->n_space; a-- > 0; rest /= image->space[a].few) {
            at += pg_conv_slab_few(&p->slab, a, rest % image->space[a].few);
            from += rest % image->space[a].few * image->space[a].few_stride;
        }
        for (int64_t c = 0; c < image->channel.size; c++)
            p->at[c * taps + tap] = c * p->slab.channel + at;
        for (int64_t group = 0; group < image->group.size; group++)
            for (int64_t row = 0; row < image->row.size; row += PG_CONV_FEW_ROWS) {
                int64_t rows = least(PG_CONV_FEW_ROWS, image->row.size - row);
                p->loops->copy(
                    packed_rows(p, group, row) + tap * rows * size, taps * rows * size,
                    image->rhs + group * image->group.stride[1] + row * image->row.stride[1] + from,
                    image->channel.stride[1], image->row.stride[1], image->channel.size, rows);
            }
    }
}

/* One line of places after another: where they lie in the run and in out, in bytes. */
typedef struct cursor {
    int64_t index[PG_MAX_NDIM], at, to;
    bool done;
} cursor;

static void next_line(const plan *p, int64_t count, cursor *c)
{
    for (int32_t a = p->image->n_space - 1; a-- > 0;) {
        const pg_conv_space *s = &p->image->space[a];
        int64_t many = a ? s->many : count;
        c->at += p->slab.unit[a];
        c->to += s->many_stride;
        if (++c->index[a] < many) return;
        c->index[a] = 0;
        c->at -= many * p->slab.unit[a];
        c->to -= many * s->many_stride;
    }
    c->done = true;
}

/* What lies in `bytes` of the run, from `first` on, of the lines from `c` on; the cursor after that. */
static cursor store_lines(const plan *p, cursor c, int64_t count, int64_t first, int64_t bytes,
                          const char *sums, char *out)
{
    int32_t last = p->image->n_space - 1;
    int64_t size = p->loops->size, step = p->image->space[last].many_stride;
    int64_t line = (last ? p->image->space[last].many : count) * size;
    for (; !c.done; next_line(p, count, &c)) {
        int64_t begin = c.at < first ? first - c.at : 0, end = least(line, first + bytes - c.at);
        if (begin < end)
            p->store((end - begin) / size, sums + c.at + begin - first,
                     out + c.to + begin / size * step, step);
        if (end < line) break;
    }
    return c;
}

static void run_unit(const plan *p, int64_t unit, bool zeroed, char *slab, char *sums)
{
    const pg_conv_image *image = p->image;
    int64_t first = unit % p->slabs * p->slab.count, rest = unit / p->slabs, size = p->loops->size;
    int64_t batch = rest % image->batch.size, group = rest / image->batch.size;
    int64_t count = least(p->slab.count, image->space[0].many - first), run = size;
    pg_conv_slab_fill(&p->slab, group, batch, first, count, zeroed, slab);
    char *out = image->out + group * image->group.stride[2] + batch * image->batch.stride[2] +
                first * image->space[0].many_stride;
    for (int32_t a = 0; a < image->n_space; a++)
        run += ((a ? image->space[a].many : count) - 1) * p->slab.unit[a];
    cursor line = {.at = 0}, next = line;
    for (int64_t place = 0; place < run; place += BLOCK * size, line = next) {
        int64_t bytes = least(BLOCK * size, run - place), vector = p->loops->lanes * size;
        for (int64_t row = 0; row < image->row.size; row += PG_CONV_FEW_ROWS) {
            int64_t rows = least(PG_CONV_FEW_ROWS, image->row.size - row);
            p->loops->along(rows, ceil_divide(bytes, vector) * p->loops->lanes, p->depth,
                            slab + place, p->at, packed_rows(p, group, row), sums, BLOCK * size);
            for (int64_t r = 0; r < rows; r++)
                next = store_lines(p, line, count, place, bytes, sums + r * BLOCK * size,
                                   out + (row + r) * image->row.stride[2]);
        }
    }
}

static void run_units(void *context, int64_t begin, int64_t end)
{
    plan *p = context;
    int64_t sums = PG_CONV_FEW_ROWS * BLOCK * p->loops->size, bytes = sums + p->slab.bytes + SLACK;
    bool alike = pg_conv_slabs_alike(&p->slab);
    void *memory;
    if (pg_cpu_alloc(p->image->device, bytes, &memory) != PG_OK) {
        atomic_store(&p->no_memory, true);
        return;
    }
    char *slab = (char *)memory + sums;
    memset(slab, 0, (size_t)(p->slab.bytes + SLACK));
    for (int64_t unit = begin; unit < end; unit++)
        run_unit(p, unit, alike, slab, memory);
    pg_cpu_free(p->image->device, memory, bytes);
}

static void choose_units(plan *p)
{
    const pg_conv_image *image = p->image;
    int64_t many = image->space[0].many, images = image->group.size * image->batch.size, line = 1;
    for (int32_t a = 1; a < image->n_space; a++)
        line *= image->space[a].many;
    int64_t count = many; /* halved until a slab fits and there are enough of them */
    while (count > 1 && count * line > UNIT_PLACES &&
           (pg_conv_slab_plan(image, count, false, true).bytes > SLAB_BYTES ||
            images * ceil_divide(many, count) < UNITS))
        count = ceil_divide(count, 2);
    p->slab = pg_conv_slab_plan(image, ceil_divide(many, ceil_divide(many, count)), false, true);
    p->slabs = ceil_divide(many, p->slab.count);
}

pg_status pg_conv_planes(const pg_conv_image *given)
{
    pg_conv_image folded = pg_conv_with_batch(given, false), *image = &folded;
    plan p = {.image = image,
              .loops = PG_ISA_SELECT(pg_conv_tile_loops)[image->dtype],
              .store = PG_ISA_SELECT(pg_conv_stores)[image->out_dtype],
              .depth = image->channel.size};
    int64_t places = 1;
    for (int32_t a = 0; a < image->n_space; a++)
        p.depth *= image->space[a].few;
    choose_units(&p);
    for (int32_t a = 0; a < image->n_space; a++)
        places *= a ? image->space[a].many : p.slab.count;
    int64_t packed = image->group.size * image->row.size * p.depth * p.loops->size;
    int64_t bytes = packed + p.depth * (int64_t)sizeof *p.at;
    void *memory;
    PG_TRY(pg_cpu_alloc(image->device, bytes, &memory));
    p.at = memory;
    p.packed = (char *)(p.at + p.depth);
    pack(&p);
    int64_t flops = 2 * places * p.depth * image->row.size;
    pg_parallel_for(image->group.size * image->batch.size * p.slabs,
                    PARALLEL_FLOPS / (flops + 1) + 1, run_units, &p);
    pg_cpu_free(image->device, memory, bytes);
    return atomic_load(&p.no_memory) ? pg_fail(PG_ENOMEM, "no memory for a part of the input")
                                     : PG_OK;
}
