"""Text as tokens: characters or bytes with their vocabulary, and windows of them for language models."""

import os

import numpy as np

from ..core.errors import ArgumentError, DataFileError, ShapeError
from .datasets import Dataset


def read_text(path, encoding="utf-8"):
    """The text of a file, or of several, one after another. Line ends become "\\n". Raises DataFileError.

    >>> text = read_text("book.txt")  # doctest: +SKIP
    """
    if isinstance(path, (list, tuple)):
        return "".join(read_text(part, encoding) for part in path)
    try:
        with open(path, encoding=encoding) as file:
            return file.read()
    except OSError as error:
        raise DataFileError(
            f"The text cannot be read: {error.strerror}.", where=os.fspath(path), fix="check the path."
        ) from None
    except UnicodeDecodeError as error:
        raise DataFileError(
            f"The text is not {encoding}: {error}.", where=os.fspath(path), fix='name its encoding, e.g. "latin-1".'
        ) from None


class Characters:
    """A vocabulary of characters: token i is the i-th of `alphabet`, a string of different characters.

    `Characters.of(text)` has the characters of a text, sorted. Keep `alphabet` with a model that was trained with it.

    >>> vocabulary = Characters.of("abracadabra")
    >>> vocabulary.alphabet, vocabulary.encode("cab")
    ('abcdr', array([2, 0, 1], dtype=int32))
    >>> vocabulary.decode([2, 0, 1])
    'cab'
    """

    def __init__(self, alphabet):
        if len(set(alphabet)) != len(alphabet):
            raise ArgumentError("Characters: a character is twice in the alphabet.", fix="use Characters.of(text).")
        self.alphabet = str(alphabet)
        self._codes = np.frombuffer(self.alphabet.encode("utf-32-le"), np.uint32)
        self._order = np.argsort(self._codes)

    @classmethod
    def of(cls, text):
        """The vocabulary of all characters in `text`."""
        return cls("".join(sorted(set(text))))

    def __len__(self):
        return len(self.alphabet)

    def encode(self, text):
        """The tokens of a text, int32 [characters]. Raises ArgumentError for a character that is not in the alphabet."""
        codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        if not len(self) and codes.size:
            raise ArgumentError("Characters: the alphabet is empty.")
        found = self._order[np.searchsorted(self._codes, codes, sorter=self._order).clip(max=len(self) - 1)]
        if (wrong := self._codes[found] != codes).any():
            character = chr(codes[np.argmax(wrong)])
            raise ArgumentError(
                f"Characters: {character!r} is not in the alphabet.", fix="make it of all the text, or replace such."
            )
        return found.astype(np.int32)

    def decode(self, tokens):
        """The text of tokens, an array or list of ints. Raises ArgumentError for a token that does not exist."""
        tokens = _checked_tokens(tokens, len(self))
        return self._codes[tokens].tobytes().decode("utf-32-le")

    def __eq__(self, other):
        return isinstance(other, Characters) and self.alphabet == other.alphabet

    def __hash__(self):
        return hash(self.alphabet)

    def __repr__(self):
        return f"Characters({self.alphabet!r})"


class Bytes:
    """The vocabulary of 256 bytes: any text in UTF-8, without anything to keep.

    >>> Bytes().encode("né")
    array([110, 195, 169], dtype=int32)
    >>> Bytes().decode([110, 195, 169])
    'né'
    """

    def __len__(self):
        return 256

    def encode(self, text):
        """The tokens of a string (its UTF-8) or of bytes, int32 [bytes]."""
        data = text.encode() if isinstance(text, str) else bytes(text)
        return np.frombuffer(data, np.uint8).astype(np.int32)

    def decode(self, tokens):
        """The text of tokens; bytes that are no UTF-8 become U+FFFD. Raises ArgumentError for a token that does not exist."""
        return _checked_tokens(tokens, 256).astype(np.uint8).tobytes().decode(errors="replace")

    def __repr__(self):
        return "Bytes()"


def _checked_tokens(tokens, count):
    tokens = np.asarray(tokens).reshape(-1)
    tokens = tokens.astype(np.int64) if not tokens.size else tokens
    if tokens.dtype.kind not in "iu" or (tokens.size and not 0 <= tokens.min() <= tokens.max() < count):
        raise ArgumentError(f"Tokens are ints in 0 ... {count - 1}, got {np.array2string(tokens, threshold=8)}.")
    return tokens


class TokenWindows(Dataset):
    """Windows of a long row of tokens: sample i is (tokens [length], the same one further [length]), from i * stride on.

    stride: how far windows are apart; by default `length`, so that each token is predicted once. Raises ShapeError if there are
    not length + 1 tokens.

    >>> x, y = TokenWindows(np.arange(10), length=3)[1]
    >>> x, y
    (array([3, 4, 5]), array([4, 5, 6]))
    """

    def __init__(self, tokens, length, stride=None):
        self.tokens, self.length = np.asarray(tokens), int(length)
        self.stride = self.length if stride is None else int(stride)
        if self.length < 1 or self.stride < 1:
            raise ArgumentError(f"TokenWindows: length={length} and stride={stride} must be at least 1.")
        if self.tokens.ndim != 1 or len(self.tokens) <= self.length:
            raise ShapeError(f"TokenWindows of length {length} in tokens of shape {list(self.tokens.shape)}.")

    def __len__(self):
        return (len(self.tokens) - 1 - self.length) // self.stride + 1

    def __getitem__(self, index):
        x, y = self.batch(np.array([range(len(self))[index]]))
        return x[0], y[0]

    def batch(self, indices):
        """Many windows at once: two arrays [len(indices), length]."""
        places = indices[:, None] * self.stride + np.arange(self.length)
        return self.tokens[places], self.tokens[places + 1]
