/* random.c - threefry2x32, random_bits.
 *
 * Threefry-2x32, 20 rounds (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011): a block cipher used as a random function of (key, counter).
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

#include <string.h>

enum { PARALLEL = 1 << 13, BLOCK = 256, VECTOR = 16 };

typedef struct words {
    uint32_t x0[BLOCK], x1[BLOCK];
} words;

/* The keys of the elements of a block, and the third word that is made of them. */
typedef struct schedules {
    uint32_t k[3][BLOCK];
} schedules;

static const int ROTATIONS[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
static const uint32_t PARITY = 0x1BD11BDAu;

/* Four rounds, on a whole block of words, so that they vectorise. `n` is a multiple of VECTOR. */
static inline void four_rounds(words *w, int64_t n, const int left[4])
{
    int l0 = left[0], l1 = left[1], l2 = left[2], l3 = left[3];
    for (int64_t j = 0; j < n; j++) {
        uint32_t a = w->x0[j], b = w->x1[j];
        a += b, b = a ^ (b << l0 | b >> (32 - l0));
        a += b, b = a ^ (b << l1 | b >> (32 - l1));
        a += b, b = a ^ (b << l2 | b >> (32 - l2));
        a += b, b = a ^ (b << l3 | b >> (32 - l3));
        w->x0[j] = a;
        w->x1[j] = b;
    }
}

/* Encrypts the first n counters of a block under one key; those up to the next multiple of VECTOR, too. */
static void encrypt(const uint32_t key[2], words *w, int64_t n)
{
    const uint32_t schedule[3] = {key[0], key[1], PARITY ^ key[0] ^ key[1]};
    uint32_t add0 = schedule[0], add1 = schedule[1];
    n = (n + VECTOR - 1) / VECTOR * VECTOR;
    for (uint32_t group = 0;; group++) {
        for (int64_t j = 0; j < n; j++) {
            w->x0[j] += add0;
            w->x1[j] += add1;
        }
        if (group == 5) break;
        four_rounds(w, n, ROTATIONS[group % 2]);
        add0 = schedule[(group + 1) % 3];
        add1 = schedule[(group + 2) % 3] + group + 1;
    }
}

/* The same with a key for each counter. */
static void encrypt_each(schedules *s, words *w, int64_t n)
{
    n = (n + VECTOR - 1) / VECTOR * VECTOR;
    for (int64_t j = 0; j < n; j++)
        s->k[2][j] = PARITY ^ s->k[0][j] ^ s->k[1][j];
    for (uint32_t group = 0;; group++) {
        const uint32_t *add0 = s->k[group % 3], *add1 = s->k[(group + 1) % 3];
        for (int64_t j = 0; j < n; j++) {
            w->x0[j] += add0[j];
            w->x1[j] += add1[j] + group;
        }
        if (group == 5) break;
        four_rounds(w, n, ROTATIONS[group % 2]);
    }
}

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

/* The n words of a block as elements `first`, `first` + 1 ... of the result. */
static void store_bits(const generation *g, const words *w, int64_t first, int64_t n)
{
    switch (g->dtype) {
    case PG_UINT8:
        for (int64_t j = 0; j < n; j++)
            ((uint8_t *)g->out0)[first + j] = (uint8_t)(w->x0[j] ^ w->x1[j]);
        break;
    case PG_UINT16:
        for (int64_t j = 0; j < n; j++)
            ((uint16_t *)g->out0)[first + j] = (uint16_t)(w->x0[j] ^ w->x1[j]);
        break;
    case PG_UINT32:
        for (int64_t j = 0; j < n; j++)
            ((uint32_t *)g->out0)[first + j] = w->x0[j] ^ w->x1[j];
        break;
    default:
        for (int64_t j = 0; j < n; j++) {
            uint32_t high = g->as_keys ? w->x1[j] : w->x0[j],
                     low = g->as_keys ? w->x0[j] : w->x1[j];
            ((uint64_t *)g->out0)[first + j] = (uint64_t)high << 32 | low;
        }
    }
}

static void bits_blocks(void *context, int64_t begin, int64_t end)
{
    const generation *g = context;
    words w;
    for (int64_t block = begin; block < end; block++) {
        int64_t first = block * BLOCK;
        int64_t n = g->count - first < BLOCK ? g->count - first : BLOCK;
        uint64_t counter = (uint64_t)first + g->first;
        for (int64_t j = 0; j < BLOCK; j++) {
            w.x0[j] = (uint32_t)((counter + (uint64_t)j) >> 32);
            w.x1[j] = (uint32_t)(counter + (uint64_t)j);
        }
        encrypt(g->key, &w, n);
        store_bits(g, &w, first, n);
    }
}

static void threefry_blocks(void *context, int64_t begin, int64_t end)
{
    const generation *g = context;
    words w = {{0}, {0}};
    for (int64_t block = begin; block < end; block++) {
        int64_t first = block * BLOCK;
        int64_t n = g->count - first < BLOCK ? g->count - first : BLOCK;
        for (int64_t j = 0; j < n; j++) {
            w.x0[j] = g->x0[first + j];
            w.x1[j] = g->x1[first + j];
        }
        encrypt(g->key, &w, n);
        for (int64_t j = 0; j < n; j++) {
            ((uint32_t *)g->out0)[first + j] = w.x0[j];
            g->out1[first + j] = w.x1[j];
        }
    }
}

static void run_blocks(generation *g, void (*body)(void *, int64_t, int64_t))
{
    pg_parallel_for((g->count + BLOCK - 1) / BLOCK, PARALLEL / BLOCK, body, g);
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
        bits_blocks(&g, 0, (g.count + BLOCK - 1) / BLOCK);
    }
}

/* Few elements per key: a block holds those of several keys. */
static void bits_of_many_keys(void *context, int64_t begin, int64_t end)
{
    const key_batch *batch = context;
    int64_t each = batch->one.count, total = batch->n_keys * each;
    words w = {{0}, {0}};
    schedules s = {{{0}}};
    for (int64_t block = begin; block < end; block++) {
        int64_t first = block * BLOCK;
        int64_t n = total - first < BLOCK ? total - first : BLOCK;
        int64_t k = first / each, i = first % each;
        for (int64_t j = 0; j < n; j++) {
            uint64_t counter = (uint64_t)i + (batch->first ? batch->first[k] : 0);
            s.k[0][j] = batch->keys[2 * k];
            s.k[1][j] = batch->keys[2 * k + 1];
            w.x0[j] = (uint32_t)(counter >> 32);
            w.x1[j] = (uint32_t)counter;
            if (++i == each) i = 0, k++;
        }
        encrypt_each(&s, &w, n);
        store_bits(&batch->one, &w, first, n);
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
        run_blocks(&g, bits_blocks);
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
        run_blocks(&g, threefry_blocks);
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
