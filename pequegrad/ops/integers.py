"""Functions on integers."""

from ..core.dtype import is_integer
from ..core.errors import DtypeError
from ..primitives import elementwise as e
from ..primitives import mathematical as m
from ..primitives.base import number
from ..primitives.reduction import reduce_or
from .arithmetic import promoted
from .shape import broadcast_to


def _pair(name, x, y):
    """|x| and |y|, broadcast against each other."""
    x, y = promoted(x, y)
    if not is_integer(x.dtype):
        raise DtypeError(f"{name} takes integers, got {x._node.aval} and {y._node.aval}.", fix="x.astype(dt.int32)")
    shape = e.broadcast_shapes(name, x._node.aval, y._node.aval)
    return e.abs_(broadcast_to(x, shape)), e.abs_(broadcast_to(y, shape))


def gcd(x, y):
    """The greatest common divisor, elementwise; gcd(0, y) = |y|."""
    from ..transforms.control_flow import while_loop  # which is made of functions in this folder

    def unfinished(pair):
        return reduce_or(e.ne(pair[1], 0), axes=tuple(range(pair[1].ndim)))

    def step(pair):
        x, y = pair
        left = e.ne(y, 0)
        return e.select(left, y, x), e.select(left, m.rem(x, y), number(0, y))

    return while_loop(unfinished, step, _pair("gcd", x, y))[0]


def lcm(x, y):
    """The least common multiple, elementwise; 0 where either is 0. Wraps around where the dtype does not hold it."""
    x, y = _pair("lcm", x, y)
    divisor = e.max_(gcd(x, y), number(1, x))  # 0 only where x = y = 0
    return e.mul(x, e.div(y, divisor))


__all__ = ["gcd", "lcm"]
