"""dtypes are NumPy dtypes (bfloat16 comes from ml_dtypes); promotion is JAX's lattice with weak types.

>>> from pequegrad.core.dtype import dt
>>> dt.float32
dtype('float32')
"""

import numpy as np

from .errors import DtypeError, PromotionError

# name -> code in runtime/include/pequegrad.h; the order is that of the header.
NAMES = (
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
    "complex128",
)


class DtypeNamespace:
    """`dt.float32`, `dt.bfloat16`, ...: the dtypes that tensors can have."""

    def __init__(self):
        for name in NAMES:
            if name != "bfloat16":
                setattr(self, "bool_" if name == "bool" else name, np.dtype(name))
        self.bool = self.bool_

    def __getattr__(self, name):
        if name != "bfloat16":
            raise AttributeError(f"dt has no {name!r}; it has {', '.join(NAMES)}")
        import ml_dtypes  # 15 ms that most programs never need

        self.bfloat16 = np.dtype(ml_dtypes.bfloat16)
        CODES[self.bfloat16] = NAMES.index("bfloat16")
        return self.bfloat16

    def __iter__(self):
        return (getattr(self, name) for name in NAMES)


dt = DtypeNamespace()


FLOAT0 = np.dtype([("float0", np.void, 0)])  # JAX's dtype of tangents and cotangents of integers: no information


class extended(np.generic):
    """The kind of dtypes that are no numbers."""


class prng_key(extended):
    """The kind of the dtypes of random keys."""


class KeyDtype:
    """The dtype of random keys (`key.dtype` in jax_api), 64 bits each: no number, but indexed, joined, selected and compared."""

    name, kind, itemsize, type = "key<fry>", "K", 8, prng_key
    stored = np.dtype("uint64")  # what the runtime takes keys for: in memory two uint32, the first word first

    def __repr__(self):
        return self.name

    def __eq__(self, other):
        return type(other) is KeyDtype

    def __hash__(self):
        return hash(KeyDtype)


key_dtype = KeyDtype()

# Python's numbers: the dtype they stand for, and whether it gives way to the dtype of what they meet
PYTHON_TYPES = {
    bool: (dt.bool_, False),
    int: (dt.int32, True),
    float: (dt.float32, True),
    complex: (dt.complex64, True),
}
_PYTHON = (int, float, complex)


class _Codes(dict):
    def __missing__(self, dtype):
        if getattr(dtype, "name", None) != "bfloat16":
            raise KeyError(dtype)
        return self[dt.bfloat16]  # of an array that somebody else made of it


CODES = _Codes((np.dtype(name), code) for code, name in enumerate(NAMES) if name != "bfloat16")
CODES[key_dtype] = CODES[key_dtype.stored]


def code(dtype):
    """The runtime's number of a dtype."""
    return CODES[dtype]


def from_code(number):
    """The dtype with this number in the runtime."""
    return canonical(NAMES[number])


def canonical(dtype):
    """The NumPy dtype for anything that names one: 'float32', np.float32, float, dt.bfloat16, ...

    Raises DtypeError for what pequegrad has no tensors of.
    """
    if any(dtype is kind for kind in _PYTHON):  # Python's own types stand for the default, as in JAX
        return PYTHON_TYPES[dtype][0]
    if isinstance(dtype, str) and dtype == "bfloat16":
        return dt.bfloat16
    if type(dtype) is KeyDtype:
        return dtype
    try:
        found = np.dtype(dtype).newbyteorder("=")
    except TypeError:
        found = None
    if found in CODES:
        return found
    if found is not None and found.name == "bfloat16":
        return dt.bfloat16
    raise DtypeError(f"{dtype!r} is not a dtype of pequegrad.", fix=f"use one of {', '.join(NAMES)}.")


def is_float(dtype):
    return dtype.kind == "f" or dtype.name == "bfloat16"  # ml_dtypes say kind 'V'


def is_complex(dtype):
    return dtype.kind == "c"


def is_inexact(dtype):
    """True for the dtypes that have derivatives: floating and complex ones."""
    return is_float(dtype) or dtype.kind == "c"


def real_of(dtype):
    """The dtype of the parts of a complex dtype; any other dtype itself."""
    return {"complex64": dt.float32, "complex128": dt.float64}.get(dtype.name, dtype)


def complex_of(dtype):
    """The complex dtype that holds a floating dtype's values: complex128 for float64, else complex64."""
    return dt.complex128 if dtype.itemsize == 8 else dt.complex64


def is_integer(dtype):
    return dtype.kind in "iu"


def inexact_of(dtype):
    """The floating dtype that bool and integers become: float32, or float64 for 64 bits if those are the default."""
    if is_inexact(dtype):
        return dtype
    return default_float() if dtype.itemsize == 8 else dt.float32


def summed_dtype(dtype):
    """The dtype in which bool and integers are summed: theirs, or the default width if that is larger."""
    if dtype.kind != "b" and not (is_integer(dtype) and dtype.itemsize < default_int().itemsize):
        return dtype
    return np.dtype(f"u{default_int().name}") if dtype.kind == "u" else default_int()


# ---- promotion -------------------------------------------------------------------------------------

# Direct successors in JAX's type promotion lattice; "int", "float" and "complex" are the weak (Python) types.
# https://docs.jax.dev/en/latest/jep/9407-type-promotion.html
_SUCCESSORS = {
    "bool": ("int",), "int": ("uint8", "int8"),
    "uint8": ("int16", "uint16"), "uint16": ("int32", "uint32"), "uint32": ("int64", "uint64"), "uint64": ("float",),
    "int8": ("int16",), "int16": ("int32",), "int32": ("int64",), "int64": ("float",),
    "float": ("bfloat16", "float16", "complex"), "bfloat16": ("float32",), "float16": ("float32",),
    "float32": ("float64", "complex64"), "float64": ("complex128",),
    "complex": ("complex64",), "complex64": ("complex128",), "complex128": (), key_dtype.name: (),
}  # fmt: skip


def _above(name):
    found, todo = set(), [name]
    while todo:
        top = todo.pop()
        if top not in found:
            found.add(top)
            todo.extend(_SUCCESSORS[top])
    return found


_ABOVE = {name: _above(name) for name in _SUCCESSORS}
_WEAK_DEFAULT = {"int": "int32", "float": "float32", "complex": "complex64"}
_cache = {}


def default_int():
    """int32, or int64 if 64-bit numbers are the default."""
    return PYTHON_TYPES[int][0]


def default_float():
    """float32, or float64 if 64-bit numbers are the default."""
    return PYTHON_TYPES[float][0]


def default_complex():
    """complex64, or complex128 if 64-bit numbers are the default."""
    return PYTHON_TYPES[complex][0]


def set_default_bits(bits):
    """Makes 32 or 64 bits the width of Python's numbers, and of what has no dtype of its own (means of integers ...)."""
    names = ("int32", "float32", "complex64") if bits == 32 else ("int64", "float64", "complex128")
    for kind, name in zip(_PYTHON, names):
        PYTHON_TYPES[kind] = np.dtype(name), True
        _WEAK_DEFAULT[kind.__name__] = name
    _cache.clear()


_STRICT = {"complex": {"complex64", "complex128"}}
_STRICT["float"] = {"float16", "bfloat16", "float32", "float64", "complex", *_STRICT["complex"]}
_STRICT["int"] = {"uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float", *_STRICT["float"]}


def set_promotion(mode):
    """ "standard": the lattice above. "strict": only Python's numbers are promoted, to dtypes of their kind or a wider one."""
    for name in _ABOVE:
        _ABOVE[name] = _above(name) if mode == "standard" else {name, *_STRICT.get(name, ())}
    _cache.clear()


def _vertex(dtype, weak_type):
    if not weak_type or dtype.kind == "b":
        return dtype.name
    return "complex" if is_complex(dtype) else "float" if is_float(dtype) else "int"


def promote(*operands):
    """The common (dtype, weak_type) of operands given as (dtype, weak_type) pairs."""
    result = _cache.get(operands)
    if result is None:
        vertices = {_vertex(dtype, weak) for dtype, weak in operands}
        common = set.intersection(*(_ABOVE[v] for v in vertices))
        if not common:
            if key_dtype.name in vertices:
                raise DtypeError(
                    f"Random keys and numbers have no common dtype: {', '.join(d.name for d, _ in operands)}."
                )
            raise PromotionError(
                f"Dtypes {', '.join(sorted(vertices))} meet, and jax_numpy_dtype_promotion is 'strict'.",
                fix="convert one of the operands: x.astype(dtype).",
            )
        least = next(v for v in common if _ABOVE[v] >= common)  # the bound that all others lie above
        weak = least in _WEAK_DEFAULT
        if len(set(operands)) == 1:
            name = operands[0][0].name
        elif weak:  # all operands are weak (or bool): the widest of those of this kind, else the default
            kind = [d for d, w in operands if w and _vertex(d, w) == least]
            name = max(kind, key=lambda d: d.itemsize).name if kind else _WEAK_DEFAULT[least]
        else:
            name = least
        result = _cache[operands] = (key_dtype if name == key_dtype.name else canonical(name), weak)
    return result
