/* turn.h - pg_turn_4 (pequegrad_turn.h) for the instruction set of this machine: PG_ISA_SELECT(pg_turn). */
#ifndef PG_TURN_H
#define PG_TURN_H

#include "cpu.h"

typedef void pg_turn_function(uint32_t *to, int64_t to_stride, const uint32_t *from,
                              int64_t from_stride, int64_t rows, int64_t columns);
extern pg_turn_function pg_turn_base, pg_turn_v3, pg_turn_v4;

#endif
