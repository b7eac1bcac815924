/* conv_phases.c - the phases at which outputs of a convolution meet a dilated lhs; see conv_phases.h. */
#include "conv_phases.h"

pg_conv_numbers pg_conv_read_numbers(const pg_op *op)
{
    int32_t ndim = op->out[0].ndim;
    const int64_t *p = op->params + 2;
    return (pg_conv_numbers){op->params[0], op->params[1], p,       p + ndim,
                             p + 2 * ndim,  p + 3 * ndim,  ndim - 2};
}

pg_conv_spatial pg_conv_read_spatial(const pg_conv_numbers *n, int32_t i)
{
    const int64_t *p = n->spatial + 5 * i;
    return (pg_conv_spatial){p[0], p[1], p[2], p[3], p[4]};
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Output y meets lhs at the same phase as output y + period. */
static int64_t period(const pg_conv_spatial *s)
{
    return s->lhs_dilation / common_divisor(s->lhs_dilation, s->stride);
}

int64_t pg_conv_n_phases(const pg_conv_spatial *s, int64_t outs)
{
    return period(s) < outs ? period(s) : outs;
}

static int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

pg_conv_phase pg_conv_find_phase(const pg_conv_spatial *s, int64_t index, int64_t outs,
                                 int64_t window)
{
    pg_conv_phase p = {.out_step = period(s), .first_out = index};
    p.outs = index < outs ? ceil_divide(outs - index, p.out_step) : 0;
    p.tap_step = s->lhs_dilation / common_divisor(s->lhs_dilation, s->rhs_dilation);
    int64_t place = index * s->stride - s->low;
    int64_t tried = p.tap_step < window ? p.tap_step : window;
    while (p.first_tap < tried && (place + p.first_tap * s->rhs_dilation) % s->lhs_dilation)
        p.first_tap++;
    if (p.first_tap < tried)
        p.taps = ceil_divide(window - p.first_tap, p.tap_step);
    else
        p.first_tap = 0;
    p.start = p.taps ? (place + p.first_tap * s->rhs_dilation) / s->lhs_dilation : 0;
    p.out_move = p.out_step * s->stride / s->lhs_dilation;
    p.tap_move = p.tap_step * s->rhs_dilation / s->lhs_dilation;
    return p;
}

int64_t pg_conv_count_phases(const pg_conv_numbers *n, const pg_array *out)
{
    int64_t count = 1;
    for (int32_t i = 0; i < n->n_spatial; i++) {
        pg_conv_spatial s = pg_conv_read_spatial(n, i);
        count *= pg_conv_n_phases(&s, out->shape[n->out[2 + i]]);
    }
    return count;
}

void pg_conv_find_phases(const pg_conv_numbers *n, const pg_array *rhs, const pg_array *out,
                         int64_t index, pg_conv_phase *phases, int64_t *outs, int64_t *taps)
{
    *outs = *taps = 1;
    for (int32_t i = 0; i < n->n_spatial; i++) {
        pg_conv_spatial s = pg_conv_read_spatial(n, i);
        int64_t size = out->shape[n->out[2 + i]], here = pg_conv_n_phases(&s, size);
        phases[i] = pg_conv_find_phase(&s, index % here, size, rhs->shape[n->rhs[2 + i]]);
        index /= here;
        *outs *= phases[i].outs;
        *taps *= phases[i].taps;
    }
}
