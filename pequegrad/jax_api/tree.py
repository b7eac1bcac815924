"""jax.tree: the functions of jax.tree_util under short names."""

import dataclasses

from . import tree_util

_NAMES = """all broadcast flatten flatten_with_path leaves leaves_with_path map map_with_path reduce reduce_associative
    structure transpose unflatten""".split()
__all__ = list(_NAMES) + ["static"]

for _name in _NAMES:
    globals()[_name] = getattr(tree_util, f"tree_{_name}")


def static(**kwargs):
    """dataclasses.field for what register_dataclass is to treat as metadata."""
    metadata = {"static": True, **(kwargs.pop("metadata", None) or {})}
    return dataclasses.field(metadata=metadata, **kwargs)
