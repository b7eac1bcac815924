"""jax.shard_map, jax.smap, jax.pmap: functions of each device's part of the arguments, over the one device."""

import functools

import numpy as np

from ..core.errors import ArgumentError
from ..core.node import face
from ..primitives.shape import reshape
from ..transforms.tree import flatten, spread_prefix, tree_map
from ..transforms.vmap import vmap
from .sharding import PartitionSpec, get_mesh, names_of

__all__ = ["pmap", "shard_map", "smap"]


class _Infer:
    def __repr__(self):
        return "jax.sharding.Infer"


Infer = _Infer()


def shard_map(f=None, /, *, out_specs, in_specs=Infer, mesh=None, axis_names=frozenset(), check_vma=True):
    """`f` on each device's part of the arguments, of which there is one: the whole. Collectives may name the mesh's axes.

    in_specs, out_specs: trees of PartitionSpecs that are prefixes of the arguments and of the result.
    """
    if f is None:
        return functools.partial(
            shard_map, out_specs=out_specs, in_specs=in_specs, mesh=mesh, axis_names=axis_names, check_vma=check_vma
        )
    if not callable(f):
        raise ArgumentError(f"shard_map takes a function, got {f!r}.")

    @functools.wraps(f)
    def mapped(*args):
        where = get_mesh() if mesh is None else mesh
        if where.size != 1:
            raise ValueError(f"shard_map needs a mesh of the one device, got {where!r}.")
        names = set(axis_names) or set(where.axis_names)
        if in_specs is not Infer:
            specs = (
                in_specs
                if isinstance(in_specs, tuple) and not isinstance(in_specs, PartitionSpec)
                else (in_specs,) * len(args)
            )
            if len(specs) != len(args):
                raise ValueError(f"shard_map: {len(specs)} in_specs for {len(args)} arguments.")
            _check_specs("in_specs", specs, args, where)
        with face(True):
            run = lambda: f(*args)
            for name in [n for n in where.axis_names if n in names]:
                run = _named_axis(run, name)
            result = run()
        _check_specs("out_specs", out_specs, result, where)
        return result

    return mapped


def _named_axis(run, name):
    """run() where collectives may name an axis of size 1."""

    def over():
        return tree_map(lambda x: reshape(x, shape=x.shape[1:]), vmap(run, (), 0, name, 1)())

    return over


def _check_specs(what, specs, values, mesh):
    """ValueError if a PartitionSpec names what the mesh has not, or more axes than an array has."""
    from .tree_util import broadcast_prefix, tree_leaves

    is_spec = lambda x: isinstance(x, PartitionSpec) or x is None
    if not tree_leaves(values):
        return
    spread = broadcast_prefix(specs, values, is_leaf=is_spec)
    for spec, value in zip(spread, tree_leaves(values, is_leaf=lambda x: x is None)):
        if spec is None or value is None:
            continue
        if not isinstance(spec, PartitionSpec):
            raise TypeError(f"shard_map: {what} must be a tree of PartitionSpecs, got {spec!r}.")
        if unknown := set(names_of(spec)) - set(mesh.axis_names):
            raise ValueError(f"shard_map: {what} {spec} names {sorted(unknown)}; the mesh has {mesh.axis_names}.")
        if len(spec) > np.ndim(value):
            raise ValueError(
                f"shard_map: {what} {spec} has more entries than an array of shape {np.shape(value)} has axes."
            )


def smap(f=None, /, *, in_axes=Infer, out_axes, axis_name):
    """`f` on each device's part along one axis of the mesh; in_axes, out_axes as in vmap."""
    if f is None:
        return functools.partial(smap, in_axes=in_axes, out_axes=out_axes, axis_name=axis_name)
    return functools.wraps(f)(lambda *args: _named_axis(lambda: f(*args), axis_name)())


def pmap(fun, axis_name=None, *, in_axes=0, out_axes=0, static_broadcasted_argnums=(), devices=None, backend=None,
         axis_size=None, donate_argnums=()):  # fmt: skip
    """`fun` over an axis with one element for each device, that is with one element; compiled."""
    from .jitting import jit
    from .transforms import vmap as mapped_over

    static = (
        {static_broadcasted_argnums} if isinstance(static_broadcasted_argnums, int) else set(static_broadcasted_argnums)
    )
    if axis_size not in (None, 1):
        raise ValueError(f"pmap: axis_size {axis_size} is more than the one device.")

    @functools.wraps(fun)
    def run(*args, **kwargs):
        positions = [i for i in range(len(args)) if i not in static]

        def call(*moving, **kwargs):
            given = list(args)
            for i, x in zip(positions, moving):
                given[i] = x
            return fun(*given, **kwargs)

        axes = tuple(in_axes[i] for i in positions) if isinstance(in_axes, (tuple, list)) else in_axes
        moving = [args[i] for i in positions]
        _check_one_device(moving, axes)
        return mapped_over(call, axes, out_axes, axis_name, 1)(*moving, **kwargs)

    return jit(run, static_argnums=tuple(static), donate_argnums=donate_argnums)


def _check_one_device(args, in_axes):
    axes = tuple(in_axes) if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
    for x, axis in zip(flatten(tuple(args))[0], spread_prefix(axes, tuple(args), "pmap", "in_axes")):
        if axis is not None and np.ndim(x) and np.shape(x)[axis] != 1:
            raise ValueError(f"pmap: the mapped axis has {np.shape(x)[axis]} elements, there is 1 device.")
