/* code.c - shared objects with generated kernels, and the addresses of their functions.
 *
 * An operation holds a kernel as a plain address. All addresses given out are kept here while their
 * code is open, so that no other number is ever called, and so that a saved program can name them. */
#include "core.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct symbol {
    struct symbol *next;
    int64_t address;
    char name[];
} symbol;

struct pg_code {
    pg_code *next;
    void *library;
    symbol *symbols; /* that were asked for */
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

pg_status pg_code_open(const char *path, pg_code **out)
{
    PG_REQUIRE(path && out, "pg_code_open: a pointer is NULL");
    PG_REQUIRE(strchr(path, '/'), "pg_code_open: '%s' names no folder", path);
    pg_code *code = calloc(1, sizeof *code);
    if (!code) return pg_fail(PG_ENOMEM, "pg_code_open: no host memory left");
    code->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!code->library) {
        free(code);
        return pg_fail(PG_EINVAL, "pg_code_open: %s", dlerror());
    }
    lock_codes();
    code->next = opened;
    opened = code;
    unlock_codes();
    *out = code;
    return PG_OK;
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
    free(code);
}

bool pg_code_has(int64_t address)
{
    lock_codes();
    symbol *found = NULL;
    for (const pg_code *code = opened; code && !found; code = code->next)
        found = find_address(code, address);
    unlock_codes();
    return found;
}
