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

pg_conv_slab pg_conv_slab_plan(const pg_conv_image *image, int64_t count, bool channels_last)
{
    pg_conv_slab s = {.image = image,
                      .loops = PG_ISA_SELECT(pg_conv_tile_loops)[image->dtype],
                      .count = count,
                      .channels_last = channels_last};
    s.in_place = is_in_place(image, channels_last, s.loops->size);
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
        cell *= s.phases[a] * s.length[a];
    }
    s.channel = channels_last ? size : odd_lines(cell);
    s.bytes = channels_last ? cell : channels * s.channel;
    return s;
}

int64_t pg_conv_slab_few(const pg_conv_slab *s, int32_t axis, int64_t k)
{
    const pg_conv_space *p = &s->image->space[axis];
    if (s->in_place) return k * p->few_move * p->stride;
    return (k % s->phases[axis] * s->length[axis] + k * p->few_move / p->many_move) * s->unit[axis];
}

bool pg_conv_slabs_alike(const pg_conv_slab *s)
{
    const pg_conv_space *first = &s->image->space[0];
    return s->count == first->many || (first->few == 1 && is_inside(first));
}

/* Where in lhs place 0 of a phase lies. */
static int64_t phase_start(const pg_conv_space *p, int64_t phase, int64_t first)
{
    return p->start + first * p->many_move + phase * p->few_move % p->many_move;
}

/* All channels of one row of places along the last axis. */
static void fill_row(const pg_conv_slab *s, const char *from, int64_t first, int64_t length,
                     char *to)
{
    int32_t last = s->image->n_space - 1;
    const pg_conv_space *p = &s->image->space[last];
    pg_axis channel = s->image->channel;
    int64_t step = p->many_move * p->stride;
    for (int64_t phase = 0; phase < s->phases[last]; phase++) {
        int64_t start = phase_start(p, phase, first);
        int64_t begin = start < 0 ? (-start + p->many_move - 1) / p->many_move : 0;
        int64_t end = start < p->size ? least(length, (p->size - 1 - start) / p->many_move + 1) : 0;
        if (begin >= end) continue;
        char *row = to + (phase * s->length[last] + begin) * s->unit[last];
        const char *x = from + (start + begin * p->many_move) * p->stride;
        if (s->channels_last)
            s->loops->copy(row, s->unit[last], x, step, channel.stride[0], end - begin,
                           channel.size);
        else
            s->loops->copy(row, s->channel, x, channel.stride[0], step, channel.size, end - begin);
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
    int32_t outer = image->n_space - 1;
    int64_t rows = 1, lengths[PG_MAX_NDIM], firsts[PG_MAX_NDIM];
    for (int32_t a = 0; a <= outer; a++) {
        firsts[a] = a ? 0 : first;
        lengths[a] = s->length[a] - (a ? 0 : s->count - count);
        if (a < outer) rows *= s->phases[a] * lengths[a];
    }
    if (!zeroed) memset(to, 0, (size_t)s->bytes);
    for (int64_t row = 0; row < rows; row++) {
        int64_t rest = row, place = 0, from = 0;
        bool inside = true;
        for (int32_t a = outer; a-- > 0; rest /= s->phases[a] * lengths[a]) {
            const pg_conv_space *p = &image->space[a];
            int64_t phase = rest / lengths[a] % s->phases[a], u = rest % lengths[a];
            int64_t at = phase_start(p, phase, firsts[a]) + u * p->many_move;
            inside &= at >= 0 && at < p->size;
            from += at * p->stride;
            place += (phase * s->length[a] + u) * s->unit[a];
        }
        if (inside) fill_row(s, lhs + from, firsts[outer], lengths[outer], to + place);
    }
    return to;
}
