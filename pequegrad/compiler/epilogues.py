"""Products whose rows the kernel that reads them takes up while they are in cache.

The runtime computes the product a panel of rows at a time and calls the generated function for each panel (a primitive's
`epilogue` names the runtime's kernel). So a kernel qualifies if its rows are those of the product, of which it reads
nothing but the row that it is at. Unless something else reads the product, it never exists as a whole.

Whether that pays was measured, on one thread with 2 MiB of L2; shapes alone decide.
"""

from ..core.dtype import dt
from ..core.node import detached
from ..primitives.elementwise import convert
from .c_scalars import HALVES
from .loops import cost_of, plan_of

LARGE = 3 << 20  # bytes of a product that does not stay in L2
LONGEST_ROW = 1 << 13  # bytes: of longer ones a panel would have few,
LARGEST_OPERAND = 1 << 22  # bytes of the right operand, which each panel reads
MOST_WORK = 1600  # flops per element: with more, moving it costs nothing beside them
LARGEST_UNIT = 1 << 19  # bytes of the rows of a chunk, which are in cache together
CHEAP = 8  # cost of an element up to which a result lies where the product did: dearer kernels write elsewhere as fast
MOST_OPERANDS = 128  # of the runtime's kernel, results included


class Product:
    """A product that a kernel takes up.

    is_kept: something else reads it, too. may_be_overwritten: it may lie where the kernel writes a result, element by element.
    """

    def __init__(self, node, is_kept, may_be_overwritten):
        self.node, self.is_kept, self.may_be_overwritten = node, is_kept, may_be_overwritten
        self.kernel, self.n_rows = node.spec.primitive.epilogue(*node.spec.inputs, **node.spec.params)

    def __repr__(self):
        return f"{self.node.spec.primitive.name}{', kept' if self.is_kept else ''}"

    def lower(self, kernel, position, n_results):
        """(kernel, parameters) for the runtime; kernel: generated code that reads the product as its operand `position`."""
        _, params = self.node.spec.primitive.lower(*self.node.spec.inputs, **self.node.spec.params)
        output = n_results - 1 if self.is_kept else -1
        place = kernel.aliases.index(position) if position in kernel.aliases else -1
        own = (kernel, kernel.units, kernel.rows, kernel.scratch, position, output, place)
        return self.kernel, (*params, *own)


def is_worthwhile(node):
    """True for a product that a kernel may take up."""
    epilogue = getattr(node.spec.primitive, "epilogue", None)
    found = epilogue and epilogue(*node.spec.inputs, **node.spec.params)
    if not found or node.aval.size == 0:
        return False
    bytes = node.aval.size * node.aval.dtype.itemsize
    row = bytes // found[1]
    work = node.spec.primitive.flops(*node.spec.inputs, **node.spec.params) / node.aval.size  # 2 * terms of each sum
    return bytes >= LARGE and row <= LONGEST_ROW and row * work / 2 <= LARGEST_OPERAND and work <= MOST_WORK


def with_wide_products(graph):
    """Products that are rounded to 16 bits as what they are in the runtime: products of float32 and a convert, which kernels do."""

    def replacement(node, inputs):
        if getattr(node.spec.primitive, "epilogue", None) is None or node.aval.dtype.name not in HALVES:
            return None
        spec = node.spec.primitive.make_spec(node.spec.inputs, {**node.spec.params, "dtype": dt.float32})
        product = detached(spec, inputs)
        if not is_worthwhile(product):
            return None
        to = {"dtype": node.aval.dtype, "weak_type": node.aval.weak_type}
        return detached(convert.make_spec((spec.aval,), to), (product,))

    return graph.rewritten(replacement)


def plan_with_product(group, grouping, taken):
    """The Plan of a group that takes up a product which it reads, now a member of it; None if there is none.

    taken: the products that other groups have taken up; this one's is added.
    """
    members = set(group.members)
    bases = [grouping.source(operand)[0] for node in group.members for operand in node.inputs]
    found = [base for base in dict.fromkeys(bases) if base not in members | taken and is_worthwhile(base)]
    for node in sorted(found, key=lambda node: (-node.aval.size, grouping.position[node])):
        outside = grouping.is_needed_outside(node, members)
        if outside and grouping.is_cyclic({*members, node}):
            continue
        product = Product(node, outside, not outside and sum(map(cost_of, members)) <= CHEAP)
        plan = plan_of(group, grouping)
        if not _fits(plan, product, grouping) and not plan.has_reductions:
            plan = plan_of(group, grouping, _rows_of_product(plan, product))
        if _fits(plan, product, grouping):
            plan.product = product
            group.members.append(node)
            grouping.group[node] = group
            taken.add(node)
            return plan
    return None


def _row_size(product):
    return product.node.aval.size // product.n_rows


def _rows_of_product(plan, product):
    """The axes on which the row of the product that is read depends."""
    strides = [access.strides for access in plan.accesses if access.node is product.node]
    return frozenset(axis for s in strides for axis, stride in s.items() if abs(stride) >= _row_size(product))


def _fits(plan, product, grouping):
    """True if row r of the kernel reads nothing of the product but its row r, and no panel splits a unit."""
    if plan.flat or plan.n_rows != product.n_rows:
        return False
    if len(plan.inputs) + 1 + len(plan.results) + product.is_kept > MOST_OPERANDS:
        return False
    if plan.chunks is not None:
        per_unit = -(-plan.n_rows // plan.chunks)
        bytes = per_unit * _row_size(product) * product.node.aval.dtype.itemsize
        if plan.chunks > plan.n_rows or bytes > LARGEST_UNIT:
            return False
    for access in plan.accesses:
        if access.node is product.node:
            if not _reads_own_row(access, plan, product):
                return False
        elif grouping.source(access.node)[0] is product.node:
            return False  # a view that must be in memory
    return True


def _reads_own_row(access, plan, product):
    size = _row_size(product)
    reach = size
    for loop in reversed(plan.rows):
        if access.strides.get(loop.last, 0) != reach:
            return False
        reach *= loop.size
    low = high = access.constant
    for axis, stride in access.strides.items():
        if axis not in plan.row_axes:
            low += min(0, stride * (axis.size - 1))
            high += max(0, stride * (axis.size - 1))
    return 0 <= low and high < size
