"""vectorize, apply_along_axis, piecewise, select, and windows of signals."""

__all__ = []
