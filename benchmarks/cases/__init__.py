"""The measured cases, by name: CASES. A case is one function, which builds it for a library."""

import dataclasses
from collections.abc import Callable

import numpy as np

CASES = {}
EVERYONE = ("pequegrad", "unfused", "jax", "torch", "torch.compile")
JITTED = ("pequegrad", "jax")


@dataclasses.dataclass
class Case:
    """build(library) returns (function, arguments); what is timed is function(*arguments), results computed."""

    name: str
    build: Callable
    group: str = "main"
    contestants: tuple = EVERYONE
    targets: tuple = ()  # (who, against whom, how many times as fast at least); "peers": the best of them
    tolerance: float = 1e-4  # how far results may differ, relative to the largest number of an array
    operations: int = 1  # the table says the time of one
    like: str = None  # a plain case; the time per byte is to be at most 1.3 times its

    @property
    def meaning(self):
        return (self.build.__doc__ or "").strip()


def case(**options):
    """Decorator: the function becomes the case of its name."""

    def add(build):
        CASES[build.__name__] = Case(build.__name__, build, **options)
        return build

    return add


def faster(times):
    """The usual target: at least so many times as fast as the best peer."""
    return (("pequegrad", "peers", times),)


def random():
    """The same numbers in every process."""
    return np.random.default_rng(0)


def normal(rng, *shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


from . import eager, functions, held_out, models, onnx, rows, training, variants  # noqa: E402, F401  they fill CASES
