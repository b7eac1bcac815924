"""python -m pequegrad.onnx info|run|convert model.onnx: what a model is, how fast and how exact it is, and as which other one it can be written."""

import argparse
import itertools
import os
import sys
import time
from collections import Counter

import numpy as np

from ..core.errors import ArgumentError, MissingPackageError, PequegradError, ShapeError
from ..transforms.jit import jit
from .comparison import difference, random_inputs, session_of
from .graphs import subgraphs
from .interpreter import check_operators
from .model import load
from .needs import names_that_must_be_known, roles
from .reading import read
from .values import DTYPES, NAMES, as_known

PROGRAM = "python -m pequegrad.onnx"


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        """Wrong arguments in one line, as all that goes wrong."""
        self.exit(2, f"{self.prog}: {message}; --help says more\n")


def main(arguments=None):
    """Runs a command; the process's exit status: 0, 1 if results differ, 2 for what cannot be done."""
    options = _parser().parse_args(arguments)
    try:
        return options.function(options)
    except (PequegradError, NotImplementedError) as error:
        lines = [line.strip() for line in str(error).splitlines()]
        text = " ".join(itertools.takewhile(lambda line: not line.startswith(("where:", "from:", "fix:")), lines))
        fix = next((f" Fix: {line[4:].strip()}" for line in lines if line.startswith("fix:")), "")
        print(
            f"{PROGRAM} {options.command}: {options.model}: {text or type(error).__name__}{fix}",
            file=sys.stderr,
        )
        return 2


def _parser():
    parser = _Parser(prog=PROGRAM, description="Looks at ONNX models, runs and converts them.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function, text in (
        ("info", info, "Prints inputs, outputs, parameters and operators."),
        ("run", run, "Runs the model on random inputs, eagerly and compiled, times it, and compares with onnxruntime if that is installed."),
        ("convert", convert, "Reads the model, writes what pequegrad makes of it, simplified, and compares the two."),
    ):  # fmt: skip
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(function=function)
        command.add_argument("model", help="path of a model")
        if name == "info":
            continue
        command.add_argument("--size", action="append", default=[], type=_pair(int), metavar="NAME=N", help="a size that the model leaves open, by its name, or as input.axis if it has none (default 1)")  # fmt: skip
        command.add_argument("--input", action="append", default=[], type=_pair(str), metavar="NAME=FILE", help="an input from a .npy file (else random numbers)")  # fmt: skip
        command.add_argument("--rtol", type=float, default=1e-3, help="relative difference of results that is no error")
        command.add_argument("--atol", type=float, default=1e-5, help="absolute difference of results that is no error")
        if name == "run":
            command.add_argument("--repeat", type=int, default=30, metavar="N", help="how often it is timed")
        else:
            command.add_argument("output", help="path of the model that is written")
            command.add_argument("--opset", type=int, default=20, help="its operator set")
    return parser


def _pair(kind):
    def pair(text):
        name, equal, value = text.partition("=")
        if not name or not equal:
            raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
        try:
            value = kind(value)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r}: {value!r} is no whole number") from None
        if kind is int and value < 0:
            raise argparse.ArgumentTypeError(f"{text!r}: a size is not negative")
        return name, value

    return pair


# ---- info ------------------------------------------------------------------------------------------------------


def info(options):
    """Prints what is in a model; also in one with operators that are missing."""
    model = read(options.model)
    graph = model.graph
    versions = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in sorted(model.versions.items()))
    print(f"{'model':<14}{graph.name}")
    print(f"{'producer':<14}{model.producer or '?'}")
    print(f"{'operator sets':<14}{versions}")
    print(f"{'IR version':<14}{model.ir_version}\n")
    inputs = [value for value in graph.inputs if value.name not in graph.initializers]
    rows = [
        (kind, v.name, *_type_of(v)) for kind, values in (("input", inputs), ("output", graph.outputs)) for v in values
    ]
    _print_table(("", "name", "dtype", "shape"), rows)
    role_of = roles(model, names_that_must_be_known(model)[0])
    rows = []
    for role in ("parameter", "buffer", "constant"):
        found = [array for name, array in graph.initializers.items() if role_of[name] == role]
        if found or role == "parameter":
            rows.append(
                (f"{role}s", f"{len(found):,}", f"{sum(a.size for a in found):,}", _bytes(sum(a.nbytes for a in found)))
            )
    print()
    _print_table(("initialisers", "tensors", "numbers", "bytes"), rows, right=(1, 2, 3))
    counts = Counter(_operators(graph.nodes))
    inside = Counter(name for f in model.functions.values() for name in _operators(f.nodes))
    print()
    rows = [(name, f"{n:,}", "#" * max(1, round(30 * n / max(counts.values())))) for name, n in _most_first(counts)]
    _print_table(("operator", "nodes", ""), [*rows, ("all", f"{counts.total():,}", "")], right=(1,))
    if model.functions:
        print(f"\n{len(model.functions)} functions of the model, of {inside.total():,} nodes")
    try:
        check_operators(model)
    except NotImplementedError as error:
        print(f"\n{error}")
    return 0


def _operators(nodes):
    """The names of the operators of nodes and of their subgraphs."""
    for node in nodes:
        yield f"{node.domain}.{node.op}" if node.domain else node.op
        for graph in subgraphs(node):
            yield from _operators(graph.nodes)


def _most_first(counts):
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _type_of(value):
    """(dtype, shape) of an input or output, as texts."""
    if value.element_type is None:
        return "no tensor", ""
    dtype = DTYPES.get(value.element_type, NAMES.get(value.element_type, "?"))
    if value.shape is None:
        return dtype, "[...]"
    return dtype, f"[{', '.join('?' if n is None else str(n) for n in value.shape)}]"


def _bytes(n):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            return f"{n:,} B" if unit == "B" else f"{n:,.1f} {unit}"
        n /= 1024


def _print_table(head, rows, right=()):
    """Prints rows of texts in columns; right: those with numbers."""
    columns = [max(map(len, column)) for column in zip(head, *rows)]
    for row in (head, *rows):
        cells = [text.rjust(n) if i in right else text.ljust(n) for i, (text, n) in enumerate(zip(row, columns))]
        print("  ".join(cells).rstrip())


# ---- run -------------------------------------------------------------------------------------------------------


def run(options):
    """Runs a model, and compares with onnxruntime."""
    model = load(options.model)
    inputs = _inputs(model, options)
    names = [v.name for v in model.outputs]
    eager, compiled = _eager(model, inputs), _compiled(model, inputs)
    begin = time.perf_counter()
    outputs = compiled()
    once = time.perf_counter() - begin
    session, found, why = None, None, "onnxruntime is not installed: nothing to compare with"
    try:
        session = session_of(options.model)
        found = session.run(None, inputs)
    except MissingPackageError:
        pass
    except Exception as error:  # onnxruntime has its own kinds, for models that it does not know, or finds wrong
        session, why = None, f"onnxruntime cannot run it: {str(error).splitlines()[0][:150]}"
    _print_table(("input", "dtype", "shape"), [(n, str(x.dtype), str(list(x.shape))) for n, x in inputs.items()])
    print()
    differs = _print_outputs(names, outputs, found, options)
    print()
    times = [("pequegrad, compiled", compiled), ("pequegrad, eager", eager)]
    times += [("onnxruntime", lambda: session.run(None, inputs))] if session else []
    rows = [(title, f"{_milliseconds(function, options.repeat):.3f} ms") for title, function in times]
    _print_table((f"median of {max(1, options.repeat)}", "time"), rows, right=(1,))
    print(f"\ncompiled and run once in {once:.2f} s")
    for name, x in zip(names, outputs):
        if n := _nans(x):
            print(
                f"warning: {n:,} of {x.size:,} numbers of output {name!r} are NaN: try it with inputs of your own (--input)"
            )
    if session is None:
        print(why)
    elif differs:
        print(f"results differ from onnxruntime's beyond rtol={options.rtol:g}, atol={options.atol:g}")
    return int(differs)


def _print_outputs(names, outputs, found, options):
    """A table of outputs, with differences from others if there are such; True if these are beyond the tolerance."""
    head, rows, differs = ["output", "dtype", "shape", "mean", "deviation"], [], False
    for i, (name, x) in enumerate(zip(names, outputs)):
        if not isinstance(x, np.ndarray):
            row = [name, "sequence" if isinstance(x, list) else "optional", "" if x is None else str(len(x)), "", ""]
        else:
            row = [name, str(x.dtype), str(list(x.shape)), *_statistics(x)]
        if found is not None:
            absolute, relative, close = difference(x, found[i], options.rtol, options.atol)
            row += [f"{absolute:.3g}", f"{relative:.3g}", _verdict(x, close)]
            differs |= not close
        rows.append(row)
    if found is not None:
        head += ["absolute", "relative", "difference"]
    _print_table(head, rows, right=(3, 4, 5, 6))
    return differs


def _nans(x):
    """How many numbers of an output are NaN."""
    return int(np.isnan(x).sum()) if isinstance(x, np.ndarray) and x.dtype.kind in "fc" else 0


def _verdict(x, close):
    if not close:
        return "DIFFERENT"
    return "all NaN" if _nans(x) and _nans(x) == x.size else "same"


def _statistics(x):
    if x.dtype.kind in "OUS" or not x.size:
        return "", ""
    wide = x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
    return f"{wide.mean():.4g}", f"{wide.std():.4g}"


def _in_order(model, inputs):
    """The inputs of the model among these, by name."""
    return [inputs[value.name] for value in model.inputs]


def _eager(model, inputs):
    return lambda: [as_known(x) for x in model.run(*_in_order(model, inputs)).values()]


def _compiled(model, inputs):
    """A function that runs the compiled model; inputs that decide on shapes are constants of the program."""
    program, given = jit(model), model.with_known(inputs.values())

    def run():
        found = program(*given)
        return [as_known(x) for x in (found if len(model.outputs) > 1 else [found])]

    return run


def _inputs(model, options):
    """{name: array} for a model's inputs: from files, or random."""
    sizes, files, rng = dict(options.size), dict(options.input), np.random.default_rng(0)
    open_ = [
        (n or f"{v.name}.{axis}")
        for v in model.inputs
        for axis, n in enumerate(v.shape or ())
        if not isinstance(n, int)
    ]
    for name in sizes:
        if name not in open_:
            known = f"the open sizes are {', '.join(dict.fromkeys(open_))}." if open_ else None
            raise ArgumentError(f"--size: the model leaves no size {name!r} open.", fix=known)
    unknown = set(files) - {v.name for v in model.inputs}
    if unknown:
        raise ArgumentError(
            f"--input: the model has no input {min(unknown)!r}.",
            fix=f"its inputs are {', '.join(v.name for v in model.inputs)}.",
        )
    found = {}
    for value in model.inputs:
        if value.name in files:
            try:
                found[value.name] = np.load(files[value.name], allow_pickle=False)
            except (OSError, ValueError) as error:
                raise ArgumentError(f"--input: {files[value.name]}: {error}.") from None
            continue
        if value.element_type not in DTYPES or value.shape is None:
            what = "no shape" if value.element_type in DTYPES else NAMES.get(value.element_type, "no tensor type")
            raise NotImplementedError(
                f"Input {value.name!r} has {what}: there are no random values for it; give it with --input."
            )
        shape = [
            n if isinstance(n, int) else sizes.get(n or f"{value.name}.{axis}", 1) for axis, n in enumerate(value.shape)
        ]
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


# ---- convert ---------------------------------------------------------------------------------------------------


def convert(options):
    """Writes the model again, and compares. Sizes that --size gives, and inputs that decide on shapes, are fixed, others stay open."""
    from .writing import export

    model = load(options.model)
    inputs, sizes = _inputs(model, options), dict(options.size)
    fixed = {name: x for name, x in inputs.items() if name in model.fixed_names}
    moving = {name: x for name, x in inputs.items() if name not in fixed}
    function = (lambda *values: model(*_in_order(model, {**dict(zip(moving, values)), **fixed}))) if fixed else model
    axes = {}
    for value in [v for v in model.inputs if v.name in moving]:
        for axis, n in enumerate(value.shape or ()):
            if not isinstance(n, int) and (n or f"{value.name}.{axis}") not in sizes:
                axes.setdefault(value.name, {})[axis] = n or f"{value.name}_{axis}"
    names = [v.name for v in model.outputs]
    folder = os.path.dirname(os.path.abspath(options.output))
    if not os.path.isdir(folder):
        raise ArgumentError(f"There is no folder {folder}.")
    try:
        written = export(
            function, tuple(moving.values()), options.output, opset=options.opset, input_names=list(moving), output_names=names, dynamic_axes=axes,
        )  # fmt: skip
    except (ShapeError, NotImplementedError) as error:
        if not axes or not (isinstance(error, ShapeError) or "free size" in str(error)):
            raise
        free = " ".join(f"--size {n}=1" for n in dict.fromkeys(n for found in axes.values() for n in found.values()))
        lines = str(error).splitlines()[: 1 if isinstance(error, ShapeError) else 2]
        raise ShapeError(" ".join(map(str.strip, lines)), fix=f"fix one of the sizes, or all: {free}.") from error
    before, after = Counter(_operators(model.model.graph.nodes)), Counter(n.op_type for n in written.graph.node)
    rows = [(name, f"{before[name]:,}", f"{after[name]:,}") for name, _ in _most_first(before | after)]
    size = [_bytes(os.path.getsize(path)) for path in (options.model, options.output)]
    _print_table(
        ("operator", "before", "after"), [*rows, ("all", f"{before.total():,}", f"{after.total():,}"), ("file", *size)], right=(1, 2)
    )  # fmt: skip
    if fixed:
        print(f"\nconstants of the new model: {', '.join(f'{name} = {x.tolist()}' for name, x in fixed.items())}")
    by, found = _results(options.output, inputs)
    print(f"\nthe old model by pequegrad and the new one by {by}:")
    differs = _print_outputs(names, _eager(model, inputs)(), found, options)
    if differs:
        print(f"results differ beyond rtol={options.rtol:g}, atol={options.atol:g}")
    return int(differs)


def _results(path, inputs):
    """(who ran it, the outputs) of a written model: onnxruntime, or pequegrad where that is not installed."""
    try:
        session = session_of(path)
    except MissingPackageError:
        return "pequegrad", _eager(load(path), inputs)()
    wanted = {value.name for value in session.get_inputs()}
    return "onnxruntime", session.run(None, {name: x for name, x in inputs.items() if name in wanted})


if __name__ == "__main__":
    sys.exit(main())
