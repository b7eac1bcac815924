/* windows.h - windows that slide over an array, for the kernels that reduce them. */
#ifndef PG_WINDOWS_H
#define PG_WINDOWS_H

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

/* Checks the parameters of a kernel, for each axis its window, step, low, high, base dilation and window
 * dilation, and the shape of output 0. */
pg_status pg_window_check(const pg_op *op);
/* The axes of x, of which neighbours without windows are merged; their number, at least 1. */
int32_t pg_window_axes(const pg_op *op, const pg_array *x, pg_window_axis *axes);

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

#endif
