"""Products, convolutions and windows."""

import math

import numpy as np

from ...core.dtype import is_float
from .shapes import padded, spread
from .sizes import fixed
from .writer import Unsupported, rule

_MULTIPLIED = ("float16", "bfloat16", "float32", "float64", "int32", "int64", "uint32", "uint64")


@rule("dot_general")
def dot_general(w, x, y, *, contract, batch, dtype):
    left, right = x, y
    kind = dtype if np.dtype(dtype).name in _MULTIPLIED else np.dtype("int32")
    if x.dtype != kind:
        left, right = w.cast(x, kind), w.cast(y, kind)
    found = _product(w, left, right, x, y, contract, batch)
    return found if kind == w.out.dtype else w.cast(found, w.out.dtype)


def _product(w, left, right, x, y, contract, batch):
    """Gemm for two matrices, MatMul for what is one after transposing, else Einsum."""
    (xc, yc), (xb, yb) = contract, batch
    xf = [i for i in range(x.ndim) if i not in (*xc, *xb)]
    yf = [i for i in range(y.ndim) if i not in (*yc, *yb)]
    if len(xc) == 1 and not xb and x.ndim == y.ndim == 2 and is_float(w.out.dtype):
        return w("Gemm", left, right, transA=1 - xc[0] or None, transB=yc[0] or None)
    if len(xc) == 1 and len(yf) == 1 and (not xb or len(xf) == 1):
        return w("MatMul", w.transpose(left, (*xb, *xf, *xc)), w.transpose(right, (*yb, *yc, *yf)))
    if len(xc) == 1 and not xb and not yf:
        return w("MatMul", w.transpose(left, (*xf, *xc)), right)
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    xs, ys = [""] * x.ndim, [""] * y.ndim
    for i, j in zip((*xb, *xc), (*yb, *yc)):
        xs[i] = ys[j] = next(letters)
    for names, free in ((xs, xf), (ys, yf)):
        for i in free:
            names[i] = next(letters)
    out = [xs[i] for i in (*xb, *xf)] + [ys[i] for i in yf]
    return w("Einsum", left, right, equation=f"{''.join(xs)},{''.join(ys)}->{''.join(out)}")


# ---- convolution -----------------------------------------------------------------------------------------------


@rule("conv_general_dilated")
def conv(w, x, k, *, stride, padding, x_dilation, w_dilation, feature_groups, batch_groups, axes, dtype):
    if batch_groups > 1:
        raise Unsupported("groups of the batch")
    if x.dtype != w.out.dtype:
        raise Unsupported("sums in another dtype")
    left, shape = w.transpose(x, axes.x), [x.shape[i] for i in axes.x]
    window = [k.shape[i] for i in axes.w[2:]]
    if any(d > 1 for d in x_dilation):
        found = _transposed(w, left, k, window, stride, padding, x_dilation, w_dilation, feature_groups, axes)
        if found is not None:
            return found
        for i, d in enumerate(x_dilation):
            if d > 1:
                left = spread(w, left, shape, 2 + i, d - 1, w.number(0, x))
                shape[2 + i] = (shape[2 + i] - 1) * d + 1
    if any(p < 0 for pair in padding for p in pair):
        left = padded(w, left, w.number(0, x), [0, 0, *(min(a, 0) for a, _ in padding)], [0, 0, *(min(b, 0) for _, b in padding)])  # fmt: skip
    pads = [max(a, 0) for a, _ in padding] + [max(b, 0) for _, b in padding]
    found = w(
        "Conv", left, w.transpose(k, axes.w), kernel_shape=window, pads=pads if any(pads) else None, strides=_unless_ones(stride),
        dilations=_unless_ones(w_dilation), group=feature_groups if feature_groups > 1 else None,
    )  # fmt: skip
    return w.transpose(found, tuple(int(i) for i in np.argsort(axes.out)))


def _unless_ones(values):
    return list(values) if any(n != 1 for n in values) else None


def _transposed(w, x, k, window, stride, padding, x_dilation, w_dilation, groups, axes):
    """A convolution of an array with gaps as ConvTranspose of the flipped kernel; None if its padding is none of that's."""
    reach = [(n - 1) * d for n, d in zip(window, w_dilation)]
    low = [r - a for r, (a, _) in zip(reach, padding)]
    high = [r - b for r, (_, b) in zip(reach, padding)]
    extra = [max(-b, 0) for b in high]
    if any(s > 1 for s in stride) or any(a < 0 for a in low) or any(e >= d for e, d in zip(extra, x_dilation)):
        return None
    if axes.out != tuple(range(len(axes.out))) or groups > 1 and not fixed(k.shape):
        return None
    record = w.producer(k)
    spatial = list(axes.w[2:])
    if record is not None and record.op == "Slice" and record.attributes == {} and _flips(w, record, spatial):
        kernel = record.inputs[0]
    else:
        n = len(spatial)
        kernel = w.slice(k, [-1] * n, [-(2**63) + 1] * n, spatial, [-1] * n)
    kernel = w.transpose(kernel, (axes.w[1], axes.w[0], *axes.w[2:]))  # input features of a group, output features
    if groups > 1:  # ONNX: [all input features, output features of a group]
        i, o = k.shape[axes.w[1]], k.shape[axes.w[0]]
        split = w.reshape(kernel, (i, groups, o // groups, *window))
        moved = w.transpose(split, (1, 0, 2, *range(3, 3 + len(window))))
        kernel = w.reshape(moved, (i * groups, o // groups, *window))
    pads = [*low, *(max(b, 0) for b in high)]
    return w(
        "ConvTranspose", x, kernel, kernel_shape=window, pads=pads if any(pads) else None, strides=list(x_dilation),
        dilations=_unless_ones(w_dilation), group=groups if groups > 1 else None, output_padding=extra if any(extra) else None,
    )  # fmt: skip


def _flips(w, record, axes):
    """True if a written Slice reverses exactly these axes."""
    steps, flipped = (w.shared.arrays.get(record.inputs[i]) if len(record.inputs) > i else None for i in (4, 3))
    return steps is not None and all(steps == -1) and list(flipped) == list(axes)


# ---- windows ---------------------------------------------------------------------------------------------------


@rule("reduce_window_max", "reduce_window_min", "reduce_window_sum")
def reduce_window(w, x, *, window, step, padding, base_dilation, dilation):
    kind = w.operation.primitive[14:]
    if any(b > 1 for b in base_dilation):
        raise Unsupported("of an array with gaps")
    if not is_float(x.dtype):
        raise Unsupported(f"of {x.dtype.name}")
    name = x
    if kind == "min":
        name = w("Neg", x)
    if any(p < 0 for pair in padding for p in pair):
        zeros = w.number(0, x)
        name = padded(w, name, zeros, [min(a, 0) for a, _ in padding], [min(b, 0) for _, b in padding])
        padding = [(max(a, 0), max(b, 0)) for a, b in padding]
    active = [i for i in range(x.ndim) if window[i] > 1 or step[i] > 1 or any(padding[i])]
    if not active:
        return x
    found, back = _pooled(w, name, x, active, window, step, padding, dilation, kind)
    found = w("Neg", found) if kind == "min" else found
    if kind != "sum":
        return back(found)
    count = math.prod(window)
    found = back(found)
    total = w("Mul", found, w.number(count, x))
    w.counts[total] = count
    return total


def _pooled(w, name, x, active, window, step, padding, dilation, kind):
    """(the pooled array, function that gives it the shape of the result)."""
    wide = any(any(p > (n - 1) * d for p in padding[i]) for i in active for n, d in [(window[i], dilation[i])])
    if wide:  # pooling pads by less than a window
        value = w.number(0 if kind == "sum" else -np.inf, x)
        name = padded(w, name, value, [a for a, _ in padding], [b for _, b in padding])
        padding = [(0, 0)] * x.ndim
    if len(active) > 3:
        raise Unsupported("over more than three axes")
    rest = [i for i in range(x.ndim) if i not in active]
    back = lambda found: found
    if rest != [0, 1]:
        order = [*rest, *active]
        name = w.transpose(name, order)
        lead = 1
        for i in rest:
            lead = x.shape[i] * lead
        spatial = [
            x.shape[i] + (sum(w_pad) if wide else 0)
            for i, w_pad in ((i, w.operation.params["padding"][i]) for i in active)
        ]
        name = w.reshape(name, (lead, 1, *spatial))
        shape = [w.out.shape[i] for i in order]
        back = lambda found: w.transpose(w.reshape(found, shape), tuple(int(i) for i in np.argsort(order)))
    pads = [padding[i][0] for i in active] + [padding[i][1] for i in active]
    op, options = ("AveragePool", {"count_include_pad": 1 if any(pads) else None}) if kind == "sum" else ("MaxPool", {})
    dilations = _unless_ones([dilation[i] for i in active])
    if op == "AveragePool" and dilations and w.opset < 19:
        raise Unsupported("with dilation before operator set 19")
    found = w(
        op, name, kernel_shape=[window[i] for i in active], strides=_unless_ones([step[i] for i in active]), pads=pads if any(pads) else None,
        dilations=dilations, **options,
    )  # fmt: skip
    return found, back


@rule("windows")
def windows(w, x, *, axes, window, step, dilation):
    """Gathered, axis by axis: the places of a window, then what is under it."""
    found, n_axes = x, x.ndim
    for i, (a, size, s, d) in enumerate(zip(axes, window, step, dilation)):
        places = w.out.shape[a]
        if not isinstance(places, int):
            raise Unsupported("of free axes")
        index = np.arange(places)[:, None] * s + np.arange(size) * d
        found = w("Gather", found, w.constant(index), axis=a)
        order = [j for j in range(n_axes + i + 1) if j != a + 1] + [a + 1]
        found = w.transpose(found, order)
    return found
