"""jax.example_libraries.stax: a layer is a pair of functions.

init_fun(key, input_shape) gives (output shape, parameters); apply_fun(parameters, inputs, rng=key) gives the outputs.
Without parameters these are an empty tuple.
"""

import functools
import math

import numpy as np

from .. import lax, random
from .. import numpy as jnp
from ..nn import elu, gelu, leaky_relu, log_softmax, relu, selu, sigmoid, softmax, softplus, standardize
from ..nn.initializers import glorot_normal, normal, ones, zeros

glorot, randn, logsoftmax = glorot_normal, normal, log_softmax

# ---- layers with parameters --------------------------------------------------------------------------


# defaults
_glorot, _normal, _small = glorot_normal(), normal(), normal(1e-06)


def Dense(out_dim, W_init=_glorot, b_init=_normal):
    """x W + b over the last axis."""

    def init_fun(rng, input_shape):
        key_w, key_b = random.split(rng)
        return (*input_shape[:-1], out_dim), (W_init(key_w, (input_shape[-1], out_dim)), b_init(key_b, (out_dim,)))

    def apply_fun(params, inputs, **kwargs):
        W, b = params
        return jnp.dot(inputs, W) + b

    return init_fun, apply_fun


def _convolution(convolve, shape_of, dimension_numbers, out_chan, filter_shape, strides, padding, W_init, b_init):
    """The layer of lax function `convolve`, whose result has shape shape_of(input shape, kernel shape, ...)."""
    lhs, rhs, out = dimension_numbers
    strides = strides or (1,) * len(filter_shape)
    W_init = W_init or glorot_normal(rhs.index("I"), rhs.index("O"))

    def init_fun(rng, input_shape):
        sizes = iter(filter_shape)
        known = {"O": out_chan, "I": input_shape[lhs.index("C")]}
        kernel_shape = [known[c] if c in known else next(sizes) for c in rhs]
        bias_shape = [out_chan if c == "C" else 1 for c in out]
        key_w, key_b = random.split(rng)
        output_shape = shape_of(input_shape, kernel_shape, strides, padding, dimension_numbers)
        return output_shape, (W_init(key_w, kernel_shape), b_init(key_b, bias_shape))

    def apply_fun(params, inputs, **kwargs):
        W, b = params
        return convolve(inputs, W, strides, padding, dimension_numbers=dimension_numbers) + b

    return init_fun, apply_fun


def GeneralConv(dimension_numbers, out_chan, filter_shape, strides=None, padding="VALID", W_init=None, b_init=_small):
    """A convolution with bias; dimension_numbers: layouts of input, kernel and output, such as ("NHWC", "HWIO", "NHWC")."""
    return _convolution(
        lax.conv_general_dilated, lax.conv_general_shape_tuple, dimension_numbers, out_chan, filter_shape, strides, padding,
        W_init, b_init,
    )  # fmt: skip


Conv = functools.partial(GeneralConv, ("NHWC", "HWIO", "NHWC"))


def GeneralConvTranspose(
    dimension_numbers, out_chan, filter_shape, strides=None, padding="VALID", W_init=None, b_init=_small
):
    """A transposed convolution with bias; see GeneralConv."""
    return _convolution(
        lax.conv_transpose, lax.conv_transpose_shape_tuple, dimension_numbers, out_chan, filter_shape, strides, padding,
        W_init, b_init,
    )  # fmt: skip


Conv1DTranspose = functools.partial(GeneralConvTranspose, ("NHC", "HIO", "NHC"))
ConvTranspose = functools.partial(GeneralConvTranspose, ("NHWC", "HWIO", "NHWC"))


def BatchNorm(axis=(0, 1, 2), epsilon=1e-05, center=True, scale=True, beta_init=zeros, gamma_init=ones):
    """gamma * standardize(x) + beta over `axis`, with a gamma and a beta for each place on the other axes."""
    axis = (axis,) if np.isscalar(axis) else axis

    def init_fun(rng, input_shape):
        shape = tuple(n for i, n in enumerate(input_shape) if i not in axis)
        key_beta, key_gamma = random.split(rng)
        return input_shape, (
            beta_init(key_beta, shape) if center else (),
            gamma_init(key_gamma, shape) if scale else (),
        )

    def apply_fun(params, x, **kwargs):
        beta, gamma = params
        beside = tuple(None if i in axis else slice(None) for i in range(x.ndim))
        z = standardize(x, axis, epsilon=epsilon)
        z = gamma[beside] * z if scale else z
        return z + beta[beside] if center else z

    return init_fun, apply_fun


# ---- layers without parameters -----------------------------------------------------------------------


def elementwise(fun, **fun_kwargs):
    """The layer of an elementwise function."""
    return lambda rng, input_shape: (input_shape, ()), lambda params, inputs, **kwargs: fun(inputs, **fun_kwargs)


Tanh = elementwise(jnp.tanh)
Relu = elementwise(relu)
Exp = elementwise(jnp.exp)
LogSoftmax = elementwise(log_softmax, axis=-1)
Softmax = elementwise(softmax, axis=-1)
Softplus = elementwise(softplus)
Sigmoid = elementwise(sigmoid)
Elu = elementwise(elu)
LeakyRelu = elementwise(leaky_relu)
Selu = elementwise(selu)
Gelu = elementwise(gelu)
Identity = elementwise(lambda inputs: inputs)
Flatten = (
    lambda rng, input_shape: ((input_shape[0], math.prod(input_shape[1:])), ()),
    lambda params, inputs, **kwargs: jnp.reshape(inputs, (inputs.shape[0], -1)),
)


def _inserted(values, axes, value):
    """The tuple `values` with `value` at each of these places."""
    for i in sorted(axes):
        values = (*values[:i], value, *values[i:])
    return values


def _pooling(reducer, initial, mean=False):
    """The maker of layers that reduce over windows; mean: and divide by the number of elements under each."""

    def PoolingLayer(window_shape, strides=None, padding="VALID", spec=None):
        """A layer that reduces over windows; spec: the layout, such as "NHWC"."""
        steps = strides or (1,) * len(window_shape)
        others = (0, len(window_shape) + 1) if spec is None else (spec.index("N"), spec.index("C"))
        window, step = (_inserted(tuple(v), others, 1) for v in (window_shape, steps))

        def init_fun(rng, input_shape):
            pads = lax.padtype_to_pads(input_shape, window, step, padding)
            unit = (1,) * len(window)
            return lax.reduce_window_shape_tuple(input_shape, window, step, pads, unit, unit), ()

        def apply_fun(params, inputs, **kwargs):
            out = lax.reduce_window(inputs, initial, reducer, window, step, padding)
            if not mean:
                return out
            shape = tuple(1 if i in others else n for i, n in enumerate(inputs.shape))
            return out / lax.reduce_window(jnp.ones(shape, inputs.dtype), 0.0, lax.add, window, step, padding)

        return init_fun, apply_fun

    return PoolingLayer


MaxPool = _pooling(lax.max, -jnp.inf)
SumPool = _pooling(lax.add, 0.0)
AvgPool = _pooling(lax.add, 0.0, mean=True)


def Dropout(rate, mode="train"):
    """Keeps each element with probability `rate`, divided by it; 0 for the others. In another mode: the inputs."""

    def apply_fun(params, inputs, **kwargs):
        rng = kwargs.get("rng")
        if rng is None:
            raise ValueError(
                "Dropout layer requires apply_fun to be called with a PRNG key argument. "
                "That is, instead of `apply_fun(params, inputs)`, call `apply_fun(params, inputs, rng=key)`."
            )
        if mode != "train":
            return inputs
        return jnp.where(random.bernoulli(rng, rate, inputs.shape), inputs / rate, 0)

    return lambda rng, input_shape: (input_shape, ()), apply_fun


# ---- several inputs or outputs -----------------------------------------------------------------------


def FanOut(num):
    """Its input `num` times."""
    return lambda rng, input_shape: ([input_shape] * num, ()), lambda params, inputs, **kwargs: [inputs] * num


FanInSum = lambda rng, input_shape: (input_shape[0], ()), lambda params, inputs, **kwargs: sum(inputs)


def FanInConcat(axis=-1):
    """Its inputs, one after the other along `axis`."""

    def init_fun(rng, input_shape):
        first = input_shape[0]
        place = axis % len(first)
        return (*first[:place], sum(shape[place] for shape in input_shape), *first[place + 1 :]), ()

    return init_fun, lambda params, inputs, **kwargs: jnp.concatenate(inputs, axis)


# ---- layers of layers --------------------------------------------------------------------------------


def _keys(kwargs, count):
    """(kwargs without rng, a key for each layer, or None)."""
    rng = kwargs.pop("rng", None)
    return kwargs, (None,) * count if rng is None else random.split(rng, count)


def serial(*layers):
    """One layer after the other."""
    init_funs, apply_funs = zip(*layers)

    def init_fun(rng, input_shape):
        params = []
        for init in init_funs:
            rng, key = random.split(rng)
            input_shape, param = init(key, input_shape)
            params.append(param)
        return input_shape, params

    def apply_fun(params, inputs, **kwargs):
        kwargs, keys = _keys(kwargs, len(layers))
        for apply, param, key in zip(apply_funs, params, keys):
            inputs = apply(param, inputs, rng=key, **kwargs)
        return inputs

    return init_fun, apply_fun


def parallel(*layers):
    """Layers side by side, each with an input of its own; gives the list of their outputs."""
    init_funs, apply_funs = zip(*layers)

    def init_fun(rng, input_shape):
        return zip(
            *[init(key, shape) for init, key, shape in zip(init_funs, random.split(rng, len(layers)), input_shape)]
        )

    def apply_fun(params, inputs, **kwargs):
        kwargs, keys = _keys(kwargs, len(layers))
        return [apply(p, x, rng=key, **kwargs) for apply, p, x, key in zip(apply_funs, params, inputs, keys)]

    return init_fun, apply_fun


def shape_dependent(make_layer):
    """The layer that make_layer(input shape) makes."""

    def init_fun(rng, input_shape):
        return make_layer(input_shape)[0](rng, input_shape)

    def apply_fun(params, inputs, **kwargs):
        return make_layer(inputs.shape)[1](params, inputs, **kwargs)

    return init_fun, apply_fun


__all__ = [
    "AvgPool", "BatchNorm", "Conv", "Conv1DTranspose", "ConvTranspose", "Dense", "Dropout", "Elu", "Exp", "FanInConcat", "FanInSum",
    "FanOut", "Flatten", "Gelu", "GeneralConv", "GeneralConvTranspose", "Identity", "LeakyRelu", "LogSoftmax", "MaxPool", "Relu",
    "Selu", "Sigmoid", "Softmax", "Softplus", "SumPool", "Tanh", "elementwise", "elu", "gelu", "glorot", "glorot_normal", "leaky_relu",
    "log_softmax", "logsoftmax", "normal", "ones", "parallel", "randn", "relu", "selu", "serial", "shape_dependent", "sigmoid",
    "softmax", "softplus", "standardize", "zeros",
]  # fmt: skip
