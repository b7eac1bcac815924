"""register_pattern: what is found and what is not, what stands in its place, derivatives, several results, errors."""

import contextlib
import pathlib
import re

import numpy as np
import pytest

import pequegrad as pg
from pequegrad.compiler.patterns import apply_patterns
from pequegrad.core.errors import ArgumentError, DtypeError, ShapeError


@contextlib.contextmanager
def registered(example, replacement, **options):
    pattern = pg.register_pattern(example, replacement, **options)
    try:
        yield pattern
    finally:
        pg.unregister_pattern(pattern)


def traced(function, *args):
    """The graph that jit makes of the function."""
    jitted = pg.jit(function)
    with pg.no_patterns():
        jitted(*args)
    ((entry,),) = jitted.compiled.values()
    return entry.closed


def operations(graph):
    """The names of the primitives, in order."""
    return [node.spec.primitive.name for node in graph.nodes]


def rewritten(function, *args):
    return operations(apply_patterns(traced(function, *args)))


def x(*shape):
    return pg.Tensor(np.random.default_rng(0).normal(size=shape).astype("float32"))


def test_the_graph_before_and_after():
    graph = traced(lambda x, y: pg.tanh(pg.exp(x) * y + 1), x(2, 3), x(3))
    assert str(graph) == (
        "<lambda>(a: float32[2,3], b: float32[3]):\n"
        "    c: float32[2,3] = exp(a)\n"
        "    d: float32[2,3] = mul(c, b)\n"
        "    e: float32[2,3] = add(d, 1)\n"
        "    f: float32[2,3] = tanh(e)\n"
        "    return f"
    )
    with registered(lambda x, y: pg.exp(x) * y, lambda x, y: pg.exp2(x) - y):
        assert str(apply_patterns(graph)) == (
            "<lambda>(a: float32[2,3], b: float32[3]):\n"
            "    c: float32[2,3] = exp2(a)\n"
            "    d: float32[2,3] = sub(c, b)\n"
            "    e: float32[2,3] = add(d, 1)\n"
            "    f: float32[2,3] = tanh(e)\n"
            "    return f"
        )


def test_jit_computes_the_replacement(tensor):
    data = tensor(np.array([1.0, 100.0], "float32"))
    softplus = lambda x: pg.log(1 + pg.exp(x))
    assert pg.jit(softplus)(data).numpy()[1] == np.inf
    with registered(softplus, lambda x: pg.logaddexp(x, 0.0)) as pattern:
        assert pattern in pg.patterns()
        np.testing.assert_allclose(pg.jit(softplus)(data).numpy(), np.logaddexp([1, 100], 0), rtol=1e-6)
        with pg.no_patterns():
            assert pg.jit(softplus)(data).numpy()[1] == np.inf
    assert pattern not in pg.patterns()
    assert pg.jit(softplus)(data).numpy()[1] == np.inf


def test_the_decorator(tensor):
    @pg.pattern(lambda x: pg.sin(x) / pg.cos(x))
    def tangent(x):
        return pg.tan(x)

    try:
        assert rewritten(lambda x: pg.sin(x) / pg.cos(x), x(3)) == ["tan"]
        assert [p.name for p in pg.patterns()][0] == "tangent"
    finally:
        pg.unregister_pattern(tangent)
    assert "tan" not in rewritten(lambda x: pg.sin(x) / pg.cos(x), x(3))


def test_a_host_function_may_be_the_replacement(tensor):
    def by_numpy(x):
        return pg.pure_callback(lambda a: np.sinc(a), pg.ShapeDtypeStruct(x.shape, x.dtype), x)

    with registered(lambda x: pg.sin(x) / x, by_numpy):
        found = pg.jit(lambda x: pg.sin(x) / x + 1)(tensor([0.0, 0.5])).numpy()
    np.testing.assert_allclose(found, np.sinc([0.0, 0.5]) + 1, rtol=1e-6)


# ---- what matches ----------------------------------------------------------------------------------------

EXP_TIMES = (lambda x, y: pg.exp(x) * y, lambda x, y: pg.exp2(x) - y)


@pytest.mark.parametrize("function, found", [
    (lambda x, y: pg.exp(x) * y, True),
    (lambda x, y: y * pg.exp(x), True),  # commutative
    (lambda x, y: pg.exp(x) * 2.0, True),  # an operand may be a number
    (lambda x, y: pg.exp(x) * x, True),  # and two may be one
    (lambda x, y: pg.exp(x) / y, False),
    (lambda x, y: pg.exp(x) * pg.exp(y), True),
    (lambda x, y: (pg.exp(x) * y, pg.exp(x)), True),  # traced twice: nothing is shared
    (lambda x, y: (lambda e: (e * y, e))(pg.exp(x)), False),  # the inside is needed
    (lambda x, y: (lambda e: e * pg.sin(e))(pg.exp(x)), False),
    (lambda x, y: (lambda e: e * e)(pg.exp(x)), False),
])  # fmt: skip
def test_what_matches(function, found):
    with registered(*EXP_TIMES):
        assert ("exp2" in rewritten(function, x(2, 3), x(2, 3))) == found


def test_equal_operands_must_be_the_same():
    with registered(lambda x, y: pg.sin(x) * y + x, lambda x, y: pg.cos(x) * y):
        assert "cos" in rewritten(lambda a, b, c: pg.sin(a) * b + a, x(3), x(3), x(3))
        assert "cos" not in rewritten(lambda a, b, c: pg.sin(a) * b + c, x(3), x(3), x(3))


def test_numbers_stand_for_themselves():
    with registered(lambda x: pg.exp(x * 0.5), lambda x: pg.sqrt(x)):
        assert rewritten(lambda x: pg.exp(x * 0.5), x(3)) == ["sqrt"]
        assert "sqrt" not in rewritten(lambda x: pg.exp(x * 0.25), x(3))
    with registered(lambda x, s: pg.exp(x * s), lambda x, s: pg.sqrt(x) + s):
        assert {"sqrt", "add"} <= set(rewritten(lambda x: pg.exp(x * 0.25), x(3)))


def layer_norm(x):
    centred = x - x.mean(-1, keepdims=True)
    return centred * pg.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 7), (1, 2, 3, 1), (2, 0)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_any_rank_and_dtype(shape, dtype, tensor, rng):
    """Parameters (axes, sizes, counts) are those of the shape at hand."""
    data = tensor(rng.normal(size=shape).astype(dtype))
    with registered(layer_norm, lambda x: pg.layer_norm(x, (x.shape[-1],)) * 2) as pattern:
        assert sorted(rewritten(layer_norm, data)) == sorted(operations(traced(pattern.replacement, data)))
        np.testing.assert_allclose(
            pg.jit(layer_norm)(data).numpy().astype("f8"), 2 * layer_norm(data).numpy().astype("f8"),
            rtol=1e-2 if dtype == "float16" else 1e-5, atol=1e-2 if dtype == "float16" else 1e-5,  # two formulas: rounding
        )  # fmt: skip


def test_another_axis_is_another_function():
    with registered(layer_norm, lambda x: x):
        assert rewritten(layer_norm, x(3, 4)) == []

        def along_the_first(x):
            centred = x - x.mean(0, keepdims=True)
            return centred * pg.rsqrt((centred * centred).mean(0, keepdims=True) + 1e-5)

        assert "rsqrt" in rewritten(along_the_first, x(3, 4))


def test_operands_of_different_shapes():
    linear = lambda x, w, b: pg.relu(x @ w + b)
    with registered(linear, lambda x, w, b: pg.tanh(x @ w) + b, operands="...nd,dm,m"):
        for shape in [(3, 4), (2, 3, 4), (5, 2, 3, 4)]:
            assert rewritten(linear, x(*shape), x(4, 6), x(6)) == ["dot_general", "tanh", "add"]
        assert "tanh" not in rewritten(lambda x, w, b: pg.relu(x @ w) + b, x(3, 4), x(4, 6), x(6))


def test_operands_of_different_dtypes():
    mask = pg.Tensor(np.eye(3, dtype=bool))
    masked = lambda x, m: pg.exp(pg.where(m, x, -1e9))
    with registered(masked, lambda x, m: pg.where(m, pg.exp(x), 0.0), operands="..., ...:bool"):
        assert rewritten(masked, x(3, 3), mask) == ["exp", "select"]
        assert rewritten(masked, x(2, 3, 3), mask) == ["exp", "select"]


def test_where_chooses_by_shape():
    with registered(*EXP_TIMES, where=lambda x, y: x.shape == y.shape and x.size > 4):
        assert "exp2" in rewritten(EXP_TIMES[0], x(2, 3), x(2, 3))
        assert "exp2" not in rewritten(EXP_TIMES[0], x(2, 3), x(3))
        assert "exp2" not in rewritten(EXP_TIMES[0], x(3), x(3))


def test_several_places_and_nested_ones():
    with registered(lambda x: pg.sin(pg.sin(x)), lambda x: pg.cos(x)):
        names = rewritten(lambda x: pg.sin(pg.sin(pg.sin(pg.sin(x)))) + pg.sin(pg.sin(x * 2)), x(3))
    assert sorted(names) == ["add", "cos", "cos", "cos", "mul"]


def test_places_that_share_what_depends_on_no_operand():
    ramp = lambda x: pg.exp(x) * pg.arange(x.shape[-1], dtype="float32")
    with registered(ramp, pg.sin, operands="...n"):
        assert rewritten(lambda x, y: (ramp(x), ramp(y)), x(3), x(2, 3)) == ["sin", "sin"]


def test_the_last_registered_comes_first():
    with registered(lambda x: pg.sin(x) + 1, lambda x: pg.cos(x)):
        with registered(lambda x: pg.exp(pg.sin(x) + 1), lambda x: pg.tan(x)):
            assert rewritten(lambda x: pg.exp(pg.sin(x) + 1), x(3)) == ["tan"]
        assert rewritten(lambda x: pg.exp(pg.sin(x) + 1), x(3)) == ["cos", "exp"]


def test_inside_loops_and_branches(tensor):
    def body(carry, _):
        return pg.sin(carry) / pg.cos(carry), carry

    with registered(lambda x: pg.sin(x) / pg.cos(x), lambda x: pg.tan(x) + 1):
        found = pg.jit(lambda x: pg.scan(body, x, None, length=3)[0])(tensor(0.1)).numpy()
    value = 0.1
    for _ in range(3):
        value = np.tan(value) + 1
    np.testing.assert_allclose(found, value, rtol=1e-5)


# ---- several results ---------------------------------------------------------------------------------------


def test_several_results_are_reached_from_one_another():
    def both(x, y):
        total = pg.exp(x) + y
        return pg.sin(total), pg.cos(total)

    with registered(both, lambda x, y: (pg.tan(x), pg.tanh(y))):
        names = rewritten(lambda a, b: (lambda s: pg.sin(s) * pg.cos(s))(pg.exp(a) + b), x(3), x(3))
        assert sorted(names) == ["mul", "tan", "tanh"]
        assert "tan" not in rewritten(lambda a, b: pg.sin(pg.exp(a) + b), x(3), x(3))


def test_a_result_inside_of_another():
    with registered(lambda x: (pg.exp(x), pg.sin(pg.exp(x))), lambda x: (pg.tan(x), pg.tanh(x))):
        # exp(x) of the example is traced twice, and so it is in the program
        assert sorted(rewritten(lambda x: (lambda a, b: (a, pg.sin(b)))(pg.exp(x), pg.exp(x)), x(3))) == ["tan", "tanh"]


def test_a_replacement_that_would_need_its_own_result_is_left_out():
    """y depends on the first result; the second result of the replacement depends on y, as the example's does."""
    example = lambda x, y: (lambda e: (e, pg.cos(e) * y))(pg.exp(x))
    program = lambda x: (lambda e: pg.cos(e) * pg.sin(e))(pg.exp(x))
    with registered(example, lambda x, y: (pg.tan(x), pg.tanh(x) + y)):
        assert sorted(rewritten(program, x(3))) == ["add", "sin", "tan", "tanh"]
    with registered(example, lambda x, y: (pg.tan(x) + y, pg.tanh(x) + y)):  # the first needs y, too: a circle
        assert rewritten(program, x(3)) == ["exp", "cos", "sin", "mul"]


# ---- derivatives -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [(0, 1), (0,), (1,)])
def test_the_example_with_its_derivative(wanted, tensor, rng):
    product = lambda x, y: pg.tanh(x) * pg.exp(y)
    loss = lambda x, y: (pg.sin(product(x * 2, y)) ** 2).sum()
    a, b = (tensor(rng.normal(size=(2, 3))) for _ in range(2))
    expected = pg.value_and_grad(loss, wanted)(a, b)

    @pg.custom_vjp
    def own(x, y):
        return product(x, y)

    own.defvjp(lambda x, y: (own(x, y), (x, y)), lambda res, ct: (ct * pg.sinh(res[0]), ct * pg.cosh(res[1])))
    with registered(product, own):
        step = pg.value_and_grad(loss, wanted)
        names = rewritten(step, a, b)
        assert ("sinh" in names, "cosh" in names) == (0 in wanted, 1 in wanted)
    with registered(product, lambda x, y: pg.exp(y) * pg.sinh(x) / pg.cosh(x)):
        found = pg.jit(step)(a, b)
        assert "sinh" in rewritten(step, a, b)
    for mine, plain in zip(found[1], expected[1]):
        np.testing.assert_allclose(mine.numpy(), plain.numpy(), rtol=1e-10)
    with registered(product, lambda x, y: pg.exp(y) * pg.sinh(x) / pg.cosh(x), gradient=False):
        assert "sinh" not in rewritten(step, a, b)


def test_a_replacement_without_derivative_leaves_the_gradient_alone(tensor):
    host = lambda x: pg.pure_callback(lambda a: 2 * np.tanh(a), pg.ShapeDtypeStruct(x.shape, x.dtype), x)
    example = lambda x: pg.tanh(x) * 2.0
    loss = lambda x: pg.sin(example(x)).sum()
    with registered(example, host):
        assert "host_call" in rewritten(loss, x(3))
        assert "host_call" not in rewritten(pg.value_and_grad(loss), x(3))


# ---- errors ------------------------------------------------------------------------------------------------

OUTSIDE = pg.Tensor([1.0, 2.0, 3.0])


def test_a_replacement_of_another_shape():
    with registered(lambda x: pg.exp(x) + 1, lambda x: pg.exp(x).sum(), name="wrong"):
        with pytest.raises(
            ShapeError,
            match=r"pattern wrong: the result of the replacement is float32\[\], that of the example float32\[3\]",
        ):
            rewritten(lambda x: pg.exp(x) + 1, x(3))


def test_a_replacement_of_another_dtype():
    with registered(lambda x: pg.exp(x) + 1, lambda x: x.astype("float64"), name="wrong"):
        with pytest.raises(DtypeError, match=r"is float64\[3\], that of the example float32\[3\]"):
            rewritten(lambda x: pg.exp(x) + 1, x(3))


def test_effects_keep_their_order():
    log = []

    def note(name, x):
        return pg.io_callback(lambda x: log.append(name) or np.float32(1), pg.ShapeDtypeStruct((), "float32"), x)

    def function(x):
        y = pg.exp(x) + 1
        note("first", x)
        return y * note("second", x.sum())  # what is walked from the results comes upon this one first

    with registered(lambda x: pg.exp(x) + 1, lambda x: pg.expm1(x) + 2):
        pg.jit(function)(x(3))
    assert log == ["first", "second"]


def test_a_replacement_with_other_results():
    with registered(lambda x: pg.exp(x) + 1, lambda x: (x, x), name="wrong"):
        with pytest.raises(ShapeError, match="gives 2 results, the example 1"):
            rewritten(lambda x: pg.exp(x) + 1, x(3))


@pytest.mark.parametrize("example, options, message", [
    (lambda x, w, b: (x @ w).reshape(3, 7) + b, {}, "cannot be traced"),
    (lambda x, y: pg.exp(x), {}, "does not use its operand number 1"),
    (3, {}, "the example is int"),
    (lambda x, y: x + y, {"operands": "...n"}, "takes 2 operands, `operands` names 1"),
    (lambda x, y: x + y, {"operands": "n d,3"}, "does not name axes"),
    (lambda x, y: x + y, {"operands": 2}, "`operands` is int"),
    (lambda: pg.ones(3), {}, "has no operands"),
    (lambda *xs: xs[0] + xs[1], {}, "has no operands"),
    (lambda x: pg.dropout(pg.exp(x), 0.5), {}, "pattern <lambda> changes a tensor from outside"),
    (lambda x: pg.exp(x) + OUTSIDE, {}, "the example reads float32[3] from outside"),
    (lambda x: pg.debug_print("{}", x) or pg.exp(x), {}, "the example has effects"),
])  # fmt: skip
def test_what_cannot_be_registered(example, options, message):
    before = pg.patterns()
    with pytest.raises(ArgumentError, match=re.escape(message)):
        pg.register_pattern(example, lambda *xs: xs[0], **options)
    assert pg.patterns() == before


def test_a_replacement_with_other_parameters():
    with pytest.raises(ArgumentError, match="the example takes 2 operands, the replacement 1"):
        pg.register_pattern(lambda x, y: pg.exp(x) + y, lambda x: x)
    for fits in (lambda x, y, z=1: x, lambda *xs: xs[0], pg.maximum):
        pg.unregister_pattern(pg.register_pattern(lambda x, y: pg.exp(x) + y, fits))


def test_a_replacement_depends_on_its_operands_alone(tensor):
    """A tensor from outside would keep the value that it had when the program was compiled."""
    outside = tensor([1.0, 2.0, 3.0])
    with registered(lambda x: pg.exp(x) + 1, lambda x: x + outside, name="stale"):
        with pytest.raises(ArgumentError, match=r"pattern stale: the replacement reads float32\[3\] from outside"):
            rewritten(lambda x: pg.exp(x) + 1, x(3))
    inside = np.float32([1, 2, 3])
    with registered(lambda x: pg.exp(x) + 1, lambda x: x + inside + pg.Tensor([1.0, 0.0, 0.0])):
        found = pg.jit(lambda x: pg.exp(x) + 1)(tensor(np.zeros(3, "float32")))
    np.testing.assert_array_equal(found.numpy(), [2, 2, 3])


def test_unregistering_twice():
    made = pg.register_pattern(lambda x: pg.exp(x) + 1, lambda x: x)
    pg.unregister_pattern(made)
    with pytest.raises(ArgumentError, match="is not registered"):
        pg.unregister_pattern(made)


def test_the_example_in_the_documentation():
    text = (pathlib.Path(__file__).parent.parent / "docs" / "compiler.md").read_text()
    section = text[text.index("## Patterns") :]
    before = pg.patterns()
    exec(section.split("```python\n")[1].split("```")[0], {})
    assert pg.patterns() == before
