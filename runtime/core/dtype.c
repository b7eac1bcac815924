/* dtype.c - names and sizes of the dtypes. */
#include "core.h"

static const struct {
    const char *name;
    int64_t size;
} dtypes[PG_DTYPE_COUNT] = {
    [PG_BOOL] = {"bool", 1},
    [PG_INT8] = {"int8", 1},
    [PG_INT16] = {"int16", 2},
    [PG_INT32] = {"int32", 4},
    [PG_INT64] = {"int64", 8},
    [PG_UINT8] = {"uint8", 1},
    [PG_UINT16] = {"uint16", 2},
    [PG_UINT32] = {"uint32", 4},
    [PG_UINT64] = {"uint64", 8},
    [PG_FLOAT16] = {"float16", 2},
    [PG_BFLOAT16] = {"bfloat16", 2},
    [PG_FLOAT32] = {"float32", 4},
    [PG_FLOAT64] = {"float64", 8},
    [PG_COMPLEX64] = {"complex64", 8},
    [PG_COMPLEX128] = {"complex128", 16},
};

int64_t pg_dtype_size(pg_dtype dtype) { return dtypes[dtype].size; }
bool pg_dtype_is_complex(pg_dtype dtype) { return dtype >= PG_COMPLEX64; }
const char *pg_dtype_name(pg_dtype dtype) { return dtypes[dtype].name; }
