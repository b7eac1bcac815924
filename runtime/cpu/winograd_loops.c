/* winograd_loops.c - the transforms of conv_winograd.c; winograd.h says what each must do.
 *
 * Compiled once per instruction set. All are sums of a few float32 numbers, in the same order on every set. */
#include "vectors.h"
#include "winograd.h"

enum { LANES = VECTOR_BYTES / sizeof(float) };

typedef float vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(float)), may_alias));

/* ---- weights ----------------------------------------------------------------------------------- */

/* Three numbers, `step` vectors apart, become four. */
static ALWAYS_INLINE void spread_weights(const vector *g, int step, vector *u, int u_step)
{
    vector first = g[0], last = g[2 * step], ends = first + last, middle = g[step];
    u[0] = first;
    u[u_step] = (ends + middle) * 0.5f;
    u[2 * u_step] = (ends - middle) * 0.5f;
    u[3 * u_step] = last;
}

static void transform_weights(int64_t width, const float *from, float *to, int64_t to_step)
{
    for (int64_t i = 0; i < width; i += LANES) {
        vector g[9], rows[12], u[16];
        PG_UNROLL for (int k = 0; k < 9; k++) g[k] = *(const vector *)(from + k * width + i);
        PG_UNROLL for (int x = 0; x < 3; x++) spread_weights(g + x, 3, rows + x, 3);
        PG_UNROLL for (int y = 0; y < 4; y++) spread_weights(rows + 3 * y, 1, u + 4 * y, 1);
        PG_UNROLL for (int k = 0; k < 16; k++) * (vector *)(to + k * to_step + i) = u[k];
    }
}

/* ---- input ------------------------------------------------------------------------------------- */

#if PG_HAS_SHUFFLE
#if defined(__AVX512F__)
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#elif defined(__AVX2__)
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define ODD 1, 3, 5, 7, 9, 11, 13, 15
#else
#define EVEN 0, 2, 4, 6
#define ODD 1, 3, 5, 7
#endif
/* The numbers at even and at odd places. */
static ALWAYS_INLINE void part(const float *x, vector *even, vector *odd)
{
    vector low = *(const vector *)x, high = *(const vector *)(x + LANES);
    *even = __builtin_shufflevector(low, high, EVEN);
    *odd = __builtin_shufflevector(low, high, ODD);
}
#else
static ALWAYS_INLINE void part(const float *x, vector *even, vector *odd)
{
    for (int i = 0; i < LANES; i++) {
        (*even)[i] = x[2 * i];
        (*odd)[i] = x[2 * i + 1];
    }
}
#endif

static ALWAYS_INLINE void spread_input(const vector *d, int step, vector *v)
{
    vector d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    v[0] = d0 - d2;
    v[step] = d1 + d2;
    v[2 * step] = d2 - d1;
    v[3 * step] = d1 - d3;
}

static void transform_input(int64_t count, const float *from, int64_t row, float *to,
                            int64_t to_step)
{
    for (int64_t x = 0; x < count; x += LANES, from += 2 * LANES, to += LANES) {
        vector v[16];
        PG_UNROLL for (int y = 0; y < 4; y++)
        {
            vector d[4];
            part(from + y * row, &d[0], &d[1]);
            part(from + y * row + 2, &d[2], &d[3]);
            spread_input(d, 1, v + 4 * y);
        }
        PG_UNROLL for (int i = 0; i < 4; i++)
        {
            vector column[4] = {v[i], v[4 + i], v[8 + i], v[12 + i]}, sums[4];
            spread_input(column, 1, sums);
            PG_UNROLL for (int y = 0; y < 4; y++) * (vector *)(to + (4 * y + i) * to_step) =
                sums[y];
        }
    }
}

static void copy_panels(int64_t count, int64_t panel, const float *from, int64_t from_step,
                        float *to, int64_t to_step, int64_t to_panel)
{
    enum { LINE = 64 / sizeof(float) };
    for (int k = 0; k < 16; k++, from += from_step, to += to_step) {
        float *next = to;
        for (int64_t x = 0; x < count; x += panel, next += to_panel)
            PG_UNROLL for (int i = 0; i < LINE; i += LANES) * (vector *)(next + i) =
                *(const vector *)(from + x + i);
    }
}

/* ---- output ------------------------------------------------------------------------------------ */

static bool transform_output(int64_t places, int64_t lines, int64_t width, const float *sums,
                             int64_t sums_step, float *to, int64_t to_line)
{
    vector wrong = {0}; /* nan where something is infinite or nan */
    for (int64_t x = 0; x < places; x += 2, sums += width, to += 2 * width)
        for (int64_t i = 0; i < width; i += LANES) {
            vector m[4][2], out[2][2];
            PG_UNROLL for (int y = 0; y < 4; y++)
            {
                const float *at = sums + 4 * y * sums_step + i;
                vector m0 = *(const vector *)at, m1 = *(const vector *)(at + sums_step);
                vector m2 = *(const vector *)(at + 2 * sums_step);
                vector m3 = *(const vector *)(at + 3 * sums_step);
                m[y][0] = m0 + (m1 + m2);
                m[y][1] = (m1 - m2) - m3;
            }
            PG_UNROLL for (int k = 0; k < 2; k++)
            {
                out[0][k] = m[0][k] + (m[1][k] + m[2][k]);
                out[1][k] = (m[1][k] - m[2][k]) - m[3][k];
                wrong += out[0][k] * 0.0f + out[1][k] * 0.0f;
            }
            for (int64_t y = 0; y < lines; y++)
                for (int64_t k = 0; k < 2 && x + k < places; k++)
                    *(vector *)(to + y * to_line + k * width + i) = out[y][k];
        }
    float sum = 0;
    for (int i = 0; i < LANES; i++)
        sum += wrong[i];
    return sum == 0;
}

static const pg_winograd_loops loops = {transform_weights, transform_input, copy_panels,
                                        transform_output};
const pg_winograd_loops *const PG_ISA_NAME(pg_winograd_loops) = &loops;
