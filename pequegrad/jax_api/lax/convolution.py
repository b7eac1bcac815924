"""Convolutions in any number of spatial dimensions, with XLA's parameters."""

import numpy as np

from ...core.errors import ArgumentError, ShapeError
from ...ops import convolution as ops
from ...primitives import elementwise as e
from ...primitives import shape as p
from ...primitives.base import number
from ...primitives.convolution import ConvAxes, dilated, output_size
from ...primitives.windows import windows
from ..convert import as_array
from .operands import check_same_dtypes, dtype_of, ints, shapes_as_types
from .products import dot_general
from .reductions import padtype_to_pads
from .types import ConvDimensionNumbers, check_precision

_NAME = "conv_general_dilated"


@shapes_as_types
def conv_general_dilated(lhs, rhs, window_strides, padding, lhs_dilation=None, rhs_dilation=None, dimension_numbers=None,
                         feature_group_count=1, batch_group_count=1, precision=None, preferred_element_type=None,
                         out_sharding=None):  # fmt: skip
    """The convolution of lhs with the kernel rhs (the kernel is not flipped).

    padding: "VALID", "SAME", "SAME_LOWER", or (before, after) per spatial axis, also negative. lhs_dilation, rhs_dilation:
    distances of neighbouring elements. dimension_numbers: strings such as ("NHWC", "HWIO", "NHWC"), ConvDimensionNumbers,
    or None for batch, feature, space. feature_group_count: so many convolutions side by side, each of a part of the input
    and output features; batch_group_count: each of a part of the batch.
    """
    check_precision(precision)
    lhs, rhs = as_array(lhs, _NAME, 0), as_array(rhs, _NAME, 1)
    numbers = conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    check_same_dtypes(_NAME, lhs, rhs)
    if isinstance(padding, str):
        if lhs_dilation is not None and any(d != 1 for d in ints(lhs_dilation)):
            raise ValueError("String padding is not implemented for transposed convolution: see conv_transpose.")
        _check_word(padding)
    out = None if preferred_element_type is None else dtype_of(preferred_element_type, _NAME)
    if lhs.dtype.kind == "b":  # some pair of elements is true in both
        lhs, rhs = (e.convert_to(x, np.dtype(np.int32)) for x in (lhs, rhs))
        out = np.dtype(bool) if out is None else out
    narrow = out is not None and (out.itemsize < lhs.dtype.itemsize or out.kind == "b")
    found = ops.conv_general_dilated(
        lhs, rhs, ints(window_strides), padding if isinstance(padding, str) else tuple(map(ints, padding)),
        None if lhs_dilation is None else ints(lhs_dilation), None if rhs_dilation is None else ints(rhs_dilation),
        numbers, feature_group_count, batch_group_count, None if narrow else out,
    )  # fmt: skip
    return e.convert_to(found, out) if narrow else found


def _check_word(padding):
    if padding.upper() not in ("VALID", "SAME", "SAME_LOWER"):
        raise RuntimeError(f"Unrecognized padding type: expected 'VALID', 'SAME', or 'SAME_LOWER', got {padding}.")


def conv(lhs, rhs, window_strides, padding, precision=None, preferred_element_type=None):
    """conv_general_dilated of lhs (batch, feature, space ...) and rhs (out feature, in feature, space ...)."""
    return conv_general_dilated(
        lhs, rhs, window_strides, padding, precision=precision, preferred_element_type=preferred_element_type
    )


def conv_with_general_padding(lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation, precision=None,
                              preferred_element_type=None):  # fmt: skip
    """conv with dilations and any padding."""
    return conv_general_dilated(
        lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation, precision=precision,
        preferred_element_type=preferred_element_type,
    )  # fmt: skip


# ---- the transpose of a convolution ------------------------------------------------------------------------

_LAYOUTS = {
    2: ("NC", "IO", "NC"),
    3: ("NHC", "HIO", "NHC"),
    4: ("NHWC", "HWIO", "NHWC"),
    5: ("NHWDC", "HWDIO", "NHWDC"),
}


def conv_transpose(lhs, rhs, strides, padding, rhs_dilation=None, dimension_numbers=None, transpose_kernel=False,
                   precision=None, preferred_element_type=None, use_consistent_padding=False):  # fmt: skip
    """The convolution of lhs, spread by the strides, with rhs: the shapes are those before a convolution with strides.

    padding: a word, for the convolution whose transpose this is, or pairs, for this one (with use_consistent_padding: for
    that one, too). transpose_kernel flips the kernel and exchanges its channels, which makes it the transpose exactly.
    dimension_numbers: by default channels last.
    """
    lhs, rhs = as_array(lhs, "conv_transpose", 0), as_array(rhs, "conv_transpose", 1)
    if dimension_numbers is None:
        if lhs.ndim not in _LAYOUTS:
            raise ValueError("No 4+ dimensional dimension_number defaults.")
        dimension_numbers = _LAYOUTS[lhs.ndim]
    numbers = conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    n, strides = lhs.ndim - 2, ints(strides)
    rhs_dilation = (1,) * n if rhs_dilation is None else ints(rhs_dilation)
    if use_consistent_padding or padding in ("SAME", "VALID"):
        sizes = [dilated(rhs.shape[a], d) for a, d in zip(numbers.rhs_spec[2:], rhs_dilation)]
        each = [padding] * n if isinstance(padding, str) else padding
        padding = tuple(_pads_of_transpose(k, s, v) for k, s, v in zip(sizes, strides, each))
    if transpose_kernel:
        rhs = p.rev(rhs, axes=tuple(sorted(numbers.rhs_spec[2:])))
        swapped = list(range(rhs.ndim))
        a, b = numbers.rhs_spec[:2]
        swapped[a], swapped[b] = b, a
        rhs = p.transpose(rhs, permutation=tuple(swapped))
    return conv_general_dilated(
        lhs, rhs, (1,) * n, padding, strides, rhs_dilation, numbers, precision=precision,
        preferred_element_type=preferred_element_type,
    )  # fmt: skip


def _pads_of_transpose(size, stride, padding):
    """The padding of the transpose of a convolution with this kernel size, stride and padding."""
    if padding == "SAME":
        total = size + stride - 2
        before = size - 1 if stride > size - 1 else -(-total // 2)
    elif padding == "VALID":
        total = size + stride - 2 + max(size - stride, 0)
        before = size - 1
    elif isinstance(padding, str):
        raise ValueError(f"Padding mode must be `SAME`, `VALID`, or pairs of integers, got {padding}.")
    else:
        before, after = (size - 1 - v for v in ints(padding))
        return before, after
    return before, total - before


# ---- windows as features -----------------------------------------------------------------------------------


@shapes_as_types
def conv_general_dilated_patches(lhs, filter_shape, window_strides, padding, lhs_dilation=None, rhs_dilation=None,
                                 dimension_numbers=None, precision=None, preferred_element_type=None):  # fmt: skip
    """What lies under each place of a window: the features of the result are (features of lhs, elements of the window)."""
    check_precision(precision)
    lhs, window = as_array(lhs, "conv_general_dilated_patches"), ints(filter_shape)
    numbers = conv_dimension_numbers(lhs.shape, (1, 1, *window), dimension_numbers)
    n = lhs.ndim - 2
    x = p.transpose(lhs, permutation=tuple(numbers.lhs_spec))
    strides = ints(window_strides)
    lhs_dilation, rhs_dilation = ((1,) * n if d is None else ints(d) for d in (lhs_dilation, rhs_dilation))
    ranks = [
        sorted(numbers.rhs_spec[2:]).index(a) for a in numbers.rhs_spec[2:]
    ]  # filter_shape is in the kernel's order
    sizes = tuple(window[r] for r in ranks)
    if isinstance(padding, str):
        _check_word(padding)
        if any(d != 1 for d in lhs_dilation):
            raise ValueError("String padding is not implemented for transposed convolution.")
        padding = padtype_to_pads(x.shape[2:], [dilated(k, d) for k, d in zip(sizes, rhs_dilation)], strides, padding)
    low, high = ((0, 0, *(int(pair[i]) for pair in padding)) for i in (0, 1))
    x = p.pad(x, number(0, x), low=low, high=high, interior=(0, 0, *(d - 1 for d in lhs_dilation)))
    x = windows(x, axes=tuple(range(2, n + 2)), window=sizes, step=strides, dilation=rhs_dilation)
    order = [n + 2 + ranks.index(i) for i in range(n)]  # batch, feature, window, places
    x = p.transpose(x, permutation=(0, 1, *order, *range(2, n + 2)))
    x = p.reshape(x, shape=(x.shape[0], int(np.prod(x.shape[1 : n + 2])), *x.shape[n + 2 :]))
    out = p.transpose(x, permutation=tuple(int(i) for i in np.argsort(numbers.out_spec)))
    return out if preferred_element_type is None else e.convert_to(out, dtype_of(preferred_element_type, "conv"))


def conv_general_dilated_local(lhs, rhs, window_strides, padding, filter_shape, lhs_dilation=None, rhs_dilation=None,
                               dimension_numbers=None, precision=None):  # fmt: skip
    """A convolution whose kernel differs from place to place: rhs has the features of patches as in-features, and the
    places of the window as its spatial axes."""
    lhs, rhs = as_array(lhs, "conv_general_dilated_local", 0), as_array(rhs, "conv_general_dilated_local", 1)
    patches = conv_general_dilated_patches(
        lhs, filter_shape, window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, precision
    )
    numbers = conv_dimension_numbers(lhs.shape, (1, 1, *ints(filter_shape)), dimension_numbers)
    places, kernel = numbers.out_spec[2:], numbers.rhs_spec[2:]
    order = sorted(range(len(places)), key=places.__getitem__)
    batch = [places[i] for i in order], [kernel[i] for i in order]
    found = dot_general(patches, rhs, (((numbers.out_spec[1],), (numbers.rhs_spec[1],)), batch), precision)
    n = found.ndim  # places, batch, feature
    rest = iter(range(n - 2))
    at = {numbers.out_spec[0]: n - 2, numbers.out_spec[1]: n - 1}
    return p.transpose(found, permutation=tuple(at[i] if i in at else next(rest) for i in range(n)))


# ---- dimension numbers and shapes --------------------------------------------------------------------------


def conv_dimension_numbers(lhs_shape, rhs_shape, dimension_numbers):
    """ConvDimensionNumbers from strings, from ConvDimensionNumbers, or from None: batch, feature, space."""
    if isinstance(dimension_numbers, (ConvDimensionNumbers, ConvAxes)):
        return ConvDimensionNumbers(*dimension_numbers)
    n = len(lhs_shape)
    if n != len(rhs_shape):
        raise ArgumentError(f"convolution requires lhs and rhs ndim to be equal, got {n} and {len(rhs_shape)}.")
    if dimension_numbers is None:
        return ConvDimensionNumbers(*(tuple(range(n)),) * 3)
    if not isinstance(dimension_numbers, (list, tuple)) or len(dimension_numbers) != 3:
        raise ArgumentError(f"convolution dimension_numbers must be three strings, got {dimension_numbers!r}.")
    if any(not isinstance(part, str) or len(part) != n for part in dimension_numbers):
        raise ArgumentError(f"convolution dimension_numbers {dimension_numbers} must be strings of {n} characters.")
    return ConvDimensionNumbers(*conv_general_permutations(dimension_numbers))


def conv_general_permutations(dimension_numbers):
    """Three strings as permutations: (batch, feature, space ...), (out, in, space ...), (batch, feature, space ...)."""
    lhs, rhs, out = dimension_numbers
    space = [c for c in rhs if c not in "IO"]  # all three name the same spatial axes, in the order of the kernel
    found = []
    for i, (text, first) in enumerate(((lhs, "NC"), (rhs, "OI"), (out, "NC"))):
        if sorted(text) != sorted([*first, *space]):
            raise ArgumentError(
                f"convolution dimension_numbers[{i}] must contain the characters {first[0]!r} and {first[1]!r} exactly once, "
                f"and the spatial characters of the others, got {text}."
            )
        found.append(tuple(text.index(c) for c in (*first, *space)))
    return tuple(found)


def conv_shape_tuple(lhs_shape, rhs_shape, strides, pads, batch_group_count=1):
    """The shape of a convolution in the order batch, feature, space."""
    if isinstance(pads, str):
        pads = padtype_to_pads(lhs_shape[2:], rhs_shape[2:], strides, pads)
    if len(pads) != len(lhs_shape) - 2:
        raise ArgumentError(
            f"Wrong number of explicit pads for convolution: expected {len(lhs_shape) - 2}, got {len(pads)}."
        )
    if lhs_shape[0] % batch_group_count:
        raise ShapeError(f"batch of {lhs_shape[0]} does not divide into {batch_group_count} groups.")
    space = [output_size(n, k, s, pair, 1, 1) for n, k, s, pair in zip(lhs_shape[2:], rhs_shape[2:], strides, pads)]
    return (lhs_shape[0] // batch_group_count, rhs_shape[0], *space)


def _reordered(shape, order):
    return [shape[a] for a in order]


def conv_general_shape_tuple(lhs_shape, rhs_shape, window_strides, padding, dimension_numbers):
    """The shape of conv_general_dilated."""
    lhs, rhs, out = conv_general_permutations(dimension_numbers)
    found = conv_shape_tuple(_reordered(lhs_shape, lhs), _reordered(rhs_shape, rhs), window_strides, padding)
    return tuple(_reordered(found, np.argsort(out)))


def conv_transpose_shape_tuple(lhs_shape, rhs_shape, window_strides, padding, dimension_numbers):
    """The shape of conv_transpose."""
    lhs, rhs, out = conv_general_permutations(dimension_numbers)
    x, w = _reordered(lhs_shape, lhs), _reordered(rhs_shape, rhs)
    if isinstance(padding, str):
        padding = [_pads_of_transpose(k, s, padding) for k, s in zip(w[2:], window_strides)]
    space = [(n - 1) * s - k + 2 + sum(pair) for n, k, s, pair in zip(x[2:], w[2:], window_strides, padding)]
    return tuple(_reordered([x[0], w[0], *space], np.argsort(out)))


__all__ = [
    "conv", "conv_dimension_numbers", "conv_general_dilated", "conv_general_dilated_local", "conv_general_dilated_patches",
    "conv_general_permutations", "conv_general_shape_tuple", "conv_shape_tuple", "conv_transpose",
    "conv_transpose_shape_tuple", "conv_with_general_padding",
]  # fmt: skip
