/* pequegrad_freestanding.h - what pequegrad_scalar.h needs of the standard headers, for generated code.
 *
 * Generated code includes no system header: parsing <math.h> takes longer than compiling a kernel. The compiler knows
 * the functions of libm that are declared here.
 *
 * With PG_VECTOR_MATH (x86-64, glibc 2.35 or later, gcc) the functions of libm that have vector forms are
 * pg_exp_float32 and so on, declared here and defined for the compiler's vector lengths by
 * PG_VECTOR_1(exp, float32) or PG_VECTOR_2(pow, float32), which a file states for those that it uses. All lengths, one
 * element included, go through the longest form: f(x) has the same bits wherever in a loop x is met, and they are those
 * that the kernels of the runtime give. */
/* The formatter takes lists of macros for expressions. */
/* clang-format off */
#ifndef PEQUEGRAD_FREESTANDING_H
#define PEQUEGRAD_FREESTANDING_H

/* ---- stdint.h, string.h ------------------------------------------------------------------------ */

typedef __INT8_TYPE__ int8_t;
typedef __INT16_TYPE__ int16_t;
typedef __INT32_TYPE__ int32_t;
typedef __INT64_TYPE__ int64_t;
typedef __UINT8_TYPE__ uint8_t;
typedef __UINT16_TYPE__ uint16_t;
typedef __UINT32_TYPE__ uint32_t;
typedef __UINT64_TYPE__ uint64_t;
typedef __SIZE_TYPE__ size_t;
#define INT8_MAX __INT8_MAX__
#define INT8_MIN (-__INT8_MAX__ - 1)
#define INT16_MAX __INT16_MAX__
#define INT16_MIN (-__INT16_MAX__ - 1)
#define INT32_MAX __INT32_MAX__
#define INT32_MIN (-__INT32_MAX__ - 1)
#define INT64_MAX __INT64_MAX__
#define INT64_MIN (-__INT64_MAX__ - 1)
#define UINT8_MAX __UINT8_MAX__
#define UINT16_MAX __UINT16_MAX__
#define UINT32_MAX __UINT32_MAX__
#define UINT64_MAX __UINT64_MAX__

#define memcpy __builtin_memcpy

/* ---- math.h ------------------------------------------------------------------------------------ */

#define NAN __builtin_nanf("")
#define INFINITY __builtin_inff()
#define isinf __builtin_isinf

#define PG_LIBM_1(name) float name##f(float); double name(double);
#define PG_LIBM_2(name) float name##f(float, float); double name(double, double);
PG_LIBM_1(fabs) PG_LIBM_1(floor) PG_LIBM_1(ceil) PG_LIBM_1(trunc) PG_LIBM_1(rint) PG_LIBM_1(sqrt)
PG_LIBM_1(exp) PG_LIBM_1(exp2) PG_LIBM_1(expm1) PG_LIBM_1(log) PG_LIBM_1(log1p) PG_LIBM_1(cbrt)
PG_LIBM_1(sin) PG_LIBM_1(cos) PG_LIBM_1(tan) PG_LIBM_1(asin) PG_LIBM_1(acos) PG_LIBM_1(atan)
PG_LIBM_1(sinh) PG_LIBM_1(cosh) PG_LIBM_1(tanh) PG_LIBM_1(asinh) PG_LIBM_1(acosh) PG_LIBM_1(atanh)
PG_LIBM_1(erf) PG_LIBM_1(erfc) PG_LIBM_1(tgamma)
PG_LIBM_2(pow) PG_LIBM_2(atan2) PG_LIBM_2(fmod) PG_LIBM_2(hypot) PG_LIBM_2(copysign) PG_LIBM_2(nextafter)
float lgammaf_r(float, int *);
double lgamma_r(double, int *);
double fma(double, double, double);
float fmaf(float, float, float);

/* ---- vector forms ------------------------------------------------------------------------------ */

#ifdef PG_VECTOR_MATH
#define PG_VECTOR_FUNCTIONS

#define PG_SIMD_CONST __attribute__((simd("notinbranch"), const, nothrow))
#define PG_DECLARE_1(op)                                                                           \
    PG_SIMD_CONST float pg_##op##_float32(float);                                                  \
    PG_SIMD_CONST double pg_##op##_float64(double);
#define PG_DECLARE_2(op)                                                                           \
    PG_SIMD_CONST float pg_##op##_float32(float, float);                                           \
    PG_SIMD_CONST double pg_##op##_float64(double, double);
PG_DECLARE_1(exp) PG_DECLARE_1(exp2) PG_DECLARE_1(expm1) PG_DECLARE_1(log) PG_DECLARE_1(log1p)
PG_DECLARE_1(cbrt) PG_DECLARE_1(sin) PG_DECLARE_1(cos) PG_DECLARE_1(tan) PG_DECLARE_1(asin)
PG_DECLARE_1(acos) PG_DECLARE_1(atan) PG_DECLARE_1(sinh) PG_DECLARE_1(cosh) PG_DECLARE_1(tanh)
PG_DECLARE_1(asinh) PG_DECLARE_1(acosh) PG_DECLARE_1(atanh) PG_DECLARE_1(erf) PG_DECLARE_1(erfc)
PG_DECLARE_2(pow) PG_DECLARE_2(atan2)

/* The vector ABI calls the form of f for n elements _ZGV<letter>N<n>v_f: b = SSE, d = AVX2, e = AVX-512, one v for each
 * argument. The forms are written in assembly, since a few small functions cost as much to compile as a kernel: each
 * repeats its arguments, in registers 0 and 1, until they fill the longest vector. */
#define PG_FORM(form, REPEAT, longest, clean)                                                      \
    ".type " form ",@function\n" form ":\nsubq $8,%rsp\n" REPEAT("0") REPEAT("1")                  \
    "call " longest "@PLT\n" clean "addq $8,%rsp\nret\n"
#define PG_SAME(form, longest) ".set " form "," longest "\n"
#if defined(__AVX512F__)
#define PG_REPEAT_float32(r) "vbroadcastss %xmm" r ",%zmm" r "\n"
#define PG_REPEAT_float64(r) "vbroadcastsd %xmm" r ",%zmm" r "\n"
#define PG_REPEAT_16(r) "vshuff64x2 $0,%zmm" r ",%zmm" r ",%zmm" r "\n"
#define PG_REPEAT_32(r) "vshuff64x2 $0x44,%zmm" r ",%zmm" r ",%zmm" r "\n"
#define PG_FORMS(name, libm, v, REPEAT_ONE, n16, n32, n64)                                         \
    PG_FORM(name, REPEAT_ONE, "_ZGVeN" n64 libm, "vzeroupper\n")                                   \
    PG_FORM("_ZGVbN" n16 v "_" name, PG_REPEAT_16, "_ZGVeN" n64 libm, "vzeroupper\n")              \
    PG_FORM("_ZGVdN" n32 v "_" name, PG_REPEAT_32, "_ZGVeN" n64 libm, "")                          \
    PG_SAME("_ZGVeN" n64 v "_" name, "_ZGVeN" n64 libm)
#elif defined(__AVX2__)
#define PG_REPEAT_float32(r) "vbroadcastss %xmm" r ",%ymm" r "\n"
#define PG_REPEAT_float64(r) "vbroadcastsd %xmm" r ",%ymm" r "\n"
#define PG_REPEAT_16(r) "vinsertf128 $1,%xmm" r ",%ymm" r ",%ymm" r "\n"
#define PG_FORMS(name, libm, v, REPEAT_ONE, n16, n32, n64)                                         \
    PG_FORM(name, REPEAT_ONE, "_ZGVdN" n32 libm, "vzeroupper\n")                                   \
    PG_FORM("_ZGVbN" n16 v "_" name, PG_REPEAT_16, "_ZGVdN" n32 libm, "vzeroupper\n")              \
    PG_SAME("_ZGVdN" n32 v "_" name, "_ZGVdN" n32 libm)
#else
#define PG_REPEAT_float32(r) "shufps $0,%xmm" r ",%xmm" r "\n"
#define PG_REPEAT_float64(r) "unpcklpd %xmm" r ",%xmm" r "\n"
#define PG_FORMS(name, libm, v, REPEAT_ONE, n16, n32, n64)                                         \
    PG_FORM(name, REPEAT_ONE, "_ZGVbN" n16 libm, "")                                               \
    PG_SAME("_ZGVbN" n16 v "_" name, "_ZGVbN" n16 libm)
#endif
#define PG_FORMS_float32(op, v)                                                                    \
    PG_FORMS("pg_" op "_float32", v "_" op "f", v, PG_REPEAT_float32, "4", "8", "16")
#define PG_FORMS_float64(op, v)                                                                    \
    PG_FORMS("pg_" op "_float64", v "_" op, v, PG_REPEAT_float64, "2", "4", "8")
#define PG_VECTOR_1(op, dtype) __asm__(".text\n" PG_FORMS_##dtype(#op, "v"));
#define PG_VECTOR_2(op, dtype) __asm__(".text\n" PG_FORMS_##dtype(#op, "vv"));
#endif
#endif
