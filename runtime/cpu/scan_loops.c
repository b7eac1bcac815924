/* scan_loops.c - the inner loops of cumulative reductions; scan.h says what each must do.
 *
 * Compiled once per instruction set. A loop scans its part from nothing and joins each result to the
 * state before the part: out = join(state, scan of the part). With parts of fixed size the rounding
 * errors of a sum then grow with the size of a part and with their number, not with the product.
 * float32 sums have float64 states; float16 and bfloat16 are computed in float32. NaN stays. */
#include "scan.h"

#include "cpu.h"
#include "pequegrad_complex.h"

#include <math.h>

#define SAME(x) (x)

/* ---- states of logsumexp: log(sum) = largest + log(rest), rest >= 1 ----------------------------- */

#define LOGSUM(T, F)                                                                      \
    typedef struct logsum_##T {                                                           \
        T largest, rest;                                                                  \
    } logsum_##T;                                                                         \
    static inline logsum_##T logsum_of_##T(T x) { return (logsum_##T){x, 1}; }            \
    static inline logsum_##T logsum_join_##T(logsum_##T a, logsum_##T b)                  \
    {                                                                                     \
        /* equal infinities differ by nothing; a NaN makes `rest` NaN on either path */   \
        T scale = a.largest == b.largest ? 1 : F(exp)(-F(fabs)(a.largest - b.largest));   \
        return a.largest >= b.largest ? (logsum_##T){a.largest, a.rest + b.rest * scale}  \
                                      : (logsum_##T){b.largest, a.rest * scale + b.rest}; \
    }                                                                                     \
    static inline T logsum_value_##T(logsum_##T a) { return a.largest + F(log)(a.rest); }
#define WITH_F(name) name##f
LOGSUM(float, WITH_F)
LOGSUM(double, SAME)

#define LOGSUM_NOTHING(T) ((logsum_##T){-(T)INFINITY, 0})
#define LOGSUM_FROM_HALF(x) logsum_of_float(pg_half_to_float(x))
#define LOGSUM_FROM_BFLOAT16(x) logsum_of_float(pg_bfloat16_to_float(x))
#define LOGSUM_TO_HALF(x) pg_float_to_half(logsum_value_float(x))
#define LOGSUM_TO_BFLOAT16(x) pg_float_to_bfloat16(logsum_value_float(x))

/* ---- scans of one operand ---------------------------------------------------------------------- */

/* Lanes [0, n) of a part side by side; the states of n = PG_SCAN_CHAINS lanes stay in registers. */
#define SCAN_ROWS(T, LOAD, STORE, JOIN, n, x_lane, out_lane)                 \
    for (int64_t i = 0; i < part->rows; i++) {                               \
        const char *restrict x = part->x + i * part->x_row;                  \
        char *restrict out = part->out + i * part->out_row;                  \
        for (int64_t j = 0; j < (n); j++) {                                  \
            local[j] = JOIN(local[j], LOAD(*(const T *)(x + j * (x_lane)))); \
            *(T *)(out + j * (out_lane)) = STORE(JOIN(before[j], local[j])); \
        }                                                                    \
    }
#define FOLD_ROWS(T, LOAD, JOIN, n, x_lane)                                  \
    for (int64_t i = 0; i < part->rows; i++) {                               \
        const char *restrict x = part->x + i * part->x_row;                  \
        for (int64_t j = 0; j < (n); j++)                                    \
            local[j] = JOIN(local[j], LOAD(*(const T *)(x + j * (x_lane)))); \
    }

/* T: element in memory; S: state; LOAD: T -> S; STORE: S -> T; JOIN(NOTHING, s) = s. */
#define SCAN(name, T, S, LOAD, STORE, NOTHING, JOIN, divisible)                            \
    static void name##_start(void *states, int64_t lanes)                                  \
    {                                                                                      \
        for (int64_t j = 0; j < lanes; j++)                                                \
            ((S *)states)[j] = NOTHING;                                                    \
    }                                                                                      \
    static void name##_join(void *state, const void *next)                                 \
    {                                                                                      \
        *(S *)state = JOIN(*(S *)state, *(const S *)next);                                 \
    }                                                                                      \
    static void name##_run(const pg_scan_part *part, void *states)                         \
    {                                                                                      \
        const int64_t item = (int64_t)sizeof(T), lanes = part->lanes;                      \
        S local[PG_SCAN_LANES];                                                            \
        S *restrict before = states;                                                       \
        for (int64_t j = 0; j < lanes; j++)                                                \
            local[j] = NOTHING;                                                            \
        if (!part->out && lanes == PG_SCAN_CHAINS) {                                       \
            FOLD_ROWS(T, LOAD, JOIN, PG_SCAN_CHAINS, part->x_lane)                         \
        } else if (!part->out) {                                                           \
            FOLD_ROWS(T, LOAD, JOIN, lanes, part->x_lane)                                  \
        } else if (part->x_lane == item && part->out_lane == item) {                       \
            SCAN_ROWS(T, LOAD, STORE, JOIN, lanes, (int64_t)sizeof(T), (int64_t)sizeof(T)) \
        } else if (lanes == PG_SCAN_CHAINS) {                                              \
            SCAN_ROWS(T, LOAD, STORE, JOIN, PG_SCAN_CHAINS, part->x_lane, part->out_lane)  \
        } else {                                                                           \
            SCAN_ROWS(T, LOAD, STORE, JOIN, lanes, part->x_lane, part->out_lane)           \
        }                                                                                  \
        for (int64_t j = 0; j < lanes; j++)                                                \
            before[j] = JOIN(before[j], local[j]);                                         \
    }                                                                                      \
    static const pg_scan_loops name = {sizeof(S), divisible, name##_start, name##_run, name##_join};

/* Written so that gcc makes selections of them; NaN wins. */
#define EXTREMA(T)                        \
    static inline T larger_##T(T a, T b)  \
    {                                     \
        T larger = a > b ? a : b;         \
        return a == a ? larger : a;       \
    }                                     \
    static inline T smaller_##T(T a, T b) \
    {                                     \
        T smaller = a < b ? a : b;        \
        return a == a ? smaller : a;      \
    }
EXTREMA(float)
EXTREMA(double)

#define INTEGERS(name, T, LOWEST, HIGHEST)                          \
    SCAN(sum_##name, T, T, SAME, SAME, 0, pg_add_##name, true)      \
    SCAN(prod_##name, T, T, SAME, SAME, 1, pg_mul_##name, true)     \
    SCAN(max_##name, T, T, SAME, SAME, LOWEST, pg_max_##name, true) \
    SCAN(min_##name, T, T, SAME, SAME, HIGHEST, pg_min_##name, true)
/* A product of a later part may overflow where the whole does not: products are not divided. */
#define FLOATS(name, T, S, LOAD, STORE, SUM)                            \
    SCAN(sum_##name, T, SUM, LOAD, STORE, 0, ADD, true)                 \
    SCAN(prod_##name, T, S, LOAD, STORE, 1, MULTIPLY, false)            \
    SCAN(max_##name, T, S, LOAD, STORE, -(S)INFINITY, larger_##S, true) \
    SCAN(min_##name, T, S, LOAD, STORE, (S)INFINITY, smaller_##S, true)
#define ADD(a, b) ((a) + (b))
#define MULTIPLY(a, b) ((a) * (b))
#define SUM_TO_FLOAT(x) ((float)(x))

SCAN(or_bool, uint8_t, uint8_t, SAME, SAME, 0, pg_or_bool, true)
SCAN(and_bool, uint8_t, uint8_t, SAME, SAME, 1, pg_and_bool, true)
INTEGERS(int8, int8_t, INT8_MIN, INT8_MAX)
INTEGERS(int16, int16_t, INT16_MIN, INT16_MAX)
INTEGERS(int32, int32_t, INT32_MIN, INT32_MAX)
INTEGERS(int64, int64_t, INT64_MIN, INT64_MAX)
INTEGERS(uint8, uint8_t, 0, UINT8_MAX)
INTEGERS(uint16, uint16_t, 0, UINT16_MAX)
INTEGERS(uint32, uint32_t, 0, UINT32_MAX)
INTEGERS(uint64, uint64_t, 0, UINT64_MAX)
FLOATS(float16, uint16_t, float, pg_half_to_float, pg_float_to_half, float)
FLOATS(bfloat16, uint16_t, float, pg_bfloat16_to_float, pg_float_to_bfloat16, float)
FLOATS(float32, float, float, SAME, SUM_TO_FLOAT, double)
FLOATS(float64, double, double, SAME, SAME, double)

#define LOGSUM_SCAN(name, T, S, LOAD, STORE) \
    SCAN(logsum_##name, T, logsum_##S, LOAD, STORE, LOGSUM_NOTHING(S), logsum_join_##S, true)
LOGSUM_SCAN(float16, uint16_t, float, LOGSUM_FROM_HALF, LOGSUM_TO_HALF)
LOGSUM_SCAN(bfloat16, uint16_t, float, LOGSUM_FROM_BFLOAT16, LOGSUM_TO_BFLOAT16)
LOGSUM_SCAN(float32, float, float, logsum_of_float, logsum_value_float)
LOGSUM_SCAN(float64, double, double, logsum_of_double, logsum_value_double)

/* ---- linear_recurrence: h = a * h + b ----------------------------------------------------------- */

#define RECUR_ROWS(T, LOAD, STORE, MUL, PLUS, n, x_lane, b_lane, out_lane) \
    for (int64_t i = 0; i < part->rows; i++) {                             \
        const char *restrict x = part->x + i * part->x_row;                \
        const char *restrict b = part->b + i * part->b_row;                \
        char *restrict out = part->out + i * part->out_row;                \
        for (int64_t j = 0; j < (n); j++) {                                \
            h[j] = PLUS(MUL(LOAD(*(const T *)(x + j * (x_lane))), h[j]),   \
                        LOAD(*(const T *)(b + j * (b_lane))));             \
            *(T *)(out + j * (out_lane)) = STORE(h[j]);                    \
        }                                                                  \
    }

#define RECURRENCE(name, T, S, LOAD, STORE, NOTHING, MUL, PLUS)                                  \
    static void recur_##name##_start(void *states, int64_t lanes)                                \
    {                                                                                            \
        for (int64_t j = 0; j < lanes; j++)                                                      \
            ((S *)states)[j] = NOTHING;                                                          \
    }                                                                                            \
    static void recur_##name##_run(const pg_scan_part *part, void *states)                       \
    {                                                                                            \
        const int64_t item = (int64_t)sizeof(T), lanes = part->lanes;                            \
        S *restrict h = states;                                                                  \
        if (part->x_lane == item && part->b_lane == item && part->out_lane == item) {            \
            RECUR_ROWS(T, LOAD, STORE, MUL, PLUS, lanes, (int64_t)sizeof(T), (int64_t)sizeof(T), \
                       (int64_t)sizeof(T))                                                       \
        } else if (lanes == PG_SCAN_CHAINS) {                                                    \
            RECUR_ROWS(T, LOAD, STORE, MUL, PLUS, PG_SCAN_CHAINS, part->x_lane, part->b_lane,    \
                       part->out_lane)                                                           \
        } else {                                                                                 \
            RECUR_ROWS(T, LOAD, STORE, MUL, PLUS, lanes, part->x_lane, part->b_lane,             \
                       part->out_lane)                                                           \
        }                                                                                        \
    }                                                                                            \
    static const pg_scan_loops recur_##name = {sizeof(S), false, recur_##name##_start,           \
                                               recur_##name##_run, NULL};
#define RECURRENCE_INTEGER(name, T) \
    RECURRENCE(name, T, T, SAME, SAME, 0, pg_mul_##name, pg_add_##name)

RECURRENCE_INTEGER(int8, int8_t)
RECURRENCE_INTEGER(int16, int16_t)
RECURRENCE_INTEGER(int32, int32_t)
RECURRENCE_INTEGER(int64, int64_t)
RECURRENCE_INTEGER(uint8, uint8_t)
RECURRENCE_INTEGER(uint16, uint16_t)
RECURRENCE_INTEGER(uint32, uint32_t)
RECURRENCE_INTEGER(uint64, uint64_t)
RECURRENCE(float16, uint16_t, float, pg_half_to_float, pg_float_to_half, 0, MULTIPLY, ADD)
RECURRENCE(bfloat16, uint16_t, float, pg_bfloat16_to_float, pg_float_to_bfloat16, 0, MULTIPLY, ADD)
RECURRENCE(float32, float, float, SAME, SAME, 0, MULTIPLY, ADD)
RECURRENCE(float64, double, double, SAME, SAME, 0, MULTIPLY, ADD)

/* Parts of a product are not divided, as for reals. */
#define COMPLEX(name, R)                                                                      \
    SCAN(sum_##name, pg_##name, pg_##name, SAME, SAME, COMPLEX_##R(0), pg_add_##name, true)   \
    SCAN(prod_##name, pg_##name, pg_##name, SAME, SAME, COMPLEX_##R(1), pg_mul_##name, false) \
    RECURRENCE(name, pg_##name, pg_##name, SAME, SAME, COMPLEX_##R(0), pg_mul_##name, pg_add_##name)
#define COMPLEX_float(x) ((pg_complex64){x, 0})
#define COMPLEX_double(x) ((pg_complex128){x, 0})
COMPLEX(complex64, float)
COMPLEX(complex128, double)

#define INTEGER_ROW(name)                                                                 \
    [PG_INT8] = &name##_int8, [PG_INT16] = &name##_int16, [PG_INT32] = &name##_int32,     \
    [PG_INT64] = &name##_int64, [PG_UINT8] = &name##_uint8, [PG_UINT16] = &name##_uint16, \
    [PG_UINT32] = &name##_uint32, [PG_UINT64] = &name##_uint64
#define FLOAT_ROW(name)                                               \
    [PG_FLOAT16] = &name##_float16, [PG_BFLOAT16] = &name##_bfloat16, \
    [PG_FLOAT32] = &name##_float32, [PG_FLOAT64] = &name##_float64

#define COMPLEX_ROW(name) [PG_COMPLEX64] = &name##_complex64, [PG_COMPLEX128] = &name##_complex128

pg_scan_table PG_ISA_NAME(pg_scan_loops) = {
    [PG_CUMSUM] = {[PG_BOOL] = &or_bool, INTEGER_ROW(sum), FLOAT_ROW(sum), COMPLEX_ROW(sum)},
    [PG_CUMPROD] = {[PG_BOOL] = &and_bool, INTEGER_ROW(prod), FLOAT_ROW(prod), COMPLEX_ROW(prod)},
    [PG_CUMMAX] = {[PG_BOOL] = &or_bool, INTEGER_ROW(max), FLOAT_ROW(max)},
    [PG_CUMMIN] = {[PG_BOOL] = &and_bool, INTEGER_ROW(min), FLOAT_ROW(min)},
    [PG_CUMLOGSUMEXP] = {FLOAT_ROW(logsum)},
    [PG_LINEAR_RECURRENCE] = {INTEGER_ROW(recur), FLOAT_ROW(recur), COMPLEX_ROW(recur)},
};
