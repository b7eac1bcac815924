"""jax.example_libraries.optimizers: an optimiser is (init_fun, update_fun, get_params).

init_fun(params) gives a state, update_fun(step number, gradients, state) the next one, get_params(state) the parameters.
`@optimizer` makes such functions of pytrees from functions of one array. Learning rates are numbers or schedules, that is functions
of the step number.
"""

import functools
from collections import namedtuple
from typing import NamedTuple

from .. import numpy as jnp
from .. import tree, tree_util

# the leaves of the states of all parameters, a list of lists; the structure of the parameters; those of the states
OptimizerState = namedtuple("OptimizerState", ["packed_state", "tree_def", "subtree_defs"])
tree_util.register_pytree_node(
    OptimizerState,
    lambda state: ((state.packed_state,), (state.tree_def, state.subtree_defs)),
    lambda structures, children: OptimizerState(*children, *structures),
)


class Optimizer(NamedTuple):
    """The three functions of an optimiser."""

    init_fn: object
    update_fn: object
    params_fn: object


def optimizer(opt_maker):
    """Decorator: a function that makes an optimiser of one array becomes one that makes an optimiser of pytrees."""

    @functools.wraps(opt_maker)
    def tree_opt_maker(*args, **kwargs):
        init, update, get_params = opt_maker(*args, **kwargs)

        def unpacked(state):
            return [
                tree.unflatten(structure, leaves) for structure, leaves in zip(state.subtree_defs, state.packed_state)
            ]

        @functools.wraps(init)
        def tree_init(params):
            leaves, structure = tree.flatten(params)
            packed = [tree.flatten(init(x)) for x in leaves]
            return OptimizerState([found for found, _ in packed], structure, [part for _, part in packed])

        @functools.wraps(update)
        def tree_update(i, gradients, state):
            leaves, structure = tree.flatten(gradients)
            if structure != state.tree_def:
                raise TypeError(
                    "optimizer update function was passed a gradient tree that did not match the parameter tree structure with "
                    f"which it was initialized: parameter tree {state.tree_def} and grad tree {structure}."
                )
            packed = [tree.flatten(update(i, g, part)) for g, part in zip(leaves, unpacked(state))]
            for (_, found), before in zip(packed, state.subtree_defs):
                if found != before:
                    raise TypeError(
                        "optimizer update function produced an output structure that did not match its input structure: "
                        f"input {before} and output {found}."
                    )
            return OptimizerState([found for found, _ in packed], state.tree_def, state.subtree_defs)

        @functools.wraps(get_params)
        def tree_get_params(state):
            return tree.unflatten(state.tree_def, [get_params(part) for part in unpacked(state)])

        return Optimizer(tree_init, tree_update, tree_get_params)

    return tree_opt_maker


# ---- optimisers --------------------------------------------------------------------------------------


def _with_zeros(count):
    """init: (x, 0, ...), as many zeros as the optimiser has averages."""
    return lambda x0: (x0, *(jnp.zeros_like(x0) for _ in range(count)))


def _first(state):
    return state[0]


@optimizer
def sgd(step_size):
    """x - step_size * g"""
    step_size = make_schedule(step_size)
    return lambda x0: x0, lambda i, g, x: x - step_size(i) * g, lambda x: x


@optimizer
def momentum(step_size, mass):
    """Gradient descent along v = mass * v + g."""
    step_size = make_schedule(step_size)

    def update(i, g, state):
        x, velocity = state
        velocity = mass * velocity + g
        return x - step_size(i) * velocity, velocity

    return _with_zeros(1), update, _first


@optimizer
def nesterov(step_size, mass):
    """momentum that looks ahead (Nesterov, 1983)."""
    step_size = make_schedule(step_size)

    def update(i, g, state):
        x, velocity = state
        velocity = mass * velocity + g
        return x - step_size(i) * (mass * velocity + g), velocity

    return _with_zeros(1), update, _first


def _inverse_root(squares):
    """1 / sqrt(squares), 0 where they are 0."""
    return jnp.where(squares > 0, 1.0 / jnp.sqrt(squares), 0.0)


@optimizer
def adagrad(step_size, momentum=0.9):
    """Steps divided by the root of the sum of all squared gradients (Duchi et al., 2011), with momentum."""
    step_size = make_schedule(step_size)

    def update(i, g, state):
        x, squares, average = state
        squares = squares + jnp.square(g)
        average = (1.0 - momentum) * (g * _inverse_root(squares)) + momentum * average
        return x - step_size(i) * average, squares, average

    return _with_zeros(2), update, _first


@optimizer
def rmsprop(step_size, gamma=0.9, eps=1e-08):
    """Steps divided by the root of a running mean of squared gradients."""
    step_size = make_schedule(step_size)

    def update(i, g, state):
        x, squares = state
        squares = squares * gamma + jnp.square(g) * (1.0 - gamma)
        return x - step_size(i) * g / jnp.sqrt(squares + eps), squares

    return _with_zeros(1), update, _first


@optimizer
def rmsprop_momentum(step_size, gamma=0.9, eps=1e-08, momentum=0.9):
    """rmsprop with momentum."""
    step_size = make_schedule(step_size)

    def update(i, g, state):
        x, squares, velocity = state
        squares = squares * gamma + jnp.square(g) * (1.0 - gamma)
        velocity = momentum * velocity + step_size(i) * g / jnp.sqrt(squares + eps)
        return x - velocity, squares, velocity

    return _with_zeros(2), update, _first


def _corrected(average, decay, i):
    """A running mean that began with 0, divided by the weight of what came since."""
    return average / (1 - jnp.asarray(decay, average.dtype) ** (i + 1))


@optimizer
def adam(step_size, b1=0.9, b2=0.999, eps=1e-08):
    """Steps along the mean gradient, divided by the root of the mean squared gradient (Kingma and Ba, 2014)."""
    step_size = make_schedule(step_size)

    def update(i, g, state):
        x, mean, squares = state
        mean = (1 - b1) * g + b1 * mean
        squares = (1 - b2) * jnp.square(g) + b2 * squares
        step = step_size(i) * _corrected(mean, b1, i) / (jnp.sqrt(_corrected(squares, b2, i)) + eps)
        return x - step, mean, squares

    return _with_zeros(2), update, _first


@optimizer
def adamax(step_size, b1=0.9, b2=0.999, eps=1e-08):
    """adam with the largest, decaying, absolute gradient in place of the root."""
    step_size = make_schedule(step_size)

    def update(i, g, state):
        x, mean, largest = state
        mean = (1 - b1) * g + b1 * mean
        largest = jnp.maximum(b2 * largest, jnp.abs(g))
        rate = step_size(i) / (1 - jnp.asarray(b1, mean.dtype) ** (i + 1))
        return x - rate * mean / (largest + eps), mean, largest

    return _with_zeros(2), update, _first


@optimizer
def sm3(step_size, momentum=0.9):
    """adagrad with one sum for each row and column instead of each element (Anil et al., 2019)."""
    step_size = make_schedule(step_size)

    def init(x0):
        x = jnp.atleast_1d(x0)
        return x, jnp.zeros_like(x), [jnp.zeros(n, dtype=x.dtype) for n in x.shape], x0.shape

    def update(i, g, state):
        x, average, sums, shape = state
        others = [tuple(b for b in range(x.ndim) if b != a) for a in range(x.ndim)]
        sums = [jnp.expand_dims(v, axes) for v, axes in zip(sums, others)]
        squares = functools.reduce(jnp.minimum, sums) + jnp.square(g)
        average = (1.0 - momentum) * (g * _inverse_root(squares)) + momentum * average
        return x - step_size(i) * average, average, [squares.max(axes) for axes in others], shape

    return init, update, lambda state: state[0].reshape(state[-1])


# ---- learning rates ----------------------------------------------------------------------------------


def constant(step_size):
    """Always step_size."""
    return lambda i: step_size


def exponential_decay(step_size, decay_steps, decay_rate):
    """step_size * decay_rate ** (i / decay_steps)"""
    return lambda i: step_size * decay_rate ** (i / decay_steps)


def inverse_time_decay(step_size, decay_steps, decay_rate, staircase=False):
    """step_size / (1 + decay_rate * i / decay_steps); staircase: of whole multiples of decay_steps."""
    if staircase:
        return lambda i: step_size / (1 + decay_rate * jnp.floor(i / decay_steps))
    return lambda i: step_size / (1 + decay_rate * i / decay_steps)


def polynomial_decay(step_size, decay_steps, final_step_size, power=1.0):
    """From step_size to final_step_size in decay_steps steps, as (1 - i / decay_steps) ** power."""

    def schedule(step_num):
        left = (1 - jnp.minimum(step_num, decay_steps) / decay_steps) ** power
        return left * (step_size - final_step_size) + final_step_size

    return schedule


def piecewise_constant(boundaries, values):
    """The first of `values` up to the first boundary, the second up to the second, ..."""
    boundaries, values = jnp.array(boundaries), jnp.array(values)
    if not boundaries.ndim == values.ndim == 1:
        raise ValueError("boundaries and values must be sequences")
    if boundaries.shape[0] != values.shape[0] - 1:
        raise ValueError("boundaries length must be one shorter than values length")
    return lambda i: values[jnp.sum(i > boundaries)]


def make_schedule(scalar_or_schedule):
    """A number as a schedule; schedules as they are."""
    if callable(scalar_or_schedule):
        return scalar_or_schedule
    if jnp.ndim(scalar_or_schedule) == 0:
        return constant(scalar_or_schedule)
    raise TypeError(type(scalar_or_schedule))


# ---- gradients and states ----------------------------------------------------------------------------


def l2_norm(tree):
    """The norm of all leaves as one vector."""
    return jnp.sqrt(sum(jnp.vdot(x, x) for x in tree_util.tree_leaves(tree)))


def clip_grads(grad_tree, max_norm):
    """Gradients, made shorter if their norm exceeds max_norm."""
    norm = l2_norm(grad_tree)
    return tree_util.tree_map(lambda g: jnp.where(norm < max_norm, g, g * (max_norm / norm)), grad_tree)


class JoinPoint:
    """Where in a tree of parameters the state of one of them is; see unpack_optimizer_state."""

    def __init__(self, subtree):
        self.subtree = subtree

    def __iter__(self):
        yield self.subtree


def unpack_optimizer_state(opt_state):
    """A state as a tree of the structure of the parameters, whose leaves are JoinPoints: to be saved."""
    states = [tree.unflatten(part, leaves) for part, leaves in zip(opt_state.subtree_defs, opt_state.packed_state)]
    return tree.unflatten(opt_state.tree_def, [JoinPoint(state) for state in states])


def pack_optimizer_state(marked_pytree):
    """The state of which unpack_optimizer_state made this tree."""
    points, structure = tree.flatten(marked_pytree)
    assert all(isinstance(point, JoinPoint) for point in points)
    packed = [tree.flatten(point.subtree) for point in points]
    return OptimizerState([leaves for leaves, _ in packed], structure, [part for _, part in packed])


__all__ = [
    "JoinPoint", "Optimizer", "OptimizerState", "adagrad", "adam", "adamax", "clip_grads", "constant", "exponential_decay",
    "inverse_time_decay", "l2_norm", "make_schedule", "momentum", "nesterov", "optimizer", "pack_optimizer_state",
    "piecewise_constant", "polynomial_decay", "rmsprop", "rmsprop_momentum", "sgd", "sm3", "unpack_optimizer_state",
]  # fmt: skip
