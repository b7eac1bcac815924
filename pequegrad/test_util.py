"""check_grads: derivatives against finite differences, for tests of functions and of one's own rules."""

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
    rng = np.random.default_rng(order)
    outs = [_values(y) for y in function(*xs)]
    weights = [rng.normal(size=y.shape) for y in outs]
    like = [(y.dtype, y.device) for y in function(*xs)]
    cotangents = lambda: [Tensor(w.astype(dtype), device=device) for w, (dtype, device) in zip(weights, like)]
    directions = []
    for i, (x, name) in enumerate(zip(xs, names)):
        tolerance, step = _DEFAULTS[x.dtype.name]
        step = step if settings["eps"] is None else settings["eps"]
        where = {"name": name, "order": order, "path": path, "settings": settings}
        alone = lambda v: function(*xs[:i], v, *xs[i + 1 :])  # noqa: B023
        # the difference of the rounded points is the direction in which the function is really moved
        v = rng.normal(size=x.shape)
        ahead, behind = ((_values(x) + sign * step * v).astype(x.dtype) for sign in (1, -1))
        v = ((ahead.astype("f8") - behind.astype("f8")) / (2 * step)).astype(x.dtype)
        directions.append(Tensor(v, device=x.device))
        tolerance = max([tolerance, *(_DEFAULTS[dtype.name][0] for dtype, _ in like)])
        ends = [[_values(y) for y in alone(Tensor(point, device=x.device))] for point in (ahead, behind)]
        change = [(a - b) / (2 * step) for a, b in zip(*ends)]
        if "fwd" in settings["modes"]:
            outputs, tangents = jvp(alone, (x,), (directions[-1],))
            found = [_values(t) for t in tangents]
            for k, (a, b, y) in enumerate(zip(found, change, outputs)):
                _compare(a, b, tolerance, "fwd", "jvp", "finite difference", {**where, "result": k, "shape": y.shape})
            change = found
        if "rev" in settings["modes"]:
            _, pullback = vjp(alone, x)
            (gradient,) = pullback(cotangents())
            if gradient.shape != x.shape:
                raise ShapeError(
                    f"check_grads: the vjp of {name} has shape {list(gradient.shape)}, not {list(x.shape)}."
                )
            by_rule = np.sum(_values(gradient) * v.astype("f8"))
            products = [w * c for w, c in zip(weights, change)]
            other = "jvp" if "fwd" in settings["modes"] else "finite difference"
            # a sum of many terms has the error of its largest
            scale = max([1.0, *(float(np.abs(p).sum()) for p in products)])
            expected = np.sum([p.sum() for p in products])
            _compare(by_rule, expected, tolerance, "rev", "vjp", other, {**where, "scale": scale})
    if order < settings["highest"]:
        if "fwd" in settings["modes"]:
            forward = lambda *xs: jvp(function, tuple(xs), tuple(directions))[1]
            _check(forward, xs, names, order + 1, (*path, "fwd"), settings)
        if "rev" in settings["modes"]:
            reverse = lambda *xs: list(vjp(function, *xs)[1](cotangents()))
            _check(reverse, xs, names, order + 1, (*path, "rev"), settings)


def _values(x):
    return x.numpy().astype("f8")


def _compare(found, expected, tolerance, mode, what, other, where):
    """Raises GradientCheckError at the worst element that differs by more than atol + rtol * |expected|."""
    settings = where["settings"]
    rtol = tolerance if settings["rtol"] is None else settings["rtol"]
    atol = tolerance if settings["atol"] is None else settings["atol"]
    allowed = (atol + rtol * np.abs(expected)) * where.get("scale", 1.0)
    excess = np.abs(found - expected) - allowed
    excess = np.where(np.isnan(excess) & ~(np.isnan(found) & np.isnan(expected)), np.inf, excess)
    if not np.size(excess) or not np.nanmax(np.append(excess, -np.inf)) > 0:
        return
    at = np.unravel_index(np.nanargmax(excess), np.shape(excess))
    element = f" of result {where['result']} at {[int(k) for k in at]}" if "result" in where else ""
    below = f" of the derivative by {' of '.join(reversed(where['path']))}" if where["path"] else ""
    raise GradientCheckError(
        f"check_grads: order {where['order']}{below}, mode {mode!r}, {where['name']}: the {what}{element} is "
        f"{float(np.asarray(found)[at])!r}, the {other} is {float(np.asarray(expected)[at])!r}; they may differ by "
        f"{float(np.asarray(allowed)[at]):.3g} (atol={atol}, rtol={rtol}).",
        fix="check the rule; if the function is not smooth here use other arguments, or another eps.",
    )
