/* matmul.c - dot_general.
 *
 *     out[batch.., m.., n..] = sum over k.. of lhs[batch.., m.., k..] * rhs[batch.., n.., k..]
 *            params: n_batch, n_contract, then lhs batch, rhs batch, lhs contract, rhs contract axes
 *
 * The axes of lhs and rhs may come in any order. bool: or of ands; integers wrap around; float16 and
 * bfloat16 are summed in float32. out has the dtype of the inputs or a wider one of the same kind, in
 * which everything is computed. An empty sum is 0. Inputs may have any strides; out is dense and new.
 *
 * Each group of axes (batch, m, n, k) becomes one axis where the strides allow it, else the operand is
 * copied. A complex product becomes a real one (contraction_complex.c). The order in which an element of
 * out is summed depends on the shapes alone: the number of threads does not change the result. */
#include "contraction.h"
#include "gemm.h"
#include "matmul.h"
#include "reduce.h"

#include <string.h>

enum {
    PARALLEL_FLOPS = 1 << 20, /* work worth a thread */
    PARALLEL_BYTES = 1 << 16, /* of rows to be finished */
    PIECE_K = 4096,           /* long sums for few outputs are cut in pieces of at least this */
    PIECES = 64,              /* and into at most so many */
    FEW_OUTPUTS = 64 * 64,
};

/* ---- the units --------------------------------------------------------------------------------- */

typedef enum method { TIMES_VECTOR, TILED, INTEGER } method;

typedef struct plan {
    pg_device *device;
    method method;
    int64_t item;               /* bytes of an element of C */
    pg_product whole;           /* of one batch */
    pg_axis batch[PG_MAX_NDIM]; /* array 0: lhs, 1: rhs */
    int32_t n_batch;
    int64_t batches, pieces, row_chunks, column_chunks; /* units: the product of the four */
    int64_t chunk_rows, chunk_columns;
    const pg_matmul_rows *rows; /* or NULL; only with TILED and one piece */
    atomic_int status;
} plan;

static void multiply_by_vector(const pg_product *p)
{
    pg_times_vector *times_vector = PG_ISA_SELECT(pg_times_vector);
    unsigned mode = pg_flush_denormals();
    if (p->n == 1)
        times_vector(p->dtype, p->m, p->k, p->a, p->a_row, p->a_column, p->b, p->b_row, p->c);
    else
        times_vector(p->dtype, p->n, p->k, p->b, p->b_column, p->b_row, p->a, p->a_column, p->c);
    pg_restore_denormals(mode);
}

/* The rows of one batch element. */
typedef struct batch_rows {
    const pg_matmul_rows *rows;
    int64_t before, row_bytes; /* before: rows of the batch elements before it */
} batch_rows;

static void finish_rows(void *context, char *c, int64_t begin, int64_t end)
{
    const batch_rows *b = context;
    b->rows->run(b->rows->context, c - b->before * b->row_bytes, b->before + begin,
                 b->before + end);
}

static pg_status multiply(const plan *plan, const pg_product *p, int64_t batch)
{
    if (plan->method == TIMES_VECTOR) {
        multiply_by_vector(p);
        return PG_OK;
    }
    if (plan->method == INTEGER) {
        PG_ISA_SELECT(pg_gemm_integer)(p);
        return PG_OK;
    }
    if (!plan->rows) return pg_gemm(plan->device, p, NULL);
    batch_rows context = {plan->rows, batch * p->m, p->c_row};
    pg_gemm_finish finish = {finish_rows, &context, plan->rows->together, plan->rows->keep};
    return pg_gemm(plan->device, p, &finish);
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void run_units(void *context, int64_t begin, int64_t end)
{
    plan *plan = context;
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t column = unit % plan->column_chunks * plan->chunk_columns;
        int64_t row = unit / plan->column_chunks % plan->row_chunks * plan->chunk_rows;
        int64_t outer = unit / plan->column_chunks / plan->row_chunks;
        int64_t piece = outer / plan->batches, batch = outer % plan->batches;

        pg_product p = plan->whole;
        int64_t d = piece * (p.k / plan->pieces);
        if (piece == plan->pieces - 1)
            p.k -= d;
        else
            p.k /= plan->pieces;
        p.a +=
            pg_axes_offset(plan->batch, plan->n_batch, batch, 0) + row * p.a_row + d * p.a_column;
        p.b += pg_axes_offset(plan->batch, plan->n_batch, batch, 1) + d * p.b_row +
               column * p.b_column;
        if (p.c) p.c += outer * p.m * p.c_row + row * p.c_row + column * plan->item;
        p.m = least(plan->chunk_rows, p.m - row);
        p.n = least(plan->chunk_columns, p.n - column);
        pg_status status = multiply(plan, &p, batch);
        if (status != PG_OK) atomic_store(&plan->status, status);
    }
}

static void choose_chunks(plan *plan)
{
    pg_product *p = &plan->whole;
    plan->chunk_rows = p->m;
    plan->chunk_columns = p->n;
    if (plan->method == TIMES_VECTOR) {
        int64_t chunk = ((1 << 17) / p->k / 64 + 1) * 64;
        if (p->n == 1)
            plan->chunk_rows = least(chunk, p->m);
        else
            plan->chunk_columns = least(chunk, p->n);
    } else if (plan->method == INTEGER) {
        plan->chunk_rows = least(64, p->m);
    }
    plan->row_chunks = (p->m + plan->chunk_rows - 1) / plan->chunk_rows;
    plan->column_chunks = (p->n + plan->chunk_columns - 1) / plan->chunk_columns;
}

static pg_status run_plan(plan *plan)
{
    choose_chunks(plan);
    int64_t units = plan->batches * plan->pieces * plan->row_chunks * plan->column_chunks;
    int64_t flops = 2 * least(plan->chunk_rows * plan->chunk_columns, 1 << 20) *
                    least(plan->whole.k / plan->pieces, 1 << 20);
    int64_t grain = PARALLEL_FLOPS / (flops + 1) + 1;
    /* a few large products: one after another, each by all threads */
    if (plan->method == TILED && units < 4 * pg_parallel_threads()) grain = units;
    pg_parallel_for(units, grain, run_units, plan);
    if (atomic_load(&plan->status) != PG_OK)
        return pg_fail(atomic_load(&plan->status), "no memory for packed operands");
    return PG_OK;
}

/* The product with its sum cut into plan->pieces, which are then added as a tree. */
static pg_status run_pieces(plan *plan)
{
    pg_product *p = &plan->whole;
    int64_t count = plan->batches * p->m * p->n, all = count * plan->pieces;
    pg_array *partials;
    PG_TRY(pg_array_new(plan->device, plan->whole.dtype, 1, &all, &partials));
    char *c = p->c;
    p->c = partials->data;
    pg_status status = run_plan(plan);
    if (status == PG_OK) {
        PG_ISA_SELECT(pg_reduce_loops)
        [PG_SUM][p->dtype]->fold(partials->data, plan->pieces, count);
        memcpy(c, partials->data, (size_t)(count * plan->item));
    }
    pg_array_release(partials);
    return status;
}

/* ---- running ----------------------------------------------------------------------------------- */

static bool is_float(pg_dtype dtype) { return dtype >= PG_FLOAT16; }
static bool is_16_bit_float(pg_dtype dtype) { return dtype == PG_FLOAT16 || dtype == PG_BFLOAT16; }

static method choose_method(pg_dtype dtype, const pg_operand o[2], int64_t m, int64_t n)
{
    if (!is_float(dtype)) return INTEGER;
    if (is_16_bit_float(dtype)) return TILED;
    const pg_operand *matrix = &o[n == 1 ? 0 : 1];
    int64_t item = pg_dtype_size(dtype);
    bool plain = matrix->free_stride == item || matrix->contract_stride == item;
    if ((m == 1 || n == 1) && plain) return TIMES_VECTOR;
    return TILED;
}

/* Makes matrices of both operands; complex ones become real. *m and *n: sizes of the product. */
static pg_status read_operands(const pg_op *op, const pg_array *lhs, const pg_array *rhs,
                               pg_operand o[2], plan *plan)
{
    pg_contraction_axes lists = pg_contraction_read(op);
    pg_contraction_group(&lists, lhs, rhs, o);
    pg_product *p = &plan->whole;
    p->m = pg_axes_count(o[0].free, o[0].n_free);
    p->n = pg_axes_count(o[1].free, o[1].n_free);
    p->k = pg_axes_count(o[0].contract, o[0].n_contract);
    plan->batches = pg_axes_count(o[0].batch, o[0].n_batch);
    p->dtype = lhs->dtype;
    if (plan->batches * p->m * p->n * p->k == 0) return PG_OK;

    PG_TRY(pg_operand_collapse(op, &o[0]));
    PG_TRY(pg_operand_collapse(op, &o[1]));
    if (pg_dtype_is_complex(p->dtype)) {
        if (p->m == 1) { /* rhs will be made larger: better the vector; C has the same elements */
            pg_operand vector = o[0];
            o[0] = o[1];
            o[1] = vector;
            p->m = p->n;
            p->n = 1;
        }
        PG_TRY(pg_operands_to_real(op, &o[0], &o[1]));
        p->dtype = o[0].dtype;
        plan->item = pg_dtype_size(p->dtype);
        p->n *= 2;
        p->k *= 2;
    }
    plan->method = choose_method(p->dtype, o, p->m, p->n);
    if (plan->method == INTEGER && p->n > 1 && o[1].free_stride != plan->item)
        PG_TRY(pg_operand_copy(op, &o[1], false));
    p->a = o[0].data;
    p->a_row = o[0].free_stride;
    p->a_column = o[0].contract_stride;
    p->b = o[1].data;
    p->b_row = o[1].contract_stride;
    p->b_column = o[1].free_stride;
    plan->n_batch = o[0].n_batch;
    for (int32_t i = 0; i < plan->n_batch; i++)
        plan->batch[i] =
            (pg_axis){o[0].batch[i].size, {o[0].batch[i].stride[0], o[1].batch[i].stride[0], 0}};
    plan->n_batch = pg_axes_merge(plan->batch, plan->n_batch);
    return PG_OK;
}

/* The whole product, into memory. */
static pg_status run_whole(plan *plan, char *c)
{
    pg_product *p = &plan->whole;
    int64_t count = plan->batches * p->m * p->n;
    if (count == 0) return PG_OK;
    if (p->k == 0) {
        memset(c, 0, (size_t)(count * plan->item));
        return PG_OK;
    }
    p->c = c;
    return plan->pieces > 1 ? run_pieces(plan) : run_plan(plan);
}

/* The whole product, then what is to happen to its rows. */
typedef struct rows_job {
    const pg_matmul_rows *rows;
    char *product;
    int64_t count;
} rows_job;

static void run_rows(void *context, int64_t begin, int64_t end)
{
    const rows_job *j = context;
    int64_t together = j->rows->together;
    j->rows->run(j->rows->context, j->product, begin * together, least(end * together, j->count));
}

static pg_status run_then_rows(plan *plan, const pg_matmul_rows *rows, char *c)
{
    int64_t count = plan->batches * plan->whole.m, bytes = count * plan->whole.n * plan->item;
    pg_array *whole = NULL;
    if (!c) {
        PG_TRY(pg_array_new(plan->device, PG_UINT8, 1, &bytes, &whole));
        c = whole->data;
    }
    pg_status status = run_whole(plan, c);
    int64_t units = (count + rows->together - 1) / rows->together;
    rows_job job = {rows, c, count};
    if (status == PG_OK)
        pg_parallel_for(units, PARALLEL_BYTES / (bytes / (units + 1) + 1) + 1, run_rows, &job);
    pg_array_release(whole);
    return status;
}

pg_status pg_matmul(const pg_op *op, const pg_array *lhs, const pg_array *rhs, pg_dtype dtype,
                    char *product, const pg_matmul_rows *rows)
{
    plan plan = {.device = op->device, .item = pg_dtype_size(dtype), .pieces = 1};
    pg_operand o[2] = {{0}, {0}};
    pg_status status = read_operands(op, lhs, rhs, o, &plan);
    pg_product *p = &plan.whole;
    p->c_row = p->n * plan.item;
    if ((p->dtype == PG_FLOAT32 || p->dtype == PG_FLOAT64) && p->k >= 2 * PIECE_K &&
        plan.batches * p->m * p->n <= FEW_OUTPUTS)
        plan.pieces = least(p->k / PIECE_K, PIECES);
    bool panels = rows && plan.method == TILED && plan.pieces == 1 && p->k > 0 &&
                  (plan.batches == 1 || p->m % rows->together == 0);
    if (status == PG_OK) {
        if (panels && plan.batches * p->m * p->n > 0) {
            plan.rows = rows;
            p->c = product;
            status = run_plan(&plan);
        } else if (rows) {
            status = run_then_rows(&plan, rows, product);
        } else {
            status = run_whole(&plan, product);
        }
    }
    pg_array_release(o[0].copy);
    pg_array_release(o[1].copy);
    return status;
}

/* x in another dtype, by the elementwise kernel. */
static pg_status convert(const pg_op *op, pg_array *x, pg_dtype dtype, pg_array **out)
{
    if (x->dtype == dtype) {
        pg_array_retain(x);
        *out = x;
        return PG_OK;
    }
    pg_aval from = {x->dtype, x->ndim, x->shape, pg_array_count(x)}, to = from;
    to.dtype = dtype;
    pg_op conversion = {.device = op->device,
                        .kernel = op->device->backend->find_kernel("convert"),
                        .n_in = 1,
                        .n_out = 1,
                        .in = &from,
                        .out = &to};
    if (conversion.kernel->prepare) PG_TRY(conversion.kernel->prepare(&conversion));
    return conversion.kernel->run(&conversion, &x, 0, out);
}

static pg_status dot_general_run(const pg_op *op, pg_array *const *in, pg_dying dying,
                                 pg_array **out)
{
    (void)dying;
    const pg_aval *aval = &op->out[0];
    if (aval->count == 0)
        return pg_array_new(op->device, aval->dtype, aval->ndim, aval->shape, out);

    bool halves = is_16_bit_float(in[0]->dtype) && aval->dtype != PG_FLOAT64;
    pg_dtype inputs = halves ? in[0]->dtype : aval->dtype;
    pg_dtype computed = halves ? PG_FLOAT32 : aval->dtype;
    pg_array *lhs = NULL, *rhs = NULL, *product = NULL;
    pg_status status = convert(op, in[0], inputs, &lhs);
    if (status == PG_OK) status = convert(op, in[1], inputs, &rhs);
    if (status == PG_OK)
        status = pg_array_new(op->device, computed, aval->ndim, aval->shape, &product);
    if (status == PG_OK) status = pg_matmul(op, lhs, rhs, computed, product->data, NULL);
    if (status == PG_OK) status = convert(op, product, aval->dtype, out);
    pg_array_release(lhs);
    pg_array_release(rhs);
    pg_array_release(product);
    return status;
}

const pg_kernel pg_cpu_matmul_kernels[] = {
    {"dot_general", pg_contraction_check, dot_general_run},
    {0},
};
