"""Pytrees: structures, paths, registered classes, and what transforms do with them, compared with JAX."""

import collections
import dataclasses
import pickle
import time

import jax
import jax.tree_util as theirs
import numpy as np
import pytest

import pequegrad.jax_api as pj
import pequegrad.jax_api.numpy as jnp
import pequegrad.jax_api.tree_util as ours
from pequegrad.jax_api import tree

Point = collections.namedtuple("Point", "x y")


class Plain:
    def __init__(self, a, b):
        self.a, self.b = a, b

    def __eq__(self, other):
        return (self.a, self.b) == (other.a, other.b)


class Named(Plain):
    def tree_flatten_with_keys(self):
        module = theirs if self.b == "jax" else ours
        return ((module.GetAttrKey("a"), self.a),), self.b

    @classmethod
    def tree_unflatten(cls, metadata, children):
        return cls(*children, metadata)


class Methods(Plain):
    def tree_flatten(self):
        return (self.a, self.b), None

    @classmethod
    def tree_unflatten(cls, metadata, children):
        return cls(*children)


@dataclasses.dataclass
class Data:
    w: object
    b: object
    name: str = dataclasses.field(default="d", metadata={"static": True})


for module in (theirs, ours):
    module.register_pytree_node(Plain, lambda q: ((q.a, q.b), ("m", 1)), lambda aux, c: Plain(*c))
    module.register_pytree_with_keys_class(Named)
    module.register_pytree_node_class(Methods)
    module.register_dataclass(Data)

TREES = {
    "number": 1,
    "None": None,
    "empty": ((), [], {}, None),
    "tuple": (1, (2, None), [3, (4,)]),
    "dict": {"b": 1, "a": {"z": [2], "y": None}},
    "int keys": {3: 1, 1: 2},
    "namedtuple": Point(1, Point({"k": 2}, 3)),
    "OrderedDict": collections.OrderedDict(b=1, a=(2, 3)),
    "defaultdict": collections.defaultdict(list, b=1, a=2),
    "deque": (collections.deque([1, 2]), 3),
    "struct_time": {"t": time.gmtime(0), "x": 1},
    "strings": ["s", {"t": "u"}],
    "registered": [Plain(1, (2, 3)), {"c": Methods(4, {"d": 5, "a": 6})}],
    "dataclass": Data({"b": 1, "a": 2}, None),
    "with keys": {"x": Data(1, [2])},
}


@pytest.mark.parametrize("name", TREES)
def test_flatten_agrees_with_jax(name):
    value = TREES[name]
    (leaves, structure), (expected, other) = ours.tree_flatten(value), theirs.tree_flatten(value)
    assert leaves == expected
    assert repr(structure) == repr(other)
    assert (structure.num_leaves, structure.num_nodes) == (other.num_leaves, other.num_nodes)
    assert list(map(repr, structure.children())) == list(map(repr, other.children()))
    assert structure.node_data() == other.node_data()
    back = structure.unflatten(leaves)
    assert repr(ours.tree_structure(back)) == repr(other)
    assert list(back) == list(other.unflatten(leaves)) if isinstance(value, dict) else True  # the order of keys
    assert structure == ours.tree_structure(back) and hash(structure) == hash(ours.tree_structure(back))
    assert structure != ours.tree_structure([value, value])
    assert ours.treedef_is_leaf(structure) == theirs.treedef_is_leaf(other)
    assert tree.leaves(value) == expected


@pytest.mark.parametrize("name", TREES)
def test_paths_agree_with_jax(name):
    (found, structure), (expected, other) = (m.tree_flatten_with_path(TREES[name]) for m in (ours, theirs))
    assert repr(found) == repr(expected) and repr(structure) == repr(other)
    for options in ({}, {"simple": True}, {"simple": True, "separator": "/"}, {"separator": "."}):
        assert [ours.keystr(p, **options) for p, _ in found] == [theirs.keystr(p, **options) for p, _ in expected]


@pytest.mark.parametrize("name", TREES)
def test_one_level_agrees_with_jax(name):
    found, expected = [_outcome(m.flatten_one_level, TREES[name]) for m in (ours, theirs)]
    if isinstance(expected, type):
        assert found is expected
    elif expected is None:
        assert found is None or list(found[0]) == []
    else:
        assert list(found[0]) == list(expected[0]) and found[1] == expected[1]


def _outcome(function, *args, **kwargs):
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return type(error)


def test_keys():
    for name, value in (("DictKey", "a"), ("SequenceKey", 1), ("GetAttrKey", "x"), ("FlattenedIndexKey", 2)):
        mine, other = getattr(ours, name)(value), getattr(theirs, name)(value)
        assert repr(mine) == repr(other) and str(mine) == str(other)
        assert mine == getattr(ours, name)(value) and hash(mine) == hash(getattr(ours, name)(value))
        assert pickle.loads(pickle.dumps(mine)) == mine
    assert ours.DictKey(1) != ours.FlattenedIndexKey(1)
    assert (ours.DictKey("a").key, ours.SequenceKey(1).idx, ours.GetAttrKey("x").name) == ("a", 1, "x")


# name of the function, arguments: the same error class or an equal result
S = "structure of"
CALLS = [
    ("tree_map", lambda m: (lambda x, y: (x, y), (1, 2), (1, 2, 3))),
    ("tree_map", lambda m: (lambda x, y: (x, y), (1, 2), [1, 2])),
    ("tree_map", lambda m: (lambda x, y: (x, y), (1, 2), (1, (2, 3)))),
    ("tree_map", lambda m: (lambda x, y: (x, y), (1, (2, 3)), (1, 2))),
    ("tree_map", lambda m: (lambda x, y: (x, y), (1, None), (1, 2))),
    ("tree_map", lambda m: (lambda x, y: (x, y), None, None)),
    ("tree_map", lambda m: (lambda x, y: (x, y), {"a": 1}, {"b": 1})),
    ("tree_map", lambda m: (lambda x, y: (x, y), {"b": 1, "a": 2}, {"a": 3, "b": 4})),
    ("tree_map", lambda m: (lambda x, y: (x, y), Point(1, 2), (1, 2))),
    ("tree_map", lambda m: (lambda x, y: (x, y), (1, 2), Point(1, 2))),
    ("tree_map", lambda m: (lambda x: x, {"b": 1, "a": 2})),
    ("tree_unflatten", lambda m: (m.tree_structure((1, 2)), [1])),
    ("tree_unflatten", lambda m: (m.tree_structure((1, 2)), [1, 2, 3])),
    ("tree_unflatten", lambda m: (m.tree_structure((1, 2)), iter([1, 2]))),
    ("tree_unflatten", lambda m: ((1, 2), [1, 2, 3])),
    ("tree_unflatten", lambda m: (m.tree_structure((1, 2)), 3)),
    ("tree_transpose", lambda m: (m.tree_structure([0, 0]), m.tree_structure({"a": 0, "b": 0}), [{"a": 1, "b": 2}, {"a": 3, "b": 4}])),
    ("tree_transpose", lambda m: (m.tree_structure([0, 0]), None, [{"a": 1}, {"a": 2}])),
    ("tree_transpose", lambda m: (m.tree_structure([0, 0, 0]), m.tree_structure({"a": 0}), [{"a": 1}, {"a": 2}])),
    ("tree_broadcast", lambda m: ((1, 2), ((1, 2), 3))),
    ("tree_broadcast", lambda m: ((1, 2), ((1, 2), 3, 4))),
    ("tree_broadcast", lambda m: (1, {"a": 2, "b": None})),
    ("tree_reduce", lambda m: (lambda a, b: a + b, {"b": 1, "a": [2, 3]})),
    ("tree_reduce", lambda m: (lambda a, b: a - b, (1, 2), 10)),
    ("tree_reduce", lambda m: (lambda a, b: a + b, [])),
    ("tree_reduce", lambda m: (lambda a, b: a + b, [], 5)),
    ("tree_reduce_associative", lambda m: (lambda a, b: a + b, ["a", "b", "c", "d", "e"])),
    ("tree_reduce_associative", lambda m: (lambda a, b: a + b, [])),
    ("tree_all", lambda m: ((True, 1, ()),)),
    ("tree_all", lambda m: ([True, {"a": 0}],)),
    ("tree_leaves", lambda m: ({1: 2, "a": 3},)),
    ("tree_leaves", lambda m: (collections.defaultdict(list, {1: 2, "a": 3}),)),
    ("all_leaves", lambda m: ([1, (2, 3)],)),
    ("all_leaves", lambda m: ([1, "a"],)),
    ("all_leaves", lambda m: ([1, None],)),
    ("is_tree_node", lambda m: (dict,)),
    ("is_tree_node", lambda m: (Plain,)),
    ("is_tree_node", lambda m: (int,)),
    ("register_pytree_node", lambda m: (Plain, lambda x: ((), None), lambda a, c: None)),
    ("register_pytree_node", lambda m: (tuple, lambda x: ((), None), lambda a, c: None)),
    ("register_dataclass", lambda m: (Point, ["x"])),
    ("register_dataclass", lambda m: (dataclasses.make_dataclass("D", ["x", "y"]), ["x"], [])),
]  # fmt: skip


@pytest.mark.parametrize("name,arguments", CALLS)
def test_functions_agree_with_jax(name, arguments):
    found, expected = (_outcome(getattr(m, name), *arguments(m)) for m in (ours, theirs))
    if isinstance(expected, type) and issubclass(expected, Exception):
        assert isinstance(found, type) and issubclass(found, expected)
    else:
        assert found == expected
        if isinstance(found, dict):
            assert list(found) == list(expected)


def test_is_leaf():
    value = {"a": (1, 2), "b": [3, None]}
    for leaf in (lambda x: isinstance(x, tuple), lambda x: x is None, lambda x: isinstance(x, list)):
        for name in ("tree_leaves", "tree_structure", "tree_flatten_with_path", "tree_leaves_with_path"):
            a, b = (getattr(m, name)(value, is_leaf=leaf) for m in (ours, theirs))
            assert repr(a) == repr(b)
        a, b = (m.tree_map(lambda x: [x], value, is_leaf=leaf) for m in (ours, theirs))
        assert a == b
    by_path = lambda path, x: len(path) == 1
    for name in ("tree_flatten_with_path", "tree_leaves_with_path"):
        a, b = (getattr(m, name)(value, is_leaf=by_path, is_leaf_takes_path=True) for m in (ours, theirs))
        assert repr(a) == repr(b)
    a, b = (
        m.tree_map_with_path(
            lambda p, x, y: (m.keystr(p), x, y), value, value, is_leaf=by_path, is_leaf_takes_path=True
        )
        for m in (ours, theirs)
    )
    assert a == b


def test_structures_combine():
    for m in (ours, theirs):
        a, b = m.tree_structure({"a": 1, "b": None}), m.tree_structure([1, 2])
        assert repr(a.compose(b)) == "PyTreeDef({'a': [*, *], 'b': None})"
        assert repr(m.treedef_tuple([a, b])) == "PyTreeDef(({'a': *, 'b': None}, [*, *]))"
        assert b.flatten_up_to([(1, 2), 3]) == [(1, 2), 3]
        assert m.treedef_children(b) == b.children() == [m.tree_structure(0)] * 2
        assert b.walk(lambda children, _: sum(children), lambda x: 2 * x, [1, 2]) == 6
        assert m.tree_structure((1, [2, 3])).from_iterable_tree([4, (5, 6)]) == (4, [5, 6])
        assert pickle.loads(pickle.dumps(a)) == a
        assert pickle.loads(pickle.dumps(b)) == b


def test_partial():
    for m in (ours, theirs):
        f = m.Partial(max, 1, key=abs)
        assert (f.func, f.args, f.keywords) == (max, (1,), {"key": abs}) and f(-3) == -3
        assert m.tree_leaves(m.Partial(pow, 2)) == [2]
        assert [m.keystr(p) for p, _ in m.tree_leaves_with_path(m.Partial(pow, 2, exp=3))] == [
            "[<flat index 0>][0]",
            "[<flat index 1>]['exp']",
        ]
        nested = m.Partial(m.Partial(pow, 2), 3)
        assert m.tree_leaves(nested) == [3] and nested() == 8
    count = [0]

    @pj.jit
    def apply(f, x):
        count[0] += 1
        return f(x)

    for scale in (2.0, 3.0):
        assert float(apply(pj.tree_util.Partial(jnp.multiply, scale), 5.0)) == 5 * scale
    assert count == [1]


def test_static_classes():
    @ours.register_static
    class Mode(str):
        pass

    @pj.jit
    def f(x, mode):
        return x + 1 if mode == "add" else x - 1

    assert (int(f(1, Mode("add"))), int(f(1, Mode("sub")))) == (2, 0)
    assert ours.tree_leaves(Mode("add")) == []
    field = tree.static(default=3)
    assert field.metadata["static"] and field.default == 3


X = np.arange(3, dtype=np.float32)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: Plain(x, (x, {"b": x, "a": x})),
        lambda x: Data(x, [x], "n"),
        lambda x: Methods(x, None),
        lambda x: Point(x, [x]),
    ],
)
def test_registered_classes_in_transforms(make):
    def doubled(q, y):
        return ours.tree_map(lambda x: x * y, q)

    def total(q, y):
        return sum((x * x * y).sum() for x in ours.tree_leaves(q))

    q = make(jnp.asarray(X))
    for f in (
        doubled,
        pj.jit(doubled),
        pj.vmap(doubled, in_axes=(0, None)),
        pj.jit(pj.vmap(doubled, in_axes=(0, None))),
    ):
        found = f(q, 2.0)
        assert type(found) is type(q)
        assert all(np.array_equal(a, 2 * X) for a in ours.tree_leaves(found))
        f(q, 2.0)  # the quick way of jit
    for f in (pj.grad(total), pj.jit(pj.grad(total)), pj.grad(pj.jit(total))):
        found = f(q, 2.0)
        assert type(found) is type(q) and ours.tree_structure(found) == ours.tree_structure(q)
        assert all(np.array_equal(a, 4 * X) for a in ours.tree_leaves(found))


def test_registered_classes_that_are_also_arrays_are_opened():
    class Variable:
        def __init__(self, value):
            self.value = value

        def __jax_array__(self):
            return self.value

    ours.register_pytree_node(Variable, lambda v: ((v.value,), None), lambda _, c: Variable(*c))
    seen = []

    def f(v):
        seen.append(type(v))
        return jnp.sin(v) * 2

    for g in (pj.jit(f), pj.vmap(f)):
        np.testing.assert_allclose(g(Variable(jnp.asarray(X))), 2 * np.sin(X), rtol=1e-6)
    assert set(seen) == {Variable}


def test_dicts_come_back_sorted():
    given = {"b": 1.0, "a": 2.0}
    assert list(pj.jit(lambda d: d)(given)) == ["a", "b"]
    assert list(pj.jit(lambda: {"z": 1, "y": 2})()) == ["y", "z"]
    order = []
    pj.jit(lambda d: order.extend(d))(given)
    assert order == ["a", "b"]
    assert list(pj.grad(lambda d: d["b"] * d["a"])(given)) == ["a", "b"]
    assert list(jax.grad(lambda d: d["b"] * d["a"])(given)) == ["a", "b"]


def test_many_structures_are_not_kept():
    from pequegrad.transforms import tree as core

    for i in range(200):
        ours.tree_leaves(ours.Partial(lambda i=i: i, 1))
    assert len(core._ordered_custom) <= core._KEPT_CUSTOM
