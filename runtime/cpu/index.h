/* index.h - dimension numbers of gather and scatter, and the walk over their windows.
 *
 * As in XLA: `indices` holds one index vector per position of its leading axes. A vector, put in
 * place by start_map, is the corner of a window of slice_sizes in the operand. The other array
 * (the output of gather, the updates of scatter; here: the slices) holds all windows: its axes are
 * the positions, with the window axes inserted at offset_dims. Window axes that are collapsed or
 * batching have size 1 and do not appear there; the corner of a batching axis is the position on
 * the axis of `indices` paired with it. */
#ifndef PG_INDEX_H
#define PG_INDEX_H

#include "axes.h"
#include "backend.h"

typedef struct pg_index_list {
    const int64_t *at;
    int64_t n;
} pg_index_list;

typedef struct pg_index_numbers {
    bool clip, zero; /* else windows that do not fit are filled or dropped */
    pg_index_list offset_dims, collapsed_dims, operand_batching, indices_batching, start_map,
        slice_sizes;
} pg_index_numbers;

/* Reads mode and lists from params[first] on. */
pg_status pg_index_read(const pg_op *op, int64_t first, pg_index_numbers *out);
/* Whether the numbers fit the three arrays; afterwards no window can be read or written wrongly. */
pg_status pg_index_check(const pg_index_numbers *numbers, const pg_aval *operand,
                         const pg_aval *indices, const pg_aval *slices);

typedef struct pg_index_walk {
    int64_t positions;          /* number of index vectors */
    pg_axis batch[PG_MAX_NDIM]; /* array 0: indices, 1: slices, 2: operand (batching axes) */
    int32_t n_batch;
    pg_axis window[PG_MAX_NDIM]; /* array 0: operand, 1: slices */
    int32_t n_window;
    int64_t window_count; /* elements per window */
    const char *indices;
    pg_dtype index_dtype;
    int64_t index_stride; /* between the items of an index vector */
    bool clip, zero;
    bool aligned; /* all windows begin at the same place along window[0] of the operand */
    int64_t n_map;
    struct {
        int64_t stride;  /* of the operand axis */
        int64_t highest; /* start at which the window still fits; negative if it never does */
    } map[PG_MAX_NDIM];
    int64_t owner; /* the item of the index vector that pg_index_offsets reports, or -1 */
} pg_index_walk;

void pg_index_walk_begin(pg_index_walk *walk, const pg_index_numbers *numbers,
                         const pg_array *operand, const pg_array *indices, const pg_array *slices);

enum { PG_INDEX_BLOCK = 256 };
#define PG_INDEX_OUTSIDE INT64_MIN

/* For n <= PG_INDEX_BLOCK positions from `begin` on: byte offsets of their windows in the operand
 * (PG_INDEX_OUTSIDE for one that does not fit) and in the slices; starts (may be NULL): the
 * item `owner` of the index vector. */
void pg_index_offsets(const pg_index_walk *walk, int64_t begin, int64_t n, int64_t *operand,
                      int64_t *slices, int64_t *starts);

#endif
