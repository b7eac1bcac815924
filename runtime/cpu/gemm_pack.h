/* gemm_pack.h - how gemm.c packs the operands of a matrix product into panels.
 *
 *     to[d * W + i] = from[i * across + d * along]        for i < width, d < depth; strides in bytes
 *
 * so that the W elements which a step of the sum needs lie side by side. Elements i >= width are of no
 * account, but are numbers from the matrix or 0: what is computed from them is thrown away, and must not be slow.
 *
 * T: element in memory, A: packed element (float16 and bfloat16 become float32), W: width of a panel.
 * Two layouts matter for speed: neighbours across the panel are copied as they are; neighbours along
 * the depth are transposed in registers, a square at a time. */
#ifndef PG_GEMM_PACK_H
#define PG_GEMM_PACK_H

#include "vectors.h"

#include <stdint.h>
#include <string.h>

#if PG_HAS_SHUFFLE
/* Squares of N x N. A panel narrower than a square (W < N) has the excess of each row overwritten by
 * the next one. */
#define PG_PACK_SQUARE(name, W, T, A, LOAD)                                                      \
    enum { name##_n = sizeof(pg_square_##A##_row) / sizeof(A) };                                 \
    static inline void name##_square(A *to, const char *const *from, int64_t d)                  \
    {                                                                                            \
        pg_square_##A##_row rows[name##_n];                                                      \
        PG_UNROLL for (int i = 0; i < name##_n; i++)                                             \
        {                                                                                        \
            const T *row = (const T *)from[i] + d;                                               \
            A part[name##_n];                                                                    \
            PG_UNROLL for (int j = 0; j < name##_n; j++) part[j] = LOAD(row[j]);                 \
            memcpy(&rows[i], part, sizeof part);                                                 \
        }                                                                                        \
        pg_square_##A(rows);                                                                     \
        A *last = to + (d + name##_n - 1) * W;                                                   \
        PG_UNROLL for (int i = 0; i < name##_n - 1; i++) *                                       \
            (pg_square_##A##_row *)(to + (d + i) * W) = rows[i];                                 \
        PG_UNROLL for (int j = 0; j < name##_n; j++) if (j < W) last[j] = rows[name##_n - 1][j]; \
    }                                                                                            \
    static void name##_transposed(A *to, const char *from, int64_t across, int64_t width,        \
                                  int64_t depth)                                                 \
    {                                                                                            \
        const int64_t n = name##_n, last = W < n ? 0 : W - n;                                    \
        for (int64_t i = 0; i < width; i += n) {                                                 \
            if (i > last) i = last;                                                              \
            const char *rows[name##_n]; /* the last one again where there are no more */         \
            for (int64_t r = 0; r < n; r++)                                                      \
                rows[r] = from + (i + r < width ? i + r : width - 1) * across;                   \
            for (int64_t d = 0; d < depth; d += n)                                               \
                name##_square(to + i, rows, d + n > depth ? depth - n : d);                      \
        }                                                                                        \
    }
#else
#define PG_PACK_SQUARE(name, W, T, A, LOAD)                                               \
    enum { name##_n = 1 };                                                                \
    static void name##_transposed(A *to, const char *from, int64_t across, int64_t width, \
                                  int64_t depth)                                          \
    {                                                                                     \
        for (int64_t i = 0; i < W; i++)                                                   \
            for (int64_t d = 0; d < depth; d++)                                           \
                to[d * W + i] =                                                           \
                    LOAD(((const T *)(from + (i < width ? i : width - 1) * across))[d]);  \
    }
#endif

#define PG_PACK(name, W, T, A, LOAD)                                                        \
    PG_PACK_SQUARE(name, W, T, A, LOAD)                                                     \
    static void name(A *to, const char *from, int64_t across, int64_t along, int64_t width, \
                     int64_t depth)                                                         \
    {                                                                                       \
        if (across == (int64_t)sizeof(T) && width == W && sizeof(T) == sizeof(A)) {         \
            for (int64_t d = 0; d < depth; d++)                                             \
                memcpy(to + d * W, from + d * along, W * sizeof(A));                        \
        } else if (across == (int64_t)sizeof(T) && width == W) {                            \
            for (int64_t d = 0; d < depth; d++)                                             \
                for (int64_t i = 0; i < W; i++)                                             \
                    to[d * W + i] = LOAD(((const T *)(from + d * along))[i]);               \
        } else if (along == (int64_t)sizeof(T) && depth >= name##_n) {                      \
            name##_transposed(to, from, across, width, depth);                              \
        } else {                                                                            \
            for (int64_t d = 0; d < depth; d++) {                                           \
                const char *x = from + d * along;                                           \
                for (int64_t i = 0; i < width; i++)                                         \
                    to[d * W + i] = LOAD(*(const T *)(x + i * across));                     \
                for (int64_t i = width; i < W; i++)                                         \
                    to[d * W + i] = 0;                                                      \
            }                                                                               \
        }                                                                                   \
    }

#endif
