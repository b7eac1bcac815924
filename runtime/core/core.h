/* core.h - what the files of runtime/core share among themselves. */
#ifndef PG_CORE_H
#define PG_CORE_H

#include "backend.h"

/* Checks that `shape` can be addressed with int64 (strides of empty arrays too) and counts its
 * elements. */
pg_status pg_shape_count(pg_dtype dtype, int32_t ndim, const int64_t *shape, int64_t *count);

/* Row-major strides in bytes; `shape` has passed pg_shape_count. */
void pg_dense_strides(pg_dtype dtype, int32_t ndim, const int64_t *shape, int64_t *strides);

/* Puts "name: float32[2,3], float32[4]: " before the message of a failed kernel; gives `status`. */
pg_status pg_explain_failure(const pg_op *op, pg_status status);

#endif
