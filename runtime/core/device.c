/* device.c - opens each device once, and passes its questions on to its backend. */
#include "core.h"

#include <pthread.h>
#include <string.h>

enum { MAX_DEVICES = 8 }; /* of one kind */

static struct {
    const pg_backend *backend;
    pg_device devices[MAX_DEVICES]; /* open where .backend is set */
} kinds[] = {{.backend = &pg_cpu_backend}};

enum { N_KINDS = sizeof kinds / sizeof *kinds };

static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

/* Else a fork while another thread opens a device would leave the lock held in the child. */
static void lock_opening(void) { pthread_mutex_lock(&opening); }
static void unlock_opening(void) { pthread_mutex_unlock(&opening); }
__attribute__((constructor)) static void survive_fork(void)
{
    pthread_atfork(lock_opening, unlock_opening, unlock_opening);
}

static pg_status open_once(const pg_backend *backend, int32_t index, pg_device *device)
{
    if (device->backend) return PG_OK;
    pg_device fresh = {.backend = backend, .index = index};
    PG_TRY(backend->open(index, &fresh));
    device->index = index;
    device->state = fresh.state;
    device->backend = backend;
    return PG_OK;
}

pg_status pg_device_open(const char *kind, int32_t index, pg_device **out)
{
    PG_REQUIRE(kind && out, "pg_device_open: a pointer is NULL");
    for (int k = 0; k < N_KINDS; k++) {
        const pg_backend *backend = kinds[k].backend;
        if (strcmp(kind, backend->kind) != 0) continue;
        int32_t n = backend->max_devices < MAX_DEVICES ? backend->max_devices : MAX_DEVICES;
        if (index < 0 || index >= n)
            return pg_fail(PG_EDEVICE, "there is no device %s:%d; %s has indices 0 to %d", kind,
                           index, kind, n - 1);
        pthread_mutex_lock(&opening);
        pg_status status = open_once(backend, index, &kinds[k].devices[index]);
        pthread_mutex_unlock(&opening);
        if (status == PG_OK) *out = &kinds[k].devices[index];
        return status;
    }
    return pg_fail(PG_EDEVICE, "there are no devices of kind '%s' in this build of the runtime",
                   kind);
}

void pg_device_memory_stats(pg_device *device, pg_memory_stats *out)
{
    device->backend->memory_stats(device, out);
    out->programs = atomic_load_explicit(&device->programs, memory_order_relaxed);
}

void pg_device_reset_peak(pg_device *device) { device->backend->reset_peak(device); }

void pg_device_set_memory_limit(pg_device *device, int64_t bytes)
{
    device->backend->set_memory_limit(device, bytes);
}

void pg_device_empty_cache(pg_device *device) { device->backend->empty_cache(device); }

pg_status pg_device_synchronize(pg_device *device) { return device->backend->synchronize(device); }
