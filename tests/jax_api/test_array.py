"""Arrays: indexing, .at, methods, conversions, protocols, as in JAX."""

import collections
import copy
import gc
import pickle
import sys

import numpy as np
import pytest
import torch

import pequegrad as pg
import pequegrad.jax_api as pj
import pequegrad.jax_api.numpy as jnp
from pequegrad.core import errors

from .expressions import both

# ---- indexing ----------------------------------------------------------------------------------------

READ = """
v[7]; v[-7]; v[-1]; v[np.int64(7)]; v[jnp.array(7)]; v[jnp.array([7, -7, -1])]; v[np.array([0, 1])]; v[(0,)]; v[([0, 1],)]
v[([],)]; v[jnp.array([2], dtype=jnp.int16)]; v[jnp.uint8(3)]; x[jnp.array([255, 1], dtype=jnp.uint8)]; v[range(2)]
v[1.0]; v[np.float32(1)]; v[jnp.array(1.0)]; v[[0, 1]]; v[[]]; v[np.array([])]; v["a"]; x[{"a": 1}]; x[:, jnp.array([1.0])]
v[True]; v[False]; v[jnp.array(True)]; x[True, 0]; x[0, True]; x[..., True]; x[np.array(["a"])]; v[jnp.array([0, 1]), ...]
x[jax.ds(1, 1)]; x[:, jax.ds(jnp.int32(1), 2)]; x[..., jax.ds(2, 2)]; x[0, jax.ds(0, 2, 2)]; v[jax.ds(2)]; v[jax.ds(None)]; v[jax.ds(-2, 2)]
v[jax.ds(0, 6)]; v[jax.ds(1, 0)]; x[jnp.array([0, 1]), jax.ds(1, 2)]; x[None, jax.ds(0, 1)]; jax.jit(lambda i: v[jax.ds(i, 2)])(1)
jax.vmap(lambda i: v[jax.ds(i, 2)])(jnp.arange(3)); v.at[jax.ds(1, 2)].set(9); v.at[jax.ds(1, 2)].get(); x.at[:, jax.ds(1, 2)].add(1.0)
v[2**40]; v[-(2**40)]; x[0, 2**40]; x[None, ..., None]; x[..., ...]; x[0, 0, 0]; x[0, 0, 0, ...]; x[None]; x[()]; x[...]; x[0][1][None, ...]; x[0:5, 1]
v[mask]; v[np.array(mask)]; v[mask[:3]]; v[mask[:3][:, None]]; x[jnp.array([[True, False, True], [False, True, True]])]
x[jnp.array([True, False]), 1]; x[:, jnp.array([True, False, True])]; x[np.ones((2, 3), bool)]; x[jnp.zeros((3, 3), bool)]
x[jnp.array([0, 1]), ::-1]; x[jnp.array([0, 1]), :, None]; x[::0]; x[1.0:2]; x[::2**40]; x[0, jnp.array([1, 2])]
x[jnp.array([1, 0]), jnp.array([1, 2])]; x[jnp.array([[1], [0]]), jnp.array([1, 2])]; x[jnp.array([1, 0, 1]), jnp.array([1, 2])]
x[jnp.array([0, 1]), None, jnp.array([0, 1])]; x[0, None, jnp.array([0, 1])]; x[:, jnp.array(5)]; x[(slice(None), [0, 1])]
none[0]; none[:, 0]; none[jnp.array([], dtype=int)]; v[jnp.array(1):jnp.array(3)]; x[slice(jnp.array(0), None)]
v[3:1]; v[5:10]; v[-10:3]; v[::-2]; v[4:1:-1]; jnp.array(5)[()]; jnp.array(5)[...]; jnp.array(5)[0]; jnp.array(5)[None]
jax.jit(lambda x: x[7])(v); jax.jit(lambda x, i: x[i])(v, 7); jax.jit(lambda x, i: x[i])(v, -6); jax.jit(lambda x, i: x[i:])(v, 1)
jax.jit(lambda x, m: x[m])(v, mask); jax.jit(lambda x: x[np.array([True, False])])(x); jax.jit(lambda x, i: x[i, :, None])(x, 1)
jax.vmap(lambda x, i: x[i])(x, jnp.array([2, 5])); jax.vmap(lambda i: x[i])(jnp.array([[0, 1], [1, 1]]))
jax.grad(lambda x: (x[jnp.array([0, 1, 1])] ** 2).sum())(x); jax.grad(lambda x: x[0, ::2] @ x[1, :2])(x)
"""

AT = """
v.at[7].get(); v.at[7].get(mode="fill"); v.at[7].get(mode="fill", fill_value=-1); v.at[-7].get(mode="fill"); v.at[-1].get(mode="fill")
v.at[-1].get(mode="fill", wrap_negative_indices=False); v.at[-1].get(wrap_negative_indices=False); v.at[1:9].get(mode="fill")
v.at[jnp.array([7, -7])].get(); v.at[jnp.array([7, -7])].get(mode="clip"); v.at[jnp.array([7, -7])].get(mode="drop")
v.at[jnp.array([7, -7])].get(mode="promise_in_bounds"); v.at[jnp.array([7, -7])].get(mode="wrap"); v.at[jnp.array([7])].get(mode=3)
x.at[jnp.array([7, -7])].get(mode="fill"); x.at[jnp.array([7, 0])].get(mode="fill", fill_value=jnp.inf); x.at["a"].get()
(x > 1).at[jnp.array([7, -7])].get(mode="fill"); v.astype(jnp.uint8).at[jnp.array([7])].get(mode="fill"); x.at[1, 5].get(mode="fill")
v.astype(jnp.complex64).at[jnp.array([7])].get(mode="fill"); v.at[2].get(unique_indices=True, indices_are_sorted=True)
v.at[7].set(1); v.at[-7].set(1); v.at[7].set(1, mode="clip"); v.at[7].set(1, mode="promise_in_bounds"); v.at[7].set(1, mode="fill")
v.at[-1].set(1, wrap_negative_indices=False); v.at[jnp.array([-1, 5])].set(9); v.at[0].set(1.5); v.at[0].set(jnp.float32(1.5))
v.at[0].set(1j); v.at[0].set("a"); v.at[0].set(None); v.at[0].set([1]); v.at[0:2].set([1, 2]); v.at[0:2].set((1, 2)); v.at[3].set(True)
v.at[0].set(jnp.array([1])); v.at[0:2].set(jnp.array([1, 2, 3])); v.at[0:2].set(np.array([1, 2])); v.at[0].set(1, foo=2)
mask.at[0].set(5); mask.at[1].add(True); mask.at[0].max(False); mask.at[1].set(True); mask.at[0].add(2); x.at[1.0].set(1); x.at[[0]].set(1)
v.astype(jnp.int8).at[0].add(300); v.astype(jnp.uint8).at[0].add(-1); v.at[0].add(2**40); v.at[0].mul(2.5); x.at[0].mul(jnp.arange(3))
v.at[0].divide(2); v.at[1].divide(2); x.at[1].divide(2); x.at[0].power(2); v.at[2].power(2); v.at[2].power(-1); v.at[2].power(0.5)
v.at[jnp.array([2, 2])].power(2); v.at[jnp.array([2, 2])].multiply(3); v.at[jnp.array([2, 2])].subtract(3); v.at[1].subtract(2)
v.at[jnp.array([2, 2])].min(-3); v.at[jnp.array([2, 2])].max(9); v.at[2].min(1); v.at[jnp.array([2, 2])].apply(lambda t: t + 1)
v.at[jnp.array([2, 7])].apply(lambda t: t * 2); v.at[2:4].apply(lambda t: t * 2); v.at[mask].apply(lambda t: -t); x.at[0].apply(lambda t: t[:1])
v.at[mask].set(0); v.at[mask].add(jnp.array([1, 2, 3])); v.at[()].set(1); jnp.array(3).at[()].add(1); v.at[...].set(2); v.at[True].set(3)
v.at[None].set(2); v.at[None, 1].set(2); x.at[:, 1].set(2); x.at[1, :].set(jnp.arange(3)); x.at[1, 5].set(9); x.at[5, :].set(9)
x.at[::-1, 0].set(jnp.array([7, 8])); x.at[jnp.array([1, 0]), ::2].set(jnp.array([[7, 8], [1, 2]])); x.at[jnp.array([1, 0]), 7].add(5)
x.at[0].add(1, unique_indices=True, indices_are_sorted=True); x.at[jnp.array([0, 0])].set(jnp.array([[1, 2, 3], [4, 5, 6]]))
jnp.array(2).at[()].set(1); jnp.float16(1).at[()].set(1e6); x.at[7].min(-9, mode="clip"); x.at[7].max(9, mode="drop"); x.at[0, 0].subtract(1j)
x.at[7].subtract(9, mode="clip"); x.at[7].mul(9, mode="clip"); x.at[7].power(2, mode="clip"); x.at[7].divide(2, mode="clip")
x.at[-1].add(9, wrap_negative_indices=False); x.at[-1].apply(jnp.sin, wrap_negative_indices=False); x.at[7].apply(jnp.sin, mode="clip")
jax.jit(lambda v, m: v.at[m].set(0))(v, mask); jax.jit(lambda v, i: v.at[i].set(0))(v, 9); jax.jit(lambda v, i: v.at[i].add(i))(v, -1)
jnp.full(3, 1.0).at[1].set(x[0, 0]); jnp.full(3, 1.0).at[jnp.array([1])].add(x[0, :1]); jnp.full(3, 1.0).at[1:].min(2.0)
jax.vmap(lambda x, i: x.at[i].set(9))(x, jnp.array([2, 5])); jax.vmap(lambda i: v.at[i].add(1))(jnp.array([[0, 0], [1, 8]]))
jax.grad(lambda x: (x.at[0].set(2.0) ** 2).sum())(x); jax.grad(lambda t: (x.at[0].add(t) ** 2).sum())(jnp.float32(3))
jax.grad(lambda x: (x.at[0, 1].multiply(3.0) ** 2).sum())(x); jax.grad(lambda x: (x.at[jnp.array([1])].max(3.5) * x).sum())(x)
"""

METHODS = """
(x * 1j + x[::-1]) < x; (x * 1j) >= 0; 0 > (x * 1j); jnp.array([1 + 2j, 3]) <= np.array([1 + 1j, 4]); mask - mask; mask - True; True - mask
np.array([True]) - mask; mask - 1; mask - 1.5; jax.jit(lambda c: c < c[::-1])(x * 1j); jnp.bfloat16(2) - jnp.bfloat16(3)
float(x); bool(x); bool(none); bool(jnp.array([1.0])); float(jnp.array([1.0])); int(jnp.array([[1.0]])); complex(jnp.array(1.0))
float(jnp.array(1j)); int(jnp.array(2.7)); int(jnp.array(1j)); bool(jnp.array(0.0)); len(jnp.array(1)); iter(jnp.array(1)); list(v)
operator.index(jnp.array(1.0)); operator.index(jnp.array(1)); operator.index(jnp.array([1])); operator.index(jnp.array(True))
hex(jnp.array(11)); x.item(); x.item(1); x.item(0, 2); x.item((1, 1)); x.item(7); x.item(-1); jnp.bfloat16(3).item(); x.tolist()
jnp.array(1).tolist(); x.tobytes(); x.flat; x.itemsize; x.nbytes; x.size; x.ndim; len(x); x.shape; jnp.bfloat16([3]).tolist()
x == None; x != None; x == "a"; x < None; x < "a"; x + None; x + [1]; x == [1]; [1] + x; None == x; (1,) == x; x * {}; x @ None
x.astype("int32"); x.astype(jnp.int32, copy=True, device=None); x.astype(None); x.astype("float64"); x.astype(float); x.astype("U3")
jnp.array(1 + 2j).astype("float32"); jnp.array(1 + 2j).astype(bool); jnp.array(1).astype(jnp.int32); jnp.array(1.0).astype(float)
jnp.array([300.0, -5.0, jnp.nan]).astype(jnp.uint8); jnp.array([1.5, 0.0, -0.0]).astype(bool); jnp.array([3e9, -3e9]).astype(jnp.int32)
x.view("int32"); x.view(); x.view(jnp.int8); x.view(jnp.complex64); x.view(jnp.float16); x.view(jnp.bool); mask.view("uint8")
jnp.array([1 + 2j]).view("float32"); jnp.float32(1).view("int8"); jnp.float32(1).view("int32"); x.view(type=np.matrix); x.byteswap()
v.astype("uint8").view("uint16"); jnp.arange(4, dtype="uint8").view("uint16"); jnp.array([1 + 2j]).byteswap()
x.reshape(3, 2); x.reshape((3, -1)); x.reshape(-1); x.reshape([6]); x.reshape(2, jnp.array(3)); x.flatten(); x.ravel()
x.transpose(1, 0); x.transpose((1, 0)); x.transpose(None); x.transpose([1, 0]); x.transpose(); x.T; x.mT; jnp.ones(3).mT; x.transpose(-1, 0)
x.real; x.imag; jnp.array([1 + 2j]).real; jnp.array([1 + 2j]).imag; 2 in x; 2 in v; 9 in v; round(x); divmod(v, 2); divmod(7, v + 1)
f"{x[0, 1]:.2f}"; f"{x}"; f"{x:.2f}"; f"{jnp.array(3):03d}"; f"{jnp.array(3):>5}"; str(jnp.array(1.5)); str(v)
repr(jnp.array(True)); repr(jnp.bfloat16(1.5)); repr(jnp.zeros((0, 3))); repr(jnp.zeros(2000)); repr(jnp.array(1 + 2j)); repr(x)
x.sum(1); x.sum(axis=0, keepdims=True); x.mean(0); x.max(initial=9.0); x.min(1); x.prod(dtype=int); x.var(ddof=1); x.std(1, ddof=1); x.all(1); x.any()
x.argmax(1); x.argmin(); x.argsort(descending=True); x.sort(axis=0); x.cumsum(1); x.cumprod(); x.clip(1, 3); x.clip(max=2); x.round(1); x.conj()
x.conjugate(); x.diagonal(offset=1); x.trace(); x.dot(x.T); x.nonzero(); x.ptp(axis=1); x.repeat(2, axis=1); x.squeeze(); x.swapaxes(0, 1)
x.take(jnp.array([5, 0])); x.take(1, axis=1); v.searchsorted(2.5, side="right"); v.choose(v[:, None] + v, mode="wrap"); x.argpartition(1)
v.compress(mask); x.compress(jnp.array([True, False]), axis=0); v.compress(mask, size=4, fill_value=9); x.sum(out=x); x.ravel("F"); x.flatten("F")
x.reshape(3, 2, order="F"); x.reshape(2, 3, order="A"); x.reshape(4); x.reshape(-1, -1); x.reshape(); x.transpose(0); round(x, 1)
x.is_fully_addressable; x.is_fully_replicated; x.committed; x.is_deleted(); x.is_ready(); x.block_until_ready(); x.copy_to_host_async()
x.on_device_size_in_bytes(); x.aval.shape; x.aval.dtype; x.aval.weak_type; jnp.array(1).aval.weak_type; x.aval.str_short(); repr(x.aval)
x.platform(); x.device_buffer; x.clone(); x.copy(); x.addressable_data(0); x.addressable_shards[0].index; x.global_shards[0].data
x.__array_namespace__(api_version="2024.12") is jnp; x.__array_namespace__(api_version="1"); x.to_device("cpu"); len(x.devices())
np.asarray(x).flags.writeable; np.array(x).flags.writeable; np.asarray(x, dtype="int8"); np.asarray(x, copy=False).flags.writeable
np.sin(x); np.ones(3) * x; x * np.ones(3); np.float64(2) * x; x + np.float64(1); np.add(x, x); np.concatenate([x, x]); np.ones(2) == v[:2]
jnp.ones(2, "int8") + 300; 300 - jnp.ones(2, "int8"); jnp.ones(2, "int8") + 2**40; jnp.ones(2, "uint8") - 1; jnp.uint8(3) > 300
jnp.uint32(3) + jnp.int32(-4); jnp.uint32(3) * jnp.int8(2); jnp.array(1) + jnp.int8(1); jnp.array(1.0) + jnp.bfloat16(1); x * True
"""


def expressions(text):
    return [part.strip() for line in text.strip().splitlines() for part in line.split("; ")]


@pytest.mark.parametrize("expression", expressions(READ))
def test_reading(expression):
    both(expression)


@pytest.mark.parametrize("expression", expressions(AT))
def test_at(expression):
    both(expression)


@pytest.mark.parametrize("expression", expressions(METHODS))
def test_methods(expression):
    both(expression)


def test_what_jax_fails_at():
    """JAX raises AssertionError for NumPy's booleans, and OverflowError since 300 is no int8."""
    v = jnp.arange(300)
    assert v[np.True_].shape == (1, 300)
    assert v[jnp.array([-1, 100], dtype=jnp.int8)].tolist() == [299, 100]


def test_at_has_methods_only_with_an_index():
    x = jnp.ones(3)
    assert not hasattr(x.at, "set")
    assert "[0]" in repr(x.at[0])


# ---- what an Array is --------------------------------------------------------------------------------


def test_arrays_are_unhashable():
    x = jnp.ones(3)
    assert not isinstance(x, collections.abc.Hashable)
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)
    with pytest.raises(TypeError, match="unhashable"):
        pj.jit(lambda x: hash(x))(x)


def test_arrays_are_made_by_functions():
    with pytest.raises(TypeError):
        pj.Array([1.0])
    assert isinstance(jnp.ones(2), pj.Array) and jnp.ndarray is pj.Array
    seen = []
    pj.jit(lambda x: seen.append(isinstance(x, pj.Array)) or x)(1.0)
    assert seen == [True]


@pytest.mark.parametrize(
    "how", (copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x)), jnp.array, jnp.copy)
)
@pytest.mark.parametrize("value", (1.5, np.float32([[1, 2]]), np.int8(3), jnp.bfloat16))
def test_copies(how, value):
    x = jnp.bfloat16([1, 2]) if value is jnp.bfloat16 else jnp.asarray(value)
    y = how(x)
    assert type(y) is pj.Array and y is not x
    assert (y.dtype, y.weak_type, y.shape) == (x.dtype, x.weak_type, x.shape)
    np.testing.assert_array_equal(np.asarray(y), np.asarray(x))


def test_delete():
    x = jnp.arange(3)
    later, same = x + 1, x.copy()
    x.delete()
    assert x.is_deleted() and "deleted" in repr(x) and x.shape == (3,)
    with pytest.raises(RuntimeError):
        np.asarray(x)
    with pytest.raises(RuntimeError):
        (x + 1).block_until_ready()
    assert later.tolist() == [1, 2, 3] and same.tolist() == [0, 1, 2]


def test_donated_arrays_are_deleted():
    double = pj.jit(lambda x: x * 2, donate_argnums=0)
    x = jnp.arange(3.0).block_until_ready()
    double(x)
    assert x.is_deleted() or double(x).shape == (3,)
    y = jnp.arange(3.0).block_until_ready()
    view = np.asarray(y)
    double(y), double(y)
    assert view.tolist() == [0, 1, 2]  # memory that NumPy looks at is not reused


# ---- values that are not known yet -------------------------------------------------------------------

TRACED = {
    "bool": (lambda x: 1 if x[0] > 0 else 2, errors.TracerBoolConversionError),
    "while": (lambda x: bool(x[0]), errors.ConcretizationTypeError),
    "float": (lambda x: float(x[0]), errors.ConcretizationTypeError),
    "int": (lambda x: int(x[0]), errors.ConcretizationTypeError),
    "complex": (lambda x: complex(x[0]), errors.ConcretizationTypeError),
    "item": (lambda x: x[0].item(), errors.ConcretizationTypeError),
    "tolist": (lambda x: x.tolist(), errors.ConcretizationTypeError),
    "index": (lambda x: [1, 2][x[0].astype(int)], errors.TracerIntegerConversionError),
    "range": (lambda x: range(x[0].astype(int)), errors.TracerIntegerConversionError),
    "asarray": (lambda x: np.asarray(x), errors.TracerArrayConversionError),
    "sin": (lambda x: np.sin(x), errors.TracerArrayConversionError),
    "mask": (lambda x: x[x > 1], errors.NonConcreteBooleanIndexError),
    "scalar mask": (lambda x: x[x[0] > 1], errors.NonConcreteBooleanIndexError),
    "arange": (lambda x: jnp.arange(x[0]), errors.ConcretizationTypeError),
    "slice": (lambda x: x[: x[0].astype(int)], IndexError),
    "zeros": (lambda x: jnp.zeros(x[0].astype(int)), TypeError),
}


@pytest.mark.parametrize("transform", ("jit", "vmap"))
@pytest.mark.parametrize("name", TRACED)
def test_errors_of_traced_values(name, transform):
    function, error = TRACED[name]
    wrapped = getattr(pj, transform)(function)
    with pytest.raises(error) as caught:
        wrapped(jnp.ones((2, 3)) if transform == "vmap" else jnp.ones(3))
    assert isinstance(caught.value, IndexError if name == "slice" else TypeError)


def test_errors_share_jax_classes():
    import jax

    for name in ("ConcretizationTypeError", "TracerBoolConversionError", "TracerIntegerConversionError",
                 "TracerArrayConversionError", "UnexpectedTracerError", "NonConcreteBooleanIndexError"):  # fmt: skip
        ours, theirs = getattr(errors, name), getattr(jax.errors, name)
        builtin = next(c for c in theirs.__mro__ if c.__module__ == "builtins")
        assert issubclass(ours, builtin)
    assert issubclass(errors.TracerBoolConversionError, errors.ConcretizationTypeError)


def test_values_that_leak():
    kept = []
    pj.jit(lambda x: kept.append(x) or x)(1.0)
    with pytest.raises(errors.UnexpectedTracerError):
        kept[0] + 1
    with pytest.raises(errors.UnexpectedTracerError):
        pj.jit(lambda x: x + kept[0])(1.0)


def test_grad_may_look_at_values():
    assert pj.grad(lambda x: x * x if x > 0 and int(x) < 5 else x)(3.0) == 6


# ---- DLPack ------------------------------------------------------------------------------------------

SHARED = ("bool", "int8", "uint8", "int16", "int32", "float16", "bfloat16", "float32", "complex64")


@pytest.mark.parametrize("dtype", SHARED)
def test_memory_is_shared_with_torch(dtype):
    x = jnp.array([[1, 0, 2], [3, 4, 5]], dtype=dtype)
    t = torch.from_dlpack(x)
    assert t.data_ptr() == x.unsafe_buffer_pointer() and tuple(t.shape) == (2, 3)
    for theirs, ours in ((t, x), (t.T, x.T), (t[:, 1:], x[:, 1:]), (t[0, 0], x[0, 0]), (t[:0], x[:0])):
        y = jnp.from_dlpack(theirs)
        assert type(y) is pj.Array and y.dtype == x.dtype and y.shape == ours.shape
        assert not y.size or y.unsafe_buffer_pointer() == theirs.data_ptr()
        np.testing.assert_array_equal(np.asarray(y), np.asarray(ours))
        np.testing.assert_array_equal(np.asarray(y == ours), True)


def test_memory_is_shared_with_numpy():
    x = jnp.arange(6.0).reshape(2, 3)
    for view in (np.from_dlpack(x), np.asarray(x)):
        assert view.ctypes.data == x.unsafe_buffer_pointer() and not view.flags.writeable
    a = np.arange(6, dtype=np.float32)[::2]
    y = pj.dlpack.from_dlpack(a)
    assert y.unsafe_buffer_pointer() == a.ctypes.data
    a[0] = 7
    assert y[0] == 7  # as in JAX: who shares memory must not change it
    copied = jnp.from_dlpack(a, copy=True)
    a[0] = 8
    assert copied[0] == 7
    assert x.__dlpack_device__() == (1, 0)
    assert np.from_dlpack(jnp.zeros((0, 2))).shape == (0, 2)


def test_shared_memory_lives_as_long_as_anybody_uses_it():
    a = np.arange(1000, dtype=np.float32)
    before = sys.getrefcount(a)
    y = jnp.from_dlpack(a)
    part = y[10:20]
    part.block_until_ready()
    del y
    gc.collect()
    assert sys.getrefcount(a) > before and part.tolist() == list(range(10, 20))
    del part
    gc.collect()
    assert sys.getrefcount(a) == before
    x = jnp.arange(1000.0) * 2
    views = torch.from_dlpack(x), np.asarray(x), np.from_dlpack(x)
    del x
    gc.collect()
    jnp.ones(1000).block_until_ready()  # would take the memory, had it been freed
    for view in views:
        assert view[-1] == 1998


def test_foreign_memory_is_never_written_to():
    t = torch.arange(4.0)
    f = pj.jit(lambda x: (x * 2, x + 1), donate_argnums=0)
    for _ in range(3):
        f(jnp.from_dlpack(t))
    x = jnp.from_dlpack(t)
    for _ in range(3):
        x = x + 1
    assert x.tolist() == [3, 4, 5, 6] and t.tolist() == [0, 1, 2, 3]


def test_foreign_arrays_of_other_kinds():
    assert jnp.from_dlpack(torch.arange(3.0).double()).dtype == np.float32
    assert jnp.from_dlpack(np.zeros(9, np.uint8)[1:].view(np.float32)).tolist() == [0, 0]  # not aligned: a copy
    with pytest.raises(TypeError):
        jnp.from_dlpack([1, 2])
    x = jnp.ones(2)
    assert jnp.from_dlpack(x) is x and jnp.from_dlpack(x, copy=True) is not x
    capsule = x.__dlpack__()
    assert pj.dlpack.is_supported_dtype("float32") and not pj.dlpack.is_supported_dtype("U3")
    assert "dltensor" in repr(capsule)


# ---- beside Tensors ----------------------------------------------------------------------------------


def test_tensors_keep_their_own_manners():
    t = pg.Tensor([1.0, 2.0])
    assert hash(t) == hash(t) and not isinstance(t[0], pj.Array)
    with pytest.raises(pg.errors.PequegradError):
        t.astype(pg.dt.int8) + 300
    assert (t.astype(pg.dt.uint32) + pg.Tensor([1, 2]).astype(pg.dt.int32)).dtype == np.int64
    with pytest.raises(IndexError):
        t[7]
