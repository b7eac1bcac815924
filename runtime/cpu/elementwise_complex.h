/* elementwise_complex.h - the loops over complex dtypes, for the tables of the kernels that take real
 * dtypes, too. LOOPS_COMPLEX(op) lists them for pg_elementwise.loops. */
/* The formatter takes lists of macros for expressions. */
/* clang-format off */
#ifndef PG_ELEMENTWISE_COMPLEX_H
#define PG_ELEMENTWISE_COMPLEX_H

#include "elementwise.h"

#define PG_COMPLEX_LOOP(op, dtype) PG_ISA_NAME(pg_loop_##op##_##dtype)
#define LOOPS_COMPLEX(op)                                                                          \
    [PG_COMPLEX64] = PG_COMPLEX_LOOP(op, complex64),                                               \
    [PG_COMPLEX128] = PG_COMPLEX_LOOP(op, complex128)

#define PG_DECLARE_COMPLEX(op) pg_loop PG_COMPLEX_LOOP(op, complex64), PG_COMPLEX_LOOP(op, complex128);
PG_DECLARE_COMPLEX(neg) PG_DECLARE_COMPLEX(abs) PG_DECLARE_COMPLEX(sign) PG_DECLARE_COMPLEX(is_finite)
PG_DECLARE_COMPLEX(add) PG_DECLARE_COMPLEX(sub) PG_DECLARE_COMPLEX(mul) PG_DECLARE_COMPLEX(div)
PG_DECLARE_COMPLEX(eq) PG_DECLARE_COMPLEX(ne) PG_DECLARE_COMPLEX(pow) PG_DECLARE_COMPLEX(integer_pow)
PG_DECLARE_COMPLEX(exp) PG_DECLARE_COMPLEX(exp2) PG_DECLARE_COMPLEX(expm1)
PG_DECLARE_COMPLEX(log) PG_DECLARE_COMPLEX(log1p) PG_DECLARE_COMPLEX(sqrt) PG_DECLARE_COMPLEX(rsqrt)
PG_DECLARE_COMPLEX(sin) PG_DECLARE_COMPLEX(cos) PG_DECLARE_COMPLEX(tan)
PG_DECLARE_COMPLEX(asin) PG_DECLARE_COMPLEX(acos) PG_DECLARE_COMPLEX(atan)
PG_DECLARE_COMPLEX(sinh) PG_DECLARE_COMPLEX(cosh) PG_DECLARE_COMPLEX(tanh)
PG_DECLARE_COMPLEX(asinh) PG_DECLARE_COMPLEX(acosh) PG_DECLARE_COMPLEX(atanh)
PG_DECLARE_COMPLEX(logistic)

#endif
