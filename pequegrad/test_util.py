"""check_grads: derivatives against finite differences, for tests of functions and of one's own rules."""

import functools

import numpy as np

from .core.dtype import is_float
from .core.errors import ArgumentError, GradientCheckError, ShapeError
from .core.tensor import Tensor
from .ops.creation import as_tensor
from .transforms.gradients import jvp, vjp
from .transforms.tree import flatten

# dtype -> (tolerance, step): the step balances the error of the formula (step ** 2) with that of rounding (eps / step)
_DEFAULTS = {"float64": (1e-6, 1e-5), "float32": (1e-2, 5e-3), "float16": (1e-1, 1e-1), "bfloat16": (2e-1, 2e-1)}


def check_grads(function, args, order=1, modes=("fwd", "rev"), atol=None, rtol=None, eps=None):
    """Compares the derivatives of `function` at `args`, to the given order, along fixed random directions.

    function: takes and returns pytrees of tensors; only floating ones are differentiated. args: a tuple.
    modes: "fwd": jvp against the finite difference (f(x + eps v) - f(x - eps v)) / (2 eps); "rev": vjp against jvp
    (without "fwd": against finite differences). Higher orders check the derivatives' own derivatives in the same way.
    atol, rtol, eps: by default from the dtype, 1e-6 for float64 and 1e-2 for float32. A function must be smooth within
    eps of args.

    Raises GradientCheckError, an AssertionError, which names argument, order, mode, both numbers and the tolerance.

    >>> pg.check_grads(lambda x: pg.sin(x) * x, (pg.Tensor([1.0, 2.0]),), order=2)
    """
    if not isinstance(args, (tuple, list)):
        raise ArgumentError(
            f"check_grads: args must be a tuple, got {type(args).__name__}.", fix="check_grads(f, (x,))"
        )
    unknown = [mode for mode in modes if mode not in ("fwd", "rev")]
    if unknown or not modes or order < 1:
        raise ArgumentError(
            f"check_grads: modes={modes!r}, order={order!r}.", fix='modes from "fwd", "rev"; order from 1.'
        )
    leaves, structure = flatten(tuple(args))
    leaves = [as_tensor(x) if isinstance(x, (float, int, np.ndarray, np.generic)) else x for x in leaves]
    names = [f"argument {i}" for i, arg in enumerate(args) for _ in flatten(arg)[0]]
    chosen = [i for i, x in enumerate(leaves) if isinstance(x, Tensor) and is_float(x.dtype)]
    if not chosen:
        raise ArgumentError("check_grads: no argument has a floating dtype.", fix="pass Tensor([1.0, ...]).")

    def on_floats(*xs):
        """`function` of the floating leaves alone, with its floating results."""
        given = list(leaves)
        for i, x in zip(chosen, xs):
            given[i] = x
        results = flatten(function(*structure.unflatten(given)))[0]
        return [r for r in results if isinstance(r, Tensor) and is_float(r.dtype)]

    settings = {"modes": tuple(modes), "atol": atol, "rtol": rtol, "eps": eps, "highest": order}
    _check(on_floats, [leaves[i] for i in chosen], [names[i] for i in chosen], 1, (), settings)


def _check(function, xs, names, order, path, settings):
    """The derivatives of `function` in each of xs alone; then, up to the highest order, those of its jvp and its vjp.

    path: the modes of the derivatives that `function` already is.
    """
    modes, rng = settings["modes"], np.random.default_rng(order)
    outs = function(*xs)
    weights = [Tensor(rng.normal(size=y.shape), y.dtype, y.device) for y in outs]
    tolerance = max(_DEFAULTS[v.dtype.name][0] for v in (*xs, *outs))
    directions = []
    for i, (x, name) in enumerate(zip(xs, names)):
        alone = lambda v: function(*xs[:i], v, *xs[i + 1 :])
        direction, change = _finite_difference(alone, x, rng, settings["eps"])
        directions.append(direction)
        compare = functools.partial(_compare, tolerance, settings, f"order {order}{_below(path)}", name)
        other = "finite difference"
        if "fwd" in modes:
            found = [_values(t) for t in jvp(alone, (x,), (direction,))[1]]
            for k, (a, b) in enumerate(zip(found, change)):
                compare("fwd", f"jvp of result {k}", a, other, b, np.abs(b))
            change, other = found, "jvp"
        if "rev" in modes:
            (gradient,) = vjp(alone, x)[1](weights)
            if gradient.shape != x.shape:
                raise ShapeError(
                    f"check_grads: the vjp of {name} has shape {list(gradient.shape)}, it {list(x.shape)}."
                )
            products = [_values(w) * c for w, c in zip(weights, change)]
            expected = np.sum([np.sum(p) for p in products])
            terms = np.sum([np.sum(np.abs(p)) for p in products])  # the sum has their errors, however small it is
            compare("rev", "vjp", np.sum(_values(gradient) * _values(direction)), other, expected, terms)
    if order == settings["highest"]:
        return
    if "fwd" in modes:
        forward = lambda *xs: jvp(function, xs, tuple(directions))[1]
        _check(forward, xs, names, order + 1, (*path, "fwd"), settings)
    if "rev" in modes:
        reverse = lambda *xs: list(vjp(function, *xs)[1](weights))
        _check(reverse, xs, names, order + 1, (*path, "rev"), settings)


def _finite_difference(function, x, rng, eps):
    """(a random direction, how each result of `function` changes along it), the changes as float64 arrays."""
    step = _DEFAULTS[x.dtype.name][1] if eps is None else eps
    v = rng.normal(size=x.shape)
    points = [(_values(x) + sign * step * v).astype(x.dtype) for sign in (1, -1)]
    ahead, behind = ([_values(y) for y in function(Tensor(point, device=x.device))] for point in points)
    # the difference of the rounded points is the direction in which the function was really moved
    direction = (points[0].astype("f8") - points[1].astype("f8")) / (2 * step)
    return Tensor(direction, x.dtype, x.device), [(a - b) / (2 * step) for a, b in zip(ahead, behind)]


def _values(x):
    return x.numpy().astype("f8")


def _below(path):
    return f" of the derivative by {' of '.join(reversed(path))}" if path else ""


def _compare(tolerance, settings, order, name, mode, what, found, other, expected, magnitude):
    """Raises GradientCheckError at the element that differs most beyond atol + rtol * magnitude, or is nan alone."""
    rtol = tolerance if settings["rtol"] is None else settings["rtol"]
    atol = tolerance if settings["atol"] is None else settings["atol"]
    found, expected = np.asarray(found), np.asarray(expected)
    allowed = atol + rtol * np.asarray(magnitude)
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        excess = np.where(same, 0.0, np.nan_to_num(np.abs(found - expected) - allowed, nan=np.inf))
    if not excess.size or excess.max() <= 0:
        return
    at = np.unravel_index(excess.argmax(), excess.shape)
    place = f" at {[int(k) for k in at]}" if at else ""
    raise GradientCheckError(
        f"check_grads: {order}, mode {mode!r}, {name}: the {what}{place} is {float(found[at])!r}, the {other} is "
        f"{float(expected[at])!r}; they may differ by {float(allowed[at]):.3g} (atol={atol}, rtol={rtol}).",
        fix="check the rule; if the function is not smooth here use other arguments, or another eps.",
    )
