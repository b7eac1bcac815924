"""The system's C compiler: which one, with which flags, and running it on several files at once.

PG_CC names it (it may hold arguments), default: the first of cc, gcc and clang on the PATH; `none` for none.

Modules that only compiling needs are imported where it begins: a process that finds all code in the cache (toolchain.py)
does not pay for them.
"""

import contextlib
import os
import sys
import threading
import time

from ..runtime import library

TIMEOUT = 300  # seconds for all files of a build

# As the kernels of the runtime are compiled (runtime/Makefile). With gcc 12 on loops of softmax, layer norm, Adam and
# 16-bit arithmetic -O2 with this cost model runs as fast as -O3 and compiles in 9/10 of the time; -O1 compiles in 3/4
# of the time of -O3, and is a fifth to twice as slow. -fwrapv: sums of integers wrap around.
_FLAGS = [
    "-O2", "-fPIC", "-shared", "-s", "-fno-math-errno", "-fno-trapping-math", "-fno-strict-aliasing", "-fopenmp-simd",
    "-ffp-contract=off", "-fwrapv", "-fno-asynchronous-unwind-tables", "-fno-stack-protector", "-w", "-pipe",
]  # fmt: skip
_GCC_FLAGS = ["-fvect-cost-model=dynamic"]
_ISA_FLAGS = {
    "base": ["-march=x86-64"],
    "v3": ["-march=x86-64-v3"],
    "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
}


class Unavailable(Exception):
    """Code cannot be generated here, or this code could not be: programs run unfused."""

    def __init__(
        self, reason, fix="see whether the compiler works, or name another in PG_CC (PG_CC=none: do without)."
    ):
        super().__init__(reason)
        self.reason, self.fix = reason, fix


class SwitchedOff(Unavailable):
    """PG_CC=none: as the user wants it."""


class Compiler:
    """command: a list of words. identity: all but its input that its output depends on."""

    def __init__(self):
        """Raises Unavailable if there is none. Starts no process."""
        self.command = _find()
        isa = library.ffi.string(library.lib.pg_cpu_isa_name()).decode() if os.uname().machine == "x86_64" else None
        self.isa_flags = _ISA_FLAGS.get(isa, [])
        self.glibc = _glibc_version()
        self.identity = [
            sys.platform,
            os.uname().machine,
            self.glibc,
            *self.command,
            *_FLAGS,
            *_GCC_FLAGS,
            *self.isa_flags,
        ]
        for word in self.command:  # arguments of a wrapper such as ccache may be programs, too
            if path := _which(word):
                found = os.stat(path)
                self.identity += [found.st_mtime_ns, found.st_size]
        self._flags = None

    def flags(self):
        """Those before and after the name of the source file."""
        if self._flags is None:
            self._flags = self._find_flags()
        return self._flags

    def _find_flags(self):
        import subprocess

        text = subprocess.run(
            [*self.command, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT
        )
        clang = b"clang" in text.stdout
        flags = [*_FLAGS, *self.isa_flags, *([] if clang else _GCC_FLAGS)]
        if self.glibc is None:
            return flags, ["-lm"]
        # the libraries by the names of their files: nothing is searched, and no development package is needed
        libraries = ["-nostdlib", "-l:libm.so.6", *([] if clang else ["-lgcc"])]
        if self.isa_flags and self.glibc >= (2, 35):  # see pequegrad_freestanding.h
            flags += ["-fveclib=libmvec" if clang else "-DPG_VECTOR_MATH"]
            libraries += ["-l:libmvec.so.1"]
        return flags, libraries

    def compile(self, sources, folder):
        """Makes a shared object of each C text, all at the same time; returns their paths in `folder`.

        Raises Unavailable. No process is left when it ends, whatever ends it.
        """
        import subprocess

        try:
            flags, libraries = self.flags()
            commands = []
            for number, text in enumerate(sources):
                base = os.path.join(folder, f"kernels{number}")
                with open(f"{base}.c", "w") as file:
                    file.write(text)
                commands.append([*self.command, *flags, f"{base}.c", "-o", f"{base}.so", *libraries])
            _run(commands, folder)
            return [f"{command[command.index('-o') + 1]}" for command in commands]
        except subprocess.TimeoutExpired:
            raise Unavailable(f"the C compiler took longer than {TIMEOUT} s: {' '.join(self.command)}") from None
        except OSError as error:
            raise Unavailable(f"the C compiler cannot be run: {error}") from None


def _find():
    named = os.environ.get("PG_CC", "").strip()
    if not named:
        for name in ("cc", "gcc", "clang"):
            if path := _which(name):
                return [path]
        raise Unavailable(
            "no C compiler was found (cc, gcc, clang).",
            "install one, or name it in PG_CC (PG_CC=none: do without, and without this warning).",
        )
    if named == "none":
        raise SwitchedOff("PG_CC is none.")
    import shlex

    try:
        words = shlex.split(named)
    except ValueError as error:
        raise Unavailable(f"PG_CC is {named!r}: {error}.") from None
    path = _which(words[0])
    if path is None:
        raise Unavailable(f"PG_CC is {named!r}, but {words[0]} is not a program.")
    return [path, *words[1:]]


def _which(name):
    """The absolute path of a program, or None."""
    folders = [""] if os.sep in name else [f for f in os.environ.get("PATH", os.defpath).split(os.pathsep) if f]
    for folder in folders:
        path = os.path.abspath(os.path.join(folder, name))
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def _glibc_version():
    """(major, minor), or None with another C library."""
    try:
        name, version = os.confstr("CS_GNU_LIBC_VERSION").split()
        return tuple(map(int, version.split(".")[:2])) if name == "glibc" else None
    except (ValueError, OSError, AttributeError):
        return None


def _run(commands, folder):
    """Runs all commands at the same time; raises Unavailable for the first that fails."""
    import shlex
    import signal
    import subprocess

    environment = {**os.environ, "TMPDIR": folder, "LC_ALL": "C"}  # what a killed compiler leaves is in `folder`, too
    deadline, processes = time.monotonic() + TIMEOUT, []
    try:
        with _interrupts_deferred():  # else a process that has just been started might be forgotten
            for number, command in enumerate(commands):
                with open(os.path.join(folder, f"messages{number}"), "wb") as messages:
                    process = subprocess.Popen(
                        command, stdin=subprocess.DEVNULL, stdout=messages, stderr=messages, env=environment,
                        start_new_session=True,  # Ctrl-C is for us, and killing it kills what it has started
                    )  # fmt: skip
                    processes.append(process)
        for number, process in enumerate(processes):
            status = process.wait(max(0, deadline - time.monotonic()))
            if status:
                with open(os.path.join(folder, f"messages{number}"), errors="replace") as messages:
                    said = "".join(f"\n    {line.rstrip()}" for line in messages.readlines()[:5])
                raise Unavailable(f"the C compiler failed ({status}): {shlex.join(commands[number])}{said}")
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@contextlib.contextmanager
def _interrupts_deferred():
    """Ctrl-C takes effect at the end of the block."""
    import signal

    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    calls = []
    signal.signal(signal.SIGINT, lambda *call: calls.append(call))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if calls:
            handler(*calls[0])
