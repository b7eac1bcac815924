"""Products with learned weights, and rows of tables."""

from ...core.dtype import is_integer
from ...core.errors import ArgumentError, DtypeError, ShapeError
from ...ops.arithmetic import promoted, where
from ...ops.at import At
from ...ops.creation import as_tensor, full
from ...ops.norms import norm
from ...ops.rearrange import take
from ...ops.shape import expand_dims
from ...primitives.contraction import dot_general
from ...primitives.control import stop_gradient


def linear(input, weight, bias=None):
    """input weight^T + bias. input: [..., in]; weight: [out, in]; bias: [out]; the result: [..., out].

    >>> linear(pg.ones((5, 2)), pg.ones((3, 2)), pg.ones(3)).shape
    (5, 3)
    """
    weight = as_tensor(weight)
    x, weight = promoted(as_tensor(input, weight.device), weight)
    if not x.ndim or weight.ndim != 2 or x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            f"linear: input {x._node.aval} and weight {weight._node.aval} do not fit.",
            fix="the last axis of the input is the second of the weight, [out, in].",
        )
    out = dot_general(x, weight, contract=((x.ndim - 1,), (1,)), batch=((), ()), dtype=x.dtype)
    return out if bias is None else out + bias


def bilinear(input1, input2, weight, bias=None):
    """sum_ij input1[..., i] weight[k, i, j] input2[..., j] + bias[k].

    input1: [..., in1]; input2: [..., in2]; weight: [out, in1, in2]; bias: [out]; the result: [..., out].

    >>> bilinear(pg.ones((5, 2)), pg.ones((5, 3)), pg.ones((4, 2, 3))).shape
    (5, 4)
    """
    weight = as_tensor(weight)
    a, b, weight = promoted(as_tensor(input1, weight.device), as_tensor(input2, weight.device), weight)
    if not a.ndim or not b.ndim or a.shape[:-1] != b.shape[:-1] or weight.shape[1:] != (a.shape[-1], b.shape[-1]):
        raise ShapeError(
            f"bilinear: inputs {a._node.aval} and {b._node.aval} do not fit the weight {weight._node.aval}.",
            fix="shapes are [..., in1], [..., in2] with equal leading axes, and [out, in1, in2].",
        )
    pairs = expand_dims(a, -1) * expand_dims(b, -2)  # [..., in1, in2]
    axes = (a.ndim - 1, a.ndim)
    out = dot_general(pairs, weight, contract=(axes, (1, 2)), batch=((), ()), dtype=a.dtype)
    return out if bias is None else out + bias


def embedding(input, weight, padding_idx=None, scale_grad_by_freq=False):
    """weight[input]: rows of a table. input: integers [...]; weight: [rows, size]; the result: [..., size].

    padding_idx: this row gets no gradient. scale_grad_by_freq: a row's gradient is divided by how often it is in
    `input`. Rows that are not there give nan: whether there are such is not known before the values are. (PyTorch's
    max_norm, which changes the weight, is `renormalized_rows` and nn.Embedding's.)

    >>> embedding(np.array([1, 1]), pg.eye(3)).tolist()
    [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    """
    weight = as_tensor(weight)
    input = _row_numbers("embedding", input, weight)
    rows = take(weight, input, 0)
    if scale_grad_by_freq:
        counts = At(full((weight.shape[0],), 0.0, weight.dtype, weight.device))[input].add(1.0)
        fixed = stop_gradient(rows)
        rows = fixed + (rows - fixed) / expand_dims(take(counts, input, 0), -1)  # x - x is 0: only derivatives change
    if padding_idx is not None:
        padding_idx = row_number("embedding", padding_idx, weight.shape[0])
        rows = where(expand_dims(input == padding_idx, -1), stop_gradient(rows), rows)
    return rows


def row_number(name, index, rows):
    """padding_idx from 0; negative ones count from the end."""
    if not -rows <= index < rows:
        raise ArgumentError(f"{name}: padding_idx={index} is not a row of a table of {rows} rows.")
    return index % rows


def renormalized_rows(weight, input, max_norm, norm_type=2.0):
    """`weight` with those rows that `input` names scaled down to `max_norm`, if their norm is larger.

    >>> np.round(renormalized_rows(pg.Tensor([[3.0, 4.0], [6.0, 8.0]]), np.array([1]), 5.0).tolist(), 3).tolist()
    [[3.0, 4.0], [3.0, 4.0]]
    """
    input = _row_numbers("embedding", input, weight)
    norms = norm(weight, ord=float(norm_type), axis=1, keepdims=True)
    named = At(full((weight.shape[0], 1), False, None, weight.device))[input].set(True)
    return where(named & (norms > max_norm), weight * (max_norm / (norms + 1e-7)), weight)


def _row_numbers(name, input, weight):
    if weight.ndim != 2:
        raise ShapeError(f"{name}: the weight {weight._node.aval} must be [rows, size].")
    input = as_tensor(input, weight.device)
    if not is_integer(input.dtype):
        raise DtypeError(
            f"{name}: row numbers must be integers, got {input._node.aval}.", fix="convert them: x.astype(dt.int32)."
        )
    return input
