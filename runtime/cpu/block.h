/* block.h - copies and fills of strided blocks of memory, for the kernels that move data.
 *
 * Axes list: array 0 is the destination, array 1 the source, best after pg_axes_merge. `item` is the
 * size of an element, 1, 2, 4, 8 or 16 bytes. */
#ifndef PG_BLOCK_H
#define PG_BLOCK_H

#include "axes.h"
#include "backend.h"

typedef struct pg_item16 { /* 16 bytes that lie as a complex128 does */
    uint64_t halves[2];
} pg_item16;

/* By the calling thread. */
void pg_block_copy(const pg_axis *axes, int32_t n, int64_t item, char *to, const char *from);
void pg_block_fill(const pg_axis *axes, int32_t n, int64_t item, char *to, const void *value);

/* The same by all threads; merges the axes itself. */
void pg_block_copy_parallel(const pg_axis *axes, int32_t n, int64_t item, char *to,
                            const char *from);
void pg_block_fill_parallel(int64_t count, int64_t item, char *to, const void *value);

/* A dense array with the contents of `array`, which may be overwritten: `array` itself if it is
 * dying, dense and shares no memory with the `n` arrays in `others`, else a copy. */
pg_status pg_block_writable(const pg_op *op, pg_array *array, bool dying, pg_array *const *others,
                            int32_t n, pg_array **out);

#endif
