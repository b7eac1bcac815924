/* attention_loops.c - the inner loops of attention; attention.h says what each must do.
 *
 * Compiled once per instruction set, with contraction: a * b + c becomes one FMA where there is one.
 * float16 and bfloat16 are computed as float. */
#include "attention.h"
#include "vectors.h"

#include "pequegrad_scalar.h"

#include <math.h>
#include <string.h>

#if defined(__AVX512F__)
enum { ROWS = 8 };
#else
enum { ROWS = 6 };
#endif
enum {
    KEYS = 64, /* keys in a block: with 64 columns, block and scores stay in L1 */
    TILES = 4, /* tiles of queries that share a block of keys */
};

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

#define REAL float
#define INTEGER int32_t
#define SQUARE pg_square_float
#define SQUARE_ROW pg_square_float_row
#define A(name) float_##name
#define MANTISSA 23
#define BIAS 127
#define LOWEST -105.0f              /* below it exp is 0 */
#define HIGHEST 89.0f               /* exp gives infinity */
#define NOTHING 104.0               /* exp(-NOTHING) is 0 */
#define LN2_HIGH 0.693145751953125f /* of few bits, so that n * LN2_HIGH is exact */
#define LN2_LOW 1.42860682030941723212e-6f
#define TERMS 7
#include "attention_tiles.h"

#define REAL double
#define INTEGER int64_t
#define SQUARE pg_square_double
#define SQUARE_ROW pg_square_double_row
#define A(name) double_##name
#define MANTISSA 52
#define BIAS 1023
#define LOWEST -746.0
#define HIGHEST 710.0
#define NOTHING 746.0
#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW 1.90821492927058770002e-10
#define TERMS 13
#include "attention_tiles.h"

#define LOOPS(A) \
    {A##_lanes, A##_pad, sizeof(A), A##_scratch, A##_forward, A##_backward, A##_store, A##_add}
pg_attention_table PG_ISA_NAME(pg_attention_loops) = {
    [PG_FLOAT16] = LOOPS(float),
    [PG_BFLOAT16] = LOOPS(float),
    [PG_FLOAT32] = LOOPS(float),
    [PG_FLOAT64] = LOOPS(double),
};
