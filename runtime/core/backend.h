/* backend.h - what the core offers to backends, and what a backend must fill in.
 *
 * The core (runtime/core) owns arrays, operations, programs and errors. A backend (runtime/cpu,
 * later runtime/cuda) owns memory and kernels. Nothing outside a backend looks at the device. */
#ifndef PG_BACKEND_H
#define PG_BACKEND_H

#include "pequegrad.h"

#include <stdatomic.h>
#include <stdbool.h>

/* ---- errors ------------------------------------------------------------------------------------ */

/* Sets pg_last_error() of this thread and returns `code`. */
pg_status pg_fail(pg_status code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define PG_REQUIRE(condition, ...)                                \
    do {                                                          \
        if (!(condition)) return pg_fail(PG_EINVAL, __VA_ARGS__); \
    } while (0)
#define PG_TRY(call)                                        \
    do {                                                    \
        pg_status pg_try_status_ = (call);                  \
        if (pg_try_status_ != PG_OK) return pg_try_status_; \
    } while (0)

/* ---- dtypes ------------------------------------------------------------------------------------ */

int64_t pg_dtype_size(pg_dtype dtype);
bool pg_dtype_is_complex(pg_dtype dtype);
const char *pg_dtype_name(pg_dtype dtype); /* "float32", ... */

/* ---- buffers and arrays ------------------------------------------------------------------------ */

typedef struct pg_buffer {
    atomic_int owners;
    pg_device *device;
    void *data;
    int64_t bytes; /* as asked for; the allocator may have rounded up */
    void (*release)(
        void *context); /* gives memory of somebody else back; NULL: it is the device's */
    void *context;
    struct pg_packed
        *packed; /* the backend's: what kernels made of it, which is lost when it is written to */
} pg_buffer;

struct pg_array {
    atomic_int owners;
    pg_dtype dtype;
    int32_t ndim;
    pg_buffer *buffer;
    char *data;       /* element 0, inside the buffer */
    int64_t *shape;   /* ndim sizes */
    int64_t *strides; /* ndim strides in bytes */
    int64_t dims[];   /* storage of both */
};

/* What is known of an array before it is computed. Its shape has been checked. */
typedef struct pg_aval {
    pg_dtype dtype;
    int32_t ndim;
    const int64_t *shape;
    int64_t count; /* elements */
} pg_aval;

bool pg_same_aval(const pg_aval *a, const pg_aval *b);

/* A dense row-major array with fresh, uninitialised memory. */
pg_status pg_array_of(pg_device *device, const pg_aval *aval, pg_array **out);
/* The same for a shape that has not been checked. */
pg_status pg_array_new(pg_device *device, pg_dtype dtype, int32_t ndim, const int64_t *shape,
                       pg_array **out);
/* A view on the memory of `base`; `data` points into its buffer. */
pg_status pg_array_view(const pg_array *base, char *data, int32_t ndim, const int64_t *shape,
                        const int64_t *strides, pg_array **out);
/* Row-major strides in bytes of a shape that an array has. */
void pg_dense_strides(pg_dtype dtype, int32_t ndim, const int64_t *shape, int64_t *strides);
int64_t pg_array_count(const pg_array *array); /* elements */
bool pg_array_is_dense(const pg_array *array); /* row-major without gaps; true when empty */
/* `array` itself (retained) if it is dense, else a dense copy of it. */
pg_status pg_array_dense(pg_array *array, pg_array **out);
pg_status pg_array_copy(pg_array *array, pg_array **out); /* a dense copy in memory of its own */

/* ---- operations -------------------------------------------------------------------------------- */

/* Bit i of `dying` says that input i is read for the last time, and that nobody else holds it or its
 * memory: the kernel may write its result there (see pg_output). */
typedef uint32_t pg_dying;

typedef struct pg_kernel pg_kernel;

struct pg_op {
    pg_device *device;
    const pg_kernel *kernel;
    int32_t n_in, n_out;
    const pg_aval *in, *out;
    const int64_t *params;
    int64_t n_params;
    const void
        *state; /* what prepare() chose; NULL without prepare. Never freed: point to static data,
                          or into `scratch` */
    int64_t scratch[8]; /* for prepare(): constants worth computing once */
    /* What run() does with arrays, without their elements, which are not there: so memory is counted before a
     * program runs (core/plan.c). prepare() may set it; NULL: all results are new arrays. */
    pg_status (*plan)(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out);
};

struct pg_kernel {
    const char *name;
    pg_status (*prepare)(pg_op *op); /* checks dtypes, shapes, params; may be NULL */
    /* in: n_in arrays with the dtypes and shapes that the op promises, any strides.
     * out: to be filled with n_out owned arrays; on failure none may be left owned. */
    pg_status (*run)(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out);
};

/* The array for output 0: input memory that is dying, dense, and of the same shape and dtype, else
 * a new array. Only for kernels that read element i of an input before writing element i. */
pg_status pg_output(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out);

/* For pg_op.plan: the result takes the place of the first input if that is dying. */
pg_status pg_plan_first_input(const pg_op *op, pg_array *const *in, pg_dying dying, pg_array **out);
/* Whether arrays on this device have no elements: code that also serves as a plan asks. */
bool pg_device_plans(const pg_device *device);

/* ---- generated code ---------------------------------------------------------------------------- */

/* Whether pg_code_symbol gave this address, of code that is still open. */
bool pg_code_has(int64_t address);

/* ---- devices ----------------------------------------------------------------------------------- */

typedef struct pg_backend {
    const char *kind;
    int32_t max_devices;
    pg_status (*open)(int32_t index, pg_device *device); /* fills device->state */
    pg_status (*alloc)(pg_device *device, int64_t bytes, void **out);
    void (*free)(pg_device *device, void *data, int64_t bytes);
    int64_t (*buffer_bytes)(int64_t bytes); /* what alloc takes of the limit for them */
    pg_status (*from_host)(pg_device *device, void *to, const void *from, int64_t bytes);
    pg_status (*to_host)(pg_device *device, void *to, const void *from, int64_t bytes);
    pg_status (*copy)(pg_device *device, void *to, const void *from, int64_t bytes);
    const pg_kernel *(*find_kernel)(const char *name); /* NULL if unknown */
    void (*memory_stats)(pg_device *device, pg_memory_stats *out);
    void (*reset_peak)(pg_device *device);
    void (*set_memory_limit)(pg_device *device, int64_t bytes);
    void (*empty_cache)(pg_device *device);
    void (*forget)(
        pg_buffer *buffer); /* called before a buffer with `packed` is freed or written to */
    pg_status (*synchronize)(pg_device *device);
} pg_backend;

struct pg_device {
    const pg_backend *backend;
    int32_t index;
    void *state; /* the backend's own */
    atomic_llong programs;
};

extern const pg_backend pg_cpu_backend;

/* Kernels that only move strides (core/view.c); every backend offers them. */
const pg_kernel *pg_find_view_kernel(const char *name);

#endif
