"""Recurrent networks: each direction of a layer is one product for the inputs of all times, and one scan.

weights: one list per layer, with one tuple (w_ih, w_hh, b_ih, b_hh, w_hr) per direction (the second runs backwards); biases
may be None, and w_hr, the projection of an LSTM's output, too. States are [layers * directions, N, size].
"""

from ...ops.arithmetic import astype, sigmoid, tanh
from ...ops.nn import relu
from ...ops.shape import concatenate, split, stack
from ...transforms.control_flow import scan
from .linear import linear
from .random import dropout as _dropout


def simple(activation):
    def step(from_x, state, w_hh, b_hh, w_hr):
        (h,) = state
        return (activation(from_x + linear(h, w_hh, b_hh)),)

    return step


def gated(from_x, state, w_hh, b_hh, w_hr):
    (h,) = state
    x_reset, x_update, x_new = split(from_x, 3, -1)
    h_reset, h_update, h_new = split(linear(h, w_hh, b_hh), 3, -1)
    reset, update = sigmoid(x_reset + h_reset), sigmoid(x_update + h_update)
    new = tanh(x_new + reset * h_new)
    return ((1 - update) * new + update * h,)


def long_short(from_x, state, w_hh, b_hh, w_hr):
    h, c = state
    take, keep, new, show = split(from_x + linear(h, w_hh, b_hh), 4, -1)
    c = sigmoid(keep) * c + sigmoid(take) * tanh(new)
    h = sigmoid(show) * tanh(c)
    return (h if w_hr is None else linear(h, w_hr)), c


def one_direction(step):
    """A function (x, first states, weights, reverse) -> (last states, outputs) of one direction of a layer."""

    def run(x, first, weights, reverse):
        w_ih, w_hh, b_ih, b_hh, w_hr = (*weights, None)[:5]
        from_x = linear(x, w_ih, b_ih)

        def body(state, row):
            state = step(row, state, w_hh, b_hh, w_hr)
            return state, state[0]

        return scan(body, tuple(astype(s, from_x.dtype) for s in first), from_x, reverse=reverse)

    return run


def _run(step, x, states, weights, dropout):
    """(output [T, N, directions * size], last states) of all layers; x: [T, N, inputs], states: one tensor per part."""
    run, last = one_direction(step), []
    for k, layer in enumerate(weights):
        outs = []
        for i, direction in enumerate(layer):
            first = [s[k * len(layer) + i] for s in states]
            state, y = run(x, first, direction, reverse=i == 1)
            last.append(state)
            outs.append(y)
        x = concatenate(outs, -1) if len(outs) > 1 else outs[0]
        if dropout and k < len(weights) - 1:
            x = _dropout(x, dropout)
    return x, tuple(stack(parts) for parts in zip(*last))


def rnn(input, hx, weights, nonlinearity="tanh", dropout=0.0):
    """h' = tanh(w_ih x + b_ih + w_hh h + b_hh), or relu: (outputs [T, N, directions * H], last states) (Elman, 1990).

    input: [T, N, inputs]; hx: the first states; dropout: the probability with which outputs of all but the last layer drop.

    >>> weights = [[(pg.ones((3, 2)), pg.ones((3, 3)), None, None, None)]]
    >>> rnn(pg.ones((5, 1, 2)), pg.zeros((1, 1, 3)), weights)[0].shape
    (5, 1, 3)
    """
    output, (h,) = _run(simple(tanh if nonlinearity == "tanh" else relu), input, (hx,), weights, dropout)
    return output, h


def gru(input, hx, weights, dropout=0.0):
    """Gated recurrent units (Cho et al., 2014), with the reset gate behind the product as in PyTorch; arguments as for rnn.

    r = sigmoid(x_r + h_r), z = sigmoid(x_z + h_z), n = tanh(x_n + r h_n), h' = (1 - z) n + z h, where x_* and h_* are the
    thirds of w_ih x + b_ih and w_hh h + b_hh.

    >>> weights = [[(pg.ones((9, 2)), pg.ones((9, 3)), None, None, None)]]
    >>> gru(pg.ones((5, 1, 2)), pg.zeros((1, 1, 3)), weights)[0].shape
    (5, 1, 3)
    """
    output, (h,) = _run(gated, input, (hx,), weights, dropout)
    return output, h


def lstm(input, hx, weights, dropout=0.0):
    """Long short-term memory (Hochreiter & Schmidhuber, 1997): (outputs, (last h, last c)); hx: (first h, first c).

    i, f, g, o are the quarters of w_ih x + b_ih + w_hh h + b_hh; c' = sigmoid(f) c + sigmoid(i) tanh(g),
    h' = w_hr (sigmoid(o) tanh(c')); without w_hr the bracket itself (Sak et al., 2014).

    >>> weights, first = [[(pg.ones((12, 2)), pg.ones((12, 3)), None, None, None)]], pg.zeros((1, 1, 3))
    >>> lstm(pg.ones((5, 1, 2)), (first, first), weights)[0].shape
    (5, 1, 3)
    """
    return _run(long_short, input, tuple(hx), weights, dropout)
