/* gather.c - gather: windows of the operand at given corners.
 *
 *     out[position.., window..] = operand[corner(indices[position..]) + window..]
 *                                       params: mode, then the dimension numbers (index.h)
 * mode 0 (clip): a corner is moved until its window fits. mode 1 (fill): a window that does not fit
 * wholly is filled with NaN for floats (NaN + 0i for complex numbers), the lowest signed or highest unsigned integer, or true;
 * mode 2 (zero): with 0.
 * Negative indices are outside. Inputs may have any strides; out is dense and new. */
#include "block.h"
#include "cpu.h"
#include "index.h"

enum { PARALLEL = 1 << 15 };

typedef struct gathering {
    pg_index_walk walk;
    pg_axis window[PG_MAX_NDIM]; /* the walk's, as block.h wants them: array 0: out, 1: operand */
    int64_t item;
    char *out;
    const char *operand;
    const void *fill;
} gathering;

static void gather_elements(const gathering *g, int64_t n, const int64_t *from, const int64_t *to)
{
#define GATHER(T)                                              \
    for (int64_t i = 0; i < n; i++)                            \
        *(T *)(g->out + to[i]) =                               \
            *(const T *)(from[i] == PG_INDEX_OUTSIDE ? g->fill \
                                                     : (const void *)(g->operand + from[i]));
    switch (g->item) {
    case 1: GATHER(uint8_t) break;
    case 2: GATHER(uint16_t) break;
    case 4: GATHER(uint32_t) break;
    case 8: GATHER(uint64_t) break;
    default: GATHER(pg_item16)
    }
}

static void gather_positions(void *context, int64_t begin, int64_t end)
{
    const gathering *g = context;
    int64_t from[PG_INDEX_BLOCK], to[PG_INDEX_BLOCK];
    for (int64_t first = begin; first < end; first += PG_INDEX_BLOCK) {
        int64_t n = end - first < PG_INDEX_BLOCK ? end - first : PG_INDEX_BLOCK;
        pg_index_offsets(&g->walk, first, n, from, to, NULL);
        if (g->walk.n_window == 0) {
            gather_elements(g, n, from, to);
            continue;
        }
        for (int64_t i = 0; i < n; i++) {
            if (from[i] == PG_INDEX_OUTSIDE)
                pg_block_fill(g->window, g->walk.n_window, g->item, g->out + to[i], g->fill);
            else
                pg_block_copy(g->window, g->walk.n_window, g->item, g->out + to[i],
                              g->operand + from[i]);
        }
    }
}

/* One window: shared out over the threads by its own elements. */
static void gather_window(const gathering *g)
{
    int64_t from, to;
    pg_index_offsets(&g->walk, 0, 1, &from, &to, NULL);
    if (from == PG_INDEX_OUTSIDE)
        pg_block_fill_parallel(g->walk.window_count, g->item, g->out, g->fill);
    else
        pg_block_copy_parallel(g->window, g->walk.n_window, g->item, g->out, g->operand + from);
}

static const pg_item16 zero_bits = {{0, 0}};

/* The bits of an element outside of the operand; the first `size` bytes of the result count. */
static const void *fill_bits(pg_dtype dtype)
{
    static const uint64_t nan_half = 0x7e00, nan_bfloat = 0x7fc0, nan_float = 0x7fc00000,
                          nan_double = 0x7ff8000000000000, lowest8 = 0x80, lowest16 = 0x8000,
                          lowest32 = 0x80000000, lowest64 = 0x8000000000000000, ones = UINT64_MAX,
                          one = 1;
    static const pg_item16 nan_complex = {{0x7ff8000000000000, 0}};
    switch (dtype) {
    case PG_BOOL: return &one;
    case PG_INT8: return &lowest8;
    case PG_INT16: return &lowest16;
    case PG_INT32: return &lowest32;
    case PG_INT64: return &lowest64;
    case PG_FLOAT16: return &nan_half;
    case PG_BFLOAT16: return &nan_bfloat;
    case PG_FLOAT32: return &nan_float;
    case PG_FLOAT64: return &nan_double;
    case PG_COMPLEX64: return &nan_float;
    case PG_COMPLEX128: return &nan_complex;
    default: return &ones;
    }
}

static pg_status gather_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    pg_index_numbers numbers;
    PG_TRY(pg_index_read(op, 0, &numbers));
    PG_TRY(pg_array_new(op->device, op->out[0].dtype, op->out[0].ndim, op->out[0].shape, out));
    if (op->out[0].count == 0) return PG_OK;

    gathering g = {.item = pg_dtype_size(op->in[0].dtype),
                   .out = out[0]->data,
                   .operand = in[0]->data,
                   .fill = numbers.zero ? &zero_bits : fill_bits(op->in[0].dtype)};
    pg_index_walk_begin(&g.walk, &numbers, in[0], in[1], out[0]);
    for (int32_t i = 0; i < g.walk.n_window; i++) {
        pg_axis axis = g.walk.window[i];
        g.window[i] = (pg_axis){axis.size, {axis.stride[1], axis.stride[0], 0}};
    }
    if (g.walk.positions == 1)
        gather_window(&g);
    else
        pg_parallel_for(g.walk.positions, PARALLEL / g.walk.window_count + 1, gather_positions, &g);
    return PG_OK;
}

static pg_status gather_prepare(pg_op *op)
{
    PG_REQUIRE(op->n_in == 2 && op->n_out == 1,
               "takes operand and indices and gives 1 output, not %d inputs and %d outputs",
               op->n_in, op->n_out);
    pg_index_numbers numbers;
    PG_TRY(pg_index_read(op, 0, &numbers));
    return pg_index_check(&numbers, &op->in[0], &op->in[1], &op->out[0]);
}

const pg_kernel pg_cpu_gather_kernels[] = {
    {"gather", gather_prepare, gather_run},
    {0},
};
