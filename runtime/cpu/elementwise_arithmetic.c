/* elementwise_arithmetic.c - operations whose results are exact or correctly rounded: integer and
 * floating arithmetic, rounding, bits. Meanings are in core/kernels.md and pequegrad_scalar.h.
 *
 * Results are the same on every instruction set. float16 and bfloat16 are computed as float32 and
 * rounded once. Out may be one of the inputs. */
/* The formatter takes lists of macros for expressions. */
/* clang-format off */
#include "elementwise_loops.h"

/* ---- one input --------------------------------------------------------------------------------- */

FOR_NUMBER(UNARY_LOOP, neg)
FOR_NUMBER(UNARY_LOOP, abs)
FOR_NUMBER(UNARY_LOOP, sign)
UNARY_KERNEL(neg, PG_GRAIN_CHEAP, LOOPS_NUMBER(neg), LOOPS_COMPLEX(neg))
ELEMENTWISE_KERNEL(abs, .n_in = 1, .gives_part = 1, .grain = PG_GRAIN_CHEAP,
                   .loops = {LOOPS_NUMBER(abs), LOOPS_COMPLEX(abs)})
UNARY_KERNEL(sign, PG_GRAIN_CHEAP, LOOPS_NUMBER(sign), LOOPS_COMPLEX(sign))

FOR_FLOAT(UNARY_LOOP, floor)
FOR_FLOAT(UNARY_LOOP, ceil)
FOR_FLOAT(UNARY_LOOP, round)
FOR_FLOAT(UNARY_LOOP, trunc)
FOR_FLOAT(UNARY_LOOP, sqrt)
FOR_FLOAT(UNARY_LOOP, rsqrt)
UNARY_KERNEL(floor, PG_GRAIN_CHEAP, LOOPS_FLOAT(floor))
UNARY_KERNEL(ceil, PG_GRAIN_CHEAP, LOOPS_FLOAT(ceil))
UNARY_KERNEL(round, PG_GRAIN_CHEAP, LOOPS_FLOAT(round))
UNARY_KERNEL(trunc, PG_GRAIN_CHEAP, LOOPS_FLOAT(trunc))
UNARY_KERNEL(sqrt, PG_GRAIN_CHEAP, LOOPS_FLOAT(sqrt), LOOPS_COMPLEX(sqrt))
UNARY_KERNEL(rsqrt, PG_GRAIN_CHEAP, LOOPS_FLOAT(rsqrt), LOOPS_COMPLEX(rsqrt))

FOR_LOGICAL(UNARY_LOOP, not)
FOR_INTEGER(UNARY_LOOP, popcount)
FOR_INTEGER(UNARY_LOOP, clz)
UNARY_KERNEL(not, PG_GRAIN_CHEAP, LOOPS_LOGICAL(not))
UNARY_KERNEL(popcount, PG_GRAIN_CHEAP, LOOPS_INTEGER(popcount))
UNARY_KERNEL(clz, PG_GRAIN_CHEAP, LOOPS_INTEGER(clz))

/* ---- two inputs -------------------------------------------------------------------------------- */

FOR_ANY(BINARY_LOOP, add)
FOR_ANY(BINARY_LOOP, sub)
FOR_ANY(BINARY_LOOP, mul)
FOR_ANY(BINARY_LOOP, max)
FOR_ANY(BINARY_LOOP, min)
BINARY_KERNEL(add, PG_GRAIN_CHEAP, LOOPS_ANY(add), LOOPS_COMPLEX(add))
BINARY_KERNEL(sub, PG_GRAIN_CHEAP, LOOPS_ANY(sub), LOOPS_COMPLEX(sub))
BINARY_KERNEL(mul, PG_GRAIN_CHEAP, LOOPS_ANY(mul), LOOPS_COMPLEX(mul))
BINARY_KERNEL(max, PG_GRAIN_CHEAP, LOOPS_ANY(max))
BINARY_KERNEL(min, PG_GRAIN_CHEAP, LOOPS_ANY(min))

FOR_NUMBER(BINARY_LOOP, div)
FOR_NUMBER(BINARY_LOOP, rem)
BINARY_KERNEL(div, PG_GRAIN_CHEAP, LOOPS_NUMBER(div), LOOPS_COMPLEX(div))
BINARY_KERNEL(rem, PG_GRAIN_HEAVY, LOOPS_NUMBER(rem)) /* fmod takes a step per bit of the quotient */

FOR_LOGICAL(BINARY_LOOP, and)
FOR_LOGICAL(BINARY_LOOP, or)
FOR_LOGICAL(BINARY_LOOP, xor)
BINARY_KERNEL(and, PG_GRAIN_CHEAP, LOOPS_LOGICAL(and))
BINARY_KERNEL(or, PG_GRAIN_CHEAP, LOOPS_LOGICAL(or))
BINARY_KERNEL(xor, PG_GRAIN_CHEAP, LOOPS_LOGICAL(xor))

FOR_INTEGER(BINARY_LOOP, shift_left)
FOR_INTEGER(BINARY_LOOP, shift_right_logical)
FOR_INTEGER(BINARY_LOOP, shift_right_arithmetic)
BINARY_KERNEL(shift_left, PG_GRAIN_CHEAP, LOOPS_INTEGER(shift_left))
BINARY_KERNEL(shift_right_logical, PG_GRAIN_CHEAP, LOOPS_INTEGER(shift_right_logical))
BINARY_KERNEL(shift_right_arithmetic, PG_GRAIN_CHEAP, LOOPS_INTEGER(shift_right_arithmetic))

/* The next number is one of the dtype, not of float32. */
LOOP_HEAD(nextafter_float16)
{
    BINARY_BODY(uint16_t, uint16_t, pg_nextafter16(x, y, pg_half_to_float(x), pg_half_to_float(y)))
}
LOOP_HEAD(nextafter_bfloat16)
{
    BINARY_BODY(uint16_t, uint16_t,
                pg_nextafter16(x, y, pg_bfloat16_to_float(x), pg_bfloat16_to_float(y)))
}
LOOP_HEAD(nextafter_float32) { BINARY_BODY(float, float, nextafterf(x, y)) }
LOOP_HEAD(nextafter_float64) { BINARY_BODY(double, double, nextafter(x, y)) }
BINARY_KERNEL(nextafter, PG_GRAIN_MATH, LOOPS_FLOAT(nextafter))

const pg_kernel PG_ISA_NAME(pg_cpu_elementwise_arithmetic_kernels)[] = {
    KERNEL_ENTRY(neg) KERNEL_ENTRY(abs) KERNEL_ENTRY(sign)
    KERNEL_ENTRY(floor) KERNEL_ENTRY(ceil) KERNEL_ENTRY(round) KERNEL_ENTRY(trunc)
    KERNEL_ENTRY(sqrt) KERNEL_ENTRY(rsqrt)
    KERNEL_ENTRY(not) KERNEL_ENTRY(popcount) KERNEL_ENTRY(clz)
    KERNEL_ENTRY(add) KERNEL_ENTRY(sub) KERNEL_ENTRY(mul) KERNEL_ENTRY(max) KERNEL_ENTRY(min)
    KERNEL_ENTRY(div) KERNEL_ENTRY(rem)
    KERNEL_ENTRY(and) KERNEL_ENTRY(or) KERNEL_ENTRY(xor)
    KERNEL_ENTRY(shift_left) KERNEL_ENTRY(shift_right_logical) KERNEL_ENTRY(shift_right_arithmetic)
    KERNEL_ENTRY(nextafter)
    {0},
};
