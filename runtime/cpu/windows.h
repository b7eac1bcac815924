/* windows.h - windows that slide over an array, for the kernels that reduce them. */
#ifndef PG_WINDOWS_H
#define PG_WINDOWS_H

#include "axes.h"
#include "backend.h"
#include "cpu.h"

/* Along one axis: output i sees, for k < window, element (i * step + k * dilation - low) / base of x
 * where the division has no rest and there is such an element. */
typedef struct pg_window_axis {
    int64_t size, outs;
    int64_t window, step, low, base, dilation;
    int64_t stride; /* of x, in bytes */
} pg_window_axis;

/* The elements of x that output i sees: first, first + move, ...; they are the window's places tap,
 * tap + tap_move, ... */
typedef struct pg_window_taps {
    int64_t first, count, move;
    int64_t tap, tap_move;
} pg_window_taps;

pg_window_taps pg_window_find(const pg_window_axis *axis, int64_t i);

/* Checks parameters, for each axis of x its window, step, low, high, base dilation and window dilation, and the
 * shape of what has one element per window. */
pg_status pg_window_check(const int64_t *params, int64_t n_params, const pg_aval *x,
                          const pg_aval *out);
/* The axes of x, of which neighbours without windows are merged; their number, at least 1. */
int32_t pg_window_axes(const int64_t *params, const pg_aval *out, const pg_array *x,
                       pg_window_axis *axes);

/* ---- inner loops, once per instruction set (window_loops.c) ------------------------------------ */

enum { PG_WINDOW_LANES = 256, PG_WINDOW_BLOCK = 16 };

/* The best element that each lane has seen, and its place in the window; -1: none yet. */
typedef struct pg_window_best {
    _Alignas(64) char value[PG_WINDOW_LANES * 8];
    _Alignas(64) int32_t tap[PG_WINDOW_LANES];
} pg_window_best;

/* Of `lanes` lanes, a multiple of PG_WINDOW_BLOCK, those in [from, to) see the elements x[lane * stride] at
 * place `tap` of the window. */
typedef void pg_window_see(pg_window_best *best, int64_t lanes, int64_t from, int64_t to,
                           const char *x, int64_t stride, int32_t tap);
typedef pg_window_see *const pg_window_table[2][PG_DTYPE_COUNT]; /* the largest, the smallest */
extern pg_window_table pg_window_loops_base, pg_window_loops_v3, pg_window_loops_v4;

/* acc[i * acc_step] += x[i * step] for i < n, in accumulators of reduce.h; strides in bytes. */
typedef void pg_window_add(int64_t n, char *acc, int64_t acc_step, const char *x, int64_t step);
typedef pg_window_add *const pg_window_add_table[PG_DTYPE_COUNT]; /* by dtype of x */
extern pg_window_add_table pg_window_adds_base, pg_window_adds_v3, pg_window_adds_v4;

/* acc[index[i]] += x[i * step] for i < n with index[i] >= 0, in accumulators of reduce.h. */
typedef void pg_window_put(int64_t n, const int64_t *index, const char *x, int64_t step, void *acc);
typedef pg_window_put *const pg_window_put_table[PG_DTYPE_COUNT]; /* by dtype of x; floats only */
extern pg_window_put_table pg_window_puts_base, pg_window_puts_v3, pg_window_puts_v4;

/* ---- windows of 2 x 2 float32 side by side (window_pairs.c) ------------------------------------- */

/* `rows` rows of `count` windows. Elements 0 and 1 of a window are above 2 and 3; the elements of neighbouring
 * windows are neighbours if `apart`, else element 1 lies between element 0 and that of the next window. Strides in bytes. */
typedef struct pg_window_pairs {
    bool largest, apart;
    int64_t rows, count;
    int64_t x_row, x_right, x_below;    /* in x */
    int64_t to_row, to_right, to_below; /* in what pg_window_pairs_put writes */
    int64_t out_row;                    /* results, or cotangents of them; neighbours in a row */
} pg_window_pairs;

/* The planes of windows that parameters of pg_window_check and the strides of x give; false if they are not such. */
typedef struct pg_window_planes {
    pg_window_pairs pairs;
    pg_axis outer[PG_MAX_NDIM]; /* array 0: x, 1: out; 2: dense memory of the shape of x */
    int32_t n_outer;
    bool covered; /* every element of x is in a window */
} pg_window_planes;
bool pg_window_find_planes(const int64_t *params, const pg_aval *out, const pg_array *x,
                           pg_window_planes *planes);

/* The best element of each window; or ct where it lies and 0 elsewhere in the window. */
typedef void pg_window_pairs_reduce(const pg_window_pairs *pairs, const char *x, char *out);
typedef void pg_window_pairs_put(const pg_window_pairs *pairs, const char *x, const char *ct,
                                 char *to);
extern pg_window_pairs_reduce pg_window_pairs_reduce_base, pg_window_pairs_reduce_v3,
    pg_window_pairs_reduce_v4;
extern pg_window_pairs_put pg_window_pairs_put_base, pg_window_pairs_put_v3, pg_window_pairs_put_v4;

#endif
