"""Measurements against PyTorch and JAX: `make bench`. Never part of the tests."""
