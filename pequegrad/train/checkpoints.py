"""Checkpoints: a tree of tensors and plain values in one file, which is safetensors with a JSON description of the rest.

The file appears whole or not at all, carries a checksum that loading compares, and holds nothing that could run.
"""

import hashlib
import json
import os
import re
import warnings

import numpy as np

from ..core import dtype as dtypes
from ..core.device import device as devices
from ..core.dtype import key_dtype
from ..core.errors import ArgumentError, ModelFileError
from ..core.tensor import Tensor, tensor_from_numpy
from ..nn.files import metadata_of, parse_safetensors, read_bytes, write_safetensors

_VERSION = 1
_DEEPEST = 200  # how deep trees may be

# ---- one file --------------------------------------------------------------------------------------------


def save_checkpoint(path, tree):
    """Writes a tree to `path`: dicts, lists and tuples of Tensors, Arrays, NumPy arrays, numbers, strings and None.

    Whatever has a state_dict() (modules, optimisers, data loaders) stands for that.

    >>> save_checkpoint("run.safetensors", {"model": model, "optimizer": adam, "step": 100})
    """
    arrays = {}
    structure = json.dumps(_described(tree, arrays, (), 0))
    names = sorted(arrays)
    write_safetensors(
        path,
        {name: arrays[name] for name in names},
        {"format": "pequegrad", "version": str(_VERSION), "structure": structure, "sha256": _digest(structure, arrays)},
    )


def load_checkpoint(path):
    """The tree that save_checkpoint wrote; states of modules and the like as dicts, for load_state_dict.

    Raises ModelFileError if the file is no checkpoint, is damaged, or cannot be read.
    """
    data = read_bytes(path)
    arrays, header = parse_safetensors(data, path), metadata_of(data, path)
    structure = header.get("structure")
    if structure is None or header.get("version") != str(_VERSION):
        raise ModelFileError(
            "No checkpoint of this version of pequegrad.",
            where=path,
            fix="read plain safetensors with model.load(path).",
        )
    if header.get("sha256") != _digest(structure, arrays):
        raise ModelFileError("The checksum does not fit: the file is damaged.", where=path, fix="load an older one.")
    try:
        return _restored(json.loads(structure), arrays)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError, OverflowError) as error:
        raise ModelFileError(f"The description of the contents is wrong: {error!r}.", where=path) from None


def _digest(structure, arrays):
    digest = hashlib.sha256(structure.encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}\n".encode())
        digest.update(np.ascontiguousarray(arrays[name]).view(np.uint8).data)
    return digest.hexdigest()


# A description is JSON: ["dict", [[key, ...], ...]], ["list", [...]], ["tuple", [...]], ["array", name, kind, dtype], or ["value", x].


def _described(x, arrays, path, depth):
    if depth > _DEEPEST:
        raise ArgumentError(f"save_checkpoint: the tree is more than {_DEEPEST} levels deep.")
    if isinstance(x, (Tensor, np.ndarray, np.generic)):
        return _described_array(x, arrays, ".".join(map(str, path)) or "value")
    if hasattr(x, "state_dict"):
        return _described(x.state_dict(), arrays, path, depth + 1)
    if isinstance(x, dict):
        entries = [[_key(key), _described(value, arrays, (*path, key), depth + 1)] for key, value in x.items()]
        return ["dict", entries]
    if isinstance(x, (list, tuple)):
        parts = [_described(part, arrays, (*path, i), depth + 1) for i, part in enumerate(x)]
        return ["list" if isinstance(x, list) else "tuple", parts]
    if x is None or isinstance(x, (bool, int, float, str)):
        return ["value", x]
    if isinstance(x, complex):
        return ["complex", x.real, x.imag]
    raise ArgumentError(
        f"save_checkpoint: {'.'.join(map(str, path)) or 'the tree'} is a {type(x).__name__}, which no checkpoint can hold.",
        fix="save tensors, arrays, numbers, strings, and dicts, lists and tuples of them.",
    )


def _key(key):
    if isinstance(key, (str, int)) and not isinstance(key, bool):
        return key
    raise ArgumentError(f"save_checkpoint: a key of a dict is {key!r}, not a string or an int.")


def _described_array(x, arrays, name):
    kind = "tensor" if type(x) is Tensor else "array" if isinstance(x, Tensor) else "numpy"
    if isinstance(x, Tensor) and x.dtype == key_dtype:
        raise ArgumentError(f"save_checkpoint: {name} holds random keys.", fix="save jax.random.key_data(keys).")
    data = np.ascontiguousarray(x.numpy() if isinstance(x, Tensor) else x).reshape(np.shape(x))
    dtype = dtypes.canonical(data.dtype)
    if dtype.kind == "c":  # which the format does not have
        data = data.reshape((*data.shape, 1)).view(f"f{dtype.itemsize // 2}")
    while name in arrays:  # keys may hold dots
        name += "_"
    arrays[name] = data
    return ["array", name, kind, dtype.name]


def _restored(described, arrays):
    kind, *rest = described
    if kind == "dict":
        return {_key(key): _restored(value, arrays) for key, value in rest[0]}
    if kind in ("list", "tuple"):
        parts = [_restored(part, arrays) for part in rest[0]]
        return parts if kind == "list" else tuple(parts)
    if kind == "complex":
        return complex(*rest)
    if kind == "value":
        return rest[0]
    if kind != "array":
        raise ValueError(f"unknown kind {kind!r}")
    name, kind, dtype = rest
    data, dtype = arrays[name], dtypes.canonical(dtype)
    if dtype.kind == "c":
        data = data.view(dtype).reshape(data.shape[:-1])
    elif data.dtype != dtype:
        raise ValueError(f"{name} is {data.dtype}, not {dtype}")
    if kind == "numpy":
        return data.copy()
    if kind == "array":
        from ..jax_api.convert import from_numpy

        return from_numpy(data, dtype=dtype)
    return tensor_from_numpy(data, devices.cpu)


# ---- a folder of them ------------------------------------------------------------------------------------


class Checkpoints:
    """The checkpoints of a run in a folder: step_00000100.safetensors ..., of which the last `keep` stay.

    >>> checkpoints = Checkpoints("runs/mnist", keep=3)
    >>> checkpoints.save(100, {"model": model, "optimizer": adam})
    >>> step, tree = checkpoints.latest()
    """

    def __init__(self, folder, keep=3):
        if not isinstance(keep, int) or keep < 1:
            raise ArgumentError(f"Checkpoints: keep={keep!r} is not a number of files >= 1.")
        self.folder, self.keep = os.fspath(folder), keep

    def path(self, step):
        """Where the checkpoint of a step is, or would be."""
        return os.path.join(self.folder, f"step_{step:08d}.safetensors")

    def steps(self):
        """The steps of which there are files, in ascending order."""
        if not os.path.isdir(self.folder):
            return []
        found = [re.fullmatch(r"step_(\d{8,})\.safetensors", name) for name in os.listdir(self.folder)]
        return sorted(int(match[1]) for match in found if match)

    def save(self, step, tree):
        """Writes the checkpoint of a step, then removes those that are too old."""
        save_checkpoint(self.path(step), tree)
        for old in self.steps()[: -self.keep]:
            if old != step:
                os.unlink(self.path(old))

    def latest(self):
        """(step, tree) of the last good checkpoint, or None. A damaged one is passed over, with a warning."""
        for step in reversed(self.steps()):
            try:
                return step, load_checkpoint(self.path(step))
            except ModelFileError as error:
                warnings.warn(f"Passing over a checkpoint: {error}", stacklevel=2)
        return None
