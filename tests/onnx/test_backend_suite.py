"""The backend suite of the onnx package, by name, on pequegrad.onnx.backend. What is left out, and why, is in docs/onnx.md."""

import os
import re
import sys
import warnings
import zlib

import pytest

onnx = pytest.importorskip("onnx")

from conftest import FULL  # noqa: E402

from pequegrad.onnx.backend import PequegradBackend  # noqa: E402

DOCS = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "onnx.md")
SHARE = 8  # without PG_TEST_FULL one case in so many is run, the same ones each time
NETWORK = "Real"  # models that are downloaded


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

        classes = BackendTest(backend, __name__).test_cases
    found = {}
    for title, case in classes.items():
        if NETWORK not in title:
            found.update((name[:-4], getattr(case, name)) for name in dir(case) if re.fullmatch("test_.*_cpu", name))
    return found


def exclusions():
    """[(pattern, "eager, jitted" or one of them)] of the table in the docs."""
    with open(DOCS) as file:
        rows = re.findall(r"^\| `(\S+)` \| (eager, jitted|jitted) \| .+ \|$", file.read(), re.M)
    return [(re.compile(pattern.replace("\\|", "|")), modes) for pattern, modes in rows]


EXCLUDED = exclusions()
EAGER, JITTED = cases(PequegradBackend), cases(Jitted)
NAMES = sorted(EAGER)


def excluded(name, mode):
    return any(mode in modes and pattern.fullmatch(name) for pattern, modes in EXCLUDED)


def some(names, offset=0):
    return [n for n in names if FULL or zlib.crc32(n.encode()) % SHARE == offset]


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Neither onnx's own evaluator, nor onnxruntime, nor NumPy's functions on arrays compute what pequegrad should."""
    import importlib
    import pkgutil

    import pequegrad.onnx.ops as ops

    for name in [n for n in sys.modules if n.split(".")[0] == "onnxruntime" or n.startswith("onnx.reference")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnx.reference", None)
    for module in pkgutil.iter_modules(ops.__path__):
        module = importlib.import_module(f"{ops.__name__}.{module.name}")
        if hasattr(module, "np"):
            monkeypatch.setattr(module, "np", OnlyShapes(module.np))


class OnlyShapes:
    """NumPy without what computes on data: what shape arithmetic, constants and strings need is left."""

    LEFT = """array asarray ravel prod zeros ones full shape ndarray generic dtype stack reshape arange ndim minimum maximum iinfo finfo
        frompyfunc cumsum concatenate clip ceil floor broadcast_shapes all any abs indices inf nan pi newaxis object_ bool_ number
        argsort eye tri isin unique issubdtype integer floating linspace meshgrid diff sort array_equal""".split()

    def __init__(self, numpy):
        self._numpy = numpy

    def __getattr__(self, name):
        if name in self.LEFT or re.fullmatch(r"u?int\d*|float\d*|u?intp|str_", name):
            return getattr(self._numpy, name)
        raise AssertionError(f"an operator computes with numpy.{name}")


def check(case):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case(None)


@pytest.mark.parametrize("name", some([n for n in NAMES if not excluded(n, "eager")]))
def test_eager(name):
    check(EAGER[name])


@pytest.mark.parametrize("name", some([n for n in NAMES if not excluded(n, "jitted")], SHARE // 2))
def test_jitted(name):
    check(JITTED[name])


@pytest.mark.parametrize("pattern, modes", EXCLUDED, ids=[p.pattern for p, _ in EXCLUDED])
def test_exclusions_are_true(pattern, modes):
    """Each row of the table names cases that do fail; otherwise it must go."""
    names = [n for n in NAMES if pattern.fullmatch(n)]
    assert names, "no such case"
    for name in names if FULL else names[:2]:
        for mode, table in (("eager", EAGER), ("jitted", JITTED)):
            if mode in modes.split(", "):
                with pytest.raises((Exception, pytest.fail.Exception)):  # noqa: B017  fails in its own way
                    check(table[name])


def test_enough_pass():
    """At least 97 % of the cases with ordinary types are not excluded."""
    ordinary = {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.loader import load_model_tests

        found = {}
        for kind in ("node", "simple", "pytorch-converted", "pytorch-operator"):
            for case in load_model_tests(kind=kind):
                model = case.model or onnx.load(os.path.join(case.model_dir, "model.onnx"))
                found[case.name] = {t for v in (*model.graph.input, *model.graph.output) for t in _types(v.type)}
    names = [name for name, types in found.items() if types <= ordinary]
    for mode in ("eager", "jitted"):
        passing = [n for n in names if not excluded(n, mode)]
        assert len(passing) >= 0.97 * len(names), f"{mode}: {len(passing)} of {len(names)}"


def _types(kind):
    if kind.HasField("sequence_type"):
        return _types(kind.sequence_type.elem_type)
    if kind.HasField("optional_type"):
        return _types(kind.optional_type.elem_type)
    return {kind.tensor_type.elem_type}
