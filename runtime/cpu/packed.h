/* packed.h - forms of weights that kernels keep (packed.c).
 *
 * Kernels pack weights into the order in which they read them. Programs that only apply a network do so again and again with
 * the same arrays: what has been packed in the same way often enough stays with the buffer that it was made from (whole, or
 * seen by views), until that is freed or written to, or memory runs short. It counts as memory in use. */
#ifndef PG_PACKED_H
#define PG_PACKED_H

#include "cpu.h"

typedef struct pg_packed pg_packed;

/* What the form depends on, besides what is in the buffer: what kernel it is for, where the weights lie, sizes, strides. */
typedef struct pg_packed_key {
    int64_t numbers[16 + 2 * PG_MAX_NDIM];
} pg_packed_key;

/* The form, to be released by the caller, or NULL. Then *keep says whether it is now worth keeping. */
pg_packed *pg_packed_find(pg_buffer *buffer, const pg_packed_key *key, bool *keep);
const void *pg_packed_data(const pg_packed *packed);
/* Takes over `data`, of `bytes` bytes from pg_cpu_alloc, and gives the form, to be released; NULL if it cannot be kept, and data
 * stays the caller's. */
pg_packed *pg_packed_keep(pg_buffer *buffer, const pg_packed_key *key, void *data, int64_t bytes);
void pg_packed_release(pg_packed *packed);

/* All forms of a buffer that is freed or written to; nobody uses them (pg_backend.forget). */
void pg_packed_forget(pg_buffer *buffer);
/* Gives the memory of all forms of the device back that nobody uses; true if there was any. */
bool pg_packed_evict(pg_device *device);

#endif
