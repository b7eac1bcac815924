"""ONNX models: load gives a module that runs, compiles and trains; export writes what pequegrad traced."""

from .model import OnnxModel, load
from .writing import export

__all__ = ["OnnxModel", "export", "load"]
