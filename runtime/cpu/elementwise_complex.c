/* elementwise_complex.c - elementwise operations on complex64 and complex128: the loops of kernels that
 * take real dtypes, too (elementwise_complex.h), and the kernels `real`, `imag`, `conj`, `complex`.
 *
 * Arithmetic is that of pequegrad_complex.h. Functions are libm's, with C99's values (Annex G) at
 * infinities, NaN and on branch cuts, where the sign of a zero says from which side the cut is seen.
 * Errors are a few ulp of the result's absolute value, not of each part. Out may be one of the inputs. */
/* The formatter takes lists of macros for expressions. */
/* clang-format off */
#include "elementwise_complex.h"

#define PG_SIMD /* not vectorised: see the Makefile */
#include "elementwise_loops.h"

#include <complex.h>
#undef complex /* below it is the name of an operation */

/* ---- functions --------------------------------------------------------------------------------- */

static inline float _Complex to_complex64(pg_complex64 z) { return __builtin_complex(z.re, z.im); }
static inline double _Complex to_complex128(pg_complex128 z) { return __builtin_complex(z.re, z.im); }
static inline pg_complex64 from_complex64(float _Complex z)
{
    return pg_complex_complex64(crealf(z), cimagf(z));
}
static inline pg_complex128 from_complex128(double _Complex z)
{
    return pg_complex_complex128(creal(z), cimag(z));
}

#define FOR_COMPLEX(X, op) X(op, complex64, float, PG_WITH_F) X(op, complex128, double, PG_PLAIN)

#define LIBM_FUNCTION(op, dtype, R, F)                                                             \
    static inline pg_##dtype pg_##op##_##dtype(pg_##dtype z)                                       \
    {                                                                                              \
        return from_##dtype(F(c##op)(to_##dtype(z)));                                              \
    }
FOR_COMPLEX(LIBM_FUNCTION, exp)
FOR_COMPLEX(LIBM_FUNCTION, log)
FOR_COMPLEX(LIBM_FUNCTION, sqrt)
FOR_COMPLEX(LIBM_FUNCTION, sin)
FOR_COMPLEX(LIBM_FUNCTION, cos)
FOR_COMPLEX(LIBM_FUNCTION, tan)
FOR_COMPLEX(LIBM_FUNCTION, asin)
FOR_COMPLEX(LIBM_FUNCTION, acos)
FOR_COMPLEX(LIBM_FUNCTION, atan)
FOR_COMPLEX(LIBM_FUNCTION, sinh)
FOR_COMPLEX(LIBM_FUNCTION, cosh)
FOR_COMPLEX(LIBM_FUNCTION, tanh)
FOR_COMPLEX(LIBM_FUNCTION, asinh)
FOR_COMPLEX(LIBM_FUNCTION, acosh)
FOR_COMPLEX(LIBM_FUNCTION, atanh)

#define OWN_FUNCTIONS(op, dtype, R, F)                                                             \
    static inline pg_##dtype pg_rsqrt_##dtype(pg_##dtype z)                                        \
    {                                                                                              \
        return pg_div_##dtype(pg_complex_##dtype(1, 0), pg_sqrt_##dtype(z));                       \
    }                                                                                              \
    static inline pg_##dtype pg_exp2_##dtype(pg_##dtype z)                                         \
    {                                                                                              \
        R length = F(exp2)(z.re), angle = (R)0.693147180559945309417 * z.im;                       \
        if (z.im == 0) return pg_complex_##dtype(length, z.im);                                    \
        return pg_complex_##dtype(length * F(cos)(angle), length * F(sin)(angle));                 \
    }                                                                                              \
    /* e^x cos(y) - 1 = (e^x - 1) cos(y) - 2 sin(y/2)^2: neither term loses digits near 0. Where x \
     * is infinite or NaN there are none to lose, and exp knows what y may be. For x = -0 the real \
     * part is 0, as that of exp(z) - 1 */                                                         \
    static inline pg_##dtype pg_expm1_##dtype(pg_##dtype z)                                        \
    {                                                                                              \
        R less_one = F(expm1)(z.re) + 0, half = F(sin)(z.im / 2);                                  \
        if (z.im == 0) return pg_complex_##dtype(less_one, z.im);                                  \
        if (!(F(fabs)(z.re) <= F(PG_LARGEST))) {                                                   \
            pg_##dtype e = pg_exp_##dtype(z);                                                      \
            return pg_complex_##dtype(e.re - 1, e.im);                                             \
        }                                                                                          \
        return pg_complex_##dtype(less_one * F(cos)(z.im) - 2 * half * half,                       \
                                  F(exp)(z.re) * F(sin)(z.im));                                    \
    }                                                                                              \
    /* where |1 + z| is near 1, from |1 + z|^2 - 1 = 2x + x^2 + y^2, summed with the errors of its \
     * terms, which may cancel */                                                                  \
    static inline pg_##dtype pg_log1p_##dtype(pg_##dtype z)                                        \
    {                                                                                              \
        R x = z.re, y = z.im, length = F(hypot)(1 + x, y), angle = F(atan2)(y, 1 + x);             \
        if (!(length >= (R)0.5 && length <= 2)) return pg_complex_##dtype(F(log)(length), angle);  \
        R xx = x * x, yy = y * y, errors = F(fma)(x, x, -xx) + F(fma)(y, y, -yy);                  \
        R sum = 2 * x + xx;                                                                        \
        errors += 2 * x - sum + xx; /* |2x| >= xx, as |1 + z| <= 2 ... */                          \
        R all = sum + yy, tail = all - sum;                                                        \
        errors += (sum - (all - tail)) + (yy - tail);                                              \
        return pg_complex_##dtype((R)0.5 * F(log1p)(all + errors), angle);                         \
    }                                                                                              \
    /* exp of a negative number, as for reals: no overflow */                                      \
    static inline pg_##dtype pg_logistic_##dtype(pg_##dtype z)                                     \
    {                                                                                              \
        pg_##dtype one = pg_complex_##dtype(1, 0);                                                 \
        pg_##dtype e = pg_exp_##dtype(z.re >= 0 ? pg_neg_##dtype(z) : z);                          \
        return pg_div_##dtype(z.re >= 0 ? one : e, pg_add_##dtype(one, e));                        \
    }                                                                                              \
    /* x ** 0 = 1; 0 ** y = 0 if the real part of y is positive, else NaN */                       \
    static inline pg_##dtype pg_pow_##dtype(pg_##dtype x, pg_##dtype y)                            \
    {                                                                                              \
        if (y.re == 0 && y.im == 0) return pg_complex_##dtype(1, 0);                               \
        if (x.re == 0 && x.im == 0)                                                                \
            return y.re > 0 ? pg_complex_##dtype(0, 0) : pg_complex_##dtype((R)NAN, (R)NAN);       \
        return from_##dtype(F(cpow)(to_##dtype(x), to_##dtype(y)));                                \
    }
FOR_COMPLEX(OWN_FUNCTIONS, )

/* ---- loops ------------------------------------------------------------------------------------- */

#define HEAD(op, dtype)                                                                            \
    void PG_COMPLEX_LOOP(op, dtype)(char *out, const char *const *in, const int64_t *strides,      \
                                    int64_t n, int64_t parameter)
#define UNARY(op, dtype, R, F)                                                                     \
    HEAD(op, dtype) { UNARY_BODY(pg_##dtype, pg_##dtype, pg_##op##_##dtype(x)) }
#define BINARY(op, dtype, R, F)                                                                    \
    HEAD(op, dtype) { BINARY_BODY(pg_##dtype, pg_##dtype, pg_##op##_##dtype(x, y)) }
#define PART(op, dtype, R, F) HEAD(op, dtype) { UNARY_BODY(R, pg_##dtype, pg_##op##_##dtype(x)) }
#define TEST(op, dtype, R, F)                                                                      \
    HEAD(op, dtype) { UNARY_BODY(uint8_t, pg_##dtype, pg_##op##_##dtype(x)) }
#define COMPARE(op, dtype, R, F)                                                                   \
    HEAD(op, dtype) { BINARY_BODY(uint8_t, pg_##dtype, pg_##op##_##dtype(x, y)) }

FOR_COMPLEX(UNARY, neg)
FOR_COMPLEX(PART, abs)
FOR_COMPLEX(UNARY, sign)
FOR_COMPLEX(TEST, is_finite)
FOR_COMPLEX(BINARY, add)
FOR_COMPLEX(BINARY, sub)
FOR_COMPLEX(BINARY, mul)
FOR_COMPLEX(BINARY, div)
FOR_COMPLEX(BINARY, pow)
FOR_COMPLEX(COMPARE, eq)
FOR_COMPLEX(COMPARE, ne)
FOR_COMPLEX(UNARY, exp)
FOR_COMPLEX(UNARY, exp2)
FOR_COMPLEX(UNARY, expm1)
FOR_COMPLEX(UNARY, log)
FOR_COMPLEX(UNARY, log1p)
FOR_COMPLEX(UNARY, sqrt)
FOR_COMPLEX(UNARY, rsqrt)
FOR_COMPLEX(UNARY, sin)
FOR_COMPLEX(UNARY, cos)
FOR_COMPLEX(UNARY, tan)
FOR_COMPLEX(UNARY, asin)
FOR_COMPLEX(UNARY, acos)
FOR_COMPLEX(UNARY, atan)
FOR_COMPLEX(UNARY, sinh)
FOR_COMPLEX(UNARY, cosh)
FOR_COMPLEX(UNARY, tanh)
FOR_COMPLEX(UNARY, asinh)
FOR_COMPLEX(UNARY, acosh)
FOR_COMPLEX(UNARY, atanh)
FOR_COMPLEX(UNARY, logistic)

#define INTEGER_POW(op, dtype, R, F)                                                               \
    HEAD(op, dtype) { UNARY_BODY(pg_##dtype, pg_##dtype, pg_##op##_##dtype(x, parameter)) }
FOR_COMPLEX(INTEGER_POW, integer_pow)

/* ---- kernels of their own ---------------------------------------------------------------------- */

#define LOCAL_HEAD(op, dtype) LOOP_HEAD(op##_##dtype)
#define LOCAL_PART(op, dtype, R, F)                                                                \
    LOCAL_HEAD(op, dtype) { UNARY_BODY(R, pg_##dtype, pg_##op##_##dtype(x)) }
#define LOCAL_UNARY(op, dtype, R, F)                                                               \
    LOCAL_HEAD(op, dtype) { UNARY_BODY(pg_##dtype, pg_##dtype, pg_##op##_##dtype(x)) }
#define LOCAL_JOIN(op, dtype, R, F)                                                                \
    LOCAL_HEAD(op, dtype) { BINARY_BODY(pg_##dtype, R, pg_##op##_##dtype(x, y)) }
FOR_COMPLEX(LOCAL_PART, real)
FOR_COMPLEX(LOCAL_PART, imag)
FOR_COMPLEX(LOCAL_UNARY, conj)
FOR_COMPLEX(LOCAL_JOIN, complex)

ELEMENTWISE_KERNEL(real, .n_in = 1, .gives_part = 1, .grain = PG_GRAIN_CHEAP,
                   .loops = {[PG_COMPLEX64] = real_complex64, [PG_COMPLEX128] = real_complex128})
ELEMENTWISE_KERNEL(imag, .n_in = 1, .gives_part = 1, .grain = PG_GRAIN_CHEAP,
                   .loops = {[PG_COMPLEX64] = imag_complex64, [PG_COMPLEX128] = imag_complex128})
UNARY_KERNEL(conj, PG_GRAIN_CHEAP,
             [PG_COMPLEX64] = conj_complex64, [PG_COMPLEX128] = conj_complex128)
ELEMENTWISE_KERNEL(complex, .n_in = 2, .joins = 1, .grain = PG_GRAIN_CHEAP,
                   .loops = {[PG_FLOAT32] = complex_complex64, [PG_FLOAT64] = complex_complex128})

const pg_kernel PG_ISA_NAME(pg_cpu_elementwise_complex_kernels)[] = {
    KERNEL_ENTRY(real) KERNEL_ENTRY(imag) KERNEL_ENTRY(conj) KERNEL_ENTRY(complex) {0}};
