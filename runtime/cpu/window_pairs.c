/* window_pairs.c - windows of 2 x 2 float32 side by side, the commonest pooling; windows.h says what is computed.
 *
 * Compiled once per instruction set. Several windows become vectors: of neighbours as they lie (`apart`), or of two rows that are
 * picked apart and put together again in registers. The elements of a window are compared in two rounds, in which
 * a NaN beats any number and the first of equals wins. */
#include "windows.h"

#include "vectors.h"

/* Elements 0 and 1 of a window are above 2 and 3. */
#define BLOCK(N, LEFT, RIGHT, FIRST, SECOND)                                                       \
    typedef float floats_##N __attribute__((vector_size(4 * N), aligned(4), may_alias));           \
    typedef int32_t mask_##N __attribute__((vector_size(4 * N)));                                  \
    static ALWAYS_INLINE void load_##N(bool apart, const float *const *x, int64_t j,               \
                                       floats_##N *v)                                              \
    {                                                                                              \
        for (int k = 0; k < 4 && apart; k++)                                                       \
            v[k] = *(const floats_##N *)(x[k] + j);                                                \
        for (int k = 0; k < 4 && !apart; k += 2) {                                                 \
            const floats_##N *row = (const floats_##N *)(x[k] + 2 * j);                            \
            v[k] = __builtin_shufflevector(row[0], row[1], LEFT);                                  \
            v[k + 1] = __builtin_shufflevector(row[0], row[1], RIGHT);                             \
        }                                                                                          \
    }                                                                                              \
    static ALWAYS_INLINE mask_##N better_##N(bool largest, floats_##N b, floats_##N a)             \
    {                                                                                              \
        return (largest ? b > a : b < a) | ((b != b) & (a == a));                                  \
    }                                                                                              \
    static ALWAYS_INLINE floats_##N pick_##N(mask_##N mask, floats_##N b, floats_##N a)            \
    {                                                                                              \
        return (floats_##N)(((mask_##N)b & mask) | ((mask_##N)a & ~mask));                         \
    }                                                                                              \
    static ALWAYS_INLINE void reduce_##N(bool largest, bool apart, const float *const *x,          \
                                         int64_t j, float *out)                                    \
    {                                                                                              \
        floats_##N v[4];                                                                           \
        load_##N(apart, x, j, v);                                                                  \
        floats_##N above = pick_##N(better_##N(largest, v[1], v[0]), v[1], v[0]);                  \
        floats_##N below = pick_##N(better_##N(largest, v[3], v[2]), v[3], v[2]);                  \
        *(floats_##N *)(out + j) = pick_##N(better_##N(largest, below, above), below, above);      \
    }                                                                                              \
    static ALWAYS_INLINE void put_##N(bool largest, bool apart, const float *const *x,             \
                                      const float *ct, int64_t j, float *const *out)               \
    {                                                                                              \
        floats_##N v[4];                                                                           \
        load_##N(apart, x, j, v);                                                                  \
        mask_##N right = better_##N(largest, v[1], v[0]),                                          \
                 right_below = better_##N(largest, v[3], v[2]);                                    \
        mask_##N low =                                                                             \
            better_##N(largest, pick_##N(right_below, v[3], v[2]), pick_##N(right, v[1], v[0]));   \
        mask_##N y = (mask_##N) * (const floats_##N *)(ct + j), above = y & ~low, below = y & low; \
        v[0] = (floats_##N)(above & ~right), v[1] = (floats_##N)(above & right);                   \
        v[2] = (floats_##N)(below & ~right_below), v[3] = (floats_##N)(below & right_below);       \
        for (int k = 0; k < 4 && apart; k++)                                                       \
            *(floats_##N *)(out[k] + j) = v[k];                                                    \
        for (int k = 0; k < 4 && !apart; k += 2) {                                                 \
            floats_##N *row = (floats_##N *)(out[k] + 2 * j);                                      \
            row[0] = __builtin_shufflevector(v[k], v[k + 1], FIRST);                               \
            row[1] = __builtin_shufflevector(v[k], v[k + 1], SECOND);                              \
        }                                                                                          \
    }

#if PG_HAS_SHUFFLE && defined(__AVX512F__)
BLOCK(16, PG_LIST(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30),
      PG_LIST(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31),
      PG_LIST(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23),
      PG_LIST(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31))
#define BY_16(DO)                \
    for (; j + 16 <= n; j += 16) \
    DO(16)
#else
#define BY_16(DO) (void)0
#endif
#if PG_HAS_SHUFFLE && defined(__AVX2__)
BLOCK(8, PG_LIST(0, 2, 4, 6, 8, 10, 12, 14), PG_LIST(1, 3, 5, 7, 9, 11, 13, 15),
      PG_LIST(0, 8, 1, 9, 2, 10, 3, 11), PG_LIST(4, 12, 5, 13, 6, 14, 7, 15))
#define BY_8(DO)               \
    for (; j + 8 <= n; j += 8) \
    DO(8)
#else
#define BY_8(DO) (void)0
#endif
#if PG_HAS_SHUFFLE
BLOCK(4, PG_LIST(0, 2, 4, 6), PG_LIST(1, 3, 5, 7), PG_LIST(0, 4, 1, 5), PG_LIST(2, 6, 3, 7))
#define BY_4(DO)               \
    for (; j + 4 <= n; j += 4) \
    DO(4)
#else
#define BY_4(DO) (void)0
#endif

static ALWAYS_INLINE bool better(bool largest, float b, float a)
{
    return (largest ? b > a : b < a) || (b != b && a == a);
}

/* The place of the best of window j. */
static ALWAYS_INLINE int best(bool largest, const float *const *x, int64_t at)
{
    int above = better(largest, x[1][at], x[0][at]) ? 1 : 0,
        below = better(largest, x[3][at], x[2][at]) ? 3 : 2;
    return better(largest, x[below][at], x[above][at]) ? below : above;
}

static ALWAYS_INLINE void reduce(bool largest, bool apart, const pg_window_pairs *p, const char *x_,
                                 char *out_)
{
    int64_t n = p->count;
    for (int64_t row = 0; row < p->rows; row++, x_ += p->x_row, out_ += p->out_row) {
        const float *x[] = {(const float *)x_, (const float *)(x_ + p->x_right),
                            (const float *)(x_ + p->x_below),
                            (const float *)(x_ + p->x_below + p->x_right)};
        float *out = (float *)out_;
        int64_t j = 0;
#define DO(N) reduce_##N(largest, apart, x, j, out)
        BY_16(DO);
        BY_8(DO);
        BY_4(DO);
#undef DO
        for (; j < n; j++) {
            int64_t at = apart ? j : 2 * j;
            out[j] = x[best(largest, x, at)][at];
        }
    }
}

static ALWAYS_INLINE void put(bool largest, bool apart, const pg_window_pairs *p, const char *x_,
                              const char *ct_, char *to)
{
    int64_t n = p->count;
    for (int64_t row = 0; row < p->rows;
         row++, x_ += p->x_row, to += p->to_row, ct_ += p->out_row) {
        const float *x[] = {(const float *)x_, (const float *)(x_ + p->x_right),
                            (const float *)(x_ + p->x_below),
                            (const float *)(x_ + p->x_below + p->x_right)};
        float *out[] = {(float *)to, (float *)(to + p->to_right), (float *)(to + p->to_below),
                        (float *)(to + p->to_below + p->to_right)};
        const float *ct = (const float *)ct_;
        int64_t j = 0;
#define DO(N) put_##N(largest, apart, x, ct, j, out)
        BY_16(DO);
        BY_8(DO);
        BY_4(DO);
#undef DO
        for (; j < n; j++) {
            int64_t at = apart ? j : 2 * j;
            int place = best(largest, x, at);
            for (int k = 0; k < 4; k++)
                out[k][at] = k == place ? ct[j] : 0;
        }
    }
}

void PG_ISA_NAME(pg_window_pairs_reduce)(const pg_window_pairs *p, const char *x, char *out)
{
    if (p->apart && p->largest)
        reduce(true, true, p, x, out);
    else if (p->apart)
        reduce(false, true, p, x, out);
    else if (p->largest)
        reduce(true, false, p, x, out);
    else
        reduce(false, false, p, x, out);
}

void PG_ISA_NAME(pg_window_pairs_put)(const pg_window_pairs *p, const char *x, const char *ct,
                                      char *to)
{
    if (p->apart && p->largest)
        put(true, true, p, x, ct, to);
    else if (p->apart)
        put(false, true, p, x, ct, to);
    else if (p->largest)
        put(true, false, p, x, ct, to);
    else
        put(false, false, p, x, ct, to);
}
