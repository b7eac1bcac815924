"""The toolchain: compiling, loading, the cache on disk, and machines where none of it works."""

import contextlib
import ctypes
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import pequegrad as pg
from pequegrad.compiler import c_compiler, toolchain
from pequegrad.compiler.cache import DEFAULT_SIZE, open_cache
from pequegrad.compiler.toolchain import Unavailable, build
from pequegrad.core.errors import ArgumentError
from pequegrad.runtime import library

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COMPILER = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
WANTED = COMPILER is not None and os.environ.get("PG_CC") != "none"
needs_compiler = pytest.mark.skipif(not WANTED, reason="there is no C compiler to test with")


def constants(*values):
    """Functions that return these numbers: what is compiled is seen by calling it."""
    return [(f"pg_constant_{value}", f"int pg_constant_{value}(void) {{ return {value}; }}") for value in values]


def called(addresses):
    return [ctypes.CFUNCTYPE(ctypes.c_int)(address)() for address in addresses]


def kept_in(folder):
    """(shared objects, links) in a cache; nothing else may be there."""
    names = [entry.name for entry in os.scandir(folder)]
    files = [name for name in names if re.fullmatch("[0-9a-f]{40}.so", name)]
    links = [name for name in names if re.fullmatch("[0-9a-f]{40}", name)]
    assert len(files) + len(links) == len(names), names
    return files, links


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def fresh(monkeypatch, folder):
    """fresh(PG_CC=...): as in a process that has just started, with these variables, and a cache of its own."""

    def start(**variables):
        for name, value in {"PG_CACHE_DIR": str(folder), **variables}.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        monkeypatch.setattr(toolchain, "_state", toolchain._State())

    start()
    return start


@pytest.fixture
def script(tmp_path):
    """script(text): a program, for PG_CC."""

    def write(text, name="compiler"):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o700)
        return str(path)

    return write


@pytest.fixture
def counting(script, tmp_path):
    """A compiler, and a function that tells how many files it has compiled."""
    log = tmp_path / "compiled"
    path = script(f'case "$*" in *--version*) ;; *) echo >> {log} ;; esac\nexec {COMPILER} "$@"', "counting")
    return path, lambda: log.read_text().count("\n") if log.exists() else 0


def python(code, **variables):
    """Starts a process that runs `code`."""
    environment = {**os.environ, "PYTHONPATH": ROOT, **variables}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


BUILDS = """
from pequegrad.compiler.toolchain import build
import ctypes
functions = [(f"pg_constant_{n}", f"int pg_constant_{n}(void) {{ return {n}; }}") for n in range(20)]
print([ctypes.CFUNCTYPE(ctypes.c_int)(address)() for address in build(functions)] == list(range(20)))
"""


def outcome(process):
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors.decode()
    return out.decode().strip()


# ---- compiling -----------------------------------------------------------------------------------------


@needs_compiler
def test_addresses_in_order_and_compiled_once(fresh, counting):
    path, compiled = counting
    fresh(PG_CC=path)
    addresses = build(constants(1, 2, 3))
    assert called(addresses) == [1, 2, 3] and compiled() == 1
    assert build(constants(3, 1, 3)) == [addresses[2], addresses[0], addresses[2]]
    assert compiled() == 1
    assert called(build(constants(3, 4))) == [3, 4] and compiled() == 2
    assert build([]) == []


@needs_compiler
def test_large_builds_are_spread_over_the_cores(fresh, counting, folder, monkeypatch):
    path, compiled = counting
    fresh(PG_CC=path)
    lengths = [3000, 2500, 2000, 1500, 1000, 500]
    functions = [(name, text + " " * n) for n, (name, text) in zip(lengths, constants(*lengths))]
    threads = library.lib.pg_num_threads()
    library.lib.pg_set_num_threads(3)
    try:
        groups = toolchain._balanced(dict(functions), 3)
        assert called(build(functions)) == lengths
    finally:
        library.lib.pg_set_num_threads(threads)
    loads = [sum(int(name.rsplit("_")[-1]) for name in names) for names in groups]
    assert max(loads) - min(loads) <= 500
    assert compiled() == 3 and len(kept_in(folder)[0]) == 3


@needs_compiler
@pytest.mark.parametrize("isa", ["base", "v3", "v4"])
def test_generated_code_uses_the_instruction_set_of_the_kernels(isa, folder):
    code = """
from pequegrad.compiler.toolchain import build
from pequegrad.runtime import library
import ctypes
text = '''int pg_isa(void) {
#if defined(__AVX512F__)
    return 4;
#elif defined(__AVX2__)
    return 3;
#else
    return 0;
#endif
}'''
found = ctypes.CFUNCTYPE(ctypes.c_int)(*build([("pg_isa", text)]))()
print({"base": 0, "v3": 3, "v4": 4}[library.ffi.string(library.lib.pg_cpu_isa_name()).decode()] == found)
"""
    assert outcome(python(code, PG_ISA=isa, PG_CACHE_DIR=str(folder))) == "True"


@needs_compiler
def test_threads_and_forked_processes_build(fresh):
    results, threads = {}, []
    for n in range(6):
        work = lambda n=n: results.update({n: called(build(constants(n, n + 1, 100)))})
        threads.append(threading.Thread(target=work))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert results == {n: [n, n + 1, 100] for n in range(6)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads: those of the runtime, which know of fork
        child = os.fork()
    if child == 0:
        os._exit(0 if called(build(constants(100, 101))) == [100, 101] else 1)
    assert os.waitpid(child, 0)[1] == 0


# ---- source texts --------------------------------------------------------------------------------------


def test_headers_beside_the_library_are_those_of_the_runtime():
    for name in toolchain._HEADERS:
        with open(os.path.join(ROOT, "runtime", "include", f"pequegrad_{name}.h")) as file:
            text = file.read()
        with open(os.path.join(os.path.dirname(library.__file__), "include", f"pequegrad_{name}.h")) as file:
            assert file.read() == text, "run make"
        assert re.sub("(?m)^#include.*", "", text) in toolchain.prelude()
    assert "#include" not in toolchain.prelude()


@needs_compiler
@pytest.mark.parametrize("flags", [[], ["-DPG_VECTOR_MATH"]])
def test_prelude_compiles_without_warnings(flags, tmp_path):
    if flags and "-DPG_VECTOR_MATH" not in c_compiler.Compiler().flags()[0]:
        pytest.skip("the vector forms are for gcc and glibc on x86-64")
    path = tmp_path / "prelude.c"
    path.write_text(toolchain.source_of(["float pg_f(float x) { return pg_logistic_float32(pg_pow_float32(x, x)); }"]))
    strict = "-std=c11 -Wall -Wextra -Wconversion -Werror -Wno-builtin-declaration-mismatch -nostdinc -c -o".split()
    subprocess.run([COMPILER, *flags, *strict, path.with_suffix(".o"), path], check=True)


def test_vector_forms_are_defined_where_they_are_called():
    text = toolchain.source_of(
        ["pg_logistic_float32(x) + pg_atan2_float64(x, y)", "pg_logistic_float32(pg_log_float32(x))"]
    )
    forms = re.findall(r"^PG_VECTOR_\d\(.*\)", text, re.M)
    assert forms == ["PG_VECTOR_2(atan2, float64)", "PG_VECTOR_1(exp, float32)", "PG_VECTOR_1(log, float32)"]


# ---- the cache -----------------------------------------------------------------------------------------


@needs_compiler
def test_the_next_process_compiles_nothing(folder, counting):
    path, compiled = counting
    for _ in range(2):
        assert outcome(python(BUILDS, PG_CC=path, PG_CACHE_DIR=str(folder))) == "True"
        assert compiled() == 1
    files, links = kept_in(folder)
    assert len(files) == 1 and len(links) == 20
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700


@needs_compiler
def test_many_processes_at_once(folder):
    processes = [python(BUILDS, PG_CACHE_DIR=str(folder)) for _ in range(4)]
    assert [outcome(process) for process in processes] == ["True"] * 4
    assert len(kept_in(folder)[1]) == 20


@needs_compiler
def test_kernels_are_known_by_text_flags_and_compiler(fresh, counting, script):
    path, compiled = counting
    fresh(PG_CC=path)
    build(constants(1))
    fresh()
    assert called(build([("pg_constant_1", "int pg_constant_1(void) { return 5; }")])) == [5] and compiled() == 2
    fresh(PG_CC=f"{path} -DSOMETHING='a b'")
    assert called(build(constants(1))) == [1] and compiled() == 3
    fresh()
    assert called(build(constants(1))) == [1] and compiled() == 3
    os.utime(path, (0, 0))
    fresh()
    assert called(build(constants(1))) == [1] and compiled() == 4


@needs_compiler
@pytest.mark.parametrize("damage", ["truncate", "change", "remove", "replace by link", "dangling"])
def test_damaged_files_are_compiled_anew(fresh, counting, folder, damage):
    path, compiled = counting
    fresh(PG_CC=path)
    build(constants(1, 2))
    (name,) = kept_in(folder)[0]
    file = folder / name
    content = file.read_bytes()
    if damage == "remove":
        file.unlink()
    elif damage == "replace by link":
        elsewhere = folder.parent / "elsewhere.so"
        file.rename(elsewhere)
        file.symlink_to(elsewhere)
    elif damage == "dangling":
        for link in kept_in(folder)[1]:
            (folder / link).unlink()
            (folder / link).symlink_to("nothing")
    else:  # in a new file: this process still has the old one loaded
        file.unlink()
        file.write_bytes(content[: len(content) // 2] if damage == "truncate" else content[:-9] + b"damaged!!")
    fresh()
    assert called(build(constants(1, 2))) == [1, 2] and compiled() == 2
    fresh()
    assert called(build(constants(1, 2))) == [1, 2] and compiled() == 2


@needs_compiler
def test_a_file_that_cannot_be_loaded_is_compiled_anew(fresh, counting, folder):
    path, compiled = counting
    fresh(PG_CC=path)
    build(constants(1))
    cache = open_cache()
    (folder / "text").write_text("no shared object")
    cache.add(kept_in_links := [entry.name for entry in os.scandir(folder) if entry.is_symlink()], str(folder / "text"))
    assert kept_in_links
    fresh()
    assert called(build(constants(1))) == [1] and compiled() == 2


@needs_compiler
def test_size_is_bounded(fresh, folder):
    fresh(PG_CACHE_SIZE="50K")
    for n in range(8):
        build(constants(n))
        for age, name in enumerate(sorted(kept_in(folder)[0], key=lambda name: (folder / name).stat().st_mtime_ns)):
            os.utime(folder / name, (time.time() - 1000 + age,) * 2)
    files, links = kept_in(folder)
    size = sum((folder / name).stat().st_size for name in files)
    assert 20_000 < size <= 70_000 and len(links) == len(files) < 8
    fresh()
    assert called(build(constants(7, 0))) == [7, 0]


@needs_compiler
def test_a_cache_too_small_for_any_file(fresh, folder):
    fresh(PG_CACHE_SIZE="1K")
    assert called(build(constants(1, 2))) == [1, 2]
    assert kept_in(folder) == ([], [])


@needs_compiler
def test_what_killed_processes_left_is_removed(fresh, folder):
    folder.mkdir(mode=0o700)
    for name, age in (("build-old", 90000), ("build-new", 60)):
        (folder / name).mkdir()
        (folder / name / "kernels0.c").write_text("")
        os.utime(folder / name, (time.time() - age,) * 2)
    build(constants(1))
    names = [entry.name for entry in os.scandir(folder) if entry.name.startswith("build")]
    assert names == ["build-new"]


@needs_compiler
def test_use_is_remembered_to_the_day(fresh, folder):
    build(constants(1))
    (name,) = kept_in(folder)[0]
    os.utime(folder / name, (0, 0))
    fresh()
    build(constants(1))
    assert (folder / name).stat().st_mtime > time.time() - 100


@pytest.mark.parametrize(
    "text, size", [("", 512 << 20), ("3", 3), ("2k", 2048), ("1G", 1 << 30), (DEFAULT_SIZE, 512 << 20)]
)
def test_sizes(fresh, text, size):
    fresh(PG_CACHE_SIZE=text)
    assert open_cache().limit == size


def test_wrong_sizes(fresh, folder):
    for text in ("much", "-1", "1.5G", "K"):
        fresh(PG_CACHE_SIZE=text)
        with pytest.raises(ArgumentError, match="PG_CACHE_SIZE"):
            open_cache()
    fresh(PG_CACHE_SIZE="0")
    assert open_cache() is None and not folder.exists()


def test_the_folder_follows_the_environment(fresh, tmp_path):
    fresh(PG_CACHE_DIR=None, XDG_CACHE_HOME=str(tmp_path / "xdg"), HOME=str(tmp_path / "home"))
    assert open_cache().folder == str(tmp_path / "xdg" / "pequegrad")
    for wrong in (None, "", "relative"):
        fresh(PG_CACHE_DIR=None, XDG_CACHE_HOME=wrong, HOME=str(tmp_path / "home"))
        assert open_cache().folder == str(tmp_path / "home" / ".cache" / "pequegrad")
        fresh(PG_CACHE_DIR="", XDG_CACHE_HOME=None, HOME=wrong)
        assert open_cache() is None


def unusable(folder, how):
    if how == "a file":
        folder.write_text("")
    elif how == "below a file":
        folder.write_text("")
        return folder / "cache"
    elif how == "writable by others":
        folder.mkdir()
        folder.chmod(0o777)
    elif how == "another's":
        folder.mkdir(mode=0o700)
        os.chown(folder, 12345, 12345)
    elif how == "read-only":
        folder.mkdir()
        folder.chmod(0o500)
    elif how == "not on disk":
        return "/proc/cache"
    return folder


@needs_compiler
@pytest.mark.parametrize(
    "how", ["a file", "below a file", "writable by others", "another's", "read-only", "not on disk"]
)
def test_without_a_usable_folder_code_is_compiled_for_this_process(fresh, folder, how):
    if (how == "another's") != (os.geteuid() == 0) and how in ("another's", "read-only"):
        pytest.skip("only root can give files away, and may write to what is read-only")
    place = unusable(folder, how)
    fresh(PG_CACHE_DIR=str(place))
    assert called(build(constants(1, 2))) == [1, 2]
    assert not os.path.isdir(place) or os.listdir(place) == []


@needs_compiler
def test_files_of_others_are_not_loaded(fresh, folder):
    if os.geteuid():
        pytest.skip("only root can give files away")
    build(constants(1))
    (name,), (key,) = kept_in(folder)
    os.chown(folder / name, 12345, 12345)
    assert open_cache().find([key]) == {}
    assert kept_in(folder)[0] == []


# ---- no compiler, and those that fail ------------------------------------------------------------------


def fused(x):
    return pg.exp(x) * pg.tanh(x) + 1


def check_unfused(tensor, *words):
    """jit computes the same, and warns once, naming `words`; without words it does not warn."""
    x = tensor(np.linspace(-1, 1, 7, dtype=np.float32))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for repetition in (1, 2):
            np.testing.assert_array_equal(
                pg.jit(lambda x: fused(x) * repetition)(x).numpy(), (fused(x) * repetition).numpy()
            )
    messages = [str(w.message) for w in caught if issubclass(w.category, RuntimeWarning)]
    assert len(messages) == bool(words), messages
    for word in (*words, "fix:") if words else ():
        assert word in messages[0], messages[0]


@pytest.mark.parametrize(
    "variables, words",
    [
        ({"PATH": "", "PG_CC": None}, ("no C compiler",)),
        ({"PG_CC": "none"}, ()),
        ({"PG_CC": "no-such-compiler -x"}, ("no-such-compiler -x", "PG_CC")),
        ({"PG_CC": "/nowhere/cc"}, ("/nowhere/cc",)),
        ({"PG_CC": "'unfinished"}, ("unfinished", "PG_CC")),
        ({"PATH": "", "PG_CC": "cc"}, ("cc is not a program",)),
    ],
)
def test_without_a_compiler_jit_does_not_fuse(fresh, tensor, folder, variables, words):
    fresh(**variables)
    with pytest.raises(Unavailable):
        build(constants(1))
    check_unfused(tensor, *words)
    assert not folder.exists() or kept_in(folder) == ([], [])


def test_explain_says_why_it_is_not_fused(fresh, tensor, capsys):
    fresh(PG_CC="none")
    pg.jit(lambda x: (x + 1).exp()).explain(tensor([1.0]))
    assert capsys.readouterr().out.endswith("not fused: PG_CC is none.\n")


@needs_compiler
def test_kernels_are_printed_with_what_they_were_made_of(fresh, tensor, capsys):
    fresh(PG_KERNEL_DB="true")
    pg.jit(lambda x: (x + 1).exp() * 2)(tensor([1.0, 2.0]))
    text = capsys.readouterr().err
    assert "exp(" in text.split("*/")[0] and "pg_exp_float32(" in text.split("*/")[1]
    assert text.count("void pg_") == 1
    fresh(PG_KERNEL_DB="0")
    pg.jit(lambda x: (x + 1).exp() * 2)(tensor([1.0, 2.0]))
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    "text, words",
    [
        ("echo something is wrong >&2; exit 3", ("failed (3)", "something is wrong")),
        ("kill -9 $$", ("failed (-9)",)),
        ("exit 0", ("cannot be loaded",)),
        ('for word; do case $word in *.so) echo "no object" > $word ;; esac; done', ("cannot be loaded",)),
    ],
)
def test_with_a_failing_compiler_jit_does_not_fuse(fresh, tensor, script, folder, text, words):
    path = script(text)
    fresh(PG_CC=path)
    check_unfused(tensor, *words)
    assert not [entry for entry in os.scandir(folder) if entry.name.startswith("build")]


def test_a_file_that_no_system_runs(fresh, tensor, tmp_path):
    path = tmp_path / "compiler"
    path.write_bytes(b"\x7fELF")
    path.chmod(0o700)
    fresh(PG_CC=str(path))
    check_unfused(tensor, "cannot be run")


def test_a_failed_kernel_is_not_tried_again(fresh, script, tmp_path):
    log = tmp_path / "log"
    fresh(PG_CC=script(f"echo >> {log}; exit 1"))
    for _ in range(3):
        with pytest.raises(Unavailable, match="failed"):
            build(constants(1))
    assert log.read_text().count("\n") == 2  # --version, and the compilation


@needs_compiler
def test_an_error_in_the_text_is_shown(fresh):
    with pytest.raises(Unavailable, match="(?s)kernel:1:.*nothing"):
        build([("pg_wrong", "int pg_wrong(void) { return nothing; }")])
    assert called(build(constants(1))) == [1]


def assert_dead(pids):
    """Processes that were killed do not live for long."""
    deadline = time.monotonic() + 10
    for pid in pids:
        while os.path.exists(f"/proc/{pid}"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
                if file.read().rsplit(")")[-1].split()[0] == "Z":  # nobody waits for orphans in a container
                    break
            assert time.monotonic() < deadline, f"{pid} is alive"
            time.sleep(0.01)


@needs_compiler  # and programs such as sleep on the PATH
def test_a_compiler_that_hangs_is_killed(fresh, script, tmp_path, folder, monkeypatch):
    pids = tmp_path / "pids"
    monkeypatch.setattr(c_compiler, "TIMEOUT", 0.5)
    fresh(
        PG_CC=script(f'case "$*" in *--version*) exit ;; esac\necho $$ >> {pids}\nsleep 100 & echo $! >> {pids}\nwait')
    )
    with pytest.raises(Unavailable, match="longer than"):
        build(constants(1))
    assert_dead(pids.read_text().split())
    assert list(os.scandir(folder)) == []


@needs_compiler
def test_interrupted_compilation_leaves_nothing(script, tmp_path, folder):
    pids = tmp_path / "pids"
    path = script(f'case "$*" in *--version*) exit ;; esac\necho $$ >> {pids}\nsleep 100')
    interruptible = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # no shell's background job
    )
    process = python(interruptible + BUILDS, PG_CC=path, PG_CACHE_DIR=str(folder))
    deadline = time.monotonic() + 30
    while not (pids.exists() and pids.read_text().endswith("\n")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert b"KeyboardInterrupt" in errors
    assert_dead(pids.read_text().split())
    assert list(os.scandir(folder)) == []
