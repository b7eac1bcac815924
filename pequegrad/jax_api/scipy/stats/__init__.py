"""jax.scipy.stats: distributions, one module each, imported when first used; and statistics of samples."""

import importlib

from .kde import gaussian_kde
from .samples import mode, rankdata, sem

_DISTRIBUTIONS = """bernoulli beta betabinom binom cauchy chi2 dirichlet expon gamma gennorm geom gumbel_l gumbel_r laplace logistic
    multinomial multivariate_normal nbinom norm pareto poisson t truncnorm uniform vonmises wrapcauchy""".split()

__all__ = ["gaussian_kde", "mode", "rankdata", "sem"] + _DISTRIBUTIONS  # noqa: RUF005


def __getattr__(name):
    if name in _DISTRIBUTIONS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
