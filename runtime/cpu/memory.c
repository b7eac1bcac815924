/* memory.c - a caching allocator, one account per device.
 *
 * Freed blocks are kept in lists by size class and handed out again: a fresh block costs page faults
 * worth more than most kernels. Classes are powers of two with three steps between them (at most a
 * quarter is lost), in multiples of 64 bytes. Blocks of 2 MB and more are mapped at 2 MB boundaries
 * and ask for huge pages. Where in_use + cached would pass the limit, cached blocks are given back, and then the forms of
 * weights that kernels keep. */
#include "packed.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGNMENT = 64, HUGE_PAGE = 2 << 20, N_CLASSES = 64 * 4, MAX_DEVICES = 8 };

typedef struct free_block {
    struct free_block *next; /* kept inside the block itself */
} free_block;

typedef struct account {
    pthread_mutex_t lock;
    pg_memory_stats stats;
    free_block *cached[N_CLASSES];
} account;

static account accounts[MAX_DEVICES];

/* ---- size classes ------------------------------------------------------------------------------ */

static int high_bit(int64_t n) { return 63 - __builtin_clzll((uint64_t)n); }

/* What a request of `bytes` is rounded up to; INT64_MAX if that does not exist. */
int64_t pg_cpu_buffer_bytes(int64_t bytes)
{
    if (bytes <= ALIGNMENT) return ALIGNMENT;
    int64_t step = (int64_t)1 << (high_bit(bytes - 1) - 2);
    if (step < ALIGNMENT) step = ALIGNMENT;
    if (bytes > INT64_MAX - step) return INT64_MAX;
    return (bytes + step - 1) & -step;
}

static int class_of(int64_t block)
{
    int exponent = high_bit(block - 1);
    return exponent * 4 + (int)((block - 1) >> (exponent - 2) & 3);
}

/* The block size of a class that class_of gives. */
static int64_t class_bytes(int class) { return ((int64_t)(class & 3) + 5) << (class / 4 - 2); }

/* ---- the operating system ---------------------------------------------------------------------- */

static void *map_huge(size_t bytes)
{
    size_t room = bytes + HUGE_PAGE;
    char *start = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) return NULL;
    size_t before = (size_t)(-(uintptr_t)start & (HUGE_PAGE - 1));
    if (before) munmap(start, before);
    munmap(start + before + bytes, room - before - bytes);
    madvise(start + before, bytes,
            MADV_HUGEPAGE); /* only a wish: failure costs speed, not results */
    return start + before;
}

static void *system_alloc(int64_t block)
{
    return block >= HUGE_PAGE ? map_huge((size_t)block) : aligned_alloc(ALIGNMENT, (size_t)block);
}

static void system_free(void *data, int64_t block)
{
    if (block >= HUGE_PAGE)
        munmap(data, (size_t)block);
    else
        free(data);
}

/* ---- limit ------------------------------------------------------------------------------------- */

/* "8G", "512m" or plain bytes; 0 if that is not a size. */
static int64_t parse_bytes(const char *text)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    int shift = 0;
    switch (*end) {
    case 'k':
    case 'K':
        shift = 10;
        end++;
        break;
    case 'm':
    case 'M':
        shift = 20;
        end++;
        break;
    case 'g':
    case 'G':
        shift = 30;
        end++;
        break;
    default: break;
    }
    if (errno || *end || end == text || n <= 0 || n > INT64_MAX >> shift) return 0;
    return (int64_t)n << shift;
}

static pg_status default_limit(int64_t *limit)
{
    const char *wish = getenv("PG_MEMORY_LIMIT");
    if (wish && *wish) {
        *limit = parse_bytes(wish);
        PG_REQUIRE(*limit > 0, "PG_MEMORY_LIMIT is '%s', not a size such as 8G, 512M or 1000000",
                   wish);
        return PG_OK;
    }
    int64_t physical = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    if (physical <= 0) physical = INT64_MAX; /* the system does not say */
    int64_t group = pg_cgroup_memory_limit();
    *limit = physical < group ? physical : group;
    return PG_OK;
}

/* ---- opening and forking ----------------------------------------------------------------------- */

/* A fork while another thread holds a lock would leave it locked in the child for ever. */
static void lock_all(void)
{
    for (int32_t i = 0; i < MAX_DEVICES; i++)
        pthread_mutex_lock(&accounts[i].lock);
}

static void unlock_all(void)
{
    for (int32_t i = 0; i < MAX_DEVICES; i++)
        pthread_mutex_unlock(&accounts[i].lock);
}

__attribute__((constructor)) static void survive_fork(void)
{
    for (int32_t i = 0; i < MAX_DEVICES; i++)
        pthread_mutex_init(&accounts[i].lock, NULL);
    pthread_atfork(lock_all, unlock_all, unlock_all);
}

/* Called under the core's lock, once per index. */
pg_status pg_cpu_open(int32_t index, pg_device *device)
{
    int64_t limit;
    PG_TRY(default_limit(&limit));
    accounts[index].stats.limit = limit;
    device->state = &accounts[index];
    return PG_OK;
}

/* ---- allocation -------------------------------------------------------------------------------- */

/* Everything below up to pg_cpu_alloc is called with the lock held. */

static void empty_cache(account *a)
{
    for (int class = 0; class < N_CLASSES; class++) {
        while (a->cached[class]) {
            free_block *block = a->cached[class];
            a->cached[class] = block->next;
            system_free(block, class_bytes(class));
        }
    }
    a->stats.cached = 0;
}

static void *take_cached(account *a, int64_t block)
{
    free_block **list = &a->cached[class_of(block)];
    free_block *found = *list;
    if (!found) return NULL;
    *list = found->next;
    a->stats.cached -= block;
    return found;
}

static void *take_fresh(account *a, int64_t block)
{
    pg_memory_stats *s = &a->stats;
    if (block > s->limit - s->in_use) return NULL;
    if (block > s->limit - s->in_use - s->cached) empty_cache(a);
    void *data = system_alloc(block);
    if (!data && s->cached) {
        empty_cache(a);
        data = system_alloc(block);
    }
    if (data) s->system_allocations++;
    return data;
}

static void *take(account *a, int64_t block)
{
    void *data = take_cached(a, block);
    if (!data) data = take_fresh(a, block);
    if (!data) return NULL;
    a->stats.allocations++;
    a->stats.in_use += block;
    if (a->stats.in_use > a->stats.peak_in_use) a->stats.peak_in_use = a->stats.in_use;
    return data;
}

pg_status pg_cpu_alloc(pg_device *device, int64_t bytes, void **out)
{
    account *a = device->state;
    void *data;
    int64_t in_use, limit;
    do {
        pthread_mutex_lock(&a->lock);
        data = take(a, pg_cpu_buffer_bytes(bytes));
        in_use = a->stats.in_use;
        limit = a->stats.limit;
        pthread_mutex_unlock(&a->lock);
    } while (!data && pg_cpu_buffer_bytes(bytes) <= limit && pg_packed_evict(device));
    if (!data)
        return pg_fail(PG_ENOMEM,
                       "out of memory on cpu:%d: %lld bytes wanted, %lld in use, the limit is %lld",
                       device->index, (long long)bytes, (long long)in_use, (long long)limit);
    *out = data;
    return PG_OK;
}

void pg_cpu_free(pg_device *device, void *data, int64_t bytes)
{
    account *a = device->state;
    int64_t block = pg_cpu_buffer_bytes(bytes);
    free_block **list = &a->cached[class_of(block)];
    free_block *freed = data;
    pthread_mutex_lock(&a->lock);
    a->stats.in_use -= block;
    bool keep = a->stats.in_use + a->stats.cached + block <= a->stats.limit;
    if (keep) {
        freed->next = *list;
        *list = freed;
        a->stats.cached += block;
    }
    pthread_mutex_unlock(&a->lock);
    if (!keep) system_free(data, block);
}

/* ---- accounts ---------------------------------------------------------------------------------- */

void pg_cpu_memory_stats(pg_device *device, pg_memory_stats *out)
{
    account *a = device->state;
    pthread_mutex_lock(&a->lock);
    *out = a->stats;
    pthread_mutex_unlock(&a->lock);
}

void pg_cpu_reset_peak(pg_device *device)
{
    account *a = device->state;
    pthread_mutex_lock(&a->lock);
    a->stats.peak_in_use = a->stats.in_use;
    pthread_mutex_unlock(&a->lock);
}

void pg_cpu_set_memory_limit(pg_device *device, int64_t bytes)
{
    account *a = device->state;
    pthread_mutex_lock(&a->lock);
    a->stats.limit = bytes < 0 ? 0 : bytes;
    bool tight = a->stats.in_use > a->stats.limit;
    pthread_mutex_unlock(&a->lock);
    if (tight) pg_packed_evict(device);
    pthread_mutex_lock(&a->lock);
    if (a->stats.in_use + a->stats.cached > a->stats.limit) empty_cache(a);
    pthread_mutex_unlock(&a->lock);
}

void pg_cpu_empty_cache(pg_device *device)
{
    account *a = device->state;
    pg_packed_evict(device);
    pthread_mutex_lock(&a->lock);
    empty_cache(a);
    pthread_mutex_unlock(&a->lock);
}
