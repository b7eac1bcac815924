/* vector_math.h - tells gcc that glibc's libmvec has vector forms of the functions of libm, so that a
 * loop that calls them is vectorised without -ffast-math: at most 4 ulp, NaN, infinities and denormals
 * handled. clang knows from -fveclib=libmvec; elsewhere loops call the scalar functions. */
/* The formatter takes lists of macros for expressions. */
/* clang-format off */
#ifndef PG_VECTOR_MATH_H
#define PG_VECTOR_MATH_H

#include <math.h>

#if defined(__x86_64__) && defined(__GLIBC_PREREQ) && defined(__GNUC__) && !defined(__clang__)
#if __GLIBC_PREREQ(2, 35) /* the first with more than exp, log, pow, sin and cos */

#define PG_VECTOR __attribute__((simd("notinbranch"), const, nothrow))
#define PG_VECTOR_1(name)                                                                          \
    PG_VECTOR float name##f(float);                                                                \
    PG_VECTOR double name(double);
#define PG_VECTOR_2(name)                                                                          \
    PG_VECTOR float name##f(float, float);                                                         \
    PG_VECTOR double name(double, double);

PG_VECTOR_1(exp) PG_VECTOR_1(exp2) PG_VECTOR_1(expm1) PG_VECTOR_1(log) PG_VECTOR_1(log1p)
PG_VECTOR_1(cbrt) PG_VECTOR_1(sin) PG_VECTOR_1(cos) PG_VECTOR_1(tan) PG_VECTOR_1(asin)
PG_VECTOR_1(acos) PG_VECTOR_1(atan) PG_VECTOR_1(sinh) PG_VECTOR_1(cosh) PG_VECTOR_1(tanh)
PG_VECTOR_1(asinh) PG_VECTOR_1(acosh) PG_VECTOR_1(atanh) PG_VECTOR_1(erf) PG_VECTOR_1(erfc)
PG_VECTOR_2(pow) PG_VECTOR_2(atan2)

#endif
#endif
#endif
