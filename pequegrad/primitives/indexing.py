"""gather and scatter in XLA's general form: windows of an array read or written at computed places.

https://openxla.org/xla/operation_semantics#gather. The last axis of `indices` is the index vector. Modes:
"clip" moves a window that does not fit to the nearest place where it does; "fill" gives the fill value (nan, or the
lowest / highest integer) and "zero" gives 0 for a window that does not fit wholly, and scatter skips it ("drop").
"""
from ..core.dtype import dt, is_integer
from ..core.errors import DtypeError, ShapeError
from .base import is_linear, number, primitive
from .elementwise import add, convert_to, div, eq, mul, select
from .shape import add_batch_axis, broadcast_in_dim, iota, reshape, zeros_like

MODES = {"clip": 0, "fill": 1, "drop": 1, "zero": 2}
COMBINE = {"set": 0, "add": 1, "mul": 2, "min": 3, "max": 4}


def _flat(*lists):
    return [number for items in lists for number in (len(items), *items)]


def _shift(axes):
    return tuple(a + 1 for a in axes)


def _check_indices(name, indices):
    if not is_integer(indices.dtype) or not indices.ndim:
        raise DtypeError(f"{name}: indices must be integers with the index vector on the last axis, got {indices}.", fix="convert them: i.astype(dt.int32).")  # fmt: skip


@primitive
class gather:
    """Windows of size `slice_sizes` of x at the places `indices` says"""

    linear = "together"

    def infer(x, indices, *, offset_dims, collapsed_slice_dims, operand_batching_dims, start_indices_batching_dims, start_index_map, slice_sizes, mode):  # fmt: skip
        _check_indices("gather", indices)
        if len(slice_sizes) != x.ndim or any(not 0 <= s <= n for s, n in zip(slice_sizes, x.shape)):
            raise ShapeError(f"gather: slice sizes {list(slice_sizes)} do not fit in {x}.")
        if indices.shape[-1] != len(start_index_map):
            raise ShapeError(f"gather: the last axis of indices {indices} must have size {len(start_index_map)}.")
        gone = collapsed_slice_dims + operand_batching_dims
        window = iter([s for i, s in enumerate(slice_sizes) if i not in gone])
        places = iter(indices.shape[:-1])
        ndim = indices.ndim - 1 + x.ndim - len(gone)
        if len(offset_dims) != x.ndim - len(gone) or any(not 0 <= d < ndim for d in offset_dims):
            raise ShapeError(f"gather: offset_dims {list(offset_dims)} do not fit {x} and indices {indices}.")
        return x.update(shape=tuple(next(window if d in offset_dims else places) for d in range(ndim)))

    def jvp(primals, tangents, out, *, mode, **params):
        return gather(tangents[0], primals[1], mode="clip" if mode == "clip" else "zero", **params)

    def transpose(ct, x, indices, *, offset_dims, collapsed_slice_dims, operand_batching_dims, start_indices_batching_dims, start_index_map, slice_sizes, mode):  # fmt: skip
        summed = scatter(
            zeros_like(x), indices, ct, combine="add", mode="clip" if mode == "clip" else "drop", unique_indices=False,
            update_window_dims=offset_dims, inserted_window_dims=collapsed_slice_dims,
            operand_batching_dims=operand_batching_dims, scatter_indices_batching_dims=start_indices_batching_dims,
            scatter_dims_to_operand_dims=start_index_map,
        )  # fmt: skip
        return summed, None

    def batch(inputs, batched, *, offset_dims, collapsed_slice_dims, operand_batching_dims, start_indices_batching_dims, start_index_map, slice_sizes, mode):  # fmt: skip
        (x, indices), (x_batched, indices_batched) = inputs, batched
        offset_dims = _shift(offset_dims)
        if x_batched:
            collapsed_slice_dims, start_index_map = _shift(collapsed_slice_dims), _shift(start_index_map)
            operand_batching_dims = _shift(operand_batching_dims)
        if indices_batched:
            start_indices_batching_dims = _shift(start_indices_batching_dims)
        if x_batched and indices_batched:
            operand_batching_dims = (0, *operand_batching_dims)
            start_indices_batching_dims = (0, *start_indices_batching_dims)
            slice_sizes = (1, *slice_sizes)
        elif x_batched:
            offset_dims, slice_sizes = (0, *offset_dims), (x.shape[0], *slice_sizes)
        return gather(
            x, indices, offset_dims=offset_dims, collapsed_slice_dims=collapsed_slice_dims,
            operand_batching_dims=operand_batching_dims, start_indices_batching_dims=start_indices_batching_dims,
            start_index_map=start_index_map, slice_sizes=slice_sizes, mode=mode,
        )  # fmt: skip

    def lower(x, indices, *, offset_dims, collapsed_slice_dims, operand_batching_dims, start_indices_batching_dims, start_index_map, slice_sizes, mode):  # fmt: skip
        lists = (offset_dims, collapsed_slice_dims, operand_batching_dims, start_indices_batching_dims, start_index_map, slice_sizes)  # fmt: skip
        return "gather", (MODES[mode], *_flat(*lists))

    def samples(rng):
        rows = dict(offset_dims=(1,), collapsed_slice_dims=(0,), operand_batching_dims=(), start_indices_batching_dims=(), start_index_map=(0,))  # fmt: skip
        yield (rng.normal(size=(5, 3)), rng.integers(-1, 7, (4, 1))), dict(rows, slice_sizes=(1, 3), mode="clip")
        yield (rng.normal(size=(5, 3)), rng.integers(0, 5, (4, 1))), dict(rows, slice_sizes=(1, 2), mode="fill")
        along = dict(offset_dims=(), collapsed_slice_dims=(1,), operand_batching_dims=(0,), start_indices_batching_dims=(0,), start_index_map=(1,))  # fmt: skip
        yield (rng.normal(size=(4, 3)), rng.integers(0, 3, (4, 2, 1))), dict(along, slice_sizes=(1, 1), mode="clip")


@primitive
class scatter:
    """A copy of x where windows at the places `indices` says are combined with `updates`

    combine: "set", "add", "mul", "min", "max". Updates of one element are combined in their order.
    """

    def infer(x, indices, updates, *, combine, mode, unique_indices, update_window_dims, inserted_window_dims, operand_batching_dims, scatter_indices_batching_dims, scatter_dims_to_operand_dims):  # fmt: skip
        _check_indices("scatter", indices)
        if updates.dtype != x.dtype:
            raise DtypeError(f"scatter: x has dtype {x.dtype}, the updates have {updates.dtype}.", fix="convert the updates.")
        if indices.shape[-1] != len(scatter_dims_to_operand_dims):
            raise ShapeError(f"scatter: the last axis of indices {indices} must have size {len(scatter_dims_to_operand_dims)}.")  # fmt: skip
        places = tuple(n for i, n in enumerate(updates.shape) if i not in update_window_dims)
        if places != indices.shape[:-1]:
            raise ShapeError(f"scatter: updates {updates} with window axes {list(update_window_dims)} do not fit indices {indices}.")  # fmt: skip
        gone = inserted_window_dims + operand_batching_dims
        sizes = [n for i, n in enumerate(x.shape) if i not in gone]
        window = [updates.shape[i] for i in update_window_dims]
        if len(window) != len(sizes) or any(w > n for w, n in zip(window, sizes)):
            raise ShapeError(f"scatter: windows of size {window} do not fit in {x}.")
        return x

    def jvp(primals, tangents, out, *, combine, mode, unique_indices, **places):
        x, indices, updates = primals
        params = dict(places, mode=mode, unique_indices=unique_indices)
        dx, du = [zeros_like(v) if t is None else t for v, t in zip((x, updates), (tangents[0], tangents[2]))]
        if combine in ("set", "add"):
            return scatter(dx, indices, du, combine=combine, **params)
        if combine == "mul":
            if not unique_indices:
                raise ShapeError("scatter: the derivative of combine='mul' needs unique indices.", fix="pass unique_indices=True if they are, or multiply a gathered array.")  # fmt: skip
            by_x = scatter(dx, indices, updates, combine="mul", **params)
            return add(by_x, scatter(zeros_like(x), indices, mul(_read(x, indices, updates, mode, places), du), combine="add", **params))  # fmt: skip
        # min, max: shared equally among the operand and the updates that attain the result
        won_x = convert_to(eq(x, out), x.dtype)
        won_u = convert_to(eq(updates, _read(out, indices, updates, mode, places)), x.dtype)
        total = scatter(mul(dx, won_x), indices, mul(du, won_u), combine="add", **params)
        return div(total, scatter(won_x, indices, won_u, combine="add", **params))

    def transpose(ct, x, indices, updates, *, combine, mode, unique_indices, **places):
        params = dict(places, mode=mode, unique_indices=unique_indices)
        ct_x = ct_u = None
        if combine == "mul":  # linear in x only: the updates scale it
            return scatter(ct, indices, updates, combine="mul", **params), None, None
        if is_linear(x):
            ct_x = ct if combine == "add" else scatter(ct, indices, zeros_like(updates), combine="set", **params)
        if is_linear(updates):
            ct_u = _read(ct, indices, updates, mode, places)
            if combine == "set" and not unique_indices:  # of several updates to one element the last one won
                ids = reshape(iota(shape=(updates.size,), dtype=dt.int32, axis=0, device=x.device), shape=updates.shape)
                blank = broadcast_in_dim(number(-1, ids), shape=x.shape, axes=())
                winner = _read(scatter(blank, indices, ids, combine="set", **params), indices, updates, mode, places)
                ct_u = select(eq(winner, ids), ct_u, number(0, ct_u))
        return ct_x, None, ct_u

    def batch(inputs, batched, *, combine, mode, unique_indices, update_window_dims, inserted_window_dims, operand_batching_dims, scatter_indices_batching_dims, scatter_dims_to_operand_dims):  # fmt: skip
        size = next(v.shape[0] for v, b in zip(inputs, batched) if b)
        x, indices, updates = inputs
        x = x if batched[0] else add_batch_axis(x, size)
        updates = updates if batched[2] else add_batch_axis(updates, size)
        update_window_dims, operand_batching_dims = _shift(update_window_dims), _shift(operand_batching_dims)
        if batched[1]:
            operand_batching_dims = (0, *operand_batching_dims)
            scatter_indices_batching_dims = (0, *_shift(scatter_indices_batching_dims))
        else:
            update_window_dims = (0, *update_window_dims)
        return scatter(
            x, indices, updates, combine=combine, mode=mode, unique_indices=unique_indices,
            update_window_dims=update_window_dims, inserted_window_dims=_shift(inserted_window_dims),
            operand_batching_dims=operand_batching_dims, scatter_indices_batching_dims=scatter_indices_batching_dims,
            scatter_dims_to_operand_dims=_shift(scatter_dims_to_operand_dims),
        )  # fmt: skip

    def lower(x, indices, updates, *, combine, mode, unique_indices, update_window_dims, inserted_window_dims, operand_batching_dims, scatter_indices_batching_dims, scatter_dims_to_operand_dims):  # fmt: skip
        sizes = _window(x, updates, update_window_dims, inserted_window_dims, operand_batching_dims)
        lists = (update_window_dims, inserted_window_dims, operand_batching_dims, scatter_indices_batching_dims, scatter_dims_to_operand_dims, sizes)  # fmt: skip
        return "scatter", (COMBINE[combine], MODES[mode], *_flat(*lists))

    def samples(rng):
        rows = dict(update_window_dims=(1,), inserted_window_dims=(0,), operand_batching_dims=(), scatter_indices_batching_dims=(), scatter_dims_to_operand_dims=(0,))  # fmt: skip
        for combine in COMBINE:
            unique = combine == "mul"
            indices = rng.permutation(5)[:4, None] if unique else rng.integers(-1, 6, (4, 1))
            params = dict(rows, combine=combine, mode="drop", unique_indices=unique)
            yield (rng.normal(size=(5, 3)), indices, rng.normal(size=(4, 3))), params
        along = dict(update_window_dims=(), inserted_window_dims=(1,), operand_batching_dims=(0,), scatter_indices_batching_dims=(0,), scatter_dims_to_operand_dims=(1,))  # fmt: skip
        yield (rng.normal(size=(4, 3)), rng.integers(0, 3, (4, 2, 1)), rng.normal(size=(4, 2))), dict(along, combine="add", mode="clip", unique_indices=False)  # fmt: skip


def _window(x, updates, update_window_dims, inserted_window_dims, operand_batching_dims):
    """The size of an update window on every axis of x."""
    sizes = iter([updates.shape[i] for i in update_window_dims])
    gone = inserted_window_dims + operand_batching_dims
    return tuple(1 if i in gone else next(sizes) for i in range(x.ndim))


def _read(x, indices, updates, mode, places):
    """What x holds where a scatter writes `updates`: a gather of the same places; 0 where it drops."""
    return gather(
        x, indices, offset_dims=places["update_window_dims"], collapsed_slice_dims=places["inserted_window_dims"],
        operand_batching_dims=places["operand_batching_dims"],
        start_indices_batching_dims=places["scatter_indices_batching_dims"],
        start_index_map=places["scatter_dims_to_operand_dims"],
        slice_sizes=_window(x, updates, places["update_window_dims"], places["inserted_window_dims"], places["operand_batching_dims"]),
        mode="clip" if mode == "clip" else "zero",
    )  # fmt: skip
