/* copy.c - `copy`: a dense, row-major copy of an array of any dtype and strides.
 *
 * pg_array_dense and pg_array_to_host go through this kernel. Elements are moved as bits; the tiles
 * of elementwise.c keep transposed inputs in the first-level cache. */
/* The formatter takes lists of macros for expressions. */
/* clang-format off */
#include "elementwise_loops.h"

LOOP_HEAD(copy_1) { UNARY_BODY(uint8_t, uint8_t, x) }
LOOP_HEAD(copy_2) { UNARY_BODY(uint16_t, uint16_t, x) }
LOOP_HEAD(copy_4) { UNARY_BODY(uint32_t, uint32_t, x) }
LOOP_HEAD(copy_8) { UNARY_BODY(uint64_t, uint64_t, x) }
LOOP_HEAD(copy_16) { UNARY_BODY(pg_complex128, pg_complex128, x) }

UNARY_KERNEL(copy, PG_GRAIN_CHEAP,
             [PG_BOOL] = copy_1, [PG_INT8] = copy_1, [PG_INT16] = copy_2, [PG_INT32] = copy_4,
             [PG_INT64] = copy_8, [PG_UINT8] = copy_1, [PG_UINT16] = copy_2, [PG_UINT32] = copy_4,
             [PG_UINT64] = copy_8, [PG_FLOAT16] = copy_2, [PG_BFLOAT16] = copy_2,
             [PG_FLOAT32] = copy_4, [PG_FLOAT64] = copy_8, [PG_COMPLEX64] = copy_8,
             [PG_COMPLEX128] = copy_16)

const pg_kernel PG_ISA_NAME(pg_cpu_copy_kernels)[] = {KERNEL_ENTRY(copy) {0}};
