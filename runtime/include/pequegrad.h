/* pequegrad.h - the whole C ABI of the pequegrad runtime.
 *
 * The runtime knows devices, arrays (strided views on device memory), operations (one kernel
 * prepared for fixed dtypes and shapes) and programs (a flat list of operations over slots).
 * It knows nothing of Python, of graphs, or of derivatives.
 *
 * Errors     A function that can fail returns a pg_status; pg_last_error() then tells the calling
 *            thread why. Output arguments are written only on PG_OK.
 * Ownership  What pg_X_create / pg_X_from_... gives, pg_X_destroy or pg_array_release takes back,
 *            what pg_code_open gives pg_code_close; all accept NULL. Devices are opened once and live as long as the process.
 *            Arrays are counted: pg_array_retain adds an owner, pg_array_release removes one.
 *            An array's contents never change once it is returned.
 *            Pointers must not be NULL unless a function says so.
 * Threads    Every function may be called from any thread at any time. A pg_program may be run by
 *            several threads at once. After fork() the child may go on using the CPU device.
 * Changes    A new function or status keeps PG_ABI_VERSION; any other change raises it. */
#ifndef PEQUEGRAD_H
#define PEQUEGRAD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)
/* cffi-begin */ /* no preprocessor lines below: these lines are given to cffi as they stand */

enum { PG_ABI_VERSION = 2 };
int32_t pg_abi_version(void); /* compare with PG_ABI_VERSION after loading the library */

typedef int32_t pg_status; /* 0 or negative */
enum {
    PG_OK = 0,
    PG_EINVAL = -1,       /* an argument is wrong: shapes, dtypes, sizes, names */
    PG_ENOMEM = -2,       /* the device has no memory left for this; nothing was changed */
    PG_EDEVICE = -3,      /* the device or its driver is not there, or failed */
    PG_EUNSUPPORTED = -4, /* this backend has no such kernel, or not for this dtype */
    PG_EHOST = -5,        /* a host function failed; it knows why */
};
/* The last failure of the calling thread, or "". Valid until that thread's next failure. */
const char *pg_last_error(void);

enum { PG_MAX_NDIM = 32 };
typedef int32_t pg_dtype;
enum {
    PG_BOOL = 0, /* one byte, 0 or 1 */
    PG_INT8 = 1,
    PG_INT16 = 2,
    PG_INT32 = 3,
    PG_INT64 = 4,
    PG_UINT8 = 5,
    PG_UINT16 = 6,
    PG_UINT32 = 7,
    PG_UINT64 = 8,
    PG_FLOAT16 = 9, /* IEEE binary16 */
    PG_BFLOAT16 = 10,
    PG_FLOAT32 = 11,
    PG_FLOAT64 = 12,
    PG_COMPLEX64 = 13, /* two float32: the real part, then the imaginary one */
    PG_COMPLEX128 = 14,
    PG_DTYPE_COUNT = 15,
};

/* ---- devices ---------------------------------------------------------------------------------- */

typedef struct pg_device pg_device; /* opaque */

/* The device `kind` ("cpu", "cuda") number `index`; the same pointer at every call.
 * PG_EDEVICE with the reason if there is none. "cpu" has indices 0 to 7: separate accounts of the
 * same memory and threads, so that code for several devices can be tried without any. */
pg_status pg_device_open(const char *kind, int32_t index, pg_device **out);

typedef struct pg_memory_stats {
    int64_t in_use;             /* bytes of live buffers */
    int64_t peak_in_use;        /* the highest in_use since start, or since pg_device_reset_peak */
    int64_t cached;             /* bytes freed, kept for reuse */
    int64_t limit;              /* in_use + cached never exceed this */
    int64_t allocations;        /* buffers handed out since start */
    int64_t system_allocations; /* of these, how many asked the operating system */
    int64_t programs;           /* programs run since start */
} pg_memory_stats;
void pg_device_memory_stats(pg_device *device, pg_memory_stats *out);
void pg_device_reset_peak(pg_device *device);
void pg_device_set_memory_limit(pg_device *device, int64_t bytes);
void pg_device_empty_cache(pg_device *device); /* gives memory back: cached, and packed weights */
pg_status pg_device_synchronize(pg_device *device); /* waits for all work given to the device */

/* Threads of the CPU backend: PG_NUM_THREADS, else what the cgroup and affinity mask allow. */
int32_t pg_num_threads(void);
pg_status pg_set_num_threads(int32_t n); /* 1 to 1024 */

/* The instruction set that kernels use: "base", "v3" or "v4" (x86-64-v3, -v4); see PG_ISA. */
const char *pg_cpu_isa_name(void);

/* Takes BLAS and LAPACK (with or without the prefix "scipy_") from the shared library at `path` for linear
 * algebra on the CPU: factorisations, eigenvalues and the like, which fail until this succeeds. Matrix products
 * do not use it. Sets it to one thread, for its other users in the process, too: threads are ours. */
pg_status pg_cpu_load_blas(const char *path);
/* Path of the library in use, or "". */
const char *pg_cpu_blas(void);

/* ---- arrays ------------------------------------------------------------------------------------ */

typedef struct pg_array pg_array; /* opaque */

/* A new array with a copy of `data`: dense, row-major, in host memory. */
pg_status pg_array_from_host(pg_device *device, pg_dtype dtype, int32_t ndim, const int64_t *shape,
                             const void *data, pg_array **out);
/* A new array on memory of somebody else, for devices whose memory is the host's: element 0 is at `data`, aligned as its
 * dtype asks for, strides are in bytes. When the last array on that memory is released, release(context) is called, in
 * whichever thread that happens; until then the memory must stay as it is. */
pg_status pg_array_from_foreign(pg_device *device, pg_dtype dtype, int32_t ndim,
                                const int64_t *shape, const int64_t *strides, void *data,
                                void (*release)(void *context), void *context, pg_array **out);
/* Copies the array to `data`, dense and row-major; `bytes` must be its exact size. */
pg_status pg_array_to_host(const pg_array *array, void *data, int64_t bytes);
void pg_array_retain(pg_array *array);
void pg_array_release(pg_array *array);
void pg_arrays_release(pg_array *const *arrays, int64_t n); /* n arrays in one call */
/* Bytes of the buffers behind n arrays; a buffer counts once for each of them. */
int64_t pg_arrays_bytes(pg_array *const *arrays, int64_t n);

typedef struct pg_array_info {
    pg_dtype dtype;
    int32_t ndim;
    int64_t offset;       /* bytes from the start of the buffer to element 0 */
    int64_t buffer_bytes; /* size of the underlying buffer */
    uint64_t buffer_id;   /* equal for arrays that share memory */
    uint64_t data;        /* address of element 0: host memory on "cpu", device memory on "cuda" */
    int64_t shape[32];
    int64_t strides[32]; /* in bytes; may be 0 or negative */
} pg_array_info;
void pg_array_describe(const pg_array *array, pg_array_info *out);

/* How many of n arrays, counted from the first, lie dense and row-major in memory: n if all do. */
int64_t pg_arrays_dense(pg_array *const *arrays, int64_t n);
/* A transposed or broadcast array without what makes it one: *base is a dense, row-major array in the same
 * memory, its axes in the order in which they lie there, of size 1 where `array` repeats itself. Axis i of
 * `array` is axis permutation[i] of *base (ndim numbers). *base is NULL if there is no such array: reversed
 * axes, gaps. */
pg_status pg_array_dense_base(pg_array *array, pg_array **base, int32_t *permutation);

/* ---- operations -------------------------------------------------------------------------------- */

typedef struct pg_op pg_op; /* opaque; immutable, may be used by many programs and threads */

/* Prepares kernel `name` for inputs and outputs of fixed dtype and shape. `avals` describes the
 * n_in inputs, then the n_out outputs, each as: dtype, ndim, shape[0], ..., shape[ndim-1].
 * `params` is what the kernel documents (runtime/core/kernels.md). */
pg_status pg_op_create(pg_device *device, const char *name, int32_t n_in, int32_t n_out,
                       const int64_t *avals, int64_t n_avals, const int64_t *params,
                       int64_t n_params, pg_op **out);
void pg_op_destroy(pg_op *op); /* only when no program that uses it is left */

/* ---- generated code ---------------------------------------------------------------------------- */

typedef struct pg_code pg_code; /* opaque: an open shared object */

/* Loads the shared object at `path`, which must name a folder, too. PG_EINVAL with the reason if that
 * cannot be done. Its functions are parameters of the kernel `generated`. */
pg_status pg_code_open(const char *path, pg_code **out);
/* The address of a function, valid until the code is closed. PG_EINVAL if there is none. */
pg_status pg_code_symbol(pg_code *code, const char *name, int64_t *address);
void pg_code_close(pg_code *code); /* only when no operation that uses it is left; accepts NULL */

/* ---- programs ---------------------------------------------------------------------------------- */

/* Code is a flat array of instructions:
 *     (int64_t)(intptr_t)op, out_0 ... out_{n_out-1}, in_0 ... in_{n_in-1}
 * An `out` is a slot, 0 <= slot < n_slots, each written once. An `in` is a slot already written,
 * or ~k for the program's k-th input. Outputs of a program are such references, too.
 * A slot's memory is reused after its last reader; inputs are never written to. */
typedef struct pg_program pg_program; /* opaque */

pg_status pg_program_create(pg_device *device, const int64_t *code, int64_t n_code, int64_t n_slots,
                            int64_t n_inputs, const int64_t *output_refs, int64_t n_outputs,
                            pg_program **out);
/* inputs: n_inputs arrays, which stay the caller's. outputs: receives n_outputs arrays, which
 * become the caller's. On failure nothing is handed out. */
pg_status pg_program_run(pg_program *program, pg_array *const *inputs, pg_array **outputs);
/* The same, but input k is the program's if donated[k] is not 0, also on failure: its memory is used
 * for results if nobody else holds it. */
pg_status pg_program_run_donating(pg_program *program, pg_array *const *inputs,
                                  const uint8_t *donated, pg_array **outputs);
/* The last n inputs are these arrays from now on and are no longer passed to a run. Call it at most
 * once, before the first run. */
pg_status pg_program_bind(pg_program *program, pg_array *const *constants, int64_t n);
/* Operations must outlive the programs that hold them, and so must programs the operations made of
 * them (`scan`, `while`, `cond`, `call`). */
void pg_program_destroy(pg_program *program);

/* Writes the program to a file: its operations, those of the programs in it, constants, generated code.
 * PG_EINVAL if it calls functions of the host (`host_call`), or if the file cannot be written. */
pg_status pg_program_save(const pg_program *program, const char *path);
/* The program that was saved; all that it consists of is destroyed with it. PG_EINVAL if the file is damaged, or
 * of another ABI version or kind of machine; PG_EUNSUPPORTED if it needs instructions that this machine lacks.
 * The generated code in a file is run as it is: load files only from where you would run programs from. */
pg_status pg_program_load(pg_device *device, const char *path, pg_program **out);

typedef struct pg_program_info {
    int64_t n_inputs, n_outputs; /* without constants */
} pg_program_info;
void pg_program_describe(const pg_program *program, pg_program_info *out);
/* Dtype and shape of input k, or of output k; the other fields are 0. PG_EINVAL if there is none, or if it is an
 * input that nothing reads. */
pg_status pg_program_input(const pg_program *program, int64_t k, pg_array_info *out);
pg_status pg_program_output(const pg_program *program, int64_t k, pg_array_info *out);

typedef struct pg_program_memory_info {
    int64_t inputs;    /* bytes of those passed to a run that are read there, if they are dense */
    int64_t constants; /* bytes of those that are bound */
    int64_t
        outputs; /* bytes that the results of a run hold, besides inputs that are not donated and constants */
    int64_t peak; /* the most bytes that a run adds at one time to those in use when it begins */
} pg_program_memory_info;
/* What a run will take, by pg_memory_stats.in_use. donated: as for pg_program_run_donating, or NULL. Inputs are
 * taken to be dense and held by nobody else. Not counted is what kernels take only while they work. */
pg_status pg_program_memory(const pg_program *program, const uint8_t *donated,
                            pg_program_memory_info *out);

/* What the kernel `host_call` calls: reads n_in arrays, fills `out` with n_out new arrays of the dtypes
 * and shapes of the operation, and returns PG_OK; on failure those it has set are released. */
typedef pg_status (*pg_host_function)(int64_t context, pg_array *const *in, int32_t n_in,
                                      pg_array **out, int32_t n_out);

/* Create, run and destroy in one call: how pending work outside jit is evaluated. */
pg_status pg_execute(pg_device *device, const int64_t *code, int64_t n_code, int64_t n_slots,
                     pg_array *const *inputs, int64_t n_inputs, const int64_t *output_refs,
                     int64_t n_outputs, pg_array **outputs);

/* ---- profiling --------------------------------------------------------------------------------- */

typedef struct pg_profile_record {
    int64_t op;         /* the pg_op of an instruction; 0: a run of a whole program */
    int64_t program;    /* of a run of a program: the pg_program */
    int64_t begin, end; /* nanoseconds of CLOCK_MONOTONIC */
    int64_t thread;     /* the thread that ran it, as the operating system numbers it */
} pg_profile_record;

/* From now on all runs in all threads are recorded, those of loop bodies, too, until there are `most` records.
 * PG_EINVAL if that is so already. */
pg_status pg_profile_start(int64_t most);
/* Ends it. out: receives the first n records, each when it had ended. Gives how many there were to make, more than
 * `most` if some found no place; 0 if nothing was started. */
int64_t pg_profile_stop(pg_profile_record *out, int64_t n);

/* cffi-end */
#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
