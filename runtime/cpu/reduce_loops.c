/* reduce_loops.c - the inner loops of reductions; reduce.h says what each must do.
 *
 * Compiled once per instruction set. Every loop runs over lanes that do not depend on each other,
 * so that the compiler vectorises all of them, and the result is the same on every processor.
 * NaN: max and min return it as soon as either argument is one. Integers wrap around. */
#include "reduce.h"

#include "cpu.h"
#include "pequegrad_complex.h"

#include <math.h>

#define SAME(x) (x)

/* As pg_max_float32 and so on, written so that gcc makes selections of it, not branches. A NaN `b`
 * makes the first comparison false and wins; a NaN `a` is kept by the second. */
#define MAXIMUM(T)                    \
    static inline T max_##T(T a, T b) \
    {                                 \
        T larger = a > b ? a : b;     \
        return a == a ? larger : a;   \
    }
#define MINIMUM(T)                    \
    static inline T min_##T(T a, T b) \
    {                                 \
        T smaller = a < b ? a : b;    \
        return a == a ? smaller : a;  \
    }
MAXIMUM(float)
MAXIMUM(double)
MINIMUM(float)
MINIMUM(double)

/* Four rows at a time: the accumulator is read and written a quarter as often, and the rounding
 * errors of the four meet in a tree. `at(x, j * s)` is the element j * s bytes behind x. */
#define ACCUMULATE_ROWS(A, op, at, s)                                                             \
    for (; rows >= 4; rows -= 4, x += 4 * row_stride) {                                           \
        const char *x1 = x + row_stride, *x2 = x1 + row_stride, *x3 = x2 + row_stride;            \
        for (int64_t j = 0; j < n; j++) {                                                         \
            A first = op(at(x, j * s), at(x1, j * s)), second = op(at(x2, j * s), at(x3, j * s)); \
            acc[j] = op(acc[j], op(first, second));                                               \
        }                                                                                         \
    }                                                                                             \
    for (; rows > 0; rows--, x += row_stride)                                                     \
        for (int64_t j = 0; j < n; j++)                                                           \
            acc[j] = op(acc[j], at(x, j * s));

/* T: element type in memory; A: type of the accumulator; OP(IDENTITY, x) = x. */
#define REDUCTION(name, T, A, LOAD, STORE, IDENTITY, OP)                               \
    static inline A name##_at(const char *x, int64_t offset)                           \
    {                                                                                  \
        return LOAD(*(const T *)(x + offset));                                         \
    }                                                                                  \
    static void name##_fill(void *acc_, int64_t n)                                     \
    {                                                                                  \
        A *acc = acc_;                                                                 \
        for (int64_t j = 0; j < n; j++)                                                \
            acc[j] = IDENTITY;                                                         \
    }                                                                                  \
    static void name##_accumulate(void *acc_, const char *restrict x, int64_t rows,    \
                                  int64_t row_stride, int64_t n, int64_t stride)       \
    {                                                                                  \
        A *restrict acc = acc_;                                                        \
        if (stride == (int64_t)sizeof(T)) {                                            \
            ACCUMULATE_ROWS(A, OP, name##_at, (int64_t)sizeof(T))                      \
        } else {                                                                       \
            ACCUMULATE_ROWS(A, OP, name##_at, stride)                                  \
        }                                                                              \
    }                                                                                  \
    static void name##_merge(void *acc_, const void *other_, int64_t n)                \
    {                                                                                  \
        A *restrict acc = acc_;                                                        \
        const A *restrict other = other_;                                              \
        for (int64_t j = 0; j < n; j++)                                                \
            acc[j] = OP(acc[j], other[j]);                                             \
    }                                                                                  \
    static void name##_fold(void *acc, int64_t groups, int64_t n)                      \
    {                                                                                  \
        while (groups > 1) {                                                           \
            int64_t half = (groups + 1) / 2;                                           \
            name##_merge(acc, (A *)acc + half * n, (groups - half) * n);               \
            groups = half;                                                             \
        }                                                                              \
    }                                                                                  \
    static void name##_store(const void *acc_, char *out, int64_t stride, int64_t n)   \
    {                                                                                  \
        const A *acc = acc_;                                                           \
        for (int64_t j = 0; j < n; j++)                                                \
            *(T *)(out + j * stride) = STORE(acc[j]);                                  \
    }                                                                                  \
    static const pg_reduce_loops name = {sizeof(A),    name##_fill, name##_accumulate, \
                                         name##_merge, name##_fold, name##_store};

#define INTEGERS(name, T, LOWEST, HIGHEST)                          \
    REDUCTION(sum_##name, T, T, SAME, SAME, 0, pg_add_##name)       \
    REDUCTION(prod_##name, T, T, SAME, SAME, 1, pg_mul_##name)      \
    REDUCTION(max_##name, T, T, SAME, SAME, LOWEST, pg_max_##name)  \
    REDUCTION(min_##name, T, T, SAME, SAME, HIGHEST, pg_min_##name) \
    REDUCTION(and_##name, T, T, SAME, SAME, (T) - 1, pg_and_##name) \
    REDUCTION(or_##name, T, T, SAME, SAME, 0, pg_or_##name)
#define FLOATS(name, T, A, LOAD, STORE, computed)                   \
    REDUCTION(sum_##name, T, A, LOAD, STORE, 0, pg_add_##computed)  \
    REDUCTION(prod_##name, T, A, LOAD, STORE, 1, pg_mul_##computed) \
    REDUCTION(max_##name, T, A, LOAD, STORE, -(A)INFINITY, max_##A) \
    REDUCTION(min_##name, T, A, LOAD, STORE, (A)INFINITY, min_##A)
/* The plain product. Its parts pass through memory, since gcc 12 would fuse them with the sum where it
 * vectorises, whatever -ffp-contract says. */
#define PRODUCT(name, R)                                                      \
    static inline pg_##name product_##name(pg_##name a, pg_##name b)          \
    {                                                                         \
        volatile R second = a.im * b.im, fourth = a.im * b.re;                \
        return pg_complex_##name(a.re * b.re - second, a.re * b.im + fourth); \
    }
PRODUCT(complex64, float)
PRODUCT(complex128, double)
#define COMPLEX(name)                                                                 \
    REDUCTION(sum_##name, pg_##name, pg_##name, SAME, SAME, pg_complex_##name(0, 0),  \
              pg_add_##name)                                                          \
    REDUCTION(prod_##name, pg_##name, pg_##name, SAME, SAME, pg_complex_##name(1, 0), \
              product_##name)

REDUCTION(or_bool, uint8_t, uint8_t, SAME, SAME, 0, pg_or_bool)
REDUCTION(and_bool, uint8_t, uint8_t, SAME, SAME, 1, pg_and_bool)
INTEGERS(int8, int8_t, INT8_MIN, INT8_MAX)
INTEGERS(int16, int16_t, INT16_MIN, INT16_MAX)
INTEGERS(int32, int32_t, INT32_MIN, INT32_MAX)
INTEGERS(int64, int64_t, INT64_MIN, INT64_MAX)
INTEGERS(uint8, uint8_t, 0, UINT8_MAX)
INTEGERS(uint16, uint16_t, 0, UINT16_MAX)
INTEGERS(uint32, uint32_t, 0, UINT32_MAX)
INTEGERS(uint64, uint64_t, 0, UINT64_MAX)
FLOATS(float16, uint16_t, float, pg_half_to_float, pg_float_to_half, float32)
FLOATS(bfloat16, uint16_t, float, pg_bfloat16_to_float, pg_float_to_bfloat16, float32)
FLOATS(float32, float, float, SAME, SAME, float32)
FLOATS(float64, double, double, SAME, SAME, float64)
COMPLEX(complex64)
COMPLEX(complex128)

#define INTEGER_ROW(name)                                                                 \
    [PG_INT8] = &name##_int8, [PG_INT16] = &name##_int16, [PG_INT32] = &name##_int32,     \
    [PG_INT64] = &name##_int64, [PG_UINT8] = &name##_uint8, [PG_UINT16] = &name##_uint16, \
    [PG_UINT32] = &name##_uint32, [PG_UINT64] = &name##_uint64
#define FLOAT_ROW(name)                                               \
    [PG_FLOAT16] = &name##_float16, [PG_BFLOAT16] = &name##_bfloat16, \
    [PG_FLOAT32] = &name##_float32, [PG_FLOAT64] = &name##_float64
#define COMPLEX_ROW(name) [PG_COMPLEX64] = &name##_complex64, [PG_COMPLEX128] = &name##_complex128

pg_reduce_table PG_ISA_NAME(pg_reduce_loops) = {
    [PG_SUM] = {[PG_BOOL] = &or_bool, INTEGER_ROW(sum), FLOAT_ROW(sum), COMPLEX_ROW(sum)},
    [PG_PROD] = {[PG_BOOL] = &and_bool, INTEGER_ROW(prod), FLOAT_ROW(prod), COMPLEX_ROW(prod)},
    [PG_MAX] = {[PG_BOOL] = &or_bool, INTEGER_ROW(max), FLOAT_ROW(max)},
    [PG_MIN] = {[PG_BOOL] = &and_bool, INTEGER_ROW(min), FLOAT_ROW(min)},
    [PG_AND] = {[PG_BOOL] = &and_bool, INTEGER_ROW(and)},
    [PG_OR] = {[PG_BOOL] = &or_bool, INTEGER_ROW(or)},
};
