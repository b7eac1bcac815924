"""Programs that are written once and run by JAX and by pequegrad: namespaces with the same names, and the comparison."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import optree

import pequegrad as pg
import pequegrad.jax_api as pj

# transforms and control flow of JAX under the names that pequegrad has
JAX = types.SimpleNamespace(
    **{name: getattr(jax, name) for name in (
        "ShapeDtypeStruct", "checkpoint", "checkpoint_policies", "custom_jvp", "custom_vjp", "grad", "hessian", "jacfwd",
        "jacrev", "jit", "jvp", "linearize", "linear_transpose", "pure_callback", "value_and_grad", "vjp", "vmap",
    )},
    **{name: getattr(jax.lax, name) for name in (
        "cond", "fori_loop", "map", "scan", "stop_gradient", "switch", "while_loop",
    )},
)  # fmt: skip


def agree(program, tensor, *arrays, rtol=1e-4):
    """Runs program(m, n, *arrays) with (transforms, functions of numpy) of both libraries and compares all leaves.

    float32: the tolerance is for some hundreds of operations and sums in another order. Gives pequegrad's result.
    """
    ours = program(pg, pj, *map(tensor, arrays))
    theirs = jax.jit(lambda *xs: program(JAX, jnp, *xs))(*arrays)
    same(ours, theirs, rtol)
    return ours


def same(ours, theirs, rtol=1e-4):
    """Compares two trees, leaf by leaf: shapes, dtypes, values."""
    is_tensor = lambda x: isinstance(x, pg.Tensor)
    ours = optree.tree_leaves(ours, is_leaf=is_tensor)
    theirs = jax.tree_util.tree_leaves(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        a, b = a.numpy() if is_tensor(a) else np.asarray(a), np.asarray(b)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        if b.dtype.kind == "V":  # float0: no information
            continue
        scale = max(np.abs(b).max(), 1.0) if b.size else 1.0
        np.testing.assert_allclose(a, b, rtol=rtol, atol=0.3 * rtol * scale)
