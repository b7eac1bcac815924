/* winograd.h - the inner loops of conv_winograd.c, once per instruction set (winograd_loops.c).
 *
 * A tile of 4 x 4 numbers of the input gives 2 x 2 of the output. Both sides of the product are first transformed into 16
 * numbers k = 4 * y + x. Steps are in elements. */
#ifndef PG_WINOGRAD_H
#define PG_WINOGRAD_H

#include "cpu.h"

typedef struct pg_winograd_loops {
    /* to[k * to_step + i] from the 3 x 3 weights from[tap * width + i], i < width, which is a multiple of that of pg_conv_tile_loops */
    void (*weights)(int64_t width, const float *from, float *to, int64_t to_step);
    /* to[k * to_step + x] from the tiles that begin at from[2 * x], x < count, with lines `row` apart; more is read and
     * written, up to the next multiple of that */
    void (*input)(int64_t count, const float *from, int64_t row, float *to, int64_t to_step);
    /* to[k * to_step + i * to_panel + x] = from[k * from_step + i * panel + x], x < panel <= 64 / sizeof(float), for `count`
     * tiles together; 64 bytes are written for each panel. */
    void (*panels)(int64_t count, int64_t panel, const float *from, int64_t from_step, float *to,
                   int64_t to_step, int64_t to_panel);
    /* to[y * to_line + x * width + i], y < lines <= 2, x < places, i < width, from sums[k * sums_step + x / 2 * width + i].
     * False if something in the sums is infinite or nan. */
    bool (*output)(int64_t places, int64_t lines, int64_t width, const float *sums,
                   int64_t sums_step, float *to, int64_t to_line);
} pg_winograd_loops;

extern const pg_winograd_loops *const pg_winograd_loops_base, *const pg_winograd_loops_v3,
                                                                  *const pg_winograd_loops_v4;

#endif
