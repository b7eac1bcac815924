/* random.c - threefry2x32, random_bits.
 *
 * The cipher is in pequegrad_threefry.h, which generated code calls, too.
 *
 *     threefry2x32   key uint32[2], x0 uint32[n...], x1 uint32[n...] -> two uint32[n...]
 *     random_bits    keys uint32[batch..., 2] or uint64[batch...] (the same two words in memory) ->
 *                    uint8/16/32/64[batch..., shape...]: for each key, element i of its shape
 *                    encrypts the 64-bit counter i as (high word, low word).
 *                    uint64: out0 << 32 | out1; uint32: out0 ^ out1; smaller: the low bits of that.
 *                    The same bits as JAX with partitionable keys. A second operand uint32[batch...]
 *                    is added to the counters. Parameter 1 (default 0): uint64 results are keys.
 *
 * Inputs may have any strides. Outputs are dense and new. Compiled once per instruction set. */
#include "backend.h"
#include "cpu.h"
#include "pequegrad_threefry.h"

#include <string.h>

enum { PARALLEL = 1 << 13, BLOCK = 256 }; /* elements: worth a thread; of several keys at a time */

static void read_key(const pg_array *key, uint32_t out[2])
{
    out[0] = *(const uint32_t *)key->data;
    out[1] = *(const uint32_t *)(key->data + key->strides[0]);
}

typedef struct generation {
    uint32_t key[2], first;
    int64_t count;
    pg_dtype dtype;
    bool as_keys;            /* random_bits only */
    const uint32_t *x0, *x1; /* threefry2x32 only */
    void *out0;
    uint32_t *out1; /* threefry2x32 only */
} generation;

#define BITS(T)                                                           \
    static void bits_##T(void *context, int64_t begin, int64_t end)       \
    {                                                                     \
        const generation *g = context;                                    \
        const uint32_t key0 = g->key[0], key1 = g->key[1];                \
        const uint64_t first = g->first;                                  \
        T##_t *restrict out = g->out0;                                    \
        for (int64_t i = begin; i < end; i++)                             \
            out[i] = pg_random_bits_##T(key0, key1, first + (uint64_t)i); \
    }
BITS(uint8)
BITS(uint16)
BITS(uint32)
BITS(uint64)

/* uint64 with the first word in the lower half: in memory, the two words of a key. */
static void bits_keys(void *context, int64_t begin, int64_t end)
{
    const generation *g = context;
    const uint32_t key0 = g->key[0], key1 = g->key[1];
    const uint64_t first = g->first;
    uint64_t *restrict out = g->out0;
    for (int64_t i = begin; i < end; i++) {
        uint64_t bits = pg_random_bits_uint64(key0, key1, first + (uint64_t)i);
        out[i] = bits << 32 | bits >> 32;
    }
}

typedef void (*range_function)(void *context, int64_t begin, int64_t end);

static range_function bits_function(const generation *g)
{
    switch (g->dtype) {
    case PG_UINT8: return bits_uint8;
    case PG_UINT16: return bits_uint16;
    case PG_UINT32: return bits_uint32;
    default: return g->as_keys ? bits_keys : bits_uint64;
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

/* Many keys. */
typedef struct key_batch {
    const uint32_t *keys;  /* two words each */
    const uint32_t *first; /* may be NULL */
    generation one;
    int64_t n_keys, stride; /* bytes of output per key */
} key_batch;

/* Each thread takes whole keys. */
static void bits_of_keys(void *context, int64_t begin, int64_t end)
{
    const key_batch *batch = context;
    for (int64_t k = begin; k < end; k++) {
        generation g = batch->one;
        memcpy(g.key, batch->keys + 2 * k, sizeof g.key);
        g.first = batch->first ? batch->first[k] : 0;
        g.out0 = (char *)batch->one.out0 + k * batch->stride;
        bits_function (&g)(&g, 0, g.count);
    }
}

/* The keys of the elements of a block, and the numbers that are encrypted: first what is in, then what is out. */
typedef struct block {
    uint32_t key0[BLOCK], key1[BLOCK], x0[BLOCK], x1[BLOCK];
} block;

static void store_bits(const generation *g, const block *b, int64_t first, int64_t n)
{
    uint8_t *out8 = (uint8_t *)g->out0 + first;
    uint16_t *out16 = (uint16_t *)g->out0 + first;
    uint32_t *out32 = (uint32_t *)g->out0 + first;
    uint64_t *out64 = (uint64_t *)g->out0 + first;
    const uint32_t *high = g->as_keys ? b->x1 : b->x0, *low = g->as_keys ? b->x0 : b->x1;
    for (int64_t j = 0; j < n; j++)
        switch (g->dtype) {
        case PG_UINT8: out8[j] = (uint8_t)(b->x0[j] ^ b->x1[j]); break;
        case PG_UINT16: out16[j] = (uint16_t)(b->x0[j] ^ b->x1[j]); break;
        case PG_UINT32: out32[j] = b->x0[j] ^ b->x1[j]; break;
        default: out64[j] = (uint64_t)high[j] << 32 | low[j];
        }
}

/* Few elements per key: a block holds those of several keys. */
static void bits_of_many_keys(void *context, int64_t begin, int64_t end)
{
    const key_batch *batch = context;
    int64_t each = batch->one.count, total = batch->n_keys * each;
    block b = {{0}, {0}, {0}, {0}};
    for (int64_t block = begin; block < end; block++) {
        int64_t first = block * BLOCK;
        int64_t n = total - first < BLOCK ? total - first : BLOCK;
        int64_t k = first / each, i = first % each;
        for (int64_t j = 0; j < n; j++) {
            uint64_t counter = (uint64_t)i + (batch->first ? batch->first[k] : 0);
            b.key0[j] = batch->keys[2 * k];
            b.key1[j] = batch->keys[2 * k + 1];
            b.x0[j] = (uint32_t)(counter >> 32);
            b.x1[j] = (uint32_t)counter;
            if (++i == each) i = 0, k++;
        }
        for (int64_t j = 0; j < BLOCK; j++) { /* all of them, so that it vectorises */
            uint32_t x[2] = {b.x0[j], b.x1[j]};
            pg_threefry(b.key0[j], b.key1[j], x);
            b.x0[j] = x[0];
            b.x1[j] = x[1];
        }
        store_bits(&batch->one, &b, first, n);
    }
}

static void generate(const pg_op *op, const pg_array *keys, const pg_array *first, pg_array *out)
{
    const pg_aval *bits = &op->out[0];
    int64_t n_keys = op->in[0].dtype == PG_UINT64 ? op->in[0].count : op->in[0].count / 2;
    const uint32_t *starts = first ? (const uint32_t *)first->data : NULL;
    generation g = {.count = bits->count / n_keys, .dtype = bits->dtype, .out0 = out->data};
    g.as_keys = op->n_params && op->params[0];
    if (n_keys == 1) {
        memcpy(g.key, keys->data, sizeof g.key);
        g.first = starts ? starts[0] : 0;
        pg_parallel_for(g.count, PARALLEL, bits_function(&g), &g);
        return;
    }
    key_batch batch = {(const uint32_t *)keys->data, starts, g, n_keys,
                       g.count * pg_dtype_size(bits->dtype)};
    if (g.count < BLOCK)
        pg_parallel_for((bits->count + BLOCK - 1) / BLOCK, PARALLEL / BLOCK, bits_of_many_keys,
                        &batch);
    else
        pg_parallel_for(n_keys, PARALLEL / g.count + 1, bits_of_keys, &batch);
}

static pg_status random_bits_run(const pg_op *op, pg_array *const *in, pg_dying dying,
                                 pg_array **out)
{
    (void)dying;
    const pg_aval *bits = &op->out[0];
    pg_array *keys = NULL, *first = NULL;
    pg_status status = pg_array_dense(in[0], &keys);
    if (status == PG_OK && op->n_in == 2) status = pg_array_dense(in[1], &first);
    if (status == PG_OK)
        status = pg_array_new(op->device, bits->dtype, bits->ndim, bits->shape, out);
    if (status == PG_OK && bits->count > 0) generate(op, keys, first, out[0]);
    pg_array_release(keys);
    pg_array_release(first);
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

static pg_status check_key(const pg_aval *key)
{
    PG_REQUIRE(key->dtype == PG_UINT32 && key->ndim >= 1 && key->shape[key->ndim - 1] == 2,
               "a key must be uint32[2], not %s with %d axes and %lld elements",
               pg_dtype_name(key->dtype), key->ndim, (long long)key->count);
    return PG_OK;
}

static pg_status check_axes(const char *what, const pg_aval *aval, int32_t batch,
                            const pg_aval *keys)
{
    PG_REQUIRE(aval->ndim >= batch, "%s lacks the axes of the keys", what);
    for (int32_t i = 0; i < batch; i++)
        PG_REQUIRE(aval->shape[i] == keys->shape[i],
                   "axis %d has size %lld in the keys and %lld in the %s", i,
                   (long long)keys->shape[i], (long long)aval->shape[i], what);
    return PG_OK;
}

static pg_status random_bits_prepare(pg_op *op)
{
    PG_REQUIRE((op->n_in == 1 || op->n_in == 2) && op->n_out == 1 && op->n_params <= 1,
               "takes 1 or 2 inputs, 1 output and at most 1 parameter, not %d, %d and %lld",
               op->n_in, op->n_out, (long long)op->n_params);
    const pg_aval *keys = &op->in[0], *bits = &op->out[0];
    if (keys->dtype != PG_UINT64) PG_TRY(check_key(keys));
    int32_t batch = keys->dtype == PG_UINT64 ? keys->ndim : keys->ndim - 1;
    PG_REQUIRE(bits->dtype >= PG_UINT8 && bits->dtype <= PG_UINT64,
               "output must be an unsigned integer, not %s", pg_dtype_name(bits->dtype));
    PG_TRY(check_axes("output", bits, batch, keys));
    if (op->n_in == 2) {
        PG_REQUIRE(op->in[1].dtype == PG_UINT32 && op->in[1].ndim == batch,
                   "what is added to the counters is uint32 with %d axes, not %s with %d", batch,
                   pg_dtype_name(op->in[1].dtype), op->in[1].ndim);
        PG_TRY(check_axes("second operand", &op->in[1], batch, keys));
    }
    return PG_OK;
}

static pg_status threefry_prepare(pg_op *op)
{
    PG_REQUIRE(op->n_in == 3 && op->n_out == 2 && op->n_params == 0,
               "takes 3 inputs, 2 outputs and no parameters, not %d, %d and %lld", op->n_in,
               op->n_out, (long long)op->n_params);
    PG_TRY(check_key(&op->in[0]));
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
