"""The optimisers: a rule each. What all of them take is said at Optimizer; the formula is the rule's."""

from . import rules
from .optimizer import Optimizer

_ARGUMENTS = """
    {name}(parameters, {options})

    parameters: tensors, or groups of them; lr: a number, 0-d tensor or schedule; further options: see Optimizer.

    >>> w = Tensor([1.0, -2.0])
    >>> optimizer = optim.{name}([w], lr=0.1)
    >>> optimizer.step([Tensor([0.5, -0.5])])
    >>> optimizer.steps.item()
    1
    """


def _optimizer(name, rule):
    """The class of a rule."""
    options = ", ".join(f"{option}={value!r}" for option, value in {"lr": rule.lr, **rule.options}.items())
    text = rule.__doc__.rstrip() + "\n" + _ARGUMENTS.format(name=name, options=options)
    return type(name, (Optimizer,), {"rule": rule, "__doc__": text, "__module__": __name__})


SGD = _optimizer("SGD", rules.sgd)
Adam = _optimizer("Adam", rules.adam)
AdamW = _optimizer("AdamW", rules.adamw)
RMSprop = _optimizer("RMSprop", rules.rmsprop)
Adagrad = _optimizer("Adagrad", rules.adagrad)
Lion = _optimizer("Lion", rules.lion)
LAMB = _optimizer("LAMB", rules.lamb)
Adafactor = _optimizer("Adafactor", rules.adafactor)
