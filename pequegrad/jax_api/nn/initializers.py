"""jax.nn.initializers: functions (key, shape, dtype) -> array of weights."""

import math
import typing

import numpy as np

from ...core.dtype import default_float, is_float, real_of
from ...ops.at import At
from ...ops.creation import full
from ...ops.creation import zeros as empty
from ...ops.shape import moveaxis, reshape
from ...primitives import elementwise as e
from ...primitives import mathematical as m
from .. import random
from ..convert import SCALARS, as_array, to_array
from ..random.arguments import cast, checked_shape, requested, subkeys


@typing.runtime_checkable
class Initializer(typing.Protocol):
    """What all initializers are."""

    def __call__(self, key, shape, dtype=None, out_sharding=None):
        raise NotImplementedError


def _dtype(dtype, name):
    return requested(dtype, default_float(), name, "number")


# ---- constants ---------------------------------------------------------------------------------------


def zeros(key, shape, dtype=None, out_sharding=None):
    """Zeros."""
    return to_array(full(checked_shape(shape), 0, _dtype(dtype, "zeros")))


def ones(key, shape, dtype=None, out_sharding=None):
    """Ones."""
    return to_array(full(checked_shape(shape), 1, _dtype(dtype, "ones")))


def constant(value, dtype=None):
    """An initializer of arrays with `value` everywhere; it may be an array that broadcasts."""

    def init(key, shape, dtype=dtype, out_sharding=None):
        found = value if type(value) in SCALARS else as_array(np.asarray(value) if isinstance(value, list) else value)
        return to_array(full(checked_shape(shape), found, _dtype(dtype, "constant")))

    return init


# ---- distributions -----------------------------------------------------------------------------------


def _scaled(name, sample, scale, dtype):
    """An initializer of `scale` times what sample(key, shape, dtype) gives."""

    def init(key, shape, dtype=dtype, out_sharding=None):
        dtype = _dtype(dtype, name)
        x = sample(key, shape, dtype)
        return x * cast(scale, dtype, x)

    return init


def uniform(scale=0.01, dtype=None):
    """An initializer of uniform numbers in [0, scale)."""
    return _scaled("uniform", random.uniform, scale, dtype)


def normal(stddev=0.01, dtype=None):
    """An initializer of normal numbers of this standard deviation."""
    return _scaled("normal", random.normal, stddev, dtype)


def truncated_normal(stddev=0.01, dtype=None, lower=-2.0, upper=2.0):
    """An initializer of stddev times normal numbers between `lower` and `upper`."""
    sample = lambda key, shape, dtype: random.truncated_normal(key, lower, upper, shape, dtype)
    return _scaled("truncated_normal", sample, stddev, dtype)


# ---- by the number of inputs and outputs -------------------------------------------------------------


def _size(shape, axes):
    return shape[axes] if isinstance(axes, int) else math.prod(shape[a] for a in axes)


def _fans(shape, in_axis, out_axis, batch_axis):
    """How many inputs an output has, and how many outputs an input."""
    if len(shape) <= 1 and isinstance(in_axis, int) and in_axis == -2:
        raise ValueError(
            f"Can't compute input and output sizes of a {len(shape)}-dimensional weights tensor with default in_axis. "
            "Must be at least 2D or specify in_axis explicitly."
        )
    inputs, outputs = _size(shape, in_axis), _size(shape, out_axis)
    field = math.prod(shape) / inputs / outputs / _size(shape, batch_axis)
    return inputs * field, outputs * field


_DENOMINATORS = {
    "fan_in": lambda inputs, outputs: inputs,
    "fan_out": lambda inputs, outputs: outputs,
    "fan_avg": lambda inputs, outputs: (inputs + outputs) / 2,
    "fan_geo_avg": lambda inputs, outputs: (inputs * outputs) ** 0.5,
}
# standard deviations of normal numbers that are cut off at 2, real and complex
_CUT, _CUT_COMPLEX = 0.87962566103423978, 0.95311164380491208


def variance_scaling(scale, mode, distribution, in_axis=-2, out_axis=-1, batch_axis=(), dtype=None):
    """An initializer of numbers of variance scale / n, where n is what `mode` says of the axes of the weights.

    mode: "fan_in" (inputs of an output), "fan_out" (outputs of an input), "fan_avg", "fan_geo_avg" (their means);
    distribution: "truncated_normal", "normal", "uniform".
    """

    def init(key, shape, dtype=dtype, out_sharding=None):
        shape, dtype = checked_shape(shape), _dtype(dtype, "variance_scaling")
        fans = _fans(shape, in_axis, out_axis, batch_axis)
        if mode not in _DENOMINATORS:
            raise ValueError(f"invalid mode for variance scaling initializer: {mode}")
        if distribution not in _SAMPLERS:
            raise ValueError(f"invalid distribution for variance scaling initializer: {distribution}")
        key = random.arguments.checked_key(key, "variance_scaling")
        return _SAMPLERS[distribution](key, shape, dtype, cast(scale / _DENOMINATORS[mode](*fans), dtype, key))

    return init


def _truncated(key, shape, dtype, variance):
    if is_float(dtype):
        return random.truncated_normal(key, -2, 2, shape, dtype) * (m.sqrt(variance) / cast(_CUT, dtype, key))
    of_radius, of_angle = subkeys(key)
    part = real_of(dtype)
    kept = (1 - m.exp(cast(-4.0, part, key))) * random.uniform(of_radius, shape, part)
    radius = m.sqrt(-m.log(1 - kept))
    return _on_circles(radius, random.uniform(of_angle, shape, part)) * (
        m.sqrt(variance) / cast(_CUT_COMPLEX, dtype, key)
    )


def _on_circles(radius, turn):
    """Complex numbers with these absolute values, at fractions of a turn."""
    angle = turn * (2 * math.pi)
    return e.complex_(radius * m.cos(angle), radius * m.sin(angle))


def _uniform(key, shape, dtype, variance):
    if is_float(dtype):
        return random.uniform(key, shape, dtype, -1) * m.sqrt(variance * 3)
    of_radius, of_angle = subkeys(key)
    radius = m.sqrt(random.uniform(of_radius, shape, real_of(dtype)) * 2)
    return _on_circles(radius, random.uniform(of_angle, shape, real_of(dtype))) * m.sqrt(variance)


_SAMPLERS = {
    "truncated_normal": _truncated,
    "normal": lambda key, shape, dtype, variance: random.normal(key, shape, dtype) * m.sqrt(variance),
    "uniform": _uniform,
}


def _scaling(scale, mode, distribution, doc):
    def maker(in_axis=-2, out_axis=-1, batch_axis=(), dtype=None):
        return variance_scaling(scale, mode, distribution, in_axis, out_axis, batch_axis, dtype)

    maker.__doc__ = f"{doc}: variance_scaling({scale}, {mode!r}, {distribution!r})."
    return maker


glorot_uniform = xavier_uniform = _scaling(1.0, "fan_avg", "uniform", "Glorot and Bengio's (2010)")
glorot_normal = xavier_normal = _scaling(1.0, "fan_avg", "truncated_normal", "Glorot and Bengio's (2010)")
lecun_uniform = _scaling(1.0, "fan_in", "uniform", "LeCun's (1998)")
lecun_normal = _scaling(1.0, "fan_in", "truncated_normal", "LeCun's (1998)")
he_uniform = kaiming_uniform = _scaling(2.0, "fan_in", "uniform", "He's (2015)")
he_normal = kaiming_normal = _scaling(2.0, "fan_in", "truncated_normal", "He's (2015)")

for _name in ("glorot_uniform", "glorot_normal", "lecun_uniform", "lecun_normal", "he_uniform", "he_normal"):
    globals()[_name].__name__ = globals()[_name].__qualname__ = _name


# ---- orthogonal matrices -----------------------------------------------------------------------------


def _refuse_sharding(out_sharding):
    if out_sharding is not None:
        raise NotImplementedError("Orthogonal initializers take no out_sharding.")


def orthogonal(scale=1.0, column_axis=-1, dtype=None):
    """An initializer of arrays that are orthogonal as matrices with `column_axis` as columns, times `scale`."""

    def init(key, shape, dtype=dtype, out_sharding=None):
        _refuse_sharding(out_sharding)
        shape, dtype = checked_shape(shape), _dtype(dtype, "orthogonal")
        if len(shape) < 2:
            raise ValueError("orthogonal initializer requires at least a 2D shape")
        if 0 in shape:
            return zeros(key, shape, dtype)
        columns = shape[column_axis]
        q = random.orthogonal(key, math.prod(shape) // columns, (), dtype, columns)
        q = moveaxis(reshape(q, (*np.delete(shape, column_axis).tolist(), columns)), -1, column_axis)
        return q * cast(scale, dtype, q)

    return init


def delta_orthogonal(scale=1.0, column_axis=-1, dtype=None):
    """An initializer of convolutions (3 to 5 axes, inputs and outputs last): an orthogonal matrix at the centre, else 0."""

    def init(key, shape, dtype=dtype, out_sharding=None):
        _refuse_sharding(out_sharding)
        shape, dtype = checked_shape(shape), _dtype(dtype, "delta_orthogonal")
        if len(shape) not in (3, 4, 5):
            raise ValueError("Delta orthogonal initializer requires a 3D, 4D or 5D shape.")
        if shape[-1] < shape[-2]:
            raise ValueError("`fan_in` must be less or equal than `fan_out`. ")
        matrix = orthogonal(scale, column_axis, dtype)(key, shape[-2:])
        centre = tuple((n - 1) // 2 for n in shape[:-2])
        return At(to_array(empty(shape, dtype)))[centre].set(matrix)

    return init


__all__ = [
    "Initializer", "constant", "delta_orthogonal", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "kaiming_normal",
    "kaiming_uniform", "lecun_normal", "lecun_uniform", "normal", "ones", "orthogonal", "truncated_normal", "uniform",
    "variance_scaling", "xavier_normal", "xavier_uniform", "zeros",
]  # fmt: skip
