/* axes.h - lists of axes walked together over up to three arrays.
 *
 * A kernel first turns shapes and strides into such a list, drops and merges what it can, and then
 * only asks for the byte offsets of the i-th index tuple. */
#ifndef PG_AXES_H
#define PG_AXES_H

#include <stdint.h>

typedef struct pg_axis {
    int64_t size;
    int64_t stride[3]; /* bytes, one per array */
} pg_axis;

static inline int64_t pg_axes_count(const pg_axis *axes, int32_t n)
{
    int64_t count = 1;
    for (int32_t i = 0; i < n; i++)
        count *= axes[i].size;
    return count;
}

/* Offset in array `which` of row-major index `index`. */
static inline int64_t pg_axes_offset(const pg_axis *axes, int32_t n, int64_t index, int which)
{
    int64_t offset = 0;
    for (int32_t i = n; i-- > 0 && index;) {
        offset += index % axes[i].size * axes[i].stride[which];
        index /= axes[i].size;
    }
    return offset;
}

/* Drops axes of size 1 and joins neighbours that one stride serves in all three arrays.
 * Returns the new number of axes. */
static inline int32_t pg_axes_merge(pg_axis *axes, int32_t n)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < n; i++) {
        pg_axis axis = axes[i];
        if (axis.size == 1) continue;
        pg_axis *last = kept ? &axes[kept - 1] : 0;
        if (last && last->stride[0] == axis.size * axis.stride[0] &&
            last->stride[1] == axis.size * axis.stride[1] &&
            last->stride[2] == axis.size * axis.stride[2]) {
            axis.size *= last->size;
            *last = axis;
        } else {
            axes[kept++] = axis;
        }
    }
    return kept;
}

/* Sorts by the stride in array 0, largest first; broadcast axes (stride 0) come first, because
 * repeating a whole walk is cheaper than repeating each of its elements. */
static inline void pg_axes_sort(pg_axis *axes, int32_t n)
{
    for (int32_t i = 1; i < n; i++) {
        pg_axis axis = axes[i];
        uint64_t key = (uint64_t)(axis.stride[0] < 0 ? -axis.stride[0] : axis.stride[0]) - 1;
        int32_t j = i;
        for (; j > 0; j--) {
            int64_t stride = axes[j - 1].stride[0];
            if ((uint64_t)(stride < 0 ? -stride : stride) - 1 >= key) break;
            axes[j] = axes[j - 1];
        }
        axes[j] = axis;
    }
}

#endif
