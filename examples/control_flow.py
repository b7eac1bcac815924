"""Loops and branches that are part of the program: while_loop, cond, scan.

    python -m examples.control_flow

Python's `while` and `if` run when a function is traced; pg.while_loop, pg.cond and pg.scan run inside the compiled program,
on values that are not known before. They can be differentiated and mapped over batches.
Expected: 111 Collatz steps from 27; a derivative of the debt that equals the formula's; an area of the Mandelbrot set of
1.5 (known: 1.5066), all in a few seconds. The picture: the set.
"""

import numpy as np

import pequegrad as pg
from examples.common import begin, finish, picture
from pequegrad.tensor import Tensor, dt


@pg.jit
def collatz(n):
    """How many times n is halved if even, else becomes 3 n + 1, until it is 1: a loop with a branch in it."""

    def body(state):
        n, count = state
        return pg.cond(n % 2 == 0, lambda n: n // 2, lambda n: 3 * n + 1, n), count + 1

    return pg.while_loop(lambda state: state[0] != 1, body, (n, 0))[1]


def debt(rate, years=20, payment=70.0):
    """What is left of a loan of 1,000: a loop whose derivative is one, too."""

    def year(left, _):
        left = left * (1 + rate) - payment
        return left, left

    return pg.scan(year, Tensor(1000.0, dtype=dt.float64), None, length=years)[0]


def debt_by_formula(rate, years=20, payment=70.0):
    growth = (1 + rate) ** years
    return 1000 * growth - payment * (growth - 1) / rate


def escape(c, limit):
    """How many times z -> z^2 + c stays within |z| <= 2, from z = 0, at most `limit`. c is (real part, imaginary part)."""

    def body(state):
        x, y, count = state
        return x * x - y * y + c[0], 2 * x * y + c[1], count + 1

    def inside(state):
        x, y, count = state
        return (x * x + y * y <= 4) & (count < limit)

    zero = pg.zeros_like(c[0])
    return pg.while_loop(inside, body, (zero, zero, 0))[2]


def draw(figure, counts, extent):
    """The set in black, around it how soon a point escapes."""
    axes = figure.subplots()
    axes.imshow(np.log(counts), cmap="magma_r", extent=extent, origin="lower")
    axes.set(title="How long z -> z² + c stays small: the Mandelbrot set", xlabel="real part", ylabel="imaginary part")


def main(argv=None):
    """Runs the three; returns what they gave."""
    options = begin("control_flow", __doc__, argv, steps=200, steps_mean="iterations at most for a point of the set")
    steps = collatz(Tensor(27, dtype=dt.int32, device=options.device))
    print(f"from 27 the Collatz rule takes {steps.item()} steps to 1")

    left, slope = pg.jit(pg.value_and_grad(debt))(Tensor(0.05, dtype=dt.float64))
    h = 1e-6
    formula = (debt_by_formula(0.05 + h) - debt_by_formula(0.05 - h)) / (2 * h)
    print(
        f"at 5 % the debt after 20 years is {left.item():.2f}, and grows by {slope.item() / 100:.2f} with each further percent"
    )

    extent = (-2.1, 0.7, -1.2, 1.2)
    x, y = np.meshgrid(np.linspace(*extent[:2], 420, dtype="float32"), np.linspace(*extent[2:], 360, dtype="float32"))
    escapes = pg.jit(pg.vmap(lambda c: escape(c, options.steps)))  # one loop for all points, until the last has escaped
    counts = escapes(Tensor(np.stack([x.ravel(), y.ravel()], 1), device=options.device)).numpy().reshape(x.shape)
    area = np.mean(counts == options.steps) * (extent[1] - extent[0]) * (extent[3] - extent[2])
    picture(options, lambda figure: draw(figure, counts, extent), size=(7, 5.6))
    return finish(options, collatz=steps, debt_slope=slope, debt_slope_by_formula=formula, mandelbrot_area=area)


if __name__ == "__main__":
    main()
