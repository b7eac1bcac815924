"""einsum against NumPy: generated subscripts, its grammar, gradients, the order of contraction, errors."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import FULL
from hypothesis import given, settings
from hypothesis import strategies as st

import pequegrad as pg
from pequegrad.ops import einsum as module

SIZES = {"a": 2, "b": 3, "c": 1, "d": 4, "e": 2}
LETTERS = st.sampled_from(sorted(SIZES))


@st.composite
def cases(draw):
    """(subscripts, shapes): groups of letters with repetitions, broadcast axes, ellipses, explicit or implicit result."""
    groups, shapes = [], []
    for _ in range(draw(st.integers(1, 4))):
        group = draw(st.lists(LETTERS, max_size=3))
        shape = [SIZES[k] for k in group]
        if draw(st.integers(0, 3)) == 0:
            extra = draw(st.sampled_from([(), (5,), (1,), (2, 5), (2, 1)]))
            at = draw(st.integers(0, len(group)))
            group = [*group[:at], "...", *group[at:]]
            shape = [*shape[:at], *extra, *shape[at:]]
        groups.append("".join(group))
        shapes.append(tuple(shape))
    text = ",".join(groups)
    if draw(st.booleans()):
        known = sorted(set(text) - set(",."))
        result = draw(st.permutations(known))[: draw(st.integers(0, len(known)))]
        ellipsis = "..." if "..." in text else ""
        at = draw(st.integers(0, len(result)))
        text += "->" + "".join([*result[:at], ellipsis, *result[at:]])
    return text, shapes


@settings(max_examples=1500 if FULL else 150, deadline=None)
@given(cases())
def test_generated_subscripts(device, case):
    text, shapes = case
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in shapes]
    ours = pg.einsum(text, *(pg.Tensor(a, device=device) for a in arrays))
    expected = np.einsum(text, *arrays)
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "text, shapes",
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]), ("ij,jk", [(2, 3), (3, 4)]), ("bij,bjk->bik", [(5, 2, 3), (5, 3, 4)]),
        ("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)]), ("ii", [(3, 3)]), ("ii->i", [(3, 3)]), ("iji->j", [(3, 2, 3)]),
        ("iii->i", [(3, 3, 3)]), ("i,j->ij", [(2,), (3,)]), ("ij->ji", [(2, 3)]), ("ij->", [(2, 3)]), ("", [()]), (",", [(), ()]),
        ("i,i,i->i", [(3,)] * 3), ("ij,ij->ij", [(2, 3), (1, 3)]), ("ij,ij->", [(2, 1), (2, 3)]), ("i...,j...->ij...", [(2, 5), (3, 1)]),
        ("ij,jk,kl,lm->im", [(2, 3), (3, 4), (4, 5), (5, 2)]), ("ij,jk->ik", [(0, 3), (3, 2)]), ("ij,jk->ik", [(2, 0), (0, 2)]),
        ("ii->i", [(0, 0)]), ("abc,cd,db->a", [(2, 3, 4), (4, 5), (5, 3)]), (" i j , j k -> i k ", [(2, 3), (3, 4)]),
        ("Ab,bA->A", [(2, 3), (3, 2)]), ("...ij,...jk->...ik", [(4, 1, 2, 3), (5, 3, 4)]),
    ],
)  # fmt: skip
def test_gradients(tensor, rng, text, shapes):
    arrays = [rng.normal(size=shape) for shape in shapes]
    tensors = [tensor(a) for a in arrays]
    np.testing.assert_allclose(pg.einsum(text, *tensors).numpy(), np.einsum(text, *arrays), rtol=1e-12, atol=1e-12)
    pg.check_grads(lambda *xs: pg.einsum(text, *xs), tuple(tensors))


def test_lists_of_labels(tensor, rng):
    x, y = rng.normal(size=(2, 3)), rng.normal(size=(3, 4))
    for arguments in (
        (x, [0, 1], y, [1, 2], [0, 2]),
        (x, [5, 1], y, [1, 0]),
        (x, [..., 1], y, [1, 2], [..., 2]),
        (x, [0, 1]),
    ):
        ours = pg.einsum(*(tensor(a) if isinstance(a, np.ndarray) else a for a in arguments))
        np.testing.assert_allclose(ours.numpy(), np.einsum(*arguments), rtol=1e-12)


@pytest.mark.parametrize("name", ["bool", "int8", "uint8", "int32", "uint64", "float16", "bfloat16", "float32"])
def test_dtypes(device, name):
    x, y = (pg.Tensor(np.array(v), dtype=name, device=device) for v in ([[1, 0], [1, 1]], [[1, 1], [0, 1]]))
    out = pg.einsum("ij,jk->ik", x, y)
    assert out.dtype.name == name
    expected = jnp.einsum("ij,jk->ik", jnp.asarray(x.numpy()), jnp.asarray(y.numpy()))
    np.testing.assert_array_equal(out.numpy().astype("f4"), np.asarray(expected).astype("f4"))


def test_operands_are_promoted_and_the_result_is_a_handle_of_its_own(tensor):
    x = tensor([1.0, 2.0])
    assert pg.einsum("i,i", x, np.int32([1, 2])).item() == 5
    assert pg.einsum("i,->i", x, 2).numpy().tolist() == [2, 4]
    y = pg.einsum("i", x)
    y[0] = 9
    assert x.numpy().tolist() == [1, 2]


def test_jit_and_vmap(tensor, rng):
    x, y, z = (tensor(rng.normal(size=shape)) for shape in ((5, 2, 3), (5, 3, 3), (4, 3)))
    f = lambda x, y, z: pg.einsum("ij,jj,kj->ik", x, y, z)
    expected = np.einsum("bij,bjj,kj->bik", x.numpy(), y.numpy(), z.numpy())
    np.testing.assert_allclose(pg.vmap(f, in_axes=(0, 0, None))(x, y, z).numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(pg.jit(f)(x[0], y[0], z).numpy(), expected[0], rtol=1e-12)


def _cost(sets, output, sizes, order):
    total, sets = 0, list(sets)
    for i, j in order:
        joined = sets[i] | sets[j]
        rest = [labels for k, labels in enumerate(sets) if k not in (i, j)]
        total += math.prod(sizes[k] for k in joined)
        sets = [*rest, joined & output.union(*rest)]
    return total


def test_the_order_is_the_cheapest(rng):
    """Few operands: as good as every order that a random search finds. Many: a chain keeps its matrices small."""
    for _ in range(30):
        sizes = {k: int(rng.integers(1, 9)) for k in "abcdef"}
        sets = [frozenset(rng.choice(list("abcdef"), size=rng.integers(1, 4), replace=False)) for _ in range(5)]
        output = frozenset("ab") & frozenset().union(*sets)
        ours = _cost(sets, output, sizes, module._order(sets, output, sizes))
        for _ in range(60):
            order = [tuple(int(v) for v in rng.choice(n, 2, replace=False)) for n in range(5, 1, -1)]
            assert ours <= _cost(sets, output, sizes, order)
    chain = [frozenset((k, k + 1)) for k in range(12)]
    sizes = dict.fromkeys(range(13), 10)
    order = module._order(chain, frozenset((0, 12)), sizes)
    assert _cost(chain, frozenset((0, 12)), sizes, order) == 11 * 1000
    arrays = [rng.normal(size=(3, 3)) for _ in range(12)]
    text = ",".join(chr(97 + k) + chr(98 + k) for k in range(12))
    np.testing.assert_allclose(pg.einsum(text, *arrays).numpy(), np.linalg.multi_dot(arrays), rtol=1e-10)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ((), pg.ArgumentError, "no subscripts"),
        (("ij,jk", np.ones((2, 3))), pg.ArgumentError, "2 groups for 1 operands"),
        (("ij,jk->ik", np.ones((2, 3)), np.ones((4, 2))), pg.ShapeError, "index 'j' has size 4 in operand 1 and size 3 in operand 0"),
        (("ii", np.ones((2, 3))), pg.ShapeError, "index 'i' has size 3 in operand 0"),
        (("ijk", np.ones((2, 3))), pg.ShapeError, "operand 0 has 2 axes, its subscripts 'ijk' name 3"),
        (("i,i", np.ones(3), np.ones((3, 2))), pg.ShapeError, "operand 1 has 2 axes"),
        (("ij->iz", np.ones((2, 3))), pg.ArgumentError, "'z' of the result is in no operand"),
        (("ij->ii", np.ones((2, 3))), pg.ArgumentError, "names 'i' twice"),
        (("...i->i", np.ones((2, 3))), pg.ArgumentError, "the result has no '...'"),
        (("...i...", np.ones((2, 3))), pg.ArgumentError, "more than one ellipsis"),
        (("i1", np.ones((2, 3))), pg.ArgumentError, "'1' in 'i1' is not an index"),
        (("i.j", np.ones((2, 3))), pg.ArgumentError, "'.' in"),
        ((np.ones(2), 3), pg.ArgumentError, "not a list of labels"),
        (("...i,...i->...", np.ones((2, 3)), np.ones((4, 3))), pg.ShapeError, "index '... .axis -1.' has size 4"),
    ],
)  # fmt: skip
def test_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        pg.einsum(*arguments)
