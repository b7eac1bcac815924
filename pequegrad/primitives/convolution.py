"""Convolution in any number of spatial dimensions, with the parameters and meaning of XLA's."""

from typing import NamedTuple

from ..core.dtype import dt
from ..core.errors import DtypeError, ShapeError
from .base import is_linear, number, primitive
from .elementwise import add, complex_normal, convert_to
from .shape import broadcast_in_dim, reshape, rev, transpose, zeros_like


class ConvAxes(NamedTuple):
    """Which axis of each array is which; spatial axes come last, in one order for all three."""

    x: tuple  # batch, feature, spatial ...
    w: tuple  # output feature, input feature, spatial ...
    out: tuple  # batch, feature, spatial ...


def dilated(size, dilation):
    """The extent of `size` elements with dilation - 1 gaps between neighbours."""
    return (size - 1) * dilation + 1 if size else 0


def output_size(size, window, stride, padding, x_dilation, w_dilation):
    """How many places a window has along one axis."""
    room = dilated(size, x_dilation) + sum(padding) - dilated(window, w_dilation)
    return room // stride + 1 if room >= 0 else 0


@primitive
class conv_general_dilated:
    """Sums of products of x and the kernel w under each place of a window. All parameters are tuples, one per spatial axis.

    stride: steps of the window. padding: (before, after) pairs of zeros around x; negative ones remove elements.
    x_dilation, w_dilation: distance of neighbouring elements of x and of w. feature_groups: so many convolutions
    side by side, each of a part of the input and of the output features; batch_groups: each of a part of the batch.
    axes: ConvAxes. dtype: of the result; 16-bit floats are summed in float32.
    """

    linear = "each"

    def infer(x, w, *, stride, padding, x_dilation, w_dilation, feature_groups, batch_groups, axes, dtype):
        if x.dtype != w.dtype:
            raise DtypeError(f"conv: dtypes {x.dtype} and {w.dtype} differ.", fix="convert one: x.astype(dtype).")
        if x.dtype.kind == "b":
            raise DtypeError(f"conv takes numbers, got {x.dtype}.", fix="convert them: x.astype(dt.float32).")
        if dtype != x.dtype and not (dtype == dt.float32 and x.dtype in (dt.float16, dt.bfloat16)):
            raise DtypeError(
                f"conv: the result of {x} cannot be {dtype}.", fix="convert the operands: x.astype(dtype)."
            )
        ndim = x.ndim
        lists = (stride, padding, x_dilation, w_dilation)
        if w.ndim != ndim or ndim < 2 or any(len(values) != ndim - 2 for values in lists):
            raise ShapeError(
                f"conv: x {x} and w {w} need the same number of axes, and {ndim - 2} strides, paddings and dilations.",
                fix="x has axes for batch, features and space; w for output features, input features and space.",
            )
        if any(sorted(order) != list(range(ndim)) for order in axes):
            raise ShapeError(f"conv: {axes} are not permutations of {ndim} axes.", fix="name each axis once.")
        if any(n < 1 for values in (stride, x_dilation, w_dilation) for n in values):
            raise ShapeError(
                f"conv: stride {stride} and dilations {x_dilation}, {w_dilation} must be at least 1.",
                fix="use 1 for none.",
            )
        _check_features(x, w, axes, feature_groups, batch_groups)
        shape = [0] * ndim
        shape[axes.out[0]], shape[axes.out[1]] = x.shape[axes.x[0]] // batch_groups, w.shape[axes.w[0]]
        for i, a in enumerate(axes.out[2:]):
            size, window = x.shape[axes.x[2 + i]], w.shape[axes.w[2 + i]]
            if dilated(size, x_dilation[i]) + sum(padding[i]) < 0:
                raise ShapeError(
                    f"conv: padding {padding[i]} removes more of spatial axis {i} of {x} than there is.",
                    fix="use a smaller negative padding.",
                )
            shape[a] = output_size(size, window, stride[i], padding[i], x_dilation[i], w_dilation[i])
        return x.update(shape=tuple(shape), dtype=dtype, weak_type=x.weak_type and w.weak_type)

    def jvp(primals, tangents, out, **params):
        (x, w), (dx, dw) = primals, tangents
        terms = []
        if dx is not None:
            terms.append(conv_general_dilated(dx, w, **params))
        if dw is not None:
            terms.append(conv_general_dilated(x, dw, **params))
        return terms[0] if len(terms) == 1 else add(*terms)

    def transpose(ct, x, w, **params):
        if is_linear(x):
            return _cotangent_of_x(convert_to(ct, x.dtype), x, w, **params), None
        return None, _cotangent_of_w(convert_to(ct, w.dtype), x, w, **params)

    def batch(inputs, batched, *, axes, feature_groups, batch_groups, **params):
        x, w = inputs
        size = (x if batched[0] else w).shape[0]
        if not size:
            return _empty_batch(
                inputs, batched, axes=axes, feature_groups=feature_groups, batch_groups=batch_groups, **params
            )
        groups = feature_groups * batch_groups
        feature, batch = axes.out[1], axes.out[0]
        apply = lambda x, w, f=feature_groups, b=batch_groups: conv_general_dilated(
            x, w, axes=axes, feature_groups=f, batch_groups=b, **params
        )
        if all(batched):  # one more kind of groups
            w = merge_axis(w, 0, axes.w[0])
            if batch_groups > 1:
                out = apply(merge_axis(x, 0, axes.x[0]), w, b=batch_groups * size)
            else:
                out = apply(merge_axis(x, 0, axes.x[1]), w, f=feature_groups * size)
            return _to_front(split_axis(out, feature, size), feature)
        if batched[0]:  # a larger batch; its groups stay outermost
            if batch_groups > 1:
                x = split_axis(x, axes.x[0] + 1, batch_groups)
                x = merge_axis(merge_axis(x, 0, axes.x[0] + 1), axes.x[0], axes.x[0])
            else:
                x = merge_axis(x, 0, axes.x[0])
            return _to_front(split_axis(apply(x, w), batch, size), batch)
        if groups == 1:  # more output features
            return _to_front(split_axis(apply(x, merge_axis(w, 0, axes.w[0])), feature, size), feature)
        w = split_axis(w, axes.w[0] + 1, groups)
        w = merge_axis(merge_axis(w, 0, axes.w[0] + 1), axes.w[0], axes.w[0])
        out = split_axis(split_axis(apply(x, w), feature, groups), feature + 1, size)
        return _to_front(merge_axis(out, feature, feature + 1), feature)

    def lower(x, w, *, stride, padding, x_dilation, w_dilation, feature_groups, batch_groups, axes, dtype):
        spatial = [
            n for s, (low, high), a, b in zip(stride, padding, x_dilation, w_dilation) for n in (s, low, high, a, b)
        ]
        return "conv", (feature_groups, batch_groups, *axes.x, *axes.w, *axes.out, *spatial)

    def flops(x, w, **params):
        out, features = conv_general_dilated.infer(x, w, **params), w.shape[params["axes"].w[0]]
        return (8 if out.dtype.kind == "c" else 2) * out.size * (w.size // features if features else 0)

    def samples(rng):
        f = lambda *shape: rng.normal(size=shape)
        first = ConvAxes((0, 1, 2), (0, 1, 2), (0, 1, 2))
        plane = ConvAxes((0, 1, 2, 3), (0, 1, 2, 3), (0, 1, 2, 3))
        last = ConvAxes((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
        mixed = ConvAxes((2, 0, 1, 3), (1, 3, 0, 2), (3, 1, 2, 0))

        def params(n, axes, **changes):
            plain = {"stride": (1,) * n, "padding": ((0, 0),) * n, "x_dilation": (1,) * n, "w_dilation": (1,) * n}
            return {**plain, "feature_groups": 1, "batch_groups": 1, "axes": axes, "dtype": dt.float64, **changes}

        yield (f(2, 3, 6), f(4, 3, 3)), params(1, first, padding=((1, 1),))
        yield (f(2, 3, 9), f(4, 3, 2)), params(1, first, stride=(3,), padding=((2, -1),), w_dilation=(2,))
        yield (f(2, 3, 4), f(2, 3, 3)), params(1, first, x_dilation=(3,), padding=((-1, 4),), stride=(2,))
        yield (f(1, 6, 5), f(4, 3, 3)), params(1, first, feature_groups=2, padding=((1, 0),))
        yield (f(4, 2, 5), f(6, 2, 3)), params(1, first, batch_groups=2, stride=(2,))
        yield (f(2, 5, 4, 2), f(2, 3, 2, 3)), params(2, last, padding=((1, 1), (0, 1)))
        yield (f(4, 4, 2, 5), f(2, 6, 3, 2)), params(2, mixed, feature_groups=2, stride=(2, 1))
        yield (f(2, 3, 4, 4), f(3, 1, 3, 3)), params(2, plane, feature_groups=3, padding=((1, 1), (1, 1)))
        yield (f(2, 3), f(4, 3)), params(0, ConvAxes((0, 1), (0, 1), (0, 1)))
        z = lambda *shape: complex_normal(rng, *shape)
        yield (z(2, 4, 5), z(4, 2, 2)), params(1, first, feature_groups=2, padding=((1, 0),), dtype=dt.complex128)
        yield (
            (z(2, 4, 3, 2), z(2, 3, 2, 3)),
            params(2, last, padding=((1, 1), (0, 1)), x_dilation=(2, 1), dtype=dt.complex128),
        )
        yield (z(2, 0, 4), z(2, 0, 3)), params(1, first, dtype=dt.complex128)
        yield (f(0, 3, 4), f(2, 3, 3)), params(1, first)
        yield (f(2, 0, 4), f(2, 0, 3)), params(1, first)
        yield (f(2, 3, 1), f(2, 3, 3)), params(1, first)


def _check_features(x, w, axes, feature_groups, batch_groups):
    features, inputs, outputs = x.shape[axes.x[1]], w.shape[axes.w[1]], w.shape[axes.w[0]]
    if feature_groups < 1 or batch_groups < 1 or (feature_groups > 1 and batch_groups > 1):
        raise ShapeError(
            f"conv: {feature_groups} feature groups and {batch_groups} batch groups.", fix="at least one must be 1."
        )
    if features != inputs * feature_groups:
        groups = f" in each of {feature_groups} groups" if feature_groups > 1 else ""
        raise ShapeError(
            f"conv: x {x} has {features} features, but the kernel w {w} takes {inputs}{groups}.",
            fix=f"axis {axes.x[1]} of x must be {f'{feature_groups} times ' if groups else ''}axis {axes.w[1]} of w: "
            "check the layouts and groups.",
        )
    groups = feature_groups * batch_groups
    if outputs % groups:
        raise ShapeError(
            f"conv: the {outputs} output features of w {w} do not divide into {groups} groups.",
            fix="their number must be a multiple of the groups.",
        )
    if x.shape[axes.x[0]] % batch_groups:
        raise ShapeError(
            f"conv: the batch of x {x} does not divide into {batch_groups} groups.",
            fix="its size must be a multiple of batch_groups.",
        )


# ---- cotangents --------------------------------------------------------------------------------------


def _swapped(order):
    return (order[1], order[0], *order[2:])


def _sizes(array, order):
    return [array.shape[a] for a in order[2:]]


def _cotangent_of_x(ct, x, w, *, stride, padding, x_dilation, w_dilation, feature_groups, batch_groups, axes, dtype):
    """ct, spread by the stride, convolved with w backwards, its input and output features exchanged."""
    groups = feature_groups * batch_groups
    if groups > 1:  # the groups of output features become groups of input features
        w = merge_axis(split_axis(w, axes.w[0], groups), axes.w[0], axes.w[1])
    pads = []
    for n, k, m, s, (low, _), xd, wd in zip(
        _sizes(x, axes.x), _sizes(w, axes.w), _sizes(ct, axes.out), stride, padding, x_dilation, w_dilation
    ):
        before = dilated(k, wd) - low - 1
        pads.append((before, dilated(n, xd) + dilated(k, wd) - 1 - dilated(m, s) - before))
    if not ct._node.aval.size or not w._node.aval.size:
        return zeros_like(x)
    out = conv_general_dilated(
        ct, rev(w, axes=tuple(sorted(axes.w[2:]))) if len(axes.w) > 2 else w,
        stride=x_dilation, padding=tuple(pads), x_dilation=stride, w_dilation=w_dilation, feature_groups=groups,
        batch_groups=1, axes=ConvAxes(axes.out, _swapped(axes.w), axes.x), dtype=x.dtype,
    )  # fmt: skip
    if batch_groups > 1:
        out = merge_axis(split_axis(out, axes.x[1], batch_groups), axes.x[1], axes.x[0])
    return out


def _cotangent_of_w(ct, x, w, *, stride, padding, x_dilation, w_dilation, feature_groups, batch_groups, axes, dtype):
    """x convolved with ct as the kernel: batch and features change places."""
    if not ct._node.aval.size or not x._node.aval.size:
        return zeros_like(w)
    pads = []
    for n, k, m, s, (low, _), xd, wd in zip(
        _sizes(x, axes.x), _sizes(w, axes.w), _sizes(ct, axes.out), stride, padding, x_dilation, w_dilation
    ):
        pads.append((low, dilated(m, s) - dilated(n, xd) + dilated(k, wd) - low - 1))
    return conv_general_dilated(
        x, ct, stride=w_dilation, padding=tuple(pads), x_dilation=x_dilation, w_dilation=stride,
        feature_groups=batch_groups, batch_groups=feature_groups,
        axes=ConvAxes(_swapped(axes.x), _swapped(axes.out), _swapped(axes.w)), dtype=w.dtype,
    )  # fmt: skip


# ---- axes --------------------------------------------------------------------------------------------


def split_axis(x, axis, count):
    """Axis `axis` as two: `count` parts, and what each holds."""
    return reshape(x, shape=(*x.shape[:axis], count, x.shape[axis] // count, *x.shape[axis + 1 :]))


def merge_axis(x, source, destination):
    """Axis `source` moved before another and merged with it; `destination` counts axes without the source."""
    order = [i for i in range(x.ndim) if i != source]
    order.insert(destination, source)
    if order != list(range(x.ndim)):
        x = transpose(x, permutation=tuple(order))
    merged = x.shape[destination] * x.shape[destination + 1]
    return reshape(x, shape=(*x.shape[:destination], merged, *x.shape[destination + 2 :]))


def _to_front(x, axis):
    order = (axis, *(i for i in range(x.ndim) if i != axis))
    return transpose(x, permutation=order) if axis else x


def _empty_batch(inputs, batched, **params):
    """The result for a batch of no examples: shapes are all that is left."""
    avals = [x._node.aval for x in inputs]
    avals = [v.update(shape=v.shape[1:]) if b else v for v, b in zip(avals, batched)]
    aval = conv_general_dilated.infer(*avals, **params)
    return broadcast_in_dim(convert_to(number(0, inputs[0]), aval.dtype), shape=(0, *aval.shape), axes=())
