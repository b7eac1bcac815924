"""ONNX models: load gives a module that runs, compiles and trains."""

from .model import OnnxModel, load

__all__ = ["OnnxModel", "load"]
