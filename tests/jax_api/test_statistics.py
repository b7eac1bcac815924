"""jax.numpy's histograms, covariance, signals, interpolation, differences, quantiles and polynomials against JAX's."""

import numpy as np
import pytest
from conftest import FULL

from .agreement import EAGER, GRAD, JIT, MODES, VMAP, agree, same

rng = np.random.default_rng(3)
x, y = (rng.normal(size=20).astype("f4") for _ in range(2))
rows = rng.normal(size=(3, 8)).astype("f4")
cube = rng.normal(size=(3, 5, 4)).astype("f4")
gaps = cube.copy()
gaps[0, 1, 2] = gaps[1, :, 1] = np.nan
z = (x + 1j * y).astype("c8")
integers = rng.integers(0, 9, 20).astype("i4")
weights = rng.uniform(0.1, 1, 20).astype("f4")
ascending = np.sort(x)
steady = np.linspace(-3, 3, 7).astype("f4")
q = np.array([0.0, 0.1, 0.5, 0.75, 1.0], "f4")

# (name, arguments, keywords): in all modes
CASES = [
    ("histogram_bin_edges", (x,), {}),
    ("histogram_bin_edges", (x, 5), {"range": (-1, 1)}),
    ("histogram_bin_edges", (integers, 4), {}),
    ("histogram_bin_edges", (np.full(5, 2.0, "f4"), 2), {}),
    ("histogram_bin_edges", (x,), {"bins": steady, "weights": weights}),
    ("histogram", (x,), {}),
    ("histogram", (x, 4), {"range": (-1.0, 1.0), "density": True}),
    ("histogram", (x, steady), {"weights": weights}),
    ("histogram", (integers, 3), {"density": True}),
    ("histogram", (rows,), {"bins": 5, "weights": rows}),
    ("histogram2d", (x, y), {}),
    ("histogram2d", (x, y), {"bins": [3, 4], "range": [[-1, 1], None], "density": True}),
    ("histogram2d", (x, y), {"bins": steady, "weights": weights}),
    ("histogramdd", (np.stack([x, y], 1),), {"bins": 3}),
    ("histogramdd", (np.stack([x, y], 1),), {"bins": [3, steady], "weights": weights, "density": True}),
    ("bincount", (integers,), {"length": 6}),
    ("bincount", (integers, weights), {"length": 12, "minlength": 3}),
    ("bincount", (integers - 3,), {"length": 6}),
    ("digitize", (x, steady), {}),
    ("digitize", (x, steady[::-1].copy()), {"right": True}),
    ("digitize", (steady, steady), {"right": True, "method": "sort"}),
    ("digitize", (integers, np.array([1, 3, 5])), {}),
    ("cov", (rows,), {}),
    ("cov", (x,), {}),
    ("cov", (x, y), {"ddof": 0}),
    ("cov", (rows, rows[:1]), {"bias": True}),
    ("cov", (rows, rows), {"rowvar": False}),
    ("cov", (rows,), {"aweights": weights[:8], "ddof": 2}),
    ("cov", (rows,), {"fweights": integers[:8], "aweights": weights[:8]}),
    ("cov", (rows,), {"fweights": integers[:8], "dtype": "float16"}),
    ("cov", (z.reshape(4, 5),), {}),
    ("cov", (integers.reshape(4, 5),), {}),
    ("corrcoef", (rows,), {}),
    ("corrcoef", (rows, rows[::-1].copy()), {"rowvar": False}),
    ("corrcoef", (z.reshape(4, 5),), {}),
    ("corrcoef", (x, y), {"dtype": "float32"}),
    ("convolve", (x, y[:5]), {}),
    ("convolve", (x[:4], y), {"mode": "same"}),
    ("convolve", (x, y[:6], "valid"), {"precision": "highest"}),
    ("convolve", (integers, integers[:4]), {}),
    ("convolve", (integers, integers[:4]), {"preferred_element_type": "int32"}),
    ("convolve", (z, z[:3]), {"mode": "same"}),
    ("correlate", (x, y[:5]), {}),
    ("correlate", (x[:4], y), {"mode": "full"}),
    ("correlate", (z[:4], z), {"mode": "same", "precision": "high"}),
    ("correlate", (x, y[:5]), {"preferred_element_type": "float32"}),
    ("interp", (x, ascending, y), {}),
    ("interp", (x * 2, steady, steady**2), {"left": -1.0, "right": 5}),
    ("interp", (x * 3, steady, steady**2), {"left": "extrapolate", "right": "extrapolate"}),
    ("interp", (x * 5, steady[1:], steady[1:] ** 2), {"period": 6.5}),
    ("interp", (x, steady, (steady + 1j).astype("c8")), {}),
    ("interp", (integers, np.arange(4), np.arange(4)), {}),
    ("trapezoid", (cube,), {}),
    ("trapezoid", (cube,), {"dx": 0.5, "axis": 1}),
    ("trapezoid", (cube, steady[:5]), {"axis": 1}),
    ("trapezoid", (cube, cube * 2), {"axis": 0}),
    ("trapezoid", (integers,), {}),
    ("diff", (cube,), {}),
    ("diff", (cube,), {"n": 2, "axis": 1}),
    ("diff", (cube,), {"n": 0}),
    ("diff", (cube,), {"n": 7, "axis": 0}),
    ("diff", (rows,), {"prepend": 1.0, "append": rows[:, :2]}),
    ("diff", (x > 0,), {}),
    ("ediff1d", (rows,), {}),
    ("ediff1d", (x,), {"to_begin": 3, "to_end": rows[0]}),
    ("gradient", (x,), {}),
    ("gradient", (cube,), {}),
    ("gradient", (cube, 0.5), {"axis": (0, 2)}),
    ("gradient", (cube, ascending[:5]), {"axis": 1}),
    ("gradient", (rows, 2.0, ascending[:8]), {}),
    ("gradient", (x[:2],), {"axis": -1}),
    ("gradient", (integers,), {}),
    ("polyval", (x[:5], y), {}),
    ("polyval", (x, y * 0.5), {"unroll": 4}),
    ("polyval", (rows, y[:8]), {}),
    ("polyval", (integers[:3], integers), {}),
    ("polyadd", (x, y[:5]), {}),
    ("polyadd", (integers[:3], x), {}),
    ("polysub", (x[:3], y), {}),
    ("polymul", (x[:4], y[:3]), {}),
    ("polymul", (integers[:4], integers[:2]), {}),
    ("polydiv", (x[:6], np.array([2.0, 0.5, -1], "f4")), {}),
    ("polydiv", (x[:2], y[:4]), {}),
    ("polyder", (x[:5],), {}),
    ("polyder", (x[:6],), {"m": 3}),
    ("polyder", (integers[:4],), {"m": 0}),
    ("polyint", (x[:5],), {}),
    ("polyint", (x[:5],), {"m": 3, "k": 2.0}),
    ("polyint", (integers[:4],), {"m": 2, "k": np.array([1, 2])}),
    ("poly", (x[:5],), {}),
    ("poly", (z[:4],), {}),
    ("poly", (integers[:3],), {}),
    ("vander", (x[:4],), {}),
    ("vander", (x[:4],), {"N": 6, "increasing": True}),
    ("vander", (integers[:4],), {"N": 3}),
]  # fmt: skip
# discrete in their arguments, or with arguments that vmap's reversal would bring out of order
ONLY = {
    "histogram": (EAGER, JIT),
    "histogram2d": (EAGER, JIT),
    "histogramdd": (EAGER, JIT),
    "digitize": (EAGER, JIT, GRAD),
}
ONLY["histogram_bin_edges"] = (EAGER, JIT, GRAD)


def shown(case):
    name, args, kwargs = case
    return f"{name}-{'-'.join(str(a.dtype) if isinstance(a, np.ndarray) else str(a) for a in args)}-{'-'.join(kwargs)}"


@pytest.mark.parametrize("case", CASES, ids=shown)
def test_statistics_agree_with_jax(case):
    name, args, kwargs = case
    modes = ONLY.get(name, MODES)
    if not FULL and name not in ("interp", "diff", "polyval"):
        modes = tuple(mode for mode in modes if mode in (EAGER, GRAD))
    if name == "interp":  # xp must ascend: a vmap of the points would be out of order
        modes = tuple(mode for mode in modes if mode != VMAP)
    atol = 1e-3 if kwargs.get("dtype") == "float16" else 2e-5  # sums of halves, in another order
    agree(f"numpy.{name}", *args, modes=modes, rtol=2e-5, atol=atol, **kwargs)


QUANTILES = [
    ("quantile", (x, 0.3), {}),
    ("quantile", (cube, q), {"axis": 1}),
    ("quantile", (cube, q), {"axis": (0, 2), "keepdims": True}),
    ("quantile", (gaps, 0.5), {"axis": -1}),
    ("quantile", (integers, q), {"method": "inverted_cdf"}),
    ("quantile", (x, q), {"method": "inverted_cdf", "weights": weights}),
    ("quantile", (cube, q), {"method": "inverted_cdf", "weights": weights[:5], "axis": 1}),
    ("quantile", (gaps, q), {"method": "inverted_cdf", "axis": 1, "keepdims": True}),
    ("nanquantile", (gaps, q), {"axis": 1}),
    ("nanquantile", (gaps, 0.3), {"axis": 0, "keepdims": True, "method": "lower"}),
    ("nanquantile", (gaps, q), {"axis": 1, "method": "inverted_cdf"}),
    ("percentile", (cube, 30.0), {}),
    ("percentile", (integers, 50), {}),
    ("percentile", (cube, q * 100), {"axis": 2, "method": "higher"}),
    ("nanpercentile", (gaps, q * 100), {"axis": 2}),
    ("median", (x,), {}),
    ("median", (cube,), {"axis": 1}),
    ("median", (cube,), {"axis": (0, 1), "keepdims": True}),
    ("median", (integers,), {}),
    ("median", (gaps,), {"axis": 0}),
    ("median", (cube.astype("f2"),), {"axis": 0}),
    ("nanmedian", (gaps,), {}),
    ("nanmedian", (gaps,), {"axis": (0, 2), "keepdims": True}),
] + [("quantile", (cube, q), {"axis": 1, "method": how}) for how in ("lower", "higher", "midpoint", "nearest")]  # fmt: skip


@pytest.mark.parametrize("case", QUANTILES, ids=shown)
def test_quantiles_agree_with_jax(case):
    name, args, kwargs = case
    given = kwargs.get("weights")
    modes = (EAGER, JIT, VMAP) if given is None and len(args) == 1 else (EAGER,)
    if isinstance(args[0], np.ndarray) and not np.isnan(args[0]).any() and given is None:
        modes += (GRAD,)
    agree(f"numpy.{name}", *args, modes=modes, rtol=1e-5, atol=1e-6, **kwargs)


WRONG = [
    ("histogram_bin_edges", (x,), {"bins": "auto"}),
    ("histogram", (x,), {"weights": weights[:3]}),
    ("bincount", (x,), {}),
    ("bincount", (rows.astype("i4"),), {}),
    ("digitize", (x, rows), {}),
    ("cov", (cube,), {}),
    ("cov", (rows,), {"fweights": weights[:8]}),
    ("cov", (rows,), {"aweights": weights[:3]}),
    ("cov", (rows,), {"dtype": "int32"}),
    ("convolve", (rows, x), {}),
    ("convolve", (x, y), {"mode": "most"}),
    ("convolve", (x[:0], y), {}),
    ("interp", (x, x, y[:3]), {}),
    ("interp", (x, ascending, y), {"left": "nearest"}),
    ("interp", (z, ascending, y), {}),
    ("diff", (x,), {"n": -1}),
    ("diff", (np.float32(1),), {}),
    ("diff", (x,), {"axis": 1}),
    ("gradient", (x[:1],), {}),
    ("gradient", (x,), {"edge_order": 2}),
    ("gradient", (cube, 1.0, 2.0), {}),
    ("quantile", (x, 0.5), {"method": "median"}),
    ("quantile", (x, 0.5), {"weights": weights}),
    ("quantile", (z, 0.5), {}),
    ("quantile", (x, 1), {}),
    ("quantile", (x, rows), {}),
    ("quantile", (x, 0.5), {"out": x}),
    ("median", (x,), {"overwrite_input": True}),
    ("median", (x,), {"axis": 2}),
    ("polyder", (x,), {"m": -1}),
    ("polyint", (x,), {"m": -1}),
    ("polyint", (x,), {"m": 2, "k": np.ones(3)}),
    ("poly", (cube,), {}),
    ("vander", (rows,), {}),
    ("vander", (x,), {"N": -1}),
    ("polyfit", (x, y), {"deg": -1}),
    ("polyfit", (x, y[:3]), {"deg": 1}),
    ("roots", (rows,), {}),
    ("cov", ([1.0, 2.0],), {}),
    ("median", ([1.0, 2.0],), {}),
]  # fmt: skip


@pytest.mark.parametrize("case", WRONG, ids=shown)
def test_errors_are_of_the_kind_of_jax(case):
    name, args, kwargs = case
    agree(f"numpy.{name}", *args, modes=(EAGER,), **kwargs)


@pytest.fixture
def both():
    import jax.numpy

    import pequegrad.jax_api.numpy

    return pequegrad.jax_api.numpy, jax.numpy


def test_sizes_that_depend_on_values(both):
    for name, args, kwargs in (
        ("bincount", (integers,), {}),
        ("bincount", (integers,), {"minlength": 20}),
        ("polymul", (np.array([0.0, 0, 1, 2], "f4"), x[:3]), {"trim_leading_zeros": True}),
        ("polydiv", (np.array([1.0, 3, 2], "f4"), np.array([1.0, 1], "f4")), {"trim_leading_zeros": True}),
    ):
        agree(f"numpy.{name}", *args, modes=(EAGER,), **kwargs)


@pytest.mark.parametrize("p", [[1.0, -6, 11, -6], [0.0, 0, 1, -3, 2], [2.0, 0, 0], [0.0, 0], [5.0], [1.0, 0, 1]])
@pytest.mark.parametrize("strip", [True, False])
def test_roots(both, p, strip):
    found, expected = (np.asarray(root.roots(root.array(p), strip_zeros=strip)) for root in both)
    key = lambda v: (np.isnan(v), np.round(v.real, 3), np.round(v.imag, 3))
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(sorted(found, key=key), sorted(expected, key=key), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"w": weights},
        {"full": True},
        {"cov": True},
        {"cov": "unscaled"},
        {"rcond": 1e-3},
        {"columns": True, "cov": True},
    ],
)
def test_polyfit(both, kwargs):
    kwargs = dict(kwargs)
    points = np.stack([y, x], 1) if kwargs.pop("columns", False) else y
    found, expected = (root.polyfit(root.asarray(x), root.asarray(points), 2, **kwargs) for root in both)
    same(found, expected, "polyfit", rtol=2e-4, atol=1e-5)
