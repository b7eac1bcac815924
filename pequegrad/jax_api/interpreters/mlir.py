"""jax.interpreters.mlir: what compiled programs do for primitives that libraries define (jax.extend.core.Primitive).

Programs here are not MLIR. A rule that lower_fun made of a function of arrays runs; one that builds MLIR cannot: it is kept, and using
the primitive in a traced function raises NotImplementedError.
"""

__all__ = ["lower_fun", "register_lowering"]

lowerings = {}  # primitive -> rule


class _Lowered:
    """A rule that is a function of arrays."""

    def __init__(self, fun, multiple_results):
        self.fun, self.multiple_results = fun, multiple_results

    def __call__(self, ctx, *args, **params):
        raise NotImplementedError(f"{self.fun} is not lowered to MLIR: programs are not MLIR here.")


def lower_fun(fun, multiple_results=True):
    """The rule for a primitive whose results a function of arrays computes."""
    return _Lowered(fun, multiple_results)


def register_lowering(prim, rule, platform=None, inline=True, cacheable=True):
    """Sets the rule of a primitive; rules for other platforms than the CPU are left out."""
    if platform in (None, "cpu"):
        lowerings[prim] = rule


def function_of(prim):
    """The function of arrays -> list of arrays that the rule of a primitive is."""
    rule = lowerings.get(prim)
    if not isinstance(rule, _Lowered):
        raise NotImplementedError(
            f"{prim} is used in a traced function: that needs a lowering rule that mlir.lower_fun made of a function of arrays."
        )
    return rule.fun if rule.multiple_results else lambda *args, **params: [rule.fun(*args, **params)]
