"""Prints docs/primitives.md: the rules of every primitive, as the code has them.

python scripts/primitives_table.py > docs/primitives.md      writes it (make docs)
python scripts/primitives_table.py --check                   fails if it is not what would be written

What a column says is found by asking, never by reading the source: the rules are called on the primitive's own samples.
"""

import inspect
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import pequegrad as pg  # noqa: E402  the package beside this script, not an installed one
from pequegrad.core.dtype import dt, is_float, is_inexact, is_integer  # noqa: E402
from pequegrad.core.errors import DtypeError, ShapeError  # noqa: E402
from pequegrad.core.node import make_aval  # noqa: E402
from pequegrad.primitives import PRIMITIVES  # noqa: E402

PAGE = ROOT / "docs" / "primitives.md"
INTRODUCTION = """\
# Primitives

Every operation is composed of these. Written by `make docs` from the code and its samples: do not edit.

- **infer**: operands -> results in the samples. **batch**: `yes`, or `axis` if the rule needs to know the mapped axis.
- **jvp**: `linear` (its own), `partials` (from partial derivatives), `yes`, `0` (constant wherever it has a derivative), or `-` (none).
- **transpose**: `yes`, `vjp` (from partial derivatives), or `-`: reverse mode transposes what jvp builds. **lower**: kernels.
  **dtypes** that infer accepts for the data operands: *integer* are eight, *float* four, *number* any but bool; `-`: no samples.
"""
COLUMNS = ("primitive", "meaning", "infer", "jvp", "transpose", "batch", "lower", "dtypes")

# ---- samples in other dtypes ---------------------------------------------------------------------------


def samples(primitive):
    """A list of (arrays, params); empty for primitives that need a graph, a function or a mapped axis."""
    if not hasattr(primitive.rules, "samples"):
        return []
    found = []
    for arrays, params in primitive.samples(np.random.default_rng(0)):
        if "dtype" in params:
            params = dict(params, dtype=np.dtype(params["dtype"]))
        found.append(([np.asarray(a) for a in arrays], params))
    return found


def data_dtype(arrays):
    """The dtype of a sample's data operands: the first inexact one, else that of the first operand; None without any."""
    dtypes = [a.dtype for a in arrays]
    return next((d for d in dtypes if is_inexact(d)), dtypes[0] if dtypes else None)


def params_in(params, data, dtype):
    """The parameters for data operands in `dtype` instead of `data`: a parameter `dtype` follows if it was the same."""
    follows = "dtype" in params and (data is None or params["dtype"] == data)
    return dict(params, dtype=dtype) if follows else params


def accepted_dtypes(primitive, arrays, params):
    """The dtypes that infer takes for a sample's data operands."""
    data = data_dtype(arrays)
    found = []
    for dtype in dt:
        avals = [make_aval(a.shape, dtype if a.dtype == data else a.dtype, pg.device.cpu) for a in arrays]
        try:
            primitive.infer(*avals, **params_in(params, data, dtype))
        except (DtypeError, ShapeError):  # ShapeError: bits do not fit a dtype of another size
            continue
        found.append(dtype)
    return found


# ---- one column each -----------------------------------------------------------------------------------


def meaning(primitive):
    """The first line of the docstring."""
    return (primitive.__doc__ or "").strip().split("\n")[0].rstrip(".:;,").replace("|", "\\|")


def infer(primitive):
    """How many operands and results the samples have."""
    counts = []
    for arrays, params in samples(primitive):
        out = primitive.infer(*[make_aval(a.shape, a.dtype, pg.device.cpu) for a in arrays], **params)
        counts.append((len(arrays), len(out) if isinstance(out, tuple) else 1))
    if not counts:
        return "yes" if hasattr(primitive.rules, "infer") else "-"
    spans = [sorted(set(column)) for column in zip(*counts)]
    return " -> ".join(str(s[0]) if len(s) == 1 else f"{s[0]}..{s[-1]}" for s in spans)


def jvp(primitive):
    """What the rule is made from; `0` if it gives no tangent on any sample."""
    fixed = getattr(primitive.rules, "without_derivative", ())
    if not hasattr(primitive.rules, "jvp") or (
        fixed and all(len(arrays) == len(fixed) for arrays, _ in samples(primitive))
    ):
        return "-"
    if primitive.linear:
        return "linear"
    if hasattr(primitive.rules, "derivative"):
        return "partials"
    if getattr(primitive.rules, "without_derivative", None):
        return "refused"
    return "0" if samples(primitive) and not any(moves(primitive, *s) for s in samples(primitive)) else "yes"


def moves(primitive, arrays, params):
    """True if some result has a tangent when all inexact operands have one."""
    primals = [pg.Tensor(a) for a in arrays]
    out = primitive(*primals, **params)
    found = primitive.jvp(primals, [x if is_inexact(x.dtype) else None for x in primals], out, **params)
    return any(t is not None for t in found) if isinstance(found, tuple) else found is not None


def transpose(primitive):
    if hasattr(primitive.rules, "transpose"):
        return "yes"
    return "vjp" if primitive.vjp is not None else "-"


def batch(primitive):
    if hasattr(primitive.rules, "batch_with_axis"):
        return "axis"
    return "yes" if hasattr(primitive.rules, "batch") else "-"


def lower(primitive):
    """The kernels of all samples. Without samples the rule is asked with zeros: its kernel depends on no parameter."""
    if not hasattr(primitive.rules, "lower"):
        return "-"
    calls = [
        ([make_aval(a.shape, a.dtype, pg.device.cpu) for a in arrays], params) for arrays, params in samples(primitive)
    ]
    if not calls:
        given = inspect.signature(primitive.lower).parameters.values()
        positional = [0 for p in given if p.kind is p.POSITIONAL_OR_KEYWORD]
        calls = [(positional, {p.name: 0 for p in given if p.kind is p.KEYWORD_ONLY})]
    try:
        return ", ".join(dict.fromkeys(f"`{primitive.lower(*avals, **params)[0]}`" for avals, params in calls))
    except Exception:  # a rule that always raises: the primitive never reaches the runtime
        return "-"


def dtypes(primitive):
    """The union over the samples, in words."""
    found = set()
    for arrays, params in samples(primitive):
        found.update(accepted_dtypes(primitive, arrays, params))
    everything = set(dt)
    if found == everything:
        return "any"
    if found == everything - {dt.bool_}:
        return "number"
    words = []
    groups = {
        "bool": lambda d: d.kind == "b",
        "integer": is_integer,
        "unsigned": lambda d: d.kind == "u",
        "float": is_float,
        "complex": lambda d: d.kind == "c",
    }
    for word, belongs in groups.items():
        group = {d for d in everything if belongs(d)}
        if group and group <= found:
            words.append(word)
            found -= group
    return ", ".join(words + [d.name for d in dt if d in found]) or "-"


# ---- the page ------------------------------------------------------------------------------------------


def row(primitive):
    rules = [column(primitive) for column in (meaning, infer, jvp, transpose, batch, lower, dtypes)]
    return [f"`{primitive.name}`", *rules]


def table(primitives):
    """The lines of a Markdown table, its columns aligned."""
    rows = [list(COLUMNS), *[row(p) for p in primitives]]
    widths = [max(map(len, column)) for column in zip(*rows)]
    rows.insert(1, ["-" * w for w in widths])
    return ["| " + " | ".join(cell.ljust(w) for cell, w in zip(cells, widths)) + " |" for cells in rows]


def page():
    """The text of docs/primitives.md."""
    files = {}
    for primitive in PRIMITIVES.values():
        files.setdefault(primitive.rules.__module__, []).append(primitive)
    lines = [INTRODUCTION]
    for module in sorted(files):
        if module.startswith("pequegrad.primitives."):
            about = sys.modules[module].__doc__.split("\n")[0]
            lines += [f"## {module.rpartition('.')[2]}.py", "", about, "", *table(files[module]), ""]
    return "\n".join(lines)


def check():
    if PAGE.read_text() != page():
        sys.exit(f"{PAGE} is not current: run make docs")


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        check()
    else:
        sys.stdout.write(page())
