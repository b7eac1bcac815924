"""Each file of this folder compiles hundreds of programs with JAX: what they take is given back when the file is done."""

import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def forgetful():
    yield
    jax.clear_caches()
