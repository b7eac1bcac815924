/* conv_winograd.c - pg_conv_winograd: windows of 3 x 3 with less than half of the products (Lavin and Gray, "Fast algorithms
 * for convolutional neural networks", 2015: F(2 x 2, 3 x 3)).
 *
 *     out tile = A^T (sum over channels of (G w G^T) * (B^T x B)) A      where * goes element by element
 *
 * A tile of 4 x 4 elements of lhs and a window of 3 x 3 weights become 16 numbers each, by sums of a few of them; the sums over
 * channels of their products are 16 products of matrices; and 2 x 2 outputs are sums of the 16. That is 16 multiplications
 * where a direct sum has 36. Rounding errors are about twice as large as there; they are relative to all elements under the
 * window, also to those under weights of 0. An infinite element would give nan where it is subtracted from itself: if
 * anything among the outputs is not finite, the convolution is done again directly, as it is where memory is short.
 *
 * Weights are transformed first, in panels of two vectors of rows. A unit of work is a band of tiles, for some of the panels:
 * its input is transformed for all channels, multiplied, and the sums are transformed while they are in cache. */
#include "conv.h"
#include "conv_tiles.h"
#include "slots.h"
#include "winograd.h"

#include <string.h>

enum {
    NUMBERS = 16,           /* of a tile */
    TAPS = 9,               /* of a window */
    CHANNELS = 16,          /* that are copied and transformed at once */
    FEW_WEIGHTS = 5 << 18,  /* bytes, after transforming, that stay in L2 while units pass by, */
    INPUT_BYTES = 1 << 19,  /* with so much of a unit's input, */
    MIN_TILES = 28,         /* but not less than of so many tiles; */
    MANY_TILES = 128,       /* other weights are read anew for each unit, of so many */
    PANEL_BYTES = 20 << 10, /* of a panel's weights in a block of channels: fits L1 with the rest */
    LINE = 64,              /* bytes, that a panel of tiles is copied with */
    UNITS = 4,              /* wanted per thread, where there are several */
    PARALLEL_FLOPS = 1 << 21, /* work worth a thread */
    PARALLEL_PACK = 1 << 15,  /* elements worth a thread */
    MIN_ROWS = 32,
    MIN_CHANNELS = 32,
    MIN_WEIGHTS = 2048, /* rows times channels */
    MIN_PLACES = 192,   /* for which the weights are worth transforming */
};

typedef struct plan {
    const pg_conv_image
        *image; /* its last two axes are those of the window, another one before may be its batch */
    const pg_conv_tile_loops *tiles;
    const pg_winograd_loops *loops;
    pg_conv_slab slab; /* of CHANNELS channels, for a unit */
    int64_t channels, channel_block;
    int64_t panels, panel_rows; /* of a group; rows of a panel */
    int64_t lines, line;        /* tiles of an image: lines, and in a line */
    int64_t bands, band;        /* units along axis 0 of space: images, or lines of tiles */
    int64_t parts;              /* of a line */
    int64_t panel_blocks, panel_block;
    int64_t panels_at_once;         /* of a unit, whose sums are kept */
    int64_t unit_tiles, tile_panel; /* of a unit and in a panel of it, at most */
    const float *weights;           /* [group, number, panel, channel, row] */
    pg_packed *kept;                /* that `weights` are, or NULL */
    float *own;                     /* that they are else, or NULL */
    const int64_t *at;              /* of each channel in a panel of tiles */
    pg_slots slots;
    atomic_bool no_memory, not_finite;
} plan;

/* What a thread needs while it works on a unit; find_scratch() has the sizes. */
typedef struct scratch {
    char *slab, *slab_end;
    float *numbers; /* [number, tile] of one channel */
    float *input;   /* [number, panel of tiles, channel, tile] */
    float *sums;    /* [number, panel, tile, row] */
    float *places;  /* [line, place, row] of an image */
} scratch;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* ---- weights ----------------------------------------------------------------------------------- */

static int64_t panel_width(const plan *p, int64_t panel)
{
    int64_t rows = p->image->row.size - panel * p->panel_rows;
    return rows > p->tiles->lanes ? p->panel_rows : p->tiles->lanes;
}

static int64_t panel_at(const plan *p, int64_t group, int64_t panel, int64_t number)
{
    return ((group * NUMBERS + number) * p->panels + panel) * p->channels * p->panel_rows;
}

/* A unit is CHANNELS channels of a panel. */
static void transform_weights(void *context, int64_t begin, int64_t end)
{
    const plan *p = context;
    const pg_conv_image *image = p->image;
    const pg_conv_space *y = &image->space[image->n_space - 2], *x = y + 1;
    pg_axis axes[3] = {{p->channels, {image->channel.stride[1], 0, 0}},
                       {y->few, {y->few_stride, 0, 0}},
                       {x->few, {x->few_stride, 0, 0}}};
    int32_t outer = pg_axes_merge(axes, 3) - 1;
    pg_axis inner = axes[outer];
    float window[CHANNELS * TAPS * 2 * (LINE / sizeof(float))];
    int64_t chunks = ceil_divide(p->channels, CHANNELS);
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t chunk = unit % chunks, panel = unit / chunks % p->panels,
                group = unit / chunks / p->panels;
        int64_t width = panel_width(p, panel), row = panel * p->panel_rows;
        int64_t rows = least(p->panel_rows, image->row.size - row);
        int64_t first = chunk * CHANNELS, last = least(first + CHANNELS, p->channels), run;
        const char *from = image->rhs + group * image->group.stride[1] + row * image->row.stride[1];
        if (rows < width) memset(window, 0, sizeof window);
        for (int64_t d = first * TAPS; d < last * TAPS; d += run) {
            run = least(inner.size - d % inner.size, last * TAPS - d);
            p->tiles->copy((char *)(window + (d - first * TAPS) * width),
                           width * (int64_t)sizeof(float),
                           from + pg_axes_offset(axes, outer, d / inner.size, 0) +
                               d % inner.size * inner.stride[0],
                           inner.stride[0], image->row.stride[1], run, rows);
        }
        for (int64_t c = first; c < last; c++)
            p->loops->weights(width, window + (c - first) * TAPS * width,
                              p->own + panel_at(p, group, panel, 0) + c * width,
                              p->panels * p->channels * p->panel_rows);
    }
}

/* ---- one unit ---------------------------------------------------------------------------------- */

typedef struct unit {
    int64_t index; /* of its input: the panels differ */
    int64_t group, batch, panel, panel_end;
    int64_t first, count;  /* along axis 0 of space: images, or rows of places */
    int64_t images, lines; /* of tiles in an image */
    int64_t start, line;   /* of tiles in a line */
    int64_t tiles;
} unit;

static int64_t count_inputs(const plan *p)
{
    return p->image->group.size * p->image->batch.size * p->bands * p->parts;
}

static unit find_unit(const plan *p, int64_t index)
{
    const pg_conv_image *image = p->image;
    bool folded = image->n_space == 3;
    unit u;
    u.panel = index / count_inputs(p) * p->panel_block;
    u.panel_end = least(u.panel + p->panel_block, p->panels);
    index %= count_inputs(p);
    u.index = index;
    int64_t part = index % p->parts, band = index / p->parts % p->bands * p->band;
    index /= p->parts * p->bands;
    u.batch = index % image->batch.size;
    u.group = index / image->batch.size;
    u.start = part * p->line / p->parts;
    u.line = (part + 1) * p->line / p->parts - u.start;
    int64_t count = least(p->band, (folded ? image->space[0].many : p->lines) - band);
    u.images = folded ? count : 1;
    u.lines = folded ? p->lines : count;
    u.first = folded ? band : 2 * band;
    u.count = folded ? count : least(2 * count, image->space[0].many - u.first);
    u.tiles = u.images * u.lines * u.line;
    return u;
}

static int64_t tile_panel_floats(const plan *p)
{
    return p->channels * p->tile_panel + LINE / (int64_t)sizeof(float);
}

/* The tiles of one channel: a number of all tiles after the other, then cut into panels. */
static void transform_channel(const plan *p, const unit *u, scratch *s, const char *slab,
                              int64_t channel)
{
    int32_t last = p->image->n_space - 1;
    int64_t row = p->slab.unit[last - 1], step = p->unit_tiles + LINE / (int64_t)sizeof(float);
    float *to = s->numbers;
    for (int64_t i = 0; i < u->images; i++)
        for (int64_t line = 0; line < u->lines; line++, to += u->line) {
            const char *from = slab + (last == 2 ? i * p->slab.unit[0] : 0) + 2 * line * row;
            p->loops->input(u->line, (const float *)from + 2 * u->start,
                            row / (int64_t)sizeof(float), to, step);
        }
    int64_t panels = ceil_divide(p->unit_tiles, p->tile_panel), panel_floats = tile_panel_floats(p);
    p->loops->panels(u->tiles, p->tile_panel, s->numbers, step, s->input + channel * p->tile_panel,
                     panels * panel_floats, panel_floats);
}

static void transform_input(const plan *p, const unit *u, scratch *s, bool zeroed)
{
    pg_conv_image some = *p->slab.image;
    pg_conv_slab slab = p->slab;
    slab.image = &some;
    for (int64_t first = 0; first < p->channels; first += CHANNELS) {
        some.lhs = p->image->lhs + first * p->image->channel.stride[0];
        some.channel.size = least(CHANNELS, p->channels - first);
        const char *filled =
            pg_conv_slab_fill(&slab, u->group, u->batch, u->first, u->count, zeroed, s->slab);
        for (int64_t c = 0; c < some.channel.size; c++)
            transform_channel(p, u, s, filled + c * slab.channel, first + c);
    }
}

/* Elements of s->sums from one number to the next: an odd number of cache lines, so that the 16 do not share one set of the
 * cache. */
static int64_t sums_step(const plan *p)
{
    int64_t floats = LINE / (int64_t)sizeof(float);
    return (ceil_divide(p->panels_at_once * p->unit_tiles * p->panel_rows, floats) | 1) * floats;
}

/* While a block of weights is used, the next one comes into cache: a share of it for each panel of tiles. */
static void multiply(const plan *p, const unit *u, int64_t first, int64_t last, scratch *s)
{
    int64_t panels = ceil_divide(u->tiles, p->tile_panel), panel_floats = tile_panel_floats(p);
    int64_t all_panels = ceil_divide(p->unit_tiles, p->tile_panel);
    for (int64_t k = 0; k < NUMBERS; k++)
        for (int64_t panel = first; panel < last; panel++) {
            const float *weights = p->weights + panel_at(p, u->group, panel, k);
            int64_t width = panel_width(p, panel);
            float *sums =
                s->sums + k * sums_step(p) + (panel - first) * p->unit_tiles * p->panel_rows;
            for (int64_t c = 0; c < p->channels; c += p->channel_block)
                for (int64_t i = 0, t = 0; i < panels; i++, t += p->tile_panel) {
                    int64_t channels = least(p->channel_block, p->channels - c);
                    const char *input =
                        (const char *)(s->input + (k * all_panels + i) * panel_floats);
                    const char *next = (const char *)(weights + (c + channels) * width +
                                                      channels * width * i / panels);
                    p->tiles->multiply(
                        least(p->tile_panel, u->tiles - t), width / p->tiles->lanes, channels,
                        input, p->at + c, (intptr_t)next - (intptr_t)(input + p->at[c]),
                        (const char *)(weights + c * width), (char *)(sums + t * width), c > 0);
                }
        }
}

/* Writes the outputs of one image and panel. */
static bool transform_sums(const plan *p, const unit *u, scratch *s, const float *sums,
                           int64_t panel, char *out)
{
    const pg_conv_image *image = p->image;
    const pg_conv_space *y = &image->space[image->n_space - 2], *x = y + 1;
    int64_t width = panel_width(p, panel), row = panel * p->panel_rows;
    int64_t rows = least(p->panel_rows, image->row.size - row);
    int64_t places = least(2 * u->line, x->many - 2 * u->start);
    int64_t height = image->n_space == 3 ? y->many : u->count;
    bool finite = true;
    for (int64_t line = 0; line < u->lines; line++)
        finite &= p->loops->output(places, least(2, height - 2 * line), width,
                                   sums + line * u->line * width, sums_step(p),
                                   s->places + 2 * line * places * width, places * width);
    out += row * image->row.stride[2] + 2 * u->start * x->many_stride;
    bool adjacent = y->many_stride == places * x->many_stride;
    for (int64_t line = 0; line < (adjacent ? 1 : height); line++)
        pg_conv_store_places(image, (const char *)(s->places + line * places * width),
                             width * (int64_t)sizeof(float), rows,
                             adjacent ? height * places : places, out + line * y->many_stride,
                             x->many_stride);
    return finite;
}

static bool run_unit(const plan *p, const unit *u, scratch *s)
{
    const pg_conv_image *image = p->image;
    char *out = image->out + u->group * image->group.stride[2] + u->batch * image->batch.stride[2] +
                u->first * image->space[0].many_stride;
    bool finite = true;
    for (int64_t first = u->panel, last; first < u->panel_end; first = last) {
        last = least(first + p->panels_at_once, u->panel_end);
        multiply(p, u, first, last, s);
        for (int64_t panel = first; panel < last; panel++)
            for (int64_t i = 0; i < u->images; i++)
                finite &= transform_sums(p, u, s,
                                         s->sums + (panel - first) * p->unit_tiles * p->panel_rows +
                                             i * u->lines * u->line * panel_width(p, panel),
                                         panel, out + i * image->space[0].many_stride);
    }
    return finite;
}

static void *take(char **at, int64_t bytes)
{
    char *part = *at;
    *at += ceil_divide(bytes, LINE) * LINE;
    return part;
}

/* The parts of scratch memory that begins at `at`. Returns its end. */
static char *find_scratch(const plan *p, char *at, scratch *s)
{
    int64_t item = sizeof(float), tile_panels = ceil_divide(p->unit_tiles, p->tile_panel);
    /* vectors reach behind the slab by less than two of them */
    s->slab = take(&at, p->slab.bytes + 2 * LINE);
    s->slab_end = at;
    s->numbers = take(&at, NUMBERS * (p->unit_tiles * item + LINE));
    s->input = take(&at, NUMBERS * tile_panels * tile_panel_floats(p) * item);
    s->sums = take(&at, NUMBERS * sums_step(p) * item);
    s->places = take(&at, 4 * p->unit_tiles * p->panel_rows * item);
    return at;
}

static void run_units(void *context, int64_t begin, int64_t end)
{
    plan *p = context;
    pg_slot *slot = pg_slot_take(&p->slots);
    if (!slot) {
        atomic_store(&p->no_memory, true);
        return;
    }
    scratch s;
    find_scratch(p, slot->data, &s);
    if (slot->content < 0) memset(s.slab, 0, (size_t)(s.slab_end - s.slab));
    bool alike = pg_conv_slabs_alike(&p->slab);
    for (int64_t index = begin; index < end; index++) {
        unit u = find_unit(p, index);
        if (slot->content != u.index) transform_input(p, &u, &s, alike);
        slot->content = u.index;
        if (!run_unit(p, &u, &s)) atomic_store(&p->not_finite, true);
    }
    pg_slot_give(&p->slots, slot);
}

/* ---- the plan ---------------------------------------------------------------------------------- */

/* Bands of whole images or of whole lines such that the threads have equal shares; long lines are cut. Where there are few bands,
 * threads share the panels of weights, and each transforms the input.
 *
 * Few weights stay in cache: units are so small that their input does, too, and go through it for each panel. Many weights are
 * read as seldom as possible: a unit takes each of the 16 numbers of its input once, for all panels. */
static void choose_units(plan *p)
{
    const pg_conv_image *image = p->image;
    bool folded = image->n_space == 3;
    int64_t step = folded ? p->lines * p->line : p->line;
    int64_t many = folded ? image->space[0].many : p->lines, threads = pg_parallel_threads();
    int64_t per_channel = NUMBERS * (int64_t)sizeof(float);
    bool few = p->panels * p->panel_rows * p->channels * per_channel <= FEW_WEIGHTS;
    int64_t tiles = few ? INPUT_BYTES / (p->channels * per_channel) : MANY_TILES;
    tiles = tiles < MIN_TILES ? MIN_TILES : least(tiles, MANY_TILES);
    p->parts = folded ? 1 : ceil_divide(p->line, tiles);
    int64_t others = image->group.size * image->batch.size * p->parts;
    p->band = least(many, step < tiles ? tiles / step : 1);
    p->panel_blocks = 1;
    int64_t bands = others * ceil_divide(many, p->band);
    if (threads > 1 && bands < threads) {
        for (; bands * p->panels < threads && p->band > 1;
             bands = others * ceil_divide(many, p->band))
            p->band--;
        p->panel_blocks = least(ceil_divide(UNITS * threads, bands), p->panels);
    } else {
        int64_t most = p->band, fewest = INT64_MAX;
        for (int64_t band = most; 2 * band >= most; band--) {
            int64_t share = ceil_divide(others * ceil_divide(many, band), threads) * band;
            if (share >= fewest) continue;
            fewest = share;
            p->band = band;
        }
    }
    p->bands = ceil_divide(many, p->band);
    p->panel_block = ceil_divide(p->panels, p->panel_blocks);
    p->panel_blocks = ceil_divide(p->panels, p->panel_block);
    p->panels_at_once = few ? 1 : p->panel_block;
    p->unit_tiles = p->band * (folded ? step : ceil_divide(p->line, p->parts));
    int64_t widest =
        least(p->tiles->width, LINE / (int64_t)sizeof(float)); /* see transform_channel() */
    p->tile_panel = ceil_divide(p->unit_tiles, ceil_divide(p->unit_tiles, widest));
}

bool pg_conv_winograd_suits(const pg_conv_image *image)
{
    const pg_conv_tile_loops *loops = PG_ISA_SELECT(pg_conv_tile_loops)[image->dtype];
    if (!loops || loops->size != sizeof(float) || image->n_space != 2) return false;
    for (int32_t a = 0; a < 2; a++) {
        const pg_conv_space *s = &image->space[a];
        if (s->few != 3 || s->few_move != 1 || s->many_move != 1) return false;
    }
    int64_t height = image->space[0].many, width = image->space[1].many;
    int64_t tiles = ceil_divide(height, 2) * ceil_divide(width, 2), rows = image->row.size;
    /* of products, those of tiles that reach over the end count too; 2/3 is what transforming leaves of the gain */
    return rows >= MIN_ROWS && image->channel.size >= MIN_CHANNELS &&
           rows * image->channel.size >= MIN_WEIGHTS &&
           image->batch.size * height * width >= MIN_PLACES &&
           3 * NUMBERS * tiles <= 2 * TAPS * height * width;
}

static int64_t weights_bytes(const plan *p)
{
    return p->image->group.size * NUMBERS * p->panels * p->channels * p->panel_rows *
           (int64_t)sizeof(float);
}

static pg_status find_weights(plan *p)
{
    const pg_conv_image *image = p->image;
    pg_packed_key key = pg_conv_packed_key(image, 1);
    bool keep;
    void *memory;
    p->kept = pg_packed_find(image->weights, &key, &keep);
    if (p->kept) {
        p->weights = pg_packed_data(p->kept);
        return PG_OK;
    }
    PG_TRY(pg_cpu_alloc(image->device, weights_bytes(p), &memory));
    p->weights = p->own = memory;
    pg_parallel_for(image->group.size * p->panels * ceil_divide(p->channels, CHANNELS),
                    PARALLEL_PACK / (CHANNELS * NUMBERS * p->panel_rows) + 1, transform_weights, p);
    if (keep) p->kept = pg_packed_keep(image->weights, &key, memory, weights_bytes(p));
    if (p->kept) p->own = NULL;
    return PG_OK;
}

static pg_status run_plan(plan *p)
{
    const pg_conv_image *image = p->image;
    int64_t at_bytes = p->channels * (int64_t)sizeof(int64_t);
    void *memory;
    PG_TRY(pg_cpu_alloc(image->device, at_bytes, &memory));
    int64_t *at = memory;
    for (int64_t c = 0; c < p->channels; c++)
        at[c] = c * p->tile_panel * (int64_t)sizeof(float);
    p->at = at;
    pg_status status = find_weights(p);
    int64_t flops = 2 * NUMBERS * p->unit_tiles * p->channels * p->panel_block * p->panel_rows;
    scratch sizes;
    p->slots.device = image->device;
    p->slots.bytes = find_scratch(p, NULL, &sizes) - (char *)NULL;
    if (status == PG_OK)
        pg_parallel_for(count_inputs(p) * p->panel_blocks, PARALLEL_FLOPS / flops + 1, run_units,
                        p);
    pg_slots_free(&p->slots);
    if (p->kept) pg_packed_release(p->kept);
    if (p->own) pg_cpu_free(image->device, p->own, weights_bytes(p));
    pg_cpu_free(image->device, memory, at_bytes);
    if (status != PG_OK) return status;
    return atomic_load(&p->no_memory) ? pg_fail(PG_ENOMEM, "no memory for a part of the input")
                                      : PG_OK;
}

pg_status pg_conv_winograd(const pg_conv_image *given)
{
    pg_conv_image folded = pg_conv_with_batch(given, false), padded = folded;
    plan p = {.image = &folded,
              .tiles = PG_ISA_SELECT(pg_conv_tile_loops)[given->dtype],
              .loops = PG_ISA_SELECT(pg_winograd_loops),
              .channels = given->channel.size};
    pg_conv_space *y = &padded.space[padded.n_space - 2], *x = y + 1;
    p.lines = ceil_divide(y->many, 2);
    p.line = ceil_divide(x->many, 2);
    y->many = 2 * p.lines; /* tiles may reach over the end */
    x->many = 2 * p.line;
    p.panel_rows = 2 * p.tiles->lanes;
    p.panels = ceil_divide(given->row.size, p.panel_rows);
    int64_t block = PANEL_BYTES / (p.panel_rows * (int64_t)sizeof(float));
    p.channel_block = ceil_divide(p.channels, ceil_divide(p.channels, block));
    choose_units(&p);
    padded.channel.size = least(CHANNELS, p.channels);
    p.slab = pg_conv_slab_plan(&padded, folded.n_space == 3 ? p.band : 2 * p.band, false, true);
    pg_status status = run_plan(&p);
    bool again = status == PG_ENOMEM || atomic_load(&p.not_finite);
    return again ? pg_conv_pixels(given) : status;
}
