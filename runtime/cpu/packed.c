/* packed.c - forms of weights that kernels keep; packed.h says when.
 *
 * Every form that was asked for has a node in the list of its buffer, at first without data: it counts. */
#include "packed.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    REPEATS = 3, /* a training step packs its weights once or twice before they change */
    FORMS = 8,   /* of a buffer, at most */
    PARTS = 4,   /* all that is kept is at most one of so many parts of the memory limit */
};

struct pg_packed {
    pg_packed *next;           /* of the buffer */
    pg_packed *before, *after; /* of all */
    pg_device *device;
    pg_packed_key key;
    int64_t wanted; /* times */
    int64_t users;
    void *data; /* or NULL */
    int64_t bytes;
};

static pthread_mutex_t lock;
static pg_packed all = {.before = &all, .after = &all};
static int64_t kept_bytes; /* of all forms */

/* A fork while another thread holds the lock would leave it locked in the child for ever. */
static void take_lock(void) { pthread_mutex_lock(&lock); }
static void give_lock(void) { pthread_mutex_unlock(&lock); }

__attribute__((constructor)) static void survive_fork(void)
{
    pthread_mutex_init(&lock, NULL);
    pthread_atfork(take_lock, give_lock, give_lock);
}

/* ---- with the lock held ------------------------------------------------------------------------ */

static pg_packed *find(const pg_buffer *buffer, const pg_packed_key *key)
{
    pg_packed *p = buffer->packed;
    while (p && memcmp(&p->key, key, sizeof *key) != 0)
        p = p->next;
    return p;
}

/* NULL if there are too many, or the host has no memory for it. */
static pg_packed *add(pg_buffer *buffer, const pg_packed_key *key)
{
    int forms = 0;
    for (pg_packed *each = buffer->packed; each; each = each->next)
        forms++;
    pg_packed *p = forms < FORMS ? calloc(1, sizeof *p) : NULL;
    if (!p) return NULL;
    p->device = buffer->device;
    p->key = *key;
    p->next = buffer->packed;
    buffer->packed = p;
    p->before = &all;
    p->after = all.after;
    all.after->before = p;
    all.after = p;
    return p;
}

/* ---- forms ------------------------------------------------------------------------------------- */

pg_packed *pg_packed_find(pg_buffer *buffer, const pg_packed_key *key, bool *keep)
{
    *keep = false;
    if (buffer->release) return NULL; /* memory of somebody else, who may write to it */
    take_lock();
    pg_packed *p = find(buffer, key);
    if (!p) p = add(buffer, key);
    if (p) *keep = ++p->wanted >= REPEATS;
    bool found = p && p->data;
    if (found) p->users++;
    give_lock();
    return found ? p : NULL;
}

const void *pg_packed_data(const pg_packed *packed) { return packed->data; }

pg_packed *pg_packed_keep(pg_buffer *buffer, const pg_packed_key *key, void *data, int64_t bytes)
{
    pg_memory_stats stats;
    pg_cpu_memory_stats(buffer->device, &stats);
    take_lock();
    pg_packed *p = find(buffer, key);
    /* another thread may have been first */
    bool kept = p && !p->data && kept_bytes + bytes <= stats.limit / PARTS;
    if (kept) {
        kept_bytes += bytes;
        p->data = data;
        p->bytes = bytes;
        p->users++;
    }
    give_lock();
    return kept ? p : NULL;
}

void pg_packed_release(pg_packed *packed)
{
    take_lock();
    packed->users--;
    give_lock();
}

void pg_packed_forget(pg_buffer *buffer)
{
    take_lock();
    pg_packed *p = buffer->packed;
    buffer->packed = NULL;
    for (pg_packed *each = p; each; each = each->next) {
        each->before->after = each->after;
        each->after->before = each->before;
        if (each->data) kept_bytes -= each->bytes;
    }
    give_lock();
    while (p) {
        pg_packed *next = p->next;
        if (p->data) pg_cpu_free(p->device, p->data, p->bytes);
        free(p);
        p = next;
    }
}

bool pg_packed_evict(pg_device *device)
{
    bool any = false;
    for (;;) {
        void *data = NULL;
        int64_t bytes = 0;
        take_lock();
        for (pg_packed *p = all.after; p != &all && !data; p = p->after) {
            if (p->device != device || p->users || !p->data) continue;
            data = p->data;
            bytes = p->bytes;
            p->data = NULL;
            p->wanted = 0;
            kept_bytes -= bytes;
        }
        give_lock();
        if (!data) return any;
        pg_cpu_free(device, data, bytes);
        any = true;
    }
}
