"""Variations of three plain cases, to see that nothing is fitted to those: prime sizes, an inserted operation, transposed
inputs, bfloat16. Each is judged by its time per byte of inputs and results against the plain case's."""

import numpy as np

from . import CASES, Case, normal, random

CONTESTANTS = ("pequegrad", "unfused", "jax", "torch")
BASES = {"elementwise": (4000, 1000), "softmax": (4096, 1000), "layer_norm": (4096, 768)}
PRIMES = {"elementwise": (4001, 997), "softmax": (4093, 997), "layer_norm": (4093, 769)}
TRANSPOSED = {"elementwise": 3, "softmax": 1, "layer_norm": 1}  # so many of the arguments are matrices


def formula(name, lib, inserted):
    """The function of the arguments that `data` makes; inserted: one cheap operation more, in the middle."""
    m = lib.m
    extra = (lambda x: m.abs(x * 1.5)) if inserted else (lambda x: x)
    if name == "elementwise":
        return lambda x, y, z: m.log(x) + y + m.exp(m.log(extra(m.exp(z))))
    if name == "softmax":
        return lambda x: lib.softmax(extra(x))
    return lambda x, w, b: lib.layer_norm(extra(x), w, b)


def data(name, shape):
    rng = random()
    if name == "elementwise":
        return [np.abs(normal(rng, *shape)) + np.float32(0.1) for _ in range(3)]
    matrix, rows = normal(rng, *shape), [normal(rng, shape[1]) for _ in range(2)]
    return [matrix] if name == "softmax" else [matrix, *rows]


def builder(name, kind):
    shape = PRIMES[name] if kind == "prime" else BASES[name]
    dtype = "bfloat16" if kind == "bfloat16" else None

    def build(lib):
        f, arrays = formula(name, lib, kind == "inserted"), data(name, shape)
        if kind != "transposed":
            return lib.jit(f), tuple(lib.tensor(a, dtype) for a in arrays)
        n = TRANSPOSED[name]
        g = lambda *args: f(*(x.T for x in args[:n]), *args[n:])
        return lib.jit(g), lib.tensors(*(np.ascontiguousarray(a.T) for a in arrays[:n]), *arrays[n:])

    build.__doc__ = f"{name} of {shape}, {kind}."
    return build


for name in BASES:
    for kind in ("plain", "prime", "inserted", "transposed", "bfloat16"):
        case_name = f"{name}_{kind}"
        CASES[case_name] = Case(
            case_name, builder(name, kind), "held-out", CONTESTANTS,
            # bfloat16: a compiler may keep float32 between operations, or round as the eager operations do
            tolerance=0.03 if kind == "bfloat16" else 1e-4,
            like=None if kind == "plain" else f"{name}_plain",
        )  # fmt: skip
