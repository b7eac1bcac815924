"""jax.ref: references, in and out of transforms and control flow, as in JAX."""

import jax
import numpy as np
import pytest

import pequegrad.jax_api as pj


def _set(ref, index, value):
    ref[index] = value


def _add(ref, index, value):
    ref[index] += value


def _twice(m, r):
    step = m.jit(lambda x: _add(r, (0, 0), x))
    step(1.0)
    step(2.0)


def _other(m, r):
    step, other = m.jit(lambda r, x: _add(r, (0, 0), x)), m.new_ref(m.numpy.ones((2, 3)))
    step(r, 1.0)
    step(other, 2.0)
    step(r, 5.0)
    return other[...], step._cache_size()


def _inner(m, x):
    r = m.new_ref(x)
    r[...] = r[...] * x
    return r[...].sum()


# (modules, a Ref of 0 ... 5 in shape 2, 3) -> results; its last value is compared, too
CASES = {
    "read": lambda m, r: (r[...], r[0], r[0, 1], r[:, 1], r[m.numpy.array([1, 0])], r[-1], r[..., -1], m.ref.get(r), r[:, ::2]),
    "arrays": lambda m, r: (r[np.array([0, 1]), np.array([0, 2])], r[:, np.array([0, 2])], r[0:9], r[:, -2:]),
    "attributes": lambda m, r: (r.shape, r.ndim, r.size, len(r), str(r.dtype), str(r.aval), repr(r), isinstance(r, m.Ref)),
    "write": lambda m, r: _set(r, 0, m.numpy.ones(3)),
    "numbers": lambda m, r: (_set(r, (0, 1), 7.0), _set(r, (1, -1), np.float64(2))),
    "everything": lambda m, r: _set(r, ..., np.ones((2, 3))),
    "increment": lambda m, r: (_add(r, ..., 1), _add(r, (0, 0), 3)),
    "swap": lambda m, r: m.ref.swap(r, 0, m.numpy.ones(3)),
    "set": lambda m, r: m.ref.set(r, (slice(None), 1), m.numpy.ones(2)),
    "addupdate": lambda m, r: (m.ref.addupdate(r, (m.numpy.array([0, 0]),), m.numpy.ones((2, 3))), r.addupdate(m.numpy.ones(3), 1)),
    "old_values_stay": lambda m, r: (r[...], _set(r, (0, 0), 9.0))[0],
    "the_source_stays": lambda m, r: (lambda x: (_set(m.new_ref(x), 0, 9.0), x)[1])(m.numpy.arange(3.0)),
    "weak": lambda m, r: m.new_ref(1.0)[...] * m.numpy.float16(2),
    "tree": lambda m, r: m.tree.map(lambda r: r[0, 1], {"a": r}),
    "jit": lambda m, r: m.jit(lambda r, x: (_set(r, 0, x), r[1] * 2)[1])(r, m.numpy.ones(3)),
    "jit_in_a_tree": lambda m, r: m.jit(lambda d: d["r"][0, 1] * d["x"])({"r": r, "x": 2.0}),
    "jit_static": lambda m, r: m.jit(lambda r, n, k: _set(r, (0, 0), float(n) * k["a"]), static_argnums=1)(r, 3, k={"a": 1.5}),
    "jit_closure": lambda m, r: m.jit(lambda x: _set(r, 0, x))(m.numpy.ones(3)),
    "jit_twice": _twice,
    "jit_other_refs": _other,
    "jit_index": lambda m, r: m.jit(lambda i: (r[i], _set(r, (i, 0), 7.0))[0])(1),
    "jit_inside": lambda m, r: m.jit(lambda x: _inner(m, x))(m.numpy.arange(3.0)),
    "jit_twice_nested": lambda m, r: m.jit(lambda x: m.jit(lambda r, x: _add(r, (0, 0), x))(r, x))(2.0),
    "grad_inside": lambda m, r: m.grad(lambda x: _inner(m, x))(m.numpy.arange(3.0)),
    "grad_reads": lambda m, r: m.grad(lambda x: (r[...] * x).sum())(2.0),
    "grad_changes": lambda m, r: m.grad(lambda x: (_set(r, (0, 0), r[0, 1]), x * x * r[0, 0])[1])(2.0),
    "grad_argument": lambda m, r: m.grad(lambda x, r: (r[...] * x).sum())(2.0, r),
    "value_and_grad": lambda m, r: m.jit(m.value_and_grad(lambda x: (_add(r, (0, 0), 1.0), (x * r[...]).sum())[1]))(2.0),
    "checkpoint": lambda m, r: m.grad(m.checkpoint(lambda x: (r[...] * x).sum()))(2.0),
    "jvp": lambda m, r: m.jvp(lambda x: r[...] * x, (2.0,), (1.0,)),
    "vmap_inside": lambda m, r: m.vmap(lambda x: _inner(m, x))(m.numpy.ones((2, 3))),
    "vmap_reads": lambda m, r: m.vmap(lambda x: r[0] * x)(m.numpy.arange(2.0)),
    "fori": lambda m, r: m.lax.fori_loop(0, 3, lambda i, c: (_set(r, (0, i), 10.0 * i), c + 1)[1], 0),
    "while_": lambda m, r: m.lax.while_loop(lambda i: i < 3, lambda i: (_set(r, (0, i), 9.0), i + 1)[1], 0),
    "scan": lambda m, r: m.lax.scan(lambda c, i: (c, (_set(r, (1, i), c * 2), r[0, i])[1]), 5.0, m.numpy.arange(3))[1],
    "scan_in_jit": lambda m, r: m.jit(lambda x: m.lax.scan(lambda c, i: (c, _add(r, (0, i), x)), 0, m.numpy.arange(3))[0])(1.5),
    "cond": lambda m, r: m.lax.cond(True, lambda: _set(r, (0, 0), 8.0), lambda: None),
    "cond_operand": lambda m, r: m.lax.cond(False, lambda r: _set(r, (0, 0), 8.0), lambda r: _set(r, (1, 0), 8.0), r),
    "switch": lambda m, r: m.lax.switch(1, [lambda r, x: _set(r, (0, 0), x), lambda r, x: _set(r, (1, 0), x)], r, 3.0),
    "eval_shape": lambda m, r: m.eval_shape(lambda x: r[...] * x, 2.0).shape,
}  # fmt: skip

ERRORS = {
    "shape": lambda m, r: _set(r, 0, 1.0),
    "broadcast": lambda m, r: _set(r, ..., m.numpy.ones(3)),
    "leading": lambda m, r: _set(r, 0, m.numpy.ones((1, 3))),
    "dtype": lambda m, r: _set(r, 0, np.array([1, 2, 3])),
    "number": lambda m, r: _set(r, (0, 0), 2),
    "complex": lambda m, r: _set(r, (0, 0), 1j),
    "list": lambda m, r: _set(r, 0, [1.0, 2.0, 3.0]),
    "added": lambda m, r: m.ref.addupdate(r, (0, 0), 2),
    "out_of_range": lambda m, r: r[5],
    "write_out_of_range": lambda m, r: _set(r, (0, 3), 1.0),
    "after_ellipsis": lambda m, r: r[..., 3],
    "step": lambda m, r: r[::-1],
    "arithmetic": lambda m, r: r + 1,
    "function": lambda m, r: m.numpy.sin(r),
    "number_of": lambda m, r: float(r),
    "truth": lambda m, r: bool(m.new_ref(1.0)),
    "of_a_list": lambda m, r: m.new_ref([1, 2]),
    "result": lambda m, r: m.jit(lambda x: m.new_ref(x))(1.0),
    "twice": lambda m, r: m.jit(lambda a, b: a[...] + b[...])(r, r),
    "differentiated": lambda m, r: m.grad(lambda r: r[...].sum())(r),
    "no_ref": lambda m, r: m.ref.get(m.numpy.ones(3), 0),
}  # fmt: skip


def _ref(m):
    return m.new_ref(m.numpy.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize("case", CASES)
def test_results_are_jax_s(case):
    found = []
    for m in (pj, jax):
        r = _ref(m)
        found.append((CASES[case](m, r), m.freeze(r)))
    for ours, theirs in zip(
        *map(jax.tree.leaves, (pj.tree.map(_plain, found[0]), jax.tree.map(_plain, found[1]))), strict=True
    ):
        if isinstance(theirs, np.ndarray):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)
            assert ours.dtype == theirs.dtype
        else:
            assert ours == theirs


def _plain(x):
    return np.asarray(x) if hasattr(x, "aval") else x


@pytest.mark.parametrize("case", ERRORS)
def test_what_jax_refuses(case):
    with pytest.raises(Exception) as theirs:
        ERRORS[case](jax, _ref(jax))
    with pytest.raises(theirs.type):
        ERRORS[case](pj, _ref(pj))


def test_what_is_refused_here_alone():
    """JAX takes Refs as arguments of vmap and as xs of scan."""
    with pytest.raises(ValueError, match="Ref"):
        pj.vmap(lambda r, x: _set(r, 0, x))(_ref(pj), pj.numpy.arange(2.0))
    with pytest.raises(ValueError, match="Ref"):
        pj.lax.scan(lambda c, x: (c, x[...].sum()), 5.0, _ref(pj))


def test_kinds_and_types():
    r = pj.new_ref(pj.numpy.ones(3), kind="no_grad_no_remat")
    assert r.aval == pj.ref.AbstractRef(pj.typeof(pj.numpy.ones(3))) and repr(r.aval) == "Ref{float32[3]}"
    with pytest.raises(ValueError, match="kind"):
        pj.new_ref(1.0, kind="other")
    assert pj.empty_ref(pj.ShapeDtypeStruct((2,), np.int32)).shape == (2,)
    assert pj.grad(lambda x: pj.new_ref(x, kind="no_grad_no_remat")[...] * x)(3.0) == 3
