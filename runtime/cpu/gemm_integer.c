/* gemm_integer.c - C = A B for integers, which wrap around, and bool, where it is an or of ands.
 *
 * Compiled once per instruction set. Four rows of C and TILE columns at a time stay in L1 while the
 * rows of B pass by, each multiplied by four elements of A. */
#include "gemm.h"

#include "pequegrad_scalar.h"

#include <string.h>

enum { TILE = 256 };

#define INTEGER(name, T)                                                                        \
    static void name##_tile(const pg_product *p, int64_t i, int64_t rows, int64_t j, int64_t n) \
    {                                                                                           \
        T sum[4][TILE] = {{0}};                                                                 \
        /* short of rows, the last one is computed more than once, and stored once */           \
        const char *a[4];                                                                       \
        for (int64_t r = 0; r < 4; r++)                                                         \
            a[r] = p->a + (i + (r < rows ? r : rows - 1)) * p->a_row;                           \
        for (int64_t d = 0; d < p->k; d++) {                                                    \
            const T *b = (const T *)(p->b + d * p->b_row) + j;                                  \
            T a0 = *(const T *)(a[0] + d * p->a_column),                                        \
              a1 = *(const T *)(a[1] + d * p->a_column);                                        \
            T a2 = *(const T *)(a[2] + d * p->a_column),                                        \
              a3 = *(const T *)(a[3] + d * p->a_column);                                        \
            for (int64_t c = 0; c < n; c++) {                                                   \
                sum[0][c] = pg_add_##name(sum[0][c], pg_mul_##name(a0, b[c]));                  \
                sum[1][c] = pg_add_##name(sum[1][c], pg_mul_##name(a1, b[c]));                  \
                sum[2][c] = pg_add_##name(sum[2][c], pg_mul_##name(a2, b[c]));                  \
                sum[3][c] = pg_add_##name(sum[3][c], pg_mul_##name(a3, b[c]));                  \
            }                                                                                   \
        }                                                                                       \
        for (int64_t r = 0; r < rows; r++)                                                      \
            memcpy((T *)(p->c + (i + r) * p->c_row) + j, sum[r], (size_t)n * sizeof(T));        \
    }

INTEGER(bool, uint8_t)
INTEGER(uint8, uint8_t)
INTEGER(uint16, uint16_t)
INTEGER(uint32, uint32_t)
INTEGER(uint64, uint64_t)

void PG_ISA_NAME(pg_gemm_integer)(const pg_product *p)
{
    /* signed products and sums have the bits of the unsigned ones */
    typedef void tile_loop(const pg_product *, int64_t, int64_t, int64_t, int64_t);
    static tile_loop *const loops[PG_DTYPE_COUNT] = {
        [PG_BOOL] = bool_tile,     [PG_INT8] = uint8_tile,    [PG_INT16] = uint16_tile,
        [PG_INT32] = uint32_tile,  [PG_INT64] = uint64_tile,  [PG_UINT8] = uint8_tile,
        [PG_UINT16] = uint16_tile, [PG_UINT32] = uint32_tile, [PG_UINT64] = uint64_tile,
    };
    for (int64_t i = 0; i < p->m; i += 4)
        for (int64_t j = 0; j < p->n; j += TILE)
            loops[p->dtype](p, i, p->m - i < 4 ? p->m - i : 4, j,
                            p->n - j < TILE ? p->n - j : TILE);
}
