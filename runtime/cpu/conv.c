/* conv.c - conv: convolutions in any number of spatial dimensions, with XLA's meaning.
 *
 *     out[n, o, y..] = sum over c, k.. of lhs[n, c, (y * stride + k * rhs_dilation - low) / lhs_dilation ..]
 *                                       * rhs[o, c, k..]
 *
 * over the k for which the division has no rest and the place lies in lhs. params: feature groups, batch
 * groups, then the axes of lhs (batch, feature, spatial..), of rhs (output feature, input feature,
 * spatial..) and of out (batch, feature, spatial..), then for each spatial axis its stride, low, high,
 * lhs_dilation and rhs_dilation; low and high may be negative, and high only matters for the size of out.
 * With feature groups, the g-th part of the output features sees the g-th part of the input features;
 * with batch groups, the g-th part of the batch. Not both.
 *
 * Not bool. out has the dtype of the operands, or float32 for 16-bit floats, which are summed as such
 * in any case; integers wrap around. NaN and infinity spread only to outputs whose window covers them
 * (zeros between elements and at the border are never multiplied by anything infinite in rhs: an output
 * may be NaN there). Inputs may have any strides; out is dense and new.
 *
 * Dilation of lhs is resolved first (conv_phases.h). Register tiles serve what they can (conv_choice.c). For the rest, a
 * border, if windows reach over it, becomes part of a copy of lhs. What remains is a sum
 * over strided axes (conv.h). Of complex numbers the real and the imaginary parts are two such sums of real
 * ones, where the parts of lhs are one more axis. */
#include "conv.h"

#include "block.h"
#include "gemm.h"

#include <string.h>

enum { GEMM_ROWS = 6, GEMM_DEPTH = 4, FEW_LANES = 8 };
enum { PARALLEL_BYTES = 1 << 17, SLICE_BYTES = 1 << 20 };

/* ---- parameters -------------------------------------------------------------------------------- */

static pg_status check_permutation(const char *what, const int64_t *axes, int32_t ndim)
{
    uint64_t seen = 0;
    for (int32_t i = 0; i < ndim; i++) {
        PG_REQUIRE(axes[i] >= 0 && axes[i] < ndim && !(seen >> axes[i] & 1),
                   "the axes of %s are not a permutation of its %d axes", what, ndim);
        seen |= UINT64_C(1) << axes[i];
    }
    return PG_OK;
}

/* Sizes near 2**63 must not overflow below. */
static bool reasonable(int64_t x) { return x > -(INT64_C(1) << 40) && x < INT64_C(1) << 40; }

static int64_t dilated(int64_t n, int64_t dilation) { return n ? (n - 1) * dilation + 1 : 0; }

static pg_status check_spatial(const pg_op *op, const pg_conv_numbers *n)
{
    for (int32_t i = 0; i < n->n_spatial; i++) {
        pg_conv_spatial s = pg_conv_read_spatial(n, i);
        int64_t size = op->in[0].shape[n->lhs[2 + i]], window = op->in[1].shape[n->rhs[2 + i]];
        int64_t found = op->out[0].shape[n->out[2 + i]], span, reach;
        PG_REQUIRE(s.stride >= 1 && s.lhs_dilation >= 1 && s.rhs_dilation >= 1,
                   "spatial axis %d: stride and dilations must be at least 1", i);
        PG_REQUIRE(reasonable(s.stride) && reasonable(s.low) && reasonable(s.high) &&
                       reasonable(s.lhs_dilation) && reasonable(s.rhs_dilation) &&
                       !__builtin_mul_overflow(size, s.lhs_dilation, &span) &&
                       !__builtin_mul_overflow(window, s.rhs_dilation, &reach) &&
                       reasonable(span) && reasonable(reach),
                   "spatial axis %d is too large", i);
        int64_t room =
            dilated(size, s.lhs_dilation) + s.low + s.high - dilated(window, s.rhs_dilation);
        int64_t expected = room < 0 ? 0 : room / s.stride + 1;
        PG_REQUIRE(found == expected,
                   "spatial axis %d of out has size %lld, but lhs and rhs give %lld", i,
                   (long long)found, (long long)expected);
    }
    return PG_OK;
}

/* The real dtype that lhs and rhs are read as. */
static pg_dtype summed(pg_dtype dtype)
{
    return dtype == PG_COMPLEX64 ? PG_FLOAT32 : dtype == PG_COMPLEX128 ? PG_FLOAT64 : dtype;
}

static pg_status conv_prepare(pg_op *op)
{
    PG_REQUIRE(op->n_in == 2 && op->n_out == 1, "takes 2 inputs and gives 1 output, not %d and %d",
               op->n_in, op->n_out);
    const pg_aval *lhs = &op->in[0], *rhs = &op->in[1], *out = &op->out[0];
    int32_t ndim = out->ndim;
    PG_REQUIRE(ndim >= 2 && lhs->ndim == ndim && rhs->ndim == ndim,
               "lhs, rhs and out have %d, %d and %d axes; they need the same number, at least 2",
               lhs->ndim, rhs->ndim, ndim);
    PG_REQUIRE(op->n_params == 2 + 3 * (int64_t)ndim + 5 * (int64_t)(ndim - 2),
               "%lld parameters do not fit %d axes", (long long)op->n_params, ndim);
    bool halves = lhs->dtype == PG_FLOAT16 || lhs->dtype == PG_BFLOAT16;
    PG_REQUIRE(lhs->dtype == rhs->dtype &&
                   (out->dtype == lhs->dtype || (halves && out->dtype == PG_FLOAT32)),
               "lhs is %s, rhs %s and out %s", pg_dtype_name(lhs->dtype), pg_dtype_name(rhs->dtype),
               pg_dtype_name(out->dtype));
    if (!PG_ISA_SELECT(pg_conv_loops)[summed(lhs->dtype)])
        return pg_fail(PG_EUNSUPPORTED, "not defined for %s", pg_dtype_name(lhs->dtype));
    pg_conv_numbers n = pg_conv_read_numbers(op);
    PG_TRY(check_permutation("lhs", n.lhs, ndim));
    PG_TRY(check_permutation("rhs", n.rhs, ndim));
    PG_TRY(check_permutation("out", n.out, ndim));
    int64_t f = n.feature_groups, b = n.batch_groups;
    PG_REQUIRE(f >= 1 && b >= 1 && (f == 1 || b == 1), "%lld feature groups and %lld batch groups",
               (long long)f, (long long)b);
    int64_t batch = lhs->shape[n.lhs[0]], channels = lhs->shape[n.lhs[1]];
    int64_t features = rhs->shape[n.rhs[0]], inputs = rhs->shape[n.rhs[1]];
    PG_REQUIRE(
        channels % f == 0 && channels / f == inputs && features % (f * b) == 0 && batch % b == 0,
        "lhs with %lld features and a batch of %lld does not fit rhs with %lld output and %lld "
        "input features",
        (long long)channels, (long long)batch, (long long)features, (long long)inputs);
    PG_REQUIRE(out->shape[n.out[0]] == batch / b && out->shape[n.out[1]] == features,
               "out has a batch of %lld and %lld features", (long long)out->shape[n.out[0]],
               (long long)out->shape[n.out[1]]);
    return check_spatial(op, &n);
}

/* ---- the border -------------------------------------------------------------------------------- */

typedef struct bordering {
    pg_axis outer[PG_MAX_NDIM], inside[PG_MAX_NDIM]; /* array 0: the copy, 1: lhs */
    int32_t n_outer, n_inside;
    int64_t item, bytes; /* of one part of the copy: what `outer` does not run over */
    char *to;
    int64_t shift; /* of the inside in a part */
    const char *from;
} bordering;

static void border_parts(void *context, int64_t begin, int64_t end)
{
    const bordering *b = context;
    for (int64_t i = begin; i < end; i++) {
        char *to = b->to + pg_axes_offset(b->outer, b->n_outer, i, 0);
        memset(to, 0, (size_t)b->bytes);
        pg_block_copy(b->inside, b->n_inside, b->item, to + b->shift,
                      b->from + pg_axes_offset(b->outer, b->n_outer, i, 1));
    }
}

/* A copy of lhs with zeros around it: low[a] before and high[a] after its elements along axis a. */
static pg_status add_border(const pg_op *op, const pg_array *lhs, const int64_t *low,
                            const int64_t *high, pg_array **out)
{
    int64_t shape[PG_MAX_NDIM], count = 1;
    for (int32_t a = 0; a < lhs->ndim; a++)
        shape[a] = low[a] + lhs->shape[a] + high[a];
    PG_TRY(pg_array_new(op->device, lhs->dtype, lhs->ndim, shape, out));
    bordering b = {.item = pg_dtype_size(lhs->dtype), .to = out[0]->data, .from = lhs->data};
    b.bytes = b.item;
    bool leading = true;
    for (int32_t a = 0; a < lhs->ndim; a++) {
        pg_axis axis = {lhs->shape[a], {out[0]->strides[a], lhs->strides[a], 0}};
        leading &= !low[a] && !high[a];
        if (leading) {
            b.outer[b.n_outer++] = axis;
            count *= axis.size;
        } else {
            b.inside[b.n_inside++] = axis;
            b.bytes *= shape[a];
            b.shift += low[a] * out[0]->strides[a];
        }
    }
    bool empty = pg_axes_count(b.inside, b.n_inside) == 0;
    b.n_inside = empty ? b.n_inside : pg_axes_merge(b.inside, b.n_inside);
    pg_parallel_for(count, PARALLEL_BYTES / (b.bytes + 1) + 1, border_parts, &b);
    return PG_OK;
}

/* How far windows reach over the ends of each axis of lhs. */
static bool find_border(const pg_op *op, const pg_conv_numbers *n, int64_t *low, int64_t *high)
{
    bool any = false;
    memset(low, 0, PG_MAX_NDIM * sizeof *low);
    memset(high, 0, PG_MAX_NDIM * sizeof *high);
    for (int32_t i = 0; i < n->n_spatial; i++) {
        pg_conv_spatial s = pg_conv_read_spatial(n, i);
        int64_t size = op->in[0].shape[n->lhs[2 + i]], *l = &low[n->lhs[2 + i]],
                *h = &high[n->lhs[2 + i]];
        int64_t outs = op->out[0].shape[n->out[2 + i]];
        for (int64_t index = 0; index < pg_conv_n_phases(&s, outs); index++) {
            pg_conv_phase p = pg_conv_find_phase(&s, index, outs, op->in[1].shape[n->rhs[2 + i]]);
            if (!p.outs || !p.taps) continue;
            int64_t last = p.start + (p.outs - 1) * p.out_move + (p.taps - 1) * p.tap_move;
            if (-p.start > *l) *l = -p.start;
            if (last - (size - 1) > *h) *h = last - (size - 1);
        }
        any |= *l || *h;
    }
    return any;
}

/* ---- the sums ---------------------------------------------------------------------------------- */

void pg_conv_offsets(const pg_axis *axes, int32_t n, int which, int64_t first, int64_t count,
                     int64_t *offsets)
{
    pg_axis inner = n ? axes[n - 1] : (pg_axis){.size = 1};
    for (int64_t i = 0; i < count;) {
        int64_t begin = (first + i) % inner.size;
        int64_t run = inner.size - begin < count - i ? inner.size - begin : count - i;
        int64_t offset = pg_axes_offset(axes, n ? n - 1 : 0, (first + i) / inner.size, which) +
                         begin * inner.stride[which];
        for (int64_t j = 0; j < run; j++)
            offsets[i + j] = offset + j * inner.stride[which];
        i += run;
    }
}

static void sort_axes(pg_axis *axes, int32_t n, int which)
{
    for (int32_t i = 1; i < n; i++) {
        pg_axis axis = axes[i];
        int32_t j = i;
        for (; j > 0 && axes[j - 1].stride[which] < axis.stride[which]; j--)
            axes[j] = axes[j - 1];
        axes[j] = axis;
    }
}

/* Packing pays for several output features, even for two if direct sums would find few neighbours. */
static bool worth_packing(const pg_conv *c)
{
    if (!PG_ISA_SELECT(pg_gemm_loops)[c->dtype]) return false;
    pg_axis nearest = c->row;
    if (c->group.size > 1 && (nearest.size == 1 || c->group.stride[2] < nearest.stride[2]))
        nearest = c->group;
    pg_axis last = c->n_column ? c->column[c->n_column - 1] : (pg_axis){.size = 1};
    if (last.size > 1 && (nearest.size == 1 || last.stride[2] < nearest.stride[2])) nearest = last;
    return c->row.size >= (nearest.size < FEW_LANES ? 2 : GEMM_ROWS) &&
           pg_axes_count(c->depth, c->n_depth) >= GEMM_DEPTH;
}

static pg_status sum_up(const pg_conv *c)
{
    return worth_packing(c) ? pg_conv_gemm(c) : pg_conv_direct(c);
}

/* The convolution of one phase along each spatial axis; lhs has `low` more elements before each axis than
 * the phases count from. Complex: rhs is as expand_complex() makes it. */
static pg_status run_phase(const pg_op *op, const pg_conv_numbers *n, const pg_array *lhs,
                           const pg_array *rhs, const pg_array *out, const pg_conv_phase *phases,
                           const int64_t *low)
{
    pg_conv c = {.device = op->device,
                 .dtype = summed(lhs->dtype),
                 .out_dtype = summed(out->dtype),
                 .lhs = lhs->data,
                 .rhs = rhs->data,
                 .out = out->data};
    int64_t part = c.dtype != lhs->dtype ? pg_dtype_size(c.dtype) : 0;
    if (part) c.depth[c.n_depth++] = (pg_axis){2, {part, part, 0}};
    int64_t groups = n->feature_groups * n->batch_groups;
    int64_t rows = rhs->shape[n->rhs[0]] / groups, channels = rhs->shape[n->rhs[1]];
    int64_t batch = out->shape[n->out[0]];
    int64_t ls = lhs->strides[n->lhs[1]], rs = rhs->strides[n->rhs[0]],
            os = out->strides[n->out[1]];
    int64_t group_move = n->batch_groups > 1 ? batch * lhs->strides[n->lhs[0]] : channels * ls;
    c.group = (pg_axis){groups, {group_move, rows * rs, rows * os}};
    c.row = (pg_axis){rows, {0, rs, os}};
    c.column[c.n_column++] =
        (pg_axis){batch, {lhs->strides[n->lhs[0]], 0, out->strides[n->out[0]]}};
    c.depth[c.n_depth++] = (pg_axis){channels, {ls, rhs->strides[n->rhs[1]], 0}};
    for (int32_t i = 0; i < n->n_spatial; i++) {
        const pg_conv_phase *p = &phases[i];
        int64_t l = lhs->strides[n->lhs[2 + i]], r = rhs->strides[n->rhs[2 + i]];
        int64_t o = out->strides[n->out[2 + i]];
        if (p->taps) c.lhs += (p->start + low[n->lhs[2 + i]]) * l;
        c.rhs += p->first_tap * r;
        c.out += p->first_out * o;
        c.column[c.n_column++] = (pg_axis){p->outs, {p->out_move * l, 0, p->out_step * o}};
        c.depth[c.n_depth++] = (pg_axis){p->taps, {p->tap_move * l, p->tap_step * r, 0}};
    }
    if (pg_axes_count(c.column, c.n_column) == 0) return PG_OK;
    sort_axes(c.column, c.n_column, 2);
    sort_axes(c.depth, c.n_depth, 0);
    c.n_column = pg_axes_merge(c.column, c.n_column);
    bool empty = pg_axes_count(c.depth, c.n_depth) == 0;
    if (!empty) c.n_depth = pg_axes_merge(c.depth, c.n_depth);
    if (!part) return sum_up(&c);
    PG_TRY(sum_up(&c));
    c.rhs += pg_array_count(rhs) * pg_dtype_size(rhs->dtype);
    c.out += part;
    return sum_up(&c);
}

static pg_status run_phases(const pg_op *op, const pg_conv_numbers *n, const pg_array *lhs,
                            const pg_array *rhs, const pg_array *out, const int64_t *low)
{
    pg_conv_phase phases[PG_MAX_NDIM];
    int64_t count = pg_conv_count_phases(n, out), outs, taps;
    for (int64_t index = 0; index < count; index++) {
        pg_conv_find_phases(n, rhs, out, index, phases, &outs, &taps);
        PG_TRY(run_phase(op, n, lhs, rhs, out, phases, low));
    }
    return PG_OK;
}

/* ---- complex numbers -------------------------------------------------------------------------- */

/* A dense copy of rhs with (re, -im) for each element, which times (re, im) of lhs gives the real part, and
 * behind it another one with (im, re). The array tells of the first only. */
static pg_status expand_complex(const pg_array *rhs, pg_array **out)
{
    int64_t count = pg_array_count(rhs), shape[] = {2, count};
    pg_array *memory;
    PG_TRY(pg_array_new(rhs->buffer->device, rhs->dtype, 2, shape, &memory));
    pg_axis axes[PG_MAX_NDIM];
    int64_t strides[PG_MAX_NDIM], item = pg_dtype_size(rhs->dtype), bytes = item;
    for (int32_t a = rhs->ndim; a-- > 0; bytes *= rhs->shape[a]) {
        strides[a] = bytes;
        axes[a] = (pg_axis){rhs->shape[a], {bytes, rhs->strides[a], 0}};
    }
    if (count) pg_block_copy(axes, pg_axes_merge(axes, rhs->ndim), item, memory->data, rhs->data);
#define EXPAND(T)                                                          \
    for (T *first = (T *)memory->data, *second = first + 2 * count;        \
         first < (T *)memory->data + 2 * count; first += 2, second += 2) { \
        second[0] = first[1];                                              \
        second[1] = first[0];                                              \
        first[1] = -first[1];                                              \
    }
    if (rhs->dtype == PG_COMPLEX64) {
        EXPAND(float)
    } else {
        EXPAND(double)
    }
    pg_status status = pg_array_view(memory, memory->data, rhs->ndim, rhs->shape, strides, out);
    pg_array_release(memory);
    return status;
}

/* ---- slices of the batch ----------------------------------------------------------------------- */

static pg_status slice_axis(const pg_array *x, int64_t axis, int64_t first, int64_t count,
                            pg_array **out)
{
    int64_t shape[PG_MAX_NDIM];
    memcpy(shape, x->shape, (size_t)x->ndim * sizeof *shape);
    shape[axis] = count;
    return pg_array_view(x, x->data + first * x->strides[axis], x->ndim, shape, x->strides, out);
}

/* How much of the batch gets its border at once: what fits a cache, unless rhs would be packed too often. */
static int64_t slice_size(const pg_op *op, const pg_conv_numbers *n, const int64_t *low,
                          const int64_t *high)
{
    int64_t batch = op->in[0].shape[n->lhs[0]], item = pg_dtype_size(op->in[0].dtype), bytes = item;
    for (int32_t a = 0; a < op->in[0].ndim; a++)
        bytes *= a == n->lhs[0] ? 1 : low[a] + op->in[0].shape[a] + high[a];
    int64_t size = SLICE_BYTES / (bytes + 1) + 1;
    bool small_rhs = op->in[1].count * item <= size * bytes / 4;
    return n->batch_groups == 1 && small_rhs && size < batch ? size : batch;
}

static pg_status run_slice(const pg_op *op, const pg_conv_numbers *n, const pg_array *lhs,
                           const pg_array *rhs, const pg_array *out, const int64_t *low,
                           const int64_t *high)
{
    pg_array *bordered;
    PG_TRY(add_border(op, lhs, low, high, &bordered));
    pg_status status = run_phases(op, n, bordered, rhs, out, low);
    pg_array_release(bordered);
    return status;
}

static pg_status run_slices(const pg_op *op, const pg_conv_numbers *n, const pg_array *lhs,
                            const pg_array *rhs, const pg_array *out, const int64_t *low,
                            const int64_t *high)
{
    int64_t batch = lhs->shape[n->lhs[0]], size = slice_size(op, n, low, high);
    if (size >= batch) return run_slice(op, n, lhs, rhs, out, low, high);
    for (int64_t first = 0; first < batch; first += size) {
        int64_t count = batch - first < size ? batch - first : size;
        pg_array *from = NULL, *to = NULL;
        pg_status status = slice_axis(lhs, n->lhs[0], first, count, &from);
        if (status == PG_OK) status = slice_axis(out, n->out[0], first, count, &to);
        if (status == PG_OK) status = run_slice(op, n, from, rhs, to, low, high);
        pg_array_release(from);
        pg_array_release(to);
        PG_TRY(status);
    }
    return PG_OK;
}

static pg_status conv_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    const pg_aval *aval = &op->out[0];
    PG_TRY(pg_array_new(op->device, aval->dtype, aval->ndim, aval->shape, out));
    if (aval->count == 0) return PG_OK;
    pg_conv_numbers n = pg_conv_read_numbers(op);
    int64_t low[PG_MAX_NDIM], high[PG_MAX_NDIM];
    bool border = find_border(op, &n, low, high), is_complex = pg_dtype_is_complex(aval->dtype);
    pg_array *rhs = in[1];
    pg_status status = is_complex ? expand_complex(in[1], &rhs) : PG_OK;
    bool tiled = false;
    if (status == PG_OK && !is_complex)
        status = pg_conv_run_tiles(op, in[0], in[1], out[0], &tiled);
    if (status == PG_OK && !tiled)
        status = border ? run_slices(op, &n, in[0], rhs, out[0], low, high)
                        : run_phases(op, &n, in[0], rhs, out[0], low);
    if (is_complex && rhs != in[1]) pg_array_release(rhs);
    if (status != PG_OK) pg_array_release(out[0]);
    return status;
}

const pg_kernel pg_cpu_conv_kernels[] = {
    {"conv", conv_prepare, conv_run},
    {0},
};
