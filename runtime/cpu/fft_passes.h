/* fft_passes.h - the transform for one type of lanes: included by fft.c with
 *
 *     T     the real type
 *     V     a vector of T, one lane for each of several rows that are transformed side by side; or T
 *     FFT(name)   what functions and types are called
 *
 * Stockham's method: each pass reads x[ido, r, l1] and writes y[ido, l1, r] (first axis fastest), a
 * transform over the r axis, times a twiddle factor; l1 is the product of the factors done before.
 * No bits are reversed, and the inner loop runs over neighbours. */

typedef struct FFT(complex) {
    V r, i;
} FFT(complex);
#define C FFT(complex)

static inline __attribute__((always_inline)) C FFT(plus)(C a, C b)
{
    return (C){a.r + b.r, a.i + b.i};
}
static inline __attribute__((always_inline)) C FFT(minus)(C a, C b)
{
    return (C){a.r - b.r, a.i - b.i};
}
/* a - i b */
static inline __attribute__((always_inline)) C FFT(minus_i)(C a, C b)
{
    return (C){a.r + b.i, a.i - b.r};
}
/* a + i b */
static inline __attribute__((always_inline)) C FFT(plus_i)(C a, C b)
{
    return (C){a.r - b.i, a.i + b.r};
}
static inline __attribute__((always_inline)) C FFT(times)(C a, const T *w)
{
    return (C){a.r * w[0] - a.i * w[1], a.r * w[1] + a.i * w[0]};
}
static inline __attribute__((always_inline)) C FFT(scaled)(C a, T s)
{
    return (C){a.r * s, a.i * s};
}

/* ---- transforms of r numbers in place ---------------------------------------------------------- */

static inline __attribute__((always_inline)) void FFT(butterfly2)(C *c)
{
    C a = c[0];
    c[0] = FFT(plus)(a, c[1]);
    c[1] = FFT(minus)(a, c[1]);
}

static inline __attribute__((always_inline)) void FFT(butterfly3)(C *c)
{
    C sum = FFT(plus)(c[1], c[2]);
    C turned = FFT(scaled)(FFT(minus)(c[1], c[2]), (T)0.86602540378443864676); /* sin 60 degrees */
    C middle = FFT(minus)(c[0], FFT(scaled)(sum, (T)0.5));
    c[0] = FFT(plus)(c[0], sum);
    c[1] = FFT(minus_i)(middle, turned);
    c[2] = FFT(plus_i)(middle, turned);
}

static inline __attribute__((always_inline)) void FFT(butterfly4)(C *c)
{
    C a = FFT(plus)(c[0], c[2]), b = FFT(minus)(c[0], c[2]);
    C d = FFT(plus)(c[1], c[3]), e = FFT(minus)(c[1], c[3]);
    c[0] = FFT(plus)(a, d);
    c[1] = FFT(minus_i)(b, e);
    c[2] = FFT(minus)(a, d);
    c[3] = FFT(plus_i)(b, e);
}

static inline __attribute__((always_inline)) void FFT(butterfly5)(C *c)
{
    const T c1 = (T)0.30901699437494742410, s1 = (T)0.95105651629515357212;  /* 72 degrees */
    const T c2 = (T)-0.80901699437494742410, s2 = (T)0.58778525229247312917; /* 144 degrees */
    C p = FFT(plus)(c[1], c[4]), q = FFT(plus)(c[2], c[3]);
    C s = FFT(minus)(c[1], c[4]), t = FFT(minus)(c[2], c[3]);
    C a = FFT(plus)(c[0], FFT(plus)(FFT(scaled)(p, c1), FFT(scaled)(q, c2)));
    C b = FFT(plus)(c[0], FFT(plus)(FFT(scaled)(p, c2), FFT(scaled)(q, c1)));
    C d = FFT(plus)(FFT(scaled)(s, s1), FFT(scaled)(t, s2));
    C e = FFT(minus)(FFT(scaled)(s, s2), FFT(scaled)(t, s1));
    c[0] = FFT(plus)(c[0], FFT(plus)(p, q));
    c[1] = FFT(minus_i)(a, d);
    c[4] = FFT(plus_i)(a, d);
    c[2] = FFT(minus_i)(b, e);
    c[3] = FFT(plus_i)(b, e);
}

/* ---- passes ------------------------------------------------------------------------------------ */

#define PASS(R)                                                                                \
    static void FFT(pass##R)(int64_t ido, int64_t l1, const C *x, C *y, const T *w)            \
    {                                                                                          \
        C c[R];                                                                                \
        for (int64_t k = 0; k < l1; k++)                                                       \
            for (int64_t i = 0; i < ido; i++) {                                                \
                for (int64_t q = 0; q < R; q++)                                                \
                    c[q] = x[i + ido * (q + R * k)];                                           \
                FFT(butterfly##R)(c);                                                          \
                y[i + ido * k] = c[0];                                                         \
                for (int64_t q = 1; q < R; q++)                                                \
                    y[i + ido * (k + l1 * q)] = FFT(times)(c[q], w + 2 * ((q - 1) * ido + i)); \
            }                                                                                  \
    }                                                                                          \
    /* ido = 1: all twiddle factors are 1 */                                                   \
    static void FFT(last##R)(int64_t l1, const C *x, C *y)                                     \
    {                                                                                          \
        C c[R];                                                                                \
        for (int64_t k = 0; k < l1; k++) {                                                     \
            for (int64_t q = 0; q < R; q++)                                                    \
                c[q] = x[q + R * k];                                                           \
            FFT(butterfly##R)(c);                                                              \
            for (int64_t q = 0; q < R; q++)                                                    \
                y[k + l1 * q] = c[q];                                                          \
        }                                                                                      \
    }
PASS(2)
PASS(3)
PASS(4)
PASS(5)
#undef PASS

/* Any odd radix: outputs a and r - a from sums and differences of inputs q and r - q. */
static void FFT(pass_odd)(int64_t r, int64_t ido, int64_t l1, const C *x, C *y, const T *w,
                          const T *roots)
{
    C sums[PG_FFT_MAX_RADIX / 2 + 1], differences[PG_FFT_MAX_RADIX / 2 + 1];
    int64_t h = (r - 1) / 2;
    for (int64_t k = 0; k < l1; k++)
        for (int64_t i = 0; i < ido; i++) {
            C first = x[i + ido * r * k], total = first;
            for (int64_t q = 1; q <= h; q++) {
                C a = x[i + ido * (q + r * k)], b = x[i + ido * (r - q + r * k)];
                sums[q] = FFT(plus)(a, b);
                differences[q] = FFT(minus)(a, b);
                total = FFT(plus)(total, sums[q]);
            }
            y[i + ido * k] = total;
            for (int64_t a = 1; a <= h; a++) {
                C even = first, odd = FFT(scaled)(differences[1], roots[2 * a + 1]);
                even = FFT(plus)(even, FFT(scaled)(sums[1], roots[2 * a]));
                for (int64_t q = 2, at = 2 * a; q <= h; q++, at += a) {
                    at -= at >= r ? r : 0;
                    even = FFT(plus)(even, FFT(scaled)(sums[q], roots[2 * at]));
                    odd = FFT(plus)(odd, FFT(scaled)(differences[q], roots[2 * at + 1]));
                }
                C one = FFT(minus_i)(even, odd), other = FFT(plus_i)(even, odd);
                y[i + ido * (k + l1 * a)] = FFT(times)(one, w + 2 * ((a - 1) * ido + i));
                y[i + ido * (k + l1 * (r - a))] =
                    FFT(times)(other, w + 2 * ((r - a - 1) * ido + i));
            }
        }
}

/* ---- the whole transform ----------------------------------------------------------------------- */

static void FFT(transform)(const pg_fft_plan *plan, C *x, C *work);

/* X[a] = chirp[a] sum over b of (x[b] chirp[b]) conj(chirp[a - b]): a cyclic convolution. */
static void FFT(convolve)(const pg_fft_plan *plan, C *x, C *work)
{
    const T *chirp = plan->chirp, *spectrum = plan->spectrum;
    int64_t n = plan->n, m = plan->inner->n;
    C *z = work, *inner_work = work + m;
    for (int64_t a = 0; a < n; a++)
        z[a] = FFT(times)(x[a], chirp + 2 * a);
    memset(z + n, 0, (size_t)(m - n) * sizeof *z);
    FFT(transform)(plan->inner, z, inner_work);
    for (int64_t a = 0; a < m; a++) { /* swapped, so that the next transform is the inverse one */
        C product = FFT(times)(z[a], spectrum + 2 * a);
        z[a] = (C){product.i, product.r};
    }
    FFT(transform)(plan->inner, z, inner_work);
    for (int64_t a = 0; a < n; a++)
        x[a] = FFT(times)((C){z[a].i, z[a].r}, chirp + 2 * a);
}

/* In place; `work` has pg_fft_workspace(plan) elements. */
static void FFT(transform)(const pg_fft_plan *plan, C *x, C *work)
{
    if (plan->inner) {
        FFT(convolve)(plan, x, work);
        return;
    }
    C *from = x, *to = work;
    int64_t l1 = 1, ido = plan->n;
    for (int32_t s = 0; s < plan->n_factors; s++) {
        int32_t r = plan->factors[s];
        const T *w = plan->twiddles[s];
        ido /= r;
        bool last = ido == 1;
        switch (r) {
        case 2: last ? FFT(last2)(l1, from, to) : FFT(pass2)(ido, l1, from, to, w); break;
        case 3: last ? FFT(last3)(l1, from, to) : FFT(pass3)(ido, l1, from, to, w); break;
        case 4: last ? FFT(last4)(l1, from, to) : FFT(pass4)(ido, l1, from, to, w); break;
        case 5: last ? FFT(last5)(l1, from, to) : FFT(pass5)(ido, l1, from, to, w); break;
        default: FFT(pass_odd)(r, ido, l1, from, to, w, plan->roots[s]);
        }
        l1 *= r;
        C *swap = from;
        from = to, to = swap;
    }
    if (from != x) memcpy(x, from, (size_t)plan->n * sizeof *x);
}

/* ---- real transforms of even length n = 2 h ---------------------------------------------------- */

/* From the transform z[h] of (x[0] + i x[1], x[2] + i x[3], ...) to that of x: h + 1 numbers. */
static void FFT(split)(const pg_fft_plan *plan, C *z)
{
    const T *w = plan->split;
    int64_t h = plan->n / 2;
    z[h] = z[0];
    for (int64_t k = 0; k <= h / 2; k++) {
        C a = FFT(scaled)(z[k], (T)0.5), b = FFT(scaled)(z[h - k], (T)0.5);
        C even = {a.r + b.r, a.i - b.i}, odd = {a.r - b.r, a.i + b.i};
        C turned = FFT(times)(odd, w + 2 * k), other = FFT(plus_i)(even, turned);
        z[k] = FFT(minus_i)(even, turned);
        z[h - k] = (C){other.r, -other.i};
    }
}

/* Back, times 2, real and imaginary parts exchanged for the inverse transform. */
static void FFT(join)(const pg_fft_plan *plan, C *z)
{
    const T *w = plan->split;
    int64_t h = plan->n / 2;
    z[0].i = z[h].i = (V){0}; /* no part of a real signal's spectrum */
    for (int64_t k = 0; k <= h / 2; k++) {
        C a = z[k], b = z[h - k];
        C even = {a.r + b.r, a.i - b.i}, odd = {a.r - b.r, a.i + b.i};
        const T back[2] = {w[2 * k], -w[2 * k + 1]};
        C turned = FFT(times)(odd, back);
        C one = FFT(plus_i)(even, turned), other = FFT(minus_i)(even, turned);
        z[k] = (C){one.i, one.r};
        z[h - k] = (C){-other.i, other.r};
    }
}

/* ---- rows side by side ------------------------------------------------------------------------- */

enum { FFT(lanes) = sizeof(V) / sizeof(T) };

/* Transforms as many rows as there are lanes, with `memory` for job->elements numbers. Rows may be the
 * same row again. */
static void FFT(rows)(const fft_job *job, const char *const *in, char *const *out, void *memory)
{
    enum { L = FFT(lanes) };
    const pg_fft_plan *plan = job->plan, *inner = plan;
    C *z = memory;
    T *flat = memory;
    int64_t n = plan->n, h = n / 2, step = job->step;
    bool even = job->kind != COMPLEX && n % 2 == 0;
    int64_t numbers = job->kind == TO_REAL ? h + 1 : n; /* read from each row */
    if (job->kind == FROM_REAL) {
        for (int64_t k = 0; k < n; k++)
            for (int64_t l = 0; l < L; l++) {
                T value = *(const T *)(in[l] + k * step);
                if (even) {
                    flat[k * L + l] = value;
                } else {
                    flat[2 * k * L + l] = value;
                    flat[(2 * k + 1) * L + l] = 0;
                }
            }
    } else {
        /* the inverse transform is the forward one with real and imaginary parts exchanged */
        bool swapped = job->kind == COMPLEX && job->inverse;
        int64_t real = swapped ? job->part : 0, imaginary = job->part - real;
        for (int64_t k = 0; k < numbers; k++)
            for (int64_t l = 0; l < L; l++) {
                flat[2 * k * L + l] = *(const T *)(in[l] + k * step + real);
                flat[(2 * k + 1) * L + l] = *(const T *)(in[l] + k * step + imaginary);
            }
    }
    if (even) inner = plan->half;
    if (job->kind == TO_REAL && even) FFT(join)(plan, z);
    if (job->kind == TO_REAL && !even) {
        z[0] = (C){(V){0}, z[0].r};
        for (int64_t k = 1; k <= h; k++) {
            z[n - k] = (C){-z[k].i, z[k].r};
            z[k] = (C){z[k].i, z[k].r};
        }
    }
    FFT(transform)(inner, z, z + job->data);
    if (job->kind == FROM_REAL && even) FFT(split)(plan, z);

    T scale = (T)job->scale;
    if (job->kind == TO_REAL) {
        for (int64_t k = 0; k < n; k++)
            for (int64_t l = 0; l < L; l++) {
                int64_t at = even ? k ^ 1 : 2 * k + 1;
                ((T *)out[l])[k] = flat[at * L + l] * scale;
            }
        return;
    }
    int64_t swap = job->kind == COMPLEX && job->inverse;
    int64_t written = job->kind == FROM_REAL ? h + 1 : n;
    for (int64_t k = 0; k < written; k++)
        for (int64_t l = 0; l < L; l++) {
            ((T *)out[l])[2 * k + swap] = flat[2 * k * L + l] * scale;
            ((T *)out[l])[2 * k + 1 - swap] = flat[(2 * k + 1) * L + l] * scale;
        }
}

#undef C
