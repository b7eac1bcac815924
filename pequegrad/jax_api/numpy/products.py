"""Products of vectors and matrices, einsum."""

__all__ = []
