/* elementwise_compare.c - comparisons, `is_finite`, and the two operations of three inputs, `select`
 * and `clamp`. Meanings are in core/kernels.md and pequegrad_scalar.h.
 *
 * NaN: only `ne` is true; `select` moves bits; `clamp` gives NaN if any of its inputs is one. Out may
 * be one of the inputs. */
/* The formatter takes lists of macros for expressions. */
/* clang-format off */
#include "elementwise_loops.h"

FOR_ANY(COMPARE_LOOP, eq)
FOR_ANY(COMPARE_LOOP, ne)
FOR_ANY(COMPARE_LOOP, lt)
FOR_ANY(COMPARE_LOOP, le)
FOR_ANY(COMPARE_LOOP, gt)
FOR_ANY(COMPARE_LOOP, ge)
COMPARE_KERNEL(eq, PG_GRAIN_CHEAP, LOOPS_ANY(eq), LOOPS_COMPLEX(eq))
COMPARE_KERNEL(ne, PG_GRAIN_CHEAP, LOOPS_ANY(ne), LOOPS_COMPLEX(ne))
COMPARE_KERNEL(lt, PG_GRAIN_CHEAP, LOOPS_ANY(lt))
COMPARE_KERNEL(le, PG_GRAIN_CHEAP, LOOPS_ANY(le))
COMPARE_KERNEL(gt, PG_GRAIN_CHEAP, LOOPS_ANY(gt))
COMPARE_KERNEL(ge, PG_GRAIN_CHEAP, LOOPS_ANY(ge))

FOR_FLOAT(TEST_LOOP, is_finite)
ELEMENTWISE_KERNEL(is_finite, .n_in = 1, .gives_bool = 1, .grain = PG_GRAIN_CHEAP,
                   .loops = {LOOPS_FLOAT(is_finite), LOOPS_COMPLEX(is_finite)})

/* Loops over three inputs; `value` is computed from x, y, z, of which the first has type FIRST and the
 * others T. SA, SB, SC are element strides: constants 0 or 1 where the loop is to be vectorised. */
#define TERNARY_DENSE(FIRST, T, SA, SB, SC, value)                                                 \
    PG_SIMD for (int64_t i = 0; i < n; i++)                                                        \
    {                                                                                              \
        FIRST x = SA ? a[i] : a0;                                                                  \
        T y = SB ? b[i] : b0, z = SC ? c[i] : c0;                                                  \
        to[i] = value;                                                                             \
    }
#define TERNARY_BODY(FIRST, T, value)                                                              \
    const char *at = in[0], *bt = in[1], *ct = in[2];                                              \
    const FIRST *a = (const FIRST *)at, a0 = *a;                                                   \
    const T *b = (const T *)bt, *c = (const T *)ct, b0 = *b, c0 = *c;                              \
    T *to = (T *)out;                                                                              \
    const int64_t sa = strides[1], sb = strides[2], sc = strides[3];                               \
    const int64_t fs = sizeof(FIRST), ts = sizeof(T);                                              \
    const _Bool dense = strides[0] == ts;                                                          \
    (void)parameter;                                                                               \
    if (dense && sa == fs && sb == ts && sc == ts) {                                               \
        TERNARY_DENSE(FIRST, T, 1, 1, 1, value)                                                    \
    } else if (dense && sa == fs && sb == ts && sc == 0) {                                         \
        TERNARY_DENSE(FIRST, T, 1, 1, 0, value)                                                    \
    } else if (dense && sa == fs && sb == 0 && sc == ts) {                                         \
        TERNARY_DENSE(FIRST, T, 1, 0, 1, value)                                                    \
    } else if (dense && sa == fs && sb == 0 && sc == 0) {                                          \
        TERNARY_DENSE(FIRST, T, 1, 0, 0, value)                                                    \
    } else if (dense && sa == 0 && sb == ts && sc == 0) {                                          \
        TERNARY_DENSE(FIRST, T, 0, 1, 0, value)                                                    \
    } else {                                                                                       \
        for (int64_t i = 0; i < n; i++) {                                                          \
            FIRST x = *(const FIRST *)at;                                                          \
            T y = *(const T *)bt, z = *(const T *)ct;                                              \
            *(T *)out = value;                                                                     \
            out += strides[0];                                                                     \
            at += sa;                                                                              \
            bt += sb;                                                                              \
            ct += sc;                                                                              \
        }                                                                                          \
    }

LOOP_HEAD(select_1) { TERNARY_BODY(uint8_t, uint8_t, x ? y : z) }
LOOP_HEAD(select_2) { TERNARY_BODY(uint8_t, uint16_t, x ? y : z) }
LOOP_HEAD(select_4) { TERNARY_BODY(uint8_t, uint32_t, x ? y : z) }
LOOP_HEAD(select_8) { TERNARY_BODY(uint8_t, uint64_t, x ? y : z) }
LOOP_HEAD(select_16) { TERNARY_BODY(uint8_t, pg_complex128, x ? y : z) }

ELEMENTWISE_KERNEL(select, .n_in = 3, .selects = 1, .grain = PG_GRAIN_CHEAP,
                   .loops = {[PG_BOOL] = select_1, [PG_INT8] = select_1, [PG_INT16] = select_2,
                             [PG_INT32] = select_4, [PG_INT64] = select_8, [PG_UINT8] = select_1,
                             [PG_UINT16] = select_2, [PG_UINT32] = select_4,
                             [PG_UINT64] = select_8, [PG_FLOAT16] = select_2,
                             [PG_BFLOAT16] = select_2, [PG_FLOAT32] = select_4,
                             [PG_FLOAT64] = select_8, [PG_COMPLEX64] = select_8,
                             [PG_COMPLEX128] = select_16})

/* The inputs are lo, x, hi. */
#define CLAMP_LOOP(op, dtype, compute)                                                             \
    LOOP_HEAD(op##_##dtype)                                                                        \
    {                                                                                              \
        TERNARY_BODY(pg_storage_##dtype, pg_storage_##dtype,                                       \
                     pg_store_##dtype(pg_min_##compute(                                            \
                         pg_max_##compute(pg_load_##dtype(y), pg_load_##dtype(x)),                 \
                         pg_load_##dtype(z))))                                                     \
    }
FOR_NUMBER(CLAMP_LOOP, clamp)
ELEMENTWISE_KERNEL(clamp, .n_in = 3, .grain = PG_GRAIN_CHEAP, .loops = {LOOPS_NUMBER(clamp)})

const pg_kernel PG_ISA_NAME(pg_cpu_elementwise_compare_kernels)[] = {
    KERNEL_ENTRY(eq) KERNEL_ENTRY(ne) KERNEL_ENTRY(lt) KERNEL_ENTRY(le) KERNEL_ENTRY(gt)
    KERNEL_ENTRY(ge) KERNEL_ENTRY(is_finite) KERNEL_ENTRY(select) KERNEL_ENTRY(clamp)
    {0},
};
