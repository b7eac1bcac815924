"""What the programs of this folder share: they are run by a JAX, and print what each of their cases gives as JSON.

    @case
    def dense(): return array, or a tree of arrays, numbers and strings

Of an array there is its shape, dtype, root mean square and product with fixed weights.
"""

import json
import math
import sys
import traceback

import jax
import numpy as np

_cases = {}


def case(function, name=None):
    """A function without arguments, also as a decorator."""
    _cases[name or function.__name__] = function
    return function


def cases(group, **functions):
    """Several cases: group.name."""
    for name, function in functions.items():
        case(function, f"{group}.{name}")


def raised(function, *args, **kwargs):
    """The class of the error that function(*args, **kwargs) raises, a name without its leading underscores."""
    try:
        jax.block_until_ready(function(*args, **kwargs))
    except Exception as error:
        return type(error).__name__.lstrip("_")
    return "nothing"


def _digest(x):
    if isinstance(x, (str, bool, int)):
        return x
    x = np.asarray(x)
    wide = x.astype(np.complex128 if x.dtype.kind == "c" else np.float64).ravel()
    wide = np.concatenate([wide.real, wide.imag]) if x.dtype.kind == "c" else wide
    weights = np.cos(np.arange(wide.size))
    return [
        list(x.shape),
        x.dtype.name,
        float(math.sqrt(np.mean(wide**2))) if wide.size else 0.0,
        float(wide @ weights),
    ]


def main():
    """Runs the cases and prints the JSON; sys.argv may name some of them."""
    found = {}
    for name, function in _cases.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        try:
            found[name] = [_digest(x) for x in jax.tree_util.tree_leaves(function())]
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            found[name] = [f"{type(error).__name__}: {error}"]
    print("RESULTS " + json.dumps(found))
