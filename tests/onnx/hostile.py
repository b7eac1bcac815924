"""Loads and runs mutated models; run as a program by test_hostile.py, in a process of its own with little memory.

    python tests/onnx/hostile.py first count folder

prints a line for each model that did something else than work or raise a clear error.
"""

import collections
import faulthandler
import os
import random
import resource
import signal
import sys
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SECONDS, MEMORY, ROUNDS = 30, 4 << 30, 1 << 10
HUGE = (2**31 - 1, 2**62, -1, -(2**63), 2**40, 0, 2**63 - 1)


def seeds():
    """Small models that together have all that a file may contain, then those of onnx's own suite: all operators."""
    from onnx.backend.test.loader import load_model_tests

    cases = [case for kind in ("node", "simple", "pytorch-operator") for case in load_model_tests(kind=kind)]
    suite = [case.model or onnx.load(os.path.join(case.model_dir, "model.onnx")) for case in cases]
    return [*own_seeds(), *(model for model in suite if model.ByteSize() < 100_000)]


def own_seeds():
    value, node = helper.make_tensor_value_info, helper.make_node
    array = lambda x, name: numpy_helper.from_array(np.asarray(x), name)
    x, y = value("x", 1, [2, 4]), value("y", 1, None)
    weights = array(np.ones((4, 3), np.float32), "w"), array(np.ones(3, np.float32), "b")
    mlp = helper.make_graph(
        [node("Gemm", ["x", "w", "b"], ["h"]), node("Relu", ["h"], ["y"])], "mlp", [x], [y], weights
    )
    shape = array(np.array([4, -1], np.int64), "s")
    shapes = [
        node("Reshape", ["x", "s"], ["r"]),
        node("Transpose", ["r"], ["t"], perm=[1, 0]),
        node("Concat", ["t", "t"], ["y"], axis=0),
    ]
    shapes = helper.make_graph(shapes, "shapes", [x], [y], [shape])
    image = value("x", 1, ["n", 1, 5, 5])
    kernel = array(np.ones((2, 1, 3, 3), np.float32), "w")
    conv = [node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), node("MaxPool", ["c"], ["y"], kernel_shape=[2, 2])]
    conv = helper.make_graph(conv, "conv", [image], [y], [kernel])
    branch = lambda op: helper.make_graph([node(op, ["x"], ["z"])], op, [], [value("z", 1, None)])
    test = [node("ReduceSum", ["x"], ["s"], keepdims=0), node("Cast", ["s"], ["c"], to=9)]
    branches = node("If", ["c"], ["y"], then_branch=branch("Neg"), else_branch=branch("Abs"))
    control = helper.make_graph([*test, branches], "control", [x], [y])
    for depth in range(20):  # If in If
        inner = node("If", ["c"], [f"i{depth}"], then_branch=branches.attribute[0].g, else_branch=branch("Abs"))
        outer = helper.make_graph([inner], f"deep{depth}", [], [value(f"i{depth}", 1, None)])
        branches = node("If", ["c"], ["y"], then_branch=outer, else_branch=branch("Neg"))
    deep = helper.make_graph([*test, branches], "deep", [x], [y])
    scalar = lambda name, kind: value(name, kind, [])
    body = [node("Add", ["v", "v"], ["v2"]), node("Identity", ["g"], ["g2"])]
    body = helper.make_graph(
        body, "body", [scalar("i", 7), scalar("g", 9), value("v", 1, [2, 4])], [scalar("g2", 9), value("v2", 1, [2, 4])]
    )
    endless = [array(np.array(2**62, np.int64), "m"), array(np.array(True), "t")]
    endless = helper.make_graph([node("Loop", ["m", "t", "x"], ["y"], body=body)], "endless", [x], [y], endless)
    sizes = array(np.array([2**40, 2**20], np.int64), "s")
    huge = [
        node("ConstantOfShape", ["s"], ["c"]),
        node("ReduceSum", ["c"], ["r"], keepdims=0),
        node("Add", ["x", "r"], ["y"]),
    ]
    huge = helper.make_graph(huge, "huge", [x], [y], [sizes])
    grow = [node("Concat", ["x" if not i else f"x{i - 1}"] * 9, [f"x{i}"], axis=0) for i in range(14)]
    grow = helper.make_graph([*grow, node("Identity", ["x13"], ["y"])], "grow", [x], [y])
    words = array(np.array([b"a" * 40 + b"!"], object), "t")
    texts = [
        node("RegexFullMatch", ["t"], ["m"], pattern="(a+)+$"),
        node("Cast", ["m"], ["f"], to=1),
        node("Add", ["x", "f"], ["y"]),
    ]
    texts = helper.make_graph(texts, "texts", [x], [y], [words])
    sums = helper.make_graph([node("Einsum", ["x", "x"], ["y"], equation="ij,kj->ik")], "sums", [x], [y])
    twice = helper.make_function(
        "own", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 20)]
    )
    functions = helper.make_graph(
        [node("Twice", ["x"], ["h"], domain="own"), node("Twice", ["h"], ["y"], domain="own")], "calls", [x], [y]
    )
    outside = TensorProto(name="w", data_type=1, dims=[4, 3], data_location=TensorProto.EXTERNAL)
    for key, text in (("location", "weights.bin"), ("offset", "0"), ("length", "48")):
        outside.external_data.add(key=key, value=text)
    external = helper.make_graph([node("MatMul", ["x", "w"], ["y"])], "external", [x], [y], [outside])
    sparse = helper.make_sparse_tensor(
        array(np.ones(2, np.float32), "w"), array(np.array([1, 5], np.int64), "i"), [4, 3]
    )
    sparse = helper.make_graph([node("MatMul", ["x", "w"], ["y"])], "sparse", [x], [y], sparse_initializer=[sparse])
    own = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    graphs = [mlp, shapes, conv, control, functions, external, sparse, deep, endless, huge, grow, texts, sums]
    return [helper.make_model(g, opset_imports=own, functions=[twice] if g is functions else []) for g in graphs]


# ---- mutations -------------------------------------------------------------------------------------------------

OPERATORS = sorted({s.name for s in onnx.defs.get_all_schemas() if not s.domain}) + ["Nothing", "Twice"]
FLOATS = (float("nan"), float("inf"), -1.0, 0.0, 1e38, 1e-38)
WORDS = (
    "",
    "reflect",
    "(a*)*b",
    "ij,jk->ik",
    "i" * 300 + "->",
    "...ij->",
    "\0",
    "../secret",
    "%n",
    "ä" * 1000,
    "(" * 3000,
    "->,,",
)
PLACES = (
    "../secret",
    "/etc/passwd",
    "link",
    "../model/../secret",
    "\0",
    "-1",
    "99999999999",
    "1e3",
    "",
    str(2**64),
    "weights.bin",
    "4",
)


def mutated(model, rng):
    """Bytes of a model in which something is wrong."""
    data = bytearray(model.SerializeToString())
    kind = rng.randrange(6)
    if kind == 0:
        return bytes(data[: rng.randrange(len(data))])
    if kind == 1:
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(data)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for _ in range(rng.randint(1, 3)):
        graph = copy.graph
        inner = [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
        if inner and rng.random() < 0.5:
            graph = rng.choice(inner)
        if graph.node:
            rng.choice(CHANGES)(copy, graph, rng.choice(graph.node), rng)
    return copy.SerializeToString()


def _names(graph):
    return [n for node in graph.node for n in (*node.input, *node.output)] + ["", "nowhere", "x"]


def change_input(model, graph, node, rng):
    if node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(_names(graph))


def change_output(model, graph, node, rng):
    if node.output:
        node.output[rng.randrange(len(node.output))] = rng.choice(_names(graph))


def change_operator(model, graph, node, rng):
    node.op_type = rng.choice(OPERATORS)
    if rng.random() < 0.3:
        del node.attribute[:]


def change_domain(model, graph, node, rng):
    node.domain = rng.choice(["", "ai.onnx", "own", "ai.onnx.ml", "ai.onnx.preview", "com.example"])


def more_inputs(model, graph, node, rng):
    node.input.extend(rng.choice(_names(graph)) for _ in range(rng.choice((1, 2, 50))))


def fewer_inputs(model, graph, node, rng):
    del node.input[rng.randrange(len(node.input) + 1) :]


def more_outputs(model, graph, node, rng):
    node.output.extend(f"more{i}" for i in range(rng.choice((1, 3, 50))))


def drop_node(model, graph, node, rng):
    graph.node.remove(node)


def double_node(model, graph, node, rng):
    graph.node.add().CopyFrom(node)


def _tensors(graph):
    inner = [a.t for node in graph.node for a in node.attribute if a.HasField("t")]
    return [
        *graph.initializer,
        *(s.values for s in graph.sparse_initializer),
        *(s.indices for s in graph.sparse_initializer),
        *inner,
    ]


def change_tensor(model, graph, node, rng):
    tensors = _tensors(graph)
    if not tensors:
        return
    tensor, kind = rng.choice(tensors), rng.randrange(5)
    if kind == 0:
        tensor.dims[:] = [rng.choice((*HUGE, 2, 3)) for _ in range(rng.randrange(1, 5))]
    elif kind == 1:
        tensor.data_type = rng.randrange(0, 40)
    elif kind == 2:
        tensor.raw_data = rng.randbytes(rng.randrange(0, 200))
    elif kind == 3:  # other numbers of the same type: sizes, axes, steps
        try:
            array = numpy_helper.to_array(tensor).copy() if tensor.data_type in (1, 6, 7, 11) else None
        except Exception:  # an earlier change made it no tensor
            array = None
        if array is not None and array.size:
            values = FLOATS if array.dtype.kind == "f" else [n for n in HUGE if abs(n) < 2 ** (8 * array.itemsize - 1)]
            array.reshape(-1)[rng.randrange(array.size)] = rng.choice(values)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    else:
        tensor.data_location = 1
        for key in ("location", "offset", "length", "checksum"):
            if rng.random() < 0.7:
                tensor.external_data.add(key=key, value=rng.choice(PLACES))


def make_constant(model, graph, node, rng):
    """An input of a node as an initializer with hostile numbers."""
    if node.input:
        name = f"constant{rng.randrange(1000)}"
        node.input[rng.randrange(len(node.input))] = name
        numbers = [rng.choice((*HUGE, 1, 2, 3)) for _ in range(rng.randrange(5))]
        array = np.array(numbers, np.int64) if rng.random() < 0.7 else np.array(rng.choice(numbers or [0]), np.int64)
        model.graph.initializer.append(numpy_helper.from_array(array, name))


def change_attribute(model, graph, node, rng):
    if not node.attribute:
        return
    attribute, kind = rng.choice(node.attribute), onnx.AttributeProto
    if attribute.type == kind.INT:
        attribute.i = rng.choice((*HUGE, 1, 2, 3, 7, 100))
    elif attribute.type == kind.FLOAT:
        attribute.f = rng.choice(FLOATS)
    elif attribute.type == kind.STRING:
        attribute.s = rng.choice([b"\xff\xfe", *(w.encode() for w in WORDS)])
    elif attribute.type == kind.INTS:
        numbers = list(attribute.ints) + [1]
        numbers[rng.randrange(len(numbers))] = rng.choice((*HUGE, 2, 100))
        attribute.ints[:] = numbers[: rng.randrange(len(numbers) + 1)] if rng.random() < 0.5 else numbers[:-1]
    elif attribute.type == kind.STRINGS:
        attribute.strings[:] = [w.encode() for w in rng.sample(WORDS, 3)]


def change_kind_of_attribute(model, graph, node, rng):
    if node.attribute:
        attribute = rng.choice(node.attribute)
        attribute.type = rng.randrange(0, 15)
        attribute.i = rng.choice(HUGE)
        attribute.ints[:] = [rng.choice(HUGE) for _ in range(rng.randrange(4))]


def more_attributes(model, graph, node, rng):
    name = rng.choice(
        [
            "axis",
            "axes",
            "perm",
            "kernel_shape",
            "to",
            "pads",
            "strides",
            "group",
            "body",
            "mode",
            "hidden_size",
            "equation",
        ]
    )
    made = [
        helper.make_attribute(name, rng.choice(HUGE)), helper.make_attribute(name, [rng.choice((*HUGE, 1, 2)) for _ in range(rng.randint(1, 4))]),
        helper.make_attribute(name, rng.choice(WORDS)), helper.make_attribute(name, rng.choice(FLOATS)), helper.make_attribute(name, graph),
    ]  # fmt: skip
    node.attribute.append(rng.choice(made))


def change_name_of_attribute(model, graph, node, rng):
    if node.attribute:
        rng.choice(node.attribute).name = rng.choice(["", "axis", "to", "value", "body", "then_branch", "nothing"])


def change_sizes(model, graph, node, rng):
    if graph.input:
        for axis in rng.choice(graph.input).type.tensor_type.shape.dim:
            axis.dim_value = rng.choice(HUGE)


def change_type(model, graph, node, rng):
    values = [*graph.input, *graph.output]
    if values:
        rng.choice(values).type.tensor_type.elem_type = rng.randrange(0, 30)


def change_operator_set(model, graph, node, rng):
    model.opset_import[0].version = rng.choice((-1, 0, 1, 6, 7, 9, 11, 13, 18, 22, 99, 2**62))


def change_function(model, graph, node, rng):
    if model.functions:
        function = rng.choice(model.functions)
        function.node[0].op_type, function.node[0].domain = function.name, function.domain


CHANGES = [
    change_input, change_output, change_operator, change_operator, change_domain, more_inputs, fewer_inputs, more_outputs, drop_node, double_node,
    change_tensor, change_tensor, make_constant, make_constant, change_attribute, change_attribute, change_kind_of_attribute, more_attributes,
    change_name_of_attribute, change_sizes, change_type, change_operator_set, change_function,
]  # fmt: skip


# ---- what is done with them ------------------------------------------------------------------------------------


def inputs_for(model, rng):
    """Arrays as the model says it wants them, small ones, of its type if NumPy has it."""
    from pequegrad.onnx.values import DTYPES

    found = []
    for value in model.inputs:
        shape = [n if isinstance(n, int) and 0 < n < 100 else 2 for n in value.shape or (2, 4)][:6]
        dtype = DTYPES.get(value.element_type)
        if value.element_type == 8:
            found.append(np.full(shape, "a!", object))
        elif dtype is None or dtype == "bfloat16":
            found.append(rng.choice(([], [np.ones(2, np.float32)], None)))
        else:
            found.append(np.ones(shape, dtype))
    return found


def use(path, rng, jitted):
    """Loads and runs a model."""
    import pequegrad as pg
    from pequegrad.onnx.backend import PequegradRep

    model = pg.onnx.load(path)
    model.most_rounds = ROUNDS
    inputs = inputs_for(model, rng)
    if jitted:
        PequegradRep(model, jitted=True).run(inputs)
        return
    for value in model.run(*inputs).values():
        if isinstance(value, pg.Tensor) and value.size < 1 << 24:
            value.numpy()


def main(first, count, folder):
    from pequegrad.compiler import program
    from pequegrad.core.errors import PequegradError
    from pequegrad.onnx.registry import names

    names()  # all that is imported is imported now: afterwards no file is opened but the models'
    program.fusing = False  # nor generated code, which is not what is tested here
    models, own = seeds(), len(own_seeds())
    folder = os.path.realpath(folder)
    libraries = tuple({os.path.realpath(p) for p in (*sys.path, sys.prefix, os.path.dirname(os.__file__)) if p})
    state = {"seed": None}

    def watch(event, args):
        if event != "open" or state["seed"] is None or not isinstance(args[0], (str, bytes)):
            return
        path = os.path.realpath(os.fsdecode(args[0]))
        if not path.startswith((folder + os.sep, *libraries)):
            print(f"{state['seed']}: read {path}", flush=True)

    sys.addaudithook(watch)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    outcomes = collections.Counter()
    for seed in range(first, first + count):
        rng = random.Random(seed)
        place = rng.randrange(own) if rng.random() < 0.25 else rng.randrange(len(models))
        unchanged = seed < own  # some are hostile as they are
        data = models[seed].SerializeToString() if unchanged else mutated(models[place], rng)
        path = os.path.join(folder, "model.onnx")
        with open(path, "wb") as file:
            file.write(data)
        state["seed"] = seed
        print(f"at {seed}", flush=True)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of processor time; ends the process, also if it hangs in C
        try:
            use(path, rng, jitted=seed % 8 == 0)
            outcomes["runs"] += 1
        except (PequegradError, NotImplementedError) as error:
            outcomes[type(error).__name__] += 1
        except Exception as error:
            print(f"{seed}: {type(error).__name__}: {str(error)[:300]}", flush=True)
        signal.setitimer(signal.ITIMER_PROF, 0)
        state["seed"] = None
    print(dict(outcomes), file=sys.stderr)
    print("done", flush=True)


if __name__ == "__main__":
    faulthandler.enable()
    faulthandler.register(signal.SIGPROF, chain=True)
    warnings.simplefilter("ignore")
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
