"""Optimisers against torch.optim and optax: 20 steps each, both faces, eager and jit; options, groups, state_dicts, errors."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

import pequegrad as pg
import pequegrad.jax_api as pj
from pequegrad import optim
from pequegrad.compiler import program

SHAPES = [(4, 3), (3,), (), (2, 3, 4)]
STEPS = 20

TORCH = {
    "SGD": [
        {}, {"lr": 0.1}, {"momentum": 0.9}, {"momentum": 0.5, "dampening": 0.3}, {"momentum": 0.9, "nesterov": True}, {"maximize": True},
        {"weight_decay": 0.1, "momentum": 0.8},
    ],
    "Adam": [
        {}, {"lr": 0.01, "betas": (0.5, 0.9)}, {"eps": 0.1}, {"weight_decay": 0.1}, {"amsgrad": True}, {"maximize": True, "weight_decay": 0.1},
    ],
    "AdamW": [{}, {"lr": 0.1, "weight_decay": 0.3}, {"amsgrad": True, "betas": (0.8, 0.9)}, {"eps": 0.1, "maximize": True}],
    "RMSprop": [
        {}, {"lr": 0.1, "alpha": 0.8}, {"eps": 0.1, "weight_decay": 0.1}, {"momentum": 0.9}, {"centered": True, "eps": 1e-3},
        {"centered": True, "momentum": 0.5, "eps": 1e-2, "maximize": True},
    ],
    "Adagrad": [
        {}, {"lr": 0.1, "lr_decay": 0.1}, {"weight_decay": 0.1, "eps": 0.1}, {"initial_accumulator_value": 0.5, "maximize": True},
    ],
    "Adafactor": [
        {}, {"lr": 0.5, "beta2_decay": -0.5}, {"eps": (1e-2, 0.1)}, {"d": 2.0, "weight_decay": 0.1}, {"maximize": True, "eps": (None, 0.5)},
    ],
}  # fmt: skip
OPTAX = {
    "Lion": [
        ({}, lambda: optax.lion(1e-4, weight_decay=0.0)),
        ({"lr": 0.1, "betas": (0.5, 0.8), "weight_decay": 0.2}, lambda: optax.lion(0.1, 0.5, 0.8, weight_decay=0.2)),
    ],
    "LAMB": [
        ({}, lambda: optax.lamb(1e-3)),
        ({"lr": 0.1, "betas": (0.5, 0.8), "eps": 0.1, "weight_decay": 0.2}, lambda: optax.lamb(0.1, 0.5, 0.8, 0.1, weight_decay=0.2)),
    ],
    "Adafactor": [  # optax factors the two longest axes, which are to be at least so long; rates below 1 / sqrt(t) are as given
        ({"lr": 0.01}, lambda: optax.adafactor(0.01, min_dim_size_to_factor=1, eps=0.0)),
        ({"lr": 0.1, "beta2_decay": -0.5}, lambda: optax.adafactor(0.1, min_dim_size_to_factor=1, decay_rate=0.5, eps=0.0)),
    ],
}  # fmt: skip
EXAMPLES = [(name, i) for name, cases in TORCH.items() for i in range(len(cases))]
ALL = {**{name: cases[-1] for name, cases in TORCH.items()}, **{n: OPTAX[n][-1][0] for n in ("Lion", "LAMB")}}


def numbers(rng, dtype=np.float32):
    """(parameters, gradients of all steps)"""
    params = [rng.normal(size=s).astype(dtype) for s in SHAPES]
    return params, [[rng.normal(size=s).astype(dtype) for s in SHAPES] for _ in range(STEPS)]


def make(arrays, device):
    return [pg.Tensor(a, device=device) for a in arrays]


def trained(optimizer, gradients, device, jitted=False):
    """The parameters after steps with these gradients."""
    step = pg.jit(optimizer.step) if jitted else optimizer.step
    for g in gradients:
        step(make(g, device))
    if jitted:
        assert step.cache_info()["traces"] == 1
    return [p.numpy() for p in optimizer.parameters]


def functions(name):
    return getattr(optim, name.lower()), getattr(optim, f"{name.lower()}_init")


def split_options(name, options):
    """(those of init, those of step)"""
    rule = getattr(optim, name).rule
    return {k: v for k, v in options.items() if k in rule.slot_options}, options


def bits(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


def same_bits(name, a, b):
    """Generated kernels (test-full) add up the rows of a norm in another order than eager operations do."""
    (close if program.fusing and name in ("LAMB", "Adafactor") else bits)(a, b)


def close(a, b, **tolerance):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, **(tolerance or {"rtol": 2e-5, "atol": 2e-6}))


# ---- update rules --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, i", EXAMPLES)
def test_rules_are_torch_s(name, i, device, rng):
    options = TORCH[name][i]
    params, gradients = numbers(rng)
    theirs = [torch.tensor(p, requires_grad=True) for p in params]
    reference = getattr(torch.optim, name)(theirs, **options)
    for gs in gradients:
        for p, g in zip(theirs, gs):
            p.grad = torch.tensor(g)
        reference.step()
    for jitted in (False, True):
        ours = trained(getattr(optim, name)(make(params, device), **options), gradients, device, jitted)
        close(ours, [p.detach().numpy() for p in theirs])


@pytest.mark.parametrize("name, i", [(name, i) for name, cases in OPTAX.items() for i in range(len(cases))])
def test_rules_are_optax_s(name, i, device, rng):
    options, transform = OPTAX[name][i]
    params, gradients = numbers(rng)
    if name == "Adafactor":  # its axes are sorted by length there
        params, gradients = [p for p in params if p.ndim < 3], [[g for g in gs if g.ndim < 3] for gs in gradients]
    theirs, transform = [jnp.asarray(p) for p in params], transform()
    state, update = transform.init(theirs), jax.jit(transform.update)
    for gs in gradients:
        steps, state = update([jnp.asarray(g) for g in gs], state, theirs)
        theirs = optax.apply_updates(theirs, steps)
    for jitted in (False, True):
        ours = trained(getattr(optim, name)(make(params, device), **options), gradients, device, jitted)
        close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TORCH)
def test_float64_has_all_its_digits(name, device, rng):
    options = TORCH[name][-1] if name != "Adafactor" else {"eps": (1e-16, 0.1)}
    params, gradients = numbers(rng, np.float64)
    theirs = [torch.tensor(p, requires_grad=True) for p in params]
    reference = getattr(torch.optim, name)(theirs, **options)
    for gs in gradients:
        for p, g in zip(theirs, gs):
            p.grad = torch.tensor(g)
        reference.step()
    ours = trained(getattr(optim, name)(make(params, device), **options), gradients, device)
    close(ours, [p.detach().numpy() for p in theirs], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("face", ["Tensor", "Array"])
@pytest.mark.parametrize("name", ALL)
def test_functions_do_what_objects_do_bit_for_bit(name, face, device, rng):
    step, init = functions(name)
    first, options = split_options(name, {"lr": 0.05, **ALL[name]})
    params, gradients = numbers(rng)
    expected = trained(getattr(optim, name)(make(params, device), **options), gradients, device)
    as_tree = lambda arrays: {"w": [convert(a) for a in arrays[:2]], "rest": tuple(convert(a) for a in arrays[2:])}
    convert = (lambda a: pg.Tensor(a, device=device)) if face == "Tensor" else pj.numpy.asarray
    lr = options.pop("lr")
    for way, jit in ((lambda f: f, "eager"), (pg.jit if face == "Tensor" else pj.jit, "jit")):
        run = way(lambda p, g, s: step(p, g, s, **options))
        tree = as_tree(params)
        state = init(tree, lr=lr, **first)
        for g in gradients:
            state, tree = run(tree, as_tree(g), state)
        assert state["step"].item() == STEPS and isinstance(state["step"], pj.Array) == (face == "Array"), jit
        assert all(isinstance(x, pj.Array) == (face == "Array") for x in pj.tree.leaves((tree, state)))
        same_bits(
            name, [x.numpy() if face == "Tensor" else np.asarray(x) for x in (*tree["w"], *tree["rest"])], expected
        )


def test_functions_in_a_jitted_training_step_of_a_dict(device):
    """sgd as the AlexNet example writes it."""
    params = {"w": pg.Tensor([[1.0, 2.0]], device=device), "b": pg.Tensor([0.5], device=device)}
    state = optim.sgd_init(params, lr=0.1)

    @pg.jit.withargs(allocator="custom")
    def update_step(state, params, x, y):
        def loss_fn(x, y, params):
            return ((params["w"] @ x + params["b"] - y) ** 2).mean()

        loss, (grads,) = pg.fngrad(loss_fn, wrt=[2], return_outs=True)(x, y, params)
        state, params = optim.sgd(params, grads, state)
        return state, params, loss

    x, y = pg.Tensor([1.0, -1.0], device=device), pg.Tensor([3.0], device=device)
    losses = []
    for _ in range(30):
        state, params, loss = update_step(state, params, x, y)
        losses.append(loss.item())
    assert losses[-1] < 1e-3 * losses[0] and update_step.cache_info()["traces"] == 1
    state["lr"] = pg.Tensor(np.array(0.0), device=device)
    before = params["w"].numpy()
    state, params, _ = update_step(state, params, x, y)
    np.testing.assert_array_equal(params["w"].numpy(), before)


def test_functions_under_scan_grad_and_vmap(device, rng):
    g = rng.normal(size=3).astype("f4")
    init = {"w": pg.Tensor(rng.normal(size=3).astype("f4"), device=device)}

    def after(lr, n=3):
        def body(carry, _):
            state, params = optim.adam(carry[1], {"w": pg.Tensor(g, device=device)}, carry[0], lr=lr)
            return (state, params), None

        (_, params), _ = pg.scan(body, (optim.adam_init(init), init), None, n)
        return params["w"].sum()

    lr, h = pg.Tensor(np.array(0.1), device=device), 1e-4
    slope = pg.grad(after)(lr).item()  # through the steps, with respect to the learning rate
    difference = (after(pg.Tensor(np.array(0.1 + h))).item() - after(pg.Tensor(np.array(0.1 - h))).item()) / (2 * h)
    assert slope == pytest.approx(difference, rel=1e-2)
    rates = pg.Tensor(np.array([0.1, 0.2]), device=device)
    both = pg.vmap(after)(rates).numpy()
    close(both, [after(pg.Tensor(np.array(r))).numpy() for r in (0.1, 0.2)])


def test_an_eager_functional_loop_keeps_no_history(device):
    params = {"w": pg.Tensor(np.ones(1000, "f4"), device=device)}
    state = optim.adam_init(params)
    for i in range(30):
        grads = {"w": (params["w"] * 2.0).detach()}
        state, params = optim.adam(params, grads, state)
        if i == 10:
            before = pg.memory_stats(device)["in_use"]
    assert pg.memory_stats(device)["in_use"] <= before
    pg.grads([params["w"]], (params["w"] * 2.0).sum())  # still tracked


def test_an_optimiser_inside_a_traced_function_begins_anew_at_each_call(device):
    @pg.jit
    def fit(x):
        w = pg.zeros((2,), device=x.device)
        adam = optim.Adam([w], lr=0.1)
        for _ in range(3):
            adam.step([w - x])
        return w

    x = pg.Tensor([1.0, 2.0], device=device)
    first = fit(x).numpy()
    np.testing.assert_array_equal(fit(x).numpy(), first)
    np.testing.assert_allclose(first, 0.3, atol=0.02)
    sgd = optim.SGD([x], lr=0.5)

    @pg.jit
    def half(g):
        sgd.lr = sgd.lr / 2
        sgd.step([g])

    half(pg.Tensor([1.0, 1.0], device=device))
    half(pg.Tensor([1.0, 1.0], device=device))
    assert sgd.lr.item() == 0.125 and x.numpy().tolist() == [0.625, 1.625]
    with pytest.raises(pg.ArgumentError, match="while f is traced"):

        @pg.jit
        def f(g):
            sgd.momentum = 0.9

        f(x)


# ---- dtypes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jit"])
def test_16_bit_parameters_are_trained_in_float32(name, jitted, device, rng):
    params, gradients = numbers(rng)
    low = [pg.Tensor(p, dtype=name, device=device) for p in params]
    exact = make([p.numpy().astype(np.float32) for p in low], device)
    gradients = [[pg.Tensor(x, dtype=name).numpy().astype(np.float32) for x in gs] for gs in gradients]
    expected = trained(optim.AdamW(exact, lr=1e-4), gradients, device, jitted)  # steps that bfloat16 alone would lose
    adam = optim.AdamW(low, lr=1e-4)
    found = trained(adam, gradients, device, jitted)
    for p, x, slots, before in zip(low, expected, adam.state, params):
        assert p.dtype.name == name and {v.dtype.name for v in slots.values()} == {"float32"}
        close([slots["master"].numpy()], [x], rtol=1e-6, atol=1e-7)
        assert not np.array_equal(slots["master"].numpy(), before)
    bits(found, [pg.Tensor(s["master"]).astype(name).numpy() for s in adam.state])


def test_a_16_bit_parameter_that_was_given_another_value_keeps_it(device):
    w = pg.Tensor(np.ones(3), dtype="bfloat16", device=device)
    sgd = optim.SGD([w], lr=1e-3)
    for _ in range(4):
        sgd.step([pg.Tensor(np.ones(3, "f4"), device=device)])
    assert sgd.state[0]["master"].numpy()[0] == pytest.approx(0.996)
    w[1] = 5.0
    sgd.step([pg.Tensor(np.ones(3, "f4"), device=device)])
    np.testing.assert_allclose(sgd.state[0]["master"].numpy(), [0.995, 4.999, 0.995], rtol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_maximize_is_a_step_along_the_gradient(name, device, rng):
    params, gradients = numbers(rng)
    down = [[-g for g in gs] for gs in gradients[:3]]
    options = {**ALL[name], "maximize": False}
    expected = trained(getattr(optim, name)(make(params, device), **options), down, device)
    found = trained(getattr(optim, name)(make(params, device), **{**options, "maximize": True}), gradients[:3], device)
    bits(found, expected)


# ---- learning rates and options --------------------------------------------------------------------------


def test_a_schedule_is_followed_in_compiled_steps(device, rng):
    params, gradients = numbers(rng)
    schedule = optim.schedules.warmup_cosine(0.1, 4, 15)
    theirs = [torch.tensor(p, requires_grad=True) for p in params]
    reference = torch.optim.SGD(theirs, 1.0)
    for i, gs in enumerate(gradients):
        reference.param_groups[0]["lr"] = float(schedule(i))
        for p, g in zip(theirs, gs):
            p.grad = torch.tensor(g)
        reference.step()
    for jitted in (False, True):
        sgd = optim.SGD(make(params, device), schedule)
        close(trained(sgd, gradients, device, jitted), [p.detach().numpy() for p in theirs])
        assert sgd.lr.item() == float(schedule(STEPS)) and "schedule" in repr(sgd)
    tree = make(params, device)
    state = optim.sgd_init(tree)
    for gs in gradients:
        state, tree = optim.sgd(tree, make(gs, device), state, lr=schedule)
    bits([p.numpy() for p in tree], trained(optim.SGD(make(params, device), schedule), gradients, device))


def test_learning_rates_and_options_may_change(device):
    w = pg.Tensor([0.0], device=device)
    sgd = optim.SGD([w], lr=1.0)
    step = pg.jit(sgd.step)
    g = [pg.Tensor([1.0], device=device)]
    seen = []
    for change in (None, 0.5, np.float32(0.25), pg.Tensor(0.125), 2, optim.schedules.constant(4.0), 1.0):
        if change is not None:
            sgd.lr = change
        step(g)
        seen.append(-w.item())
        w[0] = 0.0
    assert seen == [1, 0.5, 0.25, 0.125, 2, 4, 1] and step.traces == 3  # numbers, a schedule, a number again
    sgd.momentum = 0.5
    step(g)
    assert w.item() == -1 and sgd.state[0]["velocity"].item() == 1
    step(g)
    assert w.item() == -2.5 and sgd.momentum == 0.5
    sgd.maximize = True
    step(g)
    assert sgd.state[0]["velocity"].item() == -0.25
    outside = pg.Tensor(0.5)
    sgd.lr = outside
    sgd.lr = 0.1
    assert outside.item() == 0.5  # the optimiser has a tensor of its own


def test_groups(device, rng):
    params, gradients = numbers(rng)
    groups = lambda p, lr: [
        {"params": p[:1]}, {"params": p[1:2], "lr": 0.1}, {"params": p[2:], "weight_decay": 0.3, "betas": (0.5, 0.9), lr: 0.02},
    ]  # fmt: skip
    theirs = [torch.tensor(p, requires_grad=True) for p in params]
    reference = torch.optim.AdamW(groups(theirs, "lr"), lr=0.05)
    for gs in gradients:
        for p, g in zip(theirs, gs):
            p.grad = torch.tensor(g)
        reference.step()
    for jitted in (False, True):
        adam = optim.AdamW(groups(make(params, device), "lr"), lr=0.05)
        close(trained(adam, gradients, device, jitted), [p.detach().numpy() for p in theirs])
    adam.lr = 0.0
    assert [group.lr.item() for group in adam.groups] == [0, 0.1, 0.02]
    adam.groups[1].lr = optim.schedules.step_decay(1.0, 10, 0.5)
    assert (
        adam.groups[1].lr.item() == 0.25 and adam.groups[2].betas == (0.5, 0.9) and adam.groups[0].weight_decay == 0.01
    )


def test_frozen_groups_and_missing_gradients(device, rng):
    params, gradients = numbers(rng)
    adam = optim.Adam(
        [{"params": make(params[:2], device), "frozen": True}, {"params": make(params[2:], device)}], lr=0.1
    )
    step = pg.jit(adam.step)
    for gs in gradients[:3]:
        step(make(gs, device))
    bits([p.numpy() for p in adam.parameters[:2]], params[:2])
    adam.groups[0].frozen = False
    for gs in gradients[3:6]:
        step(make(gs, device))
    assert step.traces == 2 and adam.steps.item() == 6 and adam.groups[0].steps.item() == 3
    alone = optim.Adam(make(params[:2], device), lr=0.1)  # as if the first steps had not been
    close([p.numpy() for p in adam.parameters[:2]], trained(alone, [gs[:2] for gs in gradients[3:6]], device))
    before = [p.numpy() for p in adam.parameters]
    adam.step([None, *make(gradients[0][1:], device)])
    changed = [not np.array_equal(a, p.numpy()) for a, p in zip(before, adam.parameters)]
    assert changed == [False, True, True, True]
    tree = {"a": pg.Tensor([1.0]), "b": pg.Tensor([1.0])}
    _, new = optim.adam(tree, {"a": None, "b": pg.Tensor([1.0])}, optim.adam_init(tree))
    assert new["a"].item() == 1 and new["b"].item() != 1


# ---- clipping --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [0.5, 100.0])
def test_clipping_is_torch_s(bound, device, rng):
    _, (arrays, *_) = numbers(rng)
    theirs = [torch.zeros(a.shape, requires_grad=True) for a in arrays]
    for kind in ("norm", "value"):
        for p, a in zip(theirs, arrays):
            p.grad = torch.tensor(a)
        norm = getattr(torch.nn.utils, f"clip_grad_{kind}_")(theirs, bound)
        clip = {"norm": optim.clip_by_global_norm, "value": optim.clip_by_value}[kind]
        for f in (clip, pg.jit(lambda g: clip(g, bound))):
            found = (f(make(arrays, device), bound) if f is clip else f(make(arrays, device)))  # fmt: skip
            close([x.numpy() for x in found], [p.grad.numpy() for p in theirs])
        if kind == "norm":
            assert optim.global_norm(make(arrays, device)).item() == pytest.approx(norm.item())
        w = make([np.zeros_like(a) for a in arrays], device)
        optim.SGD(w, lr=1.0, **{f"clip_{kind}": bound}).step(make(arrays, device))
        close([-p.numpy() for p in w], [p.grad.numpy() for p in theirs])


def test_clipping_of_trees_of_16_bits_and_nones(device):
    tree = {"a": pg.Tensor(np.full(4, 300.0), dtype="float16", device=device), "b": None}
    assert optim.global_norm(tree).item() == 600  # the squares would be infinite
    clipped = optim.clip_by_global_norm(tree, pg.Tensor(1.0, device=device))
    assert clipped["b"] is None and clipped["a"].dtype == np.float16
    np.testing.assert_allclose(clipped["a"].numpy(), 0.5, rtol=1e-3)
    assert optim.clip_by_value(tree, 2.0)["a"].numpy().tolist() == [2.0] * 4
    assert isinstance(optim.clip_by_value(pj.numpy.ones(2), 0.5), pj.Array)
    assert optim.clip_by_global_norm([None], 1.0) == [None]


# ---- schedules -------------------------------------------------------------------------------------------

_s, _t = optim.schedules, torch.optim.lr_scheduler
SCHEDULES = {
    "constant": (_s.constant(0.3), lambda o: _t.ConstantLR(o, 1.0)),
    "linear": (_s.linear(0.03, 0.24, 7), lambda o: _t.LinearLR(o, 0.1, 0.8, 7)),
    "linear down": (_s.linear(0.3, 0.06, 3), lambda o: _t.LinearLR(o, 1.0, 0.2, 3)),
    "polynomial": (_s.polynomial(0.3, 11, 2.0), lambda o: _t.PolynomialLR(o, 11, 2.0)),
    "polynomial 1": (_s.polynomial(0.3, 5), lambda o: _t.PolynomialLR(o, 5, 1.0)),
    "cosine": (_s.cosine(0.3, 40), lambda o: _t.CosineAnnealingLR(o, 40)),
    "cosine to": (_s.cosine(0.3, 30, 0.1), lambda o: _t.CosineAnnealingLR(o, 30, 0.1)),
    "exponential": (_s.exponential(0.3, 0.9), lambda o: _t.ExponentialLR(o, 0.9)),
    "exponential up": (_s.exponential(0.3, 1.1), lambda o: _t.ExponentialLR(o, 1.1)),
    "step": (_s.step_decay(0.3, 4), lambda o: _t.StepLR(o, 4)),
    "step gamma": (_s.step_decay(0.3, 7, 0.5), lambda o: _t.StepLR(o, 7, 0.5)),
    "multi step": (_s.multi_step(0.3, [3, 10]), lambda o: _t.MultiStepLR(o, [3, 10])),
    "multi step gamma": (_s.multi_step(0.3, [1, 2, 3], 0.5), lambda o: _t.MultiStepLR(o, [1, 2, 3], 0.5)),
    "warmup": (_s.warmup(0.3, 5, 0.03), lambda o: _t.LinearLR(o, 0.1, 1.0, 5)),
    "warmup exponential": (
        _s.warmup(_s.exponential(0.3, 0.9), 5, 0.03),
        lambda o: _t.SequentialLR(o, [_t.LinearLR(o, 0.1, 1.0, 5), _t.ExponentialLR(o, 0.9)], [5]),
    ),
    "one cycle": (_s.one_cycle(0.3, 29), lambda o: _t.OneCycleLR(o, 0.3, 29, cycle_momentum=False)),
    "one cycle linear": (
        _s.one_cycle(0.3, 40, 0.2, "linear", 10.0, 100.0),
        lambda o: _t.OneCycleLR(o, 0.3, 40, None, None, 0.2, "linear", False, 0, 0, 10.0, 100.0),
    ),
    "one cycle in three": (
        _s.one_cycle(0.3, 40, 0.25, three_phase=True),
        lambda o: _t.OneCycleLR(o, 0.3, 40, pct_start=0.25, cycle_momentum=False, three_phase=True),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.filterwarnings("ignore:The epoch parameter")  # SequentialLR's own
def test_schedules_are_torch_s(name):
    schedule, reference = SCHEDULES[name]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.3)
    scheduler, expected = reference(optimizer), []
    for _ in range(28):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    found = [float(schedule(i)) for i in range(28)]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(pg.jit(schedule)(pg.arange(28, dtype="int32")).numpy(), found, rtol=1e-9, atol=1e-15)
    traced = pg.jit(lambda i, x: schedule(i) * x)(3, pg.Tensor(2.0))
    assert traced.dtype == np.float32 and traced.item() == pytest.approx(
        2 * found[3]
    )  # it takes the dtype of what it meets
    assert float(pj.jit(schedule)(pj.numpy.int32(5))) == pytest.approx(found[5])


@pytest.mark.parametrize("start, end", [(0.0, 0.0), (0.1, 0.05)])
def test_warmup_cosine_is_optax_s(start, end):
    ours, theirs = _s.warmup_cosine(0.3, 4, 20, start, end), optax.warmup_cosine_decay_schedule(start, 0.3, 4, 20, end)
    np.testing.assert_allclose([float(ours(i)) for i in range(25)], [float(theirs(i)) for i in range(25)], atol=1e-7)
    ours, theirs = [_s.cosine(0.3, 5), _s.constant(0.1)], [optax.cosine_decay_schedule(0.3, 5), lambda i: 0.1]
    ours, theirs = _s.join(ours, [3]), optax.join_schedules(theirs, [3])
    np.testing.assert_allclose([float(ours(i)) for i in range(7)], [float(theirs(i)) for i in range(7)], atol=1e-7)


# ---- averages and accumulation ---------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [0.9, 0.5])
def test_ema_is_torch_s(decay, device, rng):
    params, gradients = numbers(rng)
    theirs = torch.nn.ParameterList([torch.tensor(p) for p in params])
    average = torch.optim.swa_utils.AveragedModel(
        theirs, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay)
    )
    average.update_parameters(theirs)  # the first time, it copies
    for jitted in (False, True):
        ours = make(params, device)
        sgd, ema = optim.SGD(ours, lr=0.1), optim.EMA(ours, decay)
        tree = optim.ema_init(ours)

        def step(g):
            sgd.step(g)
            ema.update()

        step = pg.jit(step) if jitted else step
        for gs in gradients[:5]:
            step(make(gs, device))
            tree = optim.ema(tree, ours, decay)
            if not jitted:
                with torch.no_grad():
                    for p, g in zip(theirs, gs):
                        p -= 0.1 * torch.tensor(g)
                average.update_parameters(theirs)
        expected = [p.detach().numpy() for p in average.parameters()]
        close([a.numpy() for a in ema.averages], expected)
        close([a.numpy() for a in tree], expected)
    now = [p.numpy() for p in ours]
    tree = optim.ema([p.detach() for p in ours], ours, 1.0)
    optim.SGD(ours, lr=1.0).step(make(gradients[0], device))  # averages are no other names of parameters
    bits([a.numpy() for a in optim.ema_init(tree)], now)
    now = [p.numpy() for p in ours]
    with pytest.raises(RuntimeError), ema.applied():
        bits([p.numpy() for p in ours], [a.numpy() for a in ema.averages])
        raise RuntimeError
    bits([p.numpy() for p in ours], now)
    pg.grads(ours, sum((p * p).sum() for p in ours))
    other = optim.EMA(make(params, device)).load_state_dict(ema.state_dict())
    assert other.decay == decay
    bits([a.numpy() for a in other.averages], [a.numpy() for a in ema.averages])


def test_ema_of_16_bit_parameters(device):
    w = pg.Tensor(np.ones(2), dtype="bfloat16", device=device)
    ema = optim.EMA([w], 0.999)
    w[0] = 0.0
    ema.update()
    np.testing.assert_allclose(ema.averages[0].numpy(), [0.999, 1.0], rtol=1e-6)
    with ema.applied():
        assert w.dtype.name == "bfloat16"


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("every", [1, 3])
def test_accumulation_is_a_step_with_the_mean(every, jitted, device, rng):
    params, gradients = numbers(rng)
    options = {"lr": 0.1, "weight_decay": 0.1, "clip_norm": 1.0}
    accumulate = optim.Accumulate(optim.AdamW(make(params, device), **options), every)
    plain = optim.AdamW(make(params, device), **options)
    step = pg.jit(accumulate.step) if jitted else accumulate.step
    for i, gs in enumerate(gradients):
        step([*make(gs[:3], device), None])
        if (i + 1) % every == 0:
            total = [g.astype("f4") * 0 for g in gs[:3]]
            for part in gradients[i + 1 - every : i + 1]:
                total = [t + g for t, g in zip(total, part)]
            plain.step([*make([np.float32(t / np.float32(every)) for t in total], device), None])
        close([p.numpy() for p in accumulate.parameters], [p.numpy() for p in plain.parameters], rtol=1e-5, atol=1e-6)
    assert accumulate.steps.item() == STEPS // every
    np.testing.assert_array_equal(accumulate.parameters[3].numpy(), params[3])  # it never had a gradient
    if jitted:
        assert step.traces == 1
        accumulate.lr = 0.0
        before = [p.numpy() for p in accumulate.parameters]
        for gs in gradients[:3]:
            step([*make(gs[:3], device), None])
        assert step.traces == 1
        bits([p.numpy() for p in accumulate.parameters], before)
        accumulate.optimizer.weight_decay = 0.2  # read in a branch of the program
        step([*make(gs[:3], device), None])
        assert step.traces == 2


def test_an_interrupted_accumulation_goes_on(device, rng):
    params, gradients = numbers(rng)
    build = lambda: optim.Accumulate(optim.Adam(make(params, device), lr=0.1), 3)
    whole, first, second = build(), build(), build()
    for gs in gradients[:8]:
        whole.step(make(gs, device))
    for gs in gradients[:4]:
        first.step(make(gs, device))
    second.load_state_dict(first.state_dict())
    for p, q in zip(second.parameters, first.parameters):
        p._rebind(q._node)
    for gs in gradients[4:8]:
        second.step(make(gs, device))
    bits([p.numpy() for p in second.parameters], [p.numpy() for p in whole.parameters])


# ---- saving ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_a_loaded_state_goes_on_bit_for_bit(name, device, rng):
    params, gradients = numbers(rng)
    params[0] = params[0].astype(np.float16)
    cls, options = getattr(optim, name), {"lr": 0.1, **ALL[name]}
    build = lambda p, **o: cls([{"params": p[:2], "lr": 0.05}, {"params": p[2:], "weight_decay": 0.2}], **o)
    whole = build(make(params, device), **options)
    trained(whole, gradients[:5], device)
    saved = whole.state_dict()
    as_arrays = pg.transforms.tree.tree_map(lambda x: x.numpy() if isinstance(x, pg.Tensor) else x, saved)
    values = [p.numpy() for p in whole.parameters]
    expected = trained(whole, gradients[5:10], device)
    for state in (saved, as_arrays):  # the first one: later steps did not change it
        other = build(make(values, device), **{k: v for k, v in options.items() if k in ("momentum", "centered")})
        assert other.load_state_dict(state) is other and other.steps.item() == 5 and other.lr.item() == 0.1
        assert repr(other._options) == repr(whole._options)
        same_bits(name, trained(other, gradients[5:10], device, jitted=state is as_arrays), expected)


def test_states_of_schedules_and_functions(device, rng):
    params, gradients = numbers(rng)
    adam = optim.Adam(make(params, device), lr=optim.schedules.cosine(0.1, 50))
    trained(adam, gradients[:3], device)
    saved = adam.state_dict()
    assert saved["lr"] is None
    other = optim.Adam(make([p.numpy() for p in adam.parameters], device), lr=optim.schedules.cosine(0.1, 50))
    other.load_state_dict(saved)
    bits(trained(other, gradients[3:6], device), trained(adam, gradients[3:6], device))
    twin = copy.deepcopy(other)
    bits(trained(twin, gradients[:2], device), trained(other, gradients[:2], device))
    plain = optim.SGD(make(params, device), lr=0.1, momentum=0.9)
    sent = pickle.loads(pickle.dumps(plain))  # to another process
    bits(trained(sent, gradients[:2], device), trained(plain, gradients[:2], device))


# ---- errors ----------------------------------------------------------------------------------------------


def test_what_is_refused(device):
    w, b = pg.Tensor([1.0, 2.0], device=device), pg.Tensor([1.0], device=device)
    one = pg.Tensor([1.0, 1.0], device=device)
    adam, sgd = optim.Adam([w]), optim.SGD([w])
    tree, state = {"w": w}, optim.sgd_init({"w": w})
    refused = [
        ("no option 'beta'", lambda: optim.Adam([w], beta=0.9)),
        ("no option 'beta'", lambda: optim.adam(tree, tree, optim.adam_init(tree), beta=0.9)),
        ("no option 'nesterov'", lambda: optim.sgd_init(tree, nesterov=True)),
        ("betas = 0.9", lambda: optim.Adam([w], betas=0.9)),
        ("betas", lambda: optim.Adam([w], betas=(0.9, 1.0))),
        ("eps", lambda: optim.Adam([w], eps=-1.0)),
        ("eps", lambda: optim.Adafactor([w], eps=1e-3)),
        ("eps", lambda: optim.adafactor(tree, tree, optim.adafactor_init(tree), eps=(1, 2, 3))),
        ("lr", lambda: optim.Adam([w], lr=float("nan"))),
        ("lr", lambda: optim.Adam([w], lr="fast")),
        ("lr", lambda: optim.Adam([w], lr=one)),
        ("lr", lambda: optim.sgd(tree, tree, state, lr=-0.1)),
        ("momentum", lambda: optim.SGD([w], momentum=-1)),
        ("nesterov needs", lambda: optim.SGD([w], nesterov=True)),
        ("nesterov needs", lambda: optim.sgd(tree, tree, state, nesterov=True)),
        ("maximize", lambda: optim.SGD([w], maximize=1)),
        ("clip_norm", lambda: optim.SGD([w], clip_norm=0.0)),
        ("not a dict", lambda: optim.SGD({"w": w})),
        ("'params'", lambda: optim.SGD([{"lr": 0.1}])),
        ("'params'", lambda: optim.SGD([{"params": [w]}, b])),
        ("no option 'rate'", lambda: optim.SGD([{"params": [w], "rate": 0.1}])),
        ("no parameters", lambda: optim.SGD([{"params": []}])),
        ("parameter 1 is parameter 0", lambda: optim.SGD([w, w])),
        ("a parameter is a str", lambda: optim.SGD(["w"])),
        ("an Array", lambda: optim.SGD([pj.numpy.ones(2)])),
        ("an Array", lambda: optim.EMA([pj.numpy.ones(2)])),
        ("no rule", lambda: optim.Optimizer([w])),
        ("gradient 0 is a float", lambda: adam.step([1.0])),
        ("for a parameter that needs", lambda: optim.sgd(tree, tree, state, momentum=0.9)),
        ("for a parameter that needs", lambda: optim.sgd(tree, tree, optim.sgd_init(tree, momentum=0.9))),
        ("structure", lambda: optim.sgd(tree, {"v": w}, state)),
        ("no state", lambda: optim.sgd(tree, tree, tree)),
        ("no parameters", lambda: optim.sgd_init({})),
        ("state of Adam", lambda: sgd.load_state_dict(adam.state_dict())),
        ("1 groups", lambda: optim.Adam([{"params": [w]}, {"params": [b]}]).load_state_dict(adam.state_dict())),
        ("1 parameters", lambda: optim.Adam([w, b]).load_state_dict(adam.state_dict())),
        ("same options", lambda: optim.Adam([w], amsgrad=True).load_state_dict(adam.state_dict())),
        ("state_dict\\(\\) returned", lambda: adam.load_state_dict({})),
        ("takes an optimiser", lambda: optim.Accumulate([w], 2)),
        ("steps = 0", lambda: optim.Accumulate(sgd, 0)),
        ("decay", lambda: optim.EMA([w], 1.5)),
        ("takes a list", lambda: optim.EMA(w)),
        ("structure", lambda: optim.ema([w], (w,))),
        ("no arrays", lambda: optim.global_norm([])),
        ("bound", lambda: optim.clip_by_value([w], None)),
        ("clip_norm = -1", lambda: optim.clip_by_global_norm([w], -1)),
        ("steps = 0", lambda: optim.schedules.cosine(0.1, 0)),
        ("not less than", lambda: optim.schedules.warmup_cosine(0.1, 5, 5)),
        ("anneal", lambda: optim.schedules.one_cycle(0.1, 10, anneal="cubic")),
        ("pct_start", lambda: optim.schedules.one_cycle(0.1, 10, pct_start=1.0)),
        ("too few", lambda: optim.schedules.one_cycle(0.1, 2)),
        ("ascending", lambda: optim.schedules.multi_step(0.1, [5, 2])),
        ("one more schedule", lambda: optim.schedules.join([optim.schedules.constant(0.1)], [5])),
    ]  # fmt: skip
    for message, call in refused:
        with pytest.raises(pg.ArgumentError, match=message):
            call()
    with pytest.raises(pg.ShapeError, match="gradient 0 has shape"):
        optim.sgd(tree, {"w": b}, state)
    with pytest.raises(pg.ShapeError, match="m of parameter 0"):
        optim.Adam([b]).load_state_dict(adam.state_dict())
    with pytest.raises(pg.DtypeError, match="int32"):
        optim.Adam([pg.Tensor(np.ones(2, np.int32))])
    with pytest.raises(pg.DtypeError, match="gradient 0"):
        adam.step([pg.Tensor(np.ones(2, np.int32))])
    with pytest.raises(pg.ArgumentError, match="nesterov"):
        sgd.nesterov = True
    with pytest.raises(pg.ArgumentError, match="nesterov"):
        sgd.groups[0].nesterov = True
    with pytest.raises(AttributeError):
        sgd.speed  # noqa: B018
    assert sgd.nesterov is False and not any(w.numpy() - [1, 2])  # nothing has changed


def test_a_state_that_does_not_fit_changes_nothing(device):
    w, b = pg.Tensor([1.0, 2.0], device=device), pg.Tensor([1.0], device=device)
    adam = optim.Adam([w, b], lr=0.3)
    saved = optim.Adam([w, b], lr=0.1, eps=0.5).state_dict()
    saved["groups"][0]["state"][1]["v"] = np.ones(7)
    with pytest.raises(pg.ShapeError):
        adam.load_state_dict(saved)
    assert adam.lr.item() == 0.3 and adam.eps == 1e-8


# ---- programs --------------------------------------------------------------------------------------------


def test_a_jitted_step_is_one_kernel_per_parameter(device, monkeypatch, capsys):
    from pequegrad.compiler import program

    monkeypatch.setattr(program, "fusing", True)
    shapes = [(8, 5), (8,), (3, 2, 4)]
    for cls in (optim.SGD, optim.Adam, optim.AdamW, optim.Lion, optim.RMSprop, optim.Adagrad):
        optimizer = cls([pg.Tensor(np.ones(s, "f4"), device=device) for s in shapes])
        step = pg.jit(optimizer.step)
        step.explain([pg.Tensor(np.ones(s, "f4"), device=device) for s in shapes])
        kernels = int(capsys.readouterr().out.split("kernels: ")[1].split(";")[0])
        assert kernels <= len(shapes) + 2, cls  # the counters are numbers of their own


def test_rules_of_others_have_both_faces(device):
    @optim.rule(lr=0.5, slots=lambda shape: {"last": (shape, 1.0)})
    def push(p, g, slots, n, *, strength=2.0):
        return p - slots["last"] * n.lr * strength, {"last": g}

    class Push(optim.Optimizer):
        rule = push

    w = pg.Tensor([1.0], device=device)
    optimizer = Push([w], strength=1.0)
    optimizer.step([pg.Tensor([3.0], device=device)])
    assert w.item() == 0.5 and optimizer.state[0]["last"].item() == 3
    step, init = optim.functional(push)
    state, tree = step([pg.Tensor([1.0])], [pg.Tensor([3.0])], init([pg.Tensor([1.0])]))
    assert tree[0].item() == 0 and step.__name__ == "push"


def test_docstrings_are_true():
    import doctest

    from pequegrad.optim import accumulate, averages, clipping, functional, rules, schedules, stateful  # noqa: F401

    names = {"pg": pg, "optim": optim, "Tensor": pg.Tensor}
    for module in ("accumulate", "averages", "clipping", "functional", "optimizer", "rules", "schedules", "stateful"):
        module = __import__(f"pequegrad.optim.{module}", fromlist=["x"])
        assert doctest.testmod(module, extraglobs=names).failed == 0
    runner, finder = doctest.DocTestRunner(), doctest.DocTestFinder()
    for name in ALL:  # made by a function: doctest does not look into them
        for f in (*functions(name), getattr(optim, name)):
            for test in finder.find(f, name, globs=dict(names), module=False):
                assert test.examples and runner.run(test).failed == 0
