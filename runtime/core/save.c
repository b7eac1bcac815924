/* save.c - writes a program to a file: saved.h says how it looks. */
#include "saved.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Things that have their number: that of their first occurrence. */
typedef struct list {
    const void **items;
    int64_t n, room;
} list;

typedef struct writer {
    FILE *file;
    uint64_t sum;
    list codes, ops, programs;
} writer;

static int64_t find(const list *l, const void *item)
{
    for (int64_t i = 0; i < l->n; i++)
        if (l->items[i] == item) return i;
    return -1;
}

static pg_status add(list *l, const void *item)
{
    if (l->n == l->room) {
        int64_t room = 2 * l->room + 16;
        const void **items = realloc(l->items, (size_t)room * sizeof *items);
        if (!items) return pg_fail(PG_ENOMEM, "pg_program_save: no host memory left");
        l->items = items;
        l->room = room;
    }
    l->items[l->n++] = item;
    return PG_OK;
}

/* ---- words ------------------------------------------------------------------------------------- */

/* Errors of the file are looked for at the end. */
static void put_bytes(writer *w, const void *data, size_t bytes)
{
    size_t whole = bytes / 8, rest = bytes % 8;
    char last[8] = {0};
    if (rest) memcpy(last, (const char *)data + 8 * whole, rest);
    w->sum = pg_saved_sum(w->sum, data, whole);
    if (whole) fwrite(data, 8, whole, w->file);
    if (!rest) return;
    w->sum = pg_saved_sum(w->sum, last, 1);
    fwrite(last, 8, 1, w->file);
}

static void put(writer *w, int64_t word) { put_bytes(w, &word, sizeof word); }

static void put_words(writer *w, const int64_t *words, int64_t n)
{
    put_bytes(w, words, (size_t)n * sizeof *words);
}

static void put_text(writer *w, const char *text)
{
    put(w, (int64_t)strlen(text));
    put_bytes(w, text, strlen(text));
}

/* ---- records ----------------------------------------------------------------------------------- */

static pg_status put_program(writer *w, const pg_program *program);

static pg_status put_code(writer *w, const pg_code *code)
{
    if (find(&w->codes, code) >= 0) return PG_OK;
    PG_TRY(add(&w->codes, code));
    size_t bytes;
    const void *data = pg_code_data(code, &bytes);
    put(w, PG_SAVED_CODE);
    put(w, pg_code_level());
    put(w, (int64_t)bytes);
    put_bytes(w, data, bytes);
    return PG_OK;
}

/* What the operation points to comes before it. */
static pg_status put_links(writer *w, const pg_op *op, pg_links links)
{
    for (int64_t i = 0; i < links.programs; i++)
        PG_TRY(put_program(w, (const pg_program *)(intptr_t)op->params[i]));
    if (links.code < 0) return PG_OK;
    const pg_code *code = pg_code_of(op->params[links.code], NULL);
    PG_REQUIRE(code, "pg_program_save: the code of an operation has been closed");
    return put_code(w, code);
}

static int64_t aval_words(const pg_op *op)
{
    int64_t n = 0;
    for (int32_t i = 0; i < op->n_in + op->n_out; i++)
        n += 2 + op->in[i].ndim;
    return n;
}

static pg_status put_op(writer *w, const pg_op *op)
{
    if (find(&w->ops, op) >= 0) return PG_OK;
    pg_links links = pg_links_of(op->kernel->name, op->n_params);
    PG_REQUIRE(
        !links.host,
        "pg_program_save: the program calls a function of the host (%s), which no file can hold",
        op->kernel->name);
    PG_TRY(put_links(w, op, links));
    PG_TRY(add(&w->ops, op));
    put(w, PG_SAVED_OP);
    put_text(w, op->kernel->name);
    put(w, op->n_in);
    put(w, op->n_out);
    put(w, aval_words(op));
    for (int32_t i = 0; i < op->n_in + op->n_out; i++) {
        put(w, op->in[i].dtype);
        put(w, op->in[i].ndim);
        put_words(w, op->in[i].shape, op->in[i].ndim);
    }
    const char *symbol = NULL;
    put(w, op->n_params);
    for (int64_t i = 0; i < op->n_params; i++) {
        const void *program = (const void *)(intptr_t)op->params[i];
        if (i < links.programs)
            put(w, find(&w->programs, program));
        else if (i == links.code)
            put(w, find(&w->codes, pg_code_of(op->params[i], &symbol)));
        else
            put(w, op->params[i]);
    }
    if (symbol) put_text(w, symbol);
    return PG_OK;
}

static pg_status put_constant(writer *w, const pg_array *array)
{
    int64_t bytes = pg_array_count(array) * pg_dtype_size(array->dtype);
    void *data = malloc(bytes ? (size_t)bytes : 1);
    if (!data) return pg_fail(PG_ENOMEM, "pg_program_save: no host memory left for a constant");
    pg_status status = pg_array_to_host(array, data, bytes);
    put(w, array->dtype);
    put(w, array->ndim);
    put_words(w, array->shape, array->ndim);
    if (status == PG_OK) put_bytes(w, data, (size_t)bytes);
    free(data);
    return status;
}

/* A value as the ABI refers to it. */
static int64_t reference(const pg_program *program, int32_t value)
{
    return value < program->n_inputs ? ~(int64_t)value : value - program->n_inputs;
}

static pg_status put_program(writer *w, const pg_program *program)
{
    if (find(&w->programs, program) >= 0) return PG_OK;
    int64_t n_code = program->n_instructions;
    for (int64_t k = 0; k < program->n_instructions; k++) {
        const pg_op *op = program->instructions[k].op;
        PG_TRY(put_op(w, op));
        n_code += op->n_in + op->n_out;
    }
    PG_TRY(add(&w->programs, program));
    put(w, PG_SAVED_PROGRAM);
    put(w, n_code);
    for (int64_t k = 0; k < program->n_instructions; k++) {
        const instruction *ins = &program->instructions[k];
        put(w, find(&w->ops, ins->op));
        for (int32_t i = 0; i < ins->op->n_out; i++)
            put(w, reference(program, ins->out[i]));
        for (int32_t i = 0; i < ins->op->n_in; i++)
            put(w, reference(program, ins->in[i]));
    }
    put(w, program->n_values - program->n_inputs);
    put(w, program->n_inputs);
    put(w, program->n_outputs);
    for (int64_t i = 0; i < program->n_outputs; i++)
        put(w, reference(program, program->outputs[i]));
    put(w, program->n_constants);
    for (int64_t k = 0; k < program->n_constants; k++)
        PG_TRY(put_constant(w, program->constants[k]));
    return PG_OK;
}

/* ---- the file ---------------------------------------------------------------------------------- */

static pg_status put_all(writer *w, const pg_program *program)
{
    put(w, PG_SAVED_MAGIC);
    put(w, PG_ABI_VERSION);
    put(w, PG_SAVED_MACHINE);
    PG_TRY(put_program(w, program));
    put(w, PG_SAVED_END);
    put(w, (int64_t)w->sum);
    return PG_OK;
}

static pg_status fail_file(const char *path, int error)
{
    return pg_fail(PG_EINVAL, "pg_program_save: %s: %s", path, strerror(error));
}

/* To a new file in the same folder. */
static pg_status write_file(const pg_program *program, const char *path, const char *temporary,
                            int handle)
{
    writer w = {.file = fdopen(handle, "wb")};
    if (!w.file) {
        int error = errno;
        close(handle);
        return fail_file(path, error);
    }
    pg_status status = put_all(&w, program);
    free(w.codes.items);
    free(w.ops.items);
    free(w.programs.items);
    errno = 0;
    bool written = !ferror(w.file) && fflush(w.file) == 0 && fsync(handle) == 0;
    int error = errno;
    written &= fclose(w.file) == 0;
    if (status != PG_OK) return status;
    if (!written) return fail_file(path, error ? error : EIO);
    mode_t mask = umask(0);
    umask(mask);
    if (chmod(temporary, 0666 & ~mask) != 0 || rename(temporary, path) != 0)
        return fail_file(path, errno);
    return PG_OK;
}

pg_status pg_program_save(const pg_program *program, const char *path)
{
    PG_REQUIRE(program && path, "pg_program_save: a pointer is NULL");
    size_t length = strlen(path);
    char *temporary = malloc(length + 8);
    if (!temporary) return pg_fail(PG_ENOMEM, "pg_program_save: no host memory left");
    memcpy(temporary, path, length);
    strcpy(temporary + length, ".XXXXXX");
    int handle = mkstemp(temporary);
    pg_status status =
        handle < 0 ? fail_file(path, errno) : write_file(program, path, temporary, handle);
    if (status != PG_OK && handle >= 0) unlink(temporary);
    free(temporary);
    return status;
}
