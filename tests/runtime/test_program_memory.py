"""Program.memory: what a run takes, said before it, is what the device counts."""

import gc

import numpy as np
import pytest
from hypothesis import given
from test_programs import generated, inputs_on, programs, run

import pequegrad as pg
from pequegrad.compiler import program as program_module
from pequegrad.core.errors import OutOfMemoryError
from pequegrad.core.node import make_aval
from pequegrad.runtime import library

pytestmark = pytest.mark.skipif(
    "not config.getoption('--device').startswith('cpu')", reason="kernels of other devices state no plan yet"
)


@pytest.fixture(params=["fused", "not fused"])
def fusion(request, monkeypatch):
    if request.param == "not fused":
        monkeypatch.setattr(program_module, "fuse", lambda graph: graph)


def compiled(function, *tensors):
    """The program of `function`, as jit makes it for these tensors, and the values that it takes."""
    jitted = pg.jit(function)
    jitted(*tensors)
    ((entry,),) = jitted.compiled.values()
    return entry.program, [handle._node.value for handle in entry.handles] + [x._node.value for x in tensors]


def measured(program, values, donated=None):
    """(peak, what the results hold) of a run, as the device counts."""
    gc.collect()
    device = pg.device.cpu
    before = pg.memory_stats()["in_use"]
    library.lib.pg_device_reset_peak(device.handle)
    results = program.run(values, donated)
    after = pg.memory_stats()
    del results
    return after["peak_in_use"] - before, after["in_use"] - before


def check(function, *tensors):
    """Compares what is said with what is measured, and returns it."""
    program, values = compiled(function, *tensors)
    said = program.memory()
    assert (said["peak"], said["outputs"]) == measured(program, values)
    return said


@pytest.fixture
def threads():
    """One thread: how many calls of a kernel have scratch memory of their own is then known."""
    before = pg.num_threads()
    pg.set_num_threads(1)
    yield
    pg.set_num_threads(before)


@pytest.fixture
def x(rng):
    return pg.Tensor(rng.standard_normal((30, 50)).astype("f4")).detach()


# ---- kinds of instructions ---------------------------------------------------------------------------


def test_nothing_is_taken_for_views_and_inputs(x):
    assert check(lambda x: x, x) == {"inputs": 0, "constants": 0, "outputs": 0, "peak": 0}  # it reads nothing
    assert check(lambda x: x.T, x) == {"inputs": 6144, "constants": 0, "outputs": 0, "peak": 0}
    assert check(lambda x: (x.T, x[::2], x[3].reshape(5, 10)), x)["peak"] == 0


@pytest.mark.parametrize("function", [
    lambda x: x + 1, lambda x: (x + 1, x * 2), lambda x: x.exp().sin().sum(0),
    lambda x: x.T.reshape(10, 150), lambda x: x[::-1].reshape(-1) * 2, lambda x: x.astype("float64") + 1,
    lambda x: pg.concatenate([x, x.exp()], 1)[:, 10:], lambda x: x.at[2:5].set(0.0), lambda x: x.exp().at[2:5].set(0.0),
    lambda x: x.exp().at[np.array([1, 1, 3])].add(1.0), lambda x: (x.exp().T.cos() + x.T).sum(1), lambda x: pg.softmax(x, 1).cumsum(1) * x,
    lambda x: x.exp().cumsum(0), lambda x: x[:0] + 1, lambda x: x.argmax(1),
])  # fmt: skip
def test_one_function(threads, fusion, x, function):
    check(function, x)


def test_a_training_step(threads, fusion, rng):
    parameters = [pg.Tensor(rng.standard_normal(s).astype("f4") * 0.1) for s in ((64, 20), (20,), (20, 10), (10,))]
    adam = pg.optim.Adam(parameters, lr=1e-3)

    def step(x, y):
        loss = ((x @ parameters[0] + parameters[1]).relu() @ parameters[2] + parameters[3]).cross_entropy_loss_indices(
            y
        )
        adam.step(pg.grads(parameters, loss))
        return loss

    x = pg.Tensor(rng.standard_normal((32, 64)).astype("f4"))
    program, values = compiled(step, x, pg.Tensor(rng.integers(0, 10, 32).astype("i4")))
    said, (peak, held) = program.memory(), measured(program, values)
    assert said["outputs"] == held and said["peak"] <= peak  # products pack their operands
    assert said["peak"] >= said["outputs"] >= 3 * 4 * sum(p.size for p in parameters)  # and two moments of each


@generated
@given(programs)
def test_programs_made_at_random(device, steps):
    """Without products: they may copy their operands while they work."""
    inputs = inputs_on(device)
    arrays = [a for _, a in inputs]
    steps = [step for step in steps if step[0] != "matmul"]
    before = pg.num_threads()
    pg.set_num_threads(1)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(program_module, "fuse", lambda graph: graph)  # nothing to compile
            check(lambda *tensors: [x for x, _ in run(steps, list(zip(tensors, arrays)))[-2:]], *[x.detach() for x, _ in inputs])  # fmt: skip
    finally:
        pg.set_num_threads(before)


# ---- control flow, callbacks, constants --------------------------------------------------------------


def test_loops(threads, x):
    def loop(x):
        return pg.fori_loop(0, 10, lambda i, c: (c * 2).sin(), x)

    def scanned(x):
        return pg.scan(lambda c, row: (c + row.exp(), (c * row).cos()), x[0], x)

    for function in (loop, scanned, lambda x: pg.scan(lambda c, row: (c, row * c), x[0], x, reverse=True)):
        check(function, x)


def test_products_and_sorting_take_more_while_they_work(x):
    for function in (lambda x: pg.sort(x, 0), lambda x: (x @ x.T).sum(), lambda x: pg.softmax(x, 1) @ x.T):
        program, values = compiled(function, x)
        said, (peak, held) = program.memory(), measured(program, values)
        assert held == said["outputs"] and said["outputs"] <= said["peak"] <= peak


def test_branches(threads, x):
    """Of the larger branch: which one runs is not known before."""

    def function(flag, x):
        return pg.cond(flag, lambda x: x.T.reshape(30, 50).cumsum(0) + x, lambda x: x * 2, x)

    small, large = (pg.Tensor(np.bool_(flag)) for flag in (False, True))
    program, values = compiled(function, large, x)
    said = program.memory()
    assert (said["peak"], said["outputs"]) == measured(program, values)
    assert measured(program, [small._node.value, values[1]])[0] < said["peak"]


def test_callbacks(x):
    called = []

    def host(a):
        called.append(a)
        return a + 1

    program, values = compiled(lambda x: pg.pure_callback(host, x, x * 2) + 1, x)
    called.clear()
    assert (program.memory()["peak"], called) == (measured(program, values)[0], called) and len(called) == 1


def test_constants(x):
    table = np.arange(1000, dtype="f4")
    program, values = compiled(lambda x: x.sum() + pg.Tensor(table).detach(), x)
    assert measured(program, values) == (program.memory()["peak"], program.memory()["outputs"])


# ---- donation ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("donated", [(False, False), (True, False), (False, True), (True, True)])
def test_donated_inputs(threads, rng, donated):
    def function(x, y):
        return (x * 2 + y).exp()

    make = lambda: [pg.Tensor(rng.standard_normal((100, 10)).astype("f4")) for _ in range(2)]
    program, _ = compiled(function, *make())
    values = [library.array_from_host(x.numpy(), pg.device.cpu) for x in make()]
    said, (peak, held) = program.memory(donated), measured(program, values, list(donated))
    given_up = sum(donated) * 4096
    assert (peak, held) == (said["peak"], said["outputs"] - given_up)
    assert said["inputs"] == 8192 and said["outputs"] == 4096


# ---- what is too large -------------------------------------------------------------------------------


def test_programs_that_cannot_run(device):
    """The answer takes none of the memory that it is about."""
    huge = make_aval((1 << 40,), np.dtype("f4"), device)
    operation = library.Operation("iota", [0], (), (huge,), device)
    program = library.Program(device, [operation.address, 0], 1, 0, [0], owner=operation)
    assert program.memory() == {"inputs": 0, "constants": 0, "outputs": 4 << 40, "peak": 4 << 40}
    with pytest.raises(OutOfMemoryError):
        program.run([])


def test_more_bytes_than_there_are_numbers(device):
    huge = make_aval((1 << 60,), np.dtype("f4"), device)
    operation = library.Operation("iota", [0], (), (huge,), device)
    code = [word for k in range(3) for word in (operation.address, k)]
    program = library.Program(device, code, 3, 0, [0, 1, 2], owner=operation)
    with pytest.raises(OutOfMemoryError, match=r"iota.*more than 2\*\*63 bytes"):
        program.memory()
