/* contraction.h - the axes of dot_general: which group each belongs to, and how a group of axes
 * becomes one axis of a matrix. */
#ifndef PG_CONTRACTION_H
#define PG_CONTRACTION_H

#include "axes.h"
#include "backend.h"

typedef struct pg_contraction_axes {
    int64_t n_batch, n_contract;
    const int64_t *batch[2], *contract[2]; /* 0: lhs, 1: rhs */
} pg_contraction_axes;

pg_contraction_axes pg_contraction_read(const pg_op *op);
/* Whether parameters, shapes and dtypes fit together: the kernel's prepare. */
pg_status pg_contraction_check(pg_op *op);
/* Checks the inputs and the parameters, and gives the shape of the product (room for 2 * PG_MAX_NDIM) and
 * its rows: the product of the sizes of all but the free axes of rhs. */
pg_status pg_contraction_shape(const pg_op *op, int64_t *shape, int32_t *ndim, int64_t *rows);

/* An operand with its axes in groups; m or n is `free`. */
typedef struct pg_operand {
    const char *data;
    pg_dtype dtype;
    pg_array *copy; /* to be released, or NULL */
    int64_t free_stride, contract_stride;
    pg_axis batch[PG_MAX_NDIM], free[PG_MAX_NDIM], contract[PG_MAX_NDIM]; /* strides in array 0 */
    int32_t n_batch, n_free, n_contract;
} pg_operand;

/* Groups the axes of lhs and rhs. */
void pg_contraction_group(const pg_contraction_axes *lists, const pg_array *lhs,
                          const pg_array *rhs, pg_operand o[2]);
/* Makes one axis each of the free and of the contracting axes; copies where strides forbid it. */
pg_status pg_operand_collapse(const pg_op *op, pg_operand *o);
/* Replaces the operand by a dense copy [batch.., free, contract], or with the last two swapped. */
pg_status pg_operand_copy(const pg_op *op, pg_operand *o, bool contract_last);
/* Makes real operands of complex ones, with twice the contracting elements and twice as many columns
 * (free elements of rhs): their product is the complex one, its parts side by side. The operands have
 * been collapsed (contraction_complex.c). */
pg_status pg_operands_to_real(const pg_op *op, pg_operand *lhs, pg_operand *rhs);

#endif
