/* matmul.h - dot_general's product, for kernels that begin with one. */
#ifndef PG_MATMUL_H
#define PG_MATMUL_H

#include "backend.h"

/* What is to happen to the rows of the product (of all batch elements, one after another) when they are
 * complete: while they are in cache, where the shapes allow it. */
typedef struct pg_matmul_rows {
    /* rows [begin, end), by any thread; `product` is where its first row of all is, or would be */
    void (*run)(void *context, char *product, int64_t begin, int64_t end);
    void *context;
    int64_t together; /* begin and end are multiples of it, or end is the number of rows */
    bool keep;        /* the whole product is stored */
} pg_matmul_rows;

/* product = lhs times rhs, by the axes in op->params; both have the dtype to compute in: that of the
 * product, or a 16-bit float for a product of float32. `product`: memory for all of it, dense, or NULL if
 * rows->keep is false. `rows` may be NULL. */
pg_status pg_matmul(const pg_op *op, const pg_array *lhs, const pg_array *rhs, pg_dtype dtype,
                    char *product, const pg_matmul_rows *rows);

#endif
