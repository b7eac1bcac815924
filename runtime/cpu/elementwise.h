/* elementwise.h - what a kernel of the form out[i] = f(in[i]...) must say about itself. */
#ifndef PG_ELEMENTWISE_H
#define PG_ELEMENTWISE_H

#include "cpu.h"

/* One axis: out[i * strides[0]] = f(in[0][i * strides[1]], in[1][i * strides[2]], ...) for i < n.
 * Strides are in bytes; `out` may be one of `in`, with the same stride, but not overlap otherwise.
 * `parameter` is the operation's only parameter, or 0. */
typedef void pg_loop(char *out, const char *const *in, const int64_t *strides, int64_t n,
                     int64_t parameter);

enum { PG_ELEMENTWISE_MAX_IN = 3 };

/* Elements worth about 20 us on one core: fewer are not given to several threads. */
enum { PG_GRAIN_CHEAP = 32768, PG_GRAIN_MATH = 4096, PG_GRAIN_HEAVY = 1024 };

typedef struct pg_elementwise {
    int8_t n_in, n_params;
    _Bool selects;    /* the first input is bool */
    _Bool gives_bool; /* the output is bool; else it has the dtype of the last input */
    _Bool gives_part; /* of complex inputs the output has the dtype of their parts */
    _Bool joins;      /* the output is complex, and the inputs have the dtype of its parts */
    _Bool converts;   /* the output has any dtype: the one whose table this is */
    int32_t grain;
    pg_loop *loops[PG_DTYPE_COUNT]; /* by the dtype of the last input; NULL where not offered */
} pg_elementwise;

/* For pg_kernel.prepare and .run. Inputs broadcast to the shape of the output as in NumPy. */
pg_status pg_elementwise_prepare(pg_op *op, const pg_elementwise *kind);
pg_status pg_elementwise_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out);

/* Writes f(in) to `out`, a dense array of the output's shape that is not in use elsewhere. */
void pg_elementwise_apply(const pg_op *op, pg_array *const *in, pg_array *out);

#endif
