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

/* What is to happen to rows of C as soon as they are complete, while they are in cache. */
typedef struct pg_gemm_finish {
    /* rows [begin, end), by any thread; row i lies at c + i * c_row */
    void (*run)(void *context, char *c, int64_t begin, int64_t end);
    void *context;
    int64_t rows; /* that belong together: begin and end are multiples of it, or end is m */
    bool
        keep; /* C is stored; else it only exists a panel of rows at a time, and product->c is not used */
} pg_gemm_finish;

/* float16 to float64, by all threads (gemm_blocks.c); finish may be NULL. The sums of an element of C
 * are added in an order that depends on k alone. PG_ENOMEM, or PG_OK. */
pg_status pg_gemm(pg_device *device, const pg_product *product, const pg_gemm_finish *finish);

/* ---- denormal numbers --------------------------------------------------------------------------- */

/* Between the two, numbers below the normal range count as zero in this thread: a processor takes a hundred
 * times as long for them, and gradients that fade away are full of them. */
#ifdef __SSE2__
#include <xmmintrin.h>
static inline unsigned pg_flush_denormals(void)
{
    enum { FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040 };
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
    return before;
}
static inline void pg_restore_denormals(unsigned before) { _mm_setcsr(before); }
#else
static inline unsigned pg_flush_denormals(void) { return 0; }
static inline void pg_restore_denormals(unsigned before) { (void)before; }
#endif

/* ---- inner loops, once per instruction set ------------------------------------------------------ */

/* gemm.c */
typedef struct pg_gemm_loops {
    int64_t size;          /* bytes of a packed element: float32 or float64 */
    int64_t rows, columns; /* the tile of C that fits in registers */
    /* to[d * rows + i] = a[i][d] for d < depth, i < m; strides in bytes */
    void (*pack_a)(void *to, const char *a, int64_t row, int64_t column, int64_t m, int64_t depth);
    /* to[d * columns + j] = b[d][j]; columns j >= n may be any of the matrix, or 0 */
    void (*pack_b)(void *to, const char *b, int64_t row, int64_t column, int64_t n, int64_t depth);
    /* C = A B or C += A B for m <= rows and n <= columns. Elements are of the packed type, packed or
     * not; the rows of B have adjacent elements, and may be read up to the next whole vector */
    void (*tile)(const pg_product *product, bool add);
    /* the same with both packed */
    void (*multiply)(int64_t depth, const void *a, const void *b, char *c, int64_t c_row, int64_t m,
                     int64_t n, bool add);
} pg_gemm_loops;

/* By dtype of A and B; NULL for integers and bool. */
typedef const pg_gemm_loops *const pg_gemm_table[PG_DTYPE_COUNT];
extern pg_gemm_table pg_gemm_loops_base, pg_gemm_loops_v3, pg_gemm_loops_v4;

/* y[i] = sum over d of a[i][d] x[d]: a matrix with adjacent elements in its rows or in its columns,
 * times a vector; float32 or float64, by the calling thread (gemm_vector.c). */
typedef void pg_times_vector(pg_dtype dtype, int64_t m, int64_t k, const char *a, int64_t a_row,
                             int64_t a_column, const char *x, int64_t x_stride, char *y);
extern pg_times_vector pg_times_vector_base, pg_times_vector_v3, pg_times_vector_v4;

/* Integers (wrapping) and bool (or of ands), by the calling thread; B has adjacent elements in its
 * rows (gemm_integer.c). */
typedef void pg_gemm_integer(const pg_product *product);
extern pg_gemm_integer pg_gemm_integer_base, pg_gemm_integer_v3, pg_gemm_integer_v4;

#endif
