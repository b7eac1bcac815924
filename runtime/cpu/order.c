/* order.c - keys of elements, and radix sorts; order.h says what each does. */
#include "order.h"

#include <string.h>

/* ---- keys -------------------------------------------------------------------------------------- */

#define SAME_KEY(x) (x)
#define FLIP_8(x) ((x) ^ 0x80u)
#define FLIP_16(x) ((x) ^ 0x8000u)
#define FLIP_32(x) ((x) ^ 0x80000000u)
#define FLIP_64(x) ((x) ^ 0x8000000000000000u)

/* Bits of a float as a key: negative numbers are all inverted, the others get the highest bit.
 * INFINITE: the bits of infinity. No branches: signs are hard to predict. */
#define FLOAT_KEY(name, U, INFINITE)                                           \
    static inline U name##_key(U bits)                                         \
    {                                                                          \
        const int last = (int)sizeof(U) * 8 - 1;                               \
        U magnitude = (U)((U)(bits << 1) >> 1);                                \
        U number = magnitude ? bits : 0;                                       \
        U key = (U)(number ^ ((U)(0 - (number >> last)) | (U)((U)1 << last))); \
        return magnitude > INFINITE ? (U) ~(U)0 : key;                         \
    }                                                                          \
    static inline U name##_bits(U key)                                         \
    {                                                                          \
        const int last = (int)sizeof(U) * 8 - 1;                               \
        return (U)(key ^ ((U)((key >> last) - 1) | (U)((U)1 << last)));        \
    }                                                                          \
    /* whether bits cannot be had back from their key: of NaN and -0.0 */      \
    static inline U name##_blurs(U bits) { return (U)(name##_bits(name##_key(bits)) ^ bits); }
FLOAT_KEY(float16, uint16_t, 0x7c00u)
FLOAT_KEY(bfloat16, uint16_t, 0x7f80u)
FLOAT_KEY(float32, uint32_t, 0x7f800000u)
FLOAT_KEY(float64, uint64_t, 0x7ff0000000000000u)

#define NEVER(bits) 0

/* U: unsigned of the size of the element; K: the key's type. */
#define ORDER(name, U, K, KEY, BITS, BLURS)                                                       \
    static bool name##_keys(const char *x, int64_t stride, int64_t n, void *keys_)                \
    {                                                                                             \
        K *restrict keys = keys_;                                                                 \
        U blurred = 0;                                                                            \
        for (int64_t i = 0; i < n; i++) {                                                         \
            U bits = *(const U *)(x + i * stride);                                                \
            keys[i] = KEY(bits);                                                                  \
            blurred |= BLURS(bits);                                                               \
        }                                                                                         \
        return blurred != 0;                                                                      \
    }                                                                                             \
    static void name##_elements(const void *keys_, int64_t n, char *restrict out, int64_t stride) \
    {                                                                                             \
        const K *restrict keys = keys_;                                                           \
        for (int64_t i = 0; i < n; i++)                                                           \
            *(U *)(out + i * stride) = (U)BITS((U)keys[i]);                                       \
    }                                                                                             \
    static void name##_search(const char *x, int64_t stride, int64_t n, const char *v,            \
                              int64_t v_stride, int64_t m, bool right, int32_t *out)              \
    {                                                                                             \
        for (int64_t j = 0; j < m; j++) {                                                         \
            K key = KEY(*(const U *)(v + j * v_stride));                                          \
            int64_t begin = 0;                                                                    \
            for (int64_t rest = n; rest > 0;) {                                                   \
                int64_t half = rest / 2;                                                          \
                K middle = KEY(*(const U *)(x + (begin + half) * stride));                        \
                bool before = right ? middle <= key : middle < key;                               \
                begin = before ? begin + half + 1 : begin;                                        \
                rest = before ? rest - half - 1 : half;                                           \
            }                                                                                     \
            out[j] = (int32_t)begin;                                                              \
        }                                                                                         \
    }                                                                                             \
    static const pg_order name##_order = {name##_keys, name##_elements, name##_search,            \
                                          sizeof(K) == 4};

ORDER(uint8, uint8_t, uint32_t, SAME_KEY, SAME_KEY, NEVER)
ORDER(uint16, uint16_t, uint32_t, SAME_KEY, SAME_KEY, NEVER)
ORDER(uint32, uint32_t, uint32_t, SAME_KEY, SAME_KEY, NEVER)
ORDER(uint64, uint64_t, uint64_t, SAME_KEY, SAME_KEY, NEVER)
ORDER(int8, uint8_t, uint32_t, FLIP_8, FLIP_8, NEVER)
ORDER(int16, uint16_t, uint32_t, FLIP_16, FLIP_16, NEVER)
ORDER(int32, uint32_t, uint32_t, FLIP_32, FLIP_32, NEVER)
ORDER(int64, uint64_t, uint64_t, FLIP_64, FLIP_64, NEVER)
#define FLOAT_ORDER(name, U, K) ORDER(name, U, K, name##_key, name##_bits, name##_blurs)
FLOAT_ORDER(float16, uint16_t, uint32_t)
FLOAT_ORDER(bfloat16, uint16_t, uint32_t)
FLOAT_ORDER(float32, uint32_t, uint32_t)
FLOAT_ORDER(float64, uint64_t, uint64_t)

const pg_order *const pg_orders[PG_DTYPE_COUNT] = {
    [PG_BOOL] = &uint8_order,      [PG_INT8] = &int8_order,         [PG_INT16] = &int16_order,
    [PG_INT32] = &int32_order,     [PG_INT64] = &int64_order,       [PG_UINT8] = &uint8_order,
    [PG_UINT16] = &uint16_order,   [PG_UINT32] = &uint32_order,     [PG_UINT64] = &uint64_order,
    [PG_FLOAT16] = &float16_order, [PG_BFLOAT16] = &bfloat16_order, [PG_FLOAT32] = &float32_order,
    [PG_FLOAT64] = &float64_order,
};

/* ---- sorting ----------------------------------------------------------------------------------- */

enum { SHORT = 48 };

/* Least significant digit first; digits that all items share are passed over. Short lists by insertion.
 * KEY(item): the key, an unsigned integer of BYTES bytes. */
#define RADIX_SORT(name, T, BYTES, KEY)                                   \
    T *name(T *from, T *to, int64_t n)                                    \
    {                                                                     \
        if (n <= SHORT) {                                                 \
            for (int64_t i = 1; i < n; i++) {                             \
                T item = from[i];                                         \
                int64_t j = i;                                            \
                for (; j > 0 && KEY(from[j - 1]) > KEY(item); j--)        \
                    from[j] = from[j - 1];                                \
                from[j] = item;                                           \
            }                                                             \
            return from;                                                  \
        }                                                                 \
        int64_t counts[BYTES][256];                                       \
        memset(counts, 0, sizeof counts);                                 \
        for (int64_t i = 0; i < n; i++)                                   \
            for (int d = 0; d < BYTES; d++)                               \
                counts[d][KEY(from[i]) >> (8 * d) & 255]++;               \
        for (int d = 0; d < BYTES; d++) {                                 \
            if (counts[d][KEY(from[0]) >> (8 * d) & 255] == n) continue;  \
            int64_t begin = 0;                                            \
            for (int digit = 0; digit < 256; digit++) {                   \
                int64_t count = counts[d][digit];                         \
                counts[d][digit] = begin;                                 \
                begin += count;                                           \
            }                                                             \
            for (int64_t i = 0; i < n; i++)                               \
                to[counts[d][KEY(from[i]) >> (8 * d) & 255]++] = from[i]; \
            T *sorted = to;                                               \
            to = from;                                                    \
            from = sorted;                                                \
        }                                                                 \
        return from;                                                      \
    }

#define KEY_OF_NARROW(pair) ((uint32_t)((pair) >> 32))
#define KEY_OF_WIDE(pair) ((pair).key)
RADIX_SORT(pg_sort_keys32, uint32_t, 4, SAME_KEY)
RADIX_SORT(pg_sort_keys64, uint64_t, 8, SAME_KEY)
RADIX_SORT(pg_sort_narrow, pg_narrow, 4, KEY_OF_NARROW)
RADIX_SORT(pg_sort_wide, pg_wide, 8, KEY_OF_WIDE)
