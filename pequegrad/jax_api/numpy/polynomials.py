"""Polynomials, given by their coefficients, the highest power first."""

__all__ = []
