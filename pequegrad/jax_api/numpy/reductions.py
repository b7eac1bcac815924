"""Sums, means, extrema and their nan-ignoring forms."""

__all__ = []
