/* scan.h - what scan.c (cumulative reductions) asks of its loops in scan_loops.c. */
#ifndef PG_SCAN_H
#define PG_SCAN_H

#include "backend.h"

enum { PG_SCAN_LANES = 256, PG_SCAN_CHAINS = 8 };

/* `rows` consecutive steps of `lanes` independent scans. Strides in bytes, of any sign. */
typedef struct pg_scan_part {
    const char *x, *b; /* b: the second operand of linear_recurrence */
    char *out;         /* NULL: only the states are wanted */
    int64_t rows, lanes;
    int64_t x_row, x_lane, b_row, b_lane, out_row, out_lane;
} pg_scan_part;

/* A state is what a scan knows about all elements behind it. */
typedef struct pg_scan_loops {
    int64_t state_size;
    bool divisible; /* parts may be scanned on their own and joined: join(a, b) = a then b */
    void (*start)(void *states, int64_t lanes);
    void (*run)(const pg_scan_part *part, void *states); /* lanes <= PG_SCAN_LANES */
    void (*join)(void *state, const void *next);
} pg_scan_loops;

typedef enum pg_scan {
    PG_CUMSUM,
    PG_CUMPROD,
    PG_CUMMAX,
    PG_CUMMIN,
    PG_CUMLOGSUMEXP,
    PG_LINEAR_RECURRENCE,
    PG_SCAN_COUNT
} pg_scan;

/* Indexed by scan and dtype; NULL where not offered. */
typedef const pg_scan_loops *const pg_scan_table[PG_SCAN_COUNT][PG_DTYPE_COUNT];
extern pg_scan_table pg_scan_loops_base, pg_scan_loops_v3, pg_scan_loops_v4;

#endif
