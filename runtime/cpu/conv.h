/* conv.h - convolutions as sums over strided axes, as conv.c asks the other conv files for them.
 *
 * Without padding and dilation of the input, a convolution is
 *
 *     out[group, row, column..] = sum over depth.. of lhs[group, column.., depth..] *
 *                                                     rhs[group, row, depth..]
 *
 * where an axis `column` (a place of the window) and an axis `depth` (a place in the window) both move
 * along the same axis of lhs, each by its own stride. */
#ifndef PG_CONV_H
#define PG_CONV_H

#include "axes.h"
#include "conv_phases.h"
#include "cpu.h"

typedef struct pg_conv {
    pg_device *device;
    pg_dtype dtype, out_dtype; /* of lhs and rhs; of out: the same, or float32 for 16-bit floats */
    const char *lhs, *rhs;
    char *out;
    pg_axis group;               /* strides of all axes: array 0: lhs, 1: rhs, 2: out */
    pg_axis row;                 /* output features of a group */
    pg_axis column[PG_MAX_NDIM]; /* batch and places of the window */
    pg_axis depth[PG_MAX_NDIM];  /* input features of a group and places in the window */
    int32_t n_column, n_depth;
} pg_conv;

/* Offsets in array `which` of the `count` indices from `first` on. */
void pg_conv_offsets(const pg_axis *axes, int32_t n, int which, int64_t first, int64_t count,
                     int64_t *offsets);

/* Floats over images, by register tiles if these suit: the whole result, or nothing and *served is false (conv_choice.c). */
pg_status pg_conv_run_tiles(const pg_op *op, const pg_array *lhs, const pg_array *rhs,
                            const pg_array *out, bool *served);
/* Every dtype, any sizes; best where a group has few output features (conv_direct.c). */
pg_status pg_conv_direct(const pg_conv *conv);
/* Floats, as a product of matrices whose columns are collected on the way; no size may be 0
 * (conv_gemm.c). */
pg_status pg_conv_gemm(const pg_conv *conv);

/* ---- inner loops, once per instruction set (conv_loops.c) -------------------------------------- */

enum { PG_CONV_LANES = 128 };

typedef struct pg_conv_loops {
    int64_t size; /* bytes of an accumulator, of the type in which dtype is summed */
    /* sum[l] = sum over d < count of x[l * x_step + x_at[d]] * w[l * w_step + w_at[d]] */
    void (*lanes)(int64_t lanes, const char *x, int64_t x_step, const char *w, int64_t w_step,
                  int64_t count, const int64_t *x_at, const int64_t *w_at, void *sum);
    /* sum[0] = sum over d < count, i < length of x[x_at[d] + i] * w[w_at[d] + i], adjacent elements */
    void (*dot)(int64_t length, const char *x, const char *w, int64_t count, const int64_t *x_at,
                const int64_t *w_at, void *sum);
    /* to[i] += from[i] for n accumulators */
    void (*add)(int64_t n, void *to, const void *from);
    /* to[d * width + j] = x[column[j] + depth[d]] for j < n, and any number for n <= j < width, which is
     * the width of pg_gemm_loops; floats only (else NULL) */
    void (*pack)(void *to, const char *x, const int64_t *column, int64_t n, const int64_t *depth,
                 int64_t count);
} pg_conv_loops;

/* By dtype of lhs and rhs; NULL for bool. */
typedef const pg_conv_loops *const pg_conv_table[PG_DTYPE_COUNT];
extern pg_conv_table pg_conv_loops_base, pg_conv_loops_v3, pg_conv_loops_v4;

/* out[i * step] = sum[i] for n accumulators, rounded to the dtype of out. */
typedef void pg_conv_store(int64_t n, const void *sum, char *out, int64_t step);
typedef pg_conv_store *const pg_conv_store_table[PG_DTYPE_COUNT]; /* by dtype of out */
extern pg_conv_store_table pg_conv_stores_base, pg_conv_stores_v3, pg_conv_stores_v4;

#endif
