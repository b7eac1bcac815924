/* code.c - shared objects with generated kernels, and the addresses of their functions.
 *
 * An operation holds a kernel as a plain address. All addresses given out are kept here while their
 * code is open, so that no other number is ever called, and so that a saved program can name them. */
#include "core.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct symbol {
    struct symbol *next;
    int64_t address;
    char name[];
} symbol;

struct pg_code {
    pg_code *next;
    void *library;
    symbol *symbols; /* that were asked for */
    void *data;      /* the shared object itself, for saving: its file may be gone by then */
    size_t bytes;
    int handle; /* of memory that stands for a file, else -1; while it is open, no other code has its path */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pg_code *opened;

/* Else a fork while another thread holds the lock would leave it locked in the child. */
static void lock_codes(void) { pthread_mutex_lock(&lock); }
static void unlock_codes(void) { pthread_mutex_unlock(&lock); }
__attribute__((constructor)) static void survive_fork(void)
{
    pthread_atfork(lock_codes, unlock_codes, unlock_codes);
}

static pg_status fail_open(const char *path, int error)
{
    return pg_fail(PG_EINVAL, "pg_code_open: %s: %s", path, strerror(error));
}

/* Maps the file whose `handle` is given. */
static pg_status map_file(const char *path, int handle, pg_code *code)
{
    struct stat about;
    if (fstat(handle, &about) != 0) return fail_open(path, errno);
    PG_REQUIRE(S_ISREG(about.st_mode) && about.st_size > 0, "pg_code_open: %s is no shared object",
               path);
    code->bytes = (size_t)about.st_size;
    void *data = mmap(NULL, code->bytes, PROT_READ, MAP_PRIVATE, handle, 0);
    if (data == MAP_FAILED) return fail_open(path, errno);
    code->data = data;
    return PG_OK;
}

static void discard(pg_code *code)
{
    if (code->data) munmap(code->data, code->bytes);
    if (code->handle >= 0) close(code->handle);
    free(code);
}

static pg_status load(const char *path, pg_code *code)
{
    code->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    PG_REQUIRE(code->library, "pg_code_open: %s", dlerror());
    lock_codes();
    code->next = opened;
    opened = code;
    unlock_codes();
    return PG_OK;
}

static pg_status new_code(pg_code **out)
{
    *out = calloc(1, sizeof **out);
    if (!*out) return pg_fail(PG_ENOMEM, "pg_code_open: no host memory left");
    (*out)->handle = -1;
    return PG_OK;
}

pg_status pg_code_open(const char *path, pg_code **out)
{
    PG_REQUIRE(path && out, "pg_code_open: a pointer is NULL");
    PG_REQUIRE(strchr(path, '/'), "pg_code_open: '%s' names no folder", path);
    int handle = open(path, O_RDONLY | O_CLOEXEC);
    if (handle < 0) return fail_open(path, errno);
    pg_code *code;
    pg_status status = new_code(&code);
    if (status == PG_OK) {
        status = map_file(path, handle, code);
        if (status == PG_OK) status = load(path, code);
        if (status != PG_OK) discard(code);
    }
    close(handle);
    if (status == PG_OK) *out = code;
    return status;
}

static bool write_all(int handle, const char *data, size_t bytes)
{
    while (bytes) {
        ssize_t n = write(handle, data, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        data += n;
        bytes -= (size_t)n;
    }
    return true;
}

pg_status pg_code_from_memory(const void *data, size_t bytes, pg_code **out)
{
    pg_code *code;
    PG_TRY(new_code(&code));
    char path[64];
    code->handle = memfd_create("pequegrad", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", code->handle);
    pg_status status = code->handle >= 0 && write_all(code->handle, data, bytes)
                           ? map_file(path, code->handle, code)
                           : fail_open("memory", errno);
    if (status == PG_OK) status = load(path, code);
    if (status == PG_OK)
        *out = code;
    else
        discard(code);
    return status;
}

const void *pg_code_data(const pg_code *code, size_t *bytes)
{
    *bytes = code->bytes;
    return code->data;
}

static symbol *find_address(const pg_code *code, int64_t address)
{
    symbol *s = code->symbols;
    while (s && s->address != address)
        s = s->next;
    return s;
}

pg_status pg_code_symbol(pg_code *code, const char *name, int64_t *address)
{
    PG_REQUIRE(code && name && address, "pg_code_symbol: a pointer is NULL");
    void *found = dlsym(code->library, name);
    if (!found) return pg_fail(PG_EINVAL, "pg_code_symbol: there is no function '%s'", name);
    size_t length = strlen(name);
    symbol *fresh = malloc(sizeof *fresh + length + 1);
    if (!fresh) return pg_fail(PG_ENOMEM, "pg_code_symbol: no host memory left");
    fresh->address = (int64_t)(intptr_t)found;
    memcpy(fresh->name, name, length + 1);
    lock_codes();
    bool known = find_address(code, fresh->address) != NULL;
    if (!known) {
        fresh->next = code->symbols;
        code->symbols = fresh;
    }
    unlock_codes();
    *address = fresh->address;
    if (known) free(fresh);
    return PG_OK;
}

void pg_code_close(pg_code *code)
{
    if (!code) return;
    lock_codes();
    pg_code **link = &opened;
    while (*link != code)
        link = &(*link)->next;
    *link = code->next;
    unlock_codes();
    while (code->symbols) {
        symbol *next = code->symbols->next;
        free(code->symbols);
        code->symbols = next;
    }
    dlclose(code->library);
    discard(code);
}

const pg_code *pg_code_of(int64_t address, const char **name)
{
    lock_codes();
    const pg_code *code = opened;
    const symbol *found = NULL;
    for (; code; code = code->next) {
        found = find_address(code, address);
        if (found) break;
    }
    unlock_codes();
    if (found && name) *name = found->name;
    return code;
}

bool pg_code_has(int64_t address) { return pg_code_of(address, NULL) != NULL; }

/* "base", "v3", "v4": 0, 1, 2 */
int64_t pg_code_level(void)
{
    const char *name = pg_cpu_isa_name();
    return name[0] == 'v' ? name[1] - '2' : 0;
}
