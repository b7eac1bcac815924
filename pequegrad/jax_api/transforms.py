"""jax.vmap, jax.pmap, jax.eval_shape, jax.named_scope ...: transforms that are neither jit nor derivatives."""

import contextlib
import functools
import traceback

import numpy as np

from ..core.errors import ArgumentError, DeviceError, ShapeError
from ..core.node import face, make_aval
from ..core.tensor import Tensor
from ..transforms import callbacks
from ..transforms import vmap as core_vmap
from ..transforms.trace import trace
from ..transforms.tree import flatten, flatten_until, leaf_names, spread_prefix, tree_map
from .convert import canonical, convertible, current_device, from_numpy
from .derivatives import grad, jvp, value_and_grad, vjp  # noqa: F401

__all__ = [
    "ShapeDtypeStruct", "eval_shape", "io_callback", "named_call", "named_scope", "pure_callback", "vmap",
]  # fmt: skip


def arrays_of(tree):
    """`tree` with Arrays for its numbers and NumPy arrays; other leaves as they are."""
    return tree_map(lambda x: x if (found := convertible(x)) is None else found, tree)


def with_arrays(function):
    """`function`, with Arrays for the leaves of its arguments; what it traces gets Arrays, too."""

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        with face(True):
            args, kwargs = arrays_of((args, kwargs))
            return function(*args, **kwargs)

    return wrapped


# ---- vmap ------------------------------------------------------------------------------------------------


def vmap(fun, in_axes=0, out_axes=0, axis_name=None, axis_size=None, spmd_axis_name=None, sum_match=False):
    """`fun` over an axis of its arguments. What in_axes says None of reaches `fun` as it was given.

    in_axes: an int, None, or a tuple with an entry for each positional argument, which may be a tree; keyword arguments are
    mapped over axis 0. out_axes: where the axis is in the results; None for those that do not depend on the example.
    """
    if not callable(fun):
        raise ArgumentError(f"vmap takes a function, got {fun!r}.")
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if not (in_axes is None or type(in_axes) in (int, tuple)):
        raise ArgumentError(
            "vmap in_axes must be an int, None, or a tuple of entries corresponding to the positional arguments passed to "
            f"the function, but got {in_axes}."
        )
    if not all(type(axis) is int or axis is None for axis in flatten(in_axes)[0]):
        raise ArgumentError(f"vmap: the leaves of in_axes must be ints and None, got {in_axes}.")

    @functools.wraps(fun)
    def mapped(*args, **kwargs):
        with face(True):
            axes = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(args)
            if len(axes) != len(args):
                raise ValueError(
                    "vmap in_axes must be an int, None, or a tuple of entries corresponding to the positional arguments "
                    f"passed to the function, but got len(in_axes)={len(axes)}, len(args)={len(args)}"
                )
            leaves, structure = flatten((args, kwargs))
            axes = spread_prefix(axes, args, "vmap", "in_axes")
            axes += [0] * (len(leaves) - len(axes))
            chosen = [i for i, axis in enumerate(axes) if axis is not None]
            if not chosen and axis_size is None:
                raise ValueError(
                    "vmap must have at least one non-None value in in_axes, or axis_size must be specified."
                )
            given = [_mapped_leaf(leaves[i], axes[i], lambda i=i: _name_of(args, kwargs, i)) for i in chosen]

            def call(*values):
                found = list(leaves)
                for i, value in zip(chosen, values):
                    found[i] = value
                args, kwargs = structure.unflatten(found)
                return fun(*args, **kwargs)

            call.__name__ = getattr(fun, "__name__", type(fun).__name__)
            over = core_vmap.vmap(call, tuple(axes[i] for i in chosen), out_axes, axis_name, axis_size)
            return over(*given)

    return mapped


def _mapped_leaf(x, axis, name):
    found = convertible(x)
    if found is None:
        raise ArgumentError(f"vmap: {name()} is {x!r} of type {type(x).__name__}, which is not a valid JAX type.")
    if not -found.ndim <= axis < found.ndim:
        raise ShapeError(
            f"vmap was requested to map {name()} along axis {axis}, which implies that its rank should be at least "
            f"{axis + 1 if axis >= 0 else -axis}, but is only {found.ndim} (its shape is {found.shape})."
        )
    return found


def _name_of(args, kwargs, i):
    names = leaf_names(args, "args")
    return names[i] if i < len(names) else leaf_names(kwargs, "kwargs")[i - len(names)]


# ---- shapes ----------------------------------------------------------------------------------------------


class ShapeDtypeStruct:
    """What is known of an array without its values: shape, dtype, sharding, weak_type."""

    __slots__ = ("dtype", "is_ref", "manual_axis_type", "shape", "sharding", "weak_type")

    def __init__(self, shape, dtype, *, sharding=None, weak_type=False, manual_axis_type=None, is_ref=False):
        if dtype is None:
            raise ValueError("ShapeDtypeStruct: dtype must be specified.")
        self.shape = tuple(int(n) for n in shape)
        self.dtype = _dtype(dtype)
        self.sharding, self.weak_type = sharding, weak_type
        self.manual_axis_type, self.is_ref = manual_axis_type, is_ref

    @property
    def ndim(self):
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self):
        """The number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __len__(self):
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def update(self, **kwargs):
        """This with some fields replaced."""
        return ShapeDtypeStruct(**{**self._fields(), **kwargs})

    @classmethod
    def like(cls, x, **kwargs):
        """That of an array, or of what has shape and dtype, with some fields replaced."""
        weak_type = getattr(x, "weak_type", False)
        return cls(x.shape, x.dtype, sharding=getattr(x, "sharding", None), weak_type=weak_type).update(**kwargs)

    def _fields(self):
        return {name: getattr(self, name) for name in self.__slots__}

    def __repr__(self):
        text = f"shape={self.shape}, dtype={self.dtype.name}"
        for name, nothing in (("sharding", None), ("weak_type", False), ("is_ref", False)):
            if getattr(self, name) is not nothing:
                text += f", {name}={getattr(self, name)}"
        return f"ShapeDtypeStruct({text})"

    def __eq__(self, other):
        return isinstance(other, ShapeDtypeStruct) and self._fields() == other._fields()

    def __hash__(self):
        return hash((self.shape, self.dtype, self.sharding, self.weak_type, self.is_ref))


def _dtype(dtype):
    try:
        return canonical(dtype) if dtype in (int, float, complex) else np.dtype(dtype)
    except TypeError:
        from ..core import dtype as dtypes

        return dtypes.canonical(dtype)  # bfloat16 by name


def abstract_leaf(x):
    """The aval of a leaf of abstract arguments: an array, a number, or what has shape and dtype."""
    if not isinstance(x, (Tensor, np.ndarray, np.generic)) and hasattr(x, "shape") and hasattr(x, "dtype"):
        return make_aval(tuple(x.shape), canonical(x.dtype), current_device(), bool(getattr(x, "weak_type", False)))
    found = convertible(x)
    if found is None:
        raise ArgumentError(f"{x!r} of type {type(x).__name__} is not a valid JAX type, and has no shape and dtype.")
    return found._node.aval


def flatten_abstract(tree):
    """(leaves, structure) of a tree of arrays and of what has shape and dtype."""
    return flatten_until(tree, lambda x: isinstance(x, Tensor) or (hasattr(x, "shape") and hasattr(x, "dtype")))


def eval_shape(fun, *args, **kwargs):
    """The tree of ShapeDtypeStructs that stand for the result of fun(*args, **kwargs): nothing is computed."""
    if hasattr(fun, "eval_shape"):  # jitted: it has static arguments
        return fun.eval_shape(*args, **kwargs)
    leaves, structure = flatten_abstract((args, kwargs))

    def call(values):
        args, kwargs = structure.unflatten(values)
        return fun(*args, **kwargs)

    with face(True):
        graph, out_structure, _ = trace(
            "eval_shape", getattr(fun, "__name__", "fun"), list(map(abstract_leaf, leaves)), call
        )
        return out_structure.unflatten(map(struct_of, graph.avals[: len(graph.outputs)]))


def struct_of(aval):
    """The ShapeDtypeStruct of an aval."""
    return ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=aval.weak_type)


# ---- calls of Python functions ---------------------------------------------------------------------------


def host_function(callback):
    """`callback` as it is called while a program runs: with Arrays; what it raises becomes a JaxRuntimeError."""
    if not callable(callback):
        return callback  # an error that is reported elsewhere

    @functools.wraps(callback, assigned=("__name__",), updated=())
    def called(*args, **kwargs):
        with face(True):
            args, kwargs = tree_map(_array_of, (args, kwargs))
            try:
                return callback(*args, **kwargs)
            except Exception as error:
                text = "".join(traceback.format_exception(error))
                raise DeviceError(f"INTERNAL: CpuCallback error calling callback: {text}") from error

    called.__name__ = getattr(callback, "__name__", type(callback).__name__)
    return called


def _array_of(x):
    return from_numpy(np.asarray(x), dtype=x.dtype) if isinstance(x, (np.ndarray, np.generic)) else x


def pure_callback(callback, result_shape_dtypes, *args, sharding=None, vmap_method=None, **kwargs):
    """What the Python function `callback` returns for the values of the arguments (Arrays), computed when it is needed.

    vmap_method: "sequential" (or "sequential_unrolled"), "expand_dims", "broadcast_all" or "legacy_vectorized"; None: it
    cannot be mapped.
    """
    method = "sequential" if vmap_method == "sequential_unrolled" else vmap_method
    with face(True):
        results = _canonical_results(result_shape_dtypes)
        return callbacks.pure_callback(host_function(callback), results, *args, vmap_method=method, **kwargs)


def io_callback(callback, result_shape_dtypes, *args, sharding=None, ordered=False, **kwargs):
    """As pure_callback, for functions with side effects: called once per run, in the order of the program."""
    with face(True):
        return callbacks.io_callback(host_function(callback), _canonical_results(result_shape_dtypes), *args, **kwargs)


def _canonical_results(tree):
    leaves, structure = flatten_abstract(tree)
    for x in leaves:
        if hasattr(x, "dtype") and canonical(x.dtype) != x.dtype:
            raise ValueError("result_shape_dtypes cannot specify 64-bit types when `jax_enable_x64` is disabled")
    return structure.unflatten([struct_of(abstract_leaf(x)) for x in leaves])


# ---- names -----------------------------------------------------------------------------------------------


class named_scope(contextlib.ContextDecorator):
    """Context manager and decorator that names a part of a program, for who reads it: it changes nothing."""

    def __init__(self, name):
        if not isinstance(name, str):
            raise ArgumentError(f"named_scope takes a string, got {type(name).__name__}.")
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None


def named_call(fun, *, name=None):
    """`fun` under a name, its own or `name`, in a program."""
    if not callable(fun):
        raise ArgumentError(f"named_call takes a function, got {fun!r}.")

    @functools.wraps(fun)
    def named(*args, **kwargs):
        with named_scope(name or getattr(fun, "__name__", type(fun).__name__)):
            return fun(*args, **kwargs)

    return named
