/* lapack.h - LAPACK and the Fortran BLAS of the library that blas.c loaded.
 *
 * Matrices are column-major and every argument is passed by address; the last arguments are the
 * lengths of the strings. Real and complex functions have one prototype, but for the few that take
 * further workspace when complex. Every call runs on the calling thread alone. */
#ifndef PG_LAPACK_H
#define PG_LAPACK_H

#include "backend.h"

typedef struct pg_lapack {
    bool complex;
    int64_t item, real_item; /* bytes of an element, and of its real part */
    const void *one, *zero;

    void (*gemm)(const char *transpose_a, const char *transpose_b, const int *m, const int *n,
                 const int *k, const void *alpha, const void *a, const int *lda, const void *b,
                 const int *ldb, const void *beta, void *c, const int *ldc, size_t, size_t);
    void (*trsm)(const char *side, const char *triangle, const char *transpose, const char *unit,
                 const int *m, const int *n, const void *alpha, const void *a, const int *lda,
                 void *b, const int *ldb, size_t, size_t, size_t, size_t);
    void (*potrf)(const char *triangle, const int *n, void *a, const int *lda, int *info, size_t);
    void (*getrf)(const int *m, const int *n, void *a, const int *lda, int *pivots, int *info);
    void (*getrs)(const char *transpose, const int *n, const int *columns, const void *a,
                  const int *lda, const int *pivots, void *b, const int *ldb, int *info, size_t);
    void (*geqrf)(const int *m, const int *n, void *a, const int *lda, void *tau, void *work,
                  const int *lwork, int *info);
    void (*orgqr)(const int *m, const int *n, const int *k, void *a, const int *lda,
                  const void *tau, void *work, const int *lwork, int *info); /* or ungqr */
    void (*gehrd)(const int *n, const int *first, const int *last, void *a, const int *lda,
                  void *tau, void *work, const int *lwork, int *info);
    void (*sytrd)(const char *triangle, const int *n, void *a, const int *lda, void *diagonal,
                  void *beside, void *tau, void *work, const int *lwork, int *info,
                  size_t); /* or hetrd */
    /* of two kinds: see pg_lapack_gesdd and its neighbours */
    void (*gesdd)(void);
    void (*syevd)(void); /* or heevd */
    void (*geev)(void);
    void (*gees)(void);
    void (*geqp3)(void);
} pg_lapack;

/* The functions for elements of `dtype`; NULL without a library that has all of them. */
const pg_lapack *pg_lapack_of(pg_dtype dtype);

/* Workspace of one call: elements, real numbers (complex only), and ints. */
typedef struct pg_work {
    int lwork, lrwork, liwork;
    char *work, *rwork;
    int *iwork;
} pg_work;

/* The bytes that `w` says, and its pointers into memory of so many bytes. */
int64_t pg_work_bytes(const pg_lapack *l, const pg_work *w);
void pg_work_place(const pg_lapack *l, pg_work *w, char *memory);

/* What LAPACK answered in work[0], rounded up; false if it is more than an int holds. */
bool pg_work_size(const pg_lapack *l, const void *answer, int *size);

/* Singular values, and singular vectors unless job is "N". With w->lwork = -1 it only says in w
 * what it needs. Returns info. */
int pg_lapack_gesdd(const pg_lapack *l, const char *job, int m, int n, void *a, void *s, void *u,
                    int ldu, void *vt, int ldvt, pg_work *w);
/* Eigenvalues of a Hermitian matrix of which the lower triangle is read, and with job "V" its
 * eigenvectors in place of it. As above. */
int pg_lapack_syevd(const pg_lapack *l, const char *job, int n, void *a, void *values, pg_work *w);

/* Eigenvalues of any square matrix, which is lost, and with job "V" its right eigenvectors. Complex:
 * `values` and `vectors` are complex. Real: `values` are n real parts, then n imaginary parts; of a pair
 * of conjugate eigenvalues two columns of `vectors` are the real and the imaginary part. As above. */
int pg_lapack_geev(const pg_lapack *l, const char *job, int n, void *a, void *values, void *vectors,
                   pg_work *w);

/* Schur's form T in place of any square matrix, and with job "V" the unitary Z with A = Z T Z^H.
 * `values` has room for 2 n numbers and is of no further use. As above. */
int pg_lapack_gees(const pg_lapack *l, const char *job, int n, void *a, void *values, void *vectors,
                   pg_work *w);
/* The packed factors of A[:, columns] in place of A, the columns chosen so that the diagonal of R falls;
 * columns [n] count from 1, and must be 0 before. As above. */
int pg_lapack_geqp3(const pg_lapack *l, int m, int n, void *a, int *columns, void *tau, pg_work *w);

/* For blas.c: looks up all functions, whose names begin with `prefix`; whether those of any dtype are there. */
bool pg_lapack_load(void *library, const char *prefix);

#endif
