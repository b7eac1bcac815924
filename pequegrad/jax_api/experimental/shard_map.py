"""jax.experimental.shard_map: jax.shard_map with its older signature."""

from ..device_maps import shard_map as _shard_map

__all__ = ["shard_map"]


def shard_map(f, mesh, in_specs, out_specs, check_rep=True, auto=frozenset()):
    """jax.shard_map; auto: the axes of the mesh that `f` does not name."""
    names = frozenset(mesh.axis_names) - frozenset(auto)
    return _shard_map(f, mesh=mesh, in_specs=in_specs, out_specs=out_specs, axis_names=names, check_vma=check_rep)
