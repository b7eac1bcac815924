"""Models that were read, written again with free sizes: what a file computes from sizes alone is computed by the new one, too."""

import io
import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from exports import same  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import pequegrad as pg  # noqa: E402
import pequegrad.nn.functional as F  # noqa: E402
import pequegrad.onnx  # noqa: E402
from pequegrad import nn  # noqa: E402
from pequegrad.onnx.comparison import session_of  # noqa: E402

AXES = {"x": {0: "b", 1: "t"}}
SIZES = [(1, 1), (2, 2), (2, 9), (3, 33)]


def again(file, inputs, expected=None, opset=20):
    """Reads a model and writes it, with free sizes: it gives what the file does in onnxruntime, for all of these inputs."""
    model = pg.onnx.load(file)
    written = pg.onnx.export(model, (inputs[-2],), dynamic_axes=AXES, verify=True, opset=opset)
    session, before = session_of(written), session_of(file)
    names = [v.name for v in before.get_inputs()]
    for x in inputs:
        reference = before.run(None, {names[0]: x}) if expected is None else [expected(x)]
        same(session.run(None, {session.get_inputs()[0].name: x}), reference, 1e-5, f"{x.shape}")
    return written


def tokens(shapes=SIZES):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 40, shape) for shape in shapes]


def normal(shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


class Decoder(nn.StatefulModule):
    def __init__(self):
        self.tokens, self.places = nn.Embedding(40, 8), nn.Embedding(64, 8)
        self.out = nn.Linear(8, 40)

    def forward(self, x):
        h = self.tokens(x) + self.places(pg.arange(x.shape[1]))
        q = h.reshape((*h.shape[:2], 2, 4)).transpose((0, 2, 1, 3))
        a = F.scaled_dot_product_attention(q, q, q, is_causal=True)
        return self.out(a.transpose((0, 2, 1, 3)).reshape(h.shape))


@pytest.mark.parametrize("opset", [20, 23])
def test_decoders(opset):
    """A third file is equal to the second, and a loaded model may be part of what is written."""
    decoder = Decoder()
    first = pg.onnx.export(decoder, (tokens()[2],), dynamic_axes=AXES, opset=opset)
    second = again(first, tokens(), opset=opset)
    assert again(second, tokens(), opset=opset) == second
    loaded = pg.onnx.load(first)
    part = pg.onnx.export(lambda x: loaded(x) * 2, (tokens()[2],), dynamic_axes=AXES)
    x = tokens()[3]
    same(session_of(part).run(None, {"x": x}), [decoder(pg.Tensor(x)).numpy() * 2], 1e-5, "part")


@pytest.mark.parametrize("wrap", [pg.jit, lambda loaded: lambda x: pg.jit(loaded)(x)])
def test_compiled_models(wrap):
    decoder = Decoder()
    first = pg.onnx.export(decoder, (tokens()[2],), dynamic_axes=AXES)
    second = pg.onnx.export(wrap(pg.onnx.load(first)), (tokens()[2],), dynamic_axes=AXES)
    for x in tokens():
        same(
            session_of(second).run(None, {second.graph.input[0].name: x}),
            [decoder(pg.Tensor(x)).numpy()],
            1e-5,
            f"{x.shape}",
        )


def test_inputs_that_decide_on_shapes():
    """They become constants, given in any way, and the others keep their names."""
    values = [("shape", TensorProto.INT64, [2]), ("x.1", TensorProto.FLOAT, ["n"]), ("to", TensorProto.INT64, [3])]
    graph = helper.make_graph(
        [node("Reshape", "x.1 shape", "r"), node("Expand", "r to", "y")], "g", [helper.make_tensor_value_info(*v) for v in values],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )  # fmt: skip
    model = pg.onnx.load(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9))
    x = np.arange(6, dtype="f4")
    for inputs in (
        (np.array([2, 3]), x, pg.Tensor(np.array([4, 2, 3]))), {"to": [4, 2, 3], "x.1": x, "shape": [2, 3]}, {"to": [4, 2, 3], "x_1": x, "shape": [2, 3]},
    ):  # fmt: skip
        for run in (model, pg.jit(model)):
            written = pg.onnx.export(run, inputs, verify=True)
            assert [v.name for v in written.graph.input] == ["x.1"] and [v.name for v in written.graph.output] == ["y"]
            same(
                session_of(written).run(None, {"x.1": x}), [np.broadcast_to(x.reshape(2, 3), (4, 2, 3))], 0, "constants"
            )


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs.split(), [output], **attributes)


def file_of(*nodes):
    """x: int64[b, t]; t: its time; r: 0 ... t - 1; e: rows of w, [b, t, 4]."""
    rng = np.random.default_rng(0)
    constants = {
        "w": rng.normal(size=(64, 4)).astype("f4"), "mask": np.tri(64) > 0, "zero": np.int64(0), "one": np.int64(1), "zeros": np.array([0]), "ones": np.array([1]),
        "least": np.float32(-1e4), "nothing": np.float32(0), "two": np.float32(2),
    }  # fmt: skip
    nodes = [
        node("Shape", "x", "ts", start=1, end=2), node("Squeeze", "ts zeros", "t"), node("Range", "zero t one", "r"), node("Gather", "w x", "e"),
        node("Cast", "r", "rf", to=1), node("Unsqueeze", "rf ones", "column"), node("Concat", "ts ts", "tt", axis=0), *nodes,
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.INT64, ["b", "t"])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(x), name) for name, x in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


@pytest.mark.parametrize(
    "nodes",
    [
        [("Min", "r one", "i"), ("Gather", "w i", "p"), ("Add", "e p", "y")],
        [("Sin", "column", "p"), ("Add", "e p", "y")],
        [("Mul", "column column", "p"), ("Add", "e p", "y")],
        [("Slice", "mask zeros ts ones", "m"), ("Slice", "m zeros ts zeros", "n"), ("Where", "n two least", "p"), ("MatMul", "p e", "y")],
        [("Expand", "two tt", "m"), ("Trilu", "m", "n"), ("Equal", "n nothing", "q"), ("Where", "q least n", "p"), ("MatMul", "p e", "y")],
        [("Unsqueeze", "r ones", "c"), ("GreaterOrEqual", "c r", "q"), ("Where", "q nothing least", "p"), ("MatMul", "p e", "y")],
        [("Cast", "t", "n", {"to": 1}), ("Sqrt", "n", "p"), ("Mul", "e p", "y")],
        [("Cast", "ts", "n", {"to": 1}), ("Div", "e n", "y")],
        [("Shape", "x", "s"), ("Slice", "s zeros ones", "b"), ("Concat", "ts ts b ones", "n"), ("Cast", "n", "p", {"to": 1}), ("Mul", "e p", "y")],
    ],
)  # fmt: skip
def test_what_comes_from_sizes(nodes):
    made = [node(*n[:3], **(n[3] if len(n) > 3 else {"axis": 0} if n[0] == "Concat" else {})) for n in nodes]
    again(file_of(*made), tokens())


def test_constants_of_sizes():
    """A few numbers that are sizes, in an array that the function makes."""
    made = lambda x: x * np.array([[x.shape[0], x.shape[1], 3, 1 / x.shape[0]]], "f4")
    (x,) = normal([(5, 4, 4)])
    written = pg.onnx.export(made, (x,), dynamic_axes=AXES, verify=True)
    for x in normal([(1, 1, 4), (2, 7, 4)]):
        same(session_of(written).run(None, {"x": x}), [made(pg.Tensor(x)).numpy()], 1e-6, "sizes")


@pytest.mark.parametrize("kind, exporter", [("causal", "script"), ("causal", "dynamo"), ("additive", "dynamo")])
def test_masks_of_torch(kind, exporter):
    """(Of the additive one the older exporter fixes the time.)"""
    torch = pytest.importorskip("torch")
    if exporter == "dynamo":
        pytest.importorskip("onnxscript", reason="torch.onnx.export(dynamo=True) needs onnxscript")

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.places, self.out = (
                torch.nn.Embedding(40, 8),
                torch.nn.Embedding(64, 8),
                torch.nn.Linear(8, 40),
            )
            self.block = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)

        def forward(self, x):
            time = x.shape[1]
            if kind == "additive":
                h = self.tokens(x) + self.places(torch.arange(time, device=x.device))
                mask = torch.triu(torch.full((time, time), float("-inf")), 1)
                return self.out(self.block(h, src_mask=mask))
            h = self.tokens(x) + self.places.weight[:time]
            q = h.reshape(h.shape[0], h.shape[1], 2, 4).transpose(1, 2)
            a = torch.nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True)
            return self.out(a.transpose(1, 2).reshape(h.shape))

    torch.manual_seed(0)
    network, file, fast = Network().eval(), io.BytesIO(), torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "script":
            torch.onnx.export(
                network,
                (torch.ones(2, 9, dtype=torch.int64),),
                file,
                dynamo=False,
                input_names=["x"],
                dynamic_axes=AXES,
            )
        else:
            shapes = ({0: torch.export.Dim("b"), 1: torch.export.Dim("t", max=64)},)
            torch.onnx.export(
                network,
                (torch.ones(2, 9, dtype=torch.int64),),
                file,
                dynamo=True,
                input_names=["x"],
                dynamic_shapes=shapes,
                verbose=False,
            )
    torch.backends.mha.set_fastpath_enabled(fast)
    expected = lambda x: network(torch.tensor(x)).detach().numpy()
    again(file.getvalue(), tokens([(1, 1), (2, 9), (3, 33)]), expected=expected)
