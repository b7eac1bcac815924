"""Runs the same call on pequegrad.jax_api and on JAX, and compares value, dtype, weak type, shape, or the error.

    agree("numpy.sin", x)                        eager, under jit, its gradient, and under vmap
    agree("numpy.clip", x, 0.0, max=1.0, modes=("eager", "jit"))
    agree(lambda jax, x: jax.lax.scan(f, 0.0, x), x)     any program, given the package

The arguments are NumPy arrays, numbers, and what else the function takes; floating arrays are differentiated.
"""

import functools

import jax
import numpy as np

import pequegrad.jax_api as pj

EAGER, JIT, GRAD, VMAP = MODES = ("eager", "jit", "grad", "vmap")


def find(root, path):
    """The object that `path` ("numpy.linalg.norm") names in pequegrad.jax_api or in jax; a program with its package."""
    if callable(path):
        return functools.partial(path, root)
    return functools.reduce(getattr, path.split("."), root)


def agree(path, *args, modes=MODES, rtol=None, atol=None, exact=False, **kwargs):
    """Asserts that the function at `path` does the same in both libraries, in each of the modes.

    Arrays among the positional arguments are traced, all else is static. rtol, atol: of values; default a few ulp of the
    result's dtype. exact: equal bits. modes: "grad" is left out if no argument or no result is floating.
    """
    arrays = [i for i, a in enumerate(args) if isinstance(a, np.ndarray)]
    ours, theirs = (functools.partial(_call, find(root, path), args, arrays, kwargs) for root in (pj, jax))
    given = [args[i] for i in arrays]
    for mode in modes:
        runners = {EAGER: _eager, JIT: _jit, GRAD: _grad, VMAP: _vmap}
        if mode != EAGER and not arrays:
            continue
        if mode == GRAD and not any(a.dtype.kind in "fc" for a in given):
            continue
        expected, error = _result(runners[mode], jax, theirs, given)
        found, own_error = _result(runners[mode], pj, ours, given)
        what = f"{path} ({mode})"
        if error is not None:
            assert own_error is not None, (
                f"{what}: JAX raises {type(error).__name__}: {error}; pequegrad returns {found}"
            )
            assert _same_kind(own_error, error), f"{what}: JAX raises {error!r}, pequegrad {own_error!r}"
            continue
        if own_error is not None:
            raise AssertionError(f"{what}: pequegrad raises {own_error!r}; JAX returns {expected}") from own_error
        same(found, expected, what, rtol, atol, exact)


def table(cases, full=False):
    """A decorator for a test of (name, args, kwargs, modes): one run for each (name, args) or (name, args, kwargs) of `cases`.

    full: all cases in all modes. Else the first case of each name runs eagerly and in one other mode, and of the others only those
    with a keyword that none before has, eagerly.
    """
    import pytest

    rows, seen = [], {}
    for name, args, *kwargs in cases:
        kwargs = kwargs[0] if kwargs else {}
        label = "-".join(str(v)[:12] for v in (name, *args[1:], *kwargs.items()))
        modes = MODES if full else (EAGER,) if name in seen else (EAGER, MODES[1 + len(seen) % 3])
        if full or name not in seen or not seen[name].issuperset(kwargs):
            rows.append(pytest.param(name, args, kwargs, modes, id=label))
        seen.setdefault(name, set()).update(kwargs)
    return pytest.mark.parametrize("name, args, kwargs, modes", rows)


def _call(function, args, positions, kwargs, *arrays):
    args = list(args)
    for i, a in zip(positions, arrays):
        args[i] = a
    return function(*args, **kwargs)


def _eager(root, function, arrays):
    return function(*map(root.numpy.asarray, arrays))


def _jit(root, function, arrays):
    return root.jit(function)(*map(root.numpy.asarray, arrays))


def _vmap(root, function, arrays):
    return root.vmap(function)(*[root.numpy.asarray(np.stack([a, a[..., ::-1] if a.ndim else a])) for a in arrays])


def _grad(root, function, arrays):
    floating = tuple(i for i, a in enumerate(arrays) if a.dtype.kind == "f")

    def total(*arrays):
        leaves = [x for x in jax.tree_util.tree_leaves(function(*arrays)) if _is_floating(x)]
        if not leaves:
            return root.numpy.sum(arrays[floating[0]] * 0)
        # a weight for each element, so that a permutation of the result shows
        sums = [root.numpy.sum((x.real if x.dtype.kind == "c" else x) * _weights(root, x)) for x in leaves]
        return functools.reduce(lambda a, b: a + b, sums)

    if not floating:
        return ()
    gradient = root.grad(total, argnums=floating)
    arrays = [root.numpy.asarray(a) for a in arrays]
    if root is jax:  # one compilation instead of one for each of its operations, unless values are needed
        try:
            return jax.jit(gradient)(*arrays)
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerIntegerConversionError):
            pass
    return gradient(*arrays)


def _weights(root, x):
    return root.numpy.asarray(np.cos(np.arange(x.size).reshape(x.shape) + 1.0).astype(np.float32))


def _is_floating(x):
    return hasattr(x, "dtype") and np.dtype(x.dtype).kind in "fcV"


def _result(runner, root, function, arrays):
    """(value, None) or (None, error)"""
    try:
        return runner(root, function, arrays), None
    except Exception as error:  # whatever it is, the other library must raise one of its kind
        return None, error


def _same_kind(own, other):
    """True if the errors share a built-in class that says more than Exception. JAX's assertions mean no more than that."""
    if isinstance(other, AssertionError):
        return True
    shared = set(type(own).__mro__) & set(type(other).__mro__) - {Exception, BaseException, object}
    return bool(shared)


def same(found, expected, what="", rtol=None, atol=None, exact=False):
    """Asserts that two pytrees of arrays have one structure, and leaves of one shape, dtype, weak type and (nearly) value."""
    ours, theirs = jax.tree_util.tree_leaves(found), jax.tree_util.tree_leaves(expected)
    assert len(ours) == len(theirs), f"{what}: {len(ours)} leaves, JAX has {len(theirs)}"
    for a, b in zip(ours, theirs):
        if not hasattr(b, "dtype"):
            assert a == b, f"{what}: {a!r}, JAX has {b!r}"
            continue
        assert a.shape == b.shape, f"{what}: shape {a.shape}, JAX has {b.shape}"
        assert np.dtype(a.dtype) == np.dtype(b.dtype), f"{what}: dtype {a.dtype}, JAX has {b.dtype}"
        own_weak, weak = getattr(a, "weak_type", False), getattr(b, "weak_type", False)
        assert own_weak == weak, f"{what}: weak_type {own_weak}, JAX has {weak}"
        x, y = np.asarray(a), np.asarray(b)
        if exact or x.dtype.kind in "biu":
            np.testing.assert_array_equal(x, y, err_msg=what)
            continue
        eps = 2.0**-7 if x.dtype.name == "bfloat16" else float(np.finfo(x.dtype).eps)
        if x.dtype.kind == "V" or x.dtype.itemsize == 2:
            x, y = x.astype(np.float32), y.astype(np.float32)
        scale = np.max(np.abs(y[np.isfinite(y)]), initial=0.0)
        np.testing.assert_allclose(
            x, y, rtol=16 * eps if rtol is None else rtol, atol=4 * eps * scale if atol is None else atol, err_msg=what
        )
