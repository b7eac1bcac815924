/* conv_choice.c - pg_conv_run_tiles: which of the kernels of conv_tiles.h serves a convolution, and what it is told. */
#include "conv.h"

#include "block.h"
#include "conv_tiles.h"

enum { TILE_ROWS = 8, TILE_PLACES = 4, TILE_DEPTH = 4, TILE_SPREAD = 4 };

/* Joins neighbouring axes along which lhs is read once, from end to end, and drops those of one place. */
static int32_t merge_space(pg_conv_space *space, int32_t n, const char **lhs)
{
    int32_t kept = 0;
    for (int32_t a = 0; a < n; a++) {
        pg_conv_space s = space[a], *last = kept ? &space[kept - 1] : NULL;
        bool inside = s.start >= 0 && s.start < s.size;
        if (s.many == 1 && s.few == 1 && inside && (kept || a + 1 < n)) {
            *lhs += s.start * s.stride;
        } else if (last && last->few == 1 && s.few == 1 && last->many_move == 1 &&
                   s.many_move == 1 && !last->start && !s.start && s.size == s.many &&
                   last->stride == s.size * s.stride &&
                   last->many_stride == s.many * s.many_stride) {
            s.size *= last->size;
            s.many *= last->many;
            *last = s;
        } else {
            space[kept++] = s;
        }
    }
    return kept;
}

/* The convolution of one phase along each axis as conv_tiles.h has it; true if it is one of weights. */
static bool find_image(const pg_op *op, const pg_conv_numbers *n, const pg_array *lhs,
                       const pg_array *rhs, const pg_array *out, const pg_conv_phase *phases,
                       pg_conv_image *image)
{
    int64_t groups = n->feature_groups * n->batch_groups;
    int64_t rows = rhs->shape[n->rhs[0]] / groups, channels = rhs->shape[n->rhs[1]],
            batch = out->shape[n->out[0]];
    int64_t ls = lhs->strides[n->lhs[1]], rs = rhs->strides[n->rhs[0]],
            os = out->strides[n->out[1]];
    int64_t group_move = n->batch_groups > 1 ? batch * lhs->strides[n->lhs[0]] : channels * ls;
    *image =
        (pg_conv_image){.device = op->device,
                        .dtype = lhs->dtype,
                        .out_dtype = out->dtype,
                        .lhs = lhs->data,
                        .rhs = rhs->data,
                        .weights = rhs->buffer,
                        .out = out->data,
                        .group = {groups, {group_move, rows * rs, rows * os}},
                        .row = {rows, {0, rs, os}},
                        .batch = {batch, {lhs->strides[n->lhs[0]], 0, out->strides[n->out[0]]}},
                        .channel = {channels, {ls, rhs->strides[n->rhs[1]], 0}}};
    int64_t outs = 1, taps = 1;
    for (int32_t i = 0; i < n->n_spatial; i++) {
        outs *= phases[i].outs;
        taps *= phases[i].taps;
    }
    bool weights = taps > outs;
    for (int32_t i = 0; i < n->n_spatial; i++) {
        const pg_conv_phase *p = &phases[i];
        int64_t r = rhs->strides[n->rhs[2 + i]], o = out->strides[n->out[2 + i]];
        int64_t size = lhs->shape[n->lhs[2 + i]], stride = lhs->strides[n->lhs[2 + i]];
        pg_conv_space over_outs = {size,    stride,      p->start,
                                   p->outs, p->out_move, p->out_step * o,
                                   p->taps, p->tap_move, p->tap_step * r};
        pg_conv_space over_taps = {size,    stride,      p->start,
                                   p->taps, p->tap_move, p->tap_step * r,
                                   p->outs, p->out_move, p->out_step * o};
        image->rhs += p->first_tap * r;
        image->out += p->first_out * o;
        image->space[image->n_space++] = weights ? over_taps : over_outs;
    }
    image->n_space = merge_space(image->space, image->n_space, &image->lhs);
    return weights;
}

static pg_status no_tiles(const pg_conv_image *image)
{
    (void)image;
    return pg_fail(PG_EUNSUPPORTED, "tiles do not serve this convolution");
}

/* Which kernel serves an image: tiles want rows for a vector, some places side by side, and slabs that are
 * not mostly gaps. */
static pg_status (*choose_tiles(const pg_conv_image *image, bool weights))(const pg_conv_image *)
{
    const pg_conv_tile_loops *loops = PG_ISA_SELECT(pg_conv_tile_loops)[image->dtype];
    if (!loops || !image->n_space) return no_tiles;
    int64_t few = 1, many = 1, spread = 1;
    for (int32_t a = 0; a < image->n_space; a++) {
        const pg_conv_space *s = &image->space[a];
        few *= s->few;
        many *= s->many;
        spread *= (s->many + (s->few - 1) * s->few_move / s->many_move) / s->many;
    }
    int64_t rows = image->row.size, line = image->space[image->n_space - 1].many;
    if (spread > TILE_SPREAD * few) return no_tiles;
    if (weights)
        return rows >= TILE_ROWS && image->batch.size * few >= TILE_PLACES &&
                       image->channel.size * many >= TILE_DEPTH
                   ? pg_conv_weights
                   : no_tiles;
    if (line < TILE_PLACES || image->channel.size * few < TILE_DEPTH) return no_tiles;
    if (pg_conv_winograd_suits(image)) return pg_conv_winograd;
    return rows > loops->lanes * 3 / 4 ? pg_conv_pixels : pg_conv_planes;
}

/* True if tiles serve all phases. */
static bool all_tiled(const pg_op *op, const pg_conv_numbers *n, const pg_array *lhs,
                      const pg_array *rhs, const pg_array *out)
{
    pg_conv_phase phases[PG_MAX_NDIM];
    pg_conv_image image;
    int64_t count = pg_conv_count_phases(n, out), outs, taps;
    for (int64_t index = 0; index < count; index++) {
        pg_conv_find_phases(n, rhs, out, index, phases, &outs, &taps);
        if (!outs || !taps) continue;
        bool weights = find_image(op, n, lhs, rhs, out, phases, &image);
        if (choose_tiles(&image, weights) == no_tiles) return false;
    }
    return true;
}

/* Outputs whose windows meet nothing. */
static void fill_zeros(const pg_conv_numbers *n, const pg_array *out, const pg_conv_phase *phases)
{
    pg_axis axes[PG_MAX_NDIM];
    char *to = out->data;
    for (int32_t i = 0; i < out->ndim; i++) {
        int64_t axis = n->out[i], stride = out->strides[axis];
        axes[i] = (pg_axis){out->shape[axis], {stride, 0, 0}};
        if (i < 2) continue;
        axes[i] = (pg_axis){phases[i - 2].outs, {phases[i - 2].out_step * stride, 0, 0}};
        to += phases[i - 2].first_out * stride;
    }
    static const char zero[8];
    if (pg_axes_count(axes, out->ndim))
        pg_block_fill(axes, pg_axes_merge(axes, out->ndim), pg_dtype_size(out->dtype), to, zero);
}

pg_status pg_conv_run_tiles(const pg_op *op, const pg_array *lhs, const pg_array *rhs,
                            const pg_array *out, bool *served)
{
    pg_conv_numbers n = pg_conv_read_numbers(op);
    pg_conv_phase phases[PG_MAX_NDIM];
    pg_conv_image image;
    *served = n.n_spatial && lhs->shape[n.lhs[0]] && rhs->shape[n.rhs[1]] &&
              all_tiled(op, &n, lhs, rhs, out);
    int64_t count = *served ? pg_conv_count_phases(&n, out) : 0, outs, taps;
    for (int64_t index = 0; index < count; index++) {
        pg_conv_find_phases(&n, rhs, out, index, phases, &outs, &taps);
        if (!outs) continue;
        if (!taps) {
            fill_zeros(&n, out, phases);
            continue;
        }
        bool weights = find_image(op, &n, lhs, rhs, out, phases, &image);
        PG_TRY(choose_tiles(&image, weights)(&image));
    }
    return PG_OK;
}
