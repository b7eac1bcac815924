"""Values of a function that is being differentiated may decide and index, but not go on as constants: as in JAX."""

import math

import jax
import numpy as np
import pytest

import pequegrad.jax_api as pj

READS = {
    "float": lambda jax, x: x * float(x), "complex": lambda jax, x: x * abs(complex(x)), "tolist": lambda jax, x: x * x.tolist(),
    "math": lambda jax, x: x * math.sqrt(x), "asarray": lambda jax, x: x * np.asarray(x), "ufunc": lambda jax, x: jax.numpy.asarray(np.sin(x)),
    "np.float32": lambda jax, x: x * np.float32(x), "int": lambda jax, x: x * int(x), "bool": lambda jax, x: x * bool(x), "item": lambda jax, x: x * x.item(),
    "compared": lambda jax, x: x if x > 0 else -x, "argmax": lambda jax, x: x * int(jax.numpy.stack([x, x]).argmax()),
    "stopped": lambda jax, x: x * float(jax.lax.stop_gradient(x)), "device_get": lambda jax, x: x * jax.device_get(x),
    "np.mean": lambda jax, x: x * np.mean(x), "inner": lambda jax, x: jax.grad(lambda y: y * float(x))(2.0),
    "of another": lambda jax, x: x * float(jax.vjp(lambda y: y * y, 2.0)[0]), "jitted": lambda jax, x: jax.jit(lambda y: y * y)(x),
    "deeper": lambda jax, x: x * float(jax.numpy.sin(x * 2).reshape(1)[0]),
}  # fmt: skip
TRANSFORMS = {
    "grad": lambda jax, f, x: jax.grad(lambda x: f(x) * 1.0)(x), "jvp": lambda jax, f, x: jax.jvp(f, (x,), (x,))[1],
    "linearize": lambda jax, f, x: jax.linearize(f, x)[1](x), "vjp": lambda jax, f, x: jax.vjp(f, x)[1](x)[0],
}  # fmt: skip


def outcome(jax, transform, read):
    try:
        return float(TRANSFORMS[transform](jax, lambda x: READS[read](jax, x), jax.numpy.float32(4.0)))
    except Exception as error:
        return type(error).__name__


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("read", READS)
def test_agrees(read, transform):
    assert outcome(pj, transform, read) == pytest.approx(outcome(jax, transform, read))


def test_rules_may_read():
    """What a rule of the user's own does to values has no derivative anyway."""

    @pj.custom_vjp
    def sine(x):
        return pj.numpy.asarray(np.sin(x))

    sine.defvjp(lambda x: (pj.numpy.asarray(np.sin(x)), float(x)), lambda x, ct: (ct * math.cos(x),))
    assert pj.grad(sine)(1.0) == pytest.approx(math.cos(1.0))

    @pj.custom_jvp
    def double(x):
        return 2 * x

    double.defjvp(lambda primals, tangents: (double(primals[0]), tangents[0] * float(primals[0])))
    assert pj.grad(double)(3.0) == 3.0


def test_the_message_says_what_to_do():
    with pytest.raises(
        pj.errors.ConcretizationTypeError,
        match=r"float\(\) of float32\[\], which is being differentiated[^$]*fix:[^$]*stop_gradient",
    ):
        pj.grad(lambda x: x * float(x))(1.0)
    x = pj.numpy.ones(3)
    pj.grad(lambda x: x.sum())(x)
    assert float(x[0]) == 1.0 and x.tolist() == [1.0] * 3
