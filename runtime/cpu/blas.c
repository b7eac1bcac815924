/* blas.c - cblas_sgemm and cblas_dgemm from a shared library that is named at run time; its LAPACK
 * is for lapack.c.
 *
 * OpenBLAS has threads of its own, which would compete with ours: it is told to use one before it is
 * loaded (so that it never starts any) and once more after. Names are tried with 32-bit integers
 * first: plain and with the prefix of the scipy-openblas32 package; then those with 64-bit integers,
 * which carry the suffix 64_. */
#include "gemm.h"
#include "lapack.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_MAJOR = 101 }; /* cblas.h */

typedef void sgemm32(int, int, int, int, int, int, float, const float *, int, const float *, int,
                     float, float *, int);
typedef void dgemm32(int, int, int, int, int, int, double, const double *, int, const double *, int,
                     double, double *, int);
typedef void sgemm64(int, int, int, int64_t, int64_t, int64_t, float, const float *, int64_t,
                     const float *, int64_t, float, float *, int64_t);
typedef void dgemm64(int, int, int, int64_t, int64_t, int64_t, double, const double *, int64_t,
                     const double *, int64_t, double, double *, int64_t);

typedef struct blas {
    sgemm32 *sgemm;
    dgemm32 *dgemm;
    sgemm64 *sgemm_64;
    dgemm64 *dgemm_64;
    char path[]; /* as given */
} blas;

/* A loaded library is never unloaded, and its record never freed: other threads may be in it. */
static blas *_Atomic loaded;
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
    size_t length = strlen(path);
    blas *b = calloc(1, sizeof *b + length + 1);
    if (!b) return pg_fail(PG_ENOMEM, "pg_cpu_load_blas: no memory");
    memcpy(b->path, path, length + 1);

    pthread_mutex_lock(&loading); /* the environment is changed for a moment */
    void *library = open_single_threaded(path);
    pthread_mutex_unlock(&loading);
    if (!library) {
        free(b);
        return pg_fail(PG_EDEVICE, "pg_cpu_load_blas: %s", dlerror());
    }
    static const char *const prefixes[] = {"scipy_", ""};
    const char *prefix = "";
    for (int i = 0; i < 2 && !b->sgemm && !b->sgemm_64; i++) {
        char name[64];
        prefix = prefixes[i];
        size_t n = strlen(prefix);
        memcpy(name, prefix, n);
        strcpy(name + n, "cblas_sgemm");
        find(library, name, &b->sgemm);
        strcpy(name + n, "cblas_dgemm");
        find(library, name, &b->dgemm);
        strcpy(name + n, "cblas_sgemm64_");
        find(library, name, &b->sgemm_64);
        strcpy(name + n, "cblas_dgemm64_");
        find(library, name, &b->dgemm_64);
    }
    if (!(b->sgemm && b->dgemm) && !(b->sgemm_64 && b->dgemm_64)) {
        pg_status status = pg_fail(PG_EUNSUPPORTED,
                                   "pg_cpu_load_blas: %s has no cblas_sgemm and cblas_dgemm", path);
        dlclose(library);
        free(b);
        return status;
    }
    set_one_thread(library);
    if (b->sgemm) {
        pthread_mutex_lock(&loading);
        pg_lapack_load(library, prefix);
        pthread_mutex_unlock(&loading);
    }
    atomic_store(&loaded, b);
    return PG_OK;
}

const char *pg_cpu_blas(void)
{
    const blas *b = atomic_load(&loaded);
    return b ? b->path : "";
}

bool pg_blas_loaded(void) { return atomic_load(&loaded) != NULL; }

static bool fits_int(int64_t x) { return x <= INT_MAX; }

bool pg_blas_gemm(pg_dtype dtype, pg_transpose ta, pg_transpose tb, int64_t m, int64_t n, int64_t k,
                  const void *a, int64_t lda, const void *b, int64_t ldb, void *c, int64_t ldc)
{
    const blas *lib = atomic_load(&loaded);
    if (!lib) return false;
    bool is_float = dtype == PG_FLOAT32;
    if (lib->sgemm && lib->dgemm) {
        if (!fits_int(m) || !fits_int(n) || !fits_int(k) || !fits_int(lda) || !fits_int(ldb) ||
            !fits_int(ldc))
            return false;
        int mi = (int)m, ni = (int)n, ki = (int)k, ai = (int)lda, bi = (int)ldb, ci = (int)ldc;
        if (is_float)
            lib->sgemm(ROW_MAJOR, (int)ta, (int)tb, mi, ni, ki, 1, a, ai, b, bi, 0, c, ci);
        else
            lib->dgemm(ROW_MAJOR, (int)ta, (int)tb, mi, ni, ki, 1, a, ai, b, bi, 0, c, ci);
    } else if (is_float) {
        lib->sgemm_64(ROW_MAJOR, (int)ta, (int)tb, m, n, k, 1, a, lda, b, ldb, 0, c, ldc);
    } else {
        lib->dgemm_64(ROW_MAJOR, (int)ta, (int)tb, m, n, k, 1, a, lda, b, ldb, 0, c, ldc);
    }
    return true;
}
