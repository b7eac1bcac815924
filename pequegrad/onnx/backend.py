"""onnx.backend.base.Backend: lets the test-suite of the onnx package, and other tools, run models on pequegrad."""

import numpy as np
import onnx
from onnx.backend.base import Backend, BackendRep, namedtupledict

from ..core.errors import ArgumentError, DeviceError
from ..transforms.jit import jit
from .interpreter import check_operators
from .model import load
from .reading import read
from .values import as_known


class PequegradRep(BackendRep):
    """A model that was prepared."""

    def __init__(self, model, jitted=False):
        self.model = model
        self._outputs = namedtupledict("Outputs", [v.name for v in model.outputs])
        self._program = jit(model) if jitted else model

    def _call(self, inputs):
        """The outputs. Jitted, values that decide on shapes are constants of a program."""
        found = self._program(*(inputs if self._program is self.model else self.model.with_known(inputs)))
        return found if len(self.model.outputs) > 1 else [found]

    def run(self, inputs, **kwargs):
        """The outputs, a named tuple of NumPy arrays (lists for sequences), for a list of arrays, a dict of them by name, or one array."""
        names = [v.name for v in self.model.inputs]
        if isinstance(inputs, dict):
            if set(inputs) != set(names):
                raise ArgumentError(f"The model takes inputs {sorted(names)}, got {sorted(inputs)}.")
            inputs = [inputs[name] for name in names]
        inputs = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        return self._outputs(*(as_known(value) for value in self._call(inputs)))


class PequegradBackend(Backend):
    """prepare(model) -> PequegradRep; run_model(model, inputs); run_node(node, inputs). jitted=True compiles. Models run on the CPU."""

    @classmethod
    def is_compatible(cls, model, device="CPU", **kwargs):
        """Whether all operators are there."""
        try:
            check_operators(read(model))
        except NotImplementedError:
            return False
        return cls.supports_device(device)

    @classmethod
    def prepare(cls, model, device="CPU", jitted=False, **kwargs):
        if not cls.supports_device(device):
            raise DeviceError(f"ONNX models run on the CPU, not on {device}.")
        return PequegradRep(load(model), jitted)

    @classmethod
    def run_model(cls, model, inputs, device="CPU", **kwargs):
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node, inputs, device="CPU", outputs_info=None, *, opset_version=None, **kwargs):
        """The outputs of one node for the inputs that it names; opset_version: of its operator set, by default the newest."""
        version = onnx.defs.onnx_opset_version() if opset_version is None else opset_version
        super().run_node(node, inputs, device, outputs_info, opset_version=version)  # checks it
        arrays = [np.asarray(x) for x in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]
        given = [
            onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
            for n, x in zip(filter(None, node.input), arrays)
        ]
        outputs = [onnx.helper.make_empty_tensor_value_info(n) for n in node.output if n]
        graph = onnx.helper.make_graph([node], "node", given, outputs)
        imports = [onnx.helper.make_opsetid(node.domain, version)]
        return cls.run_model(onnx.helper.make_model(graph, opset_imports=imports), arrays, device, **kwargs)

    @classmethod
    def supports_device(cls, device):
        return device in ("CPU", "CPU:0")


prepare, run_model, run_node = PequegradBackend.prepare, PequegradBackend.run_model, PequegradBackend.run_node
supports_device, is_compatible = PequegradBackend.supports_device, PequegradBackend.is_compatible
