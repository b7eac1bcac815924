"""Loads and runs mutated models; run as a program by test_hostile.py, in a process of its own with little memory.

    python tests/onnx/hostile.py first count folder

prints a line for each model that did something else than work or raise a clear error.
"""

import os
import random
import resource
import signal
import sys
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SECONDS, MEMORY = 20, 6 << 30
HUGE = (2**31 - 1, 2**62, -1, -(2**63), 2**40, 0, 2**63 - 1)


def seeds():
    """Small models that together have all that a file may contain."""
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
    graphs = [mlp, shapes, conv, control, functions, external, sparse]
    return [helper.make_model(g, opset_imports=own, functions=[twice] if g is functions else []) for g in graphs]


# ---- mutations -------------------------------------------------------------------------------------------------


def mutated(model, rng):
    """Bytes of a model in which something is wrong."""
    data = bytearray(model.SerializeToString())
    kind = rng.randrange(4)
    if kind == 0:
        return bytes(data[: rng.randrange(len(data))])
    if kind == 1:
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(data)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for _ in range(rng.randint(1, 3)):
        _change(copy, rng)
    return copy.SerializeToString()


def _change(model, rng):
    graph, nodes = model.graph, model.graph.node
    names = [n for node in nodes for n in (*node.input, *node.output)] + ["", "nowhere", "x"]
    node = rng.choice(nodes)
    tensors = [*graph.initializer, *(s.values for s in graph.sparse_initializer)]
    choice = rng.randrange(13)
    if choice == 0 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(names)
    elif choice == 1:
        node.output[rng.randrange(len(node.output))] = rng.choice(names)
    elif choice == 2:
        node.op_type = rng.choice(
            ["Conv", "Loop", "Scan", "Nothing", "Reshape", "If", "Twice", "Gather", "Expand", "Tile", "Constant"]
        )
    elif choice == 3 and tensors:
        tensor = rng.choice(tensors)
        tensor.dims[:] = [rng.choice((*HUGE, 2, 3)) for _ in range(rng.randrange(1, 5))]
    elif choice == 4 and tensors:
        rng.choice(tensors).data_type = rng.randrange(0, 40)
    elif choice == 5 and tensors:
        tensor = rng.choice(tensors)
        tensor.raw_data = rng.randbytes(rng.randrange(0, 200))
    elif choice == 6 and node.attribute:
        attribute = rng.choice(node.attribute)
        attribute.type = rng.randrange(0, 16)
        attribute.i = rng.choice(HUGE)
        attribute.ints[:] = [rng.choice(HUGE) for _ in range(rng.randrange(4))]
    elif choice == 7:
        for axis in graph.input[0].type.tensor_type.shape.dim:
            axis.dim_value = rng.choice(HUGE)
    elif choice == 8:
        model.opset_import[0].version = rng.choice((-1, 0, 1, 6, 7, 13, 99, 2**62))
    elif choice == 9:
        for tensor in graph.initializer:
            for entry in tensor.external_data:
                wrong = ["../secret", "/etc/passwd", "link", "../model/../secret", "\0", "-1", "99999999999", "1e3", ""]
                entry.value = rng.choice(wrong)
    elif choice == 10:
        nodes.add().CopyFrom(node)
    elif choice == 11 and model.functions:
        model.functions[0].node[0].op_type, model.functions[0].node[0].domain = "Twice", "own"
    elif choice == 12:
        node.attribute.add(name=rng.choice(["axis", "perm", "kernel_shape", "to"]), type=7, ints=[rng.choice(HUGE)])


# ---- what is done with them ------------------------------------------------------------------------------------


def main(first, count, folder):
    import pequegrad as pg
    import pequegrad.onnx
    from pequegrad.core.errors import PequegradError
    from pequegrad.onnx.registry import names

    names()  # all that is imported is imported now: afterwards no file is opened but the models'
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

    def late(*_):
        print(f"{state['seed']}: hangs", flush=True)
        os._exit(3)

    signal.signal(signal.SIGALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    models = seeds()
    for seed in range(first, first + count):
        rng = random.Random(seed)
        data = mutated(models[seed % len(models)], rng)
        path = os.path.join(folder, "model.onnx")
        with open(path, "wb") as file:
            file.write(data)
        state["seed"] = seed
        print(f"at {seed}", flush=True)
        signal.alarm(SECONDS)
        try:
            model = pg.onnx.load(path)
            known = [[n if isinstance(n, int) and 0 < n < 100 else 2 for n in v.shape or (2, 4)] for v in model.inputs]
            found = model.run(*[np.ones(shape, np.float32) for shape in known])
            for value in found.values():
                if isinstance(value, pg.Tensor) and value._node.aval.size < 1 << 24:
                    value.numpy()
        except (PequegradError, NotImplementedError):
            pass
        except Exception as error:
            print(f"{seed}: {type(error).__name__}: {error}", flush=True)
        signal.alarm(0)
        state["seed"] = None
    print("done", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
