"""The price of an option by simulation, and its sensitivities by differentiating the simulation.

    python -m examples.montecarlo

It shows random numbers in a jitted function, and gradients of an expectation: if a price is the mean of a function of random
numbers, then the mean of its derivatives is the derivative of the price ("pathwise"). A simulation that knows no formula so
gives the Greeks, all at once in reverse mode. For a European call there is a formula (Black and Scholes, 1973) to compare with.
Expected with the defaults (4 million paths): price 10.45, delta 0.637, vega 37.5, rho 53.2, each within three standard errors
of the formula, after about five seconds. The picture: the estimate closes in with the square root of the number of paths.
"""

import math

import numpy as np

import pequegrad as pg
from examples.common import begin, finish, picture
from pequegrad.tensor import Tensor

STRIKE, YEARS, PATHS = 100.0, 1.0, 40_000  # paths in a step
MARKET = {"price": 100.0, "volatility": 0.2, "interest": 0.05}


def discounted_payoffs(market, normals):
    """What the option pays on each path, in today's money, [N]; normals [N]."""
    drift = (market["interest"] - market["volatility"] ** 2 / 2) * YEARS
    final = market["price"] * pg.exp(drift + market["volatility"] * math.sqrt(YEARS) * normals)
    return pg.maximum(final - STRIKE, 0.0) * pg.exp(-market["interest"] * YEARS)


@pg.jit
def simulate(market):
    """(price, its derivatives, the sum of squares of the payoffs) of new paths."""
    normals = pg.randn(PATHS, device=market["price"].device)

    def price(market):
        payoffs = discounted_payoffs(market, normals)
        return payoffs.mean(), (payoffs**2).mean()

    (value, squares), greeks = pg.value_and_grad(price, has_aux=True)(market)
    return value, greeks, squares


def by_formula():
    """(price, delta, vega, rho) after Black and Scholes."""
    s, v, r = MARKET.values()
    d1 = (math.log(s / STRIKE) + (r + v * v / 2) * YEARS) / (v * math.sqrt(YEARS))
    d2 = d1 - v * math.sqrt(YEARS)
    below = lambda d: (1 + math.erf(d / math.sqrt(2))) / 2
    discounted = STRIKE * math.exp(-r * YEARS)
    density = math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
    return (
        s * below(d1) - discounted * below(d2),
        below(d1),
        s * density * math.sqrt(YEARS),
        YEARS * discounted * below(d2),
    )


def draw(figure, prices, errors, exact):
    """The mean so far, with two standard errors."""
    axes, paths = figure.subplots(), PATHS * np.arange(1, len(prices) + 1)
    axes.fill_between(paths, prices - 2 * errors, prices + 2 * errors, alpha=0.3, label="two standard errors")
    axes.plot(paths, prices, label="estimate")
    axes.axhline(exact, color="k", linewidth=0.8, label="formula")
    axes.set(xscale="log", xlabel="paths", ylabel="price", title="A European call by simulation")
    axes.legend()


def main(argv=None):
    """Simulates; returns price and Greeks, and how many standard errors the price is from the formula."""
    options = begin("montecarlo", __doc__, argv, steps=100, steps_mean=f"batches of {PATHS:,} paths")
    market = {name: Tensor(value, device=options.device) for name, value in MARKET.items()}
    rows = []
    for _ in range(options.steps):
        value, greeks, squares = simulate(market)
        rows.append([value.item(), *(greeks[name].item() for name in MARKET), squares.item()])

    count = np.arange(1, options.steps + 1)
    means = np.cumsum(rows, axis=0) / count[:, None]
    errors = np.sqrt((means[:, 4] - means[:, 0] ** 2) / (PATHS * count))
    exact = by_formula()
    for name, found, expected in zip(("price", "delta", "vega", "rho"), means[-1], exact):
        print(f"{name:5} {found:8.4f}   by formula {expected:8.4f}")
    picture(options, lambda figure: draw(figure, means[:, 0], errors, exact[0]), size=(8, 4))
    price, delta, vega, rho = means[-1, :4]
    off = (price - exact[0]) / errors[-1]
    return finish(options, price=price, delta=delta, vega=vega, rho=rho, standard_errors_off=off)


if __name__ == "__main__":
    main()
