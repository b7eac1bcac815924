"""Optimisers: optim.Adam(model.parameters(), lr=1e-3).step(gradients)."""

from .optimizer import Optimizer
from .rules import SGD, Adam

__all__ = ["SGD", "Adam", "Optimizer"]
