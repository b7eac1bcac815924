"""How primitives are written as ONNX: a rule per primitive, by families. See docs/onnx.md, Writing."""
