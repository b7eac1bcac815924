/* pequegrad_threefry.h - Threefry-2x32, and random bits from a key and a number; for kernels and for generated code.
 *
 * Threefry-2x32, 20 rounds (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011): a block cipher used as a random function of (key, counter). */
#ifndef PEQUEGRAD_THREEFRY_H
#define PEQUEGRAD_THREEFRY_H

#ifndef PG_FREESTANDING
#include <stdint.h>
#endif

static inline uint32_t pg_rotated_left(uint32_t x, int count)
{
    return x << count | x >> (32 - count);
}

/* Four rounds, then the next words of the key. */
static inline void pg_threefry_rounds(uint32_t x[2], int l0, int l1, int l2, int l3, uint32_t add0,
                                      uint32_t add1)
{
    x[0] += x[1], x[1] = x[0] ^ pg_rotated_left(x[1], l0);
    x[0] += x[1], x[1] = x[0] ^ pg_rotated_left(x[1], l1);
    x[0] += x[1], x[1] = x[0] ^ pg_rotated_left(x[1], l2);
    x[0] += x[1], x[1] = x[0] ^ pg_rotated_left(x[1], l3);
    x[0] += add0;
    x[1] += add1;
}

/* Encrypts two words. Written out, so that loops over it vectorise. */
static inline void pg_threefry(uint32_t key0, uint32_t key1, uint32_t x[2])
{
    uint32_t key2 = 0x1BD11BDAu ^ key0 ^ key1;
    x[0] += key0;
    x[1] += key1;
    pg_threefry_rounds(x, 13, 15, 26, 6, key1, key2 + 1);
    pg_threefry_rounds(x, 17, 29, 16, 24, key2, key0 + 2);
    pg_threefry_rounds(x, 13, 15, 26, 6, key0, key1 + 3);
    pg_threefry_rounds(x, 17, 29, 16, 24, key1, key2 + 4);
    pg_threefry_rounds(x, 13, 15, 26, 6, key2, key0 + 5);
}

/* Random bits from a key: the 64-bit number encrypted as (high word, low word). The same as JAX with partitionable keys. */
static inline uint32_t pg_random_bits_uint32(uint32_t key0, uint32_t key1, uint64_t number)
{
    uint32_t x[2] = {(uint32_t)(number >> 32), (uint32_t)number};
    pg_threefry(key0, key1, x);
    return x[0] ^ x[1];
}

static inline uint8_t pg_random_bits_uint8(uint32_t key0, uint32_t key1, uint64_t number)
{
    return (uint8_t)pg_random_bits_uint32(key0, key1, number);
}

static inline uint16_t pg_random_bits_uint16(uint32_t key0, uint32_t key1, uint64_t number)
{
    return (uint16_t)pg_random_bits_uint32(key0, key1, number);
}

static inline uint64_t pg_random_bits_uint64(uint32_t key0, uint32_t key1, uint64_t number)
{
    uint32_t x[2] = {(uint32_t)(number >> 32), (uint32_t)number};
    pg_threefry(key0, key1, x);
    return (uint64_t)x[0] << 32 | x[1];
}

#endif
