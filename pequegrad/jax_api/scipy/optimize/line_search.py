"""A step length that satisfies the strong Wolfe conditions: Nocedal and Wright, "Numerical Optimization" (2006), algorithms 3.5, 3.6."""

from typing import Any, NamedTuple

from ... import lax
from ... import numpy as jnp
from ...derivatives import value_and_grad

_MOST_ZOOMS = 30


class Point(NamedTuple):
    """A step length with the value, slope and gradient there."""

    a: Any
    phi: Any
    slope: Any
    g: Any


class Result(NamedTuple):
    """The step that was found; status 0, or 1 if zooming failed, 3 if there were too many steps."""

    failed: Any
    nfev: Any
    a: Any
    f: Any
    g: Any
    status: Any


def _choose(which, new, old):
    """Each field of `new` where `which`, else of `old`."""
    return type(old)(*(jnp.where(which, x, y) for x, y in zip(new, old)))


def _cubic_minimum(a, fa, slope, b, fb, c, fc):
    """Of the cubic through three points, with this slope at the first."""
    db, dc = b - a, c - a
    scale = (db * dc) ** 2 * (db - dc)
    rb, rc = fb - fa - slope * db, fc - fa - slope * dc
    p = (dc**2 * rb - db**2 * rc) / scale
    q = (-(dc**3) * rb + db**3 * rc) / scale
    return a + (-q + jnp.sqrt(q * q - 3.0 * p * slope)) / (3.0 * p)


def _quadratic_minimum(a, fa, slope, b, fb):
    db = b - a
    return a - slope / (2.0 * ((fb - fa - slope * db) / db**2))


class _Zoom(NamedTuple):
    done: Any
    failed: Any
    j: Any
    low: Point
    high: Point
    a_before: Any  # the end that was given up last, for the cubic
    phi_before: Any
    best: Point


def _zoom(at, too_high, flat, low, high, start, wanted):
    """The point between low and high that satisfies the conditions; nothing happens unless `wanted`."""
    first = _Zoom(
        done=jnp.array(False), failed=jnp.array(False), j=0, low=low, high=high, a_before=(low.a + high.a) / 2.0,
        phi_before=(low.phi + high.phi) / 2.0, best=start,
    )  # fmt: skip

    def step(s):
        low, high = s.low, s.high
        width = high.a - low.a
        left, right = jnp.minimum(low.a, high.a), jnp.maximum(low.a, high.a)
        threshold = 1e-5 if width.dtype.itemsize < 8 else 1e-10
        failed = s.failed | (width <= threshold)
        cubic = _cubic_minimum(low.a, low.phi, low.slope, high.a, high.phi, s.a_before, s.phi_before)
        use_cubic = (s.j > 0) & (cubic > left + 0.2 * width) & (cubic < right - 0.2 * width)
        quadratic = _quadratic_minimum(low.a, low.phi, low.slope, high.a, high.phi)
        use_quadratic = ~use_cubic & (quadratic > left + 0.1 * width) & (quadratic < right - 0.1 * width)
        a = jnp.where(use_cubic, cubic, jnp.where(use_quadratic, quadratic, (low.a + high.a) / 2.0))
        new = at(a)
        new = Point(a, *(x.astype(y.dtype) for x, y in zip(new[1:], low[1:])))
        to_high = too_high(a, new.phi) | (new.phi >= low.phi)
        found = flat(new.slope) & ~to_high
        turned = (new.slope * width >= 0) & ~to_high & ~found
        to_low = ~to_high & ~found
        leave_low = to_low & ~turned
        a_before = jnp.where(leave_low, low.a, jnp.where(to_high | turned, high.a, s.a_before))
        phi_before = jnp.where(leave_low, low.phi, jnp.where(to_high | turned, high.phi, s.phi_before))
        return _Zoom(
            done=found | s.done,
            failed=failed | (s.j + 1 >= _MOST_ZOOMS),
            j=s.j + 1,
            low=_choose(to_low, new, low),
            high=_choose(to_high, new, _choose(turned, low, high)),
            a_before=a_before,
            phi_before=phi_before,
            best=_choose(found, new, s.best),
        )

    return lax.while_loop(lambda s: ~s.done & wanted & ~s.failed, step, first)


class _Search(NamedTuple):
    done: Any
    failed: Any
    i: Any
    before: Point
    nfev: Any
    best: Point


def line_search(f, x, p, value, gradient, before=None, c1=1e-4, c2=0.9, maxiter=20):
    """The Result for f along x + a p, from its value and gradient at x; `before`: the value at the point before x."""
    p = p.astype(jnp.result_type(x, p))

    def at(a):
        a = jnp.asarray(a, dtype=p.dtype)
        phi, g = value_and_grad(f)(x + a * p)
        return Point(a, phi, jnp.real(jnp.dot(g, p)), g)

    start_slope = jnp.real(jnp.dot(gradient, p))
    first = jnp.ones((), start_slope.dtype)
    if before is not None:
        guess = 1.01 * 2 * (value - before) / start_slope
        first = jnp.where(guess > 1, 1.0, guess)
    zero = jnp.zeros((), p.real.dtype)
    start = Point(zero, value, start_slope, gradient)
    too_high = lambda a, phi: phi > value + c1 * a * start_slope
    flat = lambda slope: jnp.abs(slope) <= -c2 * start_slope

    def step(s):
        a = jnp.where(s.i == 1, first, s.before.a * 2.0).astype(zero.dtype)
        new = at(a)._replace(a=a)
        zoom_down = too_high(a, new.phi) | ((new.phi >= s.before.phi) & (s.i > 1))
        found = flat(new.slope) & ~zoom_down
        zoom_up = (new.slope >= 0) & ~zoom_down & ~found
        # the bracket lies between the last two points; it is entered from its lower end
        low, high = _choose(zoom_up, new, s.before), _choose(zoom_up, s.before, new)
        zoomed = zoom_down | zoom_up
        zoom = _zoom(at, too_high, flat, low, high, low._replace(a=zero + 1, g=gradient), zoomed)
        best = _choose(zoomed, zoom.best, _choose(found, new, s.best))
        return _Search(
            done=s.done | zoomed | found, failed=s.failed | (zoomed & zoom.failed), i=s.i + 1, before=new,
            nfev=s.nfev + 1 + zoom.j, best=best,
        )  # fmt: skip

    begin = _Search(jnp.array(False), jnp.array(False), 1, start, 0, start)
    end = lax.while_loop(lambda s: ~s.done & (s.i <= maxiter) & ~s.failed, step, begin)
    status = jnp.where(end.failed, 1, jnp.where(end.i > maxiter, 3, 0))
    a = end.best.a
    if a.dtype.itemsize < 8:  # a step so short that it would not move x
        a = jnp.where(jnp.abs(a) < 1e-8, jnp.sign(a) * 1e-8, a)
    return Result(end.failed | ~end.done, end.nfev, a, end.best.phi, end.best.g, status)


__all__ = ["line_search"]
