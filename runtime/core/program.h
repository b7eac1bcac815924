/* program.h - what a program is made of, for the files that look into one. */
#ifndef PG_PROGRAM_H
#define PG_PROGRAM_H

#include "core.h"

typedef struct instruction {
    const pg_op *op;
    const int32_t *out, *in; /* values */
    const int32_t *dead;     /* slots that nobody reads after this instruction */
    int32_t n_dead;
    pg_dying last_reads; /* inputs among them that occur once here */
} instruction;

struct pg_program {
    pg_device *device;
    int64_t n_inputs, n_values, n_outputs, n_instructions;
    int64_t max_in, max_out; /* of any instruction */
    const pg_aval **avals;   /* of each value; NULL where nothing reads or writes it */
    instruction *instructions;
    int32_t *values;      /* storage for instruction.out and .in */
    int32_t *dead;        /* storage for instruction.dead */
    int32_t *outputs;     /* values */
    int32_t *last_reader; /* while creating; instruction + 1, 0 = not known yet */
    pg_array **constants; /* the last inputs, if pg_program_bind gave them once and for all */
    int64_t n_constants;
    struct pg_loaded *loaded; /* operations and more that belong to it, if it comes from a file */
};

void pg_loaded_destroy(struct pg_loaded *loaded); /* load.c; accepts NULL */

/* A run with these constants in place of the program's, if those are on another device. */
pg_status pg_program_run_on(const pg_program *program, pg_device *device,
                            pg_array *const *constants, pg_array *const *inputs,
                            const uint8_t *donated, pg_array **outputs);
void pg_release_donated(const pg_program *program, pg_array *const *inputs, const uint8_t *donated);

/* The same on a device that plans, with constants that stand for the program's. */
pg_status pg_plan_program(const pg_program *program, pg_device *device, pg_array *const *inputs,
                          const uint8_t *donated, pg_array **outputs);

#endif
