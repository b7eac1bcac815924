"""dtypes: scalar types, promotion, limits, jax.dtypes, jax.typing, as in JAX."""

import pickle
import subprocess
import sys
import typing

import jax
import ml_dtypes
import numpy as np
import pytest
from conftest import FULL

import pequegrad.jax_api as pj
import pequegrad.jax_api.numpy as jnp
from pequegrad.core.dtype import NAMES

from .expressions import both

ASKED = """
isinstance(np.float32(1), jnp.float32); isinstance(jnp.float32(1), jnp.float32); jnp.float32(1); jnp.float32([1, 2]); jnp.int32(2.7)
jnp.bool_(1); jnp.float64(1); jnp.float32 == np.float32; jnp.float32 == np.dtype("float32"); jnp.float32 == "float32"; jnp.float32 != jnp.int8
hash(jnp.float32) == hash(np.float32); np.dtype(jnp.float32); jnp.float32.dtype; issubclass(jnp.float32, np.generic); jnp.float32()
jnp.float32.__name__; isinstance(jnp.float32, type); jnp.bool is jnp.bool_; x.dtype == jnp.float32; x.dtype != jnp.int32; np.dtype(jnp.bfloat16)
np.zeros(2, jnp.int8); x.dtype in (jnp.float32, jnp.int8); x.astype(jnp.uint8).dtype; jnp.int_.dtype; jnp.uint.dtype; jnp.float_.dtype
jnp.complex_.dtype; jnp.single.dtype; jnp.double.dtype; jnp.csingle.dtype; jnp.cdouble.dtype; jnp.uint8(-1); jnp.uint8(300); jnp.bfloat16(1.001)
jnp.complex64(1); jnp.int8(True); jnp.float16([[1], [2]]); jnp.int32(2**40); jnp.float32(x) is x
float(jnp.finfo(jnp.float32).eps); float(jnp.finfo(jnp.bfloat16).max); float(jnp.finfo(x).tiny); jnp.finfo(int); jnp.finfo(float).dtype
jnp.finfo(jnp.complex64).dtype; jnp.finfo("float16").bits; jnp.finfo(jnp.bfloat16).dtype; jnp.iinfo(jnp.int32).max; jnp.iinfo("uint8").min
jnp.iinfo("float32"); jnp.iinfo(int).bits; jnp.iinfo(jnp.int8).dtype; float(jnp.finfo(jnp.float32).smallest_subnormal); jnp.iinfo(jnp.bool_)
jnp.result_type(1, 2.0); jnp.result_type(x, np.float64(1)); jnp.result_type("int64", jnp.float16); jnp.result_type([1, 2]); jnp.result_type()
jnp.result_type(None); jnp.result_type(int, jnp.int8); jnp.result_type(1, jnp.int8(1)); jnp.result_type(True, 1); jnp.result_type(jnp.array(1), 1.5)
jnp.result_type(bool); jnp.result_type(jnp.uint32, jnp.int32); jnp.result_type("a"); jnp.promote_types(int, jnp.int8); jnp.promote_types("float64", "int8")
jnp.promote_types("int32", "uint32"); jnp.promote_types(int, float); jnp.promote_types("int64", "uint64"); jnp.promote_types(jnp.bfloat16, "float16")
jnp.promote_types(bool, bool); jnp.can_cast("int32", "int8"); jnp.can_cast("int8", jnp.int32, casting="same_kind")
jnp.isdtype(jnp.float32, ("real floating", "integral")); jnp.isdtype("bfloat16", "real floating"); jnp.isdtype(jnp.float32, jnp.float32)
jnp.isdtype(x.dtype, "foo"); jnp.isdtype("int8", "signed integer"); jnp.isdtype("uint8", "integral"); jnp.isdtype(bool, "bool"); jnp.isdtype(bool, "numeric")
jnp.isdtype("complex64", "complex floating"); jnp.isdtype("int8", ("bool", "int16")); jnp.issubdtype(x.dtype, float); jnp.issubdtype(int, jnp.integer)
jnp.issubdtype(jnp.bfloat16, jnp.floating); jnp.issubdtype(jnp.bfloat16, np.inexact); jnp.issubdtype(jnp.bfloat16, np.integer); jnp.issubdtype("int32", "int64")
jnp.issubdtype(None, jnp.floating); jnp.issubdtype(jnp.float32, jnp.float32); jnp.issubdtype(jnp.uint8, jnp.unsignedinteger); jnp.issubdtype(bool, jnp.integer)
jnp.issubdtype(jnp.complex64, jnp.complexfloating); jnp.issubdtype(np.int8, jnp.signedinteger); jnp.issubdtype(jnp.float32, jnp.generic)
jnp.issubdtype(x.dtype, jax.dtypes.prng_key); jnp.issubdtype(jax.dtypes.prng_key, jax.dtypes.extended); jnp.issubdtype("foo", jnp.integer)
jnp.isscalar(1.0); jnp.isscalar(jnp.array(1)); jnp.isscalar(np.ones(())); jnp.isscalar("a"); jnp.isscalar([1]); jnp.isscalar(np.float32(1)); jnp.isscalar(x)
jnp.iscomplexobj(x); jnp.iscomplexobj(1j); jnp.iscomplexobj(jnp.array(1j)); jnp.isrealobj(x); jnp.isrealobj([1j]); jnp.iscomplexobj(None)
jnp.astype(x, int); jnp.astype(x, "int8", copy=True); jnp.astype(1, float); jnp.astype([1], float); jnp.astype(jnp.array(1), None)
jnp.astype(jnp.array(1 + 1j), float); jnp.astype(x, "int64"); jnp.astype(x, jnp.int8, device=x.device); jnp.astype(x, x.dtype, copy=True) is x
jax.grad(lambda a: jnp.astype(a, jnp.bfloat16).sum().astype(jnp.float32))(x); jnp.array_str(x, precision=2); jnp.array_repr(v, max_line_width=20)[:5]
jnp.shape([1, 2]); jnp.shape(x); jnp.ndim(3); jnp.ndim([[1]]); jnp.size(x); jnp.size(x, 0); jnp.size(x, (0, 1)); jnp.size(x, 5); jnp.size(x, (0, 0))
jnp.iterable(x); jnp.iterable(jnp.array(1)); jnp.iterable(3); jnp.inexact; jnp.number; jnp.integer; jnp.floating; jnp.signedinteger; jnp.dtype
jnp.newaxis; jnp.pi; jnp.e; jnp.inf; jnp.isscalar(jnp.nan); jnp.euler_gamma; jnp.ComplexWarning; jnp.generic; jnp.object_; jnp.character; jnp.flexible
jax.dtypes.canonicalize_dtype("float64"); jax.dtypes.canonicalize_dtype(int); jax.dtypes.canonicalize_dtype(jnp.int8); jax.dtypes.bfloat16
jax.dtypes.float0; jax.dtypes.scalar_type_of(1); jax.dtypes.scalar_type_of(x); jax.dtypes.scalar_type_of(True); jax.dtypes.scalar_type_of(1j)
jax.dtypes.scalar_type_of("a"); jax.dtypes.itemsize_bits("int8"); jax.dtypes.itemsize_bits(bool); jax.dtypes.itemsize_bits(None); jax.dtypes.itemsize_bits("complex64")
jax.dtypes.result_type(1, 2.5, return_weak_type_flag=True); jax.dtypes.result_type(x, 1, return_weak_type_flag=True); jax.dtypes.result_type(jnp.int8, 2)
jax.dtypes.issubdtype(jnp.bfloat16, np.floating); issubclass(jax.dtypes.TypePromotionError, ValueError); jax.dtypes.iinfo("int8").max; jnp.__array_api_version__
jnp.__array_namespace_info__().default_dtypes(); sorted(jnp.__array_namespace_info__().dtypes()); jnp.__array_namespace_info__().dtypes(kind="foo")
jnp.__array_namespace_info__().dtypes(kind="integral"); jnp.__array_namespace_info__().dtypes(kind=("bool", "real floating")); jnp.__array_namespace_info__().default_device()
"""


def expressions(text):
    return [part.strip() for line in text.strip().splitlines() for part in line.split("; ")]


@pytest.mark.parametrize("expression", expressions(ASKED))
def test_what_is_asked_of_dtypes(expression):
    both(expression)


@pytest.mark.skipif(not FULL, reason="the same again with 64 bits")
@pytest.mark.parametrize("expression", expressions(ASKED))
def test_what_is_asked_with_64_bits(expression):
    with jax.enable_x64(True), pj.config.temporarily("jax_enable_x64", True):
        both(expression)


@pytest.mark.parametrize("x64", (False, True))
def test_promotion_of_all_pairs(x64):
    values = [*NAMES, 1, 1.5, 1j, int, float, complex, True]
    with jax.enable_x64(x64), pj.config.temporarily("jax_enable_x64", x64):
        for a in values:
            for b in values:
                wide = [v for v in (a, b) if isinstance(v, str) and ("64" in v or "128" in v) and v != "complex64"]
                if wide and not x64:
                    continue
                assert jnp.result_type(a, b) == jax.numpy.result_type(a, b), (a, b)
        for a in NAMES:
            for b in NAMES:
                assert jnp.promote_types(a, b) == jax.numpy.promote_types(a, b), (a, b)
                assert jnp.issubdtype(a, b) == jax.numpy.issubdtype(a, b)


def test_scalar_types_stand_for_dtypes():
    assert {jnp.float32: 1}[np.float32] == 1
    assert pickle.loads(pickle.dumps(jnp.float32)) is jnp.float32
    assert pj.jit(lambda x, dtype: x.astype(dtype), static_argnums=1)(1.5, jnp.int32).dtype == jnp.int32
    assert jnp.bfloat16.dtype == ml_dtypes.bfloat16
    assert repr(jnp.float32) == "<class 'pequegrad.jax_api.numpy.float32'>"


def test_annotations():
    assert pj.Array in typing.get_args(pj.typing.ArrayLike) and float in typing.get_args(pj.typing.ArrayLike)
    assert str in typing.get_args(pj.typing.DTypeLike)


def test_print_options():
    with jnp.printoptions(precision=2):
        assert str(jnp.array([1 / 3])) == "[0.33]"
        assert jnp.get_printoptions()["precision"] == 2
    before = jnp.get_printoptions()["precision"]
    jnp.set_printoptions(precision=3)
    try:
        assert str(jnp.array([1 / 3])) == "[0.333]"
    finally:
        jnp.set_printoptions(precision=before)


def test_numpy_knows_bfloat16_once_jax_numpy_is_there():
    code = "import pequegrad.jax_api as jax, sys; assert 'ml_dtypes' not in sys.modules; import numpy; jax.numpy; numpy.dtype('bfloat16')"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
