/* cpu.h - what the files of the CPU backend share: threads, memory, instruction sets, kernels. */
#ifndef PG_CPU_H
#define PG_CPU_H

#include "backend.h"

/* ---- threads (pool.c) -------------------------------------------------------------------------- */

/* Calls body(context, begin, end) for ranges that together make up [0, n), each (but the last) of at
 * least `grain`, on all threads of the pool; returns when all are done. Runs serially if n <= grain,
 * inside another pg_parallel_for, or while another thread is using the pool. The ranges depend on the
 * number of threads: results must not. Choose `grain` so that it takes 20 us or more. */
void pg_parallel_for(int64_t n, int64_t grain,
                     void (*body)(void *context, int64_t begin, int64_t end), void *context);
int32_t pg_parallel_threads(void); /* that a pg_parallel_for here would use: 1 inside another */

/* ---- memory (memory.c) and limits (cgroup.c) --------------------------------------------------- */

pg_status pg_cpu_open(int32_t index, pg_device *device);
pg_status pg_cpu_alloc(pg_device *device, int64_t bytes, void **out); /* 64-byte aligned */
void pg_cpu_free(pg_device *device, void *data, int64_t bytes);       /* bytes as asked for */
int64_t pg_cpu_buffer_bytes(int64_t bytes);
void pg_cpu_memory_stats(pg_device *device, pg_memory_stats *out);
void pg_cpu_reset_peak(pg_device *device);
void pg_cpu_set_memory_limit(pg_device *device, int64_t bytes);
void pg_cpu_empty_cache(pg_device *device);

int64_t pg_cgroup_memory_limit(void); /* bytes; INT64_MAX if there is none */
int64_t pg_cgroup_cpus(void);         /* the CPU quota, rounded up; INT64_MAX if there is none */

/* ---- instruction sets -------------------------------------------------------------------------- */

/* Files listed in the Makefile's ISA_SOURCES are compiled once per set, with PG_ISA = base, v3 or v4.
 * There, every symbol that is not static is named through PG_ISA_NAME. */
#define PG_ISA_PASTE_(name, isa) name##_##isa
#define PG_ISA_PASTE(name, isa) PG_ISA_PASTE_(name, isa)
#define PG_ISA_NAME(name) PG_ISA_PASTE(name, PG_ISA)

typedef enum pg_isa {
    PG_ISA_BASE,
    PG_ISA_V3,
    PG_ISA_V4
} pg_isa; /* x86-64, -v3 (AVX2), -v4 (AVX-512) */

/* The best set of this machine, or PG_ISA from the environment if that is less. */
pg_isa pg_cpu_isa(void);

/* PG_ISA_SELECT(f) is f_base, f_v3 or f_v4; all three must be declared. */
#ifdef __x86_64__
#define PG_ISA_SELECT(name) \
    (pg_cpu_isa() == PG_ISA_V4 ? name##_v4 : pg_cpu_isa() == PG_ISA_V3 ? name##_v3 : name##_base)
#else
#define PG_ISA_SELECT(name) (name##_base)
#endif

/* ---- kernels ----------------------------------------------------------------------------------- */

/* A kernel file x.c defines `const pg_kernel pg_cpu_x_kernels[]`, ended by an entry without a name,
 * and is listed here; a file of ISA_SOURCES defines `const pg_kernel PG_ISA_NAME(pg_cpu_x_kernels)[]`. */
/* clang-format off */
#define PG_CPU_TABLES(X) \
    X(reduce) X(matmul) X(dot_generated) X(gather) X(scatter) X(shape) X(scan) X(sort) X(search) X(dynamic) \
    X(attention) X(conv) X(windows) X(window_search) X(overlap) X(elementwise_special) \
    X(linalg_factor) X(linalg_spectral) X(linalg_solve) X(linalg_det) X(linalg_eig) X(linalg_forms) \
    X(generated)
#define PG_CPU_ISA_TABLES(X) \
    X(copy) X(elementwise_arithmetic) X(elementwise_compare) X(elementwise_complex) \
    X(elementwise_convert) X(elementwise_math) X(argreduce) X(random) X(fft)
/* clang-format on */

#endif
