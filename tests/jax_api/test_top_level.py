"""What is at the top of jax besides transforms: devices, switches, shardings, jaxprs, export, profiles, jax.experimental."""

import contextlib
import glob
import importlib
import io
import json
import sys

import jax
import jax.export
import jax.flatten_util
import jax.test_util
import numpy as np
import pytest
from jax.experimental import checkify as theirs_checkify
from jax.experimental import jet as theirs_jet
from jax.experimental import ode as theirs_ode

import pequegrad.jax_api as pj
import pequegrad.jax_api.numpy as jnp
from pequegrad.jax_api import configuration

from .agreement import same
from .test_transforms_api import M, X, check, table

# ---- devices ---------------------------------------------------------------------------------------------

PLACES = dict(  # noqa: C408
    counts=lambda m, n, x, w: [
        f() for f in (m.device_count, m.local_device_count, m.process_index, m.process_count, m.process_indices, m.default_backend)
    ],
    device=lambda m, n, x, w: [(d.id, d.platform, d.device_kind, d.process_index) for d in (*m.devices(), *m.local_devices(backend="cpu"))],
    isinstance=lambda m, n, x, w: isinstance(m.devices()[0], m.Device),
    unknown_backend=lambda m, n, x, w: m.devices("gpu"),
    unknown_process=lambda m, n, x, w: m.local_devices(process_index=5),
    put=lambda m, n, x, w: m.device_put({"a": X.astype(np.float64), "b": [1, None]}),
    put_device=lambda m, n, x, w: m.device_put(x, m.devices()[0]),
    put_sharding=lambda m, n, x, w: m.device_put((x, w), m.sharding.SingleDeviceSharding(m.devices()[0])),
    put_tree=lambda m, n, x, w: m.device_put({"a": x, "b": (w, w)}, {"a": m.devices()[0], "b": None}),
    put_string=lambda m, n, x, w: m.device_put("a"),
    put_nowhere=lambda m, n, x, w: m.device_put(x, "cpu"),
    put_traced=lambda m, n, x, w: m.jit(lambda x: m.device_put(x) * 2)(x),
    get=lambda m, n, x, w: [type(v).__name__ for v in m.tree.leaves(m.device_get({"a": x, "b": 1, "c": "s"}))],
    get_value=lambda m, n, x, w: m.device_get((x, w)),
    block=lambda m, n, x, w: m.block_until_ready({"a": n.sin(x), "s": 3}),
    typeof=lambda m, n, x, w: [str(m.typeof(v)) + repr(m.typeof(v)) for v in (x, 1, 2.0, True, X)],
    typeof_string=lambda m, n, x, w: m.typeof("a"),
    from_callback=lambda m, n, x, w: m.make_array_from_callback((3,), m.sharding.SingleDeviceSharding(m.devices()[0]), lambda i: X[i]),
)  # fmt: skip


@table(**PLACES)
def test_places(case):
    check(case)


def test_arrays_that_are_there():
    x = jnp.asarray(X) + 1
    pj.block_until_ready(x)
    assert any(y is x for y in pj.live_arrays())
    pj.copy_to_host_async(x)
    assert pj.effects_barrier() is None
    assert (pj.host_id(), pj.host_count(), pj.host_ids()) == (0, 1, [0])
    assert np.array_equal(pj.jit(lambda x: x, backend="cpu")(X), X)  # deprecated in JAX, as are the names above
    with pytest.raises(RuntimeError):
        pj.jit(lambda x: x, backend="gpu")


# ---- switches --------------------------------------------------------------------------------------------


def _in(context, function):
    with context:
        return function()


SWITCHES = dict(  # noqa: C408
    x64=lambda m, n, x, w: _in(m.enable_x64(True), lambda: n.asarray([1.5])),
    x64_nested=lambda m, n, x, w: _in(m.enable_x64(True), lambda: _in(m.enable_x64(False), lambda: n.asarray([1.5]))),
    nans=lambda m, n, x, w: _in(m.debug_nans(True), lambda: n.log(n.asarray(-1.0)).block_until_ready()),
    nans_in_jit=lambda m, n, x, w: _in(m.debug_nans(True), lambda: m.jit(lambda x: n.log(x) + 1)(-1.0)),
    no_nans=lambda m, n, x, w: _in(m.debug_nans(True), lambda: m.jit(lambda x: n.log(x))(0.0)),
    infs=lambda m, n, x, w: _in(m.debug_infs(True), lambda: m.jit(lambda x: 1 / x)(0.0)),
    strict=lambda m, n, x, w: _in(m.numpy_dtype_promotion("strict"), lambda: n.asarray(X) + n.asarray(np.arange(3))),
    strict_number=lambda m, n, x, w: _in(m.numpy_dtype_promotion("strict"), lambda: (x + 1, x * 2.5, n.asarray(np.arange(3)) * 2)),
    strict_float=lambda m, n, x, w: _in(m.numpy_dtype_promotion("strict"), lambda: n.asarray(np.arange(3)) * 2.5),
    strict_unknown=lambda m, n, x, w: _in(m.numpy_dtype_promotion("any"), lambda: 1),
    leaks=lambda m, n, x, w: _in(m.checking_leaks(), lambda: m.jit(lambda x: x)(x)),
    precision=lambda m, n, x, w: _in(m.default_matmul_precision("float32"), lambda: w @ x),
    device=lambda m, n, x, w: _in(m.default_device(m.devices()[0]), lambda: n.asarray(X)),
    log=lambda m, n, x, w: _in(m.log_compiles(False), lambda: m.jit(lambda x: x)(x)),
    guard=lambda m, n, x, w: _in(m.transfer_guard("allow"), lambda: x + 1),
    compile_time=lambda m, n, x, w: m.jit(lambda x: x if _in(m.ensure_compile_time_eval(), lambda: bool(n.sin(1.0) > 0)) else -x)(x),
    unknown=lambda m, n, x, w: m.config.update("jax_nothing", 1),
    read=lambda m, n, x, w: (m.config.jax_enable_x64, m.config.x64_enabled, m.config.values["jax_debug_nans"]),
)  # fmt: skip


@table(**SWITCHES)
def test_switches(case):
    check(case)


def test_flags(monkeypatch):
    config = configuration.Config()
    monkeypatch.setattr(
        sys, "argv", ["program", "--jax_enable_checks", "--nojax_threefry_partitionable", "--jax_platforms=cpu", "-x"]
    )
    config.parse_flags_with_absl()
    assert (config.jax_enable_checks, config.jax_threefry_partitionable, config.jax_platforms) == (True, False, "cpu")
    assert pj.disable_jit and not pj.config.jax_disable_jit


# ---- shardings -------------------------------------------------------------------------------------------


def _mesh(m):
    return m.make_mesh((1, 1), ("a", "b"), axis_types=(m.sharding.AxisType.Auto,) * 2)


SHARDINGS = dict(  # noqa: C408
    spec=lambda m, n, x, w: [repr(s) for s in (m.P(), m.P("a"), m.P("a", None), m.P(("a", "b"), None, "c"), m.P("a") + m.P("b"))],
    spec_is_sequence=lambda m, n, x, w: (len(m.P("a", None)), m.P("a", None)[0], list(m.P(None, "b")), m.P("a", "b").index("b")),
    spec_equality=lambda m, n, x, w: (m.P("a") == m.P("a"), hash(m.P("a")) == hash(m.P("a")), m.P("a") == m.P("b"), m.P("a") == ("a",)),
    unconstrained=lambda m, n, x, w: repr(m.sharding.PartitionSpec.UNCONSTRAINED),
    mesh=lambda m, n, x, w: [repr(_mesh(m)), str(_mesh(m)), dict(_mesh(m).shape), _mesh(m).axis_names, _mesh(m).size, _mesh(m).empty],
    mesh_parts=lambda m, n, x, w: (_mesh(m).devices.shape, _mesh(m).device_ids.tolist(), _mesh(m).axis_sizes, len(_mesh(m).local_devices)),
    mesh_of_devices=lambda m, n, x, w: repr(m.sharding.Mesh(np.array(m.devices()), ("x",))),
    mesh_too_large=lambda m, n, x, w: m.make_mesh((2,), ("a",)),
    mesh_names=lambda m, n, x, w: m.sharding.Mesh(np.array(m.devices()), ("x", "y")),
    mesh_equality=lambda m, n, x, w: _mesh(m) == _mesh(m),
    abstract=lambda m, n, x, w: (m.sharding.AbstractMesh((2, 3), ("a", "b")).shape_tuple, _mesh(m).abstract_mesh.axis_names),
    empty_mesh=lambda m, n, x, w: (m.sharding.get_mesh().empty, m.sharding.get_abstract_mesh().empty),
    set_mesh=lambda m, n, x, w: _in(m.set_mesh(_mesh(m)), lambda: (m.sharding.get_mesh().axis_names, m.sharding.get_abstract_mesh().axis_names)),
    named=lambda m, n, x, w: (lambda s: (repr(s.spec), s.is_fully_replicated, s.shard_shape((2, 2)), s.num_devices, s.memory_kind))(
        m.NamedSharding(_mesh(m), m.P("a"))
    ),
    named_unknown=lambda m, n, x, w: m.NamedSharding(_mesh(m), m.P("z")),
    named_put=lambda m, n, x, w: m.device_put(x, m.NamedSharding(_mesh(m), m.P("a"))),
    named_put_rank=lambda m, n, x, w: m.device_put(x, m.NamedSharding(_mesh(m), m.P("a", None))),
    jit=lambda m, n, x, w: m.jit(lambda x: x * 2, in_shardings=m.NamedSharding(_mesh(m), m.P("a")), out_shardings=m.NamedSharding(_mesh(m), m.P()))(x),
    constraint=lambda m, n, x, w: m.jit(lambda x: m.lax.with_sharding_constraint(x, m.NamedSharding(_mesh(m), m.P("a"))) * 2)(x),
    shard_map=lambda m, n, x, w: m.shard_map(lambda x: m.lax.psum(x, "a") * 2, mesh=_mesh(m), in_specs=m.P("a"), out_specs=m.P())(x),
    shard_map_tree=lambda m, n, x, w: m.shard_map(
        lambda t, y: {"s": t["x"] + y, "i": m.lax.axis_index("b") + n.zeros(1, int)}, mesh=_mesh(m), in_specs=({"x": m.P("a")}, m.P()),
        out_specs={"s": m.P("a"), "i": m.P("b")},
    )({"x": x}, x),
    shard_map_jit_grad=lambda m, n, x, w: m.jit(
        m.grad(lambda x: m.shard_map(lambda x: x * x, mesh=_mesh(m), in_specs=m.P("a"), out_specs=m.P("a"))(x).sum())
    )(x),
    shard_map_unknown=lambda m, n, x, w: m.shard_map(lambda x: x, mesh=_mesh(m), in_specs=m.P("z"), out_specs=m.P())(x),
    shard_map_count=lambda m, n, x, w: m.shard_map(lambda x: x, mesh=_mesh(m), in_specs=(m.P(), m.P()), out_specs=m.P())(x),
    shard_map_rank=lambda m, n, x, w: m.shard_map(lambda x: x, mesh=_mesh(m), in_specs=m.P(None, "a"), out_specs=m.P())(x),
    pmap=lambda m, n, x, w: m.pmap(lambda x, y: (m.lax.psum(x, "i") + y, x), axis_name="i", in_axes=(0, None))(x[None], 2.0),
    pmap_too_many=lambda m, n, x, w: m.pmap(lambda x: x)(x),
    pmap_static=lambda m, n, x, w: m.pmap(lambda x, k: x * len(k), static_broadcasted_argnums=1)(x[None], "ab"),
)  # fmt: skip


@table(**SHARDINGS)
def test_shardings(case):
    check(case)


# ---- jaxprs ----------------------------------------------------------------------------------------------

JAXPRS = dict(  # noqa: C408
    simple=lambda m, n: m.make_jaxpr(lambda x, y: (m.lax.sin(x), m.lax.mul(y, y)))(X, 2.0),
    nothing=lambda m, n: m.make_jaxpr(lambda x: None)(1.0),
    same=lambda m, n: m.make_jaxpr(lambda x: (x, x))(1),
    number=lambda m, n: m.make_jaxpr(lambda x: m.lax.add(x, m.lax.neg(x)))(np.int8(3)),
    tree=lambda m, n: m.make_jaxpr(lambda t: {"z": m.lax.exp(t["b"]), "a": t["a"]})({"b": X, "a": M}),
    bf16=lambda m, n: m.make_jaxpr(lambda x: m.lax.cos(x))(m.ShapeDtypeStruct((2,), "bfloat16")),
    static=lambda m, n: m.make_jaxpr(lambda x, k: m.lax.tanh(x) if k == "t" else x, static_argnums=1)(X, "t"),
)  # fmt: skip


@pytest.mark.parametrize("case", JAXPRS.values(), ids=JAXPRS.keys())
def test_jaxprs_print_like_jax(case):
    assert str(case(pj, pj.numpy)) == str(case(jax, jax.numpy))


def test_jaxprs_can_be_read():
    for m in (jax, pj):
        table = m.numpy.asarray(X)
        closed, shape = m.make_jaxpr(lambda x, y: (m.lax.mul(x, table), m.lax.sin(y)), return_shape=True)(X, 1.0)
        assert [e.primitive.name for e in closed.eqns] == ["mul", "sin"]
        assert [str(v.aval) for v in closed.jaxpr.invars] == ["float32[3]", "~float32[]"]
        assert len(closed.consts) == 1 and len(closed.jaxpr.constvars) == 1
        assert repr(closed.in_avals) == "[ShapedArray(float32[3]), ShapedArray(float32[], weak_type=True)]"
        assert [a.shape for a in closed.out_avals] == [(3,), ()] and repr(
            shape[0]
        ) == "ShapeDtypeStruct(shape=(3,), dtype=float32)"
        core = importlib.import_module(f"{m.__name__}.core")
        found = core.eval_jaxpr(closed.jaxpr, closed.consts, X, np.float32(2))
        np.testing.assert_allclose(found[0], X * X)
        found = core.eval_jaxpr(closed.jaxpr, [2 * c for c in closed.consts], X, np.float32(2))
        np.testing.assert_allclose(found[0], 2 * X * X)
    text = str(pj.make_jaxpr(lambda x: pj.lax.scan(lambda c, x: (c + x, pj.jit(jnp.sin)(c)), 0.0, x))(X))
    assert "scan[" in text and "jit[" in text and "let" in text


def test_tracers():
    from pequegrad.jax_api.core import Tracer, is_concrete

    seen = []

    def f(x):
        seen.append(isinstance(x, Tracer))
        return x * 2

    x = jnp.asarray(X)
    for g in (f, pj.jit(f), pj.vmap(f), pj.grad(lambda x: f(x).sum())):
        g(x)
    assert seen == [False, True, True, True] and is_concrete(x) and not isinstance(3, Tracer)


# ---- flatten_util, export, profiles ----------------------------------------------------------------------


def _ravel(m, tree, change=lambda v: v):
    module = importlib.import_module(f"{m.__name__}.flatten_util")
    vector, unravel = module.ravel_pytree(tree)
    return vector, unravel(change(vector))


RAVEL = dict(  # noqa: C408
    mixed=lambda m, n, x, w: _ravel(m, {"b": x, "a": w, "c": 2.0}),
    weak=lambda m, n, x, w: _ravel(m, {"a": 1.0, "b": 2.0}),
    dtypes=lambda m, n, x, w: _ravel(m, [n.asarray(np.arange(2)), x]),
    empty=lambda m, n, x, w: _ravel(m, {}),
    half=lambda m, n, x, w: _ravel(m, [x], lambda v: v.astype("float16")),
    wrong_dtype=lambda m, n, x, w: _ravel(m, [n.asarray(np.arange(2)), x], lambda v: v.astype("float16")),
    wrong_size=lambda m, n, x, w: _ravel(m, [x], lambda v: v[:2]),
    jitted=lambda m, n, x, w: m.jit(lambda x: _ravel(m, {"a": x, "b": (x, 1.0)}, lambda v: v * 2))(x),
    grad=lambda m, n, x, w: m.grad(lambda x: (_ravel(m, {"a": x, "b": x})[0] ** 2).sum())(x),
)  # fmt: skip


@table(**RAVEL)
def test_ravel_pytree(case):
    check(case)


def test_export():
    f = pj.jit(lambda x, y: {"a": jnp.sin(x) * y["k"], "b": (x.sum(), None)})
    exported = pj.export.export(f)(pj.ShapeDtypeStruct((3,), jnp.float32), {"k": 2.0})
    theirs = jax.export.export(jax.jit(lambda x, y: {"a": jax.numpy.sin(x) * y["k"], "b": (x.sum(), None)}))(
        X, {"k": 2.0}
    )
    for name in ("fun_name", "in_tree", "out_tree", "platforms", "nr_devices"):
        assert repr(getattr(exported, name)) == repr(getattr(theirs, name))
    assert [a.str_short() for a in exported.in_avals] == [a.str_short() for a in theirs.in_avals]
    read = pj.export.deserialize(exported.serialize())
    k = {"k": np.float32(3)}
    for e in (exported, read):
        found = [e.call(X, k), pj.jit(lambda x: e.call(x, k))(X)]  # noqa: B023
        for tree in found:
            np.testing.assert_allclose(tree["a"], np.sin(X) * 3, rtol=1e-6)
            assert tree["b"][1] is None and float(tree["b"][0]) == X.sum()
        for bad in ((X,), (M, k), (X, {"k": 1})):
            with pytest.raises(ValueError):
                e.call(*bad)
    np.testing.assert_allclose(pj.grad(lambda x: exported.call(x, k)["b"][0])(jnp.asarray(X)), np.ones(3))
    zero = np.zeros(3, np.float32)
    np.testing.assert_allclose(exported.vjp().call(X, k["k"], zero, np.float32(2))[0], [2, 2, 2])
    with pytest.raises(ValueError):
        read.vjp()
    with pytest.raises(ValueError):
        pj.export.deserialize(b"something else")
    with pytest.raises(ValueError):
        pj.export.export(lambda x: x)


def test_export_of_registered_classes():
    import collections

    Pair = collections.namedtuple("Pair", "x y")
    pj.export.register_namedtuple_serialization(Pair, serialized_name="tests.Pair")
    exported = pj.export.export(pj.jit(lambda p: Pair(p.y, p.x * 2)))(Pair(X, X))
    found = pj.export.deserialize(exported.serialize()).call(Pair(X, X + 1))
    assert type(found) is Pair and np.array_equal(found.x, X + 1) and np.array_equal(found.y, 2 * X)
    with pytest.raises(ValueError):
        pj.export.register_namedtuple_serialization(Pair, serialized_name="tests.Pair")


def test_profiles(tmp_path):
    f = pj.profiler.annotate_function(pj.jit(lambda x: jnp.sin(x) @ x), name="annotated")
    with pj.profiler.trace(tmp_path):
        with pj.profiler.StepTraceAnnotation("step", step_num=3):
            pj.block_until_ready(f(jnp.asarray(M.T @ M)))
        with pytest.raises(RuntimeError):
            pj.profiler.start_trace(tmp_path)
    (path,) = glob.glob(str(tmp_path / "plugins" / "profile" / "*" / "trace.json"))
    with open(path) as file:
        events = {event["name"]: event for event in json.load(file)["traceEvents"]}
    assert events["step"]["args"] == {"step_num": 3} and "annotated" in events
    with pytest.raises(RuntimeError):
        pj.profiler.stop_trace()


def test_monitoring():
    seen = []
    monitoring = pj.monitoring
    monitoring.register_event_listener(lambda event, **kw: seen.append((event, kw)))
    listener = lambda event, duration, **kw: seen.append((event, duration))
    monitoring.register_event_duration_secs_listener(listener)
    monitoring.record_event("e", k=1), monitoring.record_event_duration_secs("d", 2.0)
    monitoring.unregister_event_duration_listener(listener)
    monitoring.record_event_duration_secs("d", 3.0)
    monitoring.clear_event_listeners()
    monitoring.record_event("e")
    assert seen == [("e", {"k": 1}), ("d", 2.0)]


def test_small_things(capsys):
    assert pj.__version_info__ == tuple(map(int, pj.__version__.split("."))) == jax.__version_info__
    assert {"jit", "numpy", "sin", "Array"} <= set(dir(pj))
    assert "pequegrad" in pj.print_environment_info(return_string=True)
    for m in (jax, pj):
        with m.named_scope("part"):
            assert m.named_scope("f")(lambda: 3)() == 3
        assert m.named_call(lambda x: x + 1, name="plus")(1) == 2
        with pytest.raises(TypeError):
            m.named_scope(3)
    pj.debug.visualize_array_sharding(jnp.asarray(M))
    assert "CPU 0" in capsys.readouterr().out
    shardings = []
    pj.debug.inspect_array_sharding(jnp.asarray(X), callback=shardings.append)
    assert isinstance(shardings[0], pj.sharding.SingleDeviceSharding)
    assert not pj.distributed.is_initialized()
    with pytest.raises(ValueError):
        pj.distributed.initialize()
    assert not hasattr(pj, "nothing_of_this_name")
    error = pj.errors.TracerBoolConversionError
    assert issubclass(error, pj.errors.ConcretizationTypeError) and issubclass(
        error, (pj.errors.JAXTypeError, TypeError)
    )


# ---- jax.experimental, custom_batching, test_util --------------------------------------------------------


def _pendulum(m, ode):
    def slope(y, t, a):
        return {"x": y["v"], "v": -a * m.numpy.sin(y["x"]) + 0.1 * t}

    def solve(y0, t, a):
        return ode.odeint(slope, y0, t, a, rtol=1e-5, atol=1e-5)

    return (
        solve,
        {"x": m.numpy.asarray(1.0), "v": m.numpy.asarray(0.0)},
        m.numpy.asarray(np.linspace(0, 2, 4).astype(np.float32)),
    )


def test_odeint():
    found = []
    for m, ode in ((pj, pj.experimental.ode), (jax, theirs_ode)):
        solve, y0, t = _pendulum(m, ode)
        gradient = m.grad(lambda y0, t, a: solve(y0, t, a)["x"].sum(), argnums=(0, 1, 2))  # noqa: B023
        decay = lambda a: ode.odeint(lambda y, t: -a * y, m.numpy.ones(2), t, mxstep=50, hmax=0.1)  # noqa: B023
        found.append((solve(y0, t, 2.0), gradient(y0, t, 2.0), m.jit(m.vmap(decay))(m.numpy.asarray(X))))
    for a, b in zip(*map(jax.tree_util.tree_leaves, found), strict=True):
        np.testing.assert_allclose(
            a, b, rtol=2e-4, atol=1e-4
        )  # rounding may tip the comparison by which a step is accepted


def test_jet():
    for options in ({}, {"factorial_scaled": False}):
        found = []
        for m, module in ((pj, pj.experimental.jet), (jax, theirs_jet)):
            f = lambda x, y: m.numpy.sin(x * y) + x  # noqa: B023
            found.append(module.jet(f, (0.5, 2.0), ([1.0, 0.5, 0.0], [0.0, 1.0, 2.0]), **options))
        for a, b in zip(*map(jax.tree_util.tree_leaves, found), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)


def test_checkify():
    for m, checkify in ((pj, pj.experimental.checkify), (jax, theirs_checkify)):

        def f(x, i):
            checkify.check(i >= 0, "index {i} is negative", i=i)  # noqa: B023
            return m.numpy.sin(x[i])  # noqa: B023

        x, bad, good = m.numpy.asarray(X), m.numpy.int32(-1), m.numpy.int32(1)
        for g in (checkify.checkify(f), m.jit(checkify.checkify(f)), checkify.checkify(m.jit(f))):
            assert g(x, bad)[0].get() == "index -1 is negative (`check` failed)" and g(x, good)[0].get() is None
            with pytest.raises(checkify.JaxRuntimeError):
                g(x, bad)[0].throw()
        h = lambda x: m.numpy.log(x) / x  # noqa: B023
        kinds = [
            (checkify.nan_checks, -1.0, "nan generated by primitive: log."),
            (checkify.div_checks, 0.0, "division by zero"),
        ]
        for index, message in ((1, None), (7, "out-of-bounds indexing for array of shape (3,)")):
            found = checkify.checkify(lambda x, i: x[i] * 2, errors=checkify.index_checks)(x, m.numpy.asarray(index))[
                0
            ].get()
            assert (found is None) if message is None else found.startswith(message)
        for errors, value, message in kinds:
            assert checkify.checkify(h, errors=errors)(value)[0].get() == message
            assert checkify.checkify(h, errors=errors)(1.0)[0].get() is None
        one = checkify.checkify(lambda x: checkify.check(x > 0, "{x} < 0", x=x))  # noqa: B023
        assert m.vmap(one)(x)[0].get() == "at mapped index 1: -1.0 < 0 (`check` failed)"
        with pytest.raises(TypeError):
            checkify.check(m.numpy.asarray(False), "{}", "text")
        with pytest.raises(ValueError):
            checkify.check(m.numpy.asarray(False), "always")


def test_custom_vmap():
    found = []
    for m in (pj, jax):
        module = importlib.import_module(f"{m.__name__}.custom_batching")
        seen = []

        @module.custom_vmap
        def f(x, y):
            return m.numpy.sin(x) * y  # noqa: B023

        @f.def_vmap
        def rule(size, batched, x, y):
            seen.append((size, batched))  # noqa: B023
            return m.numpy.sin(x) * y * 10, batched[0]  # noqa: B023

        x = m.numpy.asarray(X)
        results = f(x, 2.0), m.vmap(f, in_axes=(0, None))(x, 2.0), m.jit(m.vmap(f))(x, x)
        sequential = module.sequential_vmap(lambda x: (x * 2, x.shape))
        found.append((results, m.vmap(lambda x: sequential(x)[0])(x), seen))
        with pytest.raises(AttributeError):
            module.custom_vmap(lambda x: x)(1.0)
    same(*found)


def test_check_grads():
    check_grads = pj.test_util.check_grads
    check_grads(lambda x, y: jnp.sin(x) * y["k"], (X, {"k": X + 1}), 2, eps=1e-2, atol=0.05, rtol=0.05)
    with pytest.raises(AssertionError):
        check_grads(_clipped(), (X,), 1, modes="rev", eps=1e-2)


def _clipped():
    @pj.custom_jvp
    def f(x):
        return x * 2

    f.defjvp(lambda p, t: (f(*p), t[0]))
    return f


def test_older_names():
    mesh = pj.sharding.Mesh(pj.experimental.mesh_utils.create_device_mesh((1,)), ("a",))
    f = pj.experimental.shard_map.shard_map(lambda x: pj.lax.psum(x, "a"), mesh, pj.P("a"), pj.P(), check_rep=False)
    np.testing.assert_array_equal(f(jnp.asarray(X)), X)
    np.testing.assert_array_equal(pj.experimental.pjit.pjit(lambda x: x * 2)(X), 2 * X)
    with pytest.raises(ValueError):
        pj.experimental.mesh_utils.create_device_mesh((2,))
    np.testing.assert_array_equal(pj.experimental.multihost_utils.process_allgather(jnp.asarray(X)), X[None])


def test_a_program_prints_the_same():
    texts = []
    for m in (jax, pj):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            print(m.tree.map(lambda x: x.shape, {"b": m.numpy.asarray(X), "a": m.numpy.asarray(M)}))
            print(m.tree.structure({"a": 1, "b": (None, [2])}), m.eval_shape(lambda x: x * 2, X), m.jit(lambda x: x)(X))
        texts.append(out.getvalue())
    assert texts[0] == texts[1]
