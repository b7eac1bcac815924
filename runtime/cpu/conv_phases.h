/* conv_phases.h - the parameters of conv as conv.c documents them, and how dilation of lhs is resolved.
 *
 * Outputs whose windows meet lhs at the same phase form a convolution without dilation of lhs. */
#ifndef PG_CONV_PHASES_H
#define PG_CONV_PHASES_H

#include "backend.h"

typedef struct pg_conv_spatial {
    int64_t stride, low, high, lhs_dilation, rhs_dilation;
} pg_conv_spatial;

typedef struct pg_conv_numbers {
    int64_t feature_groups, batch_groups;
    const int64_t *lhs, *rhs,
        *out; /* axes: batch and feature, or output and input feature; spatial */
    const int64_t *spatial;
    int32_t n_spatial;
} pg_conv_numbers;

/* Along one axis: outputs first_out, first_out + out_step, ..., each the sum over the window places
 * first_tap, first_tap + tap_step, ... of the elements of lhs at
 * start + (number of the output) * out_move + (number of the place) * tap_move. */
typedef struct pg_conv_phase {
    int64_t outs, first_out, out_step, out_move;
    int64_t taps, first_tap, tap_step, tap_move;
    int64_t start;
} pg_conv_phase;

pg_conv_numbers pg_conv_read_numbers(const pg_op *op);
pg_conv_spatial pg_conv_read_spatial(const pg_conv_numbers *n, int32_t i);

/* How many phases `outs` outputs have along an axis, and one of them. */
int64_t pg_conv_n_phases(const pg_conv_spatial *s, int64_t outs);
pg_conv_phase pg_conv_find_phase(const pg_conv_spatial *s, int64_t index, int64_t outs,
                                 int64_t window);

/* How many combinations of phases along the spatial axes there are; and the combination `index`, with its numbers of
 * outputs and of places in the window. */
int64_t pg_conv_count_phases(const pg_conv_numbers *n, const pg_array *out);
void pg_conv_find_phases(const pg_conv_numbers *n, const pg_array *rhs, const pg_array *out,
                         int64_t index, pg_conv_phase *phases, int64_t *outs, int64_t *taps);

#endif
