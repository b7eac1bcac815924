"""Random programs: the jitted function, the eager one and NumPy agree; under grad and vmap, too.

What depends on exact steps alone (integers, moves, comparisons, + - * / sqrt of floats) is compared bit by bit, but
for the payload of nan. For the rest, fusion_programs.py says by how much results may differ.
"""

import numpy as np
import pytest
from conftest import FULL
from fusion_programs import DTYPES, FLOATS, KINDS, LARGEST, LAYOUTS, OPERATIONS, SIZES, Most, build, p
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

import pequegrad as pg
from pequegrad.compiler import c, c_lanes, c_reductions, c_values, epilogues, fuse, groups, loops, recompute

RUNS = 6  # of the twins, with different errors


def fuzz(here, full):
    """Settings for so many programs: the same ones each time here, others each time with PG_TEST_FULL."""
    return settings(
        max_examples=full if FULL else here, derandomize=not FULL, deadline=None, database=None, print_blob=False, report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip


# ---- what hypothesis draws ---------------------------------------------------------------------------------


@st.composite
def inputs(draw, most, kinds, dtypes):
    """Some arrays whose shapes mostly broadcast: the first shape, parts of it, sizes of 1."""
    shape = []
    for _ in range(draw(st.sampled_from([2, 1, 3, 2, 4, 0]))):
        size = draw(st.sampled_from(SIZES))
        if np.prod(shape + [size]) <= LARGEST:
            shape.append(size)
    # mostly one dtype, so that values meet
    common = draw(st.sampled_from(["float32", "float32", *dtypes]))
    found = []
    for i in range(draw(st.integers(1, most))):
        cut, ones = draw(st.integers(0, 2)) if i else 0, draw(st.integers(0, 7)) if i else 0
        part = [1 if ones >> k & 1 else n for k, n in enumerate(shape)][min(cut, len(shape)) :]
        found.append({
            "shape": tuple(part), "dtype": draw(st.one_of(st.just(common), st.sampled_from(dtypes))),
            "seed": draw(st.integers(0, 9)) + i, "kind": draw(st.sampled_from(kinds)),
            "layout": draw(st.sampled_from(LAYOUTS)),
        })  # fmt: skip
    return found


FREQUENT = ["binary"] * 6 + ["unary", "curved", "reduce_sum", "comparison", "broadcast", "transpose"] * 2
INSTRUCTION = st.tuples(
    st.sampled_from(FREQUENT + list(OPERATIONS)), st.lists(st.integers(0, 63), min_size=4, max_size=10)
)
SOME = st.lists(INSTRUCTION, max_size=10)
INSTRUCTIONS = st.tuples(SOME, SOME, SOME).map(lambda parts: sum(parts, []))  # one list would mostly be short


@st.composite
def programs(draw, most=4, kinds=KINDS, dtypes=DTYPES):
    return build(draw(inputs(most, kinds, dtypes)), draw(INSTRUCTIONS), draw(st.lists(st.integers(0, 20), max_size=3)))


PROGRAM = programs()
TAME = programs(3, ["normal", "small"], ["float32", "float64", "int32", "bool"])


# ---- comparison ----------------------------------------------------------------------------------------------


def wide(x):
    """Floats as float64, others as they are."""
    return x.astype(np.float64) if x.dtype in FLOATS else x


def assert_same(found, expected, what):
    """Bit by bit, but for the payload of nan."""
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype), what
    if found.dtype in FLOATS:
        nan = np.isnan(wide(expected))
        np.testing.assert_array_equal(np.isnan(wide(found)), nan, what)
        found, expected = (np.where(nan, 0, wide(x)) for x in (found, expected))
        np.testing.assert_array_equal(np.signbit(found), np.signbit(expected), f"{what}: signs")
    np.testing.assert_array_equal(found, expected, what)


def assert_close(found, expected, others, what, factor=1.0):
    """No farther from `expected` than `factor` times what `others` are; nan and inf where all of them have it."""
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype), what
    if found.dtype not in FLOATS:
        unclear = np.zeros(found.shape, bool)
        for other in others:
            unclear |= other != expected
        np.testing.assert_array_equal(np.where(unclear, expected, found), expected, what)
        return
    found, expected, others = wide(found), wide(expected), [wide(x) for x in others]
    kind = lambda x: np.where(np.isnan(x), 3, np.where(np.isinf(x), np.sign(x), 0))
    spread, unclear = np.zeros(found.shape), np.zeros(found.shape, bool)
    with np.errstate(all="ignore"):
        for other in others:
            unclear |= kind(other) != kind(expected)
            spread = np.fmax(spread, np.abs(other - expected))
        np.testing.assert_array_equal(
            np.where(unclear, 0, kind(found)), np.where(unclear, 0, kind(expected)), f"{what}: nan, inf"
        )
        wrong = ~unclear & np.isfinite(expected) & ~(np.abs(found - expected) <= factor * spread)
    assert not wrong.any(), (
        f"{what}: {np.count_nonzero(wrong)} of {wrong.size} differ, first at {tuple(np.argwhere(wrong)[0])}: "
        f"{found[wrong][0]!r}, not {expected[wrong][0]!r} within {factor * spread[wrong][0]:.3g}"
    )


def deviations(program, arrays):
    """All values of the program as NumPy computes them, several times: without errors, with the largest, with random ones."""
    rng = np.random.default_rng(0)
    errors = [None, Most(1), Most(-1), *[rng] * (RUNS - 3)]
    return [program.run_twins(arrays, error) for error in errors]


def steps_are_right(program, found):
    """Each eager value against the twin of its step, applied to the eager operands."""
    n = len(program.inputs)
    for k, step in enumerate(program.steps):
        operands = [found[i] for i in step.operands]
        with np.errstate(all="ignore"):
            expected = np.asarray(step.twin(*operands))
            others = [expected]
            if step.noise is not None:
                others += [step.noise(expected, operands, Most(sign)) for sign in (1, -1)]
        assert_close(found[n + k], expected, others, f"eager, step {k}: {step.code}")


# ---- tests ---------------------------------------------------------------------------------------------------


SMALLER = {
    groups: {"SMALL": 8, "ROWS": 2},
    fuse: {"SMALL": 8, "ROWS": 2, "CHUNK": 4, "CHUNKS": 7, "RUN": 1},
    recompute: {"SMALL": 8},
    epilogues: {"LARGE": 1},
    loops: {"SHORT": 5, "SHORT_SUM": 9, "SIDE_BY_SIDE": 3, "CHEAP": 2, "SEGMENTS": 4},
    c: {"BLOCK": 4, "BLOCK_ROWS": 3, "LANES": 4, "TILE": 4, "STACK": 128},
    c_lanes: {"BLOCK_ROWS": 3, "LANES": 4},
    c_reductions: {"BLOCK": 4},
    c_values: {"LANES": 4},
}  # the compiler's sizes, such that few elements are many: chunks, blocks, tiles


@pytest.fixture
def smaller(monkeypatch):
    for module, sizes in SMALLER.items():
        for name, size in sizes.items():
            assert hasattr(module, name)
            monkeypatch.setattr(module, name, size)


@fuzz(40, 1000)
@given(PROGRAM)
def test_however_kernels_are_cut(smaller, device, program):
    jit_eager_and_numpy_agree(device, program)


@fuzz(120, 2000)
@given(PROGRAM)
def test_jit_eager_and_numpy_agree(device, program):
    jit_eager_and_numpy_agree(device, program)


def jit_eager_and_numpy_agree(device, program):
    note(program.listing())
    f, _ = program.function(device)
    arguments = program.arguments(device)
    everything = [x.numpy() for x in program.function(device, everything=True)[0](*arguments)]
    steps_are_right(program, everything)
    results = [x.numpy() for x in pg.jit(f)(*arguments)]
    runs = deviations(program, everything[: len(arguments)])
    exact = program.exact()
    for i, result in zip(program.outputs, results):
        if exact[i]:
            assert_same(result, everything[i], f"jit, value {i}")
        else:
            assert_close(result, everything[i], [run[i] for run in runs], f"jit, value {i}", factor=4)


def weighted_sum(outputs):
    """A number that depends on all floats among the outputs, on each in another way."""
    total = pg.zeros((), device=outputs[0].device)
    for x in outputs:
        if x.dtype in FLOATS:
            weights = (pg.arange(x.size, device=x.device) * 37 % 11 - 4).astype(pg.dt.float32).reshape(x.shape) * 0.25
            total = total + (x.astype(pg.dt.float32) * weights).sum()
    return total


class Noise:
    """Multiplies floats by 1 + a few units in the last place, so that derivatives show by how much they may be off."""

    def __init__(self, seed, device):
        self.rng, self.device = np.random.default_rng(seed), device

    def __call__(self, x):
        unit = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}[x.dtype.name]
        factors = (
            1 + self.rng.uniform(-16, 16, x.shape) * max(unit, 2.0**-23)
            if x.dtype.itemsize > 2
            else 1 + self.rng.choice([-unit, 0, unit], x.shape)
        )
        return x * pg.Tensor(factors.astype(x.dtype), device=self.device)


@fuzz(50, 600)
@given(TAME)
def test_gradients_agree(device, program):
    note(program.listing())
    wanted = tuple(i for i, array in enumerate(program.arrays[: len(program.inputs)]) if array.dtype in FLOATS)
    if not wanted:
        return
    f, _ = program.function(device)
    arguments = program.arguments(device)
    gradient = lambda f: pg.grad(lambda *args: weighted_sum(f(*args)), wanted)
    eager = [x.numpy() for x in gradient(f)(*arguments)]
    jitted = [x.numpy() for x in pg.jit(gradient(f))(*arguments)]
    noisy, scope = program.function(device, noisy=True)
    others = []
    for seed in range(RUNS):
        scope["noise"] = Noise(seed, device)
        nudged = [scope["noise"](x) if i in wanted else x for i, x in enumerate(arguments)]
        others.append([x.numpy() for x in gradient(noisy)(*nudged)])
    # the terms of sums that cancel are as large as the weights, or as other derivatives
    scale = np.float64(max(1, *(np.abs(np.where(np.isfinite(b), b, 0)).max(initial=0) for b in eager)) * 2.0**-20)
    for k, (a, b) in enumerate(zip(jitted, eager)):
        others_k = [other[k] for other in others] + [b + scale.astype(b.dtype), b - scale.astype(b.dtype)]
        assert_close(a, b, others_k, f"derivative for input {wanted[k]}", factor=8)


@fuzz(30, 400)
@given(PROGRAM, st.integers(1, 15))
def test_vmap_agrees_with_a_loop(device, program, which):
    note(f"{program.listing()}\n# which inputs are mapped: {which:b}")
    n, size = len(program.inputs), 3
    mapped = [bool(which >> i & 1) for i in range(n)]
    if not any(mapped):
        return
    f, _ = program.function(device)
    examples = [program.arguments(device, more_seed=k) for k in range(size)]
    for i in range(n):
        if not mapped[i]:
            for example in examples:
                example[i] = examples[0][i]
    stacked = [pg.stack([example[i] for example in examples]) if mapped[i] else examples[0][i] for i in range(n)]
    try:
        g = pg.jit(pg.vmap(f, in_axes=tuple(0 if m else None for m in mapped)))
        results = [x.numpy() for x in g(*stacked)]
    except pg.ShapeError as error:
        pytest.fail(f"vmap: {error}")
    exact, everything = program.exact(), program.function(device, everything=True)[0]
    for k, example in enumerate(examples):
        expected = [x.numpy() for x in everything(*example)]
        runs = deviations(program, expected[:n])
        for i, result in zip(program.outputs, results):
            if exact[i]:
                assert_same(result[k], expected[i], f"vmap, example {k}, value {i}")
            else:
                assert_close(
                    result[k], expected[i], [run[i] for run in runs], f"vmap, example {k}, value {i}", factor=4
                )


def test_a_program_is_printed_as_code_that_runs(capsys):
    given_inputs = [{"shape": (2, 3), "dtype": "float32", "seed": 0, "kind": "normal", "layout": "transposed"}]
    program = build(given_inputs, [("relu", [0]), ("softmax_rows", [0]), ("iota", [0]), ("bits", [0])], [1])
    exec(program.listing(), {})
    assert "p.exp(" in program.source() and capsys.readouterr().out


# ---- what it found -------------------------------------------------------------------------------------------


def agrees(f, *arguments):
    np.testing.assert_allclose(pg.jit(f)(*arguments).numpy(), f(*arguments).numpy(), rtol=1e-5)


def test_a_kernel_does_not_gather_from_what_it_computes(tensor):
    def f(x):
        y = pg.broadcast_to(~x, (8,))
        z = pg.take_along_axis(y, y % 10, 0)
        i = pg.broadcast_to((z % 10)[:, None], (8, 2))
        return z[pg.take(y, i) % 10]

    agrees(f, tensor(np.uint8(3)))


def test_merged_groups_do_not_read_elsewhere_what_they_compute(tensor, rng):
    def f(x):
        y = pg.sin(x)
        z = y * (x * 3)
        return (z[:5] + z[5:]).sum() + (y * pg.sqrt(x)).sum()

    agrees(f, tensor(rng.uniform(0, 9, 10).astype("f4")))


def test_groups_do_not_wait_for_each_other(tensor):
    def f(x):
        y = pg.flip(x, 1)
        sums = p.reduce_sum(x + y, axes=(0, 2))
        total = p.reduce_sum(sums, axes=(0,))
        rows = p.reduce_sum(y, axes=(0, 2))
        sizes = abs(rows)
        shifted = total + pg.flip(y, 1)
        picked = rows[3:7][p.rem(total, 6)]
        i = p.rem(sizes, 4)
        others = abs(p.reduce_sum(x, axes=(0, 2)))
        sum_of = p.reduce_sum(sizes, axes=(0,)), p.reduce_sum(shifted, axes=(0, 1, 2))
        return sums, x + 3, pg.flip(y, 1), picked, *sum_of, shifted + 3, others, i, shifted[3:7:2, 0:7:3, 3:65:2][i]

    x = tensor((np.arange(7 * 8 * 67) % 9).reshape(7, 8, 67), "int64")
    for found, expected in zip(pg.jit(f)(x), f(x)):
        assert_same(found.numpy(), expected.numpy(), "jit")


def test_a_tile_that_two_passes_read_is_filled_in_both(smaller, tensor, rng):
    def f(x):
        x = x - x.sum(2, keepdims=True)
        return (x * x).sum(2)

    agrees(f, tensor(rng.normal(size=(3, 13, 5)).astype("f4")))


def test_row_values_of_kernels_that_turn_operands_are_written(tensor, rng):
    def f(x, y):
        chosen = x > 0
        return (pg.where(chosen, x, y) * 2).T * 3, p.add(chosen, chosen)

    x, y = (tensor(rng.normal(size=(n, 300)).astype("f4")) for n in (1, 2))
    for found, expected in zip(pg.jit(f)(x, y), f(x, y)):
        assert_same(found.numpy(), expected.numpy(), "jit")


def test_gathers_read_through_views(tensor, rng):
    x, i = tensor(rng.normal(size=(3, 4))), tensor(np.array([[0, 5, 2], [3, 1, -1]], "i4"))
    agrees(lambda x, i: pg.take(x, i), x, i)
