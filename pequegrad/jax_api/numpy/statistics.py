"""Histograms, quantiles, correlation, interpolation, polynomials."""

__all__ = []
