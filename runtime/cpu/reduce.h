/* reduce.h - the inner loops of reductions (reduce_loops.c, once per instruction set) as their
 * planner (reduce.c) sees them.
 *
 * A reduction works on `n` lanes side by side: lane j of an accumulator takes in element j of one
 * row after another. A sum over columns has one lane per column; a sum over a contiguous axis cuts
 * it into short rows, and folds the lanes into one at the end. */
#ifndef PG_REDUCE_H
#define PG_REDUCE_H

#include "pequegrad.h"

enum { PG_SUM, PG_PROD, PG_MAX, PG_MIN, PG_AND, PG_OR, PG_REDUCTION_COUNT };

typedef struct pg_reduce_loops {
    int64_t accumulator_size; /* bytes per lane: float32 for the 16-bit floats, else the dtype's */
    /* acc[j] = the identity */
    void (*fill)(void *acc, int64_t n);
    /* acc[j] = acc[j] op x[r][j] for every row r; strides in bytes */
    void (*accumulate)(void *acc, const char *x, int64_t rows, int64_t row_stride, int64_t n,
                       int64_t stride);
    /* acc[j] = acc[j] op other[j] */
    void (*merge)(void *acc, const void *other, int64_t n);
    /* acc[j] = op over g < groups of acc[g * n + j], as a tree */
    void (*fold)(void *acc, int64_t groups, int64_t n);
    /* out[j] = acc[j] in the dtype of the array; stride in bytes */
    void (*store)(const void *acc, char *out, int64_t stride, int64_t n);
} pg_reduce_loops;

/* By reduction and dtype; NULL where a reduction does not exist for the dtype. */
typedef const pg_reduce_loops *const pg_reduce_table[PG_REDUCTION_COUNT][PG_DTYPE_COUNT];
extern pg_reduce_table pg_reduce_loops_base, pg_reduce_loops_v3, pg_reduce_loops_v4;

#endif
