"""Neural networks as objects: modules with parameters, built on pequegrad.jax_api."""

from .copies import apply_to_module
from .layers import Dropout, Linear, ReLU, Sequential
from .module import StatefulModule

__all__ = ["Dropout", "Linear", "ReLU", "Sequential", "StatefulModule", "apply_to_module"]
