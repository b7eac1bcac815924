/* plan.c - how much memory a program takes, known before it runs.
 *
 * The program runs on a device without memory: arrays have shapes, strides and owners there, and buffers have
 * sizes, but no elements. So the same code decides what dies when, what is a view and what reuses memory, and
 * what is counted is what a run takes. Kernels do what pg_op.plan says, or just give new arrays. Not counted is
 * what kernels take while they work (packed operands of matrix products, for example), unless their plan
 * takes it, too. Loops take three steps: from then on nothing changes any more. */
#include "program.h"

#include <stdlib.h>
#include <string.h>

/* ---- a device without memory ------------------------------------------------------------------- */

typedef struct plan {
    pg_device device; /* its state is this plan */
    const pg_backend *real;
    int64_t in_use, peak;
    bool counting; /* new buffers; those made while it is off never count */
} plan;

enum { COUNTED = 1 << 12, NOT_COUNTED = 1 << 13 }; /* addresses, which nobody reads */

static pg_status take(pg_device *device, int64_t bytes, void **out)
{
    plan *p = device->state;
    *out = (void *)(uintptr_t)(p->counting ? COUNTED : NOT_COUNTED);
    if (!p->counting) return PG_OK;
    int64_t in_use;
    if (__builtin_add_overflow(p->in_use, p->real->buffer_bytes(bytes), &in_use))
        return pg_fail(PG_ENOMEM, "more than 2**63 bytes at one time");
    p->in_use = in_use;
    if (in_use > p->peak) p->peak = in_use;
    return PG_OK;
}

static void give(pg_device *device, void *data, int64_t bytes)
{
    plan *p = device->state;
    if ((uintptr_t)data == COUNTED) p->in_use -= p->real->buffer_bytes(bytes);
}

static pg_status copy_nothing(pg_device *device, void *to, const void *from, int64_t bytes)
{
    (void)device, (void)to, (void)from, (void)bytes;
    return PG_OK;
}

static pg_status new_arrays(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    (void)in, (void)dying;
    for (int32_t i = 0; i < op->n_out; i++) {
        pg_status status = pg_array_of(op->device, &op->out[i], &out[i]);
        if (status == PG_OK) continue;
        pg_arrays_release(out, i);
        return status;
    }
    return PG_OK;
}

/* The core itself asks for `copy` only. */
static const pg_kernel *find_copy(const char *name)
{
    static const pg_kernel copy = {"copy", NULL, new_arrays};
    return strcmp(name, copy.name) == 0 ? &copy : NULL;
}

static const pg_backend without_memory = {.kind = "plan",
                                          .alloc = take,
                                          .free = give,
                                          .copy = copy_nothing,
                                          .to_host = copy_nothing,
                                          .find_kernel = find_copy};

bool pg_device_plans(const pg_device *device) { return device->backend == &without_memory; }

/* ---- what stands for arrays and operations ----------------------------------------------------- */

int64_t pg_plan_in_use(const pg_device *device) { return ((const plan *)device->state)->in_use; }

pg_status pg_plan_instruction(const pg_op *op, pg_device *device, pg_array *const *in,
                              pg_dying dying, pg_array **out)
{
    pg_op planned = *op;
    planned.device = device;
    return (op->plan ? op->plan : new_arrays)(&planned, in, dying, out);
}

pg_status pg_plan_first_input(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out)
{
    return pg_output(op, in, dying & 1, out);
}

static pg_status new_array(plan *p, const pg_aval *aval, bool counted, pg_array **out)
{
    p->counting = counted;
    pg_status status = pg_array_of(&p->device, aval, out);
    p->counting = true;
    return status;
}

/* An array with the layout of `array`. */
static pg_status stand_in(plan *p, const pg_array *array, pg_array **out)
{
    const pg_buffer *buffer = array->buffer;
    pg_aval bytes = {PG_UINT8, 1, &buffer->bytes, buffer->bytes};
    pg_array *whole;
    PG_TRY(new_array(p, &bytes, false, &whole));
    char *data = whole->data + (array->data - (char *)buffer->data);
    pg_status status = pg_array_view(whole, data, array->ndim, array->shape, array->strides, out);
    if (status == PG_OK) (*out)->dtype = array->dtype;
    pg_array_release(whole);
    return status;
}

pg_status pg_plan_program(const pg_program *program, pg_device *device, pg_array *const *inputs,
                          const uint8_t *donated, pg_array **outputs)
{
    int64_t n = program->n_constants, made = 0;
    pg_array **constants = malloc((size_t)(n + 1) * sizeof *constants);
    pg_status status = constants ? PG_OK : pg_fail(PG_ENOMEM, "program: no host memory left");
    for (; made < n && status == PG_OK; made += status == PG_OK)
        status = stand_in(device->state, program->constants[made], &constants[made]);
    if (status == PG_OK)
        status = pg_program_run_on(program, device, constants, inputs, donated, outputs);
    else
        pg_release_donated(program, inputs, donated);
    pg_arrays_release(constants, made);
    free(constants);
    return status;
}

/* ---- the account of a program ------------------------------------------------------------------ */

static int64_t bytes_of(const plan *p, const pg_aval *aval)
{
    return p->real->buffer_bytes(aval->count * pg_dtype_size(aval->dtype));
}

/* Arrays for the first n inputs; of those that are donated the plan counts the memory. */
static pg_status make_inputs(plan *p, const pg_program *program, const uint8_t *donated, int64_t n,
                             pg_array **inputs)
{
    static const int64_t none = 0;
    static const pg_aval unread = {PG_BOOL, 1, &none, 0};
    for (int64_t k = 0; k < n; k++) {
        const pg_aval *aval = program->avals[k];
        pg_status status =
            new_array(p, aval ? aval : &unread, aval && donated && donated[k], &inputs[k]);
        if (status == PG_OK) continue;
        pg_arrays_release(inputs, k);
        return status;
    }
    return PG_OK;
}

static pg_status run(plan *p, const pg_program *program, const uint8_t *donated, pg_array **arrays,
                     pg_program_memory_info *info)
{
    int64_t n = program->n_inputs - program->n_constants;
    pg_array **outputs = arrays + n;
    PG_TRY(make_inputs(p, program, donated, n, arrays));
    int64_t before = p->in_use;
    p->peak = before;
    pg_status status = pg_program_run_nested(program, &p->device, arrays, donated, outputs);
    for (int64_t k = 0; k < n; k++)
        if (!donated || !donated[k]) pg_array_release(arrays[k]);
    if (status != PG_OK) return status;
    info->peak = p->peak - before;
    info->outputs = p->in_use;
    pg_arrays_release(outputs, program->n_outputs);
    return PG_OK;
}

/* Whether one of the constants before the k-th lies in the same buffer. */
static bool seen_before(const pg_program *program, int64_t k)
{
    for (int64_t i = 0; i < k; i++)
        if (program->constants[i]->buffer == program->constants[k]->buffer) return true;
    return false;
}

pg_status pg_program_memory(const pg_program *program, const uint8_t *donated,
                            pg_program_memory_info *out)
{
    PG_REQUIRE(program && out, "pg_program_memory: a pointer is NULL");
    plan p = {
        .device = {.backend = &without_memory}, .real = program->device->backend, .counting = true};
    p.device.state = &p;
    pg_program_memory_info info = {0};
    int64_t n = program->n_inputs - program->n_constants;
    for (int64_t k = 0; k < n; k++)
        if (program->avals[k]) info.inputs += bytes_of(&p, program->avals[k]);
    for (int64_t k = 0; k < program->n_constants; k++)
        if (!seen_before(program, k))
            info.constants += p.real->buffer_bytes(program->constants[k]->buffer->bytes);

    pg_array **arrays = malloc((size_t)(n + program->n_outputs + 1) * sizeof *arrays);
    if (!arrays) return pg_fail(PG_ENOMEM, "pg_program_memory: no host memory left");
    pg_status status = run(&p, program, donated, arrays, &info);
    free(arrays);
    if (status == PG_OK) *out = info;
    return status;
}
