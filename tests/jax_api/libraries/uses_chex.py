"""chex: its assertions (that they hold, and that they fail), dataclasses, fakes, variants."""

import unittest

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from report import case, cases, main, raised

flags.FLAGS(["program"])
X = jnp.arange(1.0, 7.0).reshape(2, 3)
TREE = {"a": X, "b": (X + 1, 2.0)}
MORE = jax.tree.map(lambda x: x + 1, TREE)


@jax.custom_jvp
def wrong_gradient(x):
    return (x**2).sum()


wrong_gradient.defjvp(lambda primals, tangents: (wrong_gradient(*primals), (tangents[0] * 3).sum()))

# assertion: (arguments with which it holds, arguments with which it does not)
ASSERTIONS = {
    "axis_dimension": ((X, 0, 2), (X, 0, 3)),
    "devices_available": ((1, "cpu"), (7, "cpu")),
    "equal_rank": (([X, X],), ([X, X[0]],)),
    "equal_shape": (([X, X],), ([X, X.T],)),
    "equal_shape_prefix": (([X, X[:, :1]], 1), ([X, X.T], 1)),
    "exactly_one_is_none": ((None, 1), (1, 1)),
    "is_broadcastable": (((2, 1), (2, 3)), ((2, 2), (2, 3))),
    "is_divisible": ((6, 3), (7, 3)),
    "numerical_grads": ((lambda x: (x**2).sum(), (X,), 1), (wrong_gradient, (X,), 1)),
    "rank": ((X, {1, 2}), (X, 3)),
    "scalar": ((1.0,), (X,)),
    "scalar_in": ((1, 0, 2), (3, 0, 2)),
    "shape": ((X, (2, None)), (X, (3, 2))),
    "tree_all_finite": ((TREE,), ({"a": X / 0},)),
    "tree_has_only_ndarrays": (({"a": X},), ({"a": 1},)),
    "tree_is_on_device": (({"a": X},), ({"a": np.ones(3)},)),
    "tree_no_nones": ((TREE,), ({"a": None},)),
    "tree_shape_prefix": (({"a": X}, (2,)), ({"a": X}, (3,))),
    "trees_all_close": ((TREE, jax.tree.map(lambda x: x * (1 + 1e-7), TREE)), (TREE, MORE)),
    "trees_all_close_ulp": ((X, X), (X, X + 1)),
    "trees_all_equal": ((TREE, TREE), (TREE, MORE)),
    "trees_all_equal_dtypes": ((X, X), (X, X.astype(int))),
    "trees_all_equal_shapes": (({"a": X}, {"a": X}), ({"a": X}, {"a": X[0]})),
    "trees_all_equal_structs": ((TREE, TREE), (TREE, {"a": 1})),
    "type": ((X, float), (X, jnp.bfloat16)),
}
both = lambda assertion, holds, fails: [raised(assertion, *holds), raised(assertion, *fails)]
cases("assert", **{n: lambda n=n, g=given: both(getattr(chex, f"assert_{n}"), *g) for n, given in ASSERTIONS.items()})


@chex.dataclass
class Pair:
    a: chex.Array
    b: chex.ArrayTree


@chex.dataclass(frozen=True, mappable_dataclass=False)
class Frozen:
    a: chex.Array


PAIR = Pair(a=X, b={"c": X})
cases(
    "dataclass",
    jit=lambda: jax.jit(lambda d: jax.tree.map(lambda x: x * 2, d))(PAIR),
    gradient=lambda: jax.grad(lambda d: d.a.sum() + (d["b"]["c"] ** 2).sum())(PAIR),
    replace=lambda: [PAIR.replace(a=X + 5), Pair.from_tuple(PAIR.to_tuple())],
    paths=lambda: [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(PAIR)],
    frozen=lambda: raised(setattr, Frozen(a=X), "a", 1),
)


@case
def max_traces():
    chex.clear_trace_counter()

    @jax.jit
    @chex.assert_max_traces(n=1)
    def once(x):
        return x + 1

    return [once(X), once(X + 1), raised(once, X[0]), raised(chex.assert_max_traces, jax.jit(lambda x: x), 1)]


@case
def fake_jit():
    calls = []
    with chex.fake_jit():
        add = jax.jit(lambda x: [calls.append(1), x + 1][1])
        add(X), add(X)
    return len(calls)


@case
def fake_pmap():
    center = lambda: jax.pmap(lambda x: x - jax.lax.pmean(x, "i"), axis_name="i")(X)
    with chex.fake_pmap():
        first = center()
    with chex.fake_pmap_and_jit():
        return [first, center()]


@case
def chexify():
    @chex.chexify
    @jax.jit
    def add(x):
        chex.assert_tree_all_finite(x)
        return x + 1

    def fails():
        add(X / 0)
        chex.block_until_chexify_assertions_complete()

    result = add(X)
    chex.block_until_chexify_assertions_complete()
    return [result, raised(fails)]


@case
def restrict_backends():
    function = jax.jit(lambda x: x * 3 + 1)

    def run(**which):
        with chex.restrict_backends(**which):
            return function(X)

    return [raised(run, forbidden=["cpu"]), run(allowed=["cpu"]), run(forbidden=["cpu"])]


case(lambda: raised(chex.set_n_cpu_devices, 4), "set_n_cpu_devices")
case(lambda: [chex.Dimensions(N=2, C=3)["NC"], raised(chex.assert_shape, X, chex.Dimensions(N=3)["N*"])], "dimensions")


class Variants(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_device=True, without_device=True, with_pmap=True)
    def test_doubling(self):
        chex.assert_trees_all_close(self.variant(lambda x: x * 2)(X), X * 2)


@case
def variants():
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Variants).run(result)
    return [result.testsRun, len(result.errors), len(result.failures)]


if __name__ == "__main__":
    main()
