"""optax: a step or three of every optimiser, its schedules, losses and projections."""

import inspect

import jax
import jax.numpy as jnp
import optax
from report import case, cases, main

PARAMS = {"w": jnp.linspace(-1.0, 1.0, 12).reshape(3, 4), "b": jnp.linspace(0.2, 0.9, 4), "s": jnp.float32(0.5)}
KEY = jax.random.key(0)


def loss(p):
    hidden = jnp.tanh(p["w"] @ jnp.linspace(-0.5, 0.7, 4) + p["b"][:3])
    return jnp.sum((hidden - 1.5) ** 2) + (p["s"] - 2) ** 2 + jnp.sum(jnp.cosh(p["b"] + p["w"][0]))


def steps(optimiser):
    """The parameters after three steps of a jitted function."""
    extra = isinstance(optimiser, optax.GradientTransformationExtraArgs)

    @jax.jit
    def step(params, state):
        value, grad = jax.value_and_grad(loss)(params)
        given = {"value": value, "grad": grad, "value_fn": loss} if extra else {}
        updates, state = optimiser.update(grad, state, params, **given)
        return optax.apply_updates(params, updates), state

    params, state = PARAMS, optimiser.init(PARAMS)
    for _ in range(3):
        params, state = step(params, state)
    return params


NAMES = """adabelief adadelta adafactor adagrad adam adamax adamaxw adamw adan amsgrad fromage lamb lars lion nadam nadamw novograd
    optimistic_adam_v2 optimistic_gradient_descent radam rmsprop rprop sgd sign_sgd yogi""".split()
cases("optimiser", **{n: lambda n=n: steps(getattr(optax, n)(1e-2)) for n in NAMES})
WITH_RATE = "acprop ademamix muon schedule_free_adamw simplified_ademamix".split()
cases("contrib", **{n: lambda n=n: steps(getattr(optax.contrib, n)(1e-2)) for n in WITH_RATE})
WITHOUT = "cocob dadapt_adamw dog dowg momo momo_adam prodigy".split()
cases("contrib", **{n: lambda n=n: steps(getattr(optax.contrib, n)()) for n in WITHOUT})


def hessian_steps():
    """Sophia asks for the function itself."""
    optimiser = optax.contrib.sophia(1e-2)
    state = optimiser.init(PARAMS)
    return optimiser.update(jax.grad(loss)(PARAMS), state, PARAMS, obj_fn=loss)[0]


case(hessian_steps, "contrib.sophia")
chain = lambda *parts: steps(optax.chain(*parts, optax.sgd(0.1)))
cases(
    "parts",
    backtracking=lambda: steps(optax.chain(optax.sgd(0.5), optax.scale_by_backtracking_linesearch(10))),
    zoom=lambda: steps(optax.chain(optax.sgd(0.5), optax.scale_by_zoom_linesearch(10))),
    lbfgs=lambda: steps(optax.lbfgs()),
    polyak=lambda: steps(optax.polyak_sgd()),
    momentum=lambda: steps(optax.sgd(0.05, 0.9, nesterov=True)),
    clip=lambda: chain(optax.clip_by_global_norm(1.0), optax.clip(0.4), optax.add_decayed_weights(1e-2)),
    block=lambda: chain(optax.clip_by_block_rms(0.3), optax.centralize()),
    adaptive=lambda: chain(optax.adaptive_grad_clip(0.1)),
    trust=lambda: chain(optax.scale_by_trust_ratio()),
    noise=lambda: chain(optax.add_noise(0.1, 0.55, 3)),
    factored=lambda: chain(optax.scale_by_factored_rms(min_dim_size_to_factor=2)),
    ema=lambda: chain(optax.ema(0.9)),
    multi_steps=lambda: steps(optax.MultiSteps(optax.adam(1e-2), 2)),
    masked=lambda: steps(optax.masked(optax.adam(1e-2), {"w": True, "b": False, "s": True})),
    flatten=lambda: steps(optax.flatten(optax.adam(1e-2))),
    partition=lambda: steps(
        optax.partition({"a": optax.adam(1e-2), "b": optax.sgd(0.1)}, {"w": "a", "b": "b", "s": "a"})
    ),
    finite=lambda: steps(optax.apply_if_finite(optax.adam(1e-2), 3)),
    injected=lambda: steps(optax.inject_hyperparams(optax.adam)(learning_rate=optax.linear_schedule(1e-2, 1e-3, 5))),
    centered=lambda: steps(optax.rmsprop(1e-2, centered=True, momentum=0.9)),
    count=lambda: optax.tree_utils.tree_get(optax.adam(1e-3).init(PARAMS), "count"),
)

SCHEDULES = {
    "constant": optax.constant_schedule(0.1),
    "cosine": optax.cosine_decay_schedule(1.0, 8, 0.1),
    "cosine_onecycle": optax.cosine_onecycle_schedule(10, 1.0),
    "exponential": optax.exponential_decay(1.0, 3, 0.5, staircase=True),
    "joined": optax.join_schedules([optax.constant_schedule(1.0), optax.linear_schedule(1.0, 0.0, 4)], [4]),
    "linear": optax.linear_schedule(1.0, 0.1, 8, 2),
    "piecewise": optax.piecewise_constant_schedule(1.0, {3: 0.5, 6: 0.1}),
    "piecewise_cosine": optax.piecewise_interpolate_schedule("cosine", 1.0, {3: 0.5, 6: 0.1}),
    "polynomial": optax.polynomial_schedule(1.0, 0.1, 2, 8),
    "warmup_cosine": optax.warmup_cosine_decay_schedule(0.0, 1.0, 3, 10),
    "warmup_exponential": optax.warmup_exponential_decay_schedule(0.0, 1.0, 3, 4, 0.5),
}
cases("schedule", **{n: lambda s=s: [jax.vmap(s)(jnp.arange(12)), jax.jit(s)(5)] for n, s in SCHEDULES.items()})

LOGITS = jax.random.normal(KEY, (5, 6))
LABELS = jnp.array([0, 2, 5, 1, 3])
ONE_HOT, BITS = jax.nn.one_hot(LABELS, 6), (LOGITS > 0).astype(jnp.float32)
LOG = jax.nn.log_softmax(LOGITS)
CTC = jnp.zeros((2, 7)), jnp.array([[1, 2, 3], [2, 2, 0]]), jnp.array([[0.0, 0, 0], [0, 0, 1]])
LOSSES = {
    "softmax_cross_entropy": lambda x: optax.softmax_cross_entropy(x, ONE_HOT),
    "integer_labels": lambda x: optax.softmax_cross_entropy_with_integer_labels(x, LABELS),
    "sigmoid": lambda x: optax.sigmoid_binary_cross_entropy(x, BITS),
    "l2": lambda x: optax.l2_loss(x, ONE_HOT),
    "huber": lambda x: optax.huber_loss(x, ONE_HOT),
    "log_cosh": lambda x: optax.log_cosh(x, ONE_HOT),
    "cosine": lambda x: optax.cosine_distance(x, ONE_HOT),
    "hinge": lambda x: optax.hinge_loss(x, 2 * BITS - 1),
    "kl": lambda x: optax.kl_divergence(jax.nn.log_softmax(x), ONE_HOT),
    "kl_log": lambda x: optax.losses.kl_divergence_with_log_targets(jax.nn.log_softmax(x), LOG[::-1]),
    "focal": lambda x: optax.sigmoid_focal_loss(x, BITS),
    "multiclass_hinge": lambda x: optax.losses.multiclass_hinge_loss(x, LABELS),
    "multiclass_sparsemax": lambda x: optax.losses.multiclass_sparsemax_loss(x, LABELS),
    "triplet": lambda x: optax.losses.triplet_margin_loss(x, LOGITS[::-1], LOGITS + 1),
    "ntxent": lambda x: optax.losses.ntxent(x, jnp.array([0, 1, 0, 1, 2])),
    "ranking": lambda x: optax.losses.ranking_softmax_loss(x, BITS),
}
both = lambda f, x=LOGITS: jax.jit(lambda x: [f(x), jax.grad(lambda x: jnp.sum(f(x)))(x)])(x)
cases("loss", **{n: lambda f=f: both(f) for n, f in LOSSES.items()})
case(lambda: both(lambda x: optax.ctc_loss(x, *CTC), jax.random.normal(KEY, (2, 7, 5))), "loss.ctc")

X = jnp.array([0.5, -1.0, 3.0, 0.2])
BALLS = "simplex l1_ball l1_sphere l2_ball l2_sphere linf_ball non_negative".split()
cases("projection", **{n: lambda n=n: getattr(optax.projections, f"projection_{n}")(X) for n in BALLS})
cases(
    "other",
    hungarian=lambda: optax.assignment.hungarian_algorithm(jnp.abs(LOGITS[:4, :4])),
    trees=lambda: [optax.global_norm(PARAMS), optax.tree.vdot(PARAMS, PARAMS), optax.tree.random_like(KEY, PARAMS)],
    incremental=lambda: optax.incremental_update(PARAMS, optax.tree.zeros_like(PARAMS), 0.1),
    smooth_labels=lambda: optax.smooth_labels(ONE_HOT, 0.1),
    signature=lambda: str(inspect.signature(optax.adam)).split(",")[0],
)

if __name__ == "__main__":
    main()
