"""Looking at compiled programs: lower, compile, explain, caches, check, debug, profile."""

import json
import threading

import numpy as np
import pytest

import pequegrad as pg
from pequegrad import nn


def step(x, w):
    return (x @ w).softmax(-1).log().sum(), x.exp()


@pytest.fixture
def arguments(tensor, rng):
    return tensor(rng.normal(size=(8, 4)).astype("f4")), tensor(rng.normal(size=(4, 5)).astype("f4"))


# ---- lower and compile ---------------------------------------------------------------------------------


def test_lowered_and_compiled_give_the_same_results(arguments):
    f = pg.jit(step)
    compiled = f.lower(*arguments).compile()
    assert f.traces == 1
    for found, expected in zip(compiled(*arguments), f(*arguments)):
        np.testing.assert_array_equal(found.numpy(), expected.numpy())
    assert f.traces == 1  # jit uses what lower traced


def test_abstract_arguments(arguments):
    f = pg.jit(step)
    abstract = [pg.ShapeDtypeStruct(x.shape, x.dtype) for x in arguments]
    lowered = f.lower(abstract[0], arguments[1])
    np.testing.assert_array_equal(lowered.compile()(*arguments)[0].numpy(), f(*arguments)[0].numpy())

    class Box:
        shape, dtype = (4, 5), np.float32

    assert f.lower(abstract[0], Box()).as_text() == lowered.as_text() and f.traces == 1
    g = pg.jit(lambda p, n: p["a"] * n, static_argnums=1)
    assert "mul" in g.lower({"a": abstract[0]}, 3).as_text()


def test_other_arguments_than_it_was_compiled_for(arguments, tensor):
    compiled = pg.jit(step).lower(*arguments).compile()
    with pytest.raises(pg.ArgumentError, match=r"(?s)step.*other arguments: x: float32\[8,4\] -> float32\[2,4\].*fix"):
        compiled(tensor(np.ones((2, 4), "f4")), arguments[1])
    with pytest.raises(pg.ArgumentError, match="structure"):
        compiled(arguments)
    layer = nn.Dropout(0.5)
    compiled = pg.jit(lambda x: layer(x)).lower(arguments[0]).compile()
    compiled(arguments[0])
    layer.eval()
    with pytest.raises(pg.ArgumentError, match="changed"):
        compiled(arguments[0])


def test_compiled_functions_read_and_change_outer_tensors(tensor):
    w = tensor([1.0, 2.0])

    def add(x):
        w[0] = w[0] + x
        return w * 2

    compiled = pg.jit(add).lower(pg.ShapeDtypeStruct((), "float32")).compile()
    assert w.numpy().tolist() == [1, 2]
    assert compiled(tensor(5.0)).numpy().tolist() == [12, 4] and compiled(tensor(1.0)).numpy().tolist() == [14, 4]


def test_text_of_each_stage(arguments, capsys):
    f = pg.jit(step)
    lowered = f.lower(*arguments)
    traced, simplified, fused = (lowered.as_text(stage) for stage in ("traced", "simplified", "fused"))
    assert traced == lowered.as_text() and traced.startswith("step(a: float32[8,4], b: float32[4,5]):")
    assert len(simplified.splitlines()) <= len(traced.splitlines())
    assert "dot_general" in fused and lowered.compile().as_text() == fused
    f.print_trace(*arguments, stage="fused")
    assert capsys.readouterr().out == fused + "\n"
    with pytest.raises(pg.ArgumentError, match="traced, simplified, fused"):
        lowered.as_text("assembled")


def test_cost_and_memory(arguments):
    compiled = pg.jit(lambda x, w: x @ w).lower(*arguments).compile()
    assert compiled.cost_analysis() == {
        "flops": 2 * 8 * 4 * 5, "bytes_read": 4 * (32 + 20), "bytes_written": 4 * 40, "kernels": 1,
    }  # fmt: skip
    memory = compiled.memory()
    assert 208 <= memory["inputs"] <= 256 and 160 <= memory["outputs"] <= 192  # blocks of 64 bytes
    assert memory["peak"] >= memory["outputs"] and memory["constants"] == 0


def test_flops_of_convolutions_and_loops(tensor):
    x, w = tensor(np.ones((2, 6, 9, 9), "f4")), tensor(np.ones((8, 3, 3, 3), "f4"))
    f = pg.jit(lambda x, w: pg.conv_general_dilated(x, w, (1, 1), "VALID", feature_group_count=2))
    flops = f.lower(x, w).compile().cost_analysis()["flops"]
    assert flops >= 2 * (2 * 8 * 7 * 7) * (3 * 3 * 3)
    a = tensor(np.ones((4, 4), "f4"))
    loop = pg.jit(lambda a: pg.scan(lambda c, _: (c @ c, None), a, None, length=10)[0])
    assert loop.lower(a).compile().cost_analysis()["flops"] >= 10 * 2 * 4**3


def test_explain(arguments, capsys):
    f = pg.jit(step)
    assert f.explain(*arguments) is None
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("step: operations: ") and lines[0].endswith("flops")
    n = int(lines[0].split("kernels: ")[1].split(";")[0])
    header, rows = lines[1], lines[2 : 2 + n]
    assert header.split() == ["kernel", "units", "read", "written", "flops", "share", "computes"]
    assert [row.split()[0] for row in rows] == [str(i + 1) for i in range(n)]
    (product,) = [row for row in rows if "dot_general" in row]
    assert " 320 " in product and "208 B" in product
    shares = [int(part[:-1]) for row in rows for part in row.split() if part.endswith("%")]
    assert len(shares) == n and abs(sum(shares) - 100) <= n
    assert lines[2 + n] == "where each operation went:"
    (went,) = [line for line in lines[2 + n :] if line.strip().startswith("dot_general")]
    assert f"kernel {rows.index(product) + 1}" in went


def test_explain_names_the_patterns_that_were_found(tensor, capsys):
    twice = lambda x: pg.sin(pg.cos(x)) * pg.sin(pg.cos(x + 1))
    f = pg.jit(lambda x: twice(pg.scan(lambda c, _: (pg.sin(pg.cos(c)), None), x, None, length=3)[0]))
    pattern = pg.register_pattern(lambda x: pg.sin(pg.cos(x)), lambda x: x * 2, name="wave")
    try:
        f.explain(tensor([1.0]))
    finally:
        pg.unregister_pattern(pattern)
    assert "\npatterns: 3 wave\n" in capsys.readouterr().out
    pg.jit(twice).explain(tensor([1.0]))
    assert "patterns" not in capsys.readouterr().out


def test_explain_shows_bodies_of_loops(tensor, capsys):
    f = pg.jit(lambda x: pg.scan(lambda c, _: ((c * 2 + 1).sin(), None), x, None, length=5)[0])
    f.explain(tensor([1.0, 2.0]))
    out = capsys.readouterr().out
    assert "scan" in out and "sin" in out


def test_a_compiled_function_can_be_saved(arguments, tensor, device, tmp_path):
    from pequegrad.runtime import library

    path = str(tmp_path / "step.pg")
    pg.jit(step).lower(*arguments).compile().save(path)
    values = library.Program.load(device, path).run([x._node.value for x in arguments])
    expected = step(*arguments)[1]
    np.testing.assert_allclose(library.array_to_host(values[1], expected._node.aval), expected.numpy(), rtol=1e-6)
    w = tensor([1.0])
    with pytest.raises(pg.ArgumentError, match="cannot change"):
        pg.jit(lambda x: w.__setitem__(0, x) or x).lower(tensor(1.0)).compile().save(path)


# ---- caches --------------------------------------------------------------------------------------------


def test_caches(tensor):
    f, g = pg.jit(lambda x: x * 2), pg.jit(lambda x: x + f(x))
    f(tensor([1.0])), f(tensor([1.0, 2.0])), g(tensor([1.0]))
    assert f.cache_info()["programs"] == f.cache_info()["kinds"] == 3  # one inside of g
    pg.clear_caches()
    assert f.cache_info()["programs"] == g.cache_info()["programs"] == 0
    assert f(tensor([1.0])).item() == 2 and f.cache_info()["programs"] == 1
    f.clear_cache()
    assert f.cache_info()["programs"] == 0
    assert f(tensor([1.0])).item() == 2 and f.traces == 5


# ---- debug ---------------------------------------------------------------------------------------------


def test_debug_runs_op_by_op(tensor):
    seen = []

    @pg.jit
    def inner(x):
        seen.append(x.numpy().tolist())  # a value: not traced
        return x + 1

    @pg.jit.withargs(debug=True)
    def f(x, scale=2.0):
        y = x * scale
        seen.append(y.numpy().tolist())
        if y.sum() > 0:
            y = inner(y)
        return y

    for _ in range(2):
        assert f(tensor([1.0, 2.0])).numpy().tolist() == [3, 5]
    assert f(tensor([-1.0]), scale=3.0).numpy().tolist() == [-3]
    assert seen == [[2, 4], [2, 4]] * 2 + [[-3]]
    assert f.traces == inner.traces == 0
    with pytest.raises(pg.TracerError):
        inner(tensor([1.0]))  # jitted again
    assert (tensor([1.0]) + 1).evaled is False  # and nothing is watched any more


@pytest.mark.parametrize("bad, operation", [
    (lambda x: x / (x - 1), "div"), (lambda x: (x - 2).log(), "log"), (lambda x: (x * 100).exp(), "exp"),
    (lambda x: pg.split((x - 2).sqrt() * 2, 2)[0], "sqrt"), (lambda x: (x * 1e30) @ (x * 1e30), "dot_general"),
])  # fmt: skip
def test_the_first_nan_is_named_with_its_line(bad, operation, tensor):
    def f(x):
        y = x.exp()
        z = bad(x) + y
        return z * 2

    with pytest.raises(pg.NonFiniteError, match=rf"^{operation} gives -?(nan|inf) at ") as caught:
        pg.jit(f, debug=True)(tensor(np.array([1.0, 3.0, 1.0, 3.0], "f4")))
    assert "test_introspection.py" in str(caught.value) and isinstance(caught.value, FloatingPointError)
    assert "finite operands: float32" in str(caught.value)


def test_debug_lets_infinities_of_the_arguments_pass(tensor):
    f = pg.jit(lambda x: (x.exp() - x, x.astype(pg.dt.int32)), debug=True)
    assert f(tensor([-np.inf, np.nan]))[0].numpy()[0] == np.inf


def test_debug_inside_derivatives_and_loops(tensor):
    f = pg.jit(lambda x: x.log().sum(), debug=True)
    with pytest.raises(pg.NonFiniteError, match="div|log"):
        pg.jit(lambda x: pg.grads([x], (x * x).sqrt().sum())[0], debug=True)(tensor([0.0]))
    np.testing.assert_allclose(pg.fngrad(f)(tensor([1.0, 2.0]))[0].numpy(), [1, 0.5])
    assert pg.vmap(f)(tensor([[1.0], [1.0]])).numpy().tolist() == [0, 0]
    loop = pg.jit(lambda x: pg.fori_loop(0, 5, lambda i, c: c * 1e20, x), debug=True)
    with pytest.raises(pg.NonFiniteError, match="(?s)gives inf.*fix: .*write the loop or branch in Python"):
        loop(tensor([1.0]))


# ---- check ---------------------------------------------------------------------------------------------


def test_check_compares_and_gives_the_results(arguments, tensor, device):
    f = pg.jit(step, check=True)
    for _ in range(2):
        for found, expected in zip(f(*arguments), step(*arguments)):
            np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5)
    assert f.traces == 1
    assert np.isnan(pg.jit(lambda x: (x.sqrt(), x > 0), check=True)(tensor([-1.0]))[0].numpy()).all()
    model = nn.Sequential(nn.Linear(4, 8, device=device), nn.Dropout(0.5), nn.Linear(8, 1, device=device))
    optimiser = pg.optim.Adam(model.parameters(), lr=0.01)

    @pg.jit.withargs(check=True)
    def train(x):
        loss = (model(x) ** 2).mean()
        optimiser.step(pg.grads(model.parameters(), loss))
        return {"loss": loss}

    losses = [train(arguments[0])["loss"].item() for _ in range(3)]
    assert len(set(losses)) == 3 and train.traces == 1 and optimiser.steps.item() == 3


def test_check_names_the_operation_that_differs(tensor):
    wrong = pg.register_pattern(lambda x: (x * 3.0).sin(), lambda x: (x * 3.0).cos())
    try:

        @pg.jit.withargs(check=True)
        def f(x):
            y = x + 1.0
            z = (y * 3.0).sin()
            return z * 2.0

        with pytest.raises(pg.MiscompiledError, match="f: sin differs when it is compiled: ") as caught:
            f(tensor([1.0, 2.0]))
        assert "z = (y * 3.0).sin()" in str(caught.value) and "test_introspection.py" in str(caught.value)
    finally:
        pg.unregister_pattern(wrong)


# ---- profile -------------------------------------------------------------------------------------------


def nested(events):
    """Whether the bars of each lane lie beside or within each other."""
    for lane in {event["tid"] for event in events}:
        open_bars = []
        for event in sorted((e for e in events if e["tid"] == lane), key=lambda e: (e["ts"], -e["dur"])):
            while open_bars and open_bars[-1] <= event["ts"] + 1e-3:
                open_bars.pop()
            if open_bars and event["ts"] + event["dur"] > open_bars[-1] + 1e-3:
                return False
            open_bars.append(event["ts"] + event["dur"])
    return True


def test_a_profile_is_a_trace_of_all_kernels(arguments, tmp_path):
    """The fields are those that the Trace Event Format names for complete ("X") and metadata ("M") events."""
    f = pg.jit(step)
    f(*arguments)
    n_kernels = f.lower(*arguments).compile().cost_analysis()["kernels"]
    with pg.profile(tmp_path / "trace.json") as found:
        for _ in range(3):
            f(*arguments)
        (arguments[0] + 1.0).eval()
    trace = json.loads((tmp_path / "trace.json").read_text())
    assert trace["displayTimeUnit"] in ("ms", "ns") and trace["otherData"] == {"dropped": 0}
    assert {event["ph"] for event in trace["traceEvents"]} == {"M", "X"}
    for event in trace["traceEvents"]:
        assert isinstance(event["name"], str) and isinstance(event["args"], dict)
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int)
        if event["ph"] == "X":
            assert event["ts"] >= 0 and event["dur"] >= 0 and event["cat"] in ("kernel", "program")
        else:
            assert event["name"] in ("process_name", "thread_name") and isinstance(event["args"]["name"], str)
    bars = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert bars == found.events and nested(bars)
    programs = [bar["name"] for bar in bars if bar["cat"] == "program"]
    assert programs == ["step"] * 3 + ["evaluation"]
    kernels = [bar for bar in bars if bar["cat"] == "kernel"]
    assert len(kernels) == 3 * n_kernels + 1 and kernels[-1]["name"] == "add"
    (product, *_) = [bar for bar in kernels if bar["name"] == "dot_general"]
    assert product["args"]["flops"] == 320 and product["args"]["bytes_read"] == 208
    assert "dot_general" in str(found) and "GFLOP/s" in str(found)


def test_bars_of_loops_and_branches_lie_within_theirs(tensor):
    f = pg.jit(
        lambda x: pg.scan(lambda c, _: (pg.cond(c.sum() > 0, pg.sin, pg.cos, c) @ c, None), x, None, length=5)[0]
    )
    x = tensor(np.eye(3, dtype="f4"))
    f(x)
    with pg.profile() as found:
        f(x)
    assert nested(found.events)
    named = [event["name"] for event in found.events]
    assert named[:2] == ["<lambda>", "scan"] and named.count("dot_general") == 5 and named.count("cond") == 5
    scan = found.events[1]
    inner = [event for event in found.events if event["name"] == "dot_general"]
    assert all(scan["ts"] <= e["ts"] and e["ts"] + e["dur"] <= scan["ts"] + scan["dur"] + 1e-3 for e in inner)


def test_profiles_of_threads_and_in_turn(tensor):
    f = pg.jit(lambda x: x * 2 + 1)
    x = tensor(np.ones(100, "f4"))
    f(x)
    with pg.profile() as found:
        threads = [threading.Thread(target=lambda: [f(x) for _ in range(20)]) for _ in range(3)]
        [t.start() for t in threads], [t.join() for t in threads]
        with pytest.raises(pg.ArgumentError, match="already"):
            pg.profile().__enter__()
    assert sum(event["cat"] == "program" for event in found.events) == 60 and nested(found.events)
    assert {event["tid"] for event in found.events} == {0, 1, 2}
    with pg.profile() as found:
        pass
    assert found.events == [] and len(str(found).splitlines()) == 1


def test_the_profile_of_the_runtime_refuses_nonsense():
    from pequegrad.runtime import library

    assert library.lib.pg_profile_stop(library.ffi.NULL, 0) == 0
    for most in (0, -1, 1 << 40):
        assert library.lib.pg_profile_start(most) == library.lib.PG_EINVAL
