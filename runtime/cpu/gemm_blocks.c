/* gemm_blocks.c - pg_gemm: C = A B by blocks that fit the caches (Goto and van de Geijn, "Anatomy of
 * high-performance matrix multiplication", 2008).
 *
 * B is packed first, once, by all threads: panels as wide as the register tile, in blocks of depth. Then
 * the threads share out units, blocks of C. For each block of depth the rows of A that a unit needs are
 * packed, and stay in L2 while the panels of B pass through L1. An operand that would be read too few times to
 * be worth packing is read where it lies.
 *
 * An element of C is summed block of depth by block of depth, and these depend on k alone: neither the
 * units nor what is packed nor the threads change the result. */
#include "gemm.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    MAX_DEPTH = 256,     /* of a block: a panel of B has 32 KB with AVX-512, in L1 with one of A */
    A_PARTS = 8,         /* A of a unit takes at most an eighth of L2 */
    C_PARTS = 2,         /* and C at most a half, if it is read again */
    FINISH_PARTS = 4,    /* C of rows that are to be finished at most a quarter, */
    FINISH_ROWS = 128,   /* unless these are fewer rows than that: they may take C_PARTS */
    UNITS = 4,           /* wanted per thread */
    UNIT_ROWS = 48,      /* of C in a unit, at least */
    UNIT_COLUMNS = 128,  /* of C in a unit, at least */
    SLAB_DEPTH = 4096,   /* of B packed at once, unless rows are to be finished */
    SLAB_COLUMNS = 4096, /* of B packed at once, unless rows are to be finished */
    DIRECT_B_ROWS = 96,  /* of C, up to which B is not worth packing */
    DIRECT_A_PANELS = 7, /* of B in a unit, up to which A is not worth packing, */
    DIRECT_A_PANELS_TRANSPOSED = 2, /* and up to which a transposed A is not */
    ALIASING = 4096, /* rows at a multiple of this distance compete for the same lines of L1 */
    PARALLEL_FLOPS = 1 << 22, /* work worth a thread */
    PARALLEL_PACK = 1 << 15,  /* elements worth a thread */
    PACKED_PANELS = 8,        /* of B, packed side by side */
    PACKED_ROWS = 16,         /* of B (columns of A), packed one after the other */
    LINE = 64,                /* bytes that are fetched at once */
};

typedef struct job {
    pg_device *device;
    const pg_product *p;
    const pg_gemm_loops *loops;
    const pg_gemm_finish *finish; /* or NULL */
    bool add;                     /* to what C holds */
    bool direct_a, direct_b; /* not packed (of B but the last panel, if it is not a whole one) */
    int64_t depth;           /* of a block */
    int64_t panels;          /* of B */
    char *packed_b;          /* [block of depth, panel, depth in block, column in panel] */
    int64_t unit_rows, unit_panels, column_units;
    atomic_int status;
} job;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t round_up(int64_t a, int64_t b) { return ceil_divide(a, b) * b; }

/* ---- packing B --------------------------------------------------------------------------------- */

static bool is_packed(const job *job, int64_t panel)
{
    return !job->direct_b || (panel + 1) * job->loops->columns > job->p->n;
}

static int64_t packed_panels(const job *job)
{
    if (!job->direct_b) return job->panels;
    return is_packed(job, job->panels - 1);
}

static char *packed_panel(const job *job, int64_t d, int64_t depth, int64_t panel)
{
    int64_t all = packed_panels(job), index = all - (job->panels - panel);
    return job->packed_b + (d * all + index * depth) * job->loops->columns * job->loops->size;
}

/* A unit is a few neighbouring panels of one block of depth. Where rows of B are dense, a few rows at a time are
 * spread over the panels: memory is read in order. */
static void pack_panels(void *context, int64_t begin, int64_t end)
{
    const job *job = context;
    const pg_product *p = job->p;
    int64_t columns = job->loops->columns, item = job->loops->size, count = packed_panels(job);
    int64_t groups = ceil_divide(count, PACKED_PANELS);
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t first = job->panels - count + unit % groups * PACKED_PANELS;
        int64_t last = least(first + PACKED_PANELS, job->panels);
        int64_t d = unit / groups * job->depth, depth = least(job->depth, p->k - d);
        int64_t step = p->b_column == pg_dtype_size(p->dtype) ? PACKED_ROWS : depth;
        for (int64_t e = 0; e < depth; e += step)
            for (int64_t panel = first; panel < last; panel++)
                job->loops->pack_b(packed_panel(job, d, depth, panel) + e * columns * item,
                                   p->b + (d + e) * p->b_row + panel * columns * p->b_column,
                                   p->b_row, p->b_column, least(columns, p->n - panel * columns),
                                   least(step, depth - e));
    }
}

/* ---- a unit of rows ---------------------------------------------------------------------------- */

/* The next panel of B comes into L2 while this one is used: a share of it for each tile. */
static void fetch_share(const char *next, int64_t bytes, int64_t tile, int64_t tiles)
{
    for (int64_t i = bytes * tile / tiles; i < bytes * (tile + 1) / tiles; i += LINE)
        __builtin_prefetch(next + i, 0, 2);
}

/* Adds the blocks of depth for `part`: rows of the product, and columns from those of panel `first`. */
static void multiply_unit(const job *job, pg_product part, int64_t first, char *packed_a)
{
    const pg_gemm_loops *loops = job->loops;
    int64_t item = loops->size, rows = loops->rows, columns = loops->columns;
    int64_t tiles = ceil_divide(part.m, rows);
    for (int64_t d = 0; d < part.k; d += job->depth) {
        pg_product tile = part;
        tile.k = least(job->depth, part.k - d);
        if (!job->direct_a) {
            /* a few columns of a transposed A at a time: memory is read in order */
            int64_t step = part.a_row == pg_dtype_size(part.dtype) ? PACKED_ROWS : tile.k;
            for (int64_t e = 0; e < tile.k; e += step)
                for (int64_t i = 0; i < part.m; i += rows)
                    loops->pack_a(packed_a + (i * tile.k + e * rows) * item,
                                  part.a + i * part.a_row + (d + e) * part.a_column, part.a_row,
                                  part.a_column, least(rows, part.m - i), least(step, tile.k - e));
            tile.a_row = item;
            tile.a_column = rows * item;
        }
        unsigned mode = pg_flush_denormals();
        for (int64_t j = 0; j < part.n; j += columns) {
            int64_t panel = first + j / columns;
            bool packed = is_packed(job, panel);
            tile.n = least(columns, part.n - j);
            tile.b = packed ? packed_panel(job, d, tile.k, panel)
                            : part.b + d * part.b_row + j * part.b_column;
            tile.b_row = packed ? columns * item : part.b_row;
            int64_t panel_bytes = tile.k * columns * item;
            for (int64_t i = 0; i < part.m; i += rows) {
                if (packed) fetch_share(tile.b + panel_bytes, panel_bytes, i / rows, tiles);
                tile.m = least(rows, part.m - i);
                tile.a = job->direct_a ? part.a + i * part.a_row + d * part.a_column
                                       : packed_a + i * tile.k * item;
                tile.c = part.c + i * part.c_row + j * item;
                loops->tile(&tile, job->add || d > 0);
            }
        }
        pg_restore_denormals(mode);
    }
}

static void run_units(void *context, int64_t begin, int64_t end)
{
    job *job = context;
    const pg_product *p = job->p;
    const pg_gemm_finish *finish = job->finish;
    int64_t tiles = ceil_divide(least(job->unit_rows, p->m), job->loops->rows);
    int64_t a_bytes = job->direct_a ? 0 : tiles * job->loops->rows * job->depth * job->loops->size;
    int64_t bytes = a_bytes + (finish && !finish->keep ? job->unit_rows * p->c_row : 0);
    void *scratch = NULL;
    if (bytes) {
        pg_status status = pg_cpu_alloc(job->device, bytes, &scratch);
        if (status != PG_OK) {
            atomic_store(&job->status, status);
            return;
        }
    }
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t row = unit / job->column_units * job->unit_rows;
        int64_t panel = unit % job->column_units * job->unit_panels;
        int64_t column = panel * job->loops->columns;
        char *c = finish && !finish->keep ? (char *)scratch + a_bytes - row * p->c_row : p->c;
        pg_product part = *p;
        part.m = least(job->unit_rows, p->m - row);
        part.n = least(job->unit_panels * job->loops->columns, p->n - column);
        part.a += row * p->a_row;
        part.b += column * p->b_column;
        part.c = c + row * p->c_row + column * job->loops->size;
        multiply_unit(job, part, panel, scratch);
        if (finish) finish->run(finish->context, c, row, row + part.m);
    }
    if (bytes) pg_cpu_free(job->device, scratch, bytes);
}

/* ---- cutting ----------------------------------------------------------------------------------- */

/* An operand is read where it lies if it is read seldom; rows of A are not if all begin in the same line
 * of L1. */
static void choose_packing(job *job)
{
    const pg_product *p = job->p;
    int64_t item = job->loops->size;
    bool converted = p->dtype != PG_FLOAT32 && p->dtype != PG_FLOAT64;
    bool dense_rows = p->a_column == item && llabs(p->a_row) % ALIASING != 0;
    bool dense_columns = p->a_row == item || p->m == 1;
    job->direct_b = !converted && p->b_column == item && p->m <= DIRECT_B_ROWS;
    job->direct_a =
        !converted && ((dense_rows && job->unit_panels <= DIRECT_A_PANELS) ||
                       (dense_columns && job->unit_panels <= DIRECT_A_PANELS_TRANSPOSED));
}

static int64_t l2_bytes(void)
{
    static _Atomic int64_t known;
    int64_t bytes = atomic_load_explicit(&known, memory_order_relaxed);
    if (bytes <= 0) {
        bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
        if (bytes <= 0) bytes = 1 << 20;
        atomic_store_explicit(&known, bytes, memory_order_relaxed);
    }
    return bytes;
}

static double flops(int64_t m, int64_t n, int64_t k)
{
    return 2.0 * (double)m * (double)n * (double)k;
}

/* As large as fits L2, then halved along the longer side until there are enough for all threads. */
static void choose_units(job *job)
{
    const pg_product *p = job->p;
    const pg_gemm_finish *finish = job->finish;
    int64_t l2 = l2_bytes(), item = job->loops->size;
    int64_t rows = least(p->m, l2 / A_PARTS / (job->depth * item)), columns = p->n;
    if (finish)
        rows = least(
            rows,
            most(least(FINISH_ROWS, l2 / C_PARTS / p->c_row), l2 / FINISH_PARTS / p->c_row) + 1);
    else if (job->add || p->k > job->depth)
        columns = least(columns, l2 / C_PARTS / (rows * item));

    int64_t wanted = pg_parallel_threads() > 1 ? UNITS * pg_parallel_threads() : 1;
    if (flops(p->m, p->n, p->k) < 2 * PARALLEL_FLOPS) wanted = 1;
    while (ceil_divide(p->m, rows) * ceil_divide(p->n, columns) < wanted) {
        bool by_rows = finish || rows >= columns;
        if ((by_rows ? rows : columns) <= (by_rows ? UNIT_ROWS : UNIT_COLUMNS)) break;
        int64_t *side = by_rows ? &rows : &columns;
        *side = ceil_divide(*side, 2);
    }
    /* equal shares, of whole tiles */
    rows = round_up(ceil_divide(p->m, ceil_divide(p->m, rows)), job->loops->rows);
    columns = round_up(ceil_divide(p->n, ceil_divide(p->n, columns)), job->loops->columns);
    job->unit_rows = finish ? least(round_up(rows, finish->rows), p->m) : rows;
    job->unit_panels = columns / job->loops->columns;
    job->column_units = ceil_divide(p->n, columns);
}

static pg_status multiply_slab(job *job)
{
    const pg_product *p = job->p;
    int64_t columns = job->loops->columns;
    job->panels = ceil_divide(p->n, columns);
    choose_units(job);
    choose_packing(job);

    int64_t count = packed_panels(job), bytes = count * columns * p->k * job->loops->size;
    void *packed = NULL;
    if (bytes) PG_TRY(pg_cpu_alloc(job->device, bytes, &packed));
    job->packed_b = packed;
    if (bytes)
        pg_parallel_for(ceil_divide(p->k, job->depth) * ceil_divide(count, PACKED_PANELS),
                        PARALLEL_PACK / (PACKED_PANELS * columns * job->depth) + 1, pack_panels,
                        job);
    double each = flops(least(job->unit_rows, p->m), least(job->unit_panels * columns, p->n), p->k);
    pg_parallel_for(ceil_divide(p->m, job->unit_rows) * job->column_units,
                    (int64_t)(PARALLEL_FLOPS / each) + 1, run_units, job);
    if (bytes) pg_cpu_free(job->device, packed, bytes);
    return atomic_load(&job->status);
}

pg_status pg_gemm(pg_device *device, const pg_product *product, const pg_gemm_finish *finish)
{
    pg_product slab = *product;
    job job = {.device = device,
               .p = &slab,
               .loops = PG_ISA_SELECT(pg_gemm_loops)[product->dtype],
               .finish = finish,
               .depth = ceil_divide(product->k, ceil_divide(product->k, MAX_DEPTH))};
    if (finish) return multiply_slab(&job);
    int64_t depth = SLAB_DEPTH / job.depth * job.depth;
    for (int64_t column = 0; column < product->n; column += SLAB_COLUMNS)
        for (int64_t d = 0; d < product->k; d += depth) {
            slab = *product;
            slab.n = least(SLAB_COLUMNS, product->n - column);
            slab.k = least(depth, product->k - d);
            slab.a += d * product->a_column;
            slab.b += d * product->b_row + column * product->b_column;
            slab.c += column * job.loops->size;
            job.add = d > 0;
            PG_TRY(multiply_slab(&job));
        }
    return PG_OK;
}
