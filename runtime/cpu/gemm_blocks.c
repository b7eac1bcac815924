/* gemm_blocks.c - pg_gemm: C = A B by blocks that fit the caches (Goto and van de Geijn, "Anatomy of
 * high-performance matrix multiplication", 2008).
 *
 * Slabs of up to MAX_DEPTH columns of A and rows of B are packed into panels as wide as the register tile, then
 * C is shared out in blocks, each of which adds up its tiles. The order in which an element of C is
 * summed depends on k only, so neither blocks nor threads change the result. */
#include "gemm.h"

enum {
    MAX_DEPTH = 256,     /* a panel of B: 32 KB with AVX-512, in L1 together with one of A */
    BLOCK_PANELS = 6,    /* panels of A in a block of C: 72 KB, in L2 */
    BLOCK_COLUMNS = 512, /* columns of C in a block; a multiple of every tile */
    MAX_ROWS = 7680,     /* of A packed at once; a multiple of every tile */
    MAX_COLUMNS = 4096,  /* of B packed at once */
    PARALLEL_FLOPS = 1 << 21,
    PARALLEL_PACK = 1 << 15,
};

typedef struct slab {
    const pg_product *p;
    const pg_gemm_loops *loops;
    char *packed_a, *packed_b;
    int64_t row, column, d; /* the corner of this slab */
    int64_t m, n, depth;    /* its size */
    int64_t column_blocks;  /* of C */
} slab;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

static void pack_a_panels(void *context, int64_t begin, int64_t end)
{
    const slab *s = context;
    const pg_product *p = s->p;
    int64_t rows = s->loops->rows;
    for (int64_t panel = begin; panel < end; panel++)
        s->loops->pack_a(s->packed_a + panel * rows * s->depth * s->loops->size,
                         p->a + (s->row + panel * rows) * p->a_row + s->d * p->a_column, p->a_row,
                         p->a_column, least(rows, s->m - panel * rows), s->depth);
}

static void pack_b_panels(void *context, int64_t begin, int64_t end)
{
    const slab *s = context;
    const pg_product *p = s->p;
    int64_t columns = s->loops->columns;
    for (int64_t panel = begin; panel < end; panel++)
        s->loops->pack_b(s->packed_b + panel * columns * s->depth * s->loops->size,
                         p->b + s->d * p->b_row + (s->column + panel * columns) * p->b_column,
                         p->b_row, p->b_column, least(columns, s->n - panel * columns), s->depth);
}

static void multiply_blocks(void *context, int64_t begin, int64_t end)
{
    const slab *s = context;
    const pg_gemm_loops *loops = s->loops;
    int64_t block_rows = BLOCK_PANELS * loops->rows;
    for (int64_t block = begin; block < end; block++) {
        int64_t row = block / s->column_blocks * block_rows;
        int64_t column = block % s->column_blocks * BLOCK_COLUMNS;
        int64_t row_end = least(row + block_rows, s->m);
        int64_t column_end = least(column + BLOCK_COLUMNS, s->n);
        for (int64_t j = column; j < column_end; j += loops->columns)
            for (int64_t i = row; i < row_end; i += loops->rows)
                loops->multiply(s->depth, s->packed_a + i * s->depth * loops->size,
                                s->packed_b + j * s->depth * loops->size,
                                s->p->c + (s->row + i) * s->p->c_row +
                                    (s->column + j) * loops->size,
                                s->p->c_row, least(loops->rows, s->m - i),
                                least(loops->columns, s->n - j), s->d > 0);
    }
}

static void multiply_slab(slab *s)
{
    int64_t row_blocks = ceil_divide(s->m, BLOCK_PANELS * s->loops->rows);
    s->column_blocks = ceil_divide(s->n, BLOCK_COLUMNS);
    pg_parallel_for(ceil_divide(s->m, s->loops->rows),
                    PARALLEL_PACK / (s->loops->rows * s->depth) + 1, pack_a_panels, s);
    int64_t flops =
        2 * least(s->m, BLOCK_PANELS * s->loops->rows) * least(s->n, BLOCK_COLUMNS) * s->depth;
    pg_parallel_for(row_blocks * s->column_blocks, PARALLEL_FLOPS / flops + 1, multiply_blocks, s);
}

pg_status pg_gemm(pg_device *device, const pg_product *product)
{
    slab s = {.p = product, .loops = PG_ISA_SELECT(pg_gemm_loops)[product->dtype]};
    int64_t rows = s.loops->rows, columns = s.loops->columns;
    int64_t depth = ceil_divide(product->k, ceil_divide(product->k, MAX_DEPTH));
    int64_t a_rows = ceil_divide(least(product->m, MAX_ROWS), rows) * rows;
    int64_t b_columns = ceil_divide(least(product->n, MAX_COLUMNS), columns) * columns;
    int64_t bytes = (a_rows + b_columns) * depth * s.loops->size;
    void *scratch = NULL;
    PG_TRY(pg_cpu_alloc(device, bytes, &scratch));
    s.packed_b = scratch; /* first, because its panels are read as whole vectors */
    s.packed_a = s.packed_b + b_columns * depth * s.loops->size;

    for (s.column = 0; s.column < product->n; s.column += MAX_COLUMNS) {
        s.n = least(MAX_COLUMNS, product->n - s.column);
        for (s.d = 0; s.d < product->k; s.d += depth) {
            s.depth = least(depth, product->k - s.d);
            pg_parallel_for(ceil_divide(s.n, columns), PARALLEL_PACK / (columns * s.depth) + 1,
                            pack_b_panels, &s);
            for (s.row = 0; s.row < product->m; s.row += MAX_ROWS) {
                s.m = least(MAX_ROWS, product->m - s.row);
                multiply_slab(&s);
            }
        }
    }
    pg_cpu_free(device, scratch, bytes);
    return PG_OK;
}
