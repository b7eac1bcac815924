"""jax.experimental.pallas: kernels over grids give what JAX's interpreter gives."""

import functools

import jax
import numpy as np
import pytest
from jax.experimental import pallas as jax_pallas
from jax.experimental.pallas import tpu as jax_tpu
from jax.experimental.pallas import triton as jax_triton

import pequegrad.jax_api as pj
from pequegrad.jax_api.experimental import pallas
from pequegrad.jax_api.experimental.pallas import tpu, triton

X = np.linspace(-1, 2, 24, dtype=np.float32).reshape(4, 6)
Y = np.linspace(3, -2, 30, dtype=np.float32).reshape(6, 5)
OURS, THEIRS = (pj, pallas, tpu, triton), (jax, jax_pallas, jax_tpu, jax_triton)


def call(m, kernel, shape, *args, dtype=np.float32, **options):
    """The results of a kernel; m: (jax, pallas, tpu, triton)."""
    out = m[0].ShapeDtypeStruct(shape, dtype)
    return m[1].pallas_call(kernel, out_shape=out, interpret=True, **options)(*args)


def _add(x, y, o):
    o[...] = x[...] + y[...]


def plain(m):
    return call(m, _add, X.shape, X, X)


def blocks(m):
    spec = m[1].BlockSpec((2, 3), lambda i, j: (i, j))
    return call(m, _add, X.shape, X, 2 * X, grid=(2, 2), in_specs=[spec, spec], out_specs=spec)


def ragged(m):
    spec = m[1].BlockSpec((3, 4), lambda i, j: (i, j))
    return call(m, _add, X.shape, X, X, grid=(2, 2), in_specs=[spec, spec], out_specs=spec)


def product(m):
    _, pl, *_ = m

    def kernel(x, y, o):
        @pl.when(pl.program_id(2) == 0)
        def _():
            o[...] = m[0].numpy.zeros_like(o)

        o[...] += m[0].numpy.dot(x[...], y[...])

    return call(
        m, kernel, (4, 5), X, Y, grid=(2, 1, 3),
        in_specs=[pl.BlockSpec((2, 2), lambda i, j, k: (i, k)), pl.BlockSpec((2, 5), lambda i, j, k: (k, j))],
        out_specs=pl.BlockSpec((2, 5), lambda i, j, k: (i, j)),
    )  # fmt: skip


def scratch(m):
    _, pl, tpu, _ = m

    def kernel(x, o, total):
        i = pl.program_id(0)

        @pl.when(i == 0)
        def _():
            total[...] = m[0].numpy.zeros(total.shape, np.float32)

        total[...] += x[...]

        @pl.when(i == pl.num_programs(0) - 1)
        def _():
            o[...] = total[...] * 2

    return call(
        m, kernel, (1, 6), X, grid=(4,), in_specs=[pl.BlockSpec((1, 6), lambda i: (i, 0))],
        out_specs=pl.BlockSpec((1, 6), lambda i: (0, 0)), scratch_shapes=[tpu.VMEM((1, 6), np.float32)],
    )  # fmt: skip


def squeezed(m):
    _, pl, *_ = m

    def kernel(x, o):
        assert x.shape == (6,)
        o[...] = m[0].numpy.cumsum(x[...])

    spec = pl.BlockSpec((None, 6), lambda i: (i, 0))
    return call(m, kernel, X.shape, X, grid=4, in_specs=[spec], out_specs=spec)


def elements(m):
    _, pl, *_ = m

    def kernel(x, o):
        o[...] = x[...].sum(0, keepdims=True)

    spec = pl.BlockSpec((pl.Element(2), 6), lambda i: (i, 0))
    return call(m, kernel, (3, 6), X, grid=(3,), in_specs=[spec], out_specs=pl.BlockSpec((1, 6), lambda i: (i, 0)))


def no_index_map(m):
    _, pl, *_ = m

    def kernel(x, o):
        o[...] = x[...] * pl.program_id(0).astype(np.float32)

    return call(
        m,
        kernel,
        (3, 6),
        X,
        grid=(3,),
        in_specs=[pl.BlockSpec((1, 6))],
        out_specs=pl.BlockSpec((1, 6), lambda i: (i, 0)),
    )


def masked(m):
    _, pl, _, triton = m

    def kernel(x, o):
        part = pl.ds(pl.program_id(0) * 16, 16)
        mask = pl.program_id(0) * 16 + m[0].numpy.arange(16) < 24
        found = triton.load(x.at[part], mask=mask, other=5.0)
        triton.store(o.at[part], found * found, mask=mask)

    return call(m, kernel, (24,), X.ravel(), grid=(2,))


def loops(m):
    _, pl, *_ = m

    def kernel(x, o):
        def body(i, total):
            o[pl.ds(i, 1), :] = x[pl.ds(3 - i, 1), :]
            return total + x[i, 0]

        o[0, 0] = m[0].lax.fori_loop(0, 4, body, np.float32(0))

    return call(m, kernel, X.shape, X)


def loop_decorator(m):
    _, pl, *_ = m

    def kernel(x, o):
        o[...] = m[0].numpy.zeros(o.shape, np.float32)

        @pl.loop(0, 4, step=2)
        def _(i):
            o[i, :] = x[i, :]

        @pl.loop(0, 3, init_carry=np.float32(1))
        def total(i, carry):
            return carry * 2

        o[1, 0] = total

    return call(m, kernel, X.shape, X)


def scoped(m):
    _, pl, tpu, _ = m

    def kernel(x, o):
        def body(temporary):
            temporary[...] = x[...] * 3
            o[...] = temporary[...] + 1

        pl.run_scoped(body, tpu.VMEM(X.shape, np.float32))

    return call(m, kernel, X.shape, X)


def aliased(m):
    def kernel(x, o):
        o[0, :] = x[1, :]

    return call(m, kernel, X.shape, X, input_output_aliases={0: 0})


def prefetched(m):
    _, pl, tpu, _ = m

    def kernel(order, x, o):
        o[...] = x[...] + order[pl.program_id(0)]

    spec = tpu.PrefetchScalarGridSpec(
        num_scalar_prefetch=1, grid=(4,), in_specs=[pl.BlockSpec((1, 6), lambda i, order: (order[i], 0))],
        out_specs=pl.BlockSpec((1, 6), lambda i, order: (i, 0)),
    )  # fmt: skip
    return call(m, kernel, X.shape, np.array([2, 0, 3, 1], np.int32), X, grid_spec=spec)


def several(m):
    jnp = m[0].numpy

    def kernel(x, y, small, large):
        small[...] = jnp.minimum(x[...], y[...])
        large[...] = jnp.maximum(x[...], y[...]).astype(np.int32)

    out = (m[0].ShapeDtypeStruct(X.shape, np.float32), m[0].ShapeDtypeStruct(X.shape, np.int32))
    return m[1].pallas_call(kernel, out_shape=out, grid_spec=m[1].GridSpec(grid=()), interpret=True, name="both")(X, -X)


def in_jit(m):
    return m[0].jit(lambda x: blocks(m) + x)(X)


def mapped(m):
    spec = m[1].BlockSpec((1, 6), lambda i: (i, 0))
    add = functools.partial(call, m, _add, X.shape, grid=(4,), in_specs=[spec, spec], out_specs=spec)
    return m[0].vmap(add, in_axes=(0, None))(np.stack([X, 2 * X]), X)


def unwritten(m):
    return call(m, lambda x, o: None, (3,), X), call(m, lambda x, o: None, (3,), X, dtype=np.int8)


CASES = [
    plain, blocks, ragged, product, scratch, squeezed, elements, no_index_map, masked, loops, loop_decorator, scoped, aliased, prefetched,
    several, in_jit, mapped, unwritten,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_kernels_give_what_jax_s_give(case):
    for ours, theirs in zip(
        *(jax.tree.leaves(x) for x in (jax.tree.map(np.asarray, case(OURS), is_leaf=_is_array), case(THEIRS))),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-6)
        assert ours.dtype == theirs.dtype


def _is_array(x):
    return isinstance(x, pj.Array)


def test_derivatives_go_through_kernels():
    def scaled(x):
        spec = pallas.BlockSpec((1, 6), lambda i: (i, 0))
        return call(OURS, _add, X.shape, x, x * x, grid=(4,), in_specs=[spec, spec], out_specs=spec).sum()

    np.testing.assert_allclose(pj.grad(scaled)(X), 1 + 2 * X, rtol=1e-6)


def test_sizes():
    for pl in (pallas, jax_pallas):
        assert (pl.cdiv(7, 2), pl.align_to(7, 4), pl.next_power_of_2(5), pl.strides_from_shape((2, 3, 4))) == (
            4,
            8,
            8,
            (12, 4, 1),
        )
        assert (pl.empty((2,), np.int32).shape, pl.multiple_of(8, 4)) == ((2,), 8)


def test_bad_calls():
    with pytest.raises(ValueError, match="inside a kernel"):
        pallas.program_id(0)
    with pytest.raises(ValueError, match="axis 2 of a grid with 1"):
        call(OURS, lambda x, o: pallas.program_id(2), (3,), X, grid=(2,))
    with pytest.raises(ValueError, match="2 BlockSpecs for 1 arrays"):
        call(OURS, lambda x, o: None, (3,), X, in_specs=[pallas.no_block_spec] * 2)
    with pytest.raises(ValueError, match="block shape"):
        call(OURS, lambda x, o: None, (3,), X, in_specs=[pallas.BlockSpec((2,))])
    with pytest.raises(ValueError, match="not both"):
        call(OURS, lambda x, o: None, (3,), X, grid=(2,), grid_spec=pallas.GridSpec())
    with pytest.raises(ValueError, match="Expected shape"):
        call(OURS, lambda x, o: o.__setitem__(..., x[...]), (3,), X)
