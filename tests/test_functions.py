"""Every user-level function of one table: its value against a reference, jit(f) = f, vmap(f) = a loop, its derivatives.

The references are NumPy, JAX and torch, on float64. What a table cannot say (edges, dtypes, errors) is in the files of
the functions' subjects.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F

import pequegrad as pg

R = np.random.default_rng(7)


def normal(*shape):
    return R.normal(size=shape)


def positive(*shape):
    return R.uniform(0.2, 0.8, size=shape)


def integers(*shape, low=0, high=4):
    return R.integers(low, high, size=shape).astype(np.int32)


def spread(*shape):
    """Values that are well apart, and off the kinks of what is tested."""
    n = int(np.prod(shape))
    return (R.permutation(n) / n * 8 - 3.93).reshape(shape)


def in_torch(function):
    """The torch function on arrays."""
    return lambda *xs: function(*(torch.tensor(x) for x in xs)).numpy()


def in_jax(function):
    def call(*xs):
        with jax.enable_x64(True):
            return jax.tree.map(np.asarray, jax.jit(function)(*xs))

    return call


def both(name, *arrays, reference=None, grads=True, **kwargs):
    """A case for pg.NAME(*arrays, **kwargs) against the function of that name in numpy."""
    ours = functools.partial(getattr(pg, name), **kwargs)
    theirs = functools.partial(reference or getattr(np, name), **({} if reference else kwargs))
    return ours, theirs, arrays, grads


def of_list(name, *arrays, reference=None, **kwargs):
    ours, theirs = getattr(pg, name), reference or getattr(np, name)
    return (lambda *xs: ours(list(xs), **kwargs)), (lambda *xs: theirs(list(xs), **kwargs)), arrays, True


def like_torch(name, function, *arrays, grads=True, **kwargs):
    return (
        functools.partial(getattr(pg, name), **kwargs),
        in_torch(functools.partial(function, **kwargs)),
        arrays,
        grads,
    )


def activation(name, **kwargs):
    return both(name, spread(2, 5), reference=in_jax(functools.partial(getattr(jax.nn, name), **kwargs)), **kwargs)


X, Y, V, P = normal(3, 4), normal(3, 4), normal(6), positive(3, 4)
HOLES = np.where(R.uniform(size=(3, 4)) < 0.3, np.nan, X)
CLASSES = integers(3, high=4)
IMAGE = normal(2, 3, 5, 4)
WEIGHT = positive(4)

CASES = {
    # activations
    **{name: activation(name) for name in (
        "relu6", "elu", "celu", "selu", "leaky_relu", "hard_tanh", "hard_sigmoid", "hard_swish", "log_sigmoid", "mish", "soft_sign",
        "squareplus", "softplus")},
    "glu": both("glu", normal(3, 4), reference=in_torch(F.glu)),
    "elu 2": activation("elu", alpha=2.0), "celu 2": activation("celu", alpha=2.0),
    "leaky_relu .2": activation("leaky_relu", negative_slope=0.2), "squareplus 1": activation("squareplus", b=1.0),
    "softmin": both("softmin", X, reference=in_torch(lambda x: F.softmin(x, -1))),
    "prelu": both("prelu", spread(2, 3, 4), positive(3, 1), reference=in_torch(lambda x, w: F.prelu(x, w[:, 0]))),
    # losses
    **{f"{loss} {reduction}": like_torch(loss, function, X, Y, reduction=reduction)
       for reduction in ("mean", "sum", "none")
       for loss, function in (("mse_loss", F.mse_loss), ("l1_loss", F.l1_loss), ("huber_loss", F.huber_loss), ("smooth_l1_loss", F.smooth_l1_loss),
                              ("binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits))},
    "huber_loss .3": like_torch("huber_loss", F.huber_loss, X, Y, delta=0.3),
    "smooth_l1_loss .3": like_torch("smooth_l1_loss", F.smooth_l1_loss, X, Y, beta=0.3),
    "smooth_l1_loss 0": like_torch("smooth_l1_loss", F.smooth_l1_loss, X, Y, beta=0),
    "binary_cross_entropy": like_torch("binary_cross_entropy", F.binary_cross_entropy, P, positive(3, 4)),
    "binary_cross_entropy weight": both("binary_cross_entropy", P, positive(3, 4), WEIGHT, reference=in_torch(F.binary_cross_entropy)),
    "bce_with_logits pos_weight": (
        lambda x, t, w, p: pg.binary_cross_entropy_with_logits(x, t, w, p),
        in_torch(lambda x, t, w, p: F.binary_cross_entropy_with_logits(x, t, w, pos_weight=p)), (X, P, WEIGHT, positive(4)), True),
    **{f"kl_div {reduction}": like_torch("kl_div", F.kl_div, X, P, reduction=reduction) for reduction in ("sum", "none", "batchmean")},
    "kl_div log": like_torch("kl_div", F.kl_div, X, Y, log_target=True, reduction="sum"),
    "cosine_similarity": both("cosine_similarity", X, Y, reference=in_torch(lambda x, y: F.cosine_similarity(x, y, dim=-1))),
    "cosine_similarity 0": both("cosine_similarity", X, normal(4, 1)[:1], axis=0, reference=in_torch(lambda x, y: F.cosine_similarity(x, y, dim=0))),
    **{f"cross_entropy_loss_indices {reduction} {smoothing}": (
        functools.partial(pg.cross_entropy_loss_indices, reduction=reduction, label_smoothing=smoothing),
        in_torch(lambda x, y, w, r=reduction, s=smoothing: F.cross_entropy(x, y.long(), w, reduction=r, label_smoothing=s)), (X, CLASSES, WEIGHT), True)
       for reduction in ("mean", "sum", "none") for smoothing in (0.0, 0.3)},
    **{f"cross_entropy_loss_probs {reduction} {smoothing}": (
        functools.partial(pg.cross_entropy_loss_probs, reduction=reduction, label_smoothing=smoothing),
        in_torch(lambda x, y, w, r=reduction, s=smoothing: F.cross_entropy(x, y, w, reduction=r, label_smoothing=s)), (X, P, WEIGHT), True)
       for reduction in ("mean", "sum", "none") for smoothing in (0.0, 0.3)},
    "nll_loss": both("nll_loss", X, CLASSES, WEIGHT, reference=in_torch(lambda x, y, w: F.nll_loss(x, y.long(), w))),
    "nll_loss ignoring": both("nll_loss", X, np.int32([1, -100, 3]), reference=in_torch(lambda x, y: F.nll_loss(x, y.long()))),
    # normalisation
    "layer_norm": (
        lambda x, w, b: pg.layer_norm(x, 4, w, b), in_torch(lambda x, w, b: F.layer_norm(x, (4,), w, b)), (normal(2, 3, 4), normal(4), normal(4)), True),
    "layer_norm 2": (lambda x: pg.layer_norm(x, (3, 4), eps=0.1), in_torch(lambda x: F.layer_norm(x, (3, 4), eps=0.1)), (normal(2, 3, 4),), True),
    "layer_norm axis": (lambda x, w: pg.layer_norm(x, axis=0, weight=w), in_torch(lambda x, w: F.layer_norm(x.T, (3,), w).T), (X, normal(3)), True),
    "rms_norm": (lambda x, w: pg.rms_norm(x, 4, w), in_torch(lambda x, w: F.rms_norm(x, (4,), w)), (X, normal(4)), True),
    "group_norm": (lambda x, w, b: pg.group_norm(x, 2, w, b), in_torch(lambda x, w, b: F.group_norm(x, 2, w, b)), (normal(2, 4, 3), normal(4), normal(4)), True),
    "instance_norm": both("instance_norm", IMAGE, normal(3), normal(3), reference=in_torch(lambda x, w, b: F.instance_norm(x, weight=w, bias=b))),
    "batch_norm": both("batch_norm", IMAGE, normal(3), positive(3), normal(3), normal(3), reference=lambda x, m, v, w, b: [in_torch(F.batch_norm)(x, m, v, w, b), m, v]),
    "batch_norm training": (lambda x, w, b: pg.batch_norm(x, weight=w, bias=b, training=True)[0],
                            in_torch(lambda x, w, b: F.batch_norm(x, None, None, w, b, True)), (IMAGE, normal(3), normal(3)), True),
    # attention
    "attention": both("scaled_dot_product_attention", normal(2, 3, 5, 4), normal(2, 3, 6, 4), normal(2, 3, 6, 2), reference=in_torch(F.scaled_dot_product_attention)),
    "attention causal": like_torch("scaled_dot_product_attention", F.scaled_dot_product_attention, normal(2, 5, 4), normal(2, 6, 4), normal(2, 6, 4), is_causal=True),
    "attention mask": both("scaled_dot_product_attention", normal(2, 5, 4), normal(2, 6, 4), normal(2, 6, 4), R.uniform(size=(5, 6)) < 0.6,
                           reference=in_torch(F.scaled_dot_product_attention)),
    "attention bias": both("scaled_dot_product_attention", normal(2, 5, 4), normal(2, 6, 4), normal(2, 6, 4), normal(2, 1, 6),
                           reference=in_torch(lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, m.broadcast_to(2, 5, 6)))),
    "attention grouped": like_torch("scaled_dot_product_attention", functools.partial(F.scaled_dot_product_attention, enable_gqa=True),
                                    normal(2, 4, 3, 2), normal(2, 2, 5, 2), normal(2, 2, 5, 2), scale=0.3),
    "attention shared": both("scaled_dot_product_attention", normal(2, 4, 3, 2), normal(5, 2), normal(1, 5, 2), reference=in_torch(
        lambda q, k, v: F.scaled_dot_product_attention(q, k.expand(2, 4, 5, 2), v.expand(2, 4, 5, 2)))),
    # elementwise
    **{name: both(name, X, Y) for name in ("logaddexp", "logaddexp2", "hypot", "copysign", "fmax", "fmin", "heaviside", "isclose", "maximum")},
    **{name: both(name, X) for name in ("square", "deg2rad", "rad2deg", "sinc", "signbit", "isinf", "isposinf", "isneginf")},
    **{name: both(name, P) for name in ("log2", "log10", "reciprocal")},
    **{name: both(name, X, P) for name in ("floor_divide", "remainder", "fmod")}, "divmod": both("divmod", X, P),
    "float_power": both("float_power", P, X), "logit": both("logit", P, reference=in_torch(torch.logit)),
    "xlogy": both("xlogy", X, P, reference=in_torch(torch.xlogy)), "xlog1py": both("xlog1py", X, P, reference=in_torch(torch.special.xlog1py)),
    "frexp": both("frexp", X), "ldexp": both("ldexp", X, integers(4)), "nan_to_num": both("nan_to_num", X),
    **{name: both(name, integers(3, 4, high=2), integers(4, high=2)) for name in ("logical_and", "logical_or", "logical_xor")},
    "power of integers": both("power", integers(3, 4), integers(4)),
    # rearranging
    "ravel": both("ravel", X), "tile": (lambda x: pg.tile(x, (2, 1, 3)), lambda x: np.tile(x, (2, 1, 3)), (X,), True),
    "tile short": (lambda x: pg.tile(x, 2), lambda x: np.tile(x, 2), (X,), True), "tile none": (lambda x: pg.tile(x, (0, 1)), lambda x: np.tile(x, (0, 1)), (X,), True),
    "repeat": both("repeat", X, repeats=3), "repeat axis": both("repeat", X, repeats=2, axis=-1), "repeat list": both("repeat", X, repeats=[2, 0, 1], axis=0),
    "roll": both("roll", X, shift=5), "roll axis": both("roll", X, shift=-1, axis=1), "roll axes": both("roll", X, shift=(1, 2), axis=(0, -1)),
    **{f"rot90 {k}": both("rot90", X, k=k) for k in range(-1, 4)}, "diff": both("diff", X), "diff 2": both("diff", X, n=2, axis=0),
    "diff all": both("diff", X, n=7), "broadcast_arrays": both("broadcast_arrays", X, normal(3, 1), np.float64(2)),
    "meshgrid": both("meshgrid", normal(2), normal(3), normal(4)), "meshgrid ij": both("meshgrid", normal(2), normal(3), indexing="ij"),
    "meshgrid sparse": both("meshgrid", normal(2), normal(3), sparse=True), "meshgrid 1": both("meshgrid", normal(2)),
    **{f"{name} {np.ndim(x)}": both(name, x) for name in ("atleast_1d", "atleast_2d", "atleast_3d") for x in (np.float64(1), V, X, IMAGE)},
    **{f"{name} {x.ndim}": of_list(name, x, 2 * x) for name in ("hstack", "vstack", "dstack") for x in (V, X, IMAGE)},
    "unstack": (lambda x: pg.unstack(x, 1), lambda x: [x[:, i] for i in range(4)], (X,), True),
    **{f"chunk {n}": (functools.partial(pg.chunk, chunks=n), lambda x, n=n: [c.numpy() for c in torch.tensor(x).chunk(n)], (V,), True) for n in (1, 2, 4, 6, 9)},
    "take": (lambda x, i: pg.take(x, i), lambda x, i: np.take(x, i), (X, integers(2, 3, low=-12, high=12)), True),
    "take axis": (lambda x, i: pg.take(x, i, 1), lambda x, i: np.take(x, i, 1), (X, integers(2, 3, low=-4)), True),
    **{f"take {mode}": (functools.partial(pg.take, axis=0, mode=mode), functools.partial(np.take, axis=0, mode=mode), (X, integers(5, low=-9, high=9)), True)
       for mode in ("clip", "wrap")},
    "put_along_axis": (lambda x, i, v: pg.put_along_axis(x, i, v, 1), in_jax(lambda x, i, v: jnp.put_along_axis(x, i, v, 1, inplace=False)),
                       (X, np.int32([[0, -1], [2, 1], [3, 0]]), normal(3, 2)), True),
    "select": (lambda x, y: pg.select([x > 0, y > 0], [x, y], 5.0), lambda x, y: np.select([x > 0, y > 0], [x, y], 5.0), (X, Y), True),
    "choose": (lambda i, x, y: pg.choose(i, [x, y]), lambda i, x, y: np.choose(i, [x, y]), (integers(3, 1, high=2), X, Y), True),
    "choose wrap": (lambda i, x, y: pg.choose(i, [x, y], "wrap"), lambda i, x, y: np.choose(i, [x, y], mode="wrap"), (integers(4, low=-5, high=5), X, Y), True),
    # statistics
    **{f"{name} {axis}": both(name, HOLES, axis=axis, grads=False) for axis in (None, 0, 1) for name in ("nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmax", "nanmin")},
    **{f"{name} full": both(name, X, axis=0) for name in ("nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmax", "nanmin")},
    **{f"{name} ddof": both(name, X, axis=0, ddof=1) for name in ("var", "std", "nanvar", "nanstd")},
    **{f"{name} {axis}": both(name, X, axis=axis) for axis in (None, 1) for name in ("count_nonzero", "ptp", "average")},
    "average weights": (lambda x, w: pg.average(x, 1, w, returned=True), lambda x, w: np.average(x, 1, w, returned=True), (X, WEIGHT), True),
    "average weights 2": (lambda x, w: pg.average(x, None, w), lambda x, w: np.average(x, None, w), (X, P), True),
    "allclose": both("allclose", X, Y), "array_equal": both("array_equal", X, X), "array_equal shapes": both("array_equal", X, Y.T),
    "cov": both("cov", X), "cov y": both("cov", X, Y), "cov columns": both("cov", X, rowvar=False, bias=True), "cov 1": both("cov", V),
    "cov weights": (lambda x, a: pg.cov(x, fweights=np.int32([1, 2, 3, 1]), aweights=a), lambda x, a: np.cov(x, fweights=np.int32([1, 2, 3, 1]), aweights=a), (X, WEIGHT), True),
    "corrcoef": both("corrcoef", X), "corrcoef y": both("corrcoef", X, Y, rowvar=False), "corrcoef 1": both("corrcoef", V),
    "trapezoid": both("trapezoid", X), "trapezoid dx": both("trapezoid", X, dx=0.5, axis=0), "trapezoid x": both("trapezoid", X, normal(4)),
    **{f"polyval {n}": both("polyval", normal(n), X) for n in (0, 1, 2, 3, 5, 8)}, "polyval 0-d": both("polyval", V, np.float64(2)),
    "interp": both("interp", spread(3, 4), np.float64([-2, -1, 0.5, 2]), normal(4)), "interp sides": both("interp", spread(9), np.float64([-1, 1]), normal(2), left=7.0, right=8.0),
    "interp period": both("interp", spread(9), np.float64([0.5, 1.0, 2.5]), normal(3), period=3.0), "interp 1": both("interp", spread(5), np.float64([1]), normal(1)),
    "histogram": both("histogram", V), "histogram range": both("histogram", X, bins=4, range=(-1, 1)), "histogram density": both("histogram", X, density=True, bins=3),
    "histogram edges": (lambda x, w: pg.histogram(x, np.float64([-1, 0, 0.2, 3]), weights=w), lambda x, w: np.histogram(x, np.float64([-1, 0, 0.2, 3]), weights=w), (X, P), False),
    "bincount": (lambda x: pg.bincount(x, length=6), lambda x: np.bincount(x, minlength=6), (integers(9),), False),
    "bincount weights": (lambda x, w: pg.bincount(x, w, length=6), lambda x, w: np.bincount(x, w, 6), (integers(9), normal(9)), True),
    # images
    **{f"resize {method} {antialias} {shape}": both("resize", IMAGE, reference=in_jax(functools.partial(jax.image.resize, shape=shape, method=method, antialias=antialias)),
                                                    shape=shape, method=method, antialias=antialias)
       for method in ("nearest", "bilinear", "bicubic") for antialias in (False, True) for shape in ((2, 3, 7, 9), (2, 3, 2, 3))},
    **{f"interpolate {mode} {corners}": (functools.partial(pg.interpolate, size=(7, 3), mode=mode, align_corners=corners), in_torch(
        lambda x, mode=mode, corners=corners: F.interpolate(x, (7, 3), mode=mode, align_corners=corners or None)), (IMAGE,), True)
       for mode in ("nearest", "nearest-exact", "bilinear", "bicubic") for corners in (False, True) if not (corners and "nearest" in mode)},
    **{f"interpolate {mode} {factor}": (functools.partial(pg.interpolate, scale_factor=factor, mode=mode), in_torch(functools.partial(F.interpolate, scale_factor=factor, mode=mode)), (IMAGE,), True)
       for mode in ("nearest", "bilinear", "bicubic") for factor in (2, 0.6, (1.5, 0.5))},
    "interpolate linear": (functools.partial(pg.interpolate, size=7, mode="linear"), in_torch(functools.partial(F.interpolate, size=7, mode="linear")), (IMAGE[0],), True),
    "interpolate trilinear": (functools.partial(pg.interpolate, size=4, mode="trilinear"), in_torch(functools.partial(F.interpolate, size=4, mode="trilinear")), (IMAGE[None],), True),
    "pixel_shuffle": both("pixel_shuffle", normal(2, 8, 2, 3), reference=in_torch(lambda x: F.pixel_shuffle(x, 2)), factor=2),
    "pixel_unshuffle": both("pixel_unshuffle", normal(2, 2, 4, 6), reference=in_torch(lambda x: F.pixel_unshuffle(x, 2)), factor=2),
}  # fmt: skip


def results(out):
    return list(out) if isinstance(out, (list, tuple)) else [out]


def close(ours, theirs, tolerance=1e-10):
    ours, theirs = results(ours), results(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        a = a.numpy() if isinstance(a, pg.Tensor) else a
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.filterwarnings("ignore:Degrees of freedom|All-NaN|reduction. 'mean'|invalid value")
@pytest.mark.parametrize("name", CASES)
def test_values_and_transforms(tensor, name):
    ours, theirs, arrays, differentiable = CASES[name]
    tensors = [tensor(x) for x in arrays]
    out = ours(*tensors)
    # JAX and torch compute the weights of images, and NumPy the edges of bins, in float32 or in another order
    close(out, theirs(*arrays), 1e-6 if "resize" in name or "interpolate" in name else 1e-10)
    close(pg.jit(ours)(*tensors), out)
    shifted = [x + 0.25 if x.dtype.kind == "f" else x for x in map(np.asarray, arrays)]  # a second, different example
    batch = [tensor(np.stack([a, b])) for a, b in zip(arrays, shifted)]
    rows = pg.vmap(lambda *xs: tuple(results(ours(*xs))))(*batch)
    for i in (0, 1):
        close([row[i] for row in rows], ours(*(x[i] for x in batch)))
    if differentiable and any(r.dtype == np.float64 for r in results(out)):
        pg.check_grads(ours, tuple(tensors))
