"""jnp.array and jnp.asarray: untracked arrays in JAX's 32-bit default."""

import numpy as np

from ..core import dtype as dtypes
from ..core.device import device as devices
from ..core.tensor import Tensor, tensor_from_numpy
from ..ops.arithmetic import astype

_NARROW = {"int64": "int32", "uint64": "uint32", "float64": "float32", "complex128": "complex64"}


def array(x, dtype=None, device=None):
    """A copy of `x` (numbers, lists, NumPy arrays, tensors) as an untracked array; 64-bit types become 32-bit."""
    if isinstance(x, Tensor):
        x = x.detach()
        return x if dtype is None else astype(x, dtype)
    data = np.asarray(x)
    wanted = dtypes.canonical(data.dtype if dtype is None else dtype)
    wanted = np.dtype(_NARROW.get(wanted.name, wanted)) if dtype is None or dtype in (int, float, complex) else wanted
    return tensor_from_numpy(data.astype(wanted), devices.cpu if device is None else devices(device))


asarray = array
