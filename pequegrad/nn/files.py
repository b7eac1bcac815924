"""Model files: safetensors, which hold arrays under names and nothing that could run."""

import json

import numpy as np

from ..core import dtype as dtypes
from ..core.errors import MissingPackageError, ModelFileError
from ..core.files import write_atomically


def write_safetensors(path, tensors, metadata=None):
    """Writes a dict from names to NumPy arrays, and one of texts; the file appears whole or not at all."""
    write_atomically(path, _safetensors().numpy.save(tensors, metadata or {"format": "pequegrad"}))


def read_safetensors(path):
    """A dict from names to NumPy arrays with the contents of a safetensors file."""
    return parse_safetensors(read_bytes(path), path)


def read_bytes(path):
    """The contents of a file; ModelFileError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ModelFileError(
            f"Cannot read the model file: {error.strerror}.",
            where=path,
            fix="check the path; model.save(path) writes such a file.",
        ) from None


def metadata_of(data, path):
    """The texts in the header of a safetensors file that parse_safetensors has accepted."""
    try:
        found = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__", {})
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"Not a whole safetensors file: {error}.", where=path) from None
    return found


def parse_safetensors(data, path):
    """A dict from names to NumPy arrays from the bytes of a safetensors file; `path` for messages."""
    package = _safetensors()
    try:
        entries = package.deserialize(data)
    except package.SafetensorError as error:
        raise ModelFileError(
            f"Not a whole safetensors file: {error}.",
            where=path,
            fix="save the model again; files of other formats must be converted first.",
        ) from None
    found = {}
    for name, entry in entries:
        dtype = _DTYPES.get(entry["dtype"])
        if dtype is None:
            raise ModelFileError(
                f"Tensor {name} has dtype {entry['dtype']}, which pequegrad does not have.", where=path
            )
        found[name] = np.frombuffer(entry["data"], dtypes.canonical(dtype)).reshape(entry["shape"])
    return found


# safetensors' names of dtypes
_DTYPES = {
    "BOOL": "bool", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "U8": "uint8", "U16": "uint16",
    "U32": "uint32", "U64": "uint64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
}  # fmt: skip


def _safetensors():
    try:
        import safetensors.numpy
    except ModuleNotFoundError:
        raise MissingPackageError(
            "Saving and loading models needs the package safetensors.", fix="pip install safetensors."
        ) from None
    return safetensors
