/* slots.h - scratch memory of a job's threads, which outlives the chunks of its pg_parallel_for: what a thread made for one unit
 * of work is still there for its next one. */
#ifndef PG_SLOTS_H
#define PG_SLOTS_H

#include "cpu.h"

typedef struct pg_slot {
    int64_t bytes;   /* of its block */
    int64_t content; /* what the caller says is in it; -1: nothing yet, not even zeros */
    _Alignas(64) char data[];
} pg_slot;

enum { PG_SLOTS = 64 }; /* more threads than that do without */

typedef struct pg_slots {
    pg_device *device;
    int64_t bytes; /* of each one's data */
    _Atomic(pg_slot *) free[PG_SLOTS];
} pg_slots;

/* A slot for the calling thread; NULL if there is no memory. */
static inline pg_slot *pg_slot_take(pg_slots *slots)
{
    for (int i = 0; i < PG_SLOTS; i++) {
        pg_slot *slot = atomic_exchange(&slots->free[i], NULL);
        if (slot) return slot;
    }
    /* a huge page, if there is one, rather than hundreds of small ones, which are written to here and there */
    enum { LARGE = 1 << 18, HUGE_PAGE = 2 << 20 };
    int64_t exact = (int64_t)sizeof(pg_slot) + slots->bytes;
    int64_t bytes = exact > LARGE && exact < HUGE_PAGE ? HUGE_PAGE : exact;
    void *memory;
    pg_status status = pg_cpu_alloc(slots->device, bytes, &memory);
    if (status != PG_OK && bytes > exact)
        status = pg_cpu_alloc(slots->device, bytes = exact, &memory);
    if (status != PG_OK) return NULL;
    pg_slot *slot = memory;
    slot->bytes = bytes;
    slot->content = -1;
    return slot;
}

static inline void pg_slot_free(pg_slots *slots, pg_slot *slot)
{
    pg_cpu_free(slots->device, slot, slot->bytes);
}

static inline void pg_slot_give(pg_slots *slots, pg_slot *slot)
{
    for (int i = 0; i < PG_SLOTS; i++) {
        pg_slot *none = NULL;
        if (atomic_compare_exchange_strong(&slots->free[i], &none, slot)) return;
    }
    pg_slot_free(slots, slot);
}

/* All of them, when the job is done. */
static inline void pg_slots_free(pg_slots *slots)
{
    for (int i = 0; i < PG_SLOTS; i++) {
        pg_slot *slot = atomic_load(&slots->free[i]);
        if (slot) pg_slot_free(slots, slot);
    }
}

#endif
