/* elementwise_math.c - the functions of libm and their relatives: float T -> T, and `integer_pow`.
 * Meanings are in core/kernels.md and pequegrad_scalar.h.
 *
 * Elements are computed in blocks of BLOCK with fixed bounds, by the vector forms of the functions
 * (vector_math.h). What is not a whole dense block (strides, the end of an array, the 16-bit formats)
 * passes through a buffer, so that f(x) has the same bits wherever x lies: in a slice or the whole, in
 * one thread or many. At most 4 ulp; NaN, infinities and denormals as in C. Out may be one of the
 * inputs. */
/* The formatter takes lists of macros for expressions. */
/* clang-format off */
#include "vector_math.h"

#include "elementwise_loops.h"

enum { BLOCK = 64, BUFFER = 4 * BLOCK };

/* y[i] = f(a[i], b[i]) for n_blocks * BLOCK elements; y may be a or b. Functions of one argument get
 * the same array twice. */
typedef void blocks_float32(float *y, const float *a, const float *b, int64_t n_blocks,
                            int64_t parameter);
typedef void blocks_float64(double *y, const double *a, const double *b, int64_t n_blocks,
                            int64_t parameter);

#define BLOCKS_HEAD(op, T)                                                                         \
    static void op(T *y, const T *a, const T *b, int64_t n_blocks, int64_t parameter)
#define BLOCKS_BODY(T, value)                                                                      \
    (void)b;                                                                                       \
    (void)parameter;                                                                               \
    for (int64_t k = 0; k < n_blocks; k++, y += BLOCK, a += BLOCK, b += BLOCK) {                   \
        PG_SIMD for (int64_t i = 0; i < BLOCK; i++) y[i] = value;                                  \
    }

/* Gives blocks to `blocks`: from the arrays as they are where that is possible, else from buffers. The
 * rest of a last block is filled with ones, a harmless argument everywhere. */
#define MATH_DRIVER(dtype, compute)                                                                \
    static inline void math_##dtype(char *out, const char *const *in, const int64_t *strides,      \
                                    int64_t n, int64_t parameter, int n_in,                        \
                                    blocks_##compute *blocks)                                      \
    {                                                                                              \
        typedef pg_storage_##dtype S;                                                              \
        typedef pg_storage_##compute T;                                                            \
        const int64_t size = sizeof(S);                                                            \
        const char *at = in[0], *bt = in[n_in - 1];                                                \
        const int64_t sa = strides[1], sb = strides[n_in];                                         \
        if (PG_##compute##_IS_##dtype && strides[0] == size && sa == size && sb == size) {         \
            blocks((T *)(void *)out, (const T *)(const void *)at, (const T *)(const void *)bt,     \
                   n / BLOCK, parameter);                                                          \
            int64_t done = n / BLOCK * BLOCK;                                                      \
            out += done * size;                                                                    \
            at += done * size;                                                                     \
            bt += done * size;                                                                     \
            n -= done;                                                                             \
        }                                                                                          \
        T a[BUFFER], b[BUFFER];                                                                    \
        for (int64_t length; n > 0; n -= length) {                                                 \
            length = n < BUFFER ? n : BUFFER;                                                      \
            int64_t n_blocks = (length + BLOCK - 1) / BLOCK;                                       \
            for (int64_t i = 0; i < length; i++, at += sa)                                         \
                a[i] = pg_load_##dtype(*(const S *)at);                                            \
            for (int64_t i = length; i < n_blocks * BLOCK; i++) a[i] = 1;                          \
            if (n_in == 2) {                                                                       \
                for (int64_t i = 0; i < length; i++, bt += sb)                                     \
                    b[i] = pg_load_##dtype(*(const S *)bt);                                        \
                for (int64_t i = length; i < n_blocks * BLOCK; i++) b[i] = 1;                      \
            }                                                                                      \
            blocks(a, a, n_in == 2 ? b : a, n_blocks, parameter);                                  \
            for (int64_t i = 0; i < length; i++, out += strides[0])                                \
                *(S *)out = pg_store_##dtype(a[i]);                                                \
        }                                                                                          \
    }
#define PG_float32_IS_float16 0
#define PG_float32_IS_bfloat16 0
#define PG_float32_IS_float32 1
#define PG_float64_IS_float64 1
MATH_DRIVER(float16, float32)
MATH_DRIVER(bfloat16, float32)
MATH_DRIVER(float32, float32)
MATH_DRIVER(float64, float64)

#define MATH_LOOPS(op, n_in)                                                                       \
    LOOP_HEAD(op##_float16)                                                                        \
    {                                                                                              \
        math_float16(out, in, strides, n, parameter, n_in, op##_blocks_float32);                   \
    }                                                                                              \
    LOOP_HEAD(op##_bfloat16)                                                                       \
    {                                                                                              \
        math_bfloat16(out, in, strides, n, parameter, n_in, op##_blocks_float32);                  \
    }                                                                                              \
    LOOP_HEAD(op##_float32)                                                                        \
    {                                                                                              \
        math_float32(out, in, strides, n, parameter, n_in, op##_blocks_float32);                   \
    }                                                                                              \
    LOOP_HEAD(op##_float64)                                                                        \
    {                                                                                              \
        math_float64(out, in, strides, n, parameter, n_in, op##_blocks_float64);                   \
    }

/* ---- one input --------------------------------------------------------------------------------- */

#define MATH_FUNCTION(op, f32, f64)                                                                \
    BLOCKS_HEAD(op##_blocks_float32, float) { BLOCKS_BODY(float, f32(a[i])) }                      \
    BLOCKS_HEAD(op##_blocks_float64, double) { BLOCKS_BODY(double, f64(a[i])) }                    \
    MATH_LOOPS(op, 1)
#define LIBM_KERNEL(op, ...) /* ...: further loops */                                              \
    MATH_FUNCTION(op, op##f, op)                                                                   \
    UNARY_KERNEL(op, PG_GRAIN_MATH, LOOPS_FLOAT(op), __VA_ARGS__)
#define OWN_KERNEL(op, grain, ...)                                                                 \
    MATH_FUNCTION(op, pg_##op##_float32, pg_##op##_float64)                                        \
    UNARY_KERNEL(op, grain, LOOPS_FLOAT(op), __VA_ARGS__)

LIBM_KERNEL(exp, LOOPS_COMPLEX(exp))
LIBM_KERNEL(exp2, LOOPS_COMPLEX(exp2))
LIBM_KERNEL(expm1, LOOPS_COMPLEX(expm1))
LIBM_KERNEL(log, LOOPS_COMPLEX(log))
LIBM_KERNEL(log1p, LOOPS_COMPLEX(log1p))
LIBM_KERNEL(cbrt, )
LIBM_KERNEL(sin, LOOPS_COMPLEX(sin))
LIBM_KERNEL(cos, LOOPS_COMPLEX(cos))
LIBM_KERNEL(tan, LOOPS_COMPLEX(tan))
LIBM_KERNEL(asin, LOOPS_COMPLEX(asin))
LIBM_KERNEL(acos, LOOPS_COMPLEX(acos))
LIBM_KERNEL(atan, LOOPS_COMPLEX(atan))
LIBM_KERNEL(sinh, LOOPS_COMPLEX(sinh))
LIBM_KERNEL(cosh, LOOPS_COMPLEX(cosh))
LIBM_KERNEL(tanh, LOOPS_COMPLEX(tanh))
LIBM_KERNEL(asinh, LOOPS_COMPLEX(asinh))
LIBM_KERNEL(acosh, LOOPS_COMPLEX(acosh))
LIBM_KERNEL(atanh, LOOPS_COMPLEX(atanh))
LIBM_KERNEL(erf, )
LIBM_KERNEL(erfc, )
OWN_KERNEL(logistic, PG_GRAIN_MATH, LOOPS_COMPLEX(logistic))
OWN_KERNEL(erf_inv, PG_GRAIN_MATH, )
OWN_KERNEL(lgamma, PG_GRAIN_HEAVY, )
OWN_KERNEL(digamma, PG_GRAIN_HEAVY, )

BLOCKS_HEAD(polygamma_blocks_float32, float)
{
    BLOCKS_BODY(float, pg_polygamma_float32(a[i], parameter))
}
BLOCKS_HEAD(polygamma_blocks_float64, double)
{
    BLOCKS_BODY(double, pg_polygamma_float64(a[i], parameter))
}
MATH_LOOPS(polygamma, 1)

static pg_status prepare_polygamma(pg_op *op)
{
    static const pg_elementwise kind = {.n_in = 1, .n_params = 1, .grain = PG_GRAIN_HEAVY / 4,
                                        .loops = {LOOPS_FLOAT(polygamma)}};
    PG_TRY(pg_elementwise_prepare(op, &kind));
    PG_REQUIRE(op->params[0] >= 1 && op->params[0] <= 170, /* 171! is no double */
               "the order is %lld, not from 1 to 170", (long long)op->params[0]);
    return PG_OK;
}

/* ---- two inputs -------------------------------------------------------------------------------- */

#define LIBM_KERNEL_2(op, ...)                                                                     \
    BLOCKS_HEAD(op##_blocks_float32, float) { BLOCKS_BODY(float, op##f(a[i], b[i])) }              \
    BLOCKS_HEAD(op##_blocks_float64, double) { BLOCKS_BODY(double, op(a[i], b[i])) }               \
    MATH_LOOPS(op, 2)                                                                              \
    BINARY_KERNEL(op, PG_GRAIN_MATH, LOOPS_FLOAT(op), __VA_ARGS__)
LIBM_KERNEL_2(pow, LOOPS_COMPLEX(pow))
LIBM_KERNEL_2(atan2, )

/* ---- integer_pow ------------------------------------------------------------------------------- */

/* Repeated squaring, a block at a time: y holds the product so far, x the squares. */
#define INTEGER_POW_BLOCKS(T, name)                                                                \
    BLOCKS_HEAD(name, T)                                                                           \
    {                                                                                              \
        (void)b;                                                                                   \
        uint64_t magnitude = parameter < 0 ? 0 - (uint64_t)parameter : (uint64_t)parameter;        \
        for (int64_t k = 0; k < n_blocks; k++, y += BLOCK, a += BLOCK) {                           \
            T x[BLOCK];                                                                            \
            PG_SIMD for (int i = 0; i < BLOCK; i++) x[i] = a[i];                                   \
            PG_SIMD for (int i = 0; i < BLOCK; i++) y[i] = magnitude & 1 ? x[i] : 1;               \
            for (uint64_t rest = magnitude >> 1; rest; rest >>= 1) {                               \
                PG_SIMD for (int i = 0; i < BLOCK; i++) x[i] *= x[i];                              \
                if (!(rest & 1)) continue;                                                         \
                PG_SIMD for (int i = 0; i < BLOCK; i++) y[i] *= x[i];                              \
            }                                                                                      \
            if (parameter >= 0) continue;                                                          \
            PG_SIMD for (int i = 0; i < BLOCK; i++) y[i] = 1 / y[i];                               \
        }                                                                                          \
    }
INTEGER_POW_BLOCKS(float, integer_pow_blocks_float32)
INTEGER_POW_BLOCKS(double, integer_pow_blocks_float64)
MATH_LOOPS(integer_pow, 1)

#define INTEGER_POW_LOOP(op, dtype, compute)                                                       \
    LOOP_HEAD(op##_##dtype)                                                                        \
    {                                                                                              \
        UNARY_BODY(pg_storage_##dtype, pg_storage_##dtype, pg_##op##_##compute(x, parameter))      \
    }
FOR_INTEGER(INTEGER_POW_LOOP, integer_pow)

static pg_status prepare_integer_pow(pg_op *op)
{
    static const pg_elementwise kind = {.n_in = 1, .n_params = 1, .grain = PG_GRAIN_MATH,
                                        .loops = {LOOPS_NUMBER(integer_pow),
                                                  LOOPS_COMPLEX(integer_pow)}};
    PG_TRY(pg_elementwise_prepare(op, &kind));
    PG_REQUIRE(op->params[0] >= 0 || op->in[0].dtype >= PG_FLOAT16,
               "integers cannot be raised to the negative power %lld", (long long)op->params[0]);
    return PG_OK;
}

const pg_kernel PG_ISA_NAME(pg_cpu_elementwise_math_kernels)[] = {
    KERNEL_ENTRY(exp) KERNEL_ENTRY(exp2) KERNEL_ENTRY(expm1) KERNEL_ENTRY(log) KERNEL_ENTRY(log1p)
    KERNEL_ENTRY(cbrt) KERNEL_ENTRY(sin) KERNEL_ENTRY(cos) KERNEL_ENTRY(tan) KERNEL_ENTRY(asin)
    KERNEL_ENTRY(acos) KERNEL_ENTRY(atan) KERNEL_ENTRY(sinh) KERNEL_ENTRY(cosh) KERNEL_ENTRY(tanh)
    KERNEL_ENTRY(asinh) KERNEL_ENTRY(acosh) KERNEL_ENTRY(atanh) KERNEL_ENTRY(erf) KERNEL_ENTRY(erfc)
    KERNEL_ENTRY(logistic) KERNEL_ENTRY(erf_inv) KERNEL_ENTRY(lgamma) KERNEL_ENTRY(digamma)
    KERNEL_ENTRY(polygamma)
    KERNEL_ENTRY(pow) KERNEL_ENTRY(atan2) KERNEL_ENTRY(integer_pow)
    {0},
};
