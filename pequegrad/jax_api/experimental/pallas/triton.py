"""jax.experimental.pallas.triton: masked access to Refs."""

from . import load as _load
from . import store as _store

__all__ = ["CompilerParams", "load", "store"]


class CompilerParams:
    """How a GPU would run a kernel, which does not matter here."""

    def __init__(self, num_warps=None, num_stages=None):
        self.num_warps, self.num_stages = num_warps, num_stages


def load(ref, *, mask=None, other=None, cache_modifier=None, eviction_policy=None, volatile=False):
    """The value of a Ref (ref.at[index]: of that part) where `mask` is true, else `other`. How caches are to treat it does not matter."""
    return _load(ref, mask=mask, other=other)


def store(ref, val, *, mask=None, eviction_policy=None):
    """Writes `val` to a Ref (ref.at[index]: to that part) where `mask` is true."""
    _store(ref, None, val, mask=mask)
