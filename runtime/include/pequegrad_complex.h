/* pequegrad_complex.h - what arithmetic means for one complex element, in C and in CUDA.
 *
 * A complex number is a pair of reals. Products and quotients are the plain formulas: infinities
 * that C99's Annex G would recover from NaN are not looked for. pg_div_ is Smith's method (R. L.
 * Smith, "Algorithm 116: Complex division", 1962), which overflows only within a factor of 2 of the
 * largest number; a divisor of 0 gives infinities and NaN, part by part. Functions of libm stand in
 * cpu/elementwise_complex.c. */
#ifndef PEQUEGRAD_COMPLEX_H
#define PEQUEGRAD_COMPLEX_H

#include "pequegrad_scalar.h"

typedef struct pg_complex64 {
    float re, im;
} pg_complex64;

typedef struct pg_complex128 {
    double re, im;
} pg_complex128;

/* R: the type of the parts; F(f) is the libm function for it. */
#define PG_SCALAR_COMPLEX(name, R, F)                                                           \
    PG_FN pg_##name pg_complex_##name(R re, R im)                                               \
    {                                                                                           \
        pg_##name z;                                                                            \
        z.re = re;                                                                              \
        z.im = im;                                                                              \
        return z;                                                                               \
    }                                                                                           \
    PG_FN R pg_real_##name(pg_##name a) { return a.re; }                                        \
    PG_FN R pg_imag_##name(pg_##name a) { return a.im; }                                        \
    PG_FN R pg_abs_##name(pg_##name a) { return F(hypot)(a.re, a.im); }                         \
    PG_FN pg_##name pg_conj_##name(pg_##name a) { return pg_complex_##name(a.re, -a.im); }      \
    PG_FN pg_##name pg_neg_##name(pg_##name a) { return pg_complex_##name(-a.re, -a.im); }      \
    PG_FN uint8_t pg_eq_##name(pg_##name a, pg_##name b)                                        \
    {                                                                                           \
        return (uint8_t)((a.re == b.re) & (a.im == b.im));                                      \
    }                                                                                           \
    PG_FN uint8_t pg_ne_##name(pg_##name a, pg_##name b)                                        \
    {                                                                                           \
        return (uint8_t)((a.re != b.re) | (a.im != b.im));                                      \
    }                                                                                           \
    PG_FN uint8_t pg_is_finite_##name(pg_##name a)                                              \
    {                                                                                           \
        return (uint8_t)((F(fabs)(a.re) <= F(PG_LARGEST)) & (F(fabs)(a.im) <= F(PG_LARGEST)));  \
    }                                                                                           \
    PG_FN pg_##name pg_add_##name(pg_##name a, pg_##name b)                                     \
    {                                                                                           \
        return pg_complex_##name(a.re + b.re, a.im + b.im);                                     \
    }                                                                                           \
    PG_FN pg_##name pg_sub_##name(pg_##name a, pg_##name b)                                     \
    {                                                                                           \
        return pg_complex_##name(a.re - b.re, a.im - b.im);                                     \
    }                                                                                           \
    PG_FN pg_##name pg_mul_##name(pg_##name a, pg_##name b)                                     \
    {                                                                                           \
        return pg_complex_##name(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re);         \
    }                                                                                           \
    PG_FN pg_##name pg_div_##name(pg_##name a, pg_##name b)                                     \
    {                                                                                           \
        R re = F(fabs)(b.re), im = F(fabs)(b.im);                                               \
        if (re == 0 && im == 0) return pg_complex_##name(a.re / re, a.im / re);                 \
        if (re >= im) {                                                                         \
            R ratio = b.im / b.re, scale = 1 / (b.re + b.im * ratio);                           \
            return pg_complex_##name((a.re + a.im * ratio) * scale,                             \
                                     (a.im - a.re * ratio) * scale);                            \
        }                                                                                       \
        R ratio = b.re / b.im, scale = 1 / (b.re * ratio + b.im);                               \
        return pg_complex_##name((a.re * ratio + a.im) * scale, (a.im * ratio - a.re) * scale); \
    }                                                                                           \
    /* x / |x|, 0 for 0; scaled first, since |x| of a finite x may be infinite */               \
    PG_FN pg_##name pg_sign_##name(pg_##name a)                                                 \
    {                                                                                           \
        R re = F(fabs)(a.re), im = F(fabs)(a.im), larger = re > im ? re : im;                   \
        if (re == 0 && im == 0) return pg_complex_##name(0, 0);                                 \
        R x = a.re / larger, y = a.im / larger, length = F(hypot)(x, y);                        \
        return pg_complex_##name(x / length, y / length);                                       \
    }                                                                                           \
    PG_FN pg_##name pg_integer_pow_##name(pg_##name x, int64_t exponent)                        \
    {                                                                                           \
        uint64_t rest = exponent < 0 ? 0 - (uint64_t)exponent : (uint64_t)exponent;             \
        pg_##name result = pg_complex_##name(1, 0);                                             \
        if (rest & 1) result = x; /* 1 * x would turn infinities into NaN */                    \
        for (rest >>= 1; rest; rest >>= 1) {                                                    \
            x = pg_mul_##name(x, x);                                                            \
            if (rest & 1) result = pg_mul_##name(result, x);                                    \
        }                                                                                       \
        return exponent < 0 ? pg_div_##name(pg_complex_##name(1, 0), result) : result;          \
    }

PG_SCALAR_COMPLEX(complex64, float, PG_WITH_F)
PG_SCALAR_COMPLEX(complex128, double, PG_PLAIN)

#endif
