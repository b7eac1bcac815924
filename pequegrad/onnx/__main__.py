"""python -m pequegrad.onnx info|run|convert model.onnx: what a model is, how fast it is, and as which other one it can be written."""

import argparse
import sys
import time
from collections import Counter

import numpy as np

from ..core.errors import PequegradError
from ..transforms.jit import jit
from .comparison import compare, random_inputs, session_of
from .model import load
from .values import DTYPES, NAMES


def main(arguments=None):
    """Runs a command; the process's exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m pequegrad.onnx", description="Looks at ONNX models, runs and converts them."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function, text in (
        ("info", info, "inputs, outputs, operators and parameters"),
        ("run", run, "runs the model on random inputs, times it, and compares with onnxruntime if that is installed"),
        ("convert", convert, "reads the model and writes what pequegrad makes of it, simplified"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(function=function)
        command.add_argument("model")
        if name != "info":
            command.add_argument("--size", action="append", default=[], metavar="NAME=N", help="a size that the model leaves open (default 1)")  # fmt: skip
        if name == "run":
            command.add_argument("--repeat", type=int, default=10, help="how often it is timed")
        if name == "convert":
            command.add_argument("output")
            command.add_argument("--opset", type=int, default=20)
    options = parser.parse_args(arguments)
    try:
        return options.function(options)
    except (PequegradError, NotImplementedError) as error:
        print(error, file=sys.stderr)
        return 1


def info(options):
    """Prints what is in a model; also one with operators that are missing."""
    from .interpreter import check_operators, is_parameter
    from .reading import read

    model = read(options.model)
    graph = model.graph
    versions = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in model.versions.items())
    print(f"{graph.name}: operator sets {versions}; IR {model.ir_version}, made by {model.producer or '?'}")
    for title, values in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        print(f"{title}:")
        for value in values:
            if value.name not in graph.initializers:
                print(f"  {value}")
    arrays = graph.initializers.values()
    parameters = [a for a in arrays if is_parameter(a)]
    print(
        f"parameters: {sum(a.size for a in parameters):,} in {len(parameters)} tensors, {sum(a.nbytes for a in arrays):,} bytes"
    )
    print(f"nodes: {len(graph.nodes)}")
    for name, count in Counter(node.op for node in graph.nodes).most_common():
        print(f"  {count:5} {name}")
    try:
        check_operators(model)
    except NotImplementedError as error:
        print(error)
    return 0


def run(options):
    """Runs a model on random inputs."""
    model = load(options.model)
    inputs = _inputs(model, _sizes(options))
    compiled = jit(lambda values: list(model.run(**values).values()))
    moving = {name: x for name, x in inputs.items() if name not in model.known_names}
    fixed = {name: x for name, x in inputs.items() if name in model.known_names}
    if fixed:
        compiled = jit(lambda values: list(model.run(**values, **fixed).values()))
    start = time.perf_counter()
    outputs = [x.numpy() for x in compiled(moving)]
    print(f"compiled and run in {time.perf_counter() - start:.2f} s")
    for value, x in zip(model.outputs, outputs):
        print(
            f"  {value.name}: {x.dtype}{list(x.shape)}, mean {np.mean(x, dtype=np.float64):.6g}, standard deviation {np.std(x, dtype=np.float64):.6g}"
        )
    print(f"pequegrad:   {_milliseconds(lambda: [x.numpy() for x in compiled(moving)], options.repeat):.3f} ms")
    try:
        session = session_of(options.model)
    except PequegradError:
        print("onnxruntime: not installed, nothing to compare with")
        return 0
    found = session.run(None, inputs)
    print(f"onnxruntime: {_milliseconds(lambda: session.run(None, inputs), options.repeat):.3f} ms")
    largest = compare(outputs, found, [v.name for v in model.outputs], 1e-3, 1e-4)
    print(f"largest difference: {largest:.3g}")
    return 0


def convert(options):
    """Writes the model again."""
    from .writing import export

    model = load(options.model)
    inputs = _inputs(model, _sizes(options))
    open_sizes = {v.name: {axis: n for axis, n in enumerate(v.shape or ()) if isinstance(n, str)} for v in model.inputs}
    names = [v.name for v in model.outputs]
    written = export(
        model, tuple(inputs.values()), options.output, opset=options.opset, input_names=list(inputs), output_names=names,
        dynamic_axes={name: axes for name, axes in open_sizes.items() if axes},
    )  # fmt: skip
    print(f"{options.output}: {len(model.model.graph.nodes)} nodes became {len(written.graph.node)}")
    return 0


def _sizes(options):
    pairs = [text.partition("=") for text in options.size]
    return {name: int(n) for name, _, n in pairs}


def _inputs(model, sizes):
    """{name: random array} for a model's inputs; sizes: of those that it leaves open."""
    rng, found = np.random.default_rng(0), {}
    for value in model.inputs:
        if value.element_type not in DTYPES or value.shape is None:
            kind = NAMES.get(value.element_type, "an unknown type")
            raise NotImplementedError(
                f"Input {value.name!r} has {kind}, or no shape: there are no random values for it."
            )
        shape = [n if isinstance(n, int) else sizes.get(n, 1) for n in value.shape]
        found[value.name] = random_inputs(shape, DTYPES[value.element_type], rng)
    return found


def _milliseconds(function, repeat):
    """The median time of a call."""
    times = []
    for _ in range(max(repeat, 1)):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


if __name__ == "__main__":
    sys.exit(main())
