"""Arrays of strings: operators that move or compare elements see numbers in their place."""

import numpy as np

from .values import is_strings, known

# name -> how many of the first outputs hold strings; None: all
_MOVING = {
    **dict.fromkeys(
        """Reshape Flatten Transpose Expand Tile Squeeze Unsqueeze Slice Split Concat SpaceToDepth DepthToSpace Gather GatherElements GatherND
        Scatter ScatterElements ScatterND Where Compress ReverseSequence OneHot CenterCropPad SplitToSequence""".split()
    ),
    "Equal": 0, "Unique": 1,
}  # fmt: skip


def holds_strings(operator, inputs):
    """True if the operator moves elements, and some of them are strings."""
    return operator.name in _MOVING and any(map(is_strings, inputs))


def through_codes(operator, inputs, call):
    """The outputs for inputs with strings: call(inputs with their places in the sorted list of all strings), and back."""
    table = sorted({text for x in inputs if is_strings(x) for text in x.reshape(-1)})
    places = {text: i for i, text in enumerate(table)}
    table = np.array(table, object)

    def encoded(x):
        return np.array([places[text] for text in x.reshape(-1)], np.int64).reshape(x.shape)

    def decoded(x):
        return (
            [*map(decoded, x)] if isinstance(x, list) else table[known(x, f"An output of strings of {operator.name}")]
        )

    found, count = call([encoded(x) if is_strings(x) else x for x in inputs]), _MOVING[operator.name]
    return [decoded(x) if count is None or i < count else x for i, x in enumerate(found)]
