"""Strings, NumPy arrays of Python's: they are never traced."""

import numpy as np

import pequegrad as pg

from ...core.errors import ArgumentError, ShapeError
from ..patterns import Pattern
from ..registry import op
from ..values import is_strings, tensor


def _strings(function, *arrays):
    """function of the strings of arrays, which broadcast."""
    return np.frompyfunc(function, len(arrays), 1)(*arrays)


@op("StringConcat", since=20)
def string_concat(x, y):
    return np.asarray(_strings(lambda a, b: a + b, x, y), object)


@op("StringSplit", since=20)
def string_split(x, *, delimiter=None, maxsplit=None):
    """(the parts along a last axis, filled with "", how many there are)"""
    parts = [text.split(delimiter or None, -1 if maxsplit is None else maxsplit) for text in x.reshape(-1)]
    longest = max(map(len, parts), default=0)
    filled = np.array([[*p, *[""] * (longest - len(p))] for p in parts], object)
    return filled.reshape((*x.shape, longest)), np.array([len(p) for p in parts], np.int64).reshape(x.shape)


@op("StringNormalizer", since=10)
def string_normalizer(x, *, case_change_action="NONE", is_case_sensitive=0, locale="", stopwords=()):
    """The strings of [n] or [1, n] without the stop words; the locale has no meaning here."""
    if x.ndim > 2 or (x.ndim == 2 and x.shape[0] != 1):
        raise ShapeError(f"StringNormalizer takes strings of shape [n] or [1, n], not {list(x.shape)}.")
    change = {"NONE": str, "LOWER": str.lower, "UPPER": str.upper}.get(case_change_action)
    if change is None:
        raise ArgumentError(f"StringNormalizer: case_change_action {case_change_action!r} is unknown.")
    same = str if is_case_sensitive else str.lower
    stop = {same(word) for word in stopwords}
    kept = [change(text) for text in x.reshape(-1) if same(text) not in stop] or [""]
    return np.array(kept, object).reshape((1,) * (x.ndim - 1) + (-1,))


@op("RegexFullMatch", since=20)
def regex_full_match(x, *, pattern):
    """Python's way of writing expressions in place of RE2's; as there, the time is proportional to the text."""
    return np.asarray(_strings(Pattern(pattern).matches, x), bool)


@op("TfIdfVectorizer", since=9)
def tf_idf_vectorizer(x, *, max_gram_length, max_skip_count, min_gram_length, mode, ngram_counts, ngram_indexes,
                      pool_int64s=None, pool_strings=None, weights=None):  # fmt: skip
    """How often each n-gram of the pool is in x ([n], or [batch, n]), with up to max_skip_count elements between its own."""
    if mode not in ("TF", "IDF", "TFIDF"):
        raise ArgumentError(f"TfIdfVectorizer: the mode {mode!r} is unknown.", fix="TF, IDF or TFIDF.")
    pool = pool_strings if pool_int64s is None else pool_int64s
    if is_strings(x):
        codes = {text: i for i, text in enumerate(dict.fromkeys(pool))}
        pool = [codes[text] for text in pool]
        x = tensor(np.array([codes.get(text, -1) for text in x.reshape(-1)], np.int64).reshape(x.shape))
    rows = pg.reshape(x, (-1, x.shape[-1] if x.ndim else 1))
    out = pg.zeros((rows.shape[0], max(ngram_indexes) + 1), "float32")
    seen = 0
    for length, (begin, end) in enumerate(zip(ngram_counts, [*ngram_counts[1:], len(pool)]), 1):
        count = (end - begin) // length
        places, factors = ngram_indexes[seen : seen + count], None if weights is None else weights[seen : seen + count]
        seen += count
        if not count or not min_gram_length <= length <= max_gram_length:
            continue
        grams = np.reshape(np.array(pool[begin : begin + count * length], np.int64), (count, length))
        found = _occurrences(rows, grams, 1 if length == 1 else max_skip_count + 1)
        if mode != "TF":
            found = pg.minimum(found, 1.0) if mode == "IDF" else found
            found = found if factors is None else found * tensor(np.array(factors, np.float32))
        out = out.at[:, tensor(np.array(places, np.int64))].add(found)
    return out if x.ndim == 2 else out[0]


def _occurrences(rows, grams, distances):
    """[rows, grams]: how often each gram is in each row, its elements 1, 2, ... distances apart."""
    count, length = grams.shape
    found = pg.zeros((rows.shape[0], count), "float32")
    for distance in range(1, distances + 1):
        starts = rows.shape[1] - distance * (length - 1)
        if starts > 0:
            equal = True
            for i, column in enumerate(grams.T):
                part = pg.expand_dims(rows[:, i * distance : i * distance + starts], 2)
                equal = (part == tensor(column)) & equal
            found = found + pg.sum(equal, 1).astype("float32")
    return found
