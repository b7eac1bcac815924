/* op.c - an operation: a kernel, with the dtypes, shapes and parameters it will be run with. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

/* Reads `n` avals from `words` (dtype, ndim, shape...) and checks them. The shapes stay in `words`. */
static pg_status parse_avals(const int64_t *words, int64_t n_words, int64_t n, pg_aval *avals)
{
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        PG_REQUIRE(n_words - at >= 2, "the description of operand %lld is cut off", (long long)i);
        int64_t dtype = words[at], ndim = words[at + 1];
        at += 2;
        PG_REQUIRE(dtype >= 0 && dtype < PG_DTYPE_COUNT, "operand %lld: there is no dtype %lld",
                   (long long)i, (long long)dtype);
        PG_REQUIRE(ndim >= 0 && ndim <= PG_MAX_NDIM, "operand %lld: %lld axes; arrays have 0 to %d",
                   (long long)i, (long long)ndim, PG_MAX_NDIM);
        PG_REQUIRE(n_words - at >= ndim, "the description of operand %lld is cut off",
                   (long long)i);
        avals[i].dtype = (pg_dtype)dtype;
        avals[i].ndim = (int32_t)ndim;
        avals[i].shape = words + at;
        PG_TRY(pg_shape_count((pg_dtype)dtype, (int32_t)ndim, words + at, &avals[i].count));
        at += ndim;
    }
    PG_REQUIRE(at == n_words, "%lld numbers are left over after the last operand",
               (long long)(n_words - at));
    return PG_OK;
}

static pg_status fail_create(pg_op *op, const char *name, pg_status status)
{
    free(op);
    return pg_fail(status, "%s: %s", name, pg_last_error());
}

pg_status pg_op_create(pg_device *device, const char *name, int32_t n_in, int32_t n_out,
                       const int64_t *avals, int64_t n_avals, const int64_t *params,
                       int64_t n_params, pg_op **out)
{
    PG_REQUIRE(device && name && out, "pg_op_create: a pointer is NULL");
    PG_REQUIRE(n_in >= 0 && n_out >= 0 && n_avals >= 0 && n_params >= 0,
               "%s: %d inputs, %d outputs, %lld numbers about them, %lld parameters", name, n_in,
               n_out, (long long)n_avals, (long long)n_params);
    const pg_kernel *kernel = pg_find_control_kernel(name);
    PG_REQUIRE(n_out >= 1 || kernel, "%s: an operation without results", name);
    if (!kernel) kernel = pg_find_view_kernel(name);
    bool moves_nothing = kernel != NULL; /* it looks at no element itself */
    if (!kernel) kernel = device->backend->find_kernel(name);
    if (!kernel)
        return pg_fail(PG_EUNSUPPORTED, "the %s backend has no kernel '%s'", device->backend->kind,
                       name);

    size_t n = (size_t)n_in + (size_t)n_out;
    size_t words = (size_t)n_avals + (size_t)n_params;
    PG_REQUIRE(n <= (size_t)n_avals / 2 && words < INT64_MAX / 64,
               "%s: %lld numbers do not describe %zu operands", name, (long long)n_avals, n);
    pg_op *op = calloc(1, sizeof *op + n * sizeof(pg_aval) + words * sizeof(int64_t));
    if (!op) return pg_fail(PG_ENOMEM, "%s: no host memory left for the operation", name);
    pg_aval *parsed = (pg_aval *)(op + 1);
    int64_t *copied = (int64_t *)(parsed + n);
    memcpy(copied, avals, (size_t)n_avals * sizeof(int64_t));
    if (n_params) memcpy(copied + n_avals, params, (size_t)n_params * sizeof(int64_t));
    pg_status status = parse_avals(copied, n_avals, (int64_t)n, parsed);
    if (status != PG_OK) return fail_create(op, name, status);

    op->device = device;
    op->kernel = kernel;
    op->n_in = n_in;
    op->n_out = n_out;
    op->in = parsed;
    op->out = parsed + n_in;
    op->params = copied + n_avals;
    op->n_params = n_params;
    if (moves_nothing) op->plan = kernel->run;
    status = kernel->prepare ? kernel->prepare(op) : PG_OK;
    if (status != PG_OK) {
        pg_explain_failure(op, status);
        free(op);
        return status;
    }
    *out = op;
    return PG_OK;
}

void pg_op_destroy(pg_op *op) { free(op); }

bool pg_same_aval(const pg_aval *a, const pg_aval *b)
{
    if (a->dtype != b->dtype || a->ndim != b->ndim) return false;
    for (int32_t i = 0; i < a->ndim; i++)
        if (a->shape[i] != b->shape[i]) return false;
    return true;
}

pg_status pg_output(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    const pg_aval *result = &op->out[0];
    for (int32_t i = 0; dying; i++, dying >>= 1) {
        if (!(dying & 1) || !pg_same_aval(&op->in[i], result) || !pg_array_is_dense(in[i]))
            continue;
        /* a small view must not keep a large buffer alive through the result */
        if (in[i]->buffer->bytes != result->count * pg_dtype_size(result->dtype)) continue;
        pg_array_retain(in[i]);
        *out = in[i];
        return PG_OK;
    }
    return pg_array_of(op->device, result, out);
}
