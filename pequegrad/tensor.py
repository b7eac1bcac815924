"""`from pequegrad.tensor import Tensor, dt, device`"""

from . import Tensor, device, dt

__all__ = ["Tensor", "device", "dt"]
