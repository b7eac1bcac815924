"""What libraries build transforms with: primitives of their own, partial evaluation; values under ensure_compile_time_eval; callbacks.

Each function is called with JAX and with pequegrad.jax_api as `m`.
"""

import jax
import jax.api_util
import jax.extend
import numpy as np
import pytest

import pequegrad.jax_api as pj

X = np.linspace(0.5, 2.0, 6, dtype=np.float32).reshape(2, 3)
SPEC = jax.ShapeDtypeStruct((2, 3), np.float32)


def both(function):
    """What `function` gives with both, as trees of NumPy arrays and texts."""
    found, wanted = (
        [x if isinstance(x, str) else np.asarray(x) for x in m.tree_util.tree_leaves(function(m))] for m in (pj, jax)
    )
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted):
        if isinstance(b, str):
            assert a == b
        else:
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            if b.dtype.names is None and b.dtype.itemsize:
                np.testing.assert_allclose(a, b, rtol=1e-5)


def raised(function, *args):
    try:
        jax.block_until_ready(function(*args))
    except Exception as error:
        return type(error).__name__
    return "nothing"


# ---- primitives ------------------------------------------------------------------------------------------


def cubed(m, said=None):
    """x ** 3 * factor as a primitive with all rules."""
    ad, batching, mlir = m.interpreters.ad, m.interpreters.batching, m.interpreters.mlir
    p = m.extend.core.Primitive("cubed")

    def impl(x, *, factor):
        if said is not None:
            said.append("impl")
        return np.asarray(x) ** 3 * np.float32(factor)  # reads the value

    p.def_impl(impl)
    p.def_abstract_eval(lambda x, *, factor: x)
    mlir.register_lowering(p, mlir.lower_fun(lambda x, *, factor: x**3 * factor, multiple_results=False))
    ad.defjvp(p, lambda t, x, *, factor: 3 * t * x**2 * factor)
    batching.defvectorized(p)
    return lambda x, factor=2.0: p.bind(x, factor=factor)


def scaled(m):
    """(a * x, a * y), linear in x and y."""
    ad, batching, mlir = m.interpreters.ad, m.interpreters.batching, m.interpreters.mlir
    p = m.extend.core.Primitive("scaled")
    p.multiple_results = True
    function = lambda *xs, a: [a * x for x in xs]
    p.def_impl(function)
    p.def_abstract_eval(lambda *xs, a: list(xs))
    mlir.register_lowering(p, mlir.lower_fun(function))
    ad.deflinear2(p, lambda cts, *xs, a: [ct if type(ct) is ad.Zero else a * ct for ct in cts])
    batching.primitive_batchers[p] = lambda xs, axes, a: (p.bind(*xs, a=a), axes)
    return lambda *xs, a=3.0: p.bind(*xs, a=a)


TRANSFORMS = {
    "eager": lambda m, f, x: f(x),
    "jit": lambda m, f, x: m.jit(f)(x),
    "grad": lambda m, f, x: m.grad(lambda x: m.numpy.sum(f(x)))(x),
    "jit_grad": lambda m, f, x: m.jit(m.grad(lambda x: m.numpy.sum(f(x))))(x),
    "hessian": lambda m, f, x: m.hessian(lambda x: m.numpy.sum(f(x)))(x[0]),
    "jvp": lambda m, f, x: m.jvp(f, (x,), (x + 1,)),
    "vmap": lambda m, f, x: m.vmap(f)(x),
    "vmap_grad": lambda m, f, x: m.vmap(m.grad(lambda x: m.numpy.sum(f(x))))(x),
    "scan": lambda m, f, x: m.lax.scan(lambda c, r: (c + f(r), f(c)), x[0], x),
    "closed_over": lambda m, f, x: m.jit(lambda y: f(m.numpy.asarray(X)) * y)(x),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_primitives(transform):
    both(lambda m: TRANSFORMS[transform](m, cubed(m), m.numpy.asarray(X)))
    both(lambda m: TRANSFORMS[transform](m, lambda x: scaled(m)(x, x + 1)[1], m.numpy.asarray(X)))


def test_primitives_are_themselves_in_jaxprs():
    equations = pj.make_jaxpr(lambda x: cubed(pj)(x) + 1)(X).eqns
    assert isinstance(equations[0].primitive, pj.extend.core.Primitive)
    assert (str(equations[0].primitive), equations[0].params) == ("cubed", {"factor": 2.0})
    assert equations[1].primitive is pj.lax.add_p and not hasattr(pj.lax, "unheard_of_p")


def test_impl_runs_outside_of_traced_functions():
    said = []
    function = cubed(pj, said)
    function(X), pj.jit(function)(X)
    assert said == ["impl"]


def test_missing_rules():
    def named(m):
        p = m.extend.core.Primitive("bare")
        results = [raised(p.bind, m.numpy.asarray(X))]
        p.def_impl(lambda x: x + 1)
        p.def_abstract_eval(lambda x: x)
        bind = lambda x: m.numpy.sum(p.bind(x))
        return results + [
            p.bind(m.numpy.asarray(X)),
            raised(m.jit(p.bind), X),
            raised(m.grad(bind), X),
            raised(m.vmap(p.bind), X),
        ]

    both(named)
    p = pj.extend.core.Primitive("built")
    p.def_abstract_eval(lambda x: x)
    pj.interpreters.mlir.register_lowering(p, lambda ctx, x: [x])
    with pytest.raises(NotImplementedError, match="lower_fun"):
        pj.jit(p.bind)(X)


def test_batching_helpers():
    def mapped(m):
        p = m.extend.core.Primitive("joined")
        function = lambda x, y: m.numpy.add(x, y)
        p.def_impl(function)
        p.def_abstract_eval(lambda x, y: x if x.shape else y)
        m.interpreters.mlir.register_lowering(p, m.interpreters.mlir.lower_fun(function, multiple_results=False))
        m.interpreters.batching.defbroadcasting(p)
        over = lambda axes: m.vmap(p.bind, in_axes=axes)
        front = m.interpreters.batching.bdim_at_front
        return [
            over((0, 0))(X, X),
            over((1, None))(X, X[:, 0]),
            front(m.numpy.asarray(X), 1, 3),
            front(m.numpy.asarray(X), None, 4),
        ]

    both(mapped)


def test_parts_of_traced_functions():
    core = pj.extend.core
    aval = pj.core.ShapedArray((2, 3), np.float32)
    assert core.mapped_aval(3, 1, aval).shape == (2,) and core.unmapped_aval(4, 0, aval).shape == (4, 2, 3)
    assert core.mapped_aval(3, None, aval) is aval and isinstance(aval, pj.core.AbstractValue)
    assert aval.to_tangent_aval() == aval and aval.update(dtype=np.int32).to_tangent_aval().dtype == pj.dtypes.float0
    assert aval.sharding.spec == pj.sharding.PartitionSpec(None, None) and aval.sharding.mesh.empty
    (jaxpr,) = core.subjaxprs(pj.make_jaxpr(lambda x: pj.jit(pj.numpy.sin)(x))(X).jaxpr)
    assert isinstance(jaxpr, core.Jaxpr)
    states = [core.get_opaque_trace_state(), core.get_opaque_trace_state("flax")]
    pj.jit(lambda x: [states.append(core.get_opaque_trace_state()), x][1])(X)
    assert states[0] == states[1] != states[2]


# ---- partial evaluation ----------------------------------------------------------------------------------


def partially(m, function, *args):
    """Which results of function(*args) are known where some arguments are types, and their values."""
    pe, lu = m.interpreters.partial_eval, m.extend.linear_util
    leaves, structure = m.tree_util.tree_flatten(args)
    flat, out = m.api_util.flatten_fun_nokwargs(
        lu.wrap_init(function, debug_info=m.api_util.debug_info("test", function, args, {})), structure
    )
    given = [
        pe.PartialVal.unknown(m.core.ShapedArray(x.shape, x.dtype))
        if isinstance(x, m.ShapeDtypeStruct)
        else pe.PartialVal.known(x)
        for x in leaves
    ]
    jaxpr, found, _ = pe.trace_to_jaxpr_nounits(flat, given)
    return [str(out()), len(jaxpr.outvars), [f"{aval.shape}" if aval is not None else value for aval, value in found]]


def test_partial_evaluation():
    struct = lambda m: m.ShapeDtypeStruct((3,), np.float32)
    inner = lambda m: m.jit(lambda x, y: (m.numpy.sin(x), x * y, y + 1))
    for function in (
        lambda m, x, y: (m.numpy.cos(x), x[0] * y, m.numpy.ones(2)),
        lambda m, x, y: inner(m)(x, y),
        lambda m, x, y: m.lax.fori_loop(0, 3, lambda i, v: v * 2, x),
        lambda m, x, y: m.random.normal(m.random.key(1), (3,)) + y * 0,
    ):
        both(lambda m: partially(m, lambda x, y: function(m, x, y), m.numpy.asarray(X), struct(m))[1:])
    # inside of a traced function the known values are those of that function
    both(lambda m: m.jit(lambda x: partially(m, lambda a, y: (a + x, y), x, struct(m))[2][0])(X))
    both(
        lambda m: m.grad(lambda x: partially(m, lambda a, y: (a * x, y), x, struct(m))[2][0].sum())(m.numpy.asarray(X))
    )


def test_flatten_fun():
    def flat(m):
        function = lambda a, *, b: {"sum": a + b, "b": b}
        about = m.api_util.debug_info("test", function, (1.0,), {"b": 2.0})
        f = m.extend.linear_util.wrap_init(function, debug_info=about)
        leaves, structure = m.tree_util.tree_flatten(((1.0,), {"b": 2.0}))
        f, out = m.api_util.flatten_fun(f, structure)
        found = f.call_wrapped(*leaves)
        return m.tree_util.tree_unflatten(out(), found)

    both(flat)


# ---- values of traced functions --------------------------------------------------------------------------


def test_compile_time_values():
    def inside(m):
        seen = []

        def function(x):
            with m.ensure_compile_time_eval():
                known, traced = m.numpy.ones(3) + 1, m.numpy.any(x > 1)
                seen.extend(str(isinstance(v, m.core.Tracer)) for v in (known, traced, x + known))
            return m.numpy.where(traced, x, -x) * known

        square = lambda x: m.numpy.sum(function(x) ** 2)
        return [function(X), m.jit(function)(X), m.grad(square)(X), m.jit(m.grad(square))(X), m.vmap(function)(X), seen]

    both(inside)


def test_symbolic_zeros_and_float0_as_results():
    def zeros(m):
        @m.custom_jvp
        def f(x, y):
            return x * y, x + 0

        def rule(primals, tangents):
            none = m.custom_derivatives.SymbolicZero(m.typeof(primals[0]).to_tangent_aval())
            return f(*primals), (tangents[0], none)

        f.defjvp(rule, symbolic_zeros=True)
        pull = m.jit(lambda x, n: m.vjp(lambda x, n: x * n, x, n)[1](x))
        return [m.grad(lambda x: sum(f(x, 2.0)))(3.0), m.vmap(m.grad(lambda x: sum(f(x, 2.0))))(X[0]), pull(2.0, 3)]

    both(zeros)
    assert pj.jit(lambda n: pj.vjp(lambda n: n * 1.0, n)[1](1.0))(3)[0].dtype == pj.float0


def test_callbacks_get_arrays_and_raise_runtime_errors():
    def called(m):
        kinds = []

        def note(x):
            kinds.append(str(isinstance(x, m.Array)))
            return x

        results = [m.jit(lambda x: m.pure_callback(note, SPEC, x))(X), m.pure_callback(note, SPEC, X)]
        return [m.block_until_ready(results), kinds]

    both(called)
    with pytest.raises(pj.errors.JaxRuntimeError, match="(?s)INTERNAL: CpuCallback error.*KeyError: 'reason'"):
        pj.pure_callback(lambda x: {}["reason"], SPEC, X).block_until_ready()


def test_names_of_float8():
    assert pj.numpy.float8_e5m2 == jax.numpy.float8_e5m2.dtype.type
    assert pj.numpy.finfo(pj.numpy.float8_e4m3fn).max == jax.numpy.finfo(jax.numpy.float8_e4m3fn).max
    with pytest.raises(TypeError):
        pj.numpy.zeros(3, pj.numpy.float8_e5m2)
    assert pj.random.key(0).dtype.type is pj.dtypes.prng_key


def test_layouts():
    def texts(m):
        layout = m.experimental.layout
        place = m.devices()[0]
        spot = m.sharding.SingleDeviceSharding(place)
        formats = [layout.Format(layout.Layout((1, 0)), spot), layout.Format()]
        return [
            str(layout.Layout((1, 0))), str(formats[0] == layout.Format(layout.Layout((1, 0)), spot)), str(formats[1]),
            raised(layout.Format, layout.Layout((0,))), raised(layout.Format, 3), m.device_put(X, layout.Format(None, spot)),
        ]  # fmt: skip

    import jax.experimental.layout  # noqa: F401

    both(texts)
