/* program.c - a flat list of operations over slots: checked once, then run many times.
 *
 * Inputs and slots are numbered together as values: input k is value k, slot s is value n_inputs+s.
 * Creation finds out where each value is read for the last time; running releases it there, so that
 * its memory, still in the cache, serves the next instruction or even this one (pg_dying). A run owns
 * its inputs, too: one more time if they stay the caller's, so that their memory is left alone.
 * A program is immutable after creation: all that changes during a run lives on that run's stack. */
#include "program.h"

#include <stdlib.h>
#include <string.h>

/* ---- creation ---------------------------------------------------------------------------------- */

static const pg_op *op_at(const int64_t *code) { return (const pg_op *)(intptr_t)*code; }

/* Counts instructions, and checks that the code ends where one ends. */
static pg_status measure_code(const pg_device *device, const int64_t *code, int64_t n_code,
                              pg_program *sizes)
{
    for (int64_t at = 0; at < n_code; sizes->n_instructions++) {
        const pg_op *op = op_at(code + at);
        PG_REQUIRE(op, "program: the operation of instruction %lld is NULL",
                   (long long)sizes->n_instructions);
        PG_REQUIRE(op->device == device, "program: instruction %lld (%s) belongs to another device",
                   (long long)sizes->n_instructions, op->kernel->name);
        int64_t operands = (int64_t)op->n_in + op->n_out;
        PG_REQUIRE(operands < n_code - at, "program: instruction %lld (%s) is cut off",
                   (long long)sizes->n_instructions, op->kernel->name);
        if (op->n_in > sizes->max_in) sizes->max_in = op->n_in;
        if (op->n_out > sizes->max_out) sizes->max_out = op->n_out;
        at += 1 + operands;
    }
    return PG_OK;
}

/* One block of memory for the program and all its lists. */
static pg_program *allocate(const pg_program *sizes, int64_t n_code)
{
    size_t n_values = (size_t)sizes->n_values, n_instructions = (size_t)sizes->n_instructions;
    size_t pointers = n_values * sizeof(pg_aval *);
    size_t instructions = n_instructions * sizeof(instruction);
    size_t numbers = ((size_t)n_code + 2 * n_values + (size_t)sizes->n_outputs) * sizeof(int32_t);
    pg_program *program = malloc(sizeof *program + pointers + instructions + numbers);
    if (!program) return NULL;
    *program = *sizes;
    program->avals = (const pg_aval **)(program + 1);
    program->instructions = (instruction *)(program->avals + n_values);
    program->last_reader = (int32_t *)(program->instructions + n_instructions);
    program->dead = program->last_reader + n_values;
    program->values = program->dead + n_values;
    program->outputs = program->values + n_code;
    memset(program->avals, 0, pointers);
    memset(program->last_reader, 0, n_values * sizeof(int32_t));
    return program;
}

static bool same_shape(const pg_aval *a, pg_dtype dtype, int32_t ndim, const int64_t *shape)
{
    if (a->dtype != dtype || a->ndim != ndim) return false;
    for (int32_t i = 0; i < ndim; i++)
        if (a->shape[i] != shape[i]) return false;
    return true;
}

/* Turns a reference of the ABI into a value, and checks that it may be read. */
static pg_status resolve(const pg_program *program, int64_t ref, int32_t *value)
{
    int64_t n_inputs = program->n_inputs;
    PG_REQUIRE(ref < 0 ? ~ref < n_inputs : ref < program->n_values - n_inputs,
               "program: there is no %s %lld", ref < 0 ? "input" : "slot",
               (long long)(ref < 0 ? ~ref : ref));
    int64_t v = ref < 0 ? ~ref : ref + n_inputs;
    PG_REQUIRE(ref < 0 || program->avals[v], "program: slot %lld is read before it is written",
               (long long)ref);
    *value = (int32_t)v;
    return PG_OK;
}

static pg_status read_operands(pg_program *program, const pg_op *op, const int64_t *refs,
                               int32_t *values)
{
    for (int32_t i = 0; i < op->n_in; i++) {
        PG_TRY(resolve(program, refs[i], &values[i]));
        const pg_aval **known = &program->avals[values[i]];
        if (!*known) *known = &op->in[i]; /* the first reader says what an input must be */
        const pg_aval *aval = &op->in[i];
        PG_REQUIRE(*known == aval || same_shape(*known, aval->dtype, aval->ndim, aval->shape),
                   "program: input %d of %s does not have the dtype and shape that it was made for",
                   i, op->kernel->name);
    }
    return PG_OK;
}

static pg_status write_results(pg_program *program, const pg_op *op, const int64_t *slots,
                               int32_t *values)
{
    for (int32_t i = 0; i < op->n_out; i++) {
        int64_t slot = slots[i];
        PG_REQUIRE(slot >= 0 && slot < program->n_values - program->n_inputs,
                   "program: %s writes to slot %lld, which does not exist", op->kernel->name,
                   (long long)slot);
        values[i] = (int32_t)(slot + program->n_inputs);
        PG_REQUIRE(!program->avals[values[i]], "program: slot %lld is written twice",
                   (long long)slot);
        program->avals[values[i]] = &op->out[i];
    }
    return PG_OK;
}

static pg_status translate(pg_program *program, const int64_t *code, const int64_t *output_refs)
{
    int32_t *values = program->values;
    for (int64_t k = 0; k < program->n_instructions; k++) {
        const pg_op *op = op_at(code++);
        instruction *ins = &program->instructions[k];
        ins->op = op;
        ins->out = values;
        ins->in = values + op->n_out;
        PG_TRY(read_operands(program, op, code + op->n_out, values + op->n_out));
        PG_TRY(write_results(program, op, code, values));
        code += op->n_out + op->n_in;
        values += op->n_out + op->n_in;
    }
    for (int64_t i = 0; i < program->n_outputs; i++)
        PG_TRY(resolve(program, output_refs[i], &program->outputs[i]));
    return PG_OK;
}

/* Walks backwards: the first reader met this way is the last one. */
static void find_last_readers(pg_program *program)
{
    int32_t *last_reader = program->last_reader;
    int32_t *dead = program->dead;
    const int32_t kept = INT32_MAX; /* outputs outlive the program */
    for (int64_t i = 0; i < program->n_outputs; i++)
        last_reader[program->outputs[i]] = kept;

    for (int64_t k = program->n_instructions - 1; k >= 0; k--) {
        instruction *ins = &program->instructions[k];
        int32_t here = (int32_t)k + 1;
        pg_dying last_reads = 0;
        ins->dead = dead;
        for (int32_t i = 0; i < ins->op->n_in; i++) {
            int32_t value = ins->in[i];
            if (last_reader[value] == 0) {
                last_reader[value] = here;
                *dead++ = value;
                if (i < 32) last_reads |= 1u << i;
            } else if (last_reader[value] == here) { /* twice in this instruction */
                for (int32_t j = 0; j < i && j < 32; j++)
                    if (ins->in[j] == value) last_reads &= ~(1u << j);
            }
        }
        for (int32_t i = 0; i < ins->op->n_out; i++)
            if (last_reader[ins->out[i]] == 0) *dead++ = ins->out[i]; /* never read */
        ins->n_dead = (int32_t)(dead - ins->dead);
        ins->last_reads = last_reads;
    }
}

pg_status pg_program_create(pg_device *device, const int64_t *code, int64_t n_code, int64_t n_slots,
                            int64_t n_inputs, const int64_t *output_refs, int64_t n_outputs,
                            pg_program **out)
{
    enum { MOST = 1 << 28 }; /* of anything; keeps every sum below within 32 bits */
    PG_REQUIRE(device && out && (code || n_code == 0) && (output_refs || n_outputs == 0),
               "program: a pointer is NULL");
    PG_REQUIRE(n_code >= 0 && n_code <= MOST && n_slots >= 0 && n_slots <= MOST && n_inputs >= 0 &&
                   n_inputs <= MOST && n_outputs >= 0 && n_outputs <= MOST,
               "program: %lld numbers of code, %lld slots, %lld inputs, %lld outputs",
               (long long)n_code, (long long)n_slots, (long long)n_inputs, (long long)n_outputs);
    pg_program sizes = {.device = device,
                        .n_inputs = n_inputs,
                        .n_values = n_inputs + n_slots,
                        .n_outputs = n_outputs};
    PG_TRY(measure_code(device, code, n_code, &sizes));
    pg_program *program = allocate(&sizes, n_code);
    if (!program) return pg_fail(PG_ENOMEM, "program: no host memory left for it");
    pg_status status = translate(program, code, output_refs);
    if (status != PG_OK) {
        free(program);
        return status;
    }
    find_last_readers(program);
    *out = program;
    return PG_OK;
}

/* Checks `n` arrays that are to be inputs `first`, first + 1, ... */
static pg_status check_inputs(const pg_program *program, int64_t first, int64_t n,
                              pg_array *const *inputs)
{
    for (int64_t i = 0; i < n; i++) {
        const pg_array *array = inputs[i];
        long long k = first + i;
        PG_REQUIRE(array, "program: input %lld is NULL", k);
        PG_REQUIRE(array->buffer->device == program->device,
                   "program: input %lld is on %s:%d, the program on %s:%d", k,
                   array->buffer->device->backend->kind, array->buffer->device->index,
                   program->device->backend->kind, program->device->index);
        const pg_aval *aval = program->avals[k];
        PG_REQUIRE(!aval || same_shape(aval, array->dtype, array->ndim, array->shape),
                   "program: input %lld does not have the dtype and shape that it was made for", k);
    }
    return PG_OK;
}

void pg_program_describe(const pg_program *program, pg_program_info *out)
{
    out->n_inputs = program->n_inputs - program->n_constants;
    out->n_outputs = program->n_outputs;
}

static pg_status describe_value(const pg_program *program, const char *what, int64_t k, int64_t n,
                                int64_t value, pg_array_info *out)
{
    PG_REQUIRE(k >= 0 && k < n, "program: there is no %s %lld", what, (long long)k);
    const pg_aval *aval = program->avals[value];
    PG_REQUIRE(aval, "program: %s %lld may be anything: nothing reads it", what, (long long)k);
    memset(out, 0, sizeof *out);
    out->dtype = aval->dtype;
    out->ndim = aval->ndim;
    for (int32_t i = 0; i < aval->ndim; i++)
        out->shape[i] = aval->shape[i];
    return PG_OK;
}

pg_status pg_program_input(const pg_program *program, int64_t k, pg_array_info *out)
{
    PG_REQUIRE(program && out, "pg_program_input: a pointer is NULL");
    return describe_value(program, "input", k, program->n_inputs - program->n_constants, k, out);
}

pg_status pg_program_output(const pg_program *program, int64_t k, pg_array_info *out)
{
    PG_REQUIRE(program && out, "pg_program_output: a pointer is NULL");
    int64_t value = k >= 0 && k < program->n_outputs ? program->outputs[k] : 0;
    return describe_value(program, "output", k, program->n_outputs, value, out);
}

void pg_program_destroy(pg_program *program)
{
    if (!program) return;
    pg_arrays_release(program->constants, program->n_constants);
    free(program->constants);
    struct pg_loaded *loaded = program->loaded;
    free(program);
    pg_loaded_destroy(loaded);
}

pg_status pg_program_bind(pg_program *program, pg_array *const *constants, int64_t n)
{
    PG_REQUIRE(program && (constants || n == 0), "pg_program_bind: a pointer is NULL");
    PG_REQUIRE(!program->constants, "pg_program_bind: the program has constants already");
    PG_REQUIRE(n >= 0 && n <= program->n_inputs, "pg_program_bind: %lld constants for %lld inputs",
               (long long)n, (long long)program->n_inputs);
    PG_TRY(check_inputs(program, program->n_inputs - n, n, constants));
    pg_array **copied = malloc((size_t)(n ? n : 1) * sizeof *copied);
    if (!copied) return pg_fail(PG_ENOMEM, "program: no host memory left for its constants");
    for (int64_t i = 0; i < n; i++) {
        copied[i] = constants[i];
        pg_array_retain(copied[i]);
    }
    program->constants = copied;
    program->n_constants = n;
    return PG_OK;
}

/* ---- running ----------------------------------------------------------------------------------- */

/* True where the memory of an array may serve a result. */
static bool only_owner(const pg_array *array)
{
    return !array->buffer->release &&
           atomic_load_explicit(&array->owners, memory_order_acquire) == 1 &&
           atomic_load_explicit(&array->buffer->owners, memory_order_acquire) == 1;
}

/* device: the program's, or one without memory (plan.c) */
static pg_status run_instruction(const instruction *ins, pg_device *device, pg_array **values,
                                 pg_array **in, pg_array **out)
{
    const pg_op *op = ins->op;
    pg_dying dying = 0;
    for (int32_t i = 0; i < op->n_in; i++)
        in[i] = values[ins->in[i]];
    for (pg_dying rest = ins->last_reads; rest; rest &= rest - 1) {
        pg_buffer *buffer = in[__builtin_ctz(rest)]->buffer;
        if (!only_owner(in[__builtin_ctz(rest)])) continue;
        dying |= rest & -rest;
        if (buffer->packed) buffer->device->backend->forget(buffer);
    }

    int64_t begin = pg_profile_begin();
    pg_status status = device == op->device ? op->kernel->run(op, in, dying, out)
                                            : pg_plan_instruction(op, device, in, dying, out);
    if (begin && device == op->device) pg_profile_note(op, NULL, begin);
    if (status != PG_OK) return pg_explain_failure(op, status);

    for (int32_t i = 0; i < op->n_out; i++)
        values[ins->out[i]] = out[i];
    for (int32_t i = 0; i < ins->n_dead; i++) {
        pg_array_release(values[ins->dead[i]]);
        values[ins->dead[i]] = NULL;
    }
    return PG_OK;
}

/* `values` has room for all values, then for the operands of one instruction. */
static pg_status run_with(const pg_program *program, pg_device *device, pg_array *const *constants,
                          pg_array *const *inputs, const uint8_t *donated, pg_array **outputs,
                          pg_array **values)
{
    int64_t n_values = program->n_values, n_given = program->n_inputs - program->n_constants;
    pg_array **in = values + n_values, **out = in + program->max_in;
    for (int64_t k = 0; k < n_given; k++) {
        values[k] = inputs[k];
        if (!donated || !donated[k]) pg_array_retain(values[k]);
    }
    for (int64_t k = 0; k < program->n_constants; k++) {
        values[n_given + k] = constants[k];
        pg_array_retain(constants[k]);
    }
    for (int64_t v = program->n_inputs; v < n_values; v++)
        values[v] = NULL;

    pg_status status = PG_OK;
    for (int64_t k = 0; k < program->n_instructions && status == PG_OK; k++)
        status = run_instruction(&program->instructions[k], device, values, in, out);

    if (status == PG_OK) {
        for (int64_t i = 0; i < program->n_outputs; i++) {
            outputs[i] = values[program->outputs[i]];
            pg_array_retain(outputs[i]);
        }
    }
    for (int64_t v = 0; v < n_values; v++)
        pg_array_release(values[v]);
    return status;
}

void pg_release_donated(const pg_program *program, pg_array *const *inputs, const uint8_t *donated)
{
    for (int64_t k = 0; donated && k < program->n_inputs - program->n_constants; k++)
        if (donated[k]) pg_array_release(inputs[k]);
}

pg_status pg_program_run_on(const pg_program *program, pg_device *device,
                            pg_array *const *constants, pg_array *const *inputs,
                            const uint8_t *donated, pg_array **outputs)
{
    enum { ON_STACK = 512 };
    pg_array *local[ON_STACK];
    int64_t needed = program->n_values + program->max_in + program->max_out;
    if (needed <= ON_STACK)
        return run_with(program, device, constants, inputs, donated, outputs, local);
    pg_array **values = malloc((size_t)needed * sizeof *values);
    if (!values) {
        pg_release_donated(program, inputs, donated);
        return pg_fail(PG_ENOMEM, "program: no host memory left to run it");
    }
    pg_status status = run_with(program, device, constants, inputs, donated, outputs, values);
    free(values);
    return status;
}

pg_status pg_program_run_nested(const pg_program *program, pg_device *device,
                                pg_array *const *inputs, const uint8_t *donated, pg_array **outputs)
{
    if (device != program->device)
        return pg_plan_program(program, device, inputs, donated, outputs);
    return pg_program_run_on(program, device, program->constants, inputs, donated, outputs);
}

/* known: the program as the caller knows it, for a profile; NULL if it does not */
static pg_status run_known(const pg_program *program, const pg_program *known,
                           pg_array *const *inputs, const uint8_t *donated, pg_array **outputs)
{
    pg_status status = check_inputs(program, 0, program->n_inputs - program->n_constants, inputs);
    if (status != PG_OK) {
        pg_release_donated(program, inputs, donated);
        return status;
    }
    atomic_fetch_add_explicit(&program->device->programs, 1, memory_order_relaxed);
    int64_t begin = pg_profile_begin();
    status = pg_program_run_nested(program, program->device, inputs, donated, outputs);
    if (begin) pg_profile_note(NULL, known, begin);
    return status;
}

pg_status pg_program_run_donating(pg_program *program, pg_array *const *inputs,
                                  const uint8_t *donated, pg_array **outputs)
{
    return run_known(program, program, inputs, donated, outputs);
}

pg_status pg_program_run(pg_program *program, pg_array *const *inputs, pg_array **outputs)
{
    return pg_program_run_donating(program, inputs, NULL, outputs);
}

pg_status pg_program_check(const pg_program *program, const pg_device *device, int64_t n_in,
                           const pg_aval *const *in, int64_t n_out, const pg_aval *const *out)
{
    PG_REQUIRE(program && program->device == device, "its program belongs to another device");
    PG_REQUIRE(n_in == program->n_inputs - program->n_constants && n_out == program->n_outputs,
               "its program has %lld inputs and %lld outputs, not %lld and %lld",
               (long long)(program->n_inputs - program->n_constants), (long long)program->n_outputs,
               (long long)n_in, (long long)n_out);
    for (int64_t k = 0; k < n_in; k++) {
        const pg_aval *aval = program->avals[k];
        PG_REQUIRE(!aval || same_shape(aval, in[k]->dtype, in[k]->ndim, in[k]->shape),
                   "operand %lld is not what its program was made for", (long long)k);
    }
    for (int64_t k = 0; k < n_out; k++) {
        int32_t value = program->outputs[k];
        const pg_aval *aval = program->avals[value];
        if (!aval && value < n_in) aval = in[value]; /* handed through */
        pg_aval constant;
        if (!aval && value < program->n_inputs) {
            const pg_array *array = program->constants[value - n_in];
            constant = (pg_aval){array->dtype, array->ndim, array->shape, 0};
            aval = &constant;
        }
        PG_REQUIRE(!aval || same_shape(aval, out[k]->dtype, out[k]->ndim, out[k]->shape),
                   "result %lld is not what its program gives", (long long)k);
    }
    return PG_OK;
}

pg_status pg_execute(pg_device *device, const int64_t *code, int64_t n_code, int64_t n_slots,
                     pg_array *const *inputs, int64_t n_inputs, const int64_t *output_refs,
                     int64_t n_outputs, pg_array **outputs)
{
    pg_program *program;
    PG_TRY(pg_program_create(device, code, n_code, n_slots, n_inputs, output_refs, n_outputs,
                             &program));
    pg_status status = run_known(program, NULL, inputs, NULL, outputs);
    pg_program_destroy(program);
    return status;
}
