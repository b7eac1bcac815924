/* control.c - kernels that run other programs, or functions of the host. No backend has its own.
 *
 *     call       out = program(in)                                   params: program
 *     cond       out = program[clamp(in[0])](in[1..])                params: program of each branch
 *     while      while (test(test_consts, carry)) carry = body(body_consts, carry)
 *                in: test_consts, body_consts, carry; out: carry     params: test, body, number of
 *                                                                    test_consts, of body_consts
 *     scan       for i: carry, y[i] = body(consts, carry, x[i])      params: body, length, reverse,
 *                in: consts, carry, x; out: carry, y                 number of consts, of carry
 *     host_call  out = function(context, in)                         params: pg_host_function, context
 *
 * Programs and functions are given as addresses; programs must outlive the operation. Loops give their
 * carry to the body, which may reuse its memory: a loop of a million steps runs in constant memory. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

static const pg_program *program_at(const pg_op *op, int64_t k)
{
    return (const pg_program *)(intptr_t)op->params[k];
}

static pg_status check_params(const pg_op *op, int64_t n)
{
    PG_REQUIRE(op->n_params == n, "takes %lld parameters, not %lld", (long long)n,
               (long long)op->n_params);
    return PG_OK;
}

/* Parameter k counts some of the operands. */
static pg_status check_count(const pg_op *op, int64_t k)
{
    PG_REQUIRE(op->params[k] >= 0 && op->params[k] <= op->n_in, "%lld are not some of %d operands",
               (long long)op->params[k], op->n_in);
    return PG_OK;
}

/* Checks the k-th program against operands and results that are described by pointers to avals. */
static pg_status check_program(const pg_op *op, int64_t k, int64_t n_in, const pg_aval *const *in,
                               int64_t n_out, const pg_aval *const *out)
{
    return pg_program_check(program_at(op, k), op->device, n_in, in, n_out, out);
}

/* Pointers to n consecutive avals, after those already in `list`; gives the new length. */
static int64_t append(const pg_aval **list, int64_t at, const pg_aval *avals, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        list[at++] = &avals[i];
    return at;
}

/* Room for the avals of one check: operands, then results. */
static const pg_aval **new_list(const pg_op *op)
{
    return malloc((size_t)(2 * (op->n_in + op->n_out) + 1) * sizeof(pg_aval *));
}

/* Of a loop, when memory is planned: after them it goes on as it did. */
enum { PLANNED_STEPS = 3 };

static pg_status no_memory(void) { return pg_fail(PG_ENOMEM, "no host memory left"); }

/* ---- call, cond -------------------------------------------------------------------------------- */

static pg_status check_branches(const pg_op *op, int32_t skipped)
{
    const pg_aval **list = new_list(op);
    if (!list) return no_memory();
    int64_t n_in = append(list, 0, op->in + skipped, op->n_in - skipped);
    append(list, n_in, op->out, op->n_out);
    pg_status status = PG_OK;
    for (int64_t k = 0; k < op->n_params && status == PG_OK; k++)
        status = check_program(op, k, n_in, list, op->n_out, list + n_in);
    free(list);
    return status;
}

static pg_status call_prepare(pg_op *op)
{
    PG_TRY(check_params(op, 1));
    return check_branches(op, 0);
}

static pg_status call_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    return pg_program_run_nested(program_at(op, 0), op->device, in, NULL, out);
}

/* Runs all branches, then once more the one whose results hold most memory. */
static pg_status cond_plan(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    int64_t before = pg_plan_in_use(op->device), most = -1, chosen = 0;
    for (int64_t k = 0; k < op->n_params; k++) {
        PG_TRY(pg_program_run_nested(program_at(op, k), op->device, in + 1, NULL, out));
        int64_t held = pg_plan_in_use(op->device) - before;
        pg_arrays_release(out, op->n_out);
        if (held <= most) continue;
        most = held;
        chosen = k;
    }
    return pg_program_run_nested(program_at(op, chosen), op->device, in + 1, NULL, out);
}

static pg_status cond_prepare(pg_op *op)
{
    PG_REQUIRE(op->n_params >= 1, "needs at least one branch");
    PG_REQUIRE(op->n_in >= 1 && op->in[0].dtype == PG_INT32 && op->in[0].ndim == 0,
               "the first operand, the number of the branch, must be int32[]");
    op->plan = cond_plan;
    return check_branches(op, 1);
}

static pg_status cond_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    int32_t which;
    PG_TRY(op->device->backend->to_host(op->device, &which, in[0]->data, sizeof which));
    if (which < 0) which = 0;
    if (which >= op->n_params) which = (int32_t)op->n_params - 1;
    return pg_program_run_nested(program_at(op, which), op->device, in + 1, NULL, out);
}

/* ---- while ------------------------------------------------------------------------------------- */

typedef struct while_parts {
    int64_t n_test, n_body, n_carry;
} while_parts;

static while_parts while_split(const pg_op *op)
{
    return (while_parts){op->params[2], op->params[3], op->n_out};
}

static pg_status while_prepare(pg_op *op)
{
    PG_TRY(check_params(op, 4));
    PG_TRY(check_count(op, 2));
    PG_TRY(check_count(op, 3));
    while_parts n = while_split(op);
    PG_REQUIRE(n.n_test >= 0 && n.n_body >= 0 && n.n_test + n.n_body + n.n_carry == op->n_in,
               "%lld and %lld constants and %lld carried values are not %d operands",
               (long long)n.n_test, (long long)n.n_body, (long long)n.n_carry, op->n_in);
    const pg_aval **list = new_list(op);
    if (!list) return no_memory();
    const pg_aval *carry = op->in + n.n_test + n.n_body, truth = {PG_BOOL, 0, NULL, 1};
    int64_t n_in = append(list, 0, op->in, n.n_test);
    n_in = append(list, n_in, carry, n.n_carry);
    append(list, n_in, &truth, 1);
    pg_status status = check_program(op, 0, n_in, list, 1, list + n_in);
    if (status == PG_OK) {
        n_in = append(list, 0, op->in + n.n_test, n.n_body);
        n_in = append(list, n_in, carry, n.n_carry);
        append(list, n_in, op->out, op->n_out);
        status = check_program(op, 1, n_in, list, op->n_out, list + n_in);
    }
    free(list);
    return status;
}

static pg_status while_test(const pg_op *op, pg_array *const *inputs, bool *go_on)
{
    pg_array *truth;
    PG_TRY(pg_program_run_nested(program_at(op, 0), op->device, inputs, NULL, &truth));
    uint8_t value = 0;
    pg_status status = op->device->backend->to_host(op->device, &value, truth->data, 1);
    pg_array_release(truth);
    *go_on = value != 0;
    return status;
}

/* `room` holds the operands of test and body, `given` the marks of donated ones. */
static pg_status while_loop(const pg_op *op, pg_array *const *in, pg_array **room, uint8_t *given,
                            pg_array **carry)
{
    while_parts n = while_split(op);
    pg_array **test = room, **body = room + n.n_test + n.n_carry;
    size_t width = sizeof *room;
    memcpy(test, in, (size_t)n.n_test * width);
    memcpy(body, in + n.n_test, (size_t)n.n_body * width);
    memset(given, 0, (size_t)n.n_body);
    memset(given + n.n_body, 1, (size_t)n.n_carry);
    for (int64_t step = 0;; step++) {
        memcpy(test + n.n_test, carry, (size_t)n.n_carry * width);
        bool go_on;
        PG_TRY(while_test(op, test, &go_on));
        if (pg_device_plans(op->device)) go_on = step < PLANNED_STEPS;
        if (!go_on) return PG_OK;
        memcpy(body + n.n_body, carry, (size_t)n.n_carry * width);
        for (int64_t i = 0; i < n.n_carry; i++)
            carry[i] = NULL; /* the body owns them now */
        PG_TRY(pg_program_run_nested(program_at(op, 1), op->device, body, given, carry));
    }
}

static pg_status while_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    while_parts n = while_split(op);
    int64_t words = n.n_test + n.n_body + 2 * n.n_carry;
    pg_array **room = malloc((size_t)(words + 1) * sizeof *room + (size_t)(n.n_body + n.n_carry));
    if (!room) return no_memory();
    for (int64_t i = 0; i < n.n_carry; i++) {
        out[i] = in[n.n_test + n.n_body + i];
        pg_array_retain(out[i]);
    }
    pg_status status = while_loop(op, in, room, (uint8_t *)(room + words), out);
    if (status != PG_OK) pg_arrays_release(out, n.n_carry);
    free(room);
    return status;
}

/* ---- scan -------------------------------------------------------------------------------------- */

typedef struct scan_parts {
    int64_t length, n_consts, n_carry, n_x, n_y;
    bool reverse;
} scan_parts;

static scan_parts scan_split(const pg_op *op)
{
    int64_t length = op->params[1], n_consts = op->params[3], n_carry = op->params[4];
    if (pg_device_plans(op->device) && length > PLANNED_STEPS) length = PLANNED_STEPS;
    return (scan_parts){.length = length,
                        .reverse = op->params[2] != 0,
                        .n_consts = n_consts,
                        .n_carry = n_carry,
                        .n_x = op->n_in - n_consts - n_carry,
                        .n_y = op->n_out - n_carry};
}

/* The aval of one row of `stacked`, which must have `length` of them. */
static pg_status row_of(const pg_aval *stacked, int64_t length, pg_aval *row)
{
    PG_REQUIRE(stacked->ndim >= 1 && stacked->shape[0] == length,
               "a stacked operand does not have %lld rows", (long long)length);
    *row = (pg_aval){stacked->dtype, stacked->ndim - 1, stacked->shape + 1, 0};
    return PG_OK;
}

static pg_status scan_check(const pg_op *op, const scan_parts *n, const pg_aval **list,
                            pg_aval *rows)
{
    int64_t n_in = append(list, 0, op->in, n->n_consts + n->n_carry);
    for (int64_t i = 0; i < n->n_x; i++)
        PG_TRY(row_of(&op->in[n->n_consts + n->n_carry + i], n->length, &rows[i]));
    n_in = append(list, n_in, rows, n->n_x);
    append(list, n_in, op->out, n->n_carry);
    for (int64_t i = 0; i < n->n_y; i++)
        PG_TRY(row_of(&op->out[n->n_carry + i], n->length, &rows[n->n_x + i]));
    append(list, n_in + n->n_carry, rows + n->n_x, n->n_y);
    return check_program(op, 0, n_in, list, op->n_out, list + n_in);
}

static pg_status scan_prepare(pg_op *op)
{
    PG_TRY(check_params(op, 5));
    PG_TRY(check_count(op, 3));
    PG_TRY(check_count(op, 4));
    scan_parts n = scan_split(op);
    PG_REQUIRE(n.length >= 0 && n.n_consts >= 0 && n.n_carry >= 0 && n.n_x >= 0 && n.n_y >= 0,
               "%lld constants and %lld carried values do not fit %d operands and %d results",
               (long long)n.n_consts, (long long)n.n_carry, op->n_in, op->n_out);
    const pg_aval **list = new_list(op);
    pg_aval *rows = malloc((size_t)(op->n_in + op->n_out + 1) * sizeof *rows);
    pg_status status = list && rows ? scan_check(op, &n, list, rows) : no_memory();
    free(rows);
    free(list);
    return status;
}

/* Row i of a stacked array, a view. */
static pg_status take_row(const pg_array *stacked, int64_t i, pg_array **out)
{
    return pg_array_view(stacked, stacked->data + i * stacked->strides[0], stacked->ndim - 1,
                         stacked->shape + 1, stacked->strides + 1, out);
}

/* Copies `row` to row i of the dense array `stacked`. */
static pg_status put_row(pg_device *device, const pg_array *stacked, int64_t i, pg_array *row)
{
    pg_array *dense;
    PG_TRY(pg_array_dense(row, &dense));
    int64_t bytes = pg_array_count(row) * pg_dtype_size(row->dtype);
    pg_status status = PG_OK;
    if (bytes)
        status = device->backend->copy(device, stacked->data + i * bytes, dense->data, bytes);
    pg_array_release(dense);
    return status;
}

/* One step. `body`: room for the operands, constants already in place; `results`: carry, then y. On
 * failure nothing of this step is left owned, and carry is all NULL. */
static pg_status scan_step(const pg_op *op, const scan_parts *n, pg_array *const *in, int64_t i,
                           pg_array **body, const uint8_t *given, pg_array **results)
{
    pg_array **carry = body + n->n_consts, **x = carry + n->n_carry;
    for (int64_t k = 0; k < n->n_carry; k++) {
        carry[k] = results[k];
        results[k] = NULL;
    }
    for (int64_t k = 0; k < n->n_x; k++) {
        pg_status status = take_row(in[n->n_consts + n->n_carry + k], i, &x[k]);
        if (status != PG_OK) {
            pg_arrays_release(carry, n->n_carry + k);
            return status;
        }
    }
    return pg_program_run_nested(program_at(op, 0), op->device, body, given, results);
}

static pg_status scan_loop(const pg_op *op, const scan_parts *n, pg_array *const *in,
                           pg_array **room, uint8_t *given, pg_array **out)
{
    pg_array **body = room, **results = room + op->n_in;
    memcpy(body, in, (size_t)n->n_consts * sizeof *body);
    memset(given, 0, (size_t)n->n_consts);
    memset(given + n->n_consts, 1, (size_t)(n->n_carry + n->n_x));
    for (int64_t step = 0; step < n->length; step++) {
        int64_t i = n->reverse ? n->length - 1 - step : step;
        memcpy(results, out, (size_t)n->n_carry * sizeof *out);
        pg_status status = scan_step(op, n, in, i, body, given, results);
        memcpy(out, results, (size_t)n->n_carry * sizeof *out);
        if (status != PG_OK) return status;
        for (int64_t k = 0; k < n->n_y; k++) {
            pg_array *y = results[n->n_carry + k];
            if (status == PG_OK) status = put_row(op->device, out[n->n_carry + k], i, y);
            pg_array_release(y);
        }
        if (status != PG_OK) return status;
    }
    return PG_OK;
}

static pg_status scan_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    scan_parts n = scan_split(op);
    size_t words = (size_t)op->n_in + (size_t)op->n_out;
    pg_array **room = malloc((words + 1) * sizeof *room + (size_t)op->n_in);
    if (!room) return no_memory();
    memset(out, 0, (size_t)op->n_out * sizeof *out);
    for (int64_t k = 0; k < n.n_carry; k++) {
        out[k] = in[n.n_consts + k];
        pg_array_retain(out[k]);
    }
    pg_status status = PG_OK;
    for (int64_t k = n.n_carry; k < op->n_out && status == PG_OK; k++)
        status = pg_array_of(op->device, &op->out[k], &out[k]);
    if (status == PG_OK) status = scan_loop(op, &n, in, room, (uint8_t *)(room + words), out);
    if (status != PG_OK) pg_arrays_release(out, op->n_out);
    free(room);
    return status;
}

/* ---- host_call --------------------------------------------------------------------------------- */

static pg_status host_call_prepare(pg_op *op)
{
    PG_TRY(check_params(op, 2));
    PG_REQUIRE(op->params[0], "the function is NULL");
    op->plan = NULL; /* nothing is called then */
    return PG_OK;
}

static bool as_promised(const pg_op *op, const pg_array *array, const pg_aval *aval)
{
    if (!array || array->buffer->device != op->device || array->dtype != aval->dtype ||
        array->ndim != aval->ndim)
        return false;
    for (int32_t i = 0; i < aval->ndim; i++)
        if (array->shape[i] != aval->shape[i]) return false;
    return true;
}

static pg_status host_call_run(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)dying;
    pg_host_function function = (pg_host_function)(intptr_t)op->params[0];
    memset(out, 0, (size_t)op->n_out * sizeof *out);
    pg_status status = function(op->params[1], in, op->n_in, out, op->n_out);
    if (status != PG_OK) {
        pg_arrays_release(out, op->n_out);
        return pg_fail(PG_EHOST, "the host function failed");
    }
    for (int32_t k = 0; k < op->n_out; k++)
        if (!as_promised(op, out[k], &op->out[k])) {
            pg_arrays_release(out, op->n_out);
            return pg_fail(PG_EINVAL, "result %d of the host function is not as promised", k);
        }
    return PG_OK;
}

static const pg_kernel kernels[] = {
    {"call", call_prepare, call_run},
    {"cond", cond_prepare, cond_run},
    {"while", while_prepare, while_run},
    {"scan", scan_prepare, scan_run},
    {"host_call", host_call_prepare, host_call_run},
};

const pg_kernel *pg_find_control_kernel(const char *name)
{
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        if (strcmp(kernels[i].name, name) == 0) return &kernels[i];
    return NULL;
}

pg_links pg_links_of(const char *kernel, int64_t n_params)
{
    pg_links links = {.programs = 0, .code = -1, .host = strcmp(kernel, "host_call") == 0};
    if (strcmp(kernel, "call") == 0 || strcmp(kernel, "scan") == 0) links.programs = 1;
    if (strcmp(kernel, "while") == 0) links.programs = 2;
    if (strcmp(kernel, "cond") == 0) links.programs = n_params;
    if (strcmp(kernel, "generated") == 0) links.code = 0;
    if (strcmp(kernel, "dot_generated") == 0)
        links.code = n_params - 7; /* after those of dot_general */
    return links;
}
