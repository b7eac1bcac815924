/* pequegrad_scalar.h - what each elementwise operation means for one element, in C and in CUDA.
 *
 * float16 and bfloat16 are stored as uint16_t and computed as float: pg_half_to_float and its
 * relatives stand at both ends. All other functions carry the name of their dtype: pg_add_int8,
 * pg_max_float32. Where a loop may be vectorised, the code has no branches that a compiler could not
 * turn into selects. Denormals are kept; nothing here is safe under -ffast-math. */
#ifndef PEQUEGRAD_SCALAR_H
#define PEQUEGRAD_SCALAR_H

#ifdef PG_FREESTANDING
#include "pequegrad_freestanding.h"
#else
#include <math.h>
#include <stdint.h>
#include <string.h>
#endif

#ifdef __CUDACC__
#define PG_FN static __host__ __device__ inline
#else
#define PG_FN static inline
#endif

/* ---- bits of floating-point numbers ------------------------------------------------------------ */

PG_FN uint32_t pg_float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

PG_FN float pg_bits_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* a where `ones` has all bits, b where it has none. Of a condition compilers would make a branch. */
PG_FN float pg_choose_float(uint32_t ones, float a, float b)
{
    return pg_bits_float((pg_float_bits(a) & ones) | (pg_float_bits(b) & ~ones));
}

PG_FN double pg_choose_double(uint64_t ones, double a, double b)
{
    uint64_t bits, other;
    memcpy(&bits, &a, sizeof bits);
    memcpy(&other, &b, sizeof other);
    bits = (bits & ones) | (other & ~ones);
    memcpy(&a, &bits, sizeof a);
    return a;
}

PG_FN float pg_bfloat16_to_float(uint16_t h) { return pg_bits_float((uint32_t)h << 16); }

/* Nearest, ties to even; a NaN stays one (rounding could turn its fraction into infinity). */
PG_FN uint16_t pg_float_to_bfloat16(float x)
{
    uint32_t bits = pg_float_bits(x);
    uint32_t rounded = bits + 0x7fffu + (bits >> 16 & 1);
    return (uint16_t)((x != x ? bits | 0x400000u : rounded) >> 16);
}

/* The same as a float; and back, for a float that is rounded already. */
PG_FN float pg_round_bfloat16(float x)
{
    uint32_t bits = pg_float_bits(x);
    uint32_t rounded = bits + 0x7fffu + (bits >> 16 & 1);
    return pg_bits_float((x != x ? bits | 0x400000u : rounded) & 0xffff0000u);
}
PG_FN uint16_t pg_rounded_to_bfloat16(float x) { return (uint16_t)(pg_float_bits(x) >> 16); }

/* Normal numbers: the exponent is moved by a multiplication, which also handles denormals, since
 * they become normal. Infinity and NaN: the exponent is set to all ones. */
PG_FN float pg_half_to_float(uint16_t h)
{
    uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13;
    float value = pg_bits_float(magnitude) * 0x1p112f;
    uint32_t special = magnitude >= 0x0f800000u ? 0x7f800000u : 0;
    return pg_bits_float(pg_float_bits(value) | special | (uint32_t)(h & 0x8000) << 16);
}

/* Nearest, ties to even. The hardware rounds: adding a power of two as large as the exponent of x
 * demands pushes the bits that a half does not have over the edge. */
PG_FN uint16_t pg_float_to_half(float x)
{
    uint32_t bits = pg_float_bits(x);
    uint32_t twice = bits + bits; /* without the sign */
    float magnitude =
        pg_bits_float(bits & 0x7fffffffu) * 0x1p112f * 0x1p-110f; /* large: infinity */
    uint32_t bias = twice & 0xff000000u;
    bias = bias < 0x71000000u ? 0x71000000u : bias;
    uint32_t sum = pg_float_bits(pg_bits_float((bias >> 1) + 0x07800000u) + magnitude);
    uint32_t half = (sum >> 13 & 0x7c00u) + (sum & 0xfffu);
    return (uint16_t)((bits >> 16 & 0x8000u) | (twice > 0xff000000u ? 0x7e00u : half));
}

/* The float next to x whose last bit is one, unless x is a float: a second rounding, to fewer bits,
 * then gives what one rounding would. */
PG_FN float pg_double_to_odd_float(double x)
{
    float nearest = (float)x;
    double back = (double)nearest;
    uint32_t bits = pg_float_bits(nearest);
    uint32_t toward_zero = bits - (fabs(back) > fabs(x) ? 1u : 0u);
    return back == x || x != x ? nearest : pg_bits_float(toward_zero | 1u);
}

PG_FN uint16_t pg_double_to_half(double x) { return pg_float_to_half(pg_double_to_odd_float(x)); }
PG_FN uint16_t pg_double_to_bfloat16(double x)
{
    return pg_float_to_bfloat16(pg_double_to_odd_float(x));
}

/* nextafter(a, b) for either 16-bit format, whose values are x and y. */
PG_FN uint16_t pg_nextafter16(uint16_t a, uint16_t b, float x, float y)
{
    if (x != x) return a;
    if (y != y || x == y) return b;
    if (x == 0) return (uint16_t)((b & 0x8000) | 1);
    return (uint16_t)((x < y) == (x > 0) ? a + 1 : a - 1);
}

/* ---- comparisons, and what every dtype has ----------------------------------------------------- */

#define PG_SCALAR_COMPARE(name, T)                          \
    PG_FN uint8_t pg_eq_##name(T a, T b) { return a == b; } \
    PG_FN uint8_t pg_ne_##name(T a, T b) { return a != b; } \
    PG_FN uint8_t pg_lt_##name(T a, T b) { return a < b; }  \
    PG_FN uint8_t pg_le_##name(T a, T b) { return a <= b; } \
    PG_FN uint8_t pg_gt_##name(T a, T b) { return a > b; }  \
    PG_FN uint8_t pg_ge_##name(T a, T b) { return a >= b; }

/* ---- integers: everything wraps around --------------------------------------------------------- */

/* U: unsigned of the same width. W: unsigned of at least 32 bits, so that nothing is promoted to int,
 * whose overflow is undefined. */
/* A power of two times 1 less this is the number below it. */
#define PG_HALF_EPSILON_F 5.9604644775390625e-8f
#define PG_HALF_EPSILON 1.1102230246251565404e-16

#define PG_SCALAR_INTEGER(name, T, U, W, BITS, LOWEST, HIGHEST)                                                          \
    PG_SCALAR_COMPARE(name, T)                                                                                           \
    PG_FN T pg_add_##name(T a, T b) { return (T)((W)a + (W)b); }                                                         \
    PG_FN T pg_sub_##name(T a, T b) { return (T)((W)a - (W)b); }                                                         \
    PG_FN T pg_mul_##name(T a, T b) { return (T)((W)a * (W)b); }                                                         \
    PG_FN T pg_neg_##name(T a) { return (T)(0 - (W)a); }                                                                 \
    PG_FN T pg_max_##name(T a, T b) { return a > b ? a : b; }                                                            \
    PG_FN T pg_min_##name(T a, T b) { return a < b ? a : b; }                                                            \
    PG_FN T pg_clamp_##name(T lo, T a, T hi) { return pg_min_##name(pg_max_##name(a, lo), hi); }                         \
    PG_FN T pg_not_##name(T a) { return (T)~a; }                                                                         \
    PG_FN T pg_and_##name(T a, T b) { return (T)(a & b); }                                                               \
    PG_FN T pg_or_##name(T a, T b) { return (T)(a | b); }                                                                \
    PG_FN T pg_xor_##name(T a, T b) { return (T)(a ^ b); }                                                               \
    PG_FN T pg_shift_left_##name(T a, T b) { return (T)((U)b < BITS ? (W)a << (U)b : 0); }                               \
    PG_FN T pg_shift_right_logical_##name(T a, T b)                                                                      \
    {                                                                                                                    \
        return (T)((U)b < BITS ? (U)a >> (U)b : 0);                                                                      \
    }                                                                                                                    \
    PG_FN T pg_shift_right_arithmetic_##name(T a, T b)                                                                   \
    {                                                                                                                    \
        /* a count out of range leaves the sign: all ones for a negative number, else 0 */                               \
        return (T)((U)b < BITS ? a >> (U)b : LOWEST == 0 ? 0 : a >> (BITS - 1));                                         \
    }                                                                                                                    \
    PG_FN T pg_popcount_##name(T a) { return (T)__builtin_popcountll((U)a); }                                            \
    PG_FN T pg_clz_##name(T a) { return (T)(a ? __builtin_clzll((U)a) - (64 - BITS) : BITS); }                           \
    PG_FN T pg_integer_pow_##name(T x, int64_t exponent)                                                                 \
    {                                                                                                                    \
        T result = 1;                                                                                                    \
        for (; exponent; exponent >>= 1, x = pg_mul_##name(x, x))                                                        \
            if (exponent & 1) result = pg_mul_##name(result, x);                                                         \
        return result;                                                                                                   \
    }                                                                                                                    \
    /* Truncates, saturates, NaN becomes 0. HIGHEST + 1 and LOWEST are exact as float. Of 32 and 64 bits only what fits\
     * is converted, so that compilers convert whole vectors, and 0 for what becomes 0: gcc takes the float of the\
     * result for a truncation, which would keep the sign of -0.5. */ \
    PG_FN T pg_##name##_from_float32(float x)                                                                            \
    {                                                                                                                    \
        const float above = (float)(HIGHEST / 2 + 1) * 2.0f;                                                             \
        if (sizeof(T) < 4)                                                                                               \
            return x != x ? (T)0 : x >= above ? HIGHEST : x <= (float)LOWEST ? LOWEST : (T)x;                            \
        const float below = above * (1 - PG_HALF_EPSILON_F);                                                             \
        float y = (x >= 1) | (x <= -1) ? x : 0;                                                                          \
        y = y < (float)LOWEST ? (float)LOWEST : y;                                                                       \
        y = y > below ? below : y;                                                                                       \
        return x >= above ? HIGHEST : (T)y;                                                                              \
    }                                                                                                                    \
    PG_FN T pg_##name##_from_float64(double x)                                                                           \
    {                                                                                                                    \
        const double above = (double)(HIGHEST / 2 + 1) * 2.0;                                                            \
        if (sizeof(T) < 4)                                                                                               \
            return x != x ? (T)0 : x >= above ? HIGHEST : x <= (double)LOWEST ? LOWEST : (T)x;                           \
        const double below = above * (1 - PG_HALF_EPSILON);                                                              \
        double y = (x >= 1) | (x <= -1) ? x : 0;                                                                         \
        y = y < (double)LOWEST ? (double)LOWEST : y;                                                                     \
        y = y > below ? below : y;                                                                                       \
        return x >= above ? HIGHEST : (T)y;                                                                              \
    }

#define PG_SCALAR_SIGNED(name, T, U, W, BITS, LOWEST, HIGHEST)             \
    PG_SCALAR_INTEGER(name, T, U, W, BITS, LOWEST, HIGHEST)                \
    PG_FN T pg_abs_##name(T a) { return a < 0 ? pg_neg_##name(a) : a; }    \
    PG_FN T pg_sign_##name(T a) { return (T)((a > 0) - (a < 0)); }         \
    PG_FN T pg_div_##name(T a, T b)                                        \
    {                                                                      \
        return b == 0 ? (T) - 1 : b == -1 ? pg_neg_##name(a) : (T)(a / b); \
    }                                                                      \
    PG_FN T pg_rem_##name(T a, T b) { return b == 0 ? a : b == -1 ? (T)0 : (T)(a % b); }

#define PG_SCALAR_UNSIGNED(name, T, W, BITS, HIGHEST)                         \
    PG_SCALAR_INTEGER(name, T, T, W, BITS, ((T)0), HIGHEST)                   \
    PG_FN T pg_abs_##name(T a) { return a; }                                  \
    PG_FN T pg_sign_##name(T a) { return a != 0; }                            \
    PG_FN T pg_div_##name(T a, T b) { return b == 0 ? HIGHEST : (T)(a / b); } \
    PG_FN T pg_rem_##name(T a, T b) { return b == 0 ? a : (T)(a % b); }

PG_SCALAR_SIGNED(int8, int8_t, uint8_t, uint32_t, 8, INT8_MIN, INT8_MAX)
PG_SCALAR_SIGNED(int16, int16_t, uint16_t, uint32_t, 16, INT16_MIN, INT16_MAX)
PG_SCALAR_SIGNED(int32, int32_t, uint32_t, uint32_t, 32, INT32_MIN, INT32_MAX)
PG_SCALAR_SIGNED(int64, int64_t, uint64_t, uint64_t, 64, INT64_MIN, INT64_MAX)
PG_SCALAR_UNSIGNED(uint8, uint8_t, uint32_t, 8, UINT8_MAX)
PG_SCALAR_UNSIGNED(uint16, uint16_t, uint32_t, 16, UINT16_MAX)
PG_SCALAR_UNSIGNED(uint32, uint32_t, uint32_t, 32, UINT32_MAX)
PG_SCALAR_UNSIGNED(uint64, uint64_t, uint64_t, 64, UINT64_MAX)

/* ---- bool: one byte, 0 or 1 -------------------------------------------------------------------- */

PG_SCALAR_COMPARE(bool, uint8_t)
PG_FN uint8_t pg_add_bool(uint8_t a, uint8_t b) { return a | b; }
PG_FN uint8_t pg_sub_bool(uint8_t a, uint8_t b) { return a ^ b; }
PG_FN uint8_t pg_mul_bool(uint8_t a, uint8_t b) { return a & b; }
PG_FN uint8_t pg_max_bool(uint8_t a, uint8_t b) { return a | b; }
PG_FN uint8_t pg_min_bool(uint8_t a, uint8_t b) { return a & b; }
PG_FN uint8_t pg_not_bool(uint8_t a) { return a ^ 1; }
PG_FN uint8_t pg_and_bool(uint8_t a, uint8_t b) { return a & b; }
PG_FN uint8_t pg_or_bool(uint8_t a, uint8_t b) { return a | b; }
PG_FN uint8_t pg_xor_bool(uint8_t a, uint8_t b) { return a ^ b; }

/* ---- floating point ---------------------------------------------------------------------------- */

/* The functions of libm that have vector forms. */
#ifndef PG_VECTOR_FUNCTIONS /* which pequegrad_freestanding.h declares */
#define PG_SCALAR_LIBM_1(op)                                    \
    PG_FN float pg_##op##_float32(float x) { return op##f(x); } \
    PG_FN double pg_##op##_float64(double x) { return op(x); }
#define PG_SCALAR_LIBM_2(op)                                                \
    PG_FN float pg_##op##_float32(float x, float y) { return op##f(x, y); } \
    PG_FN double pg_##op##_float64(double x, double y) { return op(x, y); }
/* clang-format off */
PG_SCALAR_LIBM_1(exp) PG_SCALAR_LIBM_1(exp2) PG_SCALAR_LIBM_1(expm1) PG_SCALAR_LIBM_1(log) PG_SCALAR_LIBM_1(log1p)
PG_SCALAR_LIBM_1(cbrt) PG_SCALAR_LIBM_1(sin) PG_SCALAR_LIBM_1(cos) PG_SCALAR_LIBM_1(tan) PG_SCALAR_LIBM_1(asin)
PG_SCALAR_LIBM_1(acos) PG_SCALAR_LIBM_1(atan) PG_SCALAR_LIBM_1(sinh) PG_SCALAR_LIBM_1(cosh) PG_SCALAR_LIBM_1(tanh)
PG_SCALAR_LIBM_1(asinh) PG_SCALAR_LIBM_1(acosh) PG_SCALAR_LIBM_1(atanh) PG_SCALAR_LIBM_1(erf) PG_SCALAR_LIBM_1(erfc)
PG_SCALAR_LIBM_2(pow) PG_SCALAR_LIBM_2(atan2)
/* clang-format on */
#endif

/* F(f) is the libm function for this type: expf or exp. max and min: NaN if either is NaN. */
#define PG_SCALAR_FLOATING(name, T, F)                                                           \
    PG_SCALAR_COMPARE(name, T)                                                                   \
    PG_FN T pg_add_##name(T a, T b) { return a + b; }                                            \
    PG_FN T pg_sub_##name(T a, T b) { return a - b; }                                            \
    PG_FN T pg_mul_##name(T a, T b) { return a * b; }                                            \
    PG_FN T pg_div_##name(T a, T b) { return a / b; }                                            \
    PG_FN T pg_rem_##name(T a, T b) { return F(fmod)(a, b); }                                    \
    PG_FN T pg_neg_##name(T a) { return -a; }                                                    \
    PG_FN T pg_abs_##name(T a) { return F(fabs)(a); }                                            \
    PG_FN T pg_sign_##name(T a) { return a > 0 ? (T)1 : a < 0 ? (T) - 1 : a; }                   \
    PG_FN T pg_max_##name(T a, T b) { return a > b || a != a ? a : b; }                          \
    PG_FN T pg_min_##name(T a, T b) { return a < b || a != a ? a : b; }                          \
    PG_FN uint8_t pg_is_finite_##name(T a) { return F(fabs)(a) <= F(PG_LARGEST); }               \
    PG_FN T pg_floor_##name(T a) { return F(floor)(a); }                                         \
    PG_FN T pg_ceil_##name(T a) { return F(ceil)(a); }                                           \
    PG_FN T pg_trunc_##name(T a) { return F(trunc)(a); }                                         \
    PG_FN T pg_round_##name(T a) { return F(rint)(a); } /* halves to even */                     \
    PG_FN T pg_sqrt_##name(T a) { return F(sqrt)(a); }                                           \
    PG_FN T pg_rsqrt_##name(T a) { return 1 / F(sqrt)(a); }                                      \
    PG_FN T pg_clamp_##name(T lo, T a, T hi) { return pg_min_##name(pg_max_##name(a, lo), hi); } \
    PG_FN T pg_nextafter_##name(T a, T b) { return F(nextafter)(a, b); }                         \
    PG_FN T pg_logistic_##name(T a) /* exp of a negative number: no overflow, no lost tail */    \
    {                                                                                            \
        T e = pg_exp_##name(-F(fabs)(a));                                                        \
        return (a >= 0 ? (T)1 : e) / (1 + e);                                                    \
    }                                                                                            \
    PG_FN T pg_integer_pow_##name(T x, int64_t exponent)                                         \
    {                                                                                            \
        uint64_t rest = exponent < 0 ? 0 - (uint64_t)exponent : (uint64_t)exponent;              \
        T result = 1;                                                                            \
        for (; rest; rest >>= 1, x *= x)                                                         \
            if (rest & 1) result *= x;                                                           \
        return exponent < 0 ? 1 / result : result;                                               \
    }

#define PG_LARGESTf 0x1.fffffep127f
#define PG_LARGEST 0x1.fffffffffffffp1023
#define PG_WITH_F(name) name##f
#define PG_PLAIN(name) name
                        PG_SCALAR_FLOATING(float32, float, PG_WITH_F)
                            PG_SCALAR_FLOATING(float64, double, PG_PLAIN)

    /* lgamma() writes a global variable; these do not. */
    PG_FN float pg_lgamma_float32(float x)
{
    int sign;
    return lgammaf_r(x, &sign);
}

PG_FN double pg_lgamma_float64(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}

/* The logarithmic derivative of the gamma function: reflection for x < 0, recurrence up to x >= 10,
 * then the asymptotic series (Abramowitz & Stegun 6.3.7, 6.3.5, 6.3.18). NaN at the poles 0, -1, ... */
PG_FN double pg_digamma_float64(double x)
{
    double shift = 0;
    if (x <= 0) {
        if (x == floor(x)) return NAN;
        double off = x - rint(x); /* tan has period pi; this keeps its argument small and exact */
        shift = 3.14159265358979323846 / tan(3.14159265358979323846 * off);
        x = 1 - x;
    }
    for (; x < 10; x += 1)
        shift += 1 / x;
    double z = 1 / (x * x);
    double series =
        z * (1. / 12 -
             z * (1. / 120 -
                  z * (1. / 252 - z * (1. / 240 - z * (1. / 132 - z * (691. / 32760 - z / 12))))));
    return log(x) - 0.5 / x - series - shift;
}

/* Hurwitz's zeta, the sum of (q + i)^-s over i = 0, 1, ..., for s > 1 and q > 0: terms up to
 * q + i >= 10 + s / 2, then the Euler-Maclaurin formula (DLMF 25.11.5). */
PG_FN double pg_zeta(double s, double q)
{
    static const double bernoulli[] = {/* B(2j) / (2j)! */ 0x1.5555555555555p-4,
                                       -0x1.6c16c16c16c17p-10,
                                       0x1.1566abc011567p-15,
                                       -0x1.bbd779334ef0bp-21,
                                       0x1.66a8f2bf70ebep-26,
                                       -0x1.22805d644267fp-31,
                                       0x1.d6db2c4e09162p-37,
                                       -0x1.7da4e1f79955cp-42,
                                       0x1.355871d652e9ep-47,
                                       -0x1.f57d968caacf1p-53,
                                       0x1.967e1f09c376fp-58,
                                       -0x1.497d9033a2b5cp-63};
    double sum = 0;
    for (; q < 10 + s / 2; q += 1) {
        double term = pow(q, -s);
        sum += term;
        if (term <= 0x1p-60 * sum) return sum; /* so is the rest of them */
    }
    double last = pow(q, -s), factor = s / q, tail = 0;
    if (last == 0) return sum + pow(q, 1 - s) / (s - 1);
    for (int j = 0; j < 12; j++) {
        tail += bernoulli[j] * factor;
        factor *= (s + 2 * j + 1) * (s + 2 * j + 2) / (q * q);
    }
    return sum + pow(q, 1 - s) / (s - 1) + last * (0.5 + tail);
}

/* The n-th derivative of digamma, n >= 1: (-1)^(n + 1) n! zeta(n + 1, x) (DLMF 5.15). For x < 0 the sum
 * is taken on either side of 0: the terms with x + i < 0 are a difference of two sums. Infinite at the
 * poles 0, -1, ... */
PG_FN double pg_polygamma_float64(double x, int64_t n)
{
    double s = (double)n + 1, sign = n & 1 ? 1 : -1, zeta;
    if (x > 0) {
        zeta = x == INFINITY ? 0 : pg_zeta(s, x);
    } else {
        double above = x - floor(x), below = ceil(x) - x; /* exact where they are small */
        if (above == 0 || x != x) return above == 0 ? sign * INFINITY : x;
        if (x == -INFINITY) return NAN;
        double left = pg_zeta(s, below) - pg_zeta(s, 1 - x);
        zeta = pg_zeta(s, above) + sign * left;
    }
    return sign * tgamma(s) * zeta;
}

PG_FN float pg_polygamma_float32(float x, int64_t n)
{
    return (float)pg_polygamma_float64((double)x, n);
}

PG_FN float pg_digamma_float32(float x) { return (float)pg_digamma_float64((double)x); }

/* Inverse error function after M. Giles, "Approximating the erfinv function" (2012): polynomials in
 * w = -log(1 - x^2). x^2 is rounded, as in XLA, so that normal numbers are JAX's: near |x| = 1 that is worth half an
 * ulp of x, which the result there shows enlarged. */
PG_FN float pg_erf_inv_float32(float x)
{
    float w = -pg_log_float32(1 - x * x);
    float c = w - 2.5f;
    float p = 2.81022636e-08f;
    p = 3.43273939e-07f + p * c;
    p = -3.5233877e-06f + p * c;
    p = -4.39150654e-06f + p * c;
    p = 0.00021858087f + p * c;
    p = -0.00125372503f + p * c;
    p = -0.00417768164f + p * c;
    p = 0.246640727f + p * c;
    p = 1.50140941f + p * c;
    float t = sqrtf(w) - 3;
    float q = -0.000200214257f;
    q = 0.000100950558f + q * t;
    q = 0.00134934322f + q * t;
    q = -0.00367342844f + q * t;
    q = 0.00573950773f + q * t;
    q = -0.0076224613f + q * t;
    q = 0.00943887047f + q * t;
    q = 1.00167406f + q * t;
    q = 2.83297682f + q * t;
    float ratio =
        w < 5 ? p : q; /* one choice after the other: gcc does not vectorise nested ones */
    return (fabsf(x) == 1 ? INFINITY : ratio) * x;
}

PG_FN double pg_polynomial(double x, const double *coefficients, int n)
{
    double p = coefficients[0]; /* of the highest power */
    for (int i = 1; i < n; i++)
        p = p * x + coefficients[i];
    return p;
}

PG_FN double pg_erf_inv_float64(double x)
{
    static const double central[] = {
        -3.6444120640178196996e-21, -1.685059138182016589e-19,  1.2858480715256400167e-18,
        1.115787767802518096e-17,   -1.333171662854620906e-16,  2.0972767875968561637e-17,
        6.6376381343583238325e-15,  -4.0545662729752068639e-14, -8.1519341976054721522e-14,
        2.6335093153082322977e-12,  -1.2975133253453532498e-11, -5.4154120542946279317e-11,
        1.051212273321532285e-09,   -4.1126339803469836976e-09, -2.9070369957882005086e-08,
        4.2347877827932403518e-07,  -1.3654692000834678645e-06, -1.3882523362786468719e-05,
        0.0001867342080340571352,   -0.00074070253416626697512, -0.0060336708714301490533,
        0.24015818242558961693,     1.6536545626831027356};
    static const double middle[] = {
        2.2137376921775787049e-09, 9.0756561938885390979e-08, -2.7517406297064545428e-07,
        1.8239629214389227755e-08, 1.5027403968909827627e-06, -4.013867526981545969e-06,
        2.9234449089955446044e-06, 1.2475304481671778723e-05, -4.7318229009055733981e-05,
        6.8284851459573175448e-05, 2.4031110387097893999e-05, -0.0003550375203628474796,
        0.00095328937973738049703, -0.0016882755560235047313, 0.0024914420961078508066,
        -0.0037512085075692412107, 0.005370914553590063617,   1.0052589676941592334,
        3.0838856104922207635};
    static const double tail[] = {
        -2.7109920616438573243e-11, -2.5556418169965252055e-10, 1.5076572693500548083e-09,
        -3.7894654401267369937e-09, 7.6157012080783393804e-09,  -1.4960026627149240478e-08,
        2.9147953450901080826e-08,  -6.7711997758452339498e-08, 2.2900482228026654717e-07,
        -9.9298272942317002539e-07, 4.5260625972231537039e-06,  -1.9681778105531670567e-05,
        7.5995277030017761139e-05,  -0.00021503011930044477347, -0.00013871931833623122026,
        1.0103004648645343977,      4.8499064014085844221};
    if (fabs(x) == 1) return x * INFINITY;
    double w = -log(1 - x * x);
    if (w < 6.25) return x * pg_polynomial(w - 3.125, central, 23);
    if (w < 16) return x * pg_polynomial(sqrt(w) - 3.25, middle, 19);
    return x * pg_polynomial(sqrt(w) - 5, tail, 17);
}

#endif
