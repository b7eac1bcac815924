"""The runtime as part of a process: fork, threads, limits, the end, and what importing the package needs."""

import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import pequegrad as pg
from pequegrad.runtime import library

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture
def python(device):
    """python(code, **environment): runs `code`, which finds pg, np and `device`, in a new process."""
    start = f"import os, sys, threading, time\nimport numpy as np\nimport pequegrad as pg\ndevice = pg.device({str(device).lower()!r})\n"  # fmt: skip

    def run(code, start=start, **environment):
        # OpenBLAS is NumPy's here: its threads must not be mistaken for ours
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment}
        return subprocess.run([sys.executable, "-c", start + code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50)  # fmt: skip

    return run


def output_of(result):
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.strip()


on_cpu = pytest.mark.skipif("not config.getoption('--device').startswith('cpu')", reason="about the CPU device")

# ---- fork --------------------------------------------------------------------------------------------

WORK = """
def work(seed=0):  # every kind of parallel kernel; the result is known
    x = pg.Tensor(np.full((600, 700), 2.0, "f4"), device=device)
    y = pg.exp2(x @ x.T * 0) - 1 + (x + 1).sum(1)
    return float(y.sum().numpy())
EXPECTED = 600 * 600 * 2100.0
"""
FORK = """
def stop(message):
    print(message, file=sys.stderr)
    os._exit(1)  # other threads may still be at work

def fork(attempts):
    for _ in range(attempts):
        child = os.fork()
        if not child:
            status = 1
            try:
                status = 0 if all(abs(work() / EXPECTED - 1) < 1e-6 for _ in range(3)) else 2
            finally:
                os._exit(status)
        deadline = time.monotonic() + 20
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(child, 9)
                stop("the child hangs")
            time.sleep(0.001)
        if ended[1]:
            stop(f"the child ended with {ended[1]}")
"""


@on_cpu
@pytest.mark.parametrize("threads", ("1", "3"))
def test_fork_after_the_pool_was_used(python, threads):
    code = WORK + FORK + "work()\nfork(3)\nwork()\nprint('done')"
    assert output_of(python(code, PG_NUM_THREADS=threads)) == "done"


@on_cpu
@pytest.mark.skipif(
    "PG_LIBRARY" in os.environ, reason="the sanitizers' allocator does not survive a fork beside threads"
)
def test_fork_while_threads_compute(python):
    """Whatever lock another thread holds at that moment, the child does not wait for it."""
    code = """
import warnings; warnings.simplefilter("ignore")  # Python 3.12 warns of fork beside threads
ended = threading.Event()
def hammer():
    while not ended.is_set():
        assert abs(work() / EXPECTED - 1) < 1e-6
threads = [threading.Thread(target=hammer) for _ in range(3)]
for t in threads: t.start()
fork(15)
ended.set()
for t in threads: t.join()
print("done")
"""
    assert output_of(python(WORK + FORK + code, PG_NUM_THREADS="3")) == "done"


@on_cpu
def test_children_of_multiprocessing(python):
    code = """
import multiprocessing
expected = work()
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(work, range(6)) == [expected] * 6
print("done")
"""
    assert output_of(python(WORK + code)) == "done"


# ---- threads -----------------------------------------------------------------------------------------


def in_threads(n, work):
    """Runs work(k) in n threads at once; their results, or the first error."""
    results, errors, barrier = [None] * n, [], threading.Barrier(n)

    def body(k):
        try:
            barrier.wait()
            results[k] = work(k)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=body, args=(k,)) for k in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def test_threads_evaluate_at_once(tensor, rng):
    data = rng.normal(size=(8, 200, 300)).astype("f4")

    def work(k):
        for _ in range(10):
            x = tensor(data[k])
            result = ((x @ x.T).tanh() + x.sum(1)).numpy()
        return result

    alone = [work(k) for k in range(8)]
    for a, b in zip(alone, in_threads(8, work)):
        np.testing.assert_array_equal(a, b)


def test_threads_share_tensors_and_programs(tensor, rng):
    """One pending tensor is computed once, one compiled function may be called by all, gradients are each thread's own."""
    data = rng.normal(size=(300, 300))
    for _ in range(5):
        x = tensor(data)
        pending = (x @ x).exp().sum()
        assert len(set(in_threads(6, lambda k, y=pending: y.item()))) == 1
    compiled = pg.jit(lambda x, y: (x * y).sin().sum(0))
    for n in range(300, 290, -1):  # every shape is compiled anew, by all threads at once
        part = data[:n]
        x = tensor(part)
        for k, found in enumerate(in_threads(6, lambda k: [compiled(x, tensor(part + k)).numpy() for _ in range(3)])):
            for y in found:  # sums are taken in another order than NumPy's
                np.testing.assert_allclose(y, np.sin(part * (part + k)).sum(0), rtol=1e-10, atol=1e-10)

    def gradient(k):
        w = tensor(data + k)
        (g,) = pg.grads([w], (w * w).sum())
        return g.numpy()

    for k, g in enumerate(in_threads(6, gradient)):
        np.testing.assert_array_equal(g, 2 * (data + k))


def test_number_of_threads_changes_while_others_compute(tensor):
    x, before = tensor(np.ones((500, 500), "f4")), pg.num_threads()

    def work(k):
        for n in range(20):
            if k == 0:
                pg.set_num_threads(1 + n % 4)
            assert (x + n).sum().item() == 250_000 * (1 + n)

    try:
        in_threads(4, work)
    finally:
        pg.set_num_threads(before)


@on_cpu
@pytest.mark.parametrize("wanted, expected", (("1", 1), ("3", 3), ("5000", 1024)))
def test_pg_num_threads(python, wanted, expected):
    code = """
count = lambda: len(os.listdir("/proc/self/task"))
before = count()
x = pg.Tensor(np.ones((300, 300), "f4"), device=device)
for _ in range(50): x = (x @ x).tanh().eval()
print(pg.num_threads(), count() - before if pg.num_threads() < 10 else "many")
"""
    started = str(expected - 1) if expected < 10 else "many"
    assert output_of(python(code if expected < 10 else "print(pg.num_threads(), 'many')", PG_NUM_THREADS=wanted)) == f"{expected} {started}"  # fmt: skip


@on_cpu
@pytest.mark.parametrize("wanted", ("", "0", "-4", "many"))
def test_pg_num_threads_that_is_no_number(python, wanted):
    """As if it were not set: what the affinity mask and the control group allow."""
    default = int(output_of(python("os.environ.pop('PG_NUM_THREADS'); print(pg.num_threads())", PG_NUM_THREADS="1")))
    assert 1 <= default <= len(os.sched_getaffinity(0))
    assert int(output_of(python("print(pg.num_threads())", PG_NUM_THREADS=wanted))) == default
    assert output_of(python("os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); print(pg.num_threads())", PG_NUM_THREADS=wanted)) == "1"  # fmt: skip


def test_impossible_numbers_of_threads():
    for n in (0, -1, 1025):
        with pytest.raises(pg.PequegradError, match=f"{n} threads; the pool has 1 to 1024"):
            pg.set_num_threads(n)


# ---- the end -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [
    "x = pg.Tensor(np.ones((1000, 1000)), device=device); y = (x @ x).eval(); z = x + y",
    "keep = [pg.Tensor([1.0], device=device) + 1]; keep.append(keep)",
    "f = pg.jit(lambda x: x @ x); y = f(pg.Tensor(np.ones((500, 500)), device=device))",
    "w = pg.Tensor(np.ones(10), device=device); loss = (w * w).sum(); g = pg.grads([w], loss)",
    "import atexit; atexit.register(lambda: print((pg.Tensor([1.0], device=device) + 1).item()))",
    "class Late:\n    def __del__(self): self.x.numpy()\nlate = Late(); late.x = (pg.Tensor(np.ones(5), device=device) + 1).eval()",
    "sys.modules['kept_by_a_module'] = type(sys)('m'); sys.modules['kept_by_a_module'].x = pg.Tensor(np.ones(9), device=device)",
    "def forever():\n    while True: (pg.Tensor(np.ones((300, 300)), device=device) * 2).sum().item()\n"
    "threading.Thread(target=forever, daemon=True).start(); time.sleep(0.2)",
], ids=("pending", "cycle", "jit", "gradient", "atexit", "finalizer", "module", "daemon"))  # fmt: skip
def test_exit_with_arrays_alive(python, code):
    assert output_of(python(code)) in ("", "2.0")


# ---- memory ------------------------------------------------------------------------------------------


@on_cpu
def test_pg_memory_limit(python):
    code = """
def use(megabytes): return (pg.Tensor(np.ones(1, "f4"), device=device) + np.zeros(megabytes << 18, "f4")).sum().item()
print(pg.memory_stats(device)["limit"])
use(4)
for _ in range(3):
    try: use(40)
    except pg.OutOfMemoryError as error: print(isinstance(error, MemoryError), "fix:" in str(error), str(64 << 20) in str(error))
print(use(8) == 8 << 18)
"""
    assert output_of(python(code, PG_MEMORY_LIMIT="64M")).split("\n") == [str(64 << 20)] + ["True True True"] * 3 + [
        "True"
    ]
    for text, limit in (("1G", 1 << 30), ("2048k", 2 << 20), ("123456", 123456)):
        assert output_of(python("print(pg.memory_stats(device)['limit'])", PG_MEMORY_LIMIT=text)) == str(limit)
    for text in ("lots", "-5", "0", "8X", "99999999999G"):
        result = python("device.handle", PG_MEMORY_LIMIT=text)
        assert result.returncode == 1 and f"PG_MEMORY_LIMIT is '{text}', not a size" in result.stderr


@pytest.fixture
def memory(device):
    """memory(name): a number of memory_stats."""
    gc.collect()  # what earlier tests left must not disappear meanwhile
    return lambda name: pg.memory_stats(device)[name]


def test_memory_stats(tensor, device, memory):
    assert set(pg.memory_stats(device)) == {"in_use", "peak_in_use", "cached", "limit", "allocations", "system_allocations", "programs"}  # fmt: skip
    (tensor([1.0]) + 1).eval()  # the constant stays
    before = pg.memory_stats(device)
    in_use = memory("in_use")
    x = tensor(np.zeros(1 << 20, "f4"))
    assert memory("in_use") == in_use + (4 << 20)  # a power of two needs no rounding up
    view = x.reshape(1024, 1024).T.eval()
    assert memory("in_use") == in_use + (4 << 20)
    y = (x + 1).eval()
    assert memory("in_use") == in_use + (8 << 20)
    cached = memory("cached")
    del x
    assert memory("in_use") == in_use + (8 << 20)  # the view holds it
    del view, y
    assert memory("in_use") == in_use and memory("cached") == cached + (8 << 20)
    system = memory("system_allocations")
    z = tensor(np.zeros(1 << 20, "f4"))  # from the cache
    assert memory("system_allocations") == system and memory("cached") == cached + (4 << 20)
    after = pg.memory_stats(device)
    assert after["allocations"] >= before["allocations"] + 3 and after["programs"] == before["programs"] + 2
    for stats in (before, after):
        assert stats["peak_in_use"] >= stats["in_use"] >= 0 and stats["in_use"] + stats["cached"] <= stats["limit"]
        assert stats["allocations"] >= stats["system_allocations"] > 0
    assert z.nbytes == 4 << 20


def test_peak(tensor, device, memory):
    (tensor([1.0]) + 1).eval()  # the constant stays
    in_use = memory("in_use")
    library.lib.pg_device_reset_peak(device.handle)
    assert memory("peak_in_use") == in_use
    x = tensor(np.zeros(1 << 18, "f4"))
    for _ in range(5):
        (x + 1).eval()
    assert in_use + (2 << 20) <= memory("peak_in_use") <= in_use + (2 << 20) + 4096
    assert memory("in_use") == in_use + (1 << 20)


def test_empty_cache(tensor, device, memory):
    tensor(np.zeros(1 << 20)).eval()
    assert memory("cached") > 0
    in_use = memory("in_use")
    pg.empty_cache(device)
    assert (memory("cached"), memory("in_use")) == (0, in_use)


def test_memory_limit(tensor, device, memory):
    before = memory("limit")
    kept = tensor(np.ones(1 << 18, "f4"))
    try:
        pg.set_memory_limit(memory("in_use") + (3 << 20), device)
        assert memory("cached") <= 3 << 20
        for _ in range(3):  # an error leaves nothing behind
            in_use = memory("in_use")
            with pytest.raises(pg.OutOfMemoryError, match="out of memory"):
                ((kept + 1).reshape(-1, 1) + kept[:64]).eval()
            assert memory("in_use") - in_use < 1024  # at most the number 1 was made
        assert (kept + 1).sum().item() == 2 << 18
    finally:
        pg.set_memory_limit(before, device)
    with pytest.raises(pg.ArgumentError, match="-1 is not a number of bytes"):
        pg.set_memory_limit(-1, device)
    assert memory("limit") == before


def test_temporary_values_are_reused(tensor, memory, device):
    """A chain of operations needs two blocks, not one for each."""
    x = tensor(np.ones(1 << 20, "f4"))
    (x + 1).eval()
    library.lib.pg_device_reset_peak(device.handle)
    in_use = memory("in_use")
    with pg.no_grad():
        y = x
        for _ in range(20):
            y = (y * 2 - 1).tanh()
        y.eval()
    assert memory("peak_in_use") <= in_use + (8 << 20) + 1024  # the numbers 1 and 2


# ---- importing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code, message", [
    ("os.environ['PG_LIBRARY'] = '/nonexistent/libpequegrad.so'", "/nonexistent/libpequegrad.so"),
    (f"os.environ['PG_LIBRARY'] = {__file__!r}", "test_process.py"),
    ("sys.modules['pequegrad.runtime._binding'] = None", "not built"),
], ids=("missing library", "no library", "missing binding"))  # fmt: skip
def test_a_runtime_that_is_not_built(python, code, message):
    result = python(code + "\nimport pequegrad", start="import os, sys\n")
    assert result.returncode == 1
    assert "ImportError: " in result.stderr and message in result.stderr and "fix:   run `make`" in result.stderr
    assert "During handling" not in result.stderr  # one error, not a chain of them


def test_import_needs_neither_network_nor_other_frameworks(python):
    code = """
import sys
sys.addaudithook(lambda event, args: sys.exit(event) if event.startswith(("socket.", "urllib.", "subprocess.", "os.fork")) else None)
import pequegrad as pg
x = pg.Tensor([1.0, 2.0])
assert pg.grads([x], (x * x).sum())[0].tolist() == [2, 4]
import pequegrad.nn, pequegrad.optim
heavy = {"jax", "jaxlib", "torch", "scipy", "matplotlib", "pandas", "tqdm", "safetensors", "ml_dtypes"}
print(sorted(heavy & {name.split(".")[0] for name in sys.modules}))
"""
    assert output_of(python(code, start="")) == "[]"


@on_cpu
def test_import_opens_no_device(python):
    code = "print(len(os.listdir('/proc/self/task')), [d._handle for d in (pg.device.cpu, pg.device.cuda)])"
    assert output_of(python(code)) == "1 [None, None]"
