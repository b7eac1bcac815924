"""Every primitive in every dtype that it accepts: values, memory layouts, derivatives; other shapes; jit and vmap.

A sample's data operands, those of the dtype of its first inexact operand, are converted to each dtype that `infer`
takes. The reference is the primitive itself in the widest dtype of the kind (int64, float64, complex128) on the same
values; test_primitives.py compares that with finite differences, and test_primitive_values.py with JAX.
"""

import functools
import itertools

import ml_dtypes
import numpy as np
import pytest
from kernels import LAYOUTS, View, lay_out
from test_primitives import SAMPLES, apply, bind, determined, direction, inexact, jvp, sample, vary

import pequegrad as pg
from pequegrad.core.dtype import dt, is_float, is_inexact
from pequegrad.core.errors import DtypeError, ShapeError
from pequegrad.core.node import make_aval
from pequegrad.primitives import PRIMITIVES
from scripts.primitives_table import accepted_dtypes, data_dtype, params_in

# What these give depends on how many bits an element has, or on bits alone: test_primitive_values.py, test_random.py and
# test_rearrange.py have other references for them.
OF_BITS = {"not", "shift_right_logical", "popcount", "clz", "nextafter", "bitcast_convert", "random_bits"}

# ---- operands in another dtype -----------------------------------------------------------------------


def cast(array, dtype):
    """Values like those of `array` that `dtype` has; their order stays, and zeros of an integer stay rare."""
    if array.dtype.kind == "c" and dtype.kind != "c":
        array = array.real
    if dtype.kind == "b" and array.dtype.kind != "b":
        return np.asarray(array > (np.median(array) if array.size else 0))
    if dtype.kind in "iu" and is_float(array.dtype):
        array = np.rint(3 * array)
    return np.abs(array).astype(dtype) if dtype.kind == "u" and array.dtype.kind in "if" else array.astype(dtype)


def converted(arrays, params, dtype):
    """A sample with its data operands, and a parameter `dtype` that is theirs, in `dtype`."""
    data = data_dtype(arrays)
    return [cast(a, dtype) if a.dtype == data else a for a in arrays], params_in(params, data, dtype)


def widest(dtype):
    return np.dtype({"c": "complex128", "b": "int64", "i": "int64", "u": "int64"}.get(dtype.kind, "float64"))


def wide(array):
    """The same values in the widest dtype."""
    return np.asarray(array).astype(widest(array.dtype))


def takes(primitive, arrays, params, device):
    """True if infer accepts the operands."""
    try:
        primitive.infer(*[make_aval(a.shape, a.dtype, device) for a in arrays], **params)
    except (DtypeError, ShapeError):
        return False
    return True


ACCEPTED = {s.id: accepted_dtypes(s.values[0], *sample(*s.values, pg.device.cpu)) for s in SAMPLES}
TYPED = [pytest.param(*s.values, dtype, id=f"{s.id}-{dtype.name}") for s in SAMPLES for dtype in ACCEPTED[s.id]]
every_dtype = pytest.mark.parametrize("primitive, index, dtype", TYPED)
NARROW = [
    pytest.param(*s.values, dtype, id=f"{s.id}-{dtype.name}")
    for s in SAMPLES
    for dtype in ACCEPTED[s.id]
    if is_inexact(dtype) and dtype != widest(dtype) and widest(dtype) in ACCEPTED[s.id]
    if s.values[0].name not in ("iota", "bitcast_convert")  # no operands, no derivative
]
every_narrow = pytest.mark.parametrize("primitive, index, dtype", NARROW)

# ---- comparing ---------------------------------------------------------------------------------------


def resolution(dtype):
    """The distance from 1 to the next number of a dtype (of its parts, if complex)."""
    return float(ml_dtypes.finfo(dtype).eps)


def near(found, expected, factor, dtype=None):
    """Equal integers and bools; other numbers within `factor` steps of `dtype`, measured at the largest value."""
    if not is_inexact(found.dtype):
        np.testing.assert_array_equal(found, expected if found.dtype.kind == "b" else expected.astype(found.dtype))
        return
    expected = wide(expected)
    finite = np.abs(expected[np.isfinite(expected)])
    error = factor * max(resolution(found.dtype), resolution(dtype) if dtype is not None and is_inexact(dtype) else 0)
    np.testing.assert_allclose(wide(found), expected, rtol=error, atol=error * max(1, finite.max(initial=0)))


# A result is rounded once from float32 to 16 bits: half a step. float32 is computed in itself, by functions that are off
# by a few steps and sums whose rounding grows with their length.
VALUE_STEPS = {"float16": 1, "bfloat16": 1}
# Each of a handful of operations of a derivative rounds, and 1 - x * x and the like lose up to three bits.
DERIVATIVE_STEPS = 16


def numpy(tensors):
    return [t.numpy() for t in tensors]


@every_dtype
def test_value_is_that_of_the_widest_dtype(primitive, index, dtype, device):
    arrays, params = converted(*sample(primitive, index, device), dtype)
    reference = converted(*sample(primitive, index, device), widest(dtype))[1]
    outs = bind(primitive, arrays, params, device)
    values = numpy(outs)
    for out, value in zip(outs, values):
        assert (value.shape, value.dtype) == (out.shape, out.dtype)
    data = data_dtype(sample(primitive, index, device)[0])
    widened = [wide(a) if s.dtype == data else a for a, s in zip(arrays, sample(primitive, index, device)[0])]
    if primitive.name in OF_BITS or not takes(primitive, widened, reference, device):
        return
    expected = numpy(bind(primitive, widened, reference, device))
    for value, e in zip(determined(primitive, values), determined(primitive, expected)):
        near(value, e != 0 if value.dtype.kind == "b" else e, VALUE_STEPS.get(dtype.name, 16), dtype)


@pytest.mark.parametrize("primitive, index", [s for s in SAMPLES if "dtype" in sample(*s.values, pg.device.cpu)[1]])
def test_parameter_dtype_that_is_accepted_has_a_kernel(primitive, index, device):
    """For data operands in each dtype: infer refuses a result dtype, or the result has it."""
    original, options = sample(primitive, index, device)
    for dtype, result in itertools.product(ACCEPTED[f"{primitive.name}-{index}"], dt):
        arrays, params = converted(original, options, dtype)[0], dict(options, dtype=result)
        if takes(primitive, arrays, params, device):
            for out in bind(primitive, arrays, params, device):
                value = out.numpy()
                assert (value.shape, value.dtype) == (out.shape, out.dtype)


@every_dtype
def test_layouts_and_jit_give_the_same(primitive, index, dtype, device):
    arrays, params = converted(*sample(primitive, index, device), dtype)
    if primitive.name == "transfer" or not arrays:  # no operand, or none that a program could read
        return
    jitted = pg.jit(lambda *xs: tuple(apply(primitive, xs, params)))
    for layout in LAYOUTS:
        if layout == "broadcast" and hasattr(primitive.rules, "vary"):  # its operands have a form that this would break
            continue
        views = [laid_out(a, layout, device) for a in arrays]
        values = [value for _, value in views]
        expected = determined(primitive, numpy(bind(primitive, values, params, device)))
        for run in (lambda xs: apply(primitive, xs, params), lambda xs: jitted(*xs)):
            found = determined(primitive, numpy(run([view() for view, _ in views])))
            for f, e in zip(found, expected):
                near(f, e, VALUE_STEPS.get(dtype.name, 16))  # sums along other axes are taken in another order


def laid_out(array, layout, device):
    """(a function that makes a tensor whose memory lies in this way, the array that it stands for)."""
    view = lay_out(array, layout) if array.ndim and array.shape[0] else array
    if not isinstance(view, View):
        return functools.partial(pg.Tensor, array, device=device), array
    shape = array.shape
    params = {
        "transpose": {"permutation": tuple(view.params)},
        "rev": {"axes": tuple(view.params)},
        "slice": {"start": (1,) * array.ndim, "limit": tuple(3 * n + 1 for n in shape), "step": (3,) * array.ndim},
        "broadcast_in_dim": {"shape": shape, "axes": tuple(view.params)},
    }
    make = lambda: PRIMITIVES[view.kernel](pg.Tensor(view.base, device=device), **params[view.kernel])
    return make, np.ascontiguousarray(view.value)


@every_narrow
def test_derivatives_are_those_of_the_widest_dtype(primitive, index, dtype, device):
    original, options = sample(primitive, index, device)
    arrays, params = converted(original, options, dtype)
    widened, reference = (
        [wide(a) if a.dtype == dtype else a for a in arrays],
        converted(original, options, widest(dtype))[1],
    )
    rng = np.random.default_rng(1)
    moving = [i for i in inexact(primitive, arrays) if arrays[i].dtype == dtype]
    narrow_cts, wide_cts = [], []
    for n, w in zip(bind(primitive, arrays, params, device), bind(primitive, widened, reference, device)):
        ct = rng.normal(size=n.shape).astype(n.dtype) if is_inexact(n.dtype) else None
        narrow_cts.append(ct)
        wide_cts.append(None if ct is None else ct.astype(w.dtype))
    for i in moving:
        step = direction(primitive, rng, i, widened[i]).astype(dtype)
        tangents = [step if j == i else None for j in range(len(arrays))]
        found = jvp(primitive, arrays, tangents, params, device)
        expected = jvp(primitive, widened, [None if t is None else wide(t) for t in tangents], reference, device)
        if not hasattr(primitive.rules, "gauge"):  # else the tangent depends on the choice that was made
            for f, e in zip(found, expected):
                near(f, e, DERIVATIVE_STEPS, dtype)
    if not hasattr(primitive.rules, "gauge"):
        found = cotangents(primitive, arrays, moving, narrow_cts, params, device)
        expected = cotangents(primitive, widened, moving, wide_cts, reference, device)
        for i, f, e in zip(moving, found, expected):
            assert (f.dtype, f.shape) == (dtype, arrays[i].shape)
            near(f, e, DERIVATIVE_STEPS)


def cotangents(primitive, arrays, moving, cts, params, device):
    """The cotangents of the operands `moving`, summed over the results."""
    tensors = [pg.Tensor(a, device=device) for a in arrays]
    parts = [
        pg.grads([tensors[i] for i in moving], out, pg.Tensor(ct, device=out.device))
        for out, ct in zip(apply(primitive, tensors, params), cts)
        if ct is not None
    ]
    return [sum(gs[1:], gs[0]).numpy() for gs in zip(*parts)]


# ---- other shapes ------------------------------------------------------------------------------------


def cuts(arrays):
    """The operands with some axes cut to size 0 or 1: one axis of one of them, all of one size, the first of all, all."""
    axes = [(i, a) for i, array in enumerate(arrays) for a in range(array.ndim)]
    sizes = sorted({arrays[i].shape[a] for i, a in axes} - {0, 1})
    groups = [[axis] for axis in axes] + [[(i, a) for i, a in axes if arrays[i].shape[a] == n] for n in sizes]
    groups += [[(i, a) for i, a in axes if a == k] for k in (0, 1)] + [axes]
    seen = {tuple(a.shape for a in arrays)}
    for group, size in itertools.product(groups, (0, 1)):
        key = [
            tuple(min(n, size) if (i, a) in group else n for a, n in enumerate(x.shape)) for i, x in enumerate(arrays)
        ]
        if tuple(key) not in seen:
            seen.add(tuple(key))
            yield [np.ascontiguousarray(x[tuple(map(slice, shape))]).reshape(shape) for x, shape in zip(arrays, key)]


@pytest.mark.parametrize("primitive, index", [s for s in SAMPLES if s.values[0].name != "transfer"])
def test_small_and_empty_axes(primitive, index, device):
    """What infer accepts has a value of the promised shape, batches of any size, and derivatives that are adjoint."""
    arrays, params = sample(primitive, index, device)
    for cut in cuts(arrays):
        if takes(primitive, cut, params, device):
            outs = bind(primitive, cut, params, device)
            values = numpy(outs)
            for out, value in zip(outs, values):
                assert (value.shape, value.dtype) == (out.shape, out.dtype)
            if all(np.isfinite(v).all() for v in values):  # the largest of nothing has no derivative
                check_adjoint(primitive, cut, params, outs, device)
            check_batch(primitive, cut, params, values, 2, device)
    if arrays:
        values = numpy(bind(primitive, arrays, params, device))
        for size in (0, 1):
            check_batch(primitive, arrays, params, values, size, device)


def check_adjoint(primitive, arrays, params, outs, device):
    rng = np.random.default_rng(2)
    moving = [i for i in inexact(primitive, arrays) if arrays[i].dtype in (np.float64, np.complex128)]
    cts = [rng.normal(size=o.shape).astype(o.dtype) if o.dtype in (np.float64, np.complex128) else None for o in outs]
    if not moving or all(ct is None for ct in cts):
        return
    steps = [direction(primitive, rng, i, a) if i in moving else None for i, a in enumerate(arrays)]
    tangents = jvp(primitive, arrays, steps, params, device)
    forward = sum(np.sum(t * ct).real for t, ct in zip(tangents, cts) if ct is not None)
    back = cotangents(primitive, arrays, moving, cts, params, device)
    assert [g.shape for g in back] == [arrays[i].shape for i in moving]
    assert forward == pytest.approx(sum(np.sum(g * steps[i]).real for i, g in zip(moving, back)), rel=1e-10, abs=1e-11)


def check_batch(primitive, arrays, params, values, size, device):
    """A batch of `size` equal examples."""
    stacked = [pg.Tensor(np.broadcast_to(a, (size, *a.shape)).copy(), device=device) for a in arrays]
    outs = primitive.batch(stacked, [True] * len(arrays), **params)
    outs = numpy(outs if isinstance(outs, tuple) else (outs,))
    for out, value in zip(determined(primitive, outs), determined(primitive, values)):
        expected = np.broadcast_to(value, (size, *value.shape))
        assert (out.shape, out.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)  # sums may be taken in another order


@pytest.mark.parametrize("primitive, index", [s for s in SAMPLES if s.values[0].name not in ("iota", "transfer")])
def test_vmap_and_jit_in_both_orders_are_the_batch_rule(primitive, index, device):
    arrays, params = sample(primitive, index, device)
    rng = np.random.default_rng(3)
    plain = lambda *xs: tuple(apply(primitive, xs, params))
    stacked = [np.stack([vary(primitive, rng, i, a) for _ in range(3)]) for i, a in enumerate(arrays)]
    for axes in [(0,) * len(arrays)] + ([(0,) + (None,) * (len(arrays) - 1)] if len(arrays) > 1 else []):
        operands = [s if axis == 0 else a for s, a, axis in zip(stacked, arrays, axes)]
        tensors = [pg.Tensor(x, device=device) for x in operands]
        expected = primitive.batch(tensors, [axis == 0 for axis in axes], **params)
        expected = determined(primitive, numpy(expected if isinstance(expected, tuple) else (expected,)))
        for function in (pg.jit(pg.vmap(plain, in_axes=axes)), pg.vmap(pg.jit(plain), in_axes=axes)):
            for found, e in zip(determined(primitive, numpy(function(*tensors))), expected):
                assert found.dtype == e.dtype
                np.testing.assert_allclose(found, e, rtol=1e-12, atol=1e-12)
