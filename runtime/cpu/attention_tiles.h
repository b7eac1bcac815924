/* attention_tiles.h - attention for one type of accumulators: included by attention_loops.c with REAL, INTEGER (of the
 * same size), SQUARE and SQUARE_ROW (of vectors.h), A(name) and the constants of exp.
 *
 * A tile is NR neighbouring queries, two vectors wide. What depends on a query lies along the vectors: scores and
 * weights are keys x NR, results width x NR. So rows of k and v are only ever read element by element (and broadcast),
 * and need not be packed; the maximum and the sum over keys are elementwise.
 *
 *     scores  = k q^T           out^T += v^T weights          (each a `product` with the block of k or v as its left side)
 *     dv += weights ct          dk += dscores q               dq^T += k^T dscores
 */

enum { A(pad) = VECTOR_BYTES / sizeof(REAL), A(lanes) = 2 * A(pad) };
#define NR A(lanes)
typedef REAL A(vector) __attribute__((vector_size(VECTOR_BYTES)));
typedef INTEGER A(integers) __attribute__((vector_size(VECTOR_BYTES)));
#define V A(vector)
#define I A(integers)
#define AT(p) (*(V *)(p)) /* p is aligned to a vector */

static ALWAYS_INLINE V A(blend)(I which, V x, V y) { return (V)(((I)x & which) | ((I)y & ~which)); }
static ALWAYS_INLINE V A(all)(REAL x) { return x - (V){0}; }

/* exp(x), within 1.5 ulp: 2^n e^f with |f| <= ln 2 / 2, and Taylor's series for e^f. NaN stays. */
static ALWAYS_INLINE V A(exp)(V x)
{
    const REAL shift = (REAL)3 * (REAL)((int64_t)1 << (MANTISSA - 1)); /* adding it rounds */
    V high = A(all)(HIGHEST), magic = A(all)(shift);
    I vanishes = (I)(x < A(all)(LOWEST)); /* most often masked: not computed, underflow is slow */
    x = (V)((I)x & ~vanishes);
    x = A(blend)((I)(x > high), high, x);
    V shifted = x * (REAL)1.44269504088896340736 + magic;
    I n = (I)shifted - (I)magic;
    V whole = shifted - magic;
    V f = x - whole * (REAL)LN2_HIGH - whole * (REAL)LN2_LOW;
#define OVER(n) (REAL)(1. / n)
    static const REAL inverse[] = {1,       OVER(2), OVER(3),  OVER(4),  OVER(5),  OVER(6), OVER(7),
                                   OVER(8), OVER(9), OVER(10), OVER(11), OVER(12), OVER(13)};
#undef OVER
    V sum = A(all)(1);
    PG_UNROLL for (int i = TERMS; i-- > 0;) sum = f * inverse[i] * sum + (REAL)1;
    I half = n >> 1, rest = n - half; /* in two steps: 2^n itself may be no normal number */
    V y = sum * (V)((half + BIAS) << MANTISSA) * (V)((rest + BIAS) << MANTISSA);
    return (V)((I)y & ~vanishes);
}

/* up to a multiple of NR */
static int64_t A(up)(int64_t n) { return (n + NR - 1) / NR * NR; }

/* ---- products ---------------------------------------------------------------------------------- */

/* c[i][..] (+)= sum over d of a[i * row + d * column] * b[d][..] for `rows` rows and 1 or 2 vectors */
static ALWAYS_INLINE void A(tile)(int rows, int vectors, int64_t depth, const REAL *a, int64_t row,
                                  int64_t column, const REAL *b, int64_t b_row, REAL *c,
                                  int64_t c_row, bool add)
{
    V sum[ROWS][2];
    const REAL *at[ROWS];
    PG_UNROLL for (int i = 0; i < rows; i++)
    {
        at[i] = a + i * row;
        sum[i][0] = add ? AT(c + i * c_row) : (V){0};
        if (vectors == 2) sum[i][1] = add ? AT(c + i * c_row + A(pad)) : (V){0};
    }
    for (int64_t d = 0, k = 0; d < depth; d++, k += column, b += b_row) {
        V b0 = AT(b), b1 = vectors == 2 ? AT(b + A(pad)) : b0;
        PG_UNROLL for (int i = 0; i < rows; i++)
        {
            sum[i][0] += at[i][k] * b0;
            if (vectors == 2) sum[i][1] += at[i][k] * b1;
        }
    }
    PG_UNROLL for (int i = 0; i < rows; i++)
    {
        AT(c + i * c_row) = sum[i][0];
        if (vectors == 2) AT(c + i * c_row + A(pad)) = sum[i][1];
    }
}

/* The same for m rows. */
static ALWAYS_INLINE void A(strip)(int64_t m, int vectors, int64_t depth, const REAL *a,
                                   int64_t row, int64_t column, const REAL *b, int64_t b_row,
                                   REAL *c, int64_t c_row, bool add)
{
#define PART(n)                                                              \
    {                                                                        \
        A(tile)(n, vectors, depth, a, row, column, b, b_row, c, c_row, add); \
        a += n * row;                                                        \
        c += n * c_row;                                                      \
        m -= n;                                                              \
    }
    while (m >= ROWS)
        PART(ROWS)
    if (m >= 4) PART(4)
    if (m >= 2) PART(2)
    if (m >= 1) PART(1)
#undef PART
}

/* c (m x NR) (+)= a b, b: depth x NR. One of a's strides (in elements) is 1. */
static void A(product)(int64_t m, int64_t depth, const REAL *a, int64_t row, int64_t column,
                       const REAL *b, REAL *c, bool add)
{
    if (column == 1)
        A(strip)(m, 2, depth, a, row, 1, b, NR, c, NR, add);
    else
        A(strip)(m, 2, depth, a, 1, column, b, NR, c, NR, add);
}

/* c (m x n) += a b, a: m x NR, b: NR x n; n is padded. */
static void A(product_over_queries)(int64_t m, int64_t n, const REAL *a, const REAL *b, REAL *c)
{
    int64_t j = 0;
    for (; j + NR <= n; j += NR)
        A(strip)(m, 2, NR, a, NR, 1, b + j, n, c + j, n, true);
    if (j < n) A(strip)(m, 1, NR, a, NR, 1, b + j, n, c + j, n, true);
}

/* ---- reading and writing ----------------------------------------------------------------------- */

static void A(read)(pg_dtype dtype, REAL *to, const char *from, int64_t stride, int64_t n)
{
#define READ(T, LOAD)               \
    for (int64_t i = 0; i < n; i++) \
        to[i] = (REAL)LOAD(*(const T *)(from + i * stride));
#define SAME(x) (x)
    if (dtype == PG_FLOAT16)
        READ(uint16_t, pg_half_to_float)
    else if (dtype == PG_BFLOAT16)
        READ(uint16_t, pg_bfloat16_to_float)
    else if (stride == (int64_t)sizeof(REAL))
        memcpy(to, from, (size_t)n * sizeof(REAL));
    else
        READ(REAL, SAME)
#undef READ
#undef SAME
}

static void A(store)(pg_dtype dtype, char *to, const void *x_, double scale, int64_t n)
{
    const REAL *x = x_, s = (REAL)scale;
    if (dtype == PG_FLOAT16)
        for (int64_t i = 0; i < n; i++)
            ((uint16_t *)to)[i] = pg_float_to_half((float)(x[i] * s));
    else if (dtype == PG_BFLOAT16)
        for (int64_t i = 0; i < n; i++)
            ((uint16_t *)to)[i] = pg_float_to_bfloat16((float)(x[i] * s));
    else
        for (int64_t i = 0; i < n; i++)
            ((REAL *)to)[i] = x[i] * s;
}

static void A(add)(void *sum, const void *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        ((REAL *)sum)[i] += ((const REAL *)x)[i];
}

/* Rows of a matrix as reals: where they lie if they can be read there, else copied to `to`. */
typedef struct A(block) {
    const REAL *data;
    int64_t row; /* elements */
} A(block);

static A(block) A(rows)(pg_dtype dtype, const pg_attention_matrix *x, int64_t first, int64_t n,
                        int64_t columns, REAL *to)
{
    const char *from = x->data + first * x->row;
    bool plain = dtype == PG_FLOAT32 || dtype == PG_FLOAT64;
    if (plain && x->column == (int64_t)sizeof(REAL) && x->row % (int64_t)sizeof(REAL) == 0)
        return (A(block)){(const REAL *)from, x->row / (int64_t)sizeof(REAL)};
    for (int64_t i = 0; i < n; i++)
        A(read)(dtype, to + i * columns, from + i * x->row, x->column, columns);
    return (A(block)){to, columns};
}

/* to[i][j] = scale * from[j][i], for as many rows and columns as a vector has lanes */
static void A(transpose)(const REAL *from, int64_t from_row, REAL *to, int64_t to_row, REAL scale)
{
#if PG_HAS_SHUFFLE
    SQUARE_ROW rows[A(pad)];
    for (int i = 0; i < A(pad); i++)
        rows[i] = *(const SQUARE_ROW *)(from + i * from_row);
    SQUARE(rows);
    for (int i = 0; i < A(pad); i++)
        *(SQUARE_ROW *)(to + i * to_row) = rows[i] * scale;
#else
    for (int64_t i = 0; i < A(pad); i++)
        for (int64_t j = 0; j < A(pad); j++)
            to[i * to_row + j] = from[j * from_row + i] * scale;
#endif
}

/* n <= NR rows as `to`: NR x width (padded), zeros beyond, and as their transpose times scale: width x NR. */
static void A(pack)(pg_dtype dtype, const pg_attention_matrix *x, int64_t first, int64_t n,
                    int64_t columns, int64_t width, REAL *to, REAL *transposed, REAL scale)
{
    for (int64_t i = 0; i < NR; i++) {
        REAL *row = to + i * width;
        int64_t known = i < n ? columns : 0;
        if (known) A(read)(dtype, row, x->data + (first + i) * x->row, x->column, columns);
        memset(row + known, 0, (size_t)(width - known) * sizeof(REAL));
    }
    for (int64_t d = 0; d < columns; d += A(pad))
        for (int h = 0; h < 2; h++)
            A(transpose)(to + h * A(pad) * width + d, width, transposed + d * NR + h * A(pad), NR,
                         scale);
}

/* n <= NR rows of dense `to` from transposed: columns x NR, each times its factor. rows: NR x width (padded) scratch. */
static void A(unpack)(pg_dtype dtype, char *to, int64_t n, int64_t columns, int64_t width,
                      const REAL *transposed, const REAL *factor, REAL *rows)
{
    int64_t row_bytes = columns * pg_dtype_size(dtype);
    for (int64_t d = 0; d < columns; d += A(pad))
        for (int h = 0; h < 2; h++)
            A(transpose)(transposed + d * NR + h * A(pad), NR, rows + h * A(pad) * width + d, width,
                         1);
    for (int64_t i = 0; i < n; i++)
        A(store)(dtype, to + i * row_bytes, rows + i * width, (double)factor[i], columns);
}

/* ---- scores ------------------------------------------------------------------------------------ */

/* Puts `value` where scores are masked: in s (n x NR), for keys [key, key + n) and the m <= NR queries from `query` on. */
static void A(hide)(const pg_attention *a, int64_t key, int64_t n, int64_t query, int64_t m,
                    REAL value, REAL *s)
{
    if (a->mask.data) {
        const char *mask = a->mask.data + query * a->mask.row + key * a->mask.column;
        for (int64_t j = 0; j < m; j++)
            for (int64_t i = 0; i < n; i++)
                if (!mask[j * a->mask.row + i * a->mask.column]) s[i * NR + j] = value;
    }
    if (a->causal && key + n - 1 > query + a->offset) {
        I lane[2];
        for (int j = 0; j < NR; j++)
            lane[j / A(pad)][j % A(pad)] = j;
        for (int64_t i = 0; i < n; i++) {
            int64_t hidden = most(0, least(key + i - a->offset - query, NR)); /* so many lanes */
            for (int h = 0; h < 2; h++) {
                V *x = &AT(s + i * NR + h * A(pad));
                *x = A(blend)((I)(lane[h] < (INTEGER)hidden), A(all)(value), *x);
            }
        }
    }
}

/* s: n x NR = the scores of keys [key, key + n) for the m <= NR queries from `query` on */
static void A(scores)(const pg_attention *a, A(block) k, int64_t key, int64_t n, int64_t query,
                      int64_t m, const REAL *q, REAL *s)
{
    A(product)(n, a->depth, k.data, k.row, 1, q, s, false);
    if (a->bias.data) {
        const char *bias = a->bias.data + query * a->bias.row + key * a->bias.column;
        for (int64_t j = 0; j < m; j++)
            for (int64_t i = 0; i < n; i++)
                s[i * NR + j] += *(const REAL *)(bias + j * a->bias.row + i * a->bias.column);
    }
    A(hide)(a, key, n, query, m, (REAL)a->fill, s);
}

/* One past the last key that any of the queries up to `last` may see. */
static int64_t A(visible)(const pg_attention *a, int64_t last)
{
    return a->causal ? most(0, least(a->keys, last + a->offset + 1)) : a->keys;
}

/* True if keys that causality hides have weights of exactly 0 for these m queries, given the maxima of their scores. */
static bool A(hidden_vanish)(const pg_attention *a, const REAL *maximum, int64_t m)
{
    if (a->fill == -INFINITY) return true;
    for (int64_t j = 0; j < m; j++)
        if (!((double)maximum[j] - a->fill > NOTHING)) return false;
    return true;
}

/* ---- forward ----------------------------------------------------------------------------------- */

typedef struct A(state) { /* of a tile */
    REAL *q;              /* depth x NR */
    REAL *out;            /* width x NR */
    V maximum[2], total[2],
        base[2]; /* of the scores so far; exp(score - base) is what was added up */
} A(state);

/* base is the maximum, 0 if that is infinite */
static ALWAYS_INLINE V A(base_of)(V maximum)
{
    V infinity = A(all)((REAL)INFINITY);
    return A(blend)((I)(maximum < infinity) & (I)(maximum > -infinity), maximum, (V){0});
}

/* Takes the scores s of n keys, with their rows of v, into the state. */
static void A(take)(const pg_attention *a, A(state) * t, REAL *s, int64_t n, A(block) v)
{
    V old[2], factor[2];
    for (int h = 0; h < 2; h++) {
        V highest = t->maximum[h];
        for (int64_t i = 0; i < n; i++) {
            V x = AT(s + i * NR + h * A(pad));
            highest =
                A(blend)((I)(x > highest), x, highest); /* a NaN is not seen here, but in the sum */
        }
        old[h] = t->maximum[h];
        t->maximum[h] = highest;
        V base = A(base_of)(highest);
        V change = A(blend)((I)(old[h] == -A(all)((REAL)INFINITY)), (V){0}, t->base[h] - base);
        factor[h] = A(exp)(change);
        t->base[h] = base;
        V sum = (V){0};
        for (int64_t i = 0; i < n; i++) {
            V x = A(exp)(AT(s + i * NR + h * A(pad)) - base);
            AT(s + i * NR + h * A(pad)) = x;
            sum += x;
        }
        t->total[h] = t->total[h] * factor[h] + sum;
    }
    for (int64_t e = 0; e < a->width; e++)
        for (int h = 0; h < 2; h++)
            AT(t->out + e * NR + h * A(pad)) *= factor[h];
    A(product)(a->width, n, v.data, 1, v.row, s, t->out, true);
}

/* As if the keys [begin, end) had been seen, all masked. */
static void A(take_hidden)(const pg_attention *a, A(state) * t, int64_t begin, int64_t end, REAL *s,
                           REAL *v_copy)
{
    for (int64_t key = begin; key < end; key += KEYS) {
        int64_t n = least(KEYS, end - key);
        for (int64_t i = 0; i < n * NR; i++)
            s[i] = (REAL)a->fill;
        A(take)(a, t, s, n, A(rows)(a->dtype, &a->v, key, n, a->width, v_copy));
    }
}

static void A(finish)(const pg_attention *a, A(state) * t, int64_t query, int64_t m, REAL *row)
{
    REAL base[NR], total[NR], inverse[NR];
    memcpy(base, t->base, sizeof base);
    memcpy(total, t->total, sizeof total);
    for (int64_t j = 0; j < m; j++) {
        if (a->zeros && total[j] == 0) total[j] = 1;
        inverse[j] = 1 / total[j];
    }
    memcpy(a->maximum + query * (int64_t)sizeof(REAL), base, (size_t)m * sizeof(REAL));
    memcpy(a->total + query * (int64_t)sizeof(REAL), total, (size_t)m * sizeof(REAL));
    A(unpack)(a->dtype, (char *)a->out.data + query * a->out.row, m, a->width, A(up)(a->width),
              t->out, inverse, row);
}

/* In reals: one use for both directions, as each function below lays it out. */
static int64_t A(scratch)(const pg_attention *a)
{
    int64_t columns = A(up)(a->depth) + A(up)(a->width);
    int64_t forward = TILES * NR * columns, backward = 3 * NR * columns + KEYS * NR;
    return (int64_t)sizeof(REAL) * (KEYS * NR + (KEYS + NR) * columns + most(forward, backward));
}

static void A(forward)(const pg_attention *a, int64_t begin, int64_t end, void *scratch)
{
    int64_t depth = A(up)(a->depth), width = A(up)(a->width);
    REAL *s = scratch, *k_copy = s + KEYS * NR, *v_copy = k_copy + KEYS * depth;
    REAL *row = v_copy + KEYS * width, *rest = row + NR * (depth + width);
    for (int64_t query = begin; query < end; query += TILES * NR) {
        A(state) tiles[TILES];
        int64_t last = least(end, query + TILES * NR), n_tiles = (last - query + NR - 1) / NR;
        for (int64_t t = 0; t < n_tiles; t++) {
            int64_t first = query + t * NR;
            REAL *q = rest + t * NR * (depth + width);
            tiles[t] = (A(state)){.q = q, .out = q + NR * depth};
            for (int h = 0; h < 2; h++)
                tiles[t].maximum[h] = -A(all)((REAL)INFINITY);
            /* the rows themselves are not needed: k_copy is free still */
            A(pack)(a->dtype, &a->q, first, least(NR, last - first), a->depth, depth, k_copy, q,
                    (REAL)a->scale);
            memset(tiles[t].out, 0, (size_t)(NR * a->width) * sizeof(REAL));
        }
        int64_t seen = A(visible)(a, last - 1);
        for (int64_t key = 0; key < seen; key += KEYS) {
            int64_t n = least(KEYS, seen - key);
            A(block) k = A(rows)(a->dtype, &a->k, key, n, a->depth, k_copy);
            A(block) v = A(rows)(a->dtype, &a->v, key, n, a->width, v_copy);
            for (int64_t t = 0; t < n_tiles; t++) {
                int64_t first = query + t * NR, m = least(NR, last - first);
                int64_t of_tile = least(n, A(visible)(a, first + m - 1) - key);
                if (of_tile <= 0) continue;
                A(scores)(a, k, key, of_tile, first, m, tiles[t].q, s);
                A(take)(a, &tiles[t], s, of_tile, v);
            }
        }
        for (int64_t t = 0; t < n_tiles; t++) {
            int64_t first = query + t * NR, m = least(NR, last - first);
            int64_t of_tile = A(visible)(a, first + m - 1);
            if (of_tile < a->keys && !A(hidden_vanish)(a, (const REAL *)tiles[t].maximum, m))
                A(take_hidden)(a, &tiles[t], of_tile, a->keys, s, v_copy);
            A(finish)(a, &tiles[t], first, m, row);
        }
    }
}

/* ---- backward ---------------------------------------------------------------------------------- */

typedef struct A(tile_back) {
    int64_t query, m;
    REAL *q_rows, *ct_rows; /* NR x padded depth, NR x padded width */
    REAL *q, *ct, *dq;      /* depth x NR, width x NR, depth x NR */
    REAL maximum[NR], inverse[NR],
        mean[NR]; /* of the scores; 1 / total; of ct v under the weights: ct out */
} A(tile_back);

static void A(open)(const pg_attention *a, A(tile_back) * t, REAL *row)
{
    int64_t depth = (a->depth + A(pad) - 1) / A(pad) * A(pad),
            width = (a->width + A(pad) - 1) / A(pad) * A(pad);
    A(pack)(a->dtype, &a->q, t->query, t->m, a->depth, depth, t->q_rows, t->q, (REAL)a->scale);
    A(pack)(a->dtype, &a->ct, t->query, t->m, a->width, width, t->ct_rows, t->ct, 1);
    memset(t->dq, 0, (size_t)(NR * a->depth) * sizeof(REAL));
    memset(t->maximum, 0, sizeof t->maximum);
    memset(t->inverse, 0, sizeof t->inverse);
    memset(t->mean, 0, sizeof t->mean);
    memcpy(t->maximum, a->maximum + t->query * (int64_t)sizeof(REAL), (size_t)t->m * sizeof(REAL));
    for (int64_t j = 0; j < t->m; j++) {
        t->inverse[j] = 1 / ((const REAL *)a->total)[t->query + j];
        A(read)(a->dtype, row, a->out.data + (t->query + j) * a->out.row, a->out.column, a->width);
        REAL sum = 0;
        for (int64_t e = 0; e < a->width; e++)
            sum += row[e] * t->ct_rows[j * width + e];
        t->mean[j] = sum;
    }
}

/* s: n x NR scores become weights */
static void A(weigh)(const A(tile_back) * t, REAL *s, int64_t n)
{
    V maximum[2], inverse[2];
    memcpy(maximum, t->maximum, sizeof maximum);
    memcpy(inverse, t->inverse, sizeof inverse);
    for (int64_t i = 0; i < n; i++)
        for (int h = 0; h < 2; h++) {
            V *x = &AT(s + i * NR + h * A(pad));
            *x = A(exp)(*x - maximum[h]) * inverse[h];
        }
    for (int64_t i = 0; t->m < NR && i < n; i++)
        for (int64_t j = t->m; j < NR; j++)
            s[i * NR + j] = 0;
}

/* ds = weights * (ct v^T - mean), 0 where masked; ds holds ct v^T */
static void A(score_cotangents)(const pg_attention *a, const A(tile_back) * t, int64_t key,
                                int64_t n, const REAL *s, REAL *ds)
{
    V mean[2];
    memcpy(mean, t->mean, sizeof mean);
    for (int64_t i = 0; i < n; i++)
        for (int h = 0; h < 2; h++) {
            V *x = &AT(ds + i * NR + h * A(pad));
            *x = AT(s + i * NR + h * A(pad)) * (*x - mean[h]);
        }
    A(hide)(a, key, n, t->query, t->m, 0, ds);
}

static void A(backward)(const pg_attention *a, int64_t begin, int64_t end, void *scratch)
{
    int64_t depth = A(up)(a->depth), width = A(up)(a->width);
    int64_t dk_row = (a->depth + A(pad) - 1) / A(pad) * A(pad),
            dv_row = (a->width + A(pad) - 1) / A(pad) * A(pad);
    REAL *s = scratch, *ds = s + KEYS * NR, *k_copy = ds + KEYS * NR,
         *v_copy = k_copy + KEYS * depth;
    REAL *row = v_copy + KEYS * width, *rest = row + NR * (depth + width);
    REAL scales[NR];
    for (int64_t j = 0; j < NR; j++)
        scales[j] = (REAL)a->scale;
    for (int64_t query = begin; query < end; query += NR) {
        A(tile_back) t = {.query = query, .m = least(NR, end - query), .q_rows = rest};
        t.q = t.q_rows + NR * depth;
        t.dq = t.q + NR * depth;
        t.ct_rows = t.dq + NR * depth;
        t.ct = t.ct_rows + NR * width;
        A(open)(a, &t, row);
        int64_t seen = A(visible)(a, query + t.m - 1);
        int64_t all = seen < a->keys && !A(hidden_vanish)(a, t.maximum, t.m) ? a->keys : seen;
        for (int64_t key = 0; key < all; key += KEYS) {
            int64_t n = least(KEYS, (key < seen ? seen : all) - key);
            A(block) k = A(rows)(a->dtype, &a->k, key, n, a->depth, k_copy);
            A(block) v = A(rows)(a->dtype, &a->v, key, n, a->width, v_copy);
            A(scores)(a, k, key, n, query, t.m, t.q, s);
            A(weigh)(&t, s, n);
            A(product_over_queries)(n, dv_row, s, t.ct_rows, (REAL *)a->dv + key * dv_row);
            A(product)(n, a->width, v.data, v.row, 1, t.ct, ds, false);
            A(score_cotangents)(a, &t, key, n, s, ds);
            A(product_over_queries)(n, dk_row, ds, t.q_rows, (REAL *)a->dk + key * dk_row);
            A(product)(a->depth, n, k.data, 1, k.row, ds, t.dq, true);
            if (key < seen && key + n == seen)
                key = seen - KEYS; /* what is hidden begins at a block of its own */
        }
        A(unpack)(a->dtype, a->dq + query * a->depth * pg_dtype_size(a->dtype), t.m, a->depth,
                  depth, t.dq, scales, row);
    }
}

#undef NR
#undef V
#undef I
#undef AT
#undef REAL
#undef INTEGER
#undef SQUARE
#undef SQUARE_ROW
#undef A
#undef MANTISSA
#undef BIAS
#undef LOWEST
#undef HIGHEST
#undef NOTHING
#undef LN2_HIGH
#undef LN2_LOW
#undef TERMS
