"""How values lie in memory: which are dense, and what transposed and broadcast ones are views of."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pequegrad as pg
from pequegrad.core.errors import DeviceError
from pequegrad.runtime import library


def value_of(x):
    return x.eval()._node.value


def layout(x):
    """(shape of the base, permutation) of a tensor's value; checks that they describe it."""
    value = value_of(x)
    found = library.dense_base(value)
    if found is None:
        return None
    base, permutation = found
    array = library._array_from_pointer(base.pointer)
    seen = np.broadcast_to(array.transpose(permutation), x.shape)
    np.testing.assert_array_equal(seen, x.numpy())
    assert library.are_dense([base])
    info, other = (library.ffi.new("pg_array_info *") for _ in range(2))
    library.lib.pg_array_describe(value.pointer, info)
    library.lib.pg_array_describe(base.pointer, other)
    assert (info.buffer_id, info.data) == (other.buffer_id, other.data)
    return array.shape, permutation


def numbered(tensor, *shape):
    return tensor(np.arange(np.prod(shape, dtype=int)).reshape(shape))


def test_dense_values(tensor):
    for shape in ((), (1,), (5,), (2, 3), (0, 3), (3, 0, 2), (1, 4, 1, 3)):
        x = numbered(tensor, *shape)
        assert layout(x) == (shape, tuple(range(len(shape))))
        assert library.are_dense([value_of(x)])
    x = numbered(tensor, 1, 5)
    assert layout(x.T) == ((5, 1), (0, 1)) and layout(x[:, 1:4]) == ((1, 3), (0, 1))  # dense all the same
    assert library.are_dense([])


def test_transposed_values(tensor):
    x = numbered(tensor, 2, 3, 5)
    assert layout(x.T) == ((2, 3, 5), (2, 1, 0))
    assert layout(x.permute(1, 0, 2)) == ((2, 3, 5), (1, 0, 2))
    assert layout(x.permute(2, 0, 1)) == ((2, 3, 5), (2, 0, 1))
    assert layout(x[1].T) == ((3, 5), (1, 0))  # part of a larger memory, but without gaps
    assert not library.are_dense([value_of(x), value_of(x.T)])


def test_broadcast_values(tensor):
    x = numbered(tensor, 2, 1, 5)
    assert layout(x.broadcast_to((2, 3, 5))) == ((1, 2, 5), (1, 0, 2))
    assert layout(x.broadcast_to((4, 2, 3, 5))) == ((1, 1, 2, 5), (0, 2, 1, 3))
    assert layout(x.broadcast_to((2, 3, 5)).T) == ((1, 2, 5), (2, 0, 1))
    assert layout(numbered(tensor).broadcast_to((3, 4))) == ((1, 1), (0, 1))
    assert layout(numbered(tensor, 1).broadcast_to((3,))) == ((1,), (0,))


def test_values_without_a_dense_base(tensor):
    x = numbered(tensor, 4, 6)
    for view in (x[::-1], x[:, ::2], x[:, 1:3], x[::2], x[:, :5].T, x[::2].T):
        assert layout(view) is None


def test_values_that_a_history_keeps(tensor):
    """They belong to a group; that changes nothing."""
    x = tensor(np.arange(6, dtype="f4").reshape(2, 3))
    y = (x * x).T.exp()
    y.numpy()
    value = y._node.inputs[0].value
    assert type(value) is library.SharedArray
    base, permutation = library.dense_base(value)
    assert permutation == (1, 0) and library._array_from_pointer(base.pointer).tolist() == [[0, 1, 4], [9, 16, 25]]


def test_donated_values(tensor):
    with pytest.raises(DeviceError, match="donated"):
        library.are_dense([library.DonatedArray("a test")])


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(st.lists(st.sampled_from([0, 1, 1, 2, 3]), max_size=4), st.data())
def test_any_order_of_any_axes(device, shape, data):
    """Broadcast, then transposed: the base is always found, and holds each element of the memory once."""
    tensor = pg.Tensor(np.arange(np.prod(shape, dtype=int)).reshape(shape), device=device)
    wide = [data.draw(st.sampled_from([1, 2])) if n == 1 else n for n in shape]
    order = data.draw(st.permutations(range(len(shape))))
    view = tensor.broadcast_to(tuple(wide)).permute(*order)
    found, permutation = layout(view)
    assert np.prod(found, dtype=int) == tensor.size and sorted(permutation) == list(range(len(shape)))
