"""Taylor polynomials of a function, from derivatives of any order.

    python -m examples.taylor_expansion               # up to order 11
    python -m examples.taylor_expansion --steps 19    # up to order 19

It shows three ways to higher derivatives: grad of grad of ..., whose work doubles with each order; pg.jet, which computes
all orders at once by arithmetic of power series; and pg.taylor_expand, which gives the polynomial.
Expected: the polynomial of order 11 of exp(sin(x)) around 1 is within 2e-6 of it for |x - 1| <= 0.5. The picture: the
polynomials close in on the function.
"""

import math

import numpy as np

import pequegrad as pg
from examples.common import begin, finish, picture
from pequegrad.tensor import Tensor, dt

CENTRE = 1.0


def function(x):
    """A function with all derivatives, but no simple formula for them."""
    return pg.exp(pg.sin(x))


def by_nesting(order):
    """The derivatives of orders 0, 1, ... at the centre, each the gradient of the one before."""
    found, derivative = [], function
    for _ in range(order + 1):
        found.append(derivative(Tensor(CENTRE, dtype=dt.float64)).item())
        derivative = pg.grad(derivative)
    return found


def by_jet(order):
    """The same from one pass: the curve x(t) = 1 + t has the derivatives 1, 0, 0, ..."""
    line = [Tensor(1.0 if k == 0 else 0.0, dtype=dt.float64) for k in range(order)]
    value, (series,) = pg.jet(lambda x: (function(x),), (Tensor(CENTRE, dtype=dt.float64),), (line,))
    return [value[0].item(), *(term.item() for term in series)]


def polynomial(derivatives, x):
    """sum_k f^(k)(1) / k! (x - 1)^k"""
    return sum(d / math.factorial(k) * (x - CENTRE) ** k for k, d in enumerate(derivatives))


def draw(figure, derivatives):
    """The function and some of its polynomials."""
    axes, x = figure.subplots(), np.linspace(-3.0, 5.0, 400)
    axes.plot(x, np.exp(np.sin(x)), "k", linewidth=2.5, label="exp(sin(x))")
    for order in range(1, len(derivatives), 2):
        axes.plot(x, polynomial(derivatives[: order + 1], x), linewidth=1, label=f"order {order}")
    axes.plot([CENTRE], [derivatives[0]], "ko")
    axes.set(ylim=(-0.5, 4), xlabel="x", title="Taylor polynomials around 1")
    axes.legend(ncols=2, fontsize=8)


def main(argv=None):
    """Compares the ways; returns the largest error of the polynomial near the centre."""
    options = begin("taylor_expansion", __doc__, argv, steps=11, steps_mean="order of the polynomial")
    derivatives = by_jet(options.steps)
    few = min(options.steps, 5)
    difference = np.abs(np.subtract(by_nesting(few), derivatives[: few + 1])).max()

    x = np.linspace(CENTRE - 0.5, CENTRE + 0.5, 101)
    for order in range(options.steps + 1):
        error = np.abs(polynomial(derivatives[: order + 1], x) - np.exp(np.sin(x))).max()
        print(f"order {order:2}: derivative {derivatives[order]:12.6g}, largest error near 1: {error:.1e}")
    expanded = pg.taylor_expand(function, options.steps)(Tensor(CENTRE, dtype=dt.float64), Tensor(x))
    same = np.abs(expanded.numpy() - polynomial(derivatives, x)).max()
    picture(options, lambda figure: draw(figure, derivatives), size=(8, 4.5))
    return finish(options, error=error, grad_against_jet=difference, taylor_expand_against_jet=same)


if __name__ == "__main__":
    main()
