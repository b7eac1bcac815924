"""Elementwise functions (ufuncs) of jax.numpy."""

__all__ = []
