/* window_loops.c - the inner loops of window_search.c and overlap.c; windows.h says what they do.
 *
 * Compiled once per instruction set. A NaN is better than any number, and the first of equals is kept. */
#include "pequegrad_complex.h"
#include "windows.h"

#define SAME(x) (x)
#define GREATER(a, b) ((a) > (b))
#define LESS(a, b) ((a) < (b))

/* Blocks of fixed size, so that no lanes are left over for a loop with branches. */
#define LOAD_LANES(T, LOAD, OFFSET)     \
    for (int64_t i = from; i < to; i++) \
        seen[i] = LOAD(*(const T *)(x + (OFFSET)));

#define SEE(name, T, A, LOAD, BETTER)                                                         \
    static void name(pg_window_best *best, int64_t lanes, int64_t from, int64_t to,           \
                     const char *restrict x, int64_t stride, int32_t tap)                     \
    {                                                                                         \
        _Alignas(64) A seen[PG_WINDOW_LANES];                                                 \
        for (int64_t i = 0; i < from; i++)                                                    \
            seen[i] = 0;                                                                      \
        if (stride == (int64_t)sizeof(T)) {                                                   \
            LOAD_LANES(T, LOAD, i * (int64_t)sizeof(T))                                       \
        } else {                                                                              \
            LOAD_LANES(T, LOAD, i * stride)                                                   \
        }                                                                                     \
        for (int64_t i = to; i < lanes; i++)                                                  \
            seen[i] = 0;                                                                      \
        for (int64_t block = 0; block < lanes; block += PG_WINDOW_BLOCK) {                    \
            A *restrict value = (A *)best->value + block;                                     \
            int32_t *restrict place = best->tap + block;                                      \
            const A *restrict new = seen + block;                                             \
            int32_t first = (int32_t)(from - block), end = (int32_t)(to - block);             \
            for (int32_t i = 0; i < PG_WINDOW_BLOCK; i++) {                                   \
                int better =                                                                  \
                    BETTER(new[i], value[i]) | ((new[i] != new[i]) & (value[i] == value[i])); \
                int beats = (better | (place[i] < 0)) & (i >= first) & (i < end);             \
                value[i] = beats ? new[i] : value[i];                                         \
                place[i] = beats ? tap : place[i];                                            \
            }                                                                                 \
        }                                                                                     \
    }
#define SEE_BOTH(name, T, A, LOAD)           \
    SEE(largest_##name, T, A, LOAD, GREATER) \
    SEE(smallest_##name, T, A, LOAD, LESS)

SEE_BOTH(int8, int8_t, int8_t, SAME)
SEE_BOTH(int16, int16_t, int16_t, SAME)
SEE_BOTH(int32, int32_t, int32_t, SAME)
SEE_BOTH(int64, int64_t, int64_t, SAME)
SEE_BOTH(uint8, uint8_t, uint8_t, SAME)
SEE_BOTH(uint16, uint16_t, uint16_t, SAME)
SEE_BOTH(uint32, uint32_t, uint32_t, SAME)
SEE_BOTH(uint64, uint64_t, uint64_t, SAME)
SEE_BOTH(float16, uint16_t, float, pg_half_to_float)
SEE_BOTH(bfloat16, uint16_t, float, pg_bfloat16_to_float)
SEE_BOTH(float32, float, float, SAME)
SEE_BOTH(float64, double, double, SAME)

#define ROW(name)                                                       \
    {                                                                   \
        [PG_BOOL] = name##_uint8,        [PG_INT8] = name##_int8,       \
        [PG_INT16] = name##_int16,       [PG_INT32] = name##_int32,     \
        [PG_INT64] = name##_int64,       [PG_UINT8] = name##_uint8,     \
        [PG_UINT16] = name##_uint16,     [PG_UINT32] = name##_uint32,   \
        [PG_UINT64] = name##_uint64,     [PG_FLOAT16] = name##_float16, \
        [PG_BFLOAT16] = name##_bfloat16, [PG_FLOAT32] = name##_float32, \
        [PG_FLOAT64] = name##_float64}

pg_window_table PG_ISA_NAME(pg_window_loops) = {ROW(largest), ROW(smallest)};

/* ---- adding ------------------------------------------------------------------------------------ */

#define ADD_LANES(T, A, LOAD, computed, ACC_STEP, STEP)                   \
    for (int64_t i = 0; i < n; i++) {                                     \
        A *to = (A *)(acc + i * (ACC_STEP));                              \
        *to = pg_add_##computed(*to, LOAD(*(const T *)(x + i * (STEP)))); \
    }
#define ADD(name, T, A, LOAD, computed)                                             \
    static void add_##name(int64_t n, char *restrict acc, int64_t acc_step,         \
                           const char *restrict x, int64_t step)                    \
    {                                                                               \
        if (acc_step == (int64_t)sizeof(A) && step == (int64_t)sizeof(T)) {         \
            ADD_LANES(T, A, LOAD, computed, (int64_t)sizeof(A), (int64_t)sizeof(T)) \
        } else {                                                                    \
            ADD_LANES(T, A, LOAD, computed, acc_step, step)                         \
        }                                                                           \
    }

ADD(uint8, uint8_t, uint8_t, SAME, uint8)
ADD(uint16, uint16_t, uint16_t, SAME, uint16)
ADD(uint32, uint32_t, uint32_t, SAME, uint32)
ADD(uint64, uint64_t, uint64_t, SAME, uint64)
ADD(float16, uint16_t, float, pg_half_to_float, float32)
ADD(bfloat16, uint16_t, float, pg_bfloat16_to_float, float32)
ADD(float32, float, float, SAME, float32)
ADD(float64, double, double, SAME, float64)
ADD(complex64, pg_complex64, pg_complex64, SAME, complex64)
ADD(complex128, pg_complex128, pg_complex128, SAME, complex128)

pg_window_add_table PG_ISA_NAME(pg_window_adds) = {
    /* signed sums have the bits of the unsigned ones */
    [PG_INT8] = add_uint8,          [PG_INT16] = add_uint16,          [PG_INT32] = add_uint32,
    [PG_INT64] = add_uint64,        [PG_UINT8] = add_uint8,           [PG_UINT16] = add_uint16,
    [PG_UINT32] = add_uint32,       [PG_UINT64] = add_uint64,         [PG_FLOAT16] = add_float16,
    [PG_BFLOAT16] = add_bfloat16,   [PG_FLOAT32] = add_float32,       [PG_FLOAT64] = add_float64,
    [PG_COMPLEX64] = add_complex64, [PG_COMPLEX128] = add_complex128,
};

/* ---- putting ----------------------------------------------------------------------------------- */

#define PUT(name, T, A, LOAD)                                                            \
    static void put_##name(int64_t n, const int64_t *index, const char *x, int64_t step, \
                           void *acc)                                                    \
    {                                                                                    \
        for (int64_t i = 0; i < n; i++)                                                  \
            if (index[i] >= 0) ((A *)acc)[index[i]] += LOAD(*(const T *)(x + i * step)); \
    }

PUT(float16, uint16_t, float, pg_half_to_float)
PUT(bfloat16, uint16_t, float, pg_bfloat16_to_float)
PUT(float32, float, float, SAME)
PUT(float64, double, double, SAME)

pg_window_put_table PG_ISA_NAME(pg_window_puts) = {
    [PG_FLOAT16] = put_float16,
    [PG_BFLOAT16] = put_bfloat16,
    [PG_FLOAT32] = put_float32,
    [PG_FLOAT64] = put_float64,
};
