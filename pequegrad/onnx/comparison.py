"""What other implementations of ONNX compute, to compare with."""

import numpy as np

from ..core.dtype import is_float
from ..core.errors import ArgumentError, MissingPackageError


def session_of(model, threads=None):
    """An onnxruntime.InferenceSession for a ModelProto or bytes; MissingPackageError if the package is not there."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise MissingPackageError("Comparing with onnxruntime needs it.", fix="pip install onnxruntime.") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if threads is not None:
        options.intra_op_num_threads = threads
    data = model if isinstance(model, (bytes, str)) else model.SerializeToString()
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def random_inputs(shape, dtype, rng=None):
    """Numbers to run a model on: normal floats, zeros and ones else."""
    rng = rng or np.random.default_rng(0)
    dtype = np.dtype(dtype)
    if dtype.kind in "iub":
        return rng.integers(0, 2, shape).astype(dtype)
    return rng.normal(size=shape).astype(dtype)


class Tolerance:
    """What is no difference: rtol of each number and atol, where they are given; else by the coarsest floating dtype of a model.

    A few units in its last place, relative to the largest number of an output, or to 1; more where the model rounds (quantised ones).
    """

    def __init__(self, rtol=None, atol=None, dtypes=(), rounds=False):
        unit = max([_unit(dtype) for dtype in dtypes if is_float(dtype)], default=0.0)
        coarse = 1 / 64 if rounds else 0.0  # two steps of 7 bits
        self.rtol = max(1e-3, 16 * unit, coarse) if rtol is None else rtol
        self.atol, self.part = atol, max(1e-4, 8 * unit, coarse)

    def for_output(self, array):
        """(rtol, atol) for what should be equal to an array."""
        if self.atol is not None:
            return self.rtol, self.atol
        numbers = np.abs(array.astype(np.float64)) if is_float(array.dtype) else np.zeros(0)
        return self.rtol, self.part * max(1.0, numbers.max(initial=0.0, where=np.isfinite(numbers)))


def _unit(dtype):
    return 2.0**-7 if np.dtype(dtype).name == "bfloat16" else float(np.finfo(dtype).eps)


def compare(expected, found, names, tolerance, where=""):
    """ArgumentError, which names the output, if arrays differ beyond a Tolerance, or shapes do."""
    for a, b, name in zip(expected, found, names):
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape or a.dtype != b.dtype:
            raise ArgumentError(
                f"Output {name!r} is {a.dtype}{list(a.shape)} here, {b.dtype}{list(b.shape)} in onnxruntime{where}."
            )
        rtol, atol = tolerance.for_output(a)
        away, _, close = difference(a, b, rtol, atol)
        if not close:
            raise ArgumentError(
                f"Output {name!r} differs from onnxruntime's by {away:.3g}{where}, beyond rtol={rtol:.3g}, atol={atol:.3g}.",
                fix="if that is rounding, give export a larger rtol or atol.",
            )


def difference(a, b, rtol, atol):
    """(the largest absolute difference, the largest relative one, whether all are within the tolerance) of two results."""
    if a is None or b is None or isinstance(a, (list, tuple)) or isinstance(b, (list, tuple)):
        if a is None or b is None or len(a) != len(b):
            return (0.0, 0.0, True) if a is b else (np.inf, np.inf, False)
        found = [difference(x, y, rtol, atol) for x, y in zip(a, b)]
        return tuple(max((f[i] for f in found), default=0.0) for i in range(2)) + (all(f[2] for f in found),)
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype != b.dtype or a.shape != b.shape:
        return np.inf, np.inf, False
    if a.dtype.kind in "OUS":
        same = bool((a == b).all())
        return (0.0, 0.0, True) if same else (np.inf, np.inf, False)
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    a, b = a.astype(wide), b.astype(wide)
    with np.errstate(invalid="ignore", divide="ignore"):
        away = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
        away = np.where(np.isnan(away), np.inf, away)
        relative = np.where(away == 0, 0.0, away / np.abs(b))
    close = np.allclose(a, b, rtol, atol, equal_nan=True)
    return float(away.max(initial=0.0)), float(relative.max(initial=0.0)), bool(close)
