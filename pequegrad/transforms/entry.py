"""One traced graph of a jitted function, and how it is run."""

from sys import getrefcount
from weakref import ref as reference

from ..compiler.export import save_program
from ..compiler.layouts import Layouts
from ..compiler.program import device_of, program_of
from ..core.device import device as devices
from ..core.errors import ArgumentError
from ..core.evaluate import evaluate
from ..core.locks import stateful
from ..core.node import ARRAY, TRACKED, Cut, array, history_of, leaf, same_aval, state
from ..core.tensor import Tensor, tensors_of, wrap
from ..primitives.calls import call
from ..runtime import library
from .control_flow import Closure
from .tree import builder


class Entry:
    """One traced graph, with what must still hold for it to be used again."""

    def __init__(self, name, graph, structure, frame):
        self.graph, self.structure = graph, structure
        self.build = builder(structure)
        self.reason = f"jit of {name}"
        self.guards = frame.guards
        self.modules = [(module, module._structure()) for module in frame.modules.values()]
        self.live_modules = frame.modules
        self.closure = Closure([graph])
        self.closed = self.closure.graphs[0]
        self.state = self.closure.state
        self.captured = [(handle, handle._node.aval) for handle in (*self.closure.constants, *self.state)]
        self.handles = [handle for handle, _ in self.captured]
        self.specs = [array.spec(node.aval) for node in graph.outputs]
        self.flags = ARRAY & state.arguments  # of the results
        self.program, self.layouts, self.runs = None, None, 0
        self.straight = None  # see straight.py
        self.always_current = not (self.guards or self.modules or self.captured or graph.aliases)

    def is_final(self):
        """False if the graph reads a value of a function that is still being traced or differentiated: it serves once."""
        nodes = [handle._node for handle in self.handles]
        if state.gradient_frames and any(node.flags & TRACKED and node.inputs for node in nodes):
            return False
        return all(node.frame is None for node in nodes)

    def is_current(self):
        """True if all that the trace depended on besides its arguments is as it was."""
        for owner, attribute, value in self.guards:
            now = getattr(owner, attribute)
            if now is not value and (isinstance(now, Tensor) or now != value):
                return False
        for handle, aval in self.captured:
            if handle._node.aval is not aval and not same_aval(handle._node.aval, aval):
                return False
        for handle, other in self.graph.aliases:
            if handle._node is not other._node:
                return False
        return all(module._structure() == structure for module, structure in self.modules)

    def apply(self, leaves):
        """The results as lazy tensors: a `call` node in the graph of the transform at work."""
        if state.frame is not None:  # its graph depends on what this one depends on
            state.frame.guards += self.guards
            state.frame.modules.update(self.live_modules)
        self.closure.note_aliases()
        n_state = len(self.state)
        outs = call(*self.closure.constants, *self.state, *leaves, graph=self.closed, barrier=False)
        self.closure.change_state(outs[:n_state])
        return self.structure.unflatten([self._own(x) for x in outs[n_state:]])

    def _own(self, x):
        """A result as what the function returns, an Array or a Tensor: it may depend on no argument that says so."""
        if self.flags & ~x._node.flags:
            x._node.flags |= self.flags
            return wrap(x._node)
        return x

    def run(self, nodes, donated=None):
        """The results for the arguments' nodes (a list, which is used up), computed at once by one program.

        If the entry has state, the caller holds the lock `stateful`. Every call comes along here: it is written for speed.
        """
        if self.handles:
            nodes[:0] = [handle._node for handle in self.handles]
        pointers, sources, deep = [], [], False
        for node in nodes:
            if node.flags & TRACKED:
                sources.append(reference(node))
                if node.inputs or node.cut is not None:
                    deep = True
            if node.value is not None:
                pointers.append(node.value.pointer)
        if sources:
            cut = Cut(self.reason, history_of(nodes) if deep else sources)
            flags = (TRACKED & state.flags_mask) | self.flags
        else:
            cut, flags = None, self.flags
        if self.program is None or len(pointers) < len(nodes):
            pointers = self._prepared(nodes)
        self.runs += 1
        if donated is None:
            # how arguments lie in memory is asked now and then only, until it mattered once
            if self.layouts.variants or not self.runs & (self.runs - 1):
                found = self.layouts.program([node.value for node in nodes])
                values = found[0].run(found[1]) if found else self.program.run_pointers(pointers)
            else:
                values = self.program.run_pointers(pointers)
        else:
            node = None  # references are counted
            values = self._run_donating(nodes, donated)
        if self.state:
            values = self._change_state(values)
        return self.build(tensors_of(values, self.specs, flags, cut))

    def save(self, path):
        """Writes the program to `path`, with the values that captured tensors have now: see compiler/export.py."""
        if self.state:
            raise ArgumentError(
                f"{self.reason}: a saved program cannot change tensors, and this function changes {len(self.state)} from outside.",
                fix="give them as arguments, and return their new values. (Random numbers: use a key.)",
            )
        nodes = [handle._node for handle in self.handles]
        evaluate([node for node in nodes if node.value is None], reader="save()")
        save_program(self.closed, [node.value for node in nodes], device_of(self.closed, devices.cpu), path)

    def run_safely(self, nodes, donated=None):
        """run, with the lock if there is state."""
        if not self.state:
            return self.run(nodes, donated)
        with stateful:
            return self.run(nodes, donated)

    def _prepared(self, nodes):
        """The pointers to the values of the nodes, when some are pending or nothing has been compiled yet."""
        if self.program is None:
            device = device_of(self.closed, devices.cpu)
            program = program_of(self.closed, device)
            self.layouts = self.layouts or Layouts(self.closed, device)
            self.program = program  # last: other threads take it for a sign that all is there
        evaluate([node for node in nodes if node.value is None], reader="a jitted function")
        return [node.value.pointer for node in nodes]

    def _run_donating(self, nodes, donated):
        values = [node.value for node in nodes]
        donated = [False] * len(self.handles) + donated
        donated = [d and _is_sole_owner(nodes, i) and _is_sole_owner(values, i) for i, d in enumerate(donated)]
        given = [d and type(v) is library.DeviceArray for d, v in zip(donated, values)]
        results = self.program.run(values, given)
        for node, gone in zip(nodes, donated):
            if gone:
                node.value = library.DonatedArray(self.reason)
        return results

    def _change_state(self, values):
        """Gives the outer tensors their new values, the first ones; returns the others."""
        for value, handle in zip(values, self.state):
            old = handle._node
            handle._rebind(leaf(value, old.aval, old.flags))
        return values[len(self.state) :]


def _references(items, i):
    return getrefcount(items[i])


def _is_sole_owner(items, i):
    """True if besides this list only one object refers to the i-th item: its tensor, or its node."""
    return _references(items, i) <= _TWO_REFERENCES


_probe = [object()]
_TWO_REFERENCES = _references([_probe[0]], 0)
