"""Regular expressions without backtracking: as Python's own (of ASCII), and in little time."""

import re
import time

import pytest

pytest.importorskip("onnx")

from pequegrad.core.errors import ArgumentError
from pequegrad.onnx.patterns import Pattern

TEXTS = [
    "",
    "a",
    "b",
    "ab",
    "aab",
    "abab",
    "aaaa",
    "AB",
    "1",
    "12",
    "a1_",
    "a.b",
    "a\nb",
    "ä",
    "x@y.com",
    "[",
    "^",
    "-",
    "aaab",
    " ",
    "\\",
]


@pytest.mark.parametrize(
    "pattern",
    [
        "", "a", "a|b", "(a|b)*", "a*b", "a+?b", "(ab){2}", "a{2,}", "a{1,3}b?", "a{0}", "[a-c]+", "[^a]", "[^a-c]*", r"\d+", r"\w*", r"[\w.]+@[\w.]+\.[a-z]{2,4}",
        ".", "a.b", "(?s:a.b)?x|a.b", "(?i)ab", "^a$", "^$", r"\Aa\Z", "(?:a(?P<n>b))", "(a*)*", "((a+)+)+b", "(|a)b", r"\[", r"[\[^-]", r"[]-]", "ä", r"\\", "a^b",
        "x*|", r"\ba\b", r".*\bb\b.*", r"a\Bb", r"\W+", r"[\S]\D+", r"\s", r"[^\d\s]+", r"[^\W\d]+", r"\S+", "(?s).*",
    ],
)  # fmt: skip
def test_as_python(pattern):
    try:
        ours = Pattern(pattern)
    except ArgumentError as error:
        assert "not supported" in str(error)
        assert pattern.startswith("(?s:")
        return
    for text in TEXTS:
        assert ours.matches(text) == (re.fullmatch(pattern, text, re.ASCII) is not None), text


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "(a*)*(a*)*c", "(.*)(.*)(.*)(.*)(.*)[^a]x", "a{0,1000}a{1000}"]
)
def test_time_is_proportional_to_the_text(pattern):
    start = time.perf_counter()
    Pattern(pattern).matches("a" * 2000 + "!")
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize(
    "pattern", ["(", "[a", "a**", r"(a)\1", "(?=a)", "(?<!a)b", "((a{1000}){1000}){1000}", "(" * 5000 + ")" * 5000, "(?m)^a", "(?>a)"]
)  # fmt: skip
def test_refused(pattern):
    with pytest.raises(ArgumentError, match="no regular expression"):
        Pattern(pattern)
