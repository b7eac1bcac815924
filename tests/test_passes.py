"""Every rule of the compiler's passes: the graph before and after as text, and the same bits for special values."""

import numpy as np
import pytest
from random_graphs import values

from pequegrad import device as devices
from pequegrad import dt
from pequegrad.compiler.passes.algebra import algebra
from pequegrad.compiler.passes.broadcasts import broadcasts
from pequegrad.compiler.passes.converts import converts, holds
from pequegrad.compiler.passes.cse import cse
from pequegrad.compiler.passes.folding import folding
from pequegrad.compiler.passes.gathers import gathers
from pequegrad.compiler.passes.joins import joins
from pequegrad.compiler.passes.pad_sums import pad_sums
from pequegrad.compiler.passes.products import products
from pequegrad.compiler.passes.reductions import reductions
from pequegrad.compiler.passes.scatters import scatters
from pequegrad.compiler.passes.views import views
from pequegrad.compiler.program import program_of
from pequegrad.compiler.simplify import simplify
from pequegrad.core.node import make_aval
from pequegrad.primitives import cumulative, dynamic, indexing, reduction, shape
from pequegrad.primitives import elementwise as e
from pequegrad.primitives import mathematical as m
from pequegrad.primitives.base import number
from pequegrad.primitives.contraction import dot_general
from pequegrad.runtime import library
from pequegrad.transforms.graphs import graph_of

CPU = devices("cpu")
CASES = []


def case(transformed, name, avals, function, before, after):
    """`transformed`, a pass, makes of the graph of `function` that prints as `before` one that prints as `after`."""
    CASES.append(pytest.param(transformed, avals, function, before, after, id=name))


def aval(text):
    """The aval that prints as `text`."""
    name, _, sizes = text.rstrip("]").partition("[")
    dtype = dt.bool_ if name == "bool" else getattr(dt, name)
    return make_aval(tuple(int(n) for n in sizes.split(",") if n), dtype, CPU)


# ---- shorthands in which the cases are written -----------------------------------------------------------


def reshape(x, *to):
    return shape.reshape(x, shape=to)


def transpose(x, *permutation):
    return shape.transpose(x, permutation=permutation)


def broadcast(x, to, axes):
    return shape.broadcast_in_dim(x, shape=to, axes=axes)


def part(x, begin, end, step=1):
    """x[begin:end:step] of a vector."""
    return shape.slice_(x, start=(begin,), limit=(end,), step=(step,))


def pad(x, low, high, value=0):
    """A vector with `value` around it."""
    return shape.pad(x, number(value, x), low=(low,), high=(high,), interior=(0,))


def convert(x, dtype):
    return e.convert(x, dtype=dtype, weak_type=False)


def iota(size):
    return shape.iota(shape=(size,), dtype=dt.int32, axis=0, device=CPU)


def scatter(x, indices, updates, combine="add", mode="drop", **places):
    """Places are those of take_along_axis on the last of two axes, unless given."""
    places = places or {"collapsed": (1,), "batch": (0,), "indices_batch": (0,), "index_map": (1,)}
    places = indexing.Places(**places)
    return indexing.scatter(x, indices, updates, places=places, combine=combine, mode=mode, unique=False)


def gather(x, indices, mode="fill", **places):
    """Single elements; places as for scatter."""
    places = places or {"collapsed": (1,), "batch": (0,), "indices_batch": (0,), "index_map": (1,)}
    return indexing.gather(x, indices, places=indexing.Places(**places), sizes=(1,) * x.ndim, mode=mode)


# ---- views -------------------------------------------------------------------------------------------------------------

case(
    views,
    "a reshape of a reshape",
    ["float32[2,3]"],
    lambda x: [reshape(reshape(x, 6), 3, 2), reshape(reshape(x, 6), 2, 3)],
    """
        b: float32[6] = reshape(a, shape=(6,))
        c: float32[3,2] = reshape(b, shape=(3, 2))
        d: float32[6] = reshape(a, shape=(6,))
        e: float32[2,3] = reshape(d, shape=(2, 3))
        return c, e
    """,
    """
        b: float32[3,2] = reshape(a, shape=(3, 2))
        return b, a
    """,
)
case(
    views,
    "axes of size 1 among broadcast ones",
    ["float32[3]"],
    lambda x: [reshape(broadcast(x, (2, 3), (1,)), 2, 1, 3)],
    """
        b: float32[2,3] = broadcast_in_dim(a, shape=(2, 3), axes=(1,))
        c: float32[2,1,3] = reshape(b, shape=(2, 1, 3))
        return c
    """,
    """
        b: float32[2,1,3] = broadcast_in_dim(a, shape=(2, 1, 3), axes=(2,))
        return b
    """,
)
case(
    views,
    "any reshape of a broadcast number",
    ["float32[]"],
    lambda x: [reshape(broadcast(x, (2, 3), ()), 6), reshape(number(1, x), 1, 1)],
    """
        b: float32[2,3] = broadcast_in_dim(a, shape=(2, 3), axes=())
        c: float32[6] = reshape(b, shape=(6,))
        d: float32[1,1] = reshape(1, shape=(1, 1))
        return c, d
    """,
    """
        b: float32[6] = broadcast_in_dim(a, shape=(6,), axes=())
        c: float32[1,1] = broadcast_in_dim(1, shape=(1, 1), axes=())
        return b, c
    """,
)
case(
    views,
    "a transpose of a transpose",
    ["float32[2,3,4]"],
    lambda x: [transpose(transpose(x, 2, 0, 1), 2, 0, 1), transpose(transpose(x, 1, 0, 2), 1, 0, 2)],
    """
        b: float32[4,2,3] = transpose(a, permutation=(2, 0, 1))
        c: float32[3,4,2] = transpose(b, permutation=(2, 0, 1))
        d: float32[3,2,4] = transpose(a, permutation=(1, 0, 2))
        e: float32[2,3,4] = transpose(d, permutation=(1, 0, 2))
        return c, e
    """,
    """
        b: float32[3,4,2] = transpose(a, permutation=(1, 2, 0))
        return b, a
    """,
)
case(
    views,
    "a transpose of axes of size 1",
    ["float32[2,1,4]"],
    lambda x: [transpose(x, 1, 0, 2)],
    """
        b: float32[1,2,4] = transpose(a, permutation=(1, 0, 2))
        return b
    """,
    """
        b: float32[1,2,4] = reshape(a, shape=(1, 2, 4))
        return b
    """,
)
case(
    views,
    "a transpose of a broadcast",
    ["float32[2,3]"],
    lambda x: [transpose(broadcast(x, (2, 4, 3), (0, 2)), 2, 1, 0)],
    """
        b: float32[2,4,3] = broadcast_in_dim(a, shape=(2, 4, 3), axes=(0, 2))
        c: float32[3,4,2] = transpose(b, permutation=(2, 1, 0))
        return c
    """,
    """
        b: float32[3,2] = transpose(a, permutation=(1, 0))
        c: float32[3,4,2] = broadcast_in_dim(b, shape=(3, 4, 2), axes=(0, 2))
        return c
    """,
)
case(
    views,
    "a broadcast of a broadcast",
    ["float32[3]"],
    lambda x: [broadcast(broadcast(x, (2, 3), (1,)), (2, 5, 3), (0, 2))],
    """
        b: float32[2,3] = broadcast_in_dim(a, shape=(2, 3), axes=(1,))
        c: float32[2,5,3] = broadcast_in_dim(b, shape=(2, 5, 3), axes=(0, 2))
        return c
    """,
    """
        b: float32[2,5,3] = broadcast_in_dim(a, shape=(2, 5, 3), axes=(2,))
        return b
    """,
)
case(
    views,
    "a broadcast of a reshape, and as one",
    ["float32[2,3]"],
    lambda x: [broadcast(reshape(x, 2, 3, 1), (2, 3, 4), (0, 1, 2)), broadcast(x, (2, 1, 3), (0, 2))],
    """
        b: float32[2,3,1] = reshape(a, shape=(2, 3, 1))
        c: float32[2,3,4] = broadcast_in_dim(b, shape=(2, 3, 4), axes=(0, 1, 2))
        d: float32[2,1,3] = broadcast_in_dim(a, shape=(2, 1, 3), axes=(0, 2))
        return c, d
    """,
    """
        b: float32[2,3,4] = broadcast_in_dim(a, shape=(2, 3, 4), axes=(0, 1))
        c: float32[2,1,3] = reshape(a, shape=(2, 1, 3))
        return b, c
    """,
)
case(
    views,
    "a slice of a slice, and of all",
    ["float32[9]"],
    lambda x: [part(part(x, 1, 9, 2), 1, 4, 2), part(x, 0, 9)],
    """
        b: float32[4] = slice(a, start=(1,), limit=(9,), step=(2,))
        c: float32[2] = slice(b, start=(1,), limit=(4,), step=(2,))
        d: float32[9] = slice(a, start=(0,), limit=(9,), step=(1,))
        return c, d
    """,
    """
        b: float32[2] = slice(a, start=(3,), limit=(8,), step=(4,))
        return b, a
    """,
)
case(
    views,
    "a slice of a broadcast",
    ["float32[4]"],
    lambda x: [shape.slice_(broadcast(x, (6, 4), (1,)), start=(2, 1), limit=(5, 3), step=(1, 1))],
    """
        b: float32[6,4] = broadcast_in_dim(a, shape=(6, 4), axes=(1,))
        c: float32[3,2] = slice(b, start=(2, 1), limit=(5, 3), step=(1, 1))
        return c
    """,
    """
        b: float32[2] = slice(a, start=(1,), limit=(3,), step=(1,))
        c: float32[3,2] = broadcast_in_dim(b, shape=(3, 2), axes=(1,))
        return c
    """,
)
case(
    views,
    "a dynamic slice at a known place",
    ["float32[4]"],
    lambda x: [dynamic.dynamic_slice(x, number(7, iota(2)), sizes=(2,))],
    """
        b: float32[2] = dynamic_slice(a, 7, sizes=(2,))
        return b
    """,
    """
        b: float32[2] = slice(a, start=(2,), limit=(4,), step=(1,))
        return b
    """,
)
case(
    views,
    "rev of rev, and of axes of size 1",
    ["float32[3,1]"],
    lambda x: [shape.rev(shape.rev(x, axes=(0, 1)), axes=(0,)), shape.rev(x, axes=(0, 1))],
    """
        b: float32[3,1] = rev(a, axes=(0, 1))
        c: float32[3,1] = rev(b, axes=(0,))
        d: float32[3,1] = rev(a, axes=(0, 1))
        return c, d
    """,
    """
        b: float32[3,1] = rev(a, axes=(0,))
        return a, b
    """,
)
case(
    views,
    "positions along one of several axes",
    [],
    lambda: [shape.iota(shape=(2, 3), dtype=dt.int32, axis=1, device=CPU), reshape(iota(3), 3, 1)],
    """
        a: int32[2,3] = iota(shape=(2, 3), dtype=int32, axis=1, device=CPU)
        b: int32[3] = iota(shape=(3,), dtype=int32, axis=0, device=CPU)
        c: int32[3,1] = reshape(b, shape=(3, 1))
        return a, c
    """,
    """
        a: int32[3] = iota(shape=(3,), dtype=int32, axis=0, device=CPU)
        b: int32[2,3] = broadcast_in_dim(a, shape=(2, 3), axes=(1,))
        c: int32[3,1] = iota(shape=(3, 1), dtype=int32, axis=0, device=CPU)
        return b, c
    """,
)

# ---- broadcasts --------------------------------------------------------------------------------------------------------

case(
    broadcasts,
    "a broadcast that another operand gives anyway",
    ["float32[2,3]", "float32[3]", "float32[2]"],
    lambda x, y, z: [e.add(x, broadcast(y, (2, 3), (1,))), e.mul(x, broadcast(z, (2, 3), (0,)))],
    """
        d: float32[2,3] = broadcast_in_dim(b, shape=(2, 3), axes=(1,))
        e: float32[2,3] = add(a, d)
        f: float32[2,3] = broadcast_in_dim(c, shape=(2, 3), axes=(0,))
        g: float32[2,3] = mul(a, f)
        return e, g
    """,
    """
        d: float32[2,3] = add(a, b)
        e: float32[2,1] = reshape(c, shape=(2, 1))
        f: float32[2,3] = mul(a, e)
        return d, f
    """,
)
case(
    broadcasts,
    "computed before it is broadcast",
    ["float32[2]"],
    lambda x: [m.exp(e.mul(broadcast(x, (2, 3), (0,)), 2))],
    """
        b: float32[2,3] = broadcast_in_dim(a, shape=(2, 3), axes=(0,))
        c: float32[2,3] = mul(b, 2)
        d: float32[2,3] = exp(c)
        return d
    """,
    """
        b: float32[2,1] = reshape(a, shape=(2, 1))
        c: float32[2,1] = mul(b, 2)
        d: float32[2,1] = exp(c)
        e: float32[2,3] = broadcast_in_dim(d, shape=(2, 3), axes=(0, 1))
        return e
    """,
)
case(
    broadcasts,
    "two broadcasts that give the shape together",
    ["float32[2]", "float32[3]"],
    lambda x, y: [e.add(broadcast(x, (2, 3), (0,)), broadcast(y, (2, 3), (1,)))],
    """
        c: float32[2,3] = broadcast_in_dim(a, shape=(2, 3), axes=(0,))
        d: float32[2,3] = broadcast_in_dim(b, shape=(2, 3), axes=(1,))
        e: float32[2,3] = add(c, d)
        return e
    """,
    """
        c: float32[2,1] = reshape(a, shape=(2, 1))
        d: float32[2,3] = add(c, b)
        return d
    """,
)
case(
    broadcasts,
    "leading axes of size 1",
    ["float32[3]", "float32[2,3]"],
    lambda x, y: [e.add(reshape(x, 1, 3), y), m.exp(reshape(x, 1, 3))],
    """
        c: float32[1,3] = reshape(a, shape=(1, 3))
        d: float32[2,3] = add(c, b)
        e: float32[1,3] = reshape(a, shape=(1, 3))
        f: float32[1,3] = exp(e)
        return d, f
    """,
    """
        c: float32[2,3] = add(a, b)
        d: float32[3] = exp(a)
        e: float32[1,3] = broadcast_in_dim(d, shape=(1, 3), axes=(1,))
        return c, e
    """,
)

# ---- converts ----------------------------------------------------------------------------------------------------------

case(
    converts,
    "to a wider dtype and back, to the same dtype",
    ["bfloat16[3]", "int32[3]"],
    lambda x, y: [convert(convert(x, dt.float32), dt.bfloat16), convert(y, dt.int32)],
    """
        c: float32[3] = convert(a, dtype=float32, weak_type=False)
        d: bfloat16[3] = convert(c, dtype=bfloat16, weak_type=False)
        e: int32[3] = convert(b, dtype=int32, weak_type=False)
        return d, e
    """,
    """
        return a, b
    """,
)
case(
    converts,
    "through a wider dtype",
    ["int32[3]", "float16[3]"],
    lambda x, y: [convert(convert(x, dt.int64), dt.int8), convert(convert(y, dt.float32), dt.float64)],
    """
        c: int64[3] = convert(a, dtype=int64, weak_type=False)
        d: int8[3] = convert(c, dtype=int8, weak_type=False)
        e: float32[3] = convert(b, dtype=float32, weak_type=False)
        f: float64[3] = convert(e, dtype=float64, weak_type=False)
        return d, f
    """,
    """
        c: int8[3] = convert(a, dtype=int8, weak_type=False)
        d: float64[3] = convert(b, dtype=float64, weak_type=False)
        return c, d
    """,
)
case(
    converts,
    "not through a narrower dtype, nor where one saturates",
    ["float32[3]", "int32[3]", "int8[3]"],
    lambda x, y, z: [
        convert(convert(x, dt.bfloat16), dt.float32),
        convert(convert(y, dt.float32), dt.int32),
        convert(convert(z, dt.float32), dt.uint8),
    ],
    """
        d: bfloat16[3] = convert(a, dtype=bfloat16, weak_type=False)
        e: float32[3] = convert(d, dtype=float32, weak_type=False)
        f: float32[3] = convert(b, dtype=float32, weak_type=False)
        g: int32[3] = convert(f, dtype=int32, weak_type=False)
        h: float32[3] = convert(c, dtype=float32, weak_type=False)
        i: uint8[3] = convert(h, dtype=uint8, weak_type=False)
        return e, g, i
    """,
    """
        d: bfloat16[3] = convert(a, dtype=bfloat16, weak_type=False)
        e: float32[3] = convert(d, dtype=float32, weak_type=False)
        f: float32[3] = convert(b, dtype=float32, weak_type=False)
        g: int32[3] = convert(f, dtype=int32, weak_type=False)
        h: float32[3] = convert(c, dtype=float32, weak_type=False)
        i: uint8[3] = convert(h, dtype=uint8, weak_type=False)
        return e, g, i
    """,
)

# ---- joins -------------------------------------------------------------------------------------------------------------

case(
    joins,
    "empty operands and joins of joins",
    ["float32[2]", "float32[0]"],
    lambda x, y: [shape.concatenate(x, y, axis=0), shape.concatenate(shape.concatenate(x, x, axis=0), x, axis=0)],
    """
        c: float32[2] = concatenate(a, b, axis=0)
        d: float32[4] = concatenate(a, a, axis=0)
        e: float32[6] = concatenate(d, a, axis=0)
        return c, e
    """,
    """
        c: float32[6] = concatenate(a, a, a, axis=0)
        return a, c
    """,
)
case(
    joins,
    "slices that follow each other",
    ["float32[6]"],
    lambda x: [shape.concatenate(part(x, 1, 3), part(x, 3, 5), axis=0)],
    """
        b: float32[2] = slice(a, start=(1,), limit=(3,), step=(1,))
        c: float32[2] = slice(a, start=(3,), limit=(5,), step=(1,))
        d: float32[4] = concatenate(b, c, axis=0)
        return d
    """,
    """
        b: float32[4] = slice(a, start=(1,), limit=(5,), step=(1,))
        return b
    """,
)
case(
    joins,
    "a slice within one operand",
    ["float32[4]", "float32[3]"],
    lambda x, y: [part(shape.concatenate(x, y, axis=0), 5, 7)],
    """
        c: float32[7] = concatenate(a, b, axis=0)
        d: float32[2] = slice(c, start=(5,), limit=(7,), step=(1,))
        return d
    """,
    """
        c: float32[2] = slice(b, start=(1,), limit=(3,), step=(1,))
        return c
    """,
)
case(
    joins,
    "pad of pad, and by nothing",
    ["float32[4]"],
    lambda x: [pad(pad(x, 1, 0), 1, 2), pad(x, 0, 0)],
    """
        b: float32[5] = pad(a, 0, low=(1,), high=(0,), interior=(0,))
        c: float32[8] = pad(b, 0, low=(1,), high=(2,), interior=(0,))
        d: float32[4] = pad(a, 0, low=(0,), high=(0,), interior=(0,))
        return c, d
    """,
    """
        b: float32[8] = pad(a, 0, low=(2,), high=(2,), interior=(0,))
        return b, a
    """,
)
case(
    joins,
    "a slice of what was padded",
    ["float32[4]"],
    lambda x: [part(pad(x, 2, 2), 3, 5)],
    """
        b: float32[8] = pad(a, 0, low=(2,), high=(2,), interior=(0,))
        c: float32[2] = slice(b, start=(3,), limit=(5,), step=(1,))
        return c
    """,
    """
        b: float32[2] = slice(a, start=(1,), limit=(3,), step=(1,))
        return b
    """,
)
case(
    joins,
    "an update of everything",
    ["float32[4]", "float32[4]"],
    lambda x, y: [shape.slice_update(x, y, start=(0,), step=(1,))],
    """
        c: float32[4] = slice_update(a, b, start=(0,), step=(1,))
        return c
    """,
    """
        return b
    """,
)
case(
    pad_sums,
    "padded parts that tile the sum",
    ["float32[2]", "float32[2]", "float32[3]"],
    lambda x, y, z: [e.add(e.add(pad(z, 4, 0), pad(x, 0, 5)), pad(y, 2, 3))],
    """
        d: float32[7] = pad(c, 0, low=(4,), high=(0,), interior=(0,))
        e: float32[7] = pad(a, 0, low=(0,), high=(5,), interior=(0,))
        f: float32[7] = add(d, e)
        g: float32[7] = pad(b, 0, low=(2,), high=(3,), interior=(0,))
        h: float32[7] = add(f, g)
        return h
    """,
    """
        d: float32[2] = add(a, 0)
        e: float32[2] = add(b, 0)
        f: float32[3] = add(c, 0)
        g: float32[7] = concatenate(d, e, f, axis=0)
        return g
    """,
)
case(
    pad_sums,
    "padded parts with a gap, zeros around and another term",
    ["float32[2]", "int32[3]", "float32[9]"],
    lambda x, k, y: [e.add(pad(x, 1, 6), e.add(pad(x, 5, 2), y)), e.add(pad(k, 0, 3), pad(k, 3, 0))],
    """
        d: float32[9] = pad(a, 0, low=(1,), high=(6,), interior=(0,))
        e: float32[9] = pad(a, 0, low=(5,), high=(2,), interior=(0,))
        f: float32[9] = add(e, c)
        g: float32[9] = add(d, f)
        h: int32[6] = pad(b, 0, low=(0,), high=(3,), interior=(0,))
        i: int32[6] = pad(b, 0, low=(3,), high=(0,), interior=(0,))
        j: int32[6] = add(h, i)
        return g, j
    """,
    """
        d: float32[2] = add(a, 0)
        e: float32[2] = broadcast_in_dim(0, shape=(2,), axes=())
        f: float32[6] = concatenate(d, e, d, axis=0)
        g: float32[9] = pad(f, 0, low=(1,), high=(2,), interior=(0,))
        h: float32[9] = add(g, c)
        i: int32[6] = concatenate(b, b, axis=0)
        return h, i
    """,
)
case(
    pad_sums,
    "not those that overlap, nor partial sums with another use",
    ["float32[2]"],
    lambda x: [e.add(pad(x, 0, 1), pad(x, 1, 0)), e.add(pad(x, 0, 2), pad(x, 2, 0, 1))],
    """
        b: float32[3] = pad(a, 0, low=(0,), high=(1,), interior=(0,))
        c: float32[3] = pad(a, 0, low=(1,), high=(0,), interior=(0,))
        d: float32[3] = add(b, c)
        e: float32[4] = pad(a, 0, low=(0,), high=(2,), interior=(0,))
        f: float32[4] = pad(a, 1, low=(2,), high=(0,), interior=(0,))
        g: float32[4] = add(e, f)
        return d, g
    """,
    """
        b: float32[3] = pad(a, 0, low=(0,), high=(1,), interior=(0,))
        c: float32[3] = pad(a, 0, low=(1,), high=(0,), interior=(0,))
        d: float32[3] = add(b, c)
        e: float32[4] = pad(a, 0, low=(0,), high=(2,), interior=(0,))
        f: float32[4] = pad(a, 1, low=(2,), high=(0,), interior=(0,))
        g: float32[4] = add(e, f)
        return d, g
    """,
)

# ---- products, reductions ----------------------------------------------------------------------------------------------

case(
    products,
    "transposes before a product",
    ["float32[3,2]", "float32[4,3]"],
    lambda x, y: [
        dot_general(transpose(x, 1, 0), transpose(y, 1, 0), contract=((1,), (0,)), batch=((), ()), dtype=dt.float32)
    ],
    """
        c: float32[2,3] = transpose(a, permutation=(1, 0))
        d: float32[3,4] = transpose(b, permutation=(1, 0))
        e: float32[2,4] = dot_general(c, d, contract=((1,), (0,)), batch=((), ()), dtype=float32)
        return e
    """,
    """
        c: float32[2,4] = dot_general(a, b, contract=((0,), (1,)), batch=((), ()), dtype=float32)
        return c
    """,
)
case(
    products,
    "not if the free axes would change places",
    ["float32[2,3,4]", "float32[4,5]"],
    lambda x, y: [dot_general(transpose(x, 1, 0, 2), y, contract=((2,), (0,)), batch=((), ()), dtype=dt.float32)],
    """
        c: float32[3,2,4] = transpose(a, permutation=(1, 0, 2))
        d: float32[3,2,5] = dot_general(c, b, contract=((2,), (0,)), batch=((), ()), dtype=float32)
        return d
    """,
    """
        c: float32[3,2,4] = transpose(a, permutation=(1, 0, 2))
        d: float32[3,2,5] = dot_general(c, b, contract=((2,), (0,)), batch=((), ()), dtype=float32)
        return d
    """,
)
case(
    reductions,
    "axes of size 1, and none",
    ["float32[2,1]", "int32[2,1]"],
    lambda x, k: [
        reduction.reduce_max(x, axes=(1,)),
        reduction.reduce_sum(x, axes=(1,)),
        reduction.reduce_sum(k, axes=()),
        reduction.reduce_sum(x, axes=(0,)),
    ],
    """
        c: float32[2] = reduce_max(a, axes=(1,))
        d: float32[2] = reduce_sum(a, axes=(1,))
        e: int32[2,1] = reduce_sum(b, axes=())
        f: float32[1] = reduce_sum(a, axes=(0,))
        return c, d, e, f
    """,
    """
        c: float32[2] = reshape(a, shape=(2,))
        d: float32[2,1] = add(a, 0)
        e: float32[2] = reshape(d, shape=(2,))
        f: float32[1] = reduce_sum(a, axes=(0,))
        return c, e, b, f
    """,
)
case(
    reductions,
    "running reductions of one element",
    ["float32[2,1]"],
    lambda x: [cumulative.cumsum(x, axis=1, reverse=False), cumulative.cummax(x, axis=1, reverse=True)],
    """
        b: float32[2,1] = cumsum(a, axis=1, reverse=False)
        c: float32[2,1] = cummax(a, axis=1, reverse=True)
        return b, c
    """,
    """
        b: float32[2,1] = add(a, 0)
        return b, a
    """,
)

case(
    reductions,
    "a sum of one element per line",
    ["int32[2,1]", "float32[2,1]"],
    lambda i, x: [
        reduction.reduce_sum(e.neg(e.select(e.eq(iota(9), i), x, number(0, x))), axes=(1,)),
        reduction.reduce_sum(e.select(e.eq(i, iota(9)), x, number(1, x)), axes=(1,)),
    ],
    """
        c: int32[9] = iota(shape=(9,), dtype=int32, axis=0, device=CPU)
        d: bool[2,9] = eq(c, a)
        e: float32[2,9] = select(d, b, 0)
        f: float32[2,9] = neg(e)
        g: float32[2] = reduce_sum(f, axes=(1,))
        h: int32[9] = iota(shape=(9,), dtype=int32, axis=0, device=CPU)
        i: bool[2,9] = eq(a, h)
        j: float32[2,9] = select(i, b, 1)
        k: float32[2] = reduce_sum(j, axes=(1,))
        return g, k
    """,
    """
        c: int32[9] = iota(shape=(9,), dtype=int32, axis=0, device=CPU)
        d: bool[2,9] = eq(c, a)
        e: bool[2,1] = ge(a, 0)
        f: bool[2,1] = le(a, 8)
        g: bool[2,1] = and(e, f)
        h: float32[2,1] = select(g, b, 0)
        i: float32[2,1] = neg(h)
        j: float32[2,1] = add(i, 0)
        k: float32[2] = reshape(j, shape=(2,))
        l: float32[2,9] = select(d, b, 1)
        m: float32[2] = reduce_sum(l, axes=(1,))
        return k, m
    """,
)

# ---- gather, scatter ---------------------------------------------------------------------------------------------------

case(
    gathers,
    "gathered before it is computed",
    ["float32[3,9]", "float32[3]", "int32[3,1,1]"],
    lambda x, y, k: [gather(m.exp(e.sub(e.mul(x, 2), reshape(y, 3, 1))), k)],
    """
        d: float32[3,9] = mul(a, 2)
        e: float32[3,1] = reshape(b, shape=(3, 1))
        f: float32[3,9] = sub(d, e)
        g: float32[3,9] = exp(f)
        h: float32[3,1] = gather(g, c, places=Places(window=(), collapsed=(1,), batch=(0,), indices_batch=(0,), index_map=(1,)), sizes=(1, 1), mode=fill)
        return h
    """,
    """
        d: float32[3,1] = reshape(b, shape=(3, 1))
        e: float32[3,1] = gather(a, c, places=Places(window=(), collapsed=(1,), batch=(0,), indices_batch=(0,), index_map=(1,)), sizes=(1, 1), mode=fill)
        f: float32[3,1] = mul(e, 2)
        g: float32[3] = reshape(d, shape=(3,))
        h: float32[3,1] = reshape(g, shape=(3, 1))
        i: float32[3,1] = sub(f, h)
        j: float32[3,1] = exp(i)
        return j
    """,
)
case(
    gathers,
    "not what is nowhere nan, if places outside are filled with nan",
    ["float32[3,9]", "int32[3,1,1]"],
    lambda x, k: [gather(e.max_(x, 0), k), gather(e.max_(x, 0), k, "clip")],
    """
        c: float32[3,9] = max(a, 0)
        d: float32[3,1] = gather(c, b, places=Places(window=(), collapsed=(1,), batch=(0,), indices_batch=(0,), index_map=(1,)), sizes=(1, 1), mode=fill)
        e: float32[3,9] = max(a, 0)
        f: float32[3,1] = gather(e, b, places=Places(window=(), collapsed=(1,), batch=(0,), indices_batch=(0,), index_map=(1,)), sizes=(1, 1), mode=clip)
        return d, f
    """,
    """
        c: float32[3,9] = max(a, 0)
        d: float32[3,1] = gather(c, b, places=Places(window=(), collapsed=(1,), batch=(0,), indices_batch=(0,), index_map=(1,)), sizes=(1, 1), mode=fill)
        e: float32[3,1] = gather(a, b, places=Places(window=(), collapsed=(1,), batch=(0,), indices_batch=(0,), index_map=(1,)), sizes=(1, 1), mode=clip)
        f: float32[3,1] = max(e, 0)
        return d, f
    """,
)
case(
    simplify,
    "rows that are numbered",
    ["float32[3,9]", "float32[9]", "int32[3]"],
    lambda x, y, k: [
        gather(
            e.add(x, 1),
            shape.concatenate(reshape(iota(3), 3, 1), reshape(k, 3, 1), axis=1),
            collapsed=(0, 1),
            index_map=(0, 1),
        ),
        gather(e.mul(x, y), reshape(k, 3, 1, 1)),
    ],
    """
        d: float32[3,9] = add(a, 1)
        e: int32[3] = iota(shape=(3,), dtype=int32, axis=0, device=CPU)
        f: int32[3,1] = reshape(e, shape=(3, 1))
        g: int32[3,1] = reshape(c, shape=(3, 1))
        h: int32[3,2] = concatenate(f, g, axis=1)
        i: float32[3] = gather(d, h, places=Places(window=(), collapsed=(0, 1), batch=(), indices_batch=(), index_map=(0, 1)), sizes=(1, 1), mode=fill)
        j: float32[3,9] = mul(a, b)
        k: int32[3,1,1] = reshape(c, shape=(3, 1, 1))
        l: float32[3,1] = gather(j, k, places=Places(window=(), collapsed=(1,), batch=(0,), indices_batch=(0,), index_map=(1,)), sizes=(1, 1), mode=fill)
        return i, l
    """,
    """
        d: int32[3,1] = reshape(c, shape=(3, 1))
        e: float32[3] = gather(a, d, places=Places(window=(), collapsed=(1,), batch=(0,), indices_batch=(0,), index_map=(1,)), sizes=(1, 1), mode=fill)
        f: float32[3] = add(e, 1)
        g: float32[3,9] = mul(a, b)
        h: int32[3,1,1] = reshape(c, shape=(3, 1, 1))
        i: float32[3,1] = gather(g, h, places=Places(window=(), collapsed=(1,), batch=(0,), indices_batch=(0,), index_map=(1,)), sizes=(1, 1), mode=fill)
        return f, i
    """,
)
case(
    gathers,
    "paired axes in another order",
    ["float32[2,5,9]", "float32[2,1,9]", "int32[9,2,1]"],
    lambda x, y, k: [gather(e.mul(x, y), k, collapsed=(1,), batch=(0, 2), indices_batch=(1, 0), index_map=(1,))],
    """
        d: float32[2,5,9] = mul(a, b)
        e: float32[9,2] = gather(d, c, places=Places(window=(), collapsed=(1,), batch=(0, 2), indices_batch=(1, 0), index_map=(1,)), sizes=(1, 1, 1), mode=fill)
        return e
    """,
    """
        d: float32[9,2] = gather(a, c, places=Places(window=(), collapsed=(1,), batch=(0, 2), indices_batch=(1, 0), index_map=(1,)), sizes=(1, 1, 1), mode=fill)
        e: float32[2,9] = reshape(b, shape=(2, 9))
        f: float32[9,2] = transpose(e, permutation=(1, 0))
        g: float32[9,2] = mul(d, f)
        return g
    """,
)
case(
    simplify,
    "one update per row",
    ["int32[3]", "float32[3]"],
    lambda k, u: [scatter(broadcast(number(0, u), (3, 4), ()), reshape(k, 3, 1, 1), reshape(u, 3, 1))],
    """
        c: float32[3,4] = broadcast_in_dim(0, shape=(3, 4), axes=())
        d: int32[3,1,1] = reshape(a, shape=(3, 1, 1))
        e: float32[3,1] = reshape(b, shape=(3, 1))
        f: float32[3,4] = scatter(c, d, e, places=Places(window=(), collapsed=(1,), batch=(0,), indices_batch=(0,), index_map=(1,)), combine=add, mode=drop, unique=False)
        return f
    """,
    """
        c: float32[3,1] = reshape(b, shape=(3, 1))
        d: int32[4] = iota(shape=(4,), dtype=int32, axis=0, device=CPU)
        e: int32[3,1] = reshape(a, shape=(3, 1))
        f: bool[3,4] = eq(d, e)
        g: float32[3,1] = add(0, c)
        h: float32[3,4] = select(f, g, 0)
        return h
    """,
)
case(
    simplify,
    "one update per row, places clamped, set",
    ["int32[3]", "float32[3]"],
    lambda k, u: [
        scatter(broadcast(number(-0.0, u), (3, 4), ()), reshape(k, 3, 1, 1), reshape(u, 3, 1), "set", "clip")
    ],
    """
        c: float32[3,4] = broadcast_in_dim(-0.0, shape=(3, 4), axes=())
        d: int32[3,1,1] = reshape(a, shape=(3, 1, 1))
        e: float32[3,1] = reshape(b, shape=(3, 1))
        f: float32[3,4] = scatter(c, d, e, places=Places(window=(), collapsed=(1,), batch=(0,), indices_batch=(0,), index_map=(1,)), combine=set, mode=clip, unique=False)
        return f
    """,
    """
        c: float32[3,1] = reshape(b, shape=(3, 1))
        d: int32[4] = iota(shape=(4,), dtype=int32, axis=0, device=CPU)
        e: int32[3,1] = reshape(a, shape=(3, 1))
        f: int32[3,1] = clamp(0, e, 3)
        g: bool[3,4] = eq(d, f)
        h: float32[3,4] = select(g, c, -0.0)
        return h
    """,
)
case(
    simplify,
    "one update per row, numbered rows",
    ["int32[3]", "float32[3]"],
    lambda k, u: [
        scatter(
            broadcast(number(0, u), (3, 4), ()),
            shape.concatenate(reshape(iota(3), 3, 1), reshape(k, 3, 1), axis=1),
            u,
            collapsed=(0, 1),
            index_map=(0, 1),
        )
    ],
    """
        c: float32[3,4] = broadcast_in_dim(0, shape=(3, 4), axes=())
        d: int32[3] = iota(shape=(3,), dtype=int32, axis=0, device=CPU)
        e: int32[3,1] = reshape(d, shape=(3, 1))
        f: int32[3,1] = reshape(a, shape=(3, 1))
        g: int32[3,2] = concatenate(e, f, axis=1)
        h: float32[3,4] = scatter(c, g, b, places=Places(window=(), collapsed=(0, 1), batch=(), indices_batch=(), index_map=(0, 1)), combine=add, mode=drop, unique=False)
        return h
    """,
    """
        c: int32[3,1] = reshape(a, shape=(3, 1))
        d: int32[4] = iota(shape=(4,), dtype=int32, axis=0, device=CPU)
        e: bool[3,4] = eq(d, c)
        f: float32[3,1] = reshape(b, shape=(3, 1))
        g: float32[3,1] = add(0, f)
        h: float32[3,4] = select(e, g, 0)
        return h
    """,
)
case(
    simplify,
    "one update per row with a window, in another order",
    ["uint8[3]", "float32[2,3]"],
    lambda k, u: [
        scatter(
            m.exp(broadcast(u, (2, 300, 3), (0, 2))),
            reshape(k, 3, 1),
            u,
            "max",
            window=(0,),
            collapsed=(1,),
            batch=(2,),
            indices_batch=(0,),
            index_map=(1,),
        )
    ],
    """
        c: float32[2,300,3] = broadcast_in_dim(b, shape=(2, 300, 3), axes=(0, 2))
        d: float32[2,300,3] = exp(c)
        e: uint8[3,1] = reshape(a, shape=(3, 1))
        f: float32[2,300,3] = scatter(d, e, b, places=Places(window=(0,), collapsed=(1,), batch=(2,), indices_batch=(0,), index_map=(1,)), combine=max, mode=drop, unique=False)
        return f
    """,
    """
        c: int32[300,1] = iota(shape=(300, 1), dtype=int32, axis=0, device=CPU)
        d: int32[3] = convert(a, dtype=int32, weak_type=False)
        e: bool[300,3] = eq(c, d)
        f: float32[2,1,3] = reshape(b, shape=(2, 1, 3))
        g: float32[2,1,3] = exp(f)
        h: float32[2,1,3] = max(g, f)
        i: float32[2,300,3] = select(e, h, g)
        return i
    """,
)
case(
    scatters,
    "not two updates per row",
    ["int32[3,2]", "float32[3,2]"],
    lambda k, u: [scatter(broadcast(number(0, u), (3, 4), ()), reshape(k, 3, 2, 1), u)],
    """
        c: float32[3,4] = broadcast_in_dim(0, shape=(3, 4), axes=())
        d: int32[3,2,1] = reshape(a, shape=(3, 2, 1))
        e: float32[3,4] = scatter(c, d, b, places=Places(window=(), collapsed=(1,), batch=(0,), indices_batch=(0,), index_map=(1,)), combine=add, mode=drop, unique=False)
        return e
    """,
    """
        c: float32[3,4] = broadcast_in_dim(0, shape=(3, 4), axes=())
        d: int32[3,2,1] = reshape(a, shape=(3, 2, 1))
        e: float32[3,4] = scatter(c, d, b, places=Places(window=(), collapsed=(1,), batch=(0,), indices_batch=(0,), index_map=(1,)), combine=add, mode=drop, unique=False)
        return e
    """,
)
case(
    scatters,
    "not into an array from memory",
    ["float32[3,4]", "int32[3]", "float32[3]"],
    lambda x, k, u: [scatter(x, reshape(k, 3, 1, 1), reshape(u, 3, 1))],
    """
        d: int32[3,1,1] = reshape(b, shape=(3, 1, 1))
        e: float32[3,1] = reshape(c, shape=(3, 1))
        f: float32[3,4] = scatter(a, d, e, places=Places(window=(), collapsed=(1,), batch=(0,), indices_batch=(0,), index_map=(1,)), combine=add, mode=drop, unique=False)
        return f
    """,
    """
        d: int32[3,1,1] = reshape(b, shape=(3, 1, 1))
        e: float32[3,1] = reshape(c, shape=(3, 1))
        f: float32[3,4] = scatter(a, d, e, places=Places(window=(), collapsed=(1,), batch=(0,), indices_batch=(0,), index_map=(1,)), combine=add, mode=drop, unique=False)
        return f
    """,
)

# ---- equal nodes, constants --------------------------------------------------------------------------------------------

case(
    cse,
    "equal nodes, also with operands in another order",
    ["float32[3]", "float32[3]"],
    lambda x, y: [e.add(e.mul(x, y), m.exp(x)), e.sub(e.mul(y, x), m.exp(x))],
    """
        c: float32[3] = mul(a, b)
        d: float32[3] = exp(a)
        e: float32[3] = add(c, d)
        f: float32[3] = mul(b, a)
        g: float32[3] = exp(a)
        h: float32[3] = sub(f, g)
        return e, h
    """,
    """
        c: float32[3] = mul(a, b)
        d: float32[3] = exp(a)
        e: float32[3] = add(c, d)
        f: float32[3] = sub(c, d)
        return e, f
    """,
)
case(
    cse,
    "not max, which chooses between zeros",
    ["float32[3]", "float32[3]"],
    lambda x, y: [e.max_(x, y), e.max_(y, x)],
    """
        c: float32[3] = max(a, b)
        d: float32[3] = max(b, a)
        return c, d
    """,
    """
        c: float32[3] = max(a, b)
        d: float32[3] = max(b, a)
        return c, d
    """,
)
case(
    cse,
    "numbers are equal if their bits are",
    ["float32[3]"],
    lambda x: [e.add(x, number(0.0, x)), e.add(x, number(0, x)), e.add(x, number(-0.0, x))],
    """
        b: float32[3] = add(a, 0.0)
        c: float32[3] = add(a, 0)
        d: float32[3] = add(a, -0.0)
        return b, c, d
    """,
    """
        b: float32[3] = add(a, 0.0)
        c: float32[3] = add(a, -0.0)
        return b, b, c
    """,
)
case(
    folding,
    "numbers",
    ["float32[3]"],
    lambda x: [e.mul(x, e.neg(e.div(number(1, x), number(8, x)))), e.mul(x, m.sqrt(number(-1, x)))],
    """
        b: float32[] = div(1, 8)
        c: float32[] = neg(b)
        d: float32[3] = mul(a, c)
        e: float32[] = sqrt(-1)
        f: float32[3] = mul(a, e)
        return d, f
    """,
    """
        b: float32[3] = mul(a, -0.125)
        c: float32[3] = mul(a, nan)
        return b, c
    """,
)
case(
    folding,
    "not what grows",
    ["float32[3]"],
    lambda x: [broadcast(number(1, x), (3,), ()), iota(3)],
    """
        b: float32[3] = broadcast_in_dim(1, shape=(3,), axes=())
        c: int32[3] = iota(shape=(3,), dtype=int32, axis=0, device=CPU)
        return b, c
    """,
    """
        b: float32[3] = broadcast_in_dim(1, shape=(3,), axes=())
        c: int32[3] = iota(shape=(3,), dtype=int32, axis=0, device=CPU)
        return b, c
    """,
)

# ---- algebra -----------------------------------------------------------------------------------------------------------

case(
    algebra,
    "numbers that change nothing",
    ["float32[3]", "int32[3]"],
    lambda x, k: [
        e.add(x, number(-0.0, x)),
        e.sub(x, number(0.0, x)),
        e.mul(x, number(1, x)),
        e.div(x, number(1, x)),
        e.add(k, number(0, k)),
        m.pow_(x, number(1, x)),
    ],
    """
        c: float32[3] = add(a, -0.0)
        d: float32[3] = sub(a, 0.0)
        e: float32[3] = mul(a, 1)
        f: float32[3] = div(a, 1)
        g: int32[3] = add(b, 0)
        h: float32[3] = pow(a, 1)
        return c, d, e, f, g, h
    """,
    """
        return a, a, a, a, b, a
    """,
)
case(
    algebra,
    "integers and bools that decide",
    ["int8[3]", "bool[3]"],
    lambda k, c: [
        e.mul(k, number(0, k)),
        e.sub(k, k),
        e.and_(c, number(False, c)),
        e.or_(k, number(-1, k)),
        e.xor(c, c),
    ],
    """
        c: int8[3] = mul(a, 0)
        d: int8[3] = sub(a, a)
        e: bool[3] = and(b, False)
        f: int8[3] = or(a, -1)
        g: bool[3] = xor(b, b)
        return c, d, e, f, g
    """,
    """
        c: int8[3] = broadcast_in_dim(0, shape=(3,), axes=())
        d: bool[3] = broadcast_in_dim(False, shape=(3,), axes=())
        e: int8[3] = broadcast_in_dim(-1, shape=(3,), axes=())
        return c, c, d, e, d
    """,
)
case(
    algebra,
    "sums and products of integers with numbers wrap around",
    ["int8[3]"],
    lambda k: [e.add(e.add(k, number(100, k)), number(100, k)), e.mul(number(16, k), e.mul(k, number(17, k)))],
    """
        b: int8[3] = add(a, 100)
        c: int8[3] = add(b, 100)
        d: int8[3] = mul(a, 17)
        e: int8[3] = mul(16, d)
        return c, e
    """,
    """
        b: int8[3] = add(a, -56)
        c: int8[3] = mul(a, 16)
        return b, c
    """,
)
case(
    algebra,
    "signs",
    ["float32[3]", "float32[3]"],
    lambda x, y: [
        e.neg(e.neg(x)),
        e.add(x, e.neg(y)),
        e.sub(x, e.neg(y)),
        e.mul(e.neg(x), e.neg(y)),
        e.mul(e.neg(x), number(3, x)),
        e.abs_(e.neg(x)),
        e.sub(number(-0.0, x), x),
        e.mul(x, number(-1, x)),
        e.div(e.neg(x), e.neg(y)),
    ],
    """
        c: float32[3] = neg(a)
        d: float32[3] = neg(c)
        e: float32[3] = neg(b)
        f: float32[3] = add(a, e)
        g: float32[3] = neg(b)
        h: float32[3] = sub(a, g)
        i: float32[3] = neg(a)
        j: float32[3] = neg(b)
        k: float32[3] = mul(i, j)
        l: float32[3] = neg(a)
        m: float32[3] = mul(l, 3)
        n: float32[3] = neg(a)
        o: float32[3] = abs(n)
        p: float32[3] = sub(-0.0, a)
        q: float32[3] = mul(a, -1)
        r: float32[3] = neg(a)
        s: float32[3] = neg(b)
        t: float32[3] = div(r, s)
        return d, f, h, k, m, o, p, q, t
    """,
    """
        c: float32[3] = neg(a)
        d: float32[3] = sub(a, b)
        e: float32[3] = add(a, b)
        f: float32[3] = mul(a, b)
        g: float32[3] = mul(a, -3.0)
        h: float32[3] = abs(a)
        i: float32[3] = div(a, b)
        return a, d, e, f, g, h, c, c, i
    """,
)
case(
    algebra,
    "division by powers of two",
    ["float32[3]", "float16[3]"],
    lambda x, h: [e.div(x, number(256, x)), e.div(x, number(-0.5, x)), e.div(h, number(2.0**15, h))],
    """
        c: float32[3] = div(a, 256)
        d: float32[3] = div(a, -0.5)
        e: float16[3] = div(b, 32768.0)
        return c, d, e
    """,
    """
        c: float32[3] = mul(a, 0.00390625)
        d: float32[3] = mul(a, -2.0)
        e: float16[3] = div(b, 32768.0)
        return c, d, e
    """,
)
case(
    algebra,
    "small powers",
    ["float32[3]"],
    lambda x: [m.integer_pow(x, exponent=n) for n in (0, 1, 2, 3, 4, -1)],
    """
        b: float32[3] = integer_pow(a, exponent=0)
        c: float32[3] = integer_pow(a, exponent=1)
        d: float32[3] = integer_pow(a, exponent=2)
        e: float32[3] = integer_pow(a, exponent=3)
        f: float32[3] = integer_pow(a, exponent=4)
        g: float32[3] = integer_pow(a, exponent=-1)
        return b, c, d, e, f, g
    """,
    """
        b: float32[3] = broadcast_in_dim(1, shape=(3,), axes=())
        c: float32[3] = mul(a, a)
        d: float32[3] = mul(a, c)
        e: float32[3] = mul(c, c)
        f: float32[3] = div(1, a)
        return b, a, c, d, e, f
    """,
)
case(
    algebra,
    "small powers of 16-bit floats round once",
    ["float16[3]"],
    lambda x: [m.integer_pow(x, exponent=n) for n in (2, 3)],
    """
        b: float16[3] = integer_pow(a, exponent=2)
        c: float16[3] = integer_pow(a, exponent=3)
        return b, c
    """,
    """
        b: float16[3] = mul(a, a)
        c: float16[3] = integer_pow(a, exponent=3)
        return b, c
    """,
)
case(
    algebra,
    "parts of complex numbers",
    ["float32[3]", "float32[3]", "complex64[3]"],
    lambda x, y, z: [
        e.real(e.complex_(x, y)),
        e.imag(e.complex_(x, y)),
        e.complex_(e.real(z), e.imag(z)),
        e.conj(e.conj(z)),
    ],
    """
        d: complex64[3] = complex(a, b)
        e: float32[3] = real(d)
        f: complex64[3] = complex(a, b)
        g: float32[3] = imag(f)
        h: float32[3] = real(c)
        i: float32[3] = imag(c)
        j: complex64[3] = complex(h, i)
        k: complex64[3] = conj(c)
        l: complex64[3] = conj(k)
        return e, g, j, l
    """,
    """
        return a, b, c, c
    """,
)
case(
    algebra,
    "comparisons with itself, positions with 0",
    ["int32[3]", "float32[3]"],
    lambda k, x: [e.eq(k, k), e.lt(x, x), e.lt(iota(3), number(0, k)), e.max_(x, x)],
    """
        c: bool[3] = eq(a, a)
        d: bool[3] = lt(b, b)
        e: int32[3] = iota(shape=(3,), dtype=int32, axis=0, device=CPU)
        f: bool[3] = lt(e, 0)
        g: float32[3] = max(b, b)
        return c, d, f, g
    """,
    """
        c: bool[3] = broadcast_in_dim(True, shape=(3,), axes=())
        d: bool[3] = broadcast_in_dim(False, shape=(3,), axes=())
        return c, d, d, b
    """,
)
case(
    algebra,
    "logic",
    ["bool[3]", "bool[3]"],
    lambda c, d: [
        e.not_(e.not_(c)),
        e.and_(c, c),
        e.and_(c, number(True, c)),
        e.or_(c, number(False, c)),
        e.xor(c, number(True, c)),
    ],
    """
        c: bool[3] = not(a)
        d: bool[3] = not(c)
        e: bool[3] = and(a, a)
        f: bool[3] = and(a, True)
        g: bool[3] = or(a, False)
        h: bool[3] = xor(a, True)
        return d, e, f, g, h
    """,
    """
        c: bool[3] = not(a)
        return a, a, a, a, c
    """,
)
case(
    algebra,
    "choices",
    ["bool[3]", "float32[3]", "float32[3]"],
    lambda c, x, y: [
        e.select(number(True, c), x, y),
        e.select(c, x, x),
        e.select(e.not_(c), x, y),
        e.select(c, e.select(c, x, y), y),
        e.select(c, x, e.select(c, x, y)),
    ],
    """
        d: float32[3] = select(True, b, c)
        e: float32[3] = select(a, b, b)
        f: bool[3] = not(a)
        g: float32[3] = select(f, b, c)
        h: float32[3] = select(a, b, c)
        i: float32[3] = select(a, h, c)
        j: float32[3] = select(a, b, c)
        k: float32[3] = select(a, b, j)
        return d, e, g, i, k
    """,
    """
        d: float32[3] = select(a, c, b)
        e: float32[3] = select(a, b, c)
        return b, b, d, e, e
    """,
)
case(
    algebra,
    "choices between bools",
    ["bool[3]", "bool[3]"],
    lambda c, d: [
        e.select(c, number(True, c), number(False, c)),
        e.select(c, d, number(False, c)),
        e.select(c, number(True, c), d),
        e.select(c, number(False, c), number(True, c)),
    ],
    """
        c: bool[3] = select(a, True, False)
        d: bool[3] = select(a, b, False)
        e: bool[3] = select(a, True, b)
        f: bool[3] = select(a, False, True)
        return c, d, e, f
    """,
    """
        c: bool[3] = and(a, b)
        d: bool[3] = or(a, b)
        e: bool[3] = not(a)
        return a, c, d, e
    """,
)


# ---- how they are checked --------------------------------------------------------------------------------


def body(graph):
    """The text of a graph without its head."""
    return [line.strip() for line in str(graph).split("\n")[1:]]


def run(graph, arrays):
    """The results of the graph as it is: neither simplified nor fused."""
    graph.derived["compiled"] = graph
    outs = program_of(graph, CPU).run([library.array_from_host(a, CPU) for a in arrays])
    return [library.array_to_host(out, node.aval) for out, node in zip(outs, graph.results)]


def assert_same_bits(found, wanted):
    """Equal numbers with equal signs of zeros; nan where there is nan."""
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    if found.dtype.name == "bfloat16":
        found, wanted = found.astype(np.float32), wanted.astype(np.float32)
    np.testing.assert_array_equal(found, wanted)
    if found.dtype.kind in "fc":
        for a, b in ((found.real, wanted.real), (found.imag, wanted.imag)):
            numbers = ~np.isnan(b)
            np.testing.assert_array_equal(np.signbit(a)[numbers], np.signbit(b)[numbers])


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("transformed, avals, function, before, after", CASES)
def test_before_and_after(transformed, avals, function, before, after, rng):
    graph = graph_of("f", [aval(a) for a in avals], function)
    made = transformed(graph)
    lines = lambda text: [line.strip() for line in text.strip().split("\n")]
    assert body(graph) == lines(before)
    assert body(made) == lines(after)
    assert transformed(made) is made  # nothing is left to do
    for _ in range(4):
        arrays = [values(rng, node.aval) for node in graph.inputs]
        for found, wanted in zip(run(made, arrays), run(graph, arrays)):
            assert_same_bits(found, wanted)


# ---- conversions -----------------------------------------------------------------------------------------

EXAMPLES = {
    "bool": [0, 1],
    "int8": [-128, 127, 1],
    "uint8": [255, 128],
    "int16": [-(2**15), 2**15 - 1, 2**12 + 1],
    "uint16": [2**16 - 1],
    "int32": [-(2**31), 2**31 - 1, 2**24 + 1],
    "uint32": [2**32 - 1, 2**24 + 1],
    "int64": [-(2**63), 2**63 - 1, 2**53 + 1],
    "uint64": [2**64 - 1],
    "float16": [65504, 6e-8, 1 + 2**-10],
    "bfloat16": [3e38, 9.2e-41, 1 + 2**-7],
    "float32": [3.4e38, 1.4e-45, 1 + 2**-23],
    "float64": [1.7e308, 5e-324, 1 + 2**-52],
}


@pytest.mark.parametrize("narrow", EXAMPLES)
@pytest.mark.parametrize("wide", EXAMPLES)
def test_holds_says_whether_all_values_survive(wide, narrow):
    to, of = (dt.bool_ if name == "bool" else getattr(dt, name) for name in (wide, narrow))
    with np.errstate(all="ignore"):
        x = np.array(EXAMPLES[narrow]).astype(of) if narrow not in ("uint64",) else np.array(EXAMPLES[narrow], of)
        back = [_exactly(v) == _exactly(w) for v, w in zip(x, x.astype(to))]
    assert holds(to, of) == all(back)


def _exactly(value):
    """A NumPy number as a Python number that compares exactly with all others."""
    return int(value) if value.dtype.kind in "biu" else float(value)


@pytest.mark.filterwarnings("ignore:overflow")
def test_conversions_in_a_chain_give_the_same_bits(rng):
    names = [n for n in EXAMPLES if n != "bool"] + ["bool_", "complex64"]
    for first in names[:-1]:
        x = values(rng, make_aval((32,), getattr(dt, first), CPU))
        for second in names[:-1]:
            chain = lambda x: [convert(convert(x, getattr(dt, second)), getattr(dt, third)) for third in names]
            graph = graph_of("f", [make_aval((32,), x.dtype, CPU)], chain)
            for found, wanted in zip(run(converts(graph), [x]), run(graph, [x])):
                assert_same_bits(found, wanted)


# ---- what is not exact stays -----------------------------------------------------------------------------

INEXACT = {
    "x + 0.0 is 0.0 for x = -0.0": lambda x: e.add(x, number(0.0, x)),
    "x - -0.0": lambda x: e.sub(x, number(-0.0, x)),
    "0.0 - x": lambda x: e.sub(number(0.0, x), x),
    "x * 0": lambda x: e.mul(x, number(0.0, x)),
    "x - x": lambda x: e.sub(x, x),
    "x / x": lambda x: e.div(x, x),
    "x == x": lambda x: e.eq(x, x),
    "-(x - 1)": lambda x: e.neg(e.sub(x, number(1, x))),
    "(x + 1) + 1": lambda x: e.add(e.add(x, number(1, x)), number(1, x)),
    "x / 3": lambda x: e.div(x, number(3, x)),
    "x / 2**-127": lambda x: e.div(x, number(2.0**-127, x)),
    "x ** 2.0": lambda x: m.pow_(x, number(2, x)),
    "x ** 5": lambda x: m.integer_pow(x, exponent=5),
    "sum of a broadcast": lambda x: reduction.reduce_sum(broadcast(x, (3, 4), (0,)), axes=(1,)),
    "sum of a sum": lambda x: reduction.reduce_sum(
        reduction.reduce_sum(broadcast(x, (3, 4), (0,)), axes=(1,)), axes=(0,)
    ),
    "through a smaller dtype": lambda x: convert(convert(x, dt.bfloat16), dt.float32),
}


@pytest.mark.parametrize("function", INEXACT.values(), ids=INEXACT)
def test_what_is_not_exact_stays(function):
    graph = graph_of("f", [aval("float32[3]")], lambda x: [function(x)])
    assert body(simplify(graph)) == body(graph)


def test_the_negative_of_an_unsigned_number_is_another_number():
    graph = graph_of("f", [aval("uint8[3]")], lambda x: [e.abs_(e.neg(x))])
    assert body(simplify(graph)) == body(graph)
