"""From C functions to addresses: memory, then the disk cache (cache.py), then the system's C compiler.

    build([("pg_1f3a...", "void pg_1f3a...(void *const *buffers, ...) { ... }"), ...]) -> [address, ...]

A function's text needs no declarations: the file begins with the text of pequegrad_scalar.h and its relatives
(`prelude`). Functions are spread over as many files as there are cores, since starting a compiler takes as long as
compiling two kernels. Where code cannot be generated `build` raises Unavailable, and jit runs programs unfused.

PG_CC names the compiler (it may hold arguments), default: the first of cc, gcc, clang on the PATH; `none` for none.
"""

import os
import platform
import re
import shlex
import shutil
import signal
import sys
import time
import warnings
from hashlib import blake2b

from ..core.errors import PequegradError
from ..core.locks import AfterForkLock
from ..runtime import library
from .cache import build_folder, open_cache, remove_folder

TIMEOUT = 300  # seconds for all files of a build
_HEADERS = ("freestanding", "scalar", "complex", "special")
_SMALLEST_FILE = 2000  # characters of kernels for which another compiler process is worth starting

# The environment of the kernels of the runtime: see runtime/Makefile. -O2 compiles in 4/5 of the time of -O3, and runs
# as fast: loops are marked for vectorisation, and so vectorised whatever they cost.
_FLAGS = (
    "-O2 -fPIC -fno-math-errno -fno-trapping-math -fno-strict-aliasing -fopenmp-simd -ffp-contract=off "
    "-fno-asynchronous-unwind-tables -fno-stack-protector -w -pipe"
).split()
_ISA_FLAGS = {
    "base": ["-march=x86-64"],
    "v3": ["-march=x86-64-v3"],
    "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
}
# The functions that have vector forms: PG_VECTOR_1 and _2 in pequegrad_freestanding.h. Two kernels call others.
_UNARY = (
    "exp exp2 expm1 log log1p cbrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc".split()
)
_BINARY = ["pow", "atan2"]
_CALLED = {"logistic": "exp", "erf_inv": "log"}
_VECTOR_CALL = re.compile(rf"\bpg_({'|'.join((*_UNARY, *_BINARY, *_CALLED))})_(float32|float64)\b")


class Unavailable(Exception):
    """Code cannot be generated here, or this code could not be. `report` says so to the user."""

    def __init__(self, reason, fix):
        super().__init__(reason)
        self.reason, self.fix = reason, fix


class SwitchedOff(Unavailable):
    """PG_CC=none: as the user wants it."""


# ---- what is known in this process ---------------------------------------------------------------------


class _State:
    """Set up when the first function is built."""

    def __init__(self):
        self.addresses = {}  # name -> address
        self.failed = {}  # name -> the Unavailable that its compilation ended in
        self.code = []  # library.Code: never closed, as addresses may be anywhere
        self.unavailable = None
        self.compiler = None  # (command, environment: all but its text that a function's code depends on)
        self.cache = None
        self.reported = False


_state = _State()
_lock = AfterForkLock()


def build(functions):
    """The addresses (int) of C functions given as pairs (name, text); a name stands for one text for ever.

    Raises Unavailable.
    """
    with _lock:
        missing = {name: text for name, text in functions if name not in _state.addresses}
        if missing:
            _add(missing)
        return [_state.addresses[name] for name, _ in functions]


def report(error):
    """Warns the user, once in a process, that an Unavailable keeps jit from fusing."""
    if not _state.reported and not isinstance(error, SwitchedOff):
        _state.reported = True
        warning = PequegradError(f"jit runs without fused kernels: {error.reason}", fix=error.fix)
        warnings.warn(str(warning), RuntimeWarning, stacklevel=2)


def _add(functions):
    """Loads functions from the cache; compiles and loads the others."""
    if _state.compiler is None:
        _state.compiler, _state.cache = _find_compiler(), open_cache()
    for name in functions:
        if name in _state.failed:
            raise _state.failed[name]
    command, environment = _state.compiler
    keys = {name: blake2b(text.encode(), key=environment, digest_size=20).hexdigest() for name, text in functions.items()}
    if _state.cache is not None:
        names = {key: name for name, key in keys.items()}
        for path, held in _state.cache.find(names).items():
            _load(path, [names[key] for key in held])
    missing = {name: text for name, text in functions.items() if name not in _state.addresses}
    if missing:
        try:
            _compile(command, missing, keys)
        except Unavailable as error:
            _state.failed.update(dict.fromkeys(missing, error))
            raise


def _load(path, names):
    """Takes functions from a shared object; none if it cannot be loaded or lacks one."""
    try:
        code = library.Code(path)
        _state.addresses.update({name: code.address(name) for name in names})
    except PequegradError as error:
        return error
    _state.code.append(code)
    return None


# ---- the compiler --------------------------------------------------------------------------------------


def _find_compiler():
    """(command, environment) of the compiler, found once in a process."""
    fix = "install gcc or clang, or name a compiler in PG_CC (PG_CC=none: do without, and without this warning)."
    named = os.environ.get("PG_CC", "").strip()
    if named == "none":
        raise SwitchedOff("PG_CC is none", fix)
    try:
        words = shlex.split(named)
    except ValueError as error:
        raise Unavailable(f"PG_CC is {named!r}: {error}", fix) from None
    found = next(filter(None, map(shutil.which, words[:1] or ("cc", "gcc", "clang"))), None)
    if found is None:
        raise Unavailable(f"PG_CC is {named!r}, which is not found" if named else "there is no C compiler", fix)
    command = [os.path.abspath(found), *words[1:]]
    identity = [library.lib.PG_ABI_VERSION, _isa(), sys.platform, *command, *_FLAGS, _has_vector_math()]
    for word in command:  # a wrapper's argument may be the compiler
        if path := shutil.which(word):
            changed = os.stat(path)
            identity += [changed.st_mtime_ns, changed.st_size]
    return command, blake2b(repr((identity, prelude())).encode()).digest()


def _isa():
    return library.ffi.string(library.lib.pg_cpu_isa_name()).decode()


def _has_vector_math():
    """Whether libmvec has all functions of pequegrad_freestanding.h."""
    try:
        name, version = os.confstr("CS_GNU_LIBC_VERSION").split()
        return name == "glibc" and tuple(map(int, version.split("."))) >= (2, 35) and platform.machine() == "x86_64"
    except (ValueError, OSError, AttributeError):
        return False


def _flags(command):
    """(flags, libraries) for this compiler."""
    import subprocess

    text = subprocess.run([*command, "--version"], capture_output=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL).stdout
    clang = b"clang" in text
    flags = _FLAGS + (_ISA_FLAGS[_isa()] if platform.machine() == "x86_64" else [])
    libraries = ["-shared", "-s"]
    if not hasattr(os, "confstr") or "CS_GNU_LIBC_VERSION" not in os.confstr_names:
        libraries += ["-lm"]
    else:  # by name of the library itself: development packages need not be installed, and nothing is searched
        libraries += ["-nostdlib", *["-l:libmvec.so.1"] * _has_vector_math(), "-l:libm.so.6", *["-lgcc"] * (not clang)]
    if _has_vector_math():
        flags = [*flags, "-fveclib=libmvec" if clang else "-DPG_VECTOR_MATH"]
    return flags, libraries


def _compile(command, functions, keys):
    """Compiles and loads functions, in as many processes as there are cores."""
    fix = "see whether the compiler works, or name another in PG_CC (PG_CC=none: do without one)."
    folder = None
    try:
        folder = build_folder(_state.cache)
        flags, libraries = _flags(command)
        groups = _balanced(functions, library.lib.pg_num_threads())
        commands, outputs = [], []
        for number, names in enumerate(groups):
            source = os.path.join(folder, f"kernels{number}.c")
            with open(source, "w") as file:
                file.write(source_of([functions[name] for name in names]))
            outputs.append(os.path.join(folder, f"kernels{number}.so"))
            commands.append([*command, *flags, source, "-o", outputs[-1], *libraries])
        _run(commands, folder, fix)
        for names, path in zip(groups, outputs):
            if _state.cache is not None:
                try:
                    path = _state.cache.add([keys[name] for name in names], path)
                except OSError:  # a full disk, a folder that is gone: do without
                    pass
            if error := _load(path, names):
                raise Unavailable(f"compiled code cannot be loaded: {str(error).splitlines()[0]}", fix)
    except (OSError, TimeoutError) as error:
        raise Unavailable(f"the C compiler could not be run: {error}", fix) from None
    finally:
        if folder:
            remove_folder(folder)


def _balanced(functions, n_cores):
    """Names in groups of about the same length of text."""
    n = max(1, min(n_cores, sum(map(len, functions.values())) // _SMALLEST_FILE, len(functions)))
    groups = [[0, number, []] for number in range(n)]
    for name in sorted(functions, key=lambda name: -len(functions[name])):
        shortest = min(groups)
        shortest[0] += len(functions[name])
        shortest[2].append(name)
    return [names for _, _, names in groups]


def _run(commands, folder, fix):
    """Runs compilers at the same time. When it returns or raises, none of their processes is left."""
    import subprocess

    environment = {**os.environ, "TMPDIR": folder, "LC_ALL": "C"}  # what a killed compiler leaves behind is removed, too
    deadline, processes = time.monotonic() + TIMEOUT, []
    try:
        for number, command in enumerate(commands):
            with open(os.path.join(folder, f"errors{number}"), "wb") as errors:
                processes.append(
                    subprocess.Popen(
                        command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=environment,
                        start_new_session=True,
                    )  # fmt: skip
                )
        for number, process in enumerate(processes):
            status = process.wait(max(0, deadline - time.monotonic()))
            if status:
                with open(os.path.join(folder, f"errors{number}"), errors="replace") as errors:
                    said = "".join(f"\n    {line.rstrip()}" for line in errors.readlines()[:5])
                raise Unavailable(f"the C compiler failed with status {status}: {shlex.join(commands[number])}{said}", fix)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"the C compiler took longer than {TIMEOUT} s: {shlex.join(commands[0])}", fix) from None
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


# ---- source texts --------------------------------------------------------------------------------------


def prelude():
    """The C text that all files begin with."""
    folder = os.path.join(os.path.dirname(library.__file__), "include")
    parts = ["#define PG_FREESTANDING\n"]
    for name in _HEADERS:
        with open(os.path.join(folder, f"pequegrad_{name}.h")) as file:
            lines = ["\n" if line.startswith("#include") else line for line in file]
        parts += [f'#line 1 "pequegrad_{name}.h"\n', *lines]
    return "".join(parts)


def source_of(texts):
    """The file that defines these functions."""
    used = {(_CALLED.get(name, name), dtype) for text in texts for name, dtype in _VECTOR_CALL.findall(text)}
    forms = [f"PG_VECTOR_{1 if name in _UNARY else 2}({name}, {dtype})\n" for name, dtype in sorted(used)]
    if forms:
        forms = ["#ifdef PG_VECTOR_MATH\n", *forms, "#endif\n"]
    return "".join([prelude(), *forms, *[f'#line 1 "kernel"\n{text}\n' for text in texts]])
