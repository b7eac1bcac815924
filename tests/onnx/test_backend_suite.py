"""The backend suite of the onnx package, by name, on pequegrad.onnx.backend. What is left out, and why, is in docs/onnx.md."""

import collections
import importlib
import os
import pkgutil
import re
import sys
import unittest
import warnings
import zlib
from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx")

from conftest import FULL  # noqa: E402

import pequegrad as pg  # noqa: E402
import pequegrad.onnx.ops as ops  # noqa: E402
from pequegrad.onnx.backend import PequegradBackend  # noqa: E402

DOCS = Path(__file__).parents[2] / "docs" / "onnx.md"
SHARE = 8  # without PG_TEST_FULL one case in so many is run, the same ones each time
NETWORK = "Real"  # models that are downloaded
ORDINARY = {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13}  # bool, integers of 8 to 64 bits, floats of 16, 32 and 64 bits


class Jitted(PequegradBackend):
    """The backend with compiled models."""

    @classmethod
    def prepare(cls, model, device="CPU", **kwargs):
        return super().prepare(model, device, jitted=True, **kwargs)


def cases(backend):
    """{name: function of the test case} of all that need no network."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy, where the suite computes what it expects
        from onnx.backend.test import BackendTest

        class Suite(BackendTest):
            @classmethod
            def assert_similar_outputs(cls, ref_outputs, outputs, *args, **kwargs):
                """Also of sequences of scalars, which the suite cannot compare: it asks for the length of each element."""
                assert len(ref_outputs) == len(outputs)
                for a, b in zip(ref_outputs, outputs):
                    if isinstance(a, list):
                        cls.assert_similar_outputs(a, b, *args, **kwargs)
                    else:
                        super().assert_similar_outputs([a], [b], *args, **kwargs)

        classes = Suite(backend, __name__).test_cases
    found = {}
    for title, case in classes.items():
        if NETWORK not in title:
            found.update((name[:-4], getattr(case, name)) for name in dir(case) if re.fullmatch("test_.*_cpu", name))
    return found


def exclusions():
    """[(pattern, "eager, jitted" or "jitted")] of the table in the docs."""
    rows = re.findall(r"^\| `(\S+)` \| (eager, jitted|jitted) \| .+ \|$", DOCS.read_text(), re.M)
    return [(re.compile(pattern.replace("\\|", "|")), modes) for pattern, modes in rows]


EXCLUDED = exclusions()
EAGER, JITTED = cases(PequegradBackend), cases(Jitted)
NAMES = sorted(EAGER)


def excluded(name, mode):
    return any(mode in modes.split(", ") and pattern.fullmatch(name) for pattern, modes in EXCLUDED)


def some(names, offset=0):
    return [n for n in names if FULL or zlib.crc32(n.encode()) % SHARE == offset]


# ---- what may compute ------------------------------------------------------------------------------------------

# What the operators use of NumPy. None of it sees what flows through a model, but for strings, which only NumPy's arrays hold.
LEFT = {
    "arrays of constants and of attributes": "array asarray zeros ones full arange ndarray dtype reshape ravel size ndim shape iinfo result_type inf pi",
    "shapes": "prod broadcast_shapes cumsum stack",
    "positions: padding, windows, the matrices that Resize makes from two sizes, grids": "abs minimum maximum clip floor ceil where indices meshgrid broadcast_to add",
    "strings": "frompyfunc concatenate",
    "the bytes of a decoded image": "ascontiguousarray",
}  # fmt: skip
ALLOWED = {name for names in LEFT.values() for name in names.split()}
MODULES = [importlib.import_module(f"{ops.__name__}.{module.name}") for module in pkgutil.iter_modules(ops.__path__)]


class OnlyShapes:
    """NumPy without what computes on data."""

    def __init__(self, numpy):
        self._numpy = numpy

    def __getattr__(self, name):
        if name in ALLOWED or re.fullmatch(r"bool_|u?int\d+|float\d+", name):
            return getattr(self._numpy, name)
        raise AssertionError(f"an operator computes with numpy.{name}")


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Neither onnx's own evaluator, nor onnxruntime, nor NumPy's functions on arrays compute what pequegrad should."""
    for name in [n for n in sys.modules if n.split(".")[0] == "onnxruntime" or n.startswith("onnx.reference")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnx.reference", None)
    for module in MODULES:
        if hasattr(module, "np"):
            monkeypatch.setattr(module, "np", OnlyShapes(module.np))
    numpy = pg.Tensor.numpy

    def read(self):
        assert not sys._getframe(1).f_globals["__name__"].startswith(ops.__name__), (
            "an operator makes NumPy arrays of data"
        )
        return numpy(self)

    monkeypatch.setattr(pg.Tensor, "numpy", read)


def test_others_are_out_of_reach():
    for name in ("onnxruntime", "onnx.reference"):
        with pytest.raises(ImportError):
            importlib.import_module(name)
    with pytest.raises(AssertionError, match="numpy.matmul"):
        getattr(ops.arithmetic.np, "matmul")  # noqa: B009


def test_nothing_more_of_numpy_is_allowed_than_is_used():
    used = {name for m in MODULES for name in re.findall(r"\bnp\.(\w+)", Path(m.__file__).read_text())}
    assert ALLOWED <= used, f"the operators do not use {sorted(ALLOWED - used)}"


# ---- the cases -------------------------------------------------------------------------------------------------


def check(case):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            case(None)
        except unittest.SkipTest as reason:  # of models that the backend calls incompatible
            raise AssertionError(reason) from None


@pytest.mark.parametrize("name", some([n for n in NAMES if not excluded(n, "eager")]))
def test_eager(name):
    check(EAGER[name])


@pytest.mark.parametrize("name", some([n for n in NAMES if not excluded(n, "jitted")], SHARE // 2))
def test_jitted(name):
    check(JITTED[name])


@pytest.mark.parametrize("pattern, modes", EXCLUDED, ids=[p.pattern for p, _ in EXCLUDED])
def test_exclusions_are_true(pattern, modes):
    """Each row of the table names cases that do fail, all of them; otherwise it must go."""
    names = [n for n in NAMES if pattern.fullmatch(n)]
    assert names, "no such case"
    for name in names if FULL else names[:2]:
        for mode, table in (("eager", EAGER), ("jitted", JITTED)):
            if mode in modes.split(", "):
                with pytest.raises((Exception, pytest.fail.Exception)):  # noqa: B017  fails in its own way
                    check(table[name])


def test_the_counts_in_the_docs():
    """The table of figures, from what is excluded; at least 97 % of the cases with ordinary types pass."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.loader import load_model_tests

        models = {}
        for kind in ("node", "simple", "pytorch-converted", "pytorch-operator"):
            for case in load_model_tests(kind=kind):
                models[case.name] = case.model or onnx.load(os.path.join(case.model_dir, "model.onnx"))
    assert set(models) == set(NAMES)
    ordinary = [name for name, model in models.items() if is_ordinary(model)]
    text = DOCS.read_text()
    for title, names in (("ordinary types, outputs not random", ordinary), ("all", list(models))):
        counts = collections.Counter(mode for n in names for mode in ("eager", "jitted") if not excluded(n, mode))
        assert counts["jitted"] >= (0.97 if title != "all" else 0.85) * len(names)
        assert f"| {title} | {len(names):,} | {counts['eager']:,} | {counts['jitted']:,} |" in text, (title, len(names), counts)  # fmt: skip


def is_ordinary(model):
    """True for a case whose inputs and outputs are tensors of ordinary types, and that draws no random numbers."""
    values = [*model.graph.input, *model.graph.output]
    version = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    drawing = {"Bernoulli", "RandomUniformLike", *(["Dropout"] if version >= 12 else [])}  # older ones never train
    return not any(n.op_type in drawing for n in model.graph.node) and all(
        v.type.HasField("tensor_type") and v.type.tensor_type.elem_type in ORDINARY for v in values
    )


def test_missing_operators_are_named():
    node = onnx.helper.make_node("Nothing", ["x"], ["y"])
    value = lambda name: onnx.helper.make_tensor_value_info(name, 1, [2])
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "g", [value("x")], [value("y")]),
        opset_imports=[onnx.helper.make_opsetid("", 18)],
    )
    with pytest.raises(NotImplementedError, match=r"Nothing \(operator set 18\)"):
        PequegradBackend.prepare(model)
