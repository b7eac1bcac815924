"""A primitive of your own: Kepler's equation, with its derivative, its batching rule and a function that computes it.

    python -m examples.custom_primitive

E - e sin(E) = M has no solution in elementary functions: where a planet is (E) at a time (M) on an ellipse (e) is found by
iteration. As a primitive it is a step of the graph like sin or matmul. Each rule is a few lines (pequegrad/primitives/base.py
names them all), and grad, jvp, vmap and jit work at once, in any combination and to any order: reverse mode is the transpose of
the jvp rule, and the rule is made of tensors, so that it can be differentiated again. If no operation of the runtime
computes it, `lower` may name a Python function, as here.

Expected: derivatives that agree with finite differences to 1e-6, and the eccentricity of Mercury's orbit, 0.2056, found from
four positions by gradient descent. The picture: the planet at equal intervals of time.
"""

import numpy as np

import pequegrad as pg
from examples.common import begin, finish, log, picture
from pequegrad.primitives.base import primitive
from pequegrad.primitives.callbacks import Callback
from pequegrad.primitives.elementwise import align_batched
from pequegrad.tensor import Tensor, dt


def solve_by_newton(mean, e):
    """E with E - e sin(E) = mean, for NumPy arrays."""
    mean, e = np.broadcast_arrays(mean, e)
    found = np.where(e > 0.8, np.pi, mean)
    for _ in range(50):
        change = (found - e * np.sin(found) - mean) / (1 - e * np.cos(found))
        found = found - change
        if np.all(np.abs(change) < 1e-14):
            break
    return [found]


@primitive
class kepler:
    """E with E - e sin(E) = mean; mean and e broadcast and have one floating dtype"""

    def infer(mean, e):
        """The kind of the result, from the kinds of the operands: nothing is computed."""
        if mean.dtype != e.dtype or mean.dtype not in (dt.float32, dt.float64):
            raise pg.DtypeError(f"kepler: {mean} and {e} are not both float32 or both float64.", fix="convert one.")
        return mean.update(shape=np.broadcast_shapes(mean.shape, e.shape))

    def jvp(primals, tangents, out):
        """The equation's own derivative: (1 - e cos E) dE = dM + sin(E) de. None stands for a tangent of zero."""
        (_, e), (d_mean, d_e) = primals, tangents
        change = 0.0
        if d_mean is not None:
            change = change + d_mean
        if d_e is not None:
            change = change + pg.sin(out) * d_e
        return change / (1 - e * pg.cos(out))

    def batch(inputs, batched):
        """vmap: the operands with their new axis in front, and as many axes each; they broadcast as before."""
        return kepler(*align_batched(inputs, batched))

    def lower(mean, e):
        """The operation that computes it: here the runtime's for Python functions."""
        return "host_call", (Callback(solve_by_newton, "kepler", has_effect=False),)


def position(mean, e):
    """Where the planet is, [2, ...], on an ellipse of half-axis 1 with the sun at the origin."""
    anomaly = kepler(mean, e)
    return pg.stack([pg.cos(anomaly) - e, pg.sqrt(1 - e * e) * pg.sin(anomaly)])


def draw(figure, found):
    """Equal times: near the sun the planet is quick, as Kepler's second law says."""
    axes = figure.subplots()
    for e, colour in ((np.float64(found), "tab:orange"), (np.float64(0.7), "tab:blue")):
        times = np.linspace(0, 2 * np.pi, 25)
        axes.plot(*position(Tensor(np.linspace(0, 2 * np.pi, 200)), Tensor(e)).numpy(), color=colour, alpha=0.4)
        axes.plot(*position(Tensor(times), Tensor(e)).numpy(), "o", color=colour, label=f"eccentricity {e:.2f}")
    axes.plot([0], [0], "*", color="gold", markersize=18, markeredgecolor="gray")
    axes.set(aspect="equal", title="Positions at equal intervals of time")
    axes.legend(loc="upper left")


def main(argv=None):
    """Checks the rules and fits an orbit; returns the eccentricity that was found."""
    options = begin("custom_primitive", __doc__, argv, steps=60)
    mean, e = Tensor(np.linspace(0.1, 6.0, 7)), Tensor(0.3, dtype=dt.float64)
    pg.check_grads(kepler, (mean, e), order=2)  # forward and reverse mode, twice, against finite differences
    rows = pg.vmap(kepler, in_axes=(None, 0))(mean, Tensor([0.1, 0.5, 0.9], dtype=dt.float64))
    print("derivatives to second order agree with finite differences; vmap over three eccentricities gives", rows.shape)

    mercury = 0.2056
    times = Tensor([0.5, 1.5, 3.0, 5.0], dtype=dt.float64)
    seen = position(times, Tensor(mercury, dtype=dt.float64)).eval()
    descend = pg.jit(pg.value_and_grad(lambda e: ((position(times, e) - seen) ** 2).sum()))
    e = Tensor(0.6, dtype=dt.float64)
    for step in range(1, options.steps + 1):
        loss, slope = descend(e)
        e = e - 0.05 * slope
        log(step, options.steps, loss=loss, eccentricity=e)
    picture(options, lambda figure: draw(figure, e.item()), size=(6, 5))
    return finish(options, loss=loss, eccentricity=e)


if __name__ == "__main__":
    main()
