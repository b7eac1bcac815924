"""Sequences, which are Python lists, and optional values, which may be None."""

import numpy as np

import pequegrad as pg

from ...core.errors import ArgumentError
from ..registry import op
from ..values import is_known, is_strings, tensor
from .shapes import integers, split_sizes


@op("SequenceEmpty", since=11, folds=False)
def sequence_empty(*, dtype=1):
    return []


@op("SequenceConstruct", since=11, folds=False)
def sequence_construct(*inputs):
    return list(inputs)


@op("SequenceLength", since=11, folds=False)
def sequence_length(sequence):
    return np.array(len(sequence), np.int64)


def _place(sequence, position, last):
    """A position as an index of the list, from -n to `last`."""
    position = int(np.asarray(position).reshape(()))
    if not -len(sequence) <= position <= last:
        raise ArgumentError(f"The position {position} is not in a sequence of {len(sequence)}.")
    return position + len(sequence) if position < 0 else position


@op("SequenceAt", since=11, known=("position",), folds=False)
def sequence_at(sequence, position):
    return sequence[_place(sequence, position, len(sequence) - 1)]


@op("SequenceInsert", since=11, known=("position",), folds=False)
def sequence_insert(sequence, value, position=None):
    place = len(sequence) if position is None else _place(sequence, position, len(sequence))
    return [*sequence[:place], value, *sequence[place:]]


@op("SequenceErase", since=11, known=("position",), folds=False)
def sequence_erase(sequence, position=None):
    place = _place(sequence, -1 if position is None else position, len(sequence) - 1)
    return [*sequence[:place], *sequence[place + 1 :]]


@op("ConcatFromSequence", since=11)
def concat_from_sequence(sequence, *, axis, new_axis=0):
    if any(map(is_strings, sequence)):
        return (np.stack if new_axis else np.concatenate)(sequence, axis)
    like = next((x for x in sequence if not is_known(x)), None)
    parts = [tensor(x, like) for x in sequence]
    return pg.stack(parts, axis) if new_axis else pg.concatenate(parts, axis)


@op("SplitToSequence", since=11, known=("split",))
def split_to_sequence(data, split=None, *, axis=0, keepdims=1):
    """Parts of these sizes, or of one size, by default 1."""
    n = data.shape[axis]
    if split is not None and np.ndim(split) == 1:
        return split_sizes(data, integers(split), axis)
    size = 1 if split is None else int(np.asarray(split).reshape(()))
    if size < 1:
        raise ArgumentError(f"SplitToSequence: parts of {size} elements.")
    parts = split_sizes(data, [min(size, n - start) for start in range(0, n, size)], axis) if n else []
    return parts if keepdims or split is not None else [pg.squeeze(x, axis) for x in parts]


@op("SequenceMap", since=17, folds=False)
def sequence_map(sequence, *more, body, scope):
    """For each output of the body a list of its values for the elements."""
    if any(isinstance(x, list) and len(x) != len(sequence) for x in more):
        raise ArgumentError("SequenceMap: the sequences have different lengths.")
    rows = [scope.run(body, [x, *(m[i] if isinstance(m, list) else m for m in more)]) for i, x in enumerate(sequence)]
    return tuple([row[i] for row in rows] for i in range(len(body.outputs)))


@op("Optional", since=15, folds=False)
def optional(value=None, *, type=None):
    return value


@op("OptionalHasElement", since=15, folds=False)
def optional_has_element(value=None):
    return np.array(value is not None)


@op("OptionalGetElement", since=15, folds=False)
def optional_get_element(value=None):
    if value is None:
        raise ArgumentError("OptionalGetElement: the optional value is empty.")
    return value
