"""jax.scipy.{ndimage, interpolate, integrate, cluster.vq, spatial.transform} against JAX."""

import jax.scipy.spatial.transform  # noqa: F401  jax imports it when it is asked to
import numpy as np
from conftest import FULL

import pequegrad.jax_api as pj

from .agreement import agree
from .together import agree_together

RNG = np.random.default_rng(5)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


CLOSE = {"rtol": 1e-4, "atol": 1e-5}

# ---- ndimage ---------------------------------------------------------------------------------------------

IMAGE = normal(4, 5)
POINTS = (RNG.uniform(-6, 9, (2, 3, 2)) + 0.01).astype(np.float32)
MODES = ("constant", "nearest", "wrap", "mirror", "reflect")


def _at(jax, image, points, **kwargs):
    return jax.scipy.ndimage.map_coordinates(image, [points[0], points[1]], **kwargs)


def test_map_coordinates():
    cases = [(_at, (IMAGE, POINTS), {"order": order, "mode": mode, "cval": 0.5}) for order in (0, 1) for mode in MODES]
    cases += [
        (_at, (np.arange(20).reshape(4, 5).astype(t), POINTS), {"order": order, "mode": "nearest"})
        for order in (0, 1) for t in ("int32", "uint8", "bool", "complex64")
    ]  # fmt: skip
    cases += [(_at, (IMAGE, np.array([[1, 3], [0, 4]])), {"order": order}) for order in (0, 1)]
    cases += [(_at, (IMAGE, np.array([[1, 3], [0, 4]])), {"order": 1, "mode": "wrap", "cval": 3})]
    cases = cases if FULL else cases[::2]
    agree_together([c for c in cases if c[1][0].dtype != bool], grad=FULL, **CLOSE)
    agree_together([c for c in cases if c[1][0].dtype == bool and c[2]["order"] == 0], grad=False)


def test_map_coordinates_refuses():
    for coordinates, kwargs in (
        ([[1.0, 2.0]], {"order": 1}), ([[1.0], [2.0]], {"order": 2}), ([[1.0], [2.0]], {"order": 1, "mode": "grid-wrap"}),
        ([[1.0], [2.0]], {"order": 1}), ([1, 2], {"order": 0}),
    ):  # fmt: skip
        agree("scipy.ndimage.map_coordinates", IMAGE, coordinates, modes=("eager",), **kwargs)


# ---- interpolate, integrate, vq ----------------------------------------------------------------------------

GRID = (np.array([0.0, 0.5, 2.0, 3.0], np.float32), np.array([-1.0, 1.0, 1.5], np.float32))
INSIDE = np.stack([RNG.uniform(0, 3, 6), RNG.uniform(-1, 1.5, 6)], axis=-1).astype(np.float32)
OUTSIDE = np.array([[-1.0, 0.0], [1.0, 2.0], [4.0, 3.0], [0.5, 1.0]], np.float32)


def _interpolated(jax, x, y, values, points, method=None, **kwargs):
    return jax.scipy.interpolate.RegularGridInterpolator((x, y), values, **kwargs)(points, method)


def test_regular_grid_interpolator():
    options = (
        {}, {"method": "nearest"}, {"fill_value": 2.0}, {"fill_value": None}, {"fill_value": None, "method": "nearest"},
    )  # fmt: skip
    values = normal(4, 3)
    cases = [(_interpolated, (*GRID, values, points), k) for k in options for points in (INSIDE, OUTSIDE)]
    cases += [
        (_interpolated, (*GRID, v, INSIDE), {})
        for v in (normal(4, 3, 2), np.arange(12).reshape(4, 3), values.astype(np.float16))
    ]
    cases += [
        (_interpolated, (*GRID, values, INSIDE.reshape(2, 3, 2)), {}),
        (_interpolated, (*GRID, values, INSIDE[0]), {}),
    ]
    inside = [c for c in cases if "fill_value" in c[2] or c[1][-1] is not OUTSIDE]
    agree_together(inside if FULL else inside[::2], grad=FULL, rtol=1e-3, atol=1e-4)
    agree_together([c for c in cases if "fill_value" not in c[2] and c[1][-1] is OUTSIDE], grad=False, **CLOSE)


def test_regular_grid_interpolator_takes_tuples_of_coordinates_and_another_method_for_a_call():
    program = lambda jax, x, y: jax.scipy.interpolate.RegularGridInterpolator(GRID, np.arange(12.0).reshape(4, 3))(
        (x, y), method="nearest"
    )
    agree(program, INSIDE[:, 0].copy(), INSIDE[:, 1].copy())
    ours = pj.scipy.interpolate.RegularGridInterpolator(GRID, normal(4, 3))
    np.testing.assert_allclose(pj.jit(lambda f, x: f(x))(ours, INSIDE), ours(INSIDE), rtol=1e-5)
    for args, kwargs in (
        ((GRID, normal(4, 3)), {"method": "cubic"}), ((GRID, normal(4, 3)), {"bounds_error": True}),
        ((GRID, normal(4)), {}), ((GRID, normal(5, 3)), {}), ((GRID, normal(4, 3)), {"fill_value": 1j}),
        (((GRID[0][::-1], GRID[1]), normal(4, 3)), {}), (((GRID[0][None], GRID[1]), normal(4, 3)), {}), ((GRID, [[1.0]]), {}),
    ):  # fmt: skip
        agree(lambda jax: jax.scipy.interpolate.RegularGridInterpolator(*args, **kwargs).values.shape, modes=("eager",))  # noqa: B023
    for points in (normal(3, 3), "text"):
        agree(
            lambda jax: jax.scipy.interpolate.RegularGridInterpolator(GRID, np.ones((4, 3)))(points), modes=("eager",)
        )  # noqa: B023
    agree(
        lambda jax: jax.scipy.interpolate.RegularGridInterpolator(GRID, np.ones((4, 3)))(INSIDE, method="no"),
        modes=("eager",),
    )


def test_trapezoid():
    y = normal(3, 5)
    cases = [
        ("scipy.integrate.trapezoid", (y,), {}), ("scipy.integrate.trapezoid", (y,), {"dx": 0.5, "axis": 0}),
        ("scipy.integrate.trapezoid", (y, np.cumsum(np.abs(normal(5)))), {}), ("scipy.integrate.trapezoid", (y, normal(3, 5)), {}),
        ("scipy.integrate.trapezoid", (y, normal(3)), {"axis": 0}), ("scipy.integrate.trapezoid", (np.arange(4),), {}),
    ]  # fmt: skip
    agree_together(cases, **CLOSE)
    for args in ((y, normal(4)), ([1.0, 2.0],), (1.0,)):
        agree("scipy.integrate.trapezoid", *args, modes=("eager",))


def test_vq():
    cases = [("scipy.cluster.vq.vq", (normal(6, 2), normal(3, 2)), {}), ("scipy.cluster.vq.vq", (normal(6), normal(3)), {"check_finite": False}),
             ("scipy.cluster.vq.vq", (np.arange(6), np.arange(3)), {})]  # fmt: skip
    agree_together(cases, **CLOSE)
    for args in (
        (normal(6, 2), normal(3)),
        (normal(2, 6, 2), normal(2, 3, 2)),
        (normal(6, 2), normal(3, 3)),
        ([[1.0]], [[1.0]]),
    ):
        agree("scipy.cluster.vq.vq", *args, modes=("eager",))


# ---- spatial.transform -------------------------------------------------------------------------------------

QUATERNIONS, ONE = normal(5, 4), normal(4)
ANGLES = RNG.uniform(-1.4, 1.4, (5, 3)).astype(np.float32)
MATRICES = np.linalg.qr(RNG.normal(size=(5, 3, 3)))[0].astype(np.float32)
MATRICES *= np.linalg.det(MATRICES)[:, None, None]
SEQUENCES = ("xyz", "zyx", "XYZ", "ZYX", "zxz", "ZXZ", "yxy", "XZX")


def _method(name, make="from_quat", **kwargs):
    def call(jax, x, *args):
        return getattr(getattr(jax.scipy.spatial.transform.Rotation, make)(x), name)(*args, **kwargs)

    return call


def _made(name, *args, **kwargs):
    return lambda jax, x: getattr(jax.scipy.spatial.transform.Rotation, name)(*args, x, **kwargs).as_quat()


def test_rotations_from():
    some = SEQUENCES if FULL else SEQUENCES[1::3]
    cases = [(_made("from_euler", seq), (x,), {}) for seq in some for x in (ANGLES, ANGLES[0])]
    cases += [
        (_made("from_euler", "zyx", degrees=True), (ANGLES * 50,), {}), (_made("from_euler", "y"), (ANGLES[:, :1].copy(),), {}),
        (_made("from_euler", "XY"), (ANGLES[:, :2].copy(),), {}), (_made("from_rotvec"), (ANGLES,), {}), (_made("from_rotvec"), (ANGLES[0] * 1e-5,), {}),
        (_made("from_rotvec", degrees=True), (ANGLES * 50,), {}), (_made("from_mrp"), (ANGLES,), {}), (_made("from_quat"), (QUATERNIONS,), {}),
        (_made("from_quat"), (np.array([1, 2, 3, 4]),), {}), (_made("from_matrix"), (MATRICES,), {}), (_made("from_matrix"), (MATRICES[0],), {}),
    ]  # fmt: skip
    agree_together(cases, grad=FULL, rtol=1e-4, atol=1e-5)
    agree(lambda jax: jax.scipy.spatial.transform.Rotation.identity().as_quat())
    agree(lambda jax: jax.scipy.spatial.transform.Rotation.identity(dtype=np.float16).as_quat())


def test_rotations_as():
    some = SEQUENCES if FULL else SEQUENCES[::2]
    cases = [(_method("as_euler", **{"seq": seq}), (x,), {}) for seq in some for x in (QUATERNIONS, ONE)]
    cases += [(_method(name, **k), (x,), {}) for x in (QUATERNIONS, ONE) for name, k in (
        ("as_euler", {"seq": "zyx", "degrees": True}), ("as_matrix", {}), ("as_mrp", {}), ("as_rotvec", {}), ("as_rotvec", {"degrees": True}),
        ("as_quat", {"canonical": True}), ("as_quat", {"scalar_first": True}), ("magnitude", {}),
    )]  # fmt: skip
    cases += [(lambda jax, x: _method("inv")(jax, x).as_quat(), (QUATERNIONS,), {})]
    agree_together(cases, grad=FULL, rtol=1e-3, atol=2e-5)


def test_rotations_do():
    vectors = normal(5, 3)
    R = lambda jax, x: jax.scipy.spatial.transform.Rotation.from_quat(x)
    cases = [
        (_method("apply"), (QUATERNIONS, vectors), {}), (_method("apply", inverse=True), (QUATERNIONS, vectors), {}), (_method("apply"), (ONE, vectors[0]), {}),
        (_method("apply"), (ONE, vectors), {}), (lambda jax, x, y: (R(jax, x) * R(jax, y)).as_quat(), (QUATERNIONS, QUATERNIONS[::-1].copy()), {}),
        (lambda jax, x: R(jax, x)[1:3].as_quat(), (QUATERNIONS,), {}),
        (lambda jax, x, y: jax.scipy.spatial.transform.Rotation.concatenate([R(jax, x), R(jax, y)]).as_quat(), (QUATERNIONS, QUATERNIONS), {}),
        (lambda jax, x: R(jax, x).mean().as_matrix(), (QUATERNIONS,), {}),
        (lambda jax, x, w: R(jax, x).mean(w).as_matrix(), (QUATERNIONS, np.arange(1, 6, dtype=np.float32)), {}),
    ]  # fmt: skip
    agree_together(cases[:-2], grad=FULL, **CLOSE)
    agree_together(cases[-2:], rtol=1e-3, atol=1e-4, grad=False)
    agree(lambda jax: (len(R(jax, QUATERNIONS)), R(jax, ONE).single, R(jax, QUATERNIONS).single))
    for call in (
        lambda R: R.from_quat(ONE)[0], lambda R: len(R.from_quat(ONE)), lambda R: R.from_euler("xyzx", ANGLES), lambda R: R.from_euler("xyw", ANGLES),
        lambda R: R.from_euler("xXy", ANGLES), lambda R: R.from_euler("xxy", ANGLES), lambda R: R.from_quat(ONE).as_euler("xy"),
        lambda R: R.random(None), lambda R: R.identity(3), lambda R: R.from_quat(QUATERNIONS).mean(np.ones((2, 2))),
        lambda R: R.from_quat(QUATERNIONS).mean(np.ones(3)), lambda R: R.from_euler("xyz", ANGLES[:, :2]), lambda R: R.from_euler("x", 0.5).as_quat(),
    ):  # fmt: skip
        agree(lambda jax: call(jax.scipy.spatial.transform.Rotation), modes=("eager",))  # noqa: B023


def test_slerp():
    times = np.array([0.0, 1.0, 2.5, 3.0, 4.0], np.float32)

    def at(jax, x, when):
        module = jax.scipy.spatial.transform
        return module.Slerp.init(times, module.Rotation.from_quat(x))(when).as_quat()

    when = np.array([0.2, 1.7, 3.9, 0.0], np.float32)
    agree_together([(at, (QUATERNIONS, when), {}), (at, (QUATERNIONS, np.asarray(0.7, np.float32)), {})], **CLOSE)
    for args in ((times, QUATERNIONS), (times[:3], None), (times[None], None), (times[:1], 1)):

        def bad(jax):
            module, (t, x) = jax.scipy.spatial.transform, args  # noqa: B023
            rotations = x if isinstance(x, np.ndarray) else module.Rotation.from_quat(QUATERNIONS if x is None else ONE)
            return module.Slerp.init(t, rotations)

        agree(bad, modes=("eager",))
    agree(lambda jax: at(jax, QUATERNIONS, np.ones((2, 2), np.float32)), modes=("eager",))
