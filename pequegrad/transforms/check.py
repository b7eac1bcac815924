"""jit(f, check=True): each call runs compiled, and the traced graph once more op by op; results that differ are an error."""

import contextlib

import numpy as np

from ..compiler.program import assembled, device_of, program_of
from ..core import dtype as dtypes
from ..core.device import device as devices
from ..core.errors import MiscompiledError
from ..core.evaluate import evaluate
from ..core.locks import stateful
from ..runtime import library


def run_checked(entry, nodes, lines):
    """entry.run(nodes), compared with the traced graph run without the compiler. lines: node -> line of the user's code.

    Raises MiscompiledError, which names the first operation that differs when it is compiled.
    """
    with stateful if entry.state else contextlib.nullcontext():
        return _run_checked(entry, nodes, lines)


def _run_checked(entry, nodes, lines):
    placeholders = [handle._node for handle in entry.handles] + nodes
    evaluate([node for node in placeholders if node.value is None], reader="a jitted function")
    inputs = [node.value for node in placeholders]
    graph = entry.closed
    expected = _arrays(_unfused(graph, inputs, graph.results), graph.results)
    results = entry.run(nodes)
    found = [handle._node for handle in entry.state] + [x._node for x in entry.structure.flatten_up_to(results)]
    found = _arrays([node.value for node in found], graph.results)
    for i, (a, b) in enumerate(zip(found, expected)):
        if difference := _difference(a, b):
            raise _first_difference(graph, inputs, lines) or MiscompiledError(
                f"{graph.name}: result {i} differs from that of its operations one by one: {difference}.",
                origin="no single operation differs; they do when they are compiled together",
                fix="if the function is not merely sensitive to rounding, this is a bug of pequegrad: please report it.",
            )
    return results


def _unfused(graph, inputs, wanted):
    """The values of the nodes `wanted` from a program with one instruction per node."""
    code, found, references, n_slots = assembled(graph.nodes, graph.placeholders, wanted)
    constants = [node.value for node in found[len(inputs) :]]
    device = device_of(graph, devices.cpu)
    return library.execute(device, code, n_slots, inputs + constants, references, len(references))


def _first_difference(graph, inputs, lines):
    """The error that names the first node whose compiled value differs; None if there is none."""
    device = device_of(graph, devices.cpu)
    for node in graph.nodes:
        if type(node.aval) is tuple or node.aval.size == 0:
            continue
        alone = graph.remade([node], [], graph.nodes)
        (expected,) = _arrays(_unfused(graph, inputs, [node]), [node])
        (found,) = _arrays(program_of(alone, device).run(inputs), [node])
        if difference := _difference(found, expected):
            return MiscompiledError(
                f"{graph.name}: {node.spec.primitive.name} differs when it is compiled: {difference}.",
                where=lines.get(node),
                origin=f"{node.aval} = {node.spec.primitive.name}({', '.join(map(str, node.spec.inputs))})",
                fix="if the function is not merely sensitive to rounding, this is a bug of pequegrad: please report it.",
            )
    return None


def _arrays(values, nodes):
    return [library.array_to_host(value, node.aval) for value, node in zip(values, nodes)]


def _difference(found, expected):
    """What differs beyond the rounding of a sum in another order, as text; None if nothing does."""
    if not found.size:
        return None
    if dtypes.is_inexact(found.dtype):
        import ml_dtypes  # not with the package: it takes long

        wide = np.complex128 if found.dtype.kind == "c" else np.float64
        a, b = found.astype(wide), expected.astype(wide)
        finite = np.isfinite(b)
        # the root of the dtype's precision, relative to the largest value: what loses more is not merely rounded
        tolerance = float(ml_dtypes.finfo(dtypes.real_of(expected.dtype)).eps) ** 0.5 * max(
            np.abs(b[finite]).max(initial=0), 1e-30
        )
        with np.errstate(invalid="ignore"):
            same = (np.abs(a - b) <= tolerance) | (a == b) | (np.isnan(a) & np.isnan(b))
    else:
        same = found == expected
    if same.all():
        return None
    at = tuple(int(i) for i in np.argwhere(~same)[0])
    return f"{found[at]} instead of {expected[at]} at {list(at)}"
