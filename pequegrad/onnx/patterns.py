"""Regular expressions in time proportional to the text: Python's own may take ages for one that a file brings along.

Python's parser reads the pattern, and what it gives becomes an automaton (Thompson, 1968), whose sets of states are made as they are met.
"""

import re
from re import _constants as c
from re import _parser

from ..core.errors import ArgumentError

_MOST_STATES = 4096


class Pattern:
    """matches(text) is True if the whole text is in the language of the pattern: characters, classes, groups, | * + ? {m,n} ^ $ \\b .

    ArgumentError for what is no pattern, or needs more (references back, looking around), as in RE2.
    """

    def __init__(self, text):
        # by state: (test of a character, next state) or None; [(next state, None or where)] that need no character
        self.edges, self.free = [], []
        self.seen, self.tables = {}, {}
        try:
            tree = _parser.parse(text)
            self.flags = tree.state.flags
            self.last = self._state()
            self.first = self._sequence(tree, self.last)
        except (re.error, OverflowError, RecursionError) as error:
            raise ArgumentError(f"{text[:60]!r} is no regular expression: {error}.") from None

    def matches(self, text):
        states, n = frozenset({self.first}), len(text)
        word = [False, *(c in _WORD for c in text), False]
        for i in range(n + 1):
            states = self._cached(self._closure, states, (i == 0, i == n, word[i] != word[i + 1]))
            if i < n:
                states = self._cached(self._step, states, text[i])
        return self.last in states

    def _cached(self, function, *arguments):
        key = function.__name__, arguments
        if key not in self.tables:
            if len(self.tables) > _MOST_STATES:
                self.tables.clear()
            self.tables[key] = function(*arguments)
        return self.tables[key]

    def _step(self, states, character):
        """The states after a character."""
        edges = [self.edges[s] for s in states if self.edges[s] is not None]
        return frozenset(after for test, after in edges if test(character))

    def _closure(self, states, place):
        """The states that are reached without a character. place: whether this is the beginning, the end, a boundary of a word."""
        found, open_ = set(states), list(states)
        while open_:
            for after, condition in self.free[open_.pop()]:
                if after not in found and (condition is None or place[condition[0]] == condition[1]):
                    found.add(after)
                    open_.append(after)
        return frozenset(found)

    # ---- from the tree to states: each function gives the state from which `after` is reached through a part of the pattern

    def _state(self, edge=None, free=()):
        if len(self.edges) >= _MOST_STATES:
            raise re.error(f"it stands for more than {_MOST_STATES} states")
        self.edges.append(edge)
        self.free.append(list(free))
        return len(self.edges) - 1

    def _sequence(self, tree, after):
        for op, argument in reversed(list(tree)):
            after = self._part(op, argument, after)
        return after

    def _part(self, op, argument, after):
        if op in (c.LITERAL, c.NOT_LITERAL, c.ANY, c.IN):
            return self._state((self._test(op, argument), after))
        if op is c.BRANCH:
            return self._state(free=[(self._sequence(tree, after), None) for tree in argument[1]])
        if op is c.SUBPATTERN and not argument[1] and not argument[2]:
            return self._sequence(argument[3], after)
        if op in (c.MAX_REPEAT, c.MIN_REPEAT):
            return self._repeated(*argument, after)
        if op is c.AT and argument in _PLACES and not self.flags & re.MULTILINE:
            return self._state(free=[(after, _PLACES[argument])])
        raise re.error(f"{str(op).lower()} is not supported")

    def _repeated(self, least, most, tree, after):
        if most is c.MAXREPEAT:
            again = self._state()
            self.free[again] += [(self._sequence(tree, again), None), (after, None)]
            after = again
        else:
            end = after
            for _ in range(most - least):
                after = self._state(free=[(self._sequence(tree, after), None), (end, None)])
        for _ in range(least):
            after = self._sequence(tree, after)
        return after

    def _test(self, op, argument):
        """A function that says whether a character is meant: Python's own expression for one character."""
        key = repr((op, argument))
        if key not in self.seen:
            flags = self.flags & (re.IGNORECASE | re.DOTALL | re.ASCII)
            if op is c.ANY:
                source = "."
            elif op is c.IN:
                source = "[" + "".join(map(_member, argument)) + "]"
            else:
                source = ("[^" if op is c.NOT_LITERAL else "[") + _escaped(argument) + "]"
            self.seen[key] = re.compile(source, flags).match
        return self.seen[key]


_WORD = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
_PLACES = {  # index in `place`, and what is there
    c.AT_BEGINNING: (0, True), c.AT_BEGINNING_STRING: (0, True), c.AT_END: (1, True), c.AT_END_STRING: (1, True),
    c.AT_BOUNDARY: (2, True), c.AT_NON_BOUNDARY: (2, False),
}  # fmt: skip
_CLASSES = {  # of ASCII, as in RE2
    c.CATEGORY_DIGIT: "0-9", c.CATEGORY_NOT_DIGIT: r"\x00-/:-\U0010ffff", c.CATEGORY_SPACE: r"\t\n\f\r ",
    c.CATEGORY_NOT_SPACE: r"\x00-\x08\x0b\x0e-\x1f!-\U0010ffff", c.CATEGORY_WORD: "0-9A-Z_a-z",
    c.CATEGORY_NOT_WORD: r"\x00-/:-@\[-\^`{-\U0010ffff",
}  # fmt: skip


def _escaped(code):
    return f"\\U{code:08x}"


def _member(item):
    op, argument = item
    if op is c.NEGATE:
        return "^"
    if op is c.RANGE:
        return f"{_escaped(argument[0])}-{_escaped(argument[1])}"
    return _CLASSES[argument] if op is c.CATEGORY else _escaped(argument)
