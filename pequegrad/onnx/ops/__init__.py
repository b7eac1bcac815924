"""The operators of ONNX, one file per family; each is a function, see registry.op."""
