"""take, put, where, nonzero, indices, and their kin."""

__all__ = []
