/* dot_generated.c - a matrix product whose rows a generated function takes up while they are in cache.
 *
 *     product = dot_general(lhs, rhs)                          float32 or float64, of the dtype of lhs and
 *     f(buffers, begin, end, scratch)   for all units          rhs; float32 of 16-bit floats
 *
 * inputs: lhs, rhs, then those of f but the product. outputs: those of f, and among them the product itself if it
 * is wanted. buffers: f's inputs, dense and row-major, with the product at its position, then f's outputs.
 * Unit u reads rows [u * rows, (u + 1) * rows) of the product (there may be fewer in the last ones, or none) and
 * no others; a product that is no output exists one panel of rows at a time, per thread: in memory of its own, or
 * where the rows of an output are to be, if f writes each element there after it has read the same of the product.
 *
 * params: those of dot_general, then address of f, number of units, rows per unit, bytes of scratch (a call
 * has its own, aligned to 64 bytes), position of the product among the buffers, which output the product is,
 * or -1, and in which output's memory its panels lie, or -1. Inputs of f with other strides are copied first; lhs
 * and rhs may have any. */
#include "contraction.h"
#include "cpu.h"
#include "matmul.h"

typedef void (*generated)(void *const *buffers, int64_t begin, int64_t end, void *scratch);

enum { ADDRESS, UNITS, ROWS, SCRATCH, POSITION, PRODUCT, PLACE, OWN_PARAMS };
enum { MAX_OPERANDS = 128, ON_STACK = 16 << 10 };
#define MAX_ROWS (INT64_MAX / 4) /* of a unit: numbers of rows can be rounded up to it */

/* ---- what the parameters say -------------------------------------------------------------------- */

static const int64_t *own_params(const pg_op *op) { return op->params + op->n_params - OWN_PARAMS; }

static pg_dtype product_dtype(const pg_op *op)
{
    return op->in[0].dtype == PG_FLOAT64 ? PG_FLOAT64 : PG_FLOAT32;
}

/* All axes of lhs but those that are contracted. */
static int64_t count_rows(const pg_op *op)
{
    pg_contraction_axes lists = pg_contraction_read(op);
    int64_t rows = 1;
    for (int32_t axis = 0; axis < op->in[0].ndim; axis++) {
        bool contracted = false;
        for (int64_t i = 0; i < lists.n_contract; i++)
            contracted |= lists.contract[0][i] == axis;
        if (!contracted) rows *= op->in[0].shape[axis];
    }
    return rows;
}

/* f's buffers: without lhs and rhs, with the product */
static int32_t count_inputs(const pg_op *op) { return op->n_in - 1; }
static int32_t count_buffers(const pg_op *op)
{
    return count_inputs(op) + op->n_out - (own_params(op)[PRODUCT] >= 0);
}

/* ---- the rows ---------------------------------------------------------------------------------- */

typedef struct job {
    const pg_op *op;
    void *const *buffers;
    int64_t n_rows;     /* of the product */
    atomic_bool failed; /* no memory for scratch */
} job;

static void run_rows(void *context, char *product, int64_t begin, int64_t end)
{
    job *j = context;
    const int64_t *p = own_params(j->op);
    void *buffers[MAX_OPERANDS];
    for (int32_t i = 0; i < count_buffers(j->op); i++)
        buffers[i] = j->buffers[i];
    buffers[p[POSITION]] = product;
    generated f = (generated)(intptr_t)p[ADDRESS];
    int64_t first = begin / p[ROWS];
    int64_t last = end == j->n_rows ? p[UNITS] : end / p[ROWS];
    if (p[SCRATCH] <= ON_STACK) {
        _Alignas(64) char scratch[ON_STACK];
        f(buffers, first, last, scratch);
        return;
    }
    void *scratch;
    if (pg_cpu_alloc(j->op->device, p[SCRATCH], &scratch) != PG_OK) {
        atomic_store(&j->failed, true);
        return;
    }
    f(buffers, first, last, scratch);
    pg_cpu_free(j->op->device, scratch, p[SCRATCH]);
}

/* ---- running ----------------------------------------------------------------------------------- */

/* Dense ones of f's inputs, owned, and memory for the outputs; buffers of both. *made counts outputs. */
static pg_status prepare_buffers(const pg_op *op, pg_array *const *in, pg_array **dense,
                                 pg_array **out, int32_t *made, void **buffers)
{
    const int64_t *p = own_params(op);
    int32_t next = 0;
    for (int32_t i = 2; i < op->n_in; i++) {
        PG_TRY(pg_array_dense(in[i], &dense[i]));
        if (next == p[POSITION]) next++;
        buffers[next++] = dense[i]->data;
    }
    next = count_inputs(op);
    for (; *made < op->n_out; ++*made) {
        const pg_aval *aval = &op->out[*made];
        PG_TRY(pg_array_new(op->device, aval->dtype, aval->ndim, aval->shape, &out[*made]));
        if (*made != p[PRODUCT]) buffers[next++] = out[*made]->data;
    }
    return PG_OK;
}

static pg_status run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    const int64_t *p = own_params(op);
    pg_array *dense[MAX_OPERANDS] = {NULL};
    void *buffers[MAX_OPERANDS];
    int32_t made = 0;
    pg_status status = prepare_buffers(op, in, dense, out, &made, buffers);
    if (status == PG_OK && p[UNITS] > 0) {
        job j = {.op = op, .buffers = buffers, .n_rows = count_rows(op)};
        int64_t output = p[PRODUCT] >= 0 ? p[PRODUCT] : p[PLACE];
        pg_matmul_rows rows = {run_rows, &j, p[ROWS], output >= 0};
        status = pg_matmul(op, in[0], in[1], product_dtype(op),
                           output >= 0 ? out[output]->data : NULL, &rows);
        if (status == PG_OK && atomic_load(&j.failed)) /* perhaps in another thread */
            status =
                pg_fail(PG_ENOMEM, "out of memory: %lld bytes of scratch memory for each thread",
                        (long long)p[SCRATCH]);
    }
    if (status != PG_OK) pg_arrays_release(out, made);
    for (int32_t i = 2; i < op->n_in; i++)
        pg_array_release(dense[i]);
    return status;
}

/* ---- checking ---------------------------------------------------------------------------------- */

static pg_status prepare(pg_op *op)
{
    PG_REQUIRE(op->n_in >= 2 && op->n_params >= OWN_PARAMS,
               "takes lhs and rhs and at least %d parameters", OWN_PARAMS);
    PG_REQUIRE(op->n_in + op->n_out <= MAX_OPERANDS, "takes up to %d operands and results, not %d",
               MAX_OPERANDS, op->n_in + op->n_out);
    pg_dtype dtype = op->in[0].dtype;
    PG_REQUIRE(dtype == PG_FLOAT16 || dtype == PG_BFLOAT16 || dtype == PG_FLOAT32 ||
                   dtype == PG_FLOAT64,
               "multiplies real floats, not %s", pg_dtype_name(dtype));

    int64_t shape[2 * PG_MAX_NDIM];
    pg_aval product = {.dtype = product_dtype(op), .shape = shape};
    pg_op dot = *op;
    dot.n_in = 2;
    dot.n_out = 1;
    dot.n_params = op->n_params - OWN_PARAMS;
    dot.out = &product;
    int64_t rows;
    PG_TRY(pg_contraction_shape(&dot, shape, &product.ndim, &rows));
    PG_TRY(pg_contraction_check(&dot));
    int64_t bytes = pg_dtype_size(product.dtype);
    for (int32_t i = 0; i < product.ndim; i++)
        PG_REQUIRE(!__builtin_mul_overflow(bytes, shape[i], &bytes), "the product is too large");
    product.count = bytes / pg_dtype_size(product.dtype);

    const int64_t *p = own_params(op);
    PG_REQUIRE(p[PRODUCT] >= -1 && p[PRODUCT] < op->n_out, "the product cannot be output %lld",
               (long long)p[PRODUCT]);
    PG_REQUIRE(p[PRODUCT] < 0 || pg_same_aval(&op->out[p[PRODUCT]], &product),
               "output %lld has not the dtype and shape of the product", (long long)p[PRODUCT]);
    PG_REQUIRE(p[POSITION] >= 0 && p[POSITION] < count_inputs(op),
               "the product cannot be buffer %lld", (long long)p[POSITION]);
    PG_REQUIRE(p[PLACE] >= -1 && p[PLACE] < op->n_out && (p[PLACE] < 0 || p[PRODUCT] < 0),
               "the product cannot lie in output %lld and be output %lld", (long long)p[PLACE],
               (long long)p[PRODUCT]);
    PG_REQUIRE(p[PLACE] < 0 ||
                   op->out[p[PLACE]].count * pg_dtype_size(op->out[p[PLACE]].dtype) == bytes,
               "output %lld is not as large as the product", (long long)p[PLACE]);
    int64_t units = rows == 0 || p[ROWS] < 1 ? 0 : (rows - 1) / p[ROWS] + 1; /* at least */
    PG_REQUIRE(p[ROWS] >= 1 && p[ROWS] <= MAX_ROWS && p[SCRATCH] >= 0 && p[UNITS] >= units &&
                   p[UNITS] <= rows,
               "%lld units of %lld rows do not make up %lld rows", (long long)p[UNITS],
               (long long)p[ROWS], (long long)rows);
    for (int32_t i = 0; i < op->n_out; i++)
        PG_REQUIRE(p[UNITS] > 0 || op->out[i].count == 0, "0 units cannot write output %d", i);
    PG_REQUIRE(pg_code_has(p[ADDRESS]), "there is no open code at address %lld",
               (long long)p[ADDRESS]);
    return PG_OK;
}

const pg_kernel pg_cpu_dot_generated_kernels[] = {{"dot_generated", prepare, run}, {0}};
