/* elementwise_loops.h - macros that turn a function of pequegrad_scalar.h into loops for many dtypes.
 *
 * LOOP macros are given an operation, a dtype, and the dtype it is computed in; FOR_ macros apply one
 * to a group of dtypes; LOOPS_ macros list the results for pg_elementwise.loops. Example:
 *
 *     FOR_FLOAT(UNARY_LOOP, floor)                  // floor_float16 ... floor_float64
 *     UNARY_KERNEL(floor, PG_GRAIN_CHEAP, LOOPS_FLOAT(floor))
 */
/* The formatter takes lists of macros for expressions. */
/* clang-format off */
#ifndef PG_ELEMENTWISE_LOOPS_H
#define PG_ELEMENTWISE_LOOPS_H

#include "elementwise_complex.h"
#include "pequegrad_complex.h"

#undef bool /* below it is the name of a dtype, pasted into other names */

/* Elements do not depend on one another, even where out and in are the same memory. */
#ifndef PG_SIMD
#define PG_SIMD _Pragma("omp simd")
#endif

/* ---- dtypes: how an element is stored, and its value ------------------------------------------- */

#define PG_PLAIN_STORAGE(dtype, T)                                                                 \
    typedef T pg_storage_##dtype;                                                                  \
    static inline T pg_load_##dtype(T x) { return x; }                                             \
    static inline T pg_store_##dtype(T x) { return x; }
PG_PLAIN_STORAGE(bool, uint8_t)
PG_PLAIN_STORAGE(int8, int8_t)
PG_PLAIN_STORAGE(int16, int16_t)
PG_PLAIN_STORAGE(int32, int32_t)
PG_PLAIN_STORAGE(int64, int64_t)
PG_PLAIN_STORAGE(uint8, uint8_t)
PG_PLAIN_STORAGE(uint16, uint16_t)
PG_PLAIN_STORAGE(uint32, uint32_t)
PG_PLAIN_STORAGE(uint64, uint64_t)
PG_PLAIN_STORAGE(float32, float)
PG_PLAIN_STORAGE(float64, double)
PG_PLAIN_STORAGE(complex64, pg_complex64)
PG_PLAIN_STORAGE(complex128, pg_complex128)
typedef uint16_t pg_storage_float16, pg_storage_bfloat16;
#define pg_load_float16 pg_half_to_float
#define pg_store_float16 pg_float_to_half
#define pg_load_bfloat16 pg_bfloat16_to_float
#define pg_store_bfloat16 pg_float_to_bfloat16

#define FOR_SIGNED(X, op) X(op, int8, int8) X(op, int16, int16) X(op, int32, int32) X(op, int64, int64)
#define FOR_UNSIGNED(X, op)                                                                        \
    X(op, uint8, uint8) X(op, uint16, uint16) X(op, uint32, uint32) X(op, uint64, uint64)
#define FOR_FLOAT(X, op)                                                                           \
    X(op, float16, float32) X(op, bfloat16, float32) X(op, float32, float32) X(op, float64, float64)
#define FOR_BOOL(X, op) X(op, bool, bool)
#define FOR_INTEGER(X, op) FOR_SIGNED(X, op) FOR_UNSIGNED(X, op)
#define FOR_NUMBER(X, op) FOR_INTEGER(X, op) FOR_FLOAT(X, op)
#define FOR_LOGICAL(X, op) FOR_BOOL(X, op) FOR_INTEGER(X, op)
#define FOR_ANY(X, op) FOR_BOOL(X, op) FOR_NUMBER(X, op)

#define LOOPS_BOOL(op) [PG_BOOL] = op##_bool
#define LOOPS_INTEGER(op)                                                                          \
    [PG_INT8] = op##_int8, [PG_INT16] = op##_int16, [PG_INT32] = op##_int32,                       \
    [PG_INT64] = op##_int64, [PG_UINT8] = op##_uint8, [PG_UINT16] = op##_uint16,                   \
    [PG_UINT32] = op##_uint32, [PG_UINT64] = op##_uint64
#define LOOPS_FLOAT(op)                                                                            \
    [PG_FLOAT16] = op##_float16, [PG_BFLOAT16] = op##_bfloat16, [PG_FLOAT32] = op##_float32,       \
    [PG_FLOAT64] = op##_float64
#define LOOPS_NUMBER(op) LOOPS_INTEGER(op), LOOPS_FLOAT(op)
#define LOOPS_LOGICAL(op) LOOPS_BOOL(op), LOOPS_INTEGER(op)
#define LOOPS_ANY(op) LOOPS_BOOL(op), LOOPS_NUMBER(op)

/* ---- loops ------------------------------------------------------------------------------------- */

#define LOOP_HEAD(name)                                                                            \
    static void name(char *out, const char *const *in, const int64_t *strides, int64_t n,          \
                     int64_t parameter)

/* TO and FROM are storage types; `value` is computed from x. */
#define UNARY_BODY(TO, FROM, value)                                                                \
    const char *at = in[0];                                                                        \
    (void)parameter;                                                                               \
    if (strides[0] == sizeof(TO) && strides[1] == sizeof(FROM)) {                                  \
        TO *to = (TO *)out;                                                                        \
        const FROM *from = (const FROM *)at;                                                       \
        PG_SIMD for (int64_t i = 0; i < n; i++)                                                    \
        {                                                                                          \
            FROM x = from[i];                                                                      \
            to[i] = value;                                                                         \
        }                                                                                          \
        return;                                                                                    \
    }                                                                                              \
    for (int64_t i = 0; i < n; i++, out += strides[0], at += strides[1]) {                         \
        FROM x = *(const FROM *)at;                                                                \
        *(TO *)out = value;                                                                        \
    }

/* The same with two inputs, x and y; either may be a single value. */
#define BINARY_BODY(TO, FROM, value)                                                               \
    const char *at = in[0], *bt = in[1];                                                           \
    const FROM *a = (const FROM *)at, *b = (const FROM *)bt;                                       \
    const int64_t size = sizeof(FROM);                                                             \
    TO *to = (TO *)out;                                                                            \
    (void)parameter;                                                                               \
    if (strides[0] == sizeof(TO) && strides[1] == size && strides[2] == size) {                    \
        PG_SIMD for (int64_t i = 0; i < n; i++)                                                    \
        {                                                                                          \
            FROM x = a[i], y = b[i];                                                               \
            to[i] = value;                                                                         \
        }                                                                                          \
    } else if (strides[0] == sizeof(TO) && strides[1] == size && strides[2] == 0) {                \
        const FROM y = *b;                                                                         \
        PG_SIMD for (int64_t i = 0; i < n; i++)                                                    \
        {                                                                                          \
            FROM x = a[i];                                                                         \
            to[i] = value;                                                                         \
        }                                                                                          \
    } else if (strides[0] == sizeof(TO) && strides[1] == 0 && strides[2] == size) {                \
        const FROM x = *a;                                                                         \
        PG_SIMD for (int64_t i = 0; i < n; i++)                                                    \
        {                                                                                          \
            FROM y = b[i];                                                                         \
            to[i] = value;                                                                         \
        }                                                                                          \
    } else {                                                                                       \
        for (int64_t i = 0; i < n; i++) {                                                          \
            FROM x = *(const FROM *)at, y = *(const FROM *)bt;                                     \
            *(TO *)out = value;                                                                    \
            out += strides[0];                                                                     \
            at += strides[1];                                                                      \
            bt += strides[2];                                                                      \
        }                                                                                          \
    }

#define UNARY_LOOP(op, dtype, compute)                                                             \
    LOOP_HEAD(op##_##dtype)                                                                        \
    {                                                                                              \
        UNARY_BODY(pg_storage_##dtype, pg_storage_##dtype,                                         \
                   pg_store_##dtype(pg_##op##_##compute(pg_load_##dtype(x))))                      \
    }
#define TEST_LOOP(op, dtype, compute) /* T -> bool */                                              \
    LOOP_HEAD(op##_##dtype)                                                                        \
    {                                                                                              \
        UNARY_BODY(uint8_t, pg_storage_##dtype, pg_##op##_##compute(pg_load_##dtype(x)))           \
    }
#define BINARY_LOOP(op, dtype, compute)                                                            \
    LOOP_HEAD(op##_##dtype)                                                                        \
    {                                                                                              \
        BINARY_BODY(pg_storage_##dtype, pg_storage_##dtype,                                        \
                    pg_store_##dtype(                                                              \
                        pg_##op##_##compute(pg_load_##dtype(x), pg_load_##dtype(y))))              \
    }
#define COMPARE_LOOP(op, dtype, compute) /* T, T -> bool */                                        \
    LOOP_HEAD(op##_##dtype)                                                                        \
    {                                                                                              \
        BINARY_BODY(uint8_t, pg_storage_##dtype,                                                   \
                    pg_##op##_##compute(pg_load_##dtype(x), pg_load_##dtype(y)))                   \
    }

/* ---- kernels ----------------------------------------------------------------------------------- */

/* Defines prepare_<op>; ... are fields of pg_elementwise. KERNEL_ENTRY is its line in the table. */
#define ELEMENTWISE_KERNEL(op, ...)                                                                \
    static pg_status prepare_##op(pg_op *op_)                                                      \
    {                                                                                              \
        static const pg_elementwise kind = {__VA_ARGS__};                                          \
        return pg_elementwise_prepare(op_, &kind);                                                 \
    }
#define UNARY_KERNEL(op, grain_, ...)                                                              \
    ELEMENTWISE_KERNEL(op, .n_in = 1, .grain = grain_, .loops = {__VA_ARGS__})
#define BINARY_KERNEL(op, grain_, ...)                                                             \
    ELEMENTWISE_KERNEL(op, .n_in = 2, .grain = grain_, .loops = {__VA_ARGS__})
#define COMPARE_KERNEL(op, grain_, ...)                                                            \
    ELEMENTWISE_KERNEL(op, .n_in = 2, .gives_bool = 1, .grain = grain_, .loops = {__VA_ARGS__})
#define KERNEL_ENTRY(op) {#op, prepare_##op, pg_elementwise_run},

#endif
