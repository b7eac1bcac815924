"""f.lower(...): a jitted function for one kind of arguments, before and after compilation."""

from ..compiler import inspect
from ..compiler.program import device_of, program_of
from ..core.device import device as devices
from ..core.errors import ArgumentError
from .arguments import differences


def text_at(entry, stage):
    """The entry's graph after a stage of compilation."""
    if stage not in inspect.STAGES:
        raise ArgumentError(f"There is no stage {stage!r}.", fix=f"the stages are {', '.join(inspect.STAGES)}.")
    return str(inspect.graph_at(stage, entry.graph, entry.closed))


class Lowered:
    """A traced function. `compile()` makes the program."""

    def __init__(self, function, entry, key):
        self._function, self._entry, self._key = function, entry, key

    def as_text(self, stage="traced"):
        """The graph, one line per operation: as traced, simplified (no generated code yet), or fused."""
        return text_at(self._entry, stage)

    def compile(self):
        """A Compiled: the program, for arguments of this kind only."""
        return Compiled(self._function, self._entry, self._key)

    def __repr__(self):
        return f"Lowered({self._entry.graph.name}, {len(self._entry.closed.nodes)} operations)"


class Compiled:
    """A program for one kind of arguments: calling it never traces."""

    def __init__(self, function, entry, key):
        self._function, self._entry, self._key = function, entry, key
        device = device_of(entry.closed, devices.cpu)
        self._program = program_of(entry.closed, device)

    def __call__(self, *args, **kwargs):
        """The results for arguments of the kinds that were given to `lower`; ArgumentError for others.

        Raises ArgumentError, too, if what the function read while it was traced (a module's mode, a captured tensor's
        shape) has changed: lower it again.
        """
        function, entry = self._function, self._entry
        key, leaves, _ = function._key(args, kwargs)
        if key != self._key:
            raise ArgumentError(
                f"{function.name} was compiled for other arguments: {'; '.join(differences(function.function, self._key, key))}.",
                fix="lower it for these, or call the jitted function, which compiles when it must.",
            )
        if not entry.is_current():
            raise ArgumentError(
                f"What {function.name} read while it was traced has changed (a module, its mode, or a captured tensor).",
                fix="lower and compile it again.",
            )
        return entry.run_safely([x._node for x in leaves])

    def as_text(self, stage="fused"):
        """The graph, one line per operation or kernel: see Lowered.as_text."""
        return text_at(self._entry, stage)

    def memory(self):
        """Bytes that a run will take, known before it: a dict with `inputs`, `constants`, `outputs` and `peak`."""
        return self._program.memory()

    def cost_analysis(self):
        """What a run does: a dict with `flops`, `bytes_read`, `bytes_written` and `kernels`; estimates, loops of unknown length count once."""
        found = inspect.kernels(inspect.graph_at("fused", self._entry.graph, self._entry.closed))
        return {**inspect.total_cost([node.spec for node in found])._asdict(), "kernels": len(found)}

    def save(self, path):
        """Writes the program to a file that a C program can load and run (pg_program_load), with the values that captured tensors
        have now. Raises ArgumentError if it changes tensors from outside or calls Python functions.
        """
        self._entry.save(path)

    def explain(self):
        """A text: a line per kernel, where each operation went, which patterns were found."""
        return inspect.explain(self._entry.graph, self._entry.closed)

    def __repr__(self):
        return f"Compiled({self._entry.graph.name})"
