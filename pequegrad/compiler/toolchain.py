"""From C functions to addresses: memory, then the disk (cache.py), then the C compiler (c_compiler.py).

    build([("pg_1f3a", "void pg_1f3a(void *const *b, ...) { ... }"), ...]) -> [address, ...]

A text declares nothing: the file that it is compiled in begins with pequegrad_scalar.h and its relatives (`prelude`),
so it computes what the kernels of the runtime compute. Functions are spread over as many files as there are cores, but
not over more: starting a compiler takes as long as compiling two small kernels, and loading a file as long as finding
ten kernels.
"""

import functools
import os
import re
import warnings
from hashlib import blake2b

from ..core.errors import PequegradError
from ..core.locks import AfterForkLock
from ..runtime import library
from .c_compiler import Compiler, SwitchedOff, Unavailable
from .cache import build_folder, open_cache

_SMALL_FILE = 2000  # characters of functions: fewer are not split
_HEADERS = ("freestanding", "scalar", "special", "turn", "threefry")
# The functions with vector forms (PG_VECTOR_1 and _2 of pequegrad_freestanding.h), and kernels that call them.
_UNARY = "exp exp2 expm1 log log1p cbrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc".split()
_BINARY = ["pow", "atan2"]
_CALLED = {"logistic": "exp", "erf_inv": "log"}


class _State:
    """What is known in this process."""

    def __init__(self):
        self.addresses = {}  # name -> address
        self.failed = {}  # name -> the Unavailable in which its compilation ended
        self.code = []  # library.Code, never closed: programs hold addresses
        self.compiler = None
        self.environment = None  # hash of all but a function's text that its code depends on
        self.cache = None
        self.has_warned = False


_state = _State()
_lock = AfterForkLock()


def build(functions):
    """The addresses of C functions given as pairs (name, text), for the kernel `generated`; valid for ever.

    A name stands for one text. Raises Unavailable where there is no compiler, or where it fails.
    """
    with _lock:
        missing = {name: text for name, text in functions if name not in _state.addresses}
        if missing:
            _add(missing)
        return [_state.addresses[name] for name, _ in functions]


def warn(error):
    """Tells the user, once, that programs are not fused because of an Unavailable."""
    if not _state.has_warned and not isinstance(error, SwitchedOff):
        _state.has_warned = True
        message = PequegradError(f"jit runs programs without fusing them: {error.reason}", fix=error.fix)
        warnings.warn(str(message), RuntimeWarning, stacklevel=2)


def _add(functions):
    """Loads functions that are in the cache, and compiles the others."""
    if _state.compiler is None:
        compiler = Compiler()
        _state.environment = blake2b(repr((compiler.identity, prelude())).encode()).digest()
        _state.cache = open_cache()
        _state.compiler = compiler
    keys = {name: _hash(text, _state.environment) for name, text in functions.items()}
    if _state.cache is not None:
        names = {key: name for name, key in keys.items()}
        for path, held in _state.cache.find(names).items():
            _load(path, [names[key] for key in held])
    missing = {name: text for name, text in functions.items() if name not in _state.addresses}
    if missing:
        for name in missing:
            if name in _state.failed:
                raise _state.failed[name]
        try:
            _compile(missing, keys)
        except Unavailable as error:
            _state.failed.update(dict.fromkeys(missing, error))
            raise


def _hash(text, environment):
    return blake2b(text.encode(), key=environment, digest_size=20).hexdigest()


def _load(path, names):
    """Takes functions from a shared object. Returns why that cannot be done, or None."""
    try:
        code = library.Code(path)
        found = {name: code.address(name) for name in names}
    except PequegradError as error:
        return str(error).splitlines()[0]
    _state.code.append(code)
    _state.addresses.update(found)
    return None


def _compile(functions, keys):
    groups = _balanced(functions, library.lib.pg_num_threads())
    sources = [source_of([functions[name] for name in names]) for names in groups]
    try:
        with build_folder(_state.cache) as folder:
            for names, path in zip(groups, _state.compiler.compile(sources, folder)):
                if reason := _load(path, names):  # before others, who make room in the cache, can remove it
                    raise Unavailable(f"compiled code cannot be loaded: {reason}")
                if _state.cache is not None:
                    _state.cache.add([keys[name] for name in names], path)
    except OSError as error:
        raise Unavailable(f"there is no folder to compile in: {error}", "make room, or set PG_CACHE_DIR.") from None


def _balanced(functions, n):
    """At most n groups of names, about equal in length of text."""
    n = max(1, min(n, len(functions), sum(map(len, functions.values())) // _SMALL_FILE))
    groups = [(0, number, []) for number in range(n)]
    for name in sorted(functions, key=lambda name: -len(functions[name])):
        length, number, names = min(groups)
        groups[number] = (length + len(functions[name]), number, [*names, name])
    return [names for _, _, names in groups]


# ---- source texts --------------------------------------------------------------------------------------


@functools.cache
def prelude():
    """The C text that all files begin with."""
    folder = os.path.join(os.path.dirname(library.__file__), "include")
    parts = ["#define PG_FREESTANDING\n"]
    for name in _HEADERS:
        with open(os.path.join(folder, f"pequegrad_{name}.h")) as file:
            parts += [f'#line 1 "pequegrad_{name}.h"\n', re.sub("(?m)^#include.*", "", file.read())]
    return "".join(parts)


def source_of(texts):
    """The file that defines these functions."""
    calls = rf"\bpg_({'|'.join((*_UNARY, *_BINARY, *_CALLED))})_(float32|float64)\b"
    used = {(_CALLED.get(name, name), dtype) for text in texts for name, dtype in re.findall(calls, text)}
    forms = [f"PG_VECTOR_{1 if name in _UNARY else 2}({name}, {dtype})\n" for name, dtype in sorted(used)]
    kernels = [f'#line 1 "kernel"\n{text}\n' for text in texts]
    return "".join([prelude(), "#ifdef PG_VECTOR_MATH\n", *forms, "#endif\n", *kernels])
