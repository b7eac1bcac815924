/* generated.c - kernels that the compiler made: functions at an address that pg_code_symbol gave.
 *
 *     void f(void *const *buffers, int64_t begin, int64_t end, void *scratch)
 *
 * does units begin to end of n. buffers: the inputs, dense and row-major, then the outputs. scratch: memory
 * of its own for each call, aligned to 64 bytes. An output may lie in the memory of an input that is dying:
 * which one, and that this is safe, the compiler says.
 *
 * params: address, n, grain (units that a call does at least), bytes of scratch, then for each output the
 * input whose memory it may take, or -1. Inputs with other strides are copied first. */
#include "cpu.h"

#include <stdlib.h>

typedef void (*generated)(void *const *buffers, int64_t begin, int64_t end, void *scratch);

enum { ADDRESS, UNITS, GRAIN, SCRATCH, TAKEN, ON_STACK = 16 << 10 };

static int64_t bytes_of(const pg_aval *aval) { return aval->count * pg_dtype_size(aval->dtype); }

/* ---- one call of the function ------------------------------------------------------------------ */

typedef struct job {
    const pg_op *op;
    void *const *buffers;
    atomic_bool failed; /* no memory for scratch */
} job;

static void call_with_large_scratch(job *j, int64_t begin, int64_t end)
{
    const int64_t *p = j->op->params;
    void *scratch;
    if (pg_cpu_alloc(j->op->device, p[SCRATCH], &scratch) != PG_OK) {
        atomic_store(&j->failed, true);
        return;
    }
    ((generated)(intptr_t)p[ADDRESS])(j->buffers, begin, end, scratch);
    pg_cpu_free(j->op->device, scratch, p[SCRATCH]);
}

static void call(void *context, int64_t begin, int64_t end)
{
    job *j = context;
    const int64_t *p = j->op->params;
    if (p[SCRATCH] > ON_STACK) {
        call_with_large_scratch(j, begin, end);
        return;
    }
    _Alignas(64) char scratch[ON_STACK];
    ((generated)(intptr_t)p[ADDRESS])(j->buffers, begin, end, scratch);
}

/* Scratch memory for as many calls as there may be at one time. */
static pg_status plan_scratch(const pg_op *op, int64_t calls)
{
    const int64_t bytes = op->params[SCRATCH];
    if (bytes <= ON_STACK || calls == 0) return PG_OK;
    pg_array *scratch;
    pg_aval aval = {PG_UINT8, 1, &bytes, bytes};
    PG_TRY(pg_array_of(op->device, &aval, &scratch));
    pg_status status = plan_scratch(op, calls - 1);
    pg_array_release(scratch);
    return status;
}

/* How many calls may be at work at one time. */
static int64_t calls_at_once(const pg_op *op)
{
    int64_t n = op->params[UNITS], grain = op->params[GRAIN], threads = pg_num_threads();
    int64_t calls = n <= grain ? n > 0 : (n - 1) / (grain > 0 ? grain : 1) + 1;
    return calls < threads ? calls : threads;
}

static pg_status call_all(const pg_op *op, void *const *buffers)
{
    if (pg_device_plans(op->device)) return plan_scratch(op, calls_at_once(op));
    job j = {.op = op, .buffers = buffers};
    pg_parallel_for(op->params[UNITS], op->params[GRAIN], call, &j);
    if (atomic_load(&j.failed)) /* perhaps in another thread, with its message there */
        return pg_fail(PG_ENOMEM, "out of memory: %lld bytes of scratch memory for each thread",
                       (long long)op->params[SCRATCH]);
    return PG_OK;
}

/* ---- arrays ------------------------------------------------------------------------------------ */

/* Output i in the memory of `input`: the array itself if nothing but its contents changes. */
static pg_status take_memory(const pg_op *op, int32_t i, pg_array *input, pg_array **out)
{
    const pg_aval *aval = &op->out[i];
    if (pg_same_aval(aval, &op->in[op->params[TAKEN + i]])) {
        pg_array_retain(input);
        *out = input;
        return PG_OK;
    }
    int64_t strides[PG_MAX_NDIM];
    pg_dense_strides(aval->dtype, aval->ndim, aval->shape, strides);
    PG_TRY(pg_array_view(input, input->data, aval->ndim, aval->shape, strides, out));
    (*out)->dtype = aval->dtype;
    return PG_OK;
}

/* `dense`: the inputs, or copies of them. Only memory that nobody else reads is taken: of dying inputs, and
 * of the copies made here. */
static pg_status make_output(const pg_op *op, int32_t i, pg_array *const *in,
                             pg_array *const *dense, pg_dying dying, pg_array **out)
{
    const pg_aval *aval = &op->out[i];
    int64_t from = op->params[TAKEN + i];
    if (from >= 0) {
        bool ours = dense[from] != in[from] || (from < 32 && dying >> from & 1);
        /* a small view must not keep a large buffer alive through the result */
        if (ours && dense[from]->buffer->bytes == bytes_of(aval))
            return take_memory(op, i, dense[from], out);
    }
    return pg_array_of(op->device, aval, out);
}

static void release_copies(const pg_op *op, pg_array *const *in, pg_array *const *dense)
{
    for (int32_t i = 0; i < op->n_in; i++)
        if (dense[i] != in[i]) pg_array_release(dense[i]);
}

/* dense: receives the inputs themselves where they are dense, else copies. */
static pg_status make_dense(const pg_op *op, pg_array *const *in, pg_array **dense)
{
    for (int32_t i = 0; i < op->n_in; i++)
        dense[i] = in[i];
    for (int32_t i = 0; i < op->n_in; i++) {
        if (pg_array_is_dense(in[i])) continue;
        pg_status status = pg_array_copy(in[i], &dense[i]);
        if (status != PG_OK) {
            release_copies(op, in, dense);
            return status;
        }
    }
    return PG_OK;
}

/* `dense` has room for the inputs, `buffers` for inputs and outputs. */
static pg_status run_with(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out,
                          pg_array **dense, void **buffers)
{
    PG_TRY(make_dense(op, in, dense));
    for (int32_t i = 0; i < op->n_in; i++)
        buffers[i] = dense[i]->data;
    pg_status status = PG_OK;
    int32_t made = 0;
    for (; made < op->n_out; made++) {
        status = make_output(op, made, in, dense, dying, &out[made]);
        if (status != PG_OK) break;
        buffers[op->n_in + made] = out[made]->data;
    }
    if (status == PG_OK) status = call_all(op, buffers);
    if (status != PG_OK) pg_arrays_release(out, made);
    release_copies(op, in, dense);
    return status;
}

static pg_status run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    enum { FEW = 64 };
    pg_array *dense[FEW];
    void *buffers[FEW];
    int64_t operands = (int64_t)op->n_in + op->n_out;
    if (operands <= FEW) return run_with(op, in, dying, out, dense, buffers);
    void **room = malloc(2 * (size_t)operands * sizeof *room);
    if (!room)
        return pg_fail(PG_ENOMEM, "no host memory left for %lld operands", (long long)operands);
    pg_status status = run_with(op, in, dying, out, (pg_array **)room, room + operands);
    free(room);
    return status;
}

/* ---- checking --------------------------------------------------------------------------------- */

static pg_status check_taken(const pg_op *op, int32_t i)
{
    const int64_t *taken = op->params + TAKEN;
    PG_REQUIRE(taken[i] >= -1 && taken[i] < op->n_in,
               "output %d cannot take the memory of input %lld", i, (long long)taken[i]);
    if (taken[i] < 0) return PG_OK;
    PG_REQUIRE(bytes_of(&op->out[i]) == bytes_of(&op->in[taken[i]]),
               "output %d is not as large as input %lld, whose memory it is to take", i,
               (long long)taken[i]);
    for (int32_t j = 0; j < i; j++)
        PG_REQUIRE(taken[j] != taken[i], "outputs %d and %d are to take the memory of input %lld",
                   j, i, (long long)taken[i]);
    return PG_OK;
}

static pg_status prepare(pg_op *op)
{
    const int64_t *p = op->params;
    PG_REQUIRE(op->n_params == TAKEN + op->n_out, "takes %d parameters, not %lld",
               TAKEN + op->n_out, (long long)op->n_params);
    PG_REQUIRE(p[UNITS] >= 0 && p[UNITS] <= INT64_MAX / 2 && p[GRAIN] >= 0 && p[SCRATCH] >= 0,
               "%lld units, at least %lld in a call, %lld bytes of scratch memory",
               (long long)p[UNITS], (long long)p[GRAIN], (long long)p[SCRATCH]);
    for (int32_t i = 0; i < op->n_out; i++) {
        PG_REQUIRE(p[UNITS] > 0 || op->out[i].count == 0, "0 units cannot write output %d", i);
        PG_TRY(check_taken(op, i));
    }
    op->plan = run;
    PG_REQUIRE(pg_code_has(p[ADDRESS]), "there is no open code at address %lld",
               (long long)p[ADDRESS]);
    return PG_OK;
}

const pg_kernel pg_cpu_generated_kernels[] = {{"generated", prepare, run}, {0}};
