/* pool.c - the threads of the CPU backend.
 *
 * One job at a time. The thread that brings it takes part in it; workers stay awake for the next job
 * for a while, then sleep on a futex. Nobody waits for a worker that has not woken up yet: a worker first
 * counts itself in (`inside`), then looks whether the job is still open. The caller closes the job
 * when its last chunk is taken, and waits only for those inside. */
#include "cpu.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_THREADS = 1024,
    CHUNKS_PER_THREAD = 4, /* so that a thread which loses its core delays the rest by little */
    SPINS = 1500,          /* about 20 us: longer starves others where cores are shared */
    PATIENCE = 10000000,   /* nanoseconds for which a thread then still asks, yielding, */
    INTERRUPTION = 200000, /* unless somebody else takes the processor for as long as this */
    INTERRUPTIONS = 3,     /* and so often */
};

static struct {
    pthread_mutex_t busy; /* held by the caller of the running job, and to change n_threads */
    atomic_int n_threads; /* wanted, the caller included */
    int32_t n_workers;    /* started */
    pthread_t workers[MAX_THREADS];

    /* the job, written under `busy` while nobody is inside */
    void (*body)(void *context, int64_t begin, int64_t end);
    void *context;
    int64_t n, chunk;
    atomic_int processor; /* the caller's when it last took a chunk */

    _Alignas(64) atomic_int next; /* chunk to be taken */
    _Alignas(64) atomic_int open; /* chunks may be taken */
    atomic_uint generation;       /* counts jobs; sleeping workers wait for a change */
    atomic_int sleeping;
    atomic_int stopping;             /* workers are to end */
    _Alignas(64) atomic_uint inside; /* workers that may be looking at the job */
} pool = {.busy = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local bool in_job; /* this thread is running a body */

/* ---- waiting ----------------------------------------------------------------------------------- */

static void relax(void)
{
#ifdef __x86_64__
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Waits until `word` is, or is no more, `value`; false if that takes long. To sleep and be woken costs more than most
 * kernels where processors that idle belong to somebody else meanwhile, as those of virtual machines do: a host may then put
 * two of them on one core, and leave them there for a second. */
static bool await_awake(atomic_uint *word, uint32_t value, bool is)
{
    for (int i = 0; i < SPINS; i++) {
        if ((atomic_load(word) == value) == is) return true;
        relax();
    }
    int64_t begin = now(), before = begin, after = begin;
    for (int crowded = 0; after - begin < PATIENCE && crowded < INTERRUPTIONS; before = after) {
        if ((atomic_load(word) == value) == is) return true;
        sched_yield();
        after = now();
        crowded += after - before > INTERRUPTION;
    }
    return false;
}

static void futex_wait(void *word, uint32_t expected)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake(void *word, int n)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

/* ---- running a job ----------------------------------------------------------------------------- */

/* Schedulers may wake or move a worker to the processor of the caller, who is busy with its own chunk, and leave it there
 * for tens of milliseconds while others idle. */
static void avoid_processor(int processor)
{
    cpu_set_t allowed, others;
    if (sched_getcpu() != processor || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    others = allowed;
    CPU_CLR((size_t)processor, &others);
    if (CPU_COUNT(&others) == 0) return;
    sched_setaffinity(0, sizeof others, &others); /* moves this thread at once */
    sched_setaffinity(0, sizeof allowed, &allowed);
}

static void take_chunks(bool is_worker)
{
    in_job = true;
    for (;;) {
        int64_t begin = atomic_fetch_add(&pool.next, 1) * pool.chunk;
        if (begin >= pool.n) break;
        int64_t end = pool.n - begin < pool.chunk ? pool.n : begin + pool.chunk;
        if (is_worker)
            avoid_processor(atomic_load(&pool.processor));
        else
            atomic_store(&pool.processor, sched_getcpu());
        pool.body(pool.context, begin, end);
    }
    in_job = false;
}

static void await_job(uint32_t seen)
{
    if (await_awake(&pool.generation, seen, false)) return;
    atomic_fetch_add(&pool.sleeping, 1);
    while (atomic_load(&pool.generation) == seen)
        futex_wait(&pool.generation, seen);
    atomic_fetch_sub(&pool.sleeping, 1);
}

static void *worker(void *argument)
{
    uint32_t seen = (uint32_t)(uintptr_t)argument;
    for (;;) {
        await_job(seen);
        seen = atomic_load(&pool.generation);
        if (atomic_load(&pool.stopping)) return NULL;
        atomic_fetch_add(&pool.inside, 1);
        if (atomic_load(&pool.open)) take_chunks(true);
        if (atomic_fetch_sub(&pool.inside, 1) == 1) futex_wake(&pool.inside, 1);
    }
}

static void announce(int n)
{
    atomic_fetch_add(&pool.generation, 1);
    if (atomic_load(&pool.sleeping) > 0) futex_wake(&pool.generation, n);
}

static void await_empty(void)
{
    if (await_awake(&pool.inside, 0, true)) return;
    for (uint32_t left; (left = atomic_load(&pool.inside)) != 0;)
        futex_wait(&pool.inside, left);
}

/* ---- size -------------------------------------------------------------------------------------- */

static int32_t default_threads(void)
{
    const char *wish = getenv("PG_NUM_THREADS");
    long n = wish ? strtol(wish, NULL, 10) : 0;
    if (n >= 1) return n < MAX_THREADS ? (int32_t)n : MAX_THREADS;

    cpu_set_t allowed;
    int64_t cpus = sched_getaffinity(0, sizeof allowed, &allowed) == 0
                       ? CPU_COUNT(&allowed)
                       : (int64_t)sysconf(_SC_NPROCESSORS_ONLN);
    int64_t quota = pg_cgroup_cpus();
    if (quota < cpus) cpus = quota;
    return cpus < 1 ? 1 : cpus < MAX_THREADS ? (int32_t)cpus : MAX_THREADS;
}

/* Only memory of the child is reset here: its threads do not exist. */
static void after_fork_in_child(void)
{
    pthread_mutex_init(&pool.busy, NULL);
    pool.n_workers = 0;
    atomic_store(&pool.open, 0);
    atomic_store(&pool.sleeping, 0);
    atomic_store(&pool.stopping, 0);
    atomic_store(&pool.inside, 0);
    in_job = false;
}

static void initialise(void)
{
    pool.n_threads = default_threads();
    pthread_atfork(NULL, NULL, after_fork_in_child);
}

static void ensure_initialised(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, initialise);
}

/* Under `busy`. Signals stay with the program's own threads. Fewer threads than wanted will do. */
static void start_workers(void)
{
    sigset_t all, before;
    sigfillset(&all);
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&all, faults[i]); /* a fault in a worker reaches the program's handler */
    pthread_sigmask(SIG_BLOCK, &all, &before);
    while (pool.n_workers < pool.n_threads - 1) {
        void *seen = (void *)(uintptr_t)atomic_load(&pool.generation);
        if (pthread_create(&pool.workers[pool.n_workers], NULL, worker, seen) != 0) break;
        pool.n_workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop_workers(void)
{
    atomic_store(&pool.stopping, 1);
    announce(INT_MAX);
    for (int32_t i = 0; i < pool.n_workers; i++)
        pthread_join(pool.workers[i], NULL);
    pool.n_workers = 0;
    atomic_store(&pool.stopping, 0);
}

int32_t pg_num_threads(void)
{
    ensure_initialised();
    return pool.n_threads;
}

pg_status pg_set_num_threads(int32_t n)
{
    PG_REQUIRE(n >= 1 && n <= MAX_THREADS, "%d threads; the pool has 1 to %d", n, MAX_THREADS);
    ensure_initialised();
    pthread_mutex_lock(&pool.busy);
    if (n != pool.n_threads) stop_workers();
    pool.n_threads = n;
    pthread_mutex_unlock(&pool.busy);
    return PG_OK;
}

int32_t pg_parallel_threads(void) { return in_job ? 1 : pg_num_threads(); }

/* ---- the entry --------------------------------------------------------------------------------- */

/* A multiple of 64, where that is not more than the grain: chunks then start on whole vectors. */
static int64_t chunk_size(int64_t n, int64_t grain, int64_t n_threads)
{
    int64_t chunk = (n - 1) / (n_threads * CHUNKS_PER_THREAD) + 1;
    if (chunk < grain) chunk = grain;
    if (chunk >= 64 && chunk <= INT64_MAX - 64) chunk = (chunk + 63) & -64;
    return chunk;
}

void pg_parallel_for(int64_t n, int64_t grain,
                     void (*body)(void *context, int64_t begin, int64_t end), void *context)
{
    if (n <= 0) return;
    if (grain < 1) grain = 1;
    if (n <= grain || in_job) {
        body(context, 0, n);
        return;
    }
    ensure_initialised();
    if (pthread_mutex_trylock(&pool.busy) != 0) {
        body(context, 0, n);
        return;
    }
    if (pool.n_workers < pool.n_threads - 1) start_workers();
    if (pool.n_workers == 0) {
        pthread_mutex_unlock(&pool.busy);
        body(context, 0, n);
        return;
    }
    pool.body = body;
    pool.context = context;
    pool.n = n;
    pool.chunk = chunk_size(n, grain, pool.n_workers + 1);
    atomic_store(&pool.next, 0);
    atomic_store(&pool.processor, sched_getcpu());
    atomic_store(&pool.open, 1);
    int64_t helpers = (n - 1) / pool.chunk; /* chunks besides the caller's first */
    announce(helpers < pool.n_workers ? (int)helpers : pool.n_workers);
    take_chunks(false);
    atomic_store(&pool.open, 0);
    await_empty();
    pthread_mutex_unlock(&pool.busy);
}
