/* gemm.c - the inner loops of floating-point matrix products; gemm.h says what each must do.
 *
 * Compiled once per instruction set, with contraction: a * b + c becomes one FMA where there is one.
 * The register tile is ROWS x (2 vectors): with 12 x 2 accumulators, 2 vectors of B and one broadcast
 * element of A it fills the 32 registers of AVX-512; AVX2 and SSE2 have 16.
 * float16 and bfloat16 become float32 when they are packed, and are summed as such. */
#include "gemm.h"

#include "pequegrad_scalar.h"

#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64, ROWS = 12 };
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32, ROWS = 6 };
#else
enum { VECTOR_BYTES = 16, ROWS = 6 };
#endif
enum { X_BLOCK = 2048 }; /* elements of a vector that stay in L1 while a matrix passes by */

#define SAME(x) (x)

/* T: element in memory, A: packed element, W: width of the panel. Two layouts matter for speed:
 * neighbours across the panel (copied whole) and neighbours along the depth (transposed). */
#define PACK(name, W, T, A, LOAD)                                                                  \
    static void name##_part(A *to, const char *from, int64_t across, int64_t along, int64_t width, \
                            int64_t depth)                                                         \
    {                                                                                              \
        for (int64_t d = 0; d < depth; d++)                                                        \
            for (int64_t i = 0; i < W; i++)                                                        \
                to[d * W + i] = i < width ? LOAD(*(const T *)(from + i * across + d * along)) : 0; \
    }                                                                                              \
    static void name(A *to, const char *from, int64_t across, int64_t along, int64_t width,        \
                     int64_t depth)                                                                \
    {                                                                                              \
        if (width < W) {                                                                           \
            name##_part(to, from, across, along, width, depth);                                    \
        } else if (across == (int64_t)sizeof(T)) {                                                 \
            for (int64_t d = 0; d < depth; d++)                                                    \
                for (int64_t i = 0; i < W; i++)                                                    \
                    to[d * W + i] = LOAD(((const T *)(from + d * along))[i]);                      \
        } else if (along == (int64_t)sizeof(T)) {                                                  \
            for (int64_t i = 0; i < W; i++)                                                        \
                for (int64_t d = 0; d < depth; d++)                                                \
                    to[d * W + i] = LOAD(((const T *)(from + i * across))[d]);                     \
        } else {                                                                                   \
            name##_part(to, from, across, along, width, depth);                                    \
        }                                                                                          \
    }

#define PACK_BOTH(name, T, A, LOAD)                                                            \
    PACK(name##_rows, ROWS, T, A, LOAD)                                                        \
    PACK(name##_columns, (2 * VECTOR_BYTES / (int)sizeof(A)), T, A, LOAD)                      \
    static void name##_pack_a(void *to, const char *a, int64_t row, int64_t column, int64_t m, \
                              int64_t depth)                                                   \
    {                                                                                          \
        name##_rows(to, a, row, column, m, depth);                                             \
    }                                                                                          \
    static void name##_pack_b(void *to, const char *b, int64_t row, int64_t column, int64_t n, \
                              int64_t depth)                                                   \
    {                                                                                          \
        name##_columns(to, b, column, row, n, depth);                                          \
    }

/* ---- the register tile ------------------------------------------------------------------------- */

#define TILE(A)                                                                             \
    typedef A A##_vector __attribute__((vector_size(VECTOR_BYTES)));                        \
    typedef A A##_unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(A)))); \
    enum { A##_lanes = VECTOR_BYTES / sizeof(A) };                                          \
                                                                                            \
    static void A##_multiply(int64_t depth, const void *a_, const void *b_, char *c,        \
                             int64_t c_row, int64_t m, int64_t n, bool add)                 \
    {                                                                                       \
        const A *a = a_;                                                                    \
        const A##_vector *b = b_;                                                           \
        A##_vector sum[ROWS][2];                                                            \
        for (int i = 0; i < ROWS; i++)                                                      \
            sum[i][0] = sum[i][1] = (A##_vector){0};                                        \
        for (int64_t d = 0; d < depth; d++, a += ROWS, b += 2) {                            \
            A##_vector b0 = b[0], b1 = b[1];                                                \
            for (int i = 0; i < ROWS; i++) {                                                \
                sum[i][0] += a[i] * b0;                                                     \
                sum[i][1] += a[i] * b1;                                                     \
            }                                                                               \
        }                                                                                   \
        if (m == ROWS && n == 2 * A##_lanes) {                                              \
            for (int i = 0; i < ROWS; i++) {                                                \
                A##_unaligned *row = (A##_unaligned *)(c + i * c_row);                      \
                row[0] = add ? row[0] + sum[i][0] : sum[i][0];                              \
                row[1] = add ? row[1] + sum[i][1] : sum[i][1];                              \
            }                                                                               \
            return;                                                                         \
        }                                                                                   \
        A tile[ROWS][2 * A##_lanes]; /* the edge of C */                                    \
        for (int i = 0; i < ROWS; i++) {                                                    \
            ((A##_unaligned *)tile[i])[0] = sum[i][0];                                      \
            ((A##_unaligned *)tile[i])[1] = sum[i][1];                                      \
        }                                                                                   \
        for (int64_t i = 0; i < m; i++) {                                                   \
            A *row = (A *)(c + i * c_row);                                                  \
            for (int64_t j = 0; j < n; j++)                                                 \
                row[j] = add ? row[j] + tile[i][j] : tile[i][j];                            \
        }                                                                                   \
    }

/* ---- matrix times vector ----------------------------------------------------------------------- */

#define TIMES_VECTOR(A)                                                                            \
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

TILE(float)
TILE(double)
TIMES_VECTOR(float)
TIMES_VECTOR(double)
PACK_BOTH(float32, float, float, SAME)
PACK_BOTH(float64, double, double, SAME)
PACK_BOTH(float16, uint16_t, float, pg_half_to_float)
PACK_BOTH(bfloat16, uint16_t, float, pg_bfloat16_to_float)

#define LOOPS(name, A, times_vector)            \
    static const pg_gemm_loops name##_loops = { \
        sizeof(A), ROWS, 2 * A##_lanes, name##_pack_a, name##_pack_b, A##_multiply, times_vector};
LOOPS(float32, float, float_times_vector)
LOOPS(float64, double, double_times_vector)
LOOPS(float16, float, NULL)
LOOPS(bfloat16, float, NULL)

pg_gemm_table PG_ISA_NAME(pg_gemm_loops) = {
    [PG_FLOAT16] = &float16_loops,
    [PG_BFLOAT16] = &bfloat16_loops,
    [PG_FLOAT32] = &float32_loops,
    [PG_FLOAT64] = &float64_loops,
};
