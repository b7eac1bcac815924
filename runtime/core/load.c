/* load.c - makes a program from a file: saved.h says how it looks. Nothing in it is believed: whatever it
 * says, there is a program or an error. Only the machine code in it is taken as it is. */
#include "saved.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct reader {
    const char *path;
    pg_device *device;
    const int64_t *words;
    int64_t n, at;
    struct pg_loaded *loaded;
    pg_program *last; /* of the programs; the others are loaded->programs */
} reader;

static pg_status damaged(const reader *r, const char *what)
{
    return pg_fail(PG_EINVAL, "pg_program_load: %s is damaged: %s, at byte %lld", r->path, what,
                   (long long)(8 * r->at));
}

#define CHECK(r, condition, what)                      \
    do {                                               \
        if (!(condition)) return damaged((r), (what)); \
    } while (0)

/* ---- words ------------------------------------------------------------------------------------- */

static pg_status get_words(reader *r, int64_t n, const int64_t **out)
{
    CHECK(r, n >= 0 && n <= r->n - r->at, "it ends too early");
    *out = r->words + r->at;
    r->at += n;
    return PG_OK;
}

static pg_status get(reader *r, int64_t *out)
{
    const int64_t *word = NULL;
    PG_TRY(get_words(r, 1, &word));
    *out = *word;
    return PG_OK;
}

static pg_status get_bytes(reader *r, int64_t bytes, const void **out)
{
    const int64_t *words = NULL;
    CHECK(r, bytes >= 0 && bytes <= 8 * (r->n - r->at), "it ends too early");
    PG_TRY(get_words(r, (int64_t)pg_saved_words((size_t)bytes), &words));
    *out = words;
    return PG_OK;
}

static pg_status get_text(reader *r, char out[PG_SAVED_NAME + 1])
{
    int64_t length;
    const void *text = NULL;
    PG_TRY(get(r, &length));
    CHECK(r, length > 0 && length <= PG_SAVED_NAME, "a name is too long");
    PG_TRY(get_bytes(r, length, &text));
    memcpy(out, text, (size_t)length);
    out[length] = 0;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    CHECK(r, strspn(out, letters) == (size_t)length, "a name is not made of letters");
    return PG_OK;
}

/* ---- records ----------------------------------------------------------------------------------- */

/* Adds an item to a list of `*n` pointers, which grows by one. */
static pg_status append(void *list, int64_t *n, void *item)
{
    void ***items = list;
    void **longer = realloc(*items, (size_t)(*n + 1) * sizeof *longer);
    if (!longer) return pg_fail(PG_ENOMEM, "pg_program_load: no host memory left");
    longer[(*n)++] = item;
    *items = longer;
    return PG_OK;
}

static pg_status get_code(reader *r)
{
    int64_t level, bytes;
    const void *data = NULL;
    pg_code *code;
    PG_TRY(get(r, &level));
    PG_TRY(get(r, &bytes));
    PG_TRY(get_bytes(r, bytes, &data));
    if (level > pg_code_level())
        return pg_fail(PG_EUNSUPPORTED,
                       "pg_program_load: %s was saved for an instruction set that is missing here: "
                       "x86-64-v%lld",
                       r->path, (long long)level + 2);
    PG_TRY(pg_code_from_memory(data, (size_t)bytes, &code));
    pg_status status = append(&r->loaded->codes, &r->loaded->n_codes, code);
    if (status != PG_OK) pg_code_close(code);
    return status;
}

/* Turns the numbers among the parameters into what they stand for. */
static pg_status resolve_params(reader *r, pg_links links, int64_t *params, int64_t n)
{
    const struct pg_loaded *l = r->loaded;
    CHECK(r, links.programs <= n && links.code >= -1 && links.code < n,
          "an operation lacks parameters");
    for (int64_t i = 0; i < links.programs; i++) {
        int64_t k = params[i], n_programs = l->n_programs + (r->last != NULL);
        CHECK(r, k >= 0 && k < n_programs, "an operation runs a program that is not there");
        params[i] = (int64_t)(intptr_t)(k < l->n_programs ? l->programs[k] : r->last);
    }
    if (links.code < 0) return PG_OK;
    int64_t *address = &params[links.code];
    CHECK(r, *address >= 0 && *address < l->n_codes, "an operation calls code that is not there");
    char symbol[PG_SAVED_NAME + 1];
    PG_TRY(get_text(r, symbol));
    return pg_code_symbol(l->codes[*address], symbol, address);
}

static pg_status make_op(reader *r, const char *name, const int64_t counts[3], const int64_t *avals,
                         int64_t *params, int64_t n_params)
{
    pg_links links = pg_links_of(name, n_params);
    CHECK(r, !links.host, "it calls a function of the host");
    PG_TRY(resolve_params(r, links, params, n_params));
    CHECK(r,
          counts[0] >= 0 && counts[0] <= r->n && counts[1] >= 0 && counts[1] <= r->n &&
              r->n < INT32_MAX,
          "an operation has impossible operands");
    pg_op *op;
    PG_TRY(pg_op_create(r->device, name, (int32_t)counts[0], (int32_t)counts[1], avals, counts[2],
                        params, n_params, &op));
    pg_status status = append(&r->loaded->ops, &r->loaded->n_ops, op);
    if (status != PG_OK) pg_op_destroy(op);
    return status;
}

/* A copy of words that may be changed; free() takes it back. */
static pg_status copy_words(const int64_t *words, int64_t n, int64_t **out)
{
    *out = malloc((size_t)(n + 1) * sizeof **out);
    if (!*out) return pg_fail(PG_ENOMEM, "pg_program_load: no host memory left");
    memcpy(*out, words, (size_t)n * sizeof **out);
    return PG_OK;
}

static pg_status get_op(reader *r)
{
    char name[PG_SAVED_NAME + 1];
    int64_t counts[3], n_params, *copy; /* n_in, n_out, words of avals */
    const int64_t *avals = NULL, *params = NULL;
    PG_TRY(get_text(r, name));
    for (int i = 0; i < 3; i++)
        PG_TRY(get(r, &counts[i]));
    PG_TRY(get_words(r, counts[2], &avals));
    PG_TRY(get(r, &n_params));
    PG_TRY(get_words(r, n_params, &params));
    PG_TRY(copy_words(params, n_params, &copy));
    pg_status status = make_op(r, name, counts, avals, copy, n_params);
    free(copy);
    return status;
}

static pg_status get_constant(reader *r, pg_array **out)
{
    int64_t dtype, ndim, count;
    const int64_t *shape = NULL;
    const void *data = NULL;
    PG_TRY(get(r, &dtype));
    PG_TRY(get(r, &ndim));
    PG_TRY(get_words(r, ndim, &shape));
    CHECK(r, dtype >= 0 && dtype < PG_DTYPE_COUNT && ndim <= PG_MAX_NDIM,
          "a constant has no such type");
    PG_TRY(pg_shape_count((pg_dtype)dtype, (int32_t)ndim, shape, &count));
    PG_TRY(get_bytes(r, count * pg_dtype_size((pg_dtype)dtype), &data));
    return pg_array_from_host(r->device, (pg_dtype)dtype, (int32_t)ndim, shape, data, out);
}

static pg_status bind_constants(reader *r, pg_program *program, int64_t n)
{
    pg_array **constants = malloc((size_t)(n + 1) * sizeof *constants);
    if (!constants) return pg_fail(PG_ENOMEM, "pg_program_load: no host memory left");
    pg_status status = PG_OK;
    int64_t made = 0;
    for (; made < n && status == PG_OK; made += status == PG_OK)
        status = get_constant(r, &constants[made]);
    if (status == PG_OK) status = pg_program_bind(program, constants, n);
    pg_arrays_release(constants, made);
    free(constants);
    return status;
}

/* Puts operations in place of their numbers. */
static pg_status resolve_code(const reader *r, int64_t *code, int64_t n)
{
    for (int64_t at = 0; at < n;) {
        CHECK(r, code[at] >= 0 && code[at] < r->loaded->n_ops, "an instruction has no operation");
        const pg_op *op = r->loaded->ops[code[at]];
        code[at] = (int64_t)(intptr_t)op;
        int64_t operands = (int64_t)op->n_in + op->n_out;
        CHECK(r, operands < n - at, "an instruction is cut off");
        at += 1 + operands;
    }
    return PG_OK;
}

static pg_status make_program(reader *r, int64_t *code, int64_t n_code)
{
    enum { MOST_INPUTS = 1 << 20 }; /* besides those that are in the file */
    int64_t n_slots, n_inputs, n_outputs, n_constants;
    const int64_t *outputs = NULL;
    pg_program *program;
    PG_TRY(resolve_code(r, code, n_code));
    PG_TRY(get(r, &n_slots));
    PG_TRY(get(r, &n_inputs));
    PG_TRY(get(r, &n_outputs));
    PG_TRY(get_words(r, n_outputs, &outputs));
    PG_TRY(get(r, &n_constants));
    CHECK(r,
          n_slots >= 0 && n_slots <= n_code && n_constants >= 0 && n_constants <= r->n &&
              n_inputs >= n_constants && n_inputs - n_constants <= MOST_INPUTS,
          "a program has impossible values");
    PG_TRY(pg_program_create(r->device, code, n_code, n_slots, n_inputs, outputs, n_outputs,
                             &program));
    pg_status status = n_constants ? bind_constants(r, program, n_constants) : PG_OK;
    if (status == PG_OK && r->last)
        status = append(&r->loaded->programs, &r->loaded->n_programs, r->last);
    if (status == PG_OK)
        r->last = program;
    else
        pg_program_destroy(program);
    return status;
}

static pg_status get_program(reader *r)
{
    int64_t n_code, *copy;
    const int64_t *code = NULL;
    PG_TRY(get(r, &n_code));
    PG_TRY(get_words(r, n_code, &code));
    PG_TRY(copy_words(code, n_code, &copy));
    pg_status status = make_program(r, copy, n_code);
    free(copy);
    return status;
}

/* ---- the file ---------------------------------------------------------------------------------- */

static pg_status get_records(reader *r)
{
    for (;;) {
        int64_t kind;
        PG_TRY(get(r, &kind));
        switch (kind) {
        case PG_SAVED_CODE: PG_TRY(get_code(r)); break;
        case PG_SAVED_OP: PG_TRY(get_op(r)); break;
        case PG_SAVED_PROGRAM: PG_TRY(get_program(r)); break;
        case PG_SAVED_END:
            CHECK(r, r->at == r->n - 1 && r->last, "it ends too early");
            return PG_OK;
        default: return damaged(r, "there is no such record");
        }
    }
}

static pg_status get_all(reader *r)
{
    enum { HEAD = 3 };
    PG_REQUIRE(r->n > HEAD && r->words[0] == PG_SAVED_MAGIC,
               "pg_program_load: %s is not a saved program", r->path);
    PG_REQUIRE(r->words[1] == PG_ABI_VERSION,
               "pg_program_load: %s was saved by ABI version %lld, this is version %d", r->path,
               (long long)r->words[1], PG_ABI_VERSION);
    PG_REQUIRE(r->words[2] == PG_SAVED_MACHINE,
               "pg_program_load: %s was saved on another kind of machine", r->path);
    r->at = r->n;
    CHECK(r, pg_saved_sum(0, r->words, (size_t)r->n - 1) == (uint64_t)r->words[r->n - 1],
          "its sum is wrong");
    r->at = HEAD;
    return get_records(r);
}

void pg_loaded_destroy(struct pg_loaded *l)
{
    if (!l) return;
    for (int64_t i = 0; i < l->n_programs; i++)
        pg_program_destroy(l->programs[i]);
    for (int64_t i = 0; i < l->n_ops; i++)
        pg_op_destroy(l->ops[i]);
    for (int64_t i = 0; i < l->n_codes; i++)
        pg_code_close(l->codes[i]);
    free(l->programs);
    free(l->ops);
    free(l->codes);
    free(l);
}

static pg_status load_words(pg_device *device, const char *path, const void *words, size_t bytes,
                            pg_program **out)
{
    reader r = {.path = path, .device = device, .words = words, .n = (int64_t)(bytes / 8)};
    r.loaded = calloc(1, sizeof *r.loaded);
    if (!r.loaded) return pg_fail(PG_ENOMEM, "pg_program_load: no host memory left");
    pg_status status = get_all(&r);
    if (status != PG_OK) {
        pg_program_destroy(r.last);
        pg_loaded_destroy(r.loaded);
        return status;
    }
    r.last->loaded = r.loaded;
    *out = r.last;
    return PG_OK;
}

pg_status pg_program_load(pg_device *device, const char *path, pg_program **out)
{
    PG_REQUIRE(device && path && out, "pg_program_load: a pointer is NULL");
    int handle = open(path, O_RDONLY | O_CLOEXEC);
    struct stat about = {0};
    if (handle < 0 || fstat(handle, &about) != 0) {
        int error = errno;
        if (handle >= 0) close(handle);
        return pg_fail(PG_EINVAL, "pg_program_load: %s: %s", path, strerror(error));
    }
    size_t bytes = S_ISREG(about.st_mode) ? (size_t)about.st_size : 0;
    void *words = bytes ? mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, handle, 0) : MAP_FAILED;
    close(handle);
    PG_REQUIRE(words != MAP_FAILED, "pg_program_load: %s is not a saved program", path);
    pg_status status = load_words(device, path, words, bytes, out);
    munmap(words, bytes);
    return status;
}
