/* turn.c - transposing blocks of elements of 4 bytes, once per instruction set. */
#include "turn.h"

#include "pequegrad_turn.h"

void PG_ISA_NAME(pg_turn)(uint32_t *to, int64_t to_stride, const uint32_t *from,
                          int64_t from_stride, int64_t rows, int64_t columns)
{
    pg_turn_4(to, to_stride, from, from_stride, rows, columns);
}
