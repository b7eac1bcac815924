/* order.h - the order of sort, top_k and searchsorted, and stable radix sorts in it.
 *
 * Elements are compared as keys: unsigned integers with the order of the elements. NaN is above all
 * numbers and equal to itself, -0.0 equals 0.0. Elements of up to 4 bytes have narrow keys. */
#ifndef PG_ORDER_H
#define PG_ORDER_H

#include "backend.h"

/* A key and where its element was. Narrow: the key above a position below 2**32. */
typedef uint64_t pg_narrow;
typedef struct pg_wide {
    uint64_t key;
    int64_t position;
} pg_wide;

static inline pg_narrow pg_narrow_of(uint32_t key, int64_t position)
{
    return (uint64_t)key << 32 | (uint64_t)position;
}

typedef struct pg_order {
    /* keys[i] of x[i], `stride` bytes apart: uint32_t or uint64_t. True if some keys do not tell the
     * bits of their elements: of NaN and -0.0. */
    bool (*keys)(const char *x, int64_t stride, int64_t n, void *keys);
    /* out[i] = the element with key keys[i] */
    void (*elements)(const void *keys, int64_t n, char *out, int64_t stride);
    /* out[j] = how many of x[0..n), which ascends, are below v[j] (right: not above it) */
    void (*search)(const char *x, int64_t stride, int64_t n, const char *v, int64_t v_stride,
                   int64_t m, bool right, int32_t *out);
    bool narrow;
} pg_order;

/* By dtype; NULL for dtypes without an order. */
extern const pg_order *const pg_orders[PG_DTYPE_COUNT];

/* Sort ascending and stably by key. `spare` has room for n; gives whichever of the two holds the
 * result. */
uint32_t *pg_sort_keys32(uint32_t *keys, uint32_t *spare, int64_t n);
uint64_t *pg_sort_keys64(uint64_t *keys, uint64_t *spare, int64_t n);
pg_narrow *pg_sort_narrow(pg_narrow *pairs, pg_narrow *spare, int64_t n);
pg_wide *pg_sort_wide(pg_wide *pairs, pg_wide *spare, int64_t n);

#endif
