"""agree for many calls at once: JAX compiles them as one program, which takes much less time than one by one.

agree_together([("scipy.special.gammaln", (x,), {}), ("scipy.stats.norm.pdf", (x,), {"scale": 2.0})])
"""

import functools

import jax
import numpy as np

import pequegrad.jax_api as pj

from .agreement import _is_floating, _weights, find, same


def agree_together(cases, rtol=None, atol=None, grad=True, exact=False):
    """Asserts that the calls (path, arguments, keywords) do the same in both libraries: eagerly, under jit, their gradients with
    respect to the floating arrays among the arguments that have axes (unless not `grad`), and under vmap. 0-d arrays are traced."""
    given = [a for _, args, _ in cases for a in args if isinstance(a, np.ndarray)]
    expected = jax.jit(lambda *arrays: _calls(jax, cases, arrays))(*given)
    check = functools.partial(same, rtol=rtol, atol=atol, exact=exact)
    for mode, found in (
        ("eager", _calls(pj, cases, map(pj.numpy.asarray, given))),
        ("jit", pj.jit(lambda *arrays: _calls(pj, cases, arrays))(*given)),
    ):
        for (path, _, kwargs), a, b in zip(cases, found, expected):
            check(a, b, f"{path} {kwargs} ({mode})")
    for (path, args, kwargs), b in zip(cases, expected):
        arrays = [np.stack([a, a]) for a in args if isinstance(a, np.ndarray)]
        if arrays:
            call = lambda *arrays: _calls(pj, [(path, args, kwargs)], arrays)[0]
            found = pj.vmap(call)(*map(pj.numpy.asarray, arrays))
            for row in range(2):
                check(pj.tree_util.tree_map(lambda x: x[row], found), b, f"{path} {kwargs} (vmap)")
    floating = tuple(i for i, a in enumerate(given) if a.dtype.kind == "f" and a.ndim)
    if grad and floating:
        ours, theirs = (root.grad(functools.partial(_total, root, cases), argnums=floating) for root in (pj, jax))
        for number, a, b in zip(floating, ours(*given), jax.jit(theirs)(*given)):
            check(a, b, f"the gradient of {_owner(cases, number)}")


def _calls(root, cases, arrays):
    arrays, found = iter(arrays), []
    for path, args, kwargs in cases:
        args = [next(arrays) if isinstance(a, np.ndarray) else a for a in args]
        found.append(find(root, path)(*args, **kwargs))
    return found


def _total(root, cases, *arrays):
    leaves = [x for x in jax.tree_util.tree_leaves(_calls(root, cases, arrays)) if _is_floating(x)]
    # what is infinite or nan has no derivative to compare
    terms = [root.numpy.where(root.numpy.isfinite(x), x, 0).real * _weights(root, x) for x in leaves]
    return sum(root.numpy.sum(term) for term in terms)


def _owner(cases, number):
    """The call to which an array belongs."""
    owners = [f"{path} {kwargs}" for path, args, kwargs in cases for a in args if isinstance(a, np.ndarray)]
    return owners[number]
