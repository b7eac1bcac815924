/* conv_tiles.h - convolutions by register tiles that read their input where it lies, as conv.c asks for them.
 *
 * Along an axis of space, an element of lhs is met by an index of the output and an index of the window. In a
 * convolution over an image the outputs are many and the window is small; in the gradient of its weights the "window"
 * is as large as the image, and the outputs are as many as the weights. `many` and `few` name the two, whichever
 * they are: both kernels keep a part of lhs in the same way and differ in what they sum over.
 *
 *     out[row, many.., batch]  = sum over channel, few..  of lhs[batch, channel, place..] * rhs[row, channel, few..]   (pixels)
 *     out[row, few.., batch]   = sum over channel, many.. of lhs[batch, channel, place..] * rhs[row, channel, many..]  (weights)
 *
 * for each group, where place = start + many * many_move + few * few_move, and lhs is 0 outside of its size. */
#ifndef PG_CONV_TILES_H
#define PG_CONV_TILES_H

#include "axes.h"
#include "packed.h"

typedef struct pg_conv_space {
    int64_t size, stride;                 /* of lhs; strides are in bytes */
    int64_t start;                        /* the place that index 0 of both meets */
    int64_t many, many_move, many_stride; /* of out (pixels) or rhs (weights) */
    int64_t few, few_move, few_stride;    /* of rhs (pixels) or out (weights) */
} pg_conv_space;

typedef struct pg_conv_image {
    pg_device *device;
    pg_dtype dtype,
        out_dtype; /* of lhs and rhs: a real float; of out: the same, or float32 for 16-bit floats */
    const char *lhs, *rhs;
    pg_buffer *weights; /* that rhs lies in */
    char *out;
    pg_axis group, row, batch, channel; /* strides: array 0: lhs, 1: rhs, 2: out */
    pg_conv_space space[PG_MAX_NDIM];   /* at least one; no size is 0 */
    int32_t n_space;
} pg_conv_image;

/* Outputs along `many` for many rows (conv_pixels.c) and for few (conv_planes.c), and sums along it (conv_weights.c).
 * PG_ENOMEM, or PG_OK. */
pg_status pg_conv_pixels(const pg_conv_image *image);
/* The same with fewer products, for windows of 3 x 3 and many rows and channels (conv_winograd.c). */
pg_status pg_conv_winograd(const pg_conv_image *image);
bool pg_conv_winograd_suits(const pg_conv_image *image);
pg_status pg_conv_planes(const pg_conv_image *image);
pg_status pg_conv_weights(const pg_conv_image *image);

/* Writes sums [place, row], `width` bytes a place, of `count` neighbouring places, `step` bytes apart in out, and `rows` rows
 * (conv_pixels.c). */
void pg_conv_store_places(const pg_conv_image *image, const char *sums, int64_t width, int64_t rows,
                          int64_t count, char *out, int64_t step);

/* What packed weights of kernel `kernel` depend on. */
pg_packed_key pg_conv_packed_key(const pg_conv_image *image, int64_t kernel);

/* ---- slabs: parts of lhs, laid out so that neighbours along `many` are neighbours (conv_slab.c) --- */

/* A slab holds, for one batch index and group, all that the indices [first, first + count) of `many` along axis 0
 * meet, with zeros where lhs has nothing. Places of one phase (modulo many_move) along each axis lie
 * together, row-major, so that a step of `many` is a step of `unit`. */
typedef struct pg_conv_slab {
    const pg_conv_image *image;
    const struct pg_conv_tile_loops *loops;
    int64_t phases[PG_MAX_NDIM], length[PG_MAX_NDIM]; /* of axis 0: for `count` indices */
    int64_t unit[PG_MAX_NDIM],
        phase_unit[PG_MAX_NDIM]; /* bytes from one place, or phase, to the next */
    int64_t
        channel; /* bytes from one channel to the next; < unit of the last axis if channels are innermost */
    int64_t count, bytes;
    bool channels_last, in_place; /* in_place: lhs lies like this, nothing is copied */
} pg_conv_slab;

/* For slabs of up to `count` indices along axis 0. channels_last: neighbouring channels are neighbours; copied: never in place,
 * and rows follow each other without gaps. */
pg_conv_slab pg_conv_slab_plan(const pg_conv_image *image, int64_t count, bool channels_last,
                               bool copied);
/* Bytes from place 0 to where index k of `few` meets index 0 of `many`. */
int64_t pg_conv_slab_few(const pg_conv_slab *slab, int32_t axis, int64_t k);
/* Fills `to`, slab->bytes long, and returns where the slab is: there, or in lhs. zeroed: what this call will not write is 0
 * already. */
const char *pg_conv_slab_fill(const pg_conv_slab *slab, int64_t group, int64_t batch, int64_t first,
                              int64_t count, bool zeroed, char *to);
/* True if all slabs of the image have their zeros in the same places. */
bool pg_conv_slabs_alike(const pg_conv_slab *slab);
/* The image, whose batch (weights: what is summed over) is axis 0 of space if single images are small. */
pg_conv_image pg_conv_with_batch(const pg_conv_image *image, bool weights);

/* ---- inner loops, once per instruction set (conv_tiles.c) --------------------------------------- */

enum { PG_CONV_FEW_ROWS = 4 };

typedef struct pg_conv_tile_loops {
    int64_t size;  /* bytes of an accumulator, of the type in which dtype is summed */
    int64_t lanes; /* accumulators in a vector; a panel of rows is one or two of them wide */
    int64_t width; /* the largest tile: places side by side */
    /* to[i * to_row + j * size] = from[i * from_row + j * from_column] for i < rows, j < columns */
    void (*copy)(char *to, int64_t to_row, const char *from, int64_t from_row, int64_t from_column,
                 int64_t rows, int64_t columns);
    /* sums[j][r] = sum over d < depth of x[at[d] + j * size] * w[d][r], plus what sums holds if `add`;
     * j < width, r < vectors * lanes. What lies `ahead` bytes behind each x[at[d]] is fetched into L1. */
    void (*multiply)(int64_t width, int64_t vectors, int64_t depth, const char *x,
                     const int64_t *at, int64_t ahead, const char *w, char *sums, bool add);
    /* sums[r][i] = sum over d < depth of x[at[d] + i * size] * w[d][r] for r < rows <= PG_CONV_FEW_ROWS and i < count, which
     * is a multiple of `lanes`; rows of sums are sums_row bytes apart */
    void (*along)(int64_t rows, int64_t count, int64_t depth, const char *x, const int64_t *at,
                  const char *w, char *sums, int64_t sums_row);
} pg_conv_tile_loops;

/* By dtype of lhs and rhs; NULL for all but floats. */
typedef const pg_conv_tile_loops *const pg_conv_tile_table[PG_DTYPE_COUNT];
extern pg_conv_tile_table pg_conv_tile_loops_base, pg_conv_tile_loops_v3, pg_conv_tile_loops_v4;

#endif
