"""gather and scatter in XLA's general form: windows of an array read or written at computed places.

https://openxla.org/xla/operation_semantics#gather. The last axis of `indices` is the index vector. Modes:
"clip" moves a window that does not fit to the nearest place where it does; "fill" gives the fill value (nan, or the
lowest / highest integer) and "zero" gives 0 for a window that does not fit wholly, and scatter skips it ("drop").
"""

from typing import NamedTuple

from ..core.dtype import dt, is_complex, is_integer
from ..core.errors import DtypeError, ShapeError
from .access import ORIGIN
from .base import is_linear, number, primitive
from .elementwise import add, conversion_of, convert_to, div, eq, mul, select
from .shape import add_batch_axis, broadcast_in_dim, iota, reshape, zeros_like

MODES = {"clip": 0, "fill": 1, "drop": 1, "zero": 2}
COMBINE = {"set": 0, "add": 1, "mul": 2, "min": 3, "max": 4}


class Places(NamedTuple):
    """Where windows lie: which axes of the array, the indices and the windows belong to each other.

    XLA's GatherDimensionNumbers; ScatterDimensionNumbers are the same under other names.
    """

    window: tuple = ()  # axes of the result (scatter: of the updates) that run through a window
    collapsed: tuple = ()  # axes of the array on which a window has size 1 that the result does not show
    batch: tuple = ()  # axes of the array that are paired, in this order, with ...
    indices_batch: tuple = ()  # ... these axes of the indices
    index_map: tuple = ()  # the axis of the array that each component of an index vector addresses

    def shifted(self, array, indices, windows):
        """The numbers after a new leading axis of the array, the indices, the windows (each True or False)."""
        move = lambda axes, by: tuple(a + by for a in axes)
        return Places(
            move(self.window, windows),
            move(self.collapsed, array),
            move(self.batch, array),
            move(self.indices_batch, indices),
            move(self.index_map, array),
        )

    def lists(self):
        return self.window, self.collapsed, self.batch, self.indices_batch, self.index_map


def _flat(*lists):
    return [number for items in lists for number in (len(items), *items)]


def _check_indices(name, x, indices, places):
    if not is_integer(indices.dtype) or not indices.ndim:
        raise DtypeError(
            f"{name}: indices must be integers with the index vector on the last axis, got {indices}.",
            fix="convert them: i.astype(dt.int32).",
        )
    if indices.shape[-1] != len(places.index_map):
        raise ShapeError(f"{name}: the last axis of indices {indices} must have size {len(places.index_map)}.")
    if [x.shape[a] for a in places.batch] != [indices.shape[a] for a in places.indices_batch]:
        raise ShapeError(
            f"{name}: axes {list(places.batch)} of {x} and {list(places.indices_batch)} of indices {indices} are paired, "
            "but their sizes differ.",
            fix="broadcast one of them.",
        )


def _check_somewhere(name, x, windows, places, mode):
    """Windows of one element, if there are any, need one on their axis, unless those outside are skipped."""
    for a in places.collapsed:
        if not x.shape[a] and windows.size and (mode == "clip" or a not in places.index_map):
            raise ShapeError(f"{name}: axis {a} of {x} is empty: no window lies there.", fix="take none of it.")


@primitive
class gather:
    """Windows of size `sizes` of x at the places that `indices` says"""

    linear = "together"
    form = "gather"

    def infer(x, indices, *, places, sizes, mode):
        _check_indices("gather", x, indices, places)
        if len(sizes) != x.ndim or any(not 0 <= s <= n for s, n in zip(sizes, x.shape)):
            raise ShapeError(f"gather: windows of size {list(sizes)} do not fit in {x}.")
        gone = places.collapsed + places.batch
        ndim = indices.ndim - 1 + x.ndim - len(gone)
        if len(places.window) != x.ndim - len(gone) or any(not 0 <= d < ndim for d in places.window):
            raise ShapeError(f"gather: window axes {list(places.window)} do not fit {x} and indices {indices}.")
        inside = iter([s for i, s in enumerate(sizes) if i not in gone])
        outside = iter(indices.shape[:-1])
        out = x.update(shape=tuple(next(inside if d in places.window else outside) for d in range(ndim)))
        _check_somewhere("gather", x, out, places, mode)
        return out

    def jvp(primals, tangents, out, *, places, sizes, mode):
        return gather(tangents[0], primals[1], places=places, sizes=sizes, mode="clip" if mode == "clip" else "zero")

    def transpose(ct, x, indices, *, places, sizes, mode):
        mode = "clip" if mode == "clip" else "drop"
        return scatter(zeros_like(x), indices, ct, places=places, combine="add", mode=mode, unique=False), None

    def batch(inputs, batched, *, places, sizes, mode):
        (x, indices), (x_batched, indices_batched) = inputs, batched
        places = places.shifted(x_batched, indices_batched, windows=True)
        if x_batched and indices_batched:
            places = places._replace(batch=(0, *places.batch), indices_batch=(0, *places.indices_batch))
            sizes = (min(1, x.shape[0]), *sizes)
        elif x_batched:
            places, sizes = places._replace(window=(0, *places.window)), (x.shape[0], *sizes)
        return gather(x, indices, places=places, sizes=sizes, mode=mode)

    def accesses(index, x, indices, *, places, sizes, mode):
        """For the element of the result at `index`: that of x, without the computed start, and that of the indices."""
        outside = [place for d, place in enumerate(index) if d not in places.window]
        inside = iter([index[d] for d in places.window])
        paired = {a: outside[i] for a, i in zip(places.batch, places.indices_batch)}
        element = [
            paired.get(a, ORIGIN) if a in paired or a in places.collapsed else next(inside) for a in range(x.ndim)
        ]
        return tuple(element), (*outside, ORIGIN)

    def lower(x, indices, *, places, sizes, mode):
        return "gather", (MODES[mode], *_flat(*places.lists(), sizes))

    def samples(rng):
        rows = Places(window=(1,), collapsed=(0,), index_map=(0,))
        x = rng.normal(size=(5, 3))
        yield (x, rng.integers(-1, 7, (4, 1))), {"places": rows, "sizes": (1, 3), "mode": "clip"}
        yield (x, rng.integers(0, 5, (4, 1))), {"places": rows, "sizes": (1, 2), "mode": "fill"}
        along = Places(collapsed=(1,), batch=(0,), indices_batch=(0,), index_map=(1,))
        yield (x, rng.integers(0, 3, (5, 2, 1))), {"places": along, "sizes": (1, 1), "mode": "clip"}


@primitive
class scatter:
    """A copy of x where windows at the places that `indices` says are combined with `updates`

    combine: "set", "add", "mul", "min", "max". Updates of one element are combined in their order. `unique` promises
    that no element is updated twice.
    """

    def infer(x, indices, updates, *, places, combine, mode, unique):
        _check_indices("scatter", x, indices, places)
        if combine in ("min", "max") and is_complex(x.dtype):
            raise DtypeError(f"scatter: {combine} takes a dtype with an order, got {x}.", fix=conversion_of(x.dtype))
        if updates.dtype != x.dtype:
            raise DtypeError(
                f"scatter: x has dtype {x.dtype}, the updates have {updates.dtype}.", fix="convert the updates."
            )
        outside = tuple(n for i, n in enumerate(updates.shape) if i not in places.window)
        if outside != indices.shape[:-1]:
            raise ShapeError(
                f"scatter: updates {updates} with window axes {list(places.window)} do not fit indices {indices}."
            )
        gone = places.collapsed + places.batch
        sizes = [n for i, n in enumerate(x.shape) if i not in gone]
        window = [updates.shape[i] for i in places.window]
        if len(window) != len(sizes) or any(w > n for w, n in zip(window, sizes)):
            raise ShapeError(f"scatter: windows of size {window} do not fit in {x}.")
        _check_somewhere("scatter", x, updates, places, mode)
        return x

    def jvp(primals, tangents, out, *, combine, **params):
        x, indices, updates = primals
        dx, du = (zeros_like(v) if t is None else t for v, t in ((x, tangents[0]), (updates, tangents[2])))
        if combine in ("set", "add"):
            return scatter(dx, indices, du, combine=combine, **params)
        if combine == "mul":
            if not params["unique"]:
                raise ShapeError(
                    "scatter: the derivative of combine='mul' needs unique indices.",
                    fix="x.at[i].multiply(v, unique_indices=True) promises that they are; or multiply a gathered array.",
                )
            by_x = scatter(dx, indices, updates, combine="mul", **params)
            read = mul(_read(x, indices, updates, params), du)
            return add(by_x, scatter(zeros_like(x), indices, read, combine="add", **params))
        # min, max: shared equally among the operand and the updates that attain the result
        won_x = convert_to(eq(x, out), x.dtype)
        won_u = convert_to(eq(updates, _read(out, indices, updates, params)), x.dtype)
        total = scatter(mul(dx, won_x), indices, mul(du, won_u), combine="add", **params)
        return div(total, scatter(won_x, indices, won_u, combine="add", **params))

    def transpose(ct, x, indices, updates, *, combine, **params):
        ct_x = ct_u = None
        if combine == "mul":  # linear in x only: the updates scale it
            return scatter(ct, indices, updates, combine="mul", **params), None, None
        if is_linear(x):
            ct_x = ct if combine == "add" else scatter(ct, indices, zeros_like(updates), combine="set", **params)
        if is_linear(updates):
            ct_u = _read(ct, indices, updates, params)
            if combine == "set" and not params["unique"]:  # of several updates to one element the last one won
                ids = reshape(iota(shape=(updates.size,), dtype=dt.int32, axis=0, device=x.device), shape=updates.shape)
                blank = broadcast_in_dim(number(-1, ids), shape=x.shape, axes=())
                winner = _read(scatter(blank, indices, ids, combine="set", **params), indices, updates, params)
                ct_u = select(eq(winner, ids), ct_u, number(0, ct_u))
        return ct_x, None, ct_u

    def batch(inputs, batched, *, places, **params):
        size = next(v.shape[0] for v, b in zip(inputs, batched) if b)
        x, indices, updates = inputs
        x = x if batched[0] else add_batch_axis(x, size)
        updates = updates if batched[2] else add_batch_axis(updates, size)
        places = places.shifted(True, batched[1], windows=True)
        if batched[1]:
            places = places._replace(batch=(0, *places.batch), indices_batch=(0, *places.indices_batch))
        else:
            places = places._replace(window=(0, *places.window))
        return scatter(x, indices, updates, places=places, **params)

    def lower(x, indices, updates, *, places, combine, mode, unique):
        return "scatter", (COMBINE[combine], MODES[mode], *_flat(*places.lists(), _window(x, updates, places)))

    def samples(rng):
        rows = Places(window=(1,), collapsed=(0,), index_map=(0,))
        for combine in COMBINE:
            unique = combine == "mul"
            indices = rng.permutation(5)[:4, None] if unique else rng.integers(-1, 6, (4, 1))
            params = {"places": rows, "combine": combine, "mode": "drop", "unique": unique}
            yield (rng.normal(size=(5, 3)), indices, rng.normal(size=(4, 3))), params
        along = Places(collapsed=(1,), batch=(0,), indices_batch=(0,), index_map=(1,))
        params = {"places": along, "combine": "add", "mode": "clip", "unique": False}
        yield (rng.normal(size=(4, 3)), rng.integers(0, 3, (4, 2, 1)), rng.normal(size=(4, 2))), params


def take_along(x, positions, axis):
    """out[..., j, ...] = x[..., positions[..., j, ...], ...] along `axis`, for positions that lie within it."""
    others = tuple(i for i in range(x.ndim) if i != axis)
    places = Places(collapsed=(axis,), batch=others, indices_batch=others, index_map=(axis,))
    sizes = tuple(min(1, n) for n in x.shape)
    return gather(x, reshape(positions, shape=(*positions.shape, 1)), places=places, sizes=sizes, mode="clip")


def _window(x, updates, places):
    """The size of an update window on every axis of x."""
    sizes = iter([updates.shape[i] for i in places.window])
    gone = places.collapsed + places.batch
    return tuple(min(1, n) if i in gone else next(sizes) for i, n in enumerate(x.shape))


def _read(x, indices, updates, params):
    """What x holds where a scatter writes `updates`: a gather of the same places; 0 where it drops."""
    places, mode = params["places"], "clip" if params["mode"] == "clip" else "zero"
    return gather(x, indices, places=places, sizes=_window(x, updates, places), mode=mode)
