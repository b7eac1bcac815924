"""Recurrent layers: RNN, GRU, LSTM."""

import math

from ...core.errors import ArgumentError, ShapeError
from ...ops.creation import as_tensor, full
from ...ops.shape import expand_dims, swapaxes
from .. import functional as F
from ..layer import Layer, check_probability, check_sizes, uniform

_WEIGHTS = """
    input: [T, N, input_size], with batch_first [N, T, input_size], or without N; output: the same with directions * size,
    states: [num_layers * directions, N, size]; size is hidden_size (or proj_size), directions 2 if bidirectional. dropout: the
    probability of dropping outputs of all layers but the last, in training. Weights of layer k: weight_ih_l{k} [GATES * hidden_size,
    inputs], weight_hh_l{k} [GATES * hidden_size, size], bias_ih_l{k}, bias_hh_l{k}; those of the backward direction end in
    _reverse. All start uniform within 1 / sqrt(hidden_size).

    >>> output, last = NAME(3, 4, num_layers=2, bidirectional=True)(pg.ones((5, 2, 3)))
    >>> output.shape
    (5, 2, 8)
    """


class _Recurrent(Layer):
    gates, states = 1, 1  # how many vectors of hidden_size a step needs, and how many it carries along

    def _build(
        self, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, dtype, device
    ):
        name = type(self).__name__
        check_sizes(name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        check_probability(name, dropout)
        if not 0 <= proj_size < hidden_size:
            raise ArgumentError(
                f"{name}: proj_size={proj_size} must be below hidden_size={hidden_size}, or 0 for none."
            )
        self.input_size, self.hidden_size, self.num_layers, self.bias = input_size, hidden_size, num_layers, bias
        self.batch_first, self.dropout, self.bidirectional = batch_first, dropout, bidirectional
        self.proj_size = proj_size
        size, rows, bound = proj_size or hidden_size, self.gates * hidden_size, 1 / math.sqrt(hidden_size)
        for k in range(num_layers):
            inputs = input_size if k == 0 else size * (1 + bidirectional)
            shapes = {"weight_ih": (rows, inputs), "weight_hh": (rows, size)}
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for direction in ("", "_reverse")[: 1 + bidirectional]:
                for kind, shape in shapes.items():
                    setattr(self, f"{kind}_l{k}{direction}", uniform(shape, bound, dtype, device))

    def _weights(self):
        """As functional.recurrent takes them."""
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        directions = ("", "_reverse")[: 1 + self.bidirectional]
        return [
            [tuple(getattr(self, f"{kind}_l{k}{d}", None) for kind in kinds) for d in directions]
            for k in range(self.num_layers)
        ]

    def _sequence(self, input):
        """The input as [T, N, input_size], and whether it had a batch."""
        x = as_tensor(input, self.weight_ih_l0.device)
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{type(self).__name__}({self.input_size}, {self.hidden_size}) got an input of shape {list(x.shape)}.",
                fix=f"it must be {'[N, T' if self.batch_first else '[T, N'}, {self.input_size}], or without N.",
            )
        if x.ndim == 2:
            return expand_dims(x, 1), False
        return swapaxes(x, 0, 1) if self.batch_first else x, True

    def _state(self, name, given, x, size, had_batch):
        """A first state [layers * directions, N, size]: zeros unless given."""
        layers, n = self.num_layers * (1 + self.bidirectional), x.shape[1]
        if given is None:
            return full((layers, n, size), 0.0, x.dtype, x.device)
        given = as_tensor(given, x.device)
        shape = (layers, n, size) if had_batch else (layers, size)
        if given.shape != shape:
            raise ShapeError(
                f"{type(self).__name__}: {name} {given._node.aval} must have shape {list(shape)}.",
                fix="states are [num_layers * directions, N, size], also with batch_first.",
            )
        return given if had_batch else expand_dims(given, 1)

    def _run(self, function, input, names, given, **options):
        """(output, last states) of a function of functional.recurrent."""
        x, had_batch = self._sequence(input)
        sizes = (self.proj_size or self.hidden_size, self.hidden_size)
        first = tuple(self._state(name, h, x, size, had_batch) for name, h, size in zip(names, given, sizes))
        dropout = self.dropout if self.training else 0.0
        output, last = function(x, first if len(names) > 1 else first[0], self._weights(), dropout=dropout, **options)
        if not had_batch:
            return output[:, 0], tuple(h[:, 0] for h in last) if isinstance(last, tuple) else last[:, 0]
        return swapaxes(output, 0, 1) if self.batch_first else output, last


class RNN(_Recurrent):
    __doc__ = """h' = tanh(w_ih x + b_ih + w_hh h + b_hh), or relu (nonlinearity="relu") (Elman, 1990).

    layer(input, hx=None) gives (output, last h); hx: the first h, zeros by default.
    """ + _WEIGHTS.replace("GATES * ", "").replace("NAME", "RNN")

    def __init__(
        self, input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True, batch_first=False, dropout=0.0,
        bidirectional=False, *, dtype=None, device=None,
    ):  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"RNN: nonlinearity={nonlinearity!r} is unknown.", fix="use 'tanh' or 'relu'.")
        self.nonlinearity = nonlinearity
        self._build(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, dtype, device)

    def forward(self, input, hx=None):
        return self._run(F.rnn, input, ["hx"], [hx], nonlinearity=self.nonlinearity)


class GRU(_Recurrent):
    __doc__ = """Gated recurrent units (Cho et al., 2014): r = sigmoid(x_r + h_r), z = sigmoid(x_z + h_z),
    n = tanh(x_n + r h_n), h' = (1 - z) n + z h, where x_* and h_* are the thirds of w_ih x + b_ih and w_hh h + b_hh.

    layer(input, hx=None) gives (output, last h); hx: the first h, zeros by default.
    """ + _WEIGHTS.replace("GATES", "3").replace("NAME", "GRU")

    gates = 3

    def __init__(
        self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False, *,
        dtype=None, device=None,
    ):  # fmt: skip
        self._build(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, dtype, device)

    def forward(self, input, hx=None):
        return self._run(F.gru, input, ["hx"], [hx])


class LSTM(_Recurrent):
    __doc__ = """Long short-term memory (Hochreiter & Schmidhuber, 1997): i, f, g, o are the quarters of
    w_ih x + b_ih + w_hh h + b_hh; c' = sigmoid(f) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c').

    layer(input, hx=None) gives (output, (last h, last c)); hx: (first h, first c), zeros by default. proj_size: h is projected
    to this size by weight_hr_l{k} [proj_size, hidden_size] (Sak et al., 2014).
    """ + _WEIGHTS.replace("GATES", "4").replace("NAME", "LSTM")

    gates, states = 4, 2

    def __init__(
        self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False,
        proj_size=0, *, dtype=None, device=None,
    ):  # fmt: skip
        self._build(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, dtype, device
        )

    def forward(self, input, hx=None):
        if hx is not None and (not isinstance(hx, (tuple, list)) or len(hx) != 2):
            raise ArgumentError("LSTM: hx must be a pair, the first h and c.")
        return self._run(F.lstm, input, ["h of hx", "c of hx"], hx or (None, None))


__all__ = ["GRU", "LSTM", "RNN"]
