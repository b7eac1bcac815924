"""The contestants under one interface, so that a case is written once: its mathematics, on the same inputs.

Where libraries differ in more than names, each does what its users would write: PyTorch has a function for
layer_norm, attention and the cross entropy, the others compose them.
"""

import functools
import math

import numpy as np
import optree

CONTESTANTS = ("pequegrad", "unfused", "jax", "torch", "torch.compile", "numpy")
PEERS = ("jax", "torch", "torch.compile", "numpy")
ENVIRONMENT = {"unfused": {"PG_CC": "none"}}  # our jit without a compiler: every operation a kernel of its own


def library(contestant):
    """The library of one of CONTESTANTS, imported now."""
    kinds = {
        "pequegrad": Pequegrad,
        "unfused": Pequegrad,
        "jax": Jax,
        "torch": Torch,
        "numpy": Numpy,
        "onnxruntime": OnnxRuntime,
    }
    return CompiledTorch() if contestant == "torch.compile" else kinds[contestant]()


class Library:
    """What a case may use: `m` is the module of functions with NumPy's names; other attributes are what has no common name.

    jit(f), value_and_grad(f, argnums), grad(f, argnums): as in JAX, jitted. fori_loop, scan: JAX's.
    """

    def tensor(self, data, dtype=None):
        """`data` as an array of the library; dtype: None or "bfloat16"."""
        raise NotImplementedError

    def tensors(self, *data):
        return tuple(map(self.tensor, data))

    def indices(self, data):
        """Class numbers and positions in the integer type that the library wants."""
        return self.tensor(data)

    def call(self, function, arguments):
        """A function of no arguments that returns when function(*arguments) has been computed."""
        return functools.partial(function, *arguments)

    def arrays(self, result):
        """The leaves of a result as NumPy arrays; bfloat16 as float32."""
        arrays = [np.asarray(leaf) for leaf in optree.tree_leaves(result)]
        return [a.astype(np.float32) if a.dtype.name == "bfloat16" else a for a in arrays]

    def empty_cache(self):
        """Gives memory that the library keeps for itself back to the C library."""

    def set_threads(self, n):
        """The number of threads; what the environment and the processor affinity do not say already."""

    def cross_entropy(self, logits, y):
        log_p = self.log_softmax(logits)
        return -self.m.mean(self.m.take_along_axis(log_p, y[:, None], 1))

    def layer_norm(self, x, weight, bias=None):
        mean = self.m.mean(x, axis=-1, keepdims=True)
        variance = self.m.mean((x - mean) ** 2, axis=-1, keepdims=True)
        y = (x - mean) * self.rsqrt(variance + 1e-5) * weight
        return y if bias is None else y + bias

    def causal_attention(self, q, k, v):
        """softmax(q k^T / sqrt(d)) v, each position seeing itself and those before it; [..., time, d]."""
        length = q.shape[-2]
        scores = q @ self.m.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
        mask = self.m.tril(self.m.ones((length, length), dtype=bool))
        return self.softmax(self.m.where(mask, scores, -1e9)) @ v

    def adam(self, parameters, gradients):
        """(function, arguments): one step from zero moments; the result is (parameters, m, v)."""
        zeros = optree.tree_map(self.m.zeros_like, parameters)
        one = self.tensor(np.float32(1))
        return self.jit(functools.partial(adam_update, self.m)), (parameters, gradients, zeros, zeros, one)


def adam_update(m, p, g, mean, square, t):
    """Adam as in the paper, over pytrees: (parameters, first moments, second moments); `m` has sqrt."""
    mean = optree.tree_map(lambda a, b: 0.9 * a + 0.1 * b, mean, g)
    square = optree.tree_map(lambda a, b: 0.999 * a + 0.001 * b * b, square, g)
    step = lambda a, b, c: a - 0.001 * (b / (1 - 0.9**t)) / (m.sqrt(c / (1 - 0.999**t)) + 1e-8)
    return optree.tree_map(step, p, mean, square), mean, square


class Pequegrad(Library):
    name = "pequegrad"

    def __init__(self):
        import pequegrad as pg

        self.m, self.jit, self.scan, self.fori_loop = pg, pg.jit, pg.scan, pg.fori_loop
        self.rsqrt, self.log_softmax, self.softmax = pg.rsqrt, pg.log_softmax, pg.softmax
        self.rfft, self.relu = pg.fft.rfft, pg.relu
        self.gelu = functools.partial(pg.gelu, approximate=True)  # the form that jax.nn.gelu has
        self.empty_cache, self.set_threads = pg.empty_cache, pg.set_num_threads
        self.max_pool2d, self.sort, self.take_along_axis = pg.max_pool2d, pg.sort, pg.take_along_axis
        self.gather_rows = lambda x, i: x[i]

    def tensor(self, data, dtype=None):
        x = self.m.Tensor(data)
        return (x if dtype is None else x.astype(dtype)).eval()

    def value_and_grad(self, f, argnums=0):
        return self.jit(self.m.value_and_grad(f, argnums))

    def grad(self, f, argnums=0):
        return self.jit(self.m.grad(f, argnums))

    def imported(self, name):
        from .torch_models import exported

        return self.jit(self.m.onnx.load(exported(name)))

    def conv2d(self, x, w, groups=1):
        return self.m.conv2d(x, w, padding=w.shape[-1] // 2, groups=groups)

    def segment_sum(self, x, segments, n):
        return self.m.segment_sum(x, segments, n)


class Jax(Library):
    name = "jax"

    def __init__(self):
        import jax
        import jax.numpy as jnp

        self.jax, self.m, self.jit, self.scan, self.fori_loop = jax, jnp, jax.jit, jax.lax.scan, jax.lax.fori_loop
        self.rsqrt, self.log_softmax, self.softmax = jax.lax.rsqrt, jax.nn.log_softmax, jax.nn.softmax
        self.rfft, self.relu, self.gelu = jnp.fft.rfft, jax.nn.relu, jax.nn.gelu
        self.sort, self.take_along_axis, self.gather_rows = jnp.sort, jnp.take_along_axis, lambda x, i: x[i]

    def tensor(self, data, dtype=None):
        return self.m.asarray(data, dtype=dtype)

    def call(self, function, arguments):
        return lambda: self.jax.block_until_ready(function(*arguments))

    def value_and_grad(self, f, argnums=0):
        return self.jit(self.jax.value_and_grad(f, argnums))

    def grad(self, f, argnums=0):
        return self.jit(self.jax.grad(f, argnums))

    def conv2d(self, x, w, groups=1):
        return self.jax.lax.conv_general_dilated(
            x, w, (1, 1), "SAME", dimension_numbers=("NCHW", "OIHW", "NCHW"), feature_group_count=groups
        )

    def max_pool2d(self, x, n):
        window = (1, 1, n, n)
        return self.jax.lax.reduce_window(x, -self.m.inf, self.jax.lax.max, window, window, "VALID")

    def segment_sum(self, x, segments, n):
        return self.jax.ops.segment_sum(x, segments, n)


class Torch(Library):
    """PyTorch, eager."""

    name = "torch"

    def __init__(self):
        import torch
        import torch.nn.functional as F

        self.m, self.F = torch, F
        self.rsqrt, self.rfft, self.relu = torch.rsqrt, torch.fft.rfft, torch.relu
        self.log_softmax = functools.partial(F.log_softmax, dim=-1)
        self.softmax = functools.partial(F.softmax, dim=-1)
        self.gelu = functools.partial(F.gelu, approximate="tanh")
        self.max_pool2d, self.cross_entropy, self.set_threads = F.max_pool2d, F.cross_entropy, torch.set_num_threads
        self.sort, self.take_along_axis = lambda x: torch.sort(x).values, torch.take_along_dim
        self.gather_rows = lambda x, i: x.index_select(0, i)

    def tensor(self, data, dtype=None):
        x = self.m.tensor(data)
        return x if dtype is None else x.to(getattr(self.m, dtype))

    def indices(self, data):
        return self.m.tensor(data).long()

    def arrays(self, result):
        leaves = optree.tree_leaves(result)
        return [(x.detach().float() if x.dtype == self.m.bfloat16 else x.detach()).numpy().copy() for x in leaves]

    def jit(self, f):
        return f

    def imported(self, name):
        """A network as it is before it is exported."""
        from .torch_models import network

        return self.m.inference_mode()(network(name))

    def value_and_grad(self, f, argnums=0):
        positions = (argnums,) if isinstance(argnums, int) else argnums
        compiled = self.jit(f)

        def call(*args):
            leaves, structure = optree.tree_flatten(tuple(args[i] for i in positions))
            for leaf in leaves:
                leaf.requires_grad_()
            value = compiled(*args)
            found = structure.unflatten(self.m.autograd.grad(value, leaves))
            return value, found[0] if isinstance(argnums, int) else found

        return call

    def grad(self, f, argnums=0):
        both = self.value_and_grad(f, argnums)
        return lambda *args: both(*args)[1]

    def scan(self, f, carry, xs):
        rows = []
        for row in xs:
            carry, y = f(carry, row)
            rows.append(y)
        return carry, None if rows[0] is None else self.m.stack(rows)

    def fori_loop(self, lower, upper, f, x):
        for i in range(lower, upper):
            x = f(i, x)
        return x

    def conv2d(self, x, w, groups=1):
        return self.F.conv2d(x, w, padding=w.shape[-1] // 2, groups=groups)

    def layer_norm(self, x, weight, bias=None):
        return self.F.layer_norm(x, weight.shape, weight, bias)

    def causal_attention(self, q, k, v):
        return self.F.scaled_dot_product_attention(q, k, v, is_causal=True)

    def segment_sum(self, x, segments, n):
        return self.m.zeros((n, *x.shape[1:])).index_add(0, segments, x)

    def adam(self, parameters, gradients):
        """The fused optimiser, which changes its tensors: each call is one step further."""
        step = self.optimizer(parameters)
        return (lambda g: step(g)), (gradients,)

    def optimizer(self, parameters):
        """A function of gradients that does one step: the tensors as Library.adam returns them."""
        leaves, structure = optree.tree_flatten(parameters)
        optimizer = self.m.optim.Adam(leaves, lr=0.001, fused=True)

        def step(gradients):
            for leaf, g in zip(leaves, optree.tree_leaves(gradients)):
                leaf.grad = g
            optimizer.step()
            moments = [
                structure.unflatten([optimizer.state[leaf][name] for leaf in leaves])
                for name in ("exp_avg", "exp_avg_sq")
            ]
            return parameters, *moments

        return step


class CompiledTorch(Torch):
    """PyTorch with torch.compile; as usual the optimiser is the fused one, and gradients are taken of the compiled loss."""

    def jit(self, f):
        return self.m.compile(f)


class Numpy(Library):
    name = "numpy"

    def __init__(self):
        self.m, self.tensor, self.rfft = np, lambda data, dtype=None: data, np.fft.rfft
        self.sort = functools.partial(np.sort, kind="stable")

    def jit(self, f):
        return f


class OnnxRuntime(Library):
    """Only what runs exported models."""

    name = "onnxruntime"

    def __init__(self):
        import onnxruntime

        self.m, self.options = onnxruntime, onnxruntime.SessionOptions()

    def set_threads(self, n):
        self.options.intra_op_num_threads, self.options.inter_op_num_threads = n, 1

    def tensor(self, data, dtype=None):
        return data

    def imported(self, name):
        from .torch_models import exported

        session = self.m.InferenceSession(exported(name), self.options, providers=["CPUExecutionProvider"])
        return lambda x: session.run(None, {"x": x})[0]
