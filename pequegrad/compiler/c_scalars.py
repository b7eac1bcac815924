"""One element of an elementwise kernel as a C expression over the functions of pequegrad_scalar.h.

What an array stores (`c_type`) is not always what is computed with (`register_type`): values of the 16-bit floats are
float, as in the kernels of the runtime, and are to be rounded after each operation (`round_expression`).

Which dtypes a kernel takes is stated as in runtime/cpu/elementwise_*.c. Complex numbers are not offered.
"""

import functools

SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
HALVES = ("float16", "bfloat16")
INTEGER = SIGNED + UNSIGNED
FLOAT = (*HALVES, "float32", "float64")
NUMBER = INTEGER + FLOAT
LOGICAL = ("bool", *INTEGER)
ANY = ("bool", *NUMBER)

# kernel -> the dtypes of its (last) operand for which pg_<kernel>_<dtype> exists: one argument for each operand,
# then the parameters
_FUNCTIONS = {
    name: dtypes
    for names, dtypes in (
        ("add sub mul max min eq ne lt le gt ge", ANY),
        ("neg abs sign div rem clamp", NUMBER),
        ("not and or xor", LOGICAL),
        ("popcount clz shift_left shift_right_logical shift_right_arithmetic", INTEGER),
        ("floor ceil round trunc sqrt rsqrt is_finite", FLOAT),
        ("exp exp2 expm1 log log1p cbrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc", FLOAT),
        ("pow atan2 nextafter logistic erf_inv lgamma digamma polygamma", FLOAT),
        ("igamma igammac igamma_grad_a random_gamma_grad betainc zeta bessel_i0e bessel_i1e", FLOAT),
    )
    for name in names.split()
}
_LONGEST_PRODUCT = 64  # powers up to this are written out


# ---- values in memory and in registers -----------------------------------------------------------------


@functools.cache
def c_type(dtype):
    """The C type of an element in memory; None for complex dtypes."""
    name = dtype.name
    return {"bool": "uint8_t", "float16": "uint16_t", "bfloat16": "uint16_t"}.get(name, register_type(dtype))


@functools.cache
def register_type(dtype):
    """The C type in which values of `dtype` are computed; None for complex dtypes."""
    name = dtype.name
    if name in INTEGER:
        return f"{name}_t"
    return {"bool": "uint8_t", "float64": "double", "key<fry>": "uint64_t", **dict.fromkeys(FLOAT[:3], "float")}.get(
        name
    )


def load_expression(dtype, text):
    """The value of the element `text`."""
    return {"float16": f"pg_half_to_float({text})", "bfloat16": f"pg_bfloat16_to_float({text})"}.get(dtype.name, text)


def store_expression(dtype, text):
    """The element that stands for the value `text`, which may have excess precision."""
    return {"float16": f"pg_float_to_half({text})", "bfloat16": f"pg_float_to_bfloat16({text})"}.get(dtype.name, text)


def exact_store_expression(dtype, text):
    """The element that stands for the value `text`, which has none."""
    return f"pg_rounded_to_bfloat16({text})" if dtype.name == "bfloat16" else store_expression(dtype, text)


def round_expression(dtype, text):
    """The value `text` as `dtype` holds it: without excess precision."""
    if dtype.name == "bfloat16":
        return f"pg_round_bfloat16({text})"
    return load_expression(dtype, store_expression(dtype, text))


# ---- kernels -------------------------------------------------------------------------------------------


def expression(kernel, params, operands, operand_dtypes, result_dtype):
    """The C expression of one element, or None if there is none.

    operands: names of variables or literals (they may be repeated) of the operands' register_type. The expression has
    the register_type of result_dtype. params: integers, as the kernel of the runtime takes them.
    """
    dtype = operand_dtypes[-1]
    if register_type(dtype) is None or register_type(result_dtype) is None:
        return None
    if kernel == "random_bits":
        return f"pg_random_bits_{result_dtype.name}({', '.join(operands)})"
    if kernel == "select":
        which, x, y = operands
        return f"({which} ? {x} : {y})"
    if kernel == "convert":
        return _convert(operands[0], dtype, result_dtype)
    name, compute = dtype.name, "float32" if dtype.name in HALVES else dtype.name
    if kernel == "integer_pow":
        return _power(operands[0], params[0], compute) if name in NUMBER else None
    if kernel == "nextafter" and name in HALVES:
        bits = [store_expression(dtype, text) for text in operands]
        return load_expression(dtype, f"pg_nextafter16({', '.join((*bits, *operands))})")
    if name in _FUNCTIONS.get(kernel, ()):
        return f"pg_{kernel}_{compute}({', '.join((*operands, *map(str, params)))})"
    return None


def _convert(x, source, target):
    """Every dtype to every other; see runtime/cpu/elementwise_convert.c."""
    start, end = source.name, target.name
    if end == "bool":
        return f"({x} != 0)"
    if start in FLOAT and end in INTEGER:
        return f"pg_{end}_from_{'float64' if start == 'float64' else 'float32'}({x})"
    if end == "float16":
        return load_expression(target, f"pg_double_to_half({x})" if start == "float64" else f"pg_float_to_half({x})")
    if end == "bfloat16" and start not in ("float32", *HALVES):  # float is not exact for every integer
        return load_expression(target, f"pg_double_to_bfloat16({x})")
    if end == "bfloat16":
        return round_expression(target, x)
    return f"(({register_type(target)}){x})"


def _power(x, exponent, name):
    """x ** exponent by repeated squaring, in the order of pg_integer_pow."""
    if abs(exponent) > _LONGEST_PRODUCT or exponent == 0:
        return f"pg_integer_pow_{name}({x}, {exponent})"
    product, square, rest = None, x, abs(exponent)
    while True:
        if rest & 1:
            product = square if product is None else f"pg_mul_{name}({product}, {square})"
        rest >>= 1
        if not rest:
            break
        square = f"pg_mul_{name}({square}, {square})"
    return f"(1 / {product})" if exponent < 0 else product
