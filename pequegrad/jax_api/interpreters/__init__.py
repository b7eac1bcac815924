"""jax.interpreters: the rules of primitives that libraries define, and partial evaluation."""

from . import ad, batching, mlir, partial_eval

__all__ = ["ad", "batching", "mlir", "partial_eval"]
