/* elementwise_special.c - functions of mathematics that take a loop for each element: float T, .. -> T.
 *
 * Meanings are in core/kernels.md and pequegrad_special.h. All are computed in double, and rounded; the
 * 16-bit formats pass through float. Out may be one of the inputs. */
/* The formatter takes lists of macros for expressions. */
/* clang-format off */
#include "pequegrad_special.h"

#include "elementwise_loops.h"

#define DOUBLE(dtype, k) (double)pg_load_##dtype(*(const pg_storage_##dtype *)(in[k] + i * strides[k + 1]))
#define FIRST(op, dtype) pg_##op(DOUBLE(dtype, 0))
#define TWO(op, dtype) pg_##op(DOUBLE(dtype, 0), DOUBLE(dtype, 1))
#define THREE(op, dtype) pg_##op(DOUBLE(dtype, 0), DOUBLE(dtype, 1), DOUBLE(dtype, 2))

#define SPECIAL_LOOP(op, dtype, T, VALUE)                                                          \
    LOOP_HEAD(op##_##dtype)                                                                        \
    {                                                                                              \
        (void)parameter;                                                                           \
        for (int64_t i = 0; i < n; i++)                                                            \
            *(pg_storage_##dtype *)(out + i * strides[0]) = pg_store_##dtype((T)VALUE(op, dtype)); \
    }
#define SPECIAL_KERNEL(op, n_in_, VALUE)                                                           \
    SPECIAL_LOOP(op, float16, float, VALUE)                                                        \
    SPECIAL_LOOP(op, bfloat16, float, VALUE)                                                       \
    SPECIAL_LOOP(op, float32, float, VALUE)                                                        \
    SPECIAL_LOOP(op, float64, double, VALUE)                                                       \
    ELEMENTWISE_KERNEL(op, .n_in = n_in_, .grain = PG_GRAIN_HEAVY / 16, .loops = {LOOPS_FLOAT(op)})

#define pg_zeta pg_hurwitz_zeta
SPECIAL_KERNEL(igamma, 2, TWO)
SPECIAL_KERNEL(igammac, 2, TWO)
SPECIAL_KERNEL(igamma_grad_a, 2, TWO)
SPECIAL_KERNEL(random_gamma_grad, 2, TWO)
SPECIAL_KERNEL(betainc, 3, THREE)
SPECIAL_KERNEL(zeta, 2, TWO)
SPECIAL_KERNEL(bessel_i0e, 1, FIRST)
SPECIAL_KERNEL(bessel_i1e, 1, FIRST)

const pg_kernel pg_cpu_elementwise_special_kernels[] = {
    KERNEL_ENTRY(igamma) KERNEL_ENTRY(igammac) KERNEL_ENTRY(igamma_grad_a)
    KERNEL_ENTRY(random_gamma_grad) KERNEL_ENTRY(betainc) KERNEL_ENTRY(zeta) KERNEL_ENTRY(bessel_i0e) KERNEL_ENTRY(bessel_i1e)
    {0},
};
