/* conv_loops.c - the inner loops of convolutions; conv.h says what each must do.
 *
 * Compiled once per instruction set, with contraction of a * b + c. float32 and float64 have loops on
 * vectors; all dtypes have plain ones for strides that those do not take. */
#include "conv.h"
#include "vectors.h"

#include "pequegrad_scalar.h"

#include <string.h>

enum { SMALL_BYTES = 16, BLOCK = 4 }; /* the smallest vector; vectors summed side by side */

#define SAME(x) (x)

/* ---- any dtype, any strides -------------------------------------------------------------------- */

#define PLAIN(name, T, A, LOAD, computed)                                                 \
    static void name##_plain(int64_t lanes, const char *x, int64_t x_step, const char *w, \
                             int64_t w_step, int64_t count, const int64_t *x_at,          \
                             const int64_t *w_at, void *sum_)                             \
    {                                                                                     \
        A *restrict sum = sum_;                                                           \
        memset(sum, 0, (size_t)lanes * sizeof(A));                                        \
        for (int64_t d = 0; d < count; d++) {                                             \
            const char *xd = x + x_at[d], *wd = w + w_at[d];                              \
            for (int64_t l = 0; l < lanes; l++)                                           \
                sum[l] = pg_add_##computed(                                               \
                    sum[l], pg_mul_##computed(LOAD(*(const T *)(xd + l * x_step)),        \
                                              LOAD(*(const T *)(wd + l * w_step))));      \
        }                                                                                 \
    }                                                                                     \
    static void name##_add(int64_t n, void *to, const void *from)                         \
    {                                                                                     \
        for (int64_t i = 0; i < n; i++)                                                   \
            ((A *)to)[i] = pg_add_##computed(((A *)to)[i], ((const A *)from)[i]);         \
    }

#define PLAIN_DOT(name, T, A, LOAD, computed)                                                  \
    static void name##_dot(int64_t length, const char *x, const char *w, int64_t count,        \
                           const int64_t *x_at, const int64_t *w_at, void *sum)                \
    {                                                                                          \
        enum { LANES = 64 / sizeof(A) };                                                       \
        A part[LANES] = {0}, total = 0;                                                        \
        for (int64_t d = 0; d < count; d++) {                                                  \
            const T *xd = (const T *)(x + x_at[d]), *wd = (const T *)(w + w_at[d]);            \
            int64_t i = 0;                                                                     \
            for (; i + LANES <= length; i += LANES)                                            \
                for (int64_t l = 0; l < LANES; l++)                                            \
                    part[l] = pg_add_##computed(                                               \
                        part[l], pg_mul_##computed(LOAD(xd[i + l]), LOAD(wd[i + l])));         \
            for (; i < length; i++)                                                            \
                total = pg_add_##computed(total, pg_mul_##computed(LOAD(xd[i]), LOAD(wd[i]))); \
        }                                                                                      \
        for (int64_t l = 0; l < LANES; l++)                                                    \
            total = pg_add_##computed(total, part[l]);                                         \
        *(A *)sum = total;                                                                     \
    }

PLAIN(uint8, uint8_t, uint8_t, SAME, uint8)
PLAIN(uint16, uint16_t, uint16_t, SAME, uint16)
PLAIN(uint32, uint32_t, uint32_t, SAME, uint32)
PLAIN(uint64, uint64_t, uint64_t, SAME, uint64)
PLAIN(float16, uint16_t, float, pg_half_to_float, float32)
PLAIN(bfloat16, uint16_t, float, pg_bfloat16_to_float, float32)
PLAIN(float32, float, float, SAME, float32)
PLAIN(float64, double, double, SAME, float64)
PLAIN_DOT(uint8, uint8_t, uint8_t, SAME, uint8)
PLAIN_DOT(uint16, uint16_t, uint16_t, SAME, uint16)
PLAIN_DOT(uint32, uint32_t, uint32_t, SAME, uint32)
PLAIN_DOT(uint64, uint64_t, uint64_t, SAME, uint64)
PLAIN_DOT(float16, uint16_t, float, pg_half_to_float, float32)
PLAIN_DOT(bfloat16, uint16_t, float, pg_bfloat16_to_float, float32)

/* ---- lanes as vectors -------------------------------------------------------------------------- */

/* A vector of neighbours where `wide`, else one element in all places; `shift` bytes from one vector to the
 * next. Few vectors are summed in several streams, so that no addition waits for the one before it. */
#define VECTORS(A, NAME, BYTES)                                                                  \
    typedef A A##_##NAME __attribute__((vector_size(BYTES), aligned(sizeof(A))));                \
    static inline __attribute__((always_inline)) void A##_##NAME##_term(                         \
        A##_##NAME *total, int vectors, bool x_wide, bool w_wide, const char *x, const char *w,  \
        int64_t shift)                                                                           \
    {                                                                                            \
        A x0 = *(const A *)x, w0 = *(const A *)w;                                                \
        for (int v = 0; v < vectors; v++) {                                                      \
            if (x_wide && w_wide)                                                                \
                total[v] +=                                                                      \
                    *(const A##_##NAME *)(x + v * shift) * *(const A##_##NAME *)(w + v * shift); \
            else if (x_wide)                                                                     \
                total[v] += *(const A##_##NAME *)(x + v * shift) * w0;                           \
            else                                                                                 \
                total[v] += x0 * *(const A##_##NAME *)(w + v * shift);                           \
        }                                                                                        \
    }                                                                                            \
    static inline __attribute__((always_inline)) void A##_##NAME##_block(                        \
        int vectors, bool x_wide, bool w_wide, const char *x, const char *w, int64_t shift,      \
        int64_t count, const int64_t *x_at, const int64_t *w_at, A *sum)                         \
    {                                                                                            \
        A##_##NAME total[BLOCK];                                                                 \
        int streams = BLOCK / vectors;                                                           \
        for (int v = 0; v < BLOCK; v++)                                                          \
            total[v] = (A##_##NAME){0};                                                          \
        int64_t d = 0;                                                                           \
        for (; d + streams <= count; d += streams)                                               \
            for (int s = 0; s < streams; s++)                                                    \
                A##_##NAME##_term(total + s * vectors, vectors, x_wide, w_wide, x + x_at[d + s], \
                                  w + w_at[d + s], shift);                                       \
        for (; d < count; d++)                                                                   \
            A##_##NAME##_term(total, vectors, x_wide, w_wide, x + x_at[d], w + w_at[d], shift);  \
        for (int s = 1; s < streams; s++)                                                        \
            for (int v = 0; v < vectors; v++)                                                    \
                total[v] += total[s * vectors + v];                                              \
        for (int v = 0; v < vectors; v++)                                                        \
            *(A##_##NAME *)((char *)sum + v * shift) = total[v];                                 \
    }

/* Lanes that are left over: a vector that overlaps lanes already summed, where there are enough of those. */
#define WIDE_LANES(A)                                                                              \
    VECTORS(A, large, VECTOR_BYTES)                                                                \
    VECTORS(A, small, SMALL_BYTES)                                                                 \
    static inline __attribute__((always_inline)) void A##_wide(                                    \
        int64_t lanes, bool x_wide, bool w_wide, const char *x, const char *w, int64_t count,      \
        const int64_t *x_at, const int64_t *w_at, A *sum)                                          \
    {                                                                                              \
        enum { LARGE = VECTOR_BYTES / sizeof(A), SMALL = SMALL_BYTES / sizeof(A) };                \
        int64_t item = sizeof(A), done = 0;                                                        \
        for (int64_t step; done < lanes; done += step) {                                           \
            int64_t left = lanes - done;                                                           \
            if (left < LARGE && lanes >= LARGE) done = lanes - LARGE;                              \
            if (left < SMALL && lanes < LARGE) done = lanes - SMALL;                               \
            left = lanes - done;                                                                   \
            const char *xd = x + x_wide * done * item, *wd = w + w_wide * done * item;             \
            A *to = sum + done;                                                                    \
            if (left >= BLOCK * LARGE) {                                                           \
                step = BLOCK * LARGE;                                                              \
                A##_large_block(BLOCK, x_wide, w_wide, xd, wd, VECTOR_BYTES, count, x_at, w_at,    \
                                to);                                                               \
            } else if (left > LARGE) { /* two vectors, which may overlap */                        \
                step = left < 2 * LARGE ? left : 2 * LARGE;                                        \
                A##_large_block(2, x_wide, w_wide, xd, wd, (step - LARGE) * item, count, x_at,     \
                                w_at, to);                                                         \
            } else if (left == LARGE) {                                                            \
                step = LARGE;                                                                      \
                A##_large_block(1, x_wide, w_wide, xd, wd, 0, count, x_at, w_at, to);              \
            } else if (left > SMALL) {                                                             \
                step = left < 2 * SMALL ? left : 2 * SMALL;                                        \
                A##_small_block(2, x_wide, w_wide, xd, wd, (step - SMALL) * item, count, x_at,     \
                                w_at, to);                                                         \
            } else {                                                                               \
                step = SMALL;                                                                      \
                A##_small_block(1, x_wide, w_wide, xd, wd, 0, count, x_at, w_at, to);              \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void A##_lanes(int64_t lanes, const char *x, int64_t x_step, const char *w,             \
                          int64_t w_step, int64_t count, const int64_t *x_at, const int64_t *w_at, \
                          void *sum)                                                               \
    {                                                                                              \
        bool x_wide = x_step == sizeof(A), w_wide = w_step == sizeof(A);                           \
        if (lanes < SMALL_BYTES / (int64_t)sizeof(A) || (!x_wide && x_step) ||                     \
            (!w_wide && w_step) || !(x_wide || w_wide))                                            \
            A##_narrow(lanes, x, x_step, w, w_step, count, x_at, w_at, sum);                       \
        else if (x_wide && w_wide)                                                                 \
            A##_wide(lanes, true, true, x, w, count, x_at, w_at, sum);                             \
        else if (x_wide)                                                                           \
            A##_wide(lanes, true, false, x, w, count, x_at, w_at, sum);                            \
        else                                                                                       \
            A##_wide(lanes, false, true, x, w, count, x_at, w_at, sum);                            \
    }

/* Sums of products of rows, in four vectors, then in small ones. */
#define WIDE_DOT(A)                                                                     \
    static void A##_dot(int64_t length, const char *x, const char *w, int64_t count,    \
                        const int64_t *x_at, const int64_t *w_at, void *sum)            \
    {                                                                                   \
        enum { LARGE = VECTOR_BYTES / sizeof(A), SMALL = SMALL_BYTES / sizeof(A) };     \
        A##_large part[BLOCK] = {{0}};                                                  \
        A##_small small = {0};                                                          \
        A total = 0;                                                                    \
        for (int64_t d = 0; d < count; d++) {                                           \
            const A *xd = (const A *)(x + x_at[d]), *wd = (const A *)(w + w_at[d]);     \
            int64_t i = 0;                                                              \
            for (; i + BLOCK * LARGE <= length; i += BLOCK * LARGE)                     \
                for (int v = 0; v < BLOCK; v++)                                         \
                    part[v] += *(const A##_large *)(xd + i + v * LARGE) *               \
                               *(const A##_large *)(wd + i + v * LARGE);                \
            for (; i + LARGE <= length; i += LARGE)                                     \
                part[0] += *(const A##_large *)(xd + i) * *(const A##_large *)(wd + i); \
            for (; i + SMALL <= length; i += SMALL)                                     \
                small += *(const A##_small *)(xd + i) * *(const A##_small *)(wd + i);   \
            for (; i < length; i++)                                                     \
                total += xd[i] * wd[i];                                                 \
        }                                                                               \
        part[0] = (part[0] + part[1]) + (part[2] + part[3]);                            \
        for (int64_t l = 0; l < LARGE; l++)                                             \
            total += part[0][l];                                                        \
        for (int64_t l = 0; l < SMALL; l++)                                             \
            total += small[l];                                                          \
        *(A *)sum = total;                                                              \
    }

#define float_narrow float32_plain
#define double_narrow float64_plain
WIDE_LANES(float)
WIDE_LANES(double)
WIDE_DOT(float)
WIDE_DOT(double)

/* ---- packing ----------------------------------------------------------------------------------- */

/* Neighbouring columns that are neighbours in memory, too, are copied as runs, in pieces of a fixed
 * size of which the last overlaps the one before it. */
#define COPY_PIECES(PIECE, A, LOAD)                  \
    for (int64_t i = 0;; i += PIECE) {               \
        if (i + PIECE >= length) i = length - PIECE; \
        for (int64_t p = 0; p < PIECE; p++)          \
            to[i + p] = LOAD(from[i + p]);           \
        if (i + PIECE == length) break;              \
    }

/* Columns that are not neighbours, while the depth indices are: square blocks are transposed in registers. */
#if defined(__AVX2__) && PG_HAS_SHUFFLE
#define TRANSPOSE(name, A)                                                                   \
    enum { name##_block = sizeof(pg_small_square_##A##_row) / sizeof(A) };                   \
    static void name##_transpose(A *to, int64_t width, const char *x, const int64_t *column) \
    {                                                                                        \
        pg_small_square_##A##_row rows[name##_block];                                        \
        for (int i = 0; i < name##_block; i++)                                               \
            rows[i] = *(const pg_small_square_##A##_row *)(x + column[i]);                   \
        pg_small_square_##A(rows);                                                           \
        for (int i = 0; i < name##_block; i++)                                               \
            *(pg_small_square_##A##_row *)(to + i * width) = rows[i];                        \
    }
TRANSPOSE(float32, float)
TRANSPOSE(float64, double)
#else
#define float32_transpose(to, width, x, column) (void)(to)
#define float64_transpose(to, width, x, column) (void)(to)
enum { float32_block = 0, float64_block = 0 };
#endif
#define float16_transpose(to, width, x, column) (void)(to) /* they are converted on the way */
#define bfloat16_transpose(to, width, x, column) (void)(to)
enum { float16_block = 0, bfloat16_block = 0 };

#define PACK(name, T, A, LOAD)                                                                   \
    enum { name##_width = 2 * VECTOR_BYTES / sizeof(A) };                                        \
    static void name##_pack_run(A *to, const char *x, int64_t length, const int64_t *depth,      \
                                int64_t count)                                                   \
    {                                                                                            \
        for (int64_t d = 0; d < count; d++, to += name##_width) {                                \
            const T *from = (const T *)(x + depth[d]);                                           \
            if (length == name##_width)                                                          \
                for (int64_t i = 0; i < name##_width; i++)                                       \
                    to[i] = LOAD(from[i]);                                                       \
            else if (length >= 8)                                                                \
                COPY_PIECES(8, A, LOAD)                                                          \
            else if (length >= 4)                                                                \
                COPY_PIECES(4, A, LOAD)                                                          \
            else                                                                                 \
                COPY_PIECES(1, A, LOAD)                                                          \
        }                                                                                        \
    }                                                                                            \
    static void name##_pack_scattered(A *to, const char *x, const int64_t *column,               \
                                      const int64_t *depth, int64_t count)                       \
    {                                                                                            \
        int64_t block = name##_block, item = sizeof(T);                                          \
        for (int64_t d = 0, run; d < count; d += run) {                                          \
            for (run = 1; d + run < count && depth[d + run] == depth[d] + run * item;)           \
                run++;                                                                           \
            if (block && run >= block) {                                                         \
                for (int64_t done = 0; done < run; done += block) {                              \
                    if (done + block > run) done = run - block;                                  \
                    for (int64_t j = 0; j < name##_width; j += block)                            \
                        name##_transpose(to + (d + done) * name##_width + j, name##_width,       \
                                         x + depth[d + done], column + j);                       \
                }                                                                                \
            } else {                                                                             \
                for (int64_t r = d; r < d + run; r++)                                            \
                    for (int64_t j = 0; j < name##_width; j++)                                   \
                        to[r * name##_width + j] = LOAD(*(const T *)(x + depth[r] + column[j])); \
            }                                                                                    \
        }                                                                                        \
    }                                                                                            \
    static void name##_pack(void *to, const char *x, const int64_t *column, int64_t n,           \
                            const int64_t *depth, int64_t count)                                 \
    {                                                                                            \
        int64_t runs = n > 0, item = sizeof(T);                                                  \
        for (int64_t j = 1; j < n; j++)                                                          \
            runs += column[j] != column[j - 1] + item;                                           \
        if (runs * 4 > n) {                                                                      \
            int64_t all[name##_width]; /* the last column again where there are no more */       \
            for (int64_t j = 0; j < name##_width; j++)                                           \
                all[j] = column[j < n ? j : n - 1];                                              \
            name##_pack_scattered(to, x, all, depth, count);                                     \
            return;                                                                              \
        }                                                                                        \
        if (n < name##_width) memset(to, 0, (size_t)(count * name##_width) * sizeof(A));         \
        for (int64_t j = 0, length; j < n; j += length) {                                        \
            for (length = 1; j + length < n && column[j + length] == column[j] + length * item;) \
                length++;                                                                        \
            name##_pack_run((A *)to + j, x + column[j], length, depth, count);                   \
        }                                                                                        \
    }

PACK(float16, uint16_t, float, pg_half_to_float)
PACK(bfloat16, uint16_t, float, pg_bfloat16_to_float)
PACK(float32, float, float, SAME)
PACK(float64, double, double, SAME)

#define LOOPS(name, A, lanes, dot, pack) \
    static const pg_conv_loops name##_loops = {sizeof(A), lanes, dot, name##_add, pack};
LOOPS(uint8, uint8_t, uint8_plain, uint8_dot, NULL)
LOOPS(uint16, uint16_t, uint16_plain, uint16_dot, NULL)
LOOPS(uint32, uint32_t, uint32_plain, uint32_dot, NULL)
LOOPS(uint64, uint64_t, uint64_plain, uint64_dot, NULL)
LOOPS(float16, float, float16_plain, float16_dot, float16_pack)
LOOPS(bfloat16, float, bfloat16_plain, bfloat16_dot, bfloat16_pack)
LOOPS(float32, float, float_lanes, float_dot, float32_pack)
LOOPS(float64, double, double_lanes, double_dot, float64_pack)

pg_conv_table PG_ISA_NAME(pg_conv_loops) = {
    /* signed products and sums have the bits of the unsigned ones */
    [PG_INT8] = &uint8_loops,        [PG_INT16] = &uint16_loops,    [PG_INT32] = &uint32_loops,
    [PG_INT64] = &uint64_loops,      [PG_UINT8] = &uint8_loops,     [PG_UINT16] = &uint16_loops,
    [PG_UINT32] = &uint32_loops,     [PG_UINT64] = &uint64_loops,   [PG_FLOAT16] = &float16_loops,
    [PG_BFLOAT16] = &bfloat16_loops, [PG_FLOAT32] = &float32_loops, [PG_FLOAT64] = &float64_loops,
};

/* ---- storing ----------------------------------------------------------------------------------- */

#define STORE(name, T, A, ROUND)                                                   \
    static void name##_store(int64_t n, const void *sum_, char *out, int64_t step) \
    {                                                                              \
        const A *sum = sum_;                                                       \
        if (step == (int64_t)sizeof(T))                                            \
            for (int64_t i = 0; i < n; i++)                                        \
                ((T *)out)[i] = ROUND(sum[i]);                                     \
        else                                                                       \
            for (int64_t i = 0; i < n; i++)                                        \
                *(T *)(out + i * step) = ROUND(sum[i]);                            \
    }

STORE(uint8, uint8_t, uint8_t, SAME)
STORE(uint16, uint16_t, uint16_t, SAME)
STORE(uint32, uint32_t, uint32_t, SAME)
STORE(uint64, uint64_t, uint64_t, SAME)
STORE(float16, uint16_t, float, pg_float_to_half)
STORE(bfloat16, uint16_t, float, pg_float_to_bfloat16)

pg_conv_store_table PG_ISA_NAME(pg_conv_stores) = {
    [PG_INT8] = uint8_store,        [PG_INT16] = uint16_store,   [PG_INT32] = uint32_store,
    [PG_INT64] = uint64_store,      [PG_UINT8] = uint8_store,    [PG_UINT16] = uint16_store,
    [PG_UINT32] = uint32_store,     [PG_UINT64] = uint64_store,  [PG_FLOAT16] = float16_store,
    [PG_BFLOAT16] = bfloat16_store, [PG_FLOAT32] = uint32_store, [PG_FLOAT64] = uint64_store,
};
