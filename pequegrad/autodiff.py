"""`from pequegrad.autodiff import grads`"""

from . import fngrad, grad, grads, jvp, no_grad, value_and_grad, vjp

__all__ = ["fngrad", "grad", "grads", "jvp", "no_grad", "value_and_grad", "vjp"]
