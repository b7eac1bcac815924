/* array.c - counted arrays: strided views on counted buffers.
 *
 * An array with one owner is changed or freed by that owner only, so release first looks at the
 * count and saves the atomic write in that common case. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

pg_status pg_shape_count(pg_dtype dtype, int32_t ndim, const int64_t *shape, int64_t *count)
{
    PG_REQUIRE(dtype >= 0 && dtype < PG_DTYPE_COUNT, "there is no dtype %d", dtype);
    PG_REQUIRE(ndim >= 0 && ndim <= PG_MAX_NDIM, "%d axes; arrays have 0 to %d", ndim, PG_MAX_NDIM);
    int64_t span = pg_dtype_size(dtype); /* bytes, with empty axes counted as one */
    bool empty = false;
    for (int32_t i = 0; i < ndim; i++) {
        PG_REQUIRE(shape[i] >= 0, "axis %d has the negative size %lld", i, (long long)shape[i]);
        if (shape[i] == 0)
            empty = true;
        else
            PG_REQUIRE(!__builtin_mul_overflow(span, shape[i], &span),
                       "the array would have more than 2**63 bytes");
    }
    *count = empty ? 0 : span / pg_dtype_size(dtype);
    return PG_OK;
}

void pg_dense_strides(pg_dtype dtype, int32_t ndim, const int64_t *shape, int64_t *strides)
{
    int64_t step = pg_dtype_size(dtype);
    for (int32_t i = ndim - 1; i >= 0; i--) {
        strides[i] = step;
        if (shape[i] > 1) step *= shape[i];
    }
}

static void describe(pg_array *array, pg_dtype dtype, int32_t ndim, const int64_t *shape)
{
    atomic_init(&array->owners, 1);
    array->dtype = dtype;
    array->ndim = ndim;
    array->shape = array->dims;
    array->strides = array->dims + ndim;
    for (int32_t i = 0; i < ndim; i++)
        array->shape[i] = shape[i];
}

static size_t array_bytes(int32_t ndim)
{
    return sizeof(pg_array) + 2 * (size_t)ndim * sizeof(int64_t);
}

static pg_status no_host_memory(void)
{
    return pg_fail(PG_ENOMEM, "no host memory left for the description of an array");
}

/* The array that a buffer is made with lies behind it, in the same block. */
static pg_array *first_array(pg_buffer *buffer) { return (pg_array *)(buffer + 1); }

pg_status pg_array_of(pg_device *device, const pg_aval *aval, pg_array **out)
{
    pg_buffer *buffer = malloc(sizeof *buffer + array_bytes(aval->ndim));
    if (!buffer) return no_host_memory();
    int64_t bytes = aval->count * pg_dtype_size(aval->dtype);
    pg_status status = device->backend->alloc(device, bytes, &buffer->data);
    if (status != PG_OK) {
        free(buffer);
        return status;
    }
    atomic_init(&buffer->owners, 1);
    buffer->device = device;
    buffer->bytes = bytes;
    buffer->release = NULL;
    buffer->packed = NULL;
    pg_array *array = first_array(buffer);
    describe(array, aval->dtype, aval->ndim, aval->shape);
    array->buffer = buffer;
    array->data = buffer->data;
    pg_dense_strides(aval->dtype, aval->ndim, aval->shape, array->strides);
    *out = array;
    return PG_OK;
}

pg_status pg_array_new(pg_device *device, pg_dtype dtype, int32_t ndim, const int64_t *shape,
                       pg_array **out)
{
    pg_aval aval = {dtype, ndim, shape, 0};
    PG_TRY(pg_shape_count(dtype, ndim, shape, &aval.count));
    return pg_array_of(device, &aval, out);
}

pg_status pg_array_view(const pg_array *base, char *data, int32_t ndim, const int64_t *shape,
                        const int64_t *strides, pg_array **out)
{
    pg_array *array = malloc(array_bytes(ndim));
    if (!array) return no_host_memory();
    describe(array, base->dtype, ndim, shape);
    atomic_fetch_add_explicit(&base->buffer->owners, 1, memory_order_relaxed);
    array->buffer = base->buffer;
    array->data = data;
    for (int32_t i = 0; i < ndim; i++)
        array->strides[i] = strides[i];
    *out = array;
    return PG_OK;
}

void pg_array_retain(pg_array *array)
{
    atomic_fetch_add_explicit(&array->owners, 1, memory_order_relaxed);
}

/* True when the caller was the last owner. */
static bool drop_owner(atomic_int *owners)
{
    return atomic_load_explicit(owners, memory_order_acquire) == 1 ||
           atomic_fetch_sub_explicit(owners, 1, memory_order_acq_rel) == 1;
}

void pg_array_release(pg_array *array)
{
    if (!array || !drop_owner(&array->owners)) return;
    pg_buffer *buffer = array->buffer;
    if (array != first_array(buffer)) free(array); /* a view */
    if (!drop_owner(&buffer->owners)) return;
    if (buffer->packed) buffer->device->backend->forget(buffer);
    if (buffer->release)
        buffer->release(buffer->context);
    else
        buffer->device->backend->free(buffer->device, buffer->data, buffer->bytes);
    free(buffer);
}

void pg_arrays_release(pg_array *const *arrays, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        pg_array_release(arrays[i]);
}

int64_t pg_arrays_bytes(pg_array *const *arrays, int64_t n)
{
    int64_t bytes = 0;
    for (int64_t i = 0; i < n; i++)
        bytes += arrays[i]->buffer->bytes;
    return bytes;
}

int64_t pg_array_count(const pg_array *array)
{
    int64_t count = 1;
    for (int32_t i = 0; i < array->ndim; i++)
        count *= array->shape[i];
    return count;
}

bool pg_array_is_dense(const pg_array *array)
{
    int64_t step = pg_dtype_size(array->dtype);
    bool dense = true;
    for (int32_t i = array->ndim - 1; i >= 0; i--) {
        if (array->shape[i] == 0) return true;
        if (array->shape[i] == 1) continue; /* its stride is never used */
        dense &= array->strides[i] == step;
        step *= array->shape[i];
    }
    return dense;
}

int64_t pg_arrays_dense(pg_array *const *arrays, int64_t n)
{
    int64_t i = 0;
    while (i < n && pg_array_is_dense(arrays[i]))
        i++;
    return i;
}

/* Bytes from one element of an axis to the next; the most there are if memory does not depend on it. */
static int64_t axis_step(const pg_array *array, int32_t i)
{
    return array->shape[i] == 1 || array->strides[i] == 0 ? INT64_MAX : array->strides[i];
}

/* The axes by descending step; those with equal ones stay in order. */
static void sort_axes(const pg_array *array, int32_t *order)
{
    for (int32_t i = 0; i < array->ndim; i++) {
        int32_t at = i;
        for (; at > 0 && axis_step(array, order[at - 1]) < axis_step(array, i); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

pg_status pg_array_dense_base(pg_array *array, pg_array **base, int32_t *permutation)
{
    PG_REQUIRE(array && base && permutation, "pg_array_dense_base: a pointer is NULL");
    if (pg_array_is_dense(array)) {
        for (int32_t i = 0; i < array->ndim; i++)
            permutation[i] = i;
        pg_array_retain(array);
        *base = array;
        return PG_OK;
    }
    int32_t order[PG_MAX_NDIM];
    int64_t shape[PG_MAX_NDIM], strides[PG_MAX_NDIM];
    sort_axes(array, order);
    for (int32_t i = 0; i < array->ndim; i++) {
        permutation[order[i]] = i;
        shape[i] = array->strides[order[i]] == 0 ? 1 : array->shape[order[i]];
    }
    pg_dense_strides(array->dtype, array->ndim, shape, strides);
    for (int32_t i = 0; i < array->ndim; i++) {
        if (shape[i] == 1 || strides[i] == array->strides[order[i]]) continue;
        *base = NULL;
        return PG_OK;
    }
    return pg_array_view(array, array->data, array->ndim, shape, strides, base);
}

pg_status pg_array_dense(pg_array *array, pg_array **out)
{
    if (pg_array_is_dense(array)) {
        pg_array_retain(array);
        *out = array;
        return PG_OK;
    }
    return pg_array_copy(array, out);
}

pg_status pg_array_copy(pg_array *array, pg_array **out)
{
    pg_device *device = array->buffer->device;
    pg_aval aval = {array->dtype, array->ndim, array->shape, pg_array_count(array)};
    pg_op op = {.device = device,
                .kernel = device->backend->find_kernel("copy"),
                .n_in = 1,
                .n_out = 1,
                .in = &aval,
                .out = &aval};
    if (op.kernel->prepare) PG_TRY(op.kernel->prepare(&op));
    return op.kernel->run(&op, &array, 0, out);
}

pg_status pg_array_from_host(pg_device *device, pg_dtype dtype, int32_t ndim, const int64_t *shape,
                             const void *data, pg_array **out)
{
    pg_array *array;
    PG_REQUIRE(device && (shape || ndim <= 0) && out, "pg_array_from_host: a pointer is NULL");
    PG_TRY(pg_array_new(device, dtype, ndim, shape, &array));
    int64_t bytes = array->buffer->bytes;
    if (bytes > 0 && !data) {
        pg_array_release(array);
        return pg_fail(PG_EINVAL, "pg_array_from_host: data is NULL");
    }
    pg_status status = PG_OK;
    if (bytes > 0) status = device->backend->from_host(device, array->data, data, bytes);
    if (status != PG_OK) {
        pg_array_release(array);
        return status;
    }
    *out = array;
    return PG_OK;
}

pg_status pg_array_from_foreign(pg_device *device, pg_dtype dtype, int32_t ndim,
                                const int64_t *shape, const int64_t *strides, void *data,
                                void (*release)(void *context), void *context, pg_array **out)
{
    int64_t count;
    PG_REQUIRE(device && (ndim <= 0 || (shape && strides)) && data && release && out,
               "pg_array_from_foreign: a pointer is NULL");
    PG_TRY(pg_shape_count(dtype, ndim, shape, &count));
    pg_buffer *buffer = malloc(sizeof *buffer + array_bytes(ndim));
    if (!buffer) return no_host_memory();
    atomic_init(&buffer->owners, 1);
    buffer->device = device;
    buffer->data = data;
    buffer->bytes = count * pg_dtype_size(dtype);
    buffer->release = release;
    buffer->context = context;
    buffer->packed = NULL;
    pg_array *array = first_array(buffer);
    describe(array, dtype, ndim, shape);
    array->buffer = buffer;
    array->data = data;
    for (int32_t i = 0; i < ndim; i++)
        array->strides[i] = strides[i];
    *out = array;
    return PG_OK;
}

pg_status pg_array_to_host(const pg_array *array, void *data, int64_t bytes)
{
    int64_t size = pg_array_count(array) * pg_dtype_size(array->dtype);
    PG_REQUIRE(bytes == size, "pg_array_to_host: room for %lld bytes, but the array has %lld",
               (long long)bytes, (long long)size);
    if (size == 0) return PG_OK;
    pg_array *dense;
    /* the cast is honest: only the count of owners changes, and back again */
    PG_TRY(pg_array_dense((pg_array *)(uintptr_t)array, &dense));
    pg_device *device = array->buffer->device;
    pg_status status = device->backend->to_host(device, data, dense->data, size);
    pg_array_release(dense);
    return status;
}

void pg_array_describe(const pg_array *array, pg_array_info *out)
{
    memset(out, 0, sizeof *out);
    out->dtype = array->dtype;
    out->ndim = array->ndim;
    out->offset = array->data - (char *)array->buffer->data;
    out->buffer_bytes = array->buffer->bytes;
    out->buffer_id = (uint64_t)(uintptr_t)array->buffer;
    out->data = (uint64_t)(uintptr_t)array->data;
    for (int32_t i = 0; i < array->ndim; i++) {
        out->shape[i] = array->shape[i];
        out->strides[i] = array->strides[i];
    }
}
