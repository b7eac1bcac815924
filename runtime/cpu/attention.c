/* attention.c - attention and its derivative, without scores of all queries and keys in memory.
 *
 *     s[i, j]  = scale * q[i] . k[j] + bias[i, j]; fill where masked
 *     out[i]   = sum over j of p[i, j] v[j],   p[i, j] = exp(s[i, j] - maximum[i]) / total[i]
 *     maximum  = max over j of s[i, j], 0 if that is infinite;   total = sum over j of exp(s[i, j] - maximum[i])
 *
 * Masked are (i, j) where mask[i, j] is false, and, if causal, where j > i + offset. A total of 0 counts as 1 if `zeros`.
 *
 *     attention           q [.., m, d], k [.., n, d], v [.., n, e], mask, bias -> out [.., m, e], maximum, total [.., m]
 *     attention_gradient  q, k, v, mask, bias, out, maximum, total, ct -> dq, dk, dv: the cotangents for ct of out
 *     params (both)       scale and fill (bits of float64), causal, offset, zeros, whether there is a mask, a bias
 *
 * q, k, v, out and ct have one floating dtype and the same leading axes; bias, maximum and total are float64 for float64, else
 * float32, in which 16-bit floats are computed, too. mask and bias may have size 1 on any axis. Operands may have any strides; results
 * are dense and new. Weights that are masked with -inf, and hidden by causality with a number so low that they vanish, are
 * not computed: an infinite or NaN v there does not reach the result. Without keys, out is 0.
 *
 * Scores are made block by block (Dao, "FlashAttention-2", 2023). A query's sum depends on the keys only, and those
 * of dk and dv on chunks of queries that are chosen by shape: results do not depend on the number of threads. */
#include "attention.h"

#include <string.h>

enum {
    UNIT_QUERIES = 128,  /* forward: queries that a thread takes at once; a multiple of all lanes */
    CHUNK_QUERIES = 512, /* backward: least queries of a chunk */
    CHUNKS = 16,         /* wanted in all, for the threads */
    PARALLEL_FLOPS = 1 << 21,
};

typedef struct attention {
    const pg_op *op;
    const pg_attention_loops *loops;
    pg_attention a;  /* matrices of batch entry 0 */
    pg_array *in[9]; /* q, k, v, mask, bias, out, maximum, total, ct; NULL if there is none */
    pg_array *const *out;
    int64_t batches, chunks, chunk; /* chunk: queries */
    int64_t dk_bytes, dv_bytes;     /* of a chunk's sums */
    char *sums;                     /* batches x chunks of them, if there are several chunks */
    atomic_int status;
} attention;

enum { Q, K, V, MASK, BIAS, OUT, MAXIMUM, TOTAL, CT };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* ---- checks ------------------------------------------------------------------------------------ */

static double as_double(int64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static pg_dtype real_of(pg_dtype dtype) { return dtype == PG_FLOAT64 ? PG_FLOAT64 : PG_FLOAT32; }

/* x has the leading axes of q and ends with rows x columns; columns < 0: with rows only. broadcasts: sizes may be 1. */
static pg_status check(const pg_op *op, const char *name, const pg_aval *x, pg_dtype dtype,
                       int64_t rows, int64_t columns, bool broadcasts)
{
    const pg_aval *q = &op->in[0];
    PG_REQUIRE(x->dtype == dtype, "%s is %s, not %s", name, pg_dtype_name(x->dtype),
               pg_dtype_name(dtype));
    PG_REQUIRE(x->ndim == q->ndim - (columns < 0), "%s has %d axes, but q has %d", name, x->ndim,
               q->ndim);
    for (int32_t i = 0; i < x->ndim; i++) {
        int64_t size = i < q->ndim - 2 ? q->shape[i] : i == q->ndim - 2 ? rows : columns;
        PG_REQUIRE(x->shape[i] == size || (broadcasts && x->shape[i] == 1),
                   "axis %d of %s has size %lld, not %lld", i, name, (long long)x->shape[i],
                   (long long)size);
    }
    return PG_OK;
}

static pg_status prepare(pg_op *op, bool gradient)
{
    PG_REQUIRE(op->n_params == 7, "takes 7 parameters, not %lld", (long long)op->n_params);
    bool has_mask = op->params[5], has_bias = op->params[6];
    int32_t n_in = 3 + has_mask + has_bias + (gradient ? 4 : 0);
    PG_REQUIRE(op->n_in == n_in && op->n_out == 3, "takes %d inputs and 3 outputs, not %d and %d",
               n_in, op->n_in, op->n_out);
    const pg_aval *q = &op->in[0], *k = &op->in[1], *v = &op->in[2];
    PG_REQUIRE(q->dtype >= PG_FLOAT16 && q->dtype <= PG_FLOAT64, "does not take %s",
               pg_dtype_name(q->dtype));
    PG_REQUIRE(q->ndim >= 2 && k->ndim == q->ndim && v->ndim == q->ndim,
               "q, k and v have %d, %d and %d axes", q->ndim, k->ndim, v->ndim);
    int32_t n = q->ndim;
    int64_t queries = q->shape[n - 2], depth = q->shape[n - 1], keys = k->shape[n - 2],
            width = v->shape[n - 1];
    pg_dtype real = real_of(q->dtype);
    PG_TRY(check(op, "k", k, q->dtype, keys, depth, false));
    PG_TRY(check(op, "v", v, q->dtype, keys, width, false));
    const pg_aval *next = &op->in[3];
    if (has_mask) PG_TRY(check(op, "mask", next++, PG_BOOL, queries, keys, true));
    if (has_bias) PG_TRY(check(op, "bias", next++, real, queries, keys, true));
    const pg_aval *out = gradient ? next : op->out;
    PG_TRY(check(op, "out", &out[0], q->dtype, queries, width, false));
    PG_TRY(check(op, "maximum", &out[1], real, queries, -1, false));
    PG_TRY(check(op, "total", &out[2], real, queries, -1, false));
    if (gradient) {
        PG_TRY(check(op, "the cotangent", &next[3], q->dtype, queries, width, false));
        PG_TRY(check(op, "the cotangent of q", &op->out[0], q->dtype, queries, depth, false));
        PG_TRY(check(op, "the cotangent of k", &op->out[1], q->dtype, keys, depth, false));
        PG_TRY(check(op, "the cotangent of v", &op->out[2], q->dtype, keys, width, false));
    }
    return PG_OK;
}

static pg_status attention_prepare(pg_op *op) { return prepare(op, false); }
static pg_status gradient_prepare(pg_op *op) { return prepare(op, true); }

/* ---- one batch entry --------------------------------------------------------------------------- */

/* Where entry `batch` of x begins; the leading axes have the sizes of q's, or 1. */
static const char *entry(const attention *w, const pg_array *x, int64_t batch)
{
    const pg_aval *q = &w->op->in[0];
    const char *data = x->data;
    for (int32_t i = q->ndim - 2; i-- > 0;) {
        if (x->shape[i] != 1) data += batch % q->shape[i] * x->strides[i];
        batch /= q->shape[i];
    }
    return data;
}

static pg_attention_matrix matrix(const attention *w, int which, int64_t batch)
{
    const pg_array *x = w->in[which];
    if (!x) return (pg_attention_matrix){0};
    const int64_t *shape = x->shape + x->ndim - 2, *strides = x->strides + x->ndim - 2;
    return (pg_attention_matrix){entry(w, x, batch), shape[0] == 1 ? 0 : strides[0],
                                 shape[1] == 1 ? 0 : strides[1]};
}

/* What the loops are told of a batch entry. */
static pg_attention describe(const attention *w, int64_t batch)
{
    pg_attention a = w->a;
    int64_t item = pg_dtype_size(a.dtype), per_query = batch * a.queries * w->loops->item;
    a.q = matrix(w, Q, batch);
    a.k = matrix(w, K, batch);
    a.v = matrix(w, V, batch);
    a.mask = matrix(w, MASK, batch);
    a.bias = matrix(w, BIAS, batch);
    if (w->in[CT]) {
        a.out = matrix(w, OUT, batch);
        a.ct = matrix(w, CT, batch);
        a.maximum = w->in[MAXIMUM]->data + per_query;
        a.total = w->in[TOTAL]->data + per_query;
        a.dq = w->out[0]->data + batch * a.queries * a.depth * item;
    } else {
        a.out = (pg_attention_matrix){w->out[0]->data + batch * a.queries * a.width * item,
                                      a.width * item, item};
        a.maximum = w->out[1]->data + per_query;
        a.total = w->out[2]->data + per_query;
    }
    return a;
}

static void *scratch(attention *w, int64_t bytes)
{
    void *memory = NULL;
    pg_status status = pg_cpu_alloc(w->op->device, bytes, &memory);
    if (status != PG_OK) atomic_store(&w->status, status);
    return memory;
}

static int64_t grain(const attention *w, int64_t queries, int64_t products)
{
    double flops = 2. * (double)products * (double)queries * (double)w->a.keys *
                   (double)(w->a.depth + w->a.width) / 2;
    return (int64_t)(PARALLEL_FLOPS / (flops + 1)) + 1;
}

static void forward_units(void *context, int64_t begin, int64_t end)
{
    attention *w = context;
    int64_t bytes = w->loops->scratch(&w->a), units = ceil_divide(w->a.queries, UNIT_QUERIES);
    void *memory = scratch(w, bytes);
    if (!memory) return;
    for (int64_t i = begin; i < end; i++) {
        pg_attention a = describe(w, i / units);
        int64_t first = i % units * UNIT_QUERIES;
        w->loops->forward(&a, first, least(first + UNIT_QUERIES, a.queries), memory);
    }
    pg_cpu_free(w->op->device, memory, bytes);
}

/* ---- backward ---------------------------------------------------------------------------------- */

static void store_rows(const attention *w, int which, const char *sums, int64_t row_bytes,
                       int64_t columns, int64_t batch, double scale)
{
    int64_t to_row = columns * pg_dtype_size(w->a.dtype);
    char *to = w->out[which]->data + batch * w->a.keys * to_row;
    for (int64_t i = 0; i < w->a.keys; i++)
        w->loops->store(w->a.dtype, to + i * to_row, sums + i * row_bytes, scale, columns);
}

/* The sums of a batch entry as dk and dv. */
static void store_sums(const attention *w, const char *sums, int64_t batch)
{
    int64_t keys = w->a.keys;
    store_rows(w, 1, sums, w->dk_bytes / keys, w->a.depth, batch, w->a.scale);
    store_rows(w, 2, sums + w->dk_bytes, w->dv_bytes / keys, w->a.width, batch, 1);
}

static void backward_units(void *context, int64_t begin, int64_t end)
{
    attention *w = context;
    int64_t sum_bytes = w->dk_bytes + w->dv_bytes, own = w->sums ? 0 : sum_bytes;
    int64_t bytes = w->loops->scratch(&w->a) + own;
    char *memory = scratch(w, bytes);
    if (!memory) return;
    for (int64_t i = begin; i < end; i++) {
        int64_t batch = i / w->chunks, first = i % w->chunks * w->chunk;
        char *sums = w->sums ? w->sums + i * sum_bytes : memory;
        pg_attention a = describe(w, batch);
        a.dk = sums;
        a.dv = sums + w->dk_bytes;
        memset(sums, 0, (size_t)sum_bytes);
        w->loops->backward(&a, first, least(first + w->chunk, a.queries), memory + own);
        if (!w->sums) store_sums(w, sums, batch);
    }
    pg_cpu_free(w->op->device, memory, bytes);
}

static void add_chunks(void *context, int64_t begin, int64_t end)
{
    attention *w = context;
    int64_t bytes = w->dk_bytes + w->dv_bytes;
    for (int64_t batch = begin; batch < end; batch++) {
        char *first = w->sums + batch * w->chunks * bytes;
        for (int64_t c = 1; c < w->chunks; c++)
            w->loops->add(first, first + c * bytes, bytes / w->loops->item);
        store_sums(w, first, batch);
    }
}

static void run_backward(attention *w)
{
    const pg_attention *a = &w->a;
    int64_t pad = w->loops->pad, lanes = w->loops->lanes;
    w->dk_bytes = a->keys * ceil_divide(a->depth, pad) * pad * w->loops->item;
    w->dv_bytes = a->keys * ceil_divide(a->width, pad) * pad * w->loops->item;
    int64_t chunks = least(ceil_divide(CHUNKS, w->batches), ceil_divide(a->queries, CHUNK_QUERIES));
    w->chunk = ceil_divide(ceil_divide(a->queries, chunks), lanes) * lanes;
    w->chunks = ceil_divide(a->queries, w->chunk);
    int64_t bytes = w->batches * w->chunks * (w->dk_bytes + w->dv_bytes);
    if (w->chunks > 1 && !(w->sums = scratch(w, bytes))) return;
    pg_parallel_for(w->batches * w->chunks, grain(w, w->chunk, 5), backward_units, w);
    if (!w->sums) return;
    if (atomic_load(&w->status) == PG_OK) pg_parallel_for(w->batches, 1, add_chunks, w);
    pg_cpu_free(w->op->device, w->sums, bytes);
}

/* ---- running ----------------------------------------------------------------------------------- */

static void set_zero(pg_array *x)
{
    memset(x->data, 0, (size_t)(pg_array_count(x) * pg_dtype_size(x->dtype)));
}

static pg_status attention_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    const pg_aval *q = &op->in[0];
    bool has_mask = op->params[5], has_bias = op->params[6],
         gradient = op->kernel->prepare == gradient_prepare;
    attention w = {
        .op = op, .loops = &PG_ISA_SELECT(pg_attention_loops)[q->dtype], .out = out, .batches = 1};
    int32_t n = q->ndim, next = 3;
    for (int i = Q; i <= V; i++)
        w.in[i] = in[i];
    if (has_mask) w.in[MASK] = in[next++];
    if (has_bias) w.in[BIAS] = in[next++];
    for (int32_t i = 0; i < n - 2; i++)
        w.batches *= q->shape[i];
    w.a = (pg_attention){.dtype = q->dtype,
                         .queries = q->shape[n - 2],
                         .depth = q->shape[n - 1],
                         .keys = op->in[K].shape[n - 2],
                         .width = op->in[V].shape[n - 1],
                         .scale = as_double(op->params[0]),
                         .fill = as_double(op->params[1]),
                         .causal = op->params[2],
                         .offset = op->params[3],
                         .zeros = op->params[4]};
    pg_array *results[3] = {NULL, NULL, NULL}, *maximum = NULL, *total = NULL;
    pg_status status = PG_OK;
    for (int i = 0; i < 3 && status == PG_OK; i++)
        status = pg_array_new(op->device, op->out[i].dtype, op->out[i].ndim, op->out[i].shape,
                              &results[i]);
    w.out = results;
    if (status == PG_OK && gradient) {
        status = pg_array_dense(in[next + 1], &maximum);
        if (status == PG_OK) status = pg_array_dense(in[next + 2], &total);
        w.in[OUT] = in[next];
        w.in[MAXIMUM] = maximum;
        w.in[TOTAL] = total;
        w.in[CT] = in[next + 3];
    }
    if (status == PG_OK) {
        if (w.batches == 0 || w.a.queries == 0 || w.a.keys == 0)
            for (int i = 0; i < 3; i++)
                set_zero(results[i]);
        else if (gradient)
            run_backward(&w);
        else
            pg_parallel_for(w.batches * ceil_divide(w.a.queries, UNIT_QUERIES),
                            grain(&w, least(UNIT_QUERIES, w.a.queries), 2), forward_units, &w);
        status = atomic_load(&w.status);
        if (status != PG_OK) pg_fail(status, "no memory for blocks of scores");
    }
    pg_array_release(maximum);
    pg_array_release(total);
    for (int i = 0; i < 3; i++) {
        out[i] = results[i];
        if (status != PG_OK) {
            pg_array_release(results[i]);
            out[i] = NULL;
        }
    }
    return status;
}

const pg_kernel pg_cpu_attention_kernels[] = {
    {"attention", attention_prepare, attention_run},
    {"attention_gradient", gradient_prepare, attention_run},
    {0},
};
