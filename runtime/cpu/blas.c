/* blas.c - loads a shared library with BLAS and LAPACK, named at run time, for lapack.c. (Matrix products
 * are our own: gemm_blocks.c.)
 *
 * OpenBLAS has threads of its own, which would compete with ours: it is told to use one before it is
 * loaded (so that it never starts any) and once more after. Functions are looked for with the prefix of the
 * scipy-openblas32 package first, then under their plain names; their integers have 32 bits. */
#include "lapack.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A loaded library is never unloaded, and its path never freed: other threads may be in it. */
static char *_Atomic loaded; /* its path, as given */
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

/* Else a fork while another thread loads would leave the lock held in the child. */
static void lock_loading(void) { pthread_mutex_lock(&loading); }
static void unlock_loading(void) { pthread_mutex_unlock(&loading); }
__attribute__((constructor)) static void survive_fork(void)
{
    pthread_atfork(lock_loading, unlock_loading, unlock_loading);
}

static void *open_single_threaded(const char *path)
{
    static const char variable[] = "OPENBLAS_NUM_THREADS";
    bool ours = getenv(variable) == NULL;
    if (ours) setenv(variable, "1", 1);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (ours) unsetenv(variable);
    return library;
}

/* dlsym gives an object pointer; POSIX guarantees that it holds a function's. */
static void find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
}

static void set_one_thread(void *library)
{
    static const char *const names[] = {
        "openblas_set_num_threads", "scipy_openblas_set_num_threads", "openblas_set_num_threads64_",
        "scipy_openblas_set_num_threads64_"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void (*set)(int);
        find(library, names[i], &set);
        if (set) set(1);
    }
}

pg_status pg_cpu_load_blas(const char *path)
{
    PG_REQUIRE(path && *path, "pg_cpu_load_blas: no path");
    char *copy = strdup(path);
    if (!copy) return pg_fail(PG_ENOMEM, "pg_cpu_load_blas: no memory");

    pthread_mutex_lock(&loading); /* the environment is changed for a moment */
    void *library = open_single_threaded(path);
    bool found = library && (pg_lapack_load(library, "scipy_") || pg_lapack_load(library, ""));
    pthread_mutex_unlock(&loading);
    if (!found) {
        pg_status status =
            library ? pg_fail(PG_EUNSUPPORTED,
                              "pg_cpu_load_blas: %s has no LAPACK with 32-bit integers", path)
                    : pg_fail(PG_EDEVICE, "pg_cpu_load_blas: %s", dlerror());
        if (library) dlclose(library);
        free(copy);
        return status;
    }
    set_one_thread(library);
    atomic_store(&loaded, copy);
    return PG_OK;
}

const char *pg_cpu_blas(void)
{
    const char *path = atomic_load(&loaded);
    return path ? path : "";
}
