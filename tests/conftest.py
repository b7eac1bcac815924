"""Fixtures: `device`, on which every test that touches a tensor runs, and `tensor`, which makes them there."""

import os

# JAX compiles thousands of small programs that run once: with few of LLVM's optimisations that takes a tenth less of the whole.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=1")

import numpy as np  # noqa: E402
import pytest  # noqa: E402

import pequegrad as pg  # noqa: E402

FULL = bool(os.environ.get("PG_TEST_FULL"))  # make test-full: many more generated cases, all programs fused


# Files in which jitted functions are compiled to generated code. In the others it would be the same few dozen kernels for
# thousands of tiny programs, each 60 ms of a C compiler's time: there, only test-full (or --fused) does it.
FUSED = """test_attention test_c_scalars test_checkpoint test_control_flow test_custom_rules test_dispatch test_frames
    test_epilogues test_fusion test_fusion_fuzz test_introspection test_jit test_losses test_nested_transforms test_new_names test_nn
    test_normalization test_patterns test_schedule test_toolchain test_torch_models test_transform_corners""".split()


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="where tensors live in the tests: cpu, cpu:1, cuda, ...")
    parser.addoption("--fused", action="store_true", default=FULL, help="compile jitted functions in all tests")


@pytest.fixture(autouse=True)
def fused(request, monkeypatch):
    """Leaves the compiler's last step out of tests that are not about it."""
    if not request.config.getoption("--fused") and request.module.__name__.split(".")[-1] not in FUSED:
        from pequegrad.compiler import program

        monkeypatch.setattr(program, "fusing", False)


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
