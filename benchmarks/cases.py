"""The measured cases: each returns {contestant: function of no arguments}, all on the same inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import torch

import pequegrad as pg


def chain(x):
    """100 operations on a small array."""
    for _ in range(50):
        x = x + x
        x = x * 0.5
    return x


def lazy_op():
    """Building and running a chain of 100 operations on 10 float32; nothing keeps history."""
    data = np.random.default_rng(0).standard_normal(10).astype(np.float32)
    ours, theirs, jaxs = pg.Tensor(data), torch.tensor(data), jnp.asarray(data)

    def pequegrad():
        with pg.no_grad():
            chain(ours).eval()

    return {"pequegrad": pequegrad, "torch": lambda: chain(theirs), "jax": lambda: chain(jaxs).block_until_ready()}


def tracked_op():
    """The same with history kept for a gradient (Tensor's default; requires_grad in torch)."""
    data = np.random.default_rng(0).standard_normal(10).astype(np.float32)
    ours, theirs = pg.Tensor(data), torch.tensor(data, requires_grad=True)
    return {"pequegrad": lambda: chain(ours).numpy(), "torch": lambda: chain(theirs)}


def gradient_op():
    """The same with the gradient computed, too."""
    data = np.random.default_rng(0).standard_normal(10).astype(np.float32)
    ours, theirs = pg.Tensor(data), torch.tensor(data, requires_grad=True)
    return {
        "pequegrad": lambda: pg.grads([ours], chain(ours).sum())[0].numpy(),
        "torch": lambda: torch.autograd.grad(chain(theirs).sum(), theirs),
    }


def mlp_adam_step():
    """Loss, gradients and Adam of a 784-200-10 network on a batch of 4096."""
    rng = np.random.default_rng(0)
    normal = lambda *s: rng.standard_normal(s).astype(np.float32)
    x, y = normal(4096, 784), rng.integers(0, 10, 4096).astype(np.int32)
    weights = [normal(784, 200) * 0.05, np.zeros(200, np.float32), normal(200, 10) * 0.1, np.zeros(10, np.float32)]

    p = [pg.Tensor(w) for w in weights]
    px, py = pg.Tensor(x), pg.Tensor(y)
    adam = pg.optim.Adam(p, lr=1e-3)

    def step(x, y):
        loss = ((x @ p[0] + p[1]).relu() @ p[2] + p[3]).cross_entropy_loss_indices(y)
        adam.step(pg.grads(p, loss))
        return loss

    jitted = pg.jit(step)

    t = [torch.nn.Parameter(torch.tensor(w)) for w in weights]
    tx, ty = torch.tensor(x), torch.tensor(y).long()
    torch_adam = torch.optim.Adam(t, lr=1e-3, fused=True)

    def torch_step():
        torch_adam.zero_grad()
        loss = torch.nn.functional.cross_entropy(torch.relu(tx @ t[0] + t[1]) @ t[2] + t[3], ty)
        loss.backward()
        torch_adam.step()
        return loss

    def jax_loss(q, x, y):
        logits = jax.nn.relu(x @ q[0] + q[1]) @ q[2] + q[3]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1))

    @jax.jit
    def jax_step(q, m, v, n, x, y):
        loss, g = jax.value_and_grad(jax_loss)(q, x, y)
        m = [0.9 * a + 0.1 * b for a, b in zip(m, g)]
        v = [0.999 * a + 0.001 * b * b for a, b in zip(v, g)]
        q = [a - 1e-3 * (b / (1 - 0.9**n)) / (jnp.sqrt(c / (1 - 0.999**n)) + 1e-8) for a, b, c in zip(q, m, v)]
        return q, m, v, n + 1, loss

    q = [jnp.asarray(w) for w in weights]
    z = [jnp.zeros_like(w) for w in q]
    jx, jy, one = jnp.asarray(x), jnp.asarray(y), jnp.float32(1)
    return {
        "pequegrad jit": lambda: jitted(px, py).numpy(),
        "pequegrad eager": lambda: step(px, py).numpy(),
        "torch": torch_step,
        "jax jit": lambda: jax.block_until_ready(jax_step(q, z, z, one, jx, jy)),
    }


def matmul1024():
    """(1024, 1024) @ (1024, 1024) in float32."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((1024, 1024)).astype(np.float32) for _ in range(2))
    pa, pb, ta, tb = pg.Tensor(a), pg.Tensor(b), torch.tensor(a), torch.tensor(b)
    product = pg.jit(pg.matmul)
    jitted = jax.jit(jnp.matmul)
    ja, jb = jnp.asarray(a), jnp.asarray(b)
    return {
        "pequegrad": lambda: product(pa, pb),
        "torch": lambda: ta @ tb,
        "jax": lambda: jitted(ja, jb).block_until_ready(),
        "numpy": lambda: a @ b,
    }


def rnn_scan_gradient():
    """Gradient through a recurrent network of 64 units over 1,000 steps, batch 16: scan under jit; a loop in torch."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1000, 16, 64)).astype(np.float32), rng.standard_normal((64, 64)).astype(np.float32) / 8

    def loss(m, scan):
        return lambda w, x: (scan(lambda h, x: (m.tanh(h @ w + x), None), x[0], x)[0] ** 2).sum()

    ours, theirs = pg.jit(pg.grad(loss(pg, pg.scan))), jax.jit(jax.grad(loss(jnp, jax.lax.scan)))
    pw, px, jw, jx = pg.Tensor(w), pg.Tensor(x), jnp.asarray(w), jnp.asarray(x)
    tw, tx = torch.tensor(w, requires_grad=True), torch.tensor(x)

    def torch_gradient():
        h = tx[0]
        for row in tx:
            h = torch.tanh(h @ tw + row)
        return torch.autograd.grad((h**2).sum(), tw)

    return {
        "pequegrad": lambda: ours(pw, px),
        "torch": torch_gradient,
        "jax": lambda: theirs(jw, jx).block_until_ready(),
    }


def conv2d():
    """A 3x3 convolution of (32, 64, 32, 32) with 64 output channels."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((32, 64, 32, 32), (64, 64, 3, 3)))
    ours = pg.jit(lambda x, w: pg.conv2d(x, w, padding=1))
    theirs = jax.jit(lambda x, w: jax.lax.conv_general_dilated(x, w, (1, 1), "SAME"))
    px, pw, tx, tw, jx, jw = (
        pg.Tensor(x),
        pg.Tensor(w),
        torch.tensor(x),
        torch.tensor(w),
        jnp.asarray(x),
        jnp.asarray(w),
    )
    return {
        "pequegrad": lambda: ours(px, pw),
        "torch": lambda: torch.nn.functional.conv2d(tx, tw, padding=1),
        "jax": lambda: theirs(jx, jw).block_until_ready(),
    }


def sort_million():
    """Sorting a million float32."""
    x = np.random.default_rng(0).standard_normal(1_000_000).astype(np.float32)
    ours, theirs = pg.jit(pg.sort), jax.jit(jnp.sort)
    px, tx, jx = pg.Tensor(x), torch.tensor(x), jnp.asarray(x)
    return {
        "pequegrad": lambda: ours(px),
        "torch": lambda: torch.sort(tx),
        "jax": lambda: theirs(jx).block_until_ready(),
        "numpy": lambda: np.sort(x, kind="stable"),
    }


def fft_batch():
    """rfft of 256 rows of 4,096 float32."""
    x = np.random.default_rng(0).standard_normal((256, 4096)).astype(np.float32)
    ours, theirs = pg.jit(lambda x: pg.fft.rfft(x)), jax.jit(jnp.fft.rfft)
    px, tx, jx = pg.Tensor(x), torch.tensor(x), jnp.asarray(x)
    return {
        "pequegrad": lambda: ours(px),
        "torch": lambda: torch.fft.rfft(tx),
        "jax": lambda: theirs(jx).block_until_ready(),
        "numpy": lambda: np.fft.rfft(x),
    }
