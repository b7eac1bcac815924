"""Primitives that libraries define: one operation of a graph, whose rules are the functions that their authors register."""

from ...core.node import by_rule, face, state
from ...primitives.defined import defined_call
from ...transforms.control_flow import Closure
from ...transforms.trace import trace
from ..convert import as_array
from ..core import is_concrete
from ..interpreters import ad, batching, mlir
from ..jaxprs import shaped


class Primitive:
    """A named operation. Its rules: def_impl (what it computes outside of traced functions), def_abstract_eval (types of its
    results), jax.interpreters.mlir.register_lowering with lower_fun (what it computes in programs), jax.interpreters.ad and batching.
    """

    multiple_results = False

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return self.name

    def def_impl(self, impl):
        """Sets what it computes outside of traced functions."""
        self.impl = impl
        return impl

    def def_abstract_eval(self, abstract_eval):
        """Sets the function from the types of the arguments to those of the results."""
        self.abstract_eval = abstract_eval
        return abstract_eval

    def impl(self, *args, **params):
        """What it computes outside of traced functions; def_impl sets it."""
        raise NotImplementedError(f"Evaluation rule for '{self.name}' not implemented")

    def abstract_eval(self, *args, **params):
        """The types of its results; def_abstract_eval sets it."""
        raise NotImplementedError(f"Abstract evaluation for '{self.name}' not implemented")

    def bind(self, *args, **params):
        """Its result, or the list of its results, for these arguments."""
        with face(True):
            arrays = [as_array(x, self.name, i) for i, x in enumerate(args)]
            closure = Closure([self._traced(arrays, params)])
            rules = Rules(self, params, len(closure.constants))
            outs = list(defined_call(*closure.constants, *arrays, graph=closure.graphs[0], rules=rules))
        return outs if self.multiple_results else outs[0]

    def _traced(self, arrays, params):
        """The graph of what it computes. Outside of traced functions impl has computed the results: they are what the graph gives."""
        if state.frame is None and all(map(is_concrete, arrays)):
            with by_rule(all_of_them=True):
                outs = self._listed(self.impl(*arrays, **params))
            call = lambda values: outs
        else:
            self.abstract_eval(*[shaped(x._node.aval) for x in arrays], **params)
            function = mlir.function_of(self)
            call = lambda values: list(function(*values, **params))
        return trace("primitive", self.name, [x._node.aval for x in arrays], call)[0]

    def _listed(self, results):
        return list(results) if self.multiple_results else [results]


class Rules:
    """The rules of a primitive for one application, as defined_call asks for them. Before the arguments come `n_constants` values that impl computed."""

    def __init__(self, primitive, params, n_constants):
        self.primitive, self.params, self.n_constants = primitive, params, n_constants

    def _found(self, table, what):
        rule = table.get(self.primitive)
        if rule is None:
            raise NotImplementedError(f"{what} for '{self.primitive}' not implemented")
        return rule

    def jvp(self, primals, tangents):
        """The tangents of the results."""
        rule = self._found(ad.primitive_jvps, "Differentiation rule")
        n = self.n_constants
        zeros = [ad.Zero(shaped(x._node.aval).to_tangent_aval()) for x in primals[n:]]
        tangents = [zero if t is None else t for t, zero in zip(tangents[n:], zeros)]
        with face(True):
            _, found = rule(list(primals[n:]), tangents, **self.params)
            return tuple([None if _is_zero(t) else as_array(t) for t in self.primitive._listed(found)])

    def transpose(self, cts, inputs, linear):
        """The cotangents of the linear inputs."""
        rule = self._found(ad.primitive_transposes, "Transpose rule (for reverse-mode differentiation)")
        n = self.n_constants
        args = [ad.UndefinedPrimal(shaped(x._node.aval)) if f else x for x, f in zip(inputs[n:], linear[n:])]
        out_avals = self.primitive._listed(
            self.primitive.abstract_eval(*[shaped(x._node.aval) for x in inputs[n:]], **self.params)
        )
        cts = [ad.Zero(aval) if ct is None else ct for ct, aval in zip(cts, out_avals)]
        with face(True):
            found = rule(cts if self.primitive.multiple_results else cts[0], *args, **self.params)
            return (*[None] * n, *[None if _is_zero(ct) else as_array(ct) for ct in found])

    def batch(self, inputs, batched, axis):
        """(results over the batch, whether each has the axis)"""
        n = self.n_constants
        args, axes = list(inputs[n:]), [0 if b else None for b in batched[n:]]
        rule = batching.axis_primitive_batchers.get(self.primitive)
        with face(True):
            if rule is not None:
                outs, out_axes = rule(axis.size, axis.name, None, args, axes, **self.params)
            else:
                outs, out_axes = self._found(batching.primitive_batchers, "Batching rule")(args, axes, **self.params)
            listed = self.primitive._listed
            pairs = [(as_array(x), a) for x, a in zip(listed(outs), listed(out_axes))]
            return (
                tuple([x if a is None else batching.bdim_at_front(x, a, axis.size) for x, a in pairs]),
                tuple([a is not None for _, a in pairs]),
            )


def _is_zero(x):
    return x is None or type(x) is ad.Zero
