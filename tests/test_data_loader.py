"""DataLoader: order, batches, workers and their ends. Worker processes really start; starting them takes about half a second."""

import gc
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import data_kinds as kinds
import numpy as np
import pytest

from pequegrad import ArgumentError, ShapeError, WorkerError
from pequegrad.data import ArrayDataset, DataLoader, TensorDataset
from pequegrad.data.crews import Threads
from pequegrad.tensor import Tensor

WORKERS = {
    "inline": {},
    "thread": {"num_workers": 3, "worker_kind": "thread"},
    "process": {"num_workers": 2, "worker_kind": "process"},
}
with_workers = pytest.mark.parametrize("workers", WORKERS.values(), ids=list(WORKERS))
with_others = pytest.mark.parametrize("workers", [WORKERS["thread"], WORKERS["process"]], ids=["thread", "process"])


others = set()  # child processes that another test left, such as the resource tracker of multiprocessing


@pytest.fixture(autouse=True)
def clean():
    """After each test: no child processes, no threads of loaders, no file (which shared memory is, too) left open."""
    before = len(os.listdir("/proc/self/fd"))
    others.clear()
    others.update(children())
    yield
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before
    assert not [name for name in os.listdir("/dev/shm") if "pequegrad" in name]  # others may use it meanwhile
    assert not children() and not [t for t in threading.enumerate() if t.name.startswith("pequegrad.data")]


def children(pid=None):
    """Processes below this one, zombies included, but for those of other tests."""
    with open(f"/proc/{pid or os.getpid()}/task/{pid or os.getpid()}/children") as file:
        return [child for child in map(int, file.read().split()) if child not in others]


def gone(pids, seconds=20):
    """True once none of the processes exists; zombies that nobody collects in a container do not count as existing."""
    end = time.monotonic() + seconds
    while (alive := [pid for pid in pids if state_of(pid) not in (None, "Z")]) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None


def lists(loader):
    return [batch.tolist() for batch in loader]


# ---- order and batches -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count, size, drop_last, sizes", [
    (10, 4, False, [4, 4, 2]), (10, 4, True, [4, 4]), (8, 4, True, [4, 4]), (8, 4, False, [4, 4]), (3, 4, True, []),
    (3, 4, False, [3]), (0, 4, False, []), (3, 1, False, [1, 1, 1]),
])  # fmt: skip
def test_sizes(count, size, drop_last, sizes):
    loader = DataLoader(range(count), size, drop_last=drop_last)
    assert [len(batch) for batch in loader] == sizes and len(loader) == len(sizes)
    assert sum(lists(loader), []) == list(range(sum(sizes)))
    shuffled = DataLoader(range(count), size, shuffle=True, drop_last=drop_last, seed=3)
    seen = sum(lists(shuffled), [])
    assert len(seen) == len(set(seen)) == sum(sizes)


@with_workers
def test_the_seed_alone_decides_the_order(workers):
    with DataLoader(range(23), 4, shuffle=True, seed=5, **workers) as loader:
        epochs = [lists(loader) for _ in range(3)]
        assert loader.epoch == 3
    # the definition: a permutation from seed and epoch
    for epoch, batches in enumerate(epochs):
        assert sum(batches, []) == np.random.default_rng((5, epoch)).permutation(23).tolist()
    assert lists(DataLoader(range(23), 4, shuffle=True, seed=6)) != epochs[0]


def test_without_a_seed_one_is_drawn_and_said():
    loader = DataLoader(range(50), 50, shuffle=True)
    other = DataLoader(range(50), 50, shuffle=True)
    assert loader.seed != other.seed
    assert lists(DataLoader(range(50), 50, shuffle=True, seed=loader.seed)) == lists(loader)


def test_batches_from_processes_are_those_made_here():
    here = list(DataLoader(kinds.Everything(), 6))
    with DataLoader(kinds.Everything(), 6, num_workers=2) as loader:
        there = list(loader)
    assert len(here) == len(there) == 4
    for a, b in zip(here, there):
        assert list(a) == list(b) and a["name"] == b["name"] and b["nothing"] == [None] * len(b["name"])
        assert type(b["tensor"]) is Tensor and np.array_equal(a["tensor"].numpy(), b["tensor"].numpy())
        assert type(b["pair"]) is kinds.Pair and type(b["numbers"]) is tuple
        leaves = [(x["image"], x["half"], x["empty"], x["turned"], *x["numbers"], x["pair"].left, *x["pair"].right)
                  for x in (a, b)]  # fmt: skip
        for x, y in zip(*leaves):
            assert type(y) is np.ndarray and x.dtype == y.dtype and x.shape == y.shape
            np.testing.assert_array_equal(x.astype(np.float64), y.astype(np.float64))
            y[...] = 0  # its own memory, to be written to
        assert [x.dtype for x in b["numbers"]] == [np.int64, np.float32, bool]


@with_workers
def test_batches_stay_what_they_are(workers):
    """Shared memory is used again for later batches, and grows."""
    with DataLoader(kinds.Growing(9), 1, prefetch=1, **workers) as loader:
        for _ in range(2):
            kept = list(loader)
            assert all(batch.shape == (1, 4**i) and (batch == i).all() for i, batch in enumerate(kept))


@with_workers
def test_arrays_and_tensors_in_whole_batches(workers, rng):
    x, y = rng.normal(size=(10, 3)).astype(np.float32), np.arange(10)
    with DataLoader(ArrayDataset(x, y), 4, shuffle=True, seed=0, **workers) as loader:
        for a, b in loader:
            np.testing.assert_array_equal(a, x[b])
    with DataLoader(TensorDataset(Tensor(x), Tensor(y)), 4, **workers) as loader:
        parts = [(a, b) for a, b in loader]
    assert all(type(part) is Tensor for pair in parts for part in pair)
    np.testing.assert_array_equal(np.concatenate([a.numpy() for a, _ in parts]), x)
    np.testing.assert_array_equal(np.concatenate([b.numpy() for _, b in parts]), y)


@with_workers
def test_collate_and_transform(workers):
    with DataLoader(range(7), 3, collate=kinds.first_two, **workers) as loader:
        assert list(loader) == [[0, 1], [3, 4], [6]]
    with DataLoader(ArrayDataset(np.arange(4), np.arange(4)), 4, transform=kinds.times_ten, **workers) as loader:
        ((x, y),) = loader
        assert x.tolist() == [0, 10, 20, 30] and y.tolist() == [0, 1, 2, 3]
    with DataLoader(range(4), 4, transform=lambda x: x + 1, **workers) as loader:  # it stays in this process
        assert lists(loader) == [[1, 2, 3, 4]]


@with_workers
def test_random_numbers_of_a_sample_do_not_depend_on_who_makes_it(workers):
    with DataLoader(kinds.Random(12), 5, shuffle=True, seed=9, **workers) as loader:
        for epoch in range(2):
            for index, first, again in zip(*map(np.concatenate, zip(*loader))):
                expected = np.float32(np.random.default_rng((9, epoch, index)).random())
                assert first == again == expected


def test_the_global_generators_of_processes_are_seeded():
    with DataLoader(kinds.GlobalRandom(12), 2, seed=1, num_workers=3) as loader:
        first, second = ([np.stack(batch) for batch in loader] for _ in range(2))
    with DataLoader(kinds.GlobalRandom(12), 2, seed=1, num_workers=1) as loader:
        np.testing.assert_array_equal(first, list(map(np.stack, loader)))
    values = np.concatenate([first, second], 0).ravel()
    assert len(set(values.tolist())) == values.size


# ---- workers ---------------------------------------------------------------------------------------------


def test_processes_have_little_and_all_work():
    with DataLoader(kinds.Watching(60), 2, num_workers=3, seed=0) as loader:
        seen = list(loader)
    pids = {pid for batch in seen for pid in batch[0].tolist()}
    assert len(pids) >= 2 and os.getpid() not in pids
    assert {name for batch in seen for name in batch[1]} == {""} and seen[0][2][0] == "1"


@pytest.mark.parametrize("prefetch", [1, 3])
def test_prefetch_is_how_far_workers_go_ahead(prefetch):
    made = []

    class Counting(kinds.Sized):
        def __getitem__(self, index):
            made.append(index)
            return index

    with DataLoader(Counting(50), 1, num_workers=2, worker_kind="thread", prefetch=prefetch) as loader:
        batches = iter(loader)
        for taken in range(1, 4):
            next(batches)
            end = time.monotonic() + 10
            while len(made) < taken - 1 + 2 * prefetch and time.monotonic() < end:
                time.sleep(0.005)
            time.sleep(0.02)
            assert len(made) == taken - 1 + 2 * prefetch


@with_others
def test_workers_stay_between_epochs_and_go_with_the_loader(workers):
    loader = DataLoader(kinds.Slow(4, 0), 1, **workers)
    pids = [set(np.concatenate(list(loader)).tolist()) for _ in range(2)]
    crew, own = loader._crew, children()
    assert len(pids[0] | pids[1]) <= 2
    del loader
    gc.collect()
    assert gone([*own, *(pids[0] | pids[1])] if workers["worker_kind"] == "process" else [])
    if isinstance(crew, Threads):
        assert not any(thread.is_alive() for thread in crew.threads)


FAILURES = {
    "builtin": (kinds.fail_key, KeyError, "lost"),
    "odd constructor": (kinds.fail_odd, kinds.OddError, "number 7 because of that"),
    "of this package": (kinds.fail_ours, ShapeError, "Shapes that do not fit"),
    "parsed arguments": (kinds.fail_unicode, UnicodeDecodeError, "0xff"),
    "exit": (kinds.leave, SystemExit, "3"),
}


@pytest.mark.parametrize("case", FAILURES)
@with_others
def test_errors_of_workers_are_raised_here(workers, case):
    what, kind, text = FAILURES[case]
    with DataLoader(kinds.Failing(what), 2, **workers) as loader:
        seen = []
        with pytest.raises(kind, match=text) as caught:
            for batch in loader:
                seen.append(batch.tolist())
        assert seen == [[0, 1], [2, 3]] and loader.state_dict()["position"] == 2
        if workers["worker_kind"] == "process":
            assert f"in {what.__name__}" in str(caught.value.__cause__) and "data_kinds.py" in str(
                caught.value.__cause__
            )
            assert len(str(caught.value).splitlines()) <= 3  # nothing was added to the message
        else:
            assert what.__name__ in [entry.name for entry in caught.traceback]


def test_an_error_that_cannot_be_sent_is_told():
    with DataLoader(kinds.Failing(kinds.fail_unpicklable), 2, num_workers=1) as loader:
        with pytest.raises(WorkerError, match="NoPickle: a secret") as caught:
            list(loader)
    assert "in fail_unpicklable" in str(caught.value.__cause__)


def test_a_loader_goes_on_after_an_error():
    state = {}

    def fail_once():
        if state.setdefault("failed", 0) == 0:
            state["failed"] = 1
            raise RuntimeError("once")

    loader = DataLoader(kinds.Failing(fail_once, 8), 2)
    with pytest.raises(RuntimeError, match="once"):
        list(loader)
    loader.load_state_dict(loader.state_dict())
    assert lists(loader) == [[4, 5], [6, 7]]  # from where it failed
    assert lists(loader) == [[0, 1], [2, 3], [4, 5], [6, 7]] and loader.epoch == 2


@pytest.mark.parametrize("victim", ["busy worker", "idle worker", "nursery"])
def test_a_killed_worker_is_an_error_at_once(victim):
    with DataLoader(kinds.Slow(8, 60 if victim != "idle worker" else 0), 1, num_workers=2, prefetch=1) as loader:
        batches = iter(loader)
        pids = {int(next(batches)[0])}
        if victim == "idle worker":
            time.sleep(0.1)
        else:
            pids.add(int(next(batches)[0]))
            pids.add(int(next(batches)[0]))
        (nursery,) = children()
        workers = children(nursery)
        os.kill(nursery if victim == "nursery" else sorted(pids)[0], signal.SIGKILL)
        start = time.monotonic()
        with pytest.raises(WorkerError, match="watches" if victim == "nursery" else "killed by SIGKILL") as caught:
            list(batches)
        assert time.monotonic() - start < 5
        assert "fix:" in str(caught.value)
        if victim == "busy worker":
            assert "made the batch of the samples [" in str(caught.value)
        assert not children() and gone(workers)
        if victim == "idle worker":
            assert len(list(loader)) == 8  # new workers


def test_a_dataset_that_ends_its_process():
    with DataLoader(kinds.Failing(kinds.vanish), 2, num_workers=2) as loader:
        with pytest.raises(WorkerError, match=r"exit code 7, while it made the batch of the samples \[4, 5\]"):
            list(loader)


def test_closing_is_silent_at_any_moment(capfd):
    for pause in (0, 0.001, 0.01):
        loader = DataLoader(kinds.Slow(50, 0.001), 1, num_workers=4)
        next(iter(loader))
        time.sleep(pause)
        loader.close()
    loader = DataLoader(kinds.Slow(50, 60, fast=0), 1, num_workers=2)
    loader._workers().submit((0, 0, np.array([1])))
    loader.close()  # before the workers have started, too
    assert capfd.readouterr() == ("", "")


def test_the_loop_can_be_left_in_any_way():
    loader = DataLoader(kinds.Slow(50, 0), 1, num_workers=2)
    for _ in loader:
        break
    with pytest.raises(ZeroDivisionError):
        for _ in loader:
            1 / 0  # noqa: B018
    assert len(children()) == 1 and loader.epoch == 1
    assert len(list(loader)) == 50 and loader.epoch == 3  # what was asked for before is not mixed into it
    loader.close()
    assert not children()
    loader.close()


def test_an_interrupt_while_it_waits():
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)  # pytest-timeout has SIGALRM
    try:
        for workers in (WORKERS["thread"], WORKERS["process"]):
            seconds = 60 if workers["worker_kind"] == "process" else 0.5  # threads end after their sample
            loader = DataLoader(kinds.Slow(8, seconds), 1, **workers)
            batches = iter(loader)
            next(batches)
            main = threading.main_thread().ident
            timer = threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGUSR1))
            timer.start()
            start = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                list(batches)
            assert time.monotonic() - start < 10 and not children()
            timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    time.sleep(0.6)


def test_an_old_iteration_is_refused():
    loader = DataLoader(range(6), 2)
    old = iter(loader)
    next(old)
    new = iter(loader)
    assert next(new).tolist() == [0, 1] and loader.epoch == 1
    with pytest.raises(ArgumentError, match="another iteration was begun"):
        next(old)
    loader.close()
    with pytest.raises(ArgumentError, match="was closed"):
        next(new)


# ---- scripts ---------------------------------------------------------------------------------------------

SCRIPT = """
    import os, signal, sys
    from pequegrad.data import DataLoader, Dataset

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored
    print("imported as", __name__, flush=True)

    class Own(Dataset):
        def __len__(self):
            return 6
        def __getitem__(self, index):
            return index * 10

    def main():
        loader = DataLoader(Own(), 2, num_workers=2)
        batches = iter(loader)
        print(next(batches).tolist(), next(batches).tolist(), flush=True)
        if sys.argv[1:] == ["wait"]:
            (nursery,) = open(f"/proc/self/task/{os.getpid()}/children").read().split()
            print(nursery, *open(f"/proc/{nursery}/task/{nursery}/children").read().split(), flush=True)
            sys.stdin.read()
"""


def script(tmp_path, text, *arguments, **options):
    path = tmp_path / "script_of_a_user.py"
    path.write_text(textwrap.dedent(text))
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return subprocess.Popen(
        [sys.executable, *(arguments or [str(path)])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        **options,
    )


@pytest.mark.parametrize("arguments", [(), ("-m", "script_of_a_user")], ids=["file", "module"])
def test_a_dataset_in_a_script_that_just_ends(arguments, tmp_path):
    process = script(tmp_path, SCRIPT + "\n    if __name__ == '__main__':\n        main()\n", *arguments)
    out, err = process.communicate(timeout=90)
    assert out.splitlines() == ["imported as __main__", "imported as __mp_main__", "[0, 10] [20, 30]"], err
    assert process.returncode == 0 and err == ""


def test_a_script_without_a_guard_is_told(tmp_path):
    process = script(tmp_path, SCRIPT + "\n    main()\n")
    _, err = process.communicate(timeout=90)
    assert process.returncode == 1 and "wants to start workers itself" in err and "if __name__ == '__main__':" in err


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_nothing_survives_the_loaders_process(how, tmp_path):
    process = script(
        tmp_path, SCRIPT + "\n    if __name__ == '__main__':\n        main()\n", "script_of_a_user.py", "wait"
    )
    with process:
        lines = [process.stdout.readline() for _ in range(4)]
        pids = [int(pid) for pid in lines[-1].split()]
        assert len(pids) == 3
        process.send_signal(how)
        _, err = process.communicate(timeout=60)
        assert gone(pids) and ("KeyboardInterrupt" in err) == (how == signal.SIGINT)


def test_what_cannot_be_sent_is_told_with_a_way_out():
    class Local(kinds.Sized):
        def __getitem__(self, index):
            return index

    with pytest.raises(ArgumentError, match="cannot be sent to worker processes[^$]*fix:[^$]*worker_kind='thread'"):
        list(DataLoader(Local(), num_workers=1))
    with pytest.raises(ArgumentError, match="cannot be sent"):
        list(DataLoader(range(3), num_workers=1, collate=lambda samples: samples))
    assert len(list(DataLoader(Local(), num_workers=1, worker_kind="thread"))) == 20
    with pytest.raises(ValueError, match="cannot be made again") as caught:
        list(DataLoader(kinds.NoUnpickle(), num_workers=1))
    assert "__setstate__" in str(caught.value.__cause__)


# ---- resuming and arguments ------------------------------------------------------------------------------


@with_workers
def test_resuming_goes_on_with_the_same_batches(workers):
    options = dict(batch_size=3, shuffle=True, **workers)
    with DataLoader(kinds.Random(11), seed=4, **options) as loader, DataLoader(kinds.Random(11), **options) as other:
        rounds = [[np.stack(batch).tolist() for batch in loader] for _ in range(3)]
        loader.load_state_dict(loader.state_dict() | {"epoch": 0, "position": 0})
        states = [json.dumps(loader.state_dict())]
        for _ in range(2):
            for _ in loader:
                states.append(json.dumps(loader.state_dict()))
        for done, state in enumerate(states):
            epoch, position = divmod(done, 4) if done % 4 or not done else (done // 4 - 1, 4)
            other.load_state_dict(json.loads(state))
            assert (other.epoch, other.state_dict()["position"]) == (epoch, position)
            assert [np.stack(batch).tolist() for batch in other] == rounds[epoch][position:]
            if done in (0, 3, 4):
                assert [np.stack(batch).tolist() for batch in other] == rounds[epoch + 1]
        assert loader.state_dict()["epoch"] == 2 and loader.state_dict()["position"] == 0


@pytest.mark.parametrize("change", [
    {"batch_size": 2}, {"samples": 12}, {"shuffle": False}, {"drop_last": True}, {"position": 9}, {"epoch": -1},
    {"seed": "x"}, {"more": 1},
])  # fmt: skip
def test_states_that_do_not_fit(change):
    loader = DataLoader(range(11), 3, shuffle=True, seed=1)
    with pytest.raises(ArgumentError):
        loader.load_state_dict(loader.state_dict() | change)
    with pytest.raises(ArgumentError, match="not the state"):
        loader.load_state_dict(None)
    assert loader.state_dict() == DataLoader(range(11), 3, shuffle=True, seed=1).state_dict()


@pytest.mark.parametrize("arguments, words", [
    ({"batch_size": 0}, "batch_size=0"), ({"batch_size": 1.5}, "batch_size"), ({"num_workers": -1}, "num_workers"),
    ({"prefetch": 0}, "prefetch"), ({"seed": -1}, "seed=-1"), ({"seed": "a"}, "seed"), ({"collate": 3}, "collate"),
    ({"worker_kind": "fiber"}, "fiber"), ({"transform": 1}, "transform"), ({"batch_size": True}, "batch_size"),
    ({"dataset": iter([])}, "no dataset"),
])  # fmt: skip
def test_bad_arguments(arguments, words):
    with pytest.raises(ArgumentError, match=words):
        DataLoader(**{"dataset": range(3), **arguments})
