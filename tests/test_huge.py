"""Axes of more than 2**31 elements. Only in `make test-full`, and only where there are 12 GB: the arrays are that large."""

import os

import numpy as np
import pytest
from conftest import FULL

import pequegrad as pg

N = 2**31 + 5


def available_gigabytes():
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30


pytestmark = pytest.mark.skipif(
    not FULL or available_gigabytes() < 12, reason="needs PG_TEST_FULL=1 and 12 GB of memory"
)


@pytest.fixture
def line(device):
    """int8: zeros but for a 3 at the last place and a 2 at place 2**31."""
    x = np.zeros(N, np.int8)
    x[2**31], x[-1] = 2, 3
    return pg.Tensor(x, device=device)


def test_reductions_and_positions(line):
    assert line.sum().item() == 5
    assert line.max().item() == 3
    assert (line == 3).any().item()
    found = pg.primitives.reduction.argmax(line, axis=0, dtype=pg.dt.int64)
    assert found.item() == N - 1


def test_slices_gathers_and_updates(line, device):
    assert line[2**31].item() == 2 and line[-1].item() == 3
    assert line[2**31 - 1 :].numpy().tolist() == [0, 2, 0, 0, 0, 3]
    places = pg.Tensor(np.array([2**31, N - 1, 7]), device=device)
    assert line[places].numpy().tolist() == [2, 3, 0]
    changed = line.at[2**31 + 1].set(9)
    assert changed[2**31 - 1 :].numpy().tolist() == [0, 2, 9, 0, 0, 3]
    assert pg.flip(line)[:6].numpy().tolist() == [3, 0, 0, 0, 2, 0]


def test_elementwise_and_cumulative(line):
    assert (line * 2 + 1)[-1].item() == 7
    assert pg.cumsum(line)[-1].item() == 5
