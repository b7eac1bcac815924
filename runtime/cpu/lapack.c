/* lapack.c - finds the functions of lapack.h, and hides how real and complex ones differ. */
#include "lapack.h"

#include <dlfcn.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static int larger(int a, int b) { return a > b ? a : b; }
static int smaller(int a, int b) { return a < b ? a : b; }

/* ---- loading ----------------------------------------------------------------------------------- */

static const float one_f32 = 1, zero_f32 = 0;
static const double one_f64 = 1, zero_f64 = 0;

static const float one_c64[2] = {1, 0}, zero_c64[2] = {0, 0};
static const double one_c128[2] = {1, 0}, zero_c128[2] = {0, 0};

enum { KINDS = 4 };
/* Written once by the first library that has everything, then only read. */
static pg_lapack tables[KINDS] = {
    {.item = 4, .real_item = 4, .one = &one_f32, .zero = &zero_f32},
    {.item = 8, .real_item = 8, .one = &one_f64, .zero = &zero_f64},
    {.complex = true, .item = 8, .real_item = 4, .one = one_c64, .zero = zero_c64},
    {.complex = true, .item = 16, .real_item = 8, .one = one_c128, .zero = zero_c128},
};
static atomic_bool ready[KINDS];

static int kind_of(pg_dtype dtype)
{
    switch (dtype) {
    case PG_FLOAT32: return 0;
    case PG_FLOAT64: return 1;
    case PG_COMPLEX64: return 2;
    case PG_COMPLEX128: return 3;
    default: return -1;
    }
}

const pg_lapack *pg_lapack_of(pg_dtype dtype)
{
    int kind = kind_of(dtype);
    return kind >= 0 && atomic_load(&ready[kind]) ? &tables[kind] : NULL;
}

/* dlsym gives an object pointer; POSIX guarantees that it holds a function's. */
static bool find(void *library, const char *prefix, char letter, const char *name, void *function)
{
    char full[64];
    snprintf(full, sizeof full, "%s%c%s_", prefix, letter, name);
    void *symbol = dlsym(library, full);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

bool pg_lapack_load(void *library, const char *prefix)
{
    bool any = false;
    for (int kind = 0; kind < KINDS; kind++) {
        char letter = "sdcz"[kind];
        pg_lapack found = tables[kind], *l = &found;
        bool all = find(library, prefix, letter, "gemm", &l->gemm) &&
                   find(library, prefix, letter, "trsm", &l->trsm) &&
                   find(library, prefix, letter, "potrf", &l->potrf) &&
                   find(library, prefix, letter, "getrf", &l->getrf) &&
                   find(library, prefix, letter, "getrs", &l->getrs) &&
                   find(library, prefix, letter, "geqrf", &l->geqrf) &&
                   find(library, prefix, letter, l->complex ? "ungqr" : "orgqr", &l->orgqr) &&
                   find(library, prefix, letter, "gesdd", &l->gesdd) &&
                   find(library, prefix, letter, "geev", &l->geev) &&
                   find(library, prefix, letter, "gees", &l->gees) &&
                   find(library, prefix, letter, "geqp3", &l->geqp3) &&
                   find(library, prefix, letter, "gehrd", &l->gehrd) &&
                   find(library, prefix, letter, l->complex ? "hetrd" : "sytrd", &l->sytrd) &&
                   find(library, prefix, letter, l->complex ? "heevd" : "syevd", &l->syevd);
        any |= all;
        if (!all || atomic_load(&ready[kind])) continue;
        tables[kind] = found;
        atomic_store(&ready[kind], true);
    }
    return any;
}

/* ---- workspace --------------------------------------------------------------------------------- */

static int64_t padded(int64_t bytes) { return (bytes + 63) & ~(int64_t)63; }

int64_t pg_work_bytes(const pg_lapack *l, const pg_work *w)
{
    return padded(w->lwork * l->item) + padded(w->lrwork * l->real_item) +
           padded(w->liwork * (int64_t)sizeof(int));
}

void pg_work_place(const pg_lapack *l, pg_work *w, char *memory)
{
    w->work = memory;
    w->rwork = w->work + padded(w->lwork * l->item);
    w->iwork = (int *)(w->rwork + padded(w->lrwork * l->real_item));
}

bool pg_work_size(const pg_lapack *l, const void *answer, int *size)
{
    double wanted = *(const double *)answer;
    if (l->real_item == 4) /* may have been rounded down */
        wanted = nextafterf(*(const float *)answer, INFINITY);
    if (!(wanted >= 0 && wanted < INT_MAX)) return false;
    *size = larger(1, (int)ceil(wanted));
    return true;
}

/* ---- what differs between real and complex ----------------------------------------------------- */

typedef void real_gesdd(const char *, const int *, const int *, void *, const int *, void *, void *,
                        const int *, void *, const int *, void *, const int *, int *, int *,
                        size_t);
typedef void complex_gesdd(const char *, const int *, const int *, void *, const int *, void *,
                           void *, const int *, void *, const int *, void *, const int *, void *,
                           int *, int *, size_t);

int pg_lapack_gesdd(const pg_lapack *l, const char *job, int m, int n, void *a, void *s, void *u,
                    int ldu, void *vt, int ldvt, pg_work *w)
{
    int info = 0, lda = larger(1, m);
    double answer[2] = {0};
    bool asks = w->lwork == -1;
    void *work = asks ? (void *)answer : w->work;
    if (l->complex)
        ((complex_gesdd *)l->gesdd)(job, &m, &n, a, &lda, s, u, &ldu, vt, &ldvt, work, &w->lwork,
                                    w->rwork, w->iwork, &info, 1);
    else
        ((real_gesdd *)l->gesdd)(job, &m, &n, a, &lda, s, u, &ldu, vt, &ldvt, work, &w->lwork,
                                 w->iwork, &info, 1);
    if (!asks) return info;
    int64_t k = smaller(m, n), most = larger(m, n);
    int64_t lrwork = l->complex ? k * (7 * k + 2 * most + 7) : 0; /* at least what is documented */
    if (k > INT_MAX / 8 || lrwork > INT_MAX || !pg_work_size(l, answer, &w->lwork)) return -1;
    w->liwork = 8 * (int)k;
    w->lrwork = (int)lrwork;
    return info;
}

typedef void real_syevd(const char *, const char *, const int *, void *, const int *, void *,
                        void *, const int *, int *, const int *, int *, size_t, size_t);
typedef void complex_heevd(const char *, const char *, const int *, void *, const int *, void *,
                           void *, const int *, void *, const int *, int *, const int *, int *,
                           size_t, size_t);

int pg_lapack_syevd(const pg_lapack *l, const char *job, int n, void *a, void *values, pg_work *w)
{
    int info = 0, lda = larger(1, n), needed = 0;
    double answer[2] = {0}, real_answer = 0;
    bool asks = w->lwork == -1;
    void *work = asks ? (void *)answer : w->work;
    int *iwork = asks ? &needed : w->iwork;
    if (asks) w->lrwork = w->liwork = -1;
    if (l->complex)
        ((complex_heevd *)l->syevd)(job, "L", &n, a, &lda, values, work, &w->lwork,
                                    asks ? (void *)&real_answer : w->rwork, &w->lrwork, iwork,
                                    &w->liwork, &info, 1, 1);
    else
        ((real_syevd *)l->syevd)(job, "L", &n, a, &lda, values, work, &w->lwork, iwork, &w->liwork,
                                 &info, 1, 1);
    if (!asks) return info;
    w->liwork = larger(1, needed);
    w->lrwork = 0;
    bool fits = pg_work_size(l, answer, &w->lwork);
    if (l->complex) fits = fits && pg_work_size(l, &real_answer, &w->lrwork);
    return fits ? info : -1;
}

typedef void real_geev(const char *, const char *, const int *, void *, const int *, void *, void *,
                       void *, const int *, void *, const int *, void *, const int *, int *, size_t,
                       size_t);
typedef void complex_geev(const char *, const char *, const int *, void *, const int *, void *,
                          void *, const int *, void *, const int *, void *, const int *, void *,
                          int *, size_t, size_t);

int pg_lapack_geev(const pg_lapack *l, const char *job, int n, void *a, void *values, void *vectors,
                   pg_work *w)
{
    int info = 0, one = 1, lda = larger(1, n);
    double answer[2] = {0}, real_answer = 0;
    bool asks = w->lwork == -1;
    void *work = asks ? (void *)answer : w->work;
    if (l->complex)
        ((complex_geev *)l->geev)("N", job, &n, a, &lda, values, NULL, &one, vectors, &lda, work,
                                  &w->lwork, asks ? (void *)&real_answer : w->rwork, &info, 1, 1);
    else
        ((real_geev *)l->geev)("N", job, &n, a, &lda, values,
                               asks ? NULL : (char *)values + n * l->item, NULL, &one, vectors,
                               &lda, work, &w->lwork, &info, 1, 1);
    if (!asks) return info;
    w->lrwork = l->complex ? 2 * n : 0;
    return pg_work_size(l, answer, &w->lwork) ? info : -1;
}

typedef void real_gees(const char *, const char *, const void *, const int *, void *, const int *,
                       int *, void *, void *, void *, const int *, void *, const int *, int *,
                       int *, size_t, size_t);
typedef void complex_gees(const char *, const char *, const void *, const int *, void *,
                          const int *, int *, void *, void *, const int *, void *, const int *,
                          void *, int *, int *, size_t, size_t);

int pg_lapack_gees(const pg_lapack *l, const char *job, int n, void *a, void *values, void *vectors,
                   pg_work *w)
{
    int info = 0, lda = larger(1, n), sorted = 0;
    double answer[2] = {0};
    bool asks = w->lwork == -1;
    void *work = asks ? (void *)answer : w->work;
    if (l->complex)
        ((complex_gees *)l->gees)(job, "N", NULL, &n, a, &lda, &sorted, values, vectors, &lda, work,
                                  &w->lwork, w->rwork, NULL, &info, 1, 1);
    else
        ((real_gees *)l->gees)(job, "N", NULL, &n, a, &lda, &sorted, values,
                               asks ? NULL : (char *)values + n * l->item, vectors, &lda, work,
                               &w->lwork, NULL, &info, 1, 1);
    if (!asks) return info;
    w->lrwork = l->complex ? n : 0;
    return pg_work_size(l, answer, &w->lwork) ? info : -1;
}

typedef void real_geqp3(const int *, const int *, void *, const int *, int *, void *, void *,
                        const int *, int *);
typedef void complex_geqp3(const int *, const int *, void *, const int *, int *, void *, void *,
                           const int *, void *, int *);

int pg_lapack_geqp3(const pg_lapack *l, int m, int n, void *a, int *columns, void *tau, pg_work *w)
{
    int info = 0, lda = larger(1, m);
    double answer[2] = {0};
    bool asks = w->lwork == -1;
    void *work = asks ? (void *)answer : w->work;
    if (l->complex)
        ((complex_geqp3 *)l->geqp3)(&m, &n, a, &lda, columns, tau, work, &w->lwork, w->rwork,
                                    &info);
    else
        ((real_geqp3 *)l->geqp3)(&m, &n, a, &lda, columns, tau, work, &w->lwork, &info);
    if (!asks) return info;
    w->lrwork = l->complex ? 2 * n : 0;
    return pg_work_size(l, answer, &w->lwork) ? info : -1;
}
