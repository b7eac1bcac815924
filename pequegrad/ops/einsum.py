"""einsum: sums of products that name their axes by letters, as pairwise products in a cheap order.

    einsum("ij,jk->ik", x, y)     einsum("...ii->...", x)     einsum(x, [0, 1], y, [1, 2], [0, 2])

The subscripts are parsed into labels per operand (`_parse`); axes of an ellipsis get labels of their own. Each operand
is then simplified alone (diagonals, sums over what nobody else has), and pairs are contracted in the order that needs
the fewest multiplications (`_order`).
"""

import functools
import math

import numpy as np

from ..core.errors import ArgumentError, ShapeError
from ..primitives import elementwise as e
from ..primitives import shape as s
from ..primitives.contraction import dot_general
from ..primitives.reduction import reduce_sum
from .arithmetic import new_handle, promoted

_EXHAUSTIVE = 7  # up to this many operands all orders are compared (3 ** n steps), beyond it a greedy one is taken


def einsum(*arguments):
    """Sums of products over labelled axes, as numpy.einsum.

    einsum("ij,jk->ik", x, y): one group of letters per operand, one letter per axis. The result has the axes that are
    named after `->`, in this order; all others are summed over. Without `->` it has, in alphabetical order, the
    letters that occur once. A letter twice in one group takes the diagonal; `...` stands for axes that broadcast, and
    stays in the result. An axis of size 1 broadcasts against others of its name.
    einsum(x, [0, 1], y, [1, 2], [0, 2]): the same with lists of labels (and Ellipsis).

    Raises ArgumentError for subscripts that do not parse, ShapeError for sizes that do not fit.
    """
    operands, inputs, output = _split_arguments(arguments)
    return contract(promoted(*operands), inputs, output)


def contract(tensors, inputs, output, path=None, dot=None):
    """einsum of tensors of one dtype with the given labels of operands and result (None: as einsum finds them).

    path: the pairs of positions to multiply in turn, each result going to the end (None: a cheap order). dot: what multiplies
    a pair, by default dot_general.
    """
    inputs, output, order, sizes = _plan(inputs, output, tuple(x.shape for x in tensors))
    order = order if path is None else path
    dot = dot_general if dot is None else dot
    # computed on handles of its own: `x` alone may be the result
    terms = [_own(x, labels) for x, labels in zip(tensors, inputs)]
    terms = [_drop_broadcast(x, labels, sizes) for x, labels in terms]
    for i, j in order:
        second, first = terms.pop(max(i, j)), terms.pop(min(i, j))
        needed = set(output).union(*(labels for _, labels in terms))
        terms.append(
            _contract(_sum_alone(first, needed, second[1]), _sum_alone(second, needed, first[1]), needed, output, dot)
        )
    x, labels = _sum_alone(terms[0], set(output), ())
    return _arranged(x, labels, output)


@new_handle
def _arranged(x, labels, output):
    order = tuple(labels.index(label) for label in output)
    return x if order == tuple(range(len(order))) else s.transpose(x, permutation=order)


# ---- what the arguments mean --------------------------------------------------------------------------


def _split_arguments(arguments):
    """(operands, a tuple of labels per operand, the labels of the result or None)."""
    if not arguments:
        raise ArgumentError("einsum: no subscripts.", fix='einsum("ij,jk->ik", x, y)')
    if isinstance(arguments[0], str):
        text, *operands = arguments
        return operands, *_split_text(text)
    given = list(arguments)
    output = _labels(given.pop()) if len(given) % 2 else None
    operands, inputs = given[::2], tuple(_labels(labels) for labels in given[1::2])
    if not operands:
        raise ArgumentError("einsum: no operands.", fix="einsum(x, [0, 1], y, [1, 2], [0, 2])")
    return operands, inputs, output


def _labels(labels):
    if not isinstance(labels, (list, tuple)) or not all(
        label is Ellipsis or isinstance(label, (int, np.integer, str)) for label in labels
    ):
        raise ArgumentError(
            f"einsum: {labels!r} is not a list of labels.",
            fix="after each operand give a list of ints, one per axis: einsum(x, [0, 1], y, [1, 2], [0, 2]).",
        )
    return tuple(label if label is Ellipsis or isinstance(label, str) else int(label) for label in labels)


@functools.cache
def _split_text(text):
    compact = text.replace(" ", "")
    groups, arrow, result = compact.partition("->")
    inputs = tuple(_letters(group, text) for group in groups.split(","))
    return inputs, _letters(result, text) if arrow else None


def _letters(group, text):
    found = []
    for part in group.replace("...", "\0"):
        if part != "\0" and not part.isalpha():
            raise ArgumentError(
                f"einsum: {part!r} in {text!r} is not an index.",
                fix="indices are letters; groups are separated by ',' and the result follows '->'.",
            )
        found.append(Ellipsis if part == "\0" else part)
    return tuple(found)


@functools.lru_cache(4096)
def _plan(inputs, output, shapes):
    """(labels per operand without Ellipsis, the labels of the result, the pairs to contract in turn, all sizes)."""
    if len(inputs) != len(shapes):
        raise ArgumentError(
            f"einsum: the subscripts have {len(inputs)} groups for {len(shapes)} operands.",
            fix="one group per operand.",
        )
    inputs = tuple(_expanded(labels, len(shape), i) for i, (labels, shape) in enumerate(zip(inputs, shapes)))
    ellipsis = sorted({label for labels in inputs for label in labels if isinstance(label, _EllipsisAxis)})
    if output is None:
        every = [label for labels in inputs for label in labels]
        once = {label for label in every if every.count(label) == 1} - set(ellipsis)
        output = (*ellipsis, *sorted(once, key=lambda label: (isinstance(label, str), label)))
    else:
        output = _result_labels(output, inputs, ellipsis)
    sizes = _sizes(shapes, inputs)
    sets = [frozenset(k for k, n in zip(ls, shape) if n == sizes[k]) for ls, shape in zip(inputs, shapes)]
    return inputs, output, _order(sets, frozenset(output), sizes), sizes


class _EllipsisAxis(int):
    """The label of an axis under `...`: its position counted from the last one, -1."""

    __eq__ = lambda self, other: type(other) is _EllipsisAxis and int(self) == int(other)
    __hash__ = lambda self: hash((_EllipsisAxis, int(self)))
    __str__ = lambda self: f"... (axis {int(self)})"


def _expanded(labels, ndim, operand):
    named = len(labels) - labels.count(Ellipsis)
    if labels.count(Ellipsis) > 1:
        raise ArgumentError(f"einsum: the subscripts of operand {operand} have more than one ellipsis.")
    if named > ndim or (named < ndim and Ellipsis not in labels):
        raise ShapeError(
            f"einsum: operand {operand} has {ndim} axes, its subscripts {_text(labels)!r} name {named}.",
            fix="name each axis with one letter, or the others with '...'.",
        )
    if Ellipsis not in labels:
        return labels
    at = labels.index(Ellipsis)
    return labels[:at] + tuple(map(_EllipsisAxis, range(named - ndim, 0))) + labels[at + 1 :]


def _result_labels(output, inputs, ellipsis):
    known = {label for labels in inputs for label in labels}
    for label in output:
        if label is not Ellipsis and label not in known:
            raise ArgumentError(
                f"einsum: index {label!r} of the result is in no operand.", fix="the result names axes of operands."
            )
        if output.count(label) > 1:
            raise ArgumentError(
                f"einsum: the result names {'...' if label is Ellipsis else repr(label)} twice.", fix="name it once."
            )
    if ellipsis and Ellipsis not in output:
        raise ArgumentError(
            "einsum: the operands have axes under '...', the result has no '...'.", fix="write it: '...ij->...i'."
        )
    at = output.index(Ellipsis) if Ellipsis in output else len(output)
    return output[:at] + tuple(ellipsis) + output[at + 1 :]


def _text(labels):
    return "".join("..." if label is Ellipsis else str(label) for label in labels)


def _sizes(shapes, inputs):
    """label -> size; axes of size 1 take that of others."""
    sizes, source = {}, {}
    for operand, (shape, labels) in enumerate(zip(shapes, inputs)):
        for label, n in zip(labels, shape):
            known = sizes.setdefault(label, n)
            source.setdefault(label, operand)
            if known == 1 and n != 1:
                sizes[label], source[label] = n, operand
            elif n not in (1, known):
                raise ShapeError(
                    f"einsum: index {str(label)!r} has size {n} in operand {operand} and size {known} in operand "
                    f"{source[label]}.",
                    fix="axes of one name have equal sizes, or size 1.",
                )
    return sizes


# ---- order --------------------------------------------------------------------------------------------


def _order(sets, output, sizes):
    """Pairs of positions to contract one after the other; each result goes to the end of the list."""
    if len(sets) <= 2:
        return ((0, 1),) * (len(sets) - 1)
    return _best_order(sets, output, sizes) if len(sets) <= _EXHAUSTIVE else _greedy_order(sets, output, sizes)


def _volume(labels, sizes):
    return math.prod(sizes[label] for label in labels)


def _best_order(sets, output, sizes):
    """The order with the fewest multiplications: the best tree over each subset of operands, from small to large."""
    n = len(sets)
    everything = (1 << n) - 1
    joined = [frozenset().union(*(sets[i] for i in range(n) if subset >> i & 1)) for subset in range(1 << n)]
    kept = [joined[subset] & (output | joined[everything ^ subset]) for subset in range(1 << n)]
    best = {1 << i: (0, None) for i in range(n)}
    for subset in sorted(range(1, 1 << n), key=int.bit_count):
        if subset in best:
            continue
        candidates, part = [], (subset - 1) & subset
        while part > subset ^ part:  # each split once
            rest = subset ^ part
            left, right = (kept[p] if p.bit_count() > 1 else sets[p.bit_length() - 1] for p in (part, rest))
            cost = best[part][0] + best[rest][0] + _volume(left | right, sizes)
            candidates.append((cost, part))
            part = (part - 1) & subset
        best[subset] = min(candidates)
    pairs, order = [], [1 << i for i in range(n)]

    def visit(subset):
        part = best[subset][1]
        if part is None:
            return
        visit(part)
        visit(subset ^ part)
        pairs.append((order.index(part), order.index(subset ^ part)))
        order.remove(part)
        order.remove(subset ^ part)
        order.append(subset)

    visit(everything)
    return tuple(pairs)


def _greedy_order(sets, output, sizes):
    """Always the pair whose result is smallest beside its operands, then the cheapest one."""
    sets, pairs = list(sets), []
    while len(sets) > 1:
        candidates = []
        for j in range(len(sets)):
            for i in range(j):
                others = output.union(*(labels for k, labels in enumerate(sets) if k not in (i, j)))
                joined = sets[i] | sets[j]
                growth = _volume(joined & others, sizes) - _volume(sets[i], sizes) - _volume(sets[j], sizes)
                candidates.append((growth, _volume(joined, sizes), i, j, joined & others))
        _, _, i, j, result = min(candidates, key=lambda c: c[:4])
        pairs.append((i, j))
        sets = [labels for k, labels in enumerate(sets) if k not in (i, j)] + [result]
    return tuple(pairs)


def description(inputs, output, order, sizes):
    """A table of the products that einsum forms in this order."""
    text = lambda labels: "".join(map(str, labels))
    remaining, lines = list(inputs), []
    for pair in order:
        terms = [remaining.pop(i) for i in sorted(pair, reverse=True)]
        joined = dict.fromkeys(label for labels in terms for label in labels)
        result = [k for k in joined if k in output or any(k in labels for labels in remaining)]
        result = output if not remaining else result
        lines.append(f"  {','.join(map(text, terms))} -> {text(result)}: {_volume(joined, sizes):,} products")
        remaining.append(tuple(result))
    return "\n".join([f"einsum {','.join(map(text, inputs))} -> {text(output)}", *lines])


# ---- steps: a term is (tensor, its labels) ----------------------------------------------------------------


def _own(x, labels):
    """The term of an operand: each label once, repeated ones as the diagonal."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            x, labels = _diagonal(x, labels, i, j)
    return x, labels


def _diagonal(x, labels, i, j):
    """x[..., k, ..., k, ...]: the two axes merged into one of n * n elements, of which each (n + 1)-th is taken."""
    n = max(x.shape[i], x.shape[j])
    if x.shape[i] != x.shape[j]:  # one of them broadcasts
        shape = tuple(n if a in (i, j) else size for a, size in enumerate(x.shape))
        x = s.broadcast_in_dim(x, shape=shape, axes=tuple(range(x.ndim)))
    rest = tuple(a for a in range(x.ndim) if a not in (i, j))
    x = s.transpose(x, permutation=(*rest, i, j))
    x = s.reshape_to(x, (*x.shape[:-2], n * n))
    x = s.slice_(x, start=(0,) * x.ndim, limit=x.shape, step=(1,) * len(rest) + (n + 1,))
    return x, (*(labels[a] for a in rest), labels[i])


def _drop_broadcast(x, labels, sizes):
    """Without the axes of size 1 that broadcast against those of other operands."""
    kept = [a for a, label in enumerate(labels) if x.shape[a] == sizes[label]]
    return s.reshape_to(x, tuple(x.shape[a] for a in kept)), tuple(labels[a] for a in kept)


def _sum_alone(term, needed, others):
    """The term summed over labels that neither the result nor another term has."""
    x, labels = term
    alone = tuple(a for a, label in enumerate(labels) if label not in needed and label not in others)
    if not alone:
        return term
    return reduce_sum(x, axes=alone), tuple(label for a, label in enumerate(labels) if a not in alone)


def _contract(first, second, needed, output, dot):
    """The product of two terms, summed over the labels that only they have."""
    (x, xs), (y, ys) = first, second
    shared = [label for label in xs if label in ys]
    contracted = [label for label in shared if label not in needed]
    if not contracted and dot is dot_general:
        return _multiply(first, second, output)
    batch = [label for label in shared if label in needed]
    batch.sort(key=lambda label: output.index(label) if label in output else -1)
    x_free = [label for label in xs if label not in shared]
    y_free = [label for label in ys if label not in shared]
    if (*batch, *y_free, *x_free) == output:  # the other order gives the result without a transpose
        (x, xs), (y, ys), x_free, y_free = second, first, y_free, x_free
    axes = lambda labels: (tuple(map(xs.index, labels)), tuple(map(ys.index, labels)))
    out = dot(x, y, contract=axes(contracted), batch=axes(batch), dtype=x.dtype)
    return out, (*batch, *x_free, *y_free)


def _multiply(first, second, output):
    """Nothing is summed: a product that broadcasts, its axes in the order of the result."""
    every = dict.fromkeys(first[1] + second[1])
    labels = tuple(sorted(every, key=lambda label: output.index(label) if label in output else len(output)))

    def aligned(x, own):
        x = _arranged(x, own, tuple(label for label in labels if label in own))
        sizes = iter(x.shape)
        return s.reshape_to(x, tuple(next(sizes) if label in own else 1 for label in labels))

    return e.mul(aligned(*first), aligned(*second)), labels


__all__ = ["einsum"]
