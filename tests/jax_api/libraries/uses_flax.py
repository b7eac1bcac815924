"""flax.linen: an MLP and a CNN are trained; each layer is initialised and applied; lifted transforms; serialization."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import serialization, struct, traverse_util
from flax.training import train_state
from report import case, cases, main, raised

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (3, 6, 8))
cross_entropy = optax.softmax_cross_entropy_with_integer_labels


# ---- training --------------------------------------------------------------------------------------------


class MLP(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.LayerNorm()(nn.relu(nn.Dense(32)(x)))
        return nn.Dense(4)(x)


@case
def train_mlp():
    x = jax.random.normal(jax.random.key(1), (16, 8))
    labels = jax.random.randint(jax.random.key(2), (16,), 0, 4)
    model = MLP()
    params = model.init(KEY, x)["params"]
    state = train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-2))

    @jax.jit
    def step(state):
        loss, grads = jax.value_and_grad(lambda p: cross_entropy(state.apply_fn({"params": p}, x), labels).mean())(
            state.params
        )
        return state.apply_gradients(grads=grads), loss

    losses = []
    for _ in range(10):
        state, loss = step(state)
        losses.append(loss)
    return [params, losses, state.params]


class CNN(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.BatchNorm(use_running_average=not train)(nn.Conv(8, (3, 3))(x))
        x = nn.max_pool(nn.relu(x), (2, 2), strides=(2, 2))
        x = nn.avg_pool(nn.gelu(nn.Conv(16, (3, 3), strides=(2, 2), padding="VALID")(x)), (2, 2))
        x = nn.Dropout(0.25, deterministic=not train)(x.reshape((x.shape[0], -1)))
        return nn.Dense(5)(x)


class StateWithStatistics(train_state.TrainState):
    batch_stats: dict


@case
def train_cnn():
    model, images = CNN(), jax.random.normal(jax.random.key(3), (8, 16, 16, 3))
    labels = jax.random.randint(jax.random.key(4), (8,), 0, 5)
    variables = model.init({"params": jax.random.key(5), "dropout": jax.random.key(6)}, images, True)
    state = StateWithStatistics.create(apply_fn=model.apply, tx=optax.sgd(0.1, momentum=0.9), **variables)

    @jax.jit
    def step(state, key):
        def loss(params):
            variables = {"params": params, "batch_stats": state.batch_stats}
            logits, updates = state.apply_fn(variables, images, True, mutable=["batch_stats"], rngs={"dropout": key})
            return cross_entropy(logits, labels).mean(), updates

        (value, updates), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
        return state.apply_gradients(grads=grads).replace(**updates), value

    losses = []
    for i in range(5):
        state, value = step(state, jax.random.fold_in(jax.random.key(7), i))
        losses.append(value)
    read = serialization.from_bytes(state, serialization.to_bytes(state))
    answers = model.apply({"params": read.params, "batch_stats": read.batch_stats}, images, False)
    return [variables, losses, state.batch_stats, answers]


# ---- layers ----------------------------------------------------------------------------------------------


def applied(module, *args, rngs=None, **kwargs):
    """(variables, result)"""
    variables = module.init(rngs or KEY, *args, **kwargs)
    return variables, module.apply(variables, *args, rngs=rngs, **kwargs)


init = nn.initializers
LAYERS = {
    "bfloat16": nn.Dense(4, dtype=jnp.bfloat16),
    "causal": nn.Conv(4, (3,), padding="CAUSAL"),
    "circular": nn.Conv(4, (3,), padding="CIRCULAR"),
    "conv_local": nn.ConvLocal(4, (3,)),
    "conv_transpose": nn.ConvTranspose(4, (3,), strides=(2,)),
    "dense_general": nn.DenseGeneral((2, 3), axis=(-2, -1)),
    "dilated": nn.Conv(4, (3,), kernel_dilation=2, feature_group_count=2),
    "einsum": nn.Einsum((8, 2, 3), "abc,cde->abde"),
    "group_norm": nn.GroupNorm(num_groups=2),
    "gru": nn.RNN(nn.GRUCell(5)),
    "instance_norm": nn.InstanceNorm(),
    "lstm": nn.RNN(nn.LSTMCell(5)),
    "optimized_lstm": nn.RNN(nn.OptimizedLSTMCell(5), return_carry=True),
    "orthogonal": nn.Dense(4, kernel_init=init.orthogonal(), bias_init=init.truncated_normal()),
    "prelu": nn.PReLU(),
    "rms_norm": nn.RMSNorm(),
    "scaled": nn.Dense(4, kernel_init=init.variance_scaling(2.0, "fan_out", "uniform")),
    "sequential": nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(3)]),
    "simple": nn.Bidirectional(nn.RNN(nn.SimpleCell(5)), nn.RNN(nn.MGUCell(5))),
    "weight_norm": nn.WeightNorm(nn.Dense(4)),
}
cases("layer", **{name: lambda m=module: applied(m, X) for name, module in LAYERS.items()})
attention = lambda **options: nn.MultiHeadDotProductAttention(num_heads=2, **options)
cases(
    "layer",
    attention=lambda: applied(attention(), X, X, mask=nn.make_causal_mask(jnp.ones((3, 6)))),
    attention_dropout=lambda: applied(
        attention(dropout_rate=0.5, deterministic=False), X, X, rngs={"params": KEY, "dropout": jax.random.key(9)}
    ),
    conv_lstm=lambda: applied(nn.RNN(nn.ConvLSTMCell(4, (3, 3))), jax.random.normal(KEY, (2, 3, 6, 6, 2))),
    embed=lambda: applied(nn.Embed(10, 4), jnp.arange(6)),
    reverse=lambda: applied(nn.RNN(nn.GRUCell(5), reverse=True, keep_order=True), X, seq_lengths=jnp.array([2, 4, 6])),
    partitioned=lambda: applied(nn.Dense(4, kernel_init=nn.with_partitioning(init.ones_init(), ("a", "b"))), X),
)


@case
def decoding():
    model = attention(decode=True)
    variables = model.init(KEY, X, X)
    return model.apply(variables, X[:, :1], X[:, :1], mutable=["cache"])


# ---- transforms of modules -------------------------------------------------------------------------------


class Block(nn.Module):
    @nn.compact
    def __call__(self, x, _):
        return nn.tanh(nn.Dense(8)(x)), x.sum()


class Deep(nn.Module):
    remat: bool = False

    @nn.compact
    def __call__(self, x):
        block = nn.remat(Block) if self.remat else Block
        return nn.scan(block, variable_axes={"params": 0}, split_rngs={"params": True}, length=4)()(x, None)


class Branches(nn.Module):
    @nn.compact
    def __call__(self, x, first):
        a, b = nn.Dense(8), nn.Dense(8)
        if self.is_initializing():
            return a(x) + b(x)
        x = nn.cond(first, lambda m, x: a(x), lambda m, x: b(x), self, x)
        return nn.while_loop(lambda m, c: c[0] < 3, lambda m, c: (c[0] + 1, jnp.tanh(a(c[1]))), self, (0, x))[1]


class Pullback(nn.Module):
    @nn.compact
    def __call__(self, x):
        dense = nn.jit(nn.Dense)(4)
        if self.is_initializing():
            dense(x)
        y, back = nn.vjp(lambda m, x: m(x).sum(), dense, x)
        return y, back(jnp.ones(()))


class Watched(nn.Module):
    @nn.compact
    def __call__(self, x):
        hidden = nn.Dense(4)(x)
        self.sow("intermediates", "hidden", hidden)
        self.variable("counter", "calls", lambda: jnp.zeros((), jnp.int32)).value += 1
        return self.perturb("change", hidden)


def mapped(axis):
    return nn.vmap(nn.Dense, variable_axes={"params": axis}, split_rngs={"params": axis is not None}, in_axes=0)(4)


cases(
    "transform",
    scan=lambda: applied(Deep(), X),
    scan_under_jit=lambda: jax.jit(Deep(True).init)(KEY, X),
    gradient=lambda: jax.jit(jax.grad(lambda v: (Deep(True).apply(v, X)[0] ** 2).sum()))(Deep(True).init(KEY, X)),
    vmap=lambda: [applied(mapped(0), X), applied(mapped(None), X)],
    branches=lambda: [applied(Branches(), X, True), applied(Branches(), X, False)],
    pullback=lambda: applied(Pullback(), X),
    watched=lambda: Watched().apply(Watched().init(KEY, X), X, mutable=["intermediates", "counter"]),
    shapes=lambda: str(jax.eval_shape(Deep().init, KEY, X)["params"]["ScanBlock_0"]["Dense_0"]["kernel"].shape),
    lazy=lambda: nn.RNN(nn.LSTMCell(5)).lazy_init(KEY, jax.ShapeDtypeStruct((3, 6, 8), jnp.float32)),
    lazy_error=lambda: raised(
        nn.Dense(4, kernel_init=lambda key, shape, dtype: X[0, 0, 0] * jnp.ones(shape)).lazy_init, KEY, 1
    ),
)

# ---- the rest --------------------------------------------------------------------------------------------


@struct.dataclass
class Scaled:
    x: jax.Array
    by: int = struct.field(pytree_node=False)


cases(
    "other",
    struct=lambda: jax.jit(lambda s: s.replace(x=s.x * s.by))(Scaled(X, 3)),
    tabulate=lambda: nn.tabulate(MLP(), KEY, compute_flops=True, compute_vjp_flops=False)(X).count("Dense"),
    flat=lambda: list(traverse_util.flatten_dict(MLP().init(KEY, X), sep="/")),
    missing=lambda: raised(nn.Dense(4).apply, {}, X),
    wrong_shape=lambda: raised(nn.Dense(4).apply, {"params": {"kernel": jnp.ones((3, 3))}}, X),
    no_rng=lambda: raised(nn.Dropout(0.5, deterministic=False).apply, {}, X),
)

if __name__ == "__main__":
    main()
