/* vectors.h - what loops on vectors share. For files that are compiled once per instruction set (ISA_SOURCES). */
#ifndef PG_VECTORS_H
#define PG_VECTORS_H

#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64 };
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32 };
#else
enum { VECTOR_BYTES = 16 };
#endif

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* Loops over registers: whole, and early, or what they hold would live in memory. */
#ifdef __clang__
#define PG_UNROLL _Pragma("clang loop unroll(full)")
#else
#define PG_UNROLL _Pragma("GCC unroll 16")
#endif

#define PG_HAS_SHUFFLE 0
#ifdef __has_builtin
#if __has_builtin(__builtin_shufflevector)
#undef PG_HAS_SHUFFLE
#define PG_HAS_SHUFFLE 1
#endif
#endif

/* PG_SQUARE_N(name, A): the N rows of N elements of type A, name_row each, are transposed, in rounds that each interleave
 * the first half of the rows with the second. */
#if PG_HAS_SHUFFLE
#define PG_LIST(...) __VA_ARGS__
#define PG_SQUARE(name, A, N, FIRST, SECOND)                                                  \
    typedef A name##_row __attribute__((vector_size(N * sizeof(A)), aligned(sizeof(A))));     \
    static ALWAYS_INLINE void name(name##_row *rows)                                          \
    {                                                                                         \
        name##_row mixed[N];                                                                  \
        PG_UNROLL for (int round = 1; round < N; round *= 2)                                  \
        {                                                                                     \
            PG_UNROLL for (int i = 0; i < N / 2; i++)                                         \
            {                                                                                 \
                mixed[2 * i] = __builtin_shufflevector(rows[i], rows[i + N / 2], FIRST);      \
                mixed[2 * i + 1] = __builtin_shufflevector(rows[i], rows[i + N / 2], SECOND); \
            }                                                                                 \
            PG_UNROLL for (int i = 0; i < N; i++) rows[i] = mixed[i];                         \
        }                                                                                     \
    }
#define PG_SQUARE_2(name, A) PG_SQUARE(name, A, 2, PG_LIST(0, 2), PG_LIST(1, 3))
#define PG_SQUARE_4(name, A) PG_SQUARE(name, A, 4, PG_LIST(0, 4, 1, 5), PG_LIST(2, 6, 3, 7))
#define PG_SQUARE_8(name, A) \
    PG_SQUARE(name, A, 8, PG_LIST(0, 8, 1, 9, 2, 10, 3, 11), PG_LIST(4, 12, 5, 13, 6, 14, 7, 15))
#define PG_SQUARE_16(name, A)                                                               \
    PG_SQUARE(name, A, 16, PG_LIST(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23), \
              PG_LIST(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31))

/* pg_square_A: rows are whole vectors; pg_small_square_A: they have 32 bytes at the most. */
#if defined(__AVX512F__)
PG_SQUARE_16(pg_square_float, float)
PG_SQUARE_8(pg_square_double, double)
#elif defined(__AVX2__)
PG_SQUARE_8(pg_square_float, float)
PG_SQUARE_4(pg_square_double, double)
#else
PG_SQUARE_4(pg_square_float, float)
PG_SQUARE_2(pg_square_double, double)
#endif
#if defined(__AVX2__)
PG_SQUARE_8(pg_small_square_float, float)
PG_SQUARE_4(pg_small_square_double, double)
#else
PG_SQUARE_4(pg_small_square_float, float)
PG_SQUARE_2(pg_small_square_double, double)
#endif
#endif

#endif
