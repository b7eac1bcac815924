"""Which names of JAX a module of pequegrad.jax_api lacks, and which signatures differ.

python -m tests.jax_api.surface numpy lax random ...
"""

import importlib
import inspect
import sys
import types


def names(path):
    """The public names of jax's module `path` ("numpy", "lax.linalg"; "" is jax itself)."""
    module = importlib.import_module("jax" + (f".{path}" if path else ""))
    public = getattr(module, "__all__", None) or [n for n in vars(module) if not n.startswith("_")]
    return module, [n for n in public if not isinstance(getattr(module, n, None), types.ModuleType)]


def parameters(function):
    """(name, kind, default) of each parameter, or None if the signature cannot be read. Defaults are compared by their text."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    return [(p.name, p.kind, _shown(p.default)) for p in signature.parameters.values()]


def _shown(default):
    text = repr(default)
    return "an object" if " at 0x" in text or text.startswith("<") else text


def differences(path):
    """(missing names, {name: (our parameters, JAX's)}) of a module."""
    theirs, public = names(path)
    try:
        ours = importlib.import_module("pequegrad.jax_api" + (f".{path}" if path else ""))
    except ModuleNotFoundError:
        return sorted(public), {}
    missing, different = [], {}
    for name in public:
        try:
            here = getattr(ours, name)
        except AttributeError:
            missing.append(name)
            continue
        there = getattr(theirs, name)
        if callable(here) and callable(there) and not isinstance(there, type):
            a, b = parameters(here), parameters(there)
            if a is not None and b is not None and a != b:
                different[name] = a, b
    return sorted(missing), different


def main(paths):
    for path in paths:
        missing, different = differences(path)
        print(f"\njax.{path}: {len(missing)} names missing, {len(different)} signatures differ")
        print("  " + " ".join(missing))
        for name, (a, b) in different.items():
            print(f"  {name}\n    ours {_text(a)}\n    JAX  {_text(b)}")


def _text(found):
    marks = {
        inspect.Parameter.VAR_POSITIONAL: "*",
        inspect.Parameter.VAR_KEYWORD: "**",
        inspect.Parameter.POSITIONAL_ONLY: "/",
    }
    return ", ".join(
        f"{marks.get(kind, '')}{'kw:' if kind == inspect.Parameter.KEYWORD_ONLY else ''}{name}"
        + ("" if "inspect._empty" in default or default == "an object" else f"={default}")
        for name, kind, default in found
    )


if __name__ == "__main__":
    main(sys.argv[1:])
