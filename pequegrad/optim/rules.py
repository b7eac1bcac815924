"""Update rules: SGD and Adam."""

from ..core.dtype import dt
from ..core.errors import ArgumentError
from ..ops.arithmetic import sqrt
from .optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent.

    g += weight_decay * p;  v = momentum * v + g;  p -= lr * v   (nesterov: p -= lr * (g + momentum * v))
    """

    def __init__(self, parameters, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
        self.slots = ("velocity",) if momentum else ()
        super().__init__(parameters, lr)
        if nesterov and not momentum:
            raise ArgumentError("SGD: nesterov needs a momentum > 0.")
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay

    def update(self, p, g, state, t):
        momentum, weight_decay = self.hyperparameter("momentum"), self.hyperparameter("weight_decay")
        if weight_decay:
            g = g + p * weight_decay
        if not momentum:
            return p - g * self.lr, {}
        velocity = state["velocity"] * momentum + g
        direction = g + velocity * momentum if self.hyperparameter("nesterov") else velocity
        return p - direction * self.lr, {"velocity": velocity}


class Adam(Optimizer):
    """Adam (Kingma & Ba, 2015). weight_decay adds weight_decay * p to the gradient, as in PyTorch.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  p -= lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
    """

    slots = ("m", "v")

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(parameters, lr)
        if not all(0 <= b < 1 for b in betas):
            raise ArgumentError(f"Adam: betas {betas} are not in [0, 1).")
        self.betas, self.eps, self.weight_decay = tuple(betas), eps, weight_decay

    def update(self, p, g, state, t):
        (b1, b2), weight_decay = self.hyperparameter("betas"), self.hyperparameter("weight_decay")
        if weight_decay:
            g = g + p * weight_decay
        m = state["m"] * b1 + g * (1 - b1)
        v = state["v"] * b2 + (g * g) * (1 - b2)
        # the corrections are numbers: two 0-d tensors, computed in float64, that scale whole arrays
        t = t.astype(dt.float64)
        first = (self.lr / (1 - b1**t)).astype(p.dtype)
        second = (1 / sqrt(1 - b2**t)).astype(p.dtype)
        return p - m * first / (sqrt(v) * second + self.hyperparameter("eps")), {"m": m, "v": v}
