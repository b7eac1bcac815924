"""Update rules: one parameter, its gradient and its slots -> their new values. Both faces of pequegrad.optim apply these.

A rule is a function update(p, g, slots, n, **options) -> (new p, new slots), with

    p, g      the parameter and its gradient, float32 or float64 (parameters of 16 bits come as float32: see update.py)
    slots     what is kept for this parameter, a dict of tensors: `slots=` says which, as {name: (shape, value at the start)}
    n         the numbers that depend on the step alone, 0-d tensors in p's dtype: `numbers=` computes them from t (1 at the
              first step) and the learning rate lr in float64, once for all parameters. Without it there is n.lr.
    options   Python numbers; their defaults are the rule's

The formulas are PyTorch's, those of Lion and LAMB optax's.
"""

import inspect

import numpy as np

from ..ops.arithmetic import astype, maximum, minimum, sign, sqrt, where
from ..ops.reductions import mean
from ..ops.reductions import sum as total


class Rule:
    """An update rule with all that is known of it: name, defaults of its options, slots, numbers."""

    def __init__(self, update, lr, slots, numbers, check):
        self.update, self.lr, self.slots, self.numbers, self.check = update, lr, slots, numbers, check
        self.name, self.__doc__ = update.__name__, update.__doc__
        self.options = dict(update.__kwdefaults__ or {})
        self.options["maximize"] = False  # g is negated before a rule sees it
        self.slot_options = [name for name in inspect.signature(slots).parameters if name in self.options]

    def slots_of(self, shape, options):
        """{name: (shape, value at the start)} for a parameter of this shape."""
        return self.slots(shape, **{name: options[name] for name in self.slot_options})

    def numbers_of(self, t, lr, options):
        """{name: 0-d float64 tensor} of what depends on the step alone."""
        return {"lr": lr} if self.numbers is None else self.numbers(t, lr, **options)


def rule(lr, slots=lambda shape: {}, numbers=None, check=lambda options: None):
    """Decorator: the function is an update rule. `check(options)` gives a sentence if options do not go together.

    >>> @rule(lr=0.1)
    ... def sign_descent(p, g, slots, n, *, weight_decay=0.0):
    ...     return p - (sign(g) + p * weight_decay) * n.lr, {}
    >>> class SignDescent(pg.optim.Optimizer):
    ...     rule = sign_descent
    """
    return lambda update: Rule(update, lr, slots, numbers, check)


def _alike(shape, *names):
    return dict.fromkeys(names, (shape, 0.0))


# ---- gradient descent --------------------------------------------------------------------------------


def _sgd_slots(shape, momentum):
    return _alike(shape, "velocity") if momentum else {}


def _sgd_numbers(t, lr, *, dampening, **_):
    return {"lr": lr, "share": 1 - astype(t > 1, t.dtype) * dampening}


def _sgd_check(options):
    if options["nesterov"] and (not options["momentum"] or options["dampening"]):
        return "nesterov needs a momentum > 0 and no dampening"


@rule(lr=1e-3, slots=_sgd_slots, numbers=_sgd_numbers, check=_sgd_check)
def sgd(p, g, slots, n, *, momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0):
    """Stochastic gradient descent.

    g += weight_decay * p;  v = momentum * v + (1 - dampening) * g  (v = g at the first step);
    p -= lr * v;  with nesterov:  p -= lr * (g + momentum * v)
    """
    if weight_decay:
        g = g + p * weight_decay
    if not momentum:
        return p - g * n.lr, {}
    velocity = slots["velocity"] * momentum + (g * n.share if dampening else g)
    direction = g + velocity * momentum if nesterov else velocity
    return p - direction * n.lr, {"velocity": velocity}


# ---- Adam and its kin --------------------------------------------------------------------------------


def _adam_slots(shape, amsgrad):
    return _alike(shape, "m", "v", "largest") if amsgrad else _alike(shape, "m", "v")


def _adam_numbers(t, lr, *, betas, weight_decay, **_):
    first, second = (1 - b**t for b in betas)
    return {"rate": lr / first, "root": 1 / sqrt(second), "kept": 1 - lr * weight_decay}


def _adam_step(p, g, slots, n, betas, eps, amsgrad):
    b1, b2 = betas
    m = slots["m"] * b1 + g * (1 - b1)
    v = slots["v"] * b2 + (g * g) * (1 - b2)
    new = {"m": m, "v": v}
    if amsgrad:
        v = new["largest"] = maximum(slots["largest"], v)
    return p - m * n.rate / (sqrt(v) * n.root + eps), new


@rule(lr=1e-3, slots=_adam_slots, numbers=_adam_numbers)
def adam(p, g, slots, n, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False):
    """Adam (Kingma & Ba, 2015); amsgrad: with the largest v so far (Reddi et al., 2018).

    g += weight_decay * p;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
    p -= lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
    """
    if weight_decay:
        g = g + p * weight_decay
    return _adam_step(p, g, slots, n, betas, eps, amsgrad)


@rule(lr=1e-3, slots=_adam_slots, numbers=_adam_numbers)
def adamw(p, g, slots, n, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False):
    """Adam whose weight decay does not pass the averages (Loshchilov & Hutter, 2019).

    p *= 1 - lr * weight_decay, then a step of Adam
    """
    return _adam_step(p * n.kept if weight_decay else p, g, slots, n, betas, eps, amsgrad)


def _lamb_numbers(t, lr, *, betas, **_):
    first, second = (1 - b**t for b in betas)
    return {"lr": lr, "first": 1 / first, "root": 1 / sqrt(second)}


@rule(lr=1e-3, slots=lambda shape: _alike(shape, "m", "v"), numbers=_lamb_numbers)
def lamb(p, g, slots, n, *, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0):
    """LAMB (You et al., 2020): Adam's direction, as long as the parameter, so that large batches may take large rates.

    u = (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps) + weight_decay * p;
    p -= lr * |p| / |u| * u  (|p| / |u| is 1 where one of them is 0)
    """
    b1, b2 = betas
    m = slots["m"] * b1 + g * (1 - b1)
    v = slots["v"] * b2 + (g * g) * (1 - b2)
    u = m * n.first / (sqrt(v) * n.root + eps)
    if weight_decay:
        u = u + p * weight_decay
    length, of_step = sqrt(total(p * p)), sqrt(total(u * u))
    ratio = where((length == 0) | (of_step == 0), 1.0, length / of_step)
    return p - u * (n.lr * ratio), {"m": m, "v": v}


def _lion_numbers(t, lr, *, weight_decay, **_):
    return {"lr": lr, "kept": 1 - lr * weight_decay}


@rule(lr=1e-4, slots=lambda shape: _alike(shape, "m"), numbers=_lion_numbers)
def lion(p, g, slots, n, *, betas=(0.9, 0.99), weight_decay=0.0):
    """Lion (Chen et al., 2023): steps of one size, in the direction of the averages' signs.

    p -= lr * (sign(b1 m + (1 - b1) g) + weight_decay * p);  m = b2 m + (1 - b2) g
    """
    b1, b2 = betas
    m, change = slots["m"], g - slots["m"]  # what both need, so that they are one kernel
    direction = sign(m + change * (1 - b1))
    p = p * n.kept if weight_decay else p
    return p - direction * n.lr, {"m": m + change * (1 - b2)}


# ---- steps divided by the size of gradients ------------------------------------------------------------


def _rmsprop_slots(shape, momentum, centered):
    return _alike(shape, "square", *["mean"] * bool(centered), *["velocity"] * bool(momentum))


@rule(lr=1e-2, slots=_rmsprop_slots)
def rmsprop(p, g, slots, n, *, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False):
    """RMSprop (Hinton, 2012); centered: divided by the deviation of gradients, not by their size (Graves, 2013).

    g += weight_decay * p;  s = alpha s + (1 - alpha) g^2;  [centered: a = alpha a + (1 - alpha) g, s - a^2 in place of s]
    v = momentum * v + g / (sqrt(s) + eps);  p -= lr * v
    """
    if weight_decay:
        g = g + p * weight_decay
    square = slots["square"] * alpha + (g * g) * (1 - alpha)
    new, spread = {"square": square}, square
    if centered:
        average = new["mean"] = slots["mean"] * alpha + g * (1 - alpha)
        spread = maximum(square - average * average, 0.0)  # a rounding error below 0 has no root
    direction = g / (sqrt(spread) + eps)
    if momentum:
        direction = new["velocity"] = slots["velocity"] * momentum + direction
    return p - direction * n.lr, new


def _adagrad_slots(shape, initial_accumulator_value):
    return {"sum": (shape, float(initial_accumulator_value))}


def _adagrad_numbers(t, lr, *, lr_decay, **_):
    return {"lr": lr / (1 + (t - 1) * lr_decay)}


@rule(lr=1e-2, slots=_adagrad_slots, numbers=_adagrad_numbers)
def adagrad(p, g, slots, n, *, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10):
    """Adagrad (Duchi et al., 2011); s begins with initial_accumulator_value.

    g += weight_decay * p;  s += g^2;  p -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)
    """
    if weight_decay:
        g = g + p * weight_decay
    s = slots["sum"] + g * g
    return p - g * n.lr / (sqrt(s) + eps), {"sum": s}


# ---- Adafactor -----------------------------------------------------------------------------------------


def _adafactor_slots(shape):
    if len(shape) < 2:
        return _alike(shape, "v")
    return {"row": ((*shape[:-1], 1), 0.0), "column": ((*shape[:-2], 1, shape[-1]), 0.0)}


def _adafactor_numbers(t, lr, *, beta2_decay, weight_decay, **_):
    return {"rate": minimum(lr, 1 / sqrt(t)), "share": t**beta2_decay, "kept": 1 - lr * weight_decay}


@rule(lr=1e-2, slots=_adafactor_slots, numbers=_adafactor_numbers)
def adafactor(p, g, slots, n, *, beta2_decay=-0.8, eps=(None, 1e-3), d=1.0, weight_decay=0.0):
    """Adafactor (Shazeer & Stern, 2018), without first moments: second moments as a product of means of rows and columns.

    w = t^beta2_decay;  r = (1 - w) r + w mean(g^2, axis=-1);  c = (1 - w) c + w mean(g^2, axis=-2);  v = r c / mean(r)
    (arrays of fewer than two axes: v = (1 - w) v + w g^2);  u = g / sqrt(max(v, eps[0]^2));
    p *= 1 - lr * weight_decay;  p -= max(eps[1], rms(p)) * min(lr, 1 / sqrt(t)) * u / max(1, rms(u) / d)

    eps[0] None: the distance from 1 to the next number of the dtype. Memory: rows + columns instead of rows * columns.
    """
    tiny = float(np.finfo(p.dtype).eps) if eps[0] is None else eps[0]
    square, keep = g * g, 1 - n.share
    if p.ndim < 2:
        v = slots["v"] * keep + square * n.share
        new = {"v": v}
    else:
        row = slots["row"] * keep + mean(square, axis=-1, keepdims=True) * n.share
        column = slots["column"] * keep + mean(square, axis=-2, keepdims=True) * n.share
        v, new = row * column / maximum(mean(row, axis=-2, keepdims=True), tiny), {"row": row, "column": column}
    u = g / sqrt(maximum(v, tiny * tiny))
    size = maximum(_rms(p), eps[1]) * n.rate
    p = p * n.kept if weight_decay else p
    return p - u * (size / maximum(_rms(u) / d, 1.0)), new


def _rms(x):
    """The root of the mean square; 0 of an empty array."""
    return sqrt(total(x * x) / max(x.size, 1))
