/* cpu.c - the CPU backend: instruction set, kernel lookup, and the functions the core calls. */
#include "cpu.h"
#include "packed.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- instruction set --------------------------------------------------------------------------- */

static pg_isa machine_isa(void)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    /* x86-64-v3 and -v4 also ask for older extensions; no processor has these without those */
    bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
              __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512vl");
    return v4 ? PG_ISA_V4 : v3 ? PG_ISA_V3 : PG_ISA_BASE;
#else
    return PG_ISA_BASE;
#endif
}

static pg_isa allowed_isa(void)
{
    const char *wish = getenv("PG_ISA");
    if (wish && strcmp(wish, "base") == 0) return PG_ISA_BASE;
    if (wish && strcmp(wish, "v3") == 0) return PG_ISA_V3;
    return PG_ISA_V4;
}

pg_isa pg_cpu_isa(void)
{
    static _Atomic int known = -1; /* two threads that race here store the same */
    int isa = atomic_load_explicit(&known, memory_order_relaxed);
    if (isa < 0) {
        pg_isa machine = machine_isa(), allowed = allowed_isa();
        isa = (int)(machine < allowed ? machine : allowed);
        atomic_store_explicit(&known, isa, memory_order_relaxed);
    }
    return (pg_isa)isa;
}

const char *pg_cpu_isa_name(void)
{
    static const char *const names[] = {"base", "v3", "v4"};
    return names[pg_cpu_isa()];
}

/* ---- kernels ----------------------------------------------------------------------------------- */

#define DECLARE(x) extern const pg_kernel pg_cpu_##x##_kernels[];
#define DECLARE_ISA(x)                                                             \
    extern const pg_kernel pg_cpu_##x##_kernels_base[], pg_cpu_##x##_kernels_v3[], \
        pg_cpu_##x##_kernels_v4[];
PG_CPU_TABLES(DECLARE)
PG_CPU_ISA_TABLES(DECLARE_ISA)

/* An open hash table over all kernels, filled once. */
enum { HASH_SIZE = 512 };
static const pg_kernel *hash_table[HASH_SIZE];

static uint32_t hash(const char *name)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 16777619u;
    return h;
}

static void add_kernels(const pg_kernel *table)
{
    for (; table->name; table++) {
        uint32_t at = hash(table->name) % HASH_SIZE;
        while (hash_table[at])
            at = (at + 1) % HASH_SIZE;
        hash_table[at] = table;
    }
}

static void build_table(void)
{
#define ADD(x) add_kernels(pg_cpu_##x##_kernels);
#define ADD_ISA(x) add_kernels(PG_ISA_SELECT(pg_cpu_##x##_kernels));
    PG_CPU_TABLES(ADD)
    PG_CPU_ISA_TABLES(ADD_ISA)
}

static const pg_kernel *find_kernel(const char *name)
{
    static pthread_once_t built = PTHREAD_ONCE_INIT;
    pthread_once(&built, build_table);
    for (uint32_t at = hash(name) % HASH_SIZE; hash_table[at]; at = (at + 1) % HASH_SIZE)
        if (strcmp(hash_table[at]->name, name) == 0) return hash_table[at];
    return NULL;
}

/* ---- host memory ------------------------------------------------------------------------------- */

typedef struct transfer {
    char *to;
    const char *from;
} transfer;

static void copy_range(void *context, int64_t begin, int64_t end)
{
    const transfer *t = context;
    memcpy(t->to + begin, t->from + begin, (size_t)(end - begin));
}

static pg_status copy_bytes(pg_device *device, void *to, const void *from, int64_t bytes)
{
    (void)device;
    transfer t = {to, from};
    pg_parallel_for(bytes, 1 << 19, copy_range, &t);
    return PG_OK;
}

static pg_status synchronize(pg_device *device)
{
    (void)device; /* a program has finished when pg_program_run returns */
    return PG_OK;
}

const pg_backend pg_cpu_backend = {
    .kind = "cpu",
    .max_devices = 8,
    .open = pg_cpu_open,
    .alloc = pg_cpu_alloc,
    .free = pg_cpu_free,
    .buffer_bytes = pg_cpu_buffer_bytes,
    .from_host = copy_bytes,
    .to_host = copy_bytes,
    .copy = copy_bytes,
    .find_kernel = find_kernel,
    .memory_stats = pg_cpu_memory_stats,
    .reset_peak = pg_cpu_reset_peak,
    .set_memory_limit = pg_cpu_set_memory_limit,
    .empty_cache = pg_cpu_empty_cache,
    .forget = pg_packed_forget,
    .synchronize = synchronize,
};
