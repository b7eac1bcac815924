"""Whether a model that was written computes what the function does: both are run, for several sizes of its free axes."""

import numpy as np

from ..core.errors import ArgumentError, PequegradError, ShapeError
from ..ops.creation import as_tensor
from ..transforms.tree import flatten
from .comparison import compare, difference, random_inputs, session_of
from .model import OnnxModel
from .reading import onnx_package, read
from .storing import add_initializers


def verify_model(model, call, free, samples, tolerance):
    """Compares a model, or that in a file, with onnxruntime: on the example inputs, and at other sizes that it was traced for.

    ArgumentError, which names the sizes, if results differ, or onnxruntime fails; NotImplementedError if it has no kernels.
    """
    try:
        session = session_of(model)
    except Exception as error:
        if "NOT_IMPLEMENTED" not in str(error):
            raise
        raise NotImplementedError(f"export: onnxruntime cannot run the model: {error}") from error
    names = [v.name for v in session.get_outputs()]
    for sizes in ({}, *samples.near):
        values = inputs_for(call, free, sizes)
        where = f" for {_named(sizes)}" if sizes else ""
        expected = [x.numpy() for x in _results(call, values)]
        try:
            found = session.run(None, dict(zip(call.names, values)))
        except Exception as error:
            raise ArgumentError(f"export: onnxruntime fails{where}: {error}") from error
        compare(expected, found, names, tolerance, where)


def inputs_for(call, free, sizes):
    """Arrays for the inputs: the examples, or, for `sizes`, what is like them; random numbers where they have no values, or but one."""
    rng, found = np.random.default_rng(0), []
    for i, x in enumerate(call.inputs):
        changes = sizes and any((i, axis) in free for axis in range(x.ndim))
        shape = tuple(sizes.get(free.get((i, axis)), n) for axis, n in enumerate(x.shape))
        array = x.numpy() if x._node.value is not None or x._node.inputs else None
        if array is None or changes and (not array.size or (array == array.flat[0]).all()):
            array = random_inputs(shape, x.dtype, rng)
        elif shape != x.shape:
            for axis, n in enumerate(shape):
                array = np.take(array, np.arange(n) % array.shape[axis], axis)
            if array.dtype.kind not in "biu":
                array = (array * rng.uniform(0.9, 1.1, shape)).astype(x.dtype)
        found.append(array)
    return found


def _results(call, values):
    return [as_tensor(x) for x in flatten(call([as_tensor(v) for v in values]))[0] if x is not None]


def _named(sizes):
    return ", ".join(f"{name} = {n}" for name, n in sizes.items())


def holds_for_small_sizes(traced, model, arrays, call, free, example, tolerance):
    """Whether a model that was made for larger sizes is right for the example's, too: it is run as it is read here.

    ShapeError if it is, but not for smaller ones. Sizes of outputs that are others there are left open.
    """
    read_again = _read_again(model, arrays)
    samples = traced.samples
    base = samples.known[0]
    halfway = {name: (samples.least[name] + n) // 2 for name, n in base.items()}
    for sizes in (example, *samples.small, halfway):
        wrong, shapes = _compared(read_again, call, free, sizes, tolerance)
        if wrong and sizes is example:
            return False
        if wrong:
            holds = lambda name, n: not _compared(read_again, call, free, {**base, name: n}, tolerance)[0]
            raise ShapeError(
                f"export: {traced.name} is something else for {_named(sizes)} than for larger sizes ({wrong}).",
                fix=f"say how small sizes can be: dynamic_axes={_suggestion(call, free, samples, holds)}",
            )
        _leave_open(model, shapes)
    return True


def check_smallest_sizes(traced, model, arrays, call, free, least, tolerance):
    """Sizes of 1 and 2, for which the function was not traced: where results have other shapes than for larger ones, the model is run.

    ShapeError, which says how to write it without them, if it gives something else. least: what is said about sizes.
    """
    samples = traced.samples
    base, names = samples.known[0], [name for name in samples.names if least.get(name, 0) < 2]
    once = [{**base, name: 1} for name in names] + [{**base, **dict.fromkeys(names, 1)}] * (len(names) > 1)
    twice = {**base, **{name: 2 for name in samples.names if least.get(name, 0) < 3}}
    read_again = None
    for sizes in (*once, twice) if names or twice != base else ():
        expected = traced.shapes(sizes)
        found = traced.shapes_at(call, free, sizes)
        if found is None or found == expected:
            continue
        read_again = read_again or _read_again(model, arrays)
        wrong, shapes = _compared(read_again, call, free, sizes, tolerance)
        if wrong:
            smallest = {name: 1 + n for name, n in sizes.items() if n < 3 and n != base[name]}
            raise ShapeError(
                f"export: {traced.name} is something else for {_named(sizes)} than for larger sizes ({wrong}).",
                fix=f"say how small sizes can be: dynamic_axes={_with_least(call, free, smallest)}",
            )
        _leave_open(model, shapes)


def _with_least(call, free, least):
    """dynamic_axes with the least sizes of some names, as text."""
    found = {}
    for (i, axis), name in free.items():
        if name in least:
            found.setdefault(call.names[i], {})[axis] = (name, least[name])
    return f"{found}."


def _leave_open(model, shapes):
    """Outputs whose sizes are others here have no fixed ones."""
    for output, shape in zip(model.graph.output, shapes):
        for dim, n in zip(output.type.tensor_type.shape.dim, shape):
            if dim.HasField("dim_value") and dim.dim_value != n:
                dim.Clear()


def _read_again(model, arrays):
    whole = onnx_package().ModelProto()
    whole.CopyFrom(model)
    add_initializers(whole, arrays)
    return OnnxModel(read(whole))


def _compared(model, call, free, sizes, tolerance):
    """(what is wrong with the model's results for these sizes, None where the function fails, too; shapes of results)"""
    values = inputs_for(call, free, sizes)
    try:
        expected = [x.numpy() for x in _results(call, values)]
    except PequegradError:
        return None, []
    try:
        found = [x.numpy() for x in _results(lambda tensors: model(*tensors), values)]
    except PequegradError as error:
        return str(error).splitlines()[0], []
    for a, b, output in zip(expected, found, model.outputs):
        if a.shape != b.shape:
            return f"{output.name} is {list(b.shape)} in the model, not {list(a.shape)}", []
        if not difference(a, b, *tolerance.for_output(a))[2]:
            return f"{output.name} differs", []
    return None, [x.shape for x in expected]


def _suggestion(call, free, samples, holds):
    """The dynamic_axes with the least sizes for which the model holds, as text."""
    least, base = {}, samples.known[0]
    for name, n in base.items():
        low, high = samples.least[name], n
        if holds(name, low) or not holds(name, high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if holds(name, middle) else (middle, high)
        least[name] = high
    return _with_least(call, free, least or base)
