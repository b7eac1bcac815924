/* conv_tiles.c - the inner loops of conv_pixels.c, conv_planes.c and conv_weights.c; conv_tiles.h says what each must do.
 *
 * Compiled once per instruction set, with contraction of a * b + c. A register tile has as many places as leave room for
 * two vectors of w and one element of x: with AVX-512, 14 x 2 accumulators of 32 registers. */
#include "conv_tiles.h"
#include "vectors.h"

#include "pequegrad_scalar.h"

#if defined(__AVX512F__)
enum { WIDTH = 14, BESIDE = 4 };
#else
enum { WIDTH = 6, BESIDE = 2 };
#endif

#define SAME(x) (x)

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
 * neighbours are transposed by squares in registers. */

#define COPY_PIECES(PIECE, LOAD)                                        \
    for (int64_t i = 0; i < rows; i++, to += to_row, from += from_row)  \
        for (int64_t j = 0;; j += PIECE) {                              \
            if (j + PIECE >= columns) j = columns - PIECE;              \
            for (int64_t p = 0; p < PIECE; p++)                         \
                ((ACC *)to)[j + p] = LOAD(((const ITEM *)from)[j + p]); \
            if (j + PIECE == columns) break;                            \
        }

/* Squares cover rows x columns, the last ones overlapping those before; there are at least as many of both as in a square. */
#define SQUARES(name, square, A)                                                          \
    enum { name##_n = sizeof(square##_row) / sizeof(A) };                                 \
    static ALWAYS_INLINE void name##_one(char *to, int64_t to_row, const char *from,      \
                                         int64_t from_column)                             \
    {                                                                                     \
        square##_row rows[name##_n];                                                      \
        for (int i = 0; i < name##_n; i++)                                                \
            rows[i] = *(const square##_row *)(from + i * from_column);                    \
        square(rows);                                                                     \
        for (int i = 0; i < name##_n; i++)                                                \
            *(square##_row *)(to + i * to_row) = rows[i];                                 \
    }                                                                                     \
    static void name##s(char *to, int64_t to_row, const char *from, int64_t from_column,  \
                        int64_t rows, int64_t columns)                                    \
    {                                                                                     \
        for (int64_t j = 0; j < columns; j += name##_n) {                                 \
            if (j + name##_n > columns) j = columns - name##_n;                           \
            for (int64_t i = 0; i < rows; i += name##_n) {                                \
                if (i + name##_n > rows) i = rows - name##_n;                             \
                name##_one(to + i * to_row + j * (int64_t)sizeof(A), to_row,              \
                           from + i * (int64_t)sizeof(A) + j * from_column, from_column); \
            }                                                                             \
        }                                                                                 \
    }

#if PG_HAS_SHUFFLE
SQUARES(float_small, pg_small_square_float, float)
SQUARES(double_small, pg_small_square_double, double)
#else
enum { float_small_n = 0, double_small_n = 0 };
#define float_smalls(...) (void)0
#define double_smalls(...) (void)0
#endif
#if PG_HAS_SHUFFLE && defined(__AVX512F__)
SQUARES(float_large, pg_square_float, float)
SQUARES(double_large, pg_square_double, double)
#else
enum { float_large_n = 0, double_large_n = 0 };
#define float_larges(...) (void)0
#define double_larges(...) (void)0
#endif

/* Those of float and double; 16-bit floats are converted on the way, element by element. */
#define TRANSPOSED(A)                                                                        \
    static bool A##_transposed(char *to, int64_t to_row, const char *from, int64_t from_row, \
                               int64_t from_column, int64_t rows, int64_t columns)           \
    {                                                                                        \
        if (from_row != (int64_t)sizeof(A) || A##_small_n == 0) return false;                \
        if (A##_large_n > 0 && rows >= A##_large_n && columns >= A##_large_n) {              \
            A##_larges(to, to_row, from, from_column, rows, columns);                        \
            return true;                                                                     \
        }                                                                                    \
        if (rows < A##_small_n || columns < A##_small_n) return false;                       \
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
