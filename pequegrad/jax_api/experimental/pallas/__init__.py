"""jax.experimental.pallas: kernels that are called for each point of a grid, and read and write Refs on blocks of arrays.

They run as JAX's `interpret=True` has it, whether that is asked for or not: as a loop over the grid, in its order (the last axis
fastest), which is traced and compiled like any other program. So kernels can be written, tested and differentiated here; the speed
of hardware that has such blocks is not to be had. Blocks that reach beyond an array are padded, and results begin, as
`uninitialized`: nan, the lowest integer, False.

Differences from JAX: interpret=True is not needed; kernels have derivatives; what is about hardware (semaphores, copies between devices
and spaces of memory, pipelines) is absent.
"""

import contextlib
import functools
import math
import operator

import numpy as np

from ....core.dtype import default_int, is_float, is_integer
from ... import lax
from ...at import Slice, ds
from ...convert import as_array
from ...numpy import broadcast_to
from ...ref import Ref, View, _checked
from ...tree_util import tree_flatten, tree_unflatten

__all__ = [
    "ANY", "Blocked", "BlockSpec", "Element", "GridSpec", "MemoryRef", "MemorySpace", "Slice", "Squeezed", "align_to", "cdiv", "debug_print",
    "ds", "dslice", "empty", "empty_like", "loop", "multiple_of", "next_power_of_2", "no_block_spec", "num_programs", "pallas_call",
    "program_id", "run_scoped", "squeezed", "strides_from_shape", "triton", "when",
]  # fmt: skip

dslice = ds

# ---- blocks ----------------------------------------------------------------------------------------------


class Blocked:
    """An axis in blocks of `block_size`; index_map gives the number of a block. An int means the same."""

    def __init__(self, block_size):
        self.block_size = operator.index(block_size)


class Element:
    """An axis of which index_map gives the first element of a block. padding: elements before and after the array."""

    def __init__(self, block_size, padding=(0, 0)):
        self.block_size, self.padding = operator.index(block_size), tuple(padding)


class Squeezed:
    """An axis of which a block has one element, and which the kernel does not see. None means the same."""

    block_size = 1


squeezed = Squeezed()


class BlockSpec:
    """Which block of an array a kernel gets: its shape, and index_map(*program ids) -> the block's number along each axis.

    Without block_shape it is all of the array; without index_map the block at the origin. There is one space of memory, and no pipeline.
    """

    def __init__(self, block_shape=None, index_map=None, pipeline_mode=None, *, memory_space=None):
        self.block_shape = None if block_shape is None else tuple(block_shape)
        self.index_map, self.pipeline_mode, self.memory_space = index_map, pipeline_mode, memory_space

    def blocks(self, shape):
        """The axes of an array of this shape as Blocked, Element or Squeezed."""
        if self.block_shape is None:
            return tuple(map(Blocked, shape))
        if len(self.block_shape) != len(shape):
            raise ValueError(f"BlockSpec: block shape {self.block_shape} for an array of shape {shape}.")
        kinds = (Blocked, Element, Squeezed)
        return tuple([squeezed if b is None else b if isinstance(b, kinds) else Blocked(b) for b in self.block_shape])


no_block_spec = BlockSpec()


class GridSpec:
    """What pallas_call is told of its blocks, in one object."""

    num_scalar_prefetch = 0

    def __init__(self, grid=(), in_specs=no_block_spec, out_specs=no_block_spec, scratch_shapes=()):
        self.grid, self.in_specs, self.out_specs, self.scratch_shapes = grid, in_specs, out_specs, scratch_shapes


class MemorySpace:
    """Where something lies: all spaces are one here. Called with shape and dtype it describes a scratch Ref."""

    def __init__(self, name):
        self.name = name

    def __call__(self, shape, dtype):
        return MemoryRef(shape, dtype, self)

    def __repr__(self):
        return self.name


class MemoryRef:
    """Shape and dtype of a Ref that a kernel has for itself."""

    def __init__(self, shape, dtype, memory_space=None):
        self.shape, self.dtype, self.memory_space = tuple(shape), np.dtype(dtype), memory_space


ANY = MemorySpace("any")


def uninitialized(shape, dtype):
    """What stands where nothing has been written: nan, the lowest integer, False."""
    value = math.nan if is_float(np.dtype(dtype)) else np.iinfo(dtype).min if is_integer(np.dtype(dtype)) else False
    return lax.full(shape, value, dtype)


# ---- within a kernel ---------------------------------------------------------------------------------------

_grids = []  # of the kernels that are being traced: (their sizes, the place in them)


def _program(name, axis):
    if not _grids:
        raise ValueError(f"{name} is known inside a kernel of pallas_call.")
    grid, place = _grids[-1]
    if not 0 <= axis < len(grid):
        raise ValueError(f"{name}: axis {axis} of a grid with {len(grid)} axes.")
    return grid[axis], place[axis]


def program_id(axis):
    """Where along this axis of the grid the kernel is, an int32."""
    return _program("program_id", axis)[1]


def num_programs(axis):
    """The size of this axis of the grid."""
    return _program("num_programs", axis)[0]


def when(condition, /):
    """Decorator: calls the function if the condition is true. Of a traced condition both ways are traced."""

    def decorated(function):
        if isinstance(condition, bool):
            if condition:
                function()
        else:
            lax.cond(condition, function, lambda: None)

    return decorated


def loop(lower, upper, *, init_carry=None, step=1, unroll=None):
    """Decorator: calls function(i), or function(i, carry) -> carry, for i from lower to upper, and stands for the last carry."""

    def decorated(function):
        def body(i, carry):
            i = lower + i * step
            if init_carry is None:
                function(i)
                return carry
            return function(i, carry)

        steps = cdiv(upper - lower, step)
        found = lax.fori_loop(0, steps, body, 0 if init_carry is None else init_carry)
        return None if init_carry is None else found

    return decorated


def run_scoped(f, *types, collective_axes=(), **kw_types):
    """f, called with new Refs of these types (MemoryRefs)."""
    return f(*map(_scratch, types), **{name: _scratch(kind) for name, kind in kw_types.items()})


def _scratch(kind):
    return Ref(uninitialized(kind.shape, kind.dtype))


def load(ref, index=None, *, mask=None, other=None):
    """ref[index] where `mask` is true, else `other` (without it: what is there). Masked blocks may reach beyond the array."""
    root, index = _root(ref, index)
    found = _padded(root._array, index)[index]
    if mask is None or other is None:
        return found
    return lax.select(_like(mask, found, np.dtype(bool)), found, _like(other, found, found.dtype))


def store(ref, index, val, *, mask=None):
    """ref[index] = val where `mask` is true. Masked blocks may reach beyond the array."""
    root, index = _root(ref, index)
    array = root._array
    padded = _padded(array, index)
    if mask is not None:
        old = padded[index]
        val = lax.select(_like(mask, old, np.dtype(bool)), _like(val, old, old.dtype), old)
    root._replace(padded.at[index].set(val)[tuple(map(slice, array.shape))])


def _root(ref, index):
    """(Ref, index) of what is read: of ref.at[i] it is the Ref, and i."""
    if index is None:
        return (ref.ref, ref.index) if isinstance(ref, View) else (ref, ...)
    return ref, _checked(ref, index)


def _like(x, other, dtype):
    """x in this dtype and the shape of `other`."""
    return lax.convert_element_type(broadcast_to(as_array(x), other.shape), dtype)


def _padded(x, index):
    """x with so many elements more that no Slice of the index has to be moved to fit."""
    items, axis, high = index if isinstance(index, tuple) else (index,), 0, [0] * x.ndim
    for k, item in enumerate(items):
        if item is Ellipsis:
            axis = x.ndim - (len(items) - 1 - k)
            continue
        if isinstance(item, Slice):
            high[axis] = item.size * item.stride
        axis += 1
    if not any(high):
        return x
    return lax.pad(x, uninitialized((), x.dtype), [(0, n, 0) for n in high])


# ---- calls ---------------------------------------------------------------------------------------------------


def pallas_call(kernel, out_shape, *, grid_spec=None, grid=(), in_specs=no_block_spec, out_specs=no_block_spec, scratch_shapes=(),
                input_output_aliases={}, debug=False, interpret=False, name=None, compiler_params=None,  # noqa: B006  as in JAX
                cost_estimate=None, metadata=None):  # fmt: skip
    """A function of arrays that calls kernel(*input refs, *output refs, *scratch refs) for each point of the grid.

    out_shape: a tree of ShapeDtypeStructs, the results. in_specs, out_specs: BlockSpecs, in trees like arguments and results.
    input_output_aliases: {number of an input: number of the result that begins with its value}. The other options are about
    hardware and say nothing here.
    """
    if grid_spec is not None:
        if grid or in_specs is not no_block_spec or out_specs is not no_block_spec or scratch_shapes:
            raise ValueError("pallas_call: give grid_spec, or grid, in_specs, out_specs and scratch_shapes, not both.")
        spec = grid_spec
    else:
        spec = GridSpec(grid, in_specs, out_specs, scratch_shapes)
    sizes = (
        spec.grid if isinstance(spec.grid, tuple) else tuple(spec.grid) if isinstance(spec.grid, list) else (spec.grid,)
    )

    def call(*args):
        return _run(kernel, out_shape, spec, tuple(map(operator.index, sizes)), dict(input_output_aliases), args)

    call.__name__ = name or getattr(kernel, "__name__", "kernel")
    return call


def _run(kernel, out_shape, spec, grid, aliases, args):
    args = tuple(as_array(x, "pallas_call", i) for i, x in enumerate(tree_flatten(args)[0]))
    scalars, arrays = args[: spec.num_scalar_prefetch], args[spec.num_scalar_prefetch :]
    outs, structure = tree_flatten(
        out_shape if not isinstance(out_shape, list) else tuple(out_shape), is_leaf=_has_shape
    )
    into = {result: number - len(scalars) for number, result in aliases.items()}
    blocks = [_Blocks(s, x) for s, x in zip(_specs(spec.in_specs, len(arrays), "in_specs"), arrays)]
    results = [
        _Blocks(s, arrays[into[k]] if k in into else uninitialized(out.shape, out.dtype))
        for k, (s, out) in enumerate(zip(_specs(spec.out_specs, len(outs), "out_specs"), outs))
    ]
    positional, named = _scratches(spec.scratch_shapes)

    def point(number, carry):
        """The kernel at one point of the grid."""
        place = _unraveled(number, grid)
        values, kept, kept_named = carry
        prefetched = [Ref(x) for x in scalars]
        origins = [b.origin(place, prefetched) for b in (*blocks, *results)]
        refs = [Ref(b.read(b.array, o)) for b, o in zip(blocks, origins)]
        out_refs = [Ref(b.read(x, o)) for b, x, o in zip(results, values, origins[len(blocks) :])]
        scratch, scratch_named = [Ref(x) for x in kept], {k: Ref(x) for k, x in kept_named.items()}
        with _at(grid, place):
            kernel(*prefetched, *refs, *out_refs, *scratch, **scratch_named)
        values = [b.written(x, o, ref[...]) for b, x, o, ref in zip(results, values, origins[len(blocks) :], out_refs)]
        return values, [ref[...] for ref in scratch], {k: ref[...] for k, ref in scratch_named.items()}

    carry = [b.array for b in results], positional, named
    points = math.prod(grid)
    values, _, _ = point(np.int32(0), carry) if points == 1 else lax.fori_loop(0, points, point, carry)
    return tree_unflatten(structure, [b.result(x) for b, x in zip(results, values)])


def _has_shape(x):
    return hasattr(x, "shape") and hasattr(x, "dtype")


def _specs(specs, n, what):
    """One BlockSpec for each of n arrays."""
    if isinstance(specs, BlockSpec) and (specs is no_block_spec or n == 1):
        return [specs] * n
    found = tree_flatten(specs, is_leaf=lambda x: x is None or isinstance(x, BlockSpec))[0]
    if len(found) != n:
        raise ValueError(f"pallas_call: {what} has {len(found)} BlockSpecs for {n} arrays.")
    return [no_block_spec if s is None else s for s in found]


def _scratches(shapes):
    """(values of the scratch Refs, those with names)"""
    made = lambda kind: uninitialized(kind.shape, kind.dtype)
    if isinstance(shapes, dict):
        return [], {name: made(kind) for name, kind in shapes.items()}
    return [made(kind) for kind in shapes], {}


@contextlib.contextmanager
def _at(grid, place):
    _grids.append((grid, place))
    try:
        yield
    finally:
        _grids.pop()


def _unraveled(number, grid):
    """The place of a point in the grid."""
    place = []
    for n in reversed(grid):
        place.append(lax.rem(as_array(number), np.int32(n)))
        number = lax.div(as_array(number), np.int32(n))
    return tuple(reversed(place))


class _Blocks:
    """An array in blocks."""

    def __init__(self, spec, array):
        self.index_map, self.axes, self.shape = spec.index_map, spec.blocks(array.shape), array.shape
        self.sizes = tuple(axis.block_size for axis in self.axes)
        self.seen = tuple(axis.block_size for axis in self.axes if axis is not squeezed)
        self.padding = [
            (*axis.padding, 0) if isinstance(axis, Element) else (0, -n % axis.block_size if axis.block_size else 0, 0)
            for axis, n in zip(self.axes, array.shape)
        ]
        padded = any(low or high for low, high, _ in self.padding)
        self.array = lax.pad(array, uninitialized((), array.dtype), self.padding) if padded else array

    def origin(self, place, prefetched):
        """Where the block of this point of the grid begins."""
        if self.index_map is None:
            return [np.int32(0)] * len(self.axes)
        found = self.index_map(*place, *prefetched)
        found = found if isinstance(found, (tuple, list)) else (found,)
        if len(found) != len(self.axes):
            raise ValueError(
                f"BlockSpec: index_map gives {len(found)} numbers for an array with {len(self.axes)} axes."
            )
        return [
            lax.convert_element_type(as_array(i) * (1 if isinstance(axis, Element) else axis.block_size), default_int())
            for i, axis in zip(found, self.axes)
        ]

    def read(self, array, origin):
        """The block as the kernel sees it."""
        return lax.reshape(lax.dynamic_slice(array, origin, self.sizes), self.seen)

    def written(self, array, origin, block):
        """The array with this block."""
        return lax.dynamic_update_slice(array, lax.reshape(block, self.sizes), origin)

    def result(self, array):
        """The array without its padding."""
        starts = [low for low, _, _ in self.padding]
        return lax.slice(array, starts, [low + n for low, n in zip(starts, self.shape)])


# ---- arithmetic of sizes -----------------------------------------------------------------------------------


def cdiv(a, b):
    """a / b, rounded up."""
    return -(-a // b) if isinstance(a, int) and isinstance(b, int) else lax.div(as_array(a) + (b - 1), as_array(b))


def align_to(a, alignment):
    """The smallest multiple of `alignment` that is not below a."""
    return cdiv(a, alignment) * alignment


def next_power_of_2(x):
    """The smallest power of 2 that is not below the int x > 0."""
    if x < 0:
        raise ValueError("`next_power_of_2` requires a non-negative integer.")
    return 1 if x == 0 else 2 ** (x - 1).bit_length()


def strides_from_shape(shape):
    """How many elements lie between neighbours along each axis of a dense array."""
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def multiple_of(x, values):
    """x, of which it is promised that it is a multiple of `values`; no use is made of that."""
    return x


def empty(shape, dtype, *, out_sharding=None):
    """An array that is to be written first."""
    return uninitialized(shape, dtype)


def empty_like(x):
    """A tree of arrays of these shapes and dtypes that are to be written first."""
    leaves, structure = tree_flatten(x, is_leaf=_has_shape)
    return tree_unflatten(structure, [uninitialized(one.shape, one.dtype) for one in leaves])


def debug_print(fmt, *args):
    """Prints the values when the kernel runs; see jax.debug.print."""
    from ... import debug

    debug.print(fmt, *args)


from . import triton  # noqa: E402  its functions are made of those above
