/* conv_pixels.c - pg_conv_pixels: convolutions over images; conv_tiles.h says what is computed.
 *
 * Vectors run along the rows (output features), whose weights are packed once, in panels of two vectors: ahead, or, if a
 * panel serves a single block, just before it, so that many weights for few places stay in cache. A unit of work is
 * a slab of one image: it is copied with its border, and then every tile of places is summed from where the slab's
 * elements lie, since neighbouring outputs meet neighbouring elements under each weight. Sums are kept for a
 * block of places and a panel, while a block of depth passes that fits L1, and leave it transposed.
 *
 * How the work is cut changes no result: each sum goes over depth in the same order. */
#include "conv.h"
#include "conv_tiles.h"
#include "slots.h"

#include <string.h>

enum {
    PLACES = 128,             /* of a block, at most */
    PANEL_BYTES = 20 << 10,   /* of a panel's weights in a block of depth: fits L1 with the rest */
    SLAB_BYTES = 512 << 10,   /* fits L2 with the weights */
    MANY_WEIGHTS = 1 << 20,   /* bytes that do not stay in L2 while slabs pass by */
    UNITS = 4,                /* wanted per thread, where there are several */
    UNIT_PLACES = 64,         /* in a unit, at least */
    PARALLEL_FLOPS = 1 << 21, /* work worth a thread */
    PARALLEL_PACK = 1 << 15,  /* elements worth a thread */
    MAX_VECTOR = 64,          /* bytes */
};

typedef struct plan {
    const pg_conv_image *image;
    const pg_conv_tile_loops *loops;
    pg_conv_slab slab;
    int64_t panels, panel_rows; /* in a group; rows of a panel */
    int64_t depth, depth_block;
    int64_t slabs, all_slabs;          /* of an image; groups * batch * slabs */
    int64_t panel_blocks, panel_block; /* of a group: units are panel_blocks * all_slabs */
    int64_t *at;                       /* of each depth index in a slab */
    bool packs_late;                   /* each panel is packed where it is used */
    const char *packed;                /* [group, panel, depth, row], but with packs_late */
    pg_packed *kept;                   /* that `packed` is, or NULL */
    char *own;                         /* that it is else, or NULL */
    pg_slots slots;
    atomic_bool no_memory;
} plan;

/* Places that one thread sums at a time: full lines along the last axis, or a part of one. */
typedef struct block {
    int64_t lines, length;
    int64_t from[PLACES], to[PLACES]; /* of each line: in the slab and in out */
    bool adjacent;                    /* in out, each line begins where the one before it ends */
} block;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* ---- kept weights ------------------------------------------------------------------------------ */

pg_packed_key pg_conv_packed_key(const pg_conv_image *image, int64_t kernel)
{
    pg_packed_key key = {{kernel, image->dtype, image->rhs - (char *)image->weights->data}};
    int64_t *to = key.numbers + 3;
    const pg_axis *axes[] = {&image->group, &image->row, &image->channel};
    for (int32_t i = 0; i < 3; i++) {
        *to++ = axes[i]->size;
        *to++ = axes[i]->stride[1];
    }
    for (int32_t a = 0; a < image->n_space; a++) {
        if (image->space[a].few == 1) continue;
        *to++ = image->space[a].few;
        *to++ = image->space[a].few_stride;
    }
    return key;
}

/* ---- packing ----------------------------------------------------------------------------------- */

static int64_t panel_vectors(const plan *p, int64_t panel)
{
    int64_t rows = p->image->row.size - panel * p->panel_rows;
    return rows > p->loops->lanes ? 2 : 1;
}

/* Bytes of a packed panel. */
static int64_t panel_bytes(const plan *p) { return p->depth * p->panel_rows * p->loops->size; }

static int64_t panel_at(const plan *p, int64_t group, int64_t panel)
{
    return (group * p->panels + panel) * panel_bytes(p);
}

/* The axes of depth over rhs: channel, then the window. */
static int32_t depth_axes(const pg_conv_image *image, pg_axis *axes)
{
    axes[0] = image->channel;
    for (int32_t a = 0; a < image->n_space; a++)
        axes[1 + a] = (pg_axis){image->space[a].few, {0, image->space[a].few_stride, 0}};
    axes[0].stride[0] = 0;
    return pg_axes_merge(axes, 1 + image->n_space);
}

static void pack_panel(const plan *p, int64_t group, int64_t panel, char *to)
{
    const pg_conv_image *image = p->image;
    pg_axis axes[PG_MAX_NDIM];
    int32_t n = depth_axes(image, axes);
    pg_axis inner = n ? axes[--n] : (pg_axis){.size = 1};
    int64_t width = panel_vectors(p, panel) * p->loops->lanes * p->loops->size;
    int64_t rows = least(p->panel_rows, image->row.size - panel * p->panel_rows);
    if (rows * p->loops->size < width) memset(to, 0, (size_t)(p->depth * width));
    const char *from =
        image->rhs + group * image->group.stride[1] + panel * p->panel_rows * image->row.stride[1];
    for (int64_t d = 0; d < p->depth; d += inner.size, to += inner.size * width)
        p->loops->copy(to, width, from + pg_axes_offset(axes, n, d / inner.size, 1),
                       inner.stride[1], image->row.stride[1], inner.size, rows);
}

static void pack_units(void *context, int64_t begin, int64_t end)
{
    const plan *p = context;
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t group = unit / p->panels, panel = unit % p->panels;
        pack_panel(p, group, panel, p->own + panel_at(p, group, panel));
    }
}

static void find_depths(plan *p)
{
    const pg_conv_image *image = p->image;
    int64_t taps = p->depth / image->channel.size;
    for (int64_t tap = 0; tap < taps; tap++) {
        int64_t rest = tap, at = 0;
        for (int32_t a = image->n_space; a-- > 0; rest /= image->space[a].few)
            at += pg_conv_slab_few(&p->slab, a, rest % image->space[a].few);
        for (int64_t c = 0; c < image->channel.size; c++)
            p->at[c * taps + tap] = c * p->slab.channel + at;
    }
}

/* ---- one block --------------------------------------------------------------------------------- */

/* w: the packed panel. */
static void sum_block(const plan *p, const block *b, int64_t panel, const char *w, const char *slab,
                      char *sums)
{
    int64_t vectors = panel_vectors(p, panel), size = p->loops->size;
    int64_t width = vectors * p->loops->lanes * size;
    int64_t parts = ceil_divide(b->length, p->loops->width);
    /* lhs in place may be far away: the end of the next tile is fetched meanwhile */
    int64_t ahead = p->slab.in_place ? 2 * p->loops->width * size - 1 : 0;
    for (int64_t d = 0; d < p->depth; d += p->depth_block) {
        int64_t depth = least(p->depth_block, p->depth - d);
        char *to = sums;
        for (int64_t line = 0; line < b->lines; line++)
            for (int64_t part = 0, j = 0, next; part < parts; part++, j = next) {
                next = (part + 1) * b->length / parts;
                p->loops->multiply(next - j, vectors, depth, slab + b->from[line] + j * size,
                                   p->at + d, ahead, w + d * width, to, d > 0);
                to += (next - j) * width;
            }
    }
}

void pg_conv_store_places(const pg_conv_image *image, const char *sums, int64_t width, int64_t rows,
                          int64_t count, char *out, int64_t step)
{
    const pg_conv_tile_loops *const *loops = PG_ISA_SELECT(pg_conv_tile_loops);
    pg_conv_store *store = PG_ISA_SELECT(pg_conv_stores)[image->out_dtype];
    int64_t row_step = image->row.stride[2], item = pg_dtype_size(image->out_dtype),
            size = loops[image->dtype]->size;
    const pg_conv_tile_loops *from_sums = loops[size == 8 ? PG_FLOAT64 : PG_FLOAT32];
    if (row_step == item && rows > 1) {
        for (int64_t j = 0; j < count; j++)
            store(rows, sums + j * width, out + j * step, row_step);
        return;
    }
    if (step == item && item == size) {
        from_sums->copy(out, row_step, sums, size, width, rows, count);
        return;
    }
    _Alignas(64) char turned[2 * MAX_VECTOR * PLACES];
    for (int64_t j = 0; j < count; j += PLACES) {
        int64_t some = least(PLACES, count - j);
        from_sums->copy(turned, some * size, sums + j * width, size, width, rows, some);
        for (int64_t r = 0; r < rows; r++)
            store(some, turned + r * some * size, out + r * row_step + j * step, step);
    }
}

static void store_block(const plan *p, const block *b, int64_t panel, const char *sums, char *out)
{
    const pg_conv_image *image = p->image;
    int64_t width = panel_vectors(p, panel) * p->loops->lanes * p->loops->size;
    int64_t rows = least(p->panel_rows, image->row.size - panel * p->panel_rows);
    int64_t step = image->space[image->n_space - 1].many_stride;
    if (b->adjacent) {
        pg_conv_store_places(image, sums, width, rows, b->lines * b->length, out + b->to[0], step);
        return;
    }
    for (int64_t line = 0; line < b->lines; line++)
        pg_conv_store_places(image, sums + line * b->length * width, width, rows, b->length,
                             out + b->to[line], step);
}

/* ---- one unit ---------------------------------------------------------------------------------- */

/* `lines` lines from the line `line` on, `length` places each, from `place` on. */
static void find_block(const plan *p, int64_t line, int64_t lines, int64_t place, int64_t length,
                       block *b)
{
    const pg_conv_image *image = p->image;
    int32_t last = image->n_space - 1;
    b->lines = lines;
    b->length = length;
    b->adjacent = true;
    for (int64_t i = 0; i < lines; i++) {
        b->from[i] = place * p->slab.unit[last];
        b->to[i] = place * image->space[last].many_stride;
        int64_t rest = line + i;
        for (int32_t a = last; a-- > 0; rest /= image->space[a].many) {
            int64_t index = a ? rest % image->space[a].many : rest;
            b->from[i] += index * p->slab.unit[a];
            b->to[i] += index * image->space[a].many_stride;
        }
        if (i) b->adjacent &= b->to[i] == b->to[i - 1] + length * image->space[last].many_stride;
    }
}

/* Bytes of a slot before its slab. */
static int64_t scratch_bytes(const plan *p)
{
    return PLACES * p->panel_rows * p->loops->size + (p->packs_late ? panel_bytes(p) : 0);
}

/* memory: of the thread, for sums and, with packs_late, a panel. */
static void run_block(const plan *p, const block *b, int64_t group, int64_t panel, const char *slab,
                      char *memory, char *out)
{
    char *own = memory, *sums = memory + (p->packs_late ? panel_bytes(p) : 0);
    int64_t end = least(panel + p->panel_block, p->panels);
    for (; panel < end; panel++) {
        if (p->packs_late) pack_panel(p, group, panel, own);
        sum_block(p, b, panel, p->packs_late ? own : p->packed + panel_at(p, group, panel), slab,
                  sums);
        store_block(p, b, panel, sums, out + panel * p->panel_rows * p->image->row.stride[2]);
    }
}

/* slot: sums and, with packs_late, a panel; then a slab, which may still be that of the unit before. */
static void run_unit(const plan *p, int64_t unit, bool zeroed, pg_slot *slot)
{
    const pg_conv_image *image = p->image;
    int64_t panel = unit / p->all_slabs * p->panel_block, index = unit % p->all_slabs;
    int64_t first = index % p->slabs * p->slab.count, batch = index / p->slabs % image->batch.size;
    int64_t group = index / p->slabs / image->batch.size;
    int64_t count = least(p->slab.count, image->space[0].many - first);
    char *slab = slot->data + scratch_bytes(p), *memory = slot->data;
    const char *filled = slab;
    if (p->slab.in_place || slot->content != index)
        filled = pg_conv_slab_fill(&p->slab, group, batch, first, count, zeroed, slab);
    slot->content = index;
    char *out = image->out + group * image->group.stride[2] + batch * image->batch.stride[2] +
                first * image->space[0].many_stride;
    int32_t last = image->n_space - 1;
    int64_t lines = 1, length = last ? image->space[last].many : count;
    for (int32_t a = 0; a < last; a++)
        lines *= a ? image->space[a].many : count;
    block b;
    int64_t at_once = ceil_divide(lines, ceil_divide(lines, length < PLACES ? PLACES / length : 1));
    int64_t parts = ceil_divide(length, PLACES);
    for (int64_t line = 0; line < lines; line += at_once)
        for (int64_t part = 0; part < parts; part++) {
            int64_t place = part * length / parts, end = (part + 1) * length / parts;
            find_block(p, line, least(at_once, lines - line), place, end - place, &b);
            run_block(p, &b, group, panel, filled, memory, out);
        }
}

static void run_units(void *context, int64_t begin, int64_t end)
{
    plan *p = context;
    bool alike = pg_conv_slabs_alike(&p->slab);
    pg_slot *slot = pg_slot_take(&p->slots);
    if (!slot) {
        atomic_store(&p->no_memory, true);
        return;
    }
    if (slot->content < 0) memset(slot->data + scratch_bytes(p), 0, (size_t)p->slab.bytes);
    for (int64_t unit = begin; unit < end; unit++)
        run_unit(p, unit, alike, slot);
    pg_slot_give(&p->slots, slot);
}

/* ---- the plan ---------------------------------------------------------------------------------- */

static int64_t slab_bytes(const pg_conv_image *image, int64_t count)
{
    return pg_conv_slab_plan(image, count, false, false).bytes;
}

static void choose_units(plan *p)
{
    const pg_conv_image *image = p->image;
    int64_t many = image->space[0].many, images = image->group.size * image->batch.size, line = 1;
    for (int32_t a = 1; a < image->n_space; a++)
        line *= image->space[a].many;
    /* Many weights are rather shared out by panels than read once more for another slab. */
    int64_t weights = p->panels * p->panel_rows * p->depth * p->loops->size;
    int64_t spread = weights > MANY_WEIGHTS ? p->panels : 1;
    int64_t threads = pg_parallel_threads(), units = threads > 1 ? UNITS * threads : 1;
    int64_t count = many; /* halved until a slab fits and there are enough units */
    while (count > 1 && count * line > UNIT_PLACES &&
           (slab_bytes(image, count) > SLAB_BYTES ||
            images * ceil_divide(many, count) * spread < units))
        count = ceil_divide(count, 2);
    p->slab = pg_conv_slab_plan(image, ceil_divide(many, ceil_divide(many, count)), false, false);
    p->slabs = ceil_divide(many, p->slab.count);
    /* Each thread has a slab: the panels of a few slabs are shared out, those of many are not. */
    p->all_slabs = images * p->slabs;
    int64_t blocks = p->all_slabs > threads ? 1 : ceil_divide(units, p->all_slabs);
    p->panel_block = ceil_divide(p->panels, least(blocks, p->panels));
    p->panel_blocks = ceil_divide(p->panels, p->panel_block);
}

static int64_t packed_bytes(const plan *p)
{
    return p->image->group.size * p->panels * panel_bytes(p);
}

/* Packs all weights, unless they are kept from before, or panels are packed where they are used. */
static pg_status pack_weights(plan *p)
{
    const pg_conv_image *image = p->image;
    pg_packed_key key = pg_conv_packed_key(image, 0);
    bool keep;
    void *memory;
    p->kept = pg_packed_find(image->weights, &key, &keep);
    if (p->kept) {
        p->packed = pg_packed_data(p->kept);
        p->packs_late = false;
        return PG_OK;
    }
    if (p->packs_late && !keep) return PG_OK;
    pg_status status = pg_cpu_alloc(image->device, packed_bytes(p), &memory);
    if (status != PG_OK) return p->packs_late ? PG_OK : status;
    p->packs_late = false;
    p->packed = p->own = memory;
    pg_parallel_for(image->group.size * p->panels, PARALLEL_PACK / (p->panel_rows * p->depth) + 1,
                    pack_units, p);
    if (keep) p->kept = pg_packed_keep(image->weights, &key, memory, packed_bytes(p));
    if (p->kept) p->own = NULL;
    return PG_OK;
}

pg_status pg_conv_pixels(const pg_conv_image *given)
{
    pg_conv_image folded = pg_conv_with_batch(given, false), *image = &folded;
    plan p = {.image = image,
              .loops = PG_ISA_SELECT(pg_conv_tile_loops)[image->dtype],
              .depth = image->channel.size};
    p.panel_rows = 2 * p.loops->lanes;
    p.panels = ceil_divide(image->row.size, p.panel_rows);
    for (int32_t a = 0; a < image->n_space; a++)
        p.depth *= image->space[a].few;
    int64_t block = PANEL_BYTES / (p.panel_rows * p.loops->size);
    p.depth_block = ceil_divide(p.depth, ceil_divide(p.depth, block));
    choose_units(&p);
    int64_t places = p.slab.count;
    for (int32_t a = 1; a < image->n_space; a++)
        places *= image->space[a].many;
    void *memory;
    int64_t at_bytes = p.depth * (int64_t)sizeof *p.at;
    PG_TRY(pg_cpu_alloc(image->device, at_bytes, &memory));
    p.at = memory;
    find_depths(&p);
    p.packs_late = p.slabs * image->batch.size == 1 && places <= PLACES;
    pg_status status = pack_weights(&p);
    int64_t flops = 2 * places * p.depth * least(p.panel_block * p.panel_rows, image->row.size);
    p.slots.device = image->device;
    p.slots.bytes = scratch_bytes(&p) + p.slab.bytes;
    if (status == PG_OK)
        pg_parallel_for(p.all_slabs * p.panel_blocks, PARALLEL_FLOPS / (flops + 1) + 1, run_units,
                        &p);
    pg_slots_free(&p.slots);
    if (p.kept) pg_packed_release(p.kept);
    if (p.own) pg_cpu_free(image->device, p.own, packed_bytes(&p));
    pg_cpu_free(image->device, memory, at_bytes);
    if (status != PG_OK) return status;
    return atomic_load(&p.no_memory) ? pg_fail(PG_ENOMEM, "no memory for a part of the input")
                                     : PG_OK;
}
