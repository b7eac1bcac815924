"""What the samplers do with their arguments: keys, shapes, dtypes, parameters."""

import operator
import warnings

import numpy as np

from ...core import dtype as dtypes
from ...core.dtype import dt, key_dtype
from ...core.node import scalar_constant
from ...core.tensor import Tensor, wrap
from ...primitives.elementwise import convert_to
from ...primitives.random import random_bits
from ...primitives.shape import broadcast_in_dim
from ..configuration import config
from ..convert import SCALARS, as_array, canonical, convertible
from ..jitting import PjitFunction

# ---- keys --------------------------------------------------------------------------------------------


def is_typed(key):
    """True for arrays of jax.random.key's dtype."""
    return isinstance(key, Tensor) and key.dtype == key_dtype


def key_shape(key):
    """The shape of an array of keys, typed or not."""
    return key.shape if is_typed(key) else key.shape[:-1]


def checked_key(key, name, batched=False):
    """A key as an Array: of its own dtype, or uint32[2] with the same two words, which random_bits takes, too."""
    found = key if isinstance(key, (Tensor, *SCALARS)) else convertible(key)
    if found is None:
        raise TypeError(f"{name}: a random key is an Array made by jax.random.key, not {type(key)}.")
    if not is_typed(found):
        check_data(found, name)
    check_implementation()
    if not batched and key_shape(found) != ():
        raise ValueError(
            f"{name} accepts a single key, but was given a key array of shape {key_shape(found)} != (). "
            "Use jax.vmap for batching."
        )
    return found


def check_data(data, name):
    """TypeError unless `data` is uint32[..., 2]."""
    if not isinstance(data, Tensor) or data.dtype != dt.uint32 or data.shape[-1:] != (2,):
        given = f"{data.dtype.name}{list(data.shape)}" if isinstance(data, Tensor) else repr(data)
        raise TypeError(f"{name}: the data of random keys is uint32[..., 2], not {given}.")


def check_implementation():
    """NotImplementedError if other random numbers are asked for than those of threefry2x32, counted for each element."""
    if config.jax_default_prng_impl != "threefry2x32":
        raise NotImplementedError(f"Random keys are threefry2x32's here, not {config.jax_default_prng_impl}'s.")
    if not config.jax_threefry_partitionable:
        raise NotImplementedError("Random numbers are those of jax_threefry_partitionable=True, JAX's default.")


def subkeys(key, count=2):
    """The first `count` of the keys that split gives; of each key, if there are many."""
    shape = key_shape(key)
    return [random_bits(key, spread(cast(i, dt.uint32, key), shape), shape=(), dtype=key_dtype) for i in range(count)]


# ---- dtypes ------------------------------------------------------------------------------------------

_KINDS = {
    "float": dtypes.is_float,
    "float or complex": dtypes.is_inexact,
    "integer": dtypes.is_integer,
    "unsigned int": lambda dtype: dtype.kind == "u",
    "number": lambda dtype: dtype.kind != "K",
}


def requested(dtype, default, name, kind, error=ValueError):
    """The dtype of what `name` gives where `dtype` is asked for; None stands for `default`. UserWarning if it is cut to 32 bits."""
    wanted = default if dtype is None else dtypes.canonical(dtype)
    found = canonical(wanted)
    if found != wanted and not any(dtype is scalar for scalar in SCALARS):
        warnings.warn(
            f"Explicitly requested dtype {wanted} in {name} is not available, and will be truncated to dtype {found}. "
            "To enable more dtypes, set the jax_enable_x64 configuration option.",
            stacklevel=4,
        )
    if not _KINDS[kind](found):
        raise error(f"dtype argument to `{name}` must be {kind}, got {found}.")
    return found


def finfo(dtype):
    """numpy.finfo, of bfloat16, too."""
    if dtype.name != "bfloat16":
        return np.finfo(dtype)
    import ml_dtypes

    return ml_dtypes.finfo(dtype)


# ---- shapes and parameters ---------------------------------------------------------------------------


def checked_shape(shape):
    """A shape (also one number) as a tuple of ints."""
    try:
        shape = tuple(operator.index(n) for n in (shape if np.iterable(shape) else (shape,)))
    except TypeError:
        raise TypeError(f"Shapes must be 1D sequences of concrete values of integer type, got {shape}.") from None
    if any(n < 0 for n in shape):
        raise ValueError(f"Shape {shape} has a negative size.")
    return shape


def common_shape(name, shape, *shapes):
    """`shape`, to which `shapes` must broadcast; None stands for what they broadcast to."""
    if shape is None:
        return np.broadcast_shapes(*shapes)
    shape = checked_shape(shape)
    if np.broadcast_shapes(shape, *shapes) != shape:
        raise ValueError(f"{name}: parameters of shapes {shapes} do not broadcast to the shape {shape} of the result.")
    return shape


def shape_with(name, shape, *parameters):
    """common_shape, with the parameters (arrays or numbers) themselves."""
    return common_shape(name, shape, *map(np.shape, parameters))


def cast(x, dtype, like):
    """A parameter in the dtype in which it is used; a number becomes an Array on the device of `like`."""
    if type(x) in SCALARS:
        return wrap(scalar_constant(x, dtype, like.device))
    return convert_to(as_array(x), dtype)


def check_safe(name, dtype, *parameters):
    """ValueError if a parameter has a dtype that `dtype` does not hold."""
    for x in parameters:
        pair = dtypes.PYTHON_TYPES[type(x)] if type(x) in SCALARS else as_array(x, name)._node.aval.weak_pair
        if dtypes.promote(pair, (dtype, False))[0] != dtype:
            raise ValueError(f"In arguments to {name}, cannot safely cast argument of type {pair[0]} to {dtype}.")


def spread(x, shape):
    """x broadcast to `shape`; x itself if it has it."""
    if x.shape == shape:
        return x
    return broadcast_in_dim(x, shape=shape, axes=tuple(range(len(shape) - x.ndim, len(shape))))


# ---- loops -------------------------------------------------------------------------------------------


class _Loop(PjitFunction):
    """A sampler that is traced for each shape: that is no news to users."""

    def _report(self, key):
        pass


def compiled(*static):
    """Decorator for samplers with loops: they run as one program, also eagerly; `static`: positions of arguments."""
    return lambda function: _Loop(function, static_argnums=static)
