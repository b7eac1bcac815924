/* conv_tiles.c - the inner loops of conv_pixels.c, conv_planes.c and conv_weights.c; conv_tiles.h says what each must do.
 *
 * Compiled once per instruction set, with contraction of a * b + c. A register tile has as many places as leave room for
 * two vectors of w and one element of x: with AVX-512, 14 x 2 accumulators of 32 registers. */
#include "conv_tiles.h"

#include "pequegrad_scalar.h"

#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64, WIDTH = 14, BESIDE = 4 };
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32, WIDTH = 6, BESIDE = 2 };
#else
enum { VECTOR_BYTES = 16, WIDTH = 6, BESIDE = 2 };
#endif

#define SAME(x) (x)
#define ALWAYS_INLINE inline __attribute__((always_inline))

/* ---- tiles ------------------------------------------------------------------------------------- */

#define TILE(A)                                                                              \
    typedef A A##_vector                                                                     \
        __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(A)), may_alias));           \
    static ALWAYS_INLINE void A##_tile(int width, int vectors, int64_t depth, const char *x, \
                                       const int64_t *at, int64_t ahead, const char *w,      \
                                       char *sums_, bool add)                                \
    {                                                                                        \
        A##_vector sum[WIDTH][2], *sums = (A##_vector *)sums_;                               \
        for (int j = 0; j < width; j++)                                                      \
            for (int v = 0; v < vectors; v++)                                                \
                sum[j][v] = add ? sums[j * vectors + v] : (A##_vector){0};                   \
        const A##_vector *row = (const A##_vector *)w;                                       \
        for (int64_t d = 0; d < depth; d++, row += vectors) {                                \
            const A *place = (const A *)(x + at[d]);                                         \
            __builtin_prefetch((const char *)place + ahead);                                 \
            A##_vector row0 = row[0], row1 = vectors > 1 ? row[1] : row0;                    \
            for (int j = 0; j < width; j++) {                                                \
                sum[j][0] += place[j] * row0;                                                \
                if (vectors > 1) sum[j][1] += place[j] * row1;                               \
            }                                                                                \
        }                                                                                    \
        for (int j = 0; j < width; j++)                                                      \
            for (int v = 0; v < vectors; v++)                                                \
                sums[j * vectors + v] = sum[j][v];                                           \
    }                                                                                        \
    static void A##_multiply(int64_t width, int64_t vectors, int64_t depth, const char *x,   \
                             const int64_t *at, int64_t ahead, const char *w, char *sums,    \
                             bool add)                                                       \
    {                                                                                        \
        switch (width * 2 + (vectors > 1)) {                                                 \
            WIDTHS(A)                                                                        \
        }                                                                                    \
    }
#define CASES(A, J)                                                        \
    case J * 2: A##_tile(J, 1, depth, x, at, ahead, w, sums, add); return; \
    case J * 2 + 1: A##_tile(J, 2, depth, x, at, ahead, w, sums, add); return;
#if defined(__AVX512F__)
#define WIDTHS(A) \
    CASES(A, 1)   \
    CASES(A, 2)   \
    CASES(A, 3)   \
    CASES(A, 4)   \
    CASES(A, 5)   \
    CASES(A, 6)   \
    CASES(A, 7)   \
    CASES(A, 8) CASES(A, 9) CASES(A, 10) CASES(A, 11) CASES(A, 12) CASES(A, 13) CASES(A, 14)
#else
#define WIDTHS(A) CASES(A, 1) CASES(A, 2) CASES(A, 3) CASES(A, 4) CASES(A, 5) CASES(A, 6)
#endif

TILE(float)
TILE(double)

/* ---- few rows ---------------------------------------------------------------------------------- */

/* Vectors run along the places: BESIDE of them for each row, as long as there are so many. */
#define ALONG(A)                                                                              \
    static ALWAYS_INLINE void A##_beside(int rows, int vectors, int64_t depth, const char *x, \
                                         const int64_t *at, const A *w, char *sums,           \
                                         int64_t sums_row)                                    \
    {                                                                                         \
        A##_vector sum[PG_CONV_FEW_ROWS][BESIDE];                                             \
        for (int r = 0; r < rows; r++)                                                        \
            for (int v = 0; v < vectors; v++)                                                 \
                sum[r][v] = (A##_vector){0};                                                  \
        for (int64_t d = 0; d < depth; d++, w += rows) {                                      \
            const A##_vector *places = (const A##_vector *)(x + at[d]);                       \
            for (int v = 0; v < vectors; v++)                                                 \
                for (int r = 0; r < rows; r++)                                                \
                    sum[r][v] += places[v] * w[r];                                            \
        }                                                                                     \
        for (int r = 0; r < rows; r++)                                                        \
            for (int v = 0; v < vectors; v++)                                                 \
                ((A##_vector *)(sums + r * sums_row))[v] = sum[r][v];                         \
    }                                                                                         \
    static ALWAYS_INLINE void A##_rows(int rows, int64_t count, int64_t depth, const char *x, \
                                       const int64_t *at, const char *w, char *sums,          \
                                       int64_t sums_row)                                      \
    {                                                                                         \
        enum { LANES = VECTOR_BYTES / sizeof(A) };                                            \
        for (; count >= BESIDE * LANES; count -= BESIDE * LANES) {                            \
            A##_beside(rows, BESIDE, depth, x, at, (const A *)w, sums, sums_row);             \
            x += BESIDE * VECTOR_BYTES, sums += BESIDE * VECTOR_BYTES;                        \
        }                                                                                     \
        for (; count > 0; count -= LANES, x += VECTOR_BYTES, sums += VECTOR_BYTES)            \
            A##_beside(rows, 1, depth, x, at, (const A *)w, sums, sums_row);                  \
    }                                                                                         \
    static void A##_along(int64_t rows, int64_t count, int64_t depth, const char *x,          \
                          const int64_t *at, const char *w, char *sums, int64_t sums_row)     \
    {                                                                                         \
        switch (rows) {                                                                       \
        case 1: A##_rows(1, count, depth, x, at, w, sums, sums_row); return;                  \
        case 2: A##_rows(2, count, depth, x, at, w, sums, sums_row); return;                  \
        case 3: A##_rows(3, count, depth, x, at, w, sums, sums_row); return;                  \
        case 4: A##_rows(4, count, depth, x, at, w, sums, sums_row); return;                  \
        }                                                                                     \
    }

ALONG(float)
ALONG(double)

/* ---- copies ------------------------------------------------------------------------------------ */

/* Rows of neighbours are copied in pieces of a fixed size, of which the last overlaps the one before it. Columns of
 * neighbours are transposed by squares in registers: in each round the first half of the rows is interleaved
 * with the second. */
#ifdef __has_builtin
#define HAS_SHUFFLE __has_builtin(__builtin_shufflevector)
#else
#define HAS_SHUFFLE 0
#endif

#define COPY_PIECES(PIECE, LOAD)                                        \
    for (int64_t i = 0; i < rows; i++, to += to_row, from += from_row)  \
        for (int64_t j = 0;; j += PIECE) {                              \
            if (j + PIECE >= columns) j = columns - PIECE;              \
            for (int64_t p = 0; p < PIECE; p++)                         \
                ((ACC *)to)[j + p] = LOAD(((const ITEM *)from)[j + p]); \
            if (j + PIECE == columns) break;                            \
        }

#define SQUARE(name, A, N, ROUNDS, FIRST, SECOND)                                             \
    typedef A name##_row                                                                      \
        __attribute__((vector_size(N * sizeof(A)), aligned(sizeof(A)), may_alias));           \
    static ALWAYS_INLINE void name(char *to, int64_t to_row, const char *from,                \
                                   int64_t from_column)                                       \
    {                                                                                         \
        name##_row rows[N], mixed[N];                                                         \
        for (int i = 0; i < N; i++)                                                           \
            rows[i] = *(const name##_row *)(from + i * from_column);                          \
        for (int round = 0; round < ROUNDS; round++) {                                        \
            for (int i = 0; i < N / 2; i++) {                                                 \
                mixed[2 * i] = __builtin_shufflevector(rows[i], rows[i + N / 2], FIRST);      \
                mixed[2 * i + 1] = __builtin_shufflevector(rows[i], rows[i + N / 2], SECOND); \
            }                                                                                 \
            for (int i = 0; i < N; i++)                                                       \
                rows[i] = mixed[i];                                                           \
        }                                                                                     \
        for (int i = 0; i < N; i++)                                                           \
            *(name##_row *)(to + i * to_row) = rows[i];                                       \
    }
#define LIST(...) __VA_ARGS__

/* Squares of N cover rows x columns, the last ones overlapping those before; there are at least N of both. */
#define SQUARES(name, A, N)                                                              \
    static void name##s(char *to, int64_t to_row, const char *from, int64_t from_column, \
                        int64_t rows, int64_t columns)                                   \
    {                                                                                    \
        for (int64_t j = 0; j < columns; j += N) {                                       \
            if (j + N > columns) j = columns - N;                                        \
            for (int64_t i = 0; i < rows; i += N) {                                      \
                if (i + N > rows) i = rows - N;                                          \
                name(to + i * to_row + j * (int64_t)sizeof(A), to_row,                   \
                     from + i * (int64_t)sizeof(A) + j * from_column, from_column);      \
            }                                                                            \
        }                                                                                \
    }

#if HAS_SHUFFLE && defined(__AVX512F__)
SQUARE(float_large, float, 16, 4, LIST(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23),
       LIST(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31))
SQUARE(double_large, double, 8, 3, LIST(0, 8, 1, 9, 2, 10, 3, 11), LIST(4, 12, 5, 13, 6, 14, 7, 15))
SQUARES(float_large, float, 16)
SQUARES(double_large, double, 8)
enum { float_LARGE = 16, double_LARGE = 8 };
#else
enum { float_LARGE = 0, double_LARGE = 0 };
#define float_larges(...) (void)0
#define double_larges(...) (void)0
#endif
#if HAS_SHUFFLE && defined(__AVX2__)
SQUARE(float_small, float, 8, 3, LIST(0, 8, 1, 9, 2, 10, 3, 11), LIST(4, 12, 5, 13, 6, 14, 7, 15))
SQUARE(double_small, double, 4, 2, LIST(0, 4, 1, 5), LIST(2, 6, 3, 7))
#elif HAS_SHUFFLE
SQUARE(float_small, float, 4, 2, LIST(0, 4, 1, 5), LIST(2, 6, 3, 7))
SQUARE(double_small, double, 2, 1, LIST(0, 2), LIST(1, 3))
#endif
#if HAS_SHUFFLE
enum {
    float_SMALL = sizeof(float_small_row) / sizeof(float),
    double_SMALL = sizeof(double_small_row) / sizeof(double)
};
SQUARES(float_small, float, float_SMALL)
SQUARES(double_small, double, double_SMALL)
#else
enum { float_SMALL = 0, double_SMALL = 0 };
#define float_smalls(...) (void)0
#define double_smalls(...) (void)0
#endif

/* Those of float and double; 16-bit floats are converted on the way, element by element. */
#define TRANSPOSED(A)                                                                        \
    static bool A##_transposed(char *to, int64_t to_row, const char *from, int64_t from_row, \
                               int64_t from_column, int64_t rows, int64_t columns)           \
    {                                                                                        \
        if (from_row != (int64_t)sizeof(A) || A##_SMALL == 0) return false;                  \
        if (A##_LARGE > 0 && rows >= A##_LARGE && columns >= A##_LARGE) {                    \
            A##_larges(to, to_row, from, from_column, rows, columns);                        \
            return true;                                                                     \
        }                                                                                    \
        if (rows < A##_SMALL || columns < A##_SMALL) return false;                           \
        A##_smalls(to, to_row, from, from_column, rows, columns);                            \
        return true;                                                                         \
    }
TRANSPOSED(float)
TRANSPOSED(double)
#define half_transposed(...) false

#define COPY(name, T, A, transposed, LOAD)                                                \
    static void name##_copy(char *to, int64_t to_row, const char *from, int64_t from_row, \
                            int64_t from_column, int64_t rows, int64_t columns)           \
    {                                                                                     \
        typedef T ITEM;                                                                   \
        typedef A ACC;                                                                    \
        if (from_column == (int64_t)sizeof(T) && columns >= 16) {                         \
            COPY_PIECES(16, LOAD)                                                         \
        } else if (from_column == (int64_t)sizeof(T) && columns >= 8) {                   \
            COPY_PIECES(8, LOAD)                                                          \
        } else if (from_column == (int64_t)sizeof(T) && columns >= 4) {                   \
            COPY_PIECES(4, LOAD)                                                          \
        } else if (from_column == 2 * (int64_t)sizeof(T) && columns >= 8) {               \
            for (int64_t i = 0; i < rows; i++, to += to_row, from += from_row)            \
                for (int64_t j = 0; j < columns; j++)                                     \
                    ((ACC *)to)[j] = LOAD(((const ITEM *)from)[2 * j]);                   \
        } else if (!transposed(to, to_row, from, from_row, from_column, rows, columns)) { \
            for (int64_t i = 0; i < rows; i++, to += to_row, from += from_row)            \
                for (int64_t j = 0; j < columns; j++)                                     \
                    ((ACC *)to)[j] = LOAD(*(const ITEM *)(from + j * from_column));       \
        }                                                                                 \
    }

COPY(float16, uint16_t, float, half_transposed, pg_half_to_float)
COPY(bfloat16, uint16_t, float, half_transposed, pg_bfloat16_to_float)
COPY(float32, float, float, float_transposed, SAME)
COPY(float64, double, double, double_transposed, SAME)

#define LOOPS(name, A)                               \
    static const pg_conv_tile_loops name##_loops = { \
        sizeof(A), VECTOR_BYTES / sizeof(A), WIDTH, name##_copy, A##_multiply, A##_along};
LOOPS(float16, float)
LOOPS(bfloat16, float)
LOOPS(float32, float)
LOOPS(float64, double)

pg_conv_tile_table PG_ISA_NAME(pg_conv_tile_loops) = {
    [PG_FLOAT16] = &float16_loops,
    [PG_BFLOAT16] = &bfloat16_loops,
    [PG_FLOAT32] = &float32_loops,
    [PG_FLOAT64] = &float64_loops,
};
