/* conv_slab.c - parts of lhs with their zeros around them; conv_tiles.h says how they lie. */
#include "conv_tiles.h"

#include <string.h>

enum {
    FEW_PLACES = 256,   /* in an image: several images make a slab */
    SHARED_SETS = 1024, /* strides that are multiples of this use too few sets of the cache */
};

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Bytes that are an odd number of cache lines: columns of such rows do not share one set of the cache. */
static int64_t odd_lines(int64_t bytes) { return ((bytes + 63) / 64 | 1) * 64; }

pg_conv_image pg_conv_with_batch(const pg_conv_image *image, bool weights)
{
    pg_conv_image folded = *image;
    pg_axis *batch = weights ? &folded.channel : &folded.batch;
    int64_t places = 1;
    for (int32_t a = 0; a < image->n_space; a++)
        places *= image->space[a].many;
    if (batch->size == 1 || places > FEW_PLACES || image->n_space == PG_MAX_NDIM) return folded;
    memmove(folded.space + 1, image->space, (size_t)image->n_space * sizeof *image->space);
    folded.n_space++;
    folded.space[0] = (pg_conv_space){.size = batch->size,
                                      .stride = batch->stride[0],
                                      .many = batch->size,
                                      .many_move = 1,
                                      .many_stride = batch->stride[weights ? 1 : 2],
                                      .few = 1,
                                      .few_move = 1};
    *batch = (pg_axis){.size = 1};
    return folded;
}

/* True if everything that axis a meets lies in lhs. */
static bool is_inside(const pg_conv_space *p)
{
    return p->start >= 0 &&
           p->start + (p->many - 1) * p->many_move + (p->few - 1) * p->few_move < p->size;
}

/* True if lhs itself is laid out like a slab. */
static bool is_in_place(const pg_conv_image *image, bool channels_last, int64_t size)
{
    const pg_conv_space *last = &image->space[image->n_space - 1];
    for (int32_t a = 0; a < image->n_space; a++)
        if (!is_inside(&image->space[a])) return false;
    if (image->dtype != PG_FLOAT32 && image->dtype != PG_FLOAT64) return false;
    int64_t step = image->channel.stride[0], far = channels_last ? last->stride : step;
    return (channels_last ? step : last->many_move * last->stride) == size &&
           far % SHARED_SETS != 0;
}

pg_conv_slab pg_conv_slab_plan(const pg_conv_image *image, int64_t count, bool channels_last,
                               bool copied)
{
    pg_conv_slab s = {.image = image,
                      .loops = PG_ISA_SELECT(pg_conv_tile_loops)[image->dtype],
                      .count = count,
                      .channels_last = channels_last};
    s.in_place = !copied && is_in_place(image, channels_last, s.loops->size);
    for (int32_t a = 0; a < image->n_space && s.in_place; a++)
        s.unit[a] = image->space[a].many_move * image->space[a].stride;
    s.channel = image->channel.stride[0];
    if (s.in_place) return s;
    int64_t size = s.loops->size, channels = image->channel.size;
    int64_t cell = channels_last ? channels * size : size;
    if (channels_last && cell >= 512) cell = odd_lines(cell);
    for (int32_t a = image->n_space; a-- > 0;) {
        const pg_conv_space *p = &image->space[a];
        s.phases[a] = least(p->few, p->many_move / common_divisor(p->many_move, p->few_move));
        s.length[a] = (a ? p->many : count) + (p->few - 1) * p->few_move / p->many_move;
        s.unit[a] = cell;
        cell *= s.length[a];
    }
    for (int32_t a = image->n_space; a-- > 0; cell *= s.phases[a])
        s.phase_unit[a] = cell;
    s.channel = channels_last ? size : odd_lines(cell);
    s.bytes = channels_last ? cell : channels * s.channel;
    return s;
}

int64_t pg_conv_slab_few(const pg_conv_slab *s, int32_t axis, int64_t k)
{
    const pg_conv_space *p = &s->image->space[axis];
    if (s->in_place) return k * p->few_move * p->stride;
    return k % s->phases[axis] * s->phase_unit[axis] +
           k * p->few_move / p->many_move * s->unit[axis];
}

bool pg_conv_slabs_alike(const pg_conv_slab *s)
{
    const pg_conv_space *first = &s->image->space[0];
    return s->count == first->many || (first->few == 1 && is_inside(first));
}

/* Which places of a phase of axis a, of `length`, lie in lhs: [begin, end). Returns where place 0 would lie. */
static int64_t find_places(const pg_conv_space *p, int64_t phase, int64_t first, int64_t length,
                           int64_t *begin, int64_t *end)
{
    int64_t move = p->many_move;
    int64_t start = p->start + first * move + (phase ? phase * p->few_move % move : 0);
    *begin = start >= 0 ? 0 : move == 1 ? -start : (-start + move - 1) / move;
    *end = start >= p->size
               ? 0
               : least(length, move == 1 ? p->size - start : (p->size - 1 - start) / move + 1);
    return start;
}

/* All that lies under one index of each axis before `a`; on axis 0, `count` indices from `first` on. */
static void fill(const pg_conv_slab *s, int32_t a, const char *from, int64_t first, int64_t count,
                 char *to)
{
    const pg_conv_space *p = &s->image->space[a];
    pg_axis channel = s->image->channel;
    int64_t length = s->length[a] - (a ? 0 : s->count - count), step = p->many_move * p->stride,
            begin, end;
    for (int64_t phase = 0; phase < s->phases[a]; phase++, to += s->phase_unit[a]) {
        const char *x =
            from + find_places(p, phase, a ? 0 : first, length, &begin, &end) * p->stride;
        if (begin >= end) continue;
        char *place = to + begin * s->unit[a];
        x += begin * step;
        if (a + 1 < s->image->n_space)
            for (int64_t u = begin; u < end; u++, x += step, place += s->unit[a])
                fill(s, a + 1, x, first, count, place);
        else if (s->channels_last)
            s->loops->copy(place, s->unit[a], x, step, channel.stride[0], end - begin,
                           channel.size);
        else
            s->loops->copy(place, s->channel, x, channel.stride[0], step, channel.size,
                           end - begin);
    }
}

const char *pg_conv_slab_fill(const pg_conv_slab *s, int64_t group, int64_t batch, int64_t first,
                              int64_t count, bool zeroed, char *to)
{
    const pg_conv_image *image = s->image;
    const char *lhs = image->lhs + group * image->group.stride[0] + batch * image->batch.stride[0];
    if (s->in_place) {
        for (int32_t a = 0; a < image->n_space; a++)
            lhs += image->space[a].start * image->space[a].stride;
        return lhs + first * s->unit[0];
    }
    if (!zeroed) memset(to, 0, (size_t)s->bytes);
    fill(s, 0, lhs, first, count, to);
    return to;
}
