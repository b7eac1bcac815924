"""Checkpoint files: what goes in comes out; what is broken is refused."""

import json
import os
import random
import struct

import numpy as np
import pytest

import pequegrad as pg
import pequegrad.jax_api as pj
from pequegrad import nn, optim, train


def tree():
    return {
        "weights": [pg.Tensor(np.arange(6, dtype="f4").reshape(2, 3)), np.arange(3), (pg.ones(()), None)],
        "a.b": {
            "c": True,
            7: -3,
            "inf": float("inf"),
            "z": 1 + 2j,
            "text": "ä\n",
            "empty": [],
            "none": np.zeros((0, 2)),
        },
        "a": {"b": pj.numpy.ones(3, pj.numpy.bfloat16)},
        "numbers": [np.float16(2.5), np.array(1 - 2j), np.array([True]), 2**70],
    }


def same(a, b):
    if isinstance(b, dict):
        return type(a) is dict and list(a) == list(b) and all(same(a[k], b[k]) for k in b)
    if isinstance(b, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(b, pg.Tensor):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a.numpy(), b.numpy())
    if isinstance(b, (np.ndarray, np.generic)):
        return isinstance(a, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)
    return a == b and type(a) is type(b)


def test_trees_come_back(tmp_path):
    path = tmp_path / "deep" / "state.safetensors"
    train.save_checkpoint(path, tree())
    assert same(train.load_checkpoint(path), tree())
    train.save_checkpoint(path, 3.5)
    assert train.load_checkpoint(path) == 3.5
    assert os.listdir(path.parent) == [path.name]


def test_modules_and_optimisers_go_on(tmp_path):
    def made():
        model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1))
        return model, optim.Adam(model.parameters(), lr=0.1)

    def steps(model, n):
        found = []
        for _ in range(n):
            found.append(model(pg.ones((2, 3))).sum().item())
        return found

    model, adam = made()
    path = tmp_path / "run.safetensors"
    train.save_checkpoint(path, {"model": model, "random": pg.get_rng_state()})
    expected = steps(model, 3)
    other, _ = made()
    saved = train.load_checkpoint(path)
    other.load_state_dict(saved["model"])
    pg.set_rng_state(saved["random"])
    assert steps(other, 3) == expected


def test_what_cannot_be_saved(tmp_path):
    path = tmp_path / "no.safetensors"
    nested = []
    for _ in range(300):
        nested = [nested]
    for bad, message in (
        ({"f": print}, "f is a builtin"), ({(1, 2): 3}, "a key of a dict"), ({"x": b"no"}, "bytes"), (nested, "levels deep"),
        ({"x": np.array(["a"])}, "dtype"), ({True: 1}, "a key of a dict"), (pj.random.key(0), "random keys"),
    ):  # fmt: skip
        with pytest.raises(pg.PequegradError, match=message):
            train.save_checkpoint(path, bad)
    assert not path.exists()


def altered(data, change):
    """The file with its header changed by change(header), a dict."""
    n = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + n])
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + n :]


def test_wrong_files_are_refused(tmp_path):
    path = tmp_path / "state.safetensors"
    train.save_checkpoint(path, tree())
    data = path.read_bytes()

    def described(text):
        return lambda header: header["__metadata__"].update(structure=text)

    wrong = {
        "truncated": data[:-1], "longer": data + b"x", "empty": b"", "header length": b"\xff" * 8 + data[8:], "text": b"hello, world",
        "huge header": struct.pack("<Q", 2**40) + data[8:], "no metadata": altered(data, lambda h: h.pop("__metadata__")),
        "version": altered(data, lambda h: h["__metadata__"].update(version="2")),
        "structure": altered(data, described('["list", []]')), "deep": altered(data, described("[" * 10**5)),
        "checksum": altered(data, lambda h: h["__metadata__"].update(sha256="0")),
        "offsets": altered(data, lambda h: h["a.b_"].update(data_offsets=[0, 10**9]) if "a.b_" in h else h.clear()),
        "byte": data[:-3] + bytes([data[-3] ^ 1]) + data[-2:],
    }  # fmt: skip
    for name, bytes_ in wrong.items():
        path.write_bytes(bytes_)
        with pytest.raises(pg.ModelFileError, match=r"state\.safetensors"):
            train.load_checkpoint(path)
            raise AssertionError(name)
    with pytest.raises(pg.ModelFileError, match="Cannot read"):
        train.load_checkpoint(tmp_path / "nothing")
    model = nn.Linear(2, 2)
    model.save(path)
    with pytest.raises(pg.ModelFileError, match="No checkpoint"):
        train.load_checkpoint(path)


def test_descriptions_that_lie_are_refused(tmp_path):
    """With a checksum that fits: a file that somebody made."""
    from pequegrad.nn.files import write_safetensors
    from pequegrad.train.checkpoints import _digest

    path = tmp_path / "made.safetensors"
    arrays = {"x": np.ones(3, "f4")}
    for structure in (
        '["array", "y", "tensor", "float32"]', '["array", "x", "tensor", "float64"]', '["array", "x", "tensor", "complex64"]', '["code", "1"]',
        '["dict", [[[1], ["value", 1]]]]', '["dict", 3]', '["array"]', "{}", "3", "[]", '["array", "../x", "tensor", "float32"]', "[" * 5000,
        '["list", ' * 3000, '["array", "x", "tensor", "object"]',
    ):  # fmt: skip
        metadata = {"format": "pequegrad", "version": "1", "structure": structure, "sha256": _digest(structure, arrays)}
        write_safetensors(path, arrays, metadata)
        with pytest.raises(pg.PequegradError):
            train.load_checkpoint(path)


def test_mutated_files_never_crash(tmp_path):
    path = tmp_path / "state.safetensors"
    train.save_checkpoint(path, tree())
    data, model = path.read_bytes(), nn.Linear(3, 2)
    generator = random.Random(0)
    header = 8 + int.from_bytes(data[:8], "little")
    for _ in range(1000):
        mutated = bytearray(data)
        for _ in range(generator.choice((1, 1, 2, 8))):
            kind, at = generator.randrange(4), generator.randrange(header if generator.random() < 0.7 else len(mutated))
            at = min(at, len(mutated) - 1)
            if kind == 0:
                mutated[at] ^= 1 << generator.randrange(8)
            elif kind == 1:
                del mutated[at : at + generator.randrange(1, 9)]
            elif kind == 2:
                mutated[at:at] = bytes(generator.randrange(256) for _ in range(generator.randrange(1, 9)))
            else:
                mutated[at : at + 4] = generator.choice((b"9999", b"[[[[", b"null", b"\0\0\0\0", b"-1,0"))
        path.write_bytes(mutated)
        for read in (train.load_checkpoint, model.load):
            try:
                found = read(path)
            except pg.PequegradError:
                continue
            assert read is model.load or same(found, tree())  # what was changed does not matter


def test_a_folder_keeps_the_last_ones(tmp_path):
    checkpoints = train.Checkpoints(tmp_path / "run", keep=2)
    assert checkpoints.steps() == [] and checkpoints.latest() is None
    for step in (1, 20, 300):
        checkpoints.save(step, {"step": step})
    assert checkpoints.steps() == [20, 300] and checkpoints.latest() == (300, {"step": 300})
    (tmp_path / "run" / "step_00000400.safetensors.tmp123").write_bytes(b"half")  # of a write that was killed
    with open(checkpoints.path(300), "r+b") as file:
        file.truncate(50)
    with pytest.warns(UserWarning, match="Passing over"):
        assert checkpoints.latest() == (20, {"step": 20})
    with pytest.raises(pg.ArgumentError, match="keep=0"):
        train.Checkpoints(tmp_path, keep=0)
