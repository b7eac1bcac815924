/* contraction_complex.c - complex matrix products as real ones of the same number of operations.
 *
 *     lhs [.. x.re x.im ..]  (m x 2k)   times   rhs with each y as   [ y.re  y.im]   (2k x 2n)
 *                                                                    [-y.im  y.re]
 *     is [.. z.re z.im ..]   (m x 2n):  the complex product, as it lies in memory
 *
 * lhs is read as it is if its contracting elements are neighbours, rhs is copied to twice its size. All
 * that real products have (BLAS, the own kernel, threads, long sums in pieces) then serves complex ones. */
#include "block.h"
#include "contraction.h"
#include "cpu.h"
#include "pequegrad_complex.h"

enum { PARALLEL = 1 << 14 };

typedef struct expansion {
    const pg_operand *from;
    char *to;          /* [batch.., 2 k, 2 n] */
    int64_t k, n, row; /* row: bytes of 2 n reals */
} expansion;

/* Unit: one row of rhs, which becomes two. */
#define EXPAND(name, R, T)                                                           \
    static void name(void *context, int64_t begin, int64_t end)                      \
    {                                                                                \
        const expansion *e = context;                                                \
        const pg_operand *o = e->from;                                               \
        for (int64_t unit = begin; unit < end; unit++) {                             \
            const char *y = o->data + unit % e->k * o->contract_stride +             \
                            pg_axes_offset(o->batch, o->n_batch, unit / e->k, 0);    \
            R *first = (R *)(e->to + 2 * unit * e->row), *second = first + 2 * e->n; \
            for (int64_t j = 0; j < e->n; j++, y += o->free_stride) {                \
                T z = *(const T *)y;                                                 \
                first[2 * j] = second[2 * j + 1] = z.re;                             \
                first[2 * j + 1] = z.im;                                             \
                second[2 * j] = -z.im;                                               \
            }                                                                        \
        }                                                                            \
    }
EXPAND(expand_complex64, float, pg_complex64)
EXPAND(expand_complex128, double, pg_complex128)

static pg_status expand(const pg_op *op, pg_operand *o, pg_dtype part)
{
    int64_t k = pg_axes_count(o->contract, o->n_contract), n = pg_axes_count(o->free, o->n_free);
    int64_t batches = pg_axes_count(o->batch, o->n_batch), count = batches * k * n;
    int64_t item = pg_dtype_size(part), shape[2] = {count, 4};
    pg_array *copy;
    PG_TRY(pg_array_new(op->device, part, 2, shape, &copy));
    expansion e = {o, copy->data, k, n, 2 * n * item};
    pg_parallel_for(batches * k, PARALLEL / n + 1,
                    part == PG_FLOAT32 ? expand_complex64 : expand_complex128, &e);
    pg_array_release(o->copy);
    o->copy = copy;
    o->data = copy->data;
    o->free_stride = item;
    o->contract_stride = e.row;
    o->free[0] = (pg_axis){2 * n, {o->free_stride, 0, 0}};
    o->contract[0] = (pg_axis){2 * k, {o->contract_stride, 0, 0}};
    o->n_free = o->n_contract = 1;
    int64_t stride = 2 * k * e.row;
    for (int32_t i = o->n_batch; i-- > 0; stride *= o->batch[i].size)
        o->batch[i].stride[0] = stride;
    return PG_OK;
}

pg_status pg_operands_to_real(const pg_op *op, pg_operand *lhs, pg_operand *rhs)
{
    pg_dtype part = lhs->dtype == PG_COMPLEX64 ? PG_FLOAT32 : PG_FLOAT64;
    int64_t item = pg_dtype_size(lhs->dtype);
    if (lhs->contract_stride != item) PG_TRY(pg_operand_copy(op, lhs, true));
    PG_TRY(expand(op, rhs, part));
    lhs->contract_stride = pg_dtype_size(part);
    lhs->contract[0] =
        (pg_axis){2 * pg_axes_count(lhs->contract, lhs->n_contract), {lhs->contract_stride, 0, 0}};
    lhs->n_contract = 1;
    lhs->dtype = rhs->dtype = part;
    return PG_OK;
}
