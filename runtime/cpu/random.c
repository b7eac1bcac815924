/* random.c - threefry2x32, random_bits.
 *
 * The cipher is in pequegrad_threefry.h, which generated code calls, too.
 *
 *     threefry2x32   key uint32[2], x0 uint32[n...], x1 uint32[n...] -> two uint32[n...]
 *     random_bits    keys uint32[batch..., 2] -> uint8/16/32/64[batch..., shape...]: for each key,
 *                    element i of its shape encrypts the 64-bit counter i as (high word, low word).
 *                    uint64: out0 << 32 | out1; uint32: out0 ^ out1;
 *                    smaller: the low bits of that. The same bits as JAX with partitionable keys.
 *
 * Inputs may have any strides. Outputs are dense and new. Compiled once per instruction set. */
#include "backend.h"
#include "cpu.h"
#include "pequegrad_threefry.h"

#include <string.h>

enum { PARALLEL = 1 << 13 }; /* elements that are worth a thread */

static void read_key(const pg_array *key, uint32_t out[2])
{
    out[0] = *(const uint32_t *)key->data;
    out[1] = *(const uint32_t *)(key->data + key->strides[0]);
}

typedef struct generation {
    uint32_t key[2];
    int64_t count;
    pg_dtype dtype;
    const uint32_t *x0, *x1; /* threefry2x32 only */
    void *out0;
    uint32_t *out1; /* threefry2x32 only */
} generation;

#define BITS(T)                                                     \
    static void bits_##T(void *context, int64_t begin, int64_t end) \
    {                                                               \
        const generation *g = context;                              \
        const uint32_t key0 = g->key[0], key1 = g->key[1];          \
        T##_t *restrict out = g->out0;                              \
        for (int64_t i = begin; i < end; i++)                       \
            out[i] = pg_random_bits_##T(key0, key1, (uint64_t)i);   \
    }
BITS(uint8)
BITS(uint16)
BITS(uint32)
BITS(uint64)

typedef void (*range_function)(void *context, int64_t begin, int64_t end);

static range_function bits_function(pg_dtype dtype)
{
    switch (dtype) {
    case PG_UINT8: return bits_uint8;
    case PG_UINT16: return bits_uint16;
    case PG_UINT32: return bits_uint32;
    default: return bits_uint64;
    }
}

static void encrypt(void *context, int64_t begin, int64_t end)
{
    const generation *g = context;
    const uint32_t key0 = g->key[0], key1 = g->key[1], *x0 = g->x0, *x1 = g->x1;
    uint32_t *restrict out0 = g->out0, *restrict out1 = g->out1;
    for (int64_t i = begin; i < end; i++) {
        uint32_t x[2] = {x0[i], x1[i]};
        pg_threefry(key0, key1, x);
        out0[i] = x[0];
        out1[i] = x[1];
    }
}

/* Many keys: each thread takes whole keys. */
typedef struct key_batch {
    const pg_array *keys; /* dense, [batch..., 2] */
    generation one;
    int64_t stride; /* bytes of output per key */
} key_batch;

static void bits_of_keys(void *context, int64_t begin, int64_t end)
{
    const key_batch *batch = context;
    for (int64_t k = begin; k < end; k++) {
        generation g = batch->one;
        const uint32_t *key = (const uint32_t *)batch->keys->data + 2 * k;
        g.key[0] = key[0];
        g.key[1] = key[1];
        g.out0 = (char *)batch->one.out0 + k * batch->stride;
        bits_function(g.dtype)(&g, 0, g.count);
    }
}

static pg_status random_bits_run(const pg_op *op, pg_array *const *in, pg_dying dying,
                                 pg_array **out)
{
    (void)dying;
    const pg_aval *bits = &op->out[0];
    int64_t n_keys = op->in[0].count / 2;
    pg_array *keys;
    PG_TRY(pg_array_dense(in[0], &keys));
    pg_status status = pg_array_new(op->device, bits->dtype, bits->ndim, bits->shape, out);
    if (status == PG_OK && bits->count > 0) {
        generation g = {.count = bits->count / n_keys, .dtype = bits->dtype, .out0 = out[0]->data};
        if (n_keys == 1) {
            memcpy(g.key, keys->data, sizeof g.key);
            pg_parallel_for(g.count, PARALLEL, bits_function(g.dtype), &g);
        } else {
            key_batch batch = {keys, g, g.count * pg_dtype_size(bits->dtype)};
            pg_parallel_for(n_keys, PARALLEL / (g.count + 1) + 1, bits_of_keys, &batch);
        }
    }
    pg_array_release(keys);
    return status;
}

static pg_status threefry_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    const pg_aval *aval = &op->out[0];
    pg_array *x0 = NULL, *x1 = NULL, *made[2] = {NULL, NULL};
    pg_status status = pg_array_dense(in[1], &x0);
    if (status == PG_OK) status = pg_array_dense(in[2], &x1);
    for (int i = 0; i < 2 && status == PG_OK; i++)
        status = pg_array_new(op->device, aval->dtype, aval->ndim, aval->shape, &made[i]);
    if (status == PG_OK) {
        generation g = {.count = aval->count,
                        .x0 = (const uint32_t *)x0->data,
                        .x1 = (const uint32_t *)x1->data,
                        .out0 = made[0]->data,
                        .out1 = (uint32_t *)made[1]->data};
        read_key(in[0], g.key);
        pg_parallel_for(g.count, PARALLEL, encrypt, &g);
        out[0] = made[0];
        out[1] = made[1];
    } else {
        pg_array_release(made[0]);
        pg_array_release(made[1]);
    }
    pg_array_release(x0);
    pg_array_release(x1);
    return status;
}

static pg_status check_key(const pg_op *op, int32_t n_in, int32_t n_out)
{
    PG_REQUIRE(op->n_in == n_in && op->n_out == n_out && op->n_params == 0,
               "takes %d inputs, %d outputs and no parameters, not %d, %d and %lld", n_in, n_out,
               op->n_in, op->n_out, (long long)op->n_params);
    const pg_aval *key = &op->in[0];
    PG_REQUIRE(key->dtype == PG_UINT32 && key->ndim >= 1 && key->shape[key->ndim - 1] == 2,
               "a key must be uint32[2], not %s with %d axes and %lld elements",
               pg_dtype_name(key->dtype), key->ndim, (long long)key->count);
    return PG_OK;
}

static pg_status random_bits_prepare(pg_op *op)
{
    PG_TRY(check_key(op, 1, 1));
    const pg_aval *keys = &op->in[0], *bits = &op->out[0];
    PG_REQUIRE(bits->dtype >= PG_UINT8 && bits->dtype <= PG_UINT64,
               "output must be an unsigned integer, not %s", pg_dtype_name(bits->dtype));
    PG_REQUIRE(bits->ndim >= keys->ndim - 1, "output lacks the axes of the keys");
    for (int32_t i = 0; i < keys->ndim - 1; i++)
        PG_REQUIRE(bits->shape[i] == keys->shape[i],
                   "axis %d has size %lld in the keys and %lld in the output", i,
                   (long long)keys->shape[i], (long long)bits->shape[i]);
    return PG_OK;
}

static pg_status threefry_prepare(pg_op *op)
{
    PG_TRY(check_key(op, 3, 2));
    PG_REQUIRE(op->in[0].ndim == 1, "takes one key, not %d axes", op->in[0].ndim);
    const pg_aval *avals[4] = {&op->in[1], &op->in[2], &op->out[0], &op->out[1]};
    for (int i = 0; i < 4; i++) {
        PG_REQUIRE(avals[i]->dtype == PG_UINT32, "counters and outputs must be uint32, not %s",
                   pg_dtype_name(avals[i]->dtype));
        PG_REQUIRE(avals[i]->ndim == avals[0]->ndim, "counters and outputs have %d and %d axes",
                   avals[0]->ndim, avals[i]->ndim);
        for (int32_t a = 0; a < avals[0]->ndim; a++)
            PG_REQUIRE(avals[i]->shape[a] == avals[0]->shape[a], "axis %d has sizes %lld and %lld",
                       a, (long long)avals[0]->shape[a], (long long)avals[i]->shape[a]);
    }
    return PG_OK;
}

const pg_kernel PG_ISA_NAME(pg_cpu_random_kernels)[] = {
    {"threefry2x32", threefry_prepare, threefry_run},
    {"random_bits", random_bits_prepare, random_bits_run},
    {0},
};
