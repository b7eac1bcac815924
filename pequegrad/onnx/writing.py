"""export: what pequegrad traced, as an ONNX model."""

import os
import re

import numpy as np

from ..core.errors import ArgumentError, ShapeError
from ..nn.module import StatefulModule
from ..primitives.base import PRIMITIVES
from ..transforms.jit import apart
from .comparison import Tolerance
from .exporting.program import Differs, differing, program_of
from .exporting.records import Record, needed, protos
from .exporting.sizes import Samples, Varying
from .exporting.writer import Shared, Writer
from .interpreter import is_floats
from .reading import onnx_package
from .storing import add_initializers, check, is_outside, write, write_with_data
from .tracing import Call, Traced, free_sizes, sizes_of_examples
from .values import dtype_of, element_type_of
from .verifying import check_smallest_sizes, holds_for_small_sizes, verify_model

OLDEST, NEWEST = 18, 25  # versions of the operator set that rules know


def export(
    function,
    example_inputs,
    path=None,
    *,
    dynamic_axes=None,
    opset=20,
    input_names=None,
    output_names=None,
    verify=False,
    rtol=None,
    atol=None,
    external_data=None,
):
    """The onnx.ModelProto of what function(*example_inputs) computes; written to `path`, if that is given.

    function: a module, a jitted function, or any function of tensors. Parameters of modules are initialisers under their dotted names;
    modules are written in the mode they are in: model.eval() first. example_inputs: its arguments, a tuple or list, or a
    dict by name, with tensors, arrays or ShapeDtypeStruct in any nested containers; other values (numbers, strings) are constants.
    dynamic_axes: {input: {axis: name}}, or {input: [axes]}: sizes that stay open, equal where their names are. The
    function is traced for several values of each, from 3 on, and its results' shapes are looked at for 1 and 2; (name, least) in place of
    a name says how small the size may be.
    opset: the version of ONNX's operator set, 18 to 25.
    input_names, output_names: of the model, one for each tensor, in their order; else those of the arguments, and for results "output",
    "output_0" in a tuple, "logits" by its key in a dict. Dicts of results are in the order in which they are written;
    output_names that are these names say another order. verify: compares results with onnxruntime, which must be there,
    for the example's and other values of the free sizes. rtol, atol: differences that are no error, beyond which ArgumentError is raised; by default
    a few units in the last place of the model's coarsest floating dtype, relative to the largest number, and 1/64 of that if it rounds (quantised).
    external_data: True for weights in a file of their own, path.data, to which the model that is given back refers; by default so
    if it would be larger than 1.9 GB.

    Raises NotImplementedError, which lists all of it, for what has no form in ONNX, before anything is written; ShapeError
    if the function does something else for other sizes of dynamic axes.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
    >>> proto = pg.onnx.export(model, (pg.zeros((1, 4)),), dynamic_axes={"input": {0: "batch"}})
    """
    with apart():
        return _export(
            function, example_inputs, path, dynamic_axes, opset, input_names, output_names, verify, rtol, atol, external_data
        )  # fmt: skip


def _export(
    function, example_inputs, path, dynamic_axes, opset, input_names, output_names, verify, rtol, atol, external_data
):
    onnx = onnx_package()
    if isinstance(opset, bool) or not isinstance(opset, (int, np.integer)):
        raise ArgumentError(f"export: opset is {opset!r}, no whole number.", fix="opset=20 is the default.")
    folder = None if path is None else os.path.dirname(os.path.abspath(os.fspath(path)))
    if folder is not None and not os.path.isdir(folder):
        raise FileNotFoundError(f"export: there is no folder {folder}.")
    opset = int(opset)
    if not OLDEST <= opset <= min(NEWEST, onnx.defs.onnx_opset_version()):
        raise ArgumentError(
            f"export: operator set {opset} is not one of {OLDEST} to {NEWEST}.", fix="the default is 20."
        )
    call = Call(function, example_inputs, input_names, output_names)
    free, least = free_sizes(call, dynamic_axes)
    sizes = sizes_of_examples(call, free)
    options = onnx, call, free, opset
    try:
        traced = Traced(call, free, Samples(sizes, least))
        model, arrays = _model(traced, *options)
    except (ShapeError, NotImplementedError):
        found = _made_for_larger_sizes(sizes, least, *options)
        if found is None or not holds_for_small_sizes(
            *found, call, free, sizes, _tolerance(found[1], found[2], rtol, atol)
        ):
            raise
        traced, model, arrays = found
    tolerance = _tolerance(model, arrays, rtol, atol)
    check_smallest_sizes(traced, model, arrays, call, free, least, tolerance)
    verified = lambda source: verify_model(source, call, free, traced.samples, tolerance) if verify else None
    if is_outside(external_data, path, arrays):
        write_with_data(model, arrays, os.fspath(path), verified)
        return model
    add_initializers(model, arrays)
    check(model)
    verified(model)
    if path is not None:
        write(model, os.fspath(path))
    return model


def _tolerance(model, arrays, rtol, atol):
    """What is no difference of a model's results."""
    kinds = [value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)]
    kinds += [element_type_of(array.dtype) for array in arrays.values()]
    rounds = any(node.op_type == "Round" for node in model.graph.node)
    return Tolerance(rtol, atol, set(map(dtype_of, kinds)), rounds)


def _made_for_larger_sizes(sizes, least, onnx, call, free, *options):
    """(Traced, model, arrays) of sizes from the example's on, or of about twice these; None if there is none."""
    for base in (sizes, Samples(sizes).twice) if sizes else ():
        samples = Samples(base, least, smaller=False)
        for small in samples.small:
            samples.drop(small)
        try:
            traced = Traced(call, free, samples)
            return traced, *_model(traced, onnx, call, free, *options)
        except (ShapeError, NotImplementedError):
            pass
    return None


def _model(traced, onnx, call, free, opset):
    """The model without its initialisers, and these, {name: array}."""
    shared = Shared(opset, traced.samples)
    shared.taken.update(call.names)
    for (i, axis), name in free.items():
        shared.size_of.setdefault(name, (call.names[i], axis))
    try:
        program = program_of(traced.graphs, opset)
    except Differs as error:
        names = differing(traced.graphs, traced.samples, opset)
        raise error.error(names, traced.lines(call).get(error.reader, ())) from None
    names = _names_of_captures(call, traced, shared)
    shared.owners.update((name, name.rpartition(".")[0]) for name in names if "." in name)
    outputs = call.names_of_outputs()
    results = program.results = program.results[len(traced.state) :]
    outputs = [name if name not in shared.taken else shared.name(f"{name}_out") for name in outputs]
    shared.taken.update(outputs)
    writer = Writer(shared)
    if traced.state:
        shared.failures.append((_changes(traced), ""))
    found = writer.program(program, [*names, *call.names])
    if shared.failures:
        raise _not_expressed(shared.failures, opset, traced.lines(call))
    _renamed(writer, found, outputs, {*names, *call.names})
    records = needed([*shared.before, *writer.records], outputs)
    values = {name: handle.numpy() for name, handle in zip(names, [*traced.constants, *traced.state])}
    used = _read(records)
    constants = {name: array for name, array in shared.arrays.items() if name in used}
    values.update((name, array) for name, array in constants.items() if not is_floats(array))
    first = [_constant(onnx, name, array) for name, array in constants.items() if is_floats(array)]
    graph = onnx.helper.make_graph(
        [*first, *protos(records)],
        re.sub(r"\W+", "_", traced.name).strip("_"),
        [_input(onnx, call, free, traced.samples.given, i) for i in range(len(call.names))],
        [_output(onnx, traced.samples, name, x) for name, x in zip(outputs, results)],
    )
    imports = [onnx.helper.make_opsetid("", opset)]
    version = onnx.helper.find_min_ir_version_for(imports)
    model = onnx.helper.make_model(graph, opset_imports=imports, producer_name="pequegrad", ir_version=version)
    return model, {name: array for name, array in values.items() if name in used}


def _changes(traced):
    """What the function changes outside of itself, as text."""
    modules = traced.frame.modules.values()
    fix = (
        ": model.eval() first"
        if any(module.training for module in modules)
        else ": leave that out, or pass what is random as an input"
    )
    return f"{traced.name} changes {len(traced.state)} tensors from outside (running statistics, the random state){fix}"


_APART = "leave it out of the function: what it gives may be an input, or what it takes an output."
_OF_SIZES = "leave that axis out of dynamic_axes."


def _not_expressed(failures, opset, lines):
    """The error that lists what has no form in ONNX, and where that is computed."""
    found, fixes = [], []
    for primitive, text in dict.fromkeys(failures):
        places = lines.get(primitive, [])
        found.append(f"  {primitive}{f': {text}' if text else ''}")
        found += [f"      {place}" for place in places[:4]] + ["      ..."] * (len(places) > 4)
        if primitive in PRIMITIVES:
            fixes.append(_OF_SIZES if "free size" in text else _APART)
    fix = [f"  fix:   {fixes[0]}"] if fixes and "eval()" not in found[0] else []
    return NotImplementedError("\n".join([f"export: ONNX (operator set {opset}) has no form of", *found, *fix]))


def _constant(onnx, name, array):
    """A node: floating initialisers are parameters of what is read."""
    return onnx.helper.make_node("Constant", [], [name], name, value=onnx.numpy_helper.from_array(array, name))


def _read(records):
    """All names that records, and their subgraphs, read."""
    found = set()

    def look(node):
        found.update(node.input)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                for inner in attribute.g.node:
                    look(inner)

    for node in protos(records):
        look(node)
    return found


def _names_of_captures(call, traced, shared):
    """Names of the tensors that the function reads: their dotted names in the modules that it is, or is around, or that it ran."""
    around = [call.target, getattr(call.target, "__self__", None)]
    around += [cell.cell_contents for cell in getattr(call.target, "__closure__", None) or () if _is_set(cell)]
    known, ran = {}, {}
    for module in around:
        for name, tensor in _named_tensors(module) if isinstance(module, StatefulModule) else ():
            known.setdefault(id(tensor), name)
    for module in traced.frame.modules.values():
        for name, tensor in _named_tensors(module):
            ran[id(tensor)] = max(ran.get(id(tensor), ""), name, key=len)
    known = {**ran, **known}
    return [shared.name(known.get(id(handle), "captured")) for handle in (*traced.constants, *traced.state)]


def _named_tensors(module):
    return module.named_parameters(frozen=True) + module.named_buffers()


def _is_set(cell):
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _renamed(writer, found, outputs, given):
    """Gives results the names of the model's outputs; inputs, and what is an output already, are copied."""
    became, computed = {}, {name for record in writer.records for name in record.outputs}
    for result, name in zip(found, outputs):
        if result in became or result in given or result not in computed:
            writer.records.append(Record("Identity", [became.get(result, result)], [name], {}))
        else:
            became[result] = name
    new = lambda names: [became.get(name, name) for name in names]
    for record in writer.records:
        record.inputs, record.outputs = new(record.inputs), new(record.outputs)
        for value in record.attributes.values():
            if hasattr(value, "node"):
                _rename_inside(value, became)


def _rename_inside(graph, became):
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = became.get(name, name)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename_inside(attribute.g, became)


def _dims(samples, shape):
    """Sizes, and expressions of free ones: "batch", "2*batch"."""
    found = []
    for n in shape:
        if not isinstance(n, Varying):
            found.append(n)
            continue
        terms = samples.terms(n)
        texts = ["*".join([*([] if f == 1 and names else [str(f)]), *names]) for names, f in (terms or {}).items()]
        found.append(" + ".join(texts) or None)
    return found


def _input(onnx, call, free, least, i):
    x = call.inputs[i]
    shape = [free.get((i, axis), n) for axis, n in enumerate(x.shape)]
    limits = [f"{n} is at least {least[n]}" for n in dict.fromkeys(shape) if least.get(n, 0) > 1]
    return onnx.helper.make_tensor_value_info(call.names[i], element_type_of(x.dtype), shape, ", ".join(limits))


def _output(onnx, samples, name, x):
    return onnx.helper.make_tensor_value_info(name, element_type_of(x.dtype), _dims(samples, x.shape))


__all__ = ["export"]
