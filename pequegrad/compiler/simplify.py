"""simplify: what all passes make of a graph."""

from .passes import (
    algebra,
    broadcasts,
    converts,
    folding,
    gathers,
    joins,
    pooling,
    products,
    reductions,
    scatters,
    views,
)
from .passes.inline import inline
from .passes.pad_sums import pad_sums
from .passes.rewriting import Builder, RuleSet

enabled = True  # tests compare with what is computed without

_LIMIT = 3  # rounds; the first one does nearly all
_RULES = RuleSet(
    folding.RULES, converts.RULES, views.RULES, algebra.RULES, reductions.RULES, joins.RULES, products.RULES,
    gathers.RULES, scatters.RULES, pooling.RULES, broadcasts.RULES,
)  # fmt: skip


def simplify(graph):
    """The closed graph without what is superfluous; made once, kept with the graph.

    Calls are inlined first, so that everything sees through them. Then all rules for single nodes share a walk, on
    which equal nodes become one, since what one rule makes another one simplifies further; this and what needs more than
    one node are repeated until nothing changes.
    """
    found = graph.derived.get("simplified")
    if found is None:
        found, before = inline(graph), None
        for _ in range(_LIMIT):
            if found is before:
                break
            before = found
            found = pad_sums(Builder(_RULES, found).walk(found))
        graph.derived["simplified"] = found
    return found
