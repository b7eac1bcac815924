"""Shapes, joining, splitting, padding, repeating."""

__all__ = []
