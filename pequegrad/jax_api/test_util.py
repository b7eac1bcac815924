"""jax.test_util: derivatives compared with differences."""

import functools

import numpy as np

from . import derivatives
from .tree_util import tree_leaves, tree_map

__all__ = ["check_grads", "check_jvp", "check_vjp"]

_TOLERANCE = {
    "float16": 1e-1,
    "bfloat16": 1e-1,
    "float32": 1e-2,
    "complex64": 1e-2,
    "float64": 1e-5,
    "complex128": 1e-5,
}
_EPS = 1e-4


def _tolerance(tree, given):
    if given is not None:
        return given
    return max((_TOLERANCE.get(x.dtype.name, 0.0) for x in tree_leaves(tree) if hasattr(x, "dtype")), default=1e-2)


def _close(found, expected, atol, rtol, what, err_msg):
    for a, b in zip(tree_leaves(found), tree_leaves(expected), strict=True):
        x, y = (np.asarray(v).astype(np.complex128) for v in (a, b))
        if not np.allclose(x, y, atol=_tolerance(b, atol), rtol=_tolerance(b, rtol)):
            raise AssertionError(f"{err_msg}{what}: {a} instead of {b}")


def _directions(tree, rng):
    """Random tangents of the leaves, of length 1 together."""

    def one(x):
        x = np.asarray(x)
        if x.dtype.kind in "biu":
            return np.zeros(x.shape, derivatives.FLOAT0)
        value = rng.normal(size=x.shape)
        return (value + 1j * rng.normal(size=x.shape) if x.dtype.kind == "c" else value).astype(x.dtype)

    return tree_map(one, tree)


def _moved(tree, directions, by):
    """tree + by * directions"""
    return tree_map(
        lambda x, t: x if t.dtype == derivatives.FLOAT0 else (np.asarray(x) + by * t).astype(t.dtype), tree, directions
    )


def _difference(f, args, directions, eps):
    after, before = f(*_moved(args, directions, eps)), f(*_moved(args, directions, -eps))
    return tree_map(lambda a, b: (np.asarray(a) - np.asarray(b)) / (2 * eps), after, before)


def _as_numpy(tree):
    return tree_map(np.asarray, tree)


def check_jvp(f, f_jvp, args, atol=None, rtol=None, eps=_EPS, err_msg=""):
    """AssertionError if f_jvp(args, tangents) is not (f(*args), its difference along random tangents)."""
    args = tuple(_as_numpy(args))
    directions = _directions(args, np.random.default_rng(0))
    out, moved = f_jvp(args, directions)
    err_msg = f"{err_msg}: " if err_msg else ""
    _close(out, f(*args), atol, rtol, "the value", err_msg)
    _close(moved, _difference(f, args, directions, eps), atol, rtol, "the tangent", err_msg)


def check_vjp(f, f_vjp, args, atol=None, rtol=None, eps=_EPS, err_msg=""):
    """AssertionError if f_vjp(*args) is not (f(*args), pull), where pull agrees with differences of f."""
    args, rng = tuple(_as_numpy(args)), np.random.default_rng(0)
    out, pull = f_vjp(*args)
    err_msg = f"{err_msg}: " if err_msg else ""
    _close(out, f(*args), atol, rtol, "the value", err_msg)
    directions, cotangent = _directions(args, rng), _directions(out, rng)
    found = pull(cotangent)
    if len(args) == 1 and not isinstance(found, tuple):
        found = (found,)
    _close(
        _dot(directions, found), _dot(_difference(f, args, directions, eps), cotangent), atol, rtol, "the cotangent", err_msg
    )  # fmt: skip


def _dot(a, b):
    total = 0.0
    for x, y in zip(tree_leaves(a), tree_leaves(b), strict=True):
        if y.dtype != derivatives.FLOAT0 and x.dtype != derivatives.FLOAT0:
            total += np.sum(np.asarray(x).astype(np.complex128) * np.asarray(y).astype(np.complex128)).real
    return np.float32(total)


def check_grads(f, args, order, modes=("fwd", "rev"), atol=None, rtol=None, eps=None):
    """AssertionError if derivatives of f at args, up to this order, are not those that differences show. modes: "fwd", "rev"."""
    eps = _EPS if eps is None else eps
    modes = (modes,) if isinstance(modes, str) else tuple(modes)

    def descend(f, args, order, path):
        if "fwd" in modes:
            check_jvp(f, functools.partial(derivatives.jvp, f), args, atol, rtol, eps, f"JVP of {path}")
            if order > 1:

                def forward(*args):
                    directions = _directions(_as_numpy(given), np.random.default_rng(order))
                    return derivatives.jvp(f, args, directions)

                given = args
                descend(forward, args, order - 1, f"the derivative of {path}")
        if "rev" in modes:
            check_vjp(f, functools.partial(derivatives.vjp, f), args, atol, rtol, eps, f"VJP of {path}")
            if order > 1:

                def backward(*args):
                    out, pull = derivatives.vjp(f, *args)
                    cotangent = tree_map(lambda x: np.ones(x.shape, x.dtype), out)
                    return [x for x in tree_leaves(pull(cotangent)) if x.dtype != derivatives.FLOAT0]

                descend(backward, args, order - 1, f"the gradient of {path}")

    descend(f, tuple(args), order, getattr(f, "__name__", "the function"))
