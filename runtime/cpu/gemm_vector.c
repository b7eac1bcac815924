/* gemm_vector.c - a matrix times a vector; gemm.h says what is computed.
 *
 * Compiled once per instruction set, with contraction. The matrix is read once, which is what such a
 * product costs: its rows as dot products, or its columns as additions to y. */
#include "gemm.h"
#include "vectors.h"

enum { X_BLOCK = 2048 }; /* elements of a vector that stay in L1 while a matrix passes by */

#define TIMES_VECTOR(A)                                                                            \
    typedef A A##_vector __attribute__((vector_size(VECTOR_BYTES)));                               \
    typedef A A##_unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(A))));        \
    enum { A##_lanes = VECTOR_BYTES / sizeof(A) };                                                 \
    static A A##_dot(int64_t n, const A *x, const A *y)                                            \
    {                                                                                              \
        A##_vector sum[4] = {{0}, {0}, {0}, {0}};                                                  \
        int64_t i = 0;                                                                             \
        for (; i + 4 * A##_lanes <= n; i += 4 * A##_lanes)                                         \
            for (int v = 0; v < 4; v++)                                                            \
                sum[v] += *(const A##_unaligned *)(x + i + v * A##_lanes) *                        \
                          *(const A##_unaligned *)(y + i + v * A##_lanes);                         \
        for (; i + A##_lanes <= n; i += A##_lanes)                                                 \
            sum[0] += *(const A##_unaligned *)(x + i) * *(const A##_unaligned *)(y + i);           \
        A##_vector all = (sum[0] + sum[1]) + (sum[2] + sum[3]);                                    \
        A total = 0;                                                                               \
        for (int v = 0; v < A##_lanes; v++)                                                        \
            total += all[v];                                                                       \
        for (; i < n; i++)                                                                         \
            total += x[i] * y[i];                                                                  \
        return total;                                                                              \
    }                                                                                              \
    /* y += the columns of a, each times its x; four at a time, to touch y less often */           \
    static void A##_add_columns(int64_t m, int64_t k, const char *a, int64_t a_column, const A *x, \
                                A *restrict y)                                                     \
    {                                                                                              \
        int64_t d = 0;                                                                             \
        for (; d + 4 <= k; d += 4) {                                                               \
            const A *a0 = (const A *)(a + d * a_column),                                           \
                    *a1 = (const A *)(a + (d + 1) * a_column);                                     \
            const A *a2 = (const A *)(a + (d + 2) * a_column);                                     \
            const A *a3 = (const A *)(a + (d + 3) * a_column);                                     \
            for (int64_t i = 0; i < m; i++)                                                        \
                y[i] += (a0[i] * x[d] + a1[i] * x[d + 1]) + (a2[i] * x[d + 2] + a3[i] * x[d + 3]); \
        }                                                                                          \
        for (; d < k; d++)                                                                         \
            for (int64_t i = 0; i < m; i++)                                                        \
                y[i] += ((const A *)(a + d * a_column))[i] * x[d];                                 \
    }                                                                                              \
    static void A##_times_vector(int64_t m, int64_t k, const char *a, int64_t a_row,               \
                                 int64_t a_column, const char *x, int64_t x_stride, char *y_)      \
    {                                                                                              \
        A *y = (A *)y_, packed[X_BLOCK];                                                           \
        for (int64_t i = 0; i < m; i++)                                                            \
            y[i] = 0;                                                                              \
        for (int64_t d = 0; d < k; d += X_BLOCK, a += X_BLOCK * a_column) {                        \
            int64_t n = k - d < X_BLOCK ? k - d : X_BLOCK;                                         \
            for (int64_t i = 0; i < n; i++)                                                        \
                packed[i] = *(const A *)(x + (d + i) * x_stride);                                  \
            if (a_column == (int64_t)sizeof(A))                                                    \
                for (int64_t i = 0; i < m; i++)                                                    \
                    y[i] += A##_dot(n, (const A *)(a + i * a_row), packed);                        \
            else                                                                                   \
                A##_add_columns(m, n, a, a_column, packed, y);                                     \
        }                                                                                          \
    }
TIMES_VECTOR(float)
TIMES_VECTOR(double)

void PG_ISA_NAME(pg_times_vector)(pg_dtype dtype, int64_t m, int64_t k, const char *a,
                                  int64_t a_row, int64_t a_column, const char *x, int64_t x_stride,
                                  char *y)
{
    if (dtype == PG_FLOAT32)
        float_times_vector(m, k, a, a_row, a_column, x, x_stride, y);
    else
        double_times_vector(m, k, a, a_row, a_column, x, x_stride, y);
}
