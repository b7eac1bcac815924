/* gemm.c - the inner loops of floating-point matrix products; gemm.h says what each must do.
 *
 * Compiled once per instruction set, with contraction: a * b + c becomes one FMA where there is one.
 * The register tile is ROWS x (2 vectors): with 12 x 2 accumulators, 2 vectors of B and one broadcast
 * element of A it fills the 32 registers of AVX-512; AVX2 and SSE2 have 16. There is a copy of the loop
 * for every number of rows, and for 1 and 2 vectors: edges cost what they are worth.
 * float16 and bfloat16 become float32 when they are packed, and are summed as such. */
#include "gemm.h"

#include "gemm_pack.h"
#include "vectors.h"
#include "pequegrad_scalar.h"

#if defined(__AVX512F__)
#include <immintrin.h>
enum { ROWS = 12 };
#else
enum { ROWS = 6 };
#endif

/* ---- packing ------------------------------------------------------------------------------------- */

#define SAME(x) (x)

#define PACK_BOTH(name, T, A, LOAD)                                                            \
    PG_PACK(name##_rows, ROWS, T, A, LOAD)                                                     \
    PG_PACK(name##_columns, (2 * VECTOR_BYTES / (int)sizeof(A)), T, A, LOAD)                   \
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
PACK_BOTH(float32, float, float, SAME)
PACK_BOTH(float64, double, double, SAME)
PACK_BOTH(float16, uint16_t, float, pg_half_to_float)
PACK_BOTH(bfloat16, uint16_t, float, pg_bfloat16_to_float)

/* ---- the register tile ------------------------------------------------------------------------- */

/* The leading n <= lanes elements of a row of C. */
#ifdef __AVX512F__
static inline void store_part_float(float *c, const float *sum, int64_t n, bool add)
{
    __mmask16 mask = (__mmask16)((1u << n) - 1);
    __m512 x = _mm512_loadu_ps(sum);
    if (add) x = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, c), x);
    _mm512_mask_storeu_ps(c, mask, x);
}
static inline void store_part_double(double *c, const double *sum, int64_t n, bool add)
{
    __mmask8 mask = (__mmask8)((1u << n) - 1);
    __m512d x = _mm512_loadu_pd(sum);
    if (add) x = _mm512_add_pd(_mm512_maskz_loadu_pd(mask, c), x);
    _mm512_mask_storeu_pd(c, mask, x);
}
#define STORE_PART(A)
#else
#define STORE_PART(A)                                                          \
    static inline void store_part_##A(A *c, const A *sum, int64_t n, bool add) \
    {                                                                          \
        for (int64_t j = 0; j < n; j++)                                        \
            c[j] = add ? c[j] + sum[j] : sum[j];                               \
    }
#endif

/* Rows of A that is not packed are reached from every third of them: an address is a base and up to twice a
 * stride. */
#define TILE(A)                                                                                   \
    typedef A A##_vector __attribute__((vector_size(VECTOR_BYTES)));                              \
    typedef A A##_unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(A))));       \
    enum { A##_lanes = VECTOR_BYTES / sizeof(A) };                                                \
    STORE_PART(A)                                                                                 \
                                                                                                  \
    static inline __attribute__((always_inline)) void A##_tile(const pg_product *p, bool add,     \
                                                               const int rows, const int vectors) \
    {                                                                                             \
        const char *a[(ROWS + 2) / 3], *b = p->b;                                                 \
        const int64_t a_row = p->a_row, a_column = p->a_column, b_row = p->b_row;                 \
        A##_vector sum[ROWS][2];                                                                  \
        PG_UNROLL for (int i = 0; i < rows; i++)                                                  \
        {                                                                                         \
            if (i % 3 == 0) a[i / 3] = p->a + i * a_row;                                          \
            __builtin_prefetch(p->c + i * p->c_row, 1);                                           \
            __builtin_prefetch(p->c + i * p->c_row + vectors * VECTOR_BYTES - 1, 1);              \
            PG_UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = (A##_vector){0};              \
        }                                                                                         \
        int64_t d = 0;                                                                            \
        const int64_t packed_a = ROWS * sizeof(A), packed_b = 2 * VECTOR_BYTES;                   \
        if (a_row == sizeof(A) && a_column == packed_a && b_row == packed_b) {                    \
            const char *packed =                                                                  \
                p->a; /* constant distances: a pointer is enough, two steps at a time */          \
            for (; d + 2 <= p->k; d += 2, packed += 2 * packed_a, b += 2 * packed_b) {            \
                PG_UNROLL for (int e = 0; e < 2; e++)                                             \
                {                                                                                 \
                    A##_vector y[2];                                                              \
                    PG_UNROLL for (int v = 0; v < vectors; v++) y[v] =                            \
                        ((const A##_unaligned *)(b + e * packed_b))[v];                           \
                    PG_UNROLL for (int i = 0; i < rows; i++)                                      \
                    {                                                                             \
                        A x = ((const A *)packed)[e * ROWS + i];                                  \
                        PG_UNROLL for (int v = 0; v < vectors; v++) sum[i][v] += x * y[v];        \
                    }                                                                             \
                }                                                                                 \
            }                                                                                     \
            PG_UNROLL for (int i = 0; i < rows; i += 3) a[i / 3] += d * a_column;                 \
        }                                                                                         \
        for (; d < p->k; d++, b += b_row) {                                                       \
            A##_vector y[2];                                                                      \
            PG_UNROLL for (int v = 0; v < vectors; v++) y[v] = ((const A##_unaligned *)b)[v];     \
            PG_UNROLL for (int i = 0; i < rows; i++)                                              \
            {                                                                                     \
                A x = *(const A *)(a[i / 3] + i % 3 * a_row);                                     \
                PG_UNROLL for (int v = 0; v < vectors; v++) sum[i][v] += x * y[v];                \
            }                                                                                     \
            PG_UNROLL for (int i = 0; i < rows; i += 3) a[i / 3] += a_column;                     \
        }                                                                                         \
        if (p->n == vectors * A##_lanes) {                                                        \
            PG_UNROLL for (int i = 0; i < rows; i++)                                              \
            {                                                                                     \
                A##_unaligned *c = (A##_unaligned *)(p->c + i * p->c_row);                        \
                PG_UNROLL for (int v = 0; v < vectors; v++) c[v] =                                \
                    add ? c[v] + sum[i][v] : sum[i][v];                                           \
            }                                                                                     \
            return;                                                                               \
        }                                                                                         \
        A edge[ROWS][2 * A##_lanes]; /* not the sums themselves, or they would live in memory */  \
        PG_UNROLL for (int i = 0; i < rows; i++)                                                  \
        {                                                                                         \
            PG_UNROLL for (int v = 0; v < vectors; v++)((A##_unaligned *)edge[i])[v] = sum[i][v]; \
        }                                                                                         \
        for (int i = 0; i < rows; i++)                                                            \
            for (int64_t j = 0; j < p->n; j += A##_lanes)                                         \
                store_part_##A((A *)(p->c + i * p->c_row) + j, edge[i] + j,                       \
                               p->n - j < A##_lanes ? p->n - j : A##_lanes, add);                 \
    }
TILE(float)
TILE(double)

typedef void tile_loop(const pg_product *p, bool add);
#define INSTANCE(A, R)                                                                      \
    static void A##_tile_##R##_1(const pg_product *p, bool add) { A##_tile(p, add, R, 1); } \
    static void A##_tile_##R##_2(const pg_product *p, bool add) { A##_tile(p, add, R, 2); }
#define ENTRY(A, R) {A##_tile_##R##_1, A##_tile_##R##_2},
#define SIX(X, A) X(A, 1) X(A, 2) X(A, 3) X(A, 4) X(A, 5) X(A, 6)
#ifdef __AVX512F__
#define EVERY(X, A) SIX(X, A) X(A, 7) X(A, 8) X(A, 9) X(A, 10) X(A, 11) X(A, 12)
#else
#define EVERY(X, A) SIX(X, A)
#endif

#define MULTIPLY(A)                                                                          \
    EVERY(INSTANCE, A)                                                                       \
    static void A##_multiply(const pg_product *p, bool add)                                  \
    {                                                                                        \
        static tile_loop *const loops[ROWS][2] = {EVERY(ENTRY, A)};                          \
        loops[p->m - 1][p->n > A##_lanes](p, add);                                           \
    }                                                                                        \
    static void A##_multiply_packed(int64_t depth, const void *a, const void *b, char *c,    \
                                    int64_t c_row, int64_t m, int64_t n, bool add)           \
    {                                                                                        \
        pg_product p = {.m = m, .n = n, .k = depth, .a = a, .b = b, .c = c, .c_row = c_row}; \
        p.a_row = sizeof(A);                                                                 \
        p.a_column = ROWS * sizeof(A);                                                       \
        p.b_row = 2 * VECTOR_BYTES;                                                          \
        A##_multiply(&p, add);                                                               \
    }
MULTIPLY(float)
MULTIPLY(double)

#define LOOPS(name, A)                                                                           \
    static const pg_gemm_loops name##_loops = {sizeof(A),          ROWS,          2 * A##_lanes, \
                                               name##_pack_a,      name##_pack_b, A##_multiply,  \
                                               A##_multiply_packed};
LOOPS(float32, float)
LOOPS(float64, double)
LOOPS(float16, float)
LOOPS(bfloat16, float)

pg_gemm_table PG_ISA_NAME(pg_gemm_loops) = {
    [PG_FLOAT16] = &float16_loops,
    [PG_BFLOAT16] = &bfloat16_loops,
    [PG_FLOAT32] = &float32_loops,
    [PG_FLOAT64] = &float64_loops,
};
