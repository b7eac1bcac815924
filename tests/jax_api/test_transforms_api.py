"""Transforms with JAX's signatures: the same results, dtypes, weak types and kinds of errors as JAX's."""

import functools
import inspect

import jax
import jax.ad_checkpoint
import jax.experimental
import numpy as np
import pytest

import pequegrad.jax_api as pj
from pequegrad.jax_api import custom_derivatives, stages

from .agreement import _same_kind, same

X = np.array([0.5, -1.0, 2.0], np.float32)
M = np.arange(6, dtype=np.float32).reshape(2, 3)
F0 = jax.float0


def outcome(case, m):
    """(result, None) or (None, error) of case(m, m.numpy, x, matrix)."""
    try:
        return case(m, m.numpy, m.numpy.asarray(X), m.numpy.asarray(M)), None
    except Exception as error:  # the other library must raise one of its kind
        return None, error


def plain(tree):
    """Leaves that `same` can compare: float0 arrays as their shape, structs as text."""

    def one(x):
        if getattr(x, "dtype", None) == F0:
            return ("float0", x.shape)
        return repr(x) if type(x).__name__ in ("ShapeDtypeStruct", "ArgInfo", "ShapedArray") else x

    return jax.tree_util.tree_map(one, tree)


def check(case):
    expected, error = outcome(case, jax)
    found, own_error = outcome(case, pj)
    if error is not None:
        assert own_error is not None, f"JAX raises {error!r}; pequegrad returns {found}"
        assert _same_kind(own_error, error), f"JAX raises {error!r}, pequegrad {own_error!r}"
        return
    if own_error is not None:
        raise own_error
    same(plain(found), plain(expected))


def table(**cases):
    return pytest.mark.parametrize("case", cases.values(), ids=cases.keys())


GRAD = dict(  # noqa: C408
    simple=lambda m, n, x, w: m.grad(lambda x: (n.sin(x) * x).sum())(x),
    of_number=lambda m, n, x, w: m.grad(lambda x: x * x * x)(2.0),
    of_numpy=lambda m, n, x, w: m.grad(lambda x: (x * x).sum())(X),
    nonscalar=lambda m, n, x, w: m.grad(lambda x: x)(x),
    integer=lambda m, n, x, w: m.grad(lambda x: x * 1.0)(1),
    allow_int=lambda m, n, x, w: m.grad(lambda x, i: (x[i] * x).sum(), argnums=(0, 1), allow_int=True)(x, 1),
    allow_int_tree=lambda m, n, x, w: m.value_and_grad(lambda t: (t["x"] * t["i"]).sum(), allow_int=True)({"x": x, "i": 2}),
    complex_argument=lambda m, n, x, w: m.grad(lambda z: n.abs(z * z).sum())(n.asarray(np.array([1 + 2j], np.complex64))),
    complex_result=lambda m, n, x, w: m.grad(lambda x: x * 1j)(1.0),
    holomorphic_of_real=lambda m, n, x, w: m.grad(lambda x: x, holomorphic=True)(1.0),
    holomorphic=lambda m, n, x, w: m.grad(lambda x: x * x, holomorphic=True)(1.0 + 1.0j),
    integer_result=lambda m, n, x, w: m.grad(lambda x: 1)(1.0),
    string_result=lambda m, n, x, w: m.grad(lambda x: "a")(1.0),
    tuple_result=lambda m, n, x, w: m.grad(lambda x: (x, x))(1.0),
    no_result=lambda m, n, x, w: m.grad(lambda x: None)(1.0),
    argnums_too_large=lambda m, n, x, w: m.grad(lambda x: x, argnums=1)(1.0),
    argnums_negative=lambda m, n, x, w: m.grad(lambda x, y: x * y * y, argnums=-1)(1.0, 2.0),
    argnums_too_small=lambda m, n, x, w: m.grad(lambda x, y: x * y, argnums=-3)(1.0, 2.0),
    argnums_string=lambda m, n, x, w: m.grad(lambda x: x, argnums="x"),
    argnums_list=lambda m, n, x, w: m.grad(lambda x, y: x * y, argnums=[0, 1])(1.0, 2.0),
    argnums_tuple=lambda m, n, x, w: m.grad(lambda x, y: (x * y["a"]).sum(), argnums=(1, 0))(x, {"a": x}),
    keyword_only=lambda m, n, x, w: m.grad(lambda x: x)(x=1.0),
    keyword_too=lambda m, n, x, w: m.grad(lambda x, *, y: x * y)(1.0, y=3.0),
    other_argument_is_anything=lambda m, n, x, w: m.grad(lambda x, how: x * len(how))(1.0, "four"),
    other_argument_stays_python=lambda m, n, x, w: m.grad(lambda x, k: sum(x * i for i in range(k)))(1.0, 3),
    string=lambda m, n, x, w: m.grad(lambda x: x)("s"),
    not_callable=lambda m, n, x, w: m.grad(3),
    list_argument=lambda m, n, x, w: m.grad(lambda x: x[0] * 2)([1.0, 2.0]),
    none_in_argument=lambda m, n, x, w: m.grad(lambda x: x[0])((1.0, None)),
    aux=lambda m, n, x, w: m.grad(lambda x: ((x * x).sum(), {"a": x + 1, "s": "text"}), has_aux=True)(x),
    aux_missing=lambda m, n, x, w: m.grad(lambda x: x, has_aux=True)(1.0),
    value=lambda m, n, x, w: m.value_and_grad(lambda x: (x * x).sum())(x),
    value_and_aux=lambda m, n, x, w: m.value_and_grad(lambda x: ((x * x).sum(), x * 2), has_aux=True)(x),
    half=lambda m, n, x, w: m.grad(lambda x: (x * x).sum())(n.asarray(X.astype(np.float16))),
    unused=lambda m, n, x, w: m.grad(lambda x, y: x.sum(), argnums=(0, 1))(x, w),
    twice=lambda m, n, x, w: m.grad(m.grad(lambda x: x * x * x))(2.0),
    of_jit=lambda m, n, x, w: m.jit(m.grad(m.jit(lambda x: (n.tanh(x) * x).sum())))(x),
    of_vmap=lambda m, n, x, w: m.grad(lambda w: m.vmap(lambda r: (r * r).sum())(w).sum())(w),
    vmapped=lambda m, n, x, w: m.vmap(m.grad(lambda r: (r * r * r).sum()))(w),
    if_works=lambda m, n, x, w: m.grad(lambda x: x * 2 if x > 0 else x * 3)(-1.0),
)  # fmt: skip


@table(**GRAD)
def test_grad(case):
    check(case)


JVP = dict(  # noqa: C408
    simple=lambda m, n, x, w: m.jvp(n.sin, (x,), (x,)),
    lists=lambda m, n, x, w: m.jvp(lambda x, y: x * y, [x, x], [x, x]),
    not_tuples=lambda m, n, x, w: m.jvp(n.sin, 1.0, 1.0),
    lengths=lambda m, n, x, w: m.jvp(n.sin, (1.0,), (1.0, 2.0)),
    structures=lambda m, n, x, w: m.jvp(lambda x: x[0], ((1.0,),), ([1.0],)),
    dtypes=lambda m, n, x, w: m.jvp(n.sin, (1.0,), (1,)),
    shapes=lambda m, n, x, w: m.jvp(n.sin, (1.0,), (x,)),
    integer=lambda m, n, x, w: m.jvp(lambda x: x * 1.0, (1,), (1,)),
    float0=lambda m, n, x, w: m.jvp(lambda i, x: x[i] * x, (1, x), (np.zeros((), F0), x)),
    aux=lambda m, n, x, w: m.jvp(lambda x: (x * x, x + 1), (x,), (x,), has_aux=True),
    tree=lambda m, n, x, w: m.jvp(lambda t: {"y": t["a"] * t["b"], "z": t["a"] > 0}, ({"a": x, "b": x},), ({"a": x, "b": x},)),
    jitted=lambda m, n, x, w: m.jit(lambda x: m.jvp(n.sin, (x,), (x,)))(x),
    vjp=lambda m, n, x, w: m.vjp(lambda x, w: w @ x, x, w)[1](n.asarray(np.ones(2, np.float32))),
    vjp_structure=lambda m, n, x, w: m.vjp(lambda x: (x, x), 1.0)[1](1.0),
    vjp_shape=lambda m, n, x, w: m.vjp(lambda x: x, 1.0)[1](x),
    vjp_dtype=lambda m, n, x, w: m.vjp(lambda x: x, 1.0)[1](1),
    vjp_half=lambda m, n, x, w: m.vjp(lambda x: x, 1.0)[1](np.float16(1)),
    vjp_integer=lambda m, n, x, w: m.vjp(lambda x, y: x * y, 1.0, 2)[1](1.0),
    vjp_integer_result=lambda m, n, x, w: m.vjp(lambda x: (x * 2, 3), 1.0)[1]((1.0, np.zeros((), F0))),
    vjp_string=lambda m, n, x, w: m.vjp(lambda x: x, "s"),
    vjp_none=lambda m, n, x, w: m.vjp(lambda x: (x * 2, None), x)[1]((x, None)),
    vjp_aux=lambda m, n, x, w: (lambda y, pull, aux: (y, pull(x), aux))(*m.vjp(lambda x: (x * x, {"k": x}), x, has_aux=True)),
    vjp_twice=lambda m, n, x, w: (lambda y, pull: (pull(x), pull(x * 2)))(*m.vjp(lambda x: x * x, x)),
    linearize=lambda m, n, x, w: (lambda y, push: (y, push(x), push(x * 2)))(*m.linearize(lambda x: n.sin(x) * x, x)),
    linearize_aux=lambda m, n, x, w: (lambda y, push, aux: (y, push(x), aux))(*m.linearize(lambda x: (x * x, x), x, has_aux=True)),
    linearize_count=lambda m, n, x, w: m.linearize(n.sin, 1.0)[1](1.0, 2.0),
    linearize_shape=lambda m, n, x, w: m.linearize(n.sin, 1.0)[1](x),
    linearize_dtype=lambda m, n, x, w: m.linearize(n.sin, 1.0)[1](1),
    transpose=lambda m, n, x, w: m.linear_transpose(lambda x: w @ x * 2, x)(n.asarray(np.ones(2, np.float32))),
    transpose_struct=lambda m, n, x, w: m.linear_transpose(lambda x: 2 * x, m.ShapeDtypeStruct((3,), np.float32))(x),
    transpose_structure=lambda m, n, x, w: m.linear_transpose(lambda x: (x, x), 1.0)(1.0),
)  # fmt: skip


@table(**JVP)
def test_jvp_vjp_linearize(case):
    check(case)


JACOBIANS = dict(  # noqa: C408
    jacfwd=lambda m, n, x, w: m.jacfwd(lambda x: w @ n.sin(x))(x),
    jacrev=lambda m, n, x, w: m.jacrev(lambda x: w @ n.sin(x))(x),
    jacobian=lambda m, n, x, w: m.jacobian(lambda x, y: x * y, argnums=(0, 1))(x, x),
    jacfwd_tree=lambda m, n, x, w: m.jacfwd(lambda t: {"p": t["a"] * t["b"].sum()}, argnums=0)({"a": x, "b": x}),
    jacrev_tree=lambda m, n, x, w: m.jacrev(lambda t: {"p": t["a"] * t["b"].sum()}, argnums=0)({"a": x, "b": x}),
    jacfwd_integer=lambda m, n, x, w: m.jacfwd(lambda x: x * 1.0)(1),
    jacrev_integer=lambda m, n, x, w: m.jacrev(lambda x: x * 1.0)(1),
    jacfwd_complex=lambda m, n, x, w: m.jacfwd(lambda x: x * 1.0)(1j),
    jacfwd_holomorphic=lambda m, n, x, w: m.jacfwd(lambda x: x * x, holomorphic=True)(1 + 1j),
    jacrev_holomorphic=lambda m, n, x, w: m.jacrev(lambda x: x * x, holomorphic=True)(1 + 1j),
    jacrev_complex_result=lambda m, n, x, w: m.jacrev(lambda x: x * 1j)(1.0),
    jacrev_integer_result=lambda m, n, x, w: m.jacrev(lambda x: 3)(1.0),
    jacrev_aux=lambda m, n, x, w: m.jacrev(lambda x: (x * 2, x + 1), has_aux=True)(x),
    jacfwd_aux=lambda m, n, x, w: m.jacfwd(lambda x: (x * 2, x + 1), has_aux=True)(x),
    hessian=lambda m, n, x, w: m.hessian(lambda x: (n.sin(x) * x * x[0]).sum())(x),
    hessian_argnums=lambda m, n, x, w: m.hessian(lambda x, y: (x * y * x).sum(), argnums=(0, 1))(x, x),
    hessian_aux=lambda m, n, x, w: m.hessian(lambda x: ((x * x).sum(), x), has_aux=True)(x),
    jitted=lambda m, n, x, w: m.jit(m.hessian(lambda x: (x * x * x).sum()))(x),
)  # fmt: skip


@table(**JACOBIANS)
def test_jacobians(case):
    check(case)


VMAP = dict(  # noqa: C408
    simple=lambda m, n, x, w: m.vmap(lambda r: r.sum())(w),
    axes=lambda m, n, x, w: m.vmap(lambda r, y: r * y, in_axes=(1, None), out_axes=1)(w, 2.0),
    negative_axis=lambda m, n, x, w: m.vmap(lambda r: r * 2, in_axes=-1, out_axes=-1)(w),
    tree_axes=lambda m, n, x, w: m.vmap(lambda t, y: t["a"] * t["b"] + y, in_axes=({"a": 0, "b": None}, None))({"a": x, "b": 2.0}, 1.0),
    prefix=lambda m, n, x, w: m.vmap(lambda t: t["a"][0] + t["b"], in_axes=({"a": 0, "b": 0},))({"a": (x, x), "b": x}),
    out_axes_tree=lambda m, n, x, w: m.vmap(lambda r: {"a": r, "b": (r, 1.0)}, out_axes={"a": 1, "b": (0, None)})(w),
    list_of_axes=lambda m, n, x, w: m.vmap(lambda a, b: a * b, in_axes=[0, None])(x, 2.0),
    keywords=lambda m, n, x, w: m.vmap(lambda x, y: x * y)(x, y=x),
    numpy_argument=lambda m, n, x, w: m.vmap(lambda x: x * 2)(X.astype(np.float64)),
    axis_size=lambda m, n, x, w: m.vmap(lambda: 3.0, axis_size=2)(),
    none_with_size=lambda m, n, x, w: m.vmap(lambda x: x, in_axes=None, axis_size=2)(x),
    number_of_axes=lambda m, n, x, w: m.vmap(lambda x: x, in_axes=(0, 0))(x),
    axes_of_wrong_type=lambda m, n, x, w: m.vmap(lambda x: x, in_axes="a")(x),
    axes_dict=lambda m, n, x, w: m.vmap(lambda x: x, in_axes={"a": 0})({"a": x}),
    sizes=lambda m, n, x, w: m.vmap(lambda x, y: x)(x, w),
    scalar=lambda m, n, x, w: m.vmap(lambda x: x)(1.0),
    nothing_mapped=lambda m, n, x, w: m.vmap(lambda x: x, in_axes=None)(x),
    axis_out_of_range=lambda m, n, x, w: m.vmap(lambda x: x, in_axes=1)(x),
    string=lambda m, n, x, w: m.vmap(lambda x: x)("a"),
    unmapped_is_anything=lambda m, n, x, w: m.vmap(lambda x, y: x * len(y), in_axes=(0, None))(x, "four"),
    unmapped_stays_python=lambda m, n, x, w: m.vmap(lambda x, k: sum(x * i for i in range(k)), in_axes=(0, None))(x, 3),
    out_axis_none=lambda m, n, x, w: m.vmap(lambda x: x, out_axes=None)(x),
    out_prefix=lambda m, n, x, w: m.vmap(lambda x: x, out_axes=(0, 0))(x),
    out_axis_out_of_range=lambda m, n, x, w: m.vmap(lambda x: x, out_axes=2)(x),
    wrong_prefix=lambda m, n, x, w: m.vmap(lambda x: x["a"], in_axes=({"b": 0},))({"a": x}),
    no_arguments=lambda m, n, x, w: m.vmap(lambda: 1)(),
    string_result=lambda m, n, x, w: m.vmap(lambda x: "a")(x),
    not_callable=lambda m, n, x, w: m.vmap(3),
    nested=lambda m, n, x, w: m.vmap(m.vmap(lambda x: x * x))(w),
    spmd_axis_name=lambda m, n, x, w: m.vmap(lambda x: x * 2, spmd_axis_name="data")(x),
)  # fmt: skip


@table(**VMAP)
def test_vmap(case):
    check(case)


JIT = dict(  # noqa: C408
    simple=lambda m, n, x, w: m.jit(lambda x, y: {"b": x * y, "a": (y, None)})(x, 2.0),
    static_number=lambda m, n, x, w: m.jit(lambda x, k: sum(x * i for i in range(k)), static_argnums=1)(x, 3),
    static_name=lambda m, n, x, w: m.jit(lambda x, k: x * len(k), static_argnames="k")(x, k="four"),
    static_names=lambda m, n, x, w: m.jit(lambda x, k, j: x * len(k) * j, static_argnames=("k", "j"))(x, "four", j=2),
    static_negative=lambda m, n, x, w: m.jit(lambda x, k: x * len(k), static_argnums=-1)(x, "four"),
    partial_decorator=lambda m, n, x, w: functools.partial(m.jit, static_argnums=(1,))(lambda x, k: x * k)(x, 3),
    factory=lambda m, n, x, w: m.jit(static_argnames="k")(lambda x, k: x * len(k))(x, "ab"),
    string=lambda m, n, x, w: m.jit(lambda x: x)("a"),
    string_result=lambda m, n, x, w: m.jit(lambda x: "a")(1),
    not_hashable=lambda m, n, x, w: m.jit(lambda x, y: x, static_argnums=1)(1, [1]),
    static_out_of_range=lambda m, n, x, w: m.jit(lambda x: x, static_argnums=3),
    static_of_wrong_type=lambda m, n, x, w: m.jit(lambda x: x, static_argnums="a"),
    static_unknown=lambda m, n, x, w: m.jit(lambda x: x, static_argnames="y"),
    donated_unknown=lambda m, n, x, w: m.jit(lambda x: x, donate_argnames="y"),
    static_and_donated=lambda m, n, x, w: m.jit(lambda x: x, static_argnums=0, donate_argnums=0),
    not_callable=lambda m, n, x, w: m.jit(3),
    donated=lambda m, n, x, w: m.jit(lambda x, y: x + y, donate_argnums=0)(n.asarray(X + 1), x),
    donated_by_name=lambda m, n, x, w: m.jit(lambda x, y: x + y, donate_argnames="y")(x, n.asarray(X + 1)),
    bool_of_traced=lambda m, n, x, w: m.jit(lambda x: x if x[0] > 0 else -x)(x),
    float_of_traced=lambda m, n, x, w: m.jit(lambda x: float(x[0]))(x),
    range_of_traced=lambda m, n, x, w: m.jit(lambda k: list(range(k)))(3),
    array_of_traced=lambda m, n, x, w: m.jit(lambda x: np.asarray(x))(x),
    keep_unused_inline=lambda m, n, x, w: m.jit(lambda x, y: x * 2, keep_unused=True, inline=True)(x, w),
    numpy_result=lambda m, n, x, w: m.jit(lambda: np.ones(2))(),
    scalar_result=lambda m, n, x, w: m.jit(lambda: (1, 2.0, True, 1j, np.float64(3)))(),
    disable_jit=lambda m, n, x, w: _under(m.disable_jit(), lambda: m.jit(lambda x: x if x[0] > 0 else -x)(x)),
    eval_shape=lambda m, n, x, w: m.eval_shape(lambda x, y: {"a": x + y, "b": 1}, x, 1),
    eval_shape_struct=lambda m, n, x, w: m.eval_shape(lambda a, b: a @ b, m.ShapeDtypeStruct((2, 3), np.float32), w.T),
    eval_shape_wide=lambda m, n, x, w: m.eval_shape(lambda x: x, m.ShapeDtypeStruct((2,), np.float64)),
    eval_shape_string=lambda m, n, x, w: m.eval_shape(lambda x: x, "a"),
    eval_shape_of_jit=lambda m, n, x, w: m.eval_shape(m.jit(lambda x, k: x * len(k), static_argnums=1), x, "ab"),
    method_eval_shape=lambda m, n, x, w: m.jit(lambda x: x * 2).eval_shape(x),
    lower_info=lambda m, n, x, w: m.jit(lambda x, y: {"a": x * y["b"]}, donate_argnums=0).lower(x, {"b": 1.0}).args_info,
    lower_out=lambda m, n, x, w: m.jit(lambda x, y: {"a": x * y["b"]}).lower(x, {"b": m.ShapeDtypeStruct((3,), "int8")}).out_info,
    compiled=lambda m, n, x, w: m.jit(lambda x, k, y: x * k + y, static_argnums=1).lower(x, 3, y=1.0).compile()(x, y=2.0),
    compiled_other_shape=lambda m, n, x, w: m.jit(lambda x: x).lower(x).compile()(w),
    compiled_other_tree=lambda m, n, x, w: m.jit(lambda x: x).lower(x).compile()((x,)),
    in_avals=lambda m, n, x, w: m.jit(lambda x, y: x).lower(x, {"b": 1}).in_avals,
    trace_out=lambda m, n, x, w: m.jit(lambda x: (x, x.sum())).trace(x).out_info,
)  # fmt: skip


def _under(context, function):
    with context:
        return function()


@table(**JIT)
def test_jit(case):
    check(case)


def test_jitted_functions_know_their_programs():
    for m in (jax, pj):
        f = m.jit(lambda x: {"a": x * 2})
        assert f._cache_size() == 0
        f(X), f(X), f(M)
        assert f._cache_size() == 2
        lowered = f.lower(X)
        assert isinstance(lowered, m.stages.Lowered) and isinstance(lowered.compile(), m.stages.Compiled)
        assert isinstance(f, m.stages.Wrapped) and isinstance(f.trace(X), m.stages.Traced)
        assert repr(lowered.in_tree) == "PyTreeDef(((*,), {}))" and repr(lowered.out_tree) == "PyTreeDef({'a': *})"
        assert isinstance(lowered.as_text(), str) and isinstance(lowered.compile().as_text(), str)
        assert {"flops", "bytes accessed"} <= set(lowered.cost_analysis()) & set(lowered.compile().cost_analysis())
        memory = lowered.compile().memory_analysis()
        assert memory.output_size_in_bytes > 0 and memory.temp_size_in_bytes >= 0
        assert f.trace(X).fun_name == "<lambda>" and repr(f.trace(X).in_avals) == "((ShapedArray(float32[3]),), {})"
        f.clear_cache()
        assert f._cache_size() == 0
        assert f.__wrapped__ is not None and f.__name__ == "<lambda>"
    assert stages.Compiled is pj.stages.Compiled


@pytest.mark.parametrize("explain", [False, True])
def test_tracing_again_is_explained_only_on_demand(explain, caplog):
    with pj.explain_cache_misses(explain):
        f = pj.jit(lambda x: x + 1)
        for n in range(1, 5):
            f(pj.numpy.ones(n))
    assert explain == ("What changed: x: float32[3] -> float32[4]" in caplog.text)


def test_methods_can_be_jitted():
    for m in (jax, pj):

        class Scale:
            def __init__(self, k):
                self.k = k

            @functools.partial(m.jit, static_argnums=0)
            def __call__(self, x):
                return x * self.k

        assert np.array_equal(Scale(2)(X), 2 * X) and np.array_equal(Scale(3)(X), 3 * X)


# ---- custom rules ----------------------------------------------------------------------------------------


def _clip_jvp(m, n, **options):
    @functools.partial(m.custom_jvp, nondiff_argnums=(1,))
    def clipped(x, at):
        return n.minimum(x, at)

    @functools.partial(clipped.defjvp, **options)
    def rule(at, primals, tangents):
        (x,), (t,) = primals, tangents
        return clipped(x, at), t * 0.5

    return clipped


def _sine_vjp(m, n):
    @m.custom_vjp
    def sine(x, t):
        return n.sin(x) * t["k"]

    sine.defvjp(lambda x, t: (sine(x, t), (n.cos(x), t)), lambda r, ct: (ct * r[0] * 10, {"k": None}))
    return sine


def _cube(m, n):
    @m.custom_gradient
    def cube(x):
        return x**3, lambda ct: ct * 30 * x * x

    return cube


def _pair(m, n):
    @m.custom_gradient
    def pair(x, y):
        return x * y, lambda ct: (ct * y * 2, ct * x * 3)

    return pair


def _power(m, n):
    @functools.partial(m.custom_jvp, nondiff_argnums=(0,))
    def apply(f, x):
        return f(x)

    apply.defjvp(lambda f, primals, tangents: (f(*primals), tangents[0] * 7))
    return apply


def _defjvps(m, n):
    @m.custom_jvp
    def product(x, y):
        return x * y

    product.defjvps(lambda t, ans, x, y: t * y * 2, lambda t, ans, x, y: t * ans)
    return product


def _named_nondiff(m, n):
    @functools.partial(m.custom_vjp, nondiff_argnames=("how",))
    def f(x, how):
        return x * 2 if how == "double" else x

    f.defvjp(lambda x, how: (f(x, how), None), lambda how, r, ct: (ct * len(how),))
    return f


def _defaults(m, n):
    @functools.partial(m.custom_vjp, nondiff_argnums=(1, 2))
    def f(x, k, g=n.sin):
        return g(x) * k

    f.defvjp(lambda x, k, g: (g(x) * k, x), lambda k, g, x, ct: (ct * g(x) * 10,))
    return f


CUSTOM = dict(  # noqa: C408
    jvp=lambda m, n, x, w: m.jvp(lambda x: _clip_jvp(m, n)(x, 1.0), (x,), (x,)),
    jvp_grad=lambda m, n, x, w: m.grad(lambda x: _clip_jvp(m, n)(x, 1.0).sum())(x),
    jvp_jit_vmap=lambda m, n, x, w: m.jit(m.vmap(m.grad(lambda x: _clip_jvp(m, n)(x, 1.0))))(x),
    jvp_keyword=lambda m, n, x, w: m.grad(lambda x: _clip_jvp(m, n)(x=x, at=1.0).sum())(x),
    jvp_function_argument=lambda m, n, x, w: m.grad(lambda x: _power(m, n)(n.sin, x).sum())(x),
    jvps=lambda m, n, x, w: m.grad(lambda x, y: _defjvps(m, n)(x, y).sum(), argnums=(0, 1))(x, x),
    jvp_without_rule=lambda m, n, x, w: m.custom_jvp(lambda x: x)(1.0),
    vjp=lambda m, n, x, w: m.grad(lambda x, t: _sine_vjp(m, n)(x, t).sum(), argnums=(0, 1))(x, {"k": 2.0}),
    vjp_value=lambda m, n, x, w: _sine_vjp(m, n)(x, {"k": 2.0}),
    vjp_jit=lambda m, n, x, w: m.jit(m.grad(lambda x: _sine_vjp(m, n)(x, {"k": 2.0}).sum()))(x),
    vjp_vmap=lambda m, n, x, w: m.vmap(m.grad(lambda x: _sine_vjp(m, n)(x, {"k": 2.0})))(x),
    vjp_forward_mode=lambda m, n, x, w: m.jvp(lambda x: _sine_vjp(m, n)(x, {"k": 2.0}), (x,), (x,)),
    vjp_without_rules=lambda m, n, x, w: m.custom_vjp(lambda x: x)(1.0),
    vjp_names=lambda m, n, x, w: m.grad(lambda x: _named_nondiff(m, n)(x, "double").sum())(x),
    vjp_defaults=lambda m, n, x, w: m.grad(lambda x: _defaults(m, n)(x, 2).sum())(x),
    gradient=lambda m, n, x, w: m.grad(lambda x: _cube(m, n)(x).sum())(x),
    gradient_jit=lambda m, n, x, w: m.jit(m.value_and_grad(lambda x: _cube(m, n)(x).sum()))(x),
    gradient_pair=lambda m, n, x, w: m.grad(lambda x, y: _pair(m, n)(x, y).sum(), argnums=(0, 1))(x, x + 1),
    gradient_vmap=lambda m, n, x, w: m.vmap(m.grad(_cube(m, n)))(x),
)  # fmt: skip


@table(**CUSTOM)
def test_custom_rules(case):
    check(case)


def test_symbolic_zeros():
    for m in (jax, pj):
        from importlib import import_module

        own = import_module(f"{m.__name__}.custom_derivatives")
        seen = []

        @m.custom_jvp
        def f(x, y):
            return x * y

        @functools.partial(f.defjvp, symbolic_zeros=True)
        def rule(primals, tangents):
            seen.append([type(t) is own.SymbolicZero for t in tangents])
            return f(*primals), tangents[0] * primals[1]

        assert np.array_equal(m.grad(lambda x: f(x, 2.0).sum())(X), [2, 2, 2])
        assert seen[0] == [False, True]

        @m.custom_vjp
        def g(x, y):
            return x * y, x + y

        def fwd(x, y):
            assert type(x) is own.CustomVJPPrimal
            seen.append([x.perturbed, y.perturbed])
            return (x.value * y.value, x.value + y.value), y.value

        def bwd(y, cts):
            seen.append([type(ct) is own.SymbolicZero for ct in cts])
            return cts[0] * y, None

        g.defvjp(fwd, bwd, symbolic_zeros=True)
        assert np.array_equal(m.grad(lambda x: g(x, np.float32(2))[0].sum())(X), [2, 2, 2])
        assert seen[1:] == [[True, False], [False, True]]
    assert custom_derivatives.SymbolicZero is pj.custom_derivatives.SymbolicZero


def test_closure_convert():
    for m in (jax, pj):

        def f(scale):
            converted, constants = m.closure_convert(lambda x: x * scale, m.numpy.asarray(X))
            assert len(constants) == 1
            return converted(m.numpy.asarray(X), *[2 * c for c in constants]).sum()

        assert float(m.grad(f)(3.0)) == 2 * X.sum()
        converted, constants = m.closure_convert(lambda x: x * 2, 1.0)
        assert not constants and float(converted(3.0)) == 6


# ---- checkpoint ------------------------------------------------------------------------------------------


def _net(m, n, **options):
    @functools.partial(m.checkpoint, **options)
    def block(x, k=2):
        h = m.ad_checkpoint.checkpoint_name(n.sin(x) * k, "h")
        return n.cos(h) * h

    return block


POLICIES = dict(  # noqa: C408
    none=lambda m: None,
    everything=lambda m: m.checkpoint_policies.everything_saveable,
    nothing=lambda m: m.checkpoint_policies.nothing_saveable,
    dots=lambda m: m.checkpoint_policies.dots_saveable,
    checkpoint_dots=lambda m: m.checkpoint_policies.checkpoint_dots,
    without_batch=lambda m: m.checkpoint_policies.dots_with_no_batch_dims_saveable,
    names=lambda m: m.checkpoint_policies.save_only_these_names("h"),
    any_but=lambda m: m.checkpoint_policies.save_any_names_but_these("z"),
    anything_except=lambda m: m.checkpoint_policies.save_anything_except_these_names("h"),
    both=lambda m: m.checkpoint_policies.save_from_both_policies(
        m.checkpoint_policies.dots_saveable, m.checkpoint_policies.save_only_these_names("h")
    ),
    own=lambda m: lambda prim, *avals, **params: prim.name == "sin",
)  # fmt: skip


@pytest.mark.parametrize("policy", POLICIES)
def test_checkpoint(policy):
    check(lambda m, n, x, w: m.grad(lambda x: _net(m, n, policy=POLICIES[policy](m))(x).sum())(x))


CHECKPOINT = dict(  # noqa: C408
    static_argnums=lambda m, n, x, w: m.grad(lambda x: _net(m, n, static_argnums=1)(x, 3).sum())(x),
    static_argnames=lambda m, n, x, w: m.grad(lambda x: _net(m, n, static_argnames="k")(x, 3).sum())(x),
    prevent_cse=lambda m, n, x, w: m.jit(m.grad(lambda x: _net(m, n, prevent_cse=False)(x).sum()))(x),
    remat=lambda m, n, x, w: m.grad(lambda x: m.remat(lambda x: n.sin(n.sin(x)).sum())(x))(x),
    keyword=lambda m, n, x, w: m.grad(lambda x: _net(m, n)(x, k=3).sum())(x),
)  # fmt: skip


@table(**CHECKPOINT)
def test_checkpoint_options(case):
    check(case)


def test_print_saved_residuals(capsys):
    pj.ad_checkpoint.print_saved_residuals(lambda x: pj.numpy.sin(pj.numpy.sin(x)).sum(), X)
    assert capsys.readouterr().out.count("float32[3]") >= 2


# ---- callbacks -------------------------------------------------------------------------------------------

SPEC = jax.ShapeDtypeStruct((3,), np.float32)

CALLBACKS = dict(  # noqa: C408
    pure=lambda m, n, x, w: m.jit(lambda x: m.pure_callback(lambda x: np.sin(np.asarray(x)), SPEC, x))(x),
    pure_eager=lambda m, n, x, w: m.pure_callback(lambda x, *, k: {"a": np.asarray(x) * k}, {"a": SPEC}, x, k=2.0),
    pure_wide=lambda m, n, x, w: m.pure_callback(lambda x: np.asarray(x), jax.ShapeDtypeStruct((3,), np.float64), x),
    sequential=lambda m, n, x, w: m.vmap(lambda r: m.pure_callback(lambda r: np.asarray(r) * 2, SPEC, r, vmap_method="sequential"))(w),
    expand_dims=lambda m, n, x, w: m.vmap(
        lambda r: m.pure_callback(lambda r, y: np.asarray(r) * np.asarray(y) * len(np.shape(y)), SPEC, r, x, vmap_method="expand_dims")
    )(w),
    broadcast_all=lambda m, n, x, w: m.vmap(
        lambda r: m.pure_callback(lambda r, y: np.asarray(r) * np.shape(y)[0], SPEC, r, x, vmap_method="broadcast_all")
    )(w),
    legacy_vectorized=lambda m, n, x, w: m.vmap(
        lambda r: m.pure_callback(lambda r, y: np.asarray(r) * np.ndim(y), SPEC, r, x, vmap_method="legacy_vectorized")
    )(w),
    not_mapped=lambda m, n, x, w: m.vmap(lambda r: m.pure_callback(lambda r: np.asarray(r), SPEC, r))(w),
    unknown_method=lambda m, n, x, w: m.pure_callback(lambda r: r, SPEC, x, vmap_method="any"),
    io=lambda m, n, x, w: m.jit(lambda x: m.experimental.io_callback(lambda x: np.asarray(x) + 1, SPEC, x, ordered=True))(x),
)  # fmt: skip


@table(**CALLBACKS)
def test_callbacks(case):
    check(case)


def test_callbacks_get_arrays():
    def kinds(m, found):
        look = lambda x: (found.append(isinstance(x, m.Array)), np.asarray(x))[1]
        result = m.ShapeDtypeStruct((3,), np.float32)
        m.debug.callback(look, m.numpy.ones(3))
        m.jit(lambda x: m.pure_callback(look, result, x))(np.ones(3, np.float32)).block_until_ready()
        m.jit(lambda x: m.experimental.io_callback(look, result, x))(np.ones(3, np.float32)).block_until_ready()
        m.debug.callback(lambda tree: found.append(isinstance(tree["k"], m.Array)), {"k": 1.5})
        m.effects_barrier()
        return found

    assert kinds(pj, []) == kinds(jax, []) == [True] * 4


def test_effects_happen_once_and_in_order(capsys):
    seen = []

    @pj.jit
    def f(x):
        pj.experimental.io_callback(lambda x: seen.append(float(x)), None, x[0], ordered=True)
        pj.debug.print("x = {x} {} {y:.2f}", x[1], x=x, y=x[0])
        pj.debug.callback(lambda x, *, k: seen.append((float(x), k)), x[1], k="k")
        return x * 2

    f(X).block_until_ready() if hasattr(pj.Array, "block_until_ready") else pj.block_until_ready(f(X))
    pj.effects_barrier()
    assert seen == [0.5, (-1.0, "k")]
    assert capsys.readouterr().out == "x = [ 0.5 -1.   2. ] -1.0 0.50\n"
    for bad, kind in ((("{} {}", 1), IndexError), (("{}", 1, 2), ValueError), (("{a}",), KeyError), ((3,), TypeError)):
        for m in (jax, pj):
            with pytest.raises(kind):
                m.debug.print(*bad)


# ---- signatures ------------------------------------------------------------------------------------------

MODULES = """ tree tree_util flatten_util errors debug custom_derivatives custom_batching ad_checkpoint sharding stages
    profiler monitoring export""".split(" ")


@pytest.mark.parametrize("path", [p.strip() for p in MODULES])
def test_signatures_are_those_of_jax(path):
    from .surface import differences

    _, different = differences(path)
    assert set(different) <= {"jit"}, different  # jit: the default of `fun` is an object


def test_transforms_keep_names():
    def fancy(x):
        """What it does."""
        return x

    for m in (jax, pj):
        for transform in (m.jit, m.vmap, m.grad, m.value_and_grad, m.checkpoint):
            assert inspect.unwrap(transform(fancy)) is fancy and "fancy" in transform(fancy).__name__


def test_what_is_made_of_nothing_stays_an_array():
    for made in (
        lambda x: pj.numpy.arange(3),
        lambda x: pj.lax.iota("int32", 3),
        lambda x: pj.random.choice(pj.random.key(0), 7, (0, 3)),
        lambda x: pj.random.permutation(pj.random.key(0), 1),
    ):
        for found in (
            pj.vmap(made)(X),
            pj.vmap(made, out_axes=None)(X),
            pj.jit(pj.vmap(made))(X),
            pj.checkpoint(made)(X),
            pj.jit(made)(X),
        ):
            assert isinstance(found, pj.Array)
