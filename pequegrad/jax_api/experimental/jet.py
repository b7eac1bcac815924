"""jax.experimental.jet: derivatives of any order along a curve (Taylor mode)."""

import math

from ...core.node import face
from ...transforms import jet as core
from ..convert import as_array
from ..tree_util import tree_leaves, tree_map, tree_structure

__all__ = ["jet"]


def jet(fun, primals, series, factorial_scaled=True, **_):
    """(outputs, series of the outputs) of `fun` along a curve.

    primals: a tuple; series: for each primal the list of the curve's derivatives of order 1, 2, ... factorial_scaled: False if
    coefficients of the power series are meant, which are derivatives divided by k!.
    """
    with face(True):
        primals = tree_map(lambda x: as_array(x, "jet"), tuple(primals))
        if len({len(terms) for terms in series}) > 1:
            raise ValueError("jet: all series need the same number of terms.")
        scaled = [
            [_times(t, 1 if factorial_scaled else math.factorial(k)) for k, t in enumerate(terms, 1)]
            for terms in series
        ]
        outs, terms = core.jet(fun, primals, scaled)
        if factorial_scaled or not tree_leaves(outs):
            return outs, terms
        structure = tree_structure(outs)
        rows = structure.flatten_up_to(terms)
        rows = [[_times(t, 1 / math.factorial(k)) for k, t in enumerate(row, 1)] for row in rows]
        return outs, structure.unflatten(rows)


def _times(tree, factor):
    return tree if factor == 1 else tree_map(lambda x: as_array(x, "jet") * factor, tree)
