"""Recurrent networks: each direction is one product for the inputs of all times, and one scan."""

import functools

import pequegrad as pg

from ...core.errors import ArgumentError, ShapeError
from ...nn import functional as F
from ..registry import op

# activation -> (function of x, alpha and beta; which of these it takes, with their defaults)
_ACTIVATIONS = {
    "relu": (lambda x: pg.relu(x), {}),
    "tanh": (lambda x: pg.tanh(x), {}),
    "sigmoid": (lambda x: pg.sigmoid(x), {}),
    "softsign": (lambda x: pg.soft_sign(x), {}),
    "softplus": (lambda x: pg.softplus(x), {}),
    "affine": (lambda x, alpha, beta: alpha * x + beta, {"alpha": 1.0, "beta": 0.0}),
    "leakyrelu": (lambda x, alpha: pg.leaky_relu(x, alpha), {"alpha": 0.01}),
    "thresholdedrelu": (lambda x, alpha: pg.where(x > alpha, x, 0.0), {"alpha": 1.0}),
    "scaledtanh": (lambda x, alpha, beta: alpha * pg.tanh(beta * x), {"alpha": 1.0, "beta": 1.0}),
    "hardsigmoid": (lambda x, alpha, beta: pg.clip(alpha * x + beta, 0.0, 1.0), {"alpha": 0.2, "beta": 0.5}),
    "elu": (lambda x, alpha: pg.elu(x, alpha), {"alpha": 1.0}),
}


def _activations(names, alphas, betas, clip):
    """Functions; each takes what it needs from the front of the lists of numbers."""
    given = {"alpha": list(alphas or ()), "beta": list(betas or ())}
    found = []
    for name in names:
        if name.lower() not in _ACTIVATIONS:
            raise ArgumentError(f"The activation {name!r} of a recurrent operator is unknown.")
        function, defaults = _ACTIVATIONS[name.lower()]
        numbers = {what: given[what].pop(0) if given[what] else value for what, value in defaults.items()}
        found.append(_clipped(functools.partial(function, **numbers), clip))
    return found


def _clipped(function, clip):
    return function if clip is None else lambda x: function(pg.clip(x, -clip, clip))


# ---- one step: (rows of the input, state, weights) -> state ---------------------------------------------------


def _rnn(row, state, r, bias, p, activations, options):
    (f,), (h,) = activations, state
    return (f(row + F.linear(h, r, bias)),)


def _gru(row, state, r, bias, p, activations, options):
    (f, g), (h,) = activations, state
    size = h.shape[-1]
    if options["linear_before_reset"]:
        z, t, own = pg.split(F.linear(h, r, bias), 3, -1)
    else:
        z, t = pg.split(F.linear(h, r[: 2 * size], bias if bias is None else bias[: 2 * size]), 2, -1)
    x_z, x_t, x_h = pg.split(row, 3, -1)
    z, t = f(x_z + z), f(x_t + t)
    if not options["linear_before_reset"]:
        own = F.linear(t * h, r[2 * size :], bias if bias is None else bias[2 * size :])
    else:
        own = t * own
    return ((1 - z) * g(x_h + own) + z * h,)


def _lstm(row, state, r, bias, p, activations, options):
    (f, g, h_of), (h, c) = activations, state
    i, o, keep, new = pg.split(row + F.linear(h, r, bias), 4, -1)
    seen = [0, 0, 0] if p is None else pg.split(p, 3, -1)
    i = f(i + seen[0] * c)
    keep = 1 - i if options["input_forget"] else f(keep + seen[2] * c)
    c = keep * c + i * g(new)
    return f(o + seen[1] * c) * h_of(c), c


# ---- all of time ----------------------------------------------------------------------------------------------


def _direction(step, x, w, r, b, lengths, state, p, activations, options, reverse):
    """(outputs [T, N, size], last state) of one direction."""
    size = r.shape[-1]
    w_bias, r_bias = b or (None, None)
    rows = {"x": F.linear(x, w, w_bias)}
    if lengths is not None:
        rows["time"] = pg.arange(0, x.shape[0], dtype="int32")
    state = tuple(pg.zeros((x.shape[1], size), x.dtype) if s is None else s for s in state)

    def body(state, row):
        new = step(row["x"], state, r, r_bias, p, activations, options)
        if lengths is None:
            return new, new[0]
        runs = pg.expand_dims(row["time"] < lengths, -1)
        return tuple(pg.where(runs, a, b) for a, b in zip(new, state)), pg.where(runs, new[0], 0.0)

    last, y = pg.scan(body, state, rows, reverse=reverse)
    return y, last


def plain(name, activations=None, **options):
    """A function (x, first states, (w, r, bias, recurrent bias), reverse) -> (last states, outputs): an operator's forward direction."""
    step, names, defaults = _STEPS[name]
    functions = _activations(activations or names, None, None, None)

    def run(x, states, weights, reverse):
        w, r, *biases = weights
        biases = None if biases[0] is None else biases
        y, last = _direction(step, x, w, r, biases, None, states, None, functions, defaults | options, reverse)
        return last, y

    return run


_STEPS = {
    "RNN": (_rnn, ["Tanh"], {}),
    "GRU": (_gru, ["Sigmoid", "Tanh"], {"linear_before_reset": 0}),
    "LSTM": (_lstm, ["Sigmoid", "Tanh", "Tanh"], {"input_forget": 0}),
}
_DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


def _recurrent(step, names, x, w, r, b, lengths, states, p, options, *, activation_alpha=None, activation_beta=None,
               activations=None, clip=None, direction="forward", hidden_size=None, layout=0):  # fmt: skip
    """(y, last states ...). names: the activations if the model names none; options: attributes that only this operator has."""
    if hidden_size not in (None, r.shape[-1]):
        raise ShapeError(f"hidden_size={hidden_size} is not that of the weights, {r.shape[-1]}.")
    if direction not in _DIRECTIONS:
        raise ArgumentError(f"direction={direction!r} is unknown.", fix="forward, reverse or bidirectional.")
    reverse = _DIRECTIONS[direction]
    functions = _activations(activations or names * len(reverse), activation_alpha, activation_beta, clip)
    if len(functions) != len(names) * len(reverse):
        raise ArgumentError(f"{len(functions)} activations for {len(reverse)} directions of {len(names)}.")
    if layout:
        x = pg.swapaxes(x, 0, 1)
        states = [None if s is None else pg.swapaxes(s, 0, 1) for s in states]
    of = lambda v, d: None if v is None else v[d]
    found = [
        _direction(
            step, x, w[d], r[d], None if b is None else pg.split(b[d], 2), lengths, [of(s, d) for s in states], of(p, d),
            functions[d * len(names) : (d + 1) * len(names)], options, backwards,
        )
        for d, backwards in enumerate(reverse)
    ]  # fmt: skip
    y = pg.stack([y for y, _ in found], 1)  # [T, directions, N, size]
    last = [pg.stack(parts) for parts in zip(*(state for _, state in found))]
    if layout:
        y, last = pg.permute(y, (2, 0, 1, 3)), [pg.swapaxes(s, 0, 1) for s in last]
    return y, *last


@op("RNN", since=7, weights=("w", "r", "b"))
def rnn(x, w, r, b=None, sequence_lens=None, initial_h=None, **common):
    return _recurrent(_rnn, ["Tanh"], x, w, r, b, sequence_lens, [initial_h], None, {}, **common)


@op("GRU", since=7, weights=("w", "r", "b"))
def gru(x, w, r, b=None, sequence_lens=None, initial_h=None, *, linear_before_reset=0, **common):
    """Gates in the order update, reset, new (Cho et al., 2014); linear_before_reset: reset behind the product."""
    options = {"linear_before_reset": linear_before_reset}
    return _recurrent(_gru, ["Sigmoid", "Tanh"], x, w, r, b, sequence_lens, [initial_h], None, options, **common)


@op("LSTM", since=7, weights=("w", "r", "b", "p"))
def lstm(x, w, r, b=None, sequence_lens=None, initial_h=None, initial_c=None, p=None, *, input_forget=0, **common):
    """Gates in the order input, output, forget, new; p: peepholes of the first three (Gers & Schmidhuber, 2000)."""
    states, options = [initial_h, initial_c], {"input_forget": input_forget}
    return _recurrent(_lstm, ["Sigmoid", "Tanh", "Tanh"], x, w, r, b, sequence_lens, states, p, options, **common)
