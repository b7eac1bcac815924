/* attention.h - attention over the rows of one batch entry (a head), as attention.c asks for it. */
#ifndef PG_ATTENTION_H
#define PG_ATTENTION_H

#include "cpu.h"

/* A matrix somewhere in memory; strides in bytes, any sign. data is NULL if there is none. */
typedef struct pg_attention_matrix {
    const char *data;
    int64_t row, column;
} pg_attention_matrix;

typedef struct pg_attention {
    pg_dtype dtype; /* of q, k, v, out and their cotangents */
    int64_t queries, keys, depth, width;
    double scale, fill; /* a score that is masked is `fill` */
    bool causal;        /* only keys up to query + offset */
    bool zeros;         /* a query whose weights add up to 0 gets zeros, not NaN */
    int64_t offset;
    pg_attention_matrix q, k, v; /* queries x depth, keys x depth, keys x width */
    pg_attention_matrix mask;    /* bool, queries x keys; false: masked */
    pg_attention_matrix bias;    /* real, queries x keys */
    /* results of the forward pass; what is given to the backward pass */
    pg_attention_matrix out; /* queries x width */
    char *maximum, *total;   /* real, adjacent, per query */
    /* backward only */
    pg_attention_matrix ct; /* cotangent of out */
    char *dq;               /* queries x depth, dense */
    char *dk, *dv;          /* real, keys x padded depth and keys x padded width: added to */
} pg_attention;

/* `real` is float, and double for float64. All memory is aligned to 64 bytes. */
typedef struct pg_attention_loops {
    int64_t
        lanes;    /* neighbouring queries that are worked on together: ranges begin at a multiple */
    int64_t pad;  /* rows of dk and dv are padded to a multiple of so many elements */
    int64_t item; /* bytes of a real */
    int64_t (*scratch)(const pg_attention *a); /* bytes that a call of forward or backward needs */
    void (*forward)(const pg_attention *a, int64_t begin, int64_t end, void *scratch);
    void (*backward)(const pg_attention *a, int64_t begin, int64_t end, void *scratch);
    /* to[i] = x[i] * scale, for n elements of the dtype */
    void (*store)(pg_dtype dtype, char *to, const void *x, double scale, int64_t n);
    void (*add)(void *sum, const void *x, int64_t n); /* sum[i] += x[i], reals */
} pg_attention_loops;

typedef const pg_attention_loops pg_attention_table[PG_DTYPE_COUNT];
extern pg_attention_table pg_attention_loops_base;
#ifdef __x86_64__
extern pg_attention_table pg_attention_loops_v3, pg_attention_loops_v4;
#endif

#endif
