"""Packed weights stay with their arrays when these are used again and again: results, memory, changes in place."""

import gc

import numpy as np
import pytest

import pequegrad as pg
import pequegrad.jax_api as jax
import pequegrad.jax_api.numpy as jnp

SHAPES = [((1, 64, 17, 15), (48, 64, 3, 3)), ((1, 40, 17, 15), (48, 40, 5, 5)), ((2, 40, 9, 9), (48, 40, 1, 1))]


def conv(x, w):
    return jax.lax.conv_general_dilated(x, w, (1, 1), "SAME")


def operands(rng, shapes):
    return [jnp.asarray(rng.integers(-3, 4, shape).astype("f4")) for shape in shapes]


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("jitted", [False, True])
def test_the_first_call_and_the_tenth_give_the_same(rng, shapes, jitted):
    x, w = operands(rng, shapes)
    f = jax.jit(conv) if jitted else conv
    first, *others = [np.asarray(f(x, w)) for _ in range(10)]
    for other in others:
        np.testing.assert_array_equal(other, first)


@pytest.mark.parametrize("shapes", SHAPES)
def test_weights_that_change_in_place_are_packed_again(rng, shapes):
    x, w = operands(rng, shapes)
    expected = np.asarray(conv(x, w))
    halve = jax.jit(lambda w: w * 0.5, donate_argnums=0)
    for _ in range(5):
        for _ in range(4):
            np.testing.assert_array_equal(np.asarray(conv(x, w)), expected)
        w, expected = halve(w), expected * 0.5


@pytest.mark.parametrize("shapes", SHAPES)
def test_parts_of_an_array_are_told_apart(rng, shapes):
    x, w = operands(rng, shapes)
    f = jax.jit(lambda x, w, i: conv(x, jax.lax.dynamic_slice_in_dim(w, i, 16, 0)))
    whole = np.asarray(conv(x, w))
    for _ in range(4):
        for i in (0, 16, 32):
            np.testing.assert_array_equal(np.asarray(f(x, w, i)), whole[:, i : i + 16])
            np.testing.assert_array_equal(np.asarray(conv(x, w[i : i + 16])), whole[:, i : i + 16])


@pytest.fixture
def one_thread():
    """Each thread needs memory of its own."""
    before = pg.num_threads()
    pg.set_num_threads(1)
    yield
    pg.set_num_threads(before)


def in_use():
    gc.collect()
    return pg.memory_stats()["in_use"]


@pytest.mark.parametrize("shapes", SHAPES)
def test_what_is_kept_goes_with_the_weights(rng, shapes):
    before = in_use()
    x, w = operands(rng, shapes)
    held = in_use()
    for _ in range(6):
        conv(x, w).block_until_ready()
    assert in_use() - held >= w.nbytes
    pg.empty_cache()
    assert in_use() == held
    for _ in range(6):
        conv(x, w).block_until_ready()
    assert in_use() - held >= w.nbytes
    del x, w
    assert in_use() == before


def test_what_is_kept_gives_way_when_memory_is_short(rng):
    x, w = operands(rng, SHAPES[0])
    for _ in range(6):
        conv(x, w).block_until_ready()
    limit = pg.memory_stats()["limit"]
    room = in_use() + 100_000
    pg.set_memory_limit(room)
    try:
        assert jnp.zeros((100_000 + 2 * w.nbytes) // 4 // 2).block_until_ready().size
    finally:
        pg.set_memory_limit(limit)


def test_where_memory_is_short_for_keeping_weights_they_are_packed_anew(rng, one_thread):
    """Few places and many weights: these are packed piece by piece, and keeping them would take as much memory again."""
    x, w = operands(rng, [((1, 512, 8, 8)), ((512, 512, 3, 3))])
    expected, limit = np.asarray(conv(x, w)), pg.memory_stats()["limit"]
    pg.empty_cache()
    pg.set_memory_limit(in_use() + 6_000_000)
    try:
        for _ in range(5):
            np.testing.assert_array_equal(np.asarray(conv(x, w)), expected)
    finally:
        pg.set_memory_limit(limit)


def test_fewer_products_are_given_up_where_memory_is_short(rng, one_thread):
    x, w = operands(rng, [(1, 256, 16, 16), (256, 256, 3, 3)])
    expected, limit = np.asarray(conv(x, w)), pg.memory_stats()["limit"]
    pg.empty_cache()
    pg.set_memory_limit(in_use() + 5_000_000)
    try:
        np.testing.assert_allclose(np.asarray(conv(x, w)), expected)
    finally:
        pg.set_memory_limit(limit)
