"""Products and convolutions."""

import numpy as np

from ...core.dtype import is_float
from .shapes import padded, spread
from .sizes import fixed
from .writer import Unsupported, rule


@rule("dot_general")
def dot_general(w, x, y, *, contract, batch, dtype):
    left, right = x, y
    kind = np.dtype(dtype) if np.dtype(dtype).kind != "b" else np.dtype("int32")
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
    if x.dtype != w.out.dtype:
        raise Unsupported("sums in another dtype")
    if not is_float(x.dtype):
        raise Unsupported(f"of {x.dtype.name}")
    left, shape = w.transpose(x, axes.x), [x.shape[i] for i in axes.x]
    if batch_groups > 1:
        left, shape, feature_groups = _features_of_groups(w, left, shape, batch_groups), None, batch_groups
        if any(d > 1 for d in x_dilation):
            raise Unsupported("groups of a batch of arrays with gaps")
    window = [k.shape[i] for i in axes.w[2:]]
    if not window:  # no positions
        found = w(
            "Conv",
            w("Unsqueeze", left, [2]),
            w("Unsqueeze", w.transpose(k, axes.w), [2]),
            group=_unless_one(feature_groups),
        )
        return w.transpose(w("Squeeze", found, [2]), tuple(int(i) for i in np.argsort(axes.out)))
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
        "Conv", left, w.transpose(k, axes.w), kernel_shape=window, pads=pads if any(pads) else None, strides=unless_ones(stride),
        dilations=unless_ones(w_dilation), group=_unless_one(feature_groups),
    )  # fmt: skip
    return w.transpose(found, tuple(int(i) for i in np.argsort(axes.out)))


def _unless_one(n):
    return n if n > 1 else None


def unless_ones(values):
    """An attribute whose default is 1 everywhere."""
    return list(values) if any(n != 1 for n in values) else None


def _features_of_groups(w, x, shape, groups):
    """[groups * n, c, ...] as [n, groups * c, ...]: groups of the batch become groups of features."""
    n, c, *positions = shape
    apart = w.reshape(x, (groups, n // groups, c, *positions))
    moved = w.transpose(apart, (1, 0, *range(2, 2 + 1 + len(positions))))
    return w.reshape(moved, (n // groups, groups * c, *positions))


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
    spatial = list(axes.w[2:])
    if _is_flipped(w, k, spatial):
        kernel = w.producer(k).inputs[0]
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
        "ConvTranspose", x, kernel, kernel_shape=window, pads=pads if any(pads) else None, strides=unless_ones(x_dilation),
        dilations=unless_ones(w_dilation), group=groups if groups > 1 else None, output_padding=extra if any(extra) else None,
    )  # fmt: skip


def _is_flipped(w, k, axes):
    """True if a value was written as the Slice that reverses exactly these axes of another."""
    record = w.producer(k)
    if record is None or record.op != "Slice" or len(record.inputs) < 5:
        return False
    flipped, steps = (w.shared.arrays.get(record.inputs[i]) for i in (3, 4))
    return steps is not None and all(steps == -1) and list(flipped) == axes


@rule("det")
def det(w, x):
    return w("Det", x)
