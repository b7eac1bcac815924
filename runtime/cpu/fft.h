/* fft.h - plans of discrete Fourier transforms: tables that fft.c computes with. */
#ifndef PG_FFT_H
#define PG_FFT_H

#include "cpu.h"

enum { PG_FFT_MAX_FACTORS = 40, PG_FFT_MAX_RADIX = 61 };

/* Numbers in tables are pairs (cosine, sine) of the plan's real type. */
typedef struct pg_fft_plan {
    int64_t n;
    pg_dtype real; /* PG_FLOAT32 or PG_FLOAT64 */
    int32_t n_factors;
    int32_t factors[PG_FFT_MAX_FACTORS]; /* their product is n; 4, 2, 3, 5, or a larger prime */
    /* for each factor r, with ido = n / (product of the factors up to r):
     * exp(-2 pi i a b / (ido r)) at (a - 1) ido + b, 1 <= a < r, 0 <= b < ido */
    void *twiddles[PG_FFT_MAX_FACTORS];
    void *roots[PG_FFT_MAX_FACTORS]; /* for r > 5: exp(2 pi i a / r), a < r */

    /* n with a prime factor beyond PG_FFT_MAX_RADIX: a convolution of length inner->n (Bluestein, 1970) */
    struct pg_fft_plan *inner;
    void *chirp;    /* exp(-pi i a^2 / n), a < n */
    void *spectrum; /* the transform of the conjugate chirp, divided by inner->n */

    /* real transforms of even length n: through a complex one of length n / 2 */
    struct pg_fft_plan *half;
    void *split; /* exp(-2 pi i a / n), a <= n / 4 */

    atomic_int owners;
    int64_t used; /* for the cache: when it was last asked for */
} pg_fft_plan;

/* The plan for n >= 1 from a cache, or a new one. NULL without memory. */
pg_fft_plan *pg_fft_plan_get(int64_t n, pg_dtype real);
void pg_fft_plan_release(pg_fft_plan *plan);

/* Elements of workspace (complex) that a transform needs besides its data. */
int64_t pg_fft_workspace(const pg_fft_plan *plan);

/* The transform of one row of interleaved numbers in place; `work` has pg_fft_workspace elements.
 * Serves fft_plan.c; defined once per instruction set in fft.c. */
typedef void pg_fft_row(const pg_fft_plan *plan, void *data, void *work);
extern pg_fft_row pg_fft_row_base, pg_fft_row_v3, pg_fft_row_v4;

#endif
