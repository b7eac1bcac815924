"""Products seen by what their axes mean, whatever their order and however operands are transposed.

Axes have labels: numbers for those that all operands share (batch axes), letters of the caller's choice for the others.
"""

from typing import NamedTuple

from ...primitives.contraction import dot_general
from ...primitives.shape import transpose


def base_of(node, labels):
    """What `node` transposes, with the labels of that."""
    while node.spec.primitive is transpose:
        moved = [None] * len(labels)
        for label, axis in zip(labels, node.spec.params["permutation"]):
            moved[axis] = label
        node, labels = node.inputs[0], tuple(moved)
    return node, labels


def partner(product, side, labels, contracted, free):
    """Labels of the other operand of a dot_general, given those of operand `side`; None if they do not fit.

    All numbered axes must be batch axes, and the axis `contracted` the only one that is summed over; the other operand's
    own axis is called `free`.
    """
    contract, batch = product.spec.params["contract"], product.spec.params["batch"]
    other = product.inputs[1 - side]
    if len(contract[0]) != 1 or labels[contract[side][0]] != contracted or other.aval.ndim != len(batch[0]) + 2:
        return None
    found = [free] * other.aval.ndim
    found[contract[1 - side][0]] = contracted
    for mine, theirs in zip(batch[side], batch[1 - side]):
        if type(labels[mine]) is not int:
            return None
        found[theirs] = labels[mine]
    return tuple(found) if sum(type(label) is int for label in found) == len(labels) - 2 else None


def result_labels(product, labels):
    """Labels of the result of a dot_general, for those of its two operands."""
    contract, batch = product.spec.params["contract"], product.spec.params["batch"]
    found = [labels[0][a] for a in batch[0]]
    for side in (0, 1):
        taken = {*contract[side], *batch[side]}
        found += [label for a, label in enumerate(labels[side]) if a not in taken]
    return tuple(found)


def products_with(node, labels, contracted, free, program):
    """(product, base of its other operand, labels of that, labels of the result) for the products that read `node`."""
    for product in program.users[node]:
        if product.spec.primitive is dot_general and product.inputs[0] is not product.inputs[1]:
            side = product.inputs.index(node)
            theirs = partner(product, side, labels, contracted, free)
            if theirs is not None:
                pair = (labels, theirs) if side == 0 else (theirs, labels)
                yield (product, *base_of(product.inputs[1 - side], theirs), result_labels(product, pair))


class Labelled(NamedTuple):
    node: object
    labels: tuple


def labels_seen(node, operand):
    """Labels of the axes of `node` if it is the operand or a transpose of it, else None."""
    base, order = base_of(node, tuple(range(node.aval.ndim)))
    if base is not operand.node:
        return None
    found = [None] * len(order)
    for axis, label in zip(order, operand.labels):
        found[axis] = label
    return tuple(found)
