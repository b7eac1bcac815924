/* conv_direct.c - pg_conv_direct: every output is summed by itself; conv.h says what is computed.
 *
 * Where neighbouring outputs are neighbours in memory, vectors run along them: along a row of places, or
 * along features or groups if these come last. Where an output has long rows to sum over, but few
 * neighbours (the gradient of a depthwise kernel), vectors run along those rows instead. A sum is cut
 * in blocks whose sums are then added, which keeps errors small and depends on shapes only. */
#include "conv.h"

#include <string.h>

enum {
    DEPTH = 512,        /* terms summed one after another */
    LONG_ROW = 16,      /* a row worth summing over with vectors */
    PARALLEL = 1 << 16, /* products worth a thread */
};

typedef struct direct {
    const pg_conv *conv;
    const pg_conv_loops *loops;
    pg_conv_store *store;
    pg_axis outer[PG_MAX_NDIM]; /* all outputs but those along `lane` */
    pg_axis depth[PG_MAX_NDIM]; /* without `row` */
    pg_axis lane, row;
    int32_t n_outer, n_depth;
    int64_t depth_count, chunks; /* of lane */
    bool dots;                   /* vectors along row rather than along lane */
    int64_t *x_at, *w_at;        /* where in lhs and rhs each term lies */
} direct;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* sum = the terms [first, first + count) for `lanes` neighbouring outputs */
static void sum_block(const direct *p, const char *x, const char *w, int64_t lanes, int64_t first,
                      int64_t count, char *sum)
{
    const int64_t *x_at = p->x_at + first, *w_at = p->w_at + first;
    if (!p->dots) {
        p->loops->lanes(lanes, x, p->lane.stride[0], w, p->lane.stride[1], count, x_at, w_at, sum);
        return;
    }
    for (int64_t l = 0; l < lanes; l++)
        p->loops->dot(p->row.size, x + l * p->lane.stride[0], w + l * p->lane.stride[1], count,
                      x_at, w_at, sum + l * p->loops->size);
}

static void run_units(void *context, int64_t begin, int64_t end)
{
    const direct *p = context;
    const pg_conv *c = p->conv;
    _Alignas(64) char sum[PG_CONV_LANES * 8], part[PG_CONV_LANES * 8];
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t outer = unit / p->chunks, first = unit % p->chunks * PG_CONV_LANES;
        int64_t lanes = least(PG_CONV_LANES, p->lane.size - first);
        const char *x = c->lhs + pg_axes_offset(p->outer, p->n_outer, outer, 0);
        const char *w = c->rhs + pg_axes_offset(p->outer, p->n_outer, outer, 1);
        char *out = c->out + pg_axes_offset(p->outer, p->n_outer, outer, 2);
        x += first * p->lane.stride[0];
        w += first * p->lane.stride[1];
        memset(sum, 0, (size_t)(lanes * p->loops->size));
        for (int64_t d = 0; d < p->depth_count; d += DEPTH) {
            sum_block(p, x, w, lanes, d, least(DEPTH, p->depth_count - d), d ? part : sum);
            if (d) p->loops->add(lanes, sum, part);
        }
        p->store(lanes, sum, out + first * p->lane.stride[2], p->lane.stride[2]);
    }
}

/* The axis of the outputs that are nearest to each other becomes the lanes. */
static void choose_lane(direct *p)
{
    const pg_conv *c = p->conv;
    pg_axis axes[PG_MAX_NDIM];
    int32_t n = 0, lane = -1;
    axes[n++] = c->group;
    for (int32_t i = 0; i < c->n_column; i++)
        axes[n++] = c->column[i];
    axes[n++] = c->row;
    for (int32_t i = 0; i < n; i++)
        if (axes[i].size > 1 && (lane < 0 || axes[i].stride[2] <= axes[lane].stride[2])) lane = i;
    p->lane = lane < 0 ? (pg_axis){.size = 1} : axes[lane];
    for (int32_t i = 0; i < n; i++)
        if (i != lane) p->outer[p->n_outer++] = axes[i];
    p->n_outer = pg_axes_merge(p->outer, p->n_outer);
}

static void choose_row(direct *p)
{
    const pg_conv *c = p->conv;
    int64_t item = pg_dtype_size(c->dtype);
    p->n_depth = c->n_depth;
    memcpy(p->depth, c->depth, (size_t)c->n_depth * sizeof *c->depth);
    if (!p->n_depth) return;
    pg_axis last = p->depth[p->n_depth - 1];
    p->dots = last.size >= LONG_ROW && last.stride[0] == item && last.stride[1] == item &&
              (p->lane.size < LONG_ROW || p->lane.stride[2] != pg_dtype_size(c->out_dtype));
    if (p->dots) p->row = p->depth[--p->n_depth];
}

pg_status pg_conv_direct(const pg_conv *conv)
{
    direct p = {.conv = conv,
                .loops = PG_ISA_SELECT(pg_conv_loops)[conv->dtype],
                .store = PG_ISA_SELECT(pg_conv_stores)[conv->out_dtype],
                .row = {.size = 1}};
    choose_lane(&p);
    choose_row(&p);
    p.depth_count = pg_axes_count(p.depth, p.n_depth);
    p.chunks = (p.lane.size + PG_CONV_LANES - 1) / PG_CONV_LANES;
    int64_t bytes = 2 * p.depth_count * (int64_t)sizeof(int64_t);
    void *tables;
    PG_TRY(pg_cpu_alloc(conv->device, bytes, &tables));
    p.x_at = tables;
    p.w_at = p.x_at + p.depth_count;
    pg_conv_offsets(p.depth, p.n_depth, 0, 0, p.depth_count, p.x_at);
    pg_conv_offsets(p.depth, p.n_depth, 1, 0, p.depth_count, p.w_at);
    int64_t terms = least(p.depth_count, PARALLEL) * least(p.row.size, PARALLEL);
    pg_parallel_for(pg_axes_count(p.outer, p.n_outer) * p.chunks,
                    PARALLEL / (least(p.lane.size, PG_CONV_LANES) * terms + 1) + 1, run_units, &p);
    pg_cpu_free(conv->device, tables, bytes);
    return PG_OK;
}
