"""Integers that stand for floats: (integer - zero point) * scale."""

import numpy as np

import pequegrad as pg

from ...core.errors import ShapeError
from ..registry import op
from ..values import dtype_of
from .convolution import conv_integer
from .matrices import integer_matmul


def _laid_out(v, x, axis, block_size):
    """A scale or zero point in a shape that broadcasts against x: one number, one per place of an axis, or one per block."""
    if v is None or not v.ndim or v.size == 1 and not block_size:
        return v if v is None or not v.ndim else pg.reshape(v, ())
    axis = axis % x.ndim
    if block_size:
        return pg.repeat(v, block_size, axis)[tuple(map(slice, x.shape))]
    if v.shape != (x.shape[axis],):
        raise ShapeError(
            f"The scale or zero point {v._node.aval} is not one number per place of axis {axis} of {x._node.aval}."
        )
    return pg.reshape(v, (-1,) + (1,) * (x.ndim - 1 - axis))


def _limits(dtype):
    limits = np.iinfo(np.dtype(dtype))
    return float(limits.min), float(limits.max)


def _saturated(real, zero, dtype):
    """round(real) + zero, in the range of an integer type."""
    rounded = pg.round(real)
    if zero is not None:
        rounded = rounded + zero.astype(rounded.dtype)
    return pg.clip(rounded, *_limits(dtype)).astype(dtype)


@op("QuantizeLinear", since=10)
def quantize_linear(x, y_scale, y_zero_point=None, *, axis=1, block_size=0, output_dtype=0, precision=0, saturate=1):
    """saturate: of 8-bit floats, which are refused."""
    dtype = dtype_of(output_dtype) if output_dtype else "uint8" if y_zero_point is None else y_zero_point.dtype
    if np.dtype(dtype).kind not in "iu":
        raise NotImplementedError(f"QuantizeLinear to {np.dtype(dtype).name} is not supported.")
    wide = dtype_of(precision) if precision else np.result_type(_real(x), _real(y_scale))
    scale = _laid_out(y_scale.astype(wide), x, axis, block_size)
    return _saturated(x.astype(wide) / scale, _laid_out(y_zero_point, x, axis, block_size), dtype)


def _real(x):
    """The type to divide in: 16-bit floats and integers are divided as float32."""
    return np.dtype("float64") if x.dtype.name == "float64" else np.dtype("float32")


@op("DequantizeLinear", since=10)
def dequantize_linear(x, x_scale, x_zero_point=None, *, axis=1, block_size=0, output_dtype=0):
    dtype = dtype_of(output_dtype) if output_dtype else x_scale.dtype
    scale, zero = (_laid_out(v, x, axis, block_size) for v in (x_scale, x_zero_point))
    whole = x.astype("int32")
    real = (whole if zero is None else whole - zero.astype("int32")).astype(_real(scale))
    return (real * scale.astype(real.dtype)).astype(dtype)


@op("DynamicQuantizeLinear", since=11)
def dynamic_quantize_linear(x):
    """(y, its scale, its zero point): uint8 over the range of x and 0."""
    low, high = pg.clip(pg.min(x), None, 0.0), pg.clip(pg.max(x), 0.0, None)
    scale = (high - low) / 255
    scale = pg.where(scale == 0, 1.0, scale)
    zero = pg.clip(pg.round(-low / scale), 0.0, 255.0)
    return _saturated(x / scale, zero, "uint8"), scale, zero.astype("uint8")


def _lines(v, ndim, axis):
    """One number per row (axis -2) or column (axis -1) of matrices, or one alone, so that it broadcasts."""
    if v.ndim != 1:
        return v
    return v.reshape(() if v.size == 1 else (-1, 1) if axis == -2 else (-1,))


@op("QLinearMatMul", since=10, either=("b", "b_zero_point"))
def qlinear_matmul(a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point):
    a_scale, a_zero_point, y_scale, zero = (
        _lines(v, a.ndim, -2) for v in (a_scale, a_zero_point, y_scale, y_zero_point)
    )
    b_scale, b_zero_point = (_lines(v, b.ndim, -1) for v in (b_scale, b_zero_point))
    total = integer_matmul(a, b, a_zero_point, b_zero_point)
    scale = a_scale.astype("float32") * b_scale.astype("float32") / y_scale.astype("float32")
    return _saturated(total.astype("float32") * scale, zero, y_zero_point.dtype)


@op("QLinearConv", since=10, either=("w", "w_zero_point"))
def qlinear_conv(x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point, b=None, **options):
    """A convolution of integers; the bias is int32 with scale x_scale * w_scale."""
    total = conv_integer(x, w, x_zero_point, w_zero_point, **options)
    if b is not None:
        total = total + pg.reshape(b, (-1,) + (1,) * (x.ndim - 2))
    scale = pg.reshape(x_scale, ()) * w_scale / pg.reshape(y_scale, ())
    scale = pg.reshape(scale, (-1,) + (1,) * (x.ndim - 2)) if scale.size > 1 else pg.reshape(scale, ())
    return _saturated(total.astype("float32") * scale, pg.reshape(y_zero_point, ()), y_zero_point.dtype)
