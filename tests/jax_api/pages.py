"""Writes docs/jax/: one page for each namespace of pequegrad.jax_api, from its code.

    python -m tests.jax_api.pages            # `make docs` does it; test_pages.py checks that they are current

A page says what is there, what differs (the part of the module's docstring that begins with "Differences from JAX:"), and which of
JAX's public names are absent.
"""

import importlib
import inspect
import sys
from pathlib import Path

import jax

if __package__:
    from .surface import names
else:
    from surface import names

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "jax"
NAMESPACES = """numpy numpy.linalg numpy.fft lax lax.linalg random nn nn.initializers scipy.special scipy.stats scipy.linalg scipy.signal
    scipy.ndimage scipy.interpolate scipy.optimize scipy.integrate scipy.cluster.vq scipy.fft scipy.sparse.linalg tree_util tree ops image
    flatten_util dtypes typing sharding debug errors custom_batching custom_derivatives export stages dlpack
    ref extend.core extend.linear_util interpreters.ad interpreters.batching interpreters.mlir interpreters.partial_eval api_util
    experimental.pallas experimental.layout experimental.ode experimental.jet experimental.checkify experimental.sparse
    example_libraries.stax example_libraries.optimizers""".split()
TITLE = "Differences from JAX:"


def page(path):
    """The text of the page of a namespace; None if jax_api does not have it."""
    try:
        module = importlib.import_module("pequegrad.jax_api" + (f".{path}" if path else ""))
    except ModuleNotFoundError:
        return None
    try:
        _, public = names(path)
    except ModuleNotFoundError:
        public = []
    public = sorted(set(public), key=lambda name: (name.lower(), name))
    here = [name for name in public if hasattr(module, name)]
    absent = [name for name in public if not hasattr(module, name)]
    about, _, differences = inspect.cleandoc(module.__doc__ or "").partition(TITLE)
    title = f"jax.{path}" if path else "jax"
    lines = [f"# {title}", "", about.strip(), ""]
    lines += [f"{len(here)} of the {len(public)} public names of JAX {jax.__version__} are here.", ""]
    if differences.strip():
        lines += ["## What differs", "", differences.strip(), ""]
    lines += ["## What is here", "", "| name | what it is |", "|---|---|"]
    lines += [f"| `{name}` | {_summary(getattr(module, name))} |" for name in here]
    if absent:
        lines += ["", "## What is absent", "", ", ".join(f"`{name}`" for name in absent)]
    return "\n".join(lines) + "\n"


def _summary(thing):
    """The first sentence of a docstring, or the value of a constant."""
    if not callable(thing):
        return f"`{thing!r}`" if isinstance(thing, (int, float, str, type(None))) else f"a {type(thing).__name__}"
    text = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
    return text or " "


def pages():
    """{file name: text} of all pages, an index among them."""
    found = {path: page(path) for path in ["", *NAMESPACES]}
    found = {path: text for path, text in found.items() if text is not None}
    index = ["# JAX's namespaces in pequegrad", "", _INDEX, ""]
    index += [f"- [{'jax.' + path if path else 'jax'}]({_file(path)})" for path in found]
    return {"index.md": "\n".join(index) + "\n", **{_file(path): text for path, text in found.items()}}


_INDEX = """Made from the code by `make docs`. `import pequegrad.jax_api as jax` has these namespaces as attributes;
`import pequegrad.jax_api as jnp` the names of jax.numpy, too; `python -m pequegrad.jax_api script.py` runs a program that imports jax."""


def _file(path):
    return f"{path.replace('.', '_') or 'jax'}.md"


def main():
    FOLDER.mkdir(exist_ok=True)
    wanted = pages()
    for old in FOLDER.glob("*.md"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
