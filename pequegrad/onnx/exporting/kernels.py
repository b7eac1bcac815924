"""Integers for which ONNX has no operator, or onnxruntime (1.31) no kernel, and the dtype in which the same is computed in their place.

Differences and products are the same modulo 2^n in wider integers, and what is larger stays larger; the order of uint32 and uint64 is that
of signed ones of their size when the highest bit is turned. onnxruntime adds up along axes in float64, so that small integers become
int64 for that. Other runtimes may have these kernels: a Cast costs them little. Floating dtypes stay what they are: what
onnxruntime does not compute of bfloat16, accelerators do.
"""

import numpy as np

from ..values import dtype_of

_KERNELS = {  # operators -> integers that they take there
    "ReduceSum ReduceProd Pow CumSum Einsum MatMul TopK": "int32 int64",
    "ReduceMax ReduceMin ArgMax ArgMin": "int8 uint8 int32 int64",
    "Max Min Clip Pad": "int8 uint8 int32 uint32 int64 uint64",
    "Where": "int8 uint8 int32 uint32 int64",
    "Neg": "int8 int16 int32 int64",
    "BitShift": "uint8 uint32 uint64",
}
_KNOWN = {op: kinds.split() for ops, kinds in _KERNELS.items() for op in ops.split()}
_WIDE = {"ReduceSum", "ReduceProd", "Pow"}  # computed in float64
_ORDERED = {"ReduceMax", "ReduceMin", "ArgMax", "ArgMin", "TopK"}
_DATA = {"Where": 1}  # operator -> the operand that says the dtype, if that is not the first
_RESULTS = dict.fromkeys(("Shape", "ArgMax", "ArgMin"), np.dtype("int64"))
_RESULTS.update(
    dict.fromkeys("Equal Less LessOrEqual Greater GreaterOrEqual IsInf IsNaN And Or Xor Not".split(), np.dtype(bool))
)


def dtypes_of_results(op, dtypes, n, attributes):
    """The dtypes of what an operator gives for operands of these (None if they are not known)."""
    if op == "Cast":
        return [dtype_of(attributes["to"])]
    first = _RESULTS.get(op, data_dtype(op, dtypes))
    return [first] + [np.dtype("int64") if op in ("TopK", "MaxPool") else first] * (n - 1)


def data_dtype(op, dtypes):
    place = _DATA.get(op, 0)
    return dtypes[place] if place < len(dtypes) else None


def stand_in(op, dtype):
    """The dtype in which an operator is computed on integers of a dtype; None if it is on these."""
    if dtype is None or dtype.kind not in "iu" or op not in _KNOWN or dtype.name in _KNOWN[op]:
        return None
    if op == "BitShift":
        return np.dtype("uint32")
    if op in _ORDERED and dtype.itemsize >= 4:
        return np.dtype(f"int{8 * dtype.itemsize}")
    return np.dtype("int32" if dtype.itemsize < 4 and op not in _WIDE else "int64")


def in_stand_in(w, wide, op, inputs, n, attributes):
    """Writes an operator on integers of a wider dtype, or a signed one; the name of its result, or the list of these."""
    dtypes = [w.shared.dtypes.get(x) for x in inputs]
    dtype = data_dtype(op, dtypes)
    turned = None
    if op in _ORDERED and wide.itemsize == dtype.itemsize:
        turned = w.constant(np.asarray(1 << 8 * dtype.itemsize - 1, dtype))

    def there(x):
        return w.cast(w("BitwiseXor", x, turned) if turned else x, wide)

    def back(x):
        return w("BitwiseXor", w.cast(x, dtype), turned) if turned else w.cast(x, dtype)

    found = w(op, *[there(x) if d == dtype else x for x, d in zip(inputs, dtypes)], n=n, **attributes)
    kinds = dtypes_of_results(op, dtypes, n, attributes)
    found = [back(x) if d == dtype else x for x, d in zip(found if n > 1 else [found], kinds)]
    return found if n > 1 else found[0]
