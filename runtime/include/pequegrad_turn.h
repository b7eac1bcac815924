/* pequegrad_turn.h - transposing small blocks of elements of 4 bytes; for kernels and for generated code. */
#ifndef PEQUEGRAD_TURN_H
#define PEQUEGRAD_TURN_H

#ifndef PG_FREESTANDING
#include <stdint.h>
#include <string.h>
#endif

/* Vectors of 8 pay where the processor has them; elsewhere the compiler's own code is as fast. */
#if defined(__AVX2__) && defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define PG_TURN_VECTORS
#endif
#endif

#ifdef PG_TURN_VECTORS
typedef uint32_t pg_items4 __attribute__((vector_size(16)));
typedef uint32_t pg_items8 __attribute__((vector_size(32)));

/* Four elements of one row, and below them four of the row that lies `gap` elements further. */
static inline pg_items8 pg_turn_load(const uint32_t *from, int64_t gap)
{
    pg_items4 low, high;
    memcpy(&low, from, sizeof low);
    memcpy(&high, from + gap, sizeof high);
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
}

/* 8 rows of 4 elements: two blocks of 4 x 4, one in each half of the vectors. */
static inline void pg_turn_8x4(uint32_t *to, int64_t to_stride, const uint32_t *from,
                               int64_t from_stride)
{
    int64_t gap = 4 * from_stride;
    pg_items8 a = pg_turn_load(from, gap), b = pg_turn_load(from + from_stride, gap);
    pg_items8 c = pg_turn_load(from + 2 * from_stride, gap);
    pg_items8 d = pg_turn_load(from + 3 * from_stride, gap);
    pg_items8 ab = __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13);
    pg_items8 cd = __builtin_shufflevector(c, d, 0, 8, 1, 9, 4, 12, 5, 13);
    pg_items8 column[4];
    column[0] = __builtin_shufflevector(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13);
    column[1] = __builtin_shufflevector(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
    ab = __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
    cd = __builtin_shufflevector(c, d, 2, 10, 3, 11, 6, 14, 7, 15);
    column[2] = __builtin_shufflevector(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13);
    column[3] = __builtin_shufflevector(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
    for (int k = 0; k < 4; k++)
        memcpy(to + k * to_stride, &column[k], sizeof column[k]);
}
#endif

/* to[c * to_stride + r] = from[r * from_stride + c] for all r < rows, c < columns; strides in elements. */
static inline void pg_turn_4(uint32_t *restrict to, int64_t to_stride,
                             const uint32_t *restrict from, int64_t from_stride, int64_t rows,
                             int64_t columns)
{
    int64_t r = 0;
#ifdef PG_TURN_VECTORS
    for (; r + 8 <= rows; r += 8) {
        int64_t c = 0;
        for (; c + 4 <= columns; c += 4)
            pg_turn_8x4(to + c * to_stride + r, to_stride, from + r * from_stride + c, from_stride);
        for (; c < columns; c++)
            for (int64_t k = r; k < r + 8; k++)
                to[c * to_stride + k] = from[k * from_stride + c];
    }
#endif
    for (int64_t c = 0; c < columns; c++)
        for (int64_t k = r; k < rows; k++)
            to[c * to_stride + k] = from[k * from_stride + c];
}

#endif
