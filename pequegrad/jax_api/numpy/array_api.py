"""What jax.numpy says of itself as a namespace of the Array API standard. https://data-apis.org/array-api/2024.12/"""

import numpy as np

from ...core import dtype as dtypes
from ...core.device import device as devices
from ..convert import canonical
from .data_types import isdtype

__array_api_version__ = "2024.12"

_KINDS = (
    "bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric",
)  # fmt: skip


class ArrayNamespaceInfo:
    """Capabilities, dtypes and devices."""

    def capabilities(self):
        """What depends on values: sizes do not, inside traced functions."""
        return {"boolean indexing": False, "data-dependent shapes": False, "max dimensions": 32}

    def default_device(self):
        """None: whichever jax_default_device says."""
        return None

    def devices(self):
        """Where arrays can be."""
        return [None, devices.cpu]

    def default_dtypes(self, *, device=None):
        """Kind -> dtype of arrays that are made without one."""
        return {
            "real floating": dtypes.default_float(), "complex floating": dtypes.default_complex(),
            "integral": dtypes.default_int(), "indexing": dtypes.default_int(),
        }  # fmt: skip

    def dtypes(self, *, device=None, kind=None):
        """Name -> dtype of all dtypes of the standard, or of those of a kind (or one of several)."""
        kinds = kind if isinstance(kind, tuple) or kind is None else (kind,)
        if unknown := [k for k in kinds or () if k not in _KINDS]:
            raise KeyError(unknown[0])
        found = [np.dtype(name) for name in dtypes.NAMES if name not in ("bfloat16", "float16")]
        found = [dtype for dtype in found if canonical(dtype) == dtype]
        return {dtype.name: dtype for dtype in found if kinds is None or isdtype(dtype, kinds)}


_info = ArrayNamespaceInfo()


def __array_namespace_info__():
    """An object with capabilities(), dtypes(), devices() ... of this namespace."""
    return _info


__all__ = ["__array_api_version__", "__array_namespace_info__"]
