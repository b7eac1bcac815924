/* elementwise_convert.c - `convert`: any dtype to any dtype.
 *
 * To bool: x != 0 (NaN is true). Float to integer: truncate, saturate, NaN = 0. Integer to integer:
 * wrap. Real to complex: the imaginary part is 0. Complex to real: the real part; to bool: not 0.
 * To float: nearest, ties to even, rounded once also from float64 to the 16-bit formats. */
/* The formatter takes lists of macros for expressions. */
/* clang-format off */
#include "elementwise_loops.h"

/* VALUE_<to>_<class>(x): x is an integer (class int), a float (f32; the value of the 16-bit formats,
 * too) or a double (f64). */
#define VALUE_bool_int(x) ((uint8_t)((x) != 0))
#define VALUE_bool_f32(x) ((uint8_t)((x) != 0))
#define VALUE_bool_f64(x) ((uint8_t)((x) != 0))

#define VALUE_int8_int(x) ((int8_t)(x))
#define VALUE_int8_f32 pg_int8_from_float32
#define VALUE_int8_f64 pg_int8_from_float64
#define VALUE_int16_int(x) ((int16_t)(x))
#define VALUE_int16_f32 pg_int16_from_float32
#define VALUE_int16_f64 pg_int16_from_float64
#define VALUE_int32_int(x) ((int32_t)(x))
#define VALUE_int32_f32 pg_int32_from_float32
#define VALUE_int32_f64 pg_int32_from_float64
#define VALUE_int64_int(x) ((int64_t)(x))
#define VALUE_int64_f32 pg_int64_from_float32
#define VALUE_int64_f64 pg_int64_from_float64
#define VALUE_uint8_int(x) ((uint8_t)(x))
#define VALUE_uint8_f32 pg_uint8_from_float32
#define VALUE_uint8_f64 pg_uint8_from_float64
#define VALUE_uint16_int(x) ((uint16_t)(x))
#define VALUE_uint16_f32 pg_uint16_from_float32
#define VALUE_uint16_f64 pg_uint16_from_float64
#define VALUE_uint32_int(x) ((uint32_t)(x))
#define VALUE_uint32_f32 pg_uint32_from_float32
#define VALUE_uint32_f64 pg_uint32_from_float64
#define VALUE_uint64_int(x) ((uint64_t)(x))
#define VALUE_uint64_f32 pg_uint64_from_float32
#define VALUE_uint64_f64 pg_uint64_from_float64

/* float is exact for every integer within the range of a half; for a bfloat16 it is not */
#define VALUE_float16_int(x) pg_float_to_half((float)(x))
#define VALUE_float16_f32 pg_float_to_half
#define VALUE_float16_f64 pg_double_to_half
#define VALUE_bfloat16_int(x) pg_double_to_bfloat16((double)(x))
#define VALUE_bfloat16_f32 pg_float_to_bfloat16
#define VALUE_bfloat16_f64 pg_double_to_bfloat16
#define VALUE_float32_int(x) ((float)(x))
#define VALUE_float32_f32(x) (x)
#define VALUE_float32_f64(x) ((float)(x))
#define VALUE_float64_int(x) ((double)(x))
#define VALUE_float64_f32(x) ((double)(x))
#define VALUE_float64_f64(x) (x)

#define VALUE_complex64_int(x) pg_complex_complex64((float)(x), 0)
#define VALUE_complex64_f32(x) pg_complex_complex64(x, 0)
#define VALUE_complex64_f64(x) pg_complex_complex64((float)(x), 0)
#define VALUE_complex64_c64(x) (x)
#define VALUE_complex64_c128(x) pg_complex_complex64((float)(x).re, (float)(x).im)
#define VALUE_complex128_int(x) pg_complex_complex128((double)(x), 0)
#define VALUE_complex128_f32(x) pg_complex_complex128((double)(x), 0)
#define VALUE_complex128_f64(x) pg_complex_complex128(x, 0)
#define VALUE_complex128_c64(x) pg_complex_complex128((double)(x).re, (double)(x).im)
#define VALUE_complex128_c128(x) (x)
#define VALUE_bool_c64(x) ((uint8_t)((int)((x).re != 0) | (int)((x).im != 0)))
#define VALUE_bool_c128 VALUE_bool_c64

#define CONVERT_LOOP(to, from, class)                                                              \
    LOOP_HEAD(to_##to##_##from)                                                                    \
    {                                                                                              \
        UNARY_BODY(pg_storage_##to, pg_storage_##from, VALUE_##to##_##class(pg_load_##from(x)))    \
    }

#define CONVERT_REAL_PART(to, from, class)                                                         \
    LOOP_HEAD(to_##to##_##from)                                                                    \
    {                                                                                              \
        UNARY_BODY(pg_storage_##to, pg_storage_##from, VALUE_##to##_##class(x.re))                 \
    }

/* All loops to one dtype, and their table. */
#define CONVERT_TO_REAL(to)                                                                        \
    CONVERT_REAL_PART(to, complex64, f32)                                                          \
    CONVERT_REAL_PART(to, complex128, f64)                                                         \
    CONVERT_REAL(to)
#define CONVERT_TO(to) /* keeps both parts of complex numbers */                                   \
    CONVERT_LOOP(to, complex64, c64)                                                               \
    CONVERT_LOOP(to, complex128, c128)                                                             \
    CONVERT_REAL(to)
#define CONVERT_REAL(to)                                                                           \
    CONVERT_LOOP(to, bool, int)                                                                    \
    CONVERT_LOOP(to, int8, int)                                                                    \
    CONVERT_LOOP(to, int16, int)                                                                   \
    CONVERT_LOOP(to, int32, int)                                                                   \
    CONVERT_LOOP(to, int64, int)                                                                   \
    CONVERT_LOOP(to, uint8, int)                                                                   \
    CONVERT_LOOP(to, uint16, int)                                                                  \
    CONVERT_LOOP(to, uint32, int)                                                                  \
    CONVERT_LOOP(to, uint64, int)                                                                  \
    CONVERT_LOOP(to, float16, f32)                                                                 \
    CONVERT_LOOP(to, bfloat16, f32)                                                                \
    CONVERT_LOOP(to, float32, f32)                                                                 \
    CONVERT_LOOP(to, float64, f64)                                                                 \
    static const pg_elementwise convert_to_##to = {                                                \
        .n_in = 1, .converts = 1, .grain = PG_GRAIN_CHEAP,                                       \
        .loops = {LOOPS_ANY(to_##to), [PG_COMPLEX64] = to_##to##_complex64,                        \
                  [PG_COMPLEX128] = to_##to##_complex128}};

CONVERT_TO(bool)
CONVERT_TO_REAL(int8)
CONVERT_TO_REAL(int16)
CONVERT_TO_REAL(int32)
CONVERT_TO_REAL(int64)
CONVERT_TO_REAL(uint8)
CONVERT_TO_REAL(uint16)
CONVERT_TO_REAL(uint32)
CONVERT_TO_REAL(uint64)
CONVERT_TO_REAL(float16)
CONVERT_TO_REAL(bfloat16)
CONVERT_TO_REAL(float32)
CONVERT_TO_REAL(float64)
CONVERT_TO(complex64)
CONVERT_TO(complex128)

static pg_status prepare_convert(pg_op *op)
{
    static const pg_elementwise *const kinds[PG_DTYPE_COUNT] = {
        [PG_BOOL] = &convert_to_bool,         [PG_INT8] = &convert_to_int8,
        [PG_INT16] = &convert_to_int16,       [PG_INT32] = &convert_to_int32,
        [PG_INT64] = &convert_to_int64,       [PG_UINT8] = &convert_to_uint8,
        [PG_UINT16] = &convert_to_uint16,     [PG_UINT32] = &convert_to_uint32,
        [PG_UINT64] = &convert_to_uint64,     [PG_FLOAT16] = &convert_to_float16,
        [PG_BFLOAT16] = &convert_to_bfloat16, [PG_FLOAT32] = &convert_to_float32,
        [PG_FLOAT64] = &convert_to_float64,   [PG_COMPLEX64] = &convert_to_complex64,
        [PG_COMPLEX128] = &convert_to_complex128,
    };
    return pg_elementwise_prepare(op, kinds[op->out[0].dtype]);
}

const pg_kernel PG_ISA_NAME(pg_cpu_elementwise_convert_kernels)[] = {KERNEL_ENTRY(convert) {0}};
