"""Functions on tensors, composed of primitives. All of them are reachable as pequegrad.NAME."""
