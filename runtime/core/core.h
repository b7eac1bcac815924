/* core.h - what the files of runtime/core share among themselves. */
#ifndef PG_CORE_H
#define PG_CORE_H

#include "backend.h"

/* Checks that `shape` can be addressed with int64 (strides of empty arrays too) and counts its
 * elements. */
pg_status pg_shape_count(pg_dtype dtype, int32_t ndim, const int64_t *shape, int64_t *count);

/* Puts "name: float32[2,3], float32[4]: " before the message of a failed kernel; gives `status`. */
pg_status pg_explain_failure(const pg_op *op, pg_status status);

/* pg_program_run_donating for programs inside an operation: the arrays are known to fit. device: that of the
 * operation, which may be one that plans. */
pg_status pg_program_run_nested(const pg_program *program, pg_device *device,
                                pg_array *const *inputs, const uint8_t *donated,
                                pg_array **outputs);

/* The instruction on a device that plans: see plan.c. */
pg_status pg_plan_instruction(const pg_op *op, pg_device *device, pg_array *const *in,
                              pg_dying dying, pg_array **out);
int64_t pg_plan_in_use(const pg_device *device); /* bytes, at this point of the plan */

/* Whether the program takes and gives arrays like these. */
pg_status pg_program_check(const pg_program *program, const pg_device *device, int64_t n_in,
                           const pg_aval *const *in, int64_t n_out, const pg_aval *const *out);

/* ---- profiles (profile.c) --------------------------------------------------------------------- */

/* pg_profile_begin() before, and if it was not 0 pg_profile_note() after what is to be timed: an
 * instruction (op), or a run of a whole program (op NULL). */
extern atomic_bool pg_profiling;
int64_t pg_profile_now(void);
void pg_profile_note(const pg_op *op, const pg_program *program, int64_t begin);
static inline int64_t pg_profile_begin(void)
{
    return atomic_load_explicit(&pg_profiling, memory_order_relaxed) ? pg_profile_now() : 0;
}

/* ---- generated code (code.c) ------------------------------------------------------------------- */

/* The open code to which the function at this address belongs, or NULL; *name, if not NULL: how it is called. */
const pg_code *pg_code_of(int64_t address, const char **name);
const void *pg_code_data(const pg_code *code, size_t *bytes); /* the shared object */
pg_status pg_code_from_memory(const void *data, size_t bytes, pg_code **out);
int64_t pg_code_level(void); /* of the instruction set that code may use here */

/* ---- control flow (control.c) ------------------------------------------------------------------ */

/* What the parameters of a kernel point to: the first ones to programs, one to code (its index, or -1), or any
 * to what only this process has. */
typedef struct pg_links {
    int64_t programs, code;
    bool host;
} pg_links;
pg_links pg_links_of(const char *kernel, int64_t n_params);

/* Kernels that run programs or host functions (core/control.c); every backend offers them. */
const pg_kernel *pg_find_control_kernel(const char *name);

#endif
