"""equinox: an MLP is trained; layers, filtered transforms, trees of modules; errors under jit, which need primitives of its own."""

import io

import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp
import numpy as np
import optax
from report import case, cases, main, raised

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (16, 8))
IMAGE = jax.random.normal(jax.random.key(3), (3, 8, 8))
MLP = eqx.nn.MLP(8, 2, 16, 1, key=KEY)
arrays = lambda tree: eqx.filter(tree, eqx.is_array)


@case
def train_mlp():
    model, target = eqx.nn.MLP(8, 2, 16, 2, key=KEY), jax.random.normal(jax.random.key(2), (16, 2))
    optimiser = optax.adam(1e-2)
    state = optimiser.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_jit
    def step(model, state):
        loss, grads = eqx.filter_value_and_grad(lambda m: jnp.mean((jax.vmap(m)(X) - target) ** 2))(model)
        updates, state = optimiser.update(grads, state, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), state, loss

    losses = []
    for _ in range(10):
        model, state, loss = step(model, state)
        losses.append(loss)
    return losses, arrays(model)


# ---- layers ----------------------------------------------------------------------------------------------


@case
def batch_norm():
    layer, state = eqx.nn.make_with_state(eqx.nn.BatchNorm)(8, "batch", mode="batch")
    over_batch = lambda m, s: jax.vmap(m, in_axes=(0, None), out_axes=(0, None), axis_name="batch")(X, s)
    y, state = over_batch(layer, state)
    return y, over_batch(eqx.nn.inference_mode(layer), state)[0]


@case
def spectral_norm():
    linear = eqx.nn.Linear(8, 4, key=KEY)
    layer, state = eqx.nn.make_with_state(eqx.nn.SpectralNorm)(linear, "weight", key=KEY)
    return layer(X[0], state)[0]


cases(
    "layer",
    attention=lambda: eqx.nn.MultiheadAttention(2, 8, key=KEY)(X, X, X),
    conv=lambda: eqx.nn.Conv2d(3, 4, 3, padding=1, key=KEY)(IMAGE),
    conv_transpose=lambda: eqx.nn.ConvTranspose2d(3, 4, 3, stride=2, key=KEY)(IMAGE),
    dropout=lambda: eqx.nn.Dropout(0.5)(X, key=KEY),
    embedding=lambda: eqx.nn.Embedding(5, 3, key=KEY)(jnp.array(2)),
    gru=lambda: jax.lax.scan(lambda h, x: (eqx.nn.GRUCell(8, 4, key=KEY)(x, h), h), jnp.zeros(4), X),
    lstm=lambda: eqx.nn.LSTMCell(8, 4, key=KEY)(X[0], (jnp.zeros(4), jnp.zeros(4))),
    norms=lambda: [eqx.nn.LayerNorm(8)(X[0]), eqx.nn.GroupNorm(2, 8)(X[0]), eqx.nn.RMSNorm(8)(X[0])],
    pools=lambda: [eqx.nn.MaxPool2d(2, 2)(IMAGE), eqx.nn.AvgPool2d(3)(IMAGE), eqx.nn.AdaptiveAvgPool2d(4)(IMAGE)],
    rotary=lambda: eqx.nn.RotaryPositionalEmbedding(8)(X),
    sequential=lambda: eqx.nn.Sequential([eqx.nn.Linear(8, 4, key=KEY), eqx.nn.Lambda(jax.nn.relu)])(X[0]),
    weight_norm=lambda: eqx.nn.WeightNorm(eqx.nn.Linear(8, 4, key=KEY))(X[0]),
)

# ---- filtered transforms ---------------------------------------------------------------------------------


@eqx.filter_custom_jvp
def scaled(x, y):
    return x * y


@scaled.def_jvp
def _(primals, tangents):
    (x, y), (tx, ty) = primals, tangents
    return x * y, (0 if tx is None else 3 * tx * y) + (0 if ty is None else ty)


@eqx.filter_custom_vjp
def stretched(x, y):
    return x * y


stretched.def_fwd(lambda perturbed, x, y: (x * y, y))
stretched.def_bwd(lambda y, grad, perturbed, x, _: 5 * grad * y)
ensemble = lambda: eqx.filter_vmap(lambda key: eqx.nn.MLP(8, 2, 4, 1, key=key))(jax.random.split(KEY, 3))
forward = lambda model, x: model(x)
SPEC = jax.ShapeDtypeStruct(X.shape, X.dtype)
cases(
    "filter",
    callback=lambda: eqx.filter_jit(lambda x: eqx.filter_pure_callback(np.sin, x, result_shape_dtypes=SPEC))(X),
    checkpoint=lambda: arrays(eqx.filter_grad(lambda m: eqx.filter_checkpoint(m)(X[0]).sum())(MLP)),
    closure=lambda: eqx.filter_closure_convert(MLP, X[0])(X[0]),
    custom_jvp=lambda: jax.grad(scaled)(2.0, 3.0),
    custom_vjp=lambda: jax.grad(stretched)(jnp.array(2.0), 3.0),
    ensemble=lambda: eqx.filter_vmap(forward, in_axes=(eqx.if_array(0), None))(ensemble(), X[0]),
    eval_shape=lambda: str(eqx.filter_eval_shape(MLP, X[0]).shape),
    grad=lambda: arrays(eqx.filter_grad(lambda m: m(X[0]).sum())(MLP)),
    jacobians=lambda: [eqx.filter_jacfwd(MLP)(X[0]), eqx.filter_jacrev(MLP)(X[0])],
    hessian=lambda: eqx.filter_hessian(lambda x: jnp.sum(jnp.tanh(MLP(x))))(X[0]),
    jvp=lambda: eqx.filter_jvp(jnp.sin, (X,), (X + 1,)),
    lowered=lambda: eqx.filter_jit(lambda x: x + 1).lower(X).compile()(X),
    make_jaxpr=lambda: len(eqx.filter_make_jaxpr(lambda x: jnp.sin(x) + 1)(X)[0].eqns),
    vjp=lambda: arrays((lambda y, back: (y, back(jnp.ones(2))))(*eqx.filter_vjp(forward, MLP, X[0]))),
)


class Affine(eqx.Module):
    weight: jax.Array
    times: int = eqx.field(static=True)
    shift: jax.Array = eqx.field(converter=jnp.asarray)

    def __check_init__(self):
        assert self.times > 0

    @jax.jit
    def __call__(self, x):
        return x @ self.weight * self.times + self.shift


class Answer(eqx.Enumeration):
    yes = "it is so"
    no = "it is not"


@case
def written_and_read():
    file = io.BytesIO()
    eqx.tree_serialise_leaves(file, MLP)
    file.seek(0)
    return arrays(eqx.tree_deserialise_leaves(file, MLP))


cases(
    "tree",
    module=lambda: Affine(jnp.ones((8, 3)), 2, 1.5)(X),
    wrong=lambda: raised(Affine, jnp.ones((8, 3)), 0, 1.5),
    tree_at=lambda: arrays(eqx.tree_at(lambda m: m.layers[0].weight, MLP, replace_fn=lambda w: w * 2)),
    partition=lambda: eqx.combine(*eqx.partition(MLP, eqx.is_array))(X[0]),
    equal=lambda: [bool(eqx.tree_equal(MLP, MLP)), bool(eqx.tree_equal(MLP, 1))],
    shown=lambda: str(MLP.layers[0]),
    enumeration=lambda: bool(Answer.where(X[0, 0] > 5, Answer.yes, Answer.no) == Answer.no),
)

# ---- what is made of primitives --------------------------------------------------------------------------


def checked(x):
    return eqx.error_if(x, jnp.sum(x) > 1e9, "too large")


def refused(x):
    return eqx.error_if(x, jnp.sum(x) < 1e9, "too small")


@case
def announced():
    """Which transforms are at work, as primitives see it."""
    said = []
    function = lambda x: eqx.debug.announce_transform(x, announce=said.append).sum()
    function(X), jax.jit(function)(X)
    return said


@case
def traces():
    @eqx.filter_jit
    @eqx.debug.assert_max_traces(max_traces=1)
    def add(x):
        return x + 1

    return [add(X), add(X), eqx.debug.get_num_traces(add.__wrapped__)]


def loop(kind, gradient=True):
    """1.5 to the power of 5, by a loop, and its derivative."""

    def power(z):
        step = lambda c: (c[0] + 1, c[1] * z)
        return eqxi.while_loop(lambda c: c[0] < 5, step, (jnp.array(0), jnp.array(1.0)), max_steps=16, kind=kind)[1]

    return [power(1.5), jax.jit(jax.grad(power))(1.5)] if gradient else power(1.5)


cases(
    "primitive",
    right=lambda: [checked(X), eqx.filter_jit(checked)(X), jax.jit(jax.vmap(checked))(X)],
    gradient=lambda: jax.jit(jax.grad(lambda x: (checked(x) ** 2).sum()))(X),
    wrong=lambda: [raised(refused, X), raised(eqx.filter_jit(refused), X), raised(refused, 1.0)],
    any=lambda: [jax.vmap(lambda x: eqxi.unvmap_any(x > 0) + x)(X), jax.jit(jax.vmap(eqxi.unvmap_max))(X.astype(int))],
    nondifferentiable=lambda: [
        eqxi.nondifferentiable_backward(X),
        raised(jax.grad(lambda x: eqxi.nondifferentiable_backward(x).sum()), X),
    ],
    nontraceable=lambda: [eqxi.nontraceable(X), raised(jax.jit(eqxi.nontraceable), X)],
    noinline=lambda: eqxi.noinline(jnp.sin)(X),
    loops=lambda: [loop("checkpointed"), loop("bounded"), loop("lax", gradient=False)],
    backward_nan=lambda: jax.grad(lambda x: eqx.debug.backward_nan(x, terminate=True).sum())(X[0]),
)

if __name__ == "__main__":
    main()
