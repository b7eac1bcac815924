/* profile.c - when each instruction began and ended, for those who ask.
 *
 * While nobody asks, an instruction costs one more load of a flag. Records go into one array for all
 * threads; a thread takes a place with one atomic addition and then writes there alone. */
#include "core.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

atomic_bool pg_profiling;

static atomic_flag busy = ATOMIC_FLAG_INIT; /* held from start to stop */
static pg_profile_record *records;
static int64_t capacity;
static atomic_llong n_records; /* also those for which there was no place */
static atomic_int writers;     /* threads that may be writing a record */

int64_t pg_profile_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

void pg_profile_note(const pg_op *op, const pg_program *program, int64_t begin)
{
    int64_t end = pg_profile_now();
    atomic_fetch_add(&writers, 1);
    if (atomic_load(&pg_profiling)) { /* else it ended meanwhile, and the array may be gone */
        int64_t k = atomic_fetch_add(&n_records, 1);
        if (k < capacity)
            records[k] = (pg_profile_record){.op = (int64_t)(intptr_t)op,
                                             .program = (int64_t)(intptr_t)program,
                                             .begin = begin,
                                             .end = end,
                                             .thread = (int64_t)syscall(SYS_gettid)};
    }
    atomic_fetch_sub(&writers, 1);
}

pg_status pg_profile_start(int64_t most)
{
    PG_REQUIRE(most > 0 && most <= INT64_C(1) << 32, "pg_profile_start: %lld records",
               (long long)most);
    PG_REQUIRE(!atomic_flag_test_and_set(&busy), "pg_profile_start: a profile is taken already");
    records = malloc((size_t)most * sizeof *records);
    if (!records) {
        atomic_flag_clear(&busy);
        return pg_fail(PG_ENOMEM, "pg_profile_start: no host memory left for the records");
    }
    capacity = most;
    atomic_store(&n_records, 0);
    atomic_store(&pg_profiling, true);
    return PG_OK;
}

int64_t pg_profile_stop(pg_profile_record *out, int64_t n)
{
    if (!atomic_exchange(&pg_profiling, false)) return 0;
    while (atomic_load(&writers) > 0)
        sched_yield();
    int64_t found = atomic_load(&n_records), kept = found < capacity ? found : capacity;
    if (n > 0) memcpy(out, records, (size_t)(kept < n ? kept : n) * sizeof *out);
    free(records);
    records = NULL;
    atomic_flag_clear(&busy);
    return found;
}
