/* fft_plan.c - makes the tables of fft.h, and keeps the latest for the next transform of that length.
 *
 * Angles are reduced to an eighth of a circle in integers, so that every number in a table is off by
 * less than one unit in the last place. */
#include "fft.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- tables ------------------------------------------------------------------------------------ */

/* exp(2 pi i k / n) for 0 <= k < n. */
static void root_of_unity(uint64_t k, uint64_t n, double *re, double *im)
{
    /* k / n of a circle, in eighths of it: octant o, and the rest / (8 n) */
    uint64_t eighths = 8 * k, octant = eighths / n, rest = eighths % n;
    bool odd = octant & 1;
    double angle = M_PI / 4 * ((double)(odd ? n - rest : rest) / (double)n);
    double c = cos(angle), s = sin(angle);
    switch (octant) {
    case 0: *re = c, *im = s; break;
    case 1: *re = s, *im = c; break;
    case 2: *re = -s, *im = c; break;
    case 3: *re = -c, *im = s; break;
    case 4: *re = -c, *im = -s; break;
    case 5: *re = -s, *im = -c; break;
    case 6: *re = s, *im = -c; break;
    default: *re = c, *im = -s; break;
    }
}

static void *new_table(const pg_fft_plan *plan, int64_t count)
{
    size_t size = plan->real == PG_FLOAT32 ? 8 : 16;
    return calloc((size_t)(count ? count : 1), size);
}

static void store(const pg_fft_plan *plan, void *table, int64_t at, double re, double im)
{
    if (plan->real == PG_FLOAT32) {
        ((float *)table)[2 * at] = (float)re;
        ((float *)table)[2 * at + 1] = (float)im;
    } else {
        ((double *)table)[2 * at] = re;
        ((double *)table)[2 * at + 1] = im;
    }
}

/* ---- lengths that are products of small primes -------------------------------------------------- */

/* False if a prime factor is too large. */
static bool factorise(pg_fft_plan *plan)
{
    static const int32_t preferred[] = {4, 2, 3, 5};
    int64_t rest = plan->n;
    for (size_t i = 0; i < 4; i++)
        for (; rest % preferred[i] == 0; rest /= preferred[i])
            plan->factors[plan->n_factors++] = preferred[i];
    for (int32_t p = 7; p <= PG_FFT_MAX_RADIX; p += 2)
        for (; rest % p == 0; rest /= p)
            plan->factors[plan->n_factors++] = p;
    return rest == 1;
}

static bool make_stages(pg_fft_plan *plan)
{
    int64_t ido = plan->n;
    for (int32_t s = 0; s < plan->n_factors; s++) {
        int64_t r = plan->factors[s], span = ido;
        ido /= r;
        plan->twiddles[s] = new_table(plan, (r - 1) * ido);
        if (!plan->twiddles[s]) return false;
        for (int64_t a = 1; a < r; a++)
            for (int64_t b = 0; b < ido; b++) {
                double re, im;
                root_of_unity((uint64_t)(a * b), (uint64_t)span, &re, &im);
                store(plan, plan->twiddles[s], (a - 1) * ido + b, re, -im);
            }
        if (r <= 5) continue;
        plan->roots[s] = new_table(plan, r);
        if (!plan->roots[s]) return false;
        for (int64_t a = 0; a < r; a++) {
            double re, im;
            root_of_unity((uint64_t)a, (uint64_t)r, &re, &im);
            store(plan, plan->roots[s], a, re, im);
        }
    }
    return true;
}

/* ---- other lengths ----------------------------------------------------------------------------- */

/* The least product of 2, 3 and 5 that is at least n. */
static int64_t smooth_length(int64_t n)
{
    int64_t best = INT64_MAX;
    for (int64_t five = 1; five < 5 * n; five *= 5)
        for (int64_t three = five; three < 3 * n; three *= 3) {
            int64_t length = three;
            while (length < n)
                length *= 2;
            if (length < best) best = length;
        }
    return best;
}

static pg_fft_plan *new_plan(int64_t n, pg_dtype real);

static bool make_convolution(pg_fft_plan *plan)
{
    int64_t n = plan->n;
    plan->n_factors = 0;
    plan->inner = new_plan(smooth_length(2 * n - 1), plan->real);
    if (!plan->inner) return false;
    int64_t m = plan->inner->n, item = plan->real == PG_FLOAT32 ? 8 : 16;
    plan->chirp = new_table(plan, n);
    plan->spectrum = new_table(plan, m);
    void *work = malloc((size_t)((pg_fft_workspace(plan->inner) + 1) * item));
    if (plan->chirp && plan->spectrum && work) {
        uint64_t square = 0, period = 2 * (uint64_t)n; /* a^2 mod 2 n */
        for (int64_t a = 0; a < n; a++) {
            double re, im, scale = 1 / (double)m;
            root_of_unity(square, period, &re, &im);
            store(plan, plan->chirp, a, re, -im);
            store(plan, plan->spectrum, a, re * scale, im * scale);
            if (a) store(plan, plan->spectrum, m - a, re * scale, im * scale);
            square = (square + 2 * (uint64_t)a + 1) % period;
        }
        PG_ISA_SELECT(pg_fft_row)(plan->inner, plan->spectrum, work);
    }
    free(work);
    return plan->chirp && plan->spectrum && work;
}

/* ---- plans ------------------------------------------------------------------------------------- */

static void free_plan(pg_fft_plan *plan)
{
    if (!plan) return;
    for (int32_t s = 0; s < PG_FFT_MAX_FACTORS; s++) {
        free(plan->twiddles[s]);
        free(plan->roots[s]);
    }
    free_plan(plan->inner);
    free_plan(plan->half);
    free(plan->chirp);
    free(plan->spectrum);
    free(plan->split);
    free(plan);
}

/* Without what only real transforms need. */
static pg_fft_plan *new_plan(int64_t n, pg_dtype real)
{
    pg_fft_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return NULL;
    plan->n = n;
    plan->real = real;
    atomic_init(&plan->owners, 1);
    if (factorise(plan) ? make_stages(plan) : make_convolution(plan)) return plan;
    free_plan(plan);
    return NULL;
}

static bool add_half(pg_fft_plan *plan)
{
    int64_t n = plan->n;
    if (n % 2) return true;
    plan->half = new_plan(n / 2, plan->real);
    plan->split = new_table(plan, n / 4 + 1);
    if (!plan->half || !plan->split) return false;
    for (int64_t a = 0; a <= n / 4; a++) {
        double re, im;
        root_of_unity((uint64_t)a, (uint64_t)n, &re, &im);
        store(plan, plan->split, a, re, -im);
    }
    return true;
}

int64_t pg_fft_workspace(const pg_fft_plan *plan)
{
    return plan->inner ? plan->inner->n + pg_fft_workspace(plan->inner) : plan->n;
}

/* ---- the cache --------------------------------------------------------------------------------- */

enum { KEPT = 32, LARGEST_KEPT = 1 << 18 };

static pg_fft_plan *cache[KEPT];
static int64_t clock_of_uses;
static pthread_mutex_t caching = PTHREAD_MUTEX_INITIALIZER;

/* Else a fork while another thread looks into the cache would leave the lock held in the child. */
static void lock_cache(void) { pthread_mutex_lock(&caching); }
static void unlock_cache(void) { pthread_mutex_unlock(&caching); }
__attribute__((constructor)) static void survive_fork(void)
{
    pthread_atfork(lock_cache, unlock_cache, unlock_cache);
}

void pg_fft_plan_release(pg_fft_plan *plan)
{
    if (plan && atomic_fetch_sub(&plan->owners, 1) == 1) free_plan(plan);
}

static pg_fft_plan *look_up(int64_t n, pg_dtype real)
{
    for (int i = 0; i < KEPT; i++)
        if (cache[i] && cache[i]->n == n && cache[i]->real == real) {
            cache[i]->used = ++clock_of_uses;
            atomic_fetch_add(&cache[i]->owners, 1);
            return cache[i];
        }
    return NULL;
}

/* Puts a plan in place of the one that was not used for longest. */
static void keep(pg_fft_plan *plan)
{
    int oldest = 0;
    for (int i = 0; i < KEPT && cache[oldest]; i++)
        if (!cache[i] || cache[i]->used < cache[oldest]->used) oldest = i;
    pg_fft_plan_release(cache[oldest]);
    atomic_fetch_add(&plan->owners, 1);
    plan->used = ++clock_of_uses;
    cache[oldest] = plan;
}

pg_fft_plan *pg_fft_plan_get(int64_t n, pg_dtype real)
{
    lock_cache();
    pg_fft_plan *plan = look_up(n, real);
    unlock_cache();
    if (plan) return plan;
    plan = new_plan(n, real);
    if (plan && !add_half(plan)) {
        free_plan(plan);
        plan = NULL;
    }
    if (plan && n <= LARGEST_KEPT) {
        lock_cache();
        pg_fft_plan *other = look_up(n, real); /* another thread may have been faster */
        if (!other) keep(plan);
        unlock_cache();
        if (other) pg_fft_plan_release(plan), plan = other;
    }
    return plan;
}
