"""Random programs of primitives for test_fusion_fuzz.py: built from flat lists of numbers, printed as Python code.

A program is a list of steps (code, operands, NumPy twin). It is built from instructions (name, numbers), each of which is
applied to the values so far and can be left out without making the others invalid: so hypothesis finds a small
program that fails. The code that is printed is the code that runs.

The twin of a step computes it in NumPy, for floats in float64, rounded to the dtype of the step. A step that is not exact
says how far results may lie apart (`noise`): running the twins several times with such errors shows what the results
of the whole program may differ by, through cancellation, comparisons and all.
"""

import dataclasses
import math
import platform
import string
import types
from collections.abc import Callable

import ml_dtypes
import numpy as np
from scipy import special

import pequegrad as pg
from pequegrad.primitives import PRIMITIVES

p = types.SimpleNamespace(**{{"and": "and_", "or": "or_", "not": "not_"}.get(n, n): v for n, v in PRIMITIVES.items()})
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = [np.dtype("float32"), np.dtype("float64"), np.dtype("float16"), BFLOAT16]
INTEGERS = [np.dtype(n) for n in ("int32", "uint8", "int8", "int64", "uint32", "int16", "uint64", "uint16")]
BOOL = np.dtype(bool)
DTYPES = ["float32", "int32", "float16", "bfloat16", "float64", "bool", "uint8", "int8", "int64", "uint32"]
SIZES = [2, 3, 5, 4, 8, 7, 13, 16, 17, 31, 33, 64, 67, 127, 1, 0]
LARGEST = 4096  # elements of any value
LAYOUTS = ["plain", "transposed", "broadcast", "stepped", "reversed"]
KINDS = ["small", "normal", "special", "wide"]


# ---- data --------------------------------------------------------------------------------------------------


def values(shape, dtype, seed=0, kind="small"):
    """An array of test data. small: small integers, with ties; normal; wide: all magnitudes; special: nan, inf, -0.0, extremes."""
    rng, dtype = np.random.default_rng(seed), as_dtype(dtype)
    if dtype == BOOL:
        return rng.integers(0, 2, shape).astype(bool)
    if dtype in INTEGERS:
        limits = np.iinfo(dtype)
        if kind in ("small", "normal"):
            return rng.integers(0 if limits.min == 0 else -4, 5, shape).astype(dtype)
        found = rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
        extremes = np.array([limits.min, limits.max, limits.max - 1, limits.min + 1, 0, 1], dtype)
        return np.where(rng.random(shape) < (0.5 if kind == "special" else 0), rng.choice(extremes, shape), found)
    if kind == "small":
        return rng.integers(-3, 4, shape).astype(dtype)
    found = rng.standard_normal(shape)
    if kind == "wide":
        exponents = {"float64": 250, "float32": 36, "bfloat16": 36, "float16": 4}[dtype.name]
        found = found * 10.0 ** rng.uniform(-exponents, exponents, shape)
    if kind == "special":
        limits = ml_dtypes.finfo(dtype)
        smallest = float(limits.smallest_subnormal)
        odd = [np.nan, np.inf, -np.inf, 0.0, -0.0, smallest, -3 * smallest, float(limits.max), float(limits.tiny), 1.0]
        found = np.where(rng.random(shape) < 0.5, rng.choice(odd, shape), found)
    with np.errstate(all="ignore"):
        return found.astype(dtype)


def tensor_of(shape, dtype, seed=0, kind="small", layout="plain", device=None):
    """A computed tensor of values(...), whose memory lies as `layout` says; broadcast repeats the first row."""
    data = values(shape, dtype, seed, kind)
    make = lambda x: pg.Tensor(x, device=device)
    if layout == "transposed":
        x = pg.transpose(make(data.T.copy()))
    elif layout == "broadcast" and data.size:
        x = pg.broadcast_to(make(data[:1]), data.shape) if data.ndim else make(data)
    elif layout == "stepped" and data.ndim:
        x = make(np.repeat(data, 2, axis=-1))[..., ::2]
    elif layout == "reversed" and data.ndim:
        x = pg.flip(make(data[::-1].copy()), 0)
    else:
        x = make(data)
    return x.eval()


def as_dtype(name):
    return BFLOAT16 if name == "bfloat16" else np.dtype(name)


# ---- programs ----------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Step:
    code: str  # with {0}, {1}, ... for the operands
    operands: tuple  # numbers of values: first those of the inputs, then one for each step
    twin: Callable  # the same on NumPy arrays
    noise: Callable | None  # noise(result, operands): how far the result may be off, absolutely; None: exact


class Program:
    def __init__(self, inputs):
        self.inputs = inputs  # the keyword arguments of tensor_of
        self.steps = []
        self.outputs = []  # numbers of values
        self.arrays = []  # the values, as the twins compute them

    def __repr__(self):
        return f"<{len(self.steps)} steps: see the listing>"

    def source(self, everything=False, noisy=False):
        """The function `f` as Python code. everything: it returns all values; noisy: floats pass through noise()."""
        names = [_name(i) for i in range(len(self.arrays))]
        n = len(self.inputs)
        lines = [f"def f({', '.join(names[:n])}):"]
        for i, step in enumerate(self.steps, n):
            code = step.code.format(*(names[k] for k in step.operands))
            if noisy and self.arrays[i].dtype in FLOATS:
                code = f"noise({code})"
            lines.append(f"    {names[i]} = {code}")
        wanted = names if everything else [names[i] for i in self.outputs]
        return "\n".join([*lines, f"    return {', '.join(wanted)},"])

    def function(self, device, **options):
        """(f, its globals), made from its source. With noisy=True the globals need `noise`."""
        scope = {"p": p, "pg": pg, "dt": pg.dt, "DEVICE": device}
        exec(self.source(**options), scope)
        return scope["f"], scope

    def arguments(self, device=None, more_seed=0):
        return [tensor_of(**{**given, "seed": given["seed"] + more_seed}, device=device) for given in self.inputs]

    def listing(self):
        """A whole program to run with PYTHONPATH=tests."""
        arguments = ",\n    ".join(
            f"tensor_of({', '.join(f'{k}={v!r}' for k, v in given.items())})" for given in self.inputs
        )
        return (
            "import pequegrad as pg\nfrom pequegrad import dt\nfrom fusion_programs import p, tensor_of\n\nDEVICE = pg.device.cpu\n\n\n"
            f"{self.source()}\n\nargs = [\n    {arguments},\n]\n"
            "for x, y in zip(pg.jit(f)(*args), f(*args)):\n    print(x.numpy(), y.numpy(), sep='\\n')"
        )

    def exact(self):
        """For each value whether it depends on exact steps alone."""
        found = [True] * len(self.inputs)
        for step in self.steps:
            found.append(step.noise is None and all(found[i] for i in step.operands))
        return found

    def run_twins(self, inputs, rng=None):
        """All values, as NumPy computes them; with rng each step that is not exact is off by some of its noise."""
        found = list(inputs)
        with np.errstate(all="ignore"):
            for step in self.steps:
                operands = [found[i] for i in step.operands]
                out = step.twin(*operands)
                if rng is not None and step.noise is not None:
                    out = step.noise(out, operands, rng)
                found.append(out)
        return found


def _name(i):
    return f"x{i}"


# ---- noise: what may be off ----------------------------------------------------------------------------------


def epsilon(dtype):
    return float(ml_dtypes.finfo(dtype).eps)


def ulps(count):
    """Errors of so many units in the last place of float32.

    16-bit floats: one, since they are computed in float32. float64: more, since NumPy and SciPy, too, are off in it.
    """

    def noise(out, operands, rng):
        n = {2: 1, 4: count, 8: 8 * count}[out.dtype.itemsize]
        wide = out.astype(np.float64)
        smallest = float(ml_dtypes.finfo(out.dtype).smallest_subnormal)
        off = rng.uniform(-n, n, out.shape)
        with np.errstate(all="ignore"):
            return np.where(
                np.isfinite(wide),
                wide * (1 + off * epsilon(out.dtype)) + off * np.copysign(smallest, wide) * (wide != 0),
                wide,
            ).astype(out.dtype)

    return noise


def summed(magnitude, count, flushed=False):
    """Errors of a sum of `count` terms in another order; magnitude(*operands in float64): the sums of absolute values.

    flushed: denormal partial sums may count as zero.
    """
    rounding = ulps(1)

    def noise(out, operands, rng):
        with np.errstate(all="ignore"):
            wide = [np.abs(x.astype(np.float64)) for x in operands]
            total = magnitude(*(np.where(np.isfinite(x), x, 0) for x in wide))
            limits = ml_dtypes.finfo(np.float64 if out.dtype.itemsize == 8 else np.float32)  # of the accumulator
            # equal terms err in one direction; NumPy adds in float64, where its errors count, too
            steps = count if out.dtype.itemsize == 8 else math.sqrt(count)
            bound = float(limits.eps) * (4 + steps) * total + count * float(
                limits.tiny if flushed else limits.smallest_subnormal
            )
            off = out.astype(np.float64) + rng.uniform(-1, 1, out.shape) * np.copysign(bound, out)
            # where partial sums may overflow, the result depends on their order
            unclear = ~(total < float(limits.max) / 4)
            off = np.where(unclear, rng.choice([np.nan, np.inf, 0.0], out.shape), off)
            return rounding(off.astype(out.dtype), operands, rng)

    return noise


def multiplied(axes):
    """Errors of a product over axes in another order."""

    def noise(out, operands, rng):
        x = np.abs(operands[0].astype(np.float64))
        count = math.prod(x.shape[a] for a in axes)
        with np.errstate(all="ignore"):
            most = np.prod(np.where(np.isfinite(x), np.maximum(x, 1), 1), axis=tuple(axes))
            least = np.prod(np.where((x > 0) & np.isfinite(x), np.minimum(x, 1), 1), axis=tuple(axes))
        limits = ml_dtypes.finfo(out.dtype if out.dtype.itemsize > 2 else np.float32)
        unclear = (most > float(limits.max) / 4) | (least < float(limits.tiny) * 4)
        found = ulps(2 + count)(out, operands, rng)
        return np.where(unclear, rng.choice([np.nan, np.inf, 0.0], out.shape), found).astype(out.dtype)

    return noise


class Most:
    """In place of a random generator: the largest error in one direction."""

    def __init__(self, sign):
        self.sign = sign

    def uniform(self, low, high, shape):
        return np.full(shape, high * self.sign)

    def choice(self, items, shape):
        return np.full(shape, items[0 if self.sign > 0 else -1])


def zero_sign(out, operands, rng):
    """The sign of a zero may depend on the order: the largest of 0.0 and -0.0."""
    return np.where(out == 0, np.copysign(0.0, rng.uniform(-1, 1, out.shape)), out.astype(np.float64)).astype(out.dtype)


# ---- building ------------------------------------------------------------------------------------------------


class Builder:
    """Values so far, and the numbers of the instruction that is being applied."""

    def __init__(self, inputs):
        self.program = Program(inputs)
        for given in inputs:
            data = values(given["shape"], given["dtype"], given["seed"], given["kind"])
            if given["layout"] == "broadcast" and data.size and data.ndim:
                data = np.broadcast_to(data[:1], data.shape)
            self.program.arrays.append(data)
        self.numbers = iter(())

    def apply(self, instruction):
        name, numbers = instruction
        self.numbers = iter(numbers)
        try:
            OPERATIONS[name](self)
        except NotApplicable:
            pass

    def pick(self, n):
        """One of 0 ... n - 1; 0 is the simplest."""
        if n < 1:
            raise NotApplicable
        return next(self.numbers, 0) % n

    def choose(self, items):
        return items[self.pick(len(items))]

    def array(self, i):
        return self.program.arrays[i]

    def operand(self, accepts=lambda x: True):
        """The number of a value: often the last one."""
        candidates = [i for i in reversed(range(len(self.program.arrays))) if accepts(self.array(i))]
        if not candidates:
            raise NotApplicable
        number = self.pick(64)
        return candidates[0 if number < 24 else number % len(candidates)]

    def partner(self, i, accepts=lambda x: True):
        """Another value of the same dtype that broadcasts with value i."""
        x = self.array(i)

        def fits(y):
            try:
                return y.dtype == x.dtype and math.prod(np.broadcast_shapes(x.shape, y.shape)) <= LARGEST and accepts(y)
            except ValueError:
                return False

        return self.operand(fits)

    def emit(self, code, operands, twin, noise=None):
        """Adds a step; gives the number of its value."""
        with np.errstate(all="ignore"):
            out = np.asarray(twin(*(self.array(i) for i in operands)))
        if out.size > LARGEST:
            raise NotApplicable
        self.program.steps.append(Step(code, tuple(operands), twin, noise if out.dtype in FLOATS else None))
        self.program.arrays.append(out)
        return len(self.program.arrays) - 1


class NotApplicable(Exception):
    """The instruction does not fit the values so far: it is left out."""


def build(inputs, instructions, outputs):
    """The Program of what hypothesis drew. It returns what no step reads, and some of the values that others read."""
    builder = Builder(inputs)
    for instruction in instructions:
        builder.apply(instruction)
    program = builder.program
    n, first = len(program.arrays), len(inputs)
    read = {i for step in program.steps for i in step.operands}
    unread = [i for i in range(first, n) if i not in read]
    program.outputs = sorted({n - 1, *unread, *(n - 1 - k % n for k in outputs)})
    return program


# ---- operations ----------------------------------------------------------------------------------------------

OPERATIONS = {}
is_float = lambda x: x.dtype in FLOATS
is_integer = lambda x: x.dtype in INTEGERS
is_number = lambda x: x.dtype != BOOL
is_bits = lambda x: x.dtype not in FLOATS
has_axis = lambda x: x.ndim > 0


def operation(function):
    OPERATIONS[function.__name__] = function
    return function


def wide(f):
    """f in float64, rounded to the dtype of the first operand; integers as they are."""

    def twin(x, *rest):
        if x.dtype not in FLOATS:
            return np.asarray(f(x, *rest)).astype(x.dtype)
        return np.asarray(f(*(v.astype(np.float64) if v.dtype in FLOATS else v for v in (x, *rest)))).astype(x.dtype)

    return twin


def literal(b, i):
    """A Python number that stands beside value i, as text and as an array."""
    dtype = b.array(i).dtype
    texts = ["1", "0", "2", "3"] + (["-1"] if np.dtype(dtype).kind != "u" else [])
    if dtype in FLOATS:
        texts = ["1.0", "0.0", "0.5", "-2.0", "3.0", "-0.0", "0.25"]
    text = b.choose(texts)
    return text, np.asarray(eval(text)).astype(dtype)


def _unary():
    exact = {"neg": np.negative, "abs": np.abs, "sign": _sign}
    stepwise = {"floor": np.floor, "ceil": np.ceil, "round": np.rint, "trunc": np.trunc, "sqrt": np.sqrt}
    curved = {
        "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "rsqrt": lambda x: 1 / np.sqrt(x),
        "cbrt": np.cbrt, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
        "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh,
        "atanh": np.arctanh, "logistic": special.expit, "erf": special.erf, "erfc": special.erfc, "erf_inv": special.erfinv,
    }  # fmt: skip
    return exact, stepwise, curved


def _sign(x):
    return np.where(x == 0, x, np.sign(x))  # keeps the sign of a zero


EXACT, STEPWISE, CURVED = _unary()


@operation
def unary(b):
    i = b.operand(is_number)
    names = [*EXACT, *(STEPWISE if is_float(b.array(i)) else ())]
    name = b.choose(names)
    b.emit(f"p.{name}({{0}})", [i], wide({**EXACT, **STEPWISE}[name]))


@operation
def curved(b):
    name = b.choose(list(CURVED))
    b.emit(f"p.{name}({{0}})", [b.operand(is_float)], wide(CURVED[name]), ulps(16))


@operation
def integer_power(b):
    i = b.operand(is_number)
    dtype = b.array(i).dtype
    n = b.choose([2, 3, 0, 1] + ([-1, -2] if is_float(b.array(i)) else []))

    def twin(x):
        if n >= 0:
            return x**n
        small = dtype.itemsize < 8  # the product, of which this is the inverse, may overflow in float32
        return 1 / (x**-n).astype(np.float32 if small else np.float64).astype(np.float64)

    b.emit(f"p.integer_pow({{0}}, exponent={n})", [i], wide(twin), ulps(8))


def _divide(x, y):
    if x.dtype.kind == "f":
        return x / y
    return _quotient(x, y)[0]


def _remainder(x, y):
    if x.dtype.kind == "f":
        return np.fmod(x, y)
    return _quotient(x, y)[1]


def _quotient(x, y):
    """(quotient toward zero, remainder) of integers: by 0 they are all ones, or the highest number, and x."""
    signed, bits = x.dtype.kind == "i", 8 * x.dtype.itemsize
    x, y = np.broadcast_arrays(x, y)
    found = []
    for a, c in zip(x.ravel().tolist(), y.ravel().tolist()):
        q = abs(a) // abs(c) * (1 if (a < 0) == (c < 0) else -1) if c else -1
        found.append((q & (1 << bits) - 1, a - q * c if c else a))
    wrap = lambda v, kind: np.array(v, f"{kind}{bits // 8}").astype(x.dtype).reshape(x.shape)
    return wrap([q for q, _ in found], "u"), wrap([r for _, r in found], "i" if signed else "u")


BINARY = {
    "add": np.add, "mul": np.multiply, "sub": lambda x, y: x ^ y if x.dtype == BOOL else x - y, "max": np.maximum, "min": np.minimum,
    "div": _divide, "rem": _remainder,
}  # fmt: skip


@operation
def binary(b):
    i = b.operand()
    x = b.array(i)
    name = b.choose([n for n in BINARY if is_number(x) or n not in ("div", "rem")])
    _binary(b, name, i, wide(BINARY[name]))


def _binary(b, name, i, twin, noise=None):
    """A step of two operands: values, or a value and a number, either way round."""
    if b.pick(3) == 2 and b.array(i).dtype != BOOL:
        text, number = literal(b, i)
        if b.pick(2):
            return b.emit(f"p.{name}({text}, {{0}})", [i], lambda x: twin(number, x), noise)
        return b.emit(f"p.{name}({{0}}, {text})", [i], lambda x: twin(x, number), noise)
    return b.emit(f"p.{name}({{0}}, {{1}})", [i, b.partner(i)], twin, noise)


@operation
def curved_binary(b):
    name = b.choose(["atan2", "pow"])
    _binary(b, name, b.operand(is_float), wide({"atan2": np.arctan2, "pow": np.power}[name]), ulps(32))


COMPARISONS = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}


@operation
def comparison(b):
    name = b.choose(list(COMPARISONS))
    _binary(b, name, b.operand(), COMPARISONS[name])


def _shift(direction):
    def twin(x, y):
        bits = 8 * x.dtype.itemsize
        unsigned = np.dtype(f"u{x.dtype.itemsize}")
        count = y.astype(unsigned)
        inside = count < bits
        count = np.where(inside, count, unsigned.type(0))
        if direction == "left":
            found = np.where(inside, x.astype(unsigned) << count, unsigned.type(0))
        elif direction == "logical":
            found = np.where(inside, x.astype(unsigned) >> count, unsigned.type(0))
        else:
            signed = x.astype(f"i{x.dtype.itemsize}")
            found = np.where(
                inside,
                signed >> count.astype(signed.dtype),
                np.where(signed < 0, signed.dtype.type(-1), signed.dtype.type(0)),
            )
        return found.astype(x.dtype)

    return twin


@operation
def bits(b):
    i = b.operand(is_bits)
    names = {"and_": np.bitwise_and, "or_": np.bitwise_or, "xor": np.bitwise_xor}
    if is_integer(b.array(i)):
        names["shift_left"] = _shift("left")
        names["shift_right_logical"] = _shift("logical")
        if b.array(i).dtype.kind == "i":
            names["shift_right_arithmetic"] = _shift("arithmetic")
    name = b.choose(["not_", *names])
    if name == "not_":
        b.emit("p.not_({0})", [i], np.invert)
    else:
        _binary(b, name, i, names[name])


@operation
def convert(b):
    dtype = as_dtype(b.choose(DTYPES))
    _convert(b, b.operand(), dtype)


def _convert(b, i, dtype):
    return b.emit(
        f"p.convert({{0}}, dtype=dt.{'bool_' if dtype == BOOL else dtype.name}, weak_type=False)",
        [i],
        lambda x: converted(x, dtype),
    )


def converted(x, dtype):
    """To bool: x != 0; from floats to integers: truncated, saturated, nan gives 0."""
    if dtype == BOOL:
        return x != 0
    if x.dtype in FLOATS and dtype in INTEGERS:
        low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        number = lambda v: 0 if v != v else high if v >= high else low if v <= low else int(v)
        return np.array([number(v) for v in x.astype(np.float64).ravel().tolist()], dtype).reshape(x.shape)
    return x.astype(dtype)


@operation
def select(b):
    i = b.operand()
    j = b.partner(i)
    shape = np.broadcast_shapes(b.array(i).shape, b.array(j).shape)

    def fits(x):
        try:
            return x.dtype == BOOL and math.prod(np.broadcast_shapes(x.shape, shape)) <= LARGEST
        except ValueError:
            return False

    try:
        mask = b.operand(fits)
    except NotApplicable:
        number = b.emit("p.gt({0}, 0)", [i], lambda x: x > 0) if b.array(i).dtype != BOOL else i
        mask = number
    b.emit("p.select({0}, {1}, {2})", [mask, i, j], np.where)


@operation
def clamp(b):
    i = b.operand(is_number)
    low, high = b.choose([("0", "1"), ("1", "3"), ("2", "1")])
    number = lambda x, text: np.asarray(int(text)).astype(x.dtype)
    twin = lambda x: np.minimum(np.maximum(x, number(x, low)), number(x, high))
    b.emit(f"p.clamp({low}, {{0}}, {high})", [i], wide(twin))


@operation
def is_finite(b):
    b.emit("p.is_finite({0})", [b.operand(is_float)], np.isfinite)


# ---- reductions


def _axes(b, x):
    """Some axes of x, in order; the simplest choice is all."""
    return tuple(a for a in range(x.ndim) if b.pick(2) == 0)


def _sum_twin(f, axes):
    """float16 and bfloat16 are summed in float32 or wider and rounded once; integers wrap around in their dtype."""

    def twin(x):
        if x.dtype == BOOL:
            return x.any(axis=axes) if f is np.sum else x.all(axis=axes)
        if x.dtype in FLOATS:
            return f(x.astype(np.float64), axis=axes).astype(x.dtype)
        return f(x, axis=axes, dtype=x.dtype)

    return twin


def _sum(b, i, axes):
    x = b.array(i)
    count = math.prod(x.shape[a] for a in axes)
    noise = summed(lambda x: np.sum(x, axis=axes), count)
    return b.emit(f"p.reduce_sum({{0}}, axes={axes})", [i], _sum_twin(np.sum, axes), noise)


@operation
def reduce_sum(b):
    i = b.operand(has_axis)
    _sum(b, i, _axes(b, b.array(i)))


@operation
def reduce_other(b):
    i = b.operand(has_axis)
    x = b.array(i)
    axes = _axes(b, x)
    names = ["reduce_max", "reduce_min", "reduce_prod"] + (["reduce_and", "reduce_or"] if is_bits(x) else [])
    name = b.choose(names)
    if name == "reduce_prod":
        b.emit(f"p.reduce_prod({{0}}, axes={axes})", [i], _sum_twin(np.prod, axes), multiplied(axes))
    elif name in ("reduce_max", "reduce_min"):
        _extremum(b, name, i, axes)
    else:
        f = np.bitwise_and if name == "reduce_and" else np.bitwise_or
        b.emit(f"p.{name}({{0}}, axes={axes})", [i], lambda x: f.reduce(x, axis=axes))


def _extremum(b, name, i, axes):
    f = np.max if name == "reduce_max" else np.min

    def twin(x):
        if x.dtype == BOOL or all(x.shape[a] for a in axes):
            return (f(x.astype(np.float64), axis=axes) if x.dtype in FLOATS else _bool_extremum(f, x, axes)).astype(
                x.dtype
            )
        shape = tuple(n for k, n in enumerate(x.shape) if k not in axes)
        if x.dtype in FLOATS:
            return np.full(shape, -np.inf if f is np.max else np.inf).astype(x.dtype)
        return np.full(shape, getattr(np.iinfo(x.dtype), "min" if f is np.max else "max"), x.dtype)

    return b.emit(f"p.{name}({{0}}, axes={axes})", [i], twin, zero_sign)


def _bool_extremum(f, x, axes):
    if x.dtype == BOOL:
        return x.any(axis=axes) if f is np.max else x.all(axis=axes)
    return f(x, axis=axes)


@operation
def position(b):
    i = b.operand(lambda x: x.ndim and 0 not in x.shape)
    axis = b.pick(b.array(i).ndim)
    name = b.choose(["argmax", "argmin"])
    b.emit(
        f"p.{name}({{0}}, axis={axis}, dtype=dt.int32)",
        [i],
        lambda x: getattr(np, name)(_float64(x), axis=axis).astype(np.int32),
    )


def _float64(x):
    return x.astype(np.float64) if x.dtype in FLOATS else x


@operation
def cumulative(b):
    i = b.operand(has_axis)
    x = b.array(i)
    axis, reverse = b.pick(x.ndim), bool(b.pick(2))
    name = b.choose(["cumsum", "cummax", "cummin"])
    f = {"cumsum": np.cumsum, "cummax": np.maximum.accumulate, "cummin": np.minimum.accumulate}[name]

    def along(x):
        y = np.flip(x, axis) if reverse else x
        if name == "cumsum" and x.dtype == BOOL:
            out = np.logical_or.accumulate(y, axis=axis)
        elif name == "cumsum" and x.dtype not in FLOATS:
            out = np.cumsum(y, axis=axis, dtype=x.dtype)
        else:
            out = f(y, axis=axis)
        return np.flip(out, axis) if reverse else out

    noise = summed(along, x.shape[axis]) if name == "cumsum" else zero_sign
    b.emit(f"p.{name}({{0}}, axis={axis}, reverse={reverse})", [i], wide(along), noise)


# ---- shape and data movement


@operation
def reshape(b):
    i = b.operand()
    x = b.array(i)
    shapes = [(x.size,), (1, *x.shape), (*x.shape, 1), tuple(n for n in x.shape if n != 1)]
    shapes += [(*x.shape[:a], x.shape[a] * x.shape[a + 1], *x.shape[a + 2 :]) for a in range(x.ndim - 1)]
    for a, n in enumerate(x.shape):
        shapes += [(*x.shape[:a], k, n // k, *x.shape[a + 1 :]) for k in (2, 3, 5) if n and n % k == 0]
    if not x.size:
        shapes += [x.shape[::-1]]
    _reshape(b, i, b.choose([shape for shape in shapes if len(shape) <= 5]))


def _reshape(b, i, shape):
    return b.emit(f"p.reshape({{0}}, shape={shape})", [i], lambda x: x.reshape(shape))


@operation
def transpose(b):
    i = b.operand(lambda x: x.ndim > 1)
    axes = list(range(b.array(i).ndim))
    permutation = tuple(axes.pop(b.pick(len(axes)) if k else -1 - b.pick(len(axes))) for k in range(len(axes)))
    b.emit(f"p.transpose({{0}}, permutation={permutation})", [i], lambda x: x.transpose(permutation))


@operation
def broadcast(b):
    i = b.operand(lambda x: x.ndim < 5)
    x = b.array(i)
    n, where = b.choose([2, 3, 1, 5, 8, 17, 0]), b.pick(x.ndim + 1)
    shape = (*x.shape[:where], n, *x.shape[where:])
    axes = tuple(k for k in range(len(shape)) if k != where)
    twin = lambda x: np.broadcast_to(np.expand_dims(x, where), shape)
    b.emit(f"p.broadcast_in_dim({{0}}, shape={shape}, axes={axes})", [i], twin)


@operation
def slice_(b):
    i = b.operand(has_axis)
    x = b.array(i)
    start = tuple(b.pick(min(n, 3) + 1) for n in x.shape)
    limit = tuple(n - b.pick(min(n - a, 2) + 1) for a, n in zip(start, x.shape))
    step = tuple(1 + b.pick(3) for _ in x.shape)
    where = tuple(map(slice, start, limit, step))
    b.emit(f"p.slice({{0}}, start={start}, limit={limit}, step={step})", [i], lambda x: x[where])


@operation
def rev(b):
    i = b.operand(has_axis)
    axes = _axes(b, b.array(i))
    b.emit(f"p.rev({{0}}, axes={axes})", [i], lambda x: np.flip(x, axes))


@operation
def pad(b):
    i = b.operand(lambda x: x.ndim and x.dtype != BOOL)
    x = b.array(i)
    text, value = literal(b, i)
    interior = tuple(b.pick(2) if n else 0 for n in x.shape)
    low = tuple(b.choose([1, 0, 2, -1]) for _ in x.shape)
    high = tuple(b.choose([0, 1, 2, -1]) for _ in x.shape)
    if any(a + c + n + max(n - 1, 0) * k < 0 for a, c, n, k in zip(low, high, x.shape, interior)):
        raise NotApplicable

    def twin(x):
        spread = np.full([n + max(n - 1, 0) * k for n, k in zip(x.shape, interior)], value)
        spread[tuple(slice(None, None, k + 1) for k in interior)] = x
        out = np.pad(spread, [(max(a, 0), max(c, 0)) for a, c in zip(low, high)], constant_values=value)
        return out[tuple(slice(max(-a, 0), n - max(-c, 0)) for a, c, n in zip(low, high, out.shape))]

    b.emit(f"p.pad({{0}}, {text}, low={low}, high={high}, interior={interior})", [i], twin)


@operation
def concatenate(b):
    i = b.operand(has_axis)
    x = b.array(i)
    axis = b.pick(x.ndim)
    rest = lambda y: y.shape[:axis] + y.shape[axis + 1 :]
    fits = lambda y: y.ndim == x.ndim and y.dtype == x.dtype and rest(y) == rest(x)
    operands = [i, b.operand(fits)] + ([b.operand(fits)] if b.pick(3) == 2 else [])
    names = ", ".join(f"{{{k}}}" for k in range(len(operands)))
    b.emit(f"p.concatenate({names}, axis={axis})", operands, lambda *xs: np.concatenate(xs, axis))


@operation
def iota(b):
    like = b.array(b.operand(has_axis))
    axis, dtype = b.pick(like.ndim), as_dtype(b.choose([n for n in DTYPES if n != "bool"]))
    shape = [1] * like.ndim
    shape[axis] = like.shape[axis]
    twin = lambda: np.broadcast_to(np.arange(like.shape[axis]).reshape(shape), like.shape).astype(dtype)
    b.emit(f"p.iota(shape={like.shape}, dtype=dt.{dtype.name}, axis={axis}, device=DEVICE)", [], twin)


@operation
def random_bits(b):
    like = b.array(b.operand(lambda x: x.ndim < 5))
    dtype, seed = b.choose(["uint32", "uint8", "uint16", "uint64"]), b.pick(9)
    shape = (b.choose([3, 17, 1, 64]),) if not like.ndim else like.shape
    key = f"pg.random_key({seed}, DEVICE)"
    twin = lambda: _threefry(seed, int(np.prod(shape))).astype(dtype).reshape(shape)
    if dtype == "uint64":
        twin = lambda: _threefry(seed, int(np.prod(shape)), True).reshape(shape)
    b.emit(f"p.random_bits({key}, shape={shape}, dtype=dt.{dtype})", [], twin)


def _threefry(seed, count, wide=False):
    """The numbers 0, 1 ... encrypted under the key (0, seed), as of 2 ** 32 words; wide: as one of 64 bits."""
    keys = np.array([0, seed, 0x1BD11BDA ^ seed], np.uint32)
    x = [np.zeros(count, np.uint32), np.arange(count, dtype=np.uint32) + keys[1]]
    for group in range(5):
        for left in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            x[0] = x[0] + x[1]
            x[1] = x[0] ^ (x[1] << left | x[1] >> 32 - left)
        x[0] = x[0] + keys[(group + 1) % 3]
        x[1] = x[1] + (keys[(group + 2) % 3] + np.uint32(group + 1))
    return x[0].astype(np.uint64) << 32 | x[1] if wide else x[0] ^ x[1]


# ---- indexing


def _indices(b, n, fits=lambda x: True):
    """Integers of the program, brought near the range of n positions: some lie outside."""
    i = b.operand(
        lambda x: x.dtype in (np.dtype("int32"), np.dtype("uint8"), np.dtype("int64")) and x.size <= 256 and fits(x)
    )
    modulus = n + 2 if n + 2 < 120 else 120
    return b.emit(f"p.rem({{0}}, {modulus})", [i], wide(lambda x: _remainder(x, np.asarray(modulus, x.dtype))))


@operation
def take(b):
    i = b.operand(lambda x: x.ndim and 0 not in x.shape)
    x = b.array(i)
    axis, mode = b.pick(x.ndim), b.choose(["clip", "fill", "wrap"])
    indices = _indices(b, x.shape[axis])
    twin = lambda x, k: _taken(x, k.astype(np.int64), axis, mode)
    b.emit(f"pg.take({{0}}, {{1}}, axis={axis}, mode='{mode}')", [i, indices], twin)


def _taken(x, k, axis, mode):
    n = x.shape[axis]
    if mode == "fill":
        k = np.where(k < 0, k + n, k)
        return _filled(np.take(x, np.clip(k, 0, n - 1), axis), _outside(k, n, x.ndim - 1 - axis, axis), x.dtype)
    return np.take(x, np.clip(k, 0, n - 1) if mode == "clip" else k % n, axis)


def _outside(k, n, behind, before):
    return ((k < 0) | (k >= n)).reshape((1,) * before + k.shape + (1,) * behind)


def _filled(found, outside, dtype):
    if dtype in FLOATS:
        fill = np.nan
    elif dtype == BOOL:
        fill = True
    else:
        fill = np.iinfo(dtype).min if dtype.kind == "i" else np.iinfo(dtype).max
    return np.where(outside, np.asarray(fill).astype(dtype), found)


@operation
def rows(b):
    """x[i]: negative indices count from the end, others are clipped."""
    i = b.operand(lambda x: x.ndim and 0 not in x.shape)
    n = b.array(i).shape[0]
    indices = _indices(b, n)
    twin = lambda x, k: x[np.clip(np.where(k < 0, k.astype(np.int64) + n, k), 0, n - 1).astype(np.int64)]
    b.emit("{0}[{1}]", [i, indices], twin)


@operation
def take_along(b):
    i = b.operand(lambda x: x.ndim and 0 not in x.shape)
    x = b.array(i)
    axis = b.pick(x.ndim)
    rest = lambda y: y.shape[:axis] + y.shape[axis + 1 :]
    indices = _indices(b, x.shape[axis], lambda k: k.ndim == x.ndim and rest(k) == rest(x))

    def twin(x, k):
        n, k = x.shape[axis], k.astype(np.int64)
        k = np.where(k < 0, k + n, k)
        return _filled(np.take_along_axis(x, np.clip(k, 0, n - 1), axis), (k < 0) | (k >= n), x.dtype)

    b.emit(f"pg.take_along_axis({{0}}, {{1}}, {axis})", [i, indices], twin)


@operation
def scatter(b):
    """x.at[i].set(number) and its kin: positions out of range are left out."""
    i = b.operand(lambda x: x.ndim and 0 not in x.shape and x.dtype != BOOL)
    n = b.array(i).shape[0]
    indices, (text, number), name = _indices(b, n), literal(b, i), b.choose(["add", "set", "max", "min"])

    def twin(x, k):
        k = np.where(k < 0, k.astype(np.int64) + n, k).astype(np.int64).ravel()
        k = k[(k >= 0) & (k < n)]
        out = x.copy() if x.dtype not in FLOATS else x.astype(np.float64)
        value = number.astype(out.dtype)
        if name == "set":
            out[k] = value
        elif name == "add":
            for row in k:  # rounded after each
                out[row] = (out[row] + value).astype(x.dtype).astype(out.dtype)
        else:
            (np.maximum if name == "max" else np.minimum).at(out, k, value)
        return out.astype(x.dtype)

    b.emit(f"{{0}}.at[{{1}}].{name}({text})", [i, indices], twin, ulps(4) if name == "add" else None)


@operation
def dynamic_slice(b):
    i = b.operand(lambda x: x.ndim and 0 not in x.shape)
    x = b.array(i)
    sizes = tuple(1 + b.pick(n) for n in x.shape)
    k = _indices(b, max(x.shape), lambda k: k.size > 0)
    start = b.emit(
        "p.reduce_max({0}, axes=" + str(tuple(range(b.array(k).ndim))) + ")", [k], lambda k: np.max(k).astype(k.dtype)
    )

    def twin(x, s):
        begin = [int(np.clip(int(s), 0, n - m)) for n, m in zip(x.shape, sizes)]
        return x[tuple(slice(a, a + m) for a, m in zip(begin, sizes))]

    b.emit(f"p.dynamic_slice({{0}}, {', '.join(['{1}'] * x.ndim)}, sizes={sizes})", [i, start], twin)


@operation
def sort(b):
    i = b.operand(has_axis)
    axis = b.pick(b.array(i).ndim)
    b.emit(f"pg.sort({{0}}, axis={axis})", [i], wide(lambda x: np.sort(x, axis=axis, kind="stable")), zero_sign)


# ---- products


@operation
def dot(b):
    i = b.operand(has_axis)
    x = b.array(i)
    a = b.pick(x.ndim)
    j = b.operand(lambda y: y.dtype == x.dtype and x.shape[a] in y.shape)
    y = b.array(j)
    c = b.choose([k for k, n in enumerate(y.shape) if n == x.shape[a]])
    batch = ((), ())
    if b.pick(2) and x.ndim > 1 and y.ndim > 1 and a and c and x.shape[0] == y.shape[0]:
        batch = ((0,), (0,))
    _dot(b, i, j, ((a,), (c,)), batch)


def _dot(b, i, j, contract, batch):
    x, y = b.array(i), b.array(j)
    size = math.prod(x.shape) * math.prod(y.shape) // max(math.prod(x.shape[a] for a in contract[0]) ** 2, 1)
    if size > LARGEST * max(math.prod(x.shape[a] for a in batch[0]), 1):
        raise NotApplicable
    twin = _product(contract, batch)
    dtype = "bool_" if x.dtype == BOOL else x.dtype.name
    code = f"p.dot_general({{0}}, {{1}}, contract={contract}, batch={batch}, dtype=dt.{dtype})"
    return b.emit(code, [i, j], twin, summed(twin, math.prod(x.shape[a] for a in contract[0]), flushed=True))


def _product(contract, batch):
    def twin(x, y):
        letters = iter(string.ascii_letters)
        left, right = [None] * x.ndim, [None] * y.ndim
        for kind in (batch, contract):
            for a, c in zip(*kind):
                left[a] = right[c] = next(letters)
        left, right = [v or next(letters) for v in left], [v or next(letters) for v in right]
        shared = [left[a] for a in batch[0]]
        summed_over = {left[a] for a in contract[0]}
        out = shared + [v for v in left + right if v not in summed_over and v not in shared]
        f = lambda x, y: np.einsum(f"{''.join(left)},{''.join(right)}->{''.join(out)}", x, y)
        if x.dtype == BOOL:
            return f(x.astype(np.int64), y.astype(np.int64)) > 0
        return wide(f)(without_denormals(x), without_denormals(y))

    return twin


def without_denormals(x):
    """As products on x86-64 take their operands (inf * denormal is nan); other processors, too, may."""
    if x.dtype.name not in ("float32", "float64") or platform.machine() != "x86_64":
        return x
    return np.where(np.abs(x) < np.finfo(x.dtype).tiny, np.copysign(np.zeros((), x.dtype), x), x)


@operation
def convolution(b):
    """A 1-d convolution of all of a value with its first numbers, or with another value's."""
    i = b.operand(lambda x: is_float(x) and 8 <= x.size <= 512)
    j = b.operand(lambda y: y.dtype == b.array(i).dtype and y.size >= 3)
    k, stride, padding = b.choose([3, 2, 1]), 1 + b.pick(2), b.pick(2)
    flat = _reshape(b, i, (1, 1, b.array(i).size))
    kernel = _reshape(b, j, (b.array(j).size,))
    kernel = b.emit(f"p.slice({{0}}, start=(0,), limit=({k},), step=(1,))", [kernel], lambda x: x[:k])
    kernel = _reshape(b, kernel, (1, 1, k))

    def twin(x, w):
        x = np.pad(x[0, 0], padding)
        places = range(0, len(x) - k + 1, stride)
        return np.array([(x[a : a + k] * w[0, 0]).sum() for a in places]).reshape(1, 1, -1)

    b.emit(f"pg.conv1d({{0}}, {{1}}, stride={stride}, padding={padding})", [flat, kernel], wide(twin), summed(twin, k))


# ---- rows: what networks do with them


def _broadcast_back(b, i, shape, axis):
    """Value i, from which `axis` was reduced, with that axis of size 1 again."""
    return _reshape(b, i, (*shape[:axis], 1, *shape[axis + 1 :]))


def _arithmetic(b, name, i, j):
    return b.emit(f"p.{name}({{0}}, {{1}})", [i, j], wide(BINARY[name]))


@operation
def softmax_rows(b):
    i = b.operand(lambda x: is_float(x) and x.ndim and 0 not in x.shape)
    shape, axis = b.array(i).shape, b.array(i).ndim - 1
    m = _broadcast_back(b, _extremum(b, "reduce_max", i, (axis,)), shape, axis)
    e = b.emit("p.exp({0})", [_arithmetic(b, "sub", i, m)], wide(np.exp), ulps(16))
    total = _broadcast_back(b, _sum(b, e, (axis,)), shape, axis)
    if b.pick(2):
        b.emit("p.log({0})", [total], wide(np.log), ulps(16))
    _arithmetic(b, "div", e, total)


@operation
def norm_rows(b):
    i = b.operand(lambda x: is_float(x) and x.ndim and 0 not in x.shape)
    shape, axis = b.array(i).shape, b.array(i).ndim - 1
    n = float(shape[axis])
    mean = lambda i: b.emit(
        f"p.div({{0}}, {n})", [_broadcast_back(b, _sum(b, i, (axis,)), shape, axis)], wide(lambda x: x / n)
    )
    centred = _arithmetic(b, "sub", i, mean(i))
    variance = mean(_arithmetic(b, "mul", centred, centred))
    scale = b.emit(
        "p.rsqrt({0})",
        [b.emit("p.add({0}, 0.5)", [variance], wide(lambda x: x + 0.5))],
        wide(lambda x: 1 / np.sqrt(x)),
        ulps(8),
    )
    _arithmetic(b, "mul", centred, scale)


@operation
def relu(b):
    i = b.operand(is_number)
    mask = b.emit("p.le({0}, 0)", [i], lambda x: x <= 0)
    b.emit("p.select({0}, 0, {1})", [mask, i], lambda m, x: np.where(m, np.zeros((), x.dtype), x))


@operation
def stop_gradient(b):
    b.emit("p.stop_gradient({0})", [b.operand()], lambda x: x)
