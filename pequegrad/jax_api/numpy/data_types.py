"""dtypes and what is asked of them: scalar types, the tree of dtypes, promotion, finfo, casts; constants; how arrays are printed."""

import functools
import math
import warnings

import numpy as np

from ...core import dtype as dtypes
from ...core.dtype import dt, extended, is_complex, is_float, is_integer, prng_key  # noqa: F401
from ...core.tensor import Tensor
from ...primitives.control import to_device
from ...primitives.elementwise import convert_to
from ..convert import SCALARS, as_array, canonical, place_of, requested

# ---- scalar types ------------------------------------------------------------------------------------


class ScalarType(type):
    """The class of jnp.float32 and its kin: called, they make Arrays; elsewhere they stand for their dtypes, like NumPy's."""

    @property
    def dtype(cls):
        """The NumPy dtype."""
        return getattr(dt, cls.__name__)  # bfloat16 is imported here

    __numpy_dtype__ = dtype

    def __call__(cls, x):
        from .creation import asarray

        return asarray(x, dtype=cls.dtype)

    def __eq__(cls, other):
        return cls is other or cls.dtype.type == other

    def __hash__(cls):
        return hash(cls.dtype.type)

    def __instancecheck__(cls, instance):
        return isinstance(instance, cls.dtype.type)

    def __reduce__(cls):
        return cls.__name__


def _scalar_type(name):
    return ScalarType(
        name, (), {"__module__": "pequegrad.jax_api.numpy", "__doc__": f"Arrays of dtype {name}: {name}(x) makes one."}
    )


class NamedType(ScalarType):
    """The class of jnp.float8_e5m2 and its kin, which libraries name: there are no Arrays of them, functions refuse to make such."""

    @property
    def dtype(cls):
        """The dtype of ml_dtypes."""
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, cls.__name__))

    __numpy_dtype__ = dtype


NAMED_TYPES = ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz")


@functools.cache
def named_type(name):
    """One of NAMED_TYPES."""
    about = "Only the name of a dtype: there are no Arrays of it."
    return NamedType(name, (), {"__module__": "pequegrad.jax_api.numpy", "__doc__": about})


_TYPES = {name: _scalar_type(name) for name in dtypes.NAMES}
bool_ = bool = _TYPES["bool"]
int8, int16, int32, int64 = (_TYPES[f"int{n}"] for n in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (_TYPES[f"uint{n}"] for n in (8, 16, 32, 64))
float16, bfloat16, float32, float64 = (_TYPES[name] for name in ("float16", "bfloat16", "float32", "float64"))
complex64, complex128 = _TYPES["complex64"], _TYPES["complex128"]
single, double, csingle, cdouble = float32, float64, complex64, complex128
int_, uint, float_, complex_ = int64, uint64, float64, complex128

generic, number, integer, signedinteger, unsignedinteger = (
    np.generic, np.number, np.integer, np.signedinteger, np.unsignedinteger,
)  # fmt: skip
inexact, floating, complexfloating = np.inexact, np.floating, np.complexfloating
flexible, character, object_ = np.flexible, np.character, np.object_
dtype = np.dtype
ComplexWarning = np.exceptions.ComplexWarning

# ---- constants ---------------------------------------------------------------------------------------

pi, e, inf, nan, euler_gamma, newaxis = math.pi, math.e, math.inf, math.nan, float(np.euler_gamma), None

# ---- asking ------------------------------------------------------------------------------------------


_FLOATING = (np.floating, np.inexact, np.number, np.generic)


def _scalar_class(x):
    """The NumPy class that a dtype, or what stands for one, has in the tree of scalar types."""
    if isinstance(x, type) and issubclass(x, np.generic):
        return x
    if getattr(x, "kind", None) == "K":  # random keys
        return prng_key
    return np.dtype(x).type


def issubdtype(arg1, arg2):
    """True if a dtype, or a kind of them, belongs to another: issubdtype(bfloat16, floating)."""
    kind, of = _scalar_class(arg1), _scalar_class(arg2)
    if kind.__name__ == "bfloat16" and of in _FLOATING:
        return True
    return issubclass(kind, of)


_KINDS = {
    "bool": lambda dtype: dtype.kind == "b",
    "signed integer": lambda dtype: dtype.kind == "i",
    "unsigned integer": lambda dtype: dtype.kind == "u",
    "integral": is_integer,
    "real floating": is_float,
    "complex floating": is_complex,
    "numeric": lambda dtype: is_integer(dtype) or dtypes.is_inexact(dtype),
}


def isdtype(dtype, kind):
    """True if the dtype is of a kind of the Array API standard ("bool", "integral", "real floating" ...), or equal to `kind`,
    or so for one of a tuple.
    """
    found = np.dtype(dtype)
    for one in kind if isinstance(kind, tuple) else (kind,):
        if isinstance(one, str) and one in _KINDS:
            if _KINDS[one](found):
                return True
            continue
        try:
            if np.dtype(one) == found:
                return True
        except TypeError:
            raise ValueError(f"{one!r} is no dtype and none of the kinds {', '.join(_KINDS)}.") from None
    return False


def finfo(dtype):
    """The limits of a floating or complex dtype: eps, max, tiny ... ValueError for other dtypes."""
    found = np.dtype(getattr(dtype, "dtype", dtype))
    if found.name != "bfloat16" and found.name not in NAMED_TYPES:
        return np.finfo(found)
    import ml_dtypes

    return ml_dtypes.finfo(found)


def iinfo(int_type):
    """The limits of an integer dtype: min, max, bits. ValueError for other dtypes."""
    return np.iinfo(np.dtype(getattr(int_type, "dtype", int_type)))


can_cast = np.can_cast


def iscomplexobj(x):
    """True for arrays of complex dtypes and complex numbers."""
    return is_complex(np.dtype(x.dtype)) if hasattr(x, "dtype") else np.iscomplexobj(x)


def isrealobj(x):
    """Not iscomplexobj(x)."""
    return not iscomplexobj(x)


def isscalar(element):
    """True for numbers, strings and 0-d arrays."""
    if isinstance(element, (Tensor, np.ndarray)):
        return not element.ndim
    return np.isscalar(element) or (hasattr(element, "__jax_array__") and not element.__jax_array__().ndim)


# ---- promotion ---------------------------------------------------------------------------------------


def pair_of(x, name="result_type"):
    """(dtype, weak type) of an array, a number, or what names a dtype; int, float and complex are weak."""
    if isinstance(x, Tensor):
        return x._node.aval.weak_pair
    if type(x) in SCALARS:
        return dtypes.PYTHON_TYPES[type(x)]
    if x is None:
        return dtypes.default_float(), False
    if any(x is kind for kind in SCALARS):
        return dtypes.PYTHON_TYPES[x] if x is not SCALARS[0] else (dt.bool_, False)
    if isinstance(x, (np.ndarray, np.generic)):
        return canonical(x.dtype), False
    if isinstance(x, (list, tuple, dict, set)):
        raise TypeError(f"Cannot determine dtype of {x!r}")
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return canonical(x.dtype), getattr(x, "weak_type", False)
    return requested(x, name), False


def promoted_pair(*pairs):
    """The common (dtype, weak type) of such pairs. Of 32-bit dtypes it has at most 32 bits, unless jax_enable_x64 is on."""
    found, weak = dtypes.promote(*pairs)
    return canonical(found), weak


def result_type(*args):
    """The dtype that arrays, numbers and dtypes have together."""
    if not args:
        raise ValueError("at least one array or dtype is required")
    return promoted_pair(*map(pair_of, args))[0]


def promote_types(a, b):
    """The smallest dtype above two others in JAX's lattice; int, float and complex stand for Python's numbers."""
    wide = any(np.dtype(x).itemsize > 4 and not any(x is kind for kind in SCALARS) for x in (a, b))
    pairs = [
        dtypes.PYTHON_TYPES[x] if any(x is kind for kind in SCALARS) else (dtypes.canonical(x), False) for x in (a, b)
    ]
    found, weak = dtypes.promote(*pairs)
    if weak and found.kind != "b":
        return np.dtype({"i": np.int64, "c": np.complex128}.get(found.kind, np.float64))
    return found if wide else canonical(found)


# ---- casts -------------------------------------------------------------------------------------------


def astype(x, dtype, /, *, copy=False, device=None):
    """x as another dtype (None: the default float); of complex numbers the real part."""
    x = as_array(x, "astype")
    wanted = dtypes.default_float() if dtype is None else requested(dtype, "astype")
    if is_complex(x.dtype) and not is_complex(wanted) and wanted.kind != "b":
        warnings.warn(
            "Casting from complex to real dtypes will soon raise a ValueError. Please first use jnp.real or jnp.imag.",
            DeprecationWarning,
            stacklevel=2,
        )
    out = convert_to(x, wanted, False)
    out = out if device is None else to_device(out, place_of(device))
    return out.copy() if copy and out is x else out


# ---- printing ----------------------------------------------------------------------------------------


def set_printoptions(*args, **kwargs):
    """How arrays are printed; see numpy.set_printoptions."""
    np.set_printoptions(*args, **kwargs)


def get_printoptions():
    """The options that set_printoptions sets, a dict."""
    return np.get_printoptions()


def printoptions(*args, **kwargs):
    """A context manager with other options of printing."""
    return np.printoptions(*args, **kwargs)


def array_repr(arr, max_line_width=None, precision=None, suppress_small=None):
    """The text of an array with its dtype."""
    return np.array_repr(arr, max_line_width, precision, suppress_small)


def array_str(a, max_line_width=None, precision=None, suppress_small=None):
    """The text of an array's values."""
    return np.array_str(a, max_line_width, precision, suppress_small)


__all__ = [
    "bool_", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "bfloat16", "float32",
    "float64", "complex64", "complex128", "single", "double", "csingle", "cdouble", "int_", "uint", "float_", "complex_",
    "generic", "number", "integer", "signedinteger", "unsignedinteger", "inexact", "floating", "complexfloating", "flexible",
    "character", "object_", "dtype", "ComplexWarning", "pi", "e", "inf", "nan", "euler_gamma", "newaxis", "issubdtype",
    "isdtype", "finfo", "iinfo", "can_cast", "iscomplexobj", "isrealobj", "isscalar", "result_type", "promote_types", "astype",
    "set_printoptions", "get_printoptions", "printoptions", "array_repr", "array_str",
]  # fmt: skip
