"""Sorting, searching, sets."""

__all__ = []
