/* gemm.h - matrix products C = A B, as matmul.c asks for them. */
#ifndef PG_GEMM_H
#define PG_GEMM_H

#include "cpu.h"

/* A is m x k, B is k x n, with any strides; C is m x n with adjacent elements in a row. In bytes.
 * C overlaps neither A nor B. k >= 1. */
typedef struct pg_product {
    pg_dtype dtype; /* of A and B; C has the same, or float32 for float16 and bfloat16 */
    int64_t m, n, k;
    const char *a, *b;
    char *c;
    int64_t a_row, a_column, b_row, b_column, c_row;
} pg_product;

/* float16 to float64, tiled and packed, by all threads (gemm_blocks.c). PG_ENOMEM, or PG_OK. */
pg_status pg_gemm(pg_device *device, const pg_product *product);

/* ---- inner loops, once per instruction set (gemm.c) -------------------------------------------- */

typedef struct pg_gemm_loops {
    int64_t size;          /* bytes of a packed element: float32 or float64 */
    int64_t rows, columns; /* the tile of C that fits in registers */
    /* to[d * rows + i] = a[i][d] for d < depth, and 0 for m <= i < rows; strides in bytes */
    void (*pack_a)(void *to, const char *a, int64_t row, int64_t column, int64_t m, int64_t depth);
    /* to[d * columns + j] = b[d][j], and 0 for n <= j < columns */
    void (*pack_b)(void *to, const char *b, int64_t row, int64_t column, int64_t n, int64_t depth);
    /* the leading m x n of the tile: C = packed A * packed B, or C += that */
    void (*multiply)(int64_t depth, const void *a, const void *b, char *c, int64_t c_row, int64_t m,
                     int64_t n, bool add);
    /* y[i] = sum over d of a[i][d] x[d]: a matrix with adjacent elements in its rows or in its
     * columns, times a vector; float32 and float64 only (else NULL) */
    void (*times_vector)(int64_t m, int64_t k, const char *a, int64_t a_row, int64_t a_column,
                         const char *x, int64_t x_stride, char *y);
} pg_gemm_loops;

/* By dtype of A and B; NULL for integers and bool. */
typedef const pg_gemm_loops *const pg_gemm_table[PG_DTYPE_COUNT];
extern pg_gemm_table pg_gemm_loops_base, pg_gemm_loops_v3, pg_gemm_loops_v4;

/* Integers (wrapping) and bool (or of ands), by the calling thread; B has adjacent elements in its
 * rows (gemm_integer.c). */
typedef void pg_gemm_integer(const pg_product *product);
extern pg_gemm_integer pg_gemm_integer_base, pg_gemm_integer_v3, pg_gemm_integer_v4;

/* ---- BLAS (blas.c) ------------------------------------------------------------------------------ */

typedef enum pg_transpose { PG_NO_TRANSPOSE = 111, PG_TRANSPOSE = 112 } pg_transpose; /* cblas.h */

/* float32 or float64, by the calling thread: C = op(A) op(B), row-major, leading dimensions in
 * elements. False without a BLAS, or if a size is too large for it; C is then untouched. */
bool pg_blas_gemm(pg_dtype dtype, pg_transpose transpose_a, pg_transpose transpose_b, int64_t m,
                  int64_t n, int64_t k, const void *a, int64_t lda, const void *b, int64_t ldb,
                  void *c, int64_t ldc);
bool pg_blas_loaded(void);

#endif
