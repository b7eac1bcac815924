"""Fixtures: `device`, on which every test that touches a tensor runs, and `tensor`, which makes them there."""

import os

import numpy as np
import pytest

import pequegrad as pg

FULL = bool(os.environ.get("PG_TEST_FULL"))  # make test-full: many more generated cases


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="where tensors live in the tests: cpu, cpu:1, cuda, ...")


@pytest.fixture(scope="session")
def device(request):
    return pg.device(request.config.getoption("--device"))


@pytest.fixture
def tensor(device):
    """tensor(data, dtype=None): a Tensor on the device under test."""
    return lambda data, dtype=None: pg.Tensor(data, dtype=dtype, device=device)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def seeded():
    pg.manual_seed(0)


@pytest.fixture
def calls(monkeypatch):
    """A list of the names of all calls into the C library while the test runs."""
    from pequegrad.runtime import library

    made = []

    class Counting:
        def __getattr__(self, name):
            value = getattr(real, name)
            if not callable(value):
                return value

            def call(*args):
                made.append(name)
                return value(*args)

            return call

    real = library.lib
    monkeypatch.setattr(library, "lib", Counting())
    return made
