"""The Python code of a call, written out for its numbers of arguments and results.

At a few microseconds a call, loops over one or two things and the calls of functions are most of the time. For
functions of a few tensors that depend on nothing else, the way of `jit.__call__` through `Entry.run` is therefore written
as straight code. It does what these do, or returns None and leaves the call to them.
"""

import functools
from weakref import ref

from ..core.node import TRACKED, Cut, Node, history_of, next_number, state
from ..core.tensor import class_of
from ..runtime import library

_MOST = 8  # arguments, and results


def straight_call(entry):
    """A function from a tuple of arguments to the results, or to None if these are not such as the entry is for.

    None in place of the function if the entry is not a case for it. The entry must have been run.
    """
    n_args, n_results = len(entry.graph.inputs), len(entry.specs)
    if not entry.structure.is_leaf() and entry.build not in (tuple, list):
        return None  # a tree of more than one level, a dict, a named tuple
    if not (entry.always_current and 0 < n_args <= _MOST and 0 < n_results <= _MOST):
        return None
    container = "" if entry.structure.is_leaf() else entry.build.__name__
    return _maker(n_args, n_results, container)(entry, [node.aval for node in entry.graph.inputs])


@functools.cache
def _maker(n_args, n_results, container):
    args, results = range(n_args), range(n_results)

    def each(text, numbers, separator=", "):
        return separator.join(text.format(i=i) for i in numbers)

    built = {"": "tensor0", "tuple": f"({each('tensor{i},', results, ' ')})", "list": f"[{each('tensor{i}', results)}]"}
    source = _CALL.format(
        avals=each("aval{i}", args), specs=each("spec{i}", results), arguments=each("x{i}", args),
        nodes=each("node{i}", args), taken=each("x{i}._node", args),
        unlike=each("node{i}.aval is not aval{i}", args, " or "),
        pointers=each("node{i}.value.pointer", args), flags=each("node{i}.flags", args, " | "),
        deep=each("node{i}.inputs or node{i}.cut is not None", args, " or "), sources=each("ref(node{i})", args),
        made=each(_RESULT, results, ""), built=built[container],
    )  # fmt: skip
    namespace = {
        "TRACKED": TRACKED, "Cut": Cut, "Node": Node, "class_of": class_of, "DeviceArray": library.DeviceArray,
        "history_of": history_of, "library": library, "next_number": next_number, "new": object.__new__, "ref": ref,
        "state": state,
    }  # fmt: skip
    exec(source, namespace)
    return namespace["make"]


_CALL = """
def make(entry, avals):
    {avals}, = avals
    {specs}, = entry.specs
    reason, program, new_outputs = entry.reason, entry.program, library.ffi.new
    own_flags, kind = entry.flags, class_of(entry.flags)
    outputs_type, address = program._outputs, program.pointer
    run, left, until = library.lib.pg_program_run, 1, 1

    def call(args):
        nonlocal left, until
        left -= 1
        if left < 1:  # now and then Entry.run looks at how arguments lie in memory: see layouts.py
            left = until = 2 * until
            return None
        try:
            {arguments}, = args
            {nodes} = {taken}
            if {unlike}:
                return None
            pointers = ({pointers},)
        except (AttributeError, ValueError):
            return None
        if ({flags}) & TRACKED:
            sources = history_of(({nodes},)) if {deep} else [{sources}]
            cut = new(Cut)
            cut.reason, cut.sources = reason, sources
            flags = (TRACKED & state.flags_mask) | own_flags
        else:
            cut, flags = None, own_flags
        outputs = new_outputs(outputs_type)
        status = run(address, pointers, outputs)
        if status:
            library.check(status)
{made}        return {built}

    call.program = program  # lives as long: another thread may give the entry another one
    return call
"""

_RESULT = """        value = new(DeviceArray)
        value.pointer = outputs[{i}]
        node = new(Node)
        node.spec, node.aval, node.inputs = spec{i}, spec{i}.aval, ()
        node.value, node.number, node.flags = value, next_number(), flags
        node.depth, node.cut = 0, cut
        node.frame = node.replacement = None
        tensor{i} = new(kind)
        tensor{i}._node = node
"""
